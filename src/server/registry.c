#include "server/registry.h"

#include "adapter/adapter.h"
#include "dialect/dialect.h"

static const struct tg_dialect *const dialects[] = {
#define TG_DIALECT(name) &tg_dialect_##name,
#include "dialect/dialects.def"
#undef TG_DIALECT
};

const struct tg_registry tg_server_registry = {
    .dialects = dialects,
    .n_dialects = TG_ARRAY_LEN(dialects),
};

#define TG_NO_ADAPTER     NULL
#define TG_ADAPTER(a)     &tg_adapter_##a
#define TG_ADAPTERS(a, b) &tg_adapter_##a, &tg_adapter_##b

static const struct {
    enum tg_backend_kind kind;
    const struct tg_adapter *adapters[3]; /* ended by NULL */
} backends[] = {
#define TG_BACKEND(ID, name, adapters, ...) {TG_BACKEND_##ID, {adapters}},
#include "config/backends.def"
#undef TG_BACKEND
};

/* The local engine is installed by each worker itself (engine_models.c). */
void tg_server_install_backends(struct tg_runtime *rt)
{
    tg_runtime_set_backend(rt, TG_BACKEND_MOCK, &tg_backend_mock_ops, NULL, NULL);
    for (size_t i = 0; i < TG_ARRAY_LEN(backends); i++) {
        if (backends[i].adapters[0])
            tg_runtime_set_backend(rt, backends[i].kind, &tg_backend_http_ops, NULL,
                                   backends[i].adapters);
    }
}
