/* The line splitter: every short text over a small alphabet at every cut against a plain reading,
 * the limit, and recorded streams. */
#include <dirent.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "check.h"
#include "wire/ndjson.h"

struct run {
    struct tg_buf lines, raw;
    int err;
};

static void note(struct run *r, const struct tg_ndjson_line *l)
{
    tg_buf_char(&r->lines, '[');
    tg_buf_str_add(&r->lines, l->text);
    tg_buf_char(&r->lines, ']');
    tg_buf_str_add(&r->raw, l->raw);
}

static void feed(struct run *r, struct tg_ndjson_dec *d, struct tg_str piece)
{
    struct tg_ndjson_line line;
    char *copy = tg_malloc(piece.n + 1); /* memory of its own, so that a late view is seen */
    memcpy(copy, piece.p, piece.n);
    struct tg_str in = tg_str_make(copy, piece.n);
    int rc = 0;
    while (r->err == 0 && (rc = tg_ndjson_next(d, &in, &line)) > 0)
        note(r, &line);
    if (rc < 0)
        r->err = rc;
    else if (r->err == 0)
        assert_int_equal(in.n, 0);
    tg_free(copy);
}

/* The whole text in pieces, `cut` bytes first, then `size` at a time. */
static void run(struct run *r, struct tg_str text, size_t cut, size_t size, size_t max)
{
    struct tg_ndjson_dec d;
    struct tg_ndjson_line line;
    tg_ndjson_dec_init(&d, max);
    *r = (struct run){0};
    tg_buf_init(&r->lines, 8 << 20);
    tg_buf_init(&r->raw, 8 << 20);
    feed(r, &d, tg_str_first(text, cut));
    for (size_t i = cut; i < text.n; i += size)
        feed(r, &d, tg_str_first(tg_str_from(text, i), size));
    int rc = tg_ndjson_end(&d, &line);
    if (rc > 0) {
        note(r, &line);
        assert_int_equal(tg_ndjson_end(&d, &line), 0);
    } else {
        assert_int_equal(rc, r->err);
    }
    tg_ndjson_dec_fini(&d);
}

static void run_fini(struct run *r)
{
    tg_buf_fini(&r->lines);
    tg_buf_fini(&r->raw);
}

static void plain_reading(struct tg_str text, struct tg_buf *out)
{
    struct tg_str line;
    while (text.n && tg_str_split(&text, '\n', &line)) {
        tg_buf_char(out, '[');
        tg_buf_str_add(out, tg_str_trim(line));
        tg_buf_char(out, ']');
    }
}

static void check_text(struct tg_str text)
{
    struct tg_buf want;
    struct run r;
    tg_buf_init(&want, 1 << 20);
    plain_reading(text, &want);
    for (size_t cut = 0; cut <= text.n; cut++)
        for (size_t size = 1; size <= text.n + 1; size += text.n ? text.n : 1) {
            run(&r, text, cut, size, 100);
            assert_int_equal(r.err, 0);
            assert_str_equal(tg_buf_str(&r.lines), tg_buf_str(&want));
            assert_str_equal(tg_buf_str(&r.raw), text);
            run_fini(&r);
        }
    tg_buf_fini(&want);
}

static void all_short_texts(void **state TG_UNUSED)
{
    static const char alphabet[] = {'\n', '\r', 'a', ' '};
    char text[6];
    for (size_t n = 0; n <= sizeof(text); n++) {
        size_t count = (size_t)1 << (2 * n);
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < n; k++)
                text[k] = alphabet[i >> (2 * k) & 3];
            check_text(tg_str_make(text, n));
        }
    }
    check_text(TG_STR("{\"a\":1}\r\n\n{\"b\":\"\xc3\xa9\"}\n{}"));
}

static void a_line_has_a_limit(void **state TG_UNUSED)
{
    struct tg_str text = TG_STR("12345\n1234567\n1\n");
    struct tg_ndjson_dec d;
    struct tg_ndjson_line line;
    struct run r;
    for (size_t cut = 0; cut <= text.n; cut++) {
        run(&r, text, cut, 1, 5);
        assert_int_equal(r.err, TG_E_UPSTREAM_TOO_LARGE);
        assert_str(tg_buf_str(&r.lines), "[12345]");
        run_fini(&r);
        run(&r, text, cut, 3, 7);
        assert_int_equal(r.err, 0);
        run_fini(&r);
    }
    tg_ndjson_dec_init(&d, 2);
    struct tg_str in = TG_STR("abc"), more = TG_STR("\n");
    assert_int_equal(tg_ndjson_next(&d, &in, &line), TG_E_UPSTREAM_TOO_LARGE);
    assert_int_equal(tg_ndjson_next(&d, &more, &line), TG_E_UPSTREAM_TOO_LARGE); /* final */
    assert_int_equal(tg_ndjson_end(&d, &line), TG_E_UPSTREAM_TOO_LARGE);
    tg_ndjson_dec_fini(&d);
}

static void memory_runs_out(void **state TG_UNUSED)
{
    struct tg_ndjson_dec d;
    struct tg_ndjson_line line;
    struct tg_str in = TG_STR("half a li");
    tg_ndjson_dec_init(&d, 100);
    tg_alloc_fail_at(1, 1);
    assert_int_equal(tg_ndjson_next(&d, &in, &line), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(tg_ndjson_next(&d, &in, &line), TG_E_NOMEM);
    tg_ndjson_dec_fini(&d);
}

/* Streams of Ollama, as they were recorded: each line is an object, and nothing is lost. */
static void recorded_streams(void **state TG_UNUSED)
{
    static char text_buf[1 << 20];
    char path[512];
    size_t streams = 0;
    snprintf(path, sizeof(path), "%s/../shared/recordings", getenv("TG_SOURCE_ROOT"));
    DIR *dir = opendir(path);
    if (!dir)
        skip_because("the recordings are not here");
    for (struct dirent *e; (e = readdir(dir));) {
        char file[1024];
        struct run whole, cut;
        snprintf(file, sizeof(file), "%s/%s/response.ndjson", path, e->d_name);
        FILE *f = fopen(file, "rb");
        if (!f)
            continue;
        struct tg_str text = tg_str_make(text_buf, fread(text_buf, 1, sizeof(text_buf), f));
        fclose(f);
        run(&whole, text, 0, text.n, 1 << 20);
        run(&cut, text, 0, 7, 1 << 20);
        assert_int_equal(whole.err, 0);
        assert_str_equal(tg_buf_str(&whole.lines), tg_buf_str(&cut.lines));
        assert_str_equal(tg_buf_str(&whole.raw), text);
        assert_str_equal(tg_buf_str(&cut.raw), text);
        assert_true(tg_str_starts(tg_buf_str(&whole.lines), TG_STR("[{")));
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
        cmocka_unit_test(all_short_texts),
        cmocka_unit_test(a_line_has_a_limit),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(recorded_streams),
    };
    return cmocka_run_group_tests_name("wire/ndjson", tests, NULL, NULL);
}
