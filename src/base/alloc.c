#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* Production never arms the hook, so that the only cost is one predictable load. Relaxed atomics:
 * a test's helper threads may allocate while the test's own thread arms it. */
static bool hook_on;
static uint64_t hook_countdown, hook_count;
static int hook_sticky;

/* Sizes above PTRDIFF_MAX are refused here: malloc would too, but sanitizers make a report of it.
 */
static TG_COLD bool hook_fails(void)
{
    __atomic_add_fetch(&hook_count, 1, __ATOMIC_RELAXED);
    uint64_t left = __atomic_load_n(&hook_countdown, __ATOMIC_RELAXED);
    if (left == 0)
        return false;
    if (left > 1) {
        __atomic_store_n(&hook_countdown, left - 1, __ATOMIC_RELAXED);
        return false;
    }
    if (!__atomic_load_n(&hook_sticky, __ATOMIC_RELAXED))
        __atomic_store_n(&hook_countdown, 0, __ATOMIC_RELAXED);
    return true;
}

static inline bool must_fail(void)
{
    return tg_unlikely(__atomic_load_n(&hook_on, __ATOMIC_RELAXED)) && hook_fails();
}

void *tg_malloc(size_t n)
{
    return must_fail() || n > PTRDIFF_MAX ? NULL : malloc(n ? n : 1);
}

void *tg_calloc(size_t n, size_t size)
{
    size_t bytes;
    if (must_fail() || __builtin_mul_overflow(n, size, &bytes) || bytes > PTRDIFF_MAX)
        return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *tg_realloc(void *p, size_t n)
{
    return must_fail() || n > PTRDIFF_MAX ? NULL : realloc(p, n ? n : 1);
}

void tg_free(void *p)
{
    free(p);
}

char *tg_str_dup_c(struct tg_str s)
{
    if (s.n == SIZE_MAX)
        return NULL;
    char *copy = tg_malloc(s.n + 1);
    if (!copy)
        return NULL;
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = 0;
    return copy;
}

char *tg_strdup(const char *s)
{
    return tg_str_dup_c(tg_str_c(s));
}

static void *or_die(void *p)
{
    if (!p) {
        static const char text[] = "tollgate: out of memory at start-up\n";
        fwrite(text, 1, sizeof(text) - 1, stderr);
        abort();
    }
    return p;
}

void *tg_xmalloc(size_t n)
{
    return or_die(tg_malloc(n));
}

void *tg_xcalloc(size_t n, size_t size)
{
    return or_die(tg_calloc(n, size));
}

void tg_alloc_fail_at(uint64_t countdown, int sticky)
{
    __atomic_store_n(&hook_sticky, sticky, __ATOMIC_RELAXED);
    __atomic_store_n(&hook_count, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&hook_countdown, countdown, __ATOMIC_RELAXED);
    __atomic_store_n(&hook_on, true, __ATOMIC_RELAXED);
}

uint64_t tg_alloc_count(void)
{
    return __atomic_load_n(&hook_count, __ATOMIC_RELAXED);
}

/* glibc by itself: a thread's heap is shrunk with a system call as soon as 128 KiB at its end are
 * free, and each buffer above 128 KiB is mapped anew. */
void tg_alloc_tune(void)
{
#ifdef __GLIBC__
    enum { MAPPED_BYTES = 4 << 20, KEPT_BYTES = 8 << 20 };
    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
}

void tg_alloc_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
