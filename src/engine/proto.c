#include "engine/proto_priv.h"

#include <math.h>

#include "base/err.h"

static void put_calib(struct tg_buf *b, const struct tg_calib *c)
{
    tg_put_u8(b, c->valid);
    tg_put_u8(b, c->flash);
    for (size_t i = 0; i < TG_CALIB_POINTS; i++)
        tg_put_u32(b, c->step_us[i]);
    tg_put_u32(b, c->deep_us);
    tg_put_u32(b, c->foreign_us);
    tg_put_u32(b, c->prefill_ns_per_token);
}

static struct tg_calib get_calib(struct tg_cursor *c)
{
    struct tg_calib out = {.valid = tg_get_u8(c) == 1, .flash = tg_get_u8(c) == 1};
    for (size_t i = 0; i < TG_CALIB_POINTS; i++)
        out.step_us[i] = tg_get_u32(c);
    out.deep_us = tg_get_u32(c);
    out.foreign_us = tg_get_u32(c);
    out.prefill_ns_per_token = tg_get_u32(c);
    return out;
}

int tg_p_put_init(struct tg_buf *b, const struct tg_p_init *m)
{
    size_t at = tg_frame_begin(b, TG_FR_INIT, 0);
    tg_put_u32(b, TG_FRAME_VERSION);
    tg_put_u8(b, m->builtin);
    tg_put_u8(b, m->no_mmap);
    tg_put_u8(b, m->verbose);
    tg_put_str(b, m->path);
    tg_put_str(b, m->chat_template);
    tg_put_u32(b, m->n_ctx);
    tg_put_u32(b, m->cache_tokens);
    tg_put_u32(b, m->slots);
    tg_put_u32(b, m->threads);
    tg_put_u64(b, m->memory_limit_bytes);
    tg_put_u32(b, (uint32_t)m->nice);
    tg_put_u32(b, (uint32_t)m->flash);
    put_calib(b, &m->calib);
    return tg_frame_end(b, at, TG_FRAME_MAX_TO_CHILD);
}

int tg_p_get_init(struct tg_str payload, struct tg_p_init *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    if (tg_get_u32(&c) != TG_FRAME_VERSION)
        return TG_E_INVALID_ARG;
    struct tg_p_init m = {.builtin = tg_get_u8(&c) == 1};
    m.no_mmap = tg_get_u8(&c) == 1;
    m.verbose = tg_get_u8(&c) == 1;
    m.path = tg_get_str(&c);
    m.chat_template = tg_get_str(&c);
    m.n_ctx = tg_get_u32(&c);
    m.cache_tokens = tg_get_u32(&c);
    m.slots = tg_get_u32(&c);
    m.threads = tg_get_u32(&c);
    m.memory_limit_bytes = tg_get_u64(&c);
    m.nice = (int32_t)tg_get_u32(&c);
    m.flash = (int32_t)tg_get_u32(&c);
    m.calib = get_calib(&c);
    if (!tg_cursor_done(&c) || m.slots == 0 || m.slots > TG_ENGINE_MAX_SLOTS)
        return TG_E_INVALID_ARG;
    *out = m;
    return 0;
}

static void put_sampling(struct tg_buf *b, const struct tg_engine_sampling *s)
{
    tg_put_f32(b, s->temperature);
    tg_put_f32(b, s->top_p);
    tg_put_f32(b, s->min_p);
    tg_put_u32(b, (uint32_t)s->top_k);
    tg_put_f32(b, s->repeat_penalty);
    tg_put_f32(b, s->presence_penalty);
    tg_put_f32(b, s->frequency_penalty);
    tg_put_u8(b, s->has_seed);
    tg_put_u32(b, s->seed);
}

static struct tg_engine_sampling get_sampling(struct tg_cursor *c)
{
    struct tg_engine_sampling s = {.temperature = tg_get_f32(c)};
    s.top_p = tg_get_f32(c);
    s.min_p = tg_get_f32(c);
    s.top_k = (int32_t)tg_get_u32(c);
    s.repeat_penalty = tg_get_f32(c);
    s.presence_penalty = tg_get_f32(c);
    s.frequency_penalty = tg_get_f32(c);
    s.has_seed = tg_get_u8(c) == 1;
    s.seed = tg_get_u32(c);
    return s;
}

