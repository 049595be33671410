#include "core/exchange.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "core/conversation_priv.h"
#include "core/exchange_priv.h"
#include "wire/url.h"

#define MAX_ID_BYTES 128
#define ARENA_FIRST  896
#define ARENA_MAX    (8u << 20)

typedef enum tg_exchange_next (*step_fn)(struct tg_exchange *x);

static const char *const state_names[TG_EXCHANGE_STATE_COUNT] = {
#define X(name, fn) [TG_EXCHANGE_##name] = #name,
    TG_EXCHANGE_STATES(X)
#undef X
};

#define BIT(s) (1u << TG_EXCHANGE_##s)
static const unsigned allowed[TG_EXCHANGE_STATE_COUNT] = {
    [TG_EXCHANGE_BODY] = BIT(PARSE) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_PARSE] = BIT(LOAD) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_LOAD] = BIT(ROUTE) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_ROUTE] = BIT(RUN) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_RUN] = BIT(STREAM) | BIT(KEEP) | BIT(FLUSH) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_STREAM] = BIT(KEEP) | BIT(FLUSH) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_KEEP] = BIT(FLUSH) | BIT(FAIL) | BIT(SETTLE),
    [TG_EXCHANGE_FAIL] = BIT(FLUSH) | BIT(SETTLE),
    [TG_EXCHANGE_FLUSH] = BIT(SETTLE),
    [TG_EXCHANGE_SETTLE] = BIT(DONE),
};

const char *tg_exchange_state_name(enum tg_exchange_state s)
{
    return state_names[s];
}

enum tg_exchange_next tg_exchange_to(struct tg_exchange *x, enum tg_exchange_state s)
{
    TG_INVARIANT(allowed[x->state] & (1u << s));
    tg_trace_add(x->rt->trace, (uint64_t)(uintptr_t)x, "exchange", state_names[x->state],
                 state_names[s], tg_clock_mono_us());
    x->state = s;
    return TG_EXCHANGE_MORE;
}

struct tg_fail *tg_exchange_fail(struct tg_exchange *x)
{
    if (!x->fail) {
        x->fail = tg_arena_alloc(tg_exchange_arena(x), sizeof *x->fail);
        if (!x->fail)
            return NULL;
        tg_fail_clear(x->fail);
    }
    return x->fail;
}

/* ---- failing ---- */

enum tg_exchange_next tg_exchange_fail_with(struct tg_exchange *x, int err)
{
    struct tg_fail *f = tg_exchange_fail(x);
    if (f && !f->err)
        (void)tg_fail_set(f, err, "%s", tg_err_info(err)->text); /* err is kept in f */
    return tg_exchange_to(x, TG_EXCHANGE_FAIL);
}

/* Keeps a failure that someone else's scratch holds. */
enum tg_exchange_next tg_exchange_fail_from(struct tg_exchange *x, const struct tg_fail *f, int err)
{
    struct tg_fail *mine = tg_exchange_fail(x);
    if (mine && !mine->err)
        *mine = *f;
    return tg_exchange_fail_with(x, err);
}

enum tg_exchange_next tg_exchange_step_fail(struct tg_exchange *x)
{
    struct tg_fail fallback;
    const struct tg_fail *f = x->fail;
    if (!f) {
        tg_fail_clear(&fallback);
        (void)tg_fail_set(&fallback, TG_E_NOMEM, "out of memory"); /* its value is the error */
        f = &fallback;
    }
    tg_output_fail(x, f);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    return tg_exchange_to(x, TG_EXCHANGE_FLUSH);
}

/* ---- FLUSH, SETTLE, DONE ---- */

enum tg_exchange_next tg_exchange_step_flush(struct tg_exchange *x TG_UNUSED)
{
    return TG_EXCHANGE_WAIT; /* FLUSHED or GONE moves on */
}

