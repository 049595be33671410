/* The items of an answer in OpenAI's Responses, and the events that tell them: per item
 * output_item.added, its parts' and deltas' events with their done, output_item.done.
 *
 * A message goes on as long as texts and refusals follow each other; whatever else comes ends it.
 * Calls may be woven: each is its own item and ends with its part, or with the answer. Events that
 * make no sense in the order (for parts that were closed, after the end) are ignored. */
#include "base/assert.h"
#include "base/err.h"
#include "chat/call_id.h"
#include "dialect/responses_priv.h"

enum { MAX_ITEMS = 4096 };

/* ---- parts of a message and of reasoning ---- */

static uint32_t last_part(const struct tg_responses_item *it)
{
    return it->part + it->n_parts - 1;
}

static struct tg_str part_text(const struct tg_responses_out *c, const struct tg_responses_item *it)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, last_part(it));
    return p ? tg_buf_str(&p->text) : TG_STR("");
}

static void content_event(struct tg_responses_out *c, const char *type,
                          const struct tg_responses_item *it, bool empty)
{
    if (!tg_responses_open_item_event(c, type, it))
        return;
    tg_responses_key_u64(c, "content_index", it->n_parts - 1);
    tg_responses_key(c, "part");
    tg_responses_note(c, tg_responses_write_content(c->r, last_part(it), empty, c->out));
    tg_responses_close_event(c);
}

static void summary_event(struct tg_responses_out *c, const char *type,
                          const struct tg_responses_item *it, bool empty)
{
    if (!tg_responses_open_item_event(c, type, it))
        return;
    tg_responses_key_u64(c, "summary_index", 0);
    tg_buf_lit(c->out, ",\"part\":{\"type\":\"summary_text\",\"text\":");
    tg_buf_json_str(c->out, empty ? TG_STR("") : part_text(c, it));
    tg_buf_char(c->out, '}');
    tg_responses_close_event(c);
}

static void text_done(struct tg_responses_out *c, const struct tg_responses_item *it)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, last_part(it));
    bool refusal = p && p->kind == TG_PART_REFUSAL;
    if (!tg_responses_open_item_event(
            c, refusal ? "response.refusal.done" : "response.output_text.done", it))
        return;
    tg_responses_key_u64(c, "content_index", it->n_parts - 1);
    tg_responses_key(c, refusal ? "refusal" : "text");
    tg_buf_json_str(c->out, part_text(c, it));
    if (!refusal)
        tg_buf_lit(c->out, ",\"logprobs\":[]");
    tg_responses_close_event(c);
}

static void summary_done(struct tg_responses_out *c, const struct tg_responses_item *it)
{
    if (!tg_responses_open_item_event(c, "response.reasoning_summary_text.done", it))
        return;
    tg_responses_key_u64(c, "summary_index", 0);
    tg_responses_key(c, "text");
    tg_buf_json_str(c->out, part_text(c, it));
    tg_responses_close_event(c);
}

static void close_part(struct tg_responses_out *c, struct tg_responses_item *it)
{
    if (!it->part_open)
        return;
    it->part_open = false;
    if (it->kind == TG_RESPONSES_MESSAGE) {
        text_done(c, it);
        content_event(c, "response.content_part.done", it, false);
    } else {
        summary_done(c, it);
        summary_event(c, "response.reasoning_summary_part.done", it, false);
    }
}

/* ---- items ---- */

static void call_done(struct tg_responses_out *c, const struct tg_responses_item *it)
{
    bool custom = it->kind == TG_RESPONSES_CUSTOM;
    if (custom && part_text(c, it).n && /* the text is known only now that it is whole */
        tg_responses_open_item_event(c, "response.custom_tool_call_input.delta", it)) {
        tg_responses_key(c, "delta");
        tg_responses_write_custom_input(part_text(c, it), c->out);
        tg_responses_close_event(c);
    }
    if (!tg_responses_open_item_event(c,
                                      custom ? "response.custom_tool_call_input.done"
                                             : "response.function_call_arguments.done",
                                      it))
        return;
    tg_responses_key(c, custom ? "input" : "arguments");
    if (custom)
        tg_responses_write_custom_input(part_text(c, it), c->out);
    else
        tg_buf_json_str(c->out, part_text(c, it));
    tg_responses_close_event(c);
}

