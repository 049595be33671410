/* The Cohere adapter's own parts: its v2 API. Source: docs.cohere.com/reference (chat, chat-stream,
 * embed, rerank, errors). Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_COHERE_PRIV_H
#define TG_ADAPTER_COHERE_PRIV_H

#include "adapter/adapter.h"
#include "adapter/decode_priv.h"
#include "json/json.h"
#include "wire/sse.h"

extern const uint8_t tg_cohere_fidelity[];

/* CHAT, EMBED and RERANK, by the request. */
int tg_cohere_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          uint64_t *io_dropped, struct tg_fail *fail) TG_WARN_UNUSED;

struct tg_cohere_dec {
    struct tg_decoder base;
    struct tg_parts parts;
    struct tg_sse_dec sse;
};
int tg_cohere_begin(void *state, const struct tg_adapter_response *resp);
int tg_cohere_on_head(void *state, const struct tg_http_head *head);
int tg_cohere_on_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_cohere_on_end(void *state, bool clean, struct tg_sink *sink);
void tg_cohere_fini(void *state);

#endif
