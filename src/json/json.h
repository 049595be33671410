/* Reading JSON: strict RFC 8259 text into values that live in an arena, with the place of every
 * value in the original text. Numbers are kept as text, so that none is lost or rounded.
 *
 * Thread rule: a document is one thread's. Ownership: everything lives in the arena given to
 * tg_json_parse(); the text is borrowed and must live, unchanged, as long as the document when
 * spans or raw text are asked for. Strings handed out (struct tg_str) point into the arena and
 * may hold NUL bytes ("\u0000").
 *
 * Memory: about text + 4 bytes for the working copy, and 16 bytes a value; the arena's cap must
 * leave room for 4 * text + 1 KiB (the parser's first guess; most of it is given back or never
 * touched). */
#ifndef TG_JSON_JSON_H
#define TG_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

struct tg_json;     /* a value; always const */
struct tg_json_doc; /* a parsed text */

enum { TG_JSON_MAX_DEPTH = 512 }; /* ceiling of tg_json_limits.max_depth */

struct tg_json_limits {
    unsigned max_depth;      /* of arrays and objects; 0: 128 */
    size_t max_values;       /* keys count too; 0: 100,000 per MB of text, at least 100,000 */
    size_t max_string_bytes; /* of one decoded string or number; 0: 16 MiB */
};

/* Parses the whole text. l and f may be NULL. TG_E_INVALID_JSON (message with the byte offset;
 * also for a BOM, invalid UTF-8, an unpaired \u surrogate, trailing bytes, comments, NaN),
 * TG_E_JSON_TOO_DEEP, TG_E_JSON_TOO_LARGE, TG_E_NOMEM. */
int tg_json_parse(struct tg_arena *a, struct tg_str text, const struct tg_json_limits *l,
                  struct tg_json_doc **out, struct tg_fail *f) TG_WARN_UNUSED;
const struct tg_json *tg_json_root(const struct tg_json_doc *doc); /* never NULL */
struct tg_str tg_json_text(const struct tg_json_doc *doc);         /* as given to parse */
size_t tg_json_value_count(const struct tg_json_doc *doc);

/* ---- values. NULL is allowed everywhere and reads as "absent". ---- */

enum tg_json_type {
    TG_JSON_ABSENT = 0, /* no such value (NULL) */
    TG_JSON_NULL,
    TG_JSON_BOOL,
    TG_JSON_NUMBER,
    TG_JSON_STRING,
    TG_JSON_ARRAY,
    TG_JSON_OBJECT,
};

enum tg_json_type tg_json_type(const struct tg_json *v);
const char *tg_json_type_name(enum tg_json_type t); /* "object", …, for messages */
static inline bool tg_json_is_str(const struct tg_json *v)
{
    return tg_json_type(v) == TG_JSON_STRING;
}
static inline bool tg_json_is_num(const struct tg_json *v)
{
    return tg_json_type(v) == TG_JSON_NUMBER;
}
static inline bool tg_json_is_obj(const struct tg_json *v)
{
    return tg_json_type(v) == TG_JSON_OBJECT;
}
static inline bool tg_json_is_arr(const struct tg_json *v)
{
    return tg_json_type(v) == TG_JSON_ARRAY;
}
static inline bool tg_json_is_bool(const struct tg_json *v)
{
    return tg_json_type(v) == TG_JSON_BOOL;
}
/* null, or not there at all: most APIs treat the two alike. */
static inline bool tg_json_is_nil(const struct tg_json *v)
{
    return tg_json_type(v) <= TG_JSON_NULL;
}

/* The decoded string; {NULL,0} when v is not one (an empty string has a non-NULL p). */
struct tg_str tg_json_str(const struct tg_json *v);
bool tg_json_str_is(const struct tg_json *v, struct tg_str s); /* a string equal to s */
/* The number as it was written; {NULL,0} when v is not one. */
struct tg_str tg_json_num(const struct tg_json *v);
/* A whole number ("5", "5.0", "5e2"). TG_E_INVALID_ARG: not a number, or has a fraction;
 * TG_E_RANGE: does not fit, or is beyond 2^53 and not written as an integer. */
int tg_json_i64(const struct tg_json *v, int64_t *out) TG_WARN_UNUSED;
/* TG_E_INVALID_ARG: not a number; TG_E_RANGE: 1e400. */
int tg_json_double(const struct tg_json *v, double *out) TG_WARN_UNUSED;
int tg_json_bool(const struct tg_json *v, bool *out) TG_WARN_UNUSED; /* TG_E_INVALID_ARG */
bool tg_json_true(const struct tg_json *v);                          /* is the literal true */

/* Members of an object or elements of an array; 0 for everything else. */
size_t tg_json_count(const struct tg_json *v);
/* The first member of that name, NULL: absent or obj is no object. Linear: an object with many
 * wanted members is better iterated once. */
const struct tg_json *tg_json_get(const struct tg_json *obj, struct tg_str key);
/* The string member, {NULL,0} when absent or not a string. */
struct tg_str tg_json_get_str(const struct tg_json *obj, struct tg_str key);
/* get(get(obj, a), b). */
const struct tg_json *tg_json_get2(const struct tg_json *obj, struct tg_str a, struct tg_str b);
/* The i-th element, NULL: none. Linear in i: iterate instead of counting up. */
const struct tg_json *tg_json_at(const struct tg_json *arr, size_t i);

/* Iteration over both kinds of container, in the order of the text; a value of another type has no
 * entries:
 *     struct tg_json_iter it = tg_json_iter(v);
 *     while (tg_json_next(&it)) use(it.name, it.value); */
struct tg_json_iter {
    const struct tg_json *key;   /* object: the key as a value (for its span); array: NULL */
    struct tg_str name;          /* object: the key's text */
    const struct tg_json *value; /* never NULL after tg_json_next() returned true */
    size_t index;                /* of this entry */
    const struct tg_json *next_;
    size_t left_;
    bool object_;
};
struct tg_json_iter tg_json_iter(const struct tg_json *v);
bool tg_json_next(struct tg_json_iter *it);

/* ---- duplicates ---- */

/* TG_E_DUPLICATE_KEY naming the key when obj has a member twice. O(members), also against keys
 * chosen to collide. `where` is put before the key in fail's param ("messages[3]"; "" at the top).
 * TG_E_NOMEM. Anything but an object passes. */
int tg_json_check_duplicates(const struct tg_json *obj, const char *where,
                             struct tg_fail *f) TG_WARN_UNUSED;
/* The same for the root and, where it has a member `list` ("messages") that is an array, for every
 * object directly in it. */
int tg_json_check_request(const struct tg_json_doc *doc, struct tg_str list,
                          struct tg_fail *f) TG_WARN_UNUSED;

/* ---- where things stand in the original text ---- */

struct tg_json_span {
    size_t at, n; /* byte offset and length in tg_json_text() */
};

/* The value's own text: a string or key with its quotes, a container with its brackets. v must be
 * of this document. Cheap for members of objects; the values of an array are cheap in order. */
struct tg_json_span tg_json_span(struct tg_json_doc *doc, const struct tg_json *v);
/* The same as text, byte for byte as the sender wrote it. */
struct tg_str tg_json_raw(struct tg_json_doc *doc, const struct tg_json *v);

#endif
