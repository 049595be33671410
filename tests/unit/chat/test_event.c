#include "check.h"

#include "chat/event.h"

static void finishes_have_names(void **state)
{
    assert_string_equal(tg_finish_name(TG_FINISH_STOP), "stop");
    assert_string_equal(tg_finish_name(TG_FINISH_LENGTH), "length");
    assert_string_equal(tg_finish_name(TG_FINISH_TOOL_CALLS), "tool_calls");
    assert_string_equal(tg_finish_name(TG_FINISH_CONTENT_FILTER), "content_filter");
    assert_string_equal(tg_finish_name(TG_FINISH_OTHER), "other");
}

static void usage_sums_are_of_disjoint_classes(void **state)
{
    struct tg_usage u = {TG_USAGE_REPORTED, 1, 20, 300, 4000, 50000};
    assert_int_equal(tg_usage_prompt(&u), 321);
    assert_int_equal(tg_usage_completion(&u), 54000);
    assert_int_equal(tg_usage_total(&u), 54321);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finishes_have_names),
        cmocka_unit_test(usage_sums_are_of_disjoint_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
