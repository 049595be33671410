/* Real traffic of every provider that speaks OpenAI's Responses, three ways: passed through, parsed
 * and encoded again, and decoded and rendered in every other dialect; and every other provider's
 * answers rendered as Responses. */
#include "check.h"

#include "answer.h"
#include "chat/call_id.h"
#include "dialect/dialect.h"
#include "json_equal.h"
#include "recordings.h"
#include "responses_order.h"

static const struct tg_dialect *const dialect = &tg_dialect_responses;
static const struct tg_adapter *const adapter = &tg_adapter_openai_responses;

/* ---- requests ---- */

static struct tg_str spliced(struct tg_arena *a, const struct tg_call *call, struct tg_str model)
{
    struct iovec iov[8];
    struct tg_buf b;
    bool hide;
    int n;
    assert_int_equal(dialect->splice(a, call, model, true, iov, 8, &n, &hide), 0);
    assert_false(hide); /* usage comes without being asked for */
    tg_buf_init(&b, 64u << 20);
    for (int i = 0; i < n; i++)
        tg_buf_add(&b, iov[i].iov_base, iov[i].iov_len);
    struct tg_str s = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    return s;
}

static void compare(const char *name, const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter it = tg_json_iter(a);
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("model")) || tg_str_eq(it.name, TG_STR("stream")) ||
            tg_str_eq(it.name, TG_STR("previous_response_id")))
            continue;
        if (!json_equal(it.value, tg_json_get(b, it.name)))
            fail_msg("%s: member %.*s differs", name, TG_STR_ARG(it.name));
    }
}

/* Each item of the input once and byte for byte. */
static void compare_items(struct recording *r, struct tg_str encoded)
{
    struct tg_json_doc *old = recording_json(&r->arena, r->request);
    struct tg_json_doc *new = recording_json(&r->arena, encoded);
    const struct tg_json *a = tg_json_get(tg_json_root(old), TG_STR("input"));
    const struct tg_json *b = tg_json_get(tg_json_root(new), TG_STR("input"));
    struct tg_json_iter it = tg_json_iter(a), jt = tg_json_iter(b);
    assert_int_equal(tg_json_count(a), tg_json_count(b));
    while (tg_json_next(&it) && tg_json_next(&jt))
        assert_str_equal(tg_json_raw(new, jt.value), tg_json_raw(old, it.value));
}

static void check_request(struct recording *r)
{
    static const struct tg_str nothing[] = {TG_STR_INIT("[]")};
    struct tg_adapter_target target = {.model = TG_STR("other"), .base_path = TG_STR("/v1/")};
    struct tg_adapter_request out;
    struct tg_call call = {0};
    struct tg_fail f;
    struct tg_chat_req req;
    tg_fail_clear(&f);
    if (r->synthesised)
        return;
    if (dialect->open(&r->arena, NULL, r->request, &call, &f))
        fail_msg("%s: open: %s", r->name, f.message);
    assert_str_equal(spliced(&r->arena, &call, call.model), r->request);
    call.history = nothing;
    call.n_history = call.previous_id.n ? 1 : 0;
    if (dialect->parse(&r->arena, &call, &req, &f))
        fail_msg("%s: parse: %s", r->name, f.message);
    if (adapter->encode(&r->arena, &req, &target, &out, &f))
        fail_msg("%s: encode: %s", r->name, f.message);
    assert_str(out.path, "/v1/responses");
    const struct tg_json *old = tg_json_root(recording_json(&r->arena, r->request));
    const struct tg_json *new = tg_json_root(recording_json(&r->arena, out.body));
    assert_str(tg_json_get_str(new, TG_STR("model")), "other");
    assert_int_equal(tg_json_true(tg_json_get(new, TG_STR("stream"))), call.stream);
    compare(r->name, old, new);
    compare(r->name, new, old);
    compare_items(r, out.body);
}

