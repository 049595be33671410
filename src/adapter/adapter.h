/* Upstream adapters: one const table each, sans I/O. An adapter turns a canonical request (or a
 * passed-through body) into one HTTP request, the response's bytes into canonical events, and an
 * error answer into a failure.
 *
 * Pass-through (tap). The raw units given to on_raw are, put together, the body's bytes, for every
 * way of cutting them; a unit comes after its events. Exceptions: a unit that holds an error is not
 * given (ERROR says it, and the caller renders it), nor is what follows the stream's own end; a
 * last `data: [DONE]` without its blank line gets one. A single answer comes as one unit just
 * before END. When a stream was asked for and the provider sent a single answer, the unit is made
 * anew, as one chunk and [DONE]: to a request for a stream the caller always passes on a stream.
 *
 * Contract, held by one conformance suite over all adapters: any split of the bytes gives the same
 * events; exactly one terminal event; nothing grows per event but what max_pending allows; a stream
 * that did not end well ends in ERROR, never in END.
 * Thread rule: pure functions over the state they are given. */
#ifndef TG_ADAPTER_ADAPTER_H
#define TG_ADAPTER_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "chat/event.h"
#include "chat/fidelity.h"
#include "chat/request.h"
#include "chat/wire_format.h"
#include "wire/http.h"

struct tg_quirks; /* adapter/quirks.h */

/* What an adapter may know of its target. Views into the snapshot. */
struct tg_adapter_target {
    struct tg_str model;                        /* the provider's name for it */
    struct tg_str base_path;                    /* "/v1": put before the adapter's own path */
    struct tg_str credential;                   /* "" if none */
    struct tg_str api_version, region, project; /* "" if not configured */
    uint64_t max_tokens; /* output tokens of one answer, as configured; 0: not said */
    bool stream_usage;   /* the provider understands stream_options.include_usage */
    const struct tg_quirks
        *quirks; /* where a provider differs from its API's rule; NULL: nowhere */
};

/* A request that passes through: what the adapter must know of it to make path and headers. */
struct tg_pass {
    enum tg_wire_format format;
    bool stream;
    bool json_array;            /* the client wants its stream as one JSON array */
    struct tg_str tail;         /* of the client's path, where one format has several endpoints
                                 * ("/images/edits") */
    struct tg_str content_type; /* the client's: multipart bodies have their boundary in it */
};

#define TG_ADAPTER_MAX_HEADERS 8
/* The HTTP request to make, without Host, Content-Length and the target's own extra headers, which
 * the caller adds. */
struct tg_adapter_request {
    enum tg_http_method method;
    struct tg_str path; /* whole target, in the arena */
    struct tg_http_header headers[TG_ADAPTER_MAX_HEADERS];
    size_t n_headers;
    struct tg_str body; /* canonical encoding only; "" with pass-through */
    /* What became of this request's features, where it depends on values: on top of what the
     * adapter's row says (bits of TG_FEATURE_*). */
    uint64_t dropped, emulated;
    const char *aws_service; /* to be signed with AWS credentials for that service; NULL: not */
};

struct tg_adapter_response {
    bool stream; /* the request asked for a stream */
    /* Pass-through: only USAGE, FINISH, the first DELTA and what pins a conversation matter (every
     * SIGNATURE delta; PART_START of a REASONING part with its id); raw units go to on_raw. */
    bool tap;
    bool hide_usage;            /* pass-through: mark usage-only units for hiding */
    enum tg_wire_format format; /* which of the adapter's formats the answer has */
    enum tg_chat_task task;
    bool json_array; /* pass-through: tg_pass.json_array */
    /* What was encoded; NULL with pass-through. For decoders that must know how they emulated. */
    const struct tg_chat_req *req;
    size_t max_pending_bytes; /* largest SSE event or single body */
};

