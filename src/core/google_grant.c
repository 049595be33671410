/* Requests for Google's access tokens: the JWT of a service account (RFC 7523, and
 * developers.google.com/identity/protocols/oauth2/service-account), or a user's refresh token
 * (RFC 6749 6). */
#include "base/base64.h"
#include "base/err.h"
#include "core/credential_priv.h"
#include "io/rs256.h"
#include "wire/url.h"

enum { MAX_JWT_BYTES = 16 * 1024, LIFETIME_S = 3600 };

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"

static void member(struct tg_buf *b, const char *name, struct tg_str value)
{
    tg_buf_printf(b, "\"%s\":", name);
    tg_buf_json_str(b, value);
}

static void put_header(const struct tg_google_config *g, struct tg_buf *out)
{
    struct tg_buf b;
    tg_buf_init(&b, MAX_JWT_BYTES);
    tg_buf_lit(&b, "{\"alg\":\"RS256\",\"typ\":\"JWT\"");
    if (g->key_id.n) {
        tg_buf_char(&b, ',');
        member(&b, "kid", g->key_id);
    }
    tg_buf_char(&b, '}');
    tg_base64url_encode(tg_buf_str(&b), out);
    out->failed |= b.failed;
    tg_buf_fini(&b);
}

static void put_claims(const struct tg_google_config *g, int64_t now_s, struct tg_buf *out)
{
    struct tg_buf b;
    tg_buf_init(&b, MAX_JWT_BYTES);
    tg_buf_char(&b, '{');
    member(&b, "iss", g->client_email);
    tg_buf_char(&b, ',');
    member(&b, "scope", TG_STR(SCOPE));
    tg_buf_char(&b, ',');
    member(&b, "aud", g->token_url.text);
    tg_buf_lit(&b, ",\"iat\":");
    tg_buf_i64(&b, now_s);
    tg_buf_lit(&b, ",\"exp\":");
    tg_buf_i64(&b, now_s + LIFETIME_S);
    tg_buf_char(&b, '}');
    tg_base64url_encode(tg_buf_str(&b), out);
    out->failed |= b.failed;
    tg_buf_fini(&b);
}

static int put_jwt(const struct tg_google_config *g, int64_t now_s, struct tg_buf *jwt,
                   struct tg_fail *f)
{
    struct tg_buf signature;
    put_header(g, jwt);
    tg_buf_char(jwt, '.');
    put_claims(g, now_s, jwt);
    if (!tg_buf_ok(jwt))
        return TG_E_FULL;
    tg_buf_init(&signature, MAX_JWT_BYTES);
    int rc = tg_rs256_sign(tg_secret_reveal(g->private_key), tg_buf_str(jwt), &signature, f);
    if (rc == 0) {
        tg_buf_char(jwt, '.');
        tg_base64url_encode(tg_buf_str(&signature), jwt);
        rc = tg_buf_ok(jwt) ? 0 : TG_E_FULL;
    }
    tg_buf_fini(&signature);
    return rc;
}

static int service_account(const struct tg_google_config *g, int64_t now_s, struct tg_buf *out,
                           struct tg_fail *f)
{
    struct tg_buf jwt;
    tg_buf_init(&jwt, MAX_JWT_BYTES);
    int rc = put_jwt(g, now_s, &jwt, f);
    if (rc == 0) {
        tg_buf_lit(out, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
                        "&assertion=");
        tg_buf_str_add(out, tg_buf_str(&jwt)); /* base64url and dots need no escape */
    }
    if (jwt.p)
        tg_secret_wipe(jwt.p, jwt.cap);
    tg_buf_fini(&jwt);
    return rc;
}

static void field(struct tg_buf *out, const char *name, struct tg_str value)
{
    tg_buf_printf(out, "&%s=", name);
    tg_url_encode(out, value);
}

int tg_google_grant(const struct tg_google_config *g, bool with_key, int64_t wall_us,
                    struct tg_buf *out, struct tg_fail *f)
{
    if (with_key) {
        int rc = service_account(g, wall_us / 1000000, out, f);
        if (rc)
            return rc;
    } else {
        tg_buf_lit(out, "grant_type=refresh_token");
        field(out, "client_id", g->client_id);
        field(out, "client_secret", tg_secret_reveal(g->client_secret));
        field(out, "refresh_token", tg_secret_reveal(g->refresh_token));
    }
    return tg_buf_ok(out) ? 0 : TG_E_FULL;
}
