/* The Gemini dialects: what paths and bodies mean, what of a body passes on, how answers look. */
#include "check.h"

#include <stdio.h>

#include "canon.h"
#include "json/json.h"
#include "render.h"

#define assert_is(s, want) check_str((s), (want), __FILE__, __LINE__)

static struct tg_arena arena;
static struct tg_fail fail;
static struct tg_call call;
static struct tg_chat_req req;
static struct tg_buf text;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 64u << 20);
    tg_buf_init(&text, 8u << 20);
    tg_fail_clear(&fail);
    call = (struct tg_call){0};
    return 0;
}

static int teardown(void **state)
{
    tg_buf_fini(&text);
    tg_arena_fini(&arena);
    return 0;
}

static int open_at(const struct tg_dialect *d, const char *target, const char *body)
{
    struct tg_http_head head = {.method = TG_HTTP_POST, .target = tg_str_c(target)};
    return d->open(&arena, &head, tg_str_c(body), &call, &fail);
}

/* The canonical form as text, or the failure's field. */
static struct tg_str meaning(const char *body)
{
    tg_buf_clear(&text);
    tg_fail_clear(&fail);
    int rc = tg_dialect_gemini.open(&arena, NULL, tg_str_c(body), &call, &fail);
    if (!rc)
        rc = tg_dialect_gemini.parse(&arena, &call, &req, &fail);
    if (rc) {
        assert_int_equal(rc, fail.err);
        return tg_str_c(fail.param);
    }
    canon_dump(&text, &req);
    return tg_buf_str(&text);
}

#define HI "{\"contents\":[{\"parts\":[{\"text\":\"hi\"}]}]}"

/* ---- paths ---- */

static void the_model_is_in_the_path(void **state)
{
    static const struct {
        const char *target, *model;
        bool stream, array;
    } cases[] = {
        {"/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash", false, false},
        {"/v1/models/g:generateContent?key=secret", "g", false, false},
        {"/v1beta/models/models%2Fg:generateContent", "g", false, false},
        {"/v1beta/models/openai/gpt-4:generateContent", "openai/gpt-4", false, false},
        {"/v1beta/models/a%3Ab:generateContent", "a:b", false, false},
        {"/v1beta/models/g%3agenerateContent", "g", false, false},
        {"/v1beta/models/a%3Ab%3AstreamGenerateContent", "a:b", true, true},
        {"/v1beta/tunedModels/mine-1:generateContent", "tunedModels/mine-1", false, false},
        {"/v1beta/models/g:streamGenerateContent?alt=sse", "g", true, false},
        {"/v1beta/models/g:streamGenerateContent?key=k&alt=SSE", "g", true, false},
        {"/v1beta/models/g:streamGenerateContent?%24alt=sse", "g", true, false},
        {"/v1beta/models/g:streamGenerateContent", "g", true, true},
        {"/v1beta/models/g:streamGenerateContent?alt=json", "g", true, true},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        assert_int_equal(open_at(&tg_dialect_gemini, cases[i].target, HI), 0);
        assert_is(call.model, tg_str_c(cases[i].model));
        assert_int_equal(call.stream, cases[i].stream);
        assert_int_equal(call.json_array, cases[i].array);
        if (cases[i].array)
            assert_string_equal(call.stream_content_type, "application/json");
    }
    assert_int_equal(open_at(&tg_dialect_gemini, "/v1beta/models/%zz:generateContent", HI),
                     TG_E_BAD_REQUEST);
}

static void what_open_refuses(void **state)
{
    static const struct {
        const char *body;
        int err;
    } cases[] = {
        {"", TG_E_INVALID_JSON},
        {"[]", TG_E_INVALID_VALUE},
        {"{}", TG_E_MISSING_FIELD},
        {"{\"contents\":null}", TG_E_MISSING_FIELD},
        {"{\"contents\":[]}", TG_E_INVALID_VALUE},
        {"{\"contents\":\"hi\"}", TG_E_INVALID_VALUE},
        {"{\"contents\":[{}],\"contents\":[{}]}", TG_E_DUPLICATE_KEY},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_fail_clear(&fail);
        assert_int_equal(open_at(&tg_dialect_gemini, "/v1/models/g:generateContent", cases[i].body),
                         cases[i].err);
        assert_int_equal(fail.err, cases[i].err);
    }
}

/* ---- parsing ---- */

