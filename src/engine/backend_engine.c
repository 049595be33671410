#include "engine/backend_engine.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "core/attempt.h"
#include "engine/backend_text_priv.h"

enum {
    INBOX_MESSAGES = 1 << 16,
    EVENTS_PER_STEP = 64,        /* then the others on the loop have their turn */
    CREDIT_BACK_BYTES = 8 << 10, /* given back in pieces of at least this */
    LOGPROBS_MAX_BYTES = 4 << 20,
};

struct tg_engine_backend {
    struct tg_engine_backend_opts opts;
    struct tg_mailbox *inbox;
    uint32_t client;
    struct tg_buf json; /* one event's log probabilities */
};

/* An attempt's state. Events wait here from the mailbox to the attempt's step. */
struct local {
    struct tg_engine_backend *b; /* NULL: start() failed */
    uint64_t request_id;
    struct tg_msg *first, *last;
    bool paused, over;
    bool begun; /* START was emitted */
    bool usage_new;
    uint32_t n_choices;
    uint32_t open_parts;                        /* bit: choice's part has begun */
    uint32_t owed[TG_ENGINE_MAX_CHOICES];       /* credit not given back yet */
    uint32_t tokens[TG_ENGINE_MAX_CHOICES];     /* of output */
    uint64_t characters[TG_ENGINE_MAX_CHOICES]; /* for text_offset */
    struct tg_usage usage;
};

/* ---- from canonical to the engine's request ---- */

static int role_texts(struct tg_attempt *a, const struct tg_chat_req *chat,
                      struct tg_engine_request *req)
{
    struct tg_fail *f = tg_attempt_fail(a);
    struct tg_engine_message *m =
        tg_arena_array(tg_attempt_arena(a), chat->n_messages + 1, sizeof *m);
    if (!m)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    for (size_t i = 0; i < chat->n_messages; i++) {
        char where[64];
        snprintf(where, sizeof where, "messages[%zu]", i);
        m[i].role = chat->messages[i].role;
        if (!tg_message_text(tg_attempt_arena(a), &chat->messages[i], &m[i].text))
            return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, where,
                                 "the local model takes text only");
    }
    req->messages = m;
    req->n_messages = chat->n_messages;
    return 0;
}

/* What this engine can't do is refused: an answer that ignores it would be taken for a good one. */
static int refuse_unsupported(const struct tg_chat_req *chat, struct tg_fail *f)
{
    if (chat->n_tools && chat->tool_choice.kind != TG_TOOL_CHOICE_NONE)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "tools",
                             "the local model does not support tools");
    if (chat->has_functions)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "functions",
                             "the local model does not support functions");
    if (chat->format.kind == TG_FORMAT_JSON || chat->format.kind == TG_FORMAT_SCHEMA)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "response_format",
                             "the local model does not support structured output");
    return 0;
}

static void fill_sampling(const struct tg_sampling *s, double default_temperature,
                          struct tg_engine_sampling *o)
{
    tg_engine_sampling_init(o);
    o->temperature = (float)(s->has & TG_HAS_TEMPERATURE ? s->temperature : default_temperature);
    if (s->has & TG_HAS_TOP_P)
        o->top_p = (float)s->top_p;
    if (s->has & TG_HAS_MIN_P)
        o->min_p = (float)s->min_p;
    if (s->has & TG_HAS_TOP_K)
        o->top_k = s->top_k > 0 && s->top_k < INT32_MAX ? (int32_t)s->top_k : 0;
    if (s->has & TG_HAS_PRESENCE)
        o->presence_penalty = (float)s->presence_penalty;
    if (s->has & TG_HAS_FREQUENCY)
        o->frequency_penalty = (float)s->frequency_penalty;
    if (s->has & TG_HAS_REPEAT)
        o->repeat_penalty = (float)s->repeat_penalty;
    o->has_seed = s->has & TG_HAS_SEED;
    o->seed = (uint32_t)s->seed;
}

/* MAX_LENGTH is a default of /v1/generate; chats go on until the model stops or the context ends.
 */
