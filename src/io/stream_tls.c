/* TLS on a TCP stream's own socket. OpenSSL reads and writes through a BIO of ours, which sends
 * without SIGPIPE and asks the kernel nothing when the socket is known to be drained. */
#include <limits.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "io/io_priv.h"
#include "io/tls_priv.h"

#define RECORDS_AT_ONCE 64
#define DIRECT_BYTES    4096 /* from here on a piece is worth a record of its own */

struct tls_conn {
    SSL *ssl;
    struct tg_tls_ctx *ctx;
    struct tcp_stream *t;
    int rd_rc, wr_rc; /* what the socket said in the present call, 0: was not asked */
    int failed;       /* sticky result of reading: TG_E_EOF, TG_E_IO, TG_E_UPSTREAM_TLS */
    int offered;      /* plaintext bytes of the record that OpenSSL waits to get rid of */
    uint8_t rd_needs; /* TG_WANT_* that reading waits for */
    uint8_t wr_needs;
    bool buffered; /* OpenSSL holds bytes, or `failed`, that no poll will show */
    bool done;     /* handshake */
    bool broken;   /* no close_notify may be sent any more */
    char error[160];
    char host[TLS_HOST_MAX + 1];
};

/* ---- BIO ---- */

static int bio_result(BIO *bio, int rc, int retry)
{
    BIO_clear_retry_flags(bio);
    if (rc > 0)
        return rc;
    if (rc == TG_E_AGAIN)
        BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    return rc == TG_E_EOF ? 0 : -1;
}

static int bio_read(BIO *bio, char *buf, int cap)
{
    struct tls_conn *c = BIO_get_data(bio);

    if (cap <= 0)
        return 0;
    c->rd_rc = tg_tcp_recv(c->t, buf, (size_t)cap);
    return bio_result(bio, c->rd_rc, BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *buf, int n)
{
    struct tls_conn *c = BIO_get_data(bio);

    if (n <= 0)
        return 0;
    c->wr_rc = tg_tcp_send(c->t, buf, (size_t)n);
    return bio_result(bio, c->wr_rc, BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    struct tls_conn *c = BIO_get_data(bio);

    (void)num, (void)ptr;
    if (cmd == BIO_CTRL_EOF)
        return c->rd_rc == TG_E_EOF;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "tollgate stream");

    if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_ctrl(m, bio_ctrl))
        bio_method = m;
    else
        BIO_meth_free(m);
}

static BIO *new_bio(struct tls_conn *c)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_bio_method);
    BIO *bio = bio_method ? BIO_new(bio_method) : NULL;
    if (bio) {
        BIO_set_data(bio, c);
        BIO_set_init(bio, 1);
    }
    return bio;
}

/* ---- results ---- */

/* Before each call into OpenSSL. SSL_get_error() looks at the thread's queue, which must be empty.
 */
static inline void begin_call(struct tls_conn *c)
{
    if (tg_unlikely(ERR_peek_error() != 0))
        ERR_clear_error();
    c->rd_rc = c->wr_rc = 0;
}

static bool socket_broke(const struct tls_conn *c)
{
    return c->rd_rc == TG_E_EOF || c->rd_rc == TG_E_IO || c->wr_rc == TG_E_IO;
}

static void set_error(struct tls_conn *c, const char *prefix, const char *text)
{
    if (!c->error[0])
        snprintf(c->error, sizeof c->error, "%s%s", prefix, text);
}

static void explain(struct tls_conn *c, int ssl_error)
{
    long verified = SSL_get_verify_result(c->ssl);
    unsigned long e = ERR_peek_error();

    if (verified != X509_V_OK)
        set_error(c, "certificate refused: ", X509_verify_cert_error_string(verified));
    else if (c->rd_rc == TG_E_EOF)
        set_error(c, "", c->done ? "cut off without close_notify" : "closed by the peer");
    else if (ssl_error == SSL_ERROR_SYSCALL || socket_broke(c))
        set_error(c, "", "connection reset");
    else if (e && ERR_reason_error_string(e))
        set_error(c, "", ERR_reason_error_string(e));
    else
        set_error(c, "", "protocol error");
    ERR_clear_error();
}

