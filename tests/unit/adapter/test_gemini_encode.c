/* Requests of other dialects as Gemini's and Vertex's: every feature does what the fidelity row
 * says of it; errors; answers in pieces that no recording has. */
#include "check.h"

#include <stdio.h>

#include "answer.h"
#include "dialect/dialect.h"
#include "feature_use.h"
#include "json/json.h"
#include "render.h"

static struct tg_arena arena;
static struct tg_fail fail;
static struct tg_chat_req req;
static struct tg_adapter_request out;
static struct feature_use u;
static const char *model;
static const struct tg_adapter *adapter;

#define assert_is(s, want) check_str((s), (want), __FILE__, __LINE__)
#define BIT(name)          TG_FEATURE_BIT(name)
#define HI                 "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define CONTENTS           "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]}]"
#define TOOL               "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]"

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 64u << 20);
    model = "gemini-3-flash";
    adapter = &tg_adapter_gemini;
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
    struct tg_adapter_target target = {.model = tg_str_c(model), .credential = TG_STR("AIza-key")};
    tg_fail_clear(&fail);
    return adapter->encode(&arena, &req, &target, &out, &fail);
}

static void parse(const struct tg_dialect *d, const char *text)
{
    struct tg_call *call = tg_arena_new(&arena, struct tg_call);
    tg_fail_clear(&fail);
    assert_non_null(call);
    if (d->open(&arena, NULL, tg_str_c(text), call, &fail) || d->parse(&arena, call, &req, &fail))
        fail_msg("%s: %s", text, fail.message);
}

static struct tg_str body_of(const struct tg_dialect *d, const char *text)
{
    parse(d, text);
    if (encode())
        fail_msg("%s: %s", text, fail.message);
    return out.body;
}

static struct tg_str chat(const char *text)
{
    return body_of(&tg_dialect_openai_chat, text);
}

/* ---- paths ---- */

