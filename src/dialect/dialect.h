/* Client dialects: one const table each, sans I/O. A dialect opens a request (cheaply: model,
 * stream, validity, the places to splice), parses it to the canonical form when it must be
 * translated, and renders canonical events as its clients expect them.
 *
 * Adding one: a file with the functions below, a row in server/registry.c, cases in tests.
 * Thread rule: pure functions over the state they are given. All memory from the given arena. */
#ifndef TG_DIALECT_DIALECT_H
#define TG_DIALECT_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "chat/event.h"
#include "chat/request.h"
#include "chat/wire_format.h"
#include "wire/http.h"

struct tg_endpoint {
    enum tg_http_method method;
    /* Exact, or with one "{model}", which stands for one or more segments and is matched as
     * "everything between": "/v1beta/models/{model}:generateContent". */
    const char *path;
    const char *summary; /* one line, for the generated API description */
    /* For the same: names of schemas (src/admin/openapi_schemas.json) of the request, the single
     * answer, what a stream is made of, and errors; NULL: there is none, or it is not JSON. */
    const char *takes, *gives, *streams, *fails;
    const char *query; /* parameters of the query by name, a space between two; NULL: none */
};

/* A request opened by its dialect. Lives in the exchange's arena; `body` is borrowed from the
 * request, whose bytes never change. */
struct tg_call {
    const struct tg_dialect *dialect;
    struct tg_str body;
    struct tg_str model; /* "" when the client named none */
    bool stream;
    bool include_usage; /* the client wants usage in its stream */
    bool json_array;    /* the stream is one JSON array (Gemini without alt=sse) */
    bool store;         /* the answer is to be kept (Responses) */
    bool loads;         /* nothing is asked: the model is to be ready, or to go (Ollama). Who does
                         * not pass that on answers without its provider */
    struct tg_str tail; /* of the path, where one format has several endpoints:
                         * "/images/edits"; else "" */
    /* Set by the caller before splice(): the provider's names of top-level members, ended by one
     * without a name; NULL: the format's own. */
    const struct tg_rename *renames;
    struct tg_str previous_id; /* "" or the kept answer that this one continues (Responses) */
    /* Set by the caller before parse(): what was kept of the conversation up to previous_id, JSON
     * arrays of items, oldest first. */
    const struct tg_str *history;
    size_t n_history;
    /* Likewise: arrays of kept items that the input only refers to (dialect/responses.h). */
    const struct tg_str *known;
    size_t n_known;
    const char *stream_content_type; /* NULL: the dialect's */
    struct tg_str user;              /* user or user_id, "" if none */
    struct tg_str metadata;          /* raw JSON object, "" if none */
    void *parsed;                    /* the dialect's own (its JSON document) */
};

/* What a rendering needs to know of its answer. Strings live as long as the exchange. */
struct tg_render_info {
    struct tg_str id; /* "chatcmpl-…" made from the request id */
    struct tg_str request_id;
    struct tg_str model; /* as the client named it (or the default's name) */
    struct tg_str provider;
    int64_t created_s;   /* wall clock */
    uint64_t started_us; /* monotonic, for latency fields */
    bool stream;
    bool include_usage;
    int64_t prompt_tokens; /* an estimate, for a dialect with `input_first`; 0: none */
    bool cached;           /* answered from the gateway's cache */
    bool has_cost;         /* false: no price is known, rendered as null */
    int64_t cost_nusd;     /* with has_cost: what the answer cost, nano-USD */
    const struct tg_call *call;
    struct tg_arena *arena; /* the exchange's, for what must outlive an event; never per delta */
};

/* How far a stream was passed through. */
struct tg_passed {
    struct tg_str id, model; /* the provider's, "" if unknown */
    uint64_t n_events;
};

/* An answer as it is kept. */
struct tg_kept_answer {
    struct tg_str id, status;
    struct tg_str response; /* the whole object */
    struct tg_str output;   /* its items, a JSON array: a part of `response` */
    bool at_provider;       /* the provider says that it keeps the answer, too */
};

/* What the keeper of conversations asks of a dialect whose clients go on by an answer's id. */
struct tg_keep_ops {
    /* The request's own input (without what came before) as a JSON array of items. TG_E_NOMEM. */
    int (*input)(struct tg_arena *a, const struct tg_call *call, struct tg_str *out);
    /* Ids of kept answers that the input refers to: their items belong in call->known. */
    int (*references)(struct tg_arena *a, const struct tg_call *call, struct tg_str **out_ids,
                      size_t *out_n);
    /* After finish(): 1 and the answer, 0: there is none to keep. In the arena or the state. */
    int (*rendered)(struct tg_arena *a, const void *render_state, struct tg_kept_answer *out);
    /* Whether a unit that passes through (a block of a stream, or the whole body) ends a good
     * answer: 1 and the answer, in the arena or the unit; 0: no. */
    int (*passed)(struct tg_arena *a, struct tg_str unit, bool stream, struct tg_kept_answer *out);
};

