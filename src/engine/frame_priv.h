/* Frames between the gateway and its engine child: a 16-byte head and a payload, over one stream
 * socket. Both ends run the same binary on the same machine, so numbers are in host order; both
 * ends still treat every length as hostile, and a bad one ends the connection.
 * The payload is written with tg_buf and read through a cursor with a sticky error.
 * Thread rule: pure functions, any thread. */
#ifndef TG_ENGINE_FRAME_PRIV_H
#define TG_ENGINE_FRAME_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* Changed whenever a payload changes; INIT carries it. */
#define TG_FRAME_VERSION 2u
#define TG_FRAME_MAGIC   0x4754u
#define TG_FRAME_HEAD    16u
/* Largest payloads: a request's text and its grammar are at most 256 KiB each. */
#define TG_FRAME_MAX_TO_CHILD   (1u << 20)
#define TG_FRAME_MAX_FROM_CHILD (256u << 10)

enum tg_frame_type {
    /* to the child */
    TG_FR_INIT = 1, /* settings and the model; the first frame, once */
    TG_FR_GENERATE,
    TG_FR_CANCEL,
    TG_FR_CREDIT,
    TG_FR_SHUTDOWN,
    /* from the child */
    TG_FR_PROGRESS = 64, /* u32 permille of the load */
    TG_FR_READY,
    TG_FR_FAILED, /* the model can't be served: code and text; the child exits */
    TG_FR_QUEUED, /* u32 prompt tokens: tokenised, waits for a slot */
    TG_FR_STARTED,
    TG_FR_TEXT,
    TG_FR_VECTOR, /* floats */
    TG_FR_DONE,
    TG_FR_ERROR, /* i32 TG_E_*, text */
    TG_FR_BEAT,  /* counters of the engine thread */
};

struct tg_frame {
    enum tg_frame_type type;
    uint64_t id; /* of the request, 0 for the engine itself */
    struct tg_str payload;
};

/* Looks at the front of what was received. 1: *out and *out_used (bytes of the whole frame) are
 * set, *out borrows from `in`; 0: more bytes are needed; TG_E_INVALID_ARG: not a frame, or longer
 * than max_payload. */
int tg_frame_next(struct tg_str in, size_t max_payload, struct tg_frame *out,
                  size_t *out_used) TG_WARN_UNUSED;

/* Appends a head with an open length; returns where it starts, for tg_frame_end. Failures are
 * sticky in the buffer. */
size_t tg_frame_begin(struct tg_buf *b, enum tg_frame_type type, uint64_t id);
/* Writes the length. When the buffer failed or the payload is longer than max_payload the frame is
 * taken back whole, the buffer usable again, and TG_E_FULL returned. */
int tg_frame_end(struct tg_buf *b, size_t start, size_t max_payload) TG_WARN_UNUSED;

/* Payload fields. */
void tg_put_u8(struct tg_buf *b, uint8_t v);
void tg_put_u32(struct tg_buf *b, uint32_t v);
void tg_put_u64(struct tg_buf *b, uint64_t v);
void tg_put_f32(struct tg_buf *b, float v);
void tg_put_str(struct tg_buf *b, struct tg_str s); /* u32 length and the bytes */

struct tg_cursor {
    const char *p, *end;
    bool bad; /* sticky: read past the end */
};
static inline struct tg_cursor tg_cursor_make(struct tg_str s)
{
    return (struct tg_cursor){s.p, s.p + s.n, false};
}
/* Zero values once the cursor is bad. Strings borrow from the payload. */
uint8_t tg_get_u8(struct tg_cursor *c);
uint32_t tg_get_u32(struct tg_cursor *c);
uint64_t tg_get_u64(struct tg_cursor *c);
float tg_get_f32(struct tg_cursor *c);
struct tg_str tg_get_str(struct tg_cursor *c);
/* Every byte was used and none was missing. */
static inline bool tg_cursor_done(const struct tg_cursor *c)
{
    return !c->bad && c->p == c->end;
}

#endif
