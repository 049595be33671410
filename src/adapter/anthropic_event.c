/* One JSON document of an answer → canonical events. Source: Anthropic's SDK, resources/messages:
 * RawMessageStreamEvent, Message, Usage; of usage: `iterations` of a compaction are not in the
 * totals (docs.anthropic.com/en/docs/build-with-claude/compaction).
 *
 * Blocks that have no canonical kind (what the provider's own tools do, compactions) are RAW parts.
 * In a stream their JSON is put together and given when they end. */
#include "adapter/anthropic_priv.h"
#include "base/assert.h"
#include "base/err.h"
#include "json/splice.h"

/* Counts beyond this are nonsense and would overflow sums. */
#define MAX_COUNT ((int64_t)1 << 48)
enum { MAX_PARTS = 100000 };

struct ctx {
    struct tg_anthropic_dec *d;
    struct tg_json_doc *doc;
    struct tg_sink *sink;
    int err; /* first failure */
};

static void emit(struct ctx *c, const struct tg_event *ev)
{
    c->sink->on_event(c->sink, ev);
}

/* ---- usage ---- */

/* Leaves *out when there is no such number. */
static void read_count(const struct tg_json *obj, struct tg_str name, int64_t *out)
{
    int64_t n;
    if (tg_json_i64(tg_json_get(obj, name), &n) || n < 0)
        return;
    *out = n < MAX_COUNT ? n : MAX_COUNT;
}

static void read_compactions(const struct tg_json *list, struct tg_anthropic_counts *n)
{
    struct tg_json_iter it = tg_json_iter(list);
    n->more_input = n->more_cache_read = n->more_cache_write = n->more_output = 0;
    while (tg_json_next(&it) && it.index < 64) {
        int64_t in = 0, read = 0, write = 0, out = 0;
        if (!tg_json_str_is(tg_json_get(it.value, TG_STR("type")), TG_STR("compaction")))
            continue;
        read_count(it.value, TG_STR("input_tokens"), &in);
        read_count(it.value, TG_STR("cache_read_input_tokens"), &read);
        read_count(it.value, TG_STR("cache_creation_input_tokens"), &write);
        read_count(it.value, TG_STR("output_tokens"), &out);
        n->more_input += in;
        n->more_cache_read += read;
        n->more_cache_write += write;
        n->more_output += out;
    }
}

static int64_t at_most(int64_t n, int64_t max)
{
    return n < max ? n : max;
}

/* Input counts exclude the cached ones here; output includes thinking. */
static void on_usage(struct ctx *c, const struct tg_json *v)
{
    struct tg_anthropic_counts *n = &c->d->counts;
    const struct tg_json *iterations = tg_json_get(v, TG_STR("iterations"));
    if (!tg_json_is_obj(v))
        return;
    read_count(v, TG_STR("input_tokens"), &n->input);
    read_count(v, TG_STR("cache_read_input_tokens"), &n->cache_read);
    read_count(v, TG_STR("cache_creation_input_tokens"), &n->cache_write);
    read_count(tg_json_get(v, TG_STR("cache_creation")), TG_STR("ephemeral_1h_input_tokens"),
               &n->cache_write_1h);
    read_count(v, TG_STR("output_tokens"), &n->output);
    read_count(tg_json_get(v, TG_STR("output_tokens_details")), TG_STR("thinking_tokens"),
               &n->thinking);
    if (tg_json_is_arr(iterations))
        read_compactions(iterations, n);
    int64_t output = n->output + n->more_output, write = n->cache_write + n->more_cache_write;
    struct tg_usage u = {
        .source = TG_USAGE_REPORTED,
        .input_tokens = n->input + n->more_input,
        .cache_read_tokens = n->cache_read + n->more_cache_read,
        .cache_write_tokens = write,
        .cache_write_1h_tokens = at_most(n->cache_write_1h, write),
        .reasoning_tokens = at_most(n->thinking, output),
    };
    u.output_tokens = output - u.reasoning_tokens;
    n->seen = true;
    emit(c, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &u});
}

/* ---- blocks ---- */

