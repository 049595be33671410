#include "core/affinity.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

#define SLOTS       32768u /* power of two; 256 KB */
#define WAYS        4u
#define ORIGIN_BITS 24
#define ORIGIN_MASK ((1u << ORIGIN_BITS) - 1)

/* A word: 40 bits of the state's hash, 24 of the origin's; 0: free. */
struct tg_affinity {
    _Atomic uint64_t words[SLOTS];
    _Atomic uint32_t next; /* of the ways, the one to overwrite */
    _Atomic bool used;
};

int tg_affinity_new(struct tg_affinity **out)
{
    struct tg_affinity *t = tg_calloc(1, sizeof *t);
    if (!t)
        return TG_E_NOMEM;
    *out = t;
    return 0;
}

void tg_affinity_free(struct tg_affinity *t)
{
    tg_free(t);
}

uint32_t tg_affinity_origin(struct tg_str target_name)
{
    uint32_t o = (uint32_t)tg_hash(target_name) & ORIGIN_MASK;
    return o ? o : 1;
}

static uint64_t tag_of(uint64_t hash)
{
    return hash & ~(uint64_t)ORIGIN_MASK;
}

static size_t set_of(uint64_t hash)
{
    return (size_t)(hash & (SLOTS / WAYS - 1)) * WAYS;
}

void tg_affinity_note(struct tg_affinity *t, struct tg_str opaque, uint32_t origin)
{
    uint64_t hash = tg_hash(opaque), word = tag_of(hash) | origin;
    size_t first = set_of(hash);
    size_t at = first + atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed) % WAYS;
    for (size_t i = first; i < first + WAYS; i++) {
        uint64_t w = atomic_load_explicit(&t->words[i], memory_order_relaxed);
        if (!w || tag_of(w) == tag_of(hash)) {
            at = i;
            break;
        }
    }
    atomic_store_explicit(&t->words[at], word, memory_order_relaxed);
    atomic_store_explicit(&t->used, true, memory_order_relaxed);
}

uint32_t tg_affinity_find(const struct tg_affinity *t, struct tg_str opaque)
{
    uint64_t hash = tg_hash(opaque);
    size_t first = set_of(hash);
    for (size_t i = first; i < first + WAYS; i++) {
        uint64_t w = atomic_load_explicit(&t->words[i], memory_order_relaxed);
        if (w && tag_of(w) == tag_of(hash))
            return (uint32_t)w & ORIGIN_MASK;
    }
    return 0;
}

bool tg_affinity_is_empty(const struct tg_affinity *t)
{
    return !atomic_load_explicit(&t->used, memory_order_relaxed);
}
