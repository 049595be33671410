// tok VOCAB.gguf CORPUS OUT.u16 : tokenise NUL-separated documents with llama_tokenize
#include <llama.h>
#include <stdlib.h>
#include <string.h>
static void quiet(enum ggml_log_level l, const char *t, void *u)
{
    (void)u;
    if (l >= GGML_LOG_LEVEL_WARN && l != GGML_LOG_LEVEL_CONT)
        fputs(t, stderr);
}
int main(int c, char **v)
{
    if (c != 4)
        return 2;
    llama_log_set(quiet, NULL);
    llama_backend_init();
    struct llama_model_params mp = llama_model_default_params();
    mp.vocab_only = true;
    struct llama_model *m = llama_model_load_from_file(v[1], mp);
    if (!m) {
        fprintf(stderr, "load failed\n");
        return 1;
    }
    const struct llama_vocab *vo = llama_model_get_vocab(m);
    FILE *f = fopen(v[2], "rb"), *o = fopen(v[3], "wb");
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    char *b = malloc(n + 1);
    if (fread(b, 1, n, f) != (size_t)n)
        return 1;
    b[n] = 0;
    long tot = 0, docs = 0, bad = 0, maxl = 0;
    llama_token *t = malloc(65536 * sizeof *t);
    char *back = malloc(1 << 20);
    for (char *p = b; p < b + n; p += strlen(p) + 1) {
        int len = strlen(p), k = llama_tokenize(vo, p, len, t, 65536, false, true);
        if (k < 0)
            return 1;
        for (int i = 0; i < k; i++) {
            uint16_t x = t[i];
            fwrite(&x, 2, 1, o);
        }
        int r = llama_detokenize(vo, t, k, back, 1 << 20, false, true);
        if (r != len || memcmp(back, p, len))
            bad++;
        tot += k;
        docs++;
        if (k > maxl)
            maxl = k;
    }
    fclose(o);
    printf("%ld docs, %ld tokens, %.2f bytes/token, longest %ld, round-trip failures %ld\n", docs,
           tot, (double)n / tot, maxl, bad);
    llama_model_free(m);
    return 0;
}
