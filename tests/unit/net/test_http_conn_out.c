/* Answers: framing, marks, stalls, big writes. */
#include "net_test.h"

#define GET_A "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

static void manual(struct handler *h, unsigned events)
{
    if (events & TG_CONN_GONE)
        handler_free(h);
}

/* A request is in work and the test holds its handler in r->last. */
static void open_request(struct rig *r, struct peer *p, const char *request, size_t cap)
{
    rig_init(r);
    r->at_events = manual;
    rig_connect(r, p, cap, 0);
    peer_send(p, request);
    settle(r->loop);
    assert_non_null(r->last);
}

static void close_request(struct rig *r, struct peer *p)
{
    if (r->last)
        handler_free(r->last);
    settle(r->loop);
    peer_fini(p);
    rig_fini(r);
}

static void write_lit(struct rig *r, const char *text)
{
    assert_int_equal(tg_http_conn_write(r->last->conn, tg_str_c(text)), 0);
}

static const char *body_of(struct peer *p)
{
    char *at = strstr(peer_text(p), "\r\n\r\n");
    assert_non_null(at);
    return at + 4;
}

/* One chunk per tick, whatever was written in it; the last one carries the end. */
static void test_chunk_per_flush(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 0);
    struct tg_http_header h[] = {{TG_STR("Content-Type"), TG_STR("text/event-stream")},
                                 {TG_STR("X-A"), TG_STR("b")}};
    assert_int_equal(tg_http_conn_respond(r.last->conn, 200, h, 2, TG_HTTP_LENGTH_UNKNOWN), 0);
    write_lit(&r, "ab");
    write_lit(&r, "");
    write_lit(&r, "cd");
    settle(r.loop);
    assert_true(peer_has(&p, "Transfer-Encoding: chunked\r\n"));
    assert_true(peer_has(&p, "Content-Type: text/event-stream\r\nX-A: b\r\n"));
    assert_string_equal(body_of(&p), "4\r\nabcd\r\n");
    write_lit(&r, "0123456789abcdefg");
    settle(r.loop);
    assert_string_equal(body_of(&p), "4\r\nabcd\r\n11\r\n0123456789abcdefg\r\n");
    assert_int_equal(r.flushed, 0);
    write_lit(&r, "x");
    tg_http_conn_end(r.last->conn);
    settle(r.loop);
    assert_string_equal(body_of(&p), "4\r\nabcd\r\n11\r\n0123456789abcdefg\r\n1\r\nx\r\n0\r\n\r\n");
    assert_int_equal(r.flushed, 1);
    assert_int_equal(tg_http_conn_bytes_out(r.last->conn), p.got.n);
    assert_false(p.eof);
    close_request(&r, &p);
}

static void test_end_alone(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 0);
    assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    settle(r.loop);
    assert_string_equal(body_of(&p), "");
    tg_http_conn_end(r.last->conn);
    settle(r.loop);
    assert_string_equal(body_of(&p), "0\r\n\r\n");
    assert_int_equal(r.flushed, 1);
    close_request(&r, &p);
}

static void test_head_and_statuses(void **state)
{
    static const struct {
        const char *request;
        int status;
        uint64_t length;
        const char *has, *has_not;
        bool closes;
    } rows[] = {
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", 200, 5, "Content-Length: 5\r\n", "hello", false},
        {"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n", 200, TG_HTTP_LENGTH_UNKNOWN, "200 OK", "hello",
         false},
        {GET_A, 204, 0, "HTTP/1.1 204 No Content\r\n", "Content-Length", false},
        {GET_A, 304, 5, "Content-Length: 5\r\n", "hello", false},
        {"GET /a HTTP/1.0\r\n\r\n", 200, 5, "Connection: close\r\n", "chunked", true},
        {"GET /a HTTP/1.0\r\nHost: h\r\n\r\n", 200, TG_HTTP_LENGTH_UNKNOWN, "\r\n\r\nhello",
         "chunked", true},
        {"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", 200, 5,
         "Connection: keep-alive\r\n", "chunked", false},
        {"GET /a HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", 200,
         TG_HTTP_LENGTH_UNKNOWN, "Connection: close\r\n", "chunked", true},
        {"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 200, TG_HTTP_LENGTH_UNKNOWN,
         "Connection: close\r\n", "Content-Length", true},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct rig r;
        struct peer p;
        open_request(&r, &p, rows[i].request, 0);
        assert_int_equal(
            tg_http_conn_respond(r.last->conn, rows[i].status, NULL, 0, rows[i].length), 0);
        write_lit(&r, rows[i].status == 204 ? "" : "hello");
        tg_http_conn_end(r.last->conn);
        settle(r.loop);
        assert_int_equal(r.flushed, 1);
        if (!peer_has(&p, rows[i].has) || peer_has(&p, rows[i].has_not))
            fail_msg("row %zu: %s", i, peer_text(&p));
        assert_int_equal(p.eof, rows[i].closes);
        close_request(&r, &p);
    }
}

