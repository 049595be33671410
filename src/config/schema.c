/* The table of all settings. Adding a setting is adding a row (and a member in settings.h). */
#include "config/schema_priv.h"

#include "config/load_priv.h"

#define KIB  1024LL
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)
#define SEC  1000LL
#define HOUR (3600 * SEC)
#define DAY  (24 * HOUR)

/* key, type, flags, struct, member, min, max, default, shown default, variable, words, help */
#define ROW(key, type, flags, S, M, min, max, def, doc, env, words, help)                         \
    {                                                                                             \
        key, type, flags, offsetof(S, M), sizeof(((S *)NULL)->M), min, max, def, doc, env, words, \
            help                                                                                  \
    }

static const struct tg_conf_word log_levels[] = {
    {"DEBUG", TG_LOG_DEBUG, false},     {"INFO", TG_LOG_INFO, false},
    {"WARNING", TG_LOG_WARNING, false}, {"ERROR", TG_LOG_ERROR, false},
    {"OFF", TG_LOG_OFF, false},         {"WARN", TG_LOG_WARNING, true},
    {"CRITICAL", TG_LOG_ERROR, true},   {NULL, 0, false},
};
static const struct tg_conf_word devices[] = {
    {"cpu", TG_DEVICE_CPU, false},
    {"auto", TG_DEVICE_CPU, true},
    {"gpu", -1, true},
    {"cuda", -1, true},
    {"metal", -1, true},
    {"mps", -1, true},
    {"vulkan", -1, true},
    {NULL, 0, false},
};
static const struct tg_conf_word backends[] = {
#define TG_BACKEND(ID, name, adapters, ...) {#name, TG_BACKEND_##ID, false},
#include "config/backends.def"
#undef TG_BACKEND
    {NULL, 0, false},
};
static const struct tg_conf_word apis[] = {
    {"chat", TG_API_CHAT, false},         {"responses", TG_API_RESPONSES, false},
    {"messages", TG_API_MESSAGES, false}, {"generate_content", TG_API_GENERATE_CONTENT, false},
    {"converse", TG_API_CONVERSE, false}, {"invoke", TG_API_INVOKE, false},
    {"native", TG_API_NATIVE, false},     {NULL, 0, false},
};
static const struct tg_conf_word tiers[] = {
    {"small", TG_TIER_SMALL, false},
    {"medium", TG_TIER_MEDIUM, false},
    {"large", TG_TIER_LARGE, false},
    {NULL, 0, false},
};
static const struct tg_conf_word mock_faults[] = {
    {"none", TG_MOCK_FAULT_NONE, false},
    {"error", TG_MOCK_FAULT_ERROR, false},
    {"stall", TG_MOCK_FAULT_STALL, false},
    {"reset", TG_MOCK_FAULT_RESET, false},
    {"incomplete", TG_MOCK_FAULT_INCOMPLETE, false},
    {"invalid", TG_MOCK_FAULT_INVALID, false},
    {NULL, 0, false},
};