static void requests(void **state)
{
    int n = recordings_each("openai-responses", check_request);
    if (n < 0)
        skip_because("no recordings beside this checkout");
    assert_true(n > 50);
}

/* ---- answers ---- */

static struct tg_adapter_response response_of(const struct recording *r, bool tap)
{
    return (struct tg_adapter_response){.stream = r->stream,
                                        .tap = tap,
                                        .format = TG_WIRE_OPENAI_RESPONSES,
                                        .max_pending_bytes = 4u << 20};
}

static bool ends_well(const struct recording *r)
{
    return !r->stream || tg_str_eq(r->stream_end, TG_STR("ok"));
}

/* The final response's own words. Some recordings hold the next turn's stream as well. */
static void check_usage(const struct recording *r, const struct answer *a, struct tg_arena *arena)
{
    const struct tg_json *usage = NULL;
    struct tg_str rest = r->body, line;
    while (tg_str_split(&rest, r->stream ? '\n' : '\x1e', &line)) {
        struct tg_json_doc *doc;
        if (r->stream && !tg_str_starts(line, TG_STR("data:")))
            continue;
        if (tg_json_parse(arena, tg_str_trim(tg_str_from(line, r->stream ? 5 : 0)), NULL, &doc,
                          NULL))
            continue;
        const struct tg_json *root = tg_json_root(doc);
        const struct tg_json *response = r->stream ? tg_json_get(root, TG_STR("response")) : root;
        if (!usage && tg_json_is_obj(tg_json_get(response, TG_STR("usage"))))
            usage = tg_json_get(response, TG_STR("usage"));
    }
    int64_t input = 0, output = 0, cached = 0;
    if (!usage) {
        assert_int_equal(a->usage.source, TG_USAGE_ABSENT);
        return;
    }
    assert_int_equal(tg_json_i64(tg_json_get(usage, TG_STR("input_tokens")), &input), 0);
    assert_int_equal(tg_json_i64(tg_json_get(usage, TG_STR("output_tokens")), &output), 0);
    if (tg_json_i64(tg_json_get2(usage, TG_STR("input_tokens_details"), TG_STR("cached_tokens")),
                    &cached))
        cached = 0;
    assert_int_equal(a->usage.source, TG_USAGE_REPORTED);
    assert_int_equal(tg_usage_prompt(&a->usage), input);
    assert_int_equal(a->usage.cache_read_tokens, cached);
    assert_in_range(tg_usage_completion(&a->usage), output, output + a->usage.reasoning_tokens);
}

static struct tg_str joined(const struct tg_collect *c, enum tg_part_kind kind, struct tg_buf *b)
{
    tg_buf_init(b, 64u << 20);
    if (c->n_choices)
        tg_collect_text(&c->choices[0], kind, b);
    return tg_buf_str(b);
}

/* A call's id that came without one is made up; a signature rides on it. */
static void same_id(const struct tg_collect_part *want, struct tg_str got)
{
    struct tg_str id, signature;
    struct tg_arena a;
    tg_arena_init(&a, 4096, 1 << 20);
    assert_int_equal(tg_call_id_split(&a, got, &id, &signature), 0);
    assert_true(id.n > 0);
    if (want->id.n)
        assert_str_equal(id, tg_buf_str(&want->id));
    if (want->opaque == TG_OPAQUE_THOUGHT)
        assert_str_equal(signature, tg_buf_str(&want->signature));
    tg_arena_fini(&a);
}

/* Texts are compared as a whole; what only keeps another provider's state has a test of its own. */
static bool is_compared(const struct tg_collect_part *p)
{
    struct tg_str sealed = tg_buf_str(&p->signature);
    if (p->kind == TG_PART_REASONING)
        return p->text.n || (p->opaque == TG_OPAQUE_ENCRYPTED && sealed.n &&
                             !tg_str_starts(sealed, TG_STR("tgs1.")));
    return p->kind == TG_PART_TOOL_CALL || p->kind == TG_PART_IMAGE;
}

