/* What case files can't say of the Responses dialect: long items, kept items, opaque state, and the
 * order of what it writes. */
#include "check.h"

#include "render.h"
#include "responses_order.h"

#include "chat/fidelity.h"
#include "dialect/responses.h"

static struct render_run r;
static struct tg_arena arena;
static struct tg_call call;
static struct tg_chat_req req;
static struct tg_fail failure;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 64u << 20);
    call = (struct tg_call){0};
    req = (struct tg_chat_req){0};
    tg_fail_clear(&failure);
    r = (struct render_run){0};
    return 0;
}

static int teardown(void **state)
{
    if (r.dialect)
        render_fini(&r);
    tg_arena_fini(&arena);
    return 0;
}

static void open_body(const char *body)
{
    assert_int_equal(tg_dialect_responses.open(&arena, NULL, tg_str_c(body), &call, &failure), 0);
}

static void parse_body(const char *body)
{
    open_body(body);
    if (tg_dialect_responses.parse(&arena, &call, &req, &failure))
        fail_msg("%s", failure.message);
}

/* ---- in ---- */

static void all_kinds_of_content(void **state)
{
    parse_body("{\"input\":[{\"type\":\"message\",\"role\":\"user\",\"content\":["
               "{\"type\":\"input_text\",\"text\":\"t\"},"
               "{\"type\":\"input_image\",\"image_url\":\"data:image/"
               "png;base64,AAAA\",\"detail\":\"low\"},"
               "{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\"},"
               "{\"type\":\"input_image\",\"file_id\":\"file_1\"},"
               "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/"
               "pdf;base64,BBBB\"},"
               "{\"type\":\"input_file\",\"file_url\":\"https://x/y.pdf\"},"
               "{\"type\":\"input_file\",\"file_id\":\"file_2\"},"
               "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"CCCC\",\"format\":\"mp3\"}},"
               "{\"type\":\"input_hologram\",\"x\":1}]}]}");
    assert_int_equal(req.n_messages, 1);
    assert_int_equal(req.messages[0].n_parts, 9);
    const struct tg_part *p = req.messages[0].parts;
    assert_str(p[0].text, "t");
    assert_int_equal(p[1].media.source, TG_MEDIA_INLINE);
    assert_str(p[1].media.mime, "image/png");
    assert_str(p[1].media.data, "AAAA");
    assert_str(p[1].media.detail, "low");
    assert_int_equal(p[2].media.source, TG_MEDIA_URL);
    assert_int_equal(p[3].media.source, TG_MEDIA_FILE_ID);
    assert_str(p[3].media.data, "file_1");
    assert_int_equal(p[4].kind, TG_PART_DOCUMENT);
    assert_str(p[4].media.data, "BBBB");
    assert_str(p[4].media.detail, "a.pdf");
    assert_int_equal(p[5].media.source, TG_MEDIA_URL);
    assert_int_equal(p[6].media.source, TG_MEDIA_FILE_ID);
    assert_int_equal(p[7].kind, TG_PART_AUDIO);
    assert_str(p[7].media.mime, "audio/mpeg");
    assert_int_equal(p[8].kind, TG_PART_RAW);
    for (size_t i = 1; i < 9; i++) /* one item, one text */
        assert_ptr_equal(p[i].raw.p, p[0].raw.p);
}

