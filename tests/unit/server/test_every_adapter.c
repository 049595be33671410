/* What every adapter must hold, whatever its format: any split of the bytes gives the same events;
 * a cut anywhere gives exactly one ERROR and never END; nothing grows per event; errors become
 * errors; memory may run out at any point. Its answers are rows in adapter_cases.c, and one that is
 * registered without them fails here. */
#include "check.h"

#include <stdio.h>

#include "adapter_cases.h"
#include "answer.h"
#include "base/base64.h"
#include "core/runtime.h"
#include "json/json.h"
#include "server/registry.h"
#include "wire/aws_eventstream.h"

/* An answer's text as its bytes. */
static void add_bytes(const struct adapter_case *k, struct tg_str text, struct tg_buf *out)
{
    struct tg_str line, type;
    if (k->framing == PLAIN)
        assert_int_equal(tg_buf_str_add(out, text), 0);
    while (k->framing != PLAIN && tg_str_split(&text, '\n', &line)) {
        struct tg_buf payload;
        tg_buf_init(&payload, 64u << 20);
        if (!tg_str_split(&line, ' ', &type) || !line.n)
            continue;
        if (k->framing == FRAMES) {
            tg_buf_str_add(&payload, line);
        } else {
            tg_buf_lit(&payload, "{\"bytes\":\"");
            tg_base64_encode(line, &payload);
            tg_buf_lit(&payload, "\",\"p\":\"abc\"}");
        }
        struct tg_aws_header headers[] = {
            {TG_STR(":event-type"), TG_AWS_STRING, .string = type},
            {TG_STR(":content-type"), TG_AWS_STRING, .string = TG_STR("application/json")},
            {TG_STR(":message-type"), TG_AWS_STRING, .string = TG_STR("event")},
        };
        assert_int_equal(tg_aws_write(out, headers, 3, tg_buf_str(&payload)), 0);
        tg_buf_fini(&payload);
    }
}

static struct tg_buf wholes[128], chunks[128], ends[128];

static int make_bodies(void **state)
{
    assert_true(n_adapter_cases <= TG_ARRAY_LEN(wholes));
    for (size_t i = 0; i < n_adapter_cases; i++) {
        const struct adapter_case *k = &adapter_cases[i];
        tg_buf_init(&wholes[i], 1 << 20);
        tg_buf_init(&chunks[i], 1 << 20);
        tg_buf_init(&ends[i], 1 << 20);
        add_bytes(k, tg_str_c(k->body), &wholes[i]);
        add_bytes(k, tg_str_c(k->chunk ? k->chunk : ""), &chunks[i]);
        add_bytes(k, tg_str_c(k->end ? k->end : ""), &ends[i]);
    }
    return 0;
}

static int free_bodies(void **state)
{
    for (size_t i = 0; i < n_adapter_cases; i++) {
        tg_buf_fini(&wholes[i]);
        tg_buf_fini(&chunks[i]);
        tg_buf_fini(&ends[i]);
    }
    return 0;
}

static struct tg_str body_of(const struct adapter_case *k)
{
    return tg_buf_str(&wholes[k - adapter_cases]);
}

static enum tg_chat_task task_of(const struct adapter_case *k)
{
    return k->task                                   ? k->task
           : k->format == TG_WIRE_OPENAI_EMBEDDINGS  ? TG_TASK_EMBED
           : k->format == TG_WIRE_OPENAI_MODERATIONS ? TG_TASK_MODERATE
           : k->format == TG_WIRE_RERANK             ? TG_TASK_RERANK
                                                     : TG_TASK_CHAT;
}

/* As the core asks for it: translated, the answer is of the adapter's one API. */
static struct tg_adapter_response response(const struct adapter_case *k, bool tap)
{
    enum tg_chat_task task = task_of(k);
    return (struct tg_adapter_response){.stream = k->stream,
                                        .tap = tap,
                                        .json_array = tg_str_trim(tg_str_c(k->body)).p[0] == '[',
                                        .format = tap || task == TG_TASK_CHAT ? k->format
                                                                              : k->adapter->api,
                                        .task = task,
                                        .max_pending_bytes = 1 << 20};
}

