#include "wire/aws_eventstream.h"

#include "base/assert.h"
#include "base/err.h"

enum { PRELUDE_BYTES = 12, CRC_BYTES = 4 };

/* ---- numbers ---- */

static uint32_t get_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Two's complement of n bytes. */
static int64_t get_int(const char *p, size_t n)
{
    uint64_t v = (unsigned char)p[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return (int64_t)v;
}

static void put_int(struct tg_buf *b, uint64_t v, size_t n)
{
    while (n-- > 0)
        tg_buf_char(b, (char)(v >> (8 * n)));
}

/* CRC-32 (ISO 3309, reflected polynomial 0xedb88320), four bits at a time. */
static uint32_t crc32_of(uint32_t crc, const char *p, size_t n)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)p[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* ---- headers ---- */

/* Bytes of a value without a length of its own; -1: it has one; -2: no such type. */
static int fixed_bytes(unsigned type)
{
    static const signed char sizes[] = {0, 0, 1, 2, 4, 8, -1, -1, 8, 16};
    return type < TG_ARRAY_LEN(sizes) ? sizes[type] : -2;
}

static void read_value(struct tg_aws_header *h, struct tg_str value)
{
    h->number = 0;
    h->string = (struct tg_str){NULL, 0};
    if (h->type <= TG_AWS_FALSE)
        h->number = h->type == TG_AWS_TRUE;
    else if (h->type == TG_AWS_BYTES || h->type == TG_AWS_STRING || h->type == TG_AWS_UUID)
        h->string = value;
    else
        h->number = get_int(value.p, value.n);
}

/* 1 a header, 0 the end, TG_E_UPSTREAM_INVALID. */
static int header_take(struct tg_str *rest, struct tg_aws_header *out)
{
    struct tg_str s = *rest;
    if (s.n == 0)
        return 0;
    size_t n = (unsigned char)s.p[0];
    if (n == 0 || s.n < n + 2)
        return TG_E_UPSTREAM_INVALID;
    out->name = tg_str_make(s.p + 1, n);
    unsigned type = (unsigned char)s.p[1 + n];
    s = tg_str_from(s, n + 2);
    int fixed = fixed_bytes(type);
    if (fixed < -1)
        return TG_E_UPSTREAM_INVALID;
    out->type = (enum tg_aws_type)type;
    size_t size = fixed < 0 ? 0 : (size_t)fixed;
    if (fixed < 0) {
        if (s.n < 2)
            return TG_E_UPSTREAM_INVALID;
        size = (size_t)(unsigned char)s.p[0] << 8 | (unsigned char)s.p[1];
        s = tg_str_from(s, 2);
    }
    if (s.n < size)
        return TG_E_UPSTREAM_INVALID;
    read_value(out, tg_str_first(s, size));
    *rest = tg_str_from(s, size);
    return 1;
}

bool tg_aws_header_next(struct tg_str *rest, struct tg_aws_header *out)
{
    return header_take(rest, out) > 0;
}

struct tg_str tg_aws_frame_get(const struct tg_aws_frame *f, struct tg_str name)
{
    struct tg_str rest = f->headers;
    struct tg_aws_header h;
    while (tg_aws_header_next(&rest, &h))
        if (h.type == TG_AWS_STRING && tg_str_eq(h.name, name))
            return h.string;
    return (struct tg_str){NULL, 0};
}

static bool headers_ok(struct tg_str rest)
{
    struct tg_aws_header h;
    int rc;
    while ((rc = header_take(&rest, &h)) > 0)
        continue;
    return rc == 0;
}

/* ---- frames ---- */

void tg_aws_dec_init(struct tg_aws_dec *d, size_t max_frame_bytes)
{
    *d = (struct tg_aws_dec){.max_frame_bytes = max_frame_bytes};
    tg_buf_init(&d->pending, max_frame_bytes > PRELUDE_BYTES ? max_frame_bytes : PRELUDE_BYTES);
}

void tg_aws_dec_fini(struct tg_aws_dec *d)
{
    tg_buf_fini(&d->pending);
}

size_t tg_aws_pending(const struct tg_aws_dec *d)
{
    return d->given ? 0 : d->pending.n;
}

static int fail(struct tg_aws_dec *d, int err)
{
    tg_buf_fini(&d->pending);
    d->err = err;
    return err;
}

/* The frame's size as its first 12 bytes say it, or what is wrong with them. */
static int prelude_read(const struct tg_aws_dec *d, const char *p, size_t *out_size)
{
    uint32_t total = get_u32(p), headers = get_u32(p + 4);
    if (crc32_of(0, p, 8) != get_u32(p + 8) || total < TG_AWS_FRAME_MIN_BYTES ||
        headers > total - TG_AWS_FRAME_MIN_BYTES)
        return TG_E_UPSTREAM_INVALID;
    if (total > d->max_frame_bytes)
        return TG_E_UPSTREAM_TOO_LARGE;
    *out_size = total;
    return 0;
}

static int frame_read(struct tg_str raw, struct tg_aws_frame *out)
{
    size_t body = raw.n - CRC_BYTES, headers = get_u32(raw.p + 4);
    struct tg_aws_frame f = {
        .headers = tg_str_make(raw.p + PRELUDE_BYTES, headers),
        .payload = tg_str_make(raw.p + PRELUDE_BYTES + headers, body - PRELUDE_BYTES - headers),
        .raw = raw,
    };
    if (crc32_of(0, raw.p, body) != get_u32(raw.p + body) || !headers_ok(f.headers))
        return TG_E_UPSTREAM_INVALID;
    *out = f;
    return 1;
}

/* Moves bytes of the input to pending until it holds `want`; false: the input is too short. */
static int gather(struct tg_aws_dec *d, struct tg_str *in, size_t want)
{
    if (d->pending.n >= want)
        return 1;
    struct tg_str part = tg_str_first(*in, want - d->pending.n);
    int rc = tg_buf_str_add(&d->pending, part);
    if (rc)
        return rc;
    *in = tg_str_from(*in, part.n);
    return d->pending.n >= want;
}

static int next_gathered(struct tg_aws_dec *d, struct tg_str *in, struct tg_aws_frame *out)
{
    size_t size;
    int rc = gather(d, in, PRELUDE_BYTES);
    if (rc <= 0)
        return rc;
    rc = prelude_read(d, d->pending.p, &size);
    if (rc == 0)
        rc = gather(d, in, size);
    if (rc <= 0)
        return rc;
    d->given = true;
    return frame_read(tg_buf_str(&d->pending), out);
}

int tg_aws_next(struct tg_aws_dec *d, struct tg_str *in, struct tg_aws_frame *out)
{
    if (d->err)
        return d->err;
    if (d->given)
        tg_buf_fini(&d->pending); /* idle streams hold no memory */
    d->given = false;
    if (in->n == 0)
        return 0;
    size_t size = SIZE_MAX;
    int rc = 0;
    if (d->pending.n == 0 && in->n >= PRELUDE_BYTES)
        rc = prelude_read(d, in->p, &size);
    if (rc == 0 && size <= in->n) {
        rc = frame_read(tg_str_first(*in, size), out);
        *in = tg_str_from(*in, size);
    } else if (rc == 0) {
        rc = next_gathered(d, in, out);
    }
    return rc < 0 ? fail(d, rc) : rc;
}

/* ---- encoder ---- */

static bool header_ok(const struct tg_aws_header *h)
{
    bool sized = h->type == TG_AWS_BYTES || h->type == TG_AWS_STRING;
    return h->name.n > 0 && h->name.n <= 255 && fixed_bytes(h->type) > -2 &&
           (!sized || h->string.n <= 65535) && (h->type != TG_AWS_UUID || h->string.n == 16);
}

static void header_write(struct tg_buf *b, const struct tg_aws_header *h)
{
    tg_buf_char(b, (char)h->name.n);
    tg_buf_str_add(b, h->name);
    tg_buf_char(b, (char)h->type);
    int fixed = fixed_bytes(h->type);
    if (fixed < 0)
        put_int(b, h->string.n, 2);
    if (fixed < 0 || h->type == TG_AWS_UUID)
        tg_buf_str_add(b, h->string);
    else
        put_int(b, (uint64_t)h->number, (size_t)fixed);
}

static size_t header_size(const struct tg_aws_header *h)
{
    int fixed = fixed_bytes(h->type);
    return 2 + h->name.n + (fixed < 0 ? 2 + h->string.n : (size_t)fixed);
}

int tg_aws_write(struct tg_buf *b, const struct tg_aws_header *headers, size_t n_headers,
                 struct tg_str payload)
{
    size_t size = 0, at = b->n;
    for (size_t i = 0; i < n_headers; i++) {
        if (!header_ok(&headers[i]))
            return TG_E_INVALID_ARG;
        size += header_size(&headers[i]);
    }
    if (payload.n > UINT32_MAX / 2 || size > UINT32_MAX / 4)
        return TG_E_INVALID_ARG;
    size_t total = size + payload.n + TG_AWS_FRAME_MIN_BYTES;
    int rc = tg_buf_reserve(b, total);
    if (rc)
        return rc;
    put_int(b, total, 4);
    put_int(b, size, 4);
    put_int(b, crc32_of(0, b->p + at, 8), 4);
    for (size_t i = 0; i < n_headers; i++)
        header_write(b, &headers[i]);
    tg_buf_str_add(b, payload);
    put_int(b, crc32_of(0, b->p + at, total - CRC_BYTES), 4);
    TG_INVARIANT(b->n == at + total);
    return 0;
}