static void test_bad_use(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 0);
    struct tg_http_conn *c = r.last->conn;
    struct tg_http_header evil = {TG_STR("X"), TG_STR("a\r\nSet-Cookie: x")};
    assert_int_equal(tg_http_conn_write(c, TG_STR("x")), TG_E_INVALID_ARG);
    assert_int_equal(tg_http_conn_respond(c, 100, NULL, 0, 0), TG_E_INVALID_ARG);
    assert_int_equal(tg_http_conn_respond(c, 200, &evil, 1, 3), TG_E_INVALID_ARG);
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, 3), 0);
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, 3), TG_E_INVALID_ARG);
    assert_int_equal(tg_http_conn_write(c, TG_STR("four")), TG_E_INVALID_ARG);
    assert_int_equal(tg_http_conn_write(c, TG_STR("abc")), 0);
    assert_int_equal(tg_http_conn_write(c, TG_STR("d")), TG_E_INVALID_ARG);
    tg_http_conn_end(c);
    assert_int_equal(tg_http_conn_write(c, TG_STR("")), TG_E_CANCELLED);
    settle(r.loop);
    assert_string_equal(body_of(&p), "abc");
    assert_false(peer_has(&p, "Cookie"));
    close_request(&r, &p);
}

/* Fewer bytes than announced: cut, so that the client sees it. */
static void test_short_body_is_cut(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 0);
    assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0, 10), 0);
    write_lit(&r, "abc");
    tg_http_conn_end(r.last->conn);
    settle(r.loop);
    assert_string_equal(body_of(&p), "abc");
    assert_true(p.eof);
    assert_int_equal(r.flushed, 0);
    assert_int_equal(r.gone, 1);
    close_request(&r, &p);
}

static void test_end_without_answer_closes(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 0);
    tg_http_conn_end(r.last->conn);
    settle(r.loop);
    assert_int_equal(p.got.n, 0);
    assert_true(p.eof || p.broken);
    assert_int_equal(r.gone, 1);
    close_request(&r, &p);
}

/* Decodes chunked text in place; returns the body's length, or -1 when it does not end. */
static ptrdiff_t dechunk(char *text)
{
    char *in = text, *out = text, *end;
    for (;;) {
        unsigned long n = strtoul(in, &end, 16);
        if (end == in || strncmp(end, "\r\n", 2) != 0)
            return -1;
        in = end + 2;
        if (n == 0)
            return strcmp(in, "\r\n") == 0 ? out - text : -1;
        memmove(out, in, n);
        out += n;
        in += n;
        if (strncmp(in, "\r\n", 2) != 0)
            return -1;
        in += 2;
    }
}

/* Every mix of write sizes over every pipe size gives the same bytes. */
static void test_any_sizes_any_pipe(void **state)
{
    static const size_t caps[] = {1, 7, 100, 4096, 70000};
    static const size_t sizes[] = {1, 3, 40000, 17, 5000, 100000, 2, 33000, 512};

    for (size_t ci = 0; ci < TG_ARRAY_LEN(caps); ci++)
        for (int chunked = 0; chunked < 2; chunked++) {
            struct rig r;
            struct peer p;
            static char data[200000];
            size_t total = 0, at = 0;
            size_t scale = caps[ci] < 100 ? 100 : 1;

            open_request(&r, &p, GET_A, caps[ci]);
            for (size_t i = 0; i < sizeof data; i++)
                data[i] = (char)('a' + (i * 31 + i / 1000) % 26);
            for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++)
                total += sizes[i] / scale;
            assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0,
                                                  chunked ? TG_HTTP_LENGTH_UNKNOWN : total),
                             0);
            for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
                size_t n = sizes[i] / scale;
                assert_int_equal(tg_http_conn_write(r.last->conn, tg_str_make(data + at, n)), 0);
                at += n;
                if (i % 3 == 2)
                    settle(r.loop);
            }
            tg_http_conn_end(r.last->conn);
            settle(r.loop);
            assert_int_equal(r.flushed, 1);
            assert_int_equal(tg_http_conn_bytes_out(r.last->conn), p.got.n);
            (void)peer_text(&p);
            char *body = strstr(p.got.p, "\r\n\r\n") + 4;
            ptrdiff_t n = chunked ? dechunk(body) : (ptrdiff_t)strlen(body);
            assert_int_equal(n, total);
            assert_memory_equal(body, data, total);
            close_request(&r, &p);
        }
}

