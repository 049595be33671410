/* Shared by the tests of net: a loop under a fake clock, a server with scripted handlers, a
 * client's end of a connection (memory or socket), a hand-driven upstream on a loopback socket. */
#ifndef TG_TESTS_NET_TEST_H
#define TG_TESTS_NET_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <fcntl.h>
#include <poll.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/stream.h"
#include "net/http_client.h"
#include "net/http_server.h"

/* ---- loop ---- */

/* Runs the loop until nothing happens for a few turns. */
static inline void settle(struct tg_loop *loop)
{
    for (int quiet = 0, n = 0; quiet < 3 && n < 100000; n++)
        quiet = tg_loop_turn(loop) ? 0 : quiet + 1;
}

/* For real sockets: the kernel may need a moment. True when cond(arg) held within 2 s. */
static inline bool settle_until(struct tg_loop *loop, bool (*cond)(void *), void *arg)
{
    for (int i = 0; i < 4000; i++) {
        settle(loop);
        if (cond(arg))
            return true;
        usleep(500);
    }
    return false;
}

static inline void pass_ms(struct tg_loop *loop, uint64_t ms)
{
    tg_clock_fake_advance_us(ms * 1000);
    settle(loop);
}

static inline int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* ---- a connection's other end, in memory ---- */

struct peer {
    struct tg_task task;
    struct tg_stream *stream;
    struct tg_buf got;
    bool eof, broken;
    bool stopped; /* reads nothing */
};

static inline void peer_read(struct tg_task *t)
{
    struct peer *p = tg_container_of(t, struct peer, task);
    static char buf[65536];
    while (p->stream && !p->stopped && !p->eof && !p->broken) {
        int rc = tg_stream_read(p->stream, buf, sizeof buf);
        if (rc == TG_E_AGAIN)
            break;
        if (rc == TG_E_EOF)
            p->eof = true;
        else if (rc < 0)
            p->broken = true;
        else
            assert_int_equal(tg_buf_add(&p->got, buf, (size_t)rc), 0);
    }
    if (p->stream) {
        p->stream->ready = 0;
        if (p->eof || p->broken || p->stopped)
            tg_stream_want(p->stream, 0);
    }
}

static inline void peer_init(struct peer *p, struct tg_stream *s)
{
    memset(p, 0, sizeof *p);
    tg_task_init(&p->task, peer_read);
    tg_buf_init(&p->got, 128 << 20);
    p->stream = s;
    s->owner = &p->task;
    tg_stream_want(s, TG_WANT_READ);
}

static inline void peer_send_n(struct peer *p, const char *bytes, size_t n)
{
    char *copy = tg_malloc(n);
    assert_non_null(copy);
    memcpy(copy, bytes, n);
    for (size_t off = 0; off < n;) {
        struct iovec v = {copy + off, n - off};
        int rc = tg_stream_writev(p->stream, &v, 1);
        if (rc == TG_E_AGAIN) {
            settle(p->stream->loop);
            continue;
        }
        if (rc < 0)
            break;
        off += (size_t)rc;
    }
    tg_free(copy);
}

static inline void peer_send(struct peer *p, const char *text)
{
    peer_send_n(p, text, strlen(text));
}

static inline void peer_close(struct peer *p)
{
    if (p->stream)
        tg_stream_close(p->stream);
    p->stream = NULL;
}

static inline void peer_fini(struct peer *p)
{
    peer_close(p);
    tg_buf_fini(&p->got);
}

static inline const char *peer_text(struct peer *p)
{
    assert_int_equal(tg_buf_char(&p->got, '\0'), 0);
    p->got.n--;
    return p->got.p;
}

static inline bool peer_has(struct peer *p, const char *needle)
{
    return strstr(peer_text(p), needle) != NULL;
}

static inline int count_of(const char *text, const char *needle)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, needle)); at += strlen(needle))
        n++;
    return n;
}

/* ---- a server with scripted handlers ---- */

struct rig;
struct handler {
    struct tg_task task;
    struct rig *rig;
    struct tg_http_conn *conn;
    struct tg_http_req *req;
    struct tg_list link; /* in rig.handlers */
    unsigned seen;       /* every event so far */
    int steps;
    uint64_t user[8]; /* for the script */
};

struct rig {
    struct tg_loop *loop;
    struct tg_http_server *server;
    struct tg_http_server_opts opts;
    void (*at_request)(struct handler *h);                 /* may be NULL */
    void (*at_events)(struct handler *h, unsigned events); /* NULL: echo */
    struct handler *last;
    struct tg_list handlers; /* alive */
    int requests, refused, gone, flushed, live;
    int refuse_err;
    bool refuse_silently;
};

