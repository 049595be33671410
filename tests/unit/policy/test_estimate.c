#include "policy/estimate.h"

#include "check.h"

static void texts(void **state)
{
    assert_int_equal(tg_estimate_text(TG_STR("")), 0);
    assert_int_equal(tg_estimate_text(TG_STR("a")), 1);
    assert_int_equal(tg_estimate_text(TG_STR("12345678")), 2);
    assert_int_equal(tg_estimate_text(TG_STR("123456789")), 3);
    assert_int_equal(tg_estimate_text(TG_STR("\xe4\xbd\xa0\xe5\xa5\xbd")), 2);
    assert_int_equal(tg_estimate_text(TG_STR("a\xe4\xbd\xa0")), 2);
    assert_int_equal(tg_estimate_text(TG_STR("\x80\x80")), 0); /* halves of nothing */
}

static void requests(void **state)
{
    struct tg_part inner = {.kind = TG_PART_TEXT, .text = TG_STR("1234")};
    struct tg_part parts[] = {
        {.kind = TG_PART_TEXT, .text = TG_STR("1234")},
        {.kind = TG_PART_IMAGE},
        {.kind = TG_PART_TOOL_CALL, .tool_name = TG_STR("1234"), .arguments = TG_STR("{}")},
        {.kind = TG_PART_TOOL_RESULT, .parts = &inner, .n_parts = 1},
    };
    struct tg_message m = {.role = TG_ROLE_USER, .parts = parts, .n_parts = 4};
    struct tg_tool tool = {.is_function = true, .name = TG_STR("f"), .parameters = TG_STR("{}")};
    struct tg_chat_req r = {.messages = &m, .n_messages = 1};
    assert_int_equal(tg_estimate_prompt(&r), 4 + 1 + 1000 + 2 + 1);
    r.tools = &tool;
    r.n_tools = 1;
    assert_int_equal(tg_estimate_prompt(&r), 4 + 1 + 1000 + 2 + 1 + 4 + 1 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts), cmocka_unit_test(requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