/* Rows that stand both globally (P = "upstream.") and in each model (P = ""). */
#define UPSTREAM_ROWS(P, FLAGS, WIRE, S, M)                                                        \
    ROW(P "timeouts.connect", TG_CT_DURATION, FLAGS, S, M.connect_timeout_ms, 1, HOUR, "5s", NULL, \
        NULL, NULL, "Getting a connection: waiting for one, DNS, TCP and TLS together."),          \
        ROW(P "timeouts.first_byte", TG_CT_DURATION, FLAGS, S, M.first_byte_timeout_ms, 1, DAY,    \
            "60s", NULL, NULL, NULL, "From the request sent to the first byte of the answer."),    \
        ROW(P "timeouts.idle", TG_CT_DURATION, FLAGS, S, M.idle_timeout_ms, 1, DAY, "60s", NULL,   \
            NULL, NULL, "Silence in the middle of an answer."),                                    \
        ROW(P "timeouts.total", TG_CT_DURATION, FLAGS, S, M.total_timeout_ms, 1, DAY, "600s",      \
            NULL, NULL, NULL, "One attempt, from start to end."),                                  \
        ROW(P "max_connections", TG_CT_INT, FLAGS, S, M.max_connections, 1, 65536, "1024", NULL,   \
            NULL, NULL, "Connections to a target, per worker; requests beyond it wait."),          \
        ROW(P "max_handshakes", TG_CT_INT, FLAGS, S, M.max_handshakes, 1, 65536, "64", NULL, NULL, \
            NULL, "Connects and TLS handshakes under way to a target, per worker."),               \
        ROW(P "max_response", TG_CT_BYTES, FLAGS, S, M.max_response_bytes, KIB, 4 * GIB, "64MiB",  \
            NULL, NULL, NULL,                                                                      \
            "Bytes of one answer, unpacked where it is compressed; longer ones fail as "           \
            "upstream_too_large."),                                                                \
        ROW(P "max_event", TG_CT_BYTES, FLAGS, S, M.max_event_bytes, KIB, 256 * MIB, "4MiB", NULL, \
            NULL, NULL, "Bytes of one server-sent event of an answer."),                           \
        ROW(P "stream_usage", TG_CT_BOOL, WIRE, S, M.stream_usage, 0, 1, "true", NULL, NULL, NULL, \
            "Ask for token counts in streams (stream_options.include_usage)."),                    \
        ROW(P "ca_file", TG_CT_PATH, FLAGS, S, M.ca_file, 1, 4096, NULL, "the system's", NULL,     \
            NULL, "PEM file of the certificates to trust.")

#define ENGINE_ROWS(P, FLAGS, S, M)                                                               \
    ROW(P "device", TG_CT_ENUM, FLAGS, S, M.device, 0, 0, "cpu", NULL, "DEVICE", devices,         \
        "Where local models run."),                                                               \
        ROW(P "threads", TG_CT_INT, FLAGS, S, M.threads, 0, 1024, "0", "cores - 1, at least 1",   \
            NULL, NULL, "Computing threads of one local model; 0 chooses."),                      \
        ROW(P "slots", TG_CT_INT, FLAGS, S, M.slots, 1, 256, "8", NULL, NULL, NULL,               \
            "Sequences that one local model generates at the same time."),                        \
        ROW(P "context", TG_CT_INT, FLAGS, S, M.context_tokens, 0, 16777216, "0",                 \
            "from the model", NULL, NULL,                                                         \
            "Tokens of context, all slots together; 0: the model's own, at most 4096 per slot."), \
        ROW(P "max_queue", TG_CT_INT, FLAGS, S, M.max_queue, 0, 65536, "64", NULL, NULL, NULL,    \
            "Requests that wait for a slot; more are refused with 429 queue_full."),              \
        ROW(P "start_at_boot", TG_CT_BOOL, FLAGS, S, M.start_at_boot, 0, 1, "false", NULL, NULL,  \
            NULL, "Load local models at start, not on the first request."),                       \
        ROW(P "idle_stop", TG_CT_DURATION, FLAGS, S, M.idle_stop_ms, 0, 30 * DAY, "0", "never",   \
            NULL, NULL, "Unload a local model after this much idle time; 0: never."),             \
        ROW(P "memory_limit", TG_CT_BYTES, FLAGS, S, M.memory_limit_bytes, 0, 16384 * GIB, "0",   \
            "from the model's size", NULL, NULL,                                                  \
            "Address space of a local model's process; 0: from the model's size."),               \
        ROW(P "chat_template", TG_CT_STR, FLAGS, S, M.chat_template, 1, 65536, NULL,              \
            "the model's own", NULL, NULL,                                                        \
            "Chat template (its text, or the name of a known one).")

#define RAW      struct tg_conf_raw
#define SERVER   settings.server
#define LIMITS   settings.limits
#define RETRY    settings.retry
#define BREAKER  settings.breaker
#define OBSERVE  settings.observability
#define STORE    settings.store
#define ENGINE   settings.engine
#define UPSTREAM settings.upstream

