#include "fake_dns.h"

#include <errno.h>
#include <stdio.h>

#include "io/connect.h"

static struct tg_loop *loop;
static struct tg_resolver *resolver;
static struct counter owner;
static struct tg_fail why;

static int set_up(void **state)
{
    loop = new_loop();
    assert_int_equal(tg_resolver_new(loop, &resolver), 0);
    counter_init(&owner);
    tg_fail_clear(&why);
    fake_dns_stuck(false);
    return 0;
}

static int tear_down(void **state)
{
    fake_dns_stuck(false);
    tg_resolver_free(resolver);
    tg_loop_free(loop);
    return 0;
}

static struct tg_connect *start(const char *host, uint16_t port, uint32_t ms, uint32_t each_ms)
{
    struct tg_connect *c;
    struct tg_connect_opts o = {
        .host = tg_str_c(host), .port = port, .timeout_ms = ms, .per_address_ms = each_ms};
    owner.runs = 0;
    assert_int_equal(tg_connect_start(resolver, &o, &owner.task, &c), 0);
    assert_int_equal(owner.runs, 0); /* R1 */
    return c;
}

/* Until it is decided; the stream, or NULL with `why`. */
static struct tg_stream *finish(struct tg_connect *c, int *out_rc)
{
    struct tg_stream *s = NULL;
    turn_until(loop, owner.runs > 0);
    *out_rc = tg_connect_poll(c, &s, &why);
    assert_int_not_equal(*out_rc, TG_E_AGAIN);
    tg_connect_free(c);
    tg_loop_turn(loop);
    return s;
}

static void must_fail(struct tg_connect *c, int err, const char *part)
{
    int rc;
    assert_null(finish(c, &rc));
    assert_int_equal(rc, err);
    assert_int_equal(why.err, err);
    if (tg_str_find(tg_str_c(why.message), tg_str_c(part)) < 0)
        fail_msg("\"%s\" lacks \"%s\"", why.message, part);
}

static void must_connect(struct tg_connect *c, int listener)
{
    int rc;
    char buf[8];
    struct tg_stream *s = finish(c, &rc);
    if (rc < 0)
        fail_msg("%s", why.message);
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    assert_ptr_equal(s->owner, &owner.task);
    assert_int_equal(s->ready, 0);
    owner.runs = 0;
    turn_for(loop, 3);
    assert_int_equal(owner.runs, 0); /* nothing is wanted yet */
    struct iovec v = iov_of("ping");
    assert_int_equal(tg_stream_writev(s, &v, 1), 4);
    assert_int_equal(recv(fd, buf, 8, 0), 4);
    tg_stream_want(s, TG_WANT_READ);
    assert_int_equal(send(fd, "pong", 4, 0), 4);
    turn_until(loop, owner.runs > 0);
    assert_int_equal(tg_stream_read(s, buf, 8), 4);
    tg_stream_close(s);
    close(fd);
}

static void connects_to_literals_and_names(void **state)
{
    uint16_t port;
    int l = listen_any(&port, 8);
    static const char *const addrs[] = {"127.0.0.1"};
    fake_dns_says(0, 1, addrs);
    must_connect(start("127.0.0.1", port, 5000, 0), l);
    must_connect(start("127.0.0.1", port, 0, 0), l);
    must_connect(start("one.test", port, 5000, 0), l);
    must_connect(start("one.test", port, 5000, 0), l); /* from the cache */
    must_connect(start("localhost", port, 5000, 0), l);
    close(l);
}

static void ipv6_literal(void **state)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t n = sizeof a;
    int l = socket(AF_INET6, SOCK_STREAM, 0);
    if (l < 0 || bind(l, (struct sockaddr *)&a, sizeof a) < 0)
        skip_because("no IPv6 here");
    assert_int_equal(listen(l, 4), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a, &n), 0);
    must_connect(start("::1", ntohs(a.sin6_port), 5000, 0), l);
    close(l);
}

static uint16_t closed_port(void)
{
    uint16_t port;
    close(listen_any(&port, 1));
    return port;
}

static void refusal_names_host_port_and_reason(void **state)
{
    uint16_t port = closed_port();
    char text[64];
    snprintf(text, sizeof text, "127.0.0.1 port %u: connection refused", port);
    must_fail(start("127.0.0.1", port, 5000, 0), TG_E_UPSTREAM_CONNECT, text);
    static const char *const two[] = {"127.0.0.1", "127.0.0.2"};
    fake_dns_says(0, 2, two);
    tg_fail_clear(&why);
    must_fail(start("two.test", port, 5000, 0), TG_E_UPSTREAM_CONNECT, "two.test port");
}

static void every_address_is_tried(void **state)
{
    uint16_t port;
    int l = listen_any(&port, 8);
    static const char *const list[] = {"127.0.0.9", "255.255.255.255", "::ffff:127.0.0.8",
                                       "127.0.0.1"};
    fake_dns_says(0, 4, list);
    must_connect(start("list.test", port, 5000, 0), l);
    close(l);
}

