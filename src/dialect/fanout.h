/* POST /v1/llm/chat: a chat completion asked of several models at once, and what becomes of their
 * answers. This is the text side: the request taken apart, the requests to each model, the bodies
 * put together from their answers. Who runs them is core/fanout.h.
 *
 * The body is that of a chat completion with, in place of `model`: `models` (1 to 16 names),
 * `aggregate` ("first", "all", "best_of", "merge"; "first" when absent) and, for best_of and merge,
 * `judge`: the model that picks or combines.
 * Thread rule: pure functions. */
#ifndef TG_DIALECT_FANOUT_H
#define TG_DIALECT_FANOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"

#define TG_FANOUT_MAX_MODELS 16

enum tg_aggregate {
    TG_AGGREGATE_FIRST,
    TG_AGGREGATE_ALL,
    TG_AGGREGATE_BEST_OF,
    TG_AGGREGATE_MERGE
};
const char *tg_aggregate_name(enum tg_aggregate a); /* "best_of" */

/* Strings live in the arena or the body. */
struct tg_fanout_call {
    struct tg_str models[TG_FANOUT_MAX_MODELS];
    size_t n_models;
    enum tg_aggregate aggregate;
    struct tg_str judge;
    bool stream;
    struct tg_str stream_options; /* raw, "" if none */
    struct tg_str messages;       /* raw */
    struct tg_str members;        /* all other members, raw, joined by commas */
};
/* Errors as a dialect's open: JSON and API groups of err.def, naming the field. */
int tg_fanout_open(struct tg_arena *a, struct tg_str body, struct tg_fanout_call *out,
                   struct tg_fail *f) TG_WARN_UNUSED;

/* What one model has answered. */
struct tg_fanout_answer {
    struct tg_str model;
    int status;
    struct tg_str body; /* a chat completion, or an error body */
    uint64_t took_us;
    int64_t cost_nusd; /* -1: unknown */
    bool cancelled;    /* a loser of "first" */
};

/* The request bodies, appended; memory errors are the buffer's. */
void tg_fanout_branch_body(const struct tg_fanout_call *c, struct tg_str model, bool stream,
                           struct tg_buf *out);
/* The judge's: pick one of the good answers by number, or combine them. */
void tg_fanout_judge_body(const struct tg_fanout_call *c, struct tg_arena *a,
                          const struct tg_fanout_answer *answers, size_t n, struct tg_buf *out);

/* The number of the answer that the judge's completion names: an index into answers, of a good one;
 * -1: it names none. */
int tg_fanout_verdict(struct tg_arena *a, struct tg_str completion,
                      const struct tg_fanout_answer *answers, size_t n);

struct tg_fanout_result {
    enum tg_aggregate aggregate;
    struct tg_str id, request_id;
    int64_t created_s;
    const struct tg_fanout_answer *answers;
    size_t n;
    int selected; /* FIRST, BEST_OF: index; -1: none */
    struct tg_str judge;
    bool judged; /* BEST_OF: the judge has picked, else the first good answer was taken */
};
/* ALL: the one body of all answers. */
void tg_fanout_write_all(const struct tg_fanout_result *r, struct tg_arena *a, struct tg_buf *out);
/* A chat completion (of the winner, or of the judge) with the member `fanout` added, that tells who
 * took part. */
void tg_fanout_write_one(const struct tg_fanout_result *r, struct tg_str completion,
                         struct tg_arena *a, struct tg_buf *out);
/* A whole completion as the one chunk of a stream, with `fanout`, as a block of server-sent events.
 */
void tg_fanout_write_as_chunk(const struct tg_fanout_result *r, struct tg_str completion,
                              struct tg_arena *a, struct tg_buf *out);
/* One object of a stream (a chunk or an error) with `fanout` added, as a block of server-sent
 * events; "[DONE]" is said by the caller. */
void tg_fanout_write_chunk(size_t index, struct tg_str model, struct tg_str object,
                           struct tg_buf *out);

#endif
