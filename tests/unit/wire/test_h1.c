/* The HTTP/1.1 parser against tests/cases/h1: each case whole, byte by byte, at every single cut,
 * at every pair of cuts when it is short, cut off at every byte, and with memory failing. */
#include "base/alloc.h"
#include "base/err.h"
#include "case_file.h"
#include "check.h"
#include "wire/h1.h"

struct run {
    const struct case_one *c;
    enum tg_h1_role role;
    enum tg_http_method method;
    struct tg_h1_limits limits;
    struct tg_arena arena;
    struct tg_h1 *p; /* NULL between messages */
    struct tg_buf log;
    bool in_body; /* the log ends in an open "body" line */
    int err;
};

static enum tg_http_method kind_method(const char *kind)
{
    enum tg_http_method m = TG_HTTP_GET;
    const char *at = strstr(kind, " method=");
    if (at) {
        struct tg_str rest = tg_str_c(at + strlen(" method=")), word;
        tg_str_split(&rest, ' ', &word);
        assert_true(tg_http_method_parse(word, &m));
    }
    return m;
}

static void run_init(struct run *r, const struct case_one *c)
{
    *r = (struct run){.c = c, .limits = tg_h1_limits_default};
    r->role = strncmp(c->kind, "response", 8) == 0 ? TG_H1_RESPONSE : TG_H1_REQUEST;
    r->method = kind_method(c->kind);
    r->limits.max_body_bytes = case_option(c->kind, "max_body", 0);
    r->limits.max_head_bytes = (uint32_t)case_option(c->kind, "max_head", r->limits.max_head_bytes);
    r->limits.max_headers = (uint32_t)case_option(c->kind, "max_headers", r->limits.max_headers);
    r->limits.max_interim = (uint32_t)case_option(c->kind, "max_interim", r->limits.max_interim);
    tg_arena_init(&r->arena, 1024, 1 << 20);
    tg_buf_init(&r->log, 1 << 20);
}

static void run_fini(struct run *r)
{
    tg_arena_fini(&r->arena);
    tg_buf_fini(&r->log);
}

static void log_head(struct run *r, const struct tg_http_head *h)
{
    static const char *const bodies[] = {"none", "length", "chunked", "close"};
    if (r->role == TG_H1_REQUEST) {
        tg_buf_printf(&r->log, "head %s ", tg_http_method_name(h->method));
        case_escape(&r->log, h->target);
        tg_buf_printf(&r->log, " HTTP/1.%d host=", h->minor);
        case_escape(&r->log, h->host);
    } else {
        tg_buf_printf(&r->log, "head %d HTTP/1.%d", h->status, h->minor);
    }
    tg_buf_printf(&r->log, " %s%s body=%s", h->keep_alive ? "keep-alive" : "close",
                  h->expect_continue ? " expect-continue" : "", bodies[h->body]);
    if (h->body == TG_HTTP_BODY_LENGTH)
        tg_buf_printf(&r->log, ":%llu", (unsigned long long)h->content_length);
    tg_buf_char(&r->log, '\n');
    for (size_t i = 0; i < h->n_headers; i++) {
        tg_buf_lit(&r->log, "  ");
        case_escape(&r->log, h->headers[i].name);
        tg_buf_lit(&r->log, ": ");
        case_escape(&r->log, h->headers[i].value);
        tg_buf_char(&r->log, '\n');
    }
}

static void close_body(struct run *r)
{
    if (r->in_body)
        tg_buf_char(&r->log, '\n');
    r->in_body = false;
}

static void log_event(struct run *r, const struct tg_h1_event *ev)
{
    if (ev->kind == TG_H1_BODY) {
        assert_true(ev->body.n > 0);
        if (!r->in_body)
            tg_buf_lit(&r->log, "body ");
        r->in_body = true;
        case_escape(&r->log, ev->body);
        return;
    }
    close_body(r);
    if (ev->kind == TG_H1_HEAD)
        log_head(r, ev->head);
    else
        tg_buf_lit(&r->log, "end\n");
}

