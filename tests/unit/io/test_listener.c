#include "io_fixture.h"

#include <sys/resource.h>

#include "base/alloc.h"
#include "io/connect.h"

struct door {
    struct tg_loop *loop;
    struct tg_listener *l;
    int fds[512], n;
    int stop_at; /* stops the listener from within */
};

static void on_accept(void *ctx, int fd)
{
    struct door *d = ctx;
    assert_true(d->n < 512);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    d->fds[d->n++] = fd;
    if (d->n == d->stop_at) {
        tg_listener_stop(d->l);
        d->l = NULL;
    }
}

static void door_open(struct door *d, const char *host)
{
    struct tg_listen_opts o = {.host = host};
    struct tg_fail why = {0};
    memset(d, 0, sizeof *d);
    d->loop = new_loop();
    if (tg_listener_start(d->loop, &o, on_accept, d, &d->l, &why) < 0)
        fail_msg("%s", why.message);
    assert_true(tg_listener_port(d->l) > 0);
}

static void door_shut(struct door *d)
{
    for (int i = 0; i < d->n; i++)
        close(d->fds[i]);
    if (d->l)
        tg_listener_stop(d->l);
    tg_loop_free(d->loop);
}

static int knock(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static void accepts_at_most_64_a_turn(void **state)
{
    struct door d;
    int fd[200];
    door_open(&d, "127.0.0.1");
    for (int i = 0; i < 200; i++)
        fd[i] = knock(tg_listener_port(d.l));
    int turns = 0;
    for (; d.n < 200; turns++) {
        int before = d.n;
        tg_loop_turn(d.loop);
        assert_in_range(d.n - before, 1, 64);
    }
    assert_true(turns >= 4);
    for (int i = 0; i < 200; i++)
        close(fd[i]);
    door_shut(&d);
}

static void hosts(void **state)
{
    static const char *const good[] = {"127.0.0.1", "0.0.0.0", "", "*", "localhost"};
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
        struct door d;
        door_open(&d, good[i]);
        int fd = knock(tg_listener_port(d.l));
        turn_until(d.loop, d.n == 1);
        close(fd);
        door_shut(&d);
    }
}

static void ipv6_any_takes_ipv4_too(void **state)
{
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool have = probe >= 0 && bind(probe, (struct sockaddr *)&a, sizeof a) == 0;
    if (probe >= 0)
        close(probe);
    if (!have)
        skip_because("no IPv6 here");
    struct door d;
    char peer[48];
    door_open(&d, "::");
    int fd = knock(tg_listener_port(d.l));
    turn_until(d.loop, d.n == 1);
    struct tg_stream *s = stream_on(d.loop, d.fds[0], NULL);
    d.n = 0;
    tg_stream_peer(s, peer, sizeof peer);
    assert_string_equal(peer, "127.0.0.1");
    tg_stream_close(s);
    close(fd);
    a.sin6_port = htons(tg_listener_port(d.l));
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    turn_until(d.loop, d.n == 1);
    s = stream_on(d.loop, d.fds[0], NULL);
    d.n = 0;
    tg_stream_peer(s, peer, sizeof peer);
    assert_string_equal(peer, "::1");
    tg_stream_close(s);
    close(fd);
    door_shut(&d);
}

static void says_why_it_cannot_listen(void **state)
{
    struct tg_loop *loop = new_loop();
    struct tg_listener *l = NULL, *second = NULL;
    struct tg_fail why;
    struct tg_listen_opts o = {.host = "no such host"};
    int before = count_fds();
    tg_fail_clear(&why);
    assert_int_equal(tg_listener_start(loop, &o, on_accept, NULL, &l, &why), TG_E_INVALID_ARG);
    assert_contains(tg_str_c(why.message), "no such host");
    o.host = "192.0.2.1"; /* not ours */
    tg_fail_clear(&why);
    assert_int_equal(tg_listener_start(loop, &o, on_accept, NULL, &l, &why), TG_E_IO);
    assert_contains(tg_str_c(why.message), "192.0.2.1");
    assert_int_equal(count_fds(), before);
    o.host = "127.0.0.1";
    assert_int_equal(tg_listener_start(loop, &o, on_accept, NULL, &l, &why), 0);
    o.port = tg_listener_port(l);
    tg_fail_clear(&why);
    assert_int_equal(tg_listener_start(loop, &o, on_accept, NULL, &second, &why), TG_E_IO);
    assert_contains(tg_str_c(why.message), "address already in use");
    tg_listener_stop(l);
    tg_loop_free(loop);
}

