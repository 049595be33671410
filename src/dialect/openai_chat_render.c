/* Canonical events → chat completion chunks, or one chat completion. The shapes are those of
 * OpenAI's API description (CreateChatCompletionStreamResponse, CreateChatCompletionResponse); the
 * order of members and the split into chunks are what its servers send.
 *
 * In stream mode nothing grows per delta: the constant head of a chunk is made once, a choice's
 * state when the choice begins, a tool's when the tool does, all in the exchange's arena. */
#include "base/assert.h"
#include "base/err.h"
#include "chat/logprobs.h"
#include "dialect/openai_priv.h"

enum { MAX_CHOICES = 4096, MAX_TOOLS = 4096 };

/* A client that still speaks `functions` gets its calls as `function_call`. */
static bool asks_functions(const struct tg_render_info *info)
{
    if (!info->call || info->call->dialect != &tg_dialect_openai_chat || !info->call->parsed)
        return false;
    const struct tg_body *b = info->call->parsed;
    return tg_json_count(b->v[TG_F_FUNCTIONS]) > 0 && tg_json_count(b->v[TG_F_TOOLS]) == 0;
}

int tg_openai_chat_begin(void *state, const struct tg_render_info *info)
{
    struct tg_openai_render *r = state;
    r->legacy_functions = asks_functions(info);
    if (!info->stream)
        return 0;
    struct tg_buf b;
    tg_buf_init(&b, 64 * 1024);
    tg_buf_lit(&b, "data: ");
    tg_openai_write_head(info, info->id, TG_STR("chat.completion.chunk"), &b);
    if (tg_buf_ok(&b))
        r->head = tg_arena_dup(info->arena, tg_buf_str(&b));
    tg_buf_fini(&b);
    r->tail = info->include_usage ? TG_STR("],\"usage\":null}\n\n") : TG_STR("]}\n\n");
    return r->head.p ? 0 : TG_E_NOMEM;
}

void tg_openai_chat_fini(void *state)
{
    struct tg_openai_render *r = state;
    tg_collect_fini(&r->collect);
}

/* ---- streams ---- */

static struct tg_openai_choice *find_choice(struct tg_openai_render *r,
                                            const struct tg_render_info *info, uint32_t index)
{
    if (tg_likely(index < r->n_choices))
        return &r->choices[index];
    if (index >= MAX_CHOICES)
        return NULL;
    size_t n = (size_t)index + 1;
    struct tg_openai_choice *c =
        tg_arena_grow(info->arena, r->choices, r->n_choices * sizeof(*c), n * sizeof(*c));
    if (!c)
        return NULL;
    memset(c + r->n_choices, 0, (n - r->n_choices) * sizeof(*c));
    r->choices = c;
    r->n_choices = n;
    return &c[index];
}

static int add_tool(struct tg_openai_choice *c, const struct tg_render_info *info, uint32_t part)
{
    if (c->n_tools == c->cap_tools) {
        uint32_t cap = c->cap_tools ? c->cap_tools * 2 : 4;
        uint32_t *p = cap > MAX_TOOLS ? NULL
                                      : tg_arena_grow(info->arena, c->tool_parts,
                                                      c->cap_tools * sizeof(*p), cap * sizeof(*p));
        if (!p)
            return TG_E_NOMEM;
        c->tool_parts = p;
        c->cap_tools = cap;
    }
    c->tool_parts[c->n_tools++] = part;
    return 0;
}

/* The tool's index in tool_calls; the newest is nearly always the one. */
static uint32_t tool_index(const struct tg_openai_choice *c, uint32_t part)
{
    uint32_t i = c->n_tools;
    while (i > 1 && c->tool_parts[i - 1] != part)
        i--;
    return i ? i - 1 : 0;
}

/* `{"index":0,"delta":{` and, the first time, the role. */
static void open_chunk(struct tg_openai_render *r, struct tg_openai_choice *c, uint32_t index,
                       struct tg_str first, struct tg_buf *out)
{
    tg_buf_str_add(out, r->head);
    tg_buf_lit(out, "{\"index\":");
    tg_buf_u64(out, index);
    tg_buf_lit(out, ",\"delta\":{");
    if (!c->role_sent)
        tg_buf_str_add(out, first);
    c->role_sent = true;
}

