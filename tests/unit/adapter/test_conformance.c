/* What every adapter and every dialect must hold, whatever its format: any split of the bytes gives
 * the same events; a cut anywhere gives exactly one ERROR and never END; nothing grows per event;
 * errors become errors; memory may run out at any point. A new table is a new row here. */
#include "check.h"

#include <stdio.h>

#include "answer.h"
#include "json/json.h"
#include "render.h"

/* An adapter with a good answer of each kind that it decodes. */
static const struct kind {
    const struct tg_adapter *adapter;
    enum tg_wire_format format;
    bool stream;
    const char *body; /* ends well at its last byte and no sooner */
    /* Of a stream: what repeats, and what ends it. */
    const char *chunk, *end;
    bool converted; /* what is passed on is made anew */
} kinds[] = {
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     ": hi\r\n\r\n"
     "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
     "\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\xc3\xa4 \\u00e4 "
     "\\ud83d\\ude00\"},"
     "\"logprobs\":{\"content\":[]}}]}\r\n\r\n"
     "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
     "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"},{\"index\":1,"
     "\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
     "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n"
     "data: [DONE]\n\n",
     "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"text\"}}]}\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, false,
     "{\"id\":\"c\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
     "\"h\xc3\xa4\",\"tool_calls\":[{\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":"
     "\"{}\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":1,"
     "\"completion_tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_openai, TG_WIRE_OPENAI_COMPLETIONS, true,
     "data: {\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason\":null}]}\n\n"
     "data: {\"id\":\"c\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"length\"}]}"
     "\n\ndata: [DONE]\n\n",
     "data: {\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0}]}\n\n",
     "data: {\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_COMPLETIONS, false,
     "{\"id\":\"c\",\"choices\":[{\"text\":\"a\",\"index\":0,\"finish_reason\":\"length\"}]}", NULL,
     NULL},
    /* a provider that ignores the wish for a stream */
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     "{\"id\":\"c\",\"object\":\"chat.completion\",\"choices\":[{\"index\":0,\n\"message\":{"
     "\"tool_calls\":[{\"id\":\"t\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
     "\"finish_reason\":\"tool_calls\"}]}",
     NULL, NULL, true},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, true,
     ": hi\r\n\r\n"
     "event: response.created\ndata: "
     "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"m\",\"service_tier\":"
     "\"default\"}}\n\n"
     "event: response.output_item.added\ndata: "
     "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"reasoning\","
     "\"id\":\"rs_1\"}}\n\n"
     "event: response.reasoning_summary_text.delta\ndata: "
     "{\"type\":\"response.reasoning_summary_text.delta\",\"item_id\":\"rs_1\",\"output_index\":0,"
     "\"summary_index\":0,\"delta\":\"hm\"}\n\n"
     "event: response.output_item.done\ndata: "
     "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\","
     "\"id\":\"rs_1\",\"summary\":[{\"text\":\"hm\"}],\"encrypted_content\":\"g=\"}}\n\n"
     "event: response.output_text.delta\ndata: "
     "{\"type\":\"response.output_text.delta\",\"output_index\":1,\"content_index\":0,\"delta\":"
     "\"h\\u00e4 \\ud83d\\ude00\",\"logprobs\":[{\"token\":\"h\"}]}\r\n\r\n"
     "event: response.output_text.annotation.added\ndata: "
     "{\"type\":\"response.output_text.annotation.added\",\"output_index\":1,\"annotation\":{"
     "\"type\":\"x\",\"url\":\"u\"}}\n\n"
     "event: response.output_item.added\ndata: "
     "{\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"type\":\"function_"
     "call\",\"call_id\":\"t\",\"name\":\"f\",\"namespace\":\"n\"}}\n\n"
     "event: response.function_call_arguments.delta\ndata: "
     "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"{\"}\n\n"
     "event: response.output_item.added\ndata: "
     "{\"type\":\"response.output_item.added\",\"output_index\":3,\"item\":{\"type\":\"custom_tool_"
     "call\",\"call_id\":\"u\",\"name\":\"g\"}}\n\n"
     "event: response.custom_tool_call_input.delta\ndata: "
     "{\"type\":\"response.custom_tool_call_input.delta\",\"output_index\":3,\"delta\":\"a\\\"\"}"
     "\n\n"
     "event: response.output_item.done\ndata: "
     "{\"type\":\"response.output_item.done\",\"output_index\":4,\"item\":{\"type\":\"web_search_"
     "call\",\"id\":\"w\"}}\n\n"
     "event: response.completed\ndata: "
     "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\","
     "\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}}\n\n",
     "event: response.output_text.delta\ndata: "
     "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":"
     "\"text\"}\n\n",
     "event: response.completed\ndata: "
     "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n"},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, false,
     "{\"id\":\"r\",\"object\":\"response\",\"status\":\"completed\",\"output\":[{\"type\":"
     "\"message\",\"id\":\"m\",\"content\":[{\"type\":\"output_text\",\"text\":\"h\","
     "\"annotations\":[{\"type\":\"x\"}]}]},{\"type\":\"function_call\",\"call_id\":\"t\",\"name\":"
     "\"f\",\"arguments\":\"{}\"}],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, true,
     "{\"id\":\"r\",\"status\":\"completed\",\n\"output\":[{\"type\":\"message\",\"id\":\"m\","
     "\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}]}",
     NULL, NULL, true},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, true,
     ": hi\r\n\r\n"
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":"
     "\"c\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
     "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"thinking_delta\",\"thinking\":\"hm\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
     "\"signature_delta\",\"signature\":\"s+/=\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
     "event: ping\ndata: {\"type\": \"ping\"}\r\n\r\n"
     "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\","
     "\"text\":\"\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"h\xc3\xa4 \\u00e4 \\ud83d\\ude00\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":"
     "\"citations_delta\",\"citation\":{\"type\":\"x\",\"url\":\"u\"}}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":"
     "\"server_tool_use\",\"id\":\"s\",\"input\":{}}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":"
     "\"input_json_delta\",\"partial_json\":\"{\\\"q\\\":1}\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":"
     "\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":3}\n\n"
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\","
     "\"stop_sequence\":null},\"usage\":{\"output_tokens\":9}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
     "\"type\":\"text_delta\",\"text\":\"text\"}}\n\n",
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n"
     "data: {\"type\":\"message_stop\"}\n\n"},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, false,
     "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"redacted_thinking\",\"data\":"
     "\"r\"},{\"type\":\"text\",\"text\":\"h\xc3\xa4\"},{\"type\":\"web_search_tool_result\","
     "\"content\":[]},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"a\":1}}],"
     "\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, true,
     "{\"id\":\"m\",\"type\":\"message\",\n\"content\":[{\"type\":\"text\",\"text\":\"a\"}],"
     "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     NULL, NULL, true},
    {&tg_adapter_bedrock, TG_WIRE_BEDROCK_CONVERSE, false,
     "{\"id\":\"c\",\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{"
     "\"reasoningContent\":{"
     "\"reasoningText\":{\"text\":\"hm\",\"signature\":\"s+/=\"}}},{\"text\":\"h\xc3\xa4\"},{"
     "\"toolUse\":{\"toolUseId\":\"t\",\"name\":\"f\",\"input\":{}}}]}},\"stopReason\":\"tool_"
     "use\","
     "\"usage\":{\"inputTokens\":1,\"outputTokens\":2}}",
     NULL, NULL},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_CHAT, true,
     "{\"id\":\"c\",\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\","
     "\"thinking\":\"hm\"},"
     "\"done\":false}\n"
     "\r\n{\"message\":{\"content\":\"h\xc3\xa4 \\u00e4\"},\"done\":false}\r\n"
     "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{"
     "\"a\":1}}}]},\"done\":false}\n"
     "{\"message\":{\"content\":\"\"},\"done_reason\":\"stop\",\"done\":true,\"prompt_eval_count\":"
     "1,"
     "\"eval_count\":2}\n",
     "{\"message\":{\"content\":\"text\"},\"done\":false}\n",
     "{\"message\":{\"content\":\"\"},\"done\":true}\n"},
    {&tg_adapter_ollama, TG_WIRE_OLLAMA_GENERATE, false,
     "{\"id\":\"c\",\"model\":\"m\",\"response\":\"h\xc3\xa4\",\"thinking\":\"hm\",\"done_reason\":"
     "\"length\","
     "\"done\":true,\"prompt_eval_count\":1,\"eval_count\":2}",
     NULL, NULL},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, true,
     ": hi\r\n\r\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true,"
     "\"thoughtSignature\":\"Qw==\"}],\"role\":\"model\"},\"index\":0}],\"modelVersion\":\"m\","
     "\"responseId\":\"r\"}\r\n\r\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\xc3\xa4 \\u00e4 "
     "\\ud83d\\ude00\"}]},\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"h\","
     "\"logProbability\":-1}]}}]}\n\n"
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"t\",\"name\":"
     "\"f\",\"args\":{\"a\":1}}},{\"executableCode\":{\"code\":\"1\"}}]}},{\"index\":1,\"content\":"
     "{"
     "\"parts\":[{\"functionCall\":{\"name\":\"g\",\"willContinue\":true}}]}}]}\n\n"
     "data: {\"candidates\":[{\"index\":1,\"content\":{\"parts\":[{\"functionCall\":{"
     "\"partialArgs\":[{\"jsonPath\":\"$.a[0].b\",\"stringValue\":\"x\"}]}}]},\"safetyRatings\":[1]"
     "}]}\n\n"
     "data: {\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"},{\"index\":1,"
     "\"finishReason\":\"MAX_TOKENS\"}],\"usageMetadata\":{\"promptTokenCount\":1,"
     "\"candidatesTokenCount\":2}}\r\n\r\n",
     "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"text\"}]},\"index\":0}]}\n\n",
     "data: {\"candidates\":[{\"finishReason\":\"STOP\",\"index\":0}]}\n\n"},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, true,
     " [{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a]}\\\"\"},{\"functionCall\":"
     "{\"id\":\"t\",\"name\":\"f\"}}]}}]}\r\n,\r\n{\"candidates\":[{\"finishReason\":\"STOP\"}],"
     "\"usageMetadata\":{\"promptTokenCount\":1}}\n]",
     NULL, NULL},
    {&tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, false,
     "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"h\xc3\xa4\"},{\"functionCall\":"
     "{\"id\":\"t\",\"name\":\"f\",\"args\":{}}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
     "\"promptTokenCount\":1}}",
     NULL, NULL},
    /* a provider that ignores the wish for a stream */
    {&tg_adapter_vertex, TG_WIRE_GEMINI_GENERATE, true,
     "{\"candidates\":[{\"content\":{\"parts\":[\n{\"functionCall\":{\"id\":\"t\",\"name\":\"f\"}}"
     "]},\"finishReason\":\"STOP\"}]}",
     NULL, NULL, true},
    /* details with opaque state, a name that comes late, citations, images */
    {&tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     "data: {\"id\":\"c\",\"service_tier\":\"flex\",\"choices\":[{\"index\":0,\"delta\":{"
     "\"reasoning\":\"h\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"h\","
     "\"index\":0}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":"
     "\"reasoning.text\",\"signature\":\"s\",\"format\":\"anthropic-claude-v1\",\"index\":0}]}}]}"
     "\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\",\"annotations\":[{\"type\":"
     "\"url_citation\",\"url_citation\":{\"url\":\"u\",\"title\":\"t\",\"start_index\":0,"
     "\"end_index\":1}}],\"images\":[{\"image_url\":{\"url\":\"data:image/png;base64,AA\"}}]}}]}"
     "\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\","
     "\"function\":{\"arguments\":\"\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
     "\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
     "data: [DONE]\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_details\":[{\"type\":"
     "\"reasoning.text\",\"text\":\"h\",\"index\":0}]}}]}\n\n",
     "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
     "data: [DONE]\n\n"},
    {&tg_adapter_openai, TG_WIRE_OPENAI_EMBEDDINGS, false,
     "{\"id\":\"e\",\"data\":[{\"index\":0,\"embedding\":[0.5,-1]},{\"index\":1,"
     "\"embedding\":\"AACAPw==\"}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":1,"
     "\"total_tokens\":1}}",
     NULL, NULL},
    {&tg_adapter_openai, TG_WIRE_OPENAI_MODERATIONS, false,
     "{\"id\":\"m\",\"results\":[{\"flagged\":false}]}", NULL, NULL},
    {&tg_adapter_openai, TG_WIRE_RERANK, false,
     "{\"id\":\"r\",\"results\":[{\"index\":0,\"relevance_score\":0.5}],\"usage\":{\"total_"
     "tokens\":2}}",
     NULL, NULL},
    {&tg_adapter_azure, TG_WIRE_OPENAI_CHAT, false,
     "{\"id\":\"c\",\"prompt_filter_results\":[{\"prompt_index\":0}],\"choices\":[{\"index\":0,"
     "\"message\":{\"content\":\"a\"},\"content_filter_results\":{\"hate\":{\"filtered\":false}},"
     "\"finish_reason\":\"stop\"}]}",
     NULL, NULL},
};