static void roles_and_system(void **state)
{
    assert_is(
        meaning("{\"system_instruction\":{\"parts\":[{\"text\":\"be\"}]},\"contents\":["
                "{\"role\":\"user\",\"parts\":[{\"text\":\"hi\"}]},"
                "{\"role\":\"model\",\"parts\":[{\"text\":\"ho\"}]},{\"parts\":{\"text\":"
                "\"one\"}}],\"safetySettings\":[],\"cachedContent\":\"c/1\"}"),
        TG_STR("request include_usage\n"
               "system\n  text text=\"be\" raw={\"text\":\"be\"}\n"
               "user extra=\"role\":\"user\"\n  text text=\"hi\" raw={\"text\":\"hi\"}\n"
               "assistant extra=\"role\":\"model\"\n  text text=\"ho\" raw={\"text\":\"ho\"}\n"
               "user extra=\"role\":\"user\"\n  text text=\"one\" raw={\"text\":\"one\"}\n"
               "extra members=\"safetySettings\":[],\"cachedContent\":\"c/1\"\n"));
    assert_is(meaning("{\"contents\":[{\"role\":\"owner\"}]}"), TG_STR("contents[0]"));
    assert_is(meaning("{\"contents\":[{\"parts\":[{\"text\":1}]}]}"),
              TG_STR("contents[0].parts[0]"));
    assert_is(meaning("{\"contents\":[{\"parts\":[7]}]}"), TG_STR("contents[0].parts[0]"));
}

static void calls_and_results_find_each_other(void **state)
{
    assert_int_equal(
        meaning("{\"contents\":["
                "{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"a\",\"args\":{\"x\":"
                "1.50}}},{\"function_call\":{\"name\":\"b\"}},{\"functionCall\":{\"name\":\"a\","
                "\"id\":\"own\"}}]},"
                "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"b\",\"response\":{"
                "\"output\":\"B\"}}},{\"function_response\":{\"name\":\"a\",\"response\":{"
                "\"error\":\"no\"}}},{\"text\":\"and\"},{\"functionResponse\":{\"id\":\"own\","
                "\"name\":\"a\",\"response\":{\"k\":[1]}}}]}]}")
                .n > 0,
        1);
    assert_int_equal(req.n_messages, 5);
    const struct tg_part *calls = req.messages[0].parts;
    assert_is(calls[0].arguments, TG_STR("{\"x\":1.50}"));
    assert_is(calls[1].arguments, TG_STR("{}"));
    assert_is(calls[2].call_id, TG_STR("own"));
    assert_false(tg_str_eq(calls[0].call_id, calls[1].call_id));
    assert_int_equal(req.messages[1].role, TG_ROLE_TOOL);
    assert_is(req.messages[1].parts[0].call_id, calls[1].call_id);
    assert_is(req.messages[1].parts[0].parts[0].text, TG_STR("B"));
    assert_is(req.messages[2].parts[0].call_id, calls[0].call_id);
    assert_true(req.messages[2].parts[0].is_error);
    assert_is(req.messages[2].parts[0].parts[0].text, TG_STR("no"));
    assert_int_equal(req.messages[3].role, TG_ROLE_USER);
    assert_is(req.messages[4].parts[0].call_id, TG_STR("own"));
    assert_is(req.messages[4].parts[0].parts[0].text, TG_STR("{\"k\":[1]}"));
}

/* Google's client library keeps each piece of a streamed turn as a content. */
static void a_turn_in_pieces_is_one_message(void **state)
{
    meaning(
        "{\"contents\":[{\"parts\":[{\"text\":\"q\"}]},{\"role\":\"model\",\"parts\":[{\"text\":"
        "\"a\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\"}},{"
        "\"functionCall\":"
        "{\"name\":\"g\"}}]},{\"role\":\"model\"},{\"role\":\"model\",\"parts\":[{\"text\":\"\"}]},"
        "{"
        "\"parts\":[{\"text\":\"r\"}]},{\"parts\":[{\"text\":\"s\"}]}]}");
    assert_int_equal(req.n_messages, 4);
    assert_int_equal(req.messages[1].role, TG_ROLE_ASSISTANT);
    assert_int_equal(req.messages[1].n_parts, 4);
    assert_is(req.messages[1].parts[2].tool_name, TG_STR("g"));
}

static void media_by_their_types(void **state)
{
    static const struct {
        const char *part;
        enum tg_part_kind kind;
        enum tg_media_source source;
        const char *data;
    } cases[] = {
        {"{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AA==\"}}", TG_PART_IMAGE,
         TG_MEDIA_INLINE, "AA=="},
        {"{\"inline_data\":{\"mime_type\":\"audio/mpeg\",\"data\":\"AA==\"}}", TG_PART_AUDIO,
         TG_MEDIA_INLINE, "AA=="},
        {"{\"inlineData\":{\"mimeType\":\"application/pdf\",\"data\":\"AA==\"}}", TG_PART_DOCUMENT,
         TG_MEDIA_INLINE, "AA=="},
        {"{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://x/y.png\"}}",
         TG_PART_IMAGE, TG_MEDIA_URL, "https://x/y.png"},
        {"{\"file_data\":{\"mime_type\":\"image/png\",\"file_uri\":\"gs://b/y.png\"}}",
         TG_PART_IMAGE, TG_MEDIA_FILE_ID, "gs://b/y.png"},
        {"{\"fileData\":{\"fileUri\":\"https://youtu.be/x\"}}", TG_PART_RAW, 0, ""},
        {"{\"inlineData\":{\"mimeType\":\"video/mp4\",\"data\":\"AA==\"}}", TG_PART_RAW, 0, ""},
        {"{\"executableCode\":{\"language\":\"PYTHON\",\"code\":\"1\"}}", TG_PART_RAW, 0, ""},
        {"{\"thoughtSignature\":\"AA==\"}", TG_PART_TEXT, 0, ""},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char body[256];
        snprintf(body, sizeof body, "{\"contents\":[{\"parts\":[%s]}]}", cases[i].part);
        assert_true(meaning(body).n > 20);
        const struct tg_part *p = &req.messages[0].parts[0];
        assert_int_equal(p->kind, cases[i].kind);
        assert_is(p->raw, tg_str_c(cases[i].part));
        assert_int_equal(p->media.source, cases[i].source);
        assert_is(p->media.data, tg_str_c(cases[i].data));
    }
}

