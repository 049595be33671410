/* A running gateway: workers, local engine, watchdog, one configuration at a time. Used by `serve`
 * and, in the same process, by `chat` without a server.
 *
 * Thread rule: one controlling thread calls all of these; workers run on their own threads. */
#ifndef TG_SERVER_GATEWAY_H
#define TG_SERVER_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "config/snapshot.h"

struct tg_gateway;

/* Listens, starts every thread. A reference to the snapshot is taken. The reason of a failure
 * (address in use, bad certificate) is in *fail. */
int tg_gateway_start(const struct tg_snapshot *snapshot, struct tg_gateway **out,
                     struct tg_fail *fail) TG_WARN_UNUSED;
uint16_t tg_gateway_port(const struct tg_gateway *g);
/* Swaps the configuration of every worker: requests in work keep theirs. Host, port, the
 * number of workers and the store's path need a restart; then *out_needs_restart is set and the
 * rest is taken over. On failure (a bad certificate) the old one serves on. */
int tg_gateway_reload(struct tg_gateway *g, const struct tg_snapshot *snapshot,
                      bool *out_needs_restart, struct tg_fail *fail) TG_WARN_UNUSED;
/* Housekeeping, to be called now and then. */
void tg_gateway_tick(struct tg_gateway *g);
void tg_gateway_count_failed_reload(struct tg_gateway *g);
/* Stops listening; requests in work run on to server.drain_timeout, then get an error. */
void tg_gateway_drain(struct tg_gateway *g);
/* Ends everything within moments. */
void tg_gateway_cut(struct tg_gateway *g);
/* All workers have ended by themselves. */
bool tg_gateway_ended(const struct tg_gateway *g);
/* Waits for the workers (drain or cut must have been called) and frees everything. */
void tg_gateway_free(struct tg_gateway *g);

#endif
