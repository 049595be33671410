#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"

static int hook_pipe[2];

static void hook(void)
{
    if (write(hook_pipe[1], "h", 1) != 1)
        _exit(9);
    TG_INVARIANT(0); /* must end the process, not come back here */
}

/* Runs `body` in a child with its standard error in *out_text; returns the wait status. */
static int in_child(void (*body)(void), char *out_text, size_t cap)
{
    int err[2];
    assert_int_equal(pipe(err), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(err[1], 2);
        body();
        _exit(0);
    }
    close(err[1]);
    size_t n = 0;
    ssize_t got;
    while (n + 1 < cap && (got = read(err[0], out_text + n, cap - 1 - n)) > 0)
        n += (size_t)got;
    out_text[n] = 0;
    close(err[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void passing(void)
{
    TG_REQUIRE(1 == 1);
    TG_INVARIANT("true");
}

static void failing(void)
{
    TG_REQUIRE(1 + 1 == 3);
}

static void failing_with_hook(void)
{
    tg_assert_set_panic_hook(hook);
    TG_INVARIANT(0);
}

static void unreachable(void)
{
    TG_UNREACHABLE();
}

static void a_failed_one_aborts_and_says_where(void **state)
{
    char text[2048];
    int status = in_child(failing, text, sizeof(text));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_contains(tg_str_c(text), "REQUIRE failed at ");
    assert_contains(tg_str_c(text), "test_assert.c:");
    assert_contains(tg_str_c(text), "1 + 1 == 3");
    status = in_child(unreachable, text, sizeof(text));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_true_one_does_nothing(void **state)
{
    char text[2048];
    assert_int_equal(in_child(passing, text, sizeof(text)), 0);
    assert_string_equal(text, "");
}

static void the_hook_runs_once(void **state)
{
    char text[4096], mark[4];
    assert_int_equal(pipe(hook_pipe), 0);
    int status = in_child(failing_with_hook, text, sizeof(text));
    close(hook_pipe[1]);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(read(hook_pipe[0], mark, sizeof(mark)), 1);
    close(hook_pipe[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_one_aborts_and_says_where),
        cmocka_unit_test(a_true_one_does_nothing),
        cmocka_unit_test(the_hook_runs_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
