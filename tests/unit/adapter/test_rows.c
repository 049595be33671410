/* Adapters' fidelity rows held against what their encoders do with a request that uses just that
 * feature: dropped leaves nothing of it behind, refused fails naming a field, the rest is there. */
#include "check.h"

#include <stdio.h>

#include "adapter/adapter.h"
#include "base/err.h"
#include "feature_use.h"
#include "json/json.h"

static struct tg_arena arena;
static struct feature_use u;
static struct tg_chat_req req;
static struct tg_adapter_request out;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 64 * 1024, 64u << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static int encode(const struct tg_adapter *ad)
{
    struct tg_adapter_target target = {.model = TG_STR("anthropic.claude-x")};
    tg_fail_clear(&fail);
    return ad->encode(&arena, &req, &target, &out, &fail);
}

/* What only an embedding or a count has, or what is not seen in the body by its nature. */
static bool is_elsewhere(int f)
{
    return f == TG_FEATURE_DIMENSIONS || f == TG_FEATURE_BASE64 || f == TG_FEATURE_INPUT_TOKENS ||
           f == TG_FEATURE_INPUT_TYPE || f == TG_FEATURE_COUNTING;
}

/* Their use needs something else in the request, which is what differs. */
static bool leaves_traces(int f)
{
    return f == TG_FEATURE_IMAGE_DETAIL || f == TG_FEATURE_REASONING || f == TG_FEATURE_SIGNED ||
           f == TG_FEATURE_ENCRYPTED || f == TG_FEATURE_TOOL_STRICT || f == TG_FEATURE_PARALLEL ||
           f == TG_FEATURE_RESULT_ERROR || f == TG_FEATURE_THOUGHT || f == TG_FEATURE_SHOW;
}

static void hold(const struct tg_adapter *ad, int f)
{
    const char *name = tg_feature_name((enum tg_feature)f);
    enum tg_fidelity fate = ad->fidelity[f];
    assert_int_not_equal(fate, TG_FIDELITY_UNSET);
    if (is_elsewhere(f))
        return;
    feature_use(&u, &req, TG_FEATURE_COUNT); /* nothing */
    assert_int_equal(encode(ad), 0);
    struct tg_str plain = out.body;
    feature_use(&u, &req, (enum tg_feature)f);
    int rc = encode(ad);
    if (fate == TG_REFUSED) {
        /* the caller refuses by the row; an encoder that sees more in a message than it can write
         * refuses by itself */
        assert_true(rc == 0 || rc == TG_E_UNSUPPORTED_PARAMETER);
        return;
    }
    if (rc)
        fail_msg("%s: %s: %s, but %s", ad->name, name, tg_fidelity_name(fate), fail.message);
    if (fate == TG_DROPPED && !leaves_traces(f) && !tg_str_eq(out.body, plain))
        fail_msg("%s: %s is dropped, but: %.*s", ad->name, name, TG_STR_ARG(out.body));
    bool invisible = f == TG_FEATURE_SYSTEM || f == TG_FEATURE_DEVELOPER || f == TG_FEATURE_REFUSAL;
    if (fate != TG_DROPPED && !invisible && tg_str_eq(out.body, plain))
        fail_msg("%s: nothing of %s is in %.*s", ad->name, name, TG_STR_ARG(out.body));
    struct tg_json_doc *doc;
    assert_int_equal(tg_json_parse(&arena, out.body, NULL, &doc, NULL), 0);
}

static void hold_all(const struct tg_adapter *ad)
{
    for (int f = 0; f < TG_FEATURE_COUNT; f++)
        hold(ad, f);
}

static void ollama(void **state)
{
    hold_all(&tg_adapter_ollama);
}

static void bedrock(void **state)
{
    hold_all(&tg_adapter_bedrock);
}

static void cohere(void **state)
{
    hold_all(&tg_adapter_cohere);
}

static void huggingface(void **state)
{
    hold_all(&tg_adapter_huggingface);
}

