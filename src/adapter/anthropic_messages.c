/* Canonical messages → `system` and `messages`. What came from this format goes back as it came. Of
 * other formats: system and developer texts at the front become `system`, in their order; later
 * ones stay in their place as a user's text, which every model takes, and are reported as emulated.
 * Messages that follow each other with the same role become one; in it a tool's results come first,
 * as the API wants them right behind the calls. Empty texts are left out: the API refuses them. */
#include <ctype.h>
#include "adapter/encode_priv.h"
#include "adapter/anthropic_priv.h"
#include "base/base64.h"
#include "base/err.h"
#include "base/utf8.h"

#define BIT(id) TG_FEATURE_BIT(id)

struct ctx {
    struct tg_jw *w;
    struct tg_anthropic_plan *plan;
    size_t message;
    struct tg_fail *fail;
};

static int cannot(const struct ctx *c, const char *what)
{
    return tg_adapter_cannot(c->fail, c->message, what);
}

/* ---- blocks ---- */

static void type_member(struct tg_jw *w, struct tg_str type)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), type);
}

/* Hints of another shape than Anthropic's own mean nothing here. */
static void end_block(const struct ctx *c, struct tg_str cache_hint)
{
    if (cache_hint.n) {
        if (tg_str_find(cache_hint, TG_STR("\"ephemeral\"")) >= 0)
            tg_jw_kraw(c->w, TG_STR("cache_control"), cache_hint);
        else
            c->plan->dropped |= BIT(CACHE_HINT);
    }
    tg_jw_end_obj(c->w);
}

static void write_text(const struct ctx *c, struct tg_str text, struct tg_str cache_hint)
{
    type_member(c->w, TG_STR("text"));
    tg_jw_kstr(c->w, TG_STR("text"), text);
    end_block(c, cache_hint);
}

static void write_source(struct tg_jw *w, const struct tg_media *m, struct tg_str fallback_mime)
{
    tg_jw_key(w, TG_STR("source"));
    tg_jw_obj(w);
    if (m->source == TG_MEDIA_URL) {
        tg_jw_kstr(w, TG_STR("type"), TG_STR("url"));
        tg_jw_kstr(w, TG_STR("url"), m->data);
    } else {
        tg_jw_kstr(w, TG_STR("type"), TG_STR("base64"));
        tg_jw_kstr(w, TG_STR("media_type"), m->mime.n ? m->mime : fallback_mime);
        tg_jw_kstr(w, TG_STR("data"), m->data);
    }
    tg_jw_end_obj(w);
}

static int write_image(const struct ctx *c, const struct tg_part *p)
{
    if (p->media.source == TG_MEDIA_FILE_ID)
        return cannot(c, "an image by file id");
    type_member(c->w, TG_STR("image"));
    write_source(c->w, &p->media, TG_STR("image/png"));
    end_block(c, p->cache_hint);
    return 0;
}

