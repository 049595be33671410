/* POST /api/embed, and /api/embeddings, its older form with one `prompt`. */
#include "base/err.h"
#include "chat/vector.h"
#include "dialect/fields_priv.h"
#include "dialect/items_priv.h"
#include "dialect/ollama_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("input", TG_F_INPUT, TG_CHECK_STRING_OR_ARRAY),
    TG_RULE("prompt", TG_F_PROMPT, TG_CHECK_STRING),
    TG_RULE("options", TG_F_NONE, TG_CHECK_OBJECT),
    TG_RULE("truncate", TG_F_NONE, TG_CHECK_BOOL),
    TG_RULE("keep_alive", TG_F_NONE, TG_CHECK_ANY),
    TG_RANGE("dimensions", TG_F_DIMENSIONS, TG_CHECK_INT, 1, 1e6),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

static const struct tg_json *input_of(const struct tg_body *b)
{
    return b->v[TG_F_INPUT] ? b->v[TG_F_INPUT] : b->v[TG_F_PROMPT];
}

static int open_embed(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                      struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc == 0)
        rc = tg_items_check(input_of(b), "input", f);
    if (rc)
        return rc;
    tg_body_fill_call(&tg_dialect_ollama_embed, text, b, out);
    return 0;
}

static int parse_embed(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                       struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    struct tg_chat_req req = tg_call_request(call);
    int rc = tg_items_read(a, b, input_of(b), &req.inputs);
    if (rc == 0)
        rc = tg_body_top_extra(a, b, &table, &req.extra);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    if (tg_json_i64(b->v[TG_F_DIMENSIONS], &req.inputs.dimensions))
        req.inputs.dimensions = -1;
    *out = req;
    return 0;
}

/* The older form's answer has one vector. */
static bool is_old(const struct tg_render_info *info)
{
    const struct tg_body *b =
        info->call && info->call->dialect == &tg_dialect_ollama_embed ? info->call->parsed : NULL;
    return b && !b->v[TG_F_INPUT];
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    struct tg_items *s = state;
    bool old = is_old(info);
    tg_items_sort(s);
    if (old && !s->collect.n_items)
        return TG_E_UPSTREAM_INVALID;
    if (old) {
        tg_buf_lit(out, "{\"embedding\":");
    } else {
        tg_buf_lit(out, "{\"model\":");
        tg_buf_json_str(out, info->model);
        tg_buf_lit(out, ",\"embeddings\":[");
    }
    for (size_t i = 0; i < (old ? 1 : s->collect.n_items); i++) {
        if (i)
            tg_buf_char(out, ',');
        int rc = tg_vector_write(tg_buf_str(&s->collect.items[i].text), false, out);
        if (rc)
            return rc;
    }
    if (!old) {
        tg_buf_char(out, ']');
        tg_ollama_write_counts(info, usage, now_us, false, out);
    }
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/api/embed", "Ollama embeddings", "OllamaEmbedRequest", "OllamaEmbed", NULL,
     "OllamaError"},
    {TG_HTTP_POST, "/api/embeddings", "Ollama embeddings, the older form",
     "OllamaEmbeddingsRequest", "OllamaEmbedding", NULL, "OllamaError"},
};

const struct tg_dialect tg_dialect_ollama_embed = {
    .name = "ollama_embed",
    .fields = tg_fields_ollama_embed,
    .prompt_field = "input",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .task = TG_TASK_EMBED,
    .format = TG_WIRE_OLLAMA_EMBED,
    .curl = true,
    .open = open_embed,
    .parse = parse_embed,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_items),
    .begin = tg_items_begin,
    .render = tg_items_render,
    .finish = finish,
    .fini = tg_items_fini,
    .render_fail = tg_ollama_fail,
    .stream_content_type = "application/x-ndjson",
    .keep_alive = "",
};
