#include "engine/child_priv.h"

#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

enum { PIECE_MAX_BYTES = 1024, LOGPROB_MAX_BYTES = 64 << 10 };

int tg_gen_start(struct tg_child *c, struct tg_job *j)
{
    uint32_t room = c->plan.n_ctx - j->n_prompt;
    j->max_tokens = j->req.max_tokens && j->req.max_tokens < room ? j->req.max_tokens : room;
    int32_t *t = tg_realloc(j->tokens, ((size_t)j->n_prompt + j->max_tokens) * sizeof *t);
    if (!t)
        return TG_E_NOMEM;
    j->tokens = t;
    for (uint32_t i = 0; i < j->req.n_bias; i++)
        if (j->req.bias[i].token < 0 || (uint32_t)j->req.bias[i].token >= c->ready.info.n_vocab)
            return TG_E_INVALID_VALUE;
    j->sampler = tg_llm_sampler_new(c->llm, &j->req.sampling, j->req.bias, j->req.n_bias,
                                    c->plan.n_ctx, j->grammar);
    if (!j->sampler)
        return TG_E_NOMEM;
    j->grammar = NULL;
    return 0;
}

/* ---- logprobs ---- */

static void insert_top(struct tg_top *top, uint32_t *n, uint32_t max, int32_t token, float logit)
{
    uint32_t i = *n;
    if (i == max) {
        if (max == 0 || logit <= top[max - 1].logprob)
            return;
        i--;
    } else {
        (*n)++;
    }
    for (; i > 0 && top[i - 1].logprob < logit; i--)
        top[i] = top[i - 1];
    top[i] = (struct tg_top){token, logit};
}

float tg_logprobs(const float *logits, uint32_t n_vocab, int32_t token, uint32_t n_top,
                  struct tg_top *out_top, uint32_t *out_n)
{
    float max = -INFINITY;
    for (uint32_t i = 0; i < n_vocab; i++)
        max = logits[i] > max ? logits[i] : max;
    double sum = 0;
    *out_n = 0;
    for (uint32_t i = 0; i < n_vocab; i++) {
        sum += exp((double)(logits[i] - max));
        insert_top(out_top, out_n, n_top, (int32_t)i, logits[i]);
    }
    float norm = max + (float)log(sum);
    for (uint32_t i = 0; i < *out_n; i++)
        out_top[i].logprob -= norm;
    return logits[token] - norm;
}

struct span {
    size_t at, n;
};

static struct span add_piece(struct tg_child *c, struct tg_buf *b, int32_t token)
{
    char piece[PIECE_MAX_BYTES];
    struct span s = {b->n, tg_llm_piece(c->llm, token, piece, sizeof piece)};
    tg_buf_add(b, piece, s.n);
    return s;
}

static int keep_logprob(struct tg_child *c, struct tg_job *j, uint32_t row, int32_t token)
{
    const float *logits = tg_llm_logits(c->llm, row);
    struct tg_job_logprob *n = logits ? tg_calloc(1, sizeof *n) : NULL;
    if (!n)
        return TG_E_NOMEM;
    struct tg_top top[TG_ENGINE_MAX_TOP];
    struct span spans[TG_ENGINE_MAX_TOP + 1];
    tg_buf_init(&n->bytes, LOGPROB_MAX_BYTES);
    n->at = j->text.taken_bytes;
    n->lp.logprob =
        tg_logprobs(logits, c->ready.info.n_vocab, token, j->req.top_logprobs, top, &n->lp.n_top);
    spans[0] = add_piece(c, &n->bytes, token);
    for (uint32_t i = 0; i < n->lp.n_top; i++)
        spans[i + 1] = add_piece(c, &n->bytes, top[i].token);
    if (!tg_buf_ok(&n->bytes)) {
        tg_buf_fini(&n->bytes);
        tg_free(n);
        return TG_E_NOMEM;
    }
    n->lp.token = tg_str_make(n->bytes.p + spans[0].at, spans[0].n);
    for (uint32_t i = 0; i < n->lp.n_top; i++)
        n->top[i] = (struct tg_engine_logprob){
            .token = tg_str_make(n->bytes.p + spans[i + 1].at, spans[i + 1].n),
            .logprob = top[i].logprob};
    n->lp.top = n->top;
    tg_list_init(&n->link);
    tg_list_add_tail(&j->logprobs, &n->link);
    return 0;
}

/* ---- text ---- */

/* One TEXT frame: the text, and the probabilities of tokens whose text has begun to be shown.
 * False when nothing was left to send. */
