/* POST /v1/chat/completions. Source of names, types and ranges: OpenAI's API description,
 * CreateChatCompletionRequest; of "null is fine for every optional member": the same, and what its
 * servers accept. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/fields_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RANGE("n", TG_F_N, TG_CHECK_INT, 1, 128),
    TG_RULE("stop", TG_F_STOP, TG_CHECK_STRINGS),
    TG_RULE("seed", TG_F_SEED, TG_CHECK_INT),
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("tools", TG_F_TOOLS, TG_CHECK_ARRAY),
    TG_RANGE("top_p", TG_F_TOP_P, TG_CHECK_NUMBER, 0, 1),
    TG_RULE("top_k", TG_F_TOP_K, TG_CHECK_ANY),
    TG_RULE("min_p", TG_F_MIN_P, TG_CHECK_ANY),
    TG_RULE("store", TG_F_NONE, TG_CHECK_BOOL),
    TG_RULE("audio", TG_F_NONE, TG_CHECK_OBJECT),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("messages", TG_F_MESSAGES, TG_CHECK_ARRAY),
    TG_RULE("metadata", TG_F_METADATA, TG_CHECK_OBJECT),
    TG_RULE("logprobs", TG_F_LOGPROBS, TG_CHECK_BOOL),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("functions", TG_F_FUNCTIONS, TG_CHECK_ARRAY),
    TG_RULE("reasoning", TG_F_REASONING, TG_CHECK_ANY),
    TG_RANGE("max_tokens", TG_F_MAX_TOKENS, TG_CHECK_INT, 1, 1e15),
    TG_RULE("logit_bias", TG_F_LOGIT_BIAS, TG_CHECK_OBJECT),
    TG_RULE("modalities", TG_F_NONE, TG_CHECK_ARRAY),
    TG_RULE("prediction", TG_F_NONE, TG_CHECK_OBJECT),
    TG_RANGE("temperature", TG_F_TEMPERATURE, TG_CHECK_NUMBER, 0, 2),
    TG_RULE("tool_choice", TG_F_TOOL_CHOICE, TG_CHECK_STRING_OR_OBJECT),
    TG_RANGE("top_logprobs", TG_F_TOP_LOGPROBS, TG_CHECK_INT, 0, 20),
    TG_RULE("service_tier", TG_F_SERVICE_TIER, TG_CHECK_STRING),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("function_call", TG_F_FUNCTION_CALL, TG_CHECK_STRING_OR_OBJECT),
    TG_RULE("stream_options", TG_F_STREAM_OPTIONS, TG_CHECK_OBJECT),
    TG_RULE("repeat_penalty", TG_F_REPEAT, TG_CHECK_ANY),
    TG_RULE("response_format", TG_F_RESPONSE_FORMAT, TG_CHECK_OBJECT),
    TG_RANGE("presence_penalty", TG_F_PRESENCE, TG_CHECK_NUMBER, -2, 2),
    TG_RULE("reasoning_effort", TG_F_REASONING_EFFORT, TG_CHECK_STRING),
    TG_RULE("prompt_cache_key", TG_F_NONE, TG_CHECK_STRING),
    TG_RANGE("frequency_penalty", TG_F_FREQUENCY, TG_CHECK_NUMBER, -2, 2),
    TG_RULE("repetition_penalty", TG_F_REPETITION, TG_CHECK_ANY),
    TG_RULE("parallel_tool_calls", TG_F_PARALLEL_TOOL_CALLS, TG_CHECK_BOOL),
    TG_RANGE("max_completion_tokens", TG_F_MAX_COMPLETION_TOKENS, TG_CHECK_INT, 1, 1e15),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("messages")};

enum { MAX_MESSAGES = 10000 };

static int bad_message(size_t i, const char *member, int err, const char *text, struct tg_fail *f)
{
    char param[64];
    snprintf(param, sizeof(param), "messages[%zu]%s%s", i, member[0] ? "." : "", member);
    return tg_fail_param(f, err, param, "'%s' %s", param, text);
}

static int check_message(const struct tg_json *m, size_t i, struct tg_fail *f)
{
    if (!tg_json_is_obj(m))
        return bad_message(i, "", TG_E_INVALID_VALUE, "must be an object", f);
    const struct tg_json *role = NULL, *content = NULL;
    struct tg_json_iter it = tg_json_iter(m);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("role")))
            role = it.value;
        else if (tg_str_eq(it.name, TG_STR("content")))
            content = it.value;
    }
    enum tg_role r;
    if (!role)
        return bad_message(i, "role", TG_E_MISSING_FIELD, "is missing", f);
    if (!tg_role_parse(tg_json_str(role), &r) && !tg_json_str_is(role, TG_STR("function")))
        return bad_message(i, "role", TG_E_INVALID_VALUE,
                           "must be one of system, developer, user, assistant, tool and function",
                           f);
    if (!tg_json_is_nil(content) && !tg_json_is_str(content) && !tg_json_is_arr(content))
        return bad_message(i, "content", TG_E_INVALID_VALUE,
                           "must be a string or an array of content parts", f);
    return 0;
}

static int check_messages(const struct tg_body *b, struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_MESSAGES];
    if (tg_json_is_nil(list))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "messages", "'messages' is missing");
    if (tg_json_count(list) == 0)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "messages",
                             "'messages' must hold at least one message");
    if (tg_json_count(list) > MAX_MESSAGES)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "messages",
                             "'messages' holds more than %d messages", MAX_MESSAGES);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        int rc = check_message(it.value, it.index, f);
        if (rc)
            return rc;
    }
    return 0;
}

static int open_chat(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                     struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc)
        return rc;
    rc = check_messages(b, f);
    if (rc)
        return rc;
    tg_body_fill_call(&tg_dialect_openai_chat, text, b, out);
    return 0;
}

static int parse_chat(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                      struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    int rc = tg_body_sampling(b, &req.sampling, f);
    if (rc)
        return rc;
    if (!tg_json_is_nil(b->v[TG_F_LOGPROBS])) {
        req.sampling.has |= TG_HAS_LOGPROBS;
        req.sampling.logprobs = tg_body_true(b, TG_F_LOGPROBS);
    }
    if (tg_json_i64(b->v[TG_F_TOP_LOGPROBS], &req.sampling.top_logprobs) == 0)
        req.sampling.has |= TG_HAS_TOP_LOGPROBS;
    rc = tg_body_top_extra(a, b, &table, &req.extra);
    if (!rc)
        rc = tg_openai_parse_options(a, b, &req, f);
    if (!rc)
        rc = tg_openai_parse_messages(a, b, &req, f);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    *out = req;
    return 0;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/chat/completions", "OpenAI chat completions", "ChatRequest",
     "ChatCompletion", "ChatChunk", "OpenAIError"},
};

const struct tg_dialect tg_dialect_openai_chat = {
    .name = "openai_chat",
    .fields = tg_fields_openai_chat,
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .format = TG_WIRE_OPENAI_CHAT,
    .open = open_chat,
    .parse = parse_chat,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_openai_render),
    .begin = tg_openai_chat_begin,
    .render = tg_openai_chat_render,
    .finish = tg_openai_chat_finish,
    .fini = tg_openai_chat_fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
