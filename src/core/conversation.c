#include "core/conversation_priv.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#define MAX_KNOWN      64         /* other kept answers that an input refers to */
#define READ_ROOM      (2u << 20) /* beyond what a text's reading takes */
#define READ_FACTOR    5          /* of a text's size: json.h */
#define PREVIOUS_FIELD "previous_response_id"

enum phase {
    NEW,     /* nothing was asked */
    CHAIN,   /* the conversation is being loaded */
    KNOWN,   /* what else the input refers to */
    LOADED,  /* or nothing was to be loaded */
    KEEPING, /* the answer is on its way to the store */
    OVER,
};

struct tg_conversation {
    struct tg_store_wait wait;
    struct tg_exchange *x;
    enum phase phase;
    uint64_t since_ms;               /* loading began */
    bool keep;                       /* the answer is to be kept */
    struct tg_store_result *arrived; /* not looked at yet */
    struct tg_store_result *chain;   /* holds the history's memory */
    struct tg_store_result **known;  /* likewise, n_known of them */
    struct tg_str *references;
    size_t n_references, next_reference, n_known;
    struct tg_str pin;     /* target that alone can go on; "": any */
    struct tg_arena arena; /* the answer's, once it is there */
    bool has_answer;
    struct tg_kept_answer answer;
};

static void on_done(struct tg_store_wait *w, struct tg_store_result *r)
{
    struct tg_conversation *c = tg_container_of(w, struct tg_conversation, wait);
    c->arrived = r;
    tg_loop_wake(c->x->rt->loop, &c->x->task);
}

static uint32_t lifetime_ms(const struct tg_exchange *x)
{
    return x->rt->store ? x->epoch->snapshot->settings.store.responses_lifetime_ms : 0;
}

int tg_conversation_open(struct tg_exchange *x)
{
    struct tg_str *ids = NULL;
    size_t n = 0;
    const struct tg_keep_ops *ops = x->dialect->keep;
    if (ops && ops->references(tg_exchange_body_arena(x), &x->call, &ids, &n) < 0)
        return TG_E_NOMEM;
    bool keep = ops && x->call.store && lifetime_ms(x);
    if (!n && !keep && !x->call.previous_id.n)
        return 0;
    struct tg_conversation *c = tg_arena_new(tg_exchange_arena(x), struct tg_conversation);
    if (!c)
        return TG_E_NOMEM;
    tg_store_wait_init(&c->wait, on_done);
    c->x = x;
    c->keep = keep;
    c->references = ids;
    c->n_references = n < MAX_KNOWN ? n : MAX_KNOWN;
    x->out.conversation = c;
    return 0;
}

/* ---- loading ---- */

static int not_found(struct tg_str id, struct tg_fail *f)
{
    char quoted[120];
    return tg_fail_param(f, TG_E_PREVIOUS_RESPONSE, PREVIOUS_FIELD,
                         "Previous response with id '%s' not found.",
                         tg_fail_quote(id, quoted, sizeof quoted));
}

static int load_failed(const struct tg_store_result *r, struct tg_fail *f)
{
    if (r->err == TG_E_NOT_FOUND_INTERNAL)
        return not_found(r->missing, f);
    if (r->err == TG_E_FULL)
        return tg_fail_param(f, TG_E_INVALID_VALUE, PREVIOUS_FIELD, "%s", r->fail.message);
    return tg_fail_set(f, r->err, "the conversation could not be loaded");
}

/* Reading kept items takes memory beside the request's own. */
static void make_room(struct tg_exchange *x, size_t bytes)
{
    tg_exchange_body_arena(x)->max_bytes += bytes * READ_FACTOR;
}

/* Turns of one conversation: what was said, what was answered. */
static int take_chain(struct tg_exchange *x, struct tg_conversation *c)
{
    const struct tg_store_result *r = c->chain;
    const struct tg_store_response *last = &r->v[r->n - 1];
    if (last->pinned) {
        c->pin = last->target;
        return 0;
    }
    struct tg_str *items = tg_arena_array(tg_exchange_body_arena(x), 2 * r->n, sizeof *items);
    if (!items)
        return TG_E_NOMEM;
    for (size_t i = 0; i < r->n; i++) {
        items[2 * i] = r->v[i].input_items;
        items[2 * i + 1] = r->v[i].output;
        make_room(x, r->v[i].input_items.n + r->v[i].output.n);
    }
    x->call.history = items;
    x->call.n_history = 2 * r->n;
    return 0;
}

/* What is not kept (any more) is no failure here: the dialect knows what a reference without its
 * item means. */
static int take_known(struct tg_exchange *x, struct tg_conversation *c, struct tg_store_result *r)
{
    if (r->err == TG_E_NOT_FOUND_INTERNAL) {
        tg_store_result_free(r);
        return 0;
    }
    struct tg_arena *a = tg_exchange_body_arena(x);
    if (!c->known)
        c->known = tg_arena_array(a, c->n_references, sizeof(*c->known));
    if (!c->known) {
        tg_store_result_free(r);
        return TG_E_NOMEM;
    }
    c->known[c->n_known++] = r;
    return r->err;
}

