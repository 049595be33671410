/* Kinds of providers: base URLs, APIs, credentials and what the environment says of them. */
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

/* Loads one model "m" with these settings. */
static const struct tg_target *one(struct fixture *f, const char *body, const char *const *env)
{
    char yaml[1024];
    snprintf(yaml, sizeof(yaml), "models: {m: {%s}}\n", body);
    fx_load_text(f, yaml, env);
    fx_expect_ok(f);
    return &f->s->targets[0];
}

struct url_case {
    const char *body;
    const char *env;
    const char *host, *path, *version;
    uint16_t port;
};

static void base_urls_are_normalised(void **state)
{
    static const struct url_case cases[] = {
        {"backend_type: anthropic", "A=", "api.anthropic.com", "", "2023-06-01", 443},
        {"backend_type: anthropic, base_url: 'https://h/v1/'", "A=", "h", "", "2023-06-01", 443},
        {"backend_type: anthropic, base_url: 'https://h/x/v1', api_version: '2024-01-01'",
         "A=", "h", "/x", "2024-01-01", 443},
        {"backend_type: anthropic", "ANTHROPIC_BASE_URL=https://e/anthropic", "e", "/anthropic",
         "2023-06-01", 443},
        {"backend_type: gemini", "A=", "generativelanguage.googleapis.com", "", "v1beta", 443},
        {"backend_type: gemini, base_url: 'https://h/v1beta'", "A=", "h", "", "v1beta", 443},
        {"backend_type: gemini, base_url: 'https://h/v1'", "A=", "h", "", "v1", 443},
        {"backend_type: gemini, base_url: 'https://h/v1', api_version: v1beta", "A=", "h", "",
         "v1beta", 443},
        {"backend_type: gemini", "GEMINI_API_URL=https://g/v1alpha/", "g", "", "v1alpha", 443},
        {"backend_type: huggingface", "A=", "router.huggingface.co", "/v1", "", 443},
        {"backend_type: huggingface, base_url: 'https://x.endpoints.huggingface.cloud'",
         "A=", "x.endpoints.huggingface.cloud", "/v1", "", 443},
        {"backend_type: huggingface, base_url: 'https://x.endpoints.huggingface.cloud/v1/'",
         "A=", "x.endpoints.huggingface.cloud", "/v1", "", 443},
        {"backend_type: huggingface, api: native, base_url: 'http://tgi.internal:8080/v1'",
         "A=", "tgi.internal", "", "", 8080},
        {"backend_type: huggingface, api: native, base_url: 'http://tgi.internal/a'",
         "A=", "tgi.internal", "/a", "", 80},
        {"backend_type: huggingface, base_url: 'https://router.huggingface.co/together/v1'",
         "A=", "router.huggingface.co", "/together/v1", "", 443},
        {"backend_type: azure_openai, base_url: 'https://n.openai.azure.com/'",
         "A=", "n.openai.azure.com", "", "v1", 443},
        {"backend_type: azure_openai, base_url: 'https://n.openai.azure.com/openai/v1/'",
         "A=", "n.openai.azure.com", "", "v1", 443},
        {"backend_type: azure_openai, api_version: 2024-10-21",
         "AZURE_OPENAI_ENDPOINT=https://n.openai.azure.com/openai", "n.openai.azure.com", "",
         "2024-10-21", 443},
        {"backend_type: azure_openai, base_url: 'https://f.services.ai.azure.com/models'",
         "A=", "f.services.ai.azure.com", "/models", "v1", 443},
        {"backend_type: bedrock, region: eu-west-1",
         "A=", "bedrock-runtime.eu-west-1.amazonaws.com", "", "", 443},
        {"backend_type: bedrock", "AWS_REGION=us-east-1", "bedrock-runtime.us-east-1.amazonaws.com",
         "", "", 443},
        {"backend_type: bedrock", "AWS_DEFAULT_REGION=us-west-2",
         "bedrock-runtime.us-west-2.amazonaws.com", "", "", 443},
        {"backend_type: vertex", "A=", "aiplatform.googleapis.com", "", "v1", 443},
        {"backend_type: vertex, region: europe-west4",
         "A=", "europe-west4-aiplatform.googleapis.com", "", "v1", 443},
        {"backend_type: vertex, base_url: 'https://h/v1beta1'", "GOOGLE_CLOUD_LOCATION=us-east5",
         "h", "", "v1beta1", 443},
        {"backend_type: cohere", "A=", "api.cohere.com", "", "", 443},
        {"backend_type: cohere, base_url: 'https://c/v2'", "A=", "c", "", "", 443},
        {"backend_type: ollama", "A=", "127.0.0.1", "", "", 11434},
        {"backend_type: ollama, base_url: 'http://o:1/v1'", "A=", "o", "", "", 1},
        {"backend_type: ollama, base_url: 'http://o:1/api'", "A=", "o", "", "", 1},
        {"backend_type: ollama", "OLLAMA_HOST=0.0.0.0", "127.0.0.1", "", "", 11434},
        {"backend_type: ollama", "OLLAMA_HOST=:99", "127.0.0.1", "", "", 99},
        {"backend_type: ollama", "OLLAMA_HOST=box:99", "box", "", "", 99},
        {"backend_type: ollama", "OLLAMA_HOST=box", "box", "", "", 11434},
        {"backend_type: ollama", "OLLAMA_HOST=[::1]:99", "::1", "", "", 99},
        {"backend_type: ollama", "OLLAMA_HOST=[fd00::1]", "fd00::1", "", "", 11434},
        {"backend_type: ollama", "OLLAMA_HOST=https://o.example", "o.example", "", "", 443},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        const struct url_case *c = &cases[i];
        const struct tg_target *t = one(f, c->body, ENV(c->env));
        if (!tg_str_eq(t->url.host, tg_str_c(c->host)) ||
            !tg_str_eq(t->url.path, tg_str_c(c->path)) || t->url.port != c->port ||
            !tg_str_eq(t->provider.api_version, tg_str_c(c->version)))
            fail_msg("%s, %s: '%.*s' '%.*s' %u '%.*s'", c->body, c->env, TG_STR_ARG(t->url.host),
                     TG_STR_ARG(t->url.path), t->url.port, TG_STR_ARG(t->provider.api_version));
    }
}

