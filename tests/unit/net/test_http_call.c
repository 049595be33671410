/* One call at a time: sending, receiving, failing, in every way an upstream can answer. */
#include "net_up.h"

static void run_answer(const char *answer, bool close_after, int want_err, int want_status,
                       const char *want_body, bool want_pooled)
{
    struct crig r;
    struct caller k;
    struct upc c;

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, answer);
    if (close_after)
        shutdown(c.fd, SHUT_WR);
    if (want_err)
        expect_err(&k, want_err);
    else
        expect_ok(&k, want_status, want_body);
    assert_int_equal(k.sent, 1);
    assert_false(tg_http_call_info(k.call)->reused);
    assert_true(tg_http_call_info(k.call)->request_sent);
    assert_int_equal(tg_http_call_info(k.call)->bytes_out, strlen(REQUEST));
    caller_free(&k);
    settle(r.loop);
    assert_int_equal(tg_http_client_stats(r.client)->idle, want_pooled);
    assert_int_equal(tg_http_client_stats(r.client)->open, want_pooled);
    upc_close(&c);
    crig_fini(&r);
}

static void test_answers(void **state)
{
    run_answer(OK_HI, false, 0, 200, "hi", true);
    run_answer(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n",
        false, 0, 200, "hi!", true);
    run_answer("HTTP/1.1 204 No Content\r\n\r\n", false, 0, 204, "", true);
    run_answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", false, 0, 200,
               "hi", false);
    run_answer("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, 0, 200, "hi", false);
    /* delimited by the connection's end */
    run_answer("HTTP/1.1 200 OK\r\n\r\nall of it", true, 0, 200, "all of it", false);
    /* interim answers are skipped */
    run_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" OK_HI,
               false, 0, 200, "hi", true);
    /* bytes behind the answer: not to be trusted again */
    run_answer(OK_HI "x", false, 0, 200, "hi", false);
    run_answer(OK_HI OK_HI, false, 0, 200, "hi", false);
    run_answer("HTTP/1.1 500 Oops\r\nContent-Length: 3\r\n\r\nbad", false, 0, 500, "bad", true);
}

static void test_bad_answers(void **state)
{
    run_answer("", true, TG_E_UPSTREAM_INCOMPLETE, 0, NULL, false);
    run_answer("HTTP/1.1 200 OK\r\nContent-Le", true, TG_E_UPSTREAM_INCOMPLETE, 0, NULL, false);
    run_answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", true, TG_E_UPSTREAM_INCOMPLETE, 0,
               NULL, false);
    run_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", true,
               TG_E_UPSTREAM_INCOMPLETE, 0, NULL, false);
    run_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", true,
               TG_E_UPSTREAM_INCOMPLETE, 0, NULL, false);
    run_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false,
               TG_E_UPSTREAM_INVALID, 0, NULL, false);
    run_answer("SSH-2.0-OpenSSH\r\n\r\n", false, TG_E_UPSTREAM_INVALID, 0, NULL, false);
    run_answer("HTTP/1.1 100 Continue\r\n\r\n", true, TG_E_UPSTREAM_INCOMPLETE, 0, NULL, false);
}

static void test_every_split(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    struct crig r;
    struct upc c;
    size_t n = strlen(answer);

    crig_init(&r);
    exchange_once(&r, &c);
    for (size_t cut = 1; cut < n; cut++) {
        struct caller k;
        caller_start(&k, &r);
        upc_expect(&c, REQUEST);
        tg_buf_clear(&c.got);
        upc_send_n(&c, answer, cut);
        settle(r.loop);
        upc_send_n(&c, answer + cut, n - cut);
        expect_ok(&k, 200, "abcde");
        assert_true(tg_http_call_info(k.call)->reused);
        caller_free(&k);
    }
    assert_int_equal(tg_http_client_stats(r.client)->connects, 1);
    assert_int_equal(tg_http_client_stats(r.client)->reuses, n - 1);
    upc_close(&c);
    crig_fini(&r);
}

