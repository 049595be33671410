/* What the fuzz targets share. A property that does not hold ends the program, as a crash would:
 * libFuzzer keeps the input, and the replay of the kept corpus fails. */
#ifndef TG_TESTS_FUZZ_H
#define TG_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"

#define FUZZ_CHECK(cond)                                                       \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* The input's first byte chooses how the rest is cut into reads: pieces of 1, 2, … bytes, and 0
 * for no cut at all. */
struct fuzz_cutter {
    struct tg_str rest;
    size_t piece;
};

static inline bool fuzz_cut(struct fuzz_cutter *c, struct tg_str *out)
{
    size_t n = c->piece && c->piece < c->rest.n ? c->piece : c->rest.n;

    if (c->rest.n == 0)
        return false;
    *out = (struct tg_str){c->rest.p, n};
    c->rest.p += n;
    c->rest.n -= n;
    return true;
}

/* FNV-1a over what a parser gave, to compare two runs. */
static inline uint64_t fuzz_mix(uint64_t h, const void *p, size_t n)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 1099511628211U;
    return h;
}

static inline uint64_t fuzz_mix_str(uint64_t h, struct tg_str s)
{
    h = fuzz_mix(h, &s.n, sizeof(s.n));
    return s.n ? fuzz_mix(h, s.p, s.n) : h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
