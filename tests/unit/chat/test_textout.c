#include "check.h"

#include "base/err.h"
#include "base/utf8.h"
#include "chat/textout.h"

/* Pushes `text` in pieces of `step` bytes; returns what was released, with "|" where it ended. */
static void run(struct tg_buf *all, struct tg_str text, size_t step, const struct tg_str *stops,
                size_t n_stops)
{
    struct tg_textout t;
    int rc = 0;
    tg_textout_init(&t, stops, n_stops);
    tg_buf_clear(all);
    while (text.n && rc == 0) {
        rc = tg_textout_push(&t, tg_str_first(text, step));
        assert_true(rc >= 0);
        assert_true(tg_utf8_valid(tg_buf_str(&t.out)));
        tg_buf_str_add(all, tg_buf_str(&t.out));
        text = tg_str_from(text, step);
    }
    assert_int_equal(tg_textout_finish(&t), 0);
    assert_true(tg_utf8_valid(tg_buf_str(&t.out)));
    tg_buf_str_add(all, tg_buf_str(&t.out));
    if (rc == 1) {
        tg_buf_char(all, '|');
        tg_buf_u64(all, (uint64_t)t.stop_index);
        assert_int_equal(tg_textout_push(&t, TG_STR("more")), 1);
        assert_int_equal(t.out.n, 0);
    }
    tg_textout_fini(&t);
}

static void characters_leave_whole(void **state)
{
    struct tg_buf all;
    struct tg_str text = TG_STR("a\xC3\xA9\xE7\x8C\xAB\xF0\x9F\x8C\x99z");
    tg_buf_init(&all, 1 << 16);
    for (size_t step = 1; step <= text.n; step++) {
        run(&all, text, step, NULL, 0);
        assert_str_equal(tg_buf_str(&all), text);
    }
    tg_buf_fini(&all);
}

static void broken_bytes_become_replacements(void **state)
{
    struct tg_buf all;
    tg_buf_init(&all, 1 << 16);
    for (size_t step = 1; step < 9; step++) {
        run(&all, TG_STR("a\xFFz\xC3(\xE7\x8C"), step, NULL, 0);
        assert_str(tg_buf_str(&all), "a\xEF\xBF\xBDz\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD");
    }
    tg_buf_fini(&all);
}

static void stop_strings_cut_at_every_split(void **state)
{
    struct tg_buf all;
    tg_buf_init(&all, 1 << 16);
    const struct tg_str stops[] = {TG_STR_INIT("END"), TG_STR_INIT("\n\n"), TG_STR_INIT("ENDING"),
                                   TG_STR_INIT("\xE7\x8C\xAB")};
    const struct {
        const char *text, *want;
    } cases[] = {
        {"one two END three", "one two |0"},
        {"no such thing", "no such thing"},
        {"almost EN", "almost EN"},
        {"a\nb\n\nc", "a\nb|1"},
        {"EEND", "E|0"},
        {"ENEND", "EN|0"},
        {"\n\n", "|1"},
        {"x\xE7\x8C\xABy", "x|3"},
        {"x\xE7\x8C\xAC.", "x\xE7\x8C\xAC."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 1; step < 20; step++) {
            run(&all, tg_str_c(cases[i].text), step, stops, 4);
            assert_str_equal(tg_buf_str(&all), tg_str_c(cases[i].want));
        }
    }
    /* Of two at the same place the longer counts, when both are there at once. */
    run(&all, TG_STR("x ENDING"), 8, stops, 4);
    assert_str(tg_buf_str(&all), "x |2");
    tg_buf_fini(&all);
}

static void only_what_may_be_a_stop_is_held(void **state)
{
    const struct tg_str stops[] = {TG_STR_INIT("abab!")};
    struct tg_textout t;
    tg_textout_init(&t, stops, 1);
    assert_int_equal(tg_textout_push(&t, TG_STR("xxab")), 0);
    assert_str(tg_buf_str(&t.out), "xx");
    assert_int_equal(tg_textout_push(&t, TG_STR("ab")), 0);
    assert_int_equal(t.out.n, 0);
    assert_int_equal(tg_textout_push(&t, TG_STR("ab")), 0);
    assert_str(tg_buf_str(&t.out), "ab");
    assert_int_equal(tg_textout_push(&t, TG_STR("?")), 0);
    assert_str(tg_buf_str(&t.out), "abab?");
    assert_int_equal(t.taken_bytes, t.passed_bytes);
    tg_textout_fini(&t);
}

static void a_piece_too_large_is_refused_whole(void **state)
{
    static char big[70000];
    struct tg_textout t;
    memset(big, 'x', sizeof big);
    tg_textout_init(&t, NULL, 0);
    assert_int_equal(tg_textout_push(&t, tg_str_make(big, sizeof big)), TG_E_FULL);
    tg_textout_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_leave_whole),
        cmocka_unit_test(broken_bytes_become_replacements),
        cmocka_unit_test(stop_strings_cut_at_every_split),
        cmocka_unit_test(only_what_may_be_a_stop_is_held),
        cmocka_unit_test(a_piece_too_large_is_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
