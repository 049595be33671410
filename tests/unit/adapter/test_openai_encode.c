/* Requests of other dialects, whose raw texts mean nothing here, and the HTTP request around the
 * body. What comes from OpenAI's own dialect is held against recorded requests elsewhere. */
#include "check.h"

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "dialect/dialect.h"
#include "json/json.h"

static struct tg_arena arena;
static struct tg_adapter_target target;
static struct tg_adapter_request out;
static struct tg_fail f;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 8 << 20);
    target = (struct tg_adapter_target){.model = TG_STR("up"), .base_path = TG_STR("/v1")};
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&arena);
    return 0;
}

static struct tg_chat_req foreign(struct tg_message *m, size_t n)
{
    return (struct tg_chat_req){.dialect = "anthropic",
                                .wire = TG_WIRE_ANTHROPIC_MESSAGES,
                                .messages = m,
                                .n_messages = n,
                                .tool_choice.parallel = -1,
                                .format.strict = -1,
                                .reasoning.budget_tokens = -1};
}

static int encode(const struct tg_chat_req *req)
{
    struct tg_json_doc *doc;
    tg_fail_clear(&f);
    int rc = tg_adapter_openai.encode(&arena, req, &target, &out, &f);
    if (!rc)
        assert_int_equal(tg_json_parse(&arena, out.body, NULL, &doc, NULL), 0);
    return rc;
}

static struct tg_str message(struct tg_part *parts, size_t n, enum tg_role role)
{
    struct tg_message m = {.role = role, .parts = parts, .n_parts = n};
    struct tg_chat_req req = foreign(&m, 1);
    assert_int_equal(encode(&req), 0);
    assert_true(tg_str_starts(out.body, TG_STR("{\"model\":\"up\",\"messages\":[")));
    assert_true(tg_str_ends(out.body, TG_STR("]}")));
    return tg_str_make(out.body.p + 26, out.body.n - 28);
}

