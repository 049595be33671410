/* A server connection's life: its step reads, parses, hands requests over, flushes, and decides
 * what comes next. Everything else (handler, timer, stream) only records and wakes it. */
#include "net/http_server_priv.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"

static void conn_step(struct tg_task *t);
static void conn_on_timer(struct tg_timer *t);
static void arm_timer(struct tg_http_conn *c);

/* ---- birth and death ---- */

struct tg_http_conn *tg_http_conn_new(struct tg_http_server *s)
{
    struct tg_http_conn *c = tg_calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->server = s;
    c->loop = s->loop;
    c->cfg = s->cfg;
    c->cfg->refs++;
    tg_list_init(&c->link);
    tg_task_init(&c->task, conn_step);
    tg_timer_init(&c->timer, conn_on_timer);
    tg_bufq_init(&c->out.q, 2 * (size_t)c->cfg->o.high_mark_bytes + 2 * TG_CONN_QUEUE_HARD);
    tg_buf_init(&c->pending, TG_CONN_PENDING_MAX);
    return c;
}

static void enter(struct tg_http_conn *c, enum tg_http_conn_state state)
{
    c->state = (uint8_t)state;
    c->since_ms = tg_loop_now_ms(c->loop);
    c->window_bytes = 0;
}

void tg_http_conn_start(struct tg_http_conn *c, struct tg_stream *stream)
{
    struct tg_http_server *s = c->server;

    c->stream = stream;
    stream->owner = &c->task;
    tg_stream_peer(stream, c->peer, sizeof c->peer);
    tg_list_add_tail(&s->conns, &c->link);
    s->stats.accepted++;
    s->stats.open++;
    enter(c, TG_CONN_IDLE);
    if (c->cfg->o.tls) {
        c->tls = true;
        enter(c, TG_CONN_TLS);
        if (tg_stream_start_tls(stream, c->cfg->o.tls, tg_str_make(NULL, 0)) < 0) {
            tg_http_conn_close(c);
            return;
        }
    }
    tg_stream_want(stream, TG_WANT_READ);
    arm_timer(c);
    if (stream->ready) /* it was readable before it became ours */
        tg_loop_wake(c->loop, &c->task);
}

static void req_destroy(struct tg_http_req *req)
{
    struct tg_arena arena = req->arena; /* the request lives in it */
    tg_buf_fini(&req->body);
    tg_arena_fini(&arena);
}

struct tg_http_req *tg_http_req_new(const struct tg_http_head *head, struct tg_buf *body,
                                    uint64_t received_us, const char *peer)
{
    struct tg_arena arena;
    tg_arena_init(&arena, TG_CONN_REQ_ARENA, TG_CONN_REQ_ARENA_MAX);
    struct tg_http_req *req = tg_arena_new(&arena, struct tg_http_req);
    struct tg_http_head *own = tg_arena_alloc(&arena, sizeof *own);
    if (!req || !own) {
        tg_arena_fini(&arena);
        return NULL;
    }
    *own = *head;
    req->arena = arena;
    req->head = own;
    req->body = *body;
    tg_buf_init(body, 0);
    req->received_us = received_us;
    tg_str_to_c(tg_str_c(peer), req->peer, sizeof req->peer);
    return req;
}

void tg_http_req_free(struct tg_http_req *req)
{
    if (!req)
        return;
    if (req->reading) { /* its parser is in use: the connection frees it at the message's end */
        req->reading->req_ours = true;
        tg_buf_fini(&req->body);
        tg_buf_init(&req->body, 0);
        return;
    }
    req_destroy(req);
}

/* The message is over, or will never be complete. */
static void let_go_of_req(struct tg_http_conn *c)
{
    struct tg_http_req *req = c->req;
    if (!req)
        return;
    c->req = NULL;
    c->parser = NULL;
    req->reading = NULL;
    if (c->req_ours)
        req_destroy(req);
}

static void end_work(struct tg_http_conn *c)
{
    if (c->in_work)
        c->server->stats.active--;
    c->in_work = false;
}

static void conn_release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_http_conn, grave));
}

