/* The engine thread: owns the slots and steps all of them together, one decode at a time. */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "engine/child_priv.h"

enum {
    BEAT_US = 1000000,
    STEP_TARGET_US = 75000,       /* while somebody's text is running */
    LONE_STEP_TARGET_US = 250000, /* nobody waits for a token, but a cancel may come */
    CHUNK_MIN_TOKENS = 32,
    /* A small model makes a token in less time than it takes to wake the gateway for it: text may
     * wait this long for more. First and last pieces do not wait. */
    GATHER_US = 2000,
};

struct slot {
    struct tg_job *job; /* NULL: idle */
    enum tg_slot_state state;
    int32_t *tokens; /* idle: what the cells hold; else the job's */
    uint32_t n_cells;
    uint32_t n_target; /* PREFILL: tokens to read before the next sample */
    uint64_t last_used;
};

struct engine {
    struct tg_child *c;
    struct slot slots[TG_ENGINE_MAX_SLOTS];
    uint32_t n_slots, turn;
    struct tg_list waiting;
    uint32_t n_waiting;
    struct tg_embedder embedder;
    struct tg_llm_row *rows;
    struct tg_buf frames;
    struct tg_p_beat beat;
    uint64_t next_order, last_beat_us, ns_per_prompt_token;
    uint64_t rate_us, rate_tokens; /* since the last beat */
    uint32_t broken;
    bool urgent; /* frames that do not wait */
    uint64_t sent_us;
};

/* ---- slots ---- */

static struct tg_slot_view view(const struct slot *s)
{
    return (struct tg_slot_view){.state = s->state,
                                 .tokens = s->job ? s->job->tokens : s->tokens,
                                 .n_cells = s->n_cells,
                                 .n_target = s->n_target,
                                 .last_used = s->last_used};
}

static void views(const struct engine *e, struct tg_slot_view *out, uint64_t *order)
{
    for (uint32_t i = 0; i < e->n_slots; i++) {
        out[i] = view(&e->slots[i]);
        order[i] = e->slots[i].job ? e->slots[i].job->order : 0;
    }
}

static void drop_cells(struct engine *e, uint32_t i)
{
    tg_llm_seq_cut(e->c->llm, i, 0);
    e->slots[i].n_cells = 0;
}

/* The slot keeps its cells, and the tokens that say what they hold, for requests to come. */
static void release_slot(struct engine *e, uint32_t i)
{
    struct slot *s = &e->slots[i];
    struct tg_job *j = s->job;
    e->urgent = true;
    s->tokens = j->tokens;
    j->tokens = NULL;
    s->job = NULL;
    s->state = TG_SLOT_IDLE;
    s->last_used = e->beat.steps;
    tg_job_free(e->c, j);
}

static uint32_t cells_of(const struct engine *e, bool idle_only)
{
    uint32_t n = 0; /* shared prefixes count more than once: on the safe side */
    for (uint32_t i = 0; i < e->n_slots; i++)
        if (!idle_only || e->slots[i].state == TG_SLOT_IDLE)
            n += e->slots[i].n_cells;
    return n;
}

static bool evict_one(struct engine *e, int except)
{
    struct tg_slot_view v[TG_ENGINE_MAX_SLOTS];
    uint64_t order[TG_ENGINE_MAX_SLOTS];
    views(e, v, order);
    int i = tg_sched_evict(v, e->n_slots, except);
    if (i < 0)
        return false;
    drop_cells(e, (uint32_t)i);
    return true;
}

static uint32_t running(const struct engine *e)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n_slots; i++)
        n += e->slots[i].job != NULL;
    return n;
}

/* ---- starting requests ---- */

static void place_job(struct engine *e, struct tg_job *j, struct tg_placement p)
{
    struct slot *s = &e->slots[p.slot];
    struct tg_llm *llm = e->c->llm;
    uint32_t slot = (uint32_t)p.slot, reuse = p.reuse;
    if (p.source == p.slot && reuse > 0) {
        /* Some memories can't take a part back. */
        if (reuse < s->n_cells && !tg_llm_seq_cut(llm, slot, reuse)) {
            drop_cells(e, slot);
            reuse = 0;
        }
    } else if (p.source == p.slot) {
        drop_cells(e, slot);
    } else if (reuse > 0) {
        tg_llm_seq_copy(llm, (uint32_t)p.source, slot, reuse); /* the slot is empty */
    }
    tg_free(s->tokens);
    s->tokens = NULL;
    s->job = j;
    s->n_cells = reuse;
    s->n_target = j->n_tokens;
    s->state = TG_SLOT_PREFILL;
    j->order = ++e->next_order;
    if (j->started_us)
        return; /* was preempted: it has been told */
    j->started_us = tg_clock_mono_us();
    j->n_cached = reuse;
    e->urgent = true;
    if (tg_p_put_started(&e->frames, j->id, j->n_prompt, reuse) < 0)
        tg_child_die("no memory for a frame");
}

