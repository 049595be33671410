#include "engine/schema_in_priv.h"

#include <stdio.h>

#include "base/err.h"
#include "base/map.h"
#include "base/num.h"

enum {
    ARENA_FIRST_BYTES = 32 << 10,
    ARENA_MAX_BYTES = 16 << 20,
    PATH_MAX_BYTES = 90, /* of tg_fail.param */
    MAX_WORK = 20000000,
    LOOKUPS = 64, /* of keywords in one schema object of a view, about */
    USED_ANY = 1,
    USED_ONE = 2,
};

/* ---- failing ---- */

struct tg_str tg_sc_path(struct tg_schema_conv *c, struct tg_str where, const char *word,
                         struct tg_str name)
{
    char quoted[64];
    if (where.n + strlen(word) + name.n + 2 > PATH_MAX_BYTES)
        return where; /* as deep as can be named */
    struct tg_str s = tg_arena_printf(&c->g->arena, "%.*s%s%s%s%s", TG_STR_ARG(where),
                                      word[0] ? "." : "", word, name.n ? "." : "",
                                      name.n ? tg_fail_quote(name, quoted, sizeof quoted) : "");
    return s.p ? s : where;
}

void tg_sc_fail(struct tg_schema_conv *c, int err, struct tg_str where, const char *key,
                const char *why)
{
    char param[96];
    if (c->err)
        return;
    c->err = err;
    snprintf(param, sizeof param, "%.*s%s%s", TG_STR_ARG(where), key[0] ? "." : "", key);
    if (err == TG_E_NOMEM)
        tg_fail_set(c->f, err, "out of memory for the schema");
    else
        tg_fail_param(c->f, err, param, "%s: %s", param, why);
}

void tg_sc_lost(struct tg_schema_conv *c, struct tg_str where, const char *key)
{
    struct tg_str path = tg_sc_path(c, where, key, TG_STR(""));
    if (c->strict) {
        tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, where, key,
                   "a local model can't be held to this keyword, and strict was asked for");
        return;
    }
    if (!c->lost || (c->lost->n && tg_str_find(tg_buf_str(c->lost), path) >= 0))
        return;
    if (c->lost->n + path.n + 2 > c->lost->max_bytes)
        return;
    if (c->lost->n)
        tg_buf_lit(c->lost, ", ");
    tg_buf_str_add(c->lost, path);
}

bool tg_sc_work(struct tg_schema_conv *c, uint64_t n)
{
    c->work += n;
    if (!c->err && c->work > MAX_WORK)
        tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, c->where, "", "the schema is too large");
    return !c->err;
}

static void no_memory(struct tg_schema_conv *c)
{
    tg_sc_fail(c, TG_E_NOMEM, c->where, "", "");
}

bool tg_sv_has(const struct tg_sview *v, struct tg_str key)
{
    for (uint32_t i = 0; i < v->n; i++)
        if (tg_sv_get(v, i, key))
            return true;
    return false;
}

/* ---- $ref ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One step of a JSON pointer in a URI fragment: %XX, then ~1 and ~0. {NULL,0}: malformed. */
static struct tg_str pointer_step(struct tg_arena *a, struct tg_str s)
{
    char *out = tg_arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        char ch = s.p[i];
        if (ch == '%') {
            bool whole = i + 2 < s.n;
            int hi = whole ? hex_digit(s.p[i + 1]) : -1, lo = whole ? hex_digit(s.p[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return (struct tg_str){NULL, 0};
            ch = (char)(hi * 16 + lo);
            i += 2;
        }
        if (ch == '~' && i + 1 < s.n && (s.p[i + 1] == '0' || s.p[i + 1] == '1'))
            ch = s.p[++i] == '0' ? '~' : '/';
        out[n++] = ch;
    }
    return tg_str_make(out, out ? n : 0);
}

static const struct tg_json *resolve(struct tg_schema_conv *c, struct tg_str ref)
{
    const struct tg_json *v = c->root;
    struct tg_str rest = tg_str_from(ref, 1), step;
    if (ref.n == 0 || ref.p[0] != '#' || (rest.n && rest.p[0] != '/'))
        return NULL;
    rest = tg_str_from(rest, 1);
    while (v && ref.n > 1 && tg_str_split(&rest, '/', &step)) {
        struct tg_str name = pointer_step(&c->arena, step);
        uint64_t index;
        if (!name.p || !tg_sc_work(c, tg_json_count(v)))
            return NULL;
        if (tg_json_is_arr(v))
            v = tg_parse_u64(name, &index) == 0 && index < SIZE_MAX ? tg_json_at(v, (size_t)index)
                                                                    : NULL;
        else
            v = tg_json_get(v, name);
    }
    return v;
}

/* ---- views ---- */

enum keyword_use { LOST, REFUSED };
struct keyword {
    struct tg_str name;
    enum keyword_use use;
};

/* Keywords that are neither followed nor mere annotations. */
static const struct keyword keywords[] = {
    {TG_STR_INIT("not"), LOST},
    {TG_STR_INIT("if"), LOST},
    {TG_STR_INIT("contains"), LOST},
    {TG_STR_INIT("dependentRequired"), LOST},
    {TG_STR_INIT("dependentSchemas"), LOST},
    {TG_STR_INIT("dependencies"), LOST},
    {TG_STR_INIT("$dynamicRef"), REFUSED},
    {TG_STR_INIT("$recursiveRef"), REFUSED},
};

static void check_keywords(struct tg_schema_conv *c, const struct tg_json *s, struct tg_str where)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(keywords); i++) {
        if (!tg_json_get(s, keywords[i].name))
            continue;
        if (keywords[i].use == LOST)
            tg_sc_lost(c, where, keywords[i].name.p);
        else
            tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, where, keywords[i].name.p,
                       "a local model can't follow this keyword");
    }
    if (tg_json_true(tg_json_get(s, TG_STR("uniqueItems"))))
        tg_sc_lost(c, where, "uniqueItems");
}

