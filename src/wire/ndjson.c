#include "wire/ndjson.h"

#include "base/assert.h"
#include "base/err.h"

void tg_ndjson_dec_init(struct tg_ndjson_dec *d, size_t max_line_bytes)
{
    TG_REQUIRE(max_line_bytes < SIZE_MAX);
    *d = (struct tg_ndjson_dec){.max_line_bytes = max_line_bytes};
    tg_buf_init(&d->pending, max_line_bytes + 1);
}

void tg_ndjson_dec_fini(struct tg_ndjson_dec *d)
{
    tg_buf_fini(&d->pending);
}

static int fail(struct tg_ndjson_dec *d, int err)
{
    tg_buf_fini(&d->pending);
    d->err = err;
    return err;
}

static int give(struct tg_str raw, struct tg_ndjson_line *out)
{
    *out = (struct tg_ndjson_line){.text = tg_str_trim(raw), .raw = raw};
    return 1;
}

/* Idle streams hold no memory. */
static void drop_given(struct tg_ndjson_dec *d)
{
    if (d->given)
        tg_buf_fini(&d->pending);
    d->given = false;
}

int tg_ndjson_next(struct tg_ndjson_dec *d, struct tg_str *in, struct tg_ndjson_line *out)
{
    if (d->err)
        return d->err;
    drop_given(d);
    if (in->n == 0)
        return 0;
    ptrdiff_t lf = tg_str_chr(*in, '\n');
    size_t n = lf < 0 ? in->n : (size_t)lf;
    if (n > d->max_line_bytes - d->pending.n)
        return fail(d, TG_E_UPSTREAM_TOO_LARGE);
    struct tg_str part = tg_str_first(*in, lf < 0 ? n : n + 1);
    if (lf >= 0 && d->pending.n == 0) {
        *in = tg_str_from(*in, part.n);
        return give(part, out);
    }
    int rc = tg_buf_str_add(&d->pending, part);
    if (rc)
        return fail(d, rc);
    *in = tg_str_from(*in, part.n);
    if (lf < 0)
        return 0;
    d->given = true;
    return give(tg_buf_str(&d->pending), out);
}

int tg_ndjson_end(struct tg_ndjson_dec *d, struct tg_ndjson_line *out)
{
    if (d->err)
        return d->err;
    drop_given(d);
    if (d->pending.n == 0)
        return 0;
    d->given = true;
    return give(tg_buf_str(&d->pending), out);
}
