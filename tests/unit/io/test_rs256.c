/* RS256: a signature that the public key confirms, and keys that are refused. */
#include "check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/err.h"
#include "io/rs256.h"

static EVP_PKEY *make_key(int id, int bits)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_id(id, NULL);
    assert_non_null(c);
    assert_int_equal(EVP_PKEY_keygen_init(c), 1);
    if (id == EVP_PKEY_RSA)
        assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(c, bits), 1);
    assert_int_equal(EVP_PKEY_keygen(c, &key), 1);
    EVP_PKEY_CTX_free(c);
    return key;
}

/* The key's PEM text, with a password when one is given. */
static struct tg_str pem_of(EVP_PKEY *key, const char *password, struct tg_buf *out)
{
    char *p;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, password ? EVP_aes_128_cbc() : NULL,
                                                   password, password ? (int)strlen(password) : 0,
                                                   NULL, NULL),
                     1);
    long n = BIO_get_mem_data(bio, &p);
    tg_buf_clear(out);
    tg_buf_add(out, p, (size_t)n);
    BIO_free(bio);
    return tg_buf_str(out);
}

static bool confirms(EVP_PKEY *key, struct tg_str data, struct tg_str signature)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, key), 1);
    int ok = EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n,
                              (const unsigned char *)data.p, data.n);
    EVP_MD_CTX_free(c);
    return ok == 1;
}

static void signs(void **state TG_UNUSED)
{
    EVP_PKEY *key = make_key(EVP_PKEY_RSA, 2048);
    struct tg_buf pem, out;
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_buf_init(&pem, 8192);
    tg_buf_init(&out, 8192);
    tg_buf_lit(&out, "head.");
    assert_int_equal(tg_rs256_sign(pem_of(key, NULL, &pem), TG_STR("a.b"), &out, &f), 0);
    struct tg_str signature = tg_str_from(tg_buf_str(&out), 5);
    assert_int_equal(signature.n, 256);
    assert_true(confirms(key, TG_STR("a.b"), signature));
    assert_false(confirms(key, TG_STR("a.c"), signature));
    /* Every cut of the key's text is refused. */
    struct tg_str whole = tg_buf_str(&pem);
    size_t end = (size_t)tg_str_find(whole, TG_STR("-----END")) + 24;
    for (size_t n = 0; n < end; n += 7) {
        tg_fail_clear(&f);
        tg_buf_clear(&out);
        assert_int_equal(tg_rs256_sign(tg_str_first(whole, n), TG_STR("x"), &out, &f), TG_E_CONFIG);
        assert_int_equal(out.n, 0);
    }
    tg_buf_fini(&out);
    tg_buf_init(&out, 100);
    assert_int_equal(tg_rs256_sign(whole, TG_STR("x"), &out, NULL), TG_E_FULL);
    tg_buf_fini(&out);
    tg_buf_fini(&pem);
    EVP_PKEY_free(key);
}

static void keys_that_are_refused(void **state TG_UNUSED)
{
    struct tg_buf pem, out;
    struct tg_fail f;
    tg_buf_init(&pem, 8192);
    tg_buf_init(&out, 8192);
    EVP_PKEY *small = make_key(EVP_PKEY_RSA, 1024), *other = make_key(EVP_PKEY_ED25519, 0),
             *good = make_key(EVP_PKEY_RSA, 2048);
    struct {
        EVP_PKEY *key;
        const char *password;
    } cases[] = {{small, NULL}, {other, NULL}, {good, "canary"}};
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_fail_clear(&f);
        assert_int_equal(
            tg_rs256_sign(pem_of(cases[i].key, cases[i].password, &pem), TG_STR("x"), &out, &f),
            TG_E_CONFIG);
        assert_string_equal(f.message, "the private key is no RSA key of at least 2048 bits");
    }
    assert_int_equal(tg_rs256_sign((struct tg_str){NULL, 0}, TG_STR("x"), &out, NULL), TG_E_CONFIG);
    assert_int_equal(tg_rs256_sign(TG_STR("nonsense"), TG_STR("x"), &out, NULL), TG_E_CONFIG);
    EVP_PKEY_free(small);
    EVP_PKEY_free(other);
    EVP_PKEY_free(good);
    tg_buf_fini(&out);
    tg_buf_fini(&pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs),
        cmocka_unit_test(keys_that_are_refused),
    };
    return cmocka_run_group_tests_name("io/rs256", tests, NULL, NULL);
}
