/* Circuit breaker of one target in one worker. Closed → open after N failures in a row, or when the
 * share of failures in a sliding window is too high; open → half-open after a wait: one probe at a
 * time; half-open → closed after M successes, → open on a failure.
 * Thread rule: one worker's. Pure: time is passed in (monotonic milliseconds, never going back). */
#ifndef TG_POLICY_BREAKER_H
#define TG_POLICY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "config/settings.h"

enum tg_breaker_state { TG_BREAKER_CLOSED = 0, TG_BREAKER_OPEN, TG_BREAKER_HALF_OPEN };
const char *tg_breaker_state_name(enum tg_breaker_state s); /* "closed", "open", "half_open" */

#define TG_BREAKER_BUCKETS 10
struct tg_breaker {
    enum tg_breaker_state state;
    uint32_t consecutive; /* failures in a row (closed), successes in a row (half-open) */
    bool probing;         /* half-open: a probe is under way */
    uint64_t changed_ms;  /* when the state last changed */
    uint64_t probe_ms;    /* when the probe under way began */
    uint64_t bucket_no;   /* number of the newest bucket (time / bucket length) */
    uint32_t ok[TG_BREAKER_BUCKETS], failed[TG_BREAKER_BUCKETS];
    uint64_t opened_total;
};

void tg_breaker_init(struct tg_breaker *b); /* all zero is fine too */
/* May an attempt be made now? Half-open: true for one caller at a time, who then must report by
 * tg_breaker_on_result() or tg_breaker_on_abandoned(). A probe that never reports is given up after
 * ten probe waits. */
bool tg_breaker_admit(struct tg_breaker *b, const struct tg_breaker_settings *s, uint64_t now_ms);
/* The same question without taking the probe: for the bitmap of tg_route_find(). */
bool tg_breaker_would_admit(const struct tg_breaker *b, const struct tg_breaker_settings *s,
                            uint64_t now_ms);
/* `failed`: as tg_err_info(err)->breaker says. Returns true when the state changed. */
bool tg_breaker_on_result(struct tg_breaker *b, const struct tg_breaker_settings *s, bool failed,
                          uint64_t now_ms);
/* The attempt ended without telling anything about the target (client gone, cancelled). */
void tg_breaker_on_abandoned(struct tg_breaker *b);
/* Until the next probe is allowed; 0 when one is. For Retry-After. */
uint64_t tg_breaker_wait_ms(const struct tg_breaker *b, const struct tg_breaker_settings *s,
                            uint64_t now_ms);

#endif
