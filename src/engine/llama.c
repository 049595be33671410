/* llama.cpp behind llama_api_priv.h: the only file that includes its headers. The library is
 * dlopened, so that a binary runs with or without it and the gateway's own process never maps it.
 * Calls follow include/llama.h of the release named by TG_LLAMA_VERSION. Structures are passed by
 * value across that border and change between releases, hence the version check. */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include <llama.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "engine/llama_api_priv.h"
#include "engine/lib_priv.h"

/* X(function) */
#define LLAMA_FUNCTIONS(X)                \
    X(llama_version)                      \
    X(llama_log_set)                      \
    X(llama_backend_init)                 \
    X(llama_model_default_params)         \
    X(llama_model_load_from_file)         \
    X(llama_model_free)                   \
    X(llama_model_get_vocab)              \
    X(llama_model_chat_template)          \
    X(llama_model_desc)                   \
    X(llama_model_meta_val_str)           \
    X(llama_model_n_ctx_train)            \
    X(llama_model_n_params)               \
    X(llama_model_size)                   \
    X(llama_model_has_decoder)            \
    X(llama_model_has_encoder)            \
    X(llama_model_is_recurrent)           \
    X(llama_model_is_hybrid)              \
    X(llama_context_default_params)       \
    X(llama_init_from_model)              \
    X(llama_free)                         \
    X(llama_n_ctx)                        \
    X(llama_n_batch)                      \
    X(llama_get_memory)                   \
    X(llama_memory_clear)                 \
    X(llama_memory_seq_rm)                \
    X(llama_memory_seq_cp)                \
    X(llama_attach_threadpool)            \
    X(llama_batch_init)                   \
    X(llama_batch_free)                   \
    X(llama_decode)                       \
    X(llama_get_logits_ith)               \
    X(llama_get_embeddings_seq)           \
    X(llama_model_n_embd_out)             \
    X(llama_pooling_type)                 \
    X(llama_tokenize)                     \
    X(llama_token_to_piece)               \
    X(llama_vocab_n_tokens)               \
    X(llama_vocab_get_text)               \
    X(llama_vocab_get_attr)               \
    X(llama_vocab_is_eog)                 \
    X(llama_chat_apply_template)          \
    X(llama_sampler_chain_default_params) \
    X(llama_sampler_chain_init)           \
    X(llama_sampler_chain_add)            \
    X(llama_sampler_init_greedy)          \
    X(llama_sampler_init_dist)            \
    X(llama_sampler_init_top_k)           \
    X(llama_sampler_init_top_p)           \
    X(llama_sampler_init_min_p)           \
    X(llama_sampler_init_temp)            \
    X(llama_sampler_init_penalties)       \
    X(llama_sampler_init_logit_bias)      \
    X(llama_sampler_init_grammar)         \
    X(llama_sampler_apply)                \
    X(llama_sampler_accept)               \
    X(llama_sampler_sample)               \
    X(llama_sampler_free)                 \
    X(ggml_backend_load_all)              \
    X(ggml_backend_load_all_from_path)    \
    X(ggml_backend_dev_count)             \
    X(ggml_backend_reg_by_name)           \
    X(ggml_backend_reg_get_proc_address)  \
    X(ggml_threadpool_params_init)        \
    X(gguf_init_from_file)                \
    X(gguf_free)                          \
    X(gguf_find_key)                      \
    X(gguf_get_kv_type)                   \
    X(gguf_get_arr_type)                  \
    X(gguf_get_arr_n)                     \
    X(gguf_get_arr_data)                  \
    X(gguf_get_val_u32)                   \
    X(gguf_get_val_i32)                   \
    X(gguf_get_val_str)

struct llama_fns {
#define X(name) __typeof__(name) *name;
    LLAMA_FUNCTIONS(X)
#undef X
};

typedef __typeof__(ggml_threadpool_new) *threadpool_new_fn;
typedef __typeof__(ggml_threadpool_free) *threadpool_free_fn;

