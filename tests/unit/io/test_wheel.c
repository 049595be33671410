#include "io_fixture.h"

#include "base/alloc.h"

#define START_MS 123456789ull

static struct tg_loop *loop;

static int with_fake_clock(void **state)
{
    tg_clock_fake_start(START_MS * 1000000, 0);
    loop = new_loop();
    return 0;
}

static int without_fake_clock(void **state)
{
    tg_loop_free(loop);
    tg_clock_fake_stop();
    return 0;
}

static void advance_ms(uint64_t ms)
{
    tg_clock_fake_advance_us(ms * 1000);
    tg_loop_turn(loop);
}

struct shot {
    struct tg_timer timer;
    int fired;
    uint64_t fired_at_ms;
    uint64_t again_ms; /* restarts itself after this; 0: no */
    struct shot *stops;
};

static void on_fire(struct tg_timer *t)
{
    struct shot *s = tg_container_of(t, struct shot, timer);
    assert_false(tg_timer_active(t));
    assert_true(tg_loop_now_ms(loop) >= t->due_ms);
    s->fired++;
    s->fired_at_ms = tg_loop_now_ms(loop);
    if (s->again_ms)
        tg_timer_start(loop, t, s->again_ms);
    if (s->stops)
        tg_timer_stop(loop, &s->stops->timer);
}

static struct shot *shots_new(size_t n)
{
    struct shot *s = tg_calloc(n, sizeof(*s));
    assert_non_null(s);
    for (size_t i = 0; i < n; i++)
        tg_timer_init(&s[i].timer, on_fire);
    return s;
}

static void fires_to_the_millisecond(void **state)
{
    static const uint64_t delays[] = {1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      63,
                                      64,
                                      65,
                                      127,
                                      128,
                                      4095,
                                      4096,
                                      4097,
                                      10000,
                                      262143,
                                      262144,
                                      262145,
                                      3600000,
                                      86400000,
                                      604800000,
                                      2592000000ull,
                                      31536000000ull};
    struct shot *s = shots_new(TG_ARRAY_LEN(delays));
    for (size_t i = 0; i < TG_ARRAY_LEN(delays); i++)
        tg_timer_start(loop, &s[i].timer, delays[i]);
    uint64_t at = 0;
    for (size_t i = 0; i < TG_ARRAY_LEN(delays); i++) {
        if (delays[i] - 1 > at) {
            advance_ms(delays[i] - 1 - at);
            at = delays[i] - 1;
            assert_int_equal(s[i].fired, 0);
        }
        advance_ms(delays[i] - at);
        at = delays[i];
        assert_int_equal(s[i].fired, 1);
        assert_int_equal(s[i].fired_at_ms, START_MS + delays[i]);
    }
    tg_free(s);
}

static void no_delay_fires_next_turn_but_never_at_once(void **state)
{
    struct shot *s = shots_new(1);
    tg_timer_start(loop, &s->timer, 0);
    assert_int_equal(s->fired, 0); /* R1 */
    assert_true(tg_timer_active(&s->timer));
    tg_loop_turn(loop);
    assert_int_equal(s->fired, 1);
    tg_loop_turn(loop);
    assert_int_equal(s->fired, 1);
    tg_free(s);
}

static void zero_fire(struct tg_timer *t)
{
    struct shot *s = tg_container_of(t, struct shot, timer);
    if (++s->fired < 1000)
        tg_timer_start(loop, t, 0);
}

static void restarting_without_delay_does_not_hang(void **state)
{
    struct shot *s = shots_new(1);
    tg_timer_init(&s->timer, zero_fire);
    tg_timer_start(loop, &s->timer, 0);
    tg_loop_turn(loop);
    assert_int_equal(s->fired, 1);
    for (int i = 0; i < 1000; i++)
        tg_loop_turn(loop);
    assert_int_equal(s->fired, 1000);
    tg_free(s);
}

static void restarts_itself(void **state)
{
    struct shot *s = shots_new(1);
    s->again_ms = 10;
    tg_timer_start(loop, &s->timer, 10);
    for (int i = 1; i <= 100; i++) {
        advance_ms(10);
        assert_int_equal(s->fired, i);
    }
    tg_timer_stop(loop, &s->timer);
    tg_timer_stop(loop, &s->timer); /* fine when not running */
    advance_ms(1000);
    assert_int_equal(s->fired, 100);
    tg_free(s);
}

static void one_stops_another_that_is_due_too(void **state)
{
    struct shot *s = shots_new(2);
    s[0].stops = &s[1];
    tg_timer_start(loop, &s[0].timer, 5);
    tg_timer_start(loop, &s[1].timer, 5);
    advance_ms(5);
    assert_int_equal(s[0].fired, 1);
    assert_int_equal(s[1].fired, 0);
    assert_false(tg_timer_active(&s[1].timer));
    tg_free(s);
}

