/* Where a target's credential comes from: what its model says, else the customary variables of its
 * kind of provider. */
#include "config/load_priv.h"
#include "config/token.h"

enum { MAX_KEY_FILE_BYTES = 64 * 1024 };

static struct tg_credential_config *credential(struct tg_conf_model_def *d)
{
    return &d->target.provider.credential;
}

static const struct tg_conf_row *row_of(const char *key)
{
    return tg_conf_row_find(&tg_conf_model_table, tg_str_c(key));
}

static int key_from_file(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    const struct tg_conf_origin *at = tg_conf_model_where(d, "api_key_file");
    struct tg_str text, key = tg_conf_model_key(l, d, "api_key_file");
    int rc = tg_conf_file_read(l, d->api_key_file, MAX_KEY_FILE_BYTES, at, key, &text);
    if (rc == TG_E_NOT_FOUND_INTERNAL) {
        tg_conf_error(l, at, key, "there is no file '%.*s'", TG_STR_ARG(d->api_key_file));
        return 0;
    }
    if (rc)
        return tg_conf_go_on(rc);
    rc = tg_conf_note_file(l, d->api_key_file);
    bool good = tg_key_fits_header(tg_str_trim(text));
    if (!good)
        tg_conf_error(l, at, key, "'%.*s' holds no credential: expected one line",
                      TG_STR_ARG(d->api_key_file));
    if (rc == 0 && good)
        rc = tg_conf_go_on(tg_conf_set(l, row_of("api_key"), d, tg_str_trim(text), at, key));
    tg_secret_wipe((char *)(uintptr_t)text.p, text.n);
    credential(d)->source = TG_CREDENTIAL_FILE;
    credential(d)->file = d->api_key_file;
    return rc;
}

static int key_from_env(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    struct tg_str value, key = tg_conf_model_key(l, d, "api_key_env");
    const struct tg_conf_origin *at = tg_conf_model_where(d, "api_key_env");
    if (!tg_conf_env_get(&l->env, d->api_key_env, &value, NULL)) {
        tg_conf_warn(l, at, key,
                     "environment variable %.*s is not set: the model is unavailable until it is",
                     TG_STR_ARG(d->api_key_env));
        tg_conf_variable_not_set(l, d, d->api_key_env);
        return 0;
    }
    credential(d)->source = TG_CREDENTIAL_FIXED;
    return tg_conf_go_on(tg_conf_set(l, row_of("api_key"), d, value, at, key));
}

/* ---- what a model says itself ---- */

/* Which of the ways the model gives; several are an error. */
static int count_ways(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    static const char *const ways[] = {"api_key",           "api_key_env",
                                       "api_key_file",      "api_key_command",
                                       "aws_access_key_id", "service_account_file"};
    int n = 0;
    const char *last = ways[0];
    for (size_t i = 0; i < TG_ARRAY_LEN(ways); i++)
        if (tg_conf_model_has(d, ways[i])) {
            n++;
            last = ways[i];
        }
    if (n > 1)
        tg_conf_error(l, tg_conf_model_where(d, last), tg_conf_model_key(l, d, last),
                      "is one way of giving the credential too many: give one of api_key, "
                      "api_key_env, api_key_file, api_key_command, aws_access_key_id and "
                      "service_account_file");
    return n;
}

static void check_refresh(struct tg_conf_load *l, const struct tg_conf_model_def *d)
{
    if (tg_conf_model_has(d, "api_key_refresh") && !tg_conf_model_has(d, "api_key_file") &&
        !tg_conf_model_has(d, "api_key_command"))
        tg_conf_error(l, tg_conf_model_where(d, "api_key_refresh"),
                      tg_conf_model_key(l, d, "api_key_refresh"),
                      "has no effect without api_key_file or api_key_command");
}

static void check_aws(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    const struct tg_aws_keys *k = &credential(d)->aws;
    bool id = tg_conf_model_has(d, "aws_access_key_id");
    static const char *const others[] = {"aws_secret_access_key", "aws_session_token"};
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++)
        if (!id && tg_conf_model_has(d, others[i]))
            tg_conf_error(l, tg_conf_model_where(d, others[i]), tg_conf_model_key(l, d, others[i]),
                          "has no effect without aws_access_key_id");
    if (k->access_key_id && !k->secret_access_key && !d->missing.n)
        tg_conf_error(l, tg_conf_model_where(d, "aws_access_key_id"),
                      tg_conf_model_key(l, d, "aws_access_key_id"),
                      "needs aws_secret_access_key too");
    if (k->access_key_id && k->secret_access_key)
        credential(d)->source = TG_CREDENTIAL_AWS_KEYS;
}

static int own_credential(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    struct tg_credential_config *c = credential(d);
    check_aws(l, d);
    if (d->api_key)
        c->source = TG_CREDENTIAL_FIXED;
    if (c->command.n)
        c->source = TG_CREDENTIAL_COMMAND;
    if (d->api_key_file.n)
        return key_from_file(l, d);
    if (d->api_key_env.n)
        return key_from_env(l, d);
    if (d->service_account_file.n)
        return tg_conf_google_read(l, d, d->service_account_file,
                                   tg_conf_model_where(d, "service_account_file"),
                                   tg_conf_model_key(l, d, "service_account_file"));
    return 0;
}

