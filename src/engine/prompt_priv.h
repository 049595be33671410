/* From messages to tokens. The model's template is rendered around markers in place of the
 * contents, so that what a client wrote can never become one of the model's control tokens: where a
 * content spells one, it is tokenised apart as plain text.
 * Thread rule: any thread once the model is loaded; needs a large stack (see child_priv.h). */
#ifndef TG_ENGINE_PROMPT_PRIV_H
#define TG_ENGINE_PROMPT_PRIV_H

#include "base/fail.h"
#include "engine/control_priv.h"
#include "engine/proto_priv.h"

struct tg_prompt {
    int32_t *tokens; /* tg_free */
    uint32_t n;
};

struct tg_prompt_model {
    const struct tg_llm *llm;
    const struct tg_control *control;
    const char *chat_template; /* a format's name, "" for the model's own */
};
/* At most max_tokens tokens: else TG_E_CONTEXT_LENGTH, with *f saying how many are allowed.
 * TG_E_LOCAL_FAILED: unknown template. */
int tg_prompt_make(const struct tg_prompt_model *m, const struct tg_p_generate *req,
                   uint32_t max_tokens, struct tg_fail *f, struct tg_prompt *out) TG_WARN_UNUSED;
/* Renders with the format called `name`, NULL: the model's own. Errors as tg_llm_template and
 * TG_E_FULL. */
int tg_prompt_render(const struct tg_llm *m, const char *name, const struct tg_llm_message *msgs,
                     size_t n, struct tg_buf *out) TG_WARN_UNUSED;

/* A piece of the rendered prompt: the template's own text or a message's content. */
struct tg_segment {
    bool content;
    struct tg_str text;
};
/* Cuts `rendered` at the markers of `nonce` (see tg_prompt_marker) and puts contents[i] in their
 * places. Returns the number of segments, at most cap; TG_E_INVALID_ARG if a marker names no
 * content, TG_E_FULL. */
int tg_prompt_split(struct tg_str rendered, uint64_t nonce, const struct tg_str *contents,
                    uint32_t n_contents, struct tg_segment *out, size_t cap) TG_WARN_UNUSED;
#define TG_PROMPT_MARKER_CAP 40
size_t tg_prompt_marker(uint64_t nonce, uint32_t index, char *out); /* NUL-terminated */

#endif
