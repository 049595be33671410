/* What the keeper of conversations must know of OpenAI's Responses: the items that a request brings
 * itself, the answers whose items it refers to, and the finished answer, whole and its items.
 * Thread rule: pure functions; results live in the given arena or the exchange's. */
#ifndef TG_DIALECT_RESPONSES_H
#define TG_DIALECT_RESPONSES_H

#include "base/arena.h"
#include "base/compiler.h"
#include "base/str.h"
#include "dialect/dialect.h"

/* The request's own input (without what came before) as a JSON array of items. "[]" when there is
 * none. TG_E_NOMEM. */
int tg_responses_input(struct tg_arena *a, const struct tg_call *call,
                       struct tg_str *out) TG_WARN_UNUSED;

/* Ids of the kept answers ("resp_…") that the input's item references point into and that the input
 * does not hold itself, each once. Clients that think their answers are stored send such references
 * in place of the items. Their items belong in call->known before parse(). TG_E_NOMEM. */
int tg_responses_references(struct tg_arena *a, const struct tg_call *call, struct tg_str **out_ids,
                            size_t *out_n) TG_WARN_UNUSED;

/* The answer's id that the client sees ("resp_…"), made from tg_render_info.id: known at begin. */
int tg_responses_answer_id(struct tg_arena *a, struct tg_str info_id,
                           struct tg_str *out) TG_WARN_UNUSED;

/* After finish(), for a call whose `store` is set: the finished response object and its output, a
 * JSON array of items. Both {NULL,0} before, or when nothing is to be kept. In info->arena. */
struct tg_responses_answer {
    struct tg_str id, response, output;
};
void tg_responses_answer(const void *render_state, struct tg_responses_answer *out);

extern const struct tg_keep_ops tg_responses_keep; /* all this, for the exchange */

#endif