static enum tg_chat_task task_of(enum tg_wire_format format)
{
    return format == TG_WIRE_OPENAI_EMBEDDINGS    ? TG_TASK_EMBED
           : format == TG_WIRE_OPENAI_MODERATIONS ? TG_TASK_MODERATE
           : format == TG_WIRE_RERANK             ? TG_TASK_RERANK
                                                  : TG_TASK_CHAT;
}

static struct tg_adapter_response response(const struct kind *k, bool tap)
{
    return (struct tg_adapter_response){.stream = k->stream,
                                        .tap = tap,
                                        .json_array = tg_str_trim(tg_str_c(k->body)).p[0] == '[',
                                        .format = k->format,
                                        .task = task_of(k->format),
                                        .max_pending_bytes = 1 << 20};
}

static void each_kind(void (*fn)(const struct kind *k, bool tap))
{
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        fn(&kinds[i], false);
        if (kinds[i].adapter->formats) /* else no client speaks its format */
            fn(&kinds[i], true);
    }
}

/* ---- splits ---- */

static void check_split(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = tg_str_c(k->body);
    struct answer whole;
    answer_init(&whole);
    assert_int_equal(answer_feed(&whole, k->adapter, &resp, body, 0, true), 0);
    assert_int_equal(whole.ends, 1);
    if (tap && !k->converted)
        assert_str_equal(tg_buf_str(&whole.raws), body);
    for (int cut = -40; cut <= 40; cut++) {
        struct answer a;
        answer_init(&a);
        assert_int_equal(answer_feed(&a, k->adapter, &resp, body, cut, true), 0);
        assert_str_equal(tg_buf_str(&a.log), tg_buf_str(&whole.log));
        assert_str_equal(tg_buf_str(&a.raws), tg_buf_str(&whole.raws));
        answer_fini(&a);
    }
    answer_fini(&whole);
}

