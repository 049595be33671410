#include "check.h"
#include "wire/http.h"

static void test_methods(void **state)
{
    enum tg_http_method m;
    for (unsigned i = 0; i < TG_HTTP_METHOD_COUNT; i++) {
        struct tg_str name = tg_str_c(tg_http_method_name((enum tg_http_method)i));
        assert_true(tg_http_method_parse(name, &m));
        assert_int_equal(m, i);
    }
    static const struct tg_str bad[] = {TG_STR_INIT(""), TG_STR_INIT("get"), TG_STR_INIT("GE"),
                                        TG_STR_INIT("GETS"), TG_STR_INIT("GET\0")};
    m = TG_HTTP_PUT;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_false(tg_http_method_parse(bad[i], &m));
    assert_int_equal(m, TG_HTTP_PUT);
}

static void test_reason(void **state)
{
    assert_string_equal(tg_http_reason(200), "OK");
    assert_string_equal(tg_http_reason(404), "Not Found");
    assert_string_equal(tg_http_reason(505), "HTTP Version Not Supported");
    assert_string_equal(tg_http_reason(299), "Unknown");
    assert_string_equal(tg_http_reason(-1), "Unknown");
}

static void test_get(void **state)
{
    struct tg_http_header list[] = {
        {TG_STR("Content-Type"), TG_STR("a")},
        {TG_STR("content-type"), TG_STR("b")},
        {TG_STR("X"), TG_STR("")},
    };
    struct tg_http_head h = {.headers = list, .n_headers = 3};
    assert_true(tg_str_eq(tg_http_head_get(&h, TG_STR("CONTENT-type")), TG_STR("a")));
    assert_non_null(tg_http_head_get(&h, TG_STR("x")).p); /* there, but empty */
    assert_null(tg_http_head_get(&h, TG_STR("Content-Typ")).p);
    assert_null(tg_http_head_get(&h, TG_STR("")).p);
    h.n_headers = 0;
    assert_null(tg_http_head_get(&h, TG_STR("x")).p);
}

static void test_hop_by_hop(void **state)
{
    static const char *const yes[] = {"Connection",
                                      "KEEP-ALIVE",
                                      "te",
                                      "Trailer",
                                      "upgrade",
                                      "Transfer-Encoding",
                                      "Proxy-Authorization",
                                      "proxy-connection",
                                      "Proxy-Authenticate"};
    static const char *const no[] = {"",        "Host",        "Content-Length", "Authorization",
                                     "tea",     "Connection2", "proxy",          "X-Proxy-A",
                                     "Trailers"};
    for (size_t i = 0; i < TG_ARRAY_LEN(yes); i++) {
        assert_true(tg_http_is_hop_by_hop(tg_str_c(yes[i])));
        assert_false(tg_http_is_hop_by_hop(tg_str_c(no[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_reason),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_hop_by_hop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