static struct tg_responses_item *add_item(struct tg_responses_out *c, enum tg_responses_kind kind,
                                          uint32_t part, const char *prefix, struct tg_str id)
{
    struct tg_responses_render *r = c->r;
    if (r->n_items == r->cap_items) {
        size_t cap = r->cap_items ? r->cap_items * 2 : 4;
        void *p = cap > MAX_ITEMS
                      ? NULL
                      : tg_arena_grow(c->info->arena, r->items, r->n_items * sizeof(*r->items),
                                      cap * sizeof(*r->items));
        if (!p) {
            tg_responses_note(c, cap > MAX_ITEMS ? TG_E_UPSTREAM_TOO_LARGE : TG_E_NOMEM);
            return NULL;
        }
        r->items = p;
        r->cap_items = cap;
    }
    struct tg_responses_item *it = &r->items[r->n_items];
    *it = (struct tg_responses_item){.kind = kind, .part = part, .n_parts = 1};
    it->id = tg_str_starts(id, tg_str_c(prefix))
                 ? tg_arena_dup(c->info->arena, id)
                 : tg_arena_printf(c->info->arena, "%s%.*s_%zu", prefix, TG_STR_ARG(r->tail),
                                   r->n_items);
    if (!it->id.p) {
        tg_responses_note(c, TG_E_NOMEM);
        return NULL;
    }
    r->n_items++;
    return it;
}

static void keep_text_state(struct tg_responses_out *c, uint32_t part);

static void close_item(struct tg_responses_out *c, struct tg_responses_item *it,
                       struct tg_str status)
{
    if (it->closed)
        return;
    close_part(c, it);
    it->closed = true;
    if (it->kind == TG_RESPONSES_FUNCTION || it->kind == TG_RESPONSES_CUSTOM)
        call_done(c, it);
    tg_responses_item_event(c, "response.output_item.done", it, status, false);
    if (it->kind == TG_RESPONSES_MESSAGE)
        keep_text_state(c, last_part(it)); /* may move the items */
}

/* The signature of a text has no place in a message: a reasoning item behind it keeps it. */
static void keep_text_state(struct tg_responses_out *c, uint32_t part)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, part);
    if (!p || !p->signature.n || p->opaque != TG_OPAQUE_THOUGHT)
        return;
    struct tg_responses_item *it = add_item(c, TG_RESPONSES_TEXT_STATE, part, "rs_", TG_STR(""));
    if (!it)
        return;
    tg_responses_item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
    close_item(c, it, TG_STR("completed"));
}

/* What was open and is no call ends when something else begins. */
static void close_said(struct tg_responses_out *c)
{
    size_t n = c->r->n_items; /* a message's end may add one, closed, and move them all */
    for (size_t i = 0; i < n; i++) {
        enum tg_responses_kind k = c->r->items[i].kind;
        if (k != TG_RESPONSES_FUNCTION && k != TG_RESPONSES_CUSTOM)
            close_item(c, &c->r->items[i], TG_STR("completed"));
    }
}

static struct tg_responses_item *find_item(const struct tg_responses_render *r, uint32_t part)
{
    for (size_t i = r->n_items; i-- > 0;) {
        struct tg_responses_item *it = &r->items[i];
        if (it->kind != TG_RESPONSES_TEXT_STATE && part >= it->part &&
            part - it->part < it->n_parts)
            return it;
    }
    return NULL;
}

/* ---- starts ---- */

static void start_text(struct tg_responses_out *c, uint32_t part)
{
    struct tg_responses_render *r = c->r;
    struct tg_responses_item *last = r->n_items ? &r->items[r->n_items - 1] : NULL;
    if (last && last->kind == TG_RESPONSES_MESSAGE && !last->closed &&
        last_part(last) + 1 == part) {
        const struct tg_collect_part *before = tg_responses_part(r, last_part(last));
        if (!before || !before->signature.n) {
            close_part(c, last);
            last->n_parts++;
            last->part_open = true;
            content_event(c, "response.content_part.added", last, true);
            return;
        }
    }
    close_said(c);
    last = add_item(c, TG_RESPONSES_MESSAGE, part, "msg_", TG_STR(""));
    if (!last)
        return;
    tg_responses_item_event(c, "response.output_item.added", last, TG_STR("in_progress"), true);
    last->part_open = true;
    content_event(c, "response.content_part.added", last, true);
}

