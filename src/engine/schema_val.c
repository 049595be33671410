/* Rules of single values: what is common to all schemas, strings, enum and const. */
#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"
#include "engine/schema_in_priv.h"

enum { TRIE_DEPTH = 48, VALUE_MAX_BYTES = 256 << 10 };

/* ---- common rules ---- */

/* One character inside a JSON string: not a quote, a backslash, a control character; or an escape,
 * but none of half a surrogate pair. */
static uint32_t make_chr(struct tg_grammar *g, uint32_t hex)
{
    static const struct tg_gchar plain[] = {
        {0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x7E}, {0xA0, 0xD7FF}, {0xE000, 0x10FFFF}};
    static const struct tg_gchar after[] = {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'},
                                            {'f', 'f'}, {'n', 'n'},   {'r', 'r'}, {'t', 't'}};
    static const struct tg_gchar not_d[] = {
        {'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}};
    static const struct tg_gchar d[] = {{'d', 'd'}, {'D', 'D'}}, low[] = {{'0', '7'}};
    uint32_t r = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_class(g, tg_grammar_alt(g, r), plain, TG_ARRAY_LEN(plain));
    struct tg_galt *a = tg_grammar_alt(g, r);
    tg_grammar_lit(g, a, TG_STR("\\"));
    tg_grammar_class(g, a, after, TG_ARRAY_LEN(after));
    a = tg_grammar_alt(g, r);
    tg_grammar_lit(g, a, TG_STR("\\u"));
    tg_grammar_class(g, a, not_d, TG_ARRAY_LEN(not_d));
    tg_grammar_rep(g, a, hex, 3, 3);
    a = tg_grammar_alt(g, r);
    tg_grammar_lit(g, a, TG_STR("\\u"));
    tg_grammar_class(g, a, d, TG_ARRAY_LEN(d));
    tg_grammar_class(g, a, low, TG_ARRAY_LEN(low));
    tg_grammar_rep(g, a, hex, 2, 2);
    return r;
}

static uint32_t make_class(struct tg_grammar *g, const struct tg_gchar *v, size_t n)
{
    uint32_t r = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_class(g, tg_grammar_alt(g, r), v, n);
    return r;
}

/* Nothing, a space, or a line with its indentation: a model that likes whitespace must not be able
 * to write it for ever. */
static uint32_t make_ws(struct tg_grammar *g)
{
    static const struct tg_gchar blank[] = {{' ', ' '}};
    uint32_t r = tg_grammar_rule(g, TG_STR("")), one = make_class(g, blank, 1);
    tg_grammar_alt(g, r);
    tg_grammar_lit(g, tg_grammar_alt(g, r), TG_STR(" "));
    struct tg_galt *a = tg_grammar_alt(g, r);
    tg_grammar_lit(g, a, TG_STR("\n"));
    tg_grammar_rep(g, a, one, 0, 16);
    return r;
}

static uint32_t make_whole(struct tg_grammar *g, uint32_t digit)
{
    static const struct tg_gchar first[] = {{'1', '9'}};
    uint32_t r = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_lit(g, tg_grammar_alt(g, r), TG_STR("0"));
    struct tg_galt *a = tg_grammar_alt(g, r);
    tg_grammar_class(g, a, first, 1);
    tg_grammar_rep(g, a, digit, 0, 14);
    return r;
}

static uint32_t maybe(struct tg_grammar *g, uint32_t what)
{
    uint32_t r = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_alt(g, r);
    tg_grammar_ref(g, tg_grammar_alt(g, r), what);
    return r;
}

static uint32_t make_number(struct tg_grammar *g, uint32_t whole, uint32_t digit)
{
    static const struct tg_gchar e[] = {{'e', 'e'}, {'E', 'E'}};
    static const struct tg_gchar signs[] = {{'+', '+'}, {'-', '-'}};
    uint32_t minus = tg_grammar_rule(g, TG_STR("")), frac = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_lit(g, tg_grammar_alt(g, minus), TG_STR("-"));
    struct tg_galt *a = tg_grammar_alt(g, frac);
    tg_grammar_lit(g, a, TG_STR("."));
    tg_grammar_rep(g, a, digit, 1, 16);
    uint32_t exp = tg_grammar_rule(g, TG_STR("")), sign = make_class(g, signs, 2);
    a = tg_grammar_alt(g, exp);
    tg_grammar_class(g, a, e, 2);
    tg_grammar_ref(g, a, maybe(g, sign));
    tg_grammar_rep(g, a, digit, 1, 2);
    uint32_t r = tg_grammar_rule(g, TG_STR(""));
    a = tg_grammar_alt(g, r);
    tg_grammar_ref(g, a, maybe(g, minus));
    tg_grammar_ref(g, a, whole);
    tg_grammar_ref(g, a, maybe(g, frac));
    tg_grammar_ref(g, a, maybe(g, exp));
    return r;
}

static uint32_t make_integer(struct tg_grammar *g, uint32_t whole)
{
    uint32_t r = tg_grammar_rule(g, TG_STR("")), minus = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_lit(g, tg_grammar_alt(g, minus), TG_STR("-"));
    struct tg_galt *a = tg_grammar_alt(g, r);
    tg_grammar_ref(g, a, maybe(g, minus));
    tg_grammar_ref(g, a, whole);
    return r;
}

/* open, then entries with commas between them, then close. */
static void put_list(struct tg_grammar *g, uint32_t rule, struct tg_str open, uint32_t entry,
                     struct tg_str close, uint32_t ws)
{
    uint32_t more = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(g, more);
    tg_grammar_lit(g, a, TG_STR(","));
    tg_grammar_ref(g, a, ws);
    tg_grammar_ref(g, a, entry);
    uint32_t some = tg_grammar_rule(g, TG_STR(""));
    a = tg_grammar_alt(g, some);
    tg_grammar_ref(g, a, entry);
    tg_grammar_rep(g, a, more, 0, TG_GRAMMAR_ENDLESS);
    a = tg_grammar_alt(g, rule);
    tg_grammar_lit(g, a, open);
    tg_grammar_ref(g, a, ws);
    tg_grammar_ref(g, a, maybe(g, some));
    tg_grammar_lit(g, a, close);
}

static void make_values(struct tg_grammar *g, struct tg_scommon *c)
{
    c->value = tg_grammar_rule(g, TG_STR(""));
    c->object = tg_grammar_rule(g, TG_STR(""));
    c->array = tg_grammar_rule(g, TG_STR(""));
    uint32_t pair = tg_grammar_rule(g, TG_STR("")), item = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(g, pair);
    tg_grammar_ref(g, a, c->string);
    tg_grammar_lit(g, a, TG_STR(":"));
    tg_grammar_ref(g, a, c->space);
    tg_grammar_ref(g, a, c->value);
    tg_grammar_ref(g, a, c->ws);
    a = tg_grammar_alt(g, item);
    tg_grammar_ref(g, a, c->value);
    tg_grammar_ref(g, a, c->ws);
    put_list(g, c->object, TG_STR("{"), pair, TG_STR("}"), c->ws);
    put_list(g, c->array, TG_STR("["), item, TG_STR("]"), c->ws);
    const uint32_t any[] = {c->object, c->array, c->string, c->number, c->boolean};
    for (size_t i = 0; i < TG_ARRAY_LEN(any); i++)
        tg_grammar_ref(g, tg_grammar_alt(g, c->value), any[i]);
    tg_grammar_lit(g, tg_grammar_alt(g, c->value), TG_STR("null"));
}

void tg_scommon_make(struct tg_grammar *g, struct tg_scommon *out)
{
    static const struct tg_gchar digits[] = {{'0', '9'}};
    static const struct tg_gchar hexes[] = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
    static const struct tg_gchar blank[] = {{' ', ' '}};
    _Static_assert(sizeof *out <= sizeof g->shared, "kept in the grammar");
    if (g->shared[0]) {
        memcpy(out, g->shared, sizeof *out);
        return;
    }
    struct tg_scommon c = {.ws = make_ws(g), .hex = make_class(g, hexes, 3)};
    c.space = maybe(g, make_class(g, blank, 1));
    c.digit = make_class(g, digits, 1);
    c.chr = make_chr(g, c.hex);
    c.string = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(g, c.string);
    tg_grammar_lit(g, a, TG_STR("\""));
    tg_grammar_rep(g, a, c.chr, 0, TG_GRAMMAR_ENDLESS);
    tg_grammar_lit(g, a, TG_STR("\""));
    uint32_t whole = make_whole(g, c.digit);
    c.integer = make_integer(g, whole);
    c.number = make_number(g, whole, c.digit);
    c.boolean = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_lit(g, tg_grammar_alt(g, c.boolean), TG_STR("true"));
    tg_grammar_lit(g, tg_grammar_alt(g, c.boolean), TG_STR("false"));
    make_values(g, &c);
    memcpy(g->shared, &c, sizeof c);
    *out = c;
}

uint32_t tg_schema_any_object(struct tg_grammar *g)
{
    struct tg_scommon c;
    tg_scommon_make(g, &c);
    return c.object;
}

uint32_t tg_schema_ws(struct tg_grammar *g)
{
    struct tg_scommon c;
    tg_scommon_make(g, &c);
    return c.ws;
}

/* ---- strings ---- */

/* What a format allows, or a part of it that every validator accepts. */
static const struct {
    struct tg_str name, pattern;
} formats[] = {
#define DAY                                                                        \
    "[0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12]" \
    "[0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
#define TIME                                                                       \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[" \
    "0-3]):[0-5][0-9])"
#define NAME "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
#define BYTE "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    {TG_STR_INIT("date"), TG_STR_INIT("^" DAY "$")},
    {TG_STR_INIT("time"), TG_STR_INIT("^" TIME "$")},
    {TG_STR_INIT("date-time"), TG_STR_INIT("^" DAY "T" TIME "$")},
    {TG_STR_INIT("duration"),
     TG_STR_INIT("^P([0-9]{1,4}W|[0-9]{1,4}Y([0-9]{1,2}M([0-9]{1,2}D)?)?|[0-9]{1,3}M([0-9]{1,2}D)?|"
                 "[0-9]{1,3}D(T[0-9]{1,2}H)?|T[0-9]{1,3}H([0-9]{1,2}M([0-9]{1,2}S)?)?|"
                 "T[0-9]{1,3}M([0-9]{1,2}S)?|T[0-9]{1,4}S)$")},
    {TG_STR_INIT("uuid"),
     TG_STR_INIT("^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")},
    {TG_STR_INIT("email"), TG_STR_INIT("^[A-Za-z0-9_+-]{1,30}(\\.[A-Za-z0-9_+-]{1,30}){0,3}@(" NAME
                                       "\\.){1,3}[a-z]{2,8}$")},
    {TG_STR_INIT("hostname"), TG_STR_INIT("^(" NAME "\\.){0,4}" NAME "$")},
    {TG_STR_INIT("ipv4"), TG_STR_INIT("^(" BYTE "\\.){3}" BYTE "$")},
    {TG_STR_INIT("ipv6"), TG_STR_INIT("^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$")},
    {TG_STR_INIT("uri"),
     TG_STR_INIT("^https?://(" NAME "\\.){1,3}[a-z]{2,8}(:[1-9][0-9]{1,3})?"
                 "(/[A-Za-z0-9._~-]{1,60}){0,8}/?(\\?[A-Za-z0-9._~=&-]{1,80})?$")},
#undef DAY
#undef TIME
#undef NAME
#undef BYTE
};

void tg_sc_limits(struct tg_schema_conv *c, const struct tg_sview *v, const char *min_key,
                  const char *max_key, uint32_t *out_min, uint32_t *out_max)
{
    const char *keys[2] = {min_key, max_key};
    *out_min = 0;
    *out_max = TG_GRAMMAR_ENDLESS;
    for (uint32_t i = 0; i < v->n; i++)
        for (int k = 0; k < 2; k++) {
            const struct tg_json *limit = tg_sv_get(v, i, tg_str_c(keys[k]));
            int64_t n;
            if (tg_json_is_nil(limit))
                continue;
            int rc = tg_json_i64(limit, &n);
            if (rc == TG_E_RANGE)
                n = INT64_MAX;
            if ((rc && rc != TG_E_RANGE) || n < 0) {
                tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, keys[k],
                           "it must be a whole number from 0 on");
                return;
            }
            uint32_t u = n > UINT32_MAX - 1 ? UINT32_MAX - 1 : (uint32_t)n;
            if (k == 0 && u > *out_min)
                *out_min = u;
            if (k == 1 && u < *out_max)
                *out_max = u;
        }
}

static void put_string(struct tg_schema_conv *c, const struct tg_sview *v, uint32_t inside)
{
    struct tg_galt *a = tg_grammar_alt(c->g, v->rule);
    tg_grammar_lit(c->g, a, TG_STR("\""));
    tg_grammar_ref(c->g, a, inside);
    tg_grammar_lit(c->g, a, TG_STR("\""));
}

/* A rule of the pattern; false when it can't be held to, which was noted or failed. */
static bool put_pattern(struct tg_schema_conv *c, const struct tg_sview *v, struct tg_str pattern,
                        const char *key)
{
    uint32_t rule;
    int rc = tg_regex_rule(c->g, &c->common, pattern, &rule);
    if (rc == TG_E_UNSUPPORTED_PARAMETER) {
        tg_sc_lost(c, v->where, key);
        return false;
    }
    if (rc < 0)
        tg_sc_fail(c, TG_E_NOMEM, v->where, key, "");
    else
        put_string(c, v, rule);
    return true;
}

/* The view's pattern; others beside it are lost. */
static struct tg_str only_pattern(struct tg_schema_conv *c, const struct tg_sview *v)
{
    struct tg_str found = {NULL, 0};
    for (uint32_t i = 0; i < v->n; i++) {
        struct tg_str p = tg_json_str(tg_sv_get(v, i, TG_STR("pattern")));
        if (found.p && p.p && !tg_str_eq(found, p))
            tg_sc_lost(c, v->where, "pattern");
        if (!found.p)
            found = p;
    }
    return found;
}

static struct tg_str format_pattern(const struct tg_sview *v)
{
    for (uint32_t i = 0; i < v->n; i++)
        for (size_t k = 0; k < TG_ARRAY_LEN(formats); k++)
            if (tg_json_str_is(tg_sv_get(v, i, TG_STR("format")), formats[k].name))
                return formats[k].pattern;
    return (struct tg_str){NULL, 0};
}

static uint32_t string_of_length(struct tg_schema_conv *c, uint32_t min, uint32_t max)
{
    for (uint32_t i = 0; i < c->n_lengths; i++)
        if (c->lengths[i].min == min && c->lengths[i].max == max)
            return c->lengths[i].rule;
    uint32_t r = tg_grammar_rule(c->g, TG_STR(""));
    tg_grammar_rep(c->g, tg_grammar_alt(c->g, r), c->common.chr, min, max);
    if (c->n_lengths < TG_ARRAY_LEN(c->lengths)) {
        c->lengths[c->n_lengths].min = min;
        c->lengths[c->n_lengths].max = max;
        c->lengths[c->n_lengths++].rule = r;
    }
    return r;
}

void tg_sc_string(struct tg_schema_conv *c, const struct tg_sview *v)
{
    uint32_t min, max;
    struct tg_str pattern = only_pattern(c, v), format = format_pattern(v);
    tg_sc_limits(c, v, "minLength", "maxLength", &min, &max);
    if (c->err || min > max)
        return;
    bool held = pattern.p && put_pattern(c, v, pattern, "pattern");
    if (held && format.p)
        tg_sc_lost(c, v->where, "format");
    if (!held && format.p)
        held = put_pattern(c, v, format, "format");
    if (held && min > 0)
        tg_sc_lost(c, v->where, "minLength");
    if (held && max != TG_GRAMMAR_ENDLESS)
        tg_sc_lost(c, v->where, "maxLength");
    if (!held && min == 0 && max == TG_GRAMMAR_ENDLESS)
        tg_grammar_ref(c->g, tg_grammar_alt(c->g, v->rule), c->common.string);
    else if (!held)
        put_string(c, v, string_of_length(c, min, max));
}

/* ---- enum and const ---- */

/* Compact JSON; the parser has limited the depth. */
static void write_value(struct tg_buf *b, const struct tg_json *v)
{
    struct tg_json_iter it = tg_json_iter(v);
    switch (tg_json_type(v)) {
    case TG_JSON_STRING:
        tg_buf_json_str(b, tg_json_str(v));
        return;
    case TG_JSON_NUMBER:
        tg_buf_str_add(b, tg_json_num(v));
        return;
    case TG_JSON_BOOL:
        tg_buf_str_add(b, tg_json_true(v) ? TG_STR("true") : TG_STR("false"));
        return;
    case TG_JSON_OBJECT:
    case TG_JSON_ARRAY:
        tg_buf_char(b, it.object_ ? '{' : '[');
        while (tg_json_next(&it)) {
            if (it.index)
                tg_buf_char(b, ',');
            if (it.key) {
                tg_buf_json_str(b, it.name);
                tg_buf_char(b, ':');
            }
            write_value(b, it.value);
        }
        tg_buf_char(b, tg_json_is_obj(v) ? '}' : ']');
        return;
    case TG_JSON_NULL:
    case TG_JSON_ABSENT:
        break;
    }
    tg_buf_lit(b, "null");
}

static struct tg_str value_text(struct tg_schema_conv *c, const struct tg_json *v)
{
    struct tg_buf b;
    tg_buf_init(&b, VALUE_MAX_BYTES);
    write_value(&b, v);
    struct tg_str s =
        tg_buf_ok(&b) ? tg_arena_dup(&c->arena, tg_buf_str(&b)) : (struct tg_str){NULL, 0};
    tg_buf_fini(&b);
    if (!s.p)
        tg_sc_fail(c, TG_E_NOMEM, c->where, "", "");
    return s;
}

static unsigned value_type(const struct tg_json *v)
{
    int64_t n;
    double d;
    switch (tg_json_type(v)) {
    case TG_JSON_BOOL:
        return TG_JT_BOOL;
    case TG_JSON_NUMBER:
        if (tg_json_i64(v, &n) == 0 || (tg_json_double(v, &d) == 0 && (d > 9e15 || d < -9e15)))
            return TG_JT_INT;
        return TG_JT_FRACTION;
    case TG_JSON_STRING:
        return TG_JT_STRING;
    case TG_JSON_ARRAY:
        return TG_JT_ARRAY;
    case TG_JSON_OBJECT:
        return TG_JT_OBJECT;
    case TG_JSON_NULL:
    case TG_JSON_ABSENT:
        break;
    }
    return TG_JT_NULL;
}

/* Equal values of equal spelling; members in the same order. */
static bool same_value(const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter ia = tg_json_iter(a), ib = tg_json_iter(b);
    if (tg_json_type(a) != tg_json_type(b) || tg_json_count(a) != tg_json_count(b))
        return false;
    if (tg_json_is_str(a))
        return tg_str_eq(tg_json_str(a), tg_json_str(b));
    if (tg_json_is_num(a))
        return tg_str_eq(tg_json_num(a), tg_json_num(b));
    if (tg_json_is_bool(a))
        return tg_json_true(a) == tg_json_true(b);
    while (tg_json_next(&ia) && tg_json_next(&ib))
        if (!tg_str_eq(ia.name, ib.name) || !same_value(ia.value, ib.value))
            return false;
    return true;
}

static bool in_enum(const struct tg_json *list, const struct tg_json *value)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it))
        if (same_value(it.value, value))
            return true;
    return false;
}