struct tg_dialect {
    const char *name; /* "openai_chat" */
    const struct tg_endpoint *endpoints;
    size_t n_endpoints;
    /* TG_FEATURE_COUNT names: what this format calls the features of chat/fidelity.h (struct
     * tg_client_fields); NULL: it has none of them. */
    const char *const *fields;
    const char *prompt_field; /* what it calls the conversation or the input; NULL: "messages" */
    enum tg_chat_task task;
    enum tg_wire_format format; /* NONE: never passes through */
    bool multipart;             /* takes multipart/form-data as well as JSON */
    bool curl;                  /* takes JSON as what curl -d calls it (a form), as the format's own
                                 * server does; but not from a web page, which has an Origin */

    /* True when this dialect takes the request (two dialects may share a path and tell each other
     * apart by the body); NULL: always. */
    bool (*accepts)(struct tg_str body);

    /* Validates what the gateway relies on and finds model, stream and usage flags. Fails with the
     * JSON and API groups of err.def, naming the field. head->target is the request's, for what is
     * in the path or the query (tg_dialect_path_model). */
    int (*open)(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                struct tg_call *out, struct tg_fail *fail);

    /* The whole request in canonical form. NULL: it can only be passed through. */
    int (*parse)(struct tg_arena *a, const struct tg_call *call, struct tg_chat_req *out,
                 struct tg_fail *fail);

    /* Pass-through: the body for a provider of the same format, as slices of the client's bytes
     * with the model replaced and, if inject_usage, usage in the stream asked for. Everything else
     * stays byte for byte. *out_hide_usage: usage was injected, so a usage-only chunk is not the
     * client's. */
    int (*splice)(struct tg_arena *a, const struct tg_call *call, struct tg_str upstream_model,
                  bool inject_usage, struct iovec *out_iov, int max_iov, int *out_n,
                  bool *out_hide_usage);

    /* Rendering. `state` is state_bytes of zeroed memory. Bytes are appended to `out`; for a stream
     * they are complete units of its framing (SSE blocks, lines, an array's elements); for a single
     * answer nothing is written before finish(). */
    size_t state_bytes;
    int (*begin)(void *state, const struct tg_render_info *info);
    int (*render)(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                  struct tg_buf *out);
    /* After END: the rest of the stream ([DONE]) or the whole single answer. */
    int (*finish)(void *state, const struct tg_render_info *info, const struct tg_usage *usage,
                  uint64_t now_us, struct tg_buf *out);
    void (*fini)(void *state); /* frees what render collected; NULL if nothing */

    /* The error body (in_stream false) or the error event of a stream that had begun. */
    void (*render_fail)(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                        struct tg_buf *out);
    /* The end of a rendered stream that broke; NULL: render_fail(in_stream) is all there is to say.
     * Nothing may be rendered after it. */
    int (*broken)(void *state, const struct tg_render_info *info, const struct tg_fail *fail,
                  struct tg_buf *out);
    /* The end of a stream that broke after it was passed through so far; NULL: as above. */
    void (*broken_passed)(const struct tg_passed *passed, const struct tg_render_info *info,
                          const struct tg_fail *fail, struct tg_buf *out);
    const char *stream_content_type; /* "text/event-stream" */
    /* Written when a stream has been silent for long; NULL: a comment line of server-sent events;
     * "": nothing may be. */
    const char *keep_alive;
    /* The same where a unit of a stream says what it belongs to (of info: model, created_s, call);
     * NULL: keep_alive. */
    void (*write_silence)(const struct tg_render_info *info, struct tg_buf *out);
    const struct tg_keep_ops *keep; /* NULL: its answers are not kept */
    /* Its streams begin with how long the prompt is: an estimate stands there until the provider
     * says it. */
    bool input_first;
    const char *id_header; /* second header that gives the request id ("request-id"); NULL: none */
};

#define TG_DIALECT(name) extern const struct tg_dialect tg_dialect_##name;
#include "dialect/dialects.def"
#undef TG_DIALECT

/* Whether a request's path is one of the endpoint's; *out_model: what stands for {model}, still
 * percent-encoded ("" when the endpoint has none). */
bool tg_endpoint_match(const struct tg_endpoint *ep, struct tg_str path, struct tg_str *out_model);
/* The endpoint that a request's target is of, and the model in its path, percent-decoded into the
 * arena. BAD_REQUEST for a malformed encoding; NULL endpoint is impossible behind the router. */
int tg_dialect_path_model(struct tg_arena *a, const struct tg_dialect *d,
                          const struct tg_http_head *head, const struct tg_endpoint **out_endpoint,
                          struct tg_str *out_model, struct tg_fail *fail) TG_WARN_UNUSED;

/* The OpenAI error shape, used by every endpoint without a shape of its own. */
void tg_dialect_openai_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                            struct tg_buf *out);

#endif
