/* Real traffic of Gemini and of Vertex, three ways: passed on byte for byte, requests parsed and
 * encoded anew, answers decoded and rendered in every dialect. */
#include "check.h"

#include "answer.h"
#include "dialect/dialect.h"
#include "json/proto.h"
#include "recordings.h"

static const struct tg_dialect *const others[] = {
    &tg_dialect_openai_chat, &tg_dialect_openai_completions, &tg_dialect_generate,
    &tg_dialect_simple_chat, &tg_dialect_anthropic,          &tg_dialect_gemini,
};

static enum tg_chat_task task_of(const struct recording *r)
{
    return tg_str_eq(r->api, TG_STR("gemini-count-tokens")) ? TG_TASK_COUNT
           : tg_str_eq(r->api, TG_STR("gemini-embed"))      ? TG_TASK_EMBED
                                                            : TG_TASK_CHAT;
}

static const struct tg_dialect *dialect_of(const struct recording *r)
{
    enum tg_chat_task t = task_of(r);
    return t == TG_TASK_COUNT   ? &tg_dialect_gemini_count
           : t == TG_TASK_EMBED ? &tg_dialect_gemini_embed
                                : &tg_dialect_gemini;
}

static void each(void (*fn)(struct recording *r))
{
    int n = recordings_each("gemini-generate", fn);
    if (n < 0)
        skip_because("no recordings beside this checkout");
    assert_true(n >= 37);
    assert_true(recordings_each("gemini-stream", fn) >= 46);
    assert_true(recordings_each("gemini-count-tokens", fn) >= 2);
    assert_true(recordings_each("gemini-embed", fn) >= 3);
}

/* ---- requests ---- */

/* Equal but for the spelling of names, the place of members, and what means nothing: an empty
 * object or list, a role of an instruction, false. */
static bool same(const struct tg_json *a, const struct tg_json *b);

static bool is_nothing(const struct tg_json *v)
{
    bool container = tg_json_is_obj(v) || tg_json_is_arr(v);
    return tg_json_is_nil(v) || (container && tg_json_count(v) == 0);
}

static const struct tg_json *get(const struct tg_json *obj, struct tg_str name)
{
    struct tg_json_iter it = tg_json_iter(obj);
    while (tg_json_next(&it)) {
        if (tg_json_proto_is(it.name, name) || tg_json_proto_is(name, it.name))
            return it.value;
    }
    return NULL;
}

static bool same_objects(const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter it = tg_json_iter(a);
    while (tg_json_next(&it)) {
        const struct tg_json *other = get(b, it.name);
        bool role = tg_str_eq(it.name, TG_STR("role"));
        if (tg_str_eq(it.name, TG_STR("model")))
            continue; /* replaced */
        if (!same(it.value, other) && !(role && (!other || tg_json_is_nil(it.value))))
            return false;
    }
    return true;
}

static bool same_arrays(const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter it = tg_json_iter(a), jt = tg_json_iter(b);
    if (tg_json_count(a) != tg_json_count(b))
        return false;
    while (tg_json_next(&it) && tg_json_next(&jt)) {
        if (!same(it.value, jt.value))
            return false;
    }
    return true;
}

static bool same(const struct tg_json *a, const struct tg_json *b)
{
    double x, y;
    if (is_nothing(a) && is_nothing(b))
        return true;
    if (tg_json_type(a) != tg_json_type(b))
        return false;
    if (tg_json_is_obj(a))
        return same_objects(a, b) && same_objects(b, a);
    if (tg_json_is_arr(a))
        return same_arrays(a, b);
    if (tg_json_is_str(a))
        return tg_str_eq(tg_json_str(a), tg_json_str(b));
    if (tg_json_is_num(a))
        return tg_json_double(a, &x) == 0 && tg_json_double(b, &y) == 0 && x == y;
    return tg_json_true(a) == tg_json_true(b);
}

/* The functions and the others of `tools` as one list: how they are grouped means nothing. */
static size_t tools_of(const struct tg_json *list, const struct tg_json **out, size_t max)
{
    size_t n = 0;
    struct tg_json_iter it = tg_json_iter(list);
    while (tg_json_next(&it)) {
        struct tg_json_iter m = tg_json_iter(it.value);
        while (tg_json_next(&m)) {
            bool functions = tg_json_proto_is(m.name, TG_STR("functionDeclarations"));
            struct tg_json_iter f = tg_json_iter(functions ? m.value : NULL);
            if (!functions && n < max)
                out[n++] = m.value;
            while (tg_json_next(&f) && n < max)
                out[n++] = f.value;
        }
    }
    return n;
}

static bool same_tools(const struct tg_json *a, const struct tg_json *b)
{
    const struct tg_json *x[64], *y[64];
    size_t n = tools_of(a, x, 64);
    if (tools_of(b, y, 64) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!same(x[i], y[i]))
            return false;
    }
    return true;
}

