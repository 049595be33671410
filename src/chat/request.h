/* The canonical chat request: what every client dialect parses to and every upstream adapter and
 * local backend encodes from. It loses nothing: what was not understood stays as raw JSON text in
 * `extra`, with the dialect it came from. No default is filled in that the client did not send.
 * Ownership: everything lives in the exchange's arena; the request is const once parsed. */
#ifndef TG_CHAT_REQUEST_H
#define TG_CHAT_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "chat/wire_format.h"

/* What is asked for. Only CHAT answers with text; the others' answers are TG_EV_ITEM events and
 * usage. */
enum tg_chat_task {
    TG_TASK_CHAT = 0,
    TG_TASK_COUNT,    /* how many tokens a chat request has: its usage's input */
    TG_TASK_EMBED,    /* `inputs` to vectors */
    TG_TASK_RERANK,   /* `inputs` by nearness to `prompt` */
    TG_TASK_MODERATE, /* `inputs` to verdicts */
    TG_TASK_MEDIA,    /* images, speech: passed through only */
    TG_TASK_TYPES,
};
const char *tg_task_name(enum tg_chat_task t); /* "chat", "count_tokens", … */

enum tg_role { TG_ROLE_SYSTEM, TG_ROLE_DEVELOPER, TG_ROLE_USER, TG_ROLE_ASSISTANT, TG_ROLE_TOOL };
const char *tg_role_name(enum tg_role r);
bool tg_role_parse(struct tg_str s, enum tg_role *out); /* "function" is not one of them */

/* Raw members that were not understood: `"key":value` texts joined by commas, as received. */
struct tg_extra {
    struct tg_str members;
};

enum tg_part_kind {
    TG_PART_TEXT,
    TG_PART_IMAGE,
    TG_PART_DOCUMENT,
    TG_PART_AUDIO,
    TG_PART_TOOL_CALL,
    TG_PART_TOOL_RESULT,
    TG_PART_REASONING,
    TG_PART_REFUSAL,
    TG_PART_RAW, /* a part of an unknown type, whole, in `raw` */
};

enum tg_media_source { TG_MEDIA_INLINE, TG_MEDIA_URL, TG_MEDIA_FILE_ID };

struct tg_media {
    enum tg_media_source source;
    struct tg_str mime;   /* "image/png"; "" if unknown */
    struct tg_str data;   /* base64 text, URL or file id, by source */
    struct tg_str detail; /* OpenAI image detail, audio format, document name */
};

/* Whose opaque state a `signature` is: it means nothing to any other provider, is never parsed and
 * never made up. */
enum tg_opaque_kind {
    TG_OPAQUE_NONE = 0,
    TG_OPAQUE_SIGNED,    /* Anthropic: signs the reasoning's text, which must stay as it is */
    TG_OPAQUE_REDACTED,  /* Anthropic: redacted_thinking, all there is of the block */
    TG_OPAQUE_ENCRYPTED, /* OpenAI Responses: encrypted_content of a reasoning item */
    TG_OPAQUE_THOUGHT,   /* Gemini: thoughtSignature of a text, a tool call or a thought */
};

struct tg_part {
    enum tg_part_kind kind;
    enum tg_opaque_kind opaque; /* of `signature` */
    struct tg_str text;         /* TEXT, REASONING, REFUSAL */
    struct tg_media media;      /* IMAGE, DOCUMENT, AUDIO */
    struct tg_str call_id;   /* TOOL_CALL, TOOL_RESULT; REASONING: the item's id, if it has one */
    struct tg_str tool_name; /* TOOL_CALL; TOOL_RESULT where the dialect names it; RAW: its type */
    struct tg_str arguments; /* TOOL_CALL: JSON text exactly as the model wrote it */
    struct tg_part *parts;   /* TOOL_RESULT */
    size_t n_parts;
    bool is_error;            /* TOOL_RESULT */
    struct tg_str signature;  /* REASONING, TEXT, TOOL_CALL: opaque, byte for byte; "" if none */
    struct tg_str cache_hint; /* raw JSON of a cache_control, "" if none */
    struct tg_str raw;        /* the part's own JSON text, where the dialect has one */
    struct tg_extra extra;    /* DOCUMENT: what no other format has; else the dialect's own */
};

struct tg_message {
    enum tg_role role;
    struct tg_str name;
    struct tg_part *parts;
    size_t n_parts;
    struct tg_extra extra;
};

struct tg_tool {
    bool is_function; /* else provider-typed: only `raw` and `type` say what it is */
    struct tg_str type;
    struct tg_str name, description;
    struct tg_str parameters; /* JSON schema text, "" if none */
    int strict;               /* -1 not given, 0, 1 */
    struct tg_str cache_hint; /* raw JSON of a cache_control, "" if none */
    struct tg_extra extra;    /* of a function; what `function` inside of it has too much is in an
                                 object of that name */
    struct tg_str raw;
};

