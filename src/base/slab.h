/* Fixed-size object pool for one worker: freed objects are kept and reused, poisoned under ASan.
 * At most `max_live` objects live at a time (0: no limit); at most `keep` free ones are kept, the
 * rest go back to the allocator so that a burst does not stay resident.
 * Thread rule: owner thread only. */
#ifndef TG_BASE_SLAB_H
#define TG_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct tg_slab {
    void *free_list;
    size_t item_bytes;
    uint32_t live, max_live, free_count, keep;
};

void tg_slab_init(struct tg_slab *s, size_t item_bytes, uint32_t max_live, uint32_t keep);
void tg_slab_fini(struct tg_slab *s);                /* every object must have come back */
void *tg_slab_get(struct tg_slab *s) TG_WARN_UNUSED; /* zeroed; NULL: limit or memory */
void tg_slab_put(struct tg_slab *s, void *obj);

#endif
