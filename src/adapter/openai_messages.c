/* Canonical messages → OpenAI's. What came from this format goes back as it came (raw parts, extra
 * members); the rest is written anew. */
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"
#include "base/map.h"
#include "chat/call_id.h"

struct ctx {
    const struct tg_openai_enc *e;
    struct tg_jw *w;
    bool own; /* raw texts are of this format */
    size_t message;
    struct tg_fail *fail;
};

static int cannot(const struct ctx *c, const char *what)
{
    return tg_adapter_cannot(c->fail, c->message, what);
}

static void type_member(struct tg_jw *w, struct tg_str type)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), type);
}

/* `"cache_control":…`, where the provider takes hints. */
static void hint(const struct ctx *c, const struct tg_part *p)
{
    if (p->cache_hint.n && tg_openai_fate(c->e, TG_FEATURE_CACHE_HINT) == TG_NATIVE)
        tg_jw_kraw(c->w, TG_STR("cache_control"), p->cache_hint);
}

static int write_image(const struct ctx *c, const struct tg_part *p)
{
    const struct tg_media *m = &p->media;
    struct tg_jw *w = c->w;
    if (m->source == TG_MEDIA_FILE_ID)
        return cannot(c, "an image by file id");
    type_member(w, TG_STR("image_url"));
    tg_jw_key(w, TG_STR("image_url"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("url"));
    if (m->source == TG_MEDIA_URL)
        tg_jw_str(w, m->data);
    else
        tg_adapter_write_data_url(w, m, TG_STR("image/png"));
    if (m->detail.n && tg_openai_takes(c->e, TG_FEATURE_IMAGE_DETAIL))
        tg_jw_kstr(w, TG_STR("detail"), m->detail);
    tg_jw_end_obj(w);
    hint(c, p);
    tg_jw_end_obj(w);
    return 0;
}

static int write_audio(const struct ctx *c, const struct tg_media *m)
{
    struct tg_jw *w = c->w;
    if (m->source != TG_MEDIA_INLINE)
        return cannot(c, "audio that is not inline");
    struct tg_str format = m->detail;
    if (!format.n)
        format = tg_str_eq(m->mime, TG_STR("audio/mpeg")) ? TG_STR("mp3") : TG_STR("wav");
    type_member(w, TG_STR("input_audio"));
    tg_jw_key(w, TG_STR("input_audio"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("data"), m->data);
    tg_jw_kstr(w, TG_STR("format"), format);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return 0;
}

static int write_document(const struct ctx *c, const struct tg_part *p)
{
    const struct tg_media *m = &p->media;
    struct tg_jw *w = c->w;
    bool by_url = tg_openai_fate(c->e, TG_FEATURE_DOCUMENT_URL) == TG_NATIVE;
    if (m->source == TG_MEDIA_URL && !by_url)
        return cannot(c, "a document by URL");
    type_member(w, TG_STR("file"));
    tg_jw_key(w, TG_STR("file"));
    tg_jw_obj(w);
    if (m->source == TG_MEDIA_FILE_ID) {
        tg_jw_kstr(w, TG_STR("file_id"), m->data);
    } else {
        tg_jw_kstr(w, TG_STR("filename"), m->detail.n ? m->detail : TG_STR("document"));
        tg_jw_key(w, TG_STR("file_data"));
        if (m->source == TG_MEDIA_URL)
            tg_jw_str(w, m->data);
        else
            tg_adapter_write_data_url(w, m, TG_STR("application/pdf"));
    }
    tg_jw_end_obj(w);
    hint(c, p);
    tg_jw_end_obj(w);
    return 0;
}

static int write_part(const struct ctx *c, const struct tg_part *p)
{
    struct tg_jw *w = c->w;
    if (c->own && p->raw.n) {
        tg_jw_raw(w, p->raw);
        return 0;
    }
    switch (p->kind) {
    case TG_PART_TEXT:
        type_member(w, TG_STR("text"));
        tg_jw_kstr(w, TG_STR("text"), p->text);
        hint(c, p);
        tg_jw_end_obj(w);
        return 0;
    case TG_PART_REFUSAL:
        type_member(w, TG_STR("refusal"));
        tg_jw_kstr(w, TG_STR("refusal"), p->text);
        tg_jw_end_obj(w);
        return 0;
    case TG_PART_IMAGE:
        return write_image(c, p);
    case TG_PART_AUDIO:
        return write_audio(c, &p->media);
    case TG_PART_DOCUMENT:
        return write_document(c, p);
    case TG_PART_REASONING:
    case TG_PART_TOOL_CALL:
    case TG_PART_TOOL_RESULT:
    case TG_PART_RAW:
        break;
    }
    return cannot(c, "a part of an unknown kind");
}

/* Parts that are the content; the others are members beside it. */
static bool is_content(const struct ctx *c, const struct tg_part *p)
{
    bool raw = c->own && p->raw.n;
    switch (p->kind) {
    case TG_PART_TOOL_CALL:
    case TG_PART_TOOL_RESULT:
        return false;
    case TG_PART_REASONING: /* as a content part only where it came as one */
    case TG_PART_REFUSAL:
        return raw;
    case TG_PART_TEXT:
    case TG_PART_IMAGE:
    case TG_PART_DOCUMENT:
    case TG_PART_AUDIO:
    case TG_PART_RAW:
        break;
    }
    return true;
}

/* Several plain texts are one string where the dialect has only texts: every server takes a string,
 * not all take parts. */
static bool plain_texts(const struct ctx *c, const struct tg_part *parts, size_t n, size_t *out_n)
{
    *out_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_content(c, &parts[i]))
            continue;
        if (parts[i].kind != TG_PART_TEXT || (c->own && parts[i].raw.n))
            return false;
        if (parts[i].cache_hint.n && tg_openai_fate(c->e, TG_FEATURE_CACHE_HINT) == TG_NATIVE)
            return false;
        ++*out_n;
    }
    return true;
}

