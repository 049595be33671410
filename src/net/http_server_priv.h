/* Inside of the HTTP server: the connection's state, shared by http_server.c (accepting, counting),
 * http_conn.c (reading, life) and http_conn_out.c (the answer). Thread rule: the loop's thread. */
#ifndef TG_NET_HTTP_SERVER_PRIV_H
#define TG_NET_HTTP_SERVER_PRIV_H

#include "base/bufq.h"
#include "io/tls.h"
#include "net/http_server.h"

#define TG_CONN_PENDING_MAX   16384 /* pipelined bytes kept while a request is in work */
#define TG_CONN_DROP_MAX      65536 /* unread body or lingering bytes swallowed before closing */
#define TG_CONN_LINGER_MS     1000
#define TG_CONN_BODY_EXACT    65536       /* Content-Length up to here is allocated at once */
#define TG_CONN_DIRECT_BYTES  32768       /* writes from here on skip the queue */
#define TG_CONN_QUEUE_HARD    (64u << 20) /* one huge write on top of the marks */
#define TG_CONN_REQ_ARENA     4096
#define TG_CONN_REQ_ARENA_MAX (8u << 20)

/* Settings as they were when a connection was accepted. */
struct tg_http_server_cfg {
    struct tg_http_server_opts o;
    uint32_t refs;
};

struct tg_http_server {
    struct tg_loop *loop;
    struct tg_http_server_cfg *cfg;
    struct tg_http_server_ops ops;
    void *ctx;
    struct tg_list conns;
    struct tg_http_server_stats stats;
    struct tg_buf scratch; /* a head being written */
    int64_t date_s;
    char date[32];
    uint8_t date_n;
    bool draining;
};

enum tg_http_conn_state {
    TG_CONN_TLS,    /* handshake */
    TG_CONN_IDLE,   /* nothing of the next request seen; holds no memory but itself */
    TG_CONN_HEAD,   /* a head is arriving */
    TG_CONN_BODY,   /* handed over, the body is arriving */
    TG_CONN_WAIT,   /* the request is complete, the answer is not */
    TG_CONN_LINGER, /* answered and shut down, reads and drops */
    TG_CONN_CLOSED, /* no stream any more; waits for its handler to detach */
};

enum tg_http_conn_answer {
    TG_ANSWER_NONE,
    TG_ANSWER_OPEN,
    TG_ANSWER_ENDED,
    TG_ANSWER_ABORTED,
};

enum tg_http_conn_framing {
    TG_FRAMING_NO_BODY, /* HEAD, 204, 304 */
    TG_FRAMING_LENGTH,
    TG_FRAMING_CHUNKED,
    TG_FRAMING_CLOSE,
};

/* Output. The queue holds `lead` bytes to be sent as they are, then the `chunk_left` bytes of an
 * open chunk, then bytes that no chunk was opened for yet. Only chunked answers have the last two.
 */
struct tg_http_conn_out {
    struct tg_bufq q;
    size_t lead;
    size_t chunk_left;
    const char *tail;     /* behind the open chunk's bytes */
    uint64_t body_left;   /* TG_FRAMING_LENGTH: bytes the handler still owes */
    uint64_t bytes;       /* of this answer, given to the kernel */
    uint64_t progress_ms; /* when the kernel last took something, or output began to wait */
    char chunk_head[20];
    uint8_t head_n, head_off;
    uint8_t tail_n, tail_off;
    bool chunk_open;
    bool last_chunk; /* the end of the body is framed */
    bool blocked;    /* the kernel takes no more; WRITE is wanted */
    bool above_high;
};

struct tg_http_conn {
    struct tg_http_server *server; /* not to be touched once CLOSED */
    struct tg_http_server_cfg *cfg;
    struct tg_loop *loop;
    struct tg_stream *stream; /* NULL once CLOSED */
    struct tg_list link;
    struct tg_task task;
    struct tg_grave grave;
    struct tg_timer timer;
    struct tg_task *owner;   /* the attached handler */
    struct tg_http_req *req; /* while its message is being read */
    struct tg_h1 *parser;    /* in req's arena */
    struct tg_buf pending;   /* pipelined bytes */
    struct tg_http_conn_out out;
    uint64_t since_ms;     /* start of this state; of the body window in BODY */
    uint64_t window_bytes; /* body bytes in this window */
    uint64_t unread_bytes; /* of a Content-Length body */
    uint32_t dropped;      /* bytes swallowed since the answer ended */
    uint8_t state, answer, framing, events;
    uint8_t minor;
    bool req_ours;   /* the handler never got req, or freed it already */
    bool is_head;    /* method HEAD */
    bool chunked_in; /* how much body will come is unknown */
    bool want_100;   /* the client waits for an interim answer */
    bool keep;
    bool refused;
    bool flushed;
    bool eof;
    bool tls;
    bool more;    /* the stream may have more bytes without being reported again */
    bool fired;   /* the timer's deadline has passed */
    bool in_work; /* counted in stats.active */
    char peer[48];
};

/* http_server.c */
struct tg_str tg_http_server_date(struct tg_http_server *s);
void tg_http_server_cfg_unref(struct tg_http_server_cfg *cfg);

/* http_conn.c */
struct tg_http_conn *tg_http_conn_new(struct tg_http_server *s);
void tg_http_conn_start(struct tg_http_conn *c, struct tg_stream *stream);
void tg_http_conn_close(struct tg_http_conn *c);
void tg_http_conn_record(struct tg_http_conn *c, unsigned event);

/* http_conn_out.c */
bool tg_http_conn_out_waiting(const struct tg_http_conn *c);
/* Gives the kernel what waits: 0 (maybe blocked now) or a negative error. */
int tg_http_conn_flush(struct tg_http_conn *c) TG_WARN_UNUSED;
/* Bytes that no answer frames (an interim answer). */
int tg_http_conn_raw(struct tg_http_conn *c, struct tg_str bytes) TG_WARN_UNUSED;
void tg_http_conn_out_reset(struct tg_http_conn *c);

#endif
