#include "io/connect_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "io/io_priv.h"

enum connect_state { RESOLVING, CONNECTING, CONNECTED, FAILED, TAKEN };

struct tg_connect {
    struct tg_task task; /* woken by the resolver, the socket and the timers */
    struct tg_task *owner;
    struct tg_grave grave;
    struct tg_resolver *resolver;
    struct tg_resolve_wait wait;
    struct tg_timer total, each;
    struct tg_stream *stream; /* the address that is being tried, or the result */
    enum connect_state state;
    bool total_over, each_over; /* the timers' facts */
    int err, last_errno;
    const char *why;
    uint32_t timeout_ms, per_address_ms;
    uint16_t port;
    unsigned n_addrs, next;
    struct tg_addr addrs[RESOLVE_ADDRS_MAX];
    char host[RESOLVE_HOST_MAX + 1];
};

static struct tg_loop *loop_of(struct tg_connect *c)
{
    return tg_resolver_loop(c->resolver);
}

static void end(struct tg_connect *c, enum connect_state state, int err)
{
    c->state = state;
    c->err = err;
    tg_timer_stop(loop_of(c), &c->total);
    tg_timer_stop(loop_of(c), &c->each);
    tg_list_del(&c->wait.link);
    if (state == FAILED && c->stream) {
        tg_stream_close(c->stream);
        c->stream = NULL;
    }
    if (c->owner)
        tg_loop_wake(loop_of(c), c->owner);
}

/* ---- addresses in turn ---- */

/* Starts on one address. TG_E_IO: it can't be, with last_errno. */
static int try_address(struct tg_connect *c, struct tg_addr *a)
{
    tg_addr_set_port(a, c->port);
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        c->last_errno = errno;
        return TG_E_IO;
    }
    /* Interrupted it goes on all the same. */
    if (connect(fd, &a->any, tg_addr_len(a)) < 0 && errno != EINPROGRESS && errno != EINTR) {
        c->last_errno = errno;
        close(fd);
        return TG_E_IO;
    }
    int rc = tg_stream_from_fd(loop_of(c), fd, &c->task, &c->stream);
    if (rc < 0) {
        c->last_errno = EIO;
        return rc;
    }
    tg_stream_want(c->stream, TG_WANT_WRITE);
    return 0;
}

static void try_next(struct tg_connect *c)
{
    while (c->next < c->n_addrs) {
        int rc = try_address(c, &c->addrs[c->next++]);
        if (rc == TG_E_NOMEM) {
            end(c, FAILED, rc);
            return;
        }
        if (rc < 0)
            continue;
        c->each_over = false;
        if (c->per_address_ms)
            tg_timer_start(loop_of(c), &c->each, c->per_address_ms);
        return;
    }
    end(c, FAILED, c->last_errno == ETIMEDOUT ? TG_E_UPSTREAM_TIMEOUT : TG_E_UPSTREAM_CONNECT);
}

static void have_addresses(struct tg_connect *c, unsigned n)
{
    c->n_addrs = n;
    c->state = CONNECTING;
    if (c->per_address_ms == 0 && c->timeout_ms && n > 1)
        c->per_address_ms = c->timeout_ms / n + 1;
    try_next(c);
}

static void give_up_address(struct tg_connect *c, int why)
{
    c->last_errno = why;
    tg_stream_close(c->stream);
    c->stream = NULL;
    try_next(c);
}

/* ---- steps ---- */

static int ask(struct tg_connect *c)
{
    int rc = tg_resolver_ask(c->resolver, c->host, &c->wait, c->addrs, &c->why);

    if (rc > 0)
        have_addresses(c, (unsigned)rc);
    else if (rc != TG_E_AGAIN)
        end(c, FAILED, rc);
    return rc;
}

static void step_connecting(struct tg_connect *c)
{
    int err;

    if (c->stream->ready) {
        c->stream->ready = 0;
        if (tg_stream_connect_result(c->stream, &err) < 0) {
            give_up_address(c, err);
            return;
        }
        c->stream->owner = c->owner;
        tg_stream_want(c->stream, TG_WANT_NONE);
        end(c, CONNECTED, 0);
    } else if (c->each_over) {
        give_up_address(c, ETIMEDOUT);
    }
}

