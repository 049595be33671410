/* What the local backend reads and writes as JSON text: OpenAI's two shapes of log probabilities,
 * and its logit_bias object. Source: OpenAI API reference, chat and legacy completions.
 * Thread rule: pure functions, any thread. */
#ifndef TG_ENGINE_BACKEND_TEXT_PRIV_H
#define TG_ENGINE_BACKEND_TEXT_PRIV_H

#include "base/buf.h"
#include "engine/engine.h"

/* {"content":[{"token":…,"logprob":…,"bytes":[…],"top_logprobs":[…]}],"refusal":null} */
void tg_logprobs_chat(struct tg_buf *out, const struct tg_engine_logprob *v, uint32_t n);
/* {"tokens":[…],"token_logprobs":[…],"top_logprobs":[{…}],"text_offset":[…]}; `offset` counts
 * characters of the answer so far and is moved on. */
void tg_logprobs_completion(struct tg_buf *out, const struct tg_engine_logprob *v, uint32_t n,
                            uint64_t *offset);

/* {"123": -100, "7": 1.5}. Returns the number of entries, at most max; TG_E_INVALID_VALUE. */
int tg_bias_parse(struct tg_str json, struct tg_engine_bias *out, size_t max) TG_WARN_UNUSED;

#endif
