/* Texts to vectors. Several short ones are computed together; between two computations the slots
 * have their turn. */
#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/child_priv.h"

enum {
    BATCH_TOKENS = 512, /* more only for a single text */
    BEAT_US = 1000000,
};

void tg_embedder_init(struct tg_embedder *e, struct tg_child *c, struct tg_p_beat *beat)
{
    *e = (struct tg_embedder){.c = c, .beat = beat};
    tg_list_init(&e->jobs);
    tg_list_init(&e->batch);
}

void tg_embedder_add(struct tg_embedder *e, struct tg_job *j)
{
    tg_list_add_tail(&e->jobs, &j->link);
    e->n++;
}

static void forget(struct tg_embedder *e, struct tg_job *j)
{
    tg_list_del(&j->link);
    e->n--;
    tg_job_free(e->c, j);
}

/* Asked by the library all through a computation: tells the gateway that this thread lives, and
 * gives up when nobody waits for any of the texts. */
static bool keep_going(void *ctx)
{
    struct tg_embedder *e = ctx;
    uint64_t now = tg_clock_mono_us();
    if (now - e->beat_us >= BEAT_US) {
        struct tg_buf b;
        e->beat_us = now;
        tg_buf_init(&b, 256);
        if (tg_p_put_beat(&b, e->beat) == 0)
            tg_child_out_send(&e->c->out, &b);
        tg_buf_fini(&b);
    }
    tg_list_each (it, &e->batch)
        if (!atomic_load(&tg_list_entry(it, struct tg_job, link)->cancelled))
            return true;
    return false;
}

static int open_context(struct tg_embedder *e, struct tg_fail *f)
{
    if (e->open)
        return 0;
    int rc = tg_llm_embed_open(e->c->llm, e->c->embed_tokens, TG_ENGINE_MAX_CHOICES,
                               e->c->plan.threads, keep_going, e, f);
    e->open = rc == 0;
    return rc;
}

/* Takes the next texts off the queue, as many as go together; cancelled ones end here. */
static uint32_t take_batch(struct tg_embedder *e, struct tg_llm_text *texts, struct tg_buf *frames)
{
    uint32_t n = 0, tokens = 0;
    tg_list_each_safe (it, tmp, &e->jobs) {
        struct tg_job *j = tg_list_entry(it, struct tg_job, link);
        if (atomic_load(&j->cancelled)) {
            tg_gen_finish(e->c, j, TG_ENGINE_CANCELLED, frames);
            forget(e, j);
            continue;
        }
        if (n == TG_ENGINE_MAX_CHOICES || (n && tokens + j->n_tokens > BATCH_TOKENS) ||
            atomic_load(&e->c->out.backlog) >= TG_CHILD_OUT_HIGH_BYTES)
            break;
        texts[n++] = (struct tg_llm_text){j->tokens, j->n_tokens};
        tokens += j->n_tokens;
        tg_list_del(it);
        tg_list_add_tail(&e->batch, it);
        j->started_us = tg_clock_mono_us();
        if (tg_p_put_started(frames, j->id, j->n_prompt, 0) < 0)
            tg_child_die("no memory for a frame");
    }
    return n;
}

/* Vectors of length 1, so that a product of two is their cosine. */
static int put_vector(struct tg_embedder *e, struct tg_job *j, uint32_t i, struct tg_buf *frames)
{
    uint32_t n = tg_llm_embed_dims(e->c->llm);
    const float *v = tg_llm_embed_vector(e->c->llm, i);
    float *out = v && n ? tg_calloc(n, sizeof *out) : NULL;
    double sum = 0;
    if (!out)
        return TG_E_LOCAL_FAILED;
    for (uint32_t k = 0; k < n; k++)
        sum += (double)v[k] * (double)v[k];
    double scale = sum > 0 ? 1 / sqrt(sum) : 0;
    for (uint32_t k = 0; k < n; k++)
        out[k] = (float)((double)v[k] * scale);
    int rc = isfinite(sum) && sum > 0 ? tg_p_put_vector(frames, j->id, out, n) : TG_E_LOCAL_FAILED;
    tg_free(out);
    return rc;
}

static void end_batch(struct tg_embedder *e, int rc, const struct tg_fail *f, struct tg_buf *frames)
{
    uint32_t i = 0;
    tg_list_each_safe (it, tmp, &e->batch) {
        struct tg_job *j = tg_list_entry(it, struct tg_job, link);
        int mine = rc ? rc : put_vector(e, j, i, frames);
        i++;
        j->prompted_us = tg_clock_mono_us();
        e->beat->prompt_tokens += j->n_prompt;
        if (mine == TG_E_CANCELLED)
            tg_gen_finish(e->c, j, TG_ENGINE_CANCELLED, frames);
        else if (mine)
            tg_gen_fail(j, f->err ? f->err : TG_E_LOCAL_FAILED,
                        f->err ? f->message : "the model failed to compute", frames);
        else
            tg_gen_finish(e->c, j, TG_ENGINE_STOP, frames);
        forget(e, j);
    }
}

bool tg_embedder_step(struct tg_embedder *e, struct tg_buf *frames)
{
    struct tg_llm_text texts[TG_ENGINE_MAX_CHOICES];
    struct tg_fail f;
    if (e->n == 0)
        return false;
    tg_fail_clear(&f);
    uint32_t n = take_batch(e, texts, frames);
    if (n == 0)
        return frames->n > 0;
    /* The gateway must know what is being worked on, should it be the end of this process. */
    tg_child_out_send(&e->c->out, frames);
    tg_buf_clear(frames);
    e->beat_us = tg_clock_mono_us();
    int rc = open_context(e, &f);
    if (!rc)
        rc = tg_llm_embed(e->c->llm, texts, n);
    e->beat->steps++;
    end_batch(e, rc, &f, frames);
    return true;
}
