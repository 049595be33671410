/* The Ollama adapter's own parts. Source: github.com/ollama/ollama docs/api.md. Thread rule: as
 * adapter.h. */
#ifndef TG_ADAPTER_OLLAMA_PRIV_H
#define TG_ADAPTER_OLLAMA_PRIV_H

#include "adapter/adapter.h"
#include "adapter/decode_priv.h"
#include "json/json.h"
#include "wire/ndjson.h"

extern const uint8_t tg_ollama_fidelity[];

/* Chat, generate (raw prompts) and embed, by the request. */
int tg_ollama_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          uint64_t *out_dropped, uint64_t *out_emulated,
                          struct tg_fail *fail) TG_WARN_UNUSED;

struct tg_ollama_dec {
    struct tg_decoder base;
    struct tg_parts parts;
    struct tg_ndjson_dec lines; /* a single answer is one long line to it, or several */
    size_t blank_bytes;         /* of lines without an object, in a row */
    bool done, calls, content_seen;
};
int tg_ollama_dec_begin(void *state, const struct tg_adapter_response *resp);
int tg_ollama_dec_head(void *state, const struct tg_http_head *head);
int tg_ollama_dec_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_ollama_dec_end(void *state, bool clean, struct tg_sink *sink);
void tg_ollama_dec_fini(void *state);

#endif
