#include "io/connect_priv.h"

#include <arpa/inet.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/map.h"
#include "io/io_priv.h"

#define NAMES_MAX  1024
#define LOOKUP_MS  2000
#define GOOD_MS    30000
#define STALE_MS   600000
#define FAILURE_MS 1000

/* A name and what is known of it. */
struct name {
    struct tg_list link;    /* by use, oldest first */
    struct tg_list waiters; /* struct tg_resolve_wait */
    struct tg_timer timer;  /* the look-up takes too long */
    struct tg_resolver *resolver;
    struct lookup *lookup; /* in the pool; may outlive the timer */
    struct tg_addr *addrs; /* last good answer */
    unsigned n_addrs;
    bool failed;             /* the last look-up did */
    uint64_t good_until_ms;  /* of addrs */
    uint64_t stale_until_ms; /* of addrs, when look-ups fail */
    uint64_t fail_until_ms;
    const char *why;
    char host[RESOLVE_HOST_MAX + 1];
};

/* Lives as long as the pool works on it, whatever becomes of the name. */
struct lookup {
    uv_getaddrinfo_t req;
    struct tg_loop *loop;
    struct name *name; /* NULL: nobody cares any more */
};

struct tg_resolver {
    struct tg_loop *loop;
    struct tg_map names;
    struct tg_list by_use;
    int users;
};

/* ---- addresses ---- */

void tg_addr_set_port(struct tg_addr *a, uint16_t port)
{
    if (a->any.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

bool tg_addr_parse(const char *text, struct tg_addr *out)
{
    struct tg_addr a = {0};

    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1)
        a.v4.sin_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1)
        a.v6.sin6_family = AF_INET6;
    else
        return false;
    *out = a;
    return true;
}

static unsigned count_usable(const struct addrinfo *ai)
{
    unsigned n = 0;

    for (; ai && n < RESOLVE_ADDRS_MAX; ai = ai->ai_next)
        n += ai->ai_family == AF_INET || ai->ai_family == AF_INET6;
    return n;
}

static void copy_usable(const struct addrinfo *ai, struct tg_addr *out, unsigned n)
{
    for (unsigned i = 0; i < n; ai = ai->ai_next) {
        if (ai->ai_family == AF_INET)
            memcpy(&out[i++].v4, ai->ai_addr, sizeof out->v4);
        else if (ai->ai_family == AF_INET6)
            memcpy(&out[i++].v6, ai->ai_addr, sizeof out->v6);
    }
}

/* ---- answers ---- */

static void wake_waiters(struct name *e)
{
    struct tg_list *n;

    while ((n = tg_list_pop_head(&e->waiters)))
        tg_loop_wake(e->resolver->loop, tg_list_entry(n, struct tg_resolve_wait, link)->task);
}

static void note_failure(struct name *e, const char *why)
{
    e->failed = true;
    e->why = why;
    e->fail_until_ms = tg_loop_now_ms(e->resolver->loop) + FAILURE_MS;
    wake_waiters(e);
}

static void note_answer(struct name *e, const struct addrinfo *ai)
{
    uint64_t now = tg_loop_now_ms(e->resolver->loop);
    unsigned n = count_usable(ai);
    struct tg_addr *addrs = n ? tg_calloc(n, sizeof(*addrs)) : NULL;

    if (!addrs) {
        note_failure(e, n ? "out of memory" : "no address");
        return;
    }
    copy_usable(ai, addrs, n);
    tg_free(e->addrs);
    e->addrs = addrs;
    e->n_addrs = n;
    e->failed = false;
    e->fail_until_ms = 0;
    e->good_until_ms = now + GOOD_MS;
    e->stale_until_ms = now + STALE_MS;
    wake_waiters(e);
}

static const char *reason(int status)
{
    switch (status) {
    case UV_EAI_NONAME:
    case UV_EAI_NODATA:
        return "no such name";
    case UV_EAI_AGAIN:
        return "the name server does not answer";
    case UV_EINVAL:
        return "not a valid name";
    default:
        return uv_strerror(status);
    }
}

static void on_addrinfo(uv_getaddrinfo_t *req, int status, struct addrinfo *ai)
{
    struct lookup *l = tg_container_of(req, struct lookup, req);
    struct name *e = l->name;

    loop_enter(l->loop);
    if (e) {
        tg_timer_stop(e->resolver->loop, &e->timer);
        e->lookup = NULL;
        if (status == 0)
            note_answer(e, ai);
        else
            note_failure(e, reason(status));
    }
    uv_freeaddrinfo(ai);
    tg_free(l);
}

