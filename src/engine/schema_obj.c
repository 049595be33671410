/* Rules of objects and arrays. Members come in the order of the schema: every text is then made in
 * one way only, and no member twice. */
#include "base/err.h"
#include "engine/schema_in_priv.h"

enum { MAX_MEMBERS = 2048 };

struct member {
    struct tg_str name;
    bool required;
    uint32_t value; /* rule */
    uint32_t start; /* rule of all from this member on, behind a comma or first; 0: not made yet */
};

struct object {
    struct tg_schema_conv *c;
    const struct tg_sview *v;
    struct member *m;
    size_t n;
    bool extras;    /* members beyond those named */
    uint32_t entry; /* rule of one of them */
    uint32_t min_extras, max_extras;
    uint32_t tail; /* rule of further extras, each behind a comma; 0: not made yet */
};

/* ---- which members ---- */

static struct member *find(struct object *o, struct tg_str name)
{
    for (size_t i = 0; i < o->n; i++)
        if (tg_str_eq(o->m[i].name, name))
            return &o->m[i];
    return NULL;
}

static void add_name(struct object *o, struct tg_str name, bool required)
{
    struct member *m = tg_sc_work(o->c, o->n / 4) ? find(o, name) : NULL;
    if (o->c->err)
        return;
    if (!m) {
        if (o->n == MAX_MEMBERS) {
            tg_sc_fail(o->c, TG_E_UNSUPPORTED_PARAMETER, o->v->where, "properties",
                       "it has too many members");
            return;
        }
        m = &o->m[o->n++];
        *m = (struct member){.name = name};
    }
    m->required = m->required || required;
}

static void gather_names(struct object *o)
{
    size_t most = 0;
    for (uint32_t i = 0; i < o->v->n; i++)
        most += tg_json_count(tg_sv_get(o->v, i, TG_STR("properties"))) +
                tg_json_count(tg_sv_get(o->v, i, TG_STR("required")));
    if (most > MAX_MEMBERS)
        most = MAX_MEMBERS;
    o->m = tg_arena_array(&o->c->arena, most + 1, sizeof *o->m);
    if (!o->m) {
        tg_sc_fail(o->c, TG_E_NOMEM, o->v->where, "", "");
        return;
    }
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < o->v->n && !o->c->err; i++) {
            const struct tg_json *p = tg_sv_get(o->v, i, TG_STR("properties"));
            const struct tg_json *r = tg_sv_get(o->v, i, TG_STR("required"));
            if (p && !tg_json_is_obj(p))
                tg_sc_fail(o->c, TG_E_INVALID_VALUE, o->v->where, "properties",
                           "it must be an object");
            /* Draft 4's and some generators' `required: true` says nothing here. */
            struct tg_json_iter it = tg_json_iter(pass ? r : p);
            while (!o->c->err && tg_json_next(&it)) {
                struct tg_str name = pass ? tg_json_str(it.value) : it.name;
                if (pass && !name.p)
                    tg_sc_fail(o->c, TG_E_INVALID_VALUE, o->v->where, "required",
                               "it must be a list of names");
                else
                    add_name(o, name, pass == 1);
            }
        }
}

/* What one schema of the view says of members that its `properties` do not name; NULL: nothing. */
static const struct tg_json *of_others(const struct tg_sview *v, uint32_t i)
{
    return tg_sv_get(v, i, TG_STR("additionalProperties"));
}

static void make_value(struct object *o, struct member *m)
{
    const struct tg_json *all[TG_SCHEMA_MEMBERS];
    size_t n = 0;
    for (uint32_t i = 0; i < o->v->n; i++) {
        const struct tg_json *p = tg_json_get(tg_sv_get(o->v, i, TG_STR("properties")), m->name);
        const struct tg_json *others = of_others(o->v, i);
        if (!tg_sc_work(o->c, tg_json_count(tg_sv_get(o->v, i, TG_STR("properties"))) / 4))
            return;
        if (p)
            all[n++] = p;
        else if (tg_sv_get(o->v, i, TG_STR("patternProperties")))
            tg_sc_lost(o->c, o->v->where, "patternProperties");
        else if (others)
            all[n++] = others;
    }
    m->value = tg_sc_rule(o->c, all, n, tg_sc_path(o->c, o->v->where, "properties", m->name));
}

