/* JSON that streamed and single Messages answers have alike. Shapes: Anthropic's SDK,
 * resources/messages: Message, Usage, StopReason, TextCitation. */
#include "base/err.h"
#include "chat/call_id.h"
#include "dialect/anthropic_priv.h"

static struct tg_str own_id(const struct tg_render_info *info)
{
    struct tg_str id = info->id.n ? info->id : info->request_id;
    ptrdiff_t prefix = tg_str_chr(id, '-');
    if (tg_str_starts(id, TG_STR("chatcmpl-")))
        id = tg_str_from(id, (size_t)prefix + 1);
    else if (tg_str_starts(id, TG_STR("req_")))
        id = tg_str_from(id, 4);
    return id;
}

void tg_anthropic_write_id(const struct tg_render_info *info, struct tg_buf *out)
{
    tg_buf_lit(out, "\"msg_");
    tg_buf_json(out, own_id(info));
    tg_buf_char(out, '"');
}

int tg_anthropic_tool_id(const struct tg_render_info *info, uint32_t part, struct tg_str id,
                         struct tg_str signature, struct tg_str *out)
{
    if (!id.n)
        id = tg_arena_printf(info->arena, "toolu_%.*s_%u", TG_STR_ARG(own_id(info)), part);
    else
        id = tg_arena_dup(info->arena, id);
    return id.p ? tg_call_id_join(info->arena, id, signature, out) : TG_E_NOMEM;
}

struct tg_str tg_anthropic_stop_reason(enum tg_finish finish, struct tg_str word,
                                       struct tg_str stop_text, bool has_calls, bool refused)
{
    static const struct tg_str own[] = {
        TG_STR_INIT("pause_turn"),
        TG_STR_INIT("refusal"),
        TG_STR_INIT("model_context_window_exceeded"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(own); i++) {
        if (tg_str_eq(word, own[i]))
            return own[i];
    }
    switch (finish) {
    case TG_FINISH_LENGTH:
        return TG_STR("max_tokens");
    case TG_FINISH_CONTENT_FILTER:
        return TG_STR("refusal");
    case TG_FINISH_TOOL_CALLS:
        return TG_STR("tool_use");
    case TG_FINISH_STOP:
    case TG_FINISH_OTHER:
        break;
    }
    if (has_calls) /* "stop" behind a call that was asked for by name, as OpenAI says it */
        return TG_STR("tool_use");
    if (refused)
        return TG_STR("refusal");
    if (stop_text.n || tg_str_eq(word, TG_STR("stop_sequence")))
        return TG_STR("stop_sequence");
    return TG_STR("end_turn");
}

void tg_anthropic_write_stop(struct tg_str reason, struct tg_str stop_text, struct tg_buf *out)
{
    tg_buf_lit(out, "\"stop_reason\":");
    tg_buf_json_str(out, reason);
    tg_buf_lit(out, ",\"stop_sequence\":");
    if (stop_text.n && tg_str_eq(reason, TG_STR("stop_sequence")))
        tg_buf_json_str(out, stop_text);
    else
        tg_buf_lit(out, "null");
}

void tg_anthropic_write_usage(const struct tg_usage *u, struct tg_str service_tier,
                              struct tg_buf *out)
{
    static const struct tg_usage none = {0};
    if (!u)
        u = &none;
    tg_buf_lit(out, "\"input_tokens\":");
    tg_buf_i64(out, u->input_tokens);
    tg_buf_lit(out, ",\"cache_creation_input_tokens\":");
    tg_buf_i64(out, u->cache_write_tokens);
    tg_buf_lit(out, ",\"cache_read_input_tokens\":");
    tg_buf_i64(out, u->cache_read_tokens);
    if (u->cache_write_tokens) {
        tg_buf_lit(out, ",\"cache_creation\":{\"ephemeral_5m_input_tokens\":");
        tg_buf_i64(out, u->cache_write_tokens - u->cache_write_1h_tokens);
        tg_buf_lit(out, ",\"ephemeral_1h_input_tokens\":");
        tg_buf_i64(out, u->cache_write_1h_tokens);
        tg_buf_char(out, '}');
    }
    tg_buf_lit(out, ",\"output_tokens\":");
    tg_buf_i64(out, tg_usage_completion(u));
    if (u->reasoning_tokens) {
        tg_buf_lit(out, ",\"output_tokens_details\":{\"thinking_tokens\":");
        tg_buf_i64(out, u->reasoning_tokens);
        tg_buf_char(out, '}');
    }
    if (service_tier.n) {
        tg_buf_lit(out, ",\"service_tier\":");
        tg_buf_json_str(out, service_tier);
    }
}

static void string_or_null(struct tg_str s, struct tg_buf *out)
{
    if (s.n)
        tg_buf_json_str(out, s);
    else
        tg_buf_lit(out, "null");
}

/* With a URL it is a found page; else a place in a document. */
void tg_anthropic_write_citation(const struct tg_citation *c, struct tg_buf *out)
{
    if (c->format == TG_WIRE_ANTHROPIC_MESSAGES && c->raw.n) {
        tg_buf_str_add(out, c->raw);
        return;
    }
    if (c->url.n) {
        tg_buf_lit(out, "{\"type\":\"web_search_result_location\",\"cited_text\":");
        tg_buf_json_str(out, c->text);
        tg_buf_lit(out, ",\"encrypted_index\":\"\",\"title\":");
        tg_buf_json_str(out, c->title); /* null is allowed, but not every client takes it */
        tg_buf_lit(out, ",\"url\":");
        tg_buf_json_str(out, c->url);
        tg_buf_char(out, '}');
        return;
    }
    tg_buf_lit(out, "{\"type\":\"char_location\",\"cited_text\":");
    tg_buf_json_str(out, c->text);
    tg_buf_lit(out, ",\"document_index\":0,\"document_title\":");
    string_or_null(c->title, out);
    tg_buf_lit(out, ",\"file_id\":null,\"start_char_index\":");
    tg_buf_i64(out, c->start > 0 ? c->start : 0);
    tg_buf_lit(out, ",\"end_char_index\":");
    tg_buf_i64(out, c->end > 0 ? c->end : 0);
    tg_buf_char(out, '}');
}
