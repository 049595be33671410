/* Canonical request → the body of a chat completion or completion. Only what the client gave is
 * written: no default is filled in. */
#include "adapter/encode_priv.h"
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

bool tg_openai_takes(const struct tg_openai_enc *e, enum tg_feature f)
{
    return !e->q || !(e->q->dropped & 1ull << f);
}

enum tg_fidelity tg_openai_fate(const struct tg_openai_enc *e, enum tg_feature f)
{
    return tg_quirks_fate(tg_openai_fidelity, e->q, f);
}

static struct tg_str max_tokens_name(const struct tg_openai_enc *e)
{
    enum tg_max_tokens_name name = e->q ? e->q->max_tokens : TG_MAX_TOKENS_AS_GIVEN;
    bool new = name == TG_MAX_TOKENS_AS_GIVEN ? e->req->sampling.max_tokens_is_completion
                                              : name == TG_MAX_TOKENS_NEW;
    return new ? TG_STR("max_completion_tokens") : TG_STR("max_tokens");
}

static void write_limits(const struct tg_openai_enc *e)
{
    const struct tg_sampling *s = &e->req->sampling;
    struct tg_jw *w = e->w;
    if (s->has & TG_HAS_MAX_TOKENS)
        tg_jw_ki64(w, max_tokens_name(e), s->max_tokens);
    if (s->has & TG_HAS_N && tg_openai_takes(e, TG_FEATURE_N))
        tg_jw_ki64(w, TG_STR("n"), s->n);
    if (s->has & TG_HAS_SEED && tg_openai_takes(e, TG_FEATURE_SEED))
        tg_jw_ki64(w, tg_quirks_member(e->q, TG_STR("seed")), s->seed);
    if (s->has & TG_HAS_TOP_K && tg_openai_takes(e, TG_FEATURE_TOP_K))
        tg_jw_ki64(w, TG_STR("top_k"), s->top_k);
}

static void write_stops(const struct tg_openai_enc *e)
{
    const struct tg_sampling *s = &e->req->sampling;
    if (!s->n_stops || !tg_openai_takes(e, TG_FEATURE_STOP))
        return;
    tg_jw_kstrs(e->w, TG_STR("stop"), s->stops, s->n_stops);
}

static void write_sampling(const struct tg_openai_enc *e)
{
    const struct tg_sampling *s = &e->req->sampling;
    const struct {
        unsigned bit;
        enum tg_feature feature;
        struct tg_str key;
        double value;
    } doubles[] = {
        {TG_HAS_TEMPERATURE, TG_FEATURE_TEMPERATURE, TG_STR_INIT("temperature"), s->temperature},
        {TG_HAS_TOP_P, TG_FEATURE_TOP_P, TG_STR_INIT("top_p"), s->top_p},
        {TG_HAS_MIN_P, TG_FEATURE_MIN_P, TG_STR_INIT("min_p"), s->min_p},
        {TG_HAS_PRESENCE, TG_FEATURE_PRESENCE, TG_STR_INIT("presence_penalty"),
         s->presence_penalty},
        {TG_HAS_FREQUENCY, TG_FEATURE_FREQUENCY, TG_STR_INIT("frequency_penalty"),
         s->frequency_penalty},
        {TG_HAS_REPEAT, TG_FEATURE_REPETITION, TG_STR_INIT("repetition_penalty"),
         s->repeat_penalty},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(doubles); i++) {
        if (s->has & doubles[i].bit && tg_openai_takes(e, doubles[i].feature))
            tg_jw_kdouble(e->w, tg_quirks_member(e->q, doubles[i].key), doubles[i].value);
    }
    if (s->logit_bias.n && tg_openai_takes(e, TG_FEATURE_LOGIT_BIAS))
        tg_jw_kraw(e->w, TG_STR("logit_bias"), s->logit_bias);
    write_stops(e);
}

/* The old format counts, the new one has a switch and a count. */
static void write_logprobs(const struct tg_openai_enc *e)
{
    const struct tg_sampling *s = &e->req->sampling;
    struct tg_jw *w = e->w;
    if (!tg_openai_takes(e, TG_FEATURE_LOGPROBS))
        return;
    if (e->req->is_completion) {
        if (s->has & TG_HAS_LOGPROBS && s->logprobs)
            tg_jw_ki64(w, TG_STR("logprobs"), s->has & TG_HAS_TOP_LOGPROBS ? s->top_logprobs : 0);
        return;
    }
    if (s->has & TG_HAS_LOGPROBS)
        tg_jw_kbool(w, TG_STR("logprobs"), s->logprobs);
    if (s->has & TG_HAS_TOP_LOGPROBS && tg_openai_takes(e, TG_FEATURE_TOP_LOGPROBS))
        tg_jw_ki64(w, TG_STR("top_logprobs"), s->top_logprobs);
}