struct api_case {
    const char *body;
    enum tg_provider_api api;
};

static void apis_have_defaults(void **state)
{
    static const struct api_case cases[] = {
        {"backend_type: openai", TG_API_CHAT},
        {"backend_type: openai, api: responses", TG_API_RESPONSES},
        {"backend_type: anthropic", TG_API_MESSAGES},
        {"backend_type: gemini", TG_API_GENERATE_CONTENT},
        {"backend_type: bedrock, region: r", TG_API_CONVERSE},
        {"backend_type: bedrock, region: r, api: invoke", TG_API_INVOKE},
        {"backend_type: vertex, model_name: gemini-2.5-flash", TG_API_GENERATE_CONTENT},
        {"backend_type: vertex, model_name: claude-sonnet-4@20250514", TG_API_MESSAGES},
        {"backend_type: cohere", TG_API_CHAT},
        {"backend_type: ollama", TG_API_CHAT},
        {"backend_type: huggingface", TG_API_CHAT},
        {"backend_type: huggingface, base_url: 'http://a', api: native", TG_API_NATIVE},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++)
        if (one(f, cases[i].body, NO_ENV)->provider.api != cases[i].api)
            fail_msg("%s: %s", cases[i].body, tg_provider_api_name(f->s->targets[0].provider.api));
    fx_load_text(f, "models: {'claude*': {backend_type: vertex}}", NO_ENV);
    fx_expect_ok(f);
    assert_int_equal(f->s->targets[0].provider.api, TG_API_DEFAULT);
    assert_string_equal(tg_provider_api_name(TG_API_GENERATE_CONTENT), "generate_content");
    assert_string_equal(tg_provider_api_name((enum tg_provider_api)99), "");
}

/* Said when the configuration is loaded, not by a provider that knows nothing of the body. */
static void apis_that_do_not_fit(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *model;
        bool warned;
    } cases[] = {{"amazon.nova-micro-v1:0", true},
                 {"meta.llama3-70b-instruct-v1:0", true},
                 {"us.anthropic.claude-sonnet-4-5-20250929-v1:0", false},
                 {"arn:aws:bedrock:eu-west-1:1:inference-profile/x", false}};
    char text[256];
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof text,
                 "models: {m: {backend_type: bedrock, region: r, api: invoke, api_key: k, "
                 "model_name: '%s'}}",
                 cases[i].model);
        fx_load_text(f, text, NO_ENV);
        assert_int_equal(f->rc, 0);
        assert_int_equal(f->report.n_warnings, cases[i].warned);
        if (cases[i].warned)
            assert_contains(fx_report(f), "models.m.api: 'invoke' is Claude's format");
    }
    fx_load_text(f, "models: {m: {backend_type: huggingface, api: native, api_key: k}}", NO_ENV);
    fx_expect_error(f, "models.m.base_url: is required with api native");
}

