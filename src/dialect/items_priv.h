/* What the dialects of tasks with one answer per input share (embeddings, moderations, ranking):
 * the inputs of a request, and the items of an answer. Thread rule: pure functions. */
#ifndef TG_DIALECT_ITEMS_PRIV_H
#define TG_DIALECT_ITEMS_PRIV_H

#include "chat/collect.h"
#include "dialect/body_priv.h"

/* State of rendering: the answer's items. Given as tg_dialect.state_bytes, render and fini. */
struct tg_items {
    struct tg_collect collect;
};
int tg_items_begin(void *state, const struct tg_render_info *info);
int tg_items_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                    struct tg_buf *out);
void tg_items_fini(void *state);
/* Puts the items in order of their inputs. */
void tg_items_sort(struct tg_items *s);

/* The request's list of inputs (a string, an array of strings, of tokens, of token lists, or of
 * objects). check: MISSING_FIELD, INVALID_VALUE naming the field. read: fills texts and raw;
 * TG_E_NOMEM. An array of numbers is one input. */
int tg_items_check(const struct tg_json *v, const char *name, struct tg_fail *f) TG_WARN_UNUSED;
int tg_items_read(struct tg_arena *a, const struct tg_body *b, const struct tg_json *v,
                  struct tg_inputs *out) TG_WARN_UNUSED;

/* `,"usage":{"prompt_tokens":n,"total_tokens":n}`; null when absent. */
void tg_items_write_usage(const struct tg_usage *u, struct tg_buf *out);
/* The answer's id with another prefix than chat's: "modr-…". */
void tg_items_write_id(const struct tg_render_info *info, const char *prefix, struct tg_buf *out);

#endif
