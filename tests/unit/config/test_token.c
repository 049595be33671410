/* Answers of helper commands and token servers. */
#include "base/alloc.h"
#include "base/err.h"
#include "check.h"
#include "config/token.h"

#define KEYS "\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"canary/+=\""

static void aws_free(struct tg_aws_token *t)
{
    tg_secret_free(t->access_key_id);
    tg_secret_free(t->secret_access_key);
    tg_secret_free(t->session_token);
}

static void aws_answers(void **state TG_UNUSED)
{
    static const struct {
        const char *json;
        const char *session; /* "": none */
        int64_t expires_s;
    } cases[] = {
        {"{\"Version\":1," KEYS "}", "", 0},
        {"{\"Version\":1," KEYS ",\"SessionToken\":\"st\",\"Expiration\":\"2015-08-30T12:36:00Z\"}",
         "st", 1440938160},
        {"{" KEYS ",\"SessionToken\":\"\",\"extra\":[1]}", "", 0},
        {" {\"Credentials\":{" KEYS ",\"SessionToken\":\"st\",\"Expiration\":"
         "\"2015-08-30T14:36:00+02:00\"}} \n",
         "st", 1440938160},
        {"{\"Version\":1," KEYS ",\"Expiration\":null}", "", 0},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_aws_token t;
        assert_int_equal(tg_aws_token_parse(tg_str_c(cases[i].json), &t, NULL), 0);
        assert_str(tg_secret_reveal(t.access_key_id), "AK");
        assert_str(tg_secret_reveal(t.secret_access_key), "canary/+=");
        if (cases[i].session[0])
            assert_str_equal(tg_secret_reveal(t.session_token), tg_str_c(cases[i].session));
        else
            assert_null(t.session_token);
        assert_int_equal(t.expires_wall_us, cases[i].expires_s * 1000000);
        aws_free(&t);
    }
}

static void aws_answers_that_are_none(void **state TG_UNUSED)
{
    static const char *const cases[] = {
        "",
        "canary",
        "[]",
        "{}",
        "{\"AccessKeyId\":\"AK\"}",
        "{\"SecretAccessKey\":\"canary\"}",
        "{\"Version\":2," KEYS "}",
        "{\"Version\":\"1\"," KEYS "}",
        "{" KEYS ",\"Expiration\":\"tomorrow\"}",
        "{" KEYS,
        "{" KEYS "} trailing",
        "{\"AccessKeyId\":\"A\\nB\",\"SecretAccessKey\":\"canary\"}",
        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"can ary\"}",
        "{" KEYS ",\"SessionToken\":\"a\\r\\nX-Evil: canary\"}",
        "{\"AccessKeyId\":7,\"SecretAccessKey\":\"canary\"}",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_aws_token t;
        struct tg_fail f;
        tg_fail_clear(&f);
        if (tg_aws_token_parse(tg_str_c(cases[i]), &t, &f) != TG_E_CONFIG)
            fail_msg("taken: %s", cases[i]);
        assert_lacks(tg_str_c(f.message), "canary");
        assert_contains(tg_str_c(f.message), "AccessKeyId");
    }
}

static void oauth_answers(void **state TG_UNUSED)
{
    struct tg_oauth_token t;
    assert_int_equal(tg_oauth_token_parse(TG_STR("{\"access_token\":\"ya29.c\",\"expires_in\":3599,"
                                                 "\"token_type\":\"Bearer\"}"),
                                          &t, NULL),
                     0);
    assert_str(tg_secret_reveal(t.access_token), "ya29.c");
    assert_int_equal(t.lifetime_s, 3599);
    tg_secret_free(t.access_token);
    static const char *const odd_lifetimes[] = {"{\"access_token\":\"t\"}",
                                                "{\"access_token\":\"t\",\"expires_in\":-1}",
                                                "{\"access_token\":\"t\",\"expires_in\":1e18}",
                                                "{\"access_token\":\"t\",\"expires_in\":\"9\"}",
                                                "{\"access_token\":\"t\",\"expires_in\":null}"};
    for (size_t i = 0; i < TG_ARRAY_LEN(odd_lifetimes); i++) {
        assert_int_equal(tg_oauth_token_parse(tg_str_c(odd_lifetimes[i]), &t, NULL), 0);
        assert_int_equal(t.lifetime_s, 0);
        tg_secret_free(t.access_token);
    }
    static const char *const bad[][2] = {
        {"{\"error\":\"invalid_grant\",\"error_description\":\"canary\"}",
         "the token server answered invalid_grant"},
        {"{\"error\":\"<b>canary\"}", "has no token"},
        {"{\"error\":{\"message\":\"canary\"}}", "has no token"},
        {"{\"access_token\":\"\"}", "has no token"},
        {"{\"access_token\":\"a b canary\"}", "has no token"},
        {"{\"access_token\":[\"canary\"]}", "has no token"},
        {"", "has no token"},
        {"<html>canary", "has no token"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct tg_fail f;
        tg_fail_clear(&f);
        assert_int_equal(tg_oauth_token_parse(tg_str_c(bad[i][0]), &t, &f), TG_E_CONFIG);
        assert_contains(tg_str_c(f.message), "token");
        if (tg_str_find(tg_str_c(f.message), tg_str_c(bad[i][1])) < 0)
            fail_msg("%s: %s", bad[i][0], f.message);
        assert_lacks(tg_str_c(f.message), "canary");
    }
}

static void too_long(void **state TG_UNUSED)
{
    struct tg_oauth_token t;
    struct tg_aws_token aws;
    char *big = tg_malloc(TG_TOKEN_MAX_JSON_BYTES + 1);
    memset(big, ' ', TG_TOKEN_MAX_JSON_BYTES + 1);
    big[0] = '{';
    big[TG_TOKEN_MAX_JSON_BYTES] = '}';
    assert_int_equal(tg_oauth_token_parse(tg_str_make(big, TG_TOKEN_MAX_JSON_BYTES + 1), &t, NULL),
                     TG_E_CONFIG);
    assert_int_equal(tg_aws_token_parse(tg_str_make(big, TG_TOKEN_MAX_JSON_BYTES + 1), &aws, NULL),
                     TG_E_CONFIG);
    tg_free(big);
}

static void memory_runs_out(void **state TG_UNUSED)
{
    struct tg_str json = TG_STR("{\"Version\":1," KEYS ",\"SessionToken\":\"st\"}");
    for (uint64_t at = 1;; at++) {
        struct tg_aws_token t;
        tg_alloc_fail_at(at, 0);
        int rc = tg_aws_token_parse(json, &t, NULL);
        uint64_t made = tg_alloc_count();
        tg_alloc_fail_at(0, 0);
        if (made < at) {
            assert_int_equal(rc, 0);
            aws_free(&t);
            break;
        }
        assert_int_equal(rc, TG_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aws_answers),     cmocka_unit_test(aws_answers_that_are_none),
        cmocka_unit_test(oauth_answers),   cmocka_unit_test(too_long),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests_name("config/token", tests, NULL, NULL);
}
