/* Two pages that show /openapi.json to people: Swagger UI at /docs, to try the API, and Redoc at
 * /redoc, to read it. Both are whole in the binary: no page of theirs asks another host.
 * Thread rule: const data. */
#ifndef TG_ADMIN_API_DOCS_H
#define TG_ADMIN_API_DOCS_H

#include <stdbool.h>

#include "base/str.h"

struct tg_api_doc {
    const char *type; /* media type */
    struct tg_str path;
    const char *begin, *end;
    bool gzip; /* the bytes are gzip's */
};

/* NULL: no file of these pages has that path. */
const struct tg_api_doc *tg_admin_api_doc(struct tg_str path);
struct tg_str tg_admin_api_doc_bytes(const struct tg_api_doc *d);

/* The Content-Security-Policy that they can live with: this host only, styles made by scripts. */
extern const char tg_admin_api_docs_policy[];

#endif
