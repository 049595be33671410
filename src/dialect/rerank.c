/* POST /v1/rerank and /v2/rerank: documents by their nearness to a query. One shape for all who
 * have it. Sources: Cohere's API v2 (results, meta), Jina's, vLLM's and Together's /v1/rerank
 * (model, usage, document with return_documents). */
#include "base/err.h"
#include "dialect/fields_priv.h"
#include "dialect/items_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("query", TG_F_QUERY, TG_CHECK_ANY),
    TG_RANGE("top_n", TG_F_TOP_N, TG_CHECK_INT, 1, 1e6),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("documents", TG_F_DOCUMENTS, TG_CHECK_ARRAY),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("return_documents", TG_F_RETURN_DOCUMENTS, TG_CHECK_BOOL),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

static int open_rerank(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                       struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc)
        return rc;
    if (tg_json_is_nil(b->v[TG_F_QUERY]))
        return tg_fail_param(f, TG_E_MISSING_FIELD, "query", "'query' is missing");
    rc = tg_items_check(b->v[TG_F_DOCUMENTS], "documents", f);
    if (rc)
        return rc;
    tg_body_fill_call(&tg_dialect_rerank, text, b, out);
    return 0;
}

static int parse_rerank(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                        struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    req.prompt = tg_body_str(b, TG_F_QUERY);
    if (!req.prompt.p)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "query",
                             "'query' must be a string for this model");
    int rc = tg_items_read(a, b, b->v[TG_F_DOCUMENTS], &req.inputs);
    if (!rc)
        rc = tg_body_top_extra(a, b, &table, &req.extra);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    for (size_t i = 0; i < req.inputs.n; i++) {
        if (!req.inputs.texts[i].n && req.inputs.raw[i].p[0] != '"')
            return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "documents",
                                 "'documents' must be texts for this model");
    }
    if (tg_json_i64(b->v[TG_F_TOP_N], &req.inputs.top_n))
        req.inputs.top_n = -1;
    *out = req;
    return 0;
}

/* `,"document":{"text":…}`, when the client wants its documents back. */
static void write_document(const struct tg_render_info *info, uint32_t index, struct tg_buf *out)
{
    if (!info->call || info->call->dialect != &tg_dialect_rerank)
        return;
    const struct tg_body *b = info->call->parsed;
    const struct tg_json *doc = tg_json_at(b->v[TG_F_DOCUMENTS], index);
    if (!tg_body_true(b, TG_F_RETURN_DOCUMENTS) || !doc)
        return;
    tg_buf_lit(out, ",\"document\":");
    if (tg_json_is_obj(doc)) {
        tg_buf_str_add(out, tg_json_raw(b->doc, doc));
        return;
    }
    tg_buf_lit(out, "{\"text\":");
    tg_buf_json_str(out, tg_json_str(doc));
    tg_buf_char(out, '}');
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    struct tg_items *s = state;
    tg_buf_char(out, '{');
    tg_items_write_id(info, "rerank-", out);
    tg_buf_lit(out, ",\"object\":\"list\",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"results\":[");
    for (size_t i = 0; i < s->collect.n_items; i++) {
        const struct tg_collect_item *item = &s->collect.items[i];
        tg_buf_str_add(out, i ? TG_STR(",{\"index\":") : TG_STR("{\"index\":"));
        tg_buf_u64(out, item->index);
        tg_buf_lit(out, ",\"relevance_score\":");
        tg_buf_str_add(out, tg_buf_str(&item->text));
        write_document(info, item->index, out);
        tg_buf_char(out, '}');
    }
    tg_buf_char(out, ']');
    tg_items_write_usage(usage, out);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/rerank", "Documents ranked by a query (Jina, vLLM, Together)",
     "RerankRequest", "Ranking", NULL, "RankingError"},
    {TG_HTTP_POST, "/v2/rerank", "The same where Cohere's clients look for it", "RerankRequest",
     "Ranking", NULL, "RankingError"},
};

const struct tg_dialect tg_dialect_rerank = {
    .name = "rerank",
    .fields = tg_fields_openai_inputs,
    .prompt_field = "documents",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .task = TG_TASK_RERANK,
    .format = TG_WIRE_RERANK,
    .open = open_rerank,
    .parse = parse_rerank,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_items),
    .begin = tg_items_begin,
    .render = tg_items_render,
    .finish = finish,
    .fini = tg_items_fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
