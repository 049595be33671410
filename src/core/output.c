/* From events to bytes: passes the provider's own units through, or renders canonical events in the
 * client's dialect; decides when the answer begins, which ends the time for further attempts. */
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "core/conversation_priv.h"
#include "core/exchange_priv.h"
#include "core/headers_priv.h"
#include "policy/estimate.h"
#include "policy/price.h"

#define MAX_HEADERS    44 /* Anthropic's limits alone are 18 */
#define LATER_HEADERS  4  /* room for what is added last */
#define MAX_HELD_BYTES (64u << 10)
#define HOLD_US        5000000

/* ---- heads ---- */

struct head_list {
    struct tg_http_header h[MAX_HEADERS];
    size_t n;
};

static void add(struct head_list *l, struct tg_str name, struct tg_str value)
{
    if (l->n < MAX_HEADERS && value.n)
        l->h[l->n++] = (struct tg_http_header){name, value};
}

/* What the gateway says itself stands: a provider's header of that name is not the client's. */
static void add_returned(struct head_list *l, const struct tg_http_head *head)
{
    size_t own = l->n;
    for (size_t i = 0; i < head->n_headers && l->n < MAX_HEADERS - LATER_HEADERS; i++) {
        struct tg_str name = head->headers[i].name;
        bool taken = !tg_headers_is_returned(name);
        for (size_t k = 0; k < own && !taken; k++)
            taken = tg_str_ieq(l->h[k].name, name);
        if (!taken)
            add(l, name, head->headers[i].value);
    }
    add(l, TG_STR("x-tollgate-provider-request-id"), tg_headers_provider_id(head));
}

static void add_common(struct tg_exchange *x, struct head_list *l)
{
    add(l, TG_STR("x-request-id"), x->request_id);
    if (x->dialect->id_header)
        add(l, tg_str_c(x->dialect->id_header), x->request_id);
    add(l, TG_STR("x-tollgate-fidelity"), tg_fit_text(x));
    if (x->cors_origin.n) {
        add(l, TG_STR("access-control-allow-origin"), x->cors_origin);
        add(l, TG_STR("access-control-expose-headers"),
            TG_STR("x-request-id, request-id, retry-after, retry-after-ms, x-tollgate-target, "
                   "x-tollgate-fidelity"));
        add(l, TG_STR("vary"), TG_STR("Origin"));
    }
    if (!x->attempt)
        return;
    add(l, TG_STR("x-tollgate-target"), tg_attempt_target(x->attempt)->name);
    const struct tg_http_head *head = tg_attempt_response_head(x->attempt);
    if (head)
        add_returned(l, head);
}

static int respond(struct tg_exchange *x, int status, struct head_list *l, uint64_t length)
{
    x->status = status;
    return x->reply.ops->respond(x->reply.ctx, status, l->h, l->n, length);
}

/* The head of a stream; content makes it STREAMING. */
static int open_stream(struct tg_exchange *x)
{
    struct head_list l = {.n = 0};
    const char *type =
        x->call.stream_content_type ? x->call.stream_content_type : x->dialect->stream_content_type;
    add(&l, TG_STR("content-type"), tg_str_c(type));
    add(&l, TG_STR("cache-control"), TG_STR("no-cache"));
    add(&l, TG_STR("x-accel-buffering"), TG_STR("no"));
    add_common(x, &l);
    x->out.state = TG_OUTPUT_OPENED;
    x->rt->streams++;
    return respond(x, 200, &l, TG_HTTP_LENGTH_UNKNOWN);
}

/* Of a single answer: a stream's head goes out before its cost is known. */
static void add_cost(struct tg_exchange *x, struct head_list *l)
{
    int64_t nusd = tg_output_cost_nusd(x);
    if (nusd >= 0)
        add(l, TG_STR("x-tollgate-cost-usd"),
            tg_arena_printf(&x->arena, "%lld.%09lld", (long long)(nusd / 1000000000),
                            (long long)(nusd % 1000000000)));
}

/* A passed-through answer is what the provider says it is: sounds and images are no JSON. */
static struct tg_str single_type(const struct tg_exchange *x)
{
    const struct tg_http_head *head =
        x->out.translated || !x->attempt ? NULL : tg_attempt_response_head(x->attempt);
    struct tg_str type = head ? tg_http_head_get(head, TG_STR("content-type")) : TG_STR("");
    return type.n ? type : TG_STR("application/json");
}

