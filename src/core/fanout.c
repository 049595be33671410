#include "core/fanout.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "core/exchange.h"
#include "core/reply.h"
#include "dialect/fanout.h"
#include "wire/sse.h"

#define MAX_ANSWER_BYTES (64u << 20)
#define MAX_EVENT_BYTES  (4u << 20)
#define CHAT_PATH        "/v1/chat/completions"
#define JUDGE            TG_FANOUT_MAX_MODELS /* its branch's index */

/* One model's request. */
struct branch {
    struct fanout *f;
    struct tg_task *task; /* the exchange's; NULL: none, or it has let go */
    unsigned events;      /* for its take_events() */
    struct tg_str model;
    int status;
    bool running; /* started and not ended */
    bool broken;  /* its stream was cut */
    bool relays;  /* what it writes goes to the client as it is */
    struct tg_buf body;
    struct tg_sse_dec sse; /* ALL, streamed */
    uint64_t bytes, started_us, ended_us;
    int64_t cost_nusd;
};

enum phase { READING, RUNNING, JUDGING, ANSWERED };

/* Lives in the client's request's arena. */
struct fanout {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_runtime *rt;
    struct tg_http_conn *conn;
    struct tg_http_req *req;
    const struct tg_dialect *chat;
    struct tg_str request_id, cors_origin;
    struct tg_fanout_call call;
    enum phase phase;
    bool head_sent, gone, over;
    int status;
    int winner; /* index, -1: none yet */
    struct branch branches[TG_FANOUT_MAX_MODELS + 1];
    size_t n;
};

/* ---- the client's side ---- */

static void send_head(struct fanout *f, int status, const char *type, uint64_t length)
{
    struct tg_http_header h[8];
    size_t n = 0;
    h[n++] = (struct tg_http_header){TG_STR("content-type"), tg_str_c(type)};
    h[n++] = (struct tg_http_header){TG_STR("x-request-id"), f->request_id};
    if (length == TG_HTTP_LENGTH_UNKNOWN)
        h[n++] = (struct tg_http_header){TG_STR("cache-control"), TG_STR("no-cache")};
    if (f->cors_origin.n) {
        h[n++] = (struct tg_http_header){TG_STR("access-control-allow-origin"), f->cors_origin};
        h[n++] = (struct tg_http_header){TG_STR("vary"), TG_STR("Origin")};
    }
    f->status = status;
    f->head_sent = true;
    if (tg_http_conn_respond(f->conn, status, h, n, length) < 0)
        tg_http_conn_abort(f->conn);
}

static void send_stream(struct fanout *f, struct tg_str bytes)
{
    if (!f->head_sent)
        send_head(f, 200, "text/event-stream", TG_HTTP_LENGTH_UNKNOWN);
    if (bytes.n && tg_http_conn_write(f->conn, bytes) < 0)
        tg_http_conn_abort(f->conn);
}

/* The last of the answer. */
static void close_answer(struct fanout *f, bool broken)
{
    f->phase = ANSWERED;
    if (broken)
        tg_http_conn_abort(f->conn);
    else
        tg_http_conn_end(f->conn);
}

static void send_whole(struct fanout *f, int status, struct tg_str body)
{
    send_head(f, status, "application/json", body.n);
    if (tg_http_conn_write(f->conn, body) < 0)
        tg_http_conn_abort(f->conn);
    close_answer(f, false);
}

static void send_fail(struct fanout *f, const struct tg_fail *fail)
{
    struct tg_buf *b = &f->rt->scratch;
    tg_buf_clear(b);
    tg_dialect_openai_fail(fail, f->request_id, false, b);
    send_whole(f, tg_fail_status(fail), tg_buf_str(b));
}

static void fail_with(struct fanout *f, int err)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    (void)tg_fail_set(&fail, err, "%s", tg_err_info(err)->text); /* its value is err */
    send_fail(f, &fail);
}

/* ---- one branch: where its exchange's answer goes ---- */

static void stop_branch(struct branch *b)
{
    if (!b->task)
        return;
    b->events |= TG_REPLY_GONE;
    tg_loop_wake(b->f->rt->loop, b->task);
}

static void stop_others(struct fanout *f, const struct branch *but)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(f->branches); i++) {
        if (&f->branches[i] != but && f->branches[i].running)
            stop_branch(&f->branches[i]);
    }
}