static void same_parts(const struct tg_collect *a, const struct tg_collect *b, const char *name)
{
    size_t n = 0, m = 0, na = a->n_choices ? a->choices[0].n_parts : 0;
    size_t nb = b->n_choices ? b->choices[0].n_parts : 0;
    for (;; n++, m++) {
        while (n < na && !is_compared(&a->choices[0].parts[n]))
            n++;
        while (m < nb && !is_compared(&b->choices[0].parts[m]))
            m++;
        if ((n < na) != (m < nb))
            fail_msg("%s: a part is missing", name);
        if (n >= na)
            break;
        const struct tg_collect_part *x = &a->choices[0].parts[n], *y = &b->choices[0].parts[m];
        assert_int_equal(x->kind, y->kind);
        if (x->kind == TG_PART_TOOL_CALL)
            same_id(x, tg_buf_str(&y->id));
        assert_str_equal(tg_buf_str(&x->name), tg_buf_str(&y->name));
        assert_str_equal(tg_buf_str(&x->text), tg_buf_str(&y->text));
        if (x->opaque == TG_OPAQUE_ENCRYPTED)
            assert_str_equal(tg_buf_str(&x->signature), tg_buf_str(&y->signature));
    }
}

static void same_answer(const struct tg_collect *a, const struct tg_collect *b, const char *name)
{
    static const enum tg_part_kind kinds[] = {TG_PART_TEXT, TG_PART_REFUSAL, TG_PART_REASONING};
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++) {
        struct tg_buf x, y;
        if (!tg_str_eq(joined(a, kinds[i], &x), joined(b, kinds[i], &y)))
            fail_msg("%s: texts differ: \"%.*s\" \"%.*s\"", name, TG_STR_ARG(tg_buf_str(&x)),
                     TG_STR_ARG(tg_buf_str(&y)));
        tg_buf_fini(&x);
        tg_buf_fini(&y);
    }
    same_parts(a, b, name);
}

/* ---- rendering ---- */

struct renderer {
    struct tg_sink sink;
    const struct tg_dialect *dialect;
    struct tg_render_info info;
    struct tg_usage usage;
    void *state;
    struct tg_buf out;
    struct tg_fail fail;
    bool failed;
    size_t longest; /* bytes that one event became */
};

static void render_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *r = tg_container_of(s, struct renderer, sink);
    size_t before = r->out.n;
    if (ev->kind == TG_EV_USAGE)
        r->usage = *ev->usage;
    if (ev->kind == TG_EV_ERROR) {
        r->failed = true;
        r->fail = *ev->fail;
    }
    if (ev->kind == TG_EV_END || ev->kind == TG_EV_ERROR)
        return;
    assert_int_equal(r->dialect->render(r->state, &r->info, ev, &r->out), 0);
    r->longest = r->out.n - before > r->longest ? r->out.n - before : r->longest;
}

/* A recording through an adapter into a dialect. */
static void render_recording(struct renderer *re, struct recording *r, const struct tg_adapter *ad,
                             enum tg_wire_format format, const struct tg_dialect *d, bool stream)
{
    struct tg_adapter_response resp = {
        .stream = r->stream, .format = format, .max_pending_bytes = 4u << 20};
    struct tg_http_head head = {.status = 200};
    *re = (struct renderer){.sink.on_event = render_event,
                            .dialect = d,
                            .info = {.id = TG_STR("chatcmpl-1"),
                                     .request_id = TG_STR("req_1"),
                                     .model = TG_STR("m"),
                                     .created_s = 1,
                                     .stream = stream,
                                     .include_usage = true,
                                     .arena = &r->arena}};
    tg_buf_init(&re->out, 256u << 20);
    re->state = tg_calloc(1, d->state_bytes + 1);
    void *dec = tg_calloc(1, ad->state_bytes);
    assert_int_equal(d->begin(re->state, &re->info), 0);
    assert_int_equal(ad->begin(dec, &resp), 0);
    assert_int_equal(ad->on_head(dec, &head), 0);
    int rc = ad->on_bytes(dec, r->body, &re->sink);
    rc = ad->on_end(dec, true, &re->sink) ? -1 : rc;
    if (re->failed && stream && d->broken)
        assert_int_equal(d->broken(re->state, &re->info, &re->fail, &re->out), 0);
    else if (!re->failed)
        assert_int_equal(d->finish(re->state, &re->info, &re->usage, 0, &re->out), 0);
    assert_true(rc == 0 || re->failed);
    ad->fini(dec);
    tg_free(dec);
}

