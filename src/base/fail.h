/* A failure with its details for people: what went wrong, whose fault it is, which field.
 * Filled by the first function that knows; the exchange owns one and the first failure wins.
 * Plain data, copied by value; strings are inside. Never holds a secret. */
#ifndef TG_BASE_FAIL_H
#define TG_BASE_FAIL_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

enum tg_fail_source {
    TG_FAIL_GATEWAY = 0,
    TG_FAIL_CLIENT,
    TG_FAIL_POLICY,
    TG_FAIL_PROVIDER,
};

struct tg_fail {
    int err; /* TG_E_*; 0: no failure recorded */
    enum tg_fail_source source;
    int http_status;        /* overrides the table's when not 0 (a provider's own status) */
    int provider_status;    /* status the provider answered, 0 if none */
    int64_t retry_after_ms; /* -1: none */
    char param[96];         /* field at fault, "" if none */
    char code[64];          /* overrides the table's code when not "" (a provider's own code) */
    char type[64];          /* overrides the table's type when not "" */
    char message[512];      /* for people; valid UTF-8, control bytes escaped */
};

void tg_fail_clear(struct tg_fail *f);
/* Records `err` with a formatted message unless a failure is there already; returns err always,
 * so that `return tg_fail_set(f, TG_E_X, "...")` works. A NULL f is allowed. */
int tg_fail_set(struct tg_fail *f, int err, const char *fmt, ...) TG_PRINTF(3, 4);
/* The same, naming the field at fault (JSON path such as "messages[0].role"). */
int tg_fail_param(struct tg_fail *f, int err, const char *param, const char *fmt, ...)
    TG_PRINTF(4, 5);
/* Effective values: the override, else the table's. */
int tg_fail_status(const struct tg_fail *f);
const char *tg_fail_code(const struct tg_fail *f);
const char *tg_fail_type(const struct tg_fail *f);
/* A client's text made fit to be quoted in a message: cut at max (<= 200) bytes on a character
 * boundary, control bytes and invalid UTF-8 as \xNN. Writes at most cap bytes with the NUL. */
const char *tg_fail_quote(struct tg_str text, char *out, size_t cap);

#endif