static int64_t read_cost(struct tg_str v)
{
    ptrdiff_t dot = tg_str_chr(v, '.');
    uint64_t whole, fraction;
    if (dot < 0 || v.n - (size_t)dot != 10 || tg_parse_u64(tg_str_first(v, (size_t)dot), &whole) ||
        tg_parse_u64(tg_str_from(v, (size_t)dot + 1), &fraction) || whole > INT64_MAX / 2000000000)
        return -1;
    return (int64_t)(whole * 1000000000 + fraction);
}

static int branch_respond(void *ctx, int status, const struct tg_http_header *headers, size_t n,
                          uint64_t length)
{
    struct branch *b = ctx;
    b->status = status;
    for (size_t i = 0; i < n; i++) {
        if (tg_str_eq(headers[i].name, TG_STR("x-tollgate-cost-usd")))
            b->cost_nusd = read_cost(headers[i].value);
    }
    return 0;
}

/* ALL: each object of the branch's stream, marked as its own. */
static int mark_events(struct branch *b, struct tg_str bytes)
{
    struct tg_sse_event ev;
    struct tg_buf *out = &b->body; /* empty in streams: good for one event */
    int rc;
    while ((rc = tg_sse_next(&b->sse, &bytes, &ev)) > 0) {
        if (!ev.has_data || tg_str_eq(ev.data, TG_STR("[DONE]")))
            continue;
        tg_buf_clear(out);
        tg_fanout_write_chunk((size_t)(b - b->f->branches), b->model, ev.data, out);
        if (!tg_buf_ok(out))
            return TG_E_NOMEM;
        send_stream(b->f, tg_buf_str(out));
    }
    return rc;
}

/* A stream's first words, comments aside, win the race. */
static bool wins(struct branch *b, struct tg_str bytes)
{
    struct fanout *f = b->f;
    bool races =
        f->phase == RUNNING ? f->call.aggregate == TG_AGGREGATE_FIRST : f->phase == JUDGING;
    if (!races || !f->call.stream || f->winner >= 0 || b->status != 200 ||
        tg_str_starts(bytes, TG_STR(":")))
        return false;
    f->winner = (int)(b - f->branches);
    b->relays = true;
    stop_others(f, b);
    return true;
}

static int branch_write(void *ctx, struct tg_str bytes)
{
    struct branch *b = ctx;
    struct fanout *f = b->f;
    b->bytes += bytes.n;
    if (b->events & TG_REPLY_GONE)
        return 0;
    if (b->relays || wins(b, bytes)) {
        send_stream(f, bytes);
        return 0;
    }
    if (f->call.stream && f->call.aggregate == TG_AGGREGATE_ALL && b->status == 200)
        return mark_events(b, bytes);
    return tg_buf_str_add(&b->body, bytes);
}

static void branch_over(struct branch *b, bool broken)
{
    b->running = false;
    b->broken = broken;
    b->ended_us = tg_clock_mono_us();
    b->events |= broken ? TG_REPLY_GONE : TG_REPLY_FLUSHED;
    if (b->task)
        tg_loop_wake(b->f->rt->loop, b->task);
    tg_loop_wake(b->f->rt->loop, &b->f->task);
}

static void branch_end(void *ctx)
{
    branch_over(ctx, false);
}

static void branch_abort(void *ctx)
{
    branch_over(ctx, true);
}

static unsigned branch_take_events(void *ctx)
{
    struct branch *b = ctx;
    unsigned ev = b->events;
    b->events &= TG_REPLY_GONE; /* stays: it tells write() as well */
    return ev;
}

static bool branch_above_high(void *ctx)
{
    struct branch *b = ctx;
    bool streams = b->relays || (b->f->call.stream && b->f->call.aggregate == TG_AGGREGATE_ALL);
    return streams && tg_http_conn_above_high(b->f->conn);
}

static uint64_t branch_bytes_out(void *ctx)
{
    const struct branch *b = ctx;
    return b->bytes;
}

static void branch_detach(void *ctx)
{
    struct branch *b = ctx;
    b->task = NULL;
    if (b->running)
        branch_over(b, true);
    tg_loop_wake(b->f->rt->loop, &b->f->task);
}

static const struct tg_reply_ops branch_ops = {
    .respond = branch_respond,
    .write = branch_write,
    .end = branch_end,
    .abort = branch_abort,
    .take_events = branch_take_events,
    .above_high = branch_above_high,
    .bytes_out = branch_bytes_out,
    .detach = branch_detach,
};

/* ---- starting branches ---- */

/* The client's head with a request id of the branch's own. The idempotency key is the client's for
 * one request, not for several. */
