#include "wire/inflate.h"

#define ZLIB_CONST
#include <zlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"

enum {
    BITS_ZLIB = 15, /* the largest window */
    BITS_BARE = -15,
    BITS_GZIP = 15 + 16,
    MAX_STEP = 1 << 20,
};

struct tg_inflate {
    z_stream z;
    enum tg_coding coding;
    uint64_t max_bytes, given;
    int err;               /* a failure is final */
    bool begun;            /* z is initialised */
    bool ended;            /* the coding's own end was seen */
    bool full;             /* the last piece filled its space: there may be more without input */
    unsigned char held[2]; /* of deflate, until it is known which form it is */
    uint8_t n_held;
};

enum tg_coding tg_coding_of(const struct tg_http_head *head)
{
    enum tg_coding found = TG_CODING_NONE;
    for (size_t i = 0; i < head->n_headers; i++) {
        struct tg_str list = head->headers[i].value, word;
        if (!tg_str_ieq(head->headers[i].name, TG_STR("content-encoding")))
            continue;
        while (tg_str_split(&list, ',', &word)) {
            word = tg_str_trim(word);
            if (!word.n || tg_str_ieq(word, TG_STR("identity")))
                continue;
            bool gzip = tg_str_ieq(word, TG_STR("gzip")) || tg_str_ieq(word, TG_STR("x-gzip"));
            bool deflate = tg_str_ieq(word, TG_STR("deflate"));
            if (found != TG_CODING_NONE || !(gzip || deflate))
                return TG_CODING_UNKNOWN;
            found = gzip ? TG_CODING_GZIP : TG_CODING_DEFLATE;
        }
    }
    return found;
}

static void *take(void *ctx TG_UNUSED, unsigned n, unsigned size)
{
    return tg_malloc((size_t)n * size);
}

static void give_back(void *ctx TG_UNUSED, void *p)
{
    tg_free(p);
}

int tg_inflate_new(enum tg_coding coding, uint64_t max_bytes, struct tg_inflate **out)
{
    TG_REQUIRE(coding == TG_CODING_GZIP || coding == TG_CODING_DEFLATE);
    struct tg_inflate *d = tg_calloc(1, sizeof *d);
    if (!d)
        return TG_E_NOMEM;
    d->coding = coding;
    d->max_bytes = max_bytes ? max_bytes : UINT64_MAX;
    d->z.zalloc = take;
    d->z.zfree = give_back;
    *out = d;
    return 0;
}

void tg_inflate_free(struct tg_inflate *d)
{
    if (d && d->begun)
        (void)inflateEnd(&d->z); /* it can only complain of a state that was never made */
    tg_free(d);
}

static TG_COLD int fail(struct tg_inflate *d, int err)
{
    d->err = err;
    return err;
}

/* RFC 1950 2.2: method 8, a window of at most 32 KiB, and a checksum over both bytes. */
static bool is_zlib(const unsigned char *p)
{
    return (p[0] & 15) == 8 && p[0] >> 4 <= 7 && (p[0] << 8 | p[1]) % 31 == 0;
}

/* 1 ready; 0 more input is needed to know how to begin. */
static int begin(struct tg_inflate *d, struct tg_str *in)
{
    int bits = BITS_GZIP;
    if (d->coding == TG_CODING_DEFLATE) {
        while (d->n_held < sizeof d->held && in->n) {
            d->held[d->n_held++] = (unsigned char)in->p[0];
            *in = tg_str_from(*in, 1);
        }
        if (d->n_held < sizeof d->held)
            return 0;
        bits = is_zlib(d->held) ? BITS_ZLIB : BITS_BARE;
    } else if (in->n == 0) {
        return 0;
    }
    if (inflateInit2(&d->z, bits) != Z_OK)
        return fail(d, TG_E_NOMEM);
    d->begun = true;
    return 1;
}

/* Behind the end: of gzip another member, else nothing may come. */
static int begin_member(struct tg_inflate *d)
{
    if (d->coding != TG_CODING_GZIP || inflateReset(&d->z) != Z_OK)
        return fail(d, TG_E_UPSTREAM_INVALID);
    d->ended = false;
    return 0;
}

/* One call of zlib, from what is held first: its verdict, with what it has written in *n_out. */
static int run(struct tg_inflate *d, struct tg_str *in, char *space, size_t n_space, size_t *n_out)
{
    size_t n_in = d->n_held ? d->n_held : in->n < MAX_STEP ? in->n : MAX_STEP;
    size_t n = n_space < MAX_STEP ? n_space : MAX_STEP;
    d->z.next_in = d->n_held ? d->held : (const unsigned char *)in->p;
    d->z.avail_in = (unsigned)n_in;
    d->z.next_out = (unsigned char *)space;
    d->z.avail_out = (unsigned)n;
    int rc = inflate(&d->z, Z_SYNC_FLUSH);
    size_t used = n_in - d->z.avail_in;
    if (!d->n_held) {
        *in = tg_str_from(*in, used);
    } else { /* with a bare stream the second byte may be behind the end */
        d->n_held = (uint8_t)(n_in - used);
        d->held[0] = d->held[used < sizeof d->held ? used : 0];
    }
    *n_out = n - d->z.avail_out;
    d->full = d->z.avail_out == 0;
    return rc;
}

int tg_inflate_next(struct tg_inflate *d, struct tg_str *in, char *space, size_t n_space,
                    struct tg_str *out)
{
    int rc = d->err ? d->err : d->begun ? 1 : begin(d, in);
    if (rc <= 0)
        return rc;
    while (in->n || d->n_held || (d->full && !d->ended)) {
        size_t n;
        if (d->ended && begin_member(d))
            return d->err;
        rc = run(d, in, space, n_space, &n);
        if (rc == Z_MEM_ERROR)
            return fail(d, TG_E_NOMEM);
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
            return fail(d, TG_E_UPSTREAM_INVALID);
        d->ended = rc == Z_STREAM_END;
        if (n > d->max_bytes - d->given)
            return fail(d, TG_E_UPSTREAM_TOO_LARGE);
        d->given += n;
        if (n) {
            *out = tg_str_make(space, n);
            return 1;
        }
    }
    return 0;
}

bool tg_inflate_whole(const struct tg_inflate *d)
{
    return !d->err && (d->begun ? d->ended : d->n_held == 0);
}
