#include "io/rs256.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/err.h"

enum { MIN_BITS = 2048, MAX_SIGNATURE_BYTES = 2048 };

/* A key with a password is no use here: nobody is there to type it. */
static int no_password(char *buf, int size, int rwflag, void *ctx)
{
    (void)buf;
    (void)size;
    (void)rwflag;
    (void)ctx;
    return 0;
}

static EVP_PKEY *read_key(struct tg_str pem)
{
    BIO *bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
    BIO_free(bio);
    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= MIN_BITS)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static int sign(EVP_PKEY *key, struct tg_str data, struct tg_buf *out)
{
    unsigned char signature[MAX_SIGNATURE_BYTES];
    size_t n = sizeof(signature);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool ok = c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(c, signature, &n, (const unsigned char *)(data.n ? data.p : ""),
                             data.n) == 1;
    EVP_MD_CTX_free(c);
    return ok ? tg_buf_add(out, signature, n) : TG_E_NOMEM;
}

int tg_rs256_sign(struct tg_str pem, struct tg_str data, struct tg_buf *out, struct tg_fail *f)
{
    EVP_PKEY *key = read_key(pem);
    int rc = key ? sign(key, data, out) : TG_E_CONFIG;
    EVP_PKEY_free(key);
    ERR_clear_error(); /* this thread's queue is TLS's as well */
    if (rc == TG_E_CONFIG)
        return tg_fail_set(f, rc, "the private key is no RSA key of at least %d bits", MIN_BITS);
    return rc ? tg_fail_set(f, rc, "%s", tg_err_info(rc)->text) : 0;
}
