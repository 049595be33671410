/* Real traffic of every provider that speaks OpenAI's formats, through dialect and adapter, both
 * ways. */
#include "check.h"

#include "answer.h"
#include "base/rand.h"
#include "dialect/dialect.h"
#include "json_equal.h"
#include "recordings.h"

static const struct tg_dialect *dialect;
static const char *api;

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

/* Text between the first and the last difference is all that changed. */
static void check_only_changed(struct tg_str old, struct tg_str new, const char *what)
{
    size_t front = 0, back = 0;
    while (front < old.n && front < new.n &&old.p[front] == new.p[front])
        front++;
    while (back < old.n - front &&
           back < new.n - front &&old.p[old.n - 1 - back] == new.p[new.n - 1 - back])
        back++;
    struct tg_str gone = tg_str_make(old.p + front, old.n - front - back);
    if (gone.n > 200)
        fail_msg("%s: %zu bytes changed: %.*s", what, gone.n, 200, gone.p);
}

static void check_splice(struct recording *r, const struct tg_call *call)
{
    struct iovec iov[8];
    int n;
    bool hide;
    struct tg_arena *a = &r->arena;
    assert_int_equal(dialect->splice(a, call, call->model, false, iov, 8, &n, &hide), 0);
    assert_str_equal(joined(a, iov, n), r->request);
    assert_false(hide);
    assert_int_equal(
        dialect->splice(a, call, TG_STR("some/\"other\" model"), false, iov, 8, &n, &hide), 0);
    check_only_changed(r->request, joined(a, iov, n), r->name);
    assert_int_equal(dialect->splice(a, call, TG_STR("other"), true, iov, 8, &n, &hide), 0);
    assert_int_equal(hide, call->stream && !call->include_usage);
    struct tg_json_doc *old = recording_json(a, r->request);
    struct tg_json_doc *new = recording_json(a, joined(a, iov, n));
    const struct tg_json *got = tg_json_root(new);
    assert_str(tg_json_get_str(got, TG_STR("model")), "other");
    if (call->stream)
        assert_true(
            tg_json_true(tg_json_get2(got, TG_STR("stream_options"), TG_STR("include_usage"))));
    struct tg_json_iter it = tg_json_iter(tg_json_root(old));
    while (tg_json_next(&it)) {
        if (tg_str_eq(it.name, TG_STR("model")) || tg_str_eq(it.name, TG_STR("stream_options")))
            continue;
        assert_str_equal(tg_json_raw(new, tg_json_get(got, it.name)), tg_json_raw(old, it.value));
    }
}

/* What encode() may write in another way without saying something else. */
static bool is_rewritten(struct tg_str name)
{
    return tg_str_eq(name, TG_STR("model")) || tg_str_eq(name, TG_STR("stream")) ||
           tg_str_eq(name, TG_STR("stream_options")) || tg_str_eq(name, TG_STR("stop")) ||
           tg_str_eq(name, TG_STR("prompt"));
}

