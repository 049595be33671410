/* Hash map from byte strings to pointers: open addressing, seeded hash, keys borrowed (they must
 * live as long as the entry). For registries and pools, not for the per-request path.
 * Thread rule: one thread at a time; read-only use of a finished map from any thread. */
#ifndef TG_BASE_MAP_H
#define TG_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct tg_map_slot;
struct tg_map {
    struct tg_map_slot *slots;
    size_t cap, count, max_count;
};

void tg_map_init(struct tg_map *m, size_t max_count);
void tg_map_fini(struct tg_map *m);
void *tg_map_get(const struct tg_map *m, struct tg_str key); /* NULL: absent */
/* Replaces an entry of the same key. TG_E_FULL, TG_E_NOMEM. value must not be NULL. */
int tg_map_put(struct tg_map *m, struct tg_str key, void *value) TG_WARN_UNUSED;
void *tg_map_del(struct tg_map *m, struct tg_str key); /* the old value, or NULL */
/* Iteration: start with *pos = 0; returns false at the end. No change of the map meanwhile. */
int tg_map_next(const struct tg_map *m, size_t *pos, struct tg_str *out_key, void **out_value);
uint64_t tg_hash(struct tg_str s); /* seeded once per process from getrandom */

#endif