static int write_tool(const struct tg_openai_enc *e, size_t i)
{
    const struct tg_tool *t = &e->req->tools[i];
    struct tg_jw *w = e->w;
    if (e->own && t->raw.n) {
        tg_jw_raw(w, t->raw);
        return 0;
    }
    if (!t->is_function)
        return tg_adapter_cannot_tool(e->fail, i, t);
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
    tg_jw_key(w, TG_STR("function"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), t->name);
    if (t->description.n)
        tg_jw_kstr(w, TG_STR("description"), t->description);
    if (t->parameters.n)
        tg_jw_kraw(w, TG_STR("parameters"), t->parameters);
    if (t->strict >= 0 && tg_openai_takes(e, TG_FEATURE_TOOL_STRICT))
        tg_jw_kbool(w, TG_STR("strict"), t->strict > 0);
    tg_jw_end_obj(w);
    if (t->cache_hint.n && tg_openai_fate(e, TG_FEATURE_CACHE_HINT) == TG_NATIVE)
        tg_jw_kraw(w, TG_STR("cache_control"), t->cache_hint);
    tg_jw_end_obj(w);
    return 0;
}

/* In the older form, or where only some may be called, tools are among the request's own members.
 */
static bool told_in_own(const struct tg_openai_enc *e)
{
    return e->own && (e->req->has_functions || e->req->own_tools);
}

static int write_tools(const struct tg_openai_enc *e)
{
    /* A provider that can't be told not to call any is not told of them. */
    bool unwanted = e->req->tool_choice.kind == TG_TOOL_CHOICE_NONE &&
                    !tg_openai_takes(e, TG_FEATURE_TOOL_CHOICE);
    if (!e->req->n_tools || told_in_own(e) || unwanted)
        return 0;
    tg_jw_key(e->w, TG_STR("tools"));
    tg_jw_arr(e->w);
    for (size_t i = 0; i < e->req->n_tools; i++) {
        int rc = write_tool(e, i);
        if (rc)
            return rc;
    }
    tg_jw_end_arr(e->w);
    return 0;
}

static void write_named(struct tg_jw *w, struct tg_str name)
{
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"), TG_STR("function"));
    tg_jw_key(w, TG_STR("function"));
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("name"), name);
    tg_jw_end_obj(w);
    tg_jw_end_obj(w);
}

