/* What a choice of an answer says → parts and deltas. Tool calls come whole in one delta (xAI,
 * Mistral, Ollama), without an index, with the same index for different calls, or with a name that
 * comes later than the id. */
#include "adapter/openai_said_priv.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

enum { MAX_TOOLS = 1024 };

/* ---- choices and parts ---- */

static void free_late(struct tg_openai_tool *t)
{
    if (!t->late)
        return;
    tg_buf_fini(&t->late->id);
    tg_buf_fini(&t->late->arguments);
    tg_buf_fini(&t->late->signature);
    tg_free(t->late);
    t->late = NULL;
}

void tg_openai_free_choices(struct tg_openai_dec *d)
{
    for (uint32_t i = 0; i < d->n_choices; i++) {
        for (uint32_t k = 0; k < d->choices[i].n_tools; k++)
            free_late(&d->choices[i].tools[k]);
        tg_free(d->choices[i].tools);
    }
    if (d->choices != &d->first)
        tg_free(d->choices);
    d->choices = NULL;
    d->n_choices = d->cap_choices = d->n_finished = 0;
}

static int grow_choices(struct tg_openai_dec *d)
{
    uint32_t cap = d->cap_choices ? d->cap_choices * 2 : 1;
    if (cap > TG_OPENAI_MAX_CHOICES)
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

struct tg_openai_choice *tg_openai_find_choice(struct tg_openai_dec *d, uint32_t index, int *err)
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

void tg_openai_emit(struct tg_openai_ctx *c, struct tg_event *ev)
{
    ev->choice = c->ch->index;
    c->sink->on_event(c->sink, ev);
}

static void end_part(struct tg_openai_ctx *c, uint32_t part)
{
    tg_openai_emit(c, &(struct tg_event){.kind = TG_EV_PART_END, .part = part});
}

void tg_openai_end_open(struct tg_openai_ctx *c)
{
    if (c->ch->open)
        end_part(c, c->ch->open_part);
    c->ch->open = false;
}

static void delta(struct tg_openai_ctx *c, uint32_t part, enum tg_delta_kind kind,
                  struct tg_str text)
{
    tg_openai_emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                                         .part = part,
                                         .delta_kind = kind,
                                         .text = text,
                                         .logprobs = c->logprobs});
    c->logprobs = (struct tg_str){NULL, 0};
}

static void begin_part(struct tg_openai_ctx *c, enum tg_part_kind part_kind, struct tg_str id)
{
    struct tg_openai_choice *ch = c->ch;
    tg_openai_end_open(c);
    ch->open = true;
    ch->open_signed = false;
    ch->open_detail = -1;
    ch->open_kind = part_kind;
    ch->open_part = ch->n_parts++;
    struct tg_event ev = {
        .kind = TG_EV_PART_START, .part = ch->open_part, .part_kind = part_kind, .id = id};
    tg_openai_emit(c, &ev);
}

void tg_openai_open(struct tg_openai_ctx *c, enum tg_part_kind part_kind, struct tg_str id)
{
    if (!c->ch->open || c->ch->open_kind != part_kind)
        begin_part(c, part_kind, id);
}

void tg_openai_text(struct tg_openai_ctx *c, enum tg_part_kind part_kind, enum tg_delta_kind kind,
                    struct tg_str text)
{
    if (c->ch->finished || (!text.n && !c->logprobs.n))
        return;
    /* What is signed is whole. */
    if (c->ch->open && c->ch->open_signed && part_kind == TG_PART_REASONING)
        tg_openai_end_open(c);
    tg_openai_open(c, part_kind, TG_STR(""));
    delta(c, c->ch->open_part, kind, text);
}

/* Mistral: [{"type":"thinking","thinking":[{"type":"text","text":"…"}]},{"type":"text",…}] */
static void content_parts(struct tg_openai_ctx *c, const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        const struct tg_json *thinking = tg_json_get(it.value, TG_STR("thinking"));
        struct tg_json_iter inner = tg_json_iter(thinking);
        if (tg_json_is_str(thinking))
            tg_openai_text(c, TG_PART_REASONING, TG_DELTA_REASONING, tg_json_str(thinking));
        while (tg_json_next(&inner))
            tg_openai_text(c, TG_PART_REASONING, TG_DELTA_REASONING,
                           tg_json_get_str(inner.value, TG_STR("text")));
        tg_openai_text(c, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_get_str(it.value, TG_STR("text")));
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

static struct tg_openai_tool *add_tool(struct tg_openai_ctx *c, int64_t index, uint64_t id)
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
    ch->tools[ch->n_tools] = (struct tg_openai_tool){.index = index, .id_hash = id};
    return &ch->tools[ch->n_tools++];
}