/* The library asserts on some of these, so a value that slipped through must not reach it. */
static bool sampling_ok(const struct tg_engine_sampling *s)
{
    return isfinite(s->temperature) && s->temperature >= 0 && isfinite(s->top_p) &&
           isfinite(s->min_p) && isfinite(s->repeat_penalty) && s->repeat_penalty > 0 &&
           isfinite(s->presence_penalty) && isfinite(s->frequency_penalty) && s->top_k >= 0;
}

int tg_p_put_generate(struct tg_buf *b, uint64_t id, const struct tg_p_generate *m)
{
    size_t at = tg_frame_begin(b, TG_FR_GENERATE, id);
    tg_put_u8(b, (uint8_t)m->kind);
    tg_put_u8(b, m->count_only);
    tg_put_u8(b, m->logprobs);
    tg_put_u32(b, m->top_logprobs);
    tg_put_u32(b, m->max_tokens);
    tg_put_u32(b, m->credit_bytes);
    put_sampling(b, &m->sampling);
    tg_put_u32(b, m->n_bias);
    for (uint32_t i = 0; i < m->n_bias; i++) {
        tg_put_u32(b, (uint32_t)m->bias[i].token);
        tg_put_f32(b, m->bias[i].bias);
    }
    tg_put_u32(b, m->n_stops);
    for (uint32_t i = 0; i < m->n_stops; i++)
        tg_put_str(b, m->stops[i]);
    tg_put_u32(b, m->n_messages);
    for (uint32_t i = 0; i < m->n_messages; i++) {
        tg_put_u8(b, (uint8_t)m->messages[i].role);
        tg_put_str(b, m->messages[i].text);
    }
    tg_put_str(b, m->grammar);
    return tg_frame_end(b, at, TG_FRAME_MAX_TO_CHILD);
}

/* An array of n elements, unless the rest of the payload is too short for so many. */
static void *array(struct tg_cursor *c, struct tg_arena *a, uint32_t n, uint32_t max,
                   size_t wire_bytes, size_t size)
{
    if (c->bad || n > max || (size_t)(c->end - c->p) / wire_bytes < n) {
        c->bad = true;
        return NULL;
    }
    void *p = tg_arena_array(a, n ? n : 1, size);
    if (!p)
        c->bad = true;
    return p;
}

static void get_bias(struct tg_cursor *c, struct tg_arena *a, struct tg_p_generate *m)
{
    uint32_t n = tg_get_u32(c);
    struct tg_engine_bias *v = array(c, a, n, TG_ENGINE_MAX_BIAS, 8, sizeof *v);
    for (uint32_t i = 0; v && i < n; i++) {
        v[i].token = (int32_t)tg_get_u32(c);
        v[i].bias = tg_get_f32(c);
        if (!isfinite(v[i].bias))
            c->bad = true;
    }
    m->bias = v;
    m->n_bias = n;
}

static void get_stops(struct tg_cursor *c, struct tg_arena *a, struct tg_p_generate *m)
{
    uint32_t n = tg_get_u32(c);
    struct tg_str *v = array(c, a, n, TG_ENGINE_MAX_STOPS, 4, sizeof *v);
    for (uint32_t i = 0; v && i < n; i++) {
        v[i] = tg_get_str(c);
        if (v[i].n == 0 || v[i].n > TG_ENGINE_MAX_STOP_LEN)
            c->bad = true;
    }
    m->stops = v;
    m->n_stops = n;
}

static void get_messages(struct tg_cursor *c, struct tg_arena *a, struct tg_p_generate *m)
{
    uint32_t n = tg_get_u32(c);
    struct tg_p_message *v = array(c, a, n, TG_ENGINE_MAX_MESSAGES, 5, sizeof *v);
    size_t bytes = 0;
    for (uint32_t i = 0; v && i < n; i++) {
        uint8_t role = tg_get_u8(c);
        v[i].role = (enum tg_p_role)role;
        v[i].text = tg_get_str(c);
        bytes += v[i].text.n;
        if (role > TG_P_TOOL)
            c->bad = true;
    }
    if (bytes > TG_ENGINE_MAX_TEXT_BYTES || n == 0 || (m->kind != TG_P_CHAT && n != 1))
        c->bad = true;
    m->messages = v;
    m->n_messages = n;
}

