/* Files that mean harm or are damaged, and memory that runs out: an answer, never a crash. */
#include <time.h>

#include "check.h"
#include "config_fixture.h"

#include "base/alloc.h"

static int setup(void **state)
{
    static struct fixture f;
    fx_init(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    tg_alloc_fail_at(0, 0);
    fx_fini(*state);
    return 0;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Loads bytes as the configuration file; a refusal says why, and takes no longer than 2 s of
 * processor time even under sanitizers. */
static void load_bytes(struct fixture *f, const void *p, size_t n)
{
    fx_write(f, "tollgate.yaml", p, n);
    double start = seconds();
    fx_load(f, NO_ENV);
    assert_true(seconds() - start < 2);
    assert_true(f->rc == 0 || f->rc == TG_E_CONFIG);
    assert_int_equal(f->rc == TG_E_CONFIG, f->report.n_errors > 0);
}

static void billion_laughs(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 16);
    tg_buf_lit(&b, "x-a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 12; i++) {
        tg_buf_printf(&b, "x-a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            tg_buf_printf(&b, "%s*a%d", k ? "," : "", i - 1);
        tg_buf_lit(&b, "]\n");
    }
    load_bytes(f, b.p, b.n);
    fx_expect_error(f, "too many values (aliases count as if written out): at most 50000");
    tg_buf_fini(&b);
}

static void aliases_work_within_bounds(void **state)
{
    struct fixture *f = *state;
    fx_load_text(
        f,
        "x-slow: &slow {first_byte: 300s, total: 900s}\n"
        "x-port: &p 9001\n"
        "server: {port: *p}\n"
        "models:\n"
        "  a: &m {backend_type: openai_compatible, base_url: 'http://h', timeouts: *slow}\n"
        "  b: *m\n",
        NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 9001);
    assert_int_equal(f->s->targets[1].upstream.first_byte_timeout_ms, 300000);
    assert_str(f->s->targets[1].name, "b");
    assert_str(f->s->targets[0].name, "a");
}

static void aliases_cannot_nest_without_end(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 16);
    tg_buf_lit(&b, "x-a0: &a0 {k: 1}\n");
    for (int i = 1; i < 400; i++)
        tg_buf_printf(&b, "x-a%d: &a%d {k: *a%d}\n", i, i, i - 1);
    load_bytes(f, b.p, b.n);
    fx_expect_error(f, "too many anchors: at most 256 are allowed");
    b.n = 0;
    tg_buf_lit(&b, "x-a0: &a0 {server: 1}\n");
    for (int i = 1; i < 250; i++)
        tg_buf_printf(&b, "x-a%d: &a%d {server: *a%d}\n", i, i, i - 1);
    tg_buf_lit(&b, "server: *a249\n");
    load_bytes(f, b.p, b.n);
    fx_expect_error(f, "server.server: unknown setting");
    tg_buf_fini(&b);
}

static void fill(struct fixture *f, const char *head, const char *unit, size_t bytes)
{
    struct tg_buf b;
    tg_buf_init(&b, 2 << 20);
    tg_buf_str_add(&b, tg_str_c(head));
    while (b.n + strlen(unit) <= bytes)
        tg_buf_str_add(&b, tg_str_c(unit));
    assert_true(tg_buf_ok(&b));
    load_bytes(f, b.p, b.n);
    tg_buf_fini(&b);
}

static void deep_nesting(void **state)
{
    struct fixture *f = *state;
    static const char *const units[] = {"[", "{a: ", "- ", "? "};
    for (size_t i = 0; i < TG_ARRAY_LEN(units); i++) {
        fill(f, "", units[i], 1 << 20);
        assert_int_equal(f->rc, TG_E_CONFIG);
    }
    fill(f, "a: ", "[", 40);
    fx_expect_error(f, "too deeply nested: levels: at most 32 are allowed");
}

static void a_mebibyte_of_anything(void **state)
{
    struct fixture *f = *state;
    static const char *const units[] = {
        "a",
        " ",
        "\n",
        "#\n",
        "'",
        "\"",
        "a: b\n",
        "- a\n",
        "&a ",
        "*a ",
        "!t ",
        "a: &x 1\n",
        "%YAML 1.1\n",
        "---\n",
        "...\n",
        "|\n",
        ">-\n  a\n",
        "a,",
        ": ",
        "\\",
        "? ",
        "${A}",
        "\xEF\xBB\xBF",
        "\xC3\xA9",
        "\xF0\x9F\x98\x80",
        "a: {b: [c, d]}\n",
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(units); i++)
        fill(f, "", units[i], 1 << 20);
    fill(f, "a: \"", "\\x41", 1 << 20);
    fill(f, "server: {host: '", "${A:-b}", 1 << 20);
    fill(f, "server: {host: '", "$", 1 << 20);
    fill(f, "models: {a: {backend_type: mock, aliases: [", "b,", 1 << 20);
    fill(f, "models:\n", " a: {}\n", 1 << 20);
}

static void more_than_a_mebibyte(void **state)
{
    struct fixture *f = *state;
    fill(f, "", "#\n", (1 << 20) + 2);
    fx_expect_error(f, "cannot read '");
    fx_expect_error(f, "it is too big (at most 1048576 bytes)");
}

static void too_many_keys(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    for (int i = 0; i < 40000; i++)
        tg_buf_printf(&b, "k%d: 1\n", i);
    load_bytes(f, b.p, b.n);
    fx_expect_error(f, "too many entries: at most 2048 are allowed");
    tg_buf_fini(&b);
}

static void bytes_that_are_no_text(void **state)
{
    struct fixture *f = *state;
    load_bytes(f, "a: 1\nb: \0\n", 10);
    fx_expect_error(f, "tollgate.yaml:2:4: error: not a text file in UTF-8");
    load_bytes(f, "a: \xff\n", 5);
    fx_expect_error(f, "tollgate.yaml:1:4: error: not a text file in UTF-8");
    load_bytes(f,
               "\xff\xfe"
               "a\0:\0",
               6); /* UTF-16 */
    fx_expect_error(f, "not a text file in UTF-8");
    load_bytes(f, "a: \xC0\x80\n", 6);
    fx_expect_error(f, "not a text file in UTF-8");
    load_bytes(f, "server: {host: \"a\\0b\"}\n", 23);
    fx_expect_error(f, "server.host: expected a text");
    load_bytes(f, "", 0);
    fx_expect_ok(f);
    load_bytes(f, "\xEF\xBB\xBFserver: {port: 7}\n", 21);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 7);
    load_bytes(f, "# only a comment\n---\n", 21);
    fx_expect_ok(f);
}