static void check_members(const struct recording *r, const struct tg_json *old,
                          const struct tg_json *new, struct tg_str body)
{
    for (int way = 0; way < 2; way++) {
        struct tg_json_iter it = tg_json_iter(way ? new : old);
        while (tg_json_next(&it)) {
            const struct tg_json *other = get(way ? old : new, it.name);
            bool tools = tg_str_eq(it.name, TG_STR("tools"));
            bool equal = tools ? same_tools(it.value, other) : same(it.value, other);
            if (!equal && !tg_str_eq(it.name, TG_STR("model")))
                fail_msg("%s: member %.*s differs\n%.*s\n%.*s", r->name, TG_STR_ARG(it.name),
                         TG_STR_ARG(r->request), TG_STR_ARG(body));
        }
    }
}

static const struct tg_json *inside(const struct tg_json *root)
{
    const struct tg_json *inner = tg_json_get(root, TG_STR("generateContentRequest"));
    return inner ? inner : root;
}

static void check_encoded(struct recording *r, const struct tg_chat_req *req)
{
    struct tg_adapter_target target = {.model = TG_STR("g"), .credential = TG_STR("k")};
    struct tg_adapter_request out;
    struct tg_fail f;
    tg_fail_clear(&f);
    if (tg_adapter_gemini.encode(&r->arena, req, &target, &out, &f))
        fail_msg("%s: %s", r->name, f.message);
    assert_int_equal(out.dropped, 0);
    const struct tg_json *old = tg_json_root(recording_json(&r->arena, r->request));
    const struct tg_json *new = tg_json_root(recording_json(&r->arena, out.body));
    check_members(r, inside(old), inside(new), out.body);
}

static void check_splice(struct recording *r, const struct tg_call *call)
{
    struct iovec iov[8];
    int n;
    bool hide;
    assert_int_equal(call->dialect->splice(&r->arena, call, TG_STR("g"), true, iov, 8, &n, &hide),
                     0);
    struct tg_buf b;
    tg_buf_init(&b, 64u << 20);
    for (int i = 0; i < n; i++)
        tg_buf_add(&b, iov[i].iov_base, iov[i].iov_len);
    assert_false(hide);
    if (tg_str_find(r->request, TG_STR("\"model\":")) < 0)
        check_str(tg_buf_str(&b), r->request, __FILE__, __LINE__);
    else
        assert_contains(tg_buf_str(&b), "\"models/g\"");
    tg_buf_fini(&b);
}

static void check_request(struct recording *r)
{
    struct tg_call call = {0};
    struct tg_chat_req req;
    struct tg_fail f;
    const struct tg_dialect *d = dialect_of(r);
    tg_fail_clear(&f);
    if (d->open(&r->arena, NULL, r->request, &call, &f)) {
        if (r->status >= 400 && f.err == TG_E_MISSING_FIELD)
            return;
        fail_msg("%s: open: %s", r->name, f.message);
    }
    check_splice(r, &call);
    if (d->parse(&r->arena, &call, &req, &f))
        fail_msg("%s: parse: %s", r->name, f.message);
    assert_int_equal(req.task, task_of(r));
    check_encoded(r, &req);
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
        .format = TG_WIRE_GEMINI_GENERATE,
        .task = task_of(r),
        .max_pending_bytes = 16u << 20,
    };
}

static void check_error_answer(struct recording *r)
{
    struct tg_http_head head = {.status = r->status};
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_adapter_gemini.classify(&r->arena, &head, r->body, &f);
    assert_int_equal(f.provider_status, r->status);
    assert_true(f.message[0] != 0);
    bool key = tg_str_find(r->body, TG_STR("API_KEY_INVALID")) >= 0;
    if (r->status == 403 || key)
        assert_int_equal(f.err, TG_E_UPSTREAM_AUTH);
    else
        assert_int_equal(tg_fail_status(&f), r->status);
    if (tg_str_find(r->body, TG_STR("34.4s")) >= 0)
        assert_int_equal(f.retry_after_ms, 34400);
}

static bool is_good(const struct recording *r)
{
    return !r->stream || tg_str_eq(r->stream_end, TG_STR("ok"));
}