static void schemas_change_their_spelling(void **state)
{
    meaning(
        "{\"contents\":[{\"parts\":[{}]}],\"tools\":[{\"function_declarations\":[{\"name\":\"f\","
        "\"parameters\":{\"type\":\"OBJECT\",\"properties\":{\"type\":{\"type\":\"STRING\","
        "\"nullable\":true,\"enum\":[\"A\"]},\"l\":{\"type\":\"ARRAY\",\"items\":{\"type\":"
        "\"INTEGER\"},\"min_items\":\"2\",\"any_of\":[{\"type\":\"NUMBER\"}]}},\"required\":["
        "\"type\"],\"propertyOrdering\":[\"l\"]}}]},{\"googleSearch\":{}}],\"toolConfig\":{"
        "\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[\"f\"]}}}");
    assert_int_equal(req.n_tools, 2);
    assert_is(req.tools[0].parameters,
              TG_STR("{\"type\":\"object\",\"properties\":{\"type\":{\"type\":[\"string\","
                     "\"null\"],\"enum\":[\"A\"]},\"l\":{\"type\":\"array\",\"items\":{\"type\":"
                     "\"integer\"},\"minItems\":2,\"anyOf\":[{\"type\":\"number\"}]}},"
                     "\"required\":[\"type\"]}"));
    assert_false(req.tools[1].is_function);
    assert_is(req.tools[1].raw, TG_STR("{\"googleSearch\":{}}"));
    assert_int_equal(req.tool_choice.kind, TG_TOOL_CHOICE_NAMED);
    assert_is(req.tool_choice.name, TG_STR("f"));
}

static void generation_config(void **state)
{
    struct tg_str got = meaning(
        "{\"contents\":[{\"parts\":[{}]}],\"generation_config\":{\"temperature\":0.5,\"topP\":1,"
        "\"top_k\":40.0,"
        "\"maxOutputTokens\":9,\"stopSequences\":[\"a\",\"b\"],\"candidateCount\":2,\"seed\":7,"
        "\"presencePenalty\":1,\"frequencyPenalty\":-1,\"responseLogprobs\":true,\"logprobs\":3,"
        "\"responseMimeType\":\"application/json\",\"responseSchema\":{\"type\":\"OBJECT\"},"
        "\"thinkingConfig\":{\"thinkingBudget\":-1,\"includeThoughts\":true},"
        "\"responseModalities\":[\"TEXT\"],\"mediaResolution\":\"LOW\"},\"labels\":{\"a\":\"b\"}}");
    assert_contains(got, "sampling temperature=0.5 top_p=1 top_k=40 presence=1 frequency=-1 "
                         "max_tokens=9 seed=7 n=2 logprobs=1 top_logprobs=3 stop=\"a\" stop=\"b\"");
    assert_contains(got, "format schema strict=-1 schema={\"type\":\"object\"}");
    assert_contains(got, "extra members=\"generationConfig\":{\"responseModalities\":[\"TEXT\"],"
                         "\"mediaResolution\":\"LOW\"},\"labels\":{\"a\":\"b\"}");
    assert_true(req.reasoning.adaptive);
    assert_int_equal(req.reasoning.show, 1);
    meaning("{\"contents\":[{\"parts\":[{}]}],\"generationConfig\":{\"thinkingConfig\":{"
            "\"thinkingLevel\":"
            "\"HIGH\"}}}");
    assert_is(req.reasoning.effort, TG_STR("high"));
    assert_is(meaning("{\"contents\":[{\"parts\":[{}]}],\"generationConfig\":{\"topK\":\"x\"}}"),
              TG_STR("generationConfig.topK"));
    assert_is(meaning("{\"contents\":[{\"parts\":[{}]}],\"generationConfig\":[]}"),
              TG_STR("generationConfig"));
}

