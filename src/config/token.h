/* What helper commands and token servers answer: JSON with credentials in it, read at run time.
 * Here and not in core/, which knows no JSON. Pure, any thread.
 * Secrets handed out are the caller's (tg_secret_free). Messages never hold one. */
#ifndef TG_CONFIG_TOKEN_H
#define TG_CONFIG_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/secret.h"
#include "base/str.h"

#define TG_TOKEN_MAX_JSON_BYTES 65536

struct tg_aws_token {
    struct tg_secret *access_key_id, *secret_access_key;
    struct tg_secret *session_token; /* NULL: none */
    int64_t expires_wall_us;         /* 0: never */
};
/* The output of AWS's credential_process (docs.aws.amazon.com, "Sourcing credentials with an
 * external process"), version 1; also the one without Version that `aws sts` commands print under
 * "Credentials". TG_E_CONFIG: it is none; TG_E_NOMEM. */
int tg_aws_token_parse(struct tg_str json, struct tg_aws_token *out,
                       struct tg_fail *f) TG_WARN_UNUSED;

struct tg_oauth_token {
    struct tg_secret *access_token;
    int64_t lifetime_s; /* 0: not said */
};
/* A token server's answer (RFC 6749 5.1). TG_E_CONFIG: there is no usable token in it, with the
 * server's own "error" word when it gave one; TG_E_NOMEM. */
int tg_oauth_token_parse(struct tg_str json, struct tg_oauth_token *out,
                         struct tg_fail *f) TG_WARN_UNUSED;

/* A key that may stand in a header: one line, and not an empty one. */
bool tg_key_fits_header(struct tg_str key);

#endif
