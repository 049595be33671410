/* Routing: from the model's name in a request to the targets to try, in order. Pure: a decision
 * over a snapshot and the health that the worker hands in.
 *
 * Order of look-up: exact name of a model → alias → tier ("small") → wildcard ("gpt-*", "*",
 * longest prefix first). An empty name is the default model. Names are case-sensitive. Thread rule:
 * pure functions, any thread. The plan holds ids of the snapshot it was made from. */
#ifndef TG_POLICY_ROUTE_H
#define TG_POLICY_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"
#include "config/snapshot.h"

struct tg_route_plan {
    struct tg_str name; /* what was asked for, or the default model; borrows from either */
    const struct tg_route *route;
    const struct tg_model *model;           /* what was asked for (tiers: their first) */
    uint16_t n;                             /* at least 1 */
    uint16_t n_healthy;                     /* the first n_healthy have a closed breaker */
    uint16_t targets[TG_ROUTE_MAX_TARGETS]; /* healthy ones first, else in the route's order */
};

/* `open_breakers`: bitmap by target id of targets that must not be tried now, (n_targets + 63) / 64
 * words; NULL: all are healthy. Targets with an open breaker come last.
 * TG_E_MODEL_NOT_FOUND (param "model", nearest known name suggested); TG_E_NO_UPSTREAM when every
 * target is unavailable by configuration, with its reason. */
int tg_route_find(const struct tg_snapshot *s, struct tg_str model, const uint64_t *open_breakers,
                  struct tg_route_plan *out, struct tg_fail *fail) TG_WARN_UNUSED;

/* The known name (of models, aliases, tiers) nearest to `name`; "" when none is near. */
struct tg_str tg_route_nearest(const struct tg_snapshot *s, struct tg_str name);

/* The model name to send to a target for a request that named `asked`: the target's own, or the
 * client's where the target passes names on. Borrows from either. */
struct tg_str tg_route_upstream_name(const struct tg_target *t, struct tg_str asked);

#endif
