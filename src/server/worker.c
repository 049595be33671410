#include "server/worker.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/engine_models.h"
#include "server/registry.h"
#include "server/router.h"

#define TICK_MS       250
#define DRAIN_TICK_MS 20
#define CUT_AFTER_MS  1500 /* from the error events of a drain to closing what is left */
#define MAILBOX       65536

/* ---- settings ---- */

static uint32_t per_worker(uint32_t total, uint32_t workers)
{
    return total ? (total + workers - 1) / workers : 0;
}

struct tg_http_server_opts tg_worker_server_opts(const struct tg_snapshot *s,
                                                 struct tg_tls_ctx *tls)
{
    struct tg_http_server_opts o = tg_http_server_opts_default;
    const struct tg_server_settings *v = &s->settings.server;
    const struct tg_limit_settings *l = &s->settings.limits;
    o.limits.max_target_bytes = l->max_target_bytes;
    o.limits.max_line_bytes = l->max_header_line_bytes;
    o.limits.max_head_bytes = l->max_header_bytes;
    o.limits.max_headers = l->max_headers;
    o.max_body_bytes = l->max_body_bytes;
    o.header_timeout_ms = v->header_timeout_ms;
    o.body_min_bytes_per_s = v->body_min_bytes_per_s;
    o.body_grace_ms = v->body_grace_ms;
    o.idle_timeout_ms = v->idle_timeout_ms;
    o.write_stall_ms = v->client_stall_ms;
    o.max_conns = per_worker(v->max_connections, v->workers ? v->workers : 1);
    o.tls = tls;
    return o;
}

int tg_worker_server_tls(const struct tg_snapshot *s, struct tg_tls_ctx **out, struct tg_fail *fail)
{
    const struct tg_server_settings *v = &s->settings.server;
    *out = NULL;
    if (!v->tls_cert_file.n)
        return 0;
    return tg_tls_server_new(v->tls_cert_file.p, v->tls_key_file.p, out, fail);
}

/* ---- numbers for others ---- */

static void set_gauge(struct tg_worker *w, enum tg_gauge g, uint64_t v)
{
    atomic_store_explicit(&w->gauges[g], v, memory_order_relaxed);
}

void tg_worker_publish(struct tg_worker *w)
{
    const struct tg_http_server_stats *s = tg_http_server_stats(w->server);
    const struct tg_http_client_stats *c = tg_http_client_stats(w->client);
    const struct {
        enum tg_gauge gauge;
        uint64_t value;
    } all[] = {
        {TG_GAUGE_ACTIVE, w->rt->active},
        {TG_GAUGE_STREAMS, w->rt->streams},
        {TG_GAUGE_CONNECTIONS, s->open},
        {TG_GAUGE_ACCEPTED, s->accepted},
        {TG_GAUGE_REFUSED, s->refused_full},
        {TG_GAUGE_BAD_REQUESTS, s->bad_requests},
        {TG_GAUGE_CUT_STALLED, s->cut_stalled},
        {TG_GAUGE_BYTES_IN, s->bytes_in},
        {TG_GAUGE_BYTES_OUT, s->bytes_out},
        {TG_GAUGE_UP_OPEN, c->open},
        {TG_GAUGE_UP_IDLE, c->idle},
        {TG_GAUGE_UP_WAITING, c->waiting},
        {TG_GAUGE_UP_CONNECTS, c->connects},
        {TG_GAUGE_UP_REUSES, c->reuses},
        {TG_GAUGE_UP_STALE, c->stale_retries},
        {TG_GAUGE_UP_HANDSHAKES, c->handshakes},
        {TG_GAUGE_UP_RESUMED, c->resumed},
        {TG_GAUGE_TICKS, tg_loop_ticks(w->loop)},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(all); i++)
        set_gauge(w, all[i].gauge, all[i].value);
    uint64_t lag = tg_loop_take_max_lag_us(w->loop);
    if (lag > atomic_load_explicit(&w->max_lag_us, memory_order_relaxed))
        atomic_store(&w->max_lag_us, lag);
}

/* ---- draining ---- */

static void cut(struct tg_worker *w)
{
    if (w->cut)
        return;
    w->cut = true;
    tg_http_server_close_all(w->server);
}

