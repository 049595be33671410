/* One JSON document of an answer (chunk or whole) → canonical events. Fields beyond OpenAI's own,
 * as seen in recorded answers: reasoning as `reasoning_content` (DeepSeek, xAI, Alibaba, zAI) or
 * `reasoning` (OpenRouter, Groq, Ollama, Cerebras), Mistral's content as an array of text and
 * thinking parts, both `delta` and `message` in one chunk (Perplexity), both `text` and `delta`
 * (Together), tool calls whole in one delta (xAI, Mistral, Ollama), without an index, or with the
 * same index for different calls. */
#include "adapter/openai_priv.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/map.h"
#include "json/splice.h"

enum { MAX_CHOICES = 4096, MAX_TOOLS = 1024 };

/* What the functions below share. */
struct ctx {
    struct tg_openai_dec *d;
    struct tg_json_doc *doc;
    struct tg_sink *sink;
    struct tg_openai_choice *ch;
    struct tg_str logprobs; /* of this choice in this chunk; "" once it went with a delta */
    int err;                /* first failure */
};

/* ---- choices and parts ---- */

void tg_openai_free_choices(struct tg_openai_dec *d)
{
    for (uint32_t i = 0; i < d->n_choices; i++)
        tg_free(d->choices[i].tools);
    if (d->choices != &d->first)
        tg_free(d->choices);
    d->choices = NULL;
    d->n_choices = d->cap_choices = d->n_finished = 0;
}

static int grow_choices(struct tg_openai_dec *d)
{
    uint32_t cap = d->cap_choices ? d->cap_choices * 2 : 1;
    if (cap > MAX_CHOICES)
        return TG_E_UPSTREAM_INVALID;
    if (cap == 1) {
        d->choices = &d->first;
    } else {
        bool inside = d->choices == &d->first;
        struct tg_openai_choice *p =
            tg_realloc(inside ? NULL : d->choices, cap * sizeof(*d->choices));
        if (!p)
            return TG_E_NOMEM;
        if (inside)
            *p = d->first;
        d->choices = p;
    }
    d->cap_choices = cap;
    return 0;
}

static struct tg_openai_choice *find_choice(struct tg_openai_dec *d, uint32_t index, int *err)
{
    if (tg_likely(index < d->n_choices && d->choices[index].index == index))
        return &d->choices[index];
    for (uint32_t i = 0; i < d->n_choices; i++) {
        if (d->choices[i].index == index)
            return &d->choices[i];
    }
    if (d->n_choices == d->cap_choices) {
        int rc = grow_choices(d);
        if (rc) {
            *err = rc;
            return NULL;
        }
    }
    d->choices[d->n_choices] = (struct tg_openai_choice){.index = index};
    return &d->choices[d->n_choices++];
}

static void emit(struct ctx *c, struct tg_event *ev)
{
    ev->choice = c->ch->index;
    c->sink->on_event(c->sink, ev);
}

static void end_part(struct ctx *c, uint32_t part)
{
    emit(c, &(struct tg_event){.kind = TG_EV_PART_END, .part = part});
}

static void end_open_part(struct ctx *c)
{
    if (c->ch->open)
        end_part(c, c->ch->open_part);
    c->ch->open = false;
}

static void delta(struct ctx *c, uint32_t part, enum tg_delta_kind kind, struct tg_str text)
{
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = part,
                               .delta_kind = kind,
                               .text = text,
                               .logprobs = c->logprobs});
    c->logprobs = (struct tg_str){NULL, 0};
}

/* A piece of text, reasoning or refusal: goes on with the open part of its kind or begins one. */
static void text_piece(struct ctx *c, enum tg_part_kind part_kind, enum tg_delta_kind kind,
                       struct tg_str text)
{
    struct tg_openai_choice *ch = c->ch;
    if (ch->finished || (!text.n && !c->logprobs.n))
        return;
    if (!ch->open || ch->open_kind != part_kind) {
        end_open_part(c);
        ch->open = true;
        ch->open_kind = part_kind;
        ch->open_part = ch->n_parts++;
        emit(c, &(struct tg_event){
                    .kind = TG_EV_PART_START, .part = ch->open_part, .part_kind = part_kind});
    }
    delta(c, ch->open_part, kind, text);
}

