/* Answers as Anthropic's clients get them: streams whose order holds whatever the provider weaves,
 * single messages, errors, counts. */
#include "check.h"

#include <stdio.h>

#include "anthropic_order.h"
#include "render.h"

static struct render_run r;

static void start(bool stream)
{
    render_init(&r, &tg_dialect_anthropic, NULL, stream);
    r.info.model = TG_STR("claude");
    r.usage.output_tokens = 5;
    render_begin(&r);
    assert_int_equal(r.rc, 0);
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    render_fini(&r);
    return 0;
}

static void end_part(uint32_t part)
{
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_END, .part = part});
}

static void signature(uint32_t part, enum tg_opaque_kind kind, const char *text)
{
    render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                        .part = part,
                                        .delta_kind = TG_DELTA_SIGNATURE,
                                        .opaque = kind,
                                        .text = tg_str_c(text)});
}

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START(usage)                                                                            \
    EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"      \
                           "\"assistant\",\"model\":\"claude\",\"content\":[],\"stop_reason\":" \
                           "null,\"stop_sequence\":null,\"usage\":{" usage "}}")
#define NO_USAGE                                                              \
    "\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input" \
    "_tokens\":0,\"output_tokens\":0"
#define BLOCK(i, block) \
    EVENT("content_block_start", ",\"index\":" #i ",\"content_block\":{" block "}")
#define DELTA(i, delta) EVENT("content_block_delta", ",\"index\":" #i ",\"delta\":{" delta "}")
#define STOP(i)         EVENT("content_block_stop", ",\"index\":" #i)
#define TEXT            "\"type\":\"text\",\"text\":\"\""
#define USAGE                                                                              \
    "\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":3," \
    "\"output_tokens\":7,\"output_tokens_details\":{\"thinking_tokens\":2}"
#define END(reason, sequence)                                                                   \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":" reason ",\"stop_sequence\":" sequence \
                           "},\"usage\":{" USAGE "}")                                           \
    EVENT("message_stop", "")

static void a_text(void **state)
{
    start(true);
    render_event(&r, &(struct tg_event){.kind = TG_EV_START, .id = TG_STR("x")});
    assert_int_equal(r.out.n, 0);
    render_part(&r, 0, 0, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a \"b\"\n", "");
    end_part(0);
    render_finish_choice(&r, 0, TG_FINISH_LENGTH, "length");
    assert_str(render_end(&r), START(NO_USAGE) BLOCK(0, TEXT)
                                   DELTA(0, "\"type\":\"text_delta\",\"text\":\"a \\\"b\\\"\\n\"")
                                       STOP(0) END("\"max_tokens\"", "null"));
    assert_int_equal(r.rc, 0);
}

static void usage_that_is_known_early(void **state)
{
    static const struct tg_usage early = {.source = TG_USAGE_REPORTED,
                                          .input_tokens = 4,
                                          .cache_write_tokens = 9,
                                          .cache_write_1h_tokens = 2};
    start(true);
    render_event(&r, &(struct tg_event){.kind = TG_EV_START, .service_tier = TG_STR("standard")});
    render_event(&r, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &early});
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    assert_contains(tg_buf_str(&r.out),
                    "\"usage\":{\"input_tokens\":4,\"cache_creation_input_tokens\":9,"
                    "\"cache_read_input_tokens\":0,\"cache_creation\":{"
                    "\"ephemeral_5m_input_tokens\":7,\"ephemeral_1h_input_tokens\":2},"
                    "\"output_tokens\":0,\"service_tier\":\"standard\"}");
    check_anthropic_order(render_end(&r));
}

/* Most providers count at the end: a stream begins with an estimate, and its end has the figures,
 * or nothing to put in place of the estimate. */