static void any_split_gives_the_same_events(void **state)
{
    each_kind(check_split);
}

/* ---- cuts ---- */

static void check_cuts(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = tg_str_c(k->body);
    for (size_t n = 0; n < body.n; n++) {
        struct answer a;
        answer_init(&a);
        int rc = answer_feed(&a, k->adapter, &resp, tg_str_first(body, n), 0, false);
        assert_int_equal(a.errors, 1);
        assert_int_equal(a.fail.err, TG_E_UPSTREAM_INCOMPLETE);
        assert_int_equal(rc, TG_E_UPSTREAM_INCOMPLETE);
        assert_true(tg_str_starts(body, tg_buf_str(&a.raws)));
        answer_fini(&a);
    }
}

static void a_cut_anywhere_is_one_error(void **state)
{
    each_kind(check_cuts);
}

/* A shortened message of proper ends (a provider that gave up politely) may only be taken for a
 * whole one where every choice had come to its end. */
static void check_polite_cuts(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = tg_str_c(k->body);
    for (size_t n = 0; n < body.n; n++) {
        struct answer a;
        answer_init(&a);
        answer_feed(&a, k->adapter, &resp, tg_str_first(body, n), 0, true);
        if (a.ends)
            assert_true(k->stream &&
                        (tg_str_find(tg_str_first(body, n), TG_STR("\"finish_reason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"stop_reason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"finishReason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"done\":true")) > 0));
        answer_fini(&a);
    }
}

