#include "engine/engine.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/map.h"
#include "engine/submit_priv.h"
#include "engine/super_priv.h"

enum {
    MAX_CLIENTS = 256,
    MAX_REQUESTS = 32768,
    MAX_SUBMITS_UNDER_WAY = 4096, /* posted and not taken over yet */
    MAX_COMMANDS = 1 << 20,
    MAX_LOST = 256,
    REDELIVER_MS = 4,
    LOST_MS = 1000,
    STOP_MS = 1500, /* then the children are killed */
};

struct client { /* written once, before its number is known to anyone */
    struct tg_mailbox *inbox;
    void (*on_event)(void *ctx, struct tg_engine_event *ev);
};

struct backlog { /* events that found a client's inbox full */
    struct tg_msg *first, *last;
};

/* A worker's event: the message, its text and its probabilities in one piece. */
struct box {
    struct tg_engine_event ev;
    void (*on_event)(void *ctx, struct tg_engine_event *ev);
    struct tg_arena arena;
};

enum command_kind {
    CMD_SUBMIT,
    CMD_CANCEL,
    CMD_CREDIT,
    CMD_ADD,
    CMD_REMOVE,
    CMD_LOAD,
    CMD_UNLOAD,
    CMD_STOP,
};
struct command {
    struct tg_msg msg;
    enum command_kind kind;
    uint32_t model, choice, bytes;
    uint64_t id;
    struct tg_super *super;  /* ADD */
    struct tg_egroup *group; /* SUBMIT */
    struct tg_buf *frames;   /* SUBMIT: group->n_choices of them */
};

struct tg_engine_host {
    struct tg_loop *loop;
    struct tg_mailbox *inbox;
    pthread_t thread;
    struct tg_super_env env;
    _Atomic uint64_t next_id;
    atomic_uint submits;
    /* host thread */
    struct tg_super *supers[TG_ENGINE_MAX_MODELS];
    struct tg_map requests; /* by the eight bytes of the id */
    struct backlog backlog[MAX_CLIENTS];
    struct tg_timer redeliver, lost_tick, stop_tick;
    bool stopping;
    uint64_t stop_at_ms;
    /* under lock */
    pthread_mutex_t lock;
    struct client clients[MAX_CLIENTS];
    uint32_t n_clients;
    bool used[TG_ENGINE_MAX_MODELS];
    struct tg_engine_status status[TG_ENGINE_MAX_MODELS];
    uint64_t lost[MAX_LOST]; /* cancels that found no memory for their message */
    uint32_t n_lost;
};

/* ---- events to the workers ---- */

static void box_free(struct tg_msg *m)
{
    struct box *b = tg_container_of(m, struct box, ev.msg);
    tg_arena_fini(&b->arena);
    tg_free(b);
}

static void box_deliver(struct tg_msg *m, void *ctx)
{
    struct box *b = tg_container_of(m, struct box, ev.msg);
    b->on_event(ctx, &b->ev);
}

void tg_engine_event_free(struct tg_engine_event *ev)
{
    if (ev)
        box_free(&ev->msg);
}

static const struct tg_engine_logprob *copy_logprobs(struct tg_arena *a,
                                                     const struct tg_engine_logprob *v, uint32_t n)
{
    struct tg_engine_logprob *out = tg_arena_array(a, n, sizeof *out);
    for (uint32_t i = 0; out && i < n; i++) {
        out[i] = v[i];
        out[i].token = tg_arena_dup(a, v[i].token);
        if (v[i].n_top)
            out[i].top = copy_logprobs(a, v[i].top, v[i].n_top); /* one level: tops have none */
    }
    return out;
}

static struct box *box_new(const struct tg_engine_event *ev)
{
    enum { BOX_MAX_BYTES = 16 << 20 };
    struct box *b = tg_calloc(1, sizeof *b);
    if (!b)
        return NULL;
    tg_arena_init(&b->arena, ev->text.n + 64, BOX_MAX_BYTES);
    b->ev = *ev;
    b->ev.msg = (struct tg_msg){.deliver = box_deliver, .discard = box_free};
    if (ev->text.n)
        b->ev.text = tg_arena_dup(&b->arena, ev->text);
    if (ev->n_logprobs)
        b->ev.logprobs = copy_logprobs(&b->arena, ev->logprobs, ev->n_logprobs);
    if (!b->arena.overflow)
        return b;
    box_free(&b->ev.msg);
    return NULL;
}

