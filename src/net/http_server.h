/* Server side of HTTP/1.1: connections over streams, keep-alive, pipelining (one request at a
 * time), bodies collected whole, bounded output with marks. It knows nothing of what requests mean:
 * the owner of the server gets each request and answers through the functions below.
 *
 * Life of a connection: accepted → head parsed (or refused: ops->on_refused) → ops->on_request →
 * body collected → TG_CONN_BODY_DONE → the handler answers → flushed → next request or closed.
 * When a connection ends its socket closes at once; its struct lives until the end of the tick, or
 * until the attached handler has detached. A handler whose answer was not out completely gets
 * TG_CONN_GONE. From then on every function below is harmless and the failing ones answer
 * TG_E_CANCELLED. The next request on the connection starts after the handler detached.
 * FIN on a connection without a request in work closes it. After a refusal and whenever unread
 * bytes may be left, closing lingers: FIN, then up to 64 KiB or 1 s of input is dropped, so that
 * the answer is not lost to a reset. Thread rule: the loop's thread. */
#ifndef TG_NET_HTTP_SERVER_H
#define TG_NET_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "io/stream.h"
#include "wire/h1.h"

struct tg_http_conn;
struct tg_http_server;

/* One request, handed over to the handler, which frees it. head and everything it points to live in
 * the arena; the arena is for the handler's own use as well (8 MiB cap). `body` owns the body's
 * bytes; they are complete once TG_CONN_BODY_DONE was recorded. */
struct tg_http_req {
    struct tg_arena arena;
    const struct tg_http_head *head;
    struct tg_buf body;
    uint64_t received_us;         /* monotonic, when the head was complete */
    uint64_t wire_bytes_in;       /* head and body as they came, framing included */
    char peer[48];                /* address as text */
    struct tg_http_conn *reading; /* private: the connection still fills this request */
};
/* A request that no connection brought (one of several that a client's stands for): the head's
 * struct is copied, what it points to is borrowed; the body is moved out of *body. NULL: no memory,
 * *body is as it was. */
struct tg_http_req *tg_http_req_new(const struct tg_http_head *head, struct tg_buf *body,
                                    uint64_t received_us, const char *peer);
/* At any time, also while the body is still arriving (then it is dropped as it comes). NULL is
 * allowed. */
void tg_http_req_free(struct tg_http_req *req);

/* What happened since the handler last asked. */
enum tg_conn_event {
    TG_CONN_BODY_DONE = 1, /* the body is complete */
    TG_CONN_GONE = 2,      /* the client left or was cut; nothing can be sent any more */
    TG_CONN_DRAINED =
        4, /* the output fell below the low mark after having been above the high one */
    TG_CONN_FLUSHED = 8, /* the whole answer has been given to the kernel */
};

struct tg_http_server_ops {
    /* A head is complete. The handler owns req. It must attach a task with tg_http_conn_attach()
     * before it returns. It may answer at once (without waiting for the body; the rest of the body
     * is then read and dropped up to 64 KiB, else the connection closes after the answer). */
    void (*on_request)(void *ctx, struct tg_http_conn *c, struct tg_http_req *req);
    /* The request was refused by the parser, a limit or a timeout (err: TG_E_*). The owner answers
     * with tg_http_conn_respond() and friends before it returns, or leaves it: then the connection
     * just closes. It always closes after the answer. */
    void (*on_refused)(void *ctx, struct tg_http_conn *c, int err);
};

struct tg_http_server_opts {
    struct tg_h1_limits limits;
    uint64_t max_body_bytes;       /* 20 MB; 0: no limit */
    uint32_t header_timeout_ms;    /* 10,000: from the first byte of a head to its end */
    uint32_t body_min_bytes_per_s; /* 1,024, judged in windows of body_grace_ms */
    uint32_t body_grace_ms;        /* 10,000 */
    uint32_t idle_timeout_ms;      /* 75,000 between requests, and for a TLS handshake
                                      header_timeout_ms; 0 in any timeout: none */
    uint32_t write_stall_ms;       /* 30,000 without progress while output waits → cut */
    uint32_t high_mark_bytes;      /* 262,144 */
    uint32_t low_mark_bytes;       /* 65,536 */
    uint32_t max_conns;            /* further ones are closed at once; counted */
    struct tg_tls_ctx *tls;        /* NULL: plain. Borrowed; a ref is taken */
    /* A client that closes and one that only half-closes both send FIN, no more. false: FIN while a
     * request is in work means that the client left (TG_CONN_GONE at once, so that its upstream
     * call is cancelled; nginx does the same). true: it still gets its answer, and its leaving is
     * noticed only when a write fails. An answer that is complete in the queue is delivered either
     * way. */
    bool half_close_ok;
};
extern const struct tg_http_server_opts tg_http_server_opts_default;

