/* What Anthropic's answers mean, event by event; the suite of all adapters holds the rest. */
#include "check.h"

#include <stdio.h>

#include "answer.h"

static struct answer a;

static int setup(void **state)
{
    answer_init(&a);
    return 0;
}

static int teardown(void **state)
{
    answer_fini(&a);
    return 0;
}

static struct tg_str decode(const char *body, const struct tg_adapter_response *resp)
{
    answer_fini(&a);
    answer_init(&a);
    (void)answer_feed(&a, &tg_adapter_anthropic, resp, tg_str_c(body), 3, true);
    return tg_buf_str(&a.log);
}

static const struct tg_adapter_response stream = {.stream = true,
                                                  .format = TG_WIRE_ANTHROPIC_MESSAGES};
static const struct tg_adapter_response single = {.format = TG_WIRE_ANTHROPIC_MESSAGES};

#define DATA(json) "data: " json "\n\n"
#define START      DATA("{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\"}}")
#define BLOCK(b)   DATA("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{" b "}}")
#define DELTA(d)   DATA("{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{" d "}}")
#define STOP       DATA("{\"type\":\"content_block_stop\",\"index\":0}")
#define END(why)                                                                 \
    DATA("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"" why "\"}}") \
    DATA("{\"type\":\"message_stop\"}")
#define BEGUN "START id=\"m\" model=\"c\"\n"

static void calls(void **state)
{
    assert_str(decode(START BLOCK("\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}")
                          DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"\"")
                              DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\"\"")
                                  DELTA("\"type\":\"input_json_delta\",\"partial_json\":\":1}\"")
                                      STOP END("tool_use"),
                      &stream),
               BEGUN "PART 0.0 call id=\"t\" name=\"f\"\n"
                     "DELTA 0.0 arguments text=\"{\\\"a\\\"\"\n"
                     "DELTA 0.0 arguments text=\":1}\"\nPARTEND 0.0\n"
                     "FINISH 0 tool_calls text=\"tool_use\"\nEND\n");
    /* one without arguments, and one whose input comes whole */
    assert_contains(
        decode(START BLOCK("\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}")
                   STOP END("tool_use"),
               &stream),
        "DELTA 0.0 arguments text=\"{}\"\nPARTEND");
    assert_contains(
        decode(START BLOCK("\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\": 1}")
                   STOP END("tool_use"),
               &stream),
        "DELTA 0.0 arguments text=\"{\\\"a\\\": 1}\"\nPARTEND");
}

static void blocks_of_the_providers_own_tools(void **state)
{
    assert_contains(
        decode(START BLOCK("\"type\":\"server_tool_use\",\"id\":\"s\",\"input\":{},\"name\":\"w\"")
                   DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":\"")
                       DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"\\\"x\\\"}\"")
                           STOP END("end_turn"),
               &stream),
        "PART 0.0 raw text=\"{\\\"type\\\":\\\"server_tool_use\\\",\\\"id\\\":\\\"s\\\","
        "\\\"input\\\":{\\\"q\\\":\\\"x\\\"},\\\"name\\\":\\\"w\\\"}\" anthropic_messages\n"
        "PARTEND 0.0\n");
    assert_contains(decode(START BLOCK("\"type\":\"compaction\",\"content\":null")
                               DELTA("\"type\":\"compaction_delta\",\"content\":\"sum\"")
                                   STOP END("end_turn"),
                           &stream),
                    "{\\\"type\\\":\\\"compaction\\\",\\\"content\\\":\\\"sum\\\"}");
    /* input that was cut off */
    assert_contains(decode(START BLOCK("\"type\":\"server_tool_use\",\"id\":\"s\",\"input\":{}")
                               DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"q\"")
                                   END("max_tokens"),
                           &stream),
                    "\\\"input\\\":{}}\" anthropic_messages\nPARTEND 0.0\nFINISH 0 length");
}

