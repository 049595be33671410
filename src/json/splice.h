/* A new text out of an old one and a list of edits, so that a body is passed on byte for byte
 * except where something must change. Pure functions, any thread.
 *
 * An edit removes n bytes at an offset and puts text there. A list is in the order of the text and
 * its edits do not overlap; several insertions at one place keep their order. */
#ifndef TG_JSON_SPLICE_H
#define TG_JSON_SPLICE_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"
#include "json/json.h"

struct tg_splice {
    size_t at, remove;    /* offset and length in the old text */
    struct tg_str insert; /* borrowed until the splice is done (iov: until the iovecs are sent) */
};

/* Puts a list that was gathered from several objects into the order of the text (stable). */
void tg_json_splice_sort(struct tg_splice *edits, size_t n);
/* Length of the result. TG_E_INVALID_ARG: out of order, overlapping, or behind the end. */
int tg_json_splice_size(struct tg_str text, const struct tg_splice *edits, size_t n,
                        size_t *out_n) TG_WARN_UNUSED;
/* Appends the result to out. TG_E_INVALID_ARG, TG_E_FULL, TG_E_NOMEM; on failure out is as it was.
 */
int tg_json_splice(struct tg_str text, const struct tg_splice *edits, size_t n,
                   struct tg_buf *out) TG_WARN_UNUSED;
/* The result as pieces of text and edits, nothing copied, empty pieces left out; at most
 * 2 * n + 1. Returns how many, TG_E_INVALID_ARG, TG_E_FULL: more than max. */
int tg_json_splice_iov(struct tg_str text, const struct tg_splice *edits, size_t n,
                       struct iovec *out, size_t max) TG_WARN_UNUSED;

/* What should become of a member of an object. */
struct tg_json_change {
    struct tg_str key;
    struct tg_str raw; /* the new value as JSON text; {NULL,0}: the member goes */
};

/* The edits that make the changes in obj: a member that is there is replaced or removed (every one
 * of that name), one that is not is inserted in front. Commas come out right in all cases, also
 * when everything goes. Inserted text is built in the document's arena. Keys in `changes` must
 * differ. Returns the number of edits (at most 1 + number of members changed), TG_E_FULL: more
 * than max, TG_E_NOMEM, TG_E_INVALID_ARG: obj is no object. */
int tg_json_edit_members(struct tg_json_doc *doc, const struct tg_json *obj,
                         const struct tg_json_change *changes, size_t n_changes,
                         struct tg_splice *out, size_t max) TG_WARN_UNUSED;
/* One member, one edit: key is set to raw. When obj has the key twice, only the first is set (see
 * tg_json_check_duplicates). TG_E_NOMEM, TG_E_INVALID_ARG: obj is no object. */
int tg_json_edit_set_member(struct tg_json_doc *doc, const struct tg_json *obj, struct tg_str key,
                            struct tg_str raw, struct tg_splice *out) TG_WARN_UNUSED;
/* Replaces a value wherever it stands. raw is borrowed. */
struct tg_splice tg_json_edit_value(struct tg_json_doc *doc, const struct tg_json *v,
                                    struct tg_str raw);

#endif
