/* Server-sent events (WHATWG HTML 9.2), decoder and encoder. The decoder gives the same events for
 * every way of cutting the bytes, and the raw bytes of each, so that a pass-through can forward an
 * event exactly as it came. Sans I/O.
 * Thread rule: one thread at a time. */
#ifndef TG_WIRE_SSE_H
#define TG_WIRE_SSE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* One dispatched event, or one block without data (comments, only ids, empty lines): then has_data
 * is false. All views are valid until the next call of tg_sse_next() or until the input changes. */
struct tg_sse_event {
    struct tg_str type; /* last `event` field of the block; "" when none was given ("message") */
    struct tg_str data; /* data lines joined by LF */
    struct tg_str id;   /* last `id` field of this block without NUL; not carried to later events */
    struct tg_str raw;  /* every byte of the block with its final blank line, BOM included */
    bool has_data;      /* at least one `data` line, even an empty one */
};

/* The raws of all blocks, one after the other, and the pending bytes are always exactly the input.
 * A block whose blank line ends in CR at the end of the input is given at once. If an LF follows in
 * a later read it belongs to that CR; it then comes as a block of its own with raw "\n" and no
 * data, so that a pass-through can forward it. The events with data are the same for every way of
 * cutting the input. */
struct tg_sse_dec {
    struct tg_buf pending; /* bytes of an event not yet complete */
    struct tg_buf joined;  /* data of an event with several data lines */
    size_t max_event_bytes;
    int err;           /* a failure is final */
    unsigned char bom; /* bytes of a BOM seen at the very start; 3: it is over */
    bool bom_here;     /* the block being read begins with a BOM */
    bool in_line;      /* the line being read has bytes */
    bool line_cr;      /* the last line of the block being read ended in CR: an LF belongs to it */
    bool block_cr;     /* the same of the last block given */
    bool given;        /* pending was given as an event and is dropped by the next call */
};
/* max_event_bytes bounds the raw bytes of a single event (4 MiB is the gateway's default). */
void tg_sse_dec_init(struct tg_sse_dec *d, size_t max_event_bytes);
void tg_sse_dec_fini(struct tg_sse_dec *d);
/* Takes the next complete block out of the bytes so far: 1 event; 0 all input consumed, more bytes
 * needed; TG_E_UPSTREAM_TOO_LARGE, TG_E_NOMEM. Fast path: an event that lies whole in *in is given
 * as views into it, without a copy. Nothing is allocated between events. */
int tg_sse_next(struct tg_sse_dec *d, struct tg_str *in, struct tg_sse_event *out) TG_WARN_UNUSED;
/* Bytes of an unfinished event (dropped at the end of the stream, as the standard says). Valid
 * after tg_sse_next() has returned 0. */
size_t tg_sse_pending(const struct tg_sse_dec *d);

/* Encoder: "event: <type>\ndata: <line>\n…\n\n". Each line break in data (CR, LF, CRLF) begins a
 * new data line; NUL becomes U+FFFD, so neither NUL nor CR reaches the wire raw. type may be empty;
 * control bytes in it are TG_E_INVALID_ARG. Else tg_buf_add()'s errors. */
int tg_sse_write(struct tg_buf *b, struct tg_str type, struct tg_str data);
int tg_sse_write_comment(struct tg_buf *b, struct tg_str text); /* ": text\n\n", likewise */

#endif
