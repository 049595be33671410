/* Every kind of mistake, with the text that names its file, line, column, key and what is expected.
 */
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

struct mistake {
    const char *yaml;
    const char *report; /* a part of what must be printed */
};

#define MODEL(body) "models:\n  m: {backend_type: mock, " body "}\n"
#define HTTP(body) \
    "models:\n  m: {backend_type: openai_compatible, base_url: 'http://127.0.0.1/v1', " body "}\n"

static const struct mistake in_the_file[] = {
    /* values */
    {"server:\n  port: many\n", "tollgate.yaml:2:9: error: server.port: expected a whole number "
                                "from 0 to 65535, got 'many'"},
    {"server: {port: 65536}", "expected a whole number from 0 to 65535, got '65536'"},
    {"server: {port: -1}", "server.port: expected a whole number"},
    {"server: {port: 80.5}", "server.port: expected a whole number"},
    {"server: {port: 0x50}", "server.port: expected a whole number"},
    {"server: {port: [1]}", "server.port: expected a single value, got a list"},
    {"server: {port: {a: 1}}", "server.port: expected a single value, got a map"},
    {"server: {insecure_bind: perhaps}", "server.insecure_bind: expected true or false, got"},
    {"server: {idle_timeout: 5 parsecs}",
     "server.idle_timeout: expected a duration (500ms, 30s, 5m) from 1ms to 1d, got '5 parsecs'"},
    {"server: {idle_timeout: 0}", "server.idle_timeout: expected a duration"},
    {"server: {idle_timeout: 2d}", "from 1ms to 1d, got '2d'"},
    {"limits: {body: huge}", "limits.body: expected a size (512, 64KiB, 20MB) from 1KiB to 4GiB"},
    {"limits: {body: 5GiB}", "limits.body: expected a size"},
    {"engine: {temperature: hot}", "engine.temperature: expected a number from 0 to 2, got 'hot'"},
    {"engine: {temperature: 2.01}", "engine.temperature: expected a number from 0 to 2"},
    {"engine: {temperature: nan}", "engine.temperature: expected a number from 0 to 2"},
    {"observability: {log_level: LOUD}",
     "observability.log_level: expected one of DEBUG, INFO, WARNING, ERROR, OFF, got 'LOUD'"},
    {"engine: {device: cuda}",
     "engine.device: 'cuda' is not available in this version; expected one of cpu"},
    {"openai: {base_url: example.com}",
     "openai.base_url: expected an http:// or https:// URL, got 'example.com': it does not begin "
     "with http:// or https://"},
    {"server: {cors_origins: ['https://a/b']}",
     "server.cors_origins: 'https://a/b' is no origin; expected https://host, http://host:port "
     "or *"},
    {"server: {cors_origins: {a: b}}", "server.cors_origins: expected a single value, got a map"},
    {"server: {cors_origins: [[a]]}", "server.cors_origins: expected a single value, got a list"},
    {"server: {host: \"a\\x01b\"}", "server.host: expected a text of at most 255 bytes, got "
                                    "'a\\x01b'"},
    /* keys */
    {"sever:\n  port: 1\n", "tollgate.yaml:1:1: error: sever: unknown setting; did you mean "
                            "'server'?"},
    {"server:\n  prot: 1\n",
     "tollgate.yaml:2:3: error: server.prot: unknown setting; did you mean 'port'?"},
    {"modles: {}\n", "modles: unknown setting; did you mean 'models'?"},
    {"qqqqqqq: 1\n", "error: qqqqqqq: unknown setting\n"},
    {"server.port: 80\n", "server.port: unknown setting"},
    {"server: 80\n", "tollgate.yaml:1:9: error: server: expected a map of settings"},
    {"server: {port: 1, port: 2}\n",
     "tollgate.yaml:1:19: error: port: given twice: first in line 1"},
    {"upstream: {timeouts: {conect: 1}}\n",
     "upstream.timeouts.conect: unknown setting; did you mean 'connect'?"},
    {MODEL("teir: small"), "models.m.teir: unknown setting; did you mean 'tier'?"},
    {MODEL("mock: {latncy: 1}"), "models.m.mock.latncy: unknown setting; did you mean 'latency'?"},
    /* later versions */
    {"rate_limits: {}\n", "rate_limits: rate limits are not available in this version"},
    {"api_keys: [a]\n", "api_keys: client keys are not available in this version"},
    {"limits: {requests_per_minute: 5}\n",
     "limits.requests_per_minute: rate limits are not available in this version"},
    {"cache: {}\n", "cache: the response cache is not available in this version"},
    {"environment: prod\n", "environment: set the environment variable ENVIRONMENT"},
    /* variables */
    {"server: {host: '${NOPE}'}\n",
     "server.host: environment variable NOPE is not set; set it or write ${NOPE:-default}"},
    {"server: {host: '${NOPE'}\n", "server.host: ${ without }"},
    {"server: {host: '${}'}\n", "server.host: expected ${NAME} or ${NAME:-default}; write $$"},
    {"server: {host: '${A B}'}\n", "server.host: expected ${NAME}"},
    {"server: {host: '${9A}'}\n", "server.host: expected ${NAME}"},
    {"server: {host: '${A-b}'}\n", "server.host: expected ${NAME}"},
    /* models */
    {"models: [a]\n", "models: expected a map of model names to settings"},
    {"models: {m: mock}\n", "models.m: expected a map of settings"},
    {"models: {m: }\n", "models.m: expected a map of settings"},
    {"models: {'a b': {}}\n", "models: expected a name of at most 128 printable ASCII"},
    {"models: {'a*b': {}}\n", "models: expected a name"},
    {"models: {m: {tier: small}}\n", "models.m.backend_type: is required: expected one of openai, "
                                     "openai_compatible, anthropic, gemini, "},
    {"models: {m: {backend_type: opnai}}\n",
     "models.m.backend_type: expected one of openai, openai_compatible, anthropic, gemini, "
     "huggingface, azure_openai, bedrock, vertex, cohere, ollama, local, mock, got 'opnai'"},
    {MODEL("tier: huge"), "models.m.tier: expected one of small, medium, large, got 'huge'"},
    {MODEL("max_tokens: 0"), "models.m.max_tokens: expected a whole number from 1 to 1000000000"},
    {MODEL("max_tokens: 9, context_length: 8"),
     "models.m.max_tokens: is more than context_length, which it is a part of"},
    {MODEL("prices: {input: -1}"), "models.m.prices.input: expected a price in USD per million "
                                   "tokens from 0 to 1000000, got '-1'"},
    {MODEL("prices: {input: 1.0000000001}"), "models.m.prices.input: expected a price"},
    {MODEL("prices: {input: 1.}"), "models.m.prices.input: expected a price"},
    {MODEL("prices: {input: .5}"), "models.m.prices.input: expected a price"},
    {MODEL("prices: {input: 1e3}"), "models.m.prices.input: expected a price"},
    {MODEL("prices: {input: 1000000.1}"), "models.m.prices.input: expected a price"},
    {MODEL("prices: {input: 1.5.5}"), "models.m.prices.input: expected a price"},
    {MODEL("mock: {fault: explode}"),
     "models.m.mock.fault: expected one of none, error, stall, reset, incomplete, invalid"},
    {MODEL("mock: {status: 700}"), "models.m.mock.status: expected a whole number from 200 to 599"},
    {MODEL("api_key: x"), "models.m.api_key: has no effect with backend_type mock"},
    {MODEL("base_url: 'http://h'"), "models.m.base_url: has no effect with backend_type mock"},
    {MODEL("engine: {slots: 2}"), "models.m.engine.slots: has no effect with backend_type mock"},
    {MODEL("timeouts: {idle: 2}"), "models.m.timeouts.idle: has no effect with backend_type mock"},
    {HTTP("mock: {tokens: 2}"),
     "models.m.mock.tokens: has no effect with backend_type openai_compatible"},
    {MODEL("aliases: ['a b']"), "models.m.aliases: expected a name"},
    {MODEL("aliases: ['a*']"), "models.m.aliases: expected a name"},
    {MODEL("aliases: [m]"), "models.m.aliases: 'm' is taken by model 'm'"},
    {MODEL("aliases: [a, a]"), "models.m.aliases: 'a' is taken by model 'm'"},
    {MODEL("fallbacks: [m]"), "models.m.fallbacks: 'm' is the model itself"},
    {MODEL("fallbacks: [z]"), "models.m.fallbacks: 'z' is no known model"},
    {"models: {m: {backend_type: openai_compatible}}\n",
     "models.m.base_url: is required with backend_type openai_compatible"},
    {"models: {m: {backend_type: local}}\n", "models.m.model_name: is required with backend_type "
                                             "local: expected a GGUF file, or 'builtin'"},
    {"models: {'m*': {backend_type: local, model_name: builtin}}\n",
     "models.m*: a local model serves one name, not a wildcard"},
    {HTTP("base_url: 'http://h'"), "base_url: given twice: first in line 2"},
    {HTTP("api_key: a, api_key_env: B"),
     "models.m.api_key_env: is one way of giving the credential too many: give one of api_key,"},
    {HTTP("api_key_file: none.txt"), "none.txt'"},
    {HTTP("api_key: \"a\\nb\""), "models.m.api_key: expected a text of at most 8192 bytes\n"},
    {HTTP("ca_file: none.pem"), "models.m.ca_file: cannot read '"},
    {HTTP("proxy: 'https://p'"), "models.m.proxy: not a proxy's address such as "
                                 "http://proxy:3128: only http:// proxies are supported"},
    {HTTP("proxy: 'http://p/x'"), "it must not have a path"},
    {HTTP("proxy: 'http://'"), "models.m.proxy: not a proxy's address"},
    {HTTP("headers: [a]"), "models.m.headers: expected a single value, got a list"},
    {HTTP("headers: a"), "models.m.headers: expected a map of header names to values"},
    {HTTP("headers: {'a b': c}"), "models.m.headers.a b: not a valid header name"},
    {HTTP("headers: {Host: c}"),
     "models.m.headers.Host: this header is written by the gateway itself"},
    {HTTP("headers: {content-length: 5}"), "this header is written by the gateway itself"},
    {HTTP("headers: {x: \"a\\r\\nb: c\"}"),
     "models.m.headers.x: expected a header value: one line"},
    {HTTP("headers: {x: 1, X: 2}"), "models.m.headers.X: this header is given twice"},
    {HTTP("api_key: k, headers: {Authorization: c}"),
     "models.m.headers.authorization: api_key writes this header already"},
    {"default_model: nope\n", "default_model: 'nope' is no known model; expected the name of a "
                              "configured model, an alias or a tier"},
    {"default_model: tollgate-tinny\n", "did you mean 'tollgate-tiny'?"},
    {"engine: {model: gpt2}\n", "engine.model: 'gpt2' is no known model; expected 'builtin', a "
                                "GGUF file (*.gguf) or the name of a configured model"},
    {"engine: {builtin: false}\n", "error: models: there is no model: configure one"},
    {"engine: {builtin: false, model: builtin}\n" MODEL("tier: small"),
     "engine.model: the built-in model is switched off by engine.builtin"},
    {"engine: {model: ./m.gguf}\n" MODEL("tier: small"),
     "engine.model: this file's name cannot be its model's name: it is malformed or taken"},
    /* across settings */
    {"server: {host: 0.0.0.0}\n",
     "tollgate.yaml:1:16: error: server.host: '0.0.0.0' is no loopback address, and this version "
     "has no client keys"},
    {"server: {host: '::'}\n", "server.host: '::' is no loopback address"},
    {"server: {host: example.com}\n", "'example.com' is no loopback address"},
    {"server: {tls_cert_file: a.pem}\n", "server.tls_cert_file: needs tls_key_file too"},
    {"server: {tls_key_file: a.pem}\n", "server.tls_key_file: needs tls_cert_file too"},
    {"server: {tls_cert_file: a.pem, tls_key_file: b.pem}\n",
     "server.tls_cert_file: cannot read '"},
    {"limits: {header_line: 128KiB}\n",
     "limits.header_line: is more than limits.header, so it could never take effect"},
    {"retry: {base_delay: 9s}\n", "retry.base_delay: is more than retry.max_delay"},
    {"upstream: {max_event: 128MiB}\n", "upstream.max_event: is more than upstream.max_response"},
    /* YAML */
    {"- a\n", "tollgate.yaml:1:1: error: expected a map of settings at the top"},
    {"text\n", "error: expected a map of settings at the top"},
    {"a: [\n", "error: not valid YAML: "},
    {"server:\n\tport: 1\n",
     "tollgate.yaml:2:1: error: not valid YAML: found character that cannot "
     "start any token"},
    {"a: 1\n--- \nb: 2\n", "error: only one document is allowed"},
    {"server: !!map {port: 1}\n", "server: tags (!…) are not supported"},
    {"server: {port: !!int 1}\n", "port: tags (!…) are not supported"},
    {"a: *b\n", "a: this alias has no anchor"},
    {"x-a: &a [*a]\n", "this alias refers to what it stands in"},
    {"x-a: &a {port: 1}\nserver:\n  <<: *a\n", "merge keys (<<) are not supported"},
    {"? [a]\n: b\n", "a key must be a word"},
    {"x: &a b\n*a : c\n", "a key must be a word, not an alias"},
    {"'': b\n", "a key must not be empty"},
};

