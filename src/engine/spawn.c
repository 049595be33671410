#include "engine/spawn_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/compiler.h"
#include "base/err.h"
#include "engine/child.h"

extern char **environ;

bool tg_spawn_keeps_env(const char *entry)
{
    /* Where the library is, how sanitizers report, and the thread settings of BLAS builds. */
    static const char *const names[] = {
        "TOLLGATE_LLAMA_DIR=", "LD_LIBRARY_PATH=", "PATH=",          "TMPDIR=",
        "ASAN_OPTIONS=",       "TSAN_OPTIONS=",    "UBSAN_OPTIONS=", "LSAN_OPTIONS=",
        "OMP_NUM_THREADS="};
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++)
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static char **child_env(void)
{
    size_t n = 0, kept = 0;
    while (environ && environ[n])
        n++;
    char **out = tg_calloc(n + 2, sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        if (tg_spawn_keeps_env(environ[i]))
            out[kept++] = environ[i];
    static char no_backtrace[] = "GGML_NO_BACKTRACE=1";
    if (out)
        out[kept] = no_backtrace;
    return out;
}

/* Everything that the child gets, in an order in which no step overwrites a later one's source. */
static int fill_actions(posix_spawn_file_actions_t *fa, int sock, int log)
{
    int rc = posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(fa, log, 1);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(fa, log, 2);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(fa, sock, TG_ENGINE_CHILD_FD);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(fa, TG_ENGINE_CHILD_FD + 1);
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
        rc = posix_spawnattr_setflags(at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return rc;
}

static int start(const char *const *argv, int sock, int log, pid_t *out)
{
    static const char *const self[] = {"tollgate", "engine", NULL};
    posix_spawn_file_actions_t fa;
    posix_spawnattr_t at;
    char **env = child_env();
    if (!env)
        return ENOMEM;
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_init(&at);
    int rc = fill_actions(&fa, sock, log);
    if (!rc)
        rc = fill_attr(&at);
    if (!rc) {
        /* The binary that runs now, also when its file was replaced meanwhile. */
        char *const *args = (char *const *)(uintptr_t)(argv ? argv : self);
        rc = posix_spawn(out, "/proc/self/exe", &fa, &at, args, env);
    }
    posix_spawnattr_destroy(&at);
    posix_spawn_file_actions_destroy(&fa);
    tg_free(env);
    return rc;
}

static void close_pair(int p[2])
{
    close(p[0]);
    close(p[1]);
}

/* A descriptor below 4 would be overwritten while the child's are put in place. */
static int high(int fd)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, 16);
    close(fd);
    return up;
}

int tg_spawn_engine(const char *const *argv, struct tg_fail *f, struct tg_spawned *out)
{
    int sock[2], log[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock) != 0)
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "no socket for the engine: %s",
                           strerrordesc_np(errno));
    if (pipe2(log, O_CLOEXEC) != 0) {
        close_pair(sock);
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "no pipe for the engine: %s",
                           strerrordesc_np(errno));
    }
    sock[1] = high(sock[1]);
    log[1] = high(log[1]);
    pid_t pid = 0;
    int rc = sock[1] < 0 || log[1] < 0 ? EMFILE : start(argv, sock[1], log[1], &pid);
    if (sock[1] >= 0)
        close(sock[1]);
    if (log[1] >= 0)
        close(log[1]);
    if (rc) {
        close(sock[0]);
        close(log[0]);
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "the engine process can't be started: %s",
                           strerrordesc_np(rc));
    }
    fcntl(sock[0], F_SETFL, O_NONBLOCK);
    fcntl(log[0], F_SETFL, O_NONBLOCK);
    *out = (struct tg_spawned){pid, sock[0], log[0]};
    return 0;
}