static void opaque_parts(void **state)
{
    assert_str(decode("{\"type\":\"message\",\"id\":\"m\",\"model\":\"c\",\"content\":[{\"type\":"
                      "\"thinking\",\"thinking\":\"t\",\"signature\":\"s+/=\"},{\"type\":"
                      "\"redacted_thinking\",\"data\":\"d=\"}],\"stop_reason\":\"end_turn\"}",
                      &single),
               BEGUN "PART 0.0 reasoning\nDELTA 0.0 reasoning text=\"t\"\n"
                     "DELTA 0.0 signature text=\"s+/=\" opaque=1\nPARTEND 0.0\n"
                     "PART 0.1 reasoning\nDELTA 0.1 signature text=\"d=\" opaque=2\n"
                     "PARTEND 0.1\nFINISH 0 stop text=\"end_turn\"\nEND\n");
}

static void citations(void **state)
{
    assert_contains(
        decode(START BLOCK("\"type\":\"text\",\"text\":\"\",\"citations\":[]")
                   DELTA("\"type\":\"citations_delta\",\"citation\":{\"type\":\"char_location\","
                         "\"cited_text\":\"c\",\"document_title\":\"d\",\"start_char_index\":3}")
                       STOP END("end_turn"),
               &stream),
        "DELTA 0.0 citation title=\"d\" cited=\"c\" raw=\"{\\\"type\\\":\\\"char_location\\\","
        "\\\"cited_text\\\":\\\"c\\\",\\\"document_title\\\":\\\"d\\\",\\\"start_char_index\\\":3}"
        "\" -1--1\n");
}

