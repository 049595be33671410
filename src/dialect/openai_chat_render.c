/* Canonical events → chat completion chunks, or one chat completion. The shapes are those of
 * OpenAI's API description (CreateChatCompletionStreamResponse, CreateChatCompletionResponse); the
 * order of members and the split into chunks are what its servers send.
 * Streams: openai_chat_stream.c. */
#include "base/assert.h"
#include "base/err.h"
#include "chat/logprobs.h"
#include "dialect/openai_priv.h"

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
    for (size_t i = 0; i < r->n_choices; i++)
        tg_buf_fini(&r->choices[i].signature);
    tg_collect_fini(&r->collect);
}

int tg_openai_chat_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                          struct tg_buf *out)
{
    struct tg_openai_render *r = state;
    if (!info->stream)
        return tg_collect_on_event(&r->collect, ev);
    int rc = tg_openai_stream_event(r, info, ev, out);
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}

/* ---- single answers ---- */

static int single_choice(struct tg_openai_render *r, const struct tg_render_info *info,
                         const struct tg_collect_choice *ch, struct tg_buf *out)
{
    tg_buf_lit(out, "{\"index\":");
    tg_buf_u64(out, ch->index);
    tg_buf_lit(out, ",\"message\":{");
    int rc = tg_openai_write_message(info, ch, r->legacy_functions, out);
    if (rc)
        return rc;
    tg_buf_lit(out, "},\"logprobs\":");
    rc = tg_logprobs_join(tg_buf_str(&ch->logprobs), out);
    tg_buf_lit(out, ",\"finish_reason\":\"");
    bool function = r->legacy_functions && ch->finish == TG_FINISH_TOOL_CALLS;
    tg_buf_str_add(out, function ? TG_STR("function_call") : tg_openai_finish(ch->finish));
    tg_buf_char(out, '"');
    for (size_t i = 0; i < r->collect.n_extras; i++) {
        const struct tg_collect_item *x = &r->collect.extras[i];
        if (x->index == ch->index && !tg_openai_is_top_extra(x->format, tg_buf_str(&x->name)))
            tg_openai_write_extra(x->format, tg_buf_str(&x->name), tg_buf_str(&x->text), out);
    }
    tg_buf_char(out, '}');
    return rc;
}

/* What stands beside the choices. */
static void single_rest(const struct tg_collect *c, struct tg_buf *out)
{
    if (c->service_tier.n) {
        tg_buf_lit(out, ",\"service_tier\":");
        tg_buf_json_str(out, tg_buf_str(&c->service_tier));
    }
    for (size_t i = 0; i < c->n_extras; i++) {
        const struct tg_collect_item *x = &c->extras[i];
        if (tg_openai_is_top_extra(x->format, tg_buf_str(&x->name)))
            tg_openai_write_extra(x->format, tg_buf_str(&x->name), tg_buf_str(&x->text), out);
    }
}

int tg_openai_chat_finish(void *state, const struct tg_render_info *info,
                          const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out)
{
    struct tg_openai_render *r = state;
    if (info->stream) {
        tg_openai_stream_end(r, info, usage, out);
        return tg_buf_ok(out) ? 0 : TG_E_FULL;
    }
    tg_openai_write_head(info, info->id, TG_STR("chat.completion"), out);
    for (size_t i = 0; i < r->collect.n_choices; i++) {
        if (i)
            tg_buf_char(out, ',');
        int rc = single_choice(r, info, &r->collect.choices[i], out);
        if (rc)
            return rc;
    }
    tg_buf_lit(out, "],\"usage\":");
    tg_openai_write_usage(usage, out);
    single_rest(&r->collect, out);
    tg_buf_char(out, '}');
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}
