/* POST /v1beta/models/{model}:generateContent, :streamGenerateContent and :countTokens: what a
 * request is, and the dialects' tables. The API's own key (x-goog-api-key, ?key=) is the client's
 * to this gateway: nothing of a request's head goes on.
 *
 * Source: ai.google.dev/api/generate-content, /tokens; the stream is server-sent events with
 * alt=sse, else one JSON array. */
#include "base/err.h"
#include "dialect/fields_priv.h"
#include "dialect/gemini_splice_priv.h"
#include "wire/url.h"

static struct tg_str plain_model(struct tg_str name)
{
    return tg_str_starts(name, TG_STR("models/")) ? tg_str_from(name, 7) : name;
}

static int path_model(struct tg_arena *a, const struct tg_http_head *head, struct tg_call *call,
                      const struct tg_endpoint **out_endpoint, struct tg_fail *f)
{
    struct tg_str model;
    *out_endpoint = &call->dialect->endpoints[0];
    if (!head)
        return 0;
    int rc = tg_dialect_path_model(a, call->dialect, head, out_endpoint, &model, f);
    if (rc)
        return rc;
    call->model = plain_model(model);
    if (!tg_str_starts(tg_str_c((*out_endpoint)->path), TG_STR("/v1beta/tunedModels/")) &&
        !tg_str_starts(tg_str_c((*out_endpoint)->path), TG_STR("/v1/tunedModels/")))
        return 0;
    call->model = tg_arena_printf(a, "tunedModels/%.*s", TG_STR_ARG(model));
    return call->model.p ? 0 : tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
}

int tg_gemini_open(const struct tg_dialect *d, struct tg_arena *a, const struct tg_http_head *head,
                   struct tg_str text, struct tg_call *out, const struct tg_endpoint **out_endpoint,
                   struct tg_fail *f)
{
    struct tg_gemini_body *b = tg_arena_new(a, struct tg_gemini_body);
    struct tg_call call = {.dialect = d, .body = text, .include_usage = true, .parsed = b};
    if (!b)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    int rc = path_model(a, head, &call, out_endpoint, f);
    if (!rc)
        rc = tg_json_parse(a, text, NULL, &b->doc, f);
    if (rc)
        return rc;
    b->root = b->request = tg_json_root(b->doc);
    if (!tg_json_is_obj(b->root))
        return tg_fail_set(f, TG_E_INVALID_VALUE, "the body must be a JSON object, not %s",
                           tg_json_type_name(tg_json_type(b->root)));
    rc = tg_json_check_request(b->doc, TG_STR("contents"), f);
    if (rc)
        return rc;
    *out = call;
    return 0;
}

static int check_contents(const struct tg_json *request, struct tg_fail *f)
{
    const struct tg_json *contents = tg_json_get(request, TG_STR("contents"));
    if (tg_json_is_nil(contents))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "contents", "'contents' is missing");
    bool list = tg_json_is_arr(contents) && tg_json_count(contents);
    if (!list && !tg_json_is_obj(contents)) /* a single one, as in Google's own samples */
        return tg_fail_param(f, TG_E_INVALID_VALUE, "contents",
                             "'contents' must be an array with at least one entry");
    return 0;
}

static bool asks_sse(const struct tg_http_head *head)
{
    struct tg_str path, query, alt;
    if (!head)
        return true;
    tg_target_split(head->target, &path, &query);
    bool given = tg_query_get(query, TG_STR("alt"), &alt) ||
                 tg_query_get(query, TG_STR("$alt"), &alt) ||
                 tg_query_get(query, TG_STR("%24alt"), &alt);
    return given && tg_str_ieq(alt, TG_STR("sse"));
}

static int open_generate(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                         struct tg_call *out, struct tg_fail *f)
{
    struct tg_call call;
    const struct tg_endpoint *ep;
    int rc = tg_gemini_open(&tg_dialect_gemini, a, head, text, &call, &ep, f);
    if (!rc)
        rc = check_contents(((const struct tg_gemini_body *)call.parsed)->root, f);
    if (rc)
        return rc;
    call.stream = tg_str_ends(tg_str_c(ep->path), TG_STR(":streamGenerateContent"));
    if (call.stream && !asks_sse(head)) {
        call.json_array = true;
        call.stream_content_type = "application/json";
    }
    *out = call;
    return 0;
}

