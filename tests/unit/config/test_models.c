/* From the file's models to targets and routes. */
#include "check.h"
#include "config_fixture.h"

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

/* The targets of a name, as "a b c"; "?" when the name is unknown. */
static struct tg_str route_text(const struct fixture *f, const char *name)
{
    static char text[2048];
    const struct tg_route *r = tg_snapshot_route(f->s, tg_str_c(name));
    size_t n = 0;
    if (!r)
        return TG_STR("?");
    assert_true(r->n_targets >= 1);
    for (size_t i = 0; i < r->n_targets; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s", i ? " " : "",
                              TG_STR_ARG(f->s->targets[r->targets[i]].name));
    return tg_str_make(text, n);
}

#define assert_route(name, want) assert_str(route_text(f, name), want)

static void settings_of_a_model(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "upstream: {timeouts: {connect: 1s, idle: 9s}, max_connections: 7}\n"
                 "engine: {slots: 3, threads: 5}\n"
                 "models:\n"
                 "  a:\n"
                 "    display_name: A model\n"
                 "    backend_type: openai_compatible\n"
                 "    base_url: https://[2001:DB8::1]:8443/api/v1/\n"
                 "    model_name: vendor/a-1\n"
                 "    api_key: ${KEY}\n"
                 "    max_tokens: 100\n"
                 "    context_length: 8192\n"
                 "    prices: {input: 2.5, output: '0.000000001'}\n"
                 "    headers: {X-One: 'a${KEY}b', x-two: \"t\\tu\"}\n"
                 "    timeouts: {idle: 2s}\n"
                 "    max_handshakes: 3\n"
                 "    stream_usage: false\n"
                 "  b:\n"
                 "    backend_type: local\n"
                 "    model_name: builtin\n"
                 "    engine: {slots: 1, context: 512, chat_template: ''}\n"
                 "  c:\n"
                 "    backend_type: mock\n"
                 "    mock: {text: 'one two', tokens: 5, latency: 20ms, ttft: 30ms, delay: 1ms,\n"
                 "      status: 429, retry_after_s: 3, fault: stall, fault_after: 2}\n",
                 ENV("KEY=sk-1"));
    fx_expect_ok(f);
    const struct tg_target *t = &f->s->targets[0];
    const struct tg_model *m = &f->s->models[0];
    assert_str(m->display_name, "A model");
    assert_str(t->url.text, "https://[2001:DB8::1]:8443/api/v1");
    assert_str(t->url.host, "2001:db8::1");
    assert_true(t->url.host_is_ipv6);
    assert_int_equal(t->url.port, 8443);
    assert_str(t->url.path, "/api/v1");
    assert_str(t->model_name, "vendor/a-1");
    assert_str(tg_secret_reveal(t->api_key), "sk-1");
    assert_int_equal(m->context_length, 8192);
    assert_int_equal(t->context_length, 8192);
    assert_int_equal(m->price.input_nusd_per_mtok, 2500000000);
    assert_int_equal(m->price.output_nusd_per_mtok, 1);
    assert_int_equal(t->n_headers, 2);
    assert_str(t->headers[0].name, "X-One");
    assert_str(tg_secret_reveal(t->headers[0].value), "ask-1b");
    assert_str(tg_secret_reveal(t->headers[1].value), "t\tu");
    assert_int_equal(t->upstream.connect_timeout_ms, 1000); /* inherited */
    assert_int_equal(t->upstream.idle_timeout_ms, 2000);
    assert_int_equal(t->upstream.first_byte_timeout_ms, 60000);
    assert_int_equal(t->upstream.max_connections, 7);
    assert_int_equal(t->upstream.max_handshakes, 3);
    assert_false(t->upstream.stream_usage);
    t = &f->s->targets[1];
    m = &f->s->models[1];
    assert_true(m->builtin);
    assert_str(m->display_name, "b");
    assert_int_equal(m->price.input_nusd_per_mtok, -1);
    assert_int_equal(t->engine.slots, 1);
    assert_int_equal(t->engine.threads, 5);
    assert_int_equal(t->engine.context_tokens, 512);
    t = &f->s->targets[2];
    assert_str(t->mock.text, "one two");
    assert_int_equal(t->mock.tokens, 5);
    assert_int_equal(t->mock.latency_ms, 20);
    assert_int_equal(t->mock.ttft_ms, 30);
    assert_int_equal(t->mock.delay_ms, 1);
    assert_int_equal(t->mock.status, 429);
    assert_int_equal(t->mock.retry_after_s, 3);
    assert_int_equal(t->mock.fault, TG_MOCK_FAULT_STALL);
    assert_int_equal(t->mock.fault_after_tokens, 2);
    for (size_t i = 0; i < f->s->n_targets; i++) {
        assert_int_equal(f->s->targets[i].id, i);
        assert_int_equal(f->s->targets[i].model, i);
        assert_int_equal(f->s->models[i].target, i);
    }
}

