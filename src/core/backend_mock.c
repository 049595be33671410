/* The mock backend: plays a script of events by the clock, with the faults a provider can have. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "core/attempt.h"
#include "core/mock_model.h"
#include "core/mock_script.h"
#include "core/mock_tasks.h"
#include "core/runtime.h"

enum phase { LATENCY, TOKENS, SILENT };

#define MAX_ITEM (2u << 20)

struct mock_state {
    struct tg_mock_config cfg;
    struct tg_timer timer;
    struct tg_attempt *attempt;
    enum phase phase;
    bool due; /* the phase's wait is over */
    bool paused;
    struct tg_mock_player player;
    struct tg_mock_items items; /* of tasks that are answered with items */
};

static void on_timer(struct tg_timer *t)
{
    struct mock_state *st = tg_container_of(t, struct mock_state, timer);
    st->due = true;
    tg_attempt_wake(st->attempt);
}

static void wait_ms(struct mock_state *st, uint32_t ms)
{
    st->due = ms == 0;
    if (ms)
        tg_timer_start(tg_attempt_job(st->attempt)->rt->loop, &st->timer, ms);
}

/* About four bytes a token: a mock's own truth, so that usage is never absent. */
static int64_t prompt_tokens(const struct tg_attempt_job *job)
{
    return (int64_t)(job->call->body.n / 4 + 1);
}

/* Ids of tool calls come from the request's, without its "req_". */
static struct tg_str answer_tag(const struct tg_attempt_job *job)
{
    ptrdiff_t at = tg_str_chr(job->request_id, '_');
    return tg_str_from(job->request_id, (size_t)(at + 1));
}

static int make_answer(struct mock_state *st, struct tg_attempt *a)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    const struct tg_chat_req *chat = job->chat;
    const struct tg_sampling *s = &chat->sampling;
    struct tg_mock_answer answer = {.finish = TG_FINISH_STOP};
    int rc = 0;
    if (st->cfg.steps && chat->task == TG_TASK_CHAT)
        rc = tg_mock_model_answer(st->cfg.steps, chat, answer_tag(job), tg_attempt_arena(a),
                                  &answer, tg_attempt_fail(a));
    if (rc == 0)
        rc = tg_mock_player_init(&st->player, &st->cfg, &answer,
                                 s->has & TG_HAS_MAX_TOKENS ? s->max_tokens : -1,
                                 prompt_tokens(job), tg_attempt_arena(a));
    if (rc == 0)
        rc = tg_mock_items_init(&st->items, chat, st->cfg.dimensions, tg_attempt_arena(a));
    return rc < 0 ? tg_fail_set(tg_attempt_fail(a), rc, "the mock cannot answer") : 0;
}

static int start(struct tg_attempt *a)
{
    struct mock_state *st = tg_attempt_state_mem(a);
    const struct tg_attempt_job *job = tg_attempt_job(a);
    TG_REQUIRE(job->chat);
    st->attempt = a;
    st->cfg = tg_attempt_target(a)->mock;
    tg_timer_init(&st->timer, on_timer);
    int rc = tg_mock_script_apply(job->call->model, &st->cfg, NULL, tg_attempt_fail(a));
    if (rc == 0)
        rc = make_answer(st, a);
    if (rc < 0)
        return rc;
    tg_attempt_to(a, TG_ATTEMPT_WAIT_HEAD);
    wait_ms(st, st->cfg.latency_ms);
    if (st->due)
        tg_attempt_wake(a);
    return 0;
}

static void emit(struct mock_state *st, struct tg_event ev)
{
    struct tg_sink *s = tg_attempt_sink(st->attempt);
    s->on_event(s, &ev);
}

/* ---- what is sent ---- */

static int begin(struct mock_state *st)
{
    if (st->cfg.status && st->cfg.status != 200)
        return tg_mock_script_fail(&st->cfg, tg_attempt_fail(st->attempt));
    tg_attempt_to(st->attempt, TG_ATTEMPT_BODY);
    emit(st, (struct tg_event){.kind = TG_EV_START,
                               .id = tg_attempt_job(st->attempt)->request_id,
                               .model = tg_attempt_job(st->attempt)->call->model});
    st->phase = TOKENS;
    wait_ms(st, st->cfg.ttft_ms);
    return 0;
}

