/* text-generation-inference's and text-embeddings-inference's own API: requests written, stops cut
 * off at every split, counts from where they are, errors of both servers. */
#include "check.h"

#include "adapter/adapter.h"
#include "answer.h"
#include "base/err.h"
#include "chat/fidelity.h"

static struct tg_arena arena;
static struct tg_chat_req req;
static struct tg_adapter_request out;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 64 * 1024, 64u << 20);
    req = (struct tg_chat_req){.tool_choice.parallel = -1,
                               .reasoning = {.budget_tokens = -1, .show = -1},
                               .inputs = {.dimensions = -1, .top_n = -1}};
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
        .model = TG_STR("tgi"), .base_path = TG_STR("/p"), .credential = TG_STR("hf_x")};
    tg_fail_clear(&fail);
    return tg_adapter_huggingface.encode(&arena, &req, &target, &out, &fail);
}

static void expect_body(const char *path, const char *body)
{
    assert_int_equal(encode(), 0);
    assert_str_equal(out.path, tg_str_c(path));
    assert_str_equal(out.body, tg_str_c(body));
    assert_int_equal(out.n_headers, 2);
    assert_str(out.headers[1].value, "Bearer hf_x");
}

/* ---- requests ---- */

static void prompts(void **state)
{
    req.is_completion = true;
    req.prompt = TG_STR("Once \"upon\"");
    expect_body("/p/generate", "{\"inputs\":\"Once \\\"upon\\\"\",\"parameters\":{"
                               "\"return_full_text\":false,\"details\":true}}");
    assert_int_equal(out.emulated, 0);
    req.stream = true;
    req.sampling =
        (struct tg_sampling){.has = TG_HAS_TEMPERATURE | TG_HAS_TOP_P | TG_HAS_TOP_K | TG_HAS_SEED |
                                    TG_HAS_MAX_TOKENS | TG_HAS_FREQUENCY | TG_HAS_REPEAT,
                             .temperature = 0.5,
                             .top_p = 0.9,
                             .top_k = 7,
                             .seed = 42,
                             .max_tokens = 20,
                             .frequency_penalty = 0.25,
                             .repeat_penalty = 1.5,
                             .stops = {TG_STR("a"), TG_STR("b")},
                             .n_stops = 2};
    req.format = (struct tg_output_format){.kind = TG_FORMAT_SCHEMA,
                                           .schema = TG_STR("{\"type\":\"array\"}")};
    expect_body("/p/generate_stream",
                "{\"inputs\":\"Once \\\"upon\\\"\",\"parameters\":{\"temperature\":0.5,"
                "\"do_sample\":true,\"top_p\":0.9,\"top_k\":7,\"frequency_penalty\":0.25,"
                "\"repetition_penalty\":1.5,\"max_new_tokens\":20,\"seed\":42,\"stop\":[\"a\","
                "\"b\"],\"grammar\":{\"type\":\"json\",\"value\":{\"type\":\"array\"}},"
                "\"return_full_text\":false,\"details\":true}}");
    assert_int_equal(out.dropped, 0);
}

/* What the server refuses has the same effect left out; a seed that it can't take is lost. */
static void values_at_the_edge(void **state)
{
    req.is_completion = true;
    req.prompt = TG_STR("p");
    req.sampling =
        (struct tg_sampling){.has = TG_HAS_TEMPERATURE | TG_HAS_TOP_P | TG_HAS_TOP_K | TG_HAS_SEED,
                             .temperature = 0,
                             .top_p = 1,
                             .top_k = 0,
                             .seed = 0};
    req.format.kind = TG_FORMAT_JSON;
    expect_body("/p/generate", "{\"inputs\":\"p\",\"parameters\":{\"do_sample\":false,\"grammar\":{"
                               "\"type\":\"json\",\"value\":{\"type\":\"object\"}},"
                               "\"return_full_text\":false,\"details\":true}}");
    assert_true(out.dropped == TG_FEATURE_BIT(SEED));
}

