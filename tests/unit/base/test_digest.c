/* SHA-256 against FIPS 180-4's examples, HMAC against RFC 4231. */
#include "base/alloc.h"
#include "base/digest.h"
#include "check.h"

static const struct {
    const char *text, *hash;
} hashes[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void hash_in_one_piece_and_in_two(void **state TG_UNUSED)
{
    unsigned char out[TG_SHA256_BYTES];
    char hex[2 * TG_SHA256_BYTES + 1];
    for (size_t i = 0; i < TG_ARRAY_LEN(hashes); i++) {
        struct tg_str s = tg_str_c(hashes[i].text);
        assert_int_equal(tg_sha256(s, out), 0);
        tg_hex(out, sizeof(out), hex);
        assert_string_equal(hex, hashes[i].hash);
        for (size_t cut = 0; cut <= s.n; cut++) {
            struct tg_sha256 *h = tg_sha256_new();
            assert_non_null(h);
            assert_int_equal(tg_sha256_add(h, tg_str_first(s, cut)), 0);
            assert_int_equal(tg_sha256_add(h, tg_str_from(s, cut)), 0);
            assert_int_equal(tg_sha256_end(h, out), 0);
            tg_hex(out, sizeof(out), hex);
            assert_string_equal(hex, hashes[i].hash);
        }
    }
    struct tg_sha256 *dropped = tg_sha256_new();
    assert_non_null(dropped);
    tg_sha256_free(dropped);
    tg_sha256_free(NULL);
    assert_int_equal(tg_sha256((struct tg_str){NULL, 0}, out), 0);
}

static void a_million_bytes(void **state TG_UNUSED)
{
    unsigned char out[TG_SHA256_BYTES];
    char hex[2 * TG_SHA256_BYTES + 1];
    char *a = tg_malloc(1000000);
    memset(a, 'a', 1000000);
    assert_int_equal(tg_sha256(tg_str_make(a, 1000000), out), 0);
    tg_free(a);
    tg_hex(out, sizeof(out), hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void hmac(void **state TG_UNUSED)
{
    char key[131];
    unsigned char out[TG_SHA256_BYTES];
    char hex[2 * TG_SHA256_BYTES + 1];
    memset(key, 0x0b, 20); /* case 1 */
    assert_int_equal(tg_hmac_sha256(tg_str_make(key, 20), TG_STR("Hi There"), out), 0);
    tg_hex(out, sizeof(out), hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_int_equal(tg_hmac_sha256(TG_STR("Jefe"), TG_STR("what do ya want for nothing?"), out),
                     0); /* 2 */
    tg_hex(out, sizeof(out), hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key)); /* case 6: a key longer than a block */
    assert_int_equal(
        tg_hmac_sha256(tg_str_make(key, sizeof(key)),
                       TG_STR("Test Using Larger Than Block-Size Key - Hash Key First"), out),
        0);
    tg_hex(out, sizeof(out), hex);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    assert_int_equal(tg_hmac_sha256((struct tg_str){NULL, 0}, (struct tg_str){NULL, 0}, out), 0);
    tg_hex(out, sizeof(out), hex);
    assert_string_equal(hex, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_in_one_piece_and_in_two),
        cmocka_unit_test(a_million_bytes),
        cmocka_unit_test(hmac),
    };
    return cmocka_run_group_tests_name("base/digest", tests, NULL, NULL);
}
