/* JSON that both OpenAI dialects write. */
#include "chat/call_id.h"
#include "chat/reasoning_details.h"
#include "dialect/openai_priv.h"

void tg_openai_write_head(const struct tg_render_info *info, struct tg_str id, struct tg_str object,
                          struct tg_buf *out)
{
    tg_buf_lit(out, "{\"id\":");
    tg_buf_json_str(out, id);
    tg_buf_lit(out, ",\"object\":");
    tg_buf_json_str(out, object);
    tg_buf_lit(out, ",\"created\":");
    tg_buf_i64(out, info->created_s);
    tg_buf_lit(out, ",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"choices\":[");
}

void tg_openai_write_usage(const struct tg_usage *u, struct tg_buf *out)
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
    tg_buf_lit(out, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    tg_buf_i64(out, u->cache_read_tokens);
    if (u->cache_write_tokens) {
        tg_buf_lit(out, ",\"cache_write_tokens\":");
        tg_buf_i64(out, u->cache_write_tokens);
    }
    tg_buf_lit(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":");
    tg_buf_i64(out, u->reasoning_tokens);
    tg_buf_lit(out, "}}");
}

struct tg_str tg_openai_finish(enum tg_finish f)
{
    switch (f) {
    case TG_FINISH_LENGTH:
        return TG_STR("length");
    case TG_FINISH_TOOL_CALLS:
        return TG_STR("tool_calls");
    case TG_FINISH_CONTENT_FILTER:
        return TG_STR("content_filter");
    case TG_FINISH_STOP:
    case TG_FINISH_OTHER:
        break;
    }
    return TG_STR("stop");
}

/* The texts of all parts of a kind as one JSON string; null when there is no such part. */
static void joined_text(const struct tg_collect_choice *ch, enum tg_part_kind kind,
                        struct tg_buf *out)
{
    if (!tg_collect_has(ch, kind)) {
        tg_buf_lit(out, "null");
        return;
    }
    tg_buf_char(out, '"');
    for (size_t i = 0; i < ch->n_parts; i++) {
        if (ch->parts[i].kind == kind)
            tg_buf_json(out, tg_buf_str(&ch->parts[i].text));
    }
    tg_buf_char(out, '"');
}

void tg_openai_write_signature(struct tg_str signature, struct tg_buf *out)
{
    tg_buf_lit(out, "\"extra_content\":{\"google\":{\"thought_signature\":");
    tg_buf_json_str(out, signature);
    tg_buf_lit(out, "}}");
}

void tg_openai_write_image(struct tg_str mime, struct tg_str data, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:");
    tg_buf_json(out, mime.n ? mime : TG_STR("image/png"));
    tg_buf_lit(out, ";base64,");
    tg_buf_json(out, data);
    tg_buf_lit(out, "\"}}");
}

void tg_openai_write_citation(const struct tg_citation *c, struct tg_buf *out)
{
    if (c->format == TG_WIRE_OPENAI_CHAT && c->raw.n) {
        tg_buf_json_line(out, c->raw);
        return;
    }
    tg_buf_lit(out, "{\"type\":\"url_citation\",\"url_citation\":{\"url\":");
    tg_buf_json_str(out, c->url);
    tg_buf_lit(out, ",\"title\":");
    tg_buf_json_str(out, c->title);
    tg_buf_lit(out, ",\"start_index\":");
    tg_buf_i64(out, c->start >= 0 ? c->start : 0);
    tg_buf_lit(out, ",\"end_index\":");
    tg_buf_i64(out, c->end >= 0 ? c->end : 0);
    if (c->text.n) {
        tg_buf_lit(out, ",\"content\":");
        tg_buf_json_str(out, c->text);
    }
    tg_buf_lit(out, "}}");
}

bool tg_openai_is_top_extra(enum tg_wire_format format, struct tg_str name)
{
    return format == TG_WIRE_OPENAI_CHAT && !tg_str_eq(name, TG_STR("content_filter_results"));
}

void tg_openai_write_extra(enum tg_wire_format format, struct tg_str name, struct tg_str value,
                           struct tg_buf *out)
{
    bool own = format == TG_WIRE_OPENAI_CHAT;
    tg_buf_char(out, ',');
    if (!own) {
        tg_buf_lit(out, "\"extra_content\":{\"");
        tg_buf_str_add(out, tg_str_c(tg_wire_format_name(format)));
        tg_buf_lit(out, "\":{");
    }
    tg_buf_json_str(out, name);
    tg_buf_char(out, ':');
    tg_buf_json_line(out, value.n ? value : TG_STR("null"));
    if (!own)
        tg_buf_lit(out, "}}");
}

/* ---- messages ---- */

static int tool_call(const struct tg_render_info *info, const struct tg_collect_part *p,
                     struct tg_buf *out)
{
    struct tg_str id, signature = tg_buf_str(&p->signature);
    int rc = tg_call_id_join(info->arena, tg_buf_str(&p->id), signature, &id);
    if (rc)
        return rc;
    tg_buf_lit(out, "{\"id\":");
    tg_buf_json_str(out, id);
    tg_buf_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
    tg_buf_json_str(out, tg_buf_str(&p->name));
    tg_buf_lit(out, ",\"arguments\":");
    tg_buf_json_str(out, tg_buf_str(&p->text));
    tg_buf_char(out, '}');
    if (signature.n) {
        tg_buf_char(out, ',');
        tg_openai_write_signature(signature, out);
    }
    tg_buf_char(out, '}');
    return 0;
}

