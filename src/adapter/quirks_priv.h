/* The rows behind quirks.h. Const data. */
#ifndef TG_ADAPTER_QUIRKS_PRIV_H
#define TG_ADAPTER_QUIRKS_PRIV_H

#include "adapter/quirks.h"

extern const struct tg_quirks tg_quirks_rows[];
extern const size_t tg_quirks_rows_n;

#endif
