/* The engine child's inside. Three threads: the I/O thread (the main one) reads frames and writes
 * what is left over; the tokenizer thread, with a large stack, turns texts into tokens; the engine
 * thread alone touches the model's context, the slots and the samplers.
 *
 * A job is one request. It belongs to one queue or one slot at a time; the registry lets the I/O
 * thread reach it by id, under the lock, to cancel it or give it credit.
 * Nothing is freed at the end: the process leaves with _exit and the kernel cleans up. */
#ifndef TG_ENGINE_CHILD_PRIV_H
#define TG_ENGINE_CHILD_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "engine/limits_priv.h"
#include "engine/llama_api_priv.h"
#include "engine/prompt_priv.h"
#include "engine/proto_priv.h"
#include "engine/sched_priv.h"
#include "chat/textout.h"

/* The library's regular expressions recurse once per byte of a run of letters, with about 370
 * bytes of stack each: a stack for the longest text allowed. */
#define TG_TOKENIZER_STACK_BYTES (512u * TG_ENGINE_MAX_TEXT_BYTES + (8u << 20))
#define TG_CHILD_MAX_JOBS        1024u
#define TG_CHILD_OUT_MAX_BYTES   (32u << 20)
/* Above this many unsent bytes no more tokens are made: the gateway itself is slow. */
#define TG_CHILD_OUT_HIGH_BYTES (4u << 20)

/* A generated token whose text is still held back. */
struct tg_job_logprob {
    struct tg_list link;
    uint64_t at; /* raw byte offset of its text in the answer */
    struct tg_engine_logprob lp;
    struct tg_engine_logprob top[TG_ENGINE_MAX_TOP];
    struct tg_buf bytes; /* what the strings point into */
};

struct tg_job {
    struct tg_list link;     /* one of the queues, or unlinked while in a slot */
    struct tg_list all_link; /* the registry */
    uint64_t id;
    struct tg_arena arena; /* request and payload */
    struct tg_p_generate req;
    atomic_bool cancelled;
    atomic_llong credit; /* bytes that may still be sent */
    uint64_t arrived_us, started_us, prompted_us;
    /* tokenizer, then engine thread */
    int32_t *tokens; /* prompt, then what was generated */
    uint32_t n_tokens, n_prompt, n_cached, n_generated;
    uint32_t max_tokens;            /* of output; fits the context */
    uint64_t order;                 /* of admission; 0: never admitted */
    struct tg_llm_grammar *grammar; /* until the sampler takes it over */
    struct tg_llm_sampler *sampler;
    struct tg_textout text;
    struct tg_list logprobs; /* of struct tg_job_logprob, oldest first */
};

struct tg_child_out {
    pthread_mutex_t lock;
    int fd, wake_fd;
    struct tg_buf buf;
    atomic_size_t backlog; /* = buf.n */
};

struct tg_child {
    struct tg_child_out out;
    int fd;
    struct tg_p_init init;
    char *chat_template; /* NUL-terminated, "" */
    struct tg_buf init_payload;
    struct tg_llm *llm;
    struct tg_control control;
    uint32_t embed_tokens; /* of one text that is embedded */
    unsigned progress;     /* permille last told */
    struct tg_p_ready ready;
    struct tg_plan plan;

    pthread_mutex_t lock; /* everything below */
    pthread_cond_t tokenizer_wake, engine_wake;
    struct tg_list all, to_tokenise, to_engine;
    uint32_t n_all;
    bool engine_poke; /* a cancel or credit came */
};

/* ---- child_out.c: frames to the gateway, any thread ---- */
void tg_child_out_init(struct tg_child_out *o, int fd, int wake_fd);
/* Appends whole frames and tries to send at once; what stays is the I/O thread's. A backlog beyond
 * the maximum ends the process: the gateway is not reading. */
