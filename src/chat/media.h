/* Media named by URLs. Thread rule: pure functions; results are views of the argument. */
#ifndef TG_CHAT_MEDIA_H
#define TG_CHAT_MEDIA_H

#include "chat/request.h"

/* "data:image/png;base64,AAAA" → mime and data (RFC 2397); anything else is a URL. */
struct tg_media tg_media_of_url(struct tg_str url);

#endif
