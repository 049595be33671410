/* What drop.c (canonical requests) and drop_body.c (a client's own bytes) have in common. */
#ifndef TG_CHAT_DROP_PRIV_H
#define TG_CHAT_DROP_PRIV_H

#include "base/buf.h"
#include "chat/drop.h"

/* Of the features that a request uses, those that some name of the setting stands for. */
uint64_t tg_drop_features(const struct tg_drop *d, uint64_t used);
bool tg_drop_lists(const struct tg_drop *d, struct tg_str name);
/* `web_search` and its versions: web_search_20250305, web_search_preview_2025_03_11. */
bool tg_drop_is_type(struct tg_str type, struct tg_str name);
/* One more name of what was left out, fit for a header. */
void tg_drop_say(struct tg_buf *out, struct tg_str name);

#endif
