#include "check.h"

#include "base/err.h"
#include "dialect/dialect.h"

static struct tg_buf out;

static struct tg_str render(const struct tg_fail *f, bool in_stream)
{
    tg_buf_fini(&out);
    tg_buf_init(&out, 1 << 16);
    tg_dialect_openai_fail(f, TG_STR("req_1"), in_stream, &out);
    return tg_buf_str(&out);
}

static int teardown(void **state)
{
    tg_buf_fini(&out);
    return 0;
}

static void the_table_s_words(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_fail_param(&f, TG_E_INVALID_VALUE, "messages[0].role", "bad \"role\"");
    assert_str(render(&f, false),
               "{\"error\":{\"message\":\"bad \\\"role\\\"\",\"type\":\"invalid_request_error\","
               "\"param\":\"messages[0].role\",\"code\":\"invalid_value\",\"request_id\":"
               "\"req_1\"}}");
}

static void overrides(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_fail_set(&f, TG_E_UPSTREAM_REJECTED, "no");
    memcpy(f.code, "invalid_image", 14);
    memcpy(f.type, "image_error", 12);
    assert_str(render(&f, false),
               "{\"error\":{\"message\":\"no\",\"type\":\"image_error\",\"param\":"
               "null,\"code\":\"invalid_image\",\"request_id\":\"req_1\"}}");
}

static void in_a_stream_it_is_an_event(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_fail_set(&f, TG_E_UPSTREAM_INCOMPLETE, "two\nlines");
    struct tg_str s = render(&f, true);
    assert_true(tg_str_starts(s, TG_STR("data: {\"error\":{\"message\":\"two")));
    assert_true(tg_str_ends(s, TG_STR("\"code\":\"upstream_incomplete\",\"request_id\":\"req_1\"}}"
                                      "\n\n")));
    assert_int_equal(tg_str_chr(s, '\n'), s.n - 2); /* one line */
}

static void a_failure_without_words(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    f.err = TG_E_NOMEM;
    assert_contains(render(&f, false), "{\"message\":\"out of memory\",");
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(the_table_s_words),
        T(overrides),
        T(in_a_stream_it_is_an_event),
        T(a_failure_without_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
