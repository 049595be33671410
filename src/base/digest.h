/* SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), by OpenSSL's libcrypto, which uses the
 * processor's instructions. Thread rule: a hash in progress is one thread's.
 * Errors: TG_E_NOMEM is all that libcrypto can come to here. */
#ifndef TG_BASE_DIGEST_H
#define TG_BASE_DIGEST_H

#include <stddef.h>

#include "base/compiler.h"
#include "base/str.h"

#define TG_SHA256_BYTES 32

/* A hash over several pieces. */
struct tg_sha256;
struct tg_sha256 *tg_sha256_new(void) TG_WARN_UNUSED; /* NULL: no memory */
int tg_sha256_add(struct tg_sha256 *h, struct tg_str s) TG_WARN_UNUSED;
/* Ends the hash (the object is of no more use) and frees it; out is untouched on failure. */
int tg_sha256_end(struct tg_sha256 *h, unsigned char out[TG_SHA256_BYTES]) TG_WARN_UNUSED;
void tg_sha256_free(struct tg_sha256 *h); /* NULL is allowed */

int tg_sha256(struct tg_str s, unsigned char out[TG_SHA256_BYTES]) TG_WARN_UNUSED;
int tg_hmac_sha256(struct tg_str key, struct tg_str s,
                   unsigned char out[TG_SHA256_BYTES]) TG_WARN_UNUSED;

/* Lower-case hexadecimal of n bytes and a NUL: 2 n + 1 bytes. */
void tg_hex(const unsigned char *bytes, size_t n, char *out);

#endif
