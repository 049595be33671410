#include "check.h"

#include "adapter/openai_priv.h"
#include "base/alloc.h"
#include "base/err.h"

static struct tg_arena arena;
static struct tg_fail f;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 8 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&arena);
    return 0;
}

static bool classify(int status, struct tg_str body)
{
    struct tg_http_head head = {.status = status};
    tg_fail_clear(&f);
    return tg_adapter_openai.classify(&arena, &head, body, &f);
}

#define OBJECT                                                                             \
    TG_STR("{\"error\":{\"message\":\"bad thing\",\"type\":\"some_type\",\"param\":\"n\"," \
           "\"code\":\"some_code\"}}")

static void statuses_mean_something(void **state)
{
    static const struct {
        int status, err, shown;
        bool pass; /* the provider's own body may be shown */
        bool told; /* its words are */
    } cases[] = {
        {400, TG_E_UPSTREAM_REJECTED, 400, true, true},
        {401, TG_E_UPSTREAM_AUTH, 502, false, false},
        {402, TG_E_UPSTREAM_AUTH, 502, false, false},
        {403, TG_E_UPSTREAM_AUTH, 502, false, false},
        {404, TG_E_UPSTREAM_REJECTED, 404, true, true},
        {408, TG_E_UPSTREAM_TIMEOUT, 504, true, true},
        {409, TG_E_UPSTREAM_ERROR, 502, true, true},
        {413, TG_E_UPSTREAM_REJECTED, 413, true, true},
        {422, TG_E_UPSTREAM_REJECTED, 422, true, true},
        {425, TG_E_UPSTREAM_ERROR, 502, true, true},
        {429, TG_E_UPSTREAM_RATE_LIMIT, 429, true, true},
        {500, TG_E_UPSTREAM_ERROR, 500, true, true},
        {501, TG_E_UPSTREAM_ERROR, 502, true, true},
        {502, TG_E_UPSTREAM_ERROR, 502, true, true},
        {503, TG_E_UPSTREAM_OVERLOADED, 503, true, true},
        {504, TG_E_UPSTREAM_TIMEOUT, 504, true, true},
        {522, TG_E_UPSTREAM_TIMEOUT, 504, true, true},
        {524, TG_E_UPSTREAM_TIMEOUT, 504, true, true},
        {529, TG_E_UPSTREAM_OVERLOADED, 503, true, true},
        {302, TG_E_UPSTREAM_INVALID, 502, true, true},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        bool pass = classify(cases[i].status, OBJECT);
        bool told = strcmp(f.message, "bad thing") == 0;
        if (f.err != cases[i].err || tg_fail_status(&f) != cases[i].shown ||
            pass != cases[i].pass || told != cases[i].told || f.provider_status != cases[i].status)
            fail_msg("%d: %s %d pass=%d: %s", cases[i].status, tg_err_name(f.err),
                     tg_fail_status(&f), pass, f.message);
        assert_int_equal(f.source, TG_FAIL_PROVIDER);
    }
}

/* A page of a proxy, or nothing: its status is not the API's word. */
static void pages_are_not_the_api(void **state)
{
    static const struct {
        int status, err, shown;
    } cases[] = {
        {400, TG_E_UPSTREAM_INVALID, 502},    {404, TG_E_UPSTREAM_INVALID, 502},
        {413, TG_E_UPSTREAM_REJECTED, 413},   {401, TG_E_UPSTREAM_AUTH, 502},
        {429, TG_E_UPSTREAM_RATE_LIMIT, 429}, {500, TG_E_UPSTREAM_ERROR, 502},
        {502, TG_E_UPSTREAM_ERROR, 502},      {503, TG_E_UPSTREAM_OVERLOADED, 503},
        {504, TG_E_UPSTREAM_TIMEOUT, 504},    {301, TG_E_UPSTREAM_INVALID, 502},
    };
    static const struct tg_str bodies[] = {TG_STR_INIT("<html>sk-abcdefgh12345678</html>"),
                                           TG_STR_INIT(""),
                                           TG_STR_INIT("{"),
                                           TG_STR_INIT("[]"),
                                           TG_STR_INIT("{\"choices\":[]}"),
                                           TG_STR_INIT("7")};
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        for (size_t k = 0; k < TG_ARRAY_LEN(bodies); k++) {
            assert_false(classify(cases[i].status, bodies[k]));
            assert_int_equal(f.err, cases[i].err);
            assert_int_equal(tg_fail_status(&f), cases[i].shown);
            assert_string_equal(f.message, tg_err_info(f.err)->text);
        }
    }
}

