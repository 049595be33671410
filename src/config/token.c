#include "config/token.h"

#include "base/clock.h"
#include "base/err.h"
#include "json/json.h"

enum { ARENA_BYTES = 8 * TG_TOKEN_MAX_JSON_BYTES, MAX_LIFETIME_S = 10 * 365 * 86400 };

/* A credential becomes part of a header line: visible ASCII, nothing else. */
static bool fit_for_header(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
            return false;
    return s.n > 0;
}

/* The string member as a secret, the parser's copy wiped. 0: *out may be NULL (not there). */
static int take_secret(const struct tg_json *obj, struct tg_str name, struct tg_secret **out)
{
    struct tg_str s = tg_json_get_str(obj, name);
    if (s.n == 0)
        return 0;
    struct tg_secret *secret = fit_for_header(s) ? tg_secret_new(s) : NULL;
    int rc = secret ? 0 : fit_for_header(s) ? TG_E_NOMEM : TG_E_CONFIG;
    tg_secret_wipe((char *)(uintptr_t)s.p, s.n);
    if (rc == 0)
        *out = secret;
    return rc;
}

/* The object, its memory in `a`. */
static int parse(struct tg_arena *a, struct tg_str json, const struct tg_json **out)
{
    struct tg_json_doc *doc;
    if (json.n > TG_TOKEN_MAX_JSON_BYTES)
        return TG_E_CONFIG;
    tg_arena_init(a, 4096, ARENA_BYTES);
    int rc = tg_json_parse(a, json, NULL, &doc, NULL);
    if (rc == 0 && tg_json_is_obj(tg_json_root(doc))) {
        *out = tg_json_root(doc);
        return 0;
    }
    tg_arena_fini(a);
    return rc == TG_E_NOMEM ? rc : TG_E_CONFIG;
}

static void aws_drop(struct tg_aws_token *t)
{
    tg_secret_free(t->access_key_id);
    tg_secret_free(t->secret_access_key);
    tg_secret_free(t->session_token);
}

static int aws_take(const struct tg_json *root, struct tg_aws_token *t)
{
    struct tg_str until;
    int64_t version = 1;
    const struct tg_json *v = tg_json_get(root, TG_STR("Version"));
    if (v && (tg_json_i64(v, &version) != 0 || version != 1))
        return TG_E_CONFIG;
    if (tg_json_is_obj(tg_json_get(root, TG_STR("Credentials"))))
        root = tg_json_get(root, TG_STR("Credentials"));
    int rc = take_secret(root, TG_STR("AccessKeyId"), &t->access_key_id);
    if (rc == 0)
        rc = take_secret(root, TG_STR("SecretAccessKey"), &t->secret_access_key);
    if (rc == 0)
        rc = take_secret(root, TG_STR("SessionToken"), &t->session_token);
    if (rc == 0 && (!t->access_key_id || !t->secret_access_key))
        rc = TG_E_CONFIG;
    until = tg_json_get_str(root, TG_STR("Expiration"));
    if (rc == 0 && until.n && tg_clock_parse_iso(until.p, until.n, &t->expires_wall_us) != 0)
        rc = TG_E_CONFIG;
    return rc;
}

int tg_aws_token_parse(struct tg_str json, struct tg_aws_token *out, struct tg_fail *f)
{
    struct tg_aws_token t = {0};
    struct tg_arena a;
    const struct tg_json *root;
    int rc = parse(&a, json, &root);
    if (rc == 0) {
        rc = aws_take(root, &t);
        tg_arena_fini(&a);
    }
    if (rc == TG_E_NOMEM)
        (void)tg_fail_set(f, rc, "out of memory");
    else if (rc)
        (void)tg_fail_set(f, rc,
                          "its answer is not AWS's JSON with AccessKeyId, SecretAccessKey "
                          "and a valid Expiration");
    if (rc)
        aws_drop(&t);
    else
        *out = t;
    return rc;
}

/* A word of RFC 6749 5.2 ("invalid_grant"): safe to show, and nothing else of the answer is. */
static bool is_error_word(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '_'))
            return false;
    return s.n > 0 && s.n <= 40;
}

static int oauth_take(const struct tg_json *root, struct tg_oauth_token *t, struct tg_fail *f)
{
    const struct tg_json *lifetime = tg_json_get(root, TG_STR("expires_in"));
    struct tg_str error = tg_json_get_str(root, TG_STR("error"));
    int rc = take_secret(root, TG_STR("access_token"), &t->access_token);
    if (rc == 0 && !t->access_token)
        rc = TG_E_CONFIG;
    if (rc == TG_E_CONFIG && is_error_word(error))
        return tg_fail_set(f, rc, "the token server answered %.*s", TG_STR_ARG(error));
    if (rc == 0 && tg_json_i64(lifetime, &t->lifetime_s) == 0 &&
        (t->lifetime_s < 0 || t->lifetime_s > MAX_LIFETIME_S))
        t->lifetime_s = 0;
    return rc;
}

int tg_oauth_token_parse(struct tg_str json, struct tg_oauth_token *out, struct tg_fail *f)
{
    struct tg_oauth_token t = {0};
    struct tg_arena a;
    const struct tg_json *root;
    int rc = parse(&a, json, &root);
    if (rc == 0) {
        rc = oauth_take(root, &t, f);
        tg_arena_fini(&a);
    }
    if (rc) {
        tg_secret_free(t.access_token);
        return tg_fail_set(f, rc, "%s",
                           rc == TG_E_NOMEM ? "out of memory"
                                            : "the token server's answer has no token");
    }
    *out = t;
    return 0;
}

bool tg_key_fits_header(struct tg_str key)
{
    for (size_t i = 0; i < key.n; i++) {
        if ((unsigned char)key.p[i] < 0x20 || key.p[i] == 0x7f)
            return false;
    }
    return key.n > 0;
}