static void delta(struct ctx *c, enum tg_delta_kind kind, enum tg_opaque_kind opaque,
                  struct tg_str text)
{
    struct tg_anthropic_open *b = &c->d->block;
    if (!text.n)
        return;
    b->said = true;
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = b->part,
                               .delta_kind = kind,
                               .opaque = opaque,
                               .text = text});
}

static struct tg_str first_of(const struct tg_json *v, struct tg_str a, struct tg_str b)
{
    struct tg_str s = tg_json_get_str(v, a);
    return s.p ? s : tg_json_get_str(v, b);
}

static void citation(struct ctx *c, const struct tg_json *v)
{
    struct tg_str url = tg_json_get_str(v, TG_STR("url"));
    struct tg_citation ci = {
        .url = url.p ? url : tg_json_get_str(v, TG_STR("source")),
        .title = first_of(v, TG_STR("title"), TG_STR("document_title")),
        .text = tg_json_get_str(v, TG_STR("cited_text")),
        .start = -1,
        .end = -1,
        .raw = tg_json_raw(c->doc, v),
        .format = TG_WIRE_ANTHROPIC_MESSAGES,
    };
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                               .part = c->d->block.part,
                               .delta_kind = TG_DELTA_CITATION,
                               .citation = &ci});
}

static void keep(struct ctx *c, struct tg_buf *b, struct tg_str text)
{
    if (b->n + text.n > c->d->resp.max_pending_bytes) {
        c->err = TG_E_UPSTREAM_TOO_LARGE;
        return;
    }
    int rc = tg_buf_str_add(b, text);
    if (rc)
        c->err = rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_TOO_LARGE;
}

static enum tg_part_kind kind_of_block(struct tg_str type)
{
    static const struct {
        struct tg_str type;
        enum tg_part_kind kind;
    } known[] = {
        {TG_STR_INIT("text"), TG_PART_TEXT},
        {TG_STR_INIT("tool_use"), TG_PART_TOOL_CALL},
        {TG_STR_INIT("thinking"), TG_PART_REASONING},
        {TG_STR_INIT("redacted_thinking"), TG_PART_REASONING},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(type, known[i].type))
            return known[i].kind;
    }
    return TG_PART_RAW;
}

/* What a block begins with: all of it in a single answer, nearly nothing in a stream. */
static void begin_content(struct ctx *c, const struct tg_json *v)
{
    struct tg_anthropic_open *b = &c->d->block;
    const struct tg_json *input = tg_json_get(v, TG_STR("input"));
    if (b->kind == TG_PART_TOOL_CALL || b->json_tool) {
        if (tg_json_is_obj(input))
            keep(c, &b->raw, tg_json_raw(c->doc, input));
    } else if (b->kind == TG_PART_REASONING) {
        delta(c, TG_DELTA_REASONING, TG_OPAQUE_NONE, tg_json_get_str(v, TG_STR("thinking")));
        delta(c, TG_DELTA_SIGNATURE, TG_OPAQUE_SIGNED, tg_json_get_str(v, TG_STR("signature")));
        delta(c, TG_DELTA_SIGNATURE, TG_OPAQUE_REDACTED, tg_json_get_str(v, TG_STR("data")));
    } else if (b->kind == TG_PART_RAW) {
        keep(c, &b->raw, tg_json_raw(c->doc, v));
    } else {
        delta(c, TG_DELTA_TEXT, TG_OPAQUE_NONE, tg_json_get_str(v, TG_STR("text")));
        struct tg_json_iter it = tg_json_iter(tg_json_get(v, TG_STR("citations")));
        while (tg_json_next(&it))
            citation(c, it.value);
    }
}

static void end_block(struct ctx *c);

