/* Who made which piece of opaque state. Memory knows the newest (affinity.h); the store, where
 * there is one, knows them as long as it keeps answers, so that a conversation outlives a restart
 * and other processes of the same database know it, too. There a piece is found by its digest,
 * under an owner that no client is; what is kept is the target's name. */
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/secret.h"
#include "core/affinity.h"
#include "core/exchange_priv.h"

#define OWNER     TG_STR(":opaque")
#define LOOKUP_MS 500 /* the longest that a request waits to hear where it belongs */
#define KEY_BYTES 16  /* of the digest */

struct tg_origin_wait {
    struct tg_store_wait wait;
    struct tg_exchange *x;
    struct tg_str opaque;
    struct tg_store_result *result;
};

/* ---- accounts ---- */

static bool same_secret(const struct tg_secret *a, const struct tg_secret *b)
{
    if (!a || !b)
        return a == b;
    return tg_str_eq(tg_secret_reveal(a), tg_secret_reveal(b));
}

bool tg_origin_same_account(const struct tg_target *a, const struct tg_target *b)
{
    const struct tg_provider_config *p = &a->provider, *q = &b->provider;
    return a->kind == b->kind && tg_str_eq(a->url.text, b->url.text) &&
           same_secret(a->api_key, b->api_key) && !a->n_headers && !b->n_headers &&
           p->credential.source == q->credential.source &&
           tg_str_eq(p->credential.file, q->credential.file) &&
           tg_str_eq(p->credential.command, q->credential.command) &&
           tg_str_eq(p->region, q->region) && tg_str_eq(p->project, q->project);
}

bool tg_origin_goes_on(const struct tg_snapshot *s, const struct tg_target *t, uint32_t origin)
{
    if (tg_affinity_origin(t->name) == origin)
        return true;
    for (size_t i = 0; i < s->n_targets; i++) {
        if (tg_affinity_origin(s->targets[i].name) == origin)
            return tg_origin_same_account(&s->targets[i], t);
    }
    return false;
}

/* ---- noting ---- */

static bool key_of(struct tg_str opaque, char out[2 * KEY_BYTES + 1])
{
    unsigned char digest[TG_SHA256_BYTES];
    if (tg_sha256(opaque, digest) < 0)
        return false;
    tg_hex(digest, KEY_BYTES, out);
    return true;
}

/* Where there is but one target, it is the one. */
bool tg_origin_is_kept(const struct tg_exchange *x)
{
    const struct tg_snapshot *s = x->epoch->snapshot;
    return x->rt->store && s->settings.store.responses_lifetime_ms && s->n_targets > 1;
}

static void keep(struct tg_exchange *x, struct tg_str opaque, struct tg_str target)
{
    char key[2 * KEY_BYTES + 1];
    int64_t now = tg_clock_wall_us();
    if (!key_of(opaque, key))
        return;
    struct tg_store_response r = {
        .id = tg_str_c(key),
        .owner = OWNER,
        .model = TG_STR(""),
        .target = target,
        .previous_id = TG_STR(""),
        .status = TG_STR(""),
        .input_items = TG_STR("[]"),
        .response = TG_STR("{}"),
        .created_us = now,
        .expires_us =
            now + (int64_t)x->epoch->snapshot->settings.store.responses_lifetime_ms * 1000,
    };
    if (tg_store_put(x->rt->store, &r, NULL) < 0)
        return; /* memory knows it, and the store counts what it refuses */
}

void tg_origin_note(struct tg_exchange *x, struct tg_str opaque)
{
    struct tg_str name = tg_attempt_target(x->attempt)->name;
    uint32_t origin = tg_affinity_origin(name);
    if (!x->rt->affinity || tg_affinity_find(x->rt->affinity, opaque) == origin)
        return;
    tg_affinity_note(x->rt->affinity, opaque, origin);
    if (tg_origin_is_kept(x))
        keep(x, opaque, name);
}

uint32_t tg_origin_known(const struct tg_exchange *x, struct tg_str opaque)
{
    return x->rt->affinity ? tg_affinity_find(x->rt->affinity, opaque) : 0;
}

/* ---- asking ---- */

static void on_done(struct tg_store_wait *w, struct tg_store_result *r)
{
    struct tg_origin_wait *o = tg_container_of(w, struct tg_origin_wait, wait);
    o->result = r;
    tg_loop_wake(o->x->rt->loop, &o->x->task);
}

bool tg_origin_ask(struct tg_exchange *x, struct tg_str opaque)
{
    char key[2 * KEY_BYTES + 1];
    struct tg_origin_wait *o =
        tg_origin_is_kept(x) ? tg_arena_new(tg_exchange_arena(x), struct tg_origin_wait) : NULL;
    if (!o || !key_of(opaque, key))
        return false;
    tg_store_wait_init(&o->wait, on_done);
    o->x = x;
    o->opaque = opaque;
    if (tg_store_get(x->rt->store, OWNER, tg_str_c(key), &o->wait) < 0)
        return false;
    x->ask.lookup = o;
    tg_timer_start(x->rt->loop, &x->timer, LOOKUP_MS);
    return true;
}

bool tg_origin_answered(struct tg_exchange *x)
{
    struct tg_origin_wait *o = x->ask.lookup;
    if (tg_store_waiting(&o->wait) && tg_timer_active(&x->timer))
        return false;
    tg_timer_stop(x->rt->loop, &x->timer);
    tg_store_cancel(&o->wait);
    if (!o->result || o->result->err < 0)
        return true;
    x->ask.origin = tg_affinity_origin(o->result->v->target);
    if (x->rt->affinity)
        tg_affinity_note(x->rt->affinity, o->opaque, x->ask.origin);
    return true;
}

void tg_origin_fini(struct tg_exchange *x)
{
    if (!x->ask.lookup)
        return;
    tg_store_cancel(&x->ask.lookup->wait);
    tg_store_result_free(x->ask.lookup->result);
    x->ask.lookup = NULL;
}