static void queue_for(struct tg_engine_host *h, uint32_t client, struct tg_msg *m)
{
    struct backlog *b = &h->backlog[client];
    m->next = NULL;
    if (b->last)
        b->last->next = m;
    else
        b->first = m;
    b->last = m;
    if (!tg_timer_active(&h->redeliver))
        tg_timer_start(h->loop, &h->redeliver, REDELIVER_MS);
}

static void redeliver(struct tg_timer *t)
{
    struct tg_engine_host *h = tg_container_of(t, struct tg_engine_host, redeliver);
    bool left = false;
    for (uint32_t i = 0; i < MAX_CLIENTS; i++) {
        struct backlog *b = &h->backlog[i];
        while (b->first) {
            struct tg_msg *m = b->first, *next = m->next;
            if (tg_mailbox_post(h->clients[i].inbox, m) < 0) {
                left = true;
                break;
            }
            b->first = next;
            if (!next)
                b->last = NULL;
        }
    }
    if (left)
        tg_timer_start(h->loop, &h->redeliver, REDELIVER_MS);
}

/* Made with the request, so that its end can be told when there is no memory left. */
static void *spare_new(void *ctx)
{
    (void)ctx;
    static const struct tg_engine_event nothing;
    struct box *b = box_new(&nothing);
    return b;
}

static void spare_free(void *ctx, void *spare)
{
    (void)ctx;
    struct box *b = spare;
    if (b)
        box_free(&b->ev.msg);
}

static struct box *use_spare(struct box *spare, const struct tg_engine_event *ev)
{
    struct tg_msg msg = spare->ev.msg;
    spare->ev = *ev;
    spare->ev.msg = msg;
    spare->ev.text = ev->err ? tg_str_c(tg_err_info(ev->err)->text) : tg_str_make(NULL, 0);
    return spare;
}

static void emit(void *ctx, uint32_t client, const struct tg_engine_event *ev, void *spare)
{
    struct tg_engine_host *h = ctx;
    struct client *c = &h->clients[client];
    struct box *b = box_new(ev);
    if (b) {
        spare_free(h, spare);
    } else if (spare) {
        b = use_spare(spare, ev);
    } else {
        /* A text with a hole is worse than none. */
        if (ev->kind == TG_ENGINE_EV_TEXT || ev->kind == TG_ENGINE_EV_VECTOR)
            tg_engine_cancel(h, ev->request_id);
        return;
    }
    b->on_event = c->on_event;
    if (h->backlog[client].first || tg_mailbox_post(c->inbox, &b->ev.msg) < 0)
        queue_for(h, client, &b->ev.msg);
}

/* ---- requests by id ---- */

static struct tg_str id_key(const uint64_t *id)
{
    return tg_str_make((const char *)id, sizeof *id);
}

static int request_add(void *ctx, struct tg_ereq *r)
{
    struct tg_engine_host *h = ctx;
    return tg_map_put(&h->requests, id_key(&r->id), r);
}

static void request_remove(void *ctx, struct tg_ereq *r)
{
    struct tg_engine_host *h = ctx;
    tg_map_del(&h->requests, id_key(&r->id));
}

static struct tg_ereq *request_find(void *ctx, uint64_t id)
{
    struct tg_engine_host *h = ctx;
    return tg_map_get(&h->requests, id_key(&id));
}

static void publish(void *ctx, const struct tg_super *s)
{
    struct tg_engine_host *h = ctx;
    pthread_mutex_lock(&h->lock);
    h->status[s->index] = s->status;
    pthread_mutex_unlock(&h->lock);
}

/* ---- commands, on the host thread ---- */

static void drop_frames(struct command *c)
{
    for (uint32_t i = 0; c->frames && i < c->group->n_choices; i++)
        tg_buf_fini(&c->frames[i]);
    tg_free(c->frames);
    c->frames = NULL;
}

