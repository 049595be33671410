/* From a slot to a connection that can carry the request: DNS and TCP, a proxy's CONNECT tunnel
 * (RFC 9110 9.3.6), the TLS handshake. Each function does what can be done now and says whether the
 * next stage is reached. */
#include "net/http_client_priv.h"

#include "base/err.h"

static int fail_io(struct tg_fail *fail, const char *what)
{
    return tg_fail_set(fail, TG_E_UPSTREAM_CONNECT, "the connection broke off while %s", what);
}

static bool has_proxy(const struct tg_http_origin *o)
{
    return o->proxy_host[0] != '\0';
}

static uint32_t ms_left(const struct tg_http_call *c)
{
    if (c->opts.connect_timeout_ms == 0)
        return 24 * 3600 * 1000;
    uint64_t due = c->start_ms + c->opts.connect_timeout_ms;
    uint64_t now = tg_loop_now_ms(c->origin->client->loop);
    return due > now ? (uint32_t)(due - now) : 1;
}

/* ---- proxy ---- */

static int write_connect(struct tg_http_call *c)
{
    const struct tg_http_origin *o = c->origin;
    struct tg_buf *b = &c->held;
    const char *open = strchr(o->host, ':') ? "[" : "", *shut = *open ? "]" : "";

    tg_buf_clear(b);
    tg_buf_printf(b, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open, o->host, shut,
                  o->port, open, o->host, shut, o->port);
    if (o->proxy_auth[0])
        tg_buf_printf(b, "Proxy-Authorization: %s\r\n", o->proxy_auth);
    tg_buf_lit(b, "\r\n");
    c->sent_bytes = 0;
    return tg_buf_ok(b) ? 0 : TG_E_NOMEM;
}

static int proxy_send(struct tg_http_call *c, struct tg_fail *fail)
{
    while (c->sent_bytes < c->held.n) {
        struct iovec v = {c->held.p + c->sent_bytes, c->held.n - c->sent_bytes};
        int rc = tg_stream_writev(c->conn->stream, &v, 1);
        if (rc == TG_E_AGAIN) {
            tg_stream_want(c->conn->stream, TG_WANT_READ | TG_WANT_WRITE);
            return 0;
        }
        if (rc < 0)
            return fail_io(fail, "talking to the proxy");
        c->sent_bytes += (size_t)rc;
    }
    tg_buf_clear(&c->held);
    c->state = TG_CALL_S_PROXY_RECV;
    tg_stream_want(c->conn->stream, TG_WANT_READ);
    return 1;
}

/* The tunnel stands when a 2xx head is complete and nothing is behind it: the origin, be it TLS or
 * HTTP, speaks second. */
static int judge_proxy(struct tg_http_call *c, size_t head_n, struct tg_fail *fail)
{
    const char *p = c->held.p;
    bool is_http = head_n >= 12 && memcmp(p, "HTTP/1.", 7) == 0 && p[8] == ' ';

    if (!is_http || p[9] < '1' || p[9] > '5')
        return tg_fail_set(fail, TG_E_UPSTREAM_CONNECT, "the proxy's answer is not HTTP");
    if (p[9] != '2')
        return tg_fail_set(
            fail, TG_E_UPSTREAM_CONNECT, "the proxy refused the tunnel with status %c%c%c", p[9],
            p[10] >= '0' && p[10] <= '9' ? p[10] : '?', p[11] >= '0' && p[11] <= '9' ? p[11] : '?');
    if (c->held.n > head_n)
        return tg_fail_set(fail, TG_E_UPSTREAM_CONNECT, "the proxy sent bytes behind its answer");
    return 1;
}

static int proxy_recv(struct tg_http_call *c, struct tg_fail *fail)
{
    char chunk[1024];
    struct tg_stream *s = c->conn->stream;

    s->ready &= (uint8_t)~TG_WANT_READ;
    int rc = tg_stream_read(s, chunk, sizeof chunk);
    if (rc == TG_E_AGAIN)
        return 0;
    if (rc < 0)
        return fail_io(fail, "waiting for the proxy's answer");
    if (c->held.n + (size_t)rc > TG_PROXY_ANSWER_MAX)
        return tg_fail_set(fail, TG_E_UPSTREAM_CONNECT, "the proxy's answer is too large");
    if (tg_buf_add(&c->held, chunk, (size_t)rc) < 0)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    ptrdiff_t end = tg_str_find(tg_buf_str(&c->held), TG_STR("\r\n\r\n"));
    if (end < 0)
        return 0; /* readiness is level-triggered: what is left wakes the owner again */
    rc = judge_proxy(c, (size_t)end + 4, fail);
    tg_buf_fini(&c->held);
    return rc;
}

