#include "engine/backend_engine.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/rand.h"
#include "chat/fidelity.h"
#include "core/attempt.h"
#include "engine/backend_request_priv.h"
#include "engine/backend_text_priv.h"
#include "engine/callparse_priv.h"
#include "engine/tools_priv.h"

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

/* What one choice's answer consists of so far. */
struct choice {
    struct tg_attempt *attempt;
    struct tg_callparse calls;
    uint32_t index;
    uint32_t n_parts; /* begun; the last of them is the open one */
    bool open;
    enum tg_part_kind kind; /* of the open part */
    struct tg_str logprobs; /* of the text that is being taken in */
    uint32_t owed;          /* credit not given back yet */
    uint32_t tokens;        /* of output */
    uint64_t characters;    /* for text_offset */
};

/* An attempt's state. Events wait here from the mailbox to the attempt's step. */
struct local {
    struct tg_engine_backend *b; /* NULL: start() failed */
    uint64_t request_id;
    uint32_t model;
    enum tg_chat_task task;
    struct tg_msg *first, *last;
    bool paused, over;
    bool begun; /* START was emitted */
    bool usage_new;
    bool tools; /* the text may hold calls */
    struct choice *choices;
    uint32_t n_choices;
    size_t first_input; /* EMBED: of the request under way */
    struct tg_usage usage;
};

/* ---- starting ---- */

static int submit(struct tg_attempt *a, struct local *st, const struct tg_engine_request *req)
{
    struct tg_engine_backend *b = tg_attempt_backend_ctx(a);
    return tg_engine_submit(b->opts.host, st->model, b->client,
                            (struct tg_engine_tag){.a = tg_attempt_id(a)}, req, tg_attempt_fail(a),
                            &st->request_id);
}

static void on_call(void *ctx, enum tg_call_event ev, struct tg_str s);

/* A parser for each choice that may call tools. */
static int make_choices(struct tg_attempt *a, struct local *st, uint32_t n, bool tools)
{
    st->choices = tg_arena_array(tg_attempt_arena(a), n, sizeof *st->choices);
    if (!st->choices)
        return tg_fail_set(tg_attempt_fail(a), TG_E_NOMEM, "out of memory");
    for (uint32_t i = 0; i < n; i++) {
        st->choices[i] = (struct choice){.attempt = a, .index = i};
        tg_callparse_init(&st->choices[i].calls, on_call, &st->choices[i]);
    }
    st->n_choices = n;
    st->tools = tools;
    return 0;
}

static int begin_chat(struct tg_attempt *a, struct local *st)
{
    enum { LOST_BYTES = 400 };
    const struct tg_attempt_job *job = tg_attempt_job(a);
    struct tg_engine_request req;
    struct tg_buf lost;
    tg_buf_init(&lost, LOST_BYTES);
    int rc = tg_request_make(tg_attempt_arena(a), job->chat, tg_attempt_target(a), job->strict,
                             &lost, tg_attempt_fail(a), &req);
    /* A schema that is only nearly held to is said to be emulated. */
    if (lost.n)
        tg_attempt_set_fidelity(a, 0, TG_FEATURE_BIT(JSON_SCHEMA));
    tg_buf_fini(&lost);
    if (!rc)
        rc = make_choices(a, st, req.n_choices ? req.n_choices : 1, tg_tools_wanted(job->chat));
    return rc ? rc : submit(a, st, &req);
}

static int begin_embed(struct tg_attempt *a, struct local *st)
{
    struct tg_engine_request req;
    int rc = tg_request_embed(tg_attempt_job(a)->chat, st->first_input, tg_attempt_fail(a), &req);
    if (!rc && !st->choices)
        rc = make_choices(a, st, TG_REQUEST_EMBED_TEXTS, false);
    return rc ? rc : submit(a, st, &req);
}

