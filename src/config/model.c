/* The models of the configuration file, and those that exist without one. */
#include "base/fail.h"
#include "config/load_priv.h"
#include "config/node_priv.h"

enum { IMPLIED_MODELS = 3, MAX_NAME_BYTES = 128 };

/* Model names are used in JSON, in metrics and in paths (/v1beta/models/{model}). A '*' may only be
 * the last character: then it stands for any rest. */
static bool name_ok(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || (c == '*' && i + 1 < s.n))
            return false;
    }
    return s.n > 0 && s.n <= MAX_NAME_BYTES;
}

static const char *const name_rule =
    "expected a name of at most 128 printable ASCII characters without blanks, '\"' or '\\', and "
    "'*' only at its end";

struct tg_str tg_conf_model_key(struct tg_conf_load *l, const struct tg_conf_model_def *def,
                                const char *tail)
{
    return tg_arena_printf(&l->scratch, "models.%.*s%s%s", TG_STR_ARG(def->model.name),
                           tail[0] ? "." : "", tail);
}

static const struct tg_conf_origin *origin_of(const struct tg_conf_model_def *def,
                                              const char *row_key)
{
    const struct tg_conf_row *row = tg_conf_row_find(&tg_conf_model_table, tg_str_c(row_key));
    return &def->origin[tg_conf_row_index(&tg_conf_model_table, row)];
}

bool tg_conf_model_has(const struct tg_conf_model_def *def, const char *row_key)
{
    return origin_of(def, row_key)->file != NULL;
}

const struct tg_conf_origin *tg_conf_model_where(const struct tg_conf_model_def *def,
                                                 const char *row_key)
{
    const struct tg_conf_origin *o = origin_of(def, row_key);
    return o->file ? o : &def->where;
}

const struct tg_conf_model_def *tg_conf_model_find(const struct tg_conf_load *l, struct tg_str name)
{
    for (size_t i = 0; i < l->n_defs; i++)
        if (tg_str_eq(l->defs[i].model.name, name))
            return &l->defs[i];
    return NULL;
}

/* A new model with its defaults; the name must be valid. */
static int def_new(struct tg_conf_load *l, struct tg_str name, struct tg_conf_origin where,
                   struct tg_conf_model_def **out)
{
    struct tg_conf_model_def *d = &l->defs[l->n_defs];
    *d = (struct tg_conf_model_def){.where = where};
    d->model.name = tg_arena_dup(l->arena, name);
    d->model.wildcard = name.p[name.n - 1] == '*';
    d->model.price = (struct tg_price){-1, -1};
    d->origin = tg_arena_array(l->arena, tg_conf_model_table.n, sizeof(*d->origin));
    d->target.upstream = l->raw->settings.upstream;
    d->target.engine = l->raw->settings.engine;
    d->proxy = l->raw->proxy;
    if (!d->model.name.p || !d->origin)
        return TG_E_NOMEM;
    int rc = tg_conf_set_defaults(l, &tg_conf_model_table, d);
    if (rc)
        return rc;
    l->n_defs++;
    *out = d;
    return 0;
}

static int read_one(struct tg_conf_load *l, const struct tg_conf_node *n)
{
    struct tg_conf_origin at = {l->file.p, n->key_line, n->key_column};
    struct tg_conf_model_def *def;
    if (!name_ok(n->key)) {
        tg_conf_error(l, &at, TG_STR("models"), "%s", name_rule);
        return 0;
    }
    int rc = def_new(l, n->key, at, &def);
    if (rc)
        return rc;
    struct tg_str shown = tg_arena_printf(&l->scratch, "models.%.*s.", TG_STR_ARG(n->key));
    if (!shown.p)
        return TG_E_NOMEM;
    if (n->kind != TG_NODE_MAP) {
        tg_conf_error(l, &at, tg_conf_model_key(l, def, ""), "expected a map of settings");
        return 0;
    }
    rc = tg_conf_walk(l, &tg_conf_model_table, def, def->origin, def, shown.p, n);
    for (size_t i = 0; rc == 0 && i < def->model.aliases.n; i++)
        if (!name_ok(def->model.aliases.v[i]) || tg_str_chr(def->model.aliases.v[i], '*') >= 0)
            tg_conf_error(l, tg_conf_model_where(def, "aliases"),
                          tg_conf_model_key(l, def, "aliases"), "%s", name_rule);
    return rc;
}