static void paths(void **state)
{
    static const struct {
        const char *model, *version, *base;
        bool stream;
        const char *want;
    } table[] = {
        {"gemini-3-flash", "", "", false, "/v1beta/models/gemini-3-flash:generateContent"},
        {"gemini-3-flash", "v1", "/proxy/", true,
         "/proxy/v1/models/gemini-3-flash:streamGenerateContent?alt=sse"},
        {"models/x", "", "", false, "/v1beta/models/x:generateContent"},
        {"tunedModels/x", "", "", false, "/v1beta/tunedModels/x:generateContent"},
        {"a/../b?key=1#%", "", "", false,
         "/v1beta/models/a%2F..%2Fb%3Fkey%3D1%23%25:generateContent"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct tg_adapter_target target = {.model = tg_str_c(table[i].model),
                                           .api_version = tg_str_c(table[i].version),
                                           .base_path = tg_str_c(table[i].base),
                                           .credential = TG_STR("k")};
        struct tg_pass pass = {.format = TG_WIRE_GEMINI_GENERATE, .stream = table[i].stream};
        assert_int_equal(adapter->encode_pass(&arena, &pass, &target, &out), 0);
        assert_is(out.path, tg_str_c(table[i].want));
        assert_str(out.headers[2].name, "x-goog-api-key");
        assert_str(out.headers[2].value, "k");
        assert_int_equal(out.n_headers, 3);
    }
}

static void passed_paths(void **state)
{
    struct tg_adapter_target target = {.model = TG_STR("g")};
    static const struct {
        struct tg_pass pass;
        const char *want;
    } table[] = {
        {{.format = TG_WIRE_GEMINI_GENERATE, .stream = true, .json_array = true},
         "/v1beta/models/g:streamGenerateContent"},
        {{.format = TG_WIRE_GEMINI_COUNT}, "/v1beta/models/g:countTokens"},
        {{.format = TG_WIRE_GEMINI_EMBED, .tail = TG_STR_INIT("/models/x:embedContent")},
         "/v1beta/models/g:embedContent"},
        {{.format = TG_WIRE_GEMINI_EMBED, .tail = TG_STR_INIT("/models/x:batchEmbedContents")},
         "/v1beta/models/g:batchEmbedContents"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        assert_int_equal(adapter->encode_pass(&arena, &table[i].pass, &target, &out), 0);
        assert_is(out.path, tg_str_c(table[i].want));
        assert_int_equal(out.n_headers, 2); /* no credential, no header */
    }
}

static void vertex_paths(void **state)
{
    struct tg_adapter_target target = {.model = TG_STR("gemini-2.5-pro"),
                                       .project = TG_STR("p-1"),
                                       .region = TG_STR("us-central1"),
                                       .credential = TG_STR("ya29")};
    struct tg_pass pass = {.format = TG_WIRE_GEMINI_GENERATE, .stream = true};
    assert_int_equal(tg_adapter_vertex.encode_pass(&arena, &pass, &target, &out), 0);
    assert_str(out.path, "/v1/projects/p-1/locations/us-central1/publishers/google/models/"
                         "gemini-2.5-pro:streamGenerateContent?alt=sse");
    assert_str(out.headers[2].name, "authorization");
    assert_str(out.headers[2].value, "Bearer ya29");
    target.model = TG_STR("endpoints/123");
    target.region = TG_STR("");
    pass.stream = false;
    assert_int_equal(tg_adapter_vertex.encode_pass(&arena, &pass, &target, &out), 0);
    assert_str(out.path, "/v1/projects/p-1/locations/global/endpoints/123:generateContent");
    target.project = TG_STR("");
    target.model = TG_STR("g");
    assert_int_equal(tg_adapter_vertex.encode_pass(&arena, &pass, &target, &out), 0);
    assert_str(out.path, "/v1/publishers/google/models/g:generateContent");
}

static void claude_on_vertex(void **state)
{
    struct tg_adapter_target target = {.model = TG_STR("claude-sonnet-4-5@20250929"),
                                       .project = TG_STR("p"),
                                       .region = TG_STR("europe-west1"),
                                       .credential = TG_STR("ya29")};
    for (int stream = 0; stream < 2; stream++) {
        parse(&tg_dialect_openai_chat,
              stream ? "{\"model\":\"x\",\"stream\":true," HI "}" : "{\"model\":\"x\"," HI "}");
        assert_int_equal(tg_adapter_vertex_claude.encode(&arena, &req, &target, &out, &fail), 0);
        assert_is(out.path,
                  stream ? TG_STR("/v1/projects/p/locations/europe-west1/publishers/anthropic/"
                                  "models/claude-sonnet-4-5@20250929:streamRawPredict")
                         : TG_STR("/v1/projects/p/locations/europe-west1/publishers/anthropic/"
                                  "models/claude-sonnet-4-5@20250929:rawPredict"));
        assert_contains(out.body, "\"anthropic_version\":\"vertex-2023-10-16\"");
        assert_lacks(out.body, "\"model\"");
        assert_is(out.headers[out.n_headers - 1].value, TG_STR("Bearer ya29"));
    }
    req.task = TG_TASK_COUNT;
    assert_int_equal(tg_adapter_vertex_claude.encode(&arena, &req, &target, &out, &fail), 0);
    assert_contains(out.path, "/models/count-tokens:rawPredict");
    assert_contains(out.body, "\"model\":\"claude-sonnet-4-5@20250929\"");
}

/* ---- messages ---- */

static void roles_are_merged(void **state)
{
    assert_str(
        chat("{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},"
             "{\"role\":\"developer\",\"content\":\"d\"},{\"role\":\"user\",\"content\":\"a\"},"
             "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\"},"
             "{\"role\":\"system\",\"content\":\"late\"},{\"role\":\"user\",\"content\":\"\"},"
             "{\"role\":\"user\",\"content\":\"e\"}]}"),
        "{\"systemInstruction\":{\"parts\":[{\"text\":\"s\"},{\"text\":\"d\"},{\"text\":\"late\"}]}"
        ",\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
        "{\"role\":\"model\",\"parts\":[{\"text\":\"c\"}]},{\"role\":\"user\",\"parts\":[{\"text\":"
        "\"e\"}]}]}");
    assert_int_equal(out.emulated, BIT(SYSTEM));
    assert_str(chat("{\"model\":\"x\",\"messages\":[{\"role\":\"system\",\"content\":\"hi\"}]}"),
               "{" CONTENTS "}");
    assert_int_equal(out.emulated, BIT(SYSTEM));
}

/* Results carry the name of their call, stand together, and are objects. */
static void calls_and_results(void **state)
{
    const char *text =
        "{\"model\":\"x\"," TOOL ",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1.0}\"}},{\"id\":"
        "\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{\\\"cut\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"plain\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"{\\\"k\\\":[1]}\"}]}";
    assert_str(
        chat(text),
        "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\","
        "\"parts\":[{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\": 1.0}},"
        "\"thoughtSignature\":\"skip_thought_signature_validator\"},{\"functionCall\":{\"id\":"
        "\"c2\",\"name\":\"g\",\"args\":{\"arguments\":\"{\\\"cut\"}}}]},{\"role\":\"user\","
        "\"parts\":[{\"functionResponse\":{\"id\":\"c2\",\"name\":\"g\",\"response\":{\"result\":"
        "\"plain\"}}},{\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\",\"response\":{\"k\":[1]}"
        "}}]}],\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]}");
    assert_int_equal(out.emulated, BIT(THOUGHT) | BIT(TOOLS));
    model = "gemini-2.5-flash"; /* wants no signature */
    assert_lacks(chat(text), "thoughtSignature");
    assert_int_equal(out.emulated, BIT(TOOLS));
}

/* A signature that came in a call's id goes back on the part it came from. */
static void signatures_go_back(void **state)
{
    struct tg_str b = body_of(
        &tg_dialect_openai_chat,
        "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
        "\"assistant\",\"tool_calls\":[{\"id\":\"c1__tgs_Q2lR\",\"type\":\"function\",\"function\":"
        "{\"name\":\"f\",\"arguments\":\"{}\"}},{\"id\":\"c2\",\"type\":\"function\",\"function\":{"
        "\"name\":\"g\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
        "\"c1__tgs_Q2lR\",\"content\":\"r\"}]}");
    assert_contains(b, "{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{}},"
                       "\"thoughtSignature\":\"CiQ\"},{\"functionCall\":{\"id\":\"c2\",\"name\":"
                       "\"g\",\"args\":{}}}");
    assert_contains(b, "\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\"");
    assert_int_equal(out.emulated, 0);
}

/* Anthropic's signed thoughts through a Gemini client, streamed: pieces and signature are one block
 * again. */
static void thoughts_of_others_go_back(void **state)
{
    struct render_run r;
    render_init(&r, &tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", true);
    r.call.json_array = true;
    render_begin(&r);
    render_part(&r, 0, 0, TG_PART_REASONING, "", "");
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "let me", "");
    render_delta(&r, 0, 0, TG_DELTA_REASONING, " see", "");
    render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                        .delta_kind = TG_DELTA_SIGNATURE,
                                        .opaque = TG_OPAQUE_SIGNED,
                                        .text = TG_STR("sig+/==")});
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_END});
    render_part(&r, 0, 1, TG_PART_TOOL_CALL, "t1", "f");
    render_delta(&r, 0, 1, TG_DELTA_ARGUMENTS, "{}", "");
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_END, .part = 1});
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "tool_use");
    struct tg_json_doc *doc;
    assert_int_equal(tg_json_parse(&arena, render_end(&r), NULL, &doc, NULL), 0);
    /* As Google's client library keeps them: each response's content. */
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    tg_buf_lit(&b, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}");
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    while (tg_json_next(&it)) {
        const struct tg_json *c = tg_json_at(tg_json_get(it.value, TG_STR("candidates")), 0);
        tg_buf_char(&b, ',');
        tg_buf_str_add(&b, tg_json_raw(doc, tg_json_get(c, TG_STR("content"))));
    }
    tg_buf_lit(&b, ",{\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{\"result\":"
                   "\"r\"}}}]}]}");
    tg_buf_char(&b, 0);
    adapter = &tg_adapter_anthropic;
    model = "claude-sonnet-4-5";
    struct tg_str body = body_of(&tg_dialect_gemini, b.p);
    assert_contains(
        body, "{\"type\":\"thinking\",\"thinking\":\"let me see\",\"signature\":"
              "\"sig+/==\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}");
    assert_contains(body, "{\"type\":\"tool_result\",\"tool_use_id\":\"t1\"");
    tg_buf_fini(&b);
    render_fini(&r);
}

