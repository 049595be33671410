/* The Bedrock adapter's own parts: the Converse API, and Claude's own bodies by InvokeModel.
 * Source: docs.aws.amazon.com/bedrock/latest/APIReference (Converse, ConverseStream, CountTokens,
 * InvokeModel, InvokeModelWithResponseStream). Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_BEDROCK_PRIV_H
#define TG_ADAPTER_BEDROCK_PRIV_H

#include "adapter/adapter.h"
#include "adapter/anthropic_priv.h"
#include "adapter/decode_priv.h"
#include "json/json.h"
#include "json/write.h"
#include "wire/aws_eventstream.h"

extern const uint8_t tg_bedrock_fidelity[];

/* `/model/{model}/{verb}` with the credential's header, or the wish to be signed. */
int tg_bedrock_request(struct tg_arena *a, const struct tg_adapter_target *target, const char *verb,
                       struct tg_adapter_request *out) TG_WARN_UNUSED;
int tg_bedrock_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                           const struct tg_adapter_target *target, struct tg_str *out,
                           uint64_t *io_dropped, uint64_t *io_emulated,
                           struct tg_fail *fail) TG_WARN_UNUSED;
/* Nobody but the system speaks: its words are written as the user's. */
bool tg_bedrock_system_only(const struct tg_chat_req *req);
int tg_bedrock_write_messages(struct tg_jw *w, const struct tg_chat_req *req,
                              struct tg_fail *fail) TG_WARN_UNUSED;
bool tg_bedrock_classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                         struct tg_fail *fail);
/* An exception inside a stream: its type and payload. */
void tg_bedrock_exception(struct tg_arena *a, struct tg_str type, struct tg_str payload,
                          struct tg_fail *fail);

struct tg_bedrock_dec {
    struct tg_decoder base;
    struct tg_parts parts;
    struct tg_aws_dec frames;
    bool stopped;  /* the stop reason was seen: finish, finish_word */
    bool skip;     /* what comes belongs to a tool of the provider's own */
    int64_t block; /* the provider's index of the open part; -1: none yet */
    enum tg_finish finish;
    char finish_word[48];
    bool has_usage;
    struct tg_usage usage;
};
int tg_bedrock_begin(void *state, const struct tg_adapter_response *resp);
int tg_bedrock_on_head(void *state, const struct tg_http_head *head);
int tg_bedrock_on_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_bedrock_on_end(void *state, bool clean, struct tg_sink *sink);
void tg_bedrock_fini(void *state);

#endif