static void conversations(void **state)
{
    struct tg_part parts[] = {{.kind = TG_PART_TEXT, .text = TG_STR("Be brief.")},
                              {.kind = TG_PART_TEXT, .text = TG_STR("Hi\nthere")},
                              {.kind = TG_PART_REASONING, .text = TG_STR("hm")},
                              {.kind = TG_PART_TEXT, .text = TG_STR("Hello.")},
                              {.kind = TG_PART_TEXT, .text = TG_STR("Why?")}};
    struct tg_message messages[] = {
        {.role = TG_ROLE_SYSTEM, .parts = &parts[0], .n_parts = 1},
        {.role = TG_ROLE_USER, .parts = &parts[1], .n_parts = 1},
        {.role = TG_ROLE_ASSISTANT, .parts = &parts[2], .n_parts = 2},
        {.role = TG_ROLE_USER, .parts = &parts[4], .n_parts = 1},
    };
    req.messages = messages;
    req.n_messages = 4;
    expect_body("/p/generate",
                "{\"inputs\":\"Be brief.\\n\\nUser: Hi\\nthere\\nAssistant: Hello.\\nUser: "
                "Why?\\nAssistant:\",\"parameters\":{\"stop\":[\"\\nUser:\"],"
                "\"return_full_text\":false,\"details\":true}}");
    assert_true(out.emulated == TG_FEATURE_BIT(PROMPT));
    parts[4].kind = TG_PART_IMAGE;
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "messages[3].content");
    messages[3].role = TG_ROLE_TOOL;
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
}

static void vectors_and_ranks(void **state)
{
    struct tg_str texts[] = {TG_STR("a"), TG_STR(""), TG_STR("c\"")};
    struct tg_str raw[] = {TG_STR("\"a\""), TG_STR("[1,2]"), TG_STR("\"c\\\"\"")};
    req.task = TG_TASK_EMBED;
    req.inputs = (struct tg_inputs){texts, raw, 3, .dimensions = 64, .top_n = -1};
    expect_body("/p/embed", "{\"inputs\":[\"a\",[1,2],\"c\\\"\"],\"dimensions\":64}");
    req.inputs.dimensions = -1;
    req.inputs.purpose = TG_STR("query");
    expect_body("/p/embed", "{\"inputs\":[\"a\",[1,2],\"c\\\"\"],\"prompt_name\":\"query\"}");
    raw[1] = TG_STR("{\"image\":1}");
    assert_int_equal(encode(), TG_E_UNSUPPORTED_PARAMETER);
    req.task = TG_TASK_RERANK;
    req.prompt = TG_STR("q");
    req.inputs = (struct tg_inputs){texts, raw, 3, .dimensions = -1, .top_n = 2};
    expect_body("/p/rerank", "{\"query\":\"q\",\"texts\":[\"a\",\"\",\"c\\\"\"]}");
}

/* ---- answers ---- */

static struct tg_http_header counts[] = {{TG_STR("x-prompt-tokens"), TG_STR("7")},
                                         {TG_STR("X-Generated-Tokens"), TG_STR("5")},
                                         {TG_STR("x-compute-tokens"), TG_STR("9")}};

/* The answer to `req` in pieces of `step` bytes; the request is gone when it comes. */
static void feed(struct answer *a, struct tg_str body, size_t step)
{
    const struct tg_adapter *ad = &tg_adapter_huggingface;
    struct tg_chat_req *asked = tg_malloc(sizeof *asked);
    *asked = req;
    struct tg_adapter_response resp = {
        .stream = req.stream, .task = req.task, .req = asked, .max_pending_bytes = 1 << 20};
    struct tg_http_head head = {.status = 200, .headers = counts, .n_headers = 3};
    void *state = tg_calloc(1, ad->state_bytes);
    answer_init(a);
    assert_int_equal(ad->begin(state, &resp), 0);
    tg_free(asked);
    assert_int_equal(ad->on_head(state, &head), 0);
    for (size_t i = 0; i < body.n; i += step)
        (void)ad->on_bytes(state, tg_str_first(tg_str_from(body, i), step), &a->sink);
    (void)ad->on_end(state, true, &a->sink);
    ad->fini(state);
    tg_free(state);
}

static void expect_log(struct tg_str body, const char *log)
{
    for (size_t step = 1; step <= body.n; step += step < 8 ? 1 : body.n) {
        struct answer a;
        feed(&a, body, step);
        assert_str_equal(tg_buf_str(&a.log), tg_str_c(log));
        answer_fini(&a);
    }
}

#define TOKEN(text) "data:{\"token\":{\"text\":\"" text "\",\"special\":false}}\n\n"
#define LAST(text, details)             \
    "data:{\"token\":{\"text\":\"" text \
    "\",\"special\":true},\"generated_text\":\"\",\"details\":" details "}\n\n"

