/* AWS event streams: the frames of the specification's examples, what the encoder writes read back
 * at every cut, every byte changed, limits, and recorded answers of Bedrock. */
#include <dirent.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "check.h"
#include "wire/aws_eventstream.h"

enum { MAX_FRAME_BYTES = 1 << 20 };

static void log_header(struct tg_buf *out, const struct tg_aws_header *h)
{
    tg_buf_printf(out, "%.*s(%d)=%lld", TG_STR_ARG(h->name), (int)h->type, (long long)h->number);
    for (size_t i = 0; i < h->string.n; i++)
        tg_buf_printf(out, "%s%02x", i ? "" : "/", (unsigned char)h->string.p[i]);
    tg_buf_char(out, ';');
}

static void log_frame(struct tg_buf *out, const struct tg_aws_frame *f)
{
    struct tg_str rest = f->headers;
    struct tg_aws_header h;
    while (tg_aws_header_next(&rest, &h))
        log_header(out, &h);
    assert_int_equal(rest.n, 0);
    tg_buf_printf(out, "|%.*s\n", TG_STR_ARG(f->payload));
}

struct run {
    struct tg_buf log, raw;
    size_t pending;
    int err;
};

static void feed(struct run *r, struct tg_aws_dec *d, struct tg_str piece)
{
    struct tg_aws_frame f;
    char *copy = tg_malloc(piece.n + 1); /* memory of its own, so that a late view is seen */
    memcpy(copy, piece.p, piece.n);
    struct tg_str in = tg_str_make(copy, piece.n);
    int rc = 0;
    while (r->err == 0 && (rc = tg_aws_next(d, &in, &f)) > 0) {
        log_frame(&r->log, &f);
        tg_buf_str_add(&r->raw, f.raw);
    }
    if (rc < 0)
        r->err = rc;
    else if (r->err == 0)
        assert_int_equal(in.n, 0);
    tg_free(copy);
}

static void run(struct run *r, struct tg_str bytes, size_t cut, size_t size, size_t max)
{
    struct tg_aws_dec d;
    tg_aws_dec_init(&d, max);
    *r = (struct run){0};
    tg_buf_init(&r->log, 8 << 20);
    tg_buf_init(&r->raw, 8 << 20);
    feed(r, &d, tg_str_first(bytes, cut));
    for (size_t i = cut; i < bytes.n; i += size)
        feed(r, &d, tg_str_first(tg_str_from(bytes, i), size));
    r->pending = tg_aws_pending(&d);
    if (r->err) {
        struct tg_str more = TG_STR("more");
        struct tg_aws_frame f;
        assert_int_equal(tg_aws_next(&d, &more, &f), r->err); /* final */
        assert_int_equal(r->pending, 0);
    }
    tg_aws_dec_fini(&d);
}

static void run_fini(struct run *r)
{
    tg_buf_fini(&r->log);
    tg_buf_fini(&r->raw);
}

#define HEADER_STRING(n, v)                                                     \
    {                                                                           \
        .name = TG_STR_INIT(n), .type = TG_AWS_STRING, .string = TG_STR_INIT(v) \
    }

static const struct tg_aws_header all_types[] = {
    {.name = TG_STR_INIT("t"), .type = TG_AWS_TRUE, .number = 1},
    {.name = TG_STR_INIT("f"), .type = TG_AWS_FALSE},
    {.name = TG_STR_INIT("b"), .type = TG_AWS_BYTE, .number = -1},
    {.name = TG_STR_INIT("s"), .type = TG_AWS_SHORT, .number = -32768},
    {.name = TG_STR_INIT("i"), .type = TG_AWS_INT, .number = 2147483647},
    {.name = TG_STR_INIT("l"), .type = TG_AWS_LONG, .number = INT64_MIN},
    {.name = TG_STR_INIT("B"), .type = TG_AWS_BYTES, .string = TG_STR_INIT("\0\xff")},
    HEADER_STRING(":event-type", "contentBlockDelta"),
    {.name = TG_STR_INIT("T"), .type = TG_AWS_TIMESTAMP, .number = 1700000000123},
    {.name = TG_STR_INIT("u"), .type = TG_AWS_UUID, .string = TG_STR_INIT("0123456789abcdef")},
    HEADER_STRING("empty", ""),
};

