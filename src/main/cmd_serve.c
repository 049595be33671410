/* `tollgate serve`: the gateway, its first screen, and the signals that steer it. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/log.h"
#include "main/cli.h"
#include "server/gateway.h"

#define POLL_MS 50

/* ---- the first screen ---- */

static void print_model(const struct tg_snapshot *s, const struct tg_model *m)
{
    const struct tg_target *t = &s->targets[m->target];
    const char *kind = m->builtin ? "built-in demo model" : tg_backend_kind_name(t->kind);
    bool is_default = tg_str_eq(m->name, s->default_model);
    printf("    %-24.*s %s%s%.*s%s%.*s\n", TG_STR_ARG(m->name), kind, t->url.text.n ? "  " : "",
           TG_STR_ARG(t->url.text), t->unavailable.n ? "  unavailable: " : "",
           TG_STR_ARG(t->unavailable));
    if (is_default)
        printf("    %-24s ^ the default\n", "");
}

static void first_screen(const struct tg_snapshot *s, uint16_t port)
{
    const struct tg_server_settings *v = &s->settings.server;
    const char *scheme = v->tls_cert_file.n ? "https" : "http";
    const char *host = tg_str_eq(v->host, TG_STR("0.0.0.0")) ? "127.0.0.1" : v->host.p;
    const char *open = strchr(host, ':') ? "[" : "", *close = *open ? "]" : "";
    printf("Tollgate %s serves on %s://%s%s%s:%u with %u worker%s\n\n  models\n", TG_VERSION,
           scheme, open, host, close, port, v->workers, v->workers == 1 ? "" : "s");
    for (size_t i = 0; i < s->n_models; i++)
        print_model(s, &s->models[i]);
    printf("\n  try it\n"
           "    curl -N %s://%s%s%s:%u/v1/chat/completions -H 'Content-Type: application/json' \\\n"
           "      -d '{\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of "
           "France?\"}],\"stream\":true}'\n\n"
           "  Also: /v1/models  /v1/health  /metrics      Ctrl-C drains and stops, twice stops at "
           "once; SIGHUP reloads\n",
           scheme, open, host, close, port);
    (void)fflush(stdout);
}

/* ---- signals ---- */

static void signal_set(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

static void reload_failed(struct tg_gateway *g, const char *why)
{
    tg_gateway_count_failed_reload(g);
    tg_log_msg(TG_LOG_ERROR, "config_reload_failed", "%s; the old configuration serves on", why);
}

static void reload(struct tg_gateway *g, const struct tg_cli *c)
{
    struct tg_fail fail;
    bool restart = false;
    const struct tg_snapshot *s = tg_cli_load(c, false);
    if (!s) {
        reload_failed(g, "the new configuration is invalid");
        return;
    }
    tg_fail_clear(&fail);
    if (tg_gateway_reload(g, s, &restart, &fail) < 0) {
        reload_failed(g, fail.message);
    } else {
        tg_log_set_level(s->settings.observability.log_level);
        tg_log_msg(TG_LOG_INFO, "config_reloaded", "%zu models%s", s->n_models,
                   restart ? "; host, port, workers and store.path change with the next start"
                           : "");
    }
    tg_snapshot_unref(s);
}

/* Until every worker has ended. */
static void steer(struct tg_gateway *g, const struct tg_cli *c)
{
    sigset_t set;
    bool draining = false;
    signal_set(&set);
    while (!tg_gateway_ended(g)) {
        struct timespec wait = {.tv_nsec = POLL_MS * 1000000};
        int sig = sigtimedwait(&set, NULL, &wait);
        tg_gateway_tick(g);
        if (sig == SIGHUP && !draining) {
            reload(g, c);
        } else if ((sig == SIGINT || sig == SIGTERM) && !draining) {
            draining = true;
            tg_log_msg(TG_LOG_INFO, "shutting_down", "draining");
            tg_gateway_drain(g);
        } else if (sig == SIGINT || sig == SIGTERM) {
            tg_gateway_cut(g);
        }
    }
}

/* Shells begin with a soft limit of 1,024, which is for programs that use select(2); the hard limit
 * is what the administrator allows. Where raising fails, accepting pauses at the limit. */
static void raise_descriptor_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l); /* the old limit stays */
    }
}

static int serve(struct tg_cli *c, const struct tg_snapshot *s)
{
    struct tg_gateway *g;
    struct tg_fail fail;
    sigset_t set;
    tg_alloc_tune();
    raise_descriptor_limit();
    signal_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* threads inherit it: only steer() takes them */
    if (tg_log_start(STDERR_FILENO, s->settings.observability.log_level) < 0) {
        (void)fprintf(stderr, "tollgate: cannot start logging\n");
        return TG_EXIT_FAILED;
    }
    tg_fail_clear(&fail);
    int rc = tg_gateway_start(s, &g, &fail);
    if (rc < 0) {
        tg_log_stop();
        (void)fprintf(stderr, "tollgate: %s\n", fail.message);
        return rc == TG_E_CONFIG ? TG_EXIT_USAGE : TG_EXIT_FAILED;
    }
    first_screen(s, tg_gateway_port(g));
    tg_log_msg(TG_LOG_INFO, "started", "listening on port %u", tg_gateway_port(g));
    steer(g, c);
    tg_gateway_free(g);
    tg_log_msg(TG_LOG_INFO, "stopped", "all workers have ended");
    tg_log_stop();
    return 0;
}

int tg_cli_serve(struct tg_cli *c)
{
    const struct tg_snapshot *s = tg_cli_load(c, false);
    if (!s)
        return TG_EXIT_USAGE;
    int rc = serve(c, s);
    tg_snapshot_unref(s);
    return rc;
}

static int run(struct tg_cli *c)
{
    if (c->n_words) {
        (void)fprintf(stderr, "tollgate serve: unexpected '%s'\n", c->words[0]);
        return TG_EXIT_USAGE;
    }
    return tg_cli_serve(c);
}

const struct tg_command tg_cmd_serve = {
    .name = "serve",
    .usage = "[--config FILE] [options]",
    .summary = "run the gateway",
    .details = "Serves the configured models, or the built-in demo model when there is no\n"
               "configuration. Settings come from the file, .env files and the environment; see\n"
               "docs/configuration.md. Logs are JSON lines on stderr.\n"
               "SIGTERM and Ctrl-C drain (a second one stops at once); SIGHUP reloads.",
    .config = true,
    .run = run,
};