static void render_done(struct renderer *re)
{
    if (re->dialect->fini)
        re->dialect->fini(re->state);
    tg_free(re->state);
    tg_buf_fini(&re->out);
}

/* As Responses, and read again: the same. */
static void check_as_responses(struct recording *r, const struct tg_adapter *ad,
                               enum tg_wire_format format, const struct tg_collect *want)
{
    for (int stream = 0; stream < 2; stream++) {
        struct renderer re;
        struct answer got;
        struct ro order;
        render_recording(&re, r, ad, format, dialect, stream);
        if (stream) {
            ro_read(&order, tg_buf_str(&re.out), r->name);
            assert_int_equal(tg_str_eq(order.status, TG_STR("failed")), re.failed);
            assert_int_equal(order.rest, 0);
            ro_fini(&order);
        }
        if (!re.failed) {
            struct tg_adapter_response resp = {.stream = stream,
                                               .format = TG_WIRE_OPENAI_RESPONSES,
                                               .max_pending_bytes = 64u << 20};
            answer_init(&got);
            answer_feed(&got, adapter, &resp, tg_buf_str(&re.out), 0, true);
            if (!got.ends)
                fail_msg("%s: %s", r->name, got.fail.message);
            same_answer(want, &got.collect, r->name);
            assert_memory_equal(&re.usage, &got.usage, sizeof(got.usage));
            answer_fini(&got);
        }
        render_done(&re);
    }
}

static const struct tg_dialect *const others[] = {
    &tg_dialect_openai_chat, &tg_dialect_openai_completions, &tg_dialect_anthropic,
    &tg_dialect_gemini,      &tg_dialect_ollama_chat,
};

/* Every dialect has something to say of every answer, and says what was said. */
static void check_in_others(struct recording *r, const struct tg_collect *want)
{
    struct tg_buf text;
    struct tg_str said = joined(want, TG_PART_TEXT, &text);
    for (size_t i = 0; i < TG_ARRAY_LEN(others) * 2; i++) {
        struct renderer re;
        bool stream = i % 2;
        render_recording(&re, r, adapter, TG_WIRE_OPENAI_RESPONSES, others[i / 2], stream);
        assert_true(re.failed || re.out.n > 0);
        if (!re.failed && !stream && said.n) {
            struct tg_buf b;
            tg_buf_init(&b, 64u << 20);
            tg_buf_json(&b, said);
            /* Several texts stay apart in some formats: then only the first words are compared. */
            struct tg_str first = tg_str_first(tg_buf_str(&b), 20);
            if (tg_str_find(tg_buf_str(&re.out), first) < 0)
                fail_msg("%s: the text is missing in %s", r->name, others[i / 2]->name);
            tg_buf_fini(&b);
        }
        render_done(&re);
    }
    tg_buf_fini(&text);
}

/* ---- every recording ---- */

static void check_error_answer(struct recording *r)
{
    struct tg_http_head head = {.status = r->status};
    struct tg_fail f;
    tg_fail_clear(&f);
    adapter->classify(&r->arena, &head, r->body, &f);
    assert_int_not_equal(f.err, 0);
    assert_int_equal(f.provider_status, r->status);
    assert_true(f.message[0] != 0);
    if (r->status == 401)
        assert_int_equal(f.err, TG_E_UPSTREAM_AUTH);
    if (r->status == 429)
        assert_int_equal(f.err, TG_E_UPSTREAM_RATE_LIMIT);
}

