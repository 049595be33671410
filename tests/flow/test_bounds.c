/* What must not grow, leak or break: long streams, many streams, every allocation failing in turn.
 */
#include <dirent.h>

#include "base/alloc.h"
#include "base/err.h"
#include "core/exchange_priv.h"
#include "flow.h"

#define CHAT "/v1/chat/completions"

/* ---- one long stream ---- */

struct sizes {
    size_t exchange, attempt, requests;
};

static struct sizes arenas(struct flow *f)
{
    struct sizes s = {0, 0, 0};
    tg_list_each (it, &f->w.rt->exchanges) {
        struct tg_exchange *x = tg_list_entry(it, struct tg_exchange, link);
        s.exchange += x->arena.held_bytes;
        if (x->req)
            s.exchange += x->req->arena.held_bytes + x->req->body.cap;
        s.requests += x->req != NULL;
        if (x->attempt)
            s.attempt += tg_attempt_arena(x->attempt)->held_bytes;
    }
    return s;
}

static bool received(struct flow_client *c, size_t n)
{
    uint64_t turns = 0;
    while (c->got.n < n && !c->ended && turns++ < 10000000)
        tg_loop_turn(c->f->w.loop);
    return c->got.n >= n;
}

static void long_stream(const char *model, bool is_passed)
{
    char json[256];
    struct flow *f = flow_new("");
    struct flow_client *c = flow_connect(f);
    snprintf(json, sizeof json,
             "{\"model\":\"%s\",\"stream\":true,\"messages\":"
             "[{\"role\":\"user\",\"content\":\"hi\"}]}",
             model);
    flow_post(c, CHAT, json);
    assert_true(received(c, 20000));
    struct sizes early = arenas(f);
    assert_true(early.exchange > 0 && early.attempt > 0);
    if (is_passed) /* it holds no request, and little else */
        assert_true(early.requests == 0 && early.exchange + early.attempt <= 4096);
    size_t total = 0;
    for (int i = 0; i < 100 && !c->ended; i++) {
        flow_forget(c);
        if (!received(c, 100000))
            break;
        total += c->got.n;
        if (tg_list_empty(&f->w.rt->exchanges))
            break;
        struct sizes now = arenas(f);
        assert_int_equal(now.exchange, early.exchange);
        assert_int_equal(now.attempt, early.attempt);
    }
    assert_true(total > 9u << 20); /* it was long */
    flow_close(c);
    flow_free(f);
}

static void a_long_rendered_stream_leaves_arenas_alone(void **state TG_UNUSED)
{
    long_stream("in:tokens=100000", false);
}

static void a_long_passed_stream_leaves_arenas_alone(void **state TG_UNUSED)
{
    long_stream("mock:tokens=100000", true);
}

/* ---- many streams ---- */

static int open_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static void a_thousand_streams_at_once(void **state TG_UNUSED)
{
    enum { N = 1000 };
    static struct flow_client *c[N];
    struct flow *f = flow_new("");
    struct tg_buf body;
    int fds = open_fds();
    tg_buf_init(&body, 1u << 20);
    for (int i = 0; i < N; i++) {
        char json[256];
        snprintf(json, sizeof json,
                 "{\"model\":\"in:text=stream%d,tokens=20,delay=20\",\"stream\":true,\"messages\":"
                 "[{\"role\":\"user\",\"content\":\"hi\"}]}",
                 i);
        c[i] = flow_connect(f);
        flow_post(c[i], CHAT, json);
    }
    for (int i = 0; i < N; i++) {
        char mine[32];
        snprintf(mine, sizeof mine, "\"content\":\"stream%d\"", i);
        while (!flow_answer(c[i]))
            assert_false(c[i]->ended);
        struct tg_str got = flow_body(c[i], &body);
        int found = 0;
        for (ptrdiff_t at; (at = tg_str_find(got, tg_str_c(mine))) >= 0; found++)
            got = tg_str_from(got, (size_t)at + 1);
        assert_int_equal(found, 20); /* all of it, and nothing of another's */
        assert_true(tg_str_ends(tg_buf_str(&body), TG_STR("data: [DONE]\n\n")));
    }
    for (int i = 0; i < N; i++) {
        tg_task_cancel(&c[i]->task);
        tg_stream_close(c[i]->stream);
        tg_buf_fini(&c[i]->got);
        tg_free(c[i]);
    }
    flow_settle(f);
    assert_true(open_fds() <= fds);
    tg_buf_fini(&body);
    flow_free(f);
}

