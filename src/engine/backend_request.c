#include "engine/backend_request_priv.h"

#include <stdio.h>

#include "base/err.h"
#include "core/attempt.h"
#include "engine/backend_text_priv.h"
#include "engine/tools_priv.h"

static void fill_sampling(const struct tg_sampling *s, double default_temperature,
                          struct tg_engine_sampling *o)
{
    tg_engine_sampling_init(o);
    o->temperature = (float)(s->has & TG_HAS_TEMPERATURE ? s->temperature : default_temperature);
    if (s->has & TG_HAS_TOP_P)
        o->top_p = (float)s->top_p;
    if (s->has & TG_HAS_MIN_P)
        o->min_p = (float)s->min_p;
    if (s->has & TG_HAS_TOP_K)
        o->top_k = s->top_k > 0 && s->top_k < INT32_MAX ? (int32_t)s->top_k : 0;
    if (s->has & TG_HAS_PRESENCE)
        o->presence_penalty = (float)s->presence_penalty;
    if (s->has & TG_HAS_FREQUENCY)
        o->frequency_penalty = (float)s->frequency_penalty;
    if (s->has & TG_HAS_REPEAT)
        o->repeat_penalty = (float)s->repeat_penalty;
    o->has_seed = s->has & TG_HAS_SEED;
    o->seed = (uint32_t)s->seed;
}

/* MAX_LENGTH is a default of /v1/generate; chats go on until the model stops or the context ends.
 */
static int fill_limits(const struct tg_sampling *s, const struct tg_target *t,
                       bool wants_default_length, struct tg_fail *f, struct tg_engine_request *req)
{
    uint64_t max = t->max_tokens;
    if (s->has & TG_HAS_MAX_TOKENS) {
        if (s->max_tokens < 1)
            return tg_fail_param(f, TG_E_INVALID_VALUE, "max_tokens",
                                 "max_tokens must be positive");
        if (max == 0 || (uint64_t)s->max_tokens < max)
            max = (uint64_t)s->max_tokens;
    } else if (wants_default_length && (max == 0 || t->engine.max_length < max)) {
        max = t->engine.max_length;
    }
    req->max_tokens = max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
    bool many = (s->has & TG_HAS_N) && s->n != 1;
    if (many && (s->n < 1 || s->n > TG_ENGINE_MAX_CHOICES))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "n", "n must be between 1 and %u",
                             TG_ENGINE_MAX_CHOICES);
    req->n_choices = many ? (uint32_t)s->n : 1;
    req->logprobs = s->logprobs;
    if (s->logprobs && s->top_logprobs > 0)
        req->top_logprobs =
            (uint32_t)(s->top_logprobs < TG_ENGINE_MAX_TOP ? s->top_logprobs : TG_ENGINE_MAX_TOP);
    req->stops = s->stops;
    req->n_stops = s->n_stops;
    return 0;
}

static int fill_bias(struct tg_arena *a, struct tg_str json, struct tg_fail *f,
                     struct tg_engine_request *req)
{
    if (json.n == 0)
        return 0;
    struct tg_engine_bias *v = tg_arena_array(a, TG_ENGINE_MAX_BIAS, sizeof *v);
    int n = v ? tg_bias_parse(json, v, TG_ENGINE_MAX_BIAS) : TG_E_NOMEM;
    if (n < 0)
        return tg_fail_param(f, n, "logit_bias",
                             "logit_bias must map token ids to numbers between -100 and 100");
    req->bias = v;
    req->n_bias = (size_t)n;
    return 0;
}

static int fill_prompt(struct tg_arena *a, const struct tg_chat_req *chat, struct tg_fail *f,
                       struct tg_engine_request *req)
{
    if (!chat->is_completion)
        return tg_tools_messages(a, chat, f, &req->messages, &req->n_messages);
    req->raw = true;
    req->prompt = chat->prompt;
    return 0;
}

int tg_request_make(struct tg_arena *a, const struct tg_chat_req *chat, const struct tg_target *t,
                    bool strict, struct tg_buf *lost, struct tg_fail *f,
                    struct tg_engine_request *req)
{
    *req = (struct tg_engine_request){.count_only = chat->task == TG_TASK_COUNT};
    fill_sampling(&chat->sampling, t->engine.temperature, &req->sampling);
    int rc = fill_prompt(a, chat, f, req);
    if (rc || req->count_only)
        return rc;
    rc = fill_limits(&chat->sampling, t, strcmp(chat->dialect, "generate") == 0, f, req);
    if (!rc)
        rc = fill_bias(a, chat->sampling.logit_bias, f, req);
    if (!rc)
        rc = tg_tools_grammar(a, chat, strict, lost, f, &req->grammar);
    return rc;
}

int tg_request_embed(const struct tg_chat_req *chat, size_t first, struct tg_fail *f,
                     struct tg_engine_request *req)
{
    const struct tg_inputs *in = &chat->inputs;
    size_t n = in->n - first < TG_REQUEST_EMBED_TEXTS ? in->n - first : TG_REQUEST_EMBED_TEXTS;
    char where[32];
    *req = (struct tg_engine_request){.embed = in->texts + first, .n_embed = n};
    tg_engine_sampling_init(&req->sampling);
    for (size_t i = first; i < first + n; i++) {
        snprintf(where, sizeof where, "input[%zu]", i);
        if (in->texts[i].n == 0)
            return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, where,
                                 "the local model embeds texts that are not empty, no tokens");
    }
    return 0;
}
