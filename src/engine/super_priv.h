/* The supervisor of one model: starts its child, speaks frames with it, keeps the requests that are
 * under way, notices when it dies or hangs, and starts it again.
 *
 *   OFF → STARTING → READY → OFF        any → BACKOFF → STARTING, or FAILED after 5 quick failures
 *
 * Descriptors and timers only record what happened and wake the supervisor's task; its step alone
 * changes state. Thread rule: the host thread. */
#ifndef TG_ENGINE_SUPER_PRIV_H
#define TG_ENGINE_SUPER_PRIV_H

#include <sys/types.h>

#include "base/bufq.h"
#include "base/list.h"
#include "engine/engine.h"
#include "engine/proto_priv.h"
#include "engine/spawn_priv.h"
#include "io/loop.h"
#include "io/mailbox.h"

enum {
    TG_SUPER_LOG_LINES = 12,
    TG_SUPER_LOG_LINE_BYTES = 240,
    TG_SUPER_POISON = 64,
    TG_SUPER_QUICK_FAILURES = 5,
};

/* The choices of one submitted request; freed with the last of them. */
struct tg_egroup {
    uint64_t base_id;
    struct tg_engine_tag tag;
    uint32_t client, n_choices, left;
    uint64_t prompt_hash;
};

enum tg_ereq_state {
    TG_EREQ_PENDING, /* here, with its frame; the child has not seen it */
    TG_EREQ_SENT,    /* may be in the tokenizer */
    TG_EREQ_QUEUED,  /* waits for a slot: no part in a crash */
    TG_EREQ_STARTED,
};

/* One choice of one request. */
struct tg_ereq {
    struct tg_list link; /* super->requests, in order of arrival */
    uint64_t id;
    uint32_t choice;
    enum tg_ereq_state state;
    bool cancelled;
    struct tg_egroup *group;
    struct tg_buf frame; /* PENDING */
    uint64_t arrived_ms;
    struct tg_super *super;
    void *spare; /* for its last event */
};

/* What a supervisor needs of the host. */
struct tg_super_env {
    struct tg_loop *loop;
    const char *const *argv;
    void *ctx;
    /* Passes an event on; text and logprobs are copied. With a spare (which it takes over) the
     * event arrives even when memory is out, its text replaced by the error's own. */
    void (*emit)(void *ctx, uint32_t client, const struct tg_engine_event *ev, void *spare);
    void *(*spare_new)(void *ctx); /* NULL: no memory */
    void (*spare_free)(void *ctx, void *spare);
    /* Requests are found by id through the host. TG_E_FULL, TG_E_NOMEM. */
    int (*add)(void *ctx, struct tg_ereq *r);
    void (*remove)(void *ctx, struct tg_ereq *r);
    struct tg_ereq *(*find)(void *ctx, uint64_t id);
    void (*publish)(void *ctx, const struct tg_super *s);
};

struct tg_super_poison {
    uint64_t hash, until_ms;
    uint32_t crashes;
};

enum tg_super_wish { TG_WISH_NONE, TG_WISH_LOAD, TG_WISH_UNLOAD };

/* The child process and what is between it and us. */
struct tg_super_child {
    struct tg_spawned p; /* pid 0: none */
    struct tg_fdpoll *poll, *log_poll;
    struct tg_buf in;
    struct tg_bufq out;
    bool ready_read, ready_log, gone; /* recorded by callbacks */
    bool asked_to_leave;
    uint64_t last_sign_ms, started_ms, kill_at_ms;
};

struct tg_super {
    const struct tg_super_env *env;
    uint32_t index;
    struct tg_engine_model_opts opts; /* strings are ours */
    char *strings;
    struct tg_task task;
    struct tg_timer tick;  /* watchdog, once in a while */
    struct tg_timer retry; /* end of a backoff; reaping */
    struct tg_timer idle;
    bool tick_due, retry_due, idle_due;
    enum tg_super_wish wish;
    bool removing; /* no request is taken any more; freed when the child is gone */
    struct tg_super_child child;
    struct tg_list requests;
    uint32_t n_requests, n_sent;
    uint32_t quick_failures;
    uint64_t ready_at_ms, failed_at_ms;
    struct tg_calib calib;
    struct tg_engine_status status;
    struct tg_super_poison poison[TG_SUPER_POISON];
    char log[TG_SUPER_LOG_LINES][TG_SUPER_LOG_LINE_BYTES]; /* newest last */
    struct tg_buf log_part;
    uint64_t request_ms; /* running mean of a request's time, for Retry-After */
};

/* Copies opts. TG_E_NOMEM. */
int tg_super_new(const struct tg_super_env *env, uint32_t index,
                 const struct tg_engine_model_opts *opts, struct tg_super **out) TG_WARN_UNUSED;
/* No child and no request may be left. */
void tg_super_free(struct tg_super *s);
void tg_super_wish(struct tg_super *s, enum tg_super_wish wish);
/* Requests get an ERROR with `err`; the child is asked to leave, and killed after kill_after_ms. */
void tg_super_stop(struct tg_super *s, int err, const char *why, uint64_t kill_after_ms);
bool tg_super_stopped(const struct tg_super *s); /* no child any more */

/* Takes over group and frames (one per choice); refusals are emitted. */
void tg_super_submit(struct tg_super *s, struct tg_egroup *g, struct tg_buf *frames);
void tg_super_cancel(struct tg_super *s, struct tg_ereq *r);
void tg_super_credit(struct tg_super *s, struct tg_ereq *r, uint32_t bytes);

/* ---- super_child.c ---- */
/* Starts the process and sends INIT; on failure nothing is left. */
int tg_super_child_start(struct tg_super *s, struct tg_fail *f) TG_WARN_UNUSED;
/* Closes descriptors and kills; the pid stays until it is reaped. */
void tg_super_child_close(struct tg_super *s);
/* True when the pid was reaped (or there is none); *out_status as from waitpid. */
bool tg_super_child_reap(struct tg_super *s, int *out_status);
void tg_super_child_send(struct tg_super *s, struct tg_str frame);
/* Reads what is there and calls tg_super_on_frame for each frame; keeps log lines. */
void tg_super_child_io(struct tg_super *s);
/* TG_E_INVALID_ARG: the child talks nonsense. */
int tg_super_on_frame(struct tg_super *s, const struct tg_frame *fr) TG_WARN_UNUSED;
void tg_super_log_add(struct tg_super *s, struct tg_str line);
/* The newest log lines, joined, for people. */
void tg_super_log_tail(const struct tg_super *s, char *out, size_t cap);

/* ---- super_req.c: the requests of a supervisor ---- */
/* Frames of one request: QUEUED … ERROR. TG_E_INVALID_ARG as above; unknown ids are ignored. */
int tg_super_req_frame(struct tg_super *s, const struct tg_frame *fr) TG_WARN_UNUSED;
/* Emits ERROR and forgets the request. */
void tg_super_req_fail(struct tg_super *s, struct tg_ereq *r, int err, int64_t retry_after_ms,
                       const char *text);
void tg_super_req_fail_all(struct tg_super *s, bool pending_too, int err, const char *text);
void tg_super_req_send(struct tg_super *s, struct tg_ereq *r);
/* Every request that may have caused the crash counts once for its prompt. */
void tg_super_poison_count(struct tg_super *s, uint64_t now_ms);
bool tg_super_poisoned(const struct tg_super *s, uint64_t hash, uint64_t now_ms);

#endif
