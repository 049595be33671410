/* What pins a conversation must be seen in answers that pass through as in those that are
 * translated: every signature, for every way of cutting the bytes, and the bytes untouched. */
#include "check.h"

#include "answer.h"

static const struct one {
    const char *name;
    const struct tg_adapter *adapter;
    enum tg_wire_format format;
    bool stream;
    const char *body;
    const char *want; /* signatures, each once and ended by ';', in order */
} table[] = {
    {"claude", &tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, false,
     "{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":["
     "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"one\"},"
     "{\"type\":\"redacted_thinking\",\"data\":\"two\"},{\"type\":\"text\",\"text\":\"a\"}],"
     "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}",
     "one;two;"},
    {"claude, streamed", &tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES, true,
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":"
     "\"message\",\"role\":\"assistant\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\""
     ":1,\"output_tokens\":1}}}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\","
     "\"thinking\":\"\",\"signature\":\"\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
     "\"signature\":\"one\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":"
     "\"redacted_thinking\",\"data\":\"two\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":1}\n\n"
     "data: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"text\","
     "\"text\":\"\"}}\n\n"
     "data: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"text_delta\","
     "\"text\":\"a\"}}\n\n"
     "data: {\"type\":\"content_block_stop\",\"index\":2}\n\n"
     "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
     "\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
     "one;two;"},
    {"responses", &tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, false,
     "{\"id\":\"r\",\"object\":\"response\",\"model\":\"g\",\"status\":\"completed\",\"output\":["
     "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"one\"},"
     "{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[{\"type\":"
     "\"output_text\",\"text\":\"a\",\"annotations\":[]}]}],\"usage\":{\"input_tokens\":1,"
     "\"output_tokens\":2,\"total_tokens\":3}}",
     "rs_1;one;"},
    {"responses, streamed", &tg_adapter_openai_responses, TG_WIRE_OPENAI_RESPONSES, true,
     "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"g\"}}\n\n"
     "data: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":"
     "\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}}\n\n"
     "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":"
     "\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"one\"}}\n\n"
     "data: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"model\":\"g\",\"status\":"
     "\"completed\",\"output\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":2,"
     "\"total_tokens\":3}}}\n\n",
     "rs_1;one;"},
    {"gemini", &tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, false,
     "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"a\","
     "\"thoughtSignature\":\"one\"},{\"functionCall\":{\"name\":\"f\",\"args\":{}},"
     "\"thoughtSignature\":\"two\"}]},\"finishReason\":\"STOP\",\"index\":0}]}",
     "one;two;"},
    {"gemini, streamed, in its other spelling", &tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE, true,
     "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]}}]}\n\n"
     "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\","
     "\"thought_signature\":\"one\"}]},\"finishReason\":\"STOP\"}]}\n\n",
     "one;"},
    {"chat", &tg_adapter_openai, TG_WIRE_OPENAI_CHAT, false,
     "{\"id\":\"c\",\"object\":\"chat.completion\",\"model\":\"g\",\"choices\":[{\"index\":0,"
     "\"message\":{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_details\":[{\"type\":"
     "\"reasoning.text\",\"text\":\"hm\",\"signature\":\"one\",\"format\":\"anthropic-claude-v1\"}"
     ",{\"type\":\"reasoning.encrypted\",\"data\":\"two\",\"format\":\"openai-responses-v1\"}]},"
     "\"finish_reason\":\"stop\"}]}",
     "one;two;"},
    {"chat, streamed", &tg_adapter_openai, TG_WIRE_OPENAI_CHAT, true,
     "data: {\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"role\":"
     "\"assistant\",\"content\":\"a\"}}]}\n\n"
     "data: {\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{"
     "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":\"one\",\"text\":\"\","
     "\"index\":0}]}}]}\n\n"
     "data: {\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{"
     "\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
     "\"{}\"},\"extra_content\":{\"google\":{\"thought_signature\":\"two\"}}}]}}]}\n\n"
     "data: {\"id\":\"c\",\"model\":\"g\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
     "\"tool_calls\"}]}\n\ndata: [DONE]\n\n",
     "one;two;"},
};

/* Every signature and every reasoning's id, once each. */
struct noted {
    struct tg_sink sink;
    struct answer *answer;
    struct tg_buf seen;
};

static void note(struct noted *n, struct tg_str s)
{
    struct tg_buf one;
    tg_buf_init(&one, 4096);
    tg_buf_str_add(&one, s);
    tg_buf_char(&one, ';');
    if (s.n && tg_str_find(tg_buf_str(&n->seen), tg_buf_str(&one)) < 0)
        tg_buf_str_add(&n->seen, tg_buf_str(&one));
    tg_buf_fini(&one);
}

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct noted *n = tg_container_of(s, struct noted, sink);
    if (ev->kind == TG_EV_PART_START && ev->part_kind == TG_PART_REASONING)
        note(n, ev->id);
    note(n, ev->kind == TG_EV_DELTA && ev->delta_kind == TG_DELTA_SIGNATURE ? ev->text
                                                                            : ev->signature);
    answer_on_event(&n->answer->sink, ev);
}

static void on_raw(struct tg_sink *s, struct tg_str raw, bool hide)
{
    struct noted *n = tg_container_of(s, struct noted, sink);
    answer_on_raw(&n->answer->sink, raw, hide);
}

static void feed(const struct one *t, bool tap, size_t cut, struct answer *a, struct noted *n)
{
    struct tg_adapter_response resp = {
        .stream = t->stream, .tap = tap, .format = t->format, .max_pending_bytes = 1 << 20};
    void *state = tg_calloc(1, t->adapter->state_bytes);
    struct tg_http_head head = {.status = 200};
    struct tg_str body = tg_str_c(t->body), first = tg_str_first(body, cut);
    answer_init(a);
    *n = (struct noted){.sink = {on_event, on_raw}, .answer = a};
    tg_buf_init(&n->seen, 4096);
    assert_non_null(state);
    assert_int_equal(t->adapter->begin(state, &resp), 0);
    assert_int_equal(t->adapter->on_head(state, &head), 0);
    assert_true(t->adapter->on_bytes(state, first, &n->sink) >= 0);
    assert_true(t->adapter->on_bytes(state, tg_str_from(body, cut), &n->sink) >= 0);
    assert_true(t->adapter->on_end(state, true, &n->sink) >= 0);
    t->adapter->fini(state);
    tg_free(state);
}

static void signatures_are_seen(void **state TG_UNUSED)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        for (size_t cut = 0; cut <= strlen(table[i].body); cut++) {
            struct answer a;
            struct noted n;
            feed(&table[i], true, cut, &a, &n);
            if (!tg_str_eq(tg_buf_str(&n.seen), tg_str_c(table[i].want)))
                print_error("%s, cut at %zu\n", table[i].name, cut);
            assert_str_equal(tg_buf_str(&n.seen), tg_str_c(table[i].want));
            assert_str_equal(tg_buf_str(&a.raws), tg_str_c(table[i].body));
            assert_int_equal(a.ends, 1);
            tg_buf_fini(&n.seen);
            answer_fini(&a);
        }
    }
}

/* The other way of answering sees the same. */
static void as_in_translated_answers(void **state TG_UNUSED)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        struct answer a;
        struct noted n;
        feed(&table[i], false, 7, &a, &n);
        assert_str_equal(tg_buf_str(&n.seen), tg_str_c(table[i].want));
        tg_buf_fini(&n.seen);
        answer_fini(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_seen),
        cmocka_unit_test(as_in_translated_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