/* ---- members that are not named ---- */

/* Ranges of ASCII without quote and backslash, from lo to hi. */
static size_t put_range(struct tg_gchar *out, size_t n, uint32_t lo, uint32_t hi)
{
    for (uint32_t ch = lo; ch <= hi + 1; ch++) {
        if (ch <= hi && ch != '"' && ch != '\\')
            continue;
        if (lo < ch)
            out[n++] = (struct tg_gchar){lo, ch - 1};
        lo = ch + 1;
    }
    return n;
}

/* Keys other than the names (sorted), in ASCII without escapes, behind their first `at` bytes that
 * all the names share: each way to leave the names' tree. A branch of a single name is not followed
 * beyond its first bytes: fewer keys are made then, but the grammar stays small. */
static void put_other_keys(struct object *o, uint32_t rule, const struct tg_str *names, size_t n,
                           size_t at, uint32_t any)
{
    enum { FOLLOW = 2, DEEPEST = 200 };
    struct tg_gchar out[2 * 96 + 8];
    size_t n_out = 0;
    uint32_t from = 0x20;
    bool is_name = n > 0 && names[0].n == at;
    struct tg_grammar *g = o->c->g;
    for (size_t i = is_name, k; i < n; i = k) {
        uint8_t b = (uint8_t)names[i].p[at];
        for (k = i + 1; k < n && (uint8_t)names[k].p[at] == b; k++)
            ;
        if (b >= 0x7F || b < 0x20)
            continue; /* no such key is made anyway */
        n_out = from < b ? put_range(out, n_out, from, b - 1u) : n_out;
        from = b + 1u;
        if (b == '"' || b == '\\' || (k == i + 1 && at >= FOLLOW) || at >= DEEPEST)
            continue;
        uint32_t sub = tg_grammar_rule(g, TG_STR(""));
        const struct tg_gchar one = {b, b};
        struct tg_galt *a = tg_grammar_alt(g, rule);
        tg_grammar_class(g, a, &one, 1);
        tg_grammar_ref(g, a, sub);
        put_other_keys(o, sub, names + i, k - i, at + 1, any);
    }
    n_out = from <= 0x7E ? put_range(out, n_out, from, 0x7E) : n_out;
    if (!is_name && at > 0)
        tg_grammar_alt(g, rule);
    if (n_out) {
        struct tg_galt *a = tg_grammar_alt(g, rule);
        tg_grammar_class(g, a, out, n_out);
        tg_grammar_rep(g, a, any, 0, TG_GRAMMAR_ENDLESS);
    }
}

static uint32_t other_key(struct object *o)
{
    static const struct tg_gchar plain[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x7E}};
    struct tg_grammar *g = o->c->g;
    struct tg_str *names = tg_arena_array(&o->c->arena, o->n + 1, sizeof *names);
    uint32_t key = tg_grammar_rule(g, TG_STR("")), inside = tg_grammar_rule(g, TG_STR(""));
    uint32_t any = tg_grammar_rule(g, TG_STR(""));
    if (!names) {
        tg_sc_fail(o->c, TG_E_NOMEM, o->v->where, "", "");
        return key;
    }
    for (size_t i = 0; i < o->n; i++)
        names[i] = o->m[i].name;
    for (size_t i = 1; i < o->n; i++) /* few, and often sorted already */
        for (size_t k = i; k > 0 && tg_str_cmp(names[k - 1], names[k]) > 0; k--) {
            struct tg_str t = names[k];
            names[k] = names[k - 1];
            names[k - 1] = t;
        }
    tg_grammar_class(g, tg_grammar_alt(g, any), plain, TG_ARRAY_LEN(plain));
    put_other_keys(o, inside, names, o->n, 0, any);
    struct tg_galt *a = tg_grammar_alt(g, key);
    tg_grammar_lit(g, a, TG_STR("\""));
    tg_grammar_ref(g, a, inside);
    tg_grammar_lit(g, a, TG_STR("\""));
    return key;
}

