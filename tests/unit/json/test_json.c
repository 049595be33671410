#include "check.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/num.h"
#include "json/json.h"

static struct tg_arena arena;

static int setup(void **state)
{
    tg_arena_init(&arena, 1024, (size_t)256 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&arena);
    return 0;
}

/* The root of a text that must parse. */
static const struct tg_json *parsed(struct tg_str text)
{
    struct tg_json_doc *doc = NULL;
    struct tg_fail f;
    tg_fail_clear(&f);
    int rc = tg_json_parse(&arena, text, NULL, &doc, &f);
    if (rc) {
        print_error("%.*s: %s\n", TG_STR_ARG(text), f.message);
        assert_int_equal(rc, 0);
    }
    return tg_json_root(doc);
}

static void accepts(void **state)
{
    static const struct tg_str good[] = {
        TG_STR_INIT("{}"),
        TG_STR_INIT("[]"),
        TG_STR_INIT("null"),
        TG_STR_INIT("true"),
        TG_STR_INIT("false"),
        TG_STR_INIT("0"),
        TG_STR_INIT("-0"),
        TG_STR_INIT("1"),
        TG_STR_INIT("\"\""),
        TG_STR_INIT(" \t\r\n1 \t\r\n"),
        TG_STR_INIT("[ ]"),
        TG_STR_INIT("{ }"),
        TG_STR_INIT("[1,2 , 3]"),
        TG_STR_INIT("{\"a\":1,\"b\" : 2}"),
        TG_STR_INIT("[[],[[]],{}]"),
        TG_STR_INIT("1.5"),
        TG_STR_INIT("-1.5e10"),
        TG_STR_INIT("1E+2"),
        TG_STR_INIT("1e-2"),
        TG_STR_INIT("0e1"),
        TG_STR_INIT("0.1"),
        TG_STR_INIT("1e400"),
        TG_STR_INIT("-1e400"),
        TG_STR_INIT("123456789012345678901234567890"),
        TG_STR_INIT("\"\\u0000\""),
        TG_STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        TG_STR_INIT("\"\\u00e4\\u20AC\""),
        TG_STR_INIT("\"\\uD83D\\uDE00\""),
        TG_STR_INIT("\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\""),
        TG_STR_INIT("\"\x7F\""),
        TG_STR_INIT("\"/\""),
        TG_STR_INIT("{\"\":0}"),
        TG_STR_INIT("{\"a\":1,\"a\":2}"),
        TG_STR_INIT("{\"a\\u0000b\":1}"),
        TG_STR_INIT("[null,true,false]"),
        TG_STR_INIT("\"\\uFFFF\""),
        TG_STR_INIT("\"\xEF\xBF\xBF\""),
        TG_STR_INIT("\"\xF4\x8F\xBF\xBF\""),
        TG_STR_INIT("[1\n,1\r,1\t]"),
        TG_STR_INIT("\"\xE2\x80\xA8\xE2\x80\xA9\""),
        TG_STR_INIT("[\"a\",\"\",\"\\\\\"]"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++)
        parsed(good[i]);
}

static void refuses(void **state)
{
    static const struct {
        struct tg_str text;
        size_t at; /* byte offset that the message must name */
    } bad[] = {
        {TG_STR_INIT(""), 0},
        {TG_STR_INIT(" "), 0},
        {TG_STR_INIT("\xEF\xBB\xBF{}"), 0},
        {TG_STR_INIT("{\0}"), 1},
        {TG_STR_INIT("\0"), 0},
        {TG_STR_INIT("{}\0"), 2},
        {TG_STR_INIT("{} x"), 3},
        {TG_STR_INIT("{}{}"), 2},
        {TG_STR_INIT("1 2"), 2},
        {TG_STR_INIT("[1,]"), 2},
        {TG_STR_INIT("[,1]"), 1},
        {TG_STR_INIT("[1,,2]"), 3},
        {TG_STR_INIT("{\"a\":1,}"), 6},
        {TG_STR_INIT("{,}"), 1},
        {TG_STR_INIT("{\"a\"}"), 4},
        {TG_STR_INIT("{\"a\":}"), 5},
        {TG_STR_INIT("{a:1}"), 1},
        {TG_STR_INIT("{'a':1}"), 1},
        {TG_STR_INIT("{1:1}"), 1},
        {TG_STR_INIT("[1 2]"), 3},
        {TG_STR_INIT("{\"a\" 1}"), 5},
        {TG_STR_INIT("['a']"), 1},
        {TG_STR_INIT("nul"), 3},
        {TG_STR_INIT("nulll"), 4},
        {TG_STR_INIT("True"), 0},
        {TG_STR_INIT("NaN"), 0},
        {TG_STR_INIT("Infinity"), 0},
        {TG_STR_INIT("-Infinity"), 1},
        {TG_STR_INIT("01"), 0},
        {TG_STR_INIT("-01"), 1},
        {TG_STR_INIT("+1"), 0},
        {TG_STR_INIT(".5"), 0},
        {TG_STR_INIT("1."), 2},
        {TG_STR_INIT("1.e5"), 3},
        {TG_STR_INIT("1e"), 2},
        {TG_STR_INIT("1e+"), 3},
        {TG_STR_INIT("-"), 1},
        {TG_STR_INIT("0x10"), 1},
        {TG_STR_INIT("1_000"), 1},
        {TG_STR_INIT("// c\n1"), 0},
        {TG_STR_INIT("/* c */1"), 0},
        {TG_STR_INIT("1 // c"), 2},
        {TG_STR_INIT("[1]/**/"), 3},
        {TG_STR_INIT("\"a"), 2},
        {TG_STR_INIT("\"a\nb\""), 2},
        {TG_STR_INIT("\"\x01\""), 1},
        {TG_STR_INIT("\"\\x41\""), 2},
        {TG_STR_INIT("\"\\u12\""), 1},
        {TG_STR_INIT("\"\\u12G4\""), 1},
        {TG_STR_INIT("\"\\"), 2},
        {TG_STR_INIT("\"\\a\""), 2},
        {TG_STR_INIT("\"\\uD800\""), 7},
        {TG_STR_INIT("\"\\uDC00\""), 1},
        {TG_STR_INIT("\"\\uD800\\u0041\""), 7},
        {TG_STR_INIT("\"\x80\""), 1},
        {TG_STR_INIT("\"\xC0\x80\""), 1},
        {TG_STR_INIT("\"\xED\xA0\x80\""), 1},
        {TG_STR_INIT("\"\xF4\x90\x80\x80\""), 1},
        {TG_STR_INIT("\"\xFF\""), 1},
        {TG_STR_INIT("\"\xE2\x82\""), 1},
        {TG_STR_INIT("["), 1},
        {TG_STR_INIT("{"), 1},
        {TG_STR_INIT("[1"), 2},
        {TG_STR_INIT("{\"a\":1"), 6},
        {TG_STR_INIT("]"), 0},
        {TG_STR_INIT("}"), 0},
        {TG_STR_INIT("[}"), 1},
        {TG_STR_INIT("[1}"), 2},
        {TG_STR_INIT("\xFF\xFE[\0]\0"), 0},
        {TG_STR_INIT("[\0]\0"), 1},
        {TG_STR_INIT("\xC2\xA0{}"), 0},
        {TG_STR_INIT("{}\x0C"), 2},
        {TG_STR_INIT("[\x0B]"), 1},
        {TG_STR_INIT("<html>"), 0},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct tg_json_doc *doc = (struct tg_json_doc *)&arena; /* must stay untouched */
        struct tg_fail f;
        char want[32];
        tg_fail_clear(&f);
        assert_int_equal(tg_json_parse(&arena, bad[i].text, NULL, &doc, &f), TG_E_INVALID_JSON);
        assert_ptr_equal(doc, &arena);
        assert_int_equal(f.err, TG_E_INVALID_JSON);
        snprintf(want, sizeof(want), "at byte %zu:", bad[i].at);
        if (!strstr(f.message, want))
            fail_msg("case %zu \"%.*s\": %s", i, TG_STR_ARG(bad[i].text), f.message);
        assert_int_equal(tg_json_parse(&arena, bad[i].text, NULL, &doc, NULL), TG_E_INVALID_JSON);
    }
}

/* A text cut anywhere is refused, and nothing behind its end is looked at. */
static void refuses_every_cut(void **state)
{
    static const char text[] = "{\"model\":\"m\",\"n\":-1.5e+3,\"t\":[true,false,null,{}],"
                               "\"s\":\"\\u00e4\xC3\xA4\\n\"}";
    parsed(tg_str_make(text, sizeof(text) - 1));
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        struct tg_json_doc *doc;
        char *exact = tg_malloc(n); /* so that a read behind the end is one behind the block */
        memcpy(exact, text, n);
        assert_int_equal(tg_json_parse(&arena, tg_str_make(exact, n), NULL, &doc, NULL),
                         TG_E_INVALID_JSON);
        tg_free(exact);
    }
}

