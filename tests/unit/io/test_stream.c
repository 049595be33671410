#include "io_fixture.h"

#include <netinet/tcp.h>
#include <sys/un.h>
#include <errno.h>

#include "base/alloc.h"
#include "base/rand.h"

/* ---- an echo server as a step function ---- */

struct echo {
    struct tg_task task;
    struct tg_stream *s;
    char held[8192]; /* read, not yet written back */
    size_t at, n;
    bool eof;
    int result; /* of the end: TG_E_* */
    uint64_t reads, writes, bytes;
};

static void echo_write(struct echo *e)
{
    while (e->at < e->n) {
        struct iovec v[2] = {{e->held + e->at, (e->n - e->at + 1) / 2}, {0}};
        v[1].iov_base = (char *)v[0].iov_base + v[0].iov_len;
        v[1].iov_len = e->n - e->at - v[0].iov_len;
        int rc = tg_stream_writev(e->s, v, 2);
        e->writes++;
        if (rc == TG_E_AGAIN)
            break;
        if (rc < 0) {
            e->result = rc;
            return;
        }
        e->at += (size_t)rc;
    }
    if (e->at == e->n)
        e->at = e->n = 0;
}

static void echo_step(struct tg_task *t)
{
    struct echo *e = tg_container_of(t, struct echo, task);
    unsigned ready = e->s->ready;
    e->s->ready = 0;
    if (e->n)
        echo_write(e);
    if (!e->n && !e->eof && !e->result && (ready & TG_WANT_READ)) {
        int rc = tg_stream_read(e->s, e->held, sizeof e->held);
        e->reads++;
        if (rc > 0) {
            e->n = (size_t)rc;
            e->bytes += e->n;
            echo_write(e);
        } else if (rc == TG_E_EOF) {
            e->eof = true;
            e->result = tg_stream_shutdown(e->s) < 0 ? TG_E_IO : TG_E_EOF;
        } else if (rc != TG_E_AGAIN) {
            e->result = rc;
        }
    }
    if (e->result)
        tg_stream_want(e->s, TG_WANT_NONE);
    else
        tg_stream_want(e->s, e->n ? TG_WANT_WRITE : TG_WANT_READ);
}

static void echo_init(struct echo *e, struct tg_loop *loop, int fd)
{
    memset(e, 0, sizeof *e);
    tg_task_init(&e->task, echo_step);
    e->s = stream_on(loop, fd, &e->task);
    tg_stream_want(e->s, TG_WANT_READ);
}

/* Sends `total` random bytes in random pieces and checks what comes back. */
static void talk(struct tg_loop *loop, int fd, size_t total)
{
    char *out = tg_malloc(total), *in = tg_malloc(total);
    size_t sent = 0, got = 0;
    assert_non_null(out);
    assert_non_null(in);
    tg_rand_bytes(out, total);
    uint64_t until = tg_clock_mono_ms() + 30000;
    while (got < total) {
        if (sent < total) {
            size_t k = 1 + tg_rand_below(30000);
            k = k < total - sent ? k : total - sent;
            ssize_t n = send(fd, out + sent, k, MSG_NOSIGNAL);
            sent += n > 0 ? (size_t)n : 0;
        }
        tg_loop_turn(loop);
        ssize_t n = recv(fd, in + got, tg_rand_below(4) ? 1 + tg_rand_below(total - got) : 1, 0);
        assert_true(n != 0);
        got += n > 0 ? (size_t)n : 0;
        assert_true(tg_clock_mono_ms() < until);
    }
    assert_memory_equal(out, in, total);
    tg_free(out);
    tg_free(in);
}

static void echoes_any_sizes_and_half_close(void **state)
{
    struct tg_loop *loop = new_loop();
    for (int round = 0; round < 12; round++) {
        int fd[2];
        struct echo e;
        char c;
        tcp_pair(fd);
        echo_init(&e, loop, fd[1]);
        talk(loop, fd[0], 1 + tg_rand_below(round < 6 ? 100 : 3000000));
        assert_int_equal(shutdown(fd[0], SHUT_WR), 0);
        turn_until(loop, e.result);
        assert_int_equal(e.result, TG_E_EOF);
        assert_int_equal(recv(fd[0], &c, 1, 0), 0); /* its half-close */
        tg_stream_close(e.s);
        close(fd[0]);
        tg_loop_turn(loop);
    }
    tg_loop_free(loop);
}

static void unix_sockets_work_too(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2];
    struct echo e;
    char peer[64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    echo_init(&e, loop, fd[1]);
    talk(loop, fd[0], 1000000);
    tg_stream_peer(e.s, peer, sizeof peer);
    assert_string_equal(peer, "");
    tg_stream_close(e.s);
    close(fd[0]);
    tg_loop_free(loop);
}

/* ---- events ---- */

