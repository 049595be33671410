#include "check.h"

#include "base/alloc.h"
#include "base/err.h"
#include "json/splice.h"

static struct tg_buf out;

static int setup(void **state)
{
    tg_buf_init(&out, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_buf_fini(&out);
    return 0;
}

/* Splices in both ways and compares. */
static void check(struct tg_str text, const struct tg_splice *edits, size_t n, struct tg_str want)
{
    struct iovec v[16];
    char joined[256];
    size_t size, at = 0;
    tg_buf_clear(&out);
    assert_int_equal(tg_json_splice(text, edits, n, &out), 0);
    assert_str_equal(tg_buf_str(&out), want);
    assert_int_equal(tg_json_splice_size(text, edits, n, &size), 0);
    assert_int_equal(size, want.n);
    int count = tg_json_splice_iov(text, edits, n, v, 16);
    assert_in_range(count, want.n ? 1 : 0, 2 * n + 1);
    for (int i = 0; i < count; i++) {
        assert_true(v[i].iov_len > 0);
        memcpy(joined + at, v[i].iov_base, v[i].iov_len);
        at += v[i].iov_len;
    }
    assert_str_equal(tg_str_make(joined, at), want);
    if (count > 0)
        assert_int_equal(tg_json_splice_iov(text, edits, n, v, (size_t)count - 1), TG_E_FULL);
}

#define E(at, remove, lit)           \
    {                                \
        at, remove, TG_STR_INIT(lit) \
    }

static void edits_of_all_kinds(void **state)
{
    struct tg_str text = TG_STR("0123456789");
    check(text, NULL, 0, text);
    check(text, (struct tg_splice[]){E(0, 0, "a")}, 1, TG_STR("a0123456789"));
    check(text, (struct tg_splice[]){E(10, 0, "z")}, 1, TG_STR("0123456789z"));
    check(text, (struct tg_splice[]){E(0, 10, "")}, 1, TG_STR(""));
    check(text, (struct tg_splice[]){E(0, 10, "all")}, 1, TG_STR("all"));
    check(text, (struct tg_splice[]){E(2, 3, "x"), E(5, 0, "y"), E(5, 1, "z")}, 3,
          TG_STR("01xyz6789"));
    check(text, (struct tg_splice[]){E(3, 0, "a"), E(3, 0, "b"), E(3, 0, "c")}, 3,
          TG_STR("012abc3456789"));
    check(text, (struct tg_splice[]){E(0, 1, ""), E(9, 1, "")}, 2, TG_STR("12345678"));
    check((struct tg_str){NULL, 0}, (struct tg_splice[]){E(0, 0, "x")}, 1, TG_STR("x"));
    check((struct tg_str){NULL, 0}, NULL, 0, TG_STR(""));
}

static void refuses_bad_lists(void **state)
{
    struct tg_str text = TG_STR("0123456789");
    static const struct tg_splice bad[][2] = {
        {E(5, 0, ""), E(4, 0, "")},  /* out of order */
        {E(2, 4, ""), E(5, 1, "")},  /* overlap */
        {E(0, 0, ""), E(11, 0, "")}, /* behind the end */
        {E(0, 0, ""), E(5, 6, "")},
        {E(0, 0, ""), E(5, SIZE_MAX, "")}, /* at + remove wraps */
        {E(SIZE_MAX, 1, ""), E(0, 0, "")},
        {E(0, 0, ""), {1, 0, {"x", SIZE_MAX}}},
    };
    struct iovec v[8];
    size_t size = 42;
    tg_buf_lit(&out, "kept");
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        assert_int_equal(tg_json_splice(text, bad[i], 2, &out), TG_E_INVALID_ARG);
        assert_int_equal(tg_json_splice_iov(text, bad[i], 2, v, 8), TG_E_INVALID_ARG);
        assert_int_equal(tg_json_splice_size(text, bad[i], 2, &size), TG_E_INVALID_ARG);
    }
    assert_int_equal(size, 42);
    assert_str(tg_buf_str(&out), "kept");
}

static void full_and_out_of_memory(void **state)
{
    struct tg_buf b;
    struct tg_splice e = E(0, 0, "abc");
    tg_buf_init(&b, 12);
    assert_int_equal(tg_json_splice(TG_STR("0123456789"), &e, 1, &b), TG_E_FULL);
    assert_int_equal(b.n, 0);
    tg_buf_fini(&b);
    tg_buf_init(&b, 13);
    tg_alloc_fail_at(1, 0);
    assert_int_equal(tg_json_splice(TG_STR("0123456789"), &e, 1, &b), TG_E_NOMEM);
    tg_alloc_fail_at(0, 0);
    tg_buf_clear(&b);
    assert_int_equal(tg_json_splice(TG_STR("0123456789"), &e, 1, &b), 0);
    tg_buf_fini(&b);
}

static void sorting_is_stable(void **state)
{
    struct tg_splice e[] = {E(5, 0, "a"), E(1, 0, "b"), E(5, 0, "c"),
                            E(0, 1, "d"), E(5, 1, "e"), E(1, 1, "f")};
    tg_json_splice_sort(e, TG_ARRAY_LEN(e));
    char order[8] = {0};
    for (size_t i = 0; i < TG_ARRAY_LEN(e); i++)
        order[i] = e[i].insert.p[0];
    assert_string_equal(order, "dbface");
    tg_json_splice_sort(e, 0);
}

#define with_buf(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_buf(edits_of_all_kinds),
        with_buf(refuses_bad_lists),
        with_buf(full_and_out_of_memory),
        with_buf(sorting_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
