#include "io_fixture.h"

#include "base/alloc.h"
#include "io/mailbox.h"

struct watch {
    struct tg_fdpoll *p;
    int calls;
    unsigned ready;
    bool stop;
};

static void on_ready(void *ctx, unsigned ready)
{
    struct watch *w = ctx;
    w->calls++;
    w->ready = ready;
    if (w->stop) {
        tg_fdpoll_stop(w->p);
        w->p = NULL;
    }
}

static void reports_what_is_wanted_level_triggered(void **state)
{
    struct tg_loop *loop = new_loop();
    struct watch w = {0};
    int fd[2];
    char c;
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    assert_int_equal(tg_fdpoll_start(loop, fd[0], TG_WANT_READ, on_ready, &w, &w.p), 0);
    tg_loop_turn(loop);
    assert_int_equal(w.calls, 0);
    assert_int_equal(write(fd[1], "x", 1), 1);
    turn_until(loop, w.calls >= 3); /* nobody reads: told again and again */
    assert_int_equal(w.ready, TG_WANT_READ);
    tg_fdpoll_want(w.p, TG_WANT_NONE);
    w.calls = 0;
    turn_for(loop, 10);
    assert_int_equal(w.calls, 0);
    tg_fdpoll_want(w.p, TG_WANT_READ);
    turn_until(loop, w.calls > 0);
    assert_int_equal(read(fd[0], &c, 1), 1);
    tg_loop_turn(loop);
    w.calls = 0;
    turn_for(loop, 5);
    assert_int_equal(w.calls, 0);
    close(fd[1]);
    turn_until(loop, w.calls > 0); /* the end */
    assert_int_equal(read(fd[0], &c, 1), 0);
    tg_fdpoll_stop(w.p);
    close(fd[0]);
    tg_loop_free(loop);
}

/* A pipe without readers is in a state of error, which libuv answers by no longer polling. */
static void errors_are_reported_and_stopping_within_is_fine(void **state)
{
    struct tg_loop *loop = new_loop();
    struct watch w = {0};
    int fd[2];
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    assert_int_equal(tg_fdpoll_start(loop, fd[1], TG_WANT_WRITE, on_ready, &w, &w.p), 0);
    turn_until(loop, w.calls > 0);
    assert_int_equal(w.ready, TG_WANT_WRITE);
    close(fd[0]);
    turn_until(loop, w.ready == (TG_WANT_READ | TG_WANT_WRITE));
    w.calls = 0;
    turn_until(loop, w.calls > 1); /* level-triggered as well */
    w.stop = true;
    turn_until(loop, w.p == NULL);
    w.calls = 0;
    turn_for(loop, 5);
    assert_int_equal(w.calls, 0);
    /* The same descriptor again. */
    w.stop = false;
    assert_int_equal(tg_fdpoll_start(loop, fd[1], TG_WANT_WRITE, on_ready, &w, &w.p), 0);
    turn_until(loop, w.calls > 0);
    tg_fdpoll_stop(w.p);
    close(fd[1]);
    tg_loop_free(loop);
}

static void refuses_what_cannot_be_polled(void **state)
{
    struct tg_loop *loop = new_loop();
    struct watch w = {0};
    struct tg_fdpoll *second = NULL;
    int fd[2], file = open("/proc/self/exe", O_RDONLY);
    assert_int_equal(tg_fdpoll_start(loop, file, TG_WANT_READ, on_ready, &w, &w.p), TG_E_IO);
    assert_int_equal(tg_fdpoll_start(loop, 1 << 20, TG_WANT_READ, on_ready, &w, &w.p), TG_E_IO);
    close(file);
    assert_int_equal(pipe2(fd, O_NONBLOCK), 0);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_fdpoll_start(loop, fd[0], TG_WANT_READ, on_ready, &w, &w.p), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_null(w.p);
    assert_int_equal(tg_fdpoll_start(loop, fd[0], TG_WANT_READ, on_ready, &w, &w.p), 0);
    tg_loop_turn(loop);
    assert_int_equal(tg_fdpoll_start(loop, fd[0], TG_WANT_READ, on_ready, &w, &second), TG_E_IO);
    tg_fdpoll_stop(w.p);
    close(fd[0]);
    close(fd[1]);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_what_is_wanted_level_triggered),
        cmocka_unit_test(errors_are_reported_and_stopping_within_is_fine),
        cmocka_unit_test(refuses_what_cannot_be_polled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