/* Google's JSON parser takes a single value for a list of one and numbers as text; its own samples
 * have contents, parts and tools like that. */
static void single_values_are_lists_of_one(void **state)
{
    meaning("{\"contents\":{\"parts\":{\"text\":\"hi\"}},\"system_instruction\":{\"parts\":{"
            "\"text\":\"S\"}},\"tools\":{\"function_declarations\":{\"name\":\"f\"}},"
            "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\","
            "\"allowedFunctionNames\":\"f\"}},\"generationConfig\":{\"stopSequences\":\"X\","
            "\"temperature\":\"0.5\",\"maxOutputTokens\":\"12\"}}");
    assert_int_equal(req.n_messages, 2);
    assert_is(req.messages[0].parts[0].text, TG_STR("S"));
    assert_is(req.messages[1].parts[0].text, TG_STR("hi"));
    assert_int_equal(req.n_tools, 1);
    assert_is(req.tools[0].name, TG_STR("f"));
    assert_int_equal(req.tool_choice.kind, TG_TOOL_CHOICE_NAMED);
    assert_is(req.tool_choice.name, TG_STR("f"));
    assert_int_equal(req.sampling.n_stops, 1);
    assert_true(req.sampling.temperature == 0.5);
    assert_int_equal(req.sampling.max_tokens, 12);
    assert_is(meaning("{\"contents\":\"hi\"}"), TG_STR("contents"));
    assert_is(meaning("{\"contents\":[{\"parts\":[{}]}],\"tools\":7}"), TG_STR("tools"));
    assert_is(meaning("{\"contents\":[{\"parts\":[{}]}],\"generationConfig\":{"
                      "\"maxOutputTokens\":\"1x\"}}"),
              TG_STR("generationConfig.maxOutputTokens"));
}

/* Google says so too; a turn of the model's may have been empty. */
static void contents_have_parts(void **state)
{
    assert_is(meaning("{\"contents\":[{\"role\":\"user\"}]}"), TG_STR("contents[0]"));
    assert_is(meaning("{\"contents\":[{\"role\":\"user\",\"parts\":[]}]}"), TG_STR("contents[0]"));
    meaning("{\"contents\":[{\"parts\":[{\"text\":\"a\"}]},{\"role\":\"model\",\"parts\":[]},{"
            "\"parts\":[{\"text\":\"b\"}]}]}");
    assert_int_equal(req.n_messages, 2);
    assert_int_equal(req.messages[1].role, TG_ROLE_USER);
}

/* ---- opaque state ---- */

static void signatures_come_back_as_they_were(void **state)
{
    meaning("{\"contents\":[{\"role\":\"model\",\"parts\":[{\"text\":\"t\",\"thought\":true,"
            "\"thoughtSignature\":\"Q2-_+/9=\"},{\"functionCall\":{\"name\":\"f\"},"
            "\"thought_signature\":\"Qw==\"}]}]}");
    const struct tg_part *p = req.messages[0].parts;
    assert_int_equal(p[0].kind, TG_PART_REASONING);
    assert_int_equal(p[0].opaque, TG_OPAQUE_THOUGHT);
    assert_is(p[0].signature, TG_STR("Q2-_+/9="));
    assert_int_equal(p[1].kind, TG_PART_TOOL_CALL);
    assert_is(p[1].signature, TG_STR("Qw=="));
}

/* Another provider's opaque state goes out in a thoughtSignature and comes back the same. */
static void foreign_state_survives(void **state)
{
    struct render_run r;
    render_init(&r, &tg_dialect_gemini, HI, true);
    render_begin(&r);
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                        .part_kind = TG_PART_REASONING,
                                        .id = TG_STR("rs_1")});
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                        .delta_kind = TG_DELTA_SIGNATURE,
                                        .opaque = TG_OPAQUE_ENCRYPTED,
                                        .text = TG_STR("gAAA:+/=")});
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_END});
    assert_int_equal(r.rc, 0);
    struct tg_str out = tg_buf_str(&r.out);
    ptrdiff_t at = tg_str_find(out, TG_STR("{\"text\":\"\""));
    assert_true(at > 0);
    struct tg_str part = tg_str_from(out, (size_t)at);
    part = tg_str_first(part, (size_t)tg_str_chr(part, '}') + 1);
    char body[512];
    snprintf(body, sizeof body, "{\"contents\":[{\"role\":\"model\",\"parts\":[%.*s]}]}",
             TG_STR_ARG(part));
    meaning(body);
    const struct tg_part *p = req.messages[0].parts;
    assert_int_equal(p->kind, TG_PART_REASONING);
    assert_int_equal(p->opaque, TG_OPAQUE_ENCRYPTED);
    assert_is(p->call_id, TG_STR("rs_1"));
    assert_is(p->signature, TG_STR("gAAA:+/="));
    assert_int_equal(p->raw.n, 0);
    render_fini(&r);
}

/* ---- pass-through ---- */

