/* What follows a failed attempt. */
#include "check.h"

#include "base/err.h"
#include "policy/retry.h"

static const struct tg_retry_settings settings = {.max_attempts = 3,
                                                  .base_delay_ms = 250,
                                                  .max_delay_ms = 8000,
                                                  .max_retry_after_ms = 20000,
                                                  .budget_percent = 20};

static struct tg_retry_input failed(int err)
{
    return (struct tg_retry_input){.err = err,
                                   .attempts_done = 1,
                                   .attempts_here = 1,
                                   .retry_after_ms = -1,
                                   .time_left_ms = INT64_MAX,
                                   .random = 12345};
}

static void expect(struct tg_retry_input in, enum tg_retry_action action, const char *why)
{
    struct tg_retry_decision d = tg_retry_decide(&settings, &in);
    if (d.action != action || strcmp(d.why, why) != 0)
        fail_msg("%s: action %d because of %s, wanted %d because of %s", tg_err_name(in.err),
                 (int)d.action, d.why, (int)action, why);
    if (action != TG_RETRY_SAME)
        assert_int_equal(d.delay_ms, 0);
}

static void each_error_without_another_target(void **state)
{
    static const int again[] = {TG_E_UPSTREAM_CONNECT,    TG_E_UPSTREAM_DNS,
                                TG_E_UPSTREAM_RATE_LIMIT, TG_E_UPSTREAM_ERROR,
                                TG_E_UPSTREAM_OVERLOADED, TG_E_LOCAL_UNAVAILABLE};
    static const int hopeless[] = {TG_E_UPSTREAM_AUTH, TG_E_UPSTREAM_TLS, TG_E_UPSTREAM_INVALID,
                                   TG_E_OVERLOADED, TG_E_QUEUE_FULL};
    static const int final[] = {
        TG_E_UPSTREAM_REJECTED, TG_E_UPSTREAM_TOO_LARGE, TG_E_CANCELLED, TG_E_INVALID_JSON,
        TG_E_CONTEXT_LENGTH,    TG_E_LOCAL_FAILED,       TG_E_NOMEM,     TG_E_INTERNAL,
        TG_E_SHUTTING_DOWN};
    for (size_t i = 0; i < TG_ARRAY_LEN(again); i++)
        expect(failed(again[i]), TG_RETRY_SAME, "same");
    for (size_t i = 0; i < TG_ARRAY_LEN(hopeless); i++)
        expect(failed(hopeless[i]), TG_RETRY_GIVE_UP, "no_target");
    for (size_t i = 0; i < TG_ARRAY_LEN(final); i++)
        expect(failed(final[i]), TG_RETRY_GIVE_UP, "not_retryable");
}

static void another_target_is_asked_at_once(void **state)
{
    static const int errs[] = {TG_E_UPSTREAM_CONNECT,    TG_E_UPSTREAM_AUTH,
                               TG_E_UPSTREAM_TIMEOUT,    TG_E_UPSTREAM_INVALID,
                               TG_E_UPSTREAM_INCOMPLETE, TG_E_QUEUE_FULL};
    for (size_t i = 0; i < TG_ARRAY_LEN(errs); i++) {
        struct tg_retry_input in = failed(errs[i]);
        in.targets_left = 1;
        in.request_sent = true;
        in.retry_after_ms = 3600000; /* that is the other one's wish */
        expect(in, TG_RETRY_NEXT, "next");
    }
    struct tg_retry_input in = failed(TG_E_UPSTREAM_REJECTED);
    in.targets_left = 1;
    expect(in, TG_RETRY_GIVE_UP, "not_retryable");
}

/* A request that left whole may be at work already: it is not sent twice to the same place. */
static void a_request_that_left_is_not_repeated(void **state)
{
    static const int errs[] = {TG_E_UPSTREAM_TIMEOUT, TG_E_UPSTREAM_INCOMPLETE, TG_E_IO};
    for (size_t i = 0; i < TG_ARRAY_LEN(errs); i++) {
        struct tg_retry_input in = failed(errs[i]);
        expect(in, TG_RETRY_SAME, "same");
        in.request_sent = true;
        expect(in, TG_RETRY_GIVE_UP, "no_target");
    }
}

static void nothing_follows_the_first_content_byte(void **state)
{
    struct tg_retry_input in = failed(TG_E_UPSTREAM_CONNECT);
    in.content_sent = true;
    in.targets_left = 5;
    expect(in, TG_RETRY_GIVE_UP, "content_sent");
}

