/* Tools and output formats: what the model reads, and what it may write. */
#include "check.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "engine/tools_priv.h"
#include "gbnf.h"

static struct tg_tool weather = {
    .is_function = true,
    .type = TG_STR_INIT("function"),
    .name = TG_STR_INIT("get_weather"),
    .description = TG_STR_INIT("The \"weather\""),
    .parameters =
        TG_STR_INIT("{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},"
                    "\"required\":[\"city\"]}"),
    .strict = -1,
};

struct rig {
    struct tg_arena a;
    struct tg_tool tools[3];
    struct tg_message m[8];
    struct tg_part parts[8];
    struct tg_chat_req chat;
    struct tg_fail f;
};

static void begin(struct rig *r)
{
    memset(r, 0, sizeof *r);
    tg_arena_init(&r->a, 4096, 1 << 20);
    tg_fail_clear(&r->f);
    r->tools[0] = weather;
    r->tools[1] = weather;
    r->tools[1].name = TG_STR("now");
    r->tools[1].parameters = TG_STR("");
    r->chat = (struct tg_chat_req){.dialect = "test",
                                   .tools = r->tools,
                                   .n_tools = 2,
                                   .messages = r->m,
                                   .tool_choice.parallel = -1};
    for (int i = 0; i < 8; i++)
        r->m[i] = (struct tg_message){.role = TG_ROLE_USER, .parts = &r->parts[i], .n_parts = 1};
}

static struct gbnf grammar(struct rig *r)
{
    struct tg_str text;
    struct gbnf g;
    assert_int_equal(tg_tools_grammar(&r->a, &r->chat, false, NULL, &r->f, &text), 0);
    gbnf_parse(&g, text.p);
    return g;
}

static void allows(struct rig *r, const char *text, bool wanted)
{
    struct gbnf g = grammar(r);
    if (gbnf_matches(&g, text) != wanted)
        fail_msg("%s: %s", wanted ? "refused" : "allowed", text);
    gbnf_free(&g);
}

#define CALL(name, args) \
    "<tool_call>\n{\"name\": \"" name "\", \"arguments\": " args "}\n</tool_call>"
#define WEATHER CALL("get_weather", "{\"city\": \"Rome\"}")

static void a_choice_is_kept_to(void **state)
{
    struct rig r;
    begin(&r);
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_REQUIRED;
    allows(&r, WEATHER, true);
    allows(&r, CALL("now", "{}"), true);
    allows(&r, CALL("now", "{\"x\": [1]}"), true);
    allows(&r, WEATHER "\n" CALL("now", "{}"), true);
    allows(&r, CALL("get_weather", "{}"), false);
    allows(&r, CALL("other", "{}"), false);
    allows(&r, "text", false);
    allows(&r, "text " WEATHER, false);
    allows(&r, "", false);
    r.chat.tool_choice.parallel = 0;
    allows(&r, WEATHER, true);
    allows(&r, WEATHER "\n" WEATHER, false);
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_NAMED;
    r.chat.tool_choice.name = TG_STR("now");
    allows(&r, CALL("now", "{}"), true);
    allows(&r, WEATHER, false);
    tg_arena_fini(&r.a);
}

static void text_or_calls(void **state)
{
    struct rig r;
    begin(&r);
    allows(&r, "", true);
    allows(&r, "Any text, < and <tool and <tool_call and <<tool_calls>.", true);
    allows(&r, "Let me see.\n" WEATHER, true);
    allows(&r, "<" WEATHER, true);
    allows(&r, "<tool_cal" WEATHER "\n" WEATHER, true);
    allows(&r, WEATHER, true);
    allows(&r, WEATHER " and more", false);
    allows(&r, "<tool_call>", false);
    allows(&r, "a <tool_call> b", false);
    r.chat.format = (struct tg_output_format){
        .kind = TG_FORMAT_SCHEMA, .schema = TG_STR("{\"type\":\"integer\"}"), .strict = 1};
    allows(&r, "12", true);
    allows(&r, WEATHER, true);
    allows(&r, "text", false);
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_NONE;
    allows(&r, "12", true);
    allows(&r, WEATHER, false);
    r.chat.format.kind = TG_FORMAT_JSON;
    allows(&r, "{\"a\": 1}", true);
    allows(&r, "12", false);
    tg_arena_fini(&r.a);
}

static void nothing_asked_nothing_made(void **state)
{
    struct rig r;
    struct tg_str text;
    begin(&r);
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_NONE;
    assert_int_equal(tg_tools_grammar(&r.a, &r.chat, false, NULL, &r.f, &text), 0);
    assert_int_equal(text.n, 0);
    r.chat.n_tools = 0;
    r.chat.format.kind = TG_FORMAT_TEXT;
    assert_int_equal(tg_tools_grammar(&r.a, &r.chat, false, NULL, &r.f, &text), 0);
    assert_int_equal(text.n, 0);
    tg_arena_fini(&r.a);
}

static void refuses(struct rig *r, int err, const char *param)
{
    struct tg_str text;
    tg_fail_clear(&r->f);
    assert_int_equal(tg_tools_grammar(&r->a, &r->chat, false, NULL, &r->f, &text), err);
    assert_string_equal(r->f.param, param);
}

