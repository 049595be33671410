/* POST /api/chat with {"message": "Hello"}: one message in, one normalised answer out, nothing kept
 * between requests. A body with `messages` is another protocol of the same path and not taken. */
#include "base/err.h"
#include "chat/collect.h"
#include "dialect/body_priv.h"
#include "dialect/dialect.h"
#include "dialect/fields_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING),
    TG_RULE("system", TG_F_SYSTEM, TG_CHECK_STRING),
    TG_RULE("stream", TG_F_STREAM, TG_CHECK_BOOL),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("user_id", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("message", TG_F_MESSAGE, TG_CHECK_STRING),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("metadata", TG_F_METADATA, TG_CHECK_OBJECT),
    TG_RANGE("max_tokens", TG_F_MAX_TOKENS, TG_CHECK_INT, 1, 1e15),
    TG_RANGE("temperature", TG_F_TEMPERATURE, TG_CHECK_NUMBER, 0, 2),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

/* Behind the string whose opening quote is at `at`. */
static size_t skip_string(struct tg_str s, size_t at)
{
    for (at++; at < s.n && s.p[at] != '"'; at++) {
        if (s.p[at] == '\\')
            at++;
    }
    return at < s.n ? at + 1 : s.n;
}

/* Whether the object has a member of that name, by a scan that needs no memory: quotes and braces
 * are enough to know what is at the top. Of no interest for bodies that are no valid JSON. */
static bool has_top_member(struct tg_str s, struct tg_str name)
{
    unsigned depth = 0;
    bool object = false; /* what stands at depth 1 is an object */
    bool key = false;    /* the next string there is a key */
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        if (c == '"') {
            size_t end = skip_string(s, i);
            if (depth == 1 && key && end - i == name.n + 2 &&
                memcmp(s.p + i + 1, name.p, name.n) == 0)
                return true;
            i = end;
            key = false;
            continue;
        }
        if (c == '{' || c == '[') {
            if (++depth == 1)
                object = key = c == '{';
        } else if (c == '}' || c == ']')
            depth -= depth > 0;
        else if (c == ',')
            key = object && depth == 1;
        i++;
    }
    return false;
}

static bool accepts(struct tg_str body)
{
    return !has_top_member(body, TG_STR("messages"));
}

static int open_simple(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                       struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc)
        return rc;
    if (tg_json_is_nil(b->v[TG_F_MESSAGE]))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "message", "'message' is missing");
    if (tg_body_true(b, TG_F_STREAM))
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "stream",
                             "this endpoint does not stream; use /v1/chat/completions");
    *out = (struct tg_call){
        .dialect = &tg_dialect_simple_chat,
        .body = text,
        .model = tg_body_str(b, TG_F_MODEL),
        .user = tg_body_str(b, TG_F_USER),
        .metadata = tg_body_raw(b, TG_F_METADATA),
        .parsed = b,
    };
    return 0;
}

static int parse_simple(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                        struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    int rc = tg_body_sampling(b, &req.sampling, f);
    if (!rc)
        rc =
            tg_body_one_message(a, tg_body_str(b, TG_F_SYSTEM), tg_body_str(b, TG_F_MESSAGE), &req);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    *out = req;
    return 0;
}

static int begin(void *state, const struct tg_render_info *info)
{
    return 0;
}

static void fini(void *state)
{
    tg_collect_fini(state);
}

static int render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                  struct tg_buf *out)
{
    bool reply = ev->choice == 0 && ev->kind == TG_EV_DELTA &&
                 (ev->delta_kind == TG_DELTA_TEXT || ev->delta_kind == TG_DELTA_REFUSAL);
    return reply ? tg_collect_on_event(state, ev) : 0;
}

static void write_usage(const struct tg_usage *u, struct tg_buf *out)
{
    if (!u || u->source == TG_USAGE_ABSENT) {
        tg_buf_lit(out, "null");
        return;
    }
    tg_buf_lit(out, "{\"prompt_tokens\":");
    tg_buf_i64(out, tg_usage_prompt(u));
    tg_buf_lit(out, ",\"completion_tokens\":");
    tg_buf_i64(out, tg_usage_completion(u));
    tg_buf_lit(out, ",\"total_tokens\":");
    tg_buf_i64(out, tg_usage_total(u));
    tg_buf_char(out, '}');
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    const struct tg_collect *c = state;
    tg_buf_lit(out, "{\"reply\":\"");
    for (size_t i = 0; c->n_choices && i < c->choices[0].n_parts; i++)
        tg_buf_json(out, tg_buf_str(&c->choices[0].parts[i].text));
    tg_buf_lit(out, "\",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"provider\":");
    tg_buf_json_str(out, info->provider);
    tg_buf_lit(out, ",\"usage\":");
    write_usage(usage, out);
    tg_buf_lit(out, ",\"request_id\":");
    tg_buf_json_str(out, info->request_id);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/api/chat", "One message in, one answer out", "SimpleChatRequest",
     "SimpleChatReply", NULL, "OpenAIError"},
};

const struct tg_dialect tg_dialect_simple_chat = {
    .name = "simple_chat",
    .fields = tg_fields_simple_chat,
    .prompt_field = "message",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .format = TG_WIRE_NONE,
    .accepts = accepts,
    .curl = true, /* as Ollama's, whose path it shares */
    .open = open_simple,
    .parse = parse_simple,
    .state_bytes = sizeof(struct tg_collect),
    .begin = begin,
    .render = render,
    .finish = finish,
    .fini = fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
