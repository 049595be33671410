/* Messages of OpenAI's chat format → canonical parts. What has no field of its own stays as raw
 * text: a part's in `raw`, a message's other members in `extra`. */
#include <stdio.h>

#include "base/err.h"
#include "chat/call_id.h"
#include "chat/media.h"
#include "dialect/openai_priv.h"

/* Where in the request we are, for messages to people. */
struct place {
    struct tg_arena *a;
    struct tg_json_doc *doc;
    size_t message;
    unsigned functions; /* calls in the old form so far */
    struct tg_fail *f;
};

static TG_COLD int bad(const struct place *at, const char *member, const char *text)
{
    char param[80];
    snprintf(param, sizeof(param), "messages[%zu].%s", at->message, member);
    return tg_fail_param(at->f, TG_E_INVALID_VALUE, param, "'%s' %s", param, text);
}

static TG_COLD int no_memory(const struct place *at)
{
    return tg_fail_set(at->f, TG_E_NOMEM, "not enough memory for the request");
}

static int image_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    const struct tg_json *image = tg_json_get(v, TG_STR("image_url"));
    struct tg_str url =
        tg_json_is_str(image) ? tg_json_str(image) : tg_json_get_str(image, TG_STR("url"));
    if (!url.p)
        return bad(at, "content", "has an image_url part without a url");
    p->kind = TG_PART_IMAGE;
    p->media = tg_media_of_url(url);
    p->media.detail = tg_json_get_str(image, TG_STR("detail"));
    return 0;
}

static int audio_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    const struct tg_json *audio = tg_json_get(v, TG_STR("input_audio"));
    struct tg_str data = tg_json_get_str(audio, TG_STR("data"));
    if (!data.p)
        return bad(at, "content", "has an input_audio part without data");
    struct tg_str format = tg_json_get_str(audio, TG_STR("format"));
    p->kind = TG_PART_AUDIO;
    p->media = (struct tg_media){.source = TG_MEDIA_INLINE, .data = data, .detail = format};
    if (tg_str_eq(format, TG_STR("mp3")))
        p->media.mime = TG_STR("audio/mpeg");
    else if (tg_str_eq(format, TG_STR("wav")))
        p->media.mime = TG_STR("audio/wav");
    return 0;
}

static int file_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    const struct tg_json *file = tg_json_get(v, TG_STR("file"));
    struct tg_str data = tg_json_get_str(file, TG_STR("file_data"));
    struct tg_str id = tg_json_get_str(file, TG_STR("file_id"));
    if (!data.p && !id.p)
        return bad(at, "content", "has a file part with neither file_data nor file_id");
    p->kind = TG_PART_DOCUMENT;
    p->media =
        data.p ? tg_media_of_url(data) : (struct tg_media){.source = TG_MEDIA_FILE_ID, .data = id};
    if (data.p && p->media.source == TG_MEDIA_URL && !tg_str_starts(data, TG_STR("http")))
        p->media.source = TG_MEDIA_INLINE; /* bare base64, as some clients send */
    p->media.detail = tg_json_get_str(file, TG_STR("filename"));
    return 0;
}

static int text_part(const struct place *at, const struct tg_json *v, const char *member,
                     enum tg_part_kind kind, struct tg_part *p)
{
    const struct tg_json *text = tg_json_get(v, tg_str_c(member));
    if (!tg_json_is_str(text))
        return bad(at, "content", "has a part without its text");
    p->kind = kind;
    p->text = tg_json_str(text);
    return 0;
}

/* Mistral's reasoning part: {"type":"thinking","thinking":[{"type":"text","text":"…"},…]}. */
static int thinking_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    const struct tg_json *list = tg_json_get(v, TG_STR("thinking"));
    struct tg_message joined = {0};
    p->kind = TG_PART_REASONING;
    if (tg_json_is_str(list)) {
        p->text = tg_json_str(list);
        return 0;
    }
    size_t n = tg_json_count(list);
    joined.parts = n ? tg_arena_array(at->a, n, sizeof(*joined.parts)) : NULL;
    if (n && !joined.parts)
        return no_memory(at);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        joined.parts[joined.n_parts].kind = TG_PART_TEXT;
        joined.parts[joined.n_parts++].text = tg_json_get_str(it.value, TG_STR("text"));
    }
    return tg_message_text(at->a, &joined, &p->text) ? 0 : no_memory(at);
}

