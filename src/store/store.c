/* The store's thread: requests come through its mailbox, the writes of one batch share one
 * transaction, answers go back when it is committed. */
#include "store/store.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "store/op_priv.h"

#define BATCH          256   /* requests of one transaction */
#define SWEEP_MS       30000 /* between two looks for records over their time */
#define SWEEP_FIRST_MS 1000
#define SWEEP_NEXT_MS  20 /* while there are more: others come in between */
#define SWEEP_ROWS     100

struct tg_thread {
    pthread_t id;
    bool started;
};
struct tg_failure_note {
    pthread_mutex_t lock;
    char text[512];
};

static void count(_Atomic uint64_t *n, uint64_t add)
{
    atomic_fetch_add_explicit(n, add, memory_order_relaxed);
}

static void note_failure(struct tg_store *s, const struct tg_fail *f)
{
    count(&s->failed, 1);
    pthread_mutex_lock(&s->note->lock);
    (void)snprintf(s->note->text, sizeof s->note->text, "%s", f->message); /* cut is fine */
    pthread_mutex_unlock(&s->note->lock);
}

/* ---- one request ---- */

static int get_one(struct tg_store *s, struct tg_store_op *op, struct tg_str id,
                   struct tg_store_response *out)
{
    return s->ops->get(s->db, op->record.owner, id, tg_clock_wall_us(), &op->arena, out,
                       &op->result.fail);
}

static int do_get(struct tg_store *s, struct tg_store_op *op)
{
    struct tg_store_response *r = tg_arena_new(&op->arena, struct tg_store_response);
    if (!r)
        return TG_E_NOMEM;
    int rc = get_one(s, op, op->record.id, r);
    if (rc == TG_E_NOT_FOUND_INTERNAL)
        op->result.missing = op->record.id;
    if (rc < 0)
        return rc;
    op->result.v = r;
    op->result.n = 1;
    return 0;
}

/* The newest comes first from the database; the asker wants the oldest first. */
static int reverse(struct tg_store_op *op, struct tg_store_response *v, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct tg_store_response t = v[i];
        v[i] = v[n - 1 - i];
        v[n - 1 - i] = t;
    }
    op->result.v = v;
    op->result.n = n;
    return 0;
}

static size_t record_bytes(const struct tg_store_response *r)
{
    return r->id.n + r->owner.n + r->model.n + r->target.n + r->previous_id.n + r->status.n +
           r->input_items.n + r->response.n;
}

static int do_chain(struct tg_store *s, struct tg_store_op *op)
{
    struct tg_store_response *v = NULL;
    struct tg_str id = op->record.id;
    size_t n = 0, cap = 0, bytes = 0;
    while (id.n) {
        if (n == TG_STORE_MAX_CHAIN)
            return tg_fail_set(&op->result.fail, TG_E_FULL,
                               "the conversation has more than %d turns", TG_STORE_MAX_CHAIN);
        if (n == cap) {
            size_t more = cap ? cap * 2 : 8;
            v = tg_arena_grow(&op->arena, v, cap * sizeof *v, more * sizeof *v);
            cap = more;
            if (!v)
                return TG_E_NOMEM;
        }
        int rc = get_one(s, op, id, &v[n]);
        if (rc == TG_E_NOT_FOUND_INTERNAL)
            op->result.missing = id;
        if (rc < 0)
            return rc;
        bytes += record_bytes(&v[n]);
        if (bytes > op->max_bytes)
            return tg_fail_set(&op->result.fail, TG_E_FULL,
                               "the conversation is larger than %zu bytes", op->max_bytes);
        id = v[n].pinned && n == 0 ? TG_STR("") : v[n].previous_id;
        n++;
    }
    return reverse(op, v, n);
}

static int do_delete(struct tg_store *s, struct tg_store_op *op)
{
    int rc =
        s->ops->del(s->db, op->record.owner, op->record.id, tg_clock_wall_us(), &op->result.fail);
    if (rc == TG_E_NOT_FOUND_INTERNAL)
        op->result.missing = op->record.id;
    return rc;
}

static int run_one(struct tg_store *s, struct tg_store_op *op)
{
    switch (op->kind) {
    case TG_STORE_PUT:
        return s->ops->put(s->db, &op->record, &op->result.fail);
    case TG_STORE_DELETE:
        return do_delete(s, op);
    case TG_STORE_GET:
        return do_get(s, op);
    case TG_STORE_CHAIN:
        return do_chain(s, op);
    }
    return TG_E_INTERNAL;
}

