/* The mock provider's answers that are lists: embeddings, rankings, verdicts. Each appends a whole
 * answer, head included, to a buffer whose state the caller tests. Any thread. */
#ifndef TG_SERVER_MOCK_LISTS_H
#define TG_SERVER_MOCK_LISTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "json/json.h"

/* Answers when `path` is one of theirs: true. `prompt_tokens` is what the usage tells. */
bool tg_mock_lists(struct tg_buf *out, struct tg_str path, const struct tg_json *root,
                   uint32_t dimensions, uint32_t prompt_tokens);

#endif
