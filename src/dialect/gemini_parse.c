/* systemInstruction and contents. A content of the user's that holds functionResponses becomes tool
 * messages, one a result, and user messages for what stands between them. */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_priv.h"

enum {
    MAX_PENDING_LOOK = 1024 /* calls that are looked through for a result without an id */
};

int tg_gemini_bad(const struct tg_gemini_in *in, const char *path, const char *what)
{
    return tg_fail_param(in->f, TG_E_INVALID_VALUE, path, "'%s' %s", path, what);
}

int tg_gemini_no_memory(const struct tg_gemini_in *in)
{
    return tg_fail_set(in->f, TG_E_NOMEM, "not enough memory for the request");
}

struct tg_str tg_gemini_raw(const struct tg_gemini_in *in, const struct tg_json *v)
{
    return tg_json_is_nil(v) ? TG_STR("") : tg_json_raw(in->doc, v);
}

/* ---- media ---- */

static enum tg_part_kind kind_of_mime(struct tg_str mime)
{
    if (tg_str_istarts(mime, TG_STR("image/")))
        return TG_PART_IMAGE;
    if (tg_str_istarts(mime, TG_STR("audio/")))
        return TG_PART_AUDIO;
    if (tg_str_istarts(mime, TG_STR("application/")) || tg_str_istarts(mime, TG_STR("text/")))
        return TG_PART_DOCUMENT;
    return TG_PART_RAW; /* video: no other API has it */
}

/* "wav", "mp3": as OpenAI calls them. */
static struct tg_str audio_format(struct tg_str mime)
{
    struct tg_str sub = tg_str_from(mime, 6);
    if (tg_str_ieq(sub, TG_STR("mpeg")))
        return TG_STR("mp3");
    return tg_str_istarts(sub, TG_STR("x-")) ? tg_str_from(sub, 2) : sub;
}

/* What only Google can read: its Files API and its storage. */
static bool is_google_file(struct tg_str uri)
{
    return tg_str_istarts(uri, TG_STR("gs://")) ||
           tg_str_istarts(uri, TG_STR("https://generativelanguage.googleapis.com/")) ||
           tg_str_starts(uri, TG_STR("files/"));
}

static bool is_youtube(struct tg_str uri)
{
    return tg_str_find(uri, TG_STR("youtube.com/")) >= 0 ||
           tg_str_find(uri, TG_STR("youtu.be/")) >= 0;
}

static int media_part(const struct tg_gemini_in *in, const struct tg_json *blob,
                      const struct tg_json *file, const char *path, struct tg_part *p)
{
    struct tg_str mime = tg_json_proto_str(blob ? blob : file, TG_STR("mimeType"));
    struct tg_str data =
        blob ? tg_json_get_str(blob, TG_STR("data")) : tg_json_proto_str(file, TG_STR("fileUri"));
    if (!data.p)
        return tg_gemini_bad(in, path, blob ? "has no data" : "has no fileUri");
    p->kind = kind_of_mime(mime);
    if (file && !mime.n)
        p->kind = is_youtube(data) ? TG_PART_RAW : TG_PART_DOCUMENT;
    if (p->kind == TG_PART_RAW)
        return 0;
    p->media.source = blob                   ? TG_MEDIA_INLINE
                      : is_google_file(data) ? TG_MEDIA_FILE_ID
                                             : TG_MEDIA_URL;
    p->media.mime = mime;
    p->media.data = data;
    struct tg_str name = tg_json_proto_str(blob ? blob : file, TG_STR("displayName"));
    p->media.detail = p->kind == TG_PART_AUDIO      ? audio_format(mime)
                      : p->kind == TG_PART_DOCUMENT ? name
                                                    : TG_STR("");
    return 0;
}

/* ---- calls and results ---- */

