/* Loading the configuration: file, .env files and environment become one immutable snapshot, or a
 * report of everything that is wrong with them.
 *
 * Order, the later wins: defaults < configuration file < .env < .env.<ENVIRONMENT> < process
 * environment. An empty variable counts as unset. Nothing here logs; no secret ever gets into a
 * report. Limits: file 1 MiB, nesting 32, 50 problems reported, 1,024 models.
 * Thread rule: one load at a time per report; loads are independent of each other. */
#ifndef TG_CONFIG_CONFIG_H
#define TG_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "config/snapshot.h"

/* The outside world, given in so that tests need no real one. */
struct tg_config_source {
    /* NULL-terminated "NAME=value" strings such as `environ`; NULL: empty. Borrowed for the call.
     */
    const char *const *env;
    /* --config. NULL: TOLLGATE_CONFIG, ./tollgate.yaml, ./config/models.yaml, or no file at all. */
    const char *config_file;
    struct tg_str text; /* the configuration itself, in place of a file; {NULL, 0}: a file */
    const char *cwd;    /* where relative names start and .env is looked for; NULL: "." */
    const char *const *overrides; /* NULL-terminated "server.port=9000" (--set); NULL: none */
    uint32_t cores;               /* for `workers`; 0: ask the system */
    bool no_dotenv;               /* do not read .env files */
};

enum tg_config_severity { TG_CONFIG_WARNING, TG_CONFIG_ERROR };

struct tg_config_problem {
    enum tg_config_severity severity;
    uint32_t line, column; /* from 1; 0: none */
    char file[256];        /* "config/models.yaml", "environment", ".env" */
    char key[128];         /* "models.gpt-4.base_url" */
    char message[512];     /* for people: what is wrong and what is expected; no secret */
};

#define TG_CONFIG_MAX_PROBLEMS 50
struct tg_config_report {
    struct tg_config_problem *v; /* in the order found */
    size_t n;
    size_t n_errors, n_warnings; /* all of them, also those not kept */
    bool nomem;                  /* some problem could not be kept for lack of memory */
};
void tg_config_report_init(struct tg_config_report *r);
void tg_config_report_fini(struct tg_config_report *r);
/* One line each: "config/models.yaml:12:5: error: models.x.tier: …". Returns 0 or the buffer's
 * error. */
int tg_config_report_write(const struct tg_config_report *r, struct tg_buf *out);

/* 0: *out is a snapshot with one reference, yours; the report may hold warnings. TG_E_CONFIG: the
 * report says why. TG_E_NOMEM. */
int tg_config_load(const struct tg_config_source *src, struct tg_snapshot **out,
                   struct tg_config_report *report) TG_WARN_UNUSED;

/* The reference table of docs/configuration.md (Markdown), and the settings part of --help (plain
 * text). Both come from the schema table. They return 0 or the buffer's error. */
int tg_config_write_docs(struct tg_buf *out);
int tg_config_write_help(struct tg_buf *out);

/* The settings in effect, one "key = value" line each, secrets as ***, for `check-config`. */
int tg_config_write_effective(const struct tg_snapshot *s, struct tg_buf *out);

#endif
