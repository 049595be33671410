/* From what was written about a model to a target that can be used, or to the reason why not. */
#include <stdio.h>

#include "config/load_priv.h"
#include "config/mock_steps.h"

static bool is_http(const struct tg_conf_model_def *d)
{
    return tg_backend_kind_is_http((enum tg_backend_kind)d->backend);
}

void tg_conf_unavailable(struct tg_conf_load *l, struct tg_conf_model_def *d, struct tg_str why)
{
    if (d->target.unavailable.n == 0)
        d->target.unavailable = tg_arena_dup(l->arena, why);
}

void tg_conf_variable_not_set(struct tg_conf_load *l, struct tg_conf_model_def *d,
                              struct tg_str name)
{
    tg_conf_unavailable(
        l, d,
        tg_arena_printf(&l->scratch, "environment variable %.*s is not set", TG_STR_ARG(name)));
}

/* A setting that its backend does not look at would be a lie. */
static void check_applies(struct tg_conf_load *l, const struct tg_conf_model_def *d)
{
    unsigned mine = tg_conf_kind_find(d->backend)->flags;
    for (size_t i = 0; i < tg_conf_model_table.n; i++) {
        const struct tg_conf_row *row = &tg_conf_model_table.rows[i];
        unsigned needs = row->flags & TG_CF_KINDS;
        if (d->origin[i].file && needs && !(needs & mine))
            tg_conf_error(l, &d->origin[i], tg_conf_model_key(l, d, row->key),
                          "has no effect with backend_type %s",
                          tg_backend_kind_name((enum tg_backend_kind)d->backend));
    }
}

static void check_key_header(struct tg_conf_load *l, const struct tg_conf_model_def *d)
{
    const struct tg_conf_kind *k = tg_conf_kind_find(d->backend);
    const struct tg_target *t = &d->target;
    if (t->provider.credential.source == TG_CREDENTIAL_NONE)
        return;
    char key[64];
    snprintf(key, sizeof(key), "headers.%s", k->key_header);
    for (size_t i = 0; i < t->n_headers; i++)
        if (tg_str_ieq(t->headers[i].name, tg_str_c(k->key_header)))
            tg_conf_error(l, tg_conf_model_where(d, "headers"), tg_conf_model_key(l, d, key),
                          "api_key writes this header already");
    if (t->url.host.n && !t->url.https && !tg_conf_host_is_loopback(t->url.host))
        tg_conf_warn(l, tg_conf_model_where(d, "base_url"), tg_conf_model_key(l, d, "base_url"),
                     "the credential travels unencrypted over http://");
}

static int finish_http(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    struct tg_target *t = &d->target;
    int rc = tg_conf_provider_finish(l, d);
    if (rc == 0)
        rc = tg_conf_credential_finish(l, d);
    if (rc)
        return rc;
    check_key_header(l, d);
    if (t->upstream.ca_file.n && !tg_conf_file_readable(t->upstream.ca_file))
        tg_conf_error(l, tg_conf_model_where(d, "ca_file"), tg_conf_model_key(l, d, "ca_file"),
                      "cannot read '%.*s'", TG_STR_ARG(t->upstream.ca_file));
    if (t->url.host.n == 0)
        return 0;
    return tg_conf_go_on(tg_conf_proxy_resolve(l, d->proxy, &t->url,
                                               tg_conf_model_where(d, "proxy"),
                                               tg_conf_model_key(l, d, "proxy"), &t->proxy));
}

