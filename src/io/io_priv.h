/* What the files of this module share: the loop's insides, the timer wheel, TCP streams and the
 * seam between them and OpenSSL. Thread rule: the loop's thread. */
#ifndef TG_IO_PRIV_H
#define TG_IO_PRIV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/clock.h"
#include "base/slab.h"
#include "io/loop.h"
#include "io/stream.h"

/* ---- timer wheel ---- */

#define WHEEL_BITS   6
#define WHEEL_SLOTS  (1u << WHEEL_BITS)
#define WHEEL_LEVELS 8 /* 2^48 ms: more than any clock shows */

struct tg_wheel {
    uint64_t cur_ms;             /* every slot that starts up to here was emptied */
    uint64_t used[WHEEL_LEVELS]; /* a bit for each slot; may be set for a slot emptied by stops */
    struct tg_list due;          /* fires at the next call */
    struct tg_list slot[WHEEL_LEVELS][WHEEL_SLOTS];
};
void tg_wheel_init(struct tg_wheel *w, uint64_t now_ms);
void tg_wheel_add(struct tg_wheel *w, struct tg_timer *t); /* by t->due_ms */
/* Fires what is due by now_ms; returns how many callbacks ran. */
unsigned tg_wheel_fire(struct tg_wheel *w, uint64_t now_ms);
/* No timer fires before this time; UINT64_MAX: there is none. */
uint64_t tg_wheel_next(struct tg_wheel *w);

/* ---- loop ---- */

#define TLS_RECORD_BYTES 16384

struct tg_loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;   /* active: do not block, something is ready */
    uv_timer_t timer; /* ends the blocking poll in time for the wheel; does nothing itself */
    uv_async_t async; /* tg_loop_stop_async() */
    uint64_t timer_at_ms;
    struct tg_list ready;
    struct tg_grave *graves;
    struct tg_wheel wheel;
    uint64_t now_ms, now_ns;
    bool now_fresh; /* false while polling: the first who asks reads the clock */
    bool running;
    uint64_t ticks, worked, max_lag_us;
    _Atomic uint64_t busy_since_ns;
    atomic_bool stop_asked;
    struct tg_slab streams; /* struct tcp_stream */
    char *tls_buf;          /* TLS_RECORD_BYTES, for gathering a record; from the first use on */
    char *read_buf;
};

void tg_loop_read_clock(struct tg_loop *loop);
/* Every callback from libuv begins with this: the tick starts, something ran. */
static inline void loop_enter(struct tg_loop *loop)
{
    loop->worked++;
    if (!loop->now_fresh)
        tg_loop_read_clock(loop);
}

/* ---- TCP streams ---- */

struct tls_conn;

struct tcp_stream {
    struct tg_stream s; /* first */
    uv_poll_t poll;
    struct tls_conn *tls; /* NULL: plain */
    int fd;               /* -1: closed */
    uint8_t armed;        /* uv events in the kernel's interest list: what is wanted, or more */
    uint8_t ended;        /* the grave's release and the close callback: memory goes at 2 */
    bool is_tcp : 1;      /* else a Unix socket */
    bool drained : 1;     /* the last receive took all there was; no event since */
    bool eof : 1;
};
static inline struct tcp_stream *tcp_of(const struct tg_stream *s)
{
    return (struct tcp_stream *)(uintptr_t)s;
}
extern const struct tg_stream_ops tg_tcp_ops, tg_tls_ops, tg_mem_ops;

/* > 0, TG_E_EOF, TG_E_AGAIN, TG_E_IO; no system call when the socket is known to be drained. */
int tg_tcp_recv(struct tcp_stream *t, void *buf, size_t cap);
int tg_tcp_send(struct tcp_stream *t, const void *buf, size_t n);
void tg_tcp_want(struct tg_stream *s, unsigned want);
int tg_tcp_shutdown(struct tg_stream *s);
void tg_tcp_close(struct tg_stream *s);
/* Records readiness and wakes the owner. */
void tg_stream_signal(struct tg_stream *s, unsigned bits);

bool tg_mem_idle_ok(const struct tg_stream *s);

/* The TLS side of a stream (stream_tls.c), called by the TCP side. */
unsigned tg_tls_map_ready(const struct tls_conn *c, unsigned bits);
unsigned tg_tls_want_io(const struct tls_conn *c, unsigned asked);
bool tg_tls_idle_ok(struct tcp_stream *t);

#endif