static void reset_is_an_io_error(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2];
    struct echo e;
    tcp_pair(fd);
    echo_init(&e, loop, fd[1]);
    make_reset(fd[0]);
    close(fd[0]);
    turn_until(loop, e.result);
    assert_int_equal(e.result, TG_E_IO);
    struct iovec v = iov_of("x");
    assert_int_equal(tg_stream_writev(e.s, &v, 1), TG_E_IO); /* and no SIGPIPE */
    struct iovec v2[2] = {iov_of("x"), iov_of("y")};
    assert_int_equal(tg_stream_writev(e.s, v2, 2), TG_E_IO);
    tg_stream_close(e.s);
    tg_loop_free(loop);
}

static void wait_and_count_ticks(struct tg_loop *loop, int least_ms, int max_work)
{
    int work = 0;
    uint64_t until = tg_clock_mono_ms() + (uint64_t)least_ms;
    while (tg_clock_mono_ms() < until) {
        work += tg_loop_turn(loop);
        usleep(500);
    }
    assert_true(work <= max_work);
}

/* Nobody asks: neither data, nor an end, nor a reset may make the loop spin. */
static void nothing_wanted_nothing_spins(void **state)
{
    struct tg_loop *loop = new_loop();
    for (int how = 0; how < 3; how++) {
        int fd[2];
        struct counter c;
        char buf[16];
        counter_init(&c);
        tcp_pair(fd);
        struct tg_stream *s = stream_on(loop, fd[1], &c.task);
        tg_stream_want(s, TG_WANT_READ);
        tg_loop_turn(loop);
        tg_stream_want(s, TG_WANT_NONE);
        assert_int_equal(send(fd[0], "hello", 5, 0), 5);
        if (how == 1)
            shutdown(fd[0], SHUT_WR);
        if (how == 2) {
            make_reset(fd[0]);
            close(fd[0]);
        }
        wait_and_count_ticks(loop, 30, 3);
        assert_int_equal(c.runs, 0);
        assert_int_equal(s->ready, 0);
        tg_stream_want(s, TG_WANT_READ); /* now it is told */
        turn_until(loop, c.runs > 0);
        assert_int_equal(s->ready, TG_WANT_READ);
        assert_int_equal(tg_stream_read(s, buf, sizeof buf), 5); /* came before the reset */
        if (how) {
            c.runs = 0;
            s->ready = 0;
            turn_until(loop, c.runs > 0);
            assert_int_equal(tg_stream_read(s, buf, sizeof buf), how == 2 ? TG_E_IO : TG_E_EOF);
        }
        tg_stream_close(s);
        if (how != 2)
            close(fd[0]);
    }
    tg_loop_free(loop);
}

/* Whoever is half-closed and still wants READ is not woken over and over, yet hears of a reset. */
static void end_of_input_does_not_spin(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2];
    struct counter c;
    char buf[16];
    counter_init(&c);
    tcp_pair(fd);
    struct tg_stream *s = stream_on(loop, fd[1], &c.task);
    tg_stream_want(s, TG_WANT_READ);
    shutdown(fd[0], SHUT_WR);
    turn_until(loop, c.runs > 0);
    assert_int_equal(tg_stream_read(s, buf, sizeof buf), TG_E_EOF);
    assert_int_equal(tg_stream_read(s, buf, sizeof buf), TG_E_EOF);
    c.runs = 0;
    s->ready = 0;
    wait_and_count_ticks(loop, 40, 3);
    assert_true(c.runs <= 1);
    struct iovec v = iov_of("still open");
    assert_int_equal(tg_stream_writev(s, &v, 1), 10);
    s->ready = 0;
    c.runs = 0;
    make_reset(fd[0]);
    close(fd[0]);
    turn_until(loop, c.runs > 0);
    assert_int_equal(s->ready, TG_WANT_READ);
    s->ready = 0;
    wait_and_count_ticks(loop, 30, 3);
    assert_int_equal(tg_stream_writev(s, &v, 1), TG_E_IO);
    tg_stream_close(s);
    tg_loop_free(loop);
}

/* The kernel's readiness is level-triggered, also for those who pause and come back. */
static void readiness_is_level_triggered(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2];
    struct counter c;
    char buf[4];
    counter_init(&c);
    tcp_pair(fd);
    struct tg_stream *s = stream_on(loop, fd[1], &c.task);
    tg_stream_want(s, TG_WANT_READ);
    assert_int_equal(send(fd[0], "0123456789", 10, 0), 10);
    for (int left = 10; left > 0; left -= left < 4 ? left : 4) {
        c.runs = 0;
        s->ready = 0;
        turn_until(loop, c.runs > 0);
        assert_int_equal(tg_stream_read(s, buf, 4), left < 4 ? left : 4);
        tg_stream_want(s, TG_WANT_NONE);
        if (left == 6)
            turn_for(loop, 5); /* interest goes away, and comes back */
        tg_stream_want(s, TG_WANT_READ);
    }
    assert_int_equal(tg_stream_read(s, buf, 4), TG_E_AGAIN);
    c.runs = 0;
    wait_and_count_ticks(loop, 10, 2);
    assert_int_equal(send(fd[0], "more", 4, 0), 4);
    turn_until(loop, c.runs > 0);
    assert_int_equal(tg_stream_read(s, buf, 4), 4);
    tg_stream_close(s);
    close(fd[0]);
    tg_loop_free(loop);
}

