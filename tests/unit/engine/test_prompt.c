#include "check.h"

#include "base/buf.h"
#include "base/err.h"
#include "engine/prompt_priv.h"

enum { CAP = 16 };

static const struct tg_str contents[] = {TG_STR_INIT("be kind"), TG_STR_INIT(""),
                                         TG_STR_INIT("{tg:0000000000000001:0}")};

/* "text" and "<content>" joined by "|". */
static int split(const char *rendered, struct tg_buf *out, size_t cap)
{
    struct tg_segment s[CAP];
    tg_buf_clear(out);
    int n = tg_prompt_split(tg_str_c(rendered), 1, contents, 3, s, cap);
    for (int i = 0; i < n; i++) {
        tg_buf_str_add(out, i ? TG_STR("|") : TG_STR(""));
        tg_buf_str_add(out, s[i].content ? TG_STR("<") : TG_STR(""));
        tg_buf_str_add(out, s[i].text);
        tg_buf_str_add(out, s[i].content ? TG_STR(">") : TG_STR(""));
    }
    return n;
}

static void markers_give_way_to_contents(void **state)
{
    char m[TG_PROMPT_MARKER_CAP];
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    tg_prompt_marker(1, 2, m);
    assert_string_equal(m, "{tg:0000000000000001:2}");
    assert_int_equal(split("a{tg:0000000000000001:0}b", &out, CAP), 3);
    assert_str(tg_buf_str(&out), "a|<be kind>|b");
    assert_int_equal(split("{tg:0000000000000001:1}{tg:0000000000000001:0}", &out, CAP), 1);
    assert_str(tg_buf_str(&out), "<be kind>"); /* an empty content is no segment */
    /* A content that looks like a marker stays what it is; a content may come twice. */
    assert_int_equal(split("x{tg:0000000000000001:2}{tg:0000000000000001:2}", &out, CAP), 3);
    assert_str(tg_buf_str(&out), "x|<{tg:0000000000000001:0}>|<{tg:0000000000000001:0}>");
    assert_int_equal(split("", &out, CAP), 0);
    /* Other numbers are plain text. */
    assert_int_equal(split("{tg:0000000000000002:0}", &out, CAP), 1);
    assert_str(tg_buf_str(&out), "{tg:0000000000000002:0}");
    tg_buf_fini(&out);
}

static void broken_markers_are_refused(void **state)
{
    struct tg_buf out;
    tg_buf_init(&out, 4096);
    assert_int_equal(split("{tg:0000000000000001:3}", &out, CAP), TG_E_INVALID_ARG);
    assert_int_equal(split("{tg:0000000000000001:", &out, CAP), TG_E_INVALID_ARG);
    assert_int_equal(split("{tg:0000000000000001:}", &out, CAP), TG_E_INVALID_ARG);
    assert_int_equal(split("{tg:0000000000000001:-1}", &out, CAP), TG_E_INVALID_ARG);
    assert_int_equal(split("a{tg:0000000000000001:0}b", &out, 2), TG_E_FULL);
    tg_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markers_give_way_to_contents),
        cmocka_unit_test(broken_markers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