static int make_head(struct fanout *f, size_t index, struct tg_http_head *out)
{
    struct tg_arena *a = &f->req->arena;
    const struct tg_http_head *head = f->req->head;
    struct tg_http_header *h = tg_arena_array(a, head->n_headers + 2, sizeof *h);
    struct tg_str id = tg_arena_printf(a, "%.*s-%s%zu", TG_STR_ARG(f->request_id),
                                       index == JUDGE ? "judge" : "", index == JUDGE ? 0 : index);
    if (!h || !id.p)
        return TG_E_NOMEM;
    *out = *head;
    out->target = TG_STR(CHAT_PATH);
    out->headers = h;
    out->n_headers = 0;
    h[out->n_headers++] = (struct tg_http_header){TG_STR("x-request-id"), id};
    h[out->n_headers++] =
        (struct tg_http_header){TG_STR("content-type"), TG_STR("application/json")};
    for (size_t i = 0; i < head->n_headers; i++) {
        struct tg_str name = head->headers[i].name;
        if (!tg_str_ieq(name, TG_STR("x-request-id")) &&
            !tg_str_ieq(name, TG_STR("content-type")) &&
            !tg_str_ieq(name, TG_STR("idempotency-key")))
            h[out->n_headers++] = head->headers[i];
    }
    return 0;
}

/* body is moved from. A branch that can't be started has failed like any other. */
static void start_branch(struct fanout *f, size_t index, struct tg_str model, struct tg_buf *body)
{
    struct branch *b = &f->branches[index];
    struct tg_http_head head;
    uint64_t now_us = tg_clock_mono_us();
    *b = (struct branch){.f = f,
                         .model = model,
                         .events = TG_REPLY_BODY_DONE,
                         .started_us = now_us,
                         .cost_nusd = -1};
    tg_buf_init(&b->body, MAX_ANSWER_BYTES);
    tg_sse_dec_init(&b->sse, MAX_EVENT_BYTES);
    struct tg_http_req *req = NULL;
    if (tg_buf_ok(body) && make_head(f, index, &head) == 0)
        req = tg_http_req_new(&head, body, now_us, f->req->peer);
    tg_buf_fini(body);
    b->running = true;
    if (req)
        b->task = tg_exchange_start_inner(f->rt, req, f->chat,
                                          (struct tg_reply){.ops = &branch_ops, .ctx = b});
    if (!b->task) {
        b->status = 503;
        branch_over(b, true);
    }
}

static void start_models(struct fanout *f)
{
    bool judged = f->call.aggregate >= TG_AGGREGATE_BEST_OF;
    f->phase = RUNNING;
    f->n = f->call.n_models;
    for (size_t i = 0; i < f->n; i++) {
        struct tg_buf body;
        tg_buf_init(&body, SIZE_MAX / 4);
        tg_fanout_branch_body(&f->call, f->call.models[i], f->call.stream && !judged, &body);
        start_branch(f, i, f->call.models[i], &body);
    }
}

static void open_request(struct fanout *f)
{
    struct tg_fail *fail = &f->rt->scratch_fail;
    tg_fail_clear(fail);
    if (tg_exchange_check_media(f->chat, f->req->head, fail) < 0 ||
        tg_fanout_open(&f->req->arena, tg_buf_str(&f->req->body), &f->call, fail) < 0)
        send_fail(f, fail);
    else
        start_models(f);
}

/* ---- joining ---- */

static bool is_good(const struct branch *b)
{
    return !b->running && !b->broken && b->status == 200;
}

static int first_good(const struct fanout *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (is_good(&f->branches[i]))
            return (int)i;
    }
    return -1;
}

static bool all_over(const struct fanout *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->branches[i].running)
            return false;
    }
    return true;
}

static void collect(struct fanout *f, struct tg_fanout_answer *out)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct branch *b = &f->branches[i];
        uint64_t end_us = b->running ? tg_clock_mono_us() : b->ended_us;
        bool cancelled = b->running || (b->broken && !b->status);
        out[i] = (struct tg_fanout_answer){
            .model = b->model,
            .status = cancelled                       ? 499
                      : b->broken && b->status == 200 ? 502
                                                      : b->status,
            .body = tg_buf_str(&b->body),
            .took_us = end_us - b->started_us,
            .cost_nusd = b->cost_nusd,
            .cancelled = cancelled,
        };
    }
}