static void sample(struct tg_buf *out)
{
    static const struct tg_aws_header event[] = {HEADER_STRING(":message-type", "event"),
                                                 HEADER_STRING(":event-type", "chunk")};
    tg_buf_init(out, MAX_FRAME_BYTES);
    assert_int_equal(tg_aws_write(out, NULL, 0, TG_STR("")), 0);
    assert_int_equal(tg_aws_write(out, all_types, TG_ARRAY_LEN(all_types), TG_STR("{\"a\":1}")), 0);
    assert_int_equal(tg_aws_write(out, event, 2, TG_STR("x")), 0);
}

/* The test frames of the specification (Smithy, amazon.eventstream), as bytes. */
static void known_frames(void **state TG_UNUSED)
{
    static const struct {
        struct tg_str bytes;
        const char *log;
    } cases[] = {
        {TG_STR_INIT("\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2\x48\xeb\x7d\x98\xc8\xff"), "|\n"},
        {TG_STR_INIT(
             "\x00\x00\x00\x1d\x00\x00\x00\x00\xfd\x52\x8c\x5a{'foo':'bar'}\xc3\x65\x39\x36"),
         "|{'foo':'bar'}\n"},
        {TG_STR_INIT("\x00\x00\x00\x3d\x00\x00\x00\x20\x07\xfd\x83\x96\x0c"
                     "content-type\x07\x00\x10"
                     "application/json{'foo':'bar'}\x8d\x9c\x08\xb1"),
         "content-type(7)=0/6170706c69636174696f6e2f6a736f6e;|{'foo':'bar'}\n"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        for (size_t cut = 0; cut <= cases[i].bytes.n; cut++) {
            struct run r;
            run(&r, cases[i].bytes, cut, 1, MAX_FRAME_BYTES);
            assert_int_equal(r.err, 0);
            assert_str_equal(tg_buf_str(&r.log), tg_str_c(cases[i].log));
            run_fini(&r);
        }
}

static void every_type_at_every_cut(void **state TG_UNUSED)
{
    struct tg_buf bytes;
    struct run r;
    sample(&bytes);
    for (size_t cut = 0; cut <= bytes.n; cut++)
        for (size_t size = 1; size < 400; size += 57) {
            run(&r, tg_buf_str(&bytes), cut, size, MAX_FRAME_BYTES);
            assert_int_equal(r.err, 0);
            assert_int_equal(r.pending, 0);
            assert_str_equal(tg_buf_str(&r.raw), tg_buf_str(&bytes));
            assert_str(tg_buf_str(&r.log),
                       "|\nt(0)=1;f(1)=0;b(2)=-1;s(3)=-32768;i(4)=2147483647;"
                       "l(5)=-9223372036854775808;B(6)=0/00ff;"
                       ":event-type(7)=0/636f6e74656e74426c6f636b44656c7461;T(8)=1700000000123;"
                       "u(9)=0/30313233343536373839616263646566;empty(7)=0;|{\"a\":1}\n"
                       ":message-type(7)=0/6576656e74;:event-type(7)=0/6368756e6b;|x\n");
            run_fini(&r);
        }
    struct tg_aws_dec d;
    struct tg_aws_frame f;
    struct tg_str in = tg_str_from(tg_buf_str(&bytes), 16);
    tg_aws_dec_init(&d, MAX_FRAME_BYTES);
    assert_int_equal(tg_aws_next(&d, &in, &f), 1);
    assert_str(tg_aws_frame_get(&f, TG_STR(":event-type")), "contentBlockDelta");
    assert_null(tg_aws_frame_get(&f, TG_STR("T")).p); /* no string */
    assert_null(tg_aws_frame_get(&f, TG_STR(":none")).p);
    tg_aws_dec_fini(&d);
    tg_buf_fini(&bytes);
}

static void truncation_is_seen(void **state TG_UNUSED)
{
    struct tg_buf bytes;
    sample(&bytes);
    for (size_t n = 0; n < bytes.n; n++) {
        struct run r;
        run(&r, tg_str_first(tg_buf_str(&bytes), n), 0, 5, MAX_FRAME_BYTES);
        assert_int_equal(r.err, 0);
        assert_int_equal(r.raw.n + r.pending, n);
        run_fini(&r);
    }
    tg_buf_fini(&bytes);
}

/* No changed byte passes for the original: a checksum or a length gives it away. */
static void every_byte_changed(void **state TG_UNUSED)
{
    struct tg_buf bytes;
    sample(&bytes);
    for (size_t i = 0; i < bytes.n; i++)
        for (int bit = 0; bit < 8; bit++) {
            struct run whole, cut;
            bytes.p[i] = (char)(bytes.p[i] ^ (1 << bit));
            run(&whole, tg_buf_str(&bytes), 0, bytes.n, MAX_FRAME_BYTES);
            run(&cut, tg_buf_str(&bytes), i, 1, MAX_FRAME_BYTES);
            assert_true(whole.err == TG_E_UPSTREAM_INVALID);
            assert_int_equal(cut.err, whole.err);
            assert_str_equal(tg_buf_str(&cut.log), tg_buf_str(&whole.log));
            assert_true(whole.raw.n <= i); /* only frames in front of the damage */
            run_fini(&whole);
            run_fini(&cut);
            bytes.p[i] = (char)(bytes.p[i] ^ (1 << bit));
        }
    tg_buf_fini(&bytes);
}

/* CRC-32, bit by bit, as a second opinion for frames made by hand. */
static uint32_t crc(const char *p, size_t n)
{
    uint32_t c = ~0u;
    for (size_t i = 0; i < n; i++) {
        c ^= (unsigned char)p[i];
        for (int k = 0; k < 8; k++)
            c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    }
    return ~c;
}

static void put_u32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (24 - 8 * i));
}