static void drain_step(struct tg_worker *w)
{
    uint64_t now = tg_loop_now_ms(w->loop);
    const struct tg_http_server_stats *s = tg_http_server_stats(w->server);
    if (now >= w->drain_until_ms && !w->rt->draining)
        tg_runtime_abort_all(w->rt);
    if (now >= w->drain_until_ms + CUT_AFTER_MS)
        cut(w);
    if (w->rt->active == 0 && s->open == 0)
        tg_loop_stop(w->loop);
}

static void on_tick(struct tg_timer *t)
{
    struct tg_worker *w = tg_container_of(t, struct tg_worker, tick);
    tg_worker_publish(w);
    if (w->draining)
        drain_step(w);
    tg_timer_start(w->loop, &w->tick, w->draining ? DRAIN_TICK_MS : TICK_MS);
}

static void begin_drain(struct tg_worker *w, uint32_t timeout_ms)
{
    if (w->draining)
        return;
    w->draining = true;
    w->drain_until_ms = tg_loop_now_ms(w->loop) + timeout_ms;
    tg_listener_stop(w->listener);
    w->listener = NULL;
    tg_http_server_drain(w->server);
    tg_timer_start(w->loop, &w->tick, 0);
}

/* ---- messages from the controlling thread ---- */

enum message_kind { MESSAGE_RELOAD, MESSAGE_DRAIN, MESSAGE_CUT };
struct message {
    struct tg_msg msg;
    struct tg_worker *worker;
    enum message_kind kind;
    const struct tg_snapshot *snapshot;
    struct tg_tls_ctx *tls;
    uint32_t timeout_ms;
};

static void discard(struct tg_msg *m)
{
    struct message *msg = tg_container_of(m, struct message, msg);
    tg_snapshot_unref(msg->snapshot);
    tg_tls_unref(msg->tls);
    tg_free(msg);
}

static void reload(struct tg_worker *w, struct message *m)
{
    if (tg_runtime_reload(w->rt, m->snapshot) < 0) {
        tg_log_msg(TG_LOG_ERROR, "config_reload_failed", "worker %u: out of memory", w->index);
        return;
    }
    tg_tls_unref(w->tls);
    w->tls = m->tls;
    m->tls = NULL;
    struct tg_http_server_opts o = tg_worker_server_opts(m->snapshot, w->tls);
    tg_http_server_set_opts(w->server, &o);
    tg_http_client_sweep(w->client);
}

static void deliver(struct tg_msg *m, void *ctx TG_UNUSED)
{
    struct message *msg = tg_container_of(m, struct message, msg);
    struct tg_worker *w = msg->worker;
    switch (msg->kind) {
    case MESSAGE_RELOAD:
        reload(w, msg);
        break;
    case MESSAGE_CUT:
        begin_drain(w, 0);
        tg_runtime_abort_all(w->rt);
        w->drain_until_ms = 0;
        cut(w);
        break;
    case MESSAGE_DRAIN:
        begin_drain(w, msg->timeout_ms);
        break;
    }
    discard(m);
}

static struct message *message_new(struct tg_worker *w, enum message_kind kind)
{
    struct message *m = tg_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->msg.deliver = deliver;
    m->msg.discard = discard;
    m->worker = w;
    m->kind = kind;
    return m;
}

static int post(struct tg_worker *w, struct message *m)
{
    int rc = m ? tg_mailbox_post(w->mailbox, &m->msg) : TG_E_NOMEM;
    if (rc < 0 && m)
        discard(&m->msg);
    return rc;
}

int tg_worker_post_reload(struct tg_worker *w, const struct tg_snapshot *s, struct tg_tls_ctx *tls)
{
    struct message *m = message_new(w, MESSAGE_RELOAD);
    if (!m) {
        tg_snapshot_unref(s);
        tg_tls_unref(tls);
        return TG_E_NOMEM;
    }
    m->snapshot = s;
    m->tls = tls;
    return post(w, m);
}

void tg_worker_post_drain(struct tg_worker *w, uint32_t timeout_ms)
{
    struct message *m = message_new(w, MESSAGE_DRAIN);
    if (m)
        m->timeout_ms = timeout_ms;
    if (post(w, m) < 0)
        tg_loop_stop_async(w->loop);
}

void tg_worker_post_cut(struct tg_worker *w)
{
    if (post(w, message_new(w, MESSAGE_CUT)) < 0)
        tg_loop_stop_async(w->loop);
}

