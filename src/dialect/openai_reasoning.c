/* Reasoning of earlier turns as OpenAI-like clients give it back: `reasoning_details`, OpenRouter's
 * list of what can be shown and what is opaque (openrouter.ai/docs/use-cases/reasoning-tokens), and
 * `extra_content.google.thought_signature`, where Gemini's own OpenAI endpoint puts a signature
 * (ai.google.dev/gemini-api/docs/thought-signatures).
 *
 * {"type":"reasoning.text","text","signature","format","index","id"}, {"type":"reasoning.summary",
 * "summary",…}, {"type":"reasoning.encrypted","data",…}. Clients that gather a stream send one
 * entry per piece, so neighbours of one index are one part. */
#include "base/err.h"
#include "dialect/openai_priv.h"

static const struct tg_str google_format = TG_STR_INIT("google-gemini-v1");

static bool is_type(const struct tg_json *d, struct tg_str type)
{
    return tg_json_str_is(tg_json_get(d, TG_STR("type")), type);
}

static struct tg_str member(const struct tg_json *d, struct tg_str name)
{
    struct tg_str s = tg_json_get_str(d, name);
    return s.p ? s : TG_STR("");
}

/* Whose opaque state an entry holds, by its `format`; without one it is Anthropic's, the first of
 * them. */
static enum tg_opaque_kind opaque_of(const struct tg_json *d, bool encrypted)
{
    struct tg_str format = member(d, TG_STR("format"));
    if (tg_str_eq(format, google_format))
        return TG_OPAQUE_THOUGHT;
    if (tg_str_starts(format, TG_STR("anthropic")) || !format.n)
        return encrypted ? TG_OPAQUE_REDACTED : TG_OPAQUE_SIGNED;
    return TG_OPAQUE_ENCRYPTED;
}

/* A thought signature that belongs to a tool call or a text, not to reasoning. */
static bool is_thought(const struct tg_json *d)
{
    return is_type(d, TG_STR("reasoning.encrypted")) && opaque_of(d, true) == TG_OPAQUE_THOUGHT;
}

bool tg_openai_has_details(const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_is_arr(list) && tg_json_next(&it)) {
        if (is_type(it.value, TG_STR("reasoning.text")) ||
            is_type(it.value, TG_STR("reasoning.summary")) ||
            is_type(it.value, TG_STR("reasoning.encrypted")))
            return true;
    }
    return false;
}

struct reading {
    struct tg_arena *a;
    struct tg_part *part; /* the newest, NULL: none yet */
    struct tg_buf text;   /* its pieces, when there are several */
    struct tg_str index, id;
};

/* The entry goes on with the part before it. */
static bool goes_on(const struct reading *r, struct tg_str index, struct tg_str id,
                    enum tg_opaque_kind opaque)
{
    if (!r->part || r->part->signature.n || opaque == TG_OPAQUE_REDACTED)
        return false;
    if (id.n && r->id.n)
        return tg_str_eq(id, r->id);
    return opaque == TG_OPAQUE_ENCRYPTED || (index.n && tg_str_eq(index, r->index));
}

static void append(struct reading *r, struct tg_str text)
{
    struct tg_part *p = r->part;
    if (!text.n)
        return;
    if (p->text.n && !r->text.n)
        tg_buf_str_add(&r->text, p->text);
    if (p->text.n)
        tg_buf_str_add(&r->text, text);
    p->text = text;
}

static int finish_part(struct reading *r)
{
    int rc = tg_buf_ok(&r->text) ? 0 : TG_E_NOMEM;
    if (!rc && r->part && r->text.n) {
        r->part->text = tg_arena_dup(r->a, tg_buf_str(&r->text));
        rc = r->part->text.p ? 0 : TG_E_NOMEM;
    }
    tg_buf_clear(&r->text);
    return rc;
}