/* Judges a call that gave nothing. 0: it only processed something of its own, call again. */
static int judge(struct tls_conn *c, int ret, uint8_t *needs)
{
    int e = SSL_get_error(c->ssl, ret);

    switch (e) {
    case SSL_ERROR_WANT_READ:
        *needs = TG_WANT_READ;
        return c->rd_rc == TG_E_AGAIN ? TG_E_AGAIN : 0;
    case SSL_ERROR_WANT_WRITE:
        *needs = TG_WANT_WRITE;
        return TG_E_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return TG_E_EOF;
    default:
        break;
    }
    explain(c, e);
    c->broken = true;
    if (!c->done)
        return TG_E_UPSTREAM_TLS;
    return e == SSL_ERROR_SYSCALL || socket_broke(c) ? TG_E_IO : TG_E_UPSTREAM_TLS;
}

static void after_call(struct tls_conn *c)
{
    if (!c->done && SSL_is_init_finished(c->ssl)) {
        c->done = true;
        c->rd_needs = TG_WANT_READ;
        c->wr_needs = TG_WANT_WRITE;
    }
}

/* From here on nothing is read from the socket: what may still come must not wake anybody. */
static int fail_reading(struct tls_conn *c, int rc)
{
    c->failed = rc;
    c->t->eof = true;
    return rc;
}

/* ---- handshake ---- */

static int handshake(struct tls_conn *c)
{
    uint8_t needs = 0;
    int rc = 0;

    for (int i = 0; i < RECORDS_AT_ONCE && !c->done; i++) {
        begin_call(c);
        int ret = SSL_do_handshake(c->ssl);
        after_call(c);
        if (ret == 1)
            break;
        rc = judge(c, ret, &needs);
        if (rc < 0)
            break;
    }
    if (c->done)
        return 0;
    if (rc == TG_E_AGAIN || rc == 0) {
        c->rd_needs = c->wr_needs = needs;
        tg_tcp_want(&c->t->s, c->t->s.wanted);
        if (rc == 0) /* let others have a turn */
            tg_stream_signal(&c->t->s, c->t->s.wanted);
        return TG_E_AGAIN;
    }
    return fail_reading(c, rc == TG_E_EOF ? TG_E_UPSTREAM_TLS : rc);
}

int tg_stream_tls_step(struct tg_stream *s)
{
    TG_REQUIRE(s->ops == &tg_tls_ops);
    struct tls_conn *c = tcp_of(s)->tls;

    if (c->done)
        return 0;
    return c->failed ? c->failed : handshake(c);
}

/* ---- read ---- */

/* Fills buf with the records that are there. Returns why it stopped; *out_n bytes came. */
static int read_records(struct tls_conn *c, char *buf, size_t cap, size_t *out_n)
{
    size_t got = 0, n;
    int rc = 0;

    for (int i = 0; i < RECORDS_AT_ONCE && got < cap && rc == 0; i++) {
        begin_call(c);
        int ret = SSL_read_ex(c->ssl, buf + got, cap - got, &n);
        if (ret == 1) {
            got += n;
            c->rd_needs = TG_WANT_READ;
            if (c->t->drained && !SSL_has_pending(c->ssl))
                break; /* nothing here, nothing in the kernel */
        } else {
            rc = judge(c, ret, &c->rd_needs);
        }
    }
    *out_n = got;
    return rc;
}

static int tls_read(struct tg_stream *s, void *buf, size_t cap)
{
    struct tls_conn *c = tcp_of(s)->tls;
    size_t n;

    TG_REQUIRE(cap > 0);
    c->buffered = false;
    if (c->failed)
        return c->failed;
    if (!c->done) {
        int rc = handshake(c);
        if (rc < 0)
            return rc;
    }
    int rc = read_records(c, buf, cap < INT_MAX ? cap : INT_MAX, &n);
    if (rc == TG_E_AGAIN)
        tg_tcp_want(s, s->wanted); /* reading may have to wait for a write */
    else if (rc < 0)
        fail_reading(c, rc);
    if (n == 0 && rc < 0)
        return rc;
    /* What is left behind in OpenSSL shows in no poll. */
    c->buffered = c->failed || (rc == 0 && SSL_has_pending(c->ssl));
    if (c->buffered)
        tg_stream_signal(s, s->wanted & TG_WANT_READ);
    return n > 0 ? (int)n : TG_E_AGAIN;
}

/* ---- write ---- */