/* propertyNames: every schema of the view must accept the key as a string. */
static uint32_t key_rule(struct object *o)
{
    const struct tg_json *all[TG_SCHEMA_MEMBERS];
    size_t n = 0;
    for (uint32_t i = 0; i < o->v->n; i++) {
        const struct tg_json *names = tg_sv_get(o->v, i, TG_STR("propertyNames"));
        if (names && tg_json_count(names) > 0)
            all[n++] = names;
    }
    if (n && o->n == 0)
        return tg_sc_rule(o->c, all, n, tg_sc_path(o->c, o->v->where, "propertyNames", TG_STR("")));
    if (n)
        tg_sc_lost(o->c, o->v->where, "propertyNames");
    return o->n ? other_key(o) : o->c->common.string;
}

static void make_entry(struct object *o)
{
    const struct tg_json *all[TG_SCHEMA_MEMBERS];
    size_t n = 0;
    struct tg_grammar *g = o->c->g;
    for (uint32_t i = 0; i < o->v->n; i++) {
        if (of_others(o->v, i))
            all[n++] = of_others(o->v, i);
        if (tg_sv_get(o->v, i, TG_STR("patternProperties")))
            tg_sc_lost(o->c, o->v->where, "patternProperties");
    }
    uint32_t value =
        tg_sc_rule(o->c, all, n, tg_sc_path(o->c, o->v->where, "additionalProperties", TG_STR("")));
    o->entry = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(g, o->entry);
    tg_grammar_ref(g, a, key_rule(o));
    tg_grammar_lit(g, a, TG_STR(":"));
    tg_grammar_ref(g, a, o->c->common.space);
    tg_grammar_ref(g, a, value);
    tg_grammar_ref(g, a, o->c->common.ws);
}

/* Others are made when the schema asks for them, or when it names no member at all. */
static bool wants_extras(const struct object *o)
{
    bool asked = o->n == 0;
    for (uint32_t i = 0; i < o->v->n; i++) {
        const struct tg_json *a = of_others(o->v, i);
        if (tg_json_is_bool(a) && !tg_json_true(a))
            return false;
        if (!a && o->n == 0 && tg_sv_get(o->v, i, TG_STR("patternProperties")))
            return false; /* none is certainly right */
        asked = asked || a;
    }
    return asked;
}

static void count_members(struct object *o)
{
    uint32_t min, max, required = 0;
    for (size_t i = 0; i < o->n; i++)
        required += o->m[i].required;
    tg_sc_limits(o->c, o->v, "minProperties", "maxProperties", &min, &max);
    o->max_extras = TG_GRAMMAR_ENDLESS;
    if (o->n == 0) {
        o->min_extras = min;
        o->max_extras = max;
        return;
    }
    if (min > required)
        tg_sc_lost(o->c, o->v->where, "minProperties");
    if (max != TG_GRAMMAR_ENDLESS && (o->extras || max < o->n))
        tg_sc_lost(o->c, o->v->where, "maxProperties");
}

/* ---- the text ---- */

static void put_member(struct object *o, struct tg_galt *a, const struct member *m)
{
    struct tg_grammar *g = o->c->g;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    tg_buf_json_str(&b, m->name);
    tg_buf_char(&b, ':');
    if (!tg_buf_ok(&b))
        tg_sc_fail(o->c, TG_E_NOMEM, o->v->where, "", "");
    tg_grammar_lit(g, a, tg_buf_str(&b));
    tg_buf_fini(&b);
    tg_grammar_ref(g, a, o->c->common.space);
    tg_grammar_ref(g, a, m->value);
    tg_grammar_ref(g, a, o->c->common.ws);
}

static void put_comma(struct object *o, struct tg_galt *a)
{
    tg_grammar_lit(o->c->g, a, TG_STR(","));
    tg_grammar_ref(o->c->g, a, o->c->common.ws);
}

/* Extras behind what was written already. */
static void put_tail(struct object *o, struct tg_galt *a)
{
    if (!o->extras)
        return;
    if (!o->tail) {
        o->tail = tg_grammar_rule(o->c->g, TG_STR(""));
        struct tg_galt *t = tg_grammar_alt(o->c->g, o->tail);
        put_comma(o, t);
        tg_grammar_ref(o->c->g, t, o->entry);
    }
    tg_grammar_rep(o->c->g, a, o->tail, 0, TG_GRAMMAR_ENDLESS);
}

/* The rule of member i or one behind it, and all that follows; nothing was written before it, or a
 * comma. Members are made from the last to the first, so the rules they need are there. */
