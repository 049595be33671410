/* Which headers go through the gateway: a client's on to a provider, a provider's back to a client.
 * What is in neither table stays here; nothing that names a host, an account or a credential is in
 * one. Core only.
 *
 * Thread rule: pure functions. Sources: docs.anthropic.com/en/api/versioning, …/beta-headers,
 * …/rate-limits; platform.openai.com/docs/api-reference/debugging-requests; the vendors' own SDKs;
 * cloud.google.com/apis/docs/system-parameters; w3.org/TR/trace-context. */
#ifndef TG_CORE_HEADERS_PRIV_H
#define TG_CORE_HEADERS_PRIV_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "chat/wire_format.h"
#include "config/snapshot.h"
#include "wire/http.h"

/* Of a head to a provider: what stands in it already, and where it goes. All borrowed. */
struct tg_onward {
    enum tg_wire_format from; /* the client's; NONE: the gateway's own shapes */
    enum tg_wire_format to;   /* the provider's API */
    const struct tg_http_head *client;
    const struct tg_http_header *own; /* the adapter's */
    size_t n_own;
    const struct tg_header_config *configured; /* the target's */
    size_t n_configured;
    bool fixed_version; /* the adapter's version is one that was configured */
};

/* Appends all three: a header is sent once, and what was configured stands before what a client
 * says, and that before the adapter's default. Lists (betas) are joined. INVALID_ARG for a name or
 * value that may not stand in a head, else tg_buf_add()'s errors. */
int tg_headers_onward(struct tg_buf *b, const struct tg_onward *o) TG_WARN_UNUSED;

/* What of an Anthropic client's betas gets lost on the way to a provider of another family, as it
 * is said: "anthropic-beta.context-1m-2025-08-07,…"; "" when nothing does, or memory is out. */
struct tg_str tg_headers_lost_betas(struct tg_arena *a, const struct tg_http_head *client,
                                    enum tg_wire_format from, enum tg_wire_format to);

/* A header of a provider's answer that is of use to the client. */
bool tg_headers_is_returned(struct tg_str name);
/* The provider's own name for the request, {NULL, 0} if it gave none. */
struct tg_str tg_headers_provider_id(const struct tg_http_head *head);

#endif
