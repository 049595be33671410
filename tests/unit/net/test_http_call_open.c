/* Getting to a connection: connect timeouts, proxies, TLS. */
#include "net_up.h"

static void proxied(struct crig *r)
{
    crig_init(r);
    r->oo.proxy_host = TG_STR("127.0.0.1");
    r->oo.proxy_port = r->up.port;
    r->oo.proxy_auth = TG_STR("Basic dTpw");
    r->oo.host = TG_STR("api.example.org");
    r->oo.port = 8080;
    crig_origin(r);
}

#define CONNECT_LINES                                                         \
    "CONNECT api.example.org:8080 HTTP/1.1\r\nHost: api.example.org:8080\r\n" \
    "Proxy-Authorization: Basic dTpw\r\n\r\n"

static void test_proxy(void **state)
{
    struct crig r;
    struct caller k;
    struct upc c;

    proxied(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, CONNECT_LINES);
    assert_int_equal(c.got.n, strlen(CONNECT_LINES)); /* nothing of the request yet */
    upc_send(&c, "HTTP/1.1 200 Connection ");
    settle(r.loop);
    upc_send(&c, "established\r\nVia: x\r\n\r\n");
    upc_expect(&c, REQUEST);
    upc_send(&c, OK_HI);
    expect_ok(&k, 200, "hi");
    caller_free(&k);
    tg_buf_clear(&c.got);
    caller_start(&k, &r); /* the tunnel is pooled */
    upc_expect(&c, REQUEST);
    assert_null(strstr(upc_text(&c), "CONNECT"));
    upc_send(&c, OK_HI);
    expect_ok(&k, 200, "hi");
    caller_free(&k);
    upc_close(&c);
    crig_fini(&r);
}

static void test_proxy_ipv6_host(void **state)
{
    struct crig r;
    struct caller k;
    struct upc c;

    proxied(&r);
    r.oo.host = TG_STR("::1");
    r.oo.proxy_auth = TG_STR("");
    crig_origin(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, "CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
    caller_free(&k);
    upc_expect_end(&c);
    upc_close(&c);
    crig_fini(&r);
}

static void test_proxy_says_no(void **state)
{
    static const struct {
        const char *answer;
        const char *text;
        bool closes;
    } rows[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "407", false},
        {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "502", false},
        {"HTTP/1.1 100 Continue\r\n\r\n", "100", false},
        {"garbage, but for the end of it\r\n\r\n", "not HTTP", false},
        {"\r\n\r\n", "not HTTP", false},
        {"HTTP/1.1 200 OK\r\n\r\nhello", "behind", false},
        {"HTTP/1.1 200 OK\r\n", "broke off", true},
        {"", "broke off", true},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct crig r;
        struct caller k;
        struct upc c;
        proxied(&r);
        caller_start(&k, &r);
        up_accept(&r.up, &c);
        upc_expect(&c, "CONNECT");
        upc_send(&c, rows[i].answer);
        if (rows[i].closes)
            shutdown(c.fd, SHUT_WR);
        expect_err(&k, TG_E_UPSTREAM_CONNECT);
        if (!strstr(k.fail.message, rows[i].text))
            fail_msg("row %zu: %s", i, k.fail.message);
        assert_int_equal(k.sent, 0);
        upc_expect_end(&c);
        assert_null(strstr(upc_text(&c), "POST"));
        assert_int_equal(tg_http_client_stats(r.client)->open, 0);
        assert_int_equal(tg_http_client_stats(r.client)->connecting, 0);
        caller_free(&k);
        upc_close(&c);
        crig_fini(&r);
    }
}

static void test_proxy_floods_or_stalls(void **state)
{
    struct crig r;
    struct caller k;
    struct upc c;
    static char flood[9000];

    proxied(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, "CONNECT");
    memset(flood, 'f', sizeof flood);
    upc_send_n(&c, flood, sizeof flood);
    expect_err(&k, TG_E_UPSTREAM_CONNECT);
    assert_non_null(strstr(k.fail.message, "too large"));
    caller_free(&k);
    upc_close(&c);

    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_expect(&c, "CONNECT");
    pass_ms(r.loop, 9900);
    assert_int_equal(k.err, 0);
    pass_ms(r.loop, 200);
    expect_err(&k, TG_E_UPSTREAM_TIMEOUT);
    caller_free(&k);
    upc_expect_end(&c);
    upc_close(&c);
    crig_fini(&r);
}

/* Nobody accepts: SYNs to a full backlog go unanswered. */
static void test_connect_timeout(void **state)
{
    struct crig r;
    struct caller k;
    int fds[8];

    crig_init(&r);
    assert_int_equal(listen(r.up.lfd, 0), 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(r.up.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)!connect(fds[i], (struct sockaddr *)&a, sizeof a);
    }
    usleep(20000);
    caller_start(&k, &r);
    settle(r.loop);
    usleep(20000);
    settle(r.loop);
    assert_int_equal(k.err, 0);
    pass_ms(r.loop, 9900);
    assert_int_equal(k.err, 0);
    pass_ms(r.loop, 200);
    expect_err(&k, TG_E_UPSTREAM_TIMEOUT);
    assert_int_equal(tg_http_client_stats(r.client)->connecting, 0);
    caller_free(&k);
    for (size_t i = 0; i < TG_ARRAY_LEN(fds); i++)
        close(fds[i]);
    crig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy),           cmocka_unit_test(test_proxy_ipv6_host),
        cmocka_unit_test(test_proxy_says_no),   cmocka_unit_test(test_proxy_floods_or_stalls),
        cmocka_unit_test(test_connect_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