/* Without any content it is null where something stands beside it, else an empty text: a server
 * that wants a text refuses null. */
static int write_content(const struct ctx *c, enum tg_role role, const struct tg_part *parts,
                         size_t n, bool beside)
{
    struct tg_jw *w = c->w;
    size_t texts;
    tg_jw_key(w, TG_STR("content"));
    if (plain_texts(c, parts, n, &texts)) {
        if (!texts && beside) {
            tg_jw_null(w);
            return 0;
        }
        struct tg_str between = TG_STR("");
        tg_jw_str_open(w);
        for (size_t i = 0; i < n; i++) {
            if (!is_content(c, &parts[i]))
                continue;
            tg_jw_str_piece(w, between);
            tg_jw_str_piece(w, parts[i].text);
            between = tg_adapter_between(role);
        }
        tg_jw_str_close(w);
        return 0;
    }
    tg_jw_arr(w);
    for (size_t i = 0; i < n; i++) {
        int rc = is_content(c, &parts[i]) ? write_part(c, &parts[i]) : 0;
        if (rc)
            return rc;
    }
    tg_jw_end_arr(w);
    return 0;
}

/* Mistral takes ids of nine letters and digits only: others become such, the same for a call and
 * its result. */
static void write_id(const struct ctx *c, struct tg_str id)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char nine[9];
    bool fits = id.n == sizeof nine;
    for (size_t i = 0; fits && i < id.n; i++)
        fits = memchr(digits, id.p[i], sizeof digits - 1) != NULL;
    if (fits || !c->e->q || !c->e->q->short_call_ids) {
        tg_jw_str(c->w, id);
        return;
    }
    uint64_t h = tg_hash(id);
    for (size_t i = 0; i < sizeof nine; i++, h /= sizeof digits - 1)
        nine[i] = digits[h % (sizeof digits - 1)];
    tg_jw_str(c->w, tg_str_make(nine, sizeof nine));
}

static void write_call(const struct ctx *c, const struct tg_part *p)
{
    struct tg_jw *w = c->w;
    if (c->own && p->raw.n) {
        tg_jw_raw(w, p->raw);
        return;
    }
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("id"));
    write_id(c, p->call_id);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
    tg_jw_key(w, TG_STR("function"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), p->tool_name);
    tg_jw_kstr(w, TG_STR("arguments"), p->arguments);
    tg_jw_end_obj(w);
    tg_openai_write_thought(c->e, p);
    tg_jw_end_obj(w);
}

/* The old form, which had no id. */
static bool is_legacy_call(const struct ctx *c, const struct tg_part *p)
{
    return c->own && !p->raw.n && tg_str_starts(p->call_id, TG_STR(TG_OPENAI_LEGACY_ID));
}