static char *brackets(size_t n, bool closed)
{
    char *text = tg_malloc(2 * n);
    memset(text, '[', n);
    memset(text + n, ']', n);
    assert_true(closed || n > 0);
    return text;
}

static void depth(void **state)
{
    struct tg_json_doc *doc;
    struct tg_fail f;
    char *text = brackets(129, true);
    tg_fail_clear(&f);
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text + 1, 256), NULL, &doc, &f), 0);
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, 258), NULL, &doc, &f),
                     TG_E_JSON_TOO_DEEP);
    assert_contains(tg_str_c(f.message), "128");
    struct tg_json_limits l = {.max_depth = 3};
    assert_int_equal(tg_json_parse(&arena, TG_STR("[[[]],{\"a\":{}}]"), &l, &doc, NULL), 0);
    assert_int_equal(tg_json_parse(&arena, TG_STR("[[],{\"a\":{\"b\":[]}}]"), &l, &doc, NULL),
                     TG_E_JSON_TOO_DEEP);
    /* Siblings are not depth. */
    assert_int_equal(tg_json_parse(&arena, TG_STR("[[[]],[[]],[[]],[[1],[1]]]"), &l, &doc, NULL),
                     0);
    l.max_depth = 100000; /* the ceiling holds whatever is asked */
    tg_free(text);
    text = brackets(TG_JSON_MAX_DEPTH + 1, true);
    assert_int_equal(
        tg_json_parse(&arena, tg_str_make(text + 1, 2 * TG_JSON_MAX_DEPTH), &l, &doc, NULL), 0);
    assert_int_equal(
        tg_json_parse(&arena, tg_str_make(text, 2 * TG_JSON_MAX_DEPTH + 2), &l, &doc, NULL),
        TG_E_JSON_TOO_DEEP);
    tg_free(text);
}

