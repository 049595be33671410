/* Canonical events → chunks. Nothing grows per delta: the constant head of a chunk is made once, a
 * choice's state when the choice begins, a tool's when the tool does, all in the exchange's arena.
 *
 * Reasoning goes out twice, as `reasoning_content` and as pieces of `reasoning_details` entries:
 * only when it ends is it known whether it was signed, and a client must be able to give back what
 * was, word for word. */
#include "base/err.h"
#include "chat/call_id.h"
#include "chat/reasoning_details.h"
#include "dialect/openai_priv.h"

enum { MAX_CHOICES = 4096, MAX_TOOLS = 4096, MAX_SIGNATURE_BYTES = 1 << 20 };

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
    for (size_t i = r->n_choices; i < n; i++)
        tg_buf_init(&c[i].signature, MAX_SIGNATURE_BYTES);
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
    tg_buf_json_line(out, logprobs.n ? logprobs : TG_STR("null"));
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
    struct tg_str id;
    int rc = add_tool(c, info, ev->part);
    if (!rc)
        rc = tg_call_id_join(info->arena, ev->id, ev->signature, &id);
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
        tg_buf_json_str(out, id);
        tg_buf_lit(out, ",\"type\":\"function\",\"function\":{\"name\":");
        tg_buf_json_str(out, ev->name);
        tg_buf_lit(out, ",\"arguments\":\"\"}");
        if (ev->signature.n) {
            tg_buf_char(out, ',');
            tg_openai_write_signature(ev->signature, out);
        }
        tg_buf_lit(out, "}]");
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

/* ---- opaque state ---- */

static void write_details(const struct tg_openai_choice *c, struct tg_str text,
                          enum tg_opaque_kind opaque, struct tg_str signature, struct tg_buf *out)
{
    struct tg_reasoning_detail d = {.index = c->n_details ? c->n_details - 1 : 0,
                                    .text = text,
                                    .opaque = opaque,
                                    .signature = signature,
                                    .id = c->detail_id};
    unsigned n = 0;
    tg_buf_lit(out, "\"reasoning_details\":[");
    tg_reasoning_detail_write(&d, &n, out);
    tg_buf_char(out, ']');
}

static bool is_tool_part(const struct tg_openai_choice *c, uint32_t part)
{
    return c->n_tools && c->tool_parts[tool_index(c, part)] == part;
}

/* What was gathered goes out whole. */
static void flush_signature(struct tg_openai_render *r, struct tg_openai_choice *c, uint32_t index,
                            struct tg_buf *out)
{
    if (!c->signature.n)
        return;
    struct tg_str s = tg_buf_str(&c->signature);
    open_chunk(r, c, index, (struct tg_str){NULL, 0}, out);
    if (is_tool_part(c, c->signed_part) && !r->legacy_functions) {
        tg_buf_lit(out, "\"tool_calls\":[{\"index\":");
        tg_buf_u64(out, tool_index(c, c->signed_part));
        tg_buf_char(out, ',');
        tg_openai_write_signature(s, out);
        tg_buf_lit(out, "}]");
    } else if (c->reasoning) {
        write_details(c, TG_STR(""), c->opaque, s, out);
    } else {
        tg_openai_write_signature(s, out);
    }
    close_chunk(r, (struct tg_str){NULL, 0}, (struct tg_str){NULL, 0}, out);
    tg_buf_clear(&c->signature);
}

static int gather_signature(struct tg_openai_render *r, struct tg_openai_choice *c,
                            const struct tg_event *ev, struct tg_buf *out)
{
    if (c->signed_part != ev->part)
        flush_signature(r, c, ev->choice, out);
    c->signed_part = ev->part;
    c->opaque = ev->opaque;
    return tg_buf_str_add(&c->signature, ev->text);
}

static int stream_reasoning_start(struct tg_openai_choice *c, const struct tg_render_info *info,
                                  const struct tg_event *ev)
{
    c->reasoning = true;
    c->n_details++;
    c->signed_part = ev->part;
    c->detail_id = ev->id.n ? tg_arena_dup(info->arena, ev->id) : TG_STR("");
    return c->detail_id.p ? 0 : TG_E_NOMEM;
}

/* ---- deltas ---- */

static void stream_reasoning(const struct tg_openai_choice *c, struct tg_str text,
                             struct tg_buf *out)
{
    tg_buf_lit(out, "\"reasoning_content\":");
    tg_buf_json_str(out, text);
    if (!text.n)
        return;
    tg_buf_char(out, ',');
    write_details(c, text, TG_OPAQUE_NONE, TG_STR(""), out);
}

static void stream_delta(struct tg_openai_render *r, struct tg_openai_choice *c,
                         const struct tg_event *ev, struct tg_buf *out)
{
    stream_role(r, c, ev->choice, out);
    open_chunk(r, c, ev->choice, (struct tg_str){NULL, 0}, out);
    switch (ev->delta_kind) {
    case TG_DELTA_TEXT:
        tg_buf_lit(out, "\"content\":");
        tg_buf_json_str(out, ev->text);
        break;
    case TG_DELTA_REASONING:
        stream_reasoning(c, ev->text, out);
        break;
    case TG_DELTA_REFUSAL:
        tg_buf_lit(out, "\"refusal\":");
        tg_buf_json_str(out, ev->text);
        break;
    case TG_DELTA_ARGUMENTS:
        stream_arguments(r, c, ev, out);
        break;
    case TG_DELTA_CITATION:
        tg_buf_lit(out, "\"annotations\":[");
        if (ev->citation)
            tg_openai_write_citation(ev->citation, out);
        tg_buf_char(out, ']');
        break;
    case TG_DELTA_SIGNATURE:
        break;
    }
    close_chunk(r, ev->logprobs, (struct tg_str){NULL, 0}, out);
}