static int write_record(struct tls_conn *c, const void *p, size_t n)
{
    for (int i = 0; i < RECORDS_AT_ONCE; i++) {
        size_t done = 0;
        begin_call(c);
        int ret = SSL_write_ex(c->ssl, p, n, &done);
        if (ret == 1) {
            c->offered = 0;
            c->wr_needs = TG_WANT_WRITE;
            return (int)done;
        }
        int rc = judge(c, ret, &c->wr_needs);
        if (rc == TG_E_AGAIN) {
            c->offered = (int)(n < TLS_RECORD_BYTES ? n : TLS_RECORD_BYTES);
            tg_tcp_want(&c->t->s, c->t->s.wanted);
        }
        if (rc < 0)
            return rc == TG_E_EOF ? TG_E_IO : rc;
    }
    return TG_E_AGAIN;
}

/* Where in an iovec array the next byte stands. */
struct cursor {
    const struct iovec *iov;
    int n;
    size_t at; /* in iov[0] */
};

static void skip_empty(struct cursor *cur)
{
    while (cur->n > 0 && cur->at == cur->iov[0].iov_len) {
        cur->iov++;
        cur->n--;
        cur->at = 0;
    }
}

static void forward(struct cursor *cur, size_t n)
{
    while (n > 0) {
        size_t k = cur->iov[0].iov_len - cur->at;
        k = k < n ? k : n;
        cur->at += k;
        n -= k;
        skip_empty(cur);
    }
}

static size_t gather(struct cursor cur, char *out)
{
    size_t n = 0;

    while (cur.n > 0 && n < TLS_RECORD_BYTES) {
        size_t k = cur.iov[0].iov_len - cur.at, room = TLS_RECORD_BYTES - n;
        k = k < room ? k : room;
        memcpy(out + n, (const char *)cur.iov[0].iov_base + cur.at, k);
        n += k;
        forward(&cur, k);
    }
    return n;
}

/* The next record's bytes: a long piece as it lies, short ones gathered, so that a head and its
 * body leave in one record and one send. */
static const char *next_piece(struct tls_conn *c, const struct cursor *cur, size_t *out_n)
{
    struct tg_loop *loop = c->t->s.loop;
    size_t len = cur->iov[0].iov_len - cur->at;

    *out_n = len;
    if (cur->n == 1 || (len >= DIRECT_BYTES && len >= (size_t)c->offered))
        return (const char *)cur->iov[0].iov_base + cur->at;
    if (!loop->tls_buf)
        loop->tls_buf = tg_malloc(TLS_RECORD_BYTES);
    if (!loop->tls_buf)
        return NULL;
    *out_n = gather(*cur, loop->tls_buf);
    return loop->tls_buf;
}

static int tls_writev(struct tg_stream *s, const struct iovec *iov, int n)
{
    struct tls_conn *c = tcp_of(s)->tls;
    struct cursor cur = {iov, n, 0};
    size_t total = 0;
    int rc = 0;

    TG_REQUIRE(n > 0);
    if (c->broken)
        return c->failed && c->failed != TG_E_EOF ? c->failed : TG_E_IO;
    if (!c->done) {
        rc = handshake(c);
        if (rc < 0)
            return rc;
    }
    skip_empty(&cur);
    while (cur.n > 0 && total < INT_MAX / 2) {
        size_t len;
        const char *p = next_piece(c, &cur, &len);
        rc = p ? write_record(c, p, len) : TG_E_NOMEM;
        if (rc < 0)
            break;
        total += (size_t)rc;
        forward(&cur, (size_t)rc);
    }
    return total > 0 ? (int)total : rc;
}

/* ---- want, end ---- */

static void tls_want(struct tg_stream *s, unsigned want)
{
    struct tls_conn *c = tcp_of(s)->tls;

    tg_tcp_want(s, want);
    if (c->buffered)
        tg_stream_signal(s, want & TG_WANT_READ);
}

/* RFC 8446 6.1. */
static int tls_shutdown(struct tg_stream *s)
{
    struct tls_conn *c = tcp_of(s)->tls;

    if (c->done && !c->broken) {
        begin_call(c);
        int ret = SSL_shutdown(c->ssl);
        if (ret < 0 && SSL_get_error(c->ssl, ret) == SSL_ERROR_WANT_WRITE) {
            c->wr_needs = TG_WANT_WRITE;
            return TG_E_AGAIN;
        }
        ERR_clear_error();
        c->broken = true; /* no more writes */
    }
    return tg_tcp_shutdown(s);
}

