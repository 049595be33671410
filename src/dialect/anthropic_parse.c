/* Messages of Anthropic's format → canonical parts. Every block keeps its own text in `raw`, so
 * that what has no field of its own (citations, a document's context, the caller of a tool) goes
 * back to that format as it came. */
#include <stdio.h>

#include "base/base64.h"
#include "base/err.h"
#include "chat/call_id.h"
#include "dialect/anthropic_priv.h"

/* Where in the request we are, for messages to people. */
struct place {
    struct tg_arena *a;
    struct tg_json_doc *doc;
    bool system; /* in the top-level member, else in a message */
    size_t message;
    struct tg_fail *f;
};

static TG_COLD int bad(const struct place *at, size_t block, const char *text)
{
    char param[80];
    if (at->system)
        snprintf(param, sizeof(param), "system[%zu]", block);
    else
        snprintf(param, sizeof(param), "messages[%zu].content[%zu]", at->message, block);
    return tg_fail_param(at->f, TG_E_INVALID_VALUE, param, "'%s' %s", param, text);
}

static TG_COLD int no_memory(const struct place *at)
{
    return tg_fail_set(at->f, TG_E_NOMEM, "not enough memory for the request");
}

/* ---- images and documents ---- */

/* A source by type base64, url or file; false: another one. */
static bool media_source(const struct tg_json *source, struct tg_media *out)
{
    struct tg_str type = tg_json_get_str(source, TG_STR("type"));
    if (tg_str_eq(type, TG_STR("base64"))) {
        out->source = TG_MEDIA_INLINE;
        out->mime = tg_json_get_str(source, TG_STR("media_type"));
        out->data = tg_json_get_str(source, TG_STR("data"));
    } else if (tg_str_eq(type, TG_STR("url"))) {
        out->source = TG_MEDIA_URL;
        out->data = tg_json_get_str(source, TG_STR("url"));
    } else if (tg_str_eq(type, TG_STR("file"))) {
        out->source = TG_MEDIA_FILE_ID;
        out->data = tg_json_get_str(source, TG_STR("file_id"));
    }
    return out->data.p != NULL;
}

/* The words of a document that is given as text: a string, or blocks of text only. */
static bool document_text(const struct tg_json *source, struct tg_buf *out)
{
    struct tg_str type = tg_json_get_str(source, TG_STR("type"));
    const struct tg_json *content = tg_json_get(source, TG_STR("content"));
    if (tg_str_eq(type, TG_STR("text")))
        content = tg_json_get(source, TG_STR("data"));
    else if (!tg_str_eq(type, TG_STR("content")))
        return false;
    tg_buf_str_add(out, tg_json_str(content));
    struct tg_json_iter it = tg_json_iter(content);
    while (tg_json_next(&it)) {
        const struct tg_json *text = tg_json_get(it.value, TG_STR("text"));
        if (!tg_json_is_str(text))
            return false;
        if (it.index)
            tg_buf_char(out, '\n');
        tg_buf_str_add(out, tg_json_str(text));
    }
    return tg_json_is_str(content) || tg_json_is_arr(content);
}

static int text_document(const struct place *at, const struct tg_json *source, struct tg_part *p)
{
    struct tg_buf text, encoded;
    int rc = 0;
    tg_buf_init(&text, SIZE_MAX / 4);
    tg_buf_init(&encoded, SIZE_MAX / 4);
    if (document_text(source, &text)) {
        tg_base64_encode(tg_buf_str(&text), &encoded);
        p->kind = TG_PART_DOCUMENT;
        p->media.source = TG_MEDIA_INLINE;
        p->media.mime = TG_STR("text/plain");
        if (tg_buf_ok(&text) && tg_buf_ok(&encoded))
            p->media.data = tg_arena_dup(at->a, tg_buf_str(&encoded));
        rc = p->media.data.p ? 0 : no_memory(at);
    }
    tg_buf_fini(&text);
    tg_buf_fini(&encoded);
    return rc;
}

static int document_block(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    static const char cited[] = "type source title cache_control";
    static const char plain[] = "type source title cache_control citations";
    const struct tg_json *source = tg_json_get(v, TG_STR("source"));
    const struct tg_json *citations = tg_json_get(v, TG_STR("citations"));
    bool cites = tg_json_true(tg_json_get(citations, TG_STR("enabled")));
    if (tg_body_unknown(at->a, at->doc, v, cites ? cited : plain, &p->extra))
        return no_memory(at);
    p->media.detail = tg_json_get_str(v, TG_STR("title"));
    if (!media_source(source, &p->media))
        return text_document(at, source, p);
    p->kind = TG_PART_DOCUMENT;
    if (!p->media.mime.n && p->media.source == TG_MEDIA_URL)
        p->media.mime = TG_STR("application/pdf"); /* the only kind that is taken by URL */
    return 0;
}