static const struct tg_conf_row global_rows[] = {
    ROW("default_model", TG_CT_STR, 0, RAW, default_model, 1, 256, NULL, "the first model",
        "DEFAULT_MODEL", NULL, "Model of requests that name none."),

    ROW("server.host", TG_CT_STR, 0, RAW, SERVER.host, 1, 255, "127.0.0.1", NULL, "HOST", NULL,
        "Address to listen on. Other than loopback needs `insecure_bind`."),
    ROW("server.port", TG_CT_INT, 0, RAW, SERVER.port, 0, 65535, "8000", NULL, "PORT", NULL,
        "Port to listen on; 0: the system chooses."),
    ROW("server.workers", TG_CT_INT, 0, RAW, SERVER.workers, 0, 512, "0", "one per core", "WORKERS",
        NULL, "Worker threads; 0: one per core."),
    ROW("server.insecure_bind", TG_CT_BOOL, 0, RAW, SERVER.insecure_bind, 0, 1, "false", NULL,
        "INSECURE_BIND", NULL,
        "Your word that everyone who reaches a non-loopback address may use the gateway."),
    ROW("server.tls_cert_file", TG_CT_PATH, 0, RAW, SERVER.tls_cert_file, 1, 4096, NULL,
        "plain HTTP", "TLS_CERT_FILE", NULL,
        "PEM certificate chain; with `tls_key_file` it switches TLS on."),
    ROW("server.tls_key_file", TG_CT_PATH, 0, RAW, SERVER.tls_key_file, 1, 4096, NULL, NULL,
        "TLS_KEY_FILE", NULL, "PEM private key of the certificate."),
    ROW("server.max_connections", TG_CT_INT, 0, RAW, SERVER.max_connections, 1, 1000000, "10000",
        NULL, NULL, NULL, "Client connections, all workers together; more are closed at once."),
    ROW("server.max_active_requests", TG_CT_INT, 0, RAW, SERVER.max_active_requests, 1, 1000000,
        "8192", NULL, NULL, NULL,
        "Requests in work, all workers together; more get 503 overloaded."),
    ROW("server.header_timeout", TG_CT_DURATION, 0, RAW, SERVER.header_timeout_ms, 1, HOUR, "10s",
        NULL, NULL, NULL, "From a request's first byte to the end of its headers."),
    ROW("server.body_grace", TG_CT_DURATION, 0, RAW, SERVER.body_grace_ms, 1, HOUR, "10s", NULL,
        NULL, NULL, "A body's speed is judged after this long."),
    ROW("server.body_min_rate", TG_CT_BYTES32, 0, RAW, SERVER.body_min_bytes_per_s, 0, GIB, "1024",
        NULL, NULL, NULL, "Bytes a second below which a body is cut off; 0: never."),
    ROW("server.idle_timeout", TG_CT_DURATION, 0, RAW, SERVER.idle_timeout_ms, 1, DAY, "75s", NULL,
        NULL, NULL, "Between two requests of one connection."),
    ROW("server.client_stall", TG_CT_DURATION, 0, RAW, SERVER.client_stall_ms, 1, DAY, "30s", NULL,
        NULL, NULL, "A client that takes no output for this long is cut off."),
    ROW("server.drain_timeout", TG_CT_DURATION, 0, RAW, SERVER.drain_timeout_ms, 0, DAY, "30s",
        NULL, NULL, NULL, "After SIGTERM, running requests may go on for this long."),
    ROW("server.cors_origins", TG_CT_LIST, 0, RAW, SERVER.cors_origins, 0, 64, NULL, "off", NULL,
        NULL, "Origins that browsers may call from (`https://app.example`), or `*`."),

    ROW("limits.target", TG_CT_BYTES32, 0, RAW, LIMITS.max_target_bytes, 64, MIB, "8KiB", NULL,
        NULL, NULL, "Bytes of a request's path and query."),
    ROW("limits.header_line", TG_CT_BYTES32, 0, RAW, LIMITS.max_header_line_bytes, 256, MIB,
        "16KiB", NULL, NULL, NULL, "Bytes of one header line."),
    ROW("limits.header", TG_CT_BYTES32, 0, RAW, LIMITS.max_header_bytes, 1024, 16 * MIB, "64KiB",
        NULL, NULL, NULL, "Bytes of all header lines of a request."),
    ROW("limits.headers", TG_CT_INT, 0, RAW, LIMITS.max_headers, 8, 10000, "100", NULL, NULL, NULL,
        "Header lines of a request."),
    ROW("limits.body", TG_CT_BYTES, 0, RAW, LIMITS.max_body_bytes, 1024, 4 * GIB, "20MB", NULL,
        NULL, NULL, "Bytes of a request's body."),

    ROW("observability.log_level", TG_CT_ENUM, 0, RAW, OBSERVE.log_level, 0, 0, "INFO", NULL,
        "LOG_LEVEL", log_levels, "Least severe log lines to write."),
    ROW("observability.metrics_enabled", TG_CT_BOOL, 0, RAW, OBSERVE.metrics_enabled, 0, 1, "true",
        NULL, "METRICS_ENABLED", NULL, "Serve /metrics and /v1/metrics."),

    ROW("openai.api_key", TG_CT_SECRET, 0, RAW, openai_api_key, 1, 4096, NULL, NULL,
        "OPENAI_API_KEY", NULL, "Key of backend_type openai where a model has none of its own."),
    ROW("openai.base_url", TG_CT_URL, 0, RAW, openai_base_url, 1, 2048, "https://api.openai.com/v1",
        NULL, "OPENAI_BASE_URL", NULL,
        "Base URL of backend_type openai where a model has none of its own."),

    UPSTREAM_ROWS("upstream.", 0, 0, RAW, UPSTREAM),
    ROW("upstream.proxy", TG_CT_SECRET, 0, RAW, proxy, 1, 2048, NULL, "HTTPS_PROXY, HTTP_PROXY",
        NULL, NULL, "HTTP proxy to reach providers through, or `none`."),

    ROW("retry.max_attempts", TG_CT_INT, 0, RAW, RETRY.max_attempts, 1, 20, "3", NULL, NULL, NULL,
        "Attempts for one request in all, at all targets; 1: no retry."),
    ROW("retry.base_delay", TG_CT_DURATION, 0, RAW, RETRY.base_delay_ms, 0, HOUR, "250ms", NULL,
        NULL, NULL, "Wait before the same target is tried again; doubles each time."),
    ROW("retry.max_delay", TG_CT_DURATION, 0, RAW, RETRY.max_delay_ms, 0, HOUR, "8s", NULL, NULL,
        NULL, "Longest such wait."),
    ROW("retry.max_retry_after", TG_CT_DURATION, 0, RAW, RETRY.max_retry_after_ms, 0, HOUR, "20s",
        NULL, NULL, NULL, "Longest Retry-After of a provider that is waited for."),
    ROW("retry.budget_percent", TG_CT_INT, 0, RAW, RETRY.budget_percent, 0, 1000, "20", NULL, NULL,
        NULL,
        "Retries at the same target per hundred requests, per worker; 0: none. Fallbacks do not "
        "count."),

    ROW("breaker.consecutive_failures", TG_CT_INT, 0, RAW, BREAKER.consecutive_failures, 1, 10000,
        "5", NULL, NULL, NULL, "A target is left alone after this many failures in a row,"),
    ROW("breaker.failure_percent", TG_CT_INT, 0, RAW, BREAKER.failure_percent, 1, 100, "50", NULL,
        NULL, NULL, "or when this share of its attempts failed,"),
    ROW("breaker.min_requests", TG_CT_INT, 0, RAW, BREAKER.min_requests, 1, 1000000, "20", NULL,
        NULL, NULL, "of at least this many attempts,"),
    ROW("breaker.window", TG_CT_DURATION, 0, RAW, BREAKER.window_ms, 100, HOUR, "10s", NULL, NULL,
        NULL, "in this much time."),
    ROW("breaker.probe_after", TG_CT_DURATION, 0, RAW, BREAKER.probe_after_ms, 1, HOUR, "5s", NULL,
        NULL, NULL, "Then one attempt may probe it after this long;"),
    ROW("breaker.close_successes", TG_CT_INT, 0, RAW, BREAKER.close_successes, 1, 1000, "2", NULL,
        NULL, NULL, "it is back after this many successful probes."),

    ROW("store.path", TG_CT_STR, 0, RAW, STORE.path, 1, 4096, NULL,
        "`$XDG_STATE_HOME/tollgate/tollgate.db`, where `$XDG_STATE_HOME` is `~/.local/state`",
        "STORE_PATH", NULL,
        "File of the database (SQLite), made with its folder where there is none; `memory`: what "
        "is kept ends with the process."),
    ROW("store.responses_lifetime", TG_CT_DURATION, 0, RAW, STORE.responses_lifetime_ms, 0,
        49 * DAY, "30d", NULL, NULL, NULL,
        "How long answers of /v1/responses are kept (`previous_response_id`, GET); 0: none is."),

    ROW("engine.builtin", TG_CT_BOOL, 0, RAW, ENGINE.builtin, 0, 1, "true", NULL, NULL, NULL,
        "Offer the small built-in demo model as `tollgate-tiny`."),
    ROW("engine.model", TG_CT_STR, 0, RAW, ENGINE.model, 1, 4096, NULL, "builtin", "MODEL_NAME",
        NULL, "Default model: `builtin`, a GGUF file to serve, or a configured model's name."),
    ROW("engine.max_length", TG_CT_INT, 0, RAW, ENGINE.max_length, 1, 16777216, "512", NULL,
        "MAX_LENGTH", NULL, "Output tokens of /v1/generate where the request says nothing."),
    ROW("engine.temperature", TG_CT_DOUBLE, 0, RAW, ENGINE.temperature, 0, 2, "0.7", NULL,
        "TEMPERATURE", NULL, "Temperature of /v1/generate where the request says nothing."),
    ENGINE_ROWS("engine.", 0, RAW, ENGINE),
};