static void names_and_kinds(void **state TG_UNUSED)
{
    assert_string_equal(tg_backend_kind_name(TG_BACKEND_AZURE_OPENAI), "azure_openai");
    assert_string_equal(tg_backend_kind_name((enum tg_backend_kind)99), "none");
    assert_true(tg_backend_kind_is_http(TG_BACKEND_OLLAMA));
    assert_true(tg_backend_kind_is_http(TG_BACKEND_OPENAI));
    assert_false(tg_backend_kind_is_http(TG_BACKEND_MOCK));
    assert_false(tg_backend_kind_is_http(TG_BACKEND_LOCAL));
    assert_false(tg_backend_kind_is_http(TG_BACKEND_NONE));
}

struct key_case {
    const char *body;
    const char *env;
    const char *key; /* NULL: none */
    const char *unavailable;
};

static void keys_by_kind(void **state)
{
    static const struct key_case cases[] = {
        {"backend_type: anthropic", "ANTHROPIC_API_KEY=k", "k", ""},
        {"backend_type: anthropic", "OPENAI_API_KEY=k", NULL,
         "environment variable ANTHROPIC_API_KEY is not set"},
        {"backend_type: anthropic, api_key: own", "ANTHROPIC_API_KEY=k", "own", ""},
        {"backend_type: gemini", "GEMINI_API_KEY=k", "k", ""},
        {"backend_type: gemini", "GOOGLE_API_KEY=k", "k", ""},
        {"backend_type: gemini", "A=", NULL, "environment variable GEMINI_API_KEY is not set"},
        {"backend_type: huggingface", "HF_TOKEN=k", "k", ""},
        {"backend_type: huggingface", "A=", NULL, "environment variable HF_TOKEN is not set"},
        {"backend_type: huggingface, base_url: 'http://127.0.0.1:8080'", "A=", NULL, ""},
        {"backend_type: cohere", "CO_API_KEY=k", "k", ""},
        {"backend_type: cohere", "A=", NULL, "environment variable COHERE_API_KEY is not set"},
        {"backend_type: ollama", "A=", NULL, ""},
        {"backend_type: ollama, api_key: k", "A=", "k", ""},
        {"backend_type: azure_openai, base_url: 'https://h'", "AZURE_OPENAI_API_KEY=k", "k", ""},
        {"backend_type: bedrock, region: r", "AWS_BEARER_TOKEN_BEDROCK=k", "k", ""},
        {"backend_type: bedrock, region: r", "A=", NULL,
         "environment variable AWS_ACCESS_KEY_ID is not set"},
        {"backend_type: bedrock, region: r", "AWS_ACCESS_KEY_ID=i", NULL,
         "environment variable AWS_SECRET_ACCESS_KEY is not set"},
        {"backend_type: bedrock, api_key: k", "A=", "k",
         "environment variable AWS_REGION is not set"},
        {"backend_type: vertex, project: p", "A=", NULL,
         "environment variable GOOGLE_APPLICATION_CREDENTIALS is not set"},
        {"backend_type: vertex, api_key: tok", "A=", "tok",
         "environment variable GOOGLE_CLOUD_PROJECT is not set"},
        {"backend_type: vertex, api_key: tok", "GOOGLE_CLOUD_PROJECT=p", "tok", ""},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        const struct key_case *c = &cases[i];
        const struct tg_target *t = one(f, c->body, ENV(c->env));
        bool same = c->key ? t->api_key && tg_str_eq(tg_secret_reveal(t->api_key), tg_str_c(c->key))
                           : !t->api_key;
        enum tg_credential_source want = c->key ? TG_CREDENTIAL_FIXED : TG_CREDENTIAL_NONE;
        if (!same || !tg_str_eq(t->unavailable, tg_str_c(c->unavailable)) ||
            t->provider.credential.source != want)
            fail_msg("%s, %s: '%.*s'", c->body, c->env, TG_STR_ARG(t->unavailable));
    }
}