static double cpu_ms(void)
{
    return (double)clock() * 1000 / CLOCKS_PER_SEC;
}

static void many_brackets_are_quick(void **state)
{
    enum { N = 100000 };
    struct tg_json_doc *doc;
    char *text = brackets(N, true);
    double start = cpu_ms();
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, 2 * N), NULL, &doc, NULL),
                     TG_E_JSON_TOO_DEEP);
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, N), NULL, &doc, NULL),
                     TG_E_JSON_TOO_DEEP); /* never closed */
    assert_true(cpu_ms() - start < 100);
    tg_free(text);
    /* Brackets in a string are not depth, also on the way to another error. */
    struct tg_fail f;
    char quoted[400];
    memset(quoted, '[', sizeof(quoted));
    memcpy(quoted, "[\"\\\"", 4);
    memcpy(quoted + 396, "\",x]", 4);
    tg_fail_clear(&f);
    assert_int_equal(tg_json_parse(&arena, tg_str_make(quoted, 400), NULL, &doc, &f),
                     TG_E_INVALID_JSON);
}

static void value_count(void **state)
{
    struct tg_json_doc *doc;
    struct tg_fail f;
    struct tg_json_limits l = {.max_values = 5};
    assert_int_equal(tg_json_parse(&arena, TG_STR("[1,2,3,4]"), &l, &doc, NULL), 0);
    assert_int_equal(tg_json_value_count(doc), 5);
    tg_fail_clear(&f);
    assert_int_equal(tg_json_parse(&arena, TG_STR("[1,2,3,4,5]"), &l, &doc, &f),
                     TG_E_JSON_TOO_LARGE);
    assert_contains(tg_str_c(f.message), "more than 5 values");
    assert_int_equal(tg_json_parse(&arena, TG_STR("{\"a\":1,\"b\":{}}"), &l, &doc, NULL), 0);
    assert_int_equal(tg_json_parse(&arena, TG_STR("{\"a\":1,\"b\":[1]}"), &l, &doc, NULL),
                     TG_E_JSON_TOO_LARGE); /* keys count */
}

