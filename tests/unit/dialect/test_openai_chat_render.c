#include "check.h"

#include "render.h"

static struct render_run r;

static void start(bool stream, bool include_usage)
{
    render_init(&r, &tg_dialect_openai_chat, NULL, stream);
    r.info.include_usage = include_usage;
    render_begin(&r);
    assert_int_equal(r.rc, 0);
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    render_fini(&r);
    return 0;
}

#define HEAD                                                                                    \
    "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000," \
    "\"model\":\"gpt-\\\"4\\\"\",\"choices\":["
#define CHUNK(index, delta, finish)                                                                \
    HEAD "{\"index\":" #index ",\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish \
         "}]}\n\n"
#define ROLE(index) CHUNK(index, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", "null")
#define USAGE                                                                                      \
    "{\"prompt_tokens\":13,\"completion_tokens\":7,\"total_tokens\":20,\"prompt_tokens_details\":" \
    "{\"cached_tokens\":3},\"completion_tokens_details\":{\"reasoning_tokens\":2}}"

static void a_text(void **state)
{
    start(true, false);
    render_event(&r, &(struct tg_event){.kind = TG_EV_START, .id = TG_STR("x")});
    assert_int_equal(r.out.n, 0);
    render_part(&r, 0, 0, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a \"b\"\n", "");
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_END});
    render_finish_choice(&r, 0, TG_FINISH_LENGTH, "max_tokens");
    assert_str(render_end(&r), ROLE(0) CHUNK(0, "\"content\":\"a \\\"b\\\"\\n\"", "null")
                                   CHUNK(0, "", "\"length\"") "data: [DONE]\n\n");
    assert_int_equal(r.rc, 0);
}

static void usage_when_asked(void **state)
{
    start(true, true);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
    struct tg_str s = render_end(&r);
    assert_contains(s, "\"finish_reason\":\"stop\"}],\"usage\":null}\n\n");
    assert_contains(s, HEAD "],\"usage\":" USAGE "}\n\ndata: [DONE]\n\n");
}

static void usage_that_nobody_knows_is_not_made_up(void **state)
{
    start(true, true);
    r.usage.source = TG_USAGE_ABSENT;
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
    assert_lacks(render_end(&r), "prompt_tokens");
}

static void tool_calls(void **state)
{
    start(true, false);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "c1", "f");
    render_delta(&r, 0, 0, TG_DELTA_ARGUMENTS, "{\"a\":", "");
    render_part(&r, 0, 2, TG_PART_TOOL_CALL, "c2", "g");
    render_delta(&r, 0, 2, TG_DELTA_ARGUMENTS, "{}", "");
    render_delta(&r, 0, 0, TG_DELTA_ARGUMENTS, "1}", "");
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "tool_use");
    assert_str(
        render_end(&r),
        CHUNK(0,
              "\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"c1\","
              "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]",
              "null") CHUNK(0,
                            "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":"
                            "\"}}]",
                            "null")
            CHUNK(0,
                  "\"tool_calls\":[{\"index\":1,\"id\":\"c2\",\"type\":\"function\",\"function\":{"
                  "\"name\":\"g\",\"arguments\":\"\"}}]",
                  "null")
                CHUNK(0, "\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]",
                      "null")
                    CHUNK(0, "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"1}\"}}]",
                          "null") CHUNK(0, "", "\"tool_calls\"") "data: [DONE]\n\n");
}

/* Reasoning goes out twice, and its signature whole, when it is over. */
static void reasoning_refusal_signature(void **state)
{
    start(true, false);
    render_part(&r, 0, 0, TG_PART_REASONING, "", "");
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                        .delta_kind = TG_DELTA_SIGNATURE,
                                        .opaque = TG_OPAQUE_SIGNED,
                                        .text = TG_STR_INIT("sec")});
    render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                        .delta_kind = TG_DELTA_SIGNATURE,
                                        .opaque = TG_OPAQUE_SIGNED,
                                        .text = TG_STR_INIT("ret")});
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_END});
    render_delta(&r, 0, 1, TG_DELTA_REFUSAL, "no", "");
    assert_str(tg_buf_str(&r.out),
               ROLE(0) CHUNK(0,
                             "\"reasoning_content\":\"hm\",\"reasoning_details\":[{\"type\":"
                             "\"reasoning.text\",\"text\":\"hm\",\"index\":0}]",
                             "null")
                   CHUNK(0,
                         "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":"
                         "\"secret\",\"format\":\"anthropic-claude-v1\",\"index\":0}]",
                         "null") CHUNK(0, "\"refusal\":\"no\"", "null"));
}

