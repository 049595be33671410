#include "engine/child_priv.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

/* ---- registry: under c->lock ---- */

static struct tg_job *find(struct tg_child *c, uint64_t id)
{
    tg_list_each (it, &c->all) {
        struct tg_job *j = tg_list_entry(it, struct tg_job, all_link);
        if (j->id == id)
            return j;
    }
    return NULL;
}

static void drop_logprobs(struct tg_job *j)
{
    struct tg_list *it;
    while ((it = tg_list_pop_head(&j->logprobs))) {
        struct tg_job_logprob *n = tg_list_entry(it, struct tg_job_logprob, link);
        tg_buf_fini(&n->bytes);
        tg_free(n);
    }
}

void tg_job_free(struct tg_child *c, struct tg_job *j)
{
    if (!j)
        return;
    pthread_mutex_lock(&c->lock);
    if (tg_list_linked(&j->all_link)) {
        tg_list_del(&j->all_link);
        c->n_all--;
    }
    pthread_mutex_unlock(&c->lock);
    if (j->sampler)
        tg_llm_sampler_free(c->llm, j->sampler);
    if (j->grammar)
        tg_llm_grammar_free(c->llm, j->grammar);
    tg_textout_fini(&j->text);
    drop_logprobs(j);
    tg_free(j->tokens);
    tg_arena_fini(&j->arena);
    tg_free(j);
}

/* ---- I/O thread ---- */

static int decode_job(const struct tg_frame *fr, struct tg_job **out)
{
    struct tg_job *j = tg_calloc(1, sizeof *j);
    if (!j)
        return TG_E_NOMEM;
    j->id = fr->id;
    tg_list_init(&j->link);
    tg_list_init(&j->all_link);
    tg_list_init(&j->logprobs);
    tg_arena_init(&j->arena, fr->payload.n + 4096, 4u * TG_FRAME_MAX_TO_CHILD);
    struct tg_str mine = tg_arena_dup(&j->arena, fr->payload);
    int rc = mine.p ? tg_p_get_generate(mine, &j->arena, &j->req) : TG_E_NOMEM;
    if (rc < 0) {
        tg_arena_fini(&j->arena);
        tg_free(j);
        return rc;
    }
    j->arrived_us = tg_clock_mono_us();
    atomic_init(&j->credit, (long long)j->req.credit_bytes);
    tg_textout_init(&j->text, j->req.stops, j->req.n_stops);
    *out = j;
    return 0;
}

int tg_child_accept(struct tg_child *c, const struct tg_frame *fr)
{
    struct tg_job *j;
    int rc = decode_job(fr, &j);
    if (rc == TG_E_NOMEM) {
        tg_child_send_error(c, fr->id, TG_E_NOMEM, "the engine is out of memory");
        return 0;
    }
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&c->lock);
    bool full = c->n_all >= TG_CHILD_MAX_JOBS, twice = find(c, j->id) != NULL;
    if (!full && !twice) {
        tg_list_add_tail(&c->all, &j->all_link);
        c->n_all++;
        tg_list_add_tail(&c->to_tokenise, &j->link);
        pthread_cond_signal(&c->tokenizer_wake);
    }
    pthread_mutex_unlock(&c->lock);
    if (full)
        tg_child_send_error(c, fr->id, TG_E_QUEUE_FULL, "too many requests in the engine");
    if (full || twice)
        tg_job_free(c, j);
    return twice ? TG_E_INVALID_ARG : 0;
}

static void poke(struct tg_child *c)
{
    c->engine_poke = true;
    pthread_cond_signal(&c->engine_wake);
}

void tg_child_poke(struct tg_child *c)
{
    pthread_mutex_lock(&c->lock);
    poke(c);
    pthread_mutex_unlock(&c->lock);
}

void tg_child_cancel(struct tg_child *c, uint64_t id)
{
    pthread_mutex_lock(&c->lock);
    struct tg_job *j = find(c, id);
    if (j) {
        atomic_store(&j->cancelled, true);
        poke(c);
    }
    pthread_mutex_unlock(&c->lock);
}

