/* Reading side and life of a server connection. */
#include "net_test.h"

#define GET_A   "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST_HI "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
#define POST_CHUNKED                                                    \
    "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" \
    "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"

static void test_keep_alive(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    for (int i = 0; i < 5; i++) {
        peer_send(&p, POST_HI);
        settle(r.loop);
        assert_int_equal(r.flushed, i + 1);
        assert_int_equal(count_of(peer_text(&p), "HTTP/1.1 200 OK\r\n"), i + 1);
        assert_int_equal(count_of(peer_text(&p), "\r\n\r\nPOST /p hi"), i + 1);
        assert_false(p.eof);
    }
    assert_int_equal(count_of(peer_text(&p), "Content-Length: 10\r\n"), 5);
    assert_int_equal(count_of(peer_text(&p), "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"), 5);
    assert_false(peer_has(&p, "Connection:"));
    assert_int_equal(tg_http_server_stats(r.server)->accepted, 1);
    assert_int_equal(tg_http_server_stats(r.server)->open, 1);
    assert_int_equal(tg_http_server_stats(r.server)->active, 0);
    assert_int_equal(tg_http_server_stats(r.server)->bytes_in, 5 * strlen(POST_HI));
    assert_int_equal(tg_http_server_stats(r.server)->bytes_out, p.got.n);
    peer_fini(&p);
    settle(r.loop);
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    assert_int_equal(r.gone, 0);
    rig_fini(&r);
}

/* Every request mix gives the same answers however its bytes are cut. */
static void expect_three(struct rig *r, struct peer *p)
{
    const char *t;
    settle(r->loop);
    t = peer_text(p);
    assert_int_equal(r->requests, 3);
    assert_int_equal(r->refused, 0);
    assert_int_equal(count_of(t, "HTTP/1.1 200 OK\r\n"), 3);
    const char *a = strstr(t, "\r\n\r\nGET /a "), *b = strstr(t, "\r\n\r\nPOST /c abcdefg"),
               *c = strstr(t, "\r\n\r\nPOST /p hi");
    assert_true(a && b && c && a < b && b < c);
    assert_false(p->eof);
}

static void test_every_split(void **state)
{
    const char *all = GET_A POST_CHUNKED POST_HI;
    size_t n = strlen(all);

    for (size_t cut = 0; cut <= n; cut++) {
        struct rig r;
        struct peer p;
        rig_init(&r);
        rig_connect(&r, &p, 0, 0);
        if (cut > 0)
            peer_send_n(&p, all, cut);
        settle(r.loop);
        if (cut < n)
            peer_send_n(&p, all + cut, n - cut);
        expect_three(&r, &p);
        peer_fini(&p);
        rig_fini(&r);
    }
}

static void test_byte_by_byte(void **state)
{
    const char *all = GET_A POST_CHUNKED POST_HI;
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    for (size_t i = 0; all[i]; i++) {
        peer_send_n(&p, all + i, 1);
        settle(r.loop);
    }
    expect_three(&r, &p);
    peer_fini(&p);
    rig_connect(&r, &p, 0, 1); /* one byte a read */
    r.requests = 0;
    peer_send(&p, all);
    expect_three(&r, &p);
    peer_fini(&p);
    rig_fini(&r);
}

/* Far more pipelined bytes than are kept: answered in order, the sender is slowed down. */
static void test_pipelining(void **state)
{
    struct rig r;
    struct peer p;
    struct tg_buf all;

    rig_init(&r);
    rig_connect(&r, &p, 8192, 0);
    tg_buf_init(&all, 1 << 20);
    for (int i = 0; i < 1000; i++)
        tg_buf_printf(&all, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\n%020d", i,
                      i);
    peer_send_n(&p, all.p, all.n);
    settle(r.loop);
    assert_int_equal(r.flushed, 1000);
    const char *at = peer_text(&p);
    for (int i = 0; i < 1000; i++) {
        char want[64];
        snprintf(want, sizeof want, "\r\n\r\nPOST /%d %020d", i, i);
        at = strstr(at, want);
        assert_non_null(at);
    }
    tg_buf_fini(&all);
    peer_fini(&p);
    rig_fini(&r);
}

