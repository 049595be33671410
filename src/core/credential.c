#include "core/credential.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "core/credential_priv.h"

enum {
    LOOK_AT_FILE_MS = 1000,
    FORCE_GAP_MS = 10 * 1000, /* between renewals that a 401 forces */
    FIRST_RETRY_MS = 1000,    /* after a failure; doubles */
    MAX_RETRY_MS = 60 * 1000,
};

/* ---- waiters ---- */

void tg_credential_waiter_init(struct tg_credential_waiter *w, struct tg_task *task)
{
    tg_list_init(&w->link);
    w->task = task;
}

void tg_credential_waiter_cancel(struct tg_credential_waiter *w)
{
    tg_list_del(&w->link);
}

static int wait(struct tg_credential *c, struct tg_credential_waiter *w)
{
    tg_list_del(&w->link);
    tg_list_add_tail(&c->waiters, &w->link);
    return 0;
}

static void wake_all(struct tg_credential *c)
{
    for (struct tg_list *it; (it = tg_list_pop_head(&c->waiters));)
        tg_loop_wake(c->rt->loop, tg_list_entry(it, struct tg_credential_waiter, link)->task);
}

/* ---- how a renewal ends ---- */

static bool same(const struct tg_secret *a, const struct tg_secret *b)
{
    if (!a || !b)
        return a == b;
    return tg_str_eq(tg_secret_reveal(a), tg_secret_reveal(b));
}

static bool same_value(const struct tg_credential_state *a, const struct tg_credential_state *b)
{
    return same(a->key, b->key) && same(a->aws_key_id, b->aws_key_id) &&
           same(a->aws_secret, b->aws_secret) && same(a->aws_session_token, b->aws_session_token);
}

static void count(struct tg_credential *c, const char *result)
{
    struct tg_str labels[] = {c->target->name, tg_str_c(result)};
    tg_metrics_add(c->rt->metrics, TG_METRIC_CREDENTIAL_RENEWALS, labels, 2, 1);
}

static void renewed(struct tg_credential *c, const struct tg_credential_state *s)
{
    if (!c->has || !same_value(&c->now, s))
        c->generation++;
    tg_credential_state_fini(&c->now);
    c->now = *s;
    c->has = true;
    c->failures = 0;
    count(c, "ok");
}

static void failed(struct tg_credential *c, uint64_t now)
{
    uint64_t delay = FIRST_RETRY_MS;
    for (uint32_t i = 0; i < c->failures && delay < MAX_RETRY_MS; i++)
        delay *= 2;
    c->failures++;
    c->next_try_ms = now + (delay < MAX_RETRY_MS ? delay : MAX_RETRY_MS);
    count(c, "failed");
    struct tg_buf *b = &c->rt->log;
    tg_log_begin(b, TG_LOG_WARNING, "credential_renewal_failed");
    tg_log_str(b, "target", c->target->name);
    tg_log_cstr(b, "error", c->fail.message);
    tg_log_bool(b, "old_one_in_use", c->has && now < c->now.expires_ms);
    tg_log_end(b);
}

static void step(struct tg_task *t)
{
    struct tg_credential *c = tg_container_of(t, struct tg_credential, task);
    struct tg_credential_state s;
    if (!c->running)
        return;
    tg_fail_clear(&c->fail);
    int rc = tg_credential_run_step(c, &s, &c->fail);
    if (rc == 0)
        return;
    uint64_t now = tg_loop_now_ms(c->rt->loop);
    c->running = false;
    c->forced_ms = now; /* what was renewed just now is not renewed because of a 401 */
    tg_credential_run_stop(c);
    if (rc > 0)
        renewed(c, &s);
    else
        failed(c, now);
    wake_all(c);
}

/* ---- how it begins ---- */

static int renew(struct tg_credential *c, uint64_t now)
{
    tg_fail_clear(&c->fail);
    int rc = tg_credential_run_start(c, &c->fail);
    c->running = rc == 0;
    if (rc)
        failed(c, now);
    return rc;
}

static bool same_stamp(const struct stat *a, const struct stat *b)
{
    return a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size;
}

/* A file is read at once: when it looks different, or its value is old. */
static void look_at_file(struct tg_credential *c, uint64_t now, bool forced)
{
    struct tg_credential_state s;
    struct stat st = {0};
    if (!forced && now < c->next_look_ms)
        return;
    c->next_look_ms = now + LOOK_AT_FILE_MS;
    bool there = stat(tg_credential_config(c)->file.p, &st) == 0;
    if (!forced && c->has && now < c->now.renew_ms && there && same_stamp(&st, &c->stamp))
        return;
    if (!forced && c->failures && now < c->next_try_ms && same_stamp(&st, &c->stamp))
        return;
    c->stamp = st;
    tg_fail_clear(&c->fail);
    if (tg_credential_read_file(c, &s, &c->fail) == 0)
        renewed(c, &s);
    else
        failed(c, now);
}

/* ---- the credential of a target ---- */

