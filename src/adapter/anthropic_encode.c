/* Canonical request → the body of a message or of a count. Only what the client gave is written;
 * the one exception is max_tokens, without which there is no answer. */
#include "adapter/encode_priv.h"
#include "adapter/anthropic_priv.h"
#include "base/err.h"

#define BIT(id) TG_FEATURE_BIT(id)

/* ---- sampling ---- */

static bool has_words(struct tg_str s)
{
    return tg_str_trim(s).n > 0;
}

/* A stop sequence of blanks alone is refused by the API. */
static void write_stops(struct tg_jw *w, const struct tg_sampling *s, struct tg_anthropic_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_stops; i++)
        n += p->own || has_words(s->stops[i]);
    if (n < s->n_stops)
        p->dropped |= BIT(STOP);
    if (!n)
        return;
    tg_jw_key(w, TG_STR("stop_sequences"));
    tg_jw_arr(w);
    for (size_t i = 0; i < s->n_stops; i++) {
        if (p->own || has_words(s->stops[i]))
            tg_jw_str(w, s->stops[i]);
    }
    tg_jw_end_arr(w);
}

static void write_sampling(struct tg_jw *w, const struct tg_chat_req *req,
                           struct tg_anthropic_plan *p)
{
    const struct tg_sampling *s = &req->sampling;
    tg_jw_ki64(w, TG_STR("max_tokens"), p->max_tokens);
    if (s->has & TG_HAS_TEMPERATURE && !(p->dropped & BIT(TEMPERATURE)))
        tg_jw_kdouble(w, TG_STR("temperature"), s->temperature > 1 ? 1 : s->temperature);
    if (s->has & TG_HAS_TOP_P && !(p->dropped & BIT(TOP_P)))
        tg_jw_kdouble(w, TG_STR("top_p"), s->top_p);
    if (s->has & TG_HAS_TOP_K && !(p->dropped & BIT(TOP_K)))
        tg_jw_ki64(w, TG_STR("top_k"), s->top_k);
    write_stops(w, s, p);
}

/* ---- tools ---- */

static int write_tool(struct tg_jw *w, const struct tg_chat_req *req, size_t i,
                      struct tg_anthropic_plan *p, struct tg_fail *fail)
{
    const struct tg_tool *t = &req->tools[i];
    if (p->own && t->raw.n) {
        tg_jw_raw(w, t->raw);
        return 0;
    }
    if (!t->is_function)
        return tg_adapter_cannot_tool(fail, i, t);
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), t->name);
    if (t->description.n)
        tg_jw_kstr(w, TG_STR("description"), t->description);
    tg_jw_kraw(w, TG_STR("input_schema"),
               t->parameters.n ? t->parameters : TG_STR("{\"type\":\"object\",\"properties\":{}}"));
    if (t->strict > 0 && p->model.schema)
        tg_jw_kbool(w, TG_STR("strict"), true);
    else if (t->strict > 0)
        p->dropped |= BIT(TOOL_STRICT);
    if (tg_str_find(t->cache_hint, TG_STR("\"ephemeral\"")) >= 0)
        tg_jw_kraw(w, TG_STR("cache_control"), t->cache_hint);
    else if (t->cache_hint.n)
        p->dropped |= BIT(CACHE_HINT);
    tg_jw_end_obj(w);
    return 0;
}

static void write_json_tool(struct tg_jw *w, const struct tg_output_format *f)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), tg_anthropic_json_tool);
    tg_jw_kstr(w, TG_STR("description"),
               TG_STR("Gives the answer: the input of this tool is the JSON object that was asked "
                      "for, and nothing else is said."));
    tg_jw_kraw(w, TG_STR("input_schema"),
               f->schema.n ? f->schema
                           : TG_STR("{\"type\":\"object\",\"additionalProperties\":true}"));
    tg_jw_end_obj(w);
}