static void add_member(struct tg_schema_conv *c, struct tg_sview *v, const struct tg_json *s,
                       unsigned depth);

static void follow(struct tg_schema_conv *c, struct tg_sview *v, const struct tg_json *s,
                   unsigned depth)
{
    const struct tg_json *ref = tg_json_get(s, TG_STR("$ref"));
    const struct tg_json *all = tg_json_get(s, TG_STR("allOf"));
    if (ref) {
        const struct tg_json *to = resolve(c, tg_json_str(ref));
        if (!to)
            tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, v->where, "$ref",
                       "it must point to a part of this schema, as in \"#/$defs/name\"");
        else
            add_member(c, v, to, depth + 1);
    }
    if (all && (!tg_json_is_arr(all) || tg_json_count(all) == 0))
        tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, "allOf", "it must be a list of schemas");
    struct tg_json_iter it = tg_json_iter(all);
    while (!c->err && tg_json_next(&it))
        add_member(c, v, it.value, depth + 1);
}

/* Adds a schema and all that it says must hold too. */
static void add_member(struct tg_schema_conv *c, struct tg_sview *v, const struct tg_json *s,
                       unsigned depth)
{
    if (c->err)
        return;
    if (tg_json_is_bool(s)) {
        v->never = v->never || !tg_json_true(s);
        return;
    }
    if (!tg_json_is_obj(s)) {
        tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, "", "a schema is an object, true or false");
        return;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->m[i] != s)
            continue;
        if (v->open[i] || v->used[i])
            tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, "$ref", "the schema is made of itself");
        return;
    }
    if (v->n == TG_SCHEMA_MEMBERS || depth > 2 * TG_SCHEMA_MEMBERS) {
        tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, v->where, "allOf",
                   "too many schemas are put together for one value");
        return;
    }
    if (!tg_sc_work(c, tg_json_count(s) * LOOKUPS / 4))
        return;
    uint32_t at = v->n++;
    v->m[at] = s;
    v->used[at] = 0;
    v->open[at] = true;
    check_keywords(c, s, v->where);
    follow(c, v, s, depth);
    v->open[at] = false;
}

static uint64_t view_hash(const struct tg_sview *v)
{
    uint64_t h = v->never;
    for (uint32_t i = 0; i < v->n; i++)
        h += ((uint64_t)(uintptr_t)v->m[i] * 0x9E3779B97F4A7C15u) ^ (uint64_t)v->used[i] << 3;
    return h ^ h >> 29;
}

static bool view_equal(const struct tg_sview *a, const struct tg_sview *b)
{
    if (a->n != b->n || a->never != b->never)
        return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->m[i] != b->m[i] || a->used[i] != b->used[i])
            return false;
    return true;
}

