/* JSON schemas as Google takes them (parametersJsonSchema, responseJsonSchema): a few members of
 * JSON schema are refused or unknown there. `const` is an `enum` of one; notes for people go in
 * silence; constraints that can't be said are left out, and that is told. */
#include "adapter/gemini_priv.h"
#include "base/err.h"

enum { MAX_DEPTH = 128 };

enum what { KEPT, NOTE, CONSTRAINT, CONST, SCHEMA, SCHEMAS };

static enum what what_of(struct tg_str name)
{
    static const struct {
        struct tg_str name;
        enum what what;
    } known[] = {
        {TG_STR_INIT("$schema"), NOTE},
        {TG_STR_INIT("$comment"), NOTE},
        {TG_STR_INIT("examples"), NOTE},
        {TG_STR_INIT("discriminator"), NOTE},
        {TG_STR_INIT("exclusiveMinimum"), CONSTRAINT},
        {TG_STR_INIT("exclusiveMaximum"), CONSTRAINT},
        {TG_STR_INIT("const"), CONST},
        {TG_STR_INIT("items"), SCHEMA},
        {TG_STR_INIT("additionalProperties"), SCHEMA},
        {TG_STR_INIT("not"), SCHEMA},
        {TG_STR_INIT("anyOf"), SCHEMAS},
        {TG_STR_INIT("oneOf"), SCHEMAS},
        {TG_STR_INIT("allOf"), SCHEMAS},
        {TG_STR_INIT("prefixItems"), SCHEMAS},
        {TG_STR_INIT("properties"), SCHEMAS},
        {TG_STR_INIT("$defs"), SCHEMAS},
        {TG_STR_INIT("definitions"), SCHEMAS},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_eq(name, known[i].name))
            return known[i].what;
    }
    return KEPT;
}

struct ctx {
    struct tg_json_doc *doc;
    struct tg_jw *w;
    bool lost;
};

static void schema(struct ctx *c, const struct tg_json *v, unsigned depth);

static void schemas(struct ctx *c, const struct tg_json *v, unsigned depth)
{
    bool object = tg_json_is_obj(v);
    if (!object && !tg_json_is_arr(v)) {
        schema(c, v, 0);
        return;
    }
    struct tg_json_iter it = tg_json_iter(v);
    if (object)
        tg_jw_obj(c->w);
    else
        tg_jw_arr(c->w);
    while (tg_json_next(&it)) {
        if (object)
            tg_jw_key(c->w, it.name);
        schema(c, it.value, depth);
    }
    if (object)
        tg_jw_end_obj(c->w);
    else
        tg_jw_end_arr(c->w);
}

static void member(struct ctx *c, const struct tg_json_iter *it, unsigned depth)
{
    enum what what = what_of(it->name);
    if (what == NOTE)
        return;
    if (what == CONSTRAINT) {
        c->lost = true;
        return;
    }
    tg_jw_key(c->w, what == CONST ? TG_STR("enum") : it->name);
    if (what == CONST) {
        tg_jw_arr(c->w);
        tg_jw_raw(c->w, tg_json_raw(c->doc, it->value));
        tg_jw_end_arr(c->w);
    } else if (what == SCHEMA) {
        schema(c, it->value, depth);
    } else if (what == SCHEMAS) {
        schemas(c, it->value, depth);
    } else {
        tg_jw_raw(c->w, tg_json_raw(c->doc, it->value));
    }
}

/* Anything but an object (true, a reference's name), and what is too deep, goes as it is. */
static void schema(struct ctx *c, const struct tg_json *v, unsigned depth)
{
    if (!depth || !tg_json_is_obj(v)) {
        tg_jw_raw(c->w, tg_json_raw(c->doc, v));
        return;
    }
    struct tg_json_iter it = tg_json_iter(v);
    tg_jw_obj(c->w);
    while (tg_json_next(&it))
        member(c, &it, depth - 1);
    tg_jw_end_obj(c->w);
}

bool tg_gemini_write_schema(struct tg_gemini_enc *e, struct tg_str text)
{
    struct tg_arena a;
    struct ctx c = {.w = &e->w};
    tg_arena_init(&a, 4096, SIZE_MAX / 4);
    int rc = tg_json_parse(&a, text, NULL, &c.doc, NULL);
    e->out_of_memory |= rc == TG_E_NOMEM;
    if (rc == 0)
        schema(&c, tg_json_root(c.doc), MAX_DEPTH);
    else
        tg_jw_raw(&e->w, text); /* too deep by itself, or there is no memory */
    tg_arena_fini(&a);
    return c.lost;
}