static void streams(void **state)
{
    req.is_completion = req.stream = true;
    expect_log(TG_STR(TOKEN(" He") TOKEN("llo")
                          LAST("</s>", "{\"finish_reason\":\"eos_token\",\"generated_tokens\":3,"
                                       "\"input_length\":4}")),
               "START\nPART 0.0 text\nDELTA 0.0 text text=\" He\"\nDELTA 0.0 text text=\"llo\"\n"
               "PARTEND 0.0\nUSAGE in=4 read=0 write=0 out=3 reasoning=0\n"
               "FINISH 0 stop text=\"eos_token\"\nEND\n");
    expect_log(TG_STR(TOKEN("a") LAST("b", "{\"finish_reason\":\"length\"}")),
               "START\nPART 0.0 text\nDELTA 0.0 text text=\"a\"\nPARTEND 0.0\n"
               "USAGE in=7 read=0 write=0 out=5 reasoning=0\nFINISH 0 length text=\"length\"\n"
               "END\n");
    expect_log(TG_STR(TOKEN("a") "data:{\"error\":\"Request failed during generation: x\","
                                 "\"error_type\":\"generation\"}\n\n"),
               "START\nPART 0.0 text\nDELTA 0.0 text text=\"a\"\nERROR UPSTREAM_ERROR "
               "message=\"Request failed during generation: x\"\n");
    expect_log(TG_STR("data:{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}\n\n"),
               "ERROR UPSTREAM_RATE_LIMIT message=\"Model is overloaded\"\n");
    expect_log(TG_STR(TOKEN("a")), "START\nPART 0.0 text\nDELTA 0.0 text text=\"a\"\n"
                                   "ERROR UPSTREAM_INCOMPLETE message=\"the provider's answer "
                                   "broke off\"\n");
}

/* A stop sequence over two tokens is no part of the answer, nor is what looked like its beginning
 * held back for good. */
static void stops_are_cut(void **state)
{
    char word[] = "END";
    req.is_completion = req.stream = true;
    req.sampling.stops[0] = tg_str_c(word);
    req.sampling.n_stops = 1;
    expect_log(
        TG_STR(TOKEN("a E") TOKEN("N") TOKEN("x E") TOKEN("N") LAST("D", "null") TOKEN("late")),
        "START\nPART 0.0 text\nDELTA 0.0 text text=\"a \"\nDELTA 0.0 text text=\"ENx \"\n"
        "DELTA 0.0 text text=\"EN\"\nPARTEND 0.0\n"
        "USAGE in=7 read=0 write=0 out=5 reasoning=0\nFINISH 0 stop\nEND\n");
    expect_log(
        TG_STR(TOKEN("a E") TOKEN("ND more") LAST("", "{\"finish_reason\":\"stop_sequence\"}")),
        "START\nPART 0.0 text\nDELTA 0.0 text text=\"a \"\nPARTEND 0.0\n"
        "USAGE in=7 read=0 write=0 out=5 reasoning=0\n"
        "FINISH 0 stop text=\"stop_sequence\" stop=\"END\"\nEND\n");
    req.stream = false;
    expect_log(TG_STR("[{\"generated_text\":\"a END\",\"details\":{\"finish_reason\":"
                      "\"stop_sequence\",\"generated_tokens\":3}}]"),
               "START\nPART 0.0 text\nDELTA 0.0 text text=\"a \"\nPARTEND 0.0\n"
               "USAGE in=7 read=0 write=0 out=3 reasoning=0\n"
               "FINISH 0 stop text=\"stop_sequence\" stop=\"END\"\nEND\n");
}

static void an_answer_in_a_conversation(void **state)
{
    req.stream = true;
    expect_log(TG_STR(TOKEN(" ") TOKEN("\\n He") TOKEN("llo.\\n") TOKEN("User")
                          LAST(":", "{\"finish_reason\":\"stop_sequence\"}")),
               "START\nPART 0.0 text\nDELTA 0.0 text text=\"He\"\nDELTA 0.0 text text=\"llo.\"\n"
               "DELTA 0.0 text text=\"\\nUser\"\nPARTEND 0.0\n"
               "USAGE in=7 read=0 write=0 out=5 reasoning=0\n"
               "FINISH 0 stop text=\"stop_sequence\"\nEND\n");
    req.stream = false;
    expect_log(TG_STR("{\"generated_text\":\" Hello.\\nUser: and I\"}"),
               "START\nPART 0.0 text\nDELTA 0.0 text text=\"Hello.\"\nPARTEND 0.0\n"
               "USAGE in=7 read=0 write=0 out=5 reasoning=0\nFINISH 0 stop text=\"eos_token\"\n"
               "END\n");
    expect_log(TG_STR("{\"error\":\"x\",\"error_type\":\"validation\"}"),
               "ERROR UPSTREAM_REJECTED message=\"x\"\n");
    expect_log(TG_STR("{}"), "ERROR UPSTREAM_ERROR message=\"the provider failed\"\n");
}

