#include "check.h"

#include "base/err.h"
#include "base/fail.h"
#include "base/utf8.h"

static void first_failure_wins(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    assert_int_equal(f.err, 0);
    assert_int_equal(f.retry_after_ms, -1);
    assert_int_equal(tg_fail_set(&f, TG_E_INVALID_JSON, "at byte %d", 7), TG_E_INVALID_JSON);
    assert_int_equal(tg_fail_set(&f, TG_E_NOMEM, "later"), TG_E_NOMEM);
    assert_int_equal(f.err, TG_E_INVALID_JSON);
    assert_string_equal(f.message, "at byte 7");
    assert_string_equal(f.param, "");
    assert_int_equal(tg_fail_set(NULL, TG_E_NOMEM, "nobody listens"), TG_E_NOMEM);
}

static void names_the_field(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    int rc = tg_fail_param(&f, TG_E_INVALID_VALUE, "messages[0].role", "unknown role");
    assert_int_equal(rc, TG_E_INVALID_VALUE);
    assert_string_equal(f.param, "messages[0].role");
    assert_int_equal(tg_fail_param(NULL, TG_E_RANGE, "x", "y"), TG_E_RANGE);
}

static void long_texts_are_cut_on_characters(void **state)
{
    struct tg_fail f;
    char text[900], param[300];
    memset(text, 'x', sizeof(text));
    for (int i = 1; i + 2 < (int)sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA4", 2);
    text[sizeof(text) - 1] = 0;
    memset(param, 'p', sizeof(param));
    param[sizeof(param) - 1] = 0;
    tg_fail_clear(&f);
    int rc = tg_fail_param(&f, TG_E_BAD_REQUEST, param, "%s", text);
    assert_int_equal(rc, TG_E_BAD_REQUEST);
    assert_int_equal(strlen(f.param), sizeof(f.param) - 1);
    assert_true(strlen(f.message) >= sizeof(f.message) - 3);
    assert_true(tg_utf8_valid(tg_str_c(f.message)));
    assert_lacks(tg_str_c(f.message), "\\x"); /* the cut half was not shown as rubbish */
}

static void messages_are_clean(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_BAD_REQUEST, "a\nb\x1b[31m\x7f%s", "\xFF\xC3\xA4");
    assert_string_equal(f.message, "a\\x0ab\\x1b[31m\\x7f\\xff\xC3\xA4");
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_BAD_REQUEST, "%s", "");
    assert_string_equal(f.message, tg_err_info(TG_E_BAD_REQUEST)->text);
}

static void sources(void **state)
{
    static const struct {
        int err;
        enum tg_fail_source source;
    } cases[] = {
        {TG_E_INVALID_JSON, TG_FAIL_CLIENT},         {TG_E_CANCELLED, TG_FAIL_CLIENT},
        {TG_E_UPSTREAM_CONNECT, TG_FAIL_PROVIDER},   {TG_E_UPSTREAM_REJECTED, TG_FAIL_PROVIDER},
        {TG_E_UPSTREAM_TOO_LARGE, TG_FAIL_PROVIDER}, {TG_E_NOMEM, TG_FAIL_GATEWAY},
        {TG_E_NO_UPSTREAM, TG_FAIL_GATEWAY},         {TG_E_LOCAL_FAILED, TG_FAIL_GATEWAY},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_fail f;
        tg_fail_clear(&f);
        (void)tg_fail_set(&f, cases[i].err, "x");
        assert_int_equal(f.source, cases[i].source);
    }
}

static void overrides(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_UPSTREAM_REJECTED, "x");
    assert_int_equal(tg_fail_status(&f), 400);
    assert_string_equal(tg_fail_code(&f), "upstream_rejected");
    assert_string_equal(tg_fail_type(&f), "invalid_request_error");
    f.http_status = 422;
    /* the provider's own strings win */
    memcpy(f.code, "own_code", 9);
    memcpy(f.type, "own_type", 9);
    assert_int_equal(tg_fail_status(&f), 422);
    assert_string_equal(tg_fail_code(&f), "own_code");
    assert_string_equal(tg_fail_type(&f), "own_type");
    tg_fail_clear(&f);
    (void)tg_fail_set(&f, TG_E_AGAIN, "an internal code that leaked");
    assert_int_equal(tg_fail_status(&f), 500);
}

static void quotes(void **state)
{
    char out[400], longer[400];
    assert_string_equal(tg_fail_quote(TG_STR("gpt\n\"x\""), out, sizeof(out)), "gpt\\x0a\"x\"");
    assert_string_equal(tg_fail_quote(TG_STR("a\0b"), out, sizeof(out)), "a\\x00b");
    assert_string_equal(tg_fail_quote(TG_STR("abcdef"), out, 4), "abc");
    assert_string_equal(tg_fail_quote(TG_STR("ab\n"), out, 5), "ab"); /* whole escapes only */
    assert_string_equal(tg_fail_quote(TG_STR("abc"), out, 0), "");
    assert_string_equal(tg_fail_quote(TG_STR("abc"), out, 1), "");
    memset(longer, 'm', sizeof(longer));
    tg_fail_quote(tg_str_make(longer, sizeof(longer)), out, sizeof(out));
    assert_int_equal(strlen(out), 200);
    memset(longer, '\n', sizeof(longer));
    tg_fail_quote(tg_str_make(longer, sizeof(longer)), out, sizeof(out));
    assert_int_equal(strlen(out), 200);
    memset(longer, 'm', 199);
    memcpy(longer + 199, "\xE2\x82\xAC", 3); /* a character across the limit */
    tg_fail_quote(tg_str_make(longer, sizeof(longer)), out, sizeof(out));
    assert_int_equal(strlen(out), 199);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_failure_wins),
        cmocka_unit_test(names_the_field),
        cmocka_unit_test(long_texts_are_cut_on_characters),
        cmocka_unit_test(messages_are_clean),
        cmocka_unit_test(sources),
        cmocka_unit_test(overrides),
        cmocka_unit_test(quotes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
