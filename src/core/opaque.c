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
        TG_STR_INIT("__tgs_"),   TG_STR_INIT("reasoning_details"), TG_STR_INIT("\"rs_"),
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(marks); i++) {
        if (memmem(body.p, body.n, marks[i].p, marks[i].n))
            return true;
    }
    return false;
}

static uint64_t opaque_bits(const struct tg_exchange *x, const struct tg_chat_req *chat)
{
    bool by_id = chat->wire == TG_WIRE_OPENAI_RESPONSES;
    return x->ask.features & (by_id ? OPAQUE_BITS | TG_FEATURE_BIT(REASONING) : OPAQUE_BITS);
}

static const struct tg_chat_req *parsed(struct tg_exchange *x)
{
    if (!x->req || x->dialect->task != TG_TASK_CHAT ||
        (!x->call.n_history && !x->call.n_known && !may_hold_opaque(tg_buf_str(&x->req->body))))
        return NULL;
    const struct tg_chat_req *chat = tg_fit_parse(x);
    return chat && opaque_bits(x, chat) ? chat : NULL;
}

/* Reasoning that the provider itself keeps is known by its id. */
static bool is_reference(const struct tg_chat_req *chat, const struct tg_part *p)
{
    return p->kind == TG_PART_REASONING && p->call_id.n && chat->wire == TG_WIRE_OPENAI_RESPONSES;
}

void tg_opaque_note(struct tg_exchange *x, const struct tg_event *ev)
{
    bool delta = ev->kind == TG_EV_DELTA && ev->delta_kind == TG_DELTA_SIGNATURE;
    struct tg_str s = delta ? ev->text : ev->signature;
    if (ev->kind == TG_EV_PART_START && ev->part_kind == TG_PART_REASONING)
        s = ev->id;
    if (s.n)
        tg_origin_note(x, s);
}

/* The maker of the newest piece that memory knows; 0: of none. *out_newest: the newest of all. */
static uint32_t origin_of(const struct tg_exchange *x, const struct tg_chat_req *chat,
                          struct tg_str *out_newest)
{
    for (size_t i = chat->n_messages; i-- > 0;) {
        const struct tg_message *m = &chat->messages[i];
        for (size_t k = m->n_parts; k-- > 0;) {
            const struct tg_part *p = &m->parts[k];
            struct tg_str s = !p->signature.n && is_reference(chat, p) ? p->call_id : p->signature;
            uint32_t origin = s.n ? tg_origin_known(x, s) : 0;
            if (origin)
                return origin;
            if (s.n && !out_newest->n)
                *out_newest = s;
        }
    }
    return 0;
}

bool tg_opaque_find(struct tg_exchange *x)
{
    struct tg_str newest = TG_STR("");
    if (x->ask.lookup)
        return tg_origin_answered(x);
    if (!x->rt->affinity || (tg_affinity_is_empty(x->rt->affinity) && !tg_origin_is_kept(x)))
        return true;
    const struct tg_chat_req *chat = parsed(x);
    if (chat)
        x->ask.origin = origin_of(x, chat, &newest);
    return !newest.n || x->ask.origin || !tg_origin_ask(x, newest);
}

/* Of the healthy ones; when there is none, others take the conversation, without the state. */
void tg_opaque_pin(struct tg_exchange *x)
{
    const struct tg_snapshot *s = x->epoch->snapshot;
    uint16_t best = x->plan->n;
    for (uint16_t i = 0; x->ask.origin && i < x->plan->n_healthy; i++) {
        const struct tg_target *t = &s->targets[x->plan->targets[i]];
        bool own = tg_affinity_origin(t->name) == x->ask.origin;
        if (own || (best == x->plan->n && tg_origin_goes_on(s, t, x->ask.origin)))
            best = i;
        if (own)
            break;
    }
    if (best == x->plan->n)
        return;
    uint16_t id = x->plan->targets[best];
    memmove(&x->plan->targets[1], &x->plan->targets[0], best * sizeof x->plan->targets[0]);
    x->plan->targets[0] = id;
}

bool tg_opaque_is_foreign(const struct tg_exchange *x, const struct tg_target *t)
{
    return x->ask.stripped ||
           (x->ask.origin && !tg_origin_goes_on(x->epoch->snapshot, t, x->ask.origin));
}

