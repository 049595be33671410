/* The schema: one row per setting. It drives the file and environment loaders, --help, the
 * reference in docs/configuration.md and the error messages. Private to config/. Const data, any
 * thread. */
#ifndef TG_CONFIG_SCHEMA_PRIV_H
#define TG_CONFIG_SCHEMA_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "config/snapshot.h"

enum tg_conf_type {
    TG_CT_STR,      /* struct tg_str; min..max bytes, no control bytes but TAB and LF */
    TG_CT_PATH,     /* struct tg_str; relative names start at the file's folder */
    TG_CT_INT,      /* uint32_t */
    TG_CT_COUNT,    /* uint64_t */
    TG_CT_BOOL,     /* bool */
    TG_CT_DURATION, /* uint32_t milliseconds */
    TG_CT_BYTES,    /* uint64_t */
    TG_CT_BYTES32,  /* uint32_t */
    TG_CT_DOUBLE,   /* double */
    TG_CT_ENUM,     /* uint32_t, an enum's value */
    TG_CT_LIST,     /* struct tg_str_list */
    TG_CT_URL,      /* struct tg_config_url */
    TG_CT_SECRET,   /* const struct tg_secret * */
    TG_CT_PRICE,    /* int64_t nano-USD per million tokens */
    TG_CT_HEADERS,  /* pointer and count in struct tg_target; file only */
};

/* A word of an enum setting. value < 0: known, but not in this version. */
struct tg_conf_word {
    const char *name;
    int value;
    bool hidden; /* a synonym, not shown */
};

enum tg_conf_flag {
    TG_CF_INHERIT = 1, /* models: starts as the global value; the table's default is not applied */
    TG_CF_FILE_ONLY = 2, /* no environment variable (documented as such) */
    /* models: only with backends of at least one of these kinds (provider.c) */
    TG_CF_HTTP = 4,
    TG_CF_LOCAL = 8,
    TG_CF_MOCK = 16,
    TG_CF_AWS = 32,
    TG_CF_GOOGLE = 64,
    TG_CF_VERSIONED = 128,
    TG_CF_COMPATIBLE = 256,
    TG_CF_OPENAI_WIRE = 512,
};
#define TG_CF_KINDS (~(unsigned)(TG_CF_INHERIT | TG_CF_FILE_ONLY))

struct tg_conf_row {
    const char *key; /* "server.port"; in models below the model's name: "timeouts.connect" */
    enum tg_conf_type type;
    unsigned flags;
    size_t offset;
    size_t size;         /* of the member: a unit test holds it against the type */
    int64_t min, max;    /* of the stored unit; strings: bytes; lists: entries */
    const char *def;     /* parsed like any value; NULL: zero */
    const char *def_doc; /* shown in place of def when not NULL */
    const char *env;     /* NULL: TOLLGATE_ and the key in capitals, unless TG_CF_FILE_ONLY */
    const struct tg_conf_word *words; /* ends with a NULL name */
    const char *help;
};

struct tg_conf_table {
    const char *prefix; /* for messages and documents: "" or "models.<name>." */
    const struct tg_conf_row *rows;
    size_t n;
};

/* What the global table fills in. */
struct tg_conf_raw {
    struct tg_settings settings;
    struct tg_str default_model;
    struct tg_str environment;
    struct tg_config_url openai_base_url;
    const struct tg_secret *openai_api_key;
    const struct tg_secret *proxy;
};

extern const struct tg_conf_table tg_conf_global;
extern const struct tg_conf_table tg_conf_model_table;

/* The row of this key, or NULL. */
const struct tg_conf_row *tg_conf_row_find(const struct tg_conf_table *t, struct tg_str key);
/* Some row's key begins with `key` and a dot. */
bool tg_conf_is_section(const struct tg_conf_table *t, struct tg_str key);
/* The known key beside `key` (same section) that is most like it; "" when none is. */
struct tg_str tg_conf_nearest_key(const struct tg_conf_table *t, struct tg_str key);
static inline size_t tg_conf_row_index(const struct tg_conf_table *t, const struct tg_conf_row *row)
{
    return (size_t)(row - t->rows);
}

/* The row's environment variable; "" when it has none. Returns out. */
const char *tg_conf_row_env(const struct tg_conf_row *row, char *out, size_t cap);
/* "a duration from 1ms to 1h, such as 30s": for messages and documents. Returns out. */
const char *tg_conf_row_expects(const struct tg_conf_row *row, char *out, size_t cap);

#endif