struct tg_llm {
    struct llama_fns f;
    void *lib;
    char version[20], dir[PATH_MAX];
    struct llama_model *model;
    const struct llama_vocab *vocab;
    struct llama_context *ctx;
    llama_memory_t memory;
    struct llama_batch batch;
    bool have_batch;
    struct ggml_threadpool *pool;
    threadpool_free_fn pool_free;
    uint32_t n_cells, n_batch, n_vocab;
    llama_token_data *candidates; /* n_vocab: sampling with a grammar */
    struct llama_context *embed;  /* NULL: not made yet */
    bool (*embed_go)(void *ctx);
    void *embed_ctx;
    uint32_t embed_tokens;
};

struct tg_llm_sampler {
    struct llama_sampler *chain;   /* NULL: plain argmax */
    struct llama_sampler *grammar; /* NULL: anything */
};

static void on_log(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    tg_liblog_text(level == GGML_LOG_LEVEL_CONT    ? TG_LIBLOG_MORE
                   : level == GGML_LOG_LEVEL_ERROR ? TG_LIBLOG_ERROR
                   : level == GGML_LOG_LEVEL_WARN  ? TG_LIBLOG_WARN
                                                   : TG_LIBLOG_INFO,
                   text);
}

/* ---- opening ---- */

static int open_library(struct tg_llm *m, const char *const *dirs, size_t n, struct tg_fail *f)
{
    static const char *const names[] = {"libllama.v" TG_LLAMA_VERSION ".so", "libllama.so.0",
                                        "libllama.so", NULL};
    m->lib = tg_lib_open(names, dirs, n, TG_LLAMA_DIR, m->dir, sizeof m->dir);
    if (m->lib)
        return 0;
    const char *why = dlerror();
    return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                       "local inference is not installed: libllama %s was not found in "
                       "TOLLGATE_LLAMA_DIR, ../lib/tollgate, the build folder or the system (%s)",
                       TG_LLAMA_VERSION, why ? why : "no reason given");
}

static int bind_functions(struct tg_llm *m, struct tg_fail *f)
{
    static const struct {
        const char *name;
        size_t at;
    } table[] = {
#define X(name) {#name, offsetof(struct llama_fns, name)},
        LLAMA_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < TG_ARRAY_LEN(table); i++) {
        void *p = dlsym(m->lib, table[i].name);
        if (!p)
            return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                               "libllama has no function %s: it is not release %s", table[i].name,
                               TG_LLAMA_VERSION);
        memcpy((char *)&m->f + table[i].at, &p, sizeof p);
    }
    return 0;
}

/* "0.5.0-dev" is the same release as "0.5.0": the tail only says that no tag was found. */
static int check_version(struct tg_llm *m, struct tg_fail *f)
{
    const char *v = m->f.llama_version();
    size_t n = strcspn(v, "-+");
    tg_str_to_c(tg_str_make(v, n), m->version, sizeof m->version);
    if (strcmp(m->version, TG_LLAMA_VERSION) == 0)
        return 0;
    return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                       "libllama is release %s, this binary was built for %s: their structures "
                       "differ, so it is not used",
                       m->version, TG_LLAMA_VERSION);
}

int tg_llm_open(const char *const *dirs, size_t n_dirs, void (*log)(const char *line), bool verbose,
                struct tg_fail *f, struct tg_llm **out)
{
    struct tg_llm *m = tg_calloc(1, sizeof *m);
    if (!m)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    tg_liblog_init(log, verbose);
    int rc = open_library(m, dirs, n_dirs, f);
    if (!rc)
        rc = bind_functions(m, f);
    if (!rc)
        rc = check_version(m, f);
    if (rc) {
        tg_llm_close(m);
        return rc;
    }
    m->f.llama_log_set(on_log, NULL);
    /* The library would also look into the current folder and GGML_BACKEND_PATH; the caller has
     * moved to "/" and the variable must not choose code either. */
    unsetenv("GGML_BACKEND_PATH");
    if (m->dir[0])
        m->f.ggml_backend_load_all_from_path(m->dir);
    if (m->f.ggml_backend_dev_count() == 0)
        m->f.ggml_backend_load_all();
    if (m->f.ggml_backend_dev_count() == 0) {
        rc = tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "no libggml-cpu library beside libllama (%s)",
                         m->dir[0] ? m->dir : "system");
        tg_llm_close(m);
        return rc;
    }
    m->f.llama_backend_init();
    *out = m;
    return 0;
}

