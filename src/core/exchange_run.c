/* The exchange's states while it runs: attempts at one target after another, and their answer. */
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "core/conversation_priv.h"
#include "core/exchange_priv.h"
#include "policy/estimate.h"
#include "wire/url.h"

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
        return tg_exchange_no_healthy(x);
    *f = first;
    return f->err;
}

static bool needs_no_provider(const struct tg_exchange *x)
{
    return x->fit.estimate || (x->call.loads && !x->fit.pass);
}

/* A count that no provider is asked for; a model to be loaded where there is nothing to load. */
static enum tg_exchange_next answer_alone(struct tg_exchange *x)
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
    return rc < 0 ? tg_exchange_fail_with(x, rc) : tg_exchange_to(x, TG_EXCHANGE_FLUSH);
}

static enum tg_exchange_next start_attempt(struct tg_exchange *x)
{
    int rc = next_target(x);
    if (rc < 0)
        return tg_exchange_fail_from(x, &x->rt->scratch_fail, rc);
    if (needs_no_provider(x))
        return answer_alone(x);
    rc = make_attempt(x);
    if (rc < 0) {
        tg_breaker_on_abandoned(&x->epoch->targets[x->plan->targets[x->next_target]].breaker);
        return tg_exchange_fail_with(x, rc);
    }
    x->attempts++;
    x->attempts_here++;
    x->last_target = x->plan->targets[x->next_target];
    struct tg_str label = tg_attempt_target(x->attempt)->name;
    tg_metrics_add(x->rt->metrics, TG_METRIC_ATTEMPTS, &label, 1, 1);
    if (x->call.stream)
        tg_timer_start(x->rt->loop, &x->timer, TG_EXCHANGE_KEEP_ALIVE_MS);
    if (tg_attempt_start(x->attempt) == 0)
        return TG_EXCHANGE_WAIT;
    tg_fit_rename(x, tg_attempt_fail(x->attempt));
    return TG_EXCHANGE_MORE; /* where it is seen like any other end of the attempt */
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
static enum tg_exchange_next retry_once(struct tg_exchange *x, bool *once)
{
    *once = true;
    count_retry(x, TG_RETRY_SAME);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    return TG_EXCHANGE_MORE;
}

static enum tg_exchange_next attempt_failed(struct tg_exchange *x, const struct tg_fail *f)
{
    tg_timer_stop(x->rt->loop, &x->timer);
    if (x->out.state <= TG_OUTPUT_OPENED && tg_opaque_was_refused(x, f))
        return retry_once(x, &x->ask.stripped);
    if (x->out.state <= TG_OUTPUT_OPENED && !x->ask.renewed && tg_attempt_renewed(x->attempt))
        return retry_once(x, &x->ask.renewed);
    struct tg_retry_decision d = decide(x, f);
    if (d.action == TG_RETRY_GIVE_UP)
        return tg_exchange_fail_from(x, f,
                                     f->err); /* the attempt stays: its answer may be passed on */
    count_retry(x, d.action);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    if (d.action == TG_RETRY_NEXT) {
        x->next_target++;
        x->attempts_here = 0;
    }
    if (!d.delay_ms)
        return TG_EXCHANGE_MORE;
    tg_timer_start(x->rt->loop, &x->timer, d.delay_ms);
    return TG_EXCHANGE_WAIT;
}

static enum tg_exchange_next end_answer(struct tg_exchange *x)
{
    int rc = tg_output_end(x);
    if (rc < 0)
        return tg_exchange_fail_with(x, rc);
    tg_attempt_free(x->attempt);
    x->attempt = NULL;
    return tg_exchange_to(x, TG_EXCHANGE_FLUSH);
}

static enum tg_exchange_next finish_answer(struct tg_exchange *x)
{
    x->usage = *tg_attempt_usage(x->attempt);
    int rc = tg_output_finish(x);
    if (rc < 0)
        return tg_exchange_fail_with(x, rc);
    if (!tg_conversation_keep(x))
        return end_answer(x);
    tg_timer_start(x->rt->loop, &x->timer, TG_CONVERSATION_KEEP_MS);
    return tg_exchange_to(x, TG_EXCHANGE_KEEP);
}

/* The answer's last bytes follow its being kept, but not for ever. */
enum tg_exchange_next tg_exchange_step_keep(struct tg_exchange *x)
{
    if (!tg_conversation_kept(x) && tg_timer_active(&x->timer))
        return TG_EXCHANGE_WAIT;
    tg_timer_stop(x->rt->loop, &x->timer);
    return end_answer(x);
}

enum tg_exchange_next tg_exchange_step_run(struct tg_exchange *x)
{
    if (!x->attempt)
        return tg_timer_active(&x->timer) ? TG_EXCHANGE_WAIT : start_attempt(x);
    if (x->out.state == TG_OUTPUT_STREAMING) {
        tg_timer_start(x->rt->loop, &x->timer, TG_EXCHANGE_KEEP_ALIVE_MS);
        return tg_exchange_to(x, TG_EXCHANGE_STREAM);
    }
    if (!tg_attempt_over(x->attempt))
        return TG_EXCHANGE_WAIT;
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

enum tg_exchange_next tg_exchange_step_stream(struct tg_exchange *x)
{
    if (x->out.write_failed)
        return tg_exchange_fail_with(x, TG_E_FULL);
    if (!tg_attempt_over(x->attempt)) {
        release_request(x);
        balance(x);
        return TG_EXCHANGE_WAIT;
    }
    tg_settle_attempt(x);
    x->usage = *tg_attempt_usage(x->attempt);
    const struct tg_fail *f = tg_attempt_failure(x->attempt);
    return f ? tg_exchange_fail_from(x, f, f->err) : finish_answer(x);
}
