/* The scripted model: the answer to a conversation, from a script (config/mock_steps.h) or, without
 * one, a text of so many tokens; and its playing, one canonical event after the other. Used by
 * `backend_type: mock` and by `tollgate mock`.
 * Thread rule: pure over what is given, any thread. Ownership: everything lives in the given arena
 * and points into script, configuration and request, which must outlive it. */
#ifndef TG_CORE_MOCK_MODEL_H
#define TG_CORE_MOCK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "chat/event.h"
#include "chat/request.h"
#include "config/mock_steps.h"
#include "config/settings.h"

struct tg_mock_part {
    enum tg_part_kind kind; /* REASONING, TEXT, TOOL_CALL */
    struct tg_str text;     /* of a call: its arguments */
    struct tg_str id, name; /* TOOL_CALL */
};

struct tg_mock_answer {
    struct tg_mock_part *parts; /* NULL: the plain text that the configuration asks for */
    size_t n_parts;
    bool weave;
    struct tg_usage usage; /* source ABSENT: what was played */
    enum tg_finish finish;
};

/* The first step that fits. `tag` makes the ids of calls ("call_<tag>_1"): [A-Za-z0-9_-], different
 * for each answer. TG_E_INVALID_VALUE, saying what each step missed, when none fits; TG_E_NOMEM. */
int tg_mock_model_answer(const struct tg_mock_steps *script, const struct tg_chat_req *req,
                         struct tg_str tag, struct tg_arena *a, struct tg_mock_answer *out,
                         struct tg_fail *fail) TG_WARN_UNUSED;

enum tg_mock_stage { TG_MOCK_STARTS, TG_MOCK_DELTAS, TG_MOCK_ENDS, TG_MOCK_CLOSE };

struct tg_mock_player {
    const struct tg_mock_config *cfg;
    struct tg_mock_answer answer;
    struct tg_usage usage; /* as it will be told */
    enum tg_mock_stage stage;
    size_t *at;           /* by part: how much of it was played */
    size_t from, to, i;   /* the parts that are open together, and whose turn it is */
    uint32_t sent, limit; /* deltas; limit: where max_tokens cuts, UINT32_MAX: nowhere */
    bool cut;
};

/* `max_tokens` below 0: no limit. `input_tokens`: told unless the answer's step says it. */
int tg_mock_player_init(struct tg_mock_player *p, const struct tg_mock_config *cfg,
                        const struct tg_mock_answer *answer, int64_t max_tokens,
                        int64_t input_tokens, struct tg_arena *a) TG_WARN_UNUSED;
/* The next event: PART_START, DELTA and PART_END of all parts, then USAGE, FINISH and END; false
 * when it is over. */
bool tg_mock_player_next(struct tg_mock_player *p, struct tg_event *out);

/* `name` fits a pattern that may hold one '*'. */
bool tg_mock_name_fits(struct tg_str pattern, struct tg_str name);

#endif