/* ---- a batch ---- */

static void set_result(struct tg_store_op *op, int rc, const struct tg_fail *why)
{
    op->result.err = rc;
    if (rc < 0 && why && !op->result.fail.err)
        op->result.fail = *why;
    if (rc < 0)
        (void)tg_fail_set(&op->result.fail, rc, "%s", tg_err_info(rc)->text); /* the first stays */
}

static bool any_write(const struct tg_list *ops)
{
    tg_list_each (it, ops) {
        if (tg_store_op_writes(tg_list_entry(it, struct tg_store_op, link)))
            return true;
    }
    return false;
}

static void run_writes(struct tg_store *s, struct tg_list *ops)
{
    struct tg_fail why;
    tg_fail_clear(&why);
    int rc = s->ops->begin(s->db, &why);
    tg_list_each (it, ops) {
        struct tg_store_op *op = tg_list_entry(it, struct tg_store_op, link);
        if (tg_store_op_writes(op))
            set_result(op, rc < 0 ? rc : run_one(s, op), &why);
    }
    if (rc == 0)
        rc = s->ops->commit(s->db, &why);
    if (rc == 0)
        return;
    tg_list_each (it, ops) {
        struct tg_store_op *op = tg_list_entry(it, struct tg_store_op, link);
        if (tg_store_op_writes(op))
            set_result(op, rc, &why);
    }
}

static void answer(struct tg_store *s, struct tg_store_op *op)
{
    if (op->result.err == TG_E_STORE)
        note_failure(s, &op->result.fail);
    count(&s->requests, 1);
    atomic_fetch_sub_explicit(&s->queued, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->queued_bytes, op->queued_bytes, memory_order_relaxed);
    tg_store_op_answer(op);
}

/* Writes first: a read sees what was written in its batch, and is not undone with it. */
static void run_batch(struct tg_store *s, struct tg_list *ops)
{
    struct tg_list *n;
    if (any_write(ops))
        run_writes(s, ops);
    while ((n = tg_list_pop_head(ops))) {
        struct tg_store_op *op = tg_list_entry(n, struct tg_store_op, link);
        if (!tg_store_op_writes(op))
            set_result(op, run_one(s, op), NULL);
        answer(s, op);
    }
}

static void on_work(struct tg_task *t)
{
    struct tg_store *s = tg_container_of(t, struct tg_store, work);
    struct tg_list ops, *n;
    tg_list_init(&ops);
    for (int i = 0; i < BATCH && (n = tg_list_pop_head(&s->batch)); i++)
        tg_list_add_tail(&ops, n);
    run_batch(s, &ops);
    if (!tg_list_empty(&s->batch))
        tg_loop_wake(s->loop, &s->work);
}

static void on_sweep(struct tg_timer *t)
{
    struct tg_store *s = tg_container_of(t, struct tg_store, sweep);
    struct tg_fail why;
    tg_fail_clear(&why);
    int n = s->ops->sweep(s->db, tg_clock_wall_us(), SWEEP_ROWS, &why);
    if (n < 0)
        note_failure(s, &why);
    else
        count(&s->swept, (uint64_t)n);
    tg_timer_start(s->loop, &s->sweep, n == SWEEP_ROWS ? SWEEP_NEXT_MS : SWEEP_MS);
}

/* ---- the way in ---- */

static void deliver(struct tg_msg *m, void *ctx)
{
    struct tg_store *s = ctx;
    struct tg_store_op *op = tg_container_of(m, struct tg_store_op, msg);
    tg_list_add_tail(&s->batch, &op->link);
    tg_loop_wake(s->loop, &s->work);
}

static void discard(struct tg_msg *m)
{
    tg_store_op_free(tg_container_of(m, struct tg_store_op, msg));
}

