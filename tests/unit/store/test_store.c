#include "store_fixture.h"

#include "base/alloc.h"

static void a_record_comes_back(void **state)
{
    struct bench b;
    bench_start(&b);
    struct tg_store_response r = bench_record("resp_1", "");
    r.pinned = true;
    assert_int_equal(bench_put(&b, &r), 0);
    assert_int_equal(bench_get(&b, "team", "resp_1"), 0);
    assert_int_equal(b.result->n, 1);
    const struct tg_store_response *v = b.result->v;
    assert_str(v->id, "resp_1");
    assert_str(v->owner, "team");
    assert_str(v->model, "m");
    assert_str(v->target, "t");
    assert_str(v->previous_id, "");
    assert_str(v->status, "completed");
    assert_str(v->input_items, "[{\"role\":\"user\"}]");
    assert_str(v->response, "{\"output\":[]}");
    assert_str(v->output, "[]}");
    assert_true(v->created_us == r.created_us);
    assert_true(v->expires_us == r.expires_us);
    assert_true(v->pinned);
    bench_forget(&b);
    bench_end(&b);
}

static void the_same_id_is_replaced(void **state)
{
    struct bench b;
    bench_start(&b);
    struct tg_store_response r = bench_record("resp_1", "");
    assert_int_equal(bench_put(&b, &r), 0);
    r.response = TG_STR("{\"second\":true}");
    r.output = TG_STR("");
    r.previous_id = TG_STR("resp_0");
    assert_int_equal(bench_put(&b, &r), 0);
    assert_int_equal(bench_get(&b, "team", "resp_1"), 0);
    assert_str(b.result->v->response, "{\"second\":true}");
    assert_str(b.result->v->previous_id, "resp_0");
    assert_str(b.result->v->output, "");
    bench_forget(&b);
    bench_end(&b);
}

static void owners_do_not_see_each_other(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "resp_1", ""), 0);
    struct tg_store_response r = bench_record("resp_1", "");
    r.owner = TG_STR("other");
    r.response = TG_STR("{\"other\":1}");
    r.output = TG_STR("");
    assert_int_equal(bench_put(&b, &r), 0);

    assert_int_equal(bench_get(&b, "third", "resp_1"), TG_E_NOT_FOUND_INTERNAL);
    assert_str(b.result->missing, "resp_1");
    bench_forget(&b);
    assert_int_equal(bench_delete(&b, "third", "resp_1"), TG_E_NOT_FOUND_INTERNAL);
    assert_int_equal(bench_delete(&b, "other", "resp_1"), 0);
    assert_int_equal(bench_get(&b, "team", "resp_1"), 0);
    assert_str(b.result->v->response, "{\"output\":[]}");
    bench_forget(&b);
    bench_end(&b);
}

static void a_deleted_record_is_gone(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "resp_1", ""), 0);
    assert_int_equal(bench_delete(&b, "team", "resp_1"), 0);
    assert_int_equal(bench_delete(&b, "team", "resp_1"), TG_E_NOT_FOUND_INTERNAL);
    assert_int_equal(bench_get(&b, "team", "resp_1"), TG_E_NOT_FOUND_INTERNAL);
    bench_forget(&b);
    bench_end(&b);
}

static void hostile_ids_are_values_only(void **state)
{
    static const char *const ids[] = {
        "' OR '1'='1",     "x'; DROP TABLE responses; --", "%", "_", "\xff\xfe", "\"", "resp_1\n",
        "../../etc/passwd"};
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "resp_1", ""), 0);
    for (size_t i = 0; i < TG_ARRAY_LEN(ids); i++) {
        assert_int_equal(bench_get(&b, "team", ids[i]), TG_E_NOT_FOUND_INTERNAL);
        bench_forget(&b);
        assert_int_equal(bench_get(&b, ids[i], "resp_1"), TG_E_NOT_FOUND_INTERNAL);
        bench_forget(&b);
    }
    for (size_t i = 0; i < TG_ARRAY_LEN(ids); i++) {
        assert_int_equal(bench_put_id(&b, ids[i], ""), 0);
        assert_int_equal(bench_get(&b, "team", ids[i]), 0);
        assert_str_equal(b.result->v->id, tg_str_c(ids[i]));
        bench_forget(&b);
    }
    bench_end(&b);
}

/* ---- conversations ---- */