void tg_http_conn_record(struct tg_http_conn *c, unsigned event)
{
    if (!c->owner || (c->refused && event != TG_CONN_GONE))
        return;
    c->events |= (uint8_t)event;
    tg_loop_wake(c->loop, c->owner);
}

/* Under TLS an end without close_notify is a cut (RFC 8446 6.1): right for an aborted answer, wrong
 * for a complete one, whose end may be the connection's. */
static void say_goodbye(struct tg_http_conn *c)
{
    if (c->tls && c->state != TG_CONN_TLS && (c->state == TG_CONN_IDLE || c->flushed))
        (void)!tg_stream_shutdown(c->stream);
}

void tg_http_conn_close(struct tg_http_conn *c)
{
    if (c->state == TG_CONN_CLOSED)
        return;
    say_goodbye(c);
    if (!c->flushed)
        tg_http_conn_record(c, TG_CONN_GONE);
    end_work(c);
    c->state = TG_CONN_CLOSED;
    tg_timer_stop(c->loop, &c->timer);
    tg_task_cancel(&c->task);
    tg_list_del(&c->link);
    c->server->stats.open--;
    tg_stream_close(c->stream);
    c->stream = NULL;
    let_go_of_req(c);
    tg_bufq_fini(&c->out.q);
    tg_buf_fini(&c->pending);
    tg_http_server_cfg_unref(c->cfg);
    c->cfg = NULL;
    if (!c->owner)
        tg_loop_bury(c->loop, &c->grave, conn_release);
}

/* ---- the handler's hold ---- */

const char *tg_http_conn_peer(const struct tg_http_conn *c)
{
    return c->peer;
}

void tg_http_conn_attach(struct tg_http_conn *c, struct tg_task *owner)
{
    TG_REQUIRE(c->state != TG_CONN_CLOSED && !c->owner);
    c->owner = owner;
}

unsigned tg_http_conn_take_events(struct tg_http_conn *c)
{
    unsigned events = c->events;
    c->events = 0;
    return events;
}

void tg_http_conn_detach(struct tg_http_conn *c)
{
    TG_REQUIRE(c->owner);
    c->owner = NULL;
    c->events = 0;
    if (c->state == TG_CONN_CLOSED) {
        tg_loop_bury(c->loop, &c->grave, conn_release);
        return;
    }
    tg_http_conn_abort(c); /* nothing, when it is ended */
    tg_loop_wake(c->loop, &c->task);
}

/* ---- deadlines: one timer, looked at again when it fires ---- */

static uint64_t after(uint64_t from_ms, uint32_t delay_ms)
{
    return delay_ms ? from_ms + delay_ms : UINT64_MAX;
}

static uint64_t conn_deadline(const struct tg_http_conn *c)
{
    const struct tg_http_server_opts *o = &c->cfg->o;
    uint64_t due = UINT64_MAX;

    switch ((enum tg_http_conn_state)c->state) {
    case TG_CONN_TLS:
    case TG_CONN_HEAD:
        due = after(c->since_ms, o->header_timeout_ms);
        break;
    case TG_CONN_IDLE:
        due = after(c->since_ms, o->idle_timeout_ms);
        break;
    case TG_CONN_BODY:
        if (o->body_min_bytes_per_s)
            due = after(c->since_ms, o->body_grace_ms);
        break;
    case TG_CONN_LINGER:
        due = c->since_ms + TG_CONN_LINGER_MS;
        break;
    case TG_CONN_WAIT:
    case TG_CONN_CLOSED:
        break;
    }
    if (c->out.blocked) {
        uint64_t stall = after(c->out.progress_ms, o->write_stall_ms);
        due = stall < due ? stall : due;
    }
    return due;
}

/* Starts the timer when none runs or the deadline moved before it; a later deadline costs nothing,
 * the timer finds it when it fires. */
static void arm_timer(struct tg_http_conn *c)
{
    uint64_t due = conn_deadline(c), now = tg_loop_now_ms(c->loop);
    if (due == UINT64_MAX || (tg_timer_active(&c->timer) && c->timer.due_ms <= due))
        return;
    tg_timer_start(c->loop, &c->timer, due > now ? due - now : 0);
}