static struct tg_fanout_result result_of(struct fanout *f, const struct tg_fanout_answer *answers,
                                         int selected, bool judged)
{
    struct tg_str id = f->request_id;
    if (tg_str_starts(id, TG_STR("req_")))
        id = tg_str_from(id, 4);
    return (struct tg_fanout_result){
        .aggregate = f->call.aggregate,
        .id = tg_arena_printf(&f->req->arena, "llm-%.*s", TG_STR_ARG(id)),
        .request_id = f->request_id,
        .created_s = tg_clock_wall_us() / 1000000,
        .answers = answers,
        .n = f->n,
        .selected = selected,
        .judge = f->call.judge,
        .judged = judged,
    };
}

/* Nobody answered: what the first model said of it stands for all. */
static void fail_all(struct fanout *f)
{
    const struct branch *b = &f->branches[0];
    if (b->body.n && b->status >= 400)
        send_whole(f, b->status, tg_buf_str(&b->body));
    else
        fail_with(f, TG_E_UPSTREAM_ERROR);
}

/* One whole completion is the answer, told with who took part. */
static void answer_one(struct fanout *f, struct tg_str completion, int selected, bool judged)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    struct tg_buf out;
    collect(f, answers);
    struct tg_fanout_result r = result_of(f, answers, selected, judged);
    tg_buf_init(&out, MAX_ANSWER_BYTES + (1u << 20));
    if (f->call.stream) {
        tg_fanout_write_as_chunk(&r, completion, &f->req->arena, &out);
        tg_buf_lit(&out, "data: [DONE]\n\n");
    } else {
        tg_fanout_write_one(&r, completion, &f->req->arena, &out);
    }
    if (!tg_buf_ok(&out)) {
        fail_with(f, TG_E_NOMEM);
    } else if (f->call.stream) {
        send_stream(f, tg_buf_str(&out));
        close_answer(f, false);
    } else {
        send_whole(f, 200, tg_buf_str(&out));
    }
    tg_buf_fini(&out);
}

static void join_first(struct fanout *f)
{
    if (f->call.stream && f->winner >= 0) {
        struct branch *b = &f->branches[f->winner];
        if (!b->running)
            close_answer(f, b->broken);
        return;
    }
    int good = first_good(f);
    if (good >= 0) { /* a stream without a word is an answer, too */
        stop_others(f, &f->branches[good]);
        f->call.stream
            ? (send_stream(f, tg_buf_str(&f->branches[good].body)), close_answer(f, false))
            : answer_one(f, tg_buf_str(&f->branches[good].body), good, false);
    } else if (all_over(f)) {
        fail_all(f);
    }
}

/* The error of a model whose stream never began. */
static void mark_failures(struct fanout *f)
{
    struct tg_buf out;
    for (size_t i = 0; i < f->n; i++) {
        struct branch *b = &f->branches[i];
        if (b->running || b->status == 200 || b->relays)
            continue;
        b->relays = true; /* said */
        tg_buf_init(&out, MAX_ANSWER_BYTES);
        tg_fanout_write_chunk(i, b->model, tg_buf_str(&b->body), &out);
        if (tg_buf_ok(&out))
            send_stream(f, tg_buf_str(&out));
        tg_buf_fini(&out);
    }
}

static void join_all(struct fanout *f)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    if (f->call.stream)
        mark_failures(f);
    if (!all_over(f))
        return;
    if (f->call.stream) {
        send_stream(f, TG_STR("data: [DONE]\n\n"));
        close_answer(f, false);
        return;
    }
    struct tg_buf out;
    collect(f, answers);
    struct tg_fanout_result r = result_of(f, answers, -1, false);
    tg_buf_init(&out, SIZE_MAX / 4);
    tg_fanout_write_all(&r, &f->req->arena, &out);
    if (tg_buf_ok(&out))
        send_whole(f, 200, tg_buf_str(&out));
    else
        fail_with(f, TG_E_NOMEM);
    tg_buf_fini(&out);
}

static void ask_judge(struct fanout *f)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    struct tg_buf body;
    int good = first_good(f);
    if (!all_over(f))
        return;
    if (good < 0) {
        fail_all(f);
        return;
    }
    collect(f, answers);
    f->phase = JUDGING;
    f->winner = f->call.aggregate == TG_AGGREGATE_BEST_OF ? good : -1; /* a picker never relays */
    tg_buf_init(&body, SIZE_MAX / 4);
    tg_fanout_judge_body(&f->call, &f->req->arena, answers, f->n, &body);
    start_branch(f, JUDGE, f->call.judge, &body);
}

