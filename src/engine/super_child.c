/* The child process of a supervisor: descriptors, frames in and out, log lines, reaping. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "engine/super_priv.h"
#include "io/stream.h"

enum {
    OUT_MAX_BYTES = 96 << 20, /* slots and queue full of the longest prompts */
    READS_PER_STEP = 16,      /* then others on the loop have their turn */
    LOG_PART_MAX_BYTES = 1024,
};

static void on_socket(void *ctx, unsigned ready)
{
    struct tg_super *s = ctx;
    s->child.ready_read = true;
    tg_loop_wake(s->env->loop, &s->task);
}

static void on_log(void *ctx, unsigned ready)
{
    struct tg_super *s = ctx;
    s->child.ready_log = true;
    tg_loop_wake(s->env->loop, &s->task);
}

static int send_init(struct tg_super *s)
{
    const struct tg_engine_model_opts *o = &s->opts;
    struct tg_p_init m = {.builtin = o->path.n == 0,
                          .no_mmap = o->no_mmap,
                          .verbose = o->verbose,
                          .path = o->path,
                          .chat_template = o->chat_template,
                          .n_ctx = o->n_ctx,
                          .cache_tokens = o->cache_tokens,
                          .slots = o->slots,
                          .threads = o->threads,
                          .memory_limit_bytes = o->memory_limit_bytes,
                          .nice = o->nice,
                          .flash = o->flash,
                          .calib = s->calib};
    struct tg_buf b;
    tg_buf_init(&b, TG_FRAME_MAX_TO_CHILD);
    int rc = tg_p_put_init(&b, &m);
    if (!rc)
        tg_super_child_send(s, tg_buf_str(&b));
    tg_buf_fini(&b);
    return rc;
}

