#include "base/alloc.h"
#include "base/err.h"
#include "check.h"
#include "wire/url.h"

static void test_parse(void **state)
{
    static const struct {
        const char *url, *userinfo, *host, *path, *query;
        bool https, ipv6, port_given;
        uint16_t port;
    } rows[] = {
        {"http://a", "", "a", "", "", false, false, false, 80},
        {"https://a", "", "a", "", "", true, false, false, 443},
        {"HTTPS://API.example.com/v1/", "", "API.example.com", "/v1", "", true, false, false, 443},
        {"http://a/", "", "a", "", "", false, false, false, 80},
        {"http://a///", "", "a", "", "", false, false, false, 80},
        {"http://a//b//", "", "a", "//b", "", false, false, false, 80},
        {"http://a:8080/b/c?d=e&f", "", "a", "/b/c", "d=e&f", false, false, true, 8080},
        {"http://a?d", "", "a", "", "d", false, false, false, 80},
        {"http://a/?", "", "a", "", "", false, false, false, 80},
        {"https://a:443", "", "a", "", "", true, false, true, 443},
        {"http://a:1", "", "a", "", "", false, false, true, 1},
        {"http://a:65535", "", "a", "", "", false, false, true, 65535},
        {"http://u:p%40@proxy:3128", "u:p%40", "proxy", "", "", false, false, true, 3128},
        {"http://u@proxy", "u", "proxy", "", "", false, false, false, 80},
        {"http://@proxy", "", "proxy", "", "", false, false, false, 80},
        {"http://[::1]", "", "::1", "", "", false, true, false, 80},
        {"http://u:p@[2001:db8::1]:8443/x", "u:p", "2001:db8::1", "/x", "", false, true, true,
         8443},
        {"http://127.0.0.1:1/%2e%2E", "", "127.0.0.1", "/%2e%2E", "", false, false, true, 1},
        {"http://a_b~c!$&'()*+;=/x", "", "a_b~c!$&'()*+;=", "/x", "", false, false, false, 80},
        {"http://a/x:y@z,w", "", "a", "/x:y@z,w", "", false, false, false, 80},
        {"http://a/?x=/?:@", "", "a", "", "x=/?:@", false, false, false, 80},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct tg_url u;
        assert_int_equal(tg_url_parse(tg_str_c(rows[i].url), &u), 0);
        assert_true(tg_str_eq(u.userinfo, tg_str_c(rows[i].userinfo)));
        assert_true(tg_str_eq(u.host, tg_str_c(rows[i].host)));
        assert_true(tg_str_eq(u.path, tg_str_c(rows[i].path)));
        assert_true(tg_str_eq(u.query, tg_str_c(rows[i].query)));
        assert_int_equal(u.https, rows[i].https);
        assert_int_equal(u.host_is_ipv6, rows[i].ipv6);
        assert_int_equal(u.port_given, rows[i].port_given);
        assert_int_equal(u.port, rows[i].port);
    }
}

