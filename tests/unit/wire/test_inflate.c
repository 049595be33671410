/* The decoder of compressed bodies: each form at every cut, truncated at every byte, with every
 * byte wrong, beyond its limit, and out of memory. */
#include <zlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "check.h"
#include "wire/inflate.h"

enum { ZLIB = 15, BARE = -15, GZIP = 31 };

static enum tg_coding coding_of(int bits)
{
    return bits == GZIP ? TG_CODING_GZIP : TG_CODING_DEFLATE;
}

/* Appends the text, compressed; with flush after every `piece` bytes. */
static void pack(struct tg_buf *b, int bits, int level, struct tg_str text, size_t piece)
{
    z_stream z = {0};
    unsigned char out[4096];
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    do {
        struct tg_str part = tg_str_first(text, piece);
        text = tg_str_from(text, part.n);
        z.next_in = (unsigned char *)(uintptr_t)part.p;
        z.avail_in = (unsigned)part.n;
        do {
            z.next_out = out;
            z.avail_out = sizeof out;
            assert_true(deflate(&z, text.n ? Z_SYNC_FLUSH : Z_FINISH) >= 0);
            tg_buf_add(b, out, sizeof out - z.avail_out);
        } while (z.avail_out == 0);
    } while (text.n);
    deflateEnd(&z);
    assert_true(tg_buf_ok(b));
}

struct run {
    struct tg_buf got;
    int err;
    bool whole;
};

static void feed(struct run *r, struct tg_inflate *d, struct tg_str piece, size_t n_space)
{
    char *copy = tg_xcalloc(1, piece.n + 1), *space = tg_xcalloc(1, n_space);
    struct tg_str in = tg_str_make(copy, piece.n), out;
    int rc = 0;
    memcpy(copy, piece.p, piece.n);
    while (!r->err && (rc = tg_inflate_next(d, &in, space, n_space, &out)) > 0) {
        assert_true(out.n > 0 && out.n <= n_space);
        assert_int_equal(tg_buf_str_add(&r->got, out), 0);
    }
    if (rc < 0)
        r->err = rc;
    else if (!r->err)
        assert_int_equal(in.n, 0);
    tg_free(copy);
    tg_free(space);
}

static void run(struct run *r, enum tg_coding coding, struct tg_str text, size_t cut, size_t size,
                size_t n_space, uint64_t max)
{
    struct tg_inflate *d;
    *r = (struct run){.err = 0};
    tg_buf_init(&r->got, 64 << 20);
    assert_int_equal(tg_inflate_new(coding, max, &d), 0);
    feed(r, d, tg_str_first(text, cut), n_space);
    for (size_t i = cut; i < text.n; i += size)
        feed(r, d, tg_str_first(tg_str_from(text, i), size), n_space);
    r->whole = tg_inflate_whole(d);
    if (r->err) { /* is final */
        struct tg_str in = TG_STR("x"), out;
        char space[8];
        assert_false(r->whole);
        assert_int_equal(tg_inflate_next(d, &in, space, sizeof space, &out), r->err);
    }
    tg_inflate_free(d);
}

static void expect(enum tg_coding coding, struct tg_str packed, struct tg_str text, size_t cut,
                   size_t size, size_t n_space)
{
    struct run r;
    run(&r, coding, packed, cut, size, n_space, 0);
    assert_int_equal(r.err, 0);
    assert_true(r.whole);
    assert_str_equal(tg_buf_str(&r.got), text);
    tg_buf_fini(&r.got);
}

static const int forms[] = {GZIP, ZLIB, BARE};
#define EVENTS                                                                     \
    "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"                \
    "data: {\"choices\":[{\"delta\":{\"content\":\" there, there, there\"}}]}\n\n" \
    "data: [DONE]\n\n"

static void every_form_at_every_cut(void **state TG_UNUSED)
{
    static const struct tg_str texts[] = {TG_STR_INIT(EVENTS), TG_STR_INIT("x"), TG_STR_INIT("")};
    for (size_t f = 0; f < TG_ARRAY_LEN(forms); f++)
        for (size_t t = 0; t < TG_ARRAY_LEN(texts); t++)
            for (int level = 0; level <= 9; level += 3) {
                struct tg_buf b;
                tg_buf_init(&b, 1 << 20);
                pack(&b, forms[f], level, texts[t], 40);
                for (size_t cut = 0; cut <= b.n; cut++) {
                    expect(coding_of(forms[f]), tg_buf_str(&b), texts[t], cut, b.n + 1, 4096);
                    expect(coding_of(forms[f]), tg_buf_str(&b), texts[t], cut, 1, 1 + cut % 7);
                }
                tg_buf_fini(&b);
            }
}

