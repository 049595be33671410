/* The SSE decoder: tests/cases/sse at every cut; all short streams over a small alphabet against a
 * plain reference; recorded streams; the bytes of every block; memory. And the encoder. */
#include <dirent.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "case_file.h"
#include "check.h"
#include "sse_reference.h"
#include "wire/sse.h"

enum { MAX_EVENT_BYTES = 4 << 20 };

struct run {
    struct tg_sse_dec dec;
    struct tg_buf log, raw;
    int err;
};

static void run_init(struct run *r, size_t max)
{
    *r = (struct run){0};
    tg_sse_dec_init(&r->dec, max);
    tg_buf_init(&r->log, 64 << 20);
    tg_buf_init(&r->raw, 64 << 20);
}

static void run_fini(struct run *r)
{
    tg_sse_dec_fini(&r->dec);
    tg_buf_fini(&r->log);
    tg_buf_fini(&r->raw);
}

/* Bytes as one read would bring them, in a block of their own size. */
static void feed(struct run *r, const char *p, size_t n)
{
    char *copy = tg_malloc(n);
    memcpy(copy, p, n);
    struct tg_str in = tg_str_make(copy, n);
    struct tg_sse_event ev;
    int rc = 0;
    while (r->err == 0 && (rc = tg_sse_next(&r->dec, &in, &ev)) > 0) {
        assert_true(ev.raw.n > 0);
        tg_buf_str_add(&r->raw, ev.raw);
        if (ev.has_data)
            sse_log_event(&r->log, case_escape, ev.type, ev.id, ev.data);
        else
            assert_int_equal(ev.data.n, 0);
    }
    if (rc < 0) {
        struct tg_str more = TG_STR("data: x\n\n");
        r->err = rc;
        tg_buf_printf(&r->log, "error %s\n", tg_err_name(rc));
        assert_int_equal(tg_sse_next(&r->dec, &more, &ev), rc); /* final */
        assert_int_equal(tg_sse_pending(&r->dec), 0);
    } else if (r->err == 0) {
        assert_int_equal(in.n, 0);
    }
    tg_free(copy);
}

/* All raws and what is pending are the input. */
static void check_raw(const struct run *r, const char *p, size_t n)
{
    assert_true(tg_buf_ok(&r->raw) && tg_buf_ok(&r->log));
    assert_int_equal(r->raw.n + tg_sse_pending(&r->dec), n);
    assert_memory_equal(r->raw.p ? r->raw.p : "", p, r->raw.n);
    if (tg_sse_pending(&r->dec) == 0) { /* an idle stream holds nothing */
        assert_null(r->dec.pending.p);
        assert_null(r->dec.joined.p);
    }
}

/* Feeds the input in reads cut at a and b, or in pieces of `piece` bytes when that is not 0. */
static void run_cut(struct run *r, struct tg_str s, size_t piece, size_t a, size_t b)
{
    for (size_t i = 0; piece > 0 && i < s.n; i += piece)
        feed(r, s.p + i, s.n - i < piece ? s.n - i : piece);
    if (piece == 0) {
        feed(r, s.p, a);
        feed(r, s.p + a, b - a); /* empty reads too */
        feed(r, s.p + b, s.n - b);
    }
    if (r->err == 0)
        check_raw(r, s.p, s.n);
}

/* ---- cases ---- */

static unsigned failures;

static void one_way(const struct case_one *c, size_t piece, size_t a, size_t b)
{
    struct run r;
    run_init(&r, case_option(c->kind, "max", MAX_EVENT_BYTES));
    run_cut(&r, tg_buf_str(&c->input), piece, a, b);
    if (r.err == 0 && tg_sse_pending(&r.dec) > 0)
        tg_buf_printf(&r.log, "pending %zu\n", tg_sse_pending(&r.dec));
    if (!tg_str_eq(tg_buf_str(&r.log), tg_buf_str(&c->log)) && failures++ < 20)
        print_error("%s, pieces %zu, cuts %zu %zu:\n%.*s\nexpected:\n%.*s\n", c->title, piece, a, b,
                    TG_STR_ARG(tg_buf_str(&r.log)), TG_STR_ARG(tg_buf_str(&c->log)));
    run_fini(&r);
}

