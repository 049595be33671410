#include "check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/utf8.h"

static void appends_and_grows(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    assert_null(b.p);
    assert_int_equal(tg_buf_add(&b, NULL, 0), 0);
    tg_buf_lit(&b, "ab");
    tg_buf_char(&b, 'c');
    tg_buf_u64(&b, UINT64_MAX);
    tg_buf_i64(&b, INT64_MIN);
    tg_buf_i64(&b, 0);
    tg_buf_printf(&b, "%s%d", "p", 1);
    assert_true(tg_buf_ok(&b));
    assert_str(tg_buf_str(&b), "abc18446744073709551615-92233720368547758080p1");
    tg_buf_clear(&b);
    for (int i = 0; i < 100000; i++)
        tg_buf_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.n, 100000);
    assert_int_equal(b.p[99999], 'a' + 99999 % 26);
    tg_buf_fini(&b);
    assert_null(b.p);
    assert_int_equal(b.max_bytes, 1 << 20);
}

static void the_maximum_is_exact_and_sticky(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 300);
    char text[301];
    memset(text, 'x', sizeof(text));
    assert_int_equal(tg_buf_add(&b, text, 300), 0);
    assert_int_equal(tg_buf_char(&b, 'y'), TG_E_FULL);
    assert_false(tg_buf_ok(&b));
    assert_int_equal(b.n, 300);
    tg_buf_drop(&b, 100);
    assert_int_equal(tg_buf_char(&b, 'y'), TG_E_FULL); /* sticky: no text with a hole */
    assert_int_equal(tg_buf_add(&b, NULL, 0) < 0, 1);
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_add(&b, text, 301), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_reserve(&b, SIZE_MAX), TG_E_FULL);
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_reserve(&b, 300), 0);
    assert_true(b.cap <= 300);
    tg_buf_fini(&b);
}

static void printf_of_any_length(void **state)
{
    struct tg_buf b;
    char text[600];
    memset(text, 'x', sizeof(text));
    text[599] = 0;
    for (int n = 250; n < 262; n++) {
        tg_buf_init(&b, (size_t)n); /* the NUL must not count */
        assert_int_equal(tg_buf_printf(&b, "%.*s", n, text), 0);
        assert_int_equal(b.n, n);
        tg_buf_fini(&b);
    }
    tg_buf_init(&b, 100);
    assert_int_equal(tg_buf_printf(&b, "%s", text), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_fini(&b);
}

static void drop_and_take(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 100);
    tg_buf_lit(&b, "hello");
    tg_buf_drop(&b, 0);
    tg_buf_drop(&b, 2);
    assert_str(tg_buf_str(&b), "llo");
    tg_buf_drop(&b, 3);
    assert_int_equal(b.n, 0);
    tg_buf_lit(&b, "xy");
    size_t n;
    char *p = tg_buf_take(&b, &n);
    assert_int_equal(n, 2);
    assert_memory_equal(p, "xy", 2);
    assert_null(b.p);
    tg_free(p);
    assert_null(tg_buf_take(&b, &n));
    assert_int_equal(n, 0);
}

static void memory_failure_keeps_the_content(void **state)
{
    struct tg_buf b;
    char text[1000] = {0};
    tg_buf_init(&b, 1 << 20);
    tg_buf_lit(&b, "kept");
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_buf_add(&b, text, sizeof(text)), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_str(tg_buf_str(&b), "kept");
    assert_false(tg_buf_ok(&b));
    tg_buf_clear(&b);
    memset(text, 'x', 999);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_buf_printf(&b, "%s", text), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    tg_buf_fini(&b);
}