/* A text file goes as text: base64 is for PDFs only. */
static int write_text_source(const struct ctx *c, const struct tg_media *m)
{
    struct tg_jw *w = c->w;
    struct tg_buf text;
    tg_buf_init(&text, SIZE_MAX / 4);
    int rc = tg_base64_decode(m->data, &text);
    if (rc == 0) {
        tg_jw_key(w, TG_STR("source"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("text"));
        tg_jw_kstr(w, TG_STR("media_type"), TG_STR("text/plain"));
        tg_jw_kstr(w, TG_STR("data"), tg_buf_str(&text));
        tg_jw_end_obj(w);
    }
    tg_buf_fini(&text);
    if (rc == TG_E_NOMEM)
        return tg_fail_set(c->fail, rc, "not enough memory for the request");
    return rc ? cannot(c, "a document that is not base64") : 0;
}

static int write_document(const struct ctx *c, const struct tg_part *p)
{
    const struct tg_media *m = &p->media;
    bool text = m->source == TG_MEDIA_INLINE && tg_str_starts(m->mime, TG_STR("text/"));
    bool pdf = !m->mime.n || tg_str_eq(m->mime, TG_STR("application/pdf"));
    int rc = 0;
    if (m->source == TG_MEDIA_FILE_ID)
        return cannot(c, "a document by file id");
    if (m->source == TG_MEDIA_INLINE && !text && !pdf)
        return cannot(c, "a document that is neither PDF nor text");
    type_member(c->w, TG_STR("document"));
    if (text)
        rc = write_text_source(c, m);
    else
        write_source(c->w, m, TG_STR("application/pdf"));
    if (m->detail.n)
        tg_jw_kstr(c->w, TG_STR("title"), m->detail);
    end_block(c, p->cache_hint);
    return rc;
}

/* Ids hold letters, digits, _ and - here; a call that never had one is known by its name. */
static void write_id(struct tg_jw *w, const struct tg_part *p)
{
    struct tg_str id = p->call_id.n ? p->call_id : p->tool_name;
    tg_jw_str_open(w);
    if (!p->call_id.n)
        tg_jw_str_piece(w, TG_STR("call_"));
    for (size_t i = 0; i < id.n;) {
        size_t n = i;
        while (n < id.n && (isalnum((unsigned char)id.p[n]) || id.p[n] == '_' || id.p[n] == '-'))
            n++;
        tg_jw_str_piece(w, tg_str_make(id.p + i, n - i));
        if (n < id.n)
            tg_jw_str_piece(w, TG_STR("_"));
        i = n + 1;
    }
    tg_jw_str_close(w);
}

void tg_anthropic_write_input(struct tg_jw *w, struct tg_str arguments)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    arguments = tg_str_trim(arguments);
    if (!arguments.n) {
        tg_jw_raw(w, TG_STR("{}"));
        return;
    }
    tg_arena_init(&a, 1024, SIZE_MAX / 4);
    bool object =
        tg_json_parse(&a, arguments, NULL, &doc, NULL) == 0 && tg_json_is_obj(tg_json_root(doc));
    tg_arena_fini(&a);
    if (object) {
        tg_jw_raw(w, arguments);
        return;
    }
    tg_jw_obj(w); /* what a model wrote that is no object: kept as a text */
    tg_jw_kstr(w, TG_STR("_raw"), arguments);
    tg_jw_end_obj(w);
}

static void write_call(const struct ctx *c, const struct tg_part *p)
{
    type_member(c->w, TG_STR("tool_use"));
    tg_jw_key(c->w, TG_STR("id"));
    write_id(c->w, p);
    tg_jw_kstr(c->w, TG_STR("name"), p->tool_name);
    tg_jw_key(c->w, TG_STR("input"));
    tg_anthropic_write_input(c->w, p->arguments);
    end_block(c, p->cache_hint);
}

/* Only what Anthropic signed: anything else it would refuse. */
static void write_thinking(const struct ctx *c, const struct tg_part *p)
{
    bool redacted = p->opaque == TG_OPAQUE_REDACTED;
    type_member(c->w, redacted ? TG_STR("redacted_thinking") : TG_STR("thinking"));
    if (!redacted)
        tg_jw_kstr(c->w, TG_STR("thinking"), p->text);
    tg_jw_kstr(c->w, redacted ? TG_STR("data") : TG_STR("signature"), p->signature);
    tg_jw_end_obj(c->w);
}

static bool is_signed(const struct tg_part *p)
{
    return p->signature.n && (p->opaque == TG_OPAQUE_SIGNED || p->opaque == TG_OPAQUE_REDACTED);
}

/* Whether a part becomes a block. */
static bool is_written(const struct ctx *c, const struct tg_part *p)
{
    if (p->kind == TG_PART_REASONING)
        return is_signed(p);
    if (c->plan->own && p->raw.n)
        return true;
    return (p->kind != TG_PART_TEXT && p->kind != TG_PART_REFUSAL) || p->text.n || c->plan->own;
}

static int write_result(const struct ctx *c, const struct tg_part *p);

static int write_part(const struct ctx *c, const struct tg_part *p)
{
    if (c->plan->own && p->raw.n && !(p->kind == TG_PART_TOOL_CALL && p->signature.n)) {
        tg_jw_raw(c->w, p->raw);
        return 0;
    }
    switch (p->kind) {
    case TG_PART_TEXT:
    case TG_PART_REFUSAL:
        write_text(c, p->text, p->cache_hint);
        return 0;
    case TG_PART_IMAGE:
        return write_image(c, p);
    case TG_PART_DOCUMENT:
        return write_document(c, p);
    case TG_PART_TOOL_CALL:
        write_call(c, p);
        return 0;
    case TG_PART_TOOL_RESULT:
        return write_result(c, p);
    case TG_PART_REASONING:
        write_thinking(c, p);
        return 0;
    case TG_PART_AUDIO:
        return cannot(c, "audio");
    case TG_PART_RAW:
        break;
    }
    return cannot(c, "a part of an unknown kind");
}