void tg_child_credit(struct tg_child *c, uint64_t id, uint32_t bytes)
{
    pthread_mutex_lock(&c->lock);
    struct tg_job *j = find(c, id);
    if (j && atomic_fetch_add(&j->credit, (long long)bytes) <= 0)
        poke(c);
    pthread_mutex_unlock(&c->lock);
}

/* ---- tokenizer thread ---- */

static struct tg_job *next_job(struct tg_child *c)
{
    pthread_mutex_lock(&c->lock);
    while (tg_list_empty(&c->to_tokenise))
        pthread_cond_wait(&c->tokenizer_wake, &c->lock);
    struct tg_job *j = tg_list_entry(tg_list_pop_head(&c->to_tokenise), struct tg_job, link);
    pthread_mutex_unlock(&c->lock);
    return j;
}

static void answer_count(struct tg_child *c, struct tg_job *j)
{
    struct tg_buf b;
    struct tg_p_done d = {.reason = TG_ENGINE_COUNTED, .counts.prompt_tokens = j->n_prompt};
    tg_buf_init(&b, 4096);
    if (tg_p_put_done(&b, j->id, &d) == 0)
        tg_child_out_send(&c->out, &b);
    tg_buf_fini(&b);
    tg_job_free(c, j);
}

static void queued(struct tg_child *c, struct tg_job *j)
{
    struct tg_buf b;
    tg_buf_init(&b, 256);
    if (tg_p_put_u32(&b, TG_FR_QUEUED, j->id, j->n_prompt) == 0)
        tg_child_out_send(&c->out, &b);
    tg_buf_fini(&b);
    pthread_mutex_lock(&c->lock);
    tg_list_add_tail(&c->to_engine, &j->link);
    pthread_cond_signal(&c->engine_wake);
    pthread_mutex_unlock(&c->lock);
}

/* A prompt of n_ctx tokens would leave no room for an answer. */
static uint32_t most_tokens(const struct tg_child *c, const struct tg_job *j)
{
    return j->req.count_only           ? TG_ENGINE_MAX_TEXT_BYTES
           : j->req.kind == TG_P_EMBED ? c->embed_tokens
                                       : c->plan.n_ctx - 1;
}

/* Here rather than on the engine thread, where a large grammar would hold up everybody. */
static int read_grammar(struct tg_child *c, struct tg_job *j, struct tg_fail *f)
{
    if (j->req.grammar.n == 0 || j->req.count_only || j->req.kind == TG_P_EMBED)
        return 0;
    const char *text = tg_arena_cstr(&j->arena, j->req.grammar);
    if (!text)
        return tg_fail_set(f, TG_E_NOMEM, "the engine is out of memory");
    j->grammar = tg_llm_grammar_new(c->llm, text);
    return j->grammar ? 0
                      : tg_fail_set(f, TG_E_LOCAL_FAILED,
                                    "the engine does not understand the answer's grammar");
}

static void tokenise(struct tg_child *c, struct tg_job *j)
{
    struct tg_fail f;
    struct tg_prompt p;
    tg_fail_clear(&f);
    if (atomic_load(&j->cancelled)) {
        queued(c, j); /* the engine thread answers cancels */
        return;
    }
    const struct tg_prompt_model m = {c->llm, &c->control, c->chat_template};
    int rc = read_grammar(c, j, &f);
    if (!rc)
        rc = tg_prompt_make(&m, &j->req, most_tokens(c, j), &f, &p);
    if (rc < 0) {
        tg_child_send_error(c, j->id, f.err ? f.err : rc, f.message);
        tg_job_free(c, j);
        return;
    }
    j->tokens = p.tokens;
    j->n_tokens = j->n_prompt = p.n;
    if (j->req.count_only)
        answer_count(c, j);
    else
        queued(c, j);
}

void *tg_child_tokenizer(void *child)
{
    struct tg_child *c = child;
    for (;;)
        tokenise(c, next_job(c));
    return NULL;
}
