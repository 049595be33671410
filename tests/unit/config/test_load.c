/* Files, layers and defaults: what tg_config_load() makes of a folder and an environment. */
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

static void nothing_at_all_gives_the_builtin_model(void **state)
{
    struct fixture *f = *state;
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 0);
    const struct tg_settings *s = &f->s->settings;
    assert_str(s->server.host, "127.0.0.1");
    assert_int_equal(s->server.port, 8000);
    assert_int_equal(s->server.workers, 4);
    assert_false(s->server.insecure_bind);
    assert_int_equal(s->server.header_timeout_ms, 10000);
    assert_int_equal(s->server.idle_timeout_ms, 75000);
    assert_int_equal(s->server.client_stall_ms, 30000);
    assert_int_equal(s->server.drain_timeout_ms, 30000);
    assert_int_equal(s->server.cors_origins.n, 0);
    assert_int_equal(s->limits.max_body_bytes, 20000000);
    assert_int_equal(s->limits.max_target_bytes, 8192);
    assert_int_equal(s->limits.max_header_bytes, 65536);
    assert_int_equal(s->limits.max_headers, 100);
    assert_int_equal(s->observability.log_level, TG_LOG_INFO);
    assert_true(s->observability.metrics_enabled);
    assert_int_equal(s->upstream.connect_timeout_ms, 5000);
    assert_int_equal(s->upstream.first_byte_timeout_ms, 60000);
    assert_int_equal(s->upstream.idle_timeout_ms, 60000);
    assert_int_equal(s->upstream.total_timeout_ms, 600000);
    assert_true(s->upstream.stream_usage);
    assert_int_equal(s->retry.max_attempts, 3);
    assert_int_equal(s->breaker.consecutive_failures, 5);
    assert_int_equal(s->breaker.failure_percent, 50);
    assert_int_equal(s->breaker.min_requests, 20);
    assert_int_equal(s->breaker.window_ms, 10000);
    assert_int_equal(s->breaker.probe_after_ms, 5000);
    assert_int_equal(s->breaker.close_successes, 2);
    assert_int_equal(s->engine.max_length, 512);
    assert_true(s->engine.temperature == 0.7);
    assert_int_equal(s->engine.device, TG_DEVICE_CPU);
    assert_str(f->s->default_model, "tollgate-tiny");
    assert_str(f->s->environment, "dev");
    assert_int_equal(f->s->n_models, 1);
    assert_true(f->s->models[0].builtin);
    assert_contains(f->s->models[0].display_name, "demo");
    assert_int_equal(f->s->targets[0].kind, TG_BACKEND_LOCAL);
    assert_str(f->s->targets[0].model_name, "");
    assert_int_equal(f->s->files.n, 0);
}

/* The file of the first of the five documents, as it stands there. */
static const char s0[] = "models:\n"
                         "  llama-7b:\n"
                         "    display_name: \"Llama 7B\"\n"
                         "    backend_type: \"openai_compatible\"\n"
                         "    base_url: \"${LLAMA_API_URL}\"\n"
                         "    model_name: \"llama-7b-instruct\"\n"
                         "    max_tokens: 2048\n"
                         "    tier: \"small\"\n"
                         "  \n"
                         "  gpt-4-mini:\n"
                         "    display_name: \"GPT-4 Mini\"\n"
                         "    backend_type: \"openai\"\n"
                         "    base_url: \"https://api.openai.com/v1\"\n"
                         "    model_name: \"gpt-4-mini\"\n"
                         "    max_tokens: 4096\n"
                         "    tier: \"medium\"\n"
                         "  \n"
                         "  gemini-2.5-flash:\n"
                         "    display_name: \"Gemini 2.5 Flash\"\n"
                         "    backend_type: \"openai_compatible\"\n"
                         "    base_url: \"${GEMINI_API_URL}\"\n"
                         "    model_name: \"gemini-2.5-flash\"\n"
                         "    max_tokens: 8192\n"
                         "    tier: \"large\"\n";

