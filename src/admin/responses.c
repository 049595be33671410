/* Source of shapes and limits: OpenAI's API description, listInputItems, deleteResponse. */
#include "admin/responses.h"

#include "base/err.h"
#include "base/num.h"
#include "json/json.h"
#include "json/write.h"
#include "wire/url.h"

#define K(lit)        TG_STR(lit)
#define DEFAULT_LIMIT 20
#define MAX_LIMIT     100

/* ---- the query ---- */

static int bad(struct tg_fail *f, const char *name, const char *text)
{
    return tg_fail_param(f, TG_E_INVALID_VALUE, name, "'%s' %s", name, text);
}

int tg_admin_list_read(struct tg_arena *a, struct tg_str query, struct tg_admin_list *out,
                       struct tg_fail *fail)
{
    struct tg_admin_list l = {.limit = DEFAULT_LIMIT};
    struct tg_str v;
    uint64_t n;
    if (tg_query_get(query, K("order"), &v) && !tg_str_eq(v, K("desc"))) {
        if (!tg_str_eq(v, K("asc")))
            return bad(fail, "order", "must be asc or desc");
        l.ascending = true;
    }
    if (tg_query_get(query, K("limit"), &v)) {
        if (tg_parse_u64(v, &n) < 0 || n < 1 || n > MAX_LIMIT)
            return bad(fail, "limit", "must be a whole number from 1 to 100");
        l.limit = (size_t)n;
    }
    if (tg_query_get(query, K("after"), &v) && tg_query_decode(a, v, &l.after) < 0)
        return tg_fail_set(fail, TG_E_BAD_REQUEST, "malformed percent-encoding in 'after'");
    *out = l;
    return 0;
}

/* ---- items ---- */

struct item {
    const struct tg_json *v;
    struct tg_str id;
};

/* "msg_<tail>_in0" for an item of "resp_<tail>". */
static struct tg_str made_id(struct tg_arena *a, struct tg_str response_id, size_t i)
{
    struct tg_str tail =
        tg_str_starts(response_id, K("resp_")) ? tg_str_from(response_id, 5) : response_id;
    return tg_arena_printf(a, "msg_%.*s_in%zu", TG_STR_ARG(tail), i);
}

static bool is_message(const struct tg_json *v)
{
    const struct tg_json *type = tg_json_get(v, K("type"));
    return tg_json_str_is(type, K("message")) ||
           (tg_json_is_nil(type) && tg_json_get(v, K("role")));
}

static void write_text(struct tg_jw *w, const struct tg_json *v)
{
    bool said = tg_json_str_is(tg_json_get(v, K("role")), K("assistant"));
    tg_jw_key(w, K("content"));
    tg_jw_arr(w);
    tg_jw_obj(w);
    tg_jw_kstr(w, K("type"), said ? K("output_text") : K("input_text"));
    tg_jw_kstr(w, K("text"), tg_json_get_str(v, K("content")));
    if (said)
        tg_jw_kraw(w, K("annotations"), K("[]"));
    tg_jw_end_obj(w);
    tg_jw_end_arr(w);
}

/* The item's own members as they came; id and type are there in any case, a message's text is a
 * list of parts. */
static void write_item(struct tg_jw *w, struct tg_json_doc *doc, const struct item *it)
{
    bool message = is_message(it->v);
    tg_jw_obj(w);
    tg_jw_kstr(w, K("id"), it->id);
    if (message)
        tg_jw_kstr(w, K("type"), K("message"));
    if (message && !tg_json_get(it->v, K("status")))
        tg_jw_kstr(w, K("status"), K("completed"));
    struct tg_json_iter m = tg_json_iter(it->v);
    while (tg_json_next(&m)) {
        if (tg_str_eq(m.name, K("id")) || (message && tg_str_eq(m.name, K("type"))))
            continue;
        if (message && tg_str_eq(m.name, K("content")) && tg_json_is_str(m.value))
            write_text(w, it->v);
        else
            tg_jw_kraw(w, m.name, tg_json_raw(doc, m.value));
    }
    tg_jw_end_obj(w);
}

static int gather(struct tg_arena *a, struct tg_str response_id, const struct tg_json *list,
                  bool ascending, struct item *out)
{
    size_t n = tg_json_count(list);
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        struct item *to = &out[ascending ? it.index : n - 1 - it.index];
        to->v = it.value;
        to->id = tg_json_get_str(it.value, K("id"));
        if (!to->id.n)
            to->id = made_id(a, response_id, it.index);
        if (!to->id.p)
            return TG_E_NOMEM;
    }
    return 0;
}

static void write_id(struct tg_jw *w, struct tg_str key, const struct item *it)
{
    if (it)
        tg_jw_kstr(w, key, it->id);
    else
        tg_jw_kraw(w, key, K("null"));
}

static void write_page(struct tg_json_doc *doc, const struct item *v, size_t n, bool more,
                       struct tg_buf *out)
{
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, K("object"), K("list"));
    tg_jw_key(&w, K("data"));
    tg_jw_arr(&w);
    for (size_t i = 0; i < n; i++)
        write_item(&w, doc, &v[i]);
    tg_jw_end_arr(&w);
    write_id(&w, K("first_id"), n ? &v[0] : NULL);
    write_id(&w, K("last_id"), n ? &v[n - 1] : NULL);
    tg_jw_kbool(&w, K("has_more"), more);
    tg_jw_end_obj(&w);
}

int tg_admin_input_items(struct tg_arena *a, struct tg_str response_id, struct tg_str items,
                         const struct tg_admin_list *page, struct tg_buf *out, struct tg_fail *fail)
{
    struct tg_json_doc *doc;
    int rc = tg_json_parse(a, items, NULL, &doc, fail);
    if (rc < 0)
        return rc;
    size_t n = tg_json_count(tg_json_root(doc)), from = 0;
    struct item *v = tg_arena_array(a, n + 1, sizeof *v);
    if (!v || gather(a, response_id, tg_json_root(doc), page->ascending, v) < 0)
        return TG_E_NOMEM;
    while (page->after.n && from < n && !tg_str_eq(v[from].id, page->after))
        from++;
    if (page->after.n && from == n)
        return bad(fail, "after", "is no item of this list");
    from += page->after.n > 0;
    size_t count = n - from < page->limit ? n - from : page->limit;
    write_page(doc, v + from, count, from + count < n, out);
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}

void tg_admin_response_deleted(struct tg_str id, struct tg_buf *out)
{
    struct tg_jw w = tg_jw(out);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, K("id"), id);
    tg_jw_kstr(&w, K("object"), K("response"));
    tg_jw_kbool(&w, K("deleted"), true);
    tg_jw_end_obj(&w);
}
