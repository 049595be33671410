/* The last state changes of a worker, in a ring: what the panic handler and an operator look at.
 * Thread rule: written by the worker; printed by it, or by anybody once the process is lost. */
#ifndef TG_CORE_TRACE_H
#define TG_CORE_TRACE_H

#include <stdint.h>

#include "base/buf.h"

#define TG_TRACE_ENTRIES 512
struct tg_trace_entry {
    uint64_t at_us;
    uint64_t id;         /* exchange or attempt sequence */
    const char *machine; /* "exchange", "attempt" */
    const char *from, *to;
};
struct tg_trace {
    struct tg_trace_entry ring[TG_TRACE_ENTRIES];
    uint64_t next;
};
void tg_trace_add(struct tg_trace *t, uint64_t id, const char *machine, const char *from,
                  const char *to, uint64_t at_us);
void tg_trace_print(const struct tg_trace *t, struct tg_buf *out); /* oldest first, a line each */
void tg_trace_dump_fd(const struct tg_trace *t, int fd);           /* no allocation */

#endif
