/* Writers of start lines, headers and chunk heads. */
#include "wire/h1_priv.h"

#include "base/assert.h"
#include "base/err.h"

int tg_h1_write_request_line(struct tg_buf *b, enum tg_http_method m, struct tg_str target)
{
    if (target.n == 0 || !h1_all(target.p, target.n, H1_URI))
        return TG_E_INVALID_ARG;
    struct tg_str method = tg_str_c(tg_http_method_name(m));
    int rc = tg_buf_reserve(b, method.n + target.n + sizeof("  HTTP/1.1\r\n") - 1);
    if (rc < 0)
        return rc;
    tg_buf_str_add(b, method);
    tg_buf_char(b, ' ');
    tg_buf_str_add(b, target);
    return tg_buf_lit(b, " HTTP/1.1\r\n");
}

int tg_h1_write_status_line(struct tg_buf *b, int status)
{
    if (status < 100 || status > 999)
        return TG_E_INVALID_ARG;
    struct tg_str reason = tg_str_c(tg_http_reason(status));
    int rc = tg_buf_reserve(b, reason.n + sizeof("HTTP/1.1 200 \r\n") - 1);
    if (rc < 0)
        return rc;
    tg_buf_lit(b, "HTTP/1.1 ");
    tg_buf_u64(b, (uint64_t)status);
    tg_buf_char(b, ' ');
    tg_buf_str_add(b, reason);
    return tg_buf_lit(b, "\r\n");
}

int tg_h1_write_header(struct tg_buf *b, struct tg_str name, struct tg_str value)
{
    if (name.n == 0 || !h1_all(name.p, name.n, H1_TOKEN) || !h1_all(value.p, value.n, H1_VALUE))
        return TG_E_INVALID_ARG;
    int rc = tg_buf_reserve(b, name.n + value.n + sizeof(": \r\n") - 1);
    if (rc < 0)
        return rc;
    tg_buf_str_add(b, name);
    tg_buf_lit(b, ": ");
    tg_buf_str_add(b, value);
    return tg_buf_lit(b, "\r\n");
}

size_t tg_h1_chunk_head(char out[20], size_t n)
{
    TG_REQUIRE(n > 0); /* an empty chunk would end the body */
    static const char digits[] = "0123456789abcdef";
    unsigned shift = 0;
    while (shift < 60 && n >> (shift + 4) != 0)
        shift += 4;
    size_t len = 0;
    for (unsigned s = shift + 4; s > 0; s -= 4)
        out[len++] = digits[(n >> (s - 4)) & 15];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
