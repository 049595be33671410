/* The exchange's inside, shared by the files that make it up: exchange.c (states, birth and
 * end), exchange_request.c (until it is routed), exchange_run.c (attempts and answer), output.c
 * (events to bytes), settle.c (what is written down). Core only.
 * Thread rule: the worker's thread. */
#ifndef TG_CORE_EXCHANGE_PRIV_H
#define TG_CORE_EXCHANGE_PRIV_H

#include "chat/fidelity.h"
#include "core/attempt.h"
#include "core/exchange.h"
#include "policy/route.h"

/* What the answer has come to. */
enum tg_output_state {
    TG_OUTPUT_NONE = 0,  /* nothing was sent: another attempt is still possible */
    TG_OUTPUT_OPENED,    /* a stream's head and comments: the same, but errors are events now */
    TG_OUTPUT_STREAMING, /* the head and some content have gone out */
    TG_OUTPUT_DONE,      /* a complete single answer was handed over */
};

struct tg_output {
    struct tg_sink sink; /* attempts emit into it */
    enum tg_output_state state;
    bool translated;           /* rendered from events, not passed through */
    bool rendering;            /* dialect->begin was called */
    bool start_held;           /* a START event waits for the first content */
    struct tg_str tier;        /* its service tier */
    struct tg_str provider_id; /* the provider's own name for the request, of the last attempt */
    bool write_failed;         /* the reply took no more */
    struct tg_passed passed;   /* units of this attempt, the held ones too */
    struct tg_buf held;        /* passed-through units before the first content */
    uint64_t held_since_us;
    struct tg_buf tail;                   /* the last bytes, until the answer is kept */
    struct tg_conversation *conversation; /* conversation_priv.h; NULL: nothing is kept */
    void *render_state;
    struct tg_render_info *info; /* made for the first translated attempt */
};

/* How the request goes to the target that is next (fit.c). */
struct tg_fit {
    bool pass;                  /* the client's own bytes, spliced */
    bool estimate;              /* COUNT without a provider that counts */
    struct tg_chat_req *chat;   /* what is encoded, unless it passes */
    const struct tg_call *call; /* the client's, or one without what the target's `drop` names */
    struct tg_losses lost;
    struct tg_str text; /* the header's value for what text_of stands for */
    uint64_t text_of;
};

/* What the request asks of a target, and what was tried once for it, whatever the retry settings
 * say. */
struct tg_ask {
    uint64_t features; /* of the canonical request: bits of TG_FEATURE_* */
    uint32_t origin;   /* who made the opaque state in it (affinity.h); 0: nobody known */
    struct tg_origin_wait *lookup; /* origin.c; NULL: the database was not asked */
    bool strict;                   /* refuse what would be lost */
    bool stripped;                 /* a provider refused that state: it goes without */
    bool renewed;                  /* a provider refused the credential, which was renewed then */
};

struct tg_exchange {
    struct tg_task task;
    struct tg_grave grave;
    struct tg_list link; /* runtime's list */
    struct tg_runtime *rt;
    struct tg_epoch *epoch;
    struct tg_arena arena;   /* this struct, and what lives as long as it */
    struct tg_http_req *req; /* NULL once the answer to a passed-through request streams */
    struct tg_reply reply;
    enum tg_exchange_state state;
    size_t dialect_index;
    const struct tg_dialect *dialect;
    const char *endpoint;
    struct tg_str request_id;
    struct tg_str cors_origin; /* "" if none */
    struct tg_call call;
    struct tg_chat_req *chat; /* parsed on demand */
    struct tg_fit fit;
    struct tg_ask ask;
    struct tg_route_plan *plan;
    uint16_t next_target; /* index in the plan of the target to use next */
    uint16_t attempts, attempts_here;
    bool gone;     /* the client left */
    bool paused;   /* the attempt is held back by a slow client */
    bool aborting; /* shutting down */
    struct tg_attempt *attempt;
    struct tg_timer timer; /* backoff before an attempt; keep-alive of a silent stream */
    struct tg_output out;
    struct tg_fail *fail; /* the first failure, made on first use */
    struct tg_usage usage;
    enum tg_finish finish;
    bool has_finish;
    int status; /* answered */
    uint64_t first_token_us;
    uint16_t last_target; /* of the attempt whose answer (or failure) stands */
    uint64_t last_output_us;
    int64_t started_wall_us;
    uint64_t received_us; /* monotonic */
};

/* exchange.c */
#define TG_EXCHANGE_KEEP_ALIVE_MS 15000
/* A step of a state: it waits to be woken, or the (new) state's step is next. */
enum tg_exchange_next { TG_EXCHANGE_WAIT, TG_EXCHANGE_MORE };
enum tg_exchange_next tg_exchange_to(struct tg_exchange *x, enum tg_exchange_state s); /* MORE */
/* To FAIL, with the failure that was filled or err's own words; an earlier failure stands. */
enum tg_exchange_next tg_exchange_fail_with(struct tg_exchange *x, int err);
/* The same with a failure that someone else's scratch holds. */
enum tg_exchange_next tg_exchange_fail_from(struct tg_exchange *x, const struct tg_fail *f,
                                            int err);
