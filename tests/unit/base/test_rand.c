#include "check.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"

static void bytes_of_all_sizes(void **state)
{
    unsigned char buf[2000], or_all[2000] = {0};
    for (int round = 0; round < 64; round++)
        for (size_t n = 0; n < sizeof(buf); n = n * 2 + 1) {
            memset(buf, 0, sizeof(buf));
            tg_rand_bytes(buf, n);
            for (size_t i = 0; i < n; i++)
                or_all[i] |= buf[i];
            for (size_t i = n; i < sizeof(buf); i++)
                assert_int_equal(buf[i], 0);
        }
    for (size_t i = 0; i < 1023; i++) /* 64 rounds: all bits seen, but for a chance of 2^-50 */
        assert_int_equal(or_all[i], 0xFF);
}

static void below_is_in_range_and_even(void **state)
{
    unsigned count[6] = {0};
    for (int i = 0; i < 60000; i++)
        count[tg_rand_below(6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(count[i], 9400, 10600); /* 6.5 standard deviations */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(tg_rand_below(1), 0);
        assert_true(tg_rand_below((UINT64_MAX >> 1) + 2) <= (UINT64_MAX >> 1) + 1);
    }
}

static void ids(void **state)
{
    char a[32], b[32];
    unsigned seen[128] = {0};
    assert_int_equal(tg_rand_id("req_", a, sizeof(a)), 28);
    assert_int_equal(strlen(a), 28);
    assert_memory_equal(a, "req_", 4);
    for (int i = 0; i < 2000; i++) {
        tg_rand_id("", b, 25);
        assert_string_not_equal(a, b);
        for (const char *p = b; *p; p++)
            seen[(unsigned char)*p & 127]++;
        memcpy(a, b, sizeof(a));
    }
    unsigned kinds = 0;
    for (int c = 0; c < 128; c++) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        assert_int_equal(seen[c] > 0, alnum);
        kinds += seen[c] > 0;
        if (alnum)
            assert_in_range(seen[c], 600, 950); /* 774 expected */
    }
    assert_int_equal(kinds, 62);
}

static void a_forked_child_does_not_repeat(void **state)
{
    int fd[2];
    uint64_t child = 0;
    (void)tg_rand_u64(); /* the pool is filled before the fork */
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t v = tg_rand_u64();
        _exit(write(fd[1], &v, sizeof(v)) == sizeof(v) ? 0 : 1);
    }
    uint64_t parent = tg_rand_u64();
    assert_int_equal(read(fd[0], &child, sizeof(child)), sizeof(child));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(fd[0]);
    close(fd[1]);
    assert_true(child != parent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_all_sizes),
        cmocka_unit_test(below_is_in_range_and_even),
        cmocka_unit_test(ids),
        cmocka_unit_test(a_forked_child_does_not_repeat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
