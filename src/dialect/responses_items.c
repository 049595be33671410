/* Output items of OpenAI's Responses as JSON: OutputMessage, ReasoningItem, FunctionToolCall,
 * CustomToolCall, ImageGenToolCall of its API description; the order of members is what its servers
 * send. */
#include "base/assert.h"
#include "base/err.h"
#include "chat/logprobs.h"
#include "dialect/responses_priv.h"

const struct tg_collect_part *tg_responses_part(const struct tg_responses_render *r, uint32_t part)
{
    const struct tg_collect *c = &r->collect;
    if (!c->n_choices || c->choices[0].index != 0 || part >= c->choices[0].n_parts)
        return NULL;
    return &c->choices[0].parts[part];
}

static struct tg_str text_of(const struct tg_collect_part *p)
{
    return p ? tg_buf_str(&p->text) : TG_STR("");
}

/* ---- citations ---- */

static bool is_own_annotation(const struct tg_citation *c)
{
    return c->raw.n && c->format == TG_WIRE_OPENAI_RESPONSES;
}

void tg_responses_write_annotation(const struct tg_citation *c, struct tg_buf *out)
{
    if (is_own_annotation(c)) {
        tg_buf_json_line(out, c->raw);
        return;
    }
    tg_buf_lit(out, "{\"type\":\"url_citation\",\"start_index\":");
    tg_buf_i64(out, c->start >= 0 ? c->start : 0);
    tg_buf_lit(out, ",\"end_index\":");
    tg_buf_i64(out, c->end >= 0 ? c->end : 0);
    tg_buf_lit(out, ",\"title\":");
    tg_buf_json_str(out, c->title.n ? c->title : c->text);
    tg_buf_lit(out, ",\"url\":");
    tg_buf_json_str(out, c->url);
    tg_buf_char(out, '}');
}

static void write_annotations(const struct tg_collect_part *p, struct tg_buf *out)
{
    tg_buf_char(out, '[');
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
        if (i)
            tg_buf_char(out, ',');
        tg_responses_write_annotation(&c, out);
    }
    tg_buf_char(out, ']');
}

/* ---- log probabilities ---- */

int tg_responses_write_logprobs(struct tg_str chat, struct tg_buf *out)
{
    struct tg_json_doc *doc;
    struct tg_arena a;
    int rc = 0;
    if (!chat.n) {
        tg_buf_lit(out, "[]");
        return 0;
    }
    tg_arena_init(&a, 4096, SIZE_MAX / 4);
    rc = tg_json_parse(&a, chat, NULL, &doc, NULL);
    const struct tg_json *list = rc ? NULL : tg_json_get(tg_json_root(doc), TG_STR("content"));
    tg_buf_json_line(out, tg_json_is_arr(list) ? tg_json_raw(doc, list) : TG_STR("[]"));
    tg_arena_fini(&a);
    return rc == TG_E_NOMEM ? rc : 0;
}

/* All of a choice's log probabilities, at its first text. */
static int write_all_logprobs(const struct tg_responses_render *r, uint32_t part,
                              struct tg_buf *out)
{
    const struct tg_collect_choice *ch = &r->collect.choices[0];
    struct tg_buf joined;
    for (uint32_t i = 0; i < part; i++) {
        if (ch->parts[i].kind == TG_PART_TEXT || !ch->logprobs.n) {
            tg_buf_lit(out, "[]");
            return 0;
        }
    }
    if (!ch->logprobs.n) {
        tg_buf_lit(out, "[]");
        return 0;
    }
    tg_buf_init(&joined, SIZE_MAX / 4);
    int rc = tg_logprobs_join(tg_buf_str(&ch->logprobs), &joined);
    if (!rc)
        rc = tg_responses_write_logprobs(tg_buf_str(&joined), out);
    tg_buf_fini(&joined);
    return rc;
}

/* ---- items ---- */

int tg_responses_write_content(const struct tg_responses_render *r, uint32_t part, bool empty,
                               struct tg_buf *out)
{
    const struct tg_collect_part *p = tg_responses_part(r, part);
    TG_REQUIRE(p);
    int rc = 0;
    if (p->kind == TG_PART_REFUSAL) {
        tg_buf_lit(out, "{\"type\":\"refusal\",\"refusal\":");
        tg_buf_json_str(out, empty ? TG_STR("") : text_of(p));
        tg_buf_char(out, '}');
        return 0;
    }
    tg_buf_lit(out, "{\"type\":\"output_text\",\"annotations\":");
    if (empty)
        tg_buf_lit(out, "[]");
    else
        write_annotations(p, out);
    tg_buf_lit(out, ",\"logprobs\":");
    if (empty)
        tg_buf_lit(out, "[]");
    else
        rc = write_all_logprobs(r, part, out);
    tg_buf_lit(out, ",\"text\":");
    tg_buf_json_str(out, empty ? TG_STR("") : text_of(p));
    tg_buf_char(out, '}');
    return rc;
}

static int write_message(const struct tg_responses_render *r, const struct tg_responses_item *it,
                         bool empty, struct tg_buf *out)
{
    int rc = 0;
    tg_buf_lit(out, ",\"content\":[");
    for (uint32_t i = 0; i < it->n_parts && !empty && !rc; i++) {
        if (i)
            tg_buf_char(out, ',');
        rc = tg_responses_write_content(r, it->part + i, false, out);
    }
    tg_buf_lit(out, "],\"role\":\"assistant\"");
    return rc;
}