/* ---- what the environment says ---- */

static void not_set(struct tg_conf_load *l, struct tg_conf_model_def *d, const char *name,
                    const char *setting)
{
    tg_conf_warn(l, &d->where, tg_conf_model_key(l, d, ""),
                 "environment variable %s is not set: the model is unavailable until it is, or %s "
                 "is given",
                 name, setting);
    tg_conf_variable_not_set(l, d, tg_str_c(name));
}

/* AWS's own variables: the three belong together. */
static int aws_from_env(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    static const struct {
        const char *name, *row;
    } vars[] = {{"AWS_ACCESS_KEY_ID", "aws_access_key_id"},
                {"AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"},
                {"AWS_SESSION_TOKEN", "aws_session_token"}};
    for (size_t i = 0; i < TG_ARRAY_LEN(vars); i++) {
        struct tg_str value;
        struct tg_conf_origin where;
        if (!tg_conf_env_get(&l->env, tg_str_c(vars[i].name), &value, &where)) {
            if (i < 2) {
                not_set(l, d, vars[i].name, vars[i].row);
                return 0;
            }
            continue;
        }
        int rc = tg_conf_go_on(
            tg_conf_set(l, row_of(vars[i].row), d, value, &where, tg_str_c(vars[i].name)));
        if (rc)
            return rc;
    }
    if (credential(d)->aws.access_key_id && credential(d)->aws.secret_access_key)
        credential(d)->source = TG_CREDENTIAL_AWS_KEYS;
    return 0;
}

static int google_from_env(struct tg_conf_load *l, struct tg_conf_model_def *d, struct tg_str value,
                           const struct tg_conf_origin *where, const char *name)
{
    struct tg_str path = tg_conf_path_join(l->arena, tg_str_c(l->src->cwd), value);
    return path.p ? tg_conf_google_read(l, d, path, where, tg_str_c(name)) : TG_E_NOMEM;
}

static int from_env(struct tg_conf_load *l, struct tg_conf_model_def *d,
                    const struct tg_conf_kind *k)
{
    struct tg_str value;
    struct tg_conf_origin where;
    for (size_t i = 0; i < TG_ARRAY_LEN(k->key_env) && k->key_env[i]; i++) {
        const char *name = k->key_env[i];
        if (!tg_conf_env_get(&l->env, tg_str_c(name), &value, &where))
            continue;
        if (k->kind == TG_BACKEND_VERTEX)
            return google_from_env(l, d, value, &where, name);
        if (k->kind == TG_BACKEND_BEDROCK && i > 0)
            return aws_from_env(l, d);
        credential(d)->source = TG_CREDENTIAL_FIXED;
        return tg_conf_go_on(tg_conf_set(l, row_of("api_key"), d, value, &where, tg_str_c(name)));
    }
    bool optional = k->key_optional || (k->own_url_no_key && tg_conf_model_has(d, "base_url"));
    if (k->key_env[0] && !optional)
        not_set(l, d, k->kind == TG_BACKEND_BEDROCK ? k->key_env[1] : k->key_env[0],
                k->kind == TG_BACKEND_VERTEX    ? "service_account_file"
                : k->kind == TG_BACKEND_BEDROCK ? "aws_access_key_id"
                                                : "api_key");
    return 0;
}

static int openai_credential(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    d->api_key = l->raw->openai_api_key;
    if (d->api_key)
        credential(d)->source = TG_CREDENTIAL_FIXED;
    else
        not_set(l, d, "OPENAI_API_KEY", "api_key");
    return 0;
}

/* vertex: the project that stands in every path. */
static void find_project(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    struct tg_provider_config *p = &d->target.provider;
    struct tg_str value;
    if (d->backend != TG_BACKEND_VERTEX || p->project.n)
        return;
    if (tg_conf_env_get(&l->env, TG_STR("GOOGLE_CLOUD_PROJECT"), &value, NULL))
        p->project = tg_arena_dup(l->arena, value);
    else if (p->credential.google.project.n)
        p->project = p->credential.google.project;
    else if (d->target.unavailable.n == 0)
        not_set(l, d, "GOOGLE_CLOUD_PROJECT", "project");
}

int tg_conf_credential_finish(struct tg_conf_load *l, struct tg_conf_model_def *d)
{
    int ways = count_ways(l, d), rc = 0;
    check_refresh(l, d);
    if (ways > 1)
        return 0;
    rc = own_credential(l, d);
    if (rc == 0 && ways == 0)
        rc = d->backend == TG_BACKEND_OPENAI ? openai_credential(l, d)
                                             : from_env(l, d, tg_conf_kind_find(d->backend));
    if (rc == 0)
        find_project(l, d);
    d->target.api_key = d->api_key;
    return rc;
}
