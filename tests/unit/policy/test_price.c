#include "policy/price.h"

#include "check.h"

static const struct tg_price price = {2500000000, 10000000000}; /* $2.50 and $10 a million */

static void costs(void **state)
{
    struct tg_usage u = {.source = TG_USAGE_REPORTED, .input_tokens = 1000, .output_tokens = 500};
    assert_int_equal(tg_price_of(&price, &u), 2500000 + 5000000);
    u = (struct tg_usage){.source = TG_USAGE_REPORTED,
                          .cache_read_tokens = 1,
                          .cache_write_tokens = 1,
                          .reasoning_tokens = 1};
    assert_int_equal(tg_price_of(&price, &u), 5000 + 10000);
    u = (struct tg_usage){.source = TG_USAGE_REPORTED};
    assert_int_equal(tg_price_of(&price, &u), 0);
}

static void rounds_up(void **state)
{
    struct tg_price p = {1, 1};
    struct tg_usage u = {.source = TG_USAGE_REPORTED, .input_tokens = 1};
    assert_int_equal(tg_price_of(&p, &u), 1);
}

static void unknown_is_unknown(void **state)
{
    struct tg_price none = {-1, -1}, half = {1000000, -1};
    struct tg_usage u = {.source = TG_USAGE_REPORTED, .input_tokens = 1000};
    assert_int_equal(tg_price_of(&none, &u), -1);
    assert_int_equal(tg_price_of(&half, &u), 1000);
    u.output_tokens = 1;
    assert_int_equal(tg_price_of(&half, &u), -1);
    u = (struct tg_usage){.source = TG_USAGE_ABSENT};
    assert_int_equal(tg_price_of(&price, &u), -1);
}

static void does_not_overflow(void **state)
{
    struct tg_price p = {INT64_MAX, INT64_MAX};
    struct tg_usage u = {.source = TG_USAGE_REPORTED, .input_tokens = INT64_MAX / 2};
    assert_true(tg_price_of(&p, &u) == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs),
        cmocka_unit_test(rounds_up),
        cmocka_unit_test(unknown_is_unknown),
        cmocka_unit_test(does_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
