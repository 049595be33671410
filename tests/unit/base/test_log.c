#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/num.h"

static int fd[2];
static struct tg_buf text; /* what came out */

static int setup(void **state)
{
    tg_buf_init(&text, 64 << 20);
    return pipe(fd);
}

static int teardown(void **state)
{
    tg_log_stop();
    tg_log_set_level(TG_LOG_INFO);
    close(fd[0]);
    close(fd[1]);
    tg_buf_fini(&text);
    tg_clock_fake_stop();
    return 0;
}

/* Reads until `until` bytes more are there or nothing comes for wait_ms. */
static void read_more(size_t until, int wait_ms)
{
    struct pollfd p = {.fd = fd[0], .events = POLLIN};
    size_t goal = text.n + until;
    static char piece[65536];
    while (text.n < goal && poll(&p, 1, wait_ms) > 0) {
        ssize_t n = read(fd[0], piece, sizeof(piece));
        if (n <= 0)
            return;
        assert_int_equal(tg_buf_add(&text, piece, (size_t)n), 0);
    }
}

static void a_line_of_everything(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 4096);
    tg_clock_fake_start(0, 1795251600123456);
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), TG_E_INVALID_ARG);
    tg_log_begin(&b, TG_LOG_WARNING, "x\"y");
    tg_log_str(&b, "s", TG_STR("line\nbreak \"q\" \\ \x01 \xFF"));
    tg_log_cstr(&b, "c", "v");
    tg_log_cstr(&b, "none", NULL);
    tg_log_i64(&b, "i", -5);
    tg_log_ms(&b, "ms", 1234567);
    tg_log_ms(&b, "ms2", 7);
    tg_log_bool(&b, "b", true);
    tg_log_raw(&b, "r", TG_STR("[1]"));
    tg_log_end(&b);
    tg_log_msg(TG_LOG_ERROR, "boom", "n=%d\n", 3);
    tg_clock_fake_advance_us(876544);
    tg_log_msg(TG_LOG_INFO, "next", "%s", "");
    tg_log_stop();
    read_more(SIZE_MAX / 2, 0);
    assert_str(tg_buf_str(&text),
               "{\"timestamp\":\"2026-11-21T09:00:00.123456Z\",\"level\":\"WARNING\","
               "\"event\":\"x\\\"y\",\"s\":\"line\\nbreak \\\"q\\\" \\\\ \\u0001 \xEF\xBF\xBD\","
               "\"c\":\"v\",\"none\":null,\"i\":-5,\"ms\":1234.567,\"ms2\":0.007,\"b\":true,"
               "\"r\":[1]}\n"
               "{\"timestamp\":\"2026-11-21T09:00:00.123456Z\",\"level\":\"ERROR\","
               "\"event\":\"boom\",\"message\":\"n=3\\n\"}\n"
               "{\"timestamp\":\"2026-11-21T09:00:01.000000Z\",\"level\":\"INFO\","
               "\"event\":\"next\",\"message\":\"\"}\n");
    tg_buf_fini(&b);
}

static void levels(void **state)
{
    enum tg_log_level l = TG_LOG_OFF;
    assert_int_equal(tg_log_level_parse(TG_STR("debug"), &l), 0);
    assert_int_equal(l, TG_LOG_DEBUG);
    assert_int_equal(tg_log_level_parse(TG_STR("Warn"), &l), 0);
    assert_int_equal(l, TG_LOG_WARNING);
    assert_int_equal(tg_log_level_parse(TG_STR("WARNING"), &l), 0);
    assert_int_equal(tg_log_level_parse(TG_STR("off"), &l), 0);
    assert_int_equal(l, TG_LOG_OFF);
    assert_int_equal(tg_log_level_parse(TG_STR("loud"), &l), TG_E_INVALID_ARG);
    assert_int_equal(tg_log_level_parse(TG_STR(""), &l), TG_E_INVALID_ARG);

    assert_int_equal(tg_log_start(fd[1], TG_LOG_WARNING), 0);
    assert_false(tg_log_on(TG_LOG_INFO));
    assert_true(tg_log_on(TG_LOG_ERROR));
    uint64_t drops = tg_log_dropped();
    struct tg_buf b;
    tg_buf_init(&b, 1024);
    tg_log_begin(&b, TG_LOG_INFO, "hidden");
    tg_log_i64(&b, "i", 1);
    tg_log_end(&b);
    tg_log_msg(TG_LOG_DEBUG, "hidden", "x");
    tg_log_begin(&b, TG_LOG_ERROR, "shown"); /* the buffer works again */
    tg_log_end(&b);
    tg_log_set_level(TG_LOG_OFF);
    assert_false(tg_log_on(TG_LOG_ERROR));
    tg_log_msg(TG_LOG_ERROR, "hidden", "x");
    tg_log_stop();
    read_more(SIZE_MAX / 2, 0);
    assert_lacks(tg_buf_str(&text), "hidden");
    assert_contains(tg_buf_str(&text), "\"event\":\"shown\"}\n");
    assert_int_equal(tg_log_dropped(), drops); /* not wanted is not lost */
    tg_buf_fini(&b);
}

