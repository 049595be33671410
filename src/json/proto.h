/* Members of Google's JSON: its parsers take each name in lowerCamelCase and as the .proto file has
 * it, in snake_case (protobuf.dev, "ProtoJSON format": parsers accept both). Thread rule: pure
 * functions; names are given in lowerCamelCase. */
#ifndef TG_JSON_PROTO_H
#define TG_JSON_PROTO_H

#include "json/json.h"

/* `name` is `camel` or its snake_case form. */
bool tg_json_proto_is(struct tg_str name, struct tg_str camel);
/* The first member of either name, NULL: absent, or obj is no object. */
const struct tg_json *tg_json_proto_get(const struct tg_json *obj, struct tg_str camel);
/* Its string, {NULL,0} when absent or not a string. */
struct tg_str tg_json_proto_str(const struct tg_json *obj, struct tg_str camel);

/* The entries of a repeated field, for tg_json_next(). Google's parser takes a single value for a
 * list of one (its own samples have `"contents":{…}`); absent and null have none. */
struct tg_json_iter tg_json_proto_list(const struct tg_json *v);
size_t tg_json_proto_count(const struct tg_json *v);
/* A number, or the text of one, which parsers accept too. TG_E_INVALID_ARG: neither. */
int tg_json_proto_i64(const struct tg_json *v, int64_t *out) TG_WARN_UNUSED;
int tg_json_proto_double(const struct tg_json *v, double *out) TG_WARN_UNUSED;

#endif
