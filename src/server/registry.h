/* The one list of what this binary speaks: client dialects, upstream adapters, backends. Adding one
 * is a line here. Thread rule: const data. */
#ifndef TG_SERVER_REGISTRY_H
#define TG_SERVER_REGISTRY_H

#include "core/runtime.h"

extern const struct tg_registry tg_server_registry;

/* Gives a worker's runtime its HTTP and mock backends; local ones come with the engine. */
void tg_server_install_backends(struct tg_runtime *rt);

#endif
