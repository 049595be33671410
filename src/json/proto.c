#include "json/proto.h"

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool tg_json_proto_is(struct tg_str name, struct tg_str camel)
{
    if (name.n < camel.n)
        return false;
    if (name.n == camel.n)
        return memcmp(name.p, camel.p, name.n) == 0;
    size_t k = 0;
    for (size_t i = 0; i < camel.n; i++, k++) {
        char c = camel.p[i];
        if (is_upper(c)) {
            if (k >= name.n || name.p[k++] != '_')
                return false;
            c = (char)(c - 'A' + 'a');
        }
        if (k >= name.n || name.p[k] != c)
            return false;
    }
    return k == name.n;
}

const struct tg_json *tg_json_proto_get(const struct tg_json *obj, struct tg_str camel)
{
    if (!tg_json_is_obj(obj))
        return NULL;
    struct tg_json_iter it = tg_json_iter(obj);
    while (tg_json_next(&it)) {
        if (tg_json_proto_is(it.name, camel))
            return it.value;
    }
    return NULL;
}

struct tg_str tg_json_proto_str(const struct tg_json *obj, struct tg_str camel)
{
    return tg_json_str(tg_json_proto_get(obj, camel));
}
