#include "check.h"

#include "base/alloc.h"
#include "base/bufq.h"
#include "base/err.h"

/* The whole queue as one text. */
static size_t flatten(const struct tg_bufq *q, char *out)
{
    static struct iovec v[4096];
    size_t n = 0;
    int count = tg_bufq_iov(q, v, 4096);
    for (int i = 0; i < count; i++) {
        assert_true(v[i].iov_len > 0);
        memcpy(out + n, v[i].iov_base, v[i].iov_len);
        n += v[i].iov_len;
    }
    assert_int_equal(n, q->n);
    return n;
}

static void keeps_order_over_chunks(void **state)
{
    static char in[200000], out[200000];
    struct tg_bufq q;
    tg_bufq_init(&q, sizeof(in));
    size_t n = 0;
    for (size_t piece = 1; n + piece <= sizeof(in); piece = piece * 3 % 977 + 1) {
        for (size_t i = 0; i < piece; i++)
            in[n + i] = (char)((n + i) * 7);
        assert_int_equal(tg_bufq_add(&q, tg_str_make(in + n, piece)), 0);
        n += piece;
    }
    assert_int_equal(q.n, n);
    size_t done = 0;
    for (size_t step = 1; done < n; step = step * 5 % 6131 + 1) {
        size_t now = step < n - done ? step : n - done;
        assert_int_equal(flatten(&q, out), n - done);
        assert_memory_equal(out, in + done, n - done);
        tg_bufq_drop(&q, now);
        done += now;
    }
    assert_null(q.head);
    assert_null(q.tail);
    tg_bufq_fini(&q);
}

static void the_cap_refuses_whole_appends(void **state)
{
    struct tg_bufq q;
    char text[100] = {0};
    tg_bufq_init(&q, 150);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 100)), 0);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 51)), TG_E_FULL);
    assert_int_equal(q.n, 100);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 50)), 0);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 1)), TG_E_FULL);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 0)), 0);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, SIZE_MAX)), TG_E_FULL);
    tg_bufq_drop(&q, 150);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 100)), 0);
    tg_bufq_fini(&q);
}

static void empty_holds_nothing(void **state)
{
    struct tg_bufq q;
    struct iovec v[2];
    tg_bufq_init(&q, 1000);
    assert_null(q.head);
    assert_int_equal(tg_bufq_iov(&q, v, 2), 0);
    assert_int_equal(tg_bufq_add(&q, TG_STR("x")), 0);
    assert_int_equal(tg_bufq_iov(&q, v, 0), 0);
    tg_bufq_drop(&q, 0);
    assert_int_equal(q.n, 1);
    tg_bufq_drop(&q, 1);
    assert_null(q.head);
    tg_bufq_fini(&q);
}

static void small_traffic_uses_small_chunks(void **state)
{
    struct tg_bufq q;
    tg_bufq_init(&q, 1 << 20);
    tg_alloc_fail_at(0, 0);
    char text[300] = {0};
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 300)), 0);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, 100)), 0);
    assert_int_equal(tg_alloc_count(), 1);
    static char big[1 << 19];
    assert_int_equal(tg_bufq_add(&q, tg_str_make(big, sizeof(big))), 0);
    assert_int_equal(tg_alloc_count(), 2); /* one piece, whatever its size */
    tg_bufq_fini(&q);
}

/* A head and the body that follows it share one chunk, whose size is theirs. */
static void room_for_more_is_one_chunk(void **state)
{
    static char text[9000], out[9000];
    static const size_t sizes[][2] = {{1, 1}, {250, 600}, {600, 4000}, {3000, 5000}};
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 11);
    for (size_t i = 0; i < TG_ARRAY_LEN(sizes); i++) {
        struct tg_bufq q;
        struct iovec v[4];
        tg_bufq_init(&q, sizeof text);
        tg_alloc_fail_at(2, 1); /* the second allocation would fail */
        assert_int_equal(tg_bufq_add_room(&q, tg_str_make(text, sizes[i][0]), sizes[i][1]), 0);
        assert_int_equal(tg_bufq_add(&q, tg_str_make(text + sizes[i][0], sizes[i][1])), 0);
        tg_alloc_fail_at(0, 0);
        assert_int_equal(tg_bufq_iov(&q, v, 4), 1);
        assert_memory_equal(out, text, flatten(&q, out));
        assert_int_equal(q.n, sizes[i][0] + sizes[i][1]);
        tg_bufq_fini(&q);
    }
}

static void memory_failure_leaves_it_as_it_was(void **state)
{
    struct tg_bufq q;
    char text[1000], out[2000];
    memset(text, 'x', sizeof(text));
    tg_bufq_init(&q, 1 << 20);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_bufq_add(&q, TG_STR("abc")), TG_E_NOMEM);
    assert_int_equal(q.n, 0);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(tg_bufq_add(&q, TG_STR("abc")), 0);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_bufq_add(&q, tg_str_make(text, sizeof(text))), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    assert_int_equal(flatten(&q, out), 3);
    assert_memory_equal(out, "abc", 3);
    tg_bufq_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_over_chunks),
        cmocka_unit_test(the_cap_refuses_whole_appends),
        cmocka_unit_test(empty_holds_nothing),
        cmocka_unit_test(small_traffic_uses_small_chunks),
        cmocka_unit_test(room_for_more_is_one_chunk),
        cmocka_unit_test(memory_failure_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
