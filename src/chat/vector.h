/* Embedding vectors as JSON: a list of numbers, or a string that is base64 of packed little-endian
 * 32-bit floats (OpenAI's encoding_format "base64"). Thread rule: pure functions. */
#ifndef TG_CHAT_VECTOR_H
#define TG_CHAT_VECTOR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* Appends the vector (JSON text of either form) in the form that is wanted; one that is in it
 * already is copied byte for byte. Floats are written as the shortest decimals that read back as
 * the same float. TG_E_UPSTREAM_INVALID: it is neither; TG_E_NOMEM, TG_E_FULL. */
int tg_vector_write(struct tg_str json, bool base64, struct tg_buf *out) TG_WARN_UNUSED;

#endif
