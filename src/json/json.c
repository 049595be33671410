#include <math.h>

#include "base/assert.h"
#include "base/err.h"
#include "base/num.h"
#include "json/json_priv.h"

enum {
    DEFAULT_DEPTH = 128,
    VALUES_PER_MB = 100000,
    DEFAULT_STRING_BYTES = 16 * 1024 * 1024,
    PADDING = 8, /* yyjson wants 4 zero bytes behind the text */
};

/* Context of the allocator that yyjson is given: the arena, with a ceiling on the value table. */
struct alloc_ctx {
    struct tg_arena *arena;
    size_t max_table_bytes;
    void *table; /* newest table and its size, to give its unused tail back */
    size_t table_bytes;
    bool too_many;
};

static void *table_alloc(void *ctx, size_t n)
{
    struct alloc_ctx *c = ctx;
    c->table = tg_arena_alloc(c->arena, n);
    c->table_bytes = c->table ? n : 0;
    return c->table;
}

static void *table_realloc(void *ctx, void *old, size_t old_n, size_t n)
{
    struct alloc_ctx *c = ctx;
    if (old_n > c->max_table_bytes) { /* full, and already larger than all that is allowed */
        c->too_many = true;
        return NULL;
    }
    void *p = tg_arena_grow(c->arena, old, old_n, n);
    if (p) {
        c->table = p;
        c->table_bytes = n;
    }
    return p;
}

static void table_free(void *ctx, void *p)
{
    (void)ctx; /* the arena's */
    (void)p;
}

static struct tg_json_limits effective(const struct tg_json_limits *l, size_t text_bytes)
{
    struct tg_json_limits e = l ? *l : (struct tg_json_limits){0};
    if (e.max_depth == 0)
        e.max_depth = DEFAULT_DEPTH;
    if (e.max_depth > TG_JSON_MAX_DEPTH)
        e.max_depth = TG_JSON_MAX_DEPTH;
    if (e.max_values == 0)
        e.max_values = text_bytes / 1000000 * VALUES_PER_MB + VALUES_PER_MB;
    if (e.max_string_bytes == 0)
        e.max_string_bytes = DEFAULT_STRING_BYTES;
    return e;
}

/* Depth of the brackets in a text that did not parse; stops at the limit. Only on the way to an
 * error: it tells "too deep" from "cut off". */
static bool brackets_too_deep(struct tg_str text, unsigned max_depth)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > max_depth)
                return true;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return false;
}

static TG_COLD int too_deep(const struct tg_json_limits *l, struct tg_fail *f)
{
    return tg_fail_set(f, TG_E_JSON_TOO_DEEP, "the JSON is nested deeper than %u levels",
                       l->max_depth);
}

static TG_COLD int too_many(const struct tg_json_limits *l, struct tg_fail *f)
{
    return tg_fail_set(f, TG_E_JSON_TOO_LARGE, "the JSON has more than %zu values", l->max_values);
}

static TG_COLD int refused(struct tg_str text, const yyjson_read_err *err,
                           const struct alloc_ctx *ctx, const struct tg_json_limits *l,
                           struct tg_fail *f)
{
    bool memory = err->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    if (memory && !ctx->too_many)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory to parse the JSON");
    size_t until = memory || err->pos > text.n ? text.n : err->pos;
    if (brackets_too_deep(tg_str_first(text, until), l->max_depth))
        return too_deep(l, f);
    if (memory)
        return too_many(l, f);
    return tg_fail_set(f, TG_E_INVALID_JSON, "invalid JSON at byte %zu: %s", err->pos,
                       err->msg ? err->msg : "syntax error");
}

/* yyjson's table is flat and in document order, so that one pass with a stack of ends sees every
 * level without recursion. */
static int check_values(const yyjson_val *root, size_t count, const struct tg_json_limits *l,
                        struct tg_fail *f)
{
    TG_UNINITIALIZED const yyjson_val *ends[TG_JSON_MAX_DEPTH];
    unsigned depth = 0;
    if (count > l->max_values)
        return too_many(l, f);
    for (const yyjson_val *v = root; v < root + count; v++) {
        while (depth && v >= ends[depth - 1])
            depth--;
        if (tg_json_yy_is_container(v)) {
            if (depth == l->max_depth)
                return too_deep(l, f);
            ends[depth++] = tg_json_yy_next(v);
        } else if (tg_json_yy_len(v) > l->max_string_bytes) {
            return tg_fail_set(f, TG_E_JSON_TOO_LARGE,
                               "the JSON has a string of more than %zu bytes", l->max_string_bytes);
        }
    }
    return 0;
}

