/* Items of OpenAI's Responses → canonical messages. What the model said in several items that
 * follow each other (text, reasoning, calls) is one assistant message, as the other formats have
 * it; every part keeps its item's text in `raw` (see responses_priv.h). */
#include <stdio.h>

#include "base/err.h"
#include "chat/media.h"
#include "chat/call_id.h"
#include "dialect/openai_priv.h"
#include "dialect/responses_priv.h"

enum { MAX_REFERENCES = 1000 };

/* Kept arrays of items. */
struct lists {
    struct tg_json_doc **docs;
    size_t n, parts;
};

struct place {
    struct tg_arena *a;
    struct lists history, known;
    struct tg_json_doc *doc; /* of the item being read */
    struct tg_str raw;       /* its text */
    size_t item;
    bool kept; /* it is of the history, not of the request */
    struct tg_fail *f;
    struct tg_message *messages;
    size_t n_messages;
    struct tg_part *parts; /* all messages', one after the other */
    size_t n_parts, cap_parts;
};

static TG_COLD int bad(const struct place *at, int err, const char *member, const char *text)
{
    char param[80];
    snprintf(param, sizeof(param), "%s[%zu]%s%s", at->kept ? "previous_response_id" : "input",
             at->item, member[0] ? "." : "", member);
    return tg_fail_param(at->f, err, param, "'%s' %s", param, text);
}

static TG_COLD int no_memory(const struct place *at)
{
    return tg_fail_set(at->f, TG_E_NOMEM, "not enough memory for the request");
}

/* ---- messages and parts ---- */

/* A part of the message being built when that has the role; of a new message else. */
static struct tg_part *add_part(struct place *at, enum tg_role role, bool join)
{
    struct tg_message *m = at->n_messages ? &at->messages[at->n_messages - 1] : NULL;
    if (at->n_parts == at->cap_parts)
        return NULL; /* one long item that is referred to again and again */
    if (!m || !join || m->role != role) {
        m = &at->messages[at->n_messages++];
        m->role = role;
        m->parts = &at->parts[at->n_parts];
    }
    struct tg_part *p = &at->parts[at->n_parts++];
    m->n_parts++;
    p->raw = at->raw;
    return p;
}

static int image_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    const struct tg_json *url = tg_json_get(v, TG_STR("image_url"));
    struct tg_str id = tg_json_get_str(v, TG_STR("file_id"));
    struct tg_str text = tg_json_is_obj(url) ? tg_json_get_str(url, TG_STR("url")) /* chat's way */
                                             : tg_json_str(url);
    if (!text.p && !id.p)
        return bad(at, TG_E_INVALID_VALUE, "content",
                   "has an input_image with neither image_url nor file_id");
    p->kind = TG_PART_IMAGE;
    p->media =
        text.p ? tg_media_of_url(text) : (struct tg_media){.source = TG_MEDIA_FILE_ID, .data = id};
    p->media.detail = tg_json_get_str(v, TG_STR("detail"));
    return 0;
}

static int file_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    struct tg_str data = tg_json_get_str(v, TG_STR("file_data"));
    struct tg_str id = tg_json_get_str(v, TG_STR("file_id"));
    struct tg_str url = tg_json_get_str(v, TG_STR("file_url"));
    p->kind = TG_PART_DOCUMENT;
    if (data.p) {
        p->media = tg_media_of_url(data);
        p->media.source = TG_MEDIA_INLINE; /* bare base64 as well */
    } else if (id.p) {
        p->media = (struct tg_media){.source = TG_MEDIA_FILE_ID, .data = id};
    } else if (url.p) {
        p->media = (struct tg_media){.source = TG_MEDIA_URL, .data = url};
    } else {
        return bad(at, TG_E_INVALID_VALUE, "content",
                   "has an input_file without file_data, file_id or file_url");
    }
    p->media.detail = tg_json_get_str(v, TG_STR("filename"));
    return 0;
}

static int audio_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    const struct tg_json *audio = tg_json_get(v, TG_STR("input_audio"));
    struct tg_str data = tg_json_get_str(audio, TG_STR("data"));
    if (!data.p)
        return bad(at, TG_E_INVALID_VALUE, "content", "has an input_audio without data");
    p->kind = TG_PART_AUDIO;
    p->media = (struct tg_media){.source = TG_MEDIA_INLINE,
                                 .data = data,
                                 .detail = tg_json_get_str(audio, TG_STR("format"))};
    if (tg_str_eq(p->media.detail, TG_STR("mp3")))
        p->media.mime = TG_STR("audio/mpeg");
    else if (tg_str_eq(p->media.detail, TG_STR("wav")))
        p->media.mime = TG_STR("audio/wav");
    return 0;
}