static void on_slow(struct tg_timer *t)
{
    /* The look-up goes on; its answer, should one come, still counts. */
    note_failure(tg_container_of(t, struct name, timer), "the name server does not answer");
}

/* ---- look-ups ---- */

static void forget(struct name *e)
{
    struct tg_resolver *r = e->resolver;

    if (e->lookup) {
        e->lookup->name = NULL;
        uv_cancel((uv_req_t *)&e->lookup->req); /* its callback comes in any case */
    }
    tg_timer_stop(r->loop, &e->timer);
    tg_map_del(&r->names, tg_str_c(e->host));
    tg_list_del(&e->link);
    tg_free(e->addrs);
    tg_free(e);
}

static bool make_room(struct tg_resolver *r)
{
    if (r->names.count < NAMES_MAX)
        return true;
    tg_list_each (it, &r->by_use) {
        struct name *e = tg_list_entry(it, struct name, link);
        if (tg_list_empty(&e->waiters)) {
            forget(e);
            return true;
        }
    }
    return false;
}

static struct name *find_name(struct tg_resolver *r, const char *host)
{
    struct name *e = tg_map_get(&r->names, tg_str_c(host));

    if (e) {
        tg_list_del(&e->link);
        tg_list_add_tail(&r->by_use, &e->link);
        return e;
    }
    if (!make_room(r))
        return NULL;
    e = tg_calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    tg_str_to_c(tg_str_c(host), e->host, sizeof e->host);
    if (tg_map_put(&r->names, tg_str_c(e->host), e) < 0) {
        tg_free(e);
        return NULL;
    }
    e->resolver = r;
    tg_list_init(&e->waiters);
    tg_timer_init(&e->timer, on_slow);
    tg_list_add_tail(&r->by_use, &e->link);
    return e;
}

static int start_lookup(struct name *e)
{
    static const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct tg_loop *loop = e->resolver->loop;

    if (!e->lookup) {
        struct lookup *l = tg_calloc(1, sizeof(*l));
        if (!l)
            return TG_E_NOMEM;
        l->loop = loop;
        l->name = e;
        int rc = uv_getaddrinfo(&loop->uv, &l->req, on_addrinfo, e->host, NULL, &hints);
        if (rc < 0) {
            tg_free(l);
            note_failure(e, reason(rc));
            return rc == UV_ENOMEM ? TG_E_NOMEM : TG_E_UPSTREAM_DNS;
        }
        e->lookup = l;
    }
    if (!tg_timer_active(&e->timer))
        tg_timer_start(loop, &e->timer, LOOKUP_MS);
    return 0;
}

static int give(const struct name *e, struct tg_addr *out)
{
    memcpy(out, e->addrs, e->n_addrs * sizeof(*out));
    return (int)e->n_addrs;
}

int tg_resolver_ask(struct tg_resolver *r, const char *host, struct tg_resolve_wait *wait,
                    struct tg_addr *out, const char **out_why)
{
    struct name *e = find_name(r, host);

    if (!e)
        return TG_E_NOMEM;
    uint64_t now = tg_loop_now_ms(r->loop);
    bool good = e->n_addrs && now < e->good_until_ms;
    bool stale = e->n_addrs && e->failed && now < e->stale_until_ms;
    bool fresh_failure = e->failed && now < e->fail_until_ms;
    if (!good && !fresh_failure) {
        int rc = start_lookup(e);
        if (rc == TG_E_NOMEM && !stale)
            return rc;
        fresh_failure = rc < 0;
    }
    /* Once look-ups fail nobody waits for the next while there is an old answer. */
    if (good || stale)
        return give(e, out);
    if (fresh_failure) {
        *out_why = e->why;
        return TG_E_UPSTREAM_DNS;
    }
    tg_list_add_tail(&e->waiters, &wait->link);
    return TG_E_AGAIN;
}

/* ---- life ---- */

int tg_resolver_new(struct tg_loop *loop, struct tg_resolver **out)
{
    struct tg_resolver *r = tg_calloc(1, sizeof(*r));

    if (!r)
        return TG_E_NOMEM;
    r->loop = loop;
    tg_map_init(&r->names, NAMES_MAX);
    tg_list_init(&r->by_use);
    *out = r;
    return 0;
}

void tg_resolver_free(struct tg_resolver *r)
{
    TG_REQUIRE(r->users == 0);
    while (!tg_list_empty(&r->by_use))
        forget(tg_list_entry(r->by_use.next, struct name, link));
    tg_map_fini(&r->names);
    tg_free(r);
}

struct tg_loop *tg_resolver_loop(struct tg_resolver *r)
{
    return r->loop;
}

void tg_resolver_use(struct tg_resolver *r, int by)
{
    r->users += by;
}
