/* Which target made a piece of opaque state (a thinking signature, encrypted reasoning): such state
 * means something only to the account that made it, so a conversation that carries it goes back
 * there. A table of fixed size that forgets the oldest by chance of place; after a restart nothing
 * is known, and a request that a provider refuses for its state is tried once without it.
 *
 * Thread rule: any thread, without locks: one entry is one atomic word. */
#ifndef TG_CORE_AFFINITY_H
#define TG_CORE_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"

struct tg_affinity;

int tg_affinity_new(struct tg_affinity **out) TG_WARN_UNUSED; /* TG_E_NOMEM */
void tg_affinity_free(struct tg_affinity *t);

/* An origin is a target's name, as a number that is never 0. */
uint32_t tg_affinity_origin(struct tg_str target_name);
void tg_affinity_note(struct tg_affinity *t, struct tg_str opaque, uint32_t origin);
uint32_t tg_affinity_find(const struct tg_affinity *t, struct tg_str opaque); /* 0: unknown */
bool tg_affinity_is_empty(const struct tg_affinity *t);

#endif
