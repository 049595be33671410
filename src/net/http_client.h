/* Upstream HTTP/1.1 client of one loop: pooled keep-alive connections per origin, TLS, CONNECT
 * proxies, bounded connections and handshakes. A call is one request and its response, in pull
 * style: its owner is woken and takes events.
 *
 * The request is always given as bytes made by the caller (built anew, never a client's headers).
 * Stale connections: a pooled connection that ended or became readable while idle is closed; if one
 * still fails before the first response byte, the call is sent once more on a fresh one: only then,
 * only once, and only when the request was not sent whole or the failure came within one second of
 * its start (a server that closes an idle connection does so at once; one that fails later may have
 * worked on the request).
 * A connection is used again only when nothing is in doubt: the response was complete and
 * self-delimited, allowed keep-alive, nothing came behind it, and the request had been sent whole.
 * Proxies: always a CONNECT tunnel, for http origins too (RFC 9110 9.3.6), so that the request's
 * bytes are the same with and without a proxy and pooled tunnels belong to one origin.
 * Compressed answers (Content-Encoding gzip or deflate, sent by some although nobody asked): the
 * head comes without the header and without a length, the body decoded, as it arrives. Other
 * codings are left as they are, header and bytes.
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
/* All 0 (but the resolver): the defaults above. */
int tg_http_client_new(struct tg_loop *loop, const struct tg_http_client_opts *opts,
                       struct tg_http_client **out) TG_WARN_UNUSED;
void tg_http_client_free(struct tg_http_client *c); /* all calls must be freed before */

struct tg_http_origin_opts {
    struct tg_str host;
    uint16_t port;
    bool https;
    struct tg_tls_ctx *tls;   /* with https; a ref is taken */
    struct tg_str proxy_host; /* "" : direct. An http proxy, used with CONNECT */
    uint16_t proxy_port;
    struct tg_str proxy_auth; /* value of Proxy-Authorization, "" if none */
    uint32_t max_conns;       /* per loop; calls beyond it wait in line; 0: 4,096 */
    uint32_t max_connecting;  /* connects and handshakes in flight; 0: 64 */
    uint32_t max_waiting;     /* calls in line; 0: 8,192; more: TG_E_OVERLOADED */
};
/* The origin of these settings, made on first use; kept as long as the client. Key: scheme, host,
 * port, proxy with its credentials. tls and the limits of a later call replace the earlier ones
 * (for new connections). At most 4,096 origins: TG_E_FULL. TG_E_NOMEM, TG_E_INVALID_ARG (https
 * without tls, empty host). */
int tg_http_origin_get(struct tg_http_client *c, const struct tg_http_origin_opts *opts,
                       struct tg_http_origin **out) TG_WARN_UNUSED;
/* After a reload: closes idle connections of origins not marked since the last sweep. */
void tg_http_client_sweep(struct tg_http_client *c);

struct tg_http_call_opts {
    enum tg_http_method method;
    const struct iovec *request; /* head and body, complete; array and bytes borrowed until SENT */
    int n_request;
    struct tg_arena *arena;         /* the response head goes here */
    uint32_t connect_timeout_ms;    /* line, DNS, connect, TLS together; 0 in any timeout: none */
    uint32_t first_byte_timeout_ms; /* from the last request byte taken by the kernel */
    uint32_t idle_timeout_ms;       /* between bytes of the response */
    uint64_t max_body_bytes;        /* as sent, and decoded; 0: no limit */
};
enum tg_http_call_event_kind {
    TG_CALL_SENT = 1, /* the request has left; its bytes may be freed. Over a pooled connection it
                         comes with the first response byte (until then a retry may need them).
                         Missing when the response ended before the request was sent */
    TG_CALL_HEAD,
    TG_CALL_BODY, /* ev.body borrows from a buffer shared by all calls: valid until the next call of
                     tg_http_call_next(), of this or another call */
    TG_CALL_END,  /* complete; the connection went back to its pool or was closed */
};
struct tg_http_call_event {
    enum tg_http_call_event_kind kind;
    const struct tg_http_head *head;
    struct tg_str body;
};
/* The owner is woken at once and must call tg_http_call_next(), which does all the work. Nothing is
 * written before that. TG_E_OVERLOADED (the line is full), TG_E_NOMEM. */
int tg_http_call_start(struct tg_http_origin *o, const struct tg_http_call_opts *opts,
                       struct tg_task *owner, struct tg_http_call **out) TG_WARN_UNUSED;
/* 1: *out is set (call again until 0). 0: nothing now, the owner will be woken. Negative: the call
 * failed (UPSTREAM_CONNECT, _DNS, _TLS, _TIMEOUT, _INCOMPLETE, _INVALID, _TOO_LARGE, OVERLOADED: no
 * place in line in time, NOMEM) with the text in *fail; only tg_http_call_free() is left. At most
 * one read(2) per owner's wake-up is done for fairness: after the events of one read, 0 follows and
 * the owner is woken again if the socket has more. A caller that stops before 0 loses nothing. */
int tg_http_call_next(struct tg_http_call *c, struct tg_http_call_event *out,
                      struct tg_fail *fail) TG_WARN_UNUSED;
/* Backpressure: while paused nothing is read, next() gives 0, and the idle timeout stands still.
 * Unpausing wakes the owner. */
void tg_http_call_pause(struct tg_http_call *c, bool paused);
/* At any time. A response that is not complete closes its connection (that is the cancel). */
void tg_http_call_free(struct tg_http_call *c);

/* Facts for logs and metrics. */
struct tg_http_call_info {
    bool reused; /* over a pooled connection */
    bool tls_resumed;
    bool request_sent; /* whole */
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
