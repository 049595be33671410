/* One call: its request goes out, its response comes in, all inside tg_http_call_next(), which is
 * called from the owner's step. Timers, streams and the line only record and wake the owner. */
#include "net/http_client_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"

#define SEND_IOV 32

static struct tg_loop *call_loop(const struct tg_http_call *c)
{
    return c->origin->client->loop;
}
static uint64_t now_ms(const struct tg_http_call *c)
{
    return tg_loop_now_ms(call_loop(c));
}
static bool sent_whole(const struct tg_http_call *c)
{
    return c->sent_bytes == c->request_bytes;
}

/* ---- deadlines ---- */

static uint64_t after(uint64_t from_ms, uint32_t delay_ms)
{
    return delay_ms ? from_ms + delay_ms : UINT64_MAX;
}

static uint64_t call_deadline(const struct tg_http_call *c)
{
    if (c->state == TG_CALL_S_DONE || c->state == TG_CALL_S_FAILED)
        return UINT64_MAX;
    if (c->state != TG_CALL_S_ACTIVE)
        return after(c->start_ms, c->opts.connect_timeout_ms);
    if (!c->got_byte)
        return after(c->phase_ms, c->opts.first_byte_timeout_ms);
    return c->paused ? UINT64_MAX : after(c->phase_ms, c->opts.idle_timeout_ms);
}

/* Only an earlier deadline moves the timer; a later one is found when it fires. */
void tg_call_arm(struct tg_http_call *c)
{
    uint64_t due = call_deadline(c), now = now_ms(c);
    if (due == UINT64_MAX || (tg_timer_active(&c->timer) && c->timer.due_ms <= due))
        return;
    tg_timer_start(call_loop(c), &c->timer, due > now ? due - now : 0);
}

static void call_on_timer(struct tg_timer *t)
{
    struct tg_http_call *c = tg_container_of(t, struct tg_http_call, timer);
    if (call_deadline(c) > now_ms(c)) {
        tg_call_arm(c);
        return;
    }
    c->fired = true;
    tg_loop_wake(call_loop(c), c->owner);
}

static int fail_timeout(struct tg_http_call *c, struct tg_fail *fail)
{
    if (c->state == TG_CALL_S_LINE)
        return tg_fail_set(fail, TG_E_OVERLOADED,
                           "no connection to the provider became free in time");
    if (c->state != TG_CALL_S_ACTIVE)
        return tg_fail_set(fail, TG_E_UPSTREAM_TIMEOUT, "connecting to the provider took too long");
    if (!sent_whole(c) && !c->got_byte)
        return tg_fail_set(fail, TG_E_UPSTREAM_TIMEOUT,
                           "the provider did not take the request in time");
    if (!c->got_byte)
        return tg_fail_set(fail, TG_E_UPSTREAM_TIMEOUT, "the provider did not answer in time");
    return tg_fail_set(fail, TG_E_UPSTREAM_TIMEOUT, "the provider's answer stalled");
}

/* ---- start and end ---- */

static size_t count_bytes(const struct iovec *iov, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += iov[i].iov_len;
    return total;
}

int tg_http_call_start(struct tg_http_origin *o, const struct tg_http_call_opts *opts,
                       struct tg_task *owner, struct tg_http_call **out)
{
    TG_REQUIRE(owner && opts->arena && opts->n_request > 0);
    struct tg_http_call *c = tg_calloc(1, sizeof *c);
    if (!c)
        return TG_E_NOMEM;
    c->origin = o;
    c->owner = owner;
    c->opts = *opts;
    c->request_bytes = count_bytes(opts->request, opts->n_request);
    c->start_ms = c->phase_ms = now_ms(c);
    tg_list_init(&c->link);
    tg_timer_init(&c->timer, call_on_timer);
    tg_buf_init(&c->held, TG_LOOP_READ_BYTES);
    int rc = tg_origin_acquire(c);
    if (rc < 0) {
        tg_free(c);
        return rc;
    }
    o->client->calls++;
    tg_call_arm(c);
    tg_loop_wake(o->client->loop, owner);
    *out = c;
    return 0;
}

void tg_call_on_grant(struct tg_http_call *c)
{
    tg_loop_wake(call_loop(c), c->owner);
}

/* Gives up what the call holds of its origin. */
static void let_go(struct tg_http_call *c, bool reuse)
{
    struct tg_http_origin *o = c->origin;

    if (c->connect) {
        tg_connect_free(c->connect);
        c->connect = NULL;
    }
    if (c->conn)
        tg_call_release_conn(c, reuse);
    else if (c->has_slot)
        tg_origin_slot_drop(c);
    if (tg_list_linked(&c->link)) {
        tg_list_del(&c->link);
        o->n_waiting--;
        o->client->stats.waiting--;
    }
}

