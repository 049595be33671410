/* The pull machine: collects a head, then hands out the body. Chunk framing goes byte by byte, data
 * in pieces as large as the input has. */
#include "wire/h1_priv.h"

#include "base/assert.h"
#include "base/err.h"
#include "base/num.h"

#define MAX_CHUNK_LINE_BYTES 256
#define MAX_CHUNK_DIGITS     8

const struct tg_h1_limits tg_h1_limits_default = {
    .max_target_bytes = 8 * 1024,
    .max_line_bytes = 16 * 1024,
    .max_head_bytes = 64 * 1024,
    .max_headers = TG_HTTP_MAX_HEADERS,
    .max_interim = 100,
    .max_trailer_bytes = 8 * 1024,
    .max_body_bytes = 0,
};

/* Keeps the arithmetic on 32-bit offsets safe whatever a configuration says. */
static uint32_t sane(uint32_t bytes)
{
    return bytes < 1u << 28 ? bytes : 1u << 28;
}

int tg_h1_new(enum tg_h1_role role, const struct tg_h1_limits *limits, struct tg_arena *arena,
              struct tg_h1 **out)
{
    struct tg_h1 *p = tg_arena_new(arena, struct tg_h1);
    if (!p)
        return TG_E_NOMEM;
    p->arena = arena;
    p->role = (uint8_t)role;
    p->limits = *limits;
    p->limits.max_target_bytes = sane(limits->max_target_bytes);
    p->limits.max_line_bytes = sane(limits->max_line_bytes);
    p->limits.max_head_bytes = sane(limits->max_head_bytes);
    if (p->limits.max_headers > TG_HTTP_MAX_HEADERS)
        p->limits.max_headers = TG_HTTP_MAX_HEADERS;
    p->request_method = TG_HTTP_GET;
    *out = p;
    return 0;
}

void tg_h1_set_request_method(struct tg_h1 *p, enum tg_http_method m)
{
    TG_REQUIRE(p->role == TG_H1_RESPONSE);
    p->request_method = (uint8_t)m;
}

static void advance(struct tg_str *in, size_t n)
{
    in->p += n;
    in->n -= n;
}

/* ---- head ---- */

static int buf_append(struct tg_h1 *p, const char *s, size_t n)
{
    size_t need = p->buf_len + n;
    if (need > p->buf_cap) {
        size_t cap = need;
        if (p->buf_len > 0) { /* comes in pieces: more will follow */
            cap = p->buf_cap * (size_t)2 > need ? p->buf_cap * (size_t)2 : need;
            cap = cap < 1024 ? 1024 : cap;
        }
        char *q = tg_arena_grow(p->arena, p->buf_len > 0 ? p->buf : NULL, p->buf_cap, cap);
        if (!q)
            return TG_E_NOMEM;
        p->buf = q;
        p->buf_cap = (uint32_t)cap;
    }
    memcpy(p->buf + p->buf_len, s, n);
    p->buf_len += (uint32_t)n;
    return 0;
}

/* Adds the next piece of the line being collected, at most to where its length alone decides.
 * 1: up to its LF; 0: a part. */
static int line_append(struct tg_h1 *p, struct tg_str *in)
{
    const char *lf = memchr(in->p, '\n', in->n);
    size_t take = lf ? (size_t)(lf + 1 - in->p) : in->n;
    size_t max = p->lines == 0 && p->role == TG_H1_REQUEST
                     ? (size_t)p->limits.max_target_bytes + H1_REQUEST_LINE_EXTRA
                     : (size_t)p->limits.max_line_bytes + 3;
    size_t have = p->buf_len - p->line_start;
    if (take > max - have) {
        take = max - have;
        lf = NULL;
    }
    if (p->lines > 0 && p->buf_len + take > p->limits.max_head_bytes)
        return TG_E_HEADERS_TOO_LARGE;
    int rc = buf_append(p, in->p, take);
    if (rc < 0)
        return rc;
    advance(in, take);
    return lf ? 1 : 0;
}

