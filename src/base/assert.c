#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*panic_hook)(void);

void tg_assert_set_panic_hook(void (*hook)(void))
{
    __atomic_store_n(&panic_hook, hook, __ATOMIC_RELEASE);
}

void tg_assert_failed(const char *kind, const char *cond, const char *file, int line)
{
    char text[512];
    int n =
        snprintf(text, sizeof(text), "tollgate: %s failed at %s:%d: %s\n", kind, file, line, cond);
    if (n > 0 &&
        write(STDERR_FILENO, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1) < 0)
        abort();
    /* Taken out first: an assertion inside the hook must not come back here for ever. */
    void (*hook)(void) = __atomic_exchange_n(&panic_hook, NULL, __ATOMIC_ACQ_REL);
    if (hook)
        hook();
    abort();
}
