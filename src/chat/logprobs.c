#include "chat/logprobs.h"

#include "base/err.h"
#include "chat/collect.h"
#include "json/json.h"

enum { MAX_MEMBERS = 8 };

/* One member of the result: the insides of its arrays, joined by commas. */
struct joined {
    struct tg_str name;
    struct tg_buf items;
    bool is_array;
};

struct join {
    struct joined m[MAX_MEMBERS];
    size_t n;
};

static struct joined *find(struct join *j, struct tg_str name)
{
    for (size_t i = 0; i < j->n; i++) {
        if (tg_str_eq(j->m[i].name, name))
            return &j->m[i];
    }
    if (j->n == MAX_MEMBERS)
        return NULL;
    struct joined *m = &j->m[j->n++];
    m->name = name;
    tg_buf_init(&m->items, TG_COLLECT_MAX_BYTES);
    return m;
}

static int add_object(struct tg_arena *a, struct join *j, struct tg_str text)
{
    struct tg_json_doc *doc;
    int rc = tg_json_parse(a, text, NULL, &doc, NULL);
    if (rc)
        return rc == TG_E_NOMEM ? rc : 0;
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    while (tg_json_is_obj(tg_json_root(doc)) && tg_json_next(&it)) {
        struct joined *m = find(j, it.name);
        if (!m || !tg_json_is_arr(it.value))
            continue;
        m->is_array = true;
        if (tg_json_count(it.value) == 0)
            continue;
        struct tg_str raw = tg_json_raw(doc, it.value);
        if (m->items.n)
            tg_buf_char(&m->items, ',');
        tg_buf_add(&m->items, raw.p + 1, raw.n - 2);
        if (!tg_buf_ok(&m->items))
            return TG_E_NOMEM;
    }
    return 0;
}

static void write(const struct join *j, struct tg_buf *out)
{
    tg_buf_char(out, '{');
    for (size_t i = 0; i < j->n; i++) {
        const struct joined *m = &j->m[i];
        if (i)
            tg_buf_char(out, ',');
        tg_buf_json_str(out, m->name);
        tg_buf_char(out, ':');
        if (!m->is_array) {
            tg_buf_lit(out, "null");
            continue;
        }
        tg_buf_char(out, '[');
        tg_buf_str_add(out, tg_buf_str(&m->items));
        tg_buf_char(out, ']');
    }
    tg_buf_char(out, '}');
}

int tg_logprobs_join(struct tg_str texts, struct tg_buf *out)
{
    struct tg_str first = texts;
    ptrdiff_t end = tg_str_chr(texts, TG_COLLECT_RS);
    if (end < 0) {
        tg_buf_lit(out, "null");
        return 0;
    }
    first.n = (size_t)end;
    if ((size_t)end + 1 == texts.n) {
        tg_buf_str_add(out, first);
        return 0;
    }
    struct join j = {.n = 0};
    struct tg_arena a; /* of all texts at once: the members' names live in it */
    tg_arena_init(&a, 4096, SIZE_MAX / 2);
    int rc = 0;
    struct tg_str rest = texts, text;
    while (!rc && tg_str_split(&rest, TG_COLLECT_RS, &text)) {
        if (text.n)
            rc = add_object(&a, &j, text);
    }
    if (!rc)
        write(&j, out);
    for (size_t i = 0; i < j.n; i++)
        tg_buf_fini(&j.m[i].items);
    tg_arena_fini(&a);
    return rc;
}