static void start_call(struct tg_responses_out *c, const struct tg_event *ev)
{
    struct tg_responses_tool tool;
    bool ours = c->info->call && c->info->call->dialect == &tg_dialect_responses;
    close_said(c);
    tg_responses_find_tool(ours ? c->info->call->parsed : NULL, ev->name, &tool);
    struct tg_responses_item *it =
        add_item(c, tool.custom ? TG_RESPONSES_CUSTOM : TG_RESPONSES_FUNCTION, ev->part,
                 tool.custom ? "ctc_" : "fc_", TG_STR(""));
    if (!it)
        return;
    struct tg_arena *a = c->info->arena;
    struct tg_str id = ev->id, name = tg_arena_dup(a, tool.name),
                  space = tg_arena_dup(a, tool.space);
    if (!id.n) /* some servers give none, and this format can't do without */
        id = tg_arena_printf(a, "call_%.*s_%u", TG_STR_ARG(c->r->tail), ev->part);
    int rc = tg_call_id_join(a, id, ev->signature, &id);
    if (!rc)
        it->call_id = tg_arena_dup(a, id);
    it->tool = (struct tg_responses_tool){.space = space, .name = name, .custom = tool.custom};
    if (rc || !it->call_id.p || !name.p || !space.p)
        tg_responses_note(c, TG_E_NOMEM);
    tg_responses_item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
}

static void start_reasoning(struct tg_responses_out *c, const struct tg_event *ev)
{
    close_said(c);
    struct tg_responses_item *it = add_item(c, TG_RESPONSES_REASONING, ev->part, "rs_", ev->id);
    if (it)
        tg_responses_item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
}

/* What comes whole. */
static void start_whole(struct tg_responses_out *c, const struct tg_event *ev)
{
    bool image = ev->part_kind == TG_PART_IMAGE;
    if (!image && ev->format != TG_WIRE_OPENAI_RESPONSES)
        return;
    close_said(c);
    struct tg_responses_item *it =
        add_item(c, image ? TG_RESPONSES_IMAGE : TG_RESPONSES_RAW, ev->part, "ig_", TG_STR(""));
    if (!it)
        return;
    tg_responses_item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
    if (image && tg_responses_open_item_event(c, "response.image_generation_call.in_progress", it))
        tg_responses_close_event(c);
    if (image && tg_responses_open_item_event(c, "response.image_generation_call.completed", it))
        tg_responses_close_event(c);
    close_item(c, it, TG_STR("completed"));
}

void tg_responses_on_start(struct tg_responses_out *c, const struct tg_event *ev)
{
    if (find_item(c->r, ev->part))
        return;
    switch (ev->part_kind) {
    case TG_PART_TEXT:
    case TG_PART_REFUSAL:
        start_text(c, ev->part);
        break;
    case TG_PART_TOOL_CALL:
        start_call(c, ev);
        break;
    case TG_PART_REASONING:
        start_reasoning(c, ev);
        break;
    case TG_PART_IMAGE:
    case TG_PART_RAW:
        start_whole(c, ev);
        break;
    case TG_PART_AUDIO: /* has no place in this format */
    case TG_PART_DOCUMENT:
    case TG_PART_TOOL_RESULT:
        break;
    }
}

/* ---- deltas ---- */

static enum tg_part_kind kind_of(enum tg_delta_kind k)
{
    switch (k) {
    case TG_DELTA_ARGUMENTS:
        return TG_PART_TOOL_CALL;
    case TG_DELTA_REASONING:
        return TG_PART_REASONING;
    case TG_DELTA_REFUSAL:
        return TG_PART_REFUSAL;
    case TG_DELTA_SIGNATURE:
    case TG_DELTA_TEXT:
    case TG_DELTA_CITATION:
        break;
    }
    return TG_PART_TEXT;
}

static void text_delta(struct tg_responses_out *c, const struct tg_responses_item *it,
                       const struct tg_event *ev)
{
    bool refusal = ev->delta_kind == TG_DELTA_REFUSAL;
    if (!tg_responses_open_item_event(
            c, refusal ? "response.refusal.delta" : "response.output_text.delta", it))
        return;
    tg_responses_key_u64(c, "content_index", it->n_parts - 1);
    tg_responses_key(c, "delta");
    tg_buf_json_str(c->out, ev->text);
    if (!refusal) {
        tg_responses_key(c, "logprobs");
        tg_responses_note(c, tg_responses_write_logprobs(ev->logprobs, c->out));
    }
    tg_responses_close_event(c);
}

