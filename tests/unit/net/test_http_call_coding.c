/* Answers that come compressed: at every cut, broken off, paused between pieces, beyond the limit,
 * and two at once over one read buffer. */
#include <zlib.h>

#include "net_up.h"

#define HEAD      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define BIG_BYTES (12u << 20)

static void pack(struct tg_buf *b, int bits, const char *p, size_t n)
{
    z_stream z = {0};
    size_t room = n + 1024;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    tg_buf_init(b, room);
    assert_int_equal(tg_buf_reserve(b, room), 0);
    z.next_in = (unsigned char *)(uintptr_t)p;
    z.avail_in = (unsigned)n;
    z.next_out = (unsigned char *)b->p;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    b->n = room - z.avail_out;
    deflateEnd(&z);
}

/* A whole answer with that body, in one chunk or with its length. */
static void answer(struct tg_buf *b, const char *coding, struct tg_str body, bool chunked)
{
    tg_buf_init(b, 4 << 20);
    tg_buf_printf(b, HEAD "Content-Encoding: %s\r\n", coding);
    if (chunked)
        tg_buf_printf(b, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n", body.n);
    else
        tg_buf_printf(b, "Content-Length: %zu\r\n\r\n", body.n);
    tg_buf_str_add(b, body);
    if (chunked)
        tg_buf_lit(b, "\r\n0\r\n\r\n");
    assert_true(tg_buf_ok(b));
}

/* The head says nothing of how the body came. */
static void expect_plain_head(const struct caller *k)
{
    assert_null(tg_http_head_get(k->head, TG_STR("content-encoding")).p);
    assert_null(tg_http_head_get(k->head, TG_STR("content-length")).p);
    assert_true(
        tg_str_eq(tg_http_head_get(k->head, TG_STR("content-type")), TG_STR("text/event-stream")));
    assert_int_equal(k->head->body, TG_HTTP_BODY_CHUNKED);
}

static void every_split(void **state TG_UNUSED)
{
    static const struct {
        const char *coding;
        int bits;
    } forms[] = {{"gzip", 31}, {"deflate", 15}, {"deflate", -15}};
    struct crig r;
    struct upc c;

    crig_init(&r);
    exchange_once(&r, &c);
    for (size_t f = 0; f < TG_ARRAY_LEN(forms); f++) {
        struct tg_buf packed, a;
        pack(&packed, forms[f].bits, "hello hello hello", 17);
        answer(&a, forms[f].coding, tg_buf_str(&packed), false);
        for (size_t cut = 1; cut < a.n; cut++) {
            struct caller k;
            caller_start(&k, &r);
            upc_expect(&c, REQUEST);
            tg_buf_clear(&c.got);
            upc_send_n(&c, a.p, cut);
            settle(r.loop);
            upc_send_n(&c, a.p + cut, a.n - cut);
            expect_ok(&k, 200, "hello hello hello");
            expect_plain_head(&k);
            caller_free(&k);
        }
        tg_buf_fini(&a);
        tg_buf_fini(&packed);
    }
    assert_int_equal(tg_http_client_stats(r.client)->connects, 1); /* kept all the while */
    upc_close(&c);
    crig_fini(&r);
}

/* One answer over a connection of its own. `give` of its bytes come, then the connection ends. */
static void run_one(struct crig *r, const struct tg_buf *a, size_t give, int want_err,
                    const char *want_text)
{
    struct caller k;
    struct upc c;
    caller_start(&k, r);
    up_accept(&r->up, &c);
    upc_expect(&c, REQUEST);
    upc_send_n(&c, a->p, give);
    shutdown(c.fd, SHUT_WR);
    if (want_err) {
        expect_err(&k, want_err);
        assert_non_null(strstr(k.fail.message, want_text));
    } else {
        expect_ok(&k, 200, want_text);
    }
    caller_free(&k);
    upc_close(&c);
    settle(r->loop);
}

static void broken_answers(void **state TG_UNUSED)
{
    struct tg_buf packed, a;
    struct crig r;
    crig_init(&r);
    pack(&packed, 31, "hello hello hello", 17);
    /* the message is whole, what is in it is not */
    answer(&a, "gzip", tg_str_first(tg_buf_str(&packed), packed.n - 1), true);
    run_one(&r, &a, a.n, TG_E_UPSTREAM_INCOMPLETE, "compressed answer broke off");
    tg_buf_fini(&a);
    answer(&a, "gzip", TG_STR("{\"plain\":1}"), true);
    run_one(&r, &a, a.n, TG_E_UPSTREAM_INVALID, "not compressed as it says");
    tg_buf_fini(&a);
    /* the message is cut */
    answer(&a, "gzip", tg_buf_str(&packed), false);
    run_one(&r, &a, a.n - 1, TG_E_UPSTREAM_INCOMPLETE, "broke off");
    tg_buf_fini(&a);
    /* nothing at all is a whole answer, another coding is the caller's */
    answer(&a, "gzip", TG_STR(""), false);
    run_one(&r, &a, a.n, 0, "");
    tg_buf_fini(&a);
    answer(&a, "br", TG_STR("whatever"), false);
    run_one(&r, &a, a.n, 0, "whatever");
    tg_buf_fini(&a);
    tg_buf_fini(&packed);
    crig_fini(&r);
}

static void no_body_no_decoder(void **state TG_UNUSED)
{
    struct crig r;
    struct upc c;
    struct caller k;
    crig_init(&r);
    r.co.method = TG_HTTP_HEAD;
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, HEAD "Content-Encoding: gzip\r\nContent-Length: 30\r\n\r\n");
    expect_ok(&k, 200, "");
    assert_true(tg_str_eq(tg_http_head_get(k.head, TG_STR("content-encoding")), TG_STR("gzip")));
    caller_free(&k);
    upc_close(&c);
    crig_fini(&r);
}