static void a_chain_is_oldest_first(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    assert_int_equal(bench_put_id(&b, "b", "a"), 0);
    assert_int_equal(bench_put_id(&b, "c", "b"), 0);
    assert_int_equal(bench_put_id(&b, "b2", "a"), 0);
    assert_int_equal(bench_chain(&b, "c", 1 << 20), 0);
    assert_int_equal(b.result->n, 3);
    assert_str(b.result->v[0].id, "a");
    assert_str(b.result->v[1].id, "b");
    assert_str(b.result->v[2].id, "c");
    bench_forget(&b);
    assert_int_equal(bench_chain(&b, "b2", 1 << 20), 0);
    assert_int_equal(b.result->n, 2);
    assert_str(b.result->v[0].id, "a");
    assert_str(b.result->v[1].id, "b2");
    bench_forget(&b);
    bench_end(&b);
}

static void a_pinned_record_stands_alone(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    struct tg_store_response r = bench_record("b", "a");
    r.pinned = true;
    assert_int_equal(bench_put(&b, &r), 0);
    assert_int_equal(bench_put_id(&b, "c", "b"), 0);
    assert_int_equal(bench_chain(&b, "b", 1 << 20), 0);
    assert_int_equal(b.result->n, 1);
    assert_true(b.result->v->pinned);
    bench_forget(&b);
    assert_int_equal(bench_chain(&b, "c", 1 << 20), 0);
    assert_int_equal(b.result->n, 3);
    bench_forget(&b);
    bench_end(&b);
}

static void a_gap_in_a_chain_is_named(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    assert_int_equal(bench_put_id(&b, "b", "a"), 0);
    assert_int_equal(bench_put_id(&b, "c", "b"), 0);
    assert_int_equal(bench_delete(&b, "team", "a"), 0);
    assert_int_equal(bench_chain(&b, "c", 1 << 20), TG_E_NOT_FOUND_INTERNAL);
    assert_str(b.result->missing, "a");
    bench_forget(&b);
    assert_int_equal(bench_chain(&b, "none", 1 << 20), TG_E_NOT_FOUND_INTERNAL);
    assert_str(b.result->missing, "none");
    bench_forget(&b);
    bench_end(&b);
}

static void chains_have_limits(void **state)
{
    struct bench b;
    char id[16], previous[16] = "";
    bench_start(&b);
    for (int i = 0; i <= TG_STORE_MAX_CHAIN; i++) {
        (void)snprintf(id, sizeof id, "r%d", i);
        struct tg_store_response r = bench_record(id, previous);
        assert_int_equal(tg_store_put(b.client, &r, i % 100 == 99 ? bench_wait(&b) : NULL), 0);
        if (i % 100 == 99) {
            assert_int_equal(bench_answer(&b, 0), 0);
            bench_forget(&b);
        }
        (void)snprintf(previous, sizeof previous, "%s", id);
    }
    assert_int_equal(bench_chain(&b, "r999", 1 << 20), 0);
    assert_int_equal(b.result->n, TG_STORE_MAX_CHAIN);
    assert_str(b.result->v[0].id, "r0");
    assert_str(b.result->v[999].id, "r999");
    bench_forget(&b);
    assert_int_equal(bench_chain(&b, "r1000", 1 << 20), TG_E_FULL);
    assert_contains(tg_str_c(b.result->fail.message), "1000 turns");
    bench_forget(&b);
    assert_int_equal(bench_chain(&b, "r999", 1000), TG_E_FULL);
    assert_contains(tg_str_c(b.result->fail.message), "1000 bytes");
    bench_forget(&b);

    assert_int_equal(bench_put_id(&b, "x", "y"), 0); /* a circle ends at the limit */
    assert_int_equal(bench_put_id(&b, "y", "x"), 0);
    assert_int_equal(bench_chain(&b, "x", 1 << 20), TG_E_FULL);
    bench_forget(&b);
    bench_end(&b);
}

/* ---- time ---- */

static void a_record_ends_with_its_time(void **state)
{
    struct bench b;
    bench_start(&b);
    struct tg_store_response r = bench_record("old", "");
    r.expires_us = tg_clock_wall_us() - 1;
    assert_int_equal(bench_put(&b, &r), 0);
    assert_int_equal(bench_put_id(&b, "new", "old"), 0);
    assert_int_equal(bench_get(&b, "team", "old"), TG_E_NOT_FOUND_INTERNAL);
    bench_forget(&b);
    assert_int_equal(bench_chain(&b, "new", 1 << 20), TG_E_NOT_FOUND_INTERNAL);
    assert_str(b.result->missing, "old");
    bench_forget(&b);
    assert_int_equal(bench_delete(&b, "team", "old"), TG_E_NOT_FOUND_INTERNAL);
    bench_end(&b);
}

