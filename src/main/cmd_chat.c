/* `tollgate chat`: a conversation in the terminal with a running gateway, or with one started in
 * this process when none runs. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "main/chat_client.h"
#include "main/cli.h"
#include "server/gateway.h"

#define DEFAULT_URL "http://127.0.0.1:8000"
#define PROBE_MS    300

/* The client whose request Ctrl-C cancels; NULL while there is none. Signal handlers have no other
 * way to know. */
static struct tg_chat_client *_Atomic running;

static void on_sigint(int sig TG_UNUSED)
{
    struct tg_chat_client *c = atomic_load(&running);
    if (c)
        tg_chat_client_cancel(c);
}

static void catch_sigint(void)
{
    struct sigaction sa = {.sa_handler = on_sigint}; /* no SA_RESTART: the prompt ends */
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
}

static void on_text(void *ctx TG_UNUSED, struct tg_str text)
{
    (void)fwrite(text.p, 1, text.n, stdout);
    (void)fflush(stdout);
}

static int ask(struct tg_chat_client *c, struct tg_str message)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    atomic_store(&running, c);
    int rc = tg_chat_client_ask(c, message, &fail);
    atomic_store(&running, NULL);
    printf("\n");
    if (rc == TG_E_CANCELLED)
        (void)fprintf(stderr, "(cancelled)\n");
    else if (rc < 0)
        (void)fprintf(stderr, "tollgate chat: %s\n", fail.message);
    return rc;
}

static int converse(struct tg_chat_client *c)
{
    static char line[65536];
    bool tty = isatty(STDIN_FILENO);
    int rc = 0;
    if (tty)
        printf("Type a message; Ctrl-C stops an answer, Ctrl-D ends.\n");
    for (;;) {
        if (tty) {
            printf("> ");
            (void)fflush(stdout);
        }
        if (!fgets(line, sizeof line, stdin))
            break;
        struct tg_str text = tg_str_trim(tg_str_c(line));
        if (text.n)
            rc = ask(c, text);
        if (rc < 0 && !tty)
            break;
    }
    return rc < 0 ? TG_EXIT_FAILED : 0;
}

static int one_question(struct tg_chat_client *c, const struct tg_cli *cli)
{
    struct tg_buf b;
    tg_buf_init(&b, 1u << 20);
    for (size_t i = 0; i < cli->n_words; i++)
        (void)tg_buf_printf(&b, "%s%s", i ? " " : "", cli->words[i]); /* tested below */
    int rc = tg_buf_ok(&b) ? ask(c, tg_buf_str(&b)) : TG_E_FULL;
    tg_buf_fini(&b);
    return rc < 0 ? TG_EXIT_FAILED : 0;
}

static struct tg_chat_client *open_client(const struct tg_cli *cli, const char *url)
{
    struct tg_chat_client *c;
    struct tg_fail fail;
    struct tg_chat_client_opts o = {
        .url = tg_str_c(url),
        .model = tg_str_c(cli->model),
        .system = tg_str_c(cli->system),
        .api_key = tg_str_c(getenv("TOLLGATE_API_KEY")),
        .on_text = on_text,
    };
    tg_fail_clear(&fail);
    if (tg_chat_client_new(&o, &c, &fail) < 0) {
        (void)fprintf(stderr, "tollgate chat: %s\n", fail.message);
        return NULL;
    }
    return c;
}

static int talk(const struct tg_cli *cli, const char *url)
{
    struct tg_chat_client *c = open_client(cli, url);
    if (!c)
        return TG_EXIT_FAILED;
    catch_sigint();
    int rc = cli->n_words ? one_question(c, cli) : converse(c);
    tg_chat_client_free(c);
    return rc;
}

static bool is_running(const struct tg_cli *cli)
{
    struct tg_chat_client *c = open_client(cli, DEFAULT_URL);
    bool up = c && tg_chat_client_probe(c, PROBE_MS);
    if (c)
        tg_chat_client_free(c);
    return up;
}

/* A gateway of our own, on a port of the system's choice, for this conversation. */
static int talk_in_process(struct tg_cli *cli)
{
    struct tg_gateway *g;
    struct tg_fail fail;
    char url[64];
    int rc = tg_cli_set(cli, "server.port", "0") | tg_cli_set(cli, "server.host", "127.0.0.1") |
             tg_cli_set(cli, "server.workers", "1") | tg_cli_set(cli, "store.path", "memory");
    const struct tg_snapshot *s = rc ? NULL : tg_cli_load(cli, true);
    if (!s)
        return TG_EXIT_USAGE;
    tg_log_set_level(TG_LOG_OFF);
    tg_fail_clear(&fail);
    if (tg_gateway_start(s, &g, &fail) < 0) {
        (void)fprintf(stderr, "tollgate chat: %s\n", fail.message);
        tg_snapshot_unref(s);
        return TG_EXIT_FAILED;
    }
    snprintf(url, sizeof url, "%s://127.0.0.1:%u",
             s->settings.server.tls_cert_file.n ? "https" : "http", tg_gateway_port(g));
    rc = talk(cli, url);
    tg_gateway_cut(g);
    tg_gateway_free(g);
    tg_snapshot_unref(s);
    return rc;
}

static int run(struct tg_cli *cli)
{
    if (cli->url)
        return talk(cli, cli->url);
    if (!cli->config_file && is_running(cli))
        return talk(cli, DEFAULT_URL);
    return talk_in_process(cli);
}

static int set_url(struct tg_cli *c, const char *v)
{
    c->url = v;
    return 0;
}
static int set_model(struct tg_cli *c, const char *v)
{
    c->model = v;
    return 0;
}
static int set_system(struct tg_cli *c, const char *v)
{
    c->system = v;
    return 0;
}

static const struct tg_cli_option options[] = {
    {"--url", "URL",
     "a running gateway (else " DEFAULT_URL " if it runs, else one in this process)", set_url},
    {"--model", "NAME", "the model to talk to (else the gateway's default)", set_model},
    {"--system", "TEXT", "a system message", set_system},
    {NULL, NULL, NULL, NULL},
};

const struct tg_command tg_cmd_chat = {
    .name = "chat",
    .usage = "[options] [MESSAGE]",
    .summary = "talk to a model in the terminal",
    .details =
        "With a message: asks it and prints the answer as it comes. Without: a conversation,\n"
        "or one question for each line of standard input. Ctrl-C cancels an answer.\n"
        "TOLLGATE_API_KEY is sent as the bearer token when it is set.",
    .options = options,
    .config = true,
    .run = run,
};