static int call_part(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                     struct tg_part *p)
{
    const struct tg_json *args = tg_json_get(v, TG_STR("args"));
    p->kind = TG_PART_TOOL_CALL;
    p->tool_name = tg_json_get_str(v, TG_STR("name"));
    p->call_id = tg_json_get_str(v, TG_STR("id"));
    if (!p->tool_name.n)
        return tg_gemini_bad(in, path, "has no function name");
    if (!tg_json_is_nil(args) && !tg_json_is_obj(args))
        return tg_gemini_bad(in, path, "has args that are not an object");
    p->arguments = tg_json_is_nil(args) ? TG_STR("{}") : tg_json_raw(in->doc, args);
    return 0;
}

/* What a function gave: the object, or the only member of {"result":…}, {"output":…} and
 * {"error":…}, which are the names that Google gives to a plain output and to an error. */
static void result_text(const struct tg_gemini_in *in, const struct tg_json *response,
                        struct tg_part *p, struct tg_str *out)
{
    struct tg_json_iter it = tg_json_iter(response);
    *out = tg_gemini_raw(in, response);
    if (tg_json_count(response) != 1 || !tg_json_next(&it) || !it.key)
        return;
    p->is_error = tg_str_eq(it.name, TG_STR("error"));
    bool plain = tg_str_eq(it.name, TG_STR("result")) || tg_str_eq(it.name, TG_STR("output"));
    if (p->is_error || plain)
        *out = tg_json_is_str(it.value) ? tg_json_str(it.value) : tg_json_raw(in->doc, it.value);
}

