/* What one load has in hand: the source, the report, two arenas and the layers read so far. Private
 * to config/. Thread rule: the thread that runs tg_config_load().
 *
 * Memory: `scratch` holds what ends with the load (node trees, dotenv entries, messages under
 * construction); the snapshot's own arena holds what stays. Both mark a failed allocation (sticky),
 * so that steps need not test each one: tg_conf_nomem() is asked between steps. */
#ifndef TG_CONFIG_LOAD_PRIV_H
#define TG_CONFIG_LOAD_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/compiler.h"
#include "base/str.h"
#include "config/config.h"
#include "config/schema_priv.h"

/* Where a value came from. line 0: no line (environment, command line, a default). */
struct tg_conf_origin {
    const char *file; /* display name; NULL: not set by anyone */
    uint32_t line, column;
};

struct tg_conf_secret_node {
    struct tg_conf_secret_node *next;
    struct tg_secret *secret;
};
/* The mutable part of a snapshot, and what is freed with it. */
struct tg_snapshot_refs {
    int count; /* atomic */
    struct tg_snapshot snapshot;
    struct tg_arena arena;
    struct tg_conf_secret_node *secrets;
    struct tg_conf_raw *raw;        /* for tg_config_write_effective() */
    struct tg_conf_model_def *defs; /* n_defs of them: the models that a file or variable made */
    size_t n_defs;
};

/* One NAME=value of a .env file, newest layer first. */
struct tg_conf_var {
    struct tg_conf_var *next;
    struct tg_str name, value;
    const char *file;
    uint32_t line;
};
struct tg_conf_env {
    const char *const *process;
    struct tg_conf_var *dotenv; /* in order of precedence, the strongest first */
};

struct tg_conf_node;
struct tg_conf_load {
    const struct tg_config_source *src;
    struct tg_config_report *report;
    struct tg_arena scratch;
    struct tg_snapshot_refs *refs;
    struct tg_arena *arena; /* the snapshot's */
    struct tg_conf_env env;
    struct tg_conf_raw *raw;
    struct tg_conf_origin *raw_origin; /* by row of tg_conf_global */
    struct tg_conf_model_def *defs;    /* in order; capacity TG_CONFIG_MAX_MODELS */
    size_t n_defs;
    struct tg_conf_node *scalars; /* of the configuration file, for wiping */
    struct tg_str file;           /* display name of the configuration file; "" : none */
    struct tg_str file_dir;       /* its folder, as it is opened; "" : none */
    struct tg_str missing;        /* variable that the last failed expansion wanted */
};

/* One model as it is being read: the values that the table fills in, and where they came from. */
struct tg_conf_model_def {
    struct tg_model model;
    struct tg_target target;
    uint32_t backend; /* enum tg_backend_kind, as the table writes it */
    uint32_t tier;
    const struct tg_secret *api_key;
    const struct tg_secret *proxy;
    struct tg_str api_key_env;
    struct tg_str api_key_file;
    struct tg_str service_account_file;
    bool passthrough;            /* an empty model_name is meant: the client's name is passed on */
    struct tg_str missing;       /* first unset variable; its setting was left out */
    struct tg_conf_origin where; /* of the model's name */
    struct tg_conf_origin *origin; /* by row of tg_conf_model */
};

static inline bool tg_conf_nomem(const struct tg_conf_load *l)
{
    return l->scratch.overflow || l->arena->overflow;
}

/* A reported problem does not stop the load: all of them are wanted. */
static inline int tg_conf_go_on(int rc)
{
    return rc == TG_E_CONFIG ? 0 : rc;
}

/* ---- report.c ---- */
#define TG_CONF_NO_KEY ((struct tg_str){NULL, 0})
void tg_conf_problem(struct tg_config_report *r, enum tg_config_severity severity,
                     const struct tg_conf_origin *where, struct tg_str key, const char *fmt, ...)
    TG_PRINTF(5, 6);
#define tg_conf_error(l, where, key, ...) \
    tg_conf_problem((l)->report, TG_CONFIG_ERROR, (where), (key), __VA_ARGS__)
#define tg_conf_warn(l, where, key, ...) \
    tg_conf_problem((l)->report, TG_CONFIG_WARNING, (where), (key), __VA_ARGS__)

/* ---- file.c ---- */
/* The whole file into the scratch arena. TG_E_NOT_FOUND_INTERNAL: there is none; TG_E_CONFIG:
 * unreadable, not a regular file or too big (reported at `where` under `key`); TG_E_NOMEM. */