#define TURN                                                                                    \
    "{\"role\":\"user\",\"content\":\"hi\"},"                                                   \
    "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"gAAA==\"}," \
    "{\"type\":\"message\",\"id\":\"msg_1\",\"role\":\"assistant\",\"status\":\"completed\","   \
    "\"content\":[{\"type\":\"output_text\",\"text\":\"a\",\"annotations\":[]},"                \
    "{\"type\":\"refusal\",\"refusal\":\"no\"}]},"                                              \
    "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"call_1\",\"name\":\"f\","        \
    "\"arguments\":\"{}\"},"                                                                    \
    "{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":["                    \
    "{\"type\":\"input_text\",\"text\":\"see\"},"                                               \
    "{\"type\":\"input_image\",\"image_url\":\"https://x\"}]}"

static void check_turn(size_t first)
{
    const struct tg_message *m = &req.messages[first];
    assert_int_equal(m[0].role, TG_ROLE_USER);
    assert_int_equal(m[1].role, TG_ROLE_ASSISTANT);
    assert_int_equal(m[1].n_parts, 4);
    assert_int_equal(m[1].parts[0].kind, TG_PART_REASONING);
    assert_int_equal(m[1].parts[0].opaque, TG_OPAQUE_ENCRYPTED);
    assert_str(m[1].parts[0].signature, "gAAA==");
    assert_str(m[1].parts[1].text, "a");
    assert_int_equal(m[1].parts[2].kind, TG_PART_REFUSAL);
    assert_int_equal(m[1].parts[3].kind, TG_PART_TOOL_CALL);
    assert_int_equal(m[2].role, TG_ROLE_TOOL);
    assert_int_equal(m[2].parts[0].n_parts, 2);
    assert_str(m[2].parts[0].parts[0].text, "see");
    assert_int_equal(m[2].parts[0].parts[1].kind, TG_PART_IMAGE);
}

static void a_turn_is_one_message(void **state)
{
    parse_body("{\"input\":[" TURN "]}");
    assert_int_equal(req.n_messages, 3);
    check_turn(0);
}

static void what_was_kept_comes_between_instructions_and_input(void **state)
{
    static const struct tg_str history[] = {TG_STR_INIT("[" TURN "]"), TG_STR_INIT("[]")};
    open_body("{\"input\":\"go on\",\"instructions\":\"be nice\","
              "\"previous_response_id\":\"resp_1\"}");
    assert_str(call.previous_id, "resp_1");
    call.history = history;
    call.n_history = 2;
    assert_int_equal(tg_dialect_responses.parse(&arena, &call, &req, &failure), 0);
    assert_int_equal(req.n_messages, 5);
    assert_int_equal(req.messages[0].role, TG_ROLE_SYSTEM);
    check_turn(1);
    assert_str(req.messages[4].parts[0].text, "go on");
}

static void references_are_looked_up(void **state)
{
    static const struct tg_str known[] = {TG_STR_INIT("[" TURN "]")};
    struct tg_str *ids;
    size_t n;
    open_body("{\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_abc_0\"},"
              "{\"type\":\"item_reference\",\"id\":\"fc_abc_1\"},{\"id\":\"rs_d_e_2\"},"
              "{\"type\":\"item_reference\",\"id\":\"msg_1\"},"
              "{\"type\":\"message\",\"id\":\"msg_x_0\",\"role\":\"user\",\"content\":\"x\"}]}");
    assert_int_equal(tg_responses_references(&arena, &call, &ids, &n), 0);
    assert_int_equal(n, 2);
    assert_str(ids[0], "resp_abc");
    assert_str(ids[1], "resp_d_e");
    open_body("{\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"},"
              "{\"id\":\"fc_1\"},{\"type\":\"item_reference\",\"id\":\"msg_2\"}]}");
    call.known = known;
    call.n_known = 1;
    assert_int_equal(tg_dialect_responses.parse(&arena, &call, &req, &failure), 0);
    assert_int_equal(req.n_messages, 2);
    assert_int_equal(req.messages[0].n_parts, 3);
    assert_str(req.messages[0].parts[0].text, "a");
    assert_contains(req.messages[0].parts[0].raw, "\"id\":\"msg_1\"");
    assert_str(req.messages[0].parts[2].call_id, "call_1");
    assert_int_equal(req.messages[1].parts[0].kind, TG_PART_RAW); /* nobody knows it */
}

/* One long item that is referred to again and again must not grow without bound. */
static void many_references(void **state)
{
    struct tg_buf b;
    static const struct tg_str known[] = {TG_STR_INIT("[" TURN "]")};
    tg_buf_init(&b, 1 << 20);
    tg_buf_lit(&b, "{\"input\":[");
    for (int i = 0; i < 900; i++)
        tg_buf_printf(&b, "%s{\"type\":\"item_reference\",\"id\":\"msg_1\"}", i ? "," : "");
    tg_buf_lit(&b, "]}");
    assert_int_equal(tg_dialect_responses.open(&arena, NULL, tg_buf_str(&b), &call, &failure), 0);
    call.known = known;
    call.n_known = 1;
    assert_int_equal(tg_dialect_responses.parse(&arena, &call, &req, &failure), TG_E_NOMEM);
    tg_buf_clear(&b);
    tg_buf_lit(&b, "{\"input\":[");
    for (int i = 0; i < 1001; i++)
        tg_buf_printf(&b, "%s{\"id\":\"msg_1\"}", i ? "," : "");
    tg_buf_lit(&b, "]}");
    tg_fail_clear(&failure);
    assert_int_equal(tg_dialect_responses.open(&arena, NULL, tg_buf_str(&b), &call, &failure), 0);
    assert_int_equal(tg_dialect_responses.parse(&arena, &call, &req, &failure), TG_E_INVALID_VALUE);
    tg_buf_fini(&b);
}

static void own_input_as_items(void **state)
{
    struct tg_str items;
    open_body("{\"input\":\"a \\\"b\\\"\"}");
    assert_int_equal(tg_responses_input(&arena, &call, &items), 0);
    assert_str(items, "[{\"type\":\"message\",\"role\":\"user\",\"content\":\"a \\\"b\\\"\"}]");
    open_body("{\"input\":[ {\"role\":\"user\",\"content\":\"x\"} ]}");
    assert_int_equal(tg_responses_input(&arena, &call, &items), 0);
    assert_str(items, "[ {\"role\":\"user\",\"content\":\"x\"} ]");
    open_body("{\"previous_response_id\":\"resp_1\"}");
    assert_int_equal(tg_responses_input(&arena, &call, &items), 0);
    assert_str(items, "[]");
}

static void storing_is_the_default(void **state)
{
    open_body("{\"input\":\"a\"}");
    assert_true(call.store);
    open_body("{\"input\":\"a\",\"store\":null}");
    assert_true(call.store);
    open_body("{\"input\":\"a\",\"store\":false}");
    assert_false(call.store);
    assert_true(call.include_usage);
}

static void what_was_put_in_another_form_is_said(void **state)
{
    parse_body("{\"input\":\"a\",\"tools\":[{\"type\":\"function\",\"name\":\"f\"}]}");
    assert_int_equal(req.emulated, 0);
    parse_body("{\"input\":\"a\",\"tools\":[{\"type\":\"custom\",\"name\":\"f\"}]}");
    assert_int_equal(req.emulated, TG_FEATURE_BIT(TOOL_TYPES));
    parse_body("{\"input\":\"a\",\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\","
               "\"tools\":[]}}");
    assert_int_equal(req.emulated, TG_FEATURE_BIT(TOOL_CHOICE_RAW));
}

/* ---- out ---- */

static struct ro order;

static void begin(const char *body, bool stream)
{
    render_init(&r, &tg_dialect_responses, body, stream);
    render_begin(&r);
    render_event(&r, &(struct tg_event){.kind = TG_EV_START, .id = TG_STR("x")});
    assert_int_equal(r.rc, 0);
}

/* The whole stream, in order; the final response's text. */
static void end_stream(const char *status)
{
    render_end(&r);
    assert_int_equal(r.rc, 0);
    ro_read(&order, tg_buf_str(&r.out), "stream");
    assert_str_equal(order.status, tg_str_c(status));
    assert_int_equal(order.rest, 0);
    ro_fini(&order);
}

static void part_end(uint32_t part)
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

static void a_single_answer(void **state)
{
    begin("{\"input\":\"hi\",\"instructions\":\"be\\nnice\",\n \"temperature\": "
          "0.5,\"metadata\":{\"a\":\n\"b\"}}",
          false);
    render_part(&r, 0, 0, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "Hel", "");
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "lo", "");
    assert_int_equal(r.out.n, 0);
    part_end(0);
    render_finish_choice(&r, 0, TG_FINISH_STOP, "");
    assert_str(
        render_end(&r),
        "{\"id\":\"resp_1\",\"object\":\"response\",\"created_at\":1700000000,\"status\":"
        "\"completed\",\"background\":false,\"error\":null,\"incomplete_details\":null,"
        "\"instructions\":\"be\\nnice\",\"max_output_tokens\":null,\"max_tool_calls\":null,"
        "\"model\":\"gpt-\\\"4\\\"\",\"output\":[{\"id\":\"msg_1_0\",\"type\":\"message\","
        "\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"annotations\":[],"
        "\"logprobs\":[],\"text\":\"Hello\"}],\"role\":\"assistant\"}],"
        "\"parallel_tool_calls\":true,\"previous_response_id\":null,\"prompt_cache_key\":null,"
        "\"reasoning\":{\"effort\":null,\"summary\":null},\"safety_identifier\":null,"
        "\"service_tier\":null,\"store\":true,\"temperature\":0.5,"
        "\"text\":{\"format\":{\"type\":\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],"
        "\"top_logprobs\":0,\"top_p\":null,\"truncation\":\"disabled\","
        "\"usage\":{\"input_tokens\":13,\"input_tokens_details\":{\"cached_tokens\":3},"
        "\"output_tokens\":7,\"output_tokens_details\":{\"reasoning_tokens\":2},"
        "\"total_tokens\":20},\"user\":null,\"metadata\":{\"a\": \"b\"}}");
    struct tg_responses_answer kept;
    tg_responses_answer(r.state, &kept);
    assert_str(kept.id, "resp_1");
    assert_str_equal(kept.response, tg_buf_str(&r.out));
    assert_true(tg_str_starts(kept.output, TG_STR("[{\"id\":\"msg_1_0\"")));
    assert_true(tg_str_ends(kept.output, TG_STR("\"role\":\"assistant\"}]")));
}

