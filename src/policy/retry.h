/* What to do after a failed attempt: try the same target again after a wait, try the next one, or
 * give up; and the budget that keeps retries from multiplying an outage. Pure: time and randomness
 * are passed in.
 * Thread rule: pure functions; a tg_retry_budget is one worker's. Times in milliseconds. */
#ifndef TG_POLICY_RETRY_H
#define TG_POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

enum tg_retry_action { TG_RETRY_GIVE_UP = 0, TG_RETRY_SAME, TG_RETRY_NEXT };

struct tg_retry_input {
    int err;                /* TG_E_* of the failed attempt */
    uint32_t attempts_done; /* made so far, this one included */
    uint32_t attempts_here; /* of those, at this target */
    uint32_t targets_left;  /* usable targets behind this one */
    int64_t retry_after_ms; /* as the provider asked; -1: it did not */
    int64_t time_left_ms;   /* until the request's deadline; INT64_MAX: none */
    bool content_sent;      /* a content byte has reached the client: no more attempts */
    bool request_sent;      /* the attempt's request had left whole */
    uint64_t random;        /* any 64 random bits */
};

struct tg_retry_decision {
    enum tg_retry_action action;
    uint32_t delay_ms; /* before the next attempt */
    const char *why;   /* constant text for the log: "attempts", "deadline", … */
};

struct tg_retry_decision tg_retry_decide(const struct tg_retry_settings *s,
                                         const struct tg_retry_input *in);
/* Full-jitter exponential backoff before attempt `attempts_here + 1`: uniform in
 * [d / 2, d] with d = min(max_delay, base * 2^(attempts_here - 1)). */
uint32_t tg_retry_backoff_ms(const struct tg_retry_settings *s, uint32_t attempts_here,
                             uint64_t random);
/* Token bucket in hundredths of an attempt: each request puts budget_percent in (at most 10,000
 * held = 100 attempts), each extra attempt takes 100 out. It starts with 10 attempts. */
struct tg_retry_budget {
    uint32_t hundredths;
};
void tg_retry_budget_init(struct tg_retry_budget *b);
void tg_retry_budget_on_request(struct tg_retry_budget *b, const struct tg_retry_settings *s);
bool tg_retry_budget_take(struct tg_retry_budget *b); /* false: no extra attempt now */

#endif
