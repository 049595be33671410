/* What the Gemini dialects share to open a request and to pass its body on. Thread rule: pure
 * functions; results are in the arena. */
#ifndef TG_DIALECT_GEMINI_SPLICE_PRIV_H
#define TG_DIALECT_GEMINI_SPLICE_PRIV_H

#include "dialect/body_priv.h"
#include "dialect/gemini_priv.h"
#include "json/splice.h"

/* Model, document, duplicates; call->parsed is a struct tg_gemini_body whose request is its root.
 */
int tg_gemini_open(const struct tg_dialect *d, struct tg_arena *a, const struct tg_http_head *head,
                   struct tg_str text, struct tg_call *out, const struct tg_endpoint **out_endpoint,
                   struct tg_fail *f) TG_WARN_UNUSED;
/* `"models/x"`; {NULL,0}: no memory. */
struct tg_str tg_gemini_quote_model(struct tg_arena *a, struct tg_str model);
/* Replaces obj's "model", where it has one. */
void tg_gemini_add_model(const struct tg_gemini_body *b, const struct tg_json *obj,
                         struct tg_str quoted, struct tg_splice *edits, size_t *io_n);
/* The body with the edits made; many are made in a copy. */
int tg_gemini_splice_edits(struct tg_arena *a, const struct tg_call *call, struct tg_splice *edits,
                           size_t n, struct iovec *out_iov, int max_iov, int *out_n) TG_WARN_UNUSED;

#endif
