/* The server object: accepting, draining, closing, settings, memory, failing allocations; with real
 * sockets too. */
#include "net_test.h"

#include "net/http_server_priv.h"

#define GET_A   "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST_HI "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"

static void test_max_conns(void **state)
{
    struct rig r;
    struct peer p, q;
    struct tg_stream *a, *b;
    struct tg_mem_pipe_opts mem = {.cap = 1000};
    int fds = count_fds(), sv[2];

    rig_init(&r);
    r.opts.max_conns = 2;
    tg_http_server_set_opts(r.server, &r.opts);
    rig_connect(&r, &p, 0, 0);
    rig_connect(&r, &q, 0, 0);
    assert_int_equal(tg_stream_mem_pair(r.loop, mem, &a, &b), 0);
    assert_int_equal(tg_http_server_accept_stream(r.server, a), TG_E_FULL);
    tg_stream_close(b);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    tg_http_server_accept_fd(r.server, sv[0]);
    close(sv[1]);
    assert_int_equal(tg_http_server_stats(r.server)->refused_full, 2);
    assert_int_equal(tg_http_server_stats(r.server)->open, 2);
    peer_fini(&p);
    settle(r.loop);
    rig_connect(&r, &p, 0, 0); /* there is room again */
    peer_fini(&p);
    peer_fini(&q);
    rig_fini(&r);
    assert_int_equal(count_fds(), fds);
}

static void hold(struct handler *h, unsigned events)
{
    if (events & (TG_CONN_GONE | TG_CONN_FLUSHED))
        handler_free(h);
}

static void test_drain(void **state)
{
    struct rig r;
    struct peer idle, busy, half;

    rig_init(&r);
    r.at_events = hold;
    rig_connect(&r, &idle, 0, 0);
    rig_connect(&r, &busy, 0, 0);
    rig_connect(&r, &half, 0, 0);
    peer_send(&busy, POST_HI);
    peer_send(&half, "GET /a HT");
    settle(r.loop);
    tg_http_server_drain(r.server);
    settle(r.loop);
    assert_true(idle.eof);
    assert_false(busy.eof);
    assert_false(half.eof);
    answer_text(r.last->conn, 200, "done");
    settle(r.loop);
    assert_true(peer_has(&busy, "Connection: close\r\n"));
    assert_true(peer_has(&busy, "\r\n\r\ndone"));
    assert_true(busy.eof);
    peer_send(&half, "TP/1.1\r\nHost: h\r\n\r\n"); /* what had begun is served */
    settle(r.loop);
    answer_text(r.last->conn, 200, "too");
    settle(r.loop);
    assert_true(peer_has(&half, "\r\n\r\ntoo"));
    assert_true(half.eof);
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    peer_fini(&idle);
    peer_fini(&busy);
    peer_fini(&half);
    rig_fini(&r);
}

static void test_close_all(void **state)
{
    struct rig r;
    struct peer idle, busy;

    rig_init(&r);
    r.at_events = hold;
    rig_connect(&r, &idle, 0, 0);
    rig_connect(&r, &busy, 0, 0);
    peer_send(&busy, POST_HI);
    settle(r.loop);
    tg_http_server_close_all(r.server);
    assert_int_equal(r.gone, 0); /* recorded, not called */
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    assert_true(idle.eof);
    assert_true(busy.eof || busy.broken);
    peer_fini(&idle);
    peer_fini(&busy);
    rig_fini(&r);
}

static void close_all_inside(struct handler *h)
{
    tg_http_server_close_all(h->rig->server);
}

static void test_close_all_from_a_handler(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_request = close_all_inside;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI POST_HI);
    settle(r.loop);
    assert_int_equal(r.gone, 1);
    assert_int_equal(r.requests, 1);
    peer_fini(&p);
    rig_fini(&r);
}

/* A handler outlives the server's close_all by as many ticks as it likes. */
static void ignore(struct handler *h, unsigned events) {}

static void test_late_detach(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    r.at_events = ignore;
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, POST_HI);
    settle(r.loop);
    struct handler *h = r.last;
    tg_http_server_close_all(r.server);
    settle(r.loop);
    assert_int_equal(h->seen, TG_CONN_BODY_DONE | TG_CONN_GONE);
    assert_int_equal(tg_http_conn_write(h->conn, TG_STR("x")), TG_E_CANCELLED);
    handler_free(h);
    peer_fini(&p);
    rig_fini(&r);
}

/* New settings are for new connections. */
static void test_set_opts(void **state)
{
    struct rig r;
    struct peer old, young;

    rig_init(&r);
    rig_connect(&r, &old, 0, 0);
    r.opts.max_body_bytes = 1;
    tg_http_server_set_opts(r.server, &r.opts);
    rig_connect(&r, &young, 0, 0);
    peer_send(&old, POST_HI);
    peer_send(&young, POST_HI);
    settle(r.loop);
    assert_true(peer_has(&old, "HTTP/1.1 200 "));
    assert_true(peer_has(&young, "HTTP/1.1 413 "));
    peer_fini(&old);
    peer_fini(&young);
    rig_fini(&r);
}