static void nothing_is_kept_unasked(void **state)
{
    struct tg_responses_answer kept;
    begin("{\"input\":\"hi\",\"store\":false}", true);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    end_stream("completed");
    tg_responses_answer(r.state, &kept);
    assert_null(kept.response.p);
    assert_contains(tg_buf_str(&r.out), "\"store\":false");
}

static void everything_in_one_stream(void **state)
{
    begin("{\"input\":\"hi\",\"tools\":[\n{\"type\":\"custom\",\"name\":\"sh\"},"
          "{\"type\":\"namespace\",\"name\":\"ns\",\"tools\":[{\"type\":\"function\",\"name\":"
          "\"g\"}]}]}",
          true);
    render_part(&r, 0, 0, TG_PART_REASONING, "rs_9", "");
    render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
    render_delta(&r, 0, 0, TG_DELTA_REASONING, ", yes", "");
    signature(0, TG_OPAQUE_SIGNED, "sig\n==");
    part_end(0);
    render_part(&r, 0, 1, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "Hi",
                 "{\"content\":[{\"token\":\"Hi\"}],\"refusal\":null}");
    render_event(&r, &(struct tg_event){.kind = TG_EV_DELTA,
                                        .part = 1,
                                        .delta_kind = TG_DELTA_CITATION,
                                        .citation = &(struct tg_citation){.url = TG_STR("http://x"),
                                                                          .title = TG_STR("X"),
                                                                          .start = 1,
                                                                          .end = 2}});
    part_end(1);
    render_part(&r, 0, 2, TG_PART_REFUSAL, "", "");
    render_delta(&r, 0, 2, TG_DELTA_REFUSAL, "no", "");
    render_part(&r, 0, 3, TG_PART_TOOL_CALL, "call_a", "f"); /* woven */
    render_part(&r, 0, 4, TG_PART_TOOL_CALL, "call_b", "sh");
    render_delta(&r, 0, 4, TG_DELTA_ARGUMENTS, "{\"input\":\"l", "");
    render_delta(&r, 0, 3, TG_DELTA_ARGUMENTS, "{\"a\":", "");
    render_delta(&r, 0, 4, TG_DELTA_ARGUMENTS, "s\\n\"}", "");
    render_delta(&r, 0, 3, TG_DELTA_ARGUMENTS, "1}", "");
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                        .part = 5,
                                        .part_kind = TG_PART_TOOL_CALL,
                                        .id = TG_STR("call_c"),
                                        .name = TG_STR("ns__g"),
                                        .opaque = TG_OPAQUE_THOUGHT,
                                        .signature = TG_STR("sig")});
    part_end(3);
    part_end(4);
    part_end(5);
    render_finish_choice(&r, 0, TG_FINISH_TOOL_CALLS, "");
    end_stream("completed");
    struct tg_str s = tg_buf_str(&r.out);
    assert_contains(s, "{\"id\":\"rs_9\",\"type\":\"reasoning\",\"summary\":[{\"type\":"
                       "\"summary_text\",\"text\":\"hm, yes\"}],"
                       "\"encrypted_content\":\"tgs1.c3NpZwo9PQ\"}");
    assert_contains(s, "\"delta\":\"Hi\",\"logprobs\":[{\"token\":\"Hi\"}]");
    assert_contains(s,
                    "\"annotations\":[{\"type\":\"url_citation\",\"start_index\":1,\"end_index\":2,"
                    "\"title\":\"X\",\"url\":\"http://x\"}],\"logprobs\":[{\"token\":\"Hi\"}]");
    assert_contains(s, "{\"id\":\"ctc_1_3\",\"type\":\"custom_tool_call\",\"status\":\"completed\","
                       "\"call_id\":\"call_b\",\"input\":\"ls\\n\",\"name\":\"sh\"}");
    assert_contains(s, "{\"id\":\"fc_1_4\",\"type\":\"function_call\",\"status\":\"completed\","
                       "\"arguments\":\"\",\"call_id\":\"call_c__tgs_c2ln\",\"name\":\"g\","
                       "\"namespace\":\"ns\"}");
}