static void each_is_reported(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(in_the_file); i++) {
        fx_load_text(f, in_the_file[i].yaml, NO_ENV);
        if (f->rc == 0)
            print_error("accepted: %s\n", in_the_file[i].yaml);
        fx_expect_error(f, in_the_file[i].report);
        assert_null(f->s);
    }
}

static const struct mistake in_the_environment[] = {
    {"PORT=x", "environment: error: PORT: expected a whole number from 0 to 65535, got 'x'"},
    {"HOST=0.0.0.0", "environment: error: server.host: '0.0.0.0' is no loopback address"},
    {"LOG_LEVEL=x", "environment: error: LOG_LEVEL: expected one of DEBUG, INFO"},
    {"TOLLGATE_SERVER_DRAIN_TIMEOUT=x", "TOLLGATE_SERVER_DRAIN_TIMEOUT: expected a duration"},
    {"OPENAI_BASE_URL=ftp://x", "OPENAI_BASE_URL: expected an http:// or https:// URL"},
    {"DEFAULT_MODEL=x", "environment: error: default_model: 'x' is no known model"},
    {"MODEL_NAME=gpt2", "environment: error: engine.model: 'gpt2' is no known model"},
    {"DEVICE=cuda", "DEVICE: 'cuda' is not available in this version"},
    {"MAX_REQUESTS_PER_MINUTE=10", "environment: error: MAX_REQUESTS_PER_MINUTE: rate limits are "
                                   "not available in this version, so this one would not hold"},
    {"MAX_REQUESTS_PER_HOUR=10", "error: MAX_REQUESTS_PER_HOUR: rate limits are not available"},
    {"API_KEYS=a,b", "error: API_KEYS: client keys are not available in this version"},
};

