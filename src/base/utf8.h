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
/* Length of the valid character at the start of s, 0 if there is none. */
size_t tg_utf8_len(struct tg_str s);

#endif
