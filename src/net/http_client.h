/* Upstream HTTP/1.1 client of one loop: pooled keep-alive connections per origin, TLS, CONNECT
 * proxies, bounded connections and handshakes. A call is one request and its response, in pull
 * style: its owner is woken and takes events.
 *
 * The request is always given as bytes made by the caller (built anew, never a client's headers).
 * Stale connections: a pooled connection is checked before use; if it still fails before the first
 * response byte the call is sent once more on a fresh one (only then, only once).
 * Thread rule: the loop's thread. */
#ifndef TG_NET_HTTP_CLIENT_H
#define TG_NET_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "io/connect.h"
#include "io/tls.h"
#include "wire/h1.h"

struct tg_http_client; /* of one loop: resolver, origins */
struct tg_http_origin; /* scheme + host + port + proxy: the pool's key */
struct tg_http_call;

struct tg_http_client_opts {
    struct tg_resolver *resolver; /* borrowed */
    uint32_t idle_timeout_ms;     /* pooled connections, 55,000 (under the usual 60 s of servers) */
    uint32_t max_idle_per_origin; /* 64 */
};
int tg_http_client_new(struct tg_loop *loop, const struct tg_http_client_opts *opts,
                       struct tg_http_client **out) TG_WARN_UNUSED;
void tg_http_client_free(struct tg_http_client *c); /* all calls must be freed before */

struct tg_http_origin_opts {
    struct tg_str host;
    uint16_t port;
    bool https;
    struct tg_tls_ctx *tls;    /* with https; a ref is taken */
    struct tg_str proxy_host;  /* "" : direct. http proxy; https origins go through CONNECT */
    uint16_t proxy_port;
    struct tg_str proxy_auth;  /* value of Proxy-Authorization, "" if none */
    uint32_t max_conns;        /* per loop; calls beyond it wait in line; 0: 4,096 */
    uint32_t max_connecting;   /* connects and handshakes in flight; 0: 64 */
    uint32_t max_waiting;      /* calls in line; 0: 8,192; more: TG_E_OVERLOADED */
};
/* The origin of these settings, made on first use; kept as long as the client. */
int tg_http_origin_get(struct tg_http_client *c, const struct tg_http_origin_opts *opts,
                       struct tg_http_origin **out) TG_WARN_UNUSED;
/* After a reload: closes idle connections of origins not marked since the last sweep. */
void tg_http_client_sweep(struct tg_http_client *c);

struct tg_http_call_opts {
    enum tg_http_method method;
    const struct iovec *request; /* head and body, complete; array and bytes borrowed until SENT */
    int n_request;
    struct tg_arena *arena;      /* the response head goes here */
    uint32_t connect_timeout_ms; /* line, DNS, connect, TLS together */
    uint32_t first_byte_timeout_ms;
    uint32_t idle_timeout_ms;    /* between bytes of the body */
    uint64_t max_body_bytes;     /* 0: none */
};
enum tg_http_call_event_kind {
    TG_CALL_SENT = 1, /* the request has left; its bytes may be freed (a stale retry is over too) */
    TG_CALL_HEAD,
    TG_CALL_BODY,     /* ev.body borrows from the loop's read buffer: valid until the next call of next() */
    TG_CALL_END,      /* complete; the connection went back to its pool or was closed */
};
struct tg_http_call_event {
    enum tg_http_call_event_kind kind;
    const struct tg_http_head *head;
    struct tg_str body;
};
int tg_http_call_start(struct tg_http_origin *o, const struct tg_http_call_opts *opts,
                       struct tg_task *owner, struct tg_http_call **out) TG_WARN_UNUSED;
/* 1: *out is set (call again until 0). 0: nothing now, the owner will be woken. Negative: the call
 * failed (UPSTREAM_CONNECT, _DNS, _TLS, _TIMEOUT, _INCOMPLETE, _INVALID, _TOO_LARGE, OVERLOADED) with
 * the text in *fail; only tg_http_call_free() is left. At most one read(2) per owner's wake-up is
 * done for fairness: after BODY events of one read, 0 follows and the owner is woken again if the
 * socket has more. */
int tg_http_call_next(struct tg_http_call *c, struct tg_http_call_event *out, struct tg_fail *fail)
    TG_WARN_UNUSED;
void tg_http_call_pause(struct tg_http_call *c, bool paused); /* backpressure: stop reading */
/* At any time. A response that is not complete closes its connection (that is the cancel). */
void tg_http_call_free(struct tg_http_call *c);

/* Facts for logs and metrics. */
struct tg_http_call_info {
    bool reused;          /* over a pooled connection */
    bool tls_resumed;
    bool request_sent;    /* whole */
    uint64_t bytes_in, bytes_out;
    uint64_t connected_us, sent_us, first_byte_us; /* monotonic; 0: not reached */
};
const struct tg_http_call_info *tg_http_call_info(const struct tg_http_call *c);

struct tg_http_client_stats {
    uint64_t connects, connect_failures, reuses, stale_retries, handshakes, resumed;
    uint32_t open, idle, waiting, connecting;
};
const struct tg_http_client_stats *tg_http_client_stats(const struct tg_http_client *c);

#endif