static void step(struct tg_task *t)
{
    struct tg_connect *c = tg_container_of(t, struct tg_connect, task);

    if (c->total_over && (c->state == RESOLVING || c->state == CONNECTING) &&
        !(c->stream && c->stream->ready)) {
        c->last_errno = ETIMEDOUT;
        end(c, FAILED, TG_E_UPSTREAM_TIMEOUT);
    } else if (c->state == CONNECTING) {
        step_connecting(c);
    } else if (c->state == RESOLVING && !tg_list_linked(&c->wait.link)) {
        (void)!ask(c);
    }
}

static void on_total(struct tg_timer *t)
{
    struct tg_connect *c = tg_container_of(t, struct tg_connect, total);
    c->total_over = true;
    tg_loop_wake(loop_of(c), &c->task);
}

static void on_each(struct tg_timer *t)
{
    struct tg_connect *c = tg_container_of(t, struct tg_connect, each);
    c->each_over = true;
    tg_loop_wake(loop_of(c), &c->task);
}

/* ---- for the owner ---- */

int tg_connect_start(struct tg_resolver *r, const struct tg_connect_opts *opts,
                     struct tg_task *owner, struct tg_connect **out)
{
    if (opts->host.n == 0 || opts->host.n > RESOLVE_HOST_MAX ||
        memchr(opts->host.p, '\0', opts->host.n))
        return TG_E_INVALID_ARG;
    struct tg_connect *c = tg_calloc(1, sizeof(*c));
    if (!c)
        return TG_E_NOMEM;
    tg_task_init(&c->task, step);
    tg_timer_init(&c->total, on_total);
    tg_timer_init(&c->each, on_each);
    tg_list_init(&c->wait.link);
    c->wait.task = &c->task;
    c->owner = owner;
    c->resolver = r;
    c->port = opts->port;
    c->timeout_ms = opts->timeout_ms;
    c->per_address_ms = opts->per_address_ms;
    tg_str_to_c(opts->host, c->host, sizeof c->host);
    tg_resolver_use(r, 1);
    if (c->timeout_ms)
        tg_timer_start(loop_of(c), &c->total, c->timeout_ms);
    if (tg_addr_parse(c->host, &c->addrs[0]))
        have_addresses(c, 1);
    else
        (void)!ask(c); /* a failure is told by poll */
    *out = c;
    return 0;
}

static int report(const struct tg_connect *c, struct tg_fail *fail)
{
    const char *many = c->n_addrs > 1 ? " (and its other addresses)" : "";

    switch (c->err) {
    case TG_E_UPSTREAM_DNS:
        return tg_fail_set(fail, c->err, "could not resolve %s: %s", c->host, c->why);
    case TG_E_UPSTREAM_CONNECT:
        return tg_fail_set(fail, c->err, "could not connect to %s port %u%s: %s", c->host, c->port,
                           many, uv_strerror(uv_translate_sys_error(c->last_errno)));
    case TG_E_UPSTREAM_TIMEOUT:
        return tg_fail_set(fail, c->err, "could not connect to %s port %u%s in time", c->host,
                           c->port, many);
    default:
        return tg_fail_set(fail, c->err, "out of memory while connecting to %s", c->host);
    }
}

int tg_connect_poll(struct tg_connect *c, struct tg_stream **out_stream, struct tg_fail *fail)
{
    if (c->state == RESOLVING || c->state == CONNECTING)
        return TG_E_AGAIN;
    TG_REQUIRE(c->state != TAKEN);
    if (c->state == FAILED)
        return report(c, fail);
    c->state = TAKEN;
    *out_stream = c->stream;
    c->stream = NULL;
    return 0;
}

static void release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_connect, grave));
}

void tg_connect_free(struct tg_connect *c)
{
    struct tg_loop *loop = loop_of(c);

    tg_task_cancel(&c->task);
    tg_timer_stop(loop, &c->total);
    tg_timer_stop(loop, &c->each);
    tg_list_del(&c->wait.link);
    if (c->stream)
        tg_stream_close(c->stream);
    tg_resolver_use(c->resolver, -1);
    tg_loop_bury(loop, &c->grave, release);
}
