/* For the client's tests: a caller that records what its call gives, and an upstream on a loopback
 * socket that the test drives by hand. */
#ifndef TG_TESTS_NET_UP_H
#define TG_TESTS_NET_UP_H

#include "net_test.h"

struct up {
    struct tg_loop *loop;
    int lfd;
    uint16_t port;
};

/* One accepted connection. */
struct upc {
    struct tg_loop *loop;
    int fd;
    struct tg_buf got;
};

static inline void up_init(struct up *u, struct tg_loop *loop)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;

    u->loop = loop;
    u->lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(u->lfd >= 0);
    assert_int_equal(bind(u->lfd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(u->lfd, 512), 0);
    assert_int_equal(getsockname(u->lfd, (struct sockaddr *)&a, &n), 0);
    u->port = ntohs(a.sin_port);
}

static inline bool up_try_accept(struct up *u, struct upc *c)
{
    c->fd = accept4(u->lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    c->loop = u->loop;
    return c->fd >= 0;
}

static inline void up_accept(struct up *u, struct upc *c)
{
    memset(c, 0, sizeof *c);
    tg_buf_init(&c->got, 256 << 20);
    for (int i = 0; i < 4000; i++) {
        settle(u->loop);
        if (up_try_accept(u, c))
            return;
        usleep(500);
    }
    fail_msg("nobody connected");
}

/* Reads what is there; false at the end. */
static inline bool upc_poll(struct upc *c)
{
    static char buf[65536];
    for (;;) {
        ssize_t n = read(c->fd, buf, sizeof buf);
        if (n == 0)
            return false;
        if (n < 0)
            return errno == EAGAIN;
        assert_int_equal(tg_buf_add(&c->got, buf, (size_t)n), 0);
    }
}

static inline const char *upc_text(struct upc *c)
{
    assert_int_equal(tg_buf_char(&c->got, '\0'), 0);
    c->got.n--;
    return c->got.p;
}

/* Until `needle` has arrived. */
static inline void upc_expect(struct upc *c, const char *needle)
{
    for (int i = 0; i < 4000; i++) {
        settle(c->loop);
        upc_poll(c);
        if (strstr(upc_text(c), needle))
            return;
        usleep(500);
    }
    fail_msg("not received: %s; but: %s", needle, upc_text(c));
}

static inline void upc_expect_bytes(struct upc *c, size_t n)
{
    for (int i = 0; i < 20000 && c->got.n < n; i++) {
        settle(c->loop);
        upc_poll(c);
        if (c->got.n < n)
            usleep(100);
    }
    assert_int_equal(c->got.n, n);
}

static inline void upc_expect_end(struct upc *c)
{
    for (int i = 0; i < 4000; i++) {
        settle(c->loop);
        if (!upc_poll(c))
            return;
        usleep(500);
    }
    fail_msg("the connection was not closed");
}

static inline void upc_send_n(struct upc *c, const char *p, size_t n)
{
    for (int i = 0; n > 0 && i < 100000; i++) {
        ssize_t k = send(c->fd, p, n, MSG_NOSIGNAL);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else {
            assert_int_equal(errno, EAGAIN);
            settle(c->loop);
        }
    }
    assert_int_equal(n, 0);
}
static inline void upc_send(struct upc *c, const char *text)
{
    upc_send_n(c, text, strlen(text));
}

static inline void upc_close(struct upc *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    tg_buf_fini(&c->got);
}

static inline void upc_reset(struct upc *c)
{
    struct linger l = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    upc_close(c);
}

/* ---- the client's side ---- */

struct crig {
    struct tg_loop *loop;
    struct tg_resolver *resolver;
    struct tg_http_client *client;
    struct tg_http_origin *origin;
    struct tg_http_origin_opts oo;
    struct tg_http_call_opts co; /* template */
    struct up up;
    struct tg_arena arena;
};

static inline void crig_origin(struct crig *r)
{
    assert_int_equal(tg_http_origin_get(r->client, &r->oo, &r->origin), 0);
}

static inline void crig_init(struct crig *r)
{
    memset(r, 0, sizeof *r);
    tg_clock_fake_start(1000000000000ull, 1700000000000000ll);
    assert_int_equal(tg_loop_new(&r->loop), 0);
    assert_int_equal(tg_resolver_new(r->loop, &r->resolver), 0);
    struct tg_http_client_opts opts = {.resolver = r->resolver};
    assert_int_equal(tg_http_client_new(r->loop, &opts, &r->client), 0);
    up_init(&r->up, r->loop);
    r->oo = (struct tg_http_origin_opts){.host = TG_STR("127.0.0.1"), .port = r->up.port};
    r->co = (struct tg_http_call_opts){.method = TG_HTTP_POST,
                                       .connect_timeout_ms = 10000,
                                       .first_byte_timeout_ms = 60000,
                                       .idle_timeout_ms = 30000};
    tg_arena_init(&r->arena, 4096, 1 << 30);
    crig_origin(r);
}

static inline void crig_fini(struct crig *r)
{
    settle(r->loop);
    tg_http_client_free(r->client);
    tg_resolver_free(r->resolver);
    settle(r->loop);
    if (r->up.lfd >= 0)
        close(r->up.lfd);
    tg_loop_free(r->loop);
    tg_arena_fini(&r->arena);
    tg_clock_fake_stop();
}

struct caller {
    struct tg_task task;
    struct crig *rig;
    struct tg_http_call *call;
    struct tg_fail fail;
    struct tg_buf body;
    struct iovec iov[3];
    const struct tg_http_head *head;
    int status, heads, sent, ended, err, steps;
    int stop_after; /* takes at most so many events a step, 0: all */
    bool order_wrong;
    bool freeze_at_head; /* takes nothing more then */
};

static inline void caller_run(struct tg_task *t)
{
    struct caller *k = tg_container_of(t, struct caller, task);
    struct tg_http_call_event ev;
    int rc = 0, taken = 0;

    k->steps++;
    if (!k->call || k->err || (k->freeze_at_head && k->heads))
        return;
    while ((k->stop_after == 0 || taken++ < k->stop_after) && !(k->freeze_at_head && k->heads) &&
           (rc = tg_http_call_next(k->call, &ev, &k->fail)) > 0) {
        if (k->ended)
            k->order_wrong = true;
        switch (ev.kind) {
        case TG_CALL_SENT:
            k->sent++;
            break;
        case TG_CALL_HEAD:
            k->heads++;
            k->head = ev.head;
            k->status = ev.head->status;
            break;
        case TG_CALL_BODY:
            if (!k->heads)
                k->order_wrong = true;
            assert_int_equal(tg_buf_str_add(&k->body, ev.body), 0);
            break;
        case TG_CALL_END:
            k->ended++;
            break;
        }
    }
    if (rc < 0)
        k->err = rc;
    if (k->stop_after && rc > 0)
        tg_loop_wake(k->rig->loop, &k->task);
}

#define REQUEST "POST /v1 HTTP/1.1\r\nHost: up\r\nContent-Length: 4\r\n\r\nbody"

static inline int caller_start_with(struct caller *k, struct crig *r, const struct iovec *iov,
                                    int n)
{
    memset(k, 0, sizeof *k);
    k->rig = r;
    tg_task_init(&k->task, caller_run);
    tg_buf_init(&k->body, 256 << 20);
    tg_fail_clear(&k->fail);
    struct tg_http_call_opts o = r->co;
    o.request = iov;
    o.n_request = n;
    o.arena = &r->arena;
    return tg_http_call_start(r->origin, &o, &k->task, &k->call);
}

static inline void caller_start(struct caller *k, struct crig *r)
{
    static char text[] = REQUEST;
    static struct iovec iov[3];
    iov[0] = (struct iovec){text, 20};
    iov[1] = (struct iovec){text, 0};
    iov[1].iov_base = text + 20;
    iov[2] = (struct iovec){text + 20, sizeof text - 21};
    assert_int_equal(caller_start_with(k, r, iov, 3), 0);
}

static inline void caller_free(struct caller *k)
{
    if (k->call)
        tg_http_call_free(k->call);
    k->call = NULL;
    tg_task_cancel(&k->task);
    tg_buf_fini(&k->body);
}

static inline bool caller_is_over(void *arg)
{
    struct caller *k = arg;
    return k->ended || k->err;
}

static inline void caller_finish(struct caller *k)
{
    if (!settle_until(k->rig->loop, caller_is_over, k))
        fail_msg("the call neither ended nor failed");
    assert_false(k->order_wrong);
}

static inline void expect_ok(struct caller *k, int status, const char *body)
{
    caller_finish(k);
    if (k->err)
        fail_msg("failed: %s (%s)", k->fail.message, tg_err_name(k->err));
    assert_int_equal(k->status, status);
    assert_int_equal(k->heads, 1);
    assert_int_equal(k->ended, 1);
    assert_int_equal(k->body.n, strlen(body));
    assert_memory_equal(k->body.p ? k->body.p : "", body, k->body.n);
}

static inline void expect_err(struct caller *k, int err)
{
    caller_finish(k);
    if (k->err != err)
        fail_msg("%s (%s), not %s", tg_err_name(k->err), k->fail.message, tg_err_name(err));
    assert_int_equal(k->fail.err, err);
    assert_true(k->fail.message[0] != '\0');
    assert_int_equal(k->ended, 0);
}

#define OK_HI "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* A whole exchange over a new connection, which then lies in the pool. */
static inline void exchange_once(struct crig *r, struct upc *c)
{
    struct caller k;
    caller_start(&k, r);
    up_accept(&r->up, c);
    upc_expect(c, REQUEST);
    upc_send(c, OK_HI);
    expect_ok(&k, 200, "hi");
    assert_int_equal(k.sent, 1);
    caller_free(&k);
    tg_buf_clear(&c->got);
}

#endif