static int result_part(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                       struct tg_part *p)
{
    const struct tg_json *response = tg_json_get(v, TG_STR("response"));
    const struct tg_json *media = tg_json_get(v, TG_STR("parts"));
    p->kind = TG_PART_TOOL_RESULT;
    p->tool_name = tg_json_get_str(v, TG_STR("name"));
    p->call_id = tg_json_get_str(v, TG_STR("id"));
    if (!p->tool_name.n)
        return tg_gemini_bad(in, path, "has no function name");
    p->parts = tg_arena_array(in->a, tg_json_count(media) + 1, sizeof *p->parts);
    if (!p->parts)
        return tg_gemini_no_memory(in);
    struct tg_str text = TG_STR("");
    result_text(in, response, p, &text);
    p->parts[0].kind = TG_PART_TEXT;
    p->parts[0].text = text;
    p->n_parts = 1;
    struct tg_json_iter it = tg_json_iter(media);
    while (tg_json_next(&it)) {
        const struct tg_json *blob = tg_json_proto_get(it.value, TG_STR("inlineData"));
        const struct tg_json *file = tg_json_proto_get(it.value, TG_STR("fileData"));
        struct tg_part *inner = &p->parts[p->n_parts++];
        inner->kind = TG_PART_RAW;
        inner->raw = tg_json_raw(in->doc, it.value);
        int rc = blob || file ? media_part(in, blob, blob ? NULL : file, path, inner) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- parts ---- */

struct seen {
    const struct tg_json *text, *thought, *signature, *blob, *file, *call, *response;
};

static void look(const struct tg_json *v, struct seen *s)
{
    const struct {
        struct tg_str name;
        const struct tg_json **slot;
    } slots[] = {
        {TG_STR_INIT("text"), &s->text},
        {TG_STR_INIT("thought"), &s->thought},
        {TG_STR_INIT("thoughtSignature"), &s->signature},
        {TG_STR_INIT("inlineData"), &s->blob},
        {TG_STR_INIT("fileData"), &s->file},
        {TG_STR_INIT("functionCall"), &s->call},
        {TG_STR_INIT("functionResponse"), &s->response},
    };
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        for (size_t i = 0; i < TG_ARRAY_LEN(slots) && !tg_json_is_nil(it.value); i++) {
            if (tg_json_proto_is(it.name, slots[i].name))
                *slots[i].slot = it.value;
        }
    }
}

static int part_body(const struct tg_gemini_in *in, const struct seen *s, size_t members,
                     const char *path, struct tg_part *p)
{
    if (s->call)
        return call_part(in, s->call, path, p);
    if (s->response)
        return result_part(in, s->response, path, p);
    if (s->blob || s->file)
        return media_part(in, s->blob, s->blob ? NULL : s->file, path, p);
    /* A part may be nothing but a signature. */
    size_t known = s->thought ? 1 : 0;
    known += s->signature ? 1 : 0;
    if (!s->text && members > known) {
        p->kind = TG_PART_RAW;
        return 0;
    }
    if (s->text && !tg_json_is_str(s->text))
        return tg_gemini_bad(in, path, "has a text that is not a string");
    p->kind = tg_json_true(s->thought) ? TG_PART_REASONING : TG_PART_TEXT;
    p->text = s->text ? tg_json_str(s->text) : TG_STR("");
    return 0;
}

int tg_gemini_parse_part(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                         struct tg_part *p)
{
    struct seen s = {0};
    if (!tg_json_is_obj(v))
        return tg_gemini_bad(in, path, "must be an object");
    look(v, &s);
    p->raw = tg_json_raw(in->doc, v);
    int rc = part_body(in, &s, tg_json_count(v), path, p);
    struct tg_str signature = tg_json_str(s.signature), id;
    if (rc || !signature.n)
        return rc;
    if (tg_gemini_unwrap_signature(in->a, signature, &p->opaque, &id, &p->signature))
        return tg_gemini_no_memory(in);
    if (p->opaque == TG_OPAQUE_THOUGHT)
        return 0;
    if (p->kind == TG_PART_REASONING)
        p->call_id = id;
    p->raw = TG_STR(""); /* holds what Google did not write */
    return 0;
}

/* ---- messages ---- */

struct messages {
    struct tg_message *list;
    size_t n;
    struct tg_part *parts; /* of all contents, one behind the other */
    size_t n_parts;
};

static bool role_of(struct tg_str s, enum tg_role *out)
{
    static const struct {
        struct tg_str word;
        enum tg_role role;
    } words[] = {
        {TG_STR_INIT("user"), TG_ROLE_USER},     {TG_STR_INIT("model"), TG_ROLE_ASSISTANT},
        {TG_STR_INIT("function"), TG_ROLE_USER}, {TG_STR_INIT("tool"), TG_ROLE_USER},
        {TG_STR_INIT("system"), TG_ROLE_SYSTEM}, {TG_STR_INIT(""), TG_ROLE_USER},
        {TG_STR_INIT("USER"), TG_ROLE_USER},     {TG_STR_INIT("MODEL"), TG_ROLE_ASSISTANT},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(s, words[i].word)) {
            *out = words[i].role;
            return true;
        }
    }
    return false;
}

/* The first message of each content has the content's role among its extra members: so contents
 * that were split, and only those, go together again for a provider of the same format. */
static void add_message(struct messages *m, enum tg_role role, struct tg_part *parts, size_t n)
{
    struct tg_message *to = &m->list[m->n++];
    to->role = role;
    to->parts = parts;
    to->n_parts = n;
}

static void split_content(struct messages *m, enum tg_role role, struct tg_part *parts, size_t n)
{
    size_t from = 0, first = m->n;
    for (size_t i = 0; i < n && role == TG_ROLE_USER; i++) {
        if (parts[i].kind != TG_PART_TOOL_RESULT)
            continue;
        if (i > from)
            add_message(m, role, parts + from, i - from);
        add_message(m, TG_ROLE_TOOL, parts + i, 1);
        from = i + 1;
    }
    if (from < n)
        add_message(m, role, parts + from, n - from);
    m->list[first].extra.members =
        role == TG_ROLE_ASSISTANT ? TG_STR("\"role\":\"model\"") : TG_STR("\"role\":\"user\"");
}

