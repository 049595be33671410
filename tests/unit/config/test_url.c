/* URLs of providers, hosts and address blocks. */
#include "check.h"

#include "config/load_priv.h"

struct url_case {
    const char *in;
    const char *text; /* NULL: refused */
    const char *host;
    int port;
    const char *path;
};

static const struct url_case urls[] = {
    {"https://api.openai.com/v1", "https://api.openai.com/v1", "api.openai.com", 443, "/v1"},
    {"https://api.openai.com/v1///", "https://api.openai.com/v1", "api.openai.com", 443, "/v1"},
    {"HTTP://API.x/V1", "http://API.x/V1", "api.x", 80, "/V1"},
    {"http://h", "http://h", "h", 80, ""},
    {"http://h/", "http://h", "h", 80, ""},
    {"http://h:1", "http://h:1", "h", 1, ""},
    {"http://h:65535/a%20b", "http://h:65535/a%20b", "h", 65535, "/a%20b"},
    {"http://[::1]/", "http://[::1]", "::1", 80, ""},
    {"https://[FE80::a]:8443/x", "https://[FE80::a]:8443/x", "fe80::a", 8443, "/x"},
    {"http://a_b-c.d.:80", "http://a_b-c.d.:80", "a_b-c.d.", 80, ""},
    {"", NULL, NULL, 0, NULL},
    {"h/v1", NULL, NULL, 0, NULL},
    {"//h/v1", NULL, NULL, 0, NULL},
    {"ftp://h", NULL, NULL, 0, NULL},
    {"http:/h", NULL, NULL, 0, NULL},
    {"http://", NULL, NULL, 0, NULL},
    {"http:///x", NULL, NULL, 0, NULL},
    {"http://:80", NULL, NULL, 0, NULL},
    {"http://h:", NULL, NULL, 0, NULL},
    {"http://h:0", NULL, NULL, 0, NULL},
    {"http://h:65536", NULL, NULL, 0, NULL},
    {"http://h:80x", NULL, NULL, 0, NULL},
    {"http://h:-1", NULL, NULL, 0, NULL},
    {"http://h?a=b", NULL, NULL, 0, NULL},
    {"http://h/x#f", NULL, NULL, 0, NULL},
    {"http://h /x", NULL, NULL, 0, NULL},
    {"http://h\n", NULL, NULL, 0, NULL},
    {"http://h\xC3\xA9", NULL, NULL, 0, NULL},
    {"http://u@h", NULL, NULL, 0, NULL},
    {"http://u:p@h", NULL, NULL, 0, NULL},
    {"http://[::1", NULL, NULL, 0, NULL},
    {"http://[::1]x", NULL, NULL, 0, NULL},
    {"http://[1.2.3.4]", NULL, NULL, 0, NULL},
    {"http://[]", NULL, NULL, 0, NULL},
    {"http://::1", NULL, NULL, 0, NULL},
    {"http://a..b", NULL, NULL, 0, NULL},
    {"http://.a", NULL, NULL, 0, NULL},
    {"http://-a", NULL, NULL, 0, NULL},
    {"http://a/../b", "http://a/../b", "a", 80, "/../b"},
    {"http://a,b", NULL, NULL, 0, NULL},
    {"http://a%2eb", NULL, NULL, 0, NULL},
    {"http://a\\b", NULL, NULL, 0, NULL},
};

static void urls_are_taken_apart_or_refused(void **state)
{
    struct tg_arena a;
    tg_arena_init(&a, 1024, 1 << 20);
    for (size_t i = 0; i < TG_ARRAY_LEN(urls); i++) {
        struct tg_config_url u = {0};
        const char *why = tg_conf_url_parse(&a, tg_str_c(urls[i].in), &u, NULL);
        if ((why == NULL) != (urls[i].text != NULL))
            fail_msg("%s: %s", urls[i].in, why ? why : "accepted");
        if (why) {
            assert_int_equal(u.host.n, 0); /* untouched */
            continue;
        }
        assert_str_equal(u.text, tg_str_c(urls[i].text));
        assert_str_equal(u.host, tg_str_c(urls[i].host));
        assert_int_equal(u.port, urls[i].port);
        assert_str_equal(u.path, tg_str_c(urls[i].path));
        assert_int_equal(u.https, urls[i].text[4] == 's');
    }
    tg_arena_fini(&a);
}

static void user_information_is_decoded(void **state)
{
    static const char *const cases[][2] = {
        {"http://u:p@h", "u:p"},  {"http://u%3a:p%40@h:1", "u::p@"},
        {"http://a@b@h", "a@b"},  {"http://h", ""},
        {"http://u@h", "u"},      {"http://u%4@h", NULL},
        {"http://u%zz@h", NULL},  {"http://u%00@h", NULL},
        {"http://u%0ax@h", NULL}, {"http://u%@h", NULL},
        {"http://u%25@h", "u%"},
    };
    struct tg_arena a;
    tg_arena_init(&a, 1024, 1 << 20);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_config_url u;
        struct tg_str userinfo;
        const char *why = tg_conf_url_parse(&a, tg_str_c(cases[i][0]), &u, &userinfo);
        if ((why == NULL) != (cases[i][1] != NULL))
            fail_msg("%s: %s", cases[i][0], why ? why : "accepted");
        if (why)
            continue;
        assert_str_equal(userinfo, tg_str_c(cases[i][1]));
        assert_str(u.host, "h");
        assert_lacks(u.text, "@");
    }
    tg_arena_fini(&a);
}

static void loopback(void **state)
{
    static const char *const yes[] = {"127.0.0.1", "127.255.0.1", "::1",        "0:0:0:0:0:0:0:1",
                                      "localhost", "LOCALHOST",   "x.localhost"};
    static const char *const no[] = {"",           "0.0.0.0", "::",     "10.0.0.1", "128.0.0.1",
                                     "localhost.", "127.1",   "0x7f.1", "::2",      "xlocalhost"};
    for (size_t i = 0; i < TG_ARRAY_LEN(yes); i++)
        assert_true(tg_conf_host_is_loopback(tg_str_c(yes[i])));
    for (size_t i = 0; i < TG_ARRAY_LEN(no); i++)
        assert_false(tg_conf_host_is_loopback(tg_str_c(no[i])));
}

static void address_blocks(void **state)
{
    static const char *const bad[] = {
        "",         "x",           "10.0.0.0/",    "10.0.0.0/33", "::/129", "/8",
        "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0 /8", "[::1]"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_false(tg_conf_cidr_match(tg_str_c(bad[i]), TG_STR("10.0.0.1")));
    static const struct {
        const char *cidr, *address;
        bool match;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.128/25", "10.0.0.200", true},
        {"10.0.0.128/25", "10.0.0.100", false},
        {"10.0.0.7", "10.0.0.7", true},
        {"10.0.0.7", "10.0.0.8", false},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "::1", false},
        {"fd00::/9", "fd7f::1", true},
        {"fd00::/9", "fd80::1", false},
        {"::1", "::1", true},
        {"::/0", "1.2.3.4", false},
        {"10.0.0.0/8", "10.0.0.0/8", false},
        {"10.0.0.0/8", "host", false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_int_equal(tg_conf_cidr_match(tg_str_c(cases[i].cidr), tg_str_c(cases[i].address)),
                         cases[i].match);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart_or_refused),
        cmocka_unit_test(user_information_is_decoded),
        cmocka_unit_test(loopback),
        cmocka_unit_test(address_blocks),
    };
    return cmocka_run_group_tests_name("config/url", tests, NULL, NULL);
}
