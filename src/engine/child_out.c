#include "engine/child_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"

void tg_child_die(const char *why)
{
    static const char head[] = "engine child: ";
    (void)!write(STDERR_FILENO, head, sizeof head - 1);
    (void)!write(STDERR_FILENO, why, strlen(why));
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(3);
}

void tg_child_out_init(struct tg_child_out *o, int fd, int wake_fd)
{
    pthread_mutex_init(&o->lock, NULL);
    o->fd = fd;
    o->wake_fd = wake_fd;
    tg_buf_init(&o->buf, TG_CHILD_OUT_MAX_BYTES);
    atomic_init(&o->backlog, 0);
}

/* Sends what can be sent without waiting; returns the bytes taken. The gateway's end being gone is
 * for the I/O thread to notice. */
static size_t send_some(int fd, struct tg_str s)
{
    size_t done = 0;
    while (done < s.n) {
        ssize_t n = send(fd, s.p + done, s.n - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

void tg_child_out_send(struct tg_child_out *o, const struct tg_buf *frames)
{
    if (frames->n == 0)
        return;
    pthread_mutex_lock(&o->lock);
    struct tg_str s = tg_buf_str(frames);
    bool first = o->buf.n == 0;
    if (first)
        s = tg_str_from(s, send_some(o->fd, s));
    if (s.n && tg_buf_str_add(&o->buf, s) < 0)
        tg_child_die("the gateway does not read");
    atomic_store(&o->backlog, o->buf.n);
    bool wake = first && s.n > 0;
    pthread_mutex_unlock(&o->lock);
    uint64_t one = 1;
    if (wake && write(o->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        tg_child_die("eventfd");
}

void tg_child_out_flush(struct tg_child_out *o)
{
    pthread_mutex_lock(&o->lock);
    tg_buf_drop(&o->buf, send_some(o->fd, tg_buf_str(&o->buf)));
    atomic_store(&o->backlog, o->buf.n);
    pthread_mutex_unlock(&o->lock);
}

void tg_child_send_error(struct tg_child *c, uint64_t id, int err, const char *text)
{
    struct tg_buf b;
    tg_buf_init(&b, 4096);
    if (tg_p_put_error(&b, TG_FR_ERROR, id, err, tg_str_c(text)) == 0)
        tg_child_out_send(&c->out, &b);
    tg_buf_fini(&b);
}
