/* Writing JSON into a tg_buf: commas are put where they belong, nothing is allocated but the
 * buffer's own growth, nesting costs no stack. Errors are the buffer's: test tg_buf_ok() at the
 * end. Thread rule: one thread at a time.
 *
 *     struct tg_jw w = tg_jw(&buf);
 *     tg_jw_obj(&w);
 *     tg_jw_key(&w, TG_STR("model"));  tg_jw_str(&w, model);
 *     tg_jw_kstr(&w, TG_STR("id"), id);                         (the two in one)
 *     tg_jw_end_obj(&w); */
#ifndef TG_JSON_WRITE_H
#define TG_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct tg_jw {
    struct tg_buf *b;
    unsigned depth;
    bool comma; /* the next key or element needs one */
};

/* Starts a value at the buffer's end; what is in it already stays. */
static inline struct tg_jw tg_jw(struct tg_buf *b)
{
    return (struct tg_jw){.b = b};
}

void tg_jw_obj(struct tg_jw *w);
void tg_jw_end_obj(struct tg_jw *w);
void tg_jw_arr(struct tg_jw *w);
void tg_jw_end_arr(struct tg_jw *w);
void tg_jw_key(struct tg_jw *w, struct tg_str key);

/* Values: an element, or the value of the key just written. */
void tg_jw_str(struct tg_jw *w, struct tg_str s); /* escaped; invalid UTF-8 becomes U+FFFD */
void tg_jw_i64(struct tg_jw *w, int64_t v);
void tg_jw_u64(struct tg_jw *w, uint64_t v);
/* Shortest text that reads back as the same double; a whole one without ".0". JSON has no NaN or
 * infinity: those become null. */
void tg_jw_double(struct tg_jw *w, double v);
void tg_jw_bool(struct tg_jw *w, bool v);
void tg_jw_null(struct tg_jw *w);
/* Valid JSON text, copied as it is. An empty one becomes null. */
void tg_jw_raw(struct tg_jw *w, struct tg_str json);
/* A string in pieces: open, any number of pieces (each whole characters), close. */
void tg_jw_str_open(struct tg_jw *w);
void tg_jw_str_piece(struct tg_jw *w, struct tg_str s);
void tg_jw_str_close(struct tg_jw *w);

/* Key and value. */
void tg_jw_kstr(struct tg_jw *w, struct tg_str key, struct tg_str s);
void tg_jw_ki64(struct tg_jw *w, struct tg_str key, int64_t v);
void tg_jw_kdouble(struct tg_jw *w, struct tg_str key, double v);
void tg_jw_kbool(struct tg_jw *w, struct tg_str key, bool v);
void tg_jw_kraw(struct tg_jw *w, struct tg_str key, struct tg_str json);
void tg_jw_kstrs(struct tg_jw *w, struct tg_str key, const struct tg_str *list, size_t n);
/* Members of the open object as JSON text, `"a":1,"b":2`, copied as they are. */
void tg_jw_members(struct tg_jw *w, struct tg_str members);

#endif
