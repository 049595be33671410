/* The document behind json.h: yyjson's values, the working copy that they point into, and the
 * original text. struct tg_json is yyjson_val under another name. Thread rule: as json.h. */
#ifndef TG_JSON_JSON_PRIV_H
#define TG_JSON_JSON_PRIV_H

#include <yyjson.h>

#include "json/json.h"

struct tg_json_doc {
    struct tg_str text; /* borrowed */
    const char *copy;   /* parsed in place: a string's pointer minus this is its offset */
    const yyjson_val *root;
    size_t count; /* values from root on, in document order, without gaps */
    struct tg_arena *arena;
    /* The last value without a place of its own whose offset was worked out, so that going through
     * an array of nulls is not quadratic. */
    const yyjson_val *hint;
    size_t hint_at;
};

static inline const yyjson_val *tg_json_yy(const struct tg_json *v)
{
    return (const yyjson_val *)(const void *)v;
}
static inline const struct tg_json *tg_json_from_yy(const yyjson_val *v)
{
    return (const struct tg_json *)(const void *)v;
}
static inline uint8_t tg_json_yy_type(const yyjson_val *v)
{
    return (uint8_t)(v->tag & YYJSON_TYPE_MASK);
}
static inline size_t tg_json_yy_len(const yyjson_val *v)
{
    return (size_t)(v->tag >> YYJSON_TAG_BIT);
}
static inline bool tg_json_yy_is_container(const yyjson_val *v)
{
    return tg_json_yy_type(v) >= YYJSON_TYPE_ARR;
}
/* The value behind v and all that is in it. */
static inline const yyjson_val *tg_json_yy_next(const yyjson_val *v)
{
    if (!tg_json_yy_is_container(v))
        return v + 1;
    return (const yyjson_val *)(const void *)((const char *)v + v->uni.ofs);
}

#endif
