#include "core/attempt.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "core/credential.h"
#include "core/runtime.h"

#define ARENA_FIRST 1536        /* a passed-through attempt with its response head */
#define ARENA_MAX   (96u << 20) /* an encoded request of the largest body, with its parse */

static const char *const state_names[TG_ATTEMPT_STATE_COUNT] = {
#define X(name) [TG_ATTEMPT_##name] = #name,
    TG_ATTEMPT_STATES(X)
#undef X
};

#define BIT(s) (1u << TG_ATTEMPT_##s)
#define OVER   (BIT(END) | BIT(FAIL) | BIT(CANCEL))
/* Local backends have no connection: they go from NEW to WAIT_HEAD. */
static const unsigned allowed[TG_ATTEMPT_STATE_COUNT] = {
    [TG_ATTEMPT_NEW] = BIT(CONNECT) | BIT(SEND) | BIT(WAIT_HEAD) | BIT(FAIL) | BIT(CANCEL),
    [TG_ATTEMPT_CONNECT] = BIT(SEND) | BIT(WAIT_HEAD) | BIT(BODY) | BIT(FAIL) | BIT(CANCEL),
    [TG_ATTEMPT_SEND] = BIT(WAIT_HEAD) | BIT(BODY) | BIT(FAIL) | BIT(CANCEL),
    [TG_ATTEMPT_WAIT_HEAD] = BIT(BODY) | OVER,
    [TG_ATTEMPT_BODY] = OVER,
};

struct tg_attempt {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_list link; /* runtime's list of attempts */
    struct tg_arena arena;
    struct tg_attempt_job job;
    const struct tg_backend_slot *slot;
    const struct tg_adapter *adapter; /* NULL: no HTTP backend */
    uint64_t dropped, emulated;       /* in encoding */
    void *backend_state;
    struct tg_sink sink; /* what the backend emits into */
    enum tg_attempt_state state;
    uint32_t number;
    uint64_t id;
    bool backend_running; /* stop() is still owed */
    bool counted;         /* in the target's in_flight */
    bool terminal;        /* END or ERROR went by */
    bool paused;
    bool renewed;         /* see tg_attempt_set_renewed() */
    struct tg_fail *fail; /* made on first use */
    struct tg_usage usage;
    struct tg_attempt_times times;
    struct tg_timer deadline;
    struct tg_str error_body;
    const struct tg_http_head *response_head;
};

/* Stands in when not even a failure can be kept: its content is constant but for its code. */
static _Thread_local struct tg_fail no_memory_fail;

const char *tg_attempt_state_name(enum tg_attempt_state s)
{
    return state_names[s];
}

void tg_attempt_to(struct tg_attempt *a, enum tg_attempt_state s)
{
    if (a->state == s)
        return;
    TG_INVARIANT(allowed[a->state] & (1u << s));
    uint64_t now = tg_clock_mono_us();
    tg_trace_add(a->job.rt->trace, a->id, "attempt", state_names[a->state], state_names[s], now);
    a->state = s;
    if (s == TG_ATTEMPT_WAIT_HEAD)
        a->times.sent_us = now;
    else if (s == TG_ATTEMPT_BODY)
        a->times.head_us = now;
    else if (tg_attempt_state_is_over(s))
        a->times.ended_us = now;
}

/* A failure is 800 bytes and rare: backends write into the worker's scratch one, and only a failure
 * that happened is kept in the attempt's arena. */
struct tg_fail *tg_attempt_fail(struct tg_attempt *a)
{
    return a->fail ? a->fail : &a->job.rt->scratch_fail;
}

static void keep_fail(struct tg_attempt *a)
{
    struct tg_fail *scratch = &a->job.rt->scratch_fail;
    if (a->fail || !scratch->err)
        return;
    (void)tg_credential_redact(a->job.epoch, a->job.target, scratch); /* providers may quote it */
    a->fail = tg_arena_alloc(&a->arena, sizeof *a->fail);
    if (a->fail) {
        *a->fail = *scratch;
    } else {
        tg_fail_clear(&no_memory_fail);
        no_memory_fail.err = TG_E_NOMEM;
        a->fail = &no_memory_fail;
    }
    tg_fail_clear(scratch);
}

/* ---- the sink: every event passes here on its way to the exchange ---- */

static void note_first_token(struct tg_attempt *a, const struct tg_event *ev)
{
    if (!a->times.first_token_us && ev->kind == TG_EV_DELTA)
        a->times.first_token_us = tg_clock_mono_us();
}

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct tg_attempt *a = tg_container_of(s, struct tg_attempt, sink);
    if (a->terminal)
        return;
    note_first_token(a, ev);
    if (ev->kind == TG_EV_USAGE) {
        a->usage = *ev->usage;
    } else if (ev->kind == TG_EV_END) {
        a->terminal = true;
    } else if (ev->kind == TG_EV_ERROR) {
        a->terminal = true;
        struct tg_fail *f = tg_attempt_fail(a);
        if (!f->err)
            *f = *ev->fail;
    }
    a->job.out->on_event(a->job.out, ev);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct tg_attempt *a = tg_container_of(s, struct tg_attempt, sink);
    a->job.out->on_raw(a->job.out, raw, hide);
}

