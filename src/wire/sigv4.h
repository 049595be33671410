/* AWS Signature Version 4 of one HTTP request, in its Authorization header. Pure: the time comes
 * from the caller. Source: docs.aws.amazon.com "Signature Version 4 signing process"; verified
 * against AWS's own test vectors. Thread rule: any thread. */
#ifndef TG_WIRE_SIGV4_H
#define TG_WIRE_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/digest.h"
#include "base/str.h"
#include "wire/http.h"

#define TG_SIGV4_MAX_HEADERS 32 /* host, x-amz-date and x-amz-security-token included */
#define TG_SIGV4_DATE_BYTES  17 /* "20150830T123600Z" and a NUL */

struct tg_sigv4 {
    struct tg_str method;
    struct tg_str host;  /* as in the Host header */
    struct tg_str path;  /* as in the request line, percent-encoded, without the query */
    struct tg_str query; /* the same, without '?' */
    /* Further headers to sign, the names in any case; the request has them exactly so. */
    const struct tg_http_header *headers;
    size_t n_headers;
    struct tg_str body_sha256; /* 64 lower-case hex digits */
    struct tg_str region, service;
    struct tg_str access_key_id, secret_access_key;
    struct tg_str session_token; /* "": none; else the caller sends it as X-Amz-Security-Token */
    int64_t wall_us;             /* now, since 1970 */
};

/* The values of X-Amz-Date and (appended) Authorization. TG_E_INVALID_ARG: too many headers, a path
 * that does not start with '/', a bad percent escape in the query; TG_E_FULL: more than 64 KiB to
 * sign; TG_E_NOMEM. Nothing secret stays in out but the signature. */
int tg_sigv4_sign(const struct tg_sigv4 *in, char out_date[TG_SIGV4_DATE_BYTES],
                  struct tg_buf *out_authorization) TG_WARN_UNUSED;

#endif
