/* Where providers of OpenAI's API differ from it, as data: one row per provider. A row says which
 * features its chat completions have, lack or refuse, how members are called there, and which
 * formats may pass through. The encoder and the splice act on rows; no code names a provider.
 *
 * A row is found by the target's `provider` setting or by its URL's host. Sources of the facts:
 * beside each row. Finding a row, and what callers ask of it: adapter.h. Thread rule: pure
 * functions over const data. */
#ifndef TG_ADAPTER_QUIRKS_H
#define TG_ADAPTER_QUIRKS_H

#include <stdbool.h>
#include <stdint.h>

#include "adapter/adapter.h"
#include "base/str.h"
#include "chat/fidelity.h"
#include "chat/wire_format.h"

enum tg_max_tokens_name {
    TG_MAX_TOKENS_AS_GIVEN,
    TG_MAX_TOKENS_OLD, /* "max_tokens" only */
    TG_MAX_TOKENS_NEW, /* "max_completion_tokens" only */
};

/* How a provider is told how much to think. */
enum tg_reasoning_form {
    TG_REASONING_EFFORT,          /* "reasoning_effort": "low" */
    TG_REASONING_OBJECT,          /* "reasoning": {"effort" or "max_tokens", "exclude"} */
    TG_REASONING_THINKING,        /* "thinking": {"type": "enabled" or "disabled"} */
    TG_REASONING_ENABLE_THINKING, /* "enable_thinking": bool, "thinking_budget": n */
    TG_REASONING_NONE,            /* not at all */
};

/* As what reasoning of earlier turns goes back. */
enum tg_reasoning_back {
    TG_REASONING_BACK_NONE,    /* left out: the provider refuses it or makes nothing of it */
    TG_REASONING_BACK_CONTENT, /* "reasoning_content" */
    TG_REASONING_BACK_SHORT,   /* "reasoning" */
    TG_REASONING_BACK_DETAILS, /* "reasoning_details", with opaque state of every kind */
};

struct tg_quirks {
    const char *name;         /* as in the setting `provider` */
    const char *const *hosts; /* NULL-ended: each matches itself and what ends in it behind a dot */
    uint32_t formats;         /* TG_WIRE_BIT()s that pass through; 0: what the adapter's do */
    uint32_t tasks;           /* 1u << TG_TASK_*; 0: what the adapter's do */
    /* TG_FEATURE_BIT()s whose fate is another than the adapter's row says; disjoint. */
    uint64_t native, emulated, dropped, refused;
    const struct tg_rename *renames; /* top-level members with another name here; NULL: none */
    enum tg_max_tokens_name max_tokens;
    enum tg_reasoning_form reasoning;
    enum tg_reasoning_back reasoning_back;
    bool short_call_ids;    /* of tool calls: nine letters and digits */
    bool no_stream_options; /* does not understand stream_options.include_usage */
};

/* Rows in order; NULL behind the last. For docs and tests. */
const struct tg_quirks *tg_quirks_at(size_t i);

/* What becomes of a feature at a provider: the adapter's row, changed by quirks (NULL: not). */
enum tg_fidelity tg_quirks_fate(const uint8_t *row, const struct tg_quirks *q, enum tg_feature f);
/* The name that a top-level member has there. */
struct tg_str tg_quirks_member(const struct tg_quirks *q, struct tg_str name);

#endif
