/* Requests of other dialects as OpenAI's Responses; every feature does what the fidelity row says
 * of it. What comes from the Responses dialect itself is held against recorded requests
 * elsewhere. */
#include "check.h"

#include <stdio.h>

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/err.h"
#include "chat/fidelity.h"
#include "dialect/dialect.h"
#include "feature_use.h"
#include "json/json.h"

static struct tg_arena arena;
static struct tg_adapter_target target;
static struct tg_adapter_request out;
static struct tg_fail fail;
static struct tg_chat_req req;
static struct feature_use u;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 8 << 20);
    target = (struct tg_adapter_target){
        .model = TG_STR("up"), .base_path = TG_STR("/v1"), .credential = TG_STR("sk-1")};
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&arena);
    return 0;
}

static int encode(void)
{
    struct tg_json_doc *doc;
    tg_fail_clear(&fail);
    int rc = tg_adapter_openai_responses.encode(&arena, &req, &target, &out, &fail);
    if (!rc)
        assert_int_equal(tg_json_parse(&arena, out.body, NULL, &doc, NULL), 0);
    return rc;
}

/* A client's body of that dialect. */
static struct tg_str body_of(const struct tg_dialect *d, const char *body)
{
    struct tg_call call = {0};
    tg_fail_clear(&fail);
    if (d->open(&arena, NULL, tg_str_c(body), &call, &fail) ||
        d->parse(&arena, &call, &req, &fail) || encode())
        fail_msg("%s", fail.message);
    return out.body;
}