static char *big_text(void)
{
    char *p = tg_xcalloc(1, BIG_BYTES);
    for (size_t i = 0; i < BIG_BYTES; i++)
        p[i] = (char)('a' + i % 23 + i % 3);
    return p;
}

/* 12 MB in a few KB: given in pieces, not all in one wake-up, and none while paused. */
static void a_caller_may_pause(void **state TG_UNUSED)
{
    struct crig r;
    struct upc c;
    struct caller k;
    struct tg_buf packed, a;
    char *text = big_text();
    crig_init(&r);
    pack(&packed, 31, text, BIG_BYTES);
    assert_true(packed.n < 60 << 10); /* one read */
    answer(&a, "gzip", tg_buf_str(&packed), true);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    k.stop_after = 1;
    upc_send_n(&c, a.p, a.n);
    while (!k.body.n)
        tg_loop_turn(r.loop);
    assert_true(k.body.n < BIG_BYTES / 2);
    tg_http_call_pause(k.call, true);
    size_t n = k.body.n;
    settle(r.loop);
    pass_ms(r.loop, 100000);
    assert_int_equal(k.body.n, n);
    assert_int_equal(k.err, 0);
    k.stop_after = k.steps = 0;
    tg_http_call_pause(k.call, false);
    caller_finish(&k);
    assert_int_equal(k.err, 0);
    assert_true(k.steps >= 20); /* others had their turn meanwhile */
    assert_int_equal(k.body.n, BIG_BYTES);
    assert_memory_equal(k.body.p, text, BIG_BYTES);
    assert_true(tg_http_call_info(k.call)->bytes_in < 64 << 10);
    caller_free(&k);
    upc_close(&c);
    tg_buf_fini(&a);
    tg_buf_fini(&packed);
    tg_free(text);
    crig_fini(&r);
}

static void a_bomb_is_refused(void **state TG_UNUSED)
{
    struct crig r;
    struct tg_buf packed, a;
    char *text = big_text();
    crig_init(&r);
    r.co.max_body_bytes = BIG_BYTES - 1;
    pack(&packed, 31, text, BIG_BYTES);
    answer(&a, "gzip", tg_buf_str(&packed), true);
    run_one(&r, &a, a.n, TG_E_UPSTREAM_TOO_LARGE, "unpacks to too much");
    tg_buf_fini(&a);
    tg_buf_fini(&packed);
    tg_free(text);
    crig_fini(&r);
}

/* Two owners that stop in the middle of what was read for them: nothing mixes. */
static void unread_bytes_survive(void **state TG_UNUSED)
{
    enum { N = 100000 };
    struct crig r;
    struct upc c[2];
    struct caller k[2];
    struct tg_buf packed, a;
    char *text = tg_xcalloc(1, N + 1);
    crig_init(&r);
    for (int i = 0; i < 2; i++) {
        caller_start(&k[i], &r);
        up_accept(&r.up, &c[i]);
        upc_expect(&c[i], REQUEST);
        k[i].stop_after = 1;
    }
    for (int i = 0; i < 2; i++) {
        for (size_t j = 0; j < N; j++)
            text[j] = (char)('A' + (size_t)i * 32 + j * j % 17);
        pack(&packed, 31, text, N);
        answer(&a, "gzip", tg_buf_str(&packed), i);
        upc_send_n(&c[i], a.p, a.n);
        tg_buf_fini(&a);
        tg_buf_fini(&packed);
    }
    for (int i = 0; i < 2; i++) {
        caller_finish(&k[i]);
        assert_int_equal(k[i].err, 0);
        assert_int_equal(k[i].body.n, N);
        for (size_t j = 0; j < N; j++)
            assert_true(k[i].body.p[j] == (char)('A' + (size_t)i * 32 + j * j % 17));
        expect_plain_head(&k[i]);
        caller_free(&k[i]);
        upc_close(&c[i]);
    }
    tg_free(text);
    crig_fini(&r);
}

/* Each allocation fails in turn: the call fails and says so, or did not need it. */
static void memory_runs_out(void **state TG_UNUSED)
{
    struct tg_buf packed, a;
    int failed = 0;
    pack(&packed, 31, "hello hello hello", 17);
    answer(&a, "gzip", tg_buf_str(&packed), false);
    for (uint64_t at = 1; at < 12; at++) {
        struct crig r;
        struct upc c;
        struct caller k;
        crig_init(&r);
        caller_start(&k, &r);
        up_accept(&r.up, &c);
        upc_expect(&c, REQUEST);
        assert_int_equal(tg_buf_reserve(&k.body, 100), 0);
        upc_send_n(&c, a.p, a.n);
        tg_alloc_fail_at(at, 1);
        settle_until(r.loop, caller_is_over, &k);
        tg_alloc_fail_at(0, 0);
        if (k.err)
            expect_err(&k, TG_E_NOMEM);
        else
            expect_ok(&k, 200, "hello hello hello");
        failed += k.err != 0;
        caller_free(&k);
        upc_close(&c);
        crig_fini(&r);
    }
    assert_in_range(failed, 3, 10);
    tg_buf_fini(&a);
    tg_buf_fini(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_split),        cmocka_unit_test(broken_answers),
        cmocka_unit_test(no_body_no_decoder), cmocka_unit_test(a_caller_may_pause),
        cmocka_unit_test(a_bomb_is_refused),  cmocka_unit_test(unread_bytes_survive),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("net/http_call_coding", tests, NULL, NULL);
}