static void wait_only(struct handler *h, unsigned events)
{
    if (events & TG_CONN_GONE)
        handler_free(h);
}

/* While a request is in work, at most 16 KiB behind it are taken. */
static void test_pending_is_bounded(void **state)
{
    struct rig r;
    struct peer p;
    static char junk[100000];

    rig_init(&r);
    r.at_events = wait_only;
    rig_connect(&r, &p, 1024, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    memset(junk, 'x', sizeof junk);
    memcpy(junk, "JUNK\r\n\r\n", 8);
    size_t sent = 0;
    for (int i = 0; i < 1000; i++) {
        struct iovec v = {junk, 1000};
        int rc = tg_stream_writev(p.stream, &v, 1);
        if (rc > 0)
            sent += (size_t)rc;
        settle(r.loop);
    }
    assert_in_range(sent, 16384, 16384 + 1024);
    assert_int_equal(r.requests, 1);
    answer_text(r.last->conn, 200, "ok"); /* then the junk is parsed and refused */
    r.at_events = NULL;
    settle(r.loop);
    assert_int_equal(r.live, 0);
    assert_true(peer_has(&p, "\r\n\r\nokHTTP/1.1 4"));
    assert_int_equal(r.refused, 1);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_body_sizes(void **state)
{
    static const size_t sizes[] = {1,     8191,  8192,   16383,  16384,   16385,
                                   65536, 65537, 200000, 999999, 1048576, 5000000};
    struct rig r;
    struct peer p;
    char head[128];

    rig_init(&r);
    rig_connect(&r, &p, 100000, 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
        size_t n = sizes[i];
        char *body = tg_malloc(n);
        for (size_t k = 0; k < n; k++)
            body[k] = (char)('a' + (k * 7 + k / 977) % 26);
        tg_buf_clear(&p.got);
        snprintf(head, sizeof head, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
                 n);
        peer_send(&p, head);
        peer_send_n(&p, body, n);
        peer_send(&p, GET_A); /* right behind it */
        settle(r.loop);
        assert_true(p.got.n > n + 8);
        char *at = strstr(peer_text(&p), "\r\n\r\nPOST /b ");
        assert_non_null(at);
        assert_memory_equal(at + 12, body, n);
        assert_true(strncmp(at + 12 + n, "HTTP/1.1 200 OK\r\n", 17) == 0);
        tg_free(body);
    }
    peer_fini(&p);
    rig_fini(&r);
}

static void test_chunked_upload(void **state)
{
    struct rig r;
    struct peer p;
    struct tg_buf all, body;

    rig_init(&r);
    rig_connect(&r, &p, 30000, 0);
    tg_buf_init(&all, 8 << 20);
    tg_buf_init(&body, 8 << 20);
    tg_buf_lit(&all, "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 1; i < 2000; i++) {
        char piece[2000];
        size_t n = (size_t)i;
        memset(piece, 'a' + i % 26, n);
        tg_buf_printf(&all, "%zx\r\n", n);
        tg_buf_add(&all, piece, n);
        tg_buf_lit(&all, "\r\n");
        tg_buf_add(&body, piece, n);
    }
    tg_buf_lit(&all, "0\r\n\r\n" GET_A);
    peer_send_n(&p, all.p, all.n);
    settle(r.loop);
    char *at = strstr(peer_text(&p), "\r\n\r\nPOST /c ");
    assert_non_null(at);
    assert_memory_equal(at + 12, body.p, body.n);
    assert_true(peer_has(&p, "\r\n\r\nGET /a "));
    tg_buf_fini(&all);
    tg_buf_fini(&body);
    peer_fini(&p);
    rig_fini(&r);
}

/* A header must not make us hold what it only announces. */
static void test_announced_body_costs_nothing(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 19000000\r\n\r\nabc");
    settle(r.loop);
    assert_non_null(r.last);
    assert_true(r.last->req->body.cap < 70000);
    assert_int_equal(r.last->req->body.n, 3);
    assert_int_equal(r.last->seen, 0);
    peer_close(&p);
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_expect_100(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    peer_send(&p,
              "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    settle(r.loop);
    assert_string_equal(peer_text(&p), "HTTP/1.1 100 Continue\r\n\r\n");
    peer_send(&p, "abc");
    settle(r.loop);
    assert_true(peer_has(&p, "\r\n\r\nPOST /e abc"));
    assert_int_equal(count_of(peer_text(&p), "100 Continue"), 1);
    /* with the body already here no interim answer is due */
    tg_buf_clear(&p.got);
    peer_send(
        &p, "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    settle(r.loop);
    assert_false(peer_has(&p, "100 Continue"));
    assert_true(peer_has(&p, "\r\n\r\nPOST /e abc"));
    peer_fini(&p);
    rig_fini(&r);
}

static void answer_401(struct handler *h)
{
    answer_text(h->conn, 401, "no");
}

/* The final status at once: the client may or may not send the body, so the connection ends. */
static void test_expect_answered_early(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_request = answer_401;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p,
              "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    settle(r.loop);
    assert_false(peer_has(&p, "100 Continue"));
    assert_true(peer_has(&p, "HTTP/1.1 401 "));
    assert_true(peer_has(&p, "Connection: close\r\n"));
    assert_true(p.eof);
    peer_fini(&p);
    rig_fini(&r);
}

/* An answer before the body: a small rest is skipped and the connection goes on. */
static void test_early_answer_skips_small_body(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_request = answer_401;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    settle(r.loop);
    assert_true(peer_has(&p, "HTTP/1.1 401 "));
    assert_int_equal(r.live, 0);
    assert_false(p.eof);
    static char body[1000];
    memset(body, 'b', sizeof body);
    peer_send_n(&p, body, sizeof body);
    r.at_request = NULL;
    peer_send(&p, GET_A);
    settle(r.loop);
    assert_true(peer_has(&p, "\r\n\r\nGET /a "));
    assert_false(peer_has(&p, "Connection: close"));
    peer_fini(&p);
    rig_fini(&r);
}

static void test_early_answer_closes_on_big_body(void **state)
{
    static const char *heads[] = {
        "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n",
        "POST /e HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    for (int i = 0; i < 2; i++) {
        struct rig r;
        struct peer p;
        rig_init(&r);
        r.at_request = answer_401;
        rig_connect(&r, &p, 0, 0);
        peer_send(&p, heads[i]);
        settle(r.loop);
        assert_true(peer_has(&p, "HTTP/1.1 401 "));
        assert_true(peer_has(&p, "Connection: close\r\n"));
        assert_true(p.eof); /* half-closed: it lingers */
        assert_int_equal(tg_http_server_stats(r.server)->open, 1);
        assert_int_equal(tg_http_server_stats(r.server)->active, 0);
        pass_ms(r.loop, 1100);
        assert_int_equal(tg_http_server_stats(r.server)->open, 0);
        peer_fini(&p);
        rig_fini(&r);
    }
}

/* A handler that frees the request at once must not pull the parser's memory away. */
static void free_req_early(struct handler *h)
{
    tg_http_req_free(h->req);
    h->req = NULL;
}

static void answer_at_body(struct handler *h, unsigned events)
{
    if (events & TG_CONN_BODY_DONE)
        answer_text(h->conn, 200, "fine");
    if (events & (TG_CONN_FLUSHED | TG_CONN_GONE))
        handler_free(h);
}

static void test_req_freed_while_reading(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_request = free_req_early;
    r.at_events = answer_at_body;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n");
    settle(r.loop);
    static char body[70000];
    peer_send_n(&p, body, sizeof body);
    settle(r.loop);
    assert_true(peer_has(&p, "\r\n\r\nfine"));
    peer_send(&p, "POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\nabc");
    settle(r.loop);
    peer_close(&p);
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *bytes;
        const char *status;
    } rows[] = {
        {"GARBAGE\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 "},
        {"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 501 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 501 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000001\r\n\r\n", "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: magic\r\n\r\n",
         "HTTP/1.1 417 "},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct rig r;
        struct peer p;
        rig_init(&r);
        rig_connect(&r, &p, 0, 0);
        peer_send(&p, rows[i].bytes);
        peer_send(&p, GET_A); /* never parsed */
        settle(r.loop);
        assert_true(strncmp(peer_text(&p), rows[i].status, strlen(rows[i].status)) == 0);
        assert_int_equal(count_of(peer_text(&p), "HTTP/1.1 "), 1);
        assert_true(peer_has(&p, "Connection: close\r\n"));
        assert_int_equal(r.refused, 1);
        assert_int_equal(r.requests, 0);
        assert_int_equal(tg_http_server_stats(r.server)->bad_requests, 1);
        assert_true(p.eof);
        assert_int_equal(tg_http_server_stats(r.server)->open, 1); /* lingers */
        peer_close(&p);
        settle(r.loop);
        assert_int_equal(tg_http_server_stats(r.server)->open, 0);
        peer_fini(&p);
        rig_fini(&r);
    }
}

/* The body is refused after the request was handed over: the handler learns that it is gone, the
 * client gets the answer. */
static void test_refused_in_body(void **state)
{
    static const struct {
        const char *bytes;
        const char *status;
    } rows[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n",
         "HTTP/1.1 413 "},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct rig r;
        struct peer p;
        rig_init(&r);
        rig_connect(&r, &p, 0, 0);
        peer_send(&p, rows[i].bytes);
        settle(r.loop);
        assert_int_equal(r.requests, 1);
        assert_int_equal(r.gone, 1);
        assert_int_equal(r.flushed, 0);
        assert_int_equal(r.refused, 1);
        assert_true(strncmp(peer_text(&p), rows[i].status, strlen(rows[i].status)) == 0);
        assert_true(p.eof);
        peer_fini(&p);
        rig_fini(&r);
    }
}

static void test_refused_silently(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.refuse_silently = true;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "GARBAGE\r\n\r\n");
    settle(r.loop);
    assert_int_equal(r.refused, 1);
    assert_int_equal(p.got.n, 0);
    assert_true(p.eof || p.broken);
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    peer_fini(&p);
    rig_fini(&r);
}

/* A client that goes on sending after its refusal is read for 64 KiB, then cut. */
static void test_linger_is_bounded(void **state)
{
    struct rig r;
    struct peer p;
    static char junk[4096];

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "GARBAGE\r\n\r\n");
    settle(r.loop);
    for (int i = 0; i < 15; i++) {
        peer_send_n(&p, junk, sizeof junk);
        settle(r.loop);
        assert_int_equal(tg_http_server_stats(r.server)->open, 1);
    }
    for (int i = 0; i < 3; i++) {
        struct iovec v = {junk, sizeof junk};
        (void)!tg_stream_writev(p.stream, &v, 1);
        settle(r.loop);
    }
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_slow_header(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    pass_ms(r.loop, 60000);
    assert_int_equal(tg_http_server_stats(r.server)->open, 1);
    peer_send(&p, "GET /");
    settle(r.loop);
    for (int i = 0; i < 9; i++) { /* a byte a second does not help */
        pass_ms(r.loop, 1000);
        peer_send(&p, "X");
        settle(r.loop);
    }
    assert_int_equal(r.refused, 0);
    pass_ms(r.loop, 1100);
    assert_int_equal(r.refused, 1);
    assert_int_equal(r.refuse_err, TG_E_REQUEST_TIMEOUT);
    assert_true(peer_has(&p, "HTTP/1.1 408 "));
    assert_int_equal(tg_http_server_stats(r.server)->closed_timeout, 1);
    assert_true(p.eof);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_slow_body(void **state)
{
    struct rig r;
    struct peer p;
    static char piece[2000];

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
    settle(r.loop);
    for (int i = 0; i < 60; i++) { /* 2,000 bytes a second are fine */
        peer_send_n(&p, piece, sizeof piece);
        pass_ms(r.loop, 1000);
    }
    assert_int_equal(r.refused, 0);
    for (int i = 0; i < 21; i++) { /* 500 are not; judged within two windows */
        peer_send_n(&p, piece, 500);
        pass_ms(r.loop, 1000);
    }
    assert_int_equal(r.refused, 1);
    assert_int_equal(r.gone, 1);
    assert_true(peer_has(&p, "HTTP/1.1 408 "));
    peer_fini(&p);
    rig_fini(&r);
}

static void test_idle_close(void **state)
{
    struct rig r;
    struct peer p, q;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    rig_connect(&r, &q, 0, 0);
    pass_ms(r.loop, 70000);
    peer_send(&p, GET_A);
    settle(r.loop);
    pass_ms(r.loop, 5100); /* q never spoke */
    assert_true(q.eof);
    assert_int_equal(q.got.n, 0);
    assert_false(p.eof);
    pass_ms(r.loop, 69000);
    assert_false(p.eof);
    pass_ms(r.loop, 1000);
    assert_true(p.eof);
    assert_int_equal(tg_http_server_stats(r.server)->closed_idle, 2);
    peer_fini(&p);
    peer_fini(&q);
    rig_fini(&r);
}

/* No timeout runs against a handler that thinks. */
static void test_long_work(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_events = wait_only;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    pass_ms(r.loop, 3600 * 1000);
    assert_false(p.eof);
    assert_int_equal(r.live, 1);
    assert_int_equal(tg_http_server_stats(r.server)->active, 1);
    answer_text(r.last->conn, 200, "late");
    settle(r.loop);
    handler_free(r.last);
    settle(r.loop);
    assert_true(peer_has(&p, "\r\n\r\nlate"));
    assert_false(p.eof);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_client_leaves(void **state)
{
    static const char *stages[] = {
        "", "GET / HT", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab", POST_HI};
    for (size_t i = 0; i < TG_ARRAY_LEN(stages); i++)
        for (int reset = 0; reset < 2; reset++) {
            struct rig r;
            struct peer p;
            rig_init(&r);
            r.at_events = wait_only;
            rig_connect(&r, &p, 0, 0);
            if (stages[i][0])
                peer_send(&p, stages[i]);
            settle(r.loop);
            if (reset)
                tg_stream_mem_reset(p.stream);
            else
                tg_stream_shutdown(p.stream);
            settle(r.loop);
            assert_int_equal(r.requests, i >= 2);
            assert_int_equal(r.gone, i >= 2);
            assert_int_equal(r.refused, 0);
            assert_int_equal(r.live, 0);
            assert_int_equal(tg_http_server_stats(r.server)->open, 0);
            peer_fini(&p);
            rig_fini(&r);
        }
}

/* FIN after the request with half_close_ok: the whole answer, then the end. */
static void test_half_close_ok(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.opts.half_close_ok = true;
    tg_http_server_set_opts(r.server, &r.opts);
    r.at_events = wait_only;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    tg_stream_shutdown(p.stream);
    settle(r.loop);
    assert_int_equal(r.live, 1);
    answer_text(r.last->conn, 200, "still here");
    settle(r.loop);
    handler_free(r.last);
    settle(r.loop);
    assert_true(peer_has(&p, "Connection: close\r\n"));
    assert_true(peer_has(&p, "\r\n\r\nstill here"));
    assert_true(p.eof);
    peer_fini(&p);
    rig_fini(&r);
}

/* With half_close_ok what was sent ahead is served too, but not a request that never comes whole.
 */
static void test_half_close_pipelined(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.opts.half_close_ok = true;
    tg_http_server_set_opts(r.server, &r.opts);
    r.at_events = wait_only;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI GET_A "GET /cut HTTP/1.1\r\nHo");
    settle(r.loop);
    tg_stream_shutdown(p.stream);
    settle(r.loop);
    r.at_events = NULL;
    answer_text(r.last->conn, 200, "one");
    settle(r.loop);
    assert_true(peer_has(&p, "\r\n\r\none"));
    assert_true(peer_has(&p, "\r\n\r\nGET /a "));
    assert_int_equal(r.requests, 2);
    assert_true(p.eof);
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    peer_fini(&p);
    rig_fini(&r);
}

/* With half_close_ok a reset is still noticed. */
static void test_half_close_then_reset(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.opts.half_close_ok = true;
    tg_http_server_set_opts(r.server, &r.opts);
    r.at_events = wait_only;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    tg_stream_shutdown(p.stream);
    settle(r.loop);
    assert_int_equal(r.gone, 0);
    tg_stream_mem_reset(p.stream);
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    peer_fini(&p);
    rig_fini(&r);
}

/* An answer that is complete in the queue is delivered to a client that only half-closed. */
static void test_half_close_after_answer(void **state)
{
    struct rig r;
    struct peer p;
    static char big[50001];

    rig_init(&r);
    r.at_events = wait_only;
    rig_connect(&r, &p, 4096, 0);
    p.stopped = true;
    peer_send(&p, POST_HI);
    settle(r.loop);
    memset(big, 'z', sizeof big - 1);
    answer_text(r.last->conn, 200, big);
    settle(r.loop);
    tg_stream_shutdown(p.stream);
    settle(r.loop);
    assert_int_equal(r.gone, 0);
    p.stopped = false;
    tg_stream_want(p.stream, TG_WANT_READ);
    settle(r.loop);
    assert_true(peer_has(&p, big));
    assert_true(p.eof);
    handler_free(r.last);
    peer_fini(&p);
    rig_fini(&r);
}

/* Leaving after the whole answer is no loss: nothing but FLUSHED is told. */
static void keep(struct handler *h, unsigned events) {}

static void test_client_leaves_after_answer(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_events = keep;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    answer_text(r.last->conn, 200, "all");
    settle(r.loop);
    peer_close(&p);
    settle(r.loop);
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    assert_int_equal(r.last->seen, TG_CONN_BODY_DONE | TG_CONN_FLUSHED);
    handler_free(r.last);
    peer_fini(&p);
    rig_fini(&r);
}

/* The next request waits until the handler of the last one has detached. */
static void test_next_request_waits_for_detach(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_events = keep;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI GET_A);
    settle(r.loop);
    answer_text(r.last->conn, 200, "one");
    settle(r.loop);
    assert_int_equal(r.requests, 1);
    r.at_events = NULL;
    handler_free(r.last);
    settle(r.loop);
    assert_int_equal(r.requests, 2);
    assert_true(peer_has(&p, "\r\n\r\nGET /a "));
    peer_fini(&p);
    rig_fini(&r);
}

/* The handler detaches in the middle of its answer: the client sees a cut one. */
static void test_detach_in_answer(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_events = wait_only;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    assert_int_equal(tg_http_conn_write(r.last->conn, TG_STR("part")), 0);
    handler_free(r.last);
    settle(r.loop);
    assert_true(peer_has(&p, "4\r\npart\r\n"));
    assert_false(peer_has(&p, "0\r\n\r\n"));
    assert_true(p.eof);
    peer_fini(&p);
    rig_fini(&r);
}

static void test_connection_close(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" GET_A);
    settle(r.loop);
    assert_int_equal(r.requests, 1); /* what is behind is never parsed */
    assert_true(peer_has(&p, "Connection: close\r\n"));
    assert_true(p.eof);
    peer_fini(&p);
    pass_ms(r.loop, 2000);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_pending_is_bounded),
        cmocka_unit_test(test_body_sizes),
        cmocka_unit_test(test_chunked_upload),
        cmocka_unit_test(test_announced_body_costs_nothing),
        cmocka_unit_test(test_expect_100),
        cmocka_unit_test(test_expect_answered_early),
        cmocka_unit_test(test_early_answer_skips_small_body),
        cmocka_unit_test(test_early_answer_closes_on_big_body),
        cmocka_unit_test(test_req_freed_while_reading),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_refused_in_body),
        cmocka_unit_test(test_refused_silently),
        cmocka_unit_test(test_linger_is_bounded),
        cmocka_unit_test(test_slow_header),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_idle_close),
        cmocka_unit_test(test_long_work),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_half_close_ok),
        cmocka_unit_test(test_half_close_pipelined),
        cmocka_unit_test(test_half_close_then_reset),
        cmocka_unit_test(test_half_close_after_answer),
        cmocka_unit_test(test_client_leaves_after_answer),
        cmocka_unit_test(test_next_request_waits_for_detach),
        cmocka_unit_test(test_detach_in_answer),
        cmocka_unit_test(test_connection_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
