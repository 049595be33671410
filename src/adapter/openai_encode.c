/* Canonical request → the body of a chat completion or completion. Only what the client gave is
 * written: no default is filled in. */
#include <stdio.h>

#include "adapter/openai_priv.h"
#include "base/err.h"

bool tg_openai_own_raw(const struct tg_chat_req *req)
{
    return req->wire == TG_WIRE_OPENAI_CHAT;
}

/* Top-level members that were not understood are this format's own. */
static bool own_extra(const struct tg_chat_req *req)
{
    if (req->is_completion)
        return req->wire == TG_WIRE_OPENAI_COMPLETIONS;
    return tg_openai_own_raw(req);
}

static void write_limits(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_sampling *s = &req->sampling;
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(
            w, s->max_tokens_is_completion ? TG_STR("max_completion_tokens") : TG_STR("max_tokens"),
            s->max_tokens);
    if (s->has & TG_HAS_N)
        tg_jw_ki64(w, TG_STR("n"), s->n);
    if (s->has & TG_HAS_SEED)
        tg_jw_ki64(w, TG_STR("seed"), s->seed);
    if (s->has & TG_HAS_TOP_K)
        tg_jw_ki64(w, TG_STR("top_k"), s->top_k);
}

static void write_sampling(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_sampling *s = &req->sampling;
    const struct {
        unsigned bit;
        struct tg_str key;
        double value;
    } doubles[] = {
        {TG_HAS_TEMPERATURE, TG_STR_INIT("temperature"), s->temperature},
        {TG_HAS_TOP_P, TG_STR_INIT("top_p"), s->top_p},
        {TG_HAS_MIN_P, TG_STR_INIT("min_p"), s->min_p},
        {TG_HAS_PRESENCE, TG_STR_INIT("presence_penalty"), s->presence_penalty},
        {TG_HAS_FREQUENCY, TG_STR_INIT("frequency_penalty"), s->frequency_penalty},
        {TG_HAS_REPEAT, TG_STR_INIT("repetition_penalty"), s->repeat_penalty},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(doubles); i++) {
        if (s->has & doubles[i].bit)
            tg_jw_kdouble(w, doubles[i].key, doubles[i].value);
    }
    if (s->logit_bias.n)
        tg_jw_kraw(w, TG_STR("logit_bias"), s->logit_bias);
    if (!s->n_stops)
        return;
    tg_jw_key(w, TG_STR("stop"));
    tg_jw_arr(w);
    for (size_t i = 0; i < s->n_stops; i++)
        tg_jw_str(w, s->stops[i]);
    tg_jw_end_arr(w);
}

/* The old format counts, the new one has a switch and a count. */
static void write_logprobs(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_sampling *s = &req->sampling;
    if (req->is_completion) {
        if (s->has & TG_HAS_LOGPROBS && s->logprobs)
            tg_jw_ki64(w, TG_STR("logprobs"), s->has & TG_HAS_TOP_LOGPROBS ? s->top_logprobs : 0);
        return;
    }
    if (s->has & TG_HAS_LOGPROBS)
        tg_jw_kbool(w, TG_STR("logprobs"), s->logprobs);
    if (s->has & TG_HAS_TOP_LOGPROBS)
        tg_jw_ki64(w, TG_STR("top_logprobs"), s->top_logprobs);
}

static int write_tool(struct tg_jw *w, const struct tg_chat_req *req, size_t i,
                      struct tg_fail *fail)
{
    const struct tg_tool *t = &req->tools[i];
    if (tg_openai_own_raw(req) && t->raw.n) {
        tg_jw_raw(w, t->raw);
        return 0;
    }
    if (!t->is_function) {
        char param[32], quoted[80];
        snprintf(param, sizeof(param), "tools[%zu]", i);
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, param,
                             "the tool '%s' is not supported by this model's API",
                             tg_fail_quote(t->type, quoted, sizeof(quoted)));
    }
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
    tg_jw_key(w, TG_STR("function"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), t->name);
    if (t->description.n)
        tg_jw_kstr(w, TG_STR("description"), t->description);
    if (t->parameters.n)
        tg_jw_kraw(w, TG_STR("parameters"), t->parameters);
    if (t->strict >= 0)
        tg_jw_kbool(w, TG_STR("strict"), t->strict > 0);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
    return 0;
}

static int write_tools(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    if (!req->n_tools)
        return 0;
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_tools; i++) {
        int rc = write_tool(w, req, i, fail);
        if (rc)
            return rc;
    }
    tg_jw_end_arr(w);
    return 0;
}

