#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "check.h"
#include "config/config.h"
#include "config/mock_steps.h"

static struct tg_arena scratch, arena;
static struct tg_fail f;
static const struct tg_mock_steps *script;

static int parse(const char *text)
{
    tg_arena_fini(&scratch);
    tg_arena_fini(&arena);
    tg_arena_init(&scratch, 1024, 16u << 20);
    tg_arena_init(&arena, 1024, 16u << 20);
    tg_fail_clear(&f);
    script = NULL;
    return tg_mock_steps_parse(&scratch, &arena, tg_str_c(text), &script, &f);
}

static int release(void **state TG_UNUSED)
{
    tg_arena_fini(&scratch);
    tg_arena_fini(&arena);
    return 0;
}

static void reads_every_member(void **state TG_UNUSED)
{
    assert_int_equal(
        parse(
            "{\"vars\": {\"dir\": {\"after\": [\"<cwd>\", \"dir: \"]}, \"n_1\": \"x\"}, \"steps\": "
            "["
            "{\"name\": \"one\", \"when\": {\"turn\": 2, \"tools\": [\"Bash\", \"Write*\"], "
            "\"result\": \"ok\", \"last\": \"hi\", \"system\": [\"a\", \"b\"], \"model\": \"m*\"},"
            " \"reasoning\": \"r {{n_1}}\", \"text\": \"t {{dir}}\", \"weave\": true,"
            " \"calls\": [{\"tool\": \"Bash\", \"id\": \"c1\", \"arguments\": { \"a\":  [1, 2]}},"
            " [{\"tool\": [\"x\", \"y\"]}, {\"tool\": \"z\", \"arguments\": \"not json "
            "{{turn}}\"}]],"
            " \"usage\": {\"input\": 1, \"cache_read\": 2, \"cache_write\": 3, \"output\": 4, "
            "\"reasoning\": 5}, \"finish\": \"length\"},"
            "{\"when\": {\"turn\": [1, null], \"tools\": false, \"result\": true}}]}"),
        0);
    const struct tg_mock_step *s = &script->steps[0];
    assert_int_equal(script->n_steps, 2);
    assert_int_equal(script->n_vars, 2);
    assert_str(script->vars[0].after.v[1], "dir: ");
    assert_str(script->vars[1].value, "x");
    assert_str(s->name, "one");
    assert_int_equal(s->when.turn_min, 2);
    assert_int_equal(s->when.turn_max, 2);
    assert_int_equal(s->when.has_tools, 1);
    assert_str(s->when.tools.v[1], "Write*");
    assert_int_equal(s->when.has_result, 1);
    assert_str(s->when.result.v[0], "ok");
    assert_str(s->when.last.v[0], "hi");
    assert_str(s->when.system.v[1], "b");
    assert_str(s->when.model.v[0], "m*");
    assert_str(s->reasoning, "r {{n_1}}");
    assert_str(s->text, "t {{dir}}");
    assert_true(s->weave);
    assert_int_equal(s->n_calls, 2);
    assert_str(s->calls[0].any[0].id, "c1");
    assert_str(s->calls[0].any[0].arguments, "{ \"a\":  [1, 2]}"); /* as written */
    assert_str(s->calls[1].any[0].tools.v[1], "y");
    assert_str(s->calls[1].any[0].arguments, "{}");
    assert_str(s->calls[1].any[1].arguments, "not json {{turn}}");
    assert_true(s->usage.given);
    assert_int_equal(s->usage.cache_write, 3);
    assert_int_equal(s->usage.reasoning, 5);
    assert_int_equal(s->finish, TG_MOCK_FINISH_LENGTH);
    s = &script->steps[1];
    assert_int_equal(s->when.turn_min, 1);
    assert_int_equal(s->when.turn_max, -1);
    assert_int_equal(s->when.has_tools, 0);
    assert_int_equal(s->when.has_result, 1);
    assert_int_equal(s->when.result.n, 0);
    assert_int_equal(s->finish, TG_MOCK_FINISH_AUTO);
}