static void errors_of_tools(void **state)
{
    struct tg_part inner = {.kind = TG_PART_TEXT, .text = TG_STR("no such file")};
    feature_use(&u, &req, TG_FEATURE_RESULT_ERROR);
    for (size_t i = 0; i < req.n_messages; i++) {
        struct tg_part *p = req.messages[i].parts;
        if (p->kind == TG_PART_TOOL_RESULT) {
            p->parts = &inner;
            p->n_parts = 1;
        }
    }
    assert_int_equal(encode(), 0);
    assert_contains(out.body, "\"response\":{\"error\":\"no such file\"}");
}

static void media(void **state)
{
    struct tg_str b = chat(
        "{\"model\":\"x\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:image/webp;base64,QUJD\"}},{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"https://x/y.PNG?z=1\"}},{\"type\":\"file\",\"file\":{"
        "\"file_data\":\"data:application/pdf;base64,QUJD\"}},{\"type\":\"input_audio\","
        "\"input_audio\":{\"data\":\"QUJD\",\"format\":\"mp3\"}}]}]}");
    assert_contains(b, "{\"inlineData\":{\"mimeType\":\"image/webp\",\"data\":\"QUJD\"}}");
    assert_contains(b,
                    "{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://x/y.PNG?z=1\""
                    "}}");
    assert_contains(b, "{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"QUJD\"}}");
    assert_contains(b, "{\"inlineData\":{\"mimeType\":\"audio/mpeg\",\"data\":\"QUJD\"}}");
}

/* Before Gemini 3 media stand behind the result. */
static void media_in_results(void **state)
{
    feature_use(&u, &req, TG_FEATURE_RESULT_MEDIA);
    assert_int_equal(encode(), 0);
    assert_contains(out.body, "\"parts\":[{\"inlineData\":");
    assert_int_equal(out.emulated & BIT(RESULT_MEDIA), 0);
    model = "gemini-2.5-flash";
    assert_int_equal(encode(), 0);
    assert_contains(out.body, "}}},{\"inlineData\":");
    assert_int_equal(out.emulated & BIT(RESULT_MEDIA), BIT(RESULT_MEDIA));
}

/* ---- options ---- */

static void tool_choice(void **state)
{
    static const struct {
        const char *given, *want;
    } table[] = {
        {"\"auto\"", "{\"mode\":\"AUTO\"}"},
        {"\"none\"", "{\"mode\":\"NONE\"}"},
        {"\"required\"", "{\"mode\":\"ANY\"}"},
        {"{\"type\":\"function\",\"function\":{\"name\":\"f\"}}",
         "{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char text[300], want[200];
        snprintf(text, sizeof text, "{\"model\":\"x\"," HI "," TOOL ",\"tool_choice\":%s}",
                 table[i].given);
        snprintf(want, sizeof want, "\"toolConfig\":{\"functionCallingConfig\":%s}", table[i].want);
        if (tg_str_find(chat(text), tg_str_c(want)) < 0)
            fail_msg("%s: %.*s", want, TG_STR_ARG(out.body));
    }
    assert_lacks(chat("{\"model\":\"x\"," HI ",\"tool_choice\":\"auto\"}"), "toolConfig");
    parse(&tg_dialect_openai_chat, "{\"model\":\"x\"," HI "," TOOL ",\"tool_choice\":{\"type\":"
                                   "\"function\",\"function\":{\"name\":\"f\"}}}");
    req.tool_choice.name = TG_STR("gone"); /* OpenAI's own dialect refuses it before */
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "tool_choice");
}