static void drop_unread(struct tg_http_call *c)
{
    struct tg_http_client *client = c->origin->client;

    if (client->read_holder == c)
        client->read_holder = NULL;
    c->in = tg_str_make(NULL, 0);
    c->in_parser = false;
    tg_buf_fini(&c->held);
    tg_call_coding_fini(c);
}

static void finish(struct tg_http_call *c, enum tg_call_state state, bool reuse)
{
    let_go(c, reuse);
    c->state = (uint8_t)state;
    drop_unread(c);
    tg_timer_stop(call_loop(c), &c->timer);
    tg_origin_pump(c->origin);
}

static void call_release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_http_call, grave));
}

void tg_http_call_free(struct tg_http_call *c)
{
    if (!c)
        return;
    if (c->state != TG_CALL_S_DONE && c->state != TG_CALL_S_FAILED)
        finish(c, TG_CALL_S_FAILED, false);
    c->origin->client->calls--;
    tg_loop_bury(call_loop(c), &c->grave, call_release);
}

const struct tg_http_call_info *tg_http_call_info(const struct tg_http_call *c)
{
    return &c->info;
}

/* ---- sending ---- */

static int begin(struct tg_http_call *c)
{
    struct tg_h1_limits limits = tg_h1_limits_default;
    int rc;

    c->begun = true;
    c->lease_ms = c->phase_ms = now_ms(c);
    if (!c->parser) { /* a retry goes on with the same one: it has seen nothing */
        limits.max_body_bytes = c->opts.max_body_bytes;
        rc = tg_h1_new(TG_H1_RESPONSE, &limits, c->opts.arena, &c->parser);
        if (rc < 0)
            return rc;
        tg_h1_set_request_method(c->parser, c->opts.method);
    }
    return 0;
}

/* The request without its first `skip` bytes. */
static int rest_of_request(const struct tg_http_call *c, struct iovec *dst)
{
    size_t skip = c->sent_bytes;
    int n = 0;

    for (int i = 0; i < c->opts.n_request && n < SEND_IOV; i++) {
        const struct iovec *v = &c->opts.request[i];
        if (skip >= v->iov_len) {
            skip -= v->iov_len;
            continue;
        }
        dst[n].iov_base = (char *)v->iov_base + skip;
        dst[n++].iov_len = v->iov_len - skip;
        skip = 0;
    }
    return n;
}

/* As big pieces as the socket takes. A failure is not the call's end: the response to a request
 * that was refused early may lie in the socket. */
static void send_request(struct tg_http_call *c)
{
    struct iovec iov[SEND_IOV];

    while (!sent_whole(c)) {
        int n = rest_of_request(c, iov);
        int rc = tg_stream_writev(c->conn->stream, iov, n);
        if (rc == TG_E_AGAIN) {
            c->blocked = true;
            return;
        }
        if (rc < 0) {
            c->send_failed = true;
            c->more = true; /* look for the answer, or for the reason */
            return;
        }
        size_t offered = count_bytes(iov, n);
        c->sent_bytes += (size_t)rc;
        c->info.bytes_out += (uint64_t)rc;
        if (!c->got_byte)
            c->phase_ms = now_ms(c);
        if ((size_t)rc < offered && !c->conn->tls) {
            c->blocked = true;
            return;
        }
    }
    c->info.request_sent = true;
    c->info.sent_us = tg_clock_mono_us();
}

static void maybe_send(struct tg_http_call *c, unsigned ready)
{
    if (sent_whole(c) || c->send_failed)
        return;
    if (c->blocked && !(ready & TG_WANT_WRITE) && !(c->conn->tls && ready))
        return;
    c->blocked = false;
    send_request(c);
}

/* ---- receiving ---- */

/* Bytes that another call has read but not yet taken move to memory of its own. */
static void evict_holder(struct tg_http_client *client)
{
    struct tg_http_call *h = client->read_holder;

    client->read_holder = NULL;
    if (!h || (h->in.n == 0 && h->coded.n == 0))
        return;
    tg_buf_clear(&h->held);
    if (tg_buf_str_add(&h->held, h->coded) < 0 || tg_buf_str_add(&h->held, h->in) < 0) {
        h->lost = true;
        tg_loop_wake(client->loop, h->owner);
        return;
    }
    h->coded = tg_str_first(tg_buf_str(&h->held), h->coded.n);
    h->in = tg_str_from(tg_buf_str(&h->held), h->coded.n);
}

static bool may_retry(const struct tg_http_call *c)
{
    return c->info.reused && !c->retried && !c->got_byte &&
           (!sent_whole(c) || now_ms(c) - c->lease_ms <= TG_CALL_STALE_MS);
}