/* SENT comes at once on a new connection, with the first byte on a pooled one. */
static void test_sent_event(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    assert_int_equal(k.sent, 1);
    upc_send(&c, OK_HI);
    expect_ok(&k, 200, "hi");
    caller_free(&k);
    tg_buf_clear(&c.got);
    caller_start(&k, &r);
    upc_expect(&c, REQUEST);
    assert_int_equal(k.sent, 0);
    assert_true(tg_http_call_info(k.call)->request_sent);
    upc_send(&c, OK_HI);
    expect_ok(&k, 200, "hi");
    assert_int_equal(k.sent, 1);
    caller_free(&k);
    upc_close(&c);
    crig_fini(&r);
}

static void test_head_request(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;

    crig_init(&r);
    r.co.method = TG_HTTP_HEAD;
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    expect_ok(&k, 200, "");
    caller_free(&k);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    upc_close(&c);
    crig_fini(&r);
}

static void test_limits(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;

    for (int kind = 0; kind < 3; kind++) {
        crig_init(&r);
        r.co.max_body_bytes = 10;
        caller_start(&k, &r);
        up_accept(&r.up, &c);
        upc_expect(&c, REQUEST);
        if (kind == 0) {
            upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n");
        } else if (kind == 1) {
            upc_send(&c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "6\r\nabcdef\r\n6\r\nabcdef\r\n");
        } else {
            upc_send(&c, "HTTP/1.1 200 OK\r\nX: ");
            static char big[70000];
            memset(big, 'h', sizeof big);
            upc_send_n(&c, big, sizeof big);
        }
        expect_err(&k, TG_E_UPSTREAM_TOO_LARGE);
        caller_free(&k);
        upc_expect_end(&c);
        upc_close(&c);
        assert_int_equal(tg_http_client_stats(r.client)->open, 0);
        crig_fini(&r);
    }
}

static void test_resets(void **state)
{
    static const char *before[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"};
    for (int i = 0; i < 2; i++) {
        struct crig r;
        struct upc c;
        struct caller k;
        crig_init(&r);
        caller_start(&k, &r);
        up_accept(&r.up, &c);
        upc_expect(&c, REQUEST);
        upc_send(&c, before[i]);
        settle(r.loop);
        upc_reset(&c);
        expect_err(&k, TG_E_UPSTREAM_INCOMPLETE);
        assert_int_equal(k.heads, i);
        assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 0);
        caller_free(&k);
        crig_fini(&r);
    }
}

static void test_refused(void **state)
{
    struct crig r;
    struct caller k;

    crig_init(&r);
    close(r.up.lfd);
    r.up.lfd = -1;
    caller_start(&k, &r);
    expect_err(&k, TG_E_UPSTREAM_CONNECT);
    assert_int_equal(k.sent, 0);
    assert_int_equal(tg_http_client_stats(r.client)->connect_failures, 1);
    assert_int_equal(tg_http_client_stats(r.client)->open, 0);
    assert_int_equal(tg_http_client_stats(r.client)->connecting, 0);
    caller_free(&k);
    crig_fini(&r);
}

/* A pooled connection that dies before the first byte: once more, on a fresh one. */
static void test_stale_retry(void **state)
{
    for (int reset = 0; reset < 2; reset++) {
        struct crig r;
        struct upc c, d;
        struct caller k;
        crig_init(&r);
        exchange_once(&r, &c);
        caller_start(&k, &r);
        upc_expect(&c, REQUEST);
        if (reset)
            upc_reset(&c);
        else
            upc_close(&c);
        up_accept(&r.up, &d);
        upc_expect(&d, REQUEST);
        upc_send(&d, OK_HI);
        expect_ok(&k, 200, "hi");
        assert_int_equal(k.sent, 1);
        assert_false(tg_http_call_info(k.call)->reused);
        assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 1);
        caller_free(&k);
        upc_close(&d);
        crig_fini(&r);
    }
}

