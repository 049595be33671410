// gen MODEL [-n N] [-t THREADS] [-T TEMP] [-s SYSTEM] [-r (raw prompt)] PROMPT...   each PROMPT is
// one user turn of a dialogue
#include "eng.h"
int main(int c, char **v)
{
    int n = 200, th = 1, raw = 0, o;
    float temp = 0;
    const char *sys = NULL;
    int quietstat = 0;
    while ((o = getopt(c, v, "n:t:T:s:rq")) != -1)
        switch (o) {
        case 'n':
            n = atoi(optarg);
            break;
        case 't':
            th = atoi(optarg);
            break;
        case 'T':
            temp = atof(optarg);
            break;
        case 's':
            sys = optarg;
            break;
        case 'r':
            raw = 1;
            break;
        case 'q':
            quietstat = 1;
            break;
        default:
            return 2;
        }
    init();
    double t0 = now();
    struct llama_model *m = llama_model_load_from_file(v[optind++], llama_model_default_params());
    if (!m)
        return 1;
    const struct llama_vocab *vo = llama_model_get_vocab(m);
    struct llama_context_params cp = llama_context_default_params();
    cp.n_ctx = 2048;
    cp.n_threads = cp.n_threads_batch = th;
    cp.no_perf = false;
    struct llama_context *x = llama_init_from_model(m, cp);
    if (!x)
        return 1;
    double t1 = now();
    struct llama_sampler *s = llama_sampler_chain_init(llama_sampler_chain_default_params());
    if (temp > 0) {
        llama_sampler_chain_add(s, llama_sampler_init_top_k(40));
        llama_sampler_chain_add(s, llama_sampler_init_top_p(.95f, 1));
        llama_sampler_chain_add(s, llama_sampler_init_temp(temp));
        llama_sampler_chain_add(s, llama_sampler_init_dist(42));
    } else
        llama_sampler_chain_add(s, llama_sampler_init_greedy());
    struct llama_chat_message ms[64];
    int nm = 0;
    if (sys)
        ms[nm++] = (struct llama_chat_message){"system", sys};
    char *buf = malloc(1 << 16);
    llama_token *t = malloc(8192 * sizeof *t), *cur = malloc(8192 * sizeof *cur);
    int ncur = 0;
    for (; optind < c; optind++) {
        int len;
        if (raw) {
            len = snprintf(buf, 1 << 16, "%s", v[optind]);
            ncur = 0;
            llama_memory_clear(llama_get_memory(x), true);
        } else {
            ms[nm++] = (struct llama_chat_message){"user", v[optind]};
            len = llama_chat_apply_template(llama_model_chat_template(m, NULL), ms, nm, true, buf,
                                            1 << 16);
        }
        if (len < 0) {
            fprintf(stderr, "template not supported\n");
            return 1;
        }
        int k = llama_tokenize(vo, buf, len, t, 8192, true, true);
        if (k < 0)
            return 1;
        int keep = 0;
        while (keep < ncur && keep < k - 1 && t[keep] == cur[keep])
            keep++; // prefix reuse
        llama_memory_seq_rm(llama_get_memory(x), 0, keep, -1);
        double p0 = now();
        if (llama_decode(x, llama_batch_get_one(t + keep, k - keep)))
            return 1;
        llama_synchronize(x);
        double p1 = now();
        memcpy(cur, t, k * sizeof *t);
        ncur = k;
        printf("%s%s%s", raw ? "" : "> ", v[optind], raw ? "" : "\n");
        char *ans = calloc(1, 1 << 16);
        int al = 0, g = 0;
        double d0 = now();
        for (; g < n && ncur < 2047; g++) {
            llama_token id = llama_sampler_sample(s, x, -1);
            if (llama_vocab_is_eog(vo, id))
                break;
            char pc[256];
            int l = llama_token_to_piece(vo, id, pc, sizeof pc, 0, false);
            fwrite(pc, 1, l, stdout);
            fflush(stdout);
            if (al + l < 65535) {
                memcpy(ans + al, pc, l);
                al += l;
            }
            cur[ncur++] = id;
            if (llama_decode(x, llama_batch_get_one(&id, 1)))
                return 1;
        }
        double d1 = now();
        puts("");
        if (!quietstat)
            fprintf(stderr,
                    "[load %.0f ms; prompt %d tokens (%d reused) %.1f ms = %.0f tok/s; gen %d in "
                    "%.1f ms = %.0f tok/s; rss %ld MB]\n",
                    (t1 - t0) * 1e3, k, keep, (p1 - p0) * 1e3, (k - keep) / (p1 - p0), g,
                    (d1 - d0) * 1e3, g / (d1 - d0), rss_kb() / 1024);
        if (!raw)
            ms[nm++] = (struct llama_chat_message){"assistant", ans};
    }
    llama_sampler_free(s);
    llama_free(x);
    llama_model_free(m);
    llama_backend_free();
    return 0;
}