static void do_submit(struct tg_engine_host *h, struct command *c)
{
    atomic_fetch_sub(&h->submits, 1);
    struct tg_super *s = h->supers[c->model];
    if (s && !h->stopping) {
        tg_super_submit(s, c->group, c->frames);
        tg_free(c->frames);
        tg_loop_wake(h->loop, &s->task);
        return;
    }
    struct tg_engine_event ev = {.request_id = c->group->base_id,
                                 .tag = c->group->tag,
                                 .kind = TG_ENGINE_EV_ERROR,
                                 .last = true,
                                 .err = h->stopping ? TG_E_SHUTTING_DOWN : TG_E_LOCAL_UNAVAILABLE,
                                 .retry_after_ms = -1,
                                 .text = tg_str_c("the local model is gone")};
    emit(h, c->group->client, &ev, NULL);
    drop_frames(c);
    tg_free(c->group);
}

static void do_cancel(struct tg_engine_host *h, uint64_t base)
{
    for (uint32_t i = 0; i < TG_ENGINE_MAX_CHOICES; i++) {
        struct tg_ereq *r = request_find(h, base + i);
        if (r && r->group->base_id == base)
            tg_super_cancel(r->super, r);
    }
}

static void do_credit(struct tg_engine_host *h, const struct command *c)
{
    struct tg_ereq *r = request_find(h, c->id + c->choice);
    if (r && r->group->base_id == c->id)
        tg_super_credit(r->super, r, c->bytes);
}

static void do_remove(struct tg_engine_host *h, uint32_t model)
{
    struct tg_super *s = h->supers[model];
    s->removing = true;
    tg_super_stop(s, TG_E_LOCAL_UNAVAILABLE, "the local model was removed", STOP_MS);
    if (!tg_timer_active(&h->stop_tick))
        tg_timer_start(h->loop, &h->stop_tick, REDELIVER_MS);
}

static void do_stop(struct tg_engine_host *h)
{
    h->stopping = true;
    h->stop_at_ms = tg_loop_now_ms(h->loop) + STOP_MS + STOP_MS;
    for (uint32_t i = 0; i < TG_ENGINE_MAX_MODELS; i++)
        if (h->supers[i])
            tg_super_stop(h->supers[i], TG_E_SHUTTING_DOWN, tg_err_info(TG_E_SHUTTING_DOWN)->text,
                          STOP_MS);
    tg_timer_start(h->loop, &h->stop_tick, REDELIVER_MS);
}

/* Frees the supervisors whose child is gone; ends the loop when all are. */
static void stop_tick(struct tg_timer *t)
{
    struct tg_engine_host *h = tg_container_of(t, struct tg_engine_host, stop_tick);
    bool left = false;
    for (uint32_t i = 0; i < TG_ENGINE_MAX_MODELS; i++) {
        struct tg_super *s = h->supers[i];
        if (!s || (!h->stopping && !s->removing))
            continue;
        if (!tg_super_stopped(s)) {
            left = true;
            continue;
        }
        h->supers[i] = NULL;
        tg_super_free(s);
        pthread_mutex_lock(&h->lock);
        h->used[i] = false;
        pthread_mutex_unlock(&h->lock);
    }
    if (left)
        tg_timer_start(h->loop, &h->stop_tick, REDELIVER_MS);
    else if (h->stopping)
        tg_loop_stop(h->loop);
}

static void command_discard(struct tg_msg *m)
{
    struct command *c = tg_container_of(m, struct command, msg);
    if (c->kind == CMD_SUBMIT) {
        drop_frames(c);
        tg_free(c->group);
    }
    if (c->kind == CMD_ADD)
        tg_super_free(c->super);
    tg_free(c);
}

static void command_deliver(struct tg_msg *m, void *ctx)
{
    struct tg_engine_host *h = ctx;
    struct command *c = tg_container_of(m, struct command, msg);
    struct tg_super *s = h->supers[c->model];
    switch (c->kind) {
    case CMD_SUBMIT:
        do_submit(h, c);
        break;
    case CMD_CANCEL:
        do_cancel(h, c->id);
        break;
    case CMD_CREDIT:
        do_credit(h, c);
        break;
    case CMD_ADD:
        if (h->stopping) {
            tg_super_free(c->super);
            break;
        }
        h->supers[c->model] = c->super;
        if (c->super->opts.load_at_boot)
            tg_super_wish(c->super, TG_WISH_LOAD);
        break;
    case CMD_REMOVE:
        if (s)
            do_remove(h, c->model);
        break;
    case CMD_LOAD:
    case CMD_UNLOAD:
        if (s && !h->stopping)
            tg_super_wish(s, c->kind == CMD_LOAD ? TG_WISH_LOAD : TG_WISH_UNLOAD);
        break;
    case CMD_STOP:
        do_stop(h);
        break;
    }
    tg_free(c);
}

