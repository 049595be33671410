/* Real traffic of Anthropic's API, both ways: passed on, parsed and encoded anew, decoded and
 * rendered in every dialect; and what other providers said, rendered as Anthropic's. */
#include "check.h"

#include "anthropic_order.h"
#include "answer.h"
#include "dialect/dialect.h"
#include "json_equal.h"
#include "recordings.h"

static const struct tg_dialect *dialect;

static const struct tg_dialect *const others[] = {
    &tg_dialect_openai_chat, &tg_dialect_openai_completions, &tg_dialect_generate,
    &tg_dialect_simple_chat, &tg_dialect_anthropic,
};

static bool is_count(const struct recording *r)
{
    return tg_str_eq(r->api, TG_STR("anthropic-count-tokens"));
}

/* ---- requests ---- */

static struct tg_str joined(struct tg_arena *a, const struct iovec *iov, int n)
{
    struct tg_buf b;
    tg_buf_init(&b, 64u << 20);
    for (int i = 0; i < n; i++)
        tg_buf_add(&b, iov[i].iov_base, iov[i].iov_len);
    struct tg_str s = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    return s;
}

static void check_splice(struct recording *r, const struct tg_call *call)
{
    struct iovec iov[8];
    int n;
    bool hide;
    assert_int_equal(dialect->splice(&r->arena, call, call->model, true, iov, 8, &n, &hide), 0);
    assert_str_equal(joined(&r->arena, iov, n), r->request);
    assert_false(hide);
    assert_int_equal(dialect->splice(&r->arena, call, TG_STR("other"), true, iov, 8, &n, &hide), 0);
    struct tg_json_doc *old = recording_json(&r->arena, r->request);
    struct tg_json_doc *new = recording_json(&r->arena, joined(&r->arena, iov, n));
    struct tg_json_iter it = tg_json_iter(tg_json_root(old)), jt = tg_json_iter(tg_json_root(new));
    assert_int_equal(tg_json_count(tg_json_root(old)), tg_json_count(tg_json_root(new)));
    while (tg_json_next(&it) && tg_json_next(&jt)) {
        assert_str_equal(it.name, jt.name);
        if (!tg_str_eq(it.name, TG_STR("model")))
            assert_str_equal(tg_json_raw(new, jt.value), tg_json_raw(old, it.value));
    }
}

/* What is no part of a count's prompt may be left out of it. */
static bool may_differ(const struct recording *r, struct tg_str name)
{
    static const struct tg_str sampling[] = {
        TG_STR_INIT("max_tokens"), TG_STR_INIT("temperature"), TG_STR_INIT("stream"),
        TG_STR_INIT("metadata"),   TG_STR_INIT("top_p"),
    };
    if (tg_str_eq(name, TG_STR("model")))
        return true;
    for (size_t i = 0; is_count(r) && i < TG_ARRAY_LEN(sampling); i++) {
        if (tg_str_eq(name, sampling[i]))
            return true;
    }
    return false;
}

static void check_encoded(struct recording *r, const struct tg_chat_req *req)
{
    struct tg_adapter_target target = {.model = TG_STR("other"), .credential = TG_STR("k")};
    struct tg_adapter_request out;
    struct tg_fail f;
    tg_fail_clear(&f);
    if (tg_adapter_anthropic.encode(&r->arena, req, &target, &out, &f))
        fail_msg("%s: %s", r->name, f.message);
    assert_str_equal(out.path,
                     is_count(r) ? TG_STR("/v1/messages/count_tokens") : TG_STR("/v1/messages"));
    const struct tg_json *old = tg_json_root(recording_json(&r->arena, r->request));
    const struct tg_json *new = tg_json_root(recording_json(&r->arena, out.body));
    assert_str(tg_json_get_str(new, TG_STR("model")), "other");
    for (int way = 0; way < 2; way++) {
        struct tg_json_iter it = tg_json_iter(way ? new : old);
        while (tg_json_next(&it)) {
            const struct tg_json *other = tg_json_get(way ? old : new, it.name);
            if (may_differ(r, it.name) || json_equal(it.value, other))
                continue;
            if (!other && tg_str_eq(it.name, TG_STR("stream")) && !tg_json_true(it.value))
                continue; /* false is what absence means */
            fail_msg("%s: member %.*s differs\n%.*s\n%.*s", r->name, TG_STR_ARG(it.name),
                     TG_STR_ARG(r->request), TG_STR_ARG(out.body));
        }
    }
}