static void mistakes_in_the_environment_name_the_variable(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(in_the_environment); i++) {
        fx_load(f, ENV(in_the_environment[i].yaml));
        fx_expect_error(f, in_the_environment[i].report);
    }
}

static const struct mistake warnings[] = {
    {"REDIS_URL=redis://h", "environment: warning: REDIS_URL: Redis is not available"},
    {"DATABASE_URL=postgres://u:canary@h", "warning: DATABASE_URL: databases are not available"},
    {"CACHE_TTL_SECONDS=60", "warning: CACHE_TTL_SECONDS: the response cache is not available"},
    {"COST_PER_TOKEN_GPT4=0.1", "warning: COST_PER_TOKEN_GPT4: prices by environment"},
    {"TOLLGATE_SERVER_DRAIN_TIMOUT=1",
     "warning: TOLLGATE_SERVER_DRAIN_TIMOUT: unknown variable; did you mean "
     "TOLLGATE_SERVER_DRAIN_TIMEOUT?"},
    {"TOLLGATE_XYZZY=1", "warning: TOLLGATE_XYZZY: unknown variable; it is not used"},
};

static void harmless_ones_are_warned_about(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(warnings); i++) {
        fx_load(f, ENV(warnings[i].yaml));
        fx_expect_ok(f);
        assert_int_equal(f->report.n_warnings, 1);
        if (tg_str_find(fx_report(f), tg_str_c(warnings[i].report)) < 0)
            fail_msg("%.*s lacks %s", TG_STR_ARG(fx_report(f)), warnings[i].report);
        assert_lacks(fx_report(f), "canary");
    }
    fx_load(f, ENV("REDIS_URL=", "MAX_REQUESTS_PER_MINUTE=", "TOLLGATE_XYZZY=",
                   "TOLLGATE_PORT=tcp://10.0.0.1:8000", "TOLLGATE_PORT_8000_TCP_PORT=8000",
                   "TOLLGATE_SERVICE_HOST=10.0.0.1", "TOLLGATE_API_KEY=x"));
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 0);
}