static void citation_delta(struct tg_responses_out *c, const struct tg_responses_item *it,
                           const struct tg_event *ev)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, last_part(it));
    if (!ev->citation || !p ||
        !tg_responses_open_item_event(c, "response.output_text.annotation.added", it))
        return;
    tg_responses_key_u64(c, "content_index", it->n_parts - 1);
    tg_responses_key_u64(c, "annotation_index", p->n_citations ? p->n_citations - 1 : 0);
    tg_responses_key(c, "annotation");
    tg_responses_write_annotation(ev->citation, c->out);
    tg_responses_close_event(c);
}

static void reasoning_delta(struct tg_responses_out *c, struct tg_responses_item *it,
                            const struct tg_event *ev)
{
    if (!it->part_open) {
        it->part_open = true;
        summary_event(c, "response.reasoning_summary_part.added", it, true);
    }
    if (!tg_responses_open_item_event(c, "response.reasoning_summary_text.delta", it))
        return;
    tg_responses_key_u64(c, "summary_index", 0);
    tg_responses_key(c, "delta");
    tg_buf_json_str(c->out, ev->text);
    tg_responses_close_event(c);
}

static void arguments_delta(struct tg_responses_out *c, const struct tg_responses_item *it,
                            const struct tg_event *ev)
{
    if (it->kind != TG_RESPONSES_FUNCTION ||
        !tg_responses_open_item_event(c, "response.function_call_arguments.delta", it))
        return;
    tg_responses_key(c, "delta");
    tg_buf_json_str(c->out, ev->text);
    tg_responses_close_event(c);
}

static bool fits(const struct tg_responses_item *it, enum tg_delta_kind k, uint32_t part)
{
    switch (k) {
    case TG_DELTA_TEXT:
    case TG_DELTA_REFUSAL:
    case TG_DELTA_CITATION:
        return it->kind == TG_RESPONSES_MESSAGE && it->part_open && part == last_part(it);
    case TG_DELTA_ARGUMENTS:
        return it->kind == TG_RESPONSES_FUNCTION || it->kind == TG_RESPONSES_CUSTOM;
    case TG_DELTA_REASONING:
        return it->kind == TG_RESPONSES_REASONING;
    case TG_DELTA_SIGNATURE:
        break;
    }
    return false;
}

void tg_responses_on_delta(struct tg_responses_out *c, const struct tg_event *ev)
{
    struct tg_responses_item *it = find_item(c->r, ev->part);
    if (!it && ev->delta_kind != TG_DELTA_SIGNATURE) {
        tg_responses_on_start(c, &(struct tg_event){.part = ev->part,
                                                    .part_kind = kind_of(ev->delta_kind),
                                                    .id = TG_STR(""),
                                                    .name = TG_STR("")});
        it = find_item(c->r, ev->part);
    }
    if (!it || it->closed || !fits(it, ev->delta_kind, ev->part))
        return;
    switch (ev->delta_kind) {
    case TG_DELTA_TEXT:
    case TG_DELTA_REFUSAL:
        text_delta(c, it, ev);
        break;
    case TG_DELTA_CITATION:
        citation_delta(c, it, ev);
        break;
    case TG_DELTA_REASONING:
        reasoning_delta(c, it, ev);
        break;
    case TG_DELTA_ARGUMENTS:
        arguments_delta(c, it, ev);
        break;
    case TG_DELTA_SIGNATURE: /* is told when the item is done */
        break;
    }
}

void tg_responses_on_part_end(struct tg_responses_out *c, uint32_t part)
{
    struct tg_responses_item *it = find_item(c->r, part);
    if (!it || it->closed)
        return;
    if (it->kind == TG_RESPONSES_MESSAGE)
        return; /* goes on when another text follows */
    close_item(c, it, TG_STR("completed"));
}

void tg_responses_close_all(struct tg_responses_out *c, struct tg_str status)
{
    size_t n = c->r->n_items;
    for (size_t i = 0; i < n; i++)
        close_item(c, &c->r->items[i], i + 1 < n ? TG_STR("completed") : status);
}

bool tg_responses_is_senseless(const struct tg_responses_render *r, const struct tg_event *ev)
{
    if (ev->kind != TG_EV_PART_START && ev->kind != TG_EV_DELTA)
        return false;
    const struct tg_responses_item *it = find_item(r, ev->part);
    if (!it || ev->kind == TG_EV_PART_START)
        return it != NULL;
    if (ev->delta_kind == TG_DELTA_SIGNATURE)
        return it->closed;
    return it->closed || !fits(it, ev->delta_kind, ev->part);
}
