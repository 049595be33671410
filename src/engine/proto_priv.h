/* Typed payloads of the frames, written and read whole. Readers check every count against its
 * limit and the bytes present, and borrow strings from the payload.
 * Thread rule: pure functions, any thread. */
#ifndef TG_ENGINE_PROTO_PRIV_H
#define TG_ENGINE_PROTO_PRIV_H

#include "base/arena.h"
#include "engine/engine.h"
#include "engine/frame_priv.h"
#include "engine/grammar_priv.h"

/* What was measured at a load, so that a restarted child need not measure again. */
#define TG_CALIB_POINTS 4u /* rows in one decode: 1, 2, 4, 8 */
struct tg_calib {
    bool valid;
    bool flash;
    uint32_t step_us[TG_CALIB_POINTS];
    uint32_t deep_us; /* one row behind TG_CALIB_DEPTH tokens of its own */
    uint32_t
        foreign_us; /* as step_us[2], with TG_CALIB_DEPTH tokens of another slot in the cache */
    uint32_t prefill_ns_per_token;
};
#define TG_CALIB_DEPTH 256u

struct tg_p_init {
    bool builtin, no_mmap, verbose;
    struct tg_str path, chat_template;
    uint32_t n_ctx, cache_tokens, slots, threads;
    uint64_t memory_limit_bytes;
    int32_t nice, flash;
    struct tg_calib calib;
};

enum tg_p_role { TG_P_SYSTEM, TG_P_USER, TG_P_ASSISTANT, TG_P_TOOL };
struct tg_p_message {
    enum tg_p_role role;
    struct tg_str text;
};
enum tg_p_kind { TG_P_CHAT, TG_P_RAW, TG_P_EMBED };
struct tg_p_generate {
    enum tg_p_kind kind;
    bool count_only, logprobs;
    uint32_t top_logprobs, max_tokens, credit_bytes;
    struct tg_engine_sampling sampling;
    const struct tg_engine_bias *bias;
    uint32_t n_bias;
    const struct tg_str *stops;
    uint32_t n_stops;
    const struct tg_p_message *messages; /* RAW, EMBED: exactly one */
    uint32_t n_messages;
    struct tg_str grammar; /* "": none */
};

struct tg_p_ready {
    struct tg_engine_info info;
    struct tg_calib calib;
};

struct tg_p_done {
    enum tg_engine_reason reason;
    uint32_t stop_index;
    struct tg_engine_counts counts;
};

struct tg_p_beat {
    uint32_t running, waiting, cells_used;
    uint64_t steps, prompt_tokens, completion_tokens;
    float decode_tokens_per_s;
};

/* Writers append a whole frame; TG_E_FULL when it does not fit. */
int tg_p_put_init(struct tg_buf *b, const struct tg_p_init *m) TG_WARN_UNUSED;
int tg_p_put_generate(struct tg_buf *b, uint64_t id, const struct tg_p_generate *m) TG_WARN_UNUSED;
int tg_p_put_u32(struct tg_buf *b, enum tg_frame_type type, uint64_t id, uint32_t v) TG_WARN_UNUSED;
int tg_p_put_empty(struct tg_buf *b, enum tg_frame_type type, uint64_t id) TG_WARN_UNUSED;
int tg_p_put_ready(struct tg_buf *b, const struct tg_p_ready *m) TG_WARN_UNUSED;
int tg_p_put_error(struct tg_buf *b, enum tg_frame_type type, uint64_t id, int err,
                   struct tg_str text) TG_WARN_UNUSED;
int tg_p_put_started(struct tg_buf *b, uint64_t id, uint32_t prompt,
                     uint32_t cached) TG_WARN_UNUSED;
/* `tokens`: generated so far. */
int tg_p_put_text(struct tg_buf *b, uint64_t id, uint32_t tokens, struct tg_str text,
                  const struct tg_engine_logprob *lp, uint32_t n_lp) TG_WARN_UNUSED;
/* What a TEXT frame takes of a request's credit: about its bytes in the worker's memory. */
uint64_t tg_p_text_cost(struct tg_str text, const struct tg_engine_logprob *lp, uint32_t n_lp);
int tg_p_put_vector(struct tg_buf *b, uint64_t id, const float *v, uint32_t n) TG_WARN_UNUSED;
int tg_p_put_done(struct tg_buf *b, uint64_t id, const struct tg_p_done *m) TG_WARN_UNUSED;
int tg_p_put_beat(struct tg_buf *b, const struct tg_p_beat *m) TG_WARN_UNUSED;

/* Readers: 0, TG_E_INVALID_ARG for a malformed payload, TG_E_NOMEM (arena). */
int tg_p_get_init(struct tg_str payload, struct tg_p_init *out) TG_WARN_UNUSED;
int tg_p_get_generate(struct tg_str payload, struct tg_arena *a,
                      struct tg_p_generate *out) TG_WARN_UNUSED;
int tg_p_get_u32(struct tg_str payload, uint32_t *out) TG_WARN_UNUSED;
int tg_p_get_ready(struct tg_str payload, struct tg_p_ready *out) TG_WARN_UNUSED;
int tg_p_get_error(struct tg_str payload, int *out_err, struct tg_str *out_text) TG_WARN_UNUSED;
int tg_p_get_started(struct tg_str payload, uint32_t *out_prompt,
                     uint32_t *out_cached) TG_WARN_UNUSED;
int tg_p_get_text(struct tg_str payload, struct tg_arena *a, uint32_t *out_tokens,
                  struct tg_str *out_text, const struct tg_engine_logprob **out_lp,
                  uint32_t *out_n) TG_WARN_UNUSED;
/* The floats' bytes, not aligned. */
int tg_p_get_vector(struct tg_str payload, struct tg_str *out) TG_WARN_UNUSED;
int tg_p_get_done(struct tg_str payload, struct tg_p_done *out) TG_WARN_UNUSED;
int tg_p_get_beat(struct tg_str payload, struct tg_p_beat *out) TG_WARN_UNUSED;

#endif
