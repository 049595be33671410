/* The route table: every name that a request may use, with its targets in order. A model's route is
 * its own target, then its fallbacks as written, then theirs; a tier's is its models in file order,
 * then all their fallbacks. Each target stands once in a route. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/fail.h"
#include "config/load_priv.h"

enum mark { NEW = 0, OPEN, DONE };

struct builder {
    struct tg_conf_load *l;
    struct tg_snapshot *s;
    struct tg_route *routes;
    size_t n, cap;
    /* By model: the models its fallbacks name, and where it stands in the search for cycles. */
    uint16_t (*next)[16];
    uint8_t *n_next;
    uint8_t *mark;
};

static const struct tg_conf_model_def *def_of(const struct builder *b, size_t model)
{
    return &b->l->defs[model];
}

/* Model of an exact name or alias; n_models: none. */
static size_t find_model(const struct builder *b, struct tg_str name)
{
    size_t n = b->s->n_models;
    for (size_t i = 0; i < n; i++)
        if (tg_str_eq(b->s->models[i].name, name))
            return i;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < b->s->models[i].aliases.n; k++)
            if (tg_str_eq(b->s->models[i].aliases.v[k], name))
                return i;
    return n;
}

static void fallback_error(struct builder *b, size_t model, struct tg_str name, const char *what)
{
    char quoted[160];
    tg_conf_error(b->l, tg_conf_model_where(def_of(b, model), "fallbacks"),
                  tg_conf_model_key(b->l, def_of(b, model), "fallbacks"), "'%s' %s",
                  tg_fail_quote(name, quoted, sizeof(quoted)), what);
}

static void resolve_fallbacks(struct builder *b, size_t model)
{
    const struct tg_str_list *names = &b->s->models[model].fallbacks;
    for (size_t i = 0; i < names->n && i < TG_ARRAY_LEN(b->next[0]); i++) {
        size_t to = find_model(b, names->v[i]);
        if (to == b->s->n_models)
            fallback_error(b, model, names->v[i],
                           "is no known model; expected names or aliases of configured models");
        else if (to == model)
            fallback_error(b, model, names->v[i], "is the model itself");
        else
            b->next[model][b->n_next[model]++] = (uint16_t)to;
    }
}

/* Depth-first search; the depth is bounded because a chain longer than a route is refused. */
static void find_cycles(struct builder *b, size_t model, unsigned depth)
{
    if (depth > TG_ROUTE_MAX_TARGETS) {
        fallback_error(b, model, b->s->models[model].name,
                       "is part of too long a chain of fallbacks");
        return;
    }
    b->mark[model] = OPEN;
    for (size_t i = 0; i < b->n_next[model]; i++) {
        size_t to = b->next[model][i];
        if (b->mark[to] == OPEN)
            fallback_error(b, model, b->s->models[to].name,
                           "closes a cycle: it falls back to this model itself");
        else if (b->mark[to] == NEW)
            find_cycles(b, to, depth + 1);
    }
    b->mark[model] = DONE;
}

static bool push(uint16_t *list, size_t *n, uint16_t model)
{
    for (size_t i = 0; i < *n; i++)
        if (list[i] == model)
            return true;
    if (*n == TG_ROUTE_MAX_TARGETS)
        return false;
    list[(*n)++] = model;
    return true;
}

/* Appends fallbacks breadth first: what is nearer is tried first. false: too many. */
static bool expand(const struct builder *b, uint16_t *list, size_t *n)
{
    bool whole = true;
    for (size_t i = 0; i < *n; i++)
        for (size_t k = 0; k < b->n_next[list[i]]; k++)
            whole = push(list, n, b->next[list[i]][k]) && whole;
    return whole;
}

/* Adds a route; models and targets have the same index. */
static int add(struct builder *b, enum tg_route_kind kind, struct tg_str name, uint16_t *list,
               size_t n)
{
    TG_INVARIANT(b->n < b->cap);
    uint16_t *targets = tg_arena_array(b->l->arena, n, sizeof(*targets));
    if (!targets)
        return TG_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        targets[i] = b->s->models[list[i]].target;
    b->routes[b->n++] = (struct tg_route){
        .name = name, .kind = kind, .model = list[0], .n_targets = (uint16_t)n, .targets = targets};
    return 0;
}

