/* POST /v1/embeddings. Source: OpenAI's API description, CreateEmbeddingRequest and
 * CreateEmbeddingResponse; `input_type` is NVIDIA's, Voyage's and vLLM's. OpenAI's own clients ask
 * for base64 when their user asked for nothing, and unpack it themselves. */
#include "base/err.h"
#include "chat/vector.h"
#include "dialect/fields_priv.h"
#include "dialect/items_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("user", TG_F_USER, TG_CHECK_STRING),
    TG_RULE("input", TG_F_INPUT, TG_CHECK_STRING_OR_ARRAY),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RANGE("dimensions", TG_F_DIMENSIONS, TG_CHECK_INT, 1, 1e6),
    TG_RULE("input_type", TG_F_INPUT_TYPE, TG_CHECK_STRING),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("encoding_format", TG_F_ENCODING_FORMAT, TG_CHECK_STRING),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

static bool wants_base64(const struct tg_body *b)
{
    return tg_str_eq(tg_body_str(b, TG_F_ENCODING_FORMAT), TG_STR("base64"));
}

static int open_embeddings(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                           struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc)
        return rc;
    rc = tg_items_check(b->v[TG_F_INPUT], "input", f);
    if (rc)
        return rc;
    tg_body_fill_call(&tg_dialect_openai_embeddings, text, b, out);
    return 0;
}

static int parse_embeddings(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                            struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    struct tg_str format = tg_body_str(b, TG_F_ENCODING_FORMAT);
    if (format.n && !wants_base64(b) && !tg_str_eq(format, TG_STR("float")))
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, "encoding_format",
                             "'encoding_format' must be \"float\" or \"base64\" for this model");
    int rc = tg_items_read(a, b, b->v[TG_F_INPUT], &req.inputs);
    if (!rc)
        rc = tg_body_top_extra(a, b, &table, &req.extra);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    req.inputs.base64 = wants_base64(b);
    req.inputs.purpose = tg_body_str(b, TG_F_INPUT_TYPE);
    if (tg_json_i64(b->v[TG_F_DIMENSIONS], &req.inputs.dimensions))
        req.inputs.dimensions = -1;
    *out = req;
    return 0;
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    struct tg_items *s = state;
    bool base64 = info->call && info->call->dialect == &tg_dialect_openai_embeddings &&
                  wants_base64(info->call->parsed);
    tg_items_sort(s);
    tg_buf_lit(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < s->collect.n_items; i++) {
        tg_buf_str_add(out, i ? TG_STR(",{\"object\":\"embedding\",\"index\":")
                              : TG_STR("{\"object\":\"embedding\",\"index\":"));
        tg_buf_u64(out, s->collect.items[i].index);
        tg_buf_lit(out, ",\"embedding\":");
        int rc = tg_vector_write(tg_buf_str(&s->collect.items[i].text), base64, out);
        if (rc)
            return rc;
        tg_buf_char(out, '}');
    }
    tg_buf_lit(out, "],\"model\":");
    tg_buf_json_str(out, info->model);
    tg_items_write_usage(usage, out);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/embeddings", "OpenAI embeddings", "EmbeddingsRequest", "Embeddings", NULL,
     "OpenAIError"},
};

const struct tg_dialect tg_dialect_openai_embeddings = {
    .name = "openai_embeddings",
    .fields = tg_fields_openai_inputs,
    .prompt_field = "input",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .task = TG_TASK_EMBED,
    .format = TG_WIRE_OPENAI_EMBEDDINGS,
    .open = open_embeddings,
    .parse = parse_embeddings,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_items),
    .begin = tg_items_begin,
    .render = tg_items_render,
    .finish = finish,
    .fini = tg_items_fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
