/* Opening connections: name resolution off the loop with a cache, then every address in turn
 * until one answers. Listening: one socket per loop with SO_REUSEPORT.
 * Thread rule: the loop's thread. */
#ifndef TG_IO_CONNECT_H
#define TG_IO_CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"
#include "io/stream.h"

/* Resolver of one loop. getaddrinfo runs in libuv's pool, at most 2 s per look-up; answers (at most
 * 16 addresses, kept as the system orders them) are used for 30 s, failures for 1 s; when a look-up
 * fails the last good answer is used for up to 10 minutes. At most 1,024 names are kept. IP
 * literals need no look-up. */
struct tg_resolver;
int tg_resolver_new(struct tg_loop *loop, struct tg_resolver **out) TG_WARN_UNUSED;
void tg_resolver_free(struct tg_resolver *r); /* after its connects; look-ups are abandoned */

/* One attempt to connect. Woken owner looks at tg_connect_poll(). */
struct tg_connect;
struct tg_connect_opts {
    struct tg_str host; /* name or IP literal, no brackets; copied */
    uint16_t port;
    uint32_t timeout_ms;     /* for all addresses together; 0: no limit */
    uint32_t per_address_ms; /* before the next address is tried; 0: timeout / addresses */
};
int tg_connect_start(struct tg_resolver *r, const struct tg_connect_opts *opts,
                     struct tg_task *owner, struct tg_connect **out) TG_WARN_UNUSED;
/* TG_E_AGAIN: still on its way. 0: *out_stream is connected and yours, the tg_connect is done.
 * TG_E_UPSTREAM_DNS, TG_E_UPSTREAM_CONNECT, TG_E_UPSTREAM_TIMEOUT with the text in *fail. */
int tg_connect_poll(struct tg_connect *c, struct tg_stream **out_stream,
                    struct tg_fail *fail) TG_WARN_UNUSED;
void tg_connect_free(struct tg_connect *c); /* at any time; cancels what is under way */

/* Listener: host is an IP literal, "localhost" or another name of this machine (looked up at once:
 * for start-up), or "" or "*" for every address. TG_E_NOMEM, TG_E_IO, TG_E_INVALID_ARG. on_accept
 * gets connected non-blocking sockets, at most 64 per wake-up. When the process is out of
 * descriptors, accepting pauses for 100 ms (no busy loop). */
struct tg_listener;
struct tg_listen_opts {
    const char *host;
    uint16_t port;   /* 0: the kernel chooses; see tg_listener_port() */
    int backlog;     /* 0: 1024 */
    bool reuse_port; /* several listeners of this process share the port */
    bool first;      /* with reuse_port: no other process may have the port already */
};
int tg_listener_start(struct tg_loop *loop, const struct tg_listen_opts *opts,
                      void (*on_accept)(void *ctx, int fd), void *ctx, struct tg_listener **out,
                      struct tg_fail *fail) TG_WARN_UNUSED;
uint16_t tg_listener_port(const struct tg_listener *l);
void tg_listener_pause(struct tg_listener *l, bool paused);
void tg_listener_stop(struct tg_listener *l); /* closes the socket at once */

#endif
