/* Opaque state through an OpenAI client: what an answer says, rendered, gathered as clients do, and
 * given back, is the same parts byte for byte; then what each provider's row makes of them. */
#include "check.h"

#include "adapter/quirks.h"
#include "answer.h"
#include "dialect/dialect.h"
#include "json/json.h"

#define SIGNATURE "EpYD+/==\"\\\xc3\xa4"

static struct tg_arena arena;
static struct tg_fail fail;

static int setup(void **state)
{
    tg_arena_init(&arena, 4096, 64u << 20);
    tg_fail_clear(&fail);
    return 0;
}

static int teardown(void **state)
{
    tg_arena_fini(&arena);
    return 0;
}

/* ---- an answer with everything in it ---- */

static void part(struct tg_sink *s, uint32_t n, enum tg_part_kind kind, const char *id,
                 const char *name, const char *signature)
{
    s->on_event(s, &(struct tg_event){.kind = TG_EV_PART_START,
                                      .part = n,
                                      .part_kind = kind,
                                      .id = tg_str_c(id),
                                      .name = tg_str_c(name),
                                      .signature = tg_str_c(signature),
                                      .opaque = signature[0] ? TG_OPAQUE_THOUGHT : TG_OPAQUE_NONE});
}

static void delta(struct tg_sink *s, uint32_t n, enum tg_delta_kind kind, const char *text,
                  enum tg_opaque_kind opaque)
{
    s->on_event(s, &(struct tg_event){.kind = TG_EV_DELTA,
                                      .part = n,
                                      .delta_kind = kind,
                                      .text = tg_str_c(text),
                                      .opaque = opaque});
}

static void end(struct tg_sink *s, uint32_t n)
{
    s->on_event(s, &(struct tg_event){.kind = TG_EV_PART_END, .part = n});
}

static void play(struct tg_sink *s)
{
    s->on_event(s, &(struct tg_event){.kind = TG_EV_START, .service_tier = TG_STR_INIT("flex")});
    part(s, 0, TG_PART_REASONING, "", "", "");
    delta(s, 0, TG_DELTA_REASONING, "I \xc3\xa4", 0);
    delta(s, 0, TG_DELTA_REASONING, " think", 0);
    delta(s, 0, TG_DELTA_SIGNATURE, "EpYD+/==", TG_OPAQUE_SIGNED);
    delta(s, 0, TG_DELTA_SIGNATURE, "\"\\\xc3\xa4", TG_OPAQUE_SIGNED);
    end(s, 0);
    part(s, 1, TG_PART_REASONING, "", "", "");
    delta(s, 1, TG_DELTA_SIGNATURE, "redacted==", TG_OPAQUE_REDACTED);
    end(s, 1);
    part(s, 2, TG_PART_REASONING, "rs_1", "", "");
    delta(s, 2, TG_DELTA_REASONING, "in short", 0);
    delta(s, 2, TG_DELTA_SIGNATURE, "gAAAA", TG_OPAQUE_ENCRYPTED);
    end(s, 2);
    part(s, 3, TG_PART_TEXT, "", "", "");
    delta(s, 3, TG_DELTA_TEXT, "So.", 0);
    struct tg_citation cite = {.url = TG_STR_INIT("https://x"),
                               .title = TG_STR_INIT("X"),
                               .start = 0,
                               .end = 3,
                               .raw = TG_STR_INIT("{}"),
                               .format = TG_WIRE_ANTHROPIC_MESSAGES};
    s->on_event(
        s, &(struct tg_event){
               .kind = TG_EV_DELTA, .part = 3, .delta_kind = TG_DELTA_CITATION, .citation = &cite});
    delta(s, 3, TG_DELTA_SIGNATURE, "text-signature", TG_OPAQUE_THOUGHT);
    end(s, 3);
    struct tg_media image = {.mime = TG_STR_INIT("image/webp"), .data = TG_STR_INIT("QUJD")};
    s->on_event(
        s, &(struct tg_event){
               .kind = TG_EV_PART_START, .part = 4, .part_kind = TG_PART_IMAGE, .media = &image});
    end(s, 4);
    part(s, 5, TG_PART_TOOL_CALL, "call_1", "f", "call-signature");
    delta(s, 5, TG_DELTA_ARGUMENTS, "{\"a\":", 0);
    delta(s, 5, TG_DELTA_ARGUMENTS, "1}", 0);
    end(s, 5);
    s->on_event(s, &(struct tg_event){.kind = TG_EV_EXTRA,
                                      .name = TG_STR_INIT("groundingMetadata"),
                                      .text = TG_STR_INIT("{\n\"a\":1}"),
                                      .format = TG_WIRE_GEMINI_GENERATE});
    s->on_event(s, &(struct tg_event){.kind = TG_EV_FINISH, .finish = TG_FINISH_TOOL_CALLS});
}

