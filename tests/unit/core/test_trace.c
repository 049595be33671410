#include <unistd.h>

#include "check.h"
#include "core/trace.h"

static void keeps_the_newest(void **state TG_UNUSED)
{
    static struct tg_trace t;
    struct tg_buf b;
    tg_buf_init(&b, 1u << 20);
    for (uint64_t i = 0; i < TG_TRACE_ENTRIES + 10; i++)
        tg_trace_add(&t, i, "exchange", "RUN", "STREAM", i * 10);
    tg_trace_print(&t, &b);
    assert_true(tg_str_starts(tg_buf_str(&b), TG_STR("100 exchange 10 RUN -> STREAM\n")));
    assert_true(tg_str_ends(tg_buf_str(&b), TG_STR("5210 exchange 521 RUN -> STREAM\n")));
    tg_buf_fini(&b);
}

static void dumps_without_memory(void **state TG_UNUSED)
{
    static struct tg_trace t;
    int fd[2];
    char got[256];
    tg_trace_add(&t, 7, "attempt", "NEW", "CONNECT", 5);
    assert_int_equal(pipe(fd), 0);
    tg_trace_dump_fd(&t, fd[1]);
    ssize_t n = read(fd[0], got, sizeof got);
    assert_str(tg_str_make(got, (size_t)n), "5 attempt 7 NEW -> CONNECT\n");
    close(fd[0]);
    close(fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_newest),
        cmocka_unit_test(dumps_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
