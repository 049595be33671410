/* What an operator's `drop` leaves out, of canonical requests and of clients' own bytes. */
#include "check.h"

#include "base/err.h"
#include "chat/drop.h"
#include "feature_use.h"

static struct tg_arena arena;
static struct tg_fail fail;
static struct feature_use u;
static struct tg_chat_req req, *out;
static struct tg_losses lost;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 16u << 20);
    tg_fail_clear(&fail);
    out = NULL;
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static int apply(const char *names)
{
    static struct tg_str list[16];
    struct tg_drop d = {.names = list};
    struct tg_str rest = tg_str_c(names), one;
    while (rest.n && tg_str_split(&rest, ' ', &one))
        list[d.n++] = one;
    return tg_drop_apply(&arena, &d, &req, &out, &lost, &fail);
}

/* A hint on a tool goes without the tool, and its own text, which has it, too. */
static void hints_on_tools(void **state)
{
    feature_use(&u, &req, TG_FEATURE_TOOLS);
    u.tool.cache_hint = TG_STR("{\"type\":\"ephemeral\"}");
    u.tool.raw = TG_STR("{\"name\":\"f\",\"cache_control\":{\"type\":\"ephemeral\"}}");
    assert_int_equal(apply("cache_control"), 1);
    assert_int_equal(lost.dropped, TG_FEATURE_BIT(CACHE_HINT));
    assert_int_equal(out->n_tools, 1);
    assert_int_equal(out->tools[0].cache_hint.n + out->tools[0].raw.n, 0);
    assert_true(u.tool.raw.n);
    assert_int_equal(apply("tools[].strict"), 0);
}

/* Each feature can be left out by its own name, and then it is gone, but what nothing is without.
 */
static void every_feature(void **state)
{
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        bool embeds = f == TG_FEATURE_DIMENSIONS || f == TG_FEATURE_BASE64 ||
                      f == TG_FEATURE_INPUT_TOKENS || f == TG_FEATURE_INPUT_TYPE;
        bool needed = f == TG_FEATURE_PROMPT || f == TG_FEATURE_COUNTING || f == TG_FEATURE_EXTRA;
        if (embeds)
            continue;
        feature_use(&u, &req, (enum tg_feature)f);
        const char *name = tg_feature_name((enum tg_feature)f);
        uint64_t bit = 1ull << f, before = tg_features_of(&req);
        assert_true(before & bit);
        int rc = apply(name);
        if (needed) {
            assert_int_equal(rc, 0);
            continue;
        }
        if (rc != 1 || tg_features_of(out) & bit)
            fail_msg("%s is still there (%d)", name, rc);
        assert_int_equal(tg_features_of(out) & ~before, 0);
        assert_true(f == TG_FEATURE_TOOL_TYPES ? lost.left_out.n > 0 : (lost.dropped & bit) != 0);
        assert_int_equal(tg_features_of(&req), before); /* the client's request stays as it is */
        assert_int_equal(apply("nothing_of_it"), 0);
    }
}

static void of_embeddings(void **state)
{
    struct tg_str raw = TG_STR("\"a\"");
    req = (struct tg_chat_req){
        .task = TG_TASK_EMBED,
        .tool_choice.parallel = -1,
        .reasoning = {.budget_tokens = -1, .show = -1},
        .inputs = {.raw = &raw, .n = 1, .dimensions = 3, .base64 = true, .purpose = TG_STR("q")}};
    assert_int_equal(apply("dimensions input_type encoding_format"), 1);
    assert_int_equal(tg_features_of(out), 0);
    assert_int_equal(lost.dropped, TG_FEATURE_BIT(DIMENSIONS) | TG_FEATURE_BIT(BASE64) |
                                       TG_FEATURE_BIT(INPUT_TYPE));
}

static struct tg_tool tools[3];

