/* What a child gets of this process: two descriptors and no secrets. The test binary plays the
 * child: it looks around and writes what it sees into its socket. */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/spawn_priv.h"

extern char **environ;

static int look_around(void)
{
    char out[4096];
    size_t n = 0;
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            n += (size_t)snprintf(out + n, sizeof out - n, "fd%d ", fd);
    for (char **e = environ; *e; e++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%.40s ", *e);
    (void)!write(3, out, n);
    (void)!write(2, "on stderr\n", 10);
    return 7;
}

static size_t read_all(int fd, char *out, size_t cap)
{
    size_t n = 0;
    fcntl(fd, F_SETFL, 0); /* wait */
    for (ssize_t k; n < cap - 1 && (k = read(fd, out + n, cap - 1 - n)) > 0;)
        n += (size_t)k;
    out[n] = '\0';
    return n;
}

static void a_child_gets_what_it_needs(void **state)
{
    char seen[4096], log[256];
    struct tg_spawned p;
    struct tg_fail f;
    int status;
    tg_fail_clear(&f);
    int extra = open("/dev/null", O_RDONLY); /* not close-on-exec: must not arrive */
    assert_true(extra >= 0);
    setenv("OPENAI_API_KEY", "sk-secret", 1);
    setenv("TOLLGATE_LLAMA_DIR", "/somewhere", 1);
    const char *const argv[] = {"test", "engine", NULL};
    assert_int_equal(tg_spawn_engine(argv, &f, &p), 0);
    read_all(p.fd, seen, sizeof seen);
    read_all(p.log_fd, log, sizeof log);
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_non_null(strstr(seen, "fd0 fd1 fd2 fd3 "));
    assert_null(strstr(seen, "fd4"));
    assert_non_null(strstr(seen, "TOLLGATE_LLAMA_DIR=/somewhere"));
    assert_non_null(strstr(seen, "GGML_NO_BACKTRACE=1"));
    assert_null(strstr(seen, "OPENAI"));
    assert_null(strstr(seen, "secret"));
    assert_string_equal(log, "on stderr\n");
    close(p.fd);
    close(p.log_fd);
    close(extra);
}

static void names_are_compared_whole(void **state)
{
    assert_true(tg_spawn_keeps_env("TOLLGATE_LLAMA_DIR=/x"));
    assert_false(tg_spawn_keeps_env("TOLLGATE_LLAMA_DIRECTORY=/x"));
    assert_false(tg_spawn_keeps_env("ANTHROPIC_API_KEY=x"));
    assert_false(tg_spawn_keeps_env(""));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "engine") == 0)
        return look_around();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_gets_what_it_needs),
        cmocka_unit_test(names_are_compared_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
