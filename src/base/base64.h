/* Base64 (RFC 4648): standard with padding, and url-safe without. Thread rule: pure functions. */
#ifndef TG_BASE_BASE64_H
#define TG_BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* Appends; a full buffer is the buffer's own failure (tg_buf_ok). */
void tg_base64_encode(struct tg_str in, struct tg_buf *out);
void tg_base64url_encode(struct tg_str in, struct tg_buf *out);
/* Both alphabets, padding optional, nothing else (no blanks). TG_E_INVALID_ARG: not base64; what
 * was appended up to there is taken back. TG_E_NOMEM, TG_E_FULL. */
int tg_base64_decode(struct tg_str in, struct tg_buf *out) TG_WARN_UNUSED;

#endif
