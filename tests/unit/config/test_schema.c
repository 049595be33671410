/* The schema table itself, and what is generated from it. */
#include "check.h"
#include "config_fixture.h"

#include "base/alloc.h"
#include "config/load_priv.h"

static int setup(void **state)
{
    static struct fixture f;
    fx_init(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    fx_fini(*state);
    return 0;
}

static size_t size_of_type(enum tg_conf_type t)
{
    switch (t) {
    case TG_CT_STR:
    case TG_CT_PATH:
        return sizeof(struct tg_str);
    case TG_CT_INT:
    case TG_CT_DURATION:
    case TG_CT_BYTES32:
    case TG_CT_ENUM:
        return sizeof(uint32_t);
    case TG_CT_COUNT:
    case TG_CT_BYTES:
        return sizeof(uint64_t);
    case TG_CT_BOOL:
        return sizeof(bool);
    case TG_CT_DOUBLE:
        return sizeof(double);
    case TG_CT_LIST:
        return sizeof(struct tg_str_list);
    case TG_CT_URL:
        return sizeof(struct tg_config_url);
    case TG_CT_SECRET:
    case TG_CT_HEADERS:
        return sizeof(void *);
    case TG_CT_PRICE:
        return sizeof(int64_t);
    }
    return 0;
}

static void check_row(const struct tg_conf_table *t, const struct tg_conf_row *row)
{
    char env[160], other[160];
    if (row->size != size_of_type(row->type) || row->min > row->max ||
        (row->type == TG_CT_ENUM) != (row->words != NULL))
        fail_msg("%s: the member does not fit its type", row->key);
    if (row->type != TG_CT_ENUM && row->type != TG_CT_DOUBLE && row->max > UINT32_MAX &&
        size_of_type(row->type) == 4)
        fail_msg("%s: the maximum does not fit", row->key);
    if (!strchr(".,;", row->help[strlen(row->help) - 1]))
        fail_msg("%s: the help is no sentence", row->key);
    tg_conf_row_env(row, env, sizeof(env));
    for (const struct tg_conf_row *o = t->rows; o < row; o++) {
        if (strcmp(o->key, row->key) == 0)
            fail_msg("%s stands twice", row->key);
        if (env[0] && strcmp(tg_conf_row_env(o, other, sizeof(other)),
                             tg_conf_row_env(row, env, sizeof(env))) == 0)
            fail_msg("%s and %s share a variable", o->key, row->key);
        if (tg_conf_is_section(t, tg_str_c(row->key)))
            fail_msg("%s is both a setting and a section", row->key);
    }
}

static void rows_are_sound(void **state)
{
    for (size_t i = 0; i < tg_conf_global.n; i++)
        check_row(&tg_conf_global, &tg_conf_global.rows[i]);
    for (size_t i = 0; i < tg_conf_model_table.n; i++) {
        check_row(&tg_conf_model_table, &tg_conf_model_table.rows[i]);
        assert_true(tg_conf_model_table.rows[i].flags & TG_CF_FILE_ONLY);
    }
}

/* Every setting by its variable: a value of its own type is taken, nonsense is refused by name. */
static void every_setting_has_a_variable(void **state)
{
    struct fixture *f = *state;
    char name[160], env[256];
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const struct tg_conf_row *row = &tg_conf_global.rows[i];
        const char *var = tg_conf_row_env(row, name, sizeof(name));
        assert_true(var[0] != '\0');
        if (row->def) {
            snprintf(env, sizeof(env), "%s=%s", var, row->def);
            fx_load(f, ENV(env));
            fx_expect_ok(f);
            assert_int_equal(f->report.n_warnings, 0);
        }
        snprintf(env, sizeof(env), "%s=\x01", var);
        fx_load(f, ENV(env));
        if (row->type == TG_CT_LIST) /* a blank list is an empty one */
            continue;
        fx_expect_error(f, var);
    }
}

static void nearest_keys(void **state)
{
    static const char *const cases[][2] = {
        {"server.prot", "port"},
        {"server.portt", "port"},
        {"server.zzzzzz", ""},
        {"servers", "server"},
        {"upstream.timeout", "timeouts"},
        {"upstream.timeouts.idel", "idle"},
        {"server.max_conections", "max_connections"},
        {"", ""},
        {"q", ""},
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        assert_str_equal(tg_conf_nearest_key(&tg_conf_global, tg_str_c(cases[i][0])),
                         tg_str_c(cases[i][1]));
    char longest[200];
    memset(longest, 'a', sizeof(longest));
    assert_str(tg_conf_nearest_key(&tg_conf_global, tg_str_make(longest, sizeof(longest))), "");
}

/* ---- documents ---- */

static const char begin_mark[] = "<!-- settings: generated from src/config/schema.c -->\n";
static const char end_mark[] = "<!-- end of settings -->\n";

static struct tg_str read_source(const char *name, char *buf, size_t cap)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", getenv("TG_SOURCE_ROOT"), name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(buf, 1, cap, file);
    fclose(file);
    return tg_str_make(buf, n);
}

/* With TG_UPDATE_DOCS set, the page is rewritten in place of being checked. */
static void update_page(struct tg_str page, size_t begin, size_t end, struct tg_str table)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/docs/configuration.md", getenv("TG_SOURCE_ROOT"));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(page.p, 1, begin, file);
    fwrite(table.p, 1, table.n, file);
    fwrite(page.p + end, 1, page.n - end, file);
    assert_int_equal(fclose(file), 0);
}

