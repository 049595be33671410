/* What the decoders of several formats share: how an answer is taken in, how it ends, and which of
 * its parts is open. A format's decoder has a tg_decoder (and, where answers have one choice, a
 * tg_parts) among its members and adds its framing and its words; cohere_decode.c is the shortest.
 * Ownership: texts of events point into `body`, `scratch` or the caller's bytes, for one call.
 * Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_DECODE_PRIV_H
#define TG_ADAPTER_DECODE_PRIV_H

#include "adapter/adapter.h"
#include "json/json.h"
#include "wire/sse.h"

/* ---- the answer as a whole ---- */

struct tg_decoder {
    struct tg_adapter_response resp;
    struct tg_buf body;      /* of an answer that is no stream */
    struct tg_arena scratch; /* of one document */
    bool encoded;            /* Content-Encoding that nobody undid */
    bool started;            /* START was emitted */
    bool over;               /* a terminal event was emitted */
};

/* resp is copied; max_pending_bytes of 0 become 4 MiB. Allocates nothing. */
void tg_decoder_init(struct tg_decoder *d, const struct tg_adapter_response *resp);
/* The decoder is over and holds no memory. May be called again. */
void tg_decoder_fini(struct tg_decoder *d);
void tg_decoder_on_head(struct tg_decoder *d, const struct tg_http_head *head);

/* Bytes came. 1: they are a stream's, for the caller to decode. 0: they are kept in `body`, or
 * nobody wants them any more. Negative: ERROR was emitted. */
int tg_decoder_take(struct tg_decoder *d, struct tg_sink *sink, struct tg_str in) TG_WARN_UNUSED;
/* After each read: an idle stream holds no scratch memory. */
void tg_decoder_rest(struct tg_decoder *d);
/* Parses one document into `scratch`, which it empties first. Negative: ERROR was emitted. */
int tg_decoder_parse(struct tg_decoder *d, struct tg_sink *sink, struct tg_str text,
                     struct tg_json_doc **out) TG_WARN_UNUSED;
/* The same of `body`. */
int tg_decoder_parse_body(struct tg_decoder *d, struct tg_sink *sink,
                          struct tg_json_doc **out) TG_WARN_UNUSED;

/* All of on_bytes() where a stream is of server-sent events, each with one document: on_json for
 * every one of them, until one fails or the decoder is over. Negative: ERROR was emitted. */
int tg_decoder_events(struct tg_decoder *d, struct tg_sse_dec *sse, struct tg_sink *sink,
                      struct tg_str in,
                      int (*on_json)(struct tg_decoder *d, struct tg_json_doc *doc,
                                     struct tg_sink *sink)) TG_WARN_UNUSED;

/* START, unless it was emitted. */
void tg_decoder_start(struct tg_decoder *d, struct tg_sink *sink, struct tg_str id,
                      struct tg_str model);
/* Pass-through: one unit of the answer, as it came. */
void tg_decoder_raw(const struct tg_decoder *d, struct tg_sink *sink, struct tg_str bytes);
/* The terminal events. The last two return the failure's err. */
void tg_decoder_end(struct tg_decoder *d, struct tg_sink *sink);
int tg_decoder_fail(struct tg_decoder *d, struct tg_sink *sink, const struct tg_fail *fail);
/* `text` is what the client reads, but for TG_E_NOMEM, which has words of its own. */
int tg_decoder_broken(struct tg_decoder *d, struct tg_sink *sink, int err, const char *text);

/* ---- parts, one open at a time ---- */

struct tg_parts {
    bool open;
    enum tg_part_kind kind; /* of the newest */
    uint32_t part, n;       /* the newest; how many there were */
};

/* Closes the open part, if one is. */
void tg_parts_close(struct tg_parts *p, struct tg_sink *sink);
/* Closes what is open. id and name are a tool call's, "" otherwise. */
void tg_parts_open(struct tg_parts *p, struct tg_sink *sink, enum tg_part_kind kind,
                   struct tg_str id, struct tg_str name);
/* A piece of a part of that kind, which is opened if none is. An empty piece is none. */
void tg_parts_say(struct tg_parts *p, struct tg_sink *sink, enum tg_part_kind kind,
                  enum tg_delta_kind delta, struct tg_str text);
/* Opaque state of a reasoning part. */
void tg_parts_sign(struct tg_parts *p, struct tg_sink *sink, enum tg_opaque_kind opaque,
                   struct tg_str text);
/* A source of a text part. */
void tg_parts_cite(struct tg_parts *p, struct tg_sink *sink, const struct tg_citation *c);

/* ---- values ---- */

/* A count of tokens; 0 where none is given. */
int64_t tg_decode_count(const struct tg_json *obj, struct tg_str name);
/* `{"token":…,"logprob":…,"bytes":[…]`, the beginning of a token in OpenAI chat's logprobs. */
void tg_decode_token(struct tg_str token, struct tg_str logprob, struct tg_buf *out);

#endif
