/* The configuration of a running gateway: one immutable value, validated whole, swapped whole on
 * reload. Requests keep the snapshot they began with by holding a reference.
 *
 * Thread rule: const data, any thread. References are counted atomically; the last
 * tg_snapshot_unref() frees everything, on the thread that calls it.
 * Ownership: every pointer and tg_str in here lives as long as the snapshot. A tg_str in here is
 * followed by a NUL, so that it can be given to a library; {NULL, 0} or n == 0 means "not set".
 * Units: in the names. Secrets are tg_secret and are printed as "***". */
#ifndef TG_CONFIG_SNAPSHOT_H
#define TG_CONFIG_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"
#include "config/settings.h"

enum tg_backend_kind {
    TG_BACKEND_NONE = 0, /* only while a configuration is being read */
#define TG_BACKEND(ID, name, adapters, ...) TG_BACKEND_##ID,
#include "config/backends.def"
#undef TG_BACKEND
    TG_BACKEND_COUNT,
};
const char *tg_backend_kind_name(enum tg_backend_kind k); /* "openai_compatible" */
bool tg_backend_kind_is_http(enum tg_backend_kind k);     /* neither local nor mock */

enum tg_tier { TG_TIER_NONE = 0, TG_TIER_SMALL, TG_TIER_MEDIUM, TG_TIER_LARGE };
const char *tg_tier_name(enum tg_tier t); /* "small"; "" for none */

/* An absolute http(s) URL, checked and taken apart. */
struct tg_config_url {
    struct tg_str text; /* as given (after expansion), without user information, no trailing '/' */
    bool https;
    bool host_is_ipv6;
    uint16_t port;      /* the scheme's own when the URL names none */
    struct tg_str host; /* without brackets, lower case */
    struct tg_str path; /* "" or "/v1": starts with '/', no trailing '/' */
};

/* The HTTP proxy that a target goes through (CONNECT for https). */
struct tg_proxy_config {
    struct tg_str host; /* "": direct */
    bool host_is_ipv6;
    uint16_t port;
    const struct tg_secret *userinfo; /* "user:password", percent-decoded; NULL: none */
};

/* An extra header on every request to a target: name and value are valid, the name is none that the
 * gateway itself writes (framing, Host, hop-by-hop). */
struct tg_header_config {
    struct tg_str name;
    const struct tg_secret *value;
};

/* Which of a provider's APIs requests are translated to. Pass-through does not look at it. */
enum tg_provider_api {
    TG_API_DEFAULT = 0, /* after load only for vertex wildcards: decide by the model's name */
    TG_API_CHAT,        /* OpenAI Chat Completions; ollama: /api/chat; cohere: /v2/chat */
    TG_API_RESPONSES,
    TG_API_MESSAGES, /* Anthropic; vertex: rawPredict */
    TG_API_GENERATE_CONTENT,
    TG_API_CONVERSE, /* bedrock */
    TG_API_INVOKE,
    TG_API_NATIVE, /* huggingface: /generate, /embed, /rerank */
};
const char *tg_provider_api_name(enum tg_provider_api a); /* "generate_content"; "" for default */

/* Where a target's credential comes from. */
enum tg_credential_source {
    TG_CREDENTIAL_NONE = 0,
    TG_CREDENTIAL_FIXED,         /* tg_target.api_key, until the next reload */
    TG_CREDENTIAL_FILE,          /* the same at first, then read again */
    TG_CREDENTIAL_COMMAND,       /* nothing until the command has run */
    TG_CREDENTIAL_AWS_KEYS,      /* bedrock: `aws` */
    TG_CREDENTIAL_GOOGLE_KEY,    /* vertex: a service account's key signs for access tokens */
    TG_CREDENTIAL_GOOGLE_REFRESH /* vertex: a user's refresh token buys access tokens */
};

/* Keys that AWS requests are signed with. */
struct tg_aws_keys {
    const struct tg_secret *access_key_id;
    const struct tg_secret *secret_access_key;
    const struct tg_secret *session_token; /* NULL: none */
};

/* Google's key file: what an access token is asked for with. GOOGLE_KEY: client_email, key_id and
 * private_key (PEM). GOOGLE_REFRESH: the other three. */
struct tg_google_config {
    struct tg_config_url token_url;
    struct tg_str client_email, key_id;
    const struct tg_secret *private_key;
    struct tg_str client_id;
    const struct tg_secret *client_secret, *refresh_token;
    struct tg_str project; /* the file's own; "": none */
};

struct tg_credential_config {
    enum tg_credential_source source;
    struct tg_str file;    /* FILE */
    struct tg_str command; /* COMMAND: for /bin/sh -c */
    uint32_t refresh_ms;   /* FILE, COMMAND: how old a value may get */
    struct tg_aws_keys aws;
    struct tg_google_config google;
};

/* What is special about a target's provider. Paths of url, after load, by kind: anthropic, gemini,
 * vertex, cohere and ollama without the version ("/v1", "/v1beta", "/api" …), azure_openai without
 * "/openai…", huggingface with "/v1" (without it where the API is NATIVE), others as written. */
