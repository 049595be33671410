/* Embeddings, moderations, ranking and media through the adapter: what is sent, what comes back,
 * and real traffic three ways. */
#include "check.h"

#include "adapter/quirks.h"
#include "answer.h"
#include "dialect/dialect.h"
#include "json_equal.h"
#include "recordings.h"

static struct tg_adapter_request out;
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

static int encode(const struct tg_dialect *d, const char *body, const struct tg_quirks *q)
{
    struct tg_adapter_target target = {
        .model = TG_STR_INIT("up"), .base_path = TG_STR_INIT("/v1"), .quirks = q};
    struct tg_call call = {0};
    struct tg_chat_req req;
    assert_int_equal(d->open(&arena, NULL, tg_str_c(body), &call, &fail), 0);
    assert_int_equal(d->parse(&arena, &call, &req, &fail), 0);
    return tg_adapter_openai.encode(&arena, &req, &target, &out, &fail);
}

static void requests(void **state)
{
    assert_int_equal(encode(&tg_dialect_openai_embeddings,
                            "{\"model\":\"m\",\"input\":\"a\",\"encoding_format\":\"base64\","
                            "\"dimensions\":4,\"user\":\"u\",\"input_type\":\"query\",\"x\":{}}",
                            NULL),
                     0);
    assert_str(out.path, "/v1/embeddings");
    assert_str(out.body, "{\"model\":\"up\",\"input\":\"a\",\"dimensions\":4,\"encoding_format\":"
                         "\"base64\",\"input_type\":\"query\",\"user\":\"u\",\"x\":{}}");
    assert_int_equal(encode(&tg_dialect_openai_embeddings, "{\"input\":[[1,2],[3]]}", NULL), 0);
    assert_str(out.body, "{\"model\":\"up\",\"input\":[[1,2],[3]]}");
    assert_int_equal(encode(&tg_dialect_openai_moderations,
                            "{\"input\":[{\"type\":\"text\",\"text\":\"a\"}]}", NULL),
                     0);
    assert_str(out.path, "/v1/moderations");
    assert_str(out.body, "{\"model\":\"up\",\"input\":[{\"type\":\"text\",\"text\":\"a\"}]}");
    assert_int_equal(encode(&tg_dialect_rerank,
                            "{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":1,"
                            "\"return_documents\":true}",
                            NULL),
                     0);
    assert_str(out.path, "/v1/rerank");
    assert_str(out.body, "{\"model\":\"up\",\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":1}");
}

/* From a dialect with other raw texts: only texts and token lists mean anything. */
static void foreign_inputs(void **state)
{
    struct tg_str texts[2] = {TG_STR_INIT("a"), TG_STR_INIT("")};
    struct tg_str raw[2] = {TG_STR_INIT("{\"parts\":[]}"), TG_STR_INIT("[1,2]")};
    struct tg_chat_req req = {
        .wire = TG_WIRE_GEMINI_EMBED,
        .task = TG_TASK_EMBED,
        .inputs = {.texts = texts,
                   .raw = raw,
                   .n = 2,
                   .dimensions = -1,
                   .top_n = -1,
                   .purpose = TG_STR_INIT("RETRIEVAL")},
    };
    struct tg_adapter_target target = {.model = TG_STR_INIT("up")};
    assert_int_equal(tg_adapter_openai.encode(&arena, &req, &target, &out, &fail), 0);
    assert_str(out.body, "{\"model\":\"up\",\"input\":[\"a\",[1,2]]}");
    raw[1] = TG_STR("{\"inlineData\":{}}");
    assert_int_equal(tg_adapter_openai.encode(&arena, &req, &target, &out, &fail),
                     TG_E_UNSUPPORTED_PARAMETER);
    assert_string_equal(fail.param, "input");
}

static void feed(struct answer *a, enum tg_chat_task task, const char *body, bool tap)
{
    struct tg_adapter_response resp = {.task = task, .tap = tap};
    answer_init(a);
    answer_feed(a, &tg_adapter_openai, &resp, tg_str_c(body), 3, true);
}

