#include "json/splice.h"

#include "base/err.h"

void tg_json_splice_sort(struct tg_splice *edits, size_t n)
{
    /* Insertion sort: lists are short and nearly sorted, and it is stable. */
    for (size_t i = 1; i < n; i++) {
        struct tg_splice e = edits[i];
        size_t k = i;
        for (; k > 0 && edits[k - 1].at > e.at; k--)
            edits[k] = edits[k - 1];
        edits[k] = e;
    }
}

int tg_json_splice_size(struct tg_str text, const struct tg_splice *edits, size_t n, size_t *out_n)
{
    size_t done = 0, size = text.n;
    for (size_t i = 0; i < n; i++) {
        const struct tg_splice *e = &edits[i];
        if (e->at < done || e->at > text.n || e->remove > text.n - e->at)
            return TG_E_INVALID_ARG;
        done = e->at + e->remove;
        if (__builtin_add_overflow(size - e->remove, e->insert.n, &size))
            return TG_E_INVALID_ARG;
    }
    *out_n = size;
    return 0;
}

int tg_json_splice(struct tg_str text, const struct tg_splice *edits, size_t n, struct tg_buf *out)
{
    size_t size, done = 0;
    int rc = tg_json_splice_size(text, edits, n, &size);
    if (rc)
        return rc;
    rc = tg_buf_reserve(out, size);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        tg_buf_add(out, text.p + done, edits[i].at - done);
        tg_buf_str_add(out, edits[i].insert);
        done = edits[i].at + edits[i].remove;
    }
    return tg_buf_add(out, text.p + done, text.n - done);
}

struct pieces {
    struct iovec *out;
    size_t n, max;
};

static void add_piece(struct pieces *p, const char *at, size_t n)
{
    if (n == 0)
        return;
    /* An iovec has no const; it is only read from. */
    if (p->n < p->max)
        p->out[p->n] = (struct iovec){(void *)(uintptr_t)at, n};
    p->n++;
}

int tg_json_splice_iov(struct tg_str text, const struct tg_splice *edits, size_t n,
                       struct iovec *out, size_t max)
{
    size_t size, done = 0;
    int rc = tg_json_splice_size(text, edits, n, &size);
    if (rc)
        return rc;
    struct pieces p = {out, 0, max};
    for (size_t i = 0; i < n; i++) {
        add_piece(&p, text.p + done, edits[i].at - done);
        add_piece(&p, edits[i].insert.p, edits[i].insert.n);
        done = edits[i].at + edits[i].remove;
    }
    add_piece(&p, text.p + done, text.n - done);
    return p.n <= p.max ? (int)p.n : TG_E_FULL;
}