/* ---- commands, from any thread ---- */

static struct command *command_new(enum command_kind kind)
{
    struct command *c = tg_calloc(1, sizeof *c);
    if (c) {
        c->kind = kind;
        c->msg = (struct tg_msg){.deliver = command_deliver, .discard = command_discard};
    }
    return c;
}

/* On failure the command is freed with what it holds. */
static int command_post(struct tg_engine_host *h, struct command *c)
{
    int rc = tg_mailbox_post(h->inbox, &c->msg);
    if (rc < 0)
        command_discard(&c->msg);
    return rc < 0 ? TG_E_OVERLOADED : 0;
}

static int model_command(struct tg_engine_host *h, enum command_kind kind, uint32_t model)
{
    if (model >= TG_ENGINE_MAX_MODELS)
        return TG_E_INVALID_ARG;
    struct command *c = command_new(kind);
    if (!c)
        return TG_E_NOMEM;
    c->model = model;
    return command_post(h, c);
}

int tg_engine_model_remove(struct tg_engine_host *h, uint32_t model)
{
    return model_command(h, CMD_REMOVE, model);
}

int tg_engine_model_load(struct tg_engine_host *h, uint32_t model)
{
    return model_command(h, CMD_LOAD, model);
}

int tg_engine_model_unload(struct tg_engine_host *h, uint32_t model)
{
    return model_command(h, CMD_UNLOAD, model);
}

int tg_engine_submit(struct tg_engine_host *h, uint32_t model, uint32_t client,
                     struct tg_engine_tag tag, const struct tg_engine_request *req,
                     struct tg_fail *f, uint64_t *out_id)
{
    TG_REQUIRE(model < TG_ENGINE_MAX_MODELS && client < MAX_CLIENTS);
    int rc = tg_submit_check(req, f);
    if (rc)
        return rc;
    if (atomic_load(&h->submits) >= MAX_SUBMITS_UNDER_WAY)
        return tg_fail_set(f, TG_E_OVERLOADED, "the local engine is overloaded");
    uint32_t n = tg_submit_choices(req);
    struct command *c = command_new(CMD_SUBMIT);
    struct tg_egroup *g = tg_calloc(1, sizeof *g);
    struct tg_buf *frames = tg_calloc(n, sizeof *frames);
    uint64_t id = atomic_fetch_add(&h->next_id, n);
    rc = c && g && frames ? 0 : TG_E_NOMEM;
    for (uint32_t i = 0; i < n && !rc; i++) {
        tg_buf_init(&frames[i], TG_FRAME_MAX_TO_CHILD + TG_FRAME_HEAD);
        rc = tg_submit_frame(req, id, i, &frames[i]);
    }
    if (rc) {
        for (uint32_t i = 0; frames && i < n; i++)
            tg_buf_fini(&frames[i]);
        tg_free(frames);
        tg_free(g);
        tg_free(c);
        return tg_fail_set(f, rc, "out of memory");
    }
    *g = (struct tg_egroup){.base_id = id,
                            .tag = tag,
                            .client = client,
                            .n_choices = n,
                            .prompt_hash = tg_submit_hash(req)};
    c->model = model;
    c->group = g;
    c->frames = frames;
    atomic_fetch_add(&h->submits, 1);
    rc = command_post(h, c);
    if (rc) {
        atomic_fetch_sub(&h->submits, 1);
        return tg_fail_set(f, rc, "the local engine is overloaded");
    }
    if (out_id)
        *out_id = id;
    return 0;
}

void tg_engine_cancel(struct tg_engine_host *h, uint64_t request_id)
{
    struct command *c = command_new(CMD_CANCEL);
    if (c) {
        c->id = request_id;
        if (command_post(h, c) == 0)
            return;
    }
    /* A lost cancel would hold a slot: the host looks here once in a while. */
    pthread_mutex_lock(&h->lock);
    if (h->n_lost < MAX_LOST)
        h->lost[h->n_lost++] = request_id;
    pthread_mutex_unlock(&h->lock);
}

