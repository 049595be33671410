/* Counters, gauges and histograms of one worker, and their Prometheus text over all workers.
 * A series is written by its worker alone and read by any (relaxed atomics, no locks); series are
 * bounded (2,048 a worker), what does not fit is counted in one overflow series.
 * Thread rule: add/set/observe on the owner's thread; render on any. */
#ifndef TG_CORE_METRICS_H
#define TG_CORE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* X(id, name, type, labels in order separated by ',', help) */
#define TG_METRIC_FAMILIES(X)                                                                 \
    X(REQUESTS, "llm_gateway_requests_total", COUNTER, "status,endpoint,model",               \
      "Finished requests by HTTP status.")                                                    \
    X(REQUEST_DURATION, "llm_gateway_request_duration_seconds", HISTOGRAM, "endpoint",        \
      "Time from a request's head to its answer's last byte.")                                \
    X(TOKENS_GENERATED, "llm_gateway_tokens_generated_total", COUNTER, "model",               \
      "Output tokens, reasoning included.")                                                   \
    X(TOKENS, "llm_gateway_tokens_total", COUNTER, "model,kind", "Tokens by disjoint kind.")  \
    X(GENERATION_DURATION, "llm_gateway_generation_duration_seconds", HISTOGRAM, "model",     \
      "Time an attempt spent generating.")                                                    \
    X(TTFT, "llm_gateway_time_to_first_token_seconds", HISTOGRAM, "model",                    \
      "Time from a request's head to its first token.")                                       \
    X(UPSTREAM_ERRORS, "llm_gateway_upstream_errors_total", COUNTER, "target,code",           \
      "Failed attempts by error code.")                                                       \
    X(ATTEMPTS, "llm_gateway_attempts_total", COUNTER, "target", "Attempts started.")         \
    X(RETRIES, "llm_gateway_retries_total", COUNTER, "kind",                                  \
      "Further attempts: same target or next.")                                               \
    X(CLIENT_GONE, "llm_gateway_client_disconnects_total", COUNTER, "endpoint",               \
      "Requests whose client left before the end.")                                           \
    X(CREDENTIAL_RENEWALS, "llm_gateway_credential_renewals_total", COUNTER, "target,result", \
      "Renewals of a target's credential: ok, failed.")                                       \
    X(USAGE_ABSENT, "llm_gateway_usage_absent_total", COUNTER, "target",                      \
      "Answers without token usage.")

enum tg_metric_type { TG_METRIC_COUNTER, TG_METRIC_GAUGE, TG_METRIC_HISTOGRAM };
enum tg_metric_family {
#define X(id, name, type, labels, help) TG_METRIC_##id,
    TG_METRIC_FAMILIES(X)
#undef X
        TG_METRIC_FAMILY_COUNT
};

struct tg_metrics;
int tg_metrics_new(struct tg_metrics **out) TG_WARN_UNUSED;
void tg_metrics_free(struct tg_metrics *m);

/* Label values in the family's order; at most 3. */
void tg_metrics_add(struct tg_metrics *m, enum tg_metric_family f, const struct tg_str *labels,
                    size_t n_labels, uint64_t n);
void tg_metrics_observe_us(struct tg_metrics *m, enum tg_metric_family f,
                           const struct tg_str *labels, size_t n_labels, uint64_t us);
/* Sums the workers' series and writes them as Prometheus text (version 0.0.4). */
int tg_metrics_render(struct tg_metrics *const *workers, size_t n_workers,
                      struct tg_buf *out) TG_WARN_UNUSED;
/* One line of a gauge or counter that someone else keeps, with HELP and TYPE when help is not NULL.
 */
void tg_metrics_line(struct tg_buf *out, const char *name, const char *help, const char *type,
                     struct tg_str labels, uint64_t value);
/* A label value escaped for the text format, appended. */
void tg_metrics_escape(struct tg_buf *out, struct tg_str v);

#endif
