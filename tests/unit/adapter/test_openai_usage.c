#include "check.h"

#include "adapter/openai_priv.h"

static struct tg_arena arena;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

static bool usage_of(const char *text, struct tg_usage *out)
{
    struct tg_json_doc *doc;
    assert_int_equal(tg_json_parse(&arena, tg_str_c(text), NULL, &doc, NULL), 0);
    return tg_openai_usage(tg_json_root(doc), out);
}

static void check(const char *text, int64_t in, int64_t read, int64_t write, int64_t out,
                  int64_t reasoning)
{
    struct tg_usage u;
    if (!usage_of(text, &u))
        fail_msg("no usage: %s", text);
    struct tg_usage want = {TG_USAGE_REPORTED, in, read, write, out, reasoning};
    if (memcmp(&u, &want, sizeof(u)))
        fail_msg("%s: in=%d read=%d write=%d out=%d reasoning=%d", text, (int)u.input_tokens,
                 (int)u.cache_read_tokens, (int)u.cache_write_tokens, (int)u.output_tokens,
                 (int)u.reasoning_tokens);
}

static void classes_are_disjoint(void **state)
{
    check("{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15}", 10, 0, 0, 5, 0);
    check("{\"prompt_tokens\":100,\"completion_tokens\":50,\"prompt_tokens_details\":{"
          "\"cached_tokens\":30,\"cache_write_tokens\":20},\"completion_tokens_details\":{"
          "\"reasoning_tokens\":40}}",
          50, 30, 20, 10, 40);
    check("{\"prompt_tokens\":10}", 10, 0, 0, 0, 0);
    check("{\"completion_tokens\":10}", 0, 0, 0, 10, 0);
    check("{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}", 0, 0, 0, 0, 0);
}

static void names_of_the_cache(void **state)
{
    check("{\"prompt_tokens\":100,\"completion_tokens\":1,\"prompt_cache_hit_tokens\":64,"
          "\"prompt_cache_miss_tokens\":36}",
          36, 64, 0, 1, 0);
    check("{\"prompt_tokens\":100,\"completion_tokens\":1,\"cached_tokens\":7}", 93, 7, 0, 1, 0);
    check("{\"prompt_tokens\":100,\"completion_tokens\":1,\"num_cached_tokens\":8}", 92, 8, 0, 1,
          0);
    check("{\"prompt_tokens\":100,\"completion_tokens\":1,\"cache_creation_input_tokens\":9}", 91,
          0, 9, 1, 0);
    check("{\"prompt_tokens\":100,\"completion_tokens\":1,\"prompt_tokens_details\":null,"
          "\"completion_tokens_details\":null}",
          100, 0, 0, 1, 0);
}

/* xAI counts reasoning beside the completion: its total says so. */
static void reasoning_on_top(void **state)
{
    check("{\"prompt_tokens\":432,\"completion_tokens\":68,\"total_tokens\":636,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":136}}",
          432, 0, 0, 68, 136);
    check("{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":60,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":50}}",
          10, 0, 0, 0, 50);
    check("{\"prompt_tokens\":10,\"completion_tokens\":50,\"total_tokens\":90,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":30}}",
          10, 0, 0, 50, 30);
    check("{\"prompt_tokens\":28,\"completion_tokens\":9,\"total_tokens\":37,"
          "\"completion_tokens_details\":{\"reasoning_tokens\":69}}",
          28, 0, 0, 9, 69);
}

static void nonsense_does_no_harm(void **state)
{
    check("{\"prompt_tokens\":-5,\"completion_tokens\":3}", 0, 0, 0, 3, 0);
    check("{\"prompt_tokens\":10,\"completion_tokens\":3,\"cached_tokens\":99}", 0, 10, 0, 3, 0);
    check("{\"prompt_tokens\":10,\"completion_tokens\":3,\"cached_tokens\":8,"
          "\"cache_creation_input_tokens\":9}",
          0, 8, 2, 3, 0);
    check("{\"prompt_tokens\":1e15,\"completion_tokens\":1e300}", (int64_t)1 << 48, 0, 0, 0, 0);
    check("{\"prompt_tokens\":1.5,\"completion_tokens\":2.0}", 0, 0, 0, 2, 0);
    check("{\"prompt_tokens\":10,\"completion_tokens\":null,\"prompt_tokens_details\":5}", 10, 0, 0,
          0, 0);
    struct tg_usage u;
    assert_true(usage_of("{\"prompt_tokens\":9e18,\"completion_tokens\":9223372036854775807}", &u));
    assert_true(tg_usage_total(&u) > 0);
}

static void what_is_no_usage(void **state)
{
    struct tg_usage u = {.input_tokens = 7};
    assert_false(usage_of("{}", &u));
    assert_false(usage_of("null", &u));
    assert_false(usage_of("[1]", &u));
    assert_false(usage_of("{\"prompt_tokens\":\"10\"}", &u));
    assert_false(usage_of("{\"total_tokens\":10}", &u));
    assert_false(tg_openai_usage(NULL, &u));
    assert_int_equal(u.input_tokens, 7);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(classes_are_disjoint),  T(names_of_the_cache), T(reasoning_on_top),
        T(nonsense_does_no_harm), T(what_is_no_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
