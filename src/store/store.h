/* Where facts are kept: one store thread per process with a database behind it, asked by workers
 * through a bounded queue, answering through their mailboxes. Kept so far: answers of stateful APIs
 * (OpenAI's Responses), by owner and id, with a lifetime.
 *
 * A worker's end is a tg_store_client. An asker embeds a tg_store_wait; the answer is found by a
 * ticket, so that an asker who left (tg_store_cancel) is simply not found any more. A slow disk
 * makes answers late, never a loop: who can't wait sets a timer of its own and cancels.
 * What was answered with success outlives kill -9; a power cut may take the last moments, never
 * the file. Several processes may use one file.
 *
 * Thread rule: tg_store_open, _start, _stop, _free on the controlling thread; a client and its
 * waits belong to its loop's thread; tg_store_stats from any. Times are microseconds since 1970. */
#ifndef TG_STORE_STORE_H
#define TG_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/list.h"
#include "base/str.h"
#include "io/mailbox.h"

#define TG_STORE_MAX_CHAIN        1000        /* records of one conversation */
#define TG_STORE_MAX_RECORD_BYTES (64u << 20) /* of one record */
#define TG_STORE_MAX_QUEUE        4096        /* requests of all workers that wait */
#define TG_STORE_MAX_QUEUE_BYTES  (256u << 20)
#define TG_STORE_MAX_CLIENT       1024 /* requests of one worker, from asking to answer */

/* An answer that was given, with what it answered. Borrowed by who asks; in a result, valid until
 * tg_store_result_free(). */
struct tg_store_response {
    struct tg_str id;    /* "resp_…", as the client saw it */
    struct tg_str owner; /* whose it is; nobody else finds it. "": no owners are known */
    struct tg_str model; /* as asked for */
    struct tg_str target;
    struct tg_str previous_id; /* the record before it in the conversation, "" if none */
    struct tg_str status;      /* "completed", "incomplete", … */
    struct tg_str input_items; /* JSON array of what this turn brought */
    struct tg_str response;    /* the whole answer, a JSON object */
    struct tg_str output;      /* its items, a JSON array: a part of `response`; "" if none */
    int64_t created_us, expires_us;
    bool pinned; /* the state lives at the provider: only `target` can go on with it */
};

/* err is 0 or:
 *   TG_E_NOT_FOUND_INTERNAL  no such record, or it is over its time; `missing` names it
 *   TG_E_FULL, TG_E_NOMEM    more than the asker allowed, or than there is room for
 *   TG_E_STORE               the database; fail.message says why */
struct tg_store_result {
    int err;
    struct tg_fail fail;
    struct tg_str missing;
    const struct tg_store_response *v; /* get: one; chain: oldest first */
    size_t n;
};

struct tg_store_wait {
    struct tg_list link; /* the client's; linked while it waits */
    uint64_t ticket;
    /* The asker owns *r now. Obeys R2: records, wakes, frees nothing else. */
    void (*on_done)(struct tg_store_wait *w, struct tg_store_result *r);
};
static inline void tg_store_wait_init(struct tg_store_wait *w,
                                      void (*on_done)(struct tg_store_wait *,
                                                      struct tg_store_result *))
{
    tg_list_init(&w->link);
    w->ticket = 0;
    w->on_done = on_done;
}
static inline bool tg_store_waiting(const struct tg_store_wait *w)
{
    return tg_list_linked(&w->link);
}

struct tg_store;
struct tg_store_client;

/* Opens (and makes, and migrates) the database; the thread comes with start. `path` is a file's
 * name, or "memory" for one that ends with the process (at most 256 MiB: then the oldest make
 * room). A missing folder is made for the user alone. TG_E_STORE with the reason, TG_E_NOMEM. */
int tg_store_open(struct tg_str path, struct tg_store **out, struct tg_fail *fail) TG_WARN_UNUSED;
int tg_store_start(struct tg_store *s) TG_WARN_UNUSED;
/* What is queued is still done. Afterwards clients can be freed, then the store. */
void tg_store_stop(struct tg_store *s);
void tg_store_free(struct tg_store *s); /* NULL is fine */

int tg_store_client_new(struct tg_store *s, struct tg_loop *loop,
                        struct tg_store_client **out) TG_WARN_UNUSED;
/* After tg_store_stop(), before its loop is freed. NULL is fine. */
void tg_store_client_free(struct tg_store_client *c);

/* The four requests. What is asked with is copied. TG_E_FULL: the queue is full, TG_E_NOMEM; then
 * nothing was asked. put replaces a record of the same owner and id; nobody need wait for it or for
 * a deletion (wait NULL: a failure is counted in the statistics). */
int tg_store_put(struct tg_store_client *c, const struct tg_store_response *r,
                 struct tg_store_wait *wait) TG_WARN_UNUSED;
int tg_store_get(struct tg_store_client *c, struct tg_str owner, struct tg_str id,
                 struct tg_store_wait *wait) TG_WARN_UNUSED;
/* The record and all before it; the record alone when it is pinned. One that is missing on the way
 * is TG_E_NOT_FOUND_INTERNAL with its id; more than max_bytes or TG_STORE_MAX_CHAIN records, or a
 * circle, are TG_E_FULL. */
int tg_store_chain(struct tg_store_client *c, struct tg_str owner, struct tg_str id,
                   size_t max_bytes, struct tg_store_wait *wait) TG_WARN_UNUSED;
int tg_store_delete(struct tg_store_client *c, struct tg_str owner, struct tg_str id,
                    struct tg_store_wait *wait) TG_WARN_UNUSED;
/* The answer will find nobody. What was asked may still be done. Fine on a wait that is over. */
void tg_store_cancel(struct tg_store_wait *wait);
void tg_store_result_free(struct tg_store_result *r); /* NULL is fine */

struct tg_store_stats {
    uint64_t requests; /* done, of every kind */
    uint64_t failed;   /* of those, by the database; sweeps and unheard puts included */
    uint64_t refused;  /* not taken: the queue was full */
    uint64_t swept;    /* records that were over their time */
    uint64_t queued;   /* now */
};
void tg_store_stats(const struct tg_store *s, struct tg_store_stats *out);
/* The last failure's words, for a log line; returns out. */
const char *tg_store_last_failure(struct tg_store *s, char *out, size_t cap);
/* Where it is kept, for people. */
struct tg_str tg_store_path(const struct tg_store *s);

#endif
