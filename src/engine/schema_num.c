/* Numbers between limits as digits. A limit is a decimal; numbers with k decimals between two
 * limits are whole numbers between the scaled limits, written with a point before their last k
 * digits. A range of digits of one length falls apart into a fixed head, one digit of a range, and
 * any digits behind it. */
#include "base/err.h"
#include "base/num.h"
#include "engine/schema_in_priv.h"

enum {
    MAX_DIGITS = 15, /* what a double holds exactly */
    MAX_DECIMALS = 6,
    MORE_DECIMALS = 3, /* than the limits have */
};
#define MAX_SCALED INT64_C(999999999999999)

struct decimal { /* m / 10^s */
    int64_t m;
    int s;
};

struct limits {
    bool has_lo, has_hi, lo_open, hi_open; /* open: the limit itself is not in it */
    struct decimal lo, hi;
};

static int64_t pow10_of(int n)
{
    int64_t p = 1;
    while (n-- > 0)
        p *= 10;
    return p;
}

/* d times ten to the exp, as far as 15 digits go. */
static void shift(struct decimal *d, int64_t exp, bool *exact)
{
    for (; exp > 0 && d->m && d->m <= MAX_SCALED; exp--) {
        if (d->s > 0)
            d->s--;
        else
            d->m *= 10;
    }
    for (; exp < 0 && d->m && d->s < MAX_DIGITS; exp++)
        d->s++;
    for (; d->m && (exp < 0 || d->s > MAX_DIGITS); d->m /= 10) {
        *exact = *exact && d->m % 10 == 0;
        if (exp < 0)
            exp++;
        else
            d->s--;
    }
    while (d->s > 0 && d->m % 10 == 0) {
        d->m /= 10;
        d->s--;
    }
}

/* The text of a JSON number, as far as it goes: too large a value becomes an even larger one, too
 * fine a one is cut at 15 digits, which `*exact` says. */
static struct decimal parse_decimal(struct tg_str s, bool *exact)
{
    struct decimal d = {0, 0};
    bool neg = s.n && s.p[0] == '-', point = false;
    int64_t exp = 0, e = 0;
    size_t i = neg;
    *exact = true;
    for (; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
        if (s.p[i] == '.') {
            point = true;
        } else if (d.m > MAX_SCALED / 10 - 1) {
            *exact = *exact && s.p[i] == '0';
            exp += !point;
        } else {
            d.m = d.m * 10 + (s.p[i] - '0');
            d.s += point;
        }
    }
    if (i < s.n) {
        size_t at = i + 1 + (i + 1 < s.n && s.p[i + 1] == '+');
        if (tg_parse_i64(tg_str_from(s, at), &e) < 0 || e > 400 || e < -400)
            e = at < s.n && s.p[at] == '-' ? -400 : 400;
    }
    shift(&d, exp + e, exact);
    d.m = neg ? -d.m : d.m;
    return d;
}

/* d * 10^k, rounded down; clamped to one more than the largest that is written. */
static int64_t scaled(struct decimal d, int k, bool *exact)
{
    *exact = true;
    for (; k > d.s; k--) {
        if (d.m > MAX_SCALED / 10 + 1 || d.m < -MAX_SCALED / 10 - 1)
            return d.m > 0 ? MAX_SCALED + 1 : -MAX_SCALED - 1;
        d.m *= 10;
    }
    if (k < d.s) {
        int64_t p = pow10_of(d.s - k), q = d.m / p;
        *exact = d.m % p == 0;
        d.m = d.m % p < 0 ? q - 1 : q;
    }
    return d.m > MAX_SCALED + 1 ? MAX_SCALED + 1 : d.m < -MAX_SCALED - 1 ? -MAX_SCALED - 1 : d.m;
}

static int decimal_cmp(struct decimal a, struct decimal b)
{
    int k = a.s > b.s ? a.s : b.s;
    bool ea, eb;
    int64_t x = scaled(a, k, &ea), y = scaled(b, k, &eb);
    return x < y ? -1 : x > y;
}

static void take_limit(struct limits *l, bool low, struct decimal d, bool open)
{
    bool *has = low ? &l->has_lo : &l->has_hi, *is_open = low ? &l->lo_open : &l->hi_open;
    struct decimal *at = low ? &l->lo : &l->hi;
    int cmp = *has ? decimal_cmp(d, *at) : 0;
    if (!*has || (low ? cmp > 0 : cmp < 0)) {
        *at = d;
        *is_open = open;
    } else if (cmp == 0) {
        *is_open = *is_open || open;
    }
    *has = true;
}

