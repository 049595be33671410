#include "server/router.h"

#include "admin/api_docs.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/rand.h"
#include "core/exchange.h"
#include "core/fanout.h"
#include "server/cors.h"
#include "server/model_pages.h"
#include "server/page.h"
#include "server/page_view.h"
#include "server/response_pages.h"
#include "server/routes_priv.h"
#include "server/worker.h"
#include "wire/url.h"

/* ---- pages ---- */

/* Ollama's clients look here whether there is a server. */
static void page_root(struct tg_page *p)
{
    p->type = "text/plain; charset=utf-8";
    (void)tg_buf_lit(&p->body, "Tollgate is running. Its API: /docs, /redoc, /openapi.json\n");
}

static void page_liveness(struct tg_page *p)
{
    (void)tg_buf_lit(&p->body, "{\"status\":\"ok\",\"version\":\"" TG_VERSION "\"}");
}

static void page_health(struct tg_page *p)
{
    struct tg_admin_view v;
    tg_page_view(p, &v);
    if (tg_admin_health(&v, &p->body, &p->status) < 0)
        tg_page_fail_with(p, TG_E_NOMEM, "out of memory");
}

static void page_metrics(struct tg_page *p)
{
    struct tg_admin_view v;
    if (!p->worker->rt->epoch->snapshot->settings.observability.metrics_enabled) {
        tg_page_fail_with(p, TG_E_NOT_FOUND, "metrics are switched off (METRICS_ENABLED)");
        return;
    }
    tg_page_view(p, &v);
    p->type = "text/plain; version=0.0.4; charset=utf-8";
    if (tg_admin_metrics(&v, &p->body) < 0)
        tg_page_fail_with(p, TG_E_NOMEM, "out of memory");
}

static void page_openapi(struct tg_page *p)
{
    if (tg_server_openapi(p->worker->rt->registry, &p->req->arena, &p->body) < 0)
        tg_page_fail_with(p, TG_E_NOMEM, "out of memory");
}

/* /docs, /redoc and their files. The scripts are kept gzipped; every browser takes that. */
static void page_api_doc(struct tg_page *p)
{
    const struct tg_api_doc *d = tg_admin_api_doc(p->path);
    if (!d) {
        tg_page_fail_with(p, TG_E_NOT_FOUND, "no such file of the API's pages");
        return;
    }
    p->type = d->type;
    p->policy = tg_admin_api_docs_policy;
    p->encoding = d->gzip ? "gzip" : NULL;
    (void)tg_buf_str_add(&p->body, tg_admin_api_doc_bytes(d)); /* tg_page_send() tests the buffer */
}

#define GET    TG_ROUTE_GET
#define POST   TG_ROUTE_POST
#define DELETE TG_ROUTE_DELETE

