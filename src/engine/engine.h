/* Local inference: one supervised child process per loaded model, and one host thread that owns
 * their sockets. Workers submit requests and receive events through their own mailboxes; only ids
 * and owned messages cross threads.
 *
 * Thread rule: tg_engine_host_new/free on one thread (boot); everything else from any thread.
 * Event order for one choice: STARTED, TEXT*, then exactly one of DONE and ERROR. A refused request
 * gets ERROR alone; a request with count_only gets DONE alone; embed: VECTOR in place of TEXT.
 * Events of a cancelled request stop soon after the cancel with DONE(CANCELLED) or ERROR; unknown
 * ids are to be ignored. Limits: TG_ENGINE_MAX_*. Errors are TG_E_* of base/err.h. */
#ifndef TG_ENGINE_ENGINE_H
#define TG_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"
#include "chat/request.h"
#include "io/mailbox.h"

#define TG_ENGINE_MAX_MODELS   32u
#define TG_ENGINE_MAX_SLOTS    64u
#define TG_ENGINE_MAX_CHOICES  16u
#define TG_ENGINE_MAX_STOPS    16u
#define TG_ENGINE_MAX_STOP_LEN 256u
#define TG_ENGINE_MAX_TOP      20u
#define TG_ENGINE_MAX_BIAS     1024u
#define TG_ENGINE_MAX_MESSAGES 4096u
/* Text of one request, all messages together. */
#define TG_ENGINE_MAX_TEXT_BYTES (256u << 10)

/* ---- settings of one model; borrowed strings, copied by tg_engine_host_add ---- */

enum tg_engine_flash { TG_ENGINE_FLASH_AUTO = -1, TG_ENGINE_FLASH_OFF = 0, TG_ENGINE_FLASH_ON = 1 };

struct tg_engine_model_opts {
    struct tg_str name;          /* for people: log lines, status, messages */
    struct tg_str path;          /* GGUF file; "": the model built into the binary */
    struct tg_str chat_template; /* a format's name such as "chatml"; "": the model's own */
    uint32_t n_ctx; /* tokens of one request, prompt and output; 0: the model's, <= 4096 */
    uint32_t
        cache_tokens; /* tokens held for all slots together; 0: n_ctx x slots, memory allowing */
    uint32_t slots;   /* requests that run at once; 0: 8 */
    uint32_t threads; /* 0: max(1, cores - 1) */
    uint32_t queue;   /* requests that may wait beyond the slots */
    uint64_t memory_limit_bytes; /* 0: 80 % of what is available */
    uint32_t idle_stop_ms;       /* unload after this long without a request; 0: never */
    uint32_t watchdog_ms;        /* no sign of life while busy: killed; 0: 30 s */
    uint32_t start_timeout_ms;   /* no progress while loading: killed; 0: 300 s */
    int nice;                    /* added to the gateway's, 0..19 */
    enum tg_engine_flash flash;  /* AUTO: measured at the first load of a small model */
    bool load_at_boot;
    bool no_mmap; /* read the file instead of mapping it: for files that others rewrite */
    bool verbose; /* pass the library's own log lines on */
};
void tg_engine_model_opts_init(struct tg_engine_model_opts *s); /* the defaults */

/* ---- requests ---- */

struct tg_engine_sampling {
    float temperature;    /* 0: greedy */
    float top_p;          /* 1: off */
    float min_p;          /* 0: off */
    int32_t top_k;        /* 0: off */
    float repeat_penalty; /* 1: off; over generated tokens */
    float presence_penalty, frequency_penalty;
    bool has_seed;
    uint32_t seed;
};
void tg_engine_sampling_init(struct tg_engine_sampling *s); /* 0.7, 0.95, 0.05, 40, 1, 0, 0 */

struct tg_engine_message {
    enum tg_role role;
    struct tg_str text; /* valid UTF-8, no NUL */
};

struct tg_engine_bias {
    int32_t token;
    float bias;
};