static int read_parts(const struct tg_gemini_in *in, const struct tg_json *content,
                      const char *where, struct messages *m, struct tg_part **out, size_t *out_n)
{
    const struct tg_json *list = tg_json_get(content, TG_STR("parts"));
    char path[64];
    if (!tg_json_is_nil(list) && !tg_json_is_arr(list) && !tg_json_is_obj(list))
        return tg_gemini_bad(in, where, "has parts that are not an array");
    struct tg_part *parts = m->parts + m->n_parts;
    struct tg_json_iter it = tg_json_proto_list(list);
    while (tg_json_next(&it)) {
        snprintf(path, sizeof path, "%s.parts[%zu]", where, it.index);
        int rc = tg_gemini_parse_part(in, it.value, path, &parts[it.index]);
        if (rc)
            return rc;
    }
    *out = parts;
    *out_n = tg_json_proto_count(list);
    m->n_parts += *out_n;
    return 0;
}

/* Google's client library keeps each response of a stream as a content of its own: they are one
 * turn, and other APIs want a turn's calls in one message. */
static bool continues_turn(const struct messages *m, enum tg_role role)
{
    return role == TG_ROLE_ASSISTANT && m->n && m->list[m->n - 1].role == TG_ROLE_ASSISTANT;
}

static int one_content(const struct tg_gemini_in *in, const struct tg_json *v, size_t index,
                       struct messages *m)
{
    enum tg_role role;
    struct tg_part *parts;
    size_t n;
    char where[32];
    snprintf(where, sizeof where, "contents[%zu]", index);
    if (!tg_json_is_obj(v))
        return tg_gemini_bad(in, where, "must be an object");
    if (!role_of(tg_json_get_str(v, TG_STR("role")), &role))
        return tg_gemini_bad(in, where, "has a role that is not \"user\" or \"model\"");
    int rc = read_parts(in, v, where, m, &parts, &n);
    if (rc)
        return rc;
    if (!n && role == TG_ROLE_ASSISTANT)
        return 0; /* a turn in which nothing was said */
    if (!n)
        return tg_gemini_bad(in, where, "has no parts");
    if (continues_turn(m, role))
        m->list[m->n - 1].n_parts += n; /* they stand right behind */
    else
        split_content(m, role, parts, n);
    return 0;
}

static int system_message(const struct tg_gemini_in *in, const struct tg_json *v,
                          struct messages *m)
{
    struct tg_part *parts;
    size_t n = 1;
    if (tg_json_is_nil(v))
        return 0;
    if (tg_json_is_str(v)) { /* some clients send a plain string */
        parts = &m->parts[m->n_parts++];
        parts->kind = TG_PART_TEXT;
        parts->text = tg_json_str(v);
    } else {
        if (!tg_json_is_obj(v))
            return tg_gemini_bad(in, "systemInstruction", "must be an object");
        int rc = read_parts(in, v, "systemInstruction", m, &parts, &n);
        if (rc)
            return rc;
    }
    if (n)
        add_message(m, TG_ROLE_SYSTEM, parts, n);
    return 0;
}

/* ---- thoughts of other providers ---- */

/* A signature signs a thought's whole text. In a stream the text went out in pieces, each of which
 * a client keeps as a part of its own, and the signature behind them. */
static int join_thoughts(const struct tg_gemini_in *in, struct tg_message *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        struct tg_part *p = &m->parts[i];
        bool whole = p->kind == TG_PART_REASONING &&
                     (p->opaque == TG_OPAQUE_SIGNED || p->opaque == TG_OPAQUE_ENCRYPTED);
        size_t first = n;
        while (whole && first > 0 && m->parts[first - 1].kind == TG_PART_REASONING &&
               m->parts[first - 1].opaque == TG_OPAQUE_NONE)
            first--;
        if (first < n) {
            struct tg_buf b;
            tg_buf_init(&b, SIZE_MAX / 4);
            for (size_t k = first; k < n; k++)
                tg_buf_str_add(&b, m->parts[k].text);
            tg_buf_str_add(&b, p->text);
            p->text =
                tg_buf_ok(&b) ? tg_arena_dup(in->a, tg_buf_str(&b)) : (struct tg_str){NULL, 0};
            tg_buf_fini(&b);
            if (!p->text.p)
                return tg_gemini_no_memory(in);
        }
        n = first;
        m->parts[n++] = *p;
    }
    m->n_parts = n;
    return 0;
}

