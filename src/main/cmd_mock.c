/* `tollgate mock`: a scripted provider on its own port. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/num.h"
#include "config/mock_steps.h"
#include "core/mock_script.h"
#include "main/cli.h"
#include "server/mock_record.h"
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

static int problem(int code, const char *what, const char *why)
{
    (void)fprintf(stderr, "tollgate mock: %s%s%s\n", what, why ? ": " : "", why ? why : "");
    return code;
}

/* The file of --script into the arena. */
static int read_script(const char *file, struct tg_arena *a, struct tg_mock_config *out)
{
    struct tg_fail fail;
    struct tg_arena scratch;
    FILE *f = fopen(file, "re");
    char *text = tg_arena_alloc(a, TG_MOCK_MAX_FILE_BYTES + 1);
    if (!f || !text) {
        int rc = problem(TG_EXIT_USAGE, file, f ? "out of memory" : strerror(errno));
        if (f)
            (void)fclose(f);
        return rc;
    }
    size_t n = fread(text, 1, TG_MOCK_MAX_FILE_BYTES + 1, f);
    bool failed = ferror(f) != 0;
    (void)fclose(f);
    if (failed || n > TG_MOCK_MAX_FILE_BYTES)
        return problem(TG_EXIT_USAGE, file, failed ? "cannot be read" : "is larger than 1 MiB");
    tg_fail_clear(&fail);
    tg_arena_init(&scratch, 4096, 16u << 20);
    int rc = tg_mock_steps_parse(&scratch, a, tg_str_make(text, n), &out->steps, &fail);
    tg_arena_fini(&scratch);
    return rc < 0 ? problem(TG_EXIT_USAGE, file, fail.message) : 0;
}

/* What the options say; 0, or an exit code after a message. */
static int make_opts(const struct tg_cli *c, struct tg_arena *a, struct tg_mock_server_opts *o)
{
    struct tg_fail fail;
    tg_fail_clear(&fail);
    if (c->model && tg_mock_script_apply(tg_str_c(c->model), &o->script, NULL, &fail) < 0)
        return problem(TG_EXIT_USAGE, fail.message, NULL);
    int rc = c->script ? read_script(c->script, a, &o->script) : 0;
    if (rc == 0)
        rc = make_tls(c, &o->tls);
    if (rc == 0 && c->record && (o->record_fd = tg_mock_record_open(c->record)) < 0)
        rc = problem(TG_EXIT_USAGE, c->record, strerror(errno));
    return rc;
}

static int run(struct tg_cli *c)
{
    struct tg_mock_server_opts o = {.host = c->host ? c->host : "127.0.0.1",
                                    .port = (uint16_t)c->port};
    struct tg_loop *loop;
    struct tg_arena a;
    tg_arena_init(&a, 4096, 16u << 20);
    int rc = make_opts(c, &a, &o);
    if (rc == 0 && tg_loop_new(&loop) < 0) {
        rc = problem(TG_EXIT_FAILED, "cannot make an event loop", NULL);
    } else if (rc == 0) {
        rc = serve(loop, &o);
        tg_loop_free(loop);
    }
    tg_tls_unref(o.tls);
    if (o.record_fd > 0)
        (void)close(o.record_fd);
    tg_arena_fini(&a);
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
/* "mock" and "mock:…" are what a model's name can say, all else names a file. */
static int set_script(struct tg_cli *c, const char *v)
{
    struct tg_str name = tg_str_c(v);
    if (tg_str_eq(name, TG_STR("mock")) || tg_str_starts(name, TG_STR("mock:")))
        c->model = v;
    else
        c->script = v;
    return 0;
}
static int set_record(struct tg_cli *c, const char *v)
{
    c->record = v;
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
    {"--script", "SCRIPT",
     "what plain names get: mock:tokens=20,delay=50, or a file of steps, or one of each",
     set_script},
    {"--record", "FILE", "write every request to this file, one line of JSON each", set_record},
    {"--tls-cert", "FILE", "serve TLS with this certificate chain (PEM)", set_cert},
    {"--tls-key", "FILE", "its key (PEM; else it is in the certificate's file)", set_key},
    {NULL, NULL, NULL, NULL},
};

const struct tg_command tg_cmd_mock = {
    .name = "mock",
    .usage = "[options]",
    .summary = "run a scripted provider, for tests",
    .details =
        "Serves OpenAI's chat completions, completions, embeddings, moderations, rerank and "
        "models.\n"
        "Answers come from scripts in model names:\n"
        "  tokens, text         what it says\n"
        "  latency, ttft, delay waits in ms: before the answer, the first token, each token\n"
        "  status, retry_after  an error answer\n"
        "  wire, after          a fault after that many tokens: reset, close, stall,\n"
        "                       truncated_chunk, bad_chunk, no_done, error_event; or instead of\n"
        "                       an answer: garbage, big_header, html, bad_json; or drip\n"
        "or from a file of steps, tool calls included: see docs/api.md, \"The mock\".",
    .options = options,
    .run = run,
};