static void check_encoded(struct recording *r, const struct tg_call *call,
                          const struct tg_chat_req *req)
{
    struct tg_adapter_target target = {.model = TG_STR("other"), .base_path = TG_STR("/v1/")};
    struct tg_adapter_request out;
    struct tg_fail f;
    tg_fail_clear(&f);
    if (tg_adapter_openai.encode(&r->arena, req, &target, &out, &f))
        fail_msg("%s: %s", r->name, f.message);
    assert_str_equal(out.path, req->is_completion ? TG_STR("/v1/completions")
                                                  : TG_STR("/v1/chat/completions"));
    const struct tg_json *old = tg_json_root(recording_json(&r->arena, r->request));
    const struct tg_json *new = tg_json_root(recording_json(&r->arena, out.body));
    assert_str(tg_json_get_str(new, TG_STR("model")), "other");
    assert_int_equal(tg_json_true(tg_json_get(new, TG_STR("stream"))), call->stream);
    for (int way = 0; way < 2; way++) {
        struct tg_json_iter it = tg_json_iter(way ? new : old);
        while (tg_json_next(&it)) {
            const struct tg_json *other = tg_json_get(way ? old : new, it.name);
            if (is_rewritten(it.name) || json_equal(it.value, other))
                continue;
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
    if (r->synthesised)
        return;
    if (dialect->open(&r->arena, NULL, r->request, &call, &f))
        fail_msg("%s: open: %s", r->name, f.message);
    assert_ptr_equal(call.dialect, dialect);
    check_splice(r, &call);
    int rc = dialect->parse(&r->arena, &call, &req, &f);
    if (rc == TG_E_UNSUPPORTED_PARAMETER && tg_str_eq(r->api, TG_STR("openai-completions")))
        return; /* prompts of tokens */
    if (rc)
        fail_msg("%s: parse: %s", r->name, f.message);
    check_encoded(r, &call, &req);
}

static void requests(void **state)
{
    for (int i = 0; i < 2; i++) {
        api = i ? "openai-completions" : "openai-chat";
        dialect = i ? &tg_dialect_openai_completions : &tg_dialect_openai_chat;
        int n = recordings_each(api, check_request);
        if (n < 0)
            skip_because("no recordings beside this checkout");
        assert_true(n > 0);
    }
}

/* ---- answers ---- */

static struct tg_adapter_response response_of(const struct recording *r, bool tap)
{
    return (struct tg_adapter_response){
        .stream = r->stream,
        .tap = tap,
        .format = tg_str_eq(r->api, TG_STR("openai-chat")) ? TG_WIRE_OPENAI_CHAT
                                                           : TG_WIRE_OPENAI_COMPLETIONS,
        .max_pending_bytes = 4u << 20,
    };
}

static bool ends_well(const struct recording *r)
{
    if (!r->stream)
        return true;
    return tg_str_eq(r->stream_end, TG_STR("ok")) || tg_str_eq(r->stream_end, TG_STR("ok-no-done"));
}

/* What the recording's own usage objects say, read in the simplest way: the last one counts. */
static void check_usage(const struct recording *r, const struct tg_usage *u, struct tg_arena *a)
{
    int64_t prompt = -1, completion = -1, total = -1, reasoning = 0;
    struct tg_str rest = r->body, line;
    while (tg_str_split(&rest, r->stream ? '\n' : '\x1e', &line)) {
        struct tg_json_doc *doc;
        if (r->stream && !tg_str_starts(line, TG_STR("data:")))
            continue;
        if (tg_json_parse(a, tg_str_trim(tg_str_from(line, r->stream ? 5 : 0)), NULL, &doc, NULL))
            continue;
        const struct tg_json *v = tg_json_get(tg_json_root(doc), TG_STR("usage"));
        const struct tg_json *groq =
            tg_json_get2(tg_json_root(doc), TG_STR("x_groq"), TG_STR("usage"));
        v = tg_json_is_obj(v) ? v : prompt < 0 ? groq : NULL;
        if (!tg_json_is_obj(v))
            continue;
        assert_int_equal(tg_json_i64(tg_json_get(v, TG_STR("prompt_tokens")), &prompt), 0);
        assert_int_equal(tg_json_i64(tg_json_get(v, TG_STR("completion_tokens")), &completion), 0);
        assert_int_equal(tg_json_i64(tg_json_get(v, TG_STR("total_tokens")), &total), 0);
        if (tg_json_i64(
                tg_json_get2(v, TG_STR("completion_tokens_details"), TG_STR("reasoning_tokens")),
                &reasoning))
            reasoning = 0;
    }
    if (prompt < 0) {
        assert_int_equal(u->source, TG_USAGE_ABSENT);
        return;
    }
    assert_int_equal(u->source, TG_USAGE_REPORTED);
    assert_int_equal(tg_usage_prompt(u), prompt);
    assert_int_equal(u->reasoning_tokens, reasoning);
    if (tg_usage_completion(u) != completion) {
        /* Reasoning on top: then the total says so, or it alone is larger. */
        assert_int_equal(tg_usage_completion(u), completion + reasoning);
        assert_true(tg_usage_total(u) == total || reasoning > completion);
    }
}

static void check_error_answer(struct recording *r)
{
    struct tg_http_head head = {.status = r->status};
    struct tg_fail f;
    tg_fail_clear(&f);
    bool pass = tg_adapter_openai.classify(&r->arena, &head, r->body, &f);
    assert_int_not_equal(f.err, 0);
    assert_int_equal(f.provider_status, r->status);
    assert_in_range(tg_fail_status(&f), 400, 599);
    assert_true(f.message[0] != 0);
    if (r->status == 401 || r->status == 403) {
        assert_int_equal(f.err, TG_E_UPSTREAM_AUTH);
        assert_int_equal(tg_fail_status(&f), 502);
        assert_false(pass);
        assert_lacks(tg_str_c(f.message), "key");
    }
    if (r->status == 429)
        assert_int_equal(f.err, TG_E_UPSTREAM_RATE_LIMIT);
    if (tg_str_find(r->body, TG_STR("<html")) >= 0) {
        assert_false(pass);
        assert_lacks(tg_str_c(f.message), "<");
    }
}

static void check_collected_equal(const struct tg_collect *a, const struct tg_collect *b,
                                  const char *name)
{
    static const enum tg_part_kind kinds[] = {TG_PART_TEXT, TG_PART_REASONING, TG_PART_REFUSAL};
    assert_int_equal(a->n_choices, b->n_choices);
    for (size_t i = 0; i < a->n_choices; i++) {
        const struct tg_collect_choice *x = &a->choices[i], *y = &b->choices[i];
        assert_int_equal(x->index, y->index);
        assert_int_equal(x->finish, y->finish);
        for (size_t k = 0; k < TG_ARRAY_LEN(kinds); k++) {
            struct tg_buf s, t;
            tg_buf_init(&s, 1 << 24);
            tg_buf_init(&t, 1 << 24);
            tg_collect_text(x, kinds[k], &s);
            tg_collect_text(y, kinds[k], &t);
            if (!tg_str_eq(tg_buf_str(&s), tg_buf_str(&t)))
                fail_msg("%s: texts differ: \"%.*s\" \"%.*s\"", name, TG_STR_ARG(tg_buf_str(&s)),
                         TG_STR_ARG(tg_buf_str(&t)));
            tg_buf_fini(&s);
            tg_buf_fini(&t);
        }
        size_t n = 0, m = 0;
        for (;; n++, m++) {
            while (n < x->n_parts && x->parts[n].kind != TG_PART_TOOL_CALL)
                n++;
            while (m < y->n_parts && y->parts[m].kind != TG_PART_TOOL_CALL)
                m++;
            assert_int_equal(n < x->n_parts, m < y->n_parts);
            if (n >= x->n_parts)
                break;
            assert_str_equal(tg_buf_str(&x->parts[n].id), tg_buf_str(&y->parts[m].id));
            assert_str_equal(tg_buf_str(&x->parts[n].name), tg_buf_str(&y->parts[m].name));
            assert_str_equal(tg_buf_str(&x->parts[n].text), tg_buf_str(&y->parts[m].text));
        }
    }
}

/* Renders what an answer's events said, as stream or not, from a second run of the adapter. */
struct renderer {
    struct tg_sink sink;
    struct tg_render_info info;
    void *state;
    struct tg_buf out;
};

static void render_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *r = tg_container_of(s, struct renderer, sink);
    assert_int_equal(dialect->render(r->state, &r->info, ev, &r->out), 0);
}

static void check_rendered(struct recording *r, const struct answer *want, bool stream)
{
    struct tg_adapter_response resp = response_of(r, false);
    struct renderer re = {.sink.on_event = render_event,
                          .info = {.id = TG_STR("chatcmpl-1"),
                                   .model = TG_STR("m"),
                                   .created_s = 1,
                                   .stream = stream,
                                   .include_usage = true,
                                   .arena = &r->arena}};
    struct tg_http_head head = {.status = 200};
    struct answer got;
    answer_init(&got);
    tg_buf_init(&re.out, 64u << 20);
    re.state = tg_calloc(1, dialect->state_bytes);
    void *dec = tg_calloc(1, tg_adapter_openai.state_bytes);
    assert_int_equal(dialect->begin(re.state, &re.info), 0);
    assert_int_equal(tg_adapter_openai.begin(dec, &resp), 0);
    assert_int_equal(tg_adapter_openai.on_head(dec, &head), 0);
    assert_int_equal(tg_adapter_openai.on_bytes(dec, r->body, &re.sink), 0);
    assert_int_equal(tg_adapter_openai.on_end(dec, true, &re.sink), 0);
    assert_int_equal(dialect->finish(re.state, &re.info, &want->usage, 0, &re.out), 0);
    dialect->fini(re.state);
    tg_adapter_openai.fini(dec);
    resp.stream = stream;
    answer_feed(&got, &tg_adapter_openai, &resp, tg_buf_str(&re.out), 0, true);
    assert_int_equal(got.ends, 1);
    check_collected_equal(&want->collect, &got.collect, r->name);
    assert_memory_equal(&want->usage, &got.usage, sizeof(got.usage));
    tg_free(re.state);
    tg_free(dec);
    tg_buf_fini(&re.out);
    answer_fini(&got);
}

static void check_splits(struct recording *r, bool tap)
{
    static const int cuts[] = {1, 3, 7, -1, -2};
    struct tg_adapter_response resp = response_of(r, tap);
    struct answer whole;
    answer_init(&whole);
    int rc = answer_feed(&whole, &tg_adapter_openai, &resp, r->body, 0, true);
    if ((rc == 0) != ends_well(r))
        fail_msg("%s: %d, %s", r->name, rc, whole.fail.message);
    assert_int_equal(whole.ends, ends_well(r));
    check_usage(r, &whole.usage, &r->arena);
    if (tap && ends_well(r))
        assert_str_equal(tg_buf_str(&whole.raws), r->body);
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct answer a;
        answer_init(&a);
        answer_feed(&a, &tg_adapter_openai, &resp, r->body, cuts[i], true);
        assert_str_equal(tg_buf_str(&a.log), tg_buf_str(&whole.log));
        assert_str_equal(tg_buf_str(&a.raws), tg_buf_str(&whole.raws));
        answer_fini(&a);
    }
    if (!tap && ends_well(r)) {
        assert_true(whole.finishes >= 1);
        check_rendered(r, &whole, true);
        check_rendered(r, &whole, false);
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
    for (int i = 0; i < 2; i++) {
        api = i ? "openai-completions" : "openai-chat";
        dialect = i ? &tg_dialect_openai_completions : &tg_dialect_openai_chat;
        int n = recordings_each(api, check_answer);
        if (n < 0)
            skip_because("no recordings beside this checkout");
        assert_true(n > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
