/* From a request's path to who answers it: an exchange, or one of the operator's pages. Refused
 * requests get their error in the one shape here as well.
 * Thread rule: the worker's thread. */
#ifndef TG_SERVER_ROUTER_H
#define TG_SERVER_ROUTER_H

#include "net/http_server.h"

/* ctx of both is a struct tg_worker. */
extern const struct tg_http_server_ops tg_router_ops;

#endif
