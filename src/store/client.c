/* A worker's end of the store: makes requests, finds by ticket who asked. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/err.h"
#include "store/op_priv.h"

#define BUCKETS 64 /* power of two */

struct tg_store_client {
    struct tg_store *store;
    struct tg_mailbox *mailbox;
    struct tg_list waits[BUCKETS]; /* by ticket */
    uint64_t last_ticket;
    uint32_t in_flight; /* asked, not answered: bounds the mailbox */
};

/* ---- answers ---- */

void tg_store_op_free(struct tg_store_op *op)
{
    tg_arena_fini(&op->arena);
    tg_free(op);
}

void tg_store_result_free(struct tg_store_result *r)
{
    if (r)
        tg_store_op_free(tg_container_of(r, struct tg_store_op, result));
}

static struct tg_store_wait *find(struct tg_store_client *c, uint64_t ticket)
{
    struct tg_list *bucket = &c->waits[ticket % BUCKETS];
    tg_list_each (it, bucket) {
        struct tg_store_wait *w = tg_list_entry(it, struct tg_store_wait, link);
        if (w->ticket == ticket)
            return w;
    }
    return NULL;
}

static void on_answer(struct tg_msg *m, void *ctx)
{
    struct tg_store_client *c = ctx;
    struct tg_store_op *op = tg_container_of(m, struct tg_store_op, msg);
    struct tg_store_wait *w = op->ticket ? find(c, op->ticket) : NULL;
    c->in_flight--;
    if (!w) {
        tg_store_op_free(op);
        return;
    }
    tg_list_del(&w->link);
    w->on_done(w, &op->result);
}

static void discard_answer(struct tg_msg *m)
{
    tg_store_op_free(tg_container_of(m, struct tg_store_op, msg));
}

void tg_store_op_answer(struct tg_store_op *op)
{
    op->msg.deliver = on_answer;
    op->msg.discard = discard_answer;
    int rc = tg_mailbox_post(op->client->mailbox, &op->msg);
    TG_INVARIANT(rc == 0); /* it has room for all that are in flight */
}

void tg_store_cancel(struct tg_store_wait *wait)
{
    if (tg_store_waiting(wait))
        tg_list_del(&wait->link);
}

/* ---- questions ---- */

static struct tg_store_op *op_new(struct tg_store_client *c, enum tg_store_kind kind,
                                  size_t max_bytes)
{
    struct tg_store_op *op = tg_calloc(1, sizeof *op);
    if (!op)
        return NULL;
    op->client = c;
    op->kind = kind;
    op->max_bytes = max_bytes;
    tg_fail_clear(&op->result.fail);
    /* The last record of a chain may pass the limit: then it is answered TG_E_FULL. */
    tg_arena_init(&op->arena, 512, max_bytes + TG_STORE_MAX_RECORD_BYTES + (1u << 20));
    return op;
}

/* Copies of what was asked with, in the op's arena. */
static int copy_record(struct tg_store_op *op, const struct tg_store_response *r)
{
    op->record = *r;
    struct tg_str *strings[] = {
        &op->record.id,          &op->record.owner,  &op->record.model,       &op->record.target,
        &op->record.previous_id, &op->record.status, &op->record.input_items, &op->record.response};
    for (size_t i = 0; i < TG_ARRAY_LEN(strings); i++) {
        op->queued_bytes += strings[i]->n;
        if (op->queued_bytes > TG_STORE_MAX_RECORD_BYTES)
            return TG_E_FULL;
        *strings[i] = tg_arena_dup(&op->arena, *strings[i]);
        if (!strings[i]->p)
            return TG_E_NOMEM;
    }
    if (r->output.n)
        op->record.output.p = op->record.response.p + (r->output.p - r->response.p);
    return 0;
}

static int ask(struct tg_store_client *c, enum tg_store_kind kind, size_t max_bytes,
               const struct tg_store_response *r, struct tg_store_wait *wait)
{
    TG_REQUIRE(!wait || !tg_store_waiting(wait));
    if (c->in_flight >= TG_STORE_MAX_CLIENT)
        return TG_E_FULL;
    struct tg_store_op *op = op_new(c, kind, max_bytes);
    if (!op)
        return TG_E_NOMEM;
    uint64_t ticket = ++c->last_ticket;
    op->ticket = wait ? ticket : 0;
    int rc = copy_record(op, r);
    if (rc == 0)
        rc = tg_store_submit(c->store, op);
    if (rc < 0) {
        tg_store_op_free(op);
        return rc;
    }
    c->in_flight++;
    if (wait) {
        wait->ticket = ticket;
        tg_list_add_tail(&c->waits[ticket % BUCKETS], &wait->link);
    }
    return 0;
}

int tg_store_put(struct tg_store_client *c, const struct tg_store_response *r,
                 struct tg_store_wait *wait)
{
    TG_REQUIRE(r->id.n);
    return ask(c, TG_STORE_PUT, 0, r, wait);
}

static int ask_id(struct tg_store_client *c, enum tg_store_kind kind, struct tg_str owner,
                  struct tg_str id, size_t max_bytes, struct tg_store_wait *wait)
{
    struct tg_store_response r = {.owner = owner, .id = id};
    return ask(c, kind, max_bytes, &r, wait);
}

int tg_store_get(struct tg_store_client *c, struct tg_str owner, struct tg_str id,
                 struct tg_store_wait *wait)
{
    return ask_id(c, TG_STORE_GET, owner, id, 0, wait);
}

int tg_store_chain(struct tg_store_client *c, struct tg_str owner, struct tg_str id,
                   size_t max_bytes, struct tg_store_wait *wait)
{
    return ask_id(c, TG_STORE_CHAIN, owner, id, max_bytes, wait);
}

int tg_store_delete(struct tg_store_client *c, struct tg_str owner, struct tg_str id,
                    struct tg_store_wait *wait)
{
    return ask_id(c, TG_STORE_DELETE, owner, id, 0, wait);
}

/* ---- life ---- */

int tg_store_client_new(struct tg_store *s, struct tg_loop *loop, struct tg_store_client **out)
{
    struct tg_store_client *c = tg_calloc(1, sizeof *c);
    if (!c)
        return TG_E_NOMEM;
    c->store = s;
    for (size_t i = 0; i < BUCKETS; i++)
        tg_list_init(&c->waits[i]);
    int rc = tg_mailbox_new(loop, TG_STORE_MAX_CLIENT, c, &c->mailbox);
    if (rc < 0) {
        tg_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void tg_store_client_free(struct tg_store_client *c)
{
    if (!c)
        return;
    tg_mailbox_free(c->mailbox);
    tg_free(c);
}
