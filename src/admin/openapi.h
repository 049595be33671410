/* The description of the gateway's own API as an OpenAPI 3.1 document, written from rows that say
 * what is routed. Schemas are the embedded file openapi_schemas.json, which the rows name.
 * Thread rule: pure functions, any thread; everything given is borrowed for the call.
 * Source: OpenAPI Specification 3.1.1, JSON Schema draft 2020-12. */
#ifndef TG_ADMIN_OPENAPI_H
#define TG_ADMIN_OPENAPI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "base/str.h"

/* One method of one path. Rows of the same path and method are one operation that takes and gives
 * what any of them does. NULL: there is none. */
struct tg_api_row {
    const char *method;  /* "get" */
    struct tg_str path;  /* with {names}; each is a path parameter of the document */
    const char *summary; /* one line */
    const char *tag;     /* what the operation is shown under: "Anthropic" */
    /* Names of schemas: the request, the single answer, an event or line of a stream, errors. */
    const char *takes, *gives, *streams, *fails;
    const char *query;       /* names of query parameters, a space between two */
    const char *statuses;    /* of good answers, a space between two; NULL: 200 */
    const char *type;        /* media type of an answer that is no JSON */
    const char *stream_type; /* with streams */
    bool multipart;          /* takes multipart/form-data, too */
    bool model;              /* a model answers: it has the headers that tell which, and how */
};

/* The whole document, appended. TG_E_NOMEM. */
int tg_admin_openapi(const struct tg_api_row *rows, size_t n, struct tg_buf *out) TG_WARN_UNUSED;

/* The embedded schemas: one JSON object, names and schemas. */
struct tg_str tg_admin_schemas(void);

#endif
