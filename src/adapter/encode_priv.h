/* What the encoders of several formats share. Thread rule: pure functions. */
#ifndef TG_ADAPTER_ENCODE_PRIV_H
#define TG_ADAPTER_ENCODE_PRIV_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "chat/request.h"
#include "json/write.h"

/* The end of an encoder that writes its body into a buffer: rc is what writing it gave. Moves the
 * text into the arena and frees the buffer. rc itself, or NOMEM. */
int tg_adapter_take_body(struct tg_arena *a, struct tg_buf *b, int rc, struct tg_str *out,
                         struct tg_fail *fail) TG_WARN_UNUSED;
/* TG_E_UNSUPPORTED_PARAMETER: a message holds `what`. */
int tg_adapter_cannot(struct tg_fail *fail, size_t message, const char *what);
/* `data:image/png;base64,…` as a JSON string. */
void tg_adapter_write_data_url(struct tg_jw *w, const struct tg_media *m,
                               struct tg_str fallback_mime);

#endif
