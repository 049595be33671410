#include "core/fanout.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"
#include "core/fanout_priv.h"

/* ---- the client's side ---- */

static void send_head(struct tg_fanout *f, int status, const char *type, uint64_t length)
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

void tg_fanout_send_stream(struct tg_fanout *f, struct tg_str bytes)
{
    if (!f->head_sent)
        send_head(f, 200, "text/event-stream", TG_HTTP_LENGTH_UNKNOWN);
    if (bytes.n && tg_http_conn_write(f->conn, bytes) < 0)
        tg_http_conn_abort(f->conn);
}

void tg_fanout_close_answer(struct tg_fanout *f, bool broken)
{
    f->phase = TG_FANOUT_ANSWERED;
    if (broken)
        tg_http_conn_abort(f->conn);
    else
        tg_http_conn_end(f->conn);
}

void tg_fanout_send_whole(struct tg_fanout *f, int status, struct tg_str body)
{
    send_head(f, status, "application/json", body.n);
    if (tg_http_conn_write(f->conn, body) < 0)
        tg_http_conn_abort(f->conn);
    tg_fanout_close_answer(f, false);
}

static void send_fail(struct tg_fanout *f, const struct tg_fail *fail)
{
    struct tg_buf *b = &f->rt->scratch;
    tg_buf_clear(b);
    tg_dialect_openai_fail(fail, f->request_id, false, b);
    tg_fanout_send_whole(f, tg_fail_status(fail), tg_buf_str(b));
}

void tg_fanout_fail_with(struct tg_fanout *f, int err)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    (void)tg_fail_set(&fail, err, "%s", tg_err_info(err)->text); /* its value is err */
    send_fail(f, &fail);
}

/* ---- starting ---- */

static void start_models(struct tg_fanout *f)
{
    bool judged = f->call.aggregate >= TG_AGGREGATE_BEST_OF;
    f->phase = TG_FANOUT_RUNNING;
    f->n = f->call.n_models;
    for (size_t i = 0; i < f->n; i++) {
        struct tg_buf body;
        tg_buf_init(&body, SIZE_MAX / 4);
        tg_fanout_branch_body(&f->call, f->call.models[i], f->call.stream && !judged, &body);
        tg_fanout_start_branch(f, i, f->call.models[i], &body);
    }
}

static void open_request(struct tg_fanout *f)
{
    struct tg_fail *fail = &f->rt->scratch_fail;
    tg_fail_clear(fail);
    if (tg_exchange_check_media(f->chat, f->req->head, fail) < 0 ||
        tg_fanout_open(&f->req->arena, tg_buf_str(&f->req->body), &f->call, fail) < 0)
        send_fail(f, fail);
    else
        start_models(f);
}

/* ---- life ---- */

static void release(struct tg_grave *g)
{
    struct tg_fanout *f = tg_container_of(g, struct tg_fanout, grave);
    tg_http_req_free(f->req); /* f lives in its arena */
}

static void bury(struct tg_fanout *f)
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

static void count(struct tg_fanout *f)
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

static void finish(struct tg_fanout *f)
{
    f->over = true;
    count(f);
    tg_fanout_stop_others(f, NULL);
    tg_http_conn_detach(f->conn);
    f->conn = NULL;
}

static void pass_drained(struct tg_fanout *f)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(f->branches); i++) {
        struct tg_fanout_branch *b = &f->branches[i];
        if (!b->task)
            continue;
        b->events |= TG_REPLY_DRAINED;
        tg_loop_wake(f->rt->loop, b->task);
    }
}

static void step(struct tg_task *t)
{
    struct tg_fanout *f = tg_container_of(t, struct tg_fanout, task);
    unsigned ev = f->over ? 0 : tg_http_conn_take_events(f->conn);
    if ((ev & TG_CONN_BODY_DONE) && f->phase == TG_FANOUT_READING)
        open_request(f);
    if (ev & TG_CONN_DRAINED)
        pass_drained(f);
    f->gone = f->gone || (ev & TG_CONN_GONE && f->phase != TG_FANOUT_ANSWERED);
    if (!f->over && !f->gone && (f->phase == TG_FANOUT_RUNNING || f->phase == TG_FANOUT_JUDGING))
        tg_fanout_join(f);
    if (!f->over && (f->gone || (ev & (TG_CONN_GONE | TG_CONN_FLUSHED))))
        finish(f);
    if (!f->over && f->phase == TG_FANOUT_ANSWERED && tg_http_conn_take_events(f->conn))
        finish(f); /* a small answer is gone already */
    if (f->over)
        bury(f);
}

void tg_fanout_start_http(struct tg_runtime *rt, struct tg_http_conn *conn, struct tg_http_req *req,
                          const struct tg_dialect *chat, struct tg_str cors_origin)
{
    struct tg_fanout *f = tg_arena_new(&req->arena, struct tg_fanout);
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
