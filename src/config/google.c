/* Google's JSON key file (https://google.aip.dev/auth/4112, "application default credentials"): a
 * service account's private key, or a user's refresh token as `gcloud auth application-default
 * login` writes it. */
#include "base/secret.h"
#include "config/load_priv.h"
#include "json/json.h"

enum { MAX_FILE_BYTES = 64 * 1024, MAX_ARENA_BYTES = 8 * MAX_FILE_BYTES };

struct reader {
    struct tg_conf_load *l;
    struct tg_conf_model_def *d;
    const struct tg_json *root;
    const struct tg_conf_origin *where;
    struct tg_str key;
    bool failed;
};

/* A member that has to be there, a text without control bytes but line ends. */
static struct tg_str member(struct reader *r, const char *name)
{
    struct tg_str s = tg_json_get_str(r->root, tg_str_c(name));
    bool ok = s.n > 0;
    for (size_t i = 0; i < s.n && ok; i++)
        ok = (unsigned char)s.p[i] >= 0x20 || s.p[i] == '\n' || s.p[i] == '\r';
    if (!ok && !r->failed) {
        tg_conf_error(r->l, r->where, r->key, "its member \"%s\" is missing or no text", name);
        r->failed = true;
    }
    return ok ? s : (struct tg_str){NULL, 0};
}

static struct tg_str text_member(struct reader *r, const char *name)
{
    struct tg_str s = member(r, name);
    return s.n ? tg_arena_dup(r->l->arena, s) : s;
}

static const struct tg_secret *secret_member(struct reader *r, const char *name)
{
    struct tg_str s = member(r, name);
    const struct tg_secret *secret = s.n ? tg_conf_secret(r->l, s) : NULL;
    if (s.n && !secret)
        r->l->arena->overflow = true;
    tg_secret_wipe((char *)(uintptr_t)s.p, s.n); /* the parser's copy */
    return secret;
}

/* Where tokens are had: nothing secret goes there in the clear. */
static void token_url(struct reader *r, struct tg_google_config *g)
{
    struct tg_str text = tg_json_get_str(r->root, TG_STR("token_uri"));
    if (text.n == 0)
        text = TG_STR("https://oauth2.googleapis.com/token");
    const char *why = tg_conf_url_parse(r->l->arena, text, &g->token_url, NULL);
    if (!why && !g->token_url.https && !tg_conf_host_is_loopback(g->token_url.host))
        why = "it is not https://";
    if (!why)
        return;
    tg_conf_error(r->l, r->where, r->key, "its token_uri is no address of a token server: %s", why);
    r->failed = true;
}

static void take(struct reader *r)
{
    struct tg_credential_config *c = &r->d->target.provider.credential;
    struct tg_google_config *g = &c->google;
    struct tg_str type = tg_json_get_str(r->root, TG_STR("type"));
    if (tg_str_eq(type, TG_STR("service_account"))) {
        c->source = TG_CREDENTIAL_GOOGLE_KEY;
        g->client_email = text_member(r, "client_email");
        g->private_key = secret_member(r, "private_key");
        g->key_id = tg_arena_dup(r->l->arena, tg_json_get_str(r->root, TG_STR("private_key_id")));
    } else if (tg_str_eq(type, TG_STR("authorized_user"))) {
        c->source = TG_CREDENTIAL_GOOGLE_REFRESH;
        g->client_id = text_member(r, "client_id");
        g->client_secret = secret_member(r, "client_secret");
        g->refresh_token = secret_member(r, "refresh_token");
    } else {
        tg_conf_error(r->l, r->where, r->key,
                      "its \"type\" is not one that is supported: expected service_account or "
                      "authorized_user");
        return;
    }
    token_url(r, g);
    struct tg_str project = tg_json_get_str(r->root, TG_STR("project_id"));
    if (project.n == 0)
        project = tg_json_get_str(r->root, TG_STR("quota_project_id"));
    g->project = tg_arena_dup(r->l->arena, project);
    if (r->failed)
        c->source = TG_CREDENTIAL_NONE;
}

static int parse(struct tg_conf_load *l, struct tg_conf_model_def *d, struct tg_str text,
                 const struct tg_conf_origin *where, struct tg_str key)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    tg_arena_init(&a, MAX_ARENA_BYTES, MAX_ARENA_BYTES);
    int rc = tg_json_parse(&a, text, NULL, &doc, NULL);
    struct reader r = {.l = l, .d = d, .where = where, .key = key};
    if (rc == 0)
        r.root = tg_json_root(doc);
    if (tg_json_is_obj(r.root))
        take(&r);
    else if (rc != TG_E_NOMEM)
        tg_conf_error(l, where, key, "this file is no JSON object as Google makes them");
    tg_arena_fini(&a);
    return rc == TG_E_NOMEM ? rc : 0;
}

int tg_conf_google_read(struct tg_conf_load *l, struct tg_conf_model_def *d, struct tg_str path,
                        const struct tg_conf_origin *where, struct tg_str key)
{
    struct tg_str text;
    int rc = tg_conf_file_read(l, path, MAX_FILE_BYTES, where, key, &text);
    if (rc == TG_E_NOT_FOUND_INTERNAL) {
        tg_conf_error(l, where, key, "there is no file '%.*s'", TG_STR_ARG(path));
        return 0;
    }
    if (rc)
        return tg_conf_go_on(rc);
    rc = tg_conf_note_file(l, path);
    if (rc == 0)
        rc = parse(l, d, text, where, key);
    tg_secret_wipe((char *)(uintptr_t)text.p, text.n);
    return rc;
}