static void check_request(struct recording *r)
{
    struct tg_call call = {0};
    struct tg_fail f;
    struct tg_chat_req req;
    tg_fail_clear(&f);
    dialect = is_count(r) ? &tg_dialect_anthropic_count : &tg_dialect_anthropic;
    if (dialect->open(&r->arena, NULL, r->request, &call, &f))
        fail_msg("%s: open: %s", r->name, f.message);
    check_splice(r, &call);
    if (dialect->parse(&r->arena, &call, &req, &f))
        fail_msg("%s: parse: %s", r->name, f.message);
    assert_int_equal(req.task, is_count(r) ? TG_TASK_COUNT : TG_TASK_CHAT);
    check_encoded(r, &req);
}

static void each(void (*fn)(struct recording *r))
{
    int n = recordings_each("anthropic-messages", fn);
    if (n < 0)
        skip_because("no recordings beside this checkout");
    assert_true(n >= 70);
    assert_true(recordings_each("anthropic-count-tokens", fn) >= 3);
}

static void requests(void **state)
{
    each(check_request);
}

/* ---- answers ---- */

static struct tg_adapter_response response_of(const struct recording *r, bool tap)
{
    return (struct tg_adapter_response){
        .stream = r->stream,
        .tap = tap,
        .format = is_count(r) ? TG_WIRE_ANTHROPIC_COUNT : TG_WIRE_ANTHROPIC_MESSAGES,
        .task = is_count(r) ? TG_TASK_COUNT : TG_TASK_CHAT,
        .max_pending_bytes = 4u << 20,
    };
}

static void check_error_answer(struct recording *r)
{
    struct tg_http_head head = {.status = r->status};
    struct tg_fail f;
    struct tg_buf out;
    tg_fail_clear(&f);
    tg_buf_init(&out, 1 << 16);
    bool pass = tg_adapter_anthropic.classify(&r->arena, &head, r->body, &f);
    assert_int_equal(f.provider_status, r->status);
    assert_true(f.message[0] != 0);
    bool auth = r->status == 401 || r->status == 403;
    assert_int_equal(pass, !auth);
    assert_int_equal(tg_fail_status(&f), auth ? 502 : r->status);
    if (r->status == 429)
        assert_int_equal(f.err, TG_E_UPSTREAM_RATE_LIMIT);
    if (r->status == 529)
        assert_int_equal(f.err, TG_E_UPSTREAM_OVERLOADED);
    /* In its own dialect the type comes out as it went in. */
    tg_dialect_anthropic.render_fail(&f, TG_STR("req_1"), false, &out);
    const struct tg_json *want = tg_json_root(recording_json(&r->arena, r->body));
    const struct tg_json *got = tg_json_root(recording_json(&r->arena, tg_buf_str(&out)));
    struct tg_str type = tg_json_str(tg_json_get2(want, TG_STR("error"), TG_STR("type")));
    assert_str_equal(tg_json_str(tg_json_get2(got, TG_STR("error"), TG_STR("type"))),
                     auth ? TG_STR("api_error") : type);
    tg_buf_fini(&out);
}

/* What the recording's last usage says, read in the simplest way. */
static void check_usage(const struct recording *r, const struct tg_usage *u, struct tg_arena *a)
{
    int64_t in = 0, read = 0, write = 0, outp = 0;
    bool compacted = tg_str_find(r->body, TG_STR("\"compaction\"")) >= 0;
    struct tg_str rest = r->body, line;
    while (tg_str_split(&rest, r->stream ? '\n' : '\x1e', &line)) {
        struct tg_json_doc *doc;
        if (r->stream && !tg_str_starts(line, TG_STR("data:")))
            continue;
        if (tg_json_parse(a, tg_str_trim(tg_str_from(line, r->stream ? 5 : 0)), NULL, &doc, NULL))
            continue;
        const struct tg_json *root = tg_json_root(doc), *m = tg_json_get(root, TG_STR("message"));
        const struct tg_json *v = tg_json_get(m ? m : root, TG_STR("usage"));
        const struct {
            struct tg_str name;
            int64_t *out;
        } members[] = {
            {TG_STR_INIT("input_tokens"), &in},
            {TG_STR_INIT("cache_read_input_tokens"), &read},
            {TG_STR_INIT("cache_creation_input_tokens"), &write},
            {TG_STR_INIT("output_tokens"), &outp},
        };
        for (size_t i = 0; i < TG_ARRAY_LEN(members); i++) {
            int64_t n;
            if (tg_json_i64(tg_json_get(is_count(r) ? root : v, members[i].name), &n) == 0)
                *members[i].out = n;
        }
    }
    assert_int_equal(u->source, TG_USAGE_REPORTED);
    if (compacted) { /* and the compaction's own on top */
        assert_true(u->input_tokens > in && tg_usage_completion(u) > outp);
        return;
    }
    assert_int_equal(u->input_tokens, in);
    assert_int_equal(u->cache_read_tokens, read);
    assert_int_equal(u->cache_write_tokens, write);
    assert_int_equal(tg_usage_completion(u), outp);
}

