/* Level n has 64 slots of 64^n ms. A timer lies on the level of the highest 6-bit digit in which
 * its time differs from the wheel's, in the slot that this digit names; when the wheel's time
 * reaches a slot, its timers move to lower levels. So within a level every used slot lies ahead,
 * and the lowest used level holds the next one. */
#include "io/io_priv.h"

#include "base/assert.h"

void tg_wheel_init(struct tg_wheel *w, uint64_t now_ms)
{
    w->cur_ms = now_ms;
    tg_list_init(&w->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->used[level] = 0;
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            tg_list_init(&w->slot[level][i]);
    }
}

void tg_wheel_add(struct tg_wheel *w, struct tg_timer *t)
{
    if (t->due_ms <= w->cur_ms) {
        tg_list_add_tail(&w->due, &t->link);
        return;
    }
    unsigned level = (unsigned)(63 - __builtin_clzll(t->due_ms ^ w->cur_ms)) / WHEEL_BITS;
    TG_REQUIRE(level < WHEEL_LEVELS);
    unsigned i = (unsigned)(t->due_ms >> (level * WHEEL_BITS)) & (WHEEL_SLOTS - 1);
    tg_list_add_tail(&w->slot[level][i], &t->link);
    w->used[level] |= UINT64_C(1) << i;
}

/* The first slot that holds a timer, and when it starts. */
static struct tg_list *next_slot(struct tg_wheel *w, uint64_t *out_start_ms)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        while (w->used[level]) {
            unsigned i = (unsigned)__builtin_ctzll(w->used[level]);
            if (!tg_list_empty(&w->slot[level][i])) {
                unsigned shift = level * WHEEL_BITS;
                uint64_t above = w->cur_ms >> (shift + WHEEL_BITS) << (shift + WHEEL_BITS);
                *out_start_ms = above | (uint64_t)i << shift;
                return &w->slot[level][i];
            }
            w->used[level] &= w->used[level] - 1;
        }
    }
    *out_start_ms = UINT64_MAX;
    return NULL;
}

uint64_t tg_wheel_next(struct tg_wheel *w)
{
    uint64_t start;

    if (!tg_list_empty(&w->due))
        return w->cur_ms;
    next_slot(w, &start);
    return start;
}

/* Moves the wheel's time forward; what is due by then collects on the due list. */
static void advance(struct tg_wheel *w, uint64_t now_ms)
{
    struct tg_list *slot, *n;
    uint64_t start;

    while ((slot = next_slot(w, &start)) && start <= now_ms) {
        struct tg_list moved;
        tg_list_init(&moved);
        tg_list_splice_tail(&moved, slot);
        w->cur_ms = start;
        while ((n = tg_list_pop_head(&moved)))
            tg_wheel_add(w, tg_list_entry(n, struct tg_timer, link));
    }
    if (now_ms > w->cur_ms)
        w->cur_ms = now_ms;
}

/* Only a fake clock that was put in or taken away goes backwards: file everything anew. */
static void go_back(struct tg_wheel *w, uint64_t now_ms)
{
    struct tg_list all, *n;

    tg_list_init(&all);
    tg_list_splice_tail(&all, &w->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->used[level] = 0;
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            tg_list_splice_tail(&all, &w->slot[level][i]);
    }
    w->cur_ms = now_ms;
    while ((n = tg_list_pop_head(&all)))
        tg_wheel_add(w, tg_list_entry(n, struct tg_timer, link));
}

unsigned tg_wheel_fire(struct tg_wheel *w, uint64_t now_ms)
{
    struct tg_list firing, *n;
    unsigned fired = 0;

    if (tg_unlikely(now_ms < w->cur_ms))
        go_back(w, now_ms);
    advance(w, now_ms);
    tg_list_init(&firing); /* a callback that restarts with no delay waits for the next call */
    tg_list_splice_tail(&firing, &w->due);
    while ((n = tg_list_pop_head(&firing))) {
        struct tg_timer *t = tg_list_entry(n, struct tg_timer, link);
        if (t->due_ms > w->cur_ms) {
            tg_wheel_add(w, t); /* put off since it was filed */
            continue;
        }
        fired++;
        t->on_fire(t);
    }
    return fired;
}