static void the_documents_file_loads_with_its_variables(void **state)
{
    struct fixture *f = *state;
    fx_mkdir(f, "config");
    fx_text(f, "config/models.yaml", s0);
    fx_load(f, ENV("LLAMA_API_URL=http://127.0.0.1:8080/v1/", "OPENAI_API_KEY=sk-canary",
                   "GEMINI_API_URL=https://Gemini.example/v1beta/openai"));
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 0);
    assert_str(f->s->config_file, "config/models.yaml");
    assert_str(f->s->default_model, "llama-7b");
    assert_int_equal(f->s->n_models, 4);
    const struct tg_target *t = &f->s->targets[0];
    assert_str(t->name, "llama-7b");
    assert_int_equal(t->kind, TG_BACKEND_OPENAI_COMPATIBLE);
    assert_str(t->model_name, "llama-7b-instruct");
    assert_str(t->url.text, "http://127.0.0.1:8080/v1");
    assert_false(t->url.https);
    assert_str(t->url.host, "127.0.0.1");
    assert_int_equal(t->url.port, 8080);
    assert_str(t->url.path, "/v1");
    assert_null(t->api_key); /* OpenAI's key never goes to another provider */
    assert_int_equal(t->max_tokens, 2048);
    assert_int_equal(t->unavailable.n, 0);
    t = &f->s->targets[1];
    assert_str(tg_secret_reveal(t->api_key), "sk-canary");
    assert_int_equal(t->url.port, 443);
    assert_true(t->url.https);
    t = &f->s->targets[2];
    assert_str(t->url.host, "gemini.example");
    assert_str(f->s->models[2].display_name, "Gemini 2.5 Flash");
    assert_int_equal(f->s->models[2].tier, TG_TIER_LARGE);
    assert_str(f->s->models[3].name, "tollgate-tiny");
}

static void the_documents_file_loads_without_its_variables(void **state)
{
    struct fixture *f = *state;
    fx_mkdir(f, "config");
    fx_text(f, "config/models.yaml", s0);
    fx_load(f, ENV("LLAMA_API_URL="));
    fx_expect_ok(f);
    assert_int_equal(f->report.n_warnings, 3);
    assert_contains(fx_report(f), "config/models.yaml:5:15: warning: models.llama-7b.base_url: "
                                  "environment variable LLAMA_API_URL is not set");
    assert_contains(fx_report(f), "OPENAI_API_KEY is not set");
    assert_str(f->s->targets[0].unavailable, "environment variable LLAMA_API_URL is not set");
    assert_str(f->s->targets[1].unavailable, "environment variable OPENAI_API_KEY is not set");
    assert_str(f->s->targets[2].unavailable, "environment variable GEMINI_API_URL is not set");
    assert_int_equal(f->s->targets[3].unavailable.n, 0);
    assert_str(f->s->default_model, "tollgate-tiny"); /* the first that can be used */
}

static void the_file_in_the_repository_is_the_documents(void **state)
{
    struct fixture *f = *state;
    char path[512], text[4096];
    snprintf(path, sizeof(path), "%s/config/models.yaml", getenv("TG_SOURCE_ROOT"));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof(text), file);
    fclose(file);
    assert_str_equal(tg_str_make(text, n), tg_str_c(s0));
    f->src.config_file = path;
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
}

static void the_documents_file_is_unchanged(void **state)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/../shared/seeds/000_cbe23da62445ce10.txt",
             getenv("TG_SOURCE_ROOT"));
    FILE *file = fopen(path, "rb");
    if (!file)
        skip_because("the documents are not beside this checkout");
    static char text[64 * 1024];
    size_t n = fread(text, 1, sizeof(text), file);
    fclose(file);
    assert_true(tg_str_find(tg_str_make(text, n), tg_str_c(s0)) > 0);
}

static void environment_wins_over_files_in_order(void **state)
{
    struct fixture *f = *state;
    fx_text(f, "tollgate.yaml", "server:\n  port: 1\n  workers: 7\n");
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 1);

    fx_text(f, ".env", "PORT=2\nLOG_LEVEL=ERROR\nMAX_LENGTH=77\n");
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 2);

    fx_text(f, ".env.dev", "PORT=3\n");
    fx_load(f, NO_ENV);
    assert_int_equal(f->s->settings.server.port, 3);
    assert_int_equal(f->s->settings.observability.log_level, TG_LOG_ERROR);
    assert_int_equal(f->s->settings.engine.max_length, 77);
    assert_int_equal(f->s->settings.server.workers, 7);

    fx_load(f, ENV("PORT=4"));
    assert_int_equal(f->s->settings.server.port, 4);
    fx_load(f, ENV("PORT=")); /* empty is unset */
    assert_int_equal(f->s->settings.server.port, 3);

    f->src.overrides = ENV("server.port=5");
    fx_load(f, ENV("PORT=4"));
    assert_int_equal(f->s->settings.server.port, 5);
    assert_int_equal(f->s->files.n, 3);
}