/* Only once, and never after a byte, and never when the upstream had time to work on it. */
static void test_no_second_retry(void **state)
{
    struct crig r;
    struct upc c, d;
    struct caller k;

    crig_init(&r);
    exchange_once(&r, &c);
    caller_start(&k, &r);
    upc_expect(&c, REQUEST);
    upc_close(&c);
    up_accept(&r.up, &d);
    upc_expect(&d, REQUEST);
    upc_close(&d);
    expect_err(&k, TG_E_UPSTREAM_INCOMPLETE);
    assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 1);
    caller_free(&k);

    exchange_once(&r, &c);
    caller_start(&k, &r);
    upc_expect(&c, REQUEST);
    upc_send(&c, "H");
    settle(r.loop);
    upc_close(&c);
    expect_err(&k, TG_E_UPSTREAM_INCOMPLETE);
    caller_free(&k);

    exchange_once(&r, &c);
    caller_start(&k, &r);
    upc_expect(&c, REQUEST);
    pass_ms(r.loop, 1500);
    upc_close(&c);
    expect_err(&k, TG_E_UPSTREAM_INCOMPLETE);
    caller_free(&k);
    assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 1);
    crig_fini(&r);
}

static void test_timeouts(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;

    crig_init(&r);
    caller_start(&k, &r); /* first byte */
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    pass_ms(r.loop, 59000);
    assert_int_equal(k.err, 0);
    pass_ms(r.loop, 1100);
    expect_err(&k, TG_E_UPSTREAM_TIMEOUT);
    struct tg_http_call_event ev; /* a failure is final */
    assert_int_equal(tg_http_call_next(k.call, &ev, &k.fail), TG_E_UPSTREAM_TIMEOUT);
    caller_free(&k);
    upc_expect_end(&c);
    upc_close(&c);

    caller_start(&k, &r); /* between bytes */
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
    for (int i = 0; i < 20; i++) {
        settle(r.loop);
        pass_ms(r.loop, 29000);
        assert_int_equal(k.err, 0);
        upc_send(&c, "x");
        usleep(2000);
        settle(r.loop);
    }
    pass_ms(r.loop, 30100);
    expect_err(&k, TG_E_UPSTREAM_TIMEOUT);
    assert_int_equal(k.body.n, 20);
    caller_free(&k);
    upc_close(&c);
    crig_fini(&r);
}

/* The upstream takes no request bytes: that is a first-byte timeout too. */
static void test_send_stall(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;
    size_t n = 30 << 20;
    char *big = tg_calloc(1, n);
    struct iovec iov = {big, n};

    crig_init(&r);
    assert_int_equal(caller_start_with(&k, &r, &iov, 1), 0);
    up_accept(&r.up, &c);
    settle(r.loop);
    usleep(20000);
    settle(r.loop);
    assert_int_equal(k.sent, 0);
    pass_ms(r.loop, 60100);
    expect_err(&k, TG_E_UPSTREAM_TIMEOUT);
    assert_false(tg_http_call_info(k.call)->request_sent);
    caller_free(&k);
    upc_close(&c);
    crig_fini(&r);
    tg_free(big);
}

static void test_big_request(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;
    size_t n = 8 << 20;
    char *big = tg_malloc(n);
    struct iovec iov[50];

    for (size_t i = 0; i < n; i++)
        big[i] = (char)(i * 7 + i / 1013);
    for (size_t i = 0; i < 50; i++)
        iov[i] = (struct iovec){big + i * (n / 50), i < 49 ? n / 50 : n - 49 * (n / 50)};
    crig_init(&r);
    assert_int_equal(caller_start_with(&k, &r, iov, 50), 0);
    up_accept(&r.up, &c);
    upc_expect_bytes(&c, n);
    assert_memory_equal(c.got.p, big, n);
    settle(r.loop);
    assert_int_equal(k.sent, 1);
    upc_send(&c, OK_HI);
    expect_ok(&k, 200, "hi");
    assert_int_equal(tg_http_call_info(k.call)->bytes_out, n);
    caller_free(&k);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    upc_close(&c);
    crig_fini(&r);
    tg_free(big);
}