bool tg_openai_call_part(const struct tg_openai_choice *ch, struct tg_str id, uint32_t *out_part)
{
    uint64_t hash = id.n ? tg_hash(id) | 1 : 0;
    for (uint32_t i = 0; hash && i < ch->n_tools; i++) {
        if (ch->tools[i].id_hash == hash && !ch->tools[i].late) {
            *out_part = ch->tools[i].part;
            return true;
        }
    }
    return false;
}

/* A call begins with its name: what comes before it waits. */
static void hold_call(struct tg_openai_ctx *c, struct tg_openai_tool *t)
{
    size_t max = c->d->resp.max_pending_bytes;
    if (t->late)
        return;
    t->late = tg_calloc(1, sizeof(*t->late));
    if (!t->late) {
        c->err = TG_E_NOMEM;
        return;
    }
    tg_buf_init(&t->late->id, max);
    tg_buf_init(&t->late->arguments, max);
    tg_buf_init(&t->late->signature, max);
}

static void start_call(struct tg_openai_ctx *c, struct tg_openai_tool *t, struct tg_str id,
                       struct tg_str name, struct tg_str signature)
{
    struct tg_openai_late *late = t->late;
    tg_openai_end_open(c);
    t->part = c->ch->n_parts++;
    struct tg_event ev = {.kind = TG_EV_PART_START,
                          .part = t->part,
                          .part_kind = TG_PART_TOOL_CALL,
                          .id = late && late->id.n ? tg_buf_str(&late->id) : id,
                          .name = name,
                          .signature = signature};
    if (late && !signature.n)
        ev.signature = tg_buf_str(&late->signature);
    ev.opaque = ev.signature.n ? TG_OPAQUE_THOUGHT : TG_OPAQUE_NONE;
    tg_openai_emit(c, &ev);
    if (late && late->arguments.n)
        delta(c, t->part, TG_DELTA_ARGUMENTS, tg_buf_str(&late->arguments));
    free_late(t);
}

/* Calls whose name never came are calls all the same. */
static void start_held_calls(struct tg_openai_ctx *c)
{
    for (uint32_t i = 0; i < c->ch->n_tools; i++) {
        if (c->ch->tools[i].late)
            start_call(c, &c->ch->tools[i], TG_STR(""), TG_STR(""), TG_STR(""));
    }
}

/* Arguments are a string; a server that sends an object means its text. */
static struct tg_str arguments_of(struct tg_openai_ctx *c, const struct tg_json *v)
{
    if (tg_json_is_obj(v))
        return tg_json_raw(c->doc, v);
    return tg_json_str(v);
}

static void keep_late(struct tg_openai_ctx *c, struct tg_openai_tool *t, struct tg_str id,
                      struct tg_str signature, struct tg_str arguments)
{
    hold_call(c, t);
    if (!t->late)
        return;
    if (!t->late->id.n)
        tg_buf_str_add(&t->late->id, id);
    if (!t->late->signature.n)
        tg_buf_str_add(&t->late->signature, signature);
    tg_buf_str_add(&t->late->arguments, arguments);
    if (!tg_buf_ok(&t->late->id) || !tg_buf_ok(&t->late->arguments) ||
        !tg_buf_ok(&t->late->signature))
        c->err = TG_E_NOMEM;
}

static void tool_call(struct tg_openai_ctx *c, const struct tg_openai_said *s,
                      const struct tg_json *v, bool whole)
{
    if (c->ch->finished || !tg_json_is_obj(v))
        return;
    const struct tg_json *fn = tg_json_get(v, TG_STR("function"));
    struct tg_str id = tg_json_get_str(v, TG_STR("id"));
    struct tg_str name = tg_json_get_str(fn, TG_STR("name"));
    struct tg_str arguments = arguments_of(c, tg_json_get(fn, TG_STR("arguments")));
    int64_t index;
    if (tg_json_i64(tg_json_get(v, TG_STR("index")), &index) || index < 0 || whole)
        index = -1;
    uint64_t hash = id.n ? tg_hash(id) | 1 : 0;
    struct tg_openai_tool *t = whole ? NULL : known_tool(c->ch, index, hash);
    bool begun = t && !t->late;
    if (!t)
        t = add_tool(c, index, hash);
    if (!t)
        return;
    if (!t->id_hash)
        t->id_hash = hash;
    struct tg_str signature = begun ? TG_STR("") : tg_openai_call_signature(s, v);
    if (!begun && !name.n && !whole) {
        keep_late(c, t, id, signature, arguments);
        return;
    }
    if (!begun)
        start_call(c, t, id, name, signature);
    if (arguments.n)
        delta(c, t->part, TG_DELTA_ARGUMENTS, arguments);
}

