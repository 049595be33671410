#include <math.h>

#include "base/alloc.h"
#include "base/err.h"
#include "check.h"
#include "core/mock_tasks.h"

static double product(const char *a, const char *b, uint32_t n)
{
    double *v = tg_mock_vector(tg_str_c(a), n), *w = tg_mock_vector(tg_str_c(b), n), sum = 0;
    assert_non_null(v);
    assert_non_null(w);
    for (uint32_t i = 0; i < n; i++)
        sum += v[i] * w[i];
    tg_free(v);
    tg_free(w);
    return sum;
}

static void vectors_have_length_one_and_are_the_same_each_time(void **state TG_UNUSED)
{
    static const char *const texts[] = {"", "a", "The quick brown fox", "\xff\xfe", "\xe6\x97\xa5"};
    static const uint32_t sizes[] = {1, 2, 64, 1536};
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++)
        for (size_t k = 0; k < TG_ARRAY_LEN(sizes); k++)
            assert_true(fabs(product(texts[i], texts[i], sizes[k]) - 1) < 1e-9);
}

static void texts_that_share_words_are_near(void **state TG_UNUSED)
{
    double near = product("a red fish swims", "red fish", 256);
    double far = product("a red fish swims", "green tractors", 256);
    assert_true(near > far + 0.2);
    assert_true(fabs(product("Red, FISH!", "red fish", 64) - 1) < 1e-9);
}

static void a_vector_is_a_list_of_numbers(void **state TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 1000);
    tg_mock_embedding(&b, TG_STR("x"), 3);
    unsigned commas = 0;
    for (size_t i = 0; i < b.n; i++)
        commas += b.p[i] == ',';
    assert_int_equal(commas, 2);
    assert_int_equal(b.p[0], '[');
    assert_int_equal(b.p[b.n - 1], ']');
    tg_mock_embedding(&b, TG_STR("x"), 3000);
    assert_false(tg_buf_ok(&b));
    tg_buf_fini(&b);
}

static void relevance_is_the_share_of_the_query_that_is_there(void **state TG_UNUSED)
{
    assert_true(tg_mock_relevance(TG_STR("red fish"), TG_STR("The RED one")) == 0.5);
    assert_true(tg_mock_relevance(TG_STR("red fish"), TG_STR("fish, red")) == 1);
    assert_true(tg_mock_relevance(TG_STR("red fish"), TG_STR("redfish")) == 0);
    assert_true(tg_mock_relevance(TG_STR(""), TG_STR("x")) == 0);
}

static void verdicts_name_what_the_text_names(void **state TG_UNUSED)
{
    struct tg_buf b;
    tg_buf_init(&b, 4096);
    tg_mock_verdict(&b, TG_STR("no Violence, self-harm"));
    assert_contains(tg_buf_str(&b), "{\"flagged\":true,");
    assert_contains(tg_buf_str(&b), "\"violence\":true");
    assert_contains(tg_buf_str(&b), "\"self-harm\":0.99");
    assert_contains(tg_buf_str(&b), "\"hate\":false");
    tg_buf_clear(&b);
    tg_mock_verdict(&b, TG_STR("kind words"));
    assert_contains(tg_buf_str(&b), "{\"flagged\":false,");
    assert_lacks(tg_buf_str(&b), "true");
    tg_buf_fini(&b);
}

static struct tg_arena arena;
static struct tg_buf b;
static struct tg_mock_items items;

/* The next item's text; its index must be this. */
static struct tg_str next_is(uint32_t index)
{
    uint32_t i = 99;
    tg_buf_clear(&b);
    assert_true(tg_mock_items_next(&items, &b, &i));
    assert_int_equal(i, index);
    return tg_buf_str(&b);
}

static void no_more(void)
{
    uint32_t i;
    assert_false(tg_mock_items_next(&items, &b, &i));
}

static void items_are_made_for_each_task(void **state TG_UNUSED)
{
    struct tg_str texts[] = {TG_STR("a fish"), TG_STR(""), TG_STR("red fish")};
    struct tg_str raw[] = {TG_STR("\"a fish\""), TG_STR("[1,2]"), TG_STR("\"red fish\"")};
    struct tg_chat_req req = {.prompt = TG_STR("red fish"), .task = TG_TASK_RERANK};
    req.inputs =
        (struct tg_inputs){.texts = texts, .raw = raw, .n = 3, .dimensions = -1, .top_n = -1};
    tg_buf_init(&b, 1u << 20);
    tg_arena_init(&arena, 1024, 1u << 20);
    assert_int_equal(tg_mock_items_init(&items, &req, 8, &arena), 0);
    assert_str(next_is(2), "1.0000"); /* the best first */
    assert_str(next_is(0), "0.5000");
    assert_str(next_is(1), "0.0000");
    no_more();
    req.inputs.top_n = 1;
    assert_int_equal(tg_mock_items_init(&items, &req, 8, &arena), 0);
    assert_str(next_is(2), "1.0000");
    no_more();
    req.task = TG_TASK_MODERATE;
    assert_int_equal(tg_mock_items_init(&items, &req, 8, &arena), 0);
    assert_contains(next_is(0), "\"flagged\"");
    req.task = TG_TASK_EMBED;
    assert_int_equal(tg_mock_items_init(&items, &req, 1, &arena), 0);
    assert_lacks(next_is(0), ",");
    req.inputs.dimensions = 2;
    assert_int_equal(tg_mock_items_init(&items, &req, 1, &arena), 0);
    assert_contains(next_is(0), ",");
    assert_contains(next_is(1), ",");
    req.inputs.n = 0;
    assert_int_equal(tg_mock_items_init(&items, &req, 1, &arena), 0);
    no_more();
    assert_int_equal(tg_mock_dimensions(0, 64), 64);
    assert_int_equal(tg_mock_dimensions(INT64_MAX, 64), TG_MOCK_MAX_DIMENSIONS);
    tg_arena_fini(&arena);
    tg_arena_init(&arena, 8, 8);
    req.inputs.n = 3;
    req.task = TG_TASK_RERANK;
    assert_int_equal(tg_mock_items_init(&items, &req, 1, &arena), TG_E_NOMEM);
    tg_arena_fini(&arena);
    tg_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_have_length_one_and_are_the_same_each_time),
        cmocka_unit_test(texts_that_share_words_are_near),
        cmocka_unit_test(a_vector_is_a_list_of_numbers),
        cmocka_unit_test(relevance_is_the_share_of_the_query_that_is_there),
        cmocka_unit_test(verdicts_name_what_the_text_names),
        cmocka_unit_test(items_are_made_for_each_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
