#include "server/engine_models.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/clock.h"
#include "engine/backend_engine.h"
#include "engine/engine.h"
#include "policy/route.h"
#include "server/worker.h"

#define NAME_BYTES 128
#define MAX_MODELS TG_ENGINE_MAX_MODELS
#define RETIRE_MS  5000 /* by then no worker starts new requests with the old configuration */

/* One local target: what the engine knows it as, and the settings it was added with. */
struct entry {
    char name[NAME_BYTES];
    char path[1024], chat_template[256];
    struct tg_engine_settings settings;
    uint32_t id;
    bool used, kept;
    uint64_t retired_ms; /* the configuration no longer has it; 0: it has */
};

/* Written by the controlling thread; workers look a target's id up once per local request. The lock
 * is held for a few comparisons, never over a call. */
struct tg_engine_models {
    pthread_mutex_t lock;
    struct entry entries[MAX_MODELS];
};

static bool same_settings(const struct tg_engine_settings *a, const struct tg_engine_settings *b)
{
    return a->device == b->device && a->threads == b->threads && a->slots == b->slots &&
           a->context_tokens == b->context_tokens && a->max_queue == b->max_queue &&
           a->start_at_boot == b->start_at_boot && a->idle_stop_ms == b->idle_stop_ms &&
           a->memory_limit_bytes == b->memory_limit_bytes;
}

static bool same_entry(const struct entry *e, const struct tg_target *t)
{
    return e->used && tg_str_eq(tg_str_c(e->name), t->name) &&
           tg_str_eq(tg_str_c(e->path), t->model_name) &&
           tg_str_eq(tg_str_c(e->chat_template), t->engine.chat_template) &&
           same_settings(&e->settings, &t->engine);
}

static struct entry *find_entry(struct tg_engine_models *m, const struct tg_target *t)
{
    for (size_t i = 0; i < MAX_MODELS; i++) {
        if (same_entry(&m->entries[i], t))
            return &m->entries[i];
    }
    return NULL;
}

static void fill_opts(struct tg_engine_model_opts *o, const struct tg_target *t)
{
    const struct tg_engine_settings *e = &t->engine;
    tg_engine_model_opts_init(o);
    o->name = t->name;
    o->path = t->model_name;
    o->chat_template = e->chat_template;
    o->slots = e->slots;
    o->cache_tokens = e->context_tokens;
    o->threads = e->threads;
    o->queue = e->max_queue;
    o->memory_limit_bytes = e->memory_limit_bytes;
    o->idle_stop_ms = e->idle_stop_ms;
    o->load_at_boot = e->start_at_boot;
}

static int add_target(struct tg_gateway_shared *sh, const struct tg_target *t, struct tg_fail *fail)
{
    struct tg_engine_models *m = sh->engine_models;
    struct tg_engine_model_opts o;
    struct entry *e = NULL;
    for (size_t i = 0; i < MAX_MODELS && !e; i++) {
        if (!m->entries[i].used)
            e = &m->entries[i];
    }
    if (!e)
        return tg_fail_set(fail, TG_E_CONFIG, "more than %u local models", MAX_MODELS);
    fill_opts(&o, t);
    uint32_t id;
    int rc = tg_engine_model_add(sh->engine, &o, fail, &id);
    if (rc < 0)
        return tg_fail_set(fail, rc, "local model %.*s: %s", TG_STR_ARG(t->name),
                           tg_err_info(rc)->text);
    pthread_mutex_lock(&m->lock);
    tg_str_to_c(t->name, e->name, sizeof e->name);
    tg_str_to_c(t->model_name, e->path, sizeof e->path);
    tg_str_to_c(t->engine.chat_template, e->chat_template, sizeof e->chat_template);
    e->settings = t->engine;
    e->id = id;
    e->used = e->kept = true;
    e->retired_ms = 0;
    pthread_mutex_unlock(&m->lock);
    return 0;
}

static int add_missing(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                       struct tg_fail *fail)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n_targets; i++) {
        const struct tg_target *t = &s->targets[i];
        if (t->kind != TG_BACKEND_LOCAL || t->unavailable.n)
            continue;
        struct entry *e = find_entry(sh->engine_models, t);
        if (e) {
            e->kept = true;
            e->retired_ms = 0;
        } else {
            rc = add_target(sh, t, fail);
        }
    }
    return rc;
}

static bool has_local(const struct tg_snapshot *s)
{
    for (size_t i = 0; i < s->n_targets; i++) {
        if (s->targets[i].kind == TG_BACKEND_LOCAL)
            return true;
    }
    return false;
}

static int start_host(struct tg_gateway_shared *sh, struct tg_fail *fail)
{
    struct tg_engine_host_opts o = {.argv = NULL};
    if (sh->engine)
        return 0;
    int rc = tg_engine_host_new(&o, &sh->engine);
    return rc < 0 ? tg_fail_set(fail, rc, "cannot start the local engine's host") : 0;
}

int tg_engine_models_start(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                           struct tg_fail *fail)
{
    sh->engine_models = tg_calloc(1, sizeof *sh->engine_models);
    if (!sh->engine_models)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    pthread_mutex_init(&sh->engine_models->lock, NULL);
    int rc = start_host(sh, fail); /* also without local models: a reload may bring some */
    if (rc < 0 || !has_local(s))
        return rc;
    return add_missing(sh, s, fail);
}