int tg_store_submit(struct tg_store *s, struct tg_store_op *op)
{
    op->msg.deliver = deliver;
    op->msg.discard = discard;
    uint64_t before =
        atomic_fetch_add_explicit(&s->queued_bytes, op->queued_bytes, memory_order_relaxed);
    int rc = before + op->queued_bytes > TG_STORE_MAX_QUEUE_BYTES ? TG_E_FULL : 0;
    count(&s->queued, 1);
    if (rc == 0)
        rc = tg_mailbox_post(s->mailbox, &op->msg);
    if (rc == 0)
        return 0;
    atomic_fetch_sub_explicit(&s->queued, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->queued_bytes, op->queued_bytes, memory_order_relaxed);
    count(&s->refused, 1);
    return rc;
}

/* ---- life ---- */

static struct tg_store *make(struct tg_str path)
{
    struct tg_store *s = tg_calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->ops = &tg_store_sqlite_ops;
    s->path = tg_str_dup_c(path);
    s->thread = tg_calloc(1, sizeof *s->thread);
    s->note = tg_calloc(1, sizeof *s->note);
    if (s->note)
        pthread_mutex_init(&s->note->lock, NULL);
    tg_list_init(&s->batch);
    tg_task_init(&s->work, on_work);
    tg_timer_init(&s->sweep, on_sweep);
    return s;
}

int tg_store_open(struct tg_str path, struct tg_store **out, struct tg_fail *fail)
{
    struct tg_store *s = make(path);
    int rc = s && s->path && s->thread && s->note ? 0 : TG_E_NOMEM;
    if (rc == 0)
        rc = tg_loop_new(&s->loop);
    if (rc == 0)
        rc = tg_mailbox_new(s->loop, TG_STORE_MAX_QUEUE, s, &s->mailbox);
    if (rc < 0)
        (void)tg_fail_set(fail, rc, "%s", tg_err_info(rc)->text); /* returned below */
    else
        rc = s->ops->open(path, &s->db, fail);
    if (rc < 0) {
        tg_store_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

static void *thread_main(void *arg)
{
    struct tg_store *s = arg;
    tg_timer_start(s->loop, &s->sweep, SWEEP_FIRST_MS);
    tg_loop_run(s->loop);
    return NULL;
}

int tg_store_start(struct tg_store *s)
{
    if (pthread_create(&s->thread->id, NULL, thread_main, s) != 0)
        return TG_E_IO;
    s->thread->started = true;
    return 0;
}

void tg_store_stop(struct tg_store *s)
{
    if (!s->thread->started)
        return;
    tg_loop_stop_async(s->loop);
    (void)pthread_join(s->thread->id, NULL); /* can't fail for a thread of ours */
    s->thread->started = false;
    tg_timer_stop(s->loop, &s->sweep);
    while (tg_loop_turn(s->loop) || !tg_list_empty(&s->batch))
        continue; /* what came before the end is done here */
}

static void free_loop(struct tg_store *s)
{
    struct tg_list *n;
    while ((n = tg_list_pop_head(&s->batch)))
        tg_store_op_free(tg_list_entry(n, struct tg_store_op, link));
    tg_task_cancel(&s->work);
    if (s->mailbox)
        tg_mailbox_free(s->mailbox);
    tg_loop_free(s->loop);
}

void tg_store_free(struct tg_store *s)
{
    if (!s)
        return;
    if (s->thread)
        tg_store_stop(s);
    if (s->loop)
        free_loop(s);
    if (s->db)
        s->ops->close(s->db);
    if (s->note)
        pthread_mutex_destroy(&s->note->lock);
    tg_free(s->note);
    tg_free(s->thread);
    tg_free(s->path);
    tg_free(s);
}

/* ---- numbers ---- */

void tg_store_stats(const struct tg_store *s, struct tg_store_stats *out)
{
    out->requests = atomic_load_explicit(&s->requests, memory_order_relaxed);
    out->failed = atomic_load_explicit(&s->failed, memory_order_relaxed);
    out->refused = atomic_load_explicit(&s->refused, memory_order_relaxed);
    out->swept = atomic_load_explicit(&s->swept, memory_order_relaxed);
    out->queued = atomic_load_explicit(&s->queued, memory_order_relaxed);
}

const char *tg_store_last_failure(struct tg_store *s, char *out, size_t cap)
{
    pthread_mutex_lock(&s->note->lock);
    (void)snprintf(out, cap, "%s", s->note->text); /* cut is fine */
    pthread_mutex_unlock(&s->note->lock);
    return out;
}

struct tg_str tg_store_path(const struct tg_store *s)
{
    return tg_str_c(s->path);
}
