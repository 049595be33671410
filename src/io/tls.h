/* TLS contexts over OpenSSL (>= 3.0), TLS 1.2 or newer, verification always on for clients.
 * A client context keeps up to 16 sessions for each of the last 1,024 hosts so that new connections
 * resume (RFC 8446 2.2). ALPN (RFC 7301) offers and takes http/1.1. Contexts are reference-counted
 * and shared by the streams of one loop. Thread rule: made anywhere, used by one loop's thread
 * (sessions are not locked). */
#ifndef TG_IO_TLS_H
#define TG_IO_TLS_H

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

struct tg_tls_ctx;

/* ca_file may be NULL: the system's store. TG_E_CONFIG with the reason in *fail. */
int tg_tls_client_new(const char *ca_file, struct tg_tls_ctx **out,
                      struct tg_fail *fail) TG_WARN_UNUSED;
/* PEM chain and key; a mismatch, an unreadable or half-written file is TG_E_CONFIG. */
int tg_tls_server_new(const char *cert_file, const char *key_file, struct tg_tls_ctx **out,
                      struct tg_fail *fail) TG_WARN_UNUSED;
struct tg_tls_ctx *tg_tls_ref(struct tg_tls_ctx *ctx);
void tg_tls_unref(struct tg_tls_ctx *ctx); /* NULL is allowed */

#endif