static void free_context(struct tg_llm *m)
{
    if (m->ctx)
        m->f.llama_free(m->ctx);
    if (m->have_batch)
        m->f.llama_batch_free(m->batch);
    if (m->pool)
        m->pool_free(m->pool);
    m->ctx = NULL;
    m->have_batch = false;
    m->pool = NULL;
}

static void free_embed(struct tg_llm *m)
{
    if (m->embed)
        m->f.llama_free(m->embed);
    m->embed = NULL;
}

void tg_llm_close(struct tg_llm *m)
{
    if (!m)
        return;
    free_context(m);
    free_embed(m);
    if (m->model)
        m->f.llama_model_free(m->model);
    tg_free(m->candidates);
    /* The library stays mapped: its threads and exit handlers may still need it. */
    tg_free(m);
}

const char *tg_llm_version(const struct tg_llm *m)
{
    return m->version;
}

/* ---- looking at a file before loading it ---- */

static uint32_t meta_u32(struct tg_llm *m, const struct gguf_context *g, const char *arch,
                         const char *key)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", arch, key);
    int64_t at = m->f.gguf_find_key(g, name);
    if (at < 0)
        return 0;
    enum gguf_type t = m->f.gguf_get_kv_type(g, at);
    if (t == GGUF_TYPE_UINT32)
        return m->f.gguf_get_val_u32(g, at);
    if (t == GGUF_TYPE_INT32 && m->f.gguf_get_val_i32(g, at) > 0)
        return (uint32_t)m->f.gguf_get_val_i32(g, at);
    if (t != GGUF_TYPE_ARRAY)
        return 0;
    enum gguf_type et = m->f.gguf_get_arr_type(g, at);
    if (et != GGUF_TYPE_UINT32 && et != GGUF_TYPE_INT32)
        return 0;
    const uint32_t *v = m->f.gguf_get_arr_data(g, at); /* one value per layer: the largest */
    uint32_t max = 0;
    for (size_t i = 0; i < m->f.gguf_get_arr_n(g, at); i++)
        max = v[i] > max && v[i] < INT32_MAX ? v[i] : max;
    return max;
}

static uint64_t kv_bytes_per_token(struct tg_llm *m, const struct gguf_context *g, const char *arch,
                                   const struct tg_llm_shape *s)
{
    uint64_t heads = s->n_head;
    uint64_t kv_heads = meta_u32(m, g, arch, "attention.head_count_kv");
    uint64_t key = meta_u32(m, g, arch, "attention.key_length");
    uint64_t value = meta_u32(m, g, arch, "attention.value_length");
    uint64_t head_size = heads ? s->n_embd / heads : 0;
    kv_heads = kv_heads ? kv_heads : heads;
    return (uint64_t)s->n_layer * kv_heads *
           ((key ? key : head_size) + (value ? value : head_size)) * 2;
}

int tg_llm_probe(struct tg_llm *m, const char *path, struct tg_llm_shape *out, struct tg_fail *f)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "the model file %s can't be opened: %s",
                           tg_lib_file_name(path), strerrordesc_np(errno));
    if (!S_ISREG(st.st_mode))
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "%s is not a file", tg_lib_file_name(path));
    tg_liblog_forget();
    struct gguf_context *g =
        m->f.gguf_init_from_file(path, (struct gguf_init_params){.no_alloc = true});
    if (!g) {
        char why[256];
        tg_liblog_first_error(why, sizeof why);
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "%s is not a usable GGUF file%s%s",
                           tg_lib_file_name(path), why[0] ? ": " : "", why);
    }
    struct tg_llm_shape s = {.file_bytes = (uint64_t)st.st_size};
    int64_t at = m->f.gguf_find_key(g, "general.architecture");
    if (at >= 0 && m->f.gguf_get_kv_type(g, at) == GGUF_TYPE_STRING) {
        const char *arch = m->f.gguf_get_val_str(g, at);
        s.n_ctx_train = meta_u32(m, g, arch, "context_length");
        s.n_embd = meta_u32(m, g, arch, "embedding_length");
        s.n_layer = meta_u32(m, g, arch, "block_count");
        s.n_head = meta_u32(m, g, arch, "attention.head_count");
        s.kv_bytes_per_token = kv_bytes_per_token(m, g, arch, &s);
    }
    at = m->f.gguf_find_key(g, "tokenizer.ggml.tokens");
    if (at >= 0 && m->f.gguf_get_kv_type(g, at) == GGUF_TYPE_ARRAY)
        s.n_vocab = (uint32_t)m->f.gguf_get_arr_n(g, at);
    m->f.gguf_free(g);
    *out = s;
    return 0;
}