static void attempts_and_time_are_bounded(void **state)
{
    struct tg_retry_input in = failed(TG_E_UPSTREAM_ERROR);
    in.targets_left = 9;
    in.attempts_done = 2;
    expect(in, TG_RETRY_NEXT, "next");
    in.attempts_done = 3;
    expect(in, TG_RETRY_GIVE_UP, "attempts");
    in.attempts_done = 4000000000u;
    expect(in, TG_RETRY_GIVE_UP, "attempts");
    in = failed(TG_E_UPSTREAM_ERROR);
    in.time_left_ms = 0;
    expect(in, TG_RETRY_GIVE_UP, "deadline");
    in.time_left_ms = -5;
    in.targets_left = 1;
    expect(in, TG_RETRY_GIVE_UP, "deadline");
    in = failed(TG_E_UPSTREAM_ERROR);
    in.time_left_ms = 124; /* less than the shortest wait */
    expect(in, TG_RETRY_GIVE_UP, "deadline");
    in.time_left_ms = 251;
    expect(in, TG_RETRY_SAME, "same");
    struct tg_retry_settings once = settings;
    once.max_attempts = 1;
    in = failed(TG_E_UPSTREAM_ERROR);
    assert_int_equal(tg_retry_decide(&once, &in).action, TG_RETRY_GIVE_UP);
}

static void retry_after_is_honoured_up_to_a_limit(void **state)
{
    struct tg_retry_input in = failed(TG_E_UPSTREAM_RATE_LIMIT);
    in.retry_after_ms = 5000;
    assert_int_equal(tg_retry_decide(&settings, &in).delay_ms, 5000);
    in.retry_after_ms = 20000;
    assert_int_equal(tg_retry_decide(&settings, &in).delay_ms, 20000);
    in.retry_after_ms = 20001;
    expect(in, TG_RETRY_GIVE_UP, "retry_after");
    in.retry_after_ms = INT64_MAX;
    expect(in, TG_RETRY_GIVE_UP, "retry_after");
    in.retry_after_ms = 0; /* "now" still waits a little */
    assert_true(tg_retry_decide(&settings, &in).delay_ms >= 125);
    in.retry_after_ms = 5000;
    in.time_left_ms = 5000;
    expect(in, TG_RETRY_GIVE_UP, "deadline");
}

static void waits_double_and_scatter(void **state)
{
    for (uint32_t n = 1; n <= 40; n++) {
        uint64_t d = n < 6 ? (uint64_t)250 << (n - 1) : 8000;
        uint32_t low = UINT32_MAX, high = 0;
        for (uint64_t r = 0; r < 5000; r++) {
            uint32_t w = tg_retry_backoff_ms(&settings, n, r * 0x9E3779B97F4A7C15u);
            low = w < low ? w : low;
            high = w > high ? w : high;
        }
        assert_true(low >= d / 2 && low <= d / 2 + d / 50 + 1);
        assert_true(high <= d && high >= d - d / 50 - 1);
    }
    assert_true(tg_retry_backoff_ms(&settings, UINT32_MAX, UINT64_MAX) <= 8000);
    assert_true(tg_retry_backoff_ms(&settings, 0, 7) <= 250);
    struct tg_retry_settings zero = {.max_delay_ms = 0};
    assert_int_equal(tg_retry_backoff_ms(&zero, 3, 99), 0);
    zero.max_delay_ms = 5; /* base 0 stays 0, and comes to an end */
    assert_int_equal(tg_retry_backoff_ms(&zero, 1000, 99), 0);
}

static void the_budget_bounds_extra_attempts(void **state)
{
    struct tg_retry_budget b;
    uint32_t extra = 0;
    tg_retry_budget_init(&b);
    for (int i = 0; i < 10; i++)
        assert_true(tg_retry_budget_take(&b));
    assert_false(tg_retry_budget_take(&b));
    for (int i = 0; i < 1000; i++) { /* every request fails and wants two more */
        tg_retry_budget_on_request(&b, &settings);
        extra += tg_retry_budget_take(&b);
        extra += tg_retry_budget_take(&b);
    }
    assert_int_equal(extra, 200);
    for (int i = 0; i < 100000; i++)
        tg_retry_budget_on_request(&b, &settings);
    assert_int_equal(b.hundredths, 10000); /* a quiet day does not save up a storm */
    struct tg_retry_settings none = settings;
    none.budget_percent = 0;
    tg_retry_budget_on_request(&b, &none);
    assert_false(tg_retry_budget_take(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_without_another_target),
        cmocka_unit_test(another_target_is_asked_at_once),
        cmocka_unit_test(a_request_that_left_is_not_repeated),
        cmocka_unit_test(nothing_follows_the_first_content_byte),
        cmocka_unit_test(attempts_and_time_are_bounded),
        cmocka_unit_test(retry_after_is_honoured_up_to_a_limit),
        cmocka_unit_test(waits_double_and_scatter),
        cmocka_unit_test(the_budget_bounds_extra_attempts),
    };
    return cmocka_run_group_tests_name("policy/retry", tests, NULL, NULL);
}
