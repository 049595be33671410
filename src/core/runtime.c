#include "core/runtime.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/secret.h"
#include "core/credential.h"
#include "core/exchange_priv.h"
#include "io/tls.h"
#include "policy/route.h"
#include "wire/url.h"

/* A client TLS context for one CA file, shared by the targets that name it. */
struct tls_entry {
    struct tg_list link;
    char *ca_file;
    struct tg_tls_ctx *ctx;
};

const struct tg_dialect *tg_registry_find(const struct tg_registry *r, struct tg_str path,
                                          size_t from, const struct tg_endpoint **out_endpoint,
                                          size_t *out_index)
{
    for (size_t i = from; i < r->n_dialects; i++) {
        const struct tg_dialect *d = r->dialects[i];
        for (size_t e = 0; e < d->n_endpoints; e++) {
            struct tg_str model;
            if (!tg_endpoint_match(&d->endpoints[e], path, &model))
                continue;
            *out_endpoint = &d->endpoints[e];
            *out_index = i;
            return d;
        }
    }
    return NULL;
}

/* ---- epochs ---- */

static size_t bitmap_words(const struct tg_snapshot *s)
{
    return (s->n_targets + 63) / 64 + 1;
}

static struct tg_epoch *epoch_new(const struct tg_snapshot *s)
{
    struct tg_epoch *e = tg_calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->open_breakers = tg_calloc(bitmap_words(s), sizeof *e->open_breakers);
    e->targets = tg_calloc(s->n_targets + 1, sizeof *e->targets);
    if (!e->open_breakers || !e->targets) {
        tg_free(e->open_breakers);
        tg_free(e->targets);
        tg_free(e);
        return NULL;
    }
    e->refs = 1;
    e->snapshot = tg_snapshot_ref(s);
    return e;
}

struct tg_epoch *tg_epoch_ref(struct tg_epoch *e)
{
    e->refs++;
    return e;
}

void tg_epoch_unref(struct tg_runtime *rt TG_UNUSED, struct tg_epoch *e)
{
    if (!e || --e->refs)
        return;
    for (size_t i = 0; i < e->snapshot->n_targets; i++)
        tg_credential_unref(e->targets[i].credential);
    tg_snapshot_unref(e->snapshot);
    tg_free(e->open_breakers);
    tg_free(e->targets);
    tg_free(e);
}

static void carry_breakers(const struct tg_epoch *from, struct tg_epoch *to)
{
    for (size_t i = 0; i < to->snapshot->n_targets; i++) {
        for (size_t j = 0; j < from->snapshot->n_targets; j++) {
            if (!tg_str_eq(to->snapshot->targets[i].name, from->snapshot->targets[j].name))
                continue;
            to->targets[i].breaker = from->targets[j].breaker;
            if (from->open_breakers[j / 64] & (1ull << (j % 64)))
                to->open_breakers[i / 64] |= 1ull << (i % 64);
            break;
        }
    }
}

int tg_runtime_reload(struct tg_runtime *rt, const struct tg_snapshot *s)
{
    struct tg_epoch *e = epoch_new(s);
    if (!e)
        return TG_E_NOMEM;
    if (rt->epoch)
        carry_breakers(rt->epoch, e);
    if (rt->epoch)
        tg_credential_carry(rt->epoch, e);
    tg_epoch_unref(rt, rt->epoch);
    rt->epoch = e;
    uint32_t workers = s->settings.server.workers ? s->settings.server.workers : 1;
    uint32_t max = s->settings.server.max_active_requests;
    rt->max_active = max ? (max + workers - 1) / workers : 0;
    return 0;
}

const struct tg_model *tg_epoch_model(const struct tg_epoch *e, struct tg_str name,
                                      struct tg_fail *fail)
{
    struct tg_route_plan plan;
    /* A configured model is shown even when it cannot be used at the moment. */
    const struct tg_model *m = tg_snapshot_model(e->snapshot, name);
    if (m)
        return m;
    return tg_route_find(e->snapshot, name, NULL, &plan, fail) == 0 ? plan.model : NULL;
}

