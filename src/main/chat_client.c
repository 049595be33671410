#include "main/chat_client.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/connect.h"
#include "io/tls.h"
#include "json/json.h"
#include "json/write.h"
#include "net/http_client.h"
#include "wire/h1.h"
#include "wire/sse.h"
#include "wire/url.h"

#define MAX_CONVERSATION (8u << 20)
#define MAX_ANSWER       (4u << 20)
#define TIMEOUT_MS       600000

struct tg_chat_client {
    struct tg_chat_client_opts o;
    struct tg_url url;
    struct tg_loop *loop;
    struct tg_resolver *resolver;
    struct tg_http_client *http;
    struct tg_tls_ctx *tls;
    struct tg_http_origin *origin;
    struct tg_task task;
    struct tg_http_call *call;
    struct tg_arena arena; /* of the running request */
    struct tg_sse_dec sse;
    struct tg_buf messages; /* JSON objects joined by commas */
    struct tg_buf request;
    struct tg_buf answer; /* text so far; or the body of an error */
    struct tg_fail fail;
    int status;
    bool done, finished; /* the call is over; [DONE] was seen */
    atomic_bool cancelled;
};

/* ---- the answer ---- */

static void take_error(struct tg_chat_client *c, const struct tg_json *error)
{
    struct tg_str text = tg_json_get_str(error, TG_STR("message"));
    struct tg_str code = tg_json_get_str(error, TG_STR("code"));
    (void)tg_fail_set(&c->fail, TG_E_UPSTREAM_ERROR, "%.*s%s%.*s%s", TG_STR_ARG(text),
                      code.n ? " (" : "", TG_STR_ARG(code),
                      code.n ? ")" : ""); /* the first failure stands */
}

static void take_chunk(struct tg_chat_client *c, struct tg_str data)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    if (tg_str_eq(data, TG_STR("[DONE]"))) {
        c->finished = true;
        return;
    }
    tg_arena_init(&a, 4096, 64u << 20);
    if (tg_json_parse(&a, data, NULL, &doc, &c->fail) == 0) {
        const struct tg_json *root = tg_json_root(doc), *error = tg_json_get(root, TG_STR("error"));
        const struct tg_json *choice = tg_json_at(tg_json_get(root, TG_STR("choices")), 0);
        struct tg_str text = tg_json_str(tg_json_get2(choice, TG_STR("delta"), TG_STR("content")));
        if (!tg_json_is_nil(error))
            take_error(c, error);
        if (text.n && tg_buf_str_add(&c->answer, text) == 0)
            c->o.on_text(c->o.ctx, text);
    }
    tg_arena_fini(&a);
}

static void take_body(struct tg_chat_client *c, struct tg_str bytes)
{
    struct tg_sse_event ev;
    int rc;
    if (c->status != 200) {
        (void)tg_buf_str_add(&c->answer, bytes); /* a cut error text is good enough */
        return;
    }
    while ((rc = tg_sse_next(&c->sse, &bytes, &ev)) > 0) {
        if (ev.has_data)
            take_chunk(c, ev.data);
    }
    if (rc < 0)
        (void)tg_fail_set(&c->fail, rc, "the answer is not a stream of events");
}

static void take_error_body(struct tg_chat_client *c)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    struct tg_fail ignored;
    tg_fail_clear(&ignored);
    tg_arena_init(&a, 4096, 64u << 20);
    if (tg_json_parse(&a, tg_buf_str(&c->answer), NULL, &doc, &ignored) == 0)
        take_error(c, tg_json_get(tg_json_root(doc), TG_STR("error")));
    (void)tg_fail_set(&c->fail, TG_E_UPSTREAM_ERROR, "the gateway answered %d", c->status);
    tg_arena_fini(&a);
}

static void finish(struct tg_chat_client *c)
{
    c->done = true;
    tg_loop_stop(c->loop);
}

static void step(struct tg_task *t)
{
    struct tg_chat_client *c = tg_container_of(t, struct tg_chat_client, task);
    struct tg_http_call_event ev;
    int rc;
    while (c->call && (rc = tg_http_call_next(c->call, &ev, &c->fail)) != 0) {
        if (rc < 0) {
            (void)tg_fail_set(&c->fail, rc, "%s", tg_err_info(rc)->text);
            finish(c);
            return;
        }
        if (ev.kind == TG_CALL_HEAD) {
            c->status = ev.head->status;
        } else if (ev.kind == TG_CALL_BODY) {
            take_body(c, ev.body);
        } else if (ev.kind == TG_CALL_END) {
            finish(c);
            return;
        }
    }
}

