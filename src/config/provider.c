/* What follows from a provider's kind (backends.def) for a target: region, project, version, API
 * and base URL. */
#include "base/assert.h"
#include "config/load_priv.h"

static const struct tg_conf_kind kinds[] = {
#define TG_BACKEND(ID, name, adapters, ...) {.kind = TG_BACKEND_##ID, __VA_ARGS__},
#include "config/backends.def"
#undef TG_BACKEND
};

const struct tg_conf_kind *tg_conf_kind_find(uint32_t backend)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == backend)
            return &kinds[i];
    TG_UNREACHABLE();
}

/* The first of the variables that is set. */
static bool first_env(const struct tg_conf_load *l, const char *const *names, size_t n,
                      const char **out_name, struct tg_str *out, struct tg_conf_origin *out_where)
{
    for (size_t i = 0; i < n && names[i]; i++)
        if (tg_conf_env_get(&l->env, tg_str_c(names[i]), out, out_where)) {
            *out_name = names[i];
            return true;
        }
    return false;
}

/* ---- words that become part of a host name or of a path ---- */

static bool word_ok(struct tg_str s, const char *extra)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(extra, c))))
            return false;
    }
    return s.n > 0 && !tg_str_eq(s, TG_STR(".")) && !tg_str_eq(s, TG_STR(".."));
}

static void check_word(struct tg_conf_load *l, const struct tg_conf_model_def *d, const char *key,
                       struct tg_str value, const char *extra, const char *rule)
{
    if (value.n && !word_ok(value, extra))
        tg_conf_error(l, tg_conf_model_where(d, key), tg_conf_model_key(l, d, key), "expected %s",
                      rule);
}

static void check_words(struct tg_conf_load *l, const struct tg_conf_model_def *d)
{
    const struct tg_provider_config *p = &d->target.provider;
    check_word(l, d, "provider", p->provider, "-_.", "letters, digits, '-', '_' and '.'");
    check_word(l, d, "region", p->region, "-", "letters, digits and '-'");
    check_word(l, d, "project", p->project, "-_.:", "letters, digits, '-', '_', '.' and ':'");
    check_word(l, d, "api_version", p->api_version, "-_.", "letters, digits, '-', '_' and '.'");
}

/* ---- region, version, API ---- */

