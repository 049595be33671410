/* Canonical messages → items of OpenAI's Responses. Items of this format go back byte for byte,
 * each once (the parts of one share its text, see dialect/responses_priv.h). */
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

struct ctx {
    struct tg_jw *w;
    bool own; /* raw texts are of this format */
    size_t message;
    const char *last_raw; /* of the item written last */
    struct tg_fail *fail;
};

static int cannot(const struct ctx *c, const char *what)
{
    return tg_adapter_cannot(c->fail, c->message, what);
}

static void open_type(struct tg_jw *w, struct tg_str type)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), type);
}

static void data_url(struct tg_jw *w, struct tg_str key, const struct tg_media *m,
                     struct tg_str fallback_mime)
{
    tg_jw_key(w, key);
    tg_adapter_write_data_url(w, m, fallback_mime);
}

/* ---- content ---- */

static void write_image(struct tg_jw *w, const struct tg_media *m)
{
    open_type(w, TG_STR("input_image"));
    if (m->source == TG_MEDIA_FILE_ID)
        tg_jw_kstr(w, TG_STR("file_id"), m->data);
    else if (m->source == TG_MEDIA_URL)
        tg_jw_kstr(w, TG_STR("image_url"), m->data);
    else
        data_url(w, TG_STR("image_url"), m, TG_STR("image/png"));
    if (m->detail.n)
        tg_jw_kstr(w, TG_STR("detail"), m->detail);
    tg_jw_end_obj(w);
}

static void write_document(struct tg_jw *w, const struct tg_media *m)
{
    open_type(w, TG_STR("input_file"));
    if (m->source == TG_MEDIA_FILE_ID) {
        tg_jw_kstr(w, TG_STR("file_id"), m->data);
    } else if (m->source == TG_MEDIA_URL) {
        tg_jw_kstr(w, TG_STR("file_url"), m->data);
    } else {
        tg_jw_kstr(w, TG_STR("filename"), m->detail.n ? m->detail : TG_STR("document.pdf"));
        data_url(w, TG_STR("file_data"), m, TG_STR("application/pdf"));
    }
    tg_jw_end_obj(w);
}

static int write_content(const struct ctx *c, const struct tg_part *p, bool said_by_model)
{
    struct tg_jw *w = c->w;
    switch (p->kind) {
    case TG_PART_TEXT:
        open_type(w, said_by_model ? TG_STR("output_text") : TG_STR("input_text"));
        tg_jw_kstr(w, TG_STR("text"), p->text);
        tg_jw_end_obj(w);
        return 0;
    case TG_PART_REFUSAL:
        open_type(w, TG_STR("refusal"));
        tg_jw_kstr(w, TG_STR("refusal"), p->text);
        tg_jw_end_obj(w);
        return 0;
    case TG_PART_IMAGE:
        write_image(w, &p->media);
        return said_by_model ? cannot(c, "an image that the model made") : 0;
    case TG_PART_DOCUMENT:
        write_document(w, &p->media);
        return said_by_model ? cannot(c, "a document that the model made") : 0;
    case TG_PART_AUDIO:
        return cannot(c, "audio");
    case TG_PART_RAW:
    case TG_PART_TOOL_CALL:
    case TG_PART_TOOL_RESULT:
    case TG_PART_REASONING:
        break;
    }
    return cannot(c, "a part of an unknown kind");
}

static bool all_text(const struct tg_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind != TG_PART_TEXT)
            return false;
    }
    return true;
}

/* The value of `content` or `output`: a string where there is but text. */
static int write_contents(const struct ctx *c, enum tg_role role, const struct tg_part *parts,
                          size_t n)
{
    struct tg_jw *w = c->w;
    int rc = 0;
    if (all_text(parts, n)) {
        tg_jw_str_open(w);
        for (size_t i = 0; i < n; i++) {
            if (i)
                tg_jw_str_piece(w, tg_adapter_between(role));
            tg_jw_str_piece(w, parts[i].text);
        }
        tg_jw_str_close(w);
        return 0;
    }
    tg_jw_arr(w);
    for (size_t i = 0; i < n && !rc; i++)
        rc = write_content(c, &parts[i], role == TG_ROLE_ASSISTANT);
    tg_jw_end_arr(w);
    return rc;
}

/* ---- items ---- */

static int write_said(const struct ctx *c, enum tg_role role, const struct tg_part *parts, size_t n)
{
    tg_jw_obj(c->w);
    tg_jw_kstr(c->w, TG_STR("role"), tg_str_c(tg_role_name(role)));
    tg_jw_key(c->w, TG_STR("content"));
    int rc = write_contents(c, role, parts, n);
    tg_jw_end_obj(c->w);
    return rc;
}

static int write_call(const struct ctx *c, const struct tg_part *p)
{
    open_type(c->w, TG_STR("function_call"));
    tg_jw_kstr(c->w, TG_STR("call_id"), p->call_id);
    tg_jw_kstr(c->w, TG_STR("name"), p->tool_name);
    tg_jw_kstr(c->w, TG_STR("arguments"), p->arguments);
    tg_jw_end_obj(c->w);
    return 0;
}