static void a_polite_cut_is_no_whole_answer(void **state)
{
    each_kind(check_polite_cuts);
}

/* ---- hostile answers ---- */

static void check_garbage(const struct kind *k, bool tap)
{
    static const char *const bodies[] = {
        "",
        " ",
        "\n\n\n",
        "<html>",
        "{",
        "}",
        "[",
        "{}",
        "[]",
        "null",
        "\"text\"",
        "1",
        "data: {}\n\n",
        "data: []\n\n",
        "data: null\n\n",
        "data: {\n\n",
        "data: \xff\n\n",
        "event: error\ndata: x\n\n",
        "data: [DONE]\n\n",
        "{\"choices\":7}",
        "{\"error\":{\"message\":\"m\"}}",
        "{\"error\":7}",
        "data: {\"error\":\"x\"}\n\n",
        "\x00\x01\x02",
        "retry: 1\n\n",
        ":\n\n",
    };
    struct tg_adapter_response resp = response(k, tap);
    for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
        struct answer a;
        answer_init(&a);
        int rc = answer_feed(&a, k->adapter, &resp, tg_str_c(bodies[i]), 0, true);
        if (!a.errors)
            fail_msg("an answer of \"%s\" ended well", bodies[i]);
        assert_true(rc < 0);
        assert_true(a.fail.message[0] != 0);
        answer_fini(&a);
    }
}

