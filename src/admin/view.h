/* What the operator's pages are made from: a read-only picture of the process, put together by the
 * worker that answers. Pure functions from it to bytes.
 * Thread rule: the view is one worker's, for one call. Everything in it is borrowed. */
#ifndef TG_ADMIN_VIEW_H
#define TG_ADMIN_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"
#include "core/runtime.h"

/* Numbers that workers publish for each other, summed over all of them.
 * X(id, metric name, type, help) */
#define TG_GAUGES(X)                                                                               \
    X(ACTIVE, "llm_gateway_active_requests", "gauge", "Requests in work.")                         \
    X(STREAMS, "llm_gateway_active_streams", "gauge", "Streams that have begun and not ended.")    \
    X(CONNECTIONS, "llm_gateway_client_connections", "gauge", "Open client connections.")          \
    X(ACCEPTED, "llm_gateway_client_connections_total", "counter", "Client connections accepted.") \
    X(REFUSED, "llm_gateway_client_connections_refused_total", "counter",                          \
      "Connections closed at once: too many.")                                                     \
    X(BAD_REQUESTS, "llm_gateway_bad_requests_total", "counter",                                   \
      "Requests refused by the HTTP parser, a limit or a timeout.")                                \
    X(CUT_STALLED, "llm_gateway_client_stalls_total", "counter",                                   \
      "Clients cut because they stopped reading.")                                                 \
    X(BYTES_IN, "llm_gateway_received_bytes_total", "counter", "Bytes from clients.")              \
    X(BYTES_OUT, "llm_gateway_sent_bytes_total", "counter", "Bytes to clients.")                   \
    X(UP_OPEN, "llm_gateway_upstream_connections", "gauge", "Open upstream connections.")          \
    X(UP_IDLE, "llm_gateway_upstream_connections_idle", "gauge", "Of those, pooled and idle.")     \
    X(UP_WAITING, "llm_gateway_upstream_calls_waiting", "gauge",                                   \
      "Upstream calls in line for a connection.")                                                  \
    X(UP_CONNECTS, "llm_gateway_upstream_connects_total", "counter",                               \
      "Upstream connections opened.")                                                              \
    X(UP_REUSES, "llm_gateway_upstream_reuses_total", "counter",                                   \
      "Upstream calls over pooled connections.")                                                   \
    X(UP_STALE, "llm_gateway_upstream_stale_retries_total", "counter",                             \
      "Calls sent again because a pooled connection had gone.")                                    \
    X(UP_HANDSHAKES, "llm_gateway_upstream_tls_handshakes_total", "counter",                       \
      "TLS handshakes with upstreams.")                                                            \
    X(UP_RESUMED, "llm_gateway_upstream_tls_resumed_total", "counter",                             \
      "Of those, resumed sessions.")                                                               \
    X(TICKS, "llm_gateway_loop_ticks_total", "counter", "Turns of the event loops.")               \
    X(LOG_DROPPED, "llm_gateway_log_lines_dropped_total", "counter",                               \
      "Log lines lost because the sink was blocked.")                                              \
    X(RELOADS, "llm_gateway_config_reloads_total", "counter", "Configurations taken over.")        \
    X(RELOADS_FAILED, "llm_gateway_config_reload_failures_total", "counter",                       \
      "Configurations refused at reload.")                                                         \
    X(STORE_QUEUED, "llm_gateway_store_queued", "gauge", "Requests that wait for the database.")   \
    X(STORE_REQUESTS, "llm_gateway_store_requests_total", "counter",                               \
      "Requests that the database has done.")                                                      \
    X(STORE_FAILED, "llm_gateway_store_failures_total", "counter",                                 \
      "Requests that the database has failed at.")                                                 \
    X(STORE_REFUSED, "llm_gateway_store_refused_total", "counter",                                 \
      "Requests that its full queue has refused.")                                                 \
    X(STORE_SWEPT, "llm_gateway_store_expired_total", "counter",                                   \
      "Records removed at the end of their lifetime.")

enum tg_gauge {
#define X(id, name, type, help) TG_GAUGE_##id,
    TG_GAUGES(X)
#undef X
        TG_GAUGE_COUNT
};

/* A local model's state, as the engine reports it. */
struct tg_admin_engine {
    struct tg_str name;
    const char *state; /* "off", "starting", "ready", … */
    uint32_t progress_permille;
    uint32_t running, waiting, restarts;
    uint32_t n_ctx, slots, load_ms;
    uint64_t n_params, resident_bytes;
    const char *description, *library, *reason;
};

struct tg_admin_view {
    const struct tg_epoch *epoch;
    struct tg_metrics *const *metrics; /* of every worker */
    size_t n_workers;
    uint64_t gauges[TG_GAUGE_COUNT];
    uint64_t max_lag_us; /* longest loop turn since the last look */
    int64_t started_wall_us, now_wall_us;
    bool draining;
    const struct tg_admin_engine *engines;
    size_t n_engines;
};

/* GET /v1/models: OpenAI's list shape with display name, tier, context and prices, and what
 * Anthropic's has beside that. */
int tg_admin_models(const struct tg_admin_view *v, struct tg_buf *out) TG_WARN_UNUSED;
/* GET /v1/models/{id}: TG_E_MODEL_NOT_FOUND with the nearest name. */
int tg_admin_model(const struct tg_admin_view *v, struct tg_str id, struct tg_buf *out,
                   struct tg_fail *fail) TG_WARN_UNUSED;
/* GET /v1/health: readiness and detail; *out_status is 200 or 503. */
int tg_admin_health(const struct tg_admin_view *v, struct tg_buf *out,
                    int *out_status) TG_WARN_UNUSED;
/* GET /metrics: Prometheus text. */
int tg_admin_metrics(const struct tg_admin_view *v, struct tg_buf *out) TG_WARN_UNUSED;

#endif