static void schemas(void **state)
{
    assert_contains(
        chat("{\"model\":\"x\"," HI ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":"
             "\"f\",\"parameters\":{\"$schema\":\"x\",\"type\":\"object\",\"properties\":{"
             "\"const\":{\"const\":\"a\"},\"n\":{\"type\":\"integer\",\"exclusiveMinimum\":0,"
             "\"examples\":[1]}},\"$defs\":{\"d\":{\"anyOf\":[{\"const\":1}]}}}}}]}"),
        "\"parametersJsonSchema\":{\"type\":\"object\",\"properties\":{\"const\":{\"enum\":[\"a\"]}"
        ",\"n\":{\"type\":\"integer\"}},\"$defs\":{\"d\":{\"anyOf\":[{\"enum\":[1]}]}}}");
    assert_int_equal(out.emulated, BIT(TOOLS));
    assert_contains(chat("{\"model\":\"x\"," HI ",\"response_format\":{\"type\":\"json_schema\","
                         "\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\":\"object\"}}}}"),
                    "\"generationConfig\":{\"responseMimeType\":\"application/json\","
                    "\"responseJsonSchema\":{\"type\":\"object\"}}");
    assert_int_equal(out.emulated, 0);
    assert_contains(chat("{\"model\":\"x\"," HI ",\"response_format\":{\"type\":\"json_object\"}}"),
                    "\"generationConfig\":{\"responseMimeType\":\"application/json\"}");
    assert_lacks(chat("{\"model\":\"x\"," HI ",\"response_format\":{\"type\":\"text\"}}"),
                 "generationConfig");
}

static void thinking(void **state)
{
    static const struct {
        const char *model, *given, *want;
        uint64_t dropped, emulated;
    } table[] = {
        {"gemini-3-flash", "\"reasoning_effort\":\"minimal\"", "{\"thinkingLevel\":\"minimal\"}", 0,
         0},
        {"gemini-3-flash", "\"reasoning_effort\":\"none\"", "{\"thinkingLevel\":\"minimal\"}", 0,
         BIT(EFFORT)},
        {"gemini-3-flash", "\"reasoning_effort\":\"medium\"", "{\"thinkingLevel\":\"medium\"}", 0,
         0},
        {"gemini-3-pro-preview", "\"reasoning_effort\":\"medium\"", "{\"thinkingLevel\":\"high\"}",
         0, BIT(EFFORT)},
        {"gemini-3.1-pro-preview", "\"reasoning_effort\":\"medium\"",
         "{\"thinkingLevel\":\"medium\"}", 0, 0},
        {"gemini-3-pro-preview", "\"reasoning_effort\":\"minimal\"", "{\"thinkingLevel\":\"low\"}",
         0, BIT(EFFORT)},
        {"gemini-flash-latest", "\"reasoning_effort\":\"xhigh\"", "{\"thinkingLevel\":\"high\"}", 0,
         BIT(EFFORT)},
        {"gemini-3-flash", "\"reasoning\":{\"max_tokens\":500}", "{\"thinkingBudget\":500}", 0, 0},
        {"gemini-2.5-flash", "\"reasoning_effort\":\"none\"", "{\"thinkingBudget\":0}", 0,
         BIT(EFFORT)},
        {"gemini-2.5-pro", "\"reasoning_effort\":\"none\"", "{\"thinkingBudget\":128}", 0,
         BIT(EFFORT)},
        {"gemini-2.5-flash", "\"reasoning_effort\":\"low\"", "{\"thinkingBudget\":1024}", 0,
         BIT(EFFORT)},
        {"gemini-2.5-flash", "\"reasoning_effort\":\"medium\"", "{\"thinkingBudget\":8192}", 0,
         BIT(EFFORT)},
        {"gemini-2.5-flash", "\"reasoning_effort\":\"high\"", "{\"thinkingBudget\":24576}", 0,
         BIT(EFFORT)},
        {"gemini-2.5-flash", "\"reasoning\":{\"max_tokens\":99999}", "{\"thinkingBudget\":24576}",
         0, BIT(BUDGET)},
        {"gemini-2.5-flash-lite", "\"reasoning\":{\"max_tokens\":100}", "{\"thinkingBudget\":512}",
         0, BIT(BUDGET)},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char text[300], want[100];
        model = table[i].model;
        snprintf(text, sizeof text, "{\"model\":\"x\"," HI ",%s}", table[i].given);
        snprintf(want, sizeof want, "\"thinkingConfig\":%s", table[i].want);
        if (tg_str_find(chat(text), tg_str_c(want)) < 0)
            fail_msg("%s %s: %.*s", model, want, TG_STR_ARG(out.body));
        assert_int_equal(out.dropped, table[i].dropped);
        assert_int_equal(out.emulated, table[i].emulated);
    }
    model = "gemini-2.0-flash";
    assert_str(chat("{\"model\":\"x\"," HI ",\"reasoning_effort\":\"low\"}"), "{" CONTENTS "}");
    assert_int_equal(out.dropped, BIT(EFFORT));
}

static void sampling(void **state)
{
    assert_contains(
        chat("{\"model\":\"x\"," HI ",\"temperature\":0.5,\"top_p\":0.25,\"top_k\":4,\"n\":2,"
             "\"presence_penalty\":1,\"frequency_penalty\":-1,\"max_completion_tokens\":9,"
             "\"seed\":5000000000,\"logprobs\":true,\"top_logprobs\":3,\"stop\":\"a\"}"),
        "\"generationConfig\":{\"temperature\":0.5,\"topP\":0.25,\"topK\":4,\"presencePenalty\":1,"
        "\"frequencyPenalty\":-1,\"maxOutputTokens\":9,\"candidateCount\":2,\"seed\":705032704,"
        "\"responseLogprobs\":true,\"logprobs\":3,\"stopSequences\":[\"a\"]}");
    assert_int_equal(out.emulated, BIT(SEED));
}