/* A message is over: the next one gets a parser of its own, as a connection would do it. */
static void on_end(struct run *r)
{
    struct tg_h1_event ev;
    struct tg_str more = TG_STR("GET");
    assert_false(tg_h1_in_message(r->p));
    assert_int_equal(tg_h1_next(r->p, &more, &ev), 0);
    assert_int_equal(more.n, 3);
    assert_int_equal(tg_h1_eof(r->p, &ev), 0);
    r->p = NULL;
    tg_arena_reset(&r->arena);
}

static int begin(struct run *r)
{
    int rc = tg_h1_new(r->role, &r->limits, &r->arena, &r->p);
    if (rc == 0 && r->role == TG_H1_RESPONSE)
        tg_h1_set_request_method(r->p, r->method);
    return rc;
}

static void on_error(struct run *r, int err)
{
    struct tg_h1_event ev;
    struct tg_str more = TG_STR("GET / HTTP/1.1\r\n\r\n");
    r->err = err;
    close_body(r);
    tg_buf_printf(&r->log, "error %s\n", tg_err_name(err));
    if (!r->p)
        return;
    assert_int_equal(tg_h1_next(r->p, &more, &ev), err); /* a failure is final */
    assert_int_equal(tg_h1_eof(r->p, &ev), err);
}

/* Bytes as one read would bring them, in a block of their own size. */
static void feed(struct run *r, const char *p, size_t n)
{
    char *copy = tg_malloc(n);
    memcpy(copy, p, n);
    struct tg_str in = tg_str_make(copy, n);
    while (r->err == 0 && in.n > 0) {
        struct tg_h1_event ev;
        int rc = r->p ? 0 : begin(r);
        while (rc >= 0 && (rc = tg_h1_next(r->p, &in, &ev)) > 0) {
            log_event(r, &ev);
            if (ev.kind == TG_H1_END) {
                on_end(r);
                break;
            }
        }
        if (rc == 0)
            assert_int_equal(in.n, 0);
        if (rc < 0)
            on_error(r, rc);
    }
    tg_free(copy);
}

static void finish(struct run *r)
{
    struct tg_h1_event ev;
    if (r->err != 0 || !r->p)
        return;
    bool inside = tg_h1_in_message(r->p);
    int rc = tg_h1_eof(r->p, &ev);
    close_body(r);
    if (rc < 0)
        tg_buf_printf(&r->log, "eof error %s\n", tg_err_name(rc));
    else if (rc > 0)
        tg_buf_lit(&r->log, "eof end\n");
    assert_int_equal(rc != 0, inside);
}

/* Failures are collected, the first ones shown: a change of the parser often moves many cases. */
static unsigned failures;

static void compare(struct run *r, const char *how, size_t a, size_t b)
{
    assert_true(tg_buf_ok(&r->log));
    if (tg_str_eq(tg_buf_str(&r->log), tg_buf_str(&r->c->log)) || failures++ >= 20)
        return;
    print_error("%s, %s %zu %zu:\n%.*s\nexpected:\n%.*s\n", r->c->title, how, a, b,
                (int)(r->log.n < 2000 ? r->log.n : 2000), r->log.p ? r->log.p : "",
                (int)(r->c->log.n < 2000 ? r->c->log.n : 2000), r->c->log.p);
}

static void with_cuts(const struct case_one *c, const char *how, size_t a, size_t b)
{
    struct run r;
    run_init(&r, c);
    feed(&r, c->input.p, a);
    if (b > a)
        feed(&r, c->input.p + a, b - a);
    if (c->input.n > b)
        feed(&r, c->input.p + b, c->input.n - b);
    finish(&r);
    compare(&r, how, a, b);
    run_fini(&r);
}

static void in_pieces(const struct case_one *c, size_t piece)
{
    struct run r;
    run_init(&r, c);
    for (size_t i = 0; i < c->input.n; i += piece)
        feed(&r, c->input.p + i, c->input.n - i < piece ? c->input.n - i : piece);
    finish(&r);
    compare(&r, "pieces of", piece, 0);
    run_fini(&r);
}

/* Cut off behind each byte: what is seen is the beginning of the whole, and the end is no crash. */
static void truncated(const struct case_one *c, size_t n)
{
    struct run r;
    run_init(&r, c);
    feed(&r, c->input.p, n);
    if (r.err == 0) {
        if (!tg_str_starts(tg_buf_str(&c->log), tg_buf_str(&r.log)))
            fail_msg("%s, cut off at %zu:\n%.*s", c->title, n, (int)r.log.n, r.log.p);
        finish(&r);
    } else {
        compare(&r, "cut off at", n, 0);
    }
    run_fini(&r);
}