static int text_part(const struct place *at, const struct tg_json *text, enum tg_part_kind kind,
                     struct tg_part *p)
{
    if (!tg_json_is_str(text))
        return bad(at, TG_E_INVALID_VALUE, "content", "has a part without its text");
    p->kind = kind;
    p->text = tg_json_str(text);
    return 0;
}

static int content_part(const struct place *at, const struct tg_json *v, struct tg_part *p)
{
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    if (!tg_json_is_obj(v) || !type.p)
        return bad(at, TG_E_INVALID_VALUE, "content",
                   "has a part that is not an object with a type");
    const struct tg_json *hint = tg_json_get(v, TG_STR("cache_control"));
    if (!tg_json_is_nil(hint))
        p->cache_hint = tg_json_raw(at->doc, hint);
    if (tg_str_eq(type, TG_STR("input_text")) || tg_str_eq(type, TG_STR("output_text")) ||
        tg_str_eq(type, TG_STR("text")))
        return text_part(at, tg_json_get(v, TG_STR("text")), TG_PART_TEXT, p);
    if (tg_str_eq(type, TG_STR("refusal")))
        return text_part(at, tg_json_get(v, TG_STR("refusal")), TG_PART_REFUSAL, p);
    if (tg_str_eq(type, TG_STR("input_image")))
        return image_part(at, v, p);
    if (tg_str_eq(type, TG_STR("input_file")))
        return file_part(at, v, p);
    if (tg_str_eq(type, TG_STR("input_audio")))
        return audio_part(at, v, p);
    p->kind = TG_PART_RAW;
    p->tool_name = type;
    return 0;
}

/* ---- items ---- */

static int message_item(struct place *at, const struct tg_json *v)
{
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    enum tg_role role = TG_ROLE_USER;
    if (!tg_role_parse(tg_json_get_str(v, TG_STR("role")), &role) || role == TG_ROLE_TOOL)
        return bad(at, TG_E_INVALID_VALUE, "role", "is not one of this format's");
    bool join = role == TG_ROLE_ASSISTANT;
    if (tg_json_is_str(content)) {
        struct tg_part *p = add_part(at, role, join);
        return p ? text_part(at, content, TG_PART_TEXT, p) : no_memory(at);
    }
    struct tg_json_iter it = tg_json_iter(content);
    while (tg_json_next(&it)) {
        struct tg_part *p = add_part(at, role, join || it.index > 0);
        int rc = p ? content_part(at, it.value, p) : no_memory(at);
        if (rc)
            return rc;
    }
    return 0;
}

/* The texts of an array of {"text":…}, each a paragraph of its own. */
static int joined_texts(const struct place *at, const struct tg_json *list, struct tg_str *out)
{
    struct tg_buf b;
    if (tg_json_count(list) < 2) {
        *out = tg_json_get_str(tg_json_at(list, 0), TG_STR("text"));
        return 0;
    }
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (it.index)
            tg_buf_lit(&b, "\n\n");
        tg_buf_str_add(&b, tg_json_get_str(it.value, TG_STR("text")));
    }
    *out = tg_buf_ok(&b) ? tg_arena_dup(at->a, tg_buf_str(&b)) : (struct tg_str){NULL, 0};
    tg_buf_fini(&b);
    return out->p ? 0 : no_memory(at);
}

/* The signature of the text before, given as a reasoning item because a text has no place for it.
 */
static bool give_to_text(struct place *at, struct tg_str bytes)
{
    const struct tg_message *m = at->n_messages ? &at->messages[at->n_messages - 1] : NULL;
    if (!m || m->role != TG_ROLE_ASSISTANT)
        return false;
    for (size_t i = m->n_parts; i-- > 0;) {
        if (m->parts[i].kind != TG_PART_TEXT)
            continue;
        m->parts[i].opaque = TG_OPAQUE_THOUGHT;
        m->parts[i].signature = bytes;
        return true;
    }
    return false;
}