/* ---- loading ---- */

struct progress {
    bool (*fn)(void *ctx, unsigned permille);
    void *ctx;
};

static bool on_progress(float part, void *user)
{
    const struct progress *p = user;
    return p->fn(p->ctx, part >= 1 ? 1000 : part > 0 ? (unsigned)(part * 1000) : 0);
}

int tg_llm_load(struct tg_llm *m, const char *path, bool no_mmap,
                bool (*on_progress_fn)(void *ctx, unsigned permille), void *ctx, struct tg_fail *f)
{
    struct progress p = {on_progress_fn, ctx};
    struct llama_model_params mp = m->f.llama_model_default_params();
    mp.n_gpu_layers = 0;
    mp.load_mode = no_mmap ? LLAMA_LOAD_MODE_NONE : LLAMA_LOAD_MODE_MMAP;
    mp.progress_callback = on_progress;
    mp.progress_callback_user_data = &p;
    tg_liblog_forget();
    m->model = m->f.llama_model_load_from_file(path, mp);
    if (!m->model) {
        char why[256];
        tg_liblog_first_error(why, sizeof why);
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "%s can't be loaded%s%s",
                           tg_lib_file_name(path), why[0] ? ": " : "", why);
    }
    if (!m->f.llama_model_has_decoder(m->model) || m->f.llama_model_has_encoder(m->model))
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "%s does not generate text", path);
    m->vocab = m->f.llama_model_get_vocab(m->model);
    int32_t n = m->f.llama_vocab_n_tokens(m->vocab);
    if (n <= 0)
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "%s has no vocabulary", path);
    m->n_vocab = (uint32_t)n;
    m->candidates = tg_calloc(m->n_vocab, sizeof *m->candidates);
    if (!m->candidates)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    return 0;
}

void tg_llm_describe(const struct tg_llm *m, struct tg_engine_info *out)
{
    m->f.llama_model_meta_val_str(m->model, "general.name", out->name, sizeof out->name);
    m->f.llama_model_desc(m->model, out->description, sizeof out->description);
    out->n_params = m->f.llama_model_n_params(m->model);
    out->size_bytes = m->f.llama_model_size(m->model);
    int32_t train = m->f.llama_model_n_ctx_train(m->model);
    out->n_ctx_train = train > 0 ? (uint32_t)train : 0;
    out->n_vocab = m->n_vocab;
    out->has_template = tg_llm_has_template(m);
    snprintf(out->library, sizeof out->library, "llama.cpp %s", m->version);
    tg_str_to_c(tg_str_c("cpu"), out->backend, sizeof out->backend);
    tg_lib_mapped("libggml-cpu-", out->backend, sizeof out->backend);
}

/* ggml makes and joins its threads at every graph unless it is given a pool. */
static void attach_pool(struct tg_llm *m, uint32_t threads)
{
    ggml_backend_reg_t reg = m->f.ggml_backend_reg_by_name("CPU");
    if (threads < 2 || !reg)
        return;
    void *make = m->f.ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
    void *drop = m->f.ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
    if (!make || !drop)
        return;
    threadpool_new_fn pool_new;
    memcpy(&pool_new, &make, sizeof make);
    memcpy(&m->pool_free, &drop, sizeof drop);
    struct ggml_threadpool_params tp;
    m->f.ggml_threadpool_params_init(&tp, (int)threads);
    m->pool = pool_new(&tp);
    if (m->pool)
        m->f.llama_attach_threadpool(m->ctx, m->pool, NULL);
}