static struct tg_str passed(const struct tg_dialect *d, const char *target, const char *body)
{
    struct iovec iov[8];
    int n;
    bool hide;
    assert_int_equal(open_at(d, target, body), 0);
    assert_int_equal(d->splice(&arena, &call, TG_STR("up"), true, iov, 8, &n, &hide), 0);
    assert_false(hide);
    tg_buf_clear(&text);
    for (int i = 0; i < n; i++)
        tg_buf_add(&text, iov[i].iov_base, iov[i].iov_len);
    return tg_buf_str(&text);
}

static void bodies_pass_but_for_the_model(void **state)
{
    const char *plain = "{ \"contents\" : [{}] ,\"x\":1}";
    assert_is(passed(&tg_dialect_gemini, "/v1/models/g:generateContent", plain), tg_str_c(plain));
    assert_is(passed(&tg_dialect_gemini_count, "/v1/models/g:countTokens",
                     "{\"generateContentRequest\":{\"model\":\"models/g\",\"contents\":[{}]}}"),
              TG_STR("{\"generateContentRequest\":{\"model\":\"models/up\",\"contents\":[{}]}}"));
    assert_is(passed(&tg_dialect_gemini_embed, "/v1/models/g:batchEmbedContents",
                     "{\"requests\":[{\"model\":\"models/g\",\"content\":{}},{\"model\":\"g\"},"
                     "{\"model\":\"g\"},{\"model\":\"g\"},{\"model\":\"g\"}]}"),
              TG_STR("{\"requests\":[{\"model\":\"models/up\",\"content\":{}},{\"model\":"
                     "\"models/up\"},{\"model\":\"models/up\"},{\"model\":\"models/up\"},"
                     "{\"model\":\"models/up\"}]}"));
}

/* ---- rendering ---- */

#define TAIL ",\"modelVersion\":\"gpt-\\\"4\\\"\",\"responseId\":\"1\"}"
#define USAGE                                                                    \
    ",\"usageMetadata\":{\"promptTokenCount\":13,\"cachedContentTokenCount\":3," \
    "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":2,\"totalTokenCount\":20}"

static void play(struct render_run *r)
{
    render_begin(r);
    render_event(r, &(struct tg_event){.kind = TG_EV_START, .id = TG_STR("x")});
    render_part(r, 0, 0, TG_PART_REASONING, "", "");
    render_delta(r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_END, .part = 0});
    render_part(r, 0, 1, TG_PART_TEXT, "", "");
    render_delta(r, 0, 1, TG_DELTA_TEXT, "a\"b", "");
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_END, .part = 1});
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_START,
                                       .part = 2,
                                       .part_kind = TG_PART_TOOL_CALL,
                                       .id = TG_STR("c1"),
                                       .name = TG_STR("f"),
                                       .signature = TG_STR("Qw=="),
                                       .opaque = TG_OPAQUE_THOUGHT});
    render_delta(r, 0, 2, TG_DELTA_ARGUMENTS, "{\"x\":\n", "");
    render_delta(r, 0, 2, TG_DELTA_ARGUMENTS, "1.0}", "");
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_END, .part = 2});
    render_finish_choice(r, 0, TG_FINISH_TOOL_CALLS, "tool_calls");
}

static void a_stream_of_events(void **state)
{
    struct render_run r;
    render_init(&r, &tg_dialect_gemini, HI, true);
    play(&r);
    assert_is(
        render_end(&r),
        TG_STR(
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}],"
            "\"role\":\"model\"},\"index\":0}]" TAIL "\n\n"
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\\\"b\"}],"
            "\"role\":\"model\"},\"index\":0}]" TAIL "\n\n"
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"c1\","
            "\"name\":\"f\",\"args\":{\"x\": 1.0}},\"thoughtSignature\":\"Qw==\"}],\"role\":"
            "\"model\"},\"index\":0}]" TAIL "\n\n"
            "data: "
            "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"
            "\"finishReason\":\"STOP\",\"index\":0}]" USAGE TAIL "\n\n"));
    assert_int_equal(r.rc, 0);
    render_fini(&r);
}

static void a_stream_as_an_array(void **state)
{
    struct render_run r;
    struct tg_json_doc *doc;
    render_init(&r, &tg_dialect_gemini, HI, true);
    r.call.json_array = true;
    play(&r);
    struct tg_str out = render_end(&r);
    assert_int_equal(tg_json_parse(&arena, out, NULL, &doc, NULL), 0);
    assert_int_equal(tg_json_count(tg_json_root(doc)), 4);
    render_fini(&r);
}

static void an_array_without_content(void **state)
{
    struct render_run r;
    render_init(&r, &tg_dialect_gemini, HI, true);
    r.call.json_array = true;
    render_begin(&r);
    assert_is(render_end(&r), TG_STR("[{\"candidates\":[]" USAGE TAIL "]"));
    render_fini(&r);
}