const char *tg_epoch_circuit(const struct tg_epoch *e, size_t target, int *out_number)
{
    enum tg_breaker_state s = e->targets[target].breaker.state;
    *out_number = (int)s;
    return tg_breaker_state_name(s);
}

/* ---- TLS and origins ---- */

static int client_tls(struct tg_runtime *rt, struct tg_str ca_file, struct tg_tls_ctx **out,
                      struct tg_fail *fail)
{
    tg_list_each (it, &rt->tls_ctxs) {
        struct tls_entry *t = tg_list_entry(it, struct tls_entry, link);
        if (tg_str_eq(tg_str_c(t->ca_file), ca_file)) {
            *out = t->ctx;
            return 0;
        }
    }
    struct tls_entry *t = tg_calloc(1, sizeof *t);
    if (!t)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    t->ca_file = tg_str_dup_c(ca_file);
    int rc = t->ca_file ? tg_tls_client_new(ca_file.n ? t->ca_file : NULL, &t->ctx, fail)
                        : tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    if (rc < 0) {
        tg_free(t->ca_file);
        tg_free(t);
        return rc;
    }
    tg_list_init(&t->link);
    tg_list_add_tail(&rt->tls_ctxs, &t->link);
    *out = t->ctx;
    return 0;
}

static int proxy_auth(struct tg_arena *a, const struct tg_proxy_config *p, struct tg_str *out)
{
    *out = TG_STR("");
    if (!p->userinfo)
        return 0;
    struct tg_str b64 = tg_base64(a, tg_secret_reveal(p->userinfo));
    *out = tg_arena_printf(a, "Basic %.*s", TG_STR_ARG(b64));
    return a->overflow ? TG_E_NOMEM : 0;
}

int tg_runtime_origin(struct tg_runtime *rt, const struct tg_target *t,
                      const struct tg_config_url *url, struct tg_http_origin **out,
                      struct tg_fail *fail)
{
    struct tg_arena tmp;
    tg_arena_init(&tmp, 512, 65536);
    struct tg_http_origin_opts o = {
        .host = url->host,
        .port = url->port,
        .https = url->https,
        .proxy_host = t->proxy.host,
        .proxy_port = t->proxy.port,
        .max_conns = t->upstream.max_connections,
        .max_connecting = t->upstream.max_handshakes,
    };
    int rc = o.https ? client_tls(rt, t->upstream.ca_file, &o.tls, fail) : 0;
    if (rc == 0)
        rc = proxy_auth(&tmp, &t->proxy, &o.proxy_auth);
    if (rc == 0)
        rc = tg_http_origin_get(rt->http, &o, out);
    if (tmp.held_bytes && o.proxy_auth.n)
        tg_secret_wipe((void *)(uintptr_t)o.proxy_auth.p, o.proxy_auth.n);
    tg_arena_fini(&tmp);
    return rc < 0 ? tg_fail_set(fail, rc, "cannot reach %.*s", TG_STR_ARG(t->name)) : 0;
}

int tg_epoch_origin(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                    struct tg_http_origin **out, struct tg_fail *fail)
{
    struct tg_target_state *st = &e->targets[target];
    const struct tg_target *t = &e->snapshot->targets[target];
    int rc = st->origin ? 0 : tg_runtime_origin(rt, t, &t->url, &st->origin, fail);
    if (rc == 0)
        *out = st->origin;
    return rc;
}

/* ---- the runtime ---- */

