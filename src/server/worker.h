/* One worker: a thread with its own loop, listener, connections, upstream pools and runtime. It
 * shares nothing with the others but what goes through its mailbox, and the numbers it publishes.
 * Thread rule: tg_worker_new, _start, _join, _free on the controlling thread; _post from any. */
#ifndef TG_SERVER_WORKER_H
#define TG_SERVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "admin/view.h"
#include "base/compiler.h"
#include "core/runtime.h"
#include "io/connect.h"
#include "io/mailbox.h"
#include "io/tls.h"
#include "net/http_server.h"

struct tg_gateway_shared;

struct tg_worker {
    uint16_t index;
    bool started; /* the thread exists */
    pthread_t thread;
    struct tg_gateway_shared *shared;
    struct tg_loop *loop;
    struct tg_resolver *resolver;
    struct tg_http_client *client;
    struct tg_runtime *rt;
    struct tg_http_server *server;
    struct tg_listener *listener;
    struct tg_mailbox *mailbox;
    struct tg_tls_ctx *tls; /* server side, NULL: plain */
    struct tg_timer tick;   /* publishes gauges; watches a drain */
    bool draining, cut;
    uint64_t drain_until_ms; /* then running requests are failed, 1.5 s later cut */
    void *engine_client;     /* the local backend's context */
    _Atomic uint64_t gauges[TG_GAUGE_COUNT];
    _Atomic uint64_t max_lag_us;
    atomic_bool ended;
};

/* What workers of one process have in common; const after start but for the atomics. */
struct tg_gateway_shared {
    struct tg_worker *workers;
    size_t n_workers;
    struct tg_metrics **metrics; /* one of each worker */
    struct tg_store *store;
    struct tg_engine_host *engine;
    struct tg_engine_models *engine_models;
    struct tg_affinity *affinity;
    int64_t started_wall_us;
    _Atomic uint64_t reloads, reloads_failed;
    atomic_bool draining;
};

int tg_worker_new(struct tg_worker *w, struct tg_gateway_shared *shared, uint16_t index,
                  const struct tg_snapshot *s, struct tg_fail *fail) TG_WARN_UNUSED;
/* Listens on the port (0: the kernel chooses). Before start. */
int tg_worker_listen(struct tg_worker *w, const struct tg_snapshot *s, uint16_t port,
                     struct tg_fail *fail) TG_WARN_UNUSED;
int tg_worker_start(struct tg_worker *w) TG_WARN_UNUSED;
void tg_worker_join(struct tg_worker *w);
void tg_worker_free(struct tg_worker *w); /* after join; fine on a half-made one */

/* Messages. A snapshot and a TLS context (may be NULL) are handed over with their references. */
int tg_worker_post_reload(struct tg_worker *w, const struct tg_snapshot *s,
                          struct tg_tls_ctx *tls) TG_WARN_UNUSED;
void tg_worker_post_drain(struct tg_worker *w, uint32_t timeout_ms);
void tg_worker_post_cut(struct tg_worker *w);

/* The server's options for a snapshot; tls is borrowed. */
struct tg_http_server_opts tg_worker_server_opts(const struct tg_snapshot *s,
                                                 struct tg_tls_ctx *tls);
/* Server-side TLS of a snapshot; *out is NULL when none is configured. */
int tg_worker_server_tls(const struct tg_snapshot *s, struct tg_tls_ctx **out,
                         struct tg_fail *fail) TG_WARN_UNUSED;
/* Writes this worker's numbers where others can read them. Worker's thread. */
void tg_worker_publish(struct tg_worker *w);

#endif
