#include "base/fail.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "base/utf8.h"

enum { QUOTE_BYTES = 200 };

void tg_fail_clear(struct tg_fail *f)
{
    *f = (struct tg_fail){.retry_after_ms = -1};
}

/* Copies `text`, control bytes and invalid UTF-8 as \xNN, whole pieces only, NUL-terminated. */
static void copy_escaped(struct tg_str text, char *out, size_t cap)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t len = tg_utf8_len(tg_str_from(text, i));
        if (c < 0x20 || c == 0x7F || len == 0) {
            if (cap - n < 5)
                break;
            const char piece[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};
            memcpy(out + n, piece, 4);
            n += 4;
            i++;
            continue;
        }
        if (cap - n < len + 1)
            break;
        memcpy(out + n, text.p + i, len);
        n += len;
        i += len;
    }
    out[n] = 0;
}

const char *tg_fail_quote(struct tg_str text, char *out, size_t cap)
{
    if (cap == 0)
        return "";
    if (text.n > QUOTE_BYTES) {
        text.n = QUOTE_BYTES;
        text.n = tg_utf8_whole(text);
    }
    copy_escaped(text, out, cap < QUOTE_BYTES + 1 ? cap : QUOTE_BYTES + 1);
    return out;
}

static enum tg_fail_source source_of(int err)
{
    if (err >= TG_E_UPSTREAM_CONNECT && err <= TG_E_UPSTREAM_TOO_LARGE)
        return TG_FAIL_PROVIDER;
    int status = tg_err_info(err)->http_status;
    return status >= 400 && status < 500 ? TG_FAIL_CLIENT : TG_FAIL_GATEWAY;
}

static TG_PRINTF(4, 0) void record(struct tg_fail *f, int err, const char *param, const char *fmt,
                                   va_list ap)
{
    char text[sizeof(f->message)];
    if (!f || f->err)
        return;
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    struct tg_str message = tg_str_c(tg_err_info(err)->text);
    if (n > 0)
        message = tg_str_make(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    if ((size_t)n >= sizeof(text))
        message.n = tg_utf8_whole(message); /* cut by vsnprintf: not in the middle of a character */
    f->err = err;
    f->source = source_of(err);
    copy_escaped(message, f->message, sizeof(f->message));
    copy_escaped(tg_str_c(param), f->param, sizeof(f->param));
}

int tg_fail_set(struct tg_fail *f, int err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(f, err, "", fmt, ap);
    va_end(ap);
    return err;
}

int tg_fail_param(struct tg_fail *f, int err, const char *param, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    record(f, err, param, fmt, ap);
    va_end(ap);
    return err;
}

int tg_fail_status(const struct tg_fail *f)
{
    if (f->http_status)
        return f->http_status;
    int status = tg_err_info(f->err)->http_status;
    return status ? status : 500; /* an internal code must not leave as status 0 */
}

const char *tg_fail_code(const struct tg_fail *f)
{
    return f->code[0] ? f->code : tg_err_info(f->err)->code;
}

const char *tg_fail_type(const struct tg_fail *f)
{
    return f->type[0] ? f->type : tg_err_info(f->err)->type;
}