bool tg_credential_is_fixed(const struct tg_target *t)
{
    enum tg_credential_source s = t->provider.credential.source;
    return s == TG_CREDENTIAL_NONE || s == TG_CREDENTIAL_FIXED || s == TG_CREDENTIAL_AWS_KEYS;
}

static struct tg_str reveal(const struct tg_secret *s)
{
    return s ? tg_secret_reveal(s) : TG_STR("");
}

static void fixed_value(const struct tg_target *t, struct tg_credential_value *out)
{
    const struct tg_aws_keys *aws = &t->provider.credential.aws;
    bool by_keys = t->provider.credential.source == TG_CREDENTIAL_AWS_KEYS;
    *out = (struct tg_credential_value){
        .key = reveal(t->api_key),
        .aws_key_id = by_keys ? reveal(aws->access_key_id) : TG_STR(""),
        .aws_secret = by_keys ? reveal(aws->secret_access_key) : TG_STR(""),
        .aws_session_token = by_keys ? reveal(aws->session_token) : TG_STR(""),
    };
}

static void value_of(const struct tg_credential *c, struct tg_credential_value *out)
{
    *out = (struct tg_credential_value){
        .key = reveal(c->now.key),
        .aws_key_id = reveal(c->now.aws_key_id),
        .aws_secret = reveal(c->now.aws_secret),
        .aws_session_token = reveal(c->now.aws_session_token),
        .generation = c->generation,
    };
}

/* ---- what a provider says of it ---- */

enum {
    MIN_SECRET_BYTES = 8, /* what is shorter may be a word of any text */
    MIN_CUT_BYTES = 6,    /* of a secret at a text's end, where a message was cut */
};

static void current_value(const struct tg_epoch *e, uint16_t target,
                          struct tg_credential_value *out)
{
    const struct tg_credential *c = e->targets[target].credential;
    *out = (struct tg_credential_value){0};
    if (tg_credential_is_fixed(&e->snapshot->targets[target]))
        fixed_value(&e->snapshot->targets[target], out);
    else if (c && c->has)
        value_of(c, out);
}

bool tg_credential_is_in(const struct tg_epoch *e, uint16_t target, struct tg_str text)
{
    struct tg_credential_value v;
    current_value(e, target, &v);
    const struct tg_str secrets[] = {v.key, v.aws_secret, v.aws_session_token};
    for (size_t i = 0; i < TG_ARRAY_LEN(secrets); i++) {
        if (secrets[i].n >= MIN_SECRET_BYTES && tg_str_find(text, secrets[i]) >= 0)
            return true;
    }
    return false;
}

/* Each occurrence becomes three stars, and what of it a cut has left at the end. */
static bool redact(char *text, struct tg_str secret)
{
    bool found = false;
    for (ptrdiff_t at; (at = tg_str_find(tg_str_c(text), secret)) >= 0; found = true) {
        char *rest = text + at + secret.n;
        memcpy(text + at, "***", 3);
        memmove(text + at + 3, rest, strlen(rest) + 1);
    }
    size_t n = strlen(text);
    for (size_t k = secret.n - 1; k >= MIN_CUT_BYTES; k--) {
        if (k > n || memcmp(text + n - k, secret.p, k) != 0)
            continue;
        memcpy(text + n - k, "***", 4);
        return true;
    }
    return found;
}

bool tg_credential_redact(const struct tg_epoch *e, uint16_t target, struct tg_fail *f)
{
    struct tg_credential_value v;
    current_value(e, target, &v);
    const struct tg_str secrets[] = {v.key, v.aws_secret, v.aws_session_token};
    char *texts[] = {f->message, f->code, f->type, f->param};
    bool found = false;
    for (size_t i = 0; i < TG_ARRAY_LEN(secrets) * TG_ARRAY_LEN(texts); i++) {
        struct tg_str secret = secrets[i / TG_ARRAY_LEN(texts)];
        if (secret.n >= MIN_SECRET_BYTES)
            found |= redact(texts[i % TG_ARRAY_LEN(texts)], secret);
    }
    return found;
}

/* What was read when the configuration was loaded counts until the file is looked at. */
static int take_loaded_key(struct tg_credential *c)
{
    if (!c->target->api_key)
        return 0;
    c->now.key = tg_secret_new(tg_secret_reveal(c->target->api_key));
    c->now.wait_ms = c->now.expires_ms = TG_CREDENTIAL_NEVER_MS;
    c->has = c->now.key != NULL;
    c->generation = 1;
    return c->has ? 0 : TG_E_NOMEM;
}

static int credential_of(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                         struct tg_credential **out)
{
    struct tg_target_state *st = &e->targets[target];
    if (!st->credential) {
        struct tg_credential *c = tg_calloc(1, sizeof *c);
        if (!c)
            return TG_E_NOMEM;
        c->rt = rt;
        c->target = &e->snapshot->targets[target];
        tg_task_init(&c->task, step);
        tg_list_init(&c->waiters);
        if (take_loaded_key(c) != 0) {
            tg_free(c);
            return TG_E_NOMEM;
        }
        c->snapshot = tg_snapshot_ref(e->snapshot);
        c->refs = 1;
        st->credential = c;
    }
    *out = st->credential;
    return 0;
}

