#include "chat/fidelity.h"

#include "base/err.h"
#include "base/fail.h"
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

/* What asks for the way things are anyway loses nothing, and a function's name is no speaker's. */
static void what_changes_nothing_is_idle(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_tool tool = {.is_function = true, .strict = -1};
    struct tg_message m = {.role = TG_ROLE_TOOL, .name = TG_STR("f")};
    r.messages = &m;
    r.n_messages = 1;
    assert_int_equal(tg_features_of(&r), 0);
    m.role = TG_ROLE_USER;
    assert_int_equal(tg_features_of(&r), TG_FEATURE_BIT(NAME));
    r.tool_choice.parallel = 0;
    assert_int_equal(tg_features_idle(&r), TG_FEATURE_BIT(PARALLEL)); /* no tools */
    r.tools = &tool;
    r.n_tools = 1;
    assert_int_equal(tg_features_idle(&r), 0);
    r.tool_choice.parallel = 1;
    assert_int_equal(tg_features_idle(&r), TG_FEATURE_BIT(PARALLEL));
    assert_true(tg_features_of(&r) & TG_FEATURE_BIT(PARALLEL)); /* a provider may refuse it still */
}

static void what_is_dropped_is_not_emulated(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_losses l = {.dropped = TG_FEATURE_BIT(SEED),
                          .emulated = TG_FEATURE_BIT(SEED) | TG_FEATURE_BIT(TOP_K)};
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=seed; emulated=top_k");
    tg_buf_clear(&b);
    l.emulated = TG_FEATURE_BIT(SEED);
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=seed");
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

static const char *const own_names[TG_FEATURE_COUNT] = {
    [TG_FEATURE_TOP_K] = "generationConfig.topK",
    [TG_FEATURE_MAX_TOKENS] = "max_completion_tokens max_tokens",
    [TG_FEATURE_BUDGET] = "thinking.budget_tokens thinking",
    [TG_FEATURE_EFFORT] = "think",
    [TG_FEATURE_SHOW] = "think",
};

static void the_header_names_them(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_losses l = {.dropped = TG_FEATURE_BIT(TOP_K) | TG_FEATURE_BIT(EXTRA),
                          .emulated = TG_FEATURE_BIT(JSON_SCHEMA)};
    r.extra.members = TG_STR("\"foo\":1,\"b\\u0061r\":{\"x\":2},\"not a word\":3");
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=top_k,foo,bar; emulated=response_format:json_schema");
    tg_buf_clear(&b);
    r.extra.members = TG_STR("\"\\r\\nx: y\":1");
    l = (struct tg_losses){.dropped = TG_FEATURE_BIT(EXTRA)};
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=extra");
    tg_buf_clear(&b);
    l = (struct tg_losses){0};
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_int_equal(b.n, 0);
    l = (struct tg_losses){.left_out = TG_STR("web_search,x"), .emulated = TG_FEATURE_BIT(SEED)};
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=web_search,x; emulated=seed");
}

/* Members that are lost inside of tools and documents are named by their path, each once. */
static void what_is_inside_is_named(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_tool tools[] = {
        {.is_function = true, .strict = -1, .extra.members = TG_STR("\"defer_loading\":true")},
        {.is_function = true,
         .strict = -1,
         .cache_hint = TG_STR("{\"type\":\"ephemeral\"}"),
         .extra.members =
             TG_STR("\"defer_loading\":true,\"function\":{\"x\":1,\"a b\":2},\"not a word\":3")},
    };
    struct tg_part inner = {.kind = TG_PART_DOCUMENT, .extra.members = TG_STR("\"context\":\"c\"")};
    struct tg_part parts[] = {
        {.kind = TG_PART_DOCUMENT, .extra.members = TG_STR("\"citations\":{\"enabled\":true}")},
        {.kind = TG_PART_TOOL_RESULT, .parts = &inner, .n_parts = 1},
        {.kind = TG_PART_REASONING, .extra.members = TG_STR("\"reasoning\":\"the dialect's own\"")},
    };
    struct tg_message m = {.role = TG_ROLE_USER, .parts = &parts[2], .n_parts = 1};
    struct tg_losses l = {.dropped = TG_FEATURE_BIT(CACHE_HINT) | TG_FEATURE_BIT(EXTRA)};
    r.messages = &m;
    r.n_messages = 1;
    assert_false(tg_features_of(&r) & TG_FEATURE_BIT(EXTRA));
    m.parts = &parts[1];
    assert_true(tg_features_of(&r) & TG_FEATURE_BIT(EXTRA));
    m.parts = parts;
    assert_true(tg_features_of(&r) & TG_FEATURE_BIT(EXTRA));
    assert_false(tg_features_of(&r) & TG_FEATURE_BIT(CACHE_HINT));
    m.n_parts = 3;
    r.tools = tools;
    r.n_tools = 1;
    assert_true(tg_features_of(&r) & TG_FEATURE_BIT(EXTRA));
    r.n_tools = 2;
    assert_true(tg_features_of(&r) & TG_FEATURE_BIT(CACHE_HINT));
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=tools[].cache_control,tools[].defer_loading,"
                               "tools[].function.x,document.citations,document.context");
    tg_buf_clear(&b);
    parts[0].cache_hint = TG_STR("{}");
    r.extra.members = TG_STR("\"cache_control\":{}"); /* the same name as a block's */
    tg_fidelity_write(&l, NULL, &r, &b);
    assert_str(tg_buf_str(&b), "dropped=cache_control,tools[].cache_control,tools[].defer_loading,"
                               "tools[].function.x,document.citations,document.context");
}

