#include "base/buf.h"
#include "base/err.h"
#include "check.h"
#include "core/mock_model.h"

static struct tg_arena scratch, arena;
static struct tg_fail f;
static const struct tg_mock_steps *script;

static int setup(void **state TG_UNUSED)
{
    tg_arena_init(&scratch, 1024, 16u << 20);
    tg_arena_init(&arena, 1024, 16u << 20);
    tg_fail_clear(&f);
    return 0;
}

static int teardown(void **state TG_UNUSED)
{
    tg_arena_fini(&scratch);
    tg_arena_fini(&arena);
    return 0;
}

static void use(const char *text)
{
    assert_int_equal(tg_mock_steps_parse(&scratch, &arena, tg_str_c(text), &script, &f), 0);
}

/* A conversation: each text is a message, its role by its first letter; "r" is a tool's result. */
static struct tg_message messages[8];
static struct tg_part parts[8], inner[8];

static struct tg_chat_req talk(const char *const *texts, size_t n)
{
    memset(parts, 0, sizeof parts);
    for (size_t i = 0; i < n; i++) {
        char c = texts[i][0];
        struct tg_str text = tg_str_c(texts[i] + 1);
        messages[i] = (struct tg_message){.parts = &parts[i], .n_parts = 1};
        messages[i].role = c == 's'   ? TG_ROLE_SYSTEM
                           : c == 'd' ? TG_ROLE_DEVELOPER
                           : c == 'u' ? TG_ROLE_USER
                           : c == 'a' ? TG_ROLE_ASSISTANT
                                      : TG_ROLE_TOOL;
        parts[i] = (struct tg_part){.kind = TG_PART_TEXT, .text = text};
        if (c != 'r')
            continue;
        inner[i] = parts[i];
        parts[i] = (struct tg_part){.kind = TG_PART_TOOL_RESULT, .parts = &inner[i], .n_parts = 1};
    }
    return (struct tg_chat_req){.model = TG_STR("mock-1"), .messages = messages, .n_messages = n};
}
#define TALK(...) \
    talk((const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static struct tg_tool offered[] = {
    {.is_function = true, .name = TG_STR_INIT("Write")},
    {.is_function = true, .name = TG_STR_INIT("exec_command")},
};

static struct tg_mock_answer answer(struct tg_chat_req req)
{
    struct tg_mock_answer out;
    tg_fail_clear(&f);
    if (tg_mock_model_answer(script, &req, TG_STR("t"), &arena, &out, &f) < 0)
        print_error("%s\n", f.message);
    assert_int_equal(f.err, 0);
    return out;
}

static struct tg_str text_of(struct tg_chat_req req)
{
    return answer(req).parts[0].text;
}

static void refused(struct tg_chat_req req, const char *why)
{
    struct tg_mock_answer out;
    tg_fail_clear(&f);
    assert_int_equal(tg_mock_model_answer(script, &req, TG_STR("t"), &arena, &out, &f),
                     TG_E_INVALID_VALUE);
    if (!strstr(f.message, why))
        print_error("%s\n  lacks %s\n", f.message, why);
    assert_non_null(strstr(f.message, why));
}

static void names_fit_patterns(void **state TG_UNUSED)
{
    assert_true(tg_mock_name_fits(TG_STR("Bash"), TG_STR("Bash")));
    assert_false(tg_mock_name_fits(TG_STR("Bash"), TG_STR("bash")));
    assert_true(tg_mock_name_fits(TG_STR("*"), TG_STR("")));
    assert_true(tg_mock_name_fits(TG_STR("exec_*"), TG_STR("exec_")));
    assert_true(tg_mock_name_fits(TG_STR("*_shell_*"), TG_STR("run_shell_*")));
    assert_true(tg_mock_name_fits(TG_STR("a*b"), TG_STR("ab")));
    assert_false(tg_mock_name_fits(TG_STR("ab*ba"), TG_STR("aba")));
}

static void steps_fit_by_what_was_said(void **state TG_UNUSED)
{
    use("{\"steps\": ["
        "{\"when\": {\"model\": [\"x\", \"gpt-*\"]}, \"text\": \"model\"},"
        "{\"when\": {\"system\": \"be brief\"}, \"text\": \"system\"},"
        "{\"when\": {\"last\": [\"ping\", \"!\"]}, \"text\": \"last\"},"
        "{\"when\": {\"turn\": 1, \"result\": \"ok\"}, \"text\": \"ok\"},"
        "{\"when\": {\"turn\": 1, \"result\": true}, \"text\": \"result\"},"
        "{\"when\": {\"turn\": [1, 2], \"result\": false}, \"text\": \"no result\"},"
        "{\"when\": {\"turn\": [3, null]}, \"text\": \"late\"}]}");
    assert_str(text_of(TALK("ubuzz", "dbe brief")), "system");
    assert_str(text_of(TALK("uping", "u!")), "last");
    assert_str(text_of(TALK("uhi", "aping!", "rwas ok")), "ok");
    assert_str(text_of(TALK("uhi", "aone", "atwo", "rbad")), "result"); /* one answer, split */
    assert_str(text_of(TALK("uhi", "aone", "rok", "atwo", "umore")), "no result");
    assert_str(text_of(TALK("uhi", "a1", "u", "a2", "u", "a3", "r")), "late");
    struct tg_chat_req req = TALK("uhi");
    req.model = TG_STR("gpt-9");
    assert_str(text_of(req), "model");
    refused(TALK("uping"), "steps[2] a new message with '!', steps[3] turn 1");
    refused(TALK("upi", "ung!"), "turn 0 of model mock-1 with 0 tools and 2 messages");
}

static void tools_are_chosen_among_those_offered(void **state TG_UNUSED)
{
    use("{\"steps\": [{\"when\": {\"tools\": false}, \"text\": \"a title\"},"
        "{\"when\": {\"tools\": \"Nothing\"}, \"text\": \"never\"},"
        "{\"when\": {\"turn\": 0}, \"calls\": ["
        "[{\"tool\": \"Bash\", \"arguments\": {\"a\": 1}},"
        " {\"tool\": [\"shell\", \"exec_*\"], \"arguments\": {\"b\": 2}}],"
        "{\"tool\": \"Write\", \"id\": \"mine\"}]},"
        "{\"name\": \"last\", \"calls\": [{\"tool\": \"Bash\"}]}]}");
    assert_str(text_of(TALK("uhi")), "a title");
    struct tg_chat_req req = TALK("uhi");
    req.tools = offered;
    req.n_tools = 2;
    struct tg_mock_answer a = answer(req);
    assert_int_equal(a.n_parts, 2);
    assert_int_equal(a.finish, TG_FINISH_TOOL_CALLS);
    assert_str(a.parts[0].name, "exec_command");
    assert_str(a.parts[0].id, "call_t_1");
    assert_str(a.parts[0].text, "{\"b\": 2}");
    assert_str(a.parts[1].name, "Write");
    assert_str(a.parts[1].id, "mine");
    assert_str(a.parts[1].text, "{}");
    req = TALK("uhi", "ayes", "u");
    req.tools = offered;
    req.n_tools = 2;
    refused(req, "steps[3] last the tool 'Bash'");
}

static void placeholders_are_filled_in(void **state TG_UNUSED)
{
    use("{\"vars\": {\"dir\": {\"after\": [\"nowhere\", \"directory: \"]}, \"q\": \"a\\\"b\"},"
        "\"steps\": [{\"text\": \"{{dir}}|{{q}}|{{model}}|{{turn}}|{{result}}|{{user}}|{{x y}}\","
        "\"calls\": [{\"tool\": \"Write\", \"arguments\": {\"p\": \"{{dir}}/{{q}}\", "
        "\"r\": \"{{result}}\"}}]}]}");
    struct tg_chat_req req =
        TALK("sworking directory: /tmp/a b \nmore", "ufirst", "acall", "rline 1\nline \"2\"");
    req.tools = offered;
    req.n_tools = 2;
    struct tg_mock_answer a = answer(req);
    assert_str(a.parts[0].text, "/tmp/a b|a\"b|mock-1|1|line 1\nline \"2\"|first|{{x y}}");
    assert_str(a.parts[1].text, "{\"p\": \"/tmp/a b/a\\\"b\", \"r\": \"line 1\\nline \\\"2\\\"\"}");
    req = TALK("uthe directory: ");
    req.tools = offered;
    req.n_tools = 2;
    refused(req, "'dir'");
}

static void the_reason_to_end_can_be_given(void **state TG_UNUSED)
{
    use("{\"steps\": [{\"when\": {\"last\": \"a\"}, \"text\": \"x\", \"finish\": \"length\"},"
        "{\"when\": {\"last\": \"b\"}, \"finish\": \"content_filter\"},"
        "{\"when\": {\"last\": \"c\"}, \"text\": \"x\", \"finish\": \"tool_calls\"},"
        "{\"text\": \"x\", \"finish\": \"stop\"}]}");
    assert_int_equal(answer(TALK("ua")).finish, TG_FINISH_LENGTH);
    struct tg_mock_answer none = answer(TALK("ub"));
    assert_int_equal(none.finish, TG_FINISH_CONTENT_FILTER);
    assert_int_equal(none.n_parts, 0);
    assert_int_equal(answer(TALK("uc")).finish, TG_FINISH_TOOL_CALLS);
    assert_int_equal(answer(TALK("ud")).finish, TG_FINISH_STOP);
}

/* ---- playing ---- */

/* The events of an answer as one line, and its texts by part. */
static struct tg_buf line, texts[4];

static void play(const struct tg_mock_config *cfg, const struct tg_mock_answer *a, int64_t max)
{
    struct tg_mock_player p;
    struct tg_event ev;
    tg_buf_clear(&line);
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++)
        tg_buf_clear(&texts[i]);
    assert_int_equal(tg_mock_player_init(&p, cfg, a, max, 9, &arena), 0);
    while (tg_mock_player_next(&p, &ev)) {
        static const char letters[] = {
            [TG_EV_PART_START] = '<', [TG_EV_PART_END] = '>', [TG_EV_USAGE] = 'u',
            [TG_EV_FINISH] = 'f',     [TG_EV_END] = 'e',      [TG_EV_DELTA] = 'd'};
        (void)tg_buf_char(&line, letters[ev.kind]);
        if (ev.kind == TG_EV_DELTA || ev.kind == TG_EV_PART_START || ev.kind == TG_EV_PART_END)
            (void)tg_buf_u64(&line, ev.part);
        if (ev.kind == TG_EV_DELTA)
            (void)tg_buf_str_add(&texts[ev.part], ev.text);
        if (ev.kind == TG_EV_USAGE)
            (void)tg_buf_printf(&line, "[%lld,%lld,%lld]", (long long)ev.usage->input_tokens,
                                (long long)ev.usage->output_tokens,
                                (long long)ev.usage->reasoning_tokens);
        if (ev.kind == TG_EV_FINISH)
            (void)tg_buf_printf(&line, "[%.*s]", TG_STR_ARG(ev.text));
    }
    assert_false(tg_mock_player_next(&p, &ev)); /* and stays so */
}

static int begin_play(void **state)
{
    tg_buf_init(&line, 1u << 16);
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++)
        tg_buf_init(&texts[i], 1u << 16);
    return setup(state);
}