static void close_chunk(struct tg_openai_render *r, struct tg_str logprobs, struct tg_str finish,
                        struct tg_buf *out)
{
    tg_buf_lit(out, "},\"logprobs\":");
    tg_buf_str_add(out, logprobs.n ? logprobs : TG_STR("null"));
    tg_buf_lit(out, ",\"finish_reason\":");
    if (finish.n) {
        tg_buf_char(out, '"');
        tg_buf_str_add(out, finish);
        tg_buf_char(out, '"');
    } else {
        tg_buf_lit(out, "null");
    }
    tg_buf_char(out, '}');
    tg_buf_str_add(out, r->tail);
}

static const struct tg_str role_text =
    TG_STR_INIT("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null");
static const struct tg_str role_tool = TG_STR_INIT("\"role\":\"assistant\",\"content\":null,");

static int stream_tool_start(struct tg_openai_render *r, const struct tg_render_info *info,
                             struct tg_openai_choice *c, const struct tg_event *ev,
                             struct tg_buf *out)
{
    int rc = add_tool(c, info, ev->part);
    if (rc)
        return rc;
    open_chunk(r, c, ev->choice, role_tool, out);
    if (r->legacy_functions) {
        tg_buf_lit(out, "\"function_call\":{\"name\":");
        tg_buf_json_str(out, ev->name);
        tg_buf_lit(out, ",\"arguments\":\"\"}");
    } else {
        tg_buf_lit(out, "\"tool_calls\":[{\"index\":");
        tg_buf_u64(out, c->n_tools - 1);
        tg_buf_lit(out, ",\"id\":");
        tg_buf_json_str(out, ev->id);
        tg_buf_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
        tg_buf_json_str(out, ev->name);
        tg_buf_lit(out, ",\"arguments\":\"\"}}]");
    }
    close_chunk(r, (struct tg_str){NULL, 0}, (struct tg_str){NULL, 0}, out);
    return 0;
}

/* The role goes out as soon as the answer begins. */
static void stream_role(struct tg_openai_render *r, struct tg_openai_choice *c, uint32_t index,
                        struct tg_buf *out)
{
    if (c->role_sent)
        return;
    open_chunk(r, c, index, role_text, out);
    close_chunk(r, (struct tg_str){NULL, 0}, (struct tg_str){NULL, 0}, out);
}

static void stream_arguments(struct tg_openai_render *r, struct tg_openai_choice *c,
                             const struct tg_event *ev, struct tg_buf *out)
{
    if (r->legacy_functions) {
        tg_buf_lit(out, "\"function_call\":{\"arguments\":");
        tg_buf_json_str(out, ev->text);
        tg_buf_char(out, '}');
        return;
    }
    tg_buf_lit(out, "\"tool_calls\":[{\"index\":");
    tg_buf_u64(out, tool_index(c, ev->part));
    tg_buf_lit(out, ",\"function\":{\"arguments\":");
    tg_buf_json_str(out, ev->text);
    tg_buf_lit(out, "}}]");
}

static void stream_delta(struct tg_openai_render *r, struct tg_openai_choice *c,
                         const struct tg_event *ev, struct tg_buf *out)
{
    if (ev->delta_kind == TG_DELTA_SIGNATURE || ev->delta_kind == TG_DELTA_CITATION)
        return; /* have no place in this format */
    stream_role(r, c, ev->choice, out);
    open_chunk(r, c, ev->choice, (struct tg_str){NULL, 0}, out);
    switch (ev->delta_kind) {
    case TG_DELTA_TEXT:
        tg_buf_lit(out, "\"content\":");
        tg_buf_json_str(out, ev->text);
        break;
    case TG_DELTA_REASONING:
        tg_buf_lit(out, "\"reasoning_content\":");
        tg_buf_json_str(out, ev->text);
        break;
    case TG_DELTA_REFUSAL:
        tg_buf_lit(out, "\"refusal\":");
        tg_buf_json_str(out, ev->text);
        break;
    case TG_DELTA_ARGUMENTS:
        stream_arguments(r, c, ev, out);
        break;
    case TG_DELTA_SIGNATURE:
    case TG_DELTA_CITATION:
        break;
    }
    close_chunk(r, ev->logprobs, (struct tg_str){NULL, 0}, out);
}

