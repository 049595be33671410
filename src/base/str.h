/* Borrowed byte strings: a pointer and a length, not NUL-terminated, passed by value.
 * A tg_str never owns its bytes; the function that hands one out says how long they live.
 * Thread rule: pure functions, any thread. */
#ifndef TG_BASE_STR_H
#define TG_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/compiler.h"

struct tg_str {
    const char *p; /* may be NULL only when n == 0 */
    size_t n;
};

/* From a string literal, at compile time. */
#define TG_STR(lit) ((struct tg_str){"" lit, sizeof(lit) - 1})
#define TG_STR_INIT(lit)        \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }
/* printf("%.*s", TG_STR_ARG(s)) */
#define TG_STR_ARG(s) (int)(s).n, (s).n ? (s).p : ""

static inline struct tg_str tg_str_make(const char *p, size_t n)
{
    return (struct tg_str){p, n};
}
static inline struct tg_str tg_str_c(const char *cstr)
{
    return (struct tg_str){cstr, cstr ? strlen(cstr) : 0};
}
static inline bool tg_str_empty(struct tg_str s)
{
    return s.n == 0;
}
static inline bool tg_str_eq(struct tg_str a, struct tg_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool tg_str_ieq_bytes(const char *a, const char *b, size_t n); /* tg_str_ieq() of equal lengths */
/* ASCII case-insensitive. Most names that are compared differ in length. */
static inline bool tg_str_ieq(struct tg_str a, struct tg_str b)
{
    return a.n == b.n && tg_str_ieq_bytes(a.p, b.p, a.n);
}
bool tg_str_starts(struct tg_str s, struct tg_str prefix);
bool tg_str_istarts(struct tg_str s, struct tg_str prefix);
bool tg_str_ends(struct tg_str s, struct tg_str suffix);
/* Index of the first `c` / `needle`, or -1. */
ptrdiff_t tg_str_chr(struct tg_str s, char c);
ptrdiff_t tg_str_find(struct tg_str s, struct tg_str needle);
/* From index `from` (clamped) to the end / at most n bytes. */
struct tg_str tg_str_from(struct tg_str s, size_t from);
struct tg_str tg_str_first(struct tg_str s, size_t n);
struct tg_str tg_str_trim(struct tg_str s); /* spaces, tabs, CR, LF at both ends */
/* Cuts the text before the first `sep` off *rest and returns it; *rest moves behind the separator
 * (and becomes {NULL,0} at the end). Returns false when *rest was already exhausted. */
bool tg_str_split(struct tg_str *rest, char sep, struct tg_str *out_part);
/* Order as memcmp, shorter first: <0, 0, >0. */
int tg_str_cmp(struct tg_str a, struct tg_str b);
/* Copies at most cap-1 bytes and terminates; returns the bytes copied. For library edges. */
size_t tg_str_to_c(struct tg_str s, char *out, size_t cap);
/* Levenshtein distance, bounded: returns `limit` when it is at least that. Both <= 64 bytes. */
unsigned tg_str_distance(struct tg_str a, struct tg_str b, unsigned limit);

#endif