/* One byte or character at a time, the obvious way. */
static void slow_json(struct tg_str s, char *out, size_t *out_n)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = tg_utf8_len(tg_str_from(s, i));
        const char *names = "\bb\tt\nn\ff\rr\"\"\\\\", *hit = c ? strchr(names, c) : NULL;
        if (len == 0) {
            memcpy(out + n, "\xEF\xBF\xBD", 3);
            n += 3;
            i++;
        } else if (hit && (hit - names) % 2 == 0) {
            out[n++] = '\\';
            out[n++] = hit[1];
            i++;
        } else if (c < 0x20) {
            n += (size_t)snprintf(out + n, 7, "\\u%04x", c);
            i++;
        } else {
            memcpy(out + n, s.p + i, len);
            n += len;
            i += len;
        }
    }
    *out_n = n;
}

static void json_of_every_byte_at_every_place(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 4096);
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 20; at++) {
            char text[20], want[200];
            size_t want_n;
            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            slow_json(tg_str_make(text, sizeof(text)), want, &want_n);
            tg_buf_clear(&b);
            assert_int_equal(tg_buf_json(&b, tg_str_make(text, sizeof(text))), 0);
            assert_str_equal(tg_buf_str(&b), tg_str_make(want, want_n));
        }
    tg_buf_fini(&b);
}

static void json_of_random_mixtures(void **state)
{
    static const char *const pieces[] = {"a",        "plain text ",  "\"",
                                         "\\",       "\n",           "\x01",
                                         "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                                         "\xFF",     "\xC3",         "\xED\xA0\x80"};
    struct tg_buf b;
    unsigned seed = 1;
    tg_buf_init(&b, 65536);
    for (int round = 0; round < 3000; round++) {
        char text[400], want[3000];
        size_t n = 0, want_n;
        while (n < (size_t)(round % 300)) {
            seed = seed * 1103515245 + 12345;
            const char *p = pieces[seed / 65536 % TG_ARRAY_LEN(pieces)];
            memcpy(text + n, p, strlen(p));
            n += strlen(p);
        }
        slow_json(tg_str_make(text, n), want, &want_n);
        tg_buf_clear(&b);
        assert_int_equal(tg_buf_json(&b, tg_str_make(text, n)), 0);
        assert_str_equal(tg_buf_str(&b), tg_str_make(want, want_n));
        assert_true(tg_utf8_valid(tg_buf_str(&b)));
    }
    tg_buf_fini(&b);
}

static void json_is_all_or_nothing(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 10);
    tg_buf_lit(&b, "ab");
    assert_int_equal(tg_buf_json(&b, TG_STR("\n\n\n\n\n")), TG_E_FULL);
    assert_str(tg_buf_str(&b), "ab");
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_json_str(&b, TG_STR("123456789")), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_json_str(&b, TG_STR("1234567\n")), TG_E_FULL);
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_json_str(&b, TG_STR("123456\n")), 0);
    assert_str(tg_buf_str(&b), "\"123456\\n\"");
    tg_buf_clear(&b);
    assert_int_equal(tg_buf_json_str(&b, (struct tg_str){NULL, 0}), 0);
    assert_str(tg_buf_str(&b), "\"\"");
    tg_buf_fini(&b);
}

static void json_on_one_line(void **state TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 32);
    tg_buf_lit(&b, "a\n");
    assert_int_equal(tg_buf_json_line(&b, TG_STR("{\r\n \"x\\n\": 1\n}")), 0);
    assert_str(tg_buf_str(&b), "a\n{   \"x\\n\": 1 }");
    tg_buf_one_line(&b, 0);
    assert_str(tg_buf_str(&b), "a {   \"x\\n\": 1 }");
    size_t n = b.n;
    assert_int_equal(tg_buf_json_line(&b, TG_STR("\n234567890123456789012345678901")), TG_E_FULL);
    assert_int_equal(b.n, n);
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_grows),
        cmocka_unit_test(the_maximum_is_exact_and_sticky),
        cmocka_unit_test(printf_of_any_length),
        cmocka_unit_test(drop_and_take),
        cmocka_unit_test(memory_failure_keeps_the_content),
        cmocka_unit_test(json_of_every_byte_at_every_place),
        cmocka_unit_test(json_of_random_mixtures),
        cmocka_unit_test(json_is_all_or_nothing),
        cmocka_unit_test(json_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