/* The old `function_call`: one call without an id. */
static void function_call(struct tg_openai_ctx *c, const struct tg_json *fn)
{
    struct tg_openai_choice *ch = c->ch;
    if (ch->finished || !tg_json_is_obj(fn))
        return;
    if (!ch->n_tools) {
        struct tg_openai_tool *t = add_tool(c, -1, 0);
        if (!t)
            return;
        start_call(c, t, TG_STR(""), tg_json_get_str(fn, TG_STR("name")), TG_STR(""));
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

void tg_openai_finish_choice(struct tg_openai_ctx *c, struct tg_str word)
{
    struct tg_openai_choice *ch = c->ch;
    if (ch->finished)
        return;
    if (!c->d->resp.tap) {
        start_held_calls(c);
        tg_openai_end_open(c);
        for (uint32_t i = 0; i < ch->n_tools; i++)
            end_part(c, ch->tools[i].part);
    }
    ch->finished = true;
    c->d->n_finished++;
    tg_openai_emit(
        c, &(struct tg_event){.kind = TG_EV_FINISH, .finish = finish_of(word), .text = word});
}

void tg_openai_close_choices(struct tg_openai_dec *d, struct tg_sink *sink)
{
    for (uint32_t i = 0; i < d->n_choices; i++) {
        struct tg_openai_ctx c = {.d = d, .sink = sink, .ch = &d->choices[i]};
        tg_openai_finish_choice(&c, TG_STR(""));
    }
}

void tg_openai_find_said(const struct tg_json *m, struct tg_openai_said *s)
{
    const struct {
        struct tg_str name;
        const struct tg_json **slot;
    } rare[] = {
        {TG_STR_INIT("refusal"), &s->refusal},
        {TG_STR_INIT("function_call"), &s->function_call},
        {TG_STR_INIT("reasoning_details"), &s->details},
        {TG_STR_INIT("annotations"), &s->annotations},
        {TG_STR_INIT("images"), &s->images},
        {TG_STR_INIT("extra_content"), &s->extra_content},
    };
    struct tg_json_iter it = tg_json_iter(m);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("content")))
            s->content = it.value;
        else if (tg_str_eq(it.name, TG_STR("tool_calls")))
            s->tool_calls = it.value;
        else if (tg_str_eq(it.name, TG_STR("reasoning_content")) ||
                 (tg_str_eq(it.name, TG_STR("reasoning")) && !tg_json_str(s->reasoning).n))
            s->reasoning = it.value;
        for (size_t i = 0; i < TG_ARRAY_LEN(rare); i++) {
            if (tg_str_eq(it.name, rare[i].name))
                *rare[i].slot = it.value;
        }
    }
}

void tg_openai_say(struct tg_openai_ctx *c, const struct tg_openai_said *s, bool whole)
{
    bool told = s->details && tg_openai_say_details(c, s);
    if (!told && tg_json_str(s->reasoning).n)
        tg_openai_text(c, TG_PART_REASONING, TG_DELTA_REASONING, tg_json_str(s->reasoning));
    if (s->details)
        tg_openai_say_signatures(c, s);
    if (tg_json_is_arr(s->content))
        content_parts(c, s->content);
    else
        tg_openai_text(c, TG_PART_TEXT, TG_DELTA_TEXT, tg_json_str(s->content));
    if (tg_unlikely(s->annotations || s->extra_content))
        tg_openai_say_citations(c, s);
    if (tg_unlikely(s->images))
        tg_openai_say_images(c, s->images);
    if (tg_json_str(s->refusal).n)
        tg_openai_text(c, TG_PART_REFUSAL, TG_DELTA_REFUSAL, tg_json_str(s->refusal));
    struct tg_json_iter it = tg_json_iter(s->tool_calls);
    while (!c->err && tg_json_next(&it))
        tool_call(c, s, it.value, whole);
    function_call(c, s->function_call);
}
