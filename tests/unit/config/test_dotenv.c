/* The syntax of .env files. */
#include "check.h"
#include "config_fixture.h"

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

/* DEFAULT_MODEL is a plain text, so it shows what a value became; a wildcard makes any valid. */
static const char any_model[] = "models: {m: {backend_type: mock}, '*': {backend_type: mock}}\n";

struct line {
    const char *text;
    const char *value;
};

static const struct line good[] = {
    {"DEFAULT_MODEL=a", "a"},
    {"DEFAULT_MODEL=a\r\n", "a"},
    {"DEFAULT_MODEL = a b \t\n", "a b"},
    {"  \texport   DEFAULT_MODEL=a\n", "a"},
    {"export\tDEFAULT_MODEL=a\n", "a"},
    {"DEFAULT_MODEL=a # comment\n", "a"},
    {"DEFAULT_MODEL=a#b\n", "a#b"},
    {"DEFAULT_MODEL=a\t#b\n", "a"},
    {"DEFAULT_MODEL='a # b' # c\n", "a # b"},
    {"DEFAULT_MODEL='a\\nb'\n", "a\\nb"},
    {"DEFAULT_MODEL='it\\'s'\n", "it's"},
    {"DEFAULT_MODEL='a\\\\b'\n", "a\\b"},
    {"DEFAULT_MODEL=\"a # b\" # c\n", "a # b"},
    {"DEFAULT_MODEL=\"a\\tb\\\"c\\\\d\\$e\\q\"\r\n", "a\tb\"c\\d$e\\q"},
    {"DEFAULT_MODEL=\"a\nb\"\n", "a\nb"},
    {"DEFAULT_MODEL=\"a\\\nb\"\n", "a\\\nb"},
    {"DEFAULT_MODEL='a\nb' \n", "a\nb"},
    {"DEFAULT_MODEL=a\"b\"\n", "a\"b\""},
    {"DEFAULT_MODEL=${HOME}\n", "${HOME}"},
    {"DEFAULT_MODEL=a=b=c\n", "a=b=c"},
    {"\xEF\xBB\xBF"
     "DEFAULT_MODEL=a\n",
     "a"},
    {"# c\n\n   # c\nDEFAULT_MODEL=a\nDEFAULT_MODEL=b\n", "b"},
    {"DEFAULT_MODEL=a\nDEFAULT_MODEL=\n", "a"}, /* empty is unset */
    {"DEFAULT_MODEL=\n", "m"},
    {"DEFAULT_MODEL=''\n", "m"},
    {"DEFAULT_MODEL= # only a comment\n", "m"},
    {"default_model=a\n", "m"},
    {"DEFAULT_MODEL_X=a\nX_DEFAULT_MODEL=b\n", "m"},
    {"DEFAULT_MODEL=\xC3\xA9\n", "\xC3\xA9"},
    {"A=1\n\nB='x\n\n\ny'\nDEFAULT_MODEL=a", "a"},
};

static void values_are_read(void **state)
{
    struct fixture *f = *state;
    fx_text(f, "tollgate.yaml", any_model);
    for (size_t i = 0; i < TG_ARRAY_LEN(good); i++) {
        fx_text(f, ".env", good[i].text);
        fx_load(f, NO_ENV);
        if (f->rc)
            print_error("refused: %s\n", good[i].text);
        fx_expect_ok(f);
        assert_str_equal(f->s->default_model, tg_str_c(good[i].value));
    }
}

static const struct line bad[] = {
    {"just text\n", "/.env:1:1: error: expected NAME=value"},
    {"A=1\n\n# c\n=x\n", "/.env:4:1: error: expected NAME=value"},
    {"9A=1\n", "error: expected NAME=value"},
    {"A-B=1\n", "error: expected NAME=value"},
    {"export A\n", "error: expected NAME=value"},
    {"A='canary\n", "/.env:1:1: error: A: the quotes of this value do not match"},
    {"A=\"canary\\\"\n", "A: the quotes of this value do not match"},
    {"A='canary' canary\n", "A: the quotes of this value do not match"},
    {"A=canary\xff\n", "/.env:1:1: error: A: this value is not UTF-8 text"},
    {"A=\"x\ny\"\nB='canary\n", "/.env:3:1: error: B: the quotes"},
};

static void mistakes_name_the_line_and_never_the_value(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(bad); i++) {
        fx_text(f, ".env", bad[i].text);
        fx_load(f, NO_ENV);
        fx_expect_error(f, bad[i].value);
        assert_lacks(fx_report(f), "canary");
    }
    fx_write(f, ".env", "A=can\0ary\n", 10);
    fx_load(f, NO_ENV);
    fx_expect_error(f, "A: this value is not UTF-8 text");
}

static void values_of_settings_name_the_file(void **state)
{
    struct fixture *f = *state;
    fx_text(f, ".env", "\nPORT=x\n");
    fx_load(f, NO_ENV);
    fx_expect_error(f, "/.env:2:1: error: PORT: expected a whole number");
    fx_text(f, ".env", "MAX_REQUESTS_PER_MINUTE=1\n");
    fx_load(f, NO_ENV);
    fx_expect_error(f, "/.env:1:1: error: MAX_REQUESTS_PER_MINUTE: rate limits are not available");
}

static void size_and_count_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    for (int i = 0; i < 1001; i++)
        tg_buf_printf(&b, "V%d=x\n", i);
    fx_write(f, ".env", b.p, b.n);
    fx_load(f, NO_ENV);
    fx_expect_error(f, "/.env:1001:1: error: V1000: too many variables: at most 1000 are allowed");
    tg_buf_clear(&b);
    while (b.n <= 256 * 1024)
        tg_buf_lit(&b, "# ...............................................................\n");
    fx_write(f, ".env", b.p, b.n);
    fx_load(f, NO_ENV);
    fx_expect_error(f, "it is too big (at most 262144 bytes)");
    tg_buf_fini(&b);
}

static void every_prefix_of_a_file_is_read_or_refused(void **state)
{
    static const char sample[] =
        "# c\r\nexport A = \"x\\n\\\"y\" # z\nB='it\\'s\nlong'\nC=d #e\nF=\n";
    struct fixture *f = *state;
    for (size_t n = 0; n <= strlen(sample); n++) {
        fx_write(f, ".env", sample, n);
        fx_load(f, NO_ENV);
        assert_true(f->rc == 0 || f->rc == TG_E_CONFIG);
        assert_int_equal(f->rc == TG_E_CONFIG, f->report.n_errors > 0);
    }
    fx_expect_ok(f);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(values_are_read),
        T(mistakes_name_the_line_and_never_the_value),
        T(values_of_settings_name_the_file),
        T(size_and_count_are_bounded),
        T(every_prefix_of_a_file_is_read_or_refused),
    };
    return cmocka_run_group_tests_name("config/dotenv", tests, NULL, NULL);
}