static void a_single_answer(void **state)
{
    struct render_run r;
    render_init(&r, &tg_dialect_gemini, HI, false);
    play(&r);
    assert_is(
        render_end(&r),
        TG_STR("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true},"
               "{\"text\":\"a\\\"b\"},{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":"
               "{\"x\": 1.0}},\"thoughtSignature\":\"Qw==\"}],\"role\":\"model\"},\"finishReason\":"
               "\"STOP\",\"index\":0}]" USAGE TAIL));
    render_fini(&r);
}

/* Arguments that are no object can't be given: the end says so, and nothing is invalid JSON. */
static void malformed_arguments(void **state)
{
    static const char *const bad[] = {"{\"x\":", "[1]", "\"x\"", "{\"a\":1}}", "nul"};
    for (size_t i = 0; i < 2 * TG_ARRAY_LEN(bad); i++) {
        struct render_run r;
        struct tg_json_doc *doc;
        bool stream = i & 1;
        render_init(&r, &tg_dialect_gemini, HI, stream);
        render_begin(&r);
        render_part(&r, 0, 0, TG_PART_TOOL_CALL, "c", "f");
        render_delta(&r, 0, 0, TG_DELTA_ARGUMENTS, bad[i / 2], "");
        render_part(&r, 0, 1, TG_PART_TOOL_CALL, "d", "g");
        render_finish_choice(&r, 0, i / 2 ? TG_FINISH_TOOL_CALLS : TG_FINISH_LENGTH, "");
        struct tg_str out = render_end(&r);
        assert_int_equal(r.rc, 0);
        assert_contains(out, "\"finishMessage\":\"Malformed function call: f(");
        assert_contains(out, "{\"functionCall\":{\"id\":\"d\",\"name\":\"g\",\"args\":{}}}");
        if (i / 2)
            assert_contains(out, "\"finishReason\":\"MALFORMED_FUNCTION_CALL\"");
        else
            assert_contains(out, "\"finishReason\":\"MAX_TOKENS\"");
        if (!stream)
            assert_int_equal(tg_json_parse(&arena, out, NULL, &doc, NULL), 0);
        render_fini(&r);
    }
}

static void extras_and_citations(void **state)
{
    struct tg_citation c = {.url = TG_STR("https://x"), .title = TG_STR("X"), .start = 1, .end = 4};
    for (int stream = 0; stream < 2; stream++) {
        struct render_run r;
        render_init(&r, &tg_dialect_gemini, HI, stream);
        render_begin(&r);
        render_part(&r, 0, 0, TG_PART_TEXT, "", "");
        render_delta(&r, 0, 0, TG_DELTA_TEXT, "text", "");
        render_event(&r, &(struct tg_event){
                             .kind = TG_EV_DELTA, .delta_kind = TG_DELTA_CITATION, .citation = &c});
        for (int i = 0; i < 2; i++)
            render_event(&r, &(struct tg_event){.kind = TG_EV_EXTRA,
                                                .name = TG_STR("safetyRatings"),
                                                .text = i ? TG_STR("[\n2]") : TG_STR("[1]"),
                                                .format = TG_WIRE_GEMINI_GENERATE});
        render_event(&r, &(struct tg_event){.kind = TG_EV_EXTRA,
                                            .name = TG_STR("annotations"),
                                            .text = TG_STR("[]"),
                                            .format = TG_WIRE_OPENAI_CHAT});
        render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
        struct tg_str out = render_end(&r);
        assert_contains(out, "\"finishReason\":\"STOP\",\"index\":0,\"safetyRatings\":[ 2],"
                             "\"citationMetadata\":{\"citationSources\":[{\"uri\":\"https://x\","
                             "\"title\":\"X\",\"startIndex\":1,\"endIndex\":4}]}}");
        assert_lacks(out, "annotations");
        render_fini(&r);
    }
}

static void a_blocked_prompt_has_no_candidates(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        struct render_run r;
        render_init(&r, &tg_dialect_gemini, HI, stream);
        render_begin(&r);
        render_event(&r, &(struct tg_event){.kind = TG_EV_EXTRA,
                                            .name = TG_STR("promptFeedback"),
                                            .text = TG_STR("{\"blockReason\":\"SAFETY\"}"),
                                            .format = TG_WIRE_GEMINI_GENERATE});
        render_finish_choice(&r, 0, TG_FINISH_CONTENT_FILTER, "SAFETY");
        assert_contains(render_end(&r), "{\"candidates\":[],\"promptFeedback\":{\"blockReason\":"
                                        "\"SAFETY\"}");
        render_fini(&r);
    }
}

