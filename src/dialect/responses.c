/* POST /v1/responses and /v1/responses/input_tokens. Source of names, types and ranges: OpenAI's
 * API description, CreateResponse, CreateModelResponseProperties, ResponseProperties; of "null is
 * fine for every optional member": the same. */
#include "dialect/fields_priv.h"
#include "dialect/responses_priv.h"

#include <stdio.h>

#include "base/err.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("text", TG_F_TEXT, TG_CHECK_OBJECT),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("input", TG_F_INPUT, TG_CHECK_STRING_OR_ARRAY),
    TG_RULE("tools", TG_F_TOOLS, TG_CHECK_ARRAY),
    TG_RULE("store", TG_F_STORE, TG_CHECK_BOOL),
    TG_RANGE("top_p", TG_F_TOP_P, TG_CHECK_NUMBER, 0, 1),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("prompt", TG_F_PROMPT, TG_CHECK_OBJECT),
    TG_RULE("include", TG_F_INCLUDE, TG_CHECK_STRINGS),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("metadata", TG_F_METADATA, TG_CHECK_OBJECT),
    TG_RULE("reasoning", TG_F_REASONING, TG_CHECK_OBJECT),
    TG_RULE("background", TG_F_BACKGROUND, TG_CHECK_BOOL),
    TG_RULE("truncation", TG_F_TRUNCATION, TG_CHECK_STRING),
    TG_RULE("tool_choice", TG_F_TOOL_CHOICE, TG_CHECK_STRING_OR_OBJECT),
    TG_RANGE("temperature", TG_F_TEMPERATURE, TG_CHECK_NUMBER, 0, 2),
    TG_RANGE("top_logprobs", TG_F_TOP_LOGPROBS, TG_CHECK_INT, 0, 20),
    TG_RULE("instructions", TG_F_INSTRUCTIONS, TG_CHECK_STRING),
    TG_RULE("service_tier", TG_F_SERVICE_TIER, TG_CHECK_STRING),
    TG_RULE("conversation", TG_F_CONVERSATION, TG_CHECK_STRING_OR_OBJECT),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RANGE("max_tool_calls", TG_F_NONE, TG_CHECK_INT, 1, 1e15),
    TG_RULE("stream_options", TG_F_STREAM_OPTIONS, TG_CHECK_OBJECT),
    TG_RULE("prompt_cache_key", TG_F_NONE, TG_CHECK_STRING),
    TG_RULE("safety_identifier", TG_F_SAFETY, TG_CHECK_STRING),
    TG_RANGE("max_output_tokens", TG_F_MAX_COMPLETION_TOKENS, TG_CHECK_INT, 1, 1e15),
    TG_RULE("parallel_tool_calls", TG_F_PARALLEL_TOOL_CALLS, TG_CHECK_BOOL),
    TG_RULE("previous_response_id", TG_F_PREVIOUS, TG_CHECK_STRING),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("input")};

/* ---- opening ---- */

static int bad_item(size_t i, const char *member, int err, const char *text, struct tg_fail *f)
{
    char param[64];
    snprintf(param, sizeof(param), "input[%zu]%s%s", i, member[0] ? "." : "", member);
    return tg_fail_param(f, err, param, "'%s' %s", param, text);
}

static int check_message(const struct tg_json *v, size_t i, struct tg_fail *f)
{
    const struct tg_json *role = tg_json_get(v, TG_STR("role"));
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    enum tg_role r;
    if (!role)
        return bad_item(i, "role", TG_E_MISSING_FIELD, "is missing", f);
    if (!tg_role_parse(tg_json_str(role), &r) || r == TG_ROLE_TOOL)
        return bad_item(i, "role", TG_E_INVALID_VALUE,
                        "must be one of user, assistant, system and developer", f);
    if (!content)
        return bad_item(i, "content", TG_E_MISSING_FIELD, "is missing", f);
    if (!tg_json_is_str(content) && !tg_json_is_arr(content))
        return bad_item(i, "content", TG_E_INVALID_VALUE,
                        "must be a string or an array of content parts", f);
    return 0;
}

/* Items of types that the gateway does not know pass. */
static int check_item(const struct tg_json *v, size_t i, struct tg_fail *f)
{
    if (!tg_json_is_obj(v))
        return bad_item(i, "", TG_E_INVALID_VALUE, "must be an object", f);
    const struct tg_json *type = tg_json_get(v, TG_STR("type"));
    if (!tg_json_is_nil(type) && !tg_json_is_str(type))
        return bad_item(i, "type", TG_E_INVALID_VALUE, "must be a string", f);
    if (tg_json_str_is(type, TG_STR("message")))
        return check_message(v, i, f);
    if (!tg_json_is_nil(type))
        return 0;
    if (tg_json_get(v, TG_STR("role")))
        return check_message(v, i, f);
    if (tg_json_get(v, TG_STR("id"))) /* a reference may come without its type */
        return 0;
    return bad_item(i, "type", TG_E_MISSING_FIELD, "is missing", f);
}

