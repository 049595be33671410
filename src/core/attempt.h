/* One try at one target. Made by an exchange, run by a backend, ended by exactly one result; retry,
 * fallback and fan-out are new attempts. It owns a child arena, its backend's state and its total
 * deadline; the exchange learns of it only through the sink and one end result.
 *
 *   NEW → CONNECT → SEND → WAIT_HEAD → BODY → END        any → FAIL | CANCEL
 *
 * Thread rule: the worker's thread. Ownership: the exchange's; freed at the end of the tick in
 * which tg_attempt_free() was called. */
#ifndef TG_CORE_ATTEMPT_H
#define TG_CORE_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "adapter/adapter.h"
#include "base/arena.h"
#include "base/fail.h"
#include "chat/event.h"
#include "chat/request.h"
#include "config/snapshot.h"
#include "core/backend.h"
#include "dialect/dialect.h"
#include "io/loop.h"

/* X(name) */
#define TG_ATTEMPT_STATES(X) \
    X(NEW)                   \
    X(CONNECT)               \
    X(SEND)                  \
    X(WAIT_HEAD)             \
    X(BODY)                  \
    X(END)                   \
    X(FAIL)                  \
    X(CANCEL)
enum tg_attempt_state {
#define X(name) TG_ATTEMPT_##name,
    TG_ATTEMPT_STATES(X)
#undef X
        TG_ATTEMPT_STATE_COUNT
};
const char *tg_attempt_state_name(enum tg_attempt_state s);

struct tg_runtime;
struct tg_epoch;

/* What an attempt is to do. Borrowed for its life, but what belongs to the client's request (model,
 * chat, client_head, call's body) only until the request was sent and the answer streams. */
struct tg_attempt_job {
    struct tg_runtime *rt;
    struct tg_epoch *epoch;
    uint16_t target;     /* id in the epoch's snapshot */
    struct tg_str model; /* as asked for; the default's name when none was */
    const struct tg_call *call;
    const struct tg_chat_req *chat; /* NULL: pass-through */
    struct tg_str path;             /* of the client's request */
    bool strict;                    /* refuse what would be lost in encoding */
    struct tg_str request_id;
    const struct tg_http_head *client_head; /* NULL for batch items */
    struct tg_sink *out;                    /* the exchange's */
    struct tg_task *owner;                  /* woken when the attempt is over */
};

/* When things happened, monotonic microseconds; 0: not yet. */
struct tg_attempt_times {
    uint64_t started_us, sent_us, head_us, first_token_us, ended_us;
};

int tg_attempt_new(const struct tg_attempt_job *job, uint32_t number,
                   struct tg_attempt **out) TG_WARN_UNUSED;
/* Starts the backend: 0, or the failure (also in tg_attempt_failure()); then only free is left. */
int tg_attempt_start(struct tg_attempt *a) TG_WARN_UNUSED;
/* Stops the backend if it runs (state CANCEL) and buries the attempt. */
void tg_attempt_free(struct tg_attempt *a);
void tg_attempt_pause(struct tg_attempt *a, bool paused);

enum tg_attempt_state tg_attempt_get_state(const struct tg_attempt *a);
static inline bool tg_attempt_state_is_over(enum tg_attempt_state s)
{
    return s >= TG_ATTEMPT_END;
}
/* Its step has ended it, or its deadline has passed: the owner frees it. */
bool tg_attempt_over(const struct tg_attempt *a);
/* Why it failed; NULL when it did not. Valid as long as the attempt. */
const struct tg_fail *tg_attempt_failure(const struct tg_attempt *a);
const struct tg_usage *tg_attempt_usage(const struct tg_attempt *a); /* source ABSENT if none */
const struct tg_attempt_times *tg_attempt_times(const struct tg_attempt *a);
const struct tg_attempt_job *tg_attempt_job(const struct tg_attempt *a);
uint32_t tg_attempt_number(const struct tg_attempt *a); /* 1, 2, … within its exchange */
bool tg_attempt_request_sent(const struct tg_attempt *a);
/* A provider's own error body, fit to be passed on byte for byte ({NULL,0}: none), and the head it
 * came with (NULL: none). */
struct tg_str tg_attempt_error_body(const struct tg_attempt *a);
const struct tg_http_head *tg_attempt_response_head(const struct tg_attempt *a);

/* Adds what encoding lost (bits of TG_FEATURE_*) to the sets. */
void tg_attempt_fidelity(const struct tg_attempt *a, uint64_t *io_dropped, uint64_t *io_emulated);

/* ---- for backends ---- */
void tg_attempt_set_fidelity(struct tg_attempt *a, uint64_t dropped, uint64_t emulated);
void *tg_attempt_state_mem(struct tg_attempt *a);         /* ops->state_bytes of zeroed memory */
void *tg_attempt_backend_ctx(const struct tg_attempt *a); /* given to tg_runtime_set_backend() */
const struct tg_adapter *tg_attempt_adapter(const struct tg_attempt *a); /* HTTP backends */
const struct tg_target *tg_attempt_target(const struct tg_attempt *a);
struct tg_arena *tg_attempt_arena(struct tg_attempt *a);
/* Emits into the attempt, which keeps times, usage and the terminal event and hands on. */
struct tg_sink *tg_attempt_sink(struct tg_attempt *a);
/* Where to record a failure: tg_fail_set(tg_attempt_fail(a), …), from start() and step() only. */
struct tg_fail *tg_attempt_fail(struct tg_attempt *a);
void tg_attempt_wake(struct tg_attempt *a);
struct tg_task *tg_attempt_task(struct tg_attempt *a); /* to hand to streams and calls as owner */
void tg_attempt_to(struct tg_attempt *a,
                   enum tg_attempt_state s); /* from start() and step() only */
/* The provider refused the credential, and there is another one now. */
void tg_attempt_set_renewed(struct tg_attempt *a);
bool tg_attempt_renewed(const struct tg_attempt *a);
void tg_attempt_set_error_body(struct tg_attempt *a, struct tg_str body);
void tg_attempt_set_response_head(struct tg_attempt *a, const struct tg_http_head *head);
/* Unique in the process for as long as it runs: worker, sequence. For messages to other threads. */
uint64_t tg_attempt_id(const struct tg_attempt *a);
/* The attempt with that id on this runtime, NULL if it is gone. */
struct tg_attempt *tg_attempt_find(struct tg_runtime *rt, uint64_t id);

/* Where the target's provider differs from its API's rule; NULL: nowhere known. */
const struct tg_quirks *tg_target_quirks(const struct tg_target *t);

#endif
