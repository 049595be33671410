#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/asan_priv.h"
#include "base/assert.h"
#include "base/num.h"

/* The payload starts 16-byte aligned: the header is two words behind malloc's alignment. */
struct tg_arena_chunk {
    struct tg_arena_chunk *older;
    size_t payload_bytes;
    char payload[];
};

enum { ALIGN = 8, MIN_FIRST_BYTES = 64, MAX_STEP_BYTES = 64 * 1024 };

static inline size_t round_up(size_t n)
{
    return (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1);
}

static void chunk_free(struct tg_arena *a, struct tg_arena_chunk *c)
{
    tg_asan_unpoison(c->payload, c->payload_bytes);
    a->held_bytes -= sizeof(*c) + c->payload_bytes;
    tg_free(c);
}

void tg_arena_init(struct tg_arena *a, size_t first_bytes, size_t max_bytes)
{
    if (first_bytes < MIN_FIRST_BYTES)
        first_bytes = MIN_FIRST_BYTES;
    *a = (struct tg_arena){.first_bytes = round_up(first_bytes), .max_bytes = max_bytes};
}

void tg_arena_fini(struct tg_arena *a)
{
    for (struct tg_arena_chunk *c = a->head, *older; c; c = older) {
        older = c->older;
        chunk_free(a, c);
    }
    tg_arena_init(a, a->first_bytes, a->max_bytes);
}

void tg_arena_reset(struct tg_arena *a)
{
    struct tg_arena_chunk *c = a->head;
    while (c && c->older) {
        struct tg_arena_chunk *older = c->older;
        chunk_free(a, c);
        c = older;
    }
    /* One huge first event must not stay resident for the life of a scratch arena. */
    if (c && c->payload_bytes > a->first_bytes && c->payload_bytes > MAX_STEP_BYTES) {
        chunk_free(a, c);
        c = NULL;
    }
    a->head = c;
    a->cur = c ? c->payload : NULL;
    a->end = c ? c->payload + c->payload_bytes : NULL;
    a->used_bytes = 0;
    a->overflow = false;
    if (c)
        tg_asan_poison(c->payload, c->payload_bytes);
}

/* How much to take for a request of `need` bytes; 0 when the cap forbids it. */
static size_t chunk_size(const struct tg_arena *a, size_t need)
{
    size_t left = a->max_bytes - a->held_bytes;
    if (a->held_bytes > a->max_bytes || left <= sizeof(struct tg_arena_chunk))
        return 0;
    left = (left - sizeof(struct tg_arena_chunk)) & ~(size_t)(ALIGN - 1);
    size_t want = round_up(a->held_bytes); /* each chunk doubles what is held */
    if (want > MAX_STEP_BYTES)
        want = MAX_STEP_BYTES;
    if (want < a->first_bytes)
        want = a->first_bytes;
    if (want < need)
        want = need;
    if (want > left)
        want = left;
    return want >= need ? want : 0;
}

static struct tg_arena_chunk *chunk_new(struct tg_arena *a, size_t payload_bytes)
{
    struct tg_arena_chunk *c = tg_malloc(sizeof(*c) + payload_bytes);
    if (!c)
        return NULL;
    c->payload_bytes = payload_bytes;
    a->held_bytes += sizeof(*c) + payload_bytes;
    tg_asan_poison(c->payload, payload_bytes);
    return c;
}

static TG_COLD void *overflowed(struct tg_arena *a)
{
    a->overflow = true;
    return NULL;
}

/* The slow path: `need` (rounded) does not fit in what is left of the newest chunk. */
static __attribute__((noinline)) void *alloc_slow(struct tg_arena *a, size_t need, size_t n)
{
    size_t size = chunk_size(a, need);
    struct tg_arena_chunk *c = size ? chunk_new(a, size) : NULL;
    if (!c)
        return overflowed(a);
    a->used_bytes += need;
    tg_asan_unpoison(c->payload, n);
    if (a->head && size == need && need >= MAX_STEP_BYTES / 2) {
        /* A big piece gets a chunk of its own, behind the newest, which stays in use. */
        c->older = a->head->older;
        a->head->older = c;
        return c->payload;
    }
    c->older = a->head;
    a->head = c;
    a->cur = c->payload + need;
    a->end = c->payload + size;
    return c->payload;
}

void *tg_arena_alloc(struct tg_arena *a, size_t n)
{
    if (tg_unlikely(n > SIZE_MAX - ALIGN - sizeof(struct tg_arena_chunk)))
        return overflowed(a);
    size_t need = n ? round_up(n) : ALIGN;
    if (tg_unlikely((size_t)(a->end - a->cur) < need))
        return alloc_slow(a, need, n);
    char *p = a->cur;
    a->cur += need;
    a->used_bytes += need;
    tg_asan_unpoison(p, n);
    return p;
}

void *tg_arena_zalloc(struct tg_arena *a, size_t n)
{
    void *p = tg_arena_alloc(a, n);
    if (p)
        memset(p, 0, n);
    return p;
}

void *tg_arena_array(struct tg_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (tg_mul_overflow(n, size, &bytes))
        return overflowed(a);
    return tg_arena_zalloc(a, bytes);
}

struct tg_str tg_arena_dup(struct tg_arena *a, struct tg_str s)
{
    char *p = tg_arena_cstr(a, s);
    return p ? tg_str_make(p, s.n) : (struct tg_str){NULL, 0};
}

char *tg_arena_cstr(struct tg_arena *a, struct tg_str s)
{
    char *p = s.n < SIZE_MAX ? tg_arena_alloc(a, s.n + 1) : overflowed(a);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

struct tg_str tg_arena_printf(struct tg_arena *a, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0) {
        a->overflow = true;
        return (struct tg_str){NULL, 0};
    }
    if ((size_t)n < sizeof(text))
        return tg_arena_dup(a, tg_str_make(text, (size_t)n));
    char *p = tg_arena_alloc(a, (size_t)n + 1);
    if (!p)
        return (struct tg_str){NULL, 0};
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return tg_str_make(p, (size_t)n);
}

void *tg_arena_grow(struct tg_arena *a, void *old, size_t old_n, size_t new_n)
{
    if (!old)
        return tg_arena_alloc(a, new_n);
    if (new_n <= old_n)
        return old;
    size_t had = old_n ? round_up(old_n) : ALIGN;
    if ((char *)old + had == a->cur && new_n <= SIZE_MAX - ALIGN) {
        size_t more = round_up(new_n) - had;
        if ((size_t)(a->end - a->cur) >= more) {
            a->cur += more;
            a->used_bytes += more;
            tg_asan_unpoison(old, new_n);
            return old;
        }
    }
    void *p = tg_arena_alloc(a, new_n);
    if (p && old_n)
        memcpy(p, old, old_n);
    return p;
}

void tg_arena_trim(struct tg_arena *a, void *p, size_t old_n, size_t new_n)
{
    TG_REQUIRE(new_n <= old_n);
    size_t had = old_n ? round_up(old_n) : ALIGN, keep = new_n ? round_up(new_n) : ALIGN;
    if (!p || (char *)p + had != a->cur)
        return;
    a->cur -= had - keep;
    a->used_bytes -= had - keep;
    tg_asan_poison((char *)p + new_n, had - new_n);
}
