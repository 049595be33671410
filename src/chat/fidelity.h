/* The fidelity contract: what a request may ask for, and what becomes of it at each provider. One
 * list of features, one row per adapter; from it come the header x-tollgate-fidelity, strict mode
 * and the table in the docs.
 *
 * NATIVE: the provider has it. EMULATED: the same effect by other means, or nearly (a clamped
 * value). DROPPED: left out, and said so. REFUSED: the request fails, naming the field.
 * Thread rule: pure functions, const data. */
#ifndef TG_CHAT_FIDELITY_H
#define TG_CHAT_FIDELITY_H

#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "chat/request.h"

enum tg_fidelity {
    TG_FIDELITY_UNSET = 0, /* a table without this row: a mistake, found by a test */
    TG_NATIVE,
    TG_EMULATED,
    TG_DROPPED,
    TG_REFUSED,
};
const char *tg_fidelity_name(enum tg_fidelity f); /* "native", … */

/* X(ID, "name": the field as OpenAI's chat API calls it where it has it, "what it is"). Clients
 * read their own format's names (struct tg_client_fields). */
#define TG_FEATURES(X)                                                                \
    X(SYSTEM, "system", "system messages")                                            \
    X(DEVELOPER, "developer", "developer messages")                                   \
    X(NAME, "name", "names of messages' authors")                                     \
    X(TEMPERATURE, "temperature", "")                                                 \
    X(TOP_P, "top_p", "")                                                             \
    X(TOP_K, "top_k", "")                                                             \
    X(MIN_P, "min_p", "")                                                             \
    X(PRESENCE, "presence_penalty", "")                                               \
    X(FREQUENCY, "frequency_penalty", "")                                             \
    X(REPETITION, "repetition_penalty", "")                                           \
    X(MAX_TOKENS, "max_tokens", "")                                                   \
    X(SEED, "seed", "")                                                               \
    X(N, "n", "several choices")                                                      \
    X(LOGPROBS, "logprobs", "")                                                       \
    X(TOP_LOGPROBS, "top_logprobs", "")                                               \
    X(STOP, "stop", "stop sequences")                                                 \
    X(LOGIT_BIAS, "logit_bias", "")                                                   \
    X(TOOLS, "tools", "functions")                                                    \
    X(TOOL_TYPES, "tools[].type", "tools that the provider itself runs")              \
    X(TOOL_STRICT, "tools[].strict", "arguments held to their schema")                \
    X(TOOL_CHOICE, "tool_choice", "auto and none")                                    \
    X(TOOL_REQUIRED, "tool_choice:required", "some tool must be called")              \
    X(TOOL_NAMED, "tool_choice:named", "one named tool must be called")               \
    X(TOOL_CHOICE_RAW, "tool_choice:other", "other forms, as lists of allowed tools") \
    X(PARALLEL, "parallel_tool_calls", "")                                            \
    X(RESULT_ERROR, "tool_result.is_error", "a tool's result that is an error")       \
    X(RESULT_MEDIA, "tool_result.media", "images and documents in tools' results")    \
    X(JSON_OBJECT, "response_format:json_object", "any JSON object")                  \
    X(JSON_SCHEMA, "response_format:json_schema", "JSON of a schema")                 \
    X(EFFORT, "reasoning_effort", "")                                                 \
    X(BUDGET, "reasoning.budget_tokens", "tokens to think")                           \
    X(SHOW, "reasoning.summary", "show or hide the reasoning")                        \
    X(REASONING, "reasoning_content", "unsigned reasoning of earlier turns")          \
    X(SIGNED, "reasoning.signature", "Anthropic's signed and redacted thinking")      \
    X(ENCRYPTED, "reasoning.encrypted_content", "OpenAI's encrypted reasoning")       \
    X(THOUGHT, "thought_signature", "Gemini's thought signatures")                    \
    X(IMAGE, "image:inline", "")                                                      \
    X(IMAGE_URL, "image:url", "")                                                     \
    X(IMAGE_FILE, "image:file", "images by the provider's file id")                   \
    X(IMAGE_DETAIL, "image.detail", "")                                               \
    X(DOCUMENT, "document:inline", "")                                                \
    X(DOCUMENT_URL, "document:url", "")                                               \
    X(DOCUMENT_FILE, "document:file", "documents by the provider's file id")          \
    X(AUDIO, "audio", "audio in the prompt")                                          \
    X(RAW_PART, "content[].type", "content of unknown types")                         \
    X(REFUSAL, "refusal", "refusals of earlier turns")                                \
    X(CACHE_HINT, "cache_control", "")                                                \
    X(SERVICE_TIER, "service_tier", "")                                               \
    X(USER, "user", "")                                                               \
    X(METADATA, "metadata", "")                                                       \
    X(PROMPT, "prompt", "raw completion of a text")                                   \
    X(COUNTING, "count_tokens", "counting without generating")                        \
    X(EXTRA, "extra", "members that the gateway does not know")                       \
    X(DIMENSIONS, "dimensions", "embeddings' length")                                 \
    X(BASE64, "encoding_format:base64", "packed embeddings")                          \
    X(INPUT_TOKENS, "input:tokens", "embeddings of token lists")                      \
    X(INPUT_TYPE, "input_type", "what embeddings are for")

