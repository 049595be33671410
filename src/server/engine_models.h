/* The local models of a configuration in the engine host: which exist, which engine id a target
 * has, what operators see of them. One host for all workers.
 *
 * Thread rule: start, reload and stop on the controlling thread; join and leave before and after
 * the worker's thread runs; view on a worker. */
#ifndef TG_SERVER_ENGINE_MODELS_H
#define TG_SERVER_ENGINE_MODELS_H

#include "admin/view.h"
#include "base/compiler.h"
#include "config/snapshot.h"

struct tg_gateway_shared;
struct tg_worker;

/* Starts the host when the configuration has a local model, and adds its models. */
int tg_engine_models_start(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                           struct tg_fail *fail) TG_WARN_UNUSED;
/* Adds what is new; models with the same name and settings keep running, others are removed. */
int tg_engine_models_reload(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                            struct tg_fail *fail) TG_WARN_UNUSED;
/* Now and then: removes models that a reload has dropped once nothing runs on them. */
void tg_engine_models_sweep(struct tg_gateway_shared *sh);
void tg_engine_models_stop(struct tg_gateway_shared *sh);

/* Gives a worker's runtime its local backend. */
int tg_engine_models_join(struct tg_gateway_shared *sh, struct tg_worker *w) TG_WARN_UNUSED;
void tg_engine_models_leave(struct tg_worker *w);

/* Loads a local model into its process, or unloads it (it comes back with the next request). The
 * work goes on behind; the state tells. TG_E_MODEL_NOT_FOUND; TG_E_INVALID_VALUE: not a local one.
 */
int tg_engine_models_command(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                             struct tg_str model, bool load, struct tg_fail *fail) TG_WARN_UNUSED;

/* The state of every local model of a snapshot; texts are copied into the arena. Returns how many.
 */
size_t tg_engine_models_view(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                             struct tg_arena *a, struct tg_admin_engine *out, size_t max);

#endif