/* Mistral: [{"type":"thinking","thinking":[{"type":"text","text":"…"}]},{"type":"text",…}] */
static void content_parts(struct ctx *c, const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        const struct tg_json *thinking = tg_json_get(it.value, TG_STR("thinking"));
        struct tg_json_iter inner = tg_json_iter(thinking);
        if (tg_json_is_str(thinking))
            text_piece(c, TG_PART_REASONING, TG_DELTA_REASONING, tg_json_str(thinking));
        while (tg_json_next(&inner))
            text_piece(c, TG_PART_REASONING, TG_DELTA_REASONING,
                       tg_json_get_str(inner.value, TG_STR("text")));
        text_piece(c, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_get_str(it.value, TG_STR("text")));
    }
}

/* ---- tool calls ---- */

static struct tg_openai_tool *known_tool(struct tg_openai_choice *ch, int64_t index, uint64_t id)
{
    for (uint32_t i = ch->n_tools; i-- > 0;) {
        struct tg_openai_tool *t = &ch->tools[i];
        if (index >= 0 ? t->index == index : i == ch->n_tools - 1) {
            /* The same number for another id is another call. */
            return id && t->id_hash && id != t->id_hash ? NULL : t;
        }
    }
    return NULL;
}

static struct tg_openai_tool *add_tool(struct ctx *c, int64_t index, uint64_t id)
{
    struct tg_openai_choice *ch = c->ch;
    if (ch->n_tools == ch->cap_tools) {
        uint32_t cap = ch->cap_tools ? ch->cap_tools * 2 : 4;
        void *p = cap > MAX_TOOLS ? NULL : tg_realloc(ch->tools, cap * sizeof(*ch->tools));
        if (!p) {
            c->err = cap > MAX_TOOLS ? TG_E_UPSTREAM_INVALID : TG_E_NOMEM;
            return NULL;
        }
        ch->tools = p;
        ch->cap_tools = cap;
    }
    ch->tools[ch->n_tools] = (struct tg_openai_tool){index, id, ch->n_parts++};
    return &ch->tools[ch->n_tools++];
}

/* Arguments are a string; a server that sends an object means its text. */
static struct tg_str arguments_of(struct ctx *c, const struct tg_json *v)
{
    if (tg_json_is_obj(v))
        return tg_json_raw(c->doc, v);
    return tg_json_str(v);
}

static void tool_call(struct ctx *c, const struct tg_json *v, bool whole)
{
    if (c->ch->finished || !tg_json_is_obj(v))
        return;
    const struct tg_json *fn = tg_json_get(v, TG_STR("function"));
    struct tg_str id = tg_json_get_str(v, TG_STR("id"));
    int64_t index;
    if (tg_json_i64(tg_json_get(v, TG_STR("index")), &index) || index < 0 || whole)
        index = -1;
    uint64_t hash = id.n ? tg_hash(id) | 1 : 0;
    struct tg_openai_tool *t = whole ? NULL : known_tool(c->ch, index, hash);
    if (!t) {
        end_open_part(c);
        t = add_tool(c, index, hash);
        if (!t)
            return;
        emit(c, &(struct tg_event){.kind = TG_EV_PART_START,
                                   .part = t->part,
                                   .part_kind = TG_PART_TOOL_CALL,
                                   .id = id,
                                   .name = tg_json_get_str(fn, TG_STR("name"))});
    }
    struct tg_str arguments = arguments_of(c, tg_json_get(fn, TG_STR("arguments")));
    if (arguments.n)
        delta(c, t->part, TG_DELTA_ARGUMENTS, arguments);
}

/* The old `function_call`: one call without an id. */
static void function_call(struct ctx *c, const struct tg_json *fn)
{
    struct tg_openai_choice *ch = c->ch;
    if (ch->finished || !tg_json_is_obj(fn))
        return;
    if (!ch->n_tools) {
        end_open_part(c);
        struct tg_openai_tool *t = add_tool(c, -1, 0);
        if (!t)
            return;
        emit(c, &(struct tg_event){.kind = TG_EV_PART_START,
                                   .part = t->part,
                                   .part_kind = TG_PART_TOOL_CALL,
                                   .id = TG_STR(""),
                                   .name = tg_json_get_str(fn, TG_STR("name"))});
    }
    struct tg_str arguments = arguments_of(c, tg_json_get(fn, TG_STR("arguments")));
    if (arguments.n)
        delta(c, ch->tools[0].part, TG_DELTA_ARGUMENTS, arguments);
}

/* ---- one choice ---- */

