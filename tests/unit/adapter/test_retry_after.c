#include "check.h"

#include "adapter/adapter.h"

/* In an answer whose Date is `now` (NULL: it has none). */
static int64_t at(const char *name, const char *value, const char *now)
{
    struct tg_http_header h[] = {{tg_str_c(name), tg_str_c(value)},
                                 {TG_STR("date"), tg_str_c(now ? now : "")}};
    struct tg_http_head head = {.headers = h, .n_headers = now ? 2 : 1};
    return tg_adapter_retry_after_ms(&head);
}

static int64_t of(const char *name, const char *value)
{
    return at(name, value, NULL);
}

static void seconds(void **state)
{
    assert_int_equal(of("Retry-After", "0"), 0);
    assert_int_equal(of("retry-after", "20"), 20000);
    assert_int_equal(of("retry-after", "1.5"), 1500);
    assert_int_equal(of("retry-after", "3600"), 3600000);
    assert_int_equal(of("retry-after", "3601"), 3600000);
    assert_int_equal(of("retry-after", "99999999999999999999"), 3600000);
}

static void milliseconds(void **state)
{
    assert_int_equal(of("retry-after-ms", "250"), 250);
    assert_int_equal(of("retry-after-ms", "1e9"), 3600000);
    assert_int_equal(of("retry-after-ms", "-1"), -1);
    struct tg_http_header both[] = {{TG_STR("retry-after"), TG_STR("9")},
                                    {TG_STR("retry-after-ms"), TG_STR("250")}};
    struct tg_http_head head = {.headers = both, .n_headers = 2};
    assert_int_equal(tg_adapter_retry_after_ms(&head), 250);
    both[1].value = TG_STR("soon");
    assert_int_equal(tg_adapter_retry_after_ms(&head), 9000);
}

static void dates(void **state)
{
    const char *date = "Sat, 21 Nov 2026 09:00:00 GMT";
    assert_int_equal(at("retry-after", date, "Sat, 21 Nov 2026 08:59:53 GMT"), 7000);
    assert_int_equal(at("retry-after", date, date), 0);
    assert_int_equal(at("retry-after", date, "Sat, 21 Nov 2026 09:00:07 GMT"), 0);
    assert_int_equal(at("retry-after", date, "Sat, 21 Nov 2026 07:00:00 GMT"), 3600000);
    assert_int_equal(at("retry-after", date, NULL), -1); /* by whose clock? */
    assert_int_equal(at("retry-after", date, "yesterday"), -1);
}

static void garbage(void **state)
{
    static const char *const values[] = {
        "", "soon", "-1", "1s", "0x10", "1 2", "nan", "inf", "Sat, 21 Nov 2026", "\xff\xfe"};
    for (size_t i = 0; i < TG_ARRAY_LEN(values); i++)
        assert_int_equal(of("retry-after", values[i]), -1);
    assert_int_equal(of("other", "1"), -1);
    struct tg_http_head none = {0};
    assert_int_equal(tg_adapter_retry_after_ms(&none), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds),
        cmocka_unit_test(milliseconds),
        cmocka_unit_test(dates),
        cmocka_unit_test(garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
