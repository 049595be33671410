#include "check.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/err.h"
#include "json/json.h"
#include "json/write.h"

static struct tg_buf buf;

static int setup(void **state)
{
    tg_buf_init(&buf, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_buf_fini(&buf);
    return 0;
}

static void every_kind_of_value(void **state)
{
    struct tg_jw w = tg_jw(&buf);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("s"), TG_STR("a\"\n\xFF"));
    tg_jw_ki64(&w, TG_STR("i"), INT64_MIN);
    tg_jw_kdouble(&w, TG_STR("d"), 0.1);
    tg_jw_kbool(&w, TG_STR("t"), true);
    tg_jw_kbool(&w, TG_STR("f"), false);
    tg_jw_kraw(&w, TG_STR("r"), TG_STR("[ 1 ]"));
    tg_jw_kraw(&w, TG_STR("e"), TG_STR(""));
    tg_jw_key(&w, TG_STR("k\"ey"));
    tg_jw_null(&w);
    tg_jw_key(&w, TG_STR("arr"));
    tg_jw_arr(&w);
    tg_jw_u64(&w, UINT64_MAX);
    tg_jw_arr(&w);
    tg_jw_end_arr(&w);
    tg_jw_obj(&w);
    tg_jw_end_obj(&w);
    tg_jw_obj(&w);
    tg_jw_ki64(&w, TG_STR("x"), 1);
    tg_jw_end_obj(&w);
    tg_jw_str(&w, (struct tg_str){NULL, 0});
    tg_jw_end_arr(&w);
    tg_jw_key(&w, TG_STR("pieces"));
    tg_jw_str_open(&w);
    tg_jw_str_piece(&w, TG_STR("a\\"));
    tg_jw_str_piece(&w, TG_STR(""));
    tg_jw_str_piece(&w, TG_STR("b"));
    tg_jw_str_close(&w);
    tg_jw_kbool(&w, TG_STR("last"), true);
    tg_jw_end_obj(&w);
    assert_int_equal(w.depth, 0);
    assert_true(tg_buf_ok(&buf));
    assert_str(tg_buf_str(&buf),
               "{\"s\":\"a\\\"\\n\xEF\xBF\xBD\",\"i\":-9223372036854775808,\"d\":0.1,\"t\":true,"
               "\"f\":false,\"r\":[ 1 ],\"e\":null,\"k\\\"ey\":null,"
               "\"arr\":[18446744073709551615,[],{},{\"x\":1},\"\"],\"pieces\":\"a\\\\b\","
               "\"last\":true}");
    struct tg_arena a;
    struct tg_json_doc *doc;
    tg_arena_init(&a, 1024, 1 << 20);
    assert_int_equal(tg_json_parse(&a, tg_buf_str(&buf), NULL, &doc, NULL), 0);
    tg_arena_fini(&a);
}

static void what_is_in_the_buffer_stays(void **state)
{
    tg_buf_lit(&buf, "data: ");
    struct tg_jw w = tg_jw(&buf);
    tg_jw_i64(&w, 5);
    assert_str(tg_buf_str(&buf), "data: 5");
}

static struct tg_str text_of(double v)
{
    tg_buf_clear(&buf);
    struct tg_jw w = tg_jw(&buf);
    tg_jw_double(&w, v);
    return tg_buf_str(&buf);
}

static void doubles(void **state)
{
    assert_str(text_of(0), "0");
    assert_str(text_of(1), "1");
    assert_str(text_of(-42), "-42");
    assert_str(text_of(0.1), "0.1");
    assert_str(text_of(0.7), "0.7");
    assert_str(text_of(1.0 / 3), "0.3333333333333333");
    assert_str(text_of(NAN), "null");
    assert_str(text_of(INFINITY), "null");
    assert_str(text_of(-INFINITY), "null");
    static const double values[] = {-0.0,      DBL_MAX,
                                    DBL_MIN,   -DBL_MAX,
                                    5e-324,    1e15,
                                    1e16,      1e21,
                                    1e22,      123456789012345680.0,
                                    0.1 + 0.2, 1e-7,
                                    2.5e-5,    4503599627370497.5};
    for (size_t i = 0; i < TG_ARRAY_LEN(values); i++) {
        struct tg_str s = text_of(values[i]);
        char c[64];
        tg_str_to_c(s, c, sizeof(c));
        double back = strtod(c, NULL);
        assert_true(memcmp(&back, &values[i], sizeof(back)) == 0);
        assert_true(s.n <= 24);
    }
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double v;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v))
            continue;
        char c[64];
        tg_str_to_c(text_of(v), c, sizeof(c));
        assert_true(strtod(c, NULL) == v);
    }
}

static void a_full_buffer_is_seen_at_the_end(void **state)
{
    struct tg_buf small;
    tg_buf_init(&small, 10);
    struct tg_jw w = tg_jw(&small);
    tg_jw_obj(&w);
    tg_jw_kstr(&w, TG_STR("key"), TG_STR("much too long"));
    tg_jw_ki64(&w, TG_STR("k"), 1); /* must not fill the hole */
    tg_jw_kdouble(&w, TG_STR("d"), 1.25);
    tg_jw_end_obj(&w);
    assert_false(tg_buf_ok(&small));
    assert_true(small.n <= 10);
    tg_buf_fini(&small);
}

static void nesting_costs_no_stack(void **state)
{
    struct tg_jw w = tg_jw(&buf);
    for (int i = 0; i < 100000; i++)
        tg_jw_arr(&w);
    assert_int_equal(w.depth, 100000);
    for (int i = 0; i < 100000; i++)
        tg_jw_end_arr(&w);
    assert_int_equal(buf.n, 200000);
    assert_int_equal(w.depth, 0);
}

static void lists_and_members(void **state TG_UNUSED)
{
    static const struct tg_str list[] = {TG_STR_INIT("a"), TG_STR_INIT("\"")};
    struct tg_jw w = tg_jw(&buf);
    tg_jw_obj(&w);
    tg_jw_members(&w, TG_STR(""));
    tg_jw_members(&w, TG_STR("\"x\":1,\"y\":2"));
    tg_jw_kstrs(&w, TG_STR("l"), list, 2);
    tg_jw_kstrs(&w, TG_STR("none"), list, 0);
    tg_jw_members(&w, TG_STR("\"z\":3"));
    tg_jw_kbool(&w, TG_STR("t"), true);
    tg_jw_end_obj(&w);
    assert_str(tg_buf_str(&buf), "{\"x\":1,\"y\":2,\"l\":[\"a\",\"\\\"\"],\"none\":[],"
                                 "\"z\":3,\"t\":true}");
}

#define with_buf(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_buf(every_kind_of_value),
        with_buf(what_is_in_the_buffer_stays),
        with_buf(doubles),
        with_buf(a_full_buffer_is_seen_at_the_end),
        with_buf(nesting_costs_no_stack),
        with_buf(lists_and_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