static int single_answer(struct tg_exchange *x, struct tg_str body)
{
    struct head_list l = {.n = 0};
    add(&l, TG_STR("content-type"), single_type(x));
    add_common(x, &l);
    add_cost(x, &l);
    x->out.state = TG_OUTPUT_DONE;
    int rc = respond(x, 200, &l, body.n);
    return rc < 0 ? rc : x->reply.ops->write(x->reply.ctx, body);
}

/* ---- writing ---- */

static void note_write(struct tg_exchange *x, int rc)
{
    x->last_output_us = tg_clock_mono_us();
    if (rc < 0)
        x->out.write_failed = true;
    if ((rc < 0 || x->reply.ops->above_high(x->reply.ctx)) && !x->paused)
        tg_loop_wake(x->rt->loop, &x->task); /* the step pauses or gives up */
}

static void write_stream(struct tg_exchange *x, struct tg_str bytes)
{
    if (!bytes.n || x->out.write_failed)
        return;
    int rc = x->out.state == TG_OUTPUT_NONE ? open_stream(x) : 0;
    if (x->out.state == TG_OUTPUT_OPENED) {
        x->out.state = TG_OUTPUT_STREAMING;
        tg_loop_wake(x->rt->loop, &x->task); /* RUN → STREAM */
    }
    if (rc == 0)
        rc = x->reply.ops->write(x->reply.ctx, bytes);
    note_write(x, rc);
}

/* ---- pass-through ---- */

/* Units before the first content (a comment, a role) are held, so that a provider that says hello
 * and dies can still be replaced by another; but not for long, because comments also keep proxies
 * from closing a silent connection. */
static bool holds(struct tg_exchange *x, struct tg_str raw)
{
    struct tg_output *o = &x->out;
    if (o->state > TG_OUTPUT_OPENED || x->first_token_us || x->has_finish)
        return false;
    uint64_t now_us = tg_clock_mono_us();
    if (!o->held.n)
        o->held_since_us = now_us;
    return now_us - o->held_since_us < HOLD_US && tg_buf_str_add(&o->held, raw) == 0;
}

static void write_held(struct tg_exchange *x)
{
    write_stream(x, tg_buf_str(&x->out.held));
    tg_buf_fini(&x->out.held);
}

/* What waits until the answer is kept. Without room for it nothing waits. */
static bool hold_tail(struct tg_exchange *x, struct tg_str bytes)
{
    struct tg_output *o = &x->out;
    if (!o->tail.max_bytes)
        tg_buf_init(&o->tail, x->epoch->snapshot->settings.upstream.max_response_bytes);
    if (o->held.n)
        write_held(x);
    return tg_buf_str_add(&o->tail, bytes) == 0;
}

static void write_tail(struct tg_exchange *x)
{
    struct tg_str bytes = tg_buf_str(&x->out.tail);
    if (!bytes.n)
        return;
    if (x->call.stream)
        write_stream(x, bytes);
    else if (x->out.state == TG_OUTPUT_NONE)
        note_write(x, single_answer(x, bytes));
    tg_buf_fini(&x->out.tail);
    x->out.tail.max_bytes = 0;
}

/* Comments are no events. */
static void note_passed(struct tg_exchange *x, struct tg_str raw)
{
    if (x->dialect->broken_passed && raw.n && raw.p[0] != ':')
        x->out.passed.n_events++;
}

static void note_answer(struct tg_exchange *x, const struct tg_event *ev)
{
    if (ev->kind != TG_EV_START || !x->dialect->broken_passed)
        return;
    x->out.passed.id = tg_arena_dup(tg_exchange_arena(x), ev->id);
    x->out.passed.model = tg_arena_dup(tg_exchange_arena(x), ev->model);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct tg_exchange *x = tg_container_of(s, struct tg_exchange, out.sink);
    if (hide || x->gone)
        return;
    note_passed(x, raw);
    if (tg_conversation_ends_with(x, raw) && hold_tail(x, raw))
        return;
    if (!x->call.stream) {
        if (x->out.state == TG_OUTPUT_NONE)
            note_write(x, single_answer(x, raw));
        return;
    }
    if (holds(x, raw))
        return;
    if (x->out.held.n)
        write_held(x);
    write_stream(x, raw);
}

/* ---- rendering ---- */

static void render(struct tg_exchange *x, const struct tg_event *ev)
{
    struct tg_buf *b = &x->rt->scratch;
    tg_buf_clear(b);
    int rc = x->dialect->render(x->out.render_state, x->out.info, ev, b);
    if (rc < 0 || !tg_buf_ok(b)) {
        note_write(x, TG_E_NOMEM);
        return;
    }
    write_stream(x, tg_buf_str(b));
}