static void answers(void **state)
{
    static const struct {
        enum tg_chat_task task;
        const char *body, *first, *second;
        int64_t in;
    } cases[] = {
        {TG_TASK_EMBED,
         "{\"object\":\"list\",\"data\":[{\"index\":1,\"embedding\":[ 1, 2 ]},{\"index\":0,"
         "\"embedding\":\"AA==\"}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":5,"
         "\"total_tokens\":5}}",
         "[ 1, 2 ]", "\"AA==\"", 5},
        {TG_TASK_MODERATE, "{\"id\":\"x\",\"results\":[{\"flagged\":true},{\"flagged\":false}]}",
         "{\"flagged\":true}", "{\"flagged\":false}", 0},
        {TG_TASK_RERANK,
         "{\"results\":[{\"index\":1,\"relevance_score\":0.75},{\"index\":0,"
         "\"relevance_score\":1e-3}],\"usage\":{\"total_tokens\":9}}",
         "0.75", "1e-3", 9},
        {TG_TASK_RERANK, "[{\"index\":1,\"score\":2},{\"index\":0,\"score\":1}]", "2", "1", 0},
        {TG_TASK_RERANK,
         "{\"data\":[{\"index\":0,\"relevance_score\":2},{\"index\":1,"
         "\"relevance_score\":1}]}",
         "2", "1", 0},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        struct answer a;
        feed(&a, cases[i].task, cases[i].body, false);
        assert_int_equal(a.ends, 1);
        assert_int_equal(a.collect.n_items, 2);
        assert_str_equal(tg_buf_str(&a.collect.items[0].text), tg_str_c(cases[i].first));
        assert_str_equal(tg_buf_str(&a.collect.items[1].text), tg_str_c(cases[i].second));
        assert_int_equal(a.usage.input_tokens, cases[i].in);
        answer_fini(&a);
        feed(&a, cases[i].task, cases[i].body, true);
        assert_int_equal(a.ends, 1);
        assert_int_equal(a.raw_units, 1);
        assert_str_equal(tg_buf_str(&a.raws), tg_str_c(cases[i].body));
        answer_fini(&a);
    }
}

static void bad_answers(void **state)
{
    static const char *const bad[] = {
        "{}",
        "[]x",
        "{\"data\":7}",
        "{\"data\":[{}]}",
        "{\"data\":[{\"embedding\":7}]}",
        "{\"error\":{\"message\":\"no\"}}",
        "data: {}\n\n",
        "<html>",
        "",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        struct answer a;
        feed(&a, TG_TASK_EMBED, bad[i], false);
        assert_int_equal(a.errors, 1);
        answer_fini(&a);
    }
}

/* ---- media ---- */

static void media(struct answer *a, const char *type, bool stream, struct tg_str body, int cut)
{
    struct tg_adapter_response resp = {.task = TG_TASK_MEDIA,
                                       .tap = true,
                                       .stream = stream,
                                       .format = TG_WIRE_OPENAI_AUDIO,
                                       .max_pending_bytes = 1 << 20};
    struct tg_http_header h = {TG_STR("content-type"), tg_str_c(type)};
    struct tg_http_head head = {.status = 200, .headers = &h, .n_headers = 1};
    void *st = tg_calloc(1, tg_adapter_openai.state_bytes);
    answer_init(a);
    assert_int_equal(tg_adapter_openai.begin(st, &resp), 0);
    assert_int_equal(tg_adapter_openai.on_head(st, &head), 0);
    for (size_t at = 0; at < body.n; at += (size_t)cut) {
        size_t n = body.n - at < (size_t)cut ? body.n - at : (size_t)cut;
        (void)tg_adapter_openai.on_bytes(st, tg_str_make(body.p + at, n), &a->sink);
    }
    (void)tg_adapter_openai.on_end(st, true, &a->sink);
    tg_adapter_openai.fini(st);
    tg_free(st);
}

