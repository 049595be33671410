#include "check.h"

#include <locale.h>
#include <stdio.h>

#include "base/err.h"
#include "base/num.h"

static void u64(void **state)
{
    static const char *const bad[] = {"",    " 1",  "1 ",  "+1",          "-1",
                                      "0x1", "1.0", "1e3", "\xEF\xBC\x91"};
    uint64_t v = 42;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_parse_u64(tg_str_c(bad[i]), &v), TG_E_INVALID_ARG);
    assert_int_equal(tg_parse_u64(TG_STR("18446744073709551616"), &v), TG_E_RANGE);
    assert_int_equal(tg_parse_u64(TG_STR("99999999999999999999999999999"), &v), TG_E_RANGE);
    /* A range error must not hide that it is no number at all. */
    assert_int_equal(tg_parse_u64(TG_STR("99999999999999999999999999999x"), &v), TG_E_INVALID_ARG);
    assert_true(v == 42);
    assert_int_equal(tg_parse_u64(TG_STR("18446744073709551615"), &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(tg_parse_u64(TG_STR("000"), &v), 0);
    assert_true(v == 0);
}

static void i64(void **state)
{
    int64_t v = 42;
    assert_int_equal(tg_parse_i64(TG_STR("9223372036854775808"), &v), TG_E_RANGE);
    assert_int_equal(tg_parse_i64(TG_STR("-9223372036854775809"), &v), TG_E_RANGE);
    assert_int_equal(tg_parse_i64(TG_STR("-"), &v), TG_E_INVALID_ARG);
    assert_int_equal(tg_parse_i64(TG_STR("--1"), &v), TG_E_INVALID_ARG);
    assert_int_equal(tg_parse_i64(TG_STR("+1"), &v), TG_E_INVALID_ARG);
    assert_true(v == 42);
    assert_int_equal(tg_parse_i64(TG_STR("9223372036854775807"), &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(tg_parse_i64(TG_STR("-9223372036854775808"), &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(tg_parse_i64(TG_STR("-0"), &v), 0);
    assert_true(v == 0);
}

static void doubles(void **state)
{
    static const char *const bad[] = {"",    ".",    "-",  "e5", "1e",  "1e+",   "inf", "nan",
                                      "NaN", "0x10", " 1", "1 ", "1,5", "1.5.1", "--1", "1e5.5"};
    double v = 42;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_parse_double(tg_str_c(bad[i]), &v), TG_E_INVALID_ARG);
    assert_int_equal(tg_parse_double(TG_STR("1e400"), &v), TG_E_RANGE);
    assert_int_equal(tg_parse_double(TG_STR("1\0"), &v), TG_E_INVALID_ARG);
    char digits[2000];
    memset(digits, '9', sizeof(digits));
    assert_int_equal(tg_parse_double(tg_str_make(digits, sizeof(digits)), &v), TG_E_INVALID_ARG);
    assert_true(v == 42);
    assert_int_equal(tg_parse_double(TG_STR("-1.5e3"), &v), 0);
    assert_true(v == -1500);
    assert_int_equal(tg_parse_double(TG_STR("+.5"), &v), 0);
    assert_true(v == 0.5);
    assert_int_equal(tg_parse_double(TG_STR("5."), &v), 0);
    assert_true(v == 5);
    assert_int_equal(tg_parse_double(TG_STR("1e-400"), &v), 0); /* rounds to zero */
    assert_true(v == 0);
}

static void doubles_ignore_the_locale(void **state)
{
    double v;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
        skip_because("no German or French locale on this machine");
    assert_int_equal(tg_parse_double(TG_STR("1.5"), &v), 0);
    setlocale(LC_NUMERIC, "C");
    assert_true(v == 1.5);
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"250ms", 250},  {"30s", 30000},    {"5m", 300000},    {"5min", 300000},
        {"2h", 7200000}, {"1d", 86400000},  {"1.5", 1500},     {"0", 0},
        {"0.0015s", 2},  {" 10 s ", 10000}, {"1.5H", 5400000}, {"9223372036854ms", 9223372036854},
    };
    static const char *const bad[] = {"",  "s",   "-1s", "1x",   "1 2s", "1e3s", "1..5s",
                                      ".", "+1s", "ms",  "1s1s", "0x5s", "NaN",  "1s\1"};
    int64_t ms = 42;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_parse_duration_ms(tg_str_c(bad[i]), &ms), TG_E_INVALID_ARG);
    assert_int_equal(tg_parse_duration_ms(TG_STR("99999999999999999999s"), &ms), TG_E_RANGE);
    assert_int_equal(tg_parse_duration_ms(TG_STR("9999999999999999d"), &ms), TG_E_RANGE);
    assert_int_equal(tg_parse_duration_ms(TG_STR("9999999999999999.5d"), &ms), TG_E_RANGE);
    assert_true(ms == 42);
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
        assert_int_equal(tg_parse_duration_ms(tg_str_c(good[i].text), &ms), 0);
        assert_true(ms == good[i].ms);
    }
}

