/* Times a few decodes right after the load, because the fastest way depends on the model's shape
 * and the machine: with or without flash attention, and how many rows to put into one decode
 * (llama.cpp's small-batch kernels can be slower than one row after the other). */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/child_priv.h"

enum {
    SMALL_MODEL_BYTES = 512 << 20, /* below, both kinds of attention are tried */
    REPEAT = 5,
    BUDGET_US = 500000, /* a slow model is measured less often */
    FOREIGN_ROWS = 4,   /* step_us[2] is for as many */
};

/* On a busy machine the wall's clock measures the neighbours. With one thread the thread's own
 * clock does not; with several, what counts is the wall, and the best of a few tries. */
static uint64_t clock_us(bool one_thread)
{
    struct timespec ts;
    if (!one_thread || clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts) != 0)
        return tg_clock_mono_us();
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

struct timer {
    struct tg_llm *m;
    struct tg_llm_row *rows;
    bool one_thread;
};

enum shape { PROMPT, SPREAD }; /* rows of one sequence, or one row of each of several */

/* Decodes n rows from position pos on, of sequence `seq` or of those from `seq` on. Returns
 * microseconds, 0 on failure. */
static uint64_t time_rows(const struct timer *k, enum shape shape, uint32_t n, uint32_t seq,
                          uint32_t pos)
{
    bool spread = shape == SPREAD;
    for (uint32_t i = 0; i < n; i++)
        k->rows[i] = (struct tg_llm_row){.token = (int32_t)(i % 7) + 1,
                                         .pos = (int32_t)(spread ? pos : pos + i),
                                         .seq = spread ? seq + i : seq,
                                         .output = spread || i == n - 1};
    uint64_t t = clock_us(k->one_thread);
    if (tg_llm_decode(k->m, k->rows, n) != TG_LLM_OK || !tg_llm_logits(k->m, n - 1))
        return 0;
    t = clock_us(k->one_thread) - t;
    return t ? t : 1;
}

/* The best of a few rounds, one position after the other; 0 on failure. */
static uint64_t time_best(const struct timer *k, uint32_t n, uint32_t seq, uint32_t pos)
{
    uint64_t best = 0, begun = tg_clock_mono_us();
    for (uint32_t i = 0; i < REPEAT && (i == 0 || tg_clock_mono_us() - begun < BUDGET_US); i++) {
        uint64_t t = time_rows(k, SPREAD, n, seq, pos + i);
        if (!t)
            return 0;
        best = best == 0 || t < best ? t : best;
    }
    return best;
}

/* Reading a prompt, a row behind it, and rows of other sequences beside it. */
static bool time_deep(const struct timer *k, uint32_t slots, struct tg_calib *c)
{
    uint32_t depth = TG_CALIB_DEPTH, step = tg_llm_n_batch(k->m);
    uint64_t prefill = 0;
    tg_llm_clear(k->m);
    for (uint32_t at = 0; at < depth; at += step) {
        uint64_t t = time_rows(k, PROMPT, depth - at < step ? depth - at : step, 0, at);
        if (!t)
            return false;
        prefill += t;
    }
    c->prefill_ns_per_token = (uint32_t)(prefill * 1000 / depth);
    c->deep_us = (uint32_t)time_best(k, 1, 0, depth);
    if (slots > FOREIGN_ROWS)
        c->foreign_us = (uint32_t)time_best(k, FOREIGN_ROWS, 1, 0);
    tg_llm_clear(k->m);
    return c->deep_us != 0;
}

static bool time_steps(const struct timer *k, uint32_t slots, struct tg_calib *c)
{
    for (uint32_t i = 0, n = 1; i < TG_CALIB_POINTS; i++, n *= 2) {
        uint32_t rows_n = n < slots ? n : slots;
        /* All sequences of a round stand at the same position: each begins at 0. */
        tg_llm_clear(k->m);
        uint64_t best = time_best(k, rows_n, 0, 0);
        if (!best)
            return false;
        /* With fewer slots than rows: as if the rest took as long again. */
        c->step_us[i] = (uint32_t)(best * n / rows_n);
    }
    tg_llm_clear(k->m);
    return true;
}

