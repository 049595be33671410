/* The requests of a supervisor: admission, sending, what the child says about them. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/map.h"
#include "engine/super_priv.h"

enum {
    POISON_MS = 60000,
    POISON_CRASHES = 2,
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 60000,
    FAILED_RETRY_MS = 30000,
    TEXT_ARENA_BYTES = 4096,
    TEXT_ARENA_MAX_BYTES = 8 << 20,
};

/* ---- prompts that were there when a child died ---- */

void tg_super_poison_count(struct tg_super *s, uint64_t now_ms)
{
    tg_list_each (it, &s->requests) {
        const struct tg_ereq *r = tg_list_entry(it, struct tg_ereq, link);
        if ((r->state != TG_EREQ_SENT && r->state != TG_EREQ_STARTED) || r->choice != 0)
            continue;
        struct tg_super_poison *slot = &s->poison[0];
        for (size_t i = 0; i < TG_SUPER_POISON; i++) {
            struct tg_super_poison *p = &s->poison[i];
            if (p->hash == r->group->prompt_hash && p->until_ms > now_ms) {
                slot = p;
                break;
            }
            if (p->until_ms < slot->until_ms)
                slot = p; /* the oldest makes room */
        }
        if (slot->hash != r->group->prompt_hash || slot->until_ms <= now_ms)
            *slot = (struct tg_super_poison){.hash = r->group->prompt_hash};
        slot->crashes++;
        slot->until_ms = now_ms + POISON_MS;
    }
}

bool tg_super_poisoned(const struct tg_super *s, uint64_t hash, uint64_t now_ms)
{
    for (size_t i = 0; i < TG_SUPER_POISON; i++)
        if (s->poison[i].hash == hash && s->poison[i].until_ms > now_ms &&
            s->poison[i].crashes >= POISON_CRASHES)
            return true;
    return false;
}

/* ---- ending a request ---- */

static struct tg_engine_event event_of(const struct tg_ereq *r, enum tg_engine_event_kind kind)
{
    return (struct tg_engine_event){.request_id = r->group->base_id,
                                    .tag = r->group->tag,
                                    .kind = kind,
                                    .choice = r->choice,
                                    .retry_after_ms = -1};
}

/* The last event of a request; frees it, and the group with its last choice. */
static void end(struct tg_super *s, struct tg_ereq *r, struct tg_engine_event *ev)
{
    struct tg_egroup *g = r->group;
    ev->last = --g->left == 0;
    s->env->emit(s->env->ctx, g->client, ev, r->spare);
    s->env->remove(s->env->ctx, r);
    tg_list_del(&r->link);
    s->n_requests--;
    if (r->state != TG_EREQ_PENDING)
        s->n_sent--;
    tg_buf_fini(&r->frame);
    tg_free(r);
    if (g->left == 0)
        tg_free(g);
}

void tg_super_req_fail(struct tg_super *s, struct tg_ereq *r, int err, int64_t retry_after_ms,
                       const char *text)
{
    struct tg_engine_event ev = event_of(r, TG_ENGINE_EV_ERROR);
    ev.err = err;
    ev.retry_after_ms = retry_after_ms;
    ev.text = tg_str_c(text);
    end(s, r, &ev);
}

void tg_super_req_fail_all(struct tg_super *s, bool pending_too, int err, const char *text)
{
    tg_list_each_safe (it, tmp, &s->requests) {
        struct tg_ereq *r = tg_list_entry(it, struct tg_ereq, link);
        if (pending_too || r->state != TG_EREQ_PENDING)
            tg_super_req_fail(s, r, err, -1, text);
    }
}

/* ---- admission ---- */

static void refuse(struct tg_super *s, struct tg_egroup *g, struct tg_buf *frames, int err,
                   int64_t retry_after_ms, const char *text)
{
    struct tg_engine_event ev = {.request_id = g->base_id,
                                 .tag = g->tag,
                                 .kind = TG_ENGINE_EV_ERROR,
                                 .last = true,
                                 .err = err,
                                 .retry_after_ms = retry_after_ms,
                                 .text = tg_str_c(text)};
    s->env->emit(s->env->ctx, g->client, &ev, NULL);
    for (uint32_t i = 0; i < g->n_choices; i++)
        tg_buf_fini(&frames[i]);
    tg_free(g);
}

static uint32_t slots(const struct tg_super *s)
{
    return s->status.info.slots ? s->status.info.slots : s->opts.slots;
}

