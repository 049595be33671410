/* reasoning_details of answers (OpenRouter, Vercel's gateway), annotations, images, and Gemini's
 * signatures where its OpenAI endpoint has them. In a stream an entry's pieces have one index: its
 * texts come first, its signature or its encrypted state last, with or without a text. */
#include "adapter/openai_said_priv.h"
#include "base/map.h"
#include "chat/media.h"

static struct tg_str member(const struct tg_json *v, struct tg_str name)
{
    struct tg_str s = tg_json_get_str(v, name);
    return s.p ? s : TG_STR("");
}

static bool is_encrypted(const struct tg_json *d)
{
    return tg_json_str_is(tg_json_get(d, TG_STR("type")), TG_STR("reasoning.encrypted"));
}

static struct tg_str text_of(const struct tg_json *d)
{
    struct tg_str s = member(d, TG_STR("text"));
    return s.n ? s : member(d, TG_STR("summary"));
}

static struct tg_str signature_of(const struct tg_json *d)
{
    return member(d, is_encrypted(d) ? TG_STR("data") : TG_STR("signature"));
}

static int64_t index_of(const struct tg_json *d)
{
    int64_t i;
    return tg_json_i64(tg_json_get(d, TG_STR("index")), &i) == 0 && i >= 0 ? i : -1;
}

static enum tg_opaque_kind opaque_of(const struct tg_json *d)
{
    struct tg_str format = member(d, TG_STR("format"));
    if (tg_str_starts(format, TG_STR("google-")))
        return TG_OPAQUE_THOUGHT;
    if (format.n && !tg_str_starts(format, TG_STR("anthropic-")))
        return TG_OPAQUE_ENCRYPTED;
    return is_encrypted(d) ? TG_OPAQUE_REDACTED : TG_OPAQUE_SIGNED;
}

/* Encrypted state of Gemini is a call's or a text's, not the reasoning's. */
static bool is_thought(const struct tg_json *d)
{
    return is_encrypted(d) && opaque_of(d) == TG_OPAQUE_THOUGHT;
}

static void signature(struct tg_openai_ctx *c, uint32_t part, enum tg_opaque_kind opaque,
                      struct tg_str s)
{
    struct tg_event ev = {.kind = TG_EV_DELTA,
                          .part = part,
                          .delta_kind = TG_DELTA_SIGNATURE,
                          .opaque = opaque,
                          .text = s};
    tg_openai_emit(c, &ev);
}

/* The part that an entry belongs to is open, or is opened. */
static void open_entry(struct tg_openai_ctx *c, const struct tg_json *d)
{
    struct tg_openai_choice *ch = c->ch;
    int64_t index = index_of(d);
    bool mine = ch->open && ch->open_kind == TG_PART_REASONING && !ch->open_signed;
    /* xAI and OpenAI number the encrypted state anew, or not at all: it follows its summary. */
    if (mine && !is_encrypted(d) && index >= 0 && ch->open_detail >= 0 && index != ch->open_detail)
        mine = false;
    if (mine && is_encrypted(d) && opaque_of(d) == TG_OPAQUE_REDACTED)
        mine = false;
    if (!mine)
        tg_openai_end_open(c);
    tg_openai_open(c, TG_PART_REASONING, member(d, TG_STR("id")));
    ch->open_detail = index;
}

static void sign_entry(struct tg_openai_ctx *c, const struct tg_json *d)
{
    open_entry(c, d);
    signature(c, c->ch->open_part, opaque_of(d), signature_of(d));
    c->ch->open_signed = true;
}

bool tg_openai_say_details(struct tg_openai_ctx *c, const struct tg_openai_said *s)
{
    bool told = false;
    struct tg_json_iter it = tg_json_iter(s->details);
    while (!c->ch->finished && tg_json_next(&it)) {
        struct tg_str text = text_of(it.value);
        if (text.n) {
            open_entry(c, it.value);
            tg_openai_text(c, TG_PART_REASONING, TG_DELTA_REASONING, text);
            c->ch->open_detail = index_of(it.value);
            told = true;
        }
        if ((text.n || told) && signature_of(it.value).n && !is_thought(it.value))
            sign_entry(c, it.value);
    }
    return told;
}

/* When the list told no text, its entries come behind the text that stood beside it. */
static bool told_text(const struct tg_json *details)
{
    struct tg_json_iter it = tg_json_iter(details);
    while (tg_json_next(&it)) {
        if (text_of(it.value).n)
            return true;
    }
    return false;
}

static void say_thought(struct tg_openai_ctx *c, const struct tg_openai_said *s,
                        const struct tg_json *d)
{
    struct tg_str id = member(d, TG_STR("id"));
    uint32_t part;
    struct tg_json_iter it = tg_json_iter(s->tool_calls);
    while (id.n && tg_json_next(&it)) {
        if (tg_str_eq(member(it.value, TG_STR("id")), id))
            return; /* goes with the call's beginning */
    }
    if (tg_openai_call_part(c->ch, id, &part)) {
        signature(c, part, TG_OPAQUE_THOUGHT, signature_of(d));
    } else if (c->ch->open) {
        signature(c, c->ch->open_part, TG_OPAQUE_THOUGHT, signature_of(d));
    } else {
        sign_entry(c, d);
    }
}