static void conn_free(struct tls_conn *c)
{
    /* Else OpenSSL marks the session, which we keep, as unfit to resume. */
    SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    tg_tls_set_origin(c->ssl, NULL);
    SSL_free(c->ssl); /* and its BIO */
    tg_tls_unref(c->ctx);
    tg_free(c);
}

static void tls_close(struct tg_stream *s)
{
    struct tcp_stream *t = tcp_of(s);

    conn_free(t->tls);
    t->tls = NULL;
    tg_tcp_close(s);
}

const struct tg_stream_ops tg_tls_ops = {
    .read = tls_read,
    .writev = tls_writev,
    .want = tls_want,
    .shutdown = tls_shutdown,
    .close = tls_close,
};

unsigned tg_tls_map_ready(const struct tls_conn *c, unsigned bits)
{
    return (bits & c->rd_needs ? TG_WANT_READ : 0u) | (bits & c->wr_needs ? TG_WANT_WRITE : 0u);
}

unsigned tg_tls_want_io(const struct tls_conn *c, unsigned asked)
{
    return (asked & TG_WANT_READ ? c->rd_needs : 0u) | (asked & TG_WANT_WRITE ? c->wr_needs : 0u);
}

/* A session ticket may lie there; anything else that can be read, or an end, is trouble. */
bool tg_tls_idle_ok(struct tcp_stream *t)
{
    struct tls_conn *c = t->tls;
    int rc = 0;

    if (!c->done || c->failed)
        return false;
    t->drained = false; /* look at the socket itself */
    for (int i = 0; i < RECORDS_AT_ONCE && rc == 0; i++) {
        char byte;
        size_t n;
        begin_call(c);
        int ret = SSL_peek_ex(c->ssl, &byte, 1, &n);
        rc = ret == 1 ? TG_E_EOF : judge(c, ret, &c->rd_needs);
    }
    return rc == TG_E_AGAIN;
}

/* ---- start ---- */

/* "example.com." is example.com in certificates and SNI (RFC 6066 3). */
static int copy_host(struct tls_conn *c, struct tg_str host)
{
    if (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n >= sizeof c->host || (host.n && memchr(host.p, '\0', host.n)))
        return TG_E_INVALID_ARG;
    tg_str_to_c(host, c->host, sizeof c->host);
    return 0;
}

static int open_conn(struct tls_conn *c, struct tg_tls_ctx *ctx, struct tg_str host)
{
    int rc = copy_host(c, host);

    if (rc < 0)
        return rc;
    rc = tg_tls_ctx_open(ctx, c->host, &c->ssl);
    if (rc < 0)
        return rc;
    BIO *bio = new_bio(c);
    if (!bio) {
        SSL_free(c->ssl);
        ERR_clear_error();
        return TG_E_NOMEM;
    }
    SSL_set_bio(c->ssl, bio, bio);
    if (c->host[0])
        tg_tls_set_origin(c->ssl, c->host);
    return 0;
}

int tg_stream_start_tls(struct tg_stream *s, struct tg_tls_ctx *ctx, struct tg_str host)
{
    if (s->ops != &tg_tcp_ops)
        return TG_E_INVALID_ARG;
    struct tls_conn *c = tg_calloc(1, sizeof(*c));
    if (!c)
        return TG_E_NOMEM;
    c->t = tcp_of(s);
    int rc = open_conn(c, ctx, host);
    if (rc < 0) {
        tg_free(c);
        return rc;
    }
    c->ctx = tg_tls_ref(ctx);
    c->rd_needs = TG_WANT_READ;
    c->wr_needs = TG_WANT_WRITE;
    c->t->tls = c;
    s->ops = &tg_tls_ops;
    return 0;
}

const char *tg_stream_tls_error(const struct tg_stream *s)
{
    return s->ops == &tg_tls_ops ? tcp_of(s)->tls->error : "";
}

bool tg_stream_tls_resumed(const struct tg_stream *s)
{
    return s->ops == &tg_tls_ops && SSL_session_reused(tcp_of(s)->tls->ssl);
}

bool tg_stream_is_buffered(const struct tg_stream *s)
{
    return s->ops == &tg_tls_ops && tcp_of(s)->tls->buffered;
}