/* The rule of a view that was gathered in `v`, which is copied. */
static uint32_t enqueue(struct tg_schema_conv *c, const struct tg_sview *v)
{
    if (c->err)
        return 0;
    struct tg_sview **bucket = &c->buckets[view_hash(v) % TG_SCHEMA_BUCKETS];
    for (struct tg_sview *o = *bucket; o; o = o->next_hash)
        if (view_equal(o, v))
            return o->rule;
    if (c->n_views == TG_SCHEMA_VIEWS) {
        tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, c->where, "", "the schema is too large");
        return 0;
    }
    struct tg_sview *mine = tg_arena_alloc(&c->arena, sizeof *mine);
    if (!mine) {
        no_memory(c);
        return 0;
    }
    *mine = *v;
    mine->rule = tg_grammar_rule(c->g, v->where);
    mine->next_hash = *bucket;
    *bucket = mine;
    mine->next_queue = NULL;
    *c->last = mine;
    c->last = &mine->next_queue;
    c->n_views++;
    return mine->rule;
}

uint32_t tg_sc_rule(struct tg_schema_conv *c, const struct tg_json *const *schemas, size_t n,
                    struct tg_str where)
{
    struct tg_sview v;
    v.n = 0;
    v.never = false;
    v.where = where;
    for (size_t i = 0; i < n; i++)
        add_member(c, &v, schemas[i], 0);
    return enqueue(c, &v);
}

/* ---- types ---- */

static unsigned type_bit(struct tg_str name)
{
    static const struct {
        struct tg_str name;
        unsigned bits;
    } types[] = {
        {TG_STR_INIT("null"), TG_JT_NULL},     {TG_STR_INIT("boolean"), TG_JT_BOOL},
        {TG_STR_INIT("integer"), TG_JT_INT},   {TG_STR_INIT("number"), TG_JT_NUMBER},
        {TG_STR_INIT("string"), TG_JT_STRING}, {TG_STR_INIT("array"), TG_JT_ARRAY},
        {TG_STR_INIT("object"), TG_JT_OBJECT},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(types); i++)
        if (tg_str_ieq(types[i].name, name)) /* Gemini's schemas write STRING */
            return types[i].bits;
    return 0;
}

static unsigned types_named(struct tg_schema_conv *c, const struct tg_sview *v, uint32_t i)
{
    const struct tg_json *t = tg_sv_get(v, i, TG_STR("type"));
    unsigned bits = 0;
    if (!t)
        return TG_JT_ALL;
    struct tg_json_iter it = tg_json_iter(t);
    if (tg_json_is_str(t)) {
        bits = type_bit(tg_json_str(t));
    } else if (tg_json_is_arr(t)) {
        while (tg_json_next(&it)) {
            unsigned one = type_bit(tg_json_str(it.value));
            if (!one)
                tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, "type", "it names an unknown type");
            bits |= one;
        }
    }
    if (!bits)
        tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, "type",
                   "it must be null, boolean, integer, number, string, array or object, or a list "
                   "of them");
    if (tg_json_true(tg_sv_get(v, i, TG_STR("nullable"))))
        bits |= TG_JT_NULL;
    return bits;
}

/* Without a type the keywords tell what is meant. */
static unsigned types_meant(const struct tg_sview *v)
{
    static const struct {
        struct tg_str key;
        unsigned bits;
    } hints[] = {
        {TG_STR_INIT("properties"), TG_JT_OBJECT},
        {TG_STR_INIT("required"), TG_JT_OBJECT},
        {TG_STR_INIT("additionalProperties"), TG_JT_OBJECT},
        {TG_STR_INIT("patternProperties"), TG_JT_OBJECT},
        {TG_STR_INIT("propertyNames"), TG_JT_OBJECT},
        {TG_STR_INIT("minProperties"), TG_JT_OBJECT},
        {TG_STR_INIT("maxProperties"), TG_JT_OBJECT},
        {TG_STR_INIT("items"), TG_JT_ARRAY},
        {TG_STR_INIT("prefixItems"), TG_JT_ARRAY},
        {TG_STR_INIT("minItems"), TG_JT_ARRAY},
        {TG_STR_INIT("maxItems"), TG_JT_ARRAY},
        {TG_STR_INIT("pattern"), TG_JT_STRING},
        {TG_STR_INIT("format"), TG_JT_STRING},
        {TG_STR_INIT("minLength"), TG_JT_STRING},
        {TG_STR_INIT("maxLength"), TG_JT_STRING},
        {TG_STR_INIT("minimum"), TG_JT_NUMBER},
        {TG_STR_INIT("maximum"), TG_JT_NUMBER},
        {TG_STR_INIT("exclusiveMinimum"), TG_JT_NUMBER},
        {TG_STR_INIT("exclusiveMaximum"), TG_JT_NUMBER},
        {TG_STR_INIT("multipleOf"), TG_JT_NUMBER},
    };
    unsigned bits = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(hints); i++)
        if (tg_sv_has(v, hints[i].key))
            bits |= hints[i].bits;
    return bits ? bits : TG_JT_ALL;
}