static void a_line_that_does_not_fit_is_counted(void **state)
{
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    uint64_t drops = tg_log_dropped();
    struct tg_buf b;
    char longer[300];
    memset(longer, 'x', sizeof(longer));
    tg_buf_init(&b, 256);
    tg_log_begin(&b, TG_LOG_INFO, "long");
    tg_log_str(&b, "v", tg_str_make(longer, sizeof(longer)));
    tg_log_end(&b);
    assert_int_equal(tg_log_dropped(), drops + 1);
    tg_log_stop();
    read_more(SIZE_MAX / 2, 0);
    assert_lacks(tg_buf_str(&text), "\"event\":\"long\"");
    tg_buf_fini(&b);
}

static void lines_come_without_stop(void **state)
{
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    for (int i = 0; i < 3; i++) {
        tg_log_msg(TG_LOG_INFO, "tick", "%d", i);
        read_more(1, 2000);
        usleep(i == 1 ? 300000 : 1000); /* once long enough for the writer to fall asleep */
    }
    assert_contains(tg_buf_str(&text), "\"message\":\"2\"");
}

/* Numbers the lines of thread t: {"timestamp"…,"event":"t","t":T,"i":I}. */
static void emit_numbered(struct tg_buf *b, int t, int i)
{
    tg_log_begin(b, TG_LOG_INFO, "t");
    tg_log_i64(b, "t", t);
    tg_log_i64(b, "i", i);
    tg_log_end(b);
}

/* The integer behind `key` in the line. */
static int64_t field(struct tg_str line, struct tg_str key)
{
    ptrdiff_t at = tg_str_find(line, key);
    if (at < 0)
        return -1;
    struct tg_str rest = tg_str_from(line, (size_t)at + key.n), part;
    size_t n = 0;
    while (n < rest.n && rest.p[n] >= '0' && rest.p[n] <= '9')
        n++;
    part = tg_str_first(rest, n);
    int64_t v = -1;
    assert_int_equal(tg_parse_i64(part, &v), 0);
    return v;
}

enum { THREADS = 4, LINES = 3000 };

static void *emitter(void *arg)
{
    struct tg_buf b;
    tg_buf_init(&b, 1024);
    for (int i = 0; i < LINES; i++)
        emit_numbered(&b, (int)(intptr_t)arg, i);
    tg_buf_fini(&b);
    return NULL;
}

static void threads_keep_their_order(void **state)
{
    pthread_t threads[THREADS];
    uint64_t drops = tg_log_dropped();
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, emitter, (void *)(intptr_t)t), 0);
    read_more(THREADS * LINES *
                  (sizeof("{\"timestamp\":\"2026-11-21T09:00:00.123456Z\",\"level\":"
                          "\"INFO\",\"event\":\"t\",\"t\":0,\"i\":0}\n") -
                   1),
              3000);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    tg_log_stop();
    read_more(SIZE_MAX / 2, 0);
    assert_int_equal(tg_log_dropped(), drops);
    int64_t next[THREADS] = {0};
    struct tg_str rest = tg_buf_str(&text), line;
    while (tg_str_split(&rest, '\n', &line) && line.n) {
        int64_t t = field(line, TG_STR("\"t\":"));
        assert_in_range(t, 0, THREADS - 1);
        assert_int_equal(field(line, TG_STR("\"i\":")), next[t]++);
    }
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(next[t], LINES);
}

/* A pipe that nobody reads: the caller goes on, lines are dropped and counted, and when the reader
 * comes back the lines that were taken arrive whole, in order, followed by a word on the gap. */
static void a_blocked_pipe_blocks_nobody(void **state)
{
    enum { MANY = 80000 };
    struct tg_buf b;
    tg_buf_init(&b, 1024);
    uint64_t drops = tg_log_dropped();
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    uint64_t worst_us = 0, start = tg_clock_mono_us();
    for (int i = 0; i < MANY; i++) { /* 6 MB, the queue holds 4 MiB */
        uint64_t t = tg_clock_mono_us();
        emit_numbered(&b, 0, i);
        uint64_t took = tg_clock_mono_us() - t;
        worst_us = took > worst_us ? took : worst_us;
    }
    assert_true(tg_clock_mono_us() - start < 5000000);
    assert_true(worst_us < 500000); /* a scheduler's pause, not a wait for the pipe */
    uint64_t lost = tg_log_dropped() - drops;
    assert_in_range(lost, 1000, MANY - 1000);
    read_more(SIZE_MAX / 2, 1000);
    emit_numbered(&b, 1, 0);
    tg_log_stop();
    read_more(SIZE_MAX / 2, 0);
    int64_t lines = 0, last = -1, reported = 0;
    bool after = false;
    struct tg_str rest = tg_buf_str(&text), line;
    while (tg_str_split(&rest, '\n', &line) && line.n) {
        assert_true(tg_str_starts(line, TG_STR("{\"timestamp\":")) &&
                    tg_str_ends(line, TG_STR("}")));
        if (tg_str_find(line, TG_STR("log_lines_dropped")) >= 0) {
            reported += field(line, TG_STR("\"lines\":"));
            continue;
        }
        after |= field(line, TG_STR("\"t\":")) == 1;
        if (after)
            continue;
        int64_t i = field(line, TG_STR("\"i\":"));
        assert_true(i > last);
        last = i;
        lines++;
    }
    assert_true(after);
    assert_int_equal(lines, MANY - (int64_t)lost);
    assert_int_equal(reported, lost);
    tg_buf_fini(&b);
}

