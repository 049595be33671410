#include "engine/super_priv.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "base/log.h"
#include "base/num.h"

enum {
    TICK_MIN_MS = 50,
    TICK_MAX_MS = 1000,
    REAP_MS = 4,
    LEAVE_MS = 2000,   /* a child that was asked to leave has this long */
    STABLE_MS = 10000, /* a crash this long after READY is not a quick one */
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 30000,
};

const char *tg_engine_state_name(enum tg_engine_state s)
{
    static const char *const names[] = {"off", "starting", "ready", "backoff", "failed"};
    return (unsigned)s < TG_ARRAY_LEN(names) ? names[s] : "?";
}

static uint64_t now_ms(const struct tg_super *s)
{
    return tg_loop_now_ms(s->env->loop);
}

static void to_state(struct tg_super *s, enum tg_engine_state state, const char *reason)
{
    if (state != s->status.state)
        tg_log_msg(state == TG_ENGINE_FAILED ? TG_LOG_ERROR : TG_LOG_INFO, "engine_state",
                   "%.*s: %s%s%s", TG_STR_ARG(s->opts.name), tg_engine_state_name(state),
                   reason[0] ? ": " : "", reason);
    s->status.state = state;
    tg_str_to_c(tg_str_c(reason), s->status.reason, sizeof s->status.reason);
    if (state == TG_ENGINE_FAILED)
        s->failed_at_ms = now_ms(s);
}

/* Often enough for the watchdog's setting. */
static void start_tick(struct tg_super *s)
{
    uint64_t ms = s->opts.watchdog_ms / 4;
    ms = ms < TICK_MIN_MS ? TICK_MIN_MS : ms > TICK_MAX_MS ? TICK_MAX_MS : ms;
    tg_timer_start(s->env->loop, &s->tick, ms);
}

/* ---- starting ---- */

static void fail_for_good(struct tg_super *s, const char *reason)
{
    to_state(s, TG_ENGINE_FAILED, reason);
    tg_super_req_fail_all(s, true, TG_E_LOCAL_UNAVAILABLE, reason);
}

static void start(struct tg_super *s)
{
    struct tg_fail f;
    tg_fail_clear(&f);
    TG_INVARIANT(s->child.p.pid == 0);
    s->wish = TG_WISH_NONE;
    s->status.progress_permille = 0;
    if (tg_super_child_start(s, &f) < 0) {
        fail_for_good(s, f.message);
        if (s->child.p.pid) /* was started, can't be watched */
            tg_timer_start(s->env->loop, &s->retry, REAP_MS);
        return;
    }
    to_state(s, TG_ENGINE_STARTING, "");
    start_tick(s);
}

static uint64_t resident_bytes(pid_t pid)
{
    char path[40], buf[128];
    struct tg_str part, rest;
    uint64_t pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    rest = tg_str_make(buf, fread(buf, 1, sizeof buf, f));
    fclose(f);
    bool two = tg_str_split(&rest, ' ', &part) && tg_str_split(&rest, ' ', &part);
    return two && tg_parse_u64(part, &pages) == 0 ? pages * 4096 : 0;
}

static void on_ready(struct tg_super *s, const struct tg_p_ready *m)
{
    s->status.info = m->info;
    s->status.progress_permille = 1000;
    s->calib = m->calib;
    s->ready_at_ms = now_ms(s);
    s->status.resident_bytes = resident_bytes(s->child.p.pid);
    to_state(s, TG_ENGINE_READY, "");
    tg_list_each_safe (it, tmp, &s->requests) {
        struct tg_ereq *r = tg_list_entry(it, struct tg_ereq, link);
        if (r->state == TG_EREQ_PENDING)
            tg_super_req_send(s, r);
    }
}

/* The child is let go; it leaves by itself, or is killed at kill_at_ms. */
static void let_go(struct tg_super *s, uint64_t kill_after_ms)
{
    if (s->child.p.pid == 0)
        return;
    s->child.asked_to_leave = true;
    s->child.kill_at_ms = now_ms(s) + kill_after_ms;
    tg_super_child_close(s);
    tg_timer_stop(s->env->loop, &s->tick);
    tg_timer_start(s->env->loop, &s->retry, REAP_MS);
}

/* A model that can't be served as it is: another try right away would end the same. */
static int on_failed(struct tg_super *s, struct tg_str payload)
{
    char text[512];
    struct tg_str t;
    int err;
    int rc = tg_p_get_error(payload, &err, &t);
    if (rc)
        return rc;
    tg_str_to_c(t, text, sizeof text);
    let_go(s, LEAVE_MS);
    fail_for_good(s, text);
    return 0;
}