/* Servers behind axum (TGI) and Go's net/http say what is wrong in plain text: the client is told,
 * and its mistake is no fault of the provider's. */
static void plain_texts_are_told(void **state)
{
    static const struct {
        int status, err, shown;
        const char *type, *body, *message;
    } cases[] = {
        {422, TG_E_UPSTREAM_REJECTED, 422, "text/plain; charset=utf-8",
         "Failed to deserialize the JSON body: missing field `model` at line 1\n",
         "Failed to deserialize the JSON body: missing field `model` at line 1"},
        {404, TG_E_UPSTREAM_REJECTED, 404, "Text/Plain", "404 page not found",
         "404 page not found"},
        {400, TG_E_UPSTREAM_REJECTED, 400, "text/plain", "no sk-abcdefgh12345678", "no ***"},
        {400, TG_E_CONTEXT_LENGTH, 400, "text/plain", "over the maximum context length",
         "over the maximum context length"},
        {500, TG_E_UPSTREAM_ERROR, 500, "text/plain", "boom", "boom"},
        {400, TG_E_UPSTREAM_INVALID, 502, "text/html", "no", NULL},
        {400, TG_E_UPSTREAM_INVALID, 502, "text/plain", "<html>", NULL},
        {400, TG_E_UPSTREAM_INVALID, 502, "text/plain", "{\"x\":1}", NULL},
        {400, TG_E_UPSTREAM_INVALID, 502, "text/plain", " \n", NULL},
        {400, TG_E_UPSTREAM_INVALID, 502, "text/plain", "\xff\xfe", NULL},
        {401, TG_E_UPSTREAM_AUTH, 502, "text/plain", "bad key", NULL},
    };
    static const struct tg_adapter *const adapters[] = {
        &tg_adapter_openai, &tg_adapter_anthropic, &tg_adapter_gemini,
        &tg_adapter_cohere, &tg_adapter_ollama,    &tg_adapter_bedrock,
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_http_header h[] = {{TG_STR("content-type"), tg_str_c(cases[i].type)},
                                     {TG_STR("retry-after"), TG_STR("3")}};
        struct tg_http_head head = {.status = cases[i].status, .headers = h, .n_headers = 2};
        for (size_t k = 0; k < TG_ARRAY_LEN(adapters); k++) {
            tg_fail_clear(&f);
            assert_false(adapters[k]->classify(&arena, &head, tg_str_c(cases[i].body), &f));
            assert_int_equal(f.err, cases[i].err);
            assert_int_equal(tg_fail_status(&f), cases[i].shown);
            assert_string_equal(f.message,
                                cases[i].message ? cases[i].message : tg_err_info(f.err)->text);
            assert_int_equal(f.retry_after_ms, 3000);
        }
    }
}

static void words_are_kept(void **state)
{
    assert_true(classify(422, OBJECT));
    assert_string_equal(tg_fail_type(&f), "some_type");
    assert_string_equal(tg_fail_code(&f), "some_code");
    assert_string_equal(f.param, "n");
    assert_true(classify(400, TG_STR("{\"error\":{\"message\":\"m\",\"type\":\"a b\",\"code\":"
                                     "\"sk-abcdefgh12345678\",\"param\":null}}")) == false);
    assert_string_equal(tg_fail_type(&f), "invalid_request_error"); /* not a word */
    assert_string_equal(tg_fail_code(&f), "upstream_rejected");     /* a key */
    assert_string_equal(f.param, "");
}

static void a_context_too_long_has_a_code(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\",\"param\":\"m\"}}",
        "{\"error\":{\"message\":\"This model's MAXIMUM context length is 8\"}}",
        "{\"error\":{\"message\":\"prompt too long; exceeded max context length by 1\"}}",
        "{\"error\":{\"message\":\"x\",\"type\":\"too_many_prompt_tokens\",\"code\":400}}",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        assert_true(classify(400, tg_str_c(bodies[i])));
        assert_int_equal(f.err, TG_E_CONTEXT_LENGTH);
        assert_int_equal(tg_fail_status(&f), 400);
        assert_string_equal(tg_fail_code(&f), "context_length_exceeded");
    }
    classify(500, tg_str_c(bodies[0]));
    assert_int_equal(f.err, TG_E_UPSTREAM_ERROR);
    classify(413, tg_str_c(bodies[0]));
    assert_int_equal(f.err, TG_E_CONTEXT_LENGTH);
    assert_int_equal(tg_fail_status(&f), 413);
}

