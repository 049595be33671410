#include "chat/call_id.h"

#include "base/buf.h"

#include "check.h"

static struct tg_arena arena;

static int setup(void **state)
{
    tg_arena_init(&arena, 1024, 16u << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static void a_signature_comes_back(void **state)
{
    struct tg_str joined, id, sig;
    assert_int_equal(tg_call_id_join(&arena, TG_STR("call_1"), TG_STR("AbC+/==\x01\xff"), &joined),
                     0);
    for (size_t i = 0; i < joined.n; i++)
        assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
                               joined.p[i]));
    assert_int_equal(tg_call_id_split(&arena, joined, &id, &sig), 0);
    assert_str(id, "call_1");
    assert_str(sig, "AbC+/==\x01\xff");
}

static void an_empty_id_may_carry_one(void **state)
{
    struct tg_str joined, id, sig;
    assert_int_equal(tg_call_id_join(&arena, TG_STR(""), TG_STR("s"), &joined), 0);
    assert_int_equal(tg_call_id_split(&arena, joined, &id, &sig), 0);
    assert_int_equal(id.n, 0);
    assert_str(sig, "s");
}

static void without_one_ids_stay(void **state)
{
    static const char *const ids[] = {"",          "call_1",        "__tgs_", "a__tgs_",
                                      "a__tgs_!",  "a__tgs_A",      "__tgs",  "a__tgs_Zg=Zg",
                                      "toolu_01A", "a__tgs_Zm9v\"x"};
    struct tg_str id, sig;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(tg_call_id_split(&arena, tg_str_c(ids[i]), &id, &sig), 0);
        assert_str_equal(id, tg_str_c(ids[i]));
        assert_int_equal(sig.n, 0);
    }
    assert_int_equal(tg_call_id_join(&arena, TG_STR("x"), TG_STR(""), &id), 0);
    assert_str(id, "x");
}

static void the_last_mark_counts(void **state)
{
    struct tg_str inner, outer, id, sig;
    assert_int_equal(tg_call_id_join(&arena, TG_STR("a"), TG_STR("one"), &inner), 0);
    assert_int_equal(tg_call_id_join(&arena, inner, TG_STR("two"), &outer), 0);
    assert_int_equal(tg_call_id_split(&arena, outer, &id, &sig), 0);
    assert_int_equal(tg_str_eq(id, inner), 1);
    assert_str(sig, "two");
}

static void a_huge_signature_is_left_out(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 4u << 20);
    for (size_t i = 0; i <= TG_CALL_ID_MAX_SIGNATURE; i++)
        tg_buf_char(&b, 'x');
    struct tg_str joined;
    assert_int_equal(tg_call_id_join(&arena, TG_STR("a"), tg_buf_str(&b), &joined), 0);
    assert_str(joined, "a");
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_signature_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_id_may_carry_one, setup, teardown),
        cmocka_unit_test_setup_teardown(without_one_ids_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_mark_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_huge_signature_is_left_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
