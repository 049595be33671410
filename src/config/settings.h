/* The settings of a gateway as plain structs, one per section of the configuration file. Defaults,
 * limits, environment variables and help of each member stand in one table: config/schema.c.
 *
 * Thread rule, ownership and units: as in config/snapshot.h, which holds these. Zero means what the
 * comment says, never "not set". */
#ifndef TG_CONFIG_SETTINGS_H
#define TG_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/str.h"

struct tg_str_list {
    const struct tg_str *v;
    size_t n;
};

struct tg_server_settings {
    struct tg_str host; /* an address or a name; "127.0.0.1" */
    uint32_t port;      /* 8000; 0: the kernel chooses */
    uint32_t workers;   /* resolved: never 0 */
    bool insecure_bind; /* the operator's word that a non-loopback bind without keys is meant */
    struct tg_str tls_cert_file; /* both or none */
    struct tg_str tls_key_file;
    uint32_t max_connections;     /* all workers together */
    uint32_t max_active_requests; /* all workers together; more: 503 overloaded */
    uint32_t header_timeout_ms;
    uint32_t body_grace_ms;          /* a body's rate is judged after this long */
    uint32_t body_min_bytes_per_s;   /* slower bodies are cut: 408 */
    uint32_t idle_timeout_ms;        /* between requests of a connection */
    uint32_t client_stall_ms;        /* output waits and nothing moves → cut */
    uint32_t drain_timeout_ms;       /* after SIGTERM */
    struct tg_str_list cors_origins; /* empty: CORS off; "*" allows any */
};

/* What one request may be. */
struct tg_limit_settings {
    uint32_t max_target_bytes;
    uint32_t max_header_line_bytes;
    uint32_t max_header_bytes;
    uint32_t max_headers;
    uint64_t max_body_bytes;
};

struct tg_observability_settings {
    enum tg_log_level log_level;
    bool metrics_enabled;
};

/* How upstreams are called; a model may override each. */
struct tg_upstream_settings {
    uint32_t connect_timeout_ms; /* waiting for a connection, DNS, TCP and TLS together */
    uint32_t first_byte_timeout_ms;
    uint32_t idle_timeout_ms;  /* between bytes of an answer */
    uint32_t total_timeout_ms; /* one attempt */
    uint32_t max_connections;  /* per target and worker */
    uint32_t max_handshakes;   /* connects and TLS handshakes in flight, per target and worker */
    uint64_t
        max_response_bytes; /* of an answer that is not a stream, and of a stream in all: 64 MiB */
    uint64_t max_event_bytes; /* one server-sent event, 4 MiB */
    bool stream_usage;        /* ask for usage in streams (stream_options.include_usage) */
    struct tg_str ca_file;    /* "": the system's certificates */
};

struct tg_retry_settings {
    uint32_t max_attempts;  /* in all, the first one included; 1: no retry */
    uint32_t base_delay_ms; /* before the second attempt at the same target; doubles */
    uint32_t max_delay_ms;
    uint32_t max_retry_after_ms; /* a provider that asks for a longer wait is not waited for */
    uint32_t budget_percent;     /* extra attempts per 100 requests, per worker; 0: no retries */
};

struct tg_breaker_settings {
    uint32_t consecutive_failures; /* opens after this many in a row */
    uint32_t failure_percent;      /* or at this share … */
    uint32_t min_requests;         /* … of at least this many … */
    uint32_t window_ms;            /* … in this time */
    uint32_t probe_after_ms;       /* open → half-open */
    uint32_t close_successes;      /* half-open → closed */
};

enum tg_device { TG_DEVICE_CPU = 0 };

/* The local inference engine; a local model may override each but `builtin`, `model`, `max_length`
 * and `temperature`. */
struct tg_engine_settings {
    bool builtin;        /* offer the built-in demo model */
    struct tg_str model; /* MODEL_NAME: "builtin", a GGUF file or the name of a configured model */
    enum tg_device device;
    uint32_t max_length;     /* output tokens where a /v1/generate request names none */
    double temperature;      /* where a /v1/generate request names none */
    uint32_t threads;        /* 0: cores less one, at least 1 */
    uint32_t slots;          /* sequences generated at the same time */
    uint32_t context_tokens; /* all slots together; 0: the model's own, at most 4,096 per slot */
    uint32_t max_queue;      /* requests in line for a slot; more: 429 queue_full */
    bool start_at_boot;      /* else on the first request */
    uint32_t idle_stop_ms;   /* 0: never stop the child */
    uint64_t memory_limit_bytes; /* address space of the child; 0: from the model's size */
    struct tg_str chat_template; /* "": the model's own; else a template's text or built-in name */
};

enum tg_mock_fault {
    TG_MOCK_FAULT_NONE = 0,
    TG_MOCK_FAULT_ERROR,      /* fails with UPSTREAM_ERROR after `fault_after_tokens` */
    TG_MOCK_FAULT_STALL,      /* goes silent and stays open */
    TG_MOCK_FAULT_RESET,      /* the connection breaks */
    TG_MOCK_FAULT_INCOMPLETE, /* ends without a finish reason */
    TG_MOCK_FAULT_INVALID,    /* an answer that cannot be understood */
};

struct tg_mock_steps;

/* The scripted backend: what it answers and how it fails. */
struct tg_mock_config {
    struct tg_str script;              /* file with `steps`; "": none */
    const struct tg_mock_steps *steps; /* NULL: `text` is the answer to everything */
    struct tg_str text;     /* answered whole, or repeated up to `tokens`; "": lorem ipsum */
    uint32_t tokens;        /* output tokens; 0: as many as `text` has words */
    uint32_t latency_ms;    /* before the head of the answer */
    uint32_t ttft_ms;       /* from the head to the first token */
    uint32_t delay_ms;      /* between tokens */
    uint32_t status;        /* 200, or the error status it answers with */
    uint32_t retry_after_s; /* with an error status; 0: none */
    enum tg_mock_fault fault;
    uint32_t fault_after_tokens; /* 0: before the first */
    uint32_t dimensions;         /* of embeddings where the request says nothing */
};

/* The database: what is kept longer than a request. */
struct tg_store_settings {
    struct tg_str path;             /* a file's absolute name, or "memory" */
    bool path_is_default;           /* nobody named it: memory may take its place */
    uint32_t responses_lifetime_ms; /* 0: no answer is kept */
};

struct tg_settings {
    struct tg_server_settings server;
    struct tg_limit_settings limits;
    struct tg_observability_settings observability;
    struct tg_upstream_settings upstream;
    struct tg_retry_settings retry;
    struct tg_breaker_settings breaker;
    struct tg_engine_settings engine;
    struct tg_store_settings store;
};

#endif