static void ENVIRONMENT_chooses_the_env_file(void **state)
{
    struct fixture *f = *state;
    fx_text(f, ".env", "PORT=2\nENVIRONMENT=staging\n");
    fx_text(f, ".env.dev", "PORT=3\n");
    fx_text(f, ".env.staging", "PORT=4\n");
    fx_text(f, ".env.prod", "PORT=5\n");
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 4);
    assert_str(f->s->environment, "staging");
    fx_load(f, ENV("ENVIRONMENT=prod"));
    assert_int_equal(f->s->settings.server.port, 5);
    fx_load(f, ENV("ENVIRONMENT=none"));
    assert_int_equal(f->s->settings.server.port, 2);
    fx_load(f, ENV("ENVIRONMENT=../../etc/x"));
    fx_expect_error(f, "environment: error: ENVIRONMENT: expected at most 64 letters");
    fx_load(f, ENV("ENVIRONMENT=.."));
    fx_expect_error(f, "ENVIRONMENT: expected at most 64 letters");
    f->src.no_dotenv = true;
    fx_load(f, ENV("ENVIRONMENT=prod"));
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 8000);
    assert_str(f->s->environment, "prod");
}

static void env_files_beside_the_configuration_file_count_too(void **state)
{
    struct fixture *f = *state;
    fx_mkdir(f, "etc");
    fx_text(f, "etc/gate.yaml", "server: {port: 1}\n");
    fx_text(f, "etc/.env", "MAX_LENGTH=11\nPORT=12\n");
    fx_text(f, ".env", "PORT=13\nTOLLGATE_CONFIG=etc/gate.yaml\n");
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_str(f->s->config_file, "etc/gate.yaml");
    assert_int_equal(f->s->settings.engine.max_length, 11);
    assert_int_equal(f->s->settings.server.port, 13);
}

static void files_are_searched_in_order(void **state)
{
    struct fixture *f = *state;
    fx_mkdir(f, "config");
    fx_text(f, "config/models.yaml", "server: {port: 1}\n");
    fx_load(f, NO_ENV);
    assert_int_equal(f->s->settings.server.port, 1);
    fx_text(f, "tollgate.yaml", "server: {port: 2}\n");
    fx_load(f, NO_ENV);
    assert_int_equal(f->s->settings.server.port, 2);
    fx_text(f, "a.yaml", "server: {port: 3}\n");
    fx_text(f, "b.yaml", "server: {port: 4}\n");
    fx_load(f, ENV("TOLLGATE_CONFIG=a.yaml"));
    assert_int_equal(f->s->settings.server.port, 3);
    f->src.config_file = "b.yaml";
    fx_load(f, ENV("TOLLGATE_CONFIG=a.yaml"));
    assert_int_equal(f->s->settings.server.port, 4);
}

static void a_file_that_cannot_be_read_is_an_error(void **state)
{
    struct fixture *f = *state;
    f->src.config_file = "none.yaml";
    fx_load(f, NO_ENV);
    fx_expect_error(f, "command line: error: --config: there is no file 'none.yaml'");
    f->src.config_file = NULL;
    fx_load(f, ENV("TOLLGATE_CONFIG=gone.yaml"));
    fx_expect_error(f, "environment: error: TOLLGATE_CONFIG: there is no file 'gone.yaml'");
    fx_mkdir(f, "tollgate.yaml");
    fx_load(f, NO_ENV);
    fx_expect_error(f, "it is not a regular file");
}

