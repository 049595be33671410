/* Canonical events → GenerateContentResponses: a stream of them, or one.
 *
 * Google's clients take each functionCall whole: a call's arguments are kept until it ends. One
 * whose arguments are no JSON object can't be given at all; it ends the way in which Google says so
 * itself, finishReason MALFORMED_FUNCTION_CALL with the call's text as finishMessage. What comes
 * with the end (finishReason, usageMetadata, grounding, citations) is the last response of a
 * stream, written once the answer is known to be good. It has an empty text: to Google's own client
 * library a response without content is an answer gone wrong, and the turn is left out of its
 * history. */
#include "base/alloc.h"
#include "base/err.h"
#include "dialect/gemini_priv.h"

enum {
    MAX_CHOICES = 4096,
    MAX_CALLS = 4096,
    MAX_EXTRAS = 256,
    MAX_PENDING = 16 << 20, /* arguments of one call, a signature, texts of malformed calls */
};

int tg_gemini_begin(void *state, const struct tg_render_info *info)
{
    struct tg_gemini_render *r = state;
    struct tg_buf b;
    r->array = info->call && info->call->json_array;
    if (!info->stream)
        return 0;
    tg_buf_init(&b, 64 * 1024);
    tg_gemini_write_tail(info, &b);
    if (tg_buf_ok(&b))
        r->tail = tg_arena_dup(info->arena, tg_buf_str(&b));
    tg_buf_fini(&b);
    return r->tail.p ? 0 : TG_E_NOMEM;
}

static void free_call(struct tg_gemini_call *c)
{
    tg_buf_fini(&c->id);
    tg_buf_fini(&c->name);
    tg_buf_fini(&c->signature);
    tg_buf_fini(&c->args);
}

void tg_gemini_fini(void *state)
{
    struct tg_gemini_render *r = state;
    for (size_t i = 0; i < r->n_calls; i++)
        free_call(&r->calls[i]);
    for (size_t i = 0; i < r->n_choices; i++) {
        tg_buf_fini(&r->choices[i].id);
        tg_buf_fini(&r->choices[i].signature);
        tg_buf_fini(&r->choices[i].word);
        tg_buf_fini(&r->choices[i].malformed);
    }
    tg_free(r->calls);
    tg_free(r->choices);
    tg_collect_fini(&r->collect);
    *r = (struct tg_gemini_render){0};
}

/* ---- state ---- */

static struct tg_gemini_choice *find_choice(struct tg_gemini_render *r, uint32_t index)
{
    if (index >= MAX_CHOICES)
        return NULL;
    if (index < r->n_choices)
        return &r->choices[index];
    struct tg_gemini_choice *p = tg_realloc(r->choices, (index + 1) * sizeof *p);
    if (!p)
        return NULL;
    r->choices = p;
    for (; r->n_choices <= index; r->n_choices++) {
        struct tg_gemini_choice *c = &p[r->n_choices];
        *c = (struct tg_gemini_choice){0};
        tg_buf_init(&c->id, MAX_PENDING);
        tg_buf_init(&c->signature, MAX_PENDING);
        tg_buf_init(&c->word, 4096);
        tg_buf_init(&c->malformed, MAX_PENDING);
    }
    return &p[index];
}

static struct tg_gemini_call *find_call(struct tg_gemini_render *r, uint32_t choice, uint32_t part)
{
    for (size_t i = r->n_calls; i-- > 0;) {
        if (r->calls[i].choice == choice && r->calls[i].part == part)
            return &r->calls[i];
    }
    return NULL;
}