static void names_find_their_targets(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "engine: {builtin: false}\n"
                 "models:\n"
                 "  zeta: {backend_type: mock, tier: small, aliases: [z, gpt-4]}\n"
                 "  beta: {backend_type: mock, tier: large, fallbacks: [alpha, z]}\n"
                 "  alpha: {backend_type: mock, tier: small, fallbacks: [gamma]}\n"
                 "  gamma: {backend_type: mock}\n"
                 "  medium: {backend_type: mock}\n"
                 "  other: {backend_type: mock, tier: medium, fallbacks: [gamma]}\n"
                 "  gpt-*: {backend_type: mock, tier: small, fallbacks: [zeta]}\n"
                 "  gpt-4-*: {backend_type: mock}\n"
                 "  '*': {backend_type: mock}\n",
                 NO_ENV);
    fx_expect_ok(f);
    assert_route("zeta", "zeta");
    assert_route("z", "zeta");
    assert_route("gpt-4", "zeta"); /* an alias before a wildcard */
    assert_route("beta", "beta alpha zeta gamma");
    assert_route("alpha", "alpha gamma");
    assert_route("small", "zeta alpha gamma"); /* all of the tier, then their fallbacks */
    assert_route("large", "beta alpha zeta gamma");
    assert_route("medium", "medium"); /* a model before a tier */
    assert_route("gpt-5", "gpt-* zeta");
    assert_route("gpt-", "gpt-* zeta");
    assert_route("gpt-4-mini", "gpt-4-*"); /* the longest prefix */
    assert_route("Zeta", "*");             /* names are case-sensitive */
    assert_route("anything", "*");
    assert_route("", "?");
    assert_str(f->s->default_model, "zeta");
    assert_null(tg_snapshot_model(f->s, TG_STR("z")));
    assert_str(tg_snapshot_model(f->s, TG_STR("gamma"))->name, "gamma");
    assert_true(f->s->models[6].wildcard);
    assert_int_equal(f->s->targets[6].model_name.n, 0);
    assert_null(tg_snapshot_target(f->s, f->s->n_targets));
    assert_ptr_equal(tg_snapshot_target(f->s, 2), &f->s->targets[2]);
}

static void fallbacks_must_not_go_round(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "models:\n"
                 "  a: {backend_type: mock, fallbacks: [b]}\n"
                 "  b: {backend_type: mock, fallbacks: [c]}\n"
                 "  c: {backend_type: mock, fallbacks: [a]}\n",
                 NO_ENV);
    fx_expect_error(f, "tollgate.yaml:4:38: error: models.c.fallbacks: 'a' closes a cycle");
    assert_int_equal(f->report.n_errors, 1);
}

static void diamonds_are_no_cycles(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "models:\n"
                 "  a: {backend_type: mock, fallbacks: [b, c]}\n"
                 "  b: {backend_type: mock, fallbacks: [d]}\n"
                 "  c: {backend_type: mock, fallbacks: [d]}\n"
                 "  d: {backend_type: mock}\n",
                 NO_ENV);
    fx_expect_ok(f);
    assert_route("a", "a b c d");
}