static void shapes_of_servers_that_differ(void **state)
{
    static const struct {
        const char *body, *message;
    } cases[] = {
        {"{\"error\":\"just text\"}", "just text"},
        {"{\"detail\":\"Invalid model\"}", "Invalid model"},
        {"{\"detail\":[{\"msg\":\"field required\"}]}", "field required"},
        {"{\"message\":\"top level\",\"type\":\"t\"}", "top level"},
        {"{\"object\":\"error\",\"message\":\"vllm\"}", "vllm"},
        {"[{\"error\":{\"code\":400,\"message\":\"gemini\"}}]", "gemini"},
        {"{\"error\":{\"message\":\"\"}}", "the provider rejected the request"},
        {"{\"error\":{}}", "the provider rejected the request"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        assert_false(classify(400, tg_str_c(cases[i].body))); /* not OpenAI's shape */
        assert_int_equal(f.err, TG_E_UPSTREAM_REJECTED);
        assert_string_equal(f.message, cases[i].message);
    }
}

static void keys_never_show(void **state)
{
    static const char *const keys[] = {
        "sk-abcdefgh12345678",  "sk-proj-ABC_def-12345678",
        "Bearer abcdefgh.ijkl", "gsk_abcdefgh123",
        "hf_abcdefgh",          "AIzaSyA12345678",
        "xai-abcdefgh1",        "SK-ABCDEFGH1",
        "pplx-12345678",        "sk-****************abcd",
        "r8_abcdefgh",          "key-12345678",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(keys); i++) {
        char body[256];
        snprintf(body, sizeof(body), "{\"error\":{\"message\":\"bad %s, sorry\"}}", keys[i]);
        assert_false(classify(400, tg_str_c(body)));
        assert_string_equal(f.message, "bad ***, sorry");
    }
    assert_true(classify(400, TG_STR("{\"error\":{\"message\":\"ask-me-anything-else task-force "
                                     "sk-short risk-abcdefgh12\"}}")));
    assert_string_equal(f.message, "ask-me-anything-else task-force sk-short risk-abcdefgh12");
}

static void long_messages_are_cut(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    tg_buf_lit(&b, "{\"error\":{\"message\":\"");
    for (int i = 0; i < 10000; i++)
        tg_buf_lit(&b, "\xc3\xa4\\u0000");
    tg_buf_lit(&b, "\"}}");
    assert_true(classify(400, tg_buf_str(&b)));
    assert_in_range(strlen(f.message), 400, sizeof(f.message) - 1);
    tg_buf_fini(&b);
}

static void retry_after_of_the_provider_s_clock(void **state)
{
    struct tg_http_header headers[] = {
        {TG_STR("Date"), TG_STR("Sat, 21 Nov 2026 09:00:00 GMT")},
        {TG_STR("Retry-After"), TG_STR("Sat, 21 Nov 2026 09:00:07 GMT")},
    };
    struct tg_http_head head = {.status = 429, .headers = headers, .n_headers = 2};
    tg_fail_clear(&f);
    assert_true(tg_adapter_openai.classify(&arena, &head, OBJECT, &f));
    assert_int_equal(f.retry_after_ms, 7000);
    head.n_headers = 1;
    tg_fail_clear(&f);
    tg_adapter_openai.classify(&arena, &head, OBJECT, &f);
    assert_int_equal(f.retry_after_ms, -1);
    headers[0] = headers[1]; /* a date, and no clock to hold it against */
    tg_fail_clear(&f);
    tg_adapter_openai.classify(&arena, &head, OBJECT, &f);
    assert_int_equal(f.retry_after_ms, -1);
}

static void without_memory_the_status_still_counts(void **state)
{
    tg_alloc_fail_at(1, 1);
    assert_false(classify(429, OBJECT));
    tg_alloc_fail_at(0, 0);
    assert_int_equal(f.err, TG_E_UPSTREAM_RATE_LIMIT);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(statuses_mean_something),
        T(pages_are_not_the_api),
        T(plain_texts_are_told),
        T(words_are_kept),
        T(a_context_too_long_has_a_code),
        T(shapes_of_servers_that_differ),
        T(keys_never_show),
        T(long_messages_are_cut),
        T(retry_after_of_the_provider_s_clock),
        T(without_memory_the_status_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
