/* What the encoders of several formats share: requests and the parts of their bodies. Texts are the
 * arena's or the caller's. Thread rule: pure functions. */
#ifndef TG_ADAPTER_ENCODE_PRIV_H
#define TG_ADAPTER_ENCODE_PRIV_H

#include "adapter/adapter.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "chat/request.h"
#include "json/write.h"

/* ---- the HTTP request ---- */

/* POST of JSON to that path, which is the arena's. {NULL, 0}, as what had no memory gives: NOMEM.
 */
int tg_adapter_post(struct tg_str path, struct tg_adapter_request *out) TG_WARN_UNUSED;
void tg_adapter_add_header(struct tg_adapter_request *out, struct tg_str name, struct tg_str value);
/* `accept`: events, or JSON. */
void tg_adapter_add_accept(struct tg_adapter_request *out, bool stream);
/* `authorization: Bearer …`; nothing where there is no credential. */
int tg_adapter_add_bearer(struct tg_arena *a, struct tg_str credential,
                          struct tg_adapter_request *out) TG_WARN_UNUSED;
/* Both, one after the other, in the arena; {NULL, 0} without memory. */
struct tg_str tg_adapter_join(struct tg_arena *a, struct tg_str x, struct tg_str y);
/* A target's base path without slashes at its end. */
struct tg_str tg_adapter_base(const struct tg_adapter_target *target);

/* ---- its body ---- */

/* The end of an encoder that writes its body into a buffer: rc is what writing it gave. Moves the
 * text into the arena and frees the buffer. rc itself, or NOMEM. */
int tg_adapter_take_body(struct tg_arena *a, struct tg_buf *b, int rc, struct tg_str *out,
                         struct tg_fail *fail) TG_WARN_UNUSED;
/* TG_E_UNSUPPORTED_PARAMETER: a message holds `what`. */
int tg_adapter_cannot(struct tg_fail *fail, size_t message, const char *what);
/* TG_E_UNSUPPORTED_PARAMETER: tool `index` is of a type that the format does not have. */
int tg_adapter_cannot_tool(struct tg_fail *fail, size_t index, const struct tg_tool *t);
/* `data:image/png;base64,…` as a JSON string. */
void tg_adapter_write_data_url(struct tg_jw *w, const struct tg_media *m,
                               struct tg_str fallback_mime);
/* What goes between the texts of a message that becomes one text: instructions are paragraphs, a
 * result's are lines; what is said is one text, whatever pieces it came in. */
struct tg_str tg_adapter_between(enum tg_role role);
/* `"key": ["…"]` of inputs that are texts; TG_E_UNSUPPORTED_PARAMETER where one is not. */
int tg_adapter_write_texts(struct tg_jw *w, struct tg_str key, const struct tg_inputs *in,
                           struct tg_fail *fail) TG_WARN_UNUSED;

#endif