static void what_is_over_is_swept(void **state)
{
    struct bench b;
    struct tg_store_stats stats = {0};
    bench_start(&b);
    for (int i = 0; i < 250; i++) { /* three sweeps' worth */
        char id[16];
        (void)snprintf(id, sizeof id, "r%d", i);
        struct tg_store_response r = bench_record(id, "");
        r.expires_us = 1;
        assert_int_equal(tg_store_put(b.client, &r, NULL), 0);
    }
    assert_int_equal(bench_put_id(&b, "stays", ""), 0);
    for (int i = 0; i < 1000 && stats.swept < 250; i++) {
        usleep(10000);
        tg_store_stats(b.store, &stats);
    }
    assert_int_equal(stats.swept, 250);
    assert_int_equal(stats.failed, 0);
    assert_int_equal(bench_get(&b, "team", "stays"), 0);
    bench_forget(&b);
    bench_end(&b);
}

/* ---- askers who leave, full queues, no memory ---- */

static void a_late_answer_finds_nobody(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    {
        struct tg_store_wait gone;
        tg_store_wait_init(&gone, bench_on_done);
        assert_int_equal(tg_store_get(b.client, TG_STR("team"), TG_STR("a"), &gone), 0);
        assert_true(tg_store_waiting(&gone));
        tg_store_cancel(&gone);
        tg_store_cancel(&gone);
        assert_false(tg_store_waiting(&gone));
        memset(&gone, 0xa5, sizeof gone);
    }
    assert_int_equal(bench_get(&b, "team", "a"), 0); /* behind it in the queue */
    bench_forget(&b);
    bench_end(&b);
}

static void answers_to_nobody_are_freed_at_the_end(void **state)
{
    struct bench b;
    bench_start(&b);
    struct tg_store_response r = bench_record("a", "");
    for (int i = 0; i < 100; i++)
        assert_int_equal(tg_store_put(b.client, &r, NULL), 0);
    bench_end(&b); /* the leak checker looks on */
}

static void a_full_queue_says_so(void **state)
{
    struct bench b;
    struct tg_store_stats stats;
    bench_folder(&b);
    bench_open(&b, tg_str_c(b.path)); /* nobody works yet */
    struct tg_store_response r = bench_record("a", "");
    for (int i = 0; i < TG_STORE_MAX_CLIENT; i++)
        assert_int_equal(tg_store_put(b.client, &r, NULL), 0);
    assert_int_equal(tg_store_put(b.client, &r, bench_wait(&b)), TG_E_FULL);
    assert_false(tg_store_waiting(&b.wait));
    tg_store_stats(b.store, &stats);
    assert_int_equal(stats.queued, TG_STORE_MAX_CLIENT);
    assert_int_equal(tg_store_start(b.store), 0);
    for (int i = 0; i < 1000 && stats.queued; i++) {
        usleep(10000);
        tg_store_stats(b.store, &stats);
    }
    assert_int_equal(stats.requests, TG_STORE_MAX_CLIENT);
    while (tg_loop_turn(b.loop))
        continue;
    assert_int_equal(bench_get(&b, "team", "a"), 0);
    bench_forget(&b);
    bench_end(&b);
}

static void bytes_in_the_queue_are_bounded(void **state)
{
    struct bench b;
    struct tg_store_stats stats;
    bench_folder(&b);
    bench_open(&b, TG_STR("memory"));
    struct tg_store_response r = bench_record("a", "");
    size_t n = 40u << 20;
    char *big = tg_calloc(1, n + TG_STORE_MAX_RECORD_BYTES);
    assert_non_null(big);
    r.response = tg_str_make(big, n);
    r.output = TG_STR("");
    int taken = 0;
    while (taken < 100 && tg_store_put(b.client, &r, NULL) == 0)
        taken++;
    assert_int_equal(taken, TG_STORE_MAX_QUEUE_BYTES / n);
    tg_store_stats(b.store, &stats);
    assert_int_equal(stats.refused, 1);
    r.response = tg_str_make(big, TG_STORE_MAX_RECORD_BYTES);
    assert_int_equal(tg_store_put(b.client, &r, NULL), TG_E_FULL);
    tg_free(big);
    bench_end(&b);
}

