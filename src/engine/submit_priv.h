/* From a request to the frames that the child gets: checks first, one frame per choice.
 * Thread rule: pure functions, any thread. */
#ifndef TG_ENGINE_SUBMIT_PRIV_H
#define TG_ENGINE_SUBMIT_PRIV_H

#include "engine/proto_priv.h"

/* TG_E_INVALID_VALUE, TG_E_CONTEXT_LENGTH, each with *f naming the field. */
int tg_submit_check(const struct tg_engine_request *req, struct tg_fail *f) TG_WARN_UNUSED;
uint32_t tg_submit_choices(const struct tg_engine_request *req);
/* One frame of a checked request; `out` is initialised. TG_E_NOMEM. */
int tg_submit_frame(const struct tg_engine_request *req, uint64_t base_id, uint32_t choice,
                    struct tg_buf *out) TG_WARN_UNUSED;
/* The same for the same conversation, whatever its settings. */
uint64_t tg_submit_hash(const struct tg_engine_request *req);

#endif