static void lost_tick(struct tg_timer *t)
{
    struct tg_engine_host *h = tg_container_of(t, struct tg_engine_host, lost_tick);
    for (;;) {
        pthread_mutex_lock(&h->lock);
        bool any = h->n_lost > 0;
        uint64_t id = any ? h->lost[--h->n_lost] : 0;
        pthread_mutex_unlock(&h->lock);
        if (!any)
            break;
        do_cancel(h, id);
    }
    tg_timer_start(h->loop, &h->lost_tick, LOST_MS);
}

void tg_engine_credit(struct tg_engine_host *h, uint64_t request_id, uint32_t choice,
                      uint32_t bytes)
{
    struct command *c = bytes ? command_new(CMD_CREDIT) : NULL;
    if (c) {
        c->id = request_id;
        c->choice = choice;
        c->bytes = bytes;
    }
    /* Without its credit the answer would stand still for ever. */
    if (bytes && (!c || command_post(h, c) < 0))
        tg_engine_cancel(h, request_id);
}

int tg_engine_client_add(struct tg_engine_host *h, struct tg_mailbox *inbox,
                         void (*on_event)(void *ctx, struct tg_engine_event *ev),
                         uint32_t *out_client)
{
    pthread_mutex_lock(&h->lock);
    bool full = h->n_clients == MAX_CLIENTS;
    if (!full) {
        h->clients[h->n_clients] = (struct client){.inbox = inbox, .on_event = on_event};
        *out_client = h->n_clients++;
    }
    pthread_mutex_unlock(&h->lock);
    return full ? TG_E_FULL : 0;
}

void tg_engine_model_opts_init(struct tg_engine_model_opts *s)
{
    *s = (struct tg_engine_model_opts){.slots = 8,
                                       .queue = 64,
                                       .watchdog_ms = 30000,
                                       .start_timeout_ms = 300000,
                                       .flash = TG_ENGINE_FLASH_AUTO};
}

static int check_opts(const struct tg_engine_model_opts *s, struct tg_fail *f)
{
    if (s->slots > TG_ENGINE_MAX_SLOTS)
        return tg_fail_param(f, TG_E_INVALID_ARG, "slots", "at most %u slots", TG_ENGINE_MAX_SLOTS);
    if (s->nice < 0 || s->nice > 19)
        return tg_fail_param(f, TG_E_INVALID_ARG, "nice", "nice is between 0 and 19");
    return 0;
}

/* The child works in "/": a relative path is made absolute here. */
static int absolute(struct tg_str path, char *out, size_t cap)
{
    char cwd[PATH_MAX];
    int n;
    if (path.n == 0 || path.p[0] == '/')
        n = snprintf(out, cap, "%.*s", TG_STR_ARG(path));
    else
        n = getcwd(cwd, sizeof cwd) ? snprintf(out, cap, "%s/%.*s", cwd, TG_STR_ARG(path)) : -1;
    return n >= 0 && (size_t)n < cap ? 0 : TG_E_INVALID_ARG;
}

int tg_engine_model_add(struct tg_engine_host *h, const struct tg_engine_model_opts *s,
                        struct tg_fail *f, uint32_t *out_model)
{
    struct tg_engine_model_opts o = *s, defaults;
    tg_engine_model_opts_init(&defaults);
    o.slots = o.slots ? o.slots : defaults.slots;
    o.watchdog_ms = o.watchdog_ms ? o.watchdog_ms : defaults.watchdog_ms;
    o.start_timeout_ms = o.start_timeout_ms ? o.start_timeout_ms : defaults.start_timeout_ms;
    char path[PATH_MAX];
    int rc = check_opts(&o, f);
    if (!rc && absolute(o.path, path, sizeof path) < 0)
        rc = tg_fail_param(f, TG_E_INVALID_ARG, "path", "the model's path is too long");
    if (rc)
        return rc;
    o.path = tg_str_c(path);
    uint32_t i = 0;
    pthread_mutex_lock(&h->lock);
    while (i < TG_ENGINE_MAX_MODELS && h->used[i])
        i++;
    if (i < TG_ENGINE_MAX_MODELS) {
        h->used[i] = true;
        h->status[i] = (struct tg_engine_status){.state = TG_ENGINE_OFF};
    }
    pthread_mutex_unlock(&h->lock);
    if (i == TG_ENGINE_MAX_MODELS)
        return tg_fail_set(f, TG_E_FULL, "at most %u local models", TG_ENGINE_MAX_MODELS);
    struct command *c = command_new(CMD_ADD);
    rc = c ? tg_super_new(&h->env, i, &o, &c->super) : TG_E_NOMEM;
    if (rc == 0) {
        c->model = i;
        rc = command_post(h, c);
    } else {
        tg_free(c);
    }
    if (rc) {
        pthread_mutex_lock(&h->lock);
        h->used[i] = false;
        pthread_mutex_unlock(&h->lock);
        return tg_fail_set(f, rc, "out of memory");
    }
    *out_model = i;
    return 0;
}

