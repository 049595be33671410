#include "core/exchange.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "core/conversation_priv.h"
#include "core/exchange_priv.h"
#include "policy/estimate.h"
#include "wire/url.h"

#define KEEP_ALIVE_MS 15000
#define MAX_ID_BYTES  128
#define ARENA_FIRST   896
#define ARENA_MAX     (8u << 20)
#define BODY_FACTOR   8 /* memory that reading and translating a body may take, of its size */

enum step_result { WAIT = 0, MORE = 1 };
typedef enum step_result (*step_fn)(struct tg_exchange *x);

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

static enum step_result to(struct tg_exchange *x, enum tg_exchange_state s)
{
    TG_INVARIANT(allowed[x->state] & (1u << s));
    tg_trace_add(x->rt->trace, (uint64_t)(uintptr_t)x, "exchange", state_names[x->state],
                 state_names[s], tg_clock_mono_us());
    x->state = s;
    return MORE;
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

static enum step_result fail_with(struct tg_exchange *x, int err)
{
    struct tg_fail *f = tg_exchange_fail(x);
    if (f && !f->err)
        (void)tg_fail_set(f, err, "%s", tg_err_info(err)->text); /* err is kept in f */
    return to(x, TG_EXCHANGE_FAIL);
}

/* Keeps a failure that someone else's scratch holds. */
static enum step_result fail_from(struct tg_exchange *x, const struct tg_fail *f, int err)
{
    struct tg_fail *mine = tg_exchange_fail(x);
    if (mine && !mine->err)
        *mine = *f;
    return fail_with(x, err);
}

static enum step_result step_fail(struct tg_exchange *x)
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
    return to(x, TG_EXCHANGE_FLUSH);
}

/* ---- BODY, PARSE ---- */

static enum step_result step_body(struct tg_exchange *x TG_UNUSED)
{
    return WAIT; /* take_events() moves on when the body is there */
}

static bool is_accepted(const struct tg_dialect *d, const struct tg_http_head *head)
{
    struct tg_str type = tg_http_head_get(head, TG_STR("content-type"));
    struct tg_str media;
    if (!type.n)
        return true;
    (void)tg_str_split(&type, ';', &media); /* type is not empty */
    media = tg_str_trim(media);
    if (d->multipart && tg_str_ieq(media, TG_STR("multipart/form-data")))
        return true;
    if (d->curl && tg_str_ieq(media, TG_STR("application/x-www-form-urlencoded")) &&
        !tg_http_head_get(head, TG_STR("origin")).n)
        return true;
    return tg_str_ieq(media, TG_STR("application/json")) || tg_str_ends(media, TG_STR("+json"));
}

static bool takes_media(const struct tg_dialect *d, const struct tg_http_head *head)
{
    struct tg_str encoding = tg_http_head_get(head, TG_STR("content-encoding"));
    return is_accepted(d, head) && (!encoding.n || tg_str_ieq(encoding, TG_STR("identity")));
}

static int refuse_media(struct tg_fail *fail)
{
    return tg_fail_set(fail, TG_E_MEDIA_TYPE,
                       "send the body as JSON with Content-Type: application/json and without "
                       "Content-Encoding");
}

int tg_exchange_check_media(const struct tg_dialect *d, const struct tg_http_head *head,
                            struct tg_fail *fail)
{
    return takes_media(d, head) ? 0 : refuse_media(fail);
}

/* Dialects may share a path: the first that takes the body has it. */
static const struct tg_dialect *choose_dialect(struct tg_exchange *x)
{
    struct tg_str path, query, body = tg_buf_str(&x->req->body);
    tg_target_split(x->req->head->target, &path, &query);
    const struct tg_endpoint *ep;
    size_t i = x->dialect_index;
    const struct tg_dialect *d;
    while ((d = tg_registry_find(x->rt->registry, path, i, &ep, &i))) {
        if (!d->accepts || d->accepts(body))
            return d;
        i++;
    }
    return NULL;
}