struct tg_engine_request {
    const struct tg_engine_message *messages; /* a chat: rendered with the model's template */
    size_t n_messages;
    bool raw;             /* no template: `prompt` is continued */
    bool count_only;      /* only count the prompt's tokens */
    struct tg_str prompt; /* with raw */
    /* Vectors of these texts instead of an answer; choice is the text's index, at most
     * TG_ENGINE_MAX_CHOICES. Events: STARTED, VECTOR, DONE for each. */
    const struct tg_str *embed;
    size_t n_embed;
    struct tg_str grammar; /* GBNF with the rule root: what the answer must be; "": anything */
    struct tg_engine_sampling sampling;
    const struct tg_str *stops;
    size_t n_stops;
    const struct tg_engine_bias *bias;
    size_t n_bias;
    uint32_t max_tokens;   /* 0: until the context is full */
    uint32_t n_choices;    /* 0 = 1; each choice after the first counts seed up by one */
    bool logprobs;         /* of the generated tokens */
    uint32_t top_logprobs; /* alternatives per token */
    uint32_t credit_bytes; /* text that may be under way unread, per choice; 0: 64 KiB */
};

/* ---- events ---- */

enum tg_engine_event_kind {
    TG_ENGINE_EV_STARTED,
    TG_ENGINE_EV_TEXT,
    TG_ENGINE_EV_VECTOR, /* text: the bytes of floats, aligned, of length 1 together */
    TG_ENGINE_EV_DONE,
    TG_ENGINE_EV_ERROR,
};

enum tg_engine_reason {
    TG_ENGINE_STOP = 0,    /* the model ended its answer */
    TG_ENGINE_STOP_STRING, /* a stop string: stop_index */
    TG_ENGINE_LENGTH,      /* max_tokens or the context */
    TG_ENGINE_CANCELLED,
    TG_ENGINE_COUNTED, /* count_only */
};

struct tg_engine_counts {
    uint32_t prompt_tokens, cached_tokens, completion_tokens;
    uint64_t queue_us, prompt_us, decode_us;
};

/* One generated token's probability; bytes need not be whole characters. */
struct tg_engine_logprob {
    struct tg_str token;
    float logprob;
    uint32_t n_top;
    const struct tg_engine_logprob *top; /* their own n_top is 0 */
};

/* Identifies the request to its owner; chosen by the owner, never interpreted here. */
struct tg_engine_tag {
    uint64_t a, b;
};

/* A message in a worker's mailbox: deliver() hands it to the client's on_event, which owns it from
 * then on: tg_engine_event_free(). Until then its strings live and msg.next is the client's. */
struct tg_engine_event {
    struct tg_msg msg;
    uint64_t request_id;
    struct tg_engine_tag tag;
    enum tg_engine_event_kind kind;
    uint32_t choice;
    bool last; /* DONE, ERROR: nothing follows for the whole request */
    struct tg_engine_counts
        counts; /* STARTED: prompt and cached; TEXT: completion so far; DONE: all */
    enum tg_engine_reason reason; /* DONE */
    uint32_t stop_index;          /* DONE with STOP_STRING */
    int err;                      /* ERROR: TG_E_* */
    int64_t retry_after_ms;       /* ERROR: -1 none */
    struct tg_str text;           /* TEXT: whole UTF-8 characters; VECTOR; ERROR: for people */
    uint32_t cost;                /* TEXT: to be given back with tg_engine_credit() */
    const struct tg_engine_logprob *logprobs; /* TEXT */
    uint32_t n_logprobs;
};

void tg_engine_event_free(struct tg_engine_event *ev); /* NULL is allowed */

/* ---- the host ---- */

struct tg_engine_host;

/* How to start a child. argv is NULL-terminated; NULL: {"tollgate", "engine"} of /proc/self/exe. */
struct tg_engine_host_opts {
    const char *const *argv;
};

/* Starts the host thread. TG_E_NOMEM, TG_E_IO. */
int tg_engine_host_new(const struct tg_engine_host_opts *opts,
                       struct tg_engine_host **out) TG_WARN_UNUSED;
