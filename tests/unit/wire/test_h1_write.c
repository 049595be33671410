#include <stdio.h>

#include "base/err.h"
#include "check.h"
#include "wire/h1.h"

static void expect(struct tg_buf *b, const char *want)
{
    assert_true(tg_buf_ok(b));
    if (!tg_str_eq(tg_buf_str(b), tg_str_c(want)))
        fail_msg("\"%.*s\"", TG_STR_ARG(tg_buf_str(b)));
    tg_buf_clear(b);
}

static void test_lines(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1000);
    assert_int_equal(tg_h1_write_request_line(&b, TG_HTTP_POST, TG_STR("/v1/x?y=z")), 0);
    expect(&b, "POST /v1/x?y=z HTTP/1.1\r\n");
    assert_int_equal(tg_h1_write_request_line(&b, TG_HTTP_CONNECT, TG_STR("a:443")), 0);
    expect(&b, "CONNECT a:443 HTTP/1.1\r\n");
    assert_int_equal(tg_h1_write_status_line(&b, 200), 0);
    expect(&b, "HTTP/1.1 200 OK\r\n");
    assert_int_equal(tg_h1_write_status_line(&b, 529), 0);
    expect(&b, "HTTP/1.1 529 Overloaded\r\n");
    assert_int_equal(tg_h1_write_status_line(&b, 599), 0);
    expect(&b, "HTTP/1.1 599 Unknown\r\n");
    assert_int_equal(tg_h1_write_header(&b, TG_STR("A"), TG_STR("b c\td\xc3\xa9")), 0);
    expect(&b, "A: b c\td\xc3\xa9\r\n");
    assert_int_equal(tg_h1_write_header(&b, TG_STR("A-b_c"), TG_STR("")), 0);
    expect(&b, "A-b_c: \r\n");
    tg_buf_fini(&b);
}

static void test_refused(void **state)
{
    static const struct tg_str targets[] = {
        TG_STR_INIT(""),          TG_STR_INIT("/a b"), TG_STR_INIT("/a\r\nX: y"),
        TG_STR_INIT("/a\n"),      TG_STR_INIT("/\0a"), TG_STR_INIT("/\x7f"),
        TG_STR_INIT("/\xc3\xa9"), TG_STR_INIT("/a#b"), TG_STR_INIT("/a\tb"),
    };
    struct tg_buf b;
    tg_buf_init(&b, 1000);
    for (size_t i = 0; i < TG_ARRAY_LEN(targets); i++)
        assert_int_equal(tg_h1_write_request_line(&b, TG_HTTP_GET, targets[i]), TG_E_INVALID_ARG);
    assert_int_equal(tg_h1_write_status_line(&b, 99), TG_E_INVALID_ARG);
    assert_int_equal(tg_h1_write_status_line(&b, 1000), TG_E_INVALID_ARG);
    /* Every byte in a name and in a value: exactly those of RFC 9110 pass. */
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        bool name_ok = c != 0 && strchr(token, c) != NULL;
        bool value_ok = c == '\t' || (c >= 0x20 && c != 0x7f);
        int rc = tg_h1_write_header(&b, tg_str_make(text, 3), TG_STR("x"));
        assert_int_equal(rc, name_ok ? 0 : TG_E_INVALID_ARG);
        rc = tg_h1_write_header(&b, TG_STR("x"), tg_str_make(text, 3));
        assert_int_equal(rc, value_ok ? 0 : TG_E_INVALID_ARG);
        if (!name_ok && !value_ok)
            assert_int_equal(b.n, 0);
        tg_buf_clear(&b);
    }
    assert_int_equal(tg_h1_write_header(&b, TG_STR(""), TG_STR("x")), TG_E_INVALID_ARG);
    assert_int_equal(b.n, 0);
    tg_buf_fini(&b);
}

/* A line that does not fit is not written in part. */
static void test_full(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 20);
    assert_int_equal(tg_h1_write_request_line(&b, TG_HTTP_GET, TG_STR("/12345")), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_clear(&b);
    assert_int_equal(tg_h1_write_request_line(&b, TG_HTTP_GET, TG_STR("/1234")), 0);
    assert_int_equal(b.n, 20);
    tg_buf_clear(&b);
    assert_int_equal(tg_h1_write_status_line(&b, 404), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_clear(&b);
    assert_int_equal(tg_h1_write_header(&b, TG_STR("12345678"), TG_STR("123456789")), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_fini(&b);
}

static void test_chunk_head(void **state)
{
    static const size_t sizes[] = {
        1,    9,     10,    15,      16,       17,       255,        256,      4095,
        4096, 65535, 65536, 1 << 20, 20000000, 0xabcdef, UINT32_MAX, SIZE_MAX, SIZE_MAX >> 4};
    for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
        char out[20], want[32];
        size_t n = tg_h1_chunk_head(out, sizes[i]);
        int len = snprintf(want, sizeof(want), "%zx\r\n", sizes[i]);
        assert_int_equal(n, len);
        assert_memory_equal(out, want, n);
    }
}

/* What the writers make, the parser takes. */
static void test_round_trip(void **state)
{
    struct tg_buf b;
    struct tg_arena a;
    struct tg_h1 *p;
    struct tg_h1_event ev;
    char chunk[20];
    tg_buf_init(&b, 1000);
    tg_arena_init(&a, 1024, 1 << 20);
    tg_h1_write_status_line(&b, 200);
    tg_h1_write_header(&b, TG_STR("Transfer-Encoding"), TG_STR("chunked"));
    tg_buf_lit(&b, "\r\n");
    tg_buf_add(&b, chunk, tg_h1_chunk_head(chunk, 26));
    tg_buf_lit(&b, "abcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n");
    struct tg_str in = tg_buf_str(&b);
    assert_int_equal(tg_h1_new(TG_H1_RESPONSE, &tg_h1_limits_default, &a, &p), 0);
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    assert_int_equal(ev.head->status, 200);
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    assert_true(tg_str_eq(ev.body, TG_STR("abcdefghijklmnopqrstuvwxyz")));
    assert_int_equal(tg_h1_next(p, &in, &ev), 1);
    assert_int_equal(ev.kind, TG_H1_END);
    tg_arena_fini(&a);
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_full),       cmocka_unit_test(test_chunk_head),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
