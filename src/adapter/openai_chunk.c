/* One JSON document of an answer (chunk or whole) → canonical events. Fields beyond OpenAI's own,
 * as seen in recorded answers: reasoning as `reasoning_content` (DeepSeek, xAI, Alibaba, zAI) or
 * `reasoning` (OpenRouter, Groq, Ollama, Cerebras), Mistral's content as an array of text and
 * thinking parts, both `delta` and `message` in one chunk (Perplexity), both `text` and `delta`
 * (Together), tool calls whole in one delta (xAI, Mistral, Ollama), without an index, or with the
 * same index for different calls. */
#include "adapter/openai_priv.h"
#include "adapter/openai_said_priv.h"
#include "base/err.h"

enum { SEARCH_RESULTS = 1 << 1 }; /* in extras_seen: its place in on_extras() */

/* Pass-through wants to know only that content has begun. */
static void note_content(struct tg_openai_ctx *c, const struct tg_openai_said *s)
{
    struct tg_event ev = {.kind = TG_EV_DELTA};
    if (tg_json_str(s->content).n) {
        ev.text = tg_json_str(s->content);
    } else if (tg_json_str(s->reasoning).n || tg_json_count(s->details)) {
        ev.delta_kind = TG_DELTA_REASONING;
        ev.text = tg_json_str(s->reasoning);
    } else if (tg_json_str(s->refusal).n) {
        ev.delta_kind = TG_DELTA_REFUSAL;
        ev.text = tg_json_str(s->refusal);
    } else if (tg_json_count(s->tool_calls) || tg_json_is_obj(s->function_call)) {
        ev.delta_kind = TG_DELTA_ARGUMENTS;
    } else if (!tg_json_count(s->content)) {
        return;
    }
    c->d->content_seen = true;
    tg_openai_emit(c, &ev);
}

struct choice_members {
    const struct tg_json *index, *delta, *message, *text, *logprobs, *finish, *filter;
};

static void find_choice_members(const struct tg_json *v, struct choice_members *m)
{
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("index")))
            m->index = it.value;
        else if (tg_str_eq(it.name, TG_STR("delta")))
            m->delta = it.value;
        else if (tg_str_eq(it.name, TG_STR("finish_reason")))
            m->finish = it.value;
        else if (tg_str_eq(it.name, TG_STR("logprobs")))
            m->logprobs = it.value;
        else if (tg_str_eq(it.name, TG_STR("message")))
            m->message = it.value;
        else if (tg_str_eq(it.name, TG_STR("text")))
            m->text = it.value;
        else if (tg_str_eq(it.name, TG_STR("content_filter_results")))
            m->filter = it.value;
    }
}

/* What the choice says: in a stream its delta, in a whole answer its message, in the old format
 * its text; whatever of it there is. */
static void choice_said(const struct tg_openai_dec *d, const struct choice_members *m,
                        struct tg_openai_said *s)
{
    bool whole = d->mode == TG_OPENAI_BODY;
    const struct tg_json *first = whole ? m->message : m->delta;
    const struct tg_json *second = whole ? m->delta : m->message;
    if (d->resp.format == TG_WIRE_OPENAI_COMPLETIONS && tg_json_is_str(m->text))
        s->content = m->text;
    else if (tg_json_is_obj(first) || tg_json_is_obj(second))
        tg_openai_find_said(tg_json_is_obj(first) ? first : second, s);
    else
        s->content = m->text;
}

static void extra(struct tg_openai_ctx *c, uint32_t choice, struct tg_str name,
                  const struct tg_json *v)
{
    struct tg_event ev = {.kind = TG_EV_EXTRA,
                          .choice = choice,
                          .name = name,
                          .text = tg_json_raw(c->doc, v),
                          .format = TG_WIRE_OPENAI_CHAT};
    c->sink->on_event(c->sink, &ev);
}

/* Azure's verdicts: in a stream with every chunk, of which only those count that say something. */
static void on_filter(struct tg_openai_ctx *c, const struct tg_json *filter, bool whole)
{
    if (tg_json_count(filter) == 0)
        return;
    struct tg_str raw = tg_json_raw(c->doc, filter);
    if (whole || tg_str_find(raw, TG_STR("\"filtered\":true")) >= 0)
        extra(c, c->ch->index, TG_STR("content_filter_results"), filter);
}