int tg_p_get_generate(struct tg_str payload, struct tg_arena *a, struct tg_p_generate *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    uint8_t kind = tg_get_u8(&c);
    struct tg_p_generate m = {.kind = (enum tg_p_kind)kind};
    m.count_only = tg_get_u8(&c) == 1;
    m.logprobs = tg_get_u8(&c) == 1;
    m.top_logprobs = tg_get_u32(&c);
    m.max_tokens = tg_get_u32(&c);
    m.credit_bytes = tg_get_u32(&c);
    m.sampling = get_sampling(&c);
    get_bias(&c, a, &m);
    get_stops(&c, a, &m);
    get_messages(&c, a, &m);
    m.grammar = tg_get_str(&c);
    if (a->overflow)
        return TG_E_NOMEM;
    if (!tg_cursor_done(&c) || kind > TG_P_EMBED || m.grammar.n > TG_GRAMMAR_MAX_BYTES ||
        m.top_logprobs > TG_ENGINE_MAX_TOP || !sampling_ok(&m.sampling))
        return TG_E_INVALID_ARG;
    *out = m;
    return 0;
}

int tg_p_put_u32(struct tg_buf *b, enum tg_frame_type type, uint64_t id, uint32_t v)
{
    size_t at = tg_frame_begin(b, type, id);
    tg_put_u32(b, v);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_u32(struct tg_str payload, uint32_t *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    uint32_t v = tg_get_u32(&c);
    if (!tg_cursor_done(&c))
        return TG_E_INVALID_ARG;
    *out = v;
    return 0;
}

int tg_p_put_empty(struct tg_buf *b, enum tg_frame_type type, uint64_t id)
{
    size_t at = tg_frame_begin(b, type, id);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

static void get_fixed(struct tg_cursor *c, char *out, size_t cap)
{
    struct tg_str s = tg_get_str(c);
    if (s.n >= cap)
        c->bad = true;
    else
        tg_str_to_c(s, out, cap);
}

int tg_p_put_ready(struct tg_buf *b, const struct tg_p_ready *m)
{
    const struct tg_engine_info *i = &m->info;
    size_t at = tg_frame_begin(b, TG_FR_READY, 0);
    tg_put_str(b, tg_str_c(i->name));
    tg_put_str(b, tg_str_c(i->description));
    tg_put_str(b, tg_str_c(i->chat_format));
    tg_put_str(b, tg_str_c(i->library));
    tg_put_str(b, tg_str_c(i->backend));
    tg_put_u64(b, i->n_params);
    tg_put_u64(b, i->size_bytes);
    tg_put_u64(b, i->memory_bytes);
    tg_put_u32(b, i->n_ctx);
    tg_put_u32(b, i->n_ctx_train);
    tg_put_u32(b, i->cache_tokens);
    tg_put_u32(b, i->slots);
    tg_put_u32(b, i->threads);
    tg_put_u32(b, i->n_vocab);
    tg_put_u32(b, i->load_ms);
    tg_put_u8(b, i->flash);
    tg_put_u8(b, i->has_template);
    put_calib(b, &m->calib);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_ready(struct tg_str payload, struct tg_p_ready *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    struct tg_p_ready m = {0};
    struct tg_engine_info *i = &m.info;
    get_fixed(&c, i->name, sizeof i->name);
    get_fixed(&c, i->description, sizeof i->description);
    get_fixed(&c, i->chat_format, sizeof i->chat_format);
    get_fixed(&c, i->library, sizeof i->library);
    get_fixed(&c, i->backend, sizeof i->backend);
    i->n_params = tg_get_u64(&c);
    i->size_bytes = tg_get_u64(&c);
    i->memory_bytes = tg_get_u64(&c);
    i->n_ctx = tg_get_u32(&c);
    i->n_ctx_train = tg_get_u32(&c);
    i->cache_tokens = tg_get_u32(&c);
    i->slots = tg_get_u32(&c);
    i->threads = tg_get_u32(&c);
    i->n_vocab = tg_get_u32(&c);
    i->load_ms = tg_get_u32(&c);
    i->flash = tg_get_u8(&c) == 1;
    i->has_template = tg_get_u8(&c) == 1;
    m.calib = get_calib(&c);
    if (!tg_cursor_done(&c) || i->slots == 0 || i->slots > TG_ENGINE_MAX_SLOTS)
        return TG_E_INVALID_ARG;
    *out = m;
    return 0;
}

int tg_p_put_error(struct tg_buf *b, enum tg_frame_type type, uint64_t id, int err,
                   struct tg_str text)
{
    size_t at = tg_frame_begin(b, type, id);
    tg_put_u32(b, (uint32_t)err);
    tg_put_str(b, text);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_error(struct tg_str payload, int *out_err, struct tg_str *out_text)
{
    struct tg_cursor c = tg_cursor_make(payload);
    int err = (int)tg_get_u32(&c);
    struct tg_str text = tg_get_str(&c);
    if (!tg_cursor_done(&c) || err <= TG_E_FIRST || err >= TG_E_LAST)
        return TG_E_INVALID_ARG;
    *out_err = err;
    *out_text = text;
    return 0;
}

int tg_p_put_started(struct tg_buf *b, uint64_t id, uint32_t prompt, uint32_t cached)
{
    size_t at = tg_frame_begin(b, TG_FR_STARTED, id);
    tg_put_u32(b, prompt);
    tg_put_u32(b, cached);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_started(struct tg_str payload, uint32_t *out_prompt, uint32_t *out_cached)
{
    struct tg_cursor c = tg_cursor_make(payload);
    uint32_t prompt = tg_get_u32(&c), cached = tg_get_u32(&c);
    if (!tg_cursor_done(&c))
        return TG_E_INVALID_ARG;
    *out_prompt = prompt;
    *out_cached = cached;
    return 0;
}

static void put_logprob(struct tg_buf *b, const struct tg_engine_logprob *lp)
{
    tg_put_str(b, lp->token);
    tg_put_f32(b, lp->logprob);
}

int tg_p_put_text(struct tg_buf *b, uint64_t id, uint32_t tokens, struct tg_str text,
                  const struct tg_engine_logprob *lp, uint32_t n_lp)
{
    size_t at = tg_frame_begin(b, TG_FR_TEXT, id);
    tg_put_u32(b, tokens);
    tg_put_str(b, text);
    tg_put_u32(b, n_lp);
    for (uint32_t i = 0; i < n_lp; i++) {
        put_logprob(b, &lp[i]);
        tg_put_u32(b, lp[i].n_top);
        for (uint32_t k = 0; k < lp[i].n_top; k++)
            put_logprob(b, &lp[i].top[k]);
    }
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

uint64_t tg_p_text_cost(struct tg_str text, const struct tg_engine_logprob *lp, uint32_t n_lp)
{
    enum { EACH = 16 };
    uint64_t cost = text.n;
    for (uint32_t i = 0; i < n_lp; i++) {
        cost += lp[i].token.n + EACH;
        for (uint32_t k = 0; k < lp[i].n_top; k++)
            cost += lp[i].top[k].token.n + EACH;
    }
    return cost;
}

static struct tg_engine_logprob get_logprob(struct tg_cursor *c)
{
    struct tg_engine_logprob lp = {.token = tg_get_str(c)};
    lp.logprob = tg_get_f32(c);
    return lp;
}

int tg_p_get_text(struct tg_str payload, struct tg_arena *a, uint32_t *out_tokens,
                  struct tg_str *out_text, const struct tg_engine_logprob **out_lp, uint32_t *out_n)
{
    struct tg_cursor c = tg_cursor_make(payload);
    uint32_t tokens = tg_get_u32(&c);
    struct tg_str text = tg_get_str(&c);
    uint32_t n = tg_get_u32(&c);
    struct tg_engine_logprob *v = NULL;
    if (n > 0)
        v = array(&c, a, n, TG_FRAME_MAX_FROM_CHILD, 12, sizeof *v);
    for (uint32_t i = 0; v && i < n; i++) {
        v[i] = get_logprob(&c);
        v[i].n_top = tg_get_u32(&c);
        struct tg_engine_logprob *top = array(&c, a, v[i].n_top, TG_ENGINE_MAX_TOP, 8, sizeof *top);
        for (uint32_t k = 0; top && k < v[i].n_top; k++)
            top[k] = get_logprob(&c);
        v[i].top = top;
    }
    if (a->overflow)
        return TG_E_NOMEM;
    if (!tg_cursor_done(&c))
        return TG_E_INVALID_ARG;
    *out_tokens = tokens;
    *out_text = text;
    *out_lp = v;
    *out_n = n;
    return 0;
}

int tg_p_put_vector(struct tg_buf *b, uint64_t id, const float *v, uint32_t n)
{
    size_t at = tg_frame_begin(b, TG_FR_VECTOR, id);
    tg_put_str(b, tg_str_make((const char *)v, n * sizeof *v));
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_vector(struct tg_str payload, struct tg_str *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    struct tg_str s = tg_get_str(&c);
    if (!tg_cursor_done(&c) || s.n == 0 || s.n % sizeof(float) != 0)
        return TG_E_INVALID_ARG;
    *out = s;
    return 0;
}

int tg_p_put_done(struct tg_buf *b, uint64_t id, const struct tg_p_done *m)
{
    size_t at = tg_frame_begin(b, TG_FR_DONE, id);
    tg_put_u8(b, (uint8_t)m->reason);
    tg_put_u32(b, m->stop_index);
    tg_put_u32(b, m->counts.prompt_tokens);
    tg_put_u32(b, m->counts.cached_tokens);
    tg_put_u32(b, m->counts.completion_tokens);
    tg_put_u64(b, m->counts.queue_us);
    tg_put_u64(b, m->counts.prompt_us);
    tg_put_u64(b, m->counts.decode_us);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_done(struct tg_str payload, struct tg_p_done *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    uint8_t reason = tg_get_u8(&c);
    struct tg_p_done m = {.reason = (enum tg_engine_reason)reason};
    m.stop_index = tg_get_u32(&c);
    m.counts.prompt_tokens = tg_get_u32(&c);
    m.counts.cached_tokens = tg_get_u32(&c);
    m.counts.completion_tokens = tg_get_u32(&c);
    m.counts.queue_us = tg_get_u64(&c);
    m.counts.prompt_us = tg_get_u64(&c);
    m.counts.decode_us = tg_get_u64(&c);
    if (!tg_cursor_done(&c) || reason > TG_ENGINE_COUNTED)
        return TG_E_INVALID_ARG;
    *out = m;
    return 0;
}

int tg_p_put_beat(struct tg_buf *b, const struct tg_p_beat *m)
{
    size_t at = tg_frame_begin(b, TG_FR_BEAT, 0);
    tg_put_u32(b, m->running);
    tg_put_u32(b, m->waiting);
    tg_put_u32(b, m->cells_used);
    tg_put_u64(b, m->steps);
    tg_put_u64(b, m->prompt_tokens);
    tg_put_u64(b, m->completion_tokens);
    tg_put_f32(b, m->decode_tokens_per_s);
    return tg_frame_end(b, at, TG_FRAME_MAX_FROM_CHILD);
}

int tg_p_get_beat(struct tg_str payload, struct tg_p_beat *out)
{
    struct tg_cursor c = tg_cursor_make(payload);
    struct tg_p_beat m = {.running = tg_get_u32(&c)};
    m.waiting = tg_get_u32(&c);
    m.cells_used = tg_get_u32(&c);
    m.steps = tg_get_u64(&c);
    m.prompt_tokens = tg_get_u64(&c);
    m.completion_tokens = tg_get_u64(&c);
    m.decode_tokens_per_s = tg_get_f32(&c);
    if (!tg_cursor_done(&c))
        return TG_E_INVALID_ARG;
    *out = m;
    return 0;
}
