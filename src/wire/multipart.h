/* Bodies of multipart/form-data (RFC 7578, RFC 2046 5.1), whole in memory: where each part and its
 * value lies, so that one field can be read or replaced and all other bytes stay. What two readers
 * could take differently (escapes in names, bare line feeds, a boundary that goes on) is refused.
 * Views point into the body. Pure, any thread. */
#ifndef TG_WIRE_MULTIPART_H
#define TG_WIRE_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"

#define TG_MULTIPART_MAX_BOUNDARY     70 /* RFC 2046 5.1.1 */
#define TG_MULTIPART_MAX_HEADER_BYTES 8192
#define TG_MULTIPART_MAX_NAME_BYTES   256

struct tg_multipart_part {
    struct tg_str name;         /* never empty, no escapes, no control bytes */
    struct tg_str filename;     /* as sent, escapes included */
    bool has_filename;          /* it is a file, even with filename "" */
    struct tg_str content_type; /* "": none */
    struct tg_str value;        /* its bytes; body.p + offset */
};

/* The boundary in a Content-Type of multipart/form-data. TG_E_MEDIA_TYPE: another type;
 * TG_E_BAD_REQUEST: no boundary, two of them, or a malformed one. f may be NULL. */
int tg_multipart_boundary(struct tg_str content_type, struct tg_str *out,
                          struct tg_fail *f) TG_WARN_UNUSED;

/* The body's parts in order: returns how many. TG_E_BAD_REQUEST, saying what is wrong with which
 * part, also for more than `max` parts; nothing is allocated. f may be NULL. */
int tg_multipart_parse(struct tg_str body, struct tg_str boundary, struct tg_multipart_part *parts,
                       size_t max, struct tg_fail *f) TG_WARN_UNUSED;

/* The one part of that name: 1, 0 when there is none, TG_E_DUPLICATE_KEY when there are several. */
int tg_multipart_get(const struct tg_multipart_part *parts, size_t n, struct tg_str name,
                     const struct tg_multipart_part **out, struct tg_fail *f) TG_WARN_UNUSED;

#endif