static void conn_on_timer(struct tg_timer *t)
{
    struct tg_http_conn *c = tg_container_of(t, struct tg_http_conn, timer);
    if (conn_deadline(c) > tg_loop_now_ms(c->loop)) {
        arm_timer(c);
        return;
    }
    c->fired = true;
    tg_loop_wake(c->loop, &c->task);
}

/* ---- refusing ---- */

/* No answer was begun: the owner writes one, then the connection lingers and closes. The handler
 * that may be attached is told that its request is gone. */
static void refuse(struct tg_http_conn *c, int err)
{
    struct tg_http_server *s = c->server;

    if (c->answer != TG_ANSWER_NONE) {
        tg_http_conn_close(c);
        return;
    }
    if (err == TG_E_REQUEST_TIMEOUT)
        s->stats.closed_timeout++;
    else
        s->stats.bad_requests++;
    c->refused = true;
    c->keep = false;
    tg_http_conn_record(c, TG_CONN_GONE);
    let_go_of_req(c);
    enter(c, TG_CONN_WAIT);
    s->ops.on_refused(s->ctx, c, err);
    if (c->state == TG_CONN_CLOSED)
        return;
    if (c->answer == TG_ANSWER_NONE)
        tg_http_conn_close(c);
    else
        tg_http_conn_end(c);
}

/* ---- reading ---- */

static int begin_message(struct tg_http_conn *c)
{
    struct tg_arena arena;
    int rc;

    tg_arena_init(&arena, TG_CONN_REQ_ARENA, TG_CONN_REQ_ARENA_MAX);
    struct tg_http_req *req = tg_arena_new(&arena, struct tg_http_req);
    if (!req)
        return TG_E_NOMEM;
    req->arena = arena;
    tg_buf_init(&req->body, c->cfg->o.max_body_bytes ? (size_t)c->cfg->o.max_body_bytes : SIZE_MAX);
    req->reading = c;
    c->req = req;
    c->req_ours = true;
    c->minor = 1;
    c->framing = TG_FRAMING_NO_BODY;
    rc = tg_h1_new(TG_H1_REQUEST, &c->cfg->o.limits, &req->arena, &c->parser);
    if (rc < 0)
        return rc;
    memcpy(req->peer, c->peer, sizeof req->peer);
    enter(c, TG_CONN_HEAD);
    return 0;
}

/* A small body is allocated exactly and at once; a big one grows with what arrives (a header alone
 * can't make us hold 20 MB) and ends exact too. */
static int prepare_body(struct tg_http_conn *c, const struct tg_http_head *head)
{
    struct tg_buf *body = &c->req->body;

    c->chunked_in = head->body == TG_HTTP_BODY_CHUNKED;
    c->unread_bytes = 0;
    if (head->body != TG_HTTP_BODY_LENGTH)
        return 0;
    c->unread_bytes = head->content_length;
    body->max_bytes = (size_t)head->content_length;
    if (head->content_length == 0 || head->content_length > TG_CONN_BODY_EXACT)
        return 0;
    return tg_buf_reserve(body, (size_t)head->content_length);
}