static int write_result(const struct ctx *c, const struct tg_part *p)
{
    open_type(c->w, TG_STR("function_call_output"));
    tg_jw_kstr(c->w, TG_STR("call_id"), p->call_id);
    tg_jw_key(c->w, TG_STR("output"));
    int rc = write_contents(c, TG_ROLE_TOOL, p->parts, p->n_parts);
    tg_jw_end_obj(c->w);
    return rc;
}

/* Only sealed reasoning of this provider's means anything to it. */
static int write_reasoning(const struct ctx *c, const struct tg_part *p)
{
    struct tg_jw *w = c->w;
    if (p->opaque != TG_OPAQUE_ENCRYPTED)
        return 0;
    open_type(w, TG_STR("reasoning"));
    if (tg_str_starts(p->call_id, TG_STR("rs_")))
        tg_jw_kstr(w, TG_STR("id"), p->call_id);
    tg_jw_key(w, TG_STR("summary"));
    tg_jw_arr(w);
    if (p->text.n) {
        open_type(w, TG_STR("summary_text"));
        tg_jw_kstr(w, TG_STR("text"), p->text);
        tg_jw_end_obj(w);
    }
    tg_jw_end_arr(w);
    tg_jw_kstr(w, TG_STR("encrypted_content"), p->signature);
    tg_jw_end_obj(w);
    return 0;
}

/* An item of this format, when none of its parts was met before. */
static void write_raw(struct ctx *c, const struct tg_part *p)
{
    if (p->raw.p == c->last_raw)
        return;
    c->last_raw = p->raw.p;
    if (p->raw.p[0] != '"') {
        tg_jw_raw(c->w, p->raw);
        return;
    }
    open_type(c->w, TG_STR("message")); /* an input that was but a string */
    tg_jw_kstr(c->w, TG_STR("role"), TG_STR("user"));
    tg_jw_kraw(c->w, TG_STR("content"), p->raw);
    tg_jw_end_obj(c->w);
}

static bool is_said(const struct ctx *c, const struct tg_part *p)
{
    if (c->own && p->raw.n)
        return false;
    return p->kind != TG_PART_TOOL_CALL && p->kind != TG_PART_TOOL_RESULT &&
           p->kind != TG_PART_REASONING;
}

static int write_item(struct ctx *c, const struct tg_part *p)
{
    if (c->own && p->raw.n) {
        write_raw(c, p);
        return 0;
    }
    if (p->kind == TG_PART_TOOL_CALL)
        return write_call(c, p);
    return p->kind == TG_PART_TOOL_RESULT ? write_result(c, p) : write_reasoning(c, p);
}

/* In order, but for results of tools, which come before what else their message says. */
static int write_message(struct ctx *c, const struct tg_message *m)
{
    int rc = 0;
    for (size_t i = 0; i < m->n_parts && !rc; i++) {
        if (m->parts[i].kind == TG_PART_TOOL_RESULT)
            rc = write_item(c, &m->parts[i]);
    }
    for (size_t i = 0; i < m->n_parts && !rc;) {
        size_t n = 0;
        while (i + n < m->n_parts && is_said(c, &m->parts[i + n]))
            n++;
        if (n)
            rc = write_said(c, m->role, &m->parts[i], n);
        else if (m->parts[i].kind != TG_PART_TOOL_RESULT)
            rc = write_item(c, &m->parts[i]);
        i += n ? n : 1;
    }
    return rc;
}

/* A message that was a member of the request. */
static bool is_instructions(const struct ctx *c, const struct tg_message *m)
{
    return c->own && tg_str_starts(m->extra.members, TG_STR("\"instructions\""));
}

/* The whole input was but a string. */
static bool is_string(const struct ctx *c, const struct tg_chat_req *req, size_t first)
{
    if (!c->own || req->n_messages != first + 1 || req->messages[first].n_parts != 1)
        return false;
    struct tg_str raw = req->messages[first].parts[0].raw;
    return raw.n && raw.p[0] == '"';
}

int tg_responses_encode_input(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    struct ctx c = {.w = w, .own = tg_responses_own_raw(req), .fail = fail};
    size_t first = 0;
    int rc = 0;
    if (req->n_messages && is_instructions(&c, &req->messages[0])) {
        tg_buf_char(w->b, ',');
        tg_buf_str_add(w->b, req->messages[0].extra.members);
        first = 1;
    }
    tg_jw_key(w, TG_STR("input"));
    if (req->is_completion) { /* a raw prompt is the user's message */
        tg_jw_str(w, req->prompt);
        return 0;
    }
    if (is_string(&c, req, first)) {
        tg_jw_raw(w, req->messages[first].parts[0].raw);
        return 0;
    }
    tg_jw_arr(w);
    for (size_t i = first; i < req->n_messages && !rc; i++) {
        c.message = i;
        rc = write_message(&c, &req->messages[i]);
    }
    tg_jw_end_arr(w);
    return rc;
}
