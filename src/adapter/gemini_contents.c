/* Canonical messages → systemInstruction and contents. What came from this format goes back as it
 * came. Consecutive messages of one side are one content: Gemini wants the results of parallel
 * calls together.
 *
 * Gemini 3 refuses a model's turn whose first functionCall has no thoughtSignature. Where it did
 * not come from Gemini there is none, and Google documents a placeholder for that
 * (ai.google.dev/gemini-api/docs/thought-signatures, FAQ): it is set then, and said so. */
#include <stdlib.h>

#include "adapter/encode_priv.h"
#include "adapter/gemini_priv.h"
#include "base/err.h"
#include "base/map.h"

static const struct tg_str placeholder = TG_STR_INIT("skip_thought_signature_validator");

/* The name of each call, by its id. */
struct call_name {
    uint64_t hash;
    struct tg_str id, name;
};
struct names {
    struct call_name *list;
    size_t n;
};

struct out {
    struct tg_gemini_enc *e;
    struct names names;
    size_t message;
    struct tg_str role; /* of the content that is open, "" if none */
    bool open, any;     /* a content is open; one was written */
    bool call_written;  /* a call in the content that is open */
    bool after_content; /* a message other than system ones was seen */
};

static TG_COLD int cannot(const struct out *o, const char *what)
{
    return tg_adapter_cannot(o->e->fail, o->message, what);
}

/* ---- names of calls ---- */

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct call_name *)a)->hash, y = ((const struct call_name *)b)->hash;
    return x < y ? -1 : x > y;
}

static int gather_names(struct out *o)
{
    const struct tg_chat_req *req = o->e->req;
    size_t n = 0;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < req->n_messages; i++) {
            for (size_t k = 0; k < req->messages[i].n_parts; k++) {
                const struct tg_part *p = &req->messages[i].parts[k];
                if (p->kind != TG_PART_TOOL_CALL)
                    continue;
                if (round)
                    o->names.list[o->names.n++] =
                        (struct call_name){tg_hash(p->call_id), p->call_id, p->tool_name};
                n++;
            }
        }
        if (!round) {
            o->names.list = tg_arena_array(o->e->a, n + 1, sizeof *o->names.list);
            if (!o->names.list)
                return TG_E_NOMEM;
        }
    }
    if (o->names.n)
        qsort(o->names.list, o->names.n, sizeof *o->names.list, by_hash);
    return 0;
}

static struct tg_str name_of(const struct out *o, const struct tg_part *result)
{
    if (result->tool_name.n)
        return result->tool_name;
    uint64_t hash = tg_hash(result->call_id);
    size_t low = 0, high = o->names.n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (o->names.list[mid].hash < hash)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < o->names.n && o->names.list[low].hash == hash; low++) {
        if (tg_str_eq(o->names.list[low].id, result->call_id))
            return o->names.list[low].name;
    }
    return TG_STR("function"); /* the field is required; no call of this id is known */
}

/* ---- media ---- */

static struct tg_str mime_of(enum tg_part_kind kind, const struct tg_media *m)
{
    static const struct {
        struct tg_str end, mime;
    } ends[] = {
        {TG_STR_INIT(".png"), TG_STR_INIT("image/png")},
        {TG_STR_INIT(".jpg"), TG_STR_INIT("image/jpeg")},
        {TG_STR_INIT(".jpeg"), TG_STR_INIT("image/jpeg")},
        {TG_STR_INIT(".webp"), TG_STR_INIT("image/webp")},
        {TG_STR_INIT(".gif"), TG_STR_INIT("image/gif")},
        {TG_STR_INIT(".heic"), TG_STR_INIT("image/heic")},
        {TG_STR_INIT(".pdf"), TG_STR_INIT("application/pdf")},
        {TG_STR_INIT(".txt"), TG_STR_INIT("text/plain")},
        {TG_STR_INIT(".md"), TG_STR_INIT("text/markdown")},
        {TG_STR_INIT(".html"), TG_STR_INIT("text/html")},
        {TG_STR_INIT(".csv"), TG_STR_INIT("text/csv")},
        {TG_STR_INIT(".wav"), TG_STR_INIT("audio/wav")},
        {TG_STR_INIT(".mp3"), TG_STR_INIT("audio/mpeg")},
    };
    struct tg_str path = m->data;
    if (m->mime.n)
        return m->mime;
    if (kind == TG_PART_AUDIO)
        return tg_str_eq(m->detail, TG_STR("mp3")) ? TG_STR("audio/mpeg") : TG_STR("audio/wav");
    ptrdiff_t query = m->source == TG_MEDIA_URL ? tg_str_chr(path, '?') : -1;
    if (query >= 0)
        path = tg_str_first(path, (size_t)query);
    for (size_t i = 0; i < TG_ARRAY_LEN(ends) && m->source == TG_MEDIA_URL; i++) {
        if (path.n > ends[i].end.n &&
            tg_str_ieq(tg_str_from(path, path.n - ends[i].end.n), ends[i].end))
            return ends[i].mime;
    }
    if (kind == TG_PART_DOCUMENT)
        return TG_STR("application/pdf");
    return m->source == TG_MEDIA_URL ? TG_STR("image/jpeg") : TG_STR("image/png");
}

