/* `tollgate mock`: a scripted provider on its own port. */
#include <signal.h>
#include <stdio.h>

#include "base/err.h"
#include "base/num.h"
#include "core/mock_script.h"
#include "main/cli.h"
#include "server/mock_server.h"

/* The loop that SIGINT and SIGTERM stop: handlers have no other way to know it. */
static struct tg_loop *stopping;

static void on_signal(int sig TG_UNUSED)
{
    tg_loop_stop_async(stopping);
}

static void catch_signals(struct tg_loop *loop)
{
    struct sigaction sa = {.sa_handler = on_signal};
    stopping = loop;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

static int serve(struct tg_loop *loop, const struct tg_mock_server_opts *o)
{
    struct tg_mock_server *s;
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (tg_mock_server_start(loop, o, &s, &fail) < 0) {
        (void)fprintf(stderr, "tollgate mock: %s\n", fail.message);
        return TG_EXIT_FAILED;
    }
    printf("A scripted provider serves on %s://%s:%u/v1\n"
           "  model names are scripts: mock, mock:tokens=50,ttft=200,delay=10, "
           "mock:status=429,retry_after=2, mock:wire=reset,after=3\n",
           o->tls ? "https" : "http", o->host, tg_mock_server_port(s));
    (void)fflush(stdout);
    catch_signals(loop);
    tg_loop_run(loop);
    tg_mock_server_stop(s);
    return 0;
}

static int make_tls(const struct tg_cli *c, struct tg_tls_ctx **out)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (!c->tls_cert)
        return 0;
    if (tg_tls_server_new(c->tls_cert, c->tls_key ? c->tls_key : c->tls_cert, out, &fail) == 0)
        return 0;
    (void)fprintf(stderr, "tollgate mock: %s\n", fail.message);
    return TG_EXIT_USAGE;
}

static int run(struct tg_cli *c)
{
    struct tg_mock_server_opts o = {.host = c->host ? c->host : "127.0.0.1",
                                    .port = (uint16_t)c->port};
    struct tg_fail fail;
    struct tg_loop *loop;
    tg_fail_clear(&fail);
    if (c->model && tg_mock_script_apply(tg_str_c(c->model), &o.script, NULL, &fail) < 0) {
        (void)fprintf(stderr, "tollgate mock: %s\n", fail.message);
        return TG_EXIT_USAGE;
    }
    int rc = make_tls(c, &o.tls);
    if (rc)
        return rc;
    if (tg_loop_new(&loop) < 0) {
        (void)fprintf(stderr, "tollgate mock: cannot make an event loop\n");
        return TG_EXIT_FAILED;
    }
    rc = serve(loop, &o);
    tg_tls_unref(o.tls);
    tg_loop_free(loop);
    return rc;
}

static int set_port(struct tg_cli *c, const char *v)
{
    uint64_t n;
    if (tg_parse_u64(tg_str_c(v), &n) < 0 || n > 65535) {
        (void)fprintf(stderr, "tollgate mock: --port takes 0 to 65535\n");
        return TG_EXIT_USAGE;
    }
    c->port = (unsigned)n;
    return 0;
}
static int set_host(struct tg_cli *c, const char *v)
{
    c->host = v;
    return 0;
}
static int set_script(struct tg_cli *c, const char *v)
{
    c->model = v;
    return 0;
}
static int set_cert(struct tg_cli *c, const char *v)
{
    c->tls_cert = v;
    return 0;
}
static int set_key(struct tg_cli *c, const char *v)
{
    c->tls_key = v;
    return 0;
}

static const struct tg_cli_option options[] = {
    {"--host", "ADDRESS", "address to listen on, 127.0.0.1", set_host},
    {"--port", "N", "port to listen on; 0 (the default) lets the system choose", set_port},
    {"--script", "SCRIPT", "what plain model names get, for example mock:tokens=20,delay=50",
     set_script},
    {"--tls-cert", "FILE", "serve TLS with this certificate chain (PEM)", set_cert},
    {"--tls-key", "FILE", "its key (PEM; else it is in the certificate's file)", set_key},
    {NULL, NULL, NULL, NULL},
};

const struct tg_command tg_cmd_mock = {
    .name = "mock",
    .usage = "[options]",
    .summary = "run a scripted provider, for tests",
    .details =
        "Serves OpenAI's chat completions, completions and models from scripts in model names:\n"
        "  tokens, text         what it says\n"
        "  latency, ttft, delay waits in ms: before the answer, the first token, each token\n"
        "  status, retry_after  an error answer\n"
        "  wire, after          a fault after that many tokens: reset, close, stall,\n"
        "                       truncated_chunk, bad_chunk, no_done, error_event; or instead of\n"
        "                       an answer: garbage, big_header, html, bad_json; or drip",
    .options = options,
    .run = run,
};