static void begin_block(struct ctx *c, int64_t index, const struct tg_json *v)
{
    struct tg_anthropic_dec *d = c->d;
    struct tg_anthropic_open *b = &d->block;
    struct tg_str name = tg_json_get_str(v, TG_STR("name"));
    end_block(c);
    if (c->err || d->n_parts >= MAX_PARTS || !tg_json_is_obj(v)) {
        c->err = c->err                    ? c->err
                 : d->n_parts >= MAX_PARTS ? TG_E_UPSTREAM_TOO_LARGE
                                           : TG_E_UPSTREAM_INVALID;
        return;
    }
    b->open = true;
    b->said = false;
    b->index = index;
    b->kind = kind_of_block(tg_json_get_str(v, TG_STR("type")));
    b->part = d->n_parts++;
    b->json_tool = b->kind == TG_PART_TOOL_CALL && tg_anthropic_may_emulate(d->resp.req) &&
                   tg_str_eq(name, tg_anthropic_json_tool);
    d->has_call |= b->kind == TG_PART_TOOL_CALL && !b->json_tool;
    if (b->json_tool)
        b->kind = TG_PART_TEXT;
    struct tg_event ev = {.kind = TG_EV_PART_START, .part = b->part, .part_kind = b->kind};
    if (b->kind == TG_PART_TOOL_CALL) {
        ev.id = tg_json_get_str(v, TG_STR("id"));
        ev.name = name;
    }
    if (b->kind != TG_PART_RAW)
        emit(c, &ev);
    begin_content(c, v);
}

/* The block's JSON with what its deltas said put in. */
static void emit_raw(struct ctx *c)
{
    struct tg_anthropic_open *b = &c->d->block;
    struct tg_json_doc *doc;
    struct tg_splice edit;
    struct tg_buf whole;
    struct tg_str text = tg_buf_str(&b->raw), input = tg_buf_str(&b->input);
    tg_buf_init(&whole, c->d->resp.max_pending_bytes * 2 + 64);
    int rc = 0;
    if (input.n) {
        bool compaction = tg_str_starts(input, TG_STR("\""));
        rc = tg_json_parse(&c->d->scratch, text, NULL, &doc, NULL);
        if (!rc)
            rc = tg_json_edit_set_member(doc, tg_json_root(doc),
                                         compaction ? TG_STR("content") : TG_STR("input"), input,
                                         &edit);
        if (!rc)
            rc = tg_json_splice(text, &edit, 1, &whole);
        text = tg_buf_str(&whole);
    }
    if (rc)
        c->err = rc == TG_E_NOMEM ? rc : TG_E_UPSTREAM_INVALID;
    else
        emit(c, &(struct tg_event){.kind = TG_EV_PART_START,
                                   .part = b->part,
                                   .part_kind = TG_PART_RAW,
                                   .format = TG_WIRE_ANTHROPIC_MESSAGES,
                                   .text = text});
    tg_buf_fini(&whole);
}

/* Input that came in pieces must be JSON to be put into a block; a piece that was cut off by the
 * token limit is left out. */
static void check_input(struct ctx *c)
{
    struct tg_json_doc *doc;
    struct tg_buf *input = &c->d->block.input;
    if (!input->n)
        return;
    int rc = tg_json_parse(&c->d->scratch, tg_buf_str(input), NULL, &doc, NULL);
    if (rc == TG_E_NOMEM)
        c->err = rc;
    else if (rc)
        tg_buf_clear(input);
}

static void end_block(struct ctx *c)
{
    struct tg_anthropic_open *b = &c->d->block;
    if (!b->open)
        return;
    b->open = false;
    if (c->d->resp.tap)
        return;
    if (b->kind == TG_PART_RAW) {
        check_input(c);
        if (!c->err)
            emit_raw(c);
    } else if ((b->kind == TG_PART_TOOL_CALL || b->json_tool) && !b->said) {
        /* The input came whole, or there is none: "{}" is what a call without arguments has. */
        enum tg_delta_kind kind = b->json_tool ? TG_DELTA_TEXT : TG_DELTA_ARGUMENTS;
        delta(c, kind, TG_OPAQUE_NONE, b->raw.n ? tg_buf_str(&b->raw) : TG_STR("{}"));
    }
    tg_buf_clear(&b->raw);
    tg_buf_clear(&b->input);
    if (!c->err)
        emit(c, &(struct tg_event){.kind = TG_EV_PART_END, .part = b->part});
}

/* ---- deltas ---- */