static int write_media(const struct out *o, const struct tg_part *p)
{
    struct tg_jw *w = &o->e->w;
    const struct tg_media *m = &p->media;
    bool blob = m->source == TG_MEDIA_INLINE;
    if (m->source == TG_MEDIA_FILE_ID && !o->e->own)
        return cannot(o, "a file by its id");
    tg_jw_obj(w);
    tg_jw_key(w, blob ? TG_STR("inlineData") : TG_STR("fileData"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("mimeType"), mime_of(p->kind, m));
    tg_jw_kstr(w, blob ? TG_STR("data") : TG_STR("fileUri"), m->data);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return 0;
}

/* ---- calls and results ---- */

static bool is_object(struct tg_gemini_enc *e, struct tg_str text)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    if (!text.n || text.p[0] != '{')
        return false;
    tg_arena_init(&a, 1024, SIZE_MAX / 4);
    int rc = tg_json_parse(&a, text, NULL, &doc, NULL);
    e->out_of_memory |= rc == TG_E_NOMEM;
    tg_arena_fini(&a);
    return rc == 0;
}

static void write_signature(struct out *o, const struct tg_part *p, bool needed)
{
    struct tg_jw *w = &o->e->w;
    if (p->signature.n && p->opaque == TG_OPAQUE_THOUGHT) {
        tg_jw_kstr(w, TG_STR("thoughtSignature"), p->signature);
    } else if (needed) {
        tg_jw_kstr(w, TG_STR("thoughtSignature"), placeholder);
        o->e->emulated |= TG_FEATURE_BIT(THOUGHT);
    }
}

static void write_call(struct out *o, const struct tg_part *p)
{
    struct tg_jw *w = &o->e->w;
    struct tg_str args = tg_str_trim(p->arguments);
    bool needed = !o->call_written && o->e->model.thinking == TG_GEMINI_LEVEL;
    o->call_written = true;
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("functionCall"));
    tg_jw_obj(w);
    if (p->call_id.n)
        tg_jw_kstr(w, TG_STR("id"), p->call_id);
    tg_jw_kstr(w, TG_STR("name"), p->tool_name);
    tg_jw_key(w, TG_STR("args"));
    if (!args.n || is_object(o->e, args)) {
        tg_jw_raw(w, args.n ? args : TG_STR("{}"));
    } else { /* what a model once wrote is no object: the text goes as one */
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("arguments"), p->arguments);
        tg_jw_end_obj(w);
        o->e->emulated |= TG_FEATURE_BIT(TOOLS);
    }
    tg_jw_end_obj(w);
    write_signature(o, p, needed);
    tg_jw_end_obj(w);
}

/* Texts of a result as one; in the arena where there are several. */
static int result_text(const struct out *o, const struct tg_part *p, struct tg_str *out)
{
    struct tg_buf b;
    size_t texts = 0;
    *out = TG_STR("");
    tg_buf_init(&b, SIZE_MAX / 4);
    for (size_t i = 0; i < p->n_parts; i++) {
        if (p->parts[i].kind != TG_PART_TEXT)
            continue;
        *out = p->parts[i].text;
        tg_buf_str_add(&b, p->parts[i].text);
        texts++;
    }
    if (texts > 1)
        *out = tg_buf_ok(&b) ? tg_arena_dup(o->e->a, tg_buf_str(&b)) : (struct tg_str){NULL, 0};
    tg_buf_fini(&b);
    return out->p || !out->n ? 0 : TG_E_NOMEM;
}

