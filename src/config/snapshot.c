/* References and look-ups of finished snapshots. */
#include "config/snapshot.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "config/load_priv.h"

const struct tg_snapshot *tg_snapshot_ref(const struct tg_snapshot *s)
{
    int before = __atomic_fetch_add(&s->refs->count, 1, __ATOMIC_RELAXED);
    TG_REQUIRE(before > 0);
    return s;
}

void tg_snapshot_unref(const struct tg_snapshot *s)
{
    if (!s)
        return;
    struct tg_snapshot_refs *refs = s->refs;
    int before = __atomic_fetch_sub(&refs->count, 1, __ATOMIC_ACQ_REL);
    TG_REQUIRE(before > 0);
    if (before > 1)
        return;
    for (struct tg_conf_secret_node *n = refs->secrets; n; n = n->next)
        tg_secret_free(n->secret);
    tg_arena_fini(&refs->arena);
    tg_free(refs);
}

const char *tg_backend_kind_name(enum tg_backend_kind k)
{
    static const char *const names[] = {
        [TG_BACKEND_NONE] = "none",
#define TG_BACKEND(ID, name, adapters, ...) [TG_BACKEND_##ID] = #name,
#include "config/backends.def"
#undef TG_BACKEND
    };
    return (size_t)k < TG_ARRAY_LEN(names) ? names[k] : "none";
}

bool tg_backend_kind_is_http(enum tg_backend_kind k)
{
    return k != TG_BACKEND_NONE && k != TG_BACKEND_LOCAL && k != TG_BACKEND_MOCK;
}

const char *tg_provider_api_name(enum tg_provider_api a)
{
    static const char *const names[] = {
        [TG_API_DEFAULT] = "",
        [TG_API_CHAT] = "chat",
        [TG_API_RESPONSES] = "responses",
        [TG_API_MESSAGES] = "messages",
        [TG_API_GENERATE_CONTENT] = "generate_content",
        [TG_API_CONVERSE] = "converse",
        [TG_API_INVOKE] = "invoke",
        [TG_API_NATIVE] = "native",
    };
    return (size_t)a < TG_ARRAY_LEN(names) ? names[a] : "";
}

const char *tg_tier_name(enum tg_tier t)
{
    switch (t) {
    case TG_TIER_SMALL:
        return "small";
    case TG_TIER_MEDIUM:
        return "medium";
    case TG_TIER_LARGE:
        return "large";
    case TG_TIER_NONE:
        break;
    }
    return "";
}

static const struct tg_route *find_named(const struct tg_snapshot *s, enum tg_route_kind kind,
                                         struct tg_str name)
{
    size_t lo = s->route_start[kind], hi = s->route_start[kind + 1];
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = tg_str_cmp(name, s->routes[mid].name);
        if (order == 0)
            return &s->routes[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const struct tg_route *tg_snapshot_route(const struct tg_snapshot *s, struct tg_str name)
{
    const struct tg_route *r = NULL;
    for (int kind = TG_ROUTE_MODEL; kind <= TG_ROUTE_TIER && !r; kind++)
        r = find_named(s, (enum tg_route_kind)kind, name);
    size_t end = s->route_start[TG_ROUTE_WILDCARD + 1];
    for (size_t i = s->route_start[TG_ROUTE_WILDCARD]; i < end && !r && name.n; i++)
        if (tg_str_starts(name, s->routes[i].name))
            r = &s->routes[i];
    return r;
}

const struct tg_model *tg_snapshot_model(const struct tg_snapshot *s, struct tg_str name)
{
    const struct tg_route *r = find_named(s, TG_ROUTE_MODEL, name);
    return r ? &s->models[r->model] : NULL;
}