static void each_kind(void (*fn)(const struct adapter_case *k, bool tap))
{
    for (size_t i = 0; i < n_adapter_cases; i++) {
        fn(&adapter_cases[i], false);
        if (tg_wire_in(adapter_cases[i].adapter->formats, adapter_cases[i].format) &&
            !adapter_cases[i].translated_only) /* else no client speaks its format */
            fn(&adapter_cases[i], true);
    }
}

/* ---- splits ---- */

static void check_split(const struct adapter_case *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = body_of(k);
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

static void check_cuts(const struct adapter_case *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = body_of(k);
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
static void check_polite_cuts(const struct adapter_case *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = body_of(k);
    for (size_t n = 0; n < body.n; n++) {
        struct answer a;
        answer_init(&a);
        answer_feed(&a, k->adapter, &resp, tg_str_first(body, n), 0, true);
        if (a.ends && k->framing == FRAMES_BASE64)
            assert_true(a.finishes > 0); /* the words cannot be seen */
        else if (a.ends)
            assert_true(k->stream &&
                        (tg_str_find(tg_str_first(body, n), TG_STR("\"finish_reason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"stop_reason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"finishReason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"stopReason\":\"")) > 0 ||
                         tg_str_find(tg_str_first(body, n), TG_STR("\"done\":true")) > 0));
        answer_fini(&a);
    }
}

static void a_polite_cut_is_no_whole_answer(void **state)
{
    each_kind(check_polite_cuts);
}

/* ---- hostile answers ---- */

static void check_garbage(const struct adapter_case *k, bool tap)
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

static void feed_repeated(const struct adapter_case *k, void *state, struct answer *a,
                          const char *s, size_t total)
{
    size_t n = strlen(s);
    for (size_t sent = 0; sent < total && !a->errors; sent += n)
        (void)k->adapter->on_bytes(state, tg_str_make(s, n), &a->sink);
}

/* An event or a body that never ends is cut off at the limit, not at the end of memory. */
static void check_endless(const struct adapter_case *k, bool tap)
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

static void check_deep(const struct adapter_case *k, bool tap)
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
static void check_unknown(const struct adapter_case *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_str body = tg_str_c(k->body);
    struct answer want, got;
    struct tg_buf b, bytes;
    answer_init(&want);
    answer_init(&got);
    tg_buf_init(&b, 4 << 20);
    tg_buf_init(&bytes, 8 << 20);
    answer_feed(&want, k->adapter, &resp, body_of(k), 0, true);
    for (size_t i = 0; i < body.n; i++) {
        tg_buf_char(&b, body.p[i]);
        if (!tg_str_starts(tg_str_from(body, i), TG_STR("{\"id\":")))
            continue;
        tg_buf_lit(&b, "\"x_new\":{\"error\":1,\"choices\":[{}]},\"y\":\"");
        for (int n = 0; n < 50000; n++)
            tg_buf_lit(&b, "yyyy");
        tg_buf_lit(&b, "\",");
    }
    assert_true(b.n > body.n || tg_str_chr(body, '{') < 0);
    add_bytes(k, tg_buf_str(&b), &bytes);
    answer_feed(&got, k->adapter, &resp, tg_buf_str(&bytes), 0, true);
    assert_str_equal(tg_buf_str(&got.log), tg_buf_str(&want.log));
    if (tap && !k->converted)
        assert_str_equal(tg_buf_str(&got.raws), tg_buf_str(&b));
    tg_buf_fini(&b);
    tg_buf_fini(&bytes);
    answer_fini(&want);
    answer_fini(&got);
}

static void unknown_members_change_nothing(void **state)
{
    each_kind(check_unknown);
}

static void check_encoded(const struct adapter_case *k, bool tap)
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
static void check_growth(const struct adapter_case *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_http_head head = {.status = 200};
    struct counter c = {.sink = {count_event, ignore_raw}};
    if (!k->chunk)
        return;
    struct tg_str chunk = tg_buf_str(&chunks[k - adapter_cases]);
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
    assert_int_equal(k->adapter->on_bytes(st, tg_buf_str(&ends[k - adapter_cases]), &c.sink), 0);
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

static void check_memory(const struct adapter_case *k, bool tap)
{
    struct tg_adapter_response resp = response(k, tap);
    struct tg_http_head head = {.status = 200};
    struct tg_str body = body_of(k);
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
    for (size_t k = 0; k < n_adapter_cases; k++) {
        for (int status = 300; status < 600; status++) {
            for (size_t i = 0; i < TG_ARRAY_LEN(bodies); i++) {
                struct tg_arena a;
                struct tg_fail f;
                struct tg_http_head head = {.status = status};
                tg_arena_init(&a, 1024, 1 << 20);
                tg_fail_clear(&f);
                bool pass = adapter_cases[k].adapter->classify(&a, &head, tg_str_c(bodies[i]), &f);
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

/* ---- completeness ---- */

static bool has_case(const struct tg_adapter *ad, enum tg_chat_task task, bool stream)
{
    for (size_t i = 0; i < n_adapter_cases; i++) {
        const struct adapter_case *k = &adapter_cases[i];
        if (k->adapter == ad && task_of(k) == task && k->stream == stream)
            return true;
    }
    return false;
}

static bool has_format(const struct tg_adapter *ad, enum tg_wire_format format)
{
    for (size_t i = 0; i < n_adapter_cases; i++) {
        /* one decoder, one format: which of its names it has is no matter of decoding */
        if (adapter_cases[i].format == format && adapter_cases[i].adapter->on_bytes == ad->on_bytes)
            return true;
    }
    return false;
}

static void check_complete(const struct tg_adapter *ad)
{
    uint32_t opaque = TG_WIRE_BIT(OPENAI_IMAGES) | TG_WIRE_BIT(OPENAI_AUDIO); /* any bytes */
    assert_true(ad->name && ad->encode && (ad->encode_pass || !ad->formats) && ad->state_bytes &&
                ad->begin && ad->on_head && ad->on_bytes && ad->on_end && ad->fini && ad->classify);
    for (int task = 0; task < TG_TASK_TYPES; task++) {
        if ((ad->tasks >> task & 1u) && !has_case(ad, (enum tg_chat_task)task, false))
            fail_msg("%s: no case of task %d", ad->name, task);
    }
    if (!has_case(ad, TG_TASK_CHAT, true))
        fail_msg("%s: no case of a stream", ad->name);
    for (int f = 1; f < TG_WIRE_FORMAT_COUNT; f++) {
        if (tg_wire_in(ad->formats & ~opaque, (enum tg_wire_format)f) &&
            !has_format(ad, (enum tg_wire_format)f))
            fail_msg("%s: no case of %s", ad->name, tg_wire_format_name((enum tg_wire_format)f));
    }
}

static void every_registered_adapter_has_its_cases(void **state)
{
    size_t n = 0;
    struct tg_runtime *rt = tg_calloc(1, sizeof *rt);
    assert_non_null(rt);
    tg_server_install_backends(rt);
    for (size_t i = 0; i < TG_BACKEND_COUNT; i++) {
        const struct tg_adapter *const *list = rt->backends[i].adapters;
        for (; list && *list; list++, n++)
            check_complete(*list);
    }
    assert_true(n > 10);
    tg_free(rt);
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
        cmocka_unit_test(every_registered_adapter_has_its_cases),
    };
    return cmocka_run_group_tests(tests, make_bodies, free_bodies);
}
