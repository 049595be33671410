#include "base/utf8.h"

bool tg_utf8_valid(struct tg_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        if (s.n - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if (!(word & 0x8080808080808080u)) {
                i += sizeof(word);
                continue;
            }
        }
        while (i < s.n && p[i] < 0x80)
            i++;
        while (i < s.n && p[i] >= 0x80) {
            size_t len = tg_utf8_char_len(p + i, s.n - i);
            if (len == 0)
                return false;
            i += len;
        }
    }
    return true;
}

/* Could the `n` (1 to 3) bytes at p become a character when more come? */
static bool is_beginning(const unsigned char *p, size_t n)
{
    unsigned char whole[4] = {0x80, 0x80, 0x80, 0x80};
    memcpy(whole, p, n);
    /* Some bytes that follow allow it: the second byte may want any of these, the others don't
     * care. */
    for (unsigned second = 0x80; second <= 0xB0; second += 0x10) {
        if (n == 1)
            whole[1] = (unsigned char)second;
        if (tg_utf8_char_len(whole, sizeof(whole)) > n)
            return true;
    }
    return false;
}

size_t tg_utf8_whole(struct tg_str s)
{
    size_t most = s.n < 3 ? s.n : 3;
    for (size_t n = 1; n <= most; n++) {
        const unsigned char *p = (const unsigned char *)s.p + s.n - n;
        if (tg_utf8_is_tail(*p))
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