static void the_reference_page_is_current(void **state)
{
    static char page_buf[256 * 1024];
    struct tg_str page = read_source("docs/configuration.md", page_buf, sizeof(page_buf));
    ptrdiff_t begin = tg_str_find(page, tg_str_c(begin_mark));
    ptrdiff_t end = tg_str_find(page, tg_str_c(end_mark));
    assert_true(begin > 0 && end > begin);
    struct tg_buf table;
    tg_buf_init(&table, 1 << 20);
    assert_int_equal(tg_config_write_docs(&table), 0);
    size_t from = (size_t)begin + strlen(begin_mark);
    if (getenv("TG_UPDATE_DOCS"))
        update_page(page, from, (size_t)end, tg_buf_str(&table));
    else if (!tg_str_eq(tg_str_make(page.p + from, (size_t)end - from), tg_buf_str(&table)))
        fail_msg("docs/configuration.md is not what the schema says; run this test with "
                 "TG_UPDATE_DOCS=1");
    for (size_t i = 0; i < tg_conf_global.n; i++)
        assert_true(tg_str_find(tg_buf_str(&table), tg_str_c(tg_conf_global.rows[i].key)) > 0);
    tg_buf_fini(&table);
    tg_buf_init(&table, 1000);
    assert_int_equal(tg_config_write_docs(&table), TG_E_FULL);
    tg_buf_fini(&table);
}

static void help_names_every_setting(void **state)
{
    struct tg_buf b;
    char env[160];
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_config_write_help(&b), 0);
    for (size_t i = 0; i < tg_conf_global.n; i++) {
        const struct tg_conf_row *row = &tg_conf_global.rows[i];
        assert_true(tg_str_find(tg_buf_str(&b), tg_str_c(row->help)) > 0);
        assert_true(tg_str_find(tg_buf_str(&b), tg_str_c(tg_conf_row_env(row, env, sizeof(env)))) >
                    0);
    }
    assert_contains(tg_buf_str(&b), "Default: 127.0.0.1.");
    tg_buf_fini(&b);
}

/* The example shows every setting, each with its default where it has one. */
static void the_example_loads_and_shows_every_setting(void **state)
{
    static char text_buf[64 * 1024];
    struct fixture *f = *state;
    struct tg_str text = read_source("config/tollgate.example.yaml", text_buf, sizeof(text_buf));
    char path[512];
    snprintf(path, sizeof(path), "%s/config/tollgate.example.yaml", getenv("TG_SOURCE_ROOT"));
    f->src.config_file = path;
    f->src.no_dotenv = true;
    fx_load(f, ENV("OPENAI_API_KEY=k", "LLAMA_API_URL=http://127.0.0.1:8080/v1"));
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 0);
    for (size_t i = 0; i < tg_conf_global.n + tg_conf_model_table.n; i++) {
        const char *key = i < tg_conf_global.n ? tg_conf_global.rows[i].key
                                               : tg_conf_model_table.rows[i - tg_conf_global.n].key;
        const char *last = strrchr(key, '.') ? strrchr(key, '.') + 1 : key;
        if (tg_str_find(text, tg_str_c(last)) < 0)
            fail_msg("config/tollgate.example.yaml does not show %s", key);
    }
}

/* The same file with every commented-out setting switched on must be valid as well. */
static void the_example_loads_with_its_comments_switched_on(void **state)
{
    static char text_buf[64 * 1024];
    struct fixture *f = *state;
    struct tg_str rest = read_source("config/tollgate.example.yaml", text_buf, sizeof(text_buf));
    struct tg_str line;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    while (tg_str_split(&rest, '\n', &line)) {
        ptrdiff_t at = tg_str_find(line, TG_STR("#: "));
        if (at >= 0) {
            tg_buf_add(&b, line.p, (size_t)at);
            line = tg_str_from(line, (size_t)at + 3);
        }
        tg_buf_str_add(&b, line);
        tg_buf_char(&b, '\n');
    }
    static const char *const files[] = {"cert.pem", "key.pem", "ca.pem", "key.txt", "model.gguf"};
    for (size_t i = 0; i < TG_ARRAY_LEN(files); i++)
        fx_text(f, files[i], "x");
    fx_text(f, "service-account.json",
            "{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key\":\"k\"}");
    fx_text(f, "mock-steps.json", "{\"steps\":[{\"text\":\"x\"}]}");
    fx_write(f, "tollgate.yaml", b.p, b.n);
    tg_buf_fini(&b);
    fx_load(f, ENV("OPENAI_API_KEY=k", "LLAMA_API_URL=http://127.0.0.1:8080/v1", "GROQ_API_KEY=g",
                   "ANTHROPIC_API_KEY=a", "AWS_ACCESS_KEY_ID=i", "AWS_SECRET_ACCESS_KEY=s"));
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 0);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(rows_are_sound),
        T(every_setting_has_a_variable),
        T(nearest_keys),
        T(the_reference_page_is_current),
        T(help_names_every_setting),
        T(the_example_loads_and_shows_every_setting),
        T(the_example_loads_with_its_comments_switched_on),
    };
    return cmocka_run_group_tests_name("config/schema", tests, NULL, NULL);
}
