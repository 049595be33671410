/* Canonical events → the events of OpenAI's Responses, or one response. Order, as its servers send
 * it: response.created, response.in_progress, then per item output_item.added, its parts' and
 * deltas' events with their done, output_item.done, and one of response.completed, incomplete and
 * failed. Every event has the next sequence_number.
 *
 * A message goes on as long as texts and refusals follow each other; whatever else comes ends it.
 * Calls may be woven: each is its own item and ends with its part, or with the answer. Events that
 * make no sense in the order (for parts that were closed, after the end) are ignored. */
#include "base/assert.h"
#include "base/err.h"
#include "chat/call_id.h"
#include "dialect/responses_priv.h"

enum { MAX_ITEMS = 4096 };

/* One rendering, one event. */
struct ctx {
    struct tg_responses_render *r;
    const struct tg_render_info *info;
    struct tg_buf *out;
    int rc;
};

int tg_responses_answer_id(struct tg_arena *a, struct tg_str info_id, struct tg_str *out)
{
    static const struct tg_str prefixes[] = {TG_STR_INIT("chatcmpl-"), TG_STR_INIT("req_")};
    for (size_t i = 0; i < TG_ARRAY_LEN(prefixes); i++) {
        if (tg_str_starts(info_id, prefixes[i]))
            info_id = tg_str_from(info_id, prefixes[i].n);
    }
    *out = tg_arena_printf(a, "resp_%.*s", TG_STR_ARG(info_id));
    return out->p ? 0 : TG_E_NOMEM;
}

int tg_responses_begin(void *state, const struct tg_render_info *info)
{
    struct tg_responses_render *r = state;
    int rc = tg_responses_answer_id(info->arena, info->id, &r->id);
    if (rc)
        return rc;
    r->tail = tg_str_from(r->id, 5);
    return 0;
}

void tg_responses_fini(void *state)
{
    struct tg_responses_render *r = state;
    tg_collect_fini(&r->collect);
}

void tg_responses_answer(const void *render_state, struct tg_responses_answer *out)
{
    const struct tg_responses_render *r = render_state;
    *out = r->answer;
}

/* ---- events ---- */

/* `event: T` and the data's beginning. Single answers are silent until their end. */
static bool open_event(struct ctx *c, const char *type)
{
    if (!c->info->stream)
        return false;
    tg_buf_lit(c->out, "event: ");
    tg_buf_str_add(c->out, tg_str_c(type));
    tg_buf_lit(c->out, "\ndata: {\"type\":\"");
    tg_buf_str_add(c->out, tg_str_c(type));
    tg_buf_lit(c->out, "\",\"sequence_number\":");
    tg_buf_u64(c->out, c->r->seq++);
    return true;
}

static void close_event(struct ctx *c)
{
    tg_buf_lit(c->out, "}\n\n");
}

static bool open_item_event(struct ctx *c, const char *type, const struct tg_responses_item *it)
{
    if (!open_event(c, type))
        return false;
    tg_buf_lit(c->out, ",\"item_id\":");
    tg_buf_json_str(c->out, it->id);
    tg_buf_lit(c->out, ",\"output_index\":");
    tg_buf_u64(c->out, (size_t)(it - c->r->items));
    return true;
}

static void key(struct ctx *c, const char *name)
{
    tg_buf_lit(c->out, ",\"");
    tg_buf_str_add(c->out, tg_str_c(name));
    tg_buf_lit(c->out, "\":");
}

static void key_u64(struct ctx *c, const char *name, uint64_t v)
{
    key(c, name);
    tg_buf_u64(c->out, v);
}

static void note(struct ctx *c, int rc)
{
    if (rc && !c->rc)
        c->rc = rc;
}

static void response_event(struct ctx *c, const char *type, const struct tg_responses_end *end)
{
    size_t at, n;
    if (!open_event(c, type))
        return;
    key(c, "response");
    note(c, tg_responses_write_response(c->r, c->info, end, c->out, &at, &n));
    close_event(c);
}

