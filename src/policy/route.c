#include "policy/route.h"

#include "base/err.h"

static bool is_open(const uint64_t *open_breakers, uint16_t target)
{
    return open_breakers && (open_breakers[target / 64] >> (target % 64) & 1);
}

/* The route's usable targets, those with a closed breaker first. */
static void order_targets(const struct tg_snapshot *s, const struct tg_route *r,
                          const uint64_t *open_breakers, struct tg_route_plan *plan)
{
    for (int want_open = 0; want_open <= 1; want_open++) {
        for (uint16_t i = 0; i < r->n_targets; i++) {
            uint16_t id = r->targets[i];
            if (s->targets[id].unavailable.n == 0 && is_open(open_breakers, id) == want_open)
                plan->targets[plan->n++] = id;
        }
        if (!want_open)
            plan->n_healthy = plan->n;
    }
}

struct tg_str tg_route_nearest(const struct tg_snapshot *s, struct tg_str name)
{
    struct tg_str best = {NULL, 0};
    unsigned limit = (unsigned)(name.n / 3 + 2);
    for (size_t i = 0; name.n <= 64 && i < s->route_start[TG_ROUTE_WILDCARD]; i++) {
        unsigned d = tg_str_distance(name, s->routes[i].name, limit);
        if (d < limit) {
            limit = d;
            best = s->routes[i].name;
        }
    }
    return best;
}

static int unknown(const struct tg_snapshot *s, struct tg_str name, struct tg_fail *fail)
{
    char quoted[201];
    struct tg_str near = tg_route_nearest(s, name);
    tg_fail_quote(name, quoted, sizeof(quoted));
    if (near.n)
        return tg_fail_param(fail, TG_E_MODEL_NOT_FOUND, "model",
                             "The model '%s' does not exist. Did you mean '%.*s'?", quoted,
                             TG_STR_ARG(near));
    return tg_fail_param(fail, TG_E_MODEL_NOT_FOUND, "model",
                         "The model '%s' does not exist. GET /v1/models lists the models.", quoted);
}

static int all_unavailable(const struct tg_snapshot *s, const struct tg_route *r,
                           struct tg_fail *fail)
{
    const struct tg_target *first = &s->targets[r->targets[0]];
    return tg_fail_set(fail, TG_E_NO_UPSTREAM, "The model '%.*s' is not available: %.*s.",
                       TG_STR_ARG(first->name), TG_STR_ARG(first->unavailable));
}

int tg_route_find(const struct tg_snapshot *s, struct tg_str model, const uint64_t *open_breakers,
                  struct tg_route_plan *out, struct tg_fail *fail)
{
    struct tg_route_plan plan = {0};
    struct tg_str name = model.n ? model : s->default_model;
    if (name.n == 0)
        return tg_fail_param(fail, TG_E_MISSING_FIELD, "model",
                             "The field 'model' is required: there is no default model.");
    plan.name = name;
    plan.route = tg_snapshot_route(s, name);
    if (!plan.route)
        return unknown(s, name, fail);
    plan.model = &s->models[plan.route->model];
    order_targets(s, plan.route, open_breakers, &plan);
    if (plan.n == 0)
        return all_unavailable(s, plan.route, fail);
    *out = plan;
    return 0;
}

struct tg_str tg_route_upstream_name(const struct tg_target *t, struct tg_str asked)
{
    return t->model_name.n ? t->model_name : asked;
}