void tg_openai_say_signatures(struct tg_openai_ctx *c, const struct tg_openai_said *s)
{
    bool told = told_text(s->details);
    struct tg_json_iter it = tg_json_iter(s->details);
    while (!c->ch->finished && tg_json_next(&it)) {
        if (!signature_of(it.value).n)
            continue;
        if (is_thought(it.value))
            say_thought(c, s, it.value);
        else if (!told)
            sign_entry(c, it.value);
    }
}

static struct tg_str google_signature(const struct tg_json *extra_content)
{
    return member(tg_json_get(extra_content, TG_STR("google")), TG_STR("thought_signature"));
}

struct tg_str tg_openai_call_signature(const struct tg_openai_said *s, const struct tg_json *call)
{
    struct tg_str own = google_signature(tg_json_get(call, TG_STR("extra_content")));
    struct tg_str id = member(call, TG_STR("id"));
    struct tg_json_iter it = tg_json_iter(s->details);
    while (!own.n && id.n && tg_json_next(&it)) {
        if (is_thought(it.value) && tg_str_eq(member(it.value, TG_STR("id")), id))
            own = signature_of(it.value);
    }
    return own;
}

static void tap_google(struct tg_openai_ctx *c, const struct tg_json *extra_content)
{
    struct tg_str s = google_signature(extra_content);
    if (s.n)
        signature(c, 0, TG_OPAQUE_THOUGHT, s);
}

void tg_openai_tap_signatures(struct tg_openai_ctx *c, const struct tg_openai_said *s)
{
    struct tg_json_iter it = tg_json_iter(s->details);
    while (tg_json_next(&it)) {
        if (signature_of(it.value).n)
            signature(c, 0, opaque_of(it.value), signature_of(it.value));
    }
    tap_google(c, s->extra_content);
    it = tg_json_iter(s->tool_calls);
    while (tg_json_next(&it))
        tap_google(c, tg_json_get(it.value, TG_STR("extra_content")));
}

static void citation(struct tg_openai_ctx *c, const struct tg_json *v)
{
    const struct tg_json *url = tg_json_get(v, TG_STR("url_citation"));
    const struct tg_json *from = url ? url : v; /* Azure and the Responses API have it flat */
    struct tg_citation cite = {.url = member(from, TG_STR("url")),
                               .title = member(from, TG_STR("title")),
                               .text = member(from, TG_STR("content")),
                               .start = -1,
                               .end = -1,
                               .raw = tg_json_raw(c->doc, v),
                               .format = tg_json_get(v, TG_STR("type")) ? TG_WIRE_OPENAI_CHAT
                                                                        : TG_WIRE_NONE};
    int64_t n;
    if (tg_json_i64(tg_json_get(from, TG_STR("start_index")), &n) == 0)
        cite.start = n;
    if (tg_json_i64(tg_json_get(from, TG_STR("end_index")), &n) == 0)
        cite.end = n;
    tg_openai_open(c, TG_PART_TEXT, TG_STR(""));
    struct tg_event ev = {.kind = TG_EV_DELTA,
                          .part = c->ch->open_part,
                          .delta_kind = TG_DELTA_CITATION,
                          .citation = &cite};
    tg_openai_emit(c, &ev);
}

void tg_openai_say_sources(struct tg_openai_ctx *c, const struct tg_json *sources)
{
    struct tg_json_iter it = tg_json_iter(sources);
    while (!c->ch->finished && tg_json_next(&it)) {
        if (member(it.value, TG_STR("url")).n)
            citation(c, it.value);
    }
}

void tg_openai_say_citations(struct tg_openai_ctx *c, const struct tg_openai_said *s)
{
    struct tg_str sign = google_signature(s->extra_content);
    struct tg_json_iter it = tg_json_iter(s->annotations);
    if (c->ch->finished)
        return;
    while (tg_json_next(&it)) {
        if (tg_json_is_obj(it.value))
            citation(c, it.value);
    }
    if (!sign.n)
        return;
    tg_openai_open(c, TG_PART_TEXT, TG_STR(""));
    signature(c, c->ch->open_part, TG_OPAQUE_THOUGHT, sign);
}

void tg_openai_say_images(struct tg_openai_ctx *c, const struct tg_json *images)
{
    struct tg_json_iter it = tg_json_iter(images);
    while (!c->ch->finished && tg_json_next(&it)) {
        struct tg_str url = tg_json_str(tg_json_get2(it.value, TG_STR("image_url"), TG_STR("url")));
        if (!url.n)
            continue;
        struct tg_media media = tg_media_of_url(url);
        struct tg_event ev = {.kind = TG_EV_PART_START,
                              .part_kind = TG_PART_IMAGE,
                              .part = c->ch->n_parts++,
                              .media = &media};
        tg_openai_end_open(c);
        tg_openai_emit(c, &ev);
        ev = (struct tg_event){.kind = TG_EV_PART_END, .part = ev.part};
        tg_openai_emit(c, &ev);
    }
}