static void test_parse_refuses(void **state)
{
    static const struct tg_str bad[] = {
        TG_STR_INIT(""),
        TG_STR_INIT("a"),
        TG_STR_INIT("/a"),
        TG_STR_INIT("//a"),
        TG_STR_INIT("http:"),
        TG_STR_INIT("http:/a"),
        TG_STR_INIT("http//a"),
        TG_STR_INIT("http://"),
        TG_STR_INIT("http:///x"),
        TG_STR_INIT("http://?x"),
        TG_STR_INIT("http://:80"),
        TG_STR_INIT("http://u@"),
        TG_STR_INIT("http://u@:80"),
        TG_STR_INIT("http://a:"),
        TG_STR_INIT("http://a:0"),
        TG_STR_INIT("http://a:65536"),
        TG_STR_INIT("http://a:000080"),
        TG_STR_INIT("http://a:99999999999"),
        TG_STR_INIT("http://a:+1"),
        TG_STR_INIT("http://a:-1"),
        TG_STR_INIT("http://a: 1"),
        TG_STR_INIT("http://a:1x"),
        TG_STR_INIT("http://a:1:2"),
        TG_STR_INIT("http://a b"),
        TG_STR_INIT("http://a,b"),
        TG_STR_INIT("http://a/b c"),
        TG_STR_INIT("http://a/#f"),
        TG_STR_INIT("http://a#f"),
        TG_STR_INIT("http://a/?x#f"),
        TG_STR_INIT("http://a/\n"),
        TG_STR_INIT("http://a/\r\nX: y"),
        TG_STR_INIT("http://a/\0"),
        TG_STR_INIT("http://a\0b/"),
        TG_STR_INIT("http://a/\x7f"),
        TG_STR_INIT("http://a/\xc3\xa9"),
        TG_STR_INIT("http://\xc3\xa9/"),
        TG_STR_INIT("http://a\\b/"),
        TG_STR_INIT("http://a/\\b"),
        TG_STR_INIT("http://a/\"b"),
        TG_STR_INIT("http://a/%"),
        TG_STR_INIT("http://a/%4"),
        TG_STR_INIT("http://a/%4g"),
        TG_STR_INIT("http://a/?%zz"),
        TG_STR_INIT("http://a%/"),
        TG_STR_INIT("http://a@b@c/"),
        TG_STR_INIT("http://u%@b/"),
        TG_STR_INIT("http://[::1"),
        TG_STR_INIT("http://[]/"),
        TG_STR_INIT("http://[::1]x/"),
        TG_STR_INIT("http://[::1]:/"),
        TG_STR_INIT("http://[1.2.3.4]/"),
        TG_STR_INIT("http://[fe80::1%25eth0]/"),
        TG_STR_INIT("http://[::1\0]/"),
        TG_STR_INIT("http://[00000000000000000000000000000000000000000000000000000000::1]/"),
        TG_STR_INIT("http://::1/"),
        TG_STR_INIT("ftp://a"),
        TG_STR_INIT("file:///etc/passwd"),
        TG_STR_INIT("httpss://a"),
        TG_STR_INIT(" http://a"),
        TG_STR_INIT("http://a "),
        TG_STR_INIT("gopher://a"),
        TG_STR_INIT("unix:/tmp/x"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct tg_url u = {.port = 7};
        if (tg_url_parse(bad[i], &u) != TG_E_INVALID_ARG)
            fail_msg("accepted: %.*s", TG_STR_ARG(bad[i]));
        assert_int_equal(u.port, 7); /* untouched */
    }
}

/* Cut off anywhere, in a block of its own size. */
static void test_parse_truncated(void **state)
{
    static const char url[] = "https://user:p%40ss@[2001:db8::1]:8443/v1/%41?q=%20";
    for (size_t n = 0; n < sizeof(url); n++) {
        char *copy = tg_malloc(n);
        struct tg_url u;
        memcpy(copy, url, n);
        int rc = tg_url_parse(tg_str_make(copy, n), &u);
        assert_true(rc == 0 || rc == TG_E_INVALID_ARG);
        tg_free(copy);
    }
}

static void test_host_valid(void **state)
{
    assert_true(tg_host_valid(TG_STR("a")));
    assert_true(tg_host_valid(TG_STR("a:1")));
    assert_true(tg_host_valid(TG_STR("[::1]:1")));
    assert_true(tg_host_valid(TG_STR("a%41")));
    assert_false(tg_host_valid(TG_STR("")));
    assert_false(tg_host_valid(tg_str_make(NULL, 0)));
    assert_false(tg_host_valid(TG_STR("a@b")));
    assert_false(tg_host_valid(TG_STR("a%4")));
    assert_false(tg_host_valid(TG_STR("a%")));
    assert_false(tg_host_valid(TG_STR("a\0b")));
    /* Every byte alone in the middle of a name. */
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "-._~!$&'()*+;=";
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        assert_int_equal(tg_host_valid(tg_str_make(text, 3)), c != 0 && strchr(good, c) != NULL);
    }
}

static void test_target_split(void **state)
{
    struct tg_str path, query;
    tg_target_split(TG_STR("/a?b?c"), &path, &query);
    assert_str(path, "/a");
    assert_str(query, "b?c");
    tg_target_split(TG_STR("/a?"), &path, &query);
    assert_str(path, "/a");
    assert_str(query, "");
    tg_target_split(TG_STR("/a"), &path, &query);
    assert_str(path, "/a");
    assert_null(query.p);
    tg_target_split(TG_STR("?x"), &path, &query);
    assert_str(path, "");
    assert_str(query, "x");
    tg_target_split(tg_str_make(NULL, 0), &path, &query);
    assert_str(path, "");
}