/* The Date header is made anew each second. */
static void test_date(void **state)
{
    struct rig r;
    struct peer p;

    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    peer_send(&p, GET_A);
    settle(r.loop);
    pass_ms(r.loop, 999);
    peer_send(&p, GET_A);
    settle(r.loop);
    pass_ms(r.loop, 1);
    peer_send(&p, GET_A);
    settle(r.loop);
    assert_int_equal(count_of(peer_text(&p), "Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n"), 2);
    assert_int_equal(count_of(peer_text(&p), "Date: Tue, 14 Nov 2023 22:13:21 GMT\r\n"), 1);
    peer_fini(&p);
    rig_fini(&r);
}

/* An idle connection holds nothing but itself. */
static void test_idle_memory(void **state)
{
    struct rig r;
    struct peer p;

    print_message("# struct tg_http_conn %zu, tg_stream %zu bytes\n", sizeof(struct tg_http_conn),
                  sizeof(struct tg_stream));
    assert_true(sizeof(struct tg_http_conn) <= 640);
    rig_init(&r);
    rig_connect(&r, &p, 0, 0);
    for (int i = 0; i < 3; i++) {
        peer_send(&p, GET_A GET_A POST_HI);
        settle(r.loop);
        struct tg_http_conn *c = tg_list_entry(r.server->conns.next, struct tg_http_conn, link);
        assert_int_equal(c->state, TG_CONN_IDLE);
        assert_null(c->req);
        assert_null(c->parser);
        assert_null(c->pending.p);
        assert_null(c->out.q.head);
    }
    peer_fini(&p);
    rig_fini(&r);
}

/* ---- real sockets ---- */

struct sock {
    struct rig *rig;
    int fd;
    struct tg_buf got;
    bool end;
};

static void sock_connect(struct sock *s, struct rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(lfd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(lfd, 1), 0);
    assert_int_equal(getsockname(lfd, (struct sockaddr *)&a, &n), 0);
    s->rig = r;
    s->end = false;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(s->fd, (struct sockaddr *)&a, sizeof a), 0);
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close(lfd);
    tg_buf_init(&s->got, 64 << 20);
    tg_http_server_accept_fd(r->server, fd);
}

static void sock_send(struct sock *s, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = send(s->fd, p, n, MSG_NOSIGNAL);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        }
        settle(s->rig->loop);
    }
}