enum start { START_DONE, START_LATER, START_NO_ROOM };

static enum start start_job(struct engine *e, struct tg_job *j)
{
    enum { GROWTH = 64 }; /* cells for the first tokens of everybody who runs */
    struct tg_slot_view v[TG_ENGINE_MAX_SLOTS];
    uint64_t order[TG_ENGINE_MAX_SLOTS];
    views(e, v, order);
    struct tg_placement p =
        tg_sched_place(v, e->n_slots, j->tokens, j->n_tokens, !tg_llm_can_cut(e->c->llm));
    if (p.slot < 0)
        return START_NO_ROOM;
    if (p.wait_for >= 0)
        return START_LATER;
    uint64_t need = (uint64_t)j->n_tokens - p.reuse + GROWTH * (running(e) + 1);
    if (p.source != p.slot)
        drop_cells(e, (uint32_t)p.slot);
    while (cells_of(e, false) + need > tg_llm_n_cells(e->c->llm))
        if (!evict_one(e, p.source))
            break;
    /* Without enough cells it waits, and so do those behind it: they must not overtake for ever. */
    if (running(e) > 0 && cells_of(e, false) + need > tg_llm_n_cells(e->c->llm))
        return START_NO_ROOM;
    int rc = j->sampler ? 0 : tg_gen_start(e->c, j);
    if (rc) {
        e->urgent = true;
        tg_gen_fail(j, rc,
                    rc == TG_E_NOMEM ? "the engine is out of memory"
                                     : "logit_bias names a token that the model does not have",
                    &e->frames);
        tg_job_free(e->c, j);
        return START_DONE;
    }
    place_job(e, j, p);
    uint32_t keep = tg_sched_idle_cells(&e->c->ready.calib, running(e), tg_llm_n_cells(e->c->llm));
    while (cells_of(e, true) > keep && evict_one(e, -1))
        ;
    return START_DONE;
}

static void start_waiting(struct engine *e)
{
    tg_list_each_safe (it, tmp, &e->waiting) {
        struct tg_job *j = tg_list_entry(it, struct tg_job, link);
        tg_list_del(it);
        enum start r = start_job(e, j);
        if (r == START_DONE) {
            e->n_waiting--;
            continue;
        }
        /* Back to its old place. */
        tg_list_add_tail(tmp, it);
        if (r == START_NO_ROOM)
            return;
    }
}

/* ---- cancels, credit ---- */

static void end_cancelled(struct engine *e)
{
    tg_list_each_safe (it, tmp, &e->waiting) {
        struct tg_job *j = tg_list_entry(it, struct tg_job, link);
        if (!atomic_load(&j->cancelled))
            continue;
        tg_list_del(it);
        e->n_waiting--;
        tg_gen_finish(e->c, j, TG_ENGINE_CANCELLED, &e->frames);
        e->urgent = true;
        tg_job_free(e->c, j);
    }
    for (uint32_t i = 0; i < e->n_slots; i++) {
        struct slot *s = &e->slots[i];
        if (!s->job)
            continue;
        if (atomic_load(&s->job->cancelled)) {
            tg_gen_finish(e->c, s->job, TG_ENGINE_CANCELLED, &e->frames);
            release_slot(e, i);
        } else if (s->state == TG_SLOT_STALLED && atomic_load(&s->job->credit) > 0) {
            s->state = TG_SLOT_DECODE;
        }
    }
}

/* ---- one step ---- */

static uint32_t fill_rows(struct engine *e, const struct tg_step *st)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < st->n_parts; k++) {
        const struct slot *s = &e->slots[st->parts[k].slot];
        for (uint32_t i = 0; i < st->parts[k].n_tokens; i++) {
            uint32_t pos = s->n_cells + i;
            bool last = s->state == TG_SLOT_DECODE || pos + 1 == s->n_target;
            e->rows[n++] = (struct tg_llm_row){
                .token = s->job->tokens[pos],
                .pos = (int32_t)pos,
                .seq = st->parts[k].slot,
                .output = last,
            };
        }
    }
    return n;
}