static const struct tg_page_route pages[] = {
    {TG_STR_INIT("/v1/models/"), true, tg_page_model_command, TG_STR_INIT("/load"), POST,
     .post = {"Loads a local model", "ModelCommand", .statuses = "202"}},
    {TG_STR_INIT("/v1/models/"), true, tg_page_model_command, TG_STR_INIT("/unload"), POST,
     .post = {"Frees a local model's memory", "ModelCommand", .statuses = "202"}},
    {TG_STR_INIT("/v1/responses"), false, tg_page_response_upgrade,
     .get = {"Refused: there is no WebSocket here", .statuses = ""}},
    {TG_STR_INIT("/v1/responses/"), true, tg_page_response_cancel, TG_STR_INIT("/cancel"), POST,
     .post = {"Refused: no response is made in the background", .statuses = ""}},
    {TG_STR_INIT("/v1/responses/"), true, tg_page_response_items, TG_STR_INIT("/input_items"),
     .get = {"The input of a kept response", "ResponseItems", .query = "order limit after"}},
    {TG_STR_INIT("/v1/responses/"), true, tg_page_response, TG_STR_INIT(""), GET | DELETE,
     .get = {"A kept response", "Response"},
     .delete_ = {"Forgets a kept response", "ResponseDeleted"}},
    {TG_STR_INIT("/v1/models"), false, tg_page_models,
     .get = {"The models; for Google's clients in Gemini's form", "ModelListInAnyForm"}},
    {TG_STR_INIT("/v1/models/"), true, tg_page_model,
     .get = {"One model; for Google's clients in Gemini's form", "ModelInAnyForm"}},
    {TG_STR_INIT("/v1beta/models"), false, tg_page_gemini_models,
     .get = {"The models, in Gemini's form", "GeminiModels", .fails = "GeminiError"}},
    {TG_STR_INIT("/v1beta/models/"), true, tg_page_gemini_model,
     .get = {"One model, in Gemini's form", "GeminiModel", .fails = "GeminiError"}},
    {TG_STR_INIT("/api/tags"), false, tg_page_ollama_tags,
     .get = {"The models, in Ollama's form", "OllamaModels", .fails = "OllamaError"}},
    {TG_STR_INIT("/api/ps"), false, tg_page_ollama_ps,
     .get = {"The local models in memory", "OllamaModels", .fails = "OllamaError"}},
    {TG_STR_INIT("/api/show"), false, tg_page_ollama_show, TG_STR_INIT(""), POST,
     .post = {"One model, in Ollama's form", "OllamaShow", .takes = "OllamaShowRequest",
              .fails = "OllamaError"}},
    {TG_STR_INIT("/api/version"), false, tg_page_ollama_version,
     .get = {"The version of Ollama's API", "OllamaVersion", .fails = "OllamaError"}},
    {TG_STR_INIT("/"), false, page_root, .get = {"That it runs, as text", .type = "text/plain"}},
    {TG_STR_INIT("/health"), false, page_liveness, .get = {"Liveness", "Liveness"}},
    {TG_STR_INIT("/v1/health"), false, page_health,
     .get = {"Readiness and detail", "Health", .statuses = "200 503"}},
    {TG_STR_INIT("/metrics"), false, page_metrics,
     .get = {"Metrics for Prometheus", .type = "text/plain"}},
    {TG_STR_INIT("/v1/metrics"), false, page_metrics,
     .get = {"Metrics for Prometheus", .type = "text/plain"}},
    {TG_STR_INIT("/openapi.json"), false, page_openapi, .get = {"This document", "OpenAPI"}},
    {TG_STR_INIT("/docs"), false, page_api_doc,
     .get = {"This document in Swagger UI, to try it", .type = "text/html"}},
    {TG_STR_INIT("/docs/"), true, page_api_doc, .get = {"A file of that page", .type = "*/*"}},
    {TG_STR_INIT("/redoc"), false, page_api_doc,
     .get = {"This document in Redoc, to read it", .type = "text/html"}},
    {TG_STR_INIT("/redoc/"), true, page_api_doc, .get = {"A file of that page", .type = "*/*"}},
};

const struct tg_page_route *tg_router_pages(size_t *out_n)
{
    *out_n = TG_ARRAY_LEN(pages);
    return pages;
}

static bool matches(const struct tg_page_route *r, struct tg_str path)
{
    if (!r->prefix)
        return tg_str_eq(path, r->path);
    return path.n > r->path.n + r->suffix.n && tg_str_starts(path, r->path) &&
           tg_str_ends(path, r->suffix);
}

static const struct tg_page_route *find_page(struct tg_str path)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(pages); i++) {
        if (matches(&pages[i], path))
            return &pages[i];
    }
    return NULL;
}

static unsigned methods_of(const struct tg_page_route *r)
{
    return r->methods ? r->methods : GET;
}

static bool takes(const struct tg_page_route *r, enum tg_http_method m)
{
    unsigned bit = m == TG_HTTP_POST                       ? POST
                   : m == TG_HTTP_DELETE                   ? DELETE
                   : m == TG_HTTP_GET || m == TG_HTTP_HEAD ? GET
                                                           : 0;
    return (methods_of(r) & bit) != 0;
}

/* ---- routing ---- */

static void send_preflight(struct tg_page *p)
{
    struct tg_http_header h[6];
    size_t n = tg_cors_preflight(p->cors_origin, p->req->head, h);
    h[n++] = (struct tg_http_header){TG_STR("x-request-id"), p->request_id};
    if (tg_http_conn_respond(p->conn, 204, h, n, 0) < 0)
        tg_http_conn_abort(p->conn);
    else
        tg_http_conn_end(p->conn);
}

/* Tunnels and echoes are for no path at all. */
static bool is_never_taken(enum tg_http_method m)
{
    return m == TG_HTTP_CONNECT || m == TG_HTTP_TRACE;
}

