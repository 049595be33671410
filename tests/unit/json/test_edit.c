#include "check.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "json/splice.h"

static struct tg_arena arena;
static struct tg_buf out;

static int setup(void **state)
{
    tg_arena_init(&arena, 1024, 64 << 20);
    tg_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_buf_fini(&out);
    tg_arena_fini(&arena);
    return 0;
}

static struct tg_json_doc *parsed(struct tg_str text)
{
    struct tg_json_doc *doc = NULL;
    assert_int_equal(tg_json_parse(&arena, text, NULL, &doc, NULL), 0);
    return doc;
}

/* text with `key` set to raw in the root. */
static struct tg_str with(struct tg_str text, struct tg_str key, struct tg_str raw)
{
    struct tg_json_doc *doc = parsed(text);
    struct tg_splice e;
    assert_int_equal(tg_json_edit_set_member(doc, tg_json_root(doc), key, raw, &e), 0);
    tg_buf_clear(&out);
    assert_int_equal(tg_json_splice(text, &e, 1, &out), 0);
    return tg_buf_str(&out);
}

static void sets_a_member(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"{\"model\":\"a\",\"x\":1}", "{\"model\":9,\"x\":1}"},
        {"{ \"x\" : 1 , \"model\" :\t\"a\\\"}\" }", "{ \"x\" : 1 , \"model\" :\t9 }"},
        {"{\"model\":{\"a\":[1,{}]}}", "{\"model\":9}"},
        {"{\"mod\\u0065l\":null}", "{\"mod\\u0065l\":9}"},
        {"{}", "{\"model\":9}"},
        {" { } ", " {\"model\":9 } "},
        {"{\"x\":1}", "{\"model\":9,\"x\":1}"},
        {"{ \"x\":1 }", "{ \"model\":9,\"x\":1 }"},
        {"{\"x\":{\"model\":1}}", "{\"model\":9,\"x\":{\"model\":1}}"},
        {"{\"model\":1,\"model\":2}", "{\"model\":9,\"model\":2}"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_str_equal(with(tg_str_c(cases[i].text), TG_STR("model"), TG_STR("9")),
                         tg_str_c(cases[i].want));
    assert_str(with(TG_STR("{}"), TG_STR("a\"\n"), TG_STR("\"v\"")), "{\"a\\\"\\n\":\"v\"}");
}

static void sets_members_deep_inside(void **state)
{
    struct tg_str text = TG_STR("{\"a\":[null,{},true,{ }],\"stream_options\":{ },\"z\":1}");
    struct tg_json_doc *doc = parsed(text);
    const struct tg_json *root = tg_json_root(doc);
    struct tg_splice e[3];
    const struct tg_json *a = tg_json_get(root, TG_STR("a"));
    assert_int_equal(tg_json_edit_set_member(doc, tg_json_get(root, TG_STR("stream_options")),
                                             TG_STR("include_usage"), TG_STR("true"), &e[0]),
                     0);
    assert_int_equal(
        tg_json_edit_set_member(doc, tg_json_at(a, 3), TG_STR("k"), TG_STR("1"), &e[1]), 0);
    e[2] = tg_json_edit_value(doc, tg_json_at(a, 2), TG_STR("\"T\""));
    tg_json_splice_sort(e, 3);
    assert_int_equal(tg_json_splice(text, e, 3, &out), 0);
    assert_str(tg_buf_str(&out), "{\"a\":[null,{},\"T\",{\"k\":1 }],"
                                 "\"stream_options\":{\"include_usage\":true },\"z\":1}");
    assert_int_equal(tg_json_edit_set_member(doc, a, TG_STR("k"), TG_STR("1"), e),
                     TG_E_INVALID_ARG);
    assert_int_equal(tg_json_edit_set_member(doc, NULL, TG_STR("k"), TG_STR("1"), e),
                     TG_E_INVALID_ARG);
}

/* Every object of up to 5 members x every choice of keep / replace / remove for each x 0 to 2 new
 * ones: the result must parse to exactly the members wanted, in order. */
