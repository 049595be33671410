/* Helper processes: what they print, how they end, and that nothing of them stays. */
#include "io_fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "io/process.h"

static int woken;

static void on_over(struct tg_task *t TG_UNUSED)
{
    woken++;
}

static struct tg_process *begin(struct tg_loop *loop, struct tg_task *task, const char *command,
                                size_t max, uint32_t timeout_ms)
{
    struct tg_process *p;
    struct tg_process_opts o = {command, max, timeout_ms};
    woken = 0;
    tg_task_init(task, on_over);
    assert_int_equal(tg_process_start(loop, &o, task, &p), 0);
    return p;
}

struct ending {
    const char *command;
    const char *output;
    int exit_code;
    bool timed_out, too_long;
};

static void what_it_prints_and_how_it_ends(void **state TG_UNUSED)
{
    static const struct ending cases[] = {
        {"echo secret", "secret\n", 0, false, false},
        {"printf a; printf b >&2; exit 3", "a", 3, false, false},
        {"true", "", 0, false, false},
        {"no-such-command-here", "", 127, false, false},
        {"kill -9 $$", "", -1, false, false},
        {"cat", "", 0, false, false}, /* its input is empty */
        {"printf x; exec >&-; sleep 0.1; exit 5", "x", 5, false, false},
        {"printf x; sleep 30 &", "x", 0, false, false}, /* a grandchild keeps the pipe */
        {"printf 0123456789; printf y", "0123456789", 0, false, true},
        {"yes", "", -1, false, true},
        {"printf x; sleep 30", "x", -1, true, false},
        {"trap '' TERM; printf x; while :; do sleep 1; done", "x", -1, true, false},
        {"ls /proc/self/fd | wc -l", "4\n", 0, false, false}, /* 0, 1, 2 and ls's own */
    };
    struct tg_loop *loop = new_loop();
    int extra = open("/dev/null", O_RDONLY); /* not close-on-exec: must not be inherited */
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_task task;
        struct tg_process_result r;
        bool bounded = cases[i].too_long || cases[i].timed_out;
        struct tg_process *p =
            begin(loop, &task, cases[i].command, 10, cases[i].timed_out ? 100 : 10000);
        assert_false(tg_process_over(p, &r)); /* never before start returned */
        turn_until(loop, woken);
        assert_true(tg_process_over(p, &r));
        if (r.timed_out != cases[i].timed_out || r.too_long != cases[i].too_long ||
            (!cases[i].too_long && r.exit_code != cases[i].exit_code) ||
            (!bounded && !tg_str_eq(r.output, tg_str_c(cases[i].output))))
            fail_msg("%s: %d '%.*s'", cases[i].command, r.exit_code, TG_STR_ARG(r.output));
        turn_for(loop, 5);
        assert_int_equal(woken, 1);
        tg_process_free(p);
        assert_true(waitpid(-1, NULL, WNOHANG) < 0); /* no zombie */
    }
    close(extra);
    tg_loop_free(loop);
}

static void the_environment_is_ours(void **state TG_UNUSED)
{
    struct tg_loop *loop = new_loop();
    struct tg_task task;
    struct tg_process_result r;
    setenv("TG_TEST_VARIABLE", "from here", 1);
    struct tg_process *p = begin(loop, &task, "printf %s \"$TG_TEST_VARIABLE\"", 100, 5000);
    turn_until(loop, woken);
    assert_true(tg_process_over(p, &r));
    assert_str(r.output, "from here");
    tg_process_free(p);
    tg_loop_free(loop);
}

static void more_than_a_pipe_holds(void **state TG_UNUSED)
{
    struct tg_loop *loop = new_loop();
    struct tg_task task;
    struct tg_process_result r;
    struct tg_process *p = begin(loop, &task, "head -c 300000 /dev/zero", 300000, 10000);
    turn_until(loop, woken);
    assert_true(tg_process_over(p, &r));
    assert_int_equal(r.output.n, 300000);
    assert_int_equal(r.exit_code, 0);
    tg_process_free(p);
    tg_loop_free(loop);
}

/* Freed while it runs: the whole group is gone, and it is not woken any more. */
static void freed_while_it_runs(void **state TG_UNUSED)
{
    struct tg_loop *loop = new_loop();
    struct tg_task task;
    char mark[64], command[160];
    snprintf(mark, sizeof mark, "/tmp/tg-process-%d", (int)getpid());
    unlink(mark);
    snprintf(command, sizeof command, "(sleep 0.5; touch %s) & sleep 30", mark);
    struct tg_process *p = begin(loop, &task, command, 100, 10000);
    turn_for(loop, 50);
    tg_process_free(p);
    tg_process_free(NULL);
    turn_for(loop, 200);
    assert_true(waitpid(-1, NULL, WNOHANG) < 0); /* no zombie */
    usleep(500000);
    turn_for(loop, 5);
    assert_int_equal(woken, 0);
    assert_int_equal(access(mark, F_OK), -1);
    tg_loop_free(loop);
}

static void memory_runs_out(void **state TG_UNUSED)
{
    struct tg_loop *loop = new_loop();
    struct tg_task task;
    struct tg_process *p;
    struct tg_process_opts o = {"echo x", 100, 1000};
    tg_task_init(&task, on_over);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_process_start(loop, &o, &task, &p), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_prints_and_how_it_ends),
        cmocka_unit_test(the_environment_is_ours),
        cmocka_unit_test(more_than_a_pipe_holds),
        cmocka_unit_test(freed_while_it_runs),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("io/process", tests, NULL, NULL);
}