static void sock_poll(struct sock *s)
{
    static char buf[65536];
    ssize_t n;
    while ((n = read(s->fd, buf, sizeof buf)) > 0)
        assert_int_equal(tg_buf_add(&s->got, buf, (size_t)n), 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        s->end = true;
}

static const char *sock_text(struct sock *s)
{
    assert_int_equal(tg_buf_char(&s->got, '\0'), 0);
    s->got.n--;
    return s->got.p;
}

static void sock_expect(struct sock *s, const char *needle, int times)
{
    for (int i = 0; i < 4000; i++) {
        settle(s->rig->loop);
        sock_poll(s);
        if (count_of(sock_text(s), needle) >= times)
            return;
        usleep(500);
    }
    fail_msg("not received: %s", needle);
}

static void sock_close(struct sock *s)
{
    close(s->fd);
    tg_buf_fini(&s->got);
}

static bool nobody_open(void *arg)
{
    return tg_http_server_stats(((struct rig *)arg)->server)->open == 0;
}

static void test_sockets(void **state)
{
    struct rig r;
    struct sock s;
    int fds = count_fds();

    rig_init(&r);
    sock_connect(&s, &r);
    for (int i = 0; i < 50; i++)
        sock_send(&s, POST_HI GET_A, strlen(POST_HI GET_A));
    sock_expect(&s, "\r\n\r\nPOST /p hi", 50);
    sock_expect(&s, "\r\n\r\nGET /a ", 50);
    size_t n = 3000000;
    char *big = tg_malloc(n);
    memset(big, 'q', n);
    char head[100];
    snprintf(head, sizeof head, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", n);
    tg_buf_clear(&s.got);
    sock_send(&s, head, strlen(head));
    sock_send(&s, big, n);
    for (int i = 0; i < 4000 && s.got.n < n + 8; i++) {
        settle(r.loop);
        sock_poll(&s);
    }
    const char *at = strstr(sock_text(&s), "\r\n\r\nPOST /b ");
    assert_non_null(at);
    assert_int_equal(s.got.n - (size_t)(at + 12 - s.got.p), n);
    assert_memory_equal(at + 12, big, n);
    tg_free(big);
    sock_close(&s);
    assert_true(settle_until(r.loop, nobody_open, &r));
    rig_fini(&r);
    assert_int_equal(count_fds(), fds);
}

/* A client that leaves, by FIN or by reset, is noticed while its request is in work. */
static void test_socket_leaves(void **state)
{
    for (int reset = 0; reset < 2; reset++) {
        struct rig r;
        struct sock s;
        rig_init(&r);
        r.at_events = hold;
        sock_connect(&s, &r);
        sock_send(&s, POST_HI, strlen(POST_HI));
        for (int i = 0; i < 1000 && !r.requests; i++)
            settle(r.loop);
        assert_int_equal(tg_http_conn_respond(r.last->conn, 200, NULL, 0, TG_HTTP_LENGTH_UNKNOWN),
                         0);
        sock_expect(&s, "chunked", 1);
        if (reset) {
            struct linger l = {1, 0};
            setsockopt(s.fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        }
        sock_close(&s);
        assert_true(settle_until(r.loop, nobody_open, &r));
        assert_int_equal(r.gone, 1);
        rig_fini(&r);
    }
}

/* The refused client reads its answer although it sent more than was read. */
static void test_socket_refusal_is_seen(void **state)
{
    struct rig r;
    struct sock s;
    static char junk[30000];

    rig_init(&r);
    sock_connect(&s, &r);
    send(s.fd, "GARBAGE\r\n\r\n", 11, MSG_NOSIGNAL);
    for (int i = 0; i < 10; i++) {
        settle(r.loop);
        send(s.fd, junk, 4000, MSG_NOSIGNAL);
    }
    sock_expect(&s, "HTTP/1.1 400 ", 1);
    sock_close(&s);
    assert_true(settle_until(r.loop, nobody_open, &r));
    rig_fini(&r);
}

/* ---- every allocation fails in turn ---- */

static void one_exchange(uint64_t fail_at, int sticky, uint64_t *out_count)
{
    struct rig r;
    struct peer p;
    static char body[100000];

    rig_init(&r);
    memset(&p, 0, sizeof p);
    struct tg_stream *a, *b;
    struct tg_mem_pipe_opts mem = {.cap = 1 << 20};
    assert_int_equal(tg_stream_mem_pair(r.loop, mem, &a, &b), 0);
    peer_init(&p, b);
    assert_int_equal(tg_buf_reserve(&p.got, 1 << 20), 0);
    peer_send(&p, "POST /p HTTP/1.1\r\nHost: h\r\nX-Some-Header: value\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n186a0\r\n");
    peer_send_n(&p, body, sizeof body);
    peer_send(&p, "\r\n0\r\n\r\n");
    peer_send(&p, POST_HI);
    tg_alloc_fail_at(fail_at, sticky);
    int rc = tg_http_server_accept_stream(r.server, a);
    settle(r.loop);
    *out_count = tg_alloc_count();
    tg_alloc_fail_at(0, 0);
    if (rc == 0 && fail_at == 0)
        assert_int_equal(r.flushed, 2);
    assert_true(r.live == 0);
    /* whoever was not served in full sees the end, never silence */
    if (r.flushed < 2)
        assert_true(p.eof || p.broken);
    peer_fini(&p);
    settle(r.loop);
    rig_fini(&r);
}

static void test_every_allocation_fails(void **state)
{
    uint64_t n, count;

    one_exchange(0, 0, &n);
    assert_in_range(n, 8, 500);
    for (int sticky = 0; sticky < 2; sticky++)
        for (uint64_t i = 1; i <= n; i++)
            one_exchange(i, sticky, &count);
}

/* A server, new settings and an accepted socket without memory. */
static void test_no_memory_for_a_server(void **state)
{
    static const struct tg_http_server_ops ops = {rig_on_request, rig_on_refused};
    struct rig r;
    struct tg_http_server *s;
    int fds = 0, sv[2];

    rig_init(&r);
    for (uint64_t i = 1; i <= 2; i++) {
        tg_alloc_fail_at(i, 0);
        assert_int_equal(tg_http_server_new(r.loop, NULL, &ops, &r, &s), TG_E_NOMEM);
    }
    tg_alloc_fail_at(1, 0);
    r.opts.max_conns = 0;
    tg_http_server_set_opts(r.server, &r.opts); /* the old ones stay */
    tg_alloc_fail_at(0, 0);
    fds = count_fds();
    for (uint64_t i = 1; i <= 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        tg_alloc_fail_at(i, 0);
        tg_http_server_accept_fd(r.server, sv[0]);
        tg_alloc_fail_at(0, 0);
        close(sv[1]);
        assert_int_equal(tg_http_server_stats(r.server)->refused_full, i);
    }
    assert_int_equal(count_fds(), fds);
    assert_int_equal(tg_http_server_stats(r.server)->open, 0);
    tg_http_server_free(NULL);
    rig_fini(&r);
}

/* libuv opens some descriptors once a process; they are not to be counted. */
static int warm_up(void **state)
{
    struct rig r;

    rig_init(&r);
    rig_fini(&r);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_max_conns),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_close_all),
        cmocka_unit_test(test_close_all_from_a_handler),
        cmocka_unit_test(test_late_detach),
        cmocka_unit_test(test_set_opts),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_idle_memory),
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_socket_leaves),
        cmocka_unit_test(test_socket_refusal_is_seen),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_no_memory_for_a_server),
    };
    return cmocka_run_group_tests(tests, warm_up, NULL);
}