static void on_choice(struct tg_openai_ctx *c, const struct tg_json *v, size_t position)
{
    struct choice_members m = {0};
    struct tg_openai_said s = {0};
    int64_t index;
    find_choice_members(v, &m);
    if (tg_json_i64(m.index, &index))
        index = (int64_t)position;
    if (index < 0 || index >= TG_OPENAI_MAX_CHOICES) {
        c->err = TG_E_UPSTREAM_INVALID;
        return;
    }
    c->ch = tg_openai_find_choice(c->d, (uint32_t)index, &c->err);
    if (!c->ch)
        return;
    bool whole = c->d->mode == TG_OPENAI_BODY;
    if (!c->d->resp.tap) {
        c->logprobs = (struct tg_str){NULL, 0};
        if (tg_json_is_obj(m.logprobs))
            c->logprobs = tg_json_raw(c->doc, m.logprobs);
        choice_said(c->d, &m, &s);
        tg_openai_say(c, &s, whole);
        if (tg_unlikely(m.filter))
            on_filter(c, m.filter, whole);
    } else {
        choice_said(c->d, &m, &s);
        if (!c->d->content_seen)
            note_content(c, &s);
        if (tg_unlikely(s.details || s.tool_calls || s.extra_content))
            tg_openai_tap_signatures(c, &s);
    }
    if (!c->err && (tg_json_is_str(m.finish) || whole))
        tg_openai_finish_choice(c, tg_json_str(m.finish));
}

/* ---- the document ---- */

struct members {
    const struct tg_json *id, *model, *choices, *usage, *error, *x_groq, *object, *service_tier;
    /* Perplexity's sources, Azure's verdict on the prompt */
    const struct tg_json *citations, *search_results, *prompt_filter;
};

static void find_rare(const struct tg_json_iter *it, struct members *m)
{
    const struct {
        struct tg_str name;
        const struct tg_json **slot;
    } rare[] = {
        {TG_STR_INIT("service_tier"), &m->service_tier},
        {TG_STR_INIT("citations"), &m->citations},
        {TG_STR_INIT("search_results"), &m->search_results},
        {TG_STR_INIT("prompt_filter_results"), &m->prompt_filter},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rare); i++) {
        if (tg_str_eq(it->name, rare[i].name))
            *rare[i].slot = it->value;
    }
}

static void find_members(const struct tg_json *root, struct members *m)
{
    struct tg_json_iter it = tg_json_iter(root);
    while (tg_json_next(&it)) {
        switch (it.name.n) {
        case 2:
            if (memcmp(it.name.p, "id", 2) == 0)
                m->id = it.value;
            break;
        case 5:
            if (memcmp(it.name.p, "model", 5) == 0)
                m->model = it.value;
            else if (memcmp(it.name.p, "usage", 5) == 0)
                m->usage = it.value;
            else if (memcmp(it.name.p, "error", 5) == 0)
                m->error = it.value;
            break;
        case 6:
            if (memcmp(it.name.p, "x_groq", 6) == 0)
                m->x_groq = it.value;
            else if (memcmp(it.name.p, "object", 6) == 0)
                m->object = it.value;
            break;
        case 7:
            if (memcmp(it.name.p, "choices", 7) == 0)
                m->choices = it.value;
            break;
        default:
            find_rare(&it, m);
            break;
        }
    }
}

static bool same_usage(const struct tg_usage *a, const struct tg_usage *b)
{
    return a->source == b->source && a->input_tokens == b->input_tokens &&
           a->cache_read_tokens == b->cache_read_tokens &&
           a->cache_write_tokens == b->cache_write_tokens && a->output_tokens == b->output_tokens &&
           a->reasoning_tokens == b->reasoning_tokens;
}