enum tg_exchange_next tg_exchange_step_settle(struct tg_exchange *x)
{
    tg_timer_stop(x->rt->loop, &x->timer);
    if (x->attempt) {
        tg_settle_attempt(x);
        if (x->usage.source == TG_USAGE_ABSENT)
            x->usage = *tg_attempt_usage(x->attempt);
        tg_attempt_free(x->attempt);
        x->attempt = NULL;
    }
    tg_settle_exchange(x);
    return tg_exchange_to(x, TG_EXCHANGE_DONE);
}

static void release(struct tg_grave *g)
{
    struct tg_exchange *x = tg_container_of(g, struct tg_exchange, grave);
    struct tg_arena arena = x->arena; /* the exchange lives in it */
    tg_http_req_free(x->req);
    tg_arena_fini(&arena);
}

enum tg_exchange_next tg_exchange_step_done(struct tg_exchange *x)
{
    x->reply.ops->detach(x->reply.ctx);
    tg_conversation_fini(x);
    tg_origin_fini(x);
    tg_output_fini(x);
    tg_task_cancel(&x->task);
    tg_list_del(&x->link);
    x->rt->active--;
    tg_epoch_unref(x->rt, x->epoch);
    tg_loop_bury(x->rt->loop, &x->grave, release);
    return TG_EXCHANGE_WAIT;
}

/* ---- the driver ---- */

static const step_fn steps[TG_EXCHANGE_STATE_COUNT] = {
#define X(name, fn) [TG_EXCHANGE_##name] = fn,
    TG_EXCHANGE_STATES(X)
#undef X
};

static void client_gone(struct tg_exchange *x)
{
    if (x->state >= TG_EXCHANGE_SETTLE)
        return;
    x->gone = true;
    if (x->state != TG_EXCHANGE_FLUSH) {
        struct tg_fail *f = tg_exchange_fail(x);
        (void)tg_fail_set(f, TG_E_CANCELLED, "the client left"); /* an earlier failure stands */
        if (f)
            f->source = TG_FAIL_CLIENT;
    }
    (void)tg_exchange_to(x, TG_EXCHANGE_SETTLE); /* the driver goes on from there */
}

static void take_events(struct tg_exchange *x)
{
    unsigned ev = x->reply.ops->take_events(x->reply.ctx);
    if (ev & TG_REPLY_GONE) {
        client_gone(x);
        return;
    }
    if ((ev & TG_REPLY_BODY_DONE) && x->state == TG_EXCHANGE_BODY)
        (void)tg_exchange_to(x, TG_EXCHANGE_PARSE); /* the driver goes on from there */
    if ((ev & TG_REPLY_FLUSHED) && x->state == TG_EXCHANGE_FLUSH)
        (void)tg_exchange_to(x, TG_EXCHANGE_SETTLE);
}

static void abort_now(struct tg_exchange *x)
{
    x->aborting = false;
    if (x->state >= TG_EXCHANGE_FAIL)
        return;
    (void)tg_exchange_fail_with(x, TG_E_SHUTTING_DOWN); /* the driver goes on from there */
}

static void step(struct tg_task *t)
{
    struct tg_exchange *x = tg_container_of(t, struct tg_exchange, task);
    take_events(x);
    if (x->aborting)
        abort_now(x);
    while (steps[x->state](x) == TG_EXCHANGE_MORE) {
        if (x->state == TG_EXCHANGE_FLUSH)
            take_events(x); /* a small answer may be gone already */
    }
}

static void on_timer(struct tg_timer *t)
{
    struct tg_exchange *x = tg_container_of(t, struct tg_exchange, timer);
    bool streams = x->state == TG_EXCHANGE_STREAM;
    if (streams || (x->state == TG_EXCHANGE_RUN && x->attempt && x->call.stream)) {
        uint64_t silent_ms = (tg_clock_mono_us() - x->last_output_us) / 1000;
        if (silent_ms >= TG_EXCHANGE_KEEP_ALIVE_MS) {
            tg_output_keep_alive(x);
            silent_ms = 0;
        }
        tg_timer_start(x->rt->loop, &x->timer, TG_EXCHANGE_KEEP_ALIVE_MS - silent_ms);
        return;
    }
    tg_loop_wake(x->rt->loop, &x->task);
}