static uint32_t start_of(struct object *o, size_t i)
{
    if (i < o->n)
        return o->m[i].start;
    uint32_t r = tg_grammar_rule(o->c->g, TG_STR(""));
    if (o->extras) {
        struct tg_galt *a = tg_grammar_alt(o->c->g, r);
        tg_grammar_ref(o->c->g, a, o->entry);
        put_tail(o, a);
    }
    return r;
}

static bool needs_more(const struct object *o, size_t i)
{
    for (; i < o->n; i++)
        if (o->m[i].required)
            return true;
    return false;
}

/* What may or must follow member i. */
static void put_rest(struct object *o, struct tg_galt *a, size_t i, uint32_t next)
{
    struct tg_grammar *g = o->c->g;
    if (i + 1 == o->n) {
        put_tail(o, a);
        return;
    }
    if (needs_more(o, i + 1)) {
        put_comma(o, a);
        tg_grammar_ref(g, a, next);
        return;
    }
    uint32_t r = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_alt(g, r);
    struct tg_galt *more = tg_grammar_alt(g, r);
    put_comma(o, more);
    tg_grammar_ref(g, more, next);
    tg_grammar_ref(g, a, r);
}

static void put_members(struct object *o)
{
    struct tg_grammar *g = o->c->g;
    for (size_t i = o->n; i-- > 0;) {
        uint32_t next = start_of(o, i + 1);
        o->m[i].start = tg_grammar_rule(g, TG_STR(""));
        struct tg_galt *a = tg_grammar_alt(g, o->m[i].start);
        put_member(o, a, &o->m[i]);
        put_rest(o, a, i, next);
        if (!o->m[i].required)
            tg_grammar_ref(g, tg_grammar_alt(g, o->m[i].start), next);
    }
    bool empty = !needs_more(o, 0);
    struct tg_galt *a = tg_grammar_alt(g, o->v->rule);
    tg_grammar_lit(g, a, TG_STR("{"));
    tg_grammar_ref(g, a, o->c->common.ws);
    uint32_t body = tg_grammar_rule(g, TG_STR(""));
    tg_grammar_ref(g, tg_grammar_alt(g, body), start_of(o, 0));
    if (empty)
        tg_grammar_alt(g, body);
    tg_grammar_ref(g, a, body);
    tg_grammar_lit(g, a, TG_STR("}"));
}

