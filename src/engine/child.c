#include "engine/child.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "engine/child_priv.h"

/* ---- what the process may do ---- */

static void ignore(int sig)
{
    struct sigaction sa = {.sa_handler = SIG_IGN};
    sigaction(sig, &sa, NULL);
}

/* The gateway decides when this process ends: a Ctrl-C meant for it must not cut its answers. */
static void restrict_process(void)
{
    struct rlimit none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_NAME, "tollgate-engine");
    setrlimit(RLIMIT_CORE, &none);
    /* On abort ggml would start a debugger on us. */
    setenv("GGML_NO_BACKTRACE", "1", 1);
    if (chdir("/") != 0)
        tg_child_die("chdir");
    ignore(SIGINT);
    ignore(SIGTERM);
    ignore(SIGHUP);
    ignore(SIGPIPE);
    /* Each arena reserves 64 MiB of address space, which the memory limit counts. */
    mallopt(M_ARENA_MAX, 2);
}

/* ---- threads ---- */

static void start_thread(void *(*fn)(void *), struct tg_child *c, size_t stack_bytes)
{
    pthread_attr_t a;
    pthread_t t;
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    if (pthread_attr_setstacksize(&a, stack_bytes) != 0 || pthread_create(&t, &a, fn, c) != 0)
        tg_child_die("can't start a thread");
    pthread_attr_destroy(&a);
}

void tg_child_start_tokenizer(struct tg_child *c)
{
    start_thread(tg_child_tokenizer, c, TG_TOKENIZER_STACK_BYTES);
}

/* ---- frames from the gateway ---- */

static int take_init(struct tg_child *c, struct tg_str payload)
{
    enum { ENGINE_STACK_BYTES = 16 << 20 };
    if (c->init_payload.n)
        return TG_E_INVALID_ARG;
    int rc = tg_buf_str_add(&c->init_payload, payload);
    if (!rc)
        rc = tg_p_get_init(tg_buf_str(&c->init_payload), &c->init);
    if (rc)
        return rc;
    c->chat_template = tg_str_dup_c(c->init.chat_template);
    if (!c->chat_template)
        return TG_E_NOMEM;
    if (c->init.nice > 0)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + c->init.nice);
    start_thread(tg_child_engine, c, ENGINE_STACK_BYTES);
    return 0;
}

static int take_frame(struct tg_child *c, const struct tg_frame *fr)
{
    uint32_t n;
    int rc;
    if (c->init_payload.n == 0 && fr->type != TG_FR_INIT)
        return TG_E_INVALID_ARG;
    switch ((int)fr->type) {
    case TG_FR_INIT:
        return take_init(c, fr->payload);
    case TG_FR_GENERATE:
        return tg_child_accept(c, fr);
    case TG_FR_CANCEL:
        tg_child_cancel(c, fr->id);
        return 0;
    case TG_FR_CREDIT:
        rc = tg_p_get_u32(fr->payload, &n);
        if (rc == 0)
            tg_child_credit(c, fr->id, n);
        return rc;
    case TG_FR_SHUTDOWN:
        _exit(0);
    default:
        return TG_E_INVALID_ARG;
    }
}

/* ---- the I/O loop ---- */

static void take_input(struct tg_child *c, struct tg_buf *in)
{
    char buf[65536];
    ssize_t n = recv(c->fd, buf, sizeof buf, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        _exit(0); /* the gateway is gone */
    if (n < 0)
        return;
    if (tg_buf_add(in, buf, (size_t)n) < 0)
        tg_child_die("out of memory");
    struct tg_frame fr;
    size_t used, at = 0;
    int rc;
    while ((rc = tg_frame_next(tg_str_from(tg_buf_str(in), at), TG_FRAME_MAX_TO_CHILD, &fr,
                               &used)) == 1) {
        if (take_frame(c, &fr) < 0)
            tg_child_die("a frame that makes no sense");
        at += used;
    }
    if (rc < 0)
        tg_child_die("bytes that are no frame");
    tg_buf_drop(in, at);
}

static void io_loop(struct tg_child *c, int wake_fd)
{
    struct tg_buf in;
    tg_buf_init(&in, TG_FRAME_MAX_TO_CHILD + TG_FRAME_HEAD + 65536);
    for (;;) {
        bool pending = atomic_load(&c->out.backlog) > 0;
        struct pollfd p[2] = {{.fd = c->fd, .events = (short)(POLLIN | (pending ? POLLOUT : 0))},
                              {.fd = wake_fd, .events = POLLIN}};
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            tg_child_die("poll");
        }
        uint64_t count;
        if (p[1].revents)
            (void)!read(wake_fd, &count, sizeof count);
        if (p[0].revents & POLLOUT) {
            tg_child_out_flush(&c->out);
            tg_child_poke(c); /* it may have paused for the backlog */
        }
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
            take_input(c, &in);
    }
}

int tg_engine_child_main(int fd)
{
    static struct tg_child c;
    restrict_process();
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return 1;
    pthread_condattr_t ca;
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.tokenizer_wake, &ca);
    pthread_cond_init(&c.engine_wake, &ca);
    tg_list_init(&c.all);
    tg_list_init(&c.to_tokenise);
    tg_list_init(&c.to_engine);
    tg_buf_init(&c.init_payload, TG_FRAME_MAX_TO_CHILD);
    tg_child_out_init(&c.out, fd, wake_fd);
    c.fd = fd;
    io_loop(&c, wake_fd);
    return 0;
}