/* A reader that stops: bounded, told at the low mark. */
static void test_marks(void **state)
{
    struct rig r;
    struct peer p;
    static char piece[1000];

    open_request(&r, &p, GET_A, 4096);
    struct tg_http_conn *c = r.last->conn;
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    settle(r.loop);
    p.stopped = true;
    int n = 0, rc = 0;
    while (!tg_http_conn_above_high(c) && n < 10000) {
        assert_int_equal(tg_http_conn_write(c, tg_str_make(piece, sizeof piece)), 0);
        if (n++ % 10 == 0)
            settle(r.loop);
    }
    assert_in_range(tg_http_conn_queued(c), 262144, 264000);
    while ((rc = tg_http_conn_write(c, tg_str_make(piece, sizeof piece))) == 0 && n < 10000)
        n++;
    assert_int_equal(rc, TG_E_FULL);
    assert_in_range(tg_http_conn_queued(c), 524288, 526000);
    assert_int_equal(r.last->seen & TG_CONN_DRAINED, 0);
    p.stopped = false;
    tg_stream_want(p.stream, TG_WANT_READ);
    settle(r.loop);
    assert_int_equal(r.last->seen & TG_CONN_DRAINED, TG_CONN_DRAINED);
    assert_false(tg_http_conn_above_high(c));
    assert_int_equal(tg_http_conn_queued(c), 0);
    tg_http_conn_end(c);
    settle(r.loop);
    (void)peer_text(&p);
    char *body = strstr(p.got.p, "\r\n\r\n") + 4;
    size_t zeros = 0; /* the payload is zeros; count what is not framing */
    for (size_t i = 0; i < p.got.n; i++)
        zeros += p.got.p[i] == '\0';
    assert_int_equal(zeros, (size_t)n * sizeof piece);
    assert_non_null(body);
    close_request(&r, &p);
}

static void test_stalled_reader_is_cut(void **state)
{
    struct rig r;
    struct peer p;
    static char big[100000];

    open_request(&r, &p, GET_A, 4096);
    struct tg_http_conn *c = r.last->conn;
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    settle(r.loop);
    pass_ms(r.loop, 300000); /* silence of the handler is no stall */
    assert_int_equal(r.live, 1);
    p.stopped = true;
    assert_int_equal(tg_http_conn_write(c, tg_str_make(big, sizeof big)), 0);
    settle(r.loop);
    pass_ms(r.loop, 29000);
    assert_int_equal(r.live, 1);
    p.stopped = false; /* some progress starts the clock anew */
    tg_stream_want(p.stream, TG_WANT_READ);
    for (int i = 0; i < 1; i++) {
        char buf[1000];
        assert_true(tg_stream_read(p.stream, buf, sizeof buf) > 0);
        p.stopped = true;
    }
    settle(r.loop);
    pass_ms(r.loop, 29000);
    assert_int_equal(r.live, 1);
    pass_ms(r.loop, 2000);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.live, 0);
    assert_int_equal(tg_http_server_stats(r.server)->cut_stalled, 1);
    close_request(&r, &p);
}

/* The pipe was filled to the last byte long ago: the stall counts from when output began to wait.
 */
static void test_stall_counts_from_waiting(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 1000);
    p.stopped = true;
    struct tg_http_conn *c = r.last->conn;
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, 2000), 0);
    settle(r.loop);
    size_t head = (size_t)tg_http_conn_bytes_out(c);
    static char zeros[2000];
    assert_int_equal(tg_http_conn_write(c, tg_str_make(zeros, 1000 - head)), 0);
    settle(r.loop);
    assert_int_equal(tg_http_conn_bytes_out(c), 1000);
    assert_int_equal(tg_http_conn_queued(c), 0);
    pass_ms(r.loop, 100000);
    assert_int_equal(tg_http_conn_write(c, tg_str_make(zeros, 10)), 0);
    settle(r.loop);
    pass_ms(r.loop, 29900);
    assert_int_equal(r.live, 1);
    pass_ms(r.loop, 200);
    assert_int_equal(r.live, 0);
    assert_int_equal(tg_http_server_stats(r.server)->cut_stalled, 1);
    close_request(&r, &p);
}

static void keep_when_gone(struct handler *h, unsigned events) {}

/* A big answer through a small pipe, with each allocation failing: whole, or visibly cut. */
static uint64_t big_answer(uint64_t fail_at, int sticky)
{
    struct rig r;
    struct peer p;
    static char big[100000];

    open_request(&r, &p, GET_A, 4096);
    r.at_events = keep_when_gone;
    assert_int_equal(tg_buf_reserve(&p.got, 1 << 20), 0);
    memset(big, 'b', sizeof big);
    tg_alloc_fail_at(fail_at, sticky);
    struct tg_http_conn *c = r.last->conn;
    int rc = tg_http_conn_respond(c, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN);
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = tg_http_conn_write(c, tg_str_make(big, sizeof big));
        if (rc == 0)
            rc = tg_http_conn_write(c, TG_STR("small"));
        settle(r.loop);
    }
    if (rc == 0)
        tg_http_conn_end(c);
    else
        tg_http_conn_abort(c);
    settle(r.loop);
    uint64_t n = tg_alloc_count();
    tg_alloc_fail_at(0, 0);
    settle(r.loop);
    assert_int_equal(r.flushed, rc == 0);
    if (rc == 0)
        assert_true(p.got.n > 300015);
    else
        assert_true(p.eof || p.broken);
    assert_int_equal(p.got.n > 5 && memcmp(p.got.p + p.got.n - 5, "0\r\n\r\n", 5) == 0, rc == 0);
    close_request(&r, &p);
    return n;
}