/* Renders what an adapter's events say. */
struct renderer {
    struct tg_sink sink;
    const struct tg_dialect *dialect;
    struct tg_render_info info;
    void *state;
    struct tg_buf out;
    struct tg_usage usage;
};

static void render_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *re = tg_container_of(s, struct renderer, sink);
    if (ev->kind == TG_EV_USAGE)
        re->usage = *ev->usage;
    if (ev->kind != TG_EV_END)
        assert_int_equal(re->dialect->render(re->state, &re->info, ev, &re->out), 0);
}

static void render_all(struct renderer *re, const struct tg_dialect *to, struct recording *r,
                       const struct tg_adapter *ad, const struct tg_adapter_response *resp,
                       bool stream)
{
    struct tg_http_head head = {.status = 200};
    struct tg_call call = {.dialect = to};
    if (to != &tg_dialect_openai_chat && to != &tg_dialect_anthropic) {
        struct tg_str body = TG_STR("{\"model\":\"m\",\"prompt\":\"x\",\"message\":\"x\"}");
        assert_int_equal(to->open(&r->arena, NULL, body, &call, NULL), 0);
    }
    *re = (struct renderer){.sink.on_event = render_event, .dialect = to};
    re->info = (struct tg_render_info){.id = TG_STR("chatcmpl-1"),
                                       .request_id = TG_STR("req_1"),
                                       .model = TG_STR("m"),
                                       .provider = TG_STR("p"),
                                       .created_s = 1,
                                       .stream = stream,
                                       .include_usage = true,
                                       .call = &call,
                                       .arena = &r->arena};
    tg_buf_init(&re->out, 64u << 20);
    re->state = tg_calloc(1, to->state_bytes + 1);
    void *dec = tg_calloc(1, ad->state_bytes);
    assert_int_equal(to->begin(re->state, &re->info), 0);
    assert_int_equal(ad->begin(dec, resp), 0);
    assert_int_equal(ad->on_head(dec, &head), 0);
    assert_int_equal(ad->on_bytes(dec, r->body, &re->sink), 0);
    assert_int_equal(ad->on_end(dec, true, &re->sink), 0);
    assert_int_equal(to->finish(re->state, &re->info, &re->usage, 0, &re->out), 0);
    if (to->fini)
        to->fini(re->state);
    ad->fini(dec);
    tg_free(dec);
    tg_free(re->state);
}

/* The texts of a kind in an answer, joined. */
static struct tg_str texts_of(struct tg_arena *a, const struct answer *x, enum tg_part_kind kind)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 24);
    if (x->collect.n_choices)
        tg_collect_text(&x->collect.choices[0], kind, &b);
    if (x->collect.n_choices && kind == TG_PART_TEXT) /* which a refusal becomes */
        tg_collect_text(&x->collect.choices[0], TG_PART_REFUSAL, &b);
    struct tg_str s = tg_arena_dup(a, tg_buf_str(&b));
    tg_buf_fini(&b);
    return s;
}

static const struct tg_collect_part *next_call(const struct answer *x, size_t *io_i)
{
    const struct tg_collect_choice *ch = x->collect.n_choices ? &x->collect.choices[0] : NULL;
    while (ch && *io_i < ch->n_parts) {
        const struct tg_collect_part *p = &ch->parts[(*io_i)++];
        if (p->kind == TG_PART_TOOL_CALL)
            return p;
    }
    return NULL;
}