static void several_loops_share_a_port(void **state)
{
    struct tg_loop *loop = new_loop(), *loop2 = new_loop();
    struct tg_listener *l, *l2;
    struct door d = {0};
    struct tg_listen_opts o = {.host = "127.0.0.1", .reuse_port = true};
    assert_int_equal(tg_listener_start(loop, &o, on_accept, &d, &l, NULL), 0);
    o.port = tg_listener_port(l);
    assert_int_equal(tg_listener_start(loop2, &o, on_accept, &d, &l2, NULL), 0);
    int fd[64];
    for (int i = 0; i < 64; i++)
        fd[i] = knock(o.port);
    tg_loop_turn(loop);
    int first = d.n;
    tg_loop_turn(loop2);
    assert_int_equal(d.n, 64);
    assert_true(first > 0 && first < 64);
    for (int i = 0; i < 64; i++) {
        close(fd[i]);
        close(d.fds[i]);
    }
    tg_listener_stop(l);
    tg_listener_stop(l2);
    tg_loop_free(loop);
    tg_loop_free(loop2);
}

static void pauses_and_resumes(void **state)
{
    struct door d;
    door_open(&d, "127.0.0.1");
    tg_listener_pause(d.l, true);
    int fd = knock(tg_listener_port(d.l)); /* the kernel's queue holds it */
    turn_for(d.loop, 10);
    assert_int_equal(d.n, 0);
    tg_listener_pause(d.l, false);
    turn_until(d.loop, d.n == 1);
    close(fd);
    door_shut(&d);
}

static void may_be_stopped_from_within(void **state)
{
    struct door d;
    int fd[5];
    door_open(&d, "127.0.0.1");
    d.stop_at = 3;
    for (int i = 0; i < 5; i++)
        fd[i] = knock(tg_listener_port(d.l));
    turn_until(d.loop, d.n == 3);
    turn_for(d.loop, 3);
    assert_int_equal(d.n, 3);
    for (int i = 0; i < 5; i++)
        close(fd[i]);
    door_shut(&d);
}

/* Out of descriptors: no busy loop, and it goes on by itself when there are some again. */
static void survives_running_out_of_descriptors(void **state)
{
    struct door d;
    struct rlimit old, low;
    door_open(&d, "127.0.0.1");
    tg_loop_turn(d.loop);
    int fd = knock(tg_listener_port(d.l));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fd + 1;
    int spare = dup(fd); /* the lowest free number must be at the limit */
    while (spare >= 0 && spare < fd)
        spare = dup(fd);
    if (spare >= 0)
        close(spare);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    uint64_t began = tg_clock_mono_ms();
    int work = 0;
    for (int i = 0; i < 60; i++) {
        work += tg_loop_turn(d.loop);
        usleep(1000);
    }
    assert_int_equal(d.n, 0);
    assert_true(work <= 4);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    turn_until(d.loop, d.n == 1);
    assert_true(tg_clock_mono_ms() - began >= 90);
    close(fd);
    door_shut(&d);
}

static void every_failed_allocation_is_survived(void **state)
{
    struct tg_loop *loop = new_loop();
    struct tg_listener *l = NULL;
    struct tg_listen_opts o = {.host = "127.0.0.1"};
    int before = count_fds();
    for (uint64_t i = 1;; i++) {
        tg_alloc_fail_at(i, 0);
        int rc = tg_listener_start(loop, &o, on_accept, NULL, &l, NULL);
        tg_alloc_fail_at(0, 0);
        if (rc == 0)
            break;
        assert_int_equal(rc, TG_E_NOMEM);
        assert_null(l);
        assert_int_equal(count_fds(), before);
        assert_true(i < 10);
    }
    tg_listener_stop(l);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_at_most_64_a_turn),
        cmocka_unit_test(hosts),
        cmocka_unit_test(ipv6_any_takes_ipv4_too),
        cmocka_unit_test(says_why_it_cannot_listen),
        cmocka_unit_test(several_loops_share_a_port),
        cmocka_unit_test(pauses_and_resumes),
        cmocka_unit_test(may_be_stopped_from_within),
        cmocka_unit_test(survives_running_out_of_descriptors),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