static void fields_are_the_clients_own(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_client_fields c = {.names = own_names};
    struct tg_losses l = {.dropped = TG_FEATURE_BIT(TOP_K) | TG_FEATURE_BIT(EXTRA),
                          .emulated = TG_FEATURE_BIT(EFFORT) | TG_FEATURE_BIT(SHOW)};
    /* what a known object holds that has no place; one field that says two things is named once */
    r.extra.members = TG_STR("\"generationConfig\":{\"topK\":1,\"mediaResolution\":2},\"a\":{}");
    tg_fidelity_write(&l, &c, &r, &b);
    assert_str(tg_buf_str(&b),
               "dropped=generationConfig.topK,generationConfig.mediaResolution,a; emulated=think");
    assert_str(tg_client_field(&c, TG_FEATURE_SEED), "seed");
    assert_str(tg_client_field(&c, TG_FEATURE_MAX_TOKENS), "max_completion_tokens");
    c.body = TG_STR("{\"a\":\"\\\"max_completion_tokens\\\"\",\"max_tokens\":1}");
    assert_str(tg_client_field(&c, TG_FEATURE_MAX_TOKENS), "max_tokens");
    c.body = TG_STR("{\"thinking\":{\"type\":\"adaptive\"}}");
    assert_str(tg_client_field(&c, TG_FEATURE_BUDGET), "thinking");
    c.body = TG_STR("budget_tokens\"");
    assert_str(tg_client_field(&c, TG_FEATURE_BUDGET), "thinking.budget_tokens");
}

static void strict_mode_names_the_first(void **state)
{
    struct tg_chat_req r = plain();
    struct tg_client_fields c = {.names = own_names};
    struct tg_losses l = {.dropped = TG_FEATURE_BIT(TOP_K) | TG_FEATURE_BIT(SEED)};
    struct tg_fail f;
    tg_fail_clear(&f);
    assert_int_equal(tg_fidelity_strict(&l, &c, &r, &f), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(f.param, "generationConfig.topK");
    assert_non_null(strstr(f.message, "dropped=generationConfig.topK,seed"));
    tg_fail_clear(&f);
    l = (struct tg_losses){.left_out = TG_STR("web_search")};
    assert_int_equal(tg_fidelity_strict(&l, &c, &r, &f), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(f.param, "web_search");
    l = (struct tg_losses){0};
    assert_int_equal(tg_fidelity_strict(&l, &c, &r, &f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_asked_is_nothing_used, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_used_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(what_changes_nothing_is_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_dropped_is_not_emulated, setup, teardown),
        cmocka_unit_test_setup_teardown(fates_are_picked, setup, teardown),
        cmocka_unit_test_setup_teardown(the_header_names_them, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_inside_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(fields_are_the_clients_own, setup, teardown),
        cmocka_unit_test_setup_teardown(strict_mode_names_the_first, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