/* `open`, n entries between min and max, `close`; for maps and lists alike. */
static void put_entries(struct tg_schema_conv *c, uint32_t rule, struct tg_str open, uint32_t entry,
                        struct tg_str close, uint32_t min, uint32_t max)
{
    struct tg_grammar *g = c->g;
    if (min > max)
        return;
    if (min == 0) {
        struct tg_galt *none = tg_grammar_alt(g, rule);
        tg_grammar_lit(g, none, open);
        tg_grammar_ref(g, none, c->common.ws);
        tg_grammar_lit(g, none, close);
    }
    if (max == 0)
        return;
    uint32_t more = tg_grammar_rule(g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(g, more);
    tg_grammar_lit(g, a, TG_STR(","));
    tg_grammar_ref(g, a, c->common.ws);
    tg_grammar_ref(g, a, entry);
    a = tg_grammar_alt(g, rule);
    tg_grammar_lit(g, a, open);
    tg_grammar_ref(g, a, c->common.ws);
    tg_grammar_ref(g, a, entry);
    tg_grammar_rep(g, a, more, min ? min - 1 : 0,
                   max == TG_GRAMMAR_ENDLESS ? TG_GRAMMAR_ENDLESS : max - 1);
    tg_grammar_lit(g, a, close);
}

void tg_sc_object(struct tg_schema_conv *c, const struct tg_sview *v)
{
    struct object o = {.c = c, .v = v};
    gather_names(&o);
    for (size_t i = 0; i < o.n && !c->err; i++)
        make_value(&o, &o.m[i]);
    if (c->err)
        return;
    o.extras = wants_extras(&o);
    count_members(&o);
    if (o.extras)
        make_entry(&o);
    if (c->err)
        return;
    if (o.n == 0 && o.extras)
        put_entries(c, v->rule, TG_STR("{"), o.entry, TG_STR("}"), o.min_extras, o.max_extras);
    else if (o.n > 0 || o.min_extras == 0)
        put_members(&o);
}

/* ---- arrays ---- */

/* The schemas of the i-th item, or of those behind the listed ones. */
static uint32_t item_rule(struct tg_schema_conv *c, const struct tg_sview *v, size_t i,
                          bool *out_given)
{
    const struct tg_json *all[TG_SCHEMA_MEMBERS];
    size_t n = 0;
    *out_given = false;
    for (uint32_t k = 0; k < v->n; k++) {
        const struct tg_json *items = tg_sv_get(v, k, TG_STR("items"));
        const struct tg_json *prefix = tg_sv_get(v, k, TG_STR("prefixItems"));
        const struct tg_json *rest = items;
        if (tg_json_is_arr(items)) { /* as drafts before 2020-12 wrote it */
            prefix = items;
            rest = tg_sv_get(v, k, TG_STR("additionalItems"));
        }
        const struct tg_json *one = tg_json_at(prefix, i);
        if (!one)
            one = rest;
        if (!one)
            continue;
        all[n++] = one;
        *out_given = true;
    }
    return tg_sc_rule(c, all, n, tg_sc_path(c, v->where, "items", TG_STR("")));
}

static size_t listed_items(const struct tg_sview *v)
{
    size_t most = 0;
    for (uint32_t k = 0; k < v->n; k++) {
        const struct tg_json *items = tg_sv_get(v, k, TG_STR("items"));
        const struct tg_json *prefix = tg_sv_get(v, k, TG_STR("prefixItems"));
        size_t n = tg_json_count(tg_json_is_arr(items) ? items : prefix);
        most = n > most ? n : most;
    }
    return most;
}

static uint32_t with_ws(struct tg_schema_conv *c, uint32_t item)
{
    uint32_t r = tg_grammar_rule(c->g, TG_STR(""));
    struct tg_galt *a = tg_grammar_alt(c->g, r);
    tg_grammar_ref(c->g, a, item);
    tg_grammar_ref(c->g, a, c->common.ws);
    return r;
}

/* Items of their own schemas are all written, as many as the maximum allows. */
static void put_tuple(struct tg_schema_conv *c, const struct tg_sview *v, size_t listed,
                      uint32_t min, uint32_t max)
{
    bool given;
    struct tg_grammar *g = c->g;
    if (listed > max)
        listed = max;
    struct tg_galt *a = tg_grammar_alt(g, v->rule);
    tg_grammar_lit(g, a, TG_STR("["));
    tg_grammar_ref(g, a, c->common.ws);
    for (size_t i = 0; i < listed && !c->err; i++) {
        if (i) {
            tg_grammar_lit(g, a, TG_STR(","));
            tg_grammar_ref(g, a, c->common.ws);
        }
        tg_grammar_ref(g, a, with_ws(c, item_rule(c, v, i, &given)));
    }
    uint32_t rest = item_rule(c, v, SIZE_MAX, &given), left = (uint32_t)listed;
    bool wanted = (given && max > left) || min > left;
    if (wanted && listed) {
        uint32_t more = tg_grammar_rule(g, TG_STR(""));
        struct tg_galt *m = tg_grammar_alt(g, more);
        tg_grammar_lit(g, m, TG_STR(","));
        tg_grammar_ref(g, m, c->common.ws);
        tg_grammar_ref(g, m, with_ws(c, rest));
        tg_grammar_rep(g, a, more, min > left ? min - left : 0,
                       max == TG_GRAMMAR_ENDLESS ? TG_GRAMMAR_ENDLESS : max - left);
    }
    tg_grammar_lit(g, a, TG_STR("]"));
}

void tg_sc_array(struct tg_schema_conv *c, const struct tg_sview *v)
{
    uint32_t min, max;
    bool given;
    tg_sc_limits(c, v, "minItems", "maxItems", &min, &max);
    size_t listed = listed_items(v);
    if (c->err || min > max)
        return;
    if (listed > TG_SCHEMA_VALUES)
        tg_sc_fail(c, TG_E_UNSUPPORTED_PARAMETER, v->where, "prefixItems", "it has too many items");
    else if (listed)
        put_tuple(c, v, listed, min, max);
    else
        put_entries(c, v->rule, TG_STR("["), with_ws(c, item_rule(c, v, SIZE_MAX, &given)),
                    TG_STR("]"), min, max);
}