int tg_engine_model_status(struct tg_engine_host *h, uint32_t model, struct tg_engine_status *out)
{
    pthread_mutex_lock(&h->lock);
    bool known = model < TG_ENGINE_MAX_MODELS && h->used[model];
    if (known)
        *out = h->status[model];
    pthread_mutex_unlock(&h->lock);
    return known ? 0 : TG_E_NOT_FOUND_INTERNAL;
}

/* ---- life ---- */

static void *host_main(void *arg)
{
    struct tg_engine_host *h = arg;
    tg_timer_start(h->loop, &h->lost_tick, LOST_MS);
    tg_loop_run(h->loop);
    tg_timer_stop(h->loop, &h->lost_tick);
    tg_timer_stop(h->loop, &h->redeliver);
    tg_timer_stop(h->loop, &h->stop_tick);
    return NULL;
}

/* No signal handler of the process runs on the host thread. */
static int start_thread(struct tg_engine_host *h)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&h->thread, NULL, host_main, h);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        pthread_setname_np(h->thread, "engine-host");
    return rc ? TG_E_IO : 0;
}

int tg_engine_host_new(const struct tg_engine_host_opts *opts, struct tg_engine_host **out)
{
    struct tg_engine_host *h = tg_calloc(1, sizeof *h);
    if (!h)
        return TG_E_NOMEM;
    pthread_mutex_init(&h->lock, NULL);
    atomic_init(&h->next_id, 1);
    atomic_init(&h->submits, 0);
    tg_map_init(&h->requests, MAX_REQUESTS);
    tg_timer_init(&h->redeliver, redeliver);
    tg_timer_init(&h->lost_tick, lost_tick);
    tg_timer_init(&h->stop_tick, stop_tick);
    int rc = tg_loop_new(&h->loop);
    if (!rc)
        rc = tg_mailbox_new(h->loop, MAX_COMMANDS, h, &h->inbox);
    h->env = (struct tg_super_env){.loop = h->loop,
                                   .argv = opts ? opts->argv : NULL,
                                   .ctx = h,
                                   .emit = emit,
                                   .spare_new = spare_new,
                                   .spare_free = spare_free,
                                   .add = request_add,
                                   .remove = request_remove,
                                   .find = request_find,
                                   .publish = publish};
    if (!rc)
        rc = start_thread(h);
    if (rc) {
        if (h->inbox)
            tg_mailbox_free(h->inbox);
        if (h->loop)
            tg_loop_free(h->loop);
        tg_map_fini(&h->requests);
        tg_free(h);
        return rc;
    }
    *out = h;
    return 0;
}

static void drop_undelivered(struct tg_engine_host *h)
{
    for (uint32_t i = 0; i < MAX_CLIENTS; i++) {
        struct tg_msg *m = h->backlog[i].first;
        while (m) {
            struct tg_msg *next = m->next;
            if (tg_mailbox_post(h->clients[i].inbox, m) < 0)
                m->discard(m);
            m = next;
        }
    }
}

void tg_engine_host_free(struct tg_engine_host *h)
{
    if (!h)
        return;
    /* Boot code's memory rule: the process can't go on without this message. */
    struct command *c = tg_xcalloc(1, sizeof *c);
    c->kind = CMD_STOP;
    c->msg = (struct tg_msg){.deliver = command_deliver, .discard = command_discard};
    while (tg_mailbox_post(h->inbox, &c->msg) < 0) {
        struct timespec ts = {0, REDELIVER_MS * 1000000};
        nanosleep(&ts, NULL);
    }
    pthread_join(h->thread, NULL);
    drop_undelivered(h);
    tg_mailbox_free(h->inbox);
    tg_loop_free(h->loop);
    tg_map_fini(&h->requests);
    pthread_mutex_destroy(&h->lock);
    tg_free(h);
}