static void check_same_calls(struct recording *r, const struct answer *want,
                             const struct answer *got)
{
    size_t i = 0, k = 0;
    const struct tg_collect_part *x, *y;
    while ((x = next_call(want, &i)) != NULL) {
        y = next_call(got, &k);
        if (!y)
            fail_msg("%s: a call is missing", r->name);
        if (x->id.n)
            assert_str_equal(tg_buf_str(&y->id), tg_buf_str(&x->id));
        assert_str_equal(tg_buf_str(&y->name), tg_buf_str(&x->name));
        if (x->text.n) { /* written on one line, or as an object */
            const struct tg_json *a = tg_json_root(recording_json(&r->arena, tg_buf_str(&x->text)));
            const struct tg_json *b = tg_json_root(recording_json(&r->arena, tg_buf_str(&y->text)));
            assert_true(json_equal(a, b));
        }
    }
    assert_null(next_call(got, &k));
}

/* Rendered as Anthropic's and read again, an answer says the same: also its blocks' bytes. */
static void check_back(struct recording *r, const struct answer *want, bool stream,
                       struct tg_str text)
{
    static const enum tg_part_kind kinds[] = {TG_PART_TEXT, TG_PART_REASONING};
    struct tg_adapter_response resp = {.stream = stream, .format = TG_WIRE_ANTHROPIC_MESSAGES};
    struct answer got;
    answer_init(&got);
    if (stream)
        check_anthropic_order(text);
    assert_int_equal(answer_feed(&got, &tg_adapter_anthropic, &resp, text, 0, true), 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++)
        assert_str_equal(texts_of(&r->arena, &got, kinds[i]), texts_of(&r->arena, want, kinds[i]));
    check_same_calls(r, want, &got);
    if (want->usage.source == TG_USAGE_REPORTED) {
        assert_int_equal(tg_usage_prompt(&got.usage), tg_usage_prompt(&want->usage));
        assert_int_equal(tg_usage_completion(&got.usage), tg_usage_completion(&want->usage));
    }
    answer_fini(&got);
}

static void check_same_blocks(const struct answer *want, const struct answer *got)
{
    const struct tg_collect_choice *x = &want->collect.choices[0], *y = &got->collect.choices[0];
    size_t k = 0;
    for (size_t i = 0; i < x->n_parts; i++) {
        const struct tg_collect_part *p = &x->parts[i];
        bool said = p->text.n || p->signature.n || p->kind == TG_PART_TOOL_CALL;
        if (!said)
            continue; /* an empty text is not begun */
        assert_true(k < y->n_parts);
        const struct tg_collect_part *q = &y->parts[k++];
        assert_int_equal(p->kind, q->kind);
        assert_str_equal(tg_buf_str(&q->signature), tg_buf_str(&p->signature));
        assert_int_equal(p->opaque, q->opaque);
        assert_int_equal(p->n_citations, q->n_citations);
        for (size_t c = 0; c < p->n_citations; c++)
            assert_str_equal(tg_buf_str(&q->citations[c].raw), tg_buf_str(&p->citations[c].raw));
        if (p->kind == TG_PART_RAW)
            assert_str_equal(tg_buf_str(&q->text), tg_buf_str(&p->text));
    }
    assert_int_equal(k, y->n_parts);
    assert_int_equal(x->finish, y->finish);
    assert_str_equal(tg_buf_str(&y->finish_text), tg_buf_str(&x->finish_text));
}

static void check_dialects(struct recording *r, const struct answer *want)
{
    struct tg_adapter_response resp = response_of(r, false);
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++) {
        for (int stream = 0; stream < 2; stream++) {
            struct renderer re;
            render_all(&re, others[i], r, &tg_adapter_anthropic, &resp, stream);
            struct tg_str text = tg_buf_str(&re.out);
            if (!stream || others[i] == &tg_dialect_simple_chat)
                (void)recording_json(&r->arena, text);
            if (others[i] == &tg_dialect_anthropic) {
                struct tg_adapter_response again = {.stream = stream,
                                                    .format = TG_WIRE_ANTHROPIC_MESSAGES};
                struct answer got;
                answer_init(&got);
                check_back(r, want, stream, text);
                answer_feed(&got, &tg_adapter_anthropic, &again, text, 0, true);
                check_same_blocks(want, &got);
                answer_fini(&got);
            }
            if (others[i] == &tg_dialect_openai_chat) {
                struct tg_adapter_response again = {.stream = stream,
                                                    .format = TG_WIRE_OPENAI_CHAT};
                struct answer got;
                answer_init(&got);
                assert_int_equal(answer_feed(&got, &tg_adapter_openai, &again, text, 0, true), 0);
                assert_str_equal(texts_of(&r->arena, &got, TG_PART_TEXT),
                                 texts_of(&r->arena, want, TG_PART_TEXT));
                assert_str_equal(texts_of(&r->arena, &got, TG_PART_REASONING),
                                 texts_of(&r->arena, want, TG_PART_REASONING));
                check_same_calls(r, want, &got);
                answer_fini(&got);
            }
            tg_buf_fini(&re.out);
        }
    }
}