static const char sample[] = "# sample\n"
                             "x-t: &t {first_byte: 90s}\n"
                             "server:\n"
                             "  port: 8001\n"
                             "  cors_origins: [\"https://a.example\", 'http://b:1']\n"
                             "engine: {builtin: true, chat_template: |-\n"
                             "    a\n"
                             "  }\n"
                             "models:\n"
                             "  \"a-1\":\n"
                             "    backend_type: openai_compatible\n"
                             "    base_url: ${URL:-http://127.0.0.1:1/v1}\n"
                             "    api_key: '${KEY}'\n"
                             "    headers: {x-a: \"b\\u00e9\"}\n"
                             "    timeouts: *t\n"
                             "    aliases:\n"
                             "      - one\n"
                             "      - two\n"
                             "    fallbacks: [b]\n"
                             "    prices: {input: 0.15, output: 0.60}\n"
                             "  c: {backend_type: vertex, region: us-east5, project: p,\n"
                             "    model_name: claude-x, api: messages, strict: true,\n"
                             "    api_key_command: 'a b', api_key_refresh: 9m}\n"
                             "  d: {backend_type: bedrock, region: r, aws_access_key_id: a,\n"
                             "    aws_secret_access_key: b, base_url: 'https://h/'}\n"
                             "  b: {backend_type: mock, tier: small, mock: {text: >-\n"
                             "      folded\n"
                             "      text\n"
                             "      , tokens: 3}}\n";

static void every_prefix_of_a_file(void **state)
{
    struct fixture *f = *state;
    for (size_t n = 0; n < sizeof(sample); n++)
        load_bytes(f, sample, n);
}

static void every_byte_replaced(void **state)
{
    struct fixture *f = *state;
    static const char bytes[] = {'\0', '\n', '\t', ' ', '"', '{', '*', '&', ':', '$', '\x80', '~'};
    char text[sizeof(sample)];
    for (size_t i = 0; i + 1 < sizeof(sample); i++) {
        memcpy(text, sample, sizeof(sample));
        text[i] = bytes[i % sizeof(bytes)];
        load_bytes(f, text, sizeof(sample) - 1);
    }
}

