/* What the files of the fan-out share: fanout.c (the client's side, the life of it all),
 * fanout_branch.c (one model's request) and fanout_join.c (their answers made one). All of it lives
 * in the client's request's arena. Thread rule: the worker's thread. */
#ifndef TG_CORE_FANOUT_PRIV_H
#define TG_CORE_FANOUT_PRIV_H

#include "core/exchange.h"
#include "core/fanout.h"
#include "dialect/fanout.h"
#include "wire/sse.h"

#define TG_FANOUT_MAX_ANSWER_BYTES (64u << 20)
#define TG_FANOUT_JUDGE            TG_FANOUT_MAX_MODELS /* its branch's index */

/* One model's request. */
struct tg_fanout_branch {
    struct tg_fanout *f;
    struct tg_task *task; /* the exchange's; NULL: none, or it has let go */
    unsigned events;      /* for its take_events() */
    struct tg_str model;
    int status;
    bool running; /* started and not ended */
    bool broken;  /* its stream was cut */
    bool relays;  /* what it writes goes to the client as it is */
    struct tg_buf body;
    struct tg_sse_dec sse; /* ALL, streamed */
    uint64_t bytes, started_us, ended_us;
    int64_t cost_nusd;
};

enum tg_fanout_phase {
    TG_FANOUT_READING,
    TG_FANOUT_RUNNING,
    TG_FANOUT_JUDGING,
    TG_FANOUT_ANSWERED
};

struct tg_fanout {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_runtime *rt;
    struct tg_http_conn *conn;
    struct tg_http_req *req;
    const struct tg_dialect *chat;
    struct tg_str request_id, cors_origin;
    struct tg_fanout_call call;
    enum tg_fanout_phase phase;
    bool head_sent, gone, over;
    int status;
    int winner; /* index, -1: none yet */
    struct tg_fanout_branch branches[TG_FANOUT_MAX_MODELS + 1];
    size_t n;
};

/* ---- the client's side (fanout.c) ---- */

/* A piece of a streamed answer; the first one brings the head. */
void tg_fanout_send_stream(struct tg_fanout *f, struct tg_str bytes);
/* The last of the answer. */
void tg_fanout_close_answer(struct tg_fanout *f, bool broken);
/* A whole answer in JSON. */
void tg_fanout_send_whole(struct tg_fanout *f, int status, struct tg_str body);
void tg_fanout_fail_with(struct tg_fanout *f, int err);

/* ---- one model's request (fanout_branch.c) ---- */

/* body is moved from. A branch that can't be started has failed like any other. */
void tg_fanout_start_branch(struct tg_fanout *f, size_t index, struct tg_str model,
                            struct tg_buf *body);
/* Cancels all that run but one; NULL: all. */
void tg_fanout_stop_others(struct tg_fanout *f, const struct tg_fanout_branch *but);

/* ---- the answer (fanout_join.c) ---- */

/* After something happened: answers the client as far as the branches allow. */
void tg_fanout_join(struct tg_fanout *f);

#endif