static void garbage_is_an_error(void **state)
{
    each_kind(check_garbage);
}

static void feed_repeated(const struct kind *k, void *state, struct answer *a, const char *s,
                          size_t total)
{
    size_t n = strlen(s);
    for (size_t sent = 0; sent < total && !a->errors; sent += n)
        (void)k->adapter->on_bytes(state, tg_str_make(s, n), &a->sink);
}

/* An event or a body that never ends is cut off at the limit, not at the end of memory. */
static void check_endless(const struct kind *k, bool tap)
{
    static const char *const starts[] = {"data: ", "{\"a\":\"", ": ", "", "data: x\ndata: "};
    struct tg_adapter_response resp = response(k, tap);
    struct tg_http_head head = {.status = 200};
    for (size_t i = 0; i < TG_ARRAY_LEN(starts); i++) {
        struct answer a;
        answer_init(&a);
        void *st = tg_calloc(1, k->adapter->state_bytes);
        assert_int_equal(k->adapter->begin(st, &resp), 0);
        assert_int_equal(k->adapter->on_head(st, &head), 0);
        (void)k->adapter->on_bytes(st, tg_str_c(starts[i]), &a.sink);
        feed_repeated(k, st, &a, i == 3 ? "          \n" : "xxxxxxxxxxxxxxxx", 3 << 20);
        assert_int_equal(a.errors, 1);
        (void)k->adapter->on_end(st, true, &a.sink);
        assert_int_equal(a.errors + a.ends, 1);
        k->adapter->fini(st);
        tg_free(st);
        answer_fini(&a);
    }
}

static void endless_answers_are_cut_off(void **state)
{
    each_kind(check_endless);
}

static void check_deep(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_buf b;
    struct answer a;
    answer_init(&a);
    tg_buf_init(&b, 1 << 20);
    tg_buf_str_add(&b, k->stream ? TG_STR("data: {\"x\":") : TG_STR("{\"x\":"));
    for (int i = 0; i < 100000; i++)
        tg_buf_char(&b, '[');
    tg_buf_lit(&b, "\n\n");
    answer_feed(&a, k->adapter, &resp, tg_buf_str(&b), 0, true);
    assert_int_equal(a.errors, 1);
    tg_buf_fini(&b);
    answer_fini(&a);
}

static void deep_nesting_is_an_error(void **state)
{
    each_kind(check_deep);
}

/* Unknown members, large ones among them, change nothing. */
static void check_unknown(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = tg_str_c(k->body);
    struct answer want, got;
    struct tg_buf b;
    answer_init(&want);
    answer_init(&got);
    tg_buf_init(&b, 4 << 20);
    answer_feed(&want, k->adapter, &resp, body, 0, true);
    for (size_t i = 0; i < body.n; i++) {
        tg_buf_char(&b, body.p[i]);
        if (!tg_str_starts(tg_str_from(body, i), TG_STR("{\"id\":")))
            continue;
        tg_buf_lit(&b, "\"x_new\":{\"error\":1,\"choices\":[{}]},\"y\":\"");
        for (int n = 0; n < 50000; n++)
            tg_buf_lit(&b, "yyyy");
        tg_buf_lit(&b, "\",");
    }
    assert_true(b.n > body.n);
    answer_feed(&got, k->adapter, &resp, tg_buf_str(&b), 0, true);
    assert_str_equal(tg_buf_str(&got.log), tg_buf_str(&want.log));
    if (tap && !k->converted)
        assert_str_equal(tg_buf_str(&got.raws), tg_buf_str(&b));
    tg_buf_fini(&b);
    answer_fini(&want);
    answer_fini(&got);
}