#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void head(void **state)
{
    feature_use(&u, &req, TG_FEATURE_COUNT);
    assert_int_equal(encode(), 0);
    assert_int_equal(out.method, TG_HTTP_POST);
    assert_str(out.path, "/v1/responses");
    assert_str(out.body, "{\"model\":\"up\",\"input\":[{\"role\":\"user\",\"content\":\"hi\"}],"
                         "\"store\":false}");
    assert_str(out.headers[2].value, "Bearer sk-1");
    req.task = TG_TASK_COUNT;
    assert_int_equal(encode(), 0);
    assert_str(out.path, "/v1/responses/input_tokens");
    assert_str(out.body, "{\"model\":\"up\",\"input\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
}

static void passed_through(void **state)
{
    struct tg_pass pass = {.format = TG_WIRE_OPENAI_RESPONSES, .stream = true};
    static const struct tg_adapter *const both[] = {&tg_adapter_openai,
                                                    &tg_adapter_openai_responses};
    for (size_t i = 0; i < 2; i++) {
        assert_true(tg_wire_in(both[i]->formats, TG_WIRE_OPENAI_RESPONSES));
        assert_true(tg_wire_in(both[i]->formats, TG_WIRE_OPENAI_CHAT));
        assert_int_equal(both[i]->encode_pass(&arena, &pass, &target, &out), 0);
        assert_str(out.path, "/v1/responses");
        assert_str(out.headers[1].value, "text/event-stream");
    }
}

static void a_chat_with_everything(void **state)
{
    assert_str(
        body_of(&tg_dialect_openai_chat,
                "{\"model\":\"x\",\"stream\":true,\"messages\":["
                "{\"role\":\"system\",\"content\":\"s\"},"
                "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"see\"},"
                "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,QQ==\","
                "\"detail\":\"low\"}}]},"
                "{\"role\":\"assistant\",\"content\":\"a\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
                "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{ }\"}}]},"
                "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"4\"}],"
                "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
                "\"d\",\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":{\"type\":"
                "\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_calls\":false,"
                "\"max_completion_tokens\":9,\"temperature\":0,\"logprobs\":true,"
                "\"top_logprobs\":2,\"reasoning_effort\":\"low\",\"user\":\"u\","
                "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
                "\"schema\":{\"type\":\"object\"},\"strict\":true}}}"),
        "{\"model\":\"up\",\"input\":[{\"role\":\"system\",\"content\":\"s\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"see\"},"
        "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QQ==\",\"detail\":"
        "\"low\"}]},"
        "{\"role\":\"assistant\",\"content\":\"a\"},"
        "{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\",\"arguments\":\"{ }\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"4\"}],"
        "\"max_output_tokens\":9,\"temperature\":0,\"top_logprobs\":2,\"stream\":true,"
        "\"parallel_tool_calls\":false,"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":"
        "{\"type\":\"object\"},\"strict\":false}],"
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},"
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"type\":"
        "\"object\"},\"strict\":true}},"
        "\"reasoning\":{\"effort\":\"low\"},\"include\":[\"reasoning.encrypted_content\","
        "\"message.output_text.logprobs\"],\"store\":false,\"user\":\"u\"}");
}

/* A conversation in Anthropic's way: results in a user's message, before what else it says. */
static void results_in_a_message(void **state)
{
    struct tg_part image = {.kind = TG_PART_IMAGE,
                            .media = {.source = TG_MEDIA_URL, .data = TG_STR("https://x")}};
    struct tg_part parts[] = {
        {.kind = TG_PART_TEXT, .text = TG_STR("and?")},
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("a"), .parts = &image, .n_parts = 1},
        {.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("b")},
        {.kind = TG_PART_DOCUMENT, .media = {.data = TG_STR("QQ=="), .detail = TG_STR("x.pdf")}},
    };
    feature_use(&u, &req, TG_FEATURE_COUNT);
    u.message.parts = parts;
    u.message.n_parts = 4;
    assert_int_equal(encode(), 0);
    assert_str(out.body,
               "{\"model\":\"up\",\"input\":["
               "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":[{\"type\":"
               "\"input_image\",\"image_url\":\"https://x\"}]},"
               "{\"type\":\"function_call_output\",\"call_id\":\"b\",\"output\":\"\"},"
               "{\"role\":\"user\",\"content\":\"and?\"},"
               "{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"filename\":\"x.pdf\","
               "\"file_data\":\"data:application/pdf;base64,QQ==\"}]}],\"store\":false}");
}

static void sealed_reasoning_goes_back(void **state)
{
    struct tg_part parts[] = {
        {.kind = TG_PART_REASONING,
         .call_id = TG_STR("rs_1"),
         .text = TG_STR("hm"),
         .opaque = TG_OPAQUE_ENCRYPTED,
         .signature = TG_STR("gAAA==")},
        {.kind = TG_PART_REASONING,
         .text = TG_STR("x"),
         .opaque = TG_OPAQUE_SIGNED,
         .signature = TG_STR("s")},
        {.kind = TG_PART_REASONING, .opaque = TG_OPAQUE_ENCRYPTED, .signature = TG_STR("gB")},
        {.kind = TG_PART_TEXT, .text = TG_STR("a")},
    };
    feature_use(&u, &req, TG_FEATURE_COUNT);
    u.message = (struct tg_message){.role = TG_ROLE_ASSISTANT, .parts = parts, .n_parts = 4};
    assert_int_equal(encode(), 0);
    assert_str(out.body,
               "{\"model\":\"up\",\"input\":["
               "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\","
               "\"text\":\"hm\"}],\"encrypted_content\":\"gAAA==\"},"
               "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gB\"},"
               "{\"role\":\"assistant\",\"content\":\"a\"}],"
               "\"include\":[\"reasoning.encrypted_content\"],\"store\":false}");
}

static void tokens_to_think_become_a_word(void **state)
{
    static const struct {
        int64_t tokens;
        const char *word;
    } budgets[] = {{0, "none"}, {1024, "low"}, {8000, "medium"}, {32000, "high"}};
    for (size_t i = 0; i < TG_ARRAY_LEN(budgets); i++) {
        char want[64];
        feature_use(&u, &req, TG_FEATURE_COUNT);
        req.reasoning.budget_tokens = budgets[i].tokens;
        assert_int_equal(encode(), 0);
        snprintf(want, sizeof(want), "\"reasoning\":{\"effort\":\"%s\"}", budgets[i].word);
        assert_true(tg_str_find(out.body, tg_str_c(want)) > 0);
    }
}

/* History that the gateway kept, and a text as input: items byte for byte, in order. */
static void kept_items_go_back_as_they_are(void **state)
{
    static const struct tg_str history[] = {
        TG_STR_INIT("[{\"type\":\"message\",\"role\":\"user\",\"content\":\"one\"}]"),
        TG_STR_INIT("[{ \"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":["
                    "{\"type\":\"output_text\",\"text\":\"a\"},{\"type\":\"refusal\","
                    "\"refusal\":\"r\"}],\"phase\":\"final\"},{\"type\":\"web_search_call\",\"id\":"
                    "\"w\"}]")};
    struct tg_call call = {0};
    assert_int_equal(tg_dialect_responses.open(
                         &arena, NULL,
                         TG_STR("{\"model\":\"x\",\"input\":\"two\",\"previous_response_id\":"
                                "\"resp_1\",\"instructions\":\"i\",\"store\":false,\"tools\":[{"
                                "\"type\":\"web_search\"}]}"),
                         &call, &fail),
                     0);
    call.history = history;
    call.n_history = 2;
    assert_int_equal(tg_dialect_responses.parse(&arena, &call, &req, &fail), 0);
    assert_int_equal(encode(), 0);
    assert_str(
        out.body,
        "{\"model\":\"up\",\"instructions\":\"i\",\"input\":["
        "{\"type\":\"message\",\"role\":\"user\",\"content\":\"one\"},"
        "{ \"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":["
        "{\"type\":\"output_text\",\"text\":\"a\"},{\"type\":\"refusal\",\"refusal\":\"r\"}],"
        "\"phase\":\"final\"},{\"type\":\"web_search_call\",\"id\":\"w\"},"
        "{\"type\":\"message\",\"role\":\"user\",\"content\":\"two\"}],"
        "\"store\":false,\"tools\":[{\"type\":\"web_search\"}]}");
}

static void what_has_no_form_is_named(void **state)
{
    feature_use(&u, &req, TG_FEATURE_RAW_PART);
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "messages[0].content");
    feature_use(&u, &req, TG_FEATURE_TOOL_TYPES);
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "tools[0]");
    feature_use(&u, &req, TG_FEATURE_IMAGE);
    u.message.role = TG_ROLE_ASSISTANT;
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
}

/* ---- the fidelity row ---- */

static bool of_other_task(enum tg_feature f)
{
    return f == TG_FEATURE_DIMENSIONS || f == TG_FEATURE_BASE64 || f == TG_FEATURE_INPUT_TOKENS ||
           f == TG_FEATURE_INPUT_TYPE;
}

/* Dropped from what holds it, which differs from a plain request itself. */
static const char *left_behind(enum tg_feature f)
{
    return f == TG_FEATURE_REASONING || f == TG_FEATURE_SIGNED || f == TG_FEATURE_THOUGHT ? "hm"
           : f == TG_FEATURE_RESULT_ERROR                                                 ? "error"
                                                                                          : NULL;
}

static void every_feature_does_what_the_row_says(void **state)
{
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        const char *name = tg_feature_name((enum tg_feature)f);
        enum tg_fidelity fate = tg_adapter_openai_responses.fidelity[f];
        assert_int_not_equal(fate, TG_FIDELITY_UNSET);
        if (of_other_task((enum tg_feature)f))
            continue; /* embeddings go the same way as beside chat completions */
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
        const char *word = left_behind((enum tg_feature)f);
        if (fate == TG_DROPPED && word)
            assert_int_equal(tg_str_find(out.body, tg_str_c(word)), -1);
        else if (fate == TG_DROPPED)
            assert_str_equal(out.body, plain);
        else if (f != TG_FEATURE_COUNTING && tg_str_eq(out.body, plain))
            fail_msg("%s: nothing of it is in %.*s", name, TG_STR_ARG(out.body));
    }
}

static void memory_may_run_out(void **state)
{
    for (unsigned n = 1; n < 12; n++) {
        feature_use(&u, &req, TG_FEATURE_JSON_SCHEMA);
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
        TEST(passed_through),
        TEST(a_chat_with_everything),
        TEST(results_in_a_message),
        TEST(sealed_reasoning_goes_back),
        TEST(tokens_to_think_become_a_word),
        TEST(kept_items_go_back_as_they_are),
        TEST(what_has_no_form_is_named),
        TEST(every_feature_does_what_the_row_says),
        TEST(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