int tg_runtime_new(const struct tg_runtime_opts *opts, struct tg_runtime **out)
{
    struct tg_runtime *rt = tg_calloc(1, sizeof *rt);
    if (!rt)
        return TG_E_NOMEM;
    rt->loop = opts->loop;
    rt->http = opts->http;
    rt->registry = opts->registry;
    rt->affinity = opts->affinity;
    rt->worker = opts->worker;
    tg_list_init(&rt->exchanges);
    for (size_t i = 0; i < TG_RUNTIME_ATTEMPT_BUCKETS; i++)
        tg_list_init(&rt->attempts[i]);
    tg_list_init(&rt->tls_ctxs);
    tg_buf_init(&rt->scratch, 96u << 20);
    tg_buf_init(&rt->log, 64u << 10);
    tg_retry_budget_init(&rt->retry_budget);
    rt->trace = tg_calloc(1, sizeof *rt->trace);
    if (!rt->trace || tg_metrics_new(&rt->metrics) < 0 ||
        tg_runtime_reload(rt, opts->snapshot) < 0) {
        tg_runtime_free(rt);
        return TG_E_NOMEM;
    }
    *out = rt;
    return 0;
}

void tg_runtime_free(struct tg_runtime *rt)
{
    if (!rt)
        return;
    TG_REQUIRE(tg_list_empty(&rt->exchanges) && rt->n_attempts == 0);
    tg_epoch_unref(rt, rt->epoch);
    for (struct tg_list *it; (it = tg_list_pop_head(&rt->tls_ctxs));) {
        struct tls_entry *t = tg_list_entry(it, struct tls_entry, link);
        tg_tls_unref(t->ctx);
        tg_free(t->ca_file);
        tg_free(t);
    }
    tg_metrics_free(rt->metrics);
    tg_free(rt->trace);
    tg_buf_fini(&rt->scratch);
    tg_buf_fini(&rt->log);
    tg_free(rt);
}

void tg_runtime_set_backend(struct tg_runtime *rt, enum tg_backend_kind kind,
                            const struct tg_backend_ops *ops, void *ctx,
                            const struct tg_adapter *const *adapters)
{
    TG_REQUIRE(kind > TG_BACKEND_NONE && kind < TG_BACKEND_COUNT);
    rt->backends[kind] = (struct tg_backend_slot){.ops = ops, .ctx = ctx, .adapters = adapters};
}

/* The format of a provider's API, as adapters name theirs. */
static bool speaks(const struct tg_adapter *ad, enum tg_provider_api api)
{
    switch (api) {
    case TG_API_DEFAULT:
        return true;
    case TG_API_CHAT:
        return ad->api == TG_WIRE_OPENAI_CHAT || ad->api == TG_WIRE_OLLAMA_CHAT ||
               ad->api == TG_WIRE_COHERE_CHAT;
    case TG_API_RESPONSES:
        return ad->api == TG_WIRE_OPENAI_RESPONSES;
    case TG_API_MESSAGES:
    case TG_API_INVOKE:
        return ad->api == TG_WIRE_ANTHROPIC_MESSAGES;
    case TG_API_GENERATE_CONTENT:
        return ad->api == TG_WIRE_GEMINI_GENERATE;
    case TG_API_CONVERSE:
        return ad->api == TG_WIRE_BEDROCK_CONVERSE;
    case TG_API_NATIVE:
        return ad->api == TG_WIRE_HF_GENERATE;
    }
    TG_UNREACHABLE();
}

const struct tg_adapter *tg_runtime_adapter(const struct tg_runtime *rt, const struct tg_target *t,
                                            struct tg_str model)
{
    const struct tg_adapter *const *list = rt->backends[t->kind].adapters;
    enum tg_provider_api api = t->provider.api;
    if (!list)
        return NULL;
    if (t->kind == TG_BACKEND_VERTEX && api == TG_API_DEFAULT)
        api = tg_str_starts(tg_route_upstream_name(t, model), TG_STR("claude"))
                  ? TG_API_MESSAGES
                  : TG_API_GENERATE_CONTENT;
    for (size_t i = 0; list[i]; i++) {
        if (speaks(list[i], api))
            return list[i];
    }
    return list[0];
}

void tg_runtime_abort_all(struct tg_runtime *rt)
{
    rt->draining = true;
    tg_list_each (it, &rt->exchanges)
        tg_exchange_abort(tg_list_entry(it, struct tg_exchange, link));
}
