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

/* One dispatched event, or one block without data (comments, only ids): then has_data is false.
 * All views are valid until the next call of tg_sse_next(). */
struct tg_sse_event {
    struct tg_str type; /* "" when none was given ("message") */
    struct tg_str data; /* data lines joined by LF */
    struct tg_str id;
    struct tg_str raw;  /* every byte of the block with its final blank line, BOM included */
    bool has_data;
};

struct tg_sse_dec {
    struct tg_buf pending; /* bytes of an event not yet complete */
    struct tg_buf joined;  /* data of an event with several data lines */
    size_t scan;           /* how far pending was scanned for an end */
    bool started;          /* the first byte was seen (BOM check) */
    bool last_was_cr;      /* the last event ended in CR: a following LF belongs to it */
};
/* max_event_bytes bounds a single event (4 MiB by default). */
void tg_sse_dec_init(struct tg_sse_dec *d, size_t max_event_bytes);
void tg_sse_dec_fini(struct tg_sse_dec *d);
/* Takes the next complete event out of the bytes so far: 1 event; 0 all input consumed, more bytes
 * needed; TG_E_UPSTREAM_TOO_LARGE, TG_E_NOMEM. Fast path: an event that lies whole in *in is given
 * as views into it, without a copy. */
int tg_sse_next(struct tg_sse_dec *d, struct tg_str *in, struct tg_sse_event *out) TG_WARN_UNUSED;
/* Bytes of an unfinished event (dropped at the end of the stream, as the standard says). */
size_t tg_sse_pending(const struct tg_sse_dec *d);

/* Encoder: "event: <type>\ndata: <line>\n…\n\n". Data with line breaks becomes several data lines; NUL and
 * CR never reach the wire raw. type may be empty. */
int tg_sse_write(struct tg_buf *b, struct tg_str type, struct tg_str data);
int tg_sse_write_comment(struct tg_buf *b, struct tg_str text); /* ": text\n\n" */

#endif
