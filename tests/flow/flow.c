#include "flow.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/registry.h"
#include "server/router.h"

#define PATIENCE_US 30000000 /* a sanitizer on a busy machine needs most of it */
#define QUIET_TURNS 40

static uint64_t real_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the worker ---- */

static void load(struct flow *f, const char *extra)
{
    struct tg_config_report report;
    struct tg_snapshot *s = NULL;
    int n = snprintf(f->yaml, sizeof f->yaml,
                     "server: {port: 0, workers: 1}\n"
                     "engine: {builtin: false}\n"
                     "%s"
                     "models:\n"
                     "  up: {backend_type: openai_compatible, model_name: mock, api_key: sk-canary,"
                     " base_url: 'http://127.0.0.1:%u/v1'}\n"
                     "  'mock:*': {backend_type: openai_compatible,"
                     " base_url: 'http://127.0.0.1:%u/v1'}\n"
                     "  in: {backend_type: mock}\n"
                     "  'in:*': {backend_type: mock}\n"
                     "  gone: {backend_type: openai_compatible, base_url: 'http://127.0.0.1:1/v1',"
                     " fallbacks: [in]}\n"
                     "  hello: {backend_type: openai_compatible, model_name: 'mock:wire=no_done',"
                     " base_url: 'http://127.0.0.1:%u/v1', fallbacks: [in]}\n%s",
                     strstr(extra, "retry:") ? "" : "retry: {base_delay: 1ms, max_delay: 2ms}\n",
                     tg_mock_server_port(f->mock), tg_mock_server_port(f->mock),
                     tg_mock_server_port(f->mock), extra);
    assert_true(n > 0 && (size_t)n < sizeof f->yaml);
    struct tg_config_source src = {.text = tg_str_c(f->yaml), .no_dotenv = true, .cores = 1};
    tg_config_report_init(&report);
    if (tg_config_load(&src, &s, &report) < 0) {
        struct tg_buf b;
        tg_buf_init(&b, 65536);
        (void)tg_config_report_write(&report, &b); /* for the reader of the log */
        print_error("%.*s\n", (int)b.n, b.p);
        tg_buf_fini(&b);
        fail();
    }
    tg_config_report_fini(&report);
    f->snapshot = s;
}

static void make_worker(struct flow *f)
{
    struct tg_worker *w = &f->w;
    struct tg_http_client_opts c = {.resolver = w->resolver};
    assert_int_equal(tg_http_client_new(w->loop, &c, &w->client), 0);
    struct tg_runtime_opts o = {.loop = w->loop,
                                .http = w->client,
                                .registry = &tg_server_registry,
                                .snapshot = f->snapshot};
    assert_int_equal(tg_runtime_new(&o, &w->rt), 0);
    tg_server_install_backends(w->rt);
    struct tg_http_server_opts so = tg_worker_server_opts(f->snapshot, NULL);
    assert_int_equal(tg_http_server_new(w->loop, &so, &tg_router_ops, w, &w->server), 0);
}

struct flow *flow_new(const char *extra)
{
    struct flow *f = tg_xcalloc(1, sizeof *f);
    struct tg_fail fail;
    struct tg_mock_server_opts m = {.host = "127.0.0.1"};
    tg_log_set_level(TG_LOG_OFF);
    tg_fail_clear(&fail);
    assert_int_equal(tg_loop_new(&f->w.loop), 0);
    assert_int_equal(tg_resolver_new(f->w.loop, &f->w.resolver), 0);
    assert_int_equal(tg_mock_server_start(f->w.loop, &m, &f->mock, &fail), 0);
    load(f, extra);
    make_worker(f);
    f->metrics[0] = f->w.rt->metrics;
    f->shared.workers = &f->w;
    f->shared.n_workers = 1;
    f->shared.metrics = f->metrics;
    f->w.shared = &f->shared;
    return f;
}

void flow_free(struct flow *f)
{
    struct tg_worker *w = &f->w;
    tg_http_server_close_all(w->server);
    flow_settle(f);
    assert_int_equal(w->rt->active, 0);
    assert_int_equal(w->rt->n_attempts, 0);
    assert_int_equal(w->rt->streams, 0);
    tg_mock_server_stop(f->mock);
    flow_settle(f);
    tg_http_server_free(w->server);
    tg_runtime_free(w->rt);
    tg_http_client_free(w->client);
    tg_resolver_free(w->resolver);
    flow_settle(f);
    tg_loop_free(w->loop); /* asserts that no handle is left */
    tg_snapshot_unref(f->snapshot);
    tg_free(f);
}

bool flow_until(struct flow *f, bool (*done)(void *ctx), void *ctx)
{
    uint64_t until = real_us() + PATIENCE_US;
    while (!done(ctx)) {
        if (real_us() > until)
            return false;
        tg_loop_turn(f->w.loop);
    }
    return true;
}

