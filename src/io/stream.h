/* A byte pipe: plain TCP (or a Unix socket), TLS over it, or memory in tests, behind one vtable.
 * Pull model: the stream tells that it is ready, its owner reads or writes from its own step;
 * nothing is buffered below but the kernel's and OpenSSL's buffers. Direct writes, no queue.
 * Ownership: the creator owns it until tg_stream_close(), which buries it.
 * Thread rule: the loop's thread. */
#ifndef TG_IO_STREAM_H
#define TG_IO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/str.h"
#include "io/loop.h"

struct tg_stream;
struct tg_tls_ctx;

struct tg_stream_ops {
    int (*read)(struct tg_stream *s, void *buf, size_t cap);
    int (*writev)(struct tg_stream *s, const struct iovec *iov, int n);
    void (*want)(struct tg_stream *s, unsigned want);
    int (*shutdown)(struct tg_stream *s);
    void (*close)(struct tg_stream *s);
};

struct tg_stream {
    const struct tg_stream_ops *ops;
    struct tg_loop *loop;
    struct tg_task *owner; /* woken when ready; the owner sets it */
    struct tg_grave grave;
    uint8_t wanted; /* what was asked for with want() */
    uint8_t ready;  /* TG_WANT_* bits recorded while wanted; the owner clears them */
};

/* Bytes read (> 0), TG_E_AGAIN (then want READ to be woken), TG_E_EOF (orderly end; under TLS only
 * after close_notify), TG_E_IO (reset or other error, TLS cut off), TG_E_UPSTREAM_TLS (TLS
 * failure). A short count means for TCP that the socket is drained: no second read is needed to
 * find out. For TLS and mem it means nothing; what OpenSSL still holds wakes the owner again. cap >
 * 0. */
static inline int tg_stream_read(struct tg_stream *s, void *buf, size_t cap)
{
    return s->ops->read(s, buf, cap);
}
/* Bytes taken (> 0, maybe less than offered), TG_E_AGAIN, TG_E_IO, TG_E_UPSTREAM_TLS. After
 * TG_E_AGAIN or a short count the next offer begins with the bytes not taken, at least as many of
 * them as were offered (TLS has encrypted them already). At least one byte, n > 0. */
static inline int tg_stream_writev(struct tg_stream *s, const struct iovec *iov, int n)
{
    return s->ops->writev(s, iov, n);
}
/* What to be woken for (level-triggered; READ also reports end and errors). Taking interest away is
 * free, adding some costs up to two system calls. After TG_E_EOF READ reports only the connection's
 * full end or error, so that a half-closed peer does not wake the owner over and over. */
static inline void tg_stream_want(struct tg_stream *s, unsigned want)
{
    if (want != s->wanted)
        s->ops->want(s, want);
}
/* Half-close: no more writes (sends close_notify and FIN). 0, TG_E_AGAIN, TG_E_IO. A close without
 * it sends no close_notify: a TLS peer then knows that the stream was cut. */
static inline int tg_stream_shutdown(struct tg_stream *s)
{
    return s->ops->shutdown(s);
}
/* Closes at once and buries. The pointer is dead after the current tick. */
static inline void tg_stream_close(struct tg_stream *s)
{
    s->ops->close(s);
}

/* Takes a connected or connecting non-blocking socket; sets TCP_NODELAY when it is TCP. Closes fd
 * on failure. TG_E_NOMEM, TG_E_IO. */
int tg_stream_from_fd(struct tg_loop *loop, int fd, struct tg_task *owner,
                      struct tg_stream **out) TG_WARN_UNUSED;
/* For a connecting socket that became writable: 0 connected, TG_E_UPSTREAM_CONNECT with *out_errno.
 */
int tg_stream_connect_result(struct tg_stream *s, int *out_errno) TG_WARN_UNUSED;
/* Puts TLS on a TCP stream in place (the same struct tg_stream): client with SNI and name check
 * when host is not empty, server when it is. The handshake runs inside read and write, which
 * answer TG_E_AGAIN until it is done; tg_stream_tls_step() drives it alone: 0 done, TG_E_AGAIN
 * (want_io() says for what), TG_E_UPSTREAM_TLS with a text in tg_stream_tls_error(). */
int tg_stream_start_tls(struct tg_stream *s, struct tg_tls_ctx *ctx, struct tg_str host)
    TG_WARN_UNUSED; /* TG_E_NOMEM; TG_E_INVALID_ARG: no TCP stream, TLS already, bad host */
int tg_stream_tls_step(struct tg_stream *s) TG_WARN_UNUSED;
const char *tg_stream_tls_error(const struct tg_stream *s); /* "" if none; valid until close */
bool tg_stream_tls_resumed(const struct tg_stream *s);
/* After TG_E_AGAIN: what the stream itself waits for (TLS may need to read in order to write). */
unsigned tg_stream_want_io(const struct tg_stream *s, unsigned asked);
/* True when an idle pooled stream is still usable: nothing readable, no end, no error. */
bool tg_stream_idle_ok(struct tg_stream *s);
/* True when OpenSSL holds bytes, or a failure, that no poll will show. No system call. */
bool tg_stream_is_buffered(const struct tg_stream *s);
/* Peer's IP address as text (without port; 46 bytes suffice), "" if unknown. */
void tg_stream_peer(const struct tg_stream *s, char *out, size_t cap);

/* Two connected in-memory streams for tests: bytes written to one are read from the other. Each
 * direction holds at most cap bytes; `split` > 0 gives at most that many bytes per read. */
struct tg_mem_pipe_opts {
    size_t cap;
    size_t split;
};
int tg_stream_mem_pair(struct tg_loop *loop, struct tg_mem_pipe_opts opts, struct tg_stream **out_a,
                       struct tg_stream **out_b) TG_WARN_UNUSED;
void tg_stream_mem_reset(struct tg_stream *s); /* the peer sees TG_E_IO, as after a reset */

#endif
