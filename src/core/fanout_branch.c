/* One model's request of a fan-out: an exchange whose reply is the branch. */
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "core/fanout_priv.h"
#include "core/reply.h"

#define MAX_EVENT_BYTES (4u << 20)
#define CHAT_PATH       "/v1/chat/completions"

/* ---- where its exchange's answer goes ---- */

static void stop_branch(struct tg_fanout_branch *b)
{
    if (!b->task)
        return;
    b->events |= TG_REPLY_GONE;
    tg_loop_wake(b->f->rt->loop, b->task);
}

void tg_fanout_stop_others(struct tg_fanout *f, const struct tg_fanout_branch *but)
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
    struct tg_fanout_branch *b = ctx;
    b->status = status;
    for (size_t i = 0; i < n; i++) {
        if (tg_str_eq(headers[i].name, TG_STR("x-tollgate-cost-usd")))
            b->cost_nusd = read_cost(headers[i].value);
    }
    return 0;
}

/* ALL: each object of the branch's stream, marked as its own. */
static int mark_events(struct tg_fanout_branch *b, struct tg_str bytes)
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
        tg_fanout_send_stream(b->f, tg_buf_str(out));
    }
    return rc;
}

/* A stream's first words, comments aside, win the race. */
static bool wins(struct tg_fanout_branch *b, struct tg_str bytes)
{
    struct tg_fanout *f = b->f;
    bool races = f->phase == TG_FANOUT_RUNNING ? f->call.aggregate == TG_AGGREGATE_FIRST
                                               : f->phase == TG_FANOUT_JUDGING;
    if (!races || !f->call.stream || f->winner >= 0 || b->status != 200 ||
        tg_str_starts(bytes, TG_STR(":")))
        return false;
    f->winner = (int)(b - f->branches);
    b->relays = true;
    tg_fanout_stop_others(f, b);
    return true;
}

static int branch_write(void *ctx, struct tg_str bytes)
{
    struct tg_fanout_branch *b = ctx;
    struct tg_fanout *f = b->f;
    b->bytes += bytes.n;
    if (b->events & TG_REPLY_GONE)
        return 0;
    if (b->relays || wins(b, bytes)) {
        tg_fanout_send_stream(f, bytes);
        return 0;
    }
    if (f->call.stream && f->call.aggregate == TG_AGGREGATE_ALL && b->status == 200)
        return mark_events(b, bytes);
    return tg_buf_str_add(&b->body, bytes);
}

static void branch_over(struct tg_fanout_branch *b, bool broken)
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
    struct tg_fanout_branch *b = ctx;
    unsigned ev = b->events;
    b->events &= TG_REPLY_GONE; /* stays: it tells write() as well */
    return ev;
}

static bool branch_above_high(void *ctx)
{
    struct tg_fanout_branch *b = ctx;
    bool streams = b->relays || (b->f->call.stream && b->f->call.aggregate == TG_AGGREGATE_ALL);
    return streams && tg_http_conn_above_high(b->f->conn);
}

static uint64_t branch_bytes_out(void *ctx)
{
    const struct tg_fanout_branch *b = ctx;
    return b->bytes;
}

static void branch_detach(void *ctx)
{
    struct tg_fanout_branch *b = ctx;
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

/* ---- starting ---- */

/* The client's head with a request id of the branch's own. The idempotency key is the client's for
 * one request, not for several. */
static int make_head(struct tg_fanout *f, size_t index, struct tg_http_head *out)
{
    struct tg_arena *a = &f->req->arena;
    const struct tg_http_head *head = f->req->head;
    struct tg_http_header *h = tg_arena_array(a, head->n_headers + 2, sizeof *h);
    struct tg_str id = tg_arena_printf(a, "%.*s-%s%zu", TG_STR_ARG(f->request_id),
                                       index == TG_FANOUT_JUDGE ? "judge" : "",
                                       index == TG_FANOUT_JUDGE ? 0 : index);
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

void tg_fanout_start_branch(struct tg_fanout *f, size_t index, struct tg_str model,
                            struct tg_buf *body)
{
    struct tg_fanout_branch *b = &f->branches[index];
    struct tg_http_head head;
    uint64_t now_us = tg_clock_mono_us();
    *b = (struct tg_fanout_branch){.f = f,
                                   .model = model,
                                   .events = TG_REPLY_BODY_DONE,
                                   .started_us = now_us,
                                   .cost_nusd = -1};
    tg_buf_init(&b->body, TG_FANOUT_MAX_ANSWER_BYTES);
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
