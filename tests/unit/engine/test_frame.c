#include "check.h"

#include "base/err.h"
#include "engine/frame_priv.h"

static void add_frame(struct tg_buf *b, enum tg_frame_type type, uint64_t id, struct tg_str text)
{
    size_t at = tg_frame_begin(b, type, id);
    tg_put_str(b, text);
    assert_int_equal(tg_frame_end(b, at, TG_FRAME_MAX_TO_CHILD), 0);
}

static void frames_come_back_at_every_cut(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    add_frame(&b, TG_FR_TEXT, 7, TG_STR("hello"));
    add_frame(&b, TG_FR_DONE, UINT64_MAX, TG_STR(""));
    for (size_t cut = 0; cut <= b.n; cut++) {
        struct tg_str in = tg_str_first(tg_buf_str(&b), cut);
        struct tg_frame f;
        size_t used, at = 0;
        int n = 0, rc;
        while ((rc = tg_frame_next(tg_str_from(in, at), 1024, &f, &used)) == 1) {
            assert_int_equal(f.type, n ? TG_FR_DONE : TG_FR_TEXT);
            assert_true(f.id == (n ? UINT64_MAX : 7));
            struct tg_cursor c = tg_cursor_make(f.payload);
            assert_str_equal(tg_get_str(&c), n ? TG_STR("") : TG_STR("hello"));
            assert_true(tg_cursor_done(&c));
            at += used;
            n++;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(n, cut == b.n ? 2 : cut >= TG_FRAME_HEAD + 9 ? 1 : 0);
    }
    tg_buf_fini(&b);
}

static void heads_that_are_none(void **state)
{
    char head[TG_FRAME_HEAD] = {0};
    struct tg_frame f;
    size_t used;
    struct tg_str in = tg_str_make(head, sizeof head);
    assert_int_equal(tg_frame_next(in, 100, &f, &used), TG_E_INVALID_ARG);
    uint16_t magic = TG_FRAME_MAGIC;
    memcpy(head + 4, &magic, 2);
    assert_int_equal(tg_frame_next(in, 100, &f, &used), 1);
    assert_int_equal(used, TG_FRAME_HEAD);
    head[7] = 1;
    assert_int_equal(tg_frame_next(in, 100, &f, &used), TG_E_INVALID_ARG);
    head[7] = 0;
    uint32_t len = 101;
    memcpy(head, &len, 4);
    assert_int_equal(tg_frame_next(in, 100, &f, &used), TG_E_INVALID_ARG);
    len = UINT32_MAX;
    memcpy(head, &len, 4);
    assert_int_equal(tg_frame_next(in, 100, &f, &used), TG_E_INVALID_ARG);
    assert_int_equal(tg_frame_next(in, UINT32_MAX, &f, &used), 0);
}

static void a_frame_too_long_is_taken_back(void **state)
{
    struct tg_buf b;
    tg_buf_init(&b, 64);
    add_frame(&b, TG_FR_TEXT, 1, TG_STR("abc"));
    size_t before = b.n, at = tg_frame_begin(&b, TG_FR_TEXT, 2);
    tg_put_str(&b, TG_STR("0123456789012345678901234567890123456789"));
    assert_int_equal(tg_frame_end(&b, at, 1000), TG_E_FULL);
    assert_int_equal(b.n, before);
    at = tg_frame_begin(&b, TG_FR_TEXT, 2);
    tg_put_u64(&b, 1);
    assert_int_equal(tg_frame_end(&b, at, 7), TG_E_FULL);
    assert_int_equal(b.n, before);
    add_frame(&b, TG_FR_TEXT, 3, TG_STR("x"));
    tg_buf_fini(&b);
}

static void a_cursor_stays_bad(void **state)
{
    char bytes[] = {5, 0, 0, 0, 'a', 'b'};
    struct tg_cursor c = tg_cursor_make(tg_str_make(bytes, sizeof bytes));
    assert_int_equal(tg_get_str(&c).n, 0);
    assert_true(c.bad);
    assert_int_equal(tg_get_u8(&c), 0);
    assert_false(tg_cursor_done(&c));
    bytes[0] = 2;
    c = tg_cursor_make(tg_str_make(bytes, sizeof bytes));
    assert_str(tg_get_str(&c), "ab");
    assert_true(tg_cursor_done(&c));
    assert_int_equal(tg_get_u64(&c), 0);
    assert_true(c.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_at_every_cut),
        cmocka_unit_test(heads_that_are_none),
        cmocka_unit_test(a_frame_too_long_is_taken_back),
        cmocka_unit_test(a_cursor_stays_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