static void check_case(void *ctx, const struct case_one *c)
{
    size_t n = c->input.n;
    unsigned before = failures;
    one_way(c, 0, n, n);
    if (failures != before)
        return;
    for (size_t piece = 1; piece < 8; piece++)
        one_way(c, piece, 0, 0);
    for (size_t i = 1; i < n; i++)
        one_way(c, 0, i, n);
    for (size_t i = 1; n <= 80 && i < n; i++) {
        for (size_t k = i + 1; k < n; k++)
            one_way(c, 0, i, k);
    }
    /* Cut off behind each byte: the events seen are the first ones of the whole. */
    for (size_t i = 0; i < n; i++) {
        struct run r;
        run_init(&r, case_option(c->kind, "max", MAX_EVENT_BYTES));
        feed(&r, c->input.p, i);
        assert_true(tg_str_starts(tg_buf_str(&c->log), tg_buf_str(&r.log)));
        run_fini(&r);
    }
}

static void test_cases(void **state)
{
    failures = 0;
    size_t n = case_files_each("sse", check_case, NULL);
    print_message("%zu cases\n", n);
    assert_true(n >= 100);
    assert_int_equal(failures, 0);
}

/* ---- all short streams ---- */

static void against_reference(struct tg_str s, size_t piece, size_t a, size_t b)
{
    struct run r;
    struct tg_buf want;
    run_init(&r, MAX_EVENT_BYTES);
    tg_buf_init(&want, 64 << 20);
    run_cut(&r, s, piece, a, b);
    sse_reference_log(s, case_escape, &want);
    if (!tg_str_eq(tg_buf_str(&r.log), tg_buf_str(&want)) && failures++ < 20) {
        struct tg_buf shown;
        tg_buf_init(&shown, 1 << 20);
        case_escape(&shown, s);
        print_error("%.*s, pieces %zu, cuts %zu %zu:\n%.*s\nreference:\n%.*s\n",
                    TG_STR_ARG(tg_buf_str(&shown)), piece, a, b, TG_STR_ARG(tg_buf_str(&r.log)),
                    TG_STR_ARG(tg_buf_str(&want)));
        tg_buf_fini(&shown);
    }
    run_fini(&r);
    tg_buf_fini(&want);
}

/* Every sequence of up to six of these pieces, whole and at every cut of it. */
static void test_exhaustive(void **state)
{
    static const char *const parts[] = {"\r", "\n", "data:x", "\xef\xbb\xbf", "a", "id: 1"};
    enum { N_PARTS = TG_ARRAY_LEN(parts), LONGEST = 6 };
    failures = 0;
    for (unsigned len = 1; len <= LONGEST; len++) {
        unsigned long count = 1;
        for (unsigned i = 0; i < len; i++)
            count *= N_PARTS;
        for (unsigned long k = 0; k < count; k++) {
            char text[64];
            size_t n = 0;
            unsigned long rest = k;
            for (unsigned i = 0; i < len; i++, rest /= N_PARTS) {
                const char *part = parts[rest % N_PARTS];
                memcpy(text + n, part, strlen(part));
                n += strlen(part);
            }
            struct tg_str s = tg_str_make(text, n);
            against_reference(s, 0, n, n);
            against_reference(s, 1, 0, 0);
            for (size_t i = 1; len < LONGEST && i < n; i++)
                against_reference(s, 0, i, n);
        }
    }
    assert_int_equal(failures, 0);
}

/* ---- recorded streams ---- */

static void check_recording(struct tg_str s)
{
    against_reference(s, 0, s.n, s.n);
    for (size_t piece = 1; piece <= 7; piece += piece < 3 ? 1 : 4)
        against_reference(s, piece, 0, 0);
    uint32_t seed = (uint32_t)s.n;
    for (int i = 0; i < 5; i++) {
        struct run r;
        struct tg_buf want;
        run_init(&r, MAX_EVENT_BYTES);
        tg_buf_init(&want, 64 << 20);
        for (size_t at = 0; at < s.n;) {
            seed = seed * 1664525u + 1013904223u;
            size_t n = 1 + (seed >> 8) % 900;
            n = n < s.n - at ? n : s.n - at;
            feed(&r, s.p + at, n);
            at += n;
        }
        check_raw(&r, s.p, s.n);
        sse_reference_log(s, case_escape, &want);
        assert_true(tg_str_eq(tg_buf_str(&r.log), tg_buf_str(&want)));
        assert_true(r.log.n > 0);
        run_fini(&r);
        tg_buf_fini(&want);
    }
}

/* Streams of real providers lie beside the source tree on machines that have them. */
static void test_recordings(void **state)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/../shared/recordings", getenv("TG_SOURCE_ROOT"));
    DIR *dir = opendir(path);
    if (!dir)
        skip_because("no recorded streams on this machine");
    failures = 0;
    unsigned count = 0;
    struct dirent *e;
    while ((e = readdir(dir))) {
        char file[8192];
        size_t n;
        snprintf(file, sizeof(file), "%s/%s/response.sse", path, e->d_name);
        char *text = case_file_read(file, &n);
        if (!text)
            continue;
        check_recording(tg_str_make(text, n));
        tg_free(text);
        count++;
    }
    closedir(dir);
    print_message("%u recorded streams\n", count);
    assert_int_equal(failures, 0);
}