/* {"contents":[…]}, or {"generateContentRequest":{…}} with all that a request has. */
static int open_count(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                      struct tg_call *out, struct tg_fail *f)
{
    struct tg_call call;
    const struct tg_endpoint *ep;
    int rc = tg_gemini_open(&tg_dialect_gemini_count, a, head, text, &call, &ep, f);
    if (rc)
        return rc;
    struct tg_gemini_body *b = call.parsed;
    const struct tg_json *inner = tg_json_proto_get(b->root, TG_STR("generateContentRequest"));
    if (tg_json_is_obj(inner))
        b->request = inner;
    rc = check_contents(b->request, f);
    if (rc)
        return rc;
    *out = call;
    return 0;
}

static int parse(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                 struct tg_fail *f)
{
    const struct tg_gemini_body *b = call->parsed;
    struct tg_gemini_in in = {.a = a, .doc = b->doc, .f = f};
    struct tg_chat_req req = tg_call_request(call);
    if (call->dialect->task == TG_TASK_COUNT)
        req.wire = TG_WIRE_GEMINI_GENERATE; /* the raw texts are that format's */
    int rc = tg_gemini_parse_contents(&in, b->request, &req);
    if (!rc)
        rc = tg_gemini_parse_options(&in, b->request, &req);
    if (!rc)
        *out = req;
    return rc;
}

/* ---- pass-through ---- */

void tg_gemini_add_model(const struct tg_gemini_body *b, const struct tg_json *obj,
                         struct tg_str quoted, struct tg_splice *edits, size_t *io_n)
{
    const struct tg_json *v = tg_json_get(obj, TG_STR("model"));
    if (tg_json_is_str(v))
        edits[(*io_n)++] = tg_json_edit_value(b->doc, v, quoted);
}

struct tg_str tg_gemini_quote_model(struct tg_arena *a, struct tg_str model)
{
    struct tg_buf b;
    struct tg_str out = {NULL, 0};
    bool whole =
        tg_str_starts(model, TG_STR("models/")) || tg_str_starts(model, TG_STR("tunedModels/"));
    tg_buf_init(&b, model.n * 6 + 16);
    tg_buf_lit(&b, "\"");
    if (!whole)
        tg_buf_lit(&b, "models/");
    tg_buf_json(&b, model);
    tg_buf_lit(&b, "\"");
    if (tg_buf_ok(&b))
        out = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    return out;
}

int tg_gemini_splice_edits(struct tg_arena *a, const struct tg_call *call, struct tg_splice *edits,
                           size_t n, struct iovec *out_iov, int max_iov, int *out_n)
{
    struct tg_str text = call->body;
    if (n > 2) { /* more pieces than a caller has room for */
        struct tg_buf b;
        tg_buf_init(&b, SIZE_MAX / 4);
        tg_json_splice_sort(edits, n);
        int rc = tg_json_splice(text, edits, n, &b);
        text = rc ? (struct tg_str){NULL, 0} : tg_arena_dup(a, tg_buf_str(&b));
        tg_buf_fini(&b);
        if (!text.p)
            return rc ? rc : TG_E_NOMEM;
        n = 0;
    }
    tg_json_splice_sort(edits, n);
    int rc = tg_json_splice_iov(text, edits, n, out_iov, (size_t)max_iov);
    if (rc < 0)
        return rc;
    *out_n = rc;
    return 0;
}

/* The model is in the path: the body is as the client sent it, but where it names the model too. */
static int splice(struct tg_arena *a, const struct tg_call *call, struct tg_str upstream_model,
                  bool inject_usage, struct iovec *out_iov, int max_iov, int *out_n,
                  bool *out_hide_usage)
{
    const struct tg_gemini_body *b = call->parsed;
    struct tg_splice edits[2];
    size_t n = 0;
    struct tg_str quoted = tg_gemini_quote_model(a, upstream_model);
    if (!quoted.p)
        return TG_E_NOMEM;
    (void)inject_usage; /* Google always sends it */
    tg_gemini_add_model(b, b->root, quoted, edits, &n);
    if (b->request != b->root)
        tg_gemini_add_model(b, b->request, quoted, edits, &n);
    *out_hide_usage = false;
    return tg_gemini_splice_edits(a, call, edits, n, out_iov, max_iov, out_n);
}

