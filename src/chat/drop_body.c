/* Fields and tools left out of a client's own bytes, for a provider of the same format: the rest
 * stays byte for byte. Fields are named by their path, `user` or `generationConfig.topK`. */
#include "base/err.h"
#include "chat/drop_priv.h"
#include "json/json.h"

#define MAX_PATHS 64
#define MAX_DEPTH 4

struct editor {
    const struct tg_drop *d;
    struct tg_json_doc *doc;
    struct tg_str paths[MAX_PATHS];
    size_t n_paths;
    bool all_types; /* every tool that is no function goes */
    bool no_tools;  /* none is left */
    struct tg_buf out, left_out, path;
};

static void add_path(struct editor *e, struct tg_str name)
{
    ptrdiff_t colon = tg_str_chr(name, ':');
    if (colon >= 0)
        name = tg_str_first(name, (size_t)colon);
    if (name.n && e->n_paths < MAX_PATHS)
        e->paths[e->n_paths++] = name;
}

/* What the setting names, and what the client calls the features that it names. */
static void find_paths(struct editor *e, const struct tg_chat_req *req)
{
    uint64_t bits = req ? tg_drop_features(e->d, tg_features_of(req)) : 0;
    e->all_types = bits & TG_FEATURE_BIT(TOOL_TYPES);
    for (size_t i = 0; i < e->d->n; i++)
        add_path(e, e->d->names[i]);
    for (; bits && e->d->client.names; bits &= bits - 1) {
        const char *all = e->d->client.names[__builtin_ctzll(bits)];
        struct tg_str rest = all ? tg_str_c(all) : TG_STR(""), one;
        while (rest.n && tg_str_split(&rest, ' ', &one))
            add_path(e, one);
    }
}

static bool is_path(const struct editor *e, struct tg_str path)
{
    for (size_t i = 0; i < e->n_paths; i++) {
        if (tg_str_eq(e->paths[i], path))
            return true;
    }
    return false;
}

static bool leads_on(const struct editor *e, struct tg_str path)
{
    for (size_t i = 0; i < e->n_paths; i++) {
        if (tg_str_starts(e->paths[i], path) && e->paths[i].n > path.n + 1 &&
            e->paths[i].p[path.n] == '.')
            return true;
    }
    return false;
}

/* ---- tools ---- */

static bool drops_type(const struct editor *e, struct tg_str type)
{
    static const struct tg_str functions[] = {
        TG_STR_INIT("function"), TG_STR_INIT("custom"), TG_STR_INIT("namespace"),
        TG_STR_INIT("functionDeclarations"), TG_STR_INIT("function_declarations")};
    for (size_t i = 0; i < TG_ARRAY_LEN(functions); i++) {
        if (!type.n || tg_str_eq(type, functions[i]))
            return false;
    }
    for (size_t i = 0; i < e->d->n; i++) {
        if (tg_drop_is_type(type, e->d->names[i]))
            return true;
    }
    return e->all_types;
}

static void put_raw(struct editor *e, struct tg_str key, struct tg_str raw, bool first)
{
    if (!first)
        tg_buf_char(&e->out, ',');
    tg_buf_str_add(&e->out, key);
    if (key.n)
        tg_buf_char(&e->out, ':');
    tg_buf_str_add(&e->out, raw);
}

static struct tg_str key_text(const struct editor *e, const struct tg_json_iter *m)
{
    struct tg_json_span s = tg_json_span(e->doc, m->key);
    return tg_str_make(tg_json_text(e->doc).p + s.at, s.n);
}

/* Google's {"googleSearch":{}}, one object for several tools. */
static bool put_keyed_tool(struct editor *e, const struct tg_json *v, bool first)
{
    size_t kept = 0, n = tg_json_count(v);
    struct tg_json_iter m = tg_json_iter(v);
    while (tg_json_next(&m))
        kept += !drops_type(e, m.name);
    if (kept == n) {
        put_raw(e, TG_STR(""), tg_json_raw(e->doc, v), first);
        return true;
    }
    if (kept)
        put_raw(e, TG_STR(""), TG_STR("{"), first);
    bool begun = false;
    m = tg_json_iter(v);
    while (tg_json_next(&m)) {
        if (drops_type(e, m.name)) {
            tg_drop_say(&e->left_out, m.name);
            continue;
        }
        put_raw(e, key_text(e, &m), tg_json_raw(e->doc, m.value), !begun);
        begun = true;
    }
    if (kept)
        tg_buf_char(&e->out, '}');
    return kept > 0;
}