static int fill_limits(const struct tg_sampling *s, const struct tg_target *t,
                       bool wants_default_length, struct tg_fail *f, struct tg_engine_request *req)
{
    uint64_t max = t->max_tokens;
    if (s->has & TG_HAS_MAX_TOKENS) {
        if (s->max_tokens < 1)
            return tg_fail_param(f, TG_E_INVALID_VALUE, "max_tokens",
                                 "max_tokens must be positive");
        if (max == 0 || (uint64_t)s->max_tokens < max)
            max = (uint64_t)s->max_tokens;
    } else if (wants_default_length && (max == 0 || t->engine.max_length < max)) {
        max = t->engine.max_length;
    }
    req->max_tokens = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
    bool many = (s->has & TG_HAS_N) && s->n != 1;
    if (many && (s->n < 1 || s->n > TG_ENGINE_MAX_CHOICES))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "n", "n must be between 1 and %u",
                             TG_ENGINE_MAX_CHOICES);
    req->n_choices = many ? (uint32_t)s->n : 1;
    req->logprobs = s->logprobs;
    if (s->logprobs && s->top_logprobs > 0)
        req->top_logprobs =
            (uint32_t)(s->top_logprobs < TG_ENGINE_MAX_TOP ? s->top_logprobs : TG_ENGINE_MAX_TOP);
    req->stops = s->stops;
    req->n_stops = s->n_stops;
    return 0;
}

static int fill_bias(struct tg_attempt *a, struct tg_str json, struct tg_engine_request *req)
{
    if (json.n == 0)
        return 0;
    struct tg_engine_bias *v = tg_arena_array(tg_attempt_arena(a), TG_ENGINE_MAX_BIAS, sizeof *v);
    int n = v ? tg_bias_parse(json, v, TG_ENGINE_MAX_BIAS) : TG_E_NOMEM;
    if (n < 0)
        return tg_fail_param(tg_attempt_fail(a), n, "logit_bias",
                             "logit_bias must map token ids to numbers between -100 and 100");
    req->bias = v;
    req->n_bias = (size_t)n;
    return 0;
}

static int build(struct tg_attempt *a, struct tg_engine_request *req)
{
    const struct tg_chat_req *chat = tg_attempt_job(a)->chat;
    const struct tg_target *t = tg_attempt_target(a);
    int rc = refuse_unsupported(chat, tg_attempt_fail(a));
    if (!rc)
        rc = fill_limits(&chat->sampling, t, strcmp(chat->dialect, "generate") == 0,
                         tg_attempt_fail(a), req);
    if (!rc)
        rc = fill_bias(a, chat->sampling.logit_bias, req);
    if (rc)
        return rc;
    fill_sampling(&chat->sampling, t->engine.temperature, &req->sampling);
    if (!chat->is_completion)
        return role_texts(a, chat, req);
    req->raw = true;
    req->prompt = chat->prompt;
    return 0;
}

static int start(struct tg_attempt *a)
{
    struct local *st = tg_attempt_state_mem(a);
    struct tg_engine_backend *b = tg_attempt_backend_ctx(a);
    struct tg_engine_request req = {0};
    uint32_t model;
    TG_REQUIRE(tg_attempt_job(a)->chat); /* no dialect's body passes through to a model */
    int rc = b->opts.model_of(b->opts.ctx, tg_attempt_target(a), tg_attempt_fail(a), &model);
    if (!rc)
        rc = build(a, &req);
    if (rc)
        return rc;
    struct tg_engine_tag tag = {.a = tg_attempt_id(a)};
    rc = tg_engine_submit(b->opts.host, model, b->client, tag, &req, tg_attempt_fail(a),
                          &st->request_id);
    if (rc)
        return rc;
    st->b = b;
    st->n_choices = req.n_choices;
    st->usage.source = TG_USAGE_REPORTED;
    tg_attempt_to(a, TG_ATTEMPT_WAIT_HEAD);
    return 0;
}

/* ---- from the engine's events to canonical ones ---- */

static void emit(struct tg_attempt *a, struct tg_event ev)
{
    struct tg_sink *s = tg_attempt_sink(a);
    s->on_event(s, &ev);
}

