/* Providers' rows: found by name or host, sound in themselves, and true: for every row and every
 * feature what is native or emulated is written, what is dropped is left out, and what is refused
 * fails naming the feature. */
#include "check.h"

#include <stdio.h>

#include "adapter/openai_priv.h"
#include "adapter/quirks.h"
#include "base/err.h"

static struct tg_arena arena;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 64u << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static const char *name_of(const char *provider, const char *host)
{
    const struct tg_quirks *q = tg_quirks_find(tg_str_c(provider), tg_str_c(host));
    return q ? q->name : "";
}

static void rows_are_found(void **state)
{
    assert_string_equal(name_of("", "api.groq.com"), "groq");
    assert_string_equal(name_of("", "API.GROQ.COM"), "groq");
    assert_string_equal(name_of("", "eu.api.groq.com"), "groq");
    assert_string_equal(name_of("", "xapi.groq.com"), "");
    assert_string_equal(name_of("", "api.groq.com.evil.example"), "");
    assert_string_equal(name_of("mistral", "127.0.0.1"), "mistral");
    /* what the operator says counts more than the host; an unknown name is none */
    assert_string_equal(name_of("vllm", "api.groq.com"), "vllm");
    assert_string_equal(name_of("mine", "api.groq.com"), "");
    assert_string_equal(name_of("", ""), "");
    for (const struct tg_quirks *q; (q = tg_quirks_find(TG_STR(""), TG_STR("nowhere")));)
        fail_msg("%s", q->name);
}

static void rows_are_sound(void **state)
{
    const struct tg_quirks *q;
    for (size_t i = 0; (q = tg_quirks_at(i)); i++) {
        assert_ptr_equal(tg_quirks_find(tg_str_c(q->name), TG_STR("")), q);
        assert_int_equal(q->native & q->emulated, 0);
        assert_int_equal((q->native | q->emulated) & (q->dropped | q->refused), 0);
        assert_int_equal(q->dropped & q->refused, 0);
        assert_int_equal((q->native | q->emulated | q->dropped | q->refused) >> TG_FEATURE_COUNT,
                         0);
        for (const char *const *h = q->hosts; h && *h; h++)
            assert_ptr_equal(tg_quirks_find(TG_STR(""), tg_str_c(*h)), q);
    }
    assert_true(tg_quirks_at(35) != NULL);
}

/* Hosts of many tenants: whose name stands before the provider's. */
static void tenants_are_found(void **state)
{
    assert_string_equal(name_of("", "dbc-a1b2.cloud.databricks.com"), "databricks");
    assert_string_equal(name_of("", "adb-1.2.azuredatabricks.net"), "databricks");
    assert_string_equal(name_of("", "cloud.databricks.com.evil.example"), "");
    assert_string_equal(name_of("", "x.endpoints.huggingface.cloud"), "huggingface");
    assert_string_equal(name_of("", "gateway.ai.cloudflare.com"), "cloudflare");
    assert_string_equal(name_of("", "api.cloudflare.com"), "workers-ai");
}

/* The list in docs/api.md is the rows. */
static void the_documents_name_every_row(void **state)
{
    static char page[256 << 10];
    char path[1024], name[64];
    const char *root = getenv("TG_SOURCE_ROOT");
    const struct tg_quirks *q;
    snprintf(path, sizeof path, "%s/docs/api.md", root ? root : ".");
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(page, 1, sizeof page - 1, f);
    assert_int_equal(fclose(f), 0);
    struct tg_str rest = tg_str_make(page, n);
    ptrdiff_t at = tg_str_find(rest, TG_STR("Providers of OpenAI's API differ"));
    assert_true(at >= 0);
    rest = tg_str_from(rest, (size_t)at);
    rest = tg_str_first(rest, (size_t)tg_str_find(rest, TG_STR("\n\n")));
    for (size_t i = 0; (q = tg_quirks_at(i)); i++) {
        snprintf(name, sizeof name, "`%s`", q->name);
        if (tg_str_find(rest, tg_str_c(name)) < 0)
            fail_msg("docs/api.md does not name %s", q->name);
    }
}

/* ---- every feature ---- */

static struct tg_part parts[4], inner[2];
static struct tg_message messages[4];
static struct tg_tool tool;
static struct tg_chat_req req;

