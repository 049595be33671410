/* HTTP/1.1 parser for requests and for responses, over llhttp, strict as reliability demands
 * (RFC 9112; every deviation that could make two parsers disagree is refused). Sans I/O, pull
 * style: give it bytes, take one event at a time.
 *
 *     struct tg_str in = {bytes just read};
 *     while ((rc = tg_h1_next(p, &in, &ev)) > 0) switch (ev.kind) ...
 *     rc == 0: needs more bytes (in is empty now).  rc < 0: the message is refused; the connection
 *     must be closed after the answer.
 *
 * How strict: a head is first taken apart by our own line parser, which knows the exact error, and
 * then read once more by llhttp in its strict mode; both must agree on its end, method, version,
 * length and coding, or the message is refused. Bodies (length, chunks, trailers) are ours alone.
 * The same bytes give the same events or the same error for every way of cutting them; only the
 * boundaries of BODY events follow the reads.
 *
 * Memory: one parser reads one message and lives in that message's arena (about 230 bytes beside
 * the head). A head is copied into the arena once (so `in` may be any split); body events borrow
 * from `in`, valid until the input buffer is reused. Body bytes never pile up here. Bytes behind
 * the message stay in `in` for the next message's parser.
 * Thread rule: one thread at a time. */
#ifndef TG_WIRE_H1_H
#define TG_WIRE_H1_H

#include "base/arena.h"
#include "wire/http.h"

enum tg_h1_role { TG_H1_REQUEST, TG_H1_RESPONSE };

struct tg_h1_limits {
    uint32_t max_target_bytes; /* 8 KiB → URI_TOO_LONG */
    uint32_t max_line_bytes;   /* 16 KiB a header line → HEADERS_TOO_LARGE (UPSTREAM_TOO_LARGE) */
    uint32_t max_head_bytes;   /* 64 KiB, start line and final empty line included */
    uint32_t max_headers;      /* 100; more than TG_HTTP_MAX_HEADERS counts as that */
    uint32_t max_interim;      /* responses: 1xx answers skipped before giving up, 100 */
    uint32_t max_trailer_bytes; /* 8 KiB; trailers are checked and dropped */
    uint64_t max_body_bytes;    /* 0: no limit; else BODY_TOO_LARGE (from Content-Length at once) */
};
extern const struct tg_h1_limits tg_h1_limits_default;

enum tg_h1_event_kind {
    TG_H1_HEAD = 1, /* ev.head is complete; lives in the arena */
    TG_H1_BODY,     /* ev.body: some bytes of the body, decoded */
    TG_H1_END,      /* the message is complete; bytes left in `in` belong to the next one */
};
struct tg_h1_event {
    enum tg_h1_event_kind kind;
    const struct tg_http_head *head;
    struct tg_str body;
};

struct tg_h1; /* opaque; nothing to free: it goes with its arena */
/* Made in the arena, for one message. *limits is copied. TG_E_NOMEM. */
int tg_h1_new(enum tg_h1_role role, const struct tg_h1_limits *limits, struct tg_arena *arena,
              struct tg_h1 **out) TG_WARN_UNUSED;
/* Responses: the method of the request (an answer to HEAD has no body, a 2xx to CONNECT ends with
 * its head). */
void tg_h1_set_request_method(struct tg_h1 *p, enum tg_http_method m);
/* 1: *out_event is set. 0: more bytes needed; after END always 0, and nothing is consumed.
 * Requests fail with the framing group of err.def (BAD_REQUEST … EXPECTATION), responses with
 * UPSTREAM_INVALID or UPSTREAM_TOO_LARGE; TG_E_NOMEM. A failure is final: every later call gives
 * it again. CONNECT and TRACE are parsed; to refuse them (405) is the caller's part. */
int tg_h1_next(struct tg_h1 *p, struct tg_str *in, struct tg_h1_event *out_event) TG_WARN_UNUSED;
/* The connection ended. Responses delimited by close: 1 and an END event. Before the first byte or
 * after END: 0. Else BAD_REQUEST or UPSTREAM_INCOMPLETE. Take all events of tg_h1_next() first. */
int tg_h1_eof(struct tg_h1 *p, struct tg_h1_event *out_event) TG_WARN_UNUSED;
bool tg_h1_in_message(const struct tg_h1 *p); /* some bytes of a message were seen, END was not */

/* Writers. Names must be tokens; values and targets are checked: CR, LF, NUL and other control
 * bytes are refused (TG_E_INVALID_ARG) and then nothing is written. Else tg_buf_add()'s errors. */
int tg_h1_write_request_line(struct tg_buf *b, enum tg_http_method m, struct tg_str target);
int tg_h1_write_status_line(struct tg_buf *b, int status);
int tg_h1_write_header(struct tg_buf *b, struct tg_str name, struct tg_str value);
/* "<hex>\r\n" before a chunk of n > 0 bytes; returns its length. The chunk is followed by CRLF; the
 * end is "0\r\n\r\n". */
size_t tg_h1_chunk_head(char out[20], size_t n);

#endif
