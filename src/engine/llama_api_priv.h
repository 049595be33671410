/* What the engine child needs of an inference library, in our words. src/engine/llama.c implements
 * it on llama.cpp and is the only file that names that library; llama_none.c stands in when its
 * headers were not there at build time and reports TG_E_LOCAL_UNAVAILABLE.
 *
 * One model and one context per process. Thread rule: open, load and close on one thread; after
 * load the vocabulary functions (tokenize, template, piece, …) from any thread, everything that
 * touches the context or a sampler on the engine thread alone.
 * Facts about llama.cpp's behaviour (what aborts, what returns an error) were measured on release
 * 0.5.0; the callers keep every argument inside the limits named here. */
#ifndef TG_ENGINE_LLAMA_API_PRIV_H
#define TG_ENGINE_LLAMA_API_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "engine/engine.h"

struct tg_llm;
struct tg_llm_sampler;

/* Looks for the library in the folders (NULL and "" are passed over), then where the build found it
 * and in the system; dlopens it, checks that it is the release the headers were of, loads the CPU
 * code. `log` gets whole lines of warnings and errors (everything with verbose); from any thread.
 */
int tg_llm_open(const char *const *dirs, size_t n_dirs, void (*log)(const char *line), bool verbose,
                struct tg_fail *f, struct tg_llm **out) TG_WARN_UNUSED;
void tg_llm_close(struct tg_llm *m);                /* NULL is allowed; frees model and context */
const char *tg_llm_version(const struct tg_llm *m); /* of the library, "0.5.0" */

/* From the file's head, before anything large is read; 0 where it does not say. */
struct tg_llm_shape {
    uint64_t file_bytes;
    uint64_t kv_bytes_per_token; /* f16 cache */
    uint32_t n_ctx_train, n_vocab, n_embd, n_layer, n_head;
};
int tg_llm_probe(struct tg_llm *m, const char *path, struct tg_llm_shape *out,
                 struct tg_fail *f) TG_WARN_UNUSED;

/* on_progress(permille) runs on the calling thread; false gives up. */
int tg_llm_load(struct tg_llm *m, const char *path, bool no_mmap,
                bool (*on_progress)(void *ctx, unsigned permille), void *ctx,
                struct tg_fail *f) TG_WARN_UNUSED;
/* Name, description, sizes, n_ctx_train, n_vocab, backend, library. */
void tg_llm_describe(const struct tg_llm *m, struct tg_engine_info *out);

struct tg_llm_ctx_opts {
    uint32_t n_cells, n_seq, n_batch, threads;
    int flash; /* enum tg_engine_flash */
};
/* Makes the context, replacing an earlier one. */
int tg_llm_context(struct tg_llm *m, const struct tg_llm_ctx_opts *o,
                   struct tg_fail *f) TG_WARN_UNUSED;
uint32_t tg_llm_n_cells(const struct tg_llm *m);
uint32_t tg_llm_n_batch(const struct tg_llm *m);

/* ---- vocabulary ---- */

/* The number of tokens, or TG_E_FULL when there are more than cap, TG_E_INVALID_ARG. */
int tg_llm_tokenize(const struct tg_llm *m, struct tg_str text, bool add_special,
                    bool parse_special, int32_t *out, uint32_t cap) TG_WARN_UNUSED;
/* The text of a token (nothing for control tokens); bytes written, <= cap; 0 if it does not fit. */
size_t tg_llm_piece(const struct tg_llm *m, int32_t token, char *out, size_t cap);
bool tg_llm_is_end(const struct tg_llm *m, int32_t token);
uint32_t tg_llm_n_vocab(const struct tg_llm *m);
/* As the vocabulary spells it; lives as long as the model. */
struct tg_str tg_llm_token_text(const struct tg_llm *m, int32_t token, bool *out_control);

struct tg_llm_message {
    const char *role, *content;
};
/* Renders the messages with the format called `name`, or the model's own template when NULL, open
 * for the assistant's answer. The length, also when it is more than cap (then `out` is not whole);
 * TG_E_LOCAL_FAILED: not a known format; TG_E_NOMEM. */