static int reasoning_item(struct place *at, const struct tg_json *v)
{
    struct tg_str sealed = tg_json_get_str(v, TG_STR("encrypted_content")), bytes = TG_STR(""),
                  text;
    enum tg_opaque_kind kind = TG_OPAQUE_NONE;
    bool of_text = false;
    if (sealed.n && tg_responses_unseal(at->a, sealed, &kind, &bytes, &of_text))
        return no_memory(at);
    if (of_text && give_to_text(at, bytes))
        return 0;
    const struct tg_json *summary = tg_json_get(v, TG_STR("summary"));
    const struct tg_json *content = tg_json_get(v, TG_STR("content"));
    int rc = joined_texts(at, tg_json_count(summary) ? summary : content, &text);
    if (rc)
        return rc;
    struct tg_part *p = add_part(at, TG_ROLE_ASSISTANT, true);
    if (!p)
        return no_memory(at);
    p->kind = TG_PART_REASONING;
    p->call_id = tg_json_get_str(v, TG_STR("id"));
    p->text = text.p ? text : TG_STR("");
    p->opaque = kind;
    p->signature = bytes;
    return 0;
}

static int call_item(struct place *at, const struct tg_json *v, bool custom)
{
    const struct tg_json *input = tg_json_get(v, custom ? TG_STR("input") : TG_STR("arguments"));
    struct tg_str name = tg_json_get_str(v, TG_STR("name"));
    struct tg_str id = tg_json_get_str(v, TG_STR("call_id"));
    if (!name.n)
        return bad(at, TG_E_MISSING_FIELD, "name", "is missing");
    if (!id.p)
        return bad(at, TG_E_MISSING_FIELD, "call_id", "is missing");
    struct tg_part *p = add_part(at, TG_ROLE_ASSISTANT, true);
    if (!p)
        return no_memory(at);
    p->kind = TG_PART_TOOL_CALL;
    p->tool_name = tg_responses_tool_name(at->a, tg_json_get_str(v, TG_STR("namespace")), name);
    p->arguments =
        custom ? tg_arena_printf(at->a, "{\"input\":%.*s}",
                                 TG_STR_ARG(tg_json_is_str(input) ? tg_json_raw(at->doc, input)
                                                                  : TG_STR("\"\"")))
               : tg_json_str(input);
    if (!p->tool_name.p || (custom && !p->arguments.p) ||
        tg_call_id_split(at->a, id, &p->call_id, &p->signature))
        return no_memory(at);
    p->opaque = p->signature.n ? TG_OPAQUE_THOUGHT : TG_OPAQUE_NONE;
    return 0;
}

static int output_item(struct place *at, const struct tg_json *v)
{
    const struct tg_json *output = tg_json_get(v, TG_STR("output"));
    struct tg_str id = tg_json_get_str(v, TG_STR("call_id")), ignored;
    if (!id.p)
        return bad(at, TG_E_MISSING_FIELD, "call_id", "is missing");
    if (!tg_json_is_str(output) && !tg_json_is_arr(output))
        return bad(at, TG_E_INVALID_VALUE, "output",
                   "must be a string or an array of content parts");
    struct tg_part *p = add_part(at, TG_ROLE_TOOL, false);
    if (!p || tg_call_id_split(at->a, id, &p->call_id, &ignored))
        return no_memory(at);
    p->kind = TG_PART_TOOL_RESULT;
    p->n_parts = tg_json_is_str(output) ? 1 : tg_json_count(output);
    p->parts = p->n_parts ? tg_arena_array(at->a, p->n_parts, sizeof(*p->parts)) : NULL;
    if (p->n_parts && !p->parts)
        return no_memory(at);
    if (tg_json_is_str(output))
        return text_part(at, output, TG_PART_TEXT, p->parts);
    int rc = 0;
    struct tg_json_iter it = tg_json_iter(output);
    while (!rc && tg_json_next(&it))
        rc = content_part(at, it.value, &p->parts[it.index]);
    return rc;
}

/* An item of the provider's own kind. Outputs are what the client says, all else the model. */
static int raw_item(struct place *at, struct tg_str type)
{
    bool said_by_client = tg_str_ends(type, TG_STR("_output")) ||
                          tg_str_ends(type, TG_STR("_response")) ||
                          tg_str_eq(type, TG_STR("item_reference"));
    enum tg_role role = said_by_client ? TG_ROLE_USER : TG_ROLE_ASSISTANT;
    struct tg_part *p = add_part(at, role, role == TG_ROLE_ASSISTANT);
    if (!p)
        return no_memory(at);
    p->kind = TG_PART_RAW;
    p->tool_name = type;
    return 0;
}

static int one_item(struct place *at, const struct tg_json *v);

/* The item of that id in what is kept; NULL: none. *out_doc is its document. */
static const struct tg_json *find_kept(const struct lists *l, struct tg_str id,
                                       struct tg_json_doc **out_doc)
{
    for (size_t i = 0; i < l->n; i++) {
        struct tg_json_iter it = tg_json_iter(tg_json_root(l->docs[i]));
        while (tg_json_next(&it)) {
            if (!tg_json_str_is(tg_json_get(it.value, TG_STR("id")), id))
                continue;
            *out_doc = l->docs[i];
            return it.value;
        }
    }
    return NULL;
}

