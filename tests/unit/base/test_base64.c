#include "base/base64.h"

#include "base/err.h"
#include "check.h"

static struct tg_buf b;

static int setup(void **state)
{
    tg_buf_init(&b, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    tg_buf_fini(&b);
    return 0;
}

/* RFC 4648, section 10. */
static const struct {
    const char *plain, *coded, *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+", "-__-"},
};

static void known_texts(void **state)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        tg_buf_clear(&b);
        tg_base64_encode(tg_str_c(vectors[i].plain), &b);
        assert_str_equal(tg_buf_str(&b), tg_str_c(vectors[i].coded));
        tg_buf_clear(&b);
        tg_base64url_encode(tg_str_c(vectors[i].plain), &b);
        assert_str_equal(tg_buf_str(&b), tg_str_c(vectors[i].url));
        tg_buf_clear(&b);
        assert_int_equal(tg_base64_decode(tg_str_c(vectors[i].coded), &b), 0);
        assert_str_equal(tg_buf_str(&b), tg_str_c(vectors[i].plain));
        tg_buf_clear(&b);
        assert_int_equal(tg_base64_decode(tg_str_c(vectors[i].url), &b), 0);
        assert_str_equal(tg_buf_str(&b), tg_str_c(vectors[i].plain));
    }
}

static void every_byte_comes_back(void **state)
{
    char all[256];
    for (size_t n = 0; n <= sizeof all; n++) {
        for (size_t i = 0; i < n; i++)
            all[i] = (char)(i * 7 + n);
        struct tg_buf coded;
        tg_buf_init(&coded, 1 << 12);
        tg_base64url_encode(tg_str_make(all, n), &coded);
        tg_buf_clear(&b);
        assert_int_equal(tg_base64_decode(tg_buf_str(&coded), &b), 0);
        assert_int_equal(b.n, n);
        assert_memory_equal(tg_buf_str(&b).p ? b.p : "", all, n);
        tg_buf_fini(&coded);
    }
}

static void garbage_leaves_nothing(void **state)
{
    static const char *const bad[] = {"A",     "AAAAA",  "AA=A",  "A===", "=",
                                      "AA AA", "AA\nAA", "Zm9v!", "Zg="};
    assert_int_equal(tg_buf_lit(&b, "before"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(tg_base64_decode(tg_str_c(bad[i]), &b), TG_E_INVALID_ARG);
        assert_str(tg_buf_str(&b), "before");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(known_texts, setup, teardown),
        cmocka_unit_test_setup_teardown(every_byte_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_leaves_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
