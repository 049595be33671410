#include "check.h"

static void compares(void **state)
{
    assert_true(tg_str_eq(TG_STR(""), (struct tg_str){NULL, 0}));
    assert_false(tg_str_eq(TG_STR("a"), TG_STR("b")));
    assert_true(tg_str_ieq(TG_STR("Content-TYPE"), TG_STR("content-type")));
    assert_false(tg_str_ieq(TG_STR("abc"), TG_STR("abcd")));
    /* Only ASCII letters fold: '[' is '{' - 32, '@' is '`' - 32. */
    assert_false(tg_str_ieq(TG_STR("["), TG_STR("{")));
    assert_false(tg_str_ieq(TG_STR("@"), TG_STR("`")));
    assert_false(tg_str_ieq(TG_STR("\xC4"), TG_STR("\xE4")));
    assert_true(tg_str_cmp(TG_STR("a"), TG_STR("b")) < 0);
    assert_true(tg_str_cmp(TG_STR("ab"), TG_STR("a")) > 0);
    assert_true(tg_str_cmp(TG_STR("\xFF"), TG_STR("a")) > 0);
    assert_int_equal(tg_str_cmp((struct tg_str){NULL, 0}, TG_STR("")), 0);
}

static void prefixes_and_suffixes(void **state)
{
    assert_true(tg_str_starts(TG_STR("abc"), TG_STR("ab")));
    assert_true(tg_str_starts(TG_STR("abc"), (struct tg_str){NULL, 0}));
    assert_false(tg_str_starts(TG_STR("a"), TG_STR("ab")));
    assert_true(tg_str_istarts(TG_STR("Bearer x"), TG_STR("bearer ")));
    assert_false(tg_str_istarts(TG_STR("Bear"), TG_STR("bearer ")));
    assert_true(tg_str_ends(TG_STR("a.gguf"), TG_STR(".gguf")));
    assert_false(tg_str_ends(TG_STR("gguf"), TG_STR(".gguf")));
    assert_true(tg_str_ends((struct tg_str){NULL, 0}, (struct tg_str){NULL, 0}));
}

static void finds(void **state)
{
    assert_int_equal(tg_str_chr(TG_STR("a:b"), ':'), 1);
    assert_int_equal(tg_str_chr(TG_STR("ab"), ':'), -1);
    assert_int_equal(tg_str_chr((struct tg_str){NULL, 0}, 0), -1);
    assert_int_equal(tg_str_chr(TG_STR("a\0b"), 'b'), 2);
    assert_int_equal(tg_str_find(TG_STR("abab\0x"), TG_STR("b\0")), 3);
    assert_int_equal(tg_str_find(TG_STR("ab"), TG_STR("abc")), -1);
    assert_int_equal(tg_str_find(TG_STR("ab"), TG_STR("")), 0);
    assert_int_equal(tg_str_find((struct tg_str){NULL, 0}, TG_STR("a")), -1);
}

static void cuts(void **state)
{
    assert_str(tg_str_from(TG_STR("abc"), 1), "bc");
    assert_str(tg_str_from(TG_STR("abc"), 3), "");
    assert_str(tg_str_from(TG_STR("abc"), SIZE_MAX), "");
    assert_int_equal(tg_str_from((struct tg_str){NULL, 0}, 5).n, 0);
    assert_str(tg_str_first(TG_STR("abc"), 2), "ab");
    assert_str(tg_str_first(TG_STR("abc"), SIZE_MAX), "abc");
    assert_str(tg_str_trim(TG_STR(" \t\r\n a b \n")), "a b");
    assert_str(tg_str_trim(TG_STR(" \t ")), "");
    assert_str(tg_str_trim(TG_STR("\va")), "\va");
}

static void splits(void **state)
{
    struct tg_str rest = TG_STR("a,,b,"), part;
    assert_true(tg_str_split(&rest, ',', &part));
    assert_str(part, "a");
    assert_true(tg_str_split(&rest, ',', &part));
    assert_str(part, "");
    assert_true(tg_str_split(&rest, ',', &part));
    assert_str(part, "b");
    assert_true(tg_str_split(&rest, ',', &part)); /* behind the last comma */
    assert_str(part, "");
    assert_false(tg_str_split(&rest, ',', &part));
    rest = TG_STR("");
    assert_true(tg_str_split(&rest, ',', &part));
    assert_false(tg_str_split(&rest, ',', &part));
    rest = (struct tg_str){NULL, 0};
    assert_false(tg_str_split(&rest, ',', &part));
}

static void copies_to_c(void **state)
{
    char out[4] = "zzz";
    assert_int_equal(tg_str_to_c(TG_STR("abcdef"), out, sizeof(out)), 3);
    assert_string_equal(out, "abc");
    assert_int_equal(tg_str_to_c((struct tg_str){NULL, 0}, out, sizeof(out)), 0);
    assert_string_equal(out, "");
    out[0] = 'q';
    assert_int_equal(tg_str_to_c(TG_STR("a"), out, 0), 0);
    assert_int_equal(out[0], 'q');
}

static void distances(void **state)
{
    assert_int_equal(tg_str_distance(TG_STR("kitten"), TG_STR("sitting"), 10), 3);
    assert_int_equal(tg_str_distance(TG_STR("same"), TG_STR("same"), 10), 0);
    assert_int_equal(tg_str_distance(TG_STR(""), TG_STR("abc"), 10), 3);
    assert_int_equal(tg_str_distance(TG_STR("abc"), TG_STR(""), 10), 3);
    assert_int_equal(tg_str_distance(TG_STR("abcdef"), TG_STR("uvwxyz"), 4), 4);
    char text[65];
    memset(text, 'a', sizeof(text));
    assert_int_equal(tg_str_distance(tg_str_make(text, 64), tg_str_make(text, 64), 9), 0);
    assert_int_equal(tg_str_distance(tg_str_make(text, 65), tg_str_make(text, 65), 9), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),  cmocka_unit_test(prefixes_and_suffixes),
        cmocka_unit_test(finds),     cmocka_unit_test(cuts),
        cmocka_unit_test(splits),    cmocka_unit_test(copies_to_c),
        cmocka_unit_test(distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
