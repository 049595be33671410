#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/secret.h"

/* Per thread, so that ids cost no system call each and no lock. `generation` differs after a
 * fork: a child must not hand out what its parent will. */
static __thread struct {
    unsigned generation;
    size_t left;
    unsigned char bytes[2048];
} pool;

static unsigned fork_generation = 1;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void after_fork(void)
{
    __atomic_add_fetch(&fork_generation, 1, __ATOMIC_RELAXED);
}

static void watch_fork(void)
{
    pthread_atfork(NULL, NULL, after_fork);
}

static void from_kernel(void *out, size_t n)
{
    char *p = out;
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            static const char text[] = "tollgate: the system has no random bytes\n";
            fwrite(text, 1, sizeof(text) - 1, stderr);
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}

void tg_rand_bytes(void *out, size_t n)
{
    if (n > sizeof(pool.bytes) / 4) {
        from_kernel(out, n);
        return;
    }
    unsigned generation = __atomic_load_n(&fork_generation, __ATOMIC_RELAXED);
    if (pool.left < n || pool.generation != generation) {
        pthread_once(&fork_once, watch_fork);
        from_kernel(pool.bytes, sizeof(pool.bytes));
        pool.left = sizeof(pool.bytes);
        pool.generation = generation;
    }
    unsigned char *from = pool.bytes + sizeof(pool.bytes) - pool.left;
    memcpy(out, from, n);
    tg_secret_wipe(from, n); /* what was handed out is not kept */
    pool.left -= n;
}

uint64_t tg_rand_u64(void)
{
    uint64_t v;
    tg_rand_bytes(&v, sizeof(v));
    return v;
}

uint64_t tg_rand_below(uint64_t n)
{
    TG_REQUIRE(n > 0);
    /* The values below 2^64 mod n would make the first remainders likelier. */
    uint64_t uneven = (0 - n) % n, v;
    do
        v = tg_rand_u64();
    while (v < uneven);
    return v % n;
}

size_t tg_rand_id(const char *prefix, char *out, size_t cap)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    enum { LETTERS = 24, BASE = 62, EVEN = 256 - 256 % BASE };
    size_t n = strlen(prefix), end = n + LETTERS;
    TG_REQUIRE(cap > end);
    memcpy(out, prefix, n);
    while (n < end) {
        unsigned char bytes[LETTERS + 4];
        tg_rand_bytes(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes) && n < end; i++)
            if (bytes[i] < EVEN)
                out[n++] = digits[bytes[i] % BASE];
    }
    out[n] = 0;
    return n;
}
