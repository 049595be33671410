/* Starts an engine child: a socket as its fd 3, a pipe as its stdout and stderr, /dev/null as its
 * stdin, no other descriptor, and an environment that holds none of the gateway's secrets.
 * Thread rule: any thread, but the child dies with the thread that started it (PR_SET_PDEATHSIG).
 */
#ifndef TG_ENGINE_SPAWN_PRIV_H
#define TG_ENGINE_SPAWN_PRIV_H

#include <sys/types.h>

#include "base/fail.h"

struct tg_spawned {
    pid_t pid;  /* 0: none */
    int fd;     /* our end of the socket, non-blocking; -1: closed */
    int log_fd; /* read end, non-blocking; -1: closed */
};

/* argv as in tg_engine_host_opts. TG_E_LOCAL_UNAVAILABLE with *f. */
int tg_spawn_engine(const char *const *argv, struct tg_fail *f,
                    struct tg_spawned *out) TG_WARN_UNUSED;

/* Whether a variable ("NAME=value") is passed on. */
bool tg_spawn_keeps_env(const char *entry);

#endif