static void usage_that_is_not_known_early(void **state)
{
    start(true);
    r.info.prompt_tokens = 321;
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    assert_contains(tg_buf_str(&r.out),
                    "\"usage\":{\"input_tokens\":321,\"cache_creation_input_tokens\":0,"
                    "\"cache_read_input_tokens\":0,\"output_tokens\":0}");
    r.usage =
        (struct tg_usage){.source = TG_USAGE_REPORTED, .input_tokens = 300, .cache_read_tokens = 9};
    assert_contains(render_end(&r),
                    "\"usage\":{\"input_tokens\":300,\"cache_creation_input_tokens\":0,"
                    "\"cache_read_input_tokens\":9,\"output_tokens\":0}");
    render_fini(&r);
    start(true);
    r.info.prompt_tokens = 321;
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    r.usage = (struct tg_usage){.source = TG_USAGE_ABSENT};
    assert_contains(render_end(&r), "\"usage\":{\"output_tokens\":0}}");
    assert_contains(tg_buf_str(&r.out), "\"input_tokens\":321");
}

static void an_empty_answer(void **state)
{
    start(true);
    render_part(&r, 0, 0, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
    assert_str(render_end(&r), START(NO_USAGE) END("\"end_turn\"", "null"));
}

static void nothing_at_all(void **state)
{
    start(true);
    struct anthropic_order o = check_anthropic_order(render_end(&r));
    assert_int_equal(o.blocks, 0);
}

/* A provider that weaves its calls: the client gets them one after the other, whole. */
static void woven_calls(void **state)
{
    start(true);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "t", "");
    end_part(0);
    render_part(&r, 0, 1, TG_PART_TOOL_CALL, "c1", "f");
    render_delta(&r, 0, 1, TG_DELTA_ARGUMENTS, "{\"a\":", "");
    render_part(&r, 0, 2, TG_PART_TOOL_CALL, "c2", "g");
    render_delta(&r, 0, 2, TG_DELTA_ARGUMENTS, "{\"b", "");
    render_part(&r, 0, 3, TG_PART_TOOL_CALL, "c3", "h");
    end_part(3);
    render_delta(&r, 0, 1, TG_DELTA_ARGUMENTS, "1}", "");
    render_delta(&r, 0, 2, TG_DELTA_ARGUMENTS, "\":2}", "");
    end_part(1);
    end_part(2);
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "tool_calls");
#define CALL(i, id, name) \
    BLOCK(i, "\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":{}")
#define INPUT(i, text) DELTA(i, "\"type\":\"input_json_delta\",\"partial_json\":\"" text "\"")
    assert_str(render_end(&r),
               START(NO_USAGE) BLOCK(0, TEXT) DELTA(0, "\"type\":\"text_delta\",\"text\":\"t\"")
                   STOP(0) CALL(1, "c1", "f") INPUT(1, "{\\\"a\\\":") INPUT(1, "1}") STOP(1)
                       CALL(2, "c2", "g") INPUT(2, "{\\\"b") INPUT(2, "\\\":2}") STOP(2)
                           CALL(3, "c3", "h") STOP(3) END("\"tool_use\"", "null"));
}

/* Parts that never end by themselves, in any order, with deltas of the wrong kind among them. */
static void any_order_is_put_right(void **state)
{
    for (unsigned seed = 1; seed <= 300; seed++) {
        uint32_t x = seed;
        start(true);
        for (unsigned i = 0; i < 40; i++) {
            x = x * 1664525u + 1013904223u;
            uint32_t part = (x >> 8) % 6;
            enum tg_part_kind kind = part < 2    ? TG_PART_TEXT
                                     : part == 2 ? TG_PART_REASONING
                                     : part == 5 ? TG_PART_REFUSAL
                                                 : TG_PART_TOOL_CALL;
            switch ((x >> 16) % 6) {
            case 0:
                end_part(part);
                break;
            case 1:
                signature(part, (x >> 20) % 5, "s");
                break;
            case 2:
                render_part(&r, 0, part, kind, "id", "f");
                break;
            default:
                render_delta(&r, (x >> 24) % 9 == 0, part, (enum tg_delta_kind)((x >> 20) % 5), "d",
                             "");
                break;
            }
        }
        render_finish_choice(&r, 0, TG_FINISH_STOP, "");
        check_anthropic_order(render_end(&r));
        assert_int_equal(r.rc, 0);
        render_fini(&r);
    }
    start(true);
}