static void all_combinations(void **state)
{
    static const struct tg_str names[] = {TG_STR_INIT("a"), TG_STR_INIT("b"), TG_STR_INIT("c"),
                                          TG_STR_INIT("d"), TG_STR_INIT("e")};
    static const struct tg_str fresh[] = {TG_STR_INIT("x"), TG_STR_INIT("y")};
    for (unsigned n = 0; n <= 5; n++)
        for (unsigned blank = 0; blank < 2; blank++)
            for (unsigned added = 0; added <= 2; added++) {
                unsigned combos = 1;
                for (unsigned i = 0; i < n; i++)
                    combos *= 3;
                for (unsigned combo = 0; combo < combos; combo++) {
                    char text[200], want[200];
                    const char *s = blank ? " " : "";
                    int tn = snprintf(text, sizeof(text), "{%s", s);
                    int wn = snprintf(want, sizeof(want), "{");
                    struct tg_json_change changes[8];
                    size_t nc = 0;
                    for (unsigned i = 0; i < added; i++) {
                        changes[nc++] = (struct tg_json_change){fresh[i], TG_STR("7")};
                        wn += snprintf(want + wn, 20, "\"%s\":7,", fresh[i].p);
                    }
                    unsigned c = combo;
                    for (unsigned i = 0; i < n; i++, c /= 3) {
                        tn += snprintf(text + tn, 40, "%s%s\"%s\"%s:%s[%u]%s", i ? "," : "", s,
                                       names[i].p, s, s, i, s);
                        if (c % 3 == 1)
                            changes[nc++] = (struct tg_json_change){names[i], TG_STR("\"r\"")};
                        if (c % 3 == 2)
                            changes[nc++] = (struct tg_json_change){names[i], {NULL, 0}};
                        if (c % 3 == 0)
                            wn += snprintf(want + wn, 20, "\"%s\":[%u],", names[i].p, i);
                        if (c % 3 == 1)
                            wn += snprintf(want + wn, 20, "\"%s\":\"r\",", names[i].p);
                    }
                    snprintf(text + tn, 10, "%s}", s);
                    wn -= want[wn - 1] == ',';
                    snprintf(want + wn, 10, "}");
                    tg_arena_reset(&arena);
                    struct tg_json_doc *doc = parsed(tg_str_c(text));
                    struct tg_splice e[16];
                    int ne = tg_json_edit_members(doc, tg_json_root(doc), changes, nc, e, 16);
                    assert_in_range(ne, 0, nc + 1);
                    tg_buf_clear(&out);
                    assert_int_equal(tg_json_splice(tg_str_c(text), e, (size_t)ne, &out), 0);
                    parsed(tg_buf_str(&out));
                    char squeezed[200];
                    size_t sn = 0;
                    for (size_t i = 0; i < out.n; i++)
                        if (out.p[i] != ' ')
                            squeezed[sn++] = out.p[i];
                    assert_str_equal(tg_str_make(squeezed, sn), tg_str_c(want));
                }
            }
}

static void several_of_one_name(void **state)
{
    struct tg_str text = TG_STR("{\"k\":1,\"a\":2,\"k\":3}");
    struct tg_json_doc *doc = parsed(text);
    struct tg_json_change gone = {TG_STR("k"), {NULL, 0}}, set = {TG_STR("k"), TG_STR("9")};
    struct tg_splice e[4];
    int n = tg_json_edit_members(doc, tg_json_root(doc), &gone, 1, e, 4);
    assert_int_equal(n, 2);
    assert_int_equal(tg_json_splice(text, e, 2, &out), 0);
    assert_str(tg_buf_str(&out), "{\"a\":2}");
    tg_buf_clear(&out);
    assert_int_equal(tg_json_edit_members(doc, tg_json_root(doc), &set, 1, e, 4), 2);
    assert_int_equal(tg_json_splice(text, e, 2, &out), 0);
    assert_str(tg_buf_str(&out), "{\"k\":9,\"a\":2,\"k\":9}");
    assert_int_equal(tg_json_edit_members(doc, tg_json_root(doc), &set, 1, e, 1), TG_E_FULL);
    assert_int_equal(tg_json_edit_members(doc, tg_json_root(doc), &gone, 1, e, 0), TG_E_FULL);
    struct tg_json_change none = {TG_STR("zz"), {NULL, 0}}; /* removing what is not there */
    assert_int_equal(tg_json_edit_members(doc, tg_json_root(doc), &none, 1, e, 4), 0);
}

static void memory_failure_at_every_allocation(void **state)
{
    struct tg_str text = TG_STR("{\"a\":1}");
    for (uint64_t at = 1; at < 20; at++) {
        struct tg_arena a;
        struct tg_json_doc *doc;
        struct tg_splice e;
        tg_arena_init(&a, 64, 1 << 20);
        assert_int_equal(tg_json_parse(&a, text, NULL, &doc, NULL), 0);
        char longer[500];
        memset(longer, '1', sizeof(longer));
        tg_alloc_fail_at(at, 0);
        int rc = tg_json_edit_set_member(doc, tg_json_root(doc), TG_STR("some_new_key"),
                                         tg_str_make(longer, sizeof(longer)), &e);
        uint64_t count = tg_alloc_count();
        tg_alloc_fail_at(0, 0);
        tg_arena_fini(&a);
        if (count < at) {
            assert_int_equal(rc, 0);
            assert_true(at > 1);
            return;
        }
        assert_int_equal(rc, TG_E_NOMEM);
    }
    fail_msg("never succeeded");
}

#define with_arena(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(sets_a_member),
        with_arena(sets_members_deep_inside),
        with_arena(all_combinations),
        with_arena(several_of_one_name),
        with_arena(memory_failure_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
