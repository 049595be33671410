#include "base/err.h"
#include "dialect/openai_priv.h"
#include "json/splice.h"

#define MAX_RENAMES 8 /* in one body */

/* Printable ASCII without what JSON escapes. */
static bool is_plain(struct tg_str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            return false;
    }
    return text.n > 0;
}

/* `text` as a JSON string in the arena. A model's name nearly never holds what must be escaped. */
static struct tg_str quoted(struct tg_arena *a, struct tg_str text)
{
    struct tg_buf b;
    struct tg_str out = {NULL, 0};
    if (is_plain(text)) {
        char *p = tg_arena_alloc(a, text.n + 2);
        if (!p)
            return out;
        p[0] = p[text.n + 1] = '"';
        memcpy(p + 1, text.p, text.n);
        return tg_str_make(p, text.n + 2);
    }
    tg_buf_init(&b, text.n * 6 + 2);
    if (tg_buf_json_str(&b, text) == 0)
        out = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    return out;
}

/* What must happen so that the provider sends usage; nothing when the client asked for it. */
static int usage_change(const struct tg_body *b, struct tg_json_change *change,
                        struct tg_splice *edit, bool *out_nested)
{
    const struct tg_json *options = b->v[TG_F_STREAM_OPTIONS];
    *out_nested = false;
    if (tg_json_is_nil(options)) {
        *change = (struct tg_json_change){TG_STR_INIT("stream_options"),
                                          TG_STR_INIT("{\"include_usage\":true}")};
        return 1;
    }
    *out_nested = true;
    return tg_json_edit_set_member(b->doc, options, TG_STR("include_usage"), TG_STR("true"), edit);
}

/* Members that the provider calls otherwise: their keys, as edits. One whose new name the body has
 * as well stays, so that nothing is said twice. */
static int rename_edits(const struct tg_body *b, const struct tg_rename *names, struct tg_arena *a,
                        struct tg_splice *out, size_t max)
{
    size_t n = 0;
    if (!names)
        return 0;
    struct tg_json_iter it = tg_json_iter(b->root);
    while (tg_json_next(&it)) {
        const struct tg_rename *r = names;
        while (r->from.n && !tg_str_eq(r->from, it.name))
            r++;
        if (!r->from.n || tg_json_get(b->root, r->to))
            continue;
        if (n == max)
            return TG_E_FULL;
        struct tg_str key = quoted(a, r->to);
        if (!key.p)
            return TG_E_NOMEM;
        out[n++] = tg_json_edit_value(b->doc, it.key, key);
    }
    return (int)n;
}

int tg_openai_splice_body(struct tg_arena *a, const struct tg_body *b, const struct tg_call *call,
                          struct tg_str upstream_model, bool inject_usage, struct iovec *out_iov,
                          int max_iov, int *out_n, bool *out_hide_usage)
{
    struct tg_json_change changes[2];
    struct tg_splice edits[3 + MAX_RENAMES];
    size_t n_changes = 0, n_edits = 0;
    bool inject = inject_usage && call->stream && !call->include_usage;
    if (!tg_str_eq(call->model, upstream_model)) {
        struct tg_str raw = quoted(a, upstream_model);
        if (!raw.p)
            return TG_E_NOMEM;
        changes[n_changes++] = (struct tg_json_change){TG_STR_INIT("model"), raw};
    }
    if (inject) {
        bool nested;
        int rc = usage_change(b, &changes[n_changes], &edits[0], &nested);
        if (rc < 0)
            return rc;
        n_changes += !nested;
        n_edits += nested;
    }
    if (n_changes) {
        int n = tg_json_edit_members(b->doc, b->root, changes, n_changes, edits + n_edits,
                                     TG_ARRAY_LEN(edits) - n_edits);
        if (n < 0)
            return n;
        n_edits += (size_t)n;
    }
    int renamed = rename_edits(b, call->renames, a, edits + n_edits, TG_ARRAY_LEN(edits) - n_edits);
    if (renamed < 0)
        return renamed;
    n_edits += (size_t)renamed;
    tg_json_splice_sort(edits, n_edits);
    int n = tg_json_splice_iov(call->body, edits, n_edits, out_iov, (size_t)max_iov);
    if (n < 0)
        return n;
    *out_n = n;
    *out_hide_usage = inject;
    return 0;
}

int tg_openai_splice(struct tg_arena *a, const struct tg_call *call, struct tg_str upstream_model,
                     bool inject_usage, struct iovec *out_iov, int max_iov, int *out_n,
                     bool *out_hide_usage)
{
    return tg_openai_splice_body(a, call->parsed, call, upstream_model, inject_usage, out_iov,
                                 max_iov, out_n, out_hide_usage);
}