static void sources_of_credentials(void **state)
{
    struct fixture *f = *state;
    const struct tg_credential_config *c =
        &one(f, "backend_type: anthropic, api_key_command: 'echo $$(date)', api_key_refresh: 90s",
             NO_ENV)
             ->provider.credential;
    assert_int_equal(c->source, TG_CREDENTIAL_COMMAND);
    assert_str(c->command, "echo $(date)");
    assert_int_equal(c->refresh_ms, 90000);
    assert_null(f->s->targets[0].api_key);
    assert_str(f->s->targets[0].unavailable, "");

    fx_text(f, "k.txt", "  file-key\n");
    c = &one(f, "backend_type: gemini, api_key_file: k.txt", NO_ENV)->provider.credential;
    assert_int_equal(c->source, TG_CREDENTIAL_FILE);
    assert_true(tg_str_ends(c->file, TG_STR("/k.txt")));
    assert_int_equal(c->refresh_ms, 300000);
    assert_str(tg_secret_reveal(f->s->targets[0].api_key), "file-key");

    c = &one(f, "backend_type: bedrock, region: r",
             ENV("AWS_ACCESS_KEY_ID=id", "AWS_SECRET_ACCESS_KEY=canary", "AWS_SESSION_TOKEN=t"))
             ->provider.credential;
    assert_int_equal(c->source, TG_CREDENTIAL_AWS_KEYS);
    assert_str(tg_secret_reveal(c->aws.access_key_id), "id");
    assert_str(tg_secret_reveal(c->aws.secret_access_key), "canary");
    assert_str(tg_secret_reveal(c->aws.session_token), "t");
    assert_null(f->s->targets[0].api_key);

    /* A model's own keys go without the environment's session token. */
    c = &one(f, "backend_type: bedrock, region: r, aws_access_key_id: a, aws_secret_access_key: b",
             ENV("AWS_SESSION_TOKEN=t"))
             ->provider.credential;
    assert_int_equal(c->source, TG_CREDENTIAL_AWS_KEYS);
    assert_null(c->aws.session_token);
    assert_true(f->s->targets[0].provider.strict == false);
    assert_true(one(f, "backend_type: mock, strict: true", NO_ENV)->provider.strict);
}

/* ---- Google's key files ---- */

static const char service_account[] =
    "{\"type\":\"service_account\",\"project_id\":\"proj-1\",\"private_key_id\":\"kid\","
    "\"private_key\":\"-----BEGIN PRIVATE KEY-----\\ncanary\\n-----END PRIVATE KEY-----\\n\","
    "\"client_email\":\"a@p.iam.gserviceaccount.com\",\"token_uri\":\"https://t.example/token\"}";

static void google_key_files(void **state)
{
    struct fixture *f = *state;
    fx_text(f, "sa.json", service_account);
    const struct tg_target *t =
        one(f, "backend_type: vertex, service_account_file: sa.json", NO_ENV);
    const struct tg_credential_config *c = &t->provider.credential;
    assert_int_equal(c->source, TG_CREDENTIAL_GOOGLE_KEY);
    assert_str(c->google.client_email, "a@p.iam.gserviceaccount.com");
    assert_str(c->google.key_id, "kid");
    assert_str(c->google.token_url.host, "t.example");
    assert_true(tg_str_starts(tg_secret_reveal(c->google.private_key), TG_STR("-----BEGIN")));
    assert_str(t->provider.project, "proj-1");
    assert_str(t->unavailable, "");
    bool noted = false;
    for (size_t i = 0; i < f->s->files.n; i++)
        noted |= tg_str_ends(f->s->files.v[i], TG_STR("/sa.json"));
    assert_true(noted);
    t = one(f, "backend_type: vertex, project: own",
            ENV("GOOGLE_APPLICATION_CREDENTIALS=sa.json", "GOOGLE_CLOUD_PROJECT=other"));
    assert_int_equal(t->provider.credential.source, TG_CREDENTIAL_GOOGLE_KEY);
    assert_str(t->provider.project, "own");

    fx_text(f, "user.json",
            "{\"type\":\"authorized_user\",\"client_id\":\"ci\",\"client_secret\":\"cs\","
            "\"refresh_token\":\"rt\",\"quota_project_id\":\"qp\"}");
    t = one(f, "backend_type: vertex, service_account_file: user.json", NO_ENV);
    c = &t->provider.credential;
    assert_int_equal(c->source, TG_CREDENTIAL_GOOGLE_REFRESH);
    assert_str(c->google.client_id, "ci");
    assert_str(tg_secret_reveal(c->google.refresh_token), "rt");
    assert_str(c->google.token_url.text, "https://oauth2.googleapis.com/token");
    assert_str(t->provider.project, "qp");
}

struct file_case {
    const char *text, *report;
};

