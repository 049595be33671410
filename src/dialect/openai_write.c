/* JSON that both OpenAI dialects write. */
#include "base/assert.h"
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

static void tool_call(const struct tg_collect_part *p, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"id\":");
    tg_buf_json_str(out, tg_buf_str(&p->id));
    tg_buf_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
    tg_buf_json_str(out, tg_buf_str(&p->name));
    tg_buf_lit(out, ",\"arguments\":");
    tg_buf_json_str(out, tg_buf_str(&p->text));
    tg_buf_lit(out, "}}");
}

static void function_call(const struct tg_collect_part *p, struct tg_buf *out)
{
    tg_buf_lit(out, ",\"function_call\":{\"name\":");
    tg_buf_json_str(out, tg_buf_str(&p->name));
    tg_buf_lit(out, ",\"arguments\":");
    tg_buf_json_str(out, tg_buf_str(&p->text));
    tg_buf_char(out, '}');
}

void tg_openai_write_message(const struct tg_collect_choice *ch, bool legacy_functions,
                             struct tg_buf *out)
{
    tg_buf_lit(out, "\"role\":\"assistant\",\"content\":");
    joined_text(ch, TG_PART_TEXT, out);
    tg_buf_lit(out, ",\"refusal\":");
    joined_text(ch, TG_PART_REFUSAL, out);
    if (tg_collect_has(ch, TG_PART_REASONING)) {
        tg_buf_lit(out, ",\"reasoning_content\":");
        joined_text(ch, TG_PART_REASONING, out);
    }
    size_t calls = 0;
    for (size_t i = 0; i < ch->n_parts; i++) {
        const struct tg_collect_part *p = &ch->parts[i];
        if (p->kind != TG_PART_TOOL_CALL)
            continue;
        if (legacy_functions) {
            function_call(p, out);
            return; /* the old form has room for one */
        }
        if (calls++ == 0)
            tg_buf_lit(out, ",\"tool_calls\":[");
        else
            tg_buf_char(out, ',');
        tool_call(p, out);
    }
    if (calls)
        tg_buf_char(out, ']');
}
