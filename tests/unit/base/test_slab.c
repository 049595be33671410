#include "check.h"

#include "base/alloc.h"
#include "base/asan_priv.h"
#include "base/slab.h"

static void reuses_and_zeroes(void **state)
{
    struct tg_slab s;
    tg_slab_init(&s, 40, 0, 2);
    unsigned char *a = tg_slab_get(&s);
    assert_non_null(a);
    memset(a, 0xFF, 40);
    tg_slab_put(&s, a);
    assert_int_equal(s.live, 0);
    assert_int_equal(s.free_count, 1);
    unsigned char *b = tg_slab_get(&s);
    assert_ptr_equal(a, b);
    for (int i = 0; i < 40; i++)
        assert_int_equal(b[i], 0);
    tg_slab_put(&s, b);
    tg_slab_fini(&s);
}

static void limits_what_lives(void **state)
{
    struct tg_slab s;
    tg_slab_init(&s, 1, 3, 8); /* smaller than a pointer */
    void *v[3];
    for (int i = 0; i < 3; i++)
        assert_non_null(v[i] = tg_slab_get(&s));
    assert_null(tg_slab_get(&s));
    tg_slab_put(&s, v[1]);
    assert_non_null(v[1] = tg_slab_get(&s));
    for (int i = 0; i < 3; i++)
        tg_slab_put(&s, v[i]);
    tg_slab_fini(&s);
}

static void keeps_no_more_than_told(void **state)
{
    struct tg_slab s;
    void *v[10];
    tg_slab_init(&s, 64, 0, 4);
    for (int i = 0; i < 10; i++)
        v[i] = tg_slab_get(&s);
    for (int i = 0; i < 10; i++)
        tg_slab_put(&s, v[i]);
    assert_int_equal(s.free_count, 4);
    tg_slab_fini(&s);
}

static void memory_failure(void **state)
{
    struct tg_slab s;
    tg_slab_init(&s, 64, 0, 4);
    tg_alloc_fail_at(1, 0);
    assert_null(tg_slab_get(&s));
    tg_alloc_fail_at(0, 0);
    assert_int_equal(s.live, 0);
    void *p = tg_slab_get(&s);
    tg_slab_put(&s, p);
    tg_alloc_fail_at(1, 0);
    assert_non_null(p = tg_slab_get(&s)); /* a kept one needs no memory */
    tg_alloc_fail_at(0, 0);
    tg_slab_put(&s, p);
    tg_slab_fini(&s);
}

static void free_ones_are_poisoned(void **state)
{
#ifdef TG_ASAN
    struct tg_slab s;
    tg_slab_init(&s, 64, 0, 4);
    char *p = tg_slab_get(&s);
    assert_false(__asan_address_is_poisoned(p + 63));
    tg_slab_put(&s, p);
    assert_true(__asan_address_is_poisoned(p));
    assert_true(__asan_address_is_poisoned(p + 63));
    tg_slab_fini(&s);
#else
    skip_because("not built with AddressSanitizer");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuses_and_zeroes),       cmocka_unit_test(limits_what_lives),
        cmocka_unit_test(keeps_no_more_than_told), cmocka_unit_test(memory_failure),
        cmocka_unit_test(free_ones_are_poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