/* A head that does not lie whole in one read: line by line into the arena, each line judged as soon
 * as it is complete. 1: the head is complete; 0: more bytes are needed. */
static int head_collect(struct tg_h1 *p, struct tg_str *in)
{
    p->phase = H1_HEAD_PART;
    while (in->n > 0) {
        int whole = line_append(p, in);
        if (whole < 0)
            return whole;
        const char *s = p->buf + p->line_start;
        size_t n = p->buf_len - p->line_start;
        if (whole == 0) {
            int rc = h1_head_check_part(p, s, n);
            if (rc < 0)
                return rc;
            TG_INVARIANT(in->n == 0); /* a line that was cut is refused for its length */
            return 0;
        }
        if (p->lines > 0 && (n == 1 || (n == 2 && s[0] == '\r')))
            return 1;
        int rc = h1_head_check_line(p, s, n);
        if (rc == 0 && p->buf_len > p->limits.max_head_bytes)
            rc = TG_E_HEADERS_TOO_LARGE;
        if (rc < 0)
            return rc;
        p->line_start = p->buf_len;
        p->lines++;
    }
    return 0;
}

/* One empty line before a request is ignored (RFC 9112 2.2): clients sent it after a body.
 * 1: go on; 0: more bytes needed. */
static int skip_empty_line(struct tg_h1 *p, struct tg_str *in)
{
    if (p->role == TG_H1_REQUEST && p->skipped == 0 && in->n > 0 && in->p[0] == '\r') {
        advance(in, 1);
        p->skipped = 1;
    }
    if (p->skipped == 1 && in->n > 0) {
        if (in->p[0] != '\n')
            return TG_E_BAD_REQUEST;
        advance(in, 1);
        p->skipped = 2;
    }
    return in->n > 0;
}

/* 1: a head is in p->head. */
static int head_take(struct tg_h1 *p, struct tg_str *in)
{
    struct h1_lines lines __attribute__((uninitialized));
    int rc;
    if (p->phase == H1_START) {
        rc = skip_empty_line(p, in);
        if (rc <= 0)
            return rc;
        uint32_t n = h1_head_find(in->p, in->n, p->limits.max_head_bytes, &lines);
        if (n > 0) {
            rc = buf_append(p, in->p, n);
            if (rc < 0)
                return rc;
            advance(in, n);
            rc = h1_head_parse(p, &lines);
            return rc < 0 ? rc : 1;
        }
    }
    rc = head_collect(p, in);
    if (rc <= 0)
        return rc;
    uint32_t n = h1_head_find(p->buf, p->buf_len, p->buf_len, &lines);
    TG_INVARIANT(n == p->buf_len);
    rc = h1_head_parse(p, &lines);
    return rc < 0 ? rc : 1;
}

static void body_begin(struct tg_h1 *p)
{
    switch (p->head.body) {
    case TG_HTTP_BODY_LENGTH:
        p->left = p->head.content_length;
        p->phase = H1_LENGTH;
        break;
    case TG_HTTP_BODY_CHUNKED:
        p->phase = H1_CHUNK_SIZE;
        break;
    case TG_HTTP_BODY_CLOSE:
        p->phase = H1_CLOSE;
        break;
    case TG_HTTP_BODY_NONE:
        p->phase = H1_ENDING;
        break;
    }
}

static int head_next(struct tg_h1 *p, struct tg_str *in, struct tg_h1_event *ev)
{
    for (;;) {
        int rc = head_take(p, in);
        if (rc <= 0)
            return rc;
        if (p->role == TG_H1_REQUEST || p->head.status / 100 != 1)
            break;
        /* We never ask to switch protocols, so 101 is no answer to us. A length or coding, which
         * RFC 9110 8.6 and RFC 9112 6.1 forbid here, would be a body to some readers. */
        if (p->head.status == 101 || p->interim >= p->limits.max_interim || p->n_length > 0 ||
            p->n_coding > 0)
            return TG_E_BAD_REQUEST;
        p->interim++;
        p->buf_len = p->line_start = 0;
        p->lines = 0;
        p->phase = H1_START;
        h1_head_reset(p);
    }
    body_begin(p);
    *ev = (struct tg_h1_event){.kind = TG_H1_HEAD, .head = &p->head};
    return 1;
}

