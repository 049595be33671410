#include "engine/submit_priv.h"

#include <math.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "base/utf8.h"

enum {
    DEFAULT_CREDIT_BYTES = 64 << 10,
    MAX_CREDIT_BYTES = 1 << 20,
};

void tg_engine_sampling_init(struct tg_engine_sampling *s)
{
    *s = (struct tg_engine_sampling){
        .temperature = 0.7f, .top_p = 0.95f, .min_p = 0.05f, .top_k = 40, .repeat_penalty = 1};
}

static int range(struct tg_fail *f, const char *param, double v, double lo, double hi)
{
    if (isfinite(v) && v >= lo && v <= hi)
        return 0;
    return tg_fail_param(f, TG_E_INVALID_VALUE, param, "%s must be between %g and %g", param, lo,
                         hi);
}

static int check_sampling(const struct tg_engine_sampling *s, struct tg_fail *f)
{
    int rc = range(f, "temperature", (double)s->temperature, 0, 100);
    if (!rc)
        rc = range(f, "top_p", (double)s->top_p, 0, 1);
    if (!rc)
        rc = range(f, "min_p", (double)s->min_p, 0, 1);
    if (!rc)
        rc = range(f, "top_k", s->top_k, 0, 1e6);
    if (!rc)
        rc = range(f, "repeat_penalty", (double)s->repeat_penalty, 0.01, 100);
    if (!rc)
        rc = range(f, "presence_penalty", (double)s->presence_penalty, -100, 100);
    if (!rc)
        rc = range(f, "frequency_penalty", (double)s->frequency_penalty, -100, 100);
    return rc;
}

static int check_embed(const struct tg_engine_request *req, struct tg_fail *f)
{
    if (req->n_embed > TG_ENGINE_MAX_CHOICES)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "input", "at most %u texts at once",
                             TG_ENGINE_MAX_CHOICES);
    for (size_t i = 0; i < req->n_embed; i++) {
        if (req->embed[i].n == 0 || !tg_utf8_valid(req->embed[i]))
            return tg_fail_param(f, TG_E_INVALID_VALUE, "input",
                                 req->embed[i].n ? "the text is not valid UTF-8"
                                                 : "a text to embed is empty");
        if (req->embed[i].n > TG_ENGINE_MAX_TEXT_BYTES)
            return tg_fail_param(f, TG_E_CONTEXT_LENGTH, "input",
                                 "a local model takes at most %u bytes of text",
                                 TG_ENGINE_MAX_TEXT_BYTES);
    }
    return 0;
}

static int check_text(const struct tg_engine_request *req, struct tg_fail *f)
{
    size_t bytes = 0;
    if (req->n_embed)
        return check_embed(req, f);
    if (!req->raw && (req->n_messages == 0 || req->n_messages > TG_ENGINE_MAX_MESSAGES))
        return tg_fail_param(f, TG_E_INVALID_VALUE, "messages",
                             "a chat has between 1 and %u messages", TG_ENGINE_MAX_MESSAGES);
    if (req->raw && req->prompt.n == 0)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "prompt", "the prompt is empty");
    for (size_t i = 0; i < (req->raw ? 1 : req->n_messages); i++) {
        struct tg_str t = req->raw ? req->prompt : req->messages[i].text;
        bytes += t.n;
        if (!tg_utf8_valid(t))
            return tg_fail_param(f, TG_E_INVALID_VALUE, req->raw ? "prompt" : "messages",
                                 "the text is not valid UTF-8");
    }
    if (bytes > TG_ENGINE_MAX_TEXT_BYTES)
        return tg_fail_param(f, TG_E_CONTEXT_LENGTH, req->raw ? "prompt" : "messages",
                             "the prompt has %zu bytes of text, a local model takes at most %u",
                             bytes, TG_ENGINE_MAX_TEXT_BYTES);
    return 0;
}

static int check_stops(const struct tg_engine_request *req, struct tg_fail *f)
{
    if (req->n_stops > TG_ENGINE_MAX_STOPS)
        return tg_fail_param(f, TG_E_INVALID_VALUE, "stop", "at most %u stop strings",
                             TG_ENGINE_MAX_STOPS);
    for (size_t i = 0; i < req->n_stops; i++)
        if (req->stops[i].n == 0 || req->stops[i].n > TG_ENGINE_MAX_STOP_LEN)
            return tg_fail_param(f, TG_E_INVALID_VALUE, "stop",
                                 "a stop string has between 1 and %u bytes",
                                 TG_ENGINE_MAX_STOP_LEN);
    return 0;
}