static void find_region(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    static const char *const aws[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    static const char *const google[] = {"GOOGLE_CLOUD_LOCATION"};
    struct tg_provider_config *p = &d->target.provider;
    bool is_aws = d->backend == TG_BACKEND_BEDROCK;
    const char *name;
    struct tg_str value;
    if (p->region.n || !(is_aws || d->backend == TG_BACKEND_VERTEX))
        return;
    if (is_aws ? first_env(l, aws, 2, &name, &value, NULL)
               : first_env(l, google, 1, &name, &value, NULL)) {
        p->region = tg_arena_dup(l->arena, value);
        return;
    }
    if (!is_aws) {
        p->region = TG_STR("global");
        return;
    }
    tg_conf_warn(l, &d->where, tg_conf_model_key(l, d, "region"),
                 "environment variable AWS_REGION is not set: the model is unavailable until it "
                 "is, or region is given");
    tg_conf_variable_not_set(l, d, TG_STR("AWS_REGION"));
}

/* InvokeModel has each model's own body; here it is Anthropic's. */
static void check_invoke(struct tg_conf_load *l, const struct tg_conf_model_def *d)
{
    struct tg_str model = d->target.model_name.n ? d->target.model_name : d->model.name;
    if (d->model.wildcard || tg_str_find(model, TG_STR("claude")) >= 0 ||
        tg_str_starts(model, TG_STR("arn:")))
        return;
    tg_conf_warn(l, tg_conf_model_where(d, "api"), tg_conf_model_key(l, d, "api"),
                 "'invoke' is Claude's format; converse serves all other models");
}

static void check_api(struct tg_conf_load *l, struct tg_conf_model_def *d,
                      const struct tg_conf_kind *k)
{
    struct tg_provider_config *p = &d->target.provider;
    bool known = p->api == TG_API_DEFAULT;
    for (size_t i = 0; i < TG_ARRAY_LEN(k->apis) && !known; i++)
        known = k->apis[i] == p->api;
    if (!known)
        tg_conf_error(l, tg_conf_model_where(d, "api"), tg_conf_model_key(l, d, "api"),
                      "'%s' is none of backend_type %s; expected %s%s%s",
                      tg_provider_api_name(p->api), tg_backend_kind_name(k->kind),
                      tg_provider_api_name(k->apis[0]), k->apis[1] ? " or " : "",
                      tg_provider_api_name(k->apis[1]));
    if (p->api == TG_API_INVOKE)
        check_invoke(l, d);
    if (p->api != TG_API_DEFAULT)
        return;
    p->api = k->apis[0];
    if (k->kind != TG_BACKEND_VERTEX)
        return;
    struct tg_str model = d->target.model_name.n ? d->target.model_name : d->model.name;
    if (d->model.wildcard && d->target.model_name.n == 0)
        p->api = TG_API_DEFAULT;
    else if (tg_str_find(model, TG_STR("claude")) >= 0)
        p->api = TG_API_MESSAGES;
}

/* ---- base URL ---- */

/* OLLAMA_HOST as Ollama's own client reads it: host, host:port or URL; port 11434 and http unless
 * said, and the server's "all addresses" means this machine. */
static struct tg_str ollama_url(struct tg_conf_load *l, struct tg_str text)
{
    static const char *const any[] = {"0.0.0.0", "[::]", "::", ""};
    if (tg_str_find(text, TG_STR("://")) >= 0)
        return text;
    size_t colon = text.n;
    while (colon > 0 && text.p[colon - 1] != ':' && text.p[colon - 1] != ']')
        colon--;
    bool has_port = colon > 0 && text.p[colon - 1] == ':' && !tg_str_eq(text, TG_STR("::"));
    struct tg_str host = has_port ? tg_str_first(text, colon - 1) : text;
    struct tg_str port = has_port ? tg_str_from(text, colon) : TG_STR("11434");
    for (size_t i = 0; i < TG_ARRAY_LEN(any); i++)
        if (tg_str_eq(host, tg_str_c(any[i])))
            host = TG_STR("127.0.0.1");
    return tg_arena_printf(&l->scratch, "http://%.*s:%.*s", TG_STR_ARG(host), TG_STR_ARG(port));
}

static struct tg_str fill_region(struct tg_conf_load *l, struct tg_str url, struct tg_str region)
{
    ptrdiff_t at = tg_str_find(url, TG_STR("{region}"));
    if (at < 0)
        return url;
    struct tg_str head = tg_str_first(url, (size_t)at), tail = tg_str_from(url, (size_t)at + 8);
    if (tg_str_eq(region, TG_STR("global")) && tg_str_starts(tail, TG_STR("-"))) {
        region = TG_STR("");
        tail = tg_str_from(tail, 1);
    }
    return tg_arena_printf(&l->scratch, "%.*s%.*s%.*s", TG_STR_ARG(head), TG_STR_ARG(region),
                           TG_STR_ARG(tail));
}

/* The URL where none was written in the file: the environment's, else the kind's own. */
static int default_url(struct tg_conf_load *l, struct tg_conf_model_def *d,
                       const struct tg_conf_kind *k)
{
    const struct tg_conf_row *row = tg_conf_row_find(&tg_conf_model_table, TG_STR("base_url"));
    struct tg_conf_origin where = d->where;
    struct tg_str text, key = tg_conf_model_key(l, d, "base_url");
    const char *name;
    if (d->target.provider.api == TG_API_NATIVE) {
        tg_conf_error(l, &d->where, key,
                      "is required with api native: expected the URL of a server of your own");
        return 0;
    }
    if (first_env(l, k->url_env, TG_ARRAY_LEN(k->url_env), &name, &text, &where)) {
        key = tg_str_c(name);
        if (k->kind == TG_BACKEND_OLLAMA)
            text = ollama_url(l, text);
    } else if (!k->base_url) {
        tg_conf_error(l, &d->where, key,
                      "is required with backend_type %s: expected an http:// or https:// URL%s%s",
                      tg_backend_kind_name(k->kind), k->url_env[0] ? ", here or in " : "",
                      k->url_env[0] ? k->url_env[0] : "");
        return 0;
    } else if (d->target.provider.region.n == 0 && strchr(k->base_url, '{')) {
        return 0; /* unavailable, which has been said */
    } else {
        text = fill_region(l, tg_str_c(k->base_url), d->target.provider.region);
    }
    return tg_conf_go_on(tg_conf_set(l, row, d, text, &where, key));
}

/* A base URL is taken with and without the version that its users write behind it. */
static void normalise_path(struct tg_conf_load *l, struct tg_conf_model_def *d,
                           const struct tg_conf_kind *k)
{
    struct tg_provider_config *p = &d->target.provider;
    struct tg_config_url *u = &d->target.url;
    if (k->kind == TG_BACKEND_HUGGINGFACE) {
        bool has = tg_str_ends(u->path, TG_STR("/v1")), wants = p->api != TG_API_NATIVE;
        if (wants && !has)
            u->path = tg_arena_printf(l->arena, "%.*s/v1", TG_STR_ARG(u->path));
        else if (has && !wants)
            u->path = tg_str_first(u->path, u->path.n - 3);
        return;
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(k->suffixes) && k->suffixes[i]; i++) {
        struct tg_str end = tg_str_c(k->suffixes[i]);
        if (!tg_str_ends(u->path, end))
            continue;
        u->path = tg_arena_dup(l->arena, tg_str_first(u->path, u->path.n - end.n));
        bool named = k->kind == TG_BACKEND_GEMINI || k->kind == TG_BACKEND_VERTEX;
        if (named && p->api_version.n == 0)
            p->api_version = tg_str_from(end, 1);
        return;
    }
}

int tg_conf_provider_finish(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    const struct tg_conf_kind *k = tg_conf_kind_find(d->backend);
    struct tg_target *t = &d->target;
    int rc = 0;
    find_region(l, d);
    check_words(l, d);
    check_api(l, d, k);
    bool has_url = tg_conf_model_has(d, "base_url") || t->url.host.n;
    if (!has_url && d->backend == TG_BACKEND_OPENAI)
        t->url = l->raw->openai_base_url;
    else if (!has_url)
        rc = default_url(l, d, k);
    if (rc == 0 && t->url.host.n)
        normalise_path(l, d, k);
    t->provider.own_version = t->provider.api_version.n > 0;
    if (t->provider.api_version.n == 0 && k->version)
        t->provider.api_version = tg_str_c(k->version);
    return rc;
}

/* ---- documents ---- */

static void docs_names(struct tg_buf *out, const char *const *names, size_t n, const char *none)
{
    for (size_t i = 0; i < n && names[i]; i++)
        tg_buf_printf(out, "%s`%s`", i ? ", " : "", names[i]);
    tg_buf_printf(out, "%s", names[0] ? "" : none);
}

void tg_conf_provider_docs(struct tg_buf *out)
{
    tg_buf_lit(out, "\n### Providers\n\n"
                    "| `backend_type` | `base_url` | variables with another | variables with a "
                    "credential | `api` | `api_version` |\n|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        const struct tg_conf_kind *k = &kinds[i];
        if (!(k->flags & TG_CF_HTTP))
            continue;
        tg_buf_printf(out, "| `%s` | ", tg_backend_kind_name(k->kind));
        docs_names(out, &k->base_url, 1, "to be given");
        tg_buf_lit(out, " | ");
        docs_names(out, k->url_env, TG_ARRAY_LEN(k->url_env), "none");
        tg_buf_lit(out, " | ");
        docs_names(out, k->key_env, TG_ARRAY_LEN(k->key_env), "none");
        tg_buf_printf(out, " | `%s`", tg_provider_api_name(k->apis[0]));
        if (k->apis[1])
            tg_buf_printf(out, ", `%s`", tg_provider_api_name(k->apis[1]));
        tg_buf_lit(out, " | ");
        docs_names(out, &k->version, 1, "none");
        tg_buf_lit(out, " |\n");
    }
}