static enum step_result step_parse(struct tg_exchange *x)
{
    /* Only a failed request has a failure in its arena: it takes more than all the rest. */
    if (!takes_media(x->dialect, x->req->head)) {
        (void)refuse_media(tg_exchange_fail(x)); /* failed with below */
        return fail_with(x, TG_E_MEDIA_TYPE);
    }
    const struct tg_dialect *d = choose_dialect(x);
    if (d)
        x->dialect = d; /* else the path's first says what is wrong */
    struct tg_fail *f = &x->rt->scratch_fail;
    tg_fail_clear(f);
    tg_exchange_body_arena(x)->max_bytes += x->req->body.n * BODY_FACTOR;
    int rc = x->dialect->open(tg_exchange_body_arena(x), x->req->head, tg_buf_str(&x->req->body),
                              &x->call, f);
    if (rc < 0)
        return fail_from(x, f, rc);
    tg_settle_received(x);
    if (tg_conversation_open(x) < 0)
        return fail_with(x, TG_E_NOMEM);
    return to(x, TG_EXCHANGE_LOAD);
}

/* ---- LOAD ---- */

static enum step_result step_load(struct tg_exchange *x)
{
    struct tg_fail *f = &x->rt->scratch_fail;
    tg_fail_clear(f);
    int rc = tg_conversation_load(x, f);
    if (rc == 0 && !tg_timer_active(&x->timer))
        tg_timer_start(x->rt->loop, &x->timer, TG_CONVERSATION_LOAD_MS);
    if (rc == 0 || (rc > 0 && !tg_opaque_find(x)))
        return WAIT;
    tg_timer_stop(x->rt->loop, &x->timer);
    return rc < 0 ? fail_from(x, f, rc) : to(x, TG_EXCHANGE_ROUTE);
}

/* ---- ROUTE ---- */

/* A breaker opens by a result, but lets a probe through by time alone. */
static void refresh_breakers(struct tg_exchange *x)
{
    struct tg_epoch *e = x->epoch;
    const struct tg_snapshot *s = e->snapshot;
    for (size_t w = 0; w * 64 < s->n_targets; w++) {
        for (uint64_t bits = e->open_breakers[w]; bits; bits &= bits - 1) {
            size_t t = w * 64 + (size_t)__builtin_ctzll(bits);
            if (tg_breaker_would_admit(&e->targets[t].breaker, &s->settings.breaker,
                                       tg_loop_now_ms(x->rt->loop)))
                e->open_breakers[w] &= ~(1ull << (t % 64));
        }
    }
}

static int fail_no_healthy(struct tg_exchange *x)
{
    const struct tg_settings *s = &x->epoch->snapshot->settings;
    const struct tg_target_state *st = &x->epoch->targets[x->plan->targets[0]];
    struct tg_fail *f = tg_exchange_fail(x);
    (void)tg_fail_set(f, TG_E_NO_UPSTREAM,
                      "every provider of this model has failed repeatedly and is being left alone "
                      "for a moment"); /* returned below */
    if (f)
        f->retry_after_ms =
            (int64_t)tg_breaker_wait_ms(&st->breaker, &s->breaker, tg_loop_now_ms(x->rt->loop));
    return TG_E_NO_UPSTREAM;
}

/* x-tollgate-strict: true */
static bool asks_strict(const struct tg_http_head *head)
{
    struct tg_str v = tg_http_head_get(head, TG_STR("x-tollgate-strict"));
    return tg_str_ieq(v, TG_STR("true")) || tg_str_eq(v, TG_STR("1"));
}

static enum step_result step_route(struct tg_exchange *x)
{
    refresh_breakers(x);
    struct tg_route_plan *plan = tg_arena_alloc(tg_exchange_arena(x), sizeof *plan);
    if (!plan)
        return fail_with(x, TG_E_NOMEM);
    struct tg_fail *f = &x->rt->scratch_fail;
    tg_fail_clear(f);
    int rc = tg_route_find(x->epoch->snapshot, x->call.model, x->epoch->open_breakers, plan, f);
    if (rc < 0)
        return fail_from(x, f, rc);
    x->plan = plan; /* only one that was made: later steps take it at its word */
    rc = tg_conversation_pin(x, f);
    if (rc < 0)
        return fail_from(x, f, rc);
    if (x->plan->n_healthy == 0)
        return fail_with(x, fail_no_healthy(x));
    x->ask.strict = asks_strict(x->req->head);
    tg_opaque_pin(x);
    tg_retry_budget_on_request(&x->rt->retry_budget, &x->epoch->snapshot->settings.retry);
    return to(x, TG_EXCHANGE_RUN);
}

/* ---- RUN ---- */