/* What goes out comes back in as it was. */
static void signatures_go_round(void **state)
{
    struct tg_responses_answer kept;
    begin("{\"input\":\"hi\"}", true);
    render_part(&r, 0, 0, TG_PART_REASONING, "", "");
    signature(0, TG_OPAQUE_REDACTED, "black");
    part_end(0);
    render_part(&r, 0, 1, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 1, TG_DELTA_TEXT, "a", "");
    signature(1, TG_OPAQUE_THOUGHT, "of text");
    part_end(1);
    render_part(&r, 0, 2, TG_PART_TEXT, "", "");
    render_delta(&r, 0, 2, TG_DELTA_TEXT, "b", "");
    render_part(&r, 0, 3, TG_PART_REASONING, "rs_7", "");
    signature(3, TG_OPAQUE_ENCRYPTED, "gAAA");
    end_stream("completed");
    tg_responses_answer(r.state, &kept);
    struct tg_str body = tg_arena_printf(&arena, "{\"input\":%.*s}", TG_STR_ARG(kept.output));
    assert_int_equal(tg_dialect_responses.open(&arena, NULL, body, &call, &failure), 0);
    assert_int_equal(tg_dialect_responses.parse(&arena, &call, &req, &failure), 0);
    assert_int_equal(req.n_messages, 1);
    const struct tg_part *p = req.messages[0].parts;
    assert_int_equal(req.messages[0].n_parts, 4);
    assert_int_equal(p[0].opaque, TG_OPAQUE_REDACTED);
    assert_str(p[0].signature, "black");
    assert_str(p[1].text, "a");
    assert_int_equal(p[1].opaque, TG_OPAQUE_THOUGHT);
    assert_str(p[1].signature, "of text");
    assert_str(p[2].text, "b");
    assert_int_equal(p[2].signature.n, 0);
    assert_int_equal(p[3].opaque, TG_OPAQUE_ENCRYPTED);
    assert_str(p[3].signature, "gAAA");
    assert_str(p[3].call_id, "rs_7");
}

