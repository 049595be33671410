#include "base/assert.h"
#include "json/json_priv.h"

/* Everything here works on a text that parsed, so that a scan finds what it looks for; the bounds
 * are checked all the same, because a caller may have changed the borrowed text. */

static inline bool has_place(const yyjson_val *v)
{
    uint8_t t = tg_json_yy_type(v);
    return t == YYJSON_TYPE_STR || t == YYJSON_TYPE_RAW;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static size_t skip_space(struct tg_str text, size_t at)
{
    while (at < text.n && is_space(text.p[at]))
        at++;
    return at;
}

/* From behind one value to the next in document order there is nothing but this. */
static size_t skip_between(struct tg_str text, size_t at)
{
    while (at < text.n) {
        char c = text.p[at];
        if (!is_space(c) && c != ',' && c != ':' && c != ']' && c != '}')
            break;
        at++;
    }
    return at;
}

/* Behind the closing quote of the string that starts at `at`. Decoding never makes text longer, so
 * the quote lies at least decoded_bytes behind the opening one: no scan when nothing is escaped. */
static size_t string_end(struct tg_str text, size_t at, size_t decoded_bytes)
{
    size_t inside = at + 1;
    if (inside > text.n || decoded_bytes > text.n - inside)
        return text.n;
    size_t from = inside + decoded_bytes;
    for (;;) {
        const char *quote = memchr(text.p + from, '"', text.n - from);
        if (!quote)
            return text.n;
        size_t q = (size_t)(quote - text.p), slashes = 0;
        while (q - slashes > inside && text.p[q - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return q + 1;
        from = q + 1;
    }
}

/* Behind the first token of v, which starts at `at`: of a container that is its bracket. */
static size_t token_end(const struct tg_json_doc *doc, const yyjson_val *v, size_t at)
{
    size_t n;
    switch (tg_json_yy_type(v)) {
    case YYJSON_TYPE_STR:
        return string_end(doc->text, at, tg_json_yy_len(v));
    case YYJSON_TYPE_RAW:
        n = tg_json_yy_len(v);
        break;
    case YYJSON_TYPE_NULL:
        n = 4;
        break;
    case YYJSON_TYPE_BOOL:
        n = tg_json_true(tg_json_from_yy(v)) ? 4 : 5;
        break;
    default:
        n = 1;
    }
    return n < doc->text.n - at ? at + n : doc->text.n;
}

/* Strings and numbers point into the working copy. The others follow a value in document order,
 * and between the two there are only separators and closing brackets. */
static size_t value_at(struct tg_json_doc *doc, const yyjson_val *v)
{
    if (has_place(v))
        return (size_t)(v->uni.str - doc->copy) - (tg_json_yy_type(v) == YYJSON_TYPE_STR);
    const yyjson_val *from = v;
    while (from != doc->root && from != doc->hint && !has_place(from))
        from--;
    size_t at;
    if (from == doc->hint)
        at = doc->hint_at;
    else if (has_place(from))
        at = value_at(doc, from);
    else
        at = skip_space(doc->text, 0);
    for (; from < v; from++)
        at = skip_between(doc->text, token_end(doc, from, at));
    doc->hint = v;
    doc->hint_at = at;
    return at;
}

/* Behind a container: behind its last descendant come only the brackets of those containers that
 * end there, v's own last. */
static size_t container_end(struct tg_json_doc *doc, const yyjson_val *v, size_t at)
{
    const yyjson_val *next = tg_json_yy_next(v), *last = next - 1;
    size_t brackets = 0;
    for (const yyjson_val *c = v; c < next; c++)
        brackets += tg_json_yy_is_container(c) && tg_json_yy_next(c) == next;
    size_t end = token_end(doc, last, last == v ? at : value_at(doc, last));
    while (brackets--) {
        end = skip_space(doc->text, end);
        if (end < doc->text.n)
            end++;
    }
    return end;
}

struct tg_json_span tg_json_span(struct tg_json_doc *doc, const struct tg_json *value)
{
    const yyjson_val *v = tg_json_yy(value);
    TG_REQUIRE(v >= doc->root && v < doc->root + doc->count);
    size_t at = value_at(doc, v);
    size_t end = tg_json_yy_is_container(v) ? container_end(doc, v, at) : token_end(doc, v, at);
    return (struct tg_json_span){at, end - at};
}

struct tg_str tg_json_raw(struct tg_json_doc *doc, const struct tg_json *v)
{
    struct tg_json_span s = tg_json_span(doc, v);
    return tg_str_make(doc->text.p + s.at, s.n);
}