static int end_play(void **state)
{
    tg_buf_fini(&line);
    for (size_t i = 0; i < TG_ARRAY_LEN(texts); i++)
        tg_buf_fini(&texts[i]);
    return teardown(state);
}

static struct tg_mock_part three[] = {
    {.kind = TG_PART_REASONING, .text = TG_STR_INIT("I think")},
    {.kind = TG_PART_TEXT, .text = TG_STR_INIT("one two")},
    {.kind = TG_PART_TOOL_CALL, .text = TG_STR_INIT("0123456789")},
    {.kind = TG_PART_TOOL_CALL,
     .text = TG_STR_INIT("{\"a\":\"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\"}")},
};

static void parts_follow_each_other(void **state TG_UNUSED)
{
    struct tg_mock_config cfg = {0};
    struct tg_mock_answer a = {.parts = three, .n_parts = 4, .finish = TG_FINISH_TOOL_CALLS};
    play(&cfg, &a, -1);
    assert_str(tg_buf_str(&line), "<0d0d0>0<1d1d1>1<2d2d2>2<3d3d3>3u[9,6,2]f[tool_calls]e");
    for (size_t i = 0; i < 4; i++)
        assert_str_equal(tg_buf_str(&texts[i]), three[i].text);
}

static void calls_weave(void **state TG_UNUSED)
{
    struct tg_mock_config cfg = {0};
    struct tg_mock_answer a = {.parts = three, .n_parts = 4, .weave = true};
    a.usage = (struct tg_usage){.source = TG_USAGE_REPORTED, .input_tokens = 1};
    play(&cfg, &a, -1);
    assert_str(tg_buf_str(&line), "<0d0d0>0<1d1d1>1<2<3d2d3d2d3>2>3u[1,0,0]f[stop]e");
    assert_str_equal(tg_buf_str(&texts[3]), three[3].text);
}