/* ---- the other blocks ---- */

static int tool_use_block(const struct place *at, const struct tg_json *v, size_t i,
                          struct tg_part *p)
{
    const struct tg_json *input = tg_json_get(v, TG_STR("input"));
    struct tg_str id = tg_json_get_str(v, TG_STR("id"));
    p->tool_name = tg_json_get_str(v, TG_STR("name"));
    if (!id.n || !p->tool_name.n)
        return bad(at, i, "is a tool_use block without an id or a name");
    p->kind = TG_PART_TOOL_CALL;
    p->arguments = tg_json_is_nil(input) ? TG_STR("{}") : tg_json_raw(at->doc, input);
    int rc = tg_call_id_split(at->a, id, &p->call_id, &p->signature);
    if (p->signature.n)
        p->opaque = TG_OPAQUE_THOUGHT;
    return rc ? no_memory(at) : 0;
}

static void thinking_block(const struct tg_json *v, struct tg_part *p)
{
    struct tg_str signature = tg_json_get_str(v, TG_STR("signature"));
    p->kind = TG_PART_REASONING;
    p->text = tg_json_get_str(v, TG_STR("thinking"));
    p->opaque = tg_anthropic_unwrap_signature(signature, &p->call_id, &p->signature);
    if (p->opaque != TG_OPAQUE_SIGNED)
        p->raw = TG_STR(""); /* not a block that Anthropic made */
}

static int one_block(const struct place *at, const struct tg_json *v, size_t i, struct tg_part *p);

static int result_block(const struct place *at, const struct tg_json *v, size_t i,
                        struct tg_part *p)
{
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    struct tg_str id = tg_json_get_str(v, TG_STR("tool_use_id")), signature;
    size_t n = tg_json_is_arr(content) ? tg_json_count(content) : tg_json_is_str(content);
    if (!id.n)
        return bad(at, i, "is a tool_result block without a tool_use_id");
    if (!tg_json_is_nil(content) && !tg_json_is_str(content) && !tg_json_is_arr(content))
        return bad(at, i, "has a content that is neither a string nor an array");
    p->kind = TG_PART_TOOL_RESULT;
    p->is_error = tg_json_true(tg_json_get(v, TG_STR("is_error")));
    p->parts = n ? tg_arena_array(at->a, n, sizeof(*p->parts)) : NULL;
    if ((n && !p->parts) || tg_call_id_split(at->a, id, &p->call_id, &signature))
        return no_memory(at);
    if (signature.n)
        p->raw = TG_STR(""); /* its id is not the provider's */
    if (tg_json_is_str(content)) {
        p->parts[0].kind = TG_PART_TEXT;
        p->parts[0].text = tg_json_str(content);
        p->n_parts = 1;
    }
    struct tg_json_iter it = tg_json_iter(content);
    while (tg_json_next(&it)) {
        struct tg_part *inner = &p->parts[p->n_parts++];
        /* A result holds no results: such a block is one of an unknown kind. */
        bool nested = tg_json_str_is(tg_json_get(it.value, TG_STR("type")), TG_STR("tool_result"));
        int rc = nested ? bad(at, i, "holds a tool_result block inside another")
                        : one_block(at, it.value, i, inner);
        if (rc)
            return rc;
    }
    return 0;
}

static int text_block(const struct place *at, const struct tg_json *v, size_t i, struct tg_part *p)
{
    p->kind = TG_PART_TEXT;
    p->text = tg_json_get_str(v, TG_STR("text"));
    return p->text.p ? 0 : bad(at, i, "is a text block without text");
}

/* At most one level deep: a tool's result has blocks, which are no results. */
static int one_block(const struct place *at, const struct tg_json *v, size_t i, struct tg_part *p)
{
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    if (!tg_json_is_obj(v) || !type.p)
        return bad(at, i, "is not an object with a type");
    const struct tg_json *hint = tg_json_get(v, TG_STR("cache_control"));
    p->kind = TG_PART_RAW;
    p->raw = tg_json_raw(at->doc, v);
    if (!tg_json_is_nil(hint))
        p->cache_hint = tg_json_raw(at->doc, hint);
    if (tg_str_eq(type, TG_STR("text")))
        return text_block(at, v, i, p);
    if (tg_str_eq(type, TG_STR("image"))) {
        if (media_source(tg_json_get(v, TG_STR("source")), &p->media))
            p->kind = TG_PART_IMAGE;
    } else if (tg_str_eq(type, TG_STR("document"))) {
        return document_block(at, v, p);
    } else if (tg_str_eq(type, TG_STR("tool_use"))) {
        return tool_use_block(at, v, i, p);
    } else if (tg_str_eq(type, TG_STR("tool_result"))) {
        return result_block(at, v, i, p);
    } else if (tg_str_eq(type, TG_STR("thinking"))) {
        thinking_block(v, p);
    } else if (tg_str_eq(type, TG_STR("redacted_thinking"))) {
        p->kind = TG_PART_REASONING;
        p->opaque = TG_OPAQUE_REDACTED;
        p->signature = tg_json_get_str(v, TG_STR("data"));
    }
    return 0;
}