static void stream_finish(struct tg_openai_render *r, struct tg_openai_choice *c,
                          const struct tg_event *ev, struct tg_buf *out)
{
    if (c->finished)
        return;
    c->finished = true;
    stream_role(r, c, ev->choice, out);
    open_chunk(r, c, ev->choice, (struct tg_str){NULL, 0}, out);
    struct tg_str word = tg_openai_finish(ev->finish);
    if (r->legacy_functions && ev->finish == TG_FINISH_TOOL_CALLS)
        word = TG_STR("function_call");
    close_chunk(r, (struct tg_str){NULL, 0}, word, out);
}

static int stream_event(struct tg_openai_render *r, const struct tg_render_info *info,
                        const struct tg_event *ev, struct tg_buf *out)
{
    if (ev->kind != TG_EV_PART_START && ev->kind != TG_EV_DELTA && ev->kind != TG_EV_FINISH)
        return 0;
    struct tg_openai_choice *c = find_choice(r, info, ev->choice);
    if (!c)
        return TG_E_NOMEM;
    int rc = 0;
    if (ev->kind == TG_EV_DELTA)
        stream_delta(r, c, ev, out);
    else if (ev->kind == TG_EV_FINISH)
        stream_finish(r, c, ev, out);
    else if (ev->part_kind == TG_PART_TOOL_CALL)
        rc = stream_tool_start(r, info, c, ev, out);
    else
        stream_role(r, c, ev->choice, out);
    return rc;
}

int tg_openai_chat_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                          struct tg_buf *out)
{
    struct tg_openai_render *r = state;
    if (!info->stream)
        return tg_collect_on_event(&r->collect, ev);
    int rc = stream_event(r, info, ev, out);
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

static void stream_end(struct tg_openai_render *r, const struct tg_render_info *info,
                       const struct tg_usage *usage, struct tg_buf *out)
{
    if (info->include_usage && usage && usage->source != TG_USAGE_ABSENT) {
        tg_buf_str_add(out, r->head);
        tg_buf_lit(out, "],\"usage\":");
        tg_openai_write_usage(usage, out);
        tg_buf_lit(out, "}\n\n");
    }
    tg_buf_lit(out, "data: [DONE]\n\n");
}

/* ---- single answers ---- */

static int single_choice(struct tg_openai_render *r, const struct tg_collect_choice *ch,
                         struct tg_buf *out)
{
    tg_buf_lit(out, "{\"index\":");
    tg_buf_u64(out, ch->index);
    tg_buf_lit(out, ",\"message\":{");
    tg_openai_write_message(ch, r->legacy_functions, out);
    tg_buf_lit(out, "},\"logprobs\":");
    int rc = tg_logprobs_join(tg_buf_str(&ch->logprobs), out);
    tg_buf_lit(out, ",\"finish_reason\":\"");
    bool function = r->legacy_functions && ch->finish == TG_FINISH_TOOL_CALLS;
    tg_buf_str_add(out, function ? TG_STR("function_call") : tg_openai_finish(ch->finish));
    tg_buf_lit(out, "\"}");
    return rc;
}

int tg_openai_chat_finish(void *state, const struct tg_render_info *info,
                          const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    struct tg_openai_render *r = state;
    if (info->stream) {
        stream_end(r, info, usage, out);
        return tg_buf_ok(out) ? 0 : TG_E_FULL;
    }
    tg_openai_write_head(info, info->id, TG_STR("chat.completion"), out);
    for (size_t i = 0; i < r->collect.n_choices; i++) {
        if (i)
            tg_buf_char(out, ',');
        int rc = single_choice(r, &r->collect.choices[i], out);
        if (rc)
            return rc;
    }
    tg_buf_lit(out, "],\"usage\":");
    tg_openai_write_usage(usage, out);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}
