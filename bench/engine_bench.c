/* Tokens per second of the engine as the gateway uses it: host, frames, scheduler, sampling, all of
 * it. Each round submits STREAMS stories at once and waits for all. Prints one JSON line a round.
 * Time is the child's CPU time as well as the wall's, because shared machines make the wall's lie.
 *
 *   engine_bench MODEL|builtin STREAMS TOKENS ROUNDS [THREADS [FORM]]
 *
 * FORM: text, tools (the model may call one, and writes text), json (a list of strings).
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"
#include "engine/child.h"
#include "engine/engine.h"
#include "engine/tools_priv.h"
#include "io/loop.h"
#include "io/mailbox.h"

enum { MAX_STREAMS = 64 };

struct bench {
    struct tg_loop *loop;
    struct tg_mailbox *inbox;
    struct tg_engine_host *host;
    uint32_t client, model, left;
    uint64_t prompt_tokens, cached_tokens, tokens, errors;
    struct tg_str grammar;
};

static void on_event(void *ctx, struct tg_engine_event *ev)
{
    struct bench *b = ctx;
    if (ev->kind == TG_ENGINE_EV_DONE) {
        b->prompt_tokens += ev->counts.prompt_tokens;
        b->cached_tokens += ev->counts.cached_tokens;
        b->tokens += ev->counts.completion_tokens;
    }
    if (ev->kind == TG_ENGINE_EV_ERROR) {
        fprintf(stderr, "%.*s\n", TG_STR_ARG(ev->text));
        b->errors++;
    }
    if (ev->last && --b->left == 0)
        tg_loop_stop(b->loop);
    tg_engine_event_free(ev);
}

/* Nanoseconds on a processor, all threads of a process. */
static uint64_t cpu_ns(int pid)
{
    char path[300], text[128];
    uint64_t sum = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
        FILE *f = fopen(path, "re");
        if (!f)
            continue;
        uint64_t ns;
        struct tg_str rest = tg_str_make(text, fread(text, 1, sizeof text, f)), part;
        if (tg_str_split(&rest, ' ', &part) && tg_parse_u64(part, &ns) == 0)
            sum += ns;
        fclose(f);
    }
    if (d)
        closedir(d);
    return sum;
}

static void submit(struct bench *b, uint32_t i, uint32_t round, uint32_t tokens)
{
    static const char *const animals[] = {"turtle", "fox", "bear", "cat",  "dog", "hen", "mouse",
                                          "rabbit", "owl", "duck", "frog", "bee", "ant", "lion"};
    static const char *const names[] = {"Rosa", "Max", "Lily", "Ben", "Noah"};
    char text[128];
    uint32_t k = round * MAX_STREAMS + i;
    int n = snprintf(text, sizeof text, "Tell me a long story about a %s called %s.",
                     animals[k % TG_ARRAY_LEN(animals)], names[k % TG_ARRAY_LEN(names)]);
    const struct tg_engine_message m = {TG_ROLE_USER, tg_str_make(text, (size_t)n)};
    struct tg_engine_request req = {.messages = &m,
                                    .n_messages = 1,
                                    .max_tokens = tokens,
                                    .grammar = b->grammar,
                                    .credit_bytes = 1 << 20}; /* more than it will write */
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_engine_sampling_init(&req.sampling);
    req.sampling.temperature = 0;
    struct tg_engine_tag tag = {.a = i};
    if (tg_engine_submit(b->host, b->model, b->client, tag, &req, &f, NULL) < 0) {
        fprintf(stderr, "%s\n", f.message);
        exit(1);
    }
    b->left++;
}

