/* The models, in the form of whoever asks, commands to local ones, and in whose shape a page's
 * errors are. Thread rule: as page.h. */
#ifndef TG_SERVER_MODEL_PAGES_H
#define TG_SERVER_MODEL_PAGES_H

#include "server/page.h"

void tg_page_models(struct tg_page *p);         /* GET /v1/models */
void tg_page_model(struct tg_page *p);          /* GET /v1/models/{id} */
void tg_page_model_command(struct tg_page *p);  /* POST /v1/models/{id}/load and /unload */
void tg_page_ollama_tags(struct tg_page *p);    /* GET /api/tags */
void tg_page_ollama_ps(struct tg_page *p);      /* GET /api/ps */
void tg_page_ollama_show(struct tg_page *p);    /* POST /api/show */
void tg_page_ollama_version(struct tg_page *p); /* GET /api/version */
void tg_page_gemini_models(struct tg_page *p);  /* GET /v1beta/models */
void tg_page_gemini_model(struct tg_page *p);   /* GET /v1beta/models/{id} */

/* Errors as the clients of that path read them, or of d, whose path it is; NULL: none. */
void tg_page_choose_fail(struct tg_page *p, const struct tg_dialect *d);

#endif
