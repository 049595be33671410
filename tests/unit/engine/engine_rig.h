/* A host with real children for tests: submits requests, records their events, waits for facts.
 * The test binary is its own engine child: main() must call rig_main() first. */
#ifndef TG_TEST_ENGINE_RIG_H
#define TG_TEST_ENGINE_RIG_H

#include <stdbool.h>

#include "check.h"

#include "base/buf.h"
#include "engine/engine.h"
#include "io/loop.h"

#define RIG_REQUESTS 128

struct rig_answer {
    uint64_t id;
    bool submitted, started, done, last; /* done: every choice ended with DONE */
    int err;                             /* of an ERROR event */
    int64_t retry_after_ms;
    char message[512];
    struct tg_buf text[4]; /* by choice */
    uint32_t n_text, n_ended;
    uint32_t owed; /* credit not given back, with keep_credit */
    bool keep_credit;
    enum tg_engine_reason reason;
    uint32_t stop_index;
    struct tg_engine_counts counts;
    uint32_t n_logprobs, n_top;
    double logprob_sum;
    float vector[TG_ENGINE_MAX_CHOICES][512];
    uint32_t dims; /* of the vectors */
    bool utf8;
};

struct rig {
    struct tg_loop *loop;
    struct tg_mailbox *inbox;
    struct tg_engine_host *host;
    uint32_t client, model;
    struct rig_answer a[RIG_REQUESTS];
    uint32_t n;
    uint64_t last_event_ms;
};

/* Runs the child when the arguments say so (and does not return then). */
void rig_main(int argc, char **argv);
/* False, saying why, when the library is not there: the test then returns. */
bool rig_possible(void);

/* A number of bytes: the limit of address space that children start with. */
extern const char *rig_child_argument;

/* A host and one model; opts NULL: the built-in model with the defaults. */
void rig_start(struct rig *r, const struct tg_engine_model_opts *opts);
void rig_stop(struct rig *r);

struct tg_engine_request rig_greedy(const struct tg_engine_message *m);
#define RIG_USER(lit)                 \
    &(const struct tg_engine_message) \
    {                                 \
        TG_ROLE_USER, TG_STR(lit)     \
    }
struct rig_answer *rig_submit(struct rig *r, const struct tg_engine_request *req);
struct rig_answer *rig_ask(struct rig *r, const struct tg_engine_request *req); /* and waits */

/* Runs the loop until `cond`; a minute in which nothing at all happens fails the test. */
#define rig_wait(r, cond)                                  \
    do {                                                   \
        uint64_t rig_end = rig_deadline();                 \
        while (!(cond)) {                                  \
            if (!rig_turn((r), rig_end))                   \
                fail_msg("waited in vain for: %s", #cond); \
        }                                                  \
    } while (0)
uint64_t rig_deadline(void);
bool rig_turn(struct rig *r, uint64_t deadline_ms); /* false: too late */
struct tg_engine_status rig_status(struct rig *r);

/* A changed copy of the built-in model's file; the path is valid until the next call. */
struct tg_str rig_model_bytes(void); /* tg_free(p) */
const char *rig_write_model(struct tg_str bytes);

#endif