static void what_cant_be_held_is_refused_by_name(void **state)
{
    struct rig r;
    begin(&r);
    r.tools[1].is_function = false;
    refuses(&r, TG_E_UNSUPPORTED_PARAMETER, "tools[1]");
    r.tools[1].is_function = true;
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_NAMED;
    r.chat.tool_choice.name = TG_STR("nobody");
    refuses(&r, TG_E_INVALID_VALUE, "tool_choice");
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_RAW;
    refuses(&r, TG_E_UNSUPPORTED_PARAMETER, "tool_choice");
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_AUTO;
    r.tools[1].name = TG_STR("a\"b");
    refuses(&r, TG_E_INVALID_VALUE, "tools[1]");
    r.tools[1].name = TG_STR("b");
    /* One bad schema is named, and a pattern with \d spoils nothing. */
    r.tools[1].parameters =
        TG_STR("{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"string\","
               "\"pattern\":\"^\\\\d+$\"}},\"required\":[\"n\"]}");
    allows(&r, CALL("b", "{\"n\": \"12\"}"), true);
    allows(&r, CALL("b", "{\"n\": \"x\"}"), false);
    r.tools[1].parameters = TG_STR(
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"string\",\"pattern\":\"(?=x)\"}},"
        "\"required\":[\"n\"]}");
    allows(&r, CALL("b", "{\"n\": \"x\"}"), true);
    r.tools[1].strict = 1;
    refuses(&r, TG_E_UNSUPPORTED_PARAMETER, "tools[1].parameters.properties.n.pattern");
    r.tools[1].parameters = TG_STR("{\"type\":\"nonsense\"}");
    refuses(&r, TG_E_INVALID_VALUE, "tools[1].parameters.type");
    r.tools[1].parameters = TG_STR("{\"$ref\":\"#\"}");
    refuses(&r, TG_E_INVALID_VALUE, "tools[1].parameters.$ref");
    r.chat.n_tools = 0;
    r.chat.format =
        (struct tg_output_format){.kind = TG_FORMAT_SCHEMA,
                                  .schema = TG_STR("{\"type\":\"array\",\"uniqueItems\":true}"),
                                  .strict = 1};
    refuses(&r, TG_E_UNSUPPORTED_PARAMETER, "response_format.json_schema.schema.uniqueItems");
    tg_arena_fini(&r.a);
}

static void text_part(struct tg_part *p, const char *text)
{
    *p = (struct tg_part){.kind = TG_PART_TEXT, .text = tg_str_c(text)};
}

static void the_conversation_is_written_out(void **state)
{
    struct rig r;
    const struct tg_engine_message *m;
    struct tg_part answer[2], result[2];
    size_t n;
    begin(&r);
    text_part(&r.parts[0], "Weather?");
    text_part(&answer[0], "One moment.");
    answer[1] = (struct tg_part){.kind = TG_PART_TOOL_CALL,
                                 .call_id = TG_STR("c1"),
                                 .tool_name = TG_STR("get_weather"),
                                 .arguments = TG_STR("{ \"city\":\"Rome\" }")};
    r.m[1] = (struct tg_message){.role = TG_ROLE_ASSISTANT, .parts = answer, .n_parts = 2};
    text_part(&result[0], "sunny");
    text_part(&result[1], "none");
    r.parts[2] = (struct tg_part){.kind = TG_PART_TOOL_RESULT, .parts = &result[0], .n_parts = 1};
    r.parts[3] = (struct tg_part){
        .kind = TG_PART_TOOL_RESULT, .parts = &result[1], .n_parts = 1, .is_error = true};
    r.m[2].role = r.m[3].role = TG_ROLE_TOOL;
    r.chat.n_messages = 4;
    assert_int_equal(tg_tools_messages(&r.a, &r.chat, &r.f, &m, &n), 0);
    assert_int_equal(n, 4);
    assert_int_equal(m[0].role, TG_ROLE_SYSTEM);
    assert_contains(m[0].text, "<tools>\n{\"type\": \"function\", \"function\": {\"name\": "
                               "\"get_weather\", \"description\": \"The \\\"weather\\\"\", "
                               "\"parameters\": {\"type\":\"object\",");
    assert_contains(m[0].text, "{\"name\": \"now\", \"description\": \"The \\\"weather\\\"\", "
                               "\"parameters\": {}}}");
    assert_str(m[1].text, "Weather?");
    assert_int_equal(m[2].role, TG_ROLE_ASSISTANT);
    assert_str(m[2].text, "One moment.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": { "
                          "\"city\":\"Rome\" }}\n</tool_call>");
    assert_int_equal(m[3].role, TG_ROLE_USER);
    assert_str(m[3].text, "<tool_response>\nsunny\n</tool_response>\n<tool_response>\nError: none\n"
                          "</tool_response>");
    /* A system message of the client's comes first and stays. */
    r.m[0].role = TG_ROLE_DEVELOPER;
    assert_int_equal(tg_tools_messages(&r.a, &r.chat, &r.f, &m, &n), 0);
    assert_int_equal(n, 3);
    assert_true(tg_str_starts(m[0].text, TG_STR("Weather?\n\n# Tools")));
    /* Without a choice no tool is described, but earlier calls stay what they were. */
    r.chat.tool_choice.kind = TG_TOOL_CHOICE_NONE;
    assert_int_equal(tg_tools_messages(&r.a, &r.chat, &r.f, &m, &n), 0);
    assert_str(m[0].text, "Weather?");
    assert_contains(m[1].text, "<tool_call>");
    /* What is no text is refused, and said where. */
    result[0].kind = TG_PART_IMAGE;
    assert_int_equal(tg_tools_messages(&r.a, &r.chat, &r.f, &m, &n), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(r.f.param, "messages[2].content[0]");
    tg_fail_clear(&r.f);
    answer[0].kind = TG_PART_AUDIO;
    assert_int_equal(tg_tools_messages(&r.a, &r.chat, &r.f, &m, &n), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(r.f.param, "messages[1].content[0]");
    tg_arena_fini(&r.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_choice_is_kept_to),
        cmocka_unit_test(text_or_calls),
        cmocka_unit_test(nothing_asked_nothing_made),
        cmocka_unit_test(what_cant_be_held_is_refused_by_name),
        cmocka_unit_test(the_conversation_is_written_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