static void test_decode(void **state)
{
    struct tg_arena a;
    struct tg_str out = TG_STR("untouched");
    tg_arena_init(&a, 256, 4096);
    struct tg_str plain = TG_STR("a+b-c");
    assert_int_equal(tg_percent_decode(&a, plain, &out), 0);
    assert_ptr_equal(out.p, plain.p); /* no copy */
    assert_int_equal(tg_percent_decode(&a, TG_STR("%41%62%C3%a9%2e%25"), &out), 0);
    assert_str(out, "Ab\xc3\xa9.%");
    assert_int_equal(tg_percent_decode(&a, TG_STR("%2541"), &out), 0);
    assert_str(out, "%41"); /* once, not twice */
    assert_int_equal(tg_query_decode(&a, TG_STR("a+b%2Fc%2B"), &out), 0);
    assert_str(out, "a b/c+");
    assert_int_equal(tg_query_decode(&a, plain, &out), 0);
    assert_str(out, "a b-c");
    static const char *const bad[] = {"%",   "%4",  "%zz",   "a%4", "%4z",
                                      "%z4", "%00", "a%%41", "% 41"};
    out = TG_STR("untouched");
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        assert_int_equal(tg_percent_decode(&a, tg_str_c(bad[i]), &out), TG_E_INVALID_ARG);
        assert_int_equal(tg_query_decode(&a, tg_str_c(bad[i]), &out), TG_E_INVALID_ARG);
    }
    assert_int_equal(tg_percent_decode(&a, TG_STR("a%2fb"), &out), TG_E_INVALID_ARG);
    assert_int_equal(tg_percent_decode(&a, TG_STR("a%2Fb"), &out), TG_E_INVALID_ARG);
    assert_str(out, "untouched");
    tg_arena_fini(&a);
    tg_arena_init(&a, 16, 16);
    struct tg_str big =
        TG_STR("%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41%41");
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_percent_decode(&a, big, &out), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&a);
}

static void test_query(void **state)
{
    struct tg_str q = TG_STR("a=1&b=&c&a=2&=x&d=e=f&&key=g%20h"), v;
    assert_true(tg_query_get(q, TG_STR("a"), &v));
    assert_str(v, "1");
    assert_true(tg_query_get(q, TG_STR("b"), &v));
    assert_str(v, "");
    assert_true(tg_query_get(q, TG_STR("c"), &v));
    assert_str(v, "");
    assert_true(tg_query_get(q, TG_STR("d"), &v));
    assert_str(v, "e=f");
    assert_true(tg_query_get(q, TG_STR("key"), &v));
    assert_str(v, "g%20h");
    v = TG_STR("untouched");
    assert_false(tg_query_get(q, TG_STR("A"), &v));
    assert_false(tg_query_get(q, TG_STR("ke"), &v));
    assert_false(tg_query_get(q, TG_STR("keys"), &v));
    assert_false(tg_query_get(tg_str_make(NULL, 0), TG_STR("a"), &v));
    assert_false(tg_query_get(TG_STR(""), TG_STR("a"), &v));
    assert_str(v, "untouched");
}

static void test_base64(void **state)
{
    static const char *const rows[][2] = {/* RFC 4648 section 10 */
                                          {"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"},
                                          {"\xff\xfe\xfd", "//79"},
                                          {"\xfb\xf0", "+/A="},
                                          {"user:pass", "dXNlcjpwYXNz"}};
    struct tg_arena a;
    tg_arena_init(&a, 256, 4096);
    for (size_t i = 0; i < TG_ARRAY_LEN(rows); i++) {
        struct tg_str out = tg_base64(&a, tg_str_c(rows[i][0]));
        assert_non_null(out.p);
        assert_string_equal(out.p, rows[i][1]);
        assert_int_equal(out.n, strlen(rows[i][1]));
    }
    struct tg_str out = tg_base64(&a, TG_STR("\0\0"));
    assert_str(out, "AAA=");
    out = tg_base64(&a, tg_str_make("fo\xff\xff", 2)); /* what lies behind has no part in it */
    assert_str(out, "Zm8=");
    out = tg_base64(&a, tg_str_make("f\xff\xff", 1));
    assert_str(out, "Zg==");
    tg_arena_fini(&a);
    tg_arena_init(&a, 256, 4096);
    tg_alloc_fail_at(1, 1);
    assert_null(tg_base64(&a, TG_STR("x")).p);
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&a);
}

static void test_encode(void **state TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 64);
    assert_int_equal(tg_url_encode(&b, TG_STR("aZ09-._~")), 0);
    assert_int_equal(tg_url_encode(&b, TG_STR(" /%+\xff\0")), 0);
    assert_str(tg_buf_str(&b), "aZ09-._~%20%2F%25%2B%FF%00");
    assert_int_equal(tg_url_encode(&b, TG_STR("")), 0);
    tg_buf_fini(&b);
    tg_buf_init(&b, 2);
    assert_int_equal(tg_url_encode(&b, TG_STR("/")), TG_E_FULL);
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),           cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_parse_truncated), cmocka_unit_test(test_host_valid),
        cmocka_unit_test(test_target_split),    cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode),          cmocka_unit_test(test_query),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