static void logprobs_as_they_came(void **state)
{
    start(true, false);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "{\"content\":[ 1.50 ]}");
    assert_contains(tg_buf_str(&r.out), "},\"logprobs\":{\"content\":[ 1.50 ]},\"finish_reason\":");
}

static void choices_each_have_their_role(void **state)
{
    start(true, false);
    render_delta(&r, 1, 0, TG_DELTA_TEXT, "b", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    render_delta(&r, 1, 0, TG_DELTA_TEXT, "c", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
    render_finish_choice(&r, 0, TG_FINISH_LENGTH, ""); /* once is enough */
    assert_str(tg_buf_str(&r.out),
               ROLE(1) CHUNK(1, "\"content\":\"b\"", "null") ROLE(0)
                   CHUNK(0, "\"content\":\"a\"", "null") CHUNK(1, "\"content\":\"c\"", "null")
                       CHUNK(0, "", "\"stop\""));
}

static void an_empty_answer_has_a_role_and_an_end(void **state)
{
    start(true, false);
    render_finish_choice(&r, 0, TG_FINISH_CONTENT_FILTER, "");
    assert_str(render_end(&r), ROLE(0) CHUNK(0, "", "\"content_filter\"") "data: [DONE]\n\n");
}

static void words_that_clients_do_not_know_become_stop(void **state)
{
    start(true, false);
    render_finish_choice(&r, 0, TG_FINISH_OTHER, "WEIRD");
    assert_contains(tg_buf_str(&r.out), "\"finish_reason\":\"stop\"");
}

static void deltas_take_no_memory(void **state)
{
    start(true, true);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "c", "f");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "x", "");
    size_t held = r.arena.held_bytes, used = r.arena.used_bytes;
    tg_alloc_fail_at(0, 0);
    for (int i = 0; i < 100000; i++) {
        tg_buf_clear(&r.out);
        render_delta(&r, 0, i % 2, i % 2 ? TG_DELTA_TEXT : TG_DELTA_ARGUMENTS, "text", "");
        assert_int_equal(r.rc, 0);
    }
    assert_int_equal(tg_alloc_count(), 0);
    assert_int_equal(r.arena.held_bytes, held);
    assert_int_equal(r.arena.used_bytes, used);
}

static void bounds(void **state)
{
    start(true, false);
    render_delta(&r, 4096, 0, TG_DELTA_TEXT, "x", "");
    assert_int_not_equal(r.rc, 0);
    r.rc = 0;
    render_delta(&r, 4095, 0, TG_DELTA_TEXT, "x", "");
    assert_int_equal(r.rc, 0);
    for (uint32_t i = 0; !r.rc && i < 5000; i++)
        render_part(&r, 0, i, TG_PART_TOOL_CALL, "c", "f");
    assert_int_not_equal(r.rc, 0);
    tg_buf_fini(&r.out);
    tg_buf_init(&r.out, 10);
    r.rc = 0;
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "x", "");
    assert_int_equal(r.rc, TG_E_FULL);
}

/* ---- single answers ---- */

#define SINGLE                                                                      \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1700000000," \
    "\"model\":\"gpt-\\\"4\\\"\",\"choices\":["