static bool put_frame(struct tg_job *j, struct tg_str text, struct tg_buf *frames)
{
    enum { PER_FRAME = 64 };
    struct tg_engine_logprob lp[PER_FRAME];
    struct tg_job_logprob *used[PER_FRAME];
    uint32_t n = 0;
    tg_list_each (it, &j->logprobs) {
        struct tg_job_logprob *node = tg_list_entry(it, struct tg_job_logprob, link);
        if (n == PER_FRAME || node->at >= j->text.passed_bytes ||
            tg_p_text_cost(text, lp, n) > TG_FRAME_MAX_FROM_CHILD / 2)
            break;
        used[n] = node;
        lp[n++] = node->lp;
    }
    if (text.n == 0 && n == 0)
        return false;
    if (tg_p_put_text(frames, j->id, j->n_generated, text, lp, n) < 0)
        tg_child_die("no memory for a frame");
    atomic_fetch_sub(&j->credit, (long long)tg_p_text_cost(text, lp, n));
    for (uint32_t i = 0; i < n; i++) {
        tg_list_del(&used[i]->link);
        tg_buf_fini(&used[i]->bytes);
        tg_free(used[i]);
    }
    return true;
}

/* Sends what the text assembler released. Tokens wholly behind a stop string are never shown. */
static void put_text(struct tg_job *j, struct tg_buf *frames)
{
    struct tg_str text = tg_buf_str(&j->text.out);
    while (put_frame(j, text, frames))
        text = tg_str_make(NULL, 0);
}

void tg_gen_finish(struct tg_child *c, struct tg_job *j, enum tg_engine_reason reason,
                   struct tg_buf *frames)
{
    (void)c;
    uint64_t now = tg_clock_mono_us();
    struct tg_p_done d = {.reason = reason,
                          .counts = {.prompt_tokens = j->n_prompt,
                                     .cached_tokens = j->n_cached,
                                     .completion_tokens = j->n_generated}};
    if (j->text.stop_index >= 0)
        d.stop_index = (uint32_t)j->text.stop_index;
    else if (reason != TG_ENGINE_CANCELLED && tg_textout_finish(&j->text) == 0)
        put_text(j, frames);
    d.counts.queue_us = (j->started_us ? j->started_us : now) - j->arrived_us;
    if (j->started_us)
        d.counts.prompt_us = (j->prompted_us ? j->prompted_us : now) - j->started_us;
    if (j->prompted_us)
        d.counts.decode_us = now - j->prompted_us;
    if (tg_p_put_done(frames, j->id, &d) < 0)
        tg_child_die("no memory for a frame");
}

void tg_gen_fail(struct tg_job *j, int err, const char *text, struct tg_buf *frames)
{
    if (tg_p_put_error(frames, TG_FR_ERROR, j->id, err, tg_str_c(text)) < 0)
        tg_child_die("no memory for a frame");
}

enum tg_gen_result tg_gen_step(struct tg_child *c, struct tg_job *j, uint32_t row,
                               struct tg_buf *frames)
{
    char piece[PIECE_MAX_BYTES];
    int32_t token = tg_llm_sample(c->llm, j->sampler, row);
    if (token < 0) {
        tg_gen_fail(j, TG_E_LOCAL_FAILED,
                    token == TG_LLM_NO_TOKEN
                        ? "the model has no token that the answer's form allows"
                        : "the model's output is not a number",
                    frames);
        return TG_GEN_OVER;
    }
    if (!j->prompted_us)
        j->prompted_us = tg_clock_mono_us();
    if (tg_llm_is_end(c->llm, token)) {
        tg_gen_finish(c, j, TG_ENGINE_STOP, frames);
        return TG_GEN_OVER;
    }
    int rc = j->req.logprobs ? keep_logprob(c, j, row, token) : 0;
    j->tokens[j->n_tokens++] = token;
    j->n_generated++;
    size_t n = tg_llm_piece(c->llm, token, piece, sizeof piece);
    if (rc == 0)
        rc = tg_textout_push(&j->text, tg_str_make(piece, n));
    if (rc < 0) {
        tg_gen_fail(j, TG_E_NOMEM, "the engine is out of memory", frames);
        return TG_GEN_OVER;
    }
    put_text(j, frames);
    if (rc == 1 || j->n_generated >= j->max_tokens) {
        tg_gen_finish(c, j, rc == 1 ? TG_ENGINE_STOP_STRING : TG_ENGINE_LENGTH, frames);
        return TG_GEN_OVER;
    }
    return TG_GEN_MORE;
}
