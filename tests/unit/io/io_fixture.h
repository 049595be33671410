/* For the tests of io/: a loop, connected sockets, turning the loop until something holds. */
#ifndef TG_TEST_IO_FIXTURE_H
#define TG_TEST_IO_FIXTURE_H

#include "check.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/stream.h"

/* Turns the loop until cond holds, at most some 20 s (not by the clock, which may be a fake). */
#define turn_until(loop, cond)                       \
    do {                                             \
        for (int n_ = 0; !(cond); n_++) {            \
            if (!tg_loop_turn(loop))                 \
                usleep(200);                         \
            if (n_ > 100000)                         \
                fail_msg("never came true: " #cond); \
        }                                            \
    } while (0)

static inline void turn_for(struct tg_loop *loop, unsigned ms)
{
    for (unsigned n = 0; n < ms * 5; n++) {
        tg_loop_turn(loop);
        usleep(200);
    }
}

static inline struct tg_loop *new_loop(void)
{
    struct tg_loop *loop;
    assert_int_equal(tg_loop_new(&loop), 0);
    return loop;
}

static inline int listen_any(uint16_t *out_port, int backlog)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *out_port = ntohs(a.sin_port);
    return fd;
}

/* Two ends of a TCP connection, non-blocking. */
static inline void tcp_pair(int fd[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port;
    int l = listen_any(&port, 4);
    a.sin_port = htons(port);
    fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd[0], (struct sockaddr *)&a, sizeof a), 0);
    fd[1] = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd[1] >= 0);
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    close(l);
}

static inline struct tg_stream *stream_on(struct tg_loop *loop, int fd, struct tg_task *owner)
{
    struct tg_stream *s;
    assert_int_equal(tg_stream_from_fd(loop, fd, owner, &s), 0);
    return s;
}

static inline void make_reset(int fd) /* close() will send RST */
{
    struct linger l = {1, 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
}

static inline int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* An iovec on a literal. */
static inline struct iovec iov_of(const char *text)
{
    return (struct iovec){(char *)(uintptr_t)text, strlen(text)};
}

/* An owner that only counts. */
struct counter {
    struct tg_task task;
    int runs;
};
static inline void counter_run(struct tg_task *t)
{
    tg_container_of(t, struct counter, task)->runs++;
}
static inline void counter_init(struct counter *c)
{
    tg_task_init(&c->task, counter_run);
    c->runs = 0;
}

#endif