/* The default: 100,000 a MB, with a bound on memory while parsing and not only behind it. */
static void a_flood_of_values_is_bounded(void **state)
{
    enum { N = 3000001 };
    struct tg_json_doc *doc;
    char *text = tg_malloc(N);
    for (size_t i = 0; i < N; i++)
        text[i] = i % 2 ? '0' : ',';
    text[0] = '[';
    text[N - 1] = ']';
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, 190001), NULL, &doc, NULL),
                     TG_E_INVALID_JSON); /* cut */
    size_t before = arena.held_bytes;
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, N), NULL, &doc, NULL),
                     TG_E_JSON_TOO_LARGE);
    assert_true(arena.held_bytes - before < (size_t)N * 8);
    text[190000] = ']';
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, 190001), NULL, &doc, NULL), 0);
    tg_free(text);
}

static void string_length(void **state)
{
    struct tg_json_doc *doc;
    struct tg_fail f;
    struct tg_json_limits l = {.max_string_bytes = 4};
    tg_fail_clear(&f);
    assert_int_equal(tg_json_parse(&arena, TG_STR("[\"abcd\"]"), &l, &doc, NULL), 0);
    assert_int_equal(tg_json_parse(&arena, TG_STR("[\"abcde\"]"), &l, &doc, &f),
                     TG_E_JSON_TOO_LARGE);
    assert_int_equal(tg_json_parse(&arena, TG_STR("{\"abcde\":1}"), &l, &doc, NULL),
                     TG_E_JSON_TOO_LARGE);
    assert_int_equal(tg_json_parse(&arena, TG_STR("[12345]"), &l, &doc, NULL), TG_E_JSON_TOO_LARGE);
    assert_int_equal(tg_json_parse(&arena, TG_STR("[\"\\u0041\\u0041\"]"), &l, &doc, NULL), 0);
    char *text = tg_malloc(((size_t)16 << 20) + 3);
    memset(text, 'x', ((size_t)16 << 20) + 3);
    text[0] = text[((size_t)16 << 20) + 2] = '"';
    assert_int_equal(
        tg_json_parse(&arena, tg_str_make(text, ((size_t)16 << 20) + 3), NULL, &doc, NULL),
        TG_E_JSON_TOO_LARGE);
    text[((size_t)16 << 20) + 1] = '"';
    assert_int_equal(
        tg_json_parse(&arena, tg_str_make(text, ((size_t)16 << 20) + 2), NULL, &doc, NULL), 0);
    tg_free(text);
}

static void types(void **state)
{
    const struct tg_json *v = parsed(TG_STR("[null,true,1,\"s\",[],{},false]"));
    static const enum tg_json_type want[] = {TG_JSON_NULL,   TG_JSON_BOOL,  TG_JSON_NUMBER,
                                             TG_JSON_STRING, TG_JSON_ARRAY, TG_JSON_OBJECT,
                                             TG_JSON_BOOL};
    for (size_t i = 0; i < TG_ARRAY_LEN(want); i++)
        assert_int_equal(tg_json_type(tg_json_at(v, i)), want[i]);
    assert_null(tg_json_at(v, 7));
    assert_null(tg_json_at(v, SIZE_MAX));
    assert_int_equal(tg_json_type(NULL), TG_JSON_ABSENT);
    assert_true(tg_json_is_nil(NULL) && tg_json_is_nil(tg_json_at(v, 0)));
    assert_false(tg_json_is_nil(tg_json_at(v, 6)));
    assert_true(tg_json_is_arr(v) && !tg_json_is_obj(v));
    assert_string_equal(tg_json_type_name(TG_JSON_OBJECT), "an object");
    assert_string_equal(tg_json_type_name((enum tg_json_type)99), "nothing");
    for (int t = TG_JSON_ABSENT; t <= TG_JSON_OBJECT; t++)
        assert_non_null(tg_json_type_name((enum tg_json_type)t));
    assert_true(tg_json_true(tg_json_at(v, 1)));
    assert_false(tg_json_true(tg_json_at(v, 6)) || tg_json_true(NULL) ||
                 tg_json_true(tg_json_at(v, 2)));
    bool b = true;
    assert_int_equal(tg_json_bool(tg_json_at(v, 6), &b), 0);
    assert_false(b);
    assert_int_equal(tg_json_bool(tg_json_at(v, 0), &b), TG_E_INVALID_ARG);
    assert_int_equal(tg_json_bool(NULL, &b), TG_E_INVALID_ARG);
}

