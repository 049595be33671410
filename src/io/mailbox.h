/* The one way between threads besides counters: a bounded multi-producer queue that wakes the
 * receiver's loop. Messages own their memory; a late message for a dead object is dropped by its
 * receiver, who looks objects up by id. */
#ifndef TG_IO_MAILBOX_H
#define TG_IO_MAILBOX_H

#include <stdint.h>

#include "base/compiler.h"
#include "io/loop.h"

struct tg_msg {
    struct tg_msg *next;
    void (*deliver)(struct tg_msg *m,
                    void *ctx);        /* receiver's thread, outside other steps; owns m */
    void (*discard)(struct tg_msg *m); /* if it can't be delivered any more */
};
struct tg_mailbox;
int tg_mailbox_new(struct tg_loop *loop, uint32_t max_messages, void *ctx,
                   struct tg_mailbox **out) TG_WARN_UNUSED;
/* Any thread. TG_E_FULL: not taken, still the sender's. */
int tg_mailbox_post(struct tg_mailbox *b, struct tg_msg *m) TG_WARN_UNUSED;
/* Receiver's thread, after the senders are gone, not from deliver(): discards what is queued. */
void tg_mailbox_free(struct tg_mailbox *b);

/* A foreign descriptor on the loop (engine socket, signal pipe, hiredis, libpq). Level-triggered;
 * want and ready are TG_WANT_* bits (errors and hang-up report all that is wanted and READ); the
 * callback obeys R2 but may call want and stop. The descriptor stays the caller's and must be
 * closed after stop only. TG_E_NOMEM; TG_E_IO: cannot be polled, or is polled already. */
struct tg_fdpoll;
int tg_fdpoll_start(struct tg_loop *loop, int fd, unsigned want,
                    void (*on_ready)(void *ctx, unsigned ready), void *ctx,
                    struct tg_fdpoll **out) TG_WARN_UNUSED;
void tg_fdpoll_want(struct tg_fdpoll *p, unsigned want);
void tg_fdpoll_stop(struct tg_fdpoll *p);

#endif