static void raw_delta(struct ctx *c, struct tg_str type, const struct tg_json *v)
{
    struct tg_buf *input = &c->d->block.input;
    if (tg_str_eq(type, TG_STR("input_json_delta")))
        keep(c, input, tg_json_get_str(v, TG_STR("partial_json")));
    else if (tg_str_eq(type, TG_STR("compaction_delta")) && !input->n &&
             tg_json_is_str(tg_json_get(v, TG_STR("content"))))
        keep(c, input, tg_json_raw(c->doc, tg_json_get(v, TG_STR("content"))));
}

static enum tg_part_kind kind_of_delta(struct tg_str type)
{
    if (tg_str_eq(type, TG_STR("thinking_delta")) || tg_str_eq(type, TG_STR("signature_delta")))
        return TG_PART_REASONING;
    if (tg_str_eq(type, TG_STR("input_json_delta")))
        return TG_PART_TOOL_CALL;
    return TG_PART_TEXT;
}

/* A server that is only nearly compatible may forget to begin its block. */
static void ensure_block(struct ctx *c, int64_t index, struct tg_str type)
{
    struct tg_anthropic_open *b = &c->d->block;
    if (b->open && b->index == index)
        return;
    end_block(c);
    if (c->err || c->d->n_parts >= MAX_PARTS) {
        c->err = c->err ? c->err : TG_E_UPSTREAM_TOO_LARGE;
        return;
    }
    b->open = true;
    b->said = b->json_tool = false;
    b->index = index;
    b->kind = kind_of_delta(type);
    b->part = c->d->n_parts++;
    emit(c, &(struct tg_event){.kind = TG_EV_PART_START, .part = b->part, .part_kind = b->kind});
}

static void on_delta(struct ctx *c, int64_t index, const struct tg_json *v)
{
    struct tg_anthropic_open *b = &c->d->block;
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    ensure_block(c, index, type);
    if (c->err)
        return;
    enum tg_part_kind wants = b->json_tool ? TG_PART_TOOL_CALL : b->kind;
    if (b->kind == TG_PART_RAW)
        raw_delta(c, type, v);
    else if (kind_of_delta(type) != wants)
        return; /* of a block of another kind */
    else if (tg_str_eq(type, TG_STR("text_delta")))
        delta(c, TG_DELTA_TEXT, TG_OPAQUE_NONE, tg_json_get_str(v, TG_STR("text")));
    else if (tg_str_eq(type, TG_STR("input_json_delta")))
        delta(c, b->json_tool ? TG_DELTA_TEXT : TG_DELTA_ARGUMENTS, TG_OPAQUE_NONE,
              tg_json_get_str(v, TG_STR("partial_json")));
    else if (tg_str_eq(type, TG_STR("thinking_delta")))
        delta(c, TG_DELTA_REASONING, TG_OPAQUE_NONE, tg_json_get_str(v, TG_STR("thinking")));
    else if (tg_str_eq(type, TG_STR("signature_delta")))
        delta(c, TG_DELTA_SIGNATURE, TG_OPAQUE_SIGNED, tg_json_get_str(v, TG_STR("signature")));
    else if (tg_str_eq(type, TG_STR("citations_delta")) &&
             tg_json_is_obj(tg_json_get(v, TG_STR("citation"))))
        citation(c, tg_json_get(v, TG_STR("citation")));
}

/* Pass-through wants to know only that content has begun. */
static void note_content(struct ctx *c, const struct tg_json *v, struct tg_str text,
                         enum tg_delta_kind kind)
{
    if (c->d->content_seen || !tg_json_is_obj(v))
        return;
    c->d->content_seen = true;
    emit(c, &(struct tg_event){.kind = TG_EV_DELTA, .delta_kind = kind, .text = text});
}

/* And what means something only to the account that made it, so that the conversation goes back
 * there: `v` is a block or a delta. */
static void tap_opaque(struct ctx *c, const struct tg_json *v)
{
    struct tg_str s = tg_json_get_str(v, TG_STR("signature"));
    if (!s.n && tg_json_str_is(tg_json_get(v, TG_STR("type")), TG_STR("redacted_thinking")))
        s = tg_json_get_str(v, TG_STR("data"));
    if (s.n)
        emit(c, &(struct tg_event){.kind = TG_EV_DELTA,
                                   .delta_kind = TG_DELTA_SIGNATURE,
                                   .opaque = TG_OPAQUE_SIGNED,
                                   .text = s});
}