static void limits_of_member(struct tg_schema_conv *c, const struct tg_sview *v, uint32_t i,
                             struct limits *l)
{
    static const struct {
        const char *key, *open_key;
        bool low;
    } keys[] = {{"minimum", "exclusiveMinimum", true}, {"maximum", "exclusiveMaximum", false}};
    bool exact;
    for (size_t k = 0; k < TG_ARRAY_LEN(keys); k++) {
        const struct tg_json *limit = tg_sv_get(v, i, tg_str_c(keys[k].key));
        const struct tg_json *open = tg_sv_get(v, i, tg_str_c(keys[k].open_key));
        if (!tg_json_is_nil(limit) && !tg_json_is_num(limit))
            tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, keys[k].key, "it must be a number");
        if (!tg_json_is_nil(open) && !tg_json_is_num(open) && !tg_json_is_bool(open))
            tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, keys[k].open_key, "it must be a number");
        if (tg_json_is_num(limit)) {
            struct decimal d = parse_decimal(tg_json_num(limit), &exact);
            /* A limit cut short is taken for an open one on the safe side. */
            d.m += exact ? 0 : keys[k].low ? 1 : -1;
            take_limit(l, keys[k].low, d, tg_json_true(open));
        }
        if (tg_json_is_num(open)) {
            struct decimal d = parse_decimal(tg_json_num(open), &exact);
            d.m += exact ? 0 : keys[k].low ? 1 : -1;
            take_limit(l, keys[k].low, d, true);
        }
    }
    if (tg_json_str_is(tg_sv_get(v, i, TG_STR("format")), TG_STR("int32"))) {
        take_limit(l, true, (struct decimal){INT32_MIN, 0}, false);
        take_limit(l, false, (struct decimal){INT32_MAX, 0}, false);
    }
}

static struct limits limits_of(struct tg_schema_conv *c, const struct tg_sview *v)
{
    struct limits l = {0};
    for (uint32_t i = 0; i < v->n; i++)
        limits_of_member(c, v, i, &l);
    return l;
}

bool tg_sc_number_fits(struct tg_schema_conv *c, const struct tg_sview *v,
                       const struct tg_json *number)
{
    bool exact;
    struct limits l = limits_of(c, v);
    struct decimal d = parse_decimal(tg_json_num(number), &exact);
    int lo = l.has_lo ? decimal_cmp(d, l.lo) : 1, hi = l.has_hi ? decimal_cmp(d, l.hi) : -1;
    return (lo > 0 || (lo == 0 && !l.lo_open)) && (hi < 0 || (hi == 0 && !l.hi_open));
}

/* ---- digits ---- */

struct digits {
    struct tg_grammar *g;
    uint32_t rule, digit;
    bool minus;
    int n;     /* digits in all */
    int after; /* of them behind the point */
};

/* One alternative: the head's n_head digits, one of [lo, hi] (lo > hi: none), any others. */
static void put_digits(const struct digits *d, const char *head, int n_head, char lo, char hi)
{
    struct tg_galt *a = tg_grammar_alt(d->g, d->rule);
    char text[2 * MAX_DIGITS + 8];
    size_t n = 0;
    int at = 0, point = d->n - d->after;
    if (d->minus)
        text[n++] = '-';
    for (; at < n_head; at++) {
        if (at == point)
            text[n++] = '.';
        text[n++] = head[at];
    }
    if (at == point && d->after)
        text[n++] = '.';
    tg_grammar_lit(d->g, a, tg_str_make(text, n));
    if (at == d->n)
        return;
    const struct tg_gchar range = {(uint32_t)lo, (uint32_t)hi};
    tg_grammar_class(d->g, a, &range, 1);
    at++;
    uint32_t before = at < point ? (uint32_t)(point - at) : 0;
    tg_grammar_rep(d->g, a, d->digit, before, before);
    if (at <= point && d->after)
        tg_grammar_lit(d->g, a, TG_STR("."));
    uint32_t behind = (uint32_t)(d->n - at) - before;
    tg_grammar_rep(d->g, a, d->digit, behind, behind);
}

static bool all_are(const char *p, int n, char ch)
{
    for (int i = 0; i < n; i++)
        if (p[i] != ch)
            return false;
    return true;
}

