#include "base/digest.h"

#include <limits.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/err.h"

/* A hash in progress is libcrypto's own object under another name. */
static EVP_MD_CTX *ctx_of(struct tg_sha256 *h)
{
    return (EVP_MD_CTX *)(void *)h;
}

struct tg_sha256 *tg_sha256_new(void)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    if (c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(c);
        c = NULL;
    }
    return (struct tg_sha256 *)(void *)c;
}

int tg_sha256_add(struct tg_sha256 *h, struct tg_str s)
{
    return s.n == 0 || EVP_DigestUpdate(ctx_of(h), s.p, s.n) == 1 ? 0 : TG_E_NOMEM;
}

int tg_sha256_end(struct tg_sha256 *h, unsigned char out[TG_SHA256_BYTES])
{
    unsigned char digest[TG_SHA256_BYTES];
    int ok = EVP_DigestFinal_ex(ctx_of(h), digest, NULL);
    tg_sha256_free(h);
    if (ok != 1)
        return TG_E_NOMEM;
    memcpy(out, digest, sizeof(digest));
    return 0;
}

void tg_sha256_free(struct tg_sha256 *h)
{
    EVP_MD_CTX_free(ctx_of(h));
}

int tg_sha256(struct tg_str s, unsigned char out[TG_SHA256_BYTES])
{
    return EVP_Digest(s.n ? s.p : "", s.n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : TG_E_NOMEM;
}

int tg_hmac_sha256(struct tg_str key, struct tg_str s, unsigned char out[TG_SHA256_BYTES])
{
    if (key.n > INT_MAX)
        return TG_E_INVALID_ARG;
    const unsigned char *data = (const unsigned char *)(s.n ? s.p : "");
    return HMAC(EVP_sha256(), key.n ? key.p : "", (int)key.n, data, s.n, out, NULL) ? 0
                                                                                    : TG_E_NOMEM;
}

void tg_hex(const unsigned char *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}
