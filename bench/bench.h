/* What the load generator and the provider for it share: clock, histogram, small helpers. Both are
 * single-threaded programs over epoll that end on any mistake in their own use; they are not part
 * of the product and use nothing of it, so that a fault there cannot hide in the measurement. */
#ifndef TG_BENCH_H
#define TG_BENCH_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_US 1000ull
/* Events carry the time of their sending (monotonic, nanoseconds, 20 digits) behind this mark. */
#define STAMP_MARK   "t="
#define STAMP_DIGITS 20

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline _Noreturn __attribute__((format(printf, 1, 2))) void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    exit(2);
}

static inline void *must_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p)
        die("out of memory");
    return p;
}

/* The number behind "name" in `text`, or `otherwise`. */
static inline uint64_t number_after(const char *text, size_t n, const char *name,
                                    uint64_t otherwise)
{
    const char *at = memmem(text, n, name, strlen(name));
    return at ? strtoull(at + strlen(name), NULL, 10) : otherwise;
}

/* Nanoseconds in buckets 1/64 of a power of two wide: at most 1.6 % off. */
enum { HIST_SUB_BITS = 6, HIST_BUCKETS = 64 << HIST_SUB_BITS };
struct hist {
    uint64_t n, bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t ns)
{
    unsigned top = 63u - (unsigned)__builtin_clzll(ns | (1ull << HIST_SUB_BITS));
    unsigned shift = top - HIST_SUB_BITS;
    return (shift << HIST_SUB_BITS) + (unsigned)(ns >> shift);
}

static inline void hist_add(struct hist *h, uint64_t ns)
{
    unsigned i = hist_index(ns);
    h->bucket[i < HIST_BUCKETS ? i : HIST_BUCKETS - 1]++;
    h->n++;
}

/* The middle of the bucket in which the quantile lies, in microseconds; 0 for none. */
static inline double hist_us(const struct hist *h, double quantile)
{
    uint64_t want = (uint64_t)((double)h->n * quantile), seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS && h->n; i++) {
        seen += h->bucket[i];
        if (seen <= want && seen < h->n)
            continue;
        unsigned shift = i >> HIST_SUB_BITS ? (i >> HIST_SUB_BITS) - 1 : 0;
        uint64_t low = (uint64_t)(i - (shift << HIST_SUB_BITS)) << shift;
        return ((double)low + (double)(1ull << shift) / 2) / 1e3;
    }
    return 0;
}

#endif
