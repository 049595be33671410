/* Built in place of llama.c when llama.cpp's headers were not found. */
#include "base/assert.h"
#include "base/err.h"
#include "engine/llama_api_priv.h"

int tg_llm_open(const char *const *dirs, size_t n_dirs, void (*log)(const char *line), bool verbose,
                struct tg_fail *f, struct tg_llm **out)
{
    (void)dirs;
    (void)n_dirs;
    (void)log;
    (void)verbose;
    (void)out;
    return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                       "local inference is not installed: this binary was built without llama.cpp "
                       "(run ./dev setup, or install libllama-dev, and build again)");
}

/* Nothing below can be reached without a tg_llm, and tg_llm_open gives none. */
void tg_llm_close(struct tg_llm *m)
{
    TG_REQUIRE(!m);
}
const char *tg_llm_version(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
int tg_llm_probe(struct tg_llm *m, const char *path, struct tg_llm_shape *out, struct tg_fail *f)
{
    TG_UNREACHABLE();
}
int tg_llm_load(struct tg_llm *m, const char *path, bool no_mmap,
                bool (*on_progress)(void *ctx, unsigned permille), void *ctx, struct tg_fail *f)
{
    TG_UNREACHABLE();
}
void tg_llm_describe(const struct tg_llm *m, struct tg_engine_info *out)
{
    TG_UNREACHABLE();
}
int tg_llm_context(struct tg_llm *m, const struct tg_llm_ctx_opts *o, struct tg_fail *f)
{
    TG_UNREACHABLE();
}
uint32_t tg_llm_n_cells(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
uint32_t tg_llm_n_batch(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
int tg_llm_tokenize(const struct tg_llm *m, struct tg_str text, bool add_special,
                    bool parse_special, int32_t *out, uint32_t cap)
{
    TG_UNREACHABLE();
}
size_t tg_llm_piece(const struct tg_llm *m, int32_t token, char *out, size_t cap)
{
    TG_UNREACHABLE();
}
bool tg_llm_is_end(const struct tg_llm *m, int32_t token)
{
    TG_UNREACHABLE();
}
uint32_t tg_llm_n_vocab(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
struct tg_str tg_llm_token_text(const struct tg_llm *m, int32_t token, bool *out_control)
{
    TG_UNREACHABLE();
}
int tg_llm_template(const struct tg_llm *m, const char *name, const struct tg_llm_message *msgs,
                    size_t n, char *out, size_t cap)
{
    TG_UNREACHABLE();
}
bool tg_llm_has_template(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
enum tg_llm_decode_result tg_llm_decode(struct tg_llm *m, const struct tg_llm_row *rows, uint32_t n)
{
    TG_UNREACHABLE();
}
const float *tg_llm_logits(struct tg_llm *m, uint32_t row)
{
    TG_UNREACHABLE();
}
bool tg_llm_can_cut(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
void tg_llm_clear(struct tg_llm *m)
{
    TG_UNREACHABLE();
}
bool tg_llm_seq_cut(struct tg_llm *m, uint32_t seq, uint32_t from)
{
    TG_UNREACHABLE();
}
void tg_llm_seq_copy(struct tg_llm *m, uint32_t from_seq, uint32_t to_seq, uint32_t n)
{
    TG_UNREACHABLE();
}
struct tg_llm_sampler *tg_llm_sampler_new(struct tg_llm *m, const struct tg_engine_sampling *s,
                                          const struct tg_engine_bias *bias, uint32_t n_bias,
                                          uint32_t penalty_window, struct tg_llm_grammar *grammar)
{
    TG_UNREACHABLE();
}
void tg_llm_sampler_free(struct tg_llm *m, struct tg_llm_sampler *s)
{
    TG_UNREACHABLE();
}
int32_t tg_llm_sample(struct tg_llm *m, struct tg_llm_sampler *s, uint32_t row)
{
    TG_UNREACHABLE();
}
struct tg_llm_grammar *tg_llm_grammar_new(const struct tg_llm *m, const char *gbnf)
{
    TG_UNREACHABLE();
}
void tg_llm_grammar_free(struct tg_llm *m, struct tg_llm_grammar *g)
{
    TG_UNREACHABLE();
}
int tg_llm_embed_open(struct tg_llm *m, uint32_t tokens, uint32_t n_seq, uint32_t threads,
                      bool (*keep_going)(void *ctx), void *ctx, struct tg_fail *f)
{
    TG_UNREACHABLE();
}
uint32_t tg_llm_embed_dims(const struct tg_llm *m)
{
    TG_UNREACHABLE();
}
int tg_llm_embed(struct tg_llm *m, const struct tg_llm_text *texts, uint32_t n)
{
    TG_UNREACHABLE();
}
const float *tg_llm_embed_vector(struct tg_llm *m, uint32_t i)
{
    TG_UNREACHABLE();
}
