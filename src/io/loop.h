/* The event loop of one thread: libuv behind our own types, a timer wheel, a ready list and a
 * graveyard. No uv_* name leaves src/io.
 *
 * Control flow rules that this header makes possible (docs/architecture.md):
 *  R1 a function that starts an operation never calls its completion before it returns;
 *  R2 a callback from below only records what happened and wakes its object;
 *  R3 an object's step, run from the ready list, alone changes state; destroying means burying.
 *
 * One tick: expired timers fire → descriptors are polled → the ready list runs until it is empty
 * (objects woken meanwhile included, at most 64 rounds, the rest next tick without blocking) →
 * the graveyard is emptied. Timers and descriptor callbacks therefore never see freed memory.
 * Thread rule: the loop's own thread, but for tg_mailbox_post() and tg_loop_stop_async(). */
#ifndef TG_IO_LOOP_H
#define TG_IO_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/list.h"

struct tg_loop;

/* Readiness of a descriptor or stream, as bits. */
enum tg_stream_want { TG_WANT_NONE = 0, TG_WANT_READ = 1, TG_WANT_WRITE = 2 };

/* TG_E_NOMEM, TG_E_IO. The caller frees it after every handle was closed. */
int tg_loop_new(struct tg_loop **out) TG_WARN_UNUSED;
/* Runs pending closes, then checks that nothing is left open (an assertion: a leak is a bug). */
void tg_loop_free(struct tg_loop *loop);
void tg_loop_run(struct tg_loop *loop);        /* until tg_loop_stop() */
void tg_loop_stop(struct tg_loop *loop);       /* from the loop's thread */
void tg_loop_stop_async(struct tg_loop *loop); /* from any thread or a signal handler */
/* One turn without blocking, for tests with the fake clock: timers due by tg_clock_mono_ms(),
 * descriptors, ready list, graveyard. Returns whether anything ran. */
bool tg_loop_turn(struct tg_loop *loop);
/* Monotonic milliseconds, read once per tick (at its first use in callbacks). */
uint64_t tg_loop_now_ms(const struct tg_loop *loop);
/* A buffer shared by everything on the loop, valid until the current step returns. */
#define TG_LOOP_READ_BYTES 65536
char *tg_loop_read_buf(struct tg_loop *loop);
/* Ticks done and the longest tick since the last call (microseconds), for lag metrics. */
uint64_t tg_loop_ticks(const struct tg_loop *loop);
uint64_t tg_loop_take_max_lag_us(struct tg_loop *loop);
/* Stamp written at the start of each tick and zero while polling, read by the watchdog thread. */
const _Atomic uint64_t *tg_loop_busy_since_ns(const struct tg_loop *loop);

/* An object's place on the ready list. Embed one, set run, wake it. */
struct tg_task {
    struct tg_list link; /* linked while queued */
    void (*run)(struct tg_task *t);
};
static inline void tg_task_init(struct tg_task *t, void (*run)(struct tg_task *))
{
    tg_list_init(&t->link);
    t->run = run;
}
void tg_loop_wake(struct tg_loop *loop, struct tg_task *t); /* no-op when queued already */
static inline void tg_task_cancel(struct tg_task *t)
{
    tg_list_del(&t->link);
}

/* An object to be freed at the end of the tick. Its own `release` frees the memory. */
struct tg_grave {
    struct tg_grave *next;
    void (*release)(struct tg_grave *g);
};
void tg_loop_bury(struct tg_loop *loop, struct tg_grave *g, void (*release)(struct tg_grave *));

/* Hierarchical timer wheel of 1 ms, O(1) start and stop; putting a running timer off to a later
 * time is one store. Fires on or after its time, never before (a sleeping loop wakes on multiples
 * of 4 ms); the callback obeys R2 and may restart its timer. */
struct tg_timer {
    struct tg_list link;
    uint64_t due_ms; /* read only; meaningful while active */
    void (*on_fire)(struct tg_timer *t);
};
void tg_timer_init(struct tg_timer *t, void (*on_fire)(struct tg_timer *));
void tg_timer_start(struct tg_loop *loop, struct tg_timer *t, uint64_t delay_ms); /* restarts */
void tg_timer_stop(struct tg_loop *loop, struct tg_timer *t); /* fine when not running */
static inline bool tg_timer_active(const struct tg_timer *t)
{
    return tg_list_linked(&t->link);
}

#endif