/* ---- answers ---- */

static int begin_count(void *state, const struct tg_render_info *info)
{
    return 0;
}

static int render_count(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                        struct tg_buf *out)
{
    return 0;
}

static int finish_count(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    bool known = usage && usage->source != TG_USAGE_ABSENT;
    tg_buf_lit(out, "{\"totalTokens\":");
    tg_buf_i64(out, known ? tg_usage_prompt(usage) : 0);
    if (known && usage->cache_read_tokens) {
        tg_buf_lit(out, ",\"cachedContentTokenCount\":");
        tg_buf_i64(out, usage->cache_read_tokens);
    }
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint generate_endpoints[] = {
    {TG_HTTP_POST, "/v1beta/models/{model}:generateContent", "Gemini content generation",
     "GeminiRequest", "GeminiAnswer", NULL, "GeminiError"},
    {TG_HTTP_POST, "/v1beta/models/{model}:streamGenerateContent",
     "Gemini content generation, streamed", "GeminiRequest", "GeminiAnswers", "GeminiAnswer",
     "GeminiError", "alt"},
    {TG_HTTP_POST, "/v1beta/tunedModels/{model}:generateContent",
     "Gemini content generation by tuned models", "GeminiRequest", "GeminiAnswer", NULL,
     "GeminiError"},
    {TG_HTTP_POST, "/v1beta/tunedModels/{model}:streamGenerateContent",
     "Gemini content generation, streamed", "GeminiRequest", "GeminiAnswers", "GeminiAnswer",
     "GeminiError", "alt"},
    {TG_HTTP_POST, "/v1/models/{model}:generateContent", "Gemini content generation",
     "GeminiRequest", "GeminiAnswer", NULL, "GeminiError"},
    {TG_HTTP_POST, "/v1/models/{model}:streamGenerateContent",
     "Gemini content generation, streamed", "GeminiRequest", "GeminiAnswers", "GeminiAnswer",
     "GeminiError", "alt"},
    {TG_HTTP_POST, "/v1/tunedModels/{model}:generateContent",
     "Gemini content generation by tuned models", "GeminiRequest", "GeminiAnswer", NULL,
     "GeminiError"},
    {TG_HTTP_POST, "/v1/tunedModels/{model}:streamGenerateContent",
     "Gemini content generation, streamed", "GeminiRequest", "GeminiAnswers", "GeminiAnswer",
     "GeminiError", "alt"},
};
static const struct tg_endpoint count_endpoints[] = {
    {TG_HTTP_POST, "/v1beta/models/{model}:countTokens", "Gemini token counting",
     "GeminiCountRequest", "GeminiCount", NULL, "GeminiError"},
    {TG_HTTP_POST, "/v1/models/{model}:countTokens", "Gemini token counting", "GeminiCountRequest",
     "GeminiCount", NULL, "GeminiError"},
};

const struct tg_dialect tg_dialect_gemini = {
    .name = "gemini",
    .fields = tg_fields_gemini,
    .prompt_field = "contents",
    .endpoints = generate_endpoints,
    .n_endpoints = TG_ARRAY_LEN(generate_endpoints),
    .task = TG_TASK_CHAT,
    .format = TG_WIRE_GEMINI_GENERATE,
    .open = open_generate,
    .parse = parse,
    .splice = splice,
    .state_bytes = sizeof(struct tg_gemini_render),
    .begin = tg_gemini_begin,
    .render = tg_gemini_render,
    .finish = tg_gemini_finish,
    .fini = tg_gemini_fini,
    .render_fail = tg_gemini_fail,
    .stream_content_type = "text/event-stream",
};

const struct tg_dialect tg_dialect_gemini_count = {
    .name = "gemini_count",
    .fields = tg_fields_gemini,
    .prompt_field = "contents",
    .endpoints = count_endpoints,
    .n_endpoints = TG_ARRAY_LEN(count_endpoints),
    .task = TG_TASK_COUNT,
    .format = TG_WIRE_GEMINI_COUNT,
    .open = open_count,
    .parse = parse,
    .splice = splice,
    .state_bytes = 1,
    .begin = begin_count,
    .render = render_count,
    .finish = finish_count,
    .render_fail = tg_gemini_fail,
    .stream_content_type = "text/event-stream",
};