static void bad_key_files_are_explained(void **state)
{
    static const struct file_case cases[] = {
        {"", "no JSON object"},
        {"[]", "no JSON object"},
        {"{\"type\":", "no JSON object"},
        {"{}", "\"type\" is not one that is supported"},
        {"{\"type\":\"external_account\",\"x\":\"canary\"}", "\"type\" is not one"},
        {"{\"type\":\"service_account\",\"private_key\":\"canary\"}",
         "\"client_email\" is missing"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\"}", "\"private_key\" is missing"},
        {"{\"type\":\"service_account\",\"client_email\":7,\"private_key\":\"canary\"}",
         "\"client_email\" is missing or no text"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\\u0000b\",\"private_key\":\"canary\"}",
         "\"client_email\" is missing or no text"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"canary\","
         "\"token_uri\":\"http://evil.example/\"}",
         "its token_uri is no address of a token server: it is not https://"},
        {"{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"canary\","
         "\"token_uri\":\"ftp://x\"}",
         "its token_uri is no address"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"a\",\"client_secret\":\"canary\"}",
         "\"refresh_token\" is missing"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        fx_text(f, "sa.json", cases[i].text);
        fx_load_text(f,
                     "models: {m: {backend_type: vertex, project: p, service_account_file: "
                     "sa.json}}",
                     NO_ENV);
        fx_expect_error(f, cases[i].report);
        assert_lacks(fx_report(f), "canary");
        assert_contains(fx_report(f), "models.m.service_account_file");
    }
    fx_load_text(f, "models: {m: {backend_type: vertex, project: p}}",
                 ENV("GOOGLE_APPLICATION_CREDENTIALS=gone.json"));
    fx_expect_error(f, "GOOGLE_APPLICATION_CREDENTIALS: there is no file");
    /* A file cut anywhere is refused, never half taken. */
    size_t n = strlen(service_account);
    for (size_t cut = 0; cut < n; cut++) {
        fx_write(f, "sa.json", service_account, cut);
        fx_load(f, ENV("GOOGLE_APPLICATION_CREDENTIALS=sa.json"));
        assert_int_equal(f->rc, TG_E_CONFIG);
        assert_lacks(fx_report(f), "canary");
    }
}

/* ---- mistakes ---- */

static void mistakes_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"backend_type: azure_openai",
         "models.m.base_url: is required with backend_type azure_openai: expected an http:// or "
         "https:// URL, here or in AZURE_OPENAI_ENDPOINT"},
        {"backend_type: anthropic, api: chat",
         "models.m.api: 'chat' is none of backend_type anthropic; expected messages"},
        {"backend_type: bedrock, region: r, api: chat", "expected converse or invoke"},
        {"backend_type: anthropic, api: generate", "models.m.api: expected one of chat, responses"},
        {"backend_type: mock, api: chat", "models.m.api: has no effect with backend_type mock"},
        {"backend_type: anthropic, region: r",
         "models.m.region: has no effect with backend_type anthropic"},
        {"backend_type: bedrock, project: p",
         "models.m.project: has no effect with backend_type bedrock"},
        {"backend_type: cohere, api_version: v1",
         "models.m.api_version: has no effect with backend_type cohere"},
        {"backend_type: anthropic, stream_usage: false",
         "models.m.stream_usage: has no effect with backend_type anthropic"},
        {"backend_type: anthropic, provider: groq",
         "models.m.provider: has no effect with backend_type anthropic"},
        {"backend_type: openai, aws_access_key_id: a",
         "models.m.aws_access_key_id: has no effect with backend_type openai"},
        {"backend_type: bedrock, service_account_file: x",
         "models.m.service_account_file: has no effect with backend_type bedrock"},
        {"backend_type: bedrock, region: 'evil.example/'",
         "models.m.region: expected letters, digits and '-'"},
        {"backend_type: bedrock, region: '../..'", "models.m.region: expected letters"},
        {"backend_type: vertex, project: 'a/b'", "models.m.project: expected letters"},
        {"backend_type: vertex, project: '..'", "models.m.project: expected letters"},
        {"backend_type: azure_openai, base_url: 'https://h', api_version: 'v1&x=y'",
         "models.m.api_version: expected letters"},
        {"backend_type: openai_compatible, base_url: 'https://h', provider: 'a b'",
         "models.m.provider: expected letters"},
        {"backend_type: anthropic, api_key: canary, api_key_command: x",
         "models.m.api_key_command: is one way of giving the credential too many"},
        {"backend_type: bedrock, region: r, api_key: canary, aws_access_key_id: canary",
         "models.m.aws_access_key_id: is one way of giving the credential too many"},
        {"backend_type: bedrock, region: r, aws_access_key_id: canary",
         "models.m.aws_access_key_id: needs aws_secret_access_key too"},
        {"backend_type: bedrock, region: r, aws_secret_access_key: canary",
         "models.m.aws_secret_access_key: has no effect without aws_access_key_id"},
        {"backend_type: bedrock, region: r, aws_session_token: canary",
         "models.m.aws_session_token: has no effect without aws_access_key_id"},
        {"backend_type: anthropic, api_key_refresh: 5s",
         "models.m.api_key_refresh: has no effect without api_key_file or api_key_command"},
        {"backend_type: anthropic, api_key_command: x, api_key_refresh: 10ms",
         "models.m.api_key_refresh: expected a duration"},
        {"backend_type: anthropic, api_key: canary, headers: {X-Api-Key: canary}",
         "models.m.headers.x-api-key: api_key writes this header already"},
        {"backend_type: gemini, api_key_command: x, headers: {X-Goog-Api-Key: canary}",
         "models.m.headers.x-goog-api-key: api_key writes this header already"},
        {"backend_type: anthropic, strict: perhaps", "models.m.strict: expected true or false"},
    };
    struct fixture *f = *state;
    char yaml[512];
    for (size_t i = 0; i < TG_ARRAY_LEN(cases); i++) {
        snprintf(yaml, sizeof(yaml), "models: {m: {%s}}\n", cases[i][0]);
        fx_load_text(f, yaml, NO_ENV);
        fx_expect_error(f, cases[i][1]);
        assert_lacks(fx_report(f), "canary");
    }
}

