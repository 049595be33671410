/* Looks at the workers' loops from its own thread: a turn that takes too long blocks every client
 * of that worker, so it is reported, and when it never ends the process is given up (its supervisor
 * restarts it) with the worker's last state changes on stderr.
 * Thread rule: start and stop on the controlling thread. */
#ifndef TG_SERVER_WATCHDOG_H
#define TG_SERVER_WATCHDOG_H

#include "base/compiler.h"
#include "server/worker.h"

#define TG_WATCHDOG_REPORT_MS 100
#define TG_WATCHDOG_ABORT_MS  60000

struct tg_watchdog;
int tg_watchdog_start(struct tg_gateway_shared *shared, struct tg_watchdog **out) TG_WARN_UNUSED;
void tg_watchdog_stop(struct tg_watchdog *d); /* NULL is allowed */

#endif
