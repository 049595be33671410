/* Senders push onto a lock-free stack; the receiver takes the whole of it and turns it around, so
 * that the messages of one sender keep their order. */
#include "io/mailbox.h"

#include "base/alloc.h"
#include "base/err.h"
#include "io/io_priv.h"

struct tg_mailbox {
    uv_async_t async;
    struct tg_loop *loop;
    _Atomic(struct tg_msg *) top; /* newest first */
    atomic_uint count;            /* queued, or about to be */
    uint32_t max;
    void *ctx;
};

static struct tg_msg *take_all(struct tg_mailbox *b)
{
    struct tg_msg *m = atomic_exchange_explicit(&b->top, NULL, memory_order_acquire);
    struct tg_msg *oldest = NULL;
    unsigned n = 0;

    while (m) {
        struct tg_msg *next = m->next;
        m->next = oldest;
        oldest = m;
        m = next;
        n++;
    }
    atomic_fetch_sub_explicit(&b->count, n, memory_order_relaxed);
    return oldest;
}

static void on_async(uv_async_t *h)
{
    struct tg_mailbox *b = tg_container_of(h, struct tg_mailbox, async);
    struct tg_msg *m = take_all(b);

    loop_enter(b->loop);
    while (m) {
        struct tg_msg *next = m->next;
        m->deliver(m, b->ctx);
        m = next;
    }
}

int tg_mailbox_new(struct tg_loop *loop, uint32_t max_messages, void *ctx, struct tg_mailbox **out)
{
    struct tg_mailbox *b = tg_calloc(1, sizeof(*b));

    if (!b)
        return TG_E_NOMEM;
    b->loop = loop;
    b->max = max_messages;
    b->ctx = ctx;
    if (uv_async_init(&loop->uv, &b->async, on_async) < 0) {
        tg_free(b);
        return TG_E_IO;
    }
    *out = b;
    return 0;
}

int tg_mailbox_post(struct tg_mailbox *b, struct tg_msg *m)
{
    if (atomic_fetch_add_explicit(&b->count, 1, memory_order_relaxed) >= b->max) {
        atomic_fetch_sub_explicit(&b->count, 1, memory_order_relaxed);
        return TG_E_FULL;
    }
    struct tg_msg *top = atomic_load_explicit(&b->top, memory_order_relaxed);
    do
        m->next = top;
    while (!atomic_compare_exchange_weak_explicit(&b->top, &top, m, memory_order_release,
                                                  memory_order_relaxed));
    uv_async_send(&b->async);
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    tg_free(tg_container_of(h, struct tg_mailbox, async));
}

void tg_mailbox_free(struct tg_mailbox *b)
{
    struct tg_msg *m = take_all(b);

    while (m) {
        struct tg_msg *next = m->next;
        m->discard(m);
        m = next;
    }
    uv_close((uv_handle_t *)&b->async, on_closed);
}