/* The answer comes, and the upstream hangs up, while the request is still on its way. */
static void test_early_answer(void **state)
{
    for (int closes = 0; closes < 4; closes++) {
        struct crig r;
        struct upc c;
        struct caller k;
        size_t n = 30 << 20;
        char *big = tg_calloc(1, n);
        struct iovec iov = {big, n};
        crig_init(&r);
        assert_int_equal(caller_start_with(&k, &r, &iov, 1), 0);
        up_accept(&r.up, &c);
        settle(r.loop);
        upc_send(&c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        if (closes == 1)
            shutdown(c.fd, SHUT_WR);
        if (closes == 2)
            shutdown(c.fd, SHUT_RDWR);
        if (closes == 3)
            upc_close(&c); /* with unread bytes: that is a reset */
        expect_ok(&k, 413, "big");
        assert_int_equal(k.sent, 0);
        caller_free(&k);
        settle(r.loop);
        assert_int_equal(tg_http_client_stats(r.client)->open, 0);
        upc_close(&c);
        crig_fini(&r);
        tg_free(big);
    }
}

static void test_cancel(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;

    crig_init(&r);
    caller_start(&k, &r); /* before it began */
    caller_free(&k);
    settle(r.loop);
    caller_start(&k, &r); /* waiting for the answer */
    up_accept(&r.up, &c);
    while (!strstr(upc_text(&c), "body")) {
        /* the first, cancelled connect may be accepted first */
        settle(r.loop);
        if (!upc_poll(&c) && c.got.n == 0) {
            upc_close(&c);
            up_accept(&r.up, &c);
        }
    }
    caller_free(&k);
    upc_expect_end(&c);
    upc_close(&c);
    caller_start(&k, &r); /* in the body */
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
    while (k.body.n < 3)
        settle(r.loop);
    caller_free(&k);
    upc_expect_end(&c);
    upc_close(&c);
    assert_int_equal(tg_http_client_stats(r.client)->open, 0);
    crig_fini(&r);
}

static void test_pause(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;
    static char big[300000];

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n");
    while (!k.heads)
        settle(r.loop);
    tg_http_call_pause(k.call, true);
    upc_send_n(&c, big, 100000);
    usleep(10000);
    settle(r.loop);
    assert_int_equal(k.body.n, 0);
    pass_ms(r.loop, 100000); /* no idle timeout while paused */
    assert_int_equal(k.err, 0);
    int steps = k.steps;
    settle(r.loop);
    assert_in_range(k.steps, steps, steps + 1); /* and no busy loop */
    tg_http_call_pause(k.call, false);
    for (int i = 0; i < 9; i++)
        upc_send_n(&c, big, sizeof big);
    upc_send_n(&c, big, 200000);
    caller_finish(&k);
    assert_int_equal(k.err, 0);
    assert_int_equal(k.body.n, 3000000);
    caller_free(&k);
    upc_close(&c);
    crig_fini(&r);
}

/* Two owners that each stop in the middle of their events share one read buffer: nothing mixes. */
static void test_unread_bytes_survive(void **state)
{
    struct crig r;
    struct upc c, d;
    struct caller k, l;
    char a[2000] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b[2000];

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    caller_start(&l, &r);
    up_accept(&r.up, &d);
    upc_expect(&c, REQUEST);
    upc_expect(&d, REQUEST);
    k.stop_after = l.stop_after = 1;
    size_t n = strlen(a);
    memcpy(b, a, n);
    for (int i = 0; i < 100; i++, n += 6) {
        memcpy(a + n, "1\r\nA\r\n", 6);
        memcpy(b + n, "1\r\nB\r\n", 6);
    }
    memcpy(a + n, "0\r\n\r\n", 6);
    memcpy(b + n, "0\r\n\r\n", 6);
    upc_send(&c, a);
    upc_send(&d, b);
    caller_finish(&k);
    caller_finish(&l);
    assert_int_equal(k.body.n, 100);
    assert_int_equal(l.body.n, 100);
    for (int i = 0; i < 100; i++)
        assert_true(k.body.p[i] == 'A' && l.body.p[i] == 'B');
    caller_free(&k);
    caller_free(&l);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

/* The same without memory to keep them: that call fails, and says so. */
static void test_unread_bytes_without_memory(void **state)
{
    struct crig r;
    struct upc c, d;
    struct caller k, l;

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    caller_start(&l, &r);
    up_accept(&r.up, &d);
    upc_expect(&c, REQUEST);
    upc_expect(&d, REQUEST);
    assert_int_equal(tg_buf_reserve(&k.body, 1000), 0);
    assert_int_equal(tg_buf_reserve(&l.body, 1000), 0);
    k.freeze_at_head = true;
    upc_send(&c, OK_HI);
    while (!k.heads) /* the body lies unread */
        tg_loop_turn(r.loop);
    upc_send(&d, "HTTP/1.1 2"); /* no memory is needed for so much */
    usleep(2000);
    tg_alloc_fail_at(1, 1);
    settle(r.loop);
    tg_alloc_fail_at(0, 0);
    upc_send(&d, "00 OK\r\nContent-Length: 2\r\n\r\nhi");
    k.freeze_at_head = false;
    tg_loop_wake(r.loop, &k.task);
    expect_err(&k, TG_E_NOMEM);
    expect_ok(&l, 200, "hi");
    caller_free(&k);
    caller_free(&l);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

/* The end arrives between the lease and the first write: nothing is sent on that connection. */
static void test_ended_between_lease_and_write(void **state)
{
    struct crig r;
    struct upc c, d;
    struct caller k;

    crig_init(&r);
    exchange_once(&r, &c);
    caller_start(&k, &r);
    tg_task_cancel(&k.task);
    shutdown(c.fd, SHUT_WR);
    usleep(2000);
    up_accept(&r.up, &d);
    upc_expect(&d, REQUEST);
    upc_send(&d, OK_HI);
    expect_ok(&k, 200, "hi");
    upc_expect_end(&c);
    assert_int_equal(c.got.n, 0);
    assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 1);
    caller_free(&k);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

static void test_no_timeouts_at_all(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;

    crig_init(&r);
    r.co.connect_timeout_ms = r.co.first_byte_timeout_ms = r.co.idle_timeout_ms = 0;
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    pass_ms(r.loop, 10 * 3600 * 1000);
    upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
    while (!k.heads)
        settle(r.loop);
    pass_ms(r.loop, 10 * 3600 * 1000);
    assert_int_equal(k.err, 0);
    upc_send(&c, "hi");
    expect_ok(&k, 200, "hi");
    tg_http_call_pause(k.call, true); /* after the end: nothing */
    tg_http_call_pause(k.call, false);
    struct tg_http_call_event ev;
    assert_int_equal(tg_http_call_next(k.call, &ev, &k.fail), 0);
    caller_free(&k);
    tg_http_call_free(NULL);
    upc_close(&c);
    crig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_sent_event),
        cmocka_unit_test(test_head_request),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_stale_retry),
        cmocka_unit_test(test_no_second_retry),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_send_stall),
        cmocka_unit_test(test_big_request),
        cmocka_unit_test(test_early_answer),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_unread_bytes_survive),
        cmocka_unit_test(test_unread_bytes_without_memory),
        cmocka_unit_test(test_ended_between_lease_and_write),
        cmocka_unit_test(test_no_timeouts_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
