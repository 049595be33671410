/* The OpenAI adapter's own parts: encoder, decoder, usage, errors. Thread rule: as adapter.h. */
#ifndef TG_ADAPTER_OPENAI_PRIV_H
#define TG_ADAPTER_OPENAI_PRIV_H

#include "adapter/adapter.h"
#include "adapter/responses_priv.h"
#include "adapter/quirks.h"
#include "json/json.h"
#include "json/write.h"
#include "wire/sse.h"

/* ---- encoding (openai_encode.c, openai_messages.c) ---- */

extern const uint8_t tg_openai_fidelity[]; /* chat completions */

/* True when raw texts in the request are of this format and may be sent as they are. */
bool tg_openai_own_raw(const struct tg_chat_req *req);
int tg_openai_encode_body(struct tg_arena *a, const struct tg_chat_req *req,
                          const struct tg_adapter_target *target, struct tg_str *out,
                          struct tg_fail *fail) TG_WARN_UNUSED;
/* What the functions of the encoder share. */
struct tg_openai_enc {
    struct tg_jw *w;
    const struct tg_chat_req *req;
    const struct tg_adapter_target *target;
    const struct tg_quirks *q; /* NULL: none */
    bool own;                  /* raw texts are of this format */
    struct tg_fail *fail;
};
/* The provider takes it, as such or in another form. For what the adapter itself has. */
bool tg_openai_takes(const struct tg_openai_enc *e, enum tg_feature f);
/* What becomes of it there. */
enum tg_fidelity tg_openai_fate(const struct tg_openai_enc *e, enum tg_feature f);
/* Writes the array of messages. TG_E_UNSUPPORTED_PARAMETER with the message's path. */
int tg_openai_encode_messages(const struct tg_openai_enc *e) TG_WARN_UNUSED;
/* `"key":value` texts as they are, behind a comma of their own. */
/* How much to think, in the provider's form (openai_thinking.c). */
void tg_openai_write_thinking(const struct tg_openai_enc *e);
/* Reasoning of an earlier turn and opaque state beside a message's content. */
void tg_openai_write_reasoning(const struct tg_openai_enc *e, const struct tg_message *m);
/* A tool call's thought signature, as a member of the call. */
void tg_openai_write_thought(const struct tg_openai_enc *e, const struct tg_part *p);

/* ---- tasks beside chat (openai_items.c) ---- */

/* Path and body of an EMBED, RERANK or MODERATE request. TG_E_UNSUPPORTED_PARAMETER for an input
 * that this API has no form for. */
struct tg_str tg_openai_items_path(enum tg_chat_task task);
int tg_openai_encode_items(struct tg_arena *a, const struct tg_chat_req *req,
                           const struct tg_adapter_target *target, struct tg_str *out,
                           struct tg_fail *fail) TG_WARN_UNUSED;
bool tg_openai_is_items(enum tg_chat_task task);
/* Emits an answer's items and usage; false: it is no such answer. Emits no terminal event. */
bool tg_openai_on_items(const struct tg_adapter_response *resp, struct tg_json_doc *doc,
                        struct tg_sink *sink);
/* Usage as images, transcriptions and ranking have it ("input_tokens" or only a total). */
bool tg_openai_media_usage(const struct tg_json *v, struct tg_usage *out);

/* ---- usage (openai_usage.c) ---- */

/* Reads a `usage` object of any provider of this API into disjoint classes; false when it is no
 * object or counts nothing. */
bool tg_openai_usage(const struct tg_json *v, struct tg_usage *out);
/* The same of Responses: {"input_tokens","input_tokens_details",…}. */
bool tg_openai_input_output_usage(const struct tg_json *v, struct tg_usage *out);

/* ---- errors (openai_error.c) ---- */

/* The error inside a body or a stream's event: an object, an array of one (Gemini), or the forms of
 * servers that are only nearly compatible. */
struct tg_openai_error {
    struct tg_str message, type, param, code; /* "" if none; code: strings only */
    int status;                               /* that the error itself names, 0 if none */
    bool proper;                              /* {"error":{"message":…}}, fit to be passed on */
};
/* False when root holds no error. */
bool tg_openai_find_error(const struct tg_json *root, struct tg_openai_error *out);
/* Sets fail from a status (0: none known) and an error (NULL: the body was something else). */
void tg_openai_set_fail(int status, const struct tg_openai_error *e, struct tg_fail *fail);
/* The same for a whole answer with its Retry-After; e: NULL if the body holds no error that the
 * format knows. A plain text is one. */
void tg_openai_set_http_fail(const struct tg_http_head *head, struct tg_str body,
                             const struct tg_openai_error *e, struct tg_fail *fail);