int tg_llm_context(struct tg_llm *m, const struct tg_llm_ctx_opts *o, struct tg_fail *f)
{
    free_context(m);
    struct llama_context_params cp = m->f.llama_context_default_params();
    cp.n_ctx = o->n_cells;
    cp.n_seq_max = o->n_seq;
    cp.n_batch = o->n_batch;
    cp.n_ubatch = o->n_batch < 512 ? o->n_batch : 512;
    cp.n_outputs_max = o->n_seq; /* one row of logits per sequence, not one per prompt token */
    cp.n_threads = cp.n_threads_batch = (int32_t)o->threads;
    cp.flash_attn_type = o->flash == TG_ENGINE_FLASH_ON    ? LLAMA_FLASH_ATTN_TYPE_ENABLED
                         : o->flash == TG_ENGINE_FLASH_OFF ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                                           : LLAMA_FLASH_ATTN_TYPE_AUTO;
    cp.kv_unified = true; /* partial seq_cp aborts otherwise */
    cp.no_perf = true;
    tg_liblog_forget();
    m->ctx = m->f.llama_init_from_model(m->model, cp);
    if (!m->ctx) {
        char why[256];
        tg_liblog_first_error(why, sizeof why);
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE,
                           "no memory for a context of %u tokens (see context_tokens)%s%s",
                           o->n_cells, why[0] ? ": " : "", why);
    }
    m->memory = m->f.llama_get_memory(m->ctx);
    m->n_cells = m->f.llama_n_ctx(m->ctx);
    m->n_batch = m->f.llama_n_batch(m->ctx);
    if (m->n_batch > o->n_batch)
        m->n_batch = o->n_batch;
    m->batch = m->f.llama_batch_init((int32_t)m->n_batch, 0, 1);
    m->have_batch = true;
    attach_pool(m, o->threads);
    return m->memory ? 0
                     : tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "this kind of model has no cache");
}

uint32_t tg_llm_n_cells(const struct tg_llm *m)
{
    return m->n_cells;
}
uint32_t tg_llm_n_batch(const struct tg_llm *m)
{
    return m->n_batch;
}

/* ---- vocabulary ---- */

int tg_llm_tokenize(const struct tg_llm *m, struct tg_str text, bool add_special,
                    bool parse_special, int32_t *out, uint32_t cap)
{
    if (text.n > INT32_MAX || cap > INT32_MAX)
        return TG_E_INVALID_ARG;
    int32_t n = m->f.llama_tokenize(m->vocab, text.n ? text.p : "", (int32_t)text.n, out,
                                    (int32_t)cap, add_special, parse_special);
    if (n == INT32_MIN)
        return TG_E_INVALID_ARG;
    return n < 0 ? TG_E_FULL : n;
}

size_t tg_llm_piece(const struct tg_llm *m, int32_t token, char *out, size_t cap)
{
    int32_t n = m->f.llama_token_to_piece(m->vocab, token, out, (int32_t)cap, 0, false);
    return n > 0 ? (size_t)n : 0;
}

bool tg_llm_is_end(const struct tg_llm *m, int32_t token)
{
    return m->f.llama_vocab_is_eog(m->vocab, token);
}

struct tg_str tg_llm_token_text(const struct tg_llm *m, int32_t token, bool *out_control)
{
    int attr = (int)m->f.llama_vocab_get_attr(m->vocab, token);
    *out_control = attr & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN);
    return tg_str_c(m->f.llama_vocab_get_text(m->vocab, token));
}

uint32_t tg_llm_n_vocab(const struct tg_llm *m)
{
    return m->n_vocab;
}

bool tg_llm_has_template(const struct tg_llm *m)
{
    return m->f.llama_model_chat_template(m->model, NULL) != NULL;
}

int tg_llm_template(const struct tg_llm *m, const char *name, const struct tg_llm_message *msgs,
                    size_t n, char *out, size_t cap)
{
    const char *tmpl = name ? name : m->f.llama_model_chat_template(m->model, NULL);
    struct llama_chat_message *v = tmpl ? tg_calloc(n ? n : 1, sizeof *v) : NULL;
    if (!v)
        return tmpl ? TG_E_NOMEM : TG_E_LOCAL_FAILED;
    for (size_t i = 0; i < n; i++)
        v[i] = (struct llama_chat_message){msgs[i].role, msgs[i].content};
    int32_t len = m->f.llama_chat_apply_template(tmpl, v, n, true, out, (int32_t)cap);
    tg_free(v);
    return len < 0 ? TG_E_LOCAL_FAILED : len;
}

/* ---- the context ---- */