/* What a server has flushed is there before the next byte comes. */
static void nothing_is_held_up(void **state TG_UNUSED)
{
    struct tg_str text = TG_STR(EVENTS);
    struct tg_inflate *d;
    struct run r = {.err = 0};
    size_t from = 0;
    tg_buf_init(&r.got, 1 << 20);
    assert_int_equal(tg_inflate_new(TG_CODING_GZIP, 0, &d), 0);
    z_stream z = {0};
    unsigned char out[512];
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (; from < text.n; from += 30) {
        struct tg_str part = tg_str_first(tg_str_from(text, from), 30);
        z.next_in = (unsigned char *)(uintptr_t)part.p;
        z.avail_in = (unsigned)part.n;
        z.next_out = out;
        z.avail_out = sizeof out;
        assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
        feed(&r, d, tg_str_make((char *)out, sizeof out - z.avail_out), 4096);
        assert_int_equal(r.err, 0);
        assert_str_equal(tg_buf_str(&r.got), tg_str_first(text, from + part.n));
        assert_false(tg_inflate_whole(d));
    }
    deflateEnd(&z);
    tg_inflate_free(d);
    tg_buf_fini(&r.got);
}

static void cut_off_anywhere_is_not_whole(void **state TG_UNUSED)
{
    for (size_t f = 0; f < TG_ARRAY_LEN(forms); f++) {
        struct tg_buf b;
        tg_buf_init(&b, 1 << 20);
        pack(&b, forms[f], 6, TG_STR(EVENTS), 40);
        for (size_t n = 0; n < b.n; n++) {
            struct run r;
            run(&r, coding_of(forms[f]), tg_str_first(tg_buf_str(&b), n), n / 2, 3, 64, 0);
            assert_int_equal(r.err, 0);
            assert_int_equal(r.whole, n == 0);
            assert_true(tg_str_starts(TG_STR(EVENTS), tg_buf_str(&r.got)));
            tg_buf_fini(&r.got);
        }
        tg_buf_fini(&b);
    }
}

/* With checksums a wrong byte is never taken for the text; bits of the header and those that fill
 * up the last byte mean nothing. One bit tells deflate's two forms apart, so its first two bytes
 * are left alone. */
static void a_wrong_byte_is_found(void **state TG_UNUSED)
{
    for (size_t f = 0; f < 2; f++) {
        struct tg_buf b;
        unsigned harmless = 0;
        tg_buf_init(&b, 1 << 20);
        pack(&b, forms[f], 6, TG_STR(EVENTS), 1000);
        for (size_t i = forms[f] == GZIP ? 0 : 2; i < b.n; i++)
            for (int bit = 0; bit < 8; bit++) {
                struct run r;
                b.p[i] ^= (char)(1 << bit);
                run(&r, coding_of(forms[f]), tg_buf_str(&b), i, 1, 64, 0);
                if (r.err)
                    assert_int_equal(r.err, TG_E_UPSTREAM_INVALID);
                else if (r.whole)
                    assert_str_equal(tg_buf_str(&r.got), TG_STR(EVENTS));
                harmless += !r.err && r.whole;
                tg_buf_fini(&r.got);
                b.p[i] ^= (char)(1 << bit);
            }
        assert_true(harmless < (forms[f] == GZIP ? 8 * 8 : 8));
        tg_buf_fini(&b);
    }
    struct run r;
    run(&r, TG_CODING_GZIP, TG_STR("{\"plain\":true}"), 0, 5, 64, 0);
    assert_int_equal(r.err, TG_E_UPSTREAM_INVALID);
    tg_buf_fini(&r.got);
}

static void members_follow_and_nothing_else(void **state TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    pack(&b, GZIP, 6, TG_STR("one "), 100);
    pack(&b, GZIP, 0, TG_STR(""), 100);
    pack(&b, GZIP, 9, TG_STR("two"), 100);
    for (size_t cut = 0; cut <= b.n; cut++)
        expect(TG_CODING_GZIP, tg_buf_str(&b), TG_STR("one two"), cut, 7, 3);
    for (size_t f = 0; f < TG_ARRAY_LEN(forms); f++) {
        struct run r;
        tg_buf_clear(&b);
        pack(&b, forms[f], 6, TG_STR("one"), 100);
        tg_buf_lit(&b, "behind");
        for (size_t cut = 0; cut <= b.n; cut++) {
            run(&r, coding_of(forms[f]), tg_buf_str(&b), cut, 100, 64, 0);
            assert_int_equal(r.err, TG_E_UPSTREAM_INVALID);
            assert_str(tg_buf_str(&r.got), "one");
            tg_buf_fini(&r.got);
        }
    }
    tg_buf_fini(&b);
}