/* Counters, read by metrics. */
struct tg_http_server_stats {
    uint64_t accepted, refused_full, closed_idle, closed_timeout, cut_stalled, bad_requests;
    uint64_t bytes_in, bytes_out;
    uint32_t open, active; /* connections; connections with a request in work */
};

int tg_http_server_new(struct tg_loop *loop, const struct tg_http_server_opts *opts,
                       const struct tg_http_server_ops *ops, void *ctx,
                       struct tg_http_server **out) TG_WARN_UNUSED;
/* New settings for connections accepted from now on (reload). */
void tg_http_server_set_opts(struct tg_http_server *s, const struct tg_http_server_opts *opts);
/* Takes a connected socket (from a listener) or, for tests, a stream. Never fails visibly: on any
 * error the socket is closed and counted. */
void tg_http_server_accept_fd(struct tg_http_server *s, int fd);
int tg_http_server_accept_stream(struct tg_http_server *s, struct tg_stream *stream) TG_WARN_UNUSED;
/* Drain: idle connections close at once, each answer from now on says Connection: close. */
void tg_http_server_drain(struct tg_http_server *s);
void tg_http_server_close_all(struct tg_http_server *s); /* cuts everything; handlers get GONE */
void tg_http_server_free(struct tg_http_server *s);      /* after close_all, at a tick's end */
const struct tg_http_server_stats *tg_http_server_stats(const struct tg_http_server *s);

/* ---- the handler's side ---- */
/* The client's address as text, "" if unknown; valid as long as c. */
const char *tg_http_conn_peer(const struct tg_http_conn *c);
/* `owner` is woken when an event is recorded. */
void tg_http_conn_attach(struct tg_http_conn *c, struct tg_task *owner);
unsigned tg_http_conn_take_events(struct tg_http_conn *c); /* and clears them */
/* Clears both pointers; an unfinished answer is aborted. Call it before freeing the handler; c must
 * not be used afterwards. An answer that was ended goes on leaving by itself. */
void tg_http_conn_detach(struct tg_http_conn *c);

#define TG_HTTP_LENGTH_UNKNOWN UINT64_MAX /* chunked (HTTP/1.1) or close-delimited (1.0) */
/* Starts the answer; framing and Connection headers are written here, Date too; `headers` are the
 * others. TG_E_NOMEM, TG_E_INVALID_ARG (CR/LF in a value, a status under 200, answered already),
 * TG_E_CANCELLED (the connection is gone). HTTP/1.0 clients get close-delimited answers when the
 * length is unknown; HEAD, 204 and 304 answers drop the bytes written. */
int tg_http_conn_respond(struct tg_http_conn *c, int status, const struct tg_http_header *headers,
                         size_t n_headers, uint64_t content_length) TG_WARN_UNUSED;
/* Queues body bytes (copied; 32 KiB and more are offered to the socket at once and only the rest is
 * copied). Chunk framing is added once per flush, so many small writes in one tick become one chunk
 * and one system call. All or nothing: TG_E_FULL when more than twice the high mark is queued
 * already (one write may go past it, up to 64 MiB), TG_E_INVALID_ARG when more than the announced
 * length is written, TG_E_NOMEM, TG_E_CANCELLED. */
int tg_http_conn_write(struct tg_http_conn *c, struct tg_str bytes) TG_WARN_UNUSED;
size_t tg_http_conn_queued(const struct tg_http_conn *c);
/* From the high mark until the low one is reached again (TG_CONN_DRAINED). */
bool tg_http_conn_above_high(const struct tg_http_conn *c);
/* The answer is complete; fewer bytes than announced are an abort. */
void tg_http_conn_end(struct tg_http_conn *c);
/* Closes after what is queued, without a proper end: a chunked or counted answer is visibly cut; a
 * close-delimited one (HTTP/1.0) can't show it. */
void tg_http_conn_abort(struct tg_http_conn *c);
/* Bytes of this answer that the kernel took, head and framing included. */
uint64_t tg_http_conn_bytes_out(const struct tg_http_conn *c);

#endif
