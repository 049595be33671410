#include "dialect/items_priv.h"

#include <stdlib.h>

#include "base/err.h"

enum { MAX_INPUTS = TG_COLLECT_MAX_ITEMS };

int tg_items_begin(void *state, const struct tg_render_info *info)
{
    return 0;
}

int tg_items_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                    struct tg_buf *out)
{
    struct tg_items *s = state;
    return tg_collect_on_event(&s->collect, ev);
}

void tg_items_fini(void *state)
{
    struct tg_items *s = state;
    tg_collect_fini(&s->collect);
}

static int by_index(const void *a, const void *b)
{
    uint32_t x = ((const struct tg_collect_item *)a)->index;
    uint32_t y = ((const struct tg_collect_item *)b)->index;
    return x < y ? -1 : x > y;
}

void tg_items_sort(struct tg_items *s)
{
    struct tg_collect *c = &s->collect;
    bool sorted = true;
    for (size_t i = 1; i < c->n_items && sorted; i++)
        sorted = c->items[i - 1].index <= c->items[i].index;
    if (!sorted)
        qsort(c->items, c->n_items, sizeof *c->items, by_index);
}

/* ---- inputs ---- */

static bool all_of(const struct tg_json *list, enum tg_json_type type)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (tg_json_type(it.value) != type)
            return false;
    }
    return true;
}

static bool texts_or_objects(const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (!tg_json_is_str(it.value) && !tg_json_is_obj(it.value))
            return false;
    }
    return true;
}

static bool token_lists(const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (!tg_json_is_arr(it.value) || !tg_json_count(it.value) ||
            !all_of(it.value, TG_JSON_NUMBER))
            return false;
    }
    return true;
}

int tg_items_check(const struct tg_json *v, const char *name, struct tg_fail *f)
{
    if (tg_json_is_nil(v))
        return tg_fail_param(f, TG_E_MISSING_FIELD, name, "'%s' is missing", name);
    if (tg_json_is_str(v))
        return 0;
    if (tg_json_is_arr(v) && tg_json_count(v) == 0)
        return tg_fail_param(f, TG_E_INVALID_VALUE, name, "'%s' must hold at least one entry",
                             name);
    if (tg_json_is_arr(v) && tg_json_count(v) > MAX_INPUTS && !all_of(v, TG_JSON_NUMBER))
        return tg_fail_param(f, TG_E_INVALID_VALUE, name, "'%s' holds more than %d entries", name,
                             (int)MAX_INPUTS);
    if (tg_json_is_arr(v) && (texts_or_objects(v) || all_of(v, TG_JSON_NUMBER) || token_lists(v)))
        return 0;
    return tg_fail_param(f, TG_E_INVALID_VALUE, name,
                         "'%s' must be a string, or an array of strings, of objects or of tokens",
                         name);
}

int tg_items_read(struct tg_arena *a, const struct tg_body *b, const struct tg_json *v,
                  struct tg_inputs *out)
{
    bool one = !tg_json_is_arr(v) || all_of(v, TG_JSON_NUMBER);
    size_t n = one ? 1 : tg_json_count(v);
    out->texts = tg_arena_array(a, n, sizeof *out->texts);
    out->raw = tg_arena_array(a, n, sizeof *out->raw);
    if (!out->texts || !out->raw)
        return TG_E_NOMEM;
    out->n = n;
    out->single = one;
    struct tg_json_iter it = tg_json_iter(one ? NULL : v);
    for (size_t i = 0; i < n; i++) {
        const struct tg_json *value = v;
        if (!one && tg_json_next(&it))
            value = it.value;
        struct tg_str text =
            tg_json_is_obj(value) ? tg_json_get_str(value, TG_STR("text")) : tg_json_str(value);
        out->texts[i] = text.p ? text : TG_STR("");
        out->raw[i] = tg_json_raw(b->doc, value);
    }
    return 0;
}

/* ---- answers ---- */

void tg_items_write_usage(const struct tg_usage *u, struct tg_buf *out)
{
    if (!u || u->source == TG_USAGE_ABSENT) {
        tg_buf_lit(out, ",\"usage\":null");
        return;
    }
    tg_buf_lit(out, ",\"usage\":{\"prompt_tokens\":");
    tg_buf_i64(out, tg_usage_prompt(u));
    tg_buf_lit(out, ",\"total_tokens\":");
    tg_buf_i64(out, tg_usage_total(u));
    tg_buf_char(out, '}');
}

void tg_items_write_id(const struct tg_render_info *info, const char *prefix, struct tg_buf *out)
{
    struct tg_str id = info->id;
    if (tg_str_starts(id, TG_STR("chatcmpl-")))
        id = tg_str_from(id, 9);
    tg_buf_lit(out, "\"id\":\"");
    tg_buf_str_add(out, tg_str_c(prefix));
    tg_buf_json(out, id);
    tg_buf_char(out, '"');
}
