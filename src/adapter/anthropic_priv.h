/* The Anthropic adapter's own parts. Claude at other providers speaks the same bodies and streams
 * behind other paths: their adapters use what is here, with options. Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_ANTHROPIC_PRIV_H
#define TG_ADAPTER_ANTHROPIC_PRIV_H

#include "adapter/adapter.h"
#include "chat/fidelity.h"
#include "json/json.h"
#include "json/write.h"
#include "wire/sse.h"

/* ---- encoding (anthropic_encode.c, anthropic_messages.c, anthropic_think.c) ---- */

extern const uint8_t tg_anthropic_fidelity[]; /* TG_FEATURE_COUNT fates */

/* Where a provider's bodies differ. Anthropic itself: {.model = true, .stream = true}. */
struct tg_anthropic_opts {
    bool model;            /* "model" is a member of the body (else it is in the path) */
    bool stream;           /* so is "stream" */
    struct tg_str version; /* "anthropic_version", as Vertex and Bedrock want it; "": none */
    bool no_schema;        /* has no output_config.format: schemas are always emulated */
};

/* What the model's name tells about it. Source: docs.anthropic.com/en/docs/about-claude/models. */
enum tg_anthropic_thinking {
    TG_ANTHROPIC_NO_THINKING, /* Claude 3.5 and older */
    TG_ANTHROPIC_BUDGET,      /* 3.7 to 4.5: {"type":"enabled","budget_tokens"} */
    TG_ANTHROPIC_ADAPTIVE,    /* 4.6 and newer: {"type":"adaptive"} and output_config.effort */
};
struct tg_anthropic_model {
    enum tg_anthropic_thinking thinking;
    bool schema; /* output_config.format and strict tools: Sonnet 4.5, Opus 4.1 and newer */
};
struct tg_anthropic_model tg_anthropic_model_of(struct tg_str name);

/* What a request's options become, worked out before anything is written. */
enum tg_anthropic_thinking_type {
    TG_ANTHROPIC_THINK_UNSET,
    TG_ANTHROPIC_THINK_OFF,
    TG_ANTHROPIC_THINK_BUDGET,
    TG_ANTHROPIC_THINK_ADAPTIVE,
};
struct tg_anthropic_plan {
    bool own; /* raw texts in the request are of this format */
    struct tg_anthropic_model model;
    enum tg_anthropic_thinking_type thinking;
    int64_t budget_tokens, max_tokens;
    struct tg_str effort;  /* output_config.effort, "" if none */
    struct tg_str display; /* of the thinking, "" if not said */
    bool schema;           /* output_config.format */
    bool json_tool;        /* the answer's JSON is a tool's input */
    bool forces_tool;      /* tool_choice any or tool */
    uint64_t dropped, emulated;
};
void tg_anthropic_plan_make(const struct tg_chat_req *req, const struct tg_adapter_target *target,
                            const struct tg_anthropic_opts *opts, struct tg_anthropic_plan *out);

/* The name of the tool whose input stands for a JSON answer. */
extern const struct tg_str tg_anthropic_json_tool;
/* True when the answer's calls of that tool are its text. By the request alone, so that encoder and
 * decoder agree without telling each other: the client offered no such tool. */
bool tg_anthropic_may_emulate(const struct tg_chat_req *req);

/* The body of a CHAT or COUNT request in the arena; the bits are added. TG_E_UNSUPPORTED_PARAMETER
 * with the field, TG_E_NOMEM. */
int tg_anthropic_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                             const struct tg_adapter_target *target,
                             const struct tg_anthropic_opts *opts, struct tg_str *out_body,
                             uint64_t *io_dropped, uint64_t *io_emulated,
                             struct tg_fail *fail) TG_WARN_UNUSED;
/* Writes the members `system` and `messages`. */
int tg_anthropic_write_messages(struct tg_jw *w, const struct tg_chat_req *req,
                                struct tg_anthropic_plan *plan,
                                struct tg_fail *fail) TG_WARN_UNUSED;
/* A tool call's arguments as an object. */
void tg_anthropic_write_input(struct tg_jw *w, struct tg_str arguments);

/* ---- errors (anthropic_error.c) ---- */

