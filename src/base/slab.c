#include "base/slab.h"

#include <string.h>

#include "base/alloc.h"
#include "base/asan_priv.h"
#include "base/assert.h"

void tg_slab_init(struct tg_slab *s, size_t item_bytes, uint32_t max_live, uint32_t keep)
{
    TG_REQUIRE(item_bytes > 0);
    if (item_bytes < sizeof(void *))
        item_bytes = sizeof(void *); /* a free item holds the link */
    *s = (struct tg_slab){.item_bytes = item_bytes, .max_live = max_live, .keep = keep};
}

static void *pop_free(struct tg_slab *s)
{
    void *item = s->free_list;
    tg_asan_unpoison(item, s->item_bytes);
    memcpy(&s->free_list, item, sizeof(void *));
    s->free_count--;
    return item;
}

void tg_slab_fini(struct tg_slab *s)
{
    TG_REQUIRE(s->live == 0);
    while (s->free_list)
        tg_free(pop_free(s));
}

void *tg_slab_get(struct tg_slab *s)
{
    if (s->max_live && s->live >= s->max_live)
        return NULL;
    void *item;
    if (s->free_list) {
        item = pop_free(s);
        memset(item, 0, s->item_bytes);
    } else {
        item = tg_calloc(1, s->item_bytes);
        if (!item)
            return NULL;
    }
    s->live++;
    return item;
}

void tg_slab_put(struct tg_slab *s, void *obj)
{
    TG_REQUIRE(obj && s->live > 0);
    s->live--;
    if (s->free_count >= s->keep) {
        tg_free(obj);
        return;
    }
    memcpy(obj, &s->free_list, sizeof(void *));
    s->free_list = obj;
    s->free_count++;
    tg_asan_poison(obj, s->item_bytes);
}