/* ---- body ---- */

static int size_step(struct tg_h1 *p, char c)
{
    int v = tg_hex_digit(c);
    if (v >= 0) {
        if (p->digits == MAX_CHUNK_DIGITS)
            return TG_E_BAD_CHUNK;
        p->digits++;
        p->left = p->left << 4 | (uint64_t)v;
        return 0;
    }
    if (p->digits == 0 || (c != '\r' && c != ';'))
        return TG_E_BAD_CHUNK;
    p->counter = p->digits + 1u;
    p->phase = c == '\r' ? H1_CHUNK_SIZE_LF : H1_CHUNK_EXT;
    return 0;
}

/* The size line is complete. */
static int size_done(struct tg_h1 *p)
{
    p->counter = 0;
    p->digits = 0;
    if (p->left == 0) {
        p->phase = H1_TRAILER_START;
        return 0;
    }
    uint64_t max = p->limits.max_body_bytes;
    if (max > 0 && p->left > max - p->body_bytes)
        return TG_E_BODY_TOO_LARGE;
    p->body_bytes += p->left;
    p->phase = H1_CHUNK_DATA;
    return 0;
}

static int chunk_step(struct tg_h1 *p, char c)
{
    switch (p->phase) {
    case H1_CHUNK_SIZE:
        return size_step(p, c);
    case H1_CHUNK_EXT: /* ignored, but for what could end a line in someone's eyes */
        if (c == '\r') {
            p->phase = H1_CHUNK_SIZE_LF;
            return 0;
        }
        return h1_is(c, H1_VALUE) && p->counter++ < MAX_CHUNK_LINE_BYTES ? 0 : TG_E_BAD_CHUNK;
    case H1_CHUNK_SIZE_LF:
        return c == '\n' ? size_done(p) : TG_E_BAD_CHUNK;
    case H1_CHUNK_CR:
        p->phase = H1_CHUNK_LF;
        return c == '\r' ? 0 : TG_E_BAD_CHUNK;
    default: /* H1_CHUNK_LF */
        p->phase = H1_CHUNK_SIZE;
        return c == '\n' ? 0 : TG_E_BAD_CHUNK;
    }
}

static int trailer_step(struct tg_h1 *p, char c)
{
    if (p->phase == H1_LAST_LF) {
        p->phase = H1_ENDING;
        return c == '\n' ? 0 : TG_E_BAD_CHUNK;
    }
    if (p->phase == H1_TRAILER_START && c == '\r') {
        p->phase = H1_LAST_LF;
        return 0;
    }
    if (++p->counter > p->limits.max_trailer_bytes)
        return TG_E_HEADERS_TOO_LARGE;
    switch (p->phase) {
    case H1_TRAILER_START:
        p->phase = H1_TRAILER_NAME;
        return h1_is(c, H1_TOKEN) ? 0 : TG_E_BAD_HEADER;
    case H1_TRAILER_NAME:
        if (c == ':')
            p->phase = H1_TRAILER_VALUE;
        return c == ':' || h1_is(c, H1_TOKEN) ? 0 : TG_E_BAD_HEADER;
    case H1_TRAILER_VALUE:
        if (c == '\r')
            p->phase = H1_TRAILER_LF;
        return c == '\r' || h1_is(c, H1_VALUE) ? 0 : TG_E_BAD_HEADER;
    default: /* H1_TRAILER_LF */
        p->phase = H1_TRAILER_START;
        return c == '\n' ? 0 : TG_E_BAD_HEADER;
    }
}

