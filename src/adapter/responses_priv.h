/* OpenAI's Responses as a provider's format: encoder and the reading of its documents. Bytes and
 * ends are openai_decode.c's. Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_RESPONSES_PRIV_H
#define TG_ADAPTER_RESPONSES_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "adapter/adapter.h"
#include "base/buf.h"
#include "json/json.h"
#include "json/write.h"

struct tg_openai_dec;

/* ---- encoding (responses_encode.c, responses_input.c) ---- */

extern const uint8_t tg_responses_fidelity[];

bool tg_responses_own_raw(const struct tg_chat_req *req);
/* Body of a CHAT or COUNT request. *out_emulated: bits that depend on values. */
int tg_responses_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                             const struct tg_adapter_target *target, struct tg_str *out,
                             struct tg_fail *fail) TG_WARN_UNUSED;
/* Writes `instructions`, where the request had them, and `input`. TG_E_UNSUPPORTED_PARAMETER with
 * the message's path. */
int tg_responses_encode_input(struct tg_jw *w, const struct tg_chat_req *req,
                              struct tg_fail *fail) TG_WARN_UNUSED;

/* ---- decoding (responses_decode.c: documents; responses_output.c: items) ---- */

enum tg_responses_item_kind {
    TG_RESPONSES_ITEM_MESSAGE,
    TG_RESPONSES_ITEM_REASONING,
    TG_RESPONSES_ITEM_FUNCTION,
    TG_RESPONSES_ITEM_CUSTOM,
    TG_RESPONSES_ITEM_OTHER, /* comes whole, when it is done */
};

/* One output item and how much of it was told. */
struct tg_responses_in {
    int64_t index; /* output_index */
    enum tg_responses_item_kind kind;
    bool done;
    bool begun;        /* its newest part was started */
    bool refusal;      /* message: that part is a refusal */
    bool of_content;   /* reasoning: told from `content`, not from `summary` */
    uint32_t part;     /* the newest */
    int64_t n_inner;   /* contents or summaries begun */
    size_t told_bytes; /* of the newest part */
    size_t citations;  /* of the newest part */
};

struct tg_responses_dec {
    struct tg_responses_in *items;
    uint32_t n_items, cap_items;
    uint32_t n_parts;
    uint32_t open_part; /* the one that is no call and not ended */
    bool open;
    bool has_calls;
    bool whole; /* the answer's own end was seen */
};

/* One document of a stream or a whole answer. 0; negative: broken, and ERROR was emitted. */
int tg_responses_on_json(struct tg_openai_dec *d, struct tg_json_doc *doc,
                         struct tg_sink *sink) TG_WARN_UNUSED;
void tg_responses_free(struct tg_responses_dec *d);
/* A whole answer as the text of a stream, for a client that asked for one. */
int tg_responses_body_to_stream(struct tg_json_doc *doc, struct tg_buf *out) TG_WARN_UNUSED;

/* What the functions on items share. */
struct tg_responses_ctx {
    struct tg_responses_dec *d;
    struct tg_json_doc *doc;
    struct tg_sink *sink;
    int err; /* first failure */
};
/* The item of that index; made, of that kind, when it is new. NULL: see err. */
struct tg_responses_in *tg_responses_item(struct tg_responses_ctx *c, int64_t index,
                                          enum tg_responses_item_kind kind);
struct tg_responses_in *tg_responses_known(struct tg_responses_dec *d, int64_t index);
/* output_item.added and output_item.done (or an item of a whole answer). */
void tg_responses_item_added(struct tg_responses_ctx *c, int64_t index, const struct tg_json *item);
void tg_responses_item_done(struct tg_responses_ctx *c, int64_t index, const struct tg_json *item);
/* Pieces and wholes of texts. `rest`: text is all of it, of which only what was not told counts. */
void tg_responses_text(struct tg_responses_ctx *c, struct tg_responses_in *it, int64_t inner,
                       enum tg_delta_kind kind, struct tg_str text, const struct tg_json *logprobs,
                       bool rest);
void tg_responses_reasoning(struct tg_responses_ctx *c, struct tg_responses_in *it, int64_t inner,
                            bool of_content, struct tg_str item_id, struct tg_str text, bool rest);
void tg_responses_arguments(struct tg_responses_ctx *c, struct tg_responses_in *it,
                            struct tg_str text, bool rest);
void tg_responses_annotation(struct tg_responses_ctx *c, struct tg_responses_in *it,
                             const struct tg_json *v);
void tg_responses_close_part(struct tg_responses_ctx *c);

#endif