/* The list without what is left out; false: nothing would be left, and nothing was written. */
static bool put_tools(struct editor *e, struct tg_str key, const struct tg_json *list, bool first)
{
    size_t start = e->out.n, n = 0;
    struct tg_json_iter it = tg_json_iter(list);
    put_raw(e, key, TG_STR("["), first);
    while (tg_json_next(&it)) {
        const struct tg_json *type = tg_json_get(it.value, TG_STR("type"));
        bool typed = tg_json_is_str(type) || tg_json_get(it.value, TG_STR("name"));
        if (typed && drops_type(e, tg_json_str(type)))
            tg_drop_say(&e->left_out, tg_json_str(type));
        else if (typed || !tg_json_is_obj(it.value))
            put_raw(e, TG_STR(""), tg_json_raw(e->doc, it.value), n++ == 0);
        else
            n += put_keyed_tool(e, it.value, n == 0);
    }
    tg_buf_char(&e->out, ']');
    if (n || !tg_json_count(list))
        return true;
    e->out.n = start;
    e->no_tools = true;
    return false;
}

/* ---- members ---- */

/* Means nothing, or is refused, without tools. */
static bool is_about_tools(const struct editor *e, struct tg_str path)
{
    return e->no_tools &&
           (tg_str_eq(path, TG_STR("tool_choice")) || tg_str_eq(path, TG_STR("toolConfig")) ||
            tg_str_eq(path, TG_STR("parallel_tool_calls")));
}

/* To MAX_DEPTH. */
static void put_object(struct editor *e, const struct tg_json *v, unsigned depth)
{
    bool first = true;
    size_t above = e->path.n;
    struct tg_json_iter m = tg_json_iter(v);
    tg_buf_char(&e->out, '{');
    for (; tg_json_next(&m); e->path.n = above) {
        if (above)
            tg_buf_char(&e->path, '.');
        tg_buf_str_add(&e->path, m.name);
        struct tg_str path = tg_buf_str(&e->path), key = key_text(e, &m);
        if (is_about_tools(e, path))
            continue;
        if (is_path(e, path)) {
            tg_drop_say(&e->left_out, path);
            continue;
        }
        if (tg_json_is_obj(m.value) && depth < MAX_DEPTH && leads_on(e, path)) {
            put_raw(e, key, TG_STR(""), first);
            put_object(e, m.value, depth + 1);
        } else if (tg_str_eq(path, TG_STR("tools")) && tg_json_is_arr(m.value)) {
            if (!put_tools(e, key, m.value, first))
                continue;
        } else {
            put_raw(e, key, tg_json_raw(e->doc, m.value), first);
        }
        first = false;
    }
    tg_buf_char(&e->out, '}');
}

/* Whether tools stand behind what is about them is the client's choice: a second turn knows. */
static void edit(struct editor *e)
{
    put_object(e, tg_json_root(e->doc), 0);
    if (!e->no_tools)
        return;
    tg_buf_clear(&e->out);
    tg_buf_clear(&e->left_out);
    put_object(e, tg_json_root(e->doc), 0);
}

int tg_drop_body(struct tg_arena *a, const struct tg_drop *d, const struct tg_chat_req *req,
                 struct tg_str *out_body, struct tg_str *out_left_out)
{
    struct editor e = {.d = d};
    int rc = tg_json_parse(a, d->client.body, NULL, &e.doc, NULL);
    if (rc < 0 || !tg_json_is_obj(tg_json_root(e.doc)))
        return rc == TG_E_NOMEM ? rc : 0;
    find_paths(&e, req);
    tg_buf_init(&e.out, d->client.body.n + 16);
    tg_buf_init(&e.left_out, 4096);
    tg_buf_init(&e.path, d->client.body.n + 16);
    edit(&e);
    rc = e.left_out.n > 0;
    struct tg_str body = tg_arena_dup(a, tg_buf_str(&e.out));
    struct tg_str names = tg_arena_dup(a, tg_buf_str(&e.left_out));
    if (!tg_buf_ok(&e.out) || !tg_buf_ok(&e.path) || !body.p || (rc && !names.p))
        rc = TG_E_NOMEM;
    tg_buf_fini(&e.out);
    tg_buf_fini(&e.left_out);
    tg_buf_fini(&e.path);
    if (rc <= 0)
        return rc;
    *out_body = body;
    *out_left_out = names;
    return 1;
}
