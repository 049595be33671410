/* Server side of HTTP/1.1: connections over streams, keep-alive, pipelining (one request at a
 * time), bodies collected whole, bounded output with marks. It knows nothing of what requests mean:
 * the owner of the server gets each request and answers through the functions below.
 *
 * Life of a connection: accepted → head parsed (or refused: ops->on_refused) → ops->on_request →
 * body collected → TG_CONN_BODY_DONE → the handler answers → flushed → next request or closed.
 * The connection struct is freed at the end of the tick in which it closed; a handler that is
 * attached then gets TG_CONN_GONE first and must detach.
 * Thread rule: the loop's thread. */
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
    uint64_t received_us;      /* monotonic, when the head was complete */
    uint64_t wire_bytes_in;
    char peer[48];             /* address as text */
};
void tg_http_req_free(struct tg_http_req *req);

/* What happened since the handler last asked. */
enum tg_conn_event {
    TG_CONN_BODY_DONE = 1, /* the body is complete */
    TG_CONN_GONE = 2,      /* the client left or was cut; nothing can be sent any more */
    TG_CONN_DRAINED = 4,   /* the output fell below the low mark after having been above the high one */
    TG_CONN_FLUSHED = 8,   /* the whole answer has been given to the kernel */
};

struct tg_http_server_ops {
    /* A head is complete. The handler owns req. It must attach a task with tg_http_conn_attach()
     * before it returns. It may answer at once (without waiting for the body; the rest of the body
     * is then read and dropped up to 64 KiB, else the connection closes after the answer). */
    void (*on_request)(void *ctx, struct tg_http_conn *c, struct tg_http_req *req);
    /* The request was refused by the parser, a limit or a timeout (err: TG_E_*). The owner answers with
     * tg_http_conn_respond() and friends before it returns, or leaves it: then the connection just
     * closes. It always closes after the answer. */
    void (*on_refused)(void *ctx, struct tg_http_conn *c, int err);
};

struct tg_http_server_opts {
    struct tg_h1_limits limits;
    uint64_t max_body_bytes;          /* 20 MB */
    uint32_t header_timeout_ms;       /* 10,000: from the first byte of a head to its end */
    uint32_t body_min_bytes_per_s;    /* 1,024, judged after body_grace_ms */
    uint32_t body_grace_ms;           /* 10,000 */
    uint32_t idle_timeout_ms;         /* 75,000 between requests */
    uint32_t write_stall_ms;          /* 30,000 without progress while output waits → cut */
    uint32_t high_mark_bytes;         /* 262,144 */
    uint32_t low_mark_bytes;          /* 65,536 */
    uint32_t max_conns;               /* further ones are closed at once; counted */
    struct tg_tls_ctx *tls;           /* NULL: plain. Borrowed; a ref is taken */
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
/* `owner` is woken when an event is recorded. */
void tg_http_conn_attach(struct tg_http_conn *c, struct tg_task *owner);
unsigned tg_http_conn_take_events(struct tg_http_conn *c); /* and clears them */
/* Clears both pointers; an unfinished answer is aborted. Call it before freeing the handler. */
void tg_http_conn_detach(struct tg_http_conn *c);

#define TG_HTTP_LENGTH_UNKNOWN UINT64_MAX /* chunked (HTTP/1.1) or close-delimited (1.0) */
/* Starts the answer; framing and Connection headers are written here, Date too; `headers` are the
 * others. TG_E_NOMEM, TG_E_INVALID_ARG (CR/LF in a value). */
int tg_http_conn_respond(struct tg_http_conn *c, int status, const struct tg_http_header *headers,
                         size_t n_headers, uint64_t content_length) TG_WARN_UNUSED;
/* Queues body bytes (copied, or written directly when nothing is queued). Chunk framing is added once
 * per flush, so many small writes in one tick become one chunk and one system call. TG_E_FULL: over
 * twice the high mark. */
int tg_http_conn_write(struct tg_http_conn *c, struct tg_str bytes) TG_WARN_UNUSED;
size_t tg_http_conn_queued(const struct tg_http_conn *c);
bool tg_http_conn_above_high(const struct tg_http_conn *c);
void tg_http_conn_end(struct tg_http_conn *c);   /* the answer is complete */
void tg_http_conn_abort(struct tg_http_conn *c); /* close after what is queued, without a proper end */
uint64_t tg_http_conn_bytes_out(const struct tg_http_conn *c); /* of this answer */

#endif
