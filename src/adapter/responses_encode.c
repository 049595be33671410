/* Canonical request → the body of OpenAI's Responses. What came in this format goes back as it
 * came; of other formats only what the client gave is written, with three exceptions that keep the
 * meaning: functions are strict here unless told otherwise, answers are stored unless told
 * otherwise, and reasoning is only given back, sealed, when asked for. */
#include "adapter/encode_priv.h"
#include "adapter/openai_priv.h"
#include "base/err.h"

bool tg_responses_own_raw(const struct tg_chat_req *req)
{
    return req->wire == TG_WIRE_OPENAI_RESPONSES;
}

static void write_sampling(struct tg_jw *w, const struct tg_chat_req *req)
{
    const struct tg_sampling *s = &req->sampling;
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, TG_STR("max_output_tokens"), s->max_tokens);
    if (s->has & TG_HAS_TEMPERATURE)
        tg_jw_kdouble(w, TG_STR("temperature"), s->temperature);
    if (s->has & TG_HAS_TOP_P)
        tg_jw_kdouble(w, TG_STR("top_p"), s->top_p);
    if (s->has & TG_HAS_TOP_LOGPROBS)
        tg_jw_ki64(w, TG_STR("top_logprobs"), s->top_logprobs);
}

static int write_tool(struct tg_jw *w, const struct tg_chat_req *req, size_t i,
                      struct tg_fail *fail)
{
    const struct tg_tool *t = &req->tools[i];
    if (tg_responses_own_raw(req)) {
        tg_jw_raw(w, t->raw);
        return 0;
    }
    if (!t->is_function)
        return tg_adapter_cannot_tool(fail, i, t);
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
    tg_jw_kstr(w, TG_STR("name"), t->name);
    if (t->description.n)
        tg_jw_kstr(w, TG_STR("description"), t->description);
    tg_jw_kraw(w, TG_STR("parameters"), t->parameters);
    tg_jw_kbool(w, TG_STR("strict"), t->strict > 0);
    tg_jw_end_obj(w);
    return 0;
}

static int write_tools(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    int rc = 0;
    if (!req->n_tools)
        return 0;
    tg_jw_key(w, TG_STR("tools"));
    tg_jw_arr(w);
    for (size_t i = 0; i < req->n_tools && !rc; i++)
        rc = write_tool(w, req, i, fail);
    tg_jw_end_arr(w);
    return rc;
}

static int write_tool_choice(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    const struct tg_tool_choice *t = &req->tool_choice;
    static const struct tg_str words[] = {
        [TG_TOOL_CHOICE_AUTO] = TG_STR_INIT("auto"),
        [TG_TOOL_CHOICE_NONE] = TG_STR_INIT("none"),
        [TG_TOOL_CHOICE_REQUIRED] = TG_STR_INIT("required"),
    };
    if (t->kind == TG_TOOL_CHOICE_UNSET)
        return 0;
    if (tg_responses_own_raw(req)) {
        tg_jw_kraw(w, TG_STR("tool_choice"), t->raw);
        return 0;
    }
    if (t->kind == TG_TOOL_CHOICE_RAW)
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "this form of 'tool_choice' is not supported by this model's API");
    tg_jw_key(w, TG_STR("tool_choice"));
    if (t->kind != TG_TOOL_CHOICE_NAMED) {
        tg_jw_str(w, words[t->kind]);
        return 0;
    }
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
    tg_jw_kstr(w, TG_STR("name"), t->name);
    tg_jw_end_obj(w);
    return 0;
}

