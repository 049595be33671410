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
    BUDGET_US = 2000000, /* a slow model is measured less often */
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

/* Decodes n rows: consecutive positions of sequence 0, or one row of each of n sequences. Returns
 * microseconds, 0 on failure. */
static uint64_t time_rows(const struct timer *k, uint32_t n, bool one_sequence, uint32_t pos)
{
    for (uint32_t i = 0; i < n; i++)
        k->rows[i] = (struct tg_llm_row){.token = (int32_t)(i % 7) + 1,
                                         .pos = (int32_t)(one_sequence ? pos + i : pos),
                                         .seq = one_sequence ? 0 : i,
                                         .output = one_sequence ? i == n - 1 : true};
    uint64_t t = clock_us(k->one_thread);
    if (tg_llm_decode(k->m, k->rows, n) != TG_LLM_OK || !tg_llm_logits(k->m, n - 1))
        return 0;
    t = clock_us(k->one_thread) - t;
    return t ? t : 1;
}

/* The best of a few single rows behind a prompt of TG_CALIB_DEPTH tokens; 0 on failure. */
static uint64_t time_deep(const struct timer *k, struct tg_calib *c)
{
    uint32_t depth = TG_CALIB_DEPTH, step = tg_llm_n_batch(k->m);
    uint64_t best = 0, prefill = 0;
    tg_llm_clear(k->m);
    for (uint32_t at = 0; at < depth; at += step) {
        uint64_t t = time_rows(k, depth - at < step ? depth - at : step, true, at);
        if (!t)
            return 0;
        prefill += t;
    }
    c->prefill_ns_per_token = (uint32_t)(prefill * 1000 / depth);
    for (uint32_t i = 0; i < REPEAT; i++) {
        uint64_t t = time_rows(k, 1, true, depth + i);
        if (!t)
            return 0;
        best = best == 0 || t < best ? t : best;
    }
    tg_llm_clear(k->m);
    return best;
}

static bool time_steps(const struct timer *k, uint32_t slots, struct tg_calib *c)
{
    uint64_t begun = tg_clock_mono_us();
    tg_llm_clear(k->m);
    uint32_t pos = 0;
    for (uint32_t i = 0, n = 1; i < TG_CALIB_POINTS; i++, n *= 2) {
        uint32_t rows_n = n < slots ? n : slots;
        uint64_t best = 0;
        for (int tries = 0; tries < REPEAT; tries++) {
            uint64_t t = time_rows(k, rows_n, false, pos++);
            if (!t)
                return false;
            best = best == 0 || t < best ? t : best;
            if (tg_clock_mono_us() - begun > BUDGET_US)
                break;
        }
        /* With fewer slots than rows: as if the rest took as long again. */
        c->step_us[i] = (uint32_t)(best * n / rows_n);
        /* The next round adds sequences: all must stand at the same position. */
        tg_llm_clear(k->m);
        pos = 0;
    }
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

/* A request of as many tokens in as out, in microseconds per token: flash attention reads prompts
 * faster and, for small heads, writes more slowly. */
static uint64_t request_cost(const struct tg_calib *c)
{
    return c->deep_us ? c->deep_us + c->prefill_ns_per_token / 1000 : UINT64_MAX;
}

/* Tries both kinds of attention; leaves the better one's context. */
static int choose_flash(const struct timer *k, const struct tg_plan *p, struct tg_calib *c,
                        struct tg_fail *f)
{
    struct tg_calib off = *c, on = *c;
    int rc = make(k->m, p, TG_ENGINE_FLASH_ON, f);
    if (rc)
        return rc;
    on.deep_us = (uint32_t)time_deep(k, &on);
    rc = make(k->m, p, TG_ENGINE_FLASH_OFF, f);
    if (rc)
        return rc;
    off.deep_us = (uint32_t)time_deep(k, &off);
    bool flash = request_cost(&on) < request_cost(&off);
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
    bool deep = plan->n_cells >= TG_CALIB_DEPTH + REPEAT && plan->n_ctx >= TG_CALIB_DEPTH + REPEAT;
    bool small = file_bytes < SMALL_MODEL_BYTES;
    int rc;
    if (flash == TG_ENGINE_FLASH_AUTO && small && deep) {
        rc = choose_flash(&k, plan, calib, f);
    } else {
        rc = make(m, plan, flash, f);
        calib->flash = flash != TG_ENGINE_FLASH_OFF;
        if (!rc && small && deep)
            calib->deep_us = (uint32_t)time_deep(&k, calib);
    }
    if (!rc)
        calib->valid = time_steps(&k, plan->slots, calib);
    tg_free(k.rows);
    return rc;
}