static void a_whole_answer(void **state)
{
    start(false, false);
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "He", "{\"content\":[1],\"refusal\":null}");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "llo", "{\"content\":[2],\"refusal\":null}");
    render_part(&r, 0, 2, TG_PART_TOOL_CALL, "c1", "f");
    render_delta(&r, 0, 2, TG_DELTA_ARGUMENTS, "{}", "");
    render_part(&r, 0, 3, TG_PART_TOOL_CALL, "c2", "g");
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "");
    assert_int_equal(r.out.n, 0); /* nothing before the end */
    assert_str(render_end(&r), SINGLE
               "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello\","
               "\"refusal\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c1\","
               "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
               "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":"
               "\"\"}}]},\"logprobs\":{\"content\":[1,2],\"refusal\":null},"
               "\"finish_reason\":\"tool_calls\"}],\"usage\":" USAGE "}");
}

static void choices_in_order(void **state)
{
    start(false, false);
    r.usage.source = TG_USAGE_ABSENT;
    render_delta(&r, 1, 0, TG_DELTA_REFUSAL, "no", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
    render_finish_choice(&r, 1, TG_FINISH_STOP, "");
    assert_str(render_end(&r),
               SINGLE "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,"
                      "\"refusal\":null},\"logprobs\":null,\"finish_reason\":\"stop\"},"
                      "{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":null,"
                      "\"refusal\":\"no\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
                      "\"usage\":null}");
}

static void cache_writes_are_shown(void **state)
{
    start(false, false);
    r.usage.cache_write_tokens = 4;
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
    assert_contains(render_end(&r), "{\"prompt_tokens\":17,");
    assert_contains(tg_buf_str(&r.out), "{\"cached_tokens\":3,\"cache_write_tokens\":4}");
}

/* ---- clients that know only functions ---- */

static void legacy(bool stream)
{
    render_init(&r, &tg_dialect_openai_chat,
                "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"functions\":[{\"name\":"
                "\"f\"}]}",
                stream);
    render_begin(&r);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "", "f");
    render_delta(&r, 0, 0, TG_DELTA_ARGUMENTS, "{}", "");
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "function_call");
    render_end(&r);
    assert_int_equal(r.rc, 0);
    assert_lacks(tg_buf_str(&r.out), "tool_calls");
    assert_contains(tg_buf_str(&r.out), "\"finish_reason\":\"function_call\"");
}

static void legacy_functions_in_a_stream(void **state)
{
    legacy(true);
    assert_contains(tg_buf_str(&r.out), "\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}");
    assert_contains(tg_buf_str(&r.out), "{\"function_call\":{\"arguments\":\"{}\"}}");
}

static void legacy_functions_in_an_answer(void **state)
{
    legacy(false);
    assert_contains(tg_buf_str(&r.out), "\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}}");
}

/* ---- memory ---- */

static bool run_with_failure(uint64_t at, bool stream)
{
    render_init(&r, &tg_dialect_openai_chat, NULL, stream);
    tg_alloc_fail_at(at, 0);
    render_begin(&r);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "c1", "f");
    render_delta(&r, 3, 0, TG_DELTA_TEXT, "x", "{\"content\":[1]}");
    render_delta(&r, 3, 0, TG_DELTA_TEXT, "y", "{\"content\":[1]}");
    render_finish_choice(&r, 3, TG_FINISH_STOP, "stop");
    render_end(&r);
    tg_alloc_fail_at(0, 0);
    int rc = r.rc;
    if (rc)
        assert_true(rc == TG_E_NOMEM || rc == TG_E_FULL);
    render_fini(&r);
    return rc == 0;
}

static void every_allocation_may_fail(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        uint64_t at = 1;
        while (!run_with_failure(at, stream))
            at++;
        assert_true(at > 2);
    }
    start(true, false);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, teardown)
    const struct CMUnitTest tests[] = {
        T(a_text),
        T(usage_when_asked),
        T(usage_that_nobody_knows_is_not_made_up),
        T(tool_calls),
        T(reasoning_refusal_signature),
        T(logprobs_as_they_came),
        T(choices_each_have_their_role),
        T(an_empty_answer_has_a_role_and_an_end),
        T(words_that_clients_do_not_know_become_stop),
        T(deltas_take_no_memory),
        T(bounds),
        T(a_whole_answer),
        T(choices_in_order),
        T(cache_writes_are_shown),
        T(legacy_functions_in_a_stream),
        T(legacy_functions_in_an_answer),
        T(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