/* One text is a string; a result in a result (which no dialect makes) has no form. */
static int result_content(const struct ctx *c, const struct tg_part *p)
{
    const struct tg_part *only = p->n_parts == 1 ? &p->parts[0] : NULL;
    int rc = 0;
    if (!p->n_parts)
        return 0;
    tg_jw_key(c->w, TG_STR("content"));
    if (only && only->kind == TG_PART_TEXT && !only->cache_hint.n && !only->raw.n) {
        tg_jw_str(c->w, only->text);
        return 0;
    }
    tg_jw_arr(c->w);
    for (size_t i = 0; i < p->n_parts && !rc; i++) {
        if (p->parts[i].kind == TG_PART_TOOL_RESULT)
            rc = cannot(c, "a tool's result inside another");
        else if (is_written(c, &p->parts[i]))
            rc = write_part(c, &p->parts[i]);
    }
    tg_jw_end_arr(c->w);
    return rc;
}

static int write_result(const struct ctx *c, const struct tg_part *p)
{
    type_member(c->w, TG_STR("tool_result"));
    tg_jw_key(c->w, TG_STR("tool_use_id"));
    write_id(c->w, p);
    int rc = result_content(c, p);
    if (p->is_error)
        tg_jw_kbool(c->w, TG_STR("is_error"), true);
    end_block(c, p->cache_hint);
    return rc;
}

/* ---- the conversation as it came ---- */

static bool is_string(const struct tg_message *m)
{
    return m->n_parts == 1 && m->parts[0].kind == TG_PART_TEXT && !m->parts[0].raw.n &&
           !m->parts[0].cache_hint.n;
}

static int write_content(const struct ctx *c, const struct tg_message *m)
{
    int rc = 0;
    if (is_string(m)) {
        tg_jw_str(c->w, m->parts[0].text);
        return 0;
    }
    tg_jw_arr(c->w);
    for (size_t i = 0; i < m->n_parts && !rc; i++) {
        if (is_written(c, &m->parts[i]))
            rc = write_part(c, &m->parts[i]);
    }
    tg_jw_end_arr(c->w);
    return rc;
}

static int write_own(struct ctx *c, const struct tg_chat_req *req)
{
    size_t first = req->n_messages && req->messages[0].role == TG_ROLE_SYSTEM;
    int rc = 0;
    if (first) {
        tg_jw_key(c->w, TG_STR("system"));
        rc = write_content(c, &req->messages[0]);
    }
    tg_jw_key(c->w, TG_STR("messages"));
    tg_jw_arr(c->w);
    for (size_t i = first; i < req->n_messages && !rc; i++) {
        const struct tg_message *m = &req->messages[i];
        c->message = i - first;
        tg_jw_obj(c->w);
        tg_jw_kstr(c->w, TG_STR("role"), tg_str_c(tg_role_name(m->role)));
        tg_jw_key(c->w, TG_STR("content"));
        rc = write_content(c, m);
        if (m->extra.members.n) {
            tg_buf_char(c->w->b, ',');
            tg_buf_str_add(c->w->b, m->extra.members);
        }
        tg_jw_end_obj(c->w);
    }
    tg_jw_end_arr(c->w);
    return rc;
}

/* ---- a conversation of another format ---- */

static bool is_system(const struct tg_message *m)
{
    return m->role == TG_ROLE_SYSTEM || m->role == TG_ROLE_DEVELOPER;
}

/* The messages at the front that become `system`: one must be left to be answered. */
static size_t count_system(const struct tg_chat_req *req)
{
    size_t n = 0;
    while (n + 1 < req->n_messages && is_system(&req->messages[n]))
        n++;
    return n;
}

