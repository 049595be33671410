/* A canonical request as text, one line a thing, so that a case file can say what a body means.
 * Include after check.h; link chat. */
#ifndef TG_TEST_CANON_H
#define TG_TEST_CANON_H

#include "base/buf.h"
#include "chat/request.h"

static inline void canon_str(struct tg_buf *b, const char *key, struct tg_str v)
{
    if (!v.n)
        return;
    tg_buf_printf(b, " %s=", key);
    tg_buf_json_str(b, v);
}

static inline void canon_raw(struct tg_buf *b, const char *key, struct tg_str v)
{
    if (!v.n)
        return;
    tg_buf_printf(b, " %s=", key);
    tg_buf_str_add(b, v);
}

static inline void canon_part(struct tg_buf *b, const struct tg_part *p, const char *indent)
{
    static const char *const kinds[] = {"text",      "image",     "document",
                                        "audio",     "tool_call", "tool_result",
                                        "reasoning", "refusal",   "raw"};
    static const char *const sources[] = {"inline", "url", "file_id"};
    tg_buf_printf(b, "%s%s", indent, kinds[p->kind]);
    canon_str(b, "text", p->text);
    if (p->media.data.n) {
        tg_buf_printf(b, " %s", sources[p->media.source]);
        canon_str(b, "mime", p->media.mime);
        canon_str(b, "data", p->media.data);
        canon_str(b, "detail", p->media.detail);
    }
    canon_str(b, "call_id", p->call_id);
    canon_str(b, "tool", p->tool_name);
    canon_str(b, "arguments", p->arguments);
    if (p->is_error)
        tg_buf_printf(b, " error");
    if (p->opaque)
        tg_buf_printf(b, " opaque=%d", (int)p->opaque);
    canon_str(b, "signature", p->signature);
    canon_raw(b, "cache", p->cache_hint);
    canon_raw(b, "raw", p->raw);
    canon_raw(b, "extra", p->extra.members);
    tg_buf_char(b, '\n');
    for (size_t i = 0; i < p->n_parts; i++) {
        assert_int_equal(p->parts[i].n_parts, 0);
        tg_buf_printf(b, "  ");
        canon_str(b, "inner", p->parts[i].text);
        canon_raw(b, "raw", p->parts[i].raw);
        tg_buf_char(b, '\n');
    }
}

static inline void canon_sampling(struct tg_buf *b, const struct tg_sampling *s)
{
    tg_buf_printf(b, "sampling");
    if (s->has & TG_HAS_TEMPERATURE)
        tg_buf_printf(b, " temperature=%g", s->temperature);
    if (s->has & TG_HAS_TOP_P)
        tg_buf_printf(b, " top_p=%g", s->top_p);
    if (s->has & TG_HAS_TOP_K)
        tg_buf_printf(b, " top_k=%lld", (long long)s->top_k);
    if (s->has & TG_HAS_MIN_P)
        tg_buf_printf(b, " min_p=%g", s->min_p);
    if (s->has & TG_HAS_PRESENCE)
        tg_buf_printf(b, " presence=%g", s->presence_penalty);
    if (s->has & TG_HAS_FREQUENCY)
        tg_buf_printf(b, " frequency=%g", s->frequency_penalty);
    if (s->has & TG_HAS_REPEAT)
        tg_buf_printf(b, " repeat=%g", s->repeat_penalty);
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_buf_printf(b, " max_%stokens=%lld", s->max_tokens_is_completion ? "completion_" : "",
                      (long long)s->max_tokens);
    if (s->has & TG_HAS_SEED)
        tg_buf_printf(b, " seed=%lld", (long long)s->seed);
    if (s->has & TG_HAS_N)
        tg_buf_printf(b, " n=%lld", (long long)s->n);
    if (s->has & TG_HAS_LOGPROBS)
        tg_buf_printf(b, " logprobs=%d", s->logprobs);
    if (s->has & TG_HAS_TOP_LOGPROBS)
        tg_buf_printf(b, " top_logprobs=%lld", (long long)s->top_logprobs);
    for (size_t i = 0; i < s->n_stops; i++)
        canon_str(b, "stop", s->stops[i]);
    canon_raw(b, "bias", s->logit_bias);
    tg_buf_char(b, '\n');
}

static inline void canon_tools(struct tg_buf *b, const struct tg_chat_req *r)
{
    static const char *const choices[] = {"unset", "auto", "none", "required", "named", "raw"};
    for (size_t i = 0; i < r->n_tools; i++) {
        const struct tg_tool *t = &r->tools[i];
        tg_buf_printf(b, "tool %s strict=%d", t->is_function ? "function" : "other", t->strict);
        canon_str(b, "type", t->type);
        canon_str(b, "name", t->name);
        canon_str(b, "description", t->description);
        canon_raw(b, "parameters", t->parameters);
        tg_buf_char(b, '\n');
    }
    if (r->tool_choice.kind == TG_TOOL_CHOICE_UNSET && r->tool_choice.parallel < 0)
        return;
    tg_buf_printf(b, "tool_choice %s parallel=%d", choices[r->tool_choice.kind],
                  r->tool_choice.parallel);
    canon_str(b, "name", r->tool_choice.name);
    canon_raw(b, "raw", r->tool_choice.raw);
    tg_buf_char(b, '\n');
}

static inline void canon_rest(struct tg_buf *b, const struct tg_chat_req *r)
{
    static const char *const formats[] = {"unset", "text", "json", "schema"};
    if (r->format.kind != TG_FORMAT_UNSET || r->format.raw.n) {
        tg_buf_printf(b, "format %s strict=%d", formats[r->format.kind], r->format.strict);
        canon_str(b, "name", r->format.name);
        canon_raw(b, "schema", r->format.schema);
        tg_buf_char(b, '\n');
    }
    if (r->reasoning.effort.n || r->reasoning.budget_tokens >= 0 || r->reasoning.raw.n) {
        tg_buf_printf(b, "reasoning budget=%lld", (long long)r->reasoning.budget_tokens);
        canon_str(b, "effort", r->reasoning.effort);
        canon_raw(b, "raw", r->reasoning.raw);
        tg_buf_char(b, '\n');
    }
    if (r->extra.members.n) {
        tg_buf_printf(b, "extra");
        canon_raw(b, "members", r->extra.members);
        tg_buf_char(b, '\n');
    }
    if (r->own.members.n) {
        tg_buf_printf(b, "own");
        canon_raw(b, "members", r->own.members);
        tg_buf_char(b, '\n');
    }
}

static inline void canon_dump(struct tg_buf *b, const struct tg_chat_req *r)
{
    tg_buf_printf(b, "request%s%s", r->stream ? " stream" : "",
                  r->include_usage ? " include_usage" : "");
    canon_str(b, "model", r->model);
    canon_str(b, "prompt", r->prompt);
    canon_str(b, "user", r->user);
    canon_raw(b, "metadata", r->metadata);
    tg_buf_char(b, '\n');
    for (size_t i = 0; i < r->n_messages; i++) {
        tg_buf_printf(b, "%s", tg_role_name(r->messages[i].role));
        canon_str(b, "name", r->messages[i].name);
        canon_raw(b, "extra", r->messages[i].extra.members);
        tg_buf_char(b, '\n');
        for (size_t k = 0; k < r->messages[i].n_parts; k++)
            canon_part(b, &r->messages[i].parts[k], "  ");
    }
    if (r->sampling.has || r->sampling.n_stops || r->sampling.logit_bias.n)
        canon_sampling(b, &r->sampling);
    canon_tools(b, r);
    canon_rest(b, r);
}

#endif