static int check_input(const struct tg_body *b, struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_INPUT];
    bool elsewhere = !tg_json_is_nil(b->v[TG_F_PROMPT]) ||
                     !tg_json_is_nil(b->v[TG_F_CONVERSATION]) || tg_body_str(b, TG_F_PREVIOUS).n;
    if (tg_json_is_nil(list) && !elsewhere)
        return tg_fail_param(f, TG_E_MISSING_FIELD, "input", "'input' is missing");
    if (tg_json_is_arr(list) && tg_json_count(list) == 0 && !elsewhere)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "input", "'input' must hold at least one item");
    if (tg_json_count(list) > TG_RESPONSES_MAX_ITEMS)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "input", "'input' holds more than %d items",
                             TG_RESPONSES_MAX_ITEMS);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        int rc = check_item(it.value, it.index, f);
        if (rc)
            return rc;
    }
    return 0;
}

static int open_any(struct tg_arena *a, const struct tg_dialect *d, struct tg_str text,
                    struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (!rc)
        rc = check_input(b, f);
    if (rc)
        return rc;
    tg_body_fill_call(d, text, b, out);
    out->include_usage = true; /* the last event has it */
    out->previous_id = tg_body_str(b, TG_F_PREVIOUS);
    if (!out->user.n)
        out->user = tg_body_str(b, TG_F_SAFETY);
    return 0;
}

static int open_responses(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                          struct tg_call *out, struct tg_fail *f)
{
    int rc = open_any(a, &tg_dialect_responses, text, out, f);
    if (rc)
        return rc;
    const struct tg_body *b = out->parsed;
    /* Whatever the provider: nobody here would fetch the answer later. */
    if (tg_body_true(b, TG_F_BACKGROUND))
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "background",
                             "'background' is not supported: wait for the answer, or have it "
                             "streamed");
    out->store = tg_json_is_nil(b->v[TG_F_STORE]) || tg_body_true(b, TG_F_STORE);
    return 0;
}

static int open_count(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                      struct tg_call *out, struct tg_fail *f)
{
    int rc = open_any(a, &tg_dialect_responses_count, text, out, f);
    out->stream = rc ? out->stream : false;
    return rc;
}

/* ---- the canonical request ---- */

/* What only the provider that keeps it can know. */
static int refuse_kept(const struct tg_call *call, struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    if (!tg_json_is_nil(b->v[TG_F_CONVERSATION]))
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "conversation",
                             "'conversation' is not supported for this model: send the items in "
                             "'input' or use 'previous_response_id'");
    if (!tg_json_is_nil(b->v[TG_F_PROMPT]))
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "prompt",
                             "'prompt' is kept by another provider than this model's");
    if (call->previous_id.n && !call->n_history)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "previous_response_id",
                             "no response of this 'previous_response_id' is kept");
    return 0;
}

/* `include` asks for nothing that the gateway does not give anyway. */
static bool include_is_plain(const struct tg_body *b)
{
    struct tg_json_iter it = tg_json_iter(b->v[TG_F_INCLUDE]);
    while (tg_json_next(&it)) {
        if (!tg_json_str_is(it.value, TG_STR("reasoning.encrypted_content")) &&
            !tg_json_str_is(it.value, TG_STR("message.output_text.logprobs")))
            return false;
    }
    return true;
}

static bool has_other(const struct tg_json *v, const struct tg_str *known, size_t n)
{
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        bool found = tg_json_is_nil(it.value);
        for (size_t i = 0; i < n && !found; i++)
            found = tg_str_eq(it.name, known[i]);
        if (!found)
            return true;
    }
    return false;
}

/* Which of a request's members are told by the canonical request as a whole; the others with a
 * number are told in part only, and so are extra as well. */
static bool is_whole(const struct tg_body *b, enum tg_field id)
{
    static const struct tg_str text[] = {TG_STR_INIT("format")};
    static const struct tg_str reasoning[] = {TG_STR_INIT("effort"), TG_STR_INIT("summary"),
                                              TG_STR_INIT("generate_summary")};
    if (id == TG_F_TEXT)
        return !has_other(b->v[id], text, TG_ARRAY_LEN(text));
    if (id == TG_F_REASONING)
        return !has_other(b->v[id], reasoning, TG_ARRAY_LEN(reasoning));
    if (id == TG_F_TRUNCATION)
        return tg_json_is_nil(b->v[id]) || tg_json_str_is(b->v[id], TG_STR("disabled"));
    return id != TG_F_INCLUDE || include_is_plain(b);
}

