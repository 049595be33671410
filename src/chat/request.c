#include "chat/request.h"

#include "base/arena.h"
#include "base/assert.h"

static const struct tg_str role_names[] = {
    [TG_ROLE_SYSTEM] = TG_STR_INIT("system"), [TG_ROLE_DEVELOPER] = TG_STR_INIT("developer"),
    [TG_ROLE_USER] = TG_STR_INIT("user"),     [TG_ROLE_ASSISTANT] = TG_STR_INIT("assistant"),
    [TG_ROLE_TOOL] = TG_STR_INIT("tool"),
};

const char *tg_role_name(enum tg_role r)
{
    TG_REQUIRE((size_t)r < TG_ARRAY_LEN(role_names));
    return role_names[r].p;
}

const char *tg_task_name(enum tg_chat_task t)
{
    static const char *const names[TG_TASK_TYPES] = {"chat",   "count_tokens", "embed",
                                                     "rerank", "moderate",     "media"};
    TG_REQUIRE((size_t)t < TG_TASK_TYPES);
    return names[t];
}

bool tg_role_parse(struct tg_str s, enum tg_role *out)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(role_names); i++) {
        if (tg_str_eq(s, role_names[i])) {
            *out = (enum tg_role)i;
            return true;
        }
    }
    return false;
}

bool tg_message_text(struct tg_arena *a, const struct tg_message *m, struct tg_str *out)
{
    size_t total = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        if (m->parts[i].kind != TG_PART_TEXT)
            return false;
        total += m->parts[i].text.n;
    }
    if (m->n_parts <= 1) {
        *out = m->n_parts ? m->parts[0].text : TG_STR("");
        return true;
    }
    char *p = tg_arena_alloc(a, total ? total : 1);
    if (!p)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < m->n_parts; i++) {
        struct tg_str t = m->parts[i].text;
        if (t.n)
            memcpy(p + n, t.p, t.n);
        n += t.n;
    }
    *out = tg_str_make(p, n);
    return true;
}
