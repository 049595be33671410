#include "server/page.h"

#include "base/err.h"
#include "core/exchange.h"

#define MAX_PAGE_BYTES (80u << 20) /* what is kept may be as large as a record of the store */
#define AWAIT_MS       5000

void tg_page_fail(struct tg_page *p, const struct tg_fail *f)
{
    tg_buf_clear(&p->body);
    p->status = tg_fail_status(f);
    p->type = "application/json";
    if (p->render_fail)
        p->render_fail(f, p->request_id, false, &p->body);
    else
        tg_dialect_openai_fail(f, p->request_id, false, &p->body);
}

void tg_page_fail_with(struct tg_page *p, int err, const char *text)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, err, "%s", text); /* its value is err */
    tg_page_fail(p, &f);
}

static size_t page_headers(const struct tg_page *p, struct tg_http_header *h)
{
    size_t n = 0;
    h[n++] = (struct tg_http_header){TG_STR("content-type"), tg_str_c(p->type)};
    h[n++] = (struct tg_http_header){TG_STR("x-request-id"), p->request_id};
    h[n++] = (struct tg_http_header){TG_STR("x-content-type-options"), TG_STR("nosniff")};
    if (p->policy)
        h[n++] = (struct tg_http_header){TG_STR("content-security-policy"), tg_str_c(p->policy)};
    if (p->encoding)
        h[n++] = (struct tg_http_header){TG_STR("content-encoding"), tg_str_c(p->encoding)};
    if (p->allow)
        h[n++] = (struct tg_http_header){TG_STR("allow"), tg_str_c(p->allow)};
    if (p->cors_origin.n) {
        h[n++] = (struct tg_http_header){TG_STR("access-control-allow-origin"), p->cors_origin};
        h[n++] = (struct tg_http_header){TG_STR("vary"), TG_STR("Origin")};
    }
    return n;
}

void tg_page_send(struct tg_page *p)
{
    struct tg_http_header h[8];
    if (!tg_buf_ok(&p->body) ||
        tg_http_conn_respond(p->conn, p->status, h, page_headers(p, h), p->body.n) < 0 ||
        tg_http_conn_write(p->conn, tg_buf_str(&p->body)) < 0) {
        tg_http_conn_abort(p->conn);
        return;
    }
    tg_http_conn_end(p->conn);
}

/* ---- life ---- */

static void release(struct tg_grave *g)
{
    struct tg_page *p = tg_container_of(g, struct tg_page, grave);
    tg_http_req_free(p->req); /* the page lives in its arena */
}

static void on_gone(struct tg_page *p)
{
    tg_timer_stop(p->worker->loop, &p->timer);
    tg_store_cancel(&p->wait);
    tg_store_result_free(p->result);
    tg_http_conn_detach(p->conn);
    tg_buf_fini(&p->body);
    tg_task_cancel(&p->task);
    tg_loop_bury(p->worker->loop, &p->grave, release);
}

/* The store has answered, or has had time enough. */
static void finish(struct tg_page *p)
{
    bool late = tg_store_waiting(&p->wait);
    if (late && tg_timer_active(&p->timer))
        return;
    tg_timer_stop(p->worker->loop, &p->timer);
    tg_store_cancel(&p->wait);
    if (late)
        tg_page_fail_with(p, TG_E_STORE, "the gateway's database did not answer in time");
    else
        p->finish(p);
    p->finish = NULL;
    tg_page_send(p);
}

static void page_step(struct tg_task *t)
{
    struct tg_page *p = tg_container_of(t, struct tg_page, task);
    unsigned ev = tg_http_conn_take_events(p->conn);
    if (ev & (TG_CONN_FLUSHED | TG_CONN_GONE))
        on_gone(p);
    else if (p->finish && (!p->wants_body || ev & TG_CONN_BODY_DONE))
        finish(p);
}

static void on_answer(struct tg_store_wait *w, struct tg_store_result *r)
{
    struct tg_page *p = tg_container_of(w, struct tg_page, wait);
    p->result = r;
    tg_loop_wake(p->worker->loop, &p->task);
}

static void on_timer(struct tg_timer *t)
{
    struct tg_page *p = tg_container_of(t, struct tg_page, timer);
    tg_loop_wake(p->worker->loop, &p->task);
}

void tg_page_await(struct tg_page *p, void (*finish_page)(struct tg_page *p))
{
    p->finish = finish_page;
    tg_timer_start(p->worker->loop, &p->timer, AWAIT_MS);
}

struct tg_page *tg_page_new(struct tg_worker *w, struct tg_http_conn *c, struct tg_http_req *req)
{
    struct tg_page *p = tg_arena_new(&req->arena, struct tg_page);
    if (!p) {
        tg_http_conn_abort(c);
        tg_http_req_free(req);
        return NULL;
    }
    p->worker = w;
    p->conn = c;
    p->req = req;
    p->status = 200;
    p->type = "application/json";
    p->request_id = tg_exchange_request_id(&req->arena, req->head);
    tg_buf_init(&p->body, MAX_PAGE_BYTES);
    tg_store_wait_init(&p->wait, on_answer);
    tg_timer_init(&p->timer, on_timer);
    tg_task_init(&p->task, page_step);
    tg_http_conn_attach(c, &p->task);
    return p;
}