static void check_splits(struct recording *r, bool tap)
{
    static const int cuts[] = {1, 3, 7, -1, -2};
    struct tg_adapter_response resp = response_of(r, tap);
    struct answer whole;
    answer_init(&whole);
    answer_feed(&whole, adapter, &resp, r->body, 0, true);
    if (whole.ends != (unsigned)ends_well(r))
        fail_msg("%s: %s", r->name, whole.fail.message);
    check_usage(r, &whole, &r->arena);
    if (tap && ends_well(r))
        assert_str_equal(tg_buf_str(&whole.raws), r->body);
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct answer a;
        answer_init(&a);
        answer_feed(&a, adapter, &resp, r->body, cuts[i], true);
        assert_str_equal(tg_buf_str(&a.log), tg_buf_str(&whole.log));
        assert_str_equal(tg_buf_str(&a.raws), tg_buf_str(&whole.raws));
        answer_fini(&a);
    }
    if (!tap && ends_well(r)) {
        assert_int_equal(whole.starts, 1);
        assert_int_equal(whole.finishes, 1);
        check_as_responses(r, adapter, TG_WIRE_OPENAI_RESPONSES, &whole.collect);
        check_in_others(r, &whole.collect);
    }
    answer_fini(&whole);
}

static void check_answer(struct recording *r)
{
    if (r->status >= 400) {
        check_error_answer(r);
        return;
    }
    check_splits(r, false);
    check_splits(r, true);
}

static void answers(void **state)
{
    int n = recordings_each("openai-responses", check_answer);
    if (n < 0)
        skip_because("no recordings beside this checkout");
    assert_true(n > 50);
}

/* ---- the grammar against real streams ---- */

static unsigned real_streams;

static void check_real_order(struct recording *r)
{
    struct ro order;
    if (!r->stream || !ends_well(r) || !tg_str_eq(r->provider, TG_STR("openai")))
        return;
    ro_read(&order, r->body, r->name);
    ro_fini(&order);
    real_streams++;
}

static void grammar_of_real_streams(void **state)
{
    if (recordings_each("openai-responses", check_real_order) < 0)
        skip_because("no recordings beside this checkout");
    assert_true(real_streams > 20);
}

/* ---- others' answers as Responses ---- */

static const struct tg_adapter *other_adapter;
static enum tg_wire_format other_format;
static unsigned rendered;

static void check_other(struct recording *r)
{
    struct tg_adapter_response resp = {
        .stream = r->stream, .format = other_format, .max_pending_bytes = 4u << 20};
    struct answer whole;
    if (r->status >= 400)
        return;
    answer_init(&whole);
    answer_feed(&whole, other_adapter, &resp, r->body, 0, true);
    if (whole.collect.n_choices <= 1) /* this format has but one */
        check_as_responses(r, other_adapter, other_format, &whole.collect);
    rendered++;
    answer_fini(&whole);
}

static void other_providers(void **state)
{
    static const struct {
        const char *api;
        const struct tg_adapter *adapter;
        enum tg_wire_format format;
    } all[] = {
        {"openai-chat", &tg_adapter_openai, TG_WIRE_OPENAI_CHAT},
        {"anthropic-messages", &tg_adapter_anthropic, TG_WIRE_ANTHROPIC_MESSAGES},
        {"gemini-generate", &tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE},
        {"gemini-stream", &tg_adapter_gemini, TG_WIRE_GEMINI_GENERATE},
        {"ollama-chat", &tg_adapter_ollama, TG_WIRE_OLLAMA_CHAT},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(all); i++) {
        other_adapter = all[i].adapter;
        other_format = all[i].format;
        if (recordings_each(all[i].api, check_other) < 0)
            skip_because("no recordings beside this checkout");
    }
    assert_true(rendered > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(grammar_of_real_streams),
        cmocka_unit_test(answers),
        cmocka_unit_test(other_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
