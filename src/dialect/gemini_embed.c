/* POST …:embedContent (one input) and :batchEmbedContents. Source: ai.google.dev/api/embeddings. */
#include "base/err.h"
#include "chat/vector.h"
#include "dialect/fields_priv.h"
#include "dialect/gemini_splice_priv.h"
#include "dialect/items_priv.h"

enum { MAX_INPUTS = TG_COLLECT_MAX_ITEMS };

static int open_embed(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                      struct tg_call *out, struct tg_fail *f)
{
    struct tg_call call;
    const struct tg_endpoint *ep;
    int rc = tg_gemini_open(&tg_dialect_gemini_embed, a, head, text, &call, &ep, f);
    if (rc)
        return rc;
    struct tg_gemini_body *b = call.parsed;
    const struct tg_json *list = tg_json_get(b->root, TG_STR("requests"));
    b->single = head ? tg_str_ends(tg_str_c(ep->path), TG_STR(":embedContent")) : !list;
    if (b->single && !tg_json_is_obj(tg_json_get(b->root, TG_STR("content"))))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "content", "'content' must be an object");
    if (!b->single && (!tg_json_is_arr(list) || !tg_json_count(list)))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "requests",
                             "'requests' must be an array with at least one entry");
    if (tg_json_count(list) > MAX_INPUTS)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "requests",
                             "'requests' holds more than %d entries", (int)MAX_INPUTS);
    *out = call;
    return 0;
}

/* The text of a content that is nothing but text; raw is the whole content. */
static int read_input(const struct tg_gemini_in *in, const struct tg_json *content,
                      struct tg_str *out_text, struct tg_str *out_raw)
{
    const struct tg_json *parts = tg_json_get(content, TG_STR("parts"));
    struct tg_buf text;
    struct tg_json_iter it = tg_json_iter(parts);
    *out_text = TG_STR("");
    *out_raw = tg_json_raw(in->doc, content);
    tg_buf_init(&text, SIZE_MAX / 4);
    bool plain = tg_json_count(parts) > 0;
    while (plain && tg_json_next(&it)) {
        struct tg_str s = tg_json_get_str(it.value, TG_STR("text"));
        plain = s.p && tg_json_count(it.value) == 1;
        tg_buf_str_add(&text, s);
    }
    int rc = 0;
    if (plain && text.n) {
        *out_text =
            tg_buf_ok(&text) ? tg_arena_dup(in->a, tg_buf_str(&text)) : (struct tg_str){NULL, 0};
        rc = out_text->p ? 0 : tg_gemini_no_memory(in);
    } else if (plain) {
        *out_raw = TG_STR("\"\""); /* a text that is empty */
    }
    tg_buf_fini(&text);
    return rc;
}

/* One of the requests. What holds for all must be the same in all. */
static int one_request(const struct tg_gemini_in *in, const struct tg_json *v, size_t i,
                       struct tg_inputs *out)
{
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    struct tg_str purpose = tg_json_proto_str(v, TG_STR("taskType"));
    const struct tg_json *dims = tg_json_proto_get(v, TG_STR("outputDimensionality"));
    int64_t n = -1;
    if (!tg_json_is_obj(content))
        return tg_gemini_bad(in, "requests", "has an entry without a content");
    if (!tg_json_is_nil(dims) && (tg_json_i64(dims, &n) || n < 1))
        return tg_gemini_bad(in, "outputDimensionality", "must be a positive whole number");
    if (i == 0) {
        out->dimensions = n;
        out->purpose = purpose.p ? purpose : TG_STR("");
    } else if (n != out->dimensions || !tg_str_eq(purpose, out->purpose)) {
        return tg_fail_param(in->f, TG_E_UNSUPPORTED_PARAMETER, "requests",
                             "for this model all requests must have the same taskType and "
                             "outputDimensionality");
    }
    return read_input(in, content, &out->texts[i], &out->raw[i]);
}

static bool has_place(struct tg_str name, const void *ctx)
{
    (void)ctx;
    return tg_str_eq(name, TG_STR("content")) || tg_str_eq(name, TG_STR("model")) ||
           tg_str_eq(name, TG_STR("requests")) || tg_json_proto_is(name, TG_STR("taskType")) ||
           tg_json_proto_is(name, TG_STR("outputDimensionality"));
}

