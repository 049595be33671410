/* UTF-8 as in Unicode 15 table 3-7 (no surrogates, no overlong forms). Pure, any thread. */
#ifndef TG_BASE_UTF8_H
#define TG_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

bool tg_utf8_valid(struct tg_str s);
/* Bytes at the start of `s` that are whole characters; the rest (at most 3 bytes) may be the
 * beginning of one more. An invalid byte counts as a whole character of length 1. */
size_t tg_utf8_whole(struct tg_str s);
/* Encodes cp (<= 0x10FFFF, no surrogate) into out (4 bytes); returns the length, 0 if invalid. */
size_t tg_utf8_encode(uint32_t cp, char *out);

/* A byte that can only continue a character. */
static inline bool tg_utf8_is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Length of the character at p, 0 if there is none; n > 0. The checks of the second byte are table
 * 3-7's, written as what they keep out: of the code point's upper bits, those of overlong forms
 * (0), of surrogates (0xD800 >> 11) and of what lies above U+10FFFF. */
static inline size_t tg_utf8_char_len(const unsigned char *p, size_t n)
{
    unsigned c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xE0)
        return c >= 0xC2 && n >= 2 && tg_utf8_is_tail(p[1]) ? 2 : 0;
    if (c < 0xF0) {
        if (n < 3 || !tg_utf8_is_tail(p[1]) || !tg_utf8_is_tail(p[2]))
            return 0;
        unsigned upper = (c & 0x0F) << 1 | (p[1] >> 5 & 1); /* code point >> 11 */
        return upper != 0 && upper != 0xD800 >> 11 ? 3 : 0;
    }
    if (c > 0xF4 || n < 4 || !tg_utf8_is_tail(p[1]) || !tg_utf8_is_tail(p[2]) ||
        !tg_utf8_is_tail(p[3]))
        return 0;
    unsigned plane = (c & 0x07) << 2 | (p[1] >> 4 & 3); /* code point >> 16 */
    return plane >= 1 && plane <= 16 ? 4 : 0;
}

/* Length of the valid character at the start of s, 0 if there is none. */
static inline size_t tg_utf8_len(struct tg_str s)
{
    return s.n ? tg_utf8_char_len((const unsigned char *)s.p, s.n) : 0;
}

#endif
