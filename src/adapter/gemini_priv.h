/* The Gemini adapter's own parts; Vertex uses them behind other paths. Sources: Google's API
 * description (ai.google.dev/api/generate-content, /caching, /tokens, /embeddings; for Vertex
 * docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest) and recorded traffic. Thread
 * rule: as adapter.h. */
#ifndef TG_ADAPTER_GEMINI_PRIV_H
#define TG_ADAPTER_GEMINI_PRIV_H

#include "adapter/adapter.h"
#include "chat/fidelity.h"
#include "json/proto.h"
#include "json/write.h"
#include "wire/sse.h"

/* ---- encoding (gemini_encode.c, gemini_contents.c, gemini_config.c, gemini_schema.c) ---- */

extern const uint8_t tg_gemini_fidelity[]; /* TG_FEATURE_COUNT fates */

/* What the model's name tells about it. */
enum tg_gemini_thinking {
    TG_GEMINI_NO_THINKING, /* 2.0 and older, Gemma */
    TG_GEMINI_BUDGET,      /* 2.5: thinkingBudget */
    TG_GEMINI_LEVEL,       /* 3 and newer: thinkingLevel; calls need their signatures */
};
struct tg_gemini_model {
    enum tg_gemini_thinking thinking;
    bool pro, lite;
    bool three_pro; /* gemini-3-pro itself: levels low and high only */
};
struct tg_gemini_model tg_gemini_model_of(struct tg_str name);

struct tg_gemini_enc {
    struct tg_arena *a;
    struct tg_jw w;
    const struct tg_chat_req *req;
    struct tg_gemini_model model;
    bool own; /* raw texts of the request are of this format */
    uint64_t dropped, emulated;
    bool out_of_memory; /* for what is written can't say so itself */
    struct tg_fail *fail;
};

/* The body of a CHAT or COUNT request, or of an EMBED one, in the arena; the bits are added.
 * vertex: in the form that Vertex takes. TG_E_UNSUPPORTED_PARAMETER with the field, TG_E_NOMEM. */
int tg_gemini_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, bool vertex,
                          struct tg_adapter_request *io, struct tg_fail *fail) TG_WARN_UNUSED;
/* Members `systemInstruction` and `contents`. */
int tg_gemini_write_contents(struct tg_gemini_enc *e) TG_WARN_UNUSED;
/* Members `tools`, `toolConfig`, `generationConfig`, and what is left over of the same format. */
int tg_gemini_write_options(struct tg_gemini_enc *e) TG_WARN_UNUSED;
/* A JSON schema as a value, without what Google refuses; true: a constraint was left out. */
bool tg_gemini_write_schema(struct tg_gemini_enc *e, struct tg_str schema);
/* For requests that pass: "…/models/<model>:<verb>" with the model made fit for a path. */
struct tg_str tg_gemini_path(struct tg_arena *a, const struct tg_adapter_target *target,
                             const char *verb);
struct tg_str tg_gemini_escape(struct tg_arena *a, struct tg_str s); /* one segment of a path */
int tg_gemini_make_request(struct tg_arena *a, struct tg_str path, bool stream,
                           struct tg_adapter_request *out) TG_WARN_UNUSED;

/* ---- errors (gemini_error.c) ---- */

/* tg_adapter.classify. */
bool tg_gemini_classify(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                        struct tg_fail *fail);
/* True when root is {"error":{…}} or an array of one; fails with it. status 0: told by the error.
 */
bool tg_gemini_read_error(const struct tg_json *root, int status, struct tg_fail *fail);

/* ---- decoding (gemini_decode.c: bytes and ends; gemini_chunk.c: a response; gemini_candidate.c:
 * one of its candidates) ---- */

enum tg_gemini_mode {
    TG_GEMINI_SNIFF, /* nothing but blanks so far */
    TG_GEMINI_SSE,
    TG_GEMINI_ARRAY, /* a stream as one array of responses */
    TG_GEMINI_BODY,  /* one JSON document */
    TG_GEMINI_OVER,  /* a terminal event was emitted */
};

#define TG_GEMINI_MAX_WORD 48

/* A value of a streamed call's arguments (Vertex, streamFunctionCallArguments). */
struct tg_gemini_arg {
    struct tg_buf path; /* "$.a[0].b" */
    struct tg_buf text; /* a string's characters, or JSON text */
    bool is_string;
};
struct tg_gemini_args {
    struct tg_gemini_arg *list;
    uint32_t n, cap;
    size_t bytes;
};

