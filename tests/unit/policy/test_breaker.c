/* The circuit breaker over time. */
#include "check.h"

#include "policy/breaker.h"

static const struct tg_breaker_settings settings = {.consecutive_failures = 5,
                                                    .failure_percent = 50,
                                                    .min_requests = 20,
                                                    .window_ms = 10000,
                                                    .probe_after_ms = 5000,
                                                    .close_successes = 2};

static void results(struct tg_breaker *b, const char *pattern, uint64_t now)
{
    for (; *pattern; pattern++)
        (void)tg_breaker_on_result(b, &settings, *pattern == 'x', now);
}

static void five_in_a_row_open_it(void **state)
{
    struct tg_breaker b;
    tg_breaker_init(&b);
    results(&b, "xxxx", 1000);
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    assert_true(tg_breaker_admit(&b, &settings, 1000));
    results(&b, ".xxxx", 1000); /* a success in between starts anew */
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    assert_true(tg_breaker_on_result(&b, &settings, true, 1001));
    assert_int_equal(b.state, TG_BREAKER_OPEN);
    assert_false(tg_breaker_admit(&b, &settings, 1001));
    assert_int_equal(b.opened_total, 1);
}

static void half_of_twenty_open_it(void **state)
{
    struct tg_breaker b = {0};
    results(&b, "x.x.x.x.x.x.x.x.x.", 1000); /* 18: too few to judge */
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    results(&b, ".", 1000);
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    results(&b, "x", 1000); /* 10 of 20 */
    assert_int_equal(b.state, TG_BREAKER_OPEN);
    tg_breaker_init(&b);
    results(&b, "x..x..x..x..x..x..x..x..x..x..x..x..", 1000); /* a third */
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
}

static void old_failures_leave_the_window(void **state)
{
    struct tg_breaker b = {0};
    results(&b, "x.x.x.x.x.x.x.x.x.", 1000);
    results(&b, "....", 11500); /* the first ones are gone */
    results(&b, "x", 11500);
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    tg_breaker_init(&b);
    for (uint64_t t = 0; t < 9000; t += 500) /* spread over the window they count together */
        results(&b, t % 1000 ? "x" : ".", 100000 + t);
    results(&b, ".", 109000);
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    results(&b, "x", 109400);
    assert_int_equal(b.state, TG_BREAKER_OPEN);
    tg_breaker_init(&b); /* far jumps, and a window that a reload made longer */
    results(&b, "x.x.", 1000);
    results(&b, "x", UINT64_C(1) << 60);
    struct tg_breaker_settings longer = settings;
    longer.window_ms = 3600000;
    assert_false(tg_breaker_on_result(&b, &longer, true, UINT64_C(1) << 60));
    longer.window_ms = 1; /* less than a millisecond a bucket */
    assert_false(tg_breaker_on_result(&b, &longer, true, UINT64_C(1) << 60));
}

static void one_probe_at_a_time_then_closed(void **state)
{
    struct tg_breaker b = {0};
    results(&b, "xxxxx", 1000);
    assert_false(tg_breaker_would_admit(&b, &settings, 5999));
    assert_int_equal(tg_breaker_wait_ms(&b, &settings, 2000), 4000);
    assert_false(tg_breaker_admit(&b, &settings, 5999));
    assert_true(tg_breaker_would_admit(&b, &settings, 6000));
    assert_int_equal(tg_breaker_wait_ms(&b, &settings, 6000), 0);
    assert_int_equal(b.state, TG_BREAKER_OPEN); /* asking changes nothing */
    assert_true(tg_breaker_admit(&b, &settings, 6000));
    assert_int_equal(b.state, TG_BREAKER_HALF_OPEN);
    assert_false(tg_breaker_admit(&b, &settings, 6000));
    assert_false(tg_breaker_would_admit(&b, &settings, 6000));
    assert_int_equal(tg_breaker_wait_ms(&b, &settings, 6000), 5000);
    assert_false(tg_breaker_on_result(&b, &settings, false, 6100));
    assert_int_equal(b.state, TG_BREAKER_HALF_OPEN);
    assert_true(tg_breaker_admit(&b, &settings, 6100));
    assert_true(tg_breaker_on_result(&b, &settings, false, 6200));
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
    results(&b, "xxxx", 6300); /* with a clean slate */
    assert_int_equal(b.state, TG_BREAKER_CLOSED);
}

static void a_failed_probe_opens_it_again(void **state)
{
    struct tg_breaker b = {0};
    results(&b, "xxxxx", 1000);
    assert_true(tg_breaker_admit(&b, &settings, 6000));
    assert_true(tg_breaker_on_result(&b, &settings, true, 6500));
    assert_int_equal(b.state, TG_BREAKER_OPEN);
    assert_int_equal(b.opened_total, 2);
    assert_false(tg_breaker_admit(&b, &settings, 11499));
    assert_true(tg_breaker_admit(&b, &settings, 11500));
}

static void late_results_decide_nothing(void **state)
{
    struct tg_breaker b = {0};
    results(&b, "xxxxx", 1000);
    results(&b, "xx..", 1500); /* attempts from before it opened */
    assert_int_equal(b.state, TG_BREAKER_OPEN);
    assert_int_equal(tg_breaker_wait_ms(&b, &settings, 1500), 4500);
    assert_true(tg_breaker_admit(&b, &settings, 6000));
    tg_breaker_on_abandoned(&b);
    results(&b, "....x", 6000); /* no probe is under way */
    assert_int_equal(b.state, TG_BREAKER_HALF_OPEN);
}

static void a_lost_probe_does_not_lock_it(void **state)
{
    struct tg_breaker b = {0};
    results(&b, "xxxxx", 0);
    assert_true(tg_breaker_admit(&b, &settings, 5000));
    tg_breaker_on_abandoned(&b);
    assert_true(tg_breaker_admit(&b, &settings, 5001)); /* told */
    assert_false(tg_breaker_admit(&b, &settings, 55000));
    assert_true(tg_breaker_admit(&b, &settings, 55001)); /* never told: ten waits */
}

static void names_of_states(void **state)
{
    assert_string_equal(tg_breaker_state_name(TG_BREAKER_CLOSED), "closed");
    assert_string_equal(tg_breaker_state_name(TG_BREAKER_OPEN), "open");
    assert_string_equal(tg_breaker_state_name(TG_BREAKER_HALF_OPEN), "half_open");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_in_a_row_open_it),
        cmocka_unit_test(half_of_twenty_open_it),
        cmocka_unit_test(old_failures_leave_the_window),
        cmocka_unit_test(one_probe_at_a_time_then_closed),
        cmocka_unit_test(a_failed_probe_opens_it_again),
        cmocka_unit_test(late_results_decide_nothing),
        cmocka_unit_test(a_lost_probe_does_not_lock_it),
        cmocka_unit_test(names_of_states),
    };
    return cmocka_run_group_tests_name("policy/breaker", tests, NULL, NULL);
}
