#include "server/watchdog.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"

#define LOOK_MS 20

struct seen {
    uint64_t stamp_ns; /* the turn that was running at the last look */
    uint32_t looks;    /* in a row: time of our own, so that a stopped process counts nothing */
};

struct tg_watchdog {
    struct tg_gateway_shared *shared;
    struct seen *seen;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
};

static void report(const struct tg_worker *w, uint32_t ms)
{
    tg_log_msg(TG_LOG_WARNING, "loop_blocked", "worker %u has been in one turn for %u ms", w->index,
               ms);
}

static void give_up(const struct tg_worker *w)
{
    tg_log_msg(TG_LOG_ERROR, "loop_stuck", "worker %u does not move; ending the process", w->index);
    tg_trace_dump_fd(w->rt->trace, STDERR_FILENO);
    tg_log_stop();
    abort();
}

static void look(struct tg_watchdog *d, size_t i)
{
    struct tg_worker *w = &d->shared->workers[i];
    struct seen *s = &d->seen[i];
    uint64_t stamp = atomic_load_explicit(tg_loop_busy_since_ns(w->loop), memory_order_relaxed);
    if (!stamp || stamp != s->stamp_ns) {
        s->stamp_ns = stamp;
        s->looks = 0;
        return;
    }
    uint32_t ms = ++s->looks * LOOK_MS;
    if (ms == TG_WATCHDOG_REPORT_MS)
        report(w, ms);
    if (ms >= TG_WATCHDOG_ABORT_MS)
        give_up(w);
}

static void nap(struct tg_watchdog *d)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&d->wake, &d->lock, &until);
}

static void *thread_main(void *arg)
{
    struct tg_watchdog *d = arg;
    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        for (size_t i = 0; i < d->shared->n_workers; i++)
            look(d, i);
        nap(d);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

int tg_watchdog_start(struct tg_gateway_shared *shared, struct tg_watchdog **out)
{
    struct tg_watchdog *d = tg_calloc(1, sizeof *d);
    struct seen *seen = tg_calloc(shared->n_workers, sizeof *seen);
    if (!d || !seen) {
        tg_free(d);
        tg_free(seen);
        return TG_E_NOMEM;
    }
    d->shared = shared;
    d->seen = seen;
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->wake, NULL);
    if (pthread_create(&d->thread, NULL, thread_main, d) != 0) {
        tg_free(seen);
        tg_free(d);
        return TG_E_IO;
    }
    *out = d;
    return 0;
}

void tg_watchdog_stop(struct tg_watchdog *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    pthread_mutex_unlock(&d->lock);
    (void)pthread_join(d->thread, NULL); /* can't fail for a thread of ours */
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->wake);
    tg_free(d->seen);
    tg_free(d);
}
