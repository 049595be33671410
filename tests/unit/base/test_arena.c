#include "check.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "base/asan_priv.h"

static void allocates_aligned_and_apart(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 100, 1 << 20);
    assert_int_equal(a.held_bytes, 0);
    char *before = NULL;
    for (size_t n = 0; n < 300; n++) {
        char *p = tg_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 8, 0);
        assert_true(p != before);
        memset(p, 0xAB, n);
        before = p;
    }
    assert_true(a.used_bytes >= 299 * 300 / 2 && a.used_bytes <= a.held_bytes);
    tg_arena_fini(&a);
    assert_int_equal(a.held_bytes, 0);
    assert_non_null(tg_arena_alloc(&a, 8)); /* usable again */
    tg_arena_fini(&a);
}

static void zeroes_when_asked(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 256, 4096);
    memset(tg_arena_alloc(&a, 200), 0xFF, 200);
    tg_arena_reset(&a);
    unsigned char *z = tg_arena_zalloc(&a, 200);
    for (int i = 0; i < 200; i++)
        assert_int_equal(z[i], 0);
    tg_arena_reset(&a);
    unsigned *v = tg_arena_array(&a, 10, sizeof(*v));
    for (int i = 0; i < 10; i++)
        assert_int_equal(v[i], 0);
    struct pair {
        long a, b;
    } *p = tg_arena_new(&a, struct pair);
    assert_true(p->a == 0 && p->b == 0);
    tg_arena_fini(&a);
}

static void the_cap_holds_and_overflow_sticks(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 64, 1000);
    size_t got = 0;
    while (tg_arena_alloc(&a, 40))
        got += 40;
    assert_true(got >= 600 && got < 1000);
    assert_true(a.held_bytes <= 1000);
    assert_true(a.overflow);
    tg_arena_reset(&a);
    assert_false(a.overflow);
    assert_null(tg_arena_alloc(&a, 1000));
    assert_null(tg_arena_alloc(&a, SIZE_MAX));
    assert_null(tg_arena_alloc(&a, SIZE_MAX - 8));
    assert_null(tg_arena_array(&a, SIZE_MAX / 2, 3));
    assert_true(a.overflow);
    assert_null(tg_arena_cstr(&a, (struct tg_str){"x", SIZE_MAX}));
    assert_non_null(tg_arena_alloc(&a, 8)); /* what fits still works */
    tg_arena_fini(&a);
    tg_arena_init(&a, 64, 0);
    assert_null(tg_arena_alloc(&a, 1));
    tg_arena_fini(&a);
}

static void takes_the_last_bytes_under_the_cap(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 4096, 200); /* the first chunk is larger than the cap */
    assert_non_null(tg_arena_alloc(&a, 150));
    assert_true(a.held_bytes <= 200);
    tg_arena_fini(&a);
}

static void reset_keeps_one_chunk(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 1024, 1 << 20);
    void *first = tg_arena_alloc(&a, 100);
    tg_alloc_fail_at(0, 0);
    for (int i = 0; i < 1000; i++) {
        tg_arena_reset(&a);
        assert_ptr_equal(tg_arena_alloc(&a, 100), first);
        assert_non_null(tg_arena_alloc(&a, 900));
    }
    assert_int_equal(tg_alloc_count(), 0);
    for (int i = 0; i < 100; i++)
        assert_non_null(tg_arena_alloc(&a, 1000));
    tg_arena_reset(&a);
    assert_true(a.held_bytes < 1100);
    tg_arena_fini(&a);
    tg_arena_reset(&a); /* of an empty one */
    assert_non_null(tg_arena_alloc(&a, 500 * 1024));
    tg_arena_reset(&a);
    assert_int_equal(a.held_bytes, 0); /* a huge first chunk is not kept */
    tg_arena_fini(&a);
}

static void a_big_piece_leaves_the_newest_chunk_in_use(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 1024, 4 << 20);
    char *small = tg_arena_alloc(&a, 8);
    char *big = tg_arena_alloc(&a, 1 << 20);
    memset(big, 1, 1 << 20);
    assert_ptr_equal(tg_arena_alloc(&a, 8), small + 8);
    tg_arena_reset(&a);
    assert_true(a.held_bytes < 1100);
    tg_arena_fini(&a);
}