/* START is held until there is content, so that a provider that says hello and dies can still be
 * replaced by another. */
static bool is_content(const struct tg_event *ev)
{
    return ev->kind == TG_EV_PART_START || ev->kind == TG_EV_DELTA || ev->kind == TG_EV_FINISH;
}

static void render_held(struct tg_exchange *x, const struct tg_event *ev)
{
    if (ev->kind == TG_EV_START && x->call.stream) {
        x->out.start_held = true;
        x->out.tier =
            ev->service_tier.n ? tg_arena_dup(tg_exchange_arena(x), ev->service_tier) : TG_STR("");
        return;
    }
    if (x->out.start_held && !is_content(ev))
        return;
    if (x->out.start_held) {
        x->out.start_held = false;
        render(x, &(struct tg_event){.kind = TG_EV_START, .service_tier = x->out.tier});
        const struct tg_usage *u = x->attempt ? tg_attempt_usage(x->attempt) : &x->usage;
        if (u->source != TG_USAGE_ABSENT) /* Claude's providers count the prompt first */
            render(x, &(struct tg_event){.kind = TG_EV_USAGE, .usage = u});
    }
    render(x, ev);
}

static void note_event(struct tg_exchange *x, const struct tg_event *ev)
{
    if (ev->kind == TG_EV_DELTA && !x->first_token_us)
        x->first_token_us = tg_clock_mono_us();
    if (ev->kind == TG_EV_FINISH) {
        x->finish = ev->finish;
        x->has_finish = true;
    }
}

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct tg_exchange *x = tg_container_of(s, struct tg_exchange, out.sink);
    note_event(x, ev);
    note_answer(x, ev);
    tg_opaque_note(x, ev);
    if (!x->out.translated || x->gone || ev->kind == TG_EV_END || ev->kind == TG_EV_ERROR)
        return;
    render_held(x, ev);
}

/* ---- the exchange's calls ---- */

static void fini_rendering(struct tg_exchange *x)
{
    if (x->out.rendering && x->dialect->fini)
        x->dialect->fini(x->out.render_state);
    x->out.rendering = false;
}

static struct tg_str answer_model(const struct tg_exchange *x)
{
    return x->plan->name;
}

/* "chatcmpl-…", as clients of the OpenAI formats expect, from the request's own id. */
static struct tg_str answer_id(struct tg_exchange *x)
{
    struct tg_str id = x->request_id;
    if (tg_str_starts(id, TG_STR("req_")))
        id = tg_str_from(id, 4);
    return tg_arena_printf(tg_exchange_arena(x), "chatcmpl-%.*s", TG_STR_ARG(id));
}

static int begin_rendering(struct tg_exchange *x)
{
    struct tg_output *o = &x->out;
    const struct tg_target *t = &x->epoch->snapshot->targets[x->plan->targets[x->next_target]];
    if (!o->info)
        o->info = tg_arena_new(tg_exchange_arena(x), struct tg_render_info);
    if (!o->info)
        return TG_E_NOMEM;
    *o->info = (struct tg_render_info){
        .id = answer_id(x),
        .request_id = x->request_id,
        .model = answer_model(x),
        .provider = tg_str_c(tg_backend_kind_name(t->kind)),
        .created_s = x->started_wall_us / 1000000,
        .started_us = x->received_us,
        .stream = x->call.stream,
        .include_usage = x->call.include_usage,
        .prompt_tokens =
            x->call.stream && x->dialect->input_first ? tg_estimate_prompt(x->fit.chat) : 0,
        .call = &x->call,
        .arena = tg_exchange_arena(x),
    };
    if (!o->render_state)
        o->render_state = tg_arena_alloc(o->info->arena, x->dialect->state_bytes + 1);
    if (!o->render_state)
        return TG_E_NOMEM;
    memset(o->render_state, 0, x->dialect->state_bytes + 1);
    int rc = x->dialect->begin(o->render_state, o->info);
    o->rendering = rc == 0;
    return rc;
}