/* Ends the children, at most 2 s for them to leave by themselves, then the thread. Requests still
 * running get ERROR SHUTTING_DOWN. The workers' mailboxes must outlive this call; events may still
 * lie in them, whose receivers must not call the host any more. */
void tg_engine_host_free(struct tg_engine_host *h);

/* Registers a worker: on_event runs on the mailbox's thread with the mailbox's ctx. TG_E_FULL. */
int tg_engine_client_add(struct tg_engine_host *h, struct tg_mailbox *inbox,
                         void (*on_event)(void *ctx, struct tg_engine_event *ev),
                         uint32_t *out_client) TG_WARN_UNUSED;

/* Adds a model; nothing is loaded until load_at_boot, the first request, or a load command.
 * TG_E_FULL, TG_E_INVALID_ARG (with *f), TG_E_NOMEM. */
int tg_engine_model_add(struct tg_engine_host *h, const struct tg_engine_model_opts *s,
                        struct tg_fail *f, uint32_t *out_model) TG_WARN_UNUSED;
/* Stops its child and forgets it; requests get ERROR. */
int tg_engine_model_remove(struct tg_engine_host *h, uint32_t model) TG_WARN_UNUSED;
int tg_engine_model_load(struct tg_engine_host *h, uint32_t model) TG_WARN_UNUSED;
int tg_engine_model_unload(struct tg_engine_host *h, uint32_t model) TG_WARN_UNUSED;

enum tg_engine_state {
    TG_ENGINE_OFF,
    TG_ENGINE_STARTING,
    TG_ENGINE_READY,
    TG_ENGINE_BACKOFF, /* crashed, starts again soon */
    TG_ENGINE_FAILED,  /* see reason; tried again on a load command, or by a request after 30 s */
};
const char *tg_engine_state_name(enum tg_engine_state s);

struct tg_engine_info { /* of the loaded model; zero before the first READY */
    char name[96], description[96], chat_format[48], library[32], backend[48];
    uint64_t n_params, size_bytes, memory_bytes;
    uint32_t n_ctx, n_ctx_train, cache_tokens, slots, threads, n_vocab, load_ms;
    bool flash, has_template;
};

struct tg_engine_status {
    enum tg_engine_state state;
    uint32_t progress_permille;                          /* while starting */
    uint32_t running, waiting;                           /* requests */
    uint32_t restarts;                                   /* children lost since boot */
    uint64_t prompt_tokens, completion_tokens, requests; /* since boot */
    float decode_tokens_per_s;                           /* all slots, last second of work */
    int pid;                                             /* 0: no child */
    uint64_t resident_bytes;                             /* of the child */
    char reason[512];                                    /* FAILED, BACKOFF */
    struct tg_engine_info info;
};
/* A copy, not older than a second. TG_E_NOT_FOUND_INTERNAL. */
int tg_engine_model_status(struct tg_engine_host *h, uint32_t model,
                           struct tg_engine_status *out) TG_WARN_UNUSED;

/* Checks, encodes and hands the request to the host thread. On success every later fact comes as
 * an event, never before this returns. *out_id may be NULL; it is never 0.
 * TG_E_INVALID_VALUE or TG_E_CONTEXT_LENGTH (both with *f), TG_E_OVERLOADED, TG_E_NOMEM. */
int tg_engine_submit(struct tg_engine_host *h, uint32_t model, uint32_t client,
                     struct tg_engine_tag tag, const struct tg_engine_request *req,
                     struct tg_fail *f, uint64_t *out_id) TG_WARN_UNUSED;
/* All choices of the request. Fine for an id that is gone. */
void tg_engine_cancel(struct tg_engine_host *h, uint64_t request_id);
/* The owner has passed on a TEXT event: as much as its `cost` may come again. */
void tg_engine_credit(struct tg_engine_host *h, uint64_t request_id, uint32_t choice,
                      uint32_t bytes);

#endif