static char *padded_copy(struct tg_arena *a, struct tg_str text)
{
    char *copy = text.n < SIZE_MAX - PADDING ? tg_arena_alloc(a, text.n + PADDING) : NULL;
    if (!copy)
        return NULL;
    if (text.n)
        memcpy(copy, text.p, text.n);
    memset(copy + text.n, 0, PADDING);
    return copy;
}

int tg_json_parse(struct tg_arena *a, struct tg_str text, const struct tg_json_limits *limits,
                  struct tg_json_doc **out, struct tg_fail *f)
{
    struct tg_json_limits l = effective(limits, text.n);
    if (text.n == 0)
        return tg_fail_set(f, TG_E_INVALID_JSON, "invalid JSON at byte 0: the text is empty");
    struct tg_json_doc *doc = tg_arena_new(a, struct tg_json_doc);
    char *copy = padded_copy(a, text);
    if (!doc || !copy)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory to parse the JSON");
    size_t table_max =
        l.max_values < SIZE_MAX / 64 ? (l.max_values + 16) * sizeof(yyjson_val) : SIZE_MAX;
    struct alloc_ctx ctx = {.arena = a, .max_table_bytes = table_max};
    yyjson_alc alc = {table_alloc, table_realloc, table_free, &ctx};
    yyjson_read_err err = {0};
    yyjson_doc *yy =
        yyjson_read_opts(copy, text.n, YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW, &alc, &err);
    if (!yy)
        return refused(text, &err, &ctx, &l, f);
    /* With fewer values than levels allowed, and no more text than a string may have, there is
     * nothing to look for: that is every event of a stream. */
    bool small =
        yy->val_read <= l.max_depth && yy->val_read <= l.max_values && text.n <= l.max_string_bytes;
    int rc = small ? 0 : check_values(yy->root, yy->val_read, &l, f);
    if (rc)
        return rc;
    size_t used = (size_t)((const char *)(yy->root + yy->val_read) - (const char *)ctx.table);
    tg_arena_trim(a, ctx.table, ctx.table_bytes, used);
    *doc = (struct tg_json_doc){
        .text = text, .copy = copy, .root = yy->root, .count = yy->val_read, .arena = a};
    *out = doc;
    return 0;
}

const struct tg_json *tg_json_root(const struct tg_json_doc *doc)
{
    return tg_json_from_yy(doc->root);
}

struct tg_str tg_json_text(const struct tg_json_doc *doc)
{
    return doc->text;
}

size_t tg_json_value_count(const struct tg_json_doc *doc)
{
    return doc->count;
}

/* ---- values ---- */

enum tg_json_type tg_json_type(const struct tg_json *v)
{
    static const unsigned char types[8] = {
        [YYJSON_TYPE_RAW] = TG_JSON_NUMBER, [YYJSON_TYPE_NULL] = TG_JSON_NULL,
        [YYJSON_TYPE_BOOL] = TG_JSON_BOOL,  [YYJSON_TYPE_NUM] = TG_JSON_NUMBER,
        [YYJSON_TYPE_STR] = TG_JSON_STRING, [YYJSON_TYPE_ARR] = TG_JSON_ARRAY,
        [YYJSON_TYPE_OBJ] = TG_JSON_OBJECT,
    };
    return v ? (enum tg_json_type)types[tg_json_yy_type(tg_json_yy(v))] : TG_JSON_ABSENT;
}

const char *tg_json_type_name(enum tg_json_type t)
{
    static const char *const names[] = {"nothing",  "null",     "a boolean", "a number",
                                        "a string", "an array", "an object"};
    return (unsigned)t < TG_ARRAY_LEN(names) ? names[t] : "nothing";
}

static inline struct tg_str text_of(const yyjson_val *v)
{
    return tg_str_make(v->uni.str, tg_json_yy_len(v));
}

struct tg_str tg_json_str(const struct tg_json *v)
{
    return tg_json_is_str(v) ? text_of(tg_json_yy(v)) : (struct tg_str){NULL, 0};
}