void flow_settle(struct flow *f)
{
    for (int quiet = 0; quiet < QUIET_TURNS;)
        quiet = tg_loop_turn(f->w.loop) ? 0 : quiet + 1;
}

/* ---- clients ---- */

static void client_step(struct tg_task *t)
{
    struct flow_client *c = tg_container_of(t, struct flow_client, task);
    char buf[4096];
    int n = 0;
    while (!c->stopped && c->stream && (n = tg_stream_read(c->stream, buf, sizeof buf)) > 0)
        (void)tg_buf_add(&c->got, buf, (size_t)n); /* a failed one shows in the content */
    if (c->stopped || !c->stream)
        return;
    c->ended = c->ended || n == TG_E_EOF;
    c->reset = c->reset || n == TG_E_IO;
    tg_stream_want(c->stream, c->ended || c->reset ? TG_WANT_NONE : TG_WANT_READ);
}

struct flow_client *flow_connect(struct flow *f)
{
    struct tg_mem_pipe_opts o = {.cap = 65536};
    struct tg_stream *theirs;
    struct flow_client *c = tg_calloc(1, sizeof *c);
    if (!c)
        return NULL;
    if (tg_stream_mem_pair(f->w.loop, o, &c->stream, &theirs) < 0) {
        tg_free(c);
        return NULL;
    }
    c->f = f;
    tg_task_init(&c->task, client_step);
    tg_buf_init(&c->got, 64u << 20);
    c->stream->owner = &c->task;
    tg_stream_want(c->stream, TG_WANT_READ);
    if (tg_http_server_accept_stream(f->w.server, theirs) < 0)
        c->ended = true; /* the server has closed it */
    return c;
}

void flow_send(struct flow_client *c, const char *bytes, size_t n)
{
    uint64_t until = real_us() + PATIENCE_US;
    while (n && real_us() < until) {
        struct iovec iov = {(void *)(uintptr_t)bytes, n};
        int rc = tg_stream_writev(c->stream, &iov, 1);
        if (rc > 0) {
            bytes += rc;
            n -= (size_t)rc;
        } else if (rc != TG_E_AGAIN) {
            return;
        }
        tg_loop_turn(c->f->w.loop);
    }
}

void flow_post(struct flow_client *c, const char *path, const char *body)
{
    char head[512];
    int n = snprintf(head, sizeof head,
                     "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     path, strlen(body));
    flow_send(c, head, (size_t)n);
    flow_send(c, body, strlen(body));
}

static bool is_complete(struct tg_str got)
{
    ptrdiff_t head = tg_str_find(got, TG_STR("\r\n\r\n"));
    if (head < 0)
        return false;
    struct tg_str body = tg_str_from(got, (size_t)head + 4);
    ptrdiff_t at = tg_str_find(tg_str_first(got, (size_t)head), TG_STR("Content-Length: "));
    if (at < 0)
        return tg_str_ends(body, TG_STR("0\r\n\r\n"));
    return body.n >= (size_t)strtoul(got.p + at + 16, NULL, 10);
}

static bool answered(void *ctx)
{
    struct flow_client *c = ctx;
    return c->ended || c->reset || is_complete(tg_buf_str(&c->got));
}

bool flow_answer(struct flow_client *c)
{
    return flow_until(c->f, answered, c) && is_complete(tg_buf_str(&c->got));
}

void flow_forget(struct flow_client *c)
{
    tg_buf_clear(&c->got);
}

void flow_close(struct flow_client *c)
{
    tg_task_cancel(&c->task);
    tg_stream_close(c->stream);
    tg_buf_fini(&c->got);
    flow_settle(c->f);
    tg_free(c);
}

struct tg_str flow_got(const struct flow_client *c)
{
    return tg_buf_str(&c->got);
}

struct tg_str flow_body(const struct flow_client *c, struct tg_buf *out)
{
    struct tg_str got = tg_buf_str(&c->got);
    ptrdiff_t head = tg_str_find(got, TG_STR("\r\n\r\n"));
    tg_buf_clear(out);
    if (head < 0)
        return TG_STR("");
    struct tg_str body = tg_str_from(got, (size_t)head + 4);
    if (tg_str_find(tg_str_first(got, (size_t)head), TG_STR("Transfer-Encoding: chunked")) < 0)
        return body;
    while (body.n) {
        char *end;
        size_t n = strtoul(body.p, &end, 16);
        body = tg_str_from(body, (size_t)(end - body.p) + 2);
        assert_int_equal(tg_buf_add(out, body.p, n), 0);
        body = tg_str_from(body, n + 2);
    }
    return tg_buf_str(out);
}