static int add_call(struct tg_gemini_render *r, const struct tg_event *ev)
{
    if (r->n_calls == r->cap_calls) {
        size_t cap = r->cap_calls ? r->cap_calls * 2 : 4;
        struct tg_gemini_call *p = cap > MAX_CALLS ? NULL : tg_realloc(r->calls, cap * sizeof *p);
        if (!p)
            return cap > MAX_CALLS ? TG_E_UPSTREAM_TOO_LARGE : TG_E_NOMEM;
        r->calls = p;
        r->cap_calls = cap;
    }
    struct tg_gemini_call *c = &r->calls[r->n_calls++];
    *c = (struct tg_gemini_call){.choice = ev->choice, .part = ev->part, .opaque = ev->opaque};
    tg_buf_init(&c->id, MAX_PENDING);
    tg_buf_init(&c->name, MAX_PENDING);
    tg_buf_init(&c->signature, MAX_PENDING);
    tg_buf_init(&c->args, MAX_PENDING);
    tg_buf_str_add(&c->id, ev->id);
    tg_buf_str_add(&c->name, ev->name);
    tg_buf_str_add(&c->signature, ev->signature);
    return 0;
}

/* ---- one response of a stream ---- */

static void open_response(struct tg_gemini_render *r, struct tg_buf *out)
{
    if (!r->array)
        tg_buf_lit(out, "data: ");
    else
        tg_buf_str_add(out, r->begun ? TG_STR(",\n") : TG_STR("["));
    r->begun = true;
}

static void close_response(struct tg_gemini_render *r, struct tg_buf *out)
{
    tg_buf_str_add(out, r->tail);
    if (!r->array)
        tg_buf_lit(out, "\n\n");
}

static void open_part(struct tg_gemini_render *r, struct tg_buf *out)
{
    open_response(r, out);
    tg_buf_lit(out, "{\"candidates\":[{\"content\":{\"parts\":[");
}

static int close_part(struct tg_gemini_render *r, uint32_t choice, struct tg_str logprobs,
                      struct tg_buf *out)
{
    if (choice < r->n_choices)
        r->choices[choice].said = true;
    tg_buf_lit(out, "],\"role\":\"model\"},\"index\":");
    tg_buf_u64(out, choice);
    int rc = 0;
    if (logprobs.n) {
        struct tg_buf b;
        tg_buf_init(&b, SIZE_MAX / 4);
        tg_buf_str_add(&b, logprobs);
        tg_buf_char(&b, TG_COLLECT_RS);
        rc = tg_buf_ok(&b) ? tg_gemini_write_logprobs(tg_buf_str(&b), out) : TG_E_NOMEM;
        tg_buf_fini(&b);
    }
    tg_buf_lit(out, "}]");
    close_response(r, out);
    return rc;
}

static void text_part(bool thought, struct tg_str text, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"text\":");
    tg_buf_json_str(out, text);
    if (thought)
        tg_buf_lit(out, ",\"thought\":true");
}

/* ---- events ---- */

static void flush_signature(struct tg_gemini_render *r, struct tg_gemini_choice *c, uint32_t index,
                            struct tg_buf *out)
{
    if (!c->signature.n && c->opaque != TG_OPAQUE_REDACTED)
        return;
    out->failed |= !tg_buf_ok(&c->signature) || !tg_buf_ok(&c->id);
    open_part(r, out);
    text_part(c->kind == TG_PART_REASONING, TG_STR(""), out);
    tg_gemini_write_signature(tg_buf_str(&c->signature), c->opaque, tg_buf_str(&c->id), out);
    tg_buf_char(out, '}');
    (void)close_part(r, index, TG_STR(""), out); /* fails only with logprobs */
    tg_buf_clear(&c->signature);
    c->opaque = TG_OPAQUE_NONE;
}

/* The call is complete: out with it. */
static void flush_call(struct tg_gemini_render *r, struct tg_gemini_choice *c, size_t at,
                       struct tg_buf *out)
{
    struct tg_gemini_call *call = &r->calls[at];
    struct tg_buf part;
    out->failed |= !tg_buf_ok(&call->id) || !tg_buf_ok(&call->name) || !tg_buf_ok(&call->signature);
    tg_buf_init(&part, SIZE_MAX / 4);
    int rc = tg_gemini_write_call(tg_buf_str(&call->id), tg_buf_str(&call->name),
                                  tg_buf_str(&call->args), tg_buf_str(&call->signature),
                                  call->opaque, &part, &c->malformed);
    out->failed |= rc < 0 || !tg_buf_ok(&c->malformed);
    if (rc == 0) {
        open_part(r, out);
        tg_buf_str_add(out, tg_buf_str(&part));
        (void)close_part(r, call->choice, TG_STR(""), out); /* fails only with logprobs */
        out->failed |= !tg_buf_ok(&part);
    }
    tg_buf_fini(&part);
    free_call(call);
    r->n_calls--;
    memmove(call, call + 1, (r->n_calls - at) * sizeof *call);
}