int tg_conf_models_read(struct tg_conf_load *l, const struct tg_conf_node *models)
{
    size_t n = models && models->kind == TG_NODE_MAP ? models->n : 0;
    struct tg_conf_origin at = {l->file.p, models ? models->line : 0, models ? models->column : 0};
    if (models && models->kind != TG_NODE_MAP && !models->null)
        tg_conf_error(l, &at, TG_STR("models"), "expected a map of model names to settings");
    if (n > TG_CONFIG_MAX_MODELS - IMPLIED_MODELS) {
        tg_conf_error(l, &at, TG_STR("models"), "too many models: at most %d are allowed",
                      TG_CONFIG_MAX_MODELS - IMPLIED_MODELS);
        n = 0;
    }
    l->defs = tg_arena_array(l->arena, n + IMPLIED_MODELS, sizeof(*l->defs));
    if (!l->defs)
        return TG_E_NOMEM;
    const struct tg_conf_node *c = models ? models->first : NULL;
    for (size_t i = 0; i < n; i++, c = c->next) {
        int rc = read_one(l, c);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- models without a file ---- */

/* An OpenAI key or base URL and nothing else is a complete configuration: every model name goes to
 * that provider. */
static int imply_openai(struct tg_conf_load *l)
{
    const struct tg_conf_origin *url_at = tg_conf_where(l, "openai.base_url");
    const struct tg_conf_origin *key_at = tg_conf_where(l, "openai.api_key");
    struct tg_conf_model_def *def;
    bool have_key = l->raw->openai_api_key != NULL;
    if (l->n_defs || (!have_key && !url_at->file))
        return 0;
    int rc = def_new(l, TG_STR("*"), have_key ? *key_at : *url_at, &def);
    if (rc)
        return rc;
    def->backend = have_key ? TG_BACKEND_OPENAI : TG_BACKEND_OPENAI_COMPATIBLE;
    def->target.url = l->raw->openai_base_url;
    def->model.display_name = TG_STR("Any model of the OpenAI API");
    return 0;
}

static bool is_file_name(struct tg_str s)
{
    return tg_str_ends(s, TG_STR(".gguf")) || tg_str_starts(s, TG_STR("/")) ||
           tg_str_starts(s, TG_STR("./")) || tg_str_starts(s, TG_STR("../"));
}

static struct tg_str base_name(struct tg_str path)
{
    struct tg_str part, last = {NULL, 0};
    while (tg_str_split(&path, '/', &part))
        last = part;
    return tg_str_ends(last, TG_STR(".gguf")) ? tg_str_first(last, last.n - 5) : last;
}

/* MODEL_NAME=/models/x.gguf: serve that file as "x". */
static int imply_model_file(struct tg_conf_load *l)
{
    const struct tg_conf_origin *at = tg_conf_where(l, "engine.model");
    struct tg_str path = l->raw->settings.engine.model, name = base_name(path);
    struct tg_conf_model_def *def;
    if (!is_file_name(path) || tg_conf_model_find(l, path))
        return 0;
    if (!name_ok(name) || name.p[name.n - 1] == '*' || tg_conf_model_find(l, name)) {
        tg_conf_error(l, at, TG_STR("engine.model"),
                      "this file's name cannot be its model's name: it is malformed or taken");
        return 0;
    }
    int rc = def_new(l, name, *at, &def);
    if (rc)
        return rc;
    def->backend = TG_BACKEND_LOCAL;
    def->target.model_name = path;
    l->raw->settings.engine.model = def->model.name;
    return 0;
}

static int imply_builtin(struct tg_conf_load *l)
{
    struct tg_str name = TG_STR(TG_CONFIG_BUILTIN_NAME);
    struct tg_conf_model_def *def;
    if (!l->raw->settings.engine.builtin || tg_conf_model_find(l, name))
        return 0;
    int rc = def_new(l, name, (struct tg_conf_origin){0}, &def);
    if (rc)
        return rc;
    def->backend = TG_BACKEND_LOCAL;
    def->target.model_name = TG_STR("builtin");
    def->model.display_name = TG_STR("Tollgate Tiny (built-in demo model)");
    return 0;
}

int tg_conf_models_implied(struct tg_conf_load *l)
{
    int rc = imply_openai(l);
    if (rc == 0)
        rc = imply_model_file(l);
    return rc ? rc : imply_builtin(l);
}
