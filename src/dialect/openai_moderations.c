/* POST /v1/moderations. Source: OpenAI's API description, CreateModerationRequest and
 * CreateModerationResponse. An array of content parts is one input with one verdict. */
#include "base/err.h"
#include "dialect/fields_priv.h"
#include "dialect/items_priv.h"
#include "dialect/openai_priv.h"

/* In order of length. */
static const struct tg_field_rule rules[] = {
    TG_RULE("input", TG_F_INPUT, TG_CHECK_STRING_OR_ARRAY),
    TG_RULE("model", TG_F_MODEL, TG_CHECK_STRING | TG_CHECK_NOT_NULL),
    TG_RULE("api_key", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("api_base", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("base_url", TG_F_NONE, TG_CHECK_REFUSED),
    TG_RULE("extra_headers", TG_F_NONE, TG_CHECK_REFUSED),
};
static const struct tg_field_table table = {rules, TG_ARRAY_LEN(rules), TG_STR_INIT("")};

static int open_moderations(struct tg_arena *a, const struct tg_http_head *head, struct tg_str text,
                            struct tg_call *out, struct tg_fail *f)
{
    struct tg_body *b;
    int rc = tg_body_open(a, text, &table, &b, f);
    if (rc)
        return rc;
    rc = tg_items_check(b->v[TG_F_INPUT], "input", f);
    if (rc)
        return rc;
    tg_body_fill_call(&tg_dialect_openai_moderations, text, b, out);
    return 0;
}

static int parse_moderations(struct tg_arena *a, const struct tg_call *call,
                             struct tg_chat_req *out, struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    const struct tg_json *input = b->v[TG_F_INPUT];
    struct tg_chat_req req = tg_call_request(call);
    int rc = tg_items_read(a, b, input, &req.inputs);
    if (!rc)
        rc = tg_body_top_extra(a, b, &table, &req.extra);
    if (rc)
        return tg_fail_set(f, rc, "not enough memory for the request");
    if (tg_json_is_obj(tg_json_at(input, 0))) {
        req.inputs.n = 1;
        req.inputs.texts[0] = TG_STR("");
        req.inputs.raw[0] = tg_json_raw(b->doc, input);
        req.inputs.single = true;
    }
    *out = req;
    return 0;
}

static int finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out)
{
    struct tg_items *s = state;
    tg_items_sort(s);
    tg_buf_char(out, '{');
    tg_items_write_id(info, "modr-", out);
    tg_buf_lit(out, ",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"results\":[");
    for (size_t i = 0; i < s->collect.n_items; i++) {
        if (i)
            tg_buf_char(out, ',');
        tg_buf_str_add(out, tg_buf_str(&s->collect.items[i].text));
    }
    tg_buf_lit(out, "]}");
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static const struct tg_endpoint endpoints[] = {
    {TG_HTTP_POST, "/v1/moderations", "OpenAI moderations", "ModerationRequest", "Moderation", NULL,
     "OpenAIError"},
};

const struct tg_dialect tg_dialect_openai_moderations = {
    .name = "openai_moderations",
    .fields = tg_fields_openai_inputs,
    .prompt_field = "input",
    .endpoints = endpoints,
    .n_endpoints = TG_ARRAY_LEN(endpoints),
    .task = TG_TASK_MODERATE,
    .format = TG_WIRE_OPENAI_MODERATIONS,
    .open = open_moderations,
    .parse = parse_moderations,
    .splice = tg_openai_splice,
    .state_bytes = sizeof(struct tg_items),
    .begin = tg_items_begin,
    .render = tg_items_render,
    .finish = finish,
    .fini = tg_items_fini,
    .render_fail = tg_dialect_openai_fail,
    .stream_content_type = "text/event-stream",
};