static void one_message(enum tg_role role, struct tg_part p)
{
    parts[0] = p;
    messages[0] = (struct tg_message){.role = role, .parts = parts, .n_parts = 1};
    req.messages = messages;
    req.n_messages = 1;
}

static struct tg_part media(enum tg_part_kind kind, enum tg_media_source source, const char *mime)
{
    return (struct tg_part){
        .kind = kind,
        .media = {.source = source, .mime = tg_str_c(mime), .data = TG_STR_INIT("MARK")}};
}

static struct tg_part opaque(enum tg_part_kind kind, enum tg_opaque_kind o)
{
    return (struct tg_part){.kind = kind,
                            .text = TG_STR_INIT("t"),
                            .opaque = o,
                            .call_id = TG_STR_INIT("c"),
                            .tool_name = TG_STR_INIT("f"),
                            .arguments = TG_STR_INIT("{}"),
                            .signature = TG_STR_INIT("MARK")};
}

static void result(struct tg_part in, bool error)
{
    inner[0] = in;
    one_message(TG_ROLE_TOOL, (struct tg_part){.kind = TG_PART_TOOL_RESULT,
                                               .call_id = TG_STR_INIT("c"),
                                               .parts = inner,
                                               .n_parts = 1,
                                               .is_error = error});
}

/* A request of a foreign format with that feature, and a text that only it writes ("" where the
 * feature has no text of its own: then only refusals are looked at). */
static const char *with_numbers(enum tg_feature f)
{
    static const struct {
        enum tg_feature f;
        uint32_t has;
        const char *text;
    } rows[] = {
        {TG_FEATURE_TEMPERATURE, TG_HAS_TEMPERATURE, "\"temperature\":"},
        {TG_FEATURE_TOP_P, TG_HAS_TOP_P, "\"top_p\":"},
        {TG_FEATURE_TOP_K, TG_HAS_TOP_K, "\"top_k\":"},
        {TG_FEATURE_MIN_P, TG_HAS_MIN_P, "\"min_p\":"},
        {TG_FEATURE_PRESENCE, TG_HAS_PRESENCE, "\"presence_penalty\":"},
        {TG_FEATURE_FREQUENCY, TG_HAS_FREQUENCY, "\"frequency_penalty\":"},
        {TG_FEATURE_REPETITION, TG_HAS_REPEAT, "penalty\":"},
        {TG_FEATURE_MAX_TOKENS, TG_HAS_MAX_TOKENS, "\"max_"},
        {TG_FEATURE_SEED, TG_HAS_SEED, "seed\":"},
        {TG_FEATURE_N, TG_HAS_N, "\"n\":"},
        {TG_FEATURE_LOGPROBS, TG_HAS_LOGPROBS, "\"logprobs\":"},
        {TG_FEATURE_TOP_LOGPROBS, TG_HAS_TOP_LOGPROBS, "\"top_logprobs\":"},
    };
    req.sampling = (struct tg_sampling){
        .logprobs = true, .top_logprobs = 2, .n = 2, .max_tokens = 5, .seed = 7, .top_k = 3};
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        if (rows[i].f != f)
            continue;
        req.sampling.has = rows[i].has;
        return rows[i].text;
    }
    return NULL;
}

static const char *with_tools(enum tg_feature f)
{
    struct tg_tool_choice *c = &req.tool_choice;
    tool = (struct tg_tool){.is_function = true,
                            .name = TG_STR_INIT("f"),
                            .type = TG_STR_INIT("function"),
                            .strict = -1};
    switch ((int)f) {
    case TG_FEATURE_TOOLS:
        break;
    case TG_FEATURE_TOOL_TYPES:
        tool.is_function = false;
        tool.type = TG_STR("web_search");
        break;
    case TG_FEATURE_TOOL_STRICT:
        tool.strict = 1;
        break;
    case TG_FEATURE_TOOL_CHOICE:
        c->kind = TG_TOOL_CHOICE_NONE;
        return "\"tool_choice\":\"none\"";
    case TG_FEATURE_TOOL_REQUIRED:
        c->kind = TG_TOOL_CHOICE_REQUIRED;
        return "\"tool_choice\":\"required\"";
    case TG_FEATURE_TOOL_NAMED:
        c->kind = TG_TOOL_CHOICE_NAMED;
        c->name = TG_STR("f");
        return "\"tool_choice\":{";
    case TG_FEATURE_TOOL_CHOICE_RAW:
        c->kind = TG_TOOL_CHOICE_RAW;
        c->raw = TG_STR("{}");
        return "";
    case TG_FEATURE_PARALLEL:
        c->parallel = 0;
        return "\"parallel_tool_calls\":false";
    default:
        return NULL;
    }
    req.tools = &tool;
    req.n_tools = 1;
    return f == TG_FEATURE_TOOL_STRICT ? "\"strict\":true" : "\"tools\":[";
}

