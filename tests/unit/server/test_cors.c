#include "check.h"
#include "server/cors.h"

static const struct tg_str some[] = {TG_STR_INIT("https://a.example"),
                                     TG_STR_INIT("http://localhost:3000")};
static const struct tg_str any[] = {TG_STR_INIT("*")};

static struct tg_http_head head(struct tg_http_header *h, size_t n, enum tg_http_method m)
{
    return (struct tg_http_head){.method = m, .headers = h, .n_headers = n};
}

static void is_off_until_configured(void **state TG_UNUSED)
{
    struct tg_server_settings s = {.port = 1};
    struct tg_http_header h[] = {{TG_STR("Origin"), TG_STR("https://a.example")}};
    struct tg_http_head r = head(h, 1, TG_HTTP_POST);
    assert_str(tg_cors_origin(&s, &r), "");
}

static void names_only_listed_origins(void **state TG_UNUSED)
{
    struct tg_server_settings s = {.cors_origins = {some, 2}};
    struct tg_http_header good[] = {{TG_STR("origin"), TG_STR("http://localhost:3000")}};
    struct tg_http_header bad[] = {{TG_STR("origin"), TG_STR("https://a.example.evil")}};
    struct tg_http_head r = head(good, 1, TG_HTTP_POST);
    assert_str(tg_cors_origin(&s, &r), "http://localhost:3000");
    r = head(bad, 1, TG_HTTP_POST);
    assert_str(tg_cors_origin(&s, &r), "");
    r = head(NULL, 0, TG_HTTP_POST);
    assert_str(tg_cors_origin(&s, &r), "");
    s.cors_origins = (struct tg_str_list){any, 1};
    r = head(bad, 1, TG_HTTP_POST);
    assert_str(tg_cors_origin(&s, &r), "*");
}

static void answers_a_preflight(void **state TG_UNUSED)
{
    struct tg_http_header h[] = {
        {TG_STR("Origin"), TG_STR("https://a.example")},
        {TG_STR("Access-Control-Request-Method"), TG_STR("POST")},
        {TG_STR("Access-Control-Request-Headers"), TG_STR("authorization, content-type")}};
    struct tg_http_head r = head(h, 3, TG_HTTP_OPTIONS);
    struct tg_http_header out[5];
    assert_true(tg_cors_is_preflight(&r));
    assert_int_equal(tg_cors_preflight(TG_STR("https://a.example"), &r, out), 5);
    assert_str(out[2].value, "authorization, content-type");
    r = head(h, 1, TG_HTTP_OPTIONS);
    assert_false(tg_cors_is_preflight(&r));
    r = head(h, 3, TG_HTTP_POST);
    assert_false(tg_cors_is_preflight(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_off_until_configured),
        cmocka_unit_test(names_only_listed_origins),
        cmocka_unit_test(answers_a_preflight),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