enum tg_llm_decode_result tg_llm_decode(struct tg_llm *m, const struct tg_llm_row *rows, uint32_t n)
{
    TG_REQUIRE(n > 0 && n <= m->n_batch); /* the library aborts */
    for (uint32_t i = 0; i < n; i++) {
        m->batch.token[i] = rows[i].token;
        m->batch.pos[i] = rows[i].pos;
        m->batch.n_seq_id[i] = 1;
        m->batch.seq_id[i][0] = (llama_seq_id)rows[i].seq;
        m->batch.logits[i] = rows[i].output;
    }
    m->batch.n_tokens = (int32_t)n;
    int32_t rc = m->f.llama_decode(m->ctx, m->batch);
    return rc == 0 ? TG_LLM_OK : rc == 1 ? TG_LLM_NO_CELLS : TG_LLM_BROKEN;
}

const float *tg_llm_logits(struct tg_llm *m, uint32_t row)
{
    return m->f.llama_get_logits_ith(m->ctx, (int32_t)row);
}

bool tg_llm_can_cut(const struct tg_llm *m)
{
    return !m->f.llama_model_is_recurrent(m->model) && !m->f.llama_model_is_hybrid(m->model);
}

void tg_llm_clear(struct tg_llm *m)
{
    m->f.llama_memory_clear(m->memory, false);
}

bool tg_llm_seq_cut(struct tg_llm *m, uint32_t seq, uint32_t from)
{
    TG_REQUIRE(seq < TG_ENGINE_MAX_SLOTS); /* the library aborts from 256 on */
    return m->f.llama_memory_seq_rm(m->memory, (llama_seq_id)seq, (llama_pos)from, -1);
}

void tg_llm_seq_copy(struct tg_llm *m, uint32_t from_seq, uint32_t to_seq, uint32_t n)
{
    TG_REQUIRE(from_seq < TG_ENGINE_MAX_SLOTS && to_seq < TG_ENGINE_MAX_SLOTS);
    m->f.llama_memory_seq_cp(m->memory, (llama_seq_id)from_seq, (llama_seq_id)to_seq, 0,
                             (llama_pos)n);
}

/* ---- sampling ---- */

static bool has_penalties(const struct tg_engine_sampling *s)
{
    return s->repeat_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0;
}

/* Adds a sampler to the chain; false when it could not be made. */
static bool chain_add(struct tg_llm *m, struct llama_sampler *chain, struct llama_sampler *s)
{
    if (s)
        m->f.llama_sampler_chain_add(chain, s);
    return s != NULL;
}

static bool chain_fill(struct tg_llm *m, struct llama_sampler *chain,
                       const struct tg_engine_sampling *s, const struct tg_engine_bias *bias,
                       uint32_t n_bias, uint32_t window)
{
    bool ok = true;
    if (n_bias) {
        llama_logit_bias v[TG_ENGINE_MAX_BIAS];
        for (uint32_t i = 0; i < n_bias; i++)
            v[i] = (llama_logit_bias){bias[i].token, bias[i].bias};
        ok = chain_add(m, chain,
                       m->f.llama_sampler_init_logit_bias((int32_t)m->n_vocab, (int32_t)n_bias, v));
    }
    if (ok && has_penalties(s))
        ok = chain_add(m, chain,
                       m->f.llama_sampler_init_penalties((int32_t)m->n_vocab, (int32_t)window,
                                                         s->repeat_penalty, s->frequency_penalty,
                                                         s->presence_penalty));
    if (s->temperature <= 0)
        return ok && chain_add(m, chain, m->f.llama_sampler_init_greedy());
    if (ok && s->top_k > 0)
        ok = chain_add(m, chain, m->f.llama_sampler_init_top_k(s->top_k));
    if (ok && s->top_p < 1)
        ok = chain_add(m, chain, m->f.llama_sampler_init_top_p(s->top_p, 1));
    if (ok && s->min_p > 0)
        ok = chain_add(m, chain, m->f.llama_sampler_init_min_p(s->min_p, 1));
    if (ok)
        ok = chain_add(m, chain, m->f.llama_sampler_init_temp(s->temperature));
    return ok &&
           chain_add(m, chain,
                     m->f.llama_sampler_init_dist(s->has_seed ? s->seed : LLAMA_DEFAULT_SEED));
}

