#include "core/headers_priv.h"

#include "base/compiler.h"
#include "base/secret.h"
#include "wire/h1.h"

/* ---- to providers ---- */

#define OPENAI                                                                                    \
    (TG_WIRE_BIT(OPENAI_CHAT) | TG_WIRE_BIT(OPENAI_COMPLETIONS) | TG_WIRE_BIT(OPENAI_RESPONSES) | \
     TG_WIRE_BIT(OPENAI_EMBEDDINGS) | TG_WIRE_BIT(OPENAI_MODERATIONS) |                           \
     TG_WIRE_BIT(OPENAI_IMAGES) | TG_WIRE_BIT(OPENAI_AUDIO))
#define ANTHROPIC (TG_WIRE_BIT(ANTHROPIC_MESSAGES) | TG_WIRE_BIT(ANTHROPIC_COUNT))
#define GEMINI \
    (TG_WIRE_BIT(GEMINI_GENERATE) | TG_WIRE_BIT(GEMINI_COUNT) | TG_WIRE_BIT(GEMINI_EMBED))

enum { MAX_BETA_BYTES = 64, MAX_BETAS_BYTES = 2048 };

enum how {
    ONCE,    /* the client's first; not where the same was configured */
    INSTEAD, /* of the adapter's, where the adapter has one */
    JOINED,  /* a list: the configured one, then the client's */
};

/* A client's header goes on when both its format and the provider's are of that family. Not here,
 * and why: openai-organization and openai-project, x-goog-user-project (whose account pays: the
 * operator's to say, in the target's `headers`), x-goog-fieldmask (could hide what is billed),
 * x-goog-request-params (names the model). */
static const struct rule {
    struct tg_str name;
    uint32_t formats; /* 0: every one */
    enum how how;
} onward[] = {
    {TG_STR_INIT("anthropic-beta"), ANTHROPIC, JOINED},
    {TG_STR_INIT("anthropic-version"), ANTHROPIC, INSTEAD},
    {TG_STR_INIT("idempotency-key"), OPENAI | ANTHROPIC, ONCE},
    {TG_STR_INIT("openai-beta"), OPENAI, JOINED},
    {TG_STR_INIT("traceparent"), 0, ONCE},
    {TG_STR_INIT("tracestate"), 0, ONCE},
    {TG_STR_INIT("x-goog-api-client"), GEMINI, ONCE},
    {TG_STR_INIT("x-server-timeout"), GEMINI, ONCE},
};

static uint32_t family_of(enum tg_wire_format f)
{
    static const uint32_t families[] = {OPENAI, ANTHROPIC, GEMINI};
    for (size_t i = 0; i < TG_ARRAY_LEN(families); i++) {
        if (tg_wire_in(families[i], f))
            return families[i];
    }
    return 0;
}

static bool goes_on(const struct rule *r, const struct tg_onward *o)
{
    uint32_t family = family_of(o->from);
    return !r->formats || (r->formats & family && family == family_of(o->to));
}

/* The rule by which a client's header of that name goes on; NULL: it does not. */
static const struct rule *rule_of(const struct tg_onward *o, struct tg_str name)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(onward); i++) {
        if (tg_str_ieq(onward[i].name, name))
            return goes_on(&onward[i], o) ? &onward[i] : NULL;
    }
    return NULL;
}

static bool is_configured(const struct tg_onward *o, struct tg_str name)
{
    for (size_t i = 0; i < o->n_configured; i++) {
        if (tg_str_ieq(o->configured[i].name, name))
            return true;
    }
    return false;
}

static bool is_own(const struct tg_onward *o, struct tg_str name)
{
    for (size_t i = 0; i < o->n_own; i++) {
        if (tg_str_ieq(o->own[i].name, name))
            return true;
    }
    return false;
}

/* A client's header stands in for the adapter's. */
static bool is_replaced(const struct tg_onward *o, struct tg_str name)
{
    const struct rule *r = rule_of(o, name);
    return r && r->how == INSTEAD && !o->fixed_version && o->client &&
           tg_http_head_get(o->client, name).n;
}

static int join(struct tg_buf *b, struct tg_str name, struct tg_str value)
{
    size_t end = b->n - 2; /* behind the value before: its line's end comes off */
    int rc = tg_h1_write_header(b, name, value);
    if (rc < 0)
        return rc;
    size_t from = end + 2 + name.n + 2; /* "\r\n", name, ": " */
    size_t left = b->n - from;
    b->p[end] = ',';
    b->p[end + 1] = ' ';
    memmove(b->p + end + 2, b->p + from, left);
    b->n = end + 2 + left;
    return 0;
}

/* Every line of that name, as one. */
static int put_client(struct tg_buf *b, const struct tg_onward *o, const struct rule *r, bool begun)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o->client->n_headers; i++) {
        const struct tg_http_header *h = &o->client->headers[i];
        if (!h->value.n || !tg_str_ieq(h->name, r->name))
            continue;
        rc = begun ? join(b, h->name, h->value) : tg_h1_write_header(b, h->name, h->value);
        if (r->how != JOINED)
            return rc;
        begun = true;
    }
    return rc;
}

static int put_configured(struct tg_buf *b, const struct tg_onward *o)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o->n_configured; i++) {
        const struct tg_header_config *c = &o->configured[i];
        const struct rule *r = o->client ? rule_of(o, c->name) : NULL;
        rc = tg_h1_write_header(b, c->name, tg_secret_reveal(c->value));
        if (rc == 0 && r && r->how == JOINED)
            rc = put_client(b, o, r, true);
    }
    return rc;
}