static int make_attempt(struct tg_exchange *x)
{
    int rc = tg_output_prepare(x, !x->fit.pass);
    if (rc < 0)
        return rc;
    uint16_t target = x->plan->targets[x->next_target];
    struct tg_str path, query;
    tg_target_split(x->req->head->target, &path, &query);
    struct tg_attempt_job job = {
        .rt = x->rt,
        .epoch = x->epoch,
        .target = target,
        .model = x->plan->name,
        .call = x->fit.call,
        .chat = x->fit.pass ? NULL : x->fit.chat,
        .path = path,
        .strict = x->ask.strict || x->epoch->snapshot->targets[target].provider.strict,
        .request_id = x->request_id,
        .client_head = x->req->head,
        .out = &x->out.sink,
        .owner = &x->task,
    };
    return tg_attempt_new(&job, x->attempts + 1u, &x->attempt);
}

/* A target whose breaker has opened (or whose probe is out) since routing is passed over. */
static bool admit(struct tg_exchange *x)
{
    const struct tg_breaker_settings *s = &x->epoch->snapshot->settings.breaker;
    for (; x->next_target < x->plan->n; x->next_target++, x->attempts_here = 0) {
        struct tg_target_state *st = &x->epoch->targets[x->plan->targets[x->next_target]];
        if (tg_breaker_admit(&st->breaker, s, tg_loop_now_ms(x->rt->loop)))
            return true;
    }
    return false;
}

/* The next target that takes the request; one that can't, as another of the route may, is passed
 * over. The first refusal is what the client reads when none can. */
static int next_target(struct tg_exchange *x)
{
    struct tg_fail first, *f = &x->rt->scratch_fail;
    tg_fail_clear(&first);
    for (; admit(x); x->next_target++, x->attempts_here = 0) {
        uint16_t target = x->plan->targets[x->next_target];
        tg_fail_clear(f);
        int rc = tg_fit_target(x, &x->epoch->snapshot->targets[target], f);
        if (rc == 0)
            return 0;
        tg_breaker_on_abandoned(&x->epoch->targets[target].breaker);
        if (!first.err)
            first = *f;
        if (rc != TG_E_UNSUPPORTED_PARAMETER)
            break;
    }
    if (!first.err)
        return fail_no_healthy(x);
    *f = first;
    return f->err;
}

static bool needs_no_provider(const struct tg_exchange *x)
{
    return x->fit.estimate || (x->call.loads && !x->fit.pass);
}

/* A count that no provider is asked for; a model to be loaded where there is nothing to load. */
static enum step_result answer_alone(struct tg_exchange *x)
{
    tg_breaker_on_abandoned(&x->epoch->targets[x->plan->targets[x->next_target]].breaker);
    if (x->fit.estimate)
        x->usage = (struct tg_usage){
            .source = TG_USAGE_ESTIMATED,
            .input_tokens = tg_estimate_prompt(x->fit.chat),
        };
    int rc = tg_output_prepare(x, true);
    if (rc == 0)
        rc = tg_output_finish(x);
    if (rc == 0)
        rc = tg_output_end(x);
    return rc < 0 ? fail_with(x, rc) : to(x, TG_EXCHANGE_FLUSH);
}

static enum step_result start_attempt(struct tg_exchange *x)
{
    int rc = next_target(x);
    if (rc < 0)
        return fail_from(x, &x->rt->scratch_fail, rc);
    if (needs_no_provider(x))
        return answer_alone(x);
    rc = make_attempt(x);
    if (rc < 0) {
        tg_breaker_on_abandoned(&x->epoch->targets[x->plan->targets[x->next_target]].breaker);
        return fail_with(x, rc);
    }
    x->attempts++;
    x->attempts_here++;
    x->last_target = x->plan->targets[x->next_target];
    struct tg_str label = tg_attempt_target(x->attempt)->name;
    tg_metrics_add(x->rt->metrics, TG_METRIC_ATTEMPTS, &label, 1, 1);
    if (x->call.stream)
        tg_timer_start(x->rt->loop, &x->timer, KEEP_ALIVE_MS);
    if (tg_attempt_start(x->attempt) == 0)
        return WAIT;
    tg_fit_rename(x, tg_attempt_fail(x->attempt));
    return MORE; /* where it is seen like any other end of the attempt */
}