static void ends(void **state)
{
    static const struct {
        const char *said, *want;
    } table[] = {
        {"\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\"",
         "FINISH 0 stop text=\"stop_sequence\" stop=\"END\"\n"},
        {"\"stop_reason\":\"max_tokens\"", "FINISH 0 length text=\"max_tokens\"\n"},
        {"\"stop_reason\":\"pause_turn\"", "FINISH 0 other text=\"pause_turn\"\n"},
        {"\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\"}",
         "EXTRA 0 name=\"stop_details\" text=\"{\\\"type\\\":\\\"refusal\\\"}\" "
         "anthropic_messages\nFINISH 0 content_filter text=\"refusal\"\n"},
        {"\"stop_reason\":\"end_turn\",\"container\":{\"id\":\"x\"}",
         "EXTRA 0 name=\"container\" text=\"{\\\"id\\\":\\\"x\\\"}\" anthropic_messages\n"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char body[400];
        snprintf(body, sizeof(body),
                 START DATA("{\"type\":\"message_delta\",\"delta\":{%s}}")
                     DATA("{\"type\":\"message_stop\"}"),
                 table[i].said);
        struct tg_str got = decode(body, &stream);
        if (tg_str_find(got, tg_str_c(table[i].want)) < 0)
            fail_msg("%s: %.*s", table[i].want, TG_STR_ARG(got));
        assert_int_equal(a.ends, 1);
    }
    /* a server that forgets its message_stop, and one that says nothing of the end */
    (void)decode(
        START DATA("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}"),
        &stream);
    assert_int_equal(a.ends, 1);
    (void)decode(START, &stream);
    assert_int_equal(a.fail.err, TG_E_UPSTREAM_INCOMPLETE);
}

static void usage(void **state)
{
    (void)decode(
        DATA("{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,"
             "\"cache_read_input_tokens\":7,\"cache_creation_input_tokens\":9,\"cache_creation\":{"
             "\"ephemeral_5m_input_tokens\":6,\"ephemeral_1h_input_tokens\":3},\"output_tokens\":1}"
             "}}") DATA("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
                        "\"usage\":{\"output_tokens\":20,\"output_tokens_details\":{"
                        "\"thinking_tokens\":8},\"cache_read_input_tokens\":null}}")
            DATA("{\"type\":\"message_stop\"}"),
        &stream);
    assert_int_equal(a.usage.source, TG_USAGE_REPORTED);
    assert_int_equal(a.usage.input_tokens, 5);
    assert_int_equal(a.usage.cache_read_tokens, 7);
    assert_int_equal(a.usage.cache_write_tokens, 9);
    assert_int_equal(a.usage.cache_write_1h_tokens, 3);
    assert_int_equal(a.usage.output_tokens, 12);
    assert_int_equal(a.usage.reasoning_tokens, 8);
    /* nonsense is none, and does not overflow */
    (void)decode("{\"type\":\"message\",\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{"
                 "\"input_tokens\":9000000000000000000,\"output_tokens\":-4,\"cache_read_input_"
                 "tokens\":\"x\"}}",
                 &single);
    assert_true(a.usage.input_tokens > 0 && tg_usage_total(&a.usage) > 0);
    assert_int_equal(a.usage.output_tokens, 0);
}

static void a_count(void **state)
{
    struct tg_adapter_response resp = {.format = TG_WIRE_ANTHROPIC_COUNT, .task = TG_TASK_COUNT};
    (void)decode("{\"input_tokens\":2095}", &resp);
    assert_int_equal(a.usage.input_tokens, 2095);
    assert_int_equal(a.ends, 1);
    (void)decode("{\"input_tokens\":\"x\"}", &resp);
    assert_int_equal(a.fail.err, TG_E_UPSTREAM_INVALID);
}

/* JSON that was asked for and came as a tool's input is the answer's text. */
static void emulated_json(void **state)
{
    static const struct tg_chat_req req = {.format.kind = TG_FORMAT_JSON};
    struct tg_adapter_response resp = stream;
    const char *body =
        START BLOCK("\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"tollgate_json_answer\","
                    "\"input\":{}") DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"{}\"")
            STOP END("tool_use");
    resp.req = &req;
    assert_str(decode(body, &resp), BEGUN "PART 0.0 text\nDELTA 0.0 text text=\"{}\"\nPARTEND 0.0\n"
                                          "FINISH 0 stop text=\"end_turn\"\nEND\n");
    /* nobody asked: then it is a tool of the client's with a strange name */
    assert_contains(decode(body, &stream), "PART 0.0 call id=\"t\" name=\"tollgate_json_answer\"");
    /* beside a call of the client's own the end is that of a call */
    const char *both = "{\"type\":\"message\",\"content\":[{\"type\":\"tool_use\",\"id\":\"t\","
                       "\"name\":\"f\",\"input\":{}}],\"stop_reason\":\"tool_use\"}";
    resp = single;
    resp.req = &req;
    assert_contains(decode(both, &resp), "FINISH 0 tool_calls text=\"tool_use\"");
}

static void errors_in_a_stream(void **state)
{
    static const struct {
        const char *type;
        int err;
    } table[] = {
        {"overloaded_error", TG_E_UPSTREAM_OVERLOADED},
        {"rate_limit_error", TG_E_UPSTREAM_RATE_LIMIT},
        {"api_error", TG_E_UPSTREAM_ERROR},
        {"authentication_error", TG_E_UPSTREAM_AUTH},
        {"invalid_request_error", TG_E_UPSTREAM_REJECTED},
        {"of_tomorrow", TG_E_UPSTREAM_ERROR},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        char body[400];
        snprintf(body, sizeof(body),
                 START "event: error\n" DATA(
                     "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"why\"}}"),
                 table[i].type);
        (void)decode(body, &stream);
        assert_int_equal(a.errors, 1);
        assert_int_equal(a.fail.err, table[i].err);
    }
}