static void after_sample(struct engine *e, uint32_t i, uint32_t row)
{
    struct slot *s = &e->slots[i];
    uint32_t before = s->job->n_generated;
    enum tg_gen_result r = tg_gen_step(e->c, s->job, row, &e->frames);
    e->beat.completion_tokens += s->job->n_generated - before;
    e->rate_tokens += s->job->n_generated - before;
    e->urgent |= before == 0;
    if (r == TG_GEN_OVER)
        release_slot(e, i);
    else
        s->state = atomic_load(&s->job->credit) > 0 ? TG_SLOT_DECODE : TG_SLOT_STALLED;
}

static void take_results(struct engine *e, const struct tg_step *st)
{
    uint32_t row = 0;
    for (uint32_t k = 0; k < st->n_parts; k++) {
        struct slot *s = &e->slots[st->parts[k].slot];
        bool prefill = s->state == TG_SLOT_PREFILL;
        s->n_cells += st->parts[k].n_tokens;
        s->last_used = e->beat.steps;
        row += st->parts[k].n_tokens;
        if (prefill)
            e->beat.prompt_tokens += st->parts[k].n_tokens;
        if (!prefill || s->n_cells == s->n_target)
            after_sample(e, st->parts[k].slot, row - 1);
    }
}

/* No cells left although idle slots hold none: the request admitted last starts again later. */
static void preempt(struct engine *e)
{
    int youngest = -1;
    for (uint32_t i = 0; i < e->n_slots; i++)
        if (e->slots[i].job &&
            (youngest < 0 || e->slots[i].job->order > e->slots[youngest].job->order))
            youngest = (int)i;
    if (youngest < 0)
        return;
    struct slot *s = &e->slots[youngest];
    drop_cells(e, (uint32_t)youngest);
    if (running(e) == 1) {
        /* Nothing more to make room with. */
        tg_gen_finish(e->c, s->job, TG_ENGINE_LENGTH, &e->frames);
        release_slot(e, (uint32_t)youngest);
        return;
    }
    tg_list_add_head(&e->waiting, &s->job->link);
    e->n_waiting++;
    s->job = NULL;
    s->state = TG_SLOT_IDLE;
}

/* The library failed in the middle: nobody knows what its cells hold. */
static void fail_all(struct engine *e)
{
    for (uint32_t i = 0; i < e->n_slots; i++) {
        if (!e->slots[i].job)
            continue;
        tg_gen_fail(e->slots[i].job, TG_E_LOCAL_FAILED, "the model failed to compute", &e->frames);
        release_slot(e, i);
    }
    tg_llm_clear(e->c->llm);
    for (uint32_t i = 0; i < e->n_slots; i++)
        e->slots[i].n_cells = 0;
    tg_child_out_send(&e->c->out, &e->frames);
    tg_buf_clear(&e->frames);
    if (++e->broken >= 2)
        tg_child_die("decoding failed twice");
}

/* Chooses what the next decode holds; false when nobody can go on. */
static bool plan_step(struct engine *e, struct tg_step *st)
{
    struct tg_slot_view v[TG_ENGINE_MAX_SLOTS];
    uint64_t order[TG_ENGINE_MAX_SLOTS];
    uint32_t n_decode = 0, n_prefill = 0;
    views(e, v, order);
    for (uint32_t i = 0; i < e->n_slots; i++) {
        n_decode += v[i].state == TG_SLOT_DECODE;
        n_prefill += v[i].state == TG_SLOT_PREFILL;
    }
    uint32_t max = tg_llm_n_batch(e->c->llm);
    uint32_t chunk =
        tg_sched_chunk(e->ns_per_prompt_token, n_decode ? STEP_TARGET_US : LONE_STEP_TARGET_US,
                       CHUNK_MIN_TOKENS, max);
    uint32_t group = n_prefill ? n_decode : tg_sched_group(&e->c->ready.calib, n_decode);
    tg_sched_step(v, order, e->n_slots, group, e->turn, chunk, max, st);
    if (st->n_decode)
        e->turn = (st->parts[st->n_decode - 1].slot + 1) % e->n_slots;
    return st->n_tokens > 0;
}