/* ---- breaker bookkeeping ---- */

static void set_open_bit(struct tg_epoch *e, uint16_t target, bool open)
{
    uint64_t bit = 1ull << (target % 64);
    if (open)
        e->open_breakers[target / 64] |= bit;
    else
        e->open_breakers[target / 64] &= ~bit;
}

static void report(struct tg_attempt *a)
{
    struct tg_target_state *st = &a->job.epoch->targets[a->job.target];
    if (!a->counted)
        return;
    a->counted = false;
    st->in_flight--;
    if (a->state == TG_ATTEMPT_CANCEL) {
        tg_breaker_on_abandoned(&st->breaker);
        return;
    }
    bool failed = a->fail && tg_err_info(a->fail->err)->breaker;
    const struct tg_breaker_settings *s = &a->job.epoch->snapshot->settings.breaker;
    if (tg_breaker_on_result(&st->breaker, s, failed, tg_loop_now_ms(a->job.rt->loop)))
        set_open_bit(a->job.epoch, a->job.target, st->breaker.state == TG_BREAKER_OPEN);
}

/* ---- life ---- */

static void over(struct tg_attempt *a, enum tg_attempt_state s)
{
    tg_attempt_to(a, s);
    tg_timer_stop(a->job.rt->loop, &a->deadline);
    report(a);
    tg_loop_wake(a->job.rt->loop, a->job.owner);
}

static void fail_now(struct tg_attempt *a, int err)
{
    struct tg_fail *f = tg_attempt_fail(a);
    if (!f->err)
        (void)tg_fail_set(f, err, "%s", tg_err_info(err)->text); /* the code is kept in f */
    keep_fail(a);
    over(a, TG_ATTEMPT_FAIL);
}

static void step(struct tg_task *t)
{
    struct tg_attempt *a = tg_container_of(t, struct tg_attempt, task);
    if (tg_attempt_over(a))
        return;
    tg_fail_clear(&a->job.rt->scratch_fail);
    int rc = a->slot->ops->step(a);
    keep_fail(a);
    if (rc < 0)
        fail_now(a, rc);
    else if (rc == TG_BACKEND_FINISHED || a->terminal)
        a->fail ? fail_now(a, a->fail->err) : over(a, TG_ATTEMPT_END);
}

static void on_deadline(struct tg_timer *t)
{
    struct tg_attempt *a = tg_container_of(t, struct tg_attempt, deadline);
    uint32_t ms = tg_attempt_target(a)->upstream.total_timeout_ms;
    tg_fail_clear(&a->job.rt->scratch_fail);
    /* Recorded here, acted on by the owner's step: a timer changes no state (R2). */
    (void)tg_fail_set(tg_attempt_fail(a), TG_E_UPSTREAM_TIMEOUT,
                      "the provider took longer than %u ms in all", ms);
    keep_fail(a);
    a->terminal = true;
    tg_loop_wake(a->job.rt->loop, a->job.owner);
}

static struct tg_list *bucket(struct tg_runtime *rt, uint64_t id)
{
    return &rt->attempts[id & (TG_RUNTIME_ATTEMPT_BUCKETS - 1)];
}

int tg_attempt_new(const struct tg_attempt_job *job, uint32_t number, struct tg_attempt **out)
{
    struct tg_arena arena;
    tg_arena_init(&arena, ARENA_FIRST, ARENA_MAX);
    struct tg_attempt *a = tg_arena_new(&arena, struct tg_attempt);
    const struct tg_target *t = &job->epoch->snapshot->targets[job->target];
    const struct tg_backend_slot *slot = &job->rt->backends[t->kind];
    if (!a || !slot->ops) {
        tg_arena_fini(&arena);
        return a ? TG_E_NO_UPSTREAM : TG_E_NOMEM;
    }
    a->job = *job;
    a->slot = slot;
    a->adapter = tg_runtime_adapter(job->rt, t, job->model);
    a->number = number;
    a->id = ((uint64_t)job->rt->worker << 48) | ++job->rt->next_id;
    a->sink = (struct tg_sink){.on_event = on_event, .on_raw = on_raw};
    tg_task_init(&a->task, step);
    tg_timer_init(&a->deadline, on_deadline);
    tg_list_init(&a->link);
    a->arena = arena;
    a->backend_state = tg_arena_zalloc(&a->arena, slot->ops->state_bytes + 1);
    if (!a->backend_state) {
        arena = a->arena;
        tg_arena_fini(&arena);
        return TG_E_NOMEM;
    }
    tg_list_add_tail(bucket(job->rt, a->id), &a->link);
    job->rt->n_attempts++;
    *out = a;
    return 0;
}