static void error_answers(void **state)
{
    static const struct {
        int status;
        const char *body;
        int err, want_status;
        bool pass;
    } table[] = {
        {400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt "
         "is "
         "too long: 210000 tokens > 200000 maximum\"}}",
         TG_E_CONTEXT_LENGTH, 400, true},
        {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"o\"}}",
         TG_E_UPSTREAM_OVERLOADED, 529, true},
        {401,
         "{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"invalid "
         "x-api-key sk-ant-api03-abcdefgh\"}}",
         TG_E_UPSTREAM_AUTH, 502, false},
        {400,
         "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"key "
         "sk-ant-api03-abcdefgh is bad\"}}",
         TG_E_UPSTREAM_REJECTED, 400, false},
        {400, "{\"error\":{\"message\":\"of a proxy\"}}", TG_E_UPSTREAM_REJECTED, 400, false},
        {502, "<html>", TG_E_UPSTREAM_ERROR, 502, false},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct tg_http_header h = {TG_STR("retry-after"), TG_STR("5")};
        struct tg_http_head head = {.status = table[i].status, .headers = &h, .n_headers = 1};
        struct tg_arena arena;
        struct tg_fail f;
        tg_arena_init(&arena, 1024, 1 << 20);
        tg_fail_clear(&f);
        bool pass = tg_adapter_anthropic.classify(&arena, &head, tg_str_c(table[i].body), &f);
        assert_int_equal(pass, table[i].pass);
        assert_int_equal(f.err, table[i].err);
        assert_int_equal(tg_fail_status(&f), table[i].want_status);
        assert_int_equal(f.retry_after_ms, 5000);
        assert_lacks(tg_str_c(f.message), "abcdefgh");
        tg_arena_fini(&arena);
    }
}

static void deltas_of_another_kind(void **state)
{
    struct tg_str got =
        decode(START BLOCK("\"type\":\"thinking\",\"thinking\":\"\"")
                   DELTA("\"type\":\"input_json_delta\",\"partial_json\":\"{}\"")
                       DELTA("\"type\":\"text_delta\",\"text\":\"x\"") STOP END("end_turn"),
               &stream);
    assert_lacks(got, "DELTA");
    assert_int_equal(a.ends, 1);
}

static void blocks_that_are_none(void **state)
{
    static const char *const bodies[] = {
        START DATA("{\"type\":\"content_block_start\",\"index\":0}"),
        START DATA("{\"type\":\"content_block_start\",\"index\":0,\"content_block\":7}"),
        "{\"type\":\"message\",\"content\":[7],\"stop_reason\":\"end_turn\"}",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        (void)decode(bodies[i], &stream);
        assert_int_equal(a.fail.err, TG_E_UPSTREAM_INVALID);
    }
}

/* A provider that answers a wish for a stream with a message: the client gets a stream. */
static void a_message_for_a_stream(void **state)
{
    struct tg_adapter_response resp = stream;
    struct answer again;
    resp.tap = true;
    (void)decode("{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\n"
                 "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":"
                 "\"t\",\"name\":\"f\",\"input\":{\"a\":1}}],\"stop_reason\":\"tool_use\","
                 "\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
                 &resp);
    assert_int_equal(a.ends, 1);
    answer_init(&again);
    answer_feed(&again, &tg_adapter_anthropic, &stream, tg_buf_str(&a.raws), 0, true);
    struct tg_str log = tg_buf_str(&again.log);
    assert_contains(log, "PART 0.0 text\nDELTA 0.0 text text=\"a\"\nPARTEND 0.0\n");
    assert_contains(log, "DELTA 0.1 arguments text=\"{\\\"a\\\":1}\"\n");
    assert_contains(log, "FINISH 0 tool_calls");
    assert_int_equal(again.usage.output_tokens, 2);
    answer_fini(&again);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(calls),
        TEST(blocks_of_the_providers_own_tools),
        TEST(opaque_parts),
        TEST(citations),
        TEST(ends),
        TEST(usage),
        TEST(a_count),
        TEST(emulated_json),
        TEST(errors_in_a_stream),
        TEST(error_answers),
        TEST(deltas_of_another_kind),
        TEST(blocks_that_are_none),
        TEST(a_message_for_a_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
