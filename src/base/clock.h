/* Time. Durations and timeouts use the monotonic clock only; the wall clock is for timestamps.
 * Tests install a fake: then both clocks stand still until moved.
 * Thread rule: reading is safe anywhere; the fake is for single-threaded tests. */
#ifndef TG_BASE_CLOCK_H
#define TG_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t tg_clock_mono_ns(void);
static inline uint64_t tg_clock_mono_us(void)
{
    return tg_clock_mono_ns() / 1000;
}
static inline uint64_t tg_clock_mono_ms(void)
{
    return tg_clock_mono_ns() / 1000000;
}
int64_t tg_clock_wall_us(void); /* microseconds since 1970, UTC */
/* "2026-11-21T09:00:00.123456Z" into out (>= 28 bytes), NUL-terminated; returns the length. */
size_t tg_clock_iso(int64_t wall_us, char *out, size_t cap);
/* RFC 9110 5.6.7 IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT" (>= 30 bytes). */
size_t tg_clock_http_date(int64_t wall_us, char *out, size_t cap);
/* Parses an IMF-fixdate; TG_E_INVALID_ARG if it is not one. */
int tg_clock_parse_http_date(const char *p, size_t n, int64_t *out_wall_us);
/* Parses a date of RFC 3339 ("2026-11-21T09:00:00Z", "…00.5+01:00"), fractions of a second cut off;
 * TG_E_INVALID_ARG if it is not one. */
int tg_clock_parse_iso(const char *p, size_t n, int64_t *out_wall_us);

void tg_clock_fake_start(uint64_t mono_ns, int64_t wall_us);
void tg_clock_fake_advance_us(uint64_t us);
void tg_clock_fake_stop(void);

#endif