static void use_tools(void)
{
    feature_use(&u, &req, TG_FEATURE_COUNT);
    tools[0] =
        (struct tg_tool){.type = TG_STR("web_search_20250305"),
                         .strict = -1,
                         .raw = TG_STR("{\"type\":\"web_search_20250305\",\"name\":\"web\"}")};
    tools[1] = (struct tg_tool){.is_function = true, .name = TG_STR("f"), .strict = -1};
    tools[2] = (struct tg_tool){.type = TG_STR("image_generation"), .strict = -1};
    req.tools = tools;
    req.n_tools = 3;
}

static void tools_by_type(void **state)
{
    use_tools();
    req.tool_choice.kind = TG_TOOL_CHOICE_AUTO;
    assert_int_equal(apply("web_search"), 1);
    assert_int_equal(out->n_tools, 2);
    assert_str(out->tools[0].name, "f");
    assert_str(lost.left_out, "web_search_20250305");
    assert_int_equal(lost.dropped, 0);
    assert_int_equal(out->tool_choice.kind, TG_TOOL_CHOICE_AUTO);
    assert_int_equal(apply("tools[].type"), 1);
    assert_int_equal(out->n_tools, 1);
    assert_str(lost.left_out, "web_search_20250305,image_generation");
    assert_int_equal(apply("web"), 0); /* no part of a word */
    assert_int_equal(apply("web_search_2025"), 0);
    assert_int_equal(apply("tools tools[].type"), 1);
    assert_int_equal(out->n_tools, 0);
    assert_int_equal(out->tool_choice.kind, TG_TOOL_CHOICE_UNSET); /* of nothing */
}

static void hold_choice(const char *names, const char *tool, const char *field)
{
    tg_fail_clear(&fail);
    assert_int_equal(apply(names), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, field);
    assert_non_null(strstr(fail.message, tool));
}

static void a_choice_of_what_is_left_out_is_refused(void **state)
{
    use_tools();
    req.tool_choice = (struct tg_tool_choice){
        .kind = TG_TOOL_CHOICE_NAMED, .name = TG_STR("web"), .parallel = -1};
    hold_choice("web_search", "web_search_20250305", "tool_choice:named");
    assert_int_equal(apply("image_generation"), 1);
    req.tool_choice.name = TG_STR("f");
    hold_choice("tools", "f", "tool_choice:named");
    req.tool_choice.kind = TG_TOOL_CHOICE_RAW;
    req.tool_choice.raw = TG_STR("{\"type\":\"image_generation\"}");
    hold_choice("image_generation", "image_generation", "tool_choice:other");
    req.tool_choice.raw =
        TG_STR("{\"type\":\"allowed_tools\",\"tools\":[{\"type\":\"image_generation\"}]}");
    hold_choice("image_generation", "image_generation", "tool_choice:other");
    req.tool_choice.kind = TG_TOOL_CHOICE_REQUIRED;
    assert_int_equal(apply("image_generation"), 1);
    hold_choice("tools tools[].type", "image_generation", "tool_choice:required");
}

static void names_of_several(void **state)
{
    feature_use(&u, &req, TG_FEATURE_TOOL_NAMED);
    assert_int_equal(apply("tool_choice"), 1);
    assert_int_equal(out->tool_choice.kind, TG_TOOL_CHOICE_UNSET);
    feature_use(&u, &req, TG_FEATURE_IMAGE_URL);
    assert_int_equal(apply("image"), 1);
    assert_int_equal(out->n_messages, 0); /* it was all there was */
    feature_use(&u, &req, TG_FEATURE_EXTRA);
    req.extra.members = TG_STR("\"foo\":1, \"b\\u0061r\" : {\"x\":2},\"baz\":[3]");
    assert_int_equal(apply("bar seed"), 1);
    assert_str(out->extra.members, "\"foo\":1,\"baz\":[3]");
    assert_str(lost.left_out, "bar");
}

/* ---- clients' own bytes ---- */