int tg_super_on_frame(struct tg_super *s, const struct tg_frame *fr)
{
    struct tg_p_ready ready;
    struct tg_p_beat beat;
    int rc;
    bool starting = s->status.state == TG_ENGINE_STARTING;
    switch ((int)fr->type) {
    case TG_FR_PROGRESS:
        return starting ? tg_p_get_u32(fr->payload, &s->status.progress_permille)
                        : TG_E_INVALID_ARG;
    case TG_FR_READY:
        rc = starting ? tg_p_get_ready(fr->payload, &ready) : TG_E_INVALID_ARG;
        if (rc == 0)
            on_ready(s, &ready);
        return rc;
    case TG_FR_FAILED:
        return starting ? on_failed(s, fr->payload) : TG_E_INVALID_ARG;
    case TG_FR_BEAT:
        rc = tg_p_get_beat(fr->payload, &beat);
        if (rc == 0)
            s->status.decode_tokens_per_s = beat.decode_tokens_per_s;
        return rc;
    default:
        return tg_super_req_frame(s, fr);
    }
}

/* ---- death ---- */

static void on_gone(struct tg_super *s)
{
    tg_super_poison_count(s, now_ms(s));
    tg_super_child_close(s);
    tg_timer_stop(s->env->loop, &s->tick);
    to_state(s, TG_ENGINE_BACKOFF, "the engine process ended unexpectedly");
    s->status.restarts++;
    tg_super_req_fail_all(s, false, TG_E_LOCAL_UNAVAILABLE,
                          "the local engine ended unexpectedly while it worked on this request");
    tg_timer_start(s->env->loop, &s->retry, REAP_MS);
}

static void describe_death(const struct tg_super *s, int status, char *out, size_t cap)
{
    char tail[400];
    tg_super_log_tail(s, tail, sizeof tail);
    const char *colon = tail[0] ? ": " : "";
    if (WIFSIGNALED(status))
        snprintf(out, cap, "the engine process was killed by signal %d (%s)%s%s", WTERMSIG(status),
                 sigabbrev_np(WTERMSIG(status)), colon, tail);
    else
        snprintf(out, cap, "the engine process left with exit code %d%s%s", WEXITSTATUS(status),
                 colon, tail);
}

static void after_crash(struct tg_super *s, int status)
{
    char why[512];
    describe_death(s, status, why, sizeof why);
    bool quick = s->ready_at_ms < s->child.started_ms || now_ms(s) - s->ready_at_ms < STABLE_MS;
    s->quick_failures = quick ? s->quick_failures + 1 : 1;
    if (s->quick_failures >= TG_SUPER_QUICK_FAILURES) {
        s->quick_failures = 0;
        fail_for_good(s, why);
        return;
    }
    uint64_t delay = (uint64_t)BACKOFF_FIRST_MS << (s->quick_failures - 1);
    to_state(s, TG_ENGINE_BACKOFF, why);
    tg_timer_start(s->env->loop, &s->retry, delay > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : delay);
}

/* The retry timer: waits for the old process to be gone, then for the backoff to be over. */
static void on_retry(struct tg_super *s)
{
    int status;
    bool had = s->child.p.pid != 0;
    if (!tg_super_child_reap(s, &status)) {
        if (s->child.asked_to_leave && now_ms(s) >= s->child.kill_at_ms)
            kill(s->child.p.pid, SIGKILL);
        tg_timer_start(s->env->loop, &s->retry, REAP_MS);
        return;
    }
    if (s->status.state != TG_ENGINE_BACKOFF)
        return; /* off or failed: the wish decides */
    if (had)
        after_crash(s, status);
    else
        start(s);
}

/* ---- watching ---- */

static void on_tick(struct tg_super *s)
{
    uint64_t silent = now_ms(s) - s->child.last_sign_ms;
    bool starting = s->status.state == TG_ENGINE_STARTING;
    bool busy = s->status.state == TG_ENGINE_READY && s->n_sent > 0;
    uint32_t limit = starting ? s->opts.start_timeout_ms : s->opts.watchdog_ms;
    if ((starting || busy) && silent > limit) {
        char line[80];
        snprintf(line, sizeof line, "no sign of life for %llu ms, killed",
                 (unsigned long long)silent);
        tg_super_log_add(s, tg_str_c(line));
        s->child.gone = true;
        tg_loop_wake(s->env->loop, &s->task);
        return;
    }
    s->status.resident_bytes = resident_bytes(s->child.p.pid);
    start_tick(s);
}

static void watch_idle(struct tg_super *s)
{
    bool idle = s->status.state == TG_ENGINE_READY && s->n_requests == 0 && s->opts.idle_stop_ms;
    if (!idle)
        tg_timer_stop(s->env->loop, &s->idle);
    else if (!tg_timer_active(&s->idle))
        tg_timer_start(s->env->loop, &s->idle, s->opts.idle_stop_ms);
}

