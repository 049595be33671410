/* Requests of other dialects as Anthropic's: every feature does what the fidelity row says of it,
 * and the forms that the API wants. */
#include "check.h"

#include <stdio.h>

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "chat/fidelity.h"
#include "dialect/dialect.h"
#include "feature_use.h"

static struct tg_arena arena;
static struct tg_fail fail;
static struct tg_adapter_request out;
static struct tg_chat_req req;
static struct feature_use u;
static const char *model;

static uint64_t configured; /* max_tokens of the target */

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 64u << 20);
    model = "claude-opus-5";
    configured = 0;
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static int encode(void)
{
    struct tg_adapter_target target = {
        .model = tg_str_c(model), .credential = TG_STR("sk-ant"), .max_tokens = configured};
    tg_fail_clear(&fail);
    return tg_adapter_anthropic.encode(&arena, &req, &target, &out, &fail);
}

/* The body that a request of a dialect becomes. */
static struct tg_str body_of(const struct tg_dialect *d, const char *text)
{
    struct tg_call *call = tg_arena_new(&arena, struct tg_call);
    tg_fail_clear(&fail);
    assert_non_null(call);
    if (d->open(&arena, NULL, tg_str_c(text), call, &fail) || d->parse(&arena, call, &req, &fail))
        fail_msg("%s: %s", text, fail.message);
    if (encode())
        fail_msg("%s: %s", text, fail.message);
    return out.body;
}

static struct tg_str chat(const char *text)
{
    return body_of(&tg_dialect_openai_chat, text);
}

#define HI           "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define BIT(name)    TG_FEATURE_BIT(name)
#define MODEL        "{\"model\":\"claude-opus-5\","
#define LIMIT        "\"max_tokens\":32000"
#define TOOL         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"
#define SCHEMA       "{\"type\":\"object\",\"properties\":{},\"additionalProperties\":false}"
#define FORMAT(rest) "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{" rest "}}"

/* max_tokens must be said: what the client says, else the configuration, else what such a model can
 * write. */
static void the_limit(void **state)
{
    static const struct {
        const char *model;
        uint64_t configured;
        const char *asked, *want;
    } table[] = {
        {"claude-opus-5", 0, "", "\"max_tokens\":32000"},
        {"claude-opus-4-1-20250805", 0, "", "\"max_tokens\":32000"},
        {"anthropic.claude-3-5-sonnet-20241022-v2:0", 0, "", "\"max_tokens\":8192"},
        {"claude-3-haiku-20240307", 0, "", "\"max_tokens\":4096"},
        {"glm-5", 0, "", "\"max_tokens\":4096"},
        {"claude-opus-5", 0, ",\"max_tokens\":7", "\"max_tokens\":7"},
        {"claude-opus-5", 900, "", "\"max_tokens\":900"},
        {"glm-5", 90000, "", "\"max_tokens\":90000"},
        {"claude-opus-5", 900, ",\"max_tokens\":7000", "\"max_tokens\":7000"},
        {"claude-opus-4-1", 0, ",\"reasoning\":{\"max_tokens\":30000}", "\"max_tokens\":34096"},
        {"claude-opus-4-1", 9000, ",\"reasoning\":{\"max_tokens\":30000}",
         "\"budget_tokens\":8999},\"max_tokens\":9000"},
        {"claude-opus-4-1", 900, ",\"reasoning\":{\"max_tokens\":30000}", "\"max_tokens\":900"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char text[400];
        snprintf(text, sizeof text, "{\"model\":\"x\"," HI "%s}", table[i].asked);
        model = table[i].model;
        configured = table[i].configured;
        struct tg_str body = chat(text);
        if (tg_str_find(body, tg_str_c(table[i].want)) < 0)
            fail_msg("%s: %.*s", model, TG_STR_ARG(body));
    }
}

static void head(void **state)
{
    assert_str(chat("{\"model\":\"x\",\"stream\":true," HI "}"),
               MODEL "\"stream\":true," HI "," LIMIT "}");
    assert_str(out.path, "/v1/messages");
    assert_int_equal(out.n_headers, 4);
    assert_str(out.headers[1].value, "text/event-stream");
    assert_str(out.headers[2].name, "anthropic-version");
    assert_str(out.headers[2].value, "2023-06-01");
    assert_str(out.headers[3].name, "x-api-key");
    assert_str(out.headers[3].value, "sk-ant");
    struct tg_pass pass = {.format = TG_WIRE_ANTHROPIC_COUNT};
    struct tg_adapter_target target = {.base_path = TG_STR("/proxy/"),
                                       .api_version = TG_STR("2030-01-01")};
    assert_int_equal(tg_adapter_anthropic.encode_pass(&arena, &pass, &target, &out), 0);
    assert_str(out.path, "/proxy/v1/messages/count_tokens");
    assert_str(out.headers[2].value, "2030-01-01");
    assert_int_equal(out.n_headers, 3);
}

static void messages(void **state)
{
    assert_str(
        chat("{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
             "{\"role\":\"developer\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"a\"},"
             "{\"role\":\"user\",\"content\":\"\"},{\"role\":\"system\",\"content\":\"late\"},"
             "{\"role\":\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]}"),
        MODEL "\"system\":[{\"type\":\"text\",\"text\":\"s\"},{\"type\":\"text\",\"text\":\"d\"}],"
              "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
              "{\"type\":\"text\",\"text\":\"late\"}]},{\"role\":\"assistant\",\"content\":\"b\"},"
              "{\"role\":\"user\",\"content\":\"c\"}]," LIMIT "}");
    assert_int_equal(out.emulated, BIT(SYSTEM));
    /* One that is nothing but system is asked all the same. */
    assert_str(chat("{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"}]}"),
               MODEL "\"messages\":[{\"role\":\"user\",\"content\":\"s\"}]," LIMIT "}");
    assert_int_equal(out.emulated, BIT(SYSTEM));
}