static void begin_stream(struct ctx *c)
{
    struct tg_responses_end none = {.status = TG_STR_INIT("in_progress")};
    if (c->r->state != TG_RESPONSES_NEW)
        return;
    c->r->state = TG_RESPONSES_BEGUN;
    response_event(c, "response.created", &none);
    response_event(c, "response.in_progress", &none);
}

static void item_event(struct ctx *c, const char *type, const struct tg_responses_item *it,
                       struct tg_str status, bool empty)
{
    if (!open_event(c, type))
        return;
    key_u64(c, "output_index", (size_t)(it - c->r->items));
    key(c, "item");
    note(c, tg_responses_write_item(c->r, it, status, empty, c->out));
    close_event(c);
}

/* ---- parts of a message and of reasoning ---- */

static uint32_t last_part(const struct tg_responses_item *it)
{
    return it->part + it->n_parts - 1;
}

static struct tg_str part_text(const struct ctx *c, const struct tg_responses_item *it)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, last_part(it));
    return p ? tg_buf_str(&p->text) : TG_STR("");
}

static void content_event(struct ctx *c, const char *type, const struct tg_responses_item *it,
                          bool empty)
{
    if (!open_item_event(c, type, it))
        return;
    key_u64(c, "content_index", it->n_parts - 1);
    key(c, "part");
    note(c, tg_responses_write_content(c->r, last_part(it), empty, c->out));
    close_event(c);
}

static void summary_event(struct ctx *c, const char *type, const struct tg_responses_item *it,
                          bool empty)
{
    if (!open_item_event(c, type, it))
        return;
    key_u64(c, "summary_index", 0);
    tg_buf_lit(c->out, ",\"part\":{\"type\":\"summary_text\",\"text\":");
    tg_buf_json_str(c->out, empty ? TG_STR("") : part_text(c, it));
    tg_buf_char(c->out, '}');
    close_event(c);
}

static void text_done(struct ctx *c, const struct tg_responses_item *it)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, last_part(it));
    bool refusal = p && p->kind == TG_PART_REFUSAL;
    if (!open_item_event(c, refusal ? "response.refusal.done" : "response.output_text.done", it))
        return;
    key_u64(c, "content_index", it->n_parts - 1);
    key(c, refusal ? "refusal" : "text");
    tg_buf_json_str(c->out, part_text(c, it));
    if (!refusal)
        tg_buf_lit(c->out, ",\"logprobs\":[]");
    close_event(c);
}

static void summary_done(struct ctx *c, const struct tg_responses_item *it)
{
    if (!open_item_event(c, "response.reasoning_summary_text.done", it))
        return;
    key_u64(c, "summary_index", 0);
    key(c, "text");
    tg_buf_json_str(c->out, part_text(c, it));
    close_event(c);
}

static void close_part(struct ctx *c, struct tg_responses_item *it)
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

static void call_done(struct ctx *c, const struct tg_responses_item *it)
{
    bool custom = it->kind == TG_RESPONSES_CUSTOM;
    if (custom && part_text(c, it).n && /* the text is known only now that it is whole */
        open_item_event(c, "response.custom_tool_call_input.delta", it)) {
        key(c, "delta");
        tg_responses_write_custom_input(part_text(c, it), c->out);
        close_event(c);
    }
    if (!open_item_event(c,
                         custom ? "response.custom_tool_call_input.done"
                                : "response.function_call_arguments.done",
                         it))
        return;
    key(c, custom ? "input" : "arguments");
    if (custom)
        tg_responses_write_custom_input(part_text(c, it), c->out);
    else
        tg_buf_json_str(c->out, part_text(c, it));
    close_event(c);
}