struct renderer {
    struct tg_sink sink;
    struct tg_render_info info;
    void *state;
    struct tg_buf out;
};

static void render_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *r = tg_container_of(s, struct renderer, sink);
    assert_int_equal(tg_dialect_openai_chat.render(r->state, &r->info, ev, &r->out), 0);
}

static struct tg_str rendered(bool stream)
{
    const struct tg_dialect *d = &tg_dialect_openai_chat;
    struct renderer r = {.sink.on_event = render_event,
                         .info = {.id = TG_STR_INIT("chatcmpl-1"),
                                  .model = TG_STR_INIT("m"),
                                  .stream = stream,
                                  .arena = &arena}};
    tg_buf_init(&r.out, 1 << 20);
    r.state = tg_calloc(1, d->state_bytes);
    assert_int_equal(d->begin(r.state, &r.info), 0);
    play(&r.sink);
    assert_int_equal(d->finish(r.state, &r.info, NULL, 0, &r.out), 0);
    d->fini(r.state);
    tg_free(r.state);
    struct tg_str text = tg_arena_dup(&arena, tg_buf_str(&r.out));
    tg_buf_fini(&r.out);
    return text;
}

/* ---- the client ---- */

/* Joins a stream's deltas into a message as OpenRouter's clients do: texts concatenated, details
 * kept as one list of pieces, calls by index. */
struct client {
    struct tg_buf content, reasoning, details, calls, extra;
};

static void take(struct tg_buf *b, struct tg_json_doc *doc, const struct tg_json *list)
{
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        if (b->n)
            tg_buf_char(b, ',');
        tg_buf_str_add(b, tg_json_raw(doc, it.value));
    }
}

static void chunk(struct client *c, struct tg_json_doc *doc)
{
    const struct tg_json *choice = tg_json_at(tg_json_get(tg_json_root(doc), TG_STR("choices")), 0);
    const struct tg_json *d = tg_json_get(choice, TG_STR("delta"));
    assert_str(tg_json_get_str(tg_json_root(doc), TG_STR("service_tier")), "flex");
    tg_buf_str_add(&c->content, tg_json_get_str(d, TG_STR("content")));
    tg_buf_str_add(&c->reasoning, tg_json_get_str(d, TG_STR("reasoning_content")));
    take(&c->details, doc, tg_json_get(d, TG_STR("reasoning_details")));
    const struct tg_json *call = tg_json_at(tg_json_get(d, TG_STR("tool_calls")), 0);
    if (tg_json_get(call, TG_STR("id"))) {
        tg_buf_lit(&c->calls, "{\"type\":\"function\",\"id\":");
        tg_buf_json_str(&c->calls, tg_json_get_str(call, TG_STR("id")));
        tg_buf_lit(&c->calls, ",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}");
    }
    const struct tg_json *extra = tg_json_get(d, TG_STR("extra_content"));
    if (extra)
        tg_buf_str_add(&c->extra, tg_json_raw(doc, extra));
}

static struct tg_str gathered(struct tg_str stream)
{
    struct client c;
    struct tg_str line;
    struct tg_json_doc *doc;
    tg_buf_init(&c.content, 1 << 20);
    tg_buf_init(&c.reasoning, 1 << 20);
    tg_buf_init(&c.details, 1 << 20);
    tg_buf_init(&c.calls, 1 << 20);
    tg_buf_init(&c.extra, 1 << 20);
    while (tg_str_split(&stream, '\n', &line)) {
        if (!tg_str_starts(line, TG_STR("data: {")))
            continue;
        assert_int_equal(tg_json_parse(&arena, tg_str_from(line, 6), NULL, &doc, NULL), 0);
        chunk(&c, doc);
    }
    struct tg_str m = tg_arena_printf(
        &arena,
        "{\"role\":\"assistant\",\"content\":\"%.*s\",\"reasoning_content\":\"%.*s\","
        "\"reasoning_details\":[%.*s],\"extra_content\":%.*s,\"tool_calls\":[%.*s]}",
        TG_STR_ARG(tg_buf_str(&c.content)), TG_STR_ARG(tg_buf_str(&c.reasoning)),
        TG_STR_ARG(tg_buf_str(&c.details)), TG_STR_ARG(tg_buf_str(&c.extra)),
        TG_STR_ARG(tg_buf_str(&c.calls)));
    tg_buf_fini(&c.content);
    tg_buf_fini(&c.reasoning);
    tg_buf_fini(&c.details);
    tg_buf_fini(&c.calls);
    tg_buf_fini(&c.extra);
    return m;
}