static int media_part(struct tg_gemini_render *r, const struct tg_event *ev, struct tg_buf *out)
{
    const struct tg_media *m = ev->media;
    bool blob = m->source == TG_MEDIA_INLINE;
    open_part(r, out);
    tg_buf_str_add(out, blob ? TG_STR("{\"inlineData\":{\"mimeType\":")
                             : TG_STR("{\"fileData\":{\"mimeType\":"));
    tg_buf_json_str(out, m->mime);
    tg_buf_str_add(out, blob ? TG_STR(",\"data\":") : TG_STR(",\"fileUri\":"));
    tg_buf_json_str(out, m->data);
    tg_buf_lit(out, "}}");
    return close_part(r, ev->choice, TG_STR(""), out);
}

static int raw_part(struct tg_gemini_render *r, const struct tg_event *ev, struct tg_buf *out)
{
    if (ev->format != TG_WIRE_GEMINI_GENERATE || !ev->text.n)
        return 0;
    open_part(r, out);
    tg_buf_json_line(out, ev->text);
    return close_part(r, ev->choice, TG_STR(""), out);
}

static int on_part_start(struct tg_gemini_render *r, struct tg_gemini_choice *c,
                         const struct tg_event *ev, struct tg_buf *out)
{
    if (ev->part_kind == TG_PART_TOOL_CALL)
        return add_call(r, ev);
    flush_signature(r, c, ev->choice, out);
    c->kind = ev->part_kind;
    c->part = ev->part;
    c->opaque = ev->opaque;
    tg_buf_clear(&c->id);
    int rc = tg_buf_str_add(&c->id, ev->id);
    if (rc == 0)
        rc = tg_buf_str_add(&c->signature, ev->signature);
    if (rc)
        return rc;
    if (ev->media)
        return media_part(r, ev, out);
    return ev->part_kind == TG_PART_RAW ? raw_part(r, ev, out) : 0;
}

static int on_signature(struct tg_gemini_render *r, struct tg_gemini_choice *c,
                        const struct tg_event *ev)
{
    struct tg_gemini_call *call = find_call(r, ev->choice, ev->part);
    if (call)
        call->opaque = ev->opaque;
    else
        c->opaque = ev->opaque;
    return tg_buf_str_add(call ? &call->signature : &c->signature, ev->text);
}

static int on_arguments(struct tg_gemini_render *r, const struct tg_event *ev)
{
    struct tg_gemini_call *call = find_call(r, ev->choice, ev->part);
    int rc = call ? tg_buf_str_add(&call->args, ev->text) : 0;
    return rc == TG_E_FULL ? TG_E_UPSTREAM_TOO_LARGE : rc;
}

static int on_delta(struct tg_gemini_render *r, struct tg_gemini_choice *c,
                    const struct tg_event *ev, struct tg_buf *out)
{
    switch (ev->delta_kind) {
    case TG_DELTA_ARGUMENTS:
        return on_arguments(r, ev);
    case TG_DELTA_SIGNATURE:
        return on_signature(r, c, ev);
    case TG_DELTA_CITATION:
        return tg_collect_on_event(&r->collect, ev);
    case TG_DELTA_TEXT:
    case TG_DELTA_REFUSAL:
    case TG_DELTA_REASONING:
        break;
    }
    if (!ev->text.n && !ev->logprobs.n)
        return 0;
    open_part(r, out);
    text_part(ev->delta_kind == TG_DELTA_REASONING, ev->text, out);
    tg_buf_char(out, '}');
    return close_part(r, ev->choice, ev->logprobs, out);
}

