// eval MODEL EVAL-FILE [show] : greedy answers against the expected ones
#include "eng.h"
int main(int c, char **v)
{
    init();
    struct llama_model *m = llama_model_load_from_file(v[1], llama_model_default_params());
    const struct llama_vocab *vo = llama_model_get_vocab(m);
    struct llama_context_params cp = llama_context_default_params();
    cp.n_ctx = 2048;
    cp.n_threads = cp.n_threads_batch = 1;
    cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    struct llama_context *x = llama_init_from_model(m, cp);
    struct llama_sampler *s = llama_sampler_init_greedy();
    FILE *f = fopen(v[2], "rb");
    static char b[8 << 20];
    size_t n = fread(b, 1, sizeof b, f);
    char cur[64] = "";
    int ok = 0, tot = 0, aok = 0, atot = 0, shown = 0;
    static llama_token t[4096];
    for (char *p = b; p < b + n;) {
        char *in = p;
        p += strlen(p) + 1;
        char *pr = p;
        p += strlen(p) + 1;
        char *an = p;
        p += strlen(p) + 1;
        if (strcmp(in, cur)) {
            if (tot)
                printf("%-12s %3d/%3d\n", cur, ok, tot);
            snprintf(cur, 64, "%s", in);
            ok = tot = shown = 0;
        }
        int k = llama_tokenize(vo, pr, strlen(pr), t, 4096, true, true);
        llama_memory_clear(llama_get_memory(x), false);
        if (llama_decode(x, llama_batch_get_one(t, k))) {
            puts("decode");
            continue;
        }
        char out[8192];
        int ol = 0;
        for (int g = 0; g < 400; g++) {
            llama_token id = llama_sampler_sample(s, x, -1);
            if (llama_vocab_is_eog(vo, id))
                break;
            char pc[256];
            int l = llama_token_to_piece(vo, id, pc, 256, 0, false);
            if (ol + l < 8000) {
                memcpy(out + ol, pc, l);
                ol += l;
            }
            if (llama_decode(x, llama_batch_get_one(&id, 1)))
                break;
        }
        out[ol] = 0;
        int good = !strcmp(out, an) || (strstr(an, out) && ol > 20);
        ok += good;
        tot++;
        aok += good;
        atot++;
        if (!good && c > 3 && shown < atoi(v[3])) {
            shown++;
            char *q = strstr(pr, "user\n");
            printf("    WRONG [%s] %.90s\n       got  %.160s\n       want %.160s\n", in,
                   q ? q + 5 : pr, out, an);
        }
    }
    printf("%-12s %3d/%3d\nall %d/%d\n", cur, ok, tot, aok, atot);
    return 0;
}
