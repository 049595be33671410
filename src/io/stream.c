/* TCP and Unix stream sockets. The kernel's interest list (`armed`) may hold more than what is
 * wanted: interest is added at once, but taken away only when an event comes that nobody wants, so
 * that pausing and resuming within a tick costs nothing. */
#include "io/io_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/err.h"

#define IOV_AT_ONCE 64

void tg_stream_signal(struct tg_stream *s, unsigned bits)
{
    if (bits == 0)
        return;
    s->ready |= (uint8_t)bits;
    if (s->owner)
        tg_loop_wake(s->loop, s->owner);
}

/* ---- interest ---- */

static void on_poll(uv_poll_t *h, int status, int events);

static unsigned wanted_io(const struct tcp_stream *t)
{
    return t->tls ? tg_tls_want_io(t->tls, t->s.wanted) : t->s.wanted;
}

/* After the end of input a level-triggered READ would fire for ever; PRIORITIZED, which TCP hardly
 * uses, leaves the kernel's unconditional reports of error and full hang-up. */
static int needed(const struct tcp_stream *t)
{
    unsigned want = wanted_io(t);
    int read = t->eof ? UV_PRIORITIZED : UV_READABLE;
    return (want & TG_WANT_READ ? read : 0) | (want & TG_WANT_WRITE ? UV_WRITABLE : 0);
}

static void arm(struct tcp_stream *t, int events)
{
    t->armed = (uint8_t)events;
    if (events == 0)
        uv_poll_stop(&t->poll);
    else if (uv_poll_start(&t->poll, events, on_poll) < 0) {
        t->armed = 0;
        tg_stream_signal(&t->s, t->s.wanted); /* reading or writing finds out */
    }
}

void tg_tcp_want(struct tg_stream *s, unsigned want)
{
    struct tcp_stream *t = tcp_of(s);

    s->wanted = (uint8_t)want;
    int need = needed(t);
    if (need & ~t->armed)
        arm(t, need);
}

/* What the kernel reported, in terms of TG_WANT_*. */
static unsigned take_events(struct tcp_stream *t, int status, int events)
{
    if (status < 0) {
        /* POLLERR: libuv has stopped polling. Whoever waits finds the error by trying. */
        t->armed = 0;
        t->drained = false;
        return TG_WANT_READ | TG_WANT_WRITE;
    }
    unsigned bits = 0;
    if (events & UV_WRITABLE)
        bits |= TG_WANT_WRITE;
    if (events & UV_READABLE) {
        t->drained = false;
        if (!t->eof)
            bits |= TG_WANT_READ;
    }
    if (events & UV_PRIORITIZED) {
        bits |= TG_WANT_READ;
        arm(t, t->armed & UV_WRITABLE);
    }
    return bits;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct tcp_stream *t = tg_container_of(h, struct tcp_stream, poll);

    loop_enter(t->s.loop);
    unsigned bits = take_events(t, status, events);
    int unneeded = events & t->armed & ~needed(t);
    if (unneeded)
        arm(t, needed(t));
    bits &= wanted_io(t);
    tg_stream_signal(&t->s, t->tls ? tg_tls_map_ready(t->tls, bits) : bits);
}

/* An error report stopped the polling, yet the error did not show: bytes came before it, or it was
 * none. Begin again. */
static void rearm_lost(struct tcp_stream *t)
{
    int need = needed(t);
    if (need & ~t->armed)
        arm(t, need);
}

/* ---- bytes ---- */