static int send_100(struct tg_http_conn *c)
{
    c->want_100 = false;
    return tg_http_conn_raw(c, TG_STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static int on_head(struct tg_http_conn *c, const struct tg_http_head *head, bool body_is_here)
{
    struct tg_http_server *s = c->server;
    struct tg_http_req *req = c->req;
    int rc = prepare_body(c, head);

    if (rc < 0)
        return rc;
    req->head = head;
    req->received_us = tg_clock_mono_us();
    c->minor = head->minor;
    c->keep = head->keep_alive;
    c->is_head = head->method == TG_HTTP_HEAD;
    c->want_100 = head->expect_continue && head->minor >= 1 && head->body != TG_HTTP_BODY_NONE &&
                  !body_is_here;
    c->in_work = true;
    s->stats.active++;
    c->req_ours = false;
    enter(c, TG_CONN_BODY);
    s->ops.on_request(s->ctx, c, req);
    if (c->state == TG_CONN_CLOSED)
        return 0;
    if (!c->owner && c->answer != TG_ANSWER_ENDED) {
        tg_http_conn_close(c);
        return 0;
    }
    return c->want_100 && c->answer == TG_ANSWER_NONE ? send_100(c) : 0;
}

/* Body bytes, unless nobody wants them any more. */
static int on_body(struct tg_http_conn *c, struct tg_str bytes)
{
    struct tg_buf *body = &c->req->body;

    c->window_bytes += bytes.n;
    c->unread_bytes -= c->chunked_in ? 0 : bytes.n;
    c->want_100 = false;
    if (c->req_ours || c->answer == TG_ANSWER_ENDED) {
        c->dropped += (uint32_t)bytes.n;
        return 0;
    }
    if (body->p && bytes.p == body->p + body->n) { /* it was read in place */
        body->n += bytes.n;
        return 0;
    }
    return tg_buf_str_add(body, bytes);
}

static void on_message_end(struct tg_http_conn *c)
{
    let_go_of_req(c);
    enter(c, TG_CONN_WAIT);
    tg_http_conn_record(c, TG_CONN_BODY_DONE);
}

/* Parses until the message ends (the rest stays in *in) or the bytes are used up. */
static void parse(struct tg_http_conn *c, struct tg_str *in)
{
    struct tg_h1_event ev;
    int rc = 0;

    if (c->state == TG_CONN_IDLE)
        rc = begin_message(c);
    while (rc >= 0 && (c->state == TG_CONN_HEAD || c->state == TG_CONN_BODY)) {
        size_t before = in->n;
        rc = tg_h1_next(c->parser, in, &ev);
        c->req->wire_bytes_in += before - in->n;
        if (rc <= 0)
            break;
        switch (ev.kind) {
        case TG_H1_HEAD:
            rc = on_head(c, ev.head, in->n > 0);
            break;
        case TG_H1_BODY:
            rc = on_body(c, ev.body);
            break;
        case TG_H1_END:
            on_message_end(c);
            return;
        }
    }
    if (rc < 0 && c->state != TG_CONN_CLOSED)
        refuse(c, rc);
}

/* Bytes of the next request while this one is in work. After "Connection: close" nothing more is
 * parsed (RFC 9112 9.6), so nothing is kept. */
static void keep_pending(struct tg_http_conn *c, struct tg_str in)
{
    if (!c->keep || tg_buf_str_add(&c->pending, in) < 0) {
        c->keep = false;
        c->dropped += (uint32_t)in.n;
    }
}

static void feed(struct tg_http_conn *c, struct tg_str in)
{
    if (c->state == TG_CONN_IDLE || c->state == TG_CONN_HEAD || c->state == TG_CONN_BODY)
        parse(c, &in);
    if (in.n == 0)
        return;
    if (c->state == TG_CONN_WAIT)
        keep_pending(c, in);
    else if (c->state == TG_CONN_LINGER)
        c->dropped += (uint32_t)in.n;
}

/* The next request's bytes came with or before the answer to the last one. */
static void feed_pending(struct tg_http_conn *c)
{
    struct tg_buf held = c->pending;
    struct tg_str in = tg_buf_str(&held);

    tg_buf_init(&c->pending, TG_CONN_PENDING_MAX);
    parse(c, &in);
    if (in.n > 0 && c->state == TG_CONN_WAIT && c->keep) {
        tg_buf_drop(&held, held.n - in.n);
        c->pending = held;
        return;
    }
    tg_buf_fini(&held);
}

/* The end of input. FIN means "left" unless the answer is complete or the owner says otherwise. */
static void on_input_end(struct tg_http_conn *c, int rc)
{
    if (c->eof && rc == TG_E_EOF)
        return;
    bool may_finish = rc == TG_E_EOF && c->state == TG_CONN_WAIT && !c->flushed &&
                      (c->answer == TG_ANSWER_ENDED || c->refused || c->cfg->o.half_close_ok);
    if (!may_finish) {
        tg_http_conn_close(c);
        return;
    }
    c->eof = true;
    if (c->pending.n > 0 && !c->cfg->o.half_close_ok)
        c->keep = false; /* what it sent ahead is not begun */
}

/* What follows a message in one read must fit into `pending`. */
static size_t read_room(const struct tg_http_conn *c)
{
    if (c->state == TG_CONN_WAIT && c->keep)
        return TG_CONN_PENDING_MAX - c->pending.n;
    return TG_CONN_PENDING_MAX;
}

/* Where the next bytes go: straight into the body's buffer when much of it is still to come. */
static char *read_target(struct tg_http_conn *c, size_t *out_cap)
{
    struct tg_buf *body = c->req ? &c->req->body : NULL;

    *out_cap = read_room(c);
    if (c->state != TG_CONN_BODY || c->req_ours || c->chunked_in || c->answer == TG_ANSWER_ENDED ||
        c->unread_bytes < 8192)
        return tg_loop_read_buf(c->loop);
    size_t room = body->cap - body->n;
    if (room < 8192 && room < c->unread_bytes) {
        size_t grow =
            c->unread_bytes < TG_LOOP_READ_BYTES ? (size_t)c->unread_bytes : TG_LOOP_READ_BYTES;
        if (tg_buf_reserve(body, grow) < 0)
            return tg_loop_read_buf(c->loop); /* on_body will fail and say so */
        room = body->cap - body->n;
    }
    *out_cap = room < c->unread_bytes ? room : (size_t)c->unread_bytes;
    return body->p + body->n;
}

static void on_readable(struct tg_http_conn *c)
{
    size_t cap;
    char *buf = read_target(c, &cap);

    if (cap == 0)
        return;
    c->more = false;
    int rc = tg_stream_read(c->stream, buf, cap);
    if (rc == TG_E_AGAIN)
        return;
    if (rc < 0) {
        on_input_end(c, rc);
        return;
    }
    c->server->stats.bytes_in += (uint64_t)rc;
    if (c->eof)
        return;
    feed(c, tg_str_make(buf, (size_t)rc));
    /* A message that is not whole: come back without a poll in between. */
    c->more = (size_t)rc == cap && (c->state == TG_CONN_HEAD || c->state == TG_CONN_BODY);
}

/* ---- what comes next ---- */

static void start_linger(struct tg_http_conn *c)
{
    tg_buf_fini(&c->pending);
    tg_buf_init(&c->pending, TG_CONN_PENDING_MAX);
    let_go_of_req(c);
    if (c->eof || tg_stream_shutdown(c->stream) < 0) {
        tg_http_conn_close(c);
        return;
    }
    enter(c, TG_CONN_LINGER);
    c->dropped = 0;
}

static void next_message(struct tg_http_conn *c)
{
    end_work(c);
    tg_http_conn_out_reset(c);
    c->answer = TG_ANSWER_NONE;
    c->framing = TG_FRAMING_NO_BODY;
    c->events = 0;
    c->dropped = 0;
    c->flushed = c->is_head = c->want_100 = false;
    enter(c, TG_CONN_IDLE);
    if (c->server->draining)
        tg_http_conn_close(c);
    else if (c->pending.n > 0)
        feed_pending(c);
    if (c->eof && (c->state == TG_CONN_HEAD || c->state == TG_CONN_BODY))
        tg_http_conn_close(c); /* the rest will not come */
}

/* The answer is out. */
static void after_answer(struct tg_http_conn *c)
{
    if (!c->flushed) {
        c->flushed = true;
        if (c->answer == TG_ANSWER_ENDED)
            tg_http_conn_record(c, TG_CONN_FLUSHED);
    }
    if (c->answer == TG_ANSWER_ABORTED) {
        c->flushed = false; /* a cut answer is not a delivered one */
        tg_http_conn_close(c);
        return;
    }
    bool unread = c->state == TG_CONN_BODY;
    if (!c->keep || (unread && c->dropped > TG_CONN_DROP_MAX)) {
        end_work(c);
        if (c->refused || unread || c->pending.n > 0 || c->dropped > 0)
            start_linger(c);
        else
            tg_http_conn_close(c);
        return;
    }
    if (c->eof && c->pending.n == 0)
        tg_http_conn_close(c);
    else if (!unread && !c->owner)
        next_message(c);
}

static bool answer_is_out(const struct tg_http_conn *c)
{
    return (c->answer == TG_ANSWER_ENDED || c->answer == TG_ANSWER_ABORTED) &&
           !tg_http_conn_out_waiting(c);
}

/* Flushes, and moves on when the answer is out. Whatever the next message starts wakes this task.
 */
static void go_on(struct tg_http_conn *c)
{
    if (c->state == TG_CONN_CLOSED || c->state == TG_CONN_LINGER)
        return;
    if (tg_http_conn_out_waiting(c) && tg_http_conn_flush(c) < 0)
        tg_http_conn_close(c);
    else if (answer_is_out(c))
        after_answer(c);
}

static void update_want(struct tg_http_conn *c)
{
    unsigned want = TG_WANT_READ;

    if (c->state == TG_CONN_WAIT &&
        (c->keep ? c->pending.n >= TG_CONN_PENDING_MAX : c->dropped > TG_CONN_DROP_MAX))
        want = 0;
    if (c->out.blocked)
        want |= TG_WANT_WRITE;
    tg_stream_want(c->stream, c->tls ? tg_stream_want_io(c->stream, want) : want);
}

static void on_deadline(struct tg_http_conn *c)
{
    struct tg_http_server_stats *stats = &c->server->stats;
    const struct tg_http_server_opts *o = &c->cfg->o;
    uint64_t now = tg_loop_now_ms(c->loop);

    if (conn_deadline(c) > now)
        return;
    if (c->out.blocked && after(c->out.progress_ms, o->write_stall_ms) <= now) {
        stats->cut_stalled++;
        tg_http_conn_close(c);
        return;
    }
    if (c->state == TG_CONN_BODY) {
        uint64_t least = (uint64_t)o->body_min_bytes_per_s * o->body_grace_ms / 1000;
        if (c->window_bytes < least)
            refuse(c, TG_E_REQUEST_TIMEOUT);
        else
            enter(c, TG_CONN_BODY); /* the next window */
        return;
    }
    if (c->state == TG_CONN_HEAD) {
        refuse(c, TG_E_REQUEST_TIMEOUT);
        return;
    }
    if (c->state == TG_CONN_IDLE)
        stats->closed_idle++;
    else if (c->state == TG_CONN_TLS)
        stats->closed_timeout++;
    tg_http_conn_close(c);
}

static void on_handshake(struct tg_http_conn *c)
{
    int rc = tg_stream_tls_step(c->stream);
    if (rc == TG_E_AGAIN)
        return;
    if (rc < 0) {
        tg_http_conn_close(c);
        return;
    }
    enter(c, TG_CONN_IDLE);
    c->more = true;
}

static void conn_step(struct tg_task *t)
{
    struct tg_http_conn *c = tg_container_of(t, struct tg_http_conn, task);
    if (c->state == TG_CONN_CLOSED)
        return;
    unsigned ready = c->stream->ready;

    c->stream->ready = 0;
    if (c->fired) {
        c->fired = false;
        on_deadline(c);
    }
    if (ready && c->state != TG_CONN_CLOSED)
        c->out.blocked = c->out.blocked && !(ready & TG_WANT_WRITE) && !c->tls;
    if (c->state == TG_CONN_TLS)
        on_handshake(c);
    if (c->state != TG_CONN_CLOSED && c->state != TG_CONN_TLS &&
        ((ready & TG_WANT_READ) || c->more))
        on_readable(c);
    if (c->state == TG_CONN_LINGER && c->dropped > TG_CONN_DROP_MAX)
        tg_http_conn_close(c);
    go_on(c);
    if (c->state == TG_CONN_CLOSED)
        return;
    update_want(c);
    arm_timer(c);
    if (c->more && read_room(c) > 0)
        tg_loop_wake(c->loop, &c->task);
}
