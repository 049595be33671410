#include "check.h"

#include "base/utf8.h"

/* By decoding, as the standard's text says it, not by its table. */
static size_t slow_len(const unsigned char *p, size_t n)
{
    if (n == 0 || (p[0] >= 0x80 && p[0] < 0xC0) || p[0] > 0xF7)
        return 0;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (len == 1)
        return 1;
    if (n < len)
        return 0;
    uint32_t cp = p[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 0x3F);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    return cp >= least[len] && cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF) ? len : 0;
}

static void every_code_point(void **state)
{
    for (uint32_t cp = 0; cp <= 0x110010; cp++) {
        char text[4];
        size_t n = tg_utf8_encode(cp, text);
        bool scalar = cp <= 0x10FFFF && (cp < 0xD800 || cp > 0xDFFF);
        assert_int_equal(n > 0, scalar);
        if (!n)
            continue;
        assert_int_equal(n, cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4);
        assert_int_equal(tg_utf8_len(tg_str_make(text, n)), n);
        assert_true(tg_utf8_valid(tg_str_make(text, n)));
        for (size_t cut = 1; cut < n; cut++) {
            assert_false(tg_utf8_valid(tg_str_make(text, cut)));
            assert_int_equal(tg_utf8_whole(tg_str_make(text, cut)), 0);
        }
    }
}

/* Bytes at the edges of every range, in all combinations of four. */
static void every_combination_of_edges(void **state)
{
    static const unsigned char edges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0,
                                          0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF,
                                          0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF8, 0xFF};
    enum { N = sizeof(edges) };
    for (int i = 0; i < N * N * N * N; i++) {
        unsigned char t[4] = {edges[i % N], edges[i / N % N], edges[i / N / N % N],
                              edges[i / N / N / N]};
        for (size_t n = 1; n <= 4; n++) {
            struct tg_str s = tg_str_make((char *)t, n);
            assert_int_equal(tg_utf8_len(s), slow_len(t, n));
            size_t at = 0, len;
            while (at < n && (len = slow_len(t + at, n - at)) > 0)
                at += len;
            assert_int_equal(tg_utf8_valid(s), at == n);
        }
    }
}

static void invalid_at_every_place_of_a_long_text(void **state)
{
    char text[40];
    for (size_t n = 1; n <= sizeof(text); n++)
        for (size_t at = 0; at < n; at++) {
            memset(text, 'a', sizeof(text));
            assert_true(tg_utf8_valid(tg_str_make(text, n)));
            text[at] = (char)0x80;
            assert_false(tg_utf8_valid(tg_str_make(text, n)));
        }
    assert_true(tg_utf8_valid((struct tg_str){NULL, 0}));
    assert_int_equal(tg_utf8_len((struct tg_str){NULL, 0}), 0);
}

static void whole_finds_the_cut_character(void **state)
{
    static const struct {
        struct tg_str text;
        size_t whole;
    } cases[] = {
        {TG_STR_INIT(""), 0},
        {TG_STR_INIT("abc"), 3},
        {TG_STR_INIT("a\xC3"), 1},
        {TG_STR_INIT("a\xC3\xA4"), 3},
        {TG_STR_INIT("a\xE2\x82"), 1},
        {TG_STR_INIT("a\xF0\x9F\x98"), 1},
        {TG_STR_INIT("\xF0\x9F\x98\x80"), 4},
        {TG_STR_INIT("a\xFF"), 2}, /* can never become one: a whole character of length 1 */
        {TG_STR_INIT("a\xC0"), 2},
        {TG_STR_INIT("a\xE0\x80"), 3},     /* overlong already */
        {TG_STR_INIT("a\xED\xA0"), 3},     /* a surrogate already */
        {TG_STR_INIT("a\xF4\x90\x80"), 4}, /* above U+10FFFF already */
        {TG_STR_INIT("a\x80\x80\x80"), 4},
        {TG_STR_INIT("\x80"), 1},
        {TG_STR_INIT("\xE2\x82\xAC\x80\x80"), 5},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_int_equal(tg_utf8_whole(cases[i].text), cases[i].whole);
}

/* Feeding a text in pieces, keeping back what whole() says, loses and splits nothing. */
static void pieces_join(void **state)
{
    static const char text[] = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z";
    for (size_t cut = 0; cut <= sizeof(text) - 1; cut++) {
        struct tg_str first = tg_str_make(text, cut);
        size_t whole = tg_utf8_whole(first);
        assert_true(cut - whole <= 3);
        assert_true(tg_utf8_valid(tg_str_first(first, whole)));
        assert_true(tg_utf8_valid(tg_str_make(text + whole, sizeof(text) - 1 - whole)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point),
        cmocka_unit_test(every_combination_of_edges),
        cmocka_unit_test(invalid_at_every_place_of_a_long_text),
        cmocka_unit_test(whole_finds_the_cut_character),
        cmocka_unit_test(pieces_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