/* ---- other tasks ---- */

static void counting(void **state)
{
    parse(&tg_dialect_openai_chat, "{\"model\":\"x\"," HI "}");
    req.task = TG_TASK_COUNT;
    assert_int_equal(encode(), 0);
    assert_str(out.path, "/v1beta/models/gemini-3-flash:countTokens");
    assert_str(out.body,
               "{\"generateContentRequest\":{\"model\":\"models/gemini-3-flash\"," CONTENTS "}}");
    adapter = &tg_adapter_vertex;
    assert_int_equal(encode(), 0);
    assert_str(out.body, "{" CONTENTS "}");
}

static void embedding(void **state)
{
    model = "gemini-embedding-001";
    assert_str(body_of(&tg_dialect_openai_embeddings,
                       "{\"model\":\"x\",\"input\":[\"a\",\"b\"],\"dimensions\":7,\"input_type\":"
                       "\"query\",\"encoding_format\":\"base64\"}"),
               "{\"requests\":[{\"model\":\"models/gemini-embedding-001\",\"content\":{\"parts\":[{"
               "\"text\":\"a\"}]},\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":7},{"
               "\"model\":\"models/gemini-embedding-001\",\"content\":{\"parts\":[{\"text\":\"b\"}]"
               "},\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":7}]}");
    assert_str(out.path, "/v1beta/models/gemini-embedding-001:batchEmbedContents");
    adapter = &tg_adapter_vertex;
    assert_int_equal(encode(), 0);
    assert_str(out.body, "{\"instances\":[{\"content\":\"a\",\"task_type\":\"RETRIEVAL_QUERY\"},{"
                         "\"content\":\"b\",\"task_type\":\"RETRIEVAL_QUERY\"}],\"parameters\":{"
                         "\"outputDimensionality\":7}}");
    assert_contains(out.path, ":predict");
    adapter = &tg_adapter_gemini;
    parse(&tg_dialect_openai_embeddings, "{\"model\":\"x\",\"input\":[1,2,3]}");
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "input");
}

static void decoded(enum tg_chat_task task, bool stream, const char *body, const char *want)
{
    struct tg_adapter_response resp = {.task = task,
                                       .stream = stream,
                                       .format = TG_WIRE_GEMINI_GENERATE,
                                       .max_pending_bytes = 1 << 20};
    static const int cuts[] = {0, 1, 3, -7};
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct answer a;
        answer_init(&a);
        (void)answer_feed(&a, &tg_adapter_gemini, &resp, tg_str_c(body), cuts[i], true);
        assert_is(tg_buf_str(&a.log), tg_str_c(want));
        answer_fini(&a);
    }
}

static void answers_of_other_tasks(void **state)
{
    decoded(TG_TASK_COUNT, false, "{\"totalTokens\":9,\"cachedContentTokenCount\":4}",
            "START\nUSAGE in=5 read=4 write=0 out=0 reasoning=0\nEND\n");
    decoded(TG_TASK_EMBED, false, "{\"embeddings\":[{\"values\":[1.0,2]},{\"values\":[]}]}",
            "START\nITEM 0 text=\"[1.0,2]\"\nITEM 1 text=\"[]\"\nEND\n");
    decoded(TG_TASK_EMBED, false,
            "{\"embedding\":{\"values\":[1]},\"usageMetadata\":{"
            "\"promptTokenCount\":3}}",
            "START\nITEM 0 text=\"[1]\"\nUSAGE in=3 read=0 write=0 out=0 reasoning=0\nEND\n");
    decoded(TG_TASK_EMBED, false,
            "{\"predictions\":[{\"embeddings\":{\"values\":[1],\"statistics\":{\"token_count\":2}}}"
            "]}",
            "START\nITEM 0 text=\"[1]\"\nUSAGE in=2 read=0 write=0 out=0 reasoning=0\nEND\n");
    decoded(TG_TASK_EMBED, false, "{\"embeddings\":[{}]}",
            "START\nERROR UPSTREAM_INVALID message=\"the provider's answer could not be "
            "understood\"\n");
    decoded(TG_TASK_COUNT, false, "{}",
            "START\nERROR UPSTREAM_INVALID message=\"the provider's answer could not be "
            "understood\"\n");
}

/* ---- answers ---- */

static void several_candidates(void **state)
{
    decoded(TG_TASK_CHAT, true,
            "data: {\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"text\":\"b\"}]}},{"
            "\"index\":0,\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}"
            "\n\ndata: {\"candidates\":[{\"index\":1,\"finishReason\":\"MAX_TOKENS\"}],"
            "\"usageMetadata\":{\"promptTokenCount\":10,\"cachedContentTokenCount\":4,"
            "\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2,\"toolUsePromptTokenCount\":5,"
            "\"totalTokenCount\":20}}\n\n",
            "START\nPART 1.0 text\nDELTA 1.0 text text=\"b\"\nPART 0.0 text\nDELTA 0.0 text "
            "text=\"a\"\nUSAGE in=11 read=4 write=0 out=3 reasoning=2\nPARTEND 1.0\nFINISH 1 "
            "length text=\"MAX_TOKENS\"\nPARTEND 0.0\nFINISH 0 stop text=\"STOP\"\nEND\n");
}