static void items(void **state)
{
    req.task = TG_TASK_EMBED;
    expect_log(TG_STR("[[0.5,-1],[1e-3]]"),
               "START\nITEM 0 text=\"[0.5,-1]\"\nITEM 1 text=\"[1e-3]\"\n"
               "USAGE in=9 read=0 write=0 out=0 reasoning=0\nEND\n");
    expect_log(TG_STR("[0.5]"), "START\nERROR UPSTREAM_INVALID message=\"the provider's answer "
                                "could not be understood\"\n");
    expect_log(TG_STR("[]"), "START\nERROR UPSTREAM_INVALID message=\"the provider's answer "
                             "could not be understood\"\n");
    req.task = TG_TASK_RERANK;
    req.inputs.top_n = 2;
    expect_log(TG_STR("[{\"index\":2,\"score\":0.9},{\"index\":0,\"score\":0.5},{\"index\":1,"
                      "\"score\":0.1}]"),
               "START\nITEM 2 text=\"0.9\"\nITEM 0 text=\"0.5\"\n"
               "USAGE in=9 read=0 write=0 out=0 reasoning=0\nEND\n");
    expect_log(TG_STR("{\"error\":\"Inference failed\",\"error_type\":\"Backend\"}"),
               "START\nERROR UPSTREAM_ERROR message=\"Inference failed\"\n");
}

/* ---- errors ---- */

static void errors(void **state)
{
    static const struct {
        int status;
        const char *body;
        int err, http_status;
        int64_t retry_after_ms;
        const char *message;
    } cases[] = {
        {503, "{\"error\":\"Model x is currently loading\",\"estimated_time\":20.5}",
         TG_E_UPSTREAM_OVERLOADED, 503, 20500, "Model x is currently loading"},
        {503, "{\"error\":\"Model x is currently loading\",\"estimated_time\":1e30}",
         TG_E_UPSTREAM_OVERLOADED, 503, 3600000, "Model x is currently loading"},
        {503, "{\"error\":\"unhealthy\",\"error_type\":\"healthcheck\",\"estimated_time\":-1}",
         TG_E_UPSTREAM_OVERLOADED, 503, -1, "unhealthy"},
        {422,
         "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
         "2048. Given: 1500 `inputs` tokens and 600 `max_new_tokens`\",\"error_type\":"
         "\"validation\"}",
         TG_E_CONTEXT_LENGTH, 422, -1, "Input validation error: `inputs` tokens"},
        {422,
         "{\"error\":\"Input validation error: `temperature` must be strictly positive\","
         "\"error_type\":\"validation\"}",
         TG_E_UPSTREAM_REJECTED, 422, -1, "Input validation error: `temperature` must be"},
        {424,
         "{\"error\":\"Request failed during generation: CUDA\",\"error_type\":\"generation\"}",
         TG_E_UPSTREAM_ERROR, 502, -1, "Request failed during generation: CUDA"},
        {429, "{\"error\":\"Model is overloaded\",\"error_type\":\"overloaded\"}",
         TG_E_UPSTREAM_RATE_LIMIT, 0, -1, "Model is overloaded"},
        {413,
         "{\"error\":\"batch size 100 > maximum allowed batch size 32\",\"error_type\":"
         "\"Validation\"}",
         TG_E_UPSTREAM_REJECTED, 413, -1, "batch size 100"},
        {401, "{\"error\":\"Authorization header is correct, but the token seems invalid\"}",
         TG_E_UPSTREAM_AUTH, 0, -1, "the provider refused"},
        {502, "<html>", TG_E_UPSTREAM_ERROR, 0, -1, "the provider failed"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_http_head head = {.status = cases[i].status};
        tg_fail_clear(&fail);
        assert_false(
            tg_adapter_huggingface.classify(&arena, &head, tg_str_c(cases[i].body), &fail));
        if (fail.err != cases[i].err || fail.http_status != cases[i].http_status ||
            fail.provider_status != cases[i].status ||
            fail.retry_after_ms != cases[i].retry_after_ms ||
            strncmp(fail.message, cases[i].message, strlen(cases[i].message)) != 0)
            fail_msg("%s: %s %d %lld %s", cases[i].body, tg_err_name(fail.err), fail.http_status,
                     (long long)fail.retry_after_ms, fail.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(prompts, setup, teardown),
        cmocka_unit_test_setup_teardown(values_at_the_edge, setup, teardown),
        cmocka_unit_test_setup_teardown(conversations, setup, teardown),
        cmocka_unit_test_setup_teardown(vectors_and_ranks, setup, teardown),
        cmocka_unit_test_setup_teardown(streams, setup, teardown),
        cmocka_unit_test_setup_teardown(stops_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_in_a_conversation, setup, teardown),
        cmocka_unit_test_setup_teardown(items, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
    };
    return cmocka_run_group_tests_name("adapter/huggingface", tests, NULL, NULL);
}
