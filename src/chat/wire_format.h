/* Names of the wire formats that clients and providers speak. Where a dialect's and an adapter's
 * are the same, bodies pass through and only named spans are spliced. Plain data. */
#ifndef TG_CHAT_WIRE_FORMAT_H
#define TG_CHAT_WIRE_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum tg_wire_format {
    TG_WIRE_NONE = 0, /* the gateway's own shapes: always translated */
#define TG_WIRE_FORMAT(ID, name) TG_WIRE_##ID,
#include "chat/wire_formats.def"
#undef TG_WIRE_FORMAT
    TG_WIRE_FORMAT_COUNT,
};
const char *tg_wire_format_name(enum tg_wire_format f); /* "openai_chat"; "" for none */

/* A member of a format's objects that a provider has under another name. */
struct tg_rename {
    struct tg_str from, to; /* from.n 0: end of a list */
};

/* Sets of formats. */
#define TG_WIRE_BIT(name) (1u << TG_WIRE_##name)
static inline bool tg_wire_in(uint32_t set, enum tg_wire_format f)
{
    return f != TG_WIRE_NONE && (set >> f & 1u);
}

#endif