static void answers_that_end_early(void **state)
{
    static const struct {
        enum tg_finish finish;
        const char *reason;
    } ends[] = {{TG_FINISH_LENGTH, "max_output_tokens"},
                {TG_FINISH_CONTENT_FILTER, "content_filter"}};
    for (size_t i = 0; i < 2; i++) {
        begin("{\"input\":\"hi\"}", true);
        render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
        render_finish_choice(&r, 0, ends[i].finish, "");
        end_stream("incomplete");
        assert_true(tg_str_find(tg_buf_str(&r.out), tg_str_c(ends[i].reason)) > 0);
        assert_contains(tg_buf_str(&r.out), "\"status\":\"incomplete\",\"content\"");
        render_fini(&r);
    }
    r.dialect = NULL;
}

/* Events that make no sense in their order leave a proper stream. */
static void disorder(void **state)
{
    begin("{\"input\":\"hi\"}", true);
    render_delta(&r, 0, 3, TG_DELTA_ARGUMENTS, "{}", ""); /* a call that was not begun */
    part_end(7);
    part_end(3);
    part_end(3);
    render_delta(&r, 0, 3, TG_DELTA_ARGUMENTS, "more", ""); /* after its end */
    render_delta(&r, 0, 4, TG_DELTA_TEXT, "a", "");
    render_delta(&r, 0, 4, TG_DELTA_REASONING, "of another kind", "");
    render_part(&r, 0, 4, TG_PART_TEXT, "", "");
    render_part(&r, 0, 5, TG_PART_AUDIO, "", "");
    render_part(&r, 1, 0, TG_PART_TEXT, "", ""); /* another choice */
    render_delta(&r, 1, 0, TG_DELTA_TEXT, "lost", "");
    signature(9, TG_OPAQUE_SIGNED, "s");
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                        .part = 10,
                                        .part_kind = TG_PART_RAW,
                                        .format = TG_WIRE_ANTHROPIC_MESSAGES,
                                        .text = TG_STR("{\"type\":\"server_tool_use\"}")});
    render_event(
        &r, &(struct tg_event){.kind = TG_EV_PART_START,
                               .part = 11,
                               .part_kind = TG_PART_RAW,
                               .format = TG_WIRE_OPENAI_RESPONSES,
                               .text = TG_STR("{\n\"type\":\"web_search_call\",\n\"id\":\"ws\"}")});
    end_stream("completed");
    assert_lacks(tg_buf_str(&r.out), "lost");
    assert_lacks(tg_buf_str(&r.out), "server_tool_use");
    assert_contains(tg_buf_str(&r.out), "{ \"type\":\"web_search_call\", \"id\":\"ws\"}");
    size_t n = r.out.n;
    render_delta(&r, 0, 4, TG_DELTA_TEXT, "after the end", "");
    assert_int_equal(r.out.n, n);
}