static int write_tools(struct tg_jw *w, const struct tg_chat_req *req, struct tg_anthropic_plan *p,
                       struct tg_fail *fail)
{
    if (!req->n_tools && !p->json_tool)
        return 0;
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_tools; i++) {
        int rc = write_tool(w, req, i, p, fail);
        if (rc)
            return rc;
    }
    if (p->json_tool)
        write_json_tool(w, &req->format);
    tg_jw_end_arr(w);
    return 0;
}

/* The word for a choice; "" when nothing need be said. The answer's tool is forced, beside others
 * one of them all; a model that thinks can't be forced. */
static struct tg_str choice_word(const struct tg_chat_req *req, const struct tg_anthropic_plan *p)
{
    bool thinks =
        p->thinking == TG_ANTHROPIC_THINK_BUDGET || p->thinking == TG_ANTHROPIC_THINK_ADAPTIVE;
    bool closed = req->tool_choice.kind == TG_TOOL_CHOICE_NONE || !req->n_tools;
    if (p->json_tool)
        return thinks ? TG_STR("auto") : closed ? TG_STR("tool") : TG_STR("any");
    if (!req->n_tools)
        return TG_STR("");
    switch (req->tool_choice.kind) {
    case TG_TOOL_CHOICE_AUTO:
        return TG_STR("auto");
    case TG_TOOL_CHOICE_NONE:
        return TG_STR("none");
    case TG_TOOL_CHOICE_REQUIRED:
        return TG_STR("any");
    case TG_TOOL_CHOICE_NAMED:
        return TG_STR("tool");
    case TG_TOOL_CHOICE_UNSET:
    case TG_TOOL_CHOICE_RAW:
        break;
    }
    return req->tool_choice.parallel == 0 ? TG_STR("auto") : TG_STR("");
}

static int write_tool_choice(struct tg_jw *w, const struct tg_chat_req *req,
                             const struct tg_anthropic_plan *p, struct tg_fail *fail)
{
    const struct tg_tool_choice *t = &req->tool_choice;
    if (p->own && t->raw.n) {
        tg_jw_kraw(w, TG_STR("tool_choice"), t->raw);
        return 0;
    }
    if (t->kind == TG_TOOL_CHOICE_RAW)
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "this form of 'tool_choice' is not supported by this model's API");
    struct tg_str word = choice_word(req, p);
    if (!word.n)
        return 0;
    tg_jw_key(w, TG_STR("tool_choice"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), word);
    if (tg_str_eq(word, TG_STR("tool")))
        tg_jw_kstr(w, TG_STR("name"), p->json_tool ? tg_anthropic_json_tool : t->name);
    if (t->parallel >= 0 && !tg_str_eq(word, TG_STR("none")))
        tg_jw_kbool(w, TG_STR("disable_parallel_tool_use"), t->parallel == 0);
    tg_jw_end_obj(w);
    return 0;
}

/* ---- thinking and output ---- */

static void write_thinking(struct tg_jw *w, const struct tg_chat_req *req,
                           const struct tg_anthropic_plan *p)
{
    static const struct tg_str types[] = {
        [TG_ANTHROPIC_THINK_OFF] = TG_STR_INIT("disabled"),
        [TG_ANTHROPIC_THINK_BUDGET] = TG_STR_INIT("enabled"),
        [TG_ANTHROPIC_THINK_ADAPTIVE] = TG_STR_INIT("adaptive"),
    };
    if (p->own && req->reasoning.raw.n)
        tg_jw_kraw(w, TG_STR("thinking"), req->reasoning.raw);
    if (p->own || p->thinking == TG_ANTHROPIC_THINK_UNSET)
        return;
    tg_jw_key(w, TG_STR("thinking"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), types[p->thinking]);
    if (p->thinking == TG_ANTHROPIC_THINK_BUDGET)
        tg_jw_ki64(w, TG_STR("budget_tokens"), p->budget_tokens);
    if (p->display.n)
        tg_jw_kstr(w, TG_STR("display"), p->display);
    tg_jw_end_obj(w);
}