static void without_memory_nothing_is_asked(void **state)
{
    struct bench b;
    bench_start(&b);
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    int failures = 0;
    for (uint64_t at = 1; at < 20; at++) {
        tg_alloc_fail_at(at, 0);
        int rc = tg_store_chain(b.client, TG_STR("team"), TG_STR("a"), 1 << 20, bench_wait(&b));
        if (rc == 0) {
            tg_loop_run(b.loop);
            rc = b.result->err;
            bench_forget(&b);
        }
        tg_alloc_fail_at(0, 0);
        assert_false(tg_store_waiting(&b.wait));
        assert_true(rc == 0 || rc == TG_E_NOMEM || rc == TG_E_FULL);
        failures += rc < 0;
    }
    assert_true(failures > 0);
    assert_int_equal(bench_get(&b, "team", "a"), 0);
    bench_forget(&b);
    bench_end(&b);
}

static void what_was_queued_at_the_end_is_done(void **state)
{
    struct bench b;
    bench_start(&b);
    for (int i = 0; i < 500; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r%d", i);
        struct tg_store_response r = bench_record(id, "");
        assert_int_equal(tg_store_put(b.client, &r, NULL), 0);
    }
    bench_reopen(&b);
    assert_int_equal(bench_get(&b, "team", "r0"), 0);
    bench_forget(&b);
    assert_int_equal(bench_get(&b, "team", "r499"), 0);
    bench_forget(&b);
    bench_end(&b);
}

static void memory_ends_with_the_process(void **state)
{
    struct bench b;
    bench_folder(&b);
    bench_open(&b, TG_STR("memory"));
    assert_int_equal(tg_store_start(b.store), 0);
    assert_str(tg_store_path(b.store), "memory");
    assert_int_equal(bench_put_id(&b, "a", ""), 0);
    assert_int_equal(bench_get(&b, "team", "a"), 0);
    bench_forget(&b);
    bench_end(&b);
    assert_int_not_equal(access("memory", F_OK), 0);
}

static void in_a_full_memory_the_oldest_make_room(void **state)
{
    struct bench b;
    size_t n = 30u << 20;
    char id[16], *big = tg_calloc(1, n);
    assert_non_null(big);
    memset(big, 'x', n);
    bench_folder(&b);
    bench_open(&b, TG_STR("memory"));
    assert_int_equal(tg_store_start(b.store), 0);
    for (int i = 0; i < 12; i++) { /* more than there is room for */
        (void)snprintf(id, sizeof id, "r%d", i);
        struct tg_store_response r = bench_record(id, "");
        r.response = tg_str_make(big, n);
        r.output = TG_STR("");
        assert_int_equal(bench_put(&b, &r), 0);
    }
    assert_int_equal(bench_get(&b, "team", "r11"), 0);
    assert_int_equal(b.result->v->response.n, n);
    bench_forget(&b);
    assert_int_equal(bench_get(&b, "team", "r7"), 0);
    bench_forget(&b);
    assert_int_equal(bench_get(&b, "team", "r0"), TG_E_NOT_FOUND_INTERNAL);
    bench_forget(&b);
    tg_free(big);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_comes_back),
        cmocka_unit_test(the_same_id_is_replaced),
        cmocka_unit_test(owners_do_not_see_each_other),
        cmocka_unit_test(a_deleted_record_is_gone),
        cmocka_unit_test(hostile_ids_are_values_only),
        cmocka_unit_test(a_chain_is_oldest_first),
        cmocka_unit_test(a_pinned_record_stands_alone),
        cmocka_unit_test(a_gap_in_a_chain_is_named),
        cmocka_unit_test(chains_have_limits),
        cmocka_unit_test(a_record_ends_with_its_time),
        cmocka_unit_test(what_is_over_is_swept),
        cmocka_unit_test(a_late_answer_finds_nobody),
        cmocka_unit_test(answers_to_nobody_are_freed_at_the_end),
        cmocka_unit_test(a_full_queue_says_so),
        cmocka_unit_test(bytes_in_the_queue_are_bounded),
        cmocka_unit_test(without_memory_nothing_is_asked),
        cmocka_unit_test(what_was_queued_at_the_end_is_done),
        cmocka_unit_test(memory_ends_with_the_process),
        cmocka_unit_test(in_a_full_memory_the_oldest_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