/* A reference stands for the item that it names; one to an item of the history, which is there
 * already, for nothing. */
static int reference_item(struct place *at, const struct tg_json *v)
{
    struct tg_str id = tg_json_get_str(v, TG_STR("id"));
    struct tg_json_doc *doc = at->doc;
    if (find_kept(&at->history, id, &doc))
        return 0;
    const struct tg_json *found = find_kept(&at->known, id, &doc);
    if (!found || !tg_json_get(found, TG_STR("type")) ||
        tg_json_str_is(tg_json_get(found, TG_STR("type")), TG_STR("item_reference")))
        return raw_item(at, TG_STR("item_reference"));
    struct tg_json_doc *own = at->doc;
    struct tg_str raw = at->raw;
    at->doc = doc;
    at->raw = tg_json_raw(doc, found);
    int rc = one_item(at, found);
    at->doc = own;
    at->raw = raw;
    return rc;
}

static int one_item(struct place *at, const struct tg_json *v)
{
    if (!tg_json_is_obj(v))
        return bad(at, TG_E_INVALID_VALUE, "", "must be an object");
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    if (tg_str_eq(type, TG_STR("message")) || (!type.p && tg_json_get(v, TG_STR("role"))))
        return message_item(at, v);
    if (tg_str_eq(type, TG_STR("function_call")))
        return call_item(at, v, false);
    if (tg_str_eq(type, TG_STR("custom_tool_call")))
        return call_item(at, v, true);
    if (tg_str_eq(type, TG_STR("function_call_output")) ||
        tg_str_eq(type, TG_STR("custom_tool_call_output")))
        return output_item(at, v);
    if (tg_str_eq(type, TG_STR("reasoning")))
        return reasoning_item(at, v);
    if (!type.p || tg_str_eq(type, TG_STR("item_reference")))
        return reference_item(at, v);
    return raw_item(at, type);
}

/* An item that only has tools, which the request's tools have as well: it says nothing, and goes
 * with the text of the item behind it. */
static bool is_tools(const struct tg_json *v)
{
    return tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("additional_tools"));
}

static int all_items(struct place *at, struct tg_json_doc *doc, const struct tg_json *list)
{
    int rc = 0;
    struct tg_json_iter it = tg_json_iter(list);
    struct tg_str before = {NULL, 0};
    at->doc = doc;
    while (!rc && tg_json_next(&it)) {
        struct tg_str raw = tg_json_raw(doc, it.value);
        at->item = it.index;
        at->raw = before.p ? tg_str_make(before.p, (size_t)(raw.p + raw.n - before.p)) : raw;
        if (is_tools(it.value) && it.index + 1 < tg_json_count(list)) {
            before = at->raw;
            continue;
        }
        before = (struct tg_str){NULL, 0};
        rc = one_item(at, it.value);
    }
    return rc;
}

/* ---- the whole ---- */

/* The most parts that the items can have; a reference may stand for any item of what is known. */
static size_t count_parts(const struct tg_json *list)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        n += 1 + tg_json_count(tg_json_get(it.value, TG_STR("content")));
    return n;
}

static size_t count_references(const struct tg_json *list)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        n += tg_json_str_is(tg_json_get(it.value, TG_STR("type")), TG_STR("item_reference")) ||
             !tg_json_get(it.value, TG_STR("type"));
    return n;
}

static int open_lists(struct place *at, const struct tg_str *texts, size_t n, struct lists *out)
{
    out->docs = n ? tg_arena_array(at->a, n, sizeof(struct tg_json_doc *)) : NULL;
    if (n && !out->docs)
        return no_memory(at);
    for (out->n = 0; out->n < n; out->n++) {
        int rc = tg_json_parse(at->a, texts[out->n], NULL, &out->docs[out->n], at->f);
        if (rc)
            return rc;
        out->parts += count_parts(tg_json_root(out->docs[out->n]));
    }
    return 0;
}

static int reserve(struct place *at, size_t n)
{
    at->cap_parts = n;
    at->parts = tg_arena_array(at->a, n, sizeof(*at->parts));
    at->messages = tg_arena_array(at->a, n, sizeof(*at->messages));
    return at->parts && at->messages ? 0 : no_memory(at);
}

