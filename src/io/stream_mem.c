/* Streams in memory, for tests. Each holds what its peer wrote. Readiness is worked out after every
 * call that may change it and wakes through the ready list, as a socket's would. */
#include "io/io_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

struct mem_stream {
    struct tg_stream s;      /* first */
    struct mem_stream *peer; /* NULL: closed */
    char *in;                /* ring of cap bytes */
    size_t cap, head, n, split;
    bool peer_done; /* the peer writes no more */
    bool done;      /* we write no more */
    bool reset;
};

static struct mem_stream *mem_of(const struct tg_stream *s)
{
    return (struct mem_stream *)(uintptr_t)s;
}

static void notify(struct mem_stream *m)
{
    unsigned bits = 0;

    if (m->n > 0 || m->peer_done || m->reset)
        bits |= TG_WANT_READ;
    if (!m->peer || m->reset || m->peer->n < m->peer->cap)
        bits |= TG_WANT_WRITE;
    tg_stream_signal(&m->s, bits & m->s.wanted);
}

static int mem_read(struct tg_stream *s, void *buf, size_t cap)
{
    struct mem_stream *m = mem_of(s);

    TG_REQUIRE(cap > 0);
    if (m->reset)
        return TG_E_IO;
    if (m->n == 0)
        return m->peer_done ? TG_E_EOF : TG_E_AGAIN;
    size_t n = cap < m->n ? cap : m->n;
    if (m->split && n > m->split)
        n = m->split;
    if (n > m->cap - m->head)
        n = m->cap - m->head;
    memcpy(buf, m->in + m->head, n);
    m->head = (m->head + n) % m->cap;
    m->n -= n;
    if (m->n > 0 || m->peer_done)
        notify(m);
    if (m->peer)
        notify(m->peer);
    return (int)n;
}

static size_t put(struct mem_stream *to, const char *p, size_t n)
{
    size_t done = 0;

    while (done < n && to->n < to->cap) {
        size_t at = (to->head + to->n) % to->cap;
        size_t room = to->cap - to->n, run = to->cap - at, k = n - done;
        k = k < room ? k : room;
        k = k < run ? k : run;
        memcpy(to->in + at, p + done, k);
        to->n += k;
        done += k;
    }
    return done;
}

static int mem_writev(struct tg_stream *s, const struct iovec *iov, int n)
{
    struct mem_stream *m = mem_of(s);
    size_t done = 0;

    TG_REQUIRE(n > 0);
    if (m->reset || m->done || !m->peer)
        return TG_E_IO;
    for (int i = 0; i < n; i++) {
        size_t k = put(m->peer, iov[i].iov_base, iov[i].iov_len);
        done += k;
        if (k < iov[i].iov_len)
            break;
    }
    if (done == 0)
        return TG_E_AGAIN;
    notify(m->peer);
    return (int)done;
}

static void mem_want(struct tg_stream *s, unsigned want)
{
    s->wanted = (uint8_t)want;
    notify(mem_of(s));
}

static int mem_shutdown(struct tg_stream *s)
{
    struct mem_stream *m = mem_of(s);

    if (m->reset)
        return TG_E_IO;
    m->done = true;
    if (m->peer) {
        m->peer->peer_done = true;
        notify(m->peer);
    }
    return 0;
}

static void on_release(struct tg_grave *g)
{
    struct mem_stream *m = mem_of(tg_container_of(g, struct tg_stream, grave));
    tg_free(m->in);
    tg_free(m);
}

static void mem_close(struct tg_stream *s)
{
    struct mem_stream *m = mem_of(s);

    s->owner = NULL;
    if (m->peer) {
        m->peer->peer = NULL;
        m->peer->peer_done = true;
        notify(m->peer);
        m->peer = NULL;
    }
    tg_loop_bury(s->loop, &s->grave, on_release);
}

void tg_stream_mem_reset(struct tg_stream *s)
{
    struct mem_stream *m = mem_of(s);

    TG_REQUIRE(s->ops == &tg_mem_ops);
    m->reset = true;
    notify(m);
    if (m->peer) {
        m->peer->reset = true;
        notify(m->peer);
    }
}

bool tg_mem_idle_ok(const struct tg_stream *s)
{
    const struct mem_stream *m = mem_of(s);
    return m->n == 0 && !m->peer_done && !m->reset && m->peer;
}

const struct tg_stream_ops tg_mem_ops = {
    .read = mem_read,
    .writev = mem_writev,
    .want = mem_want,
    .shutdown = mem_shutdown,
    .close = mem_close,
};

static struct mem_stream *make(struct tg_loop *loop, struct tg_mem_pipe_opts opts)
{
    struct mem_stream *m = tg_calloc(1, sizeof(*m));

    if (!m)
        return NULL;
    m->in = tg_malloc(opts.cap);
    if (!m->in) {
        tg_free(m);
        return NULL;
    }
    m->s = (struct tg_stream){.ops = &tg_mem_ops, .loop = loop};
    m->cap = opts.cap;
    m->split = opts.split;
    return m;
}

int tg_stream_mem_pair(struct tg_loop *loop, struct tg_mem_pipe_opts opts, struct tg_stream **out_a,
                       struct tg_stream **out_b)
{
    TG_REQUIRE(opts.cap > 0);
    struct mem_stream *a = make(loop, opts);
    if (!a)
        return TG_E_NOMEM;
    struct mem_stream *b = make(loop, opts);
    if (!b) {
        tg_free(a->in);
        tg_free(a);
        return TG_E_NOMEM;
    }
    a->peer = b;
    b->peer = a;
    *out_a = &a->s;
    *out_b = &b->s;
    return 0;
}
