/* The mock backend: plays a script of events by the clock, with the faults a provider can have. */
#include "base/assert.h"
#include "base/err.h"
#include "core/attempt.h"
#include "core/mock_script.h"
#include "core/runtime.h"

enum phase { LATENCY, FIRST, TOKENS, CLOSING, SILENT };

struct mock_state {
    struct tg_mock_config cfg;
    struct tg_timer timer;
    struct tg_attempt *attempt;
    enum phase phase;
    bool due; /* the phase's wait is over */
    bool paused;
    uint32_t sent, total, limit; /* tokens; limit: where max_tokens cuts */
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

static uint32_t token_limit(const struct tg_chat_req *chat, uint32_t total)
{
    if (!(chat->sampling.has & TG_HAS_MAX_TOKENS) || chat->sampling.max_tokens >= (int64_t)total)
        return total;
    return (uint32_t)chat->sampling.max_tokens;
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
    if (rc < 0)
        return rc;
    st->total = tg_mock_script_tokens(&st->cfg);
    st->limit = token_limit(job->chat, st->total);
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
    emit(st, (struct tg_event){.kind = TG_EV_PART_START, .part_kind = TG_PART_TEXT});
    st->phase = FIRST;
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

static int one_token(struct mock_state *st)
{
    if (st->cfg.fault != TG_MOCK_FAULT_NONE && st->sent == st->cfg.fault_after_tokens)
        return fault(st);
    if (st->sent == st->limit) {
        st->phase = CLOSING;
        return 0;
    }
    emit(st, (struct tg_event){.kind = TG_EV_DELTA,
                               .delta_kind = TG_DELTA_TEXT,
                               .text = tg_mock_script_token(&st->cfg, st->sent)});
    st->sent++;
    st->phase = TOKENS;
    wait_ms(st, st->cfg.delay_ms);
    return 0;
}

/* About four bytes a token: a mock's own truth, so that usage is never absent. */
static int64_t prompt_tokens(const struct mock_state *st)
{
    return (int64_t)(tg_attempt_job(st->attempt)->call->body.n / 4 + 1);
}

static int finish(struct mock_state *st)
{
    struct tg_usage u = {
        .source = TG_USAGE_REPORTED, .input_tokens = prompt_tokens(st), .output_tokens = st->sent};
    bool cut = st->limit < st->total;
    emit(st, (struct tg_event){.kind = TG_EV_PART_END});
    emit(st, (struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
    emit(st, (struct tg_event){.kind = TG_EV_FINISH,
                               .finish = cut ? TG_FINISH_LENGTH : TG_FINISH_STOP,
                               .text = cut ? TG_STR("length") : TG_STR("stop")});
    emit(st, (struct tg_event){.kind = TG_EV_END});
    return TG_BACKEND_FINISHED;
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
        if (st->phase == CLOSING)
            return finish(st);
        rc = st->phase == LATENCY ? begin(st) : one_token(st);
        if (rc < 0)
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
    .tasks = 1u << TG_TASK_CHAT,
    .state_bytes = sizeof(struct mock_state),
    .start = start,
    .step = step,
    .pause = pause_mock,
    .stop = stop,
};