/* The pooled connection was stale: once more on a fresh one. */
static int start_over(struct tg_http_call *c, struct tg_fail *fail)
{
    c->origin->client->stats.stale_retries++;
    c->retried = true;
    let_go(c, false);
    c->sent_bytes = 0;
    c->blocked = c->send_failed = c->more = c->begun = false;
    c->info.reused = c->info.request_sent = false;
    c->info.bytes_out = c->info.sent_us = 0;
    int rc = tg_origin_acquire(c);
    if (rc < 0)
        return tg_fail_set(fail, rc, "no connection to the provider is free");
    return 0;
}

/* The connection ended or broke. 1: that was the response's end. */
static int on_input_end(struct tg_http_call *c, int rc, struct tg_h1_event *ev,
                        struct tg_fail *fail)
{
    if (rc == TG_E_EOF && c->got_byte) {
        rc = tg_h1_eof(c->parser, ev);
        if (rc == 1)
            return 1;
        return tg_fail_set(fail, TG_E_UPSTREAM_INCOMPLETE, "the provider's answer broke off");
    }
    if (rc == TG_E_UPSTREAM_TLS)
        return tg_fail_set(fail, rc, "TLS failed: %s", tg_stream_tls_error(c->conn->stream));
    if (c->got_byte)
        return tg_fail_set(fail, TG_E_UPSTREAM_INCOMPLETE,
                           "the connection broke off in the answer");
    return tg_fail_set(fail, TG_E_UPSTREAM_INCOMPLETE, "the provider closed the connection %s",
                       sent_whole(c) ? "without an answer" : "before it took the request");
}

static int read_more(struct tg_http_call *c)
{
    struct tg_http_client *client = c->origin->client;
    struct tg_stream *s = c->conn->stream;

    if (client->read_holder != c)
        evict_holder(client);
    client->read_holder = NULL;
    c->more = false;
    s->ready &= (uint8_t)~TG_WANT_READ;
    int rc = tg_stream_read(s, client->read_buf, TG_LOOP_READ_BYTES);
    if (rc <= 0)
        return rc;
    client->read_holder = c;
    c->in = tg_str_make(client->read_buf, (size_t)rc);
    c->in_parser = true;
    c->more = (size_t)rc == TG_LOOP_READ_BYTES; /* come back without a poll in between */
    c->phase_ms = now_ms(c);
    c->info.bytes_in += (uint64_t)rc;
    if (!c->got_byte) {
        c->got_byte = true;
        c->info.first_byte_us = tg_clock_mono_us();
    }
    return rc;
}

static int parse_failed(int rc, struct tg_fail *fail)
{
    if (rc == TG_E_UPSTREAM_TOO_LARGE)
        return tg_fail_set(fail, rc, "the provider's answer is too large");
    if (rc == TG_E_NOMEM)
        return tg_fail_set(fail, rc, "out of memory");
    return tg_fail_set(fail, rc, "the provider's answer is not valid HTTP");
}

static int give_head(struct tg_http_call *c, const struct tg_http_head *head,
                     struct tg_http_call_event *out, struct tg_fail *fail)
{
    c->keep_alive = head->keep_alive && head->body != TG_HTTP_BODY_CLOSE;
    int rc = tg_call_coding_begin(c, &head, fail);
    *out = (struct tg_http_call_event){.kind = TG_CALL_HEAD, .head = head};
    return rc < 0 ? rc : 1;
}

static int give_body(struct tg_str bytes, struct tg_http_call_event *out)
{
    *out = (struct tg_http_call_event){.kind = TG_CALL_BODY, .body = bytes};
    return 1;
}

static int give_end(struct tg_http_call *c, struct tg_http_call_event *out, struct tg_fail *fail)
{
    int rc = tg_call_coding_end(c, fail);
    if (rc < 0)
        return rc;
    *out = (struct tg_http_call_event){.kind = TG_CALL_END};
    finish(c, TG_CALL_S_DONE, c->keep_alive && c->in.n == 0 && sent_whole(c) && !c->send_failed);
    return 1;
}

/* What the parser has. 0: of a compressed body, to be decoded first. */
static int give(struct tg_http_call *c, const struct tg_h1_event *ev,
                struct tg_http_call_event *out, struct tg_fail *fail)
{
    if (ev->kind == TG_H1_HEAD)
        return give_head(c, ev->head, out, fail);
    if (ev->kind == TG_H1_END)
        return give_end(c, out, fail);
    if (!c->inflate)
        return give_body(ev->body, out);
    c->coded = ev->body;
    c->inflating = true;
    return 0;
}