int tg_conf_file_read(struct tg_conf_load *l, struct tg_str path, size_t max_bytes,
                      const struct tg_conf_origin *where, struct tg_str key,
                      struct tg_str *out) TG_WARN_UNUSED;
/* `name` seen from folder `dir` ("": as it is), in the arena. */
struct tg_str tg_conf_path_join(struct tg_arena *a, struct tg_str dir, struct tg_str name);
struct tg_str tg_conf_path_dir(struct tg_str path); /* in front of the last '/'; "" if none */
bool tg_conf_file_readable(struct tg_str path);
/* Adds a name to the snapshot's list of files that were read. */
int tg_conf_note_file(struct tg_conf_load *l, struct tg_str path) TG_WARN_UNUSED;

/* ---- env.c, dotenv.c ---- */
/* A variable that is set and not empty. *out_where (may be NULL) says which layer has it. */
bool tg_conf_env_get(const struct tg_conf_env *env, struct tg_str name, struct tg_str *out,
                     struct tg_conf_origin *out_where);
/* Reads .env and .env.<ENVIRONMENT> of one folder behind the layers that are there; the first call
 * settles raw->environment. */
int tg_conf_dotenv_load(struct tg_conf_load *l, struct tg_str dir) TG_WARN_UNUSED;
void tg_conf_dotenv_wipe(struct tg_conf_load *l); /* zeroes the values; ends their use */
/* Parses one .env file's text into *list (put in front). Problems are reported. */
void tg_conf_dotenv_parse(struct tg_conf_load *l, struct tg_str text, const char *file,
                          struct tg_conf_var **list);
/* Variables of later versions, and misspelt TOLLGATE_ ones. */
void tg_conf_env_check(struct tg_conf_load *l);
/* A setting that belongs to a later version: what to say about it, or NULL. */
const char *tg_conf_later_key(struct tg_str key);

/* Expands ${NAME}, ${NAME:-default} and $$ into the arena. 0; TG_E_NOT_FOUND_INTERNAL: a variable
 * is not set (its name in l->missing); TG_E_INVALID_ARG: malformed (*out_why says how); TG_E_NOMEM.
 */
int tg_conf_expand(struct tg_conf_load *l, struct tg_arena *a, struct tg_str text,
                   struct tg_str *out, const char **out_why) TG_WARN_UNUSED;

/* ---- value.c ---- */
/* Parses `text` as the row's type and stores it in the object at `base`. TG_E_CONFIG: reported. */
int tg_conf_set(struct tg_conf_load *l, const struct tg_conf_row *row, void *base,
                struct tg_str text, const struct tg_conf_origin *where,
                struct tg_str key) TG_WARN_UNUSED;
/* A list given as one text ("a, b") or as parts. */
int tg_conf_set_list(struct tg_conf_load *l, const struct tg_conf_row *row, void *base,
                     const struct tg_str *parts, size_t n, const struct tg_conf_origin *where,
                     struct tg_str key) TG_WARN_UNUSED;
int tg_conf_add_header(struct tg_conf_load *l, const struct tg_conf_row *row, void *base,
                       struct tg_str name, struct tg_str value, const struct tg_conf_origin *where,
                       struct tg_str key) TG_WARN_UNUSED;
/* Every default of a table into the object. */
int tg_conf_set_defaults(struct tg_conf_load *l, const struct tg_conf_table *t,
                         void *base) TG_WARN_UNUSED;
/* A secret owned by the snapshot. NULL: no memory. */
const struct tg_secret *tg_conf_secret(struct tg_conf_load *l, struct tg_str value);

/* ---- url.c ---- */
/* NULL, or what is wrong. Text and parts go into the arena. Takes user information only when
 * out_userinfo is not NULL; it is {NULL,0} when there is none, else percent-decoded. */
const char *tg_conf_url_parse(struct tg_arena *a, struct tg_str text, struct tg_config_url *out,
                              struct tg_str *out_userinfo);
bool tg_conf_host_is_loopback(struct tg_str host);
/* "10.0.0.0/8", "::1", "192.0.2.7" */
bool tg_conf_cidr_match(struct tg_str cidr, struct tg_str address);
/* The proxy for a target: `own` (may be "none"), else HTTPS_PROXY / HTTP_PROXY with NO_PROXY. */
int tg_conf_proxy_resolve(struct tg_conf_load *l, const struct tg_secret *own,
                          const struct tg_config_url *url, const struct tg_conf_origin *where,
                          struct tg_str key, struct tg_proxy_config *out) TG_WARN_UNUSED;