static const char *allowed_methods(const struct tg_page_route *r, const struct tg_dialect *d)
{
    if (!r && !d)
        return "GET, HEAD, POST";
    if (!r || methods_of(r) == POST)
        return "POST";
    return methods_of(r) & DELETE ? "GET, HEAD, DELETE" : "GET, HEAD";
}

static void answer_page(struct tg_page *p, const struct tg_page_route *r,
                        const struct tg_dialect *d)
{
    enum tg_http_method m = p->req->head->method;
    if (p->cors_origin.n && tg_cors_is_preflight(p->req->head)) {
        send_preflight(p);
        return;
    }
    bool fanout = tg_str_eq(p->path, TG_STR(TG_FANOUT_PATH));
    if (r && r->prefix && m == TG_HTTP_POST && !takes(r, m) && tg_str_chr(p->path, ':') >= 0)
        r = NULL; /* models/x:verb, a verb that nobody knows */
    if (r && takes(r, m)) {
        r->make(p);
    } else if (r || d || fanout || is_never_taken(m)) {
        p->allow = fanout ? "POST" : allowed_methods(r, d);
        tg_page_fail_with(p, TG_E_METHOD_NOT_ALLOWED, "this path does not take that method");
    } else {
        struct tg_fail f;
        char quoted[200];
        tg_fail_clear(&f);
        (void)tg_fail_set(&f, TG_E_NOT_FOUND, "no such path: %s",
                          tg_fail_quote(p->path, quoted, sizeof quoted)); /* its value is known */
        tg_page_fail(p, &f);
    }
    if (!p->finish)
        tg_page_send(p);
}

static void on_request(void *ctx, struct tg_http_conn *c, struct tg_http_req *req)
{
    struct tg_worker *w = ctx;
    const struct tg_endpoint *ep;
    struct tg_str path, query;
    size_t index;
    tg_target_split(req->head->target, &path, &query);
    struct tg_str origin = tg_cors_origin(&w->rt->epoch->snapshot->settings.server, req->head);
    const struct tg_dialect *d = tg_registry_find(w->rt->registry, path, 0, &ep, &index);
    if (d && req->head->method == ep->method) {
        tg_exchange_start_http(w->rt, c, req, index, origin);
        return;
    }
    if (tg_str_eq(path, TG_STR(TG_FANOUT_PATH)) && req->head->method == TG_HTTP_POST) {
        tg_fanout_start_http(w->rt, c, req, &tg_dialect_openai_chat, origin);
        return;
    }
    struct tg_page *p = tg_page_new(w, c, req);
    if (!p)
        return;
    p->path = path;
    p->query = query;
    p->cors_origin = origin;
    tg_page_choose_fail(p, d);
    answer_page(p, find_page(path), d);
}

/* ---- refusals ---- */

static void log_refusal(struct tg_worker *w, struct tg_str id, const struct tg_fail *f)
{
    if (!tg_log_on(TG_LOG_WARNING))
        return;
    struct tg_buf *b = &w->rt->log;
    tg_log_begin(b, TG_LOG_WARNING, "request_failed");
    tg_log_str(b, "request_id", id);
    tg_log_i64(b, "status", tg_fail_status(f));
    tg_log_cstr(b, "error_code", tg_fail_code(f));
    tg_log_cstr(b, "error", f->message);
    tg_log_end(b);
}

static void on_refused(void *ctx, struct tg_http_conn *c, int err)
{
    struct tg_worker *w = ctx;
    struct tg_fail f;
    char id[48];
    struct tg_str request_id = tg_str_make(id, tg_rand_id("req_", id, sizeof id));
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, err, "%s", tg_err_info(err)->text); /* its value is err */
    log_refusal(w, request_id, &f);
    tg_buf_clear(&w->rt->scratch);
    tg_dialect_openai_fail(&f, request_id, false, &w->rt->scratch);
    struct tg_http_header h[] = {{TG_STR("content-type"), TG_STR("application/json")},
                                 {TG_STR("x-request-id"), request_id}};
    struct tg_str body = tg_buf_str(&w->rt->scratch);
    if (tg_http_conn_respond(c, tg_fail_status(&f), h, 2, body.n) < 0 ||
        tg_http_conn_write(c, body) < 0)
        tg_http_conn_abort(c);
    else
        tg_http_conn_end(c);
}

const struct tg_http_server_ops tg_router_ops = {
    .on_request = on_request,
    .on_refused = on_refused,
};
