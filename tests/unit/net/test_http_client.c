/* Origins, pools, lines. */
#include "net_up.h"

static void test_defaults_and_keys(void **state)
{
    struct crig r;
    struct tg_http_origin *a, *b;

    crig_init(&r);
    assert_int_equal(tg_http_origin_get(r.client, &r.oo, &a), 0);
    assert_ptr_equal(a, r.origin);
    struct tg_http_origin_opts o = r.oo;
    o.port++;
    assert_int_equal(tg_http_origin_get(r.client, &o, &b), 0);
    assert_ptr_not_equal(a, b);
    o = r.oo;
    o.proxy_host = TG_STR("127.0.0.1");
    assert_int_equal(tg_http_origin_get(r.client, &o, &b), 0);
    assert_ptr_not_equal(a, b);
    struct tg_http_origin *c;
    o.proxy_auth = TG_STR("Basic x");
    assert_int_equal(tg_http_origin_get(r.client, &o, &c), 0);
    assert_ptr_not_equal(b, c);
    o = r.oo;
    o.https = true; /* without a context: no */
    assert_int_equal(tg_http_origin_get(r.client, &o, &c), TG_E_INVALID_ARG);
    o = r.oo;
    o.host = TG_STR("");
    assert_int_equal(tg_http_origin_get(r.client, &o, &c), TG_E_INVALID_ARG);
    o.host = TG_STR("a\r\nb");
    assert_int_equal(tg_http_origin_get(r.client, &o, &c), TG_E_INVALID_ARG);
    o.host = TG_STR("a");
    o.proxy_auth = TG_STR("Basic x\r\nHost: evil");
    assert_int_equal(tg_http_origin_get(r.client, &o, &c), TG_E_INVALID_ARG);
    crig_fini(&r);
}

static void test_max_origins(void **state)
{
    struct crig r;
    struct tg_http_origin *o;
    int n = 1; /* the rig's */

    crig_init(&r);
    for (uint16_t port = 1; port < 5000; port++) {
        if (port == r.up.port)
            continue;
        struct tg_http_origin_opts oo = {.host = TG_STR("h"), .port = port};
        int rc = tg_http_origin_get(r.client, &oo, &o);
        if (rc < 0) {
            assert_int_equal(rc, TG_E_FULL);
            break;
        }
        n++;
    }
    assert_int_equal(n, 4096);
    crig_fini(&r);
}

static void finish_on(struct caller *k, struct upc *c)
{
    upc_expect(c, REQUEST);
    tg_buf_clear(&c->got);
    upc_send(c, OK_HI);
    expect_ok(k, 200, "hi");
    caller_free(k);
}

/* The connection used last is used next, so that the others can age. */
static void test_pool_is_lifo(void **state)
{
    struct crig r;
    struct caller k, l, m;
    struct upc c, d;

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    caller_start(&l, &r);
    up_accept(&r.up, &d);
    finish_on(&k, &c);
    finish_on(&l, &d);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 2);
    for (int i = 0; i < 3; i++) {
        pass_ms(r.loop, 20000);
        caller_start(&m, &r);
        finish_on(&m, &d);
    }
    pass_ms(r.loop, 10);
    upc_expect_end(&c); /* idle for 60 s */
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    pass_ms(r.loop, 54000);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    pass_ms(r.loop, 1500);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 0);
    upc_expect_end(&d);
    assert_int_equal(tg_http_client_stats(r.client)->open, 0);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

static bool nothing_idle(void *arg)
{
    return tg_http_client_stats(arg)->idle == 0;
}

/* The pool notices by itself that an idle connection ended or spoke unasked. */
static void test_idle_connection_ends(void **state)
{
    struct crig r;
    struct caller k;
    struct upc c;

    crig_init(&r);
    for (int how = 0; how < 3; how++) {
        exchange_once(&r, &c);
        assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
        if (how == 0)
            upc_close(&c);
        else if (how == 1)
            upc_reset(&c);
        else
            upc_send(&c, OK_HI); /* an answer that nobody asked for */
        assert_true(settle_until(r.loop, nothing_idle, r.client));
        assert_int_equal(tg_http_client_stats(r.client)->open, 0);
        if (how == 2)
            upc_close(&c);
        exchange_once(&r, &c);
        caller_start(&k, &r);
        upc_expect(&c, REQUEST);
        upc_send(&c, OK_HI);
        expect_ok(&k, 200, "hi");
        assert_true(tg_http_call_info(k.call)->reused);
        caller_free(&k);
        upc_close(&c);
        assert_true(settle_until(r.loop, nothing_idle, r.client));
    }
    assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 0);
    crig_fini(&r);
}

