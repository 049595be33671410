/* The Hugging Face servers' own API: text-generation-inference's /generate and /generate_stream,
 * text-embeddings-inference's /embed and /rerank. For servers without OpenAI's routes; with them
 * it is tg_adapter_openai's work.
 * Sources: docs/openapi.json of huggingface/text-generation-inference (GenerateParameters,
 * StreamResponse, ErrorResponse) and of huggingface/text-embeddings-inference (EmbedRequest,
 * RerankRequest; `dimensions`: its pull request 676); router/src/server.rs of both
 * (x-prompt-tokens, x-generated-tokens, x-compute-tokens) and router/src/infer/mod.rs (error_type);
 * stop sequences stay at the end of what was generated: text-generation-inference issue 1039;
 * estimated_time of a model that is loading: transformers issue 23793. Thread rule: as adapter.h.
 */
#ifndef TG_ADAPTER_HUGGINGFACE_PRIV_H
#define TG_ADAPTER_HUGGINGFACE_PRIV_H

#include "adapter/adapter.h"
#include "adapter/decode_priv.h"
#include "chat/textout.h"
#include "json/json.h"
#include "wire/sse.h"

extern const uint8_t tg_huggingface_fidelity[];

/* What ends an answer to a conversation, which is written as a plain text: the model would go on
 * with the user's part. */
#define TG_HUGGINGFACE_TURN "\nUser:"

/* CHAT (raw prompts and conversations), EMBED, RERANK. */
int tg_huggingface_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                               struct tg_adapter_request *out, struct tg_fail *fail) TG_WARN_UNUSED;

struct tg_huggingface_dec {
    struct tg_decoder base;
    struct tg_parts parts;
    struct tg_sse_dec sse;
    struct tg_textout text; /* cuts at stop sequences */
    struct tg_str stops[TG_CHAT_MAX_STOPS + 1];
    struct tg_buf stop_texts; /* the request's may be gone when the answer comes */
    size_t n_stops;
    bool turn;     /* the last of the stops is TG_HUGGINGFACE_TURN */
    bool at_start; /* of an answer to a conversation: blanks before it are none of it */
    int64_t prompt_tokens, generated_tokens; /* of the head; -1: not said */
    int64_t top_n;                           /* RERANK: -1 all */
};
int tg_huggingface_begin(void *state, const struct tg_adapter_response *resp);
int tg_huggingface_on_head(void *state, const struct tg_http_head *head);
int tg_huggingface_on_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_huggingface_on_end(void *state, bool clean, struct tg_sink *sink);
void tg_huggingface_fini(void *state);

/* What an error object means, of an answer or in a stream. */
void tg_huggingface_set_fail(const struct tg_json *root, int status, struct tg_fail *fail);

#endif