static void test_big_answer_without_memory(void **state)
{
    uint64_t n = big_answer(0, 0);
    assert_in_range(n, 5, 200);
    for (int sticky = 0; sticky < 2; sticky++)
        for (uint64_t i = 1; i <= n; i++)
            big_answer(i, sticky);
}

/* The kernel takes nothing more and the client goes away. */
static void test_reset_while_blocked(void **state)
{
    struct rig r;
    struct peer p;
    static char big[100000];

    open_request(&r, &p, GET_A, 4096);
    assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    p.stopped = true;
    assert_int_equal(tg_http_conn_write(r.last->conn, tg_str_make(big, sizeof big)), 0);
    settle(r.loop);
    tg_stream_mem_reset(p.stream);
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    close_request(&r, &p);
}

/* A handler that has not detached yet may call anything. */
static void test_functions_after_gone(void **state)
{
    struct rig r;
    struct peer p;

    open_request(&r, &p, GET_A, 0);
    r.at_events = keep_when_gone;
    struct tg_http_conn *c = r.last->conn;
    peer_close(&p);
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, 0), TG_E_CANCELLED);
    assert_int_equal(tg_http_conn_write(c, TG_STR("x")), TG_E_CANCELLED);
    assert_int_equal(tg_http_conn_queued(c), 0);
    assert_false(tg_http_conn_above_high(c));
    tg_http_conn_end(c);
    tg_http_conn_abort(c);
    assert_int_equal(tg_http_conn_bytes_out(c), 0);
    settle(r.loop);
    settle(r.loop); /* ticks pass, the struct is still there */
    assert_int_equal(tg_http_conn_take_events(c), 0);
    close_request(&r, &p);
}

/* A chunk of more pieces than one writev takes is still one chunk. */
static void test_many_pieces(void **state)
{
    struct rig r;
    struct peer p;
    size_t n = 3000000;
    char *big = tg_malloc(n);

    for (size_t i = 0; i < n; i++)
        big[i] = (char)('a' + (i * 31 + i / 1000) % 26);
    open_request(&r, &p, GET_A, 1 << 22);
    struct tg_http_conn *c = r.last->conn;
    assert_int_equal(tg_http_conn_respond(c, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    assert_int_equal(tg_http_conn_write(c, TG_STR("x")), 0); /* so that the big one is queued */
    assert_int_equal(tg_http_conn_write(c, tg_str_make(big, n)), 0);
    assert_int_equal(tg_http_conn_queued(c) > n, 1);
    tg_http_conn_end(c);
    settle(r.loop);
    assert_int_equal(r.flushed, 1);
    (void)peer_text(&p);
    char *body = strstr(p.got.p, "\r\n\r\n") + 4;
    assert_int_equal(dechunk(body), n + 1);
    assert_memory_equal(body + 1, big, n);
    tg_free(big);
    close_request(&r, &p);
}

static void test_too_big_for_one_write(void **state)
{
    struct rig r;
    struct peer p;
    size_t n = (64u << 20) + 1;
    char *huge = tg_calloc(1, n);

    assert_non_null(huge);
    open_request(&r, &p, GET_A, 0);
    assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0, n), 0);
    assert_int_equal(tg_http_conn_write(r.last->conn, tg_str_make(huge, n)), TG_E_FULL);
    assert_int_equal(tg_http_conn_write(r.last->conn, tg_str_make(huge, n - 1)), 0);
    tg_http_conn_abort(r.last->conn);
    settle(r.loop);
    tg_free(huge);
    close_request(&r, &p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunk_per_flush),
        cmocka_unit_test(test_end_alone),
        cmocka_unit_test(test_head_and_statuses),
        cmocka_unit_test(test_bad_use),
        cmocka_unit_test(test_short_body_is_cut),
        cmocka_unit_test(test_end_without_answer_closes),
        cmocka_unit_test(test_any_sizes_any_pipe),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_stalled_reader_is_cut),
        cmocka_unit_test(test_stall_counts_from_waiting),
        cmocka_unit_test(test_big_answer_without_memory),
        cmocka_unit_test(test_reset_while_blocked),
        cmocka_unit_test(test_functions_after_gone),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_too_big_for_one_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