static void what_is_wrong_is_said_with_its_place(void **state TG_UNUSED)
{
    static const struct {
        const char *text, *param, *message;
    } bad[] = {
        {"", "", "JSON"},
        {"[]", "", "an object"},
        {"{}", "", "no 'steps'"},
        {"{\"steps\": []}", "steps", "1 to 256"},
        {"{\"steps\": {}}", "steps", "a list"},
        {"{\"step\": []}", "", "known: vars, steps"},
        {"{\"steps\": [{}], \"steps\": [{}]}", "steps", "steps"},
        {"{\"steps\": [1]}", "steps[0]", "an object"},
        {"{\"steps\": [{}, {\"text\": 1}]}", "steps[1].text", "a string"},
        {"{\"steps\": [{\"when\": {\"turns\": 1}}]}", "steps[0].when", "known: turn, tools"},
        {"{\"steps\": [{\"when\": {\"turn\": -1}}]}", "steps[0].when.turn", "whole number"},
        {"{\"steps\": [{\"when\": {\"turn\": 1.5}}]}", "steps[0].when.turn", "whole number"},
        {"{\"steps\": [{\"when\": {\"turn\": [3, 2]}}]}", "steps[0].when.turn", "least"},
        {"{\"steps\": [{\"when\": {\"turn\": [3]}}]}", "steps[0].when.turn", "least"},
        {"{\"steps\": [{\"when\": {\"last\": []}}]}", "steps[0].when.last", "1 to 32"},
        {"{\"steps\": [{\"when\": {\"last\": [\"a\", 1]}}]}", "steps[0].when.last[1]", "a string"},
        {"{\"steps\": [{\"when\": {\"tools\": null}}]}", "steps[0].when.tools", "a string"},
        {"{\"steps\": [{\"calls\": []}]}", "steps[0].calls", "1 to 16"},
        {"{\"steps\": [{\"calls\": [[]]}]}", "steps[0].calls[0]", "1 to 32"},
        {"{\"steps\": [{\"calls\": [{}]}]}", "steps[0].calls[0]", "no 'tool'"},
        {"{\"steps\": [{\"calls\": [{\"tool\": \"x\", \"arguments\": 1}]}]}",
         "steps[0].calls[0].arguments", "an object"},
        {"{\"steps\": [{\"calls\": [[{\"tool\": \"x\"}, {\"tol\": \"x\"}]]}]}",
         "steps[0].calls[0][1]", "known: tool"},
        {"{\"steps\": [{\"usage\": {\"input\": \"1\"}}]}", "steps[0].usage.input", "whole number"},
        {"{\"steps\": [{\"finish\": \"done\"}]}", "steps[0].finish", "one of stop"},
        {"{\"steps\": [{\"weave\": 1}]}", "steps[0].weave", "true or false"},
        {"{\"vars\": [], \"steps\": [{}]}", "vars", "an object"},
        {"{\"vars\": {\"A\": \"\"}, \"steps\": [{}]}", "vars.A", "a-z"},
        {"{\"vars\": {\"a\": {}}, \"steps\": [{}]}", "vars.a", "after"},
        {"{\"vars\": {\"a\": 1}, \"steps\": [{}]}", "vars.a", "an object"},
        {"{\"steps\": [{\"text\": \"{{cwd}}\"}]}", "steps[0]", "no variable 'cwd'"},
        {"{\"steps\": [{\"reasoning\": \"{{cwd}}\"}]}", "steps[0]", "no variable"},
        {"{\"steps\": [{\"calls\": [{\"tool\": \"x\", \"arguments\": {\"a\": \"{{b}}\"}}]}]}",
         "steps[0]", "no variable 'b'"},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        print_message("# %s\n", bad[i].text);
        assert_int_equal(parse(bad[i].text), TG_E_CONFIG);
        assert_null(script);
        assert_string_equal(f.param, bad[i].param);
        assert_non_null(strstr(f.message, bad[i].message));
    }
}

static void placeholders_are_found_and_braces_left_alone(void **state TG_UNUSED)
{
    struct tg_str text = TG_STR("a{{b}}{{ c }}{{}}{{D}}{{d_1}}{{e}"), before, name;
    assert_true(tg_mock_template_next(&text, &before, &name));
    assert_str(before, "a");
    assert_str(name, "b");
    assert_true(tg_mock_template_next(&text, &before, &name));
    assert_str(before, "{{ c }}{{}}{{D}}");
    assert_str(name, "d_1");
    assert_false(tg_mock_template_next(&text, &before, &name));
    assert_str(before, "{{e}");
}