static const char *const fields[TG_FEATURE_COUNT] = {
    [TG_FEATURE_TOP_K] = "generationConfig.topK",
    [TG_FEATURE_JSON_SCHEMA] = "text.format:json_schema",
};

static void hold_body(const char *names, const char *body, const char *want, const char *left_out)
{
    struct tg_str list[16];
    struct tg_drop d = {.names = list, .client = {fields, tg_str_c(body)}};
    struct tg_str rest = tg_str_c(names), one, got = TG_STR(""), said = TG_STR("");
    while (rest.n && tg_str_split(&rest, ' ', &one))
        list[d.n++] = one;
    int rc = tg_drop_body(&arena, &d, &req, &got, &said);
    assert_int_equal(rc, want != NULL);
    if (!want)
        return;
    assert_str_equal(got, tg_str_c(want));
    assert_str_equal(said, tg_str_c(left_out));
}

static void bodies(void **state)
{
    feature_use(&u, &req, TG_FEATURE_TOP_K);
    hold_body("user", "{\"model\":\"m\", \"user\":\"u\",\"x\": [1, 2],\"s\":1.50}",
              "{\"model\":\"m\",\"x\":[1, 2],\"s\":1.50}", "user");
    hold_body("seed", "{\"model\":\"m\"}", NULL, NULL);
    /* by the gateway's name, by the client's, and a path that is no feature at all */
    hold_body("top_k", "{\"generationConfig\":{\"topK\":1,\"x\":{\"topK\":2}}}",
              "{\"generationConfig\":{\"x\":{\"topK\":2}}}", "generationConfig.topK");
    hold_body("generationConfig.x", "{\"generationConfig\":{\"topK\":1,\"x\":{\"topK\":2}}}",
              "{\"generationConfig\":{\"topK\":1}}", "generationConfig.x");
    hold_body("user", "[1]", NULL, NULL);
    hold_body("user", "{\"user\"", NULL, NULL);
}

static void bodies_with_tools(void **state)
{
    feature_use(&u, &req, TG_FEATURE_COUNT);
    hold_body(
        "web_search",
        "{\"tools\":[{\"type\":\"web_search_preview\"},{\"type\":\"function\",\"name\":\"f\"}],"
        "\"tool_choice\":\"auto\"}",
        "{\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"tool_choice\":\"auto\"}",
        "web_search_preview");
    hold_body("web_search",
              "{\"tool_choice\":\"auto\",\"tools\":[{\"type\":\"web_search\"}],\"a\":1}",
              "{\"a\":1}", "web_search");
    hold_body("googleSearch", "{\"tools\":[{\"googleSearch\":{},\"codeExecution\":{}},{\"x\":1}]}",
              "{\"tools\":[{\"codeExecution\":{}},{\"x\":1}]}", "googleSearch");
    hold_body("googleSearch", "{\"tools\":[{\"googleSearch\":{}},{\"functionDeclarations\":[]}]}",
              "{\"tools\":[{\"functionDeclarations\":[]}]}", "googleSearch");
    hold_body("googleSearch", "{\"toolConfig\":{},\"tools\":[{\"googleSearch\":{}}]}", "{}",
              "googleSearch");
    feature_use(&u, &req, TG_FEATURE_TOOL_TYPES);
    hold_body("tools[].type", "{\"tools\":[{\"name\":\"f\"},{\"type\":\"x_1\",\"name\":\"x\"},7]}",
              "{\"tools\":[{\"name\":\"f\"},7]}", "x_1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_feature, setup, teardown),
        cmocka_unit_test_setup_teardown(hints_on_tools, setup, teardown),
        cmocka_unit_test_setup_teardown(of_embeddings, setup, teardown),
        cmocka_unit_test_setup_teardown(tools_by_type, setup, teardown),
        cmocka_unit_test_setup_teardown(a_choice_of_what_is_left_out_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(names_of_several, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(bodies_with_tools, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