static void begin(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    const struct tg_attempt_job *job = tg_attempt_job(a);
    if (!st->begun) {
        st->begun = true;
        tg_attempt_to(a, TG_ATTEMPT_BODY);
        emit(a, (struct tg_event){.kind = TG_EV_START,
                                  .id = job->request_id,
                                  .model = tg_attempt_target(a)->name});
    }
    if (st->open_parts & (1u << ev->choice))
        return;
    st->open_parts |= 1u << ev->choice;
    emit(a, (struct tg_event){
                .kind = TG_EV_PART_START, .choice = ev->choice, .part_kind = TG_PART_TEXT});
}

static void note_prompt(struct local *st, const struct tg_engine_event *ev)
{
    if (ev->choice != 0)
        return; /* the same prompt again */
    st->usage.cache_read_tokens = ev->counts.cached_tokens;
    st->usage.input_tokens = (int64_t)ev->counts.prompt_tokens - ev->counts.cached_tokens;
    st->usage_new = true;
}

static void note_output(struct local *st, const struct tg_engine_event *ev)
{
    st->usage.output_tokens += (int64_t)ev->counts.completion_tokens - st->tokens[ev->choice];
    st->tokens[ev->choice] = ev->counts.completion_tokens;
    st->usage_new = true;
}

static void give_credit(struct local *st, uint32_t choice, uint32_t cost)
{
    st->owed[choice] += cost;
    if (st->owed[choice] < CREDIT_BACK_BYTES)
        return;
    tg_engine_credit(st->b->opts.host, st->request_id, choice, st->owed[choice]);
    st->owed[choice] = 0;
}

static int on_text(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    struct tg_buf *json = &st->b->json;
    tg_buf_clear(json);
    if (ev->n_logprobs && tg_attempt_job(a)->chat->is_completion)
        tg_logprobs_completion(json, ev->logprobs, ev->n_logprobs, &st->characters[ev->choice]);
    else if (ev->n_logprobs)
        tg_logprobs_chat(json, ev->logprobs, ev->n_logprobs);
    if (!tg_buf_ok(json))
        return tg_fail_set(tg_attempt_fail(a), TG_E_NOMEM, "out of memory");
    begin(a, st, ev);
    emit(a, (struct tg_event){.kind = TG_EV_DELTA,
                              .choice = ev->choice,
                              .delta_kind = TG_DELTA_TEXT,
                              .text = ev->text,
                              .logprobs = tg_buf_str(json)});
    note_output(st, ev);
    give_credit(st, ev->choice, ev->cost);
    return 0;
}

static void flush_usage(struct tg_attempt *a, struct local *st)
{
    if (!st->usage_new)
        return;
    st->usage_new = false;
    emit(a, (struct tg_event){.kind = TG_EV_USAGE, .usage = &st->usage});
}

static int on_done(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    bool length = ev->reason == TG_ENGINE_LENGTH;
    if (ev->reason == TG_ENGINE_CANCELLED)
        return tg_fail_set(tg_attempt_fail(a), TG_E_LOCAL_UNAVAILABLE,
                           "the local engine gave the request up");
    begin(a, st, ev);
    note_prompt(st, ev);
    note_output(st, ev);
    emit(a, (struct tg_event){.kind = TG_EV_PART_END, .choice = ev->choice});
    if (ev->last)
        flush_usage(a, st);
    emit(a, (struct tg_event){.kind = TG_EV_FINISH,
                              .choice = ev->choice,
                              .finish = length ? TG_FINISH_LENGTH : TG_FINISH_STOP,
                              .text = length ? TG_STR("length") : TG_STR("stop")});
    if (!ev->last)
        return TG_BACKEND_WAITING;
    emit(a, (struct tg_event){.kind = TG_EV_END});
    st->over = true;
    return TG_BACKEND_FINISHED;
}