static int write_tool_choice(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    const struct tg_tool_choice *t = &req->tool_choice;
    if (t->parallel >= 0)
        tg_jw_kbool(w, TG_STR("parallel_tool_calls"), t->parallel > 0);
    if (t->kind == TG_TOOL_CHOICE_UNSET)
        return 0;
    bool own = tg_openai_own_raw(req) && t->raw.n;
    if (t->kind == TG_TOOL_CHOICE_RAW && !own)
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "this form of 'tool_choice' is not supported by this model's API");
    tg_jw_key(w, TG_STR("tool_choice"));
    if (own) {
        tg_jw_raw(w, t->raw);
    } else if (t->kind == TG_TOOL_CHOICE_NAMED) {
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
        tg_jw_key(w, TG_STR("function"));
        tg_jw_obj(w);
        tg_jw_kstr(w, TG_STR("name"), t->name);
        tg_jw_end_obj(w);
        tg_jw_end_obj(w);
    } else {
        tg_jw_str(w, t->kind == TG_TOOL_CHOICE_AUTO   ? TG_STR("auto")
                     : t->kind == TG_TOOL_CHOICE_NONE ? TG_STR("none")
                                                      : TG_STR("required"));
    }
    return 0;
}

static void write_schema(struct tg_jw *w, const struct tg_output_format *f)
{
    tg_jw_key(w, TG_STR("json_schema"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), f->name.n ? f->name : TG_STR("answer"));
    if (f->schema.n)
        tg_jw_kraw(w, TG_STR("schema"), f->schema);
    if (f->strict >= 0)
        tg_jw_kbool(w, TG_STR("strict"), f->strict > 0);
    tg_jw_end_obj(w);
}

static void write_format(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_output_format *f = &req->format;
    bool own = tg_openai_own_raw(req) && f->raw.n;
    if (!own && f->kind == TG_FORMAT_UNSET)
        return;
    tg_jw_key(w, TG_STR("response_format"));
    if (own) {
        tg_jw_raw(w, f->raw);
        return;
    }
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"),
               f->kind == TG_FORMAT_TEXT   ? TG_STR("text")
               : f->kind == TG_FORMAT_JSON ? TG_STR("json_object")
                                           : TG_STR("json_schema"));
    if (f->kind == TG_FORMAT_SCHEMA)
        write_schema(w, f);
    tg_jw_end_obj(w);
}

static void write_reasoning(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_reasoning_opts *r = &req->reasoning;
    if (tg_openai_own_raw(req) && r->raw.n)
        tg_jw_kraw(w, TG_STR("reasoning"), r->raw);
    else if (r->effort.n)
        tg_jw_kstr(w, TG_STR("reasoning_effort"), r->effort);
}

static void write_stream(struct tg_jw *w, const struct tg_chat_req *req,
                         const struct tg_adapter_target *target)
{
    if (!req->stream)
        return;
    tg_jw_kbool(w, TG_STR("stream"), true);
    if (!target->stream_usage && !req->include_usage)
        return;
    tg_jw_key(w, TG_STR("stream_options"));
    tg_jw_obj(w);
    tg_jw_kbool(w, TG_STR("include_usage"), true);
    tg_jw_end_obj(w);
}

static int write_body(struct tg_jw *w, const struct tg_chat_req *req,
                      const struct tg_adapter_target *target, struct tg_fail *fail)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("model"), target->model);
    int rc = 0;
    if (req->is_completion) {
        tg_jw_kstr(w, TG_STR("prompt"), req->prompt);
    } else {
        tg_jw_key(w, TG_STR("messages"));
        rc = tg_openai_encode_messages(w, req, fail);
    }
    if (rc)
        return rc;
    write_limits(w, req);
    write_sampling(w, req);
    write_logprobs(w, req);
    if (!req->is_completion) {
        rc = write_tools(w, req, fail);
        if (!rc)
            rc = write_tool_choice(w, req, fail);
        write_format(w, req);
        write_reasoning(w, req);
    }
    write_stream(w, req, target);
    if (req->user.n)
        tg_jw_kstr(w, TG_STR("user"), req->user);
    /* The gateway's own shapes have metadata for its log; only OpenAI's is the provider's. */
    if (req->metadata.n && own_extra(req))
        tg_jw_kraw(w, TG_STR("metadata"), req->metadata);
    if (req->extra.members.n && own_extra(req)) {
        tg_buf_char(w->b, ',');
        tg_buf_str_add(w->b, req->extra.members);
    }
    tg_jw_end_obj(w);
    return rc;
}

int tg_openai_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    int rc = write_body(&w, req, target, fail);
    struct tg_str body = {NULL, 0};
    if (!rc && tg_buf_ok(&b))
        body = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    if (rc)
        return rc;
    if (!body.p)
        return tg_fail_set(fail, TG_E_NOMEM, "not enough memory for the request");
    *out = body;
    return 0;
}