static void chains_are_bounded(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    for (int n = 32; n <= 33; n++) {
        tg_buf_init(&b, 1 << 16);
        tg_buf_lit(&b, "models:\n");
        for (int i = 0; i < n; i++)
            tg_buf_printf(&b, "  m%d: {backend_type: mock, fallbacks: [%s%.0d]}\n", i,
                          i + 1 < n ? "m" : "", i + 1 < n ? i + 1 : 0);
        tg_buf_char(&b, '\0');
        fx_load_text(f, b.p, NO_ENV);
        tg_buf_fini(&b);
        if (n == 32)
            fx_expect_ok(f);
        else
            fx_expect_error(f, "too long a chain of fallbacks");
    }
}

static void a_tier_may_have_more_models_than_a_route(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 20);
    tg_buf_lit(&b, "models:\n");
    for (int i = 0; i < 1021; i++)
        tg_buf_printf(&b, "  m%d: {backend_type: mock, tier: small}\n", i);
    tg_buf_char(&b, '\0');
    fx_load_text(f, b.p, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->n_models, 1022);
    assert_int_equal(tg_snapshot_route(f->s, TG_STR("small"))->n_targets, TG_ROUTE_MAX_TARGETS);
    assert_route("m1020", "m1020");
    tg_buf_drop(&b, 0);
    b.n--;
    tg_buf_lit(&b, "  more: {backend_type: mock}\n");
    tg_buf_char(&b, '\0');
    fx_load_text(f, b.p, NO_ENV);
    fx_expect_error(f, "models: too many models: at most 1021 are allowed");
    tg_buf_fini(&b);
}

static void aliases_of_two_models_must_differ(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "models:\n"
                 "  a: {backend_type: mock, aliases: [x]}\n"
                 "  b: {backend_type: mock, aliases: [x, a]}\n",
                 NO_ENV);
    fx_expect_error(f, "models.b.aliases: 'a' is taken by model 'a'");
    assert_int_equal(f->report.n_errors, 2);
}

/* ---- models without a file ---- */