static void check_splits(struct recording *r, bool tap)
{
    static const int cuts[] = {1, 2, 7, -1, -2, -3};
    struct tg_adapter_response resp = response_of(r, tap);
    struct answer whole;
    answer_init(&whole);
    int rc = answer_feed(&whole, &tg_adapter_gemini, &resp, r->body, 0, true);
    if ((rc == 0) != is_good(r))
        fail_msg("%s: %.*s", r->name, TG_STR_ARG(tg_buf_str(&whole.log)));
    if (tap && rc == 0)
        check_str(tg_buf_str(&whole.raws), r->body, __FILE__, __LINE__);
    for (size_t i = 0; i < TG_ARRAY_LEN(cuts); i++) {
        struct answer a;
        if (r->body.n > 300000 && cuts[i] > 0)
            continue;
        answer_init(&a);
        assert_int_equal(answer_feed(&a, &tg_adapter_gemini, &resp, r->body, cuts[i], true), rc);
        check_str(tg_buf_str(&a.log), tg_buf_str(&whole.log), __FILE__, __LINE__);
        check_str(tg_buf_str(&a.raws), tg_buf_str(&whole.raws), __FILE__, __LINE__);
        answer_fini(&a);
    }
    answer_fini(&whole);
}

/* What the answer's last usage says, read in the simplest way. */
static void check_usage(struct recording *r, const struct tg_usage *u)
{
    struct tg_str rest = r->body, line;
    int64_t total = 0;
    while (tg_str_split(&rest, r->stream ? '\n' : '\x1e', &line)) {
        struct tg_json_doc *doc;
        int64_t n;
        if (r->stream && !tg_str_starts(line, TG_STR("data:")))
            continue;
        line = tg_str_trim(tg_str_from(line, r->stream ? 5 : 0));
        if (tg_json_parse(&r->arena, line, NULL, &doc, NULL) == 0 &&
            tg_json_i64(
                tg_json_get2(tg_json_root(doc), TG_STR("usageMetadata"), TG_STR("totalTokenCount")),
                &n) == 0)
            total = n;
    }
    if (!total)
        return;
    assert_int_equal(u->source, TG_USAGE_REPORTED);
    if (tg_usage_total(u) != total)
        fail_msg("%s: %lld tokens of %lld", r->name, (long long)tg_usage_total(u),
                 (long long)total);
}

struct renderer {
    struct tg_sink sink;
    const struct tg_dialect *dialect;
    struct tg_render_info info;
    struct tg_call call;
    void *state;
    struct tg_buf out;
    struct tg_usage usage;
    int rc;
};

static void on_event(struct tg_sink *s, const struct tg_event *ev)
{
    struct renderer *re = tg_container_of(s, struct renderer, sink);
    if (ev->kind == TG_EV_USAGE)
        re->usage = *ev->usage;
    if (!re->rc)
        re->rc = re->dialect->render(re->state, &re->info, ev, &re->out);
}

static void render_as(struct recording *r, const struct tg_dialect *to, bool stream,
                      struct renderer *re)
{
    struct tg_adapter_response resp = response_of(r, false);
    struct tg_http_head head = {.status = 200};
    *re = (struct renderer){.sink.on_event = on_event, .dialect = to, .call.dialect = to};
    struct tg_str body = TG_STR("{\"model\":\"m\",\"prompt\":\"x\",\"message\":\"x\",\"contents\":"
                                "[{}],\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
                                "\"max_tokens\":1}");
    assert_int_equal(to->open(&r->arena, NULL, body, &re->call, NULL), 0);
    re->info = (struct tg_render_info){.id = TG_STR("chatcmpl-1"),
                                       .request_id = TG_STR("req_1"),
                                       .model = TG_STR("m"),
                                       .provider = TG_STR("gemini"),
                                       .created_s = 1,
                                       .stream = stream,
                                       .include_usage = true,
                                       .call = &re->call,
                                       .arena = &r->arena};
    tg_buf_init(&re->out, 64u << 20);
    re->state = tg_calloc(1, to->state_bytes + 1);
    void *dec = tg_calloc(1, tg_adapter_gemini.state_bytes);
    assert_int_equal(to->begin(re->state, &re->info), 0);
    assert_int_equal(tg_adapter_gemini.begin(dec, &resp), 0);
    assert_int_equal(tg_adapter_gemini.on_head(dec, &head), 0);
    assert_int_equal(tg_adapter_gemini.on_bytes(dec, r->body, &re->sink), 0);
    assert_int_equal(tg_adapter_gemini.on_end(dec, true, &re->sink), 0);
    assert_int_equal(re->rc, 0);
    assert_int_equal(to->finish(re->state, &re->info, &re->usage, 0, &re->out), 0);
    if (to->fini)
        to->fini(re->state);
    tg_adapter_gemini.fini(dec);
    tg_free(dec);
    tg_free(re->state);
}

static void render_fini_as(struct renderer *re)
{
    tg_buf_fini(&re->out);
}

static void check_json_blocks(const struct recording *r, struct tg_str text)
{
    struct tg_str line;
    while (tg_str_split(&text, '\n', &line)) {
        struct tg_arena a;
        struct tg_json_doc *doc;
        if (!tg_str_starts(line, TG_STR("data: ")) || tg_str_eq(line, TG_STR("data: [DONE]")))
            continue;
        tg_arena_init(&a, 4096, 256u << 20);
        if (tg_json_parse(&a, tg_str_from(line, 6), NULL, &doc, NULL))
            fail_msg("%s: %.*s", r->name, TG_STR_ARG(line));
        tg_arena_fini(&a);
    }
}

