#include "base/map.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/rand.h"

/* Linear probing with backward-shift deletion: no tombstones, so that a pool that adds and
 * deletes for weeks does not decay. A slot is free when value is NULL. */
struct tg_map_slot {
    struct tg_str key;
    void *value;
    uint64_t hash;
};

enum { FIRST_CAP = 16 };

static uint64_t seed[2];
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    tg_rand_bytes(seed, sizeof(seed));
}

static inline uint64_t rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012): keyed, so that names chosen by a client can't be
 * made to collide. */
uint64_t tg_hash(struct tg_str s)
{
    pthread_once(&seed_once, make_seed);
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
                     seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u};
    size_t i = 0;
    uint64_t word = 0;
    for (; s.n - i >= 8; i += 8) {
        memcpy(&word, s.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    if (s.n > i)
        memcpy(&word, s.p + i, s.n - i);
    word |= (uint64_t)s.n << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int k = 0; k < 3; k++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void tg_map_init(struct tg_map *m, size_t max_count)
{
    *m = (struct tg_map){.max_count = max_count};
}

void tg_map_fini(struct tg_map *m)
{
    tg_free(m->slots);
    tg_map_init(m, m->max_count);
}

/* The slot of `key`, or the free slot where it belongs. The table is never full. */
static size_t find(const struct tg_map *m, struct tg_str key, uint64_t hash)
{
    size_t i = hash & (m->cap - 1);
    while (m->slots[i].value && (m->slots[i].hash != hash || !tg_str_eq(m->slots[i].key, key)))
        i = (i + 1) & (m->cap - 1);
    return i;
}

void *tg_map_get(const struct tg_map *m, struct tg_str key)
{
    return m->cap ? m->slots[find(m, key, tg_hash(key))].value : NULL;
}

static int grow(struct tg_map *m)
{
    struct tg_map old = *m;
    if (old.cap > SIZE_MAX / 4 / sizeof(struct tg_map_slot))
        return TG_E_FULL;
    size_t cap = old.cap ? old.cap * 2 : FIRST_CAP;
    struct tg_map_slot *slots = tg_calloc(cap, sizeof(*slots));
    if (!slots)
        return TG_E_NOMEM;
    m->slots = slots;
    m->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            m->slots[find(m, old.slots[i].key, old.slots[i].hash)] = old.slots[i];
    tg_free(old.slots);
    return 0;
}

int tg_map_put(struct tg_map *m, struct tg_str key, void *value)
{
    TG_REQUIRE(value);
    uint64_t hash = tg_hash(key);
    if (m->cap) {
        struct tg_map_slot *slot = &m->slots[find(m, key, hash)];
        if (slot->value) {
            slot->key = key; /* the old key's bytes may go with the old value */
            slot->value = value;
            return 0;
        }
    }
    if (m->count >= m->max_count)
        return TG_E_FULL;
    if (m->count + 1 > m->cap - m->cap / 4) {
        int rc = grow(m);
        if (rc)
            return rc;
    }
    m->slots[find(m, key, hash)] = (struct tg_map_slot){key, value, hash};
    m->count++;
    return 0;
}

void *tg_map_del(struct tg_map *m, struct tg_str key)
{
    if (!m->cap)
        return NULL;
    size_t mask = m->cap - 1;
    size_t hole = find(m, key, tg_hash(key));
    void *value = m->slots[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        /* Moves only an entry whose probe sequence passes the hole. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct tg_map_slot){.value = NULL};
    m->count--;
    return value;
}

int tg_map_next(const struct tg_map *m, size_t *pos, struct tg_str *out_key, void **out_value)
{
    for (; *pos < m->cap; ++*pos)
        if (m->slots[*pos].value) {
            *out_key = m->slots[*pos].key;
            *out_value = m->slots[*pos].value;
            ++*pos;
            return 1;
        }
    return 0;
}