int tg_output_prepare(struct tg_exchange *x, bool translated)
{
    fini_rendering(x);
    tg_conversation_again(x);
    x->out.passed = (struct tg_passed){.n_events = 0};
    tg_buf_fini(&x->out.tail);
    x->out.tail.max_bytes = 0;
    x->out.sink = (struct tg_sink){.on_event = on_event, .on_raw = on_raw};
    x->out.translated = translated;
    x->out.start_held = false;
    tg_buf_fini(&x->out.held);
    tg_buf_init(&x->out.held, MAX_HELD_BYTES);
    return translated ? begin_rendering(x) : 0;
}

int64_t tg_output_cost_nusd(const struct tg_exchange *x)
{
    const struct tg_usage *u = x->attempt ? tg_attempt_usage(x->attempt) : &x->usage;
    return x->plan && x->plan->model ? tg_price_of(&x->plan->model->price, u) : -1;
}

static int finish_translated(struct tg_exchange *x)
{
    x->out.info->cost_nusd = tg_output_cost_nusd(x);
    x->out.info->has_cost = x->out.info->cost_nusd >= 0;
    struct tg_buf *b = &x->rt->scratch;
    tg_buf_clear(b);
    int rc = x->dialect->finish(x->out.render_state, x->out.info, &x->usage, tg_clock_mono_us(), b);
    if (rc < 0 || !tg_buf_ok(b))
        return rc < 0 ? rc : TG_E_NOMEM;
    if (tg_conversation_rendered(x) && hold_tail(x, tg_buf_str(b)))
        return 0;
    if (!x->call.stream)
        return single_answer(x, tg_buf_str(b));
    write_stream(x, tg_buf_str(b));
    return x->out.write_failed ? TG_E_FULL : 0;
}

int tg_output_finish(struct tg_exchange *x)
{
    if (x->out.translated) {
        int rc = finish_translated(x);
        if (rc < 0)
            return rc;
    }
    if (x->out.held.n) /* a stream without content */
        write_held(x);
    return 0;
}

int tg_output_end(struct tg_exchange *x)
{
    write_tail(x);
    if (x->out.write_failed)
        return TG_E_FULL;
    if (x->out.state <= TG_OUTPUT_OPENED) /* a stream without one unit */
        return TG_E_UPSTREAM_INVALID;
    x->reply.ops->end(x->reply.ctx);
    return 0;
}

/* A provider's word that could not be read; a date without a clock beside it is the client's to
 * read. */
static void drop_bad_retry_after(struct head_list *l)
{
    size_t n = 0;
    int64_t us;
    for (size_t i = 0; i < l->n; i++) {
        struct tg_str v = l->h[i].value;
        if (!tg_str_ieq(l->h[i].name, TG_STR("retry-after")) ||
            tg_clock_parse_http_date(v.p, v.n, &us) == 0)
            l->h[n++] = l->h[i];
    }
    l->n = n;
}

static void add_retry_after(struct tg_exchange *x, struct head_list *l, const struct tg_fail *fail)
{
    if (fail->retry_after_ms < 0) {
        drop_bad_retry_after(l);
        return;
    }
    struct tg_str s = tg_arena_printf(tg_exchange_arena(x), "%lld",
                                      (long long)((fail->retry_after_ms + 999) / 1000));
    for (size_t i = 0; i < l->n; i++) {
        if (tg_str_ieq(l->h[i].name, TG_STR("retry-after"))) {
            l->h[i].value = s;
            return;
        }
    }
    add(l, TG_STR("retry-after"), s);
}

/* Where providers live is the operator's business: the log line names host and port, the client
 * reads that the provider could not be reached. */
static const struct tg_fail *for_client(struct tg_exchange *x, const struct tg_fail *fail)
{
    bool unsent = x->attempt && !tg_attempt_request_sent(x->attempt);
    if (fail->err != TG_E_UPSTREAM_CONNECT && fail->err != TG_E_UPSTREAM_DNS &&
        !(fail->err == TG_E_UPSTREAM_TIMEOUT && unsent))
        return fail;
    struct tg_fail *shown = &x->rt->scratch_fail;
    *shown = *fail;
    tg_str_to_c(tg_str_c(tg_err_info(fail->err)->text), shown->message, sizeof shown->message);
    return shown;
}

static void render_fail(struct tg_exchange *x, const struct tg_fail *fail, bool in_stream)
{
    tg_buf_clear(&x->rt->scratch);
    x->dialect->render_fail(for_client(x, fail), x->request_id, in_stream, &x->rt->scratch);
}