int tg_engine_models_reload(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                            struct tg_fail *fail)
{
    struct tg_engine_models *m = sh->engine_models;
    for (size_t i = 0; i < MAX_MODELS; i++)
        m->entries[i].kept = false;
    int rc = add_missing(sh, s, fail);
    for (size_t i = 0; rc == 0 && i < MAX_MODELS; i++) {
        struct entry *e = &m->entries[i];
        if (e->used && !e->kept && !e->retired_ms)
            e->retired_ms = tg_clock_mono_ms();
    }
    return rc;
}

/* Requests in work keep the configuration they began with: a model goes when it has none left. */
void tg_engine_models_sweep(struct tg_gateway_shared *sh)
{
    struct tg_engine_models *m = sh->engine_models;
    struct tg_engine_status st;
    for (size_t i = 0; i < MAX_MODELS; i++) {
        struct entry *e = &m->entries[i];
        if (!e->used || !e->retired_ms || tg_clock_mono_ms() - e->retired_ms < RETIRE_MS)
            continue;
        if (tg_engine_model_status(sh->engine, e->id, &st) == 0 && st.running + st.waiting > 0)
            continue;
        if (tg_engine_model_remove(sh->engine, e->id) == TG_E_NOMEM)
            continue; /* tried again next time; one that is gone already is what we want */
        pthread_mutex_lock(&m->lock);
        e->used = false;
        pthread_mutex_unlock(&m->lock);
    }
}

void tg_engine_models_stop(struct tg_gateway_shared *sh)
{
    if (sh->engine)
        tg_engine_host_free(sh->engine);
    sh->engine = NULL;
    if (sh->engine_models)
        pthread_mutex_destroy(&sh->engine_models->lock);
    tg_free(sh->engine_models);
    sh->engine_models = NULL;
}

/* ---- the workers' side ---- */

static int model_of(void *ctx, const struct tg_target *t, struct tg_fail *f, uint32_t *out_model)
{
    struct tg_gateway_shared *sh = ctx;
    struct tg_engine_models *m = sh->engine_models;
    pthread_mutex_lock(&m->lock);
    const struct entry *e = find_entry(m, t);
    if (e)
        *out_model = e->id;
    pthread_mutex_unlock(&m->lock);
    return e ? 0
             : tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "the local model %.*s is not loaded any more",
                           TG_STR_ARG(t->name));
}

int tg_engine_models_join(struct tg_gateway_shared *sh, struct tg_worker *w)
{
    struct tg_engine_backend_opts o = {
        .host = sh->engine, .rt = w->rt, .model_of = model_of, .ctx = sh};
    struct tg_engine_backend *b;
    int rc = tg_engine_backend_new(&o, &b);
    if (rc < 0)
        return rc;
    w->engine_client = b;
    tg_runtime_set_backend(w->rt, TG_BACKEND_LOCAL, &tg_backend_engine_ops, b, NULL);
    return 0;
}

void tg_engine_models_leave(struct tg_worker *w)
{
    tg_engine_backend_free(w->engine_client);
    w->engine_client = NULL;
}

int tg_engine_models_command(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                             struct tg_str model, bool load, struct tg_fail *fail)
{
    struct tg_route_plan plan;
    uint32_t id;
    int rc = tg_route_find(s, model, NULL, &plan, fail);
    if (rc < 0)
        return rc;
    const struct tg_target *t = &s->targets[plan.model->target];
    if (t->kind != TG_BACKEND_LOCAL)
        return tg_fail_param(fail, TG_E_INVALID_VALUE, "model",
                             "%.*s is served by %s; only local models are loaded and unloaded",
                             TG_STR_ARG(t->name), tg_backend_kind_name(t->kind));
    rc = model_of(sh, t, fail, &id);
    if (rc < 0)
        return rc;
    rc = load ? tg_engine_model_load(sh->engine, id) : tg_engine_model_unload(sh->engine, id);
    return rc < 0 ? tg_fail_set(fail, rc, "the local engine takes no commands now") : 0;
}

/* ---- for the pages ---- */

static const char *copy(struct tg_arena *a, const char *text)
{
    const char *c = tg_arena_cstr(a, tg_str_c(text));
    return c ? c : "";
}

static void view_one(const struct tg_engine_status *st, struct tg_str name, struct tg_arena *a,
                     struct tg_admin_engine *out)
{
    *out = (struct tg_admin_engine){
        .name = name,
        .state = tg_engine_state_name(st->state),
        .progress_permille = st->progress_permille,
        .running = st->running,
        .waiting = st->waiting,
        .restarts = st->restarts,
        .n_ctx = st->info.n_ctx,
        .slots = st->info.slots,
        .load_ms = st->info.load_ms,
        .n_params = st->info.n_params,
        .resident_bytes = st->resident_bytes,
        .description = copy(a, st->info.description),
        .library = copy(a, st->info.library),
        .reason = copy(a, st->reason),
    };
}

size_t tg_engine_models_view(struct tg_gateway_shared *sh, const struct tg_snapshot *s,
                             struct tg_arena *a, struct tg_admin_engine *out, size_t max)
{
    size_t n = 0;
    struct tg_fail ignored;
    for (size_t i = 0; i < s->n_targets && n < max; i++) {
        struct tg_engine_status st;
        uint32_t id = 0;
        tg_fail_clear(&ignored);
        if (s->targets[i].kind != TG_BACKEND_LOCAL ||
            model_of(sh, &s->targets[i], &ignored, &id) < 0 ||
            tg_engine_model_status(sh->engine, id, &st) < 0)
            continue;
        view_one(&st, s->targets[i].name, a, &out[n++]);
    }
    return n;
}