static void thinking_and_its_opaque_parts(void **state)
{
    start(true);
    render_part(&r, 0, 0, TG_PART_REASONING, "", "");
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    signature(0, TG_OPAQUE_SIGNED, "sig==");
    end_part(0);
    render_part(&r, 0, 1, TG_PART_REASONING, "", "");
    signature(1, TG_OPAQUE_REDACTED, "opaque");
    end_part(1);
    render_part(&r, 0, 2, TG_PART_REASONING, "rs_1", "");
    signature(2, TG_OPAQUE_ENCRYPTED, "gAAA");
    end_part(2);
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
#define THINKING "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\""
    assert_str(render_end(&r),
               START(NO_USAGE) BLOCK(0, THINKING)
                   DELTA(0, "\"type\":\"thinking_delta\",\"thinking\":\"hm\"")
                       DELTA(0, "\"type\":\"signature_delta\",\"signature\":\"sig==\"") STOP(0)
                           BLOCK(1, "\"type\":\"redacted_thinking\",\"data\":\"opaque\"") STOP(1)
                               BLOCK(2, THINKING) DELTA(2, "\"type\":\"signature_delta\","
                                                           "\"signature\":\"tgs1:e:rs_1:gAAA\"")
                                   STOP(2) END("\"end_turn\"", "null"));
}

static void reasons(void **state)
{
    static const struct {
        enum tg_finish finish;
        const char *word, *stop, *want;
    } table[] = {
        {TG_FINISH_STOP, "stop", "", "\"stop_reason\":\"end_turn\",\"stop_sequence\":null"},
        {TG_FINISH_STOP, "stop_sequence", "END",
         "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\""},
        {TG_FINISH_CONTENT_FILTER, "content_filter", "", "\"stop_reason\":\"refusal\""},
        {TG_FINISH_OTHER, "pause_turn", "", "\"stop_reason\":\"pause_turn\""},
        {TG_FINISH_OTHER, "no_such_word", "", "\"stop_reason\":\"end_turn\""},
        {TG_FINISH_LENGTH, "model_context_window_exceeded", "",
         "\"stop_reason\":\"model_context_window_exceeded\""},
    };
    for (size_t i = 0; i < 2 * TG_ARRAY_LEN(table); i++) {
        size_t k = i / 2;
        start(i % 2);
        render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
        render_event(&r, &(struct tg_event){.kind = TG_EV_FINISH,
                                            .finish = table[k].finish,
                                            .text = tg_str_c(table[k].word),
                                            .stop_text = tg_str_c(table[k].stop)});
        struct tg_str got = render_end(&r);
        if (tg_str_find(got, tg_str_c(table[k].want)) < 0)
            fail_msg("%s: %.*s", table[k].want, TG_STR_ARG(got));
        render_fini(&r);
    }
    start(true);
}

/* "stop" behind a call that was forced by name, as OpenAI's servers say it. */
static void a_forced_call_is_a_tool_use(void **state)
{
    start(false);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "", "f");
    render_delta(&r, 0, 0, TG_DELTA_ARGUMENTS, "{\"a\": 1}", "");
    render_finish_choice(&r, 0, TG_FINISH_STOP, "stop");
    assert_str(render_end(&r),
               "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude\","
               "\"content\":[{\"type\":\"tool_use\",\"id\":\"toolu_1_0\",\"name\":\"f\",\"input\":"
               "{\"a\": 1}}],\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{" USAGE
               "}}");
}

/* Gemini's signature of a call travels in the call's id. */
static void a_call_with_a_signature(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        start(stream);
        render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                            .part_kind = TG_PART_TOOL_CALL,
                                            .id = TG_STR("c1"),
                                            .name = TG_STR("f"),
                                            .opaque = TG_OPAQUE_THOUGHT,
                                            .signature = TG_STR("abc")});
        render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "");
        assert_contains(render_end(&r), "\"id\":\"c1__tgs_YWJj\"");
        render_fini(&r);
    }
    start(true);
}

static void arguments_that_are_no_object(void **state)
{
    start(false);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "c", "f");
    render_delta(&r, 0, 0, TG_DELTA_ARGUMENTS, "{\"a", "");
    render_part(&r, 0, 1, TG_PART_TOOL_CALL, "d", "f");
    render_finish_choice(&r, 0, TG_FINISH_LENGTH, "");
    struct tg_str got = render_end(&r);
    assert_contains(got, "\"input\":{\"_raw\":\"{\\\"a\"}");
    assert_contains(got, "\"id\":\"d\",\"name\":\"f\",\"input\":{}");
}

