/* Names of the wire formats that clients and providers speak. Where a dialect's and an adapter's
 * are the same, bodies pass through and only named spans are spliced. Plain data. */
#ifndef TG_CHAT_WIRE_FORMAT_H
#define TG_CHAT_WIRE_FORMAT_H

enum tg_wire_format {
    TG_WIRE_NONE = 0, /* the gateway's own shapes: always translated */
    TG_WIRE_OPENAI_CHAT,
    TG_WIRE_OPENAI_COMPLETIONS,
};

#endif
