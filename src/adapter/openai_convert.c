/* A whole answer as one chunk of a stream, by splicing its text. */
#include "adapter/openai_priv.h"
#include "base/err.h"
#include "json/splice.h"

struct list {
    struct tg_splice *edits;
    size_t n, max;
};

static int add(struct list *l, struct tg_splice e)
{
    if (l->n == l->max)
        return TG_E_UPSTREAM_INVALID;
    l->edits[l->n++] = e;
    return 0;
}

static int number_calls(struct tg_json_doc *doc, const struct tg_json *calls, struct tg_arena *a,
                        struct list *l)
{
    int rc = 0;
    struct tg_json_iter it = tg_json_iter(calls);
    while (!rc && tg_json_next(&it)) {
        if (!tg_json_is_obj(it.value) || tg_json_get(it.value, TG_STR("index")))
            continue;
        struct tg_str text =
            tg_arena_printf(a, "\"index\":%zu%s", it.index, tg_json_count(it.value) ? "," : "");
        if (!text.p)
            return TG_E_NOMEM;
        rc = add(l, (struct tg_splice){tg_json_span(doc, it.value).at + 1, 0, text});
    }
    return rc;
}

static int convert_choice(struct tg_json_doc *doc, const struct tg_json *choice, struct tg_arena *a,
                          struct list *l)
{
    if (tg_json_get(choice, TG_STR("delta")))
        return 0;
    struct tg_json_iter it = tg_json_iter(choice);
    while (tg_json_is_obj(choice) && tg_json_next(&it)) {
        if (!tg_str_eq(it.name, TG_STR("message")))
            continue;
        struct tg_json_span key = tg_json_span(doc, it.key);
        int rc = add(l, (struct tg_splice){key.at, key.n, TG_STR("\"delta\"")});
        return rc ? rc : number_calls(doc, tg_json_get(it.value, TG_STR("tool_calls")), a, l);
    }
    return 0;
}

int tg_openai_body_to_chunk(struct tg_json_doc *doc, struct tg_arena *a, struct tg_buf *out)
{
    const struct tg_json *root = tg_json_root(doc);
    const struct tg_json *choices = tg_json_get(root, TG_STR("choices"));
    const struct tg_json *object = tg_json_get(root, TG_STR("object"));
    struct list l = {.max = 1};
    struct tg_json_iter it = tg_json_iter(choices);
    while (tg_json_next(&it))
        l.max += 1 + tg_json_count(tg_json_get2(it.value, TG_STR("message"), TG_STR("tool_calls")));
    l.edits = tg_arena_array(a, l.max, sizeof(*l.edits));
    if (!l.edits)
        return TG_E_NOMEM;
    int rc = 0;
    if (tg_json_str_is(object, TG_STR("chat.completion")))
        rc = add(&l, tg_json_edit_value(doc, object, TG_STR("\"chat.completion.chunk\"")));
    it = tg_json_iter(choices);
    while (!rc && tg_json_next(&it))
        rc = convert_choice(doc, it.value, a, &l);
    if (rc)
        return rc;
    tg_json_splice_sort(l.edits, l.n);
    return tg_json_splice(tg_json_text(doc), l.edits, l.n, out);
}
