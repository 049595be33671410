/* Server and client over TLS, against each other and against peers that speak something else. */
#include "net_up.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static char dir[] = "/tmp/tg-net-tls-XXXXXX";
static char cert_path[64], key_path[64], old_cert_path[64];

static void add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* A self-signed certificate for localhost and 127.0.0.1, valid from..to seconds from now. */
static void write_cert(EVP_PKEY *key, const char *path, long from, long to)
{
    X509 *x = X509_new();
    FILE *f = fopen(path, "we");
    assert_true(x && f);
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), from);
    X509_gmtime_adj(X509_getm_notAfter(x), to);
    X509_set_pubkey(x, key);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    X509_free(x);
}

static int make_files(void **state)
{
    assert_non_null(mkdtemp(dir));
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", dir);
    snprintf(old_cert_path, sizeof old_cert_path, "%s/old.pem", dir);
    snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = fopen(key_path, "we");
    assert_true(key && f);
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    write_cert(key, cert_path, -86400, 86400);
    write_cert(key, old_cert_path, -2 * 86400, -86400);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_files(void **state)
{
    unlink(cert_path);
    unlink(old_cert_path);
    unlink(key_path);
    rmdir(dir);
    return 0;
}

/* A TLS server of ours and a client of ours on one loop. */
struct trig {
    struct crig c;
    struct rig s;
    struct tg_listener *listener;
    struct tg_tls_ctx *server_tls, *client_tls;
};

static void on_accept(void *ctx, int fd)
{
    struct trig *t = ctx;
    tg_http_server_accept_fd(t->s.server, fd);
}

static void trig_init(struct trig *t, const char *cert, const char *ca, struct tg_str host)
{
    static const struct tg_http_server_ops ops = {rig_on_request, rig_on_refused};
    struct tg_fail fail = {0};

    memset(t, 0, sizeof *t);
    crig_init(&t->c);
    assert_int_equal(tg_tls_server_new(cert, key_path, &t->server_tls, &fail), 0);
    assert_int_equal(tg_tls_client_new(ca, &t->client_tls, &fail), 0);
    t->s.loop = t->c.loop;
    t->s.opts = tg_http_server_opts_default;
    t->s.opts.tls = t->server_tls;
    assert_int_equal(tg_http_server_new(t->c.loop, &t->s.opts, &ops, &t->s, &t->s.server), 0);
    struct tg_listen_opts lo = {.host = "127.0.0.1"};
    assert_int_equal(tg_listener_start(t->c.loop, &lo, on_accept, t, &t->listener, &fail), 0);
    t->c.oo.https = true;
    t->c.oo.tls = t->client_tls;
    t->c.oo.host = host;
    t->c.oo.port = tg_listener_port(t->listener);
    crig_origin(&t->c);
}

static void trig_fini(struct trig *t)
{
    tg_listener_stop(t->listener);
    tg_http_server_close_all(t->s.server);
    settle(t->c.loop);
    assert_int_equal(t->s.live, 0);
    tg_http_server_free(t->s.server);
    crig_fini(&t->c);
    tg_tls_unref(t->server_tls);
    tg_tls_unref(t->client_tls);
}

static void test_tls_exchange(void **state)
{
    struct trig t;
    struct caller k;

    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    for (int i = 0; i < 5; i++) {
        caller_start(&k, &t.c);
        expect_ok(&k, 200, "POST /v1 body");
        assert_int_equal(tg_http_call_info(k.call)->reused, i > 0);
        caller_free(&k);
    }
    assert_int_equal(tg_http_client_stats(t.c.client)->handshakes, 1);
    assert_int_equal(tg_http_client_stats(t.c.client)->idle, 1);
    settle(t.c.loop);
    pass_ms(t.c.loop, 56000); /* the pool lets it go */
    assert_int_equal(tg_http_client_stats(t.c.client)->idle, 0);
    caller_start(&k, &t.c);
    expect_ok(&k, 200, "POST /v1 body");
    assert_true(tg_http_call_info(k.call)->tls_resumed);
    caller_free(&k);
    assert_int_equal(tg_http_client_stats(t.c.client)->resumed, 1);
    trig_fini(&t);
}

/* A reload that brings other rules of verification must not go on with connections made by the old.
 */
static void test_new_context_closes_idle(void **state)
{
    struct trig t;
    struct caller k;
    struct tg_tls_ctx *strict;
    struct tg_fail fail = {0};

    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    caller_start(&k, &t.c);
    expect_ok(&k, 200, "POST /v1 body");
    caller_free(&k);
    assert_int_equal(tg_http_client_stats(t.c.client)->idle, 1);
    assert_int_equal(tg_tls_client_new(NULL, &strict, &fail), 0);
    t.c.oo.tls = strict;
    crig_origin(&t.c);
    assert_int_equal(tg_http_client_stats(t.c.client)->idle, 0);
    caller_start(&k, &t.c);
    expect_err(&k, TG_E_UPSTREAM_TLS);
    caller_free(&k);
    tg_tls_unref(strict);
    trig_fini(&t);
}

/* An answer that ends with the connection: close_notify tells a whole one from a cut one. */
static void close_delimited(struct handler *h, unsigned events)
{
    if (events & (TG_CONN_GONE | TG_CONN_FLUSHED)) {
        handler_free(h);
        return;
    }
    if (!(events & TG_CONN_BODY_DONE))
        return;
    assert_string_equal(tg_http_conn_peer(h->conn), "127.0.0.1");
    assert_string_equal(h->req->peer, "127.0.0.1");
    assert_int_equal(tg_http_conn_respond(h->conn, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN), 0);
    assert_int_equal(tg_http_conn_write(h->conn, TG_STR("until the end")), 0);
    if (tg_str_eq(h->req->head->target, TG_STR("/whole")))
        tg_http_conn_end(h->conn);
    else
        tg_http_conn_abort(h->conn);
}

static void test_tls_close_notify(void **state)
{
    static char whole[] = "GET /whole HTTP/1.0\r\n\r\n", cut[] = "GET /cut HTTP/1.0\r\n\r\n";
    struct iovec a = {whole, sizeof whole - 1}, b = {cut, sizeof cut - 1};
    struct trig t;
    struct caller k;

    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    t.s.at_events = close_delimited;
    assert_int_equal(caller_start_with(&k, &t.c, &a, 1), 0);
    expect_ok(&k, 200, "until the end");
    caller_free(&k);
    assert_int_equal(caller_start_with(&k, &t.c, &b, 1), 0);
    expect_err(&k, TG_E_UPSTREAM_INCOMPLETE);
    caller_free(&k);
    trig_fini(&t);
}

static void test_tls_big_both_ways(void **state)
{
    struct trig t;
    struct caller k;
    size_t n = 5000000;
    char *big = tg_malloc(n), head[100];
    struct iovec iov[2];

    for (size_t i = 0; i < n; i++)
        big[i] = (char)('a' + (i * 13 + i / 1009) % 26);
    snprintf(head, sizeof head, "POST /v1 HTTP/1.1\r\nHost: up\r\nContent-Length: %zu\r\n\r\n", n);
    iov[0] = (struct iovec){head, strlen(head)};
    iov[1] = (struct iovec){big, n};
    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(caller_start_with(&k, &t.c, iov, 2), 0);
        caller_finish(&k);
        assert_int_equal(k.err, 0);
        assert_int_equal(k.body.n, n + 9);
        assert_memory_equal(k.body.p + 9, big, n);
        caller_free(&k);
    }
    trig_fini(&t);
    tg_free(big);
}