/* A folder and environment that reach as much of the loader as one load can. */
static const char *const rich_env[] = {
    "KEY=sk-1",       "OPENAI_API_KEY=sk-2", "HTTPS_PROXY=http://u:p@h:1",
    "PORT=8002",      "REDIS_URL=redis://x", "TOLLGATE_NOPE=1",
    "NO_PROXY=x",     "AWS_ACCESS_KEY_ID=i", "AWS_SECRET_ACCESS_KEY=s",
    "OLLAMA_HOST=:1", "GOOGLE_API_KEY=g",    NULL};

static void rich_folder(struct fixture *f)
{
    static const char yaml[] =
        "default_model: one\n"
        "models:\n"
        "  a: {backend_type: openai, base_url: 'https://h/v1', api_key: '${KEY}', aliases: [one], "
        "fallbacks: [b, c], headers: {x: y, z: w}}\n"
        "  b: {backend_type: openai_compatible, base_url: '${NOPE}', tier: small}\n"
        "  c: {backend_type: mock, tier: small, mock: {text: t}}\n"
        "  d: {backend_type: local, model_name: d.gguf}\n"
        "  e: {backend_type: openai, api_key_file: key.txt}\n"
        "  'gpt-*': {backend_type: openai}\n"
        "  v: {backend_type: vertex, service_account_file: sa.json}\n"
        "  w: {backend_type: bedrock, region: r}\n"
        "  x: {backend_type: ollama}\n"
        "  y: {backend_type: anthropic, api_key_command: z}\n"
        "  z: {backend_type: gemini, base_url: 'https://h/v1'}\n";
    fx_mkdir(f, "etc");
    fx_text(f, "etc/gate.yaml", yaml);
    fx_text(f, "etc/key.txt", "k");
    fx_text(f, "etc/sa.json",
            "{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"k\"}");
    fx_text(f, "etc/.env.dev", "LOG_LEVEL=DEBUG\n");
    fx_text(f, ".env", "A='b'\nMAX_LENGTH=\"9\"\n");
    f->src.config_file = "etc/gate.yaml";
}

static void one_allocation_fails_in_turn(void **state)
{
    struct fixture *f = *state;
    static const char *overrides[] = {"server.idle_timeout=5s", NULL};
    rich_folder(f);
    f->src.overrides = overrides;
    f->src.env = rich_env;
    for (int sticky = 0; sticky <= 1; sticky++) {
        for (uint64_t at = 1;; at++) {
            fx_forget(f);
            tg_alloc_fail_at(at, sticky);
            int rc = tg_config_load(&f->src, &f->s, &f->report);
            uint64_t made = tg_alloc_count();
            tg_alloc_fail_at(0, 0);
            if (made < at) {
                assert_int_equal(rc, 0);
                break;
            }
            assert_int_equal(rc, TG_E_NOMEM);
            assert_null(f->s);
        }
    }
}

static void errors_are_reported_while_memory_is_short(void **state)
{
    struct fixture *f = *state;
    fx_text(f, "tollgate.yaml", "server: {prot: 1}\nmodels: {a: {backend_type: nope}}\n");
    for (uint64_t at = 1;; at++) {
        fx_forget(f);
        tg_alloc_fail_at(at, 0);
        int rc = tg_config_load(&f->src, &f->s, &f->report);
        uint64_t made = tg_alloc_count();
        tg_alloc_fail_at(0, 0);
        if (made < at) {
            assert_int_equal(rc, TG_E_CONFIG);
            break;
        }
        assert_true(rc == TG_E_NOMEM);
    }
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(billion_laughs),
        T(aliases_work_within_bounds),
        T(aliases_cannot_nest_without_end),
        T(deep_nesting),
        T(a_mebibyte_of_anything),
        T(more_than_a_mebibyte),
        T(too_many_keys),
        T(bytes_that_are_no_text),
        T(every_prefix_of_a_file),
        T(every_byte_replaced),
        T(one_allocation_fails_in_turn),
        T(errors_are_reported_while_memory_is_short),
    };
    return cmocka_run_group_tests_name("config/hostile", tests, NULL, NULL);
}