static void run_round(struct bench *b, uint32_t streams, uint32_t tokens, uint32_t round)
{
    struct tg_engine_status s;
    b->prompt_tokens = b->cached_tokens = b->tokens = 0;
    if (tg_engine_model_status(b->host, b->model, &s) < 0)
        exit(1);
    uint64_t cpu = s.pid ? cpu_ns(s.pid) : 0, own = cpu_ns(getpid()), wall = tg_clock_mono_ns();
    for (uint32_t i = 0; i < streams; i++)
        submit(b, i, round, tokens);
    tg_loop_run(b->loop);
    wall = tg_clock_mono_ns() - wall;
    own = cpu_ns(getpid()) - own;
    if (round == 0)
        return; /* loading and warming up */
    cpu = cpu_ns(s.pid) - cpu;
    printf("{\"streams\":%u,\"prompt_tokens\":%" PRIu64 ",\"cached_tokens\":%" PRIu64
           ",\"tokens\":%" PRIu64 ",\"child_cpu_ns\":%" PRIu64 ",\"gateway_cpu_ns\":%" PRIu64
           ",\"wall_ns\":%" PRIu64 "}\n",
           streams, b->prompt_tokens, b->cached_tokens, b->tokens, cpu, own, wall);
    fflush(stdout);
}

static uint32_t number(const char *text, uint32_t max)
{
    uint64_t v;
    if (tg_parse_u64(tg_str_c(text), &v) < 0 || v == 0 || v > max) {
        fprintf(stderr, "not a number from 1 to %u: %s\n", max, text);
        exit(2);
    }
    return (uint32_t)v;
}

/* The grammar of the form; the arena lives as long as the process. */
static struct tg_str grammar_of(const char *form)
{
    static struct tg_tool tool = {.is_function = true, .name = TG_STR_INIT("f")};
    struct tg_chat_req chat = {.tool_choice.parallel = -1};
    static struct tg_arena arena;
    struct tg_str out = TG_STR("");
    struct tg_fail f;
    tg_fail_clear(&f);
    tg_arena_init(&arena, 4096, 1 << 20);
    if (strcmp(form, "tools") == 0) {
        chat.tools = &tool;
        chat.n_tools = 1;
    } else if (strcmp(form, "json") == 0) {
        chat.format.kind = TG_FORMAT_SCHEMA;
        chat.format.schema = TG_STR("{\"type\":\"array\",\"minItems\":999,\"items\":{\"type\":"
                                    "\"string\",\"maxLength\":60}}");
    } else if (strcmp(form, "text") != 0) {
        exit(2);
    }
    if (tg_tools_grammar(&arena, &chat, true, NULL, &f, &out) < 0)
        exit(1);
    return out;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "engine") == 0)
        return tg_engine_child_main(TG_ENGINE_CHILD_FD);
    if (argc < 5) {
        fprintf(stderr, "engine_bench MODEL|builtin STREAMS TOKENS ROUNDS [THREADS [FORM]]\n");
        return 2;
    }
    struct bench b = {0};
    struct tg_engine_model_opts o;
    struct tg_fail f;
    uint32_t streams = number(argv[2], MAX_STREAMS), tokens = number(argv[3], 100000);
    uint32_t rounds = number(argv[4], 1000000);
    tg_fail_clear(&f);
    tg_log_set_level(getenv("VERBOSE") ? TG_LOG_DEBUG : TG_LOG_WARNING);
    tg_engine_model_opts_init(&o);
    o.name = TG_STR("bench");
    o.path = strcmp(argv[1], "builtin") == 0 ? TG_STR("") : tg_str_c(argv[1]);
    o.threads = argc > 5 ? number(argv[5], 1024) : 1;
    b.grammar = grammar_of(argc > 6 ? argv[6] : "text");
    if (tg_loop_new(&b.loop) < 0 || tg_mailbox_new(b.loop, 65536, &b, &b.inbox) < 0 ||
        tg_engine_host_new(NULL, &b.host) < 0 ||
        tg_engine_client_add(b.host, b.inbox, on_event, &b.client) < 0 ||
        tg_engine_model_add(b.host, &o, &f, &b.model) < 0)
        return 1;
    for (uint32_t i = 0; i <= rounds && !b.errors; i++)
        run_round(&b, streams, tokens, i);
    struct tg_engine_status s;
    if (tg_engine_model_status(b.host, b.model, &s) == 0)
        fprintf(stderr, "%s, %s, flash attention %s, loaded in %u ms\n", s.info.library,
                s.info.backend, s.info.flash ? "on" : "off", s.info.load_ms);
    tg_engine_host_free(b.host);
    tg_mailbox_free(b.inbox);
    tg_loop_free(b.loop);
    return b.errors ? 1 : 0;
}