static void strings(void **state)
{
    const struct tg_json *v =
        parsed(TG_STR("[\"\",\"a\\u0000b\",\"\\ud83d\\ude00\\n\",1,\"plain\"]"));
    assert_int_equal(tg_json_str(tg_json_at(v, 0)).n, 0);
    assert_non_null(tg_json_str(tg_json_at(v, 0)).p);
    assert_str_equal(tg_json_str(tg_json_at(v, 1)), TG_STR("a\0b"));
    assert_str(tg_json_str(tg_json_at(v, 2)), "\xF0\x9F\x98\x80\n");
    assert_null(tg_json_str(tg_json_at(v, 3)).p);
    assert_null(tg_json_str(NULL).p);
    assert_true(tg_json_str_is(tg_json_at(v, 4), TG_STR("plain")));
    assert_false(tg_json_str_is(tg_json_at(v, 3), TG_STR("1")));
    assert_false(tg_json_str_is(NULL, TG_STR("")));
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        int i_rc;
        int64_t i;
        int d_rc;
        double d;
    } cases[] = {
        {"0", 0, 0, 0, 0},
        {"-0", 0, 0, 0, 0},
        {"5", 0, 5, 0, 5},
        {"-7", 0, -7, 0, -7},
        {"5.0", 0, 5, 0, 5},
        {"5e2", 0, 500, 0, 500},
        {"1.5", TG_E_INVALID_ARG, 0, 0, 1.5},
        {"1e-1", TG_E_INVALID_ARG, 0, 0, 0.1},
        {"9223372036854775807", 0, INT64_MAX, 0, 9223372036854775807.0},
        {"-9223372036854775808", 0, INT64_MIN, 0, -9223372036854775808.0},
        {"9223372036854775808", TG_E_RANGE, 0, 0, 9223372036854775808.0},
        {"18446744073709551616", TG_E_RANGE, 0, 0, 18446744073709551616.0},
        {"1e300", TG_E_RANGE, 0, 0, 1e300},
        {"9007199254740992.0", 0, 9007199254740992, 0, 9007199254740992.0},
        {"1e400", TG_E_RANGE, 0, TG_E_RANGE, 0},
        {"-1e400", TG_E_RANGE, 0, TG_E_RANGE, 0},
        {"1e-400", 0, 0, 0, 0},
        {"0.7", TG_E_INVALID_ARG, 0, 0, 0.7},
        {"2.2250738585072011e-308", TG_E_INVALID_ARG, 0, 0, 2.2250738585072011e-308},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        char text[64];
        snprintf(text, sizeof(text), "{\"n\":%s}", cases[i].text);
        const struct tg_json *n = tg_json_get(parsed(tg_str_c(text)), TG_STR("n"));
        int64_t iv = 77;
        double dv = 77;
        assert_str_equal(tg_json_num(n), tg_str_c(cases[i].text)); /* as it was written */
        assert_int_equal(tg_json_i64(n, &iv), cases[i].i_rc);
        assert_true(iv == (cases[i].i_rc ? 77 : cases[i].i));
        assert_int_equal(tg_json_double(n, &dv), cases[i].d_rc);
        assert_true(dv == (cases[i].d_rc ? 77 : cases[i].d));
        /* The same number as a whole text and as the last thing in an array. */
        assert_str_equal(tg_json_num(parsed(tg_str_c(cases[i].text))), tg_str_c(cases[i].text));
        assert_true(tg_json_double(parsed(tg_str_c(cases[i].text)), &dv) == cases[i].d_rc);
        snprintf(text, sizeof(text), "[%s]", cases[i].text);
        assert_int_equal(tg_json_double(tg_json_at(parsed(tg_str_c(text)), 0), &dv), cases[i].d_rc);
    }
    int64_t iv;
    double dv;
    assert_int_equal(tg_json_i64(parsed(TG_STR("\"5\"")), &iv), TG_E_INVALID_ARG);
    assert_int_equal(tg_json_double(NULL, &dv), TG_E_INVALID_ARG);
    assert_null(tg_json_num(NULL).p);
}