/* ---- the request ---- */

static int write_request(struct tg_chat_client *c, enum tg_http_method m, const char *path,
                         struct tg_str body)
{
    struct tg_buf *b = &c->request;
    struct tg_str target = tg_arena_printf(&c->arena, "%.*s%s", TG_STR_ARG(c->url.path), path);
    struct tg_str host = tg_arena_printf(&c->arena, c->url.host_is_ipv6 ? "[%.*s]:%u" : "%.*s:%u",
                                         TG_STR_ARG(c->url.host), c->url.port);
    tg_buf_clear(b);
    int rc = tg_h1_write_request_line(b, m, target);
    if (rc == 0)
        rc = tg_h1_write_header(b, TG_STR("Host"), host);
    if (rc == 0)
        rc = tg_h1_write_header(b, TG_STR("Content-Type"), TG_STR("application/json"));
    if (rc == 0 && c->o.api_key.n) {
        struct tg_str bearer = tg_arena_printf(&c->arena, "Bearer %.*s", TG_STR_ARG(c->o.api_key));
        rc = tg_h1_write_header(b, TG_STR("Authorization"), bearer);
    }
    if (rc < 0)
        return rc;
    (void)tg_buf_printf(b, "Content-Length: %zu\r\n\r\n", body.n);
    (void)tg_buf_str_add(b, body);
    return tg_buf_ok(b) ? 0 : TG_E_NOMEM;
}

static int run_call(struct tg_chat_client *c, enum tg_http_method m, uint32_t timeout_ms)
{
    struct iovec iov = {c->request.p, c->request.n};
    struct tg_http_call_opts o = {.method = m,
                                  .request = &iov,
                                  .n_request = 1,
                                  .arena = &c->arena,
                                  .connect_timeout_ms = timeout_ms,
                                  .first_byte_timeout_ms = timeout_ms,
                                  .idle_timeout_ms = timeout_ms};
    c->done = c->finished = false;
    c->status = 0;
    tg_fail_clear(&c->fail);
    tg_buf_clear(&c->answer);
    tg_sse_dec_init(&c->sse, MAX_ANSWER);
    int rc = tg_http_call_start(c->origin, &o, &c->task, &c->call);
    if (rc == 0) {
        tg_loop_run(c->loop);
        tg_http_call_free(c->call);
    }
    c->call = NULL;
    tg_task_cancel(&c->task);
    tg_sse_dec_fini(&c->sse);
    return rc;
}

static int judge(struct tg_chat_client *c)
{
    if (atomic_load(&c->cancelled))
        return tg_fail_set(&c->fail, TG_E_CANCELLED, "cancelled");
    if (c->status && c->status != 200)
        take_error_body(c);
    if (!c->fail.err && !c->finished)
        (void)tg_fail_set(&c->fail, TG_E_UPSTREAM_INCOMPLETE, "the answer broke off");
    return c->fail.err;
}

bool tg_chat_client_probe(struct tg_chat_client *c, uint32_t timeout_ms)
{
    tg_arena_init(&c->arena, 4096, 1u << 20);
    int rc = write_request(c, TG_HTTP_GET, "/health", TG_STR(""));
    if (rc == 0)
        rc = run_call(c, TG_HTTP_GET, timeout_ms);
    tg_arena_fini(&c->arena);
    return rc == 0 && c->status == 200;
}

/* ---- the conversation ---- */

static int add_message(struct tg_chat_client *c, struct tg_str role, struct tg_str text)
{
    if (c->messages.n)
        (void)tg_buf_char(&c->messages, ','); /* tested below */
    struct tg_jw w = tg_jw(&c->messages);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("role"), role);
    tg_jw_kstr(&w, TG_STR("content"), text);
    tg_jw_end_obj(&w);
    return tg_buf_ok(&c->messages) ? 0 : TG_E_FULL;
}