/* A message in front, which the request has as a member. */
static void add_instructions(struct place *at, const struct tg_body *b)
{
    const struct tg_json *v = b->v[TG_F_INSTRUCTIONS];
    if (!tg_json_str(v).n)
        return;
    struct tg_part *p = add_part(at, TG_ROLE_SYSTEM, false);
    p->kind = TG_PART_TEXT;
    p->text = tg_json_str(v);
    p->raw = TG_STR("");
    struct tg_json_iter it = tg_json_iter(b->root);
    while (tg_json_next(&it)) {
        if (it.value != v)
            continue;
        struct tg_json_span k = tg_json_span(b->doc, it.key), s = tg_json_span(b->doc, v);
        at->messages[at->n_messages - 1].extra.members =
            tg_str_make(tg_json_text(b->doc).p + k.at, s.at + s.n - k.at);
    }
}

int tg_responses_parse_input(struct tg_arena *a, const struct tg_call *call,
                             struct tg_chat_req *out, struct tg_fail *f)
{
    const struct tg_body *b = call->parsed;
    const struct tg_json *input = b->v[TG_F_INPUT];
    struct place at = {.a = a, .doc = b->doc, .f = f};
    size_t references = count_references(input);
    if (references > MAX_REFERENCES)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "input",
                             "'input' holds more than %d item references", MAX_REFERENCES);
    int rc = open_lists(&at, call->history, call->n_history, &at.history);
    if (!rc)
        rc = open_lists(&at, call->known, call->n_known, &at.known);
    if (!rc)
        rc = reserve(&at,
                     2 + at.history.parts + count_parts(input) + (references ? at.known.parts : 0));
    if (rc)
        return rc;
    add_instructions(&at, b);
    at.kept = true;
    for (size_t i = 0; i < at.history.n && !rc; i++)
        rc = all_items(&at, at.history.docs[i], tg_json_root(at.history.docs[i]));
    at.kept = false;
    if (!rc && tg_json_is_str(input)) {
        at.raw = tg_json_raw(b->doc, input);
        at.doc = b->doc;
        rc = text_part(&at, input, TG_PART_TEXT, add_part(&at, TG_ROLE_USER, false));
    } else if (!rc) {
        rc = all_items(&at, b->doc, input);
    }
    out->messages = at.messages;
    out->n_messages = at.n_messages;
    return rc;
}

/* ---- for who keeps conversations ---- */

int tg_responses_input(struct tg_arena *a, const struct tg_call *call, struct tg_str *out)
{
    const struct tg_body *b = call->parsed;
    const struct tg_json *input = b->v[TG_F_INPUT];
    *out = TG_STR("[]");
    if (tg_json_is_nil(input))
        return 0;
    *out = tg_json_raw(b->doc, input);
    if (tg_json_is_arr(input))
        return 0;
    *out = tg_arena_printf(a, "[{\"type\":\"message\",\"role\":\"user\",\"content\":%.*s}]",
                           TG_STR_ARG(*out));
    return out->p ? 0 : TG_E_NOMEM;
}

/* "msg_<tail>_<n>" → "resp_<tail>". False for ids of other making. */
static bool owner_of(struct tg_str id, struct tg_str *out_tail)
{
    ptrdiff_t from = tg_str_chr(id, '_');
    size_t to = id.n;
    while (to > 0 && id.p[to - 1] != '_')
        to--;
    if (from < 0 || to <= (size_t)from + 2)
        return false;
    *out_tail = tg_str_make(id.p + from + 1, to - 1 - (size_t)from - 1);
    return true;
}

int tg_responses_references(struct tg_arena *a, const struct tg_call *call, struct tg_str **out_ids,
                            size_t *out_n)
{
    const struct tg_body *b = call->parsed;
    size_t max = count_references(b->v[TG_F_INPUT]), n = 0;
    struct tg_str *ids = max ? tg_arena_array(a, max, sizeof(*ids)) : NULL;
    *out_n = 0;
    if (max && !ids)
        return TG_E_NOMEM;
    struct tg_json_iter it = tg_json_iter(b->v[TG_F_INPUT]);
    while (max && tg_json_next(&it)) {
        const struct tg_json *type = tg_json_get(it.value, TG_STR("type"));
        struct tg_str tail;
        if ((type && !tg_json_str_is(type, TG_STR("item_reference"))) ||
            !owner_of(tg_json_get_str(it.value, TG_STR("id")), &tail))
            continue;
        struct tg_str id = tg_arena_printf(a, "resp_%.*s", TG_STR_ARG(tail));
        if (!id.p)
            return TG_E_NOMEM;
        size_t i = 0;
        while (i < n && !tg_str_eq(ids[i], id))
            i++;
        ids[i] = id;
        n += i == n;
    }
    *out_ids = ids;
    *out_n = n;
    return 0;
}