static void tap_delta(struct ctx *c, const struct tg_json *v)
{
    struct tg_str type = tg_json_get_str(v, TG_STR("type"));
    struct tg_str text = tg_json_get_str(v, TG_STR("text"));
    if (tg_str_eq(type, TG_STR("thinking_delta")))
        note_content(c, v, tg_json_get_str(v, TG_STR("thinking")), TG_DELTA_REASONING);
    else
        note_content(c, v, text, text.p ? TG_DELTA_TEXT : TG_DELTA_ARGUMENTS);
}

/* ---- the message ---- */

static void on_start(struct ctx *c, const struct tg_json *m)
{
    if (c->d->started)
        return;
    c->d->started = true;
    emit(c, &(struct tg_event){
                .kind = TG_EV_START,
                .id = tg_json_get_str(m, TG_STR("id")),
                .model = tg_json_get_str(m, TG_STR("model")),
                .service_tier =
                    tg_json_get_str(tg_json_get(m, TG_STR("usage")), TG_STR("service_tier")),
            });
}

static enum tg_finish finish_of(struct tg_str word)
{
    static const struct {
        struct tg_str word;
        enum tg_finish finish;
    } words[] = {
        {TG_STR_INIT("end_turn"), TG_FINISH_STOP},
        {TG_STR_INIT("stop_sequence"), TG_FINISH_STOP},
        {TG_STR_INIT("tool_use"), TG_FINISH_TOOL_CALLS},
        {TG_STR_INIT("max_tokens"), TG_FINISH_LENGTH},
        {TG_STR_INIT("model_context_window_exceeded"), TG_FINISH_LENGTH},
        {TG_STR_INIT("refusal"), TG_FINISH_CONTENT_FILTER},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (tg_str_eq(word, words[i].word))
            return words[i].finish;
    }
    return word.n ? TG_FINISH_OTHER : TG_FINISH_STOP;
}

static void extra(struct ctx *c, struct tg_str name, const struct tg_json *v)
{
    if (tg_json_is_nil(v) || c->d->resp.tap)
        return;
    emit(c, &(struct tg_event){.kind = TG_EV_EXTRA,
                               .name = name,
                               .text = tg_json_raw(c->doc, v),
                               .format = TG_WIRE_ANTHROPIC_MESSAGES});
}

/* said: the object with stop_reason; around: the one that it is in. */
static void on_finish(struct ctx *c, const struct tg_json *said, const struct tg_json *around)
{
    struct tg_str word = tg_json_get_str(said, TG_STR("stop_reason"));
    end_block(c);
    if (c->d->finished || c->err)
        return;
    extra(c, TG_STR("container"), tg_json_get(said, TG_STR("container")));
    extra(c, TG_STR("stop_details"), tg_json_get(said, TG_STR("stop_details")));
    extra(c, TG_STR("context_management"), tg_json_get(around, TG_STR("context_management")));
    c->d->finished = true;
    enum tg_finish finish = finish_of(word);
    if (finish == TG_FINISH_TOOL_CALLS && !c->d->has_call && !c->d->resp.tap &&
        tg_anthropic_may_emulate(c->d->resp.req)) {
        finish = TG_FINISH_STOP; /* the only call was the answer */
        word = TG_STR("end_turn");
    }
    emit(c, &(struct tg_event){.kind = TG_EV_FINISH,
                               .finish = finish,
                               .text = word,
                               .stop_text = tg_json_get_str(said, TG_STR("stop_sequence"))});
}

int tg_anthropic_emit_end(struct tg_anthropic_dec *d, struct tg_sink *sink)
{
    struct ctx c = {.d = d, .sink = sink};
    if (d->resp.task == TG_TASK_CHAT && !d->finished)
        on_finish(&c, NULL, NULL);
    if (c.err)
        return tg_anthropic_broken(d, sink, c.err, "the provider's answer could not be understood");
    d->mode = TG_ANTHROPIC_OVER;
    sink->on_event(sink, &(struct tg_event){.kind = TG_EV_END});
    return 0;
}

