#include "io_fixture.h"

#include "base/alloc.h"
#include "base/rand.h"

static struct tg_loop *loop;
static struct tg_stream *a, *b;
static struct counter ca, cb;

static void open_pair(size_t cap, size_t split)
{
    loop = new_loop();
    counter_init(&ca);
    counter_init(&cb);
    assert_int_equal(
        tg_stream_mem_pair(loop, (struct tg_mem_pipe_opts){.cap = cap, .split = split}, &a, &b), 0);
    a->owner = &ca.task;
    b->owner = &cb.task;
}

static int put(struct tg_stream *s, const char *p, size_t n)
{
    struct iovec v = {(char *)(uintptr_t)p, n};
    return tg_stream_writev(s, &v, 1);
}

static void carries_bytes_both_ways(void **state)
{
    char out[3000], in[3000];
    open_pair(257, 0);
    tg_rand_bytes(out, sizeof out);
    for (int way = 0; way < 2; way++) {
        struct tg_stream *from = way ? b : a, *to = way ? a : b;
        size_t sent = 0, got = 0;
        while (got < sizeof in) {
            size_t k = sizeof out - sent, first = tg_rand_below(k + 1);
            struct iovec v[2] = {{out + sent, first}, {out + sent + first, k - first}};
            int rc = sent < sizeof out ? tg_stream_writev(from, v, 2) : 0;
            assert_true(rc >= 0 || rc == TG_E_AGAIN);
            sent += rc > 0 ? (size_t)rc : 0;
            rc = tg_stream_read(to, in + got, 1 + tg_rand_below(sizeof in - got));
            assert_true(rc > 0 || rc == TG_E_AGAIN);
            got += rc > 0 ? (size_t)rc : 0;
        }
        assert_memory_equal(in, out, sizeof in);
    }
    tg_stream_close(a);
    tg_stream_close(b);
    tg_loop_free(loop);
}

static void splits_and_wakes_until_all_is_read(void **state)
{
    char c[8];
    open_pair(64, 1);
    tg_stream_want(b, TG_WANT_READ);
    assert_int_equal(put(a, "abc", 3), 3);
    for (int i = 0; i < 3; i++) {
        cb.runs = 0;
        tg_loop_turn(loop);
        assert_int_equal(cb.runs, 1);
        assert_int_equal(b->ready, TG_WANT_READ);
        b->ready = 0;
        assert_int_equal(tg_stream_read(b, c, sizeof c), 1);
        assert_int_equal(c[0], 'a' + i);
    }
    assert_int_equal(tg_stream_read(b, c, sizeof c), TG_E_AGAIN);
    cb.runs = 0;
    tg_loop_turn(loop);
    tg_loop_turn(loop);
    assert_int_equal(cb.runs, 0);
    tg_stream_close(a);
    tg_stream_close(b);
    tg_loop_free(loop);
}

static void is_bounded_and_tells_of_room(void **state)
{
    char c[8];
    open_pair(4, 0);
    assert_int_equal(put(a, "012345", 6), 4);
    assert_int_equal(put(a, "45", 2), TG_E_AGAIN);
    tg_stream_want(a, TG_WANT_WRITE);
    tg_loop_turn(loop);
    assert_int_equal(ca.runs, 0);
    assert_int_equal(tg_stream_read(b, c, 1), 1);
    tg_loop_turn(loop);
    assert_int_equal(ca.runs, 1);
    assert_int_equal(a->ready, TG_WANT_WRITE);
    tg_stream_close(a);
    tg_stream_close(b);
    tg_loop_free(loop);
}

static void ends_after_what_was_sent(void **state)
{
    char c[8];
    for (int how = 0; how < 2; how++) {
        open_pair(64, 0);
        tg_stream_want(b, TG_WANT_READ);
        assert_int_equal(put(a, "last", 4), 4);
        if (how)
            tg_stream_close(a);
        else
            assert_int_equal(tg_stream_shutdown(a), 0);
        assert_false(tg_stream_idle_ok(b));
        tg_loop_turn(loop);
        assert_int_equal(cb.runs, 1);
        assert_int_equal(tg_stream_read(b, c, sizeof c), 4);
        tg_loop_turn(loop);
        assert_int_equal(cb.runs, 2); /* the end is news */
        assert_int_equal(tg_stream_read(b, c, sizeof c), TG_E_EOF);
        if (how) {
            assert_int_equal(put(b, "x", 1), TG_E_IO);
        } else {
            assert_int_equal(put(b, "x", 1), 1);
            assert_int_equal(put(a, "x", 1), TG_E_IO); /* it said it would not */
            assert_int_equal(tg_stream_read(a, c, sizeof c), 1);
            tg_stream_close(a);
        }
        tg_stream_close(b);
        tg_loop_free(loop);
    }
}

static void reset_loses_everything(void **state)
{
    char c[8];
    open_pair(64, 0);
    assert_true(tg_stream_idle_ok(b));
    tg_stream_want(b, TG_WANT_READ);
    assert_int_equal(put(a, "lost", 4), 4);
    tg_stream_mem_reset(a);
    tg_loop_turn(loop);
    assert_int_equal(cb.runs, 1);
    assert_int_equal(tg_stream_read(b, c, sizeof c), TG_E_IO);
    assert_int_equal(put(b, "x", 1), TG_E_IO);
    assert_int_equal(tg_stream_shutdown(b), TG_E_IO);
    assert_false(tg_stream_idle_ok(b));
    tg_stream_close(b);
    tg_stream_close(a);
    tg_loop_free(loop);
}

static void every_failed_allocation_is_survived(void **state)
{
    loop = new_loop();
    a = b = NULL;
    for (uint64_t i = 1;; i++) {
        tg_alloc_fail_at(i, 0);
        int rc = tg_stream_mem_pair(loop, (struct tg_mem_pipe_opts){.cap = 8}, &a, &b);
        tg_alloc_fail_at(0, 0);
        if (rc == 0)
            break;
        assert_int_equal(rc, TG_E_NOMEM);
        assert_null(a);
        assert_true(i < 10);
    }
    tg_stream_close(a);
    tg_stream_close(b);
    tg_loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_bytes_both_ways),
        cmocka_unit_test(splits_and_wakes_until_all_is_read),
        cmocka_unit_test(is_bounded_and_tells_of_room),
        cmocka_unit_test(ends_after_what_was_sent),
        cmocka_unit_test(reset_loses_everything),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