static int on_error(struct tg_attempt *a, const struct tg_engine_event *ev)
{
    struct tg_fail *f = tg_attempt_fail(a);
    int rc = tg_fail_set(f, ev->err, "%.*s", TG_STR_ARG(ev->text));
    if (ev->retry_after_ms >= 0)
        f->retry_after_ms = ev->retry_after_ms;
    return rc;
}

static int take(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    switch (ev->kind) {
    case TG_ENGINE_EV_STARTED:
        begin(a, st, ev);
        note_prompt(st, ev);
        return 0;
    case TG_ENGINE_EV_TEXT:
        return on_text(a, st, ev);
    case TG_ENGINE_EV_DONE:
        return on_done(a, st, ev);
    case TG_ENGINE_EV_ERROR:
        return on_error(a, ev);
    }
    TG_UNREACHABLE();
}

static struct tg_engine_event *pop(struct local *st)
{
    struct tg_msg *m = st->first;
    if (!m)
        return NULL;
    st->first = m->next;
    if (!st->first)
        st->last = NULL;
    return tg_container_of(m, struct tg_engine_event, msg);
}

static int step(struct tg_attempt *a)
{
    struct local *st = tg_attempt_state_mem(a);
    int rc = TG_BACKEND_WAITING;
    int left = EVENTS_PER_STEP;
    while (left > 0 && !st->paused && rc == TG_BACKEND_WAITING) {
        struct tg_engine_event *ev = pop(st);
        if (!ev)
            break;
        rc = take(a, st, ev);
        tg_engine_event_free(ev);
        left--;
    }
    if (rc == TG_BACKEND_WAITING) {
        flush_usage(a, st);
        if (left == 0)
            tg_attempt_wake(a);
    }
    return rc;
}

static void pause_local(struct tg_attempt *a, bool paused)
{
    struct local *st = tg_attempt_state_mem(a);
    st->paused = paused;
    if (!paused)
        tg_attempt_wake(a);
}

static void stop(struct tg_attempt *a)
{
    struct local *st = tg_attempt_state_mem(a);
    struct tg_engine_event *ev;
    if (!st->b)
        return;
    while ((ev = pop(st)))
        tg_engine_event_free(ev);
    if (!st->over)
        tg_engine_cancel(st->b->opts.host, st->request_id);
    st->b = NULL;
}

const struct tg_backend_ops tg_backend_engine_ops = {
    .name = "local",
    .tasks = 1u << TG_TASK_CHAT,
    .state_bytes = sizeof(struct local),
    .start = start,
    .step = step,
    .pause = pause_local,
    .stop = stop,
};

/* ---- a worker's backend ---- */

static void on_event(void *ctx, struct tg_engine_event *ev)
{
    struct tg_engine_backend *b = ctx;
    struct tg_attempt *a = tg_attempt_find(b->opts.rt, ev->tag.a);
    struct local *st = a ? tg_attempt_state_mem(a) : NULL;
    if (!st || !st->b || st->request_id != ev->request_id || ev->choice >= TG_ENGINE_MAX_CHOICES) {
        tg_engine_event_free(ev); /* late: the attempt is gone */
        return;
    }
    ev->msg.next = NULL;
    if (st->last)
        st->last->next = &ev->msg;
    else
        st->first = &ev->msg;
    st->last = &ev->msg;
    tg_attempt_wake(a);
}

int tg_engine_backend_new(const struct tg_engine_backend_opts *opts, struct tg_engine_backend **out)
{
    struct tg_engine_backend *b = tg_calloc(1, sizeof *b);
    if (!b)
        return TG_E_NOMEM;
    b->opts = *opts;
    tg_buf_init(&b->json, LOGPROBS_MAX_BYTES);
    int rc = tg_mailbox_new(opts->rt->loop, INBOX_MESSAGES, b, &b->inbox);
    if (!rc)
        rc = tg_engine_client_add(opts->host, b->inbox, on_event, &b->client);
    if (rc) {
        if (b->inbox)
            tg_mailbox_free(b->inbox);
        tg_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

void tg_engine_backend_free(struct tg_engine_backend *b)
{
    if (!b)
        return;
    tg_mailbox_free(b->inbox);
    tg_buf_fini(&b->json);
    tg_free(b);
}