/* Results stand first in their message, whatever the client put before them, and keep their calls'
 * ids, which are made fit for this API. */
static void tools_and_their_results(void **state)
{
    assert_str(
        chat(
            "{\"model\":\"x\"," TOOL ",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},"
            "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"functions.f:0\","
            "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}},"
            "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"\"}},{\"id\":\"c3\",\"type\":\"function\",\"function\":{\"name\":\"f\","
            "\"arguments\":\"{\\\"cut\"}}]},{\"role\":\"user\",\"content\":\"and\"},"
            "{\"role\":\"tool\",\"tool_call_id\":\"functions.f:0\",\"content\":\"r\"},"
            "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{\"type\":\"text\",\"text\":"
            "\"r2\"}]}]}"),
        MODEL
        "\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":["
        "{\"type\":\"tool_use\",\"id\":\"functions_f_0\",\"name\":\"f\",\"input\":{\"a\": 1}},"
        "{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"f\",\"input\":{}},"
        "{\"type\":\"tool_use\",\"id\":\"c3\",\"name\":\"f\",\"input\":{\"_raw\":\"{\\\"cut\"}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":"
        "\"functions_f_0\",\"content\":\"r\"},{\"type\":\"tool_result\",\"tool_use_id\":\"c2\","
        "\"content\":[{\"type\":\"text\",\"text\":\"r2\"}]},{\"type\":\"text\",\"text\":\"and\"}]}]"
        ",\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}]"
        "," LIMIT "}");
}

static void media(void **state)
{
    struct tg_str b = chat(
        "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:image/webp;base64,QUJD\"}},{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"https://x/y.png\"}},{\"type\":\"file\",\"file\":{\"file_data\":"
        "\"data:application/pdf;base64,QUJD\",\"filename\":\"a.pdf\"}},{\"type\":\"file\",\"file\":"
        "{\"file_data\":\"data:text/markdown;base64,QUJD\"}},{\"type\":\"text\",\"text\":\"t\","
        "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}}]}]}");
    assert_contains(b, "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
                       "\"image/webp\",\"data\":\"QUJD\"}}");
    assert_contains(b, "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
                       "\"https://x/y.png\"}}");
    assert_contains(b, "{\"type\":\"document\",\"source\":{\"type\":\"base64\",\"media_type\":"
                       "\"application/pdf\",\"data\":\"QUJD\"},\"title\":\"a.pdf\"}");
    assert_contains(b, "{\"type\":\"document\",\"source\":{\"type\":\"text\",\"media_type\":"
                       "\"text/plain\",\"data\":\"ABC\"}}");
    assert_contains(b, "{\"type\":\"text\",\"text\":\"t\",\"cache_control\":{\"type\":"
                       "\"ephemeral\",\"ttl\":\"1h\"}}");
}

static void tool_choice(void **state)
{
    static const struct {
        const char *given, *want;
    } table[] = {
        {"\"tool_choice\":\"auto\"", "\"tool_choice\":{\"type\":\"auto\"}"},
        {"\"tool_choice\":\"none\",\"parallel_tool_calls\":false",
         "\"tool_choice\":{\"type\":\"none\"}"},
        {"\"tool_choice\":\"required\",\"parallel_tool_calls\":true",
         "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":false}"},
        {"\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
         "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"}"},
        {"\"parallel_tool_calls\":false",
         "\"tool_choice\":{\"type\":\"auto\",\"disable_parallel_tool_use\":true}"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char text[400];
        snprintf(text, sizeof(text), "{\"model\":\"x\"," HI "," TOOL ",%s}", table[i].given);
        struct tg_str got = chat(text);
        if (tg_str_find(got, tg_str_c(table[i].want)) < 0)
            fail_msg("%s: %.*s", table[i].want, TG_STR_ARG(got));
    }
    assert_lacks(chat("{\"model\":\"x\"," HI ",\"tool_choice\":\"auto\"}"), "tool_choice");
    assert_lacks(chat("{\"model\":\"x\"," HI "," TOOL ",\"parallel_tool_calls\":true}"),
                 "tool_choice");
}

/* What is asked for as thinking, by the model's generation. */
static void thinking(void **state)
{
    static const struct {
        const char *model, *given, *want;
        uint64_t dropped, emulated;
    } table[] = {
        {"claude-opus-5", "\"reasoning_effort\":\"high\"",
         "\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}", 0, 0},
        {"claude-opus-5", "\"reasoning_effort\":\"minimal\"", "{\"effort\":\"low\"}", 0,
         BIT(EFFORT)},
        {"claude-opus-5", "\"reasoning_effort\":\"none\"", "\"thinking\":{\"type\":\"disabled\"}",
         0, 0},
        {"claude-opus-5", "\"reasoning\":{\"max_tokens\":5000}", "{\"effort\":\"medium\"}", 0,
         BIT(BUDGET)},
        {"claude-sonnet-4-5", "\"reasoning_effort\":\"low\"",
         "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048},\"max_tokens\":32000", 0,
         BIT(EFFORT)},
        {"claude-sonnet-4-5", "\"reasoning\":{\"max_tokens\":5000},\"max_tokens\":8000",
         "\"budget_tokens\":5000},\"max_tokens\":8000", 0, 0},
        {"claude-sonnet-4-5", "\"reasoning\":{\"max_tokens\":10}", "\"budget_tokens\":1024", 0,
         BIT(BUDGET)},
        {"claude-sonnet-4@20250514", "\"reasoning_effort\":\"high\",\"max_tokens\":3000",
         "\"budget_tokens\":2999},\"max_tokens\":3000", 0, BIT(EFFORT)},
        {"claude-sonnet-4-5", "\"reasoning_effort\":\"high\",\"max_tokens\":100",
         "\"max_tokens\":100}", BIT(EFFORT), 0},
        {"anthropic.claude-3-5-haiku-20241022-v1:0", "\"reasoning_effort\":\"high\"",
         "\"max_tokens\":8192}", BIT(EFFORT), 0},
        /* not beside a tool that is forced */
        {"claude-opus-5", TOOL ",\"tool_choice\":\"required\",\"reasoning_effort\":\"high\"",
         "\"tool_choice\":{\"type\":\"any\"}," LIMIT "}", BIT(EFFORT), 0},
        /* nor beside what it does not go with */
        {"claude-opus-5", "\"reasoning_effort\":\"low\",\"temperature\":0.5,\"top_p\":0.5",
         "\"effort\":\"low\"}," LIMIT "}", BIT(TEMPERATURE) | BIT(TOP_P), 0},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char text[400];
        model = table[i].model;
        snprintf(text, sizeof(text), "{\"model\":\"x\"," HI ",%s}", table[i].given);
        struct tg_str got = chat(text);
        if (tg_str_find(got, tg_str_c(table[i].want)) < 0)
            fail_msg("%s: %.*s", table[i].want, TG_STR_ARG(got));
        assert_int_equal(out.dropped, table[i].dropped);
        assert_int_equal(out.emulated, table[i].emulated);
    }
}

static void sampling(void **state)
{
    assert_contains(chat("{\"model\":\"x\"," HI ",\"temperature\":1.5,\"stop\":[\"a\",\" \\n\"],"
                         "\"max_completion_tokens\":7,\"user\":\"u\"}"),
                    "\"max_tokens\":7,\"temperature\":1,\"stop_sequences\":[\"a\"],"
                    "\"metadata\":{\"user_id\":\"u\"}}");
    assert_int_equal(out.emulated, BIT(TEMPERATURE));
    assert_int_equal(out.dropped, BIT(STOP));
    req.service_tier = TG_STR("default"); /* by its name here */
    assert_int_equal(encode(), 0);
    assert_contains(out.body, "\"service_tier\":\"standard_only\"");
    req.service_tier = TG_STR("flex");
    assert_int_equal(encode(), 0);
    assert_lacks(out.body, "service_tier");
    assert_true(out.dropped & BIT(SERVICE_TIER));
    /* newer models refuse the two together */
    assert_lacks(chat("{\"model\":\"x\"," HI ",\"temperature\":1,\"top_p\":0.5}"), "top_p");
    assert_int_equal(out.dropped, BIT(TOP_P));
    model = "claude-3-haiku-20240307";
    assert_contains(chat("{\"model\":\"x\"," HI ",\"temperature\":1,\"top_p\":0.5}"), "top_p");
    assert_int_equal(out.dropped, 0);
}

static void structured_output(void **state)
{
    /* native: a strict schema of what the API takes, at a model that has it */
    assert_contains(chat("{\"model\":\"x\"," HI
                         "," FORMAT("\"name\":\"n\",\"strict\":true,\"schema\":" SCHEMA) "}"),
                    "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":" SCHEMA
                    "}}");
    assert_int_equal(out.emulated, 0);
    /* else the input of a tool */
    static const char *const models[] = {"claude-opus-5", "claude-3-7-sonnet-20250219"};
    for (int i = 0; i < 2; i++) {
        model = models[i];
        struct tg_str b =
            chat(i ? "{\"model\":\"x\"," HI "," FORMAT("\"strict\":true,\"schema\":" SCHEMA) "}"
                   : "{\"model\":\"x\"," HI "," FORMAT("\"schema\":" SCHEMA) "}");
        assert_contains(b, "\"input_schema\":" SCHEMA "}]");
        assert_contains(b, "\"tool_choice\":{\"type\":\"tool\",\"name\":\"tollgate_json_answer\"}");
        assert_lacks(b, "output_config");
        assert_int_equal(out.emulated, BIT(JSON_SCHEMA));
    }
    model = "claude-opus-5";
    /* beside tools one of them all */
    assert_contains(
        chat("{\"model\":\"x\"," HI "," TOOL ",\"response_format\":{\"type\":\"json_object\"}}"),
        "\"tool_choice\":{\"type\":\"any\"}");
    /* a tool that is forced by name comes first */
    assert_lacks(chat("{\"model\":\"x\"," HI "," TOOL
                      ",\"response_format\":{\"type\":\"json_object\"},\"tool_choice\":{\"type\":"
                      "\"function\",\"function\":{\"name\":\"f\"}}}"),
                 "tollgate_json_answer");
}

/* Only what Anthropic signed goes back, byte for byte. */
static void reasoning(void **state)
{
    static struct tg_part parts[] = {
        {.kind = TG_PART_REASONING, .text = TG_STR_INIT("u")},
        {.kind = TG_PART_REASONING,
         .text = TG_STR_INIT("s"),
         .opaque = TG_OPAQUE_SIGNED,
         .signature = TG_STR_INIT("sig+/=")},
        {.kind = TG_PART_REASONING, .opaque = TG_OPAQUE_REDACTED, .signature = TG_STR_INIT("red")},
        {.kind = TG_PART_REASONING, .opaque = TG_OPAQUE_ENCRYPTED, .signature = TG_STR_INIT("enc")},
        {.kind = TG_PART_TEXT, .text = TG_STR_INIT("t")},
    };
    static struct tg_message m[] = {{.role = TG_ROLE_ASSISTANT, .parts = parts, .n_parts = 5}};
    req = (struct tg_chat_req){.messages = m,
                               .n_messages = 1,
                               .reasoning.budget_tokens = -1,
                               .reasoning.show = -1,
                               .tool_choice.parallel = -1};
    assert_int_equal(encode(), 0);
    assert_str(out.body, MODEL "\"messages\":[{\"role\":\"assistant\",\"content\":["
                               "{\"type\":\"thinking\",\"thinking\":\"s\",\"signature\":\"sig+/=\"}"
                               ",{\"type\":\"redacted_thinking\",\"data\":\"red\"},"
                               "{\"type\":\"text\",\"text\":\"t\"}]}]," LIMIT "}");
}

/* What Claude Code sends: a system message between others, thinking, effort, context management. */
static void an_own_request_comes_back(void **state)
{
    static const char text[] =
        "{\"model\":\"claude-opus-5\",\"stream\":true,\"system\":[{\"type\":\"text\",\"text\":"
        "\"s\","
        "\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":"
        "\"u\"},{\"role\":\"system\",\"content\":\"in between\"}],\"tools\":[{\"name\":\"f\","
        "\"input_schema\":{},\"defer_loading\":true}],\"thinking\":{\"type\":\"adaptive\","
        "\"display\":\"omitted\"},\"max_tokens\":9,\"metadata\":{\"user_id\":\"{}\"},"
        "\"output_config\":{\"effort\":\"high\"},\"context_management\":{\"edits\":[]}}";
    assert_str_equal(body_of(&tg_dialect_anthropic, text), tg_str_c(text));
    assert_int_equal(out.dropped | out.emulated, 0);
    assert_str(req.reasoning.effort, "high");
    assert_true(req.reasoning.adaptive);
    assert_int_equal(req.reasoning.show, 0);
    assert_str(req.user, "{}");
    assert_str(req.extra.members, "\"context_management\":{\"edits\":[]}");
    uint64_t used = tg_features_of(&req);
    assert_true(used & BIT(EFFORT) && used & BIT(CACHE_HINT) && used & BIT(EXTRA));
}

static void a_count(void **state)
{
    assert_str(body_of(&tg_dialect_anthropic_count,
                       "{\"model\":\"x\"," HI ",\"max_tokens\":5,\"temperature\":0}"),
               MODEL HI "}");
    assert_str(out.path, "/v1/messages/count_tokens");
}

/* ---- the fidelity row ---- */

/* Features of tasks that this API does not have at all. */
static bool is_other_task(enum tg_feature f)
{
    return f == TG_FEATURE_DIMENSIONS || f == TG_FEATURE_BASE64 || f == TG_FEATURE_INPUT_TOKENS ||
           f == TG_FEATURE_INPUT_TYPE;
}

static void every_feature_does_what_the_row_says(void **state)
{
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        const char *name = tg_feature_name((enum tg_feature)f);
        enum tg_fidelity fate = tg_adapter_anthropic.fidelity[f];
        if (is_other_task((enum tg_feature)f)) {
            assert_int_equal(fate, TG_REFUSED);
            assert_false(tg_adapter_anthropic.tasks >> TG_TASK_EMBED & 1);
            continue;
        }
        feature_use(&u, &req, TG_FEATURE_COUNT); /* nothing */
        assert_int_equal(encode(), 0);
        struct tg_str plain = out.body;
        feature_use(&u, &req, (enum tg_feature)f);
        if (!(tg_features_of(&req) >> f & 1))
            fail_msg("%s is not used", name);
        int rc = encode();
        if ((rc == TG_E_UNSUPPORTED_PARAMETER) != (fate == TG_REFUSED))
            fail_msg("%s: %s, but %d %s", name, tg_fidelity_name(fate), rc, fail.message);
        if (fate == TG_REFUSED) {
            assert_true(fail.param[0] != 0);
            continue;
        }
        assert_int_equal(rc, 0);
        /* NAME and IMAGE_DETAIL differ from what stands beside them only by what is dropped. */
        if (fate == TG_DROPPED && f != TG_FEATURE_IMAGE_DETAIL && f != TG_FEATURE_REASONING &&
            f != TG_FEATURE_ENCRYPTED && f != TG_FEATURE_THOUGHT)
            assert_str_equal(out.body, plain);
        if (f == TG_FEATURE_IMAGE_DETAIL)
            assert_lacks(out.body, "low");
        if (f == TG_FEATURE_REASONING || f == TG_FEATURE_ENCRYPTED || f == TG_FEATURE_THOUGHT)
            assert_lacks(out.body, "hm");
        if (fate != TG_DROPPED && f != TG_FEATURE_SYSTEM && f != TG_FEATURE_DEVELOPER &&
            tg_str_eq(out.body, plain))
            fail_msg("%s: nothing of it is in %.*s", name, TG_STR_ARG(out.body));
    }
}

static void memory_may_run_out(void **state)
{
    for (unsigned n = 1; n < 12; n++) {
        feature_use(&u, &req, TG_FEATURE_JSON_OBJECT);
        tg_alloc_fail_at(n, 1);
        int rc = encode();
        tg_alloc_fail_at(0, 0);
        assert_true(rc == 0 || rc == TG_E_NOMEM);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(head),
        TEST(messages),
        TEST(tools_and_their_results),
        TEST(media),
        TEST(tool_choice),
        TEST(thinking),
        TEST(sampling),
        TEST(structured_output),
        TEST(reasoning),
        TEST(an_own_request_comes_back),
        TEST(a_count),
        TEST(the_limit),
        TEST(every_feature_does_what_the_row_says),
        TEST(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
