/* Origins, their pools of idle connections, and the line of calls that wait for one. */
#include "net/http_client_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"

static void origin_on_idle_timer(struct tg_timer *t);
static void origin_on_idle_due(struct tg_task *t);

/* ---- client ---- */

int tg_http_client_new(struct tg_loop *loop, const struct tg_http_client_opts *opts,
                       struct tg_http_client **out)
{
    TG_REQUIRE(opts->resolver);
    struct tg_http_client *c = tg_calloc(1, sizeof *c);
    if (!c)
        return TG_E_NOMEM;
    c->loop = loop;
    c->opts = *opts;
    if (c->opts.idle_timeout_ms == 0)
        c->opts.idle_timeout_ms = 55000;
    if (c->opts.max_idle_per_origin == 0)
        c->opts.max_idle_per_origin = 64;
    tg_map_init(&c->origins, TG_CLIENT_MAX_ORIGINS);
    c->read_buf = tg_malloc(TG_LOOP_READ_BYTES);
    if (!c->read_buf) {
        tg_map_fini(&c->origins);
        tg_free(c);
        return TG_E_NOMEM;
    }
    *out = c;
    return 0;
}

static void origin_close_idle(struct tg_http_origin *o)
{
    tg_list_each_safe (it, tmp, &o->idle)
        tg_upconn_close(tg_list_entry(it, struct tg_upconn, link));
}

static void origin_free(struct tg_http_origin *o)
{
    tg_timer_stop(o->client->loop, &o->idle_timer);
    tg_task_cancel(&o->idle_task);
    tg_tls_unref(o->tls);
    tg_free(o->key);
    tg_free(o->host);
    tg_free(o->proxy_host);
    tg_free(o->proxy_auth);
    tg_free(o);
}

void tg_http_client_free(struct tg_http_client *c)
{
    struct tg_str key;
    void *value;
    size_t pos = 0;

    if (!c)
        return;
    TG_REQUIRE(c->calls == 0);
    while (tg_map_next(&c->origins, &pos, &key, &value)) {
        origin_close_idle(value);
        TG_INVARIANT(((struct tg_http_origin *)value)->n_open == 0);
        origin_free(value);
    }
    tg_map_fini(&c->origins);
    tg_free(c->read_buf);
    tg_free(c->decoded);
    tg_free(c);
}

const struct tg_http_client_stats *tg_http_client_stats(const struct tg_http_client *c)
{
    return &c->stats;
}

void tg_http_client_sweep(struct tg_http_client *c)
{
    struct tg_str key;
    void *value;
    size_t pos = 0;

    while (tg_map_next(&c->origins, &pos, &key, &value)) {
        struct tg_http_origin *o = value;
        if (!o->marked) {
            origin_close_idle(o);
            tg_origin_pump(o);
        }
        o->marked = false;
    }
}

/* ---- origins ---- */

static int make_key(const struct tg_http_origin_opts *opts, struct tg_buf *b)
{
    tg_buf_init(b, 4096);
    tg_buf_lit(b, "http");
    if (opts->https)
        tg_buf_lit(b, "s");
    tg_buf_lit(b, " ");
    tg_buf_str_add(b, opts->host);
    tg_buf_lit(b, " ");
    tg_buf_u64(b, opts->port);
    if (opts->proxy_host.n > 0) {
        tg_buf_lit(b, " ");
        tg_buf_str_add(b, opts->proxy_host);
        tg_buf_lit(b, " ");
        tg_buf_u64(b, opts->proxy_port);
        tg_buf_lit(b, " ");
        tg_buf_str_add(b, opts->proxy_auth);
    }
    tg_buf_char(b, '\0');
    return tg_buf_ok(b) ? 0 : TG_E_NOMEM;
}

static void origin_set(struct tg_http_origin *o, const struct tg_http_origin_opts *opts)
{
    struct tg_tls_ctx *old = o->tls;

    o->tls = opts->https ? tg_tls_ref(opts->tls) : NULL;
    if (old && old != o->tls)
        origin_close_idle(o); /* they were verified by other rules */
    tg_tls_unref(old);
    o->max_conns = opts->max_conns ? opts->max_conns : 4096;
    o->max_connecting = opts->max_connecting ? opts->max_connecting : 64;
    o->max_waiting = opts->max_waiting ? opts->max_waiting : 8192;
    o->marked = true;
}

/* Takes `key` over, also on failure. */
static struct tg_http_origin *origin_new(struct tg_http_client *c,
                                         const struct tg_http_origin_opts *opts, char *key)
{
    struct tg_http_origin *o = tg_calloc(1, sizeof *o);
    if (!o) {
        tg_free(key);
        return NULL;
    }
    o->client = c;
    o->key = key;
    tg_list_init(&o->idle);
    tg_list_init(&o->line);
    tg_timer_init(&o->idle_timer, origin_on_idle_timer);
    tg_task_init(&o->idle_task, origin_on_idle_due);
    o->port = opts->port;
    o->https = opts->https;
    o->proxy_port = opts->proxy_port;
    o->host = tg_str_dup_c(opts->host);
    o->proxy_host = tg_str_dup_c(opts->proxy_host);
    o->proxy_auth = tg_str_dup_c(opts->proxy_auth);
    if (!o->host || !o->proxy_host || !o->proxy_auth) {
        origin_free(o);
        return NULL;
    }
    return o;
}