static void an_image(void **state)
{
    begin("{\"input\":\"hi\"}", true);
    render_event(&r, &(struct tg_event){.kind = TG_EV_PART_START,
                                        .part_kind = TG_PART_IMAGE,
                                        .media = &(struct tg_media){.mime = TG_STR("image/webp"),
                                                                    .data = TG_STR("AAAA")}});
    end_stream("completed");
    assert_contains(
        tg_buf_str(&r.out),
        "{\"id\":\"ig_1_0\",\"type\":\"image_generation_call\",\"status\":\"completed\","
        "\"result\":\"AAAA\",\"output_format\":\"webp\"}");
}

static void an_empty_answer(void **state)
{
    begin(NULL, true);
    r.usage.source = TG_USAGE_ABSENT;
    end_stream("completed");
    assert_contains(tg_buf_str(&r.out), "\"output\":[]");
    assert_contains(tg_buf_str(&r.out), "\"usage\":null");
}

static void a_stream_that_breaks(void **state)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_fail_set(&f, TG_E_UPSTREAM_INCOMPLETE, "broke off");
    begin("{\"input\":\"hi\"}", true);
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "a", "");
    assert_int_equal(tg_dialect_responses.broken(r.state, &r.info, &f, &r.out), 0);
    ro_read(&order, tg_buf_str(&r.out), "broken");
    assert_str(order.status, "failed");
    ro_fini(&order);
    assert_contains(tg_buf_str(&r.out), "\"error\":{\"code\":\"upstream_incomplete\",\"message\":"
                                        "\"broke off\"}");
    size_t n = r.out.n;
    render_delta(&r, 0, 0, TG_DELTA_TEXT, "b", "");
    assert_int_equal(tg_dialect_responses.broken(r.state, &r.info, &f, &r.out), 0);
    assert_int_equal(r.out.n, n);
}

