/* Bump allocator: many small allocations, freed all at once. Bounded by a cap given at birth.
 * A failed allocation marks the arena as overflowed (sticky), so that builders can chain calls
 * and test once. Memory is 8-byte aligned and not zeroed unless the name says so.
 * Thread rule: one thread at a time. */
#ifndef TG_BASE_ARENA_H
#define TG_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

struct tg_arena_chunk;
struct tg_arena {
    struct tg_arena_chunk *head; /* newest first */
    char *cur, *end;
    size_t first_bytes; /* size of the first chunk, payload */
    size_t used_bytes;  /* handed out, rounded */
    size_t held_bytes;  /* taken from the allocator */
    size_t max_bytes;   /* cap on held_bytes */
    bool overflow;
};

/* Nothing is allocated until the first use. first_bytes is the payload of the first chunk; each
 * later one is as large as all before it, up to 64 KiB. */
void tg_arena_init(struct tg_arena *a, size_t first_bytes, size_t max_bytes);
void tg_arena_fini(struct tg_arena *a);
/* Drops everything but the oldest chunk: a scratch arena reset per event does no malloc. */
void tg_arena_reset(struct tg_arena *a);
void *tg_arena_alloc(struct tg_arena *a, size_t n) TG_WARN_UNUSED;  /* NULL on overflow */
void *tg_arena_zalloc(struct tg_arena *a, size_t n) TG_WARN_UNUSED; /* zeroed */
/* Overflow-checked n * size, zeroed. */
void *tg_arena_array(struct tg_arena *a, size_t n, size_t size) TG_WARN_UNUSED;
#define tg_arena_new(a, type) ((type *)tg_arena_zalloc((a), sizeof(type)))
/* A copy, NUL-terminated behind its end as a courtesy; {NULL,0} on overflow. */
struct tg_str tg_arena_dup(struct tg_arena *a, struct tg_str s);
char *tg_arena_cstr(struct tg_arena *a, struct tg_str s) TG_WARN_UNUSED;
struct tg_str tg_arena_printf(struct tg_arena *a, const char *fmt, ...) TG_PRINTF(2, 3);
/* Grows the newest allocation in place when it can, else copies. For parsers' vectors. */
void *tg_arena_grow(struct tg_arena *a, void *old, size_t old_n, size_t new_n) TG_WARN_UNUSED;
/* Gives the tail of the newest allocation back (its first new_n bytes stay); does nothing when it
 * is not the newest any more. For users that must guess a size first. */
void tg_arena_trim(struct tg_arena *a, void *p, size_t old_n, size_t new_n);

#endif