static void write_response(const struct out *o, const struct tg_part *p, struct tg_str text)
{
    struct tg_jw *w = &o->e->w;
    bool object = is_object(o->e, tg_str_trim(text));
    tg_jw_key(w, TG_STR("response"));
    if (object && !p->is_error) {
        tg_jw_raw(w, tg_str_trim(text));
        return;
    }
    tg_jw_obj(w);
    tg_jw_key(w, p->is_error ? TG_STR("error") : TG_STR("result"));
    if (object)
        tg_jw_raw(w, tg_str_trim(text));
    else
        tg_jw_str(w, text);
    tg_jw_end_obj(w);
}

static bool is_media(const struct tg_part *p)
{
    return p->kind == TG_PART_IMAGE || p->kind == TG_PART_DOCUMENT || p->kind == TG_PART_AUDIO;
}

static int write_result_media(const struct out *o, const struct tg_part *p)
{
    int rc = 0;
    for (size_t i = 0; i < p->n_parts && !rc; i++) {
        if (is_media(&p->parts[i]))
            rc = write_media(o, &p->parts[i]);
    }
    return rc;
}

/* Gemini 3 takes media inside a result; for the others they stand behind it. */
static int write_result(struct out *o, const struct tg_part *p)
{
    struct tg_jw *w = &o->e->w;
    struct tg_str text;
    bool media = false;
    for (size_t i = 0; i < p->n_parts; i++) {
        media |= is_media(&p->parts[i]);
        if (p->parts[i].kind == TG_PART_RAW)
            return cannot(o, "a part of an unknown type");
    }
    bool inside = media && o->e->model.thinking == TG_GEMINI_LEVEL;
    int rc = result_text(o, p, &text);
    if (rc)
        return rc;
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("functionResponse"));
    tg_jw_obj(w);
    if (p->call_id.n)
        tg_jw_kstr(w, TG_STR("id"), p->call_id);
    tg_jw_kstr(w, TG_STR("name"), name_of(o, p));
    write_response(o, p, text);
    if (inside) {
        tg_jw_key(w, TG_STR("parts"));
        tg_jw_arr(w);
        rc = write_result_media(o, p);
        tg_jw_end_arr(w);
    }
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    if (rc || !media || inside)
        return rc;
    o->e->emulated |= TG_FEATURE_BIT(RESULT_MEDIA);
    return write_result_media(o, p);
}

/* ---- parts ---- */

/* Whether a part has anything to say to Gemini. */
static bool is_written(const struct out *o, const struct tg_part *p)
{
    if (o->e->own && p->raw.n)
        return true;
    bool thought = p->opaque == TG_OPAQUE_THOUGHT && p->signature.n;
    if (p->kind == TG_PART_REASONING)
        return thought;
    if (p->kind == TG_PART_TEXT || p->kind == TG_PART_REFUSAL)
        return p->text.n || thought;
    return true;
}

static int write_part(struct out *o, const struct tg_part *p)
{
    struct tg_jw *w = &o->e->w;
    if (o->e->own && p->raw.n) {
        tg_jw_raw(w, p->raw);
        o->call_written |= p->kind == TG_PART_TOOL_CALL;
        return 0;
    }
    switch (p->kind) {
    case TG_PART_TEXT:
    case TG_PART_REFUSAL:
    case TG_PART_REASONING:
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("text"), p->text);
        if (p->kind == TG_PART_REASONING)
            tg_jw_kbool(w, TG_STR("thought"), true);
        write_signature(o, p, false);
        tg_jw_end_obj(w);
        return 0;
    case TG_PART_IMAGE:
    case TG_PART_DOCUMENT:
    case TG_PART_AUDIO:
        return write_media(o, p);
    case TG_PART_TOOL_CALL:
        write_call(o, p);
        return 0;
    case TG_PART_TOOL_RESULT:
        return write_result(o, p);
    case TG_PART_RAW:
        break;
    }
    return cannot(o, "a part of an unknown type");
}

