#include "core/headers_priv.h"

#include "base/err.h"
#include "base/secret.h"
#include "check.h"

static struct tg_buf out;
static struct tg_secret *secret;

static int setup(void **state TG_UNUSED)
{
    tg_buf_init(&out, 8192);
    secret = tg_secret_new(TG_STR("from-the-config"));
    return secret ? 0 : -1;
}

static int teardown(void **state TG_UNUSED)
{
    tg_buf_fini(&out);
    tg_secret_free(secret);
    return 0;
}

/* What a hostile and chatty client sends. */
static struct tg_http_header client_headers[] = {
    {TG_STR_INIT("Authorization"), TG_STR_INIT("Bearer client-secret")},
    {TG_STR_INIT("x-api-key"), TG_STR_INIT("client-secret")},
    {TG_STR_INIT("X-Goog-Api-Key"), TG_STR_INIT("client-secret")},
    {TG_STR_INIT("x-goog-user-project"), TG_STR_INIT("client-secret")},
    {TG_STR_INIT("x-goog-fieldmask"), TG_STR_INIT("candidates")},
    {TG_STR_INIT("api-key"), TG_STR_INIT("client-secret")},
    {TG_STR_INIT("Cookie"), TG_STR_INIT("a=client-secret")},
    {TG_STR_INIT("Proxy-Authorization"), TG_STR_INIT("client-secret")},
    {TG_STR_INIT("Host"), TG_STR_INIT("evil.example")},
    {TG_STR_INIT("Transfer-Encoding"), TG_STR_INIT("chunked")},
    {TG_STR_INIT("Content-Length"), TG_STR_INIT("999")},
    {TG_STR_INIT("OpenAI-Organization"), TG_STR_INIT("org-client")},
    {TG_STR_INIT("OpenAI-Project"), TG_STR_INIT("proj-client")},
    {TG_STR_INIT("OpenAI-Beta"), TG_STR_INIT("assistants=v2")},
    {TG_STR_INIT("Anthropic-Beta"), TG_STR_INIT("one-2025-01-01")},
    {TG_STR_INIT("anthropic-beta"), TG_STR_INIT("two-2025-01-01, three")},
    {TG_STR_INIT("anthropic-beta"), TG_STR_INIT("")},
    {TG_STR_INIT("Anthropic-Version"), TG_STR_INIT("2029-01-01")},
    {TG_STR_INIT("anthropic-version"), TG_STR_INIT("1999-01-01")},
    {TG_STR_INIT("Idempotency-Key"), TG_STR_INIT("k1")},
    {TG_STR_INIT("x-goog-api-client"), TG_STR_INIT("genai-js/1")},
    {TG_STR_INIT("x-server-timeout"), TG_STR_INIT("30")},
    {TG_STR_INIT("traceparent"), TG_STR_INIT("00-aa-bb-01")},
    {TG_STR_INIT("tracestate"), TG_STR_INIT("v=1")},
    {TG_STR_INIT("x-anthropic-beta"), TG_STR_INIT("client-secret")},
    {TG_STR_INIT("anthropic-bet"), TG_STR_INIT("client-secret")},
};
static const struct tg_http_head client = {.headers = client_headers,
                                           .n_headers = TG_ARRAY_LEN(client_headers)};

static const struct tg_http_header own[] = {
    {TG_STR_INIT("content-type"), TG_STR_INIT("application/json")},
    {TG_STR_INIT("anthropic-version"), TG_STR_INIT("2023-06-01")},
};

static const char *onward(struct tg_onward o)
{
    tg_buf_clear(&out);
    assert_int_equal(tg_headers_onward(&out, &o), 0);
    assert_int_equal(tg_buf_char(&out, '\0'), 0);
    return out.p;
}