static int one_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    if (!tg_json_is_obj(v) || !type.p)
        return bad(at, "content", "has a part that is not an object with a type");
    p->raw = tg_json_raw(at->doc, v);
    const struct tg_json *hint = tg_json_get(v, TG_STR("cache_control"));
    if (!tg_json_is_nil(hint))
        p->cache_hint = tg_json_raw(at->doc, hint);
    if (tg_str_eq(type, TG_STR("text")))
        return text_part(at, v, "text", TG_PART_TEXT, p);
    if (tg_str_eq(type, TG_STR("image_url")))
        return image_part(at, v, p);
    if (tg_str_eq(type, TG_STR("input_audio")))
        return audio_part(at, v, p);
    if (tg_str_eq(type, TG_STR("file")))
        return file_part(at, v, p);
    if (tg_str_eq(type, TG_STR("refusal")))
        return text_part(at, v, "refusal", TG_PART_REFUSAL, p);
    if (tg_str_eq(type, TG_STR("thinking")))
        return thinking_part(at, v, p);
    p->kind = TG_PART_RAW;
    p->tool_name = type;
    return 0;
}

/* A string or an array of parts; null and absence are no parts. */
static int content_parts(const struct place *at, const struct tg_json *content, struct tg_part *out,
                         size_t *io_n)
{
    if (tg_json_is_str(content)) {
        struct tg_part *p = &out[(*io_n)++];
        p->kind = TG_PART_TEXT;
        p->text = tg_json_str(content);
        return 0;
    }
    struct tg_json_iter it = tg_json_iter(content);
    while (tg_json_next(&it)) {
        int rc = one_part(at, it.value, &out[(*io_n)++]);
        if (rc)
            return rc;
    }
    return 0;
}

/* A member's text as JSON: of a string its decoded text, of anything else its own. */
static struct tg_str text_or_raw(const struct place *at, const struct tg_json *v)
{
    if (tg_json_is_nil(v))
        return TG_STR("");
    return tg_json_is_str(v) ? tg_json_str(v) : tg_json_raw(at->doc, v);
}

/* An id that carries a signature is one that this gateway made: the provider never saw it. */
static int split_id(const struct place *at, struct tg_str id, struct tg_part *p)
{
    int rc = tg_call_id_split(at->a, id, &p->call_id, &p->signature);
    if (rc || !p->signature.n)
        return rc;
    p->opaque = TG_OPAQUE_THOUGHT;
    p->raw = TG_STR("");
    return 0;
}

static int tool_call_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    if (!tg_json_is_obj(v))
        return bad(at, "tool_calls", "must hold objects only");
    const struct tg_json *fn = tg_json_get(v, TG_STR("function"));
    const struct tg_json *custom = tg_json_get(v, TG_STR("custom"));
    struct tg_str id = tg_json_get_str(v, TG_STR("id"));
    p->kind = TG_PART_TOOL_CALL;
    p->raw = tg_json_raw(at->doc, v);
    if (split_id(at, id, p))
        return no_memory(at);
    struct tg_str s = tg_openai_extra_signature(tg_json_get(v, TG_STR("extra_content")));
    if (s.n) {
        p->signature = s;
        p->opaque = TG_OPAQUE_THOUGHT;
    }
    if (tg_json_is_obj(custom)) {
        const struct tg_json *input = tg_json_get(custom, TG_STR("input"));
        p->tool_name = tg_json_get_str(custom, TG_STR("name"));
        p->arguments = tg_json_is_nil(input) ? TG_STR("") : tg_json_raw(at->doc, input);
        return 0;
    }
    p->tool_name = tg_json_get_str(fn, TG_STR("name"));
    if (!p->tool_name.p)
        return bad(at, "tool_calls", "has a call without a function name");
    p->arguments = text_or_raw(at, tg_json_get(fn, TG_STR("arguments")));
    return 0;
}

/* Members of a message that have a place in the canonical form. */
struct members {
    const struct tg_json *role, *content, *name, *tool_calls, *function_call, *tool_call_id;
    const struct tg_json *refusal, *reasoning, *cache_control, *details, *extra_content;
    const struct tg_json *reasoning_key;
    bool has_thought; /* extra_content was read */
};