/* A reader that stops: the writer gets TG_E_AGAIN, sleeps, and is woken when there is room. */
static void backpressure(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2];
    struct counter c;
    static char chunk[65536];
    size_t taken = 0, got = 0;
    int rc;
    counter_init(&c);
    tcp_pair(fd);
    struct tg_stream *s = stream_on(loop, fd[1], &c.task);
    struct iovec v[2] = {{chunk, sizeof chunk / 2}, {chunk + sizeof chunk / 2, sizeof chunk / 2}};
    tg_stream_want(s, TG_WANT_READ);
    while ((rc = tg_stream_writev(s, v, 2)) > 0)
        taken += (size_t)rc;
    assert_int_equal(rc, TG_E_AGAIN);
    tg_stream_want(s, TG_WANT_READ | TG_WANT_WRITE);
    wait_and_count_ticks(loop, 20, 2);
    assert_int_equal(c.runs, 0);
    while (got < taken) {
        ssize_t n = recv(fd[0], chunk, sizeof chunk, 0);
        got += n > 0 ? (size_t)n : 0;
        tg_loop_turn(loop);
    }
    turn_until(loop, c.runs > 0);
    assert_int_equal(s->ready, TG_WANT_WRITE);
    assert_true(tg_stream_writev(s, v, 1) > 0);
    s->ready = 0;
    tg_stream_want(s, TG_WANT_READ);
    turn_for(loop, 5);
    c.runs = 0;
    wait_and_count_ticks(loop, 20, 2); /* writable, but nobody asks */
    assert_int_equal(c.runs, 0);
    tg_stream_close(s);
    close(fd[0]);
    tg_loop_free(loop);
}

/* A writer that is blocked hears of the reset, though it does not read. */
static void a_blocked_writer_hears_of_a_reset(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2], rc;
    struct counter c;
    static char chunk[65536];
    struct iovec v = {chunk, sizeof chunk};
    counter_init(&c);
    tcp_pair(fd);
    struct tg_stream *s = stream_on(loop, fd[1], &c.task);
    while ((rc = tg_stream_writev(s, &v, 1)) > 0)
        ;
    assert_int_equal(rc, TG_E_AGAIN);
    tg_stream_want(s, TG_WANT_WRITE);
    make_reset(fd[0]);
    close(fd[0]);
    turn_until(loop, c.runs > 0);
    assert_true(s->ready & TG_WANT_WRITE);
    assert_int_equal(tg_stream_writev(s, &v, 1), TG_E_IO);
    wait_and_count_ticks(loop, 20, 3);
    tg_stream_close(s);
    tg_loop_free(loop);
}

static void tells_connected_from_refused(void **state)
{
    struct tg_loop *loop = new_loop();
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port;
    int l = listen_any(&port, 4), err = 0;
    for (int refused = 0; refused < 2; refused++) {
        struct counter c;
        counter_init(&c);
        if (refused)
            close(l);
        a.sin_port = htons(port);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int rc = connect(fd, (struct sockaddr *)&a, sizeof a);
        assert_true(rc == 0 || errno == EINPROGRESS || (refused && errno == ECONNREFUSED));
        struct tg_stream *s = stream_on(loop, fd, &c.task);
        tg_stream_want(s, TG_WANT_WRITE);
        turn_until(loop, c.runs > 0);
        if (refused) {
            if (rc != 0 && errno == ECONNREFUSED) {
                tg_stream_close(s);
                break;
            }
            assert_int_equal(tg_stream_connect_result(s, &err), TG_E_UPSTREAM_CONNECT);
            assert_int_equal(err, ECONNREFUSED);
        } else {
            assert_int_equal(tg_stream_connect_result(s, &err), 0);
        }
        tg_stream_close(s);
    }
    tg_loop_free(loop);
}

static void an_idle_stream_is_judged(void **state)
{
    struct tg_loop *loop = new_loop();
    for (int how = 0; how < 3; how++) {
        int fd[2];
        tcp_pair(fd);
        struct tg_stream *s = stream_on(loop, fd[1], NULL);
        assert_true(tg_stream_idle_ok(s));
        assert_true(tg_stream_idle_ok(s));
        if (how == 0)
            assert_int_equal(send(fd[0], "?", 1, 0), 1);
        if (how == 2)
            make_reset(fd[0]);
        if (how)
            close(fd[0]);
        usleep(1000);
        assert_false(tg_stream_idle_ok(s));
        tg_stream_close(s);
        if (!how)
            close(fd[0]);
    }
    tg_loop_free(loop);
}