static inline void handler_free(struct handler *h)
{
    if (h->conn)
        tg_http_conn_detach(h->conn);
    tg_http_req_free(h->req);
    tg_task_cancel(&h->task);
    tg_list_del(&h->link);
    if (h->rig->last == h)
        h->rig->last = NULL;
    h->rig->live--;
    tg_free(h);
}

static inline void answer_text(struct tg_http_conn *c, int status, const char *text)
{
    struct tg_http_header type = {TG_STR("Content-Type"), TG_STR("text/plain")};
    if (tg_http_conn_respond(c, status, &type, 1, strlen(text)) < 0 ||
        tg_http_conn_write(c, tg_str_c(text)) < 0)
        tg_http_conn_abort(c);
    else
        tg_http_conn_end(c);
}

/* Answers "METHOD target body". */
static inline void handler_echo(struct handler *h)
{
    struct tg_buf b;
    tg_buf_init(&b, 64 << 20);
    tg_buf_printf(&b, "%s ", tg_http_method_name(h->req->head->method));
    tg_buf_str_add(&b, h->req->head->target);
    tg_buf_lit(&b, " ");
    tg_buf_str_add(&b, tg_buf_str(&h->req->body));
    if (!tg_buf_ok(&b) || tg_http_conn_respond(h->conn, 200, NULL, 0, b.n) < 0 ||
        tg_http_conn_write(h->conn, tg_buf_str(&b)) < 0)
        tg_http_conn_abort(h->conn);
    else
        tg_http_conn_end(h->conn);
    tg_buf_fini(&b);
}

static inline void handler_run(struct tg_task *t)
{
    struct handler *h = tg_container_of(t, struct handler, task);
    unsigned events = tg_http_conn_take_events(h->conn);

    h->steps++;
    h->seen |= events;
    if (events & TG_CONN_GONE)
        h->rig->gone++;
    if (events & TG_CONN_FLUSHED)
        h->rig->flushed++;
    if (h->rig->at_events) {
        h->rig->at_events(h, events);
        return;
    }
    if (events & (TG_CONN_GONE | TG_CONN_FLUSHED))
        handler_free(h);
    else if (events & TG_CONN_BODY_DONE)
        handler_echo(h);
}

static inline void rig_on_request(void *ctx, struct tg_http_conn *c, struct tg_http_req *req)
{
    struct rig *r = ctx;
    struct handler *h = tg_calloc(1, sizeof *h);
    r->requests++;
    if (!h) {
        tg_http_conn_abort(c);
        tg_http_req_free(req);
        return;
    }
    h->rig = r;
    h->conn = c;
    h->req = req;
    r->last = h;
    r->live++;
    if (!r->handlers.next)
        tg_list_init(&r->handlers);
    tg_list_add_tail(&r->handlers, &h->link);
    tg_task_init(&h->task, handler_run);
    tg_http_conn_attach(c, &h->task);
    if (r->at_request)
        r->at_request(h);
}

static inline void rig_on_refused(void *ctx, struct tg_http_conn *c, int err)
{
    struct rig *r = ctx;
    r->refused++;
    r->refuse_err = err;
    if (!r->refuse_silently)
        answer_text(c, tg_err_info(err)->http_status, tg_err_info(err)->code);
}

static inline void rig_init(struct rig *r)
{
    static const struct tg_http_server_ops ops = {rig_on_request, rig_on_refused};
    memset(r, 0, sizeof *r);
    tg_clock_fake_start(1000000000000ull, 1700000000000000ll);
    r->opts = tg_http_server_opts_default;
    assert_int_equal(tg_loop_new(&r->loop), 0);
    assert_int_equal(tg_http_server_new(r->loop, &r->opts, &ops, r, &r->server), 0);
}

static inline void rig_fini(struct rig *r)
{
    tg_http_server_close_all(r->server);
    settle(r->loop);
    assert_int_equal(r->live, 0);
    assert_int_equal(tg_http_server_stats(r->server)->open, 0);
    assert_int_equal(tg_http_server_stats(r->server)->active, 0);
    tg_http_server_free(r->server);
    tg_loop_free(r->loop);
    tg_clock_fake_stop();
}

/* A connection to the rig's server in memory. */
static inline void rig_connect(struct rig *r, struct peer *p, size_t cap, size_t split)
{
    struct tg_stream *a, *b;
    struct tg_mem_pipe_opts opts = {.cap = cap ? cap : 1 << 20, .split = split};
    assert_int_equal(tg_stream_mem_pair(r->loop, opts, &a, &b), 0);
    peer_init(p, b);
    assert_int_equal(tg_http_server_accept_stream(r->server, a), 0);
}

#endif
