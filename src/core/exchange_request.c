/* The exchange's states until it runs: its body is read, parsed by its dialect, joined with the
 * conversation that it goes on, and routed. */
#include "base/err.h"
#include "core/conversation_priv.h"
#include "core/exchange_priv.h"
#include "wire/url.h"

#define BODY_FACTOR 8 /* memory that reading and translating a body may take, of its size */

/* ---- BODY, PARSE ---- */

enum tg_exchange_next tg_exchange_step_body(struct tg_exchange *x TG_UNUSED)
{
    return TG_EXCHANGE_WAIT; /* take_events() moves on when the body is there */
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

enum tg_exchange_next tg_exchange_step_parse(struct tg_exchange *x)
{
    /* Only a failed request has a failure in its arena: it takes more than all the rest. */
    if (!takes_media(x->dialect, x->req->head)) {
        (void)refuse_media(tg_exchange_fail(x)); /* failed with below */
        return tg_exchange_fail_with(x, TG_E_MEDIA_TYPE);
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
        return tg_exchange_fail_from(x, f, rc);
    tg_settle_received(x);
    if (tg_conversation_open(x) < 0)
        return tg_exchange_fail_with(x, TG_E_NOMEM);
    return tg_exchange_to(x, TG_EXCHANGE_LOAD);
}

/* ---- LOAD ---- */

enum tg_exchange_next tg_exchange_step_load(struct tg_exchange *x)
{
    struct tg_fail *f = &x->rt->scratch_fail;
    tg_fail_clear(f);
    int rc = tg_conversation_load(x, f);
    if (rc == 0 && !tg_timer_active(&x->timer))
        tg_timer_start(x->rt->loop, &x->timer, TG_CONVERSATION_LOAD_MS);
    if (rc == 0 || (rc > 0 && !tg_opaque_find(x)))
        return TG_EXCHANGE_WAIT;
    tg_timer_stop(x->rt->loop, &x->timer);
    return rc < 0 ? tg_exchange_fail_from(x, f, rc) : tg_exchange_to(x, TG_EXCHANGE_ROUTE);
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

int tg_exchange_no_healthy(struct tg_exchange *x)
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

enum tg_exchange_next tg_exchange_step_route(struct tg_exchange *x)
{
    refresh_breakers(x);
    struct tg_route_plan *plan = tg_arena_alloc(tg_exchange_arena(x), sizeof *plan);
    if (!plan)
        return tg_exchange_fail_with(x, TG_E_NOMEM);
    struct tg_fail *f = &x->rt->scratch_fail;
    tg_fail_clear(f);
    int rc = tg_route_find(x->epoch->snapshot, x->call.model, x->epoch->open_breakers, plan, f);
    if (rc < 0)
        return tg_exchange_fail_from(x, f, rc);
    x->plan = plan; /* only one that was made: later steps take it at its word */
    rc = tg_conversation_pin(x, f);
    if (rc < 0)
        return tg_exchange_fail_from(x, f, rc);
    if (x->plan->n_healthy == 0)
        return tg_exchange_fail_with(x, tg_exchange_no_healthy(x));
    x->ask.strict = asks_strict(x->req->head);
    tg_opaque_pin(x);
    tg_retry_budget_on_request(&x->rt->retry_budget, &x->epoch->snapshot->settings.retry);
    return tg_exchange_to(x, TG_EXCHANGE_RUN);
}