static const char *with_parts(enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_IMAGE:
        one_message(TG_ROLE_USER, media(TG_PART_IMAGE, TG_MEDIA_INLINE, "image/png"));
        return "MARK";
    case TG_FEATURE_IMAGE_URL:
        one_message(TG_ROLE_USER, media(TG_PART_IMAGE, TG_MEDIA_URL, ""));
        return "MARK";
    case TG_FEATURE_IMAGE_FILE:
        one_message(TG_ROLE_USER, media(TG_PART_IMAGE, TG_MEDIA_FILE_ID, ""));
        return "MARK";
    case TG_FEATURE_IMAGE_DETAIL:
        one_message(TG_ROLE_USER, media(TG_PART_IMAGE, TG_MEDIA_INLINE, "image/png"));
        parts[0].media.detail = TG_STR("low");
        return "\"detail\":\"low\"";
    case TG_FEATURE_DOCUMENT:
        one_message(TG_ROLE_USER, media(TG_PART_DOCUMENT, TG_MEDIA_INLINE, "application/pdf"));
        return "MARK";
    case TG_FEATURE_DOCUMENT_URL:
        one_message(TG_ROLE_USER, media(TG_PART_DOCUMENT, TG_MEDIA_URL, ""));
        return "MARK";
    case TG_FEATURE_DOCUMENT_FILE:
        one_message(TG_ROLE_USER, media(TG_PART_DOCUMENT, TG_MEDIA_FILE_ID, ""));
        return "MARK";
    case TG_FEATURE_AUDIO:
        one_message(TG_ROLE_USER, media(TG_PART_AUDIO, TG_MEDIA_INLINE, "audio/wav"));
        return "MARK";
    case TG_FEATURE_RAW_PART:
        one_message(TG_ROLE_USER,
                    (struct tg_part){.kind = TG_PART_RAW, .raw = TG_STR_INIT("{\"x\":\"MARK\"}")});
        return "MARK";
    case TG_FEATURE_RESULT_MEDIA:
        result(media(TG_PART_IMAGE, TG_MEDIA_INLINE, "image/png"), false);
        return "MARK";
    case TG_FEATURE_RESULT_ERROR:
        result((struct tg_part){.kind = TG_PART_TEXT, .text = TG_STR_INIT("t")}, true);
        return "is_error";
    case TG_FEATURE_CACHE_HINT:
        one_message(TG_ROLE_USER, (struct tg_part){.kind = TG_PART_TEXT,
                                                   .text = TG_STR_INIT("t"),
                                                   .cache_hint = TG_STR_INIT("{\"a\":\"MARK\"}")});
        return "MARK";
    default:
        return NULL;
    }
}

static const char *with_history(enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_SYSTEM:
        one_message(TG_ROLE_SYSTEM, opaque(TG_PART_TEXT, TG_OPAQUE_NONE));
        return "\"role\":\"system\"";
    case TG_FEATURE_DEVELOPER:
        one_message(TG_ROLE_DEVELOPER, opaque(TG_PART_TEXT, TG_OPAQUE_NONE));
        return "\"content\":\"t\"";
    case TG_FEATURE_NAME:
        one_message(TG_ROLE_USER, opaque(TG_PART_TEXT, TG_OPAQUE_NONE));
        messages[0].name = TG_STR("ann");
        return "\"name\":\"ann\"";
    case TG_FEATURE_REASONING:
        one_message(TG_ROLE_ASSISTANT,
                    (struct tg_part){.kind = TG_PART_REASONING, .text = TG_STR_INIT("MARK")});
        return "MARK";
    case TG_FEATURE_SIGNED:
        one_message(TG_ROLE_ASSISTANT, opaque(TG_PART_REASONING, TG_OPAQUE_SIGNED));
        return "MARK";
    case TG_FEATURE_ENCRYPTED:
        one_message(TG_ROLE_ASSISTANT, opaque(TG_PART_REASONING, TG_OPAQUE_ENCRYPTED));
        return "MARK";
    case TG_FEATURE_THOUGHT:
        one_message(TG_ROLE_ASSISTANT, opaque(TG_PART_TOOL_CALL, TG_OPAQUE_THOUGHT));
        return "MARK";
    case TG_FEATURE_REFUSAL:
        one_message(TG_ROLE_ASSISTANT,
                    (struct tg_part){.kind = TG_PART_REFUSAL, .text = TG_STR_INIT("MARK")});
        return "MARK";
    default:
        return NULL;
    }
}