static struct tg_str message_of(bool stream)
{
    struct tg_str text = rendered(stream);
    struct tg_json_doc *doc;
    if (stream)
        return gathered(text);
    assert_int_equal(tg_json_parse(&arena, text, NULL, &doc, NULL), 0);
    assert_str(tg_json_get_str(tg_json_root(doc), TG_STR("service_tier")), "flex");
    const struct tg_json *choice = tg_json_at(tg_json_get(tg_json_root(doc), TG_STR("choices")), 0);
    return tg_json_raw(doc, tg_json_get(choice, TG_STR("message")));
}

static void parse_message(struct tg_str message, struct tg_chat_req *req)
{
    struct tg_call call = {0};
    struct tg_str body = tg_arena_printf(
        &arena,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},%.*s,{\"role\":"
        "\"tool\",\"tool_call_id\":\"call_1__tgs_Y2FsbC1zaWduYXR1cmU\",\"content\":\"42\"}]}",
        TG_STR_ARG(message));
    if (tg_dialect_openai_chat.open(&arena, NULL, body, &call, &fail))
        fail_msg("%s\n%.*s", fail.message, TG_STR_ARG(body));
    assert_int_equal(tg_dialect_openai_chat.parse(&arena, &call, req, &fail), 0);
}

static void check_part(const struct tg_part *p, enum tg_part_kind kind, const char *text,
                       enum tg_opaque_kind opaque, const char *signature)
{
    assert_int_equal(p->kind, kind);
    assert_str_equal(p->text, tg_str_c(text));
    assert_int_equal(p->opaque, opaque);
    assert_str_equal(p->signature, tg_str_c(signature));
}

static void check_parts(const struct tg_chat_req *req)
{
    const struct tg_message *m = &req->messages[1];
    assert_int_equal(m->n_parts, 5);
    check_part(&m->parts[0], TG_PART_REASONING, "I \xc3\xa4 think", TG_OPAQUE_SIGNED, SIGNATURE);
    check_part(&m->parts[1], TG_PART_REASONING, "", TG_OPAQUE_REDACTED, "redacted==");
    check_part(&m->parts[2], TG_PART_REASONING, "in short", TG_OPAQUE_ENCRYPTED, "gAAAA");
    assert_str(m->parts[2].call_id, "rs_1");
    check_part(&m->parts[3], TG_PART_TEXT, "So.", TG_OPAQUE_THOUGHT, "text-signature");
    check_part(&m->parts[4], TG_PART_TOOL_CALL, "", TG_OPAQUE_THOUGHT, "call-signature");
    assert_str(m->parts[4].call_id, "call_1");
    assert_str(m->parts[4].arguments, "{\"a\":1}");
    assert_str(req->messages[2].parts[0].call_id, "call_1");
}

static void opaque_state_goes_round(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        struct tg_chat_req req;
        parse_message(message_of(stream), &req);
        check_parts(&req);
    }
}

/* Through another gateway that speaks OpenAI: the adapter reads what the dialect wrote. */
static void answers_are_read_back(void **state)
{
    for (int stream = 0; stream < 2; stream++) {
        struct tg_adapter_response resp = {.stream = stream, .format = TG_WIRE_OPENAI_CHAT};
        struct answer a;
        struct tg_str text = rendered(stream);
        answer_init(&a);
        assert_int_equal(answer_feed(&a, &tg_adapter_openai, &resp, text, 7, true), 0);
        const struct tg_collect_choice *ch = &a.collect.choices[0];
        assert_str(tg_buf_str(&a.collect.service_tier), "flex");
        assert_int_equal(ch->n_parts, 6);
        assert_str(tg_buf_str(&ch->parts[0].text), "I \xc3\xa4 think");
        assert_str(tg_buf_str(&ch->parts[0].signature), SIGNATURE);
        assert_int_equal(ch->parts[0].opaque, TG_OPAQUE_SIGNED);
        assert_str(tg_buf_str(&ch->parts[1].signature), "redacted==");
        assert_int_equal(ch->parts[1].opaque, TG_OPAQUE_REDACTED);
        assert_str(tg_buf_str(&ch->parts[2].text), "in short");
        assert_str(tg_buf_str(&ch->parts[2].signature), "gAAAA");
        assert_int_equal(ch->parts[2].opaque, TG_OPAQUE_ENCRYPTED);
        assert_str(tg_buf_str(&ch->parts[2].id), "rs_1");
        assert_str(tg_buf_str(&ch->parts[3].text), "So.");
        assert_int_equal(ch->parts[3].n_citations, 1);
        assert_str(tg_buf_str(&ch->parts[3].citations[0].url), "https://x");
        assert_int_equal(ch->parts[3].citations[0].end, 3);
        assert_str(tg_buf_str(&ch->parts[3].signature), "text-signature");
        assert_int_equal(ch->parts[4].kind, TG_PART_IMAGE);
        assert_str(tg_buf_str(&ch->parts[4].mime), "image/webp");
        assert_str(tg_buf_str(&ch->parts[4].text), "QUJD");
        assert_str(tg_buf_str(&ch->parts[5].signature), "call-signature");
        assert_str(tg_buf_str(&ch->parts[5].text), "{\"a\":1}");
        assert_contains(text, "\"extra_content\":{\"gemini_generate\":{\"groundingMetadata\":");
        answer_fini(&a);
    }
}