static void unknown_members_change_nothing(void **state)
{
    each_kind(check_unknown);
}

static void check_encoded(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_http_header h = {TG_STR("Content-Encoding"), TG_STR("gzip")};
    struct tg_http_head head = {.status = 200, .headers = &h, .n_headers = 1};
    struct answer a;
    answer_init(&a);
    void *st = tg_calloc(1, k->adapter->state_bytes);
    assert_int_equal(k->adapter->begin(st, &resp), 0);
    assert_int_equal(k->adapter->on_head(st, &head), 0);
    assert_int_equal(k->adapter->on_bytes(st, TG_STR("\x1f\x8b"), &a.sink), TG_E_UPSTREAM_INVALID);
    assert_int_equal(k->adapter->on_bytes(st, TG_STR("more"), &a.sink), 0);
    assert_int_equal(k->adapter->on_end(st, true, &a.sink), 0);
    assert_int_equal(a.errors, 1);
    k->adapter->fini(st);
    tg_free(st);
    answer_fini(&a);
}

static void compressed_answers_are_refused(void **state)
{
    each_kind(check_encoded);
}

/* ---- growth ---- */

struct counter {
    struct tg_sink sink;
    uint64_t deltas, ends;
};

static void count_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct counter *c = tg_container_of(s, struct counter, sink);
    c->deltas += ev->kind == TG_EV_DELTA;
    c->ends += ev->kind == TG_EV_END;
}

static void ignore_raw(struct tg_sink *s, struct tg_str raw, bool hide) {}

/* 100,000 events take no more memory than 1,000. */
static void check_growth(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_http_head head = {.status = 200};
    struct counter c = {.sink = {count_event, ignore_raw}};
    if (!k->chunk)
        return;
    struct tg_str chunk = tg_str_c(k->chunk);
    void *st = tg_calloc(1, k->adapter->state_bytes);
    assert_int_equal(k->adapter->begin(st, &resp), 0);
    assert_int_equal(k->adapter->on_head(st, &head), 0);
    uint64_t warm = 0;
    for (int i = 0; i < 100000; i++) {
        if (i == 1000)
            tg_alloc_fail_at(0, 0); /* starts the count anew */
        if (i == 2000)
            warm = tg_alloc_count();
        size_t half = (size_t)i % chunk.n;
        assert_int_equal(k->adapter->on_bytes(st, tg_str_first(chunk, half), &c.sink), 0);
        assert_int_equal(k->adapter->on_bytes(st, tg_str_from(chunk, half), &c.sink), 0);
    }
    /* What is allocated per call is given back: were it not, the leak check would say so, and the
     * number of calls stays the same per event. */
    assert_in_range(tg_alloc_count(), warm * 98, warm * 100);
    assert_int_equal(c.deltas, tap ? 1 : 100000);
    assert_int_equal(k->adapter->on_bytes(st, tg_str_c(k->end), &c.sink), 0);
    assert_int_equal(k->adapter->on_end(st, true, &c.sink), 0);
    assert_int_equal(c.ends, 1);
    k->adapter->fini(st);
    tg_free(st);
}

static void nothing_grows_per_event(void **state)
{
    each_kind(check_growth);
}

/* ---- memory ---- */