static int finish_known(struct tg_exchange *x, struct tg_conversation *c)
{
    if (!c->n_known)
        return 0;
    struct tg_str *known = tg_arena_array(tg_exchange_body_arena(x), c->n_known, sizeof *known);
    if (!known)
        return TG_E_NOMEM;
    for (size_t i = 0; i < c->n_known; i++) {
        known[i] = c->known[i]->v->output;
        make_room(x, known[i].n);
    }
    x->call.known = known;
    x->call.n_known = c->n_known;
    return 0;
}

static int ask_failed(int rc, struct tg_fail *f)
{
    return tg_fail_set(f, rc, "%s",
                       rc == TG_E_FULL ? "too many requests wait for the gateway's database"
                                       : tg_err_info(rc)->text);
}

static int ask_chain(struct tg_exchange *x, struct tg_conversation *c, struct tg_fail *f)
{
    if (!x->call.previous_id.n)
        return 1;
    if (!lifetime_ms(x))
        return not_found(x->call.previous_id, f);
    int rc = tg_store_chain(x->rt->store, TG_STR(""), x->call.previous_id,
                            x->epoch->snapshot->settings.limits.max_body_bytes, &c->wait);
    return rc < 0 ? ask_failed(rc, f) : 0;
}

/* One after the other: there are few. */
static int ask_known(struct tg_exchange *x, struct tg_conversation *c, struct tg_fail *f)
{
    if (c->next_reference == c->n_references || !lifetime_ms(x))
        return finish_known(x, c) < 0 ? ask_failed(TG_E_NOMEM, f) : 1;
    int rc = tg_store_get(x->rt->store, TG_STR(""), c->references[c->next_reference++], &c->wait);
    return rc < 0 ? ask_failed(rc, f) : 0;
}

static int take(struct tg_exchange *x, struct tg_conversation *c, struct tg_fail *f)
{
    struct tg_store_result *r = c->arrived;
    int rc;
    c->arrived = NULL;
    if (c->phase == CHAIN) {
        c->chain = r;
        rc = r->err < 0 ? load_failed(r, f) : take_chain(x, c);
    } else {
        rc = take_known(x, c, r);
    }
    return rc < 0 ? tg_fail_set(f, rc, "%s", tg_err_info(rc)->text) : 0; /* the first text stays */
}

int tg_conversation_load(struct tg_exchange *x, struct tg_fail *f)
{
    struct tg_conversation *c = x->out.conversation;
    if (!c || c->phase == LOADED)
        return 1;
    uint64_t now_ms = tg_loop_now_ms(x->rt->loop);
    if (c->phase == NEW)
        c->since_ms = now_ms;
    if (tg_store_waiting(&c->wait) && now_ms - c->since_ms < TG_CONVERSATION_LOAD_MS)
        return 0;
    if (tg_store_waiting(&c->wait))
        return tg_fail_set(f, TG_E_STORE, "the gateway's database did not answer in time");
    int rc = c->arrived ? take(x, c, f) : 0;
    if (rc == 0 && c->phase == NEW) {
        c->phase = CHAIN;
        rc = ask_chain(x, c, f);
        if (rc == 0)
            return 0;
    }
    if (rc < 0)
        return rc;
    c->phase = KNOWN;
    rc = ask_known(x, c, f);
    if (rc == 1)
        c->phase = LOADED;
    return rc;
}

/* ---- routing ---- */

/* Whether a target can go on with what the target of that name has kept. */
static bool goes_on(const struct tg_snapshot *s, const struct tg_target *t, struct tg_str pin)
{
    if (tg_str_eq(t->name, pin))
        return true;
    for (size_t i = 0; i < s->n_targets; i++) {
        if (tg_str_eq(s->targets[i].name, pin))
            return tg_origin_same_account(&s->targets[i], t);
    }
    return false;
}

int tg_conversation_pin(struct tg_exchange *x, struct tg_fail *f)
{
    const struct tg_conversation *c = x->out.conversation;
    struct tg_route_plan *p = x->plan;
    char id[120], target[120], model[120];
    if (!c || !c->pin.n)
        return 0;
    uint16_t n = 0, n_healthy = 0;
    for (uint16_t i = 0; i < p->n; i++) {
        if (!goes_on(x->epoch->snapshot, &x->epoch->snapshot->targets[p->targets[i]], c->pin))
            continue;
        n_healthy += i < p->n_healthy;
        p->targets[n++] = p->targets[i];
    }
    if (n) {
        p->n = n;
        p->n_healthy = n_healthy;
        return 0;
    }
    return tg_fail_param(f, TG_E_PREVIOUS_RESPONSE, PREVIOUS_FIELD,
                         "the response '%s' is kept by the provider of '%s', which does not serve "
                         "the model '%s'",
                         tg_fail_quote(x->call.previous_id, id, sizeof id),
                         tg_fail_quote(c->pin, target, sizeof target),
                         tg_fail_quote(p->name, model, sizeof model));
}

