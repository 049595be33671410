#include "server/gateway.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "core/affinity.h"
#include "server/engine_models.h"
#include "server/store_boot.h"
#include "server/watchdog.h"
#include "server/worker.h"

struct tg_gateway {
    struct tg_gateway_shared shared;
    const struct tg_snapshot *snapshot;
    struct tg_watchdog *watchdog;
    struct tg_store_watch store_watch;
    uint64_t peak_active; /* requests at once, since memory was last given back */
    uint16_t port;
};

#define WORTH_TRIMMING 256

static int make_workers(struct tg_gateway *g, struct tg_fail *fail)
{
    struct tg_gateway_shared *sh = &g->shared;
    sh->n_workers = g->snapshot->settings.server.workers;
    sh->workers = tg_calloc(sh->n_workers, sizeof *sh->workers);
    sh->metrics = tg_calloc(sh->n_workers, sizeof(*sh->metrics));
    if (!sh->workers || !sh->metrics) {
        sh->n_workers = 0;
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    }
    for (size_t i = 0; i < sh->n_workers; i++) {
        int rc = tg_worker_new(&sh->workers[i], sh, (uint16_t)i, g->snapshot, fail);
        if (rc < 0)
            return rc;
        sh->metrics[i] = sh->workers[i].rt->metrics;
    }
    return 0;
}

static int listen_all(struct tg_gateway *g, struct tg_fail *fail)
{
    struct tg_gateway_shared *sh = &g->shared;
    g->port = (uint16_t)g->snapshot->settings.server.port;
    for (size_t i = 0; i < sh->n_workers; i++) {
        int rc = tg_worker_listen(&sh->workers[i], g->snapshot, g->port, fail);
        if (rc < 0)
            return rc;
        g->port = tg_listener_port(sh->workers[i].listener); /* the first one's for all */
    }
    return 0;
}

static int start_all(struct tg_gateway *g, struct tg_fail *fail)
{
    struct tg_gateway_shared *sh = &g->shared;
    int rc = tg_watchdog_start(sh, &g->watchdog);
    for (size_t i = 0; rc == 0 && i < sh->n_workers; i++)
        rc = tg_worker_start(&sh->workers[i]);
    return rc < 0 ? tg_fail_set(fail, rc, "cannot start a thread") : 0;
}

int tg_gateway_start(const struct tg_snapshot *snapshot, struct tg_gateway **out,
                     struct tg_fail *fail)
{
    struct tg_gateway *g = tg_calloc(1, sizeof *g);
    if (!g)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    g->snapshot = tg_snapshot_ref(snapshot);
    g->shared.started_wall_us = tg_clock_wall_us();
    int rc = tg_affinity_new(&g->shared.affinity);
    if (rc == 0)
        rc = tg_store_boot(snapshot, &g->shared.store, fail);
    if (rc == 0)
        rc = tg_engine_models_start(&g->shared, snapshot, fail);
    if (rc == 0)
        rc = make_workers(g, fail);
    if (rc == 0)
        rc = listen_all(g, fail);
    if (rc == 0)
        rc = start_all(g, fail);
    if (rc < 0) {
        tg_gateway_cut(g);
        tg_gateway_free(g);
        return rc;
    }
    *out = g;
    return 0;
}

uint16_t tg_gateway_port(const struct tg_gateway *g)
{
    return g->port;
}

/* ---- reload ---- */

static bool needs_restart(const struct tg_snapshot *a, const struct tg_snapshot *b)
{
    const struct tg_server_settings *x = &a->settings.server, *y = &b->settings.server;
    return !tg_str_eq(x->host, y->host) || x->port != y->port || x->workers != y->workers ||
           !tg_str_eq(a->settings.store.path, b->settings.store.path);
}

