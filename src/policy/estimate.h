/* How many tokens a prompt may have, where nobody can count: a guess for planning, never for
 * billing, and always called an estimate. Thread rule: pure function. */
#ifndef TG_POLICY_ESTIMATE_H
#define TG_POLICY_ESTIMATE_H

#include <stdint.h>

#include "base/str.h"
#include "chat/request.h"

/* Four ASCII bytes a token (what OpenAI tells its users to reckon with), one token for every other
 * character. */
int64_t tg_estimate_text(struct tg_str s);
/* Texts, tool definitions and calls, four tokens a message, 1,000 for an image, 2,500 for a
 * document that is not text. */
int64_t tg_estimate_prompt(const struct tg_chat_req *req);

#endif
