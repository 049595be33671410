/* Google's Schema object → JSON schema. What differs: types in capitals, `nullable`, counts that
 * may be strings (int64 in ProtoJSON), `propertyOrdering`, `example`; names may be snake_case. */
#include "base/err.h"
#include "base/num.h"
#include "dialect/gemini_priv.h"
#include "json/write.h"

enum { MAX_DEPTH = 64 };

struct ctx {
    const struct tg_gemini_in *in;
    const char *path;
    struct tg_jw w;
};

static int schema(struct ctx *c, const struct tg_json *v, unsigned depth);

static int schema_list(struct ctx *c, const struct tg_json *v, unsigned depth)
{
    int rc = 0;
    tg_jw_arr(&c->w);
    struct tg_json_iter it = tg_json_iter(v);
    while (!rc && tg_json_next(&it))
        rc = schema(c, it.value, depth);
    tg_jw_end_arr(&c->w);
    return rc;
}

static int schema_map(struct ctx *c, const struct tg_json *v, unsigned depth)
{
    int rc = 0;
    tg_jw_obj(&c->w);
    struct tg_json_iter it = tg_json_iter(v);
    while (!rc && tg_json_next(&it)) {
        tg_jw_key(&c->w, it.name);
        rc = schema(c, it.value, depth);
    }
    tg_jw_end_obj(&c->w);
    return rc;
}

static void lower(struct ctx *c, struct tg_str s)
{
    char text[24];
    size_t n = s.n < sizeof text ? s.n : sizeof text;
    for (size_t i = 0; i < n; i++) {
        char ch = s.p[i];
        text[i] = (char)(ch >= 'A' && ch <= 'Z' ? ch - 'A' + 'a' : ch);
    }
    tg_jw_str(&c->w, n == s.n ? tg_str_make(text, n) : s);
}

static void type_member(struct ctx *c, const struct tg_json *type, bool nullable)
{
    struct tg_str s = tg_json_str(type);
    if (!s.p) { /* JSON schema's own list of types */
        tg_jw_kraw(&c->w, TG_STR("type"), tg_json_raw(c->in->doc, type));
        return;
    }
    if (tg_str_eq(s, TG_STR("TYPE_UNSPECIFIED")))
        return;
    tg_jw_key(&c->w, TG_STR("type"));
    if (nullable)
        tg_jw_arr(&c->w);
    lower(c, s);
    if (!nullable)
        return;
    tg_jw_str(&c->w, TG_STR("null"));
    tg_jw_end_arr(&c->w);
}

/* "3" for 3. */
static void count_member(struct ctx *c, struct tg_str name, const struct tg_json *v)
{
    int64_t n;
    tg_jw_key(&c->w, name);
    if (tg_json_is_str(v) && tg_parse_i64(tg_json_str(v), &n) == 0)
        tg_jw_i64(&c->w, n);
    else
        tg_jw_raw(&c->w, tg_json_raw(c->in->doc, v));
}

enum what { AS_IS, TYPE, COUNT, ONE, LIST, MAP, LEFT_OUT };

static enum what what_of(struct tg_str name, struct tg_str *out_name)
{
    static const struct {
        struct tg_str name;
        enum what what;
    } known[] = {
        {TG_STR_INIT("type"), TYPE},
        {TG_STR_INIT("items"), ONE},
        {TG_STR_INIT("properties"), MAP},
        {TG_STR_INIT("anyOf"), LIST},
        {TG_STR_INIT("oneOf"), LIST},
        {TG_STR_INIT("allOf"), LIST},
        {TG_STR_INIT("prefixItems"), LIST},
        {TG_STR_INIT("$defs"), MAP},
        {TG_STR_INIT("defs"), MAP},
        {TG_STR_INIT("additionalProperties"), ONE},
        {TG_STR_INIT("minItems"), COUNT},
        {TG_STR_INIT("maxItems"), COUNT},
        {TG_STR_INIT("minLength"), COUNT},
        {TG_STR_INIT("maxLength"), COUNT},
        {TG_STR_INIT("minProperties"), COUNT},
        {TG_STR_INIT("maxProperties"), COUNT},
        {TG_STR_INIT("nullable"), LEFT_OUT},
        {TG_STR_INIT("propertyOrdering"), LEFT_OUT},
        {TG_STR_INIT("example"), LEFT_OUT},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_json_proto_is(name, known[i].name)) {
            *out_name = known[i].name;
            return known[i].what;
        }
    }
    *out_name = name;
    return AS_IS;
}

static int member(struct ctx *c, const struct tg_json_iter *it, bool nullable, unsigned depth)
{
    struct tg_str name;
    enum what what = what_of(it->name, &name);
    bool fits = (what == MAP && tg_json_is_obj(it->value)) ||
                (what == LIST && tg_json_is_arr(it->value)) ||
                (what == ONE && tg_json_is_obj(it->value));
    switch (what) {
    case TYPE:
        type_member(c, it->value, nullable);
        return 0;
    case COUNT:
        count_member(c, name, it->value);
        return 0;
    case LEFT_OUT:
        return 0;
    case ONE:
    case LIST:
    case MAP:
    case AS_IS:
        break;
    }
    tg_jw_key(&c->w, name);
    if (!fits) {
        tg_jw_raw(&c->w, tg_json_raw(c->in->doc, it->value));
        return 0;
    }
    return what == MAP    ? schema_map(c, it->value, depth)
           : what == LIST ? schema_list(c, it->value, depth)
                          : schema(c, it->value, depth);
}

static int schema(struct ctx *c, const struct tg_json *v, unsigned depth)
{
    if (depth == 0)
        return tg_gemini_bad(c->in, c->path, "is nested too deeply");
    if (!tg_json_is_obj(v)) {
        tg_jw_raw(&c->w, tg_json_raw(c->in->doc, v));
        return 0;
    }
    bool nullable = tg_json_true(tg_json_get(v, TG_STR("nullable")));
    int rc = 0;
    tg_jw_obj(&c->w);
    struct tg_json_iter it = tg_json_iter(v);
    while (!rc && tg_json_next(&it))
        rc = member(c, &it, nullable, depth - 1);
    tg_jw_end_obj(&c->w);
    return rc;
}

int tg_gemini_schema(const struct tg_gemini_in *in, const struct tg_json *v, const char *path,
                     struct tg_str *out)
{
    struct tg_buf b;
    *out = TG_STR("");
    if (tg_json_is_nil(v))
        return 0;
    tg_buf_init(&b, SIZE_MAX / 4);
    struct ctx c = {.in = in, .path = path, .w = tg_jw(&b)};
    int rc = schema(&c, v, MAX_DEPTH);
    if (!rc && tg_buf_ok(&b)) {
        *out = tg_arena_dup(in->a, tg_buf_str(&b));
        rc = out->p ? 0 : TG_E_NOMEM;
    } else if (!rc) {
        rc = TG_E_NOMEM;
    }
    tg_buf_fini(&b);
    return rc == TG_E_NOMEM ? tg_gemini_no_memory(in) : rc;
}
