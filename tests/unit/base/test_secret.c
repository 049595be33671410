#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/secret.h"

static void holds_a_copy(void **state)
{
    char key[] = "sk-live-1234";
    struct tg_secret *s = tg_secret_new(tg_str_c(key));
    memset(key, 0, sizeof(key));
    assert_str(tg_secret_reveal(s), "sk-live-1234");
    assert_string_equal(tg_secret_print(s), "***");
    assert_string_equal(tg_secret_print(NULL), "");
    tg_secret_free(s);
    tg_secret_free(NULL);
    s = tg_secret_new((struct tg_str){NULL, 0});
    assert_int_equal(tg_secret_reveal(s).n, 0);
    tg_secret_free(s);
}

static void sizes_around_a_page(void **state)
{
    static char text[8193];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    for (size_t n = 4094; n <= sizeof(text); n += n == 4098 ? 4092 : 1) {
        struct tg_secret *s = tg_secret_new(tg_str_make(text, n));
        assert_str_equal(tg_secret_reveal(s), tg_str_make(text, n));
        tg_secret_free(s);
    }
}

/* The pages must be gone after free: read through /proc, which does not fault. */
static void gone_after_free(void **state)
{
    struct tg_secret *s = tg_secret_new(TG_STR("sk-to-be-wiped"));
    uintptr_t at = (uintptr_t)tg_secret_reveal(s).p;
    int fd = open("/proc/self/mem", O_RDONLY);
    if (fd < 0)
        skip_because("no /proc on this machine");
    char seen[14] = {0};
    assert_int_equal(pread(fd, seen, sizeof(seen), (off_t)at), sizeof(seen));
    assert_memory_equal(seen, "sk-to-be-wiped", 14);
    tg_secret_free(s);
    memset(seen, 0, sizeof(seen));
    if (pread(fd, seen, sizeof(seen), (off_t)at) > 0)
        assert_memory_not_equal(seen, "sk-to-be-wiped", 14);
    close(fd);
}

/* "dd" in the mapping's flags: left out of core files. */
static void not_in_core_files(void **state)
{
    struct tg_secret *s = tg_secret_new(TG_STR("x"));
    unsigned long at = (unsigned long)tg_secret_reveal(s).p, lo, hi;
    FILE *f = fopen("/proc/self/smaps", "r");
    if (!f) {
        tg_secret_free(s);
        skip_because("no /proc on this machine");
    }
    char line[512];
    bool inside = false, marked = false;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
            inside = at >= lo && at < hi;
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            marked = strstr(line, " dd") != NULL;
    }
    fclose(f);
    tg_secret_free(s);
    assert_true(marked);
}

static void wipes(void **state)
{
    char text[100];
    memset(text, 'x', sizeof(text));
    tg_secret_wipe(text, 99);
    for (int i = 0; i < 99; i++)
        assert_int_equal(text[i], 0);
    assert_int_equal(text[99], 'x');
    tg_secret_wipe(NULL, 0);
}

static void memory_failure(void **state)
{
    tg_alloc_fail_at(1, 0);
    assert_null(tg_secret_new(TG_STR("x")));
    tg_alloc_fail_at(0, 0);
    assert_null(tg_secret_new((struct tg_str){"x", SIZE_MAX}));
    assert_null(
        tg_secret_new((struct tg_str){"x", (size_t)1 << 62})); /* more than the system has */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_a_copy),    cmocka_unit_test(sizes_around_a_page),
        cmocka_unit_test(gone_after_free), cmocka_unit_test(not_in_core_files),
        cmocka_unit_test(wipes),           cmocka_unit_test(memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
