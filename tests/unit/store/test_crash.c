/* kill -9 in the middle of writes: what was acknowledged is there afterwards, the file is whole. */
#include "store_fixture.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#define ROUNDS  6
#define WRITERS 2 /* processes on one file */

/* Writes w0, w1, … for ever and says each number to the parent once it is acknowledged. */
static void write_for_ever(const char *path, char who, int fd)
{
    struct bench b = {0};
    bench_open(&b, tg_str_c(path));
    assert_int_equal(tg_store_start(b.store), 0);
    for (uint32_t i = 0;; i++) {
        char id[32], previous[32] = "";
        (void)snprintf(id, sizeof id, "%c%u", who, i);
        if (i)
            (void)snprintf(previous, sizeof previous, "%c%u", who, i - 1);
        if (bench_put_id(&b, id, previous) != 0 || write(fd, &i, sizeof i) != sizeof i)
            _exit(1);
    }
}

static void expect_whole(const char *path)
{
    sqlite3 *h;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
    assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
    assert_int_equal(sqlite3_close(h), SQLITE_OK);
}

struct writer {
    pid_t pid;
    int fd;
    int64_t last; /* acknowledged */
};

static struct writer begin(const char *path, char who)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(fds[0]);
        write_for_ever(path, who, fds[1]);
    }
    (void)close(fds[1]);
    return (struct writer){.pid = pid, .fd = fds[0], .last = -1};
}

static void hear(struct writer *w, int64_t until)
{
    uint32_t i;
    while (w->last < until && read(w->fd, &i, sizeof i) == sizeof i)
        w->last = i;
}

static void kill_hard(struct writer *w)
{
    int status;
    assert_int_equal(kill(w->pid, SIGKILL), 0);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    assert_true(WIFSIGNALED(status)); /* it did not stop by itself */
    hear(w, INT64_MAX);               /* what was said before the end */
    (void)close(w->fd);
}

static void acknowledged_survives(void **state)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct bench b;
        struct writer w[WRITERS];
        bench_folder(&b);
        for (int i = 0; i < WRITERS; i++)
            w[i] = begin(b.path, (char)('a' + i));
        for (int i = 0; i < WRITERS; i++)
            hear(&w[i], 20 + 30 * round);
        for (int i = 0; i < WRITERS; i++)
            kill_hard(&w[i]);
        expect_whole(b.path);
        bench_open(&b, tg_str_c(b.path));
        assert_int_equal(tg_store_start(b.store), 0);
        for (int i = 0; i < WRITERS; i++) {
            for (int64_t n = 0; n <= w[i].last; n++) {
                char id[32];
                (void)snprintf(id, sizeof id, "%c%d", 'a' + i, (int)n);
                assert_int_equal(bench_get(&b, "team", id), 0);
                bench_forget(&b);
            }
        }
        bench_end(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(acknowledged_survives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