/* ---- to providers ---- */

static struct tg_str encoded(const struct tg_chat_req *req, const char *provider)
{
    struct tg_adapter_target target = {.model = TG_STR_INIT("up"),
                                       .quirks = tg_quirks_find(tg_str_c(provider), TG_STR(""))};
    struct tg_adapter_request out;
    assert_int_equal(tg_adapter_openai.encode(&arena, req, &target, &out, &fail), 0);
    struct tg_json_doc *doc;
    assert_int_equal(tg_json_parse(&arena, out.body, NULL, &doc, NULL), 0);
    return out.body;
}

static void only_its_own_provider_gets_it(void **state)
{
    struct tg_chat_req req;
    parse_message(message_of(false), &req);
    /* as it came: the client and the provider speak the same format */
    struct tg_str own = encoded(&req, "openrouter");
    assert_contains(own,
                    "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"I \xc3\xa4 "
                    "think\",\"signature\":\"EpYD+/==\\\"\\\\\xc3\xa4\"");
    /* from another format it is written anew, the same */
    req.wire = TG_WIRE_ANTHROPIC_MESSAGES;
    struct tg_str anew = encoded(&req, "openrouter");
    assert_contains(anew, "\"signature\":\"EpYD+/==\\\"\\\\\xc3\xa4\"");
    assert_contains(anew, "\"data\":\"redacted==\"");
    assert_contains(anew, "\"data\":\"gAAAA\"");
    assert_contains(anew, "\"data\":\"call-signature\",\"id\":\"call_1\"");
    struct tg_str plain = encoded(&req, "groq");
    assert_lacks(plain, "signature");
    assert_lacks(plain, "redacted");
    assert_lacks(plain, "think");
    assert_contains(plain, "\"id\":\"call_1\"");
    struct tg_str gemini = encoded(&req, "gemini");
    assert_contains(gemini, "\"extra_content\":{\"google\":{\"thought_signature\":"
                            "\"call-signature\"}}");
    assert_lacks(gemini, "redacted");
    struct tg_str deepseek = encoded(&req, "deepseek");
    assert_contains(deepseek, "\"reasoning_content\":\"I \xc3\xa4 thinkin short\"");
    assert_lacks(deepseek, "EpYD");
}

/* Gemini through OpenRouter: the signature stands in the details, by the call's id. */
static void thoughts_in_details(void **state)
{
    struct tg_chat_req req;
    parse_message(
        TG_STR("{\"role\":\"assistant\",\"content\":\"\",\"reasoning_details\":[{\"type\":"
               "\"reasoning.encrypted\",\"data\":\"sig\",\"format\":\"google-gemini-v1\","
               "\"id\":\"call_1\",\"index\":0}],\"tool_calls\":[{\"id\":\"call_1\","
               "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
               "]}"),
        &req);
    const struct tg_message *m = &req.messages[1];
    assert_int_equal(m->n_parts, 2);
    check_part(&m->parts[1], TG_PART_TOOL_CALL, "", TG_OPAQUE_THOUGHT, "sig");
    assert_contains(encoded(&req, "openrouter"), "\"reasoning_details\":[{\"type\":");
}

/* A client that kept the signature but not the pieces of its text. */
static void a_signature_beside_its_text(void **state)
{
    struct tg_chat_req req;
    parse_message(TG_STR("{\"role\":\"assistant\",\"content\":\"a\",\"reasoning_content\":\"why\","
                         "\"reasoning_details\":[{\"type\":\"reasoning.text\",\"signature\":"
                         "\"s\"}]}"),
                  &req);
    check_part(&req.messages[1].parts[0], TG_PART_REASONING, "why", TG_OPAQUE_SIGNED, "s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opaque_state_goes_round, setup, teardown),
        cmocka_unit_test_setup_teardown(answers_are_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(only_its_own_provider_gets_it, setup, teardown),
        cmocka_unit_test_setup_teardown(thoughts_in_details, setup, teardown),
        cmocka_unit_test_setup_teardown(a_signature_beside_its_text, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