enum tg_feature {
#define X(id, name, what) TG_FEATURE_##id,
    TG_FEATURES(X)
#undef X
        TG_FEATURE_COUNT
};
_Static_assert(TG_FEATURE_COUNT <= 64, "features are kept as bits");
#define TG_FEATURE_BIT(id) (1ull << TG_FEATURE_##id)

const char *tg_feature_name(enum tg_feature f); /* "top_k" */
const char *tg_feature_what(enum tg_feature f); /* for people; "" where the name says it */

/* The features that a request uses, as bits. */
uint64_t tg_features_of(const struct tg_chat_req *req);
/* Of these, what may be left out without a change: calls side by side are what providers make by
 * themselves, and where there are no tools there are none. */
uint64_t tg_features_idle(const struct tg_chat_req *req);
/* Of `used`, those that the row (TG_FEATURE_COUNT values) gives that fate. */
uint64_t tg_features_with(uint64_t used, const uint8_t *row, enum tg_fidelity f);

/* How a client's format calls the features. Each of `names` (TG_FEATURE_COUNT of them) is the field
 * as a client of that format writes it; where it has several, they are separated by spaces, and the
 * one that stands in the body is meant; NULL: the format can't say it. */
struct tg_client_fields {
    const char *const *names; /* NULL: the gateway's own names */
    struct tg_str body;       /* what the client sent, to choose by */
};
/* "generationConfig.topK"; the gateway's own name where the format has none. Constant text. */
struct tg_str tg_client_field(const struct tg_client_fields *c, enum tg_feature f);

/* What a request loses on its way to a provider. */
struct tg_losses {
    uint64_t dropped, emulated; /* TG_FEATURE_BIT()s */
    struct tg_str left_out;     /* what was left out beside features, as it is said: "web_search" */
};
static inline bool tg_losses_any(const struct tg_losses *l)
{
    return l->dropped || l->emulated || l->left_out.n;
}

/* The header's value, appended: "dropped=top_k,seed; emulated=response_format:json_schema"; nothing
 * when nothing is lost. Unknown members are named themselves, at most 16 of them. */
void tg_fidelity_write(const struct tg_losses *l, const struct tg_client_fields *c,
                       const struct tg_chat_req *req, struct tg_buf *out);

/* Strict mode: 0 when nothing is lost, else UNSUPPORTED_PARAMETER naming the first of it. */
struct tg_fail;
int tg_fidelity_strict(const struct tg_losses *l, const struct tg_client_fields *c,
                       const struct tg_chat_req *req, struct tg_fail *f) TG_WARN_UNUSED;

#endif
