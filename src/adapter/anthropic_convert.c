/* A whole message as the text of a stream, for a client that asked for one: message_start with an
 * empty message, each block begun whole, message_delta with the end. */
#include "adapter/anthropic_priv.h"
#include "base/err.h"
#include "json/splice.h"

static void open_event(const char *type, struct tg_buf *out)
{
    tg_buf_printf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void add_member(struct tg_json_doc *doc, const char *name, const struct tg_json *v,
                       struct tg_buf *out)
{
    tg_buf_printf(out, "\"%s\":", name);
    tg_buf_json_line(out, v ? tg_json_raw(doc, v) : TG_STR("null"));
}

static int start(struct tg_json_doc *doc, struct tg_buf *out)
{
    static const struct tg_json_change changes[] = {
        {TG_STR_INIT("content"), TG_STR_INIT("[]")},
        {TG_STR_INIT("stop_reason"), TG_STR_INIT("null")},
        {TG_STR_INIT("stop_sequence"), TG_STR_INIT("null")},
    };
    struct tg_splice edits[8];
    struct tg_buf message;
    int n = tg_json_edit_members(doc, tg_json_root(doc), changes, TG_ARRAY_LEN(changes), edits,
                                 TG_ARRAY_LEN(edits));
    if (n < 0)
        return n;
    tg_json_splice_sort(edits, (size_t)n);
    tg_buf_init(&message, out->max_bytes);
    int rc = tg_json_splice(tg_json_text(doc), edits, (size_t)n, &message);
    open_event("message_start", out);
    tg_buf_lit(out, ",\"message\":");
    tg_buf_json_line(out, tg_buf_str(&message));
    tg_buf_lit(out, "}\n\n");
    tg_buf_fini(&message);
    return rc;
}

static void block(struct tg_json_doc *doc, const struct tg_json *v, size_t index,
                  struct tg_buf *out)
{
    open_event("content_block_start", out);
    tg_buf_printf(out, ",\"index\":%zu,\"content_block\":", index);
    tg_buf_json_line(out, tg_json_raw(doc, v));
    tg_buf_lit(out, "}\n\n");
    open_event("content_block_stop", out);
    tg_buf_printf(out, ",\"index\":%zu}\n\n", index);
}

int tg_anthropic_body_to_stream(struct tg_json_doc *doc, struct tg_buf *out)
{
    const struct tg_json *root = tg_json_root(doc);
    int rc = start(doc, out);
    if (rc)
        return rc;
    struct tg_json_iter it = tg_json_iter(tg_json_get(root, TG_STR("content")));
    while (tg_json_next(&it))
        block(doc, it.value, it.index, out);
    open_event("message_delta", out);
    tg_buf_lit(out, ",\"delta\":{");
    add_member(doc, "stop_reason", tg_json_get(root, TG_STR("stop_reason")), out);
    tg_buf_char(out, ',');
    add_member(doc, "stop_sequence", tg_json_get(root, TG_STR("stop_sequence")), out);
    tg_buf_lit(out, "},");
    const struct tg_json *usage = tg_json_get(root, TG_STR("usage"));
    if (usage)
        add_member(doc, "usage", usage, out);
    else
        tg_buf_lit(out, "\"usage\":{\"output_tokens\":0}");
    tg_buf_lit(out, "}\n\n");
    open_event("message_stop", out);
    tg_buf_lit(out, "}\n\n");
    return tg_buf_ok(out) ? 0 : TG_E_NOMEM;
}