/* ---- memory failing ---- */

/* One request whose n-th allocation fails. Whatever happens, it must be an honest end. Returns
 * false when the request needed fewer allocations than n. */
static bool torture(const char *json, uint64_t n, int sticky)
{
    struct flow *f = flow_new("");
    struct tg_buf body;
    tg_buf_init(&body, 1u << 20);
    struct flow_client *c = flow_connect(f);
    flow_settle(f);
    tg_alloc_fail_at(n, sticky);
    flow_post(c, CHAT, json);
    flow_settle(f);
    uint64_t made = tg_alloc_count();
    tg_alloc_fail_at(0, 0);
    flow_settle(f);
    struct tg_str got = flow_got(c);
    if (tg_str_starts(got, TG_STR("HTTP/1.1 200 ")) &&
        tg_str_find(got, TG_STR("text/event-stream")) > 0 && !c->ended) {
        got = flow_body(c, &body);
        bool good = tg_str_ends(got, TG_STR("data: [DONE]\n\n"));
        bool bad = tg_str_find(got, TG_STR("\"error\"")) >= 0;
        assert_true(good != bad);
    } else if (!tg_str_starts(got, TG_STR("HTTP/1.1 200 "))) {
        assert_true(got.n == 0 || tg_str_find(got, TG_STR("\"error\"")) > 0 || c->ended);
    }
    flow_close(c);
    /* It serves on once there is memory again. */
    c = flow_connect(f);
    flow_post(c, CHAT, "{\"model\":\"in\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_true(flow_answer(c));
    assert_contains(flow_got(c), "HTTP/1.1 200 OK");
    flow_close(c);
    flow_free(f);
    tg_buf_fini(&body);
    return made >= n;
}

static void every_allocation_may_fail(const char *json)
{
    uint64_t n = 1;
    while (n < 2000 && torture(json, n, 0))
        n++;
    print_message("# %llu allocations\n", (unsigned long long)n - 1);
    assert_true(n > 5 && n < 2000);
    for (uint64_t from = 1; from < n; from += 3)
        torture(json, from, 1);
}

static void a_rendered_stream_survives_failing_memory(void **state TG_UNUSED)
{
    every_allocation_may_fail("{\"model\":\"in:tokens=3\",\"stream\":true,\"messages\":"
                              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
}

static void a_rendered_answer_survives_failing_memory(void **state TG_UNUSED)
{
    every_allocation_may_fail("{\"model\":\"in:tokens=3\",\"messages\":"
                              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
}

static void a_passed_stream_survives_failing_memory(void **state TG_UNUSED)
{
    every_allocation_may_fail("{\"model\":\"mock:tokens=3\",\"stream\":true,\"messages\":"
                              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
}

static void a_passed_answer_survives_failing_memory(void **state TG_UNUSED)
{
    every_allocation_may_fail("{\"model\":\"mock:tokens=3\",\"messages\":"
                              "[{\"role\":\"user\",\"content\":\"hi\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_rendered_stream_leaves_arenas_alone),
        cmocka_unit_test(a_long_passed_stream_leaves_arenas_alone),
        cmocka_unit_test(a_thousand_streams_at_once),
        cmocka_unit_test(a_rendered_stream_survives_failing_memory),
        cmocka_unit_test(a_rendered_answer_survives_failing_memory),
        cmocka_unit_test(a_passed_stream_survives_failing_memory),
        cmocka_unit_test(a_passed_answer_survives_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
