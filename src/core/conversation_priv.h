/* What an exchange has to do with kept answers: the conversation that its request goes on with is
 * loaded before routing, and its own answer is kept before the last bytes leave. Core only.
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_CONVERSATION_PRIV_H
#define TG_CORE_CONVERSATION_PRIV_H

#include "core/exchange_priv.h"

#define TG_CONVERSATION_LOAD_MS 5000 /* the longest that a request waits for the database */
#define TG_CONVERSATION_KEEP_MS 1000 /* the longest that an answer's end does */

/* Parsed: finds out whether the exchange has to do with kept answers at all. TG_E_NOMEM. */
int tg_conversation_open(struct tg_exchange *x) TG_WARN_UNUSED;
/* 1: all is in x->call; 0: wait to be woken, and call again when TG_CONVERSATION_LOAD_MS are over;
 * PREVIOUS_RESPONSE, STORE, FULL, NOMEM. */
int tg_conversation_load(struct tg_exchange *x, struct tg_fail *f) TG_WARN_UNUSED;
/* Routed: a conversation that a provider keeps stays with its target. TG_E_PREVIOUS_RESPONSE. */
int tg_conversation_pin(struct tg_exchange *x, struct tg_fail *f) TG_WARN_UNUSED;

/* Before an attempt: an answer of the one before it is none. */
void tg_conversation_again(struct tg_exchange *x);
/* The answer is to be kept: the request is still wanted at its end. */
bool tg_conversation_keeps(const struct tg_exchange *x);
/* A unit that passes through, or what is rendered last: true when it, and all that follows, waits
 * until the answer is kept. */
bool tg_conversation_ends_with(struct tg_exchange *x, struct tg_str unit);
bool tg_conversation_rendered(struct tg_exchange *x);
/* At the end: asks the store to keep the answer. True: wait for it, for so long as there is time;
 * tg_conversation_kept() tells. */
bool tg_conversation_keep(struct tg_exchange *x);
bool tg_conversation_kept(const struct tg_exchange *x);

void tg_conversation_fini(struct tg_exchange *x);

#endif
