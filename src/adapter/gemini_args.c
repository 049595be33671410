/* A call's arguments in pieces: [{"jsonPath":"$.a[0].b","stringValue":"x","willContinue":true}],
 * as Vertex streams them. Pieces of one path are one string; the object is made of all paths when
 * the call ends. Source: Vertex AI, "Function calling", streaming of arguments. */
#include "adapter/gemini_priv.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/num.h"

enum {
    MAX_ARGS = 2048,
    MAX_PATH = 256, /* both bound what making the object takes */
    MAX_DEPTH = 32,
    MAX_BYTES = 4 << 20,
};

void tg_gemini_args_clear(struct tg_gemini_args *args)
{
    for (uint32_t i = 0; i < args->n; i++) {
        tg_buf_fini(&args->list[i].path);
        tg_buf_fini(&args->list[i].text);
    }
    tg_free(args->list);
    *args = (struct tg_gemini_args){0};
}

static struct tg_gemini_arg *find(struct tg_gemini_args *args, struct tg_str path, int *err)
{
    if (args->n && tg_str_eq(tg_buf_str(&args->list[args->n - 1].path), path))
        return &args->list[args->n - 1]; /* nearly always the newest */
    for (uint32_t i = 0; i < args->n; i++) {
        if (tg_str_eq(tg_buf_str(&args->list[i].path), path))
            return &args->list[i];
    }
    if (args->n == args->cap) {
        uint32_t cap = args->cap ? args->cap * 2 : 8;
        void *p = cap > MAX_ARGS ? NULL : tg_realloc(args->list, cap * sizeof *args->list);
        if (!p) {
            *err = cap > MAX_ARGS ? TG_E_UPSTREAM_TOO_LARGE : TG_E_NOMEM;
            return NULL;
        }
        args->list = p;
        args->cap = cap;
    }
    struct tg_gemini_arg *a = &args->list[args->n++];
    *a = (struct tg_gemini_arg){0};
    tg_buf_init(&a->path, MAX_BYTES);
    tg_buf_init(&a->text, MAX_BYTES);
    *err = tg_buf_str_add(&a->path, path);
    return a;
}

int tg_gemini_args_add(struct tg_gemini_args *args, struct tg_json_doc *doc,
                       const struct tg_json *v)
{
    struct tg_str path = tg_json_get_str(v, TG_STR("jsonPath"));
    const struct tg_json *s = tg_json_get(v, TG_STR("stringValue"));
    struct tg_str text = tg_json_str(s);
    int err = 0;
    if (!tg_str_starts(path, TG_STR("$")))
        return TG_E_UPSTREAM_INVALID;
    if (!s) {
        const struct tg_json *other = tg_json_get(v, TG_STR("numberValue"));
        if (!other)
            other = tg_json_get(v, TG_STR("boolValue"));
        text = other ? tg_json_raw(doc, other) : TG_STR("null");
    }
    args->bytes += path.n + text.n;
    if (args->bytes > MAX_BYTES || path.n > MAX_PATH)
        return TG_E_UPSTREAM_TOO_LARGE;
    struct tg_gemini_arg *a = find(args, path, &err);
    if (!a || err)
        return err;
    a->is_string = s != NULL;
    if (!s)
        tg_buf_clear(&a->text);
    return tg_buf_str_add(&a->text, text);
}

/* ---- the object ---- */

/* One step of a path: ".name", "[0]", "['name']". */
struct step {
    bool is_index;
    struct tg_str name; /* of an index its digits */
};