static unsigned types_of(struct tg_schema_conv *c, const struct tg_sview *v)
{
    unsigned bits = TG_JT_ALL;
    for (uint32_t i = 0; i < v->n; i++)
        bits &= types_named(c, v, i);
    return bits;
}

/* ---- anyOf, oneOf ---- */

/* Whether two alternatives can't both accept a value, as far as that is easily seen: different
 * types, or a required member whose only values differ. oneOf is anyOf then. */
static bool differ_in_member(const struct tg_json *a, const struct tg_json *b)
{
    enum { FIRST = 32 }; /* what tells them apart stands near the beginning */
    struct tg_json_iter it = tg_json_iter(tg_json_get(a, TG_STR("properties")));
    const struct tg_json *others = tg_json_get(b, TG_STR("properties"));
    if (tg_json_count(others) > 4 * FIRST)
        return false;
    while (tg_json_next(&it) && it.index < FIRST) {
        struct tg_str x = tg_json_str(tg_json_get(it.value, TG_STR("const")));
        const struct tg_json *e = tg_json_get(it.value, TG_STR("enum"));
        if (!x.p && tg_json_count(e) == 1)
            x = tg_json_str(tg_json_at(e, 0));
        const struct tg_json *other = tg_json_get(others, it.name);
        struct tg_str y = tg_json_str(tg_json_get(other, TG_STR("const")));
        e = tg_json_get(other, TG_STR("enum"));
        if (!y.p && tg_json_count(e) == 1)
            y = tg_json_str(tg_json_at(e, 0));
        if (x.p && y.p && !tg_str_eq(x, y))
            return true;
    }
    return false;
}

static bool differ(struct tg_schema_conv *c, const struct tg_json *a, const struct tg_json *b)
{
    for (int k = 0; k < 8; k++) {
        const struct tg_json *ra = tg_json_get(a, TG_STR("$ref")),
                             *rb = tg_json_get(b, TG_STR("$ref"));
        a = ra ? resolve(c, tg_json_str(ra)) : a;
        b = rb ? resolve(c, tg_json_str(rb)) : b;
    }
    struct tg_str ta = tg_json_get_str(a, TG_STR("type")), tb = tg_json_get_str(b, TG_STR("type"));
    unsigned x = type_bit(ta), y = type_bit(tb);
    return (x && y && (x & y) == 0) || differ_in_member(a, b);
}

static void check_one_of(struct tg_schema_conv *c, const struct tg_sview *v,
                         const struct tg_json *list)
{
    enum { MOST = 64 };
    const struct tg_json *alts[MOST];
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it) && n < MOST)
        alts[n++] = it.value;
    bool apart = tg_json_count(list) <= MOST && tg_sc_work(c, n * n * LOOKUPS);
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n && apart; k++)
            apart = differ(c, alts[i], alts[k]);
    if (!apart)
        tg_sc_lost(c, v->where, "oneOf");
}

/* Makes one view per alternative of the first list not chosen from yet; false when there is none.
 */
static bool choose(struct tg_schema_conv *c, const struct tg_sview *v)
{
    static const struct tg_str keys[] = {TG_STR_INIT("anyOf"), TG_STR_INIT("oneOf")};
    for (uint32_t i = 0; i < v->n; i++)
        for (unsigned k = 0; k < 2; k++) {
            const struct tg_json *list = tg_sv_get(v, i, keys[k]);
            uint8_t bit = k ? USED_ONE : USED_ANY;
            if (!list || v->used[i] & bit)
                continue;
            if (!tg_json_is_arr(list) || tg_json_count(list) == 0)
                tg_sc_fail(c, TG_E_INVALID_VALUE, v->where, keys[k].p,
                           "it must be a list of schemas");
            if (k)
                check_one_of(c, v, list);
            struct tg_json_iter it = tg_json_iter(list);
            while (!c->err && tg_json_next(&it)) {
                struct tg_sview alt = *v;
                alt.used[i] |= bit;
                add_member(c, &alt, it.value, 0);
                tg_grammar_ref(c->g, tg_grammar_alt(c->g, v->rule), enqueue(c, &alt));
            }
            return true;
        }
    return false;
}

/* ---- one view ---- */