/* These go into a CONNECT request as they are. */
static bool is_plain(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool opts_are_sane(const struct tg_http_origin_opts *opts)
{
    return opts->host.n > 0 && opts->host.n <= 255 && opts->proxy_host.n <= 255 &&
           opts->proxy_auth.n <= 1024 && is_plain(opts->host) && is_plain(opts->proxy_host) &&
           is_plain(opts->proxy_auth) && (!opts->https || opts->tls);
}

int tg_http_origin_get(struct tg_http_client *c, const struct tg_http_origin_opts *opts,
                       struct tg_http_origin **out)
{
    struct tg_buf key;

    if (!opts_are_sane(opts))
        return TG_E_INVALID_ARG;
    int rc = make_key(opts, &key);
    if (rc < 0) {
        tg_buf_fini(&key);
        return rc;
    }
    struct tg_http_origin *o = tg_map_get(&c->origins, tg_str_make(key.p, key.n - 1));
    if (o) {
        tg_buf_fini(&key);
        origin_set(o, opts);
        *out = o;
        return 0;
    }
    size_t n;
    char *text = tg_buf_take(&key, &n);
    o = origin_new(c, opts, text);
    if (!o)
        return TG_E_NOMEM;
    rc = tg_map_put(&c->origins, tg_str_make(o->key, n - 1), o);
    if (rc < 0) {
        origin_free(o);
        return rc;
    }
    origin_set(o, opts);
    *out = o;
    return 0;
}

/* ---- connections ---- */

static void upconn_release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_upconn, grave));
}

static void leave_pool(struct tg_upconn *u)
{
    tg_list_del(&u->link);
    tg_task_cancel(&u->task);
    u->origin->n_idle--;
    u->origin->client->stats.idle--;
}

static void upconn_bury(struct tg_upconn *u)
{
    struct tg_http_origin *o = u->origin;

    tg_stream_close(u->stream);
    u->stream = NULL;
    o->n_open--;
    o->client->stats.open--;
    tg_loop_bury(o->client->loop, &u->grave, upconn_release);
}

/* Closes an idle connection. */
void tg_upconn_close(struct tg_upconn *u)
{
    leave_pool(u);
    upconn_bury(u);
}

/* An idle connection has nothing to say: what comes is its end, or bytes that no request asked for.
 * Under TLS it may be a session ticket, which the read swallows. */
bool tg_upconn_is_silent(struct tg_upconn *u)
{
    char byte;

    u->stream->ready = 0;
    return u->tls && tg_stream_read(u->stream, &byte, 1) == TG_E_AGAIN;
}

static void upconn_on_ready(struct tg_task *t)
{
    struct tg_upconn *u = tg_container_of(t, struct tg_upconn, task);
    if (tg_upconn_is_silent(u))
        return;
    struct tg_http_origin *o = u->origin;
    tg_upconn_close(u);
    tg_origin_pump(o);
}

/* READ interest stays on while idle, so an end that a poll has seen is recorded in `ready`. Within
 * the tick in which the connection came back no poll was done yet: look once. OpenSSL may hold
 * decrypted bytes that no poll shows. */
static bool idle_is_usable(struct tg_upconn *u)
{
    if (u->stream->ready && !tg_upconn_is_silent(u))
        return false;
    if (tg_stream_is_buffered(u->stream) || u->idle_tick == tg_loop_ticks(u->origin->client->loop))
        return tg_stream_idle_ok(u->stream);
    return true;
}

static struct tg_upconn *take_idle(struct tg_http_origin *o)
{
    while (!tg_list_empty(&o->idle)) {
        struct tg_upconn *u = tg_list_entry(o->idle.next, struct tg_upconn, link);
        if (idle_is_usable(u)) {
            leave_pool(u);
            return u;
        }
        tg_upconn_close(u);
    }
    return NULL;
}

static void lease(struct tg_http_call *c, struct tg_upconn *u)
{
    c->conn = u;
    u->stream->owner = c->owner;
    c->info.reused = true;
    c->origin->client->stats.reuses++;
    c->state = TG_CALL_S_ACTIVE;
}

static void take_slot(struct tg_http_call *c)
{
    struct tg_http_origin *o = c->origin;

    c->has_slot = true;
    c->state = TG_CALL_S_CONNECT;
    o->n_open++;
    o->n_connecting++;
    o->client->stats.open++;
    o->client->stats.connecting++;
}

static bool slot_is_free(const struct tg_http_origin *o)
{
    return o->n_open < o->max_conns && o->n_connecting < o->max_connecting;
}

/* A full pool of idle connections must not keep a call that needs a fresh one waiting. */
static void make_room(struct tg_http_origin *o)
{
    if (o->n_open >= o->max_conns && !tg_list_empty(&o->idle))
        tg_upconn_close(tg_list_entry(o->idle.prev, struct tg_upconn, link));
}