/* The parser's next event: 1, 0 (it needs more bytes, or that was enough for once), negative. */
static int take_parsed(struct tg_http_call *c, struct tg_http_call_event *out, struct tg_fail *fail)
{
    struct tg_h1_event ev;
    struct tg_str piece;
    int rc;

    if (c->lost)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    do {
        rc = c->inflating ? tg_call_coding_next(c, &piece, fail) : 0;
        if (rc > 0)
            return give_body(piece, out);
        if (rc < 0)
            return rc == TG_E_AGAIN ? 0 : rc;
        rc = tg_h1_next(c->parser, &c->in, &ev);
        if (rc < 0)
            return parse_failed(rc, fail);
        if (rc > 0 && (rc = give(c, &ev, out, fail)) != 0)
            return rc;
    } while (c->inflating);
    c->in_parser = false;
    if (c->held.p)
        tg_buf_fini(&c->held);
    return 0;
}

static int give_sent(struct tg_http_call *c, struct tg_http_call_event *out)
{
    if (c->sent_given || !sent_whole(c) || (c->info.reused && !c->got_byte))
        return 0;
    c->sent_given = true;
    *out = (struct tg_http_call_event){.kind = TG_CALL_SENT};
    return 1;
}

/* One read at most; its events come one by one. */
static int receive(struct tg_http_call *c, unsigned ready, struct tg_http_call_event *out,
                   struct tg_fail *fail)
{
    if (!c->in_parser) {
        if (!(ready & TG_WANT_READ) && !c->more)
            return 0;
        int rc = read_more(c);
        if (rc == TG_E_AGAIN)
            return 0;
        if (rc < 0) {
            struct tg_h1_event ev;
            if (may_retry(c) && rc != TG_E_UPSTREAM_TLS)
                return start_over(c, fail);
            rc = on_input_end(c, rc, &ev, fail);
            c->keep_alive = false;
            return rc < 0 ? rc : give(c, &ev, out, fail);
        }
        if (give_sent(c, out))
            return 1;
    }
    return take_parsed(c, out, fail);
}

/* What the stream shall wake the owner for, and whether to come back without being woken. */
static void before_sleep(struct tg_http_call *c)
{
    if (!c->conn || c->state != TG_CALL_S_ACTIVE)
        return;
    struct tg_stream *s = c->conn->stream;
    unsigned want = c->paused ? 0 : TG_WANT_READ;

    if (c->blocked)
        want |= TG_WANT_WRITE;
    tg_stream_want(s, c->conn->tls ? tg_stream_want_io(s, want) : want);
    if ((c->more || c->inflating) && !c->paused)
        tg_loop_wake(call_loop(c), c->owner);
}

static int active_step(struct tg_http_call *c, struct tg_http_call_event *out, struct tg_fail *fail)
{
    unsigned ready = c->conn->stream->ready;

    c->conn->stream->ready = ready & TG_WANT_READ; /* READ is cleared by the read */
    if (!c->begun) {
        int rc = begin(c);
        if (rc < 0)
            return tg_fail_set(fail, rc, "out of memory");
        if (c->info.reused && ready && !tg_upconn_is_silent(c->conn))
            return start_over(c, fail); /* it ended, or spoke unasked, on its way to us */
    }
    maybe_send(c, ready);
    if (give_sent(c, out))
        return 1;
    return c->paused ? 0 : receive(c, ready, out, fail);
}

/* ---- the owner's functions ---- */

static int step(struct tg_http_call *c, struct tg_http_call_event *out, struct tg_fail *fail)
{
    if (c->fired) {
        c->fired = false;
        if (call_deadline(c) <= now_ms(c))
            return fail_timeout(c, fail);
    }
    for (;;) {
        if (c->state == TG_CALL_S_LINE)
            return 0;
        if (c->state != TG_CALL_S_ACTIVE) {
            int rc = tg_call_open(c, fail);
            if (rc <= 0)
                return rc;
            c->begun = false;
        }
        int rc = active_step(c, out, fail);
        if (rc != 0 || c->state == TG_CALL_S_ACTIVE)
            return rc;
    }
}

int tg_http_call_next(struct tg_http_call *c, struct tg_http_call_event *out, struct tg_fail *fail)
{
    if (c->state == TG_CALL_S_DONE)
        return 0;
    if (c->state == TG_CALL_S_FAILED)
        return c->err;
    int rc = step(c, out, fail);
    if (rc < 0) {
        c->err = rc;
        finish(c, TG_CALL_S_FAILED, false);
        return rc;
    }
    if (rc == 0)
        before_sleep(c);
    if (c->state != TG_CALL_S_DONE)
        tg_call_arm(c);
    return rc;
}

void tg_http_call_pause(struct tg_http_call *c, bool paused)
{
    if (c->paused == paused)
        return;
    c->paused = paused;
    if (c->state == TG_CALL_S_DONE || c->state == TG_CALL_S_FAILED)
        return;
    if (!paused) {
        if (c->got_byte)
            c->phase_ms = now_ms(c);
        tg_loop_wake(call_loop(c), c->owner);
    }
    before_sleep(c);
    tg_call_arm(c);
}
