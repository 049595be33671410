#include "server/response_pages.h"

#include "admin/responses.h"
#include "base/err.h"
#include "wire/url.h"

#define PREFIX      "/v1/responses/"
#define READ_FACTOR 5 /* of a text's size: json.h */

/* The id in the path, in front of `suffix`. */
static bool find_id(struct tg_page *p, struct tg_str suffix, struct tg_str *out)
{
    struct tg_str s = tg_str_from(p->path, sizeof PREFIX - 1);
    if (tg_percent_decode(&p->req->arena, tg_str_first(s, s.n - suffix.n), out) == 0)
        return true;
    tg_page_fail_with(p, TG_E_BAD_REQUEST, "malformed response id in the path");
    return false;
}

static void not_found(struct tg_page *p, struct tg_str id)
{
    struct tg_fail f;
    char quoted[160];
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_NOT_FOUND, "Response with id '%s' not found.",
                      tg_fail_quote(id, quoted, sizeof quoted)); /* its value is known */
    tg_page_fail(p, &f);
}

/* Whether the page's result is a record; else the page is an error. */
static bool found(struct tg_page *p)
{
    const struct tg_store_result *r = p->result;
    if (r->err == 0)
        return true;
    if (r->err == TG_E_NOT_FOUND_INTERNAL)
        not_found(p, r->missing);
    else
        tg_page_fail_with(p, r->err, tg_err_info(r->err)->text);
    return false;
}

static void ask_failed(struct tg_page *p, int rc)
{
    tg_page_fail_with(p, rc,
                      rc == TG_E_FULL ? "too many requests wait for the gateway's database"
                                      : tg_err_info(rc)->text);
}

static void ask(struct tg_page *p, struct tg_str suffix, void (*finish)(struct tg_page *))
{
    struct tg_str id;
    if (!find_id(p, suffix, &id))
        return;
    if (!p->worker->rt->store) {
        not_found(p, id);
        return;
    }
    int rc = tg_store_get(p->worker->rt->store, TG_STR(""), id, &p->wait);
    if (rc < 0)
        ask_failed(p, rc);
    else
        tg_page_await(p, finish);
}

/* ---- the answer ---- */

static void finish_get(struct tg_page *p)
{
    if (found(p))
        (void)tg_buf_str_add(&p->body, p->result->v->response); /* tg_page_send() tests it */
}

static void finish_delete(struct tg_page *p)
{
    struct tg_str id;
    if (found(p) && find_id(p, TG_STR(""), &id))
        tg_admin_response_deleted(id, &p->body);
}

static void ask_delete(struct tg_page *p)
{
    struct tg_str id;
    if (!find_id(p, TG_STR(""), &id))
        return;
    if (!p->worker->rt->store) {
        not_found(p, id);
        return;
    }
    int rc = tg_store_delete(p->worker->rt->store, TG_STR(""), id, &p->wait);
    if (rc < 0)
        ask_failed(p, rc);
    else
        tg_page_await(p, finish_delete);
}

void tg_page_response(struct tg_page *p)
{
    struct tg_str stream;
    if (p->req->head->method == TG_HTTP_DELETE) {
        ask_delete(p);
        return;
    }
    if (tg_query_get(p->query, TG_STR("stream"), &stream) && tg_str_eq(stream, TG_STR("true"))) {
        tg_page_fail_with(p, TG_E_UNSUPPORTED_PARAMETER,
                          "'stream' is for responses that were made in the background");
        return;
    }
    ask(p, TG_STR(""), finish_get);
}

/* ---- its input ---- */

static void finish_items(struct tg_page *p)
{
    struct tg_admin_list list;
    struct tg_fail f;
    if (!found(p))
        return;
    tg_fail_clear(&f);
    const struct tg_store_response *r = p->result->v;
    p->req->arena.max_bytes += r->input_items.n * READ_FACTOR;
    int rc = tg_admin_list_read(&p->req->arena, p->query, &list, &f);
    if (rc == 0)
        rc = tg_admin_input_items(&p->req->arena, r->id, r->input_items, &list, &p->body, &f);
    if (rc == 0)
        return;
    (void)tg_fail_set(&f, rc, "%s", tg_err_info(rc)->text); /* the first text stands */
    tg_page_fail(p, &f);
}

void tg_page_response_items(struct tg_page *p)
{
    ask(p, TG_STR("/input_items"), finish_items);
}

/* ---- what can't be done ---- */

static void finish_cancel(struct tg_page *p)
{
    if (found(p))
        tg_page_fail_with(p, TG_E_INVALID_VALUE, "Cannot cancel a synchronous response.");
}

void tg_page_response_cancel(struct tg_page *p)
{
    ask(p, TG_STR("/cancel"), finish_cancel);
}

void tg_page_response_upgrade(struct tg_page *p)
{
    struct tg_fail f;
    p->allow = "POST";
    if (!tg_http_head_get(p->req->head, TG_STR("upgrade")).n) {
        tg_page_fail_with(p, TG_E_METHOD_NOT_ALLOWED, "this path does not take that method");
        return;
    }
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_METHOD_NOT_ALLOWED,
                      "there is no WebSocket here: send POST /v1/responses, with \"stream\": true "
                      "for events"); /* its value is known */
    f.http_status = 426;
    tg_str_to_c(TG_STR("websocket_not_supported"), f.code, sizeof f.code);
    tg_page_fail(p, &f);
}