struct tg_llm_sampler *tg_llm_sampler_new(struct tg_llm *m, const struct tg_engine_sampling *s,
                                          const struct tg_engine_bias *bias, uint32_t n_bias,
                                          uint32_t penalty_window, struct tg_llm_grammar *grammar)
{
    TG_REQUIRE(n_bias <= TG_ENGINE_MAX_BIAS);
    struct tg_llm_sampler *out = tg_calloc(1, sizeof *out);
    if (out)
        out->grammar = (struct llama_sampler *)grammar;
    if (!out || (s->temperature <= 0 && !has_penalties(s) && n_bias == 0))
        return out;
    struct llama_sampler_chain_params cp = m->f.llama_sampler_chain_default_params();
    cp.no_perf = true;
    out->chain = m->f.llama_sampler_chain_init(cp);
    if (!out->chain || !chain_fill(m, out->chain, s, bias, n_bias, penalty_window)) {
        tg_llm_sampler_free(m, out);
        return NULL;
    }
    return out;
}

void tg_llm_sampler_free(struct tg_llm *m, struct tg_llm_sampler *s)
{
    if (s && s->chain)
        m->f.llama_sampler_free(s->chain);
    if (s)
        tg_llm_grammar_free(m, (struct tg_llm_grammar *)s->grammar);
    tg_free(s);
}

struct tg_llm_grammar *tg_llm_grammar_new(const struct tg_llm *m, const char *gbnf)
{
    return (struct tg_llm_grammar *)m->f.llama_sampler_init_grammar(m->vocab, gbnf, "root");
}

void tg_llm_grammar_free(struct tg_llm *m, struct tg_llm_grammar *g)
{
    if (g)
        m->f.llama_sampler_free((struct llama_sampler *)g);
}

/* A control token's text is nothing to the reader, but the grammar would take it for its letters.
 */
static bool is_silent(const struct tg_llm *m, llama_token t)
{
    return (m->f.llama_vocab_get_attr(m->vocab, t) & LLAMA_TOKEN_ATTR_CONTROL) &&
           !m->f.llama_vocab_is_eog(m->vocab, t);
}

static bool grammar_allows(struct tg_llm *m, struct tg_llm_sampler *s, llama_token t)
{
    llama_token_data one = {t, 1, 0};
    llama_token_data_array a = {.data = &one, .size = 1, .selected = -1};
    if (is_silent(m, t))
        return false;
    m->f.llama_sampler_apply(s->grammar, &a);
    return one.logit > -INFINITY;
}

static llama_token pick(struct tg_llm *m, struct tg_llm_sampler *s, llama_token_data_array *a)
{
    if (s->chain)
        m->f.llama_sampler_apply(s->chain, a);
    for (size_t i = 0; !s->chain && i < a->size; i++)
        if (a->selected < 0 || a->data[i].logit > a->data[a->selected].logit)
            a->selected = (int64_t)i;
    return a->selected < 0 || (size_t)a->selected >= a->size ? -1 : a->data[a->selected].id;
}

static llama_token_data_array all_candidates(struct tg_llm *m, const float *logits)
{
    for (uint32_t i = 0; i < m->n_vocab; i++)
        m->candidates[i] = (llama_token_data){(llama_token)i, logits[i], 0};
    return (llama_token_data_array){.data = m->candidates, .size = m->n_vocab, .selected = -1};
}

/* Holding the whole vocabulary against the grammar costs a hundred times what one token costs, and
 * most tokens that a model would choose are allowed: only after a refusal are the others asked. */
static int32_t sample_in_grammar(struct tg_llm *m, struct tg_llm_sampler *s, const float *logits)
{
    llama_token_data_array a = all_candidates(m, logits);
    llama_token t = pick(m, s, &a);
    if (t < 0 || !grammar_allows(m, s, t)) {
        size_t n = 0;
        a = all_candidates(m, logits);
        m->f.llama_sampler_apply(s->grammar, &a);
        for (size_t i = 0; i < a.size; i++)
            if (a.data[i].logit > -INFINITY && !is_silent(m, a.data[i].id))
                a.data[n++] = a.data[i];
        a.size = n;
        t = n ? pick(m, s, &a) : TG_LLM_NO_TOKEN;
    }
    if (t < 0)
        return t;
    /* Accepting what the grammar forbids would end the process, and its end forbids everything. */
    if (!m->f.llama_vocab_is_eog(m->vocab, t))
        m->f.llama_sampler_accept(s->grammar, t);
    if (s->chain)
        m->f.llama_sampler_accept(s->chain, t);
    return t;
}