static void check_case(void *ctx, const struct case_one *c)
{
    size_t n = c->input.n, step = n > 3000 ? n / 300 : 1;
    unsigned before = failures;
    with_cuts(c, "whole", 0, 0);
    if (failures != before)
        return;
    in_pieces(c, 1);
    in_pieces(c, 3);
    in_pieces(c, 1000);
    for (size_t i = 1; i < n; i += i < 200 || n - i < 200 ? 1 : step) {
        with_cuts(c, "cut at", i, i);
        truncated(c, i);
    }
    for (size_t i = 1; n <= 100 && i < n; i++) {
        for (size_t k = i + 1; k < n; k++)
            with_cuts(c, "cuts at", i, k);
    }
}

static void test_cases(void **state)
{
    size_t n = case_files_each("h1", check_case, NULL);
    print_message("%zu cases\n", n);
    assert_true(n >= 500);
    assert_int_equal(failures, 0);
}

/* ---- memory ---- */

static void starve(void *ctx, const struct case_one *c)
{
    for (size_t max = 1; max < 4096; max = max * 2 + 5) {
        struct run r;
        run_init(&r, c);
        tg_arena_fini(&r.arena);
        tg_arena_init(&r.arena, 64, max);
        size_t half = c->input.n / 2;
        feed(&r, c->input.p, half);
        feed(&r, c->input.p + half, c->input.n - half);
        if (r.err != TG_E_NOMEM) {
            finish(&r);
            compare(&r, "with a small arena of", max, 0);
        }
        run_fini(&r);
    }
}

static void test_no_memory(void **state)
{
    case_files_each("h1", starve, NULL);
}

static const char head_13[] = "POST /v1/chat/completions HTTP/1.1\r\n"
                              "Host: gateway.example.com:8080\r\n"
                              "User-Agent: OpenAI/Python 1.99.1\r\n"
                              "Accept: application/json\r\n"
                              "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                              "Connection: keep-alive\r\n"
                              "Content-Type: application/json\r\n"
                              "Authorization: Bearer sk-tg-0123456789abcdef0123456789abcdef\r\n"
                              "X-Stainless-Lang: python\r\n"
                              "X-Stainless-Package-Version: 1.99.1\r\n"
                              "X-Stainless-OS: Linux\r\n"
                              "X-Stainless-Arch: x64\r\n"
                              "X-Stainless-Runtime: CPython\r\n"
                              "Content-Length: 2\r\n"
                              "\r\n{}";

/* The parser of an open stream is small, and a head that arrives whole is copied once. */
static void test_size(void **state)
{
    struct tg_arena a;
    struct tg_h1 *p;
    struct tg_h1_event ev;
    struct tg_str in = tg_str_c(head_13);
    tg_arena_init(&a, 4096, 1 << 20);
    assert_int_equal(tg_h1_new(TG_H1_REQUEST, &tg_h1_limits_default, &a, &p), 0);
    size_t parser = a.used_bytes;
    assert_true(parser <= 256);
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    assert_int_equal(ev.head->n_headers, 13);
    size_t head = sizeof(head_13) - 1 - 2, slots = 13 * sizeof(struct tg_http_header);
    assert_true(a.used_bytes - parser <= head + slots + 32);
    for (size_t i = 0; i < 13; i++) { /* views into the arena, not into the input */
        const char *v = ev.head->headers[i].value.p;
        assert_true(v < head_13 || v >= head_13 + sizeof(head_13));
    }
    size_t before = a.used_bytes;
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    assert_int_equal(ev.kind, TG_H1_BODY);
    assert_ptr_equal(ev.body.p, in.p - 2); /* the body is not copied */
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    assert_int_equal(ev.kind, TG_H1_END);
    assert_int_equal(a.used_bytes, before);
    tg_arena_fini(&a);
}

