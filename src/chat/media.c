#include "chat/media.h"

struct tg_media tg_media_of_url(struct tg_str url)
{
    struct tg_media m = {.source = TG_MEDIA_URL, .mime = TG_STR(""), .data = url};
    if (!tg_str_istarts(url, TG_STR("data:")))
        return m;
    ptrdiff_t comma = tg_str_chr(url, ',');
    if (comma < 0)
        return m;
    struct tg_str head = tg_str_make(url.p + 5, (size_t)comma - 5);
    if (!tg_str_ends(head, TG_STR(";base64")))
        return m;
    head.n -= 7;
    ptrdiff_t semicolon = tg_str_chr(head, ';');
    m.source = TG_MEDIA_INLINE;
    m.mime = semicolon < 0 ? head : tg_str_first(head, (size_t)semicolon);
    m.data = tg_str_from(url, (size_t)comma + 1);
    return m;
}
