#include "check.h"

#include "render.h"

static struct render_run r;

static void start(const char *body, bool stream)
{
    render_init(&r, &tg_dialect_openai_completions, body, stream);
    render_begin(&r);
    assert_int_equal(r.rc, 0);
}

static int teardown(void **state)
{
    render_fini(&r);
    return 0;
}

#define HEAD                                                                              \
    "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1700000000,\"model\":" \
    "\"gpt-\\\"4\\\"\",\"choices\":["

static void a_stream(void **state)
{
    start("{\"prompt\":\"p\"}", true);
    render_part(&r, 0, 0, TG_PART_TEXT, "", "");
    assert_int_equal(r.out.n, 0); /* this format has no role */
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a\n", "{\"tokens\":[\"a\"]}");
    render_delta(&r, 0, 1, TG_DELTA_REASONING, "hidden", "");
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "");
    assert_str(render_end(&r),
               "data: " HEAD "{\"index\":0,\"text\":\"a\\n\",\"logprobs\":{\"tokens\":[\"a\"]},"
               "\"finish_reason\":null}]}\n\n"
               "data: " HEAD "{\"index\":0,\"text\":\"\",\"logprobs\":null,\"finish_reason\":"
               "\"stop\"}]}\n\n"
               "data: [DONE]\n\n");
}

static void usage_and_echo_in_a_stream(void **state)
{
    start("{\"prompt\":\"pro\\\"mpt\",\"echo\":true}", true);
    render_fini(&r);
    render_init(&r, &tg_dialect_openai_completions, "{\"prompt\":[\"p\\\"q\"],\"echo\":true}",
                true);
    r.info.include_usage = true;
    render_begin(&r);
    render_delta(&r, 70, 0, TG_DELTA_TEXT, "a", "");
    render_delta(&r, 70, 0, TG_DELTA_TEXT, "b", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "c", "");
    struct tg_str s = render_end(&r);
    assert_contains(s, "{\"index\":70,\"text\":\"p\\\"qa\",");
    assert_contains(s, "{\"index\":70,\"text\":\"b\",");
    assert_contains(s, "{\"index\":0,\"text\":\"p\\\"qc\",");
    assert_contains(s, "\"finish_reason\":null}],\"usage\":null}\n\n");
    assert_contains(s, HEAD "],\"usage\":{\"prompt_tokens\":13,");
}

static void a_whole_answer(void **state)
{
    start("{\"prompt\":\"p\",\"echo\":true}", false);
    render_delta(&r, 1, 0, TG_DELTA_TEXT, "b", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "{\"tokens\":[1]}");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "A", "{\"tokens\":[2]}");
    render_finish_choice(&r, 0, TG_FINISH_LENGTH, "");
    render_finish_choice(&r, 1, TG_FINISH_STOP, "");
    assert_int_equal(r.out.n, 0);
    r.usage.source = TG_USAGE_ABSENT;
    assert_str(render_end(&r),
               HEAD "{\"index\":0,\"text\":\"paA\",\"logprobs\":{\"tokens\":[1,2]},"
                    "\"finish_reason\":\"length\"},{\"index\":1,\"text\":\"pb\",\"logprobs\":null,"
                    "\"finish_reason\":\"stop\"}],\"usage\":null}");
}

static void ids_of_other_forms_stay(void **state)
{
    render_init(&r, &tg_dialect_openai_completions, NULL, false);
    r.info.id = TG_STR("own-7");
    render_begin(&r);
    assert_contains(render_end(&r), "{\"id\":\"own-7\",");
}

static void deltas_take_no_memory(void **state)
{
    start("{\"prompt\":\"p\"}", true);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "x", "");
    tg_alloc_fail_at(0, 0);
    for (int i = 0; i < 100000; i++) {
        tg_buf_clear(&r.out);
        render_delta(&r, 0, 0, TG_DELTA_TEXT, "y", "");
    }
    assert_int_equal(r.rc, 0);
    assert_int_equal(tg_alloc_count(), 0);
}

static void bounds(void **state)
{
    start("{\"prompt\":\"p\"}", true);
    render_delta(&r, 4096, 0, TG_DELTA_TEXT, "x", "");
    assert_int_equal(r.rc, TG_E_UPSTREAM_TOO_LARGE);
}

static void every_allocation_may_fail(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        int rc = -1;
        for (uint64_t at = 1; rc; at++) {
            render_init(&r, &tg_dialect_openai_completions, "{\"prompt\":\"p\"}", stream);
            tg_alloc_fail_at(at, 0);
            render_begin(&r);
            render_delta(&r, 0, 0, TG_DELTA_TEXT, "x", "");
            render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
            render_end(&r);
            tg_alloc_fail_at(0, 0);
            rc = r.rc;
            if (rc)
                assert_true(rc == TG_E_NOMEM || rc == TG_E_FULL);
            render_fini(&r);
        }
    }
    start(NULL, false);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(a_stream),
        T(usage_and_echo_in_a_stream),
        T(a_whole_answer),
        T(ids_of_other_forms_stay),
        T(deltas_take_no_memory),
        T(bounds),
        T(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