static int parse_embed(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                       struct tg_fail *f)
{
    const struct tg_gemini_body *b = call->parsed;
    struct tg_gemini_in in = {.a = a, .doc = b->doc, .f = f};
    struct tg_chat_req req = tg_call_request(call);
    const struct tg_json *list = tg_json_get(b->root, TG_STR("requests"));
    req.inputs.single = b->single;
    req.inputs.n = b->single ? 1 : tg_json_count(list);
    req.inputs.texts = tg_arena_array(a, req.inputs.n, sizeof *req.inputs.texts);
    req.inputs.raw = tg_arena_array(a, req.inputs.n, sizeof *req.inputs.raw);
    if (!req.inputs.texts || !req.inputs.raw)
        return tg_gemini_no_memory(&in);
    struct tg_json_iter it = tg_json_iter(b->single ? NULL : list);
    for (size_t i = 0; i < req.inputs.n; i++) {
        const struct tg_json *v = !b->single && tg_json_next(&it) ? it.value : b->root;
        int rc = one_request(&in, v, i, &req.inputs);
        if (rc)
            return rc;
    }
    if (tg_body_extra(a, b->doc, b->root, has_place, NULL, &req.extra))
        return tg_gemini_no_memory(&in);
    *out = req;
    return 0;
}

static int splice_embed(struct tg_arena *a, const struct tg_call *call,
                        struct tg_str upstream_model, bool inject_usage, struct iovec *out_iov,
                        int max_iov, int *out_n, bool *out_hide_usage)
{
    const struct tg_gemini_body *b = call->parsed;
    const struct tg_json *list = tg_json_get(b->root, TG_STR("requests"));
    struct tg_splice *edits = tg_arena_array(a, tg_json_count(list) + 1, sizeof *edits);
    struct tg_str quoted = tg_gemini_quote_model(a, upstream_model);
    size_t n = 0;
    if (!edits || !quoted.p)
        return TG_E_NOMEM;
    (void)inject_usage; /* there is no option for it */
    tg_gemini_add_model(b, b->root, quoted, edits, &n);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        tg_gemini_add_model(b, it.value, quoted, edits, &n);
    *out_hide_usage = false;
    return tg_gemini_splice_edits(a, call, edits, n, out_iov, max_iov, out_n);
}

static int finish_embed(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    struct tg_items *s = state;
    const struct tg_gemini_body *b = info->call ? info->call->parsed : NULL;
    bool single = b && b->single;
    tg_items_sort(s);
    tg_buf_str_add(out, single ? TG_STR("{\"embedding\":") : TG_STR("{\"embeddings\":["));
    size_t n = single && s->collect.n_items > 1 ? 1 : s->collect.n_items;
    if (single && !n)
        return TG_E_UPSTREAM_INVALID;
    for (size_t i = 0; i < n; i++) {
        tg_buf_str_add(out, i ? TG_STR(",{\"values\":") : TG_STR("{\"values\":"));
        int rc = tg_vector_write(tg_buf_str(&s->collect.items[i].text), false, out);
        if (rc)
            return rc;
        tg_buf_char(out, '}');
    }
    if (!single)
        tg_buf_char(out, ']');
    if (usage && usage->source != TG_USAGE_ABSENT) {
        tg_buf_lit(out, ",\"usageMetadata\":{\"promptTokenCount\":");
        tg_buf_i64(out, tg_usage_prompt(usage));
        tg_buf_char(out, '}');
    }
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1beta/models/{model}:embedContent", "Gemini embedding of one content",
     "GeminiEmbedRequest", "GeminiEmbedding", NULL, "GeminiError"},
    {TG_HTTP_POST, "/v1beta/models/{model}:batchEmbedContents", "Gemini embeddings",
     "GeminiBatchEmbedRequest", "GeminiEmbeddings", NULL, "GeminiError"},
    {TG_HTTP_POST, "/v1/models/{model}:embedContent", "Gemini embedding of one content",
     "GeminiEmbedRequest", "GeminiEmbedding", NULL, "GeminiError"},
    {TG_HTTP_POST, "/v1/models/{model}:batchEmbedContents", "Gemini embeddings",
     "GeminiBatchEmbedRequest", "GeminiEmbeddings", NULL, "GeminiError"},
};

const struct tg_dialect tg_dialect_gemini_embed = {
    .name = "gemini_embed",
    .fields = tg_fields_gemini_embed,
    .prompt_field = "content",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .task = TG_TASK_EMBED,
    .format = TG_WIRE_GEMINI_EMBED,
    .open = open_embed,
    .parse = parse_embed,
    .splice = splice_embed,
    .state_bytes = sizeof(struct tg_items),
    .begin = tg_items_begin,
    .render = tg_items_render,
    .finish = finish_embed,
    .fini = tg_items_fini,
    .render_fail = tg_gemini_fail,
    .stream_content_type = "text/event-stream",
};