static void a_number_of_5000_digits(void **state)
{
    char text[5000];
    double d;
    int64_t i;
    memset(text, '9', sizeof(text));
    const struct tg_json *v = parsed(tg_str_make(text, sizeof(text)));
    assert_int_equal(tg_json_num(v).n, 5000);
    assert_int_equal(tg_json_i64(v, &i), TG_E_RANGE);
    assert_int_equal(tg_json_double(v, &d), TG_E_RANGE);
    memcpy(text, "0.", 2);
    assert_int_equal(tg_json_double(parsed(tg_str_make(text, sizeof(text))), &d), 0);
    assert_true(d == 1.0);
}

static void members(void **state)
{
    const struct tg_json *v = parsed(
        TG_STR("{\"a\":{\"b\":[1,{\"c\":2}]},\"\":\"e\",\"a\\u0000\":\"z\",\"a\":3,\"s\":\"t\"}"));
    assert_int_equal(tg_json_count(v), 5);
    assert_true(tg_json_is_obj(tg_json_get(v, TG_STR("a")))); /* the first of two */
    assert_str(tg_json_get_str(v, TG_STR("")), "e");
    assert_str(tg_json_get_str(v, TG_STR("a\0")), "z");
    assert_null(tg_json_get(v, TG_STR("b")));
    assert_null(tg_json_get_str(v, TG_STR("a")).p);
    assert_null(tg_json_get_str(v, TG_STR("none")).p);
    assert_int_equal(tg_json_count(tg_json_get2(v, TG_STR("a"), TG_STR("b"))), 2);
    assert_null(tg_json_get2(v, TG_STR("s"), TG_STR("b")));
    assert_null(tg_json_get(NULL, TG_STR("a")));
    assert_null(tg_json_at(v, 0)); /* an object has no elements */
    assert_int_equal(tg_json_count(NULL), 0);
    assert_int_equal(tg_json_count(tg_json_get(v, TG_STR("s"))), 0);
}

static void iteration(void **state)
{
    const struct tg_json *v = parsed(TG_STR("{\"a\":[1,[2,3],{}],\"b\":{\"c\":1},\"d\":null}"));
    static const char *const names[] = {"a", "b", "d"};
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(v);
    while (tg_json_next(&it)) {
        assert_str_equal(it.name, tg_str_c(names[n]));
        assert_int_equal(it.index, n);
        assert_str_equal(tg_json_str(it.key), it.name);
        n++;
    }
    assert_int_equal(n, 3);
    assert_false(tg_json_next(&it));
    n = 0;
    it = tg_json_iter(tg_json_get(v, TG_STR("a")));
    while (tg_json_next(&it)) {
        assert_null(it.key);
        assert_ptr_equal(it.value, tg_json_at(tg_json_get(v, TG_STR("a")), n));
        assert_int_equal(it.index, n++);
    }
    assert_int_equal(n, 3);
    static const char *const empty[] = {"[]", "{}", "1", "\"ab\"", "null"};
    for (size_t i = 0; i < TG_ARRAY_LEN(empty); i++) {
        it = tg_json_iter(parsed(tg_str_c(empty[i])));
        assert_false(tg_json_next(&it));
    }
    it = tg_json_iter(NULL);
    assert_false(tg_json_next(&it));
}

