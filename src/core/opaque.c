/* Opaque state in a conversation: thinking signatures, encrypted reasoning. It goes back to the
 * target that made it; another target gets the conversation without it. */
#include "base/err.h"
#include "chat/fidelity.h"
#include "core/affinity.h"
#include "core/exchange_priv.h"

#define OPAQUE_BITS (TG_FEATURE_BIT(SIGNED) | TG_FEATURE_BIT(ENCRYPTED) | TG_FEATURE_BIT(THOUGHT))

/* Any of these may be opaque state in some dialect; without them a body need not be parsed. */
static bool may_hold_opaque(struct tg_str body)
{
    static const struct tg_str marks[] = {
        TG_STR_INIT("ignature"), TG_STR_INIT("encrypted_content"), TG_STR_INIT("redacted_thinking"),
        TG_STR_INIT("__tgs_"),   TG_STR_INIT("reasoning_details"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(marks); i++) {
        if (memmem(body.p, body.n, marks[i].p, marks[i].n))
            return true;
    }
    return false;
}

static const struct tg_chat_req *parsed(struct tg_exchange *x)
{
    if (!x->req || x->dialect->task != TG_TASK_CHAT ||
        (!x->call.n_history && !x->call.n_known && !may_hold_opaque(tg_buf_str(&x->req->body))))
        return NULL;
    const struct tg_chat_req *chat = tg_fit_parse(x);
    return chat && x->ask.features & OPAQUE_BITS ? chat : NULL;
}

void tg_opaque_note(struct tg_exchange *x, const struct tg_event *ev)
{
    bool delta = ev->kind == TG_EV_DELTA && ev->delta_kind == TG_DELTA_SIGNATURE;
    struct tg_str s = delta ? ev->text : ev->signature;
    if (s.n && x->rt->affinity)
        tg_affinity_note(x->rt->affinity, s,
                         tg_affinity_origin(tg_attempt_target(x->attempt)->name));
}

static uint32_t origin_of(const struct tg_exchange *x, const struct tg_message *m)
{
    for (size_t i = 0; i < m->n_parts; i++) {
        struct tg_str s = m->parts[i].signature;
        uint32_t origin = s.n ? tg_affinity_find(x->rt->affinity, s) : 0;
        if (origin)
            return origin;
    }
    return 0;
}

void tg_opaque_pin(struct tg_exchange *x)
{
    if (!x->rt->affinity || tg_affinity_is_empty(x->rt->affinity))
        return;
    const struct tg_chat_req *chat = parsed(x);
    for (size_t i = chat ? chat->n_messages : 0; i-- > 0 && !x->ask.origin;) /* the newest counts */
        x->ask.origin = origin_of(x, &chat->messages[i]);
    for (uint16_t i = 0; x->ask.origin && i < x->plan->n; i++) {
        uint16_t id = x->plan->targets[i];
        if (tg_affinity_origin(x->epoch->snapshot->targets[id].name) != x->ask.origin)
            continue;
        bool healthy = i < x->plan->n_healthy;
        if (!healthy)
            return; /* others take it, without the state */
        memmove(&x->plan->targets[1], &x->plan->targets[0], i * sizeof x->plan->targets[0]);
        x->plan->targets[0] = id;
        return;
    }
}

bool tg_opaque_is_foreign(const struct tg_exchange *x, const struct tg_target *t)
{
    return x->ask.stripped || (x->ask.origin && tg_affinity_origin(t->name) != x->ask.origin);
}

/* ---- a conversation without it ---- */

static bool survives(const struct tg_part *p)
{
    return p->kind != TG_PART_REASONING || !p->signature.n;
}

static int strip_message(struct tg_arena *a, const struct tg_message *from, struct tg_message *to)
{
    *to = *from;
    to->n_parts = 0;
    to->parts = from->n_parts ? tg_arena_array(a, from->n_parts, sizeof *to->parts) : NULL;
    if (from->n_parts && !to->parts)
        return TG_E_NOMEM;
    for (size_t i = 0; i < from->n_parts; i++) {
        if (!survives(&from->parts[i]))
            continue;
        struct tg_part *p = &to->parts[to->n_parts++];
        *p = from->parts[i];
        if (p->signature.n) {
            p->signature = TG_STR("");
            p->opaque = TG_OPAQUE_NONE;
            p->raw = TG_STR(""); /* has it inside, as */
            p->extra.members = TG_STR("");
        }
    }
    return 0;
}

int tg_opaque_strip(struct tg_exchange *x, struct tg_fail *f)
{
    if (!(x->ask.features & OPAQUE_BITS))
        return 0;
    struct tg_arena *a = tg_exchange_body_arena(x);
    struct tg_chat_req *r = tg_arena_new(a, struct tg_chat_req);
    struct tg_message *m = tg_arena_array(a, x->fit.chat->n_messages + 1, sizeof *m);
    if (!r || !m)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    *r = *x->fit.chat;
    r->messages = m;
    r->n_messages = 0;
    for (size_t i = 0; i < x->fit.chat->n_messages; i++) {
        int rc = strip_message(a, &x->fit.chat->messages[i], &m[r->n_messages]);
        if (rc < 0)
            return tg_fail_set(f, rc, "not enough memory for the request");
        r->n_messages += m[r->n_messages].n_parts > 0 || !x->fit.chat->messages[i].n_parts;
    }
    x->fit.chat = r;
    x->fit.lost.dropped |= x->ask.features & OPAQUE_BITS;
    return 0;
}

/* ---- a provider that does not want it ---- */

static bool speaks_of_it(const char *message)
{
    static const char *const words[] = {"signature", "thinking", "encrypted_content",
                                        "encrypted content", "thought"};
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (strcasestr(message, words[i]))
            return true;
    }
    return false;
}

bool tg_opaque_was_refused(struct tg_exchange *x, const struct tg_fail *f)
{
    if (x->ask.stripped || x->ask.strict || f->source != TG_FAIL_PROVIDER ||
        f->provider_status != 400 || !speaks_of_it(f->message))
        return false;
    struct tg_fail kept = *f; /* parsing may use the scratch that f is in */
    bool has = parsed(x) != NULL;
    x->rt->scratch_fail = kept;
    return has;
}