static void whole_message(struct ctx *c, const struct tg_json *root)
{
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("content")));
    on_start(c, root);
    while (!c->err && tg_json_next(&it)) {
        if (c->d->resp.tap) {
            tap_delta(c, it.value);
            tap_opaque(c, it.value);
        } else
            begin_block(c, (int64_t)it.index, it.value);
    }
    end_block(c);
    if (c->err)
        return;
    on_usage(c, tg_json_get(root, TG_STR("usage")));
    on_finish(c, root, root);
    c->d->stopped = true;
}

static void on_count(struct ctx *c, const struct tg_json *root)
{
    on_start(c, root);
    on_usage(c, root);
    c->d->stopped = true;
}

/* ---- documents ---- */

static void on_block_event(struct ctx *c, const struct tg_json *root, bool start)
{
    const struct tg_json *v = tg_json_get(root, start ? TG_STR("content_block") : TG_STR("delta"));
    int64_t index;
    if (tg_json_i64(tg_json_get(root, TG_STR("index")), &index))
        index = 0;
    if (c->d->resp.tap) {
        /* A text block says nothing yet when it begins; a call says which. */
        struct tg_str type = tg_json_get_str(v, TG_STR("type"));
        if (!start || kind_of_block(type) == TG_PART_TOOL_CALL)
            tap_delta(c, v);
        tap_opaque(c, v);
    } else if (start) {
        begin_block(c, index, v);
    } else {
        on_delta(c, index, v);
    }
}

static void on_event(struct ctx *c, struct tg_str type, const struct tg_json *root)
{
    const struct tg_json *message = tg_json_get(root, TG_STR("message"));
    if (tg_str_eq(type, TG_STR("content_block_delta"))) {
        on_block_event(c, root, false);
    } else if (tg_str_eq(type, TG_STR("content_block_start"))) {
        on_block_event(c, root, true);
    } else if (tg_str_eq(type, TG_STR("content_block_stop"))) {
        end_block(c);
    } else if (tg_str_eq(type, TG_STR("message_start"))) {
        on_start(c, message);
        on_usage(c, tg_json_get(message, TG_STR("usage")));
    } else if (tg_str_eq(type, TG_STR("message_delta"))) {
        const struct tg_json *said = tg_json_get(root, TG_STR("delta"));
        end_block(c);
        on_usage(c, tg_json_get(root, TG_STR("usage")));
        if (!tg_json_is_nil(tg_json_get(said, TG_STR("stop_reason"))))
            on_finish(c, said, root);
    } else if (tg_str_eq(type, TG_STR("message_stop"))) {
        c->d->stopped = true;
    }
}

static TG_COLD int on_error(struct ctx *c, const struct tg_json *root)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (!tg_anthropic_read_error(root, 0, &fail))
        return tg_anthropic_broken(c->d, c->sink, TG_E_UPSTREAM_INVALID,
                                   "the provider's answer could not be understood");
    return tg_anthropic_emit_error(c->d, c->sink, &fail);
}

int tg_anthropic_on_json(struct tg_anthropic_dec *d, struct tg_json_doc *doc, struct tg_sink *sink)
{
    struct ctx c = {.d = d, .doc = doc, .sink = sink};
    const struct tg_json *root = tg_json_root(doc);
    struct tg_str type = tg_json_get_str(root, TG_STR("type"));
    bool count = d->resp.task == TG_TASK_COUNT;
    if (tg_str_eq(type, TG_STR("error")) || (!type.p && !count))
        return on_error(&c, root);
    if (count && !tg_json_is_num(tg_json_get(root, TG_STR("input_tokens"))))
        return on_error(&c, root);
    if (count)
        on_count(&c, root);
    else if (tg_str_eq(type, TG_STR("message")))
        whole_message(&c, root);
    else
        on_event(&c, type, root);
    if (c.err == TG_E_UPSTREAM_TOO_LARGE)
        return tg_anthropic_broken(d, sink, c.err, "a block of the provider's answer is too large");
    if (c.err)
        return tg_anthropic_broken(d, sink, c.err, "the provider's answer could not be understood");
    return 0;
}