static void bytes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"512", 512},           {"512B", 512},
        {"64KiB", 65536},       {"64 kib", 65536},
        {"20MB", 20000000},     {"1GiB", 1073741824},
        {"1.5GiB", 1610612736}, {"2k", 2000},
        {"1TB", 1000000000000}, {"18446744073709551615", UINT64_MAX},
        {"3M", 3000000},        {"0", 0},
    };
    static const char *const bad[] = {"",        "B",   "-1",   "1X",   "1KiBB",
                                      "1 K i B", "1e3", "0x10", "1_000"};
    uint64_t v = 42;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_parse_bytes(tg_str_c(bad[i]), &v), TG_E_INVALID_ARG);
    assert_int_equal(tg_parse_bytes(TG_STR("18446744073709551616"), &v), TG_E_RANGE);
    assert_int_equal(tg_parse_bytes(TG_STR("99999999999999TiB"), &v), TG_E_RANGE);
    assert_int_equal(tg_parse_bytes(TG_STR("99999999999999.5TiB"), &v), TG_E_RANGE);
    assert_true(v == 42);
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
        assert_int_equal(tg_parse_bytes(tg_str_c(good[i].text), &v), 0);
        assert_true(v == good[i].bytes);
    }
}

static void bools(void **state)
{
    bool v = false;
    static const char *const yes[] = {"true", "TRUE", "yes", "On", "1"};
    static const char *const no[] = {"false", "No", "off", "0"};
    static const char *const bad[] = {"", "2", "y", "tru", "true ", "enabled"};
    for (size_t i = 0; i < TG_ARRAY_LEN(yes); i++) {
        v = false;
        assert_int_equal(tg_parse_bool(tg_str_c(yes[i]), &v), 0);
        assert_true(v);
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(no); i++) {
        v = true;
        assert_int_equal(tg_parse_bool(tg_str_c(no[i]), &v), 0);
        assert_false(v);
    }
    v = true;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_parse_bool(tg_str_c(bad[i]), &v), TG_E_INVALID_ARG);
    assert_true(v);
}

static void overflow_checks(void **state)
{
    size_t v;
    assert_true(tg_add_overflow(SIZE_MAX, 1, &v));
    assert_false(tg_add_overflow(SIZE_MAX - 1, 1, &v));
    assert_true(tg_mul_overflow(SIZE_MAX / 2, 3, &v));
    assert_false(tg_mul_overflow(0, SIZE_MAX, &v));
}

static void formats(void **state)
{
    char ours[20], theirs[24];
    uint64_t v = 0;
    for (int i = 0; i < 4000; i++) {
        size_t n = tg_fmt_u64(ours, v);
        snprintf(theirs, sizeof(theirs), "%llu", (unsigned long long)v);
        assert_str_equal(tg_str_make(ours, n), tg_str_c(theirs));
        v = i < 1100 ? v + 1 : v * 6364136223846793005u + 1442695040888963407u;
        if (i > 2000)
            v >>= i % 60;
    }
    assert_str_equal(tg_str_make(ours, tg_fmt_u64(ours, UINT64_MAX)),
                     TG_STR("18446744073709551615"));
}

static void hex_digits(void **state TG_UNUSED)
{
    static const char digits[] = "0123456789abcdef";
    for (int c = 0; c < 256; c++) {
        const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
        assert_int_equal(tg_hex_digit((char)c), at ? (int)(at - digits) : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(u64),
        cmocka_unit_test(hex_digits),
        cmocka_unit_test(i64),
        cmocka_unit_test(doubles),
        cmocka_unit_test(doubles_ignore_the_locale),
        cmocka_unit_test(durations),
        cmocka_unit_test(bytes),
        cmocka_unit_test(bools),
        cmocka_unit_test(overflow_checks),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
