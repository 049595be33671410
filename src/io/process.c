#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

extern char **environ;

enum { FIRST_LOOK_MS = 2, MAX_LOOK_MS = 50, REAP_TRIES = 2000 };

struct tg_process {
    struct tg_loop *loop;
    struct tg_task *owner;
    struct tg_timer timer;
    struct tg_grave grave;
    struct tg_buf output;
    uint64_t deadline_ms;
    uint32_t look_ms;
    int out_fd; /* -1: it has closed its output */
    pid_t pid;  /* 0: reaped */
    int status; /* as waitpid() says it */
    bool timed_out, too_long, over;
    bool freed; /* only its end is waited for */
};

/* ---- start ---- */

/* Standard output is the pipe, the other two are nowhere, and everything above is closed. */
static int fill_actions(posix_spawn_file_actions_t *fa, int out)
{
    int rc = posix_spawn_file_actions_adddup2(fa, out, 1);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_addopen(fa, 2, "/dev/null", O_WRONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(fa, 3);
    return rc;
}

static int fill_attr(posix_spawnattr_t *at)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(at, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(at, &all);
    if (!rc)
        rc = posix_spawnattr_setpgroup(at, 0);
    if (!rc)
        rc = posix_spawnattr_setflags(at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    return rc;
}

static int spawn_shell(const char *command, int out, pid_t *out_pid)
{
    static const char *const words[] = {"sh", "-c"};
    const char *argv[] = {words[0], words[1], command, NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    if (posix_spawn_file_actions_init(&fa) != 0)
        return TG_E_NOMEM;
    if (posix_spawnattr_init(&at) != 0) {
        posix_spawn_file_actions_destroy(&fa);
        return TG_E_NOMEM;
    }
    int rc = fill_actions(&fa, out);
    if (!rc)
        rc = fill_attr(&at);
    if (!rc)
        rc = posix_spawn(out_pid, "/bin/sh", &fa, &at, (char *const *)(uintptr_t)argv, environ);
    posix_spawnattr_destroy(&at);
    posix_spawn_file_actions_destroy(&fa);
    if (rc == ENOMEM)
        return TG_E_NOMEM;
    return rc ? TG_E_IO : 0;
}

static int start_with_pipe(struct tg_process *p, const char *command)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return TG_E_IO;
    /* dup2() onto itself would keep the descriptor's close-on-exec. */
    int up = fds[1] < 3 ? fcntl(fds[1], F_DUPFD_CLOEXEC, 3) : fds[1];
    int rc = up < 0 ? TG_E_IO : spawn_shell(command, up, &p->pid);
    if (up >= 0 && up != fds[1])
        close(up);
    close(fds[1]);
    if (rc == 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0)
        p->out_fd = fds[0];
    else
        close(fds[0]);
    return rc;
}

/* ---- watching ---- */

static void close_output(struct tg_process *p)
{
    if (p->out_fd >= 0)
        close(p->out_fd);
    p->out_fd = -1;
}

static void kill_group(const struct tg_process *p)
{
    if (p->pid > 0)
        kill(-p->pid, SIGKILL);
}

static void read_output(struct tg_process *p)
{
    char *chunk = tg_loop_read_buf(p->loop);
    while (p->out_fd >= 0 && !p->too_long) {
        ssize_t n = read(p->out_fd, chunk, TG_LOOP_READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_output(p);
            return;
        }
        if (tg_buf_add(&p->output, chunk, (size_t)n) != 0)
            p->too_long = true;
        tg_secret_wipe(chunk, (size_t)n);
    }
}

static bool reap(struct tg_process *p)
{
    if (p->pid == 0)
        return true;
    pid_t got = waitpid(p->pid, &p->status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    if (got < 0)
        p->status = SIGKILL; /* someone else has reaped it: its end is not known */
    p->pid = 0;
    return true;
}

static void finish(struct tg_process *p)
{
    p->over = true;
    close_output(p);
    tg_loop_wake(p->loop, p->owner);
}

static void release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_process, grave));
}

static void on_look(struct tg_timer *t)
{
    struct tg_process *p = tg_container_of(t, struct tg_process, timer);
    bool late = tg_loop_now_ms(p->loop) >= p->deadline_ms;
    if (p->freed) {
        if (reap(p))
            tg_loop_bury(p->loop, &p->grave, release);
        else
            tg_timer_start(p->loop, &p->timer, MAX_LOOK_MS);
        return;
    }
    /* Reaped first, read then: nothing that it printed before its end is missed. A grandchild that
     * holds the pipe open is not waited for. */
    bool ended = reap(p);
    read_output(p);
    if (ended) {
        finish(p);
        return;
    }
    if (late || p->too_long) {
        p->timed_out = !p->too_long;
        kill_group(p);
        p->deadline_ms = UINT64_MAX; /* once; its end is seen by one of the next looks */
        p->look_ms = FIRST_LOOK_MS;
    }
    tg_timer_start(p->loop, &p->timer, p->look_ms);
    if (p->look_ms < MAX_LOOK_MS)
        p->look_ms += p->look_ms / 2;
}

int tg_process_start(struct tg_loop *loop, const struct tg_process_opts *opts,
                     struct tg_task *owner, struct tg_process **out)
{
    TG_REQUIRE(opts->timeout_ms > 0 && opts->max_output_bytes > 0);
    struct tg_process *p = tg_calloc(1, sizeof *p);
    if (!p)
        return TG_E_NOMEM;
    p->loop = loop;
    p->owner = owner;
    p->out_fd = -1;
    p->look_ms = FIRST_LOOK_MS;
    p->deadline_ms = tg_loop_now_ms(loop) + opts->timeout_ms;
    tg_buf_init(&p->output, opts->max_output_bytes);
    tg_timer_init(&p->timer, on_look);
    int rc = start_with_pipe(p, opts->command);
    if (rc) {
        tg_free(p);
        return rc;
    }
    tg_timer_start(loop, &p->timer, p->look_ms);
    *out = p;
    return 0;
}

bool tg_process_over(const struct tg_process *p, struct tg_process_result *out)
{
    if (!p->over)
        return false;
    *out = (struct tg_process_result){
        .output = tg_buf_str(&p->output),
        .exit_code = WIFEXITED(p->status) ? WEXITSTATUS(p->status) : -1,
        .timed_out = p->timed_out,
        .too_long = p->too_long,
    };
    return true;
}

void tg_process_free(struct tg_process *p)
{
    if (!p)
        return;
    kill_group(p);
    close_output(p);
    if (p->output.p)
        tg_secret_wipe(p->output.p, p->output.cap);
    tg_buf_fini(&p->output);
    tg_timer_stop(p->loop, &p->timer);
    /* It dies at once, as a rule; else the timer sees to it. */
    bool ended = reap(p);
    for (int i = 0; i < REAP_TRIES && !ended; i++) {
        sched_yield();
        ended = reap(p);
    }
    p->freed = true;
    if (ended)
        tg_loop_bury(p->loop, &p->grave, release);
    else
        tg_timer_start(p->loop, &p->timer, MAX_LOOK_MS);
}