static void there_is_a_limit(void **state TG_UNUSED)
{
    enum { SIZE = 8 << 20 };
    char *zeros = tg_xcalloc(1, SIZE);
    struct tg_buf b;
    struct run r;
    tg_buf_init(&b, 1 << 20);
    pack(&b, GZIP, 9, tg_str_make(zeros, SIZE), SIZE);
    assert_true(b.n < SIZE / 500); /* a bomb */
    run(&r, TG_CODING_GZIP, tg_buf_str(&b), 0, b.n, 16384, SIZE);
    assert_true(r.whole);
    assert_int_equal(r.got.n, SIZE);
    tg_buf_fini(&r.got);
    run(&r, TG_CODING_GZIP, tg_buf_str(&b), 0, b.n, 16384, SIZE - 1);
    assert_int_equal(r.err, TG_E_UPSTREAM_TOO_LARGE);
    assert_true(r.got.n < SIZE);
    tg_buf_fini(&r.got);
    run(&r, TG_CODING_GZIP, tg_buf_str(&b), 0, 10, 512, 100000);
    assert_int_equal(r.err, TG_E_UPSTREAM_TOO_LARGE);
    assert_true(r.got.n <= 100000);
    tg_buf_fini(&r.got);
    tg_buf_fini(&b);
    tg_free(zeros);
}

static void memory_runs_out(void **state TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    pack(&b, GZIP, 6, TG_STR(EVENTS), 100);
    for (uint64_t at = 1;; at++) {
        struct tg_inflate *d = NULL;
        struct tg_str in = tg_buf_str(&b), out;
        char space[1024];
        tg_alloc_fail_at(at, 1);
        int rc = tg_inflate_new(TG_CODING_GZIP, 0, &d);
        while (rc == 0 && (rc = tg_inflate_next(d, &in, space, sizeof space, &out)) > 0)
            rc = 0;
        bool failed = tg_alloc_count() >= at;
        tg_alloc_fail_at(0, 0);
        assert_int_equal(rc, failed ? TG_E_NOMEM : 0);
        tg_inflate_free(d);
        if (!failed)
            break;
        assert_true(at < 10);
    }
    tg_inflate_free(NULL);
    tg_buf_fini(&b);
}

static void codings_by_name(void **state TG_UNUSED)
{
    static const struct {
        const char *first, *second;
        enum tg_coding coding;
    } cases[] = {
        {NULL, NULL, TG_CODING_NONE},
        {"identity", NULL, TG_CODING_NONE},
        {"", NULL, TG_CODING_NONE},
        {"gzip", NULL, TG_CODING_GZIP},
        {"X-GZip", NULL, TG_CODING_GZIP},
        {" Deflate ", NULL, TG_CODING_DEFLATE},
        {"identity, gzip", NULL, TG_CODING_GZIP},
        {"gzip,gzip", NULL, TG_CODING_UNKNOWN},
        {"gzip", "identity", TG_CODING_GZIP},
        {"gzip", "deflate", TG_CODING_UNKNOWN},
        {"br", NULL, TG_CODING_UNKNOWN},
        {"zstd", NULL, TG_CODING_UNKNOWN},
        {"gzip2", NULL, TG_CODING_UNKNOWN},
        {"aws-chunked", "gzip", TG_CODING_UNKNOWN},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct tg_http_header h[] = {{TG_STR("content-type"), TG_STR("gzip")},
                                     {TG_STR("Content-Encoding"), tg_str_c(cases[i].first)},
                                     {TG_STR("content-encoding"), tg_str_c(cases[i].second)}};
        struct tg_http_head head = {.headers = h,
                                    .n_headers = cases[i].second  ? 3
                                                 : cases[i].first ? 2
                                                                  : 1};
        assert_int_equal(tg_coding_of(&head), cases[i].coding);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_at_every_cut),
        cmocka_unit_test(nothing_is_held_up),
        cmocka_unit_test(cut_off_anywhere_is_not_whole),
        cmocka_unit_test(a_wrong_byte_is_found),
        cmocka_unit_test(members_follow_and_nothing_else),
        cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(codings_by_name),
    };
    return cmocka_run_group_tests_name("wire/inflate", tests, NULL, NULL);
}
