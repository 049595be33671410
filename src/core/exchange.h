/* One client request and all that is done for it, until the answer was delivered and everything was
 * written down. It talks to a tg_reply, so it does not know whether a client, a batch or a test is
 * behind it, and outlives its connection when the client leaves.
 *
 *   BODY → PARSE → LOAD → ROUTE → RUN → (STREAM) → (KEEP) → FLUSH → SETTLE → DONE
 *   any state before FLUSH may go to FAIL → FLUSH; a client that leaves leads to SETTLE.
 *
 * tg_exchange_step (private, run from the ready list) alone changes the state.
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_EXCHANGE_H
#define TG_CORE_EXCHANGE_H

#include "core/reply.h"
#include "core/runtime.h"
#include "net/http_server.h"

/* X(name, step function) */
#define TG_EXCHANGE_STATES(X)          \
    X(BODY, tg_exchange_step_body)     \
    X(PARSE, tg_exchange_step_parse)   \
    X(LOAD, tg_exchange_step_load)     \
    X(ROUTE, tg_exchange_step_route)   \
    X(RUN, tg_exchange_step_run)       \
    X(STREAM, tg_exchange_step_stream) \
    X(FAIL, tg_exchange_step_fail)     \
    X(KEEP, tg_exchange_step_keep)     \
    X(FLUSH, tg_exchange_step_flush)   \
    X(SETTLE, tg_exchange_step_settle) \
    X(DONE, tg_exchange_step_done)
enum tg_exchange_state {
#define X(name, fn) TG_EXCHANGE_##name,
    TG_EXCHANGE_STATES(X)
#undef X
        TG_EXCHANGE_STATE_COUNT
};
const char *tg_exchange_state_name(enum tg_exchange_state s);

struct tg_exchange;
/* Takes the request over. On failure (memory) the request is freed and the connection aborted.
 * `dialect` is the first one that serves the path; its siblings on the same path are asked once the
 * body is there. `cors_origin`: an origin that may read the answer ("" if none). */
void tg_exchange_start_http(struct tg_runtime *rt, struct tg_http_conn *conn,
                            struct tg_http_req *req, size_t dialect_index,
                            struct tg_str cors_origin);

/* The same for a request that no connection brought; its answer goes to `reply`, whose first
 * take_events() must say BODY_DONE. Returns the task to wake on later events, valid until
 * reply.ops->detach(); NULL: no memory, the request is freed and the reply not touched. */
struct tg_task *tg_exchange_start_inner(struct tg_runtime *rt, struct tg_http_req *req,
                                        const struct tg_dialect *dialect, struct tg_reply reply);

/* The request id to use for a head: the client's x-request-id when it is acceptable
 * ([A-Za-z0-9._-]{1,128}), else a new one; in the arena. */
struct tg_str tg_exchange_request_id(struct tg_arena *a, const struct tg_http_head *head);
/* Whether the dialect takes what Content-Type and Content-Encoding say. TG_E_MEDIA_TYPE. */
int tg_exchange_check_media(const struct tg_dialect *d, const struct tg_http_head *head,
                            struct tg_fail *fail) TG_WARN_UNUSED;

#endif
