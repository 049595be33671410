#include "base/num.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int tg_parse_u64(struct tg_str s, uint64_t *out)
{
    if (s.n == 0)
        return TG_E_INVALID_ARG;
    uint64_t v = 0;
    bool over = false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return TG_E_INVALID_ARG;
        over |= __builtin_mul_overflow(v, (uint64_t)10, &v);
        over |= __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v);
    }
    if (over)
        return TG_E_RANGE;
    *out = v;
    return 0;
}

int tg_parse_i64(struct tg_str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v = 0;
    int rc = tg_parse_u64(minus ? tg_str_from(s, 1) : s, &v);
    if (rc)
        return rc;
    if (v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
        return TG_E_RANGE;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

static size_t digits_at(struct tg_str s, size_t from)
{
    size_t i = from;
    while (i < s.n && is_digit(s.p[i]))
        i++;
    return i - from;
}

/* [+-]digits[.digits][e[+-]digits] and nothing else: no "inf", no hexadecimal, no blanks. */
static bool looks_like_number(struct tg_str s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    size_t whole = digits_at(s, i), fraction = 0;
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        fraction = digits_at(s, i + 1);
        i += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
            i++;
        size_t exponent = digits_at(s, i);
        if (exponent == 0)
            return false;
        i += exponent;
    }
    return i == s.n;
}

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

int tg_parse_double(struct tg_str s, double *out)
{
    TG_UNINITIALIZED char text[512];
    if (s.n >= sizeof(text) || !looks_like_number(s))
        return TG_E_INVALID_ARG;
    tg_str_to_c(s, text, sizeof(text));
    pthread_once(&c_locale_once, make_c_locale);
    double v = c_locale ? strtod_l(text, NULL, c_locale) : strtod(text, NULL);
    if (!isfinite(v))
        return TG_E_RANGE;
    *out = v;
    return 0;
}

struct unit {
    struct tg_str name;
    uint64_t factor;
};

/* Splits "1.5 GiB" into its number and the factor of its unit; `units` ends with factor 0. */
static int split_unit(struct tg_str s, const struct unit *units, struct tg_str *out_number,
                      uint64_t *out_factor)
{
    s = tg_str_trim(s);
    size_t i = 0;
    while (i < s.n && (is_digit(s.p[i]) || s.p[i] == '.'))
        i++;
    if (i == 0)
        return TG_E_INVALID_ARG;
    struct tg_str name = tg_str_trim(tg_str_from(s, i));
    for (const struct unit *u = units; u->factor; u++)
        if (tg_str_ieq(name, u->name)) {
            *out_number = tg_str_first(s, i);
            *out_factor = u->factor;
            return 0;
        }
    return TG_E_INVALID_ARG;
}

static int scale(struct tg_str number, uint64_t factor, uint64_t max, uint64_t *out)
{
    uint64_t v;
    int rc = tg_parse_u64(number, &v);
    if (rc == 0) {
        if (__builtin_mul_overflow(v, factor, &v) || v > max)
            return TG_E_RANGE;
        *out = v;
        return 0;
    }
    double d;
    if (rc == TG_E_RANGE)
        return rc;
    rc = tg_parse_double(number, &d);
    if (rc)
        return rc;
    d = round(d * (double)factor);
    /* Beyond 2^53 a fraction can't be exact; nobody means such a number. */
    if (d > 9007199254740992.0 || d > (double)max)
        return TG_E_RANGE;
    *out = (uint64_t)d;
    return 0;
}

int tg_parse_duration_ms(struct tg_str s, int64_t *out_ms)
{
    static const struct unit units[] = {
        {TG_STR_INIT("ms"), 1},       {TG_STR_INIT("s"), 1000},    {TG_STR_INIT(""), 1000},
        {TG_STR_INIT("m"), 60000},    {TG_STR_INIT("min"), 60000}, {TG_STR_INIT("h"), 3600000},
        {TG_STR_INIT("d"), 86400000}, {TG_STR_INIT(""), 0},
    };
    struct tg_str number;
    uint64_t factor, v;
    int rc = split_unit(s, units, &number, &factor);
    if (rc == 0)
        rc = scale(number, factor, INT64_MAX / 1000000, &v);
    if (rc)
        return rc;
    *out_ms = (int64_t)v;
    return 0;
}

int tg_parse_bytes(struct tg_str s, uint64_t *out)
{
    static const struct unit units[] = {
        {TG_STR_INIT(""), 1},
        {TG_STR_INIT("b"), 1},
        {TG_STR_INIT("k"), 1000},
        {TG_STR_INIT("kb"), 1000},
        {TG_STR_INIT("m"), 1000000},
        {TG_STR_INIT("mb"), 1000000},
        {TG_STR_INIT("g"), 1000000000},
        {TG_STR_INIT("gb"), 1000000000},
        {TG_STR_INIT("tb"), 1000000000000},
        {TG_STR_INIT("kib"), 1024},
        {TG_STR_INIT("mib"), 1024 * 1024},
        {TG_STR_INIT("gib"), 1024 * 1024 * 1024},
        {TG_STR_INIT("tib"), 1024ull * 1024 * 1024 * 1024},
        {TG_STR_INIT(""), 0},
    };
    struct tg_str number;
    uint64_t factor;
    int rc = split_unit(s, units, &number, &factor);
    return rc ? rc : scale(number, factor, UINT64_MAX, out);
}

int tg_parse_bool(struct tg_str s, bool *out)
{
    static const struct {
        struct tg_str name;
        bool value;
    } names[] = {
        {TG_STR_INIT("true"), true}, {TG_STR_INIT("false"), false}, {TG_STR_INIT("yes"), true},
        {TG_STR_INIT("no"), false},  {TG_STR_INIT("on"), true},     {TG_STR_INIT("off"), false},
        {TG_STR_INIT("1"), true},    {TG_STR_INIT("0"), false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        if (tg_str_ieq(s, names[i].name)) {
            *out = names[i].value;
            return 0;
        }
    return TG_E_INVALID_ARG;
}

size_t tg_fmt_u64(char *out, uint64_t v)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    char text[20];
    size_t at = sizeof(text);
    while (v >= 100) {
        at -= 2;
        memcpy(text + at, pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(text + at, pairs + 2 * v, 2);
    } else {
        text[--at] = (char)('0' + v);
    }
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

int tg_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
