/* A map of the configuration file against the schema: known keys are set, unknown ones named with
 * the nearest known one. */
#include "base/fail.h"
#include "config/load_priv.h"
#include "config/node_priv.h"

enum { MAX_SECTION_DEPTH = 4 };

struct walk {
    struct tg_conf_load *l;
    const struct tg_conf_table *t;
    void *base;
    struct tg_conf_origin *origins;
    struct tg_conf_model_def *def;
    const char *shown;
};

static struct tg_conf_origin value_at(const struct walk *w, const struct tg_conf_node *n)
{
    return (struct tg_conf_origin){w->l->file.p, n->line, n->column};
}

static struct tg_str shown_key(const struct walk *w, struct tg_str path)
{
    return tg_arena_printf(&w->l->scratch, "%s%.*s", w->shown, TG_STR_ARG(path));
}

static void unknown_key(const struct walk *w, const struct tg_conf_node *n, struct tg_str path)
{
    struct tg_conf_origin at = {w->l->file.p, n->key_line, n->key_column};
    struct tg_str key = shown_key(w, path), near = tg_conf_nearest_key(w->t, path);
    const char *later = w->def ? NULL : tg_conf_later_key(path);
    /* "models" is no row of the table. */
    if (!w->def && !near.n && tg_str_distance(path, TG_STR("models"), 3) < 3)
        near = TG_STR("models");
    if (later)
        tg_conf_error(w->l, &at, key, "%s", later);
    else if (near.n)
        tg_conf_error(w->l, &at, key, "unknown setting; did you mean '%.*s'?", TG_STR_ARG(near));
    else
        tg_conf_error(w->l, &at, key, "unknown setting");
}

static void variable_missing(const struct walk *w, const struct tg_conf_origin *at,
                             struct tg_str key)
{
    struct tg_str name = w->l->missing;
    if (!w->def) {
        tg_conf_error(w->l, at, key,
                      "environment variable %.*s is not set; set it or write ${%.*s:-default}",
                      TG_STR_ARG(name), TG_STR_ARG(name));
        return;
    }
    tg_conf_warn(w->l, at, key,
                 "environment variable %.*s is not set: the model is unavailable until it is",
                 TG_STR_ARG(name));
    if (w->def->missing.n == 0)
        w->def->missing = name;
}

enum { UNSET = 0, VALUE = 1, REPORTED = 2 };

/* The scalar with its variables filled in, in the scratch arena. One of the above, or
 * TG_E_NOMEM. */
static int expanded(const struct walk *w, const struct tg_conf_node *n, struct tg_str key,
                    struct tg_str *out)
{
    struct tg_conf_origin at = value_at(w, n);
    const char *why;
    if (n->kind != TG_NODE_SCALAR) {
        tg_conf_error(w->l, &at, key, "expected a single value, got a %s",
                      n->kind == TG_NODE_MAP ? "map" : "list");
        return REPORTED;
    }
    if (n->null)
        return UNSET;
    int rc = tg_conf_expand(w->l, &w->l->scratch, n->text, out, &why);
    if (rc == TG_E_NOT_FOUND_INTERNAL)
        variable_missing(w, &at, key);
    else if (rc == TG_E_INVALID_ARG)
        tg_conf_error(w->l, &at, key, "%s", why);
    else if (rc)
        return rc;
    if (rc)
        return REPORTED;
    return out->n ? VALUE : UNSET;
}

static int walk_list(const struct walk *w, const struct tg_conf_row *row,
                     const struct tg_conf_node *n, struct tg_str key)
{
    struct tg_conf_origin at = value_at(w, n);
    struct tg_str *parts = tg_arena_array(&w->l->scratch, n->n ? n->n : 1, sizeof(*parts));
    size_t count = 0;
    if (!parts)
        return TG_E_NOMEM;
    for (const struct tg_conf_node *c = n->first; c; c = c->next) {
        int rc = expanded(w, c, key, &parts[count]);
        if (rc < 0)
            return rc;
        count += rc == VALUE;
    }
    return tg_conf_set_list(w->l, row, w->base, parts, count, &at, key);
}

