#include "chat/reasoning_details.h"

static void open_entry(const char *type, unsigned *io_n, struct tg_buf *out)
{
    tg_buf_str_add(out, *io_n ? TG_STR(",{\"type\":\"") : TG_STR("{\"type\":\""));
    tg_buf_str_add(out, tg_str_c(type));
    tg_buf_char(out, '"');
    ++*io_n;
}

static void member(const char *name, struct tg_str value, struct tg_buf *out)
{
    if (!value.n)
        return;
    tg_buf_lit(out, ",\"");
    tg_buf_str_add(out, tg_str_c(name));
    tg_buf_lit(out, "\":");
    tg_buf_json_str(out, value);
}

static void close_entry(const struct tg_reasoning_detail *d, struct tg_buf *out)
{
    static const char *const formats[] = {
        [TG_OPAQUE_NONE] = "",
        [TG_OPAQUE_SIGNED] = "anthropic-claude-v1",
        [TG_OPAQUE_REDACTED] = "anthropic-claude-v1",
        [TG_OPAQUE_ENCRYPTED] = "openai-responses-v1",
        [TG_OPAQUE_THOUGHT] = "google-gemini-v1",
    };
    member("id", d->id, out);
    member("format", tg_str_c(formats[d->opaque]), out);
    tg_buf_lit(out, ",\"index\":");
    tg_buf_u64(out, d->index);
    tg_buf_char(out, '}');
}

void tg_reasoning_detail_write(const struct tg_reasoning_detail *d, unsigned *io_n,
                               struct tg_buf *out)
{
    bool with_text = d->opaque == TG_OPAQUE_NONE || d->opaque == TG_OPAQUE_SIGNED ||
                     (d->opaque == TG_OPAQUE_THOUGHT && d->text.n);
    if (with_text && (d->text.n || d->signature.n)) {
        open_entry("reasoning.text", io_n, out);
        member("text", d->text, out);
        member("signature", d->signature, out);
        close_entry(d, out);
        return;
    }
    if (d->text.n) {
        open_entry("reasoning.summary", io_n, out);
        member("summary", d->text, out);
        close_entry(d, out);
    }
    if (d->signature.n) {
        open_entry("reasoning.encrypted", io_n, out);
        member("data", d->signature, out);
        close_entry(d, out);
    }
}