/* ---- life ---- */

static int make_runtime(struct tg_worker *w, const struct tg_snapshot *s)
{
    struct tg_http_client_opts c = {.resolver = w->resolver};
    int rc = tg_http_client_new(w->loop, &c, &w->client);
    if (rc < 0)
        return rc;
    struct tg_runtime_opts o = {.loop = w->loop,
                                .http = w->client,
                                .registry = &tg_server_registry,
                                .snapshot = s,
                                .affinity = w->shared->affinity,
                                .worker = w->index};
    rc = tg_runtime_new(&o, &w->rt);
    if (rc < 0)
        return rc;
    tg_server_install_backends(w->rt);
    if (w->shared->store)
        rc = tg_store_client_new(w->shared->store, w->loop, &w->rt->store);
    if (rc < 0)
        return rc;
    return tg_engine_models_join(w->shared, w);
}

int tg_worker_new(struct tg_worker *w, struct tg_gateway_shared *shared, uint16_t index,
                  const struct tg_snapshot *s, struct tg_fail *fail)
{
    w->index = index;
    w->shared = shared;
    tg_timer_init(&w->tick, on_tick);
    int rc = tg_loop_new(&w->loop);
    if (rc == 0)
        rc = tg_mailbox_new(w->loop, MAILBOX, w, &w->mailbox);
    if (rc == 0)
        rc = tg_resolver_new(w->loop, &w->resolver);
    if (rc == 0)
        rc = make_runtime(w, s);
    if (rc == 0)
        rc = tg_worker_server_tls(s, &w->tls, fail);
    if (rc < 0)
        return tg_fail_set(fail, rc, "cannot set up worker %u: %s", index, tg_err_info(rc)->text);
    struct tg_http_server_opts o = tg_worker_server_opts(s, w->tls);
    rc = tg_http_server_new(w->loop, &o, &tg_router_ops, w, &w->server);
    return rc < 0 ? tg_fail_set(fail, rc, "cannot set up worker %u", index) : 0;
}

static void on_accept(void *ctx, int fd)
{
    struct tg_worker *w = ctx;
    tg_http_server_accept_fd(w->server, fd);
}

int tg_worker_listen(struct tg_worker *w, const struct tg_snapshot *s, uint16_t port,
                     struct tg_fail *fail)
{
    struct tg_listen_opts o = {.host = s->settings.server.host.p,
                               .port = port,
                               .reuse_port = s->settings.server.workers > 1,
                               .first = w->index == 0};
    return tg_listener_start(w->loop, &o, on_accept, w, &w->listener, fail);
}

static void *thread_main(void *arg)
{
    struct tg_worker *w = arg;
    tg_timer_start(w->loop, &w->tick, TICK_MS);
    tg_loop_run(w->loop);
    tg_timer_stop(w->loop, &w->tick);
    atomic_store(&w->ended, true);
    return NULL;
}

int tg_worker_start(struct tg_worker *w)
{
    if (pthread_create(&w->thread, NULL, thread_main, w) != 0)
        return TG_E_IO;
    w->started = true;
    return 0;
}

void tg_worker_join(struct tg_worker *w)
{
    if (w->started)
        (void)pthread_join(w->thread, NULL); /* can't fail for a thread of ours */
    w->started = false;
}

/* The thread is gone: closing what is left runs on the controlling thread. */
static void close_rest(struct tg_worker *w)
{
    if (w->listener)
        tg_listener_stop(w->listener);
    if (w->server)
        tg_http_server_close_all(w->server);
    for (int i = 0; i < 100 && tg_loop_turn(w->loop); i++)
        continue;
}

void tg_worker_free(struct tg_worker *w)
{
    if (!w->loop)
        return;
    close_rest(w);
    if (w->server)
        tg_http_server_free(w->server);
    if (w->rt)
        tg_engine_models_leave(w);
    struct tg_store_client *store = w->rt ? w->rt->store : NULL;
    tg_runtime_free(w->rt);
    tg_store_client_free(store);
    if (w->client)
        tg_http_client_free(w->client);
    if (w->resolver)
        tg_resolver_free(w->resolver);
    if (w->mailbox)
        tg_mailbox_free(w->mailbox);
    tg_tls_unref(w->tls);
    tg_loop_free(w->loop);
    w->loop = NULL;
}