static void sounds_and_images(void **state)
{
    static const char sound[] = "{RIFF\0\xff<html>data: [DONE]\n\n";
    struct answer a;
    for (int cut = 1; cut < 9; cut++) {
        media(&a, "audio/mpeg", false, tg_str_make(sound, sizeof sound), cut);
        assert_int_equal(a.ends, 1);
        assert_str_equal(tg_buf_str(&a.raws), tg_str_make(sound, sizeof sound));
        answer_fini(&a);
        media(&a, "application/json", false,
              TG_STR("{\"created\":1,\"data\":[{\"b64_json\":\"AA==\"}],\"usage\":{"
                     "\"input_tokens\":3,\"output_tokens\":4,\"total_tokens\":7}}"),
              cut);
        assert_int_equal(a.ends, 1);
        assert_int_equal(a.usage.input_tokens, 3);
        assert_int_equal(a.usage.output_tokens, 4);
        assert_int_equal(a.raw_units, 1);
        answer_fini(&a);
        /* a subtitle file, and JSON that is none */
        media(&a, "text/plain; charset=utf-8", false, TG_STR("WEBVTT\n\n"), cut);
        assert_int_equal(a.ends, 1);
        answer_fini(&a);
    }
    media(&a, "audio/mpeg", false, TG_STR(""), 1);
    assert_int_equal(a.errors, 1);
    answer_fini(&a);
}

static void media_streams(void **state)
{
    struct tg_str body = TG_STR(
        "event: x\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"Hi\"}\n\n"
        "data: {\"type\":\"transcript.text.done\",\"text\":\"Hi\",\"usage\":{\"type\":\"tokens\","
        "\"input_tokens\":14,\"output_tokens\":2,\"total_tokens\":16}}\n\n");
    for (int cut = 1; cut < 40; cut += 3) {
        struct answer a;
        media(&a, "text/event-stream; charset=utf-8", true, body, cut);
        assert_int_equal(a.ends, 1);
        assert_str_equal(tg_buf_str(&a.raws), body);
        assert_int_equal(a.usage.output_tokens, 2);
        assert_int_equal(a.deltas, 1);
        answer_fini(&a);
    }
    struct answer a;
    media(&a, "text/event-stream", true,
          TG_STR("data: {\"type\":\"error\",\"error\":{\"message\":\"no\"}}\n\n"), 99);
    assert_int_equal(a.errors, 1);
    answer_fini(&a);
    media(&a, "text/event-stream", true, TG_STR("data: {\"type\":\"x\"}\n\ndata: {"), 99);
    assert_int_equal(a.errors, 1);
    answer_fini(&a);
}

static void pass_paths(void **state)
{
    struct tg_adapter_target target = {.base_path = TG_STR_INIT("/v1/")};
    struct tg_pass pass = {.format = TG_WIRE_OPENAI_AUDIO,
                           .tail = TG_STR_INIT("/audio/transcriptions"),
                           .content_type = TG_STR_INIT("multipart/form-data; boundary=x")};
    assert_int_equal(tg_adapter_openai.encode_pass(&arena, &pass, &target, &out), 0);
    assert_str(out.path, "/v1/audio/transcriptions");
    assert_str(out.headers[0].value, "multipart/form-data; boundary=x");
    pass = (struct tg_pass){.format = TG_WIRE_RERANK, .tail = TG_STR_INIT("/rerank")};
    assert_int_equal(tg_adapter_openai.encode_pass(&arena, &pass, &target, &out), 0);
    assert_str(out.path, "/v1/rerank");
    assert_str(out.headers[0].value, "application/json");
}

/* ---- recordings ---- */

static const struct tg_dialect *dialect;

static bool is_rewritten(struct tg_str name)
{
    return tg_str_eq(name, TG_STR("model"));
}

static void check_request(struct recording *r, struct tg_call *call)
{
    struct tg_adapter_target target = {.model = TG_STR_INIT("up")};
    struct tg_chat_req req;
    assert_int_equal(dialect->open(&r->arena, NULL, r->request, call, &fail), 0);
    assert_int_equal(dialect->parse(&r->arena, call, &req, &fail), 0);
    assert_int_equal(tg_adapter_openai.encode(&r->arena, &req, &target, &out, &fail), 0);
    const struct tg_json *old = tg_json_root(recording_json(&r->arena, r->request));
    const struct tg_json *new = tg_json_root(recording_json(&r->arena, out.body));
    for (int way = 0; way < 2; way++) {
        struct tg_json_iter it = tg_json_iter(way ? new : old);
        while (tg_json_next(&it))
            assert_true(is_rewritten(it.name) ||
                        json_equal(it.value, tg_json_get(way ? old : new, it.name)));
    }
}