/* Frames whose checksums are right and whose content is not. */
static void malformed_headers(void **state TG_UNUSED)
{
    static const struct tg_str cases[] = {
        TG_STR_INIT("\x00\x00"), /* no name */
        TG_STR_INIT("\x01"),     /* a name that is not there */
        TG_STR_INIT("\x01"
                    "a"), /* no type */
        TG_STR_INIT("\x01"
                    "a\x0a"), /* no such type */
        TG_STR_INIT("\x01"
                    "a\xff"), /* likewise */
        TG_STR_INIT("\x01"
                    "a\x02"), /* no value */
        TG_STR_INIT("\x01"
                    "a\x05"
                    "1234567"), /* 7 of 8 bytes */
        TG_STR_INIT("\x01"
                    "a\x07\x00"), /* half a length */
        TG_STR_INIT("\x01"
                    "a\x07\x00\x02"
                    "x"), /* longer than the rest */
        TG_STR_INIT("\x01"
                    "a\x07\xff\xff"
                    "x"),
        TG_STR_INIT("\x01"
                    "a\x09"
                    "0123456789"), /* a short UUID */
        TG_STR_INIT("\x01"
                    "a\x00\x01"), /* a good one, then half of one */
        TG_STR_INIT("\xff"
                    "abc\x00"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char frame[64];
        struct run r;
        size_t n = 16 + cases[i].n;
        put_u32(frame, (uint32_t)n);
        put_u32(frame + 4, (uint32_t)cases[i].n);
        put_u32(frame + 8, crc(frame, 8));
        memcpy(frame + 12, cases[i].p, cases[i].n);
        put_u32(frame + n - 4, crc(frame, n - 4));
        run(&r, tg_str_make(frame, n), 0, n, MAX_FRAME_BYTES);
        if (r.err != TG_E_UPSTREAM_INVALID)
            fail_msg("case %zu: %d", i, r.err);
        run_fini(&r);
    }
}

static void lengths_that_lie(void **state TG_UNUSED)
{
    static const struct {
        uint32_t total, headers;
        int err;
    } cases[] = {
        {0, 0, TG_E_UPSTREAM_INVALID},
        {15, 0, TG_E_UPSTREAM_INVALID},
        {16, 1, TG_E_UPSTREAM_INVALID},
        {20, 0xffffffff, TG_E_UPSTREAM_INVALID},
        {0xffffffff, 0, TG_E_UPSTREAM_TOO_LARGE},
        {101, 0, TG_E_UPSTREAM_TOO_LARGE},
        {0xffffffff, 0xffffffff, TG_E_UPSTREAM_INVALID},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        for (size_t cut = 0; cut <= 12; cut++) {
            char prelude[12];
            struct run r;
            put_u32(prelude, cases[i].total);
            put_u32(prelude + 4, cases[i].headers);
            put_u32(prelude + 8, crc(prelude, 8));
            run(&r, tg_str_make(prelude, 12), cut, 1, 100);
            if (r.err != cases[i].err)
                fail_msg("case %zu: %d", i, r.err);
            run_fini(&r);
        }
    struct run r; /* a limit below any frame takes nothing, and a stream that is no event stream */
    struct tg_buf bytes;
    sample(&bytes);
    run(&r, tg_buf_str(&bytes), 0, 3, 0);
    assert_int_equal(r.err, TG_E_UPSTREAM_TOO_LARGE);
    run_fini(&r);
    run(&r, TG_STR("{\"message\":\"The security token is invalid\"}"), 0, 3, MAX_FRAME_BYTES);
    assert_int_equal(r.err, TG_E_UPSTREAM_INVALID);
    run_fini(&r);
    tg_buf_fini(&bytes);
}

static void what_cannot_be_written(void **state TG_UNUSED)
{
    char *big = tg_malloc(70000);
    struct tg_buf out;
    memset(big, 'x', 70000);
    tg_buf_init(&out, 100);
    struct tg_aws_header h = {.name = TG_STR(""), .type = TG_AWS_TRUE};
    assert_int_equal(tg_aws_write(&out, &h, 1, TG_STR("")), TG_E_INVALID_ARG);
    h.name = tg_str_make(big, 256);
    assert_int_equal(tg_aws_write(&out, &h, 1, TG_STR("")), TG_E_INVALID_ARG);
    h.name = TG_STR("a");
    h.type = (enum tg_aws_type)10;
    assert_int_equal(tg_aws_write(&out, &h, 1, TG_STR("")), TG_E_INVALID_ARG);
    h.type = TG_AWS_STRING;
    h.string = tg_str_make(big, 65536);
    assert_int_equal(tg_aws_write(&out, &h, 1, TG_STR("")), TG_E_INVALID_ARG);
    h.type = TG_AWS_UUID;
    assert_int_equal(tg_aws_write(&out, &h, 1, TG_STR("")), TG_E_INVALID_ARG);
    assert_int_equal(tg_aws_write(&out, NULL, 0, tg_str_make(big, 101)), TG_E_FULL);
    assert_int_equal(out.n, 0);
    tg_buf_fini(&out);
    tg_free(big);
}

static void memory_runs_out(void **state TG_UNUSED)
{
    struct tg_buf bytes;
    struct tg_aws_dec d;
    struct tg_aws_frame f;
    sample(&bytes);
    struct tg_str in = tg_str_first(tg_buf_str(&bytes), 20);
    tg_aws_dec_init(&d, MAX_FRAME_BYTES);
    assert_int_equal(tg_aws_next(&d, &in, &f), 1);
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_aws_next(&d, &in, &f), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(tg_aws_next(&d, &in, &f), TG_E_NOMEM);
    tg_aws_dec_fini(&d);
    tg_buf_fini(&bytes);
}

/* Bedrock's answers as they were recorded: every checksum holds, every event has its type. */
static void recorded_streams(void **state TG_UNUSED)
{
    static char bytes_buf[1 << 20];
    char path[512];
    size_t streams = 0;
    snprintf(path, sizeof(path), "%s/../shared/recordings", getenv("TG_SOURCE_ROOT"));
    DIR *dir = opendir(path);
    if (!dir)
        skip_because("the recordings are not here");
    for (struct dirent *e; (e = readdir(dir));) {
        char file[1024];
        snprintf(file, sizeof(file), "%s/%s/response.eventstream", path, e->d_name);
        FILE *f = fopen(file, "rb");
        if (!f)
            continue;
        struct tg_str bytes = tg_str_make(bytes_buf, fread(bytes_buf, 1, sizeof(bytes_buf), f));
        fclose(f);
        struct run whole, cut;
        run(&whole, bytes, 0, bytes.n, MAX_FRAME_BYTES);
        run(&cut, bytes, 0, 7, MAX_FRAME_BYTES);
        if (whole.err || whole.pending)
            fail_msg("%s: %s", e->d_name, tg_err_name(whole.err));
        assert_str_equal(tg_buf_str(&whole.raw), bytes);
        assert_str_equal(tg_buf_str(&whole.log), tg_buf_str(&cut.log));
        assert_contains(tg_buf_str(&whole.log), ":event-type(7)");
        run_fini(&whole);
        run_fini(&cut);
        streams++;
    }
    closedir(dir);
    assert_true(streams > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_frames),           cmocka_unit_test(every_type_at_every_cut),
        cmocka_unit_test(truncation_is_seen),     cmocka_unit_test(every_byte_changed),
        cmocka_unit_test(malformed_headers),      cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(what_cannot_be_written), cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(recorded_streams),
    };
    return cmocka_run_group_tests_name("wire/aws_eventstream", tests, NULL, NULL);
}
