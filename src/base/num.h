/* Checked number parsing and arithmetic. Pure, any thread. */
#ifndef TG_BASE_NUM_H
#define TG_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

/* The whole of `s` must be a decimal number. TG_E_INVALID_ARG, TG_E_RANGE. */
int tg_parse_u64(struct tg_str s, uint64_t *out) TG_WARN_UNUSED;
int tg_parse_i64(struct tg_str s, int64_t *out) TG_WARN_UNUSED;
int tg_parse_double(struct tg_str s, double *out) TG_WARN_UNUSED; /* finite only, C locale */
/* "250ms", "30s", "5m", "2h", "1d" or a bare number of seconds ("1.5") → milliseconds. */
int tg_parse_duration_ms(struct tg_str s, int64_t *out_ms) TG_WARN_UNUSED;
/* "64KiB", "20MB" (10^6), "1GiB", "512" → bytes. */
int tg_parse_bytes(struct tg_str s, uint64_t *out) TG_WARN_UNUSED;
int tg_parse_bool(struct tg_str s, bool *out) TG_WARN_UNUSED; /* true/false/yes/no/on/off/1/0 */
static inline bool tg_add_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_add_overflow(a, b, out);
}
static inline bool tg_mul_overflow(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}
int tg_hex_digit(char c); /* the value of a hexadecimal digit, either case; -1: it is none */
/* Decimal digits of v into out (>= 20 bytes), not terminated; returns how many. */
size_t tg_fmt_u64(char *out, uint64_t v);

#endif