/* All that lies between the data: sizes, extensions, line ends, trailers. */
static int framing_skip(struct tg_h1 *p, struct tg_str *in)
{
    while (in->n > 0 && p->phase >= H1_CHUNK_SIZE && p->phase <= H1_LAST_LF &&
           p->phase != H1_CHUNK_DATA) {
        char c = in->p[0];
        advance(in, 1);
        int rc = p->phase >= H1_TRAILER_START ? trailer_step(p, c) : chunk_step(p, c);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int body_give(struct tg_str *in, size_t n, struct tg_h1_event *ev)
{
    *ev = (struct tg_h1_event){.kind = TG_H1_BODY, .body = tg_str_make(in->p, n)};
    advance(in, n);
    return 1;
}

/* A body that ends with the connection: what fits the limit is given before the failure. */
static int close_next(struct tg_h1 *p, struct tg_str *in, struct tg_h1_event *ev)
{
    uint64_t room =
        p->limits.max_body_bytes > 0 ? p->limits.max_body_bytes - p->body_bytes : UINT64_MAX;
    size_t n = in->n < room ? in->n : (size_t)room;
    if (n == 0)
        return TG_E_BODY_TOO_LARGE;
    p->body_bytes += n;
    return body_give(in, n, ev);
}

static int body_next(struct tg_h1 *p, struct tg_str *in, struct tg_h1_event *ev)
{
    int rc = framing_skip(p, in);
    if (rc < 0)
        return rc;
    if (p->phase == H1_ENDING) {
        p->phase = H1_DONE;
        *ev = (struct tg_h1_event){.kind = TG_H1_END};
        return 1;
    }
    if (p->phase == H1_DONE || in->n == 0)
        return 0;
    if (p->phase == H1_CLOSE)
        return close_next(p, in, ev);
    size_t n = in->n < p->left ? in->n : (size_t)p->left;
    p->left -= n;
    if (p->left == 0)
        p->phase = p->phase == H1_LENGTH ? H1_ENDING : H1_CHUNK_CR;
    return body_give(in, n, ev);
}

/* ---- the whole ---- */

/* Inside, errors are those of requests; a response's reader learns whose fault it was. */
static int fail(struct tg_h1 *p, int err)
{
    if (p->role == TG_H1_RESPONSE && err != TG_E_NOMEM && err != TG_E_UPSTREAM_INCOMPLETE) {
        bool size = err == TG_E_HEADERS_TOO_LARGE || err == TG_E_BODY_TOO_LARGE;
        err = size ? TG_E_UPSTREAM_TOO_LARGE : TG_E_UPSTREAM_INVALID;
    }
    p->phase = H1_FAILED;
    p->err = err;
    return err;
}

int tg_h1_next(struct tg_h1 *p, struct tg_str *in, struct tg_h1_event *out_event)
{
    if (p->phase == H1_FAILED)
        return p->err;
    int rc = p->phase <= H1_HEAD_PART ? head_next(p, in, out_event) : body_next(p, in, out_event);
    return rc < 0 ? fail(p, rc) : rc;
}

bool tg_h1_in_message(const struct tg_h1 *p)
{
    return p->phase != H1_DONE && (p->phase != H1_START || p->interim > 0);
}

int tg_h1_eof(struct tg_h1 *p, struct tg_h1_event *out_event)
{
    if (p->phase == H1_FAILED)
        return p->err;
    if (p->phase == H1_CLOSE || p->phase == H1_ENDING) {
        p->phase = H1_DONE;
        *out_event = (struct tg_h1_event){.kind = TG_H1_END};
        return 1;
    }
    if (!tg_h1_in_message(p))
        return 0;
    return fail(p, p->role == TG_H1_REQUEST ? TG_E_BAD_REQUEST : TG_E_UPSTREAM_INCOMPLETE);
}