int tg_attempt_start(struct tg_attempt *a)
{
    uint32_t total_ms = tg_attempt_target(a)->upstream.total_timeout_ms;
    a->times.started_us = tg_clock_mono_us();
    a->counted = true;
    a->job.epoch->targets[a->job.target].in_flight++;
    if (total_ms)
        tg_timer_start(a->job.rt->loop, &a->deadline, total_ms);
    a->backend_running = true;
    tg_fail_clear(&a->job.rt->scratch_fail);
    int rc = a->slot->ops->start(a);
    if (rc < 0)
        fail_now(a, rc);
    return rc;
}

static void release(struct tg_grave *g)
{
    struct tg_attempt *a = tg_container_of(g, struct tg_attempt, grave);
    struct tg_arena arena = a->arena; /* the attempt lives in it */
    tg_arena_fini(&arena);
}

void tg_attempt_free(struct tg_attempt *a)
{
    if (!a)
        return;
    if (!tg_attempt_state_is_over(a->state)) {
        bool timed_out = a->fail && a->fail->err == TG_E_UPSTREAM_TIMEOUT;
        tg_attempt_to(a, timed_out ? TG_ATTEMPT_FAIL : TG_ATTEMPT_CANCEL);
        report(a);
    }
    if (a->backend_running) {
        a->backend_running = false;
        a->slot->ops->stop(a);
    }
    tg_timer_stop(a->job.rt->loop, &a->deadline);
    tg_task_cancel(&a->task);
    tg_list_del(&a->link);
    a->job.rt->n_attempts--;
    tg_loop_bury(a->job.rt->loop, &a->grave, release);
}

void tg_attempt_pause(struct tg_attempt *a, bool paused)
{
    if (a->paused == paused || tg_attempt_state_is_over(a->state))
        return;
    a->paused = paused;
    a->slot->ops->pause(a, paused);
}

/* ---- access ---- */

enum tg_attempt_state tg_attempt_get_state(const struct tg_attempt *a)
{
    return a->state;
}
bool tg_attempt_over(const struct tg_attempt *a)
{
    return tg_attempt_state_is_over(a->state) || a->terminal;
}
const struct tg_fail *tg_attempt_failure(const struct tg_attempt *a)
{
    return a->fail;
}
const struct tg_usage *tg_attempt_usage(const struct tg_attempt *a)
{
    return &a->usage;
}
const struct tg_attempt_times *tg_attempt_times(const struct tg_attempt *a)
{
    return &a->times;
}
const struct tg_attempt_job *tg_attempt_job(const struct tg_attempt *a)
{
    return &a->job;
}
uint32_t tg_attempt_number(const struct tg_attempt *a)
{
    return a->number;
}
bool tg_attempt_request_sent(const struct tg_attempt *a)
{
    return a->times.sent_us != 0;
}
struct tg_str tg_attempt_error_body(const struct tg_attempt *a)
{
    return a->error_body;
}
const struct tg_http_head *tg_attempt_response_head(const struct tg_attempt *a)
{
    return a->response_head;
}
void *tg_attempt_state_mem(struct tg_attempt *a)
{
    return a->backend_state;
}
void *tg_attempt_backend_ctx(const struct tg_attempt *a)
{
    return a->slot->ctx;
}
const struct tg_adapter *tg_attempt_adapter(const struct tg_attempt *a)
{
    return a->adapter;
}
void tg_attempt_set_fidelity(struct tg_attempt *a, uint64_t dropped, uint64_t emulated)
{
    a->dropped = dropped;
    a->emulated = emulated;
}
void tg_attempt_fidelity(const struct tg_attempt *a, uint64_t *io_dropped, uint64_t *io_emulated)
{
    *io_dropped |= a->dropped;
    *io_emulated |= a->emulated;
}
const struct tg_target *tg_attempt_target(const struct tg_attempt *a)
{
    return &a->job.epoch->snapshot->targets[a->job.target];
}
struct tg_arena *tg_attempt_arena(struct tg_attempt *a)
{
    return &a->arena;
}
struct tg_sink *tg_attempt_sink(struct tg_attempt *a)
{
    return &a->sink;
}
void tg_attempt_wake(struct tg_attempt *a)
{
    tg_loop_wake(a->job.rt->loop, &a->task);
}
struct tg_task *tg_attempt_task(struct tg_attempt *a)
{
    return &a->task;
}
void tg_attempt_set_renewed(struct tg_attempt *a)
{
    a->renewed = true;
}
bool tg_attempt_renewed(const struct tg_attempt *a)
{
    return a->renewed;
}
void tg_attempt_set_error_body(struct tg_attempt *a, struct tg_str body)
{
    a->error_body = body;
}
void tg_attempt_set_response_head(struct tg_attempt *a, const struct tg_http_head *head)
{
    a->response_head = head;
}
uint64_t tg_attempt_id(const struct tg_attempt *a)
{
    return a->id;
}

struct tg_attempt *tg_attempt_find(struct tg_runtime *rt, uint64_t id)
{
    tg_list_each (it, bucket(rt, id)) {
        struct tg_attempt *a = tg_list_entry(it, struct tg_attempt, link);
        if (a->id == id)
            return a;
    }
    return NULL;
}
