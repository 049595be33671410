/* The decoder looks for the end of a block first (that state survives any cut), then takes the
 * whole block apart in one go. Both passes are memchr; most events are views into the input. */
#include "wire/sse.h"

#include "base/assert.h"
#include "base/err.h"

void tg_sse_dec_init(struct tg_sse_dec *d, size_t max_event_bytes)
{
    TG_REQUIRE(max_event_bytes < SIZE_MAX);
    *d = (struct tg_sse_dec){.max_event_bytes = max_event_bytes};
    tg_buf_init(&d->pending, max_event_bytes + 1); /* an LF behind the last CR is not counted */
    tg_buf_init(&d->joined, max_event_bytes);
}

void tg_sse_dec_fini(struct tg_sse_dec *d)
{
    tg_buf_fini(&d->pending);
    tg_buf_fini(&d->joined);
}

size_t tg_sse_pending(const struct tg_sse_dec *d)
{
    return d->given ? 0 : d->pending.n;
}

/* First CR or LF at or behind i, n if there is none. In windows, so that a stream with only one of
 * the two is not searched to its end for the other at each line. */
static size_t line_end(const char *p, size_t i, size_t n)
{
    enum { WINDOW_BYTES = 1024 };
    while (i < n) {
        size_t w = n - i < WINDOW_BYTES ? n - i : WINDOW_BYTES;
        const char *lf = memchr(p + i, '\n', w);
        size_t before = lf ? (size_t)(lf - (p + i)) : w;
        const char *cr = memchr(p + i, '\r', before);
        if (cr)
            return (size_t)(cr - p);
        if (lf)
            return i + before;
        i += w;
    }
    return n;
}

/* ---- the end of a block ---- */

/* One byte order mark at the very start is no part of the first line. Returns the bytes passed. */
static size_t bom_scan(struct tg_sse_dec *d, const char *p, size_t n)
{
    static const char mark[3] = {'\xef', '\xbb', '\xbf'};
    size_t i = 0;
    while (d->bom < sizeof(mark) && i < n) {
        if (p[i] == mark[d->bom]) {
            i++;
            d->bom++;
            d->bom_here = d->bom == sizeof(mark);
        } else {
            d->in_line = d->bom > 0; /* the beginning of one is just text */
            d->bom = sizeof(mark);
        }
    }
    return i;
}

struct block_end {
    bool found;
    size_t n;    /* bytes of the input that belong to the block */
    size_t size; /* those that count against the limit */
};

static struct block_end block_scan(struct tg_sse_dec *d, const char *p, size_t n)
{
    size_t i = d->bom < 3 ? bom_scan(d, p, n) : 0;
    while (i < n) {
        if (d->line_cr) {
            d->line_cr = false;
            if (p[i] == '\n') {
                i++;
                continue;
            }
        }
        size_t end = line_end(p, i, n);
        bool blank = end == i && !d->in_line;
        d->in_line = end == n;
        if (end == n)
            break;
        i = end + 1;
        if (!blank) {
            d->line_cr = p[end] == '\r';
            continue;
        }
        if (p[end] == '\r') {
            d->block_cr = i == n;
            i += i < n && p[i] == '\n';
        }
        return (struct block_end){.found = true, .n = i, .size = end + 1};
    }
    return (struct block_end){.n = n, .size = n};
}

/* ---- the block ---- */

struct block {
    struct tg_sse_event ev;
    size_t n_data;
};

static int data_line(struct tg_sse_dec *d, struct block *b, struct tg_str value)
{
    b->n_data++;
    if (b->n_data == 1) {
        b->ev.data = value;
        return 0;
    }
    if (b->n_data == 2)
        tg_buf_str_add(&d->joined, b->ev.data);
    tg_buf_char(&d->joined, '\n');
    tg_buf_str_add(&d->joined, value);
    return tg_buf_ok(&d->joined) ? 0 : TG_E_NOMEM;
}

/* One line that is not empty. Comments, `retry` and unknown fields pass without a trace. */
static int field(struct tg_sse_dec *d, struct block *b, struct tg_str line)
{
    struct tg_str name = line, value = tg_str_make(line.p + line.n, 0);
    const char *colon = line.n > 4 && line.p[4] == ':' && line.p[0] == 'd'
                            ? line.p + 4
                            : memchr(line.p, ':', line.n);
    if (colon) {
        name.n = (size_t)(colon - line.p);
        value = tg_str_from(line, name.n + 1);
        if (value.n > 0 && value.p[0] == ' ')
            value = tg_str_from(value, 1);
    }
    if (name.n == 4 && memcmp(name.p, "data", 4) == 0)
        return data_line(d, b, value);
    if (name.n == 5 && memcmp(name.p, "event", 5) == 0)
        b->ev.type = value;
    else if (name.n == 2 && memcmp(name.p, "id", 2) == 0 && tg_str_chr(value, '\0') < 0)
        b->ev.id = value;
    return 0;
}