enum tg_tool_choice_kind {
    TG_TOOL_CHOICE_UNSET,
    TG_TOOL_CHOICE_AUTO,
    TG_TOOL_CHOICE_NONE,
    TG_TOOL_CHOICE_REQUIRED,
    TG_TOOL_CHOICE_NAMED, /* name */
    TG_TOOL_CHOICE_RAW,   /* a form this model has no field for */
};
struct tg_tool_choice {
    enum tg_tool_choice_kind kind;
    struct tg_str name, raw;
    int parallel; /* parallel_tool_calls: -1 not given, 0, 1 */
};

/* Which of the numeric settings the client gave. */
enum tg_sampling_has {
    TG_HAS_TEMPERATURE = 1 << 0,
    TG_HAS_TOP_P = 1 << 1,
    TG_HAS_TOP_K = 1 << 2,
    TG_HAS_MIN_P = 1 << 3,
    TG_HAS_PRESENCE = 1 << 4,
    TG_HAS_FREQUENCY = 1 << 5,
    TG_HAS_REPEAT = 1 << 6,
    TG_HAS_MAX_TOKENS = 1 << 7,
    TG_HAS_SEED = 1 << 8,
    TG_HAS_N = 1 << 9,
    TG_HAS_LOGPROBS = 1 << 10,
    TG_HAS_TOP_LOGPROBS = 1 << 11,
};
#define TG_CHAT_MAX_STOPS 16
struct tg_sampling {
    uint32_t has; /* TG_HAS_* bits */
    double temperature, top_p, min_p, presence_penalty, frequency_penalty, repeat_penalty;
    int64_t top_k, max_tokens, seed, n;
    bool max_tokens_is_completion; /* given as max_completion_tokens */
    bool logprobs;
    int64_t top_logprobs;
    struct tg_str stops[TG_CHAT_MAX_STOPS];
    size_t n_stops;
    struct tg_str logit_bias; /* raw JSON, "" if none */
};

enum tg_format_kind { TG_FORMAT_UNSET, TG_FORMAT_TEXT, TG_FORMAT_JSON, TG_FORMAT_SCHEMA };
struct tg_output_format {
    enum tg_format_kind kind;
    struct tg_str name, schema; /* SCHEMA: JSON text */
    int strict;
    struct tg_str raw;
};

struct tg_reasoning_opts {
    struct tg_str effort;  /* "none", "minimal", "low", "medium", "high", … or "" */
    int64_t budget_tokens; /* -1 not given; 0: no reasoning wanted */
    bool adaptive;         /* the model decides how much (Anthropic adaptive, Gemini -1) */
    int show;              /* the client wants to read the reasoning: -1 not said, 0, 1 */
    struct tg_str summary; /* OpenAI: "auto", "concise", "detailed" or "" */
    struct tg_str raw;
};

/* EMBED, RERANK, MODERATE: what is to be worked on. */
struct tg_inputs {
    struct tg_str *texts; /* "" where the input is a list of tokens */
    struct tg_str *raw;   /* the input's own JSON text: a string, a list of tokens, parts */
    size_t n;
    int64_t dimensions;    /* EMBED: -1 not given */
    int64_t top_n;         /* RERANK: -1 not given */
    bool base64;           /* EMBED: the client wants packed little-endian floats in base64 */
    bool single;           /* one input that was not in a list */
    struct tg_str purpose; /* EMBED: the provider's input or task type, "" if none */
};

struct tg_chat_req {
    const char *dialect;      /* name of the dialect it came from */
    enum tg_wire_format wire; /* whose raw texts and extra members these are */
    enum tg_chat_task task;
    struct tg_str model; /* as the client wrote it */
    bool stream;
    bool include_usage;   /* the client asked for usage in the stream */
    bool is_completion;   /* a raw prompt, no chat template */
    struct tg_str prompt; /* with is_completion */
    struct tg_message *messages;
    size_t n_messages;
    struct tg_tool *tools;
    size_t n_tools;
    bool has_functions; /* tools were given in OpenAI's older form */
    bool own_tools; /* `own` holds the tools and their choice, `tools` only what may be called */
    struct tg_tool_choice tool_choice;
    struct tg_sampling sampling;
    struct tg_output_format format;
    struct tg_reasoning_opts reasoning;
    struct tg_inputs inputs;      /* tasks other than CHAT and COUNT */
    struct tg_str service_tier;   /* "" if none */
    struct tg_str user, metadata; /* metadata: raw JSON object, "" if none */
    struct tg_extra extra;        /* unknown top-level members */
    /* Top-level members whose meaning is told by the rest of the request, or kept by the gateway
     * itself: for their own format only, where they are written as they came. */
    struct tg_extra own;
    uint64_t emulated; /* TG_FEATURE_BIT()s that the dialect put in another form than its own */
};

/* The text of a message's text parts when they are all text (a single part is returned as it is,
 * several are joined in the arena); false when there are other parts. */
struct tg_arena;
bool tg_message_text(struct tg_arena *a, const struct tg_message *m, struct tg_str *out);

#endif
