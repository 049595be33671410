#include "check.h"

#include "base/list.h"

struct item {
    int v;
    struct tg_list link;
};

static int sum_in_order(struct tg_list *l)
{
    int v = 0;
    tg_list_each (it, l)
        v = v * 10 + tg_list_entry(it, struct item, link)->v;
    return v;
}

static void adds_and_removes(void **state)
{
    struct tg_list l;
    struct item a = {1}, b = {2}, c = {3};
    tg_list_init(&l);
    assert_true(tg_list_empty(&l));
    assert_null(tg_list_pop_head(&l));
    assert_false(tg_list_linked(&a.link)); /* zeroed memory is unlinked */
    tg_list_add_tail(&l, &b.link);
    tg_list_add_tail(&l, &c.link);
    tg_list_add_head(&l, &a.link);
    assert_int_equal(sum_in_order(&l), 123);
    assert_true(tg_list_linked(&b.link));
    tg_list_del(&b.link);
    tg_list_del(&b.link);
    assert_false(tg_list_linked(&b.link));
    assert_int_equal(sum_in_order(&l), 13);
    assert_ptr_equal(tg_list_pop_head(&l), &a.link);
    assert_ptr_equal(tg_list_pop_head(&l), &c.link);
    assert_true(tg_list_empty(&l));
}

static void safe_iteration_may_unlink(void **state)
{
    struct tg_list l;
    struct item v[5];
    tg_list_init(&l);
    for (int i = 0; i < 5; i++) {
        v[i].v = i + 1;
        tg_list_add_tail(&l, &v[i].link);
    }
    tg_list_each_safe (it, tmp, &l)
        if (tg_list_entry(it, struct item, link)->v % 2)
            tg_list_del(it);
    assert_int_equal(sum_in_order(&l), 24);
}

static void splices(void **state)
{
    struct tg_list to, from;
    struct item a = {1}, b = {2}, c = {3};
    tg_list_init(&to);
    tg_list_init(&from);
    tg_list_splice_tail(&to, &from);
    assert_true(tg_list_empty(&to));
    tg_list_add_tail(&to, &a.link);
    tg_list_add_tail(&from, &b.link);
    tg_list_add_tail(&from, &c.link);
    tg_list_splice_tail(&to, &from);
    assert_true(tg_list_empty(&from));
    assert_int_equal(sum_in_order(&to), 123);
    tg_list_del(&c.link);
    assert_int_equal(sum_in_order(&to), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_and_removes),
        cmocka_unit_test(safe_iteration_may_unlink),
        cmocka_unit_test(splices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
