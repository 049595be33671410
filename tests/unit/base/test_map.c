#include "check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

static void puts_gets_deletes(void **state)
{
    struct tg_map m;
    int one, two;
    tg_map_init(&m, 100);
    assert_null(tg_map_get(&m, TG_STR("a")));
    assert_null(tg_map_del(&m, TG_STR("a")));
    assert_int_equal(tg_map_put(&m, TG_STR("a"), &one), 0);
    assert_int_equal(tg_map_put(&m, TG_STR(""), &two), 0);
    assert_ptr_equal(tg_map_get(&m, TG_STR("a")), &one);
    assert_ptr_equal(tg_map_get(&m, (struct tg_str){NULL, 0}), &two);
    assert_null(tg_map_get(&m, TG_STR("A")));
    assert_int_equal(tg_map_put(&m, TG_STR("a"), &two), 0);
    assert_ptr_equal(tg_map_get(&m, TG_STR("a")), &two);
    assert_int_equal(m.count, 2);
    assert_ptr_equal(tg_map_del(&m, TG_STR("a")), &two);
    assert_null(tg_map_get(&m, TG_STR("a")));
    assert_int_equal(m.count, 1);
    tg_map_fini(&m);
    assert_null(tg_map_get(&m, TG_STR("")));
}

static void a_replaced_entry_takes_the_new_key(void **state)
{
    struct tg_map m;
    char first[] = "key", second[] = "key";
    int v;
    tg_map_init(&m, 10);
    assert_int_equal(tg_map_put(&m, tg_str_c(first), &v), 0);
    assert_int_equal(tg_map_put(&m, tg_str_c(second), &v), 0);
    memset(first, 'z', 3); /* the first key's owner is gone */
    assert_ptr_equal(tg_map_get(&m, TG_STR("key")), &v);
    tg_map_fini(&m);
}

enum { KEYS = 500 };
static char keys[KEYS][16];
static int values[KEYS];

/* Random puts and deletes against a plain array. */
static void agrees_with_a_simple_model(void **state)
{
    struct tg_map m;
    bool there[KEYS] = {false};
    unsigned seed = 7;
    size_t count = 0;
    tg_map_init(&m, KEYS);
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof(keys[i]), "key-%d", i);
    for (int step = 0; step < 50000; step++) {
        seed = seed * 1103515245 + 12345;
        int i = (int)(seed / 65536 % KEYS);
        struct tg_str k = tg_str_c(keys[i]);
        assert_ptr_equal(tg_map_get(&m, k), there[i] ? &values[i] : NULL);
        if (seed & 0x8000) {
            assert_int_equal(tg_map_put(&m, k, &values[i]), 0);
            count += !there[i];
            there[i] = true;
        } else {
            assert_ptr_equal(tg_map_del(&m, k), there[i] ? &values[i] : NULL);
            count -= there[i];
            there[i] = false;
        }
        assert_int_equal(m.count, count);
    }
    size_t pos = 0, seen = 0;
    struct tg_str k;
    void *v;
    while (tg_map_next(&m, &pos, &k, &v)) {
        int i = (int)((int *)v - values);
        assert_true(there[i]);
        assert_str_equal(k, tg_str_c(keys[i]));
        seen++;
    }
    assert_int_equal(seen, count);
    tg_map_fini(&m);
}

static void holds_its_maximum(void **state)
{
    struct tg_map m;
    int v;
    tg_map_init(&m, 2);
    assert_int_equal(tg_map_put(&m, TG_STR("a"), &v), 0);
    assert_int_equal(tg_map_put(&m, TG_STR("b"), &v), 0);
    assert_int_equal(tg_map_put(&m, TG_STR("c"), &v), TG_E_FULL);
    assert_int_equal(tg_map_put(&m, TG_STR("a"), &v), 0); /* replacing is no growth */
    assert_non_null(tg_map_del(&m, TG_STR("b")));
    assert_int_equal(tg_map_put(&m, TG_STR("c"), &v), 0);
    tg_map_fini(&m);
}

static void memory_failure_changes_nothing(void **state)
{
    struct tg_map m;
    tg_map_init(&m, KEYS);
    for (int i = 0; i < KEYS; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        tg_alloc_fail_at(1, 0);
        int rc = tg_map_put(&m, tg_str_c(keys[i]), &values[i]);
        tg_alloc_fail_at(0, 0);
        if (rc) {
            assert_int_equal(rc, TG_E_NOMEM);
            assert_null(tg_map_get(&m, tg_str_c(keys[i])));
            assert_int_equal(tg_map_put(&m, tg_str_c(keys[i]), &values[i]), 0);
        }
    }
    for (int i = 0; i < KEYS; i++)
        assert_ptr_equal(tg_map_get(&m, tg_str_c(keys[i])), &values[i]);
    tg_map_fini(&m);
}

static void hash_sees_every_byte(void **state)
{
    char text[40] = {0};
    for (size_t n = 0; n <= sizeof(text); n++) {
        uint64_t h = tg_hash(tg_str_make(text, n));
        assert_true(h == tg_hash(tg_str_make(text, n)));
        for (size_t i = 0; i < n; i++) {
            text[i] = 1;
            assert_true(h != tg_hash(tg_str_make(text, n)));
            text[i] = 0;
        }
        if (n)
            assert_true(h != tg_hash(tg_str_make(text, n - 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_gets_deletes),
        cmocka_unit_test(a_replaced_entry_takes_the_new_key),
        cmocka_unit_test(agrees_with_a_simple_model),
        cmocka_unit_test(holds_its_maximum),
        cmocka_unit_test(memory_failure_changes_nothing),
        cmocka_unit_test(hash_sees_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