static void on_idle(struct tg_super *s)
{
    if (s->status.state != TG_ENGINE_READY || s->n_requests)
        return;
    let_go(s, LEAVE_MS);
    to_state(s, TG_ENGINE_OFF, "");
}

/* ---- the step ---- */

static void apply_wish(struct tg_super *s)
{
    if (s->wish == TG_WISH_UNLOAD) {
        s->wish = TG_WISH_NONE;
        tg_super_stop(s, TG_E_LOCAL_UNAVAILABLE, "the local model was unloaded", LEAVE_MS);
        return;
    }
    bool down = s->status.state == TG_ENGINE_OFF || s->status.state == TG_ENGINE_FAILED;
    if (s->wish == TG_WISH_LOAD && down && s->child.p.pid == 0)
        start(s);
    else if (s->wish == TG_WISH_LOAD && !down)
        s->wish = TG_WISH_NONE;
}

static void step(struct tg_task *t)
{
    struct tg_super *s = tg_container_of(t, struct tg_super, task);
    tg_super_child_io(s);
    if (s->child.gone && s->child.p.fd >= 0)
        on_gone(s);
    bool tick = s->tick_due, retry = s->retry_due, idle = s->idle_due;
    s->tick_due = s->retry_due = s->idle_due = false;
    if (tick && s->child.p.fd >= 0)
        on_tick(s);
    if (retry)
        on_retry(s);
    if (idle)
        on_idle(s);
    apply_wish(s);
    watch_idle(s);
    s->status.pid = s->child.p.pid;
    s->status.running = s->n_sent;
    s->status.waiting = s->n_requests - s->n_sent;
    s->env->publish(s->env->ctx, s);
}

#define DUE(name, flag)                                                 \
    static void name(struct tg_timer *t)                                \
    {                                                                   \
        struct tg_super *s = tg_container_of(t, struct tg_super, flag); \
        s->flag##_due = true;                                           \
        tg_loop_wake(s->env->loop, &s->task);                           \
    }
DUE(tick_fires, tick)
DUE(retry_fires, retry)
DUE(idle_fires, idle)
#undef DUE

/* ---- life ---- */

static struct tg_str keep(char **at, struct tg_str s)
{
    char *p = *at;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = '\0';
    *at += s.n + 1;
    return tg_str_make(p, s.n);
}

int tg_super_new(const struct tg_super_env *env, uint32_t index,
                 const struct tg_engine_model_opts *opts, struct tg_super **out)
{
    struct tg_super *s = tg_calloc(1, sizeof *s);
    char *strings = tg_malloc(opts->name.n + opts->path.n + opts->chat_template.n + 3);
    if (!s || !strings) {
        tg_free(s);
        tg_free(strings);
        return TG_E_NOMEM;
    }
    s->env = env;
    s->index = index;
    s->opts = *opts;
    s->strings = strings;
    s->opts.name = keep(&strings, opts->name);
    s->opts.path = keep(&strings, opts->path);
    s->opts.chat_template = keep(&strings, opts->chat_template);
    s->child.p = (struct tg_spawned){0, -1, -1};
    tg_list_init(&s->requests);
    tg_task_init(&s->task, step);
    tg_timer_init(&s->tick, tick_fires);
    tg_timer_init(&s->retry, retry_fires);
    tg_timer_init(&s->idle, idle_fires);
    tg_buf_init(&s->log_part, 1024);
    *out = s;
    return 0;
}

void tg_super_free(struct tg_super *s)
{
    TG_REQUIRE(s->child.p.pid == 0 && s->n_requests == 0);
    tg_task_cancel(&s->task);
    tg_timer_stop(s->env->loop, &s->tick);
    tg_timer_stop(s->env->loop, &s->retry);
    tg_timer_stop(s->env->loop, &s->idle);
    tg_buf_fini(&s->log_part);
    tg_free(s->strings);
    tg_free(s);
}

void tg_super_wish(struct tg_super *s, enum tg_super_wish wish)
{
    s->wish = wish;
    tg_loop_wake(s->env->loop, &s->task);
}

void tg_super_stop(struct tg_super *s, int err, const char *why, uint64_t kill_after_ms)
{
    tg_super_req_fail_all(s, true, err, why);
    let_go(s, kill_after_ms);
    s->wish = TG_WISH_NONE;
    to_state(s, TG_ENGINE_OFF, "");
    tg_loop_wake(s->env->loop, &s->task);
}

bool tg_super_stopped(const struct tg_super *s)
{
    return s->child.p.pid == 0;
}
