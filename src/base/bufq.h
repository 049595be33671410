/* Byte queue made of chunks, for output that leaves in pieces: append at the back, hand the front
 * to writev, drop what was written. Bounded. Small chunk first (512 B) so that an idle stream is
 * cheap, then 4 KiB, then 16 KiB; a longer append gets one chunk of its own size. Empty queues
 * hold no memory.
 * Thread rule: one thread at a time. */
#ifndef TG_BASE_BUFQ_H
#define TG_BASE_BUFQ_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/str.h"

struct tg_bufq_chunk;
struct tg_bufq {
    struct tg_bufq_chunk *head, *tail;
    size_t n;         /* bytes queued */
    size_t max_bytes; /* hard cap: an append past it fails whole */
};

void tg_bufq_init(struct tg_bufq *q, size_t max_bytes);
void tg_bufq_fini(struct tg_bufq *q);
int tg_bufq_add(struct tg_bufq *q, struct tg_str s) TG_WARN_UNUSED; /* TG_E_FULL, TG_E_NOMEM */
/* The same; a chunk that is taken for it has room for about `more` bytes that will follow. */
int tg_bufq_add_room(struct tg_bufq *q, struct tg_str s, size_t more) TG_WARN_UNUSED;
/* Fills up to max entries with the front of the queue; returns how many. */
int tg_bufq_iov(const struct tg_bufq *q, struct iovec *out, int max);
void tg_bufq_drop(struct tg_bufq *q, size_t n); /* n <= q->n */

#endif