/* ---- contents ---- */

static void close_content(struct out *o)
{
    if (!o->open)
        return;
    tg_jw_end_arr(&o->e->w);
    tg_jw_end_obj(&o->e->w);
    o->open = false;
}

/* Of this format's own, only what a content was split into goes together again. */
static bool joins(const struct out *o, const struct tg_message *m, struct tg_str side)
{
    if (!o->open || !tg_str_eq(o->role, side))
        return false;
    return !o->e->own || !m || !m->extra.members.n;
}

static void open_content(struct out *o, const struct tg_message *m)
{
    struct tg_str side = m && m->role == TG_ROLE_ASSISTANT ? TG_STR("model") : TG_STR("user");
    struct tg_jw *w = &o->e->w;
    if (joins(o, m, side))
        return;
    close_content(o);
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("role"), side);
    tg_jw_key(w, TG_STR("parts"));
    tg_jw_arr(w);
    o->role = side;
    o->open = o->any = true;
    o->call_written = false;
}

static bool is_system(const struct tg_message *m)
{
    return m->role == TG_ROLE_SYSTEM || m->role == TG_ROLE_DEVELOPER;
}

static int write_message(struct out *o, const struct tg_message *m)
{
    bool begun = false;
    for (size_t i = 0; i < m->n_parts; i++) {
        if (!is_written(o, &m->parts[i]))
            continue;
        if (!begun)
            open_content(o, m);
        begun = true;
        int rc = write_part(o, &m->parts[i]);
        if (rc)
            return rc;
    }
    return 0;
}

static int write_list(struct out *o, bool system_too)
{
    const struct tg_chat_req *req = o->e->req;
    int rc = 0;
    tg_jw_key(&o->e->w, TG_STR("contents"));
    tg_jw_arr(&o->e->w);
    if (req->is_completion) {
        open_content(o, NULL);
        tg_jw_obj(&o->e->w);
        tg_jw_kstr(&o->e->w, TG_STR("text"), req->prompt);
        tg_jw_end_obj(&o->e->w);
    }
    for (size_t i = 0; i < req->n_messages && !rc; i++) {
        o->message = i;
        if (system_too || !is_system(&req->messages[i]))
            rc = write_message(o, &req->messages[i]);
    }
    close_content(o);
    tg_jw_end_arr(&o->e->w);
    return rc;
}

/* All system messages are one instruction, in their order. */
static int write_system(struct out *o)
{
    const struct tg_chat_req *req = o->e->req;
    bool open = false;
    int rc = 0;
    for (size_t i = 0; i < req->n_messages && !rc; i++) {
        const struct tg_message *m = &req->messages[i];
        o->message = i;
        if (!is_system(m)) {
            o->after_content = true;
            continue;
        }
        if (o->after_content)
            o->e->emulated |= TG_FEATURE_BIT(SYSTEM);
        for (size_t k = 0; k < m->n_parts && !rc; k++) {
            if (!is_written(o, &m->parts[k]))
                continue;
            if (!open) {
                tg_jw_key(&o->e->w, TG_STR("systemInstruction"));
                tg_jw_obj(&o->e->w);
                tg_jw_key(&o->e->w, TG_STR("parts"));
                tg_jw_arr(&o->e->w);
            }
            open = true;
            rc = write_part(o, &m->parts[k]);
        }
    }
    if (open) {
        tg_jw_end_arr(&o->e->w);
        tg_jw_end_obj(&o->e->w);
    }
    return rc;
}

static bool only_system(const struct tg_chat_req *req)
{
    for (size_t i = 0; i < req->n_messages; i++) {
        if (!is_system(&req->messages[i]))
            return false;
    }
    return !req->is_completion;
}

int tg_gemini_write_contents(struct tg_gemini_enc *e)
{
    struct out o = {.e = e, .role = TG_STR("")};
    int rc = gather_names(&o);
    if (rc)
        return tg_fail_set(e->fail, rc, "not enough memory for the request");
    if (only_system(e->req)) { /* an instruction alone is refused: it is what the user says */
        e->emulated |= TG_FEATURE_BIT(SYSTEM);
        return write_list(&o, true);
    }
    rc = write_system(&o);
    return rc ? rc : write_list(&o, false);
}
