#include "core/affinity.h"

#include "base/num.h"
#include "check.h"

static struct tg_affinity *t;

static int setup(void **state)
{
    return tg_affinity_new(&t);
}

static int teardown(void **state)
{
    tg_affinity_free(t);
    return 0;
}

static void state_goes_back_to_its_maker(void **state)
{
    uint32_t a = tg_affinity_origin(TG_STR("claude-a")), b = tg_affinity_origin(TG_STR("claude-b"));
    assert_true(tg_affinity_is_empty(t));
    assert_int_equal(tg_affinity_find(t, TG_STR("sig")), 0);
    tg_affinity_note(t, TG_STR("sig"), a);
    assert_false(tg_affinity_is_empty(t));
    assert_int_equal(tg_affinity_find(t, TG_STR("sig")), a);
    assert_int_equal(tg_affinity_find(t, TG_STR("sig2")), 0);
    tg_affinity_note(t, TG_STR("sig"), b);
    assert_int_equal(tg_affinity_find(t, TG_STR("sig")), b);
}

/* A full table forgets some, but never says what is wrong. */
static void it_forgets_but_does_not_lie(void **state)
{
    char text[24];
    size_t known = 0, n = 200000;
    for (size_t i = 0; i < n; i++)
        tg_affinity_note(t, tg_str_make(text, tg_fmt_u64(text, i)), (uint32_t)(i % 1000 + 1));
    for (size_t i = 0; i < n; i++) {
        uint32_t o = tg_affinity_find(t, tg_str_make(text, tg_fmt_u64(text, i)));
        assert_true(o == 0 || o == i % 1000 + 1);
        known += o != 0;
    }
    assert_true(known > 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(state_goes_back_to_its_maker, setup, teardown),
        cmocka_unit_test_setup_teardown(it_forgets_but_does_not_lie, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