/* A stream of many chunks and many interim answers leave no memory behind. */
static void test_no_growth(void **state)
{
    static const char interim[] = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\nA: b\r\n\r\n";
    static const char chunk[] = "5;x=y\r\nhello\r\n";
    struct tg_arena a;
    struct tg_h1 *p;
    struct tg_h1_event ev;
    tg_arena_init(&a, 4096, 1 << 20);
    assert_int_equal(tg_h1_new(TG_H1_RESPONSE, &tg_h1_limits_default, &a, &p), 0);
    size_t used = 0;
    for (int i = 0; i < 100; i++) {
        struct tg_str in = tg_str_c(interim);
        if (i % 2) { /* in pieces too */
            struct tg_str first = tg_str_first(in, 30);
            assert_int_equal(tg_h1_next(p, &first, &ev), 0);
            in = tg_str_from(in, 30);
        }
        assert_int_equal(tg_h1_next(p, &in, &ev), 0);
        if (i == 1)
            used = a.used_bytes;
    }
    assert_int_equal(a.used_bytes, used);
    struct tg_str in = TG_STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    used = a.used_bytes;
    for (int i = 0; i < 10000; i++) {
        in = tg_str_c(chunk);
        assert_int_equal(tg_h1_next(p, &in, &ev), 1);
        assert_int_equal(ev.body.n, 5);
        assert_int_equal(tg_h1_next(p, &in, &ev), 0);
    }
    assert_int_equal(a.used_bytes, used);
    tg_arena_fini(&a);
}

/* Limits that make no sense are still no way past the arithmetic. */
static void test_odd_limits(void **state)
{
    static const uint32_t values[] = {0, 1, 13, 14, 64, 1000, UINT32_MAX};
    struct tg_str text = tg_str_c(head_13);
    for (size_t i = 0; i < 7 * 7 * 7; i++) {
        struct tg_h1_limits l = tg_h1_limits_default;
        l.max_target_bytes = values[i % 7];
        l.max_line_bytes = values[i / 7 % 7];
        l.max_head_bytes = values[i / 49];
        l.max_headers = values[i % 5];
        int whole = 0;
        for (size_t piece = text.n; piece > 0; piece = piece == text.n ? 7 : piece / 2) {
            struct tg_arena a;
            struct tg_h1 *p;
            struct tg_h1_event ev;
            int rc = 0;
            tg_arena_init(&a, 1024, 1 << 20);
            assert_int_equal(tg_h1_new(TG_H1_REQUEST, &l, &a, &p), 0);
            for (size_t at = 0; rc == 0 && at < text.n; at += piece) {
                struct tg_str in = tg_str_first(tg_str_from(text, at), piece);
                rc = tg_h1_next(p, &in, &ev);
            }
            if (piece == text.n)
                whole = rc;
            assert_int_equal(rc, whole);
            assert_true(rc == 1 || rc == TG_E_URI_TOO_LONG || rc == TG_E_HEADERS_TOO_LARGE);
            tg_arena_fini(&a);
        }
    }
}

static void test_eof_before_anything(void **state)
{
    for (int role = 0; role < 2; role++) {
        struct tg_arena a;
        struct tg_h1 *p;
        struct tg_h1_event ev;
        struct tg_str in = TG_STR("");
        tg_arena_init(&a, 1024, 1 << 20);
        assert_int_equal(tg_h1_new((enum tg_h1_role)role, &tg_h1_limits_default, &a, &p), 0);
        assert_false(tg_h1_in_message(p));
        assert_int_equal(tg_h1_next(p, &in, &ev), 0);
        assert_int_equal(tg_h1_eof(p, &ev), 0);
        if (role == TG_H1_REQUEST) {
            in = TG_STR("\r\n"); /* what an old client sends behind a body starts nothing */
            assert_int_equal(tg_h1_next(p, &in, &ev), 0);
            assert_int_equal(in.n, 0);
            assert_false(tg_h1_in_message(p));
            assert_int_equal(tg_h1_eof(p, &ev), 0);
        }
        in = TG_STR("H");
        assert_int_equal(tg_h1_next(p, &in, &ev), 0);
        assert_true(tg_h1_in_message(p));
        tg_arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),      cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_size),       cmocka_unit_test(test_no_growth),
        cmocka_unit_test(test_odd_limits), cmocka_unit_test(test_eof_before_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