static int make_body(struct tg_chat_client *c, struct tg_buf *body)
{
    struct tg_jw w = tg_jw(body);
    tg_jw_obj(&w);
    if (c->o.model.n)
        tg_jw_kstr(&w, TG_STR("model"), c->o.model);
    tg_jw_kbool(&w, TG_STR("stream"), true);
    tg_jw_key(&w, TG_STR("messages"));
    tg_jw_arr(&w);
    tg_jw_raw(&w, tg_buf_str(&c->messages));
    tg_jw_end_arr(&w);
    tg_jw_end_obj(&w);
    return tg_buf_ok(body) ? 0 : TG_E_NOMEM;
}

static int post(struct tg_chat_client *c)
{
    struct tg_buf body;
    tg_buf_init(&body, MAX_CONVERSATION + 4096);
    int rc = make_body(c, &body);
    if (rc == 0)
        rc = write_request(c, TG_HTTP_POST, "/v1/chat/completions", tg_buf_str(&body));
    tg_buf_fini(&body);
    if (rc == 0)
        rc = run_call(c, TG_HTTP_POST, TIMEOUT_MS);
    return rc;
}

int tg_chat_client_ask(struct tg_chat_client *c, struct tg_str message, struct tg_fail *fail)
{
    size_t before = c->messages.n;
    atomic_store(&c->cancelled, false);
    tg_arena_init(&c->arena, 4096, 64u << 20);
    int rc = add_message(c, TG_STR("user"), message);
    if (rc == 0)
        rc = post(c);
    if (rc == 0)
        rc = judge(c);
    if (rc == 0)
        rc = add_message(c, TG_STR("assistant"), tg_buf_str(&c->answer));
    if (rc < 0) {
        c->messages.n = before;
        c->messages.failed = false;
        *fail = c->fail;
        (void)tg_fail_set(fail, rc, "%s", tg_err_info(rc)->text); /* the first text stands */
    }
    tg_arena_fini(&c->arena);
    return rc;
}

void tg_chat_client_cancel(struct tg_chat_client *c)
{
    atomic_store(&c->cancelled, true);
    tg_loop_stop_async(c->loop);
}

/* ---- life ---- */

static int open_client(struct tg_chat_client *c, struct tg_fail *fail)
{
    int rc = tg_url_parse(c->o.url, &c->url);
    if (rc < 0)
        return tg_fail_set(fail, rc, "not an http or https URL: %.*s", TG_STR_ARG(c->o.url));
    rc = tg_loop_new(&c->loop);
    if (rc == 0)
        rc = tg_resolver_new(c->loop, &c->resolver);
    struct tg_http_client_opts o = {.resolver = c->resolver};
    if (rc == 0)
        rc = tg_http_client_new(c->loop, &o, &c->http);
    if (rc == 0 && c->url.https)
        rc = tg_tls_client_new(NULL, &c->tls, fail);
    struct tg_http_origin_opts origin = {
        .host = c->url.host, .port = c->url.port, .https = c->url.https, .tls = c->tls};
    if (rc == 0)
        rc = tg_http_origin_get(c->http, &origin, &c->origin);
    if (rc == 0 && c->o.system.n)
        rc = add_message(c, TG_STR("system"), c->o.system);
    return rc;
}

int tg_chat_client_new(const struct tg_chat_client_opts *o, struct tg_chat_client **out,
                       struct tg_fail *fail)
{
    struct tg_chat_client *c = tg_calloc(1, sizeof *c);
    if (!c)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    c->o = *o;
    tg_task_init(&c->task, step);
    tg_buf_init(&c->messages, MAX_CONVERSATION);
    tg_buf_init(&c->request, MAX_CONVERSATION + 65536);
    tg_buf_init(&c->answer, MAX_ANSWER);
    int rc = open_client(c, fail);
    if (rc < 0) {
        tg_chat_client_free(c);
        return tg_fail_set(fail, rc, "%s", tg_err_info(rc)->text);
    }
    *out = c;
    return 0;
}

void tg_chat_client_free(struct tg_chat_client *c)
{
    if (c->http)
        tg_http_client_free(c->http);
    if (c->resolver)
        tg_resolver_free(c->resolver);
    tg_tls_unref(c->tls);
    if (c->loop)
        tg_loop_free(c->loop);
    tg_buf_fini(&c->messages);
    tg_buf_fini(&c->request);
    tg_buf_fini(&c->answer);
    tg_free(c);
}