/* Of the members that tell reasoning only those that became a part are left out of `extra`. */
static bool message_member(struct tg_str name, const void *ctx)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("role"),         TG_STR_INIT("content"), TG_STR_INIT("name"),
        TG_STR_INIT("tool_calls"),   TG_STR_INIT("refusal"), TG_STR_INIT("function_call"),
        TG_STR_INIT("tool_call_id"),
    };
    const struct members *m = ctx;
    if (tg_str_eq(name, TG_STR("reasoning_details")))
        return m->details != NULL;
    if (tg_str_eq(name, TG_STR("extra_content")))
        return m->has_thought;
    if (tg_str_starts(name, TG_STR("reasoning")))
        return !m->details && m->reasoning_key && tg_json_str_is(m->reasoning_key, name);
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(name, known[i]))
            return true;
    }
    return false;
}

static void find_members(const struct tg_json *v, struct members *m)
{
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        const struct {
            struct tg_str name;
            const struct tg_json **slot;
        } slots[] = {
            {TG_STR_INIT("role"), &m->role},
            {TG_STR_INIT("content"), &m->content},
            {TG_STR_INIT("name"), &m->name},
            {TG_STR_INIT("tool_calls"), &m->tool_calls},
            {TG_STR_INIT("function_call"), &m->function_call},
            {TG_STR_INIT("tool_call_id"), &m->tool_call_id},
            {TG_STR_INIT("refusal"), &m->refusal},
            {TG_STR_INIT("cache_control"), &m->cache_control},
            {TG_STR_INIT("reasoning_details"), &m->details},
            {TG_STR_INIT("extra_content"), &m->extra_content},
        };
        for (size_t i = 0; i < TG_ARRAY_LEN(slots); i++) {
            if (tg_str_eq(it.name, slots[i].name))
                *slots[i].slot = it.value;
        }
        bool reasoning = tg_str_eq(it.name, TG_STR("reasoning_content")) ||
                         tg_str_eq(it.name, TG_STR("reasoning"));
        if (reasoning && tg_json_is_str(it.value) && !m->reasoning) {
            m->reasoning = it.value;
            m->reasoning_key = it.key;
        }
    }
    if (!tg_openai_has_details(m->details))
        m->details = NULL;
    m->has_thought = tg_openai_extra_signature(m->extra_content).n > 0;
}

/* DeepSeek, OpenRouter and others give the reasoning back as a member beside the content; which
 * name it had is kept with the part. */
static int reasoning_part(const struct place *at, const struct members *m, struct tg_part *p)
{
    struct tg_json_span k = tg_json_span(at->doc, m->reasoning_key);
    struct tg_json_span v = tg_json_span(at->doc, m->reasoning);
    p->kind = TG_PART_REASONING;
    p->text = tg_json_str(m->reasoning);
    p->extra.members = tg_str_make(tg_json_text(at->doc).p + k.at, v.at + v.n - k.at);
    return 0;
}

/* `"key":value` of the members that tell of opaque state, as they were sent. */
static int opaque_members(const struct place *at, const struct members *m, struct tg_str *out)
{
    struct tg_str d = m->details ? tg_json_raw(at->doc, m->details) : TG_STR("");
    struct tg_str e = m->has_thought ? tg_json_raw(at->doc, m->extra_content) : TG_STR("");
    *out = TG_STR("");
    if (d.n && e.n)
        *out = tg_arena_printf(at->a, "\"reasoning_details\":%.*s,\"extra_content\":%.*s",
                               TG_STR_ARG(d), TG_STR_ARG(e));
    else if (d.n || e.n)
        *out = tg_arena_printf(at->a, "\"%s\":%.*s", d.n ? "reasoning_details" : "extra_content",
                               TG_STR_ARG(d.n ? d : e));
    return out->p ? 0 : TG_E_NOMEM;
}

/* The old form has no ids; other providers need some: the n-th call and its result have one. */
static int legacy_id(const struct place *at, unsigned n, struct tg_part *p)
{
    p->call_id = tg_arena_printf(at->a, TG_OPENAI_LEGACY_ID "%u", n);
    return p->call_id.p ? 0 : no_memory(at);
}

static int calls(struct place *at, const struct members *m, struct tg_part *out, size_t *io_n)
{
    struct tg_json_iter it = tg_json_iter(m->tool_calls);
    while (tg_json_next(&it)) {
        int rc = tool_call_part(at, it.value, &out[(*io_n)++]);
        if (rc)
            return rc;
    }
    if (!tg_json_is_obj(m->function_call))
        return 0;
    struct tg_part *p = &out[(*io_n)++];
    p->kind = TG_PART_TOOL_CALL;
    p->tool_name = tg_json_get_str(m->function_call, TG_STR("name"));
    p->arguments = text_or_raw(at, tg_json_get(m->function_call, TG_STR("arguments")));
    return legacy_id(at, ++at->functions, p);
}