static struct tg_responses_item *add_item(struct ctx *c, enum tg_responses_kind kind, uint32_t part,
                                          const char *prefix, struct tg_str id)
{
    struct tg_responses_render *r = c->r;
    if (r->n_items == r->cap_items) {
        size_t cap = r->cap_items ? r->cap_items * 2 : 4;
        void *p = cap > MAX_ITEMS
                      ? NULL
                      : tg_arena_grow(c->info->arena, r->items, r->n_items * sizeof(*r->items),
                                      cap * sizeof(*r->items));
        if (!p) {
            note(c, cap > MAX_ITEMS ? TG_E_UPSTREAM_TOO_LARGE : TG_E_NOMEM);
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
        note(c, TG_E_NOMEM);
        return NULL;
    }
    r->n_items++;
    return it;
}

static void keep_text_state(struct ctx *c, uint32_t part);

static void close_item(struct ctx *c, struct tg_responses_item *it, struct tg_str status)
{
    if (it->closed)
        return;
    close_part(c, it);
    it->closed = true;
    if (it->kind == TG_RESPONSES_FUNCTION || it->kind == TG_RESPONSES_CUSTOM)
        call_done(c, it);
    item_event(c, "response.output_item.done", it, status, false);
    if (it->kind == TG_RESPONSES_MESSAGE)
        keep_text_state(c, last_part(it)); /* may move the items */
}

/* The signature of a text has no place in a message: a reasoning item behind it keeps it. */
static void keep_text_state(struct ctx *c, uint32_t part)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, part);
    if (!p || !p->signature.n || p->opaque != TG_OPAQUE_THOUGHT)
        return;
    struct tg_responses_item *it = add_item(c, TG_RESPONSES_TEXT_STATE, part, "rs_", TG_STR(""));
    if (!it)
        return;
    item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
    close_item(c, it, TG_STR("completed"));
}

/* What was open and is no call ends when something else begins. */
static void close_said(struct ctx *c)
{
    size_t n = c->r->n_items; /* a message's end may add one, closed, and move them all */
    for (size_t i = 0; i < n; i++) {
        enum tg_responses_kind k = c->r->items[i].kind;
        if (k != TG_RESPONSES_FUNCTION && k != TG_RESPONSES_CUSTOM)
            close_item(c, &c->r->items[i], TG_STR("completed"));
    }
}

static struct tg_responses_item *find_item(struct tg_responses_render *r, uint32_t part)
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

static void start_text(struct ctx *c, uint32_t part)
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
    item_event(c, "response.output_item.added", last, TG_STR("in_progress"), true);
    last->part_open = true;
    content_event(c, "response.content_part.added", last, true);
}

static void start_call(struct ctx *c, const struct tg_event *ev)
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
        note(c, TG_E_NOMEM);
    item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
}

static void start_reasoning(struct ctx *c, const struct tg_event *ev)
{
    close_said(c);
    struct tg_responses_item *it = add_item(c, TG_RESPONSES_REASONING, ev->part, "rs_", ev->id);
    if (it)
        item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
}

/* What comes whole. */
static void start_whole(struct ctx *c, const struct tg_event *ev)
{
    bool image = ev->part_kind == TG_PART_IMAGE;
    if (!image && ev->format != TG_WIRE_OPENAI_RESPONSES)
        return;
    close_said(c);
    struct tg_responses_item *it =
        add_item(c, image ? TG_RESPONSES_IMAGE : TG_RESPONSES_RAW, ev->part, "ig_", TG_STR(""));
    if (!it)
        return;
    item_event(c, "response.output_item.added", it, TG_STR("in_progress"), true);
    if (image && open_item_event(c, "response.image_generation_call.in_progress", it))
        close_event(c);
    if (image && open_item_event(c, "response.image_generation_call.completed", it))
        close_event(c);
    close_item(c, it, TG_STR("completed"));
}

static void on_start(struct ctx *c, const struct tg_event *ev)
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

static void text_delta(struct ctx *c, const struct tg_responses_item *it, const struct tg_event *ev)
{
    bool refusal = ev->delta_kind == TG_DELTA_REFUSAL;
    if (!open_item_event(c, refusal ? "response.refusal.delta" : "response.output_text.delta", it))
        return;
    key_u64(c, "content_index", it->n_parts - 1);
    key(c, "delta");
    tg_buf_json_str(c->out, ev->text);
    if (!refusal) {
        key(c, "logprobs");
        note(c, tg_responses_write_logprobs(ev->logprobs, c->out));
    }
    close_event(c);
}

