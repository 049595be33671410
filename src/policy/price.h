/* What an answer costs, in nano-USD. Thread rule: pure function. */
#ifndef TG_POLICY_PRICE_H
#define TG_POLICY_PRICE_H

#include <stdint.h>

#include "chat/usage.h"
#include "config/snapshot.h"

/* -1: no price is known, or no usage. Tokens of a prompt cache count as input. Rounded up to a
 * whole nano-USD; never overflows (INT64_MAX at most). */
int64_t tg_price_of(const struct tg_price *p, const struct tg_usage *u);

#endif
