/* One request on its way: made by a worker, done by the store thread, answered to the worker.
 * Private to store/. Owned by whose thread has it; the client's pointer is for posting only. */
#ifndef TG_STORE_OP_PRIV_H
#define TG_STORE_OP_PRIV_H

#include <stdatomic.h>

#include "store/store_priv.h"

enum tg_store_kind { TG_STORE_PUT, TG_STORE_GET, TG_STORE_CHAIN, TG_STORE_DELETE };

struct tg_store_op {
    struct tg_msg msg;
    struct tg_list link; /* the store thread's batch */
    struct tg_store_client *client;
    uint64_t ticket; /* 0: nobody waits */
    enum tg_store_kind kind;
    struct tg_arena arena; /* this op's copies and its answer; the op itself is not in it */
    struct tg_store_response record; /* put: all; else owner and id */
    size_t max_bytes;                /* chain */
    size_t queued_bytes;             /* counted against the store's limit */
    struct tg_store_result result;
};

static inline bool tg_store_op_writes(const struct tg_store_op *op)
{
    return op->kind == TG_STORE_PUT || op->kind == TG_STORE_DELETE;
}

struct tg_store {
    const struct tg_store_ops *ops;
    void *db;
    char *path;
    struct tg_loop *loop;
    struct tg_mailbox *mailbox;
    struct tg_task work;
    struct tg_timer sweep;
    struct tg_list batch; /* taken from the mailbox, not done yet */
    struct tg_thread *thread;
    _Atomic uint64_t requests, failed, refused, swept, queued, queued_bytes;
    struct tg_failure_note *note; /* the last failure's words */
};

/* client.c: the store thread is done with it. */
void tg_store_op_answer(struct tg_store_op *op);
void tg_store_op_free(struct tg_store_op *op);
/* store.c: takes the request over unless it fails (TG_E_FULL). Any thread. */
int tg_store_submit(struct tg_store *s, struct tg_store_op *op) TG_WARN_UNUSED;

#endif