static void logprobs_in_google_s_form(void **state)
{
    const char *lp = "{\"content\":[{\"token\":\"a\",\"logprob\":-0.50,\"bytes\":null,"
                     "\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-1}]}],\"refusal\":null}";
    for (int stream = 0; stream < 2; stream++) {
        struct render_run r;
        render_init(&r, &tg_dialect_gemini, HI, stream);
        render_begin(&r);
        render_part(&r, 0, 0, TG_PART_TEXT, "", "");
        render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", lp);
        render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
        assert_contains(render_end(&r),
                        "\"logprobsResult\":{\"topCandidates\":[{\"candidates\":[{\"token\":\"b\","
                        "\"logProbability\":-1}]}],\"chosenCandidates\":[{\"token\":\"a\","
                        "\"logProbability\":-0.50}]}");
        render_fini(&r);
    }
}

static void finish_words(void **state)
{
    static const struct {
        enum tg_finish finish;
        const char *word, *want;
    } cases[] = {
        {TG_FINISH_STOP, "end_turn", "STOP"},
        {TG_FINISH_TOOL_CALLS, "tool_use", "STOP"},
        {TG_FINISH_LENGTH, "length", "MAX_TOKENS"},
        {TG_FINISH_CONTENT_FILTER, "content_filter", "SAFETY"},
        {TG_FINISH_CONTENT_FILTER, "RECITATION", "RECITATION"},
        {TG_FINISH_OTHER, "MALFORMED_FUNCTION_CALL", "MALFORMED_FUNCTION_CALL"},
        {TG_FINISH_OTHER, "pause_turn", "OTHER"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct render_run r;
        char want[64];
        render_init(&r, &tg_dialect_gemini, HI, true);
        render_begin(&r);
        render_finish_choice(&r, 0, cases[i].finish, cases[i].word);
        snprintf(want, sizeof want, "\"finishReason\":\"%s\"", cases[i].want);
        assert_true(tg_str_find(render_end(&r), tg_str_c(want)) >= 0);
        render_fini(&r);
    }
}

static void errors_in_google_s_shape(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 16);
    tg_fail_clear(&fail);
    tg_fail_param(&fail, TG_E_INVALID_VALUE, "contents[0]", "bad \"role\"");
    tg_dialect_gemini.render_fail(&fail, TG_STR("req_1"), false, &b);
    assert_is(tg_buf_str(&b),
              TG_STR("{\"error\":{\"code\":400,\"message\":\"bad \\\"role\\\"\",\"status\":"
                     "\"INVALID_ARGUMENT\",\"details\":[{\"@type\":\"type.googleapis.com/"
                     "google.rpc.ErrorInfo\",\"reason\":\"invalid_value\",\"domain\":\"tollgate\","
                     "\"metadata\":{\"request_id\":\"req_1\"}},{\"@type\":\"type.googleapis.com/"
                     "google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"contents[0]\"}]}"
                     "]}}"));
    tg_buf_clear(&b);
    tg_fail_clear(&fail);
    tg_fail_set(&fail, TG_E_UPSTREAM_RATE_LIMIT, "slow");
    fail.retry_after_ms = 34400;
    tg_dialect_gemini.render_fail(&fail, TG_STR("r"), true, &b);
    assert_contains(tg_buf_str(&b), "data: {\"error\":{\"code\":429,");
    assert_contains(tg_buf_str(&b), "\"status\":\"RESOURCE_EXHAUSTED\"");
    assert_contains(tg_buf_str(&b), "\"retryDelay\":\"34.400s\"}]}}\n\n");
    tg_buf_fini(&b);
}

/* ---- counts and embeddings ---- */

static void counting(void **state)
{
    struct render_run r;
    assert_int_equal(open_at(&tg_dialect_gemini_count, "/v1beta/models/g:countTokens",
                             "{\"generateContentRequest\":{\"contents\":[{\"parts\":[{\"text\":"
                             "\"x\"}]}],\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]}}}"),
                     0);
    assert_int_equal(tg_dialect_gemini_count.parse(&arena, &call, &req, &fail), 0);
    assert_int_equal(req.n_messages, 2);
    assert_int_equal(req.task, TG_TASK_COUNT);
    render_init(&r, &tg_dialect_gemini_count, HI, false);
    render_begin(&r);
    assert_is(render_end(&r), TG_STR("{\"totalTokens\":13,\"cachedContentTokenCount\":3}"));
    render_fini(&r);
}

