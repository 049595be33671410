/* Growable byte buffer with a maximum given at birth. The only owner of contiguous bytes that
 * grow. A failed append (maximum or memory) leaves the content as it was and sets `failed`
 * (sticky: until tg_buf_clear() every further append fails with TG_E_FULL, so that a text never
 * has a hole), so that builders can chain calls and test once with tg_buf_ok().
 * Thread rule: one thread at a time. */
#ifndef TG_BASE_BUF_H
#define TG_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "base/str.h"

struct tg_buf {
    char *p;
    size_t n;         /* bytes held */
    size_t cap;       /* bytes allocated */
    size_t max_bytes; /* n never exceeds this */
    bool failed;
};

void tg_buf_init(struct tg_buf *b, size_t max_bytes); /* allocates nothing */
void tg_buf_fini(struct tg_buf *b);                   /* frees; reusable after init */
static inline void tg_buf_clear(struct tg_buf *b)
{
    b->n = 0;
    b->failed = false;
} /* keeps memory */
static inline bool tg_buf_ok(const struct tg_buf *b)
{
    return !b->failed;
}
static inline struct tg_str tg_buf_str(const struct tg_buf *b)
{
    return tg_str_make(b->p, b->n);
}

int tg_buf_reserve(struct tg_buf *b, size_t more); /* TG_E_NOMEM, TG_E_FULL */
/* Appends return 0 or a negative error; ignoring it is fine when tg_buf_ok() is tested later. */
int tg_buf_add_slow(struct tg_buf *b, const void *p, size_t n); /* tg_buf_add() that must grow */
static inline int tg_buf_add(struct tg_buf *b, const void *p, size_t n)
{
    if (tg_unlikely(b->failed || b->cap - b->n < n || n == 0))
        return tg_buf_add_slow(b, p, n);
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}
static inline int tg_buf_str_add(struct tg_buf *b, struct tg_str s)
{
    return tg_buf_add(b, s.p, s.n);
}
#define tg_buf_lit(b, lit) tg_buf_add((b), "" lit, sizeof(lit) - 1)
static inline int tg_buf_char(struct tg_buf *b, char c)
{
    return tg_buf_add(b, &c, 1);
}
int tg_buf_printf(struct tg_buf *b, const char *fmt, ...) TG_PRINTF(2, 3);
int tg_buf_u64(struct tg_buf *b, uint64_t v); /* decimal, no printf on the hot path */
int tg_buf_i64(struct tg_buf *b, int64_t v);
/* `s` as the inside of a JSON string (no quotes): escapes quote, backslash, control bytes;
 * invalid UTF-8 becomes U+FFFD. */
int tg_buf_json(struct tg_buf *b, struct tg_str s);
/* The same with the quotes. */
int tg_buf_json_str(struct tg_buf *b, struct tg_str s);
/* Valid JSON text on one line: line ends in it stand between tokens only, and become blanks. */
int tg_buf_json_line(struct tg_buf *b, struct tg_str json);
/* The same with what stands in the buffer from `from` on. */
void tg_buf_one_line(struct tg_buf *b, size_t from);
void tg_buf_drop(struct tg_buf *b, size_t n); /* removes n bytes from the front (memmove) */
/* Gives the memory up to the caller (tg_free) and empties the buffer. */
char *tg_buf_take(struct tg_buf *b, size_t *out_n);

#endif
