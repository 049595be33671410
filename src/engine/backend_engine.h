/* The local backend: attempts of one worker, run by the engine host. An attempt submits its chat
 * and emits canonical events from what arrives in the worker's mailbox, in its own step.
 *
 * Thread rule: the worker's thread; new and free while its loop does not run an attempt.
 * Ownership: freed after the host (tg_engine_host_free), before the loop. */
#ifndef TG_ENGINE_BACKEND_ENGINE_H
#define TG_ENGINE_BACKEND_ENGINE_H

#include "core/backend.h"
#include "core/runtime.h"
#include "engine/engine.h"

struct tg_engine_backend; /* a worker's: the `ctx` of tg_runtime_set_backend() */

struct tg_engine_backend_opts {
    struct tg_engine_host *host;
    struct tg_runtime *rt;
    /* The engine's id of the model that a target names. A negative error with *f when there is
     * none. Called on the worker's thread. */
    int (*model_of)(void *ctx, const struct tg_target *target, struct tg_fail *f,
                    uint32_t *out_model);
    void *ctx;
};
/* TG_E_NOMEM, TG_E_FULL. */
int tg_engine_backend_new(const struct tg_engine_backend_opts *opts,
                          struct tg_engine_backend **out) TG_WARN_UNUSED;
void tg_engine_backend_free(struct tg_engine_backend *b); /* NULL is allowed */

extern const struct tg_backend_ops tg_backend_engine_ops;
/* TG_FEATURE_COUNT fates of a request's features, chat/fidelity.h. */
extern const uint8_t tg_engine_fidelity[];

#endif
