#include "check.h"

#include "chat/media.h"

static void data_urls(void **state)
{
    struct tg_media m = tg_media_of_url(TG_STR("data:image/png;base64,QUJD"));
    assert_int_equal(m.source, TG_MEDIA_INLINE);
    assert_str(m.mime, "image/png");
    assert_str(m.data, "QUJD");
    m = tg_media_of_url(TG_STR("DATA:text/plain;charset=utf-8;base64,QQ=="));
    assert_int_equal(m.source, TG_MEDIA_INLINE);
    assert_str(m.mime, "text/plain");
    assert_str(m.data, "QQ==");
    m = tg_media_of_url(TG_STR("data:;base64,"));
    assert_int_equal(m.source, TG_MEDIA_INLINE);
    assert_str(m.mime, "");
    assert_str(m.data, "");
}

static void other_urls(void **state)
{
    static const char *const urls[] = {
        "", "https://x/y.png", "data:", "data:,plain", "data:image/png,QUJD", "data:;base64"};
    for (size_t i = 0; i < TG_ARRAY_LEN(urls); i++) {
        struct tg_media m = tg_media_of_url(tg_str_c(urls[i]));
        assert_int_equal(m.source, TG_MEDIA_URL);
        assert_str_equal(m.data, tg_str_c(urls[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(data_urls), cmocka_unit_test(other_urls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
