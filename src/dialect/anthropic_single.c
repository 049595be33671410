/* A collected answer as one message. Shape: Anthropic's SDK, resources/messages: Message. */
#include "base/err.h"
#include "dialect/anthropic_priv.h"

static void write_text(const struct tg_collect_part *p, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"type\":\"text\",\"text\":");
    tg_buf_json_str(out, tg_buf_str(&p->text));
    for (size_t i = 0; i < p->n_citations; i++) {
        const struct tg_collect_citation *from = &p->citations[i];
        struct tg_citation c = {
            .url = tg_buf_str(&from->url),
            .title = tg_buf_str(&from->title),
            .text = tg_buf_str(&from->text),
            .raw = tg_buf_str(&from->raw),
            .start = from->start,
            .end = from->end,
            .format = from->format,
        };
        tg_buf_str_add(out, i ? TG_STR(",") : TG_STR(",\"citations\":["));
        tg_anthropic_write_citation(&c, out);
    }
    tg_buf_str_add(out, p->n_citations ? TG_STR("]}") : TG_STR("}"));
}

static int write_thinking(const struct tg_collect_part *p, const struct tg_render_info *info,
                          struct tg_buf *out)
{
    struct tg_str signature = tg_buf_str(&p->signature);
    if (p->opaque == TG_OPAQUE_REDACTED) {
        tg_buf_lit(out, "{\"type\":\"redacted_thinking\",\"data\":");
        tg_buf_json_str(out, signature);
        tg_buf_char(out, '}');
        return 0;
    }
    int rc = tg_anthropic_wrap_signature(info->arena, p->opaque, tg_buf_str(&p->id), signature,
                                         &signature);
    tg_buf_lit(out, "{\"type\":\"thinking\",\"thinking\":");
    tg_buf_json_str(out, tg_buf_str(&p->text));
    tg_buf_lit(out, ",\"signature\":");
    tg_buf_json_str(out, signature);
    tg_buf_char(out, '}');
    return rc;
}

/* Arguments are an object here: a text that is none (cut off by the token limit) can't be given
 * but as a string. */
static int write_input(struct tg_str arguments, struct tg_buf *out)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    arguments = tg_str_trim(arguments);
    if (!arguments.n) {
        tg_buf_lit(out, "{}");
        return 0;
    }
    tg_arena_init(&a, 1024, SIZE_MAX / 4);
    int rc = tg_json_parse(&a, arguments, NULL, &doc, NULL);
    bool whole = rc == 0 && tg_json_is_obj(tg_json_root(doc));
    tg_arena_fini(&a);
    if (whole) {
        tg_buf_str_add(out, arguments);
        return 0;
    }
    tg_buf_lit(out, "{\"_raw\":");
    tg_buf_json_str(out, arguments);
    tg_buf_char(out, '}');
    return rc == TG_E_NOMEM ? rc : 0;
}

static int write_call(const struct tg_collect_part *p, uint32_t part,
                      const struct tg_render_info *info, struct tg_buf *out)
{
    struct tg_str id;
    int rc = tg_anthropic_tool_id(info, part, tg_buf_str(&p->id), tg_buf_str(&p->signature), &id);
    if (rc)
        return rc;
    tg_buf_lit(out, "{\"type\":\"tool_use\",\"id\":");
    tg_buf_json_str(out, id);
    tg_buf_lit(out, ",\"name\":");
    tg_buf_json_str(out, tg_buf_str(&p->name));
    tg_buf_lit(out, ",\"input\":");
    rc = write_input(tg_buf_str(&p->text), out);
    tg_buf_char(out, '}');
    return rc;
}

/* Parts that this format has a block for. */
static bool has_block(const struct tg_collect_part *p)
{
    switch (p->kind) {
    case TG_PART_TEXT:
    case TG_PART_REFUSAL:
        return p->text.n > 0 || p->n_citations > 0;
    case TG_PART_REASONING:
        return p->text.n > 0 || p->signature.n > 0;
    case TG_PART_TOOL_CALL:
        return true;
    case TG_PART_RAW:
        return p->format == TG_WIRE_ANTHROPIC_MESSAGES && p->text.n > 0;
    case TG_PART_IMAGE:
    case TG_PART_DOCUMENT:
    case TG_PART_AUDIO:
    case TG_PART_TOOL_RESULT:
        break;
    }
    return false;
}

static int write_content(const struct tg_collect_choice *ch, const struct tg_render_info *info,
                         struct tg_buf *out)
{
    bool first = true;
    int rc = 0;
    for (size_t i = 0; ch && i < ch->n_parts && !rc; i++) {
        const struct tg_collect_part *p = &ch->parts[i];
        if (!has_block(p))
            continue;
        if (!first)
            tg_buf_char(out, ',');
        first = false;
        if (p->kind == TG_PART_TOOL_CALL)
            rc = write_call(p, (uint32_t)i, info, out);
        else if (p->kind == TG_PART_REASONING)
            rc = write_thinking(p, info, out);
        else if (p->kind == TG_PART_RAW)
            tg_buf_str_add(out, tg_buf_str(&p->text));
        else
            write_text(p, out);
    }
    return rc;
}

static void write_extras(const struct tg_collect *c, struct tg_buf *out)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("container"),
        TG_STR_INIT("stop_details"),
        TG_STR_INIT("context_management"),
    };
    for (size_t k = 0; k < TG_ARRAY_LEN(known); k++) {
        for (size_t i = c->n_extras; i-- > 0;) { /* the last one is the one that holds */
            const struct tg_collect_item *e = &c->extras[i];
            if (e->format != TG_WIRE_ANTHROPIC_MESSAGES ||
                !tg_str_eq(tg_buf_str(&e->name), known[k]))
                continue;
            tg_buf_char(out, ',');
            tg_buf_json_str(out, known[k]);
            tg_buf_char(out, ':');
            tg_buf_str_add(out, tg_buf_str(&e->text));
            break;
        }
    }
}

int tg_anthropic_write_message(const struct tg_collect *c, const struct tg_render_info *info,
                               const struct tg_usage *usage, struct tg_buf *out)
{
    const struct tg_collect_choice *ch = c->n_choices ? &c->choices[0] : NULL;
    struct tg_str reason = TG_STR("end_turn"), stop_text = TG_STR("");
    if (ch) {
        stop_text = tg_buf_str(&ch->stop_text);
        reason = tg_anthropic_stop_reason(ch->finish, tg_buf_str(&ch->finish_text), stop_text,
                                          tg_collect_has(ch, TG_PART_TOOL_CALL),
                                          tg_collect_has(ch, TG_PART_REFUSAL));
    }
    tg_buf_lit(out, "{\"id\":");
    tg_anthropic_write_id(info, out);
    tg_buf_lit(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"content\":[");
    int rc = write_content(ch, info, out);
    tg_buf_lit(out, "],");
    tg_anthropic_write_stop(reason, stop_text, out);
    write_extras(c, out);
    tg_buf_lit(out, ",\"usage\":{");
    tg_anthropic_write_usage(usage, tg_buf_str(&c->service_tier), out);
    tg_buf_lit(out, "}}");
    return rc;
}