static int64_t retry_after(const struct tg_super *s)
{
    uint64_t ms = s->request_ms * (s->n_requests / slots(s) + 1);
    return (int64_t)(ms < RETRY_MIN_MS ? RETRY_MIN_MS : ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms);
}

/* 0, or the refusal is out. */
static int admit(struct tg_super *s, struct tg_egroup *g, struct tg_buf *frames)
{
    uint64_t now = tg_loop_now_ms(s->env->loop);
    if (s->removing) {
        refuse(s, g, frames, TG_E_LOCAL_UNAVAILABLE, -1, "the local model was removed");
    } else if (tg_super_poisoned(s, g->prompt_hash, now)) {
        refuse(s, g, frames, TG_E_LOCAL_FAILED, -1,
               "the engine ended twice while it worked on this prompt; it is refused for a minute");
    } else if (s->n_requests + g->n_choices > slots(s) + s->opts.queue) {
        refuse(s, g, frames, TG_E_QUEUE_FULL, retry_after(s),
               "too many requests wait for the local model");
    } else if (s->status.state == TG_ENGINE_FAILED && now - s->failed_at_ms < FAILED_RETRY_MS) {
        refuse(s, g, frames, TG_E_LOCAL_UNAVAILABLE,
               (int64_t)(FAILED_RETRY_MS - (now - s->failed_at_ms)), s->status.reason);
    } else {
        return 0;
    }
    return TG_E_FULL;
}

static struct tg_ereq *add(struct tg_super *s, struct tg_egroup *g, uint32_t choice,
                           struct tg_buf *frame)
{
    struct tg_ereq *r = tg_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct tg_ereq){.id = g->base_id + choice,
                          .choice = choice,
                          .state = TG_EREQ_PENDING,
                          .group = g,
                          .arrived_ms = tg_loop_now_ms(s->env->loop),
                          .super = s,
                          .spare = s->env->spare_new(s->env->ctx)};
    tg_list_init(&r->link);
    if (!r->spare || s->env->add(s->env->ctx, r) < 0) {
        s->env->spare_free(s->env->ctx, r->spare);
        tg_free(r);
        return NULL;
    }
    r->frame = *frame; /* its memory moves here */
    tg_buf_init(frame, 0);
    tg_list_add_tail(&s->requests, &r->link);
    s->n_requests++;
    return r;
}

void tg_super_req_send(struct tg_super *s, struct tg_ereq *r)
{
    r->state = TG_EREQ_SENT;
    s->n_sent++;
    /* It may have been idle for long: the watchdog counts from here. */
    s->child.last_sign_ms = tg_loop_now_ms(s->env->loop);
    tg_super_child_send(s, tg_buf_str(&r->frame));
    tg_buf_fini(&r->frame);
}

void tg_super_submit(struct tg_super *s, struct tg_egroup *g, struct tg_buf *frames)
{
    if (admit(s, g, frames) < 0)
        return;
    uint32_t n = g->n_choices;
    g->left = n;
    s->status.requests++;
    for (uint32_t i = 0; i < n; i++) {
        struct tg_ereq *r = add(s, g, i, &frames[i]);
        if (r) {
            if (s->status.state == TG_ENGINE_READY)
                tg_super_req_send(s, r);
            continue;
        }
        tg_buf_fini(&frames[i]);
        struct tg_engine_event ev = {.request_id = g->base_id,
                                     .tag = g->tag,
                                     .kind = TG_ENGINE_EV_ERROR,
                                     .choice = i,
                                     .last = --g->left == 0,
                                     .err = TG_E_OVERLOADED,
                                     .retry_after_ms = -1,
                                     .text = tg_str_c(tg_err_info(TG_E_OVERLOADED)->text)};
        s->env->emit(s->env->ctx, g->client, &ev, NULL);
        if (g->left == 0)
            tg_free(g); /* only when this was the last and none is alive */
    }
    if (s->n_requests && (s->status.state == TG_ENGINE_OFF || s->status.state == TG_ENGINE_FAILED))
        tg_super_wish(s, TG_WISH_LOAD);
}

void tg_super_cancel(struct tg_super *s, struct tg_ereq *r)
{
    if (r->cancelled)
        return;
    r->cancelled = true;
    if (r->state == TG_EREQ_PENDING) {
        struct tg_engine_event ev = event_of(r, TG_ENGINE_EV_DONE);
        ev.reason = TG_ENGINE_CANCELLED;
        end(s, r, &ev);
        return;
    }
    struct tg_buf b;
    tg_buf_init(&b, 256);
    if (tg_p_put_empty(&b, TG_FR_CANCEL, r->id) == 0)
        tg_super_child_send(s, tg_buf_str(&b));
    tg_buf_fini(&b);
}

