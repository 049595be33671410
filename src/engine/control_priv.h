/* The texts of a vocabulary's control tokens, by first byte: what a client writes must never become
 * one of them.
 * Thread rule: made on one thread, then read from any. */
#ifndef TG_ENGINE_CONTROL_PRIV_H
#define TG_ENGINE_CONTROL_PRIV_H

#include "engine/llama_api_priv.h"

struct tg_control {
    struct tg_str *texts; /* those of first byte b: [starts[b], starts[b + 1]) */
    uint32_t starts[257];
};

/* The texts are the model's. TG_E_NOMEM. */
int tg_control_make(const struct tg_llm *m, struct tg_control *out) TG_WARN_UNUSED;
void tg_control_fini(struct tg_control *c);
/* Position and length of the first control token's text in `s` at or after `from`; false: none. */
bool tg_control_find(const struct tg_control *c, struct tg_str s, size_t from, size_t *out_at,
                     size_t *out_len);

#endif
