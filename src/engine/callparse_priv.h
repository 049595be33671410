/* Tool calls in a local model's text. Models write them as they were taught to (the form of Hermes
 * and Qwen, which the grammar asks for):
 *
 *   text <tool_call>{"name": "f", "arguments": {…}}</tool_call> …
 *
 * The parser takes the answer as it comes, in any pieces, and says at once what can be said: text,
 * the start of a call, pieces of its arguments exactly as the model wrote them, its end. Blanks
 * around calls are nobody's text.
 * Thread rule: one thread at a time. Strings given to the sink are valid for the call. */
#ifndef TG_ENGINE_CALLPARSE_PRIV_H
#define TG_ENGINE_CALLPARSE_PRIV_H

#include "base/buf.h"
#include "base/compiler.h"

#define TG_CALL_OPEN  "<tool_call>"
#define TG_CALL_CLOSE "</tool_call>"

enum tg_call_event { TG_CPE_TEXT, TG_CPE_START, TG_CPE_ARGUMENTS, TG_CPE_END };
enum tg_call_state { TG_CP_TEXT, TG_CP_HEAD, TG_CP_ARGUMENTS, TG_CP_TAIL };

struct tg_callparse {
    enum tg_call_state state;
    struct tg_buf held;
    uint32_t depth; /* ARGUMENTS: open brackets */
    bool in_string, escaped;
    uint32_t n_calls; /* that have begun */
    /* START: s is the tool's name. */
    void (*emit)(void *ctx, enum tg_call_event ev, struct tg_str s);
    void *ctx;
};

void tg_callparse_init(struct tg_callparse *p,
                       void (*emit)(void *ctx, enum tg_call_event ev, struct tg_str s), void *ctx);
void tg_callparse_fini(struct tg_callparse *p);
/* TG_E_NOMEM, TG_E_FULL: a head that does not end. */
int tg_callparse_push(struct tg_callparse *p, struct tg_str text) TG_WARN_UNUSED;
/* The answer is over: what was held back as text is given. */
void tg_callparse_finish(struct tg_callparse *p);

#endif