static void a_family_gets_its_own(void **state TG_UNUSED)
{
    assert_string_equal(onward((struct tg_onward){.from = TG_WIRE_ANTHROPIC_MESSAGES,
                                                  .to = TG_WIRE_ANTHROPIC_MESSAGES,
                                                  .client = &client,
                                                  .own = own,
                                                  .n_own = 2}),
                        "content-type: application/json\r\n"
                        "Anthropic-Beta: one-2025-01-01, two-2025-01-01, three\r\n"
                        "Anthropic-Version: 2029-01-01\r\n"
                        "Idempotency-Key: k1\r\n"
                        "traceparent: 00-aa-bb-01\r\n"
                        "tracestate: v=1\r\n");
    assert_string_equal(onward((struct tg_onward){.from = TG_WIRE_OPENAI_CHAT,
                                                  .to = TG_WIRE_OPENAI_RESPONSES,
                                                  .client = &client,
                                                  .own = own,
                                                  .n_own = 1}),
                        "content-type: application/json\r\n"
                        "Idempotency-Key: k1\r\n"
                        "OpenAI-Beta: assistants=v2\r\n"
                        "traceparent: 00-aa-bb-01\r\n"
                        "tracestate: v=1\r\n");
    assert_string_equal(onward((struct tg_onward){.from = TG_WIRE_GEMINI_COUNT,
                                                  .to = TG_WIRE_GEMINI_GENERATE,
                                                  .client = &client}),
                        "traceparent: 00-aa-bb-01\r\n"
                        "tracestate: v=1\r\n"
                        "x-goog-api-client: genai-js/1\r\n"
                        "x-server-timeout: 30\r\n");
}

/* Every pair of formats: no secret, nothing of another family, and no more than tracing between two
 * families. */
static void nothing_else_goes_on(void **state TG_UNUSED)
{
    static const char *const never[] = {"client-secret", "evil",     "chunked", "999",
                                        "org-client",    "proj-cli", "1999",    "candidates"};
    for (int from = 0; from < TG_WIRE_FORMAT_COUNT; from++) {
        for (int to = 0; to < TG_WIRE_FORMAT_COUNT; to++) {
            struct tg_onward o = {.from = (enum tg_wire_format)from,
                                  .to = (enum tg_wire_format)to,
                                  .client = &client};
            const char *text = onward(o);
            for (size_t i = 0; i < TG_ARRAY_LEN(never); i++)
                assert_null(strstr(text, never[i]));
            assert_non_null(strstr(text, "traceparent"));
            bool openai_a = from && from <= TG_WIRE_OPENAI_AUDIO;
            bool openai_b = to && to <= TG_WIRE_OPENAI_AUDIO;
            assert_int_equal(strstr(text, "OpenAI-Beta") != NULL, openai_a && openai_b);
            bool claude_a = from == TG_WIRE_ANTHROPIC_MESSAGES || from == TG_WIRE_ANTHROPIC_COUNT;
            bool claude_b = to == TG_WIRE_ANTHROPIC_MESSAGES || to == TG_WIRE_ANTHROPIC_COUNT;
            assert_int_equal(strstr(text, "Anthropic-Beta") != NULL, claude_a && claude_b);
            /* without an adapter's own there is none to stand in for */
            assert_null(strstr(text, "ersion"));
        }
    }
}

static void what_is_configured_stands(void **state TG_UNUSED)
{
    const struct tg_header_config configured[] = {
        {TG_STR_INIT("anthropic-beta"), secret},
        {TG_STR_INIT("Idempotency-Key"), secret},
        {TG_STR_INIT("OpenAI-Organization"), secret},
        {TG_STR_INIT("content-type"), secret},
    };
    struct tg_onward o = {.from = TG_WIRE_ANTHROPIC_MESSAGES,
                          .to = TG_WIRE_ANTHROPIC_MESSAGES,
                          .client = &client,
                          .own = own,
                          .n_own = 2,
                          .configured = configured,
                          .n_configured = TG_ARRAY_LEN(configured),
                          .fixed_version = true};
    assert_string_equal(onward(o),
                        "anthropic-version: 2023-06-01\r\n"
                        "anthropic-beta: from-the-config, one-2025-01-01, two-2025-01-01, three\r\n"
                        "Idempotency-Key: from-the-config\r\n"
                        "OpenAI-Organization: from-the-config\r\n"
                        "content-type: from-the-config\r\n"
                        "traceparent: 00-aa-bb-01\r\n"
                        "tracestate: v=1\r\n");
    o.client = NULL; /* a batch's item */
    assert_null(strstr(onward(o), "one-2025"));
    o.client = &client;
    o.to = TG_WIRE_OPENAI_CHAT; /* its own still go: the operator has said so */
    assert_non_null(strstr(onward(o), "anthropic-beta: from-the-config\r\n"));
}

