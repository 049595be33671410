/* Short-lived helper processes of one loop: a shell command whose standard output is wanted, such
 * as the one that prints a credential. Output and time are bounded; its standard error goes
 * nowhere, its standard input is empty, no descriptor of ours is inherited. The command is a
 * process group of its own and is killed as one. How it ended is looked at by a timer (every 2 to
 * 50 ms): there is no signal handler, and no child of others is reaped. Thread rule: the loop's
 * thread. */
#ifndef TG_IO_PROCESS_H
#define TG_IO_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "io/loop.h"

struct tg_process;

struct tg_process_opts {
    const char *command; /* for /bin/sh -c, with our environment; borrowed until start returns */
    size_t max_output_bytes;
    uint32_t timeout_ms; /* then it is killed; > 0 */
};

struct tg_process_result {
    struct tg_str output; /* what it printed; valid until free, and wiped then */
    int exit_code;        /* -1: a signal ended it, ours or another */
    bool timed_out;
    bool too_long; /* it printed more than max_output_bytes and was killed */
};

/* The owner is woken once, when it is over. TG_E_NOMEM; TG_E_IO: it cannot be started. */
int tg_process_start(struct tg_loop *loop, const struct tg_process_opts *opts,
                     struct tg_task *owner, struct tg_process **out) TG_WARN_UNUSED;
/* Whether it is over. */
bool tg_process_over(const struct tg_process *p, struct tg_process_result *out);
/* At any time; kills what still runs. NULL is allowed. */
void tg_process_free(struct tg_process *p);

#endif