/* Groq puts usage into x_groq of the last chunk, also when nobody asked for any. */
static void on_usage(struct tg_openai_ctx *c, const struct members *m)
{
    struct tg_usage u;
    bool own = tg_openai_usage(m->usage, &u);
    if (!own && (c->d->usage_seen || !tg_openai_usage(tg_json_get(m->x_groq, TG_STR("usage")), &u)))
        return;
    c->d->usage_seen |= own;
    if (same_usage(&u, &c->d->usage))
        return;
    c->d->usage = u;
    struct tg_event ev = {.kind = TG_EV_USAGE, .usage = &u};
    c->sink->on_event(c->sink, &ev);
}

static void on_start(struct tg_openai_ctx *c, const struct members *m)
{
    c->d->started = true;
    struct tg_event ev = {
        .kind = TG_EV_START, .id = tg_json_str(m->id), .model = tg_json_str(m->model)};
    ev.service_tier = tg_json_str(m->service_tier);
    c->sink->on_event(c->sink, &ev);
}

/* Members of the whole answer that have no other place: once each, however often they come. */
static void on_extras(struct tg_openai_ctx *c, const struct members *m)
{
    const struct {
        struct tg_str name;
        const struct tg_json *v;
    } extras[] = {
        {TG_STR_INIT("citations"), m->citations},
        {TG_STR_INIT("search_results"), m->search_results},
        {TG_STR_INIT("prompt_filter_results"), m->prompt_filter},
    };
    for (uint32_t i = 0; i < TG_ARRAY_LEN(extras); i++) {
        if (!tg_json_count(extras[i].v) || c->d->extras_seen & 1u << i)
            continue;
        c->d->extras_seen |= 1u << i;
        extra(c, 0, extras[i].name, extras[i].v);
    }
}

/* Perplexity names its sources beside the choices, from the first chunk on: they are the citations
 * of the text that is to come. */
static void on_sources(struct tg_openai_ctx *c, const struct members *m)
{
    if (tg_likely(!m->search_results) || c->d->resp.tap || c->d->extras_seen & SEARCH_RESULTS ||
        !tg_json_count(m->search_results) || !tg_json_count(m->choices))
        return;
    c->ch = tg_openai_find_choice(c->d, 0, &c->err);
    if (c->ch)
        tg_openai_say_sources(c, m->search_results);
}

/* Groq's word for why a stream stopped early. */
static struct tg_str groq_error(const struct members *m)
{
    return m->x_groq ? tg_json_get_str(m->x_groq, TG_STR("error")) : (struct tg_str){NULL, 0};
}

static TG_COLD int on_error(struct tg_openai_ctx *c, const struct members *m)
{
    struct tg_openai_error e = {.message = groq_error(m)};
    struct tg_fail fail;
    if (!e.message.n && !tg_openai_find_error(tg_json_root(c->doc), &e))
        return tg_openai_broken(c->d, c->sink, TG_E_UPSTREAM_INVALID,
                                "the provider's answer could not be understood");
    on_usage(c, m);
    tg_fail_clear(&fail);
    tg_openai_set_fail(e.status, &e, &fail);
    return tg_openai_emit_error(c->d, c->sink, &fail);
}

static TG_COLD int failed(struct tg_openai_ctx *c)
{
    return tg_openai_broken(c->d, c->sink, c->err,
                            c->err == TG_E_NOMEM
                                ? "not enough memory for the provider's answer"
                                : "the provider's answer has too many choices or tool calls");
}