static void put_types(struct tg_schema_conv *c, const struct tg_sview *v, unsigned types)
{
    struct tg_grammar *g = c->g;
    if (types & TG_JT_OBJECT)
        tg_sc_object(c, v);
    if (types & TG_JT_ARRAY)
        tg_sc_array(c, v);
    if (types & TG_JT_STRING)
        tg_sc_string(c, v);
    if (types & TG_JT_NUMBER)
        tg_sc_number(c, v, !(types & TG_JT_FRACTION));
    if (types & TG_JT_BOOL)
        tg_grammar_ref(g, tg_grammar_alt(g, v->rule), c->common.boolean);
    if (types & TG_JT_NULL)
        tg_grammar_lit(g, tg_grammar_alt(g, v->rule), TG_STR("null"));
}

static void put_view(struct tg_schema_conv *c, const struct tg_sview *v)
{
    uint64_t keys = 0;
    for (uint32_t i = 0; i < v->n; i++)
        keys += tg_json_count(v->m[i]);
    if (v->never || !tg_sc_work(c, keys * LOOKUPS) || choose(c, v))
        return;
    unsigned types = types_of(c, v);
    if (c->err)
        return;
    if (tg_sv_has(v, TG_STR("enum")) || tg_sv_has(v, TG_STR("const"))) {
        tg_sc_values(c, v, types);
        return;
    }
    unsigned meant = types == TG_JT_ALL ? types_meant(v) : types;
    if (meant == TG_JT_ALL)
        tg_grammar_ref(c->g, tg_grammar_alt(c->g, v->rule), c->common.value);
    else
        put_types(c, v, meant);
}

/* ---- the whole ---- */

static int grammar_error(struct tg_schema_conv *c)
{
    if (!c->err && !tg_grammar_ok(c->g)) {
        if (c->g->err == TG_E_FULL)
            tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, c->where, "", "the schema is too large");
        else if (c->g->err == TG_E_NOMEM)
            no_memory(c);
        else
            tg_sc_fail(c, TG_E_INVALID_VALUE, c->where, "", "a minimum is above its maximum");
    }
    return c->err;
}

static int convert(struct tg_schema_conv *c, struct tg_str json, uint32_t *out_rule)
{
    struct tg_json_doc *doc;
    if (json.n > TG_SCHEMA_MAX_BYTES) {
        tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, c->where, "", "the schema is too large");
        return c->err;
    }
    int rc = tg_json_parse(&c->arena, json, NULL, &doc, c->f);
    if (rc) {
        c->err = rc;
        return rc;
    }
    c->root = tg_json_root(doc);
    *out_rule = tg_sc_rule(c, &c->root, 1, c->where);
    while (c->first && !grammar_error(c)) {
        struct tg_sview *v = c->first;
        put_view(c, v);
        c->first = v->next_queue;
    }
    return grammar_error(c);
}

int tg_schema_add(struct tg_grammar *g, struct tg_str json, struct tg_str where, bool strict,
                  struct tg_buf *lost, struct tg_fail *f, uint32_t *out_rule)
{
    struct tg_schema_conv *c = NULL;
    struct tg_arena own;
    tg_arena_init(&own, sizeof *c + ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
    c = tg_arena_new(&own, struct tg_schema_conv);
    if (!c) {
        tg_arena_fini(&own);
        return tg_fail_set(f, TG_E_NOMEM, "out of memory for the schema");
    }
    c->g = g;
    c->strict = strict;
    c->lost = lost;
    c->f = f;
    c->last = &c->first;
    tg_arena_init(&c->arena, ARENA_FIRST_BYTES, ARENA_MAX_BYTES);
    c->where = tg_arena_dup(&g->arena, where);
    tg_scommon_make(g, &c->common);
    int rc = convert(c, json, out_rule);
    tg_arena_fini(&c->arena);
    tg_arena_fini(&own);
    return rc;
}

int tg_schema_print(struct tg_grammar *g, struct tg_str where, struct tg_buf *out,
                    struct tg_fail *f)
{
    struct tg_str blame;
    char param[96];
    int rc = tg_grammar_print(g, out, &blame);
    tg_str_to_c(blame.n ? blame : where, param, sizeof param);
    if (rc == TG_E_NOMEM)
        return tg_fail_set(f, rc, "out of memory for the schema");
    if (rc == TG_E_FULL)
        return tg_fail_param(f, TG_E_UNSUPPORTED_PARAMETER, param, "%s: the schema is too large",
                             param);
    if (rc < 0)
        return tg_fail_param(f, TG_E_INVALID_VALUE, param, "%s: no finite value matches the schema",
                             param);
    return 0;
}