static int add_model(struct builder *b, size_t model)
{
    const struct tg_model *m = &b->s->models[model];
    uint16_t list[TG_ROUTE_MAX_TARGETS] = {(uint16_t)model};
    size_t n = 1;
    if (!expand(b, list, &n))
        fallback_error(b, model, m->name, "has more than 32 targets, fallbacks included");
    int rc;
    if (m->wildcard)
        rc = add(b, TG_ROUTE_WILDCARD, tg_str_first(m->name, m->name.n - 1), list, n);
    else
        rc = add(b, TG_ROUTE_MODEL, m->name, list, n);
    for (size_t i = 0; rc == 0 && i < m->aliases.n; i++)
        rc = add(b, TG_ROUTE_ALIAS, m->aliases.v[i], list, n);
    return rc;
}

static int add_tier(struct builder *b, enum tg_tier tier)
{
    uint16_t list[TG_ROUTE_MAX_TARGETS];
    size_t n = 0;
    for (size_t i = 0; i < b->s->n_models; i++)
        if (b->s->models[i].tier == tier && !b->s->models[i].wildcard)
            push(list, &n, (uint16_t)i);
    if (n == 0)
        return 0;
    expand(b, list, &n); /* a tier may have more models than one request can try */
    return add(b, TG_ROUTE_TIER, tg_str_c(tg_tier_name(tier)), list, n);
}

static int compare_routes(const void *pa, const void *pb)
{
    const struct tg_route *a = pa, *b = pb;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == TG_ROUTE_WILDCARD && a->name.n != b->name.n)
        return a->name.n > b->name.n ? -1 : 1;
    return tg_str_cmp(a->name, b->name);
}

static void sort_routes(struct builder *b)
{
    qsort(b->routes, b->n, sizeof(*b->routes), compare_routes);
    size_t i = 0;
    for (int kind = TG_ROUTE_MODEL; kind <= TG_ROUTE_WILDCARD + 1; kind++) {
        while (i < b->n && (int)b->routes[i].kind < kind)
            i++;
        b->s->route_start[kind] = i;
    }
    b->s->routes = b->routes;
    b->s->n_routes = b->n;
}

/* Aliases that are taken; after sorting, equal names stand side by side. */
static void check_aliases(struct builder *b)
{
    char quoted[160];
    for (size_t i = b->s->route_start[TG_ROUTE_ALIAS]; i < b->s->route_start[TG_ROUTE_TIER]; i++) {
        const struct tg_route *r = &b->routes[i];
        const struct tg_model *taken = tg_snapshot_model(b->s, r->name);
        if (!taken && i > b->s->route_start[TG_ROUTE_ALIAS] &&
            tg_str_eq(b->routes[i - 1].name, r->name))
            taken = &b->s->models[b->routes[i - 1].model];
        if (taken)
            tg_conf_error(b->l, tg_conf_model_where(def_of(b, r->model), "aliases"),
                          tg_conf_model_key(b->l, def_of(b, r->model), "aliases"),
                          "'%s' is taken by model '%.*s'",
                          tg_fail_quote(r->name, quoted, sizeof(quoted)), TG_STR_ARG(taken->name));
    }
}

static int builder_init(struct builder *b, struct tg_conf_load *l)
{
    struct tg_arena *a = &l->scratch;
    *b = (struct builder){.l = l, .s = &l->refs->snapshot, .cap = TG_TIER_LARGE};
    for (size_t i = 0; i < b->s->n_models; i++)
        b->cap += 1 + b->s->models[i].aliases.n;
    b->routes = tg_arena_array(l->arena, b->cap, sizeof(*b->routes));
    b->next = tg_arena_array(a, b->s->n_models, sizeof(*b->next));
    b->n_next = tg_arena_array(a, b->s->n_models, sizeof(*b->n_next));
    b->mark = tg_arena_array(a, b->s->n_models, sizeof(*b->mark));
    return b->routes && b->next && b->n_next && b->mark ? 0 : TG_E_NOMEM;
}

int tg_conf_routes_build(struct tg_conf_load *l)
{
    struct builder b;
    int rc = builder_init(&b, l);
    if (rc)
        return rc;
    for (size_t i = 0; i < b.s->n_models; i++)
        resolve_fallbacks(&b, i);
    for (size_t i = 0; i < b.s->n_models; i++)
        if (b.mark[i] == NEW)
            find_cycles(&b, i, 1);
    for (size_t i = 0; rc == 0 && i < b.s->n_models; i++)
        rc = add_model(&b, i);
    for (int t = TG_TIER_SMALL; rc == 0 && t <= TG_TIER_LARGE; t++)
        rc = add_tier(&b, (enum tg_tier)t);
    if (rc)
        return rc;
    sort_routes(&b);
    check_aliases(&b);
    return 0;
}
