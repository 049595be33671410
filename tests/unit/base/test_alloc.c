#include "check.h"

#include "base/alloc.h"

static int disarm(void **state)
{
    tg_alloc_fail_at(0, 0);
    return 0;
}

static void zero_sizes_are_fine(void **state)
{
    char *p = tg_malloc(0), *q = tg_calloc(0, 8), *r = tg_calloc(3, 0);
    assert_true(p && q && r && p != q);
    p[0] = q[0] = r[0] = 1;
    p = tg_realloc(p, 0);
    assert_non_null(p);
    tg_free(p);
    tg_free(q);
    tg_free(r);
    tg_free(NULL);
}

static void calloc_zeroes_and_checks(void **state)
{
    unsigned char *p = tg_calloc(33, 3);
    for (int i = 0; i < 99; i++)
        assert_int_equal(p[i], 0);
    tg_free(p);
    volatile size_t huge = SIZE_MAX / 2;
    assert_null(tg_calloc(huge, 4));
}

static void duplicates(void **state)
{
    char *s = tg_strdup("abc"), *e = tg_strdup(""), *n = tg_str_dup_c(TG_STR("a\0b"));
    assert_string_equal(s, "abc");
    assert_string_equal(e, "");
    assert_memory_equal(n, "a\0b", 4);
    tg_free(s);
    tg_free(e);
    tg_free(n);
    assert_null(tg_str_dup_c((struct tg_str){"x", SIZE_MAX}));
}

static void the_nth_call_fails(void **state)
{
    tg_alloc_fail_at(2, 0);
    void *a = tg_malloc(8);
    assert_non_null(a);
    assert_null(tg_malloc(8));
    void *c = tg_malloc(8);
    assert_non_null(c);
    assert_int_equal(tg_alloc_count(), 3);
    tg_alloc_fail_at(1, 0);
    assert_null(tg_calloc(1, 1));
    assert_int_equal(tg_alloc_count(), 1);
    tg_alloc_fail_at(1, 0);
    assert_null(tg_realloc(a, 100)); /* a stays valid */
    memset(a, 1, 8);
    tg_alloc_fail_at(1, 0);
    assert_null(tg_strdup("x"));
    tg_free(a);
    tg_free(c);
}

static void sticky_keeps_failing(void **state)
{
    tg_alloc_fail_at(2, 1);
    void *a = tg_malloc(8);
    assert_non_null(a);
    for (int i = 0; i < 5; i++)
        assert_null(tg_malloc(8));
    assert_int_equal(tg_alloc_count(), 6);
    tg_alloc_fail_at(0, 0);
    void *b = tg_xmalloc(8), *c = tg_xcalloc(2, 2);
    assert_true(b && c);
    tg_free(a);
    tg_free(b);
    tg_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_sizes_are_fine),
        cmocka_unit_test(calloc_zeroes_and_checks),
        cmocka_unit_test(duplicates),
        cmocka_unit_test_teardown(the_nth_call_fails, disarm),
        cmocka_unit_test_teardown(sticky_keeps_failing, disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
