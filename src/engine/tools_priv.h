/* Tools for models whose own templates the engine can't run: the tools are described in the system
 * message, earlier calls and results are written into the conversation, and a grammar holds the
 * model to the form of a call and to the tool's schema. The words are those of Hermes and Qwen,
 * which many open models were trained on.
 * Thread rule: pure functions, any thread. Ownership: texts live in the arena. */
#ifndef TG_ENGINE_TOOLS_PRIV_H
#define TG_ENGINE_TOOLS_PRIV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "chat/request.h"
#include "engine/engine.h"

/* Whether the model may, or must, call a tool. */
bool tg_tools_wanted(const struct tg_chat_req *chat);
bool tg_tools_forced(const struct tg_chat_req *chat);

/* The conversation as texts. TG_E_UNSUPPORTED_PARAMETER naming what is no text; TG_E_NOMEM. */
int tg_tools_messages(struct tg_arena *a, const struct tg_chat_req *chat, struct tg_fail *f,
                      const struct tg_engine_message **out, size_t *out_n) TG_WARN_UNUSED;

/* The grammar that tools and the output format ask for, in the arena; "" when none is needed.
 * `lost` gets the keywords of the output's schema that are not held (see schema_priv.h). */
int tg_tools_grammar(struct tg_arena *a, const struct tg_chat_req *chat, bool strict,
                     struct tg_buf *lost, struct tg_fail *f, struct tg_str *out) TG_WARN_UNUSED;

#endif
