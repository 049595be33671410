#include "check.h"

#include "engine/sched_priv.h"

static const int32_t ab[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
static const int32_t long_a[200] = {5, 5, 5};

static struct tg_slot_view idle(const int32_t *t, uint32_t n, uint64_t used)
{
    return (struct tg_slot_view){
        .state = TG_SLOT_IDLE, .tokens = t, .n_cells = n, .last_used = used};
}

static void the_first_request_takes_an_empty_slot(void **state)
{
    struct tg_slot_view s[3] = {idle(ab, 4, 9), idle(NULL, 0, 5), idle(NULL, 0, 2)};
    const int32_t other[] = {50, 51};
    struct tg_placement p = tg_sched_place(s, 3, other, 2, false);
    assert_int_equal(p.slot, 2); /* of the empty ones the one used longest ago */
    assert_int_equal(p.source, -1);
    assert_int_equal(p.reuse, 0);
    assert_int_equal(p.wait_for, -1);
}

static void the_next_turn_stays_in_its_slot(void **state)
{
    struct tg_slot_view s[2] = {idle(ab, 8, 1), idle(NULL, 0, 0)};
    struct tg_placement p = tg_sched_place(s, 2, ab, 10, false);
    assert_int_equal(p.slot, 0);
    assert_int_equal(p.source, 0);
    assert_int_equal(p.reuse, 8);
}

static void a_whole_hit_leaves_one_token_to_decode(void **state)
{
    struct tg_slot_view s[1] = {idle(ab, 10, 1)};
    struct tg_placement p = tg_sched_place(s, 1, ab, 5, false);
    assert_int_equal(p.reuse, 4);
    assert_int_equal(p.slot, 0);
    p = tg_sched_place(s, 1, ab, 1, false);
    assert_int_equal(p.reuse, 0);
    assert_int_equal(p.source, -1);
}

static void a_running_slot_lends_its_prefix(void **state)
{
    struct tg_slot_view s[2] = {{.state = TG_SLOT_DECODE, .tokens = ab, .n_cells = 6},
                                idle(NULL, 0, 0)};
    struct tg_placement p = tg_sched_place(s, 2, ab, 10, false);
    assert_int_equal(p.slot, 1);
    assert_int_equal(p.source, 0);
    assert_int_equal(p.reuse, 6);
}

static void a_dialogue_in_cache_is_not_thrown_away_for_its_beginning(void **state)
{
    int32_t t[200];
    memcpy(t, long_a, sizeof t);
    struct tg_slot_view s[2] = {idle(t, 200, 9), idle(ab, 3, 1)};
    int32_t prompt[60];
    memcpy(prompt, long_a, sizeof prompt);
    prompt[59] = 77;
    struct tg_placement p = tg_sched_place(s, 2, prompt, 60, false);
    assert_int_equal(p.source, 0);
    assert_int_equal(p.slot, 1); /* copies 59 of 200 tokens */
    assert_int_equal(p.reuse, 59);
}

static void no_slot_while_all_run(void **state)
{
    struct tg_slot_view s[1] = {{.state = TG_SLOT_STALLED, .tokens = ab, .n_cells = 4}};
    assert_int_equal(tg_sched_place(s, 1, ab, 10, false).slot, -1);
}

static void equal_prompts_wait_for_the_first(void **state)
{
    struct tg_slot_view s[2] = {
        {.state = TG_SLOT_PREFILL, .tokens = long_a, .n_cells = 10, .n_target = 200},
        idle(NULL, 0, 0)};
    struct tg_placement p = tg_sched_place(s, 2, long_a, 200, false);
    assert_int_equal(p.wait_for, 0);
    /* Nearly there: no wait. */
    s[0].n_cells = 190;
    p = tg_sched_place(s, 2, long_a, 200, false);
    assert_int_equal(p.wait_for, -1);
    assert_int_equal(p.reuse, 190);
    /* Little in common: no wait. */
    s[0].n_cells = 0;
    int32_t other[200];
    memcpy(other, long_a, sizeof other);
    other[20] = 1;
    assert_int_equal(tg_sched_place(s, 2, other, 200, false).wait_for, -1);
}

static void a_state_that_cannot_be_cut_is_taken_whole(void **state)
{
    struct tg_slot_view s[3] = {
        idle(ab, 8, 1), {.state = TG_SLOT_DECODE, .tokens = ab, .n_cells = 5}, idle(NULL, 0, 0)};
    const int32_t six[] = {1, 2, 3, 4, 5, 6, 99};
    struct tg_placement p = tg_sched_place(s, 3, six, 7, true);
    assert_int_equal(p.reuse, 5); /* not six of the eight */
    assert_int_equal(p.source, 1);
    p = tg_sched_place(s, 3, ab, 10, true);
    assert_int_equal(p.reuse, 8);
    assert_int_equal(p.slot, 0);
    s[1] = (struct tg_slot_view){
        .state = TG_SLOT_PREFILL, .tokens = long_a, .n_cells = 0, .n_target = 200};
    assert_int_equal(tg_sched_place(s, 3, long_a, 200, true).wait_for, -1);
}

static void groups_follow_the_measurement(void **state)
{
    struct tg_calib good = {.valid = true, .step_us = {100, 110, 130, 170}};
    struct tg_calib bad = {.valid = true, .step_us = {100, 300, 500, 900}};
    struct tg_calib kink = {.valid = true, .step_us = {100, 250, 450, 400}};
    struct tg_calib none = {0};
    for (uint32_t n = 1; n <= 16; n++) {
        assert_int_equal(tg_sched_group(&good, n), n);
        if (n <= 8) /* beyond, the measured line is gone on with */
            assert_int_equal(tg_sched_group(&bad, n), 1);
        assert_int_equal(tg_sched_group(&none, n), n);
    }
    assert_int_equal(tg_sched_group(&kink, 2), 1);
    assert_int_equal(tg_sched_group(&kink, 8), 8);
    assert_int_equal(tg_sched_group(&good, 0), 1);
}

static struct tg_slot_view with(enum tg_slot_state st, uint32_t cells, uint32_t target)
{
    return (struct tg_slot_view){.state = st, .n_cells = cells, .n_target = target};
}

static void a_step_takes_decoders_then_chunks(void **state)
{
    struct tg_slot_view s[5] = {with(TG_SLOT_PREFILL, 0, 100), with(TG_SLOT_DECODE, 9, 0),
                                with(TG_SLOT_PREFILL, 40, 60), with(TG_SLOT_STALLED, 9, 0),
                                with(TG_SLOT_DECODE, 9, 0)};
    const uint64_t order[5] = {7, 1, 5, 2, 3};
    struct tg_step st;
    tg_sched_step(s, order, 5, 5, 2, 64, 512, &st);
    assert_int_equal(st.n_parts, 4);
    assert_int_equal(st.n_decode, 2);
    assert_int_equal(st.parts[0].slot, 4); /* the turn was at 2 */
    assert_int_equal(st.parts[1].slot, 1);
    assert_int_equal(st.parts[2].slot, 2); /* admitted before slot 0 */
    assert_int_equal(st.parts[2].n_tokens, 20);
    assert_int_equal(st.parts[3].slot, 0);
    assert_int_equal(st.parts[3].n_tokens, 44);
    assert_int_equal(st.n_tokens, 66);
    /* Never over the batch. */
    tg_sched_step(s, order, 5, 5, 0, 64, 10, &st);
    assert_int_equal(st.n_tokens, 10);
    tg_sched_step(s, order, 5, 5, 0, 64, 1, &st);
    assert_int_equal(st.n_tokens, 1);
    assert_int_equal(st.n_parts, 1);
    /* One at a time. */
    tg_sched_step(s, order, 5, 1, 2, 0, 512, &st);
    assert_int_equal(st.n_parts, 1);
    assert_int_equal(st.parts[0].slot, 4);
}

static void chunks_follow_the_clock(void **state)
{
    assert_int_equal(tg_sched_chunk(1000000, 75000, 32, 512), 75);
    assert_int_equal(tg_sched_chunk(100000, 75000, 32, 512), 512);
    assert_int_equal(tg_sched_chunk(100000000, 75000, 32, 512), 32);
    assert_int_equal(tg_sched_chunk(0, 75000, 32, 512), 512);
    assert_int_equal(tg_sched_rate(0, 100, 1000), 10000);
    assert_int_equal(tg_sched_rate(5000, 4, 1000), 5000);
    assert_int_equal(tg_sched_rate(20000, 100, 1000), 17500);
}

static void idle_caches_are_worth_what_they_cost(void **state)
{
    struct tg_calib c = {.valid = true, .step_us = {2000, 2500, 4000, 6000}, .foreign_us = 4200};
    /* 200 us for 4 x 256: a row and cell 0.195 us; a twentieth of 2,000 us is 512 of them. */
    assert_int_equal(tg_sched_idle_cells(&c, 1, 16384), 512);
    assert_int_equal(tg_sched_idle_cells(&c, 4, 16384), 256);
    assert_int_equal(tg_sched_idle_cells(&c, 8, 16384), 192);
    assert_int_equal(tg_sched_idle_cells(&c, 0, 16384), 16384);
    c.foreign_us = 90000;
    assert_int_equal(tg_sched_idle_cells(&c, 8, 16384), 0);
    c.foreign_us = 4000;
    assert_int_equal(tg_sched_idle_cells(&c, 1, 16384), 16384);
    c.foreign_us = 0; /* not measured: a large model, where attention is a small part */
    assert_int_equal(tg_sched_idle_cells(&c, 1, 16384), 16384);
    c.valid = false;
    assert_int_equal(tg_sched_idle_cells(&c, 1, 16384), 16384);
}

static void the_oldest_idle_cache_goes_first(void **state)
{
    struct tg_slot_view s[4] = {
        idle(ab, 4, 9), idle(ab, 0, 1), idle(ab, 5, 3), {.state = TG_SLOT_DECODE, .n_cells = 9}};
    assert_int_equal(tg_sched_evict(s, 4, -1), 2);
    assert_int_equal(tg_sched_evict(s, 4, 2), 0);
    s[0].n_cells = s[2].n_cells = 0;
    assert_int_equal(tg_sched_evict(s, 4, -1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_request_takes_an_empty_slot),
        cmocka_unit_test(the_next_turn_stays_in_its_slot),
        cmocka_unit_test(a_whole_hit_leaves_one_token_to_decode),
        cmocka_unit_test(a_running_slot_lends_its_prefix),
        cmocka_unit_test(a_dialogue_in_cache_is_not_thrown_away_for_its_beginning),
        cmocka_unit_test(no_slot_while_all_run),
        cmocka_unit_test(equal_prompts_wait_for_the_first),
        cmocka_unit_test(a_state_that_cannot_be_cut_is_taken_whole),
        cmocka_unit_test(groups_follow_the_measurement),
        cmocka_unit_test(a_step_takes_decoders_then_chunks),
        cmocka_unit_test(chunks_follow_the_clock),
        cmocka_unit_test(idle_caches_are_worth_what_they_cost),
        cmocka_unit_test(the_oldest_idle_cache_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
