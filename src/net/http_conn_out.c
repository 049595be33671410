/* The answer's way out: head, framing, queue, one writev per flush. The handler's functions only
 * fill the queue and wake the connection; its own step flushes. The one exception is a big write,
 * which is offered to the socket at once to save a copy. */
#include "net/http_server_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/num.h"

#define OUT_IOV 64

void tg_http_conn_out_reset(struct tg_http_conn *c)
{
    struct tg_http_conn_out *o = &c->out;
    o->lead = o->chunk_left = 0;
    o->tail = NULL;
    o->body_left = o->bytes = 0;
    o->head_n = o->head_off = o->tail_n = o->tail_off = 0;
    o->chunk_open = o->last_chunk = o->above_high = false;
}

static bool is_over(const struct tg_http_conn *c)
{
    return c->answer == TG_ANSWER_ENDED || c->answer == TG_ANSWER_ABORTED;
}

bool tg_http_conn_out_waiting(const struct tg_http_conn *c)
{
    const struct tg_http_conn_out *o = &c->out;
    if (o->q.n > 0 || o->chunk_open)
        return true;
    return c->framing == TG_FRAMING_CHUNKED && c->answer == TG_ANSWER_ENDED && !o->last_chunk;
}

/* ---- flushing ---- */

static void set_tail(struct tg_http_conn_out *o, const char *tail, size_t n)
{
    o->tail = tail;
    o->tail_n = (uint8_t)n;
    o->tail_off = 0;
}

/* Frames `payload` bytes as one chunk (RFC 9112 7.1); the answer's end rides along when known. */
static void open_chunk(struct tg_http_conn *c, size_t payload)
{
    struct tg_http_conn_out *o = &c->out;
    bool last = c->answer == TG_ANSWER_ENDED;

    o->chunk_left = payload;
    o->head_off = 0;
    o->head_n = payload > 0 ? (uint8_t)tg_h1_chunk_head(o->chunk_head, payload) : 0;
    if (payload == 0)
        set_tail(o, "0\r\n\r\n", 5);
    else if (last)
        set_tail(o, "\r\n0\r\n\r\n", 7);
    else
        set_tail(o, "\r\n", 2);
    o->last_chunk = last;
    o->chunk_open = true;
}

static void maybe_open_chunk(struct tg_http_conn *c)
{
    struct tg_http_conn_out *o = &c->out;
    if (c->framing != TG_FRAMING_CHUNKED || o->chunk_open || o->last_chunk)
        return;
    size_t unframed = o->q.n - o->lead;
    if (unframed > 0 || c->answer == TG_ANSWER_ENDED)
        open_chunk(c, unframed);
}

/* A cursor over the queue's pieces. */
struct piece_cursor {
    const struct iovec *iov;
    int n, i;
    size_t off;
};

/* Moves up to `want` bytes of pieces into dst; returns how many bytes were placed. */
static size_t place(struct piece_cursor *from, struct iovec *dst, int cap, int *n, size_t want)
{
    size_t placed = 0;
    while (placed < want && from->i < from->n && *n < cap) {
        const struct iovec *v = &from->iov[from->i];
        size_t len = v->iov_len - from->off;
        if (len > want - placed)
            len = want - placed;
        dst[*n].iov_base = (char *)v->iov_base + from->off;
        dst[(*n)++].iov_len = len;
        placed += len;
        from->off += len;
        if (from->off == v->iov_len) {
            from->i++;
            from->off = 0;
        }
    }
    return placed;
}

static void place_bytes(struct iovec *dst, int *n, const char *p, size_t len)
{
    if (len == 0)
        return;
    union { /* writev does not write through it */
        const char *in;
        char *out;
    } u = {.in = p};
    dst[*n].iov_base = u.out;
    dst[(*n)++].iov_len = len;
}

