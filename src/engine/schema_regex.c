/* The subset of ECMA-262 patterns that is a regular language, to rules: alternatives, groups,
 * quantifiers, classes with \d \w \s, escapes, and anchors at the ends. What they match is the
 * inside of a JSON string, so quotes, backslashes and control characters come out escaped.
 * Not in it: look-around, back references, word boundaries, \p{…}, flags. */
#include <stdio.h>

#include "base/err.h"
#include "base/utf8.h"
#include "engine/schema_in_priv.h"

enum {
    MAX_DEPTH = 32,
    MAX_RANGES = 256,
    MAX_PATTERN_BYTES = 4096,
    MAX_COUNT = 1000,
    LAST_POINT = 0x10FFFF,
};

struct set {
    struct tg_gchar v[MAX_RANGES];
    size_t n;
    bool full; /* more ranges than fit */
};

struct regex {
    struct tg_grammar *g;
    const struct tg_scommon *common;
    const char *p, *end;
    bool bad;
};

/* What was just parsed: a rule that matches it, and whether that may be nothing. */
struct node {
    uint32_t rule;
    bool may_be_empty;
};

static bool more(const struct regex *x)
{
    return !x->bad && x->p < x->end;
}

static bool take(struct regex *x, char c)
{
    if (!more(x) || *x->p != c)
        return false;
    x->p++;
    return true;
}

static bool next_is(const struct regex *x, const char *s)
{
    size_t n = strlen(s);
    return more(x) && (size_t)(x->end - x->p) >= n && memcmp(x->p, s, n) == 0;
}

/* The next character; the pattern is valid UTF-8. */
static uint32_t take_point(struct regex *x)
{
    static const uint8_t first_mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t n = more(x) ? tg_utf8_len(tg_str_make(x->p, (size_t)(x->end - x->p))) : 0;
    if (n == 0) {
        x->bad = true;
        return 0;
    }
    uint32_t c = (uint8_t)x->p[0] & first_mask[n];
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((uint8_t)x->p[i] & 0x3F);
    x->p += n;
    return c;
}

/* ---- sets of characters ---- */

static void set_add(struct set *s, uint32_t lo, uint32_t hi)
{
    if (s->n == MAX_RANGES)
        s->full = true;
    else
        s->v[s->n++] = (struct tg_gchar){lo, hi};
}

/* Sorts and joins. */
static void set_tidy(struct set *s)
{
    for (size_t i = 1; i < s->n; i++)
        for (size_t k = i; k > 0 && s->v[k - 1].lo > s->v[k].lo; k--) {
            struct tg_gchar t = s->v[k];
            s->v[k] = s->v[k - 1];
            s->v[k - 1] = t;
        }
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (n && s->v[i].lo <= s->v[n - 1].hi + 1) {
            if (s->v[i].hi > s->v[n - 1].hi)
                s->v[n - 1].hi = s->v[i].hi;
        } else {
            s->v[n++] = s->v[i];
        }
    }
    s->n = n;
}

static void set_invert(struct set *s)
{
    struct set out = {.n = 0, .full = s->full};
    uint32_t from = 0;
    set_tidy(s);
    for (size_t i = 0; i < s->n; i++) {
        if (from < s->v[i].lo)
            set_add(&out, from, s->v[i].lo - 1);
        from = s->v[i].hi + 1;
    }
    if (from <= LAST_POINT)
        set_add(&out, from, LAST_POINT);
    *s = out;
}

static bool set_has(const struct set *s, uint32_t c)
{
    for (size_t i = 0; i < s->n; i++)
        if (c >= s->v[i].lo && c <= s->v[i].hi)
            return true;
    return false;
}