static void mistakes_in_the_environment(void **state)
{
    struct fixture *f = *state;
    fx_load_text(f, "models: {m: {backend_type: anthropic}}",
                 ENV("ANTHROPIC_API_KEY=a\nb", "ANTHROPIC_BASE_URL=nonsense"));
    fx_expect_error(f, "environment: error: ANTHROPIC_API_KEY: expected a text");
    fx_expect_error(f, "environment: error: ANTHROPIC_BASE_URL: expected an http://");
    fx_load_text(f, "models: {m: {backend_type: bedrock}}", ENV("AWS_REGION=a.b/c"));
    fx_expect_error(f, "models.m.region: expected letters");
    fx_load_text(f, "models: {m: {backend_type: ollama}}", ENV("OLLAMA_HOST=:x"));
    fx_expect_error(f, "OLLAMA_HOST: expected an http://");
    fx_load_text(f,
                 "models: {m: {backend_type: anthropic, api_key: k, base_url: 'http://h.example'}}",
                 NO_ENV);
    fx_expect_ok(f);
    assert_contains(fx_report(f), "the credential travels unencrypted");
}

static void secrets_are_not_printed(void **state)
{
    struct fixture *f = *state;
    struct tg_buf out;
    fx_text(f, "sa.json", service_account);
    fx_load_text(f,
                 "models:\n"
                 "  a: {backend_type: bedrock, region: r, aws_access_key_id: canary, "
                 "aws_secret_access_key: canary, aws_session_token: canary}\n"
                 "  b: {backend_type: vertex, service_account_file: sa.json}\n"
                 "  c: {backend_type: anthropic, api_key_command: print-key, api: messages}\n",
                 NO_ENV);
    fx_expect_ok(f);
    tg_buf_init(&out, 1 << 20);
    assert_int_equal(tg_config_write_effective(f->s, &out), 0);
    assert_lacks(tg_buf_str(&out), "canary");
    assert_contains(tg_buf_str(&out), "models.a.aws_secret_access_key = ***\n");
    assert_contains(tg_buf_str(&out), "models.c.api = messages\n");
    assert_contains(tg_buf_str(&out), "models.c.api_key_command = \"print-key\"\n");
    tg_buf_fini(&out);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(base_urls_are_normalised),
        T(apis_have_defaults),
        T(apis_that_do_not_fit),
        cmocka_unit_test(names_and_kinds),
        T(keys_by_kind),
        T(sources_of_credentials),
        T(google_key_files),
        T(bad_key_files_are_explained),
        T(mistakes_are_named),
        T(mistakes_in_the_environment),
        T(secrets_are_not_printed),
    };
    return cmocka_run_group_tests_name("config/providers", tests, NULL, NULL);
}
