#include "check.h"

#include "chat/reasoning_details.h"

static struct tg_buf out;

static struct tg_str written(const struct tg_reasoning_detail *d, unsigned n, unsigned want)
{
    tg_buf_fini(&out);
    tg_buf_init(&out, 1 << 16);
    unsigned count = n;
    tg_reasoning_detail_write(d, &count, &out);
    assert_int_equal(count, want);
    return tg_buf_str(&out);
}

static int teardown(void **state)
{
    tg_buf_fini(&out);
    return 0;
}

static void one_entry_of_each_kind(void **state)
{
    struct tg_reasoning_detail d = {.index = 2, .text = TG_STR_INIT("a\"b")};
    assert_str(written(&d, 0, 1), "{\"type\":\"reasoning.text\",\"text\":\"a\\\"b\",\"index\":2}");
    d.opaque = TG_OPAQUE_SIGNED;
    d.signature = TG_STR("s+/=");
    assert_str(written(&d, 3, 4),
               ",{\"type\":\"reasoning.text\",\"text\":\"a\\\"b\",\"signature\":\"s+/=\","
               "\"format\":\"anthropic-claude-v1\",\"index\":2}");
    d.text = TG_STR("");
    d.opaque = TG_OPAQUE_REDACTED;
    assert_str(written(&d, 0, 1), "{\"type\":\"reasoning.encrypted\",\"data\":\"s+/=\",\"format\":"
                                  "\"anthropic-claude-v1\",\"index\":2}");
    d.opaque = TG_OPAQUE_THOUGHT;
    d.id = TG_STR("call_1");
    assert_str(written(&d, 0, 1),
               "{\"type\":\"reasoning.encrypted\",\"data\":\"s+/=\",\"id\":\"call_1\",\"format\":"
               "\"google-gemini-v1\",\"index\":2}");
}

static void a_summary_and_its_state_are_two(void **state)
{
    struct tg_reasoning_detail d = {.text = TG_STR_INIT("a"),
                                    .opaque = TG_OPAQUE_ENCRYPTED,
                                    .signature = TG_STR_INIT("e"),
                                    .id = TG_STR_INIT("rs_1")};
    assert_str(written(&d, 0, 2),
               "{\"type\":\"reasoning.summary\",\"summary\":\"a\",\"id\":\"rs_1\",\"format\":"
               "\"openai-responses-v1\",\"index\":0},{\"type\":\"reasoning.encrypted\",\"data\":"
               "\"e\",\"id\":\"rs_1\",\"format\":\"openai-responses-v1\",\"index\":0}");
}

static void nothing_for_nothing(void **state)
{
    struct tg_reasoning_detail d = {.opaque = TG_OPAQUE_ENCRYPTED};
    assert_str(written(&d, 0, 0), "");
    d.opaque = TG_OPAQUE_NONE;
    assert_str(written(&d, 5, 5), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_entry_of_each_kind),
        cmocka_unit_test(a_summary_and_its_state_are_two),
        cmocka_unit_test(nothing_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