static void stream_image(struct tg_openai_render *r, struct tg_openai_choice *c,
                         const struct tg_event *ev, struct tg_buf *out)
{
    stream_role(r, c, ev->choice, out);
    open_chunk(r, c, ev->choice, (struct tg_str){NULL, 0}, out);
    tg_buf_lit(out, "\"images\":[");
    tg_openai_write_image(ev->media->mime, ev->media->data, out);
    tg_buf_char(out, ']');
    close_chunk(r, (struct tg_str){NULL, 0}, (struct tg_str){NULL, 0}, out);
}

static void stream_extra(struct tg_openai_render *r, struct tg_openai_choice *c,
                         const struct tg_event *ev, struct tg_buf *out)
{
    if (tg_openai_is_top_extra(ev->format, ev->name)) {
        tg_buf_str_add(out, r->head);
        tg_buf_char(out, ']');
        tg_openai_write_extra(ev->format, ev->name, ev->text, out);
        tg_buf_str_add(out, tg_str_from(r->tail, 1));
        return;
    }
    stream_role(r, c, ev->choice, out);
    open_chunk(r, c, ev->choice, (struct tg_str){NULL, 0}, out);
    tg_buf_lit(out, "},\"logprobs\":null,\"finish_reason\":null");
    tg_openai_write_extra(ev->format, ev->name, ev->text, out);
    tg_buf_char(out, '}');
    tg_buf_str_add(out, r->tail);
}

static void stream_finish(struct tg_openai_render *r, struct tg_openai_choice *c,
                          const struct tg_event *ev, struct tg_buf *out)
{
    if (c->finished)
        return;
    c->finished = true;
    stream_role(r, c, ev->choice, out);
    flush_signature(r, c, ev->choice, out);
    open_chunk(r, c, ev->choice, (struct tg_str){NULL, 0}, out);
    struct tg_str word = tg_openai_finish(ev->finish);
    if (r->legacy_functions && ev->finish == TG_FINISH_TOOL_CALLS)
        word = TG_STR("function_call");
    close_chunk(r, (struct tg_str){NULL, 0}, word, out);
}

/* The provider's tier is known from the start on: it stands in every chunk, as OpenAI has it. */
static int stream_tier(struct tg_openai_render *r, const struct tg_render_info *info,
                       struct tg_str tier)
{
    struct tg_buf b;
    struct tg_str tail = {NULL, 0};
    if (!tier.n)
        return 0;
    tg_buf_init(&b, 64 * 1024);
    tg_buf_lit(&b, "],\"service_tier\":");
    tg_buf_json_str(&b, tier);
    tg_buf_str_add(&b, info->include_usage ? TG_STR(",\"usage\":null}\n\n") : TG_STR("}\n\n"));
    if (tg_buf_ok(&b))
        tail = tg_arena_dup(info->arena, tg_buf_str(&b));
    tg_buf_fini(&b);
    if (!tail.p)
        return TG_E_NOMEM;
    r->tail = tail;
    return 0;
}

static int stream_part_start(struct tg_openai_render *r, const struct tg_render_info *info,
                             struct tg_openai_choice *c, const struct tg_event *ev,
                             struct tg_buf *out)
{
    flush_signature(r, c, ev->choice, out);
    c->reasoning = false;
    if (ev->part_kind == TG_PART_TOOL_CALL)
        return stream_tool_start(r, info, c, ev, out);
    if (ev->part_kind == TG_PART_IMAGE && ev->media)
        stream_image(r, c, ev, out);
    else
        stream_role(r, c, ev->choice, out);
    return ev->part_kind == TG_PART_REASONING ? stream_reasoning_start(c, info, ev) : 0;
}

int tg_openai_stream_event(struct tg_openai_render *r, const struct tg_render_info *info,
                           const struct tg_event *ev, struct tg_buf *out)
{
    if (ev->kind == TG_EV_START)
        return stream_tier(r, info, ev->service_tier);
    if (ev->kind == TG_EV_USAGE || ev->kind == TG_EV_ITEM || ev->kind == TG_EV_END ||
        ev->kind == TG_EV_ERROR)
        return 0;
    struct tg_openai_choice *c = find_choice(r, info, ev->choice);
    if (!c)
        return TG_E_NOMEM;
    if (ev->kind == TG_EV_PART_START)
        return stream_part_start(r, info, c, ev, out);
    if (ev->kind == TG_EV_DELTA && ev->delta_kind == TG_DELTA_SIGNATURE)
        return gather_signature(r, c, ev, out);
    if (ev->kind == TG_EV_DELTA)
        stream_delta(r, c, ev, out);
    else if (ev->kind == TG_EV_FINISH)
        stream_finish(r, c, ev, out);
    else if (ev->kind == TG_EV_EXTRA)
        stream_extra(r, c, ev, out);
    else if (ev->part == c->signed_part)
        flush_signature(r, c, ev->choice, out);
    return 0;
}

void tg_openai_stream_end(struct tg_openai_render *r, const struct tg_render_info *info,
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