bool tg_json_str_is(const struct tg_json *v, struct tg_str s)
{
    return tg_json_is_str(v) && tg_str_eq(text_of(tg_json_yy(v)), s);
}

struct tg_str tg_json_num(const struct tg_json *v)
{
    return tg_json_is_num(v) ? text_of(tg_json_yy(v)) : (struct tg_str){NULL, 0};
}

/* The text is NUL-terminated in the working copy, and its syntax was checked when it was parsed:
 * what can still go wrong is the magnitude. */
static int number_of(const struct tg_json *v, yyjson_val *out)
{
    if (!tg_json_is_num(v))
        return TG_E_INVALID_ARG;
    yyjson_read_err err;
    if (!yyjson_read_number(tg_json_yy(v)->uni.str, out, 0, NULL, &err))
        return TG_E_RANGE;
    return 0;
}

int tg_json_i64(const struct tg_json *v, int64_t *out)
{
    yyjson_val n;
    int rc = number_of(v, &n);
    if (rc)
        return rc;
    if (unsafe_yyjson_is_uint(&n)) {
        if (n.uni.u64 > INT64_MAX)
            return TG_E_RANGE;
        *out = (int64_t)n.uni.u64;
        return 0;
    }
    if (unsafe_yyjson_is_sint(&n)) {
        *out = n.uni.i64;
        return 0;
    }
    double d = n.uni.f64;
    if (d != floor(d))
        return TG_E_INVALID_ARG;
    if (fabs(d) > 9007199254740992.0)
        return TG_E_RANGE;
    *out = (int64_t)d;
    return 0;
}

int tg_json_double(const struct tg_json *v, double *out)
{
    yyjson_val n;
    int rc = number_of(v, &n);
    if (rc)
        return rc;
    *out = yyjson_get_num(&n);
    return 0;
}

int tg_json_bool(const struct tg_json *v, bool *out)
{
    if (!tg_json_is_bool(v))
        return TG_E_INVALID_ARG;
    *out = tg_json_true(v);
    return 0;
}

bool tg_json_true(const struct tg_json *v)
{
    return v && (tg_json_yy(v)->tag & YYJSON_TAG_MASK) == (YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE);
}

size_t tg_json_count(const struct tg_json *v)
{
    return v && tg_json_yy_is_container(tg_json_yy(v)) ? tg_json_yy_len(tg_json_yy(v)) : 0;
}

const struct tg_json *tg_json_get(const struct tg_json *obj, struct tg_str key)
{
    if (!tg_json_is_obj(obj))
        return NULL;
    const yyjson_val *k = tg_json_yy(obj) + 1;
    for (size_t left = tg_json_count(obj); left; left--) {
        if (tg_json_yy_len(k) == key.n && (key.n == 0 || memcmp(k->uni.str, key.p, key.n) == 0))
            return tg_json_from_yy(k + 1);
        k = tg_json_yy_next(k + 1);
    }
    return NULL;
}

struct tg_str tg_json_get_str(const struct tg_json *obj, struct tg_str key)
{
    return tg_json_str(tg_json_get(obj, key));
}

const struct tg_json *tg_json_get2(const struct tg_json *obj, struct tg_str a, struct tg_str b)
{
    return tg_json_get(tg_json_get(obj, a), b);
}

const struct tg_json *tg_json_at(const struct tg_json *arr, size_t i)
{
    if (!tg_json_is_arr(arr) || i >= tg_json_count(arr))
        return NULL;
    const yyjson_val *v = tg_json_yy(arr) + 1;
    while (i--)
        v = tg_json_yy_next(v);
    return tg_json_from_yy(v);
}

struct tg_json_iter tg_json_iter(const struct tg_json *v)
{
    struct tg_json_iter it = {.left_ = tg_json_count(v), .object_ = tg_json_is_obj(v)};
    if (it.left_)
        it.next_ = tg_json_from_yy(tg_json_yy(v) + 1);
    return it;
}

bool tg_json_next(struct tg_json_iter *it)
{
    if (!it->left_)
        return false;
    const yyjson_val *v = tg_json_yy(it->next_);
    if (it->value)
        it->index++;
    if (it->object_) {
        it->key = tg_json_from_yy(v);
        it->name = text_of(v);
        v++;
    }
    it->value = tg_json_from_yy(v);
    if (--it->left_)
        it->next_ = tg_json_from_yy(tg_json_yy_next(v));
    return true;
}