static void citation_delta(struct ctx *c, const struct tg_responses_item *it,
                           const struct tg_event *ev)
{
    const struct tg_collect_part *p = tg_responses_part(c->r, last_part(it));
    if (!ev->citation || !p || !open_item_event(c, "response.output_text.annotation.added", it))
        return;
    key_u64(c, "content_index", it->n_parts - 1);
    key_u64(c, "annotation_index", p->n_citations ? p->n_citations - 1 : 0);
    key(c, "annotation");
    tg_responses_write_annotation(ev->citation, c->out);
    close_event(c);
}

static void reasoning_delta(struct ctx *c, struct tg_responses_item *it, const struct tg_event *ev)
{
    if (!it->part_open) {
        it->part_open = true;
        summary_event(c, "response.reasoning_summary_part.added", it, true);
    }
    if (!open_item_event(c, "response.reasoning_summary_text.delta", it))
        return;
    key_u64(c, "summary_index", 0);
    key(c, "delta");
    tg_buf_json_str(c->out, ev->text);
    close_event(c);
}

static void arguments_delta(struct ctx *c, const struct tg_responses_item *it,
                            const struct tg_event *ev)
{
    if (it->kind != TG_RESPONSES_FUNCTION ||
        !open_item_event(c, "response.function_call_arguments.delta", it))
        return;
    key(c, "delta");
    tg_buf_json_str(c->out, ev->text);
    close_event(c);
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

static void on_delta(struct ctx *c, const struct tg_event *ev)
{
    struct tg_responses_item *it = find_item(c->r, ev->part);
    if (!it && ev->delta_kind != TG_DELTA_SIGNATURE) {
        on_start(c, &(struct tg_event){.part = ev->part,
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

static void on_part_end(struct ctx *c, uint32_t part)
{
    struct tg_responses_item *it = find_item(c->r, part);
    if (!it || it->closed)
        return;
    if (it->kind == TG_RESPONSES_MESSAGE)
        return; /* goes on when another text follows */
    close_item(c, it, TG_STR("completed"));
}

/* ---- the dialect's functions ---- */

static bool is_shown(const struct tg_event *ev)
{
    return ev->kind == TG_EV_START ||
           (ev->choice == 0 && (ev->kind == TG_EV_PART_START || ev->kind == TG_EV_DELTA ||
                                ev->kind == TG_EV_PART_END || ev->kind == TG_EV_FINISH));
}

/* A part that begins again, or a delta for one that is closed or of another kind. */
static bool is_senseless(struct tg_responses_render *r, const struct tg_event *ev)
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

int tg_responses_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                        struct tg_buf *out)
{
    struct tg_responses_render *r = state;
    struct ctx c = {.r = r, .info = info, .out = out};
    if (!is_shown(ev) || r->state == TG_RESPONSES_OVER)
        return 0;
    if (ev->kind == TG_EV_START && ev->service_tier.n && !r->service_tier.n)
        r->service_tier = tg_arena_dup(info->arena, ev->service_tier);
    if (is_senseless(r, ev))
        return 0;
    int rc = tg_collect_on_event(&r->collect, ev);
    if (rc)
        return rc;
    begin_stream(&c);
    if (ev->kind == TG_EV_PART_START)
        on_start(&c, ev);
    else if (ev->kind == TG_EV_DELTA)
        on_delta(&c, ev);
    else if (ev->kind == TG_EV_PART_END)
        on_part_end(&c, ev->part);
    return c.rc ? c.rc : tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static struct tg_responses_end end_of(const struct tg_responses_render *r,
                                      const struct tg_usage *usage)
{
    struct tg_responses_end end = {.status = TG_STR_INIT("completed"), .usage = usage};
    enum tg_finish f = r->collect.n_choices ? r->collect.choices[0].finish : TG_FINISH_STOP;
    if (f == TG_FINISH_LENGTH)
        end.reason = TG_STR("max_output_tokens");
    if (f == TG_FINISH_CONTENT_FILTER)
        end.reason = TG_STR("content_filter");
    if (end.reason.n)
        end.status = TG_STR("incomplete");
    return end;
}

static void close_all(struct ctx *c, struct tg_str status)
{
    size_t n = c->r->n_items;
    for (size_t i = 0; i < n; i++)
        close_item(c, &c->r->items[i], i + 1 < n ? TG_STR("completed") : status);
}

/* What is kept of the answer, for calls that want it. */
static void keep(struct ctx *c, const char *text, size_t n, size_t output_at, size_t output_n)
{
    struct tg_responses_render *r = c->r;
    if (!c->info->call || !c->info->call->store || !tg_buf_ok(c->out) || c->rc)
        return;
    struct tg_str whole = tg_arena_dup(c->info->arena, tg_str_make(text, n));
    if (!whole.p) {
        note(c, TG_E_NOMEM);
        return;
    }
    r->answer = (struct tg_responses_answer){
        .id = r->id, .response = whole, .output = tg_str_make(whole.p + output_at, output_n)};
}

int tg_responses_finish(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    struct tg_responses_render *r = state;
    struct ctx c = {.r = r, .info = info, .out = out};
    struct tg_responses_end end = end_of(r, usage);
    size_t output_at, output_n;
    if (r->state == TG_RESPONSES_OVER)
        return 0;
    begin_stream(&c);
    close_all(&c, end.status);
    r->state = TG_RESPONSES_OVER;
    bool event = open_event(&c, end.reason.n ? "response.incomplete" : "response.completed");
    if (event)
        key(&c, "response");
    size_t at = out->n;
    note(&c, tg_responses_write_response(r, info, &end, out, &output_at, &output_n));
    keep(&c, out->p + at, out->n - at, output_at - at, output_n);
    if (event)
        close_event(&c);
    return c.rc ? c.rc : tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* `error` is what most clients raise, `response.failed` what the others wait for. Both forms of the
 * error's members are in use: flat in the API's description, inside `error` on the wire. */
static void error_event(struct ctx *c, const struct tg_fail *fail)
{
    struct tg_str param = tg_str_c(fail->param), message = tg_str_c(fail->message);
    if (!message.n)
        message = tg_str_c(tg_err_info(fail->err)->text);
    if (!open_event(c, "error"))
        return;
    for (int nested = 0; nested < 2; nested++) {
        if (nested) {
            tg_buf_lit(c->out, ",\"error\":{\"type\":");
            tg_buf_json_str(c->out, tg_str_c(tg_fail_type(fail)));
        }
        key(c, "code");
        tg_buf_json_str(c->out, tg_str_c(tg_fail_code(fail)));
        key(c, "message");
        tg_buf_json_str(c->out, message);
        key(c, "param");
        if (param.n)
            tg_buf_json_str(c->out, param);
        else
            tg_buf_lit(c->out, "null");
    }
    tg_buf_char(c->out, '}');
    close_event(c);
}

int tg_responses_broken(void *state, const struct tg_render_info *info, const struct tg_fail *fail,
                        struct tg_buf *out)
{
    struct tg_responses_render *r = state;
    struct tg_render_info streamed = *info;
    struct ctx c = {.r = r, .info = &streamed, .out = out};
    struct tg_responses_end end = {.status = TG_STR_INIT("failed"), .fail = fail};
    streamed.stream = true;
    if (r->state == TG_RESPONSES_OVER)
        return 0;
    begin_stream(&c);
    error_event(&c, fail);
    r->state = TG_RESPONSES_OVER;
    response_event(&c, "response.failed", &end);
    return c.rc ? c.rc : tg_buf_ok(out) ? 0 : TG_E_FULL;
}