static void stop_gives_up_on_a_blocked_pipe(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1024);
    uint64_t drops = tg_log_dropped();
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    for (int i = 0; i < 5000; i++)
        emit_numbered(&b, 0, i);
    uint64_t start = tg_clock_mono_ms();
    tg_log_stop();
    uint64_t took = tg_clock_mono_ms() - start;
    assert_in_range(took, 500, 3000);
    read_more(SIZE_MAX / 2, 0);
    size_t lines = 0;
    for (size_t i = 0; i < text.n; i++)
        lines += text.p[i] == '\n';
    assert_int_equal(lines + (tg_log_dropped() - drops), 5000);
    tg_buf_fini(&b);
}

static void a_broken_pipe_drops(void **state)
{
    uint64_t drops = tg_log_dropped();
    close(fd[0]);
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    tg_log_msg(TG_LOG_INFO, "lost", "x");
    tg_log_stop();
    assert_true(tg_log_dropped() > drops);
    fd[0] = dup(fd[1]); /* for teardown */
}

static void a_file_gets_every_line(void **state)
{
    char path[] = "/tmp/tg-test-log-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    unlink(path);
    uint64_t drops = tg_log_dropped();
    struct tg_buf b;
    tg_buf_init(&b, 1024);
    assert_int_equal(tg_log_start(file, TG_LOG_INFO), 0);
    for (int i = 0; i < 20000; i++)
        emit_numbered(&b, 0, i);
    tg_log_stop();
    assert_int_equal(tg_log_dropped(), drops);
    off_t size = lseek(file, 0, SEEK_END);
    static char content[4 << 20];
    assert_true(size > 0 && (size_t)size < sizeof(content));
    assert_int_equal(pread(file, content, sizeof(content), 0), size);
    struct tg_str rest = tg_str_make(content, (size_t)size), line;
    int64_t next = 0;
    while (tg_str_split(&rest, '\n', &line) && line.n)
        assert_int_equal(field(line, TG_STR("\"i\":")), next++);
    assert_int_equal(next, 20000);
    close(file);
    tg_buf_fini(&b);
}

/* Before start and after stop a line goes to standard error at once, or nowhere. */
static void direct_lines(void **state)
{
    int saved = dup(2);
    dup2(fd[1], 2);
    tg_log_msg(TG_LOG_INFO, "early", "x");
    read_more(1, 0);
    int flags = fcntl(fd[1], F_GETFL);
    fcntl(fd[1], F_SETFL, flags | O_NONBLOCK);
    char fill[4096] = {0};
    while (write(fd[1], fill, sizeof(fill)) > 0) {
    }
    fcntl(fd[1], F_SETFL, flags);
    uint64_t drops = tg_log_dropped();
    tg_log_msg(TG_LOG_INFO, "late", "x"); /* full, and blocking: must come back all the same */
    dup2(saved, 2);
    close(saved);
    assert_contains(tg_buf_str(&text), "\"event\":\"early\"");
    assert_int_equal(tg_log_dropped(), drops + 1);
}

static void starts_again(void **state)
{
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
        tg_log_msg(TG_LOG_INFO, "round", "%d", i);
        tg_log_stop();
    }
    tg_log_stop(); /* twice is fine */
    read_more(SIZE_MAX / 2, 0);
    assert_contains(tg_buf_str(&text), "\"message\":\"0\"");
    assert_contains(tg_buf_str(&text), "\"message\":\"4\"");
}

static void memory_failure_drops_the_line(void **state)
{
    uint64_t drops = tg_log_dropped();
    assert_int_equal(tg_log_start(fd[1], TG_LOG_INFO), 0);
    tg_alloc_fail_at(1, 1);
    tg_log_msg(TG_LOG_INFO, "lost", "x");
    tg_alloc_fail_at(0, 0);
    tg_log_msg(TG_LOG_INFO, "kept", "x");
    tg_log_stop();
    read_more(SIZE_MAX / 2, 0);
    assert_lacks(tg_buf_str(&text), "\"event\":\"lost\"");
    assert_contains(tg_buf_str(&text), "\"event\":\"kept\"");
    assert_true(tg_log_dropped() > drops);
}

#define with_pipe(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_pipe(a_line_of_everything),
        with_pipe(levels),
        with_pipe(a_line_that_does_not_fit_is_counted),
        with_pipe(lines_come_without_stop),
        with_pipe(threads_keep_their_order),
        with_pipe(a_blocked_pipe_blocks_nobody),
        with_pipe(stop_gives_up_on_a_blocked_pipe),
        with_pipe(a_broken_pipe_drops),
        with_pipe(a_file_gets_every_line),
        with_pipe(direct_lines),
        with_pipe(starts_again),
        with_pipe(memory_failure_drops_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