/* \d \w \s and their opposites; false: not one of them. */
static bool set_of_escape(struct set *s, char name)
{
    static const struct tg_gchar digits[] = {{'0', '9'}};
    static const struct tg_gchar word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const struct tg_gchar space[] = {
        {9, 13},          {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
        {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    static const struct {
        char name;
        const struct tg_gchar *v;
        size_t n;
    } classes[] = {{'d', digits, 1}, {'w', word, 4}, {'s', space, TG_ARRAY_LEN(space)}};
    for (size_t i = 0; i < TG_ARRAY_LEN(classes); i++) {
        bool invert = name == classes[i].name - 32;
        if (name != classes[i].name && !invert)
            continue;
        struct set one = {.n = 0};
        for (size_t k = 0; k < classes[i].n; k++)
            set_add(&one, classes[i].v[k].lo, classes[i].v[k].hi);
        if (invert)
            set_invert(&one);
        for (size_t k = 0; k < one.n; k++)
            set_add(s, one.v[k].lo, one.v[k].hi);
        return true;
    }
    return false;
}

/* ---- writing sets and characters as the inside of a JSON string ---- */

/* The escape of a character that may not stand in a JSON string as it is; "" if it may. */
static struct tg_str escape_of(uint32_t c, char out[8])
{
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = c < 0x80 && c ? strchr(names, (int)c) : NULL;
    int n = 0;
    if (at)
        n = snprintf(out, 8, "\\%c", letters[at - names]);
    else if (c < 0x20)
        n = snprintf(out, 8, "\\u%04x", c);
    return tg_str_make(out, n > 0 ? (size_t)n : 0);
}

static void put_char(struct regex *x, struct tg_galt *a, uint32_t c)
{
    char buf[8];
    struct tg_str s = escape_of(c, buf);
    if (s.n == 0)
        s = tg_str_make(buf, tg_utf8_encode(c, buf));
    if (s.n == 0)
        x->bad = true; /* half a surrogate pair */
    tg_grammar_lit(x->g, a, s);
}

/* Without quote, backslash, control characters and surrogates. */
static void plain_part(const struct set *s, struct set *out)
{
    static const struct tg_gchar cut[] = {
        {0, 0x1F}, {'"', '"'}, {'\\', '\\'}, {0x7F, 0x9F}, {0xD800, 0xDFFF}};
    struct set inverse = *s;
    set_invert(&inverse);
    for (size_t i = 0; i < TG_ARRAY_LEN(cut); i++)
        set_add(&inverse, cut[i].lo, cut[i].hi);
    set_invert(&inverse);
    *out = inverse;
}

static struct node put_set(struct regex *x, struct set *s)
{
    struct node n = {tg_grammar_rule(x->g, TG_STR("")), false};
    struct set plain;
    char buf[8];
    set_tidy(s);
    plain_part(s, &plain);
    x->bad = x->bad || s->full || plain.full;
    if (x->bad)
        return n;
    if (plain.n)
        tg_grammar_class(x->g, tg_grammar_alt(x->g, n.rule), plain.v, plain.n);
    bool wide =
        s->n && s->v[s->n - 1].hi > 0xFFFF; /* an opposite: its control characters are not meant */
    for (uint32_t c = 0; c < 0x80; c++)
        if (set_has(s, c) && escape_of(c, buf).n && (c >= 9 || !wide) &&
            (c < 0x0E || c > 0x1F || !wide))
            tg_grammar_lit(x->g, tg_grammar_alt(x->g, n.rule), escape_of(c, buf));
    return n;
}

/* ---- escapes ---- */

static uint32_t take_hex(struct regex *x, int digits)
{
    uint32_t v = 0;
    for (int i = 0; i < digits; i++) {
        char c = more(x) ? *x->p : 0;
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) {
            x->bad = true;
            return 0;
        }
        v = v << 4 | (uint32_t)d;
        x->p++;
    }
    return v;
}

static uint32_t take_braced_hex(struct regex *x)
{
    uint32_t v = 0;
    int n = 0;
    while (!take(x, '}') && !x->bad && n++ < 7)
        v = v << 4 | take_hex(x, 1);
    if (n == 0 || n > 6 || v > LAST_POINT)
        x->bad = true;
    return v;
}

/* The character that \X stands for, behind the backslash; classes were taken before. */
static uint32_t take_escaped(struct regex *x)
{
    uint32_t c = take_point(x);
    switch (c) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 'f':
        return '\f';
    case 'v':
        return '\v';
    case '0':
        x->bad = x->bad || (more(x) && *x->p >= '0' && *x->p <= '9');
        return 0;
    case 'x':
        return take_hex(x, 2);
    case 'u':
        return take(x, '{') ? take_braced_hex(x) : take_hex(x, 4);
    default:
        /* \b \B \1 \k \p \c … have meanings of their own. */
        if (c < 0x80 &&
            ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')))
            x->bad = true;
        return c;
    }
}

/* ---- classes ---- */

/* One member of a class: true when it is a single character. */
static bool take_class_member(struct regex *x, struct set *s, uint32_t *out)
{
    if (take(x, '\\')) {
        if (more(x) && set_of_escape(s, *x->p)) {
            x->p++;
            return false;
        }
        *out = take(x, 'b') ? '\b' : take_escaped(x);
        return true;
    }
    *out = take_point(x);
    return true;
}

static struct node take_class(struct regex *x)
{
    struct set s = {.n = 0};
    bool invert = take(x, '^');
    uint32_t lo = 0, hi = 0;
    while (!take(x, ']')) {
        if (!more(x)) {
            x->bad = true;
            break;
        }
        bool single = take_class_member(x, &s, &lo);
        hi = lo;
        if (single && next_is(x, "-") && !next_is(x, "-]")) {
            x->p++;
            if (!take_class_member(x, &s, &hi) || hi < lo)
                x->bad = true;
        }
        if (single && !x->bad)
            set_add(&s, lo, hi);
    }
    if (invert)
        set_invert(&s);
    return put_set(x, &s);
}

/* ---- atoms, quantifiers, sequences ---- */

static struct node take_alternatives(struct regex *x, unsigned depth);

static struct node take_group(struct regex *x, unsigned depth)
{
    struct node n = {0, false};
    if (take(x, '?')) {
        if (next_is(x, "<") && !next_is(x, "<=") && !next_is(x, "<!")) {
            while (more(x) && *x->p != '>')
                x->p++;
            x->bad = x->bad || !take(x, '>');
        } else if (!take(x, ':')) {
            x->bad = true; /* look-around, flags */
        }
    }
    if (depth >= MAX_DEPTH)
        x->bad = true;
    if (!x->bad)
        n = take_alternatives(x, depth + 1);
    x->bad = x->bad || !take(x, ')');
    return n;
}

static struct node take_dot(struct regex *x)
{
    struct set s = {.n = 0};
    set_add(&s, '\n', '\n');
    set_add(&s, '\r', '\r');
    set_add(&s, 0x2028, 0x2029);
    set_invert(&s);
    return put_set(x, &s);
}

static struct node one_char(struct regex *x, uint32_t c)
{
    struct node n = {tg_grammar_rule(x->g, TG_STR("")), false};
    put_char(x, tg_grammar_alt(x->g, n.rule), c);
    return n;
}

static struct node take_atom(struct regex *x, unsigned depth)
{
    struct set s = {.n = 0};
    if (take(x, '('))
        return take_group(x, depth);
    if (take(x, '['))
        return take_class(x);
    if (take(x, '.'))
        return take_dot(x);
    if (take(x, '\\')) {
        if (more(x) && set_of_escape(&s, *x->p)) {
            x->p++;
            return put_set(x, &s);
        }
        return one_char(x, take_escaped(x));
    }
    if (more(x) && strchr("*+?^$)", *x->p))
        x->bad = true; /* nothing to repeat; an anchor in the middle */
    return one_char(x, take_point(x));
}

static bool take_number(struct regex *x, uint32_t *out)
{
    const char *from = x->p;
    uint32_t v = 0;
    while (more(x) && *x->p >= '0' && *x->p <= '9') {
        v = v > MAX_COUNT ? v : v * 10 + (uint32_t)(*x->p - '0');
        x->p++;
    }
    *out = v;
    return x->p > from;
}

/* {m}, {m,} and {m,n}; anything else is text, and the pattern stands where it stood. */
static bool take_counts(struct regex *x, uint32_t *min, uint32_t *max)
{
    const char *from = x->p;
    if (take(x, '{') && take_number(x, min)) {
        *max = *min;
        if (take(x, ',') && !take_number(x, max))
            *max = TG_GRAMMAR_ENDLESS;
        if (take(x, '}')) {
            x->bad = x->bad || *min > *max || *min > MAX_COUNT ||
                     (*max > MAX_COUNT && *max != TG_GRAMMAR_ENDLESS);
            return true;
        }
    }
    x->p = from;
    return false;
}

static bool take_quantifier(struct regex *x, uint32_t *min, uint32_t *max)
{
    *min = 0;
    *max = TG_GRAMMAR_ENDLESS;
    if (take(x, '+'))
        *min = 1;
    else if (take(x, '?'))
        *max = 1;
    else if (!take(x, '*') && !take_counts(x, min, max))
        return false;
    (void)take(x, '?'); /* lazy: the same texts */
    return true;
}

/* One alternative; `edge` allows anchors at its ends, whose absence opens them to any text. */
static bool take_sequence(struct regex *x, uint32_t rule, unsigned depth, bool edge)
{
    struct tg_galt *a = tg_grammar_alt(x->g, rule);
    bool empty = true, at_end = false;
    if (edge && !take(x, '^'))
        tg_grammar_rep(x->g, a, x->common->chr, 0, TG_GRAMMAR_ENDLESS);
    while (more(x) && *x->p != '|' && *x->p != ')') {
        uint32_t min, max;
        if (edge && take(x, '$')) {
            at_end = true;
            x->bad = x->bad || (x->p < x->end && *x->p != '|');
            break;
        }
        struct node n = take_atom(x, depth);
        if (x->bad)
            return false;
        if (!take_quantifier(x, &min, &max))
            min = max = 1;
        if (max == TG_GRAMMAR_ENDLESS && n.may_be_empty)
            x->bad = true;
        if (x->bad)
            return false;
        tg_grammar_rep(x->g, a, n.rule, min, max);
        empty = empty && (min == 0 || n.may_be_empty);
    }
    if (edge && !at_end)
        tg_grammar_rep(x->g, a, x->common->chr, 0, TG_GRAMMAR_ENDLESS);
    return empty;
}

static struct node take_alternatives(struct regex *x, unsigned depth)
{
    struct node n = {tg_grammar_rule(x->g, TG_STR("")), false};
    do {
        bool empty = take_sequence(x, n.rule, depth, depth == 0);
        n.may_be_empty = n.may_be_empty || empty;
    } while (take(x, '|'));
    return n;
}

int tg_regex_rule(struct tg_grammar *g, const struct tg_scommon *common, struct tg_str pattern,
                  uint32_t *out_rule)
{
    struct regex x = {.g = g, .common = common, .p = pattern.p, .end = pattern.p + pattern.n};
    if (pattern.n > MAX_PATTERN_BYTES)
        return TG_E_UNSUPPORTED_PARAMETER;
    struct node n = take_alternatives(&x, 0);
    if (x.bad || x.p != x.end)
        return TG_E_UNSUPPORTED_PARAMETER;
    if (!tg_grammar_ok(g))
        return g->err;
    *out_rule = n.rule;
    return 0;
}
