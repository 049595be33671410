#include "check.h"

#include "base/alloc.h"
#include "base/err.h"
#include "chat/collect.h"

static struct tg_collect c;
static struct tg_buf text;

static int setup(void **state)
{
    c = (struct tg_collect){0};
    tg_buf_init(&text, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    tg_collect_fini(&c);
    tg_buf_fini(&text);
    return 0;
}

static int start(uint32_t choice, uint32_t part, enum tg_part_kind kind)
{
    struct tg_event ev = {.kind = TG_EV_PART_START,
                          .choice = choice,
                          .part = part,
                          .part_kind = kind,
                          .id = TG_STR("id"),
                          .name = TG_STR("name")};
    return tg_collect_on_event(&c, &ev);
}

static int delta(uint32_t choice, uint32_t part, enum tg_delta_kind kind, const char *s)
{
    struct tg_event ev = {.kind = TG_EV_DELTA,
                          .choice = choice,
                          .part = part,
                          .delta_kind = kind,
                          .text = tg_str_c(s)};
    return tg_collect_on_event(&c, &ev);
}

static int finish(uint32_t choice, enum tg_finish f, const char *word)
{
    struct tg_event ev = {
        .kind = TG_EV_FINISH, .choice = choice, .finish = f, .text = tg_str_c(word)};
    return tg_collect_on_event(&c, &ev);
}

static struct tg_str texts(size_t i, enum tg_part_kind kind)
{
    tg_buf_clear(&text);
    tg_collect_text(&c.choices[i], kind, &text);
    return tg_buf_str(&text);
}

static void parts_are_kept_apart(void **state)
{
    assert_int_equal(start(0, 0, TG_PART_REASONING), 0);
    assert_int_equal(delta(0, 0, TG_DELTA_REASONING, "hm"), 0);
    assert_int_equal(delta(0, 0, TG_DELTA_SIGNATURE, "sig"), 0);
    assert_int_equal(start(0, 1, TG_PART_TEXT), 0);
    assert_int_equal(delta(0, 1, TG_DELTA_TEXT, "a"), 0);
    assert_int_equal(start(0, 2, TG_PART_TOOL_CALL), 0);
    assert_int_equal(delta(0, 2, TG_DELTA_ARGUMENTS, "{}"), 0);
    assert_int_equal(start(0, 3, TG_PART_TEXT), 0);
    assert_int_equal(delta(0, 3, TG_DELTA_TEXT, "b"), 0);
    assert_int_equal(delta(0, 1, TG_DELTA_TEXT, "A"), 0); /* late, still the first part */
    assert_int_equal(finish(0, TG_FINISH_TOOL_CALLS, "tool_calls"), 0);
    assert_int_equal(c.n_choices, 1);
    assert_int_equal(c.choices[0].n_parts, 4);
    assert_str(texts(0, TG_PART_TEXT), "aAb");
    assert_str(texts(0, TG_PART_REASONING), "hm");
    assert_str(tg_buf_str(&c.choices[0].parts[0].signature), "sig");
    assert_str(tg_buf_str(&c.choices[0].parts[2].id), "id");
    assert_str(tg_buf_str(&c.choices[0].parts[2].name), "name");
    assert_true(tg_collect_has(&c.choices[0], TG_PART_TOOL_CALL));
    assert_false(tg_collect_has(&c.choices[0], TG_PART_REFUSAL));
    assert_false(tg_collect_text(&c.choices[0], TG_PART_REFUSAL, &text));
    assert_true(c.choices[0].finished);
    assert_int_equal(c.choices[0].finish, TG_FINISH_TOOL_CALLS);
}

static void choices_are_in_order(void **state)
{
    static const uint32_t order[] = {5, 0, 3, 4095, 1};
    for (size_t i = 0; i < TG_ARRAY_LEN(order); i++)
        assert_int_equal(delta(order[i], 0, TG_DELTA_TEXT, "x"), 0);
    assert_int_equal(c.n_choices, 5);
    for (size_t i = 1; i < 5; i++)
        assert_true(c.choices[i - 1].index < c.choices[i].index);
    for (size_t i = 0; i < 5; i++)
        assert_str(texts(i, TG_PART_TEXT), "x");
}

static void a_delta_alone_makes_its_part(void **state)
{
    assert_int_equal(delta(0, 0, TG_DELTA_REFUSAL, "no"), 0);
    assert_int_equal(delta(0, 1, TG_DELTA_ARGUMENTS, "{}"), 0);
    assert_int_equal(delta(0, 2, TG_DELTA_SIGNATURE, "s"), 0);
    assert_int_equal(c.choices[0].parts[0].kind, TG_PART_REFUSAL);
    assert_int_equal(c.choices[0].parts[1].kind, TG_PART_TOOL_CALL);
    assert_int_equal(c.choices[0].parts[2].kind, TG_PART_REASONING);
}

static void the_first_finish_counts(void **state)
{
    assert_int_equal(finish(0, TG_FINISH_LENGTH, "max"), 0);
    assert_int_equal(finish(0, TG_FINISH_STOP, "stop"), 0);
    assert_int_equal(c.choices[0].finish, TG_FINISH_LENGTH);
    assert_str(tg_buf_str(&c.choices[0].finish_text), "max");
}

static void other_events_change_nothing(void **state)
{
    static const enum tg_event_kind kinds[] = {TG_EV_START, TG_EV_PART_END, TG_EV_USAGE, TG_EV_END,
                                               TG_EV_ERROR};
    for (size_t i = 0; i < TG_ARRAY_LEN(kinds); i++)
        assert_int_equal(tg_collect_on_event(&c, &(struct tg_event){.kind = kinds[i]}), 0);
    assert_int_equal(c.n_choices, 0);
}

static void logprobs_are_records(void **state)
{
    struct tg_event ev = {.kind = TG_EV_DELTA, .text = TG_STR("a"), .logprobs = TG_STR("{}")};
    assert_int_equal(tg_collect_on_event(&c, &ev), 0);
    assert_int_equal(tg_collect_on_event(&c, &ev), 0);
    assert_str(tg_buf_str(&c.choices[0].logprobs), "{}\x1e{}\x1e");
}

static void bounds_hold(void **state)
{
    c.max_bytes = 10;
    assert_int_equal(delta(0, 0, TG_DELTA_TEXT, "12345"), 0);
    assert_int_equal(delta(1, 0, TG_DELTA_TEXT, "12345"), 0);
    assert_int_equal(delta(0, 0, TG_DELTA_TEXT, "1"), TG_E_UPSTREAM_TOO_LARGE);
    assert_int_equal(delta(0, 0, TG_DELTA_TEXT, ""), 0);
    assert_str(texts(0, TG_PART_TEXT), "12345");
    assert_int_equal(delta(0, TG_COLLECT_MAX_PARTS, TG_DELTA_TEXT, ""), TG_E_UPSTREAM_TOO_LARGE);
    tg_collect_fini(&c);
    assert_int_equal(c.max_bytes, 10);
    c.max_bytes = 0;
    for (uint32_t i = 0; i < TG_COLLECT_MAX_CHOICES; i++)
        assert_int_equal(finish(i, TG_FINISH_STOP, ""), 0);
    assert_int_equal(finish(TG_COLLECT_MAX_CHOICES, TG_FINISH_STOP, ""), TG_E_UPSTREAM_TOO_LARGE);
}

/* A part costs memory of its own: many of them, in many choices, are bounded together. */
static void parts_are_bounded_over_all_choices(void **state)
{
    int rc = 0;
    uint32_t n = 0;
    for (; !rc && n < TG_COLLECT_MAX_CHOICES; n++)
        rc = start(n, 63, TG_PART_TEXT);
    assert_int_equal(rc, TG_E_UPSTREAM_TOO_LARGE);
    assert_in_range(n, 1000, 1100);
}

static void every_allocation_may_fail(void **state)
{
    for (uint64_t at = 1;; at++) {
        tg_alloc_fail_at(at, 0);
        int rc = start(0, 2, TG_PART_TOOL_CALL);
        if (!rc)
            rc = delta(3, 0, TG_DELTA_TEXT, "text");
        if (!rc)
            rc = finish(0, TG_FINISH_OTHER, "word");
        tg_alloc_fail_at(0, 0);
        tg_collect_fini(&c);
        if (!rc) {
            assert_true(at > 5);
            return;
        }
        assert_int_equal(rc, TG_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_are_kept_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(choices_are_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delta_alone_makes_its_part, setup, teardown),
        cmocka_unit_test_setup_teardown(the_first_finish_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(other_events_change_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(logprobs_are_records, setup, teardown),
        cmocka_unit_test_setup_teardown(bounds_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_are_bounded_over_all_choices, setup, teardown),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
