/* Canonical response events: what a backend produces and a dialect renders. One stream is:
 *   START, then per part PART_START DELTA* PART_END, USAGE (0..1), FINISH (one per choice), and
 *   exactly one terminal event: END after a good answer, ERROR after a bad one.
 * A non-stream answer is the same events, collected. Parts of one choice follow each other, but for
 * tool calls: a provider may weave several, and their PART_ENDs may come at the choice's end.
 * Ownership: an event and everything it points to is valid for ONE call; copy what must stay. */
#ifndef TG_CHAT_EVENT_H
#define TG_CHAT_EVENT_H

#include <stdint.h>

#include "base/fail.h"
#include "base/str.h"
#include "chat/request.h"
#include "chat/usage.h"

enum tg_event_kind {
    TG_EV_START, /* id, model, service_tier: the provider's; role is always assistant */
    /* choice, part, part_kind. TOOL_CALL: id, name, signature; REASONING: id; IMAGE, AUDIO: media,
     * whole; RAW: text is the part's own JSON, of `format` */
    TG_EV_PART_START,
    TG_EV_DELTA,    /* choice, part, delta_kind, text; logprobs: raw JSON of OpenAI chat's form */
    TG_EV_PART_END, /* choice, part */
    TG_EV_USAGE,    /* usage: the totals so far, replacing earlier ones */
    TG_EV_FINISH,   /* choice, finish, text: the provider's own word for it; stop_text */
    TG_EV_ITEM,     /* tasks but CHAT: choice is the input's index, text raw JSON: EMBED a list of
                     * numbers (or a string: base64), RERANK a number, MODERATE an object */
    TG_EV_EXTRA,    /* choice, name, text: a raw JSON member of the answer, of `format`, that has
                     * no other place here (safety ratings, grounding metadata) */
    TG_EV_END,
    TG_EV_ERROR, /* fail */
};

enum tg_delta_kind {
    TG_DELTA_TEXT,
    TG_DELTA_ARGUMENTS,
    TG_DELTA_REASONING,
    TG_DELTA_SIGNATURE,
    TG_DELTA_REFUSAL,
    TG_DELTA_CITATION, /* citation; text is "" */
};

/* Where something in a text comes from. */
struct tg_citation {
    struct tg_str url, title;
    struct tg_str text; /* the cited words of the source, "" if unknown */
    int64_t start, end; /* characters of the part's text that it backs; -1: unknown */
    struct tg_str raw;  /* the provider's own JSON object, of `format` */
    enum tg_wire_format format;
};

enum tg_finish {
    TG_FINISH_STOP,
    TG_FINISH_LENGTH,
    TG_FINISH_TOOL_CALLS,
    TG_FINISH_CONTENT_FILTER,
    TG_FINISH_OTHER, /* see text */
};
const char *tg_finish_name(enum tg_finish f); /* "stop", "length", "tool_calls", … */

struct tg_event {
    enum tg_event_kind kind;
    uint32_t choice;
    uint32_t part; /* index within the choice, counted up from 0 in order of their starts */
    enum tg_part_kind part_kind;
    enum tg_delta_kind delta_kind;
    enum tg_finish finish;
    enum tg_opaque_kind opaque; /* of a SIGNATURE delta, or of `signature` */
    enum tg_wire_format format; /* of RAW and EXTRA */
    struct tg_str id, name, model;
    struct tg_str text;
    struct tg_str signature;    /* PART_START of a TOOL_CALL: opaque, "" if none */
    struct tg_str service_tier; /* START, "" if unknown */
    struct tg_str stop_text;    /* FINISH: the stop sequence that was met, "" if unknown */
    const struct tg_media *media;
    const struct tg_citation *citation;
    struct tg_str logprobs;
    const struct tg_usage *usage;
    const struct tg_fail *fail;
};

/* Where events go. `on_event` may not free or change the producer (R2). */
struct tg_sink {
    void (*on_event)(struct tg_sink *s, const struct tg_event *ev);
    /* Pass-through only, else NULL: one unit of the provider's stream exactly as it came (an SSE
     * block), after its events. `hide` is true for a unit that only exists because the gateway
     * asked for it (a usage-only chunk). */
    void (*on_raw)(struct tg_sink *s, struct tg_str raw, bool hide);
};

#endif