static void peer_and_options(void **state)
{
    struct tg_loop *loop = new_loop();
    int fd[2], on = 0;
    socklen_t n = sizeof on;
    char peer[48], tiny[4];
    tcp_pair(fd);
    struct tg_stream *s = stream_on(loop, fd[1], NULL);
    tg_stream_peer(s, peer, sizeof peer);
    assert_string_equal(peer, "127.0.0.1");
    tg_stream_peer(s, tiny, sizeof tiny);
    assert_string_equal(tiny, "");
    assert_int_equal(getsockopt(fd[1], IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
    assert_int_equal(on, 1);
    assert_int_equal(tg_stream_want_io(s, TG_WANT_READ), TG_WANT_READ);
    assert_int_equal(tg_stream_tls_resumed(s), 0);
    assert_string_equal(tg_stream_tls_error(s), "");
    tg_stream_close(s);
    close(fd[0]);
    tg_loop_free(loop);
}

/* ---- life ---- */

struct suicide {
    struct tg_task task;
    struct tg_stream *s, *other;
};
static void close_both(struct tg_task *t)
{
    struct suicide *k = tg_container_of(t, struct suicide, task);
    if (!k->s)
        return;
    tg_stream_close(k->s);
    tg_stream_close(k->other);
    k->s = NULL;
}

/* Both sides become ready in one poll; the step for the first closes both. */
static void closing_within_the_batch_is_safe(void **state)
{
    struct tg_loop *loop = new_loop();
    for (int i = 0; i < 50; i++) {
        int fd[2];
        struct suicide k = {0};
        struct iovec v = iov_of("x");
        tg_task_init(&k.task, close_both);
        tcp_pair(fd);
        k.s = stream_on(loop, fd[0], &k.task);
        k.other = stream_on(loop, fd[1], &k.task);
        tg_stream_want(k.s, TG_WANT_READ);
        tg_stream_want(k.other, TG_WANT_READ);
        assert_int_equal(tg_stream_writev(k.s, &v, 1), 1);
        assert_int_equal(tg_stream_writev(k.other, &v, 1), 1);
        turn_until(loop, k.s == NULL);
    }
    tg_loop_free(loop);
}

static void ten_thousand_lives_leave_nothing(void **state)
{
    struct tg_loop *loop = new_loop();
    tg_loop_turn(loop);
    int before = count_fds();
    for (int i = 0; i < 10000; i++) {
        int fd[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
        struct tg_stream *a = stream_on(loop, fd[0], NULL), *b = stream_on(loop, fd[1], NULL);
        tg_stream_want(a, TG_WANT_READ);
        if (i & 1)
            tg_stream_want(b, TG_WANT_READ | TG_WANT_WRITE);
        if (i & 2)
            tg_loop_turn(loop);
        tg_stream_close(a);
        if (i & 4)
            tg_loop_turn(loop);
        tg_stream_close(b);
    }
    tg_loop_turn(loop);
    assert_int_equal(count_fds(), before);
    tg_loop_free(loop);
}

static void a_failed_allocation_closes_the_socket(void **state)
{
    struct tg_loop *loop = new_loop();
    struct tg_stream *s = NULL;
    int before = count_fds(), fd[2];
    tcp_pair(fd);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_stream_from_fd(loop, fd[1], NULL, &s), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(s);
    close(fd[0]);
    assert_int_equal(count_fds(), before);
    /* What epoll does not take. */
    int file = open("/proc/self/exe", O_RDONLY);
    assert_int_equal(tg_stream_from_fd(loop, file, NULL, &s), TG_E_IO);
    assert_int_equal(count_fds(), before);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes_any_sizes_and_half_close),
        cmocka_unit_test(unix_sockets_work_too),
        cmocka_unit_test(reset_is_an_io_error),
        cmocka_unit_test(nothing_wanted_nothing_spins),
        cmocka_unit_test(end_of_input_does_not_spin),
        cmocka_unit_test(readiness_is_level_triggered),
        cmocka_unit_test(backpressure),
        cmocka_unit_test(a_blocked_writer_hears_of_a_reset),
        cmocka_unit_test(tells_connected_from_refused),
        cmocka_unit_test(an_idle_stream_is_judged),
        cmocka_unit_test(peer_and_options),
        cmocka_unit_test(closing_within_the_batch_is_safe),
        cmocka_unit_test(ten_thousand_lives_leave_nothing),
        cmocka_unit_test(a_failed_allocation_closes_the_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
