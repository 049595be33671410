/* Log probabilities that came in pieces, one object per delta ({"content":[…],"refusal":null} or
 * the old completions' {"tokens":[…],…}), put together to one object. Thread rule: pure function.
 */
#ifndef TG_CHAT_LOGPROBS_H
#define TG_CHAT_LOGPROBS_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* `texts` are JSON objects, each followed by TG_COLLECT_RS. Appends "null" when there is none, a
 * single one as it is, of several one object with each member's arrays joined (a member that is
 * null everywhere stays null). Texts that are no objects are left out. TG_E_NOMEM. */
int tg_logprobs_join(struct tg_str texts, struct tg_buf *out) TG_WARN_UNUSED;

#endif
