/* Collects canonical events into one answer: what every dialect's single (non-stream) body is made
 * of. Choices come out in order of their index, parts in order of their starts.
 * Memory is the collector's own, bounded by max_bytes over all texts; fini frees it. A zeroed
 * struct is a valid empty collector (bound: TG_COLLECT_MAX_BYTES).
 * Thread rule: one thread at a time. */
#ifndef TG_CHAT_COLLECT_H
#define TG_CHAT_COLLECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "chat/event.h"

#define TG_COLLECT_MAX_BYTES   (64u * 1024 * 1024)
#define TG_COLLECT_MAX_CHOICES 4096  /* 128 answers for each of 32 prompts */
#define TG_COLLECT_MAX_PARTS   4096  /* per choice */
#define TG_COLLECT_MAX_ALL     65536 /* parts of all choices */

#define TG_COLLECT_MAX_ITEMS 65536 /* of an embedding request, and extras */

struct tg_collect_citation {
    struct tg_buf url, title, text, raw;
    int64_t start, end;
    enum tg_wire_format format;
};

struct tg_collect_part {
    enum tg_part_kind kind;
    enum tg_opaque_kind opaque; /* of signature */
    enum tg_wire_format format; /* RAW */
    struct tg_buf id, name;
    struct tg_buf text; /* by kind: text, arguments, reasoning, refusal, base64 data of an image
                         * or a sound, a raw part's JSON */
    struct tg_buf mime; /* IMAGE, AUDIO */
    struct tg_buf signature; /* REASONING, TOOL_CALL */
    struct tg_collect_citation *citations;
    size_t n_citations, cap_citations;
};

/* An ITEM (index: the input's) or an EXTRA (index: the choice) with its raw JSON. */
struct tg_collect_item {
    uint32_t index;
    enum tg_wire_format format;
    struct tg_buf name, text;
};

struct tg_collect_choice {
    uint32_t index;
    bool finished;
    enum tg_finish finish;
    struct tg_buf finish_text;     /* the provider's own word */
    struct tg_buf stop_text;       /* the stop sequence that was met */
    struct tg_buf logprobs;        /* raw JSON texts, each followed by TG_COLLECT_RS */
    struct tg_collect_part *parts; /* by part index; kind TG_PART_RAW where none was started */
    size_t n_parts, cap_parts;
};

struct tg_collect {
    struct tg_collect_choice *choices; /* in order of index, may have gaps */
    size_t n_choices, cap_choices;
    struct tg_collect_item *items, *extras; /* in order of arrival */
    size_t n_items, cap_items, n_extras, cap_extras;
    struct tg_buf id, service_tier; /* of START */
    size_t n_parts;                 /* of all choices */
    size_t used_bytes, max_bytes;
};

/* Separates the JSON texts in `logprobs` (RFC 7464's record separator: never inside JSON text). */
#define TG_COLLECT_RS '\x1e'

/* Takes START, PART_START, DELTA, FINISH, ITEM and EXTRA; other events are ignored. A delta for a
 * part that was not started makes one of the delta's kind. TG_E_NOMEM, TG_E_UPSTREAM_TOO_LARGE (a
 * bound is reached).
 */
int tg_collect_on_event(struct tg_collect *c, const struct tg_event *ev) TG_WARN_UNUSED;
void tg_collect_fini(struct tg_collect *c); /* leaves an empty collector */

/* Appends the texts of a choice's parts of that kind, one after the other; false: no such part. */
bool tg_collect_text(const struct tg_collect_choice *ch, enum tg_part_kind kind,
                     struct tg_buf *out);
bool tg_collect_has(const struct tg_collect_choice *ch, enum tg_part_kind kind);

#endif
