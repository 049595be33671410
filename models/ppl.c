// ppl MODEL TOKENS.u16 DOCS : mean negative log likelihood per token over whole documents
#include "eng.h"
#include <math.h>
int main(int c, char **v)
{
    (void)c;
    init();
    struct llama_model *m = llama_model_load_from_file(v[1], llama_model_default_params());
    struct llama_context_params cp = llama_context_default_params();
    cp.n_ctx = 2048;
    cp.n_threads = cp.n_threads_batch = 1;
    struct llama_context *x = llama_init_from_model(m, cp);
    int nv = llama_vocab_n_tokens(llama_model_get_vocab(m));
    FILE *f = fopen(v[2], "rb");
    static uint16_t d[1 << 20];
    long n = fread(d, 2, 1 << 20, f), i = 0;
    double nll = 0;
    long cnt = 0;
    int docs = 0;
    struct llama_batch b = llama_batch_init(2048, 0, 1);
    while (i < n && docs < atoi(v[3])) {
        long j = i + 1;
        while (j < n && d[j] != 0)
            j++;
        b.n_tokens = 0;
        for (long k = i; k < j && k - i < 2048; k++)
            badd(&b, d[k], k - i, 0, true);
        llama_memory_clear(llama_get_memory(x), false);
        if (llama_decode(x, b))
            return 1;
        for (int k = 0; k + 1 < b.n_tokens; k++) {
            float *l = llama_get_logits_ith(x, k);
            double s = 0, mx = -1e30;
            for (int q = 0; q < nv; q++)
                if (l[q] > mx)
                    mx = l[q];
            for (int q = 0; q < nv; q++)
                s += exp(l[q] - mx);
            nll += mx + log(s) - l[b.token[k + 1]];
            cnt++;
        }
        i = j;
        docs++;
    }
    printf("%s: %d documents, %ld tokens, %.4f nats/token, perplexity %.3f\n", v[1], docs, cnt,
           nll / cnt, exp(nll / cnt));
    return 0;
}
