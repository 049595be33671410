#include "engine/sched_priv.h"

size_t tg_common_prefix(const int32_t *a, size_t na, const int32_t *b, size_t nb)
{
    size_t n = na < nb ? na : nb, i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* The longest prefix that any slot holds, and the longest that a prefilling one will hold soon. */
static void find_prefix(const struct tg_slot_view *slots, size_t n_slots, const int32_t *prompt,
                        uint32_t cap, bool whole_only, struct tg_placement *p, uint32_t *out_coming)
{
    *out_coming = 0;
    for (size_t i = 0; i < n_slots; i++) {
        const struct tg_slot_view *s = &slots[i];
        uint32_t have = (uint32_t)tg_common_prefix(s->tokens, s->n_cells, prompt, cap);
        if (have > p->reuse && (!whole_only || have == s->n_cells)) {
            p->reuse = have;
            p->source = (int)i;
        }
        if (s->state != TG_SLOT_PREFILL || whole_only)
            continue;
        uint32_t will = (uint32_t)tg_common_prefix(s->tokens, s->n_target, prompt, cap);
        if (will > *out_coming) {
            *out_coming = will;
            p->wait_for = (int)i;
        }
    }
}

/* An idle slot to write into: the source itself when it is idle and would lose nothing worth
 * keeping, else an empty one, else the one used longest ago. */
static int pick_target(const struct tg_slot_view *slots, size_t n_slots,
                       const struct tg_placement *p)
{
    int best = -1;
    for (size_t i = 0; i < n_slots; i++) {
        if (slots[i].state != TG_SLOT_IDLE || (int)i == p->source)
            continue;
        if (best < 0 || (slots[i].n_cells == 0 && slots[best].n_cells != 0) ||
            ((slots[i].n_cells == 0) == (slots[best].n_cells == 0) &&
             slots[i].last_used < slots[best].last_used))
            best = (int)i;
    }
    if (p->source < 0 || slots[p->source].state != TG_SLOT_IDLE)
        return best;
    /* Continuing where the slot stopped (the next turn of a dialogue) loses nothing; so does a
     * slot whose remaining cells are few. Otherwise it stays as a cache for its own dialogue. */
    uint32_t lost = slots[p->source].n_cells - p->reuse;
    if (best < 0 || lost <= slots[p->source].n_cells / 4 || lost < TG_SCHED_WAIT_MIN_TOKENS)
        return p->source;
    return best;
}

struct tg_placement tg_sched_place(const struct tg_slot_view *slots, size_t n_slots,
                                   const int32_t *prompt, uint32_t n_prompt, bool whole_only)
{
    struct tg_placement p = {.slot = -1, .source = -1, .wait_for = -1};
    uint32_t coming;
    find_prefix(slots, n_slots, prompt, n_prompt ? n_prompt - 1 : 0, whole_only, &p, &coming);
    if (coming < p.reuse + TG_SCHED_WAIT_MIN_TOKENS)
        p.wait_for = -1;
    p.slot = pick_target(slots, n_slots, &p);
    return p;
}

/* Time of one decode with n rows: measured points, linear between and beyond them. */
static uint64_t step_us(const struct tg_calib *c, uint32_t n)
{
    uint32_t lo = 1;
    size_t i = 0;
    while (i + 2 < TG_CALIB_POINTS && n > lo * 2) {
        lo *= 2;
        i++;
    }
    int64_t a = c->step_us[i], b = c->step_us[i + 1];
    int64_t t = a + (b - a) * ((int64_t)n - lo) / lo;
    return t > 1 ? (uint64_t)t : 1;
}

uint32_t tg_sched_group(const struct tg_calib *c, uint32_t n)
{
    if (!c->valid || n <= 1)
        return n ? n : 1;
    uint32_t best = n;
    uint64_t best_us = UINT64_MAX;
    /* Larger groups win ties: fewer calls and a smoother stream for everyone. */
    for (uint32_t rounds = 1; rounds <= n; rounds++) {
        uint32_t g = (n + rounds - 1) / rounds;
        uint64_t us = (uint64_t)rounds * step_us(c, g);
        if (us < best_us - best_us / 16) {
            best_us = us;
            best = g;
        }
    }
    return best;
}

static void add_part(struct tg_step *s, uint32_t slot, uint32_t n)
{
    s->parts[s->n_parts++] = (struct tg_step_part){slot, n};
    s->n_tokens += n;
}

void tg_sched_step(const struct tg_slot_view *slots, const uint64_t *order, size_t n_slots,
                   uint32_t group, uint32_t turn, uint32_t chunk_budget, uint32_t max_tokens,
                   struct tg_step *out)
{
    *out = (struct tg_step){0};
    for (size_t k = 0; k < n_slots && out->n_parts < group && out->n_tokens < max_tokens; k++) {
        size_t i = (turn + k) % n_slots;
        if (slots[i].state == TG_SLOT_DECODE)
            add_part(out, (uint32_t)i, 1);
    }
    out->n_decode = out->n_parts;
    uint32_t budget = max_tokens - out->n_tokens;
    if (budget > chunk_budget)
        budget = chunk_budget;
    bool used[TG_ENGINE_MAX_SLOTS] = {false};
    while (budget > 0) {
        int first = -1;
        for (size_t i = 0; i < n_slots; i++)
            if (slots[i].state == TG_SLOT_PREFILL && !used[i] &&
                (first < 0 || order[i] < order[first]))
                first = (int)i;
        if (first < 0)
            return;
        used[first] = true;
        uint32_t left = slots[first].n_target - slots[first].n_cells;
        uint32_t n = left < budget ? left : budget;
        if (n > 0)
            add_part(out, (uint32_t)first, n);
        budget -= n;
    }
}

uint32_t tg_sched_chunk(uint64_t ns_per_token, uint64_t target_us, uint32_t min_tokens,
                        uint32_t max_tokens)
{
    uint64_t want = ns_per_token ? target_us * 1000 / ns_per_token : max_tokens;
    if (want < min_tokens)
        want = min_tokens;
    return (uint32_t)(want > max_tokens ? max_tokens : want);
}

uint64_t tg_sched_rate(uint64_t ns_per_token, uint32_t tokens, uint64_t took_us)
{
    enum { FEW = 16 };
    if (tokens < FEW)
        return ns_per_token;
    uint64_t now = took_us * 1000 / tokens;
    return ns_per_token ? (ns_per_token * 3 + now) / 4 : now;
}

uint32_t tg_sched_idle_cells(const struct tg_calib *c, uint32_t running, uint32_t n_cells)
{
    enum { ROWS = 4, DEARER_PART = 20 };
    if (!c->valid || c->foreign_us <= c->step_us[2] || running == 0)
        return n_cells;
    /* One cell costs each row extra / (ROWS * depth). */
    uint64_t extra = (c->foreign_us - c->step_us[2]) * (uint64_t)running;
    uint64_t cells = step_us(c, running) * ROWS * TG_CALIB_DEPTH / (extra * DEARER_PART);
    return cells < n_cells ? (uint32_t)cells : n_cells;
}

int tg_sched_evict(const struct tg_slot_view *slots, size_t n_slots, int except)
{
    int best = -1;
    for (size_t i = 0; i < n_slots; i++)
        if (slots[i].state == TG_SLOT_IDLE && slots[i].n_cells > 0 && (int)i != except &&
            (best < 0 || slots[i].last_used < slots[best].last_used))
            best = (int)i;
    return best;
}