static int fault(struct mock_state *st)
{
    struct tg_fail *f = tg_attempt_fail(st->attempt);
    f->source = TG_FAIL_PROVIDER;
    switch (st->cfg.fault) {
    case TG_MOCK_FAULT_ERROR:
        return tg_fail_set(f, TG_E_UPSTREAM_ERROR, "the mock was told to fail");
    case TG_MOCK_FAULT_RESET:
    case TG_MOCK_FAULT_INCOMPLETE:
        return tg_fail_set(f, TG_E_UPSTREAM_INCOMPLETE, "the mock was told to break off");
    case TG_MOCK_FAULT_INVALID:
        return tg_fail_set(f, TG_E_UPSTREAM_INVALID, "the mock was told to talk nonsense");
    case TG_MOCK_FAULT_STALL:
        st->phase = SILENT;
        st->due = false;
        return 0;
    case TG_MOCK_FAULT_NONE:
        return 0;
    }
    TG_UNREACHABLE();
}

/* The silence of a stall ends as every silence does: by the target's idle timeout. */
static int silent(struct mock_state *st)
{
    uint32_t ms = tg_attempt_target(st->attempt)->upstream.idle_timeout_ms;
    if (st->due)
        return tg_fail_set(tg_attempt_fail(st->attempt), TG_E_UPSTREAM_TIMEOUT,
                           "the provider was silent for %u ms", ms);
    if (!tg_timer_active(&st->timer))
        wait_ms(st, ms ? ms : 1);
    return 0;
}

/* Tasks other than chat: items, of a count only the usage. */
static int one_item(struct mock_state *st)
{
    const struct tg_attempt_job *job = tg_attempt_job(st->attempt);
    struct tg_usage u = {.source = TG_USAGE_REPORTED, .input_tokens = prompt_tokens(job)};
    struct tg_event item = {.kind = TG_EV_ITEM};
    struct tg_buf b;
    tg_buf_init(&b, MAX_ITEM);
    bool more = tg_mock_items_next(&st->items, &b, &item.choice), ok = tg_buf_ok(&b);
    item.text = tg_buf_str(&b);
    if (more && ok)
        emit(st, item);
    tg_buf_fini(&b);
    if (!ok)
        return tg_fail_set(tg_attempt_fail(st->attempt), TG_E_NOMEM, "out of memory");
    if (more)
        return 0;
    emit(st, (struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
    emit(st, (struct tg_event){.kind = TG_EV_END});
    return TG_BACKEND_FINISHED;
}

static int one_event(struct mock_state *st)
{
    struct tg_event ev;
    if (st->cfg.fault != TG_MOCK_FAULT_NONE && st->player.sent == st->cfg.fault_after_tokens)
        return fault(st);
    if (tg_attempt_job(st->attempt)->chat->task != TG_TASK_CHAT)
        return one_item(st);
    bool more = tg_mock_player_next(&st->player, &ev);
    TG_INVARIANT(more); /* END is the last, and ends this */
    emit(st, ev);
    if (ev.kind == TG_EV_DELTA)
        wait_ms(st, st->cfg.delay_ms);
    return ev.kind == TG_EV_END ? TG_BACKEND_FINISHED : 0;
}

#define TOKENS_PER_STEP 64 /* then the others on the loop have their turn */

static int step(struct tg_attempt *a)
{
    struct mock_state *st = tg_attempt_state_mem(a);
    int rc = 0;
    for (int i = 0; i < TOKENS_PER_STEP; i++) {
        if (st->phase == SILENT) {
            rc = silent(st);
            return rc < 0 ? rc : TG_BACKEND_WAITING;
        }
        if (!st->due || st->paused)
            return TG_BACKEND_WAITING;
        rc = st->phase == LATENCY ? begin(st) : one_event(st);
        if (rc)
            return rc;
    }
    tg_attempt_wake(a);
    return TG_BACKEND_WAITING;
}

static void pause_mock(struct tg_attempt *a, bool paused)
{
    struct mock_state *st = tg_attempt_state_mem(a);
    st->paused = paused;
    if (!paused)
        tg_attempt_wake(a);
}

static void stop(struct tg_attempt *a)
{
    struct mock_state *st = tg_attempt_state_mem(a);
    if (st->attempt)
        tg_timer_stop(tg_attempt_job(a)->rt->loop, &st->timer);
}

const struct tg_backend_ops tg_backend_mock_ops = {
    .name = "mock",
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT | 1u << TG_TASK_EMBED | 1u << TG_TASK_RERANK |
             1u << TG_TASK_MODERATE,
    .state_bytes = sizeof(struct mock_state),
    .start = start,
    .step = step,
    .pause = pause_mock,
    .stop = stop,
};
