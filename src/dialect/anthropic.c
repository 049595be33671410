/* POST /v1/messages and POST /v1/messages/count_tokens. Source of names, types and ranges:
 * Anthropic's SDK, resources/messages: MessageCreateParams, MessageCountTokensParams, ErrorObject;
 * of the error's outer shape and the statuses: docs.anthropic.com/en/api/errors. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/anthropic_priv.h"
#include "dialect/fields_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("tools", TG_F_TOOLS, TG_CHECK_ARRAY),
    TG_RANGE("top_p", TG_F_TOP_P, TG_CHECK_NUMBER, 0, 1),
    TG_RANGE("top_k", TG_F_TOP_K, TG_CHECK_INT, 0, 1e15),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("system", TG_F_SYSTEM, TG_CHECK_STRING_OR_ARRAY),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("thinking", TG_F_THINKING, TG_CHECK_OBJECT),
    TG_RULE("messages", TG_F_MESSAGES, TG_CHECK_ARRAY),
    TG_RULE("metadata", TG_F_METADATA, TG_CHECK_OBJECT),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RANGE("max_tokens", TG_F_MAX_TOKENS, TG_CHECK_INT, 0, 1e15),
    TG_RANGE("temperature", TG_F_TEMPERATURE, TG_CHECK_NUMBER, 0, 1),
    TG_RULE("tool_choice", TG_F_TOOL_CHOICE, TG_CHECK_OBJECT),
    TG_RULE("service_tier", TG_F_SERVICE_TIER, TG_CHECK_STRING),
    TG_RULE("output_config", TG_F_OUTPUT_CONFIG, TG_CHECK_OBJECT),
    TG_RULE("output_format", TG_F_OUTPUT_FORMAT, TG_CHECK_OBJECT),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("stop_sequences", TG_F_STOP, TG_CHECK_STRINGS),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("messages")};

enum { MAX_MESSAGES = 100000 }; /* Anthropic's own limit */

/* ---- requests ---- */

static const char *fault_of_message(const struct tg_json *m, const char **out_member)
{
    const struct tg_json *role = tg_json_get(m, TG_STR("role"));
    const struct tg_json *content = tg_json_get(m, TG_STR("content"));
    *out_member = "";
    if (!tg_json_is_obj(m))
        return "must be an object";
    *out_member = ".role";
    if (!tg_json_str_is(role, TG_STR("user")) && !tg_json_str_is(role, TG_STR("assistant")) &&
        !tg_json_str_is(role, TG_STR("system")))
        return "must be one of user, assistant and system";
    *out_member = ".content";
    return tg_json_is_str(content) || tg_json_is_arr(content)
               ? NULL
               : "must be a string or an array of content blocks";
}

static int check_messages(const struct tg_body *b, struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_MESSAGES];
    size_t n = tg_json_count(list);
    if (tg_json_is_nil(list))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "messages", "'messages' is missing");
    if (n == 0 || n > MAX_MESSAGES)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "messages",
                             "'messages' must hold between 1 and %d messages", MAX_MESSAGES);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        const char *member, *fault = fault_of_message(it.value, &member);
        char param[64];
        if (!fault)
            continue;
        snprintf(param, sizeof(param), "messages[%zu]%s", it.index, member);
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "'%s' %s", param, fault);
    }
    return 0;
}

static int open_body(const struct tg_dialect *d, struct tg_arena *a, struct tg_str text,
                     struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (!rc && d->task == TG_TASK_CHAT && tg_json_is_nil(b->v[TG_F_MAX_TOKENS]))
        rc = tg_fail_param(f, TG_E_MISSING_FIELD, "max_tokens", "'max_tokens' is missing");
    if (!rc)
        rc = check_messages(b, f);
    if (rc)
        return rc;
    tg_body_fill_call(d, text, b, out);
    out->user = tg_json_get_str(b->v[TG_F_METADATA], TG_STR("user_id"));
    out->stream &= d->task == TG_TASK_CHAT;
    return 0;
}

static int open_messages(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                         struct tg_call *out, struct tg_fail *f)
{
    return open_body(&tg_dialect_anthropic, a, text, out, f);
}

static int open_count(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                      struct tg_call *out, struct tg_fail *f)
{
    return open_body(&tg_dialect_anthropic_count, a, text, out, f);
}

static int parse(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                 struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    if (tg_json_count(b->v[TG_F_STOP]) > TG_CHAT_MAX_STOPS)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "stop_sequences",
                             "'stop_sequences' has more than %d entries", TG_CHAT_MAX_STOPS);
    int rc = tg_body_sampling(b, &req.sampling, f);
    if (!rc)
        rc = tg_anthropic_parse_options(a, b, &table, &req, f);
    if (!rc)
        rc = tg_anthropic_parse_messages(a, b, &req, f);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    *out = req;
    return 0;
}

/* Usage is always in the stream here: only the model is replaced. */
static int splice(struct tg_arena *a, const struct tg_call *call, struct tg_str upstream_model,
                  bool inject_usage, struct iovec *out_iov, int max_iov, int *out_n,
                  bool *out_hide_usage)
{
    return tg_openai_splice(a, call, upstream_model, false, out_iov, max_iov, out_n,
                            out_hide_usage);
}

/* ---- answers ---- */

static int begin(void *state, const struct tg_render_info *info)
{
    return 0;
}