static void check_memory(const struct kind *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_http_head head = {.status = 200};
    struct tg_str body = tg_str_c(k->body);
    for (uint64_t at = 1;; at++) {
        struct answer a;
        answer_init(&a);
        /* The log's own memory must not be what fails. */
        assert_int_equal(tg_buf_reserve(&a.log, 1 << 16), 0);
        assert_int_equal(tg_buf_reserve(&a.raws, 1 << 16), 0);
        assert_int_equal(tg_buf_reserve(&a.shown, 1 << 16), 0);
        void *st = tg_calloc(1, k->adapter->state_bytes);
        tg_alloc_fail_at(at, at % 3 == 0);
        assert_int_equal(k->adapter->begin(st, &resp), 0);
        assert_int_equal(k->adapter->on_head(st, &head), 0);
        for (size_t i = 0; i < body.n; i += 50)
            (void)k->adapter->on_bytes(st, tg_str_first(tg_str_from(body, i), 50), &a.sink);
        (void)k->adapter->on_end(st, true, &a.sink);
        uint64_t made = tg_alloc_count();
        tg_alloc_fail_at(0, 0);
        assert_int_equal(a.errors + a.ends, 1);
        if (a.errors)
            assert_int_equal(a.fail.err, TG_E_NOMEM);
        k->adapter->fini(st);
        tg_free(st);
        bool over = made < at;
        answer_fini(&a);
        if (over)
            return;
    }
}

static void every_allocation_may_fail(void **state)
{
    each_kind(check_memory);
}

/* ---- error answers ---- */

static void error_bodies_of_every_kind(void **state)
{
    static const char *const bodies[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        "{\"error\":",
        "{\"error\":{\"message\":\"m\"}}",
        "{\"error\":{\"message\":{\"a\":1}}}",
        "{\"error\":[[[[]]]]}",
        "\xff\xfe\xfd",
        "{\"error\":{\"message\":\"\\u0000\\u0001\",\"code\":\"\\u0000\",\"type\":\"\\n\"}}",
    };
    for (size_t k = 0; k < TG_ARRAY_LEN(kinds); k++) {
        for (int status = 300; status < 600; status++) {
            for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
                struct tg_arena a;
                struct tg_fail f;
                struct tg_http_head head = {.status = status};
                tg_arena_init(&a, 1024, 1 << 20);
                tg_fail_clear(&f);
                bool pass = kinds[k].adapter->classify(&a, &head, tg_str_c(bodies[i]), &f);
                assert_true(f.err >= TG_E_UPSTREAM_CONNECT || f.err == TG_E_CONTEXT_LENGTH);
                assert_in_range(tg_fail_status(&f), 400, 599);
                assert_true(f.message[0] != 0);
                assert_int_equal(f.provider_status, status);
                assert_int_equal(f.retry_after_ms, -1);
                if (status == 401 || status == 403)
                    assert_false(pass);
                tg_arena_fini(&a);
            }
        }
    }
}

/* ---- dialects ---- */