static int assistant_parts(struct place *at, const struct members *m, struct tg_part *out,
                           size_t *io_n)
{
    struct tg_str opaque;
    int rc = 0;
    if (m->details)
        rc = tg_openai_parse_details(at->a, at->doc, m->details, tg_json_str(m->reasoning), out,
                                     io_n);
    else if (m->reasoning)
        rc = reasoning_part(at, m, &out[(*io_n)++]);
    if (rc)
        return no_memory(at);
    rc = content_parts(at, m->content, out, io_n);
    if (rc)
        return rc;
    if (tg_json_is_str(m->refusal)) {
        struct tg_part *p = &out[(*io_n)++];
        p->kind = TG_PART_REFUSAL;
        p->text = tg_json_str(m->refusal);
    }
    rc = calls(at, m, out, io_n);
    if (rc)
        return rc;
    if (opaque_members(at, m, &opaque) ||
        tg_openai_place_thoughts(at->a, m->details, m->extra_content, opaque, out, *io_n))
        return no_memory(at);
    return 0;
}

/* A tool's answer is one part that holds the content's parts. The legacy role "function" is the
 * same without an id. */
static int tool_part(const struct place *at, const struct members *m, struct tg_part *inner,
                     struct tg_part *out)
{
    struct tg_str ignored;
    out->kind = TG_PART_TOOL_RESULT;
    if (!m->tool_call_id) {
        if (legacy_id(at, at->functions, out))
            return TG_E_NOMEM;
    } else if (tg_call_id_split(at->a, tg_json_str(m->tool_call_id), &out->call_id, &ignored)) {
        return no_memory(at);
    }
    out->tool_name = tg_json_str(m->name);
    out->parts = inner;
    return content_parts(at, m->content, inner, &out->n_parts);
}

/* Only an assistant's message has any; elsewhere the members are unknown ones. */
static void forget_reasoning(struct members *m)
{
    m->reasoning = m->reasoning_key = m->details = m->extra_content = NULL;
    m->has_thought = false;
}

static int one_message(struct place *at, const struct tg_json *v, struct tg_message *out)
{
    struct members m = {0};
    find_members(v, &m);
    bool legacy = tg_json_str_is(m.role, TG_STR("function"));
    if (!tg_role_parse(tg_json_str(m.role), &out->role))
        out->role = TG_ROLE_TOOL;
    if (out->role != TG_ROLE_ASSISTANT)
        forget_reasoning(&m);
    if (legacy)
        m.tool_call_id = NULL;
    out->name = tg_json_str(m.name);
    /* content (a string is one), reasoning, refusal, function_call, the tool's own part */
    size_t max =
        tg_json_count(m.content) + tg_json_count(m.tool_calls) + tg_json_count(m.details) + 5;
    out->parts = tg_arena_array(at->a, max, sizeof(*out->parts));
    if (!out->parts)
        return no_memory(at);
    int rc;
    if (out->role == TG_ROLE_TOOL) {
        if (!legacy && !tg_json_is_str(m.tool_call_id))
            return bad(at, "tool_call_id", "is missing");
        out->n_parts = 1;
        rc = tool_part(at, &m, out->parts + 1, out->parts);
    } else if (out->role == TG_ROLE_ASSISTANT) {
        rc = assistant_parts(at, &m, out->parts, &out->n_parts);
    } else {
        rc = content_parts(at, m.content, out->parts, &out->n_parts);
    }
    if (rc)
        return rc;
    if (!tg_json_is_nil(m.cache_control) && out->n_parts)
        out->parts[out->n_parts - 1].cache_hint = tg_json_raw(at->doc, m.cache_control);
    return tg_body_extra(at->a, at->doc, v, message_member, &m, &out->extra);
}

int tg_openai_parse_messages(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                             struct tg_fail *f)
{
    const struct tg_json *list = b->v[TG_F_MESSAGES];
    struct place at = {.a = a, .doc = b->doc, .f = f};
    out->messages = tg_arena_array(a, tg_json_count(list), sizeof(*out->messages));
    if (!out->messages)
        return no_memory(&at);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        at.message = it.index;
        int rc = one_message(&at, it.value, &out->messages[it.index]);
        if (rc)
            return rc;
    }
    out->n_messages = tg_json_count(list);
    return 0;
}
