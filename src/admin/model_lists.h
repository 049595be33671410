/* The models as clients of Ollama and of Google's API ask for them. What a provider's model can do
 * is not known here: every one is said to complete and to take tools, which is translated.
 * A wildcard is no model, so it is in none of the lists.
 * Thread rule: as view.h. Shapes: Ollama's client library (interfaces ListResponse, ShowResponse);
 * ai.google.dev/api/models. All fail with TG_E_NOMEM. */
#ifndef TG_ADMIN_MODEL_LISTS_H
#define TG_ADMIN_MODEL_LISTS_H

#include "admin/view.h"

/* The version of Ollama's API that is spoken: clients refuse servers that are too old for them. */
#define TG_OLLAMA_API_VERSION "0.12.6"

/* GET /api/tags: all of them. */
int tg_admin_ollama_tags(const struct tg_admin_view *v, struct tg_buf *out) TG_WARN_UNUSED;
/* GET /api/ps: the local ones that are in memory. */
int tg_admin_ollama_ps(const struct tg_admin_view *v, struct tg_buf *out) TG_WARN_UNUSED;
/* POST /api/show: body is {"model":"…"}, or "name" as it was called before. TG_E_MODEL_NOT_FOUND,
 * TG_E_MISSING_FIELD, and what tg_json_parse() says. */
int tg_admin_ollama_show(const struct tg_admin_view *v, struct tg_arena *a, struct tg_str body,
                         struct tg_buf *out, struct tg_fail *fail) TG_WARN_UNUSED;

/* GET /v1beta/models, in one page. */
int tg_admin_gemini_models(const struct tg_admin_view *v, struct tg_buf *out) TG_WARN_UNUSED;
/* GET /v1beta/models/{id}: TG_E_MODEL_NOT_FOUND. */
int tg_admin_gemini_model(const struct tg_admin_view *v, struct tg_str id, struct tg_buf *out,
                          struct tg_fail *fail) TG_WARN_UNUSED;

#endif
