#include "base/base64.h"

#include "base/err.h"

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char urlsafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(struct tg_str in, const char *alphabet, bool pad, struct tg_buf *out)
{
    for (size_t i = 0; i < in.n; i += 3) {
        size_t left = in.n - i;
        unsigned char b0 = (unsigned char)in.p[i];
        unsigned char b1 = left > 1 ? (unsigned char)in.p[i + 1] : 0;
        unsigned char b2 = left > 2 ? (unsigned char)in.p[i + 2] : 0;
        char four[4] = {
            alphabet[b0 >> 2],
            alphabet[(b0 & 3) << 4 | b1 >> 4],
            left > 1 ? alphabet[(b1 & 15) << 2 | b2 >> 6] : '=',
            left > 2 ? alphabet[b2 & 63] : '=',
        };
        size_t n = pad || left > 2 ? 4 : left + 1;
        (void)tg_buf_add(out, four, n); /* the buffer is tested by its owner */
    }
}

void tg_base64_encode(struct tg_str in, struct tg_buf *out)
{
    encode(in, standard, true, out);
}

void tg_base64url_encode(struct tg_str in, struct tg_buf *out)
{
    encode(in, urlsafe, false, out);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static struct tg_str without_padding(struct tg_str in)
{
    for (int i = 0; i < 2 && in.n && in.p[in.n - 1] == '='; i++)
        in.n--;
    return in;
}

int tg_base64_decode(struct tg_str in, struct tg_buf *out)
{
    size_t before = out->n;
    struct tg_str s = without_padding(in);
    uint32_t bits = 0;
    int rc = s.n % 4 == 1 || (s.n != in.n && in.n % 4) ? TG_E_INVALID_ARG : 0;
    for (size_t i = 0; i < s.n && rc == 0; i++) {
        int v = value_of(s.p[i]);
        if (v < 0) {
            rc = TG_E_INVALID_ARG;
            break;
        }
        bits = bits << 6 | (uint32_t)v;
        if (i % 4)
            rc = tg_buf_char(out, (char)(bits >> (6 - 2 * (i % 4)) & 0xff));
    }
    if (rc < 0)
        out->n = before;
    return rc;
}