static int one_detail(struct reading *r, struct tg_json_doc *doc, const struct tg_json *d,
                      struct tg_part *out, size_t *io_n)
{
    bool encrypted = is_type(d, TG_STR("reasoning.encrypted"));
    bool summary = is_type(d, TG_STR("reasoning.summary"));
    struct tg_str text = member(d, summary ? TG_STR("summary") : TG_STR("text"));
    struct tg_str signature = member(d, encrypted ? TG_STR("data") : TG_STR("signature"));
    struct tg_str id = member(d, TG_STR("id"));
    const struct tg_json *number = tg_json_get(d, TG_STR("index"));
    struct tg_str index = number ? tg_json_raw(doc, number) : TG_STR("");
    enum tg_opaque_kind opaque = signature.n ? opaque_of(d, encrypted) : TG_OPAQUE_NONE;
    if (is_thought(d) || (!text.n && !signature.n))
        return 0;
    if (!goes_on(r, index, id, opaque)) {
        int rc = finish_part(r);
        if (rc)
            return rc;
        r->part = &out[(*io_n)++];
        r->part->kind = TG_PART_REASONING;
        r->index = index;
        r->id = id;
    }
    append(r, text);
    if (id.n)
        r->part->call_id = r->id = id;
    if (signature.n) {
        r->part->signature = signature;
        r->part->opaque = opaque;
    }
    return 0;
}

/* The first part with opaque state among parts, else the first. */
static struct tg_part *holder(struct tg_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parts[i].signature.n)
            return &parts[i];
    }
    return n ? parts : NULL;
}

int tg_openai_parse_details(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *list,
                            struct tg_str beside, struct tg_part *out, size_t *io_n)
{
    struct reading r = {.a = a};
    size_t first = *io_n;
    int rc = 0;
    tg_buf_init(&r.text, SIZE_MAX / 4);
    struct tg_json_iter it = tg_json_iter(list);
    while (!rc && tg_json_next(&it))
        rc = one_detail(&r, doc, it.value, out, io_n);
    if (!rc)
        rc = finish_part(&r);
    tg_buf_fini(&r.text);
    /* A signature whose text stands beside the list. */
    if (!rc && *io_n == first + 1 && !out[first].text.n && beside.n &&
        out[first].opaque != TG_OPAQUE_REDACTED)
        out[first].text = beside;
    return rc;
}

static int add_member(struct tg_arena *a, struct tg_part *p, struct tg_str member_text)
{
    if (p->extra.members.n)
        member_text =
            tg_arena_printf(a, "%.*s,%.*s", TG_STR_ARG(p->extra.members), TG_STR_ARG(member_text));
    if (!member_text.p)
        return TG_E_NOMEM;
    p->extra.members = member_text;
    return 0;
}

static void sign(struct tg_part *p, struct tg_str signature)
{
    if (p->signature.n || !signature.n)
        return;
    p->signature = signature;
    p->opaque = TG_OPAQUE_THOUGHT;
}

/* The call of that id, else the last text. */
static struct tg_part *thought_owner(struct tg_part *parts, size_t n, struct tg_str id)
{
    struct tg_part *text = NULL;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].kind == TG_PART_TOOL_CALL && id.n && tg_str_eq(parts[i].call_id, id))
            return &parts[i];
        if (parts[i].kind == TG_PART_TEXT)
            text = &parts[i];
    }
    return text;
}

int tg_openai_place_thoughts(struct tg_arena *a, const struct tg_json *details,
                             const struct tg_json *extra_content, struct tg_str raw_members,
                             struct tg_part *parts, size_t n)
{
    struct tg_json_iter it = tg_json_iter(details);
    while (tg_json_next(&it)) {
        struct tg_part *p = NULL;
        if (is_thought(it.value))
            p = thought_owner(parts, n, member(it.value, TG_STR("id")));
        if (p)
            sign(p, member(it.value, TG_STR("data")));
    }
    struct tg_str s = tg_openai_extra_signature(extra_content);
    struct tg_part *text = s.n ? thought_owner(parts, n, TG_STR("")) : NULL;
    if (text)
        sign(text, s);
    struct tg_part *h = holder(parts, n);
    return raw_members.n && h ? add_member(a, h, raw_members) : 0;
}

struct tg_str tg_openai_extra_signature(const struct tg_json *extra_content)
{
    const struct tg_json *google = tg_json_get(extra_content, TG_STR("google"));
    return member(google, TG_STR("thought_signature"));
}