static int block_parse(struct tg_sse_dec *d, struct tg_str raw, struct tg_sse_event *out)
{
    struct block b = {.ev = {.raw = raw}};
    size_t i = d->bom_here ? 3 : 0;
    while (i < raw.n) {
        size_t end = line_end(raw.p, i, raw.n);
        if (end > i) {
            int rc = field(d, &b, tg_str_make(raw.p + i, end - i));
            if (rc < 0)
                return rc;
        }
        i = end + 1; /* an LF behind a CR is one more empty line, which does no harm here */
    }
    d->bom_here = false;
    b.ev.has_data = b.n_data > 0;
    if (b.n_data > 1)
        b.ev.data = tg_buf_str(&d->joined);
    *out = b.ev;
    return 1;
}

static int fail(struct tg_sse_dec *d, int err)
{
    tg_sse_dec_fini(d);
    d->err = err;
    return err;
}

/* What was given by the last call is dropped; idle streams hold no memory. */
static void drop_given(struct tg_sse_dec *d)
{
    if (d->given)
        tg_buf_fini(&d->pending);
    if (d->joined.p)
        tg_buf_fini(&d->joined);
    d->given = false;
}

int tg_sse_next(struct tg_sse_dec *d, struct tg_str *in, struct tg_sse_event *out)
{
    if (d->err)
        return d->err;
    drop_given(d);
    if (in->n == 0)
        return 0;
    struct tg_str all = *in;
    if (d->block_cr) {
        d->block_cr = false;
        if (all.p[0] == '\n') {
            *in = tg_str_from(all, 1);
            *out = (struct tg_sse_event){.raw = tg_str_first(all, 1)};
            return 1;
        }
    }
    struct block_end end = block_scan(d, all.p, all.n);
    if (end.size > d->max_event_bytes - d->pending.n)
        return fail(d, TG_E_UPSTREAM_TOO_LARGE);
    struct tg_str raw = tg_str_first(all, end.n);
    *in = tg_str_from(all, end.n);
    if (!end.found || d->pending.n > 0) {
        if (tg_buf_str_add(&d->pending, raw) < 0)
            return fail(d, TG_E_NOMEM);
        raw = tg_buf_str(&d->pending);
        d->given = end.found;
    }
    if (!end.found)
        return 0;
    int rc = block_parse(d, raw, out);
    return rc < 0 ? fail(d, rc) : rc;
}

/* ---- encoder ---- */

static bool is_one_line(struct tg_str s)
{
    return s.n == 0 || (!memchr(s.p, '\n', s.n) && !memchr(s.p, '\r', s.n) && !memchr(s.p, 0, s.n));
}

/* Each line of text behind the prefix; there is always at least one. */
static void put_lines(struct tg_buf *b, struct tg_str prefix, struct tg_str text)
{
    tg_buf_str_add(b, prefix);
    if (is_one_line(text)) {
        tg_buf_str_add(b, text);
        tg_buf_char(b, '\n');
        return;
    }
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\r' || c == '\n') {
            if (c == '\r' && i + 1 < text.n && text.p[i + 1] == '\n')
                i++;
            tg_buf_char(b, '\n');
            tg_buf_str_add(b, prefix);
        } else if (c == '\0') {
            tg_buf_lit(b, "\xef\xbf\xbd"); /* U+FFFD */
        } else {
            tg_buf_char(b, c);
        }
    }
    tg_buf_char(b, '\n');
}

/* All or nothing: half an event must not stay in the buffer. */
static int put_end(struct tg_buf *b, size_t began)
{
    int rc = tg_buf_char(b, '\n');
    if (rc < 0)
        b->n = began;
    return rc;
}

int tg_sse_write(struct tg_buf *b, struct tg_str type, struct tg_str data)
{
    size_t began = b->n;
    for (size_t i = 0; i < type.n; i++) {
        if ((unsigned char)type.p[i] < 0x20 || type.p[i] == 0x7f)
            return TG_E_INVALID_ARG;
    }
    int rc = tg_buf_reserve(b, type.n + data.n + sizeof("event: \ndata: \n\n"));
    if (rc < 0)
        return rc;
    if (type.n > 0)
        put_lines(b, TG_STR("event: "), type);
    put_lines(b, TG_STR("data: "), data);
    return put_end(b, began);
}

int tg_sse_write_comment(struct tg_buf *b, struct tg_str text)
{
    size_t began = b->n;
    put_lines(b, TG_STR(": "), text);
    return put_end(b, began);
}