static const char *with_options(enum tg_feature f)
{
    switch ((int)f) {
    case TG_FEATURE_STOP:
        req.sampling.stops[req.sampling.n_stops++] = TG_STR("MARK");
        return "MARK";
    case TG_FEATURE_LOGIT_BIAS:
        req.sampling.logit_bias = TG_STR("{\"5\":1}");
        return "\"logit_bias\":";
    case TG_FEATURE_JSON_OBJECT:
        req.format.kind = TG_FORMAT_JSON;
        return "\"json_object\"";
    case TG_FEATURE_JSON_SCHEMA:
        req.format =
            (struct tg_output_format){TG_FORMAT_SCHEMA, TG_STR_INIT("n"),
                                      TG_STR_INIT("{\"title\":\"MARK\"}"), -1, TG_STR_INIT("")};
        return "MARK";
    case TG_FEATURE_EFFORT:
        req.reasoning.effort = TG_STR("high");
        return "think";
    case TG_FEATURE_BUDGET:
        req.reasoning.budget_tokens = 4321;
        return "4321";
    case TG_FEATURE_SHOW:
        req.reasoning.show = 0;
        return "\"exclude\":true";
    case TG_FEATURE_SERVICE_TIER:
        req.service_tier = TG_STR("flex");
        return "\"service_tier\":\"flex\"";
    case TG_FEATURE_USER:
        req.user = TG_STR("ann");
        return "\"user\":\"ann\"";
    case TG_FEATURE_METADATA:
        req.metadata = TG_STR("{\"a\":\"MARK\"}");
        return "MARK";
    case TG_FEATURE_PROMPT:
        req.is_completion = true;
        req.prompt = TG_STR("MARK");
        return "MARK";
    case TG_FEATURE_EXTRA:
        req.extra.members = TG_STR("\"foo\":\"MARK\"");
        return "MARK";
    default:
        return NULL;
    }
}

/* The features of embeddings. */
static const char *with_inputs(enum tg_feature f)
{
    static struct tg_str text = TG_STR_INIT("t"), raw = TG_STR_INIT("[1,2]");
    req.task = TG_TASK_EMBED;
    req.inputs = (struct tg_inputs){.texts = &text, .n = 1, .dimensions = -1, .top_n = -1};
    switch ((int)f) {
    case TG_FEATURE_DIMENSIONS:
        req.inputs.dimensions = 77;
        return ":77";
    case TG_FEATURE_BASE64:
        req.inputs.base64 = true;
        return ":\"base64\"";
    case TG_FEATURE_INPUT_TOKENS:
        req.inputs.raw = &raw;
        return "[1,2]";
    case TG_FEATURE_INPUT_TYPE:
        req.inputs.purpose = TG_STR("query");
        return ":\"query\"";
    default:
        req.task = TG_TASK_CHAT;
        return NULL;
    }
}

static const char *request_with(enum tg_feature f)
{
    static const char *(*const makers[])(enum tg_feature) = {
        with_tools, with_parts, with_history, with_options, with_numbers, with_inputs};
    req = (struct tg_chat_req){.dialect = "test",
                               .wire = TG_WIRE_ANTHROPIC_MESSAGES,
                               .tool_choice.parallel = -1,
                               .format.strict = -1,
                               .reasoning = {.budget_tokens = -1, .show = -1},
                               .inputs = {.dimensions = -1, .top_n = -1}};
    one_message(TG_ROLE_USER, (struct tg_part){.kind = TG_PART_TEXT, .text = TG_STR_INIT("t")});
    const char *text = NULL;
    for (size_t i = 0; i < TG_ARRAY_LEN(makers) && !text; i++)
        text = makers[i](f);
    return text;
}