static int write_system(struct ctx *c, const struct tg_chat_req *req, size_t n)
{
    const struct tg_part *only = NULL;
    size_t texts = 0;
    for (size_t i = 0; i < n; i++) {
        c->message = i;
        for (size_t k = 0; k < req->messages[i].n_parts; k++) {
            const struct tg_part *p = &req->messages[i].parts[k];
            if (p->kind != TG_PART_TEXT)
                return cannot(c, "more than text in a system message");
            texts += p->text.n > 0;
            only = p->text.n ? p : only;
        }
    }
    if (!texts)
        return 0;
    tg_jw_key(c->w, TG_STR("system"));
    if (texts == 1 && !only->cache_hint.n) {
        tg_jw_str(c->w, only->text);
        return 0;
    }
    tg_jw_arr(c->w);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++) {
            const struct tg_part *p = &req->messages[i].parts[k];
            if (p->text.n)
                write_text(c, p->text, p->cache_hint);
        }
    }
    tg_jw_end_arr(c->w);
    return 0;
}

/* Those parts of messages [from, to) that are results, or those that are not. */
static int write_run(struct ctx *c, const struct tg_chat_req *req, size_t from, size_t to,
                     bool results, bool *io_open, bool assistant)
{
    for (size_t i = from; i < to; i++) {
        const struct tg_message *m = &req->messages[i];
        c->message = i;
        for (size_t k = 0; k < m->n_parts; k++) {
            const struct tg_part *p = &m->parts[k];
            if ((p->kind == TG_PART_TOOL_RESULT) != results || !is_written(c, p))
                continue;
            if (!*io_open) {
                tg_jw_obj(c->w);
                tg_jw_kstr(c->w, TG_STR("role"), assistant ? TG_STR("assistant") : TG_STR("user"));
                tg_jw_key(c->w, TG_STR("content"));
                tg_jw_arr(c->w);
                *io_open = true;
            }
            int rc = write_part(c, p);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* A user's one text stays a string. */
static bool single_text(const struct ctx *c, const struct tg_chat_req *req, size_t from, size_t to)
{
    return to == from + 1 && is_string(&req->messages[from]) && req->messages[from].parts[0].text.n;
}

static int write_turn(struct ctx *c, const struct tg_chat_req *req, size_t from, size_t to)
{
    bool assistant = req->messages[from].role == TG_ROLE_ASSISTANT, open = false;
    if (single_text(c, req, from, to)) {
        tg_jw_obj(c->w);
        tg_jw_kstr(c->w, TG_STR("role"), assistant ? TG_STR("assistant") : TG_STR("user"));
        tg_jw_kstr(c->w, TG_STR("content"), req->messages[from].parts[0].text);
        tg_jw_end_obj(c->w);
        return 0;
    }
    int rc = write_run(c, req, from, to, true, &open, assistant);
    if (!rc)
        rc = write_run(c, req, from, to, false, &open, assistant);
    if (!rc && open) {
        tg_jw_end_arr(c->w);
        tg_jw_end_obj(c->w);
    }
    return rc;
}

static int write_foreign(struct ctx *c, const struct tg_chat_req *req)
{
    size_t i = count_system(req);
    int rc = write_system(c, req, i);
    tg_jw_key(c->w, TG_STR("messages"));
    tg_jw_arr(c->w);
    while (i < req->n_messages && !rc) {
        bool assistant = req->messages[i].role == TG_ROLE_ASSISTANT;
        size_t to = i;
        while (to < req->n_messages && (req->messages[to].role == TG_ROLE_ASSISTANT) == assistant) {
            if (is_system(&req->messages[to]))
                c->plan->emulated |=
                    req->messages[to].role == TG_ROLE_SYSTEM ? BIT(SYSTEM) : BIT(DEVELOPER);
            to++;
        }
        rc = write_turn(c, req, i, to);
        i = to;
    }
    if (req->is_completion && !rc) {
        tg_jw_obj(c->w);
        tg_jw_kstr(c->w, TG_STR("role"), TG_STR("user"));
        tg_jw_kstr(c->w, TG_STR("content"), req->prompt);
        tg_jw_end_obj(c->w);
    }
    tg_jw_end_arr(c->w);
    return rc;
}

int tg_anthropic_write_messages(struct tg_jw *w, const struct tg_chat_req *req,
                                struct tg_anthropic_plan *plan, struct tg_fail *fail)
{
    struct ctx c = {.w = w, .plan = plan, .fail = fail};
    return plan->own ? write_own(&c, req) : write_foreign(&c, req);
}