/* ---- a conversation without it ---- */

static bool survives(const struct tg_chat_req *chat, const struct tg_part *p)
{
    return p->kind != TG_PART_REASONING || (!p->signature.n && !is_reference(chat, p));
}

static int strip_message(struct tg_arena *a, const struct tg_chat_req *chat,
                         const struct tg_message *from, struct tg_message *to)
{
    *to = *from;
    to->n_parts = 0;
    to->parts = from->n_parts ? tg_arena_array(a, from->n_parts, sizeof *to->parts) : NULL;
    if (from->n_parts && !to->parts)
        return TG_E_NOMEM;
    for (size_t i = 0; i < from->n_parts; i++) {
        if (!survives(chat, &from->parts[i]))
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

static const struct tg_target *next_target(const struct tg_exchange *x)
{
    return &x->epoch->snapshot->targets[x->plan->targets[x->next_target]];
}

static bool is_strict(const struct tg_exchange *x)
{
    return x->ask.strict || next_target(x)->provider.strict;
}

/* Strict mode: what would be lost is said, and why it would be. */
static TG_COLD int refuse_strictly(const struct tg_exchange *x, struct tg_fail *f)
{
    const struct tg_snapshot *s = x->epoch->snapshot;
    const char *name = tg_feature_name((enum tg_feature)__builtin_ctzll(opaque_bits(x, x->chat)));
    char maker[100], next[100];
    struct tg_str made_by = TG_STR("");
    for (size_t i = 0; i < s->n_targets && !made_by.n; i++) {
        if (tg_affinity_origin(s->targets[i].name) == x->ask.origin)
            made_by = s->targets[i].name;
    }
    return tg_fail_param(
        f, TG_E_UNSUPPORTED_PARAMETER, name,
        "strict mode: '%s' of this conversation was made by %s%s, which can't go on with it now, "
        "and %s can't read it",
        name, made_by.n ? "the model " : "a model that is not configured any more",
        made_by.n ? tg_fail_quote(made_by, maker, sizeof maker) : "",
        tg_fail_quote(next_target(x)->name, next, sizeof next));
}

int tg_opaque_strip(struct tg_exchange *x, struct tg_fail *f)
{
    if (!opaque_bits(x, x->chat))
        return 0;
    if (is_strict(x))
        return refuse_strictly(x, f);
    struct tg_arena *a = tg_exchange_body_arena(x);
    struct tg_chat_req *r = tg_arena_new(a, struct tg_chat_req);
    struct tg_message *m = tg_arena_array(a, x->fit.chat->n_messages + 1, sizeof *m);
    if (!r || !m)
        return tg_fail_set(f, TG_E_NOMEM, "not enough memory for the request");
    *r = *x->fit.chat;
    r->messages = m;
    r->n_messages = 0;
    for (size_t i = 0; i < x->fit.chat->n_messages; i++) {
        int rc = strip_message(a, x->chat, &x->fit.chat->messages[i], &m[r->n_messages]);
        if (rc < 0)
            return tg_fail_set(f, rc, "not enough memory for the request");
        r->n_messages += m[r->n_messages].n_parts > 0 || !x->fit.chat->messages[i].n_parts;
    }
    x->fit.chat = r;
    x->fit.lost.dropped |= opaque_bits(x, x->chat);
    return 0;
}

/* ---- a provider that does not want it ---- */

static bool speaks_of_it(const char *message)
{
    static const char *const words[] = {"signature",         "thinking", "encrypted_content",
                                        "encrypted content", "thought",  "'rs_"};
    for (size_t i = 0; i < TG_ARRAY_LEN(words); i++) {
        if (strcasestr(message, words[i]))
            return true;
    }
    return false;
}

bool tg_opaque_was_refused(struct tg_exchange *x, const struct tg_fail *f)
{
    if (x->ask.stripped || x->ask.strict || f->source != TG_FAIL_PROVIDER ||
        (f->provider_status != 400 && f->provider_status != 404) || !speaks_of_it(f->message))
        return false;
    struct tg_fail kept = *f; /* parsing may use the scratch that f is in */
    bool has = parsed(x) != NULL;
    x->rt->scratch_fail = kept;
    return has;
}
