/* A second decoder for event streams, written straight from WHATWG HTML 9.2.6 over a whole stream,
 * slow and without cleverness, to hold the real one against. It writes one log line per event:
 * "event type=T id=I data=D" with the parts that are not empty, escaped by the caller's function.
 */
#ifndef TG_TEST_SSE_REFERENCE_H
#define TG_TEST_SSE_REFERENCE_H

#include "base/buf.h"
#include "base/str.h"

typedef void sse_escape_fn(struct tg_buf *b, struct tg_str s);

static inline void sse_log_event(struct tg_buf *log, sse_escape_fn *escape, struct tg_str type,
                                 struct tg_str id, struct tg_str data)
{
    tg_buf_lit(log, "event");
    if (type.n > 0) {
        tg_buf_lit(log, " type=");
        escape(log, type);
    }
    if (id.n > 0) {
        tg_buf_lit(log, " id=");
        escape(log, id);
    }
    tg_buf_lit(log, " data=");
    escape(log, data);
    tg_buf_char(log, '\n');
}

struct sse_reference {
    struct tg_buf type, id, data;
    struct tg_buf *log;
    sse_escape_fn *escape;
};

static inline void sse_reference_set(struct tg_buf *b, struct tg_str s)
{
    tg_buf_clear(b);
    tg_buf_str_add(b, s);
}

static inline void sse_reference_line(struct sse_reference *r, struct tg_str line)
{
    if (line.n == 0) {
        if (r->data.n > 0) { /* ends in an LF that is taken off */
            r->data.n--;
            sse_log_event(r->log, r->escape, tg_buf_str(&r->type), tg_buf_str(&r->id),
                          tg_buf_str(&r->data));
        }
        tg_buf_clear(&r->type);
        tg_buf_clear(&r->id);
        tg_buf_clear(&r->data);
        return;
    }
    ptrdiff_t colon = tg_str_chr(line, ':');
    struct tg_str name = colon < 0 ? line : tg_str_first(line, (size_t)colon);
    struct tg_str value = colon < 0 ? TG_STR("") : tg_str_from(line, (size_t)colon + 1);
    if (value.n > 0 && value.p[0] == ' ')
        value = tg_str_from(value, 1);
    if (tg_str_eq(name, TG_STR("event"))) {
        sse_reference_set(&r->type, value);
    } else if (tg_str_eq(name, TG_STR("data"))) {
        tg_buf_str_add(&r->data, value);
        tg_buf_char(&r->data, '\n');
    } else if (tg_str_eq(name, TG_STR("id")) && tg_str_chr(value, '\0') < 0) {
        sse_reference_set(&r->id, value);
    }
}

static inline void sse_reference_log(struct tg_str s, sse_escape_fn *escape, struct tg_buf *log)
{
    struct sse_reference r = {.log = log, .escape = escape};
    tg_buf_init(&r.type, s.n + 1);
    tg_buf_init(&r.id, s.n + 1);
    tg_buf_init(&r.data, s.n + 1);
    if (tg_str_starts(s, TG_STR("\xef\xbb\xbf")))
        s = tg_str_from(s, 3);
    size_t begin = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\r' && s.p[i] != '\n')
            continue;
        sse_reference_line(&r, tg_str_make(s.p + begin, i - begin));
        if (s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')
            i++;
        begin = i + 1;
    }
    tg_buf_fini(&r.type);
    tg_buf_fini(&r.id);
    tg_buf_fini(&r.data);
}

#endif