/* What the next writev offers: lead bytes, then the open chunk with its frame. */
static int gather(const struct tg_http_conn_out *o, struct iovec *dst, size_t *out_bytes)
{
    struct iovec raw[OUT_IOV - 4];
    struct piece_cursor cur = {raw, tg_bufq_iov(&o->q, raw, OUT_IOV - 4), 0, 0};
    int n = 0;
    size_t lead = place(&cur, dst, OUT_IOV - 2, &n, o->lead), payload = 0;

    if (o->chunk_open && lead == o->lead) {
        place_bytes(dst, &n, o->chunk_head + o->head_off, (size_t)(o->head_n - o->head_off));
        payload = place(&cur, dst, OUT_IOV - 1, &n, o->chunk_left);
        if (payload == o->chunk_left)
            place_bytes(dst, &n, o->tail + o->tail_off, (size_t)(o->tail_n - o->tail_off));
    }
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += dst[i].iov_len;
    *out_bytes = total;
    return n;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes n written bytes off the front: lead, chunk head, payload, tail. */
static void consume(struct tg_http_conn_out *o, size_t n)
{
    size_t k = min_size(n, o->lead);
    tg_bufq_drop(&o->q, k);
    o->lead -= k;
    n -= k;
    if (!o->chunk_open) {
        TG_INVARIANT(n == 0);
        return;
    }
    k = min_size(n, (size_t)(o->head_n - o->head_off));
    o->head_off = (uint8_t)(o->head_off + k);
    n -= k;
    k = min_size(n, o->chunk_left);
    tg_bufq_drop(&o->q, k);
    o->chunk_left -= k;
    n -= k;
    o->tail_off = (uint8_t)(o->tail_off + n);
    TG_INVARIANT(o->tail_off <= o->tail_n);
    if (o->head_off == o->head_n && o->chunk_left == 0 && o->tail_off == o->tail_n)
        o->chunk_open = false;
}

static void set_blocked(struct tg_http_conn *c)
{
    if (c->out.progress_ms == 0)
        c->out.progress_ms = tg_loop_now_ms(c->loop);
    c->out.blocked = true;
}

static void note_written(struct tg_http_conn *c, size_t n)
{
    c->out.bytes += n;
    c->out.progress_ms = tg_loop_now_ms(c->loop);
    c->server->stats.bytes_out += n;
}

static void check_low_mark(struct tg_http_conn *c)
{
    if (c->out.above_high && c->out.q.n <= c->cfg->o.low_mark_bytes) {
        c->out.above_high = false;
        tg_http_conn_record(c, TG_CONN_DRAINED);
    }
}

int tg_http_conn_flush(struct tg_http_conn *c)
{
    struct iovec iov[OUT_IOV];
    size_t offered;
    int rc = 0;

    while (!c->out.blocked) {
        maybe_open_chunk(c);
        int n = gather(&c->out, iov, &offered);
        if (n == 0)
            break;
        rc = tg_stream_writev(c->stream, iov, n);
        if (rc == TG_E_AGAIN) {
            set_blocked(c);
            break;
        }
        if (rc < 0)
            return rc;
        note_written(c, (size_t)rc);
        consume(&c->out, (size_t)rc);
        if ((size_t)rc < offered)
            set_blocked(c);
    }
    if (!c->out.blocked)
        c->out.progress_ms = 0;
    check_low_mark(c);
    return 0;
}

/* ---- the answer's head ---- */

static int pick_framing(struct tg_http_conn *c, int status, uint64_t length)
{
    if (c->is_head || status == 204 || status == 304)
        return TG_FRAMING_NO_BODY;
    if (length != TG_HTTP_LENGTH_UNKNOWN)
        return TG_FRAMING_LENGTH;
    /* Who sent something unreadable gets the framing that everyone understands. */
    return c->minor >= 1 && !c->refused ? TG_FRAMING_CHUNKED : TG_FRAMING_CLOSE;
}

/* The rest of an unread body must be small and must be known to come, or the connection ends. */
static bool can_skip_body(const struct tg_http_conn *c)
{
    if (c->state != TG_CONN_BODY)
        return true;
    return !c->want_100 && !c->chunked_in && c->unread_bytes <= TG_CONN_DROP_MAX;
}

static void write_framing(struct tg_http_conn *c, struct tg_buf *b, int status, uint64_t length)
{
    char digits[20];

    if (length != TG_HTTP_LENGTH_UNKNOWN && status != 204) {
        tg_buf_lit(b, "Content-Length: ");
        tg_buf_add(b, digits, tg_fmt_u64(digits, length));
        tg_buf_lit(b, "\r\n");
    } else if (c->framing == TG_FRAMING_CHUNKED) {
        tg_buf_lit(b, "Transfer-Encoding: chunked\r\n");
    }
    if (!c->keep)
        tg_buf_lit(b, "Connection: close\r\n");
    else if (c->minor == 0)
        tg_buf_lit(b, "Connection: keep-alive\r\n");
}

static int write_head(struct tg_http_conn *c, int status, const struct tg_http_header *headers,
                      size_t n_headers, uint64_t length)
{
    struct tg_buf *b = &c->server->scratch;
    int rc;

    tg_buf_clear(b);
    rc = tg_h1_write_status_line(b, status);
    if (rc < 0)
        return rc;
    tg_buf_lit(b, "Date: ");
    tg_buf_str_add(b, tg_http_server_date(c->server));
    tg_buf_lit(b, "\r\n");
    for (size_t i = 0; i < n_headers; i++) {
        rc = tg_h1_write_header(b, headers[i].name, headers[i].value);
        if (rc < 0)
            return rc;
    }
    write_framing(c, b, status, length);
    tg_buf_lit(b, "\r\n");
    return tg_buf_ok(b) ? 0 : TG_E_NOMEM;
}

/* `more`: about how much body will follow at once. */
static int queue_lead(struct tg_http_conn *c, struct tg_str bytes, uint64_t more)
{
    TG_REQUIRE(c->out.q.n == c->out.lead);
    int rc = tg_bufq_add_room(&c->out.q, bytes, more < TG_CONN_DIRECT_BYTES ? (size_t)more : 0);
    if (rc < 0)
        return rc;
    c->out.lead += bytes.n;
    tg_loop_wake(c->loop, &c->task);
    return 0;
}

int tg_http_conn_raw(struct tg_http_conn *c, struct tg_str bytes)
{
    return queue_lead(c, bytes, 0);
}

int tg_http_conn_respond(struct tg_http_conn *c, int status, const struct tg_http_header *headers,
                         size_t n_headers, uint64_t content_length)
{
    if (c->state == TG_CONN_CLOSED || is_over(c))
        return TG_E_CANCELLED;
    if (c->answer != TG_ANSWER_NONE || status < 200 || status > 999)
        return TG_E_INVALID_ARG;

    bool keep = c->keep;
    c->framing = (uint8_t)pick_framing(c, status, content_length);
    c->keep = keep && !c->server->draining && !c->refused && c->framing != TG_FRAMING_CLOSE &&
              !(c->eof && c->pending.n == 0) && can_skip_body(c);
    int rc = write_head(c, status, headers, n_headers, content_length);
    if (rc == 0)
        rc = queue_lead(c, tg_buf_str(&c->server->scratch), content_length);
    if (rc < 0) {
        c->keep = keep;
        return rc;
    }
    c->answer = TG_ANSWER_OPEN;
    c->want_100 = false;
    c->out.body_left = c->framing == TG_FRAMING_LENGTH ? content_length : 0;
    return 0;
}

/* ---- the answer's body ---- */

/* Queues the part of a direct write that the kernel did not take. */
static int queue_rest(struct tg_http_conn *c, struct tg_str rest)
{
    int rc = rest.n > 0 ? tg_bufq_add(&c->out.q, rest) : 0;
    if (rc < 0) { /* half of it is out: the answer can't be mended */
        tg_http_conn_abort(c);
        tg_bufq_fini(&c->out.q);
        tg_bufq_init(&c->out.q, 0);
        tg_http_conn_out_reset(c);
        c->out.last_chunk = true;
    }
    return rc;
}

/* Offers queued lead bytes and `bytes` to the socket in one call. The stream's errors are left for
 * the step's flush to find. */
static int write_direct(struct tg_http_conn *c, struct tg_str bytes)
{
    struct tg_http_conn_out *o = &c->out;
    struct iovec iov[OUT_IOV];
    size_t lead, taken = 0;
    bool chunked = c->framing == TG_FRAMING_CHUNKED;
    int n = gather(o, iov, &lead);

    TG_INVARIANT(lead == o->lead);
    if (chunked) {
        open_chunk(c, bytes.n);
        place_bytes(iov, &n, o->chunk_head, o->head_n);
    }
    place_bytes(iov, &n, bytes.p, bytes.n);
    if (chunked)
        place_bytes(iov, &n, o->tail, o->tail_n);
    int rc = tg_stream_writev(c->stream, iov, n);
    if (rc > 0) {
        taken = (size_t)rc;
        note_written(c, taken);
    }
    size_t before = lead + (chunked ? o->head_n : 0u); /* bytes of ours in front of the payload */
    size_t payload = taken > before ? min_size(taken - before, bytes.n) : 0;
    /* The payload that is out never sees the queue: settle the frame around it. */
    if (chunked)
        o->chunk_left = bytes.n - payload;
    else
        o->lead += bytes.n - payload;
    if (queue_rest(c, tg_str_from(bytes, payload)) < 0)
        return TG_E_NOMEM;
    consume(o, taken - payload);
    if ((rc >= 0 || rc == TG_E_AGAIN) && (tg_http_conn_out_waiting(c)))
        set_blocked(c);
    return 0;
}

static bool may_write_direct(const struct tg_http_conn *c, struct tg_str bytes)
{
    const struct tg_http_conn_out *o = &c->out;
    return bytes.n >= TG_CONN_DIRECT_BYTES && !o->blocked && !o->chunk_open && o->q.n == o->lead &&
           o->lead <= TG_CONN_DIRECT_BYTES;
}

static int check_write(const struct tg_http_conn *c, struct tg_str bytes)
{
    if (c->state == TG_CONN_CLOSED || is_over(c))
        return TG_E_CANCELLED;
    if (c->answer != TG_ANSWER_OPEN)
        return TG_E_INVALID_ARG;
    if (c->framing == TG_FRAMING_LENGTH && bytes.n > c->out.body_left)
        return TG_E_INVALID_ARG;
    if (c->out.q.n > 2 * (size_t)c->cfg->o.high_mark_bytes || bytes.n > TG_CONN_QUEUE_HARD)
        return TG_E_FULL;
    return 0;
}

int tg_http_conn_write(struct tg_http_conn *c, struct tg_str bytes)
{
    struct tg_http_conn_out *o = &c->out;
    int rc = check_write(c, bytes);

    if (rc < 0 || bytes.n == 0 || c->framing == TG_FRAMING_NO_BODY)
        return rc;
    if (may_write_direct(c, bytes))
        rc = write_direct(c, bytes);
    else
        rc = tg_bufq_add(&o->q, bytes);
    if (rc < 0)
        return rc;
    if (c->framing == TG_FRAMING_LENGTH)
        o->body_left -= bytes.n;
    if (c->framing != TG_FRAMING_CHUNKED)
        o->lead = o->q.n;
    if (o->q.n >= c->cfg->o.high_mark_bytes)
        o->above_high = true;
    tg_loop_wake(c->loop, &c->task);
    return 0;
}

size_t tg_http_conn_queued(const struct tg_http_conn *c)
{
    return c->out.q.n;
}
bool tg_http_conn_above_high(const struct tg_http_conn *c)
{
    return c->out.above_high;
}
uint64_t tg_http_conn_bytes_out(const struct tg_http_conn *c)
{
    return c->out.bytes;
}

void tg_http_conn_end(struct tg_http_conn *c)
{
    if (c->state == TG_CONN_CLOSED || is_over(c))
        return;
    bool short_body = c->framing == TG_FRAMING_LENGTH && c->out.body_left > 0;
    if (c->answer == TG_ANSWER_NONE || short_body) {
        tg_http_conn_abort(c);
        return;
    }
    c->answer = TG_ANSWER_ENDED;
    tg_loop_wake(c->loop, &c->task);
}

void tg_http_conn_abort(struct tg_http_conn *c)
{
    if (c->state == TG_CONN_CLOSED || is_over(c))
        return;
    c->answer = TG_ANSWER_ABORTED;
    c->keep = false;
    tg_loop_wake(c->loop, &c->task);
}
