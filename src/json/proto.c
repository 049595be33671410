#include "json/proto.h"

#include "base/err.h"
#include "base/num.h"

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

size_t tg_json_proto_count(const struct tg_json *v)
{
    return tg_json_is_arr(v) ? tg_json_count(v) : !tg_json_is_nil(v);
}

struct tg_json_iter tg_json_proto_list(const struct tg_json *v)
{
    if (tg_json_is_arr(v) || tg_json_is_nil(v))
        return tg_json_iter(v);
    return (struct tg_json_iter){.next_ = v, .left_ = 1};
}

int tg_json_proto_i64(const struct tg_json *v, int64_t *out)
{
    if (!tg_json_is_str(v))
        return tg_json_i64(v, out);
    return tg_parse_i64(tg_json_str(v), out) ? TG_E_INVALID_ARG : 0;
}

int tg_json_proto_double(const struct tg_json *v, double *out)
{
    if (!tg_json_is_str(v))
        return tg_json_double(v, out);
    return tg_parse_double(tg_json_str(v), out) ? TG_E_INVALID_ARG : 0;
}
