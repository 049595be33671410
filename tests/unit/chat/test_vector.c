#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "chat/vector.h"

static struct tg_buf out;

static int write(const char *json, bool base64)
{
    tg_buf_fini(&out);
    tg_buf_init(&out, 1 << 20);
    return tg_vector_write(tg_str_c(json), base64, &out);
}

static int teardown(void **state)
{
    tg_buf_fini(&out);
    return 0;
}

/* 1.0f is 00 00 80 3f, -2.0f 00 00 00 c0, 0.1f cd cc cc 3d. */
static void lists_become_packed_floats(void **state)
{
    assert_int_equal(write("[1,-2.0,0.1]", true), 0);
    assert_str(tg_buf_str(&out), "\"AACAPwAAAMDNzMw9\"");
    assert_int_equal(write("[]", true), 0);
    assert_str(tg_buf_str(&out), "\"\"");
}

static void packed_floats_become_lists(void **state)
{
    assert_int_equal(write("\"AACAPwAAAMDNzMw9\"", false), 0);
    assert_str(tg_buf_str(&out), "[1,-2,0.1]");
    assert_int_equal(write("\"\"", false), 0);
    assert_str(tg_buf_str(&out), "[]");
    /* a NaN and an infinity have no JSON */
    assert_int_equal(write("\"AADAfwAAgH8=\"", false), 0);
    assert_str(tg_buf_str(&out), "[null,null]");
}

static void the_wanted_form_is_copied(void **state)
{
    assert_int_equal(write(" [ 1 , 2e-3 ] ", false), 0);
    assert_str(tg_buf_str(&out), "[ 1 , 2e-3 ]");
    assert_int_equal(write("\"AACAPw==\"", true), 0);
    assert_str(tg_buf_str(&out), "\"AACAPw==\"");
}

/* Every float comes back as the same bits. */
static void floats_survive_both_ways(void **state)
{
    uint32_t seed = 7;
    struct tg_buf packed;
    tg_buf_init(&packed, 1 << 16);
    for (int i = 0; i < 2000; i++) {
        char list[64];
        seed = seed * 1664525u + 1013904223u;
        uint32_t bits = (seed & 0x807fffffu) | (100u + (seed >> 8) % 54u) << 23;
        float f;
        memcpy(&f, &bits, sizeof f);
        snprintf(list, sizeof list, "[%.17g]", (double)f);
        assert_int_equal(write(list, true), 0);
        tg_buf_clear(&packed);
        tg_buf_str_add(&packed, tg_buf_str(&out));
        assert_int_equal(tg_vector_write(tg_buf_str(&packed), false, &out), 0);
        struct tg_str text = tg_str_from(tg_buf_str(&out), packed.n);
        assert_true(strtof(text.p + 1, NULL) == f);
        assert_true(text.n <= 2 + 15);
    }
    tg_buf_fini(&packed);
}

static void what_is_no_vector_is_refused(void **state)
{
    static const char *const bad[] = {
        "",   "{}",   "null",   "7", "[", "[\"a\"]", "[[1]]", "\"AACA\"", "\"not base64!\"",
        "\"", "[1,]", "[1e999]"};
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        bool list = bad[i][0] == '[';
        assert_int_equal(write(bad[i], list), TG_E_UPSTREAM_INVALID);
    }
}

static void a_full_buffer_says_so(void **state)
{
    tg_buf_fini(&out);
    tg_buf_init(&out, 8);
    assert_true(tg_vector_write(TG_STR("[1,2,3,4,5,6]"), true, &out) < 0);
    tg_buf_fini(&out);
    tg_buf_init(&out, 8);
    assert_int_equal(tg_vector_write(TG_STR("[1,2,3,4,5,6]"), false, &out), TG_E_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_become_packed_floats),
        cmocka_unit_test(packed_floats_become_lists),
        cmocka_unit_test(the_wanted_form_is_copied),
        cmocka_unit_test(floats_survive_both_ways),
        cmocka_unit_test(what_is_no_vector_is_refused),
        cmocka_unit_test(a_full_buffer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
