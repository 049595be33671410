/* From the canonical request to the engine's. What this engine can't do is refused, naming the
 * field: an answer that ignores it would be taken for a good one.
 * Thread rule: pure functions. Ownership: texts live in the arena or are the request's own. */
#ifndef TG_ENGINE_BACKEND_REQUEST_PRIV_H
#define TG_ENGINE_BACKEND_REQUEST_PRIV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/fail.h"
#include "chat/request.h"
#include "engine/engine.h"

struct tg_target;

/* Chats and counts. `lost` gets the keywords of the output's schema that are not held. */
int tg_request_make(struct tg_arena *a, const struct tg_chat_req *chat, const struct tg_target *t,
                    bool strict, struct tg_buf *lost, struct tg_fail *f,
                    struct tg_engine_request *req) TG_WARN_UNUSED;

/* Texts of one request to the engine: they take as many places in its queue. */
#define TG_REQUEST_EMBED_TEXTS 8u
/* The texts from the first-th on. */
int tg_request_embed(const struct tg_chat_req *chat, size_t first, struct tg_fail *f,
                     struct tg_engine_request *req) TG_WARN_UNUSED;

#endif