/* Copies text into out (cap bytes with the NUL) with everything that looks like a key blotted out.
 */
struct tg_str tg_openai_redact(struct tg_str text, char *out, size_t cap);
bool tg_openai_has_key(struct tg_str text);

/* ---- decoding (openai_decode.c: bytes and ends; openai_chunk.c: JSON → events) ---- */

enum tg_openai_mode {
    TG_OPENAI_SNIFF, /* nothing but blanks so far */
    TG_OPENAI_SSE,
    TG_OPENAI_LAST_LF, /* [DONE] was passed on but for the LF of its last CRLF */
    TG_OPENAI_BODY,    /* one JSON document */
    TG_OPENAI_OVER,    /* a terminal event was emitted */
};

/* What is known of one choice of the answer. */
struct tg_openai_choice {
    uint32_t index;
    bool finished;
    bool open; /* a part other than a tool call is open: the newest */
    enum tg_part_kind open_kind;
    bool open_signed;    /* the open part has got its opaque state */
    int64_t open_detail; /* number of the entry that the open part came from; -1: of none */
    uint32_t open_part, n_parts;
    struct tg_openai_tool *tools; /* in order of their appearance */
    uint32_t n_tools, cap_tools;
};
struct tg_openai_tool {
    int64_t index;    /* the provider's number for it; -1: it gave none */
    uint64_t id_hash; /* of its id; 0: none */
    uint32_t part;
    struct tg_openai_late *late; /* what came before its name; NULL: it has begun */
};
struct tg_openai_late {
    struct tg_buf id, arguments, signature;
};

struct tg_openai_dec {
    struct tg_adapter_response resp;
    enum tg_openai_mode mode;
    struct tg_sse_dec sse;
    struct tg_buf body;      /* BODY: all of it; SNIFF: leading blanks */
    struct tg_arena scratch; /* of one event */
    struct tg_openai_choice *choices;
    struct tg_openai_choice first; /* most answers have but one: `choices` points to it */
    uint32_t n_choices, cap_choices, n_finished;
    bool encoded;         /* Content-Encoding that nobody undid */
    bool is_json;         /* Content-Type, of media */
    bool seen;            /* a document of the right kind */
    bool started;         /* START was emitted */
    bool content_seen;    /* tap: the first DELTA was emitted */
    bool usage_seen;      /* a `usage` of its own, which x_groq's must not replace */
    uint32_t extras_seen; /* bits of members that were given as EXTRA */
    struct tg_usage usage;
    struct tg_responses_dec responses; /* format OPENAI_RESPONSES */
};

/* tg_adapter's functions of the same names. */
int tg_openai_begin(void *state, const struct tg_adapter_response *resp);
int tg_openai_on_head(void *state, const struct tg_http_head *head);
int tg_openai_on_bytes(void *state, struct tg_str in, struct tg_sink *sink);
int tg_openai_on_end(void *state, bool clean, struct tg_sink *sink);
void tg_openai_fini(void *state);
/* The same as members of a struct tg_adapter. */
#define TG_OPENAI_DECODER                                                                     \
    .state_bytes = sizeof(struct tg_openai_dec), .begin = tg_openai_begin,                    \
    .on_head = tg_openai_on_head, .on_bytes = tg_openai_on_bytes, .on_end = tg_openai_on_end, \
    .fini = tg_openai_fini

/* One JSON document of the answer: chunk or whole answer. 0; 1: it was a usage-only chunk;
 * negative: broken, and ERROR was emitted. Emits no other terminal event. */
int tg_openai_on_json(struct tg_openai_dec *d, struct tg_json_doc *doc,
                      struct tg_sink *sink) TG_WARN_UNUSED;
/* The ERROR event; the stream is over. Returns fail->err. */
int tg_openai_emit_error(struct tg_openai_dec *d, struct tg_sink *sink, const struct tg_fail *fail);
int tg_openai_broken(struct tg_openai_dec *d, struct tg_sink *sink, int err, const char *text);
/* Closes what is open and gives choices without a finish one. For the end of a good answer. */
void tg_openai_close_choices(struct tg_openai_dec *d, struct tg_sink *sink);
void tg_openai_free_choices(struct tg_openai_dec *d);
/* Parses into d->scratch; text with unpaired surrogate escapes is mended first. */
int tg_openai_parse(struct tg_openai_dec *d, struct tg_str text,
                    struct tg_json_doc **out) TG_WARN_UNUSED;
/* A whole answer as the text of one stream chunk: message becomes delta, tool calls get an index.
 */
int tg_openai_body_to_chunk(struct tg_json_doc *doc, struct tg_arena *a,
                            struct tg_buf *out) TG_WARN_UNUSED;

#endif
