#include "core/sign.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/secret.h"
#include "wire/h1.h"
#include "wire/sigv4.h"
#include "wire/url.h"

enum { MAX_AUTHORIZATION_BYTES = 4096 };

void tg_put_authority(struct tg_buf *b, const struct tg_config_url *u)
{
    if (u->host_is_ipv6)
        (void)tg_buf_char(b, '['); /* the buffer is tested by the caller, at the end */
    (void)tg_buf_str_add(b, u->host);
    if (u->host_is_ipv6)
        (void)tg_buf_char(b, ']');
    if (u->port != (u->https ? 443 : 80)) {
        (void)tg_buf_char(b, ':');
        (void)tg_buf_u64(b, u->port);
    }
}

static int body_hash(const struct iovec *body, size_t n, char hex[2 * TG_SHA256_BYTES + 1])
{
    unsigned char hash[TG_SHA256_BYTES];
    struct tg_sha256 *h = tg_sha256_new();
    int rc = h ? 0 : TG_E_NOMEM;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = tg_sha256_add(h, tg_str_make(body[i].iov_base, body[i].iov_len));
    if (rc) {
        tg_sha256_free(h);
        return rc;
    }
    rc = tg_sha256_end(h, hash);
    if (rc == 0)
        tg_hex(hash, sizeof(hash), hex);
    return rc;
}

static int put_signature(struct tg_buf *b, const struct tg_sigv4 *in)
{
    char date[TG_SIGV4_DATE_BYTES];
    struct tg_buf authorization;
    tg_buf_init(&authorization, MAX_AUTHORIZATION_BYTES);
    int rc = tg_sigv4_sign(in, date, &authorization);
    if (rc == 0)
        rc = tg_h1_write_header(b, TG_STR("X-Amz-Date"), tg_str_c(date));
    if (rc == 0 && in->session_token.n)
        rc = tg_h1_write_header(b, TG_STR("X-Amz-Security-Token"), in->session_token);
    if (rc == 0)
        rc = tg_h1_write_header(b, TG_STR("Authorization"), tg_buf_str(&authorization));
    tg_buf_fini(&authorization);
    return rc;
}

int tg_sign_aws(struct tg_buf *b, const struct tg_target *t, const struct tg_adapter_request *req,
                const struct tg_credential_value *v, const struct iovec *body, size_t n_body,
                struct tg_fail *f)
{
    char hash[2 * TG_SHA256_BYTES + 1];
    struct tg_buf host;
    if (v->aws_key_id.n == 0 || v->aws_secret.n == 0)
        return tg_fail_set(f, TG_E_UPSTREAM_AUTH, "%.*s has no AWS keys to sign with",
                           TG_STR_ARG(t->name));
    struct tg_sigv4 in = {
        .method = tg_str_c(tg_http_method_name(req->method)),
        .headers = req->headers,
        .n_headers = req->n_headers,
        .region = t->provider.region,
        .service = tg_str_c(req->aws_service),
        .access_key_id = v->aws_key_id,
        .secret_access_key = v->aws_secret,
        .session_token = v->aws_session_token,
        .wall_us = tg_clock_wall_us(),
    };
    tg_target_split(req->path, &in.path, &in.query);
    int rc = body_hash(body, n_body, hash);
    if (rc)
        return rc;
    in.body_sha256 = tg_str_c(hash);
    tg_buf_init(&host, 512);
    tg_put_authority(&host, &t->url);
    in.host = tg_buf_str(&host);
    rc = tg_buf_ok(&host) ? put_signature(b, &in) : TG_E_NOMEM;
    tg_buf_fini(&host);
    return rc;
}