/* ---- views, memory ---- */

static void test_views(void **state)
{
    struct tg_sse_dec d;
    struct tg_sse_event ev;
    tg_sse_dec_init(&d, 1000);
    struct tg_str in = TG_STR("event: e\nid: i\ndata: d\n\ndata: rest");
    const char *p = in.p;
    tg_alloc_fail_at(0, 0);
    assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
    assert_int_equal(tg_alloc_count(), 0); /* the fast path allocates and copies nothing */
    assert_ptr_equal(ev.type.p, p + 7);
    assert_ptr_equal(ev.id.p, p + 13);
    assert_ptr_equal(ev.data.p, p + 21);
    assert_ptr_equal(ev.raw.p, p);
    assert_int_equal(ev.raw.n, 24);
    assert_int_equal(tg_sse_next(&d, &in, &ev), 0);
    assert_int_equal(tg_sse_pending(&d), 10);
    in = TG_STR("\n\ndata: next\n\n");
    assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
    assert_true(tg_str_eq(ev.data, TG_STR("rest")));
    assert_true(tg_str_eq(ev.raw, TG_STR("data: rest\n\n")));
    assert_int_equal(tg_sse_pending(&d), 0); /* it was given */
    assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
    assert_true(tg_str_eq(ev.data, TG_STR("next")));
    assert_null(d.pending.p);
    tg_sse_dec_fini(&d);
}

/* An event that ends in CR is given at once; its LF comes as a block of its own. */
static void test_cr_at_the_end_of_a_read(void **state)
{
    struct tg_sse_dec d;
    struct tg_sse_event ev;
    tg_sse_dec_init(&d, 1000);
    struct tg_str in = TG_STR("data: a\r\n\r");
    assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
    assert_true(tg_str_eq(ev.data, TG_STR("a")));
    assert_true(tg_str_eq(ev.raw, TG_STR("data: a\r\n\r")));
    assert_int_equal(tg_sse_next(&d, &in, &ev), 0);
    in = TG_STR("\ndata: b\r\n\r\n");
    assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
    assert_false(ev.has_data);
    assert_true(tg_str_eq(ev.raw, TG_STR("\n")));
    assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
    assert_true(tg_str_eq(ev.raw, TG_STR("data: b\r\n\r\n")));
    tg_sse_dec_fini(&d);
}

static void test_no_memory(void **state)
{
    static const char text[] = "data: a\ndata: b\n\nid: 1\ndata: c\ndata: d\n\n";
    for (uint64_t k = 1; k < 12; k++) {
        for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
            struct tg_sse_dec d;
            struct tg_sse_event ev;
            struct tg_str parts[2] = {{text, cut}, {text + cut, sizeof(text) - 1 - cut}};
            int rc = 0, events = 0;
            tg_sse_dec_init(&d, 1000);
            tg_alloc_fail_at(k, 0);
            for (int i = 0; i < 2 && rc == 0; i++) {
                while ((rc = tg_sse_next(&d, &parts[i], &ev)) > 0)
                    events++;
            }
            tg_alloc_fail_at(0, 0);
            assert_true(rc == TG_E_NOMEM || (rc == 0 && events == 2));
            assert_true(k > 1 || rc == TG_E_NOMEM); /* joined lines need memory at least */
            tg_sse_dec_fini(&d);
        }
    }
}

/* Lines of one kind of end in a large read are not searched again and again. */
static void test_linear(void **state)
{
    enum { BYTES = 1 << 20 };
    static const char *const units[] = {"x\r", "x\n", "\r", "\n", "data:x\r\r", "data:x\r"};
    char *text = tg_malloc(BYTES);
    for (size_t u = 0; u < TG_ARRAY_LEN(units); u++) {
        size_t len = strlen(units[u]);
        for (size_t i = 0; i < BYTES; i++)
            text[i] = units[u][i % len];
        struct tg_sse_dec d;
        struct tg_sse_event ev;
        struct tg_str in = tg_str_make(text, BYTES);
        size_t raw = 0;
        tg_sse_dec_init(&d, 2 * BYTES);
        while (tg_sse_next(&d, &in, &ev) > 0)
            raw += ev.raw.n;
        assert_int_equal(raw + tg_sse_pending(&d), BYTES);
        tg_sse_dec_fini(&d);
    }
    tg_free(text);
}

/* ---- encoder ---- */