static void test_verification(void **state)
{
    struct {
        const char *cert, *ca;
        struct tg_str host;
    } rows[] = {
        {cert_path, NULL, TG_STR("127.0.0.1")},              /* signed by nobody known */
        {old_cert_path, old_cert_path, TG_STR("127.0.0.1")}, /* expired */
        {cert_path, cert_path, TG_STR("127.0.0.2")},         /* another address */
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct trig t;
        struct caller k;
        trig_init(&t, rows[i].cert, rows[i].ca, rows[i].host);
        if (i == 2) { /* 127.0.0.2 must reach the listener too */
            tg_listener_stop(t.listener);
            struct tg_fail fail = {0};
            struct tg_listen_opts lo = {.host = "127.0.0.2"};
            if (tg_listener_start(t.c.loop, &lo, on_accept, &t, &t.listener, &fail) < 0)
                fail_msg("%s", fail.message);
            t.c.oo.port = tg_listener_port(t.listener);
            crig_origin(&t.c);
        }
        caller_start(&k, &t.c);
        expect_err(&k, TG_E_UPSTREAM_TLS);
        assert_int_equal(k.sent, 0);
        assert_int_equal(t.s.requests, 0);
        caller_free(&k);
        settle(t.c.loop);
        assert_int_equal(tg_http_client_stats(t.c.client)->open, 0);
        trig_fini(&t);
    }
}

