#include "engine/callparse_priv.h"

#include "base/err.h"
#include "chat/textout.h"

enum { HELD_MAX_BYTES = 256 << 10, NAME_MAX_BYTES = 256 };

void tg_callparse_init(struct tg_callparse *p,
                       void (*emit)(void *ctx, enum tg_call_event ev, struct tg_str s), void *ctx)
{
    *p = (struct tg_callparse){.emit = emit, .ctx = ctx};
    tg_buf_init(&p->held, HELD_MAX_BYTES);
}

void tg_callparse_fini(struct tg_callparse *p)
{
    tg_buf_fini(&p->held);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static void give(struct tg_callparse *p, enum tg_call_event ev, struct tg_str s)
{
    if (s.n || ev == TG_CPE_START || ev == TG_CPE_END)
        p->emit(p->ctx, ev, s);
}

/* Text up to a marker, or up to what may become one; blanks at its end wait, and blanks behind a
 * call are dropped. True when there may be more to do. */
static bool take_text(struct tg_callparse *p)
{
    static const struct tg_str open = TG_STR_INIT(TG_CALL_OPEN);
    struct tg_str s = tg_buf_str(&p->held);
    ptrdiff_t at = tg_str_find(s, open);
    size_t n = at >= 0 ? (size_t)at : s.n - tg_stop_partial(s, &open, 1), skip = 0;
    while (n && is_blank(s.p[n - 1]))
        n--;
    if (p->n_calls)
        while (skip < n && is_blank(s.p[skip]))
            skip++;
    give(p, TG_CPE_TEXT, tg_str_from(tg_str_first(s, n), skip));
    tg_buf_drop(&p->held, at >= 0 ? (size_t)at + open.n : n);
    if (at >= 0)
        p->state = TG_CP_HEAD;
    return at >= 0;
}

/* ---- the head: { "name" : "…" , "arguments" : ---- */

struct head {
    struct tg_str s;
    bool more; /* it ended too early */
};

static void blanks(struct head *h)
{
    while (h->s.n && is_blank(h->s.p[0]))
        h->s = tg_str_from(h->s, 1);
}

static bool word(struct head *h, struct tg_str w)
{
    blanks(h);
    size_t n = h->s.n < w.n ? h->s.n : w.n;
    if (!tg_str_eq(tg_str_first(h->s, n), tg_str_first(w, n)))
        return false;
    h->more = n < w.n;
    h->s = tg_str_from(h->s, n);
    return !h->more;
}

/* The inside of a string; the grammar writes names without escapes. */
static bool name(struct head *h, struct tg_str *out)
{
    ptrdiff_t end = tg_str_chr(h->s, '"');
    h->more = end < 0;
    if (end < 0)
        return false;
    *out = tg_str_first(h->s, (size_t)end);
    h->s = tg_str_from(h->s, (size_t)end + 1);
    return true;
}

static bool head(struct head *h, struct tg_str *out_name)
{
    return word(h, TG_STR("{")) && word(h, TG_STR("\"name\"")) && word(h, TG_STR(":")) &&
           word(h, TG_STR("\"")) && name(h, out_name) && word(h, TG_STR(",")) &&
           word(h, TG_STR("\"arguments\"")) && word(h, TG_STR(":"));
}

/* What is no call after all is text again. */
static bool take_head(struct tg_callparse *p)
{
    struct head h = {tg_buf_str(&p->held), false};
    struct tg_str called;
    if (head(&h, &called) && called.n <= NAME_MAX_BYTES) {
        blanks(&h);
        if (h.s.n == 0)
            return false;
        p->n_calls++;
        give(p, TG_CPE_START, called);
        tg_buf_drop(&p->held, p->held.n - h.s.n);
        p->state = TG_CP_ARGUMENTS;
        p->depth = 0;
        p->in_string = p->escaped = false;
        return true;
    }
    if (h.more)
        return false;
    give(p, TG_CPE_TEXT, TG_STR(TG_CALL_OPEN));
    p->state = TG_CP_TEXT;
    return true;
}

/* ---- arguments: one JSON value, byte for byte ---- */

/* How many of the bytes belong to the value; *ends: it ends behind them. */
static size_t value_bytes(struct tg_callparse *p, struct tg_str s, bool *ends)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (p->escaped) {
            p->escaped = false;
        } else if (p->in_string) {
            p->escaped = c == '\\';
            p->in_string = c != '"';
        } else if (c == '"') {
            p->in_string = true;
        } else if (c == '{' || c == '[') {
            p->depth++;
        } else if (c == '}' || c == ']') {
            *ends = p->depth <= 1;
            if (p->depth == 0)
                return i; /* the call's own bracket: the value was no object */
            if (--p->depth == 0)
                return i + 1;
        }
    }
    return s.n;
}

static bool take_arguments(struct tg_callparse *p)
{
    bool ends = false;
    struct tg_str s = tg_buf_str(&p->held);
    size_t n = value_bytes(p, s, &ends);
    give(p, TG_CPE_ARGUMENTS, tg_str_first(s, n));
    tg_buf_drop(&p->held, n);
    if (!ends)
        return false;
    give(p, TG_CPE_END, TG_STR(""));
    p->state = TG_CP_TAIL;
    return true;
}

static bool take_tail(struct tg_callparse *p)
{
    ptrdiff_t at = tg_str_find(tg_buf_str(&p->held), TG_STR(TG_CALL_CLOSE));
    if (at < 0)
        return false;
    tg_buf_drop(&p->held, (size_t)at + sizeof TG_CALL_CLOSE - 1);
    p->state = TG_CP_TEXT;
    return true;
}

int tg_callparse_push(struct tg_callparse *p, struct tg_str text)
{
    static bool (*const takes[])(struct tg_callparse *) = {
        [TG_CP_TEXT] = take_text,
        [TG_CP_HEAD] = take_head,
        [TG_CP_ARGUMENTS] = take_arguments,
        [TG_CP_TAIL] = take_tail,
    };
    int rc = tg_buf_str_add(&p->held, text);
    while (!rc && p->held.n && takes[p->state](p))
        ;
    return rc;
}

void tg_callparse_finish(struct tg_callparse *p)
{
    struct tg_str s = tg_buf_str(&p->held);
    if (p->state != TG_CP_TEXT)
        return;
    while (p->n_calls && s.n && is_blank(s.p[0]))
        s = tg_str_from(s, 1);
    give(p, TG_CPE_TEXT, s);
    tg_buf_clear(&p->held);
}
