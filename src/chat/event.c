#include "chat/event.h"

#include "base/assert.h"
#include "base/compiler.h"

const char *tg_finish_name(enum tg_finish f)
{
    static const char *const names[] = {
        [TG_FINISH_STOP] = "stop",
        [TG_FINISH_LENGTH] = "length",
        [TG_FINISH_TOOL_CALLS] = "tool_calls",
        [TG_FINISH_CONTENT_FILTER] = "content_filter",
        [TG_FINISH_OTHER] = "other",
    };
    TG_REQUIRE((size_t)f < TG_ARRAY_LEN(names));
    return names[f];
}
