#include "check.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

static struct tg_arena arena;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 1024, (size_t)256 << 20);
    tg_fail_clear(&fail);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_arena_fini(&arena);
    return 0;
}

static struct tg_json_doc *parsed(struct tg_str text)
{
    struct tg_json_doc *doc = NULL;
    assert_int_equal(tg_json_parse(&arena, text, NULL, &doc, NULL), 0);
    return doc;
}

static int check(struct tg_str text)
{
    tg_fail_clear(&fail);
    return tg_json_check_request(parsed(text), TG_STR("messages"), &fail);
}

static void at_the_top(void **state)
{
    assert_int_equal(check(TG_STR("{\"a\":1,\"b\":2,\"A\":3,\"\":4,\"ab\":5,\"ba\":6}")), 0);
    assert_int_equal(check(TG_STR("{\"model\":1,\"x\":{},\"model\":2}")), TG_E_DUPLICATE_KEY);
    assert_string_equal(fail.message, "the key \"model\" is given twice");
    assert_string_equal(fail.param, "model");
    /* Escaped another way it is still the same key. */
    assert_int_equal(check(TG_STR("{\"model\":1,\"mod\\u0065l\":2}")), TG_E_DUPLICATE_KEY);
    assert_int_equal(check(TG_STR("{\"\":1,\"\":2}")), TG_E_DUPLICATE_KEY);
    assert_int_equal(check(TG_STR("{\"a\\u0000b\":1,\"a\\u0000c\":2}")), 0);
    assert_int_equal(check(TG_STR("{\"a\\u0000b\":1,\"a\\u0000b\":2}")), TG_E_DUPLICATE_KEY);
    assert_string_equal(fail.param, "a\\x00b");
    assert_int_equal(check(TG_STR("[1,1]")), 0);
    assert_int_equal(check(TG_STR("{}")), 0);
    assert_int_equal(tg_json_check_duplicates(NULL, "", NULL), 0);
    /* Deeper objects are the client's own (a tool's arguments, say). */
    assert_int_equal(check(TG_STR("{\"metadata\":{\"k\":1,\"k\":2}}")), 0);
}

static void in_messages(void **state)
{
    assert_int_equal(check(TG_STR("{\"messages\":[{\"role\":\"a\",\"content\":\"b\"},{}, 1, "
                                  "{\"role\":1,\"x\":2,\"role\":3}]}")),
                     TG_E_DUPLICATE_KEY);
    assert_string_equal(fail.param, "messages[3].role");
    assert_string_equal(fail.message, "the key \"role\" is given twice in messages[3]");
    assert_int_equal(check(TG_STR("{\"messages\":{\"role\":1,\"role\":3}}")), 0); /* not a list */
    assert_int_equal(check(TG_STR("{\"messages\":[{\"a\":{\"b\":1,\"b\":1}}]}")), 0);
    struct tg_json_doc *doc = parsed(TG_STR("{\"input\":[{\"a\":1,\"a\":2}]}"));
    assert_int_equal(tg_json_check_request(doc, TG_STR("input"), NULL), TG_E_DUPLICATE_KEY);
    assert_int_equal(tg_json_check_request(doc, TG_STR("messages"), NULL), 0);
}

static void hostile_names_are_quoted(void **state)
{
    char text[2000];
    char name[500];
    memset(name, 'k', sizeof(name));
    name[sizeof(name) - 1] = 0;
    int n = snprintf(text, sizeof(text), "{\"%s\\n\":1,\"%s\\n\":2}", name, name);
    assert_int_equal(check(tg_str_make(text, (size_t)n)), TG_E_DUPLICATE_KEY);
    assert_true(strlen(fail.message) < 200);
    assert_int_equal(check(TG_STR("{\"\\u0007%s\":1,\"\\u0007%s\":2}")), TG_E_DUPLICATE_KEY);
    assert_string_equal(fail.param, "\\x07%s");
}

/* Objects of every size around the change of method, with the duplicate at every place. */
static void of_every_size(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    for (int n = 2; n < 70; n++)
        for (int twice = -1; twice < n - 1; twice++) {
            tg_buf_clear(&b);
            for (int i = 0; i < n; i++)
                tg_buf_printf(&b, "%c\"key_%d\":%d", i ? ',' : '{',
                              i == n - 1 && twice >= 0 ? twice : i, i);
            tg_buf_char(&b, '}');
            tg_arena_reset(&arena);
            assert_int_equal(check(tg_buf_str(&b)), twice < 0 ? 0 : TG_E_DUPLICATE_KEY);
        }
    tg_buf_fini(&b);
}

static void a_hundred_thousand_keys_are_quick(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 8 << 20);
    tg_buf_char(&b, '{');
    for (int i = 0; i < 49000; i++) /* same length, same first, middle and last byte */
        tg_buf_printf(&b, "\"aaa%06daaaaaaaaaaaaaa\":0,", i);
    tg_buf_lit(&b, "\"z\":0}");
    struct tg_json_doc *doc = parsed(tg_buf_str(&b));
    clock_t start = clock();
    assert_int_equal(tg_json_check_duplicates(tg_json_root(doc), "", &fail), 0);
    assert_true((double)(clock() - start) / CLOCKS_PER_SEC < 0.5); /* quadratic: > 2 s */
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_json_check_duplicates(tg_json_root(doc), "", &fail), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    tg_buf_fini(&b);
}

#define with_arena(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_arena(at_the_top),
        with_arena(in_messages),
        with_arena(hostile_names_are_quoted),
        with_arena(of_every_size),
        with_arena(a_hundred_thousand_keys_are_quick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
