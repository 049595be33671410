#include "chat/fidelity.h"

#include "check.h"

static struct tg_buf b;

static int setup(void **state)
{
    tg_buf_init(&b, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    tg_buf_fini(&b);
    return 0;
}

static struct tg_chat_req plain(void)
{
    return (struct tg_chat_req){
        .tool_choice.parallel = -1,
        .format.strict = -1,
        .reasoning = {.budget_tokens = -1, .show = -1},
        .inputs = {.dimensions = -1, .top_n = -1},
    };
}

static void nothing_asked_is_nothing_used(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_part p = {.kind = TG_PART_TEXT, .text = TG_STR("hi")};
    struct tg_message m = {.role = TG_ROLE_USER, .parts = &p, .n_parts = 1};
    r.messages = &m;
    r.n_messages = 1;
    assert_int_equal(tg_features_of(&r), 0);
}

static void what_is_used_is_found(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_part inner = {.kind = TG_PART_IMAGE, .media.source = TG_MEDIA_URL};
    struct tg_part parts[] = {
        {.kind = TG_PART_REASONING, .opaque = TG_OPAQUE_SIGNED, .signature = TG_STR("s")},
        {.kind = TG_PART_TOOL_CALL, .opaque = TG_OPAQUE_THOUGHT, .signature = TG_STR("s")},
        {.kind = TG_PART_TOOL_RESULT, .parts = &inner, .n_parts = 1, .is_error = true},
        {.kind = TG_PART_TEXT, .cache_hint = TG_STR("{}")},
        {.kind = TG_PART_IMAGE, .media = {.detail = TG_STR("low")}},
    };
    struct tg_message m = {.role = TG_ROLE_DEVELOPER, .parts = parts, .n_parts = 5};
    struct tg_tool tools[] = {{.is_function = true, .strict = 1}, {.strict = -1}};
    r.messages = &m;
    r.n_messages = 1;
    r.tools = tools;
    r.n_tools = 2;
    r.tool_choice.kind = TG_TOOL_CHOICE_NAMED;
    r.sampling.has = TG_HAS_TOP_K | TG_HAS_N | TG_HAS_SEED;
    r.sampling.n = 1; /* one choice is what everyone gives */
    r.extra.members = TG_STR("\"x\":1");
    uint64_t want = TG_FEATURE_BIT(SIGNED) | TG_FEATURE_BIT(THOUGHT) |
                    TG_FEATURE_BIT(RESULT_MEDIA) | TG_FEATURE_BIT(IMAGE_URL) |
                    TG_FEATURE_BIT(RESULT_ERROR) | TG_FEATURE_BIT(CACHE_HINT) |
                    TG_FEATURE_BIT(IMAGE) | TG_FEATURE_BIT(IMAGE_DETAIL) |
                    TG_FEATURE_BIT(DEVELOPER) | TG_FEATURE_BIT(TOOLS) | TG_FEATURE_BIT(TOOL_TYPES) |
                    TG_FEATURE_BIT(TOOL_STRICT) | TG_FEATURE_BIT(TOOL_NAMED) |
                    TG_FEATURE_BIT(TOP_K) | TG_FEATURE_BIT(SEED) | TG_FEATURE_BIT(EXTRA);
    assert_int_equal(tg_features_of(&r), want);
}

static void fates_are_picked(void **state)
{
    uint8_t row[TG_FEATURE_COUNT] = {0};
    row[TG_FEATURE_SEED] = TG_DROPPED;
    row[TG_FEATURE_TOP_K] = TG_NATIVE;
    uint64_t used = TG_FEATURE_BIT(SEED) | TG_FEATURE_BIT(TOP_K);
    assert_int_equal(tg_features_with(used, row, TG_DROPPED), TG_FEATURE_BIT(SEED));
    assert_int_equal(tg_features_with(used, row, TG_REFUSED), 0);
}

static void the_header_names_them(void **state)
{
    struct tg_chat_req r = plain();
    r.extra.members = TG_STR("\"foo\":1,\"b\\u0061r\":{\"x\":2},\"not a word\":3");
    tg_fidelity_write(TG_FEATURE_BIT(TOP_K) | TG_FEATURE_BIT(EXTRA), TG_FEATURE_BIT(JSON_SCHEMA),
                      &r, &b);
    assert_str(tg_buf_str(&b),
               "dropped=top_k,extra.foo,extra.bar; emulated=response_format:json_schema");
    tg_buf_clear(&b);
    r.extra.members = TG_STR("\"\\r\\nx: y\":1");
    tg_fidelity_write(TG_FEATURE_BIT(EXTRA), 0, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=extra");
    tg_buf_clear(&b);
    tg_fidelity_write(0, 0, &r, &b);
    assert_int_equal(b.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_asked_is_nothing_used, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_used_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(fates_are_picked, setup, teardown),
        cmocka_unit_test_setup_teardown(the_header_names_them, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
