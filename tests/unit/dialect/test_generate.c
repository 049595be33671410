#include "check.h"

#include "render.h"

static struct render_run r;

static void start(const char *body, bool stream)
{
    render_init(&r, &tg_dialect_generate, body, stream);
    render_begin(&r);
    assert_int_equal(r.rc, 0);
}

static int teardown(void **state)
{
    render_fini(&r);
    return 0;
}

static void a_whole_answer(void **state)
{
    start("{\"prompt\":\"Once \"}", false);
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "upon \"a\"", "");
    render_delta(&r, 1, 0, TG_DELTA_TEXT, "another choice", "");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, " time", "");
    render_finish_choice(&r, 0, TG_FINISH_LENGTH, "max");
    assert_int_equal(r.out.n, 0);
    assert_str(render_end(&r),
               "{\"completion\":\"upon \\\"a\\\" time\","
               "\"generated_text\":\"Once upon \\\"a\\\" time\",\"prompt\":\"Once \","
               "\"model\":\"gpt-\\\"4\\\"\",\"prompt_tokens\":13,\"completion_tokens\":7,"
               "\"total_tokens\":20,\"cost_usd\":null,\"request_id\":\"req_1\",\"cached\":false,"
               "\"latency_ms\":1234.5,\"finish_reason\":\"length\",\"provider\":\"openai\"}");
}

static void a_stream(void **state)
{
    start("{\"prompt\":\"Once \"}", true);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "upon\n", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "", "");
    render_delta(&r, 0, 1, TG_DELTA_REFUSAL, " no", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
    assert_str(render_end(&r),
               "data: {\"text\":\"upon\\n\"}\n\n"
               "data: {\"text\":\" no\"}\n\n"
               "data: {\"completion\":\"upon\\n no\",\"prompt\":\"Once \","
               "\"model\":\"gpt-\\\"4\\\"\",\"prompt_tokens\":13,\"completion_tokens\":7,"
               "\"total_tokens\":20,\"cost_usd\":null,\"request_id\":\"req_1\",\"cached\":false,"
               "\"latency_ms\":1234.5,\"finish_reason\":\"stop\",\"provider\":\"openai\"}\n\n"
               "data: [DONE]\n\n");
}

static void the_prompt_is_the_template_s_text(void **state)
{
    start("{\"template\":\"Hi {{n}}:\",\"variables\":{\"n\":\"Ann\"}}", false);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "x", "");
    assert_contains(render_end(&r), "\"generated_text\":\"Hi Ann:x\",\"prompt\":\"Hi Ann:\"");
}

static void check_cost(int64_t nusd, const char *want)
{
    char text[64];
    start("{\"prompt\":\"p\"}", false);
    r.info.has_cost = true;
    r.info.cost_nusd = nusd;
    render_end(&r);
    snprintf(text, sizeof(text), "\"cost_usd\":%s,", want);
    check_contains(tg_buf_str(&r.out), tg_str_c(text), true, __FILE__, __LINE__);
    render_fini(&r);
}

static void costs_are_exact(void **state)
{
    check_cost(4500000, "0.0045");
    check_cost(0, "0");
    check_cost(1, "0.000000001");
    check_cost(1000000000, "1");
    check_cost(12345678901, "12.345678901");
    check_cost(INT64_MAX, "9223372036.854775807");
    check_cost(-5, "null");
    start("{\"prompt\":\"p\"}", false);
}

static void what_is_unknown_is_null(void **state)
{
    start("{\"prompt\":\"p\"}", false);
    r.usage.source = TG_USAGE_ABSENT;
    r.info.cached = true;
    r.info.started_us = 9000000; /* a clock that stood still */
    render_end(&r);
    assert_contains(tg_buf_str(&r.out), "\"prompt_tokens\":null,\"completion_tokens\":null,"
                                        "\"total_tokens\":null,\"cost_usd\":null");
    assert_contains(tg_buf_str(&r.out), "\"cached\":true,\"latency_ms\":0,");
    assert_contains(tg_buf_str(&r.out), "\"finish_reason\":\"stop\"");
}

static void a_provider_s_own_word_is_told(void **state)
{
    start("{\"prompt\":\"p\"}", false);
    render_finish_choice(&r, 0, TG_FINISH_OTHER, "SAFETY");
    assert_contains(render_end(&r), "\"finish_reason\":\"SAFETY\"");
    render_fini(&r);
    start("{\"prompt\":\"p\"}", false);
    render_finish_choice(&r, 0, TG_FINISH_OTHER, "");
    assert_contains(render_end(&r), "\"finish_reason\":\"stop\"");
    render_fini(&r);
    start("{\"prompt\":\"p\"}", false);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "x", "");
    assert_contains(render_end(&r), "\"finish_reason\":\"stop\"");
}

static void every_allocation_may_fail(void **state)
{
    int rc = -1;
    for (uint64_t at = 1; rc; at++) {
        struct tg_fail f;
        tg_fail_clear(&f);
        render_init(&r, &tg_dialect_generate, "{\"prompt\":\"p\"}", true);
        tg_alloc_fail_at(at, 0);
        struct tg_call call = {0};
        struct tg_chat_req req;
        struct tg_arena a;
        tg_arena_init(&a, 64, 1 << 20);
        struct tg_str body =
            TG_STR("{\"template\":\"{{a}}\",\"variables\":{\"a\":1},\"metadata\":{}}");
        r.rc = tg_dialect_generate.open(&a, NULL, body, &call, &f);
        if (!r.rc)
            r.rc = tg_dialect_generate.parse(&a, &call, &req, &f);
        assert_int_equal(f.err, r.rc);
        render_delta(&r, 0, 0, TG_DELTA_TEXT, "x", "");
        render_finish_choice(&r, 0, TG_FINISH_OTHER, "word");
        render_end(&r);
        tg_alloc_fail_at(0, 0);
        rc = r.rc;
        if (rc)
            assert_true(rc == TG_E_NOMEM || rc == TG_E_FULL);
        tg_arena_fini(&a);
        render_fini(&r);
    }
    start("{\"prompt\":\"p\"}", false);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(a_whole_answer),
        T(a_stream),
        T(the_prompt_is_the_template_s_text),
        T(costs_are_exact),
        T(what_is_unknown_is_null),
        T(a_provider_s_own_word_is_told),
        T(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