static const struct {
    const struct tg_dialect *dialect;
    const char *body;
    bool streams;
} dialects[] = {
    {&tg_dialect_openai_chat, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", true},
    {&tg_dialect_openai_completions, "{\"prompt\":\"x\"}", true},
    {&tg_dialect_responses, "{\"input\":\"x\",\n\"tools\":[\n]}", true},
    {&tg_dialect_generate, "{\"prompt\":\"x\"}", true},
    {&tg_dialect_simple_chat, "{\"message\":\"x\"}", false},
    {&tg_dialect_anthropic,
     "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", true},
    {&tg_dialect_gemini, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", true},
    {&tg_dialect_gemini_count, "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}]}", false},
};

/* Every kind of event, in an order that a hostile backend might choose. */
static void render_all(struct render_run *r)
{
    render_event(r, &(struct tg_event){.kind = TG_EV_START});
    for (uint32_t part = 0; part < 9; part++)
        render_part(r, part % 2, part, (enum tg_part_kind)part, "i\"d", "na\nme");
    for (int kind = TG_DELTA_TEXT; kind <= TG_DELTA_REFUSAL; kind++) {
        render_delta(r, 0, 20, (enum tg_delta_kind)kind, "a\r\n\"b\0c", "");
        render_delta(r, 1, 7, (enum tg_delta_kind)kind, "\xff\xc3", "");
        render_delta(r, 0, 3, (enum tg_delta_kind)kind, "", "");
    }
    render_event(r, &(struct tg_event){.kind = TG_EV_PART_END, .part = 99});
    render_event(r, &(struct tg_event){.kind = TG_EV_USAGE, .usage = &r->usage});
    render_finish_choice(r, 1, TG_FINISH_OTHER, "w\"\n");
    render_finish_choice(r, 0, TG_FINISH_STOP, "");
    render_delta(r, 0, 0, TG_DELTA_TEXT, "late", "");
    render_event(r, &(struct tg_event){.kind = TG_EV_END});
}

static void check_json(struct tg_str s)
{
    struct tg_arena a;
    struct tg_json_doc *doc;
    tg_arena_init(&a, 4096, 1 << 20);
    if (tg_json_parse(&a, s, NULL, &doc, NULL))
        fail_msg("not JSON: %.*s", TG_STR_ARG(s));
    tg_arena_fini(&a);
}

static void what_is_rendered_is_well_formed(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(dialects); i++) {
        for (int stream = 0; stream <= dialects[i].streams; stream++) {
            struct render_run r;
            render_init(&r, dialects[i].dialect, dialects[i].body, stream);
            r.info.include_usage = true;
            render_begin(&r);
            render_all(&r);
            assert_true(stream || r.out.n == 0);
            struct tg_str text = render_end(&r), block;
            assert_int_equal(r.rc, 0);
            assert_int_equal(tg_str_chr(text, '\r'), -1);
            assert_int_equal(tg_str_chr(text, 0), -1);
            if (!stream)
                check_json(text);
            while (stream && text.n) {
                ptrdiff_t end = tg_str_find(text, TG_STR("\n\n"));
                assert_true(end > 6);
                block = tg_str_first(text, (size_t)end);
                text = tg_str_from(text, (size_t)end + 2);
                if (tg_str_starts(block, TG_STR("event: ")))
                    block = tg_str_from(block, (size_t)tg_str_chr(block, '\n') + 1);
                assert_true(tg_str_starts(block, TG_STR("data: ")));
                assert_int_equal(tg_str_chr(block, '\n'), -1);
                if (text.n || !tg_str_eq(block, TG_STR("data: [DONE]")))
                    check_json(tg_str_from(block, 6));
            }
            render_fini(&r);
        }
    }
}

static void failures_are_rendered_well_formed(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(dialects); i++) {
        for (int err = TG_E_FIRST + 1; err < TG_E_LAST; err++) {
            struct tg_fail f;
            struct tg_buf b;
            tg_fail_clear(&f);
            tg_fail_param(&f, err, "a\"b", "x\ny\"%s", "\xff");
            tg_buf_init(&b, 1 << 16);
            dialects[i].dialect->render_fail(&f, TG_STR("r\"1"), false, &b);
            check_json(tg_buf_str(&b));
            tg_buf_clear(&b);
            dialects[i].dialect->render_fail(&f, TG_STR("r\"1"), true, &b);
            assert_true(tg_str_ends(tg_buf_str(&b), TG_STR("\n\n")));
            tg_buf_fini(&b);
        }
    }
}

static void tables_are_complete(void **state)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(dialects); i++) {
        const struct tg_dialect *d = dialects[i].dialect;
        assert_true(d->name && d->n_endpoints && d->open && d->parse && d->begin && d->render &&
                    d->finish && d->render_fail && d->state_bytes && d->stream_content_type);
        assert_true((d->format == TG_WIRE_NONE) == (d->splice == NULL));
        for (size_t e = 0; e < d->n_endpoints; e++)
            assert_true(d->endpoints[e].path[0] == '/' && d->endpoints[e].summary[0]);
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        const struct tg_adapter *a = kinds[i].adapter;
        assert_true(a->name && a->encode && a->encode_pass && a->state_bytes && a->begin &&
                    a->on_head && a->on_bytes && a->on_end && a->fini && a->classify);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_gives_the_same_events),
        cmocka_unit_test(a_cut_anywhere_is_one_error),
        cmocka_unit_test(a_polite_cut_is_no_whole_answer),
        cmocka_unit_test(garbage_is_an_error),
        cmocka_unit_test(endless_answers_are_cut_off),
        cmocka_unit_test(deep_nesting_is_an_error),
        cmocka_unit_test(unknown_members_change_nothing),
        cmocka_unit_test(compressed_answers_are_refused),
        cmocka_unit_test(nothing_grows_per_event),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(error_bodies_of_every_kind),
        cmocka_unit_test(what_is_rendered_is_well_formed),
        cmocka_unit_test(failures_are_rendered_well_formed),
        cmocka_unit_test(tables_are_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
