/* RSA signatures over SHA-256 (RS256, RFC 7518 3.3), for the token requests of service accounts.
 * Thread rule: any thread. */
#ifndef TG_IO_RS256_H
#define TG_IO_RS256_H

#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

/* Appends the signature's bytes. `pem` is a private key, PKCS #8 or PKCS #1, without a password.
 * TG_E_CONFIG: it is no RSA key of at least 2,048 bits; TG_E_NOMEM; TG_E_FULL. The key's text is
 * never part of a message. */
int tg_rs256_sign(struct tg_str pem, struct tg_str data, struct tg_buf *out,
                  struct tg_fail *f) TG_WARN_UNUSED;

#endif