static void cohere_forces_one_tool(void **state)
{
    feature_use(&u, &req, TG_FEATURE_TOOL_NAMED);
    struct tg_tool tools[] = {{.is_function = true, .name = TG_STR("other"), .strict = 1},
                              {.is_function = true, .name = TG_STR("f"), .strict = -1}};
    req.tools = tools;
    req.n_tools = 2;
    assert_int_equal(encode(&tg_adapter_cohere), 0);
    assert_contains(out.body, "\"tool_choice\":\"REQUIRED\"");
    assert_contains(out.body, "\"name\":\"f\"");
    assert_lacks(out.body, "other");
    assert_lacks(out.body, "strict_tools"); /* of a tool that is not there */
    req.tool_choice.name = TG_STR("g");
    assert_int_equal(encode(&tg_adapter_cohere), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "tool_choice:named");
}

static void cohere_knows_what_embeddings_are_for(void **state)
{
    static const struct {
        const char *word, *want;
        bool dropped;
    } cases[] = {
        {"query", "search_query", false},       {"RETRIEVAL_DOCUMENT", "search_document", false},
        {"CLUSTERING", "clustering", false},    {"classification", "classification", false},
        {"something", "search_document", true}, {"", "search_document", false},
    };
    struct tg_str text = TG_STR("t"), raw = TG_STR("\"t\"");
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        feature_use(&u, &req, TG_FEATURE_COUNT);
        req.task = TG_TASK_EMBED;
        req.inputs = (struct tg_inputs){.texts = &text, .raw = &raw, .n = 1, .dimensions = -1};
        req.inputs.purpose = tg_str_c(cases[i].word);
        assert_int_equal(encode(&tg_adapter_cohere), 0);
        char want[64];
        snprintf(want, sizeof want, "\"input_type\":\"%s\"", cases[i].want);
        assert_true(tg_str_find(out.body, tg_str_c(want)) >= 0);
        assert_int_equal(out.dropped, cases[i].dropped ? TG_FEATURE_BIT(INPUT_TYPE) : 0);
    }
}

static void bedrock_takes_tiers_and_metadata(void **state)
{
    static const struct {
        const char *tier, *want;
    } tiers[] = {{"flex", "flex"},
                 {"priority", "priority"},
                 {"standard_only", "default"},
                 {"auto", NULL},
                 {"scale", NULL}};
    for (size_t i = 0; i < TG_ARRAY_LEN(tiers); i++) {
        char want[64];
        feature_use(&u, &req, TG_FEATURE_COUNT);
        req.service_tier = tg_str_c(tiers[i].tier);
        assert_int_equal(encode(&tg_adapter_bedrock), 0);
        snprintf(want, sizeof want, "\"serviceTier\":{\"type\":\"%s\"}",
                 tiers[i].want ? tiers[i].want : "");
        assert_int_equal(tg_str_find(out.body, tg_str_c(want)) >= 0, tiers[i].want != NULL);
        assert_int_equal(out.dropped, i == 4 ? TG_FEATURE_BIT(SERVICE_TIER) : 0);
    }
    static const char *const bad[] = {"{\"a\":1}", "{\"a\":\"\\u00e9\"}", "{\"\":\"b\"}",
                                      "{\"a\":{\"b\":\"c\"}}"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        feature_use(&u, &req, TG_FEATURE_COUNT);
        req.metadata = tg_str_c(bad[i]);
        assert_int_equal(encode(&tg_adapter_bedrock), 0);
        assert_lacks(out.body, "requestMetadata");
        assert_int_equal(out.dropped, TG_FEATURE_BIT(METADATA));
    }
    req.metadata = TG_STR("{\"team\":\"a-1 / b\"}");
    assert_int_equal(encode(&tg_adapter_bedrock), 0);
    assert_contains(out.body, "\"requestMetadata\":{\"team\":\"a-1 / b\"}");
    req.wire = TG_WIRE_NONE; /* the gateway's own shapes */
    assert_int_equal(encode(&tg_adapter_bedrock), 0);
    assert_lacks(out.body, "requestMetadata");
}

static struct tg_buf seen;

