/* Between TLS contexts (tls.c: keys, trust, sessions) and the streams that use them
 * (stream_tls.c). Thread rule: as tls.h. */
#ifndef TG_IO_TLS_PRIV_H
#define TG_IO_TLS_PRIV_H

#include <openssl/ssl.h>

#include "io/tls.h"

#define TLS_HOST_MAX 253 /* RFC 1035 2.3.4, as text */

/* A TLS object ready for its BIO. Client if host is not empty: name and chain will be checked, SNI
 * sent, a kept session offered. TG_E_NOMEM, TG_E_INVALID_ARG. */
int tg_tls_ctx_open(struct tg_tls_ctx *ctx, const char *host, SSL **out) TG_WARN_UNUSED;
/* The stream sets it to its host, so that sessions that arrive are filed under that name. */
void tg_tls_set_origin(SSL *ssl, const char *host);

#endif
