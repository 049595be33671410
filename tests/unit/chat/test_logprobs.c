#include "check.h"

#include "base/alloc.h"
#include "base/err.h"
#include "chat/logprobs.h"

static struct tg_buf out;

static struct tg_str join(struct tg_str texts)
{
    tg_buf_fini(&out);
    tg_buf_init(&out, 1 << 20);
    assert_int_equal(tg_logprobs_join(texts, &out), 0);
    return tg_buf_str(&out);
}

static void none_is_null(void **state)
{
    assert_str(join(TG_STR("")), "null");
    assert_str(join((struct tg_str){NULL, 0}), "null");
}

static void one_is_as_it_came(void **state)
{
    assert_str(join(TG_STR("{ \"content\" : [ ] }\x1e")), "{ \"content\" : [ ] }");
}

static void several_are_joined(void **state)
{
    assert_str(join(TG_STR("{\"content\":[{\"a\":1.50}],\"refusal\":null}\x1e"
                           "{\"content\":[],\"refusal\":null}\x1e"
                           "{\"content\":[ 2 , 3 ],\"refusal\":null}\x1e")),
               "{\"content\":[{\"a\":1.50}, 2 , 3 ],\"refusal\":null}");
    assert_str(join(TG_STR("{\"tokens\":[\"a\"],\"text_offset\":[0]}\x1e"
                           "{\"tokens\":[\"b\"],\"text_offset\":[1],\"top_logprobs\":null}\x1e")),
               "{\"tokens\":[\"a\",\"b\"],\"text_offset\":[0,1],\"top_logprobs\":null}");
}

static void what_is_no_object_is_left_out(void **state)
{
    assert_str(join(TG_STR("{\"content\":[1]}\x1e[9]\x1e{{{\x1e\x1e{\"content\":[2]}\x1e")),
               "{\"content\":[1,2]}");
    assert_str(join(TG_STR("{\"content\":7}\x1e{\"content\":null}\x1e")), "{\"content\":null}");
}

static void many_members_are_bounded(void **state)
{
    assert_str(join(TG_STR("{\"a\":[1],\"b\":[],\"c\":[],\"d\":[],\"e\":[],\"f\":[],\"g\":[],"
                           "\"h\":[],\"i\":[],\"j\":[]}\x1e{\"a\":[2],\"j\":[3]}\x1e")),
               "{\"a\":[1,2],\"b\":[],\"c\":[],\"d\":[],\"e\":[],\"f\":[],\"g\":[],\"h\":[]}");
}

static void every_allocation_may_fail(void **state)
{
    struct tg_str two = TG_STR("{\"content\":[1]}\x1e{\"content\":[2]}\x1e");
    for (uint64_t at = 1;; at++) {
        tg_buf_fini(&out);
        tg_buf_init(&out, 1 << 20);
        tg_alloc_fail_at(at, 0);
        int rc = tg_logprobs_join(two, &out);
        tg_alloc_fail_at(0, 0);
        if (!rc && tg_buf_ok(&out)) {
            assert_true(at > 2);
            return;
        }
        assert_true(rc == TG_E_NOMEM || !tg_buf_ok(&out));
    }
}

static int teardown(void **state)
{
    tg_buf_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(none_is_null, teardown),
        cmocka_unit_test_teardown(one_is_as_it_came, teardown),
        cmocka_unit_test_teardown(several_are_joined, teardown),
        cmocka_unit_test_teardown(what_is_no_object_is_left_out, teardown),
        cmocka_unit_test_teardown(many_members_are_bounded, teardown),
        cmocka_unit_test_teardown(every_allocation_may_fail, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