static void embedding(void **state)
{
    struct render_run r;
    assert_int_equal(open_at(&tg_dialect_gemini_embed, "/v1beta/models/g:batchEmbedContents",
                             "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":"
                             "\"\\n\"}]},\"taskType\":\"T\",\"output_dimensionality\":3},{"
                             "\"content\":{\"parts\":[{\"inlineData\":{}}]},\"taskType\":\"T\","
                             "\"outputDimensionality\":3}]}"),
                     0);
    assert_int_equal(tg_dialect_gemini_embed.parse(&arena, &call, &req, &fail), 0);
    assert_int_equal(req.inputs.n, 2);
    assert_is(req.inputs.texts[0], TG_STR("a\n"));
    assert_is(req.inputs.raw[0], TG_STR("{\"parts\":[{\"text\":\"a\"},{\"text\":\"\\n\"}]}"));
    assert_is(req.inputs.texts[1], TG_STR(""));
    assert_is(req.inputs.raw[1], TG_STR("{\"parts\":[{\"inlineData\":{}}]}"));
    assert_int_equal(req.inputs.dimensions, 3);
    assert_is(req.inputs.purpose, TG_STR("T"));
    const char *bodies[] = {"{\"content\":{\"parts\":[{\"text\":\"a\"}]}}",
                            "{\"requests\":[{\"content\":{}}]}"};
    for (size_t i = 0; i < 2; i++) {
        render_init(&r, &tg_dialect_gemini_embed, bodies[i], false);
        render_begin(&r);
        render_event(&r, &(struct tg_event){.kind = TG_EV_ITEM, .text = TG_STR("[0.10,-2]")});
        struct tg_str out = render_end(&r);
        assert_is(out, i ? TG_STR("{\"embeddings\":[{\"values\":[0.10,-2]}],\"usageMetadata\":{"
                                  "\"promptTokenCount\":13}}")
                         : TG_STR("{\"embedding\":{\"values\":[0.10,-2]},\"usageMetadata\":{"
                                  "\"promptTokenCount\":13}}"));
        render_fini(&r);
    }
    static const char *const bad[] = {"{}", "{\"requests\":[]}", "{\"requests\":{}}"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(
            open_at(&tg_dialect_gemini_embed, "/v1/models/g:batchEmbedContents", bad[i]),
            TG_E_MISSING_FIELD);
}

/* Memory may run out anywhere. */
static void out_of_memory(void **state)
{
    const char *body = "{\"systemInstruction\":{\"parts\":[{\"text\":\"s\"}]},\"contents\":[{"
                       "\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]},{"
                       "\"parts\":[{\"functionResponse\":{\"name\":\"f\",\"response\":{}}}]}],"
                       "\"tools\":[{\"googleSearch\":{}},{\"functionDeclarations\":[{\"name\":"
                       "\"f\",\"parameters\":{\"type\":\"OBJECT\"}}]}],\"generationConfig\":{"
                       "\"responseSchema\":{\"type\":\"OBJECT\"},\"x\":1},\"labels\":{}}";
    int rc = TG_E_NOMEM;
    for (unsigned n = 1; n < 400 && rc; n++) {
        struct tg_arena a;
        tg_arena_init(&a, 64, 1u << 20);
        tg_fail_clear(&fail);
        tg_alloc_fail_at(n, 0);
        rc = tg_dialect_gemini.open(&a, NULL, tg_str_c(body), &call, &fail);
        if (!rc)
            rc = tg_dialect_gemini.parse(&a, &call, &req, &fail);
        tg_alloc_fail_at(0, 0);
        assert_true(rc == 0 || rc == TG_E_NOMEM);
        tg_arena_fini(&a);
    }
    assert_int_equal(rc, 0);
}

/* What is rendered is whole, or the rendering fails. */
static void rendering_without_memory(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        struct render_run r;
        render_init(&r, &tg_dialect_gemini, HI, stream);
        play(&r);
        struct tg_str whole = tg_arena_dup(&arena, render_end(&r));
        assert_int_equal(r.rc, 0);
        render_fini(&r);
        bool failed = true;
        for (unsigned n = 1; n < 400 && failed; n++) {
            render_init(&r, &tg_dialect_gemini, HI, stream);
            assert_int_equal(tg_buf_reserve(&r.out, 1 << 16), 0);
            tg_alloc_fail_at(n, n % 2);
            play(&r);
            (void)render_end(&r);
            tg_alloc_fail_at(0, 0);
            failed = r.rc != 0;
            if (!failed)
                assert_is(tg_buf_str(&r.out), whole);
            render_fini(&r);
        }
        assert_false(failed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(the_model_is_in_the_path),
        T(what_open_refuses),
        T(roles_and_system),
        T(calls_and_results_find_each_other),
        T(a_turn_in_pieces_is_one_message),
        T(media_by_their_types),
        T(schemas_change_their_spelling),
        T(generation_config),
        T(single_values_are_lists_of_one),
        T(contents_have_parts),
        T(signatures_come_back_as_they_were),
        T(foreign_state_survives),
        T(bodies_pass_but_for_the_model),
        T(a_stream_of_events),
        T(a_stream_as_an_array),
        T(an_array_without_content),
        T(a_single_answer),
        T(malformed_arguments),
        T(extras_and_citations),
        T(a_blocked_prompt_has_no_candidates),
        T(logprobs_in_google_s_form),
        T(finish_words),
        T(errors_in_google_s_shape),
        T(counting),
        T(embedding),
        T(out_of_memory),
        T(rendering_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