static void expect_written(struct tg_str type, struct tg_str data, const char *want)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_sse_write(&b, type, data), 0);
    assert_true(tg_str_eq(tg_buf_str(&b), tg_str_c(want)));
    tg_buf_fini(&b);
}

static void test_write(void **state)
{
    struct tg_str none = TG_STR("");
    expect_written(none, TG_STR("hello"), "data: hello\n\n");
    expect_written(none, none, "data: \n\n");
    expect_written(TG_STR("ping"), TG_STR("{}"), "event: ping\ndata: {}\n\n");
    expect_written(none, TG_STR(" a"), "data:  a\n\n");
    expect_written(none, TG_STR("a\nb"), "data: a\ndata: b\n\n");
    expect_written(none, TG_STR("a\rb\r\nc"), "data: a\ndata: b\ndata: c\n\n");
    expect_written(none, TG_STR("a\n"), "data: a\ndata: \n\n");
    expect_written(none, TG_STR("\n\n"), "data: \ndata: \ndata: \n\n");
    expect_written(none, TG_STR("a\0b"),
                   "data: a\xef\xbf\xbd"
                   "b\n\n");
    expect_written(none, TG_STR("x\revent: evil\n\nid: 1"),
                   "data: x\ndata: event: evil\ndata: \ndata: id: 1\n\n");
}

static void test_write_refuses(void **state)
{
    static const struct tg_str bad[] = {TG_STR_INIT("a\nb"), TG_STR_INIT("a\rb"),
                                        TG_STR_INIT("a\0b"), TG_STR_INIT("\x7f")};
    struct tg_buf b;
    tg_buf_init(&b, 32);
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++)
        assert_int_equal(tg_sse_write(&b, bad[i], TG_STR("x")), TG_E_INVALID_ARG);
    assert_int_equal(b.n, 0);
    assert_true(tg_buf_ok(&b));
    assert_int_equal(tg_sse_write(&b, TG_STR(""), TG_STR("1")), 0);
    /* What does not fit leaves nothing behind, also when it grows while it is written. */
    assert_true(tg_sse_write(&b, TG_STR(""), TG_STR("a\nb\nc\nd\ne\nf\ng\nh")) < 0);
    assert_true(tg_str_eq(tg_buf_str(&b), TG_STR("data: 1\n\n")));
    assert_true(tg_sse_write_comment(&b, TG_STR("12345678901234567890123456789012")) < 0);
    assert_true(tg_str_eq(tg_buf_str(&b), TG_STR("data: 1\n\n")));
    tg_buf_fini(&b);
}

static void test_write_comment(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1000);
    assert_int_equal(tg_sse_write_comment(&b, TG_STR("keep-alive")), 0);
    assert_int_equal(tg_sse_write_comment(&b, TG_STR("")), 0);
    assert_int_equal(tg_sse_write_comment(&b, TG_STR("a\ndata: b")), 0);
    assert_true(tg_str_eq(tg_buf_str(&b), TG_STR(": keep-alive\n\n: \n\n: a\n: data: b\n\n")));
    tg_buf_fini(&b);
}

/* What is written is read back, with line ends made one kind. */
static void test_round_trip(void **state)
{
    static const char alphabet[] = {'a', ' ', ':', '\n', '\r'};
    for (unsigned k = 0; k < 5 * 5 * 5 * 5 * 5 * 5; k++) {
        char text[6], want[6];
        size_t n = 0;
        unsigned rest = k;
        for (size_t i = 0; i < sizeof(text); i++, rest /= 5)
            text[i] = alphabet[rest % 5];
        for (size_t i = 0; i < sizeof(text); i++) {
            if (text[i] == '\r' && i + 1 < sizeof(text) && text[i + 1] == '\n')
                continue;
            want[n++] = text[i] == '\r' ? '\n' : text[i];
        }
        struct tg_buf b;
        struct tg_sse_dec d;
        struct tg_sse_event ev;
        tg_buf_init(&b, 1000);
        tg_sse_dec_init(&d, 1000);
        assert_int_equal(tg_sse_write(&b, TG_STR("t"), tg_str_make(text, sizeof(text))), 0);
        struct tg_str in = tg_buf_str(&b);
        assert_int_equal(tg_sse_next(&d, &in, &ev), 1);
        assert_int_equal(in.n, 0);
        assert_true(tg_str_eq(ev.type, TG_STR("t")));
        assert_true(tg_str_eq(ev.data, tg_str_make(want, n)));
        tg_sse_dec_fini(&d);
        tg_buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_exhaustive),
        cmocka_unit_test(test_recordings),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_cr_at_the_end_of_a_read),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_refuses),
        cmocka_unit_test(test_write_comment),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