static void write_output(struct tg_jw *w, const struct tg_chat_req *req,
                         const struct tg_anthropic_plan *p)
{
    if (p->own || (!p->effort.n && !p->schema))
        return; /* its own members say it */
    tg_jw_key(w, TG_STR("output_config"));
    tg_jw_obj(w);
    if (p->effort.n)
        tg_jw_kstr(w, TG_STR("effort"), p->effort);
    if (p->schema) {
        tg_jw_key(w, TG_STR("format"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("json_schema"));
        tg_jw_kraw(w, TG_STR("schema"), req->format.schema);
        tg_jw_end_obj(w);
    }
    tg_jw_end_obj(w);
}

/* ---- the rest ---- */

static void write_tier(struct tg_jw *w, const struct tg_chat_req *req, struct tg_anthropic_plan *p)
{
    struct tg_str tier = req->service_tier;
    if (!tier.n)
        return;
    if (!p->own && tg_str_eq(tier, TG_STR("default")))
        tier = TG_STR("standard_only");
    else if (!p->own && !tg_str_eq(tier, TG_STR("auto"))) {
        p->dropped |= BIT(SERVICE_TIER);
        return;
    }
    tg_jw_kstr(w, TG_STR("service_tier"), tier);
}

static void write_metadata(struct tg_jw *w, const struct tg_chat_req *req,
                           const struct tg_anthropic_plan *p)
{
    if (p->own && req->metadata.n) {
        tg_jw_kraw(w, TG_STR("metadata"), req->metadata);
        return;
    }
    if (!req->user.n)
        return;
    tg_jw_key(w, TG_STR("metadata"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("user_id"), req->user);
    tg_jw_end_obj(w);
}

static void write_head(struct tg_jw *w, const struct tg_chat_req *req,
                       const struct tg_adapter_target *target, const struct tg_anthropic_opts *opts)
{
    if (opts->version.n)
        tg_jw_kstr(w, TG_STR("anthropic_version"), opts->version);
    if (opts->model)
        tg_jw_kstr(w, TG_STR("model"), target->model);
    if (opts->stream && req->stream && req->task == TG_TASK_CHAT)
        tg_jw_kbool(w, TG_STR("stream"), true);
}

static int write_body(struct tg_jw *w, const struct tg_chat_req *req,
                      const struct tg_adapter_target *target, const struct tg_anthropic_opts *opts,
                      struct tg_anthropic_plan *p, struct tg_fail *fail)
{
    bool count = req->task == TG_TASK_COUNT;
    if (req->sampling.has & TG_HAS_N && req->sampling.n > 1)
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "n",
                             "'n' above 1 is not supported by this model's API");
    tg_jw_obj(w);
    write_head(w, req, target, opts);
    int rc = tg_anthropic_write_messages(w, req, p, fail);
    if (!rc)
        rc = write_tools(w, req, p, fail);
    if (!rc)
        rc = write_tool_choice(w, req, p, fail);
    if (rc)
        return rc;
    write_thinking(w, req, p);
    write_output(w, req, p);
    if (!count) { /* what does not change the prompt is no part of a count */
        write_sampling(w, req, p);
        write_tier(w, req, p);
        write_metadata(w, req, p);
    }
    if (p->own) {
        tg_jw_members(w, req->own.members);
        tg_jw_members(w, req->extra.members);
    }
    tg_jw_end_obj(w);
    return 0;
}

int tg_anthropic_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                             const struct tg_adapter_target *target,
                             const struct tg_anthropic_opts *opts, struct tg_str *out_body,
                             uint64_t *io_dropped, uint64_t *io_emulated, struct tg_fail *fail)
{
    struct tg_anthropic_plan plan;
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    tg_anthropic_plan_make(req, target, opts, &plan);
    int rc = write_body(&w, req, target, opts, &plan, fail);
    rc = tg_adapter_take_body(a, &b, rc, out_body, fail);
    if (rc)
        return rc;
    *io_dropped |= plan.dropped;
    *io_emulated |= plan.emulated;
    return 0;
}