struct tg_provider_config {
    struct tg_str provider; /* openai_compatible: whose quirks, as written; "": not said */
    enum tg_provider_api api;
    /* "2023-06-01" (anthropic), "v1beta" (gemini), "v1" (vertex); azure_openai: "v1", or the date
     * of the API by deployment */
    struct tg_str api_version;
    bool own_version;        /* api_version was configured, not the default */
    struct tg_str region;    /* bedrock, vertex */
    struct tg_str project;   /* vertex */
    bool strict;             /* refuse what would be lost in translation */
    struct tg_str_list drop; /* names of what is left out of requests (chat/drop.h) */
    struct tg_credential_config credential;
};

/* One backend that attempts can be made at. Its `id` is its index in snapshot->targets and its bit
 * in health bitmaps; ids are stable within one snapshot only. */
struct tg_target {
    uint16_t id;
    uint16_t model; /* index in snapshot->models */
    enum tg_backend_kind kind;
    struct tg_str name; /* the model's name: for logs, metrics, errors */
    /* Not empty: cannot be used, and why, fit for a client ("environment variable LLAMA_API_URL is
     * not set"). */
    struct tg_str unavailable;
    /* The backend's name for the model. "": pass the client's own name on (wildcards). For local:
     * the GGUF file; "" is the built-in model. */
    struct tg_str model_name;
    uint64_t max_tokens;     /* cap and default for output tokens; 0: none known */
    uint64_t context_length; /* tokens; 0: unknown */

    /* all that speak HTTP */
    struct tg_config_url url;
    const struct tg_secret *api_key; /* NULL: none, or not a fixed one (see provider.credential) */
    struct tg_provider_config provider;
    const struct tg_header_config *headers;
    size_t n_headers;
    struct tg_proxy_config proxy;
    struct tg_upstream_settings upstream; /* timeouts and limits, the model's or the global ones */

    struct tg_engine_settings engine; /* local: the model's or the global ones */
    struct tg_mock_config mock;       /* mock */
};

/* Nano-USD per million tokens ("2.50" → 2500000000); -1: no price known. */
struct tg_price {
    int64_t input_nusd_per_mtok;
    int64_t output_nusd_per_mtok;
};

/* One name of /v1/models. */
struct tg_model {
    struct tg_str name;         /* "gpt-4-mini"; "*" or "gpt-*" for wildcards */
    struct tg_str display_name; /* falls back to the name */
    enum tg_tier tier;
    uint16_t target;
    bool builtin; /* the demo model inside the binary */
    bool wildcard;
    uint64_t context_length; /* 0: unknown */
    uint64_t max_tokens;     /* 0: unknown */
    struct tg_price price;
    struct tg_str_list aliases;
    struct tg_str_list fallbacks; /* as written */
};

enum tg_route_kind { TG_ROUTE_MODEL = 1, TG_ROUTE_ALIAS, TG_ROUTE_TIER, TG_ROUTE_WILDCARD };

/* A name that requests may use, and the targets to try, in order: its own, then fallbacks. */
struct tg_route {
    struct tg_str name; /* wildcards: the prefix in front of '*', "" for "*" */
    enum tg_route_kind kind;
    uint16_t model; /* index; tiers: the first model of the tier */
    uint16_t n_targets;
    const uint16_t *targets;
};

#define TG_CONFIG_MAX_MODELS 1024
/* The demo model in the binary. */
#define TG_CONFIG_BUILTIN_NAME "tollgate-tiny"
#define TG_ROUTE_MAX_TARGETS   32 /* in one route, fallbacks included */

struct tg_snapshot_refs; /* the count, the arena and the secrets; config/ only */
struct tg_snapshot {
    struct tg_snapshot_refs *refs;
    struct tg_settings settings;
    const struct tg_model
        *models; /* in file order; the MODEL_NAME file and the built-in one last */
    size_t n_models;
    const struct tg_target *targets; /* index == id */
    size_t n_targets;
    /* Sorted by kind (model, alias, tier, wildcard), then by name; wildcards by length, longest
     * first. See policy/route.h. */
    const struct tg_route *routes;
    size_t n_routes;
    /* Where each kind of route begins: routes of kind k are [route_start[k], route_start[k + 1]).
     */
    size_t route_start[TG_ROUTE_WILDCARD + 2];
    struct tg_str default_model; /* "" only when every model is a wildcard */
    struct tg_str config_file;   /* "" when there is none */
    struct tg_str environment;   /* ENVIRONMENT, "dev" */
    struct tg_str_list files;    /* every file that was read, for `check-config` and reload */
};

/* Takes a reference and returns its argument. */
const struct tg_snapshot *tg_snapshot_ref(const struct tg_snapshot *s);
void tg_snapshot_unref(const struct tg_snapshot *s); /* NULL is allowed */

/* The route of a name: exact model, alias, tier, wildcard, in this order; NULL: unknown. For
 * requests use policy/route.h, which adds health and errors. */
const struct tg_route *tg_snapshot_route(const struct tg_snapshot *s, struct tg_str name);
/* NULL: absent. Exact name of a model (no alias, tier or wildcard). */
const struct tg_model *tg_snapshot_model(const struct tg_snapshot *s, struct tg_str name);
static inline const struct tg_target *tg_snapshot_target(const struct tg_snapshot *s, size_t id)
{
    return id < s->n_targets ? &s->targets[id] : NULL;
}

#endif
