/* Whether two JSON texts say the same: members in any order, numbers by value; null, an empty
 * array and absence are alike. Include after check.h; link json. */
#ifndef TG_TEST_JSON_EQUAL_H
#define TG_TEST_JSON_EQUAL_H

#include "json/json.h"

static inline bool json_nothing(const struct tg_json *v)
{
    return tg_json_is_nil(v) || (tg_json_is_arr(v) && tg_json_count(v) == 0);
}

static inline bool json_equal(const struct tg_json *a, const struct tg_json *b);

/* Member by member in the same order, which also tells apart members of one name. */
static inline bool json_same_members(const struct tg_json *a, const struct tg_json *b)
{
    struct tg_json_iter it = tg_json_iter(a), jt = tg_json_iter(b);
    if (tg_json_count(a) != tg_json_count(b))
        return false;
    while (tg_json_next(&it) && tg_json_next(&jt)) {
        if (!tg_str_eq(it.name, jt.name) || !json_equal(it.value, jt.value))
            return false;
    }
    return true;
}

static inline bool json_equal(const struct tg_json *a, const struct tg_json *b)
{
    if (json_nothing(a) && json_nothing(b))
        return true;
    if (tg_json_type(a) != tg_json_type(b))
        return false;
    double x, y;
    struct tg_json_iter it = tg_json_iter(a), jt = tg_json_iter(b);
    switch (tg_json_type(a)) {
    case TG_JSON_STRING:
        return tg_str_eq(tg_json_str(a), tg_json_str(b));
    case TG_JSON_NUMBER:
        if (tg_str_eq(tg_json_num(a), tg_json_num(b)))
            return true;
        return tg_json_double(a, &x) == 0 && tg_json_double(b, &y) == 0 && x == y;
    case TG_JSON_ARRAY:
        if (tg_json_count(a) != tg_json_count(b))
            return false;
        while (tg_json_next(&it) && tg_json_next(&jt)) {
            if (!json_equal(it.value, jt.value))
                return false;
        }
        return true;
    case TG_JSON_OBJECT:
        if (json_same_members(a, b))
            return true;
        while (tg_json_next(&it)) {
            if (!json_equal(it.value, tg_json_get(b, it.name)))
                return false;
        }
        while (tg_json_next(&jt)) {
            if (!json_equal(tg_json_get(a, jt.name), jt.value))
                return false;
        }
        return true;
    case TG_JSON_BOOL:
        return tg_json_true(a) == tg_json_true(b);
    case TG_JSON_ABSENT:
    case TG_JSON_NULL:
        break;
    }
    return true;
}

#endif