#define DEF      struct tg_conf_model_def
#define ALL      TG_CF_FILE_ONLY
#define WEB      (TG_CF_FILE_ONLY | TG_CF_HTTP)
#define MCK      (TG_CF_FILE_ONLY | TG_CF_MOCK)
#define AWS      (TG_CF_FILE_ONLY | TG_CF_AWS)
#define GGL      (TG_CF_FILE_ONLY | TG_CF_GOOGLE)
#define PROVIDER target.provider
#define AWS_KEYS PROVIDER.credential.aws

static const struct tg_conf_row model_rows[] = {
    ROW("display_name", TG_CT_STR, ALL, DEF, model.display_name, 1, 200, NULL, "the model's name",
        NULL, NULL, "Name for people, shown by /v1/models."),
    ROW("backend_type", TG_CT_ENUM, ALL, DEF, backend, 0, 0, NULL, "required", NULL, backends,
        "What serves the model."),
    ROW("base_url", TG_CT_URL, WEB, DEF, target.url, 1, 2048, NULL, "the provider's, see below",
        NULL, NULL, "Where the API begins, such as `https://api.openai.com/v1`."),
    ROW("model_name", TG_CT_STR, ALL, DEF, target.model_name, 1, 4096, NULL, "the model's name",
        NULL, NULL, "The backend's name for the model; for local: the GGUF file, or `builtin`."),
    ROW("provider", TG_CT_STR, (TG_CF_FILE_ONLY | TG_CF_COMPATIBLE), DEF, PROVIDER.provider, 1, 32,
        NULL, "by the host in base_url", NULL, NULL,
        "Whose peculiarities to allow for, such as `groq`, `mistral` or `deepseek`."),
    ROW("api", TG_CT_ENUM, WEB, DEF, PROVIDER.api, 0, 0, NULL, "the provider's, see below", NULL,
        apis, "Which of the provider's APIs to speak when a request is translated."),
    ROW("api_version", TG_CT_STR, (TG_CF_FILE_ONLY | TG_CF_VERSIONED), DEF, PROVIDER.api_version, 1,
        64, NULL, "the provider's, see below", NULL, NULL,
        "Version of that API: azure_openai's `api-version` (`v1` for the API without), anthropic's "
        "`anthropic-version`, gemini's and vertex's path."),
    ROW("region", TG_CT_STR, (TG_CF_FILE_ONLY | TG_CF_AWS | TG_CF_GOOGLE), DEF, PROVIDER.region, 1,
        64, NULL,
        "bedrock: `AWS_REGION` or `AWS_DEFAULT_REGION`; vertex: `GOOGLE_CLOUD_LOCATION`, `global`",
        NULL, NULL, "Where bedrock or vertex runs, such as `us-east-1`."),
    ROW("project", TG_CT_STR, GGL, DEF, PROVIDER.project, 1, 128, NULL,
        "`GOOGLE_CLOUD_PROJECT`, or the key file's", NULL, NULL,
        "vertex: the Google Cloud project."),
    ROW("strict", TG_CT_BOOL, ALL, DEF, PROVIDER.strict, 0, 1, "false", NULL, NULL, NULL,
        "Refuse requests that would lose something in translation, naming the field."),
    ROW("drop", TG_CT_LIST, ALL, DEF, PROVIDER.drop, 0, 64, NULL, "none", NULL, NULL,
        "Fields and tools to leave out of requests to this model instead of failing, such as "
        "`web_search` or `logit_bias`; see fidelity.md."),
    ROW("api_key", TG_CT_SECRET, WEB, DEF, api_key, 1, 8192, NULL, "the provider's, see below",
        NULL, NULL, "Credential, best as `${VARIABLE}`."),
    ROW("api_key_env", TG_CT_STR, WEB, DEF, api_key_env, 1, 128, NULL, NULL, NULL, NULL,
        "Environment variable that holds the credential."),
    ROW("api_key_file", TG_CT_PATH, WEB, DEF, api_key_file, 1, 4096, NULL, NULL, NULL, NULL,
        "File that holds the credential; read again when it changes, without a restart."),
    ROW("api_key_command", TG_CT_STR, WEB, DEF, PROVIDER.credential.command, 1, 4096, NULL, NULL,
        NULL, NULL,
        "Command that prints the credential, run by `/bin/sh -c` when the first request needs it "
        "and then every `api_key_refresh`; for bedrock also one that prints the JSON of AWS's "
        "`credential_process`."),
    ROW("api_key_refresh", TG_CT_DURATION, WEB, DEF, PROVIDER.credential.refresh_ms, SEC, DAY, "5m",
        NULL, NULL, NULL, "How old the answer of `api_key_command` or `api_key_file` may get."),
    ROW("aws_access_key_id", TG_CT_SECRET, AWS, DEF, AWS_KEYS.access_key_id, 1, 256, NULL,
        "`AWS_ACCESS_KEY_ID`", NULL, NULL, "bedrock: signs requests, where there is no `api_key`."),
    ROW("aws_secret_access_key", TG_CT_SECRET, AWS, DEF, AWS_KEYS.secret_access_key, 1, 256, NULL,
        "`AWS_SECRET_ACCESS_KEY`", NULL, NULL, "bedrock: belongs to `aws_access_key_id`."),
    ROW("aws_session_token", TG_CT_SECRET, AWS, DEF, AWS_KEYS.session_token, 1, 8192, NULL,
        "`AWS_SESSION_TOKEN`", NULL, NULL, "bedrock: belongs to temporary keys."),
    ROW("service_account_file", TG_CT_PATH, GGL, DEF, service_account_file, 1, 4096, NULL,
        "`GOOGLE_APPLICATION_CREDENTIALS`", NULL, NULL,
        "vertex: Google's JSON file of a service account's key, or of a user's own credential."),
    ROW("max_tokens", TG_CT_COUNT, ALL, DEF, model.max_tokens, 1, 1000000000, NULL, "unknown", NULL,
        NULL,
        "Most output tokens of one request of a local model; elsewhere what is asked for where a "
        "client says nothing and the provider must be told (Anthropic's API)."),
    ROW("context_length", TG_CT_COUNT, ALL, DEF, model.context_length, 1, 1000000000, NULL,
        "unknown", NULL, NULL, "Tokens of prompt and output together."),
    ROW("tier", TG_CT_ENUM, ALL, DEF, tier, 0, 0, NULL, "none", NULL, tiers,
        "The tier's name can be used as a model name too."),
    ROW("aliases", TG_CT_LIST, ALL, DEF, model.aliases, 0, 64, NULL, "none", NULL, NULL,
        "Other names for the model."),
    ROW("fallbacks", TG_CT_LIST, ALL, DEF, model.fallbacks, 0, 16, NULL, "none", NULL, NULL,
        "Models to try, in this order, when this one fails."),
    ROW("prices.input", TG_CT_PRICE, ALL, DEF, model.price.input_nusd_per_mtok, 0, 1000000, NULL,
        "unknown", NULL, NULL, "USD per million input tokens, such as 2.50."),
    ROW("prices.output", TG_CT_PRICE, ALL, DEF, model.price.output_nusd_per_mtok, 0, 1000000, NULL,
        "unknown", NULL, NULL, "USD per million output tokens."),
    ROW("headers", TG_CT_HEADERS, WEB, DEF, target.headers, 0, 32, NULL, "none", NULL, NULL,
        "Extra request headers, a map of names to values."),
    UPSTREAM_ROWS("", (WEB | TG_CF_INHERIT), (TG_CF_FILE_ONLY | TG_CF_INHERIT | TG_CF_OPENAI_WIRE),
                  DEF, target.upstream),
    ROW("proxy", TG_CT_SECRET, (WEB | TG_CF_INHERIT), DEF, proxy, 1, 2048, NULL, "`upstream.proxy`",
        NULL, NULL, "HTTP proxy to reach the provider through, or `none`."),
    ENGINE_ROWS("engine.", (TG_CF_FILE_ONLY | TG_CF_LOCAL | TG_CF_INHERIT), DEF, target.engine),
    ROW("mock.script", TG_CT_PATH, MCK, DEF, target.mock.script, 1, 4096, NULL, "none", NULL, NULL,
        "JSON file of what it answers to which conversation, tool calls included; see api.md."),
    ROW("mock.text", TG_CT_STR, MCK, DEF, target.mock.text, 0, 65536, NULL, "lorem ipsum", NULL,
        NULL, "What it answers."),
    ROW("mock.tokens", TG_CT_INT, MCK, DEF, target.mock.tokens, 0, 10000000, NULL,
        "the words of the text", NULL, NULL, "Output tokens; the text is repeated or cut to fit."),
    ROW("mock.latency", TG_CT_DURATION, MCK, DEF, target.mock.latency_ms, 0, DAY, NULL, "0", NULL,
        NULL, "Wait before the answer begins."),
    ROW("mock.ttft", TG_CT_DURATION, MCK, DEF, target.mock.ttft_ms, 0, DAY, NULL, "0", NULL, NULL,
        "Wait from there to the first token."),
    ROW("mock.delay", TG_CT_DURATION, MCK, DEF, target.mock.delay_ms, 0, DAY, NULL, "0", NULL, NULL,
        "Wait between tokens."),
    ROW("mock.status", TG_CT_INT, MCK, DEF, target.mock.status, 200, 599, "200", NULL, NULL, NULL,
        "200, or the error status to answer with."),
    ROW("mock.retry_after_s", TG_CT_INT, MCK, DEF, target.mock.retry_after_s, 0, 86400, NULL,
        "none", NULL, NULL, "Retry-After of such an error, in seconds."),
    ROW("mock.fault", TG_CT_ENUM, MCK, DEF, target.mock.fault, 0, 0, "none", NULL, NULL,
        mock_faults, "How the answer goes wrong."),
    ROW("mock.fault_after", TG_CT_INT, MCK, DEF, target.mock.fault_after_tokens, 0, 10000000, NULL,
        "0", NULL, NULL, "After how many tokens it does."),
    ROW("mock.dimensions", TG_CT_INT, MCK, DEF, target.mock.dimensions, 1, 65536, "64", NULL, NULL,
        NULL, "Length of its embeddings where the request says nothing."),
};

const struct tg_conf_table tg_conf_global = {"", global_rows, TG_ARRAY_LEN(global_rows)};
const struct tg_conf_table tg_conf_model_table = {"models.<name>.", model_rows,
                                                  TG_ARRAY_LEN(model_rows)};