static void on_part_end(struct tg_gemini_render *r, struct tg_gemini_choice *c,
                        const struct tg_event *ev, struct tg_buf *out)
{
    struct tg_gemini_call *call = find_call(r, ev->choice, ev->part);
    if (call)
        flush_call(r, c, (size_t)(call - r->calls), out);
    else if (ev->part == c->part)
        flush_signature(r, c, ev->choice, out);
}

static int on_finish(struct tg_gemini_render *r, struct tg_gemini_choice *c,
                     const struct tg_event *ev, struct tg_buf *out)
{
    if (c->finished)
        return 0;
    flush_signature(r, c, ev->choice, out);
    for (size_t i = 0; i < r->n_calls;) {
        if (r->calls[i].choice == ev->choice)
            flush_call(r, c, i, out);
        else
            i++;
    }
    c->finished = true;
    c->finish = ev->finish;
    return tg_buf_str_add(&c->word, ev->text);
}

static int stream_event(struct tg_gemini_render *r, const struct tg_event *ev, struct tg_buf *out)
{
    if (ev->kind == TG_EV_EXTRA)
        return r->collect.n_extras < MAX_EXTRAS ? tg_collect_on_event(&r->collect, ev) : 0;
    if (ev->kind < TG_EV_PART_START || ev->kind > TG_EV_FINISH || ev->kind == TG_EV_USAGE)
        return 0;
    struct tg_gemini_choice *c = find_choice(r, ev->choice);
    if (!c)
        return TG_E_NOMEM;
    if (ev->kind == TG_EV_PART_START)
        return on_part_start(r, c, ev, out);
    if (ev->kind == TG_EV_DELTA)
        return on_delta(r, c, ev, out);
    if (ev->kind == TG_EV_FINISH)
        return on_finish(r, c, ev, out);
    on_part_end(r, c, ev, out);
    return 0;
}

