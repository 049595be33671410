#include "server/page_view.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/engine_models.h"

#define MAX_ENGINES 32

static void sum_gauges(struct tg_worker *w, struct tg_admin_view *v)
{
    struct tg_gateway_shared *sh = w->shared;
    tg_worker_publish(w);
    for (size_t i = 0; i < sh->n_workers; i++) {
        for (size_t g = 0; g < TG_GAUGE_COUNT; g++)
            v->gauges[g] += atomic_load_explicit(&sh->workers[i].gauges[g], memory_order_relaxed);
        uint64_t lag = atomic_exchange(&sh->workers[i].max_lag_us, 0);
        v->max_lag_us = lag > v->max_lag_us ? lag : v->max_lag_us;
    }
    v->gauges[TG_GAUGE_LOG_DROPPED] = tg_log_dropped();
    v->gauges[TG_GAUGE_RELOADS] = atomic_load(&sh->reloads);
    v->gauges[TG_GAUGE_RELOADS_FAILED] = atomic_load(&sh->reloads_failed);
    struct tg_store_stats store = {0};
    if (sh->store)
        tg_store_stats(sh->store, &store);
    v->gauges[TG_GAUGE_STORE_QUEUED] = store.queued;
    v->gauges[TG_GAUGE_STORE_REQUESTS] = store.requests;
    v->gauges[TG_GAUGE_STORE_FAILED] = store.failed;
    v->gauges[TG_GAUGE_STORE_REFUSED] = store.refused;
    v->gauges[TG_GAUGE_STORE_SWEPT] = store.swept;
}

void tg_page_view(struct tg_page *p, struct tg_admin_view *v)
{
    struct tg_worker *w = p->worker;
    *v = (struct tg_admin_view){
        .epoch = w->rt->epoch,
        .metrics = w->shared->metrics,
        .n_workers = w->shared->n_workers,
        .started_wall_us = w->shared->started_wall_us,
        .now_wall_us = tg_clock_wall_us(),
        .draining = atomic_load(&w->shared->draining),
    };
    sum_gauges(w, v);
    struct tg_admin_engine *e =
        tg_arena_array(&p->req->arena, MAX_ENGINES, sizeof(struct tg_admin_engine));
    if (e) {
        v->engines = e;
        v->n_engines = tg_engine_models_view(w->shared, w->rt->epoch->snapshot, &p->req->arena, e,
                                             MAX_ENGINES);
    }
}
