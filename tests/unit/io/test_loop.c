#include "io_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/alloc.h"

static char trace[64];
static size_t traced;

static void note(char c)
{
    assert_true(traced < sizeof trace - 1);
    trace[traced++] = c;
    trace[traced] = '\0';
}

static int clear_trace(void **state)
{
    traced = 0;
    trace[0] = '\0';
    return 0;
}

struct obj {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_loop *loop;
    char name;
    struct obj *wakes, *cancels;
    int again; /* wakes itself so many times */
    int runs;
    bool buries;
};

static void obj_release(struct tg_grave *g)
{
    note((char)(tg_container_of(g, struct obj, grave)->name - 'a' + 'A'));
}

static void obj_run(struct tg_task *t)
{
    struct obj *o = tg_container_of(t, struct obj, task);
    o->runs++;
    if (traced < 40)
        note(o->name);
    if (o->wakes)
        tg_loop_wake(o->loop, &o->wakes->task);
    if (o->cancels)
        tg_task_cancel(&o->cancels->task);
    if (o->again-- > 0)
        tg_loop_wake(o->loop, &o->task);
    if (o->buries)
        tg_loop_bury(o->loop, &o->grave, obj_release);
}

static struct obj obj_new(struct tg_loop *loop, char name)
{
    return (struct obj){.loop = loop, .name = name};
}

static void runs_in_order_and_once(void **state)
{
    struct tg_loop *loop = new_loop();
    struct obj a = obj_new(loop, 'a'), b = obj_new(loop, 'b');
    tg_task_init(&a.task, obj_run);
    tg_task_init(&b.task, obj_run);
    assert_false(tg_loop_turn(loop));
    tg_loop_wake(loop, &a.task);
    tg_loop_wake(loop, &b.task);
    tg_loop_wake(loop, &a.task);
    assert_true(tg_loop_turn(loop));
    assert_string_equal(trace, "ab");
    assert_false(tg_loop_turn(loop));
    tg_loop_free(loop);
}

static void what_is_woken_meanwhile_runs_and_graves_come_last(void **state)
{
    struct tg_loop *loop = new_loop();
    struct obj a = obj_new(loop, 'a'), b = obj_new(loop, 'b');
    tg_task_init(&a.task, obj_run);
    tg_task_init(&b.task, obj_run);
    a.wakes = &b;
    a.buries = true;
    tg_loop_wake(loop, &a.task);
    tg_loop_turn(loop);
    assert_string_equal(trace, "abA");
    tg_loop_free(loop);
}

static void a_task_of_the_same_batch_can_be_cancelled(void **state)
{
    struct tg_loop *loop = new_loop();
    struct obj a = obj_new(loop, 'a'), b = obj_new(loop, 'b'), c = obj_new(loop, 'c');
    tg_task_init(&a.task, obj_run);
    tg_task_init(&b.task, obj_run);
    tg_task_init(&c.task, obj_run);
    a.cancels = &b;
    tg_loop_wake(loop, &a.task);
    tg_loop_wake(loop, &b.task);
    tg_loop_wake(loop, &c.task);
    tg_loop_turn(loop);
    assert_string_equal(trace, "ac");
    tg_loop_free(loop);
}

/* One that always wakes itself must not keep the loop from polling, nor sleep while it waits. */
static void a_tick_has_64_rounds(void **state)
{
    struct tg_loop *loop = new_loop();
    struct obj a = obj_new(loop, 'a');
    tg_task_init(&a.task, obj_run);
    a.again = 1000;
    tg_loop_wake(loop, &a.task);
    uint64_t start = tg_clock_mono_ms();
    assert_true(tg_loop_turn(loop));
    assert_true(a.runs <= 128); /* before and behind the poll */
    int turns = 1;
    for (; a.runs < 1001; turns++)
        assert_true(tg_loop_turn(loop));
    assert_int_equal(a.runs, 1001);
    assert_true(turns >= 7);
    assert_true(tg_clock_mono_ms() - start < 5000);
    tg_loop_free(loop);
}

static void stop_run(struct tg_task *t)
{
    struct obj *o = tg_container_of(t, struct obj, task);
    if (++o->runs == 200)
        tg_loop_stop(o->loop);
    else
        tg_loop_wake(o->loop, &o->task);
}

static void runs_until_stopped(void **state)
{
    struct tg_loop *loop = new_loop();
    struct obj a = obj_new(loop, 'a');
    tg_task_init(&a.task, stop_run);
    tg_loop_wake(loop, &a.task);
    tg_loop_run(loop);
    assert_int_equal(a.runs, 200);
    a.runs = 199; /* and again */
    tg_loop_wake(loop, &a.task);
    tg_loop_run(loop);
    assert_int_equal(a.runs, 200);
    tg_loop_free(loop);
}