static void citations_and_blocks_of_its_own(void **state)
{
    static const struct tg_citation own = {.url = TG_STR_INIT("u"),
                                           .raw = TG_STR_INIT("{\"type\":\"x\",\n\"y\":1}"),
                                           .start = -1,
                                           .end = -1,
                                           .format = TG_WIRE_ANTHROPIC_MESSAGES};
    static const struct tg_citation other = {.url = TG_STR_INIT("u"),
                                             .title = TG_STR_INIT("t"),
                                             .text = TG_STR_INIT("c"),
                                             .start = 1,
                                             .end = 2};
    for (int stream = 0; stream < 2; stream++) {
        start(stream);
        render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                            .part_kind = TG_PART_RAW,
                                            .format = TG_WIRE_ANTHROPIC_MESSAGES,
                                            .text = TG_STR("{\"type\":\"server_tool_use\",\n"
                                                           "\"id\":\"s\"}")});
        end_part(0);
        render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                            .part = 1,
                                            .part_kind = TG_PART_RAW,
                                            .format = TG_WIRE_GEMINI_GENERATE,
                                            .text = TG_STR("{\"x\":1}")});
        end_part(1);
        render_part(&r, 0, 2, TG_PART_TEXT, "", "");
        for (int i = 0; i < 2; i++)
            render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                                .part = 2,
                                                .delta_kind = TG_DELTA_CITATION,
                                                .citation = i ? &other : &own});
        render_delta(&r, 0, 2, TG_DELTA_TEXT, "a", "");
        end_part(2);
        render_event(&r, &(struct tg_event){.kind = TG_EV_EXTRA,
                                            .name = TG_STR("stop_details"),
                                            .text = TG_STR("{\"type\":\"refusal\"}"),
                                            .format = TG_WIRE_ANTHROPIC_MESSAGES});
        render_finish_choice(&r, 0, TG_FINISH_STOP, "end_turn");
        struct tg_str got = render_end(&r);
        assert_contains(got, "\"type\":\"server_tool_use\"");
        assert_lacks(got, "{\"x\":1}");
        assert_contains(got, "\"y\":1}");
        assert_contains(got, "\"stop_details\":{\"type\":\"refusal\"}");
        assert_contains(got, "{\"type\":\"web_search_result_location\",\"cited_text\":\"c\","
                             "\"encrypted_index\":\"\",\"title\":\"t\",\"url\":\"u\"}");
        if (stream)
            check_anthropic_order(got);
        render_fini(&r);
    }
    start(true);
}

static void errors(void **state)
{
    static const struct {
        int err, status;
        const char *type, *want;
    } table[] = {
        {TG_E_INVALID_VALUE, 0, "", "invalid_request_error"},
        {TG_E_MODEL_NOT_FOUND, 0, "", "not_found_error"},
        {TG_E_BODY_TOO_LARGE, 0, "", "request_too_large"},
        {TG_E_UPSTREAM_RATE_LIMIT, 0, "", "rate_limit_error"},
        {TG_E_UPSTREAM_OVERLOADED, 529, "", "overloaded_error"},
        {TG_E_UPSTREAM_OVERLOADED, 0, "server_error", "overloaded_error"},
        {TG_E_UPSTREAM_TIMEOUT, 0, "", "timeout_error"},
        {TG_E_UPSTREAM_ERROR, 0, "server_error", "api_error"},
        {TG_E_UPSTREAM_REJECTED, 401, "", "authentication_error"},
        {TG_E_UPSTREAM_REJECTED, 400, "BadRequestError", "invalid_request_error"},
        {TG_E_UPSTREAM_REJECTED, 400, "billing_error", "billing_error"},
    };
    start(true);
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct tg_fail f;
        char want[160];
        tg_fail_clear(&f);
        tg_fail_set(&f, table[i].err, "no \"good\"");
        f.http_status = table[i].status;
        tg_str_to_c(tg_str_c(table[i].type), f.type, sizeof(f.type));
        tg_buf_clear(&r.out);
        tg_dialect_anthropic.render_fail(&f, TG_STR("req_1"), i % 2, &r.out);
        snprintf(
            want, sizeof(want),
            "%s{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"no \\\"good\\\"\"},"
            "\"request_id\":\"req_1\"}%s",
            i % 2 ? "event: error\ndata: " : "", table[i].want, i % 2 ? "\n\n" : "");
        assert_str_equal(tg_buf_str(&r.out), tg_str_c(want));
    }
}