static void all_problems_are_reported_at_once(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "server: {port: x, prot: 1, host: 8.8.8.8}\n"
                 "models:\n"
                 "  a: {backend_type: anthropik}\n"
                 "  b: {backend_type: openai_compatible}\n",
                 ENV("MAX_LENGTH=0", "MAX_REQUESTS_PER_HOUR=1"));
    assert_int_equal(f->rc, TG_E_CONFIG);
    assert_int_equal(f->report.n_errors, 7);
    assert_int_equal(f->report.n, 7);
    static const char *const keys[] = {"server.port",           "server.prot",       "server.host",
                                       "models.a.backend_type", "models.b.base_url", "MAX_LENGTH",
                                       "MAX_REQUESTS_PER_HOUR"};
    for (size_t k = 0; k < TG_ARRAY_LEN(keys); k++) {
        bool found = false;
        for (size_t i = 0; i < f->report.n; i++)
            found = found || strcmp(f->report.v[i].key, keys[k]) == 0;
        if (!found)
            fail_msg("%s is not reported", keys[k]);
    }
}

static void no_more_than_fifty_are_kept_and_the_rest_counted(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    tg_buf_init(&b, 1 << 16);
    tg_buf_lit(&b, "server:\n");
    for (int i = 0; i < 80; i++)
        tg_buf_printf(&b, "  qqqqq%d: 1\n", i);
    tg_buf_char(&b, '\0');
    fx_load_text(f, b.p, NO_ENV);
    tg_buf_fini(&b);
    assert_int_equal(f->report.n, TG_CONFIG_MAX_PROBLEMS);
    assert_int_equal(f->report.n_errors, 80);
    fx_expect_error(f, "30 more not shown\n");
}