static void max_tokens_cuts(void **state TG_UNUSED)
{
    struct tg_mock_config cfg = {0};
    struct tg_mock_answer a = {.parts = three, .n_parts = 4, .finish = TG_FINISH_TOOL_CALLS};
    play(&cfg, &a, 5);
    assert_str(tg_buf_str(&line), "<0d0d0>0<1d1d1>1<2d2>2u[9,3,2]f[length]e");
    assert_str(tg_buf_str(&texts[2]), "012345678");
    play(&cfg, &a, 8);
    assert_contains(tg_buf_str(&line), "f[tool_calls]");
    play(&cfg, &a, 0);
    assert_str(tg_buf_str(&line), "<0>0u[9,0,0]f[length]e");
}

static void plain_text_is_so_many_words(void **state TG_UNUSED)
{
    struct tg_mock_config cfg = {.text = TG_STR_INIT("a b"), .tokens = 3};
    struct tg_mock_answer a = {.finish = TG_FINISH_STOP};
    play(&cfg, &a, -1);
    assert_str(tg_buf_str(&line), "<0d0d0d0>0u[9,3,0]f[stop]e");
    assert_str(tg_buf_str(&texts[0]), "a ba ");
    play(&cfg, &a, 1);
    assert_str(tg_buf_str(&line), "<0d0>0u[9,1,0]f[length]e");
}

