#include "check.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"

static int stop_fake(void **state)
{
    tg_clock_fake_stop();
    return 0;
}

static void real_clocks_run(void **state)
{
    uint64_t a = tg_clock_mono_ns();
    assert_true(tg_clock_mono_ns() >= a);
    assert_true(tg_clock_mono_us() >= a / 1000);
    assert_true(tg_clock_wall_us() / 1000000 >= (int64_t)time(NULL) - 2);
    assert_true(tg_clock_wall_us() / 1000000 <= (int64_t)time(NULL) + 2);
}

static void fake_stands_still_until_moved(void **state)
{
    tg_clock_fake_start(5000000000u, 1700000000000000);
    assert_int_equal(tg_clock_mono_ms(), 5000);
    assert_int_equal(tg_clock_wall_us(), 1700000000000000);
    tg_clock_fake_advance_us(1500);
    assert_int_equal(tg_clock_mono_us(), 5001500);
    assert_int_equal(tg_clock_wall_us(), 1700000000001500);
    tg_clock_fake_stop();
    assert_true(tg_clock_wall_us() > 1700000000001500);
}

static void iso(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {951827696123456, "2000-02-29T12:34:56.123456Z"},
        {1795251600123456, "2026-11-21T09:00:00.123456Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999999Z"}, /* four digits of year, whatever is asked */
        {INT64_MIN, "0001-01-01T00:00:00.000000Z"},
    };
    char out[28];
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        assert_int_equal(tg_clock_iso(cases[i].us, out, sizeof(out)), 27);
        assert_string_equal(out, cases[i].text);
    }
    assert_int_equal(tg_clock_iso(0, out, 27), 0);
}

/* Every day of 500 years against the C library. */
/* The text of a second is kept: its fractions, its neighbours and a second far away are right. */
static void iso_within_and_between_seconds(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {1700000000000000, "2023-11-14T22:13:20.000000Z"},
        {1700000000999999, "2023-11-14T22:13:20.999999Z"},
        {1700000000000001, "2023-11-14T22:13:20.000001Z"},
        {1700000001000000, "2023-11-14T22:13:21.000000Z"},
        {1699999999999999, "2023-11-14T22:13:19.999999Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {-1000000, "1969-12-31T23:59:59.000000Z"},
        {0, "1970-01-01T00:00:00.000000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999999Z"},
        {1700000000123456, "2023-11-14T22:13:20.123456Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[32];
        assert_int_equal(tg_clock_iso(cases[i].us, out, sizeof out), 27);
        assert_string_equal(out, cases[i].text);
    }
}

static void calendar_agrees_with_gmtime(void **state)
{
    char ours[32], theirs[32];
    for (int64_t day = -100000; day < 100000; day++) {
        time_t t = (time_t)(day * 86400 + (day * 7919) % 86400);
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        assert_int_equal(tg_clock_http_date((int64_t)t * 1000000, ours, sizeof(ours)), 29);
        assert_string_equal(ours, theirs);
        int64_t back;
        assert_int_equal(tg_clock_parse_http_date(ours, 29, &back), 0);
        assert_true(back == (int64_t)t * 1000000);
    }
}

static void http_date_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Xun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:4x:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
    };
    int64_t us = 42;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_clock_parse_http_date(bad[i], strlen(bad[i]), &us), TG_E_INVALID_ARG);
    assert_int_equal(us, 42);
    assert_int_equal(tg_clock_parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT", 29, &us), 0);
    assert_true(us == 784111777000000);
    assert_int_equal(tg_clock_parse_http_date("Tue, 29 Feb 2000 23:59:60 GMT", 29, &us), 0);
    char out[30];
    assert_int_equal(tg_clock_http_date(us, out, 29), 0);
}

static void iso_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2015-08-30T12:36:00Z", 1440938160},
        {"2015-08-30t12:36:00.999z", 1440938160},
        {"2015-08-30 14:36:00+02:00", 1440938160},
        {"2015-08-30T05:06:00-0730", 1440938160},
        {"2000-02-29T23:59:60Z", 951868800},
        {"0001-01-01T00:00:00Z", -62135596800},
    };
    static const char *const bad[] = {
        "",
        "2015-08-30",
        "2015-08-30T12:36:00",
        "2015-08-30T12:36:00X",
        "2015-08-30T12:36:00ZZ",
        "2015-02-29T00:00:00Z",
        "2015-13-01T00:00:00Z",
        "2015-00-01T00:00:00Z",
        "2015-01-00T00:00:00Z",
        "2015-01-32T00:00:00Z",
        "2015-01-01T24:00:00Z",
        "2015-01-01T00:60:00Z",
        "2015-01-01T00:00:61Z",
        "2015-01-01T00:00:00+24:00",
        "2015-01-01T00:00:00+01:60",
        "2015-01-01T00:00:00+1:00",
        "2015-01-01T00:00:00 01:00",
        "2015/01/01T00:00:00Z",
        "x015-01-01T00:00:00Z",
        "2015-01-01T0a:00:00Z",
        "0000-01-01T00:00:00Z",
        "2015-01-01T00:00:00.",
        "2015-01-01T00:00:00.5",
    };
    int64_t us = 7;
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
        assert_int_equal(tg_clock_parse_iso(good[i].text, strlen(good[i].text), &us), 0);
        assert_int_equal(us, good[i].seconds * 1000000);
    }
    us = 7;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        if (tg_clock_parse_iso(bad[i], strlen(bad[i]), &us) != TG_E_INVALID_ARG || us != 7)
            fail_msg("%s was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clocks_run),
        cmocka_unit_test_teardown(fake_stands_still_until_moved, stop_fake),
        cmocka_unit_test(iso),
        cmocka_unit_test(iso_within_and_between_seconds),
        cmocka_unit_test(calendar_agrees_with_gmtime),
        cmocka_unit_test(http_date_refuses),
        cmocka_unit_test(iso_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