static int finish_local(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    struct tg_target *t = &d->target;
    bool named = t->model_name.n > 0;
    if (d->model.wildcard)
        tg_conf_error(l, &d->where, tg_conf_model_key(l, d, ""),
                      "a local model serves one name, not a wildcard");
    d->model.builtin = tg_str_eq(t->model_name, TG_STR("builtin"));
    if (d->model.builtin) {
        t->model_name = (struct tg_str){NULL, 0};
        return 0;
    }
    if (!named && d->missing.n)
        return 0;
    if (!named) {
        tg_conf_error(l, &d->where, tg_conf_model_key(l, d, "model_name"),
                      "is required with backend_type local: expected a GGUF file, or 'builtin'");
        return 0;
    }
    const struct tg_conf_origin *at = tg_conf_model_where(d, "model_name");
    bool from_file = l->file.n && at->file && tg_str_eq(tg_str_c(at->file), l->file);
    t->model_name =
        tg_conf_path_join(l->arena, from_file ? l->file_dir : tg_str_c(l->src->cwd), t->model_name);
    if (!t->model_name.p)
        return TG_E_NOMEM;
    if (!tg_conf_file_readable(t->model_name)) {
        tg_conf_warn(l, at, tg_conf_model_key(l, d, "model_name"),
                     "cannot read '%.*s': the model is unavailable until the next reload",
                     TG_STR_ARG(t->model_name));
        tg_conf_unavailable(l, d, TG_STR("its model file cannot be read"));
    }
    return 0;
}

static int finish_mock(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    const struct tg_conf_origin *at = tg_conf_model_where(d, "mock.script");
    struct tg_str key = tg_conf_model_key(l, d, "mock.script"), text;
    struct tg_mock_config *m = &d->target.mock;
    if (m->script.n == 0)
        return 0;
    int rc = tg_conf_file_read(l, m->script, TG_MOCK_MAX_FILE_BYTES, at, key, &text);
    if (rc == TG_E_NOT_FOUND_INTERNAL)
        tg_conf_error(l, at, key, "there is no file '%.*s'", TG_STR_ARG(m->script));
    if (rc < 0)
        return rc == TG_E_NOMEM ? rc : 0;
    struct tg_fail fail;
    tg_fail_clear(&fail);
    rc = tg_mock_steps_parse(&l->scratch, l->arena, text, &m->steps, &fail);
    if (rc == TG_E_NOMEM)
        return rc;
    if (rc < 0)
        tg_conf_error(l, at, key, "%.*s: %s", TG_STR_ARG(m->script), fail.message);
    return tg_conf_note_file(l, m->script);
}

static void finish_names(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    if (d->target.model_name.n == 0 && is_http(d) && !d->model.wildcard)
        d->target.model_name = d->model.name;
    if (d->model.display_name.n == 0)
        d->model.display_name = d->model.name;
    d->model.tier = (enum tg_tier)d->tier;
    d->target.kind = (enum tg_backend_kind)d->backend;
    d->target.name = d->model.name;
    d->target.max_tokens = d->model.max_tokens;
    d->target.context_length = d->model.context_length;
    if (d->model.context_length && d->model.max_tokens > d->model.context_length)
        tg_conf_error(l, tg_conf_model_where(d, "max_tokens"),
                      tg_conf_model_key(l, d, "max_tokens"),
                      "is more than context_length, which it is a part of");
    if (d->missing.n)
        tg_conf_variable_not_set(l, d, d->missing);
}

static int finish_one(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    char expects[256];
    int rc = 0;
    if (d->backend == TG_BACKEND_NONE) {
        /* When a variable was missing or the word was wrong, that has been said. */
        if (!tg_conf_model_has(d, "backend_type"))
            tg_conf_error(
                l, &d->where, tg_conf_model_key(l, d, "backend_type"), "is required: expected %s",
                tg_conf_row_expects(tg_conf_row_find(&tg_conf_model_table, TG_STR("backend_type")),
                                    expects, sizeof(expects)));
    } else {
        check_applies(l, d);
        if (is_http(d))
            rc = finish_http(l, d);
        else if (d->backend == TG_BACKEND_LOCAL)
            rc = finish_local(l, d);
        else if (d->backend == TG_BACKEND_MOCK)
            rc = finish_mock(l, d);
    }
    finish_names(l, d);
    return rc;
}

int tg_conf_targets_finish(struct tg_conf_load *l)
{
    for (size_t i = 0; i < l->n_defs; i++) {
        int rc = finish_one(l, &l->defs[i]);
        if (rc)
            return rc;
    }
    return tg_conf_nomem(l) ? TG_E_NOMEM : 0;
}