static void a_value_that_breaks_a_head_is_refused(void **state TG_UNUSED)
{
    struct tg_http_header bad[] = {{TG_STR_INIT("openai-beta"), TG_STR_INIT("a\r\nX-Evil: 1")}};
    struct tg_http_head head = {.headers = bad, .n_headers = 1};
    struct tg_onward o = {.from = TG_WIRE_OPENAI_CHAT, .to = TG_WIRE_OPENAI_CHAT, .client = &head};
    tg_buf_clear(&out);
    assert_int_equal(tg_headers_onward(&out, &o), TG_E_INVALID_ARG);
}

static void betas_that_get_lost(void **state TG_UNUSED)
{
    struct tg_http_header h[] = {
        {TG_STR_INIT("Anthropic-Beta"),
         TG_STR_INIT(
             "claude-code-20250219, context-1m-2025-08-07,, structured-outputs-2025-11-13")},
        {TG_STR_INIT("anthropic-beta"), TG_STR_INIT("new-2027-01-01,a b,<x>\"y\"")},
        {TG_STR_INIT("openai-beta"), TG_STR_INIT("assistants=v2")},
    };
    struct tg_http_head head = {.headers = h, .n_headers = TG_ARRAY_LEN(h)};
    struct tg_arena a;
    tg_arena_init(&a, 256, 4096);
#define LOST(from, to) tg_headers_lost_betas(&a, &head, TG_WIRE_##from, TG_WIRE_##to)
    assert_str(LOST(ANTHROPIC_MESSAGES, OPENAI_CHAT),
               "anthropic-beta.context-1m-2025-08-07,anthropic-beta.new-2027-01-01");
    assert_str(LOST(ANTHROPIC_COUNT, NONE),
               "anthropic-beta.context-1m-2025-08-07,anthropic-beta.new-2027-01-01");
    assert_int_equal(LOST(ANTHROPIC_MESSAGES, ANTHROPIC_MESSAGES).n, 0);
    assert_int_equal(LOST(OPENAI_CHAT, GEMINI_GENERATE).n, 0);
    h[0].value = TG_STR("claude-code-20250219");
    head.n_headers = 1;
    assert_int_equal(LOST(ANTHROPIC_MESSAGES, OPENAI_CHAT).n, 0);
    assert_int_equal(tg_headers_lost_betas(&a, NULL, TG_WIRE_ANTHROPIC_MESSAGES, TG_WIRE_NONE).n,
                     0);
    tg_arena_fini(&a);
}

static void what_comes_back(void **state TG_UNUSED)
{
    static const char *const yes[] = {
        "x-ratelimit-remaining-tokens",
        "X-RateLimit-Limit-Requests",
        "retry-after",
        "anthropic-ratelimit-tokens-remaining",
        "Retry-After-Ms",
        "openai-model",
        "OpenAI-Processing-Ms",
        "openai-version",
        "x-should-retry",
        "anthropic-priority-input-tokens-limit",
    };
    static const char *const no[] = {
        "anthropic-organization-id",
        "openai-organization",
        "openai-project",
        "x-request-id",
        "request-id",
        "set-cookie",
        "server",
        "cf-ray",
        "retry-after-x",
        "openai-model-x",
        "x-ratelimi",
        "*",
        "",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(yes); i++)
        assert_true(tg_headers_is_returned(tg_str_c(yes[i])));
    for (size_t i = 0; i < TG_ARRAY_LEN(no); i++)
        assert_false(tg_headers_is_returned(tg_str_c(no[i])));
}

static void a_provider_names_a_request(void **state TG_UNUSED)
{
    struct tg_http_header h[] = {{TG_STR_INIT("server"), TG_STR_INIT("x")},
                                 {TG_STR_INIT("Request-Id"), TG_STR_INIT("req_theirs")}};
    struct tg_http_head head = {.headers = h, .n_headers = 2};
    assert_str(tg_headers_provider_id(&head), "req_theirs");
    head.n_headers = 1;
    assert_int_equal(tg_headers_provider_id(&head).n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
        T(a_family_gets_its_own),      T(nothing_else_goes_on),
        T(what_is_configured_stands),  T(a_value_that_breaks_a_head_is_refused),
        T(betas_that_get_lost),        T(what_comes_back),
        T(a_provider_names_a_request),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