void tg_exchange_abort(struct tg_exchange *x)
{
    x->aborting = true;
    tg_loop_wake(x->rt->loop, &x->task);
}

/* ---- birth ---- */

static bool acceptable_id(struct tg_str id)
{
    if (!id.n || id.n > MAX_ID_BYTES)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
        if (!ok)
            return false;
    }
    return true;
}

struct tg_str tg_exchange_request_id(struct tg_arena *a, const struct tg_http_head *head)
{
    struct tg_str id = tg_http_head_get(head, TG_STR("x-request-id"));
    if (acceptable_id(id))
        return tg_arena_dup(a, id);
    char made[48];
    size_t n = tg_rand_id("req_", made, sizeof made);
    return tg_arena_dup(a, tg_str_make(made, n));
}

static void init(struct tg_exchange *x, struct tg_runtime *rt, struct tg_http_req *req,
                 size_t dialect_index)
{
    x->rt = rt;
    x->req = req;
    x->epoch = tg_epoch_ref(rt->epoch);
    x->dialect_index = dialect_index;
    x->dialect = rt->registry->dialects[dialect_index];
    x->started_wall_us = tg_clock_wall_us();
    x->received_us = req->received_us;
    x->request_id = tg_exchange_request_id(&x->arena, req->head);
    tg_task_init(&x->task, step);
    tg_timer_init(&x->timer, on_timer);
    tg_list_init(&x->link);
    tg_list_add_tail(&rt->exchanges, &x->link);
    rt->active++;
}

static const char *endpoint_path(const struct tg_dialect *d, struct tg_str target)
{
    struct tg_str path, query;
    tg_target_split(target, &path, &query);
    for (size_t i = 0; i < d->n_endpoints; i++) {
        struct tg_str model;
        if (tg_endpoint_match(&d->endpoints[i], path, &model))
            return d->endpoints[i].path;
    }
    return d->endpoints[0].path;
}

/* NULL: no memory. */
static struct tg_exchange *exchange_new(struct tg_runtime *rt, struct tg_http_req *req,
                                        size_t dialect_index)
{
    struct tg_arena arena;
    tg_arena_init(&arena, ARENA_FIRST, ARENA_MAX);
    struct tg_exchange *x = tg_arena_new(&arena, struct tg_exchange);
    if (!x)
        return NULL;
    x->arena = arena;
    init(x, rt, req, dialect_index);
    x->endpoint = endpoint_path(x->dialect, req->head->target);
    x->aborting = rt->draining;
    if (rt->max_active && rt->active > rt->max_active) {
        struct tg_fail *f = tg_exchange_fail(x);
        (void)tg_fail_set(f, TG_E_OVERLOADED, "too many requests are in work"); /* used below */
        if (f)
            f->retry_after_ms = 1000;
        (void)tg_exchange_to(x, TG_EXCHANGE_FAIL); /* the first step answers */
    }
    tg_loop_wake(rt->loop, &x->task);
    return x;
}

void tg_exchange_start_http(struct tg_runtime *rt, struct tg_http_conn *conn,
                            struct tg_http_req *req, size_t dialect_index,
                            struct tg_str cors_origin)
{
    struct tg_exchange *x = exchange_new(rt, req, dialect_index);
    if (!x) {
        tg_http_conn_abort(conn);
        tg_http_req_free(req);
        return;
    }
    x->reply = tg_reply_http(conn, &x->task);
    x->cors_origin = tg_arena_dup(&x->arena, cors_origin); /* without memory: no such header */
}

struct tg_task *tg_exchange_start_inner(struct tg_runtime *rt, struct tg_http_req *req,
                                        const struct tg_dialect *dialect, struct tg_reply reply)
{
    size_t index = 0;
    while (index + 1 < rt->registry->n_dialects && rt->registry->dialects[index] != dialect)
        index++;
    struct tg_exchange *x = exchange_new(rt, req, index);
    if (!x) {
        tg_http_req_free(req);
        return NULL;
    }
    x->reply = reply;
    return &x->task;
}