static void a_blocked_prompt(void **state)
{
    for (int stream = 0; stream < 2; stream++)
        decoded(TG_TASK_CHAT, stream,
                "{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},\"usageMetadata\":{"
                "\"promptTokenCount\":3}}",
                "START\nEXTRA 0 name=\"promptFeedback\" text=\"{\\\"blockReason\\\":"
                "\\\"PROHIBITED_CONTENT\\\"}\" gemini_generate\nUSAGE in=3 read=0 write=0 out=0 "
                "reasoning=0\nFINISH 0 content_filter text=\"PROHIBITED_CONTENT\"\nEND\n");
    decoded(TG_TASK_CHAT, false, "{\"usageMetadata\":{\"promptTokenCount\":3}}",
            "START\nUSAGE in=3 read=0 write=0 out=0 reasoning=0\nERROR UPSTREAM_INVALID "
            "message=\"the provider's answer has no candidates\"\n");
}

static void nothing_is_passed_on(void **state)
{
    struct tg_adapter_response resp = {
        .tap = true, .format = TG_WIRE_GEMINI_GENERATE, .max_pending_bytes = 1 << 20};
    static const struct {
        const char *body;
        bool passed;
    } table[] = {
        {"{\"usageMetadata\":{\"promptTokenCount\":3},\"modelVersion\":\"g\"}", true},
        {"{\"candidates\":[],\"responseId\":\"r\"}", true},
        {"{}", false},
        {"{\"candidates\":[]}", false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct answer a;
        answer_init(&a);
        (void)answer_feed(&a, &tg_adapter_gemini, &resp, tg_str_c(table[i].body), 3, true);
        assert_int_equal(a.ends, table[i].passed);
        assert_is(tg_buf_str(&a.raws), table[i].passed ? tg_str_c(table[i].body) : TG_STR(""));
        answer_fini(&a);
    }
}

static void malformed_calls(void **state)
{
    decoded(TG_TASK_CHAT, false,
            "{\"responseId\":\"r\",\"candidates\":[{\"content\":{},\"finishReason\":"
            "\"MALFORMED_FUNCTION_CALL\",\"finishMessage\":\"bad\"}]}",
            "START id=\"r\"\nEXTRA 0 name=\"finishMessage\" text=\"\\\"bad\\\"\" gemini_generate\n"
            "FINISH 0 other text=\"MALFORMED_FUNCTION_CALL\"\nEND\n");
}

static void calls_get_ids(void **state)
{
    decoded(TG_TASK_CHAT, false,
            "{\"responseId\":\"r\",\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{"
            "\"name\":\"f\"},\"thoughtSignature\":\"Qw==\"},{\"functionCall\":{\"id\":\"own\","
            "\"name\":\"g\",\"args\":{\"a\":1.0}}},{\"executableCode\":{\"code\":\"1\"}},{"
            "\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"QQ==\"}}]},\"finishReason\":"
            "\"STOP\"}]}",
            "START id=\"r\"\nPART 0.0 call id=\"call_r_0_0\" name=\"f\" signature=\"Qw==\" "
            "opaque=4\nDELTA 0.0 arguments text=\"{}\"\nPARTEND 0.0\nPART 0.1 call id=\"own\" "
            "name=\"g\"\nDELTA 0.1 arguments text=\"{\\\"a\\\":1.0}\"\nPARTEND 0.1\nPART 0.2 raw "
            "text=\"{\\\"executableCode\\\":{\\\"code\\\":\\\"1\\\"}}\" gemini_generate\nPARTEND "
            "0.2\nPART 0.3 image mime=\"image/png\" data=\"QQ==\"\nPARTEND 0.3\nFINISH 0 "
            "tool_calls text=\"STOP\"\nEND\n");
}

#define PIECE(path, rest)                                                                   \
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"partialArgs\":[{" \
    "\"jsonPath\":\"" path "\"," rest "}],\"willContinue\":true}}]}}]}\n\n"

static void arguments_in_pieces(void **state)
{
    struct tg_adapter_response resp = {
        .stream = true, .format = TG_WIRE_GEMINI_GENERATE, .max_pending_bytes = 1 << 20};
    static const struct {
        const char *pieces, *want;
    } table[] = {
        {"", "{}"},
        {PIECE("$.a", "\"stringValue\":\"x\\\"\",\"willContinue\":true")
             PIECE("$.a", "\"stringValue\":\"y\"") PIECE("$.b.c[0].d", "\"numberValue\":1.50")
                 PIECE("$.b.c[0]['e.f']", "\"boolValue\":true")
                     PIECE("$.b.c[1].d", "\"nullValue\":\"NULL_VALUE\"")
                         PIECE("$.b.g[0][0]", "\"stringValue\":\"\""),
         "{\"a\":\"x\\\"y\",\"b\":{\"c\":[{\"d\":1.50,\"e.f\":true},{\"d\":null}],\"g\":[[\"\"]]}"
         "}"},
        {PIECE("$", "\"numberValue\":1"), NULL},
        {PIECE("$[0]", "\"numberValue\":1"), NULL},
        {PIECE("$.a", "\"numberValue\":1") PIECE("$.a.b", "\"numberValue\":1"), NULL},
        {PIECE("$.a[0]", "\"numberValue\":1") PIECE("$.a.b", "\"numberValue\":1"), NULL},
        {PIECE("$.a[", "\"numberValue\":1"), NULL},
        {PIECE("a", "\"numberValue\":1"), NULL},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct answer a;
        char body[4096];
        answer_init(&a);
        snprintf(body, sizeof body,
                 "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":"
                 "\"f\",\"willContinue\":true}}]}}]}\n\n%sdata: {\"candidates\":[{\"content\":{"
                 "\"parts\":[{\"functionCall\":{}}]},\"finishReason\":\"STOP\"}]}\n\n",
                 table[i].pieces);
        (void)answer_feed(&a, &tg_adapter_gemini, &resp, tg_str_c(body), 5, true);
        if (!table[i].want) {
            assert_int_equal(a.fail.err, TG_E_UPSTREAM_INVALID);
        } else {
            assert_int_equal(a.ends, 1);
            assert_is(tg_buf_str(&a.collect.choices[0].parts[0].text), tg_str_c(table[i].want));
        }
        answer_fini(&a);
    }
}

static void sources(void **state)
{
    decoded(TG_TASK_CHAT, false,
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"abc\"}]},\"finishReason\":"
            "\"STOP\",\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://x\","
            "\"title\":\"X\"}}],\"groundingSupports\":[{\"segment\":{\"endIndex\":2},"
            "\"groundingChunkIndices\":[0,7]}]}}]}",
            "START\nPART 0.0 text\nDELTA 0.0 text text=\"abc\"\nDELTA 0.0 citation "
            "url=\"https://x\" title=\"X\" "
            "raw=\"{\\\"uri\\\":\\\"https://x\\\",\\\"title\\\":\\\"X\\\"}\" 0-2\nEXTRA 0 "
            "name=\"groundingMetadata\" text=\"{\\\"groundingChunks\\\":[{\\\"web\\\":{\\\"uri\\\":"
            "\\\"https://x\\\",\\\"title\\\":\\\"X\\\"}}],\\\"groundingSupports\\\":[{\\\"segment"
            "\\\":{\\\"endIndex\\\":2},\\\"groundingChunkIndices\\\":[0,7]}]}\" gemini_generate\n"
            "PARTEND 0.0\nFINISH 0 stop text=\"STOP\"\nEND\n");
}

static void logprobs(void **state)
{
    decoded(TG_TASK_CHAT, false,
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"logprobsResult\":{"
            "\"chosenCandidates\":[{\"token\":\"a\",\"logProbability\":-0.50}],\"topCandidates\":[{"
            "\"candidates\":[{\"token\":\"b\",\"logProbability\":-1}]}]}}]}",
            "START\nPART 0.0 text\nDELTA 0.0 text text=\"a\" logprobs=\"{\\\"content\\\":[{"
            "\\\"token\\\":\\\"a\\\",\\\"logprob\\\":-0.50,\\\"bytes\\\":[97],\\\"top_logprobs\\\":"
            "[{\\\"token\\\":\\\"b\\\",\\\"logprob\\\":-1,\\\"bytes\\\":[98]}]}],\\\"refusal\\\":"
            "null}\"\nPARTEND 0.0\nFINISH 0 stop\nEND\n");
}

static void errors_inside_streams(void **state)
{
    static const char *const bodies[] = {
        "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n",
        "[{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}]",
        "{\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++)
        decoded(TG_TASK_CHAT, true, bodies[i], "ERROR UPSTREAM_OVERLOADED message=\"busy\"\n");
}

/* What the client asked for is what it gets, in whatever framing the provider answers. */
static void framings(void **state)
{
#define R1 "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}"
#define R2 "{\"candidates\":[{\"finishReason\":\"STOP\"}]}"
    static const struct {
        const char *body;
        bool array;
        const char *want;
    } table[] = {
        {"[" R1 "\r\n,\r\n" R2 "]\n", true, "[" R1 "\r\n,\r\n" R2 "]\n"},
        {"[" R1 ",\n" R2 "\n]", false, "data: " R1 "\r\n\r\ndata: " R2 "\r\n\r\n"},
        {"data: " R1 "\r\n\r\ndata: " R2 "\r\n\r\n", true, "[" R1 ",\r\n" R2 "]"},
        {R2, true, "[" R2 "]"},
        {R2, false, "data: " R2 "\r\n\r\n"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        for (int cut = 0; cut < 20; cut++) {
            struct tg_adapter_response resp = {.stream = true,
                                               .tap = true,
                                               .json_array = table[i].array,
                                               .format = TG_WIRE_GEMINI_GENERATE,
                                               .max_pending_bytes = 1 << 20};
            struct answer a;
            answer_init(&a);
            assert_int_equal(
                answer_feed(&a, &tg_adapter_gemini, &resp, tg_str_c(table[i].body), cut, true), 0);
            assert_is(tg_buf_str(&a.raws), tg_str_c(table[i].want));
            answer_fini(&a);
        }
    }
}

/* ---- error answers ---- */

static void classified(void **state)
{
    static const struct {
        int status;
        const char *body;
        int err, shown;
        int64_t retry_ms;
        bool pass;
    } table[] = {
        {400, "{\"error\":{\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\"}}",
         TG_E_UPSTREAM_REJECTED, 400, -1, true},
        {400,
         "{\"error\":{\"message\":\"API key not valid\",\"details\":[{\"reason\":"
         "\"API_KEY_INVALID\"}]}}",
         TG_E_UPSTREAM_AUTH, 502, -1, false},
        {403, "{\"error\":{\"message\":\"m\",\"status\":\"PERMISSION_DENIED\"}}",
         TG_E_UPSTREAM_AUTH, 502, -1, false},
        {404, "{\"error\":{\"message\":\"m\",\"status\":\"NOT_FOUND\"}}", TG_E_UPSTREAM_REJECTED,
         404, -1, true},
        {429, "{\"error\":{\"message\":\"m\",\"details\":[{\"retryDelay\":\"1.5s\"}]}}",
         TG_E_UPSTREAM_RATE_LIMIT, 429, 1500, true},
        {429, "{\"error\":{\"message\":\"m\",\"details\":[{\"retryDelay\":\"soon\"}]}}",
         TG_E_UPSTREAM_RATE_LIMIT, 429, -1, true},
        {400,
         "{\"error\":{\"message\":\"The input token count (5) exceeds the maximum number of "
         "tokens allowed (4).\"}}",
         TG_E_CONTEXT_LENGTH, 400, -1, true},
        {500, "{\"error\":{\"message\":\"m\",\"status\":\"INTERNAL\"}}", TG_E_UPSTREAM_ERROR, 500,
         -1, true},
        {503, "[{\"error\":{\"message\":\"m\",\"status\":\"UNAVAILABLE\"}}]",
         TG_E_UPSTREAM_OVERLOADED, 503, -1, false},
        {502, "<html>", TG_E_UPSTREAM_ERROR, 502, -1, false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct tg_http_head head = {.status = table[i].status};
        tg_fail_clear(&fail);
        bool pass = tg_adapter_gemini.classify(&arena, &head, tg_str_c(table[i].body), &fail);
        assert_int_equal(fail.err, table[i].err);
        assert_int_equal(tg_fail_status(&fail), table[i].shown);
        assert_int_equal(fail.retry_after_ms, table[i].retry_ms);
        assert_int_equal(fail.provider_status, table[i].status);
        assert_int_equal(pass, table[i].pass);
    }
}

/* ---- the row ---- */

static bool is_embedding(int f)
{
    return f == TG_FEATURE_DIMENSIONS || f == TG_FEATURE_BASE64 || f == TG_FEATURE_INPUT_TOKENS ||
           f == TG_FEATURE_INPUT_TYPE;
}

/* Features whose use needs something else in the request, which is what differs. */
static bool leaves_traces(int f)
{
    return f == TG_FEATURE_IMAGE_DETAIL || f == TG_FEATURE_REASONING || f == TG_FEATURE_SIGNED ||
           f == TG_FEATURE_ENCRYPTED || f == TG_FEATURE_TOOL_STRICT || f == TG_FEATURE_PARALLEL;
}

static void every_feature_does_what_the_row_says(void **state)
{
    for (int f = 0; f < TG_FEATURE_COUNT; f++) {
        const char *name = tg_feature_name((enum tg_feature)f);
        enum tg_fidelity fate = tg_adapter_gemini.fidelity[f];
        assert_int_not_equal(fate, TG_FIDELITY_UNSET);
        if (is_embedding(f))
            continue;                            /* held by the test of embeddings */
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
        if (fate == TG_DROPPED && !leaves_traces(f))
            assert_is(out.body, plain);
        if (fate == TG_DROPPED)
            assert_lacks(out.body, "hm");
        if (fate != TG_DROPPED && f != TG_FEATURE_SYSTEM && f != TG_FEATURE_DEVELOPER &&
            tg_str_eq(out.body, plain))
            fail_msg("%s: nothing of it is in %.*s", name, TG_STR_ARG(out.body));
        struct tg_json_doc *doc;
        assert_int_equal(tg_json_parse(&arena, out.body, NULL, &doc, NULL), 0);
    }
}

/* What is encoded is whole, or there is no memory for it. */
static void memory_may_run_out(void **state)
{
    static const enum tg_feature features[] = {TG_FEATURE_JSON_SCHEMA, TG_FEATURE_RESULT_ERROR,
                                               TG_FEATURE_TOOLS, TG_FEATURE_RESULT_MEDIA};
    for (size_t i = 0; i < TG_ARRAY_LEN(features); i++) {
        feature_use(&u, &req, features[i]);
        assert_int_equal(encode(), 0);
        struct tg_buf whole;
        tg_buf_init(&whole, 1 << 20);
        tg_buf_str_add(&whole, out.body);
        int rc = TG_E_NOMEM;
        for (unsigned n = 1; n < 200 && rc; n++) {
            tg_arena_fini(&arena);
            tg_arena_init(&arena, 64, 64u << 20);
            tg_alloc_fail_at(n, n % 2);
            rc = encode();
            tg_alloc_fail_at(0, 0);
            assert_true(rc == 0 || rc == TG_E_NOMEM);
        }
        assert_int_equal(rc, 0);
        assert_is(out.body, tg_buf_str(&whole));
        tg_buf_fini(&whole);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(paths),
        TEST(passed_paths),
        TEST(vertex_paths),
        TEST(claude_on_vertex),
        TEST(roles_are_merged),
        TEST(calls_and_results),
        TEST(signatures_go_back),
        TEST(thoughts_of_others_go_back),
        TEST(errors_of_tools),
        TEST(media),
        TEST(media_in_results),
        TEST(tool_choice),
        TEST(schemas),
        TEST(thinking),
        TEST(sampling),
        TEST(counting),
        TEST(embedding),
        TEST(answers_of_other_tasks),
        TEST(several_candidates),
        TEST(a_blocked_prompt),
        TEST(nothing_is_passed_on),
        TEST(malformed_calls),
        TEST(calls_get_ids),
        TEST(arguments_in_pieces),
        TEST(sources),
        TEST(logprobs),
        TEST(errors_inside_streams),
        TEST(framings),
        TEST(classified),
        TEST(every_feature_does_what_the_row_says),
        TEST(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
