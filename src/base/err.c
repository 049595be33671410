#include "base/err.h"

static const struct tg_err_info table[] = {
#define TG_ERR(name, status, type, code, retry, breaker, text) \
    {#name, status, type, code, retry, breaker, text},
#include "base/err.def"
#undef TG_ERR
};

static const struct tg_err_info ok_info = {"OK", 200, "", "ok", false, false, "no error"};

const struct tg_err_info *tg_err_info(int err)
{
    if (err >= 0)
        return &ok_info;
    if (err <= TG_E_FIRST || err >= TG_E_LAST)
        err = TG_E_INTERNAL;
    return &table[err - TG_E_FIRST - 1];
}
