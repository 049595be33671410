/* What open, parse and splice promise beyond single bodies: no body takes long or much, and memory
 * may run out anywhere. */
#include "check.h"

#include <time.h>

#include "base/alloc.h"
#include "base/err.h"
#include "dialect/dialect.h"

static struct tg_buf body;
static struct tg_arena arena;

static int setup(void **state)
{
    tg_buf_init(&body, 64u << 20);
    tg_arena_init(&arena, 4096, 512u << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_buf_fini(&body);
    tg_arena_fini(&arena);
    return 0;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_and_parse(const struct tg_dialect *d)
{
    struct tg_call call = {0};
    struct tg_chat_req req;
    int rc = d->open(&arena, NULL, tg_buf_str(&body), &call, NULL);
    return rc ? rc : d->parse(&arena, &call, &req, NULL);
}

static void many_messages(void **state)
{
    tg_buf_lit(&body, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}");
    for (int i = 1; i < 10000; i++)
        tg_buf_lit(&body, ",{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"y\"}]}");
    tg_buf_lit(&body, "]}");
    double t = cpu_seconds();
    assert_int_equal(open_and_parse(&tg_dialect_openai_chat), 0);
    assert_true(cpu_seconds() - t < 2);
    tg_buf_clear(&body);
    tg_buf_lit(&body, "{\"messages\":[1");
    for (int i = 0; i < 10000; i++)
        tg_buf_lit(&body, ",1");
    tg_buf_lit(&body, "]}");
    assert_int_equal(open_and_parse(&tg_dialect_openai_chat), TG_E_INVALID_VALUE);
}

static void many_members(void **state)
{
    tg_buf_lit(&body, "{\"messages\":[{\"role\":\"user\"");
    for (int i = 0; i < 20000; i++)
        tg_buf_printf(&body, ",\"m%d\":null", i);
    tg_buf_lit(&body, "}]");
    for (int i = 0; i < 20000; i++)
        tg_buf_printf(&body, ",\"k%d\":null", i);
    tg_buf_lit(&body, "}");
    double t = cpu_seconds();
    assert_int_equal(open_and_parse(&tg_dialect_openai_chat), 0);
    assert_true(cpu_seconds() - t < 2);
}

static void a_hostile_template(void **state)
{
    double t = cpu_seconds();
    tg_buf_lit(&body, "{\"variables\":{},\"template\":\"");
    for (int i = 0; i < 1000000; i++)
        tg_buf_lit(&body, "{{x ");
    tg_buf_lit(&body, "}}\"}");
    (void)open_and_parse(&tg_dialect_generate);
    tg_buf_clear(&body);
    tg_buf_lit(&body, "{\"variables\":{\"a\":\"");
    for (int i = 0; i < 100000; i++)
        tg_buf_lit(&body, "0123456789");
    tg_buf_lit(&body, "\"},\"template\":\"");
    for (int i = 0; i < 100; i++)
        tg_buf_lit(&body, "{{a}}");
    tg_buf_lit(&body, "\"}");
    assert_int_equal(open_and_parse(&tg_dialect_generate), TG_E_INVALID_VALUE); /* 100 MB */
    tg_buf_clear(&body);
    tg_buf_lit(&body, "{\"variables\":{\"a\":1},\"template\":\"");
    for (int i = 0; i < 10001; i++)
        tg_buf_lit(&body, "{{a}}");
    tg_buf_lit(&body, "\"}");
    assert_int_equal(open_and_parse(&tg_dialect_generate), TG_E_INVALID_VALUE);
    tg_buf_clear(&body);
    tg_buf_lit(&body, "{\"template\":\"x\",\"variables\":{\"a\":1");
    for (int i = 0; i < 1000; i++)
        tg_buf_printf(&body, ",\"a%d\":1", i);
    tg_buf_lit(&body, "}}");
    assert_int_equal(open_and_parse(&tg_dialect_generate), TG_E_INVALID_VALUE);
    assert_true(cpu_seconds() - t < 3);
}

static void long_names_are_cut_in_messages(void **state)
{
    struct tg_call call = {0};
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_buf_lit(&body, "{\"");
    for (int i = 0; i < 100000; i++)
        tg_buf_lit(&body, "\\u0001");
    tg_buf_lit(&body, "\":1,\"");
    for (int i = 0; i < 100000; i++)
        tg_buf_lit(&body, "\\u0001");
    tg_buf_lit(&body, "\":1}");
    assert_int_equal(tg_dialect_openai_chat.open(&arena, NULL, tg_buf_str(&body), &call, &f),
                     TG_E_DUPLICATE_KEY);
    assert_true(strlen(f.message) < 300);
    assert_lacks(tg_str_c(f.message), "\x01");
}

static const struct {
    const struct tg_dialect *dialect;
    const char *body;
} bodies[] = {
    {&tg_dialect_openai_chat,
     "{\"model\":\"m\",\"stream\":true,\"metadata\":{},\"stop\":[\"a\"],\"x\":1,\"tools\":[{"
     "\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],\"reasoning\":{},"
     "\"reasoning_effort\":\"low\",\"response_format\":{\"type\":\"json_object\"},\"messages\":["
     "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
     "\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}],\"y\":2},"
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"text\":\"a\"},"
     "{\"text\":\"b\"}]}],\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\"}}]},"
     "{\"role\":\"tool\",\"content\":\"r\",\"tool_call_id\":\"1\"}]}"},
    {&tg_dialect_openai_completions, "{\"prompt\":\"p\",\"logprobs\":1,\"x\":{},\"stream\":true}"},
    {&tg_dialect_generate, "{\"prompt\":\"p\",\"metadata\":{}}"},
    {&tg_dialect_simple_chat, "{\"message\":\"p\",\"system\":\"s\"}"},
};

static void every_allocation_may_fail(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        const struct tg_dialect *d = bodies[i].dialect;
        int rc = -1;
        for (uint64_t at = 1; rc; at++) {
            struct tg_call call = {0};
            struct tg_chat_req req;
            struct tg_fail f;
            struct iovec iov[8];
            int n;
            bool hide;
            tg_fail_clear(&f);
            tg_arena_init(&arena, 64, 1 << 20);
            tg_alloc_fail_at(at, at % 2);
            rc = d->open(&arena, NULL, tg_str_c(bodies[i].body), &call, &f);
            if (!rc && d->splice)
                rc = d->splice(&arena, &call, TG_STR("\"other\""), true, iov, 8, &n, &hide);
            if (!rc)
                rc = d->parse(&arena, &call, &req, &f);
            tg_alloc_fail_at(0, 0);
            tg_arena_fini(&arena);
            if (rc)
                assert_true(rc == TG_E_NOMEM);
            assert_true(at < 1000);
        }
    }
}

/* The arena's cap is memory that ran out, too. */
static void a_small_arena_is_an_error(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        int rc = -1;
        for (size_t max = 64; rc; max += 64) {
            struct tg_call call = {0};
            struct tg_chat_req req;
            tg_arena_init(&arena, 64, max);
            rc = bodies[i].dialect->open(&arena, NULL, tg_str_c(bodies[i].body), &call, NULL);
            if (!rc)
                rc = bodies[i].dialect->parse(&arena, &call, &req, NULL);
            tg_arena_fini(&arena);
            if (rc)
                assert_int_equal(rc, TG_E_NOMEM);
            assert_true(max < 1 << 20);
        }
    }
}

static void too_few_slots_for_a_splice(void **state)
{
    struct tg_call call = {0};
    struct iovec iov[8];
    int n;
    bool hide;
    assert_int_equal(
        tg_dialect_openai_chat.open(&arena, NULL, tg_str_c(bodies[0].body), &call, NULL), 0);
    for (int max = 0; max < 5; max++)
        assert_int_equal(
            tg_dialect_openai_chat.splice(&arena, &call, TG_STR("o"), true, iov, max, &n, &hide),
            TG_E_FULL);
    assert_int_equal(
        tg_dialect_openai_chat.splice(&arena, &call, TG_STR("o"), true, iov, 5, &n, &hide), 0);
    assert_int_equal(n, 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(many_messages),
        T(many_members),
        T(a_hostile_template),
        T(long_names_are_cut_in_messages),
        T(every_allocation_may_fail),
        T(a_small_arena_is_an_error),
        T(too_few_slots_for_a_splice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
