/* A tool call's id that carries the call's opaque signature to clients whose format has no place
 * for it and that give ids back as they are. Gemini refuses the next turn without the
 * thoughtSignature of its function calls (ai.google.dev/gemini-api/docs/thought-signatures).
 *
 * Form: "<id>__tgs_<base64url of the signature>", within [A-Za-z0-9_-] as Anthropic's clients want.
 * Thread rule: pure functions; results are views of the arguments or in the arena. */
#ifndef TG_CHAT_CALL_ID_H
#define TG_CHAT_CALL_ID_H

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"

#define TG_CALL_ID_MAX_SIGNATURE (256u << 10)

/* What ids begin with that stand for calls in OpenAI's older form, which has none. */
#define TG_OPENAI_LEGACY_ID "call_function_"

/* id itself when there is no signature. TG_E_NOMEM. */
int tg_call_id_join(struct tg_arena *a, struct tg_str id, struct tg_str signature,
                    struct tg_str *out) TG_WARN_UNUSED;
/* The id as the provider gave it and the signature ("" if none). Every id may be given: one without
 * the mark, or whose tail is no base64, comes out whole. TG_E_NOMEM. */
int tg_call_id_split(struct tg_arena *a, struct tg_str id, struct tg_str *out_id,
                     struct tg_str *out_signature) TG_WARN_UNUSED;

#endif