static void names_that_do_not_resolve(void **state)
{
    fake_dns_says(EAI_NONAME, 0, NULL);
    must_fail(start("gone.test", 80, 5000, 0), TG_E_UPSTREAM_DNS,
              "could not resolve gone.test: no such name");
    tg_fail_clear(&why);
    must_fail(start("gone.test", 80, 5000, 0), TG_E_UPSTREAM_DNS, "gone.test"); /* kept */
    struct tg_connect *c;
    char longest[300];
    memset(longest, 'a', sizeof longest);
    struct tg_connect_opts o = {.host = {longest, 254}, .port = 80};
    assert_int_equal(tg_connect_start(resolver, &o, &owner.task, &c), TG_E_INVALID_ARG);
    o.host = tg_str_make("a\0b", 3);
    assert_int_equal(tg_connect_start(resolver, &o, &owner.task, &c), TG_E_INVALID_ARG);
    o.host = TG_STR("");
    assert_int_equal(tg_connect_start(resolver, &o, &owner.task, &c), TG_E_INVALID_ARG);
}

/* A listener whose queue is full drops what comes: the connect hangs. */
struct full {
    int l, fds[8];
    uint16_t port;
};

static void fill(struct full *f)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    f->l = listen_any(&f->port, 0);
    a.sin_port = htons(f->port);
    for (int i = 0; i < 8; i++) {
        f->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(f->fds[i], (struct sockaddr *)&a, sizeof a) < 0)
            assert_int_equal(errno, EINPROGRESS);
    }
}

static void unfill(struct full *f)
{
    for (int i = 0; i < 8; i++)
        close(f->fds[i]);
    close(f->l);
}

static void a_silent_address_times_out(void **state)
{
    struct full f;
    fill(&f);
    uint64_t began = tg_clock_mono_ms();
    must_fail(start("127.0.0.1", f.port, 60, 0), TG_E_UPSTREAM_TIMEOUT, "in time");
    assert_in_range(tg_clock_mono_ms() - began, 60, 5000);
    tg_fail_clear(&why);
    must_fail(start("127.0.0.1", f.port, 5000, 40), TG_E_UPSTREAM_TIMEOUT, "in time");
    unfill(&f);
}

static void a_silent_address_gives_way_to_the_next(void **state)
{
    struct full f;
    struct sockaddr_in a = {.sin_family = AF_INET};
    static const char *const list[] = {"127.0.0.1", "127.0.0.2"};
    fill(&f);
    a.sin_port = htons(f.port);
    inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(l, 4), 0);
    fake_dns_says(0, 2, list);
    uint64_t began = tg_clock_mono_ms();
    must_connect(start("silent.test", f.port, 400, 0), l); /* half of it for the first */
    assert_in_range(tg_clock_mono_ms() - began, 200, 5000);
    must_connect(start("silent.test", f.port, 10000, 30), l);
    close(l);
    unfill(&f);
}

static void resolving_counts_towards_the_timeout(void **state)
{
    fake_dns_stuck(true);
    must_fail(start("stuck.test", 80, 50, 0), TG_E_UPSTREAM_TIMEOUT, "stuck.test");
    fake_dns_stuck(false);
}

static void freeing_cancels_at_any_time(void **state)
{
    uint16_t port;
    int l = listen_any(&port, 64), before = count_fds();
    static const char *const one[] = {"127.0.0.1"};
    fake_dns_says(0, 1, one);
    for (int turns = 0; turns < 12; turns++) {
        for (int named = 0; named < 2; named++) {
            char host[32];
            snprintf(host, sizeof host, "free%d.test", turns);
            struct tg_connect *c = start(named ? host : "127.0.0.1", port, 3000, 100);
            for (int i = 0; i < turns; i++) {
                tg_loop_turn(loop);
                usleep(turns > 6 ? 300 : 0);
            }
            tg_connect_free(c);
        }
    }
    turn_for(loop, 20);
    assert_int_equal(count_fds(), before);
    close(l);
}

static void every_failed_allocation_is_survived(void **state)
{
    uint16_t port;
    int l = listen_any(&port, 64), before = count_fds();
    static const char *const one[] = {"127.0.0.1"};
    fake_dns_says(0, 1, one);
    bool connected = false;
    for (uint64_t i = 1; !connected; i++) {
        char host[32];
        struct tg_connect *c = NULL;
        struct tg_stream *s = NULL;
        assert_true(i < 40);
        snprintf(host, sizeof host, "alloc%u.test", (unsigned)i);
        struct tg_connect_opts o = {.host = tg_str_c(host), .port = port, .timeout_ms = 3000};
        tg_fail_clear(&why);
        owner.runs = 0;
        tg_alloc_fail_at(i, 0);
        int rc = tg_connect_start(resolver, &o, &owner.task, &c);
        if (rc == 0) {
            turn_until(loop, owner.runs > 0);
            rc = tg_connect_poll(c, &s, &why);
            tg_connect_free(c);
        }
        tg_alloc_fail_at(0, 0);
        connected = rc == 0;
        assert_true(connected || rc == TG_E_NOMEM || rc == TG_E_UPSTREAM_DNS);
        if (s) {
            tg_stream_close(s);
            close(accept(l, NULL, NULL));
        }
        turn_for(loop, 2);
    }
    assert_int_equal(count_fds(), before);
    close(l);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(connects_to_literals_and_names),
        T(ipv6_literal),
        T(refusal_names_host_port_and_reason),
        T(every_address_is_tried),
        T(names_that_do_not_resolve),
        T(a_silent_address_times_out),
        T(a_silent_address_gives_way_to_the_next),
        T(resolving_counts_towards_the_timeout),
        T(freeing_cancels_at_any_time),
        T(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
