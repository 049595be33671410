#include "check.h"

#include <stdio.h>
#include <time.h>

#include "base/buf.h"
#include "json/json.h"

static struct tg_arena arena;

static int setup(void **state)
{
    tg_arena_init(&arena, 1024, (size_t)256 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static struct tg_json_doc *parsed(struct tg_str text)
{
    struct tg_json_doc *doc = NULL;
    assert_int_equal(tg_json_parse(&arena, text, NULL, &doc, NULL), 0);
    return doc;
}

/* A reader of its own: walks the text (spaces, tokens) in step with the values, so that every
 * value's span is known independently of span.c. */
struct walk {
    struct tg_json_doc *doc;
    struct tg_str text;
    size_t at;
    size_t checked;
    bool backwards; /* ask for spans only when the whole is known */
};

static void blanks(struct walk *w)
{
    while (w->at < w->text.n && strchr(" \t\r\n", w->text.p[w->at]))
        w->at++;
}

static void expect(struct walk *w, char c)
{
    blanks(w);
    assert_int_equal(w->text.p[w->at], c);
    w->at++;
}

static void over_string(struct walk *w)
{
    expect(w, '"');
    while (w->text.p[w->at] != '"')
        w->at += w->text.p[w->at] == '\\' ? 2 : 1;
    w->at++;
}

static void check_span(struct walk *w, const struct tg_json *v, size_t at)
{
    struct tg_json_span s = tg_json_span(w->doc, v);
    assert_int_equal(s.at, at);
    assert_int_equal(s.n, w->at - at);
    assert_str_equal(tg_json_raw(w->doc, v), tg_str_make(w->text.p + at, w->at - at));
    w->checked++;
}

static void walk_value(struct walk *w, const struct tg_json *v, unsigned depth)
{
    assert_true(depth < 130);
    blanks(w);
    size_t at = w->at;
    struct tg_json_iter it = tg_json_iter(v);
    if (tg_json_is_str(v)) {
        over_string(w);
    } else if (tg_json_is_obj(v) || tg_json_is_arr(v)) {
        expect(w, it.object_ ? '{' : '[');
        while (tg_json_next(&it)) {
            if (it.index)
                expect(w, ',');
            if (it.key) {
                blanks(w);
                size_t key_at = w->at;
                over_string(w);
                if (!w->backwards)
                    check_span(w, it.key, key_at);
                expect(w, ':');
            }
            walk_value(w, it.value, depth + 1);
        }
        expect(w, it.object_ ? '}' : ']');
    } else {
        while (w->at < w->text.n && !strchr(",]} \t\r\n", w->text.p[w->at]))
            w->at++;
    }
    check_span(w, v, at);
}

static size_t check_all(struct tg_str text)
{
    struct walk w = {.doc = parsed(text), .text = text};
    walk_value(&w, tg_json_root(w.doc), 0);
    assert_int_equal(w.checked, tg_json_value_count(w.doc));
    w = (struct walk){.doc = parsed(text), .text = text, .backwards = true};
    walk_value(&w, tg_json_root(w.doc), 0);
    return w.checked;
}

static void of_every_value(void **state)
{
    static const struct tg_str texts[] = {
        TG_STR_INIT("1"),
        TG_STR_INIT(" null "),
        TG_STR_INIT("\"a\""),
        TG_STR_INIT("{}"),
        TG_STR_INIT(" { } "),
        TG_STR_INIT("\t[\r\n]\n"),
        TG_STR_INIT("\"\""),
        TG_STR_INIT("false"),
        TG_STR_INIT("[null,true,false,null]"),
        TG_STR_INIT("[[],[],{}]"),
        TG_STR_INIT("[[[ ] ] , 1]"),
        TG_STR_INIT("[{},{\"a\":{}},[],[[]],null]"),
        TG_STR_INIT("{\"a\":1,\"b\":[1,2,{\"c\":null}],\"d\":true}"),
        TG_STR_INIT("{\"a\" :\t{ } , \"b\"\n: [ ] ,\"c\": [[ 1 ] ] }"),
        TG_STR_INIT("[\"\\\"\",\"\\\\\",\"\\\\\\\"\",\"a\\\\\",\"]}\",\"\\u005d\\\"\"]"),
        TG_STR_INIT("{\"k\\\"ey\":\"v\\\\\",\"\":\"\",\"\\u0000\":\"\\\\\\\\\"}"),
        TG_STR_INIT("[\"\xC3\xA4\\u00e4\\ud83d\\ude00\",-1.5e+10,0]"),
        TG_STR_INIT("[[[[[[null]]]],[[[[true]]]]],{\"a\":{\"b\":{\"c\":false}}}]"),
        TG_STR_INIT("{\"a\":[],\"b\":{},\"c\":[{}],\"d\":[[],{}],\"e\":null}"),
        TG_STR_INIT("[1.0,2,\"3\",[4],{\"5\":6},null,null,{},[],true]"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++)
        check_all(texts[i]);
}

/* Random documents with blanks everywhere. */
static unsigned seed;
static unsigned pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;
    return seed / 65536 % n;
}

static void some_blanks(struct tg_buf *b)
{
    for (unsigned n = pick(3); n; n--)
        tg_buf_char(b, " \t\r\n"[pick(4)]);
}

static void some_value(struct tg_buf *b, unsigned depth)
{
    static const char *const leaves[] = {"null",     "true",     "false",          "0",
                                         "-1.25e3",  "\"\"",     "\"text\"",       "\"\\\"\"",
                                         "\"\\\\\"", "\"[{,:\"", "\"\\u20ac\\n\"", "12"};
    some_blanks(b);
    unsigned kind = depth > 6 ? 0 : pick(4);
    if (kind < 2) {
        const char *leaf = leaves[pick(TG_ARRAY_LEN(leaves))];
        tg_buf_add(b, leaf, strlen(leaf));
    } else {
        tg_buf_char(b, kind == 2 ? '[' : '{');
        unsigned n = pick(5);
        some_blanks(b);
        for (unsigned i = 0; i < n; i++) {
            if (i)
                tg_buf_char(b, ',');
            if (kind == 3) {
                some_blanks(b);
                tg_buf_printf(b, "\"k%u\\\\\"", i);
                some_blanks(b);
                tg_buf_char(b, ':');
            }
            some_value(b, depth + 1);
        }
        tg_buf_char(b, kind == 2 ? ']' : '}');
    }
    some_blanks(b);
}

static void of_random_documents(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    size_t values = 0;
    for (seed = 1; seed < 4000u * 65536; seed += 65536) {
        unsigned keep = seed;
        tg_buf_clear(&b);
        some_value(&b, 0);
        tg_arena_reset(&arena);
        values += check_all(tg_buf_str(&b));
        seed = keep;
    }
    assert_true(values > 10000);
    tg_buf_fini(&b);
}

/* Values without a place of their own, asked for in any order, must not cost their index each. */
static void of_long_lists_of_literals(void **state)
{
    enum { N = 90000 };
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    tg_buf_char(&b, '[');
    for (int i = 0; i < N; i++)
        tg_buf_printf(&b, "%s%s", i ? "," : "", i % 3 == 0 ? "null" : i % 3 == 1 ? "{}" : "false");
    tg_buf_char(&b, ']');
    struct tg_json_doc *doc = parsed(tg_buf_str(&b));
    clock_t start = clock();
    size_t at = 1;
    struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
    while (tg_json_next(&it)) {
        struct tg_json_span s = tg_json_span(doc, it.value);
        assert_int_equal(s.at, at);
        at += s.n + 1;
    }
    assert_int_equal(at, b.n);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 1); /* quadratic: > 10 s */
    tg_buf_fini(&b);
}

/* A tool's arguments and unknown members come out byte for byte. */
static void raw_text_is_the_senders(void **state)
{
    struct tg_json_doc *doc =
        parsed(TG_STR("{\"x\" : {\"n\":1.50,\"big\":12345678901234567890123 ,\"e\":1E5, "
                      "\"s\":\"\\u00e4\\/\"} , \"y\":[ 1 ,2 ]}"));
    const struct tg_json *root = tg_json_root(doc);
    assert_str(tg_json_raw(doc, tg_json_get(root, TG_STR("x"))),
               "{\"n\":1.50,\"big\":12345678901234567890123 ,\"e\":1E5, \"s\":\"\\u00e4\\/\"}");
    assert_str(tg_json_raw(doc, tg_json_get(root, TG_STR("y"))), "[ 1 ,2 ]");
}

/* The text is borrowed: when its owner changes it, spans may be wrong but stay inside it. */
static void a_changed_text_does_no_harm(void **state)
{
    char text[] = "{\"a\":\"b\\\\c\",\"d\":[null,true,{}],\"e\":\"f\"}";
    struct tg_str s = tg_str_make(text, sizeof(text) - 1);
    for (int fill = 0; fill < 6; fill++) {
        struct tg_json_doc *doc = parsed(s);
        char before[sizeof(text)];
        memcpy(before, text, sizeof(text));
        memset(text, "\\\"x ]\0"[fill], sizeof(text) - 1);
        struct tg_json_iter it = tg_json_iter(tg_json_root(doc));
        while (tg_json_next(&it)) {
            struct tg_json_span k = tg_json_span(doc, it.key), v = tg_json_span(doc, it.value);
            assert_true(k.at <= s.n && k.n <= s.n - k.at);
            assert_true(v.at <= s.n && v.n <= s.n - v.at);
        }
        memcpy(text, before, sizeof(text));
    }
}

#define with_arena(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(of_every_value),
        with_arena(of_random_documents),
        with_arena(of_long_lists_of_literals),
        with_arena(raw_text_is_the_senders),
        with_arena(a_changed_text_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