int32_t tg_llm_sample(struct tg_llm *m, struct tg_llm_sampler *s, uint32_t row)
{
    if (s->chain && !s->grammar)
        return m->f.llama_sampler_sample(s->chain, m->ctx, (int32_t)row);
    const float *l = tg_llm_logits(m, row);
    if (!l)
        return -1;
    if (s->grammar)
        return sample_in_grammar(m, s, l);
    llama_token best = 0;
    for (uint32_t i = 1; i < m->n_vocab; i++)
        if (l[i] > l[best])
            best = (llama_token)i;
    return l[best] > -INFINITY ? best : -1;
}

/* ---- embeddings ---- */

static bool embed_abort(void *llm)
{
    struct tg_llm *m = llm;
    return !m->embed_go(m->embed_ctx);
}

int tg_llm_embed_open(struct tg_llm *m, uint32_t tokens, uint32_t n_seq, uint32_t threads,
                      bool (*keep_going)(void *ctx), void *ctx, struct tg_fail *f)
{
    struct llama_context_params cp = m->f.llama_context_default_params();
    /* A text must be in one piece to be pooled. */
    cp.n_ctx = cp.n_batch = cp.n_ubatch = tokens;
    cp.n_seq_max = n_seq;
    cp.n_threads = cp.n_threads_batch = (int32_t)threads;
    cp.kv_unified = true;
    cp.embeddings = true;
    cp.no_perf = true;
    m->embed_go = keep_going;
    m->embed_ctx = ctx;
    cp.abort_callback = embed_abort;
    cp.abort_callback_data = m;
    for (int tries = 0; tries < 2; tries++) {
        free_embed(m);
        m->embed = m->f.llama_init_from_model(m->model, cp);
        if (!m->embed || m->f.llama_pooling_type(m->embed) != LLAMA_POOLING_TYPE_NONE)
            break;
        cp.pooling_type = LLAMA_POOLING_TYPE_MEAN; /* it does not say: what most use */
    }
    if (!m->embed)
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "no memory to embed texts of %u tokens",
                           tokens);
    if (m->f.llama_pooling_type(m->embed) == LLAMA_POOLING_TYPE_RANK) {
        free_embed(m);
        return tg_fail_set(f, TG_E_UNSUPPORTED_PARAMETER, "this model ranks, it does not embed");
    }
    m->embed_tokens = tokens;
    return 0;
}

uint32_t tg_llm_embed_dims(const struct tg_llm *m)
{
    int32_t n = m->f.llama_model_n_embd_out(m->model);
    return n > 0 ? (uint32_t)n : 0;
}

int tg_llm_embed(struct tg_llm *m, const struct tg_llm_text *texts, uint32_t n)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += texts[i].n;
    TG_REQUIRE(m->embed && n > 0 && total > 0 && total <= m->embed_tokens);
    struct llama_batch b = m->f.llama_batch_init((int32_t)total, 0, 1);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < texts[i].n; k++, b.n_tokens++) {
            b.token[b.n_tokens] = texts[i].tokens[k];
            b.pos[b.n_tokens] = (llama_pos)k;
            b.n_seq_id[b.n_tokens] = 1;
            b.seq_id[b.n_tokens][0] = (llama_seq_id)i;
            b.logits[b.n_tokens] = true;
        }
    llama_memory_t memory = m->f.llama_get_memory(m->embed);
    if (memory)
        m->f.llama_memory_clear(memory, true);
    int rc = m->f.llama_decode(m->embed, b);
    m->f.llama_batch_free(b);
    return rc == 0 ? 0 : rc == 2 ? TG_E_CANCELLED : TG_E_LOCAL_FAILED;
}

const float *tg_llm_embed_vector(struct tg_llm *m, uint32_t i)
{
    return m->f.llama_get_embeddings_seq(m->embed, (llama_seq_id)i);
}
