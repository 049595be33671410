/* Inside of the upstream client, shared by http_client.c (origins, pool, line), http_call_open.c
 * (connect, proxy, TLS), http_call.c (the request and its response) and http_call_coding.c
 * (compressed responses).
 * Thread rule: the loop's thread. */
#ifndef TG_NET_HTTP_CLIENT_PRIV_H
#define TG_NET_HTTP_CLIENT_PRIV_H

#include "base/buf.h"
#include "base/map.h"
#include "net/http_client.h"
#include "wire/inflate.h"

#define TG_CALL_STALE_MS      1000
#define TG_CLIENT_MAX_ORIGINS 4096
#define TG_PROXY_ANSWER_MAX   8192
#define TG_CLIENT_DECODED     16384 /* a piece of a decoded body */

struct tg_http_client {
    struct tg_loop *loop;
    struct tg_http_client_opts opts;
    struct tg_map origins;
    char *read_buf;                   /* TG_LOOP_READ_BYTES, shared by all calls */
    struct tg_http_call *read_holder; /* the call whose unread bytes lie in it */
    char *decoded;                    /* TG_CLIENT_DECODED; made when it is first needed */
    struct tg_http_client_stats stats;
    uint32_t calls; /* alive */
};

struct tg_http_origin {
    struct tg_http_client *client;
    char *key, *host, *proxy_host, *proxy_auth;
    struct tg_tls_ctx *tls;
    struct tg_list idle; /* upconns, the latest used first */
    struct tg_list line; /* calls waiting, in order of arrival */
    struct tg_timer idle_timer;
    struct tg_task idle_task;
    uint32_t max_conns, max_connecting, max_waiting;
    uint32_t n_open, n_idle, n_connecting, n_waiting;
    uint16_t port, proxy_port;
    bool https;
    bool marked;
};

/* A connection: leased to a call, or idle in its origin's pool. */
struct tg_upconn {
    struct tg_http_origin *origin;
    struct tg_stream *stream;
    struct tg_list link; /* in idle */
    struct tg_task task; /* the stream's owner while idle */
    struct tg_grave grave;
    uint64_t idle_since_ms;
    uint64_t idle_tick;
    bool tls;
};

enum tg_call_state {
    TG_CALL_S_LINE,    /* waits for a connection or the right to make one */
    TG_CALL_S_CONNECT, /* holds a slot; DNS and TCP */
    TG_CALL_S_PROXY_SEND,
    TG_CALL_S_PROXY_RECV,
    TG_CALL_S_TLS,
    TG_CALL_S_ACTIVE, /* request out, response in */
    TG_CALL_S_DONE,   /* END was given */
    TG_CALL_S_FAILED,
};

struct tg_http_call {
    struct tg_http_origin *origin;
    struct tg_task *owner;
    struct tg_upconn *conn;     /* leased; from PROXY on */
    struct tg_connect *connect; /* in CONNECT */
    struct tg_h1 *parser;       /* in the caller's arena */
    struct tg_http_call_opts opts;
    struct tg_list link; /* in the line */
    struct tg_timer timer;
    struct tg_grave grave;
    struct tg_str in;           /* read but not yet parsed: in read_buf or in `held` */
    struct tg_buf held;         /* unread bytes that had to leave read_buf; the proxy's dialogue */
    struct tg_inflate *inflate; /* of a compressed body, else NULL */
    struct tg_str coded;        /* of the body, not yet decoded: before `in`, in the same memory */
    uint32_t pieces;            /* decoded in this wake-up */
    size_t sent_bytes, request_bytes;
    uint64_t start_ms; /* of the call */
    uint64_t lease_ms; /* of sending on this connection */
    uint64_t phase_ms; /* last progress */
    struct tg_http_call_info info;
    int err;
    uint8_t state;
    bool has_slot; /* counted in n_connecting (and n_open) without a conn's own count */
    bool blocked;  /* the kernel takes no more of the request */
    bool send_failed;
    bool got_byte, sent_given, keep_alive;
    bool in_parser; /* bytes were given to the parser that it may still have events of */
    bool more;      /* the stream may have more bytes without being reported again */
    bool begun;     /* on this connection */
    bool retried;   /* the one stale retry is used up; pooled connections are out of question */
    bool paused, fired, lost;
    bool inflating; /* the decoder may have more to give */
};

/* http_client.c: the pool */
/* Gives the call a pooled connection or a slot (state CONNECT), or puts it in line.
 * TG_E_OVERLOADED. */
int tg_origin_acquire(struct tg_http_call *c) TG_WARN_UNUSED;
/* Serves the line. Only records and wakes. */
void tg_origin_pump(struct tg_http_origin *o);
/* The slot of a connect that failed. */
void tg_origin_slot_drop(struct tg_http_call *c);
/* The slot becomes a connection (still counted as connecting). TG_E_NOMEM: stream is closed. */
int tg_origin_slot_fill(struct tg_http_call *c, struct tg_stream *stream) TG_WARN_UNUSED;
void tg_origin_connected(struct tg_http_call *c); /* no longer counted as connecting */
/* The call's connection goes back to the pool, or closes when `reuse` is false or it can't. */
void tg_call_release_conn(struct tg_http_call *c, bool reuse);
void tg_upconn_close(struct tg_upconn *u); /* an idle one */
bool tg_upconn_is_silent(struct tg_upconn *u);

/* http_call_open.c: 1 active, 0 on its way, negative failed */
int tg_call_open(struct tg_http_call *c, struct tg_fail *fail) TG_WARN_UNUSED;

/* http_call_coding.c */
/* A head that is given to the caller: *head becomes one without the coding where it is undone. */
int tg_call_coding_begin(struct tg_http_call *c, const struct tg_http_head **head,
                         struct tg_fail *fail) TG_WARN_UNUSED;
/* The next decoded piece: 1; 0 `coded` is used up; TG_E_AGAIN enough for this wake-up. */
int tg_call_coding_next(struct tg_http_call *c, struct tg_str *out,
                        struct tg_fail *fail) TG_WARN_UNUSED;
/* At the body's end: whether the compressed data has ended too. */
int tg_call_coding_end(struct tg_http_call *c, struct tg_fail *fail) TG_WARN_UNUSED;
void tg_call_coding_fini(struct tg_http_call *c);

/* http_call.c */
void tg_call_arm(struct tg_http_call *c);
void tg_call_on_grant(struct tg_http_call *c); /* the line served it */

#endif