static void a_megabyte_prompt(void **state)
{
    enum { N = 1 << 20 };
    char *text = tg_malloc(N + 100);
    size_t n = (size_t)snprintf(text, 100, "{\"model\":\"m\",\"messages\":[{\"content\":\"");
    size_t start = n;
    for (size_t i = 0; i < N; i++)
        text[n++] = i % 100 == 99 ? '\\' : i % 100 == 0 && i ? 'n' : 'x';
    memcpy(text + n, "y\"}]}", 5);
    n += 5;
    const struct tg_json *v = parsed(tg_str_make(text, n));
    const struct tg_json *m = tg_json_at(tg_json_get(v, TG_STR("messages")), 0);
    struct tg_str s = tg_json_get_str(m, TG_STR("content"));
    assert_int_equal(s.n, N + 1 - N / 100);
    assert_int_equal(text[start], 'x');
    assert_int_equal(s.p[99], '\n');
    tg_free(text);
}

static void the_text_is_not_changed(void **state)
{
    static const char text[] = "{\"a\\n\" : [\"\\u0041\", 1.50, true] }";
    char copy[sizeof(text)];
    struct tg_json_doc *doc;
    memcpy(copy, text, sizeof(text));
    assert_int_equal(tg_json_parse(&arena, tg_str_make(copy, sizeof(copy) - 1), NULL, &doc, NULL),
                     0);
    assert_memory_equal(copy, text, sizeof(text));
    assert_ptr_equal(tg_json_text(doc).p, copy);
    assert_int_equal(tg_json_text(doc).n, sizeof(text) - 1);
}

static void memory_failure_at_every_allocation(void **state)
{
    char text[3000];
    size_t n = 1;
    text[0] = '[';
    while (n < sizeof(text) - 1) {
        text[n++] = '1';
        text[n++] = ',';
    }
    text[n - 1] = ']';
    for (uint64_t at = 1;; at++) {
        struct tg_arena a;
        struct tg_json_doc *doc = NULL;
        struct tg_fail f;
        tg_fail_clear(&f);
        tg_arena_init(&a, 512, 1 << 20);
        tg_alloc_fail_at(at, 1);
        int rc = tg_json_parse(&a, tg_str_make(text, n), NULL, &doc, &f);
        uint64_t count = tg_alloc_count();
        tg_alloc_fail_at(0, 0);
        if (rc == 0) {
            assert_int_equal(tg_json_count(tg_json_root(doc)), (n - 1) / 2);
            tg_arena_fini(&a);
            assert_true(at > 2 && count < at);
            return;
        }
        assert_int_equal(rc, TG_E_NOMEM);
        assert_int_equal(f.err, TG_E_NOMEM);
        assert_null(doc);
        assert_true(a.overflow);
        tg_arena_fini(&a);
    }
}

static void the_arena_cap_is_memory_failure(void **state)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    for (size_t cap = 0; cap < 3000; cap += 8) {
        tg_arena_init(&a, 64, cap);
        int rc = tg_json_parse(&a, TG_STR("{\"a\":[1,2,3,4,5,6,7,8,9]}"), NULL, &doc, NULL);
        assert_true(rc == 0 || rc == TG_E_NOMEM);
        assert_true(cap < 2000 || rc == 0);
        tg_arena_fini(&a);
    }
}

static void small_documents_take_little(void **state)
{
    struct tg_json_doc *doc;
    size_t before = arena.used_bytes;
    char text[1100];
    size_t n = (size_t)snprintf(text, 100, "{\"model\":\"m\",\"content\":\"");
    memset(text + n, 'x', 1000);
    memcpy(text + n + 1000, "\"}", 2);
    n += 1002;
    assert_int_equal(tg_json_parse(&arena, tg_str_make(text, n), NULL, &doc, NULL), 0);
    /* The text, five values and the document: the rest of the parser's guess was given back. */
    assert_true(arena.used_bytes - before < n + 400);
}

#define with_arena(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(accepts),
        with_arena(refuses),
        with_arena(refuses_every_cut),
        with_arena(depth),
        with_arena(many_brackets_are_quick),
        with_arena(value_count),
        with_arena(a_flood_of_values_is_bounded),
        with_arena(string_length),
        with_arena(types),
        with_arena(strings),
        with_arena(numbers),
        with_arena(a_number_of_5000_digits),
        with_arena(members),
        with_arena(iteration),
        with_arena(a_megabyte_prompt),
        with_arena(the_text_is_not_changed),
        with_arena(memory_failure_at_every_allocation),
        with_arena(the_arena_cap_is_memory_failure),
        with_arena(small_documents_take_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
