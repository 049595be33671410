/* Canonical messages → Converse's `system` and `messages`: system and developer texts at the front,
 * later ones as a user's; neighbours of one role become one message; a tool's results come first in
 * theirs. */
#include "adapter/bedrock_priv.h"
#include "adapter/encode_priv.h"
#include "base/err.h"

static void open_block(struct tg_jw *w, struct tg_str kind)
{
    tg_jw_obj(w);
    tg_jw_key(w, kind);
}

static void write_text(struct tg_jw *w, struct tg_str text)
{
    open_block(w, TG_STR("text"));
    tg_jw_str(w, text);
    tg_jw_end_obj(w);
}

static void write_cache_point(struct tg_jw *w, const struct tg_part *p)
{
    if (p->cache_hint.n)
        tg_jw_raw(w, TG_STR("{\"cachePoint\":{\"type\":\"default\"}}"));
}

/* The format's name by the mime type: "png", "pdf", "txt". */
static struct tg_str format_of(struct tg_str mime, struct tg_str fallback)
{
    static const struct {
        struct tg_str mime, format;
    } known[] = {
        {TG_STR_INIT("text/plain"), TG_STR_INIT("txt")},
        {TG_STR_INIT("text/markdown"), TG_STR_INIT("md")},
        {TG_STR_INIT("application/msword"), TG_STR_INIT("doc")},
        {TG_STR_INIT("application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
         TG_STR_INIT("docx")},
        {TG_STR_INIT("application/vnd.ms-excel"), TG_STR_INIT("xls")},
        {TG_STR_INIT("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
         TG_STR_INIT("xlsx")},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(mime, known[i].mime))
            return known[i].format;
    }
    ptrdiff_t slash = tg_str_chr(mime, '/');
    if (slash < 0)
        return fallback;
    struct tg_str sub = tg_str_from(mime, (size_t)slash + 1);
    return tg_str_eq(sub, TG_STR("jpg")) ? TG_STR("jpeg") : sub;
}

static void write_source(struct tg_jw *w, struct tg_str base64)
{
    tg_jw_key(w, TG_STR("source"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("bytes"), base64);
    tg_jw_end_obj(w);
}

/* Letters, digits, blanks, hyphens and brackets, says the API of a document's name. */
static void write_name(struct tg_jw *w, struct tg_str name)
{
    tg_jw_key(w, TG_STR("name"));
    tg_jw_str_open(w);
    if (!name.n)
        tg_jw_str_piece(w, TG_STR("document"));
    for (size_t i = 0; i < name.n && i < 200; i++) {
        char c = name.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == ' ' || c == '-' || c == '(' || c == ')' || c == '[' || c == ']';
        tg_jw_str_piece(w, fine ? tg_str_make(&name.p[i], 1) : TG_STR("-"));
    }
    tg_jw_str_close(w);
}

static int write_media(struct tg_jw *w, const struct tg_part *p, size_t message, struct tg_fail *f)
{
    bool image = p->kind == TG_PART_IMAGE;
    if (p->media.source != TG_MEDIA_INLINE)
        return tg_adapter_cannot(f, message, "a picture or document that is not inline");
    open_block(w, image ? TG_STR("image") : TG_STR("document"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("format"),
               format_of(p->media.mime, image ? TG_STR("png") : TG_STR("pdf")));
    if (!image)
        write_name(w, p->media.detail);
    write_source(w, p->media.data);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return 0;
}

static void write_call(struct tg_jw *w, const struct tg_part *p)
{
    open_block(w, TG_STR("toolUse"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("toolUseId"), p->call_id);
    tg_jw_kstr(w, TG_STR("name"), p->tool_name);
    tg_jw_key(w, TG_STR("input"));
    tg_anthropic_write_input(w, p->arguments);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static int write_result(struct tg_jw *w, const struct tg_part *p, size_t message, struct tg_fail *f)
{
    int rc = 0;
    open_block(w, TG_STR("toolResult"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("toolUseId"), p->call_id);
    tg_jw_key(w, TG_STR("content"));
    tg_jw_arr(w);
    for (size_t i = 0; i < p->n_parts && !rc; i++) {
        const struct tg_part *inner = &p->parts[i];
        if (inner->kind == TG_PART_TEXT && !inner->text.n)
            continue; /* an empty block is refused, an empty list is not */
        if (inner->kind == TG_PART_TEXT)
            write_text(w, inner->text);
        else if (inner->kind == TG_PART_IMAGE || inner->kind == TG_PART_DOCUMENT)
            rc = write_media(w, inner, message, f);
        else
            rc = tg_adapter_cannot(f, message, "a tool's result of an unknown kind");
    }
    tg_jw_end_arr(w);
    if (p->is_error)
        tg_jw_kstr(w, TG_STR("status"), TG_STR("error"));
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return rc;
}

/* Signed thinking goes back as it came; any other would be refused. */
static void write_thinking(struct tg_jw *w, const struct tg_part *p)
{
    open_block(w, TG_STR("reasoningContent"));
    tg_jw_obj(w);
    if (p->opaque == TG_OPAQUE_REDACTED) {
        tg_jw_kstr(w, TG_STR("redactedContent"), p->signature);
    } else {
        tg_jw_key(w, TG_STR("reasoningText"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("text"), p->text);
        tg_jw_kstr(w, TG_STR("signature"), p->signature);
        tg_jw_end_obj(w);
    }
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static bool is_written(const struct tg_part *p)
{
    if (p->kind == TG_PART_REASONING)
        return p->opaque == TG_OPAQUE_SIGNED || p->opaque == TG_OPAQUE_REDACTED;
    return (p->kind != TG_PART_TEXT && p->kind != TG_PART_REFUSAL) || p->text.n;
}

static int write_part(struct tg_jw *w, const struct tg_part *p, size_t message, struct tg_fail *f)
{
    int rc = 0;
    switch (p->kind) {
    case TG_PART_TEXT:
    case TG_PART_REFUSAL:
        write_text(w, p->text);
        break;
    case TG_PART_IMAGE:
    case TG_PART_DOCUMENT:
        rc = write_media(w, p, message, f);
        break;
    case TG_PART_TOOL_CALL:
        write_call(w, p);
        break;
    case TG_PART_TOOL_RESULT:
        rc = write_result(w, p, message, f);
        break;
    case TG_PART_REASONING:
        write_thinking(w, p);
        break;
    case TG_PART_AUDIO:
    case TG_PART_RAW:
        return tg_adapter_cannot(f, message, "a part that the API has no form for");
    }
    write_cache_point(w, p);
    return rc;
}

static bool is_system(const struct tg_message *m)
{
    return m->role == TG_ROLE_SYSTEM || m->role == TG_ROLE_DEVELOPER;
}

static bool is_assistant(const struct tg_message *m)
{
    return m->role == TG_ROLE_ASSISTANT;
}

static bool has_content(const struct tg_message *m)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        if (is_written(&m->parts[i]))
            return true;
    }
    return false;
}

/* Whether the message belongs to a run: a silent one between two of a role does not part them. */
static bool goes_on(const struct tg_message *m, bool assistant)
{
    return is_assistant(m) == assistant || !has_content(m);
}

/* The parts of neighbours of one role, results first or all others. */
static int write_run(struct tg_jw *w, const struct tg_chat_req *req, size_t from, size_t to,
                     bool results, struct tg_fail *f)
{
    int rc = 0;
    for (size_t i = from; i < to; i++) {
        const struct tg_message *m = &req->messages[i];
        for (size_t k = 0; k < m->n_parts && !rc; k++) {
            if ((m->parts[k].kind == TG_PART_TOOL_RESULT) == results && is_written(&m->parts[k]))
                rc = write_part(w, &m->parts[k], i, f);
        }
    }
    return rc;
}

bool tg_bedrock_system_only(const struct tg_chat_req *req)
{
    bool any = false;
    for (size_t i = 0; i < req->n_messages; i++) {
        bool says = has_content(&req->messages[i]);
        if (says && !is_system(&req->messages[i]))
            return false;
        any = any || says;
    }
    return any;
}

/* Somebody must speak: instructions alone are the user's. */
static size_t front(const struct tg_chat_req *req)
{
    size_t n = 0;
    if (tg_bedrock_system_only(req))
        return 0;
    while (n < req->n_messages && is_system(&req->messages[n]))
        n++;
    return n;
}

static int write_system(struct tg_jw *w, const struct tg_chat_req *req, size_t n, struct tg_fail *f)
{
    bool any = false;
    for (size_t i = 0; i < n; i++)
        any = any || has_content(&req->messages[i]);
    if (!any)
        return 0;
    tg_jw_key(w, TG_STR("system"));
    tg_jw_arr(w);
    int rc = write_run(w, req, 0, n, false, f);
    tg_jw_end_arr(w);
    return rc;
}

/* A raw prompt is the user's message. */
static void write_prompt(struct tg_jw *w, struct tg_str prompt)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("role"), TG_STR("user"));
    tg_jw_key(w, TG_STR("content"));
    tg_jw_arr(w);
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("text"), prompt);
    tg_jw_end_obj(w);
    tg_jw_end_arr(w);
    tg_jw_end_obj(w);
}

int tg_bedrock_write_messages(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    size_t i = front(req);
    int rc = write_system(w, req, i, fail);
    tg_jw_key(w, TG_STR("messages"));
    tg_jw_arr(w);
    while (i < req->n_messages && !rc) {
        if (!has_content(&req->messages[i])) {
            i++;
            continue;
        }
        size_t from = i;
        bool assistant = is_assistant(&req->messages[i]);
        while (i < req->n_messages && goes_on(&req->messages[i], assistant))
            i++;
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("role"), assistant ? TG_STR("assistant") : TG_STR("user"));
        tg_jw_key(w, TG_STR("content"));
        tg_jw_arr(w);
        rc = write_run(w, req, from, i, true, fail);
        rc = rc ? rc : write_run(w, req, from, i, false, fail);
        tg_jw_end_arr(w);
        tg_jw_end_obj(w);
    }
    if (req->is_completion && !rc)
        write_prompt(w, req->prompt);
    tg_jw_end_arr(w);
    return rc;
}