static void *stop_from_thread(void *loop)
{
    usleep(20000);
    tg_loop_stop_async(loop);
    return NULL;
}

static struct tg_loop *signal_loop;
static void on_signal(int sig)
{
    tg_loop_stop_async(signal_loop);
}

static void is_stopped_from_outside(void **state)
{
    struct tg_loop *loop = new_loop();
    pthread_t th;
    uint64_t start = tg_clock_mono_ms();
    assert_int_equal(pthread_create(&th, NULL, stop_from_thread, loop), 0);
    tg_loop_run(loop); /* sleeps: nothing to do */
    pthread_join(th, NULL);
    assert_true(tg_clock_mono_ms() - start >= 15);
    tg_loop_stop_async(loop); /* before it runs */
    tg_loop_run(loop);
    signal_loop = loop;
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    raise(SIGUSR1);
    tg_loop_run(loop);
    signal(SIGUSR1, SIG_DFL);
    tg_loop_free(loop);
}

static void slow_run(struct tg_task *t)
{
    struct obj *o = tg_container_of(t, struct obj, task);
    const _Atomic uint64_t *busy = tg_loop_busy_since_ns(o->loop);
    assert_true(*busy > 0 && *busy <= tg_clock_mono_ns());
    if (o->runs++ == 0) {
        usleep(30000);
        tg_loop_wake(o->loop, &o->task);
    } else if (o->runs > 200) { /* several ticks later */
        tg_loop_stop(o->loop);
    } else {
        tg_loop_wake(o->loop, &o->task);
    }
}

static void measures_its_lag(void **state)
{
    struct tg_loop *loop = new_loop();
    struct obj a = obj_new(loop, 'a');
    tg_task_init(&a.task, slow_run);
    tg_loop_wake(loop, &a.task);
    uint64_t ticks = tg_loop_ticks(loop);
    tg_loop_run(loop);
    assert_true(tg_loop_ticks(loop) > ticks);
    uint64_t lag = tg_loop_take_max_lag_us(loop);
    assert_in_range(lag, 29000, 2000000);
    assert_int_equal(tg_loop_take_max_lag_us(loop), 0);
    assert_int_equal(*tg_loop_busy_since_ns(loop), 0);
    tg_loop_free(loop);
}

static void clock_is_read_once_per_tick(void **state)
{
    tg_clock_fake_start(5000 * 1000000ull, 0);
    struct tg_loop *loop = new_loop();
    assert_int_equal(tg_loop_now_ms(loop), 5000);
    tg_loop_turn(loop);
    tg_clock_fake_advance_us(7000);
    assert_int_equal(tg_loop_now_ms(loop), 5007); /* not what the last tick saw */
    tg_loop_free(loop);
    tg_clock_fake_stop();
}

static void read_buffer_is_there(void **state)
{
    struct tg_loop *loop = new_loop();
    memset(tg_loop_read_buf(loop), 0xA5, TG_LOOP_READ_BYTES);
    tg_loop_free(loop);
}

static void every_failed_allocation_is_survived(void **state)
{
    struct tg_loop *loop = NULL;
    int fds = count_fds();
    for (uint64_t i = 1;; i++) {
        tg_alloc_fail_at(i, 0);
        int rc = tg_loop_new(&loop);
        tg_alloc_fail_at(0, 0);
        if (rc == 0)
            break;
        assert_int_equal(rc, TG_E_NOMEM);
        assert_null(loop);
        assert_true(i < 100);
    }
    tg_loop_free(loop);
    assert_int_equal(count_fds(), fds);
}

/* A stream left open is a bug of the caller: the process dies rather than leaks. */
static void a_leak_is_found(void **state)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd[2], null = open("/dev/null", O_WRONLY);
        dup2(null, 2);
        signal(SIGABRT, SIG_DFL);
        struct tg_loop *loop = new_loop();
        tcp_pair(fd);
        stream_on(loop, fd[0], NULL);
        tg_loop_free(loop);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(runs_in_order_and_once, clear_trace),
        cmocka_unit_test_setup(what_is_woken_meanwhile_runs_and_graves_come_last, clear_trace),
        cmocka_unit_test_setup(a_task_of_the_same_batch_can_be_cancelled, clear_trace),
        cmocka_unit_test_setup(a_tick_has_64_rounds, clear_trace),
        cmocka_unit_test(runs_until_stopped),
        cmocka_unit_test(is_stopped_from_outside),
        cmocka_unit_test(measures_its_lag),
        cmocka_unit_test(clock_is_read_once_per_tick),
        cmocka_unit_test(read_buffer_is_there),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(a_leak_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
