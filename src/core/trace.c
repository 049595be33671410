#include "core/trace.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/compiler.h"

void tg_trace_add(struct tg_trace *t, uint64_t id, const char *machine, const char *from,
                  const char *to, uint64_t at_us)
{
    struct tg_trace_entry *e = &t->ring[t->next++ % TG_TRACE_ENTRIES];
    e->at_us = at_us;
    e->id = id;
    e->machine = machine;
    e->from = from;
    e->to = to;
}

static uint64_t first_entry(const struct tg_trace *t)
{
    return t->next > TG_TRACE_ENTRIES ? t->next - TG_TRACE_ENTRIES : 0;
}

void tg_trace_print(const struct tg_trace *t, struct tg_buf *out)
{
    for (uint64_t i = first_entry(t); i < t->next; i++) {
        const struct tg_trace_entry *e = &t->ring[i % TG_TRACE_ENTRIES];
        (void)tg_buf_printf(out, "%" PRIu64 " %s %" PRIu64 " %s -> %s\n", e->at_us, e->machine,
                            e->id, e->from, e->to); /* the caller tests tg_buf_ok() */
    }
}

void tg_trace_dump_fd(const struct tg_trace *t, int fd)
{
    char line[160];
    for (uint64_t i = first_entry(t); i < t->next; i++) {
        const struct tg_trace_entry *e = &t->ring[i % TG_TRACE_ENTRIES];
        int n = snprintf(line, sizeof line, "%" PRIu64 " %s %" PRIu64 " %s -> %s\n", e->at_us,
                         e->machine, e->id, e->from, e->to);
        if (n > 0 && write(fd, line, (size_t)n) < 0)
            return;
    }
}