/* An answer of another task than chat. */
static int on_task(struct tg_openai_ctx *c, const struct members *m)
{
    struct tg_openai_dec *d = c->d;
    struct tg_usage u;
    if (tg_openai_is_items(d->resp.task)) {
        d->started = true;
        d->seen = tg_openai_on_items(&d->resp, c->doc, c->sink);
        return d->seen ? 0 : on_error(c, m);
    }
    d->seen = true;
    if (!d->content_seen)
        c->sink->on_event(c->sink, &(struct tg_event){.kind = TG_EV_DELTA});
    d->content_seen = true;
    if (tg_openai_media_usage(m->usage, &u))
        c->sink->on_event(c->sink, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
    return 0;
}

static int on_chunk(struct tg_openai_ctx *c, const struct members *m)
{
    struct tg_openai_dec *d = c->d;
    bool usage_only = m->usage && tg_json_is_obj(m->usage) && tg_json_count(m->choices) == 0;
    /* A chunk without choices is fine when it has something else to say (Azure's filter results,
     * usage); an answer without them is none. */
    if (tg_unlikely(!tg_json_is_arr(m->choices) && !usage_only)) {
        if (d->mode == TG_OPENAI_BODY || !d->seen)
            return on_error(c, m);
    }
    d->seen = true;
    /* Azure's first chunk has filter results, but neither id nor model nor choices. */
    if (tg_unlikely(!d->started) && (tg_json_str(m->id).n || tg_json_count(m->choices)))
        on_start(c, m);
    on_sources(c, m);
    struct tg_json_iter it = tg_json_iter(tg_json_is_arr(m->choices) ? m->choices : NULL);
    while (!c->err && tg_json_next(&it))
        on_choice(c, it.value, it.index);
    if (tg_unlikely(c->err))
        return failed(c);
    if (tg_unlikely(m->citations || m->search_results || m->prompt_filter) && !d->resp.tap)
        on_extras(c, m);
    if (!tg_json_is_nil(m->usage) || m->x_groq)
        on_usage(c, m);
    return usage_only ? 1 : 0;
}

int tg_openai_on_json(struct tg_openai_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct tg_openai_ctx c = {.d = d, .doc = doc, .sink = sink};
    struct members m = {0};
    if (tg_unlikely(d->resp.format == TG_WIRE_OPENAI_RESPONSES) &&
        !tg_openai_is_items(d->resp.task))
        return tg_responses_on_json(d, doc, sink);
    find_members(tg_json_root(doc), &m);
    if (tg_unlikely(groq_error(&m).n || !tg_json_is_nil(m.error) ||
                    (m.object && tg_json_str_is(m.object, TG_STR("error")))))
        return on_error(&c, &m);
    if (tg_unlikely(d->resp.task != TG_TASK_CHAT))
        return on_task(&c, &m);
    return on_chunk(&c, &m);
}

/* ---- mending ---- */

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    return v;
}

/* The surrogate (0xD800-0xDFFF) escaped at p, or -1. */
static int surrogate_at(struct tg_str s, size_t at)
{
    if (at + 6 > s.n || s.p[at] != '\\' || s.p[at + 1] != 'u')
        return -1;
    int v = hex4(s.p + at + 2);
    return v >= 0xD800 && v <= 0xDFFF ? v : -1;
}

/* Servers that cut tokens in the middle of a character write halves of surrogate pairs. Each
 * becomes U+FFFD, which has the same length, so that spans stay right. */
static bool mend_surrogates(char *p, size_t n)
{
    bool any = false;
    struct tg_str s = tg_str_make(p, n);
    for (size_t i = 0; i + 1 < n; i++) {
        if (p[i] != '\\')
            continue;
        int v = surrogate_at(s, i);
        int next = v >= 0 && v < 0xDC00 ? surrogate_at(s, i + 6) : -1;
        if (v >= 0 && next >= 0xDC00) {
            i += 11;
        } else if (v >= 0) {
            memcpy(p + i + 2, "FFFD", 4);
            any = true;
            i += 5;
        } else {
            i++; /* the escaped byte */
        }
    }
    return any;
}

int tg_openai_parse(struct tg_openai_dec *d, struct tg_str text, struct tg_json_doc **out)
{
    struct tg_json_limits limits = {.max_string_bytes = d->resp.max_pending_bytes};
    if (tg_unlikely(d->resp.task == TG_TASK_EMBED))
        limits.max_values = text.n; /* nothing but numbers */
    int rc = tg_json_parse(&d->scratch, text, &limits, out, NULL);
    if (tg_likely(rc != TG_E_INVALID_JSON) || tg_str_find(text, TG_STR("\\u")) < 0)
        return rc;
    char *copy = tg_arena_alloc(&d->scratch, text.n);
    if (!copy)
        return TG_E_NOMEM;
    memcpy(copy, text.p, text.n);
    if (!mend_surrogates(copy, text.n))
        return rc;
    return tg_json_parse(&d->scratch, tg_str_make(copy, text.n), &limits, out, NULL);
}