static int render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                  struct tg_buf *out)
{
    struct tg_anthropic_render *r = state;
    if (!info->stream)
        return tg_collect_on_event(&r->collect, ev);
    return tg_anthropic_stream_event(&r->stream, info, ev, out);
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    struct tg_anthropic_render *r = state;
    int rc = info->stream ? tg_anthropic_stream_end(&r->stream, info, usage, out)
                          : tg_anthropic_write_message(&r->collect, info, usage, out);
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static void fini(void *state)
{
    struct tg_anthropic_render *r = state;
    tg_anthropic_stream_fini(&r->stream);
    tg_collect_fini(&r->collect);
}

static int render_nothing(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                          struct tg_buf *out)
{
    return 0;
}

static int finish_count(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    if (!usage || usage->source == TG_USAGE_ABSENT)
        return TG_E_UPSTREAM_INVALID; /* a count that nobody made is none */
    tg_buf_lit(out, "{\"input_tokens\":");
    tg_buf_i64(out, tg_usage_prompt(usage));
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* ---- errors ---- */

static struct tg_str type_of_status(int status)
{
    static const struct {
        int status;
        struct tg_str type;
    } table_of[] = {
        {400, TG_STR_INIT("invalid_request_error")}, {401, TG_STR_INIT("authentication_error")},
        {402, TG_STR_INIT("billing_error")},         {403, TG_STR_INIT("permission_error")},
        {404, TG_STR_INIT("not_found_error")},       {409, TG_STR_INIT("conflict_error")},
        {413, TG_STR_INIT("request_too_large")},     {429, TG_STR_INIT("rate_limit_error")},
        {408, TG_STR_INIT("timeout_error")},         {504, TG_STR_INIT("timeout_error")},
        {503, TG_STR_INIT("overloaded_error")},      {529, TG_STR_INIT("overloaded_error")},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table_of); i++) {
        if (table_of[i].status == status)
            return table_of[i].type;
    }
    return status < 500 ? TG_STR("invalid_request_error") : TG_STR("api_error");
}

/* Words of other APIs mean nothing to these clients: they tell by the status. */
static struct tg_str error_type(const struct tg_fail *fail)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("invalid_request_error"), TG_STR_INIT("authentication_error"),
        TG_STR_INIT("billing_error"),         TG_STR_INIT("permission_error"),
        TG_STR_INIT("not_found_error"),       TG_STR_INIT("request_too_large"),
        TG_STR_INIT("rate_limit_error"),      TG_STR_INIT("timeout_error"),
        TG_STR_INIT("overloaded_error"),
    };
    struct tg_str type = type_of_status(tg_fail_status(fail));
    struct tg_str own = tg_str_c(fail->type);
    if (!tg_str_eq(type, TG_STR("invalid_request_error")) && !tg_str_eq(type, TG_STR("api_error")))
        return type;
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(own, known[i]))
            return known[i];
    }
    return type;
}

static void render_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                        struct tg_buf *out)
{
    struct tg_str message = tg_str_c(fail->message);
    if (!message.n)
        message = tg_str_c(tg_err_info(fail->err)->text);
    if (in_stream)
        tg_buf_lit(out, "event: error\ndata: ");
    tg_buf_lit(out, "{\"type\":\"error\",\"error\":{\"type\":");
    tg_buf_json_str(out, error_type(fail));
    tg_buf_lit(out, ",\"message\":");
    tg_buf_json_str(out, message);
    tg_buf_lit(out, "},\"request_id\":");
    if (request_id.n)
        tg_buf_json_str(out, request_id);
    else
        tg_buf_lit(out, "null");
    tg_buf_char(out, '}');
    if (in_stream)
        tg_buf_lit(out, "\n\n");
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/messages", "Anthropic messages", "MessagesRequest", "Message",
     "MessageEvent", "AnthropicError"},
};
static const struct tg_endpoint count_endpoints[] = {
    {TG_HTTP_POST, "/v1/messages/count_tokens", "Anthropic token counts", "MessagesCountRequest",
     "MessagesCount", NULL, "AnthropicError"},
};

const struct tg_dialect tg_dialect_anthropic = {
    .name = "anthropic_messages",
    .fields = tg_fields_anthropic,
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .task = TG_TASK_CHAT,
    .format = TG_WIRE_ANTHROPIC_MESSAGES,
    .open = open_messages,
    .parse = parse,
    .splice = splice,
    .state_bytes = sizeof(struct tg_anthropic_render),
    .begin = begin,
    .render = render,
    .finish = finish,
    .fini = fini,
    .render_fail = render_fail,
    .stream_content_type = "text/event-stream",
    .input_first = true,
    .keep_alive = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    .id_header = "request-id",
};

const struct tg_dialect tg_dialect_anthropic_count = {
    .name = "anthropic_count_tokens",
    .fields = tg_fields_anthropic,
    .endpoints = count_endpoints,
    .n_endpoints = TG_ARRAY_LEN(count_endpoints),
    .task = TG_TASK_COUNT,
    .format = TG_WIRE_ANTHROPIC_COUNT,
    .open = open_count,
    .parse = parse,
    .splice = splice,
    .state_bytes = 0,
    .begin = begin,
    .render = render_nothing,
    .finish = finish_count,
    .render_fail = render_fail,
    .stream_content_type = "text/event-stream",
    .id_header = "request-id",
};