static void check_rendered(struct recording *r)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(others); i++) {
        for (int stream = 0; stream < 2; stream++) {
            struct renderer re;
            render_as(r, others[i], stream, &re);
            if (stream)
                check_json_blocks(r, tg_buf_str(&re.out));
            else
                recording_json(&r->arena, tg_buf_str(&re.out));
            render_fini_as(&re);
        }
    }
}

/* Rendered in their own dialect and decoded again, answers say the same. */
static void check_round(struct recording *r)
{
    for (int stream = 0; stream < 2; stream++) {
        struct renderer re;
        struct answer first, second;
        struct tg_adapter_response resp = response_of(r, false);
        answer_init(&first);
        answer_init(&second);
        assert_int_equal(answer_feed(&first, &tg_adapter_gemini, &resp, r->body, 0, true), 0);
        render_as(r, &tg_dialect_gemini, stream, &re);
        resp.stream = stream;
        assert_int_equal(
            answer_feed(&second, &tg_adapter_gemini, &resp, tg_buf_str(&re.out), 0, true), 0);
        assert_int_equal(first.collect.n_choices, second.collect.n_choices);
        for (size_t i = 0; i < first.collect.n_choices; i++) {
            const struct tg_collect_choice *x = &first.collect.choices[i];
            const struct tg_collect_choice *y = &second.collect.choices[i];
            static const enum tg_part_kind kinds[] = {TG_PART_TEXT, TG_PART_REASONING,
                                                      TG_PART_TOOL_CALL, TG_PART_RAW};
            for (size_t k = 0; k < TG_ARRAY_LEN(kinds); k++) {
                struct tg_buf a, b;
                tg_buf_init(&a, 64u << 20);
                tg_buf_init(&b, 64u << 20);
                tg_collect_text(x, kinds[k], &a);
                tg_collect_text(y, kinds[k], &b);
                if (!tg_str_eq(tg_str_trim(tg_buf_str(&a)), tg_str_trim(tg_buf_str(&b))) &&
                    kinds[k] != TG_PART_RAW && kinds[k] != TG_PART_TOOL_CALL)
                    fail_msg("%s: %.*s\n%.*s", r->name, TG_STR_ARG(tg_buf_str(&a)),
                             TG_STR_ARG(tg_buf_str(&b)));
                tg_buf_fini(&a);
                tg_buf_fini(&b);
            }
            check_str(tg_buf_str(&y->finish_text), tg_buf_str(&x->finish_text), __FILE__, __LINE__);
            assert_int_equal(x->finish, y->finish);
        }
        answer_fini(&first);
        answer_fini(&second);
        render_fini_as(&re);
    }
}

static void check_answer(struct recording *r)
{
    if (r->status >= 400) {
        check_error_answer(r);
        return;
    }
    check_splits(r, false);
    check_splits(r, true);
    if (!is_good(r))
        return;
    struct answer a;
    struct tg_adapter_response resp = response_of(r, false);
    answer_init(&a);
    assert_int_equal(answer_feed(&a, &tg_adapter_gemini, &resp, r->body, 0, true), 0);
    if (task_of(r) == TG_TASK_CHAT)
        check_usage(r, &a.usage);
    answer_fini(&a);
    if (task_of(r) != TG_TASK_CHAT)
        return;
    check_rendered(r);
    check_round(r);
}

static void answers(void **state)
{
    each(check_answer);
}

/* Every signature of an answer comes out of the Gemini dialect as it came in. */
static void check_signatures(struct recording *r)
{
    struct tg_str rest = r->body;
    if (r->status != 200 || task_of(r) != TG_TASK_CHAT || !is_good(r))
        return;
    for (int stream = 0; stream < 2; stream++) {
        struct renderer re;
        ptrdiff_t at;
        render_as(r, &tg_dialect_gemini, stream, &re);
        rest = r->body;
        while ((at = tg_str_find(rest, TG_STR("\"thoughtSignature\":"))) >= 0) {
            rest = tg_str_from(rest, (size_t)at + 19);
            rest = tg_str_from(rest, (size_t)tg_str_chr(rest, '"') + 1);
            struct tg_str s = tg_str_first(rest, (size_t)tg_str_chr(rest, '"'));
            if (tg_str_find(s, TG_STR("\\")) < 0 && tg_str_find(tg_buf_str(&re.out), s) < 0)
                fail_msg("%s: a signature is lost", r->name);
        }
        render_fini_as(&re);
    }
}

static void signatures(void **state)
{
    each(check_signatures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(answers),
        cmocka_unit_test(signatures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
