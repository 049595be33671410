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
    TG_EV_START,      /* id, model: the provider's; role is always assistant */
    TG_EV_PART_START, /* choice, part, part_kind; TOOL_CALL: id, name */
    TG_EV_DELTA,    /* choice, part, delta_kind, text; logprobs: raw JSON of the provider's form */
    TG_EV_PART_END, /* choice, part */
    TG_EV_USAGE,    /* usage: the totals so far, replacing earlier ones */
    TG_EV_FINISH,   /* choice, finish, text: the provider's own word for it */
    TG_EV_END,
    TG_EV_ERROR, /* fail */
};

enum tg_delta_kind {
    TG_DELTA_TEXT,
    TG_DELTA_ARGUMENTS,
    TG_DELTA_REASONING,
    TG_DELTA_SIGNATURE,
    TG_DELTA_REFUSAL,
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
    struct tg_str id, name, model;
    struct tg_str text;
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