int tg_llm_template(const struct tg_llm *m, const char *name, const struct tg_llm_message *msgs,
                    size_t n, char *out, size_t cap) TG_WARN_UNUSED;
bool tg_llm_has_template(const struct tg_llm *m);

/* ---- the context: engine thread ---- */

struct tg_llm_row {
    int32_t token, pos;
    uint32_t seq; /* < n_seq */
    bool output;  /* logits wanted */
};
enum tg_llm_decode_result {
    TG_LLM_OK,
    TG_LLM_NO_CELLS, /* nothing changed */
    TG_LLM_BROKEN,   /* the rows may be half done */
};
/* 1 <= n <= n_batch rows. */
enum tg_llm_decode_result tg_llm_decode(struct tg_llm *m, const struct tg_llm_row *rows,
                                        uint32_t n);
/* n_vocab values of row i of the last decode (output was set); valid until the next decode. */
const float *tg_llm_logits(struct tg_llm *m, uint32_t row);
void tg_llm_clear(struct tg_llm *m);
/* False for models with a recurrent state, of which nothing but all can be removed or copied. */
bool tg_llm_can_cut(const struct tg_llm *m);
/* Removes positions >= from of a sequence; false: this model can't remove a part. */
bool tg_llm_seq_cut(struct tg_llm *m, uint32_t seq, uint32_t from);
void tg_llm_seq_copy(struct tg_llm *m, uint32_t from_seq, uint32_t to_seq, uint32_t n);

/* ---- sampling: engine thread ---- */

/* A parsed GBNF text whose first rule is called root; NULL: it is not valid. Any thread. */
struct tg_llm_grammar;
struct tg_llm_grammar *tg_llm_grammar_new(const struct tg_llm *m, const char *gbnf) TG_WARN_UNUSED;
void tg_llm_grammar_free(struct tg_llm *m, struct tg_llm_grammar *g); /* NULL is allowed */

/* NULL: no memory. penalty_window: tokens looked back at. Takes the grammar (NULL: none) over when
 * it does not fail. */
struct tg_llm_sampler *tg_llm_sampler_new(struct tg_llm *m, const struct tg_engine_sampling *s,
                                          const struct tg_engine_bias *bias, uint32_t n_bias,
                                          uint32_t penalty_window,
                                          struct tg_llm_grammar *grammar) TG_WARN_UNUSED;
void tg_llm_sampler_free(struct tg_llm *m, struct tg_llm_sampler *s); /* NULL is allowed */
/* The next token from row i of the last decode; negative if there is none: TG_LLM_NO_TOKEN when no
 * token of the vocabulary goes on in the grammar. */
int32_t tg_llm_sample(struct tg_llm *m, struct tg_llm_sampler *s, uint32_t row);
#define TG_LLM_NO_TOKEN (-2)

/* ---- embeddings: engine thread; a context of its own, beside that of the answers ---- */

struct tg_llm_text {
    const int32_t *tokens;
    uint32_t n;
};
/* Makes the context for at most `tokens` tokens and n_seq texts at once. keep_going is asked many
 * times during a computation; false breaks it off. TG_E_LOCAL_UNAVAILABLE: no memory;
 * TG_E_UNSUPPORTED_PARAMETER: not for this model. */
int tg_llm_embed_open(struct tg_llm *m, uint32_t tokens, uint32_t n_seq, uint32_t threads,
                      bool (*keep_going)(void *ctx), void *ctx, struct tg_fail *f) TG_WARN_UNUSED;
uint32_t tg_llm_embed_dims(const struct tg_llm *m);
/* Computes the vectors of n texts. TG_E_CANCELLED: broken off; TG_E_LOCAL_FAILED. */
int tg_llm_embed(struct tg_llm *m, const struct tg_llm_text *texts, uint32_t n) TG_WARN_UNUSED;
/* The i-th text's vector, not normalised; valid until the next call; NULL: none. */
const float *tg_llm_embed_vector(struct tg_llm *m, uint32_t i);

#endif