/* https to a port that speaks something else, or nothing. */
static void test_not_tls(void **state)
{
    struct crig r;
    struct caller k;
    struct upc c;
    struct tg_tls_ctx *tls;
    struct tg_fail fail = {0};

    crig_init(&r);
    assert_int_equal(tg_tls_client_new(cert_path, &tls, &fail), 0);
    r.oo.https = true;
    r.oo.tls = tls;
    crig_origin(&r);
    caller_start(&k, &r);
    up_accept(&r.up, &c);
    upc_send(&c, "HTTP/1.1 400 Bad Request\r\n\r\n");
    expect_err(&k, TG_E_UPSTREAM_TLS);
    caller_free(&k);
    upc_close(&c);

    caller_start(&k, &r); /* closes in the handshake */
    up_accept(&r.up, &c);
    settle(r.loop);
    upc_poll(&c);
    upc_close(&c);
    expect_err(&k, TG_E_UPSTREAM_TLS);
    caller_free(&k);

    caller_start(&k, &r); /* says nothing */
    up_accept(&r.up, &c);
    settle(r.loop);
    pass_ms(r.loop, 10100);
    expect_err(&k, TG_E_UPSTREAM_TIMEOUT);
    caller_free(&k);
    upc_close(&c);
    assert_int_equal(tg_http_client_stats(r.client)->open, 0);
    assert_int_equal(tg_http_client_stats(r.client)->connecting, 0);
    tg_tls_unref(tls);
    crig_fini(&r);
}