int tg_headers_onward(struct tg_buf *b, const struct tg_onward *o)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < o->n_own; i++) {
        struct tg_str name = o->own[i].name;
        if (!is_configured(o, name) && !is_replaced(o, name))
            rc = tg_h1_write_header(b, name, o->own[i].value);
    }
    if (rc == 0)
        rc = put_configured(b, o);
    for (size_t i = 0; rc == 0 && o->client && i < TG_ARRAY_LEN(onward); i++) {
        const struct rule *r = &onward[i];
        bool wanted = r->how == INSTEAD ? is_own(o, r->name) && !o->fixed_version : true;
        if (wanted && goes_on(r, o) && !is_configured(o, r->name))
            rc = put_client(b, o, r, false);
    }
    return rc;
}

/* ---- betas ---- */

/* Beginnings of betas that say nothing of an answer by themselves: what they allow stands in the
 * body and is weighed there, or they are about Anthropic's accounts, or are usual by now. */
static bool is_said_elsewhere(struct tg_str beta)
{
    static const struct tg_str known[] = {
        TG_STR_INIT("advanced-tool-use-"),
        TG_STR_INIT("claude-code-"),
        TG_STR_INIT("code-execution-"),
        TG_STR_INIT("computer-use-"),
        TG_STR_INIT("context-management-"),
        TG_STR_INIT("effort-"),
        TG_STR_INIT("extended-cache-ttl-"),
        TG_STR_INIT("files-api-"),
        TG_STR_INIT("fine-grained-tool-streaming-"),
        TG_STR_INIT("mcp-client-"),
        TG_STR_INIT("message-batches-"),
        TG_STR_INIT("oauth-"),
        TG_STR_INIT("pdfs-"),
        TG_STR_INIT("prompt-caching-"),
        TG_STR_INIT("skills-"),
        TG_STR_INIT("structured-outputs-"),
        TG_STR_INIT("token-counting-"),
        TG_STR_INIT("web-fetch-"),
        TG_STR_INIT("web-search-"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(known); i++) {
        if (tg_str_istarts(beta, known[i]))
            return true;
    }
    return false;
}

/* A client's text on its way into a header. */
static bool is_beta(struct tg_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.';
        if (!plain)
            return false;
    }
    return s.n > 0 && s.n <= MAX_BETA_BYTES;
}

static void say_betas(struct tg_buf *b, struct tg_str list)
{
    struct tg_str beta;
    while (tg_str_split(&list, ',', &beta)) {
        beta = tg_str_trim(beta);
        if (!is_beta(beta) || is_said_elsewhere(beta))
            continue;
        tg_buf_str_add(b, b->n ? TG_STR(",anthropic-beta.") : TG_STR("anthropic-beta."));
        tg_buf_str_add(b, beta);
    }
}

struct tg_str tg_headers_lost_betas(struct tg_arena *a, const struct tg_http_head *client,
                                    enum tg_wire_format from, enum tg_wire_format to)
{
    struct tg_buf b;
    if (!client || !tg_wire_in(ANTHROPIC, from) || tg_wire_in(ANTHROPIC, to))
        return TG_STR("");
    tg_buf_init(&b, MAX_BETAS_BYTES);
    for (size_t i = 0; i < client->n_headers; i++) {
        if (tg_str_ieq(client->headers[i].name, TG_STR("anthropic-beta")))
            say_betas(&b, client->headers[i].value);
    }
    struct tg_str said = tg_buf_ok(&b) && b.n ? tg_arena_dup(a, tg_buf_str(&b)) : TG_STR("");
    tg_buf_fini(&b);
    return said.p ? said : TG_STR("");
}

/* ---- back to clients ---- */

/* Names, or beginnings of names before a '*'. Not here, and why: openai-organization,
 * openai-project and anthropic-organization-id name the operator's account, set-cookie and cf-ray
 * the provider's inside; x-request-id and request-id are the gateway's own here. */
static const struct tg_str returned[] = {
    TG_STR_INIT("anthropic-ratelimit-*"), TG_STR_INIT("anthropic-priority-*"),
    TG_STR_INIT("openai-model"),          TG_STR_INIT("openai-processing-ms"),
    TG_STR_INIT("openai-version"),        TG_STR_INIT("retry-after"),
    TG_STR_INIT("retry-after-ms"),        TG_STR_INIT("x-ratelimit-*"),
    TG_STR_INIT("x-should-retry"),
};

bool tg_headers_is_returned(struct tg_str name)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(returned); i++) {
        struct tg_str r = returned[i];
        bool open = tg_str_ends(r, TG_STR("*"));
        if (open ? tg_str_istarts(name, tg_str_first(r, r.n - 1)) : tg_str_ieq(name, r))
            return true;
    }
    return false;
}

/* Azure has both of the first; Anthropic the second, Google none, AWS the last. */
struct tg_str tg_headers_provider_id(const struct tg_http_head *head)
{
    static const struct tg_str names[] = {
        TG_STR_INIT("x-request-id"),
        TG_STR_INIT("request-id"),
        TG_STR_INIT("apim-request-id"),
        TG_STR_INIT("x-amzn-requestid"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(names); i++) {
        struct tg_str id = tg_http_head_get(head, names[i]);
        if (id.n)
            return id;
    }
    return tg_str_make(NULL, 0);
}