void tg_super_credit(struct tg_super *s, struct tg_ereq *r, uint32_t bytes)
{
    struct tg_buf b;
    if (r->state == TG_EREQ_PENDING)
        return;
    tg_buf_init(&b, 256);
    if (tg_p_put_u32(&b, TG_FR_CREDIT, r->id, bytes) == 0)
        tg_super_child_send(s, tg_buf_str(&b));
    tg_buf_fini(&b);
}

/* ---- what the child says ---- */

static int on_text(struct tg_super *s, struct tg_ereq *r, struct tg_str payload)
{
    struct tg_engine_event ev = event_of(r, TG_ENGINE_EV_TEXT);
    struct tg_arena a;
    tg_arena_init(&a, TEXT_ARENA_BYTES, TEXT_ARENA_MAX_BYTES);
    int rc = tg_p_get_text(payload, &a, &ev.counts.completion_tokens, &ev.text, &ev.logprobs,
                           &ev.n_logprobs);
    if (rc == 0) {
        ev.cost = (uint32_t)tg_p_text_cost(ev.text, ev.logprobs, ev.n_logprobs);
        s->env->emit(s->env->ctx, r->group->client, &ev, NULL);
    }
    tg_arena_fini(&a);
    return rc == TG_E_NOMEM ? 0 : rc;
}

static int on_vector(struct tg_super *s, struct tg_ereq *r, struct tg_str payload)
{
    struct tg_engine_event ev = event_of(r, TG_ENGINE_EV_VECTOR);
    int rc = tg_p_get_vector(payload, &ev.text);
    if (rc == 0)
        s->env->emit(s->env->ctx, r->group->client, &ev, NULL);
    return rc;
}

static int on_started(struct tg_super *s, struct tg_ereq *r, struct tg_str payload)
{
    struct tg_engine_event ev = event_of(r, TG_ENGINE_EV_STARTED);
    int rc = tg_p_get_started(payload, &ev.counts.prompt_tokens, &ev.counts.cached_tokens);
    if (rc)
        return rc;
    r->state = TG_EREQ_STARTED;
    s->env->emit(s->env->ctx, r->group->client, &ev, NULL);
    return 0;
}

static int on_done(struct tg_super *s, struct tg_ereq *r, struct tg_str payload)
{
    struct tg_engine_event ev = event_of(r, TG_ENGINE_EV_DONE);
    struct tg_p_done d;
    int rc = tg_p_get_done(payload, &d);
    if (rc)
        return rc;
    ev.reason = d.reason;
    ev.stop_index = d.stop_index;
    ev.counts = d.counts;
    if (r->choice == 0)
        s->status.prompt_tokens += d.counts.prompt_tokens;
    s->status.completion_tokens += d.counts.completion_tokens;
    uint64_t took = tg_loop_now_ms(s->env->loop) - r->arrived_ms;
    s->request_ms = s->request_ms ? (s->request_ms * 7 + took) / 8 : took;
    end(s, r, &ev);
    return 0;
}

static int on_error(struct tg_super *s, struct tg_ereq *r, struct tg_str payload)
{
    char text[512];
    struct tg_str t;
    int err;
    int rc = tg_p_get_error(payload, &err, &t);
    if (rc)
        return rc;
    tg_str_to_c(t, text, sizeof text);
    tg_super_req_fail(s, r, err, -1, text);
    return 0;
}

int tg_super_req_frame(struct tg_super *s, const struct tg_frame *fr)
{
    struct tg_ereq *r = s->env->find(s->env->ctx, fr->id);
    if (!r)
        return 0; /* ended while this was under way */
    if (r->super != s || r->state == TG_EREQ_PENDING)
        return TG_E_INVALID_ARG;
    switch ((int)fr->type) {
    case TG_FR_QUEUED:
        r->state = TG_EREQ_QUEUED;
        return 0;
    case TG_FR_STARTED:
        return on_started(s, r, fr->payload);
    case TG_FR_TEXT:
        return on_text(s, r, fr->payload);
    case TG_FR_VECTOR:
        return on_vector(s, r, fr->payload);
    case TG_FR_DONE:
        return on_done(s, r, fr->payload);
    case TG_FR_ERROR:
        return on_error(s, r, fr->payload);
    default:
        return TG_E_INVALID_ARG;
    }
}