/* ---- contents ---- */

/* No more than so many messages, nor parts. */
static size_t most_messages(const struct tg_json *system, const struct tg_json *contents)
{
    size_t n = 2 + tg_json_proto_count(tg_json_get(system, TG_STR("parts")));
    struct tg_json_iter it = tg_json_proto_list(contents);
    while (tg_json_next(&it))
        n += 1 + tg_json_proto_count(tg_json_get(it.value, TG_STR("parts")));
    return n;
}

int tg_gemini_parse_contents(const struct tg_gemini_in *in, const struct tg_json *request,
                             struct tg_chat_req *out)
{
    const struct tg_json *contents = tg_json_get(request, TG_STR("contents"));
    const struct tg_json *system = tg_json_proto_get(request, TG_STR("systemInstruction"));
    size_t most = most_messages(system, contents);
    struct messages m = {0};
    m.list = tg_arena_array(in->a, most, sizeof *m.list);
    m.parts = tg_arena_array(in->a, most, sizeof *m.parts);
    if (!m.list || !m.parts)
        return tg_gemini_no_memory(in);
    int rc = system_message(in, system, &m);
    struct tg_json_iter it = tg_json_proto_list(contents);
    while (!rc && tg_json_next(&it))
        rc = one_content(in, it.value, it.index, &m);
    if (rc)
        return rc;
    for (size_t i = 0; i < m.n && !rc; i++)
        rc = join_thoughts(in, &m.list[i]);
    if (rc)
        return rc;
    out->messages = m.list;
    out->n_messages = m.n;
    return tg_gemini_name_calls(in, out);
}

/* ---- ids ---- */

struct pending {
    struct tg_str name, id;
    bool answered;
};
struct pendings {
    struct pending *list;
    size_t n, first; /* all before `first` are answered */
};

static size_t count_calls(const struct tg_chat_req *req)
{
    size_t n = 0;
    for (size_t i = 0; i < req->n_messages; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++)
            n += req->messages[i].parts[k].kind == TG_PART_TOOL_CALL;
    }
    return n;
}

/* Marks the call that a result belongs to and gives its id. */
static bool answer(struct pendings *p, struct tg_part *result)
{
    while (p->first < p->n && p->list[p->first].answered)
        p->first++;
    size_t end = p->n - p->first > MAX_PENDING_LOOK ? p->first + MAX_PENDING_LOOK : p->n;
    for (size_t i = p->first; i < end; i++) {
        struct pending *c = &p->list[i];
        bool same = result->call_id.n ? tg_str_eq(c->id, result->call_id)
                                      : tg_str_eq(c->name, result->tool_name);
        if (c->answered || !same)
            continue;
        c->answered = true;
        result->call_id = c->id;
        return true;
    }
    return false;
}

int tg_gemini_name_calls(const struct tg_gemini_in *in, struct tg_chat_req *req)
{
    struct pendings p = {0};
    size_t made = 0;
    p.list = tg_arena_array(in->a, count_calls(req) + 1, sizeof *p.list);
    if (!p.list)
        return tg_gemini_no_memory(in);
    for (size_t i = 0; i < req->n_messages; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++) {
            struct tg_part *part = &req->messages[i].parts[k];
            bool call = part->kind == TG_PART_TOOL_CALL;
            bool orphan = part->kind == TG_PART_TOOL_RESULT && !answer(&p, part);
            if ((call || orphan) && !part->call_id.n) {
                part->call_id = tg_arena_printf(in->a, "call_g%zu", made++);
                if (!part->call_id.p)
                    return tg_gemini_no_memory(in);
            }
            if (call)
                p.list[p.n++] = (struct pending){part->tool_name, part->call_id, false};
        }
    }
    return 0;
}
