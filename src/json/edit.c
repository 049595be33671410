#include "base/err.h"
#include "json/json_priv.h"
#include "json/splice.h"

struct tg_splice tg_json_edit_value(struct tg_json_doc *doc, const struct tg_json *v,
                                    struct tg_str raw)
{
    struct tg_json_span s = tg_json_span(doc, v);
    return (struct tg_splice){s.at, s.n, raw};
}

/* Bytes of `key` as a JSON string, quotes included. */
static int quoted_key(struct tg_json_doc *doc, struct tg_str key, struct tg_str *out)
{
    struct tg_buf b;
    tg_buf_init(&b, SIZE_MAX / 2);
    int rc = tg_buf_json_str(&b, key);
    if (rc == 0) {
        *out = tg_arena_dup(doc->arena, tg_buf_str(&b));
        rc = out->p ? 0 : TG_E_NOMEM;
    }
    tg_buf_fini(&b);
    return rc;
}

/* The list being built. */
struct edits {
    struct tg_splice *out;
    size_t n, max;
};

static int add_edit(struct edits *e, size_t at, size_t end, struct tg_str insert)
{
    if (e->n == e->max)
        return TG_E_FULL;
    e->out[e->n++] = (struct tg_splice){at, end - at, insert};
    return 0;
}

static const struct tg_json_change *change_of(struct tg_str name, const struct tg_json_change *c,
                                              size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tg_str_eq(c[i].key, name))
            return &c[i];
    return NULL;
}

static bool is_deleted(struct tg_str name, const struct tg_json_change *c, size_t n)
{
    const struct tg_json_change *hit = change_of(name, c, n);
    return hit && !hit->raw.p;
}

/* `"key":raw` for every change whose key is not there, separated by commas, with one at the end
 * when `comma_behind`. {NULL,0} when there is none. */
static int inserted_text(struct tg_json_doc *doc, const struct tg_json *obj,
                         const struct tg_json_change *c, size_t n, bool comma_behind,
                         struct tg_str *out)
{
    struct tg_str text = {NULL, 0};
    for (size_t i = 0; i < n; i++) {
        struct tg_str key;
        if (!c[i].raw.p || tg_json_get(obj, c[i].key))
            continue;
        int rc = quoted_key(doc, c[i].key, &key);
        if (rc)
            return rc;
        /* <what is there>[,]"key":raw[,] */
        char *p = tg_arena_alloc(doc->arena, text.n + key.n + c[i].raw.n + 3);
        if (!p)
            return TG_E_NOMEM;
        size_t at = 0;
        if (text.n) {
            memcpy(p, text.p, text.n);
            at = text.n;
            if (!comma_behind)
                p[at++] = ',';
        }
        memcpy(p + at, key.p, key.n);
        at += key.n;
        p[at++] = ':';
        memcpy(p + at, c[i].raw.p, c[i].raw.n);
        at += c[i].raw.n;
        if (comma_behind)
            p[at++] = ',';
        text = tg_str_make(p, at);
    }
    *out = text;
    return 0;
}

static size_t span_end(struct tg_json_doc *doc, const struct tg_json *v)
{
    struct tg_json_span s = tg_json_span(doc, v);
    return s.at + s.n;
}

/* Removals come in runs: a run goes with the comma behind it when a member that stays follows,
 * else with the comma before it when one precedes, else there is no comma left. */
static int member_edits(struct tg_json_doc *doc, const struct tg_json *obj,
                        const struct tg_json_change *c, size_t n, struct edits *e)
{
    const struct tg_json *run = NULL, *kept = NULL, *last = NULL; /* run: key; kept, last: values */
    struct tg_json_iter it = tg_json_iter(obj);
    int rc = 0;
    while (rc == 0 && tg_json_next(&it)) {
        const struct tg_json_change *hit = change_of(it.name, c, n);
        last = it.value;
        if (hit && !hit->raw.p) {
            run = run ? run : it.key;
            continue;
        }
        if (run)
            rc = add_edit(e, tg_json_span(doc, run).at, tg_json_span(doc, it.key).at,
                          (struct tg_str){NULL, 0});
        run = NULL;
        kept = it.value;
        if (rc == 0 && hit) {
            struct tg_json_span s = tg_json_span(doc, it.value);
            rc = add_edit(e, s.at, s.at + s.n, hit->raw);
        }
    }
    if (rc || !run)
        return rc;
    size_t from = kept ? span_end(doc, kept) : tg_json_span(doc, run).at;
    return add_edit(e, from, span_end(doc, last), (struct tg_str){NULL, 0});
}

/* Just behind the opening bracket, or before the first key. */
static size_t insert_place(struct tg_json_doc *doc, const struct tg_json *obj)
{
    struct tg_json_iter it = tg_json_iter(obj);
    return tg_json_next(&it) ? tg_json_span(doc, it.key).at : tg_json_span(doc, obj).at + 1;
}

static bool any_stays(const struct tg_json *obj, const struct tg_json_change *c, size_t n)
{
    struct tg_json_iter it = tg_json_iter(obj);
    while (tg_json_next(&it))
        if (!is_deleted(it.name, c, n))
            return true;
    return false;
}

int tg_json_edit_members(struct tg_json_doc *doc, const struct tg_json *obj,
                         const struct tg_json_change *changes, size_t n_changes,
                         struct tg_splice *out, size_t max)
{
    if (!tg_json_is_obj(obj))
        return TG_E_INVALID_ARG;
    struct edits e = {out, 0, max};
    struct tg_str text;
    int rc = inserted_text(doc, obj, changes, n_changes, any_stays(obj, changes, n_changes), &text);
    if (rc)
        return rc;
    if (text.p) {
        size_t at = insert_place(doc, obj);
        rc = add_edit(&e, at, at, text);
    }
    if (rc == 0)
        rc = member_edits(doc, obj, changes, n_changes, &e);
    return rc ? rc : (int)e.n;
}

int tg_json_edit_set_member(struct tg_json_doc *doc, const struct tg_json *obj, struct tg_str key,
                            struct tg_str raw, struct tg_splice *out)
{
    const struct tg_json *there = tg_json_get(obj, key);
    if (there) {
        *out = tg_json_edit_value(doc, there, raw);
        return 0;
    }
    struct tg_json_change change = {key, raw};
    int n = tg_json_edit_members(doc, obj, &change, 1, out, 1);
    return n < 0 ? n : 0;
}
