/* The snapshot's tables out of what was read: models, targets and the default model. */
#include "base/fail.h"
#include "config/load_priv.h"

static int copy_models(struct tg_conf_load *l, struct tg_snapshot *s)
{
    struct tg_model *models = tg_arena_array(l->arena, l->n_defs, sizeof(*models));
    struct tg_target *targets = tg_arena_array(l->arena, l->n_defs, sizeof(*targets));
    if (!models || !targets)
        return TG_E_NOMEM;
    for (size_t i = 0; i < l->n_defs; i++) {
        models[i] = l->defs[i].model;
        models[i].target = (uint16_t)i;
        targets[i] = l->defs[i].target;
        targets[i].id = targets[i].model = (uint16_t)i;
    }
    s->models = models;
    s->targets = targets;
    s->n_models = s->n_targets = l->n_defs;
    return 0;
}

/* The nearest name that requests can use. */
static struct tg_str nearest(const struct tg_snapshot *s, struct tg_str name)
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

static void unknown_default(struct tg_conf_load *l, const struct tg_snapshot *s, const char *key,
                            struct tg_str name, const char *expected)
{
    char quoted[160];
    struct tg_str near = nearest(s, name);
    tg_fail_quote(name, quoted, sizeof(quoted));
    if (near.n)
        tg_conf_error(l, tg_conf_where(l, key), tg_str_c(key),
                      "'%s' is no known model; did you mean '%.*s'? Expected %s", quoted,
                      TG_STR_ARG(near), expected);
    else
        tg_conf_error(l, tg_conf_where(l, key), tg_str_c(key),
                      "'%s' is no known model; expected %s", quoted, expected);
}

/* MODEL_NAME as the name of a model. */
static struct tg_str engine_model(struct tg_conf_load *l, const struct tg_snapshot *s)
{
    struct tg_str name = l->raw->settings.engine.model;
    if (tg_str_eq(name, TG_STR("builtin"))) {
        for (size_t i = 0; i < s->n_models; i++)
            if (s->models[i].builtin)
                return s->models[i].name;
        tg_conf_error(l, tg_conf_where(l, "engine.model"), TG_STR("engine.model"),
                      "the built-in model is switched off by engine.builtin");
        return (struct tg_str){NULL, 0};
    }
    if (name.n && !tg_snapshot_route(s, name))
        unknown_default(l, s, "engine.model", name,
                        "'builtin', a GGUF file (*.gguf) or the name of a configured model");
    return name;
}

/* The first model with a name of its own that can be used; if none can, the first at all. */
static struct tg_str first_usable(const struct tg_snapshot *s)
{
    struct tg_str first = {NULL, 0};
    for (size_t i = 0; i < s->n_models; i++) {
        const struct tg_model *m = &s->models[i];
        if (m->wildcard)
            continue;
        if (s->targets[m->target].unavailable.n == 0)
            return m->name;
        if (first.n == 0)
            first = m->name;
    }
    return first;
}

/* default_model, else MODEL_NAME, else the first model that can be used. */
static void choose_default(struct tg_conf_load *l, struct tg_snapshot *s)
{
    struct tg_str from_engine = engine_model(l, s);
    s->default_model = l->raw->default_model;
    if (s->default_model.n && !tg_snapshot_route(s, s->default_model))
        unknown_default(l, s, "default_model", s->default_model,
                        "the name of a configured model, an alias or a tier");
    if (s->default_model.n == 0)
        s->default_model = from_engine;
    if (s->default_model.n == 0)
        s->default_model = first_usable(s);
}

int tg_conf_snapshot_build(struct tg_conf_load *l)
{
    struct tg_snapshot *s = &l->refs->snapshot;
    s->refs = l->refs;
    s->settings = l->raw->settings;
    s->environment = l->raw->environment;
    s->config_file = l->file.n ? tg_arena_dup(l->arena, l->file) : l->file;
    if (l->n_defs == 0) {
        tg_conf_error(
            l, NULL, TG_STR("models"),
            "there is no model: configure one, set OPENAI_API_KEY or leave engine.builtin "
            "on");
        return 0;
    }
    int rc = copy_models(l, s);
    if (rc == 0)
        rc = tg_conf_routes_build(l);
    if (rc == 0)
        choose_default(l, s);
    return rc;
}