/* ---- keeping ---- */

void tg_conversation_again(struct tg_exchange *x)
{
    if (x->out.conversation)
        x->out.conversation->has_answer = false;
}

bool tg_conversation_keeps(const struct tg_exchange *x)
{
    return x->out.conversation && x->out.conversation->keep;
}

static void not_kept(struct tg_exchange *x, const char *why)
{
    struct tg_buf *b = &x->rt->log;
    if (!tg_log_on(TG_LOG_WARNING))
        return;
    tg_log_begin(b, TG_LOG_WARNING, "response_not_kept");
    tg_log_str(b, "request_id", x->request_id);
    tg_log_cstr(b, "error", why);
    tg_log_end(b);
}

/* The answer outlives what it was read from. */
static bool take_answer(struct tg_exchange *x, int found, const struct tg_kept_answer *k)
{
    struct tg_conversation *c = x->out.conversation;
    if (found < 0)
        not_kept(x, tg_err_info(found)->text);
    if (found != 1)
        return false;
    struct tg_str copy = tg_arena_dup(&c->arena, k->response);
    c->answer = *k;
    c->answer.id = tg_arena_dup(&c->arena, k->id);
    c->answer.status = tg_arena_dup(&c->arena, k->status);
    c->answer.response = copy;
    c->has_answer = copy.p && c->answer.id.p && c->answer.status.p;
    if (c->has_answer)
        c->answer.output = tg_str_make(copy.p + (k->output.p - k->response.p), k->output.n);
    else
        not_kept(x, tg_err_info(TG_E_NOMEM)->text);
    return c->has_answer;
}

static void fresh_arena(struct tg_conversation *c, size_t bytes)
{
    tg_arena_fini(&c->arena);
    tg_arena_init(&c->arena, 4096, bytes * (READ_FACTOR + 2) + READ_ROOM);
}

bool tg_conversation_ends_with(struct tg_exchange *x, struct tg_str unit)
{
    struct tg_conversation *c = x->out.conversation;
    struct tg_kept_answer k;
    if (!c || !c->keep)
        return false;
    if (c->has_answer)
        return true;
    fresh_arena(c, unit.n);
    return take_answer(x, x->dialect->keep->passed(&c->arena, unit, x->call.stream, &k), &k);
}

bool tg_conversation_rendered(struct tg_exchange *x)
{
    struct tg_conversation *c = x->out.conversation;
    struct tg_kept_answer k;
    if (!c || !c->keep)
        return false;
    fresh_arena(c, x->epoch->snapshot->settings.upstream.max_response_bytes);
    return take_answer(x, x->dialect->keep->rendered(&c->arena, x->out.render_state, &k), &k);
}

static int put(struct tg_exchange *x, struct tg_conversation *c)
{
    struct tg_str input;
    int rc = x->dialect->keep->input(&c->arena, &x->call, &input);
    if (rc < 0)
        return rc;
    int64_t now = tg_clock_wall_us();
    struct tg_store_response r = {
        .id = c->answer.id,
        .owner = TG_STR(""),
        .model = x->plan->name,
        .target = x->epoch->snapshot->targets[x->last_target].name,
        .previous_id = x->call.previous_id,
        .status = c->answer.status,
        .input_items = input,
        .response = c->answer.response,
        .output = c->answer.output,
        .created_us = now,
        .expires_us = now + (int64_t)lifetime_ms(x) * 1000,
        .pinned = c->answer.at_provider && !x->out.translated,
    };
    return tg_store_put(x->rt->store, &r, &c->wait);
}

bool tg_conversation_keep(struct tg_exchange *x)
{
    struct tg_conversation *c = x->out.conversation;
    if (!c || !c->has_answer || c->phase != LOADED)
        return false;
    int rc = put(x, c);
    c->phase = rc < 0 ? OVER : KEEPING;
    if (rc < 0)
        not_kept(x, rc == TG_E_FULL ? "the database's queue is full" : tg_err_info(rc)->text);
    return rc == 0;
}

bool tg_conversation_kept(const struct tg_exchange *x)
{
    return !tg_store_waiting(&x->out.conversation->wait);
}

/* ---- the end ---- */

static void end_keeping(struct tg_exchange *x, struct tg_conversation *c)
{
    bool waits = tg_store_waiting(&c->wait);
    if (c->phase == KEEPING && waits)
        not_kept(x, "the database has not answered in time: it may be kept later");
    else if (c->phase == KEEPING && c->arrived && c->arrived->err < 0)
        not_kept(x, c->arrived->fail.message);
    tg_store_cancel(&c->wait);
}

void tg_conversation_fini(struct tg_exchange *x)
{
    struct tg_conversation *c = x->out.conversation;
    if (!c)
        return;
    end_keeping(x, c);
    tg_store_result_free(c->arrived);
    tg_store_result_free(c->chain);
    for (size_t i = 0; i < c->n_known; i++)
        tg_store_result_free(c->known[i]);
    tg_arena_fini(&c->arena);
    x->out.conversation = NULL;
}