static void is_put_off_and_brought_forward(void **state)
{
    struct shot *s = shots_new(1);
    tg_timer_start(loop, &s->timer, 100);
    for (int i = 0; i < 50; i++) { /* an idle timer restarted by traffic */
        advance_ms(90);
        tg_timer_start(loop, &s->timer, 100);
        assert_int_equal(s->timer.due_ms, tg_loop_now_ms(loop) + 100);
    }
    assert_int_equal(s->fired, 0);
    tg_timer_start(loop, &s->timer, 5000);
    tg_timer_start(loop, &s->timer, 7);
    advance_ms(6);
    assert_int_equal(s->fired, 0);
    advance_ms(1);
    assert_int_equal(s->fired, 1);
    advance_ms(10000);
    assert_int_equal(s->fired, 1);
    tg_free(s);
}

static void endless_delays_do_no_harm(void **state)
{
    struct shot *s = shots_new(2);
    tg_timer_start(loop, &s[0].timer, UINT64_MAX);
    tg_timer_start(loop, &s[1].timer, UINT64_MAX / 2);
    advance_ms(31536000000ull);
    assert_int_equal(s[0].fired + s[1].fired, 0);
    tg_timer_stop(loop, &s[0].timer);
    tg_timer_stop(loop, &s[1].timer);
    tg_free(s);
}

/* A test that installs its fake clock after the loop was made. */
static void the_clock_may_be_put_back(void **state)
{
    struct shot *s = shots_new(2);
    tg_timer_start(loop, &s[0].timer, 100);
    tg_clock_fake_start(500 * 1000000, 0);
    tg_loop_turn(loop);
    tg_timer_start(loop, &s[1].timer, 20);
    advance_ms(19);
    assert_int_equal(s[1].fired, 0);
    advance_ms(1);
    assert_int_equal(s[1].fired, 1);
    assert_int_equal(s[0].fired, 0);
    advance_ms(START_MS);
    assert_int_equal(s[0].fired, 1);
    tg_free(s);
}

/* ---- against a model ---- */

#define MODEL_TIMERS 500

static uint64_t rnd_state = 88172645463325252ull;
static uint64_t rnd(uint64_t n)
{
    rnd_state ^= rnd_state << 13;
    rnd_state ^= rnd_state >> 7;
    rnd_state ^= rnd_state << 17;
    return rnd_state % n;
}

static uint64_t random_delay(void)
{
    switch (rnd(4)) {
    case 0:
        return rnd(10);
    case 1:
        return rnd(300);
    case 2:
        return rnd(70000);
    default:
        return rnd(40000000);
    }
}

static void agrees_with_a_model(void **state)
{
    struct shot *s = shots_new(MODEL_TIMERS);
    uint64_t due[MODEL_TIMERS] = {0}; /* 0: not running */
    uint64_t now = START_MS;
    unsigned fired = 0;

    for (int op = 0; op < 100000; op++) {
        size_t i = rnd(MODEL_TIMERS);
        uint64_t d = random_delay();
        switch (rnd(8)) {
        case 0:
            tg_timer_stop(loop, &s[i].timer);
            due[i] = 0;
            break;
        case 1:
        case 2:
            d = rnd(100) ? rnd(20) : random_delay();
            now += d;
            advance_ms(d);
            for (size_t k = 0; k < MODEL_TIMERS; k++) {
                int expect = due[k] && due[k] <= now;
                assert_int_equal(s[k].fired, expect);
                if (expect) {
                    assert_int_equal(s[k].fired_at_ms, now);
                    due[k] = 0;
                    s[k].fired = 0;
                    fired++;
                }
                assert_int_equal(tg_timer_active(&s[k].timer), due[k] != 0);
            }
            break;
        default:
            tg_timer_start(loop, &s[i].timer, d);
            due[i] = now + d;
        }
    }
    assert_true(fired > 5000);
    for (size_t k = 0; k < MODEL_TIMERS; k++)
        tg_timer_stop(loop, &s[k].timer);
    tg_free(s);
}

/* ---- with the real clock ---- */

static void real_fire(struct tg_timer *t)
{
    on_fire(t);
    tg_loop_stop(loop);
}

static void a_sleeping_loop_wakes_in_time(void **state)
{
    loop = new_loop();
    struct shot *s = shots_new(3);
    tg_timer_init(&s[0].timer, real_fire);
    for (int i = 0; i < 3; i++) {
        uint64_t start = tg_clock_mono_ms();
        tg_timer_start(loop, &s[1].timer, 50000);
        tg_timer_start(loop, &s[0].timer, 30);
        tg_loop_run(loop);
        uint64_t took = tg_clock_mono_ms() - start;
        assert_in_range(took, 30, 500); /* never early */
        assert_true(tg_loop_ticks(loop) < 100);
    }
    assert_int_equal(s[0].fired, 3);
    tg_timer_stop(loop, &s[1].timer);
    tg_free(s);
    tg_loop_free(loop);
}

int main(void)
{
#define FAKE(f) cmocka_unit_test_setup_teardown(f, with_fake_clock, without_fake_clock)
    const struct CMUnitTest tests[] = {
        FAKE(fires_to_the_millisecond),
        FAKE(no_delay_fires_next_turn_but_never_at_once),
        FAKE(restarting_without_delay_does_not_hang),
        FAKE(restarts_itself),
        FAKE(one_stops_another_that_is_due_too),
        FAKE(is_put_off_and_brought_forward),
        FAKE(endless_delays_do_no_harm),
        FAKE(the_clock_may_be_put_back),
        FAKE(agrees_with_a_model),
        cmocka_unit_test(a_sleeping_loop_wakes_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