/* ---- TLS ---- */

static int tls_start(struct tg_http_call *c, struct tg_fail *fail)
{
    struct tg_http_origin *o = c->origin;

    c->state = TG_CALL_S_TLS;
    o->client->stats.handshakes++;
    if (tg_stream_start_tls(c->conn->stream, o->tls, tg_str_c(o->host)) < 0)
        return tg_fail_set(fail, TG_E_NOMEM, "no memory for TLS");
    return 1;
}

static int tls_step(struct tg_http_call *c, struct tg_fail *fail)
{
    struct tg_stream *s = c->conn->stream;
    int rc = tg_stream_tls_step(s);

    s->ready = 0;
    if (rc == TG_E_AGAIN) {
        tg_stream_want(s, tg_stream_want_io(s, TG_WANT_READ));
        return 0;
    }
    if (rc < 0) {
        const char *why = tg_stream_tls_error(s);
        return tg_fail_set(fail, TG_E_UPSTREAM_TLS, "TLS handshake failed: %s",
                           *why ? why : "the connection broke off");
    }
    c->info.tls_resumed = tg_stream_tls_resumed(s);
    if (c->info.tls_resumed)
        c->origin->client->stats.resumed++;
    return 1;
}

/* ---- stages ---- */

static int have_stream(struct tg_http_call *c, struct tg_stream *stream, struct tg_fail *fail)
{
    int rc = tg_origin_slot_fill(c, stream);
    if (rc < 0)
        return tg_fail_set(fail, rc, "out of memory");
    if (!has_proxy(c->origin))
        return 1;
    c->state = TG_CALL_S_PROXY_SEND;
    rc = write_connect(c);
    return rc < 0 ? tg_fail_set(fail, rc, "out of memory") : 1;
}

static int connect_step(struct tg_http_call *c, struct tg_fail *fail)
{
    struct tg_http_origin *o = c->origin;
    struct tg_stream *stream;
    int rc;

    if (!c->connect) {
        struct tg_connect_opts opts = {
            .host = tg_str_c(has_proxy(o) ? o->proxy_host : o->host),
            .port = has_proxy(o) ? o->proxy_port : o->port,
            .timeout_ms = ms_left(c),
        };
        o->client->stats.connects++;
        rc = tg_connect_start(o->client->opts.resolver, &opts, c->owner, &c->connect);
        return rc < 0 ? tg_fail_set(fail, rc, "could not start to connect") : 0;
    }
    rc = tg_connect_poll(c->connect, &stream, fail);
    if (rc == TG_E_AGAIN)
        return 0;
    tg_connect_free(c->connect);
    c->connect = NULL;
    if (rc < 0) {
        o->client->stats.connect_failures++;
        return rc;
    }
    return have_stream(c, stream, fail);
}

static int stage(struct tg_http_call *c, struct tg_fail *fail)
{
    switch ((enum tg_call_state)c->state) {
    case TG_CALL_S_CONNECT:
        return connect_step(c, fail);
    case TG_CALL_S_PROXY_SEND:
        return proxy_send(c, fail);
    case TG_CALL_S_PROXY_RECV:
        return proxy_recv(c, fail);
    case TG_CALL_S_TLS:
        return tls_step(c, fail);
    case TG_CALL_S_LINE:
    case TG_CALL_S_ACTIVE:
    case TG_CALL_S_DONE:
    case TG_CALL_S_FAILED:
        break;
    }
    return 0;
}

int tg_call_open(struct tg_http_call *c, struct tg_fail *fail)
{
    for (;;) {
        uint8_t was = c->state;
        int rc = stage(c, fail);
        if (rc <= 0)
            return rc;
        if (was == TG_CALL_S_PROXY_SEND || c->state == TG_CALL_S_PROXY_SEND)
            continue;
        if (was != TG_CALL_S_TLS && c->origin->https) {
            rc = tls_start(c, fail);
            if (rc < 0)
                return rc;
            continue;
        }
        c->state = TG_CALL_S_ACTIVE;
        c->sent_bytes = 0;
        tg_origin_connected(c);
        return 1;
    }
}