static int walk_headers(const struct walk *w, const struct tg_conf_row *row,
                        const struct tg_conf_node *n, struct tg_str key)
{
    for (const struct tg_conf_node *c = n->first; c; c = c->next) {
        struct tg_str value, shown = tg_arena_printf(&w->l->scratch, "%.*s.%.*s", TG_STR_ARG(key),
                                                     TG_STR_ARG(c->key));
        struct tg_conf_origin at = value_at(w, c);
        int rc = expanded(w, c, shown, &value);
        if (rc < 0)
            return rc;
        if (rc != VALUE)
            continue;
        rc = tg_conf_add_header(w->l, row, w->base, c->key, value, &at, shown);
        tg_secret_wipe((char *)(uintptr_t)value.p, value.n);
        if (tg_conf_go_on(rc))
            return rc;
    }
    return 0;
}

static int walk_scalar(const struct walk *w, const struct tg_conf_row *row,
                       const struct tg_conf_node *n, struct tg_str key)
{
    struct tg_conf_origin at = value_at(w, n);
    struct tg_str value;
    int rc = expanded(w, n, key, &value);
    if (rc == UNSET)
        w->origins[tg_conf_row_index(w->t, row)].file = NULL;
    if (rc != VALUE)
        return rc < 0 ? rc : 0;
    rc = tg_conf_set(w->l, row, w->base, value, &at, key);
    if (row->type == TG_CT_SECRET)
        tg_secret_wipe((char *)(uintptr_t)value.p, value.n);
    return rc;
}

static int walk_value(const struct walk *w, const struct tg_conf_row *row,
                      const struct tg_conf_node *n, struct tg_str path)
{
    struct tg_str key = shown_key(w, path);
    if (!key.p)
        return TG_E_NOMEM;
    w->origins[tg_conf_row_index(w->t, row)] = value_at(w, n);
    if (row->type == TG_CT_LIST && n->kind == TG_NODE_SEQ)
        return walk_list(w, row, n, key);
    if (row->type == TG_CT_HEADERS && n->kind == TG_NODE_MAP)
        return walk_headers(w, row, n, key);
    return walk_scalar(w, row, n, key);
}

static int walk_map(const struct walk *w, const struct tg_conf_node *map, struct tg_str prefix,
                    unsigned depth);

static int walk_entry(const struct walk *w, const struct tg_conf_node *n, struct tg_str path,
                      unsigned depth)
{
    const struct tg_conf_row *row = tg_conf_row_find(w->t, path);
    if (row)
        return tg_conf_go_on(walk_value(w, row, n, path));
    if (depth >= MAX_SECTION_DEPTH || !tg_conf_is_section(w->t, path)) {
        unknown_key(w, n, path);
        return 0;
    }
    if (n->kind == TG_NODE_MAP)
        return walk_map(w, n, path, depth + 1);
    struct tg_conf_origin at = value_at(w, n);
    if (!n->null)
        tg_conf_error(w->l, &at, shown_key(w, path), "expected a map of settings");
    return 0;
}

/* Entries that are not settings: the models, which are read later, and x-… keys, where an operator
 * may keep anchors. */
static bool is_set_aside(const struct walk *w, const struct tg_conf_node *n, unsigned depth)
{
    return !w->def && depth == 0 &&
           (tg_str_eq(n->key, TG_STR("models")) || tg_str_starts(n->key, TG_STR("x-")));
}

static int walk_map(const struct walk *w, const struct tg_conf_node *map, struct tg_str prefix,
                    unsigned depth)
{
    for (const struct tg_conf_node *n = map->first; n; n = n->next) {
        if (is_set_aside(w, n, depth))
            continue;
        /* A dot in a key would make "a.b" and "a: {b:" the same setting, given twice. */
        bool dotted = tg_str_chr(n->key, '.') >= 0;
        struct tg_str path = tg_arena_printf(&w->l->scratch, "%.*s%s%.*s", TG_STR_ARG(prefix),
                                             prefix.n ? "." : "", TG_STR_ARG(n->key));
        if (!path.p)
            return TG_E_NOMEM;
        if (dotted) {
            unknown_key(w, n, path);
            continue;
        }
        int rc = walk_entry(w, n, path, depth);
        if (rc)
            return rc;
    }
    return 0;
}

int tg_conf_walk(struct tg_conf_load *l, const struct tg_conf_table *t, void *base,
                 struct tg_conf_origin *origins, struct tg_conf_model_def *def, const char *shown,
                 const struct tg_conf_node *map)
{
    struct walk w = {l, t, base, origins, def, shown};
    return walk_map(&w, map, (struct tg_str){NULL, 0}, 0);
}