/* Events rendered as the client's answer say what the provider's did. */
static void check_rendered(struct recording *r, const struct tg_call *call, const struct answer *a)
{
    struct tg_render_info info = {
        .id = TG_STR("chatcmpl-1"), .model = TG_STR("m"), .call = call, .arena = &r->arena};
    struct tg_buf b;
    void *st = tg_calloc(1, dialect->state_bytes);
    tg_buf_init(&b, 64u << 20);
    assert_int_equal(dialect->begin(st, &info), 0);
    for (size_t i = 0; i < a->collect.n_items; i++) {
        struct tg_event ev = {.kind = TG_EV_ITEM,
                              .choice = a->collect.items[i].index,
                              .text = tg_buf_str(&a->collect.items[i].text)};
        assert_int_equal(dialect->render(st, &info, &ev, &b), 0);
    }
    assert_int_equal(dialect->finish(st, &info, &a->usage, 0, &b), 0);
    dialect->fini(st);
    tg_free(st);
    const struct tg_json *old = tg_json_root(recording_json(&r->arena, r->body));
    const struct tg_json *new = tg_json_root(recording_json(&r->arena, tg_buf_str(&b)));
    const char *key = dialect->task == TG_TASK_EMBED ? "data" : "results";
    const struct tg_json *x = tg_json_get(old, tg_str_c(key)), *y = tg_json_get(new, tg_str_c(key));
    assert_int_equal(tg_json_count(x), tg_json_count(y));
    struct tg_json_iter it = tg_json_iter(x);
    while (tg_json_next(&it)) {
        const struct tg_json *one = tg_json_at(y, it.index);
        if (dialect->task == TG_TASK_EMBED)
            assert_true(json_equal(tg_json_get(it.value, TG_STR("embedding")),
                                   tg_json_get(one, TG_STR("embedding"))));
        else
            assert_true(json_equal(it.value, one));
    }
    tg_buf_fini(&b);
}

static void check_recording(struct recording *r)
{
    struct tg_adapter_response resp = {.task = dialect->task, .max_pending_bytes = 16u << 20};
    struct tg_call call = {0};
    struct answer a, cut;
    if (r->synthesised || r->status >= 300)
        return;
    check_request(r, &call);
    answer_init(&a);
    answer_init(&cut);
    assert_int_equal(answer_feed(&a, &tg_adapter_openai, &resp, r->body, 0, true), 0);
    assert_int_equal(answer_feed(&cut, &tg_adapter_openai, &resp, r->body, 977, true), 0);
    assert_str_equal(tg_buf_str(&a.log), tg_buf_str(&cut.log));
    assert_true(a.collect.n_items > 0);
    check_rendered(r, &call, &a);
    answer_fini(&a);
    answer_fini(&cut);
    resp.tap = true;
    answer_init(&a);
    assert_int_equal(answer_feed(&a, &tg_adapter_openai, &resp, r->body, -3, true), 0);
    assert_str_equal(tg_buf_str(&a.raws), r->body);
    answer_fini(&a);
}

static void recordings(void **state)
{
    static const struct {
        const char *api;
        const struct tg_dialect *dialect;
    } apis[] = {
        {"openai-embeddings", &tg_dialect_openai_embeddings},
        {"openai-moderations", &tg_dialect_openai_moderations},
        {"cohere-v2-rerank", &tg_dialect_rerank},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(apis); i++) {
        dialect = apis[i].dialect;
        int n = recordings_each(apis[i].api, check_recording);
        if (n < 0)
            skip_because("no recordings beside this checkout");
        assert_true(n > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_inputs, setup, teardown),
        cmocka_unit_test_setup_teardown(answers, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(sounds_and_images, setup, teardown),
        cmocka_unit_test_setup_teardown(media_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(pass_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(recordings, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
