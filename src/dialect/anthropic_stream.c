/* Canonical events → the stream of a message. Source of the events and their order: Anthropic's
 * SDK, resources/messages: RawMessageStreamEvent, and docs.anthropic.com/en/api/messages-streaming:
 * message_start; content_block_start, deltas, content_block_stop for each block, in order of their
 * indexes; message_delta; message_stop. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "dialect/anthropic_priv.h"

enum { MAX_BLOCKS = 1024, MAX_WAITING_BYTES = 16 << 20, MAX_BLOCK_BYTES = 64 << 20 };

/* ---- the phases ---- */

static void set_phase(struct tg_anthropic_stream *s, enum tg_anthropic_phase next)
{
    static const enum tg_anthropic_phase before[] = {
        [TG_ANTHROPIC_IDLE] = TG_ANTHROPIC_IDLE, /* never entered again */
        [TG_ANTHROPIC_STARTED] = TG_ANTHROPIC_IDLE,
        [TG_ANTHROPIC_FINISHED] = TG_ANTHROPIC_STARTED,
    };
    TG_INVARIANT(next != TG_ANTHROPIC_IDLE && s->phase == before[next]);
    s->phase = next;
}

static void message_start(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                          struct tg_buf *out)
{
    if (s->phase != TG_ANTHROPIC_IDLE)
        return;
    set_phase(s, TG_ANTHROPIC_STARTED);
    struct tg_usage u = s->usage;
    if (u.source == TG_USAGE_ABSENT) /* most providers count at the end: message_delta has it */
        u.input_tokens = info->prompt_tokens;
    tg_buf_lit(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":");
    tg_anthropic_write_id(info, out);
    tg_buf_lit(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
    tg_buf_json_str(out, info->model);
    tg_buf_lit(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{");
    tg_anthropic_write_usage(&u, s->service_tier, out);
    tg_buf_lit(out, "}}}\n\n");
}

/* ---- blocks ---- */

static struct tg_anthropic_block *find_block(struct tg_anthropic_stream *s, uint32_t part)
{
    for (size_t i = s->n_blocks; i-- > 0;) {
        if (s->blocks[i].part == part)
            return &s->blocks[i];
    }
    return NULL;
}

static int add_block(struct tg_anthropic_stream *s, uint32_t part, enum tg_part_kind kind,
                     struct tg_anthropic_block **out)
{
    if (s->n_blocks == s->cap_blocks) {
        size_t cap = s->cap_blocks ? s->cap_blocks * 2 : 4;
        if (cap > MAX_BLOCKS)
            return TG_E_UPSTREAM_TOO_LARGE;
        void *p = tg_realloc(s->blocks, cap * sizeof(*s->blocks));
        if (!p)
            return TG_E_NOMEM;
        s->blocks = p;
        s->cap_blocks = cap;
    }
    struct tg_anthropic_block *b = &s->blocks[s->n_blocks++];
    *b = (struct tg_anthropic_block){.part = part, .kind = kind};
    tg_buf_init(&b->waiting, MAX_BLOCK_BYTES);
    *out = b;
    return 0;
}

/* The block whose events go out at once: the first of those that were opened. */
static struct tg_anthropic_block *current(const struct tg_anthropic_stream *s)
{
    struct tg_anthropic_block *first = NULL;
    for (size_t i = 0; i < s->n_blocks; i++) {
        struct tg_anthropic_block *b = &s->blocks[i];
        if (b->opened && (!first || b->index < first->index))
            first = b;
    }
    return first;
}

/* Where a block's events are written. */
static struct tg_buf *target_of(struct tg_anthropic_stream *s, struct tg_anthropic_block *b,
                                struct tg_buf *out)
{
    return current(s) == b ? out : &b->waiting;
}

static void open_event(struct tg_anthropic_block *b, struct tg_buf *to)
{
    tg_buf_lit(to,
               "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":");
    tg_buf_u64(to, b->index);
    tg_buf_lit(to, ",\"content_block\":");
}

static struct tg_buf *open_block(struct tg_anthropic_stream *s, struct tg_anthropic_block *b,
                                 struct tg_buf *out)
{
    b->opened = true;
    b->index = s->n_opened++;
    struct tg_buf *to = target_of(s, b, out);
    open_event(b, to);
    return to;
}

/* An empty block of the kind, for deltas to fill. */
static void ensure_open(struct tg_anthropic_stream *s, struct tg_anthropic_block *b,
                        struct tg_buf *out)
{
    if (b->opened)
        return;
    struct tg_buf *to = open_block(s, b, out);
    if (b->kind == TG_PART_REASONING)
        tg_buf_lit(to, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n");
    else
        tg_buf_lit(to, "{\"type\":\"text\",\"text\":\"\"}}\n\n");
}

static void write_stop(const struct tg_anthropic_block *b, struct tg_buf *to)
{
    tg_buf_lit(to, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":");
    tg_buf_u64(to, b->index);
    tg_buf_lit(to, "}\n\n");
}

static void remove_block(struct tg_anthropic_stream *s, struct tg_anthropic_block *b)
{
    size_t i = (size_t)(b - s->blocks);
    tg_buf_fini(&b->waiting);
    memmove(b, b + 1, (s->n_blocks - i - 1) * sizeof(*b));
    s->n_blocks--;
}

/* What waited behind a block that ended goes out, up to the next that goes on. */
static int release(struct tg_anthropic_stream *s, struct tg_buf *out)
{
    struct tg_anthropic_block *b;
    while ((b = current(s)) != NULL) {
        if (!tg_buf_ok(&b->waiting))
            return TG_E_NOMEM;
        tg_buf_str_add(out, tg_buf_str(&b->waiting));
        tg_buf_fini(&b->waiting);
        tg_buf_init(&b->waiting, MAX_BLOCK_BYTES);
        if (!b->ended)
            return 0;
        remove_block(s, b);
    }
    return 0;
}

static int end_block(struct tg_anthropic_stream *s, struct tg_anthropic_block *b,
                     struct tg_buf *out)
{
    if (b->ended)
        return 0;
    b->ended = true;
    if (!b->opened) { /* it never had anything to say */
        remove_block(s, b);
        return 0;
    }
    bool first = current(s) == b;
    write_stop(b, first ? out : &b->waiting);
    if (!first)
        return 0;
    remove_block(s, b);
    return release(s, out);
}

/* ---- parts ---- */

static int start_call(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                      struct tg_anthropic_block *b, const struct tg_event *ev, struct tg_buf *out)
{
    struct tg_str id;
    int rc = tg_anthropic_tool_id(info, ev->part, ev->id, ev->signature, &id);
    if (rc)
        return rc;
    s->has_calls = true;
    struct tg_buf *to = open_block(s, b, out);
    tg_buf_lit(to, "{\"type\":\"tool_use\",\"id\":");
    tg_buf_json_str(to, id);
    tg_buf_lit(to, ",\"name\":");
    tg_buf_json_str(to, ev->name);
    tg_buf_lit(to, ",\"input\":{}}}\n\n");
    return 0;
}

/* Blocks of other formats, and sounds and images, have no place in this one. */
static int start_part(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                      const struct tg_event *ev, struct tg_buf *out)
{
    bool raw = ev->part_kind == TG_PART_RAW && ev->format == TG_WIRE_ANTHROPIC_MESSAGES;
    struct tg_anthropic_block *b;
    if (find_block(s, ev->part))
        return 0;
    int rc = add_block(s, ev->part, ev->part_kind, &b);
    if (rc)
        return rc;
    if (ev->part_kind == TG_PART_TOOL_CALL)
        return start_call(s, info, b, ev, out);
    if (raw) {
        struct tg_buf *to = open_block(s, b, out);
        tg_buf_json_line(to, ev->text);
        tg_buf_lit(to, "}\n\n");
        return 0;
    }
    if (ev->part_kind == TG_PART_REASONING && ev->id.n) {
        b->id = tg_arena_dup(info->arena, ev->id);
        return b->id.p ? 0 : TG_E_NOMEM;
    }
    s->refused |= ev->part_kind == TG_PART_REFUSAL;
    return 0;
}

static enum tg_part_kind kind_of(enum tg_delta_kind k)
{
    switch (k) {
    case TG_DELTA_TEXT:
    case TG_DELTA_CITATION:
        return TG_PART_TEXT;
    case TG_DELTA_ARGUMENTS:
        return TG_PART_TOOL_CALL;
    case TG_DELTA_REASONING:
    case TG_DELTA_SIGNATURE:
        return TG_PART_REASONING;
    case TG_DELTA_REFUSAL:
        return TG_PART_REFUSAL;
    }
    TG_UNREACHABLE();
}

/* A delta of another kind than its part's has no place in the part's block. */
static bool takes(enum tg_part_kind part, enum tg_delta_kind k)
{
    if (k == TG_DELTA_REFUSAL || k == TG_DELTA_TEXT || k == TG_DELTA_CITATION)
        return part == TG_PART_TEXT || part == TG_PART_REFUSAL;
    if (k == TG_DELTA_SIGNATURE)
        return true; /* see there */
    return part == kind_of(k);
}

static size_t waiting_bytes(const struct tg_anthropic_stream *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_blocks; i++)
        n += s->blocks[i].waiting.n;
    return n;
}

static void delta_head(const struct tg_anthropic_block *b, struct tg_buf *to)
{
    tg_buf_lit(to,
               "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
    tg_buf_u64(to, b->index);
    tg_buf_lit(to, ",\"delta\":{\"type\":\"");
}

static void text_delta(struct tg_anthropic_stream *s, struct tg_anthropic_block *b,
                       struct tg_str head, struct tg_str text, struct tg_buf *out)
{
    ensure_open(s, b, out);
    struct tg_buf *to = target_of(s, b, out);
    delta_head(b, to);
    tg_buf_str_add(to, head);
    tg_buf_json_str(to, text);
    tg_buf_lit(to, "}}\n\n");
}

/* A redacted block is nothing but its opaque data and comes whole. */
static int signature_delta(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                           struct tg_anthropic_block *b, const struct tg_event *ev,
                           struct tg_buf *out)
{
    if (b->kind != TG_PART_REASONING)
        return 0; /* texts carry none here */
    if (ev->opaque == TG_OPAQUE_REDACTED) {
        if (b->opened)
            return 0;
        struct tg_buf *to = open_block(s, b, out);
        b->kind = TG_PART_RAW; /* nothing more is taken */
        tg_buf_lit(to, "{\"type\":\"redacted_thinking\",\"data\":");
        tg_buf_json_str(to, ev->text);
        tg_buf_lit(to, "}}\n\n");
        return 0;
    }
    struct tg_str wrapped;
    int rc = tg_anthropic_wrap_signature(info->arena, ev->opaque, b->id, ev->text, &wrapped);
    if (!rc)
        text_delta(s, b, TG_STR("signature_delta\",\"signature\":"), wrapped, out);
    return rc;
}

static void citation_delta(struct tg_anthropic_stream *s, struct tg_anthropic_block *b,
                           const struct tg_citation *c, struct tg_buf *out)
{
    if (b->kind != TG_PART_TEXT || !c)
        return;
    ensure_open(s, b, out);
    struct tg_buf *to = target_of(s, b, out);
    delta_head(b, to);
    tg_buf_lit(to, "citations_delta\",\"citation\":");
    size_t at = to->n;
    tg_anthropic_write_citation(c, to);
    tg_buf_one_line(to, at);
    tg_buf_lit(to, "}}\n\n");
}

static int on_delta(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                    const struct tg_event *ev, struct tg_buf *out)
{
    struct tg_anthropic_block *b = find_block(s, ev->part);
    if (!b) {
        if (ev->delta_kind == TG_DELTA_ARGUMENTS)
            return 0; /* of a call that nobody began */
        int rc = add_block(s, ev->part, kind_of(ev->delta_kind), &b);
        if (rc)
            return rc;
    }
    int rc = 0;
    if (b->ended || !takes(b->kind, ev->delta_kind))
        return 0;
    if (ev->delta_kind == TG_DELTA_CITATION)
        citation_delta(s, b, ev->citation, out);
    else if (ev->delta_kind == TG_DELTA_SIGNATURE)
        rc = signature_delta(s, info, b, ev, out);
    else if (!ev->text.n)
        return 0;
    else if (ev->delta_kind == TG_DELTA_REASONING)
        text_delta(s, b, TG_STR("thinking_delta\",\"thinking\":"), ev->text, out);
    else if (ev->delta_kind == TG_DELTA_ARGUMENTS)
        text_delta(s, b, TG_STR("input_json_delta\",\"partial_json\":"), ev->text, out);
    else
        text_delta(s, b, TG_STR("text_delta\",\"text\":"), ev->text, out);
    s->refused |= ev->delta_kind == TG_DELTA_REFUSAL;
    return !rc && waiting_bytes(s) > MAX_WAITING_BYTES ? TG_E_UPSTREAM_TOO_LARGE : rc;
}

/* ---- the end ---- */

static int end_all(struct tg_anthropic_stream *s, struct tg_buf *out)
{
    while (s->n_blocks) {
        size_t n = s->n_blocks;
        struct tg_anthropic_block *b = current(s);
        int rc = end_block(s, b ? b : &s->blocks[0], out);
        if (rc)
            return rc;
        TG_INVARIANT(s->n_blocks < n);
    }
    return 0;
}

static int keep(const struct tg_render_info *info, struct tg_str text, struct tg_str *out)
{
    *out = tg_arena_dup(info->arena, text);
    return out->p ? 0 : TG_E_NOMEM;
}

static int on_finish(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                     const struct tg_event *ev, struct tg_buf *out)
{
    if (s->has_finish)
        return 0;
    int rc = end_all(s, out);
    s->has_finish = true;
    s->stop_reason =
        tg_anthropic_stop_reason(ev->finish, ev->text, ev->stop_text, s->has_calls, s->refused);
    return rc ? rc : keep(info, ev->stop_text, &s->stop_text);
}

static int on_extra(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                    const struct tg_event *ev)
{
    const struct {
        struct tg_str name;
        struct tg_str *slot;
    } known[] = {
        {TG_STR_INIT("container"), &s->container},
        {TG_STR_INIT("stop_details"), &s->details},
        {TG_STR_INIT("context_management"), &s->context},
    };
    if (ev->format != TG_WIRE_ANTHROPIC_MESSAGES)
        return 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(ev->name, known[i].name))
            return keep(info, ev->text, known[i].slot);
    }
    return 0;
}

int tg_anthropic_stream_event(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                              const struct tg_event *ev, struct tg_buf *out)
{
    struct tg_anthropic_block *b;
    int rc = 0;
    if (ev->choice != 0 || s->phase == TG_ANTHROPIC_FINISHED)
        return 0; /* one answer is all that there can be */
    if (ev->kind == TG_EV_PART_START || ev->kind == TG_EV_DELTA || ev->kind == TG_EV_FINISH)
        message_start(s, info, out);
    if (ev->kind == TG_EV_START)
        rc = keep(info, ev->service_tier, &s->service_tier);
    else if (ev->kind == TG_EV_USAGE && s->phase == TG_ANTHROPIC_IDLE)
        s->usage = *ev->usage;
    else if (ev->kind == TG_EV_EXTRA)
        rc = on_extra(s, info, ev);
    else if (ev->kind == TG_EV_FINISH)
        rc = on_finish(s, info, ev, out);
    else if (s->has_finish)
        return 0;
    else if (ev->kind == TG_EV_PART_START)
        rc = start_part(s, info, ev, out);
    else if (ev->kind == TG_EV_DELTA)
        rc = on_delta(s, info, ev, out);
    else if (ev->kind == TG_EV_PART_END && (b = find_block(s, ev->part)) != NULL)
        rc = end_block(s, b, out);
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static void member(const char *name, struct tg_str raw, struct tg_buf *out)
{
    if (!raw.n)
        return;
    tg_buf_printf(out, ",\"%s\":", name);
    tg_buf_json_line(out, raw);
}

int tg_anthropic_stream_end(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                            const struct tg_usage *usage, struct tg_buf *out)
{
    message_start(s, info, out);
    int rc = end_all(s, out);
    if (rc)
        return rc;
    set_phase(s, TG_ANTHROPIC_FINISHED);
    tg_buf_lit(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    tg_anthropic_write_stop(s->has_finish ? s->stop_reason : TG_STR("end_turn"), s->stop_text, out);
    member("stop_details", s->details, out);
    member("container", s->container, out);
    tg_buf_lit(out, "},\"usage\":{");
    /* Clients put what is said here in place of what was said at the start. */
    if (usage && usage->source != TG_USAGE_ABSENT)
        tg_anthropic_write_usage(usage, TG_STR(""), out);
    else
        tg_buf_lit(out, "\"output_tokens\":0");
    tg_buf_char(out, '}');
    member("context_management", s->context, out);
    tg_buf_lit(out, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    return 0;
}

void tg_anthropic_stream_fini(struct tg_anthropic_stream *s)
{
    for (size_t i = 0; i < s->n_blocks; i++)
        tg_buf_fini(&s->blocks[i].waiting);
    tg_free(s->blocks);
    s->blocks = NULL;
    s->n_blocks = s->cap_blocks = 0;
}