static void names_of_files_start_at_the_configuration_file(void **state)
{
    struct fixture *f = *state;
    char want[256];
    fx_mkdir(f, "etc");
    fx_text(f, "etc/key.txt", "  sk-from-file \n");
    fx_text(f, "etc/ca.pem", "x");
    fx_text(f, "etc/m.gguf", "x");
    fx_text(f, "etc/gate.yaml",
            "models:\n"
            "  a: {backend_type: openai_compatible, base_url: 'https://h/v1', "
            "api_key_file: key.txt, ca_file: ca.pem}\n"
            "  b: {backend_type: local, model_name: m.gguf}\n");
    f->src.config_file = "etc/gate.yaml";
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_str(tg_secret_reveal(f->s->targets[0].api_key), "sk-from-file");
    snprintf(want, sizeof(want), "%s/etc/ca.pem", f->dir);
    assert_str_equal(f->s->targets[0].upstream.ca_file, tg_str_c(want));
    snprintf(want, sizeof(want), "%s/etc/m.gguf", f->dir);
    assert_str_equal(f->s->targets[1].model_name, tg_str_c(want));
    assert_int_equal(f->s->targets[1].unavailable.n, 0);
}

static void overrides_are_checked(void **state)
{
    struct fixture *f = *state;
    f->src.overrides = ENV("server.prot=1", "nonsense", "server.port=x", "=");
    fx_load(f, NO_ENV);
    fx_expect_error(f, "command line: error: server.prot: expected setting=value, such as "
                       "server.port=9000 (is 'port' meant?)");
    fx_expect_error(f, "nonsense: expected setting=value");
    fx_expect_error(f, "server.port: expected a whole number from 0 to 65535, got 'x'");
}

static void every_setting_in_the_file_reaches_its_member(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f,
                 "default_model: small\n"
                 "server: {host: '::1', port: 0, max_connections: 5, max_active_requests: 6,\n"
                 "  header_timeout: 250ms, body_grace: 2, body_min_rate: 2KiB, idle_timeout: 5m,\n"
                 "  client_stall: 1h, drain_timeout: 0, cors_origins: ['https://a.example', "
                 "'http://b:81']}\n"
                 "limits: {target: 1KiB, header_line: 2KiB, header: 4KiB, headers: 9, body: 1MiB}\n"
                 "observability: {log_level: warning, metrics_enabled: off}\n"
                 "retry: {max_attempts: 1, base_delay: 1ms, max_delay: 2ms, max_retry_after: 3ms,\n"
                 "  budget_percent: 0}\n"
                 "breaker: {consecutive_failures: 1, failure_percent: 2, min_requests: 3,\n"
                 "  window: 4s, probe_after: 5s, close_successes: 6}\n"
                 "engine: {builtin: false, max_length: 9, temperature: 1.5, device: cpu, threads: "
                 "3,\n"
                 "  slots: 2, context: 1024, max_queue: 7, start_at_boot: true, idle_stop: 10m,\n"
                 "  memory_limit: 1GiB, chat_template: chatml}\n"
                 "upstream: {timeouts: {connect: 1s, first_byte: 2s, idle: 3s, total: 4s},\n"
                 "  max_connections: 8, max_handshakes: 9, max_response: 1MiB, max_event: 64KiB,\n"
                 "  stream_usage: false}\n"
                 "models:\n"
                 "  m: {backend_type: mock, tier: small}\n",
                 NO_ENV);
    fx_expect_ok(f);
    const struct tg_settings *s = &f->s->settings;
    assert_str(f->s->default_model, "small");
    assert_str(s->server.host, "::1");
    assert_int_equal(s->server.port, 0);
    assert_int_equal(s->server.max_connections, 5);
    assert_int_equal(s->server.max_active_requests, 6);
    assert_int_equal(s->server.header_timeout_ms, 250);
    assert_int_equal(s->server.body_grace_ms, 2000);
    assert_int_equal(s->server.body_min_bytes_per_s, 2048);
    assert_int_equal(s->server.idle_timeout_ms, 300000);
    assert_int_equal(s->server.client_stall_ms, 3600000);
    assert_int_equal(s->server.drain_timeout_ms, 0);
    assert_int_equal(s->server.cors_origins.n, 2);
    assert_str(s->server.cors_origins.v[1], "http://b:81");
    assert_int_equal(s->limits.max_target_bytes, 1024);
    assert_int_equal(s->limits.max_header_line_bytes, 2048);
    assert_int_equal(s->limits.max_header_bytes, 4096);
    assert_int_equal(s->limits.max_headers, 9);
    assert_int_equal(s->limits.max_body_bytes, 1048576);
    assert_int_equal(s->observability.log_level, TG_LOG_WARNING);
    assert_false(s->observability.metrics_enabled);
    assert_int_equal(s->retry.max_attempts, 1);
    assert_int_equal(s->retry.max_retry_after_ms, 3);
    assert_int_equal(s->retry.budget_percent, 0);
    assert_int_equal(s->breaker.window_ms, 4000);
    assert_int_equal(s->breaker.close_successes, 6);
    assert_false(s->engine.builtin);
    assert_true(s->engine.temperature == 1.5);
    assert_int_equal(s->engine.device, TG_DEVICE_CPU);
    assert_int_equal(s->engine.context_tokens, 1024);
    assert_int_equal(s->engine.idle_stop_ms, 600000);
    assert_true(s->engine.start_at_boot);
    assert_int_equal(s->engine.memory_limit_bytes, 1073741824);
    assert_str(s->engine.chat_template, "chatml");
    assert_int_equal(s->upstream.total_timeout_ms, 4000);
    assert_int_equal(s->upstream.max_event_bytes, 65536);
    assert_false(s->upstream.stream_usage);
    assert_int_equal(f->s->n_models, 1);
}