/* tg_adapter.classify. */
bool tg_anthropic_classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                           struct tg_fail *fail);
/* True when root is {"type":"error","error":{…}}; fails with it. status 0: told by the type. */
bool tg_anthropic_read_error(const struct tg_json *root, int status, struct tg_fail *fail);

/* ---- decoding (anthropic_decode.c: bytes and ends; anthropic_event.c: JSON → events) ---- */

enum tg_anthropic_mode {
    TG_ANTHROPIC_SNIFF, /* nothing but blanks so far */
    TG_ANTHROPIC_SSE,
    TG_ANTHROPIC_LAST_LF, /* message_stop was passed on but for the LF of its last CRLF */
    TG_ANTHROPIC_BODY,    /* one JSON document */
    TG_ANTHROPIC_OVER,    /* a terminal event was emitted */
};

/* Counts as the provider gives them: cumulative, of the whole message. */
struct tg_anthropic_counts {
    bool seen;
    int64_t input, cache_read, cache_write, cache_write_1h, output, thinking;
    int64_t more_input, more_cache_read, more_cache_write, more_output; /* of compactions */
};

/* The block that is open. */
struct tg_anthropic_open {
    bool open;
    int64_t index;
    enum tg_part_kind kind;
    uint32_t part;
    bool json_tool;    /* a call that stands for the answer's text */
    bool said;         /* a delta with something in it went out */
    struct tg_buf raw; /* RAW: the block's JSON; TOOL_CALL: the input it began with */
    struct tg_buf input;
};

struct tg_anthropic_dec {
    struct tg_adapter_response resp;
    enum tg_anthropic_mode mode;
    struct tg_sse_dec sse;
    struct tg_buf body;      /* BODY: all of it; SNIFF: leading blanks */
    struct tg_arena scratch; /* of one event */
    bool encoded;            /* Content-Encoding that nobody undid */
    bool started, finished;  /* START, FINISH were emitted */
    bool content_seen;       /* tap: the first DELTA was emitted */
    bool stopped;            /* message_stop was seen */
    bool has_call;           /* a call that is the client's */
    uint32_t n_parts;
    struct tg_anthropic_open block;
    struct tg_anthropic_counts counts;
};

/* tg_adapter's functions of the same names; state is a struct tg_anthropic_dec. */
int tg_anthropic_begin(void *state, const struct tg_adapter_response *resp);
int tg_anthropic_on_head(void *state, const struct tg_http_head *head);
int tg_anthropic_on_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_anthropic_on_end(void *state, bool clean, struct tg_sink *sink);
void tg_anthropic_fini(void *state);
/* The same as members of a struct tg_adapter. */
#define TG_ANTHROPIC_DECODER                                                     \
    .state_bytes = sizeof(struct tg_anthropic_dec), .begin = tg_anthropic_begin, \
    .on_head = tg_anthropic_on_head, .on_bytes = tg_anthropic_on_bytes,          \
    .on_end = tg_anthropic_on_end, .fini = tg_anthropic_fini

/* One document of the answer: a stream's event (told by its "type") or a whole message. 0, or
 * negative: broken, and ERROR was emitted. Emits no other terminal event: after it d->stopped says
 * that the message is complete. For streams whose events come in other frames. */
int tg_anthropic_on_json(struct tg_anthropic_dec *d, struct tg_json_doc *doc,
                         struct tg_sink *sink) TG_WARN_UNUSED;
/* The same from the document's text. */
int tg_anthropic_on_text(struct tg_anthropic_dec *d, struct tg_str json,
                         struct tg_sink *sink) TG_WARN_UNUSED;
/* Gives a complete message without a FINISH one, and END. */
int tg_anthropic_emit_end(struct tg_anthropic_dec *d, struct tg_sink *sink);
/* The ERROR event; the stream is over. Returns fail->err. */
int tg_anthropic_emit_error(struct tg_anthropic_dec *d, struct tg_sink *sink,
                            const struct tg_fail *fail);
int tg_anthropic_broken(struct tg_anthropic_dec *d, struct tg_sink *sink, int err,
                        const char *text);

/* A whole message as the text of a stream (anthropic_convert.c). */
int tg_anthropic_body_to_stream(struct tg_json_doc *doc, struct tg_buf *out) TG_WARN_UNUSED;

#endif