static int start(struct tg_attempt *a)
{
    struct local *st = tg_attempt_state_mem(a);
    struct tg_engine_backend *b = tg_attempt_backend_ctx(a);
    TG_REQUIRE(tg_attempt_job(a)->chat); /* no dialect's body passes through to a model */
    int rc = b->opts.model_of(b->opts.ctx, tg_attempt_target(a), tg_attempt_fail(a), &st->model);
    st->task = tg_attempt_job(a)->chat->task;
    if (!rc)
        rc = st->task == TG_TASK_EMBED ? begin_embed(a, st) : begin_chat(a, st);
    if (rc)
        return rc;
    st->b = b;
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

static void begin(struct tg_attempt *a, struct local *st)
{
    if (st->begun)
        return;
    st->begun = true;
    tg_attempt_to(a, TG_ATTEMPT_BODY);
    emit(a, (struct tg_event){.kind = TG_EV_START,
                              .id = tg_attempt_job(a)->request_id,
                              .model = tg_attempt_target(a)->name});
}

static void close_part(struct choice *c)
{
    if (c->open)
        emit(c->attempt,
             (struct tg_event){.kind = TG_EV_PART_END, .choice = c->index, .part = c->n_parts - 1});
    c->open = false;
}

static void open_part(struct choice *c, enum tg_part_kind kind, struct tg_str id,
                      struct tg_str name)
{
    if (c->open && c->kind == kind && kind == TG_PART_TEXT)
        return;
    close_part(c);
    c->open = true;
    c->kind = kind;
    c->n_parts++;
    emit(c->attempt, (struct tg_event){.kind = TG_EV_PART_START,
                                       .choice = c->index,
                                       .part = c->n_parts - 1,
                                       .part_kind = kind,
                                       .id = id,
                                       .name = name});
}

static void put_delta(struct choice *c, enum tg_delta_kind kind, struct tg_str text)
{
    emit(c->attempt,
         (struct tg_event){.kind = TG_EV_DELTA,
                           .choice = c->index,
                           .part = c->n_parts - 1,
                           .delta_kind = kind,
                           .text = text,
                           .logprobs = kind == TG_DELTA_TEXT ? c->logprobs : TG_STR("")});
    if (kind == TG_DELTA_TEXT)
        c->logprobs = TG_STR(""); /* once */
}

static void on_call(void *ctx, enum tg_call_event ev, struct tg_str s)
{
    struct choice *c = ctx;
    char id[40];
    switch (ev) {
    case TG_CPE_TEXT:
        open_part(c, TG_PART_TEXT, TG_STR(""), TG_STR(""));
        put_delta(c, TG_DELTA_TEXT, s);
        return;
    case TG_CPE_START:
        tg_rand_id("call_", id, sizeof id);
        open_part(c, TG_PART_TOOL_CALL, tg_str_c(id), s);
        return;
    case TG_CPE_ARGUMENTS:
        put_delta(c, TG_DELTA_ARGUMENTS, s);
        return;
    case TG_CPE_END:
        close_part(c);
        return;
    }
    TG_UNREACHABLE();
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
    struct choice *c = &st->choices[ev->choice];
    st->usage.output_tokens += (int64_t)ev->counts.completion_tokens - c->tokens;
    c->tokens = ev->counts.completion_tokens;
    st->usage_new = true;
}

static void give_credit(struct local *st, struct choice *c, uint32_t cost)
{
    c->owed += cost;
    if (c->owed < CREDIT_BACK_BYTES)
        return;
    tg_engine_credit(st->b->opts.host, st->request_id, c->index, c->owed);
    c->owed = 0;
}

static int on_text(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    struct tg_buf *json = &st->b->json;
    struct choice *c = &st->choices[ev->choice];
    int rc = 0;
    tg_buf_clear(json);
    if (ev->n_logprobs && tg_attempt_job(a)->chat->is_completion)
        tg_logprobs_completion(json, ev->logprobs, ev->n_logprobs, &c->characters);
    else if (ev->n_logprobs)
        tg_logprobs_chat(json, ev->logprobs, ev->n_logprobs);
    begin(a, st);
    c->logprobs = tg_buf_str(json);
    if (!tg_buf_ok(json))
        rc = TG_E_NOMEM;
    else if (st->tools)
        rc = tg_callparse_push(&c->calls, ev->text);
    else
        on_call(c, TG_CPE_TEXT, ev->text);
    c->logprobs = TG_STR("");
    if (rc)
        return tg_fail_set(tg_attempt_fail(a), TG_E_NOMEM, "out of memory");
    note_output(st, ev);
    give_credit(st, c, ev->cost);
    return 0;
}

static int on_vector(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    struct tg_buf *json = &st->b->json;
    tg_buf_clear(json);
    tg_buf_char(json, '"');
    tg_base64_encode(ev->text, json);
    tg_buf_char(json, '"');
    if (!tg_buf_ok(json))
        return tg_fail_set(tg_attempt_fail(a), TG_E_NOMEM, "out of memory");
    begin(a, st);
    emit(a, (struct tg_event){.kind = TG_EV_ITEM,
                              .choice = (uint32_t)st->first_input + ev->choice,
                              .text = tg_buf_str(json)});
    return 0;
}

static void flush_usage(struct tg_attempt *a, struct local *st)
{
    if (!st->usage_new)
        return;
    st->usage_new = false;
    emit(a, (struct tg_event){.kind = TG_EV_USAGE, .usage = &st->usage});
}

static int end(struct tg_attempt *a, struct local *st)
{
    flush_usage(a, st);
    emit(a, (struct tg_event){.kind = TG_EV_END});
    st->over = true;
    return TG_BACKEND_FINISHED;
}

/* One text of many, or the count. */
static int on_task_done(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    const struct tg_chat_req *chat = tg_attempt_job(a)->chat;
    begin(a, st);
    st->usage.input_tokens += ev->counts.prompt_tokens;
    st->usage_new = true;
    if (!ev->last)
        return TG_BACKEND_WAITING;
    st->first_input += TG_REQUEST_EMBED_TEXTS;
    if (st->task == TG_TASK_COUNT || st->first_input >= chat->inputs.n)
        return end(a, st);
    return begin_embed(a, st);
}

static void finish_choice(struct tg_attempt *a, struct choice *c, bool tools, bool length,
                          struct tg_str stop)
{
    if (tools)
        tg_callparse_finish(&c->calls);
    if (c->n_parts == 0)
        open_part(c, TG_PART_TEXT, TG_STR(""), TG_STR(""));
    close_part(c);
    enum tg_finish why = length             ? TG_FINISH_LENGTH
                         : c->calls.n_calls ? TG_FINISH_TOOL_CALLS
                                            : TG_FINISH_STOP;
    emit(a, (struct tg_event){.kind = TG_EV_FINISH,
                              .choice = c->index,
                              .finish = why,
                              .text = tg_str_c(tg_finish_name(why)),
                              .stop_text = stop});
}

static struct tg_str stop_of(const struct tg_attempt *a, const struct tg_engine_event *ev)
{
    const struct tg_sampling *s = &tg_attempt_job(a)->chat->sampling;
    return ev->reason == TG_ENGINE_STOP_STRING && ev->stop_index < s->n_stops
               ? s->stops[ev->stop_index]
               : TG_STR("");
}

static int on_done(struct tg_attempt *a, struct local *st, const struct tg_engine_event *ev)
{
    if (ev->reason == TG_ENGINE_CANCELLED)
        return tg_fail_set(tg_attempt_fail(a), TG_E_LOCAL_UNAVAILABLE,
                           "the local engine gave the request up");
    if (st->task != TG_TASK_CHAT)
        return on_task_done(a, st, ev);
    begin(a, st);
    note_prompt(st, ev);
    note_output(st, ev);
    if (ev->last)
        flush_usage(a, st);
    finish_choice(a, &st->choices[ev->choice], st->tools, ev->reason == TG_ENGINE_LENGTH,
                  stop_of(a, ev));
    return ev->last ? end(a, st) : TG_BACKEND_WAITING;
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
        if (st->task != TG_TASK_CHAT)
            return 0;
        begin(a, st);
        if (!st->tools)
            open_part(&st->choices[ev->choice], TG_PART_TEXT, TG_STR(""), TG_STR(""));
        note_prompt(st, ev);
        return 0;
    case TG_ENGINE_EV_VECTOR:
        return on_vector(a, st, ev);
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
    for (uint32_t i = 0; i < st->n_choices; i++)
        tg_callparse_fini(&st->choices[i].calls);
    st->n_choices = 0;
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
    .tasks = 1u << TG_TASK_CHAT | 1u << TG_TASK_COUNT | 1u << TG_TASK_EMBED,
    .fidelity = tg_engine_fidelity,
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
    if (!st || !st->b || st->request_id != ev->request_id || ev->choice >= st->n_choices) {
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