/* Every worker's TLS context is made before any worker hears of the new configuration. */
static int make_tls(struct tg_gateway *g, const struct tg_snapshot *s, struct tg_tls_ctx **tls,
                    struct tg_fail *fail)
{
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        int rc = tg_worker_server_tls(s, &tls[i], fail);
        if (rc == 0)
            continue;
        while (i--)
            tg_tls_unref(tls[i]);
        return rc;
    }
    return 0;
}

int tg_gateway_reload(struct tg_gateway *g, const struct tg_snapshot *snapshot,
                      bool *out_needs_restart, struct tg_fail *fail)
{
    struct tg_tls_ctx **tls = tg_calloc(g->shared.n_workers, sizeof(*tls));
    if (!tls)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    int rc = make_tls(g, snapshot, tls, fail);
    if (rc == 0)
        rc = tg_engine_models_reload(&g->shared, snapshot, fail);
    if (rc < 0) {
        tg_free(tls);
        return rc;
    }
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        int posted =
            tg_worker_post_reload(&g->shared.workers[i], tg_snapshot_ref(snapshot), tls[i]);
        rc = posted < 0 ? tg_fail_set(fail, posted, "worker %zu takes no messages", i) : rc;
    }
    tg_free(tls);
    *out_needs_restart = needs_restart(g->snapshot, snapshot);
    tg_snapshot_unref(g->snapshot);
    g->snapshot = tg_snapshot_ref(snapshot);
    atomic_fetch_add(&g->shared.reloads, 1);
    return rc;
}

/* When a peak is over, what it took goes back to the system. */
static void trim_after_peak(struct tg_gateway *g)
{
    uint64_t active = 0;
    for (size_t i = 0; i < g->shared.n_workers; i++)
        active += atomic_load_explicit(&g->shared.workers[i].gauges[TG_GAUGE_ACTIVE],
                                       memory_order_relaxed);
    if (active > g->peak_active) {
        g->peak_active = active;
    } else if (g->peak_active >= WORTH_TRIMMING && active <= g->peak_active / 8) {
        g->peak_active = active;
        tg_alloc_trim();
    }
}

void tg_gateway_tick(struct tg_gateway *g)
{
    tg_engine_models_sweep(&g->shared);
    tg_store_watch(&g->store_watch, g->shared.store);
    trim_after_peak(g);
}

void tg_gateway_count_failed_reload(struct tg_gateway *g)
{
    atomic_fetch_add(&g->shared.reloads_failed, 1);
}

/* ---- the end ---- */

void tg_gateway_drain(struct tg_gateway *g)
{
    atomic_store(&g->shared.draining, true);
    for (size_t i = 0; i < g->shared.n_workers; i++)
        tg_worker_post_drain(&g->shared.workers[i], g->snapshot->settings.server.drain_timeout_ms);
}

void tg_gateway_cut(struct tg_gateway *g)
{
    atomic_store(&g->shared.draining, true);
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        if (g->shared.workers[i].started)
            tg_worker_post_cut(&g->shared.workers[i]);
    }
}

bool tg_gateway_ended(const struct tg_gateway *g)
{
    for (size_t i = 0; i < g->shared.n_workers; i++) {
        if (g->shared.workers[i].started && !atomic_load(&g->shared.workers[i].ended))
            return false;
    }
    return true;
}

void tg_gateway_free(struct tg_gateway *g)
{
    struct tg_gateway_shared *sh = &g->shared;
    for (size_t i = 0; i < sh->n_workers; i++)
        tg_worker_join(&sh->workers[i]);
    tg_watchdog_stop(g->watchdog);
    tg_engine_models_stop(sh); /* before the mailboxes go */
    if (sh->store)
        tg_store_stop(sh->store); /* likewise */
    for (size_t i = 0; i < sh->n_workers; i++)
        tg_worker_free(&sh->workers[i]);
    tg_store_free(sh->store);
    tg_affinity_free(sh->affinity);
    tg_free(sh->workers);
    tg_free(sh->metrics);
    tg_snapshot_unref(g->snapshot);
    tg_free(g);
}
