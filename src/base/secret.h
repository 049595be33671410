/* A secret (provider key, TLS password): own allocation, kept out of core files where the system
 * can (MADV_DONTDUMP), zeroed when freed, printed as "***" by type. Any thread, const after new. */
#ifndef TG_BASE_SECRET_H
#define TG_BASE_SECRET_H

#include "base/compiler.h"
#include "base/str.h"

struct tg_secret;
struct tg_secret *tg_secret_new(struct tg_str value) TG_WARN_UNUSED; /* copies; NULL: no memory */
void tg_secret_free(struct tg_secret *s);                            /* NULL is allowed */
/* The bytes, for the one place that writes them to a socket. Valid until free. */
struct tg_str tg_secret_reveal(const struct tg_secret *s);
static inline const char *tg_secret_print(const struct tg_secret *s)
{
    return s ? "***" : "";
}
void tg_secret_wipe(void *p, size_t n); /* zeroing that the compiler keeps */

#endif
