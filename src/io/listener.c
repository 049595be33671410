#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/connect_priv.h"
#include "io/io_priv.h"
#include "io/mailbox.h"

#define ACCEPTS_AT_ONCE 64
#define BACKLOG         1024
#define FULL_PAUSE_MS   100

struct tg_listener {
    struct tg_loop *loop;
    struct tg_fdpoll *poll;
    struct tg_timer resume; /* running: out of descriptors or memory */
    struct tg_grave grave;
    void (*on_accept)(void *ctx, int fd);
    void *ctx;
    int fd; /* -1: stopped */
    uint16_t port;
    bool paused;
};

/* ---- accepting ---- */

static void update_want(struct tg_listener *l)
{
    bool on = !l->paused && !tg_timer_active(&l->resume);
    tg_fdpoll_want(l->poll, on ? TG_WANT_READ : TG_WANT_NONE);
}

static void on_resume(struct tg_timer *t)
{
    update_want(tg_container_of(t, struct tg_listener, resume));
}

/* Errors of the connection that was to be accepted (accept(2)): the next one may be fine. */
static bool only_this_one(int err)
{
    switch (err) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case EPERM:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

static void on_readable(void *ctx, unsigned ready)
{
    struct tg_listener *l = ctx;

    (void)ready;
    for (int i = 0; i < ACCEPTS_AT_ONCE && l->fd >= 0 && !l->paused; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            l->on_accept(l->ctx, fd);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!only_this_one(errno)) {
            tg_timer_start(l->loop, &l->resume, FULL_PAUSE_MS);
            update_want(l);
            return;
        }
    }
}

/* ---- binding ---- */

static int look_up(const char *host, struct tg_addr *out)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *ai;

    /* IPv4 first: "localhost" is 127.0.0.1 to most who configure it. */
    if (getaddrinfo(host, NULL, &hints, &ai) == 0) {
        memcpy(&out->v4, ai->ai_addr, sizeof out->v4);
    } else {
        hints.ai_family = AF_INET6;
        if (getaddrinfo(host, NULL, &hints, &ai) != 0)
            return TG_E_INVALID_ARG;
        memcpy(&out->v6, ai->ai_addr, sizeof out->v6);
    }
    freeaddrinfo(ai);
    return 0;
}

static int parse_host(const char *host, struct tg_addr *out)
{
    if (host[0] == '\0' || strcmp(host, "*") == 0)
        host = "0.0.0.0";
    return tg_addr_parse(host, out) ? 0 : look_up(host, out);
}

static int bind_to(int fd, const struct tg_addr *a, bool reuse_port)
{
    int one = 1, off = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0))
        return -1;
    /* "::" takes IPv4 as well. */
    if (a->any.sa_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) < 0)
        return -1;
    return bind(fd, &a->any, tg_addr_len(a));
}

/* Sockets that share a port also share it with those of another process of the same user, without
 * a word; one that does not share finds out. */
static int check_unused(const struct tg_addr *a)
{
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = fd < 0 ? -1 : bind_to(fd, a, false);
    int err = errno;

    if (fd >= 0)
        close(fd);
    errno = err;
    return rc;
}

static int bind_socket(int fd, const struct tg_listen_opts *o, const struct tg_addr *a)
{
    if (o->reuse_port && o->first && check_unused(a) < 0)
        return -1;
    if (bind_to(fd, a, o->reuse_port) < 0)
        return -1;
    return listen(fd, o->backlog > 0 ? o->backlog : BACKLOG);
}

static int open_socket(const struct tg_listen_opts *o, struct tg_fail *fail)
{
    struct tg_addr a;

    if (parse_host(o->host, &a) < 0)
        return tg_fail_set(fail, TG_E_INVALID_ARG, "cannot listen on %s: unknown host", o->host);
    tg_addr_set_port(&a, o->port);
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind_socket(fd, o, &a) < 0) {
        int err = errno;
        if (fd >= 0)
            close(fd);
        return tg_fail_set(fail, TG_E_IO, "cannot listen on %s port %u: %s", o->host, o->port,
                           uv_strerror(uv_translate_sys_error(err)));
    }
    return fd;
}

static uint16_t bound_port(int fd)
{
    struct tg_addr a;
    socklen_t n = sizeof a;

    if (getsockname(fd, &a.any, &n) < 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

/* ---- life ---- */

int tg_listener_start(struct tg_loop *loop, const struct tg_listen_opts *opts,
                      void (*on_accept)(void *ctx, int fd), void *ctx, struct tg_listener **out,
                      struct tg_fail *fail)
{
    struct tg_listener *l = tg_calloc(1, sizeof(*l));

    if (!l)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    int fd = open_socket(opts, fail);
    if (fd < 0) {
        tg_free(l);
        return fd;
    }
    *l = (struct tg_listener){.loop = loop, .on_accept = on_accept, .ctx = ctx, .fd = fd};
    tg_timer_init(&l->resume, on_resume);
    l->port = bound_port(fd);
    int rc = tg_fdpoll_start(loop, fd, TG_WANT_READ, on_readable, l, &l->poll);
    if (rc < 0) {
        close(fd);
        tg_free(l);
        return tg_fail_set(fail, rc, "cannot poll the listening socket");
    }
    *out = l;
    return 0;
}

uint16_t tg_listener_port(const struct tg_listener *l)
{
    return l->port;
}

void tg_listener_pause(struct tg_listener *l, bool paused)
{
    l->paused = paused;
    update_want(l);
}

static void release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_listener, grave));
}

void tg_listener_stop(struct tg_listener *l)
{
    tg_timer_stop(l->loop, &l->resume);
    tg_fdpoll_stop(l->poll);
    close(l->fd);
    l->fd = -1;
    tg_loop_bury(l->loop, &l->grave, release);
}