int tg_super_child_start(struct tg_super *s, struct tg_fail *f)
{
    struct tg_super_child *c = &s->child;
    *c = (struct tg_super_child){.p = {.fd = -1, .log_fd = -1}};
    tg_buf_init(&c->in, TG_FRAME_MAX_FROM_CHILD + TG_FRAME_HEAD + TG_LOOP_READ_BYTES);
    tg_bufq_init(&c->out, OUT_MAX_BYTES);
    tg_buf_clear(&s->log_part);
    memset(s->log, 0, sizeof s->log);
    int rc = tg_spawn_engine(s->env->argv, f, &c->p);
    if (rc)
        return rc;
    c->started_ms = c->last_sign_ms = tg_loop_now_ms(s->env->loop);
    rc = tg_fdpoll_start(s->env->loop, c->p.fd, TG_WANT_READ, on_socket, s, &c->poll);
    if (!rc)
        rc = tg_fdpoll_start(s->env->loop, c->p.log_fd, TG_WANT_READ, on_log, s, &c->log_poll);
    if (!rc)
        rc = send_init(s);
    if (!rc)
        return 0;
    tg_super_child_close(s);
    return tg_fail_set(f, rc, "the engine process can't be watched: %s", tg_err_info(rc)->text);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void tg_super_child_close(struct tg_super *s)
{
    struct tg_super_child *c = &s->child;
    if (c->poll)
        tg_fdpoll_stop(c->poll);
    if (c->log_poll)
        tg_fdpoll_stop(c->log_poll);
    c->poll = c->log_poll = NULL;
    close_fd(&c->p.fd);
    close_fd(&c->p.log_fd);
    tg_buf_fini(&c->in);
    tg_bufq_fini(&c->out);
    c->ready_read = c->ready_log = c->gone = false;
    if (c->p.pid > 0 && !c->asked_to_leave)
        kill(c->p.pid, SIGKILL);
}

bool tg_super_child_reap(struct tg_super *s, int *out_status)
{
    struct tg_super_child *c = &s->child;
    *out_status = 0;
    if (c->p.pid <= 0)
        return true;
    pid_t got = waitpid(c->p.pid, out_status, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    c->p.pid = 0;
    return true;
}

/* ---- out ---- */

static void flush(struct tg_super *s)
{
    struct tg_super_child *c = &s->child;
    while (c->out.n && c->p.fd >= 0) {
        struct iovec iov[16];
        struct msghdr m = {.msg_iov = iov};
        m.msg_iovlen = (size_t)tg_bufq_iov(&c->out, iov, TG_ARRAY_LEN(iov));
        ssize_t n = sendmsg(c->p.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            c->gone = true;
        if (n <= 0)
            break;
        tg_bufq_drop(&c->out, (size_t)n);
    }
    if (c->poll)
        tg_fdpoll_want(c->poll, TG_WANT_READ | (c->out.n ? TG_WANT_WRITE : 0u));
}

void tg_super_child_send(struct tg_super *s, struct tg_str frame)
{
    struct tg_super_child *c = &s->child;
    if (c->p.fd < 0 || c->gone)
        return;
    /* A frame that can't be kept would leave the child waiting for it: rather a new child. */
    if (tg_bufq_add(&c->out, frame) < 0)
        c->gone = true;
    else
        flush(s);
    if (c->gone)
        tg_loop_wake(s->env->loop, &s->task);
}

/* ---- in ---- */

static void take_frames(struct tg_super *s)
{
    struct tg_super_child *c = &s->child;
    struct tg_frame fr;
    size_t used, at = 0;
    int rc = 0;
    while (c->p.fd >= 0 && (rc = tg_frame_next(tg_str_from(tg_buf_str(&c->in), at),
                                               TG_FRAME_MAX_FROM_CHILD, &fr, &used)) == 1) {
        at += used;
        rc = tg_super_on_frame(s, &fr);
        if (rc < 0)
            break;
    }
    if (rc < 0) {
        tg_log_msg(TG_LOG_ERROR, "engine_protocol", "engine %.*s: a frame that makes no sense",
                   TG_STR_ARG(s->opts.name));
        c->gone = true;
    }
    if (c->p.fd >= 0)
        tg_buf_drop(&c->in, at);
}

static void read_socket(struct tg_super *s)
{
    struct tg_super_child *c = &s->child;
    char *buf = tg_loop_read_buf(s->env->loop);
    c->ready_read = false;
    for (int i = 0; i < READS_PER_STEP && c->p.fd >= 0 && !c->gone; i++) {
        ssize_t n = recv(c->p.fd, buf, TG_LOOP_READ_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || tg_buf_add(&c->in, buf, (size_t)n) < 0) {
            c->gone = true;
            return;
        }
        c->last_sign_ms = tg_loop_now_ms(s->env->loop);
        take_frames(s);
    }
}

void tg_super_log_add(struct tg_super *s, struct tg_str line)
{
    memmove(s->log[0], s->log[1], sizeof s->log - sizeof s->log[0]);
    tg_str_to_c(line, s->log[TG_SUPER_LOG_LINES - 1], TG_SUPER_LOG_LINE_BYTES);
    tg_log_msg(TG_LOG_DEBUG, "engine_log", "%.*s: %.*s", TG_STR_ARG(s->opts.name),
               TG_STR_ARG(line));
}

static void read_log(struct tg_super *s)
{
    struct tg_super_child *c = &s->child;
    char buf[4096];
    ssize_t n = 0;
    c->ready_log = false;
    for (int i = 0; i < READS_PER_STEP && c->p.log_fd >= 0; i++) {
        n = read(c->p.log_fd, buf, sizeof buf);
        if (n <= 0)
            break;
        for (ssize_t k = 0; k < n; k++) {
            if (buf[k] != '\n' && tg_buf_char(&s->log_part, buf[k]) == 0)
                continue;
            if (s->log_part.n)
                tg_super_log_add(s, tg_buf_str(&s->log_part));
            tg_buf_clear(&s->log_part);
        }
    }
    if (n == 0 && c->log_poll) {
        tg_fdpoll_stop(c->log_poll);
        c->log_poll = NULL;
    }
}

void tg_super_child_io(struct tg_super *s)
{
    struct tg_super_child *c = &s->child;
    if (c->p.fd >= 0 && c->out.n)
        flush(s);
    if (c->ready_read && c->p.fd >= 0)
        read_socket(s);
    /* The last words often explain the end. */
    if ((c->ready_log || c->gone) && c->p.log_fd >= 0)
        read_log(s);
}

void tg_super_log_tail(const struct tg_super *s, char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < TG_SUPER_LOG_LINES && n + 1 < cap; i++) {
        if (!s->log[i][0])
            continue;
        int len = snprintf(out + n, cap - n, "%s%s", n ? "; " : "", s->log[i]);
        n += len > 0 ? (size_t)len : 0;
    }
}
