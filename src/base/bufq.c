#include "base/bufq.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

struct tg_bufq_chunk {
    struct tg_bufq_chunk *next;
    size_t start, end, cap; /* bytes [start, end) of data are queued */
    char data[];
};

enum { SMALL = 512, MEDIUM = 4096, LARGE = 16384 };

void tg_bufq_init(struct tg_bufq *q, size_t max_bytes)
{
    *q = (struct tg_bufq){.max_bytes = max_bytes};
}

void tg_bufq_fini(struct tg_bufq *q)
{
    for (struct tg_bufq_chunk *c = q->head, *next; c; c = next) {
        next = c->next;
        tg_free(c);
    }
    tg_bufq_init(q, q->max_bytes);
}

/* The tiers are sizes of the whole allocation, header included, to suit malloc's classes. */
static struct tg_bufq_chunk *chunk_new(const struct tg_bufq *q, size_t need, size_t more)
{
    const size_t head = sizeof(struct tg_bufq_chunk);
    size_t size = !q->tail ? SMALL : q->tail->cap <= SMALL ? MEDIUM : LARGE;
    if (need > size - head)
        size = need <= MEDIUM - head ? MEDIUM : need <= LARGE - head ? LARGE : need + head;
    if (more && more <= LARGE && need <= MEDIUM - head)
        size = need + more + head;
    struct tg_bufq_chunk *c = tg_malloc(size);
    if (!c)
        return NULL;
    *c = (struct tg_bufq_chunk){.cap = size - head};
    return c;
}

static void chunk_fill(struct tg_bufq_chunk *c, const char *p, size_t n)
{
    memcpy(c->data + c->end, p, n);
    c->end += n;
}

int tg_bufq_add(struct tg_bufq *q, struct tg_str s)
{
    return tg_bufq_add_room(q, s, 0);
}

int tg_bufq_add_room(struct tg_bufq *q, struct tg_str s, size_t more)
{
    if (s.n == 0)
        return 0;
    if (s.n > q->max_bytes || q->n > q->max_bytes - s.n)
        return TG_E_FULL;
    size_t room = q->tail ? q->tail->cap - q->tail->end : 0;
    size_t first = s.n < room ? s.n : room;
    if (first < s.n) {
        /* Before anything is copied: a failed append leaves the queue as it was. */
        struct tg_bufq_chunk *c = chunk_new(q, s.n - first, more);
        if (!c)
            return TG_E_NOMEM;
        chunk_fill(c, s.p + first, s.n - first);
        if (first)
            chunk_fill(q->tail, s.p, first);
        if (q->tail)
            q->tail->next = c;
        else
            q->head = c;
        q->tail = c;
    } else {
        chunk_fill(q->tail, s.p, s.n);
    }
    q->n += s.n;
    return 0;
}

int tg_bufq_iov(const struct tg_bufq *q, struct iovec *out, int max)
{
    int n = 0;
    for (struct tg_bufq_chunk *c = q->head; c && n < max; c = c->next, n++)
        out[n] = (struct iovec){c->data + c->start, c->end - c->start};
    return n;
}

void tg_bufq_drop(struct tg_bufq *q, size_t n)
{
    TG_REQUIRE(n <= q->n);
    q->n -= n;
    while (n) {
        struct tg_bufq_chunk *c = q->head;
        size_t here = c->end - c->start;
        if (n < here) {
            c->start += n;
            return;
        }
        n -= here;
        q->head = c->next;
        tg_free(c);
    }
    if (!q->head)
        q->tail = NULL;
}
