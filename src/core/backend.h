/* Where an attempt runs: an HTTP provider, the local engine or the scripted mock, behind one table.
 *
 * Contract. start() begins and returns at once (R1): it may fail, but it never emits. Later the
 * backend wakes the attempt (tg_attempt_wake) whenever it has something; the attempt's step calls
 * step(), which emits canonical events into tg_attempt_sink() and says whether it is over. stop()
 * is called exactly once, after success, failure or at any time to cancel; afterwards the backend
 * must not touch the attempt again (late results are recognised by their id and dropped).
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_BACKEND_H
#define TG_CORE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

struct tg_attempt;

enum tg_backend_progress {
    TG_BACKEND_WAITING = 0,  /* nothing more now; the attempt will be woken */
    TG_BACKEND_FINISHED = 1, /* a terminal event (END or ERROR) was emitted */
};

struct tg_backend_ops {
    const char *name;        /* "http", "local", "mock" */
    uint32_t tasks;          /* 1u << TG_TASK_*: what it does; HTTP: the adapter's say */
    const uint8_t *fidelity; /* as tg_adapter.fidelity; NULL: it looks for itself */
    size_t state_bytes;      /* zeroed memory in the attempt's arena: tg_attempt_state_mem() */
    /* 0, or a negative error with the attempt's failure set (tg_attempt_fail()). */
    int (*start)(struct tg_attempt *a) TG_WARN_UNUSED;
    /* tg_backend_progress, or a negative error with the attempt's failure set. */
    int (*step)(struct tg_attempt *a) TG_WARN_UNUSED;
    /* Backpressure: produce nothing more until called with false. */
    void (*pause)(struct tg_attempt *a, bool paused);
    void (*stop)(struct tg_attempt *a);
};

#endif