/* A client reads this: why is the operator's business, and in the log. */
static int none_to_be_had(const struct tg_credential *c, struct tg_fail *f)
{
    return tg_fail_set(f, TG_E_UPSTREAM_AUTH,
                       "there is no credential for %.*s: its last renewal failed",
                       TG_STR_ARG(c->target->name));
}

int tg_credential_get(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                      struct tg_credential_waiter *w, struct tg_credential_value *out,
                      struct tg_fail *f)
{
    const struct tg_target *t = &e->snapshot->targets[target];
    struct tg_credential *c;
    if (tg_credential_is_fixed(t)) {
        fixed_value(t, out);
        return 1;
    }
    int rc = credential_of(rt, e, target, &c);
    if (rc)
        return tg_fail_set(f, rc, "out of memory");
    uint64_t now = tg_loop_now_ms(rt->loop);
    bool is_file = tg_credential_config(c)->source == TG_CREDENTIAL_FILE;
    if (is_file)
        look_at_file(c, now, false);
    else if (!c->running && now >= c->next_try_ms && (!c->has || now >= c->now.renew_ms))
        (void)renew(c, now); /* a failure is kept in c */
    bool usable = c->has && now < c->now.expires_ms;
    if (usable && (now < c->now.wait_ms || !c->running || c->failures)) {
        value_of(c, out);
        return 1;
    }
    return c->running ? wait(c, w) : none_to_be_had(c, f);
}

int tg_credential_refused(struct tg_runtime *rt, struct tg_epoch *e, uint16_t target,
                          uint64_t generation, struct tg_credential_waiter *w)
{
    struct tg_credential *c = e->targets[target].credential;
    if (!c)
        return TG_E_NOT_FOUND_INTERNAL;
    if (c->generation != generation)
        return 1;
    if (c->running)
        return wait(c, w);
    uint64_t now = tg_loop_now_ms(rt->loop);
    if (c->forced_ms && now < c->forced_ms + FORCE_GAP_MS)
        return TG_E_NOT_FOUND_INTERNAL;
    c->forced_ms = now ? now : 1;
    if (tg_credential_config(c)->source == TG_CREDENTIAL_FILE) {
        look_at_file(c, now, true);
        return c->generation != generation ? 1 : TG_E_NOT_FOUND_INTERNAL;
    }
    return renew(c, now) == 0 ? wait(c, w) : TG_E_NOT_FOUND_INTERNAL;
}

/* ---- reload and end ---- */

static bool same_source(const struct tg_target *a, const struct tg_target *b)
{
    const struct tg_credential_config *x = &a->provider.credential, *y = &b->provider.credential;
    const struct tg_google_config *g = &x->google, *h = &y->google;
    return tg_str_eq(a->name, b->name) && a->kind == b->kind && x->source == y->source &&
           tg_str_eq(x->file, y->file) && tg_str_eq(x->command, y->command) &&
           tg_str_eq(g->client_email, h->client_email) && tg_str_eq(g->client_id, h->client_id) &&
           tg_str_eq(g->token_url.text, h->token_url.text) && tg_str_eq(g->key_id, h->key_id) &&
           same(g->private_key, h->private_key) && same(g->refresh_token, h->refresh_token);
}

/* The credential looks at the new configuration from now on, so that the old one can go. */
static void adopt(struct tg_credential *c, struct tg_epoch *e, size_t target)
{
    const struct tg_snapshot *old = c->snapshot;
    c->snapshot = tg_snapshot_ref(e->snapshot);
    c->target = &c->snapshot->targets[target];
    c->refs++;
    e->targets[target].credential = c;
    tg_snapshot_unref(old);
}

void tg_credential_carry(struct tg_epoch *from, struct tg_epoch *to)
{
    for (size_t i = 0; i < from->snapshot->n_targets; i++) {
        struct tg_credential *c = from->targets[i].credential;
        for (size_t j = 0; c && j < to->snapshot->n_targets; j++)
            if (!to->targets[j].credential &&
                same_source(&from->snapshot->targets[i], &to->snapshot->targets[j])) {
                adopt(c, to, j);
                break;
            }
    }
}

static void release(struct tg_grave *g)
{
    tg_free(tg_container_of(g, struct tg_credential, grave));
}

void tg_credential_unref(struct tg_credential *c)
{
    if (!c || --c->refs)
        return;
    TG_INVARIANT(tg_list_empty(&c->waiters)); /* attempts hold the epoch, which holds this */
    if (c->running)
        tg_credential_run_stop(c);
    tg_credential_state_fini(&c->now);
    tg_task_cancel(&c->task);
    tg_snapshot_unref(c->snapshot);
    tg_loop_bury(c->rt->loop, &c->grave, release);
}