static void function_call(const struct tg_collect_part *p, struct tg_buf *out)
{
    tg_buf_lit(out, ",\"function_call\":{\"name\":");
    tg_buf_json_str(out, tg_buf_str(&p->name));
    tg_buf_lit(out, ",\"arguments\":");
    tg_buf_json_str(out, tg_buf_str(&p->text));
    tg_buf_char(out, '}');
}

static int tool_calls(const struct tg_render_info *info, const struct tg_collect_choice *ch,
                      bool legacy_functions, struct tg_buf *out)
{
    size_t calls = 0;
    for (size_t i = 0; i < ch->n_parts; i++) {
        const struct tg_collect_part *p = &ch->parts[i];
        if (p->kind != TG_PART_TOOL_CALL)
            continue;
        if (legacy_functions) {
            function_call(p, out);
            return 0; /* the old form has room for one */
        }
        tg_buf_str_add(out, calls++ ? TG_STR(",") : TG_STR(",\"tool_calls\":["));
        int rc = tool_call(info, p, out);
        if (rc)
            return rc;
    }
    if (calls)
        tg_buf_char(out, ']');
    return 0;
}

/* With opaque state only: without, the text says it all. */
static void details(const struct tg_collect_choice *ch, struct tg_buf *out)
{
    bool opaque = false;
    unsigned n = 0;
    uint32_t index = 0;
    for (size_t i = 0; i < ch->n_parts; i++)
        opaque |= ch->parts[i].kind == TG_PART_REASONING && ch->parts[i].signature.n;
    if (!opaque)
        return;
    tg_buf_lit(out, ",\"reasoning_details\":[");
    for (size_t i = 0; i < ch->n_parts; i++) {
        const struct tg_collect_part *p = &ch->parts[i];
        if (p->kind != TG_PART_REASONING)
            continue;
        struct tg_reasoning_detail d = {.index = index++,
                                        .text = tg_buf_str(&p->text),
                                        .opaque = p->opaque,
                                        .signature = tg_buf_str(&p->signature),
                                        .id = tg_buf_str(&p->id)};
        tg_reasoning_detail_write(&d, &n, out);
    }
    tg_buf_char(out, ']');
}

static void annotations(const struct tg_collect_choice *ch, struct tg_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < ch->n_parts; i++) {
        for (size_t k = 0; k < ch->parts[i].n_citations; k++) {
            const struct tg_collect_citation *from = &ch->parts[i].citations[k];
            struct tg_citation c = {.url = tg_buf_str(&from->url),
                                    .title = tg_buf_str(&from->title),
                                    .text = tg_buf_str(&from->text),
                                    .start = from->start,
                                    .end = from->end,
                                    .raw = tg_buf_str(&from->raw),
                                    .format = from->format};
            tg_buf_str_add(out, n++ ? TG_STR(",") : TG_STR(",\"annotations\":["));
            tg_openai_write_citation(&c, out);
        }
    }
    if (n)
        tg_buf_char(out, ']');
}

static void images(const struct tg_collect_choice *ch, struct tg_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < ch->n_parts; i++) {
        const struct tg_collect_part *p = &ch->parts[i];
        if (p->kind != TG_PART_IMAGE)
            continue;
        tg_buf_str_add(out, n++ ? TG_STR(",") : TG_STR(",\"images\":["));
        tg_openai_write_image(tg_buf_str(&p->mime), tg_buf_str(&p->text), out);
    }
    if (n)
        tg_buf_char(out, ']');
}

/* Gemini signs texts as well. */
static void text_signature(const struct tg_collect_choice *ch, struct tg_buf *out)
{
    for (size_t i = ch->n_parts; i-- > 0;) {
        const struct tg_collect_part *p = &ch->parts[i];
        if (p->kind != TG_PART_TEXT || !p->signature.n)
            continue;
        tg_buf_char(out, ',');
        tg_openai_write_signature(tg_buf_str(&p->signature), out);
        return;
    }
}

int tg_openai_write_message(const struct tg_render_info *info, const struct tg_collect_choice *ch,
                            bool legacy_functions, struct tg_buf *out)
{
    tg_buf_lit(out, "\"role\":\"assistant\",\"content\":");
    joined_text(ch, TG_PART_TEXT, out);
    tg_buf_lit(out, ",\"refusal\":");
    joined_text(ch, TG_PART_REFUSAL, out);
    if (tg_collect_has(ch, TG_PART_REASONING)) {
        tg_buf_lit(out, ",\"reasoning_content\":");
        joined_text(ch, TG_PART_REASONING, out);
    }
    details(ch, out);
    annotations(ch, out);
    images(ch, out);
    text_signature(ch, out);
    return tool_calls(info, ch, legacy_functions, out);
}