void tg_child_out_send(struct tg_child_out *o, const struct tg_buf *frames);
void tg_child_out_flush(struct tg_child_out *o); /* I/O thread: writable */
/* For what can't be told in a frame any more: a line on stderr, and out. */
void tg_child_die(const char *why) TG_NORETURN;
void tg_child_send_error(struct tg_child *c, uint64_t id, int err, const char *text);

/* ---- child_jobs.c ---- */
/* I/O thread. Takes the frame in; refusals are answered at once. TG_E_INVALID_ARG: not valid. */
int tg_child_accept(struct tg_child *c, const struct tg_frame *fr) TG_WARN_UNUSED;
void tg_child_cancel(struct tg_child *c, uint64_t id);
void tg_child_credit(struct tg_child *c, uint64_t id, uint32_t bytes);
void tg_child_poke(struct tg_child *c); /* wakes the engine thread */
void *tg_child_tokenizer(void *child);  /* thread */
void tg_job_free(struct tg_child *c, struct tg_job *j);

/* ---- child.c ---- */
void tg_child_start_tokenizer(struct tg_child *c);

/* ---- child_engine.c ---- */
void *tg_child_engine(void *child); /* thread: loads the model, then runs the slots */

/* ---- child_load.c ---- */
/* TOLLGATE_LLAMA_DIR, ../lib/tollgate beside the binary, then as tg_llm_open. */
int tg_child_open_library(void (*log)(const char *line), bool verbose, struct tg_fail *f,
                          struct tg_llm **out) TG_WARN_UNUSED;
/* Library, model, context, measurements, READY. On failure FAILED was sent. */
int tg_child_load(struct tg_child *c) TG_WARN_UNUSED;

/* ---- calibrate.c ---- */
/* Measures (or takes over what an earlier child measured) and leaves the context made. */
int tg_calibrate(struct tg_llm *m, const struct tg_plan *plan, int flash, uint64_t file_bytes,
                 struct tg_calib *calib, struct tg_fail *f) TG_WARN_UNUSED;

/* ---- child_embed.c: texts to vectors, engine thread ---- */
struct tg_embedder {
    struct tg_child *c;
    struct tg_p_beat *beat; /* sent while a long text is computed */
    struct tg_list jobs;    /* waiting, in order of arrival */
    uint32_t n;
    struct tg_list batch; /* being computed */
    bool open;
    uint64_t beat_us;
};
void tg_embedder_init(struct tg_embedder *e, struct tg_child *c, struct tg_p_beat *beat);
void tg_embedder_add(struct tg_embedder *e, struct tg_job *j);
/* Computes some of the waiting texts and writes their frames; false: there was nothing to do. */
bool tg_embedder_step(struct tg_embedder *e, struct tg_buf *frames);

/* ---- child_gen.c: one job's generation, engine thread ---- */
enum tg_gen_result { TG_GEN_MORE, TG_GEN_OVER };
/* Prepares sampler and text for a job that starts for the first time. TG_E_NOMEM. */
int tg_gen_start(struct tg_child *c, struct tg_job *j) TG_WARN_UNUSED;
/* Samples row `row` of the last decode, appends the token, writes TEXT and at the end DONE or ERROR
 * frames. OVER: the job has ended. */
enum tg_gen_result tg_gen_step(struct tg_child *c, struct tg_job *j, uint32_t row,
                               struct tg_buf *frames);
/* Ends a job between steps. */
void tg_gen_finish(struct tg_child *c, struct tg_job *j, enum tg_engine_reason reason,
                   struct tg_buf *frames);
void tg_gen_fail(struct tg_job *j, int err, const char *text, struct tg_buf *frames);
/* Natural logarithms of the probabilities of `token` and the n_top likeliest ones. */
struct tg_top {
    int32_t token;
    float logprob;
};
float tg_logprobs(const float *logits, uint32_t n_vocab, int32_t token, uint32_t n_top,
                  struct tg_top *out_top, uint32_t *out_n);

/* ---- builtin.c ---- */
struct tg_str tg_builtin_model(void);

#endif