struct tg_gemini_cand {
    uint32_t index;
    bool finished, has_calls;
    char word[TG_GEMINI_MAX_WORD]; /* finishReason */
    bool open;                     /* a part is open */
    enum tg_part_kind open_kind;   /* TEXT, REASONING, or TOOL_CALL: its arguments stream */
    uint32_t open_part, n_parts, n_calls;
    size_t text_bytes; /* of the open part */
    bool not_ascii;    /* so bytes are not characters in it */
    bool is_signed;    /* its signature came: it is complete */
    struct tg_gemini_args args;
};

struct tg_gemini_dec {
    struct tg_adapter_response resp;
    enum tg_gemini_mode mode;
    struct tg_sse_dec sse;
    struct tg_buf body;      /* BODY: all of it; SNIFF: blanks; ARRAY: the element so far */
    struct tg_arena scratch; /* of one event */
    /* ARRAY: where the scanner is. */
    unsigned depth;
    size_t element_at;
    bool in_string, escaped, closed;
    bool encoded;      /* Content-Encoding that nobody undid */
    bool started;      /* START was emitted */
    bool content_seen; /* tap: the first DELTA was emitted */
    bool blocked;      /* promptFeedback.blockReason */
    bool whole;        /* BODY */
    bool known;        /* a response, whatever it holds */
    bool raw_begun;    /* tap: a unit in another framing than the provider's was given */
    uint64_t seed;     /* of ids that the provider did not give */
    struct tg_gemini_cand *cands;
    uint32_t n_cands, cap_cands, n_finished;
};

int tg_gemini_dec_begin(void *state, const struct tg_adapter_response *resp);
int tg_gemini_dec_on_head(void *state, const struct tg_http_head *head);
int tg_gemini_dec_on_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_gemini_dec_on_end(void *state, bool clean, struct tg_sink *sink);
void tg_gemini_dec_fini(void *state);
/* The same as members of a struct tg_adapter. */
#define TG_GEMINI_DECODER                                                      \
    .state_bytes = sizeof(struct tg_gemini_dec), .begin = tg_gemini_dec_begin, \
    .on_head = tg_gemini_dec_on_head, .on_bytes = tg_gemini_dec_on_bytes,      \
    .on_end = tg_gemini_dec_on_end, .fini = tg_gemini_dec_fini

/* One response of a stream, or the whole answer. 0; negative: broken, ERROR was emitted. */
int tg_gemini_on_json(struct tg_gemini_dec *d, struct tg_json_doc *doc,
                      struct tg_sink *sink) TG_WARN_UNUSED;
int tg_gemini_emit_error(struct tg_gemini_dec *d, struct tg_sink *sink, const struct tg_fail *fail);
int tg_gemini_broken(struct tg_gemini_dec *d, struct tg_sink *sink, int err, const char *text);

/* One response while it is read. */
struct tg_gemini_chunk {
    struct tg_gemini_dec *d;
    struct tg_json_doc *doc;
    struct tg_sink *sink;
    struct tg_gemini_cand *c;
    struct tg_str id;       /* responseId */
    struct tg_str logprobs; /* of this candidate in this document; "" once it went with a delta */
    int err;                /* first failure */
};
/* `position` is its index where it gives none. Failures go to c->err. */
void tg_gemini_on_candidate(struct tg_gemini_chunk *c, const struct tg_json *v, size_t position);
/* The candidate of that index, made where there was none; NULL: c->err says why. */
struct tg_gemini_cand *tg_gemini_find_cand(struct tg_gemini_chunk *c, uint32_t index);
void tg_gemini_note_finish(struct tg_gemini_chunk *c, struct tg_str word);
/* A member that has no other place, as EXTRA of c->c. */
void tg_gemini_emit_extra(struct tg_gemini_chunk *c, const struct tg_json_iter *it);
/* Closes what is open and emits the FINISHes. For the end of a good answer. */
int tg_gemini_dec_finish(struct tg_gemini_dec *d, struct tg_sink *sink) TG_WARN_UNUSED;
/* Whether a good answer may end here. */
bool tg_gemini_is_complete(const struct tg_gemini_dec *d);

/* ---- arguments in pieces (gemini_args.c) ---- */

/* One entry of partialArgs. TG_E_UPSTREAM_INVALID, TG_E_UPSTREAM_TOO_LARGE, TG_E_NOMEM. */
int tg_gemini_args_add(struct tg_gemini_args *args, struct tg_json_doc *doc,
                       const struct tg_json *v) TG_WARN_UNUSED;
/* The object that they make; TG_E_UPSTREAM_INVALID: paths that contradict each other. */
int tg_gemini_args_write(const struct tg_gemini_args *args, struct tg_buf *out) TG_WARN_UNUSED;
void tg_gemini_args_clear(struct tg_gemini_args *args);

/* ---- log probabilities (gemini_logprobs.c) ---- */

/* logprobsResult as OpenAI chat's object. */
void tg_gemini_logprobs(const struct tg_json *result, struct tg_buf *out);

#endif