static void write_reasoning(const struct tg_responses_render *r, const struct tg_responses_item *it,
                            bool empty, struct tg_buf *out)
{
    const struct tg_collect_part *p = tg_responses_part(r, it->part);
    bool of_text = it->kind == TG_RESPONSES_TEXT_STATE;
    tg_buf_lit(out, ",\"summary\":[");
    if (!empty && !of_text && text_of(p).n) {
        tg_buf_lit(out, "{\"type\":\"summary_text\",\"text\":");
        tg_buf_json_str(out, text_of(p));
        tg_buf_char(out, '}');
    }
    tg_buf_char(out, ']');
    if (!p || !p->signature.n || (empty && !of_text))
        return;
    tg_buf_lit(out, ",\"encrypted_content\":\"");
    struct tg_buf sealed;
    tg_buf_init(&sealed, SIZE_MAX / 4);
    tg_responses_seal(p->opaque, tg_buf_str(&p->signature), of_text, &sealed);
    tg_buf_json(out, tg_buf_str(&sealed));
    out->failed = out->failed || !tg_buf_ok(&sealed);
    tg_buf_fini(&sealed);
    tg_buf_char(out, '"');
}

void tg_responses_write_custom_input(struct tg_str arguments, struct tg_buf *out)
{
    struct tg_json_doc *doc;
    struct tg_arena a;
    tg_arena_init(&a, 4096, SIZE_MAX / 4);
    const struct tg_json *input = NULL;
    if (tg_json_parse(&a, arguments, NULL, &doc, NULL) == 0)
        input = tg_json_get(tg_json_root(doc), TG_STR("input"));
    tg_buf_json_str(out, tg_json_is_str(input) ? tg_json_str(input) : arguments);
    tg_arena_fini(&a);
}

static void write_call(const struct tg_responses_render *r, const struct tg_responses_item *it,
                       bool empty, struct tg_buf *out)
{
    struct tg_str arguments = empty ? TG_STR("") : text_of(tg_responses_part(r, it->part));
    if (it->kind == TG_RESPONSES_CUSTOM) {
        tg_buf_lit(out, ",\"call_id\":");
        tg_buf_json_str(out, it->call_id);
        tg_buf_lit(out, ",\"input\":");
        tg_responses_write_custom_input(arguments, out);
    } else {
        tg_buf_lit(out, ",\"arguments\":");
        tg_buf_json_str(out, arguments);
        tg_buf_lit(out, ",\"call_id\":");
        tg_buf_json_str(out, it->call_id);
    }
    tg_buf_lit(out, ",\"name\":");
    tg_buf_json_str(out, it->tool.name);
    if (it->tool.space.n) {
        tg_buf_lit(out, ",\"namespace\":");
        tg_buf_json_str(out, it->tool.space);
    }
}

static void write_image(const struct tg_responses_render *r, const struct tg_responses_item *it,
                        bool empty, struct tg_buf *out)
{
    const struct tg_collect_part *p = tg_responses_part(r, it->part);
    struct tg_str mime = p ? tg_buf_str(&p->mime) : TG_STR("");
    tg_buf_lit(out, ",\"result\":");
    if (empty)
        tg_buf_lit(out, "null");
    else
        tg_buf_json_str(out, text_of(p));
    if (!tg_str_starts(mime, TG_STR("image/")))
        return;
    tg_buf_lit(out, ",\"output_format\":");
    tg_buf_json_str(out, tg_str_from(mime, 6));
}

static struct tg_str type_of(enum tg_responses_kind k)
{
    switch (k) {
    case TG_RESPONSES_MESSAGE:
        return TG_STR("message");
    case TG_RESPONSES_REASONING:
    case TG_RESPONSES_TEXT_STATE:
        return TG_STR("reasoning");
    case TG_RESPONSES_FUNCTION:
        return TG_STR("function_call");
    case TG_RESPONSES_CUSTOM:
        return TG_STR("custom_tool_call");
    case TG_RESPONSES_IMAGE:
        return TG_STR("image_generation_call");
    case TG_RESPONSES_RAW:
        break;
    }
    TG_UNREACHABLE();
}

int tg_responses_write_item(const struct tg_responses_render *r, const struct tg_responses_item *it,
                            struct tg_str status, bool empty, struct tg_buf *out)
{
    int rc = 0;
    if (it->kind == TG_RESPONSES_RAW) {
        tg_buf_json_line(out, text_of(tg_responses_part(r, it->part)));
        return 0;
    }
    tg_buf_lit(out, "{\"id\":");
    tg_buf_json_str(out, it->id);
    tg_buf_lit(out, ",\"type\":");
    tg_buf_json_str(out, type_of(it->kind));
    if (it->kind != TG_RESPONSES_REASONING && it->kind != TG_RESPONSES_TEXT_STATE) {
        tg_buf_lit(out, ",\"status\":");
        tg_buf_json_str(out, status);
    }
    switch (it->kind) {
    case TG_RESPONSES_MESSAGE:
        rc = write_message(r, it, empty, out);
        break;
    case TG_RESPONSES_REASONING:
    case TG_RESPONSES_TEXT_STATE:
        write_reasoning(r, it, empty, out);
        break;
    case TG_RESPONSES_FUNCTION:
    case TG_RESPONSES_CUSTOM:
        write_call(r, it, empty, out);
        break;
    case TG_RESPONSES_IMAGE:
        write_image(r, it, empty, out);
        break;
    case TG_RESPONSES_RAW:
        break;
    }
    tg_buf_char(out, '}');
    return rc;
}