int tg_gemini_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                     struct tg_buf *out)
{
    struct tg_gemini_render *r = state;
    if (!info->stream) {
        bool full = ev->kind == TG_EV_EXTRA && r->collect.n_extras >= MAX_EXTRAS;
        return full ? 0 : tg_collect_on_event(&r->collect, ev);
    }
    int rc = stream_event(r, ev, out);
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* ---- the end ---- */

/* A prompt that was blocked has no candidates. */
static bool was_blocked(const struct tg_collect *c)
{
    for (size_t i = 0; i < c->n_extras; i++) {
        if (tg_str_eq(tg_buf_str(&c->extras[i].name), TG_STR("promptFeedback")))
            return true;
    }
    return false;
}

/* `"finishReason":…` to the last member of a candidate. */
static void write_end(const struct tg_collect *c, uint32_t index, struct tg_str word,
                      struct tg_str malformed, struct tg_buf *out)
{
    tg_buf_lit(out, "\"finishReason\":");
    tg_buf_json_str(out, word);
    if (malformed.n) {
        tg_buf_lit(out, ",\"finishMessage\":");
        tg_buf_json_str(out, malformed);
    }
    tg_buf_lit(out, ",\"index\":");
    tg_buf_u64(out, index);
    tg_gemini_write_extras(c, index, false, out);
    tg_gemini_write_citations(c, index, out);
}

static void end_stream(struct tg_gemini_render *r, const struct tg_usage *usage, struct tg_buf *out)
{
    bool first = true;
    open_response(r, out);
    tg_buf_lit(out, "{\"candidates\":[");
    for (size_t i = 0; i < r->n_choices; i++) {
        struct tg_gemini_choice *c = &r->choices[i];
        if (!c->finished || (was_blocked(&r->collect) && c->finish == TG_FINISH_CONTENT_FILTER))
            continue;
        struct tg_str malformed = tg_buf_str(&c->malformed);
        tg_buf_str_add(out, first ? TG_STR("{") : TG_STR(",{"));
        first = false;
        if (c->said)
            tg_buf_lit(out, "\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},");
        write_end(&r->collect, (uint32_t)i,
                  tg_gemini_finish_word(c->finish, tg_buf_str(&c->word), malformed.n > 0),
                  malformed, out);
        tg_buf_char(out, '}');
    }
    tg_buf_char(out, ']');
    tg_gemini_write_extras(&r->collect, 0, true, out);
    tg_gemini_write_usage(usage, out);
    close_response(r, out);
    if (r->array)
        tg_buf_char(out, ']');
}

/* One part of a single answer; false: nothing was written. */
static bool single_part(const struct tg_collect_part *p, struct tg_buf *out,
                        struct tg_buf *malformed)
{
    struct tg_str text = tg_buf_str(&p->text), signature = tg_buf_str(&p->signature);
    int rc;
    switch (p->kind) {
    case TG_PART_TOOL_CALL:
        rc = tg_gemini_write_call(tg_buf_str(&p->id), tg_buf_str(&p->name), text, signature,
                                  p->opaque, out, malformed);
        out->failed |= rc < 0 || !tg_buf_ok(malformed);
        return rc == 0;
    case TG_PART_IMAGE:
    case TG_PART_AUDIO:
        tg_buf_lit(out, "{\"inlineData\":{\"mimeType\":");
        tg_buf_json_str(out, tg_buf_str(&p->mime));
        tg_buf_lit(out, ",\"data\":");
        tg_buf_json_str(out, text);
        tg_buf_char(out, '}');
        break;
    case TG_PART_RAW:
        if (p->format != TG_WIRE_GEMINI_GENERATE || !text.n)
            return false;
        tg_buf_json_line(out, text);
        return true;
    case TG_PART_TEXT:
    case TG_PART_REFUSAL:
    case TG_PART_REASONING:
        if (!text.n && !signature.n && p->opaque != TG_OPAQUE_REDACTED)
            return false;
        text_part(p->kind == TG_PART_REASONING, text, out);
        break;
    case TG_PART_DOCUMENT:
    case TG_PART_TOOL_RESULT:
        return false;
    }
    tg_gemini_write_signature(signature, p->opaque, tg_buf_str(&p->id), out);
    tg_buf_char(out, '}');
    return true;
}

static int single_choice(struct tg_gemini_render *r, const struct tg_collect_choice *ch,
                         struct tg_buf *out)
{
    struct tg_buf malformed;
    bool any = false;
    tg_buf_init(&malformed, MAX_PENDING);
    tg_buf_lit(out, "{\"content\":{\"parts\":[");
    for (size_t i = 0; i < ch->n_parts; i++) {
        size_t from = out->n;
        if (any)
            tg_buf_char(out, ',');
        if (single_part(&ch->parts[i], out, &malformed))
            any = true;
        else
            out->n = from;
    }
    if (!any)
        tg_buf_lit(out, "{\"text\":\"\"}");
    tg_buf_lit(out, "],\"role\":\"model\"},");
    write_end(&r->collect, ch->index,
              tg_gemini_finish_word(ch->finish, tg_buf_str(&ch->finish_text), malformed.n > 0),
              tg_buf_str(&malformed), out);
    int rc = tg_gemini_write_logprobs(tg_buf_str(&ch->logprobs), out);
    tg_buf_char(out, '}');
    tg_buf_fini(&malformed);
    return rc;
}

int tg_gemini_finish(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                     uint64_t now_us, struct tg_buf *out)
{
    struct tg_gemini_render *r = state;
    bool blocked = was_blocked(&r->collect), first = true;
    if (info->stream) {
        end_stream(r, usage, out);
        return tg_buf_ok(out) ? 0 : TG_E_FULL;
    }
    tg_buf_lit(out, "{\"candidates\":[");
    for (size_t i = 0; i < r->collect.n_choices; i++) {
        const struct tg_collect_choice *ch = &r->collect.choices[i];
        if (blocked && !ch->n_parts)
            continue;
        if (!first)
            tg_buf_char(out, ',');
        first = false;
        int rc = single_choice(r, ch, out);
        if (rc)
            return rc;
    }
    tg_buf_char(out, ']');
    tg_gemini_write_extras(&r->collect, 0, true, out);
    tg_gemini_write_usage(usage, out);
    tg_gemini_write_tail(info, out);
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}