static void nothing_is_an_answer_too(void **state TG_UNUSED)
{
    struct tg_mock_config cfg = {0};
    struct tg_mock_answer a = {.parts = three, .n_parts = 0};
    play(&cfg, &a, -1);
    assert_str(tg_buf_str(&line), "u[9,0,0]f[stop]e");
}

static void without_memory_it_fails(void **state TG_UNUSED)
{
    use("{\"steps\": [{\"text\": \"{{user}} {{turn}}\", \"calls\": [{\"tool\": \"Write\"}]}]}");
    struct tg_chat_req req = TALK("uhello there");
    req.tools = offered;
    req.n_tools = 2;
    int ok = 0;
    for (size_t cap = 0; cap < 2048; cap += 32) {
        struct tg_arena small;
        struct tg_mock_answer out;
        struct tg_mock_player p;
        struct tg_mock_config cfg = {0};
        tg_arena_init(&small, 32, cap);
        tg_fail_clear(&f);
        int rc = tg_mock_model_answer(script, &req, TG_STR("t"), &small, &out, &f);
        if (rc == 0)
            rc = tg_mock_player_init(&p, &cfg, &out, -1, 0, &small);
        assert_true(rc == 0 || rc == TG_E_NOMEM);
        ok += rc == 0;
        tg_arena_fini(&small);
    }
    assert_in_range(ok, 1, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_fit_patterns),
        cmocka_unit_test_setup_teardown(steps_fit_by_what_was_said, setup, teardown),
        cmocka_unit_test_setup_teardown(tools_are_chosen_among_those_offered, setup, teardown),
        cmocka_unit_test_setup_teardown(placeholders_are_filled_in, setup, teardown),
        cmocka_unit_test_setup_teardown(the_reason_to_end_can_be_given, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_it_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_follow_each_other, begin_play, end_play),
        cmocka_unit_test_setup_teardown(calls_weave, begin_play, end_play),
        cmocka_unit_test_setup_teardown(max_tokens_cuts, begin_play, end_play),
        cmocka_unit_test_setup_teardown(plain_text_is_so_many_words, begin_play, end_play),
        cmocka_unit_test_setup_teardown(nothing_is_an_answer_too, begin_play, end_play),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