static struct tg_retry_decision decide(struct tg_exchange *x, const struct tg_fail *f)
{
    struct tg_retry_input in = {
        .err = f->err,
        .attempts_done = x->attempts,
        .attempts_here = x->attempts_here,
        .targets_left = (uint32_t)(x->plan->n - x->next_target - 1),
        .retry_after_ms = f->retry_after_ms,
        .time_left_ms = INT64_MAX,
        .content_sent = x->out.state > TG_OUTPUT_OPENED,
        .request_sent = tg_attempt_request_sent(x->attempt),
        .random = tg_rand_u64(),
    };
    struct tg_retry_decision d = tg_retry_decide(&x->epoch->snapshot->settings.retry, &in);
    /* The budget keeps retries from multiplying an outage. A fallback is no retry: it takes work
     * away from the target that fails, and breakers bound how often that is found out. */
    if (d.action == TG_RETRY_SAME && !tg_retry_budget_take(&x->rt->retry_budget))
        d.action = TG_RETRY_GIVE_UP;
    return d;
}

static void count_retry(struct tg_exchange *x, enum tg_retry_action action)
{
    struct tg_str kind = action == TG_RETRY_SAME ? TG_STR("same_target") : TG_STR("next_target");
    tg_metrics_add(x->rt->metrics, TG_METRIC_RETRIES, &kind, 1, 1);
}

/* Once more at the same target: without the opaque state that it refused, or with a new credential.
 */
static enum step_result retry_once(struct tg_exchange *x, bool *once)
{
    *once = true;
    count_retry(x, TG_RETRY_SAME);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    return MORE;
}

static enum step_result attempt_failed(struct tg_exchange *x, const struct tg_fail *f)
{
    tg_timer_stop(x->rt->loop, &x->timer);
    if (x->out.state <= TG_OUTPUT_OPENED && tg_opaque_was_refused(x, f))
        return retry_once(x, &x->ask.stripped);
    if (x->out.state <= TG_OUTPUT_OPENED && !x->ask.renewed && tg_attempt_renewed(x->attempt))
        return retry_once(x, &x->ask.renewed);
    struct tg_retry_decision d = decide(x, f);
    if (d.action == TG_RETRY_GIVE_UP)
        return fail_from(x, f, f->err); /* the attempt stays: its answer may be passed on */
    count_retry(x, d.action);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    if (d.action == TG_RETRY_NEXT) {
        x->next_target++;
        x->attempts_here = 0;
    }
    if (!d.delay_ms)
        return MORE;
    tg_timer_start(x->rt->loop, &x->timer, d.delay_ms);
    return WAIT;
}

static enum step_result end_answer(struct tg_exchange *x)
{
    int rc = tg_output_end(x);
    if (rc < 0)
        return fail_with(x, rc);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    return to(x, TG_EXCHANGE_FLUSH);
}

static enum step_result finish_answer(struct tg_exchange *x)
{
    x->usage = *tg_attempt_usage(x->attempt);
    int rc = tg_output_finish(x);
    if (rc < 0)
        return fail_with(x, rc);
    if (!tg_conversation_keep(x))
        return end_answer(x);
    tg_timer_start(x->rt->loop, &x->timer, TG_CONVERSATION_KEEP_MS);
    return to(x, TG_EXCHANGE_KEEP);
}

/* The answer's last bytes follow its being kept, but not for ever. */
static enum step_result step_keep(struct tg_exchange *x)
{
    if (!tg_conversation_kept(x) && tg_timer_active(&x->timer))
        return WAIT;
    tg_timer_stop(x->rt->loop, &x->timer);
    return end_answer(x);
}

static enum step_result step_run(struct tg_exchange *x)
{
    if (!x->attempt)
        return tg_timer_active(&x->timer) ? WAIT : start_attempt(x);
    if (x->out.state == TG_OUTPUT_STREAMING) {
        tg_timer_start(x->rt->loop, &x->timer, KEEP_ALIVE_MS);
        return to(x, TG_EXCHANGE_STREAM);
    }
    if (!tg_attempt_over(x->attempt))
        return WAIT;
    tg_settle_attempt(x);
    const struct tg_fail *f = tg_attempt_failure(x->attempt);
    return f ? attempt_failed(x, f) : finish_answer(x);
}

/* ---- STREAM ---- */