static void write_format(struct tg_jw *w, const struct tg_output_format *f)
{
    if (f->kind == TG_FORMAT_UNSET)
        return;
    tg_jw_key(w, TG_STR("text"));
    tg_jw_obj(w);
    tg_jw_key(w, TG_STR("format"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"),
               f->kind == TG_FORMAT_TEXT   ? TG_STR("text")
               : f->kind == TG_FORMAT_JSON ? TG_STR("json_object")
                                           : TG_STR("json_schema"));
    if (f->kind == TG_FORMAT_SCHEMA) {
        tg_jw_kstr(w, TG_STR("name"), f->name.n ? f->name : TG_STR("answer"));
        tg_jw_kraw(w, TG_STR("schema"), f->schema.n ? f->schema : TG_STR("{}"));
        if (f->strict >= 0)
            tg_jw_kbool(w, TG_STR("strict"), f->strict > 0);
    }
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

/* A number of tokens to think as the nearest word for it. */
static struct tg_str effort_of(const struct tg_reasoning_opts *r)
{
    if (r->effort.n || r->budget_tokens < 0)
        return r->effort;
    if (r->budget_tokens == 0)
        return TG_STR("none");
    return r->budget_tokens < 4096    ? TG_STR("low")
           : r->budget_tokens < 16384 ? TG_STR("medium")
                                      : TG_STR("high");
}

static void write_reasoning(struct tg_jw *w, const struct tg_reasoning_opts *r)
{
    struct tg_str effort = effort_of(r);
    struct tg_str summary = r->summary;
    if (!summary.n && r->show > 0)
        summary = TG_STR("auto");
    if (!effort.n && !summary.n)
        return;
    tg_jw_key(w, TG_STR("reasoning"));
    tg_jw_obj(w);
    if (effort.n)
        tg_jw_kstr(w, TG_STR("effort"), effort);
    if (summary.n)
        tg_jw_kstr(w, TG_STR("summary"), summary);
    tg_jw_end_obj(w);
}

static bool thinks(const struct tg_chat_req *req)
{
    const struct tg_reasoning_opts *r = &req->reasoning;
    if (r->effort.n)
        return !tg_str_eq(r->effort, TG_STR("none"));
    if (r->budget_tokens > 0 || r->adaptive || r->show > 0 || r->summary.n)
        return true;
    for (size_t i = 0; i < req->n_messages; i++) {
        for (size_t k = 0; k < req->messages[i].n_parts; k++) {
            if (req->messages[i].parts[k].opaque == TG_OPAQUE_ENCRYPTED)
                return true;
        }
    }
    return false;
}

static void write_include(struct tg_jw *w, const struct tg_chat_req *req)
{
    bool logprobs = req->sampling.has & TG_HAS_LOGPROBS && req->sampling.logprobs;
    if (!logprobs && !thinks(req))
        return;
    tg_jw_key(w, TG_STR("include"));
    tg_jw_arr(w);
    if (thinks(req))
        tg_jw_str(w, TG_STR("reasoning.encrypted_content"));
    if (logprobs)
        tg_jw_str(w, TG_STR("message.output_text.logprobs"));
    tg_jw_end_arr(w);
}

/* Members as they came, behind a comma of their own. */
static void write_own(struct tg_jw *w, const struct tg_chat_req *req)
{
    if (req->metadata.n)
        tg_jw_kraw(w, TG_STR("metadata"), req->metadata);
    tg_jw_members(w, req->own.members);
    tg_jw_members(w, req->extra.members);
}

/* In this format counting takes fewer members than answering. */
static int write_settings(struct tg_jw *w, const struct tg_chat_req *req, struct tg_fail *fail)
{
    int rc = write_tools(w, req, fail);
    if (!rc)
        rc = write_tool_choice(w, req, fail);
    write_format(w, &req->format);
    write_reasoning(w, &req->reasoning);
    if (req->task == TG_TASK_COUNT)
        return rc;
    write_include(w, req);
    tg_jw_kbool(w, TG_STR("store"), false);
    if (req->user.n)
        tg_jw_kstr(w, TG_STR("user"), req->user);
    return rc;
}

/* What counting does not know. */
static void write_generation(struct tg_jw *w, const struct tg_chat_req *req)
{
    if (req->task == TG_TASK_COUNT)
        return;
    write_sampling(w, req);
    if (req->service_tier.n)
        tg_jw_kstr(w, TG_STR("service_tier"), req->service_tier);
    if (req->stream)
        tg_jw_kbool(w, TG_STR("stream"), true);
}

static int write_body(struct tg_jw *w, const struct tg_chat_req *req,
                      const struct tg_adapter_target *target, struct tg_fail *fail)
{
    if (req->sampling.has & TG_HAS_N && req->sampling.n > 1)
        return tg_fail_param(fail, TG_E_UNSUPPORTED_PARAMETER, "n",
                             "this model's API gives one answer at a time");
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("model"), target->model);
    int rc = tg_responses_encode_input(w, req, fail);
    if (rc)
        return rc;
    write_generation(w, req);
    if (req->tool_choice.parallel >= 0)
        tg_jw_kbool(w, TG_STR("parallel_tool_calls"), req->tool_choice.parallel > 0);
    if (tg_responses_own_raw(req) && req->task != TG_TASK_COUNT)
        write_own(w, req);
    else
        rc = write_settings(w, req, fail);
    tg_jw_end_obj(w);
    return rc;
}

int tg_responses_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                             const struct tg_adapter_target *target, struct tg_str *out,
                             struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    int rc = write_body(&w, req, target, fail);
    return tg_adapter_take_body(a, &b, rc, out, fail);
}
