#include "check.h"

#include "adapter/adapter.h"
#include "base/clock.h"

static int64_t of(const char *name, const char *value, int64_t now_us)
{
    struct tg_http_header h = {tg_str_c(name), tg_str_c(value)};
    struct tg_http_head head = {.headers = &h, .n_headers = 1};
    return tg_adapter_retry_after_ms(&head, now_us);
}

static void seconds(void **state)
{
    assert_int_equal(of("Retry-After", "0", 0), 0);
    assert_int_equal(of("retry-after", "20", 0), 20000);
    assert_int_equal(of("retry-after", "1.5", 0), 1500);
    assert_int_equal(of("retry-after", "3600", 0), 3600000);
    assert_int_equal(of("retry-after", "3601", 0), 3600000);
    assert_int_equal(of("retry-after", "99999999999999999999", 0), 3600000);
}

static void milliseconds(void **state)
{
    assert_int_equal(of("retry-after-ms", "250", 0), 250);
    assert_int_equal(of("retry-after-ms", "1e9", 0), 3600000);
    assert_int_equal(of("retry-after-ms", "-1", 0), -1);
    struct tg_http_header both[] = {{TG_STR("retry-after"), TG_STR("9")},
                                    {TG_STR("retry-after-ms"), TG_STR("250")}};
    struct tg_http_head head = {.headers = both, .n_headers = 2};
    assert_int_equal(tg_adapter_retry_after_ms(&head, 0), 250);
    both[1].value = TG_STR("soon");
    assert_int_equal(tg_adapter_retry_after_ms(&head, 0), 9000);
}

static void dates(void **state)
{
    const char *date = "Sat, 21 Nov 2026 09:00:00 GMT";
    int64_t at;
    assert_int_equal(tg_clock_parse_http_date(date, strlen(date), &at), 0);
    assert_int_equal(of("retry-after", date, at - 7000000), 7000);
    assert_int_equal(of("retry-after", date, at), 0);
    assert_int_equal(of("retry-after", date, at + 7000000), 0);
    assert_int_equal(of("retry-after", date, at - (int64_t)7200 * 1000000), 3600000);
    assert_int_equal(of("retry-after", date, 0), -1);
}

static void garbage(void **state)
{
    static const char *const values[] = {
        "", "soon", "-1", "1s", "0x10", "1 2", "nan", "inf", "Sat, 21 Nov 2026", "\xff\xfe"};
    for (size_t i = 0; i < TG_ARRAY_LEN(values); i++)
        assert_int_equal(of("retry-after", values[i], 1), -1);
    assert_int_equal(of("other", "1", 1), -1);
    struct tg_http_head none = {0};
    assert_int_equal(tg_adapter_retry_after_ms(&none, 1), -1);
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