static enum tg_finish finish_of(struct tg_str word)
{
    static const struct {
        struct tg_str word;
        enum tg_finish finish;
    } words[] = {
        {TG_STR_INIT("stop"), TG_FINISH_STOP},
        {TG_STR_INIT("tool_calls"), TG_FINISH_TOOL_CALLS},
        {TG_STR_INIT("length"), TG_FINISH_LENGTH},
        {TG_STR_INIT("content_filter"), TG_FINISH_CONTENT_FILTER},
        {TG_STR_INIT("function_call"), TG_FINISH_TOOL_CALLS},
        {TG_STR_INIT("eos"), TG_FINISH_STOP},       /* Together */
        {TG_STR_INIT("eos_token"), TG_FINISH_STOP}, /* TGI */
        {TG_STR_INIT("stop_sequence"), TG_FINISH_STOP},
        {TG_STR_INIT("end_turn"), TG_FINISH_STOP},
        {TG_STR_INIT("model_length"), TG_FINISH_LENGTH}, /* Mistral */
        {TG_STR_INIT("max_tokens"), TG_FINISH_LENGTH},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(word, words[i].word))
            return words[i].finish;
    }
    return word.n ? TG_FINISH_OTHER : TG_FINISH_STOP;
}

static void finish_choice(struct ctx *c, struct tg_str word)
{
    struct tg_openai_choice *ch = c->ch;
    if (ch->finished)
        return;
    if (!c->d->resp.tap) {
        end_open_part(c);
        for (uint32_t i = 0; i < ch->n_tools; i++)
            end_part(c, ch->tools[i].part);
    }
    ch->finished = true;
    c->d->n_finished++;
    emit(c, &(struct tg_event){.kind = TG_EV_FINISH, .finish = finish_of(word), .text = word});
}

void tg_openai_close_choices(struct tg_openai_dec *d, struct tg_sink *sink)
{
    for (uint32_t i = 0; i < d->n_choices; i++) {
        struct ctx c = {.d = d, .sink = sink, .ch = &d->choices[i]};
        finish_choice(&c, TG_STR(""));
    }
}

/* The members of `delta` or `message`, each kind in the order in which it is thought and said. */
struct said {
    const struct tg_json *reasoning, *content, *refusal, *tool_calls, *function_call;
};

static void find_said(const struct tg_json *m, struct said *s)
{
    struct tg_json_iter it = tg_json_iter(m);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("content")))
            s->content = it.value;
        else if (tg_str_eq(it.name, TG_STR("tool_calls")))
            s->tool_calls = it.value;
        else if (tg_str_eq(it.name, TG_STR("refusal")))
            s->refusal = it.value;
        else if (tg_str_eq(it.name, TG_STR("reasoning_content")) ||
                 (tg_str_eq(it.name, TG_STR("reasoning")) && !tg_json_str(s->reasoning).n))
            s->reasoning = it.value;
        else if (tg_str_eq(it.name, TG_STR("function_call")))
            s->function_call = it.value;
    }
}

static void say(struct ctx *c, const struct said *s, bool whole)
{
    if (tg_json_str(s->reasoning).n)
        text_piece(c, TG_PART_REASONING, TG_DELTA_REASONING, tg_json_str(s->reasoning));
    if (tg_json_is_arr(s->content))
        content_parts(c, s->content);
    else
        text_piece(c, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_str(s->content));
    if (tg_json_str(s->refusal).n)
        text_piece(c, TG_PART_REFUSAL, TG_DELTA_REFUSAL, tg_json_str(s->refusal));
    struct tg_json_iter it = tg_json_iter(s->tool_calls);
    while (!c->err && tg_json_next(&it))
        tool_call(c, it.value, whole);
    function_call(c, s->function_call);
}

/* Pass-through wants to know only that content has begun. */
static void note_content(struct ctx *c, const struct said *s)
{
    struct tg_event ev = {.kind = TG_EV_DELTA};
    if (tg_json_str(s->content).n) {
        ev.text = tg_json_str(s->content);
    } else if (tg_json_str(s->reasoning).n) {
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
    emit(c, &ev);
}

struct choice_members {
    const struct tg_json *index, *delta, *message, *text, *logprobs, *finish;
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
    }
}

/* What the choice says: in a stream its delta, in a whole answer its message, in the old format
 * its text; whatever of it there is. */