static int plain_connect(struct trig *t)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(tg_listener_port(t->listener)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static bool server_empty(void *arg)
{
    const struct tg_http_server_stats *s = tg_http_server_stats(((struct trig *)arg)->s.server);
    return s->accepted > 0 && s->open == 0;
}

/* Plain bytes, and silence, on the TLS port: no answer, no hold-up. */
static void test_server_handshake(void **state)
{
    struct trig t;
    int fd;

    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    fd = plain_connect(&t);
    assert_true(send(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 27, MSG_NOSIGNAL) == 27);
    assert_true(settle_until(t.c.loop, server_empty, &t));
    close(fd);
    fd = plain_connect(&t);
    for (int i = 0; i < 100 && tg_http_server_stats(t.s.server)->accepted < 2; i++) {
        settle(t.c.loop);
        usleep(1000);
    }
    pass_ms(t.c.loop, 9900);
    assert_int_equal(tg_http_server_stats(t.s.server)->open, 1);
    pass_ms(t.c.loop, 200);
    assert_int_equal(tg_http_server_stats(t.s.server)->open, 0);
    assert_int_equal(tg_http_server_stats(t.s.server)->closed_timeout, 1);
    close(fd);
    assert_int_equal(t.s.requests, 0);
    trig_fini(&t);
}

static void hold(struct handler *h, unsigned events)
{
    if (events & (TG_CONN_GONE | TG_CONN_FLUSHED))
        handler_free(h);
}

static bool is_gone(void *arg)
{
    return ((struct trig *)arg)->s.gone > 0;
}
static bool has_request(void *arg)
{
    return ((struct trig *)arg)->s.requests > 0;
}

/* The client cancels; the server's handler hears of it. */
static void test_cancel_over_tls(void **state)
{
    struct trig t;
    struct caller k;

    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    t.s.at_events = hold;
    caller_start(&k, &t.c);
    assert_true(settle_until(t.c.loop, has_request, &t));
    caller_free(&k);
    assert_true(settle_until(t.c.loop, is_gone, &t));
    trig_fini(&t);
}

/* https through a proxy: the tunnel first, then TLS to the origin inside it. The test is the proxy.
 */
static void pump_tunnel(int a, int b)
{
    char buf[16384];
    ssize_t n = recv(a, buf, sizeof buf, MSG_DONTWAIT);
    for (ssize_t off = 0; n > 0 && off < n;) {
        ssize_t k = send(b, buf + off, (size_t)(n - off), MSG_NOSIGNAL);
        if (k > 0)
            off += k;
    }
}

static void test_tls_through_proxy(void **state)
{
    struct trig t;
    struct caller k;
    struct upc c;
    char line[100];

    trig_init(&t, cert_path, cert_path, TG_STR("localhost"));
    t.c.oo.proxy_host = TG_STR("127.0.0.1");
    t.c.oo.proxy_port = t.c.up.port;
    crig_origin(&t.c);
    caller_start(&k, &t.c);
    up_accept(&t.c.up, &c);
    snprintf(line, sizeof line, "CONNECT localhost:%u HTTP/1.1\r\n", t.c.oo.port);
    upc_expect(&c, line);
    upc_expect(&c, "\r\n\r\n");
    int fd = plain_connect(&t);
    upc_send(&c, "HTTP/1.1 200 OK\r\n\r\n");
    for (int i = 0; i < 5000 && !k.ended && !k.err; i++) {
        settle(t.c.loop);
        pump_tunnel(c.fd, fd);
        pump_tunnel(fd, c.fd);
        if (i > 100)
            usleep(200);
    }
    expect_ok(&k, 200, "POST /v1 body");
    caller_free(&k);
    close(fd);
    upc_close(&c);
    trig_fini(&t);
}

/* A request over TLS with each of our allocations failing: an error or an answer, nothing stuck. */
static int one_tls_call(uint64_t fail_at, uint64_t *out_count)
{
    struct trig t;
    struct caller k;
    static char text[] = REQUEST;
    struct iovec iov = {text, sizeof text - 1};

    trig_init(&t, cert_path, cert_path, TG_STR("127.0.0.1"));
    int rc = caller_start_with(&k, &t.c, &iov, 1);
    assert_int_equal(rc, 0);
    assert_int_equal(tg_buf_reserve(&k.body, 1000), 0);
    tg_alloc_fail_at(fail_at, 0);
    for (int i = 0; i < 3000 && !k.ended && !k.err; i++) {
        settle(t.c.loop);
        if (i > 20)
            usleep(200);
        if (i == 1000)
            pass_ms(t.c.loop, 61000); /* the server had no memory to accept: a timeout */
    }
    *out_count = tg_alloc_count();
    tg_alloc_fail_at(0, 0);
    rc = k.err ? k.err : (k.ended ? 0 : 1);
    caller_free(&k);
    settle(t.c.loop);
    trig_fini(&t);
    return rc;
}

static void test_tls_without_memory(void **state)
{
    uint64_t n, count;
    int failed = 0;

    assert_int_equal(one_tls_call(0, &n), 0);
    assert_in_range(n, 8, 200);
    for (uint64_t i = 1; i <= n; i++) {
        int rc = one_tls_call(i, &count);
        assert_true(rc <= 0);
        failed += rc < 0;
    }
    assert_true(failed > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_exchange),
        cmocka_unit_test(test_tls_close_notify),
        cmocka_unit_test(test_new_context_closes_idle),
        cmocka_unit_test(test_tls_big_both_ways),
        cmocka_unit_test(test_verification),
        cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_server_handshake),
        cmocka_unit_test(test_tls_without_memory),
        cmocka_unit_test(test_cancel_over_tls),
        cmocka_unit_test(test_tls_through_proxy),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
