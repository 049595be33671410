/* The scheduler's decisions as pure functions over a table of slots: which slot a request gets and
 * from where its prefix comes, which slots take part in the next step and with how many tokens.
 * Thread rule: pure functions, any thread. */
#ifndef TG_ENGINE_SCHED_PRIV_H
#define TG_ENGINE_SCHED_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/proto_priv.h"

enum tg_slot_state {
    TG_SLOT_IDLE,    /* no request; its cells are a cache */
    TG_SLOT_PREFILL, /* reading its prompt */
    TG_SLOT_DECODE,
    TG_SLOT_STALLED, /* its reader is slow: skipped */
};

/* What a decision looks at. tokens[0..n_cells) are in the context's memory for this slot;
 * PREFILL: tokens[0..n_target) are the whole prompt. */
struct tg_slot_view {
    enum tg_slot_state state;
    const int32_t *tokens;
    uint32_t n_cells, n_target;
    uint64_t last_used; /* step number */
};

size_t tg_common_prefix(const int32_t *a, size_t na, const int32_t *b, size_t nb);

struct tg_placement {
    int slot;       /* -1: no idle slot */
    int source;     /* slot whose prefix is copied; = slot: kept in place; -1: none */
    uint32_t reuse; /* tokens */
    int wait_for;   /* >= 0: this slot is about to have a much longer prefix: better wait */
};
/* At least one prompt token is always left to decode, since its logits are needed. whole_only: the
 * model's state can't be cut, so that a slot's cells are taken all or not at all. */
struct tg_placement tg_sched_place(const struct tg_slot_view *slots, size_t n_slots,
                                   const int32_t *prompt, uint32_t n_prompt, bool whole_only);

/* A wait for another slot's prefill pays from this many tokens on. */
#define TG_SCHED_WAIT_MIN_TOKENS 32u

/* How many of `n` decoding rows to put into one decode, given the measured times: the group size
 * (1..n) for which one round over all of them is shortest. */
uint32_t tg_sched_group(const struct tg_calib *c, uint32_t n);

struct tg_step_part {
    uint32_t slot;
    uint32_t n_tokens; /* 1 for a decoding slot */
};
struct tg_step {
    struct tg_step_part parts[TG_ENGINE_MAX_SLOTS];
    uint32_t n_parts, n_decode; /* the decoding ones come first */
    uint32_t n_tokens;
};
/* The next batch: up to `group` decoding slots, starting at slot `turn` (round robin), then prompt
 * chunks, the one admitted first (smallest `order`) first, up to chunk_budget tokens of prompt and
 * max_tokens in all. */
void tg_sched_step(const struct tg_slot_view *slots, const uint64_t *order, size_t n_slots,
                   uint32_t group, uint32_t turn, uint32_t chunk_budget, uint32_t max_tokens,
                   struct tg_step *out);

/* Prompt tokens per step so that a step takes about target_us, at the measured rate. */
uint32_t tg_sched_chunk(uint64_t ns_per_token, uint64_t target_us, uint32_t min_tokens,
                        uint32_t max_tokens);
/* The rate after one more step: steps of few tokens say nothing and are left out. */
uint64_t tg_sched_rate(uint64_t ns_per_token, uint32_t tokens, uint64_t took_us);

/* How many cells idle slots may keep while `running` slots work. Attention in a shared cache runs
 * over everybody's cells, so what is kept for later makes every step dearer now: by a twentieth. */
uint32_t tg_sched_idle_cells(const struct tg_calib *c, uint32_t running, uint32_t n_cells);

/* The idle slot with cells that was used longest ago, or -1. `except` is left out. */
int tg_sched_evict(const struct tg_slot_view *slots, size_t n_slots, int except);

#endif
