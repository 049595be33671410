/* What clients of /v1/responses ask about answers that were kept: the answer, its input, its
 * deletion. Thread rule: the worker's thread. */
#ifndef TG_SERVER_RESPONSE_PAGES_H
#define TG_SERVER_RESPONSE_PAGES_H

#include "server/page.h"

void tg_page_response(struct tg_page *p);       /* GET and DELETE /v1/responses/{id} */
void tg_page_response_items(struct tg_page *p); /* GET /v1/responses/{id}/input_items */
void tg_page_response_cancel(struct tg_page *p);
/* GET /v1/responses is how a WebSocket begins: refused so that the client goes on without. */
void tg_page_response_upgrade(struct tg_page *p);

#endif
