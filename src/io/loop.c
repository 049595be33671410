#include "io/io_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

#define READY_ROUNDS  64
#define STREAMS_KEPT  1024
#define WAKE_GRAIN_MS 4
#define TIMER_MAX_MS  (UINT64_C(1) << 40)
#define NS_PER_MS     1000000

static struct tg_loop *loop_of(uv_handle_t *h)
{
    return h->loop->data;
}

/* ---- clock ---- */

void tg_loop_read_clock(struct tg_loop *loop)
{
    loop->now_ns = tg_clock_mono_ns();
    loop->now_ms = loop->now_ns / NS_PER_MS;
    if (!loop->now_fresh) {
        loop->now_fresh = true;
        if (loop->running)
            atomic_store_explicit(&loop->busy_since_ns, loop->now_ns, memory_order_relaxed);
    }
}

uint64_t tg_loop_now_ms(const struct tg_loop *loop)
{
    if (tg_unlikely(!loop->now_fresh))
        tg_loop_read_clock((struct tg_loop *)(uintptr_t)loop);
    return loop->now_ms;
}

static void tick_ends(struct tg_loop *loop)
{
    uint64_t since = atomic_load_explicit(&loop->busy_since_ns, memory_order_relaxed);

    if (since && loop->now_ns - since > loop->max_lag_us * 1000)
        loop->max_lag_us = (loop->now_ns - since) / 1000;
    atomic_store_explicit(&loop->busy_since_ns, 0, memory_order_relaxed);
    loop->now_fresh = false;
}

/* ---- ready list and graveyard ---- */

void tg_loop_wake(struct tg_loop *loop, struct tg_task *t)
{
    if (!tg_list_linked(&t->link))
        tg_list_add_tail(&loop->ready, &t->link);
}

static void run_ready(struct tg_loop *loop)
{
    for (int round = 0; round < READY_ROUNDS && !tg_list_empty(&loop->ready); round++) {
        struct tg_list batch, *n;
        tg_list_init(&batch);
        tg_list_splice_tail(&batch, &loop->ready);
        while ((n = tg_list_pop_head(&batch))) {
            struct tg_task *t = tg_list_entry(n, struct tg_task, link);
            loop->worked++;
            t->run(t);
        }
    }
}

void tg_loop_bury(struct tg_loop *loop, struct tg_grave *g, void (*release)(struct tg_grave *))
{
    g->release = release;
    g->next = loop->graves;
    loop->graves = g;
}

static void empty_graves(struct tg_loop *loop)
{
    struct tg_grave *g;

    while ((g = loop->graves)) {
        loop->graves = g->next;
        loop->worked++;
        g->release(g);
    }
}

/* ---- the tick ---- */

/* Behind the poll: what became ready runs. */
static void on_check(uv_check_t *h)
{
    struct tg_loop *loop = loop_of((uv_handle_t *)h);

    loop->ticks++;
    if (!loop->now_fresh)
        tg_loop_read_clock(loop);
    run_ready(loop);
    empty_graves(loop);
}

static void on_timer(uv_timer_t *h)
{
    (void)h; /* it only ended the poll; on_prepare looks at the wheel */
}

static void on_idle(uv_idle_t *h)
{
    (void)h; /* being active keeps the poll from blocking */
}

static void arm_timer(struct tg_loop *loop, uint64_t due_ms)
{
    uint64_t at = (due_ms + WAKE_GRAIN_MS - 1) & ~(uint64_t)(WAKE_GRAIN_MS - 1);

    if (uv_is_active((uv_handle_t *)&loop->timer) && at >= loop->timer_at_ms)
        return;
    loop->timer_at_ms = at;
    uv_update_time(&loop->uv);
    uv_timer_start(&loop->timer, on_timer, at > loop->now_ms ? at - loop->now_ms : 0, 0);
}

/* Before the poll: timers fire and what they, or anyone outside the loop, woke runs. */
static void on_prepare(uv_prepare_t *h)
{
    struct tg_loop *loop = loop_of((uv_handle_t *)h);

    tg_loop_read_clock(loop);
    unsigned fired = tg_wheel_fire(&loop->wheel, loop->now_ms);
    loop->worked += fired;
    if (!tg_list_empty(&loop->ready)) {
        run_ready(loop);
        tg_loop_read_clock(loop);
    }
    empty_graves(loop);
    uint64_t next = tg_wheel_next(&loop->wheel);
    if (!tg_list_empty(&loop->ready) || next <= loop->now_ms) {
        uv_idle_start(&loop->idle, on_idle);
    } else {
        uv_idle_stop(&loop->idle);
        if (next != UINT64_MAX)
            arm_timer(loop, next);
    }
    tick_ends(loop);
}