/* ---- walk.c ---- */
/* Applies a map of the file to an object. `def` is NULL for the global settings; `shown` is put in
 * front of keys in messages ("models.gpt-4."). Only TG_E_NOMEM comes back. */
int tg_conf_walk(struct tg_conf_load *l, const struct tg_conf_table *t, void *base,
                 struct tg_conf_origin *origins, struct tg_conf_model_def *def, const char *shown,
                 const struct tg_conf_node *map) TG_WARN_UNUSED;

/* ---- provider.c, credential.c, google.c ---- */
/* What is known of a kind of backend before anything was written about a model. */
struct tg_conf_kind {
    enum tg_backend_kind kind;
    unsigned flags;               /* which rows of the table it looks at: TG_CF_HTTP … */
    const char *base_url;         /* may hold "{region}"; NULL: has to be given */
    const char *url_env[3];       /* variables with another; the first that is set counts */
    const char *key_env[3];       /* variables with a credential */
    bool key_optional;            /* always */
    bool own_url_no_key;          /* when base_url was given */
    const char *suffixes[4];      /* ends of a base URL's path that the adapter writes itself */
    const char *version;          /* default of api_version */
    const char *key_header;       /* that the adapter writes the key to, lower case */
    enum tg_provider_api apis[3]; /* that it has; the first is the default */
};
const struct tg_conf_kind *tg_conf_kind_find(uint32_t backend); /* never NULL */
/* Region, project, version, API and base URL of an HTTP target. */
int tg_conf_provider_finish(struct tg_conf_load *l, struct tg_conf_model_def *d) TG_WARN_UNUSED;
/* The table of providers for docs/configuration.md. */
void tg_conf_provider_docs(struct tg_buf *out);
/* The target's credential, or why it has none. */
int tg_conf_credential_finish(struct tg_conf_load *l, struct tg_conf_model_def *d) TG_WARN_UNUSED;
/* Reads Google's key file at `path`; problems are reported at `where` under `key`. */
int tg_conf_google_read(struct tg_conf_load *l, struct tg_conf_model_def *d, struct tg_str path,
                        const struct tg_conf_origin *where, struct tg_str key) TG_WARN_UNUSED;

/* ---- model.c, target.c, build.c, route_build.c, check.c ---- */
/* `models` is the file's node or NULL. */
int tg_conf_models_read(struct tg_conf_load *l, const struct tg_conf_node *models) TG_WARN_UNUSED;
/* The models that need no file: OPENAI_API_KEY's wildcard, MODEL_NAME's file, the built-in one. */
int tg_conf_models_implied(struct tg_conf_load *l) TG_WARN_UNUSED;
const struct tg_conf_model_def *tg_conf_model_find(const struct tg_conf_load *l,
                                                   struct tg_str name);
/* "models.<name>.<tail>" in the scratch arena. */
struct tg_str tg_conf_model_key(struct tg_conf_load *l, const struct tg_conf_model_def *def,
                                const char *tail);
/* Where a model's setting stands; the model's own place when it was not set. */
const struct tg_conf_origin *tg_conf_model_where(const struct tg_conf_model_def *def,
                                                 const char *row_key);
bool tg_conf_model_has(const struct tg_conf_model_def *def, const char *row_key);
void tg_conf_check_settings(struct tg_conf_load *l); /* across settings */
int tg_conf_store_path(struct tg_conf_load *l) TG_WARN_UNUSED;
/* Finishes targets: defaults, credentials, proxies, and whether they can be used at all. */
int tg_conf_targets_finish(struct tg_conf_load *l) TG_WARN_UNUSED;
/* Makes a target unusable, for the first reason given. */
void tg_conf_unavailable(struct tg_conf_load *l, struct tg_conf_model_def *d, struct tg_str why);
void tg_conf_variable_not_set(struct tg_conf_load *l, struct tg_conf_model_def *d,
                              struct tg_str name);
/* Models, targets, routes and the default model of the snapshot. */
int tg_conf_snapshot_build(struct tg_conf_load *l) TG_WARN_UNUSED;
int tg_conf_routes_build(struct tg_conf_load *l) TG_WARN_UNUSED;
/* Where a global setting stands ("engine.model"). */
const struct tg_conf_origin *tg_conf_where(const struct tg_conf_load *l, const char *row_key);

#endif
