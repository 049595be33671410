/* What the parts of the HTTP/1.1 codec share: the parser's state, byte classes, the head's entry
 * points. Private to wire/. */
#ifndef TG_WIRE_H1_PRIV_H
#define TG_WIRE_H1_PRIV_H

#include "wire/h1.h"

enum h1_phase {
    H1_START, /* nothing of the message was seen, an empty line aside */
    H1_HEAD_PART,
    H1_LENGTH, /* `left` bytes of body to come */
    H1_CLOSE,
    H1_CHUNK_SIZE,
    H1_CHUNK_EXT,
    H1_CHUNK_SIZE_LF,
    H1_CHUNK_DATA, /* `left` bytes of the chunk to come */
    H1_CHUNK_CR,
    H1_CHUNK_LF,
    H1_TRAILER_START, /* at the beginning of a line */
    H1_TRAILER_NAME,
    H1_TRAILER_VALUE,
    H1_TRAILER_LF,
    H1_LAST_LF,
    H1_ENDING, /* the END event is due */
    H1_DONE,
    H1_FAILED,
};

/* A request line can't be longer than its target and this without being refused for it. */
#define H1_REQUEST_LINE_EXTRA 64
#define H1_MAX_METHOD_BYTES   32

struct tg_h1 {
    struct tg_http_head head;
    struct tg_h1_limits limits;
    struct tg_arena *arena;
    char *buf; /* the head's bytes */
    uint64_t left;
    uint64_t body_bytes; /* announced or received so far: held against max_body_bytes */
    uint32_t buf_cap, buf_len;
    uint32_t line_start; /* in buf, of the line not yet complete */
    uint32_t slots;      /* size of head.headers */
    uint32_t counter;    /* bytes of the chunk's line or of the trailer */
    int err;
    uint16_t interim; /* 1xx answers skipped */
    uint16_t lines;   /* lines complete, while a head comes in pieces */
    uint8_t digits;   /* of the chunk's size */
    uint8_t skipped;  /* bytes of an empty line before a request: CR, LF */
    uint8_t phase;
    uint8_t role;
    uint8_t request_method; /* responses */
    /* Facts of the header lines seen so far. */
    uint8_t n_host, n_length, n_coding, n_auth;
    bool coding_is_chunked, conn_close, conn_keep_alive, expect_other;
};

/* The ends of a head's lines, each behind its LF. */
struct h1_lines {
    uint32_t n;
    uint32_t end[TG_HTTP_MAX_HEADERS + 2];
};

/* Length of the head that lies whole at p, its line ends in *out; 0 when it isn't whole or passes
 * max_bytes or TG_HTTP_MAX_HEADERS. A line that is "\n" alone ends it too (and is an error then).
 */
uint32_t h1_head_find(const char *p, size_t n, size_t max_bytes, struct h1_lines *out);
/* Takes the whole head at p->buf apart. Errors as of requests. */
int h1_head_parse(struct tg_h1 *p, const struct h1_lines *lines);
/* A head that comes in pieces: judges line number p->lines, which is complete in [s, s + n). */
int h1_head_check_line(struct tg_h1 *p, const char *s, size_t n);
/* The same for a line not complete yet: only what no further byte could change. */
int h1_head_check_part(struct tg_h1 *p, const char *s, size_t n);
void h1_head_reset(struct tg_h1 *p);

/* Byte classes. */
#define H1_TOKEN 1 /* tchar of RFC 9110 5.6.2 */
#define H1_VALUE 2 /* HTAB, SP, VCHAR, obs-text: field values, reason phrases */
#define H1_URI   4 /* VCHAR without '#': request targets */
extern const uint8_t h1_class[256];
static inline bool h1_is(char c, uint8_t class)
{
    return (h1_class[(uint8_t)c] & class) != 0;
}
static inline bool h1_all(const char *s, size_t n, uint8_t class)
{
    for (size_t i = 0; i < n; i++) {
        if (!h1_is(s[i], class))
            return false;
    }
    return true;
}

#endif
