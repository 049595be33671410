#include "check.h"

#include "base/alloc.h"
#include "base/arena.h"
#include "chat/request.h"

static void roles_have_names_both_ways(void **state)
{
    static const char *const names[] = {"system", "developer", "user", "assistant", "tool"};
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        enum tg_role r;
        assert_true(tg_role_parse(tg_str_c(names[i]), &r));
        assert_int_equal(r, i);
        assert_string_equal(tg_role_name(r), names[i]);
    }
}

static void other_words_are_no_roles(void **state)
{
    static const char *const words[] = {"", "User", "users", "function", "use", "system "};
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        enum tg_role r = TG_ROLE_TOOL;
        assert_false(tg_role_parse(tg_str_c(words[i]), &r));
        assert_int_equal(r, TG_ROLE_TOOL);
    }
    enum tg_role r;
    assert_false(tg_role_parse((struct tg_str){NULL, 0}, &r));
}

static void texts_are_joined(void **state)
{
    struct tg_arena a;
    struct tg_str s;
    tg_arena_init(&a, 256, 4096);
    struct tg_part parts[3] = {{.kind = TG_PART_TEXT, .text = TG_STR("ab")},
                               {.kind = TG_PART_TEXT, .text = TG_STR("")},
                               {.kind = TG_PART_TEXT, .text = TG_STR("c\0d")}};
    struct tg_message m = {.parts = parts, .n_parts = 3};
    assert_true(tg_message_text(&a, &m, &s));
    assert_str(s, "abc\0d");
    m.n_parts = 1;
    assert_true(tg_message_text(&a, &m, &s));
    assert_ptr_equal(s.p, parts[0].text.p); /* not copied */
    m.n_parts = 0;
    assert_true(tg_message_text(&a, &m, &s));
    assert_int_equal(s.n, 0);
    parts[1].kind = TG_PART_IMAGE;
    m.n_parts = 3;
    assert_false(tg_message_text(&a, &m, &s));
    m.n_parts = 1;
    parts[0].kind = TG_PART_REASONING;
    assert_false(tg_message_text(&a, &m, &s));
    tg_arena_fini(&a);
}

static void no_memory_is_no_text(void **state)
{
    struct tg_arena a;
    struct tg_str s;
    tg_arena_init(&a, 64, 4096);
    struct tg_part parts[2] = {{.kind = TG_PART_TEXT, .text = TG_STR("a")},
                               {.kind = TG_PART_TEXT, .text = TG_STR("b")}};
    struct tg_message m = {.parts = parts, .n_parts = 2};
    tg_alloc_fail_at(1, 1);
    assert_false(tg_message_text(&a, &m, &s));
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_have_names_both_ways),
        cmocka_unit_test(other_words_are_no_roles),
        cmocka_unit_test(texts_are_joined),
        cmocka_unit_test(no_memory_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
