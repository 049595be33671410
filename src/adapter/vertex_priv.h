/* What the two Vertex adapters share: paths and the access token. Thread rule: pure functions. */
#ifndef TG_ADAPTER_VERTEX_PRIV_H
#define TG_ADAPTER_VERTEX_PRIV_H

#include "adapter/gemini_priv.h"

/* {NULL,0}: no memory. */
struct tg_str tg_vertex_path(struct tg_arena *a, const struct tg_adapter_target *target,
                             const char *publisher, const char *verb);
/* Path, content type, and target->credential as a bearer token. TG_E_NOMEM. */
int tg_vertex_make_request(struct tg_arena *a, const struct tg_adapter_target *target,
                           const char *publisher, const char *verb, bool stream,
                           struct tg_adapter_request *out) TG_WARN_UNUSED;

#endif