/* In what form effort is told depends on the row. */
static bool tells_effort(struct tg_str body)
{
    return tg_str_find(body, TG_STR("\"high\"")) >= 0 ||
           tg_str_find(body, TG_STR("\"enable_thinking\":true")) >= 0;
}

static void check_feature(const struct tg_quirks *q, enum tg_feature f)
{
    struct tg_adapter_target target = {.model = TG_STR_INIT("up"), .quirks = q};
    struct tg_adapter_request out = {.method = TG_HTTP_POST};
    const char *text = request_with(f), *who = q ? q->name : "(none)";
    enum tg_fidelity fate = tg_quirks_fate(tg_openai_fidelity, q, f);
    if (!text || f == TG_FEATURE_COUNTING)
        return;
    if (!(tg_features_of(&req) & 1ull << f))
        fail_msg("the request does not use %s", tg_feature_name(f));
    /* refused for another feature that comes with it */
    if (tg_quirks_with(tg_features_of(&req) & ~(1ull << f), tg_openai_fidelity, q, TG_REFUSED))
        return;
    tg_fail_clear(&fail);
    int rc = tg_adapter_openai.encode(&arena, &req, &target, &out, &fail);
    if (fate == TG_REFUSED) {
        if (rc != TG_E_UNSUPPORTED_PARAMETER || !fail.param[0])
            fail_msg("%s at %s is not refused: %d %s", tg_feature_name(f), who, rc, fail.param);
        return;
    }
    if (rc)
        fail_msg("%s at %s: %s", tg_feature_name(f), who, fail.message);
    bool there = f == TG_FEATURE_EFFORT ? tells_effort(out.body)
                                        : tg_str_find(out.body, tg_str_c(text)) >= 0;
    if (there != (fate == TG_NATIVE || fate == TG_EMULATED))
        fail_msg("%s at %s is %s: %.*s", tg_feature_name(f), who, tg_fidelity_name(fate),
                 TG_STR_ARG(out.body));
}

static void rows_are_true(void **state)
{
    unsigned n = 0;
    for (size_t i = 0;; i++) {
        const struct tg_quirks *q = i ? tg_quirks_at(i - 1) : NULL;
        if (i && !q)
            break;
        for (int f = 0; f < TG_FEATURE_COUNT; f++, n++)
            check_feature(q, (enum tg_feature)f);
        tg_arena_reset(&arena);
    }
    assert_true(n > 1000);
}

/* ---- what rows do beyond fates ---- */

static struct tg_str encoded(const char *provider)
{
    struct tg_adapter_target target = {.model = TG_STR_INIT("up"),
                                       .quirks = tg_quirks_find(tg_str_c(provider), TG_STR(""))};
    struct tg_adapter_request out;
    tg_fail_clear(&fail);
    assert_int_equal(tg_adapter_openai.encode(&arena, &req, &target, &out, &fail), 0);
    return out.body;
}