int tg_origin_acquire(struct tg_http_call *c)
{
    struct tg_http_origin *o = c->origin;
    struct tg_upconn *u = c->retried ? NULL : take_idle(o);

    if (u) {
        lease(c, u);
        return 0;
    }
    if (c->retried)
        make_room(o);
    if (slot_is_free(o) && (c->retried || tg_list_empty(&o->line))) {
        take_slot(c);
        return 0;
    }
    if (o->n_waiting >= o->max_waiting)
        return TG_E_OVERLOADED;
    c->state = TG_CALL_S_LINE;
    if (c->retried)
        tg_list_add_head(&o->line, &c->link);
    else
        tg_list_add_tail(&o->line, &c->link);
    o->n_waiting++;
    o->client->stats.waiting++;
    return 0;
}

void tg_origin_pump(struct tg_http_origin *o)
{
    while (!tg_list_empty(&o->line)) {
        struct tg_http_call *c = tg_list_entry(o->line.next, struct tg_http_call, link);
        struct tg_upconn *u = c->retried ? NULL : take_idle(o);
        if (c->retried)
            make_room(o);
        if (!u && !slot_is_free(o))
            return;
        tg_list_del(&c->link);
        o->n_waiting--;
        o->client->stats.waiting--;
        if (u)
            lease(c, u);
        else
            take_slot(c);
        tg_call_on_grant(c);
    }
}

static void connecting_done(struct tg_http_call *c)
{
    c->has_slot = false;
    c->origin->n_connecting--;
    c->origin->client->stats.connecting--;
}

void tg_origin_slot_drop(struct tg_http_call *c)
{
    TG_REQUIRE(c->has_slot && !c->conn);
    connecting_done(c);
    c->origin->n_open--;
    c->origin->client->stats.open--;
}

int tg_origin_slot_fill(struct tg_http_call *c, struct tg_stream *stream)
{
    TG_REQUIRE(c->has_slot && !c->conn);
    struct tg_upconn *u = tg_calloc(1, sizeof *u);
    if (!u) {
        tg_stream_close(stream);
        return TG_E_NOMEM;
    }
    u->origin = c->origin;
    u->stream = stream;
    u->tls = c->origin->https;
    tg_list_init(&u->link);
    tg_task_init(&u->task, upconn_on_ready);
    stream->owner = c->owner;
    c->conn = u;
    return 0;
}

void tg_origin_connected(struct tg_http_call *c)
{
    connecting_done(c);
    c->info.connected_us = tg_clock_mono_us();
    tg_origin_pump(c->origin);
}

/* ---- back to the pool ---- */

static void start_idle_timer(struct tg_http_origin *o)
{
    if (tg_list_empty(&o->idle) || tg_timer_active(&o->idle_timer))
        return;
    struct tg_upconn *oldest = tg_list_entry(o->idle.prev, struct tg_upconn, link);
    uint64_t due = oldest->idle_since_ms + o->client->opts.idle_timeout_ms;
    uint64_t now = tg_loop_now_ms(o->client->loop);
    tg_timer_start(o->client->loop, &o->idle_timer, due > now ? due - now : 0);
}

static void origin_on_idle_timer(struct tg_timer *t)
{
    struct tg_http_origin *o = tg_container_of(t, struct tg_http_origin, idle_timer);
    tg_loop_wake(o->client->loop, &o->idle_task);
}

/* The pool's order is by last use: the oldest are at the end. */
static void origin_on_idle_due(struct tg_task *t)
{
    struct tg_http_origin *o = tg_container_of(t, struct tg_http_origin, idle_task);
    uint64_t now = tg_loop_now_ms(o->client->loop);

    while (!tg_list_empty(&o->idle)) {
        struct tg_upconn *u = tg_list_entry(o->idle.prev, struct tg_upconn, link);
        if (u->idle_since_ms + o->client->opts.idle_timeout_ms > now)
            break;
        tg_upconn_close(u);
    }
    start_idle_timer(o);
    tg_origin_pump(o);
}

static void enter_pool(struct tg_upconn *u)
{
    struct tg_http_origin *o = u->origin;

    u->idle_since_ms = tg_loop_now_ms(o->client->loop);
    u->idle_tick = tg_loop_ticks(o->client->loop);
    u->stream->owner = &u->task;
    tg_stream_want(u->stream, TG_WANT_READ);
    tg_list_add_head(&o->idle, &u->link);
    o->n_idle++;
    o->client->stats.idle++;
    start_idle_timer(o);
}

void tg_call_release_conn(struct tg_http_call *c, bool reuse)
{
    struct tg_http_origin *o = c->origin;
    struct tg_upconn *u = c->conn;

    c->conn = NULL;
    if (c->has_slot)
        connecting_done(c);
    if (reuse && !u->stream->ready && o->n_idle < o->client->opts.max_idle_per_origin)
        enter_pool(u);
    else
        upconn_bury(u);
}