static int make(struct tg_llm *m, const struct tg_plan *p, int flash, struct tg_fail *f)
{
    struct tg_llm_ctx_opts o = {.n_cells = p->n_cells,
                                .n_seq = p->slots,
                                .n_batch = p->n_batch,
                                .threads = p->threads,
                                .flash = flash};
    return tg_llm_context(m, &o, f);
}

/* A request of as many tokens in as out, written alone and beside others, in microseconds: flash
 * attention reads prompts faster, passes foreign cells over, and is slower with small heads. */
static uint64_t request_cost(const struct tg_calib *c)
{
    return c->deep_us + c->foreign_us / FOREIGN_ROWS + c->prefill_ns_per_token / 1000;
}

static void keep_best(uint32_t *best, uint32_t now)
{
    if (*best == 0 || (now != 0 && now < *best))
        *best = now;
}

/* Measures one kind of attention; the best of this and earlier rounds stays in *best. */
static int try_flash(const struct timer *k, const struct tg_plan *p, int flash,
                     struct tg_calib *best, struct tg_fail *f)
{
    struct tg_calib now = {0};
    int rc = make(k->m, p, flash, f);
    if (rc)
        return rc;
    if (!time_deep(k, p->slots, &now))
        return tg_fail_set(f, TG_E_LOCAL_UNAVAILABLE, "the model can't be run on this machine");
    keep_best(&best->deep_us, now.deep_us);
    keep_best(&best->foreign_us, now.foreign_us);
    keep_best(&best->prefill_ns_per_token, now.prefill_ns_per_token);
    return 0;
}

/* Tries both kinds of attention; leaves the better one's context. A near result is looked at again
 * some time later: a neighbour on the same core may have disturbed one of them. */
static int choose_flash(const struct timer *k, const struct tg_plan *p, struct tg_calib *c,
                        struct tg_fail *f)
{
    enum { ROUNDS = 2, CLEAR_PART = 5 };
    struct tg_calib off = {0}, on = {0};
    bool flash = false;
    for (int round = 0; round < ROUNDS; round++) {
        int rc = try_flash(k, p, TG_ENGINE_FLASH_ON, &on, f);
        if (!rc)
            rc = try_flash(k, p, TG_ENGINE_FLASH_OFF, &off, f);
        if (rc)
            return rc;
        uint64_t a = request_cost(&on), b = request_cost(&off);
        flash = a < b;
        if ((a > b ? a - b : b - a) > (a > b ? b : a) / CLEAR_PART)
            break;
    }
    *c = flash ? on : off;
    c->flash = flash;
    return flash ? make(k->m, p, TG_ENGINE_FLASH_ON, f) : 0;
}

int tg_calibrate(struct tg_llm *m, const struct tg_plan *plan, int flash, uint64_t file_bytes,
                 struct tg_calib *calib, struct tg_fail *f)
{
    if (calib->valid) /* measured by an earlier child with the same settings */
        return make(m, plan, calib->flash ? TG_ENGINE_FLASH_ON : TG_ENGINE_FLASH_OFF, f);
    struct timer k = {.m = m,
                      .rows = tg_calloc(TG_CALIB_DEPTH, sizeof(struct tg_llm_row)),
                      .one_thread = plan->threads == 1};
    if (!k.rows)
        return tg_fail_set(f, TG_E_NOMEM, "out of memory");
    bool deep = plan->n_cells >= 2 * TG_CALIB_DEPTH && plan->n_ctx >= TG_CALIB_DEPTH + REPEAT;
    bool small = file_bytes < SMALL_MODEL_BYTES;
    int rc;
    if (flash == TG_ENGINE_FLASH_AUTO && small && deep) {
        rc = choose_flash(&k, plan, calib, f);
    } else {
        rc = make(m, plan, flash, f);
        calib->flash = flash != TG_ENGINE_FLASH_OFF;
        if (!rc && small && deep)
            time_deep(&k, plan->slots, calib);
    }
    if (!rc)
        calib->valid = time_steps(&k, plan->slots, calib);
    tg_free(k.rows);
    return rc;
}
