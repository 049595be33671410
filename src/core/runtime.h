/* Everything that exchanges of one worker share: loop, upstream client, backends, configuration
 * epoch, metrics, trace. Made and owned by server/ (or by a test), never global.
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_RUNTIME_H
#define TG_CORE_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "adapter/adapter.h"
#include "base/list.h"
#include "config/snapshot.h"
#include "core/backend.h"
#include "core/metrics.h"
#include "core/trace.h"
#include "dialect/dialect.h"
#include "net/http_client.h"
#include "policy/breaker.h"
#include "policy/retry.h"
#include "store/store.h"

#define TG_RUNTIME_ATTEMPT_BUCKETS 256 /* power of two */

struct tg_backend_slot {
    const struct tg_backend_ops *ops; /* NULL: no such backend here */
    void *ctx;                        /* the backend's own, for this worker */
    /* HTTP backends: the kind's adapters, ended by NULL, its usual one first; else NULL. */
    const struct tg_adapter *const *adapters;
};

/* The one list of what this binary can speak, made by server/registry.c. */
struct tg_registry {
    const struct tg_dialect *const *dialects;
    size_t n_dialects;
};
/* The first dialect that serves the path (any method: *out_endpoint tells), at or behind `from`. */
const struct tg_dialect *tg_registry_find(const struct tg_registry *r, struct tg_str path,
                                          size_t from, const struct tg_endpoint **out_endpoint,
                                          size_t *out_index);

/* A target's state in one worker. */
struct tg_target_state {
    struct tg_breaker breaker;
    uint32_t in_flight;
    struct tg_http_origin *origin;    /* HTTP targets: made on first use */
    struct tg_credential *credential; /* a renewable one: made on first use; a reference */
};

/* One configuration in one worker: the snapshot and its targets' states. Exchanges hold it by a
 * worker-local count, so that no shared cache line is touched per request. */
struct tg_epoch {
    const struct tg_snapshot *snapshot; /* one atomic reference for all */
    uint32_t refs;
    uint64_t *open_breakers; /* bitmap for tg_route_find() */
    struct tg_target_state *targets;
};

struct tg_runtime {
    struct tg_loop *loop;
    struct tg_http_client *http;
    const struct tg_registry *registry;
    struct tg_backend_slot backends[TG_BACKEND_COUNT];
    struct tg_epoch *epoch; /* the current one */
    struct tg_metrics *metrics;
    struct tg_trace *trace;
    struct tg_affinity *affinity;  /* shared by all workers; NULL: none */
    struct tg_store_client *store; /* this worker's end; NULL: nothing is kept */
    struct tg_retry_budget retry_budget;
    struct tg_list exchanges;                            /* all that are alive */
    struct tg_list attempts[TG_RUNTIME_ATTEMPT_BUCKETS]; /* alive, by id */
    uint32_t n_attempts;
    uint32_t active, streams; /* exchanges; of those, streams that have begun */
    uint32_t max_active;      /* this worker's share; 0: no limit */
    uint16_t worker;
    bool draining;
    uint64_t next_id;            /* exchanges and attempts */
    struct tg_buf scratch;       /* rendering of one event */
    struct tg_buf log;           /* one log line */
    struct tg_fail scratch_fail; /* of the step that runs */
    struct tg_list tls_ctxs;     /* client TLS contexts by CA file */
};

struct tg_runtime_opts {
    struct tg_loop *loop;
    struct tg_http_client *http;
    const struct tg_registry *registry;
    const struct tg_snapshot *snapshot; /* a reference is taken */
    struct tg_affinity *affinity;       /* borrowed; NULL: opaque state is not followed */
    uint16_t worker;
};
int tg_runtime_new(const struct tg_runtime_opts *opts, struct tg_runtime **out) TG_WARN_UNUSED;
void tg_runtime_free(struct tg_runtime *rt); /* no exchange may be alive */
void tg_runtime_set_backend(struct tg_runtime *rt, enum tg_backend_kind kind,
                            const struct tg_backend_ops *ops, void *ctx,
                            const struct tg_adapter *const *adapters);
/* The adapter that speaks with a target about a model (its own name or the one that was asked for:
 * a wildcard may lead to several APIs); NULL: it is no HTTP target. */
const struct tg_adapter *tg_runtime_adapter(const struct tg_runtime *rt, const struct tg_target *t,
                                            struct tg_str model);
/* New configuration: exchanges begun from now on use it. Breakers of targets that keep their name
 * keep their state. TG_E_NOMEM: the old one stays. */
int tg_runtime_reload(struct tg_runtime *rt, const struct tg_snapshot *s) TG_WARN_UNUSED;
/* Every exchange gets the SHUTTING_DOWN failure: streams an error event, others a 503. */
void tg_runtime_abort_all(struct tg_runtime *rt);

struct tg_epoch *tg_epoch_ref(struct tg_epoch *e);
void tg_epoch_unref(struct tg_runtime *rt, struct tg_epoch *e);
/* The upstream pool of an HTTP target. */
int tg_epoch_origin(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                    struct tg_http_origin **out, struct tg_fail *fail) TG_WARN_UNUSED;

/* The pool of another URL, over the target's proxy and with its trusted certificates. */
int tg_runtime_origin(struct tg_runtime *rt, const struct tg_target *t,
                      const struct tg_config_url *url, struct tg_http_origin **out,
                      struct tg_fail *fail) TG_WARN_UNUSED;

/* For the operator's pages: the model that a name leads to (TG_E_MODEL_NOT_FOUND), and a target's
 * circuit as this worker sees it: "closed", "open", "half_open" and its number 0, 1, 2. */
const struct tg_model *tg_epoch_model(const struct tg_epoch *e, struct tg_str name,
                                      struct tg_fail *fail);
const char *tg_epoch_circuit(const struct tg_epoch *e, size_t target, int *out_number);

extern const struct tg_backend_ops tg_backend_http_ops; /* ctx unused */
extern const struct tg_backend_ops tg_backend_mock_ops; /* ctx unused */

#endif