/* Texts of one length, from lo to hi. */
static void put_length(const struct digits *d, const char *lo, const char *hi)
{
    int p = 0;
    while (p < d->n && lo[p] == hi[p])
        p++;
    if (p == d->n) {
        put_digits(d, lo, p, 1, 0);
        return;
    }
    int rest = d->n - p - 1;
    char from = lo[p], to = hi[p];
    if (!all_are(lo + p + 1, rest, '0')) {
        from++;
        for (int i = p + 1; i < d->n; i++)
            if (lo[i] < '9')
                put_digits(d, lo, i, (char)(lo[i] + 1), '9');
        put_digits(d, lo, d->n, 1, 0);
    }
    if (!all_are(hi + p + 1, rest, '9')) {
        to--;
        for (int i = p + 1; i < d->n; i++)
            if (hi[i] > '0')
                put_digits(d, hi, i, '0', (char)(hi[i] - 1));
        put_digits(d, hi, d->n, 1, 0);
    }
    if (from <= to)
        put_digits(d, lo, p, from, to);
}

static void to_digits(int64_t v, int n, char *out)
{
    for (int i = n; i-- > 0; v /= 10)
        out[i] = (char)('0' + v % 10);
}

static int count_digits(int64_t v)
{
    int n = 1;
    while (v >= 10) {
        v /= 10;
        n++;
    }
    return n;
}

/* Magnitudes from lo to hi, scaled by 10^after. */
static void put_magnitudes(struct digits *d, int64_t lo, int64_t hi)
{
    char a[MAX_DIGITS + 2], b[MAX_DIGITS + 2];
    int n = count_digits(lo) > d->after + 1 ? count_digits(lo) : d->after + 1;
    for (; n <= MAX_DIGITS && lo <= hi; n++) {
        int64_t end = pow10_of(n) - 1 < hi ? pow10_of(n) - 1 : hi;
        to_digits(lo, n, a);
        to_digits(end, n, b);
        d->n = n;
        put_length(d, a, b);
        lo = end + 1;
    }
}

static void put_scaled(struct tg_schema_conv *c, uint32_t rule, const struct limits *l, int k)
{
    bool exact;
    int64_t lo = -MAX_SCALED, hi = MAX_SCALED;
    if (l->has_lo) {
        lo = scaled(l->lo, k, &exact);
        lo += !exact || l->lo_open;
    }
    if (l->has_hi) {
        hi = scaled(l->hi, k, &exact);
        hi -= exact && l->hi_open;
    }
    lo = lo < -MAX_SCALED ? -MAX_SCALED : lo;
    hi = hi > MAX_SCALED ? MAX_SCALED : hi;
    struct digits d = {.g = c->g, .rule = rule, .digit = c->common.digit, .after = k};
    if (lo < 0 && lo <= hi) {
        d.minus = true;
        put_magnitudes(&d, hi < 0 ? -hi : 1, -lo);
    }
    d.minus = false;
    if (hi >= 0)
        put_magnitudes(&d, lo > 0 ? lo : 0, hi);
}

/* multipleOf a power of ten below one limits the decimals, 1 means whole numbers. Others are lost.
 * -1: no limit. */
static int decimals_of_multiple(struct tg_schema_conv *c, const struct tg_sview *v)
{
    int most = -1;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct tg_json *m = tg_sv_get(v, i, TG_STR("multipleOf"));
        bool exact;
        if (!tg_json_is_num(m))
            continue;
        struct decimal d = parse_decimal(tg_json_num(m), &exact);
        if (d.m == 1 && exact && d.s <= MAX_DECIMALS)
            most = most < 0 || d.s < most ? d.s : most;
        else
            tg_sc_lost(c, v->where, "multipleOf");
    }
    return most;
}

void tg_sc_number(struct tg_schema_conv *c, const struct tg_sview *v, bool whole)
{
    struct limits l = limits_of(c, v);
    int decimals = decimals_of_multiple(c, v);
    if (c->err)
        return;
    whole = whole || decimals == 0;
    if (!l.has_lo && !l.has_hi && (whole || decimals < 0)) {
        tg_grammar_ref(c->g, tg_grammar_alt(c->g, v->rule),
                       whole ? c->common.integer : c->common.number);
        return;
    }
    int most = 0;
    if (!whole) {
        int lo = l.has_lo ? l.lo.s : 0, hi = l.has_hi ? l.hi.s : 0;
        most = (lo > hi ? lo : hi) + MORE_DECIMALS;
        most = most > MAX_DECIMALS ? MAX_DECIMALS : most;
        most = decimals >= 0 && decimals < most ? decimals : most;
    }
    for (int k = 0; k <= most; k++)
        put_scaled(c, v->rule, &l, k);
}
