#include <errno.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/err.h"
#include "store/store_priv.h"

int tg_store_make_folder(struct tg_str path, struct tg_fail *fail)
{
    char *p = tg_str_dup_c(path);
    if (!p)
        return tg_fail_set(fail, TG_E_NOMEM, "out of memory");
    int rc = 0;
    for (char *slash = strchr(p + 1, '/'); slash && rc == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(p, 0700) < 0 && errno != EEXIST)
            rc = tg_fail_set(fail, TG_E_STORE, "cannot make the folder %s: %s", p, strerror(errno));
        *slash = '/';
    }
    tg_free(p);
    return rc;
}