/* Written anew from the canonical request. */
static bool is_canonical(enum tg_field id)
{
    static const enum tg_field as_they_came[] = {
        TG_F_TEXT,  TG_F_REASONING,  TG_F_TRUNCATION,     TG_F_INCLUDE, TG_F_TOOLS,
        TG_F_STORE, TG_F_BACKGROUND, TG_F_CONVERSATION,   TG_F_PROMPT,  TG_F_TOOL_CHOICE,
        TG_F_USER,  TG_F_SAFETY,     TG_F_STREAM_OPTIONS,
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(as_they_came); i++) {
        if (id == as_they_came[i])
            return false;
    }
    return true;
}

static enum tg_field field_of(struct tg_str name)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(rules); i++) {
        if (tg_str_eq(rules[i].name, name))
            return rules[i].id;
    }
    return TG_F_NONE;
}

static bool not_extra(struct tg_str name, const void *ctx)
{
    enum tg_field id = field_of(name);
    return id != TG_F_NONE && (is_canonical(id) || is_whole(ctx, id));
}

static bool not_own(struct tg_str name, const void *ctx)
{
    const struct tg_body *b = ctx;
    enum tg_field id = field_of(name);
    if (id == TG_F_INSTRUCTIONS) /* empty ones make no message */
        return tg_body_str(b, id).n > 0;
    return id == TG_F_NONE || is_canonical(id) || !is_whole(b, id);
}

static int parse_any(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                     struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    req.wire = TG_WIRE_OPENAI_RESPONSES; /* of both endpoints */
    int rc = refuse_kept(call, f);
    if (!rc)
        rc = tg_body_sampling(b, &req.sampling, f);
    if (rc)
        return rc;
    if (tg_json_i64(b->v[TG_F_TOP_LOGPROBS], &req.sampling.top_logprobs) == 0)
        req.sampling.has |= TG_HAS_TOP_LOGPROBS;
    req.service_tier = tg_body_str(b, TG_F_SERVICE_TIER);
    rc = tg_body_extra(a, b->doc, b->root, not_extra, b, &req.extra);
    if (!rc)
        rc = tg_body_extra(a, b->doc, b->root, not_own, b, &req.own);
    if (!rc)
        rc = tg_responses_parse_options(a, b, &req, f);
    if (!rc)
        rc = tg_responses_parse_input(a, call, &req, f);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    *out = req;
    return 0;
}

/* ---- counting ---- */

static int count_begin(void *state, const struct tg_render_info *info)
{
    return 0;
}

static int count_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                        struct tg_buf *out)
{
    return 0;
}

static int count_finish(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    bool known = usage && usage->source != TG_USAGE_ABSENT;
    tg_buf_lit(out, "{\"object\":\"response.input_tokens\",\"input_tokens\":");
    tg_buf_i64(out, known ? tg_usage_prompt(usage) : 0);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/responses", "OpenAI responses", "ResponsesRequest", "Response",
     "ResponseEvent", "OpenAIError"},
};
static const struct tg_endpoint count_endpoints[] = {
    {TG_HTTP_POST, "/v1/responses/input_tokens", "OpenAI responses: how many tokens a request has",
     "ResponsesCountRequest", "ResponsesCount", NULL, "OpenAIError"},
};

const struct tg_dialect tg_dialect_responses = {
    .name = "openai_responses",
    .fields = tg_fields_responses,
    .prompt_field = "input",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .format = TG_WIRE_OPENAI_RESPONSES,
    .open = open_responses,
    .parse = parse_any,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_responses_render),
    .begin = tg_responses_begin,
    .render = tg_responses_render,
    .finish = tg_responses_finish,
    .fini = tg_responses_fini,
    .broken = tg_responses_broken,
    .broken_passed = tg_responses_broken_passed,
    .render_fail = tg_responses_fail,
    .stream_content_type = "text/event-stream",
    .keep = &tg_responses_keep,
};

const struct tg_dialect tg_dialect_responses_count = {
    .name = "openai_responses_count",
    .fields = tg_fields_responses,
    .prompt_field = "input",
    .endpoints = count_endpoints,
    .n_endpoints = TG_ARRAY_LEN(count_endpoints),
    .task = TG_TASK_COUNT,
    .format = TG_WIRE_NONE,
    .open = open_count,
    .parse = parse_any,
    .begin = count_begin,
    .render = count_render,
    .finish = count_finish,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