static uint32_t characters(struct tg_str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += !tg_utf8_is_tail((unsigned char)s.p[i]);
    return n;
}

/* Whether the other keywords of the view allow the value. */
static bool value_fits(struct tg_schema_conv *c, const struct tg_sview *v,
                       const struct tg_json *value, const struct tg_json *list, unsigned types)
{
    uint32_t min, max;
    if (!(value_type(value) & types))
        return false;
    if (tg_json_is_num(value) && !tg_sc_number_fits(c, v, value))
        return false;
    if (tg_json_is_str(value)) {
        tg_sc_limits(c, v, "minLength", "maxLength", &min, &max);
        uint32_t n = characters(tg_json_str(value));
        if (n < min || n > max)
            return false;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        const struct tg_json *other = tg_sv_get(v, i, TG_STR("enum"));
        const struct tg_json *one = tg_sv_get(v, i, TG_STR("const"));
        if ((other && other != list && !in_enum(other, value)) || (one && !same_value(one, value)))
            return false;
    }
    return true;
}

static int by_text(const void *a, const void *b)
{
    return tg_str_cmp(*(const struct tg_str *)a, *(const struct tg_str *)b);
}

static void trie(struct tg_grammar *g, uint32_t rule, const struct tg_str *t, size_t n, size_t at,
                 unsigned depth)
{
    for (size_t i = 0, k; i < n; i = k) {
        struct tg_str rest = tg_str_from(t[i], at);
        size_t len = tg_utf8_len(rest), same = len;
        for (k = i + 1; len && depth < TRIE_DEPTH && k < n; k++)
            if (!tg_str_starts(tg_str_from(t[k], at), tg_str_first(rest, len)))
                break;
        struct tg_galt *a = tg_grammar_alt(g, rule);
        if (k == i + 1) {
            tg_grammar_lit(g, a, rest);
            continue;
        }
        /* As many characters as the first and the last of a sorted group share, all share. */
        struct tg_str last = tg_str_from(t[k - 1], at);
        while (same < rest.n && (len = tg_utf8_len(tg_str_from(rest, same))) > 0 &&
               tg_str_starts(last, tg_str_first(rest, same + len)))
            same += len;
        uint32_t sub = tg_grammar_rule(g, TG_STR(""));
        tg_grammar_lit(g, a, tg_str_first(rest, same));
        tg_grammar_ref(g, a, sub);
        trie(g, sub, t + i, k - i, at + same, depth + 1);
    }
}