static void errors_without_a_stream(void **state)
{
    struct tg_fail f;
    struct tg_buf b;
    tg_fail_clear(&f);
    tg_fail_param(&f, TG_E_INVALID_VALUE, "input", "bad \"input\"");
    tg_buf_init(&b, 1 << 20);
    tg_dialect_responses.render_fail(&f, TG_STR("req_1"), false, &b);
    assert_contains(tg_buf_str(&b), "{\"error\":{\"message\":\"bad \\\"input\\\"\"");
    tg_buf_clear(&b);
    tg_dialect_responses.render_fail(&f, TG_STR("req_1"), true, &b);
    assert_contains(tg_buf_str(&b), "event: error\ndata: {\"type\":\"error\"");
    assert_contains(tg_buf_str(&b), "event: response.failed\ndata: {\"type\":\"response.failed\"");
    assert_contains(tg_buf_str(&b), "\"id\":\"resp_1\"");
    tg_buf_fini(&b);
}

static void counting(void **state)
{
    render_init(&r, &tg_dialect_responses_count, "{\"input\":\"hi\"}", false);
    render_begin(&r);
    assert_str(render_end(&r), "{\"object\":\"response.input_tokens\",\"input_tokens\":13}");
}

/* Every allocation may fail: an error, no crash, no leak. */
static void memory_runs_out(void **state)
{
    for (unsigned at = 1; at < 60; at++) {
        render_init(&r, &tg_dialect_responses, "{\"input\":\"hi\"}", true);
        tg_alloc_fail_at(at, 0);
        render_begin(&r);
        render_part(&r, 0, 0, TG_PART_REASONING, "", "");
        render_delta(&r, 0, 0, TG_DELTA_REASONING, "hm", "");
        signature(0, TG_OPAQUE_SIGNED, "s");
        render_delta(&r, 0, 1, TG_DELTA_TEXT, "a", "{\"content\":[{}]}");
        render_part(&r, 0, 2, TG_PART_TOOL_CALL, "", "f");
        render_end(&r);
        tg_alloc_fail_at(0, 0);
        if (r.rc == 0)
            assert_true(tg_buf_ok(&r.out));
        render_fini(&r);
    }
    r.dialect = NULL;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_kinds_of_content),
        TEST(a_turn_is_one_message),
        TEST(what_was_kept_comes_between_instructions_and_input),
        TEST(references_are_looked_up),
        TEST(many_references),
        TEST(own_input_as_items),
        TEST(storing_is_the_default),
        TEST(what_was_put_in_another_form_is_said),
        TEST(a_single_answer),
        TEST(nothing_is_kept_unasked),
        TEST(everything_in_one_stream),
        TEST(signatures_go_round),
        TEST(answers_that_end_early),
        TEST(disorder),
        TEST(an_image),
        TEST(an_empty_answer),
        TEST(a_stream_that_breaks),
        TEST(errors_without_a_stream),
        TEST(counting),
        TEST(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