/* A connection given back in this tick was not polled since: what came behind the answer is found
 * before it is used again. */
static void test_unasked_bytes_in_the_same_tick(void **state)
{
    struct crig r;
    struct caller k;
    struct upc c, d;

    crig_init(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, REQUEST);
    upc_send(&c, OK_HI);
    usleep(2000);
    /* by hand: take everything, then let more arrive before the next poll */
    while (!k.ended)
        tg_loop_turn(r.loop);
    upc_send(&c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    usleep(2000);
    caller_free(&k);
    caller_start(&k, &r);
    up_accept(&r.up, &d);
    finish_on(&k, &d);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

static void test_max_idle(void **state)
{
    struct crig r;
    enum { N = 70 };
    static struct caller k[N];
    static struct upc c[N];

    crig_init(&r);
    for (int i = 0; i < N; i++) {
        caller_start(&k[i], &r);
        up_accept(&r.up, &c[i]);
    }
    for (int i = 0; i < N; i++)
        finish_on(&k[i], &c[i]);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 64);
    assert_int_equal(tg_http_client_stats(r.client)->open, 64);
    for (int i = 0; i < N; i++)
        upc_close(&c[i]);
    crig_fini(&r);
}

/* Calls beyond max_conns wait and are served in order of arrival. */
static void test_line_order(void **state)
{
    struct crig r;
    enum { N = 6 };
    struct caller k[N];
    struct upc c, d;
    char text[N][64];
    struct iovec iov[N];

    crig_init(&r);
    r.oo.max_conns = 2;
    crig_origin(&r);
    for (int i = 0; i < N; i++) {
        snprintf(text[i], sizeof text[i], "GET /%d HTTP/1.1\r\nHost: u\r\n\r\n", i);
        iov[i] = (struct iovec){text[i], strlen(text[i])};
        assert_int_equal(caller_start_with(&k[i], &r, &iov[i], 1), 0);
    }
    assert_int_equal(tg_http_client_stats(r.client)->waiting, 4);
    up_accept(&r.up, &c);
    up_accept(&r.up, &d);
    upc_expect(&c, text[0]);
    upc_expect(&d, text[1]);
    for (int i = 2; i < N; i++) {
        struct upc *x = i % 2 ? &d : &c;
        upc_send(x, OK_HI);
        expect_ok(&k[i - 2], 200, "hi");
        upc_expect(x, text[i]);
        assert_int_equal(tg_http_client_stats(r.client)->waiting, N - 1 - i);
    }
    assert_int_equal(tg_http_client_stats(r.client)->connects, 2);
    upc_send(&c, OK_HI);
    upc_send(&d, OK_HI);
    expect_ok(&k[4], 200, "hi");
    expect_ok(&k[5], 200, "hi");
    for (int i = 0; i < N; i++)
        caller_free(&k[i]);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

/* A connection that closes makes room for a new one; a waiting call that leaves makes none. */
static void test_line_after_close(void **state)
{
    struct crig r;
    struct caller k, l, m;
    struct upc c, d;

    crig_init(&r);
    r.oo.max_conns = 1;
    crig_origin(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    caller_start(&l, &r);
    caller_start(&m, &r);
    settle(r.loop);
    assert_int_equal(tg_http_client_stats(r.client)->waiting, 2);
    caller_free(&l);
    assert_int_equal(tg_http_client_stats(r.client)->waiting, 1);
    upc_expect(&c, REQUEST);
    upc_send(&c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
    expect_ok(&k, 200, "hi");
    caller_free(&k);
    up_accept(&r.up, &d);
    finish_on(&m, &d);
    assert_int_equal(tg_http_client_stats(r.client)->waiting, 0);
    upc_close(&c);
    upc_close(&d);
    crig_fini(&r);
}

static void test_line_timeout_and_full(void **state)
{
    struct crig r;
    struct caller k, l, m;
    struct upc c;

    crig_init(&r);
    r.oo.max_conns = 1;
    r.oo.max_waiting = 1;
    crig_origin(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    caller_start(&l, &r);
    struct iovec iov = {(char[]){"x"}, 1};
    assert_int_equal(caller_start_with(&m, &r, &iov, 1), TG_E_OVERLOADED);
    m.call = NULL;
    caller_free(&m);
    settle(r.loop);
    pass_ms(r.loop, 10100);
    expect_err(&l, TG_E_OVERLOADED);
    assert_int_equal(k.err, 0);
    assert_int_equal(tg_http_client_stats(r.client)->waiting, 0);
    caller_free(&l);
    finish_on(&k, &c);
    upc_close(&c);
    crig_fini(&r);
}

/* Connects in flight are capped; each one done lets the next start. */
static void test_max_connecting(void **state)
{
    struct crig r;
    enum { N = 10 };
    static struct caller k[N];
    static struct upc c[N];

    crig_init(&r);
    r.oo.max_connecting = 2;
    crig_origin(&r);
    for (int i = 0; i < N; i++)
        caller_start(&k[i], &r);
    assert_int_equal(tg_http_client_stats(r.client)->connecting, 2);
    assert_int_equal(tg_http_client_stats(r.client)->waiting, N - 2);
    for (int i = 0; i < N; i++) {
        up_accept(&r.up, &c[i]);
        assert_true(tg_http_client_stats(r.client)->connecting <= 2);
    }
    for (int i = 0; i < N; i++)
        upc_expect(&c[i], REQUEST);
    assert_int_equal(tg_http_client_stats(r.client)->connecting, 0);
    assert_int_equal(tg_http_client_stats(r.client)->open, N);
    for (int i = 0; i < N; i++) {
        upc_send(&c[i], OK_HI);
        expect_ok(&k[i], 200, "hi");
        caller_free(&k[i]);
        upc_close(&c[i]);
    }
    crig_fini(&r);
}

/* Failed connects free their places too. */
static void test_line_over_failures(void **state)
{
    struct crig r;
    enum { N = 10 };
    static struct caller k[N];

    crig_init(&r);
    r.oo.max_conns = 2;
    crig_origin(&r);
    close(r.up.lfd);
    r.up.lfd = -1;
    for (int i = 0; i < N; i++)
        caller_start(&k[i], &r);
    for (int i = 0; i < N; i++) {
        expect_err(&k[i], TG_E_UPSTREAM_CONNECT);
        caller_free(&k[i]);
    }
    assert_int_equal(tg_http_client_stats(r.client)->open, 0);
    assert_int_equal(tg_http_client_stats(r.client)->waiting, 0);
    crig_fini(&r);
}

/* The stale retry needs a new connection although the pool is at its maximum. */
static void test_retry_at_max_conns(void **state)
{
    struct crig r;
    struct caller k, l;
    struct upc c, d;

    crig_init(&r);
    r.oo.max_conns = 1;
    crig_origin(&r);
    exchange_once(&r, &c);
    caller_start(&k, &r);
    caller_start(&l, &r);
    upc_expect(&c, REQUEST);
    upc_close(&c);
    up_accept(&r.up, &d);
    finish_on(&k, &d);
    finish_on(&l, &d);
    assert_int_equal(tg_http_client_stats(r.client)->stale_retries, 1);
    assert_int_equal(tg_http_client_stats(r.client)->open, 1);
    upc_close(&d);
    crig_fini(&r);
}

static void test_sweep(void **state)
{
    struct crig r;
    struct upc c;

    crig_init(&r);
    exchange_once(&r, &c);
    tg_http_client_sweep(r.client); /* marked by the get at the start */
    settle(r.loop);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    crig_origin(&r);
    tg_http_client_sweep(r.client);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    tg_http_client_sweep(r.client);
    settle(r.loop);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 0);
    upc_expect_end(&c);
    upc_close(&c);
    crig_fini(&r);
}

/* Many calls of every fate leave nothing behind. */
static void test_no_leaks(void **state)
{
    struct crig r;
    struct upc c;
    struct caller k;
    int fds;

    crig_init(&r);
    exchange_once(&r, &c);
    fds = count_fds();
    for (int i = 0; i < 10000; i++) {
        caller_start(&k, &r);
        if (i % 100 == 99) { /* cancelled in flight: a new connection */
            settle(r.loop);
            caller_free(&k);
            settle(r.loop);
            upc_close(&c);
            exchange_once(&r, &c);
        } else {
            while (c.got.n < strlen(REQUEST)) {
                tg_loop_turn(r.loop);
                upc_poll(&c);
            }
            tg_buf_clear(&c.got);
            upc_send(&c, OK_HI);
            while (!k.ended && !k.err)
                tg_loop_turn(r.loop);
            assert_int_equal(k.err, 0);
            caller_free(&k);
        }
        tg_arena_reset(&r.arena);
    }
    assert_int_equal(count_fds(), fds);
    assert_int_equal(tg_http_client_stats(r.client)->open, 1);
    assert_int_equal(tg_http_client_stats(r.client)->idle, 1);
    assert_int_equal(tg_http_client_stats(r.client)->connects, 101);
    upc_close(&c);
    crig_fini(&r);
}

/* Every allocation of a call fails in turn: an error, never a crash, nothing left. */
static int one_call(uint64_t fail_at, int sticky, uint64_t *out_count)
{
    struct crig r;
    struct caller k;
    struct upc c = {.fd = -1};
    static char text[] = REQUEST;
    struct iovec iov = {text, sizeof text - 1};
    int rc;

    crig_init(&r);
    struct tg_arena arena;
    tg_arena_init(&arena, 512, 1 << 20);
    memset(&k, 0, sizeof k);
    k.rig = &r;
    tg_task_init(&k.task, caller_run);
    tg_buf_init(&k.body, 1 << 20);
    assert_int_equal(tg_buf_reserve(&k.body, 1000), 0);
    struct tg_http_call_opts o = r.co;
    o.request = &iov;
    o.n_request = 1;
    o.arena = &arena;
    c.loop = r.loop;
    tg_buf_init(&c.got, 1 << 20);
    assert_int_equal(tg_buf_reserve(&c.got, 1000), 0);
    tg_alloc_fail_at(fail_at, sticky);
    rc = tg_http_origin_get(r.client, &r.oo, &r.origin);
    if (rc == 0)
        rc = tg_http_call_start(r.origin, &o, &k.task, &k.call);
    if (rc == 0) {
        bool answered = false;
        for (int i = 0; i < 3000 && !k.ended && !k.err; i++) {
            settle(r.loop);
            if (c.fd < 0)
                up_try_accept(&r.up, &c);
            if (c.fd >= 0 && !answered) {
                char got[500];
                answered = recv(c.fd, got, sizeof got, MSG_DONTWAIT) > 0;
                if (answered)
                    upc_send(&c, OK_HI);
            }
            if (i > 10)
                usleep(200);
        }
        rc = k.err ? k.err : (k.ended ? 0 : 1);
    }
    *out_count = tg_alloc_count();
    tg_alloc_fail_at(0, 0);
    if (k.call)
        tg_http_call_free(k.call);
    tg_task_cancel(&k.task);
    settle(r.loop);
    if (rc != 0)
        assert_int_equal(tg_http_client_stats(r.client)->open, 0);
    tg_arena_fini(&arena);
    tg_buf_fini(&k.body);
    upc_close(&c);
    crig_fini(&r);
    return rc;
}

static void test_every_allocation_fails(void **state)
{
    uint64_t count, n;

    assert_int_equal(one_call(0, 0, &n), 0);
    assert_in_range(n, 4, 100);
    for (int sticky = 0; sticky < 2; sticky++) {
        int failed = 0;
        for (uint64_t i = 1; i <= n; i++) {
            int rc = one_call(i, sticky, &count);
            assert_true(rc <= 0); /* never stuck */
            failed += rc < 0;
        }
        assert_true(failed > 3);
    }
}

static void test_no_memory_for_a_client(void **state)
{
    struct crig r;
    struct tg_http_client *c;
    struct tg_http_origin *o;
    int made = 0;

    crig_init(&r);
    struct tg_http_client_opts opts = {.resolver = r.resolver};
    for (uint64_t i = 1; !made; i++) {
        tg_alloc_fail_at(i, 0);
        if (tg_http_client_new(r.loop, &opts, &c) == 0) {
            int rc = tg_http_origin_get(c, &r.oo, &o);
            made = rc == 0;
            if (!made)
                assert_int_equal(rc, TG_E_NOMEM);
            tg_http_client_free(c);
        }
        tg_alloc_fail_at(0, 0);
        assert_true(i < 50);
    }
    tg_http_client_free(NULL);
    crig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_and_keys),
        cmocka_unit_test(test_max_origins),
        cmocka_unit_test(test_pool_is_lifo),
        cmocka_unit_test(test_idle_connection_ends),
        cmocka_unit_test(test_unasked_bytes_in_the_same_tick),
        cmocka_unit_test(test_max_idle),
        cmocka_unit_test(test_line_order),
        cmocka_unit_test(test_line_after_close),
        cmocka_unit_test(test_line_timeout_and_full),
        cmocka_unit_test(test_max_connecting),
        cmocka_unit_test(test_line_over_failures),
        cmocka_unit_test(test_retry_at_max_conns),
        cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_no_leaks),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_no_memory_for_a_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
