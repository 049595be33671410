/* Binary event streams of AWS (application/vnd.amazon.eventstream): the decoder for Bedrock's
 * answers, and an encoder for tests. The same frames for every way of cutting the bytes, both
 * checksums verified. Sans I/O.
 * Source: docs.aws.amazon.com "Amazon Transcribe, event stream encoding" and the Smithy
 * specification of the eventstream encoding; all numbers are big-endian, CRC-32 as in zlib.
 * Thread rule: one thread at a time. */
#ifndef TG_WIRE_AWS_EVENTSTREAM_H
#define TG_WIRE_AWS_EVENTSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* total length, length of the headers, checksum of these two; checksum of all at the end */
#define TG_AWS_FRAME_MIN_BYTES 16

enum tg_aws_type {
    TG_AWS_TRUE = 0,
    TG_AWS_FALSE = 1,
    TG_AWS_BYTE = 2,
    TG_AWS_SHORT = 3,
    TG_AWS_INT = 4,
    TG_AWS_LONG = 5,
    TG_AWS_BYTES = 6,
    TG_AWS_STRING = 7,
    TG_AWS_TIMESTAMP = 8, /* milliseconds since 1970 */
    TG_AWS_UUID = 9,
};

struct tg_aws_header {
    struct tg_str name;
    enum tg_aws_type type;
    int64_t number;       /* of the four integers and TIMESTAMP; TRUE: 1, FALSE: 0 */
    struct tg_str string; /* of STRING and BYTES, the 16 bytes of UUID */
};

/* Views are valid until the next call on the decoder or until the input changes. */
struct tg_aws_frame {
    struct tg_str headers; /* well-formed: for tg_aws_header_next() */
    struct tg_str payload;
    struct tg_str raw; /* the frame's every byte; all raws together are the input */
};

struct tg_aws_dec {
    struct tg_buf pending; /* a frame not yet complete */
    size_t max_frame_bytes;
    int err;    /* a failure is final */
    bool given; /* pending was given as a frame and is dropped by the next call */
};
void tg_aws_dec_init(struct tg_aws_dec *d, size_t max_frame_bytes);
void tg_aws_dec_fini(struct tg_aws_dec *d);
/* Takes the next frame out of the bytes so far: 1 a frame; 0 all input consumed, more needed;
 * TG_E_UPSTREAM_INVALID (checksum, length, header), TG_E_UPSTREAM_TOO_LARGE, TG_E_NOMEM. A frame
 * that lies whole in *in is given as views into it. */
int tg_aws_next(struct tg_aws_dec *d, struct tg_str *in, struct tg_aws_frame *out) TG_WARN_UNUSED;
/* Bytes of an unfinished frame: a stream that ends with any was cut off. Valid after tg_aws_next()
 * has returned 0. */
size_t tg_aws_pending(const struct tg_aws_dec *d);

/* Iterates: `rest` starts as frame.headers. False at the end. */
bool tg_aws_header_next(struct tg_str *rest, struct tg_aws_header *out);
/* The string header of that name (":event-type"), {NULL,0}: there is none. */
struct tg_str tg_aws_frame_get(const struct tg_aws_frame *f, struct tg_str name);

/* Appends a frame. TG_E_INVALID_ARG: a name of 0 or more than 255 bytes, a string of more than
 * 65,535, a UUID that is not 16, a frame beyond 32 bits; tg_buf_add()'s errors. */
int tg_aws_write(struct tg_buf *b, const struct tg_aws_header *headers, size_t n_headers,
                 struct tg_str payload) TG_WARN_UNUSED;

#endif