static void names_and_forms(void **state)
{
    request_with(TG_FEATURE_SEED);
    assert_contains(encoded("mistral"), "\"random_seed\":7");
    assert_contains(encoded("groq"), "\"seed\":7");
    request_with(TG_FEATURE_MAX_TOKENS);
    req.sampling.max_tokens_is_completion = true;
    assert_contains(encoded("mistral"), "\"max_tokens\":5");
    assert_contains(encoded("groq"), "\"max_completion_tokens\":5");
    req.sampling.max_tokens_is_completion = false;
    assert_contains(encoded("moonshot"), "\"max_completion_tokens\":5");
    request_with(TG_FEATURE_DEVELOPER);
    assert_contains(encoded("mistral"), "\"role\":\"system\"");
    assert_contains(encoded("groq"), "\"role\":\"developer\"");
    request_with(TG_FEATURE_REPETITION);
    assert_contains(encoded("lmstudio"), "\"repeat_penalty\":");
    request_with(TG_FEATURE_JSON_SCHEMA);
    assert_contains(encoded("deepseek"), "\"response_format\":{\"type\":\"json_object\"}");
    assert_contains(encoded("deepseek"), "{\"role\":\"system\",\"content\":\"Answer with one JSON");
    assert_contains(encoded("groq"), "\"json_schema\":{\"name\":\"n\"");
    request_with(TG_FEATURE_INPUT_TYPE);
    req.user = TG_STR("ann");
    assert_contains(encoded("jina"), "\"task\":\"query\"");
    assert_lacks(encoded("jina"), "ann");
    assert_contains(encoded("nvidia"), "\"input_type\":\"query\",\"user\":\"ann\"");
    request_with(TG_FEATURE_BASE64);
    assert_contains(encoded("jina"), "\"embedding_type\":\"base64\"");
    assert_contains(encoded("voyage"), "\"encoding_format\":\"base64\"");
    request_with(TG_FEATURE_DIMENSIONS);
    assert_contains(encoded("voyage"), "\"output_dimension\":77");
    assert_contains(encoded("jina"), "\"dimensions\":77");
}

static void thinking_in_every_form(void **state)
{
    request_with(TG_FEATURE_EFFORT);
    assert_contains(encoded("groq"), "\"reasoning_effort\":\"high\"");
    assert_contains(encoded("openrouter"), "\"reasoning\":{\"effort\":\"high\"}");
    assert_contains(encoded("deepseek"),
                    "\"thinking\":{\"type\":\"enabled\"},\"reasoning_effort\":\"high\"");
    assert_contains(encoded("alibaba"), "\"enable_thinking\":true");
    request_with(TG_FEATURE_BUDGET);
    assert_contains(encoded("openrouter"), "\"reasoning\":{\"max_tokens\":4321}");
    assert_contains(encoded("alibaba"), "\"enable_thinking\":true,\"thinking_budget\":4321");
    assert_contains(encoded("siliconflow"), "\"enable_thinking\":true,\"thinking_budget\":4321");
    assert_contains(encoded("novita"), "\"enable_thinking\":true");
    assert_lacks(encoded("novita"), "4321");
    req.reasoning.budget_tokens = 0;
    assert_contains(encoded("openrouter"), "\"reasoning\":{\"enabled\":false}");
    assert_contains(encoded("deepseek"), "\"thinking\":{\"type\":\"disabled\"}");
    assert_contains(encoded("alibaba"), "\"enable_thinking\":false");
    assert_lacks(encoded("groq"), "reasoning");
}

static void ids_that_fit(void **state)
{
    one_message(TG_ROLE_ASSISTANT, opaque(TG_PART_TOOL_CALL, TG_OPAQUE_NONE));
    request_with(TG_FEATURE_THOUGHT);
    parts[0].call_id = TG_STR("toolu_01ABC");
    parts[1] = (struct tg_part){.kind = TG_PART_TOOL_RESULT, .call_id = TG_STR_INIT("toolu_01ABC")};
    messages[1] = (struct tg_message){.role = TG_ROLE_TOOL, .parts = &parts[1], .n_parts = 1};
    req.n_messages = 2;
    struct tg_str body = encoded("mistral");
    assert_lacks(body, "toolu_01ABC");
    ptrdiff_t at = tg_str_find(body, TG_STR("\"id\":\""));
    assert_true(at > 0 && body.p[at + 15] == '"');
    struct tg_str id = tg_str_make(body.p + at + 6, 9);
    struct tg_str want = tg_arena_printf(&arena, "\"tool_call_id\":\"%.*s\"", TG_STR_ARG(id));
    assert_true(tg_str_find(body, want) > 0);
    parts[0].call_id = parts[1].call_id = TG_STR("abcDEF123");
    assert_contains(encoded("mistral"), "\"id\":\"abcDEF123\"");
    parts[0].call_id = TG_STR("toolu_01ABC");
    assert_contains(encoded("groq"), "toolu_01ABC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(rows_are_sound),
        cmocka_unit_test(tenants_are_found),
        cmocka_unit_test(the_documents_name_every_row),
        cmocka_unit_test_setup_teardown(rows_are_true, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_forms, setup, teardown),
        cmocka_unit_test_setup_teardown(thinking_in_every_form, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_that_fit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