static bool step(struct engine *e)
{
    struct tg_step st;
    if (!plan_step(e, &st))
        return false;
    uint64_t t = tg_clock_mono_us();
    enum tg_llm_decode_result r = tg_llm_decode(e->c->llm, e->rows, fill_rows(e, &st));
    e->beat.steps++;
    if (r == TG_LLM_BROKEN) {
        fail_all(e);
        return true;
    }
    if (r == TG_LLM_NO_CELLS) {
        if (!evict_one(e, -1))
            preempt(e);
        return true;
    }
    take_results(e, &st);
    t = tg_clock_mono_us() - t;
    e->rate_us += t;
    e->ns_per_prompt_token = tg_sched_rate(e->ns_per_prompt_token, st.n_tokens - st.n_decode, t);
    return true;
}

/* ---- the loop ---- */

static void beat(struct engine *e, bool idle)
{
    uint64_t now = tg_clock_mono_us();
    if (!idle && now - e->last_beat_us < BEAT_US)
        return;
    e->last_beat_us = now;
    e->beat.running = running(e);
    e->beat.waiting = e->n_waiting + e->embedder.n;
    e->beat.cells_used = cells_of(e, false);
    if (e->rate_us > 0) {
        e->beat.decode_tokens_per_s = (float)((double)e->rate_tokens * 1e6 / (double)e->rate_us);
        e->rate_us = e->rate_tokens = 0;
    }
    if (tg_p_put_beat(&e->frames, &e->beat) < 0)
        tg_child_die("no memory for a frame");
}

static void wait_until(struct timespec *ts, uint64_t us)
{
    clock_gettime(CLOCK_MONOTONIC, ts);
    ts->tv_sec += (time_t)(us / 1000000);
    ts->tv_nsec += (long)(us % 1000000) * 1000;
    if (ts->tv_nsec >= 1000000000) {
        ts->tv_sec++;
        ts->tv_nsec -= 1000000000;
    }
}

/* Takes over what the tokenizer finished. With `wait`, sleeps until there is something to do; at
 * most a second while requests are there, since they are owed signs of life. */
static void take_new(struct engine *e, bool wait)
{
    struct tg_child *c = e->c;
    pthread_mutex_lock(&c->lock);
    if (wait && tg_list_empty(&c->to_engine) && !c->engine_poke) {
        struct timespec ts;
        wait_until(&ts, BEAT_US);
        if (running(e) + e->n_waiting + e->embedder.n)
            pthread_cond_timedwait(&c->engine_wake, &c->lock, &ts);
        else
            pthread_cond_wait(&c->engine_wake, &c->lock);
    }
    c->engine_poke = false;
    struct tg_list *it;
    while ((it = tg_list_pop_head(&c->to_engine))) {
        struct tg_job *j = tg_list_entry(it, struct tg_job, link);
        if (j->req.kind == TG_P_EMBED) {
            tg_embedder_add(&e->embedder, j);
            continue;
        }
        tg_list_add_tail(&e->waiting, it);
        e->n_waiting++;
    }
    pthread_mutex_unlock(&c->lock);
}

static void send_frames(struct engine *e, bool worked)
{
    if (e->frames.n == 0)
        return;
    uint64_t now = tg_clock_mono_us();
    if (worked && !e->urgent && now - e->sent_us < GATHER_US)
        return;
    tg_child_out_send(&e->c->out, &e->frames);
    tg_buf_clear(&e->frames);
    e->urgent = false;
    e->sent_us = now;
}

static void run(struct engine *e)
{
    bool worked = false;
    for (;;) {
        take_new(e, !worked);
        end_cancelled(e);
        start_waiting(e);
        worked = false;
        if (atomic_load(&e->c->out.backlog) < TG_CHILD_OUT_HIGH_BYTES)
            worked = step(e);
        if (tg_embedder_step(&e->embedder, &e->frames))
            worked = e->urgent = true;
        beat(e, running(e) + e->n_waiting == 0 && e->rate_us > 0);
        send_frames(e, worked);
    }
}

void *tg_child_engine(void *child)
{
    struct tg_child *c = child;
    static struct engine e; /* one per process, and too large for a stack */
    if (tg_child_load(c) < 0) {
        /* FAILED was queued; the gateway closes its end. */
        return NULL;
    }
    e.c = c;
    e.n_slots = c->plan.slots;
    tg_list_init(&e.waiting);
    tg_buf_init(&e.frames, TG_CHILD_OUT_MAX_BYTES);
    e.rows = tg_calloc(tg_llm_n_batch(c->llm), sizeof *e.rows);
    if (!e.rows)
        tg_child_die("out of memory");
    tg_embedder_init(&e.embedder, c, &e.beat);
    e.ns_per_prompt_token = c->ready.calib.prefill_ns_per_token;
    tg_child_start_tokenizer(c);
    run(&e);
    return NULL;
}
