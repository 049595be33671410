/* Prompt templates of /v1/generate: {{name}} is replaced by a variable's text. Names are
 * [A-Za-z0-9_.-]+, blanks around them are allowed; any other pair of braces is plain text. A value
 * is put in as it is and never looked at again. Thread rule: pure function. */
#ifndef TG_DIALECT_TEMPLATE_PRIV_H
#define TG_DIALECT_TEMPLATE_PRIV_H

#include "base/arena.h"
#include "base/fail.h"
#include "json/json.h"

#define TG_TEMPLATE_MAX_BYTES (16u * 1024 * 1024)

/* variables: an object of strings, numbers and booleans, or NULL. `prompt` ({NULL,0}: none) is the
 * variable "prompt" unless variables has one. The result is in the arena. INVALID_VALUE naming the
 * unknown variable or the limit, NOMEM. */
int tg_template_render(struct tg_arena *a, struct tg_str text, const struct tg_json *variables,
                       struct tg_str prompt, struct tg_str *out, struct tg_fail *f) TG_WARN_UNUSED;

#endif
