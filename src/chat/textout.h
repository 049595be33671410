/* From token pieces to text that may be shown: holds bytes back while they may still be the
 * beginning of a character or of a stop string, and cuts at the first stop string. Bytes that can
 * never become a character leave as U+FFFD, so what is released is always valid UTF-8.
 * Thread rule: one thread at a time. Strings handed out are valid until the next call. */
#ifndef TG_CHAT_TEXTOUT_H
#define TG_CHAT_TEXTOUT_H

#include "base/buf.h"
#include "base/str.h"

struct tg_textout {
    const struct tg_str *stops; /* borrowed for the whole life */
    size_t n_stops;
    struct tg_buf held;    /* raw bytes not released yet */
    struct tg_buf out;     /* what the last call released */
    uint64_t taken_bytes;  /* raw bytes pushed so far */
    uint64_t passed_bytes; /* raw bytes released or cut so far */
    int stop_index;        /* -1, or the stop string that was found: nothing more is released */
};

void tg_textout_init(struct tg_textout *t, const struct tg_str *stops, size_t n_stops);
void tg_textout_fini(struct tg_textout *t);
/* Adds a piece; t->out holds what may leave now (often nothing). 1: a stop string was found, 0: go
 * on, TG_E_NOMEM, TG_E_FULL. */
int tg_textout_push(struct tg_textout *t, struct tg_str piece) TG_WARN_UNUSED;
/* The answer ended: t->out holds the rest. */
int tg_textout_finish(struct tg_textout *t) TG_WARN_UNUSED;

/* The earliest stop string in `s` at or after `from`: its position, or -1. Of two at one place the
 * longer one counts. */
ptrdiff_t tg_stop_find(struct tg_str s, size_t from, const struct tg_str *stops, size_t n_stops,
                       size_t *out_index);
/* How many bytes at the end of `s` may be the beginning of a stop string. */
size_t tg_stop_partial(struct tg_str s, const struct tg_str *stops, size_t n_stops);

#endif
