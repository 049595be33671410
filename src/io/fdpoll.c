#include "io/mailbox.h"

#include "base/alloc.h"
#include "base/err.h"
#include "io/io_priv.h"

struct tg_fdpoll {
    uv_poll_t poll;
    struct tg_loop *loop;
    void (*on_ready)(void *ctx, unsigned ready);
    void *ctx;
    unsigned wanted;
};

static void on_poll(uv_poll_t *h, int status, int events);

static int arm(struct tg_fdpoll *p)
{
    int events = (p->wanted & TG_WANT_READ ? UV_READABLE : 0) |
                 (p->wanted & TG_WANT_WRITE ? UV_WRITABLE : 0);

    if (events == 0)
        return uv_poll_stop(&p->poll);
    return uv_poll_start(&p->poll, events, on_poll);
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct tg_fdpoll *p = tg_container_of(h, struct tg_fdpoll, poll);
    unsigned ready =
        (events & UV_READABLE ? TG_WANT_READ : 0u) | (events & UV_WRITABLE ? TG_WANT_WRITE : 0u);

    loop_enter(p->loop);
    if (status < 0) {
        ready = p->wanted | TG_WANT_READ;
        arm(p); /* libuv has stopped it */
    }
    p->on_ready(p->ctx, ready);
}

int tg_fdpoll_start(struct tg_loop *loop, int fd, unsigned want,
                    void (*on_ready)(void *ctx, unsigned ready), void *ctx, struct tg_fdpoll **out)
{
    struct tg_fdpoll *p = tg_calloc(1, sizeof(*p));

    if (!p)
        return TG_E_NOMEM;
    if (uv_poll_init(&loop->uv, &p->poll, fd) < 0) {
        tg_free(p);
        return TG_E_IO;
    }
    p->loop = loop;
    p->on_ready = on_ready;
    p->ctx = ctx;
    p->wanted = want;
    if (arm(p) < 0) {
        tg_fdpoll_stop(p);
        return TG_E_IO;
    }
    *out = p;
    return 0;
}

void tg_fdpoll_want(struct tg_fdpoll *p, unsigned want)
{
    if (want == p->wanted)
        return;
    p->wanted = want;
    arm(p);
}

static void on_closed(uv_handle_t *h)
{
    tg_free(tg_container_of(h, struct tg_fdpoll, poll));
}

void tg_fdpoll_stop(struct tg_fdpoll *p)
{
    uv_close((uv_handle_t *)&p->poll, on_closed);
}
