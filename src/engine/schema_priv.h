/* From JSON Schema to rules of a grammar whose texts are JSON values that the schema accepts.
 * What is made is always inside the schema; where a keyword can't be expressed, fewer values are
 * made (members in the schema's order, whitespace bounded, numbers of at most 15 digits), or, for
 * the few that would then allow too much (not, if, uniqueItems …), the keyword is lost: named in
 * `lost`, or with `strict` refused. One thing no grammar can see: a member that the schema does not
 * name may come twice. Nothing is ever fetched: $ref stays inside the schema.
 * Sources: JSON Schema 2020-12 core and validation, draft-07 and -04 forms, OpenAPI's nullable.
 * Thread rule: pure functions, any thread. */
#ifndef TG_ENGINE_SCHEMA_PRIV_H
#define TG_ENGINE_SCHEMA_PRIV_H

#include "engine/grammar_priv.h"

#define TG_SCHEMA_MAX_BYTES (256u << 10)

/* Adds the rules of a schema's values to `g`; *out_rule is theirs. `where` is put before the paths
 * in *f and `lost` (a list "path, path"; a buffer of few bytes is filled as far as it goes).
 * TG_E_INVALID_JSON, TG_E_INVALID_VALUE: no schema, or one that nothing matches;
 * TG_E_UNSUPPORTED_PARAMETER: a keyword that can't be held; TG_E_NOMEM. Whether something matches
 * is found out when the grammar is printed. */
int tg_schema_add(struct tg_grammar *g, struct tg_str json, struct tg_str where, bool strict,
                  struct tg_buf *lost, struct tg_fail *f, uint32_t *out_rule) TG_WARN_UNUSED;
/* Any JSON object. */
uint32_t tg_schema_any_object(struct tg_grammar *g);
/* Optional whitespace of bounded length, and at most one space. */
uint32_t tg_schema_ws(struct tg_grammar *g);

/* Prints the grammar as tg_grammar_print does, with a message for a client. */
int tg_schema_print(struct tg_grammar *g, struct tg_str where, struct tg_buf *out,
                    struct tg_fail *f) TG_WARN_UNUSED;

#endif
