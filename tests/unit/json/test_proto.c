/* Names as Google's JSON parsers take them. */
#include "check.h"

#include "base/err.h"
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

static void lists_and_numbers(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        int64_t first; /* -1: none, or no number */
        double real;
    } cases[] = {
        {"[1,2]", 2, 1, 1},      {"[]", 0, -1, -1},
        {"null", 0, -1, -1},     {"7", 1, 7, 7},
        {"\"8\"", 1, 8, 8},      {"[\"9\"]", 1, 9, 9},
        {"\"1.5\"", 1, -1, 1.5}, {"{\"a\":1}", 1, -1, -1},
        {"\"\"", 1, -1, -1},     {"[\"3 \",1]", 2, -1, -1},
        {"true", 1, -1, -1},
    };
    struct tg_arena a;
    tg_arena_init(&a, 1024, 1 << 20);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_json_doc *doc;
        assert_int_equal(tg_json_parse(&a, tg_str_c(cases[i].text), NULL, &doc, NULL), 0);
        struct tg_json_iter it = tg_json_proto_list(tg_json_root(doc));
        size_t n = 0;
        int64_t first = -1;
        double real = -1;
        while (tg_json_next(&it)) {
            assert_int_equal(it.index, n);
            if (n++)
                continue;
            int rc = tg_json_proto_i64(it.value, &first);
            assert_true(rc == 0 || rc == TG_E_INVALID_ARG);
            rc = tg_json_proto_double(it.value, &real);
            assert_true(rc == 0 || rc == TG_E_INVALID_ARG);
        }
        assert_int_equal(n, cases[i].n);
        assert_int_equal(tg_json_proto_count(tg_json_root(doc)), n);
        assert_int_equal(first, cases[i].first);
        assert_true(real == cases[i].real);
    }
    assert_int_equal(tg_json_proto_count(NULL), 0);
    tg_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_spellings), cmocka_unit_test(members),
                                       cmocka_unit_test(lists_and_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
