/* What the scripted provider answers to requests that are not for text: deterministic, and made so
 * that texts which share words are near to each other. Pure, any thread. */
#ifndef TG_CORE_MOCK_TASKS_H
#define TG_CORE_MOCK_TASKS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "chat/request.h"

enum { TG_MOCK_MAX_DIMENSIONS = 65536 };
/* What a request wants (0 or less: nothing), within the limit. */
uint32_t tg_mock_dimensions(int64_t wanted, uint32_t otherwise);

/* The vector of a text: `dimensions` numbers (at least 1), of length 1 together. The caller's, to
 * tg_free(); NULL: no memory. */
double *tg_mock_vector(struct tg_str text, uint32_t dimensions) TG_WARN_UNUSED;
/* Appends it as a JSON list. The errors are the buffer's. */
void tg_mock_embedding(struct tg_buf *out, struct tg_str text, uint32_t dimensions);
/* The share of the query's words that the text has, 0 to 1. */
double tg_mock_relevance(struct tg_str query, struct tg_str text);
/* Appends OpenAI's verdict {"flagged", "categories", "category_scores"}: a text is flagged for the
 * categories that it names ("violence"). */
void tg_mock_verdict(struct tg_buf *out, struct tg_str text);

/* The answer to EMBED, RERANK or MODERATE, item by item (TG_EV_ITEM): rankings best first, as many
 * as are wanted, all else in the inputs' order. Other tasks have no items. */
struct tg_mock_items {
    const struct tg_chat_req *req;
    uint32_t dimensions;
    double *scores; /* RERANK: below 0 when it was told */
    size_t n, told;
};
/* Lives in the arena. TG_E_NOMEM. */
int tg_mock_items_init(struct tg_mock_items *m, const struct tg_chat_req *req, uint32_t dimensions,
                       struct tg_arena *a) TG_WARN_UNUSED;
/* Appends the raw JSON of the next item; false: there is none. */
bool tg_mock_items_next(struct tg_mock_items *m, struct tg_buf *out, uint32_t *out_index);

#endif
