/* Bodies that come compressed (Content-Encoding gzip or deflate): the decoder. It gives what can be
 * had of the bytes so far, so that a stream's events are not held up, and the same bytes for every
 * way of cutting them. Sans I/O.
 * Sources: RFC 9110 8.4 (codings; "x-gzip" is gzip), RFC 1952 (gzip: members may follow one
 * another), RFC 1950 and 1951 ("deflate" is zlib's form; servers are known that send the bare one,
 * which is told apart by the first two bytes).
 * Thread rule: one thread at a time. */
#ifndef TG_WIRE_INFLATE_H
#define TG_WIRE_INFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/str.h"
#include "wire/http.h"

enum tg_coding {
    TG_CODING_NONE, /* no coding, or identity */
    TG_CODING_GZIP,
    TG_CODING_DEFLATE,
    TG_CODING_UNKNOWN, /* another one, or several, one in the other */
};
/* What the head's Content-Encoding says, be it one header or several. */
enum tg_coding tg_coding_of(const struct tg_http_head *head);

struct tg_inflate; /* 7 KiB, 40 KiB once there were bytes */
/* max_bytes: of the decoded body, 0: no limit. TG_E_NOMEM. The coding is GZIP or DEFLATE. */
int tg_inflate_new(enum tg_coding coding, uint64_t max_bytes,
                   struct tg_inflate **out) TG_WARN_UNUSED;
void tg_inflate_free(struct tg_inflate *d); /* NULL is allowed */
/* Decodes into `space` (n_space > 0): 1 *out is the next piece; 0 all input is consumed and nothing
 * is left to give; TG_E_UPSTREAM_INVALID (not that coding, a wrong checksum, bytes behind the end),
 * TG_E_UPSTREAM_TOO_LARGE, TG_E_NOMEM. A failure is final. Call until 0. */
int tg_inflate_next(struct tg_inflate *d, struct tg_str *in, char *space, size_t n_space,
                    struct tg_str *out) TG_WARN_UNUSED;
/* The body may end here: its own end was seen, or it has no bytes at all. */
bool tg_inflate_whole(const struct tg_inflate *d);

#endif
