/* Entries of `reasoning_details`, OpenRouter's list for reasoning with opaque state in OpenAI's
 * chat format (openrouter.ai/docs/use-cases/reasoning-tokens): what clients are given and providers
 * of that form are given back. Thread rule: pure functions. */
#ifndef TG_CHAT_REASONING_DETAILS_H
#define TG_CHAT_REASONING_DETAILS_H

#include "base/buf.h"
#include "base/str.h"
#include "chat/request.h"

struct tg_reasoning_detail {
    uint32_t index;
    struct tg_str text;
    enum tg_opaque_kind opaque; /* of signature */
    struct tg_str signature;
    struct tg_str id; /* the item's, or the tool call's that a thought signature belongs to */
};

/* Appends the entry, or the two that text and encrypted state are; entries are separated, and
 * *io_n, how many there are, counted. Nothing for neither text nor signature. */
void tg_reasoning_detail_write(const struct tg_reasoning_detail *d, unsigned *io_n,
                               struct tg_buf *out);

#endif
