/* Streams of one JSON value a line (Ollama, JSON Lines): the splitter. It gives the same lines for
 * every way of cutting the bytes, and the raw bytes of each for a pass-through. Sans I/O.
 * Thread rule: one thread at a time. */
#ifndef TG_WIRE_NDJSON_H
#define TG_WIRE_NDJSON_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* Views are valid until the next call on the decoder or until the input changes. */
struct tg_ndjson_line {
    struct tg_str text; /* without its line end and blanks around it; "": a blank line */
    struct tg_str raw;  /* every byte, with the line end; all raws together are the input */
};

struct tg_ndjson_dec {
    struct tg_buf pending; /* a line not yet complete */
    size_t max_line_bytes;
    int err;    /* a failure is final */
    bool given; /* pending was given as a line and is dropped by the next call */
};
void tg_ndjson_dec_init(struct tg_ndjson_dec *d, size_t max_line_bytes);
void tg_ndjson_dec_fini(struct tg_ndjson_dec *d);
/* Takes the next line out of the bytes so far: 1 a line; 0 all input consumed, more needed;
 * TG_E_UPSTREAM_TOO_LARGE, TG_E_NOMEM. A line that lies whole in *in is a view into it. */
int tg_ndjson_next(struct tg_ndjson_dec *d, struct tg_str *in,
                   struct tg_ndjson_line *out) TG_WARN_UNUSED;
/* At the end of the stream: 1 and the last line when it had no line end, 0 when nothing is left,
 * or the decoder's failure. */
int tg_ndjson_end(struct tg_ndjson_dec *d, struct tg_ndjson_line *out) TG_WARN_UNUSED;

#endif