#define X(name, fn) enum tg_exchange_next fn(struct tg_exchange *x);
TG_EXCHANGE_STATES(X)
#undef X
void tg_exchange_abort(struct tg_exchange *x); /* shutting down */
/* The failure to fill; NULL when memory is out (then the table's text is used). */
struct tg_fail *tg_exchange_fail(struct tg_exchange *x);
static inline struct tg_arena *tg_exchange_arena(struct tg_exchange *x)
{
    return &x->arena;
}
/* For what is made of the request's body and goes with it. */
static inline struct tg_arena *tg_exchange_body_arena(struct tg_exchange *x)
{
    return &x->req->arena;
}

/* exchange_request.c */
/* Fills the failure: all targets are left alone for a while. TG_E_NO_UPSTREAM. */
int tg_exchange_no_healthy(struct tg_exchange *x);

/* fit.c */
/* Fills x->fit for an attempt at that target. UNSUPPORTED_PARAMETER: the target can't take the
 * request; JSON and API errors of its parse; NOMEM. */
int tg_fit_target(struct tg_exchange *x, const struct tg_target *t,
                  struct tg_fail *f) TG_WARN_UNUSED;
/* A failure of encoding names fields as the client does. */
void tg_fit_rename(const struct tg_exchange *x, struct tg_fail *f);
/* The canonical request, parsed if it was not; NULL: it does not parse or there is none. */
const struct tg_chat_req *tg_fit_parse(struct tg_exchange *x);
/* What was dropped and emulated, as the header says it; "" when nothing was. */
struct tg_str tg_fit_text(struct tg_exchange *x);

/* opaque.c */
void tg_opaque_note(struct tg_exchange *x, const struct tg_event *ev); /* from the answer */
/* Before routing: finds out who made the state in the request. False: wait, and call again. */
bool tg_opaque_find(struct tg_exchange *x);
void tg_opaque_pin(struct tg_exchange *x); /* routed: the state's own target comes first */
/* The target must get the conversation without its opaque state. */
bool tg_opaque_is_foreign(const struct tg_exchange *x, const struct tg_target *t);
int tg_opaque_strip(struct tg_exchange *x, struct tg_fail *f) TG_WARN_UNUSED; /* x->fit.chat */
/* The attempt failed because of it: worth another one without. */
bool tg_opaque_was_refused(struct tg_exchange *x, const struct tg_fail *f);

/* origin.c: who made which piece of opaque state, in memory and in the store. */
/* The attempt's target made it. */
void tg_origin_note(struct tg_exchange *x, struct tg_str opaque);
uint32_t tg_origin_known(const struct tg_exchange *x, struct tg_str opaque); /* 0: not here */
bool tg_origin_is_kept(const struct tg_exchange *x);                         /* in the store, too */
/* Asks the store; false: it can't be asked. */
bool tg_origin_ask(struct tg_exchange *x, struct tg_str opaque);
/* True once it has answered, or has had its time; then x->ask.origin is what it said. */
bool tg_origin_answered(struct tg_exchange *x);
void tg_origin_fini(struct tg_exchange *x);
/* Two models of one account at one provider: what one has made, the other may read. */
bool tg_origin_same_account(const struct tg_target *a, const struct tg_target *b);
/* What the target of that origin has made, t can go on with. */
bool tg_origin_goes_on(const struct tg_snapshot *s, const struct tg_target *t, uint32_t origin);

/* output.c */
/* Before an attempt: whether it is translated, a fresh rendering. TG_E_NOMEM. */
int tg_output_prepare(struct tg_exchange *x, bool translated) TG_WARN_UNUSED;
/* What the answer costs, nano-USD; -1: unknown. */
int64_t tg_output_cost_nusd(const struct tg_exchange *x);
/* After a good attempt: the rest of the stream, or the whole single answer; what tells the answer's
 * end waits for tg_output_end() when the answer is to be kept. */
int tg_output_finish(struct tg_exchange *x) TG_WARN_UNUSED;
int tg_output_end(struct tg_exchange *x) TG_WARN_UNUSED;
/* The answer to a failure: a whole error response when nothing was sent, else an error event and an
 * end without the dialect's mark of a good one. */
void tg_output_fail(struct tg_exchange *x, const struct tg_fail *fail);
/* What the client's format has for it, so that proxies between do not close a silent stream. */
void tg_output_keep_alive(struct tg_exchange *x);
void tg_output_fini(struct tg_exchange *x);

/* settle.c */
void tg_settle_received(struct tg_exchange *x);
void tg_settle_attempt(struct tg_exchange *x); /* x->attempt is over */
void tg_settle_exchange(struct tg_exchange *x);

#endif
