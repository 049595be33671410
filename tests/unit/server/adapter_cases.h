/* Good answers of every adapter for the conformance suite, and how to make bytes of them. */
#ifndef TG_TEST_ADAPTER_CASES_H
#define TG_TEST_ADAPTER_CASES_H

#include "adapter/adapter.h"

struct adapter_case {
    const struct tg_adapter *adapter;
    enum tg_wire_format format;
    bool stream;
    const char *body; /* ends well at its last byte and no sooner */
    /* Of a stream: what repeats, and what ends it. */
    const char *chunk, *end;
    bool converted;       /* what is passed on is made anew */
    bool translated_only; /* no client speaks it */
    enum tg_chat_task task;
    /* FRAMES: the texts' lines are an event's type and its payload, to be put into AWS's frames;
     * FRAMES_BASE64: the payload inside of {"bytes": …} as InvokeModel has it. */
    enum { PLAIN, FRAMES, FRAMES_BASE64 } framing;
};

extern const struct adapter_case adapter_cases[];
extern const size_t n_adapter_cases;

#endif
