/* What depends on a request being complete: AWS's signature over head and body, and the authority
 * that Host and the signature share. Thread rule: any thread. */
#ifndef TG_CORE_SIGN_H
#define TG_CORE_SIGN_H

#include <sys/uio.h>

#include "adapter/adapter.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "config/snapshot.h"
#include "core/credential.h"

/* "host", "host:port" when it is not the scheme's own, "[v6]:port". The buffer's failure is sticky.
 */
void tg_put_authority(struct tg_buf *b, const struct tg_config_url *u);

/* Appends the header lines X-Amz-Date, X-Amz-Security-Token and Authorization for the request as it
 * will be sent: the adapter's headers and the body's pieces are signed. TG_E_UPSTREAM_AUTH: there
 * are no AWS keys; TG_E_NOMEM, TG_E_FULL, TG_E_INVALID_ARG as tg_sigv4_sign(). */
int tg_sign_aws(struct tg_buf *b, const struct tg_target *t, const struct tg_adapter_request *req,
                const struct tg_credential_value *v, const struct iovec *body, size_t n_body,
                struct tg_fail *f) TG_WARN_UNUSED;

#endif