static void choice_said(const struct tg_openai_dec *d, const struct choice_members *m,
                        struct said *s)
{
    bool whole = d->mode == TG_OPENAI_BODY;
    const struct tg_json *first = whole ? m->message : m->delta;
    const struct tg_json *second = whole ? m->delta : m->message;
    if (d->resp.format == TG_WIRE_OPENAI_COMPLETIONS && tg_json_is_str(m->text))
        s->content = m->text;
    else if (tg_json_is_obj(first) || tg_json_is_obj(second))
        find_said(tg_json_is_obj(first) ? first : second, s);
    else
        s->content = m->text;
}

static void on_choice(struct ctx *c, const struct tg_json *v, size_t position)
{
    struct choice_members m = {0};
    struct said s = {0};
    int64_t index;
    find_choice_members(v, &m);
    if (tg_json_i64(m.index, &index))
        index = (int64_t)position;
    if (index < 0 || index >= MAX_CHOICES) {
        c->err = TG_E_UPSTREAM_INVALID;
        return;
    }
    c->ch = find_choice(c->d, (uint32_t)index, &c->err);
    if (!c->ch)
        return;
    bool whole = c->d->mode == TG_OPENAI_BODY;
    if (!c->d->resp.tap) {
        c->logprobs = (struct tg_str){NULL, 0};
        if (tg_json_is_obj(m.logprobs))
            c->logprobs = tg_json_raw(c->doc, m.logprobs);
        choice_said(c->d, &m, &s);
        say(c, &s, whole);
    } else if (!c->d->content_seen) {
        choice_said(c->d, &m, &s);
        note_content(c, &s);
    }
    if (!c->err && (tg_json_is_str(m.finish) || whole))
        finish_choice(c, tg_json_str(m.finish));
}

/* ---- the document ---- */

struct members {
    const struct tg_json *id, *model, *choices, *usage, *error, *x_groq, *object;
};

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
static void on_usage(struct ctx *c, const struct members *m)
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

static void on_start(struct ctx *c, const struct members *m)
{
    c->d->started = true;
    struct tg_event ev = {
        .kind = TG_EV_START, .id = tg_json_str(m->id), .model = tg_json_str(m->model)};
    c->sink->on_event(c->sink, &ev);
}

/* Groq's word for why a stream stopped early. */
static struct tg_str groq_error(const struct members *m)
{
    return m->x_groq ? tg_json_get_str(m->x_groq, TG_STR("error")) : (struct tg_str){NULL, 0};
}

static TG_COLD int on_error(struct ctx *c, const struct members *m)
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

static TG_COLD int failed(struct ctx *c)
{
    return tg_openai_broken(c->d, c->sink, c->err,
                            c->err == TG_E_NOMEM
                                ? "not enough memory for the provider's answer"
                                : "the provider's answer has too many choices or tool calls");
}

/* An answer of another task than chat. */
static int on_task(struct ctx *c, const struct members *m)
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

int tg_openai_on_json(struct tg_openai_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct ctx c = {.d = d, .doc = doc, .sink = sink};
    struct members m = {0};
    find_members(tg_json_root(doc), &m);
    if (tg_unlikely(groq_error(&m).n || !tg_json_is_nil(m.error) ||
                    (m.object && tg_json_str_is(m.object, TG_STR("error")))))
        return on_error(&c, &m);
    if (tg_unlikely(d->resp.task != TG_TASK_CHAT))
        return on_task(&c, &m);
    bool usage_only = m.usage && tg_json_is_obj(m.usage) && tg_json_count(m.choices) == 0;
    /* A chunk without choices is fine when it has something else to say (Azure's filter results,
     * usage); an answer without them is none. */
    if (tg_unlikely(!tg_json_is_arr(m.choices) && !usage_only)) {
        if (d->mode == TG_OPENAI_BODY || !d->seen)
            return on_error(&c, &m);
    }
    d->seen = true;
    /* Azure's first chunk has filter results, but neither id nor model nor choices. */
    if (tg_unlikely(!d->started) && (tg_json_str(m.id).n || tg_json_count(m.choices)))
        on_start(&c, &m);
    struct tg_json_iter it = tg_json_iter(tg_json_is_arr(m.choices) ? m.choices : NULL);
    while (!c.err && tg_json_next(&it))
        on_choice(&c, it.value, it.index);
    if (tg_unlikely(c.err))
        return failed(&c);
    if (!tg_json_is_nil(m.usage) || m.x_groq)
        on_usage(&c, &m);
    return usage_only ? 1 : 0;
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