static int content(const struct place *at, const struct tg_json *v, struct tg_message *out)
{
    size_t n = tg_json_is_str(v) ? 1 : tg_json_count(v);
    out->parts = n ? tg_arena_array(at->a, n, sizeof(*out->parts)) : NULL;
    if (n && !out->parts)
        return no_memory(at);
    if (tg_json_is_str(v)) {
        out->parts[0].kind = TG_PART_TEXT;
        out->parts[0].text = tg_json_str(v);
        out->n_parts = 1;
    }
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        int rc = one_block(at, it.value, it.index, &out->parts[out->n_parts++]);
        if (rc)
            return rc;
    }
    return 0;
}

static bool message_member(struct tg_str name, const void *ctx)
{
    return tg_str_eq(name, TG_STR("role")) || tg_str_eq(name, TG_STR("content"));
}

static int one_message(const struct place *at, const struct tg_json *v, struct tg_message *out)
{
    if (!tg_role_parse(tg_json_get_str(v, TG_STR("role")), &out->role))
        return bad(at, 0, "belongs to an unknown role"); /* open() has seen to it */
    int rc = content(at, tg_json_get(v, TG_STR("content")), out);
    return rc ? rc : tg_body_extra(at->a, at->doc, v, message_member, NULL, &out->extra);
}

int tg_anthropic_parse_messages(struct tg_arena *a, const struct tg_body *b,
                                struct tg_chat_req *out, struct tg_fail *f)
{
    const struct tg_json *system = b->v[TG_F_SYSTEM], *list = b->v[TG_F_MESSAGES];
    struct place at = {.a = a, .doc = b->doc, .system = true, .f = f};
    size_t n = 0;
    int rc = 0;
    out->messages = tg_arena_array(a, tg_json_count(list) + 1, sizeof(*out->messages));
    if (!out->messages)
        return no_memory(&at);
    if (tg_json_is_str(system) || tg_json_count(system)) {
        out->messages[n].role = TG_ROLE_SYSTEM;
        rc = content(&at, system, &out->messages[n++]);
    }
    at.system = false;
    struct tg_json_iter it = tg_json_iter(list);
    while (!rc && tg_json_next(&it)) {
        at.message = it.index;
        rc = one_message(&at, it.value, &out->messages[n++]);
    }
    out->n_messages = n;
    return rc;
}

/* ---- opaque reasoning of others ---- */

static const struct tg_str mark = TG_STR_INIT("tgs1:");

int tg_anthropic_wrap_signature(struct tg_arena *a, enum tg_opaque_kind kind, struct tg_str id,
                                struct tg_str data, struct tg_str *out)
{
    if (kind != TG_OPAQUE_ENCRYPTED && kind != TG_OPAQUE_THOUGHT) {
        *out = data;
        return 0;
    }
    if (tg_str_chr(id, ':') >= 0)
        id = TG_STR("");
    struct tg_str s =
        tg_arena_printf(a, "tgs1:%c:%.*s:%.*s", kind == TG_OPAQUE_ENCRYPTED ? 'e' : 't',
                        TG_STR_ARG(id), TG_STR_ARG(data));
    if (!s.p)
        return TG_E_NOMEM;
    *out = s;
    return 0;
}

enum tg_opaque_kind tg_anthropic_unwrap_signature(struct tg_str signature, struct tg_str *out_id,
                                                  struct tg_str *out_data)
{
    struct tg_str rest = tg_str_from(signature, mark.n + 2), id;
    *out_id = TG_STR("");
    *out_data = signature;
    if (!signature.n)
        return TG_OPAQUE_NONE;
    if (!tg_str_starts(signature, mark) || signature.n < mark.n + 2)
        return TG_OPAQUE_SIGNED;
    char kind = signature.p[mark.n];
    bool known = (kind == 'e' || kind == 't') && signature.p[mark.n + 1] == ':';
    if (!known || tg_str_chr(rest, ':') < 0 || !tg_str_split(&rest, ':', &id) || !rest.n)
        return TG_OPAQUE_SIGNED;
    *out_id = id;
    *out_data = rest;
    return kind == 'e' ? TG_OPAQUE_ENCRYPTED : TG_OPAQUE_THOUGHT;
}