static int write_tool_choice(const struct tg_openai_enc *e)
{
    const struct tg_tool_choice *t = &e->req->tool_choice;
    bool own = e->own && t->raw.n;
    if (t->parallel >= 0 && tg_openai_takes(e, TG_FEATURE_PARALLEL))
        tg_jw_kbool(e->w, TG_STR("parallel_tool_calls"), t->parallel > 0);
    bool mode = t->kind == TG_TOOL_CHOICE_AUTO || t->kind == TG_TOOL_CHOICE_NONE;
    if (t->kind == TG_TOOL_CHOICE_UNSET || told_in_own(e) ||
        (mode && !tg_openai_takes(e, TG_FEATURE_TOOL_CHOICE)))
        return 0;
    if (t->kind == TG_TOOL_CHOICE_RAW && !own)
        return tg_fail_param(e->fail, TG_E_UNSUPPORTED_PARAMETER, "tool_choice",
                             "this form of 'tool_choice' is not supported by this model's API");
    tg_jw_key(e->w, TG_STR("tool_choice"));
    if (own)
        tg_jw_raw(e->w, t->raw);
    else if (t->kind == TG_TOOL_CHOICE_NAMED)
        write_named(e->w, t->name);
    else
        tg_jw_str(e->w, t->kind == TG_TOOL_CHOICE_AUTO   ? TG_STR("auto")
                        : t->kind == TG_TOOL_CHOICE_NONE ? TG_STR("none")
                                                         : TG_STR("required"));
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

static void write_format(const struct tg_openai_enc *e)
{
    const struct tg_output_format *f = &e->req->format;
    struct tg_jw *w = e->w;
    bool schema = f->kind == TG_FORMAT_SCHEMA;
    /* Where only JSON is known the schema is told in words (openai_messages.c). */
    bool emulated = schema && tg_openai_fate(e, TG_FEATURE_JSON_SCHEMA) == TG_EMULATED;
    bool own = e->own && f->raw.n && !emulated;
    if (!own && f->kind == TG_FORMAT_UNSET)
        return;
    if ((f->kind == TG_FORMAT_JSON && !tg_openai_takes(e, TG_FEATURE_JSON_OBJECT)) ||
        (schema && !tg_openai_takes(e, TG_FEATURE_JSON_SCHEMA)))
        return;
    tg_jw_key(w, TG_STR("response_format"));
    if (own) {
        tg_jw_raw(w, f->raw);
        return;
    }
    tg_jw_obj(w);
    tg_jw_kstr(w, TG_STR("type"),
               f->kind == TG_FORMAT_TEXT ? TG_STR("text")
               : schema && !emulated     ? TG_STR("json_schema")
                                         : TG_STR("json_object"));
    if (schema && !emulated)
        write_schema(w, f);
    tg_jw_end_obj(w);
}

/* Tiers have other names elsewhere: only OpenAI's go on. */
static void write_tier(const struct tg_openai_enc *e)
{
    struct tg_str tier = e->req->service_tier;
    if (!tier.n || !tg_openai_takes(e, TG_FEATURE_SERVICE_TIER))
        return;
    if (tg_str_eq(tier, TG_STR("standard_only")) || tg_str_eq(tier, TG_STR("standard")))
        tier = TG_STR("default"); /* Anthropic's and Gemini's words for it */
    tg_jw_kstr(e->w, TG_STR("service_tier"), tier);
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

static int write_chat_options(const struct tg_openai_enc *e)
{
    int rc = write_tools(e);
    if (!rc)
        rc = write_tool_choice(e);
    if (rc)
        return rc;
    write_format(e);
    tg_openai_write_thinking(e);
    write_tier(e);
    return 0;
}

static void write_rest(const struct tg_openai_enc *e)
{
    const struct tg_chat_req *req = e->req;
    if (req->user.n && tg_openai_takes(e, TG_FEATURE_USER))
        tg_jw_kstr(e->w, TG_STR("user"), req->user);
    if (!own_extra(req))
        return;
    /* The gateway's own shapes have metadata for its log; only OpenAI's is the provider's. */
    if (req->metadata.n && tg_openai_takes(e, TG_FEATURE_METADATA))
        tg_jw_kraw(e->w, TG_STR("metadata"), req->metadata);
    tg_jw_members(e->w, req->own.members);
    tg_jw_members(e->w, req->extra.members);
}

/* What this very provider refuses, though others of its API take it. */
static int check_refused(const struct tg_openai_enc *e)
{
    uint64_t refused = e->q ? tg_features_of(e->req) & e->q->refused : 0;
    if (!refused)
        return 0;
    const char *name = tg_feature_name((enum tg_feature)__builtin_ctzll(refused));
    return tg_fail_param(e->fail, TG_E_UNSUPPORTED_PARAMETER, name,
                         "'%s' is not supported by this model's provider (%s)", name, e->q->name);
}

static int write_body(const struct tg_openai_enc *e)
{
    const struct tg_chat_req *req = e->req;
    int rc = check_refused(e);
    if (rc)
        return rc;
    tg_jw_obj(e->w);
    tg_jw_kstr(e->w, TG_STR("model"), e->target->model);
    if (req->is_completion) {
        tg_jw_kstr(e->w, TG_STR("prompt"), req->prompt);
    } else {
        tg_jw_key(e->w, TG_STR("messages"));
        rc = tg_openai_encode_messages(e);
    }
    if (rc)
        return rc;
    write_limits(e);
    write_sampling(e);
    write_logprobs(e);
    if (!req->is_completion)
        rc = write_chat_options(e);
    write_stream(e->w, req, e->target);
    write_rest(e);
    tg_jw_end_obj(e->w);
    return rc;
}

int tg_openai_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          struct tg_fail *fail)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct tg_jw w = tg_jw(&b);
    struct tg_openai_enc e = {
        .w = &w,
        .req = req,
        .target = target,
        .q = target->quirks,
        .own = tg_openai_own_raw(req),
        .fail = fail,
    };
    int rc = write_body(&e);
    return tg_adapter_take_body(a, &b, rc, out, fail);
}
