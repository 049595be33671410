/* Names as Google's JSON parsers take them. */
#include "check.h"

#include "json/proto.h"

static void both_spellings(void **state)
{
    static const struct {
        const char *name, *camel;
        bool is;
    } cases[] = {
        {"inlineData", "inlineData", true},
        {"inline_data", "inlineData", true},
        {"functionCallingConfig", "functionCallingConfig", true},
        {"function_calling_config", "functionCallingConfig", true},
        {"function_callingConfig", "functionCallingConfig", false},
        {"text", "text", true},
        {"Text", "text", false},
        {"inlineDat", "inlineData", false},
        {"inline_dat", "inlineData", false},
        {"inline_datas", "inlineData", false},
        {"inline__data", "inlineData", false},
        {"inline_Data", "inlineData", false},
        {"topP", "topP", true},
        {"top_p", "topP", true},
        {"top_", "topP", false},
        {"", "text", false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_int_equal(tg_json_proto_is(tg_str_c(cases[i].name), tg_str_c(cases[i].camel)),
                         cases[i].is);
}

static void members(void **state)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    tg_arena_init(&a, 1024, 1 << 20);
    assert_int_equal(tg_json_parse(&a, TG_STR("{\"x\":1,\"mime_type\":\"a\",\"mimeType\":\"b\"}"),
                                   NULL, &doc, NULL),
                     0);
    assert_str(tg_json_proto_str(tg_json_root(doc), TG_STR("mimeType")), "a");
    assert_null(tg_json_proto_str(tg_json_root(doc), TG_STR("x")).p);
    assert_null(tg_json_proto_get(tg_json_root(doc), TG_STR("y")));
    assert_null(tg_json_proto_get(NULL, TG_STR("y")));
    tg_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_spellings), cmocka_unit_test(members)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
