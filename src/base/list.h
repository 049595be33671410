/* Intrusive doubly linked list with a sentinel. A node is in at most one list; an unlinked node
 * points to itself. Inline, no allocation. Thread rule: as the owning object. */
#ifndef TG_BASE_LIST_H
#define TG_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"

struct tg_list {
    struct tg_list *next, *prev;
};

static inline void tg_list_init(struct tg_list *l)
{
    l->next = l->prev = l;
}
static inline bool tg_list_empty(const struct tg_list *l)
{
    return l->next == l;
}
static inline bool tg_list_linked(const struct tg_list *n)
{
    return n->next && n->next != n;
}
static inline void tg_list_add_tail(struct tg_list *l, struct tg_list *n)
{
    n->prev = l->prev;
    n->next = l;
    l->prev->next = n;
    l->prev = n;
}
static inline void tg_list_add_head(struct tg_list *l, struct tg_list *n)
{
    n->next = l->next;
    n->prev = l;
    l->next->prev = n;
    l->next = n;
}
static inline void tg_list_del(struct tg_list *n) /* fine on an unlinked, initialised node */
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    tg_list_init(n);
}
static inline struct tg_list *tg_list_pop_head(struct tg_list *l) /* NULL when empty */
{
    struct tg_list *n = l->next;
    if (n == l)
        return NULL;
    tg_list_del(n);
    return n;
}
/* Moves every node of `from` to the end of `to`. */
static inline void tg_list_splice_tail(struct tg_list *to, struct tg_list *from)
{
    if (tg_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    tg_list_init(from);
}
#define tg_list_entry(node, type, member) tg_container_of(node, type, member)
#define tg_list_each(it, list)            for (struct tg_list *it = (list)->next; it != (list); it = it->next)
/* Safe when the body unlinks `it`. */
#define tg_list_each_safe(it, tmp, list) \
    for (struct tg_list *it = (list)->next, *tmp = it->next; it != (list); it = tmp, tmp = it->next)

#endif