int tg_tcp_recv(struct tcp_stream *t, void *buf, size_t cap)
{
    ssize_t n;

    TG_REQUIRE(cap > 0);
    if (t->drained && (t->armed & UV_READABLE))
        return TG_E_AGAIN; /* an event will say when there is more */
    if (cap > INT_MAX)
        cap = INT_MAX;
    do
        n = recv(t->fd, buf, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        t->drained = t->is_tcp && (size_t)n < cap;
        rearm_lost(t);
        return (int)n;
    }
    if (n == 0) {
        t->eof = true;
        return TG_E_EOF;
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return TG_E_IO;
    t->drained = t->is_tcp;
    rearm_lost(t);
    return TG_E_AGAIN;
}

static int sent(struct tcp_stream *t, ssize_t n)
{
    if (n >= 0)
        return (int)n;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
        return TG_E_IO;
    rearm_lost(t);
    return TG_E_AGAIN;
}

int tg_tcp_send(struct tcp_stream *t, const void *buf, size_t n)
{
    ssize_t rc;

    do
        rc = send(t->fd, buf, n < INT_MAX ? n : INT_MAX, MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return sent(t, rc);
}

static int tcp_read(struct tg_stream *s, void *buf, size_t cap)
{
    return tg_tcp_recv(tcp_of(s), buf, cap);
}

static int tcp_writev(struct tg_stream *s, const struct iovec *iov, int n)
{
    struct tcp_stream *t = tcp_of(s);
    ssize_t rc;

    TG_REQUIRE(n > 0);
    if (n == 1)
        return tg_tcp_send(t, iov[0].iov_base, iov[0].iov_len);
    /* sendmsg takes no const; it changes nothing. */
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                         .msg_iovlen = (size_t)(n < IOV_AT_ONCE ? n : IOV_AT_ONCE)};
    do
        rc = sendmsg(t->fd, &msg, MSG_NOSIGNAL);
    while (rc < 0 && errno == EINTR);
    return sent(t, rc);
}

int tg_tcp_shutdown(struct tg_stream *s)
{
    return shutdown(tcp_of(s)->fd, SHUT_WR) < 0 ? TG_E_IO : 0;
}

/* ---- life ---- */

static void half_gone(struct tcp_stream *t)
{
    if (++t->ended == 2)
        tg_slab_put(&t->s.loop->streams, t);
}

static void on_closed(uv_handle_t *h)
{
    half_gone(tg_container_of(h, struct tcp_stream, poll));
}

static void on_release(struct tg_grave *g)
{
    half_gone(tcp_of(tg_container_of(g, struct tg_stream, grave)));
}

void tg_tcp_close(struct tg_stream *s)
{
    struct tcp_stream *t = tcp_of(s);

    TG_REQUIRE(t->fd >= 0);
    s->owner = NULL;
    uv_close((uv_handle_t *)&t->poll, on_closed); /* leaves epoll at once, so fd may go */
    close(t->fd);
    t->fd = -1;
    tg_loop_bury(s->loop, &s->grave, on_release);
}

const struct tg_stream_ops tg_tcp_ops = {
    .read = tcp_read,
    .writev = tcp_writev,
    .want = tg_tcp_want,
    .shutdown = tg_tcp_shutdown,
    .close = tg_tcp_close,
};

int tg_stream_from_fd(struct tg_loop *loop, int fd, struct tg_task *owner, struct tg_stream **out)
{
    struct tcp_stream *t = tg_slab_get(&loop->streams);
    int one = 1;

    if (!t) {
        close(fd);
        return TG_E_NOMEM;
    }
    if (uv_poll_init(&loop->uv, &t->poll, fd) < 0) {
        tg_slab_put(&loop->streams, t);
        close(fd);
        return TG_E_IO;
    }
    t->s = (struct tg_stream){.ops = &tg_tcp_ops, .loop = loop, .owner = owner};
    t->fd = fd;
    /* Refused by anything but TCP. */
    t->is_tcp = setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
    *out = &t->s;
    return 0;
}

/* ---- questions ---- */

static bool is_socket(const struct tg_stream *s)
{
    return s->ops == &tg_tcp_ops || s->ops == &tg_tls_ops;
}

int tg_stream_connect_result(struct tg_stream *s, int *out_errno)
{
    int err = 0;
    socklen_t n = sizeof err;

    TG_REQUIRE(is_socket(s));
    if (getsockopt(tcp_of(s)->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
        err = errno;
    if (err == 0)
        return 0;
    *out_errno = err;
    return TG_E_UPSTREAM_CONNECT;
}

unsigned tg_stream_want_io(const struct tg_stream *s, unsigned asked)
{
    return s->ops == &tg_tls_ops ? tg_tls_want_io(tcp_of(s)->tls, asked) : asked;
}

void tg_stream_peer(const struct tg_stream *s, char *out, size_t cap)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof ss;

    TG_REQUIRE(cap > 0);
    out[0] = '\0';
    if (!is_socket(s) || getpeername(tcp_of(s)->fd, (struct sockaddr *)&ss, &n) < 0)
        return;
    const void *ip = NULL;
    int family = ss.ss_family;
    if (family == AF_INET) {
        ip = &((struct sockaddr_in *)&ss)->sin_addr;
    } else if (family == AF_INET6) {
        struct in6_addr *a = &((struct sockaddr_in6 *)&ss)->sin6_addr;
        ip = a;
        if (IN6_IS_ADDR_V4MAPPED(a)) { /* an IPv4 client of a dual-stack listener */
            family = AF_INET;
            ip = a->s6_addr + 12;
        }
    }
    if (ip && !inet_ntop(family, ip, out, (socklen_t)cap))
        out[0] = '\0';
}

bool tg_stream_idle_ok(struct tg_stream *s)
{
    char c;

    if (!is_socket(s))
        return tg_mem_idle_ok(s);
    if (s->ops == &tg_tls_ops)
        return tg_tls_idle_ok(tcp_of(s));
    return recv(tcp_of(s)->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}