static bool ends_well(const struct recording *r)
{
    return !r->stream || tg_str_eq(r->stream_end, TG_STR("ok"));
}

static void check_splits(struct recording *r, bool tap)
{
    static const int cuts[] = {1, 3, 7, -1, -2};
    struct tg_adapter_response resp = response_of(r, tap);
    struct answer whole;
    answer_init(&whole);
    int rc = answer_feed(&whole, &tg_adapter_anthropic, &resp, r->body, 0, true);
    if ((rc == 0) != ends_well(r))
        fail_msg("%s: %d, %s", r->name, rc, whole.fail.message);
    assert_int_equal(whole.starts, 1);
    check_usage(r, &whole.usage, &r->arena);
    if (tap && ends_well(r))
        assert_str_equal(tg_buf_str(&whole.raws), r->body);
    if (!ends_well(r)) {
        assert_int_equal(whole.fail.err, TG_E_UPSTREAM_OVERLOADED);
        assert_string_equal(whole.fail.message, "Overloaded");
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct answer a;
        answer_init(&a);
        answer_feed(&a, &tg_adapter_anthropic, &resp, r->body, cuts[i], true);
        assert_str_equal(tg_buf_str(&a.log), tg_buf_str(&whole.log));
        assert_str_equal(tg_buf_str(&a.raws), tg_buf_str(&whole.raws));
        answer_fini(&a);
    }
    if (!tap && ends_well(r) && !is_count(r)) {
        assert_int_equal(whole.finishes, 1);
        check_dialects(r, &whole);
    }
    answer_fini(&whole);
}

/* One recording is several answers one behind the other: the first is taken. */
static void first_answer(struct recording *r)
{
    ptrdiff_t at = tg_str_find(r->body, TG_STR("event: message_stop"));
    ptrdiff_t end = at < 0 ? -1 : tg_str_find(tg_str_from(r->body, (size_t)at), TG_STR("\n\n"));
    if (r->stream && end > 0)
        r->body = tg_str_first(r->body, (size_t)(at + end) + 2);
}

static void check_answer(struct recording *r)
{
    first_answer(r);
    if (r->status >= 400) {
        check_error_answer(r);
        return;
    }
    check_splits(r, false);
    check_splits(r, true);
}

static void answers(void **state)
{
    each(check_answer);
}

/* ---- what others said, as Anthropic's ---- */

static void check_other(struct recording *r)
{
    struct tg_adapter_response resp = {
        .stream = r->stream, .format = TG_WIRE_OPENAI_CHAT, .max_pending_bytes = 4u << 20};
    bool well = !r->stream || tg_str_eq(r->stream_end, TG_STR("ok")) ||
                tg_str_eq(r->stream_end, TG_STR("ok-no-done"));
    struct answer want;
    if (r->status >= 400 || !well)
        return;
    answer_init(&want);
    assert_int_equal(answer_feed(&want, &tg_adapter_openai, &resp, r->body, 0, true), 0);
    for (int stream = 0; stream < 2; stream++) {
        struct renderer re;
        render_all(&re, &tg_dialect_anthropic, r, &tg_adapter_openai, &resp, stream);
        check_back(r, &want, stream, tg_buf_str(&re.out));
        tg_buf_fini(&re.out);
    }
    answer_fini(&want);
}

static void answers_of_others(void **state)
{
    int n = recordings_each("openai-chat", check_other);
    if (n < 0)
        skip_because("no recordings beside this checkout");
    assert_true(n > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(answers),
        cmocka_unit_test(answers_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