static void a_key_is_a_whole_configuration(void **state)
{
    struct fixture *f = *state;
    fx_load(f, ENV("OPENAI_API_KEY=sk-1", "DEFAULT_MODEL=gpt-4o-mini"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "gpt-4o-mini");
    assert_route("gpt-4o-mini", "*");
    assert_route("tollgate-tiny", "tollgate-tiny");
    const struct tg_target *t = &f->s->targets[0];
    assert_int_equal(t->kind, TG_BACKEND_OPENAI);
    assert_str(t->url.text, "https://api.openai.com/v1");
    assert_str(t->model_name, "");
    assert_str(tg_secret_reveal(t->api_key), "sk-1");
    assert_int_equal(t->unavailable.n, 0);

    fx_load(f, ENV("OPENAI_API_KEY=sk-1", "OPENAI_BASE_URL=http://localhost:1/v1"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "tollgate-tiny"); /* "*" is nobody's name */
    assert_str(f->s->targets[0].url.text, "http://localhost:1/v1");

    fx_load(f, ENV("OPENAI_BASE_URL=http://localhost:1/v1"));
    fx_expect_ok(f);
    assert_int_equal(f->s->targets[0].kind, TG_BACKEND_OPENAI_COMPATIBLE);
    assert_null(f->s->targets[0].api_key);

    fx_load_text(f, "models: {m: {backend_type: mock}}\n", ENV("OPENAI_API_KEY=sk-1"));
    fx_expect_ok(f);
    assert_route("gpt-4o-mini", "?"); /* with models of its own, a file says what there is */
    assert_str(f->s->default_model, "m");

    fx_load_text(f, "engine: {builtin: false}\n", ENV("OPENAI_API_KEY=sk-1"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "");
}

static void MODEL_NAME_is_a_file_a_name_or_builtin(void **state)
{
    struct fixture *f = *state;
    char env[128];
    fx_text(f, "Qwen-0.5B.gguf", "GGUF");
    snprintf(env, sizeof(env), "MODEL_NAME=%s/Qwen-0.5B.gguf", f->dir);
    fx_load(f, ENV(env));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "Qwen-0.5B");
    assert_route("Qwen-0.5B", "Qwen-0.5B");
    assert_str_equal(f->s->targets[0].model_name, tg_str_c(env + strlen("MODEL_NAME=")));
    assert_false(f->s->models[0].builtin);
    assert_route("tollgate-tiny", "tollgate-tiny");

    fx_load(f, ENV("MODEL_NAME=Qwen-0.5B.gguf")); /* from the working folder */
    fx_expect_ok(f);
    assert_int_equal(f->s->targets[0].unavailable.n, 0);

    fx_load(f, ENV("MODEL_NAME=./gone.gguf"));
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 1);
    assert_str(f->s->default_model, "gone");
    assert_str(f->s->targets[0].unavailable, "its model file cannot be read");

    fx_load_text(f,
                 "models:\n"
                 "  a: {backend_type: mock}\n"
                 "  vendor/b.gguf: {backend_type: mock, aliases: [c]}\n",
                 ENV("MODEL_NAME=c"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "c");
    fx_load(f, ENV("MODEL_NAME=vendor/b.gguf"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "vendor/b.gguf");
    fx_load(f, ENV("MODEL_NAME=builtin"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "tollgate-tiny");
    fx_load(f, ENV("MODEL_NAME=builtin", "DEFAULT_MODEL=a"));
    fx_expect_ok(f);
    assert_str(f->s->default_model, "a");
    fx_load(f, NO_ENV);
    assert_str(f->s->default_model, "a");
}

static void a_model_may_take_the_builtin_name(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f, "models: {tollgate-tiny: {backend_type: mock}}\n", NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->n_models, 1);
    assert_int_equal(f->s->targets[0].kind, TG_BACKEND_MOCK);
}

/* ---- credentials and proxies ---- */

static void keys_come_from_where_they_are_said_to_be(void **state)
{
    struct fixture *f = *state;
    fx_load_text(
        f,
        "models:\n"
        "  a: {backend_type: openai, api_key_env: MY_KEY}\n"
        "  b: {backend_type: openai, api_key_env: NO_KEY}\n"
        "  c: {backend_type: openai, api_key: '${NO_KEY}'}\n"
        "  d: {backend_type: openai, api_key: '${NO_KEY:-sk-default}'}\n"
        "  e: {backend_type: openai, api_key: }\n"
        "  f: {backend_type: openai_compatible, base_url: 'http://10.0.0.1', api_key: k}\n",
        ENV("MY_KEY=sk-mine", "OPENAI_API_KEY=sk-all"));
    fx_expect_ok(f);
    assert_str(tg_secret_reveal(f->s->targets[0].api_key), "sk-mine");
    assert_null(f->s->targets[1].api_key);
    assert_str(f->s->targets[1].unavailable, "environment variable NO_KEY is not set");
    assert_null(f->s->targets[2].api_key);
    assert_str(f->s->targets[2].unavailable, "environment variable NO_KEY is not set");
    assert_str(tg_secret_reveal(f->s->targets[3].api_key), "sk-default");
    assert_str(tg_secret_reveal(f->s->targets[4].api_key), "sk-all");
    assert_contains(fx_report(f), "models.f.base_url: the credential travels unencrypted");
    assert_int_equal(f->report.n_warnings, 3);
}

struct proxy_case {
    const char *base_url;
    const char *no_proxy;
    const char *proxy; /* host, or "" for direct */
};

static void proxies_follow_the_environment(void **state)
{
    static const struct proxy_case cases[] = {
        {"https://api.example.com/v1", "NO_PROXY=", "secure"},
        {"http://api.example.com/v1", "NO_PROXY=", "plain"},
        {"https://api.example.com", "NO_PROXY=example.com", ""},
        {"https://api.example.com", "NO_PROXY=.example.com", ""},
        {"https://example.com", "NO_PROXY= x , .example.com", ""},
        {"https://notexample.com", "NO_PROXY=example.com", "secure"},
        {"https://api.example.com", "NO_PROXY=API.Example.COM", ""},
        {"https://api.example.com", "no_proxy=*", ""},
        {"https://api.example.com", "NO_PROXY=api.example.com:443", ""},
        {"https://api.example.com", "NO_PROXY=api.example.com:444", "secure"},
        {"https://10.1.2.3", "NO_PROXY=10.0.0.0/8", ""},
        {"https://11.1.2.3", "NO_PROXY=10.0.0.0/8", "secure"},
        {"https://[fd00::1]", "NO_PROXY=fd00::/8", ""},
        {"https://[fe00::1]", "NO_PROXY=fd00::/8,,", "secure"},
        {"http://127.0.0.1:8080", "NO_PROXY=", ""},
        {"http://localhost:8080", "NO_PROXY=", ""},
        {"https://[::1]:8080", "NO_PROXY=", ""},
    };
    struct fixture *f = *state;
    char yaml[256];
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        snprintf(yaml, sizeof(yaml),
                 "models: {m: {backend_type: openai_compatible, base_url: '%s'}}",
                 cases[i].base_url);
        fx_load_text(f, yaml,
                     ENV("HTTPS_PROXY=http://secure:3128", "http_proxy=plain",
                         "HTTP_PROXY=http://unused:1", cases[i].no_proxy));
        fx_expect_ok(f);
        if (!tg_str_eq(f->s->targets[0].proxy.host, tg_str_c(cases[i].proxy)))
            fail_msg("%s with %s: proxy '%.*s'", cases[i].base_url, cases[i].no_proxy,
                     TG_STR_ARG(f->s->targets[0].proxy.host));
    }
}

static void a_models_proxy_wins(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "upstream: {proxy: 'http://corp:8080'}\n"
                 "models:\n"
                 "  a: {backend_type: openai_compatible, base_url: 'https://h', proxy: none}\n"
                 "  b: {backend_type: openai_compatible, base_url: 'https://h', proxy: "
                 "'http://u%40x:p%25w@own'}\n"
                 "  c: {backend_type: openai_compatible, base_url: 'https://h'}\n"
                 "  d: {backend_type: openai_compatible, base_url: 'https://h', proxy: "
                 "'[fd00::1]:99'}\n",
                 ENV("HTTPS_PROXY=http://secure:3128"));
    fx_expect_ok(f);
    assert_str(f->s->targets[0].proxy.host, "");
    assert_str(f->s->targets[1].proxy.host, "own");
    assert_int_equal(f->s->targets[1].proxy.port, 80);
    assert_str(tg_secret_reveal(f->s->targets[1].proxy.userinfo), "u@x:p%w");
    assert_str(f->s->targets[2].proxy.host, "corp");
    assert_int_equal(f->s->targets[2].proxy.port, 8080);
    assert_null(f->s->targets[2].proxy.userinfo);
    assert_str(f->s->targets[3].proxy.host, "fd00::1");
    assert_true(f->s->targets[3].proxy.host_is_ipv6);
    assert_int_equal(f->s->targets[3].proxy.port, 99);
}

static void a_bad_proxy_in_the_environment_is_named(void **state)
{
    struct fixture *f = *state;
    fx_load(f, ENV("OPENAI_API_KEY=k", "HTTPS_PROXY=socks5://u:canary@h:1"));
    fx_expect_error(f, "environment: error: HTTPS_PROXY: not a proxy's address");
    assert_lacks(fx_report(f), "canary");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(settings_of_a_model),
        T(names_find_their_targets),
        T(fallbacks_must_not_go_round),
        T(diamonds_are_no_cycles),
        T(chains_are_bounded),
        T(a_tier_may_have_more_models_than_a_route),
        T(aliases_of_two_models_must_differ),
        T(a_key_is_a_whole_configuration),
        T(MODEL_NAME_is_a_file_a_name_or_builtin),
        T(a_model_may_take_the_builtin_name),
        T(keys_come_from_where_they_are_said_to_be),
        T(proxies_follow_the_environment),
        T(a_models_proxy_wins),
        T(a_bad_proxy_in_the_environment_is_named),
    };
    return cmocka_run_group_tests_name("config/models", tests, NULL, NULL);
}