static void counts(void **state)
{
    const struct tg_dialect *d = &tg_dialect_anthropic_count;
    start(true);
    tg_buf_clear(&r.out);
    assert_int_equal(d->finish(NULL, &r.info, &r.usage, 0, &r.out), 0);
    assert_str(tg_buf_str(&r.out), "{\"input_tokens\":13}");
    r.usage.source = TG_USAGE_ABSENT;
    assert_true(d->finish(NULL, &r.info, &r.usage, 0, &r.out) < 0);
}

/* A provider that begins calls without end, and one that fills those that wait. */
static void what_waits_is_bounded(void **state)
{
    start(true);
    for (uint32_t i = 0; i < 5000 && !r.rc; i++)
        render_part(&r, 0, i, TG_PART_TOOL_CALL, "c", "f");
    assert_int_equal(r.rc, TG_E_UPSTREAM_TOO_LARGE);
    render_fini(&r);
    start(true);
    char *text = tg_malloc(1 << 20);
    memset(text, 'a', 1 << 20);
    render_part(&r, 0, 0, TG_PART_TOOL_CALL, "c", "f");
    render_part(&r, 0, 1, TG_PART_TOOL_CALL, "d", "f");
    for (uint32_t i = 0; i < 64 && !r.rc; i++)
        render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                            .part = 1,
                                            .delta_kind = TG_DELTA_ARGUMENTS,
                                            .text = tg_str_make(text, 1 << 20)});
    tg_free(text);
    assert_int_equal(r.rc, TG_E_UPSTREAM_TOO_LARGE);
}

static void memory_may_run_out(void **state)
{
    for (unsigned n = 1; n < 60; n++) {
        start(true);
        tg_alloc_fail_at(n, 1);
        render_part(&r, 0, 0, TG_PART_REASONING, "rs", "");
        signature(0, TG_OPAQUE_ENCRYPTED, "x");
        render_part(&r, 0, 1, TG_PART_TOOL_CALL, "c", "f");
        render_part(&r, 0, 2, TG_PART_TOOL_CALL, "", "g");
        render_delta(&r, 0, 2, TG_DELTA_ARGUMENTS, "{}", "");
        render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "");
        (void)render_end(&r);
        tg_alloc_fail_at(0, 0);
        if (!r.rc)
            check_anthropic_order(tg_buf_str(&r.out));
        render_fini(&r);
    }
    start(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_text, teardown),
        cmocka_unit_test_teardown(usage_that_is_known_early, teardown),
        cmocka_unit_test_teardown(usage_that_is_not_known_early, teardown),
        cmocka_unit_test_teardown(an_empty_answer, teardown),
        cmocka_unit_test_teardown(nothing_at_all, teardown),
        cmocka_unit_test_teardown(woven_calls, teardown),
        cmocka_unit_test_teardown(any_order_is_put_right, teardown),
        cmocka_unit_test_teardown(thinking_and_its_opaque_parts, teardown),
        cmocka_unit_test_teardown(reasons, teardown),
        cmocka_unit_test_teardown(a_forced_call_is_a_tool_use, teardown),
        cmocka_unit_test_teardown(a_call_with_a_signature, teardown),
        cmocka_unit_test_teardown(arguments_that_are_no_object, teardown),
        cmocka_unit_test_teardown(citations_and_blocks_of_its_own, teardown),
        cmocka_unit_test_teardown(errors, teardown),
        cmocka_unit_test_teardown(counts, teardown),
        cmocka_unit_test_teardown(what_waits_is_bounded, teardown),
        cmocka_unit_test_teardown(memory_may_run_out, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