static void strings(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 64, 1 << 20);
    struct tg_str s = tg_arena_dup(&a, TG_STR("a\0b"));
    assert_str_equal(s, TG_STR("a\0b"));
    assert_int_equal(s.p[3], 0);
    assert_non_null(tg_arena_dup(&a, (struct tg_str){NULL, 0}).p);
    assert_string_equal(tg_arena_cstr(&a, TG_STR("xyz")), "xyz");
    assert_str(tg_arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    char longer[1000];
    memset(longer, 'q', sizeof(longer));
    longer[999] = 0;
    s = tg_arena_printf(&a, "%s!", longer);
    assert_int_equal(s.n, 1000);
    assert_int_equal(s.p[999], '!');
    assert_int_equal(s.p[1000], 0);
    for (size_t n = 254; n < 258; n++) { /* around the stack buffer's size */
        s = tg_arena_printf(&a, "%.*s", (int)n, longer);
        assert_int_equal(s.n, n);
        assert_int_equal(s.p[n - 1], 'q');
    }
    tg_arena_fini(&a);
    tg_arena_init(&a, 64, 100);
    assert_null(tg_arena_printf(&a, "%s", longer).p);
    assert_null(tg_arena_dup(&a, tg_str_c(longer)).p);
    assert_true(a.overflow);
    tg_arena_fini(&a);
}

static void grows_in_place_or_moves(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 4096, 1 << 20);
    char *p = tg_arena_grow(&a, NULL, 0, 10);
    memcpy(p, "0123456789", 10);
    assert_ptr_equal(tg_arena_grow(&a, p, 10, 100), p);
    assert_ptr_equal(tg_arena_grow(&a, p, 100, 50), p); /* never shrinks */
    assert_non_null(tg_arena_alloc(&a, 8));
    char *q = tg_arena_grow(&a, p, 100, 200);
    assert_true(q != p);
    assert_memory_equal(q, "0123456789", 10);
    char *r = tg_arena_grow(&a, q, 200, 9000); /* beyond the chunk */
    assert_memory_equal(r, "0123456789", 10);
    assert_null(tg_arena_grow(&a, r, 9000, SIZE_MAX));
    assert_null(tg_arena_grow(&a, r, 9000, 2 << 20));
    tg_arena_fini(&a);
}

static void trims_the_newest(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 4096, 1 << 20);
    char *p = tg_arena_alloc(&a, 1000);
    size_t used = a.used_bytes;
    tg_arena_trim(&a, p, 1000, 100);
    assert_true(a.used_bytes <= used - 896);
    char *q = tg_arena_alloc(&a, 8);
    assert_ptr_equal(q, p + 104);
    tg_arena_trim(&a, p, 100, 8); /* not the newest any more */
    assert_ptr_equal(tg_arena_alloc(&a, 8), q + 8);
    tg_arena_fini(&a);
}

static void poisons_what_is_not_handed_out(void **state)
{
#ifdef TG_ASAN
    struct tg_arena a;
    tg_arena_init(&a, 4096, 1 << 20);
    char *p = tg_arena_alloc(&a, 13);
    assert_false(__asan_address_is_poisoned(p + 12));
    assert_true(__asan_address_is_poisoned(p + 13));
    char *q = tg_arena_grow(&a, p, 13, 20);
    assert_false(__asan_address_is_poisoned(q + 19));
    assert_true(__asan_address_is_poisoned(q + 20));
    tg_arena_trim(&a, q, 20, 8);
    assert_true(__asan_address_is_poisoned(q + 8));
    tg_arena_reset(&a);
    assert_true(__asan_address_is_poisoned(p));
    tg_arena_fini(&a);
#else
    skip_because("not built with AddressSanitizer");
#endif
}

static void survives_any_failed_allocation(void **state)
{
    for (uint64_t at = 1; at < 8; at++) {
        struct tg_arena a;
        tg_arena_init(&a, 64, 1 << 20);
        tg_alloc_fail_at(at, 0);
        bool failed = false;
        for (int i = 0; i < 200; i++)
            failed |= !tg_arena_alloc(&a, 100);
        tg_alloc_fail_at(0, 0);
        assert_int_equal(failed, a.overflow);
        assert_true(failed);
        tg_arena_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates_aligned_and_apart),
        cmocka_unit_test(zeroes_when_asked),
        cmocka_unit_test(the_cap_holds_and_overflow_sticks),
        cmocka_unit_test(takes_the_last_bytes_under_the_cap),
        cmocka_unit_test(reset_keeps_one_chunk),
        cmocka_unit_test(a_big_piece_leaves_the_newest_chunk_in_use),
        cmocka_unit_test(strings),
        cmocka_unit_test(grows_in_place_or_moves),
        cmocka_unit_test(trims_the_newest),
        cmocka_unit_test(poisons_what_is_not_handed_out),
        cmocka_unit_test(survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