static void write_calls(const struct ctx *c, const struct tg_message *m)
{
    struct tg_jw *w = c->w;
    bool open = false;
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_TOOL_CALL || is_legacy_call(c, p))
            continue;
        if (!open) {
            tg_jw_key(w, TG_STR("tool_calls"));
            tg_jw_arr(w);
            open = true;
        }
        write_call(c, p);
    }
    if (open)
        tg_jw_end_arr(w);
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_TOOL_CALL || !is_legacy_call(c, p))
            continue;
        tg_jw_key(w, TG_STR("function_call"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("name"), p->tool_name);
        tg_jw_kstr(w, TG_STR("arguments"), p->arguments);
        tg_jw_end_obj(w);
        return;
    }
}

/* Refusals that stand beside the content. */
static void write_refusal(const struct ctx *c, const struct tg_message *m)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_REFUSAL || is_content(c, p))
            continue;
        tg_jw_kstr(c->w, TG_STR("refusal"), p->text);
        return;
    }
}

static void open_message(const struct ctx *c, struct tg_str role, struct tg_str name)
{
    tg_jw_obj(c->w);
    tg_jw_kstr(c->w, TG_STR("role"), role);
    if (name.n && tg_openai_takes(c->e, TG_FEATURE_NAME))
        tg_jw_kstr(c->w, TG_STR("name"), name);
}

/* ---- pictures and documents that tools give ----
 *
 * A tool's message takes text only: the rest goes into a message of the user's behind the last
 * result of the turn, since nothing may stand between a turn's results. */

static bool is_media(const struct tg_part *p)
{
    return p->kind == TG_PART_IMAGE || p->kind == TG_PART_DOCUMENT;
}

/* How many of a result's parts are moved; < 0: it holds what can't be. */
static int count_moved(const struct ctx *c, const struct tg_part *result)
{
    int n = 0;
    if (c->own || tg_openai_fate(c->e, TG_FEATURE_RESULT_MEDIA) == TG_NATIVE)
        return 0;
    for (size_t i = 0; i < result->n_parts; i++) {
        const struct tg_part *p = &result->parts[i];
        if (p->kind != TG_PART_TEXT && !is_media(p))
            return cannot(c, "a tool's result that is not text");
        n += is_media(p);
    }
    return n;
}

static void write_rest_of_result(const struct ctx *c, const struct tg_part *result, int moved)
{
    bool any = false;
    tg_jw_key(c->w, TG_STR("content"));
    tg_jw_str_open(c->w);
    for (size_t i = 0; i < result->n_parts; i++) {
        if (is_media(&result->parts[i]))
            continue;
        any = any || result->parts[i].text.n;
        tg_jw_str_piece(c->w, result->parts[i].text);
    }
    if (!any && moved)
        tg_jw_str_piece(c->w, TG_STR("The result is in the user's message below."));
    tg_jw_str_close(c->w);
}