static void a_configuration_may_be_given_as_text(void **state)
{
    struct fixture *f = *state;
    fx_text(f, "tollgate.yaml", "server: {port: 1}\n");
    f->src.text = TG_STR("server: {port: 2, workers: x}\n");
    fx_load(f, NO_ENV);
    fx_expect_error(f, "text:1:28: error: server.workers: expected a whole number");
    f->src.text = TG_STR("server: {port: 2}\n");
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 2);
    f->src.text = TG_STR(""); /* an empty one is one too */
    fx_load(f, NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->settings.server.port, 8000);
    static char big[(1 << 20) + 1];
    f->src.text = tg_str_make(big, sizeof(big));
    fx_load(f, NO_ENV);
    fx_expect_error(f, "text: error: too big: at most 1048576 bytes");
}

static void the_effective_settings_hide_secrets(void **state)
{
    struct fixture *f = *state;
    struct tg_buf b;
    fx_load_text(f,
                 "models:\n"
                 "  a: {backend_type: openai, api_key: sk-canary-1, headers: {X-K: canary-2}, "
                 "prices: {input: 2.50, output: 10}}\n",
                 ENV("OPENAI_API_KEY=sk-canary-3", "HTTPS_PROXY=http://u:canary-4@p:1"));
    fx_expect_ok(f);
    tg_buf_init(&b, 1 << 20);
    assert_int_equal(tg_config_write_effective(f->s, &b), 0);
    struct tg_str text = tg_buf_str(&b);
    assert_contains(text, "models.a.api_key = ***\n");
    assert_contains(text, "openai.api_key = ***\n");
    assert_contains(text, "models.a.prices.input = 2.500000000\n");
    assert_contains(text, "default_model = \"a\"\n");
    assert_contains(text, "server.drain_timeout = 30s\n");
    assert_lacks(text, "canary");
    tg_buf_fini(&b);
    tg_buf_init(&b, 100);
    assert_int_equal(tg_config_write_effective(f->s, &b), TG_E_FULL);
    tg_buf_fini(&b);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(nothing_at_all_gives_the_builtin_model),
        T(the_documents_file_loads_with_its_variables),
        T(the_documents_file_loads_without_its_variables),
        T(the_file_in_the_repository_is_the_documents),
        T(the_documents_file_is_unchanged),
        T(environment_wins_over_files_in_order),
        T(ENVIRONMENT_chooses_the_env_file),
        T(env_files_beside_the_configuration_file_count_too),
        T(files_are_searched_in_order),
        T(a_file_that_cannot_be_read_is_an_error),
        T(names_of_files_start_at_the_configuration_file),
        T(overrides_are_checked),
        T(every_setting_in_the_file_reaches_its_member),
        T(a_configuration_may_be_given_as_text),
        T(the_effective_settings_hide_secrets),
    };
    return cmocka_run_group_tests_name("config/load", tests, NULL, NULL);
}