/* Once a passed-through answer streams, no other attempt can follow it, and nobody asks for the
 * request again: a stream of an hour need not hold a prompt of a megabyte. Without memory for the
 * few strings that are still wanted all stays as it is. */
static void release_request(struct tg_exchange *x)
{
    if (!x->req || x->out.translated || !tg_attempt_request_sent(x->attempt) ||
        tg_conversation_keeps(x))
        return;
    struct tg_str *kept[] = {&x->call.model, &x->call.user, &x->call.metadata, &x->plan->name};
    struct tg_str copies[TG_ARRAY_LEN(kept)];
    for (size_t i = 0; i < TG_ARRAY_LEN(kept); i++) {
        copies[i] = tg_arena_dup(&x->arena, *kept[i]);
        if (!copies[i].p)
            return;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(kept); i++)
        *kept[i] = copies[i];
    x->call.body = TG_STR("");
    x->call.parsed = NULL;
    x->chat = NULL;
    tg_http_req_free(x->req);
    x->req = NULL;
}

static void balance(struct tg_exchange *x)
{
    bool above = x->reply.ops->above_high(x->reply.ctx);
    if (above != x->paused) {
        x->paused = above;
        tg_attempt_pause(x->attempt, above);
    }
}

static enum step_result step_stream(struct tg_exchange *x)
{
    if (x->out.write_failed)
        return fail_with(x, TG_E_FULL);
    if (!tg_attempt_over(x->attempt)) {
        release_request(x);
        balance(x);
        return WAIT;
    }
    tg_settle_attempt(x);
    x->usage = *tg_attempt_usage(x->attempt);
    const struct tg_fail *f = tg_attempt_failure(x->attempt);
    return f ? fail_from(x, f, f->err) : finish_answer(x);
}

/* ---- FLUSH, SETTLE, DONE ---- */

static enum step_result step_flush(struct tg_exchange *x TG_UNUSED)
{
    return WAIT; /* FLUSHED or GONE moves on */
}

static enum step_result step_settle(struct tg_exchange *x)
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
    return to(x, TG_EXCHANGE_DONE);
}

static void release(struct tg_grave *g)
{
    struct tg_exchange *x = tg_container_of(g, struct tg_exchange, grave);
    struct tg_arena arena = x->arena; /* the exchange lives in it */
    tg_http_req_free(x->req);
    tg_arena_fini(&arena);
}

static enum step_result step_done(struct tg_exchange *x)
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
    return WAIT;
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
    (void)to(x, TG_EXCHANGE_SETTLE); /* the driver goes on from there */
}

static void take_events(struct tg_exchange *x)
{
    unsigned ev = x->reply.ops->take_events(x->reply.ctx);
    if (ev & TG_REPLY_GONE) {
        client_gone(x);
        return;
    }
    if ((ev & TG_REPLY_BODY_DONE) && x->state == TG_EXCHANGE_BODY)
        (void)to(x, TG_EXCHANGE_PARSE); /* the driver goes on from there */
    if ((ev & TG_REPLY_FLUSHED) && x->state == TG_EXCHANGE_FLUSH)
        (void)to(x, TG_EXCHANGE_SETTLE);
}

static void abort_now(struct tg_exchange *x)
{
    x->aborting = false;
    if (x->state >= TG_EXCHANGE_FAIL)
        return;
    (void)fail_with(x, TG_E_SHUTTING_DOWN); /* the driver goes on from there */
}

static void step(struct tg_task *t)
{
    struct tg_exchange *x = tg_container_of(t, struct tg_exchange, task);
    take_events(x);
    if (x->aborting)
        abort_now(x);
    while (steps[x->state](x) == MORE) {
        if (x->state == TG_EXCHANGE_FLUSH)
            take_events(x); /* a small answer may be gone already */
    }
}

static void on_timer(struct tg_timer *t)
{
    struct tg_exchange *x = tg_container_of(t, struct tg_exchange, timer);
    bool streams = x->state == TG_EXCHANGE_STREAM;
    if (streams || (x->state == TG_EXCHANGE_RUN && x->attempt && x->call.stream)) {
        if (tg_clock_mono_us() - x->last_output_us >= KEEP_ALIVE_MS * 1000ull)
            tg_output_keep_alive(x);
        tg_timer_start(x->rt->loop, &x->timer, KEEP_ALIVE_MS);
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
        (void)to(x, TG_EXCHANGE_FAIL); /* the first step answers */
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