static void secrets_never_get_into_a_report(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "openai: {api_key: \"canary\\u0001\"}\n"
                 "upstream: {proxy: 'http://u:canary@h/p'}\n"
                 "models:\n"
                 "  a: {backend_type: openai, api_key: \"canary\\n\", base_url: "
                 "'https://u:canary@h'}\n"
                 "  b: {backend_type: openai_compatible, base_url: 'http://h', headers: {x: "
                 "\"canary\\x01\"}}\n",
                 ENV("OPENAI_BASE_URL=http://u:canary@h"));
    fx_expect_error(f, "models.a.base_url: expected an http:// or https:// URL: it holds user "
                       "information: give the credential by api_key");
    assert_true(f->report.n_errors >= 6);
    assert_lacks(fx_report(f), "canary");
}

static void reports_are_printable(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f, "\"ke\\x1b[31my\\n\": 1\nserver: {port: \"\\x1b\\u009b\\n\"}\n", NO_ENV);
    fx_expect_error(f, "ke?[31my?: unknown setting");
    for (size_t i = 0; i < f->text.n; i++)
        assert_true((unsigned char)f->text.p[i] >= 0x20 || f->text.p[i] == '\n');
}

static void an_operator_may_mean_an_open_address(void **state)
{
    struct fixture *f = *state;
    fx_load(f, ENV("HOST=0.0.0.0", "INSECURE_BIND=true"));
    fx_expect_ok(f);
    assert_contains(fx_report(f), "everyone who reaches 0.0.0.0 may use every model");
    static const char *const loopback[] = {"HOST=localhost", "HOST=127.0.0.53", "HOST=::1",
                                           "HOST=a.localhost"};
    for (size_t i = 0; i < TG_ARRAY_LEN(loopback); i++) {
        fx_load(f, ENV(loopback[i]));
        fx_expect_ok(f);
        assert_int_equal(f->report.n_warnings, 0);
    }
    fx_load(f, ENV("HOST=127.0.0.1.example.com"));
    fx_expect_error(f, "is no loopback address");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(each_is_reported),
        T(mistakes_in_the_environment_name_the_variable),
        T(harmless_ones_are_warned_about),
        T(all_problems_are_reported_at_once),
        T(no_more_than_fifty_are_kept_and_the_rest_counted),
        T(secrets_never_get_into_a_report),
        T(reports_are_printable),
        T(an_operator_may_mean_an_open_address),
    };
    return cmocka_run_group_tests_name("config/errors", tests, NULL, NULL);
}
