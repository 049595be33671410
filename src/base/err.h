/* The one error space of Tollgate: negative codes, one table (err.def) with everything that is
 * known about each: name, HTTP status, the `type` and `code` strings of the OpenAI error shape,
 * whether another attempt may help and whether it counts against a target's circuit breaker.
 * Fallible functions return 0 or a positive count on success and a negative TG_E_* on failure.
 * Thread rule: const data, any thread. */
#ifndef TG_BASE_ERR_H
#define TG_BASE_ERR_H

#include <stdbool.h>

enum tg_err {
    TG_OK = 0,
    TG_E_FIRST = -1000, /* so that errno and uv codes can't be mistaken for ours */
#define TG_ERR(name, status, type, code, retry, breaker, text) TG_E_##name,
#include "base/err.def"
#undef TG_ERR
    TG_E_LAST
};

struct tg_err_info {
    const char *name; /* "TIMEOUT" */
    int http_status;  /* answer to the client; 0: internal, never shown as such */
    const char *type; /* OpenAI error.type */
    const char *code; /* error.code, as documented */
    bool retryable;   /* another attempt at this or another target may succeed */
    bool breaker;     /* counts against the target's health */
    const char *text; /* default message for people */
};

/* Never NULL: an unknown negative code gives INTERNAL's row; 0 and counts give a row "OK". */
const struct tg_err_info *tg_err_info(int err);
static inline const char *tg_err_name(int err)
{
    return tg_err_info(err)->name;
}

#endif