static void keep_logprobs(struct tg_sink *sink, const struct tg_event *ev)
{
    if (ev->kind == TG_EV_DELTA) {
        tg_buf_str_add(&seen, ev->text);
        tg_buf_str_add(&seen, ev->logprobs);
    }
}

static void keep_nothing(struct tg_sink *sink, struct tg_str raw, bool hide) {}

static void ollama_tells_logprobs(void **state)
{
    static const char lines[] =
        "{\"model\":\"m\",\"message\":{\"content\":\"a\"},\"done\":false,\"logprobs\":[{\"token\":"
        "\"a\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"\\u00e9\",\"logprob\":-1}]}]}\n"
        "{\"model\":\"m\",\"message\":{\"content\":\"b\"},\"done\":false,\"logprobs\":[]}\n"
        "{\"model\":\"m\",\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\"}\n";
    struct tg_adapter_response resp = {.stream = true, .task = TG_TASK_CHAT};
    struct tg_sink sink = {.on_event = keep_logprobs, .on_raw = keep_nothing};
    void *dec = tg_arena_zalloc(&arena, tg_adapter_ollama.state_bytes);
    tg_buf_init(&seen, 4096);
    assert_int_equal(tg_adapter_ollama.begin(dec, &resp), 0);
    for (size_t i = 0; i < sizeof lines - 1; i++)
        assert_int_equal(tg_adapter_ollama.on_bytes(dec, tg_str_make(lines + i, 1), &sink), 0);
    assert_int_equal(tg_adapter_ollama.on_end(dec, true, &sink), 0);
    tg_adapter_ollama.fini(dec);
    assert_str(tg_buf_str(&seen),
               "a{\"content\":[{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":["
               "{\"token\":\"\xc3\xa9\",\"logprob\":-1,\"bytes\":[195,169]}]}],\"refusal\":null}b");
    tg_buf_fini(&seen);
    feature_use(&u, &req, TG_FEATURE_PROMPT);
    feature_use_sampling(&req.sampling, TG_FEATURE_LOGPROBS);
    assert_int_equal(encode(&tg_adapter_ollama), 0);
    assert_int_equal(out.dropped, TG_FEATURE_BIT(LOGPROBS));
}

static struct tg_str header(const char *name)
{
    struct tg_http_head head = {.headers = out.headers, .n_headers = out.n_headers};
    return tg_http_head_get(&head, tg_str_c(name));
}

static void bedrock_heads(void **state)
{
    struct tg_adapter_target target = {.model =
                                           TG_STR("us.anthropic.claude-sonnet-4-5-20250929-v1:0")};
    feature_use(&u, &req, TG_FEATURE_COUNT);
    assert_int_equal(tg_adapter_bedrock.encode(&arena, &req, &target, &out, &fail), 0);
    assert_str(out.path, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse");
    assert_string_equal(out.aws_service, "bedrock");
    assert_null(header("authorization").p);
    req.stream = true;
    target.credential = TG_STR("key");
    assert_int_equal(tg_adapter_bedrock.encode(&arena, &req, &target, &out, &fail), 0);
    assert_str(out.path, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream");
    assert_null(out.aws_service);
    assert_str(header("authorization"), "Bearer key");
    target.model = TG_STR("arn:aws:bedrock:eu:1:inference-profile/x");
    assert_int_equal(tg_adapter_bedrock_invoke.encode(&arena, &req, &target, &out, &fail), 0);
    assert_str(out.path, "/model/arn%3Aaws%3Abedrock%3Aeu%3A1%3Ainference-profile%2Fx/"
                         "invoke-with-response-stream");
    assert_contains(out.body, "\"anthropic_version\":\"bedrock-2023-05-31\"");
    assert_lacks(out.body, "\"stream\"");
    assert_lacks(out.body, "\"model\"");
}

/* Converse wants roles in turn, no empty blocks, somebody who speaks, and to know of every tool
 * that was ever called. */
static void bedrock_conversations(void **state)
{
    struct tg_part hi = {.kind = TG_PART_TEXT, .text = TG_STR("hi")};
    struct tg_part empty = {.kind = TG_PART_TEXT, .text = TG_STR("")};
    struct tg_part call = {.kind = TG_PART_TOOL_CALL,
                           .call_id = TG_STR("c"),
                           .tool_name = TG_STR("f"),
                           .arguments = TG_STR("{}")};
    struct tg_part result = {
        .kind = TG_PART_TOOL_RESULT, .call_id = TG_STR("c"), .parts = &empty, .n_parts = 1};
    struct tg_tool tool = {.is_function = true, .name = TG_STR("g"), .strict = -1};
    struct tg_message silent[] = {{.role = TG_ROLE_USER, .parts = &hi, .n_parts = 1},
                                  {.role = TG_ROLE_ASSISTANT, .parts = &empty, .n_parts = 1},
                                  {.role = TG_ROLE_USER, .parts = &hi, .n_parts = 1}};
    feature_use(&u, &req, TG_FEATURE_COUNT);
    req.messages = silent;
    req.n_messages = 3;
    assert_int_equal(encode(&tg_adapter_bedrock), 0);
    assert_contains(out.body,
                    "[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"},{\"text\":\"hi\"}]}]");
    assert_int_equal(out.emulated, 0);

    struct tg_message system[] = {{.role = TG_ROLE_SYSTEM, .parts = &hi, .n_parts = 1}};
    req.messages = system;
    req.n_messages = 1;
    assert_int_equal(encode(&tg_adapter_bedrock), 0);
    assert_contains(out.body, "[{\"role\":\"user\",\"content\":[{\"text\":\"hi\"}]}]");
    assert_lacks(out.body, "\"system\"");
    assert_int_equal(out.emulated, TG_FEATURE_BIT(SYSTEM));

    struct tg_message called[] = {{.role = TG_ROLE_USER, .parts = &hi, .n_parts = 1},
                                  {.role = TG_ROLE_ASSISTANT, .parts = &call, .n_parts = 1},
                                  {.role = TG_ROLE_TOOL, .parts = &result, .n_parts = 1},
                                  {.role = TG_ROLE_ASSISTANT, .parts = &call, .n_parts = 1},
                                  {.role = TG_ROLE_TOOL, .parts = &result, .n_parts = 1}};
    req.messages = called;
    req.n_messages = 5;
    assert_int_equal(encode(&tg_adapter_bedrock), 0);
    assert_contains(out.body, "\"toolResult\":{\"toolUseId\":\"c\",\"content\":[]}");
    assert_contains(out.body,
                    "\"toolConfig\":{\"tools\":[{\"toolSpec\":{\"name\":\"f\",\"inputSchema\":"
                    "{\"json\":{\"type\":\"object\",\"properties\":{}}}}}]}");
    assert_int_equal(out.emulated, TG_FEATURE_BIT(TOOLS));
    req.tools = &tool;
    req.n_tools = 1;
    req.tool_choice.kind = TG_TOOL_CHOICE_NONE;
    assert_int_equal(encode(&tg_adapter_bedrock), 0);
    assert_contains(out.body, "\"toolSpec\":{\"name\":\"g\"");
    assert_lacks(out.body, "toolChoice");
    assert_int_equal(out.emulated, TG_FEATURE_BIT(TOOL_CHOICE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ollama, setup, teardown),
        cmocka_unit_test_setup_teardown(bedrock, setup, teardown),
        cmocka_unit_test_setup_teardown(cohere, setup, teardown),
        cmocka_unit_test_setup_teardown(huggingface, setup, teardown),
        cmocka_unit_test_setup_teardown(cohere_forces_one_tool, setup, teardown),
        cmocka_unit_test_setup_teardown(cohere_knows_what_embeddings_are_for, setup, teardown),
        cmocka_unit_test_setup_teardown(bedrock_takes_tiers_and_metadata, setup, teardown),
        cmocka_unit_test_setup_teardown(ollama_tells_logprobs, setup, teardown),
        cmocka_unit_test_setup_teardown(bedrock_heads, setup, teardown),
        cmocka_unit_test_setup_teardown(bedrock_conversations, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