int tg_submit_check(const struct tg_engine_request *req, struct tg_fail *f)
{
    int rc = check_sampling(&req->sampling, f);
    if (!rc)
        rc = check_text(req, f);
    if (!rc)
        rc = check_stops(req, f);
    if (!rc)
        rc = range(f, "n", req->n_choices, 0, TG_ENGINE_MAX_CHOICES);
    if (!rc)
        rc = range(f, "top_logprobs", req->top_logprobs, 0, TG_ENGINE_MAX_TOP);
    if (!rc)
        rc = range(f, "logit_bias", (double)req->n_bias, 0, TG_ENGINE_MAX_BIAS);
    if (!rc && req->grammar.n > TG_GRAMMAR_MAX_BYTES)
        rc = tg_fail_param(f, TG_E_INVALID_VALUE, "grammar", "the grammar is too large");
    for (size_t i = 0; !rc && i < req->n_bias; i++)
        rc = range(f, "logit_bias", (double)req->bias[i].bias, -100, 100);
    return rc;
}

uint32_t tg_submit_choices(const struct tg_engine_request *req)
{
    if (req->n_embed)
        return (uint32_t)req->n_embed;
    return req->n_choices && !req->count_only ? req->n_choices : 1;
}

static enum tg_p_role role_of(enum tg_role r)
{
    switch (r) {
    case TG_ROLE_SYSTEM:
    case TG_ROLE_DEVELOPER:
        return TG_P_SYSTEM;
    case TG_ROLE_ASSISTANT:
        return TG_P_ASSISTANT;
    case TG_ROLE_TOOL:
        return TG_P_TOOL;
    case TG_ROLE_USER:
        break;
    }
    return TG_P_USER;
}

int tg_submit_frame(const struct tg_engine_request *req, uint64_t base_id, uint32_t choice,
                    struct tg_buf *out)
{
    bool one = req->raw || req->n_embed;
    uint32_t n = one ? 1 : (uint32_t)req->n_messages;
    struct tg_p_message *msgs = tg_calloc(n, sizeof *msgs);
    if (!msgs)
        return TG_E_NOMEM;
    for (uint32_t i = 0; i < n; i++) {
        msgs[i].role = one ? TG_P_USER : role_of(req->messages[i].role);
        msgs[i].text = req->n_embed ? req->embed[choice]
                       : req->raw   ? req->prompt
                                    : req->messages[i].text;
    }
    uint32_t credit = req->credit_bytes ? req->credit_bytes : DEFAULT_CREDIT_BYTES;
    struct tg_p_generate g = {.kind = req->n_embed ? TG_P_EMBED
                                      : req->raw   ? TG_P_RAW
                                                   : TG_P_CHAT,
                              .count_only = req->count_only,
                              .logprobs = req->logprobs,
                              .top_logprobs = req->top_logprobs,
                              .max_tokens = req->max_tokens,
                              .credit_bytes = credit < MAX_CREDIT_BYTES ? credit : MAX_CREDIT_BYTES,
                              .sampling = req->sampling,
                              .bias = req->bias,
                              .n_bias = (uint32_t)req->n_bias,
                              .stops = req->stops,
                              .n_stops = (uint32_t)req->n_stops,
                              .messages = msgs,
                              .n_messages = n,
                              .grammar = req->grammar};
    /* Equal seeds would make equal choices. */
    g.sampling.seed += choice;
    int rc = tg_p_put_generate(out, base_id + choice, &g);
    tg_free(msgs);
    return rc ? TG_E_NOMEM : 0;
}

uint64_t tg_submit_hash(const struct tg_engine_request *req)
{
    uint64_t h = 0;
    for (size_t i = 0; i < req->n_embed; i++) {
        uint64_t part[2] = {h, tg_hash(req->embed[i])};
        h = tg_hash(tg_str_make((const char *)part, sizeof part));
    }
    if (req->n_embed)
        return h;
    for (size_t i = 0; i < (req->raw ? 1 : req->n_messages); i++) {
        uint64_t part[3] = {h, req->raw ? 99 : (uint64_t)req->messages[i].role,
                            tg_hash(req->raw ? req->prompt : req->messages[i].text)};
        h = tg_hash(tg_str_make((const char *)part, sizeof part));
    }
    return h;
}