/* A provider's own error object in the client's format goes back byte for byte. */
static struct tg_str error_body(struct tg_exchange *x, const struct tg_fail *fail)
{
    struct tg_str own = x->attempt ? tg_attempt_error_body(x->attempt) : TG_STR("");
    if (own.n && !x->out.translated && fail->source == TG_FAIL_PROVIDER)
        return own;
    render_fail(x, fail, false);
    return tg_buf_str(&x->rt->scratch);
}

static void fail_whole(struct tg_exchange *x, const struct tg_fail *fail)
{
    struct head_list l = {.n = 0};
    struct tg_str body = error_body(x, fail);
    add(&l, TG_STR("content-type"), TG_STR("application/json"));
    add_common(x, &l);
    add_retry_after(x, &l, fail);
    if (respond(x, tg_fail_status(fail), &l, body.n) < 0 ||
        x->reply.ops->write(x->reply.ctx, body) < 0) {
        x->reply.ops->abort(x->reply.ctx);
        return;
    }
    x->reply.ops->end(x->reply.ctx);
}

/* The request's body is gone by then: the answer can't tell its settings. */
static void fail_passed(struct tg_exchange *x, const struct tg_fail *fail)
{
    struct tg_render_info info = {.request_id = x->request_id,
                                  .model = answer_model(x),
                                  .created_s = x->started_wall_us / 1000000};
    if (x->out.held.n) /* a stream that comments have opened */
        write_held(x);
    x->dialect->broken_passed(&x->out.passed, &info, fail, &x->rt->scratch);
}

/* A stream that is one JSON array ends with the error as its last element. */
static void render_stream_fail(struct tg_exchange *x, const struct tg_fail *fail)
{
    struct tg_buf *b = &x->rt->scratch;
    bool array = x->call.json_array;
    if (!x->out.translated && x->dialect->broken_passed) {
        fail_passed(x, fail);
        return;
    }
    if (array)
        tg_buf_str_add(b, x->out.state == TG_OUTPUT_STREAMING ? TG_STR(",\n") : TG_STR("["));
    x->dialect->render_fail(fail, x->request_id, !array, b);
    if (array)
        tg_buf_char(b, ']');
}

void tg_output_fail(struct tg_exchange *x, const struct tg_fail *fail)
{
    if (x->out.state == TG_OUTPUT_NONE) {
        fail_whole(x, fail);
        return;
    }
    if (x->out.state == TG_OUTPUT_DONE || x->out.write_failed) {
        x->reply.ops->abort(x->reply.ctx);
        return;
    }
    write_tail(x);
    tg_buf_clear(&x->rt->scratch);
    bool rendered = x->out.translated && x->out.rendering && x->dialect->broken;
    if (!rendered ||
        x->dialect->broken(x->out.render_state, x->out.info, fail, &x->rt->scratch) < 0)
        render_stream_fail(x, fail);
    write_stream(x, tg_buf_str(&x->rt->scratch));
    x->reply.ops->end(x->reply.ctx);
}

/* What may stand between two units of the client's format and says nothing. */
static struct tg_str keep_alive_text(struct tg_exchange *x)
{
    if (x->call.json_array) /* blanks between elements; readers want the bracket to be first */
        return x->out.state == TG_OUTPUT_STREAMING ? TG_STR("\n") : TG_STR("");
    if (x->dialect->write_silence) {
        struct tg_render_info info = {
            .model = answer_model(x), .created_s = x->started_wall_us / 1000000, .call = &x->call};
        tg_buf_clear(&x->rt->scratch);
        x->dialect->write_silence(&info, &x->rt->scratch);
        return tg_buf_ok(&x->rt->scratch) ? tg_buf_str(&x->rt->scratch) : TG_STR("");
    }
    return x->dialect->keep_alive ? tg_str_c(x->dialect->keep_alive) : TG_STR(": keep-alive\n\n");
}

void tg_output_keep_alive(struct tg_exchange *x)
{
    if (x->out.write_failed || x->out.state == TG_OUTPUT_DONE)
        return;
    struct tg_str text = keep_alive_text(x);
    if (!text.n)
        return;
    int rc = x->out.state == TG_OUTPUT_NONE ? open_stream(x) : 0;
    if (rc == 0)
        rc = x->reply.ops->write(x->reply.ctx, text);
    note_write(x, rc);
}

void tg_output_fini(struct tg_exchange *x)
{
    if (x->out.state == TG_OUTPUT_OPENED || x->out.state == TG_OUTPUT_STREAMING)
        x->rt->streams--;
    tg_buf_fini(&x->out.held);
    tg_buf_fini(&x->out.tail);
    fini_rendering(x);
}
