#include "chat/textout.h"

#include "base/err.h"
#include "base/utf8.h"

enum {
    /* Held bytes are at most a stop string and a character; one token's piece comes on top. */
    HELD_MAX_BYTES = 64 << 10,
    OUT_MAX_BYTES = 3 * HELD_MAX_BYTES, /* each invalid byte becomes three */
};

void tg_textout_init(struct tg_textout *t, const struct tg_str *stops, size_t n_stops)
{
    *t = (struct tg_textout){.stops = stops, .n_stops = n_stops, .stop_index = -1};
    tg_buf_init(&t->held, HELD_MAX_BYTES);
    tg_buf_init(&t->out, OUT_MAX_BYTES);
}

void tg_textout_fini(struct tg_textout *t)
{
    tg_buf_fini(&t->held);
    tg_buf_fini(&t->out);
}

ptrdiff_t tg_stop_find(struct tg_str s, size_t from, const struct tg_str *stops, size_t n_stops,
                       size_t *out_index)
{
    ptrdiff_t best = -1;
    size_t best_len = 0;
    if (from > s.n)
        from = s.n;
    for (size_t i = 0; i < n_stops; i++) {
        ptrdiff_t at = tg_str_find(tg_str_from(s, from), stops[i]);
        if (at < 0 || stops[i].n == 0)
            continue;
        at += (ptrdiff_t)from;
        if (best < 0 || at < best || (at == best && stops[i].n > best_len)) {
            best = at;
            best_len = stops[i].n;
            *out_index = i;
        }
    }
    return best;
}

size_t tg_stop_partial(struct tg_str s, const struct tg_str *stops, size_t n_stops)
{
    size_t longest = 0;
    for (size_t i = 0; i < n_stops; i++) {
        size_t n = stops[i].n ? stops[i].n - 1 : 0;
        if (n > s.n)
            n = s.n;
        while (n > longest && !tg_str_eq(tg_str_from(s, s.n - n), tg_str_first(stops[i], n)))
            n--;
        if (n > longest)
            longest = n;
    }
    return longest;
}

/* Moves the first n held bytes to `out` as valid UTF-8. */
static void release(struct tg_textout *t, size_t n)
{
    struct tg_str s = tg_str_first(tg_buf_str(&t->held), n);
    if (tg_utf8_valid(s)) {
        tg_buf_str_add(&t->out, s);
    } else {
        while (s.n) {
            size_t len = tg_utf8_len(s);
            if (len)
                tg_buf_add(&t->out, s.p, len);
            else
                tg_buf_lit(&t->out, "\xEF\xBF\xBD");
            s = tg_str_from(s, len ? len : 1);
        }
    }
    t->passed_bytes += n;
    tg_buf_drop(&t->held, n);
}

/* A failed append must not leave the text half released. */
static int result(struct tg_textout *t, int rc)
{
    return tg_buf_ok(&t->out) ? rc : TG_E_NOMEM;
}

int tg_textout_push(struct tg_textout *t, struct tg_str piece)
{
    tg_buf_clear(&t->out);
    if (t->stop_index >= 0)
        return 1;
    size_t old = t->held.n, longest = 0, index = 0;
    int rc = tg_buf_str_add(&t->held, piece);
    if (rc)
        return rc;
    t->taken_bytes += piece.n;
    for (size_t i = 0; i < t->n_stops; i++)
        longest = t->stops[i].n > longest ? t->stops[i].n : longest;
    struct tg_str s = tg_buf_str(&t->held);
    ptrdiff_t at =
        tg_stop_find(s, old >= longest ? old - longest : 0, t->stops, t->n_stops, &index);
    if (at >= 0) {
        release(t, (size_t)at);
        tg_buf_clear(&t->held);
        t->stop_index = (int)index;
        return result(t, 1);
    }
    size_t whole = tg_utf8_whole(s), keep = tg_stop_partial(s, t->stops, t->n_stops);
    release(t, s.n - keep < whole ? s.n - keep : whole);
    return result(t, 0);
}

int tg_textout_finish(struct tg_textout *t)
{
    tg_buf_clear(&t->out);
    if (t->stop_index < 0)
        release(t, t->held.n);
    return result(t, 0);
}