struct tg_adapter {
    const char *name;
    enum tg_wire_format api; /* what requests are translated to */
    uint32_t formats;        /* TG_WIRE_BIT()s that it takes pass-through */
    uint32_t tasks;          /* 1u << TG_TASK_*: what encode() can translate */
    /* TG_FEATURE_COUNT fates (enum tg_fidelity) of translated requests; chat/fidelity.h. */
    const uint8_t *fidelity;

    /* Canonical → HTTP. What the fidelity row calls dropped is left out in silence: the caller says
     * so. TG_E_UNSUPPORTED_PARAMETER with the field for what it can't express. */
    int (*encode)(struct tg_arena *a, const struct tg_chat_req *req,
                  const struct tg_adapter_target *target, struct tg_adapter_request *out,
                  struct tg_fail *fail);
    /* Pass-through: path and headers only. */
    int (*encode_pass)(struct tg_arena *a, const struct tg_pass *pass,
                       const struct tg_adapter_target *target, struct tg_adapter_request *out);

    /* Decoding of a 2xx answer; `state` is state_bytes of zeroed memory. */
    size_t state_bytes;
    int (*begin)(void *state, const struct tg_adapter_response *resp);
    /* Content type decides nothing alone: a stream that is really one JSON error object is an
     * error. Negative: the stream is broken (ERROR was emitted). After a terminal event bytes are
     * ignored. */
    int (*on_head)(void *state, const struct tg_http_head *head);
    int (*on_bytes)(void *state, struct tg_str in, struct tg_sink *sink);
    /* The response is over: clean (proper end of the HTTP message) or cut. Emits the terminal event
     * if none was: END only when the provider's own end was seen. */
    int (*on_end)(void *state, bool clean, struct tg_sink *sink);
    void (*fini)(void *state);

    /* A non-2xx answer. Fills fail: err, status, provider_status, message, code, param,
     * retry_after_ms. Returns true when the body is this format's own error object, fit to be
     * passed through. */
    bool (*classify)(struct tg_arena *a, const struct tg_http_head *head, struct tg_str body,
                     struct tg_fail *fail);
};

/* The adapters, as config/backends.def names them. */
#define TG_NO_ADAPTER
#define TG_ADAPTER(a)                       extern const struct tg_adapter tg_adapter_##a;
#define TG_ADAPTERS(a, b)                   TG_ADAPTER(a) TG_ADAPTER(b)
#define TG_BACKEND(ID, name, adapters, ...) adapters
#include "config/backends.def"
#undef TG_BACKEND
#undef TG_ADAPTERS
#undef TG_ADAPTER
#undef TG_NO_ADAPTER

/* ---- where a provider of OpenAI's API differs from it (quirks.c, rows in quirks_rows.c) ----
 * q may be NULL: nowhere. */

/* The row by the target's `provider` setting, else by its URL's host; NULL: none is known. */
const struct tg_quirks *tg_quirks_find(struct tg_str provider, struct tg_str host);
/* For a provider that none of them is about: what all servers of the API have, no more. */
extern const struct tg_quirks tg_quirks_unknown;
/* What of an adapter's formats passes through there. */
uint32_t tg_quirks_formats(const struct tg_quirks *q, uint32_t of_adapter);
/* Top-level members with another name there (tg_call.renames). */
const struct tg_rename *tg_quirks_renames(const struct tg_quirks *q);
/* It understands stream_options.include_usage. */
bool tg_quirks_stream_usage(const struct tg_quirks *q);
/* tg_features_with() for an adapter's row as it is at that provider. */
uint64_t tg_quirks_with(uint64_t used, const uint8_t *row, const struct tg_quirks *q,
                        enum tg_fidelity fate);

/* ---- shared by the adapters ---- */

/* For classify(): Retry-After (seconds, or a date measured from the answer's own
 * Date; bounded to 3,600 s; garbage: -1). */
int64_t tg_adapter_retry_after_ms(const struct tg_http_head *head);

#endif