static void texts(void **state)
{
    struct tg_part p[] = {{.kind = TG_PART_TEXT, .text = TG_STR("a\"")},
                          {.kind = TG_PART_TEXT, .text = TG_STR("b"), .raw = TG_STR("not ours")}};
    assert_str(message(p, 1, TG_ROLE_USER), "{\"role\":\"user\",\"content\":\"a\\\"\"}");
    assert_str(message(p, 2, TG_ROLE_SYSTEM), "{\"role\":\"system\",\"content\":\"a\\\"\\n\\nb\"}");
    /* null only beside something: servers refuse it elsewhere */
    assert_str(message(p, 0, TG_ROLE_ASSISTANT), "{\"role\":\"assistant\",\"content\":\"\"}");
    assert_str(message(p, 0, TG_ROLE_USER), "{\"role\":\"user\",\"content\":\"\"}");
    struct tg_part result = {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c1")};
    assert_str(message(&result, 1, TG_ROLE_TOOL),
               "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"\"}");
    struct tg_part refusal = {.kind = TG_PART_REFUSAL, .text = TG_STR("no")};
    assert_str(message(&refusal, 1, TG_ROLE_ASSISTANT),
               "{\"role\":\"assistant\",\"content\":null,\"refusal\":\"no\"}");
}

static void media(void **state)
{
    struct tg_part p[] = {
        {.kind = TG_PART_TEXT, .text = TG_STR("a")},
        {.kind = TG_PART_IMAGE,
         .media = {TG_MEDIA_INLINE, TG_STR("image/webp"), TG_STR("AAAA"), TG_STR("")}},
        {.kind = TG_PART_IMAGE,
         .media = {TG_MEDIA_URL, TG_STR(""), TG_STR("https://x"), TG_STR("low")}},
        {.kind = TG_PART_AUDIO,
         .media = {TG_MEDIA_INLINE, TG_STR("audio/mpeg"), TG_STR("BB"), TG_STR("")}},
        {.kind = TG_PART_DOCUMENT,
         .media = {TG_MEDIA_INLINE, TG_STR("application/pdf"), TG_STR("CC"), TG_STR("a.pdf")}},
        {.kind = TG_PART_DOCUMENT,
         .media = {TG_MEDIA_FILE_ID, TG_STR(""), TG_STR("f1"), TG_STR("")}},
        {.kind = TG_PART_REFUSAL, .text = TG_STR("beside")},
    };
    assert_str(
        message(p, TG_ARRAY_LEN(p), TG_ROLE_USER),
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
        "\"image_url\",\"image_url\":{\"url\":\"data:image/webp;base64,AAAA\"}},{\"type\":"
        "\"image_url\",\"image_url\":{\"url\":\"https://x\",\"detail\":\"low\"}},{\"type\":"
        "\"input_audio\",\"input_audio\":{\"data\":\"BB\",\"format\":\"mp3\"}},{\"type\":"
        "\"file\",\"file\":{\"filename\":\"a.pdf\",\"file_data\":\"data:application/pdf;base64,"
        "CC\"}},{\"type\":\"file\",\"file\":{\"file_id\":\"f1\"}}]}");
}

static void what_has_no_form_is_refused(void **state)
{
    struct tg_part bad[] = {
        {.kind = TG_PART_RAW, .raw = TG_STR("{}")},
        {.kind = TG_PART_IMAGE, .media = {.source = TG_MEDIA_FILE_ID, .data = TG_STR("f")}},
        {.kind = TG_PART_AUDIO, .media = {.source = TG_MEDIA_URL, .data = TG_STR("u")}},
        {.kind = TG_PART_DOCUMENT, .media = {.source = TG_MEDIA_URL, .data = TG_STR("u")}},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct tg_message m[] = {{.role = TG_ROLE_USER},
                                 {.role = TG_ROLE_USER, .parts = &bad[i], .n_parts = 1}};
        struct tg_chat_req req = foreign(m, 2);
        assert_int_equal(encode(&req), TG_E_UNSUPPORTED_PARAMETER);
        assert_int_equal(f.err, TG_E_UNSUPPORTED_PARAMETER);
        assert_string_equal(f.param, "messages[1].content");
    }
    struct tg_tool tool = {.type = TG_STR("computer_20250124"), .raw = TG_STR("{}")};
    struct tg_chat_req req = foreign(NULL, 0);
    req.tools = &tool;
    req.n_tools = 1;
    assert_int_equal(encode(&req), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(f.param, "tools[0]");
    req.n_tools = 0;
    req.tool_choice.kind = TG_TOOL_CHOICE_RAW;
    req.tool_choice.raw = TG_STR("{}");
    assert_int_equal(encode(&req), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(f.param, "tool_choice");
}

static void calls_and_results(void **state)
{
    struct tg_part inner[] = {{.kind = TG_PART_TEXT, .text = TG_STR("r")}};
    struct tg_part said[] = {
        {.kind = TG_PART_REASONING, .text = TG_STR("hm"), .signature = TG_STR("s")},
        {.kind = TG_PART_TEXT, .text = TG_STR("a")},
        {.kind = TG_PART_TOOL_CALL,
         .call_id = TG_STR("c1"),
         .tool_name = TG_STR("f"),
         .arguments = TG_STR("{\"x\": 1.0}"),
         .raw = TG_STR("not ours")},
        {.kind = TG_PART_TOOL_CALL, .tool_name = TG_STR("g"), .arguments = TG_STR("{}")},
        {.kind = TG_PART_REFUSAL, .text = TG_STR("no")},
        {.kind = TG_PART_REFUSAL, .text = TG_STR("twice")},
    };
    assert_str(message(said, TG_ARRAY_LEN(said), TG_ROLE_ASSISTANT),
               "{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":\"no\",\"tool_calls\":[{"
               "\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
               "\"{\\\"x\\\": 1.0}\"}},{\"id\":\"\",\"type\":\"function\",\"function\":{\"name\":"
               "\"g\",\"arguments\":\"{}\"}}]}");
    struct tg_part results[] = {
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c1"), .parts = inner, .n_parts = 1},
        {.kind = TG_PART_TEXT, .text = TG_STR("and")},
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c2")},
    };
    assert_str(message(results, 3, TG_ROLE_USER),
               "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"},"
               "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"\"},"
               "{\"role\":\"user\",\"content\":\"and\"}");
    assert_str(message(results, 1, TG_ROLE_TOOL),
               "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r\"}");
}

/* What a tool shows stands behind all results of the turn, where this format allows it. */
static void results_that_are_pictures(void **state)
{
    struct tg_part shown[] = {
        {.kind = TG_PART_TEXT, .text = TG_STR("r")},
        {.kind = TG_PART_IMAGE,
         .media = {TG_MEDIA_INLINE, TG_STR("image/png"), TG_STR("AA=="), TG_STR("")}},
    };
    struct tg_part text = {.kind = TG_PART_TEXT, .text = TG_STR("t")};
    struct tg_part results[] = {
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c1"), .parts = shown, .n_parts = 2},
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c2"), .parts = &shown[1], .n_parts = 1},
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c3"), .parts = &text, .n_parts = 1},
        {.kind = TG_PART_TEXT, .text = TG_STR("and")},
    };
#define IMAGE            "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA==\"}}"
#define OF(id)           "{\"type\":\"text\",\"text\":\"Result of the tool call " id ":\"}," IMAGE
#define TOOL(id, text)   "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"},"
#define SAID(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define SHOWN(parts)     "{\"role\":\"user\",\"content\":[" parts "]},"
#define BELOW            "The result is in the user's message below."
#define TURN             TOOL("c1", "r") TOOL("c2", BELOW) TOOL("c3", "t") SHOWN(OF("c1") "," OF("c2"))
    assert_str(message(results, 4, TG_ROLE_USER), TURN SAID("user", "and"));
    /* one message a result, and a later turn */
    struct tg_message m[] = {
        {.role = TG_ROLE_TOOL, .parts = &results[0], .n_parts = 1},
        {.role = TG_ROLE_TOOL, .parts = &results[1], .n_parts = 1},
        {.role = TG_ROLE_TOOL, .parts = &results[2], .n_parts = 1},
        {.role = TG_ROLE_ASSISTANT, .parts = &text, .n_parts = 1},
        {.role = TG_ROLE_TOOL, .parts = &results[0], .n_parts = 1},
        {.role = TG_ROLE_ASSISTANT, .parts = &text, .n_parts = 1},
    };
#define MORE SAID("assistant", "t") "," TOOL("c1", "r") SHOWN(OF("c1")) SAID("assistant", "t")
    struct tg_chat_req req = foreign(m, TG_ARRAY_LEN(m));
    assert_int_equal(encode(&req), 0);
    assert_str(out.body, "{\"model\":\"up\",\"messages\":[" TURN MORE "]}");
    req = foreign(m, 5); /* nothing behind the last result */
    assert_int_equal(encode(&req), 0);
    assert_true(tg_str_ends(out.body, TG_STR(IMAGE "]}]}")));
    struct tg_part raw = {.kind = TG_PART_RAW, .raw = TG_STR("{}")};
    results[0].parts = &raw;
    results[0].n_parts = 1;
    req = foreign(m, 1);
    assert_int_equal(encode(&req), TG_E_UNSUPPORTED_PARAMETER);
}

static void settings(void **state)
{
    struct tg_tool tool = {.is_function = true,
                           .name = TG_STR("f"),
                           .description = TG_STR("d"),
                           .parameters = TG_STR("{ \"type\": \"object\" }"),
                           .strict = 0,
                           .raw = TG_STR("not ours")};
    struct tg_chat_req req = foreign(NULL, 0);
    req.tools = &tool;
    req.n_tools = 1;
    req.tool_choice =
        (struct tg_tool_choice){.kind = TG_TOOL_CHOICE_NAMED, .name = TG_STR("f"), .parallel = 0};
    req.format =
        (struct tg_output_format){.kind = TG_FORMAT_SCHEMA, .schema = TG_STR("{}"), .strict = 1};
    req.reasoning.effort = TG_STR("low");
    req.sampling = (struct tg_sampling){.has = 0xFFF,
                                        .temperature = 0.1,
                                        .top_p = 1,
                                        .min_p = 0.05,
                                        .repeat_penalty = 1.1,
                                        .max_tokens = 7,
                                        .n = 2,
                                        .seed = -1,
                                        .top_k = 40,
                                        .logprobs = true,
                                        .top_logprobs = 3,
                                        .stops = {TG_STR_INIT("x")},
                                        .n_stops = 1,
                                        .logit_bias = TG_STR("{\"1\":2}")};
    req.stream = true;
    req.user = TG_STR("u");
    req.metadata = TG_STR("{\"ours\":1}");
    req.extra.members = TG_STR("\"theirs\":1");
    assert_int_equal(encode(&req), 0);
    assert_str(out.body,
               "{\"model\":\"up\",\"messages\":[],\"max_tokens\":7,\"n\":2,\"seed\":-1,\"top_k\":"
               "40,\"temperature\":0.1,\"top_p\":1,\"min_p\":0.05,\"presence_penalty\":0,"
               "\"frequency_penalty\":0,\"repetition_penalty\":1.1,\"logit_bias\":{\"1\":2},"
               "\"stop\":[\"x\"],\"logprobs\":true,\"top_logprobs\":3,\"tools\":[{\"type\":"
               "\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{ "
               "\"type\": \"object\" },\"strict\":false}}],\"parallel_tool_calls\":false,"
               "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
               "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":"
               "\"answer\",\"schema\":{},\"strict\":true}},\"reasoning_effort\":\"low\","
               "\"stream\":true,\"user\":\"u\"}");
}

static void words_of_choices_and_formats(void **state)
{
    struct tg_chat_req req = foreign(NULL, 0);
    req.tool_choice.kind = TG_TOOL_CHOICE_AUTO;
    req.format.kind = TG_FORMAT_TEXT;
    assert_int_equal(encode(&req), 0);
    assert_contains(out.body, "\"tool_choice\":\"auto\",\"response_format\":{\"type\":\"text\"}");
    req.tool_choice.kind = TG_TOOL_CHOICE_NONE;
    req.format.kind = TG_FORMAT_JSON;
    assert_int_equal(encode(&req), 0);
    assert_contains(out.body,
                    "\"tool_choice\":\"none\",\"response_format\":{\"type\":\"json_object\"}");
    req.tool_choice.kind = TG_TOOL_CHOICE_REQUIRED;
    assert_int_equal(encode(&req), 0);
    assert_contains(out.body, "\"tool_choice\":\"required\"");
}

static void usage_of_streams(void **state)
{
    struct tg_chat_req req = foreign(NULL, 0);
    target.stream_usage = true;
    assert_int_equal(encode(&req), 0);
    assert_lacks(out.body, "stream");
    req.stream = true;
    assert_int_equal(encode(&req), 0);
    assert_contains(out.body, "\"stream\":true,\"stream_options\":{\"include_usage\":true}");
}

static void completions(void **state)
{
    struct tg_chat_req req = foreign(NULL, 0);
    req.dialect = "openai_completions";
    req.wire = TG_WIRE_OPENAI_COMPLETIONS;
    req.is_completion = true;
    req.prompt = TG_STR("a\nb");
    req.extra.members = TG_STR("\"suffix\" : \"s\"");
    req.metadata = TG_STR("{}");
    req.sampling.has = TG_HAS_LOGPROBS | TG_HAS_TOP_LOGPROBS;
    req.sampling.logprobs = true;
    req.sampling.top_logprobs = 4;
    req.format.kind = TG_FORMAT_JSON; /* of chats only */
    assert_int_equal(encode(&req), 0);
    assert_str(out.path, "/v1/completions");
    assert_str(out.body, "{\"model\":\"up\",\"prompt\":\"a\\nb\",\"logprobs\":4,\"metadata\":{},"
                         "\"suffix\" : \"s\"}");
    req.dialect = "generate";
    req.wire = TG_WIRE_NONE;
    assert_int_equal(encode(&req), 0);
    assert_lacks(out.body, "suffix");
}

/* ---- around the body ---- */

static struct tg_str header(const char *name)
{
    struct tg_http_head head = {.headers = out.headers, .n_headers = out.n_headers};
    return tg_http_head_get(&head, tg_str_c(name));
}

static int pass(enum tg_wire_format format, bool stream)
{
    struct tg_pass p = {.format = format, .stream = stream};
    return tg_adapter_openai.encode_pass(&arena, &p, &target, &out);
}

static void heads(void **state)
{
    assert_int_equal(pass(TG_WIRE_OPENAI_CHAT, true), 0);
    assert_int_equal(out.method, TG_HTTP_POST);
    assert_str(out.path, "/v1/chat/completions");
    assert_str(header("Content-Type"), "application/json");
    assert_str(header("Accept"), "text/event-stream");
    assert_null(header("Authorization").p);
    assert_int_equal(out.body.n, 0);
    target.credential = TG_STR("secret");
    target.base_path = TG_STR("/openai/v1//");
    assert_int_equal(pass(TG_WIRE_OPENAI_COMPLETIONS, false), 0);
    assert_str(out.path, "/openai/v1/completions");
    assert_str(header("Accept"), "application/json");
    assert_str(header("Authorization"), "Bearer secret");
    target.base_path = TG_STR("");
    assert_int_equal(pass(TG_WIRE_OPENAI_CHAT, false), 0);
    assert_str(out.path, "/chat/completions");
}

static void every_allocation_may_fail(void **state)
{
    struct tg_part p[] = {{.kind = TG_PART_TEXT, .text = TG_STR("a")}};
    struct tg_message m = {.parts = p, .n_parts = 1, .role = TG_ROLE_USER};
    struct tg_chat_req req = foreign(&m, 1);
    target.credential = TG_STR("secret");
    int rc = -1;
    for (uint64_t at = 1; rc; at++) {
        tg_arena_fini(&arena);
        tg_arena_init(&arena, 64, 8 << 20);
        tg_fail_clear(&f);
        out.path = TG_STR("untouched");
        tg_alloc_fail_at(at, 0);
        rc = tg_adapter_openai.encode(&arena, &req, &target, &out, &f);
        tg_alloc_fail_at(0, 0);
        assert_int_equal(f.err, rc);
        if (rc) {
            assert_int_equal(rc, TG_E_NOMEM);
            assert_str(out.path, "untouched");
        }
        assert_true(at < 100);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(texts),
        T(media),
        T(what_has_no_form_is_refused),
        T(calls_and_results),
        T(results_that_are_pictures),
        T(settings),
        T(words_of_choices_and_formats),
        T(usage_of_streams),
        T(completions),
        T(heads),
        T(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
