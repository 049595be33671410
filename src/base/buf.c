#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/num.h"
#include "base/utf8.h"

enum { FIRST_BYTES = 256 };

void tg_buf_init(struct tg_buf *b, size_t max_bytes)
{
    *b = (struct tg_buf){.max_bytes = max_bytes};
}

void tg_buf_fini(struct tg_buf *b)
{
    tg_free(b->p);
    tg_buf_init(b, b->max_bytes);
}

static TG_COLD int failed(struct tg_buf *b, int err)
{
    b->failed = true;
    return err;
}

static __attribute__((noinline)) int grow(struct tg_buf *b, size_t more)
{
    if (b->failed || more > b->max_bytes || b->n > b->max_bytes - more)
        return failed(b, TG_E_FULL);
    size_t need = b->n + more;
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap < need)
        cap = cap > b->max_bytes / 2 ? b->max_bytes : cap * 2;
    if (cap > b->max_bytes)
        cap = b->max_bytes;
    char *p = tg_realloc(b->p, cap);
    if (!p)
        return failed(b, TG_E_NOMEM);
    b->p = p;
    b->cap = cap;
    return 0;
}

int tg_buf_reserve(struct tg_buf *b, size_t more)
{
    return tg_likely(!b->failed && b->cap - b->n >= more) ? 0 : grow(b, more);
}

int tg_buf_add_slow(struct tg_buf *b, const void *p, size_t n)
{
    int rc = tg_buf_reserve(b, n);
    if (tg_unlikely(rc))
        return rc;
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

int tg_buf_printf(struct tg_buf *b, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return failed(b, TG_E_INVALID_ARG);
    if ((size_t)n < sizeof(text))
        return tg_buf_add(b, text, (size_t)n);
    /* vsnprintf wants room for the NUL, which is not counted and may lie behind the maximum. */
    char *p = tg_malloc((size_t)n + 1);
    if (!p)
        return failed(b, TG_E_NOMEM);
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    int rc = tg_buf_add(b, p, (size_t)n);
    tg_free(p);
    return rc;
}

int tg_buf_u64(struct tg_buf *b, uint64_t v)
{
    char text[20];
    return tg_buf_add(b, text, tg_fmt_u64(text, v));
}

int tg_buf_i64(struct tg_buf *b, int64_t v)
{
    char text[21];
    text[0] = '-';
    if (v >= 0)
        return tg_buf_u64(b, (uint64_t)v);
    return tg_buf_add(b, text, 1 + tg_fmt_u64(text + 1, 0 - (uint64_t)v));
}

/* What a byte of a string needs in JSON text: 0 nothing, 'u' a \u escape, '8' a look at the whole
 * character, else the letter behind the backslash. */
static const unsigned char json_class[256] = {
    [0 ... 7] = 'u', ['\b'] = 'b',  ['\t'] = 't',          ['\n'] = 'n',
    [11] = 'u',      ['\f'] = 'f',  ['\r'] = 'r',          [14 ... 31] = 'u',
    ['"'] = '"',     ['\\'] = '\\', [0x80 ... 0xFF] = '8',
};

/* High bit set in each byte of `w` that is below 0x20, a quote, a backslash or not ASCII. May set
 * it too far to the left of a real hit, never without one, so it only says "look closer". */
static inline uint64_t json_special(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
    return (w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & high;
}

/* Length of the text at p that JSON takes as it is. */
static size_t json_plain_run(const char *p, size_t n)
{
    size_t i = 0;
    for (;;) {
        uint64_t w;
        while (n - i >= sizeof(w)) {
            memcpy(&w, p + i, sizeof(w));
            if (json_special(w))
                break;
            i += sizeof(w);
        }
        size_t stop = n - i < sizeof(w) ? n : i + sizeof(w);
        while (i < stop && !json_class[(unsigned char)p[i]])
            i++;
        if (i == n)
            return n;
        if (i == stop)
            continue;
        if (json_class[(unsigned char)p[i]] != '8')
            return i;
        while (i < n && (unsigned char)p[i] >= 0x80) {
            size_t len = tg_utf8_char_len((const unsigned char *)p + i, n - i);
            if (len == 0)
                return i;
            i += len;
        }
    }
}

static int json_escape(struct tg_buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', (char)json_class[c], '0', '0', hex[c >> 4], hex[c & 15]};
    if (json_class[c] == '8')
        return tg_buf_lit(b, "\xEF\xBF\xBD"); /* U+FFFD */
    size_t n = json_class[c] == 'u' ? 6 : 2;
    if (tg_unlikely(b->cap - b->n < sizeof(text)))
        return tg_buf_add(b, text, n);
    memcpy(b->p + b->n, text, sizeof(text));
    b->n += n;
    return 0;
}

int tg_buf_json(struct tg_buf *b, struct tg_str s)
{
    size_t before = b->n, i = 0;
    int rc = tg_buf_reserve(b, s.n);
    while (rc == 0 && i < s.n) {
        size_t run = json_plain_run(s.p + i, s.n - i);
        rc = tg_buf_add(b, s.p + i, run);
        i += run;
        if (rc == 0 && i < s.n)
            rc = json_escape(b, (unsigned char)s.p[i++]);
    }
    if (rc)
        b->n = before;
    return rc;
}

int tg_buf_json_str(struct tg_buf *b, struct tg_str s)
{
    size_t before = b->n;
    int rc = tg_buf_char(b, '"');
    if (rc == 0)
        rc = tg_buf_json(b, s);
    if (rc == 0)
        rc = tg_buf_char(b, '"');
    if (rc)
        b->n = before;
    return rc;
}

void tg_buf_one_line(struct tg_buf *b, size_t from)
{
    for (size_t i = from; i < b->n; i++) {
        if (b->p[i] == '\n' || b->p[i] == '\r')
            b->p[i] = ' ';
    }
}

int tg_buf_json_line(struct tg_buf *b, struct tg_str json)
{
    size_t from = b->n;
    int rc = tg_buf_str_add(b, json);
    if (rc == 0)
        tg_buf_one_line(b, from);
    return rc;
}

void tg_buf_drop(struct tg_buf *b, size_t n)
{
    TG_REQUIRE(n <= b->n);
    b->n -= n;
    if (b->n && n)
        memmove(b->p, b->p + n, b->n);
}

char *tg_buf_take(struct tg_buf *b, size_t *out_n)
{
    char *p = b->p;
    *out_n = b->n;
    tg_buf_init(b, b->max_bytes);
    return p;
}