static bool next_step(struct tg_str *rest, struct step *out)
{
    struct tg_str s = *rest;
    size_t n = 1;
    if (!s.n)
        return false;
    if (s.p[0] == '.') {
        while (n < s.n && s.p[n] != '.' && s.p[n] != '[')
            n++;
        *out = (struct step){false, tg_str_make(s.p + 1, n - 1)};
        *rest = tg_str_from(s, n);
        return n > 1;
    }
    ptrdiff_t end = tg_str_chr(s, ']');
    if (s.p[0] != '[' || end < 2)
        return false;
    struct tg_str inside = tg_str_make(s.p + 1, (size_t)end - 1);
    *rest = tg_str_from(s, (size_t)end + 1);
    bool quoted = inside.n >= 2 && (inside.p[0] == '\'' || inside.p[0] == '"');
    *out = quoted ? (struct step){false, tg_str_make(inside.p + 1, inside.n - 2)}
                  : (struct step){true, inside};
    uint64_t index;
    return quoted || (inside.n < 8 && tg_parse_u64(inside, &index) == 0);
}

struct ctx {
    const struct tg_gemini_args *args;
    struct tg_str *rest; /* of each argument's path, behind the steps that were taken */
    uint8_t *depth;      /* of the object or array that it is in; 255: written */
    struct tg_jw w;
};

static void value(struct ctx *c, uint32_t i)
{
    const struct tg_gemini_arg *a = &c->args->list[i];
    if (a->is_string)
        tg_jw_str(&c->w, tg_buf_str(&a->text));
    else
        tg_jw_raw(&c->w, tg_buf_str(&a->text));
}

/* The arguments from `first` on whose depth is `depth` are members of one container: each step
 * that they begin with is one, in order of its first appearance. */
static int container(struct ctx *c, uint32_t first, uint8_t depth)
{
    struct step mine;
    struct tg_str rest = c->rest[first];
    if (depth >= MAX_DEPTH || !next_step(&rest, &mine))
        return TG_E_UPSTREAM_INVALID;
    bool list = mine.is_index;
    if (list)
        tg_jw_arr(&c->w);
    else
        tg_jw_obj(&c->w);
    for (uint32_t i = first; i < c->args->n; i++) {
        if (c->depth[i] != depth)
            continue;
        rest = c->rest[i];
        if (!next_step(&rest, &mine) || mine.is_index != list)
            return TG_E_UPSTREAM_INVALID;
        if (!list)
            tg_jw_key(&c->w, mine.name);
        bool leaf = rest.n == 0;
        for (uint32_t k = i; k < c->args->n; k++) { /* all that begin with the same step */
            struct step other;
            struct tg_str behind = c->rest[k];
            if (c->depth[k] != depth || !next_step(&behind, &other) || other.is_index != list ||
                !tg_str_eq(other.name, mine.name))
                continue;
            if (leaf != (behind.n == 0))
                return TG_E_UPSTREAM_INVALID;
            c->rest[k] = behind;
            c->depth[k] = leaf ? 255 : (uint8_t)(depth + 1);
        }
        if (leaf) {
            value(c, i);
            continue;
        }
        int rc = container(c, i, (uint8_t)(depth + 1));
        if (rc)
            return rc;
    }
    for (uint32_t i = first; i < c->args->n; i++) {
        if (c->depth[i] == depth)
            c->depth[i] = 255;
    }
    if (list)
        tg_jw_end_arr(&c->w);
    else
        tg_jw_end_obj(&c->w);
    return 0;
}

int tg_gemini_args_write(const struct tg_gemini_args *args, struct tg_buf *out)
{
    struct ctx c = {.args = args, .w = tg_jw(out)};
    struct step first;
    if (!args->n)
        return tg_buf_lit(out, "{}");
    c.rest = tg_calloc(args->n, sizeof *c.rest);
    c.depth = tg_calloc(args->n, sizeof *c.depth);
    int rc = c.rest && c.depth ? 0 : TG_E_NOMEM;
    for (uint32_t i = 0; i < args->n && !rc; i++)
        c.rest[i] = tg_str_from(tg_buf_str(&args->list[i].path), 1);
    struct tg_str rest = rc ? TG_STR("") : c.rest[0];
    if (!rc && (!next_step(&rest, &first) || first.is_index))
        rc = TG_E_UPSTREAM_INVALID; /* arguments are an object */
    if (!rc)
        rc = container(&c, 0, 0);
    tg_free(c.rest);
    tg_free(c.depth);
    if (rc)
        return rc;
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}
