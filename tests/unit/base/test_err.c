#include "check.h"

#include "base/err.h"

static void every_row_is_complete(void **state)
{
    for (int e = TG_E_FIRST + 1; e < TG_E_LAST; e++) {
        const struct tg_err_info *i = tg_err_info(e);
        assert_true(e < 0);
        assert_true(i->name[0] && i->type[0] && i->code[0] && i->text[0]);
        assert_true(i->http_status == 0 || (i->http_status >= 400 && i->http_status <= 599));
        for (const char *c = i->code; *c; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '_' || (*c >= '0' && *c <= '9'));
    }
}

static void names_are_unique(void **state)
{
    for (int a = TG_E_FIRST + 1; a < TG_E_LAST; a++)
        for (int b = a + 1; b < TG_E_LAST; b++)
            assert_string_not_equal(tg_err_name(a), tg_err_name(b));
}

static void rows_match_their_codes(void **state)
{
    assert_string_equal(tg_err_name(TG_E_AGAIN), "AGAIN"); /* the first */
    assert_string_equal(tg_err_name(TG_E_INVALID_JSON), "INVALID_JSON");
    assert_int_equal(tg_err_info(TG_E_INVALID_JSON)->http_status, 400);
    assert_string_equal(tg_err_info(TG_E_UPSTREAM_TIMEOUT)->code, "upstream_timeout");
    assert_true(tg_err_info(TG_E_UPSTREAM_TIMEOUT)->retryable);
    assert_true(tg_err_info(TG_E_UPSTREAM_TIMEOUT)->breaker);
    assert_false(tg_err_info(TG_E_INVALID_JSON)->retryable);
    assert_string_equal(tg_err_name(TG_E_LAST - 1), tg_err_info(TG_E_LAST - 1)->name);
}

static void unknown_codes_are_internal(void **state)
{
    assert_string_equal(tg_err_name(TG_E_FIRST), "INTERNAL");
    assert_string_equal(tg_err_name(TG_E_LAST), "INTERNAL");
    assert_string_equal(tg_err_name(-1), "INTERNAL");
    assert_string_equal(tg_err_name(INT32_MIN), "INTERNAL");
    assert_string_equal(tg_err_name(TG_OK), "OK");
    assert_string_equal(tg_err_name(17), "OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(rows_match_their_codes),
        cmocka_unit_test(unknown_codes_are_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