/* A script that is cut anywhere is refused, and never read beyond its end. */
static void cut_anywhere_it_is_refused(void **state TG_UNUSED)
{
    static const char whole[] = "{\"vars\":{\"a\":\"b\"},\"steps\":[{\"when\":{\"turn\":[0,1]},"
                                "\"text\":\"{{a}}\",\"calls\":[[{\"tool\":\"x\"}]]}]}";
    char cut[sizeof whole];
    assert_int_equal(parse(whole), 0);
    for (size_t n = 0; n + 1 < sizeof whole; n++) {
        memcpy(cut, whole, n);
        cut[n] = '\0';
        assert_int_equal(parse(cut), TG_E_CONFIG);
    }
}

static void without_memory_it_says_so(void **state TG_UNUSED)
{
    static const char text[] = "{\"vars\":{\"a\":\"b\"},\"steps\":[{\"text\":\"{{a}}\","
                               "\"calls\":[[{\"tool\":[\"x\",\"y\"]}]]}]}";
    for (size_t cap = 0; cap < 4096; cap += 64) {
        tg_arena_fini(&scratch);
        tg_arena_fini(&arena);
        tg_arena_init(&scratch, 1024, 1u << 20);
        tg_arena_init(&arena, 64, cap);
        tg_fail_clear(&f);
        int rc = tg_mock_steps_parse(&scratch, &arena, tg_str_c(text), &script, &f);
        assert_true(rc == 0 || rc == TG_E_NOMEM);
    }
    assert_int_equal(parse(text), 0);
}

/* ---- as a setting ---- */

static int load(const char *config, struct tg_config_report *report, struct tg_snapshot **out)
{
    struct tg_config_source src = {.text = tg_str_c(config), .no_dotenv = true, .cores = 1};
    tg_config_report_init(report);
    return tg_config_load(&src, out, report);
}

static void a_model_takes_its_script_from_a_file(void **state TG_UNUSED)
{
    char file[] = "/tmp/tg-mock-XXXXXX", config[256];
    struct tg_config_report report;
    struct tg_snapshot *s;
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "w");
    assert_true(fputs("{\"steps\": [{\"text\": \"hello\"}]}", out) >= 0);
    assert_int_equal(fclose(out), 0);
    snprintf(config, sizeof config,
             "models:\n  m:\n    backend_type: mock\n    mock:\n      script: %s\n", file);
    assert_int_equal(load(config, &report, &s), 0);
    assert_str(s->targets[s->models[0].target].mock.steps->steps[0].text, "hello");
    assert_int_equal(s->targets[s->models[0].target].mock.dimensions, 64);
    tg_snapshot_unref(s);
    tg_config_report_fini(&report);
    assert_int_equal(remove(file), 0);
    assert_int_equal(load(config, &report, &s), TG_E_CONFIG);
    assert_non_null(strstr(report.v[0].message, "there is no file"));
    tg_config_report_fini(&report);
}

static void a_broken_script_is_a_configuration_error(void **state TG_UNUSED)
{
    char file[] = "/tmp/tg-mock-XXXXXX", config[256];
    struct tg_config_report report;
    struct tg_snapshot *s;
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "w");
    assert_true(fputs("{\"steps\": [{\"txt\": \"hello\"}]}", out) >= 0);
    assert_int_equal(fclose(out), 0);
    snprintf(config, sizeof config,
             "models:\n  m:\n    backend_type: mock\n    mock:\n      script: %s\n", file);
    assert_int_equal(load(config, &report, &s), TG_E_CONFIG);
    assert_non_null(strstr(report.v[0].message, "steps[0] has no 'txt'"));
    assert_non_null(strstr(report.v[0].key, "mock.script"));
    tg_config_report_fini(&report);
    assert_int_equal(remove(file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reads_every_member, release),
        cmocka_unit_test_teardown(what_is_wrong_is_said_with_its_place, release),
        cmocka_unit_test_teardown(cut_anywhere_it_is_refused, release),
        cmocka_unit_test_teardown(without_memory_it_says_so, release),
        cmocka_unit_test(placeholders_are_found_and_braces_left_alone),
        cmocka_unit_test(a_model_takes_its_script_from_a_file),
        cmocka_unit_test(a_broken_script_is_a_configuration_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
