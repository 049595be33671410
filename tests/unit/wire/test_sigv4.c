/* Signature Version 4 against AWS's own vectors (awslabs/aws-c-auth, aws-signing-test-suite/v4):
 * the requests with their signatures in the Authorization header; key, region and time are the same
 * in all. Left out: the vectors of S3's way with paths. */
#include "base/alloc.h"
#include "base/err.h"
#include "check.h"
#include "wire/sigv4.h"

/* 2015-08-30T12:36:00Z */
#define VECTOR_TIME_US (1440938160 * INT64_C(1000000))

struct vector {
    const char *name, *method, *path, *query;
    struct {
        const char *name, *value;
    } headers[5];
    const char *body, *token, *signature;
};

static const struct vector vectors[] = {
    {"get-header-key-duplicate",
     "GET",
     "/",
     "",
     {{"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}},
     "",
     "",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline",
     "GET",
     "/",
     "",
     {{"My-Header1", "value1\n  value2\n     value3"}},
     "",
     "",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"},
    {"get-header-value-order",
     "GET",
     "/",
     "",
     {{"My-Header1", "value4"},
      {"My-Header1", "value1"},
      {"My-Header1", "value3"},
      {"My-Header1", "value2"},
      {0}},
     "",
     "",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}},
     "",
     "",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-relative-normalized",
     "GET",
     "/example/..",
     "",
     {{0}},
     "",
     "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-relative-relative-normalized",
     "GET",
     "/example1/example2/../..",
     "",
     {{0}},
     "",
     "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-dot-slash-normalized",
     "GET",
     "/./",
     "",
     {{0}},
     "",
     "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-normalized",
     "GET",
     "//",
     "",
     {{0}},
     "",
     "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-pointless-dot-normalized",
     "GET",
     "/./example",
     "",
     {{0}},
     "",
     "",
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
    {"get-slashes-normalized",
     "GET",
     "//example//",
     "",
     {{0}},
     "",
     "",
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
    {"get-space-normalized",
     "GET",
     "/example space/",
     "",
     {{0}},
     "",
     "",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-unreserved",
     "GET",
     "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     "",
     {{0}},
     "",
     "",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/\341\210\264",
     "",
     {{0}},
     "",
     "",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     "Param1=value1",
     {{0}},
     "",
     "",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-encoded",
     "GET",
     "/",
     "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
     {{0}},
     "",
     "",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param2=value2&Param1=value1",
     {{0}},
     "",
     "",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~"
     "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
     {{0}},
     "",
     "",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-query",
     "GET",
     "/",
     "",
     {{0}},
     "",
     "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "\341\210\264=bar",
     {{0}},
     "",
     "",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-with-session-token",
     "GET",
     "/",
     "",
     {{0}},
     "",
     "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {"get-vanilla",
     "GET",
     "/",
     "",
     {{0}},
     "",
     "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"post-header-key-case",
     "POST",
     "/",
     "",
     {{0}},
     "",
     "",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     "POST",
     "/",
     "",
     {{"My-Header1", "value1"}},
     "",
     "",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     "POST",
     "/",
     "",
     {{"My-Header1", "VALUE1"}},
     "",
     "",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-sts-header-before",
     "POST",
     "/",
     "",
     {{0}},
     "",
     "AQoDYXdzEPT//////////"
     "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthA"
     "x7mSEI/qkPpKPi/"
     "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHN"
     "VXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
     "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==",
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-vanilla-empty-query-value",
     "POST",
     "/",
     "Param1=value1",
     {{0}},
     "",
     "",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-vanilla-query",
     "POST",
     "/",
     "Param1=value1",
     {{0}},
     "",
     "",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-vanilla",
     "POST",
     "/",
     "",
     {{0}},
     "",
     "",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-x-www-form-urlencoded-parameters",
     "POST",
     "/",
     "",
     {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"},
      {"Content-Length", "13"},
      {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}},
     "Param1=value1",
     "",
     "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     {{"Content-Type", "application/x-www-form-urlencoded"},
      {"Content-Length", "13"},
      {"x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"}},
     "Param1=value1",
     "",
     "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"},
};

static int sign(const struct vector *v, struct tg_buf *out, char date[TG_SIGV4_DATE_BYTES])
{
    unsigned char hash[TG_SHA256_BYTES];
    char hex[2 * TG_SHA256_BYTES + 1];
    struct tg_http_header headers[TG_ARRAY_LEN(v->headers)];
    struct tg_sigv4 in = {
        .method = tg_str_c(v->method),
        .host = TG_STR("example.amazonaws.com"),
        .path = tg_str_c(v->path),
        .query = tg_str_c(v->query),
        .headers = headers,
        .region = TG_STR("us-east-1"),
        .service = TG_STR("service"),
        .access_key_id = TG_STR("AKIDEXAMPLE"),
        .secret_access_key = TG_STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        .session_token = tg_str_c(v->token),
        .wall_us = VECTOR_TIME_US,
    };
    while (in.n_headers < TG_ARRAY_LEN(headers) && v->headers[in.n_headers].name) {
        headers[in.n_headers] = (struct tg_http_header){tg_str_c(v->headers[in.n_headers].name),
                                                        tg_str_c(v->headers[in.n_headers].value)};
        in.n_headers++;
    }
    assert_int_equal(tg_sha256(tg_str_c(v->body), hash), 0);
    tg_hex(hash, sizeof(hash), hex);
    in.body_sha256 = tg_str_c(hex);
    return tg_sigv4_sign(&in, date, out);
}

static void the_published_vectors(void **state TG_UNUSED)
{
    char date[TG_SIGV4_DATE_BYTES];
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    for (size_t i = 0; i < TG_ARRAY_LEN(vectors); i++) {
        tg_buf_clear(&out);
        assert_int_equal(sign(&vectors[i], &out, date), 0);
        if (!tg_str_ends(tg_buf_str(&out), tg_str_c(vectors[i].signature)))
            fail_msg("%s: %.*s\n wanted %s", vectors[i].name, TG_STR_ARG(tg_buf_str(&out)),
                     vectors[i].signature);
        assert_string_equal(date, "20150830T123600Z");
    }
    tg_buf_fini(&out);
}

static void the_whole_header(void **state TG_UNUSED)
{
    static const struct vector v = {"", "GET", "/", "", {{"X-B", "2"}, {"x-a", "1"}},
                                    "", "tok", ""};
    char date[TG_SIGV4_DATE_BYTES];
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    tg_buf_lit(&out, "Authorization: ");
    assert_int_equal(sign(&v, &out, date), 0);
    assert_contains(tg_buf_str(&out),
                    "Authorization: AWS4-HMAC-SHA256 "
                    "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                    "SignedHeaders=host;x-a;x-amz-date;x-amz-security-token;x-b, Signature=");
    tg_buf_fini(&out);
}

/* Spellings of one request that must come to one signature, and those that must not. */
static void spellings(void **state TG_UNUSED)
{
    static const struct {
        struct vector a, b;
        bool same;
    } cases[] = {
        {{"", "GET", "/a", "x=%7e&y=b%2fc", {{0}}, "", "", ""},
         {"", "GET", "/a", "y=b%2Fc&x=~", {{0}}, "", "", ""},
         true},
        {{"", "GET", "/a", "x", {{0}}, "", "", ""},
         {"", "GET", "/a", "x=", {{0}}, "", "", ""},
         true},
        {{"", "GET", "/a", "&&x=1&", {{0}}, "", "", ""},
         {"", "GET", "/a", "x=1", {{0}}, "", "", ""},
         true},
        {{"", "GET", "/a/b/../c", "", {{0}}, "", "", ""},
         {"", "GET", "/a/c", "", {{0}}, "", "", ""},
         true},
        {{"", "GET", "/../../a", "", {{0}}, "", "", ""},
         {"", "GET", "/a", "", {{0}}, "", "", ""},
         true},
        {{"", "GET", "/m%3A0", "", {{0}}, "", "", ""},
         {"", "GET", "/m:0", "", {{0}}, "", "", ""},
         false},
        {{"", "GET", "/a", "", {{0}}, "", "", ""},
         {"", "GET", "/a/", "", {{0}}, "", "", ""},
         false},
        {{"", "GET", "/a", "x=1=2", {{0}}, "", "", ""},
         {"", "GET", "/a", "x=1%3D2", {{0}}, "", "", ""},
         true},
        {{"", "GET", "/", "", {{"a", " b \t c "}}, "", "", ""},
         {"", "GET", "/", "", {{"A", "b c"}}, "", "", ""},
         true},
        {{"", "GET", "/", "", {{"a", "b"}}, "", "", ""},
         {"", "GET", "/", "", {{"a", "B"}}, "", "", ""},
         false},
    };
    char date[TG_SIGV4_DATE_BYTES];
    struct tg_buf a, b;
    tg_buf_init(&a, 4096);
    tg_buf_init(&b, 4096);
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        tg_buf_clear(&a);
        tg_buf_clear(&b);
        assert_int_equal(sign(&cases[i].a, &a, date), 0);
        assert_int_equal(sign(&cases[i].b, &b, date), 0);
        if (tg_str_eq(tg_buf_str(&a), tg_buf_str(&b)) != cases[i].same)
            fail_msg("case %zu", i);
    }
    tg_buf_fini(&a);
    tg_buf_fini(&b);
}

static void what_cannot_be_signed(void **state TG_UNUSED)
{
    static const struct vector bad[] = {
        {"", "GET", "", "", {{0}}, "", "", ""},       {"", "GET", "a", "", {{0}}, "", "", ""},
        {"", "GET", "/", "%", {{0}}, "", "", ""},     {"", "GET", "/", "a=%2", {{0}}, "", "", ""},
        {"", "GET", "/", "a=%zz", {{0}}, "", "", ""},
    };
    char date[TG_SIGV4_DATE_BYTES] = "untouched";
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        assert_int_equal(sign(&bad[i], &out, date), TG_E_INVALID_ARG);
        assert_int_equal(out.n, 0);
        assert_string_equal(date, "untouched");
    }
    struct tg_http_header many[TG_SIGV4_MAX_HEADERS];
    for (size_t i = 0; i < TG_ARRAY_LEN(many); i++)
        many[i] = (struct tg_http_header){TG_STR("x"), TG_STR("y")};
    struct tg_sigv4 in = {.method = TG_STR("GET"),
                          .path = TG_STR("/"),
                          .headers = many,
                          .n_headers = TG_ARRAY_LEN(many) - 1,
                          .wall_us = VECTOR_TIME_US};
    assert_int_equal(tg_sigv4_sign(&in, date, &out), TG_E_INVALID_ARG);
    in.n_headers--;
    assert_int_equal(tg_sigv4_sign(&in, date, &out), 0);
    char *big = tg_malloc(70000);
    memset(big, 'a', 70000);
    big[0] = '/';
    in.path = tg_str_make(big, 70000);
    tg_buf_clear(&out);
    assert_int_equal(tg_sigv4_sign(&in, date, &out), TG_E_FULL);
    in.path = TG_STR("/");
    in.query = tg_str_make(big, 70000);
    assert_int_equal(tg_sigv4_sign(&in, date, &out), TG_E_FULL);
    tg_free(big);
    tg_buf_fini(&out);
    tg_buf_init(&out, 10);
    in.query = TG_STR("");
    assert_int_equal(tg_sigv4_sign(&in, date, &out), TG_E_FULL);
    tg_buf_fini(&out);
}

static void memory_runs_out(void **state TG_UNUSED)
{
    char date[TG_SIGV4_DATE_BYTES];
    struct tg_buf out;
    for (uint64_t at = 1;; at++) {
        tg_buf_init(&out, 4096);
        tg_alloc_fail_at(at, 0);
        int rc = sign(&vectors[0], &out, date);
        uint64_t made = tg_alloc_count();
        tg_alloc_fail_at(0, 0);
        tg_buf_fini(&out);
        if (made < at) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_true(rc == TG_E_NOMEM || rc == TG_E_FULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors),
        cmocka_unit_test(the_whole_header),
        cmocka_unit_test(spellings),
        cmocka_unit_test(what_cannot_be_signed),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("wire/sigv4", tests, NULL, NULL);
}