void tg_sc_trie(struct tg_grammar *g, uint32_t rule, struct tg_str *texts, size_t n)
{
    size_t kept = 0;
    if (n == 0)
        return;
    qsort(texts, n, sizeof *texts, by_text);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !tg_str_eq(texts[kept - 1], texts[i]))
            texts[kept++] = texts[i];
    trie(g, rule, texts, kept, 0, 0);
}

/* The list of values to choose from (NULL: `*out_one` is the only one), and how many comparisons
 * the lists of the view ask for. */
static const struct tg_json *value_list(struct tg_schema_conv *c, const struct tg_sview *v,
                                        const struct tg_json **out_one)
{
    enum { MOST_WORK = 1 << 20 };
    const struct tg_json *list = NULL;
    size_t work = 1;
    *out_one = NULL;
    for (uint32_t i = 0; i < v->n; i++) {
        const struct tg_json *e = tg_sv_get(v, i, TG_STR("enum"));
        const struct tg_json *one = tg_sv_get(v, i, TG_STR("const"));
        *out_one = *out_one ? *out_one : one;
        list = list ? list : e;
        if (!e)
            continue;
        size_t n = tg_json_count(e);
        if (!tg_json_is_arr(e))
            tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, "enum", "it must be a list of values");
        else if (n > TG_SCHEMA_VALUES || work * (n + 1) > MOST_WORK)
            tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, v->where, "enum", "it has too many values");
        work *= n + 1;
        (void)tg_sc_work(c, work);
    }
    return *out_one ? NULL : list;
}

void tg_sc_values(struct tg_schema_conv *c, const struct tg_sview *v, unsigned types)
{
    const struct tg_json *one, *list = value_list(c, v, &one);
    size_t n = 0;
    struct tg_str *texts = tg_arena_array(&c->arena, tg_json_count(list) + 1, sizeof *texts);
    if (!texts)
        tg_sc_fail(c, TG_E_NOMEM, v->where, "", "");
    struct tg_json_iter it = tg_json_iter(list);
    if (one && !c->err && value_fits(c, v, one, NULL, types))
        texts[n++] = value_text(c, one);
    while (!c->err && tg_json_next(&it))
        if (value_fits(c, v, it.value, list, types))
            texts[n++] = value_text(c, it.value);
    if (!c->err)
        tg_sc_trie(c->g, v->rule, texts, n);
}