static int write_moved(const struct ctx *c, const struct tg_part *result)
{
    tg_jw_obj(c->w);
    tg_jw_kstr(c->w, TG_STR("type"), TG_STR("text"));
    tg_jw_key(c->w, TG_STR("text"));
    tg_jw_str_open(c->w);
    tg_jw_str_piece(c->w, TG_STR("Result of the tool call "));
    tg_jw_str_piece(c->w, result->call_id);
    tg_jw_str_piece(c->w, TG_STR(":"));
    tg_jw_str_close(c->w);
    tg_jw_end_obj(c->w);
    for (size_t i = 0; i < result->n_parts; i++) {
        int rc = is_media(&result->parts[i]) ? write_part(c, &result->parts[i]) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static size_t count_results(const struct tg_message *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_parts; i++)
        n += m->parts[i].kind == TG_PART_TOOL_RESULT;
    return n;
}

/* Of message `at`: opens the user's message when `open` says that it is not, yet. */
static int move_media(const struct ctx *c, size_t at, bool *open)
{
    const struct tg_message *m = &c->e->req->messages[at];
    for (size_t i = 0; i < m->n_parts; i++) {
        const struct tg_part *p = &m->parts[i];
        if (p->kind != TG_PART_TOOL_RESULT || count_moved(c, p) <= 0)
            continue;
        if (!*open) {
            open_message(c, TG_STR("user"), TG_STR(""));
            tg_jw_key(c->w, TG_STR("content"));
            tg_jw_arr(c->w);
            *open = true;
        }
        int rc = write_moved(c, p);
        if (rc)
            return rc;
    }
    return 0;
}

/* Behind the results of this message, when none follow. */
static int write_media_of_results(const struct ctx *c)
{
    const struct tg_message *all = c->e->req->messages;
    size_t at = c->message, first = at;
    bool open = false;
    bool ends = count_results(&all[at]) < all[at].n_parts || at + 1 == c->e->req->n_messages ||
                count_results(&all[at + 1]) == 0;
    while (ends && first > 0 && all[first - 1].n_parts &&
           count_results(&all[first - 1]) == all[first - 1].n_parts)
        first--;
    for (; ends && first <= at; first++) {
        int rc = move_media(c, first, &open);
        if (rc)
            return rc;
    }
    if (open) {
        tg_jw_end_arr(c->w);
        tg_jw_end_obj(c->w);
    }
    return 0;
}

/* ---- messages ---- */

static int write_result(const struct ctx *c, const struct tg_message *m, const struct tg_part *p)
{
    bool legacy = c->own && tg_str_starts(p->call_id, TG_STR(TG_OPENAI_LEGACY_ID));
    int rc = 0, moved = count_moved(c, p);
    if (moved < 0)
        return moved;
    open_message(c, legacy ? TG_STR("function") : TG_STR("tool"), legacy ? p->tool_name : m->name);
    if (!legacy) {
        tg_jw_key(c->w, TG_STR("tool_call_id"));
        write_id(c, p->call_id);
    }
    if (moved)
        write_rest_of_result(c, p, moved);
    else
        rc = write_content(c, TG_ROLE_TOOL, p->parts, p->n_parts, c->own);
    if (c->own)
        tg_jw_members(c->w, m->extra.members);
    tg_jw_end_obj(c->w);
    return rc;
}

/* Dialects that put tool results among a user's parts: each becomes a message of its own, before
 * what else the user says, as this format wants it. */
static int write_results(const struct ctx *c, const struct tg_message *m, size_t *out_n)
{
    *out_n = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind != TG_PART_TOOL_RESULT)
            continue;
        ++*out_n;
        int rc = write_result(c, m, &m->parts[i]);
        if (rc)
            return rc;
    }
    return 0;
}

static bool has_call_or_refusal(const struct tg_message *m)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind == TG_PART_TOOL_CALL || m->parts[i].kind == TG_PART_REFUSAL)
            return m->role == TG_ROLE_ASSISTANT;
    }
    return false;
}

static int write_message(const struct ctx *c, const struct tg_message *m)
{
    size_t results;
    int rc = write_results(c, m, &results);
    if (!rc && results)
        rc = write_media_of_results(c);
    if (rc || (results && results == m->n_parts))
        return rc;
    bool as_system =
        m->role == TG_ROLE_DEVELOPER && tg_openai_fate(c->e, TG_FEATURE_DEVELOPER) == TG_EMULATED;
    open_message(c, as_system ? TG_STR("system") : tg_str_c(tg_role_name(m->role)), m->name);
    rc = write_content(c, m->role, m->parts, m->n_parts, c->own || has_call_or_refusal(m));
    if (m->role == TG_ROLE_ASSISTANT) {
        tg_openai_write_reasoning(c->e, m);
        write_refusal(c, m);
        write_calls(c, m);
    }
    if (c->own)
        tg_jw_members(c->w, m->extra.members);
    tg_jw_end_obj(c->w);
    return rc;
}

/* Where the provider knows JSON but no schema, the model is told of it. */
static void write_schema_message(const struct ctx *c)
{
    const struct tg_output_format *f = &c->e->req->format;
    if (f->kind != TG_FORMAT_SCHEMA || !f->schema.n ||
        tg_openai_fate(c->e, TG_FEATURE_JSON_SCHEMA) != TG_EMULATED)
        return;
    open_message(c, TG_STR("system"), TG_STR(""));
    tg_jw_key(c->w, TG_STR("content"));
    tg_jw_str_open(c->w);
    tg_jw_str_piece(c->w, TG_STR("Answer with one JSON object, and nothing else, that is valid "
                                 "under this JSON schema:\n"));
    tg_jw_str_piece(c->w, f->schema);
    tg_jw_str_close(c->w);
    tg_jw_end_obj(c->w);
}

int tg_openai_encode_messages(const struct tg_openai_enc *e)
{
    struct ctx c = {.e = e, .w = e->w, .own = e->own, .fail = e->fail};
    tg_jw_arr(e->w);
    write_schema_message(&c);
    for (size_t i = 0; i < e->req->n_messages; i++) {
        c.message = i;
        int rc = write_message(&c, &e->req->messages[i]);
        if (rc)
            return rc;
    }
    tg_jw_end_arr(e->w);
    return 0;
}
