#include "check.h"

#include "adapter/adapter.h"
#include "base/err.h"

static struct tg_arena arena;
static struct tg_adapter_request out;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 1 << 20);
    tg_fail_clear(&fail);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static struct tg_str header(const char *name)
{
    for (size_t i = 0; i < out.n_headers; i++) {
        if (tg_str_eq(out.headers[i].name, tg_str_c(name)))
            return out.headers[i].value;
    }
    return TG_STR("");
}

static void pass(enum tg_wire_format format, const char *tail, const char *version,
                 const char *base, const char *key)
{
    struct tg_adapter_target t = {.model = TG_STR_INIT("my gpt/4"),
                                  .base_path = tg_str_c(base),
                                  .credential = tg_str_c(key),
                                  .api_version = tg_str_c(version)};
    struct tg_pass p = {.format = format, .tail = tg_str_c(tail)};
    assert_int_equal(tg_adapter_azure.encode_pass(&arena, &p, &t, &out), 0);
}

static void paths(void **state)
{
    pass(TG_WIRE_OPENAI_CHAT, "", "v1", "", "k");
    assert_str(out.path, "/openai/v1/chat/completions");
    pass(TG_WIRE_OPENAI_CHAT, "", "", "", "k");
    assert_str(out.path, "/openai/v1/chat/completions");
    pass(TG_WIRE_OPENAI_CHAT, "", "preview", "/gw", "k");
    assert_str(out.path, "/gw/openai/v1/chat/completions?api-version=preview");
    pass(TG_WIRE_OPENAI_EMBEDDINGS, "", "2024-10-21", "", "k");
    assert_str(out.path, "/openai/deployments/my%20gpt%2F4/embeddings?api-version=2024-10-21");
    pass(TG_WIRE_OPENAI_AUDIO, "/audio/speech", "2025-03-01-preview", "", "k");
    assert_str(out.path,
               "/openai/deployments/my%20gpt%2F4/audio/speech?api-version=2025-03-01-preview");
    pass(TG_WIRE_OPENAI_RESPONSES, "", "2025-03-01-preview", "", "k");
    assert_str(out.path, "/openai/responses?api-version=2025-03-01-preview");
    pass(TG_WIRE_OPENAI_RESPONSES, "", "v1", "", "k");
    assert_str(out.path, "/openai/v1/responses");
    pass(TG_WIRE_OPENAI_CHAT, "", "v1", "/models", "k");
    assert_str(out.path, "/models/chat/completions?api-version=2024-05-01-preview");
}

static void keys_and_tokens(void **state)
{
    pass(TG_WIRE_OPENAI_CHAT, "", "v1", "", "abc123");
    assert_str(header("api-key"), "abc123");
    assert_str(header("authorization"), "");
    pass(TG_WIRE_OPENAI_CHAT, "", "v1", "", "eyJh.eyJi.sig");
    assert_str(header("authorization"), "Bearer eyJh.eyJi.sig");
    assert_str(header("api-key"), "");
    pass(TG_WIRE_OPENAI_CHAT, "", "v1", "", "");
    assert_str(header("api-key"), "");
    assert_str(header("authorization"), "");
}

static void translated_requests(void **state)
{
    struct tg_part text = {.kind = TG_PART_TEXT, .text = TG_STR_INIT("hi")};
    struct tg_message m = {.role = TG_ROLE_USER, .parts = &text, .n_parts = 1};
    struct tg_chat_req req = {.wire = TG_WIRE_ANTHROPIC_MESSAGES,
                              .messages = &m,
                              .n_messages = 1,
                              .tool_choice.parallel = -1,
                              .reasoning = {.budget_tokens = -1, .show = -1}};
    struct tg_adapter_target t = {.model = TG_STR_INIT("dep"),
                                  .credential = TG_STR_INIT("k"),
                                  .api_version = TG_STR_INIT("2024-10-21")};
    assert_int_equal(tg_adapter_azure.encode(&arena, &req, &t, &out, &fail), 0);
    assert_str(out.path, "/openai/deployments/dep/chat/completions?api-version=2024-10-21");
    assert_str(out.body,
               "{\"model\":\"dep\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_str(header("api-key"), "k");
}

static void errors(void **state)
{
    static const struct {
        int status;
        const char *body;
        int err;
        const char *code;
        bool passes;
    } bad[] = {
        {400,
         "{\"error\":{\"message\":\"The response was filtered\",\"type\":null,\"param\":\"prompt\","
         "\"code\":\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
         "\"ResponsibleAIPolicyViolation\"}}}",
         TG_E_UPSTREAM_REJECTED, "content_filter", true},
        {401,
         "{\"error\":{\"code\":\"401\",\"message\":\"Access denied due to invalid subscription "
         "key\"}}",
         TG_E_UPSTREAM_AUTH, "", false},
        {401, "{\"statusCode\":401,\"message\":\"Unauthorized\"}", TG_E_UPSTREAM_AUTH, "", false},
        {404,
         "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"The API deployment for this "
         "resource does not exist.\"}}",
         TG_E_UPSTREAM_REJECTED, "DeploymentNotFound", true},
        {429, "{\"error\":{\"code\":\"RateLimitReached\",\"message\":\"m\",\"details\":\"d\"}}",
         TG_E_UPSTREAM_RATE_LIMIT, "RateLimitReached", true},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct tg_http_head head = {.status = bad[i].status};
        tg_fail_clear(&fail);
        assert_int_equal(tg_adapter_azure.classify(&arena, &head, tg_str_c(bad[i].body), &fail),
                         bad[i].passes);
        assert_int_equal(fail.err, bad[i].err);
        assert_string_equal(fail.code, bad[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(paths, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_and_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(translated_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
