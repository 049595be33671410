#include "base/utf8.h"

static inline bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Bytes of a character that starts with `lead`, and the bounds of its second byte (Unicode 15,
 * table 3-7: the bounds exclude overlong forms, surrogates and what lies above U+10FFFF). */
static size_t lead_info(unsigned char lead, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80;
    *hi = 0xBF;
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (lead < 0xF0) {
        if (lead == 0xE0)
            *lo = 0xA0;
        if (lead == 0xED)
            *hi = 0x9F;
        return 3;
    }
    if (lead > 0xF4)
        return 0;
    if (lead == 0xF0)
        *lo = 0x90;
    if (lead == 0xF4)
        *hi = 0x8F;
    return 4;
}

size_t tg_utf8_len(struct tg_str s)
{
    if (s.n == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s.p;
    unsigned char lo, hi;
    size_t len = lead_info(p[0], &lo, &hi);
    if (len <= 1)
        return len;
    if (s.n < len || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!is_tail(p[i]))
            return 0;
    return len;
}

bool tg_utf8_valid(struct tg_str s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        if (s.n - i >= sizeof(word)) {
            memcpy(&word, s.p + i, sizeof(word));
            if (!(word & 0x8080808080808080u)) {
                i += sizeof(word);
                continue;
            }
        }
        size_t len = (unsigned char)s.p[i] < 0x80 ? 1 : tg_utf8_len(tg_str_from(s, i));
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

/* Could the `n` (1 to 3) bytes at p become a character when more come? */
static bool is_beginning(const unsigned char *p, size_t n)
{
    unsigned char lo, hi;
    size_t len = lead_info(p[0], &lo, &hi);
    if (len <= n)
        return false;
    if (n > 1 && (p[1] < lo || p[1] > hi))
        return false;
    return n < 3 || is_tail(p[2]);
}

size_t tg_utf8_whole(struct tg_str s)
{
    size_t most = s.n < 3 ? s.n : 3;
    for (size_t n = 1; n <= most; n++) {
        const unsigned char *p = (const unsigned char *)s.p + s.n - n;
        if (is_tail(*p))
            continue;
        return is_beginning(p, n) ? s.n - n : s.n;
    }
    return s.n;
}

size_t tg_utf8_encode(uint32_t cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | (cp >> 6));
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp >= 0xD800 && cp <= 0xDFFF)
        return 0;
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | (cp >> 12));
        out[1] = (char)(0x80 | ((cp >> 6) & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    if (cp > 0x10FFFF)
        return 0;
    out[0] = (char)(0xF0 | (cp >> 18));
    out[1] = (char)(0x80 | ((cp >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((cp >> 6) & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}