static void on_async(uv_async_t *h)
{
    struct tg_loop *loop = loop_of((uv_handle_t *)h);

    loop_enter(loop);
    if (atomic_exchange(&loop->stop_asked, false))
        uv_stop(&loop->uv);
}

/* ---- life ---- */

static int alloc_loop(struct tg_loop **out)
{
    struct tg_loop *loop = tg_calloc(1, sizeof(*loop));

    if (!loop)
        return TG_E_NOMEM;
    loop->read_buf = tg_malloc(TG_LOOP_READ_BYTES);
    if (!loop->read_buf) {
        tg_free(loop);
        return TG_E_NOMEM;
    }
    *out = loop;
    return 0;
}

static void free_loop(struct tg_loop *loop)
{
    tg_free(loop->tls_buf);
    tg_free(loop->read_buf);
    tg_free(loop);
}

int tg_loop_new(struct tg_loop **out)
{
    struct tg_loop *loop;
    int rc = alloc_loop(&loop);

    if (rc < 0)
        return rc;
    if (uv_loop_init(&loop->uv) < 0) {
        free_loop(loop);
        return TG_E_IO;
    }
    loop->uv.data = loop;
    if (uv_async_init(&loop->uv, &loop->async, on_async) < 0) {
        uv_loop_close(&loop->uv);
        free_loop(loop);
        return TG_E_IO;
    }
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    tg_list_init(&loop->ready);
    tg_wheel_init(&loop->wheel, tg_clock_mono_ms());
    tg_slab_init(&loop->streams, sizeof(struct tcp_stream), 0, STREAMS_KEPT);
    *out = loop;
    return 0;
}

static void must_be_closing(uv_handle_t *h, void *arg)
{
    (void)arg;
    TG_INVARIANT(uv_is_closing(h)); /* a stream, listener, mailbox or fdpoll was left open */
}

void tg_loop_free(struct tg_loop *loop)
{
    TG_REQUIRE(!loop->running);
    empty_graves(loop);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_walk(&loop->uv, must_be_closing, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* close callbacks; look-ups that the pool still runs */
    empty_graves(loop);
    TG_INVARIANT(uv_loop_close(&loop->uv) == 0);
    tg_slab_fini(&loop->streams);
    free_loop(loop);
}

void tg_loop_run(struct tg_loop *loop)
{
    TG_REQUIRE(!loop->running);
    loop->running = true;
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->running = false;
    tick_ends(loop);
}

void tg_loop_stop(struct tg_loop *loop)
{
    uv_stop(&loop->uv);
}

void tg_loop_stop_async(struct tg_loop *loop)
{
    atomic_store(&loop->stop_asked, true);
    uv_async_send(&loop->async);
}

bool tg_loop_turn(struct tg_loop *loop)
{
    uint64_t before = loop->worked;

    TG_REQUIRE(!loop->running);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    tick_ends(loop);
    return loop->worked != before;
}

/* ---- what others ask ---- */

char *tg_loop_read_buf(struct tg_loop *loop)
{
    return loop->read_buf;
}

uint64_t tg_loop_ticks(const struct tg_loop *loop)
{
    return loop->ticks;
}

uint64_t tg_loop_take_max_lag_us(struct tg_loop *loop)
{
    uint64_t us = loop->max_lag_us;

    loop->max_lag_us = 0;
    return us;
}

const _Atomic uint64_t *tg_loop_busy_since_ns(const struct tg_loop *loop)
{
    return &loop->busy_since_ns;
}

/* ---- timers ---- */

void tg_timer_init(struct tg_timer *t, void (*on_fire)(struct tg_timer *))
{
    tg_list_init(&t->link);
    t->due_ms = 0;
    t->on_fire = on_fire;
}

void tg_timer_start(struct tg_loop *loop, struct tg_timer *t, uint64_t delay_ms)
{
    uint64_t due = tg_loop_now_ms(loop) + (delay_ms < TIMER_MAX_MS ? delay_ms : TIMER_MAX_MS);

    if (tg_timer_active(t)) {
        bool later = due >= t->due_ms;
        t->due_ms = due;
        if (later)
            return; /* stays filed early: looked at again when that slot comes up */
        tg_list_del(&t->link);
    }
    t->due_ms = due;
    tg_wheel_add(&loop->wheel, t);
}

void tg_timer_stop(struct tg_loop *loop, struct tg_timer *t)
{
    (void)loop;
    if (tg_timer_active(t))
        tg_list_del(&t->link);
}
