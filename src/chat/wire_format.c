#include "chat/wire_format.h"

#include "base/assert.h"
#include "base/compiler.h"

const char *tg_wire_format_name(enum tg_wire_format f)
{
    static const char *const names[TG_WIRE_FORMAT_COUNT] = {
        [TG_WIRE_NONE] = "",
#define TG_WIRE_FORMAT(ID, name) [TG_WIRE_##ID] = #name,
#include "chat/wire_formats.def"
#undef TG_WIRE_FORMAT
    };
    TG_REQUIRE((size_t)f < TG_ARRAY_LEN(names));
    return names[f];
}