static void join_judged(struct fanout *f)
{
    struct tg_fanout_answer answers[TG_FANOUT_MAX_MODELS];
    struct branch *judge = &f->branches[JUDGE];
    int good = first_good(f), picked = -1;
    if (judge->running)
        return;
    if (judge->relays) {
        close_answer(f, judge->broken);
        return;
    }
    collect(f, answers);
    if (is_good(judge) && f->call.aggregate == TG_AGGREGATE_MERGE) {
        answer_one(f, tg_buf_str(&judge->body), -1, true);
        return;
    }
    if (is_good(judge))
        picked = tg_fanout_verdict(&f->req->arena, tg_buf_str(&judge->body), answers, f->n);
    int index = picked >= 0 ? picked : good;
    answer_one(f, tg_buf_str(&f->branches[index].body), index, picked >= 0);
}

static void join(struct fanout *f)
{
    if (f->phase == JUDGING)
        join_judged(f);
    else if (f->call.aggregate == TG_AGGREGATE_FIRST)
        join_first(f);
    else if (f->call.aggregate == TG_AGGREGATE_ALL)
        join_all(f);
    else
        ask_judge(f);
}

/* ---- life ---- */

static void release(struct tg_grave *g)
{
    struct fanout *f = tg_container_of(g, struct fanout, grave);
    tg_http_req_free(f->req); /* f lives in its arena */
}

static void bury(struct fanout *f)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(f->branches); i++) {
        if (f->branches[i].task)
            return; /* its exchange is still at work on its end */
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(f->branches); i++) {
        tg_buf_fini(&f->branches[i].body);
        tg_sse_dec_fini(&f->branches[i].sse);
    }
    tg_task_cancel(&f->task);
    tg_loop_bury(f->rt->loop, &f->grave, release);
}

static void count(struct fanout *f)
{
    char status[24];
    struct tg_str endpoint = TG_STR("/v1/llm/chat");
    struct tg_str labels[] = {
        tg_str_make(status, tg_fmt_u64(status, (uint64_t)(f->gone ? 499 : f->status))), endpoint,
        TG_STR("fanout")};
    tg_metrics_add(f->rt->metrics, TG_METRIC_REQUESTS, labels, 3, 1);
    tg_metrics_observe_us(f->rt->metrics, TG_METRIC_REQUEST_DURATION, &endpoint, 1,
                          tg_clock_mono_us() - f->req->received_us);
}

static void finish(struct fanout *f)
{
    f->over = true;
    count(f);
    stop_others(f, NULL);
    tg_http_conn_detach(f->conn);
    f->conn = NULL;
}

static void pass_drained(struct fanout *f)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(f->branches); i++) {
        struct branch *b = &f->branches[i];
        if (!b->task)
            continue;
        b->events |= TG_REPLY_DRAINED;
        tg_loop_wake(f->rt->loop, b->task);
    }
}

static void step(struct tg_task *t)
{
    struct fanout *f = tg_container_of(t, struct fanout, task);
    unsigned ev = f->over ? 0 : tg_http_conn_take_events(f->conn);
    if ((ev & TG_CONN_BODY_DONE) && f->phase == READING)
        open_request(f);
    if (ev & TG_CONN_DRAINED)
        pass_drained(f);
    f->gone = f->gone || (ev & TG_CONN_GONE && f->phase != ANSWERED);
    if (!f->over && !f->gone && (f->phase == RUNNING || f->phase == JUDGING))
        join(f);
    if (!f->over && (f->gone || (ev & (TG_CONN_GONE | TG_CONN_FLUSHED))))
        finish(f);
    if (!f->over && f->phase == ANSWERED && tg_http_conn_take_events(f->conn))
        finish(f); /* a small answer is gone already */
    if (f->over)
        bury(f);
}

void tg_fanout_start_http(struct tg_runtime *rt, struct tg_http_conn *conn, struct tg_http_req *req,
                          const struct tg_dialect *chat, struct tg_str cors_origin)
{
    struct fanout *f = tg_arena_new(&req->arena, struct fanout);
    if (!f) {
        tg_http_conn_abort(conn);
        tg_http_req_free(req);
        return;
    }
    f->rt = rt;
    f->conn = conn;
    f->req = req;
    f->chat = chat;
    f->winner = -1;
    f->request_id = tg_exchange_request_id(&req->arena, req->head);
    f->cors_origin = tg_arena_dup(&req->arena, cors_origin);
    for (size_t i = 0; i < TG_ARRAY_LEN(f->branches); i++)
        f->branches[i].f = f;
    tg_task_init(&f->task, step);
    tg_http_conn_attach(conn, &f->task);
}
