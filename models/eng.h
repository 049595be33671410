#pragma once
#include <llama.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>
static int g_loglevel = GGML_LOG_LEVEL_WARN;
static inline void logcb(enum ggml_log_level l, const char *t, void *u)
{
    (void)u;
    static int on;
    if (l != GGML_LOG_LEVEL_CONT)
        on = (int)l >= g_loglevel;
    if (on)
        fputs(t, stderr);
}
static inline double now(void)
{
    static int w = -1;
    if (w < 0)
        w = getenv("CLK") != NULL;
    if (w) {
        struct timespec c;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &c);
        return c.tv_sec + c.tv_nsec * 1e-9;
    }
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static inline double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static inline long rss_kb(void)
{
    long a = 0, b = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f) {
        if (fscanf(f, "%ld %ld", &a, &b) != 2)
            b = 0;
        fclose(f);
    }
    return b * 4;
}
static inline void init(void)
{
    const char *v = getenv("LLV");
    if (v)
        g_loglevel = atoi(v);
    llama_log_set(logcb, NULL);
    const char *p = getenv("BACKENDS");
    if (p && *p)
        ggml_backend_load_all_from_path(p);
    else
        ggml_backend_load_all(); // BACKENDS: the folder of libggml-cpu-*.so
    llama_backend_init();
}
static inline void badd(struct llama_batch *b, llama_token t, llama_pos p, llama_seq_id s, bool out)
{
    int i = b->n_tokens++;
    b->token[i] = t;
    b->pos[i] = p;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = s;
    b->logits[i] = out;
}
