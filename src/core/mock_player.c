/* An answer of the scripted model as a stream: texts word by word, arguments in small pieces. */
#include "base/err.h"
#include "base/utf8.h"
#include "core/mock_model.h"
#include "core/mock_script.h"

#define ARGUMENT_BYTES 9

static bool is_plain(const struct tg_mock_player *p)
{
    return !p->answer.parts;
}

static size_t part_count(const struct tg_mock_player *p)
{
    return is_plain(p) ? 1 : p->answer.n_parts;
}

static enum tg_part_kind kind_of(const struct tg_mock_player *p, size_t part)
{
    return is_plain(p) ? TG_PART_TEXT : p->answer.parts[part].kind;
}

/* Parts that are open at the same time: the calls of an answer that weaves, else one. */
static size_t group_end(const struct tg_mock_player *p, size_t from)
{
    size_t to = from + 1;
    while (p->answer.weave && kind_of(p, from) == TG_PART_TOOL_CALL && to < part_count(p))
        to++;
    return to;
}

static bool is_boundary(struct tg_str text, size_t at)
{
    return at >= text.n || ((unsigned char)text.p[at] & 0xC0) != 0x80;
}

/* The next piece of a part that has begun; "" at its end. `at` counts bytes, of plain text words.
 */
static struct tg_str piece_at(const struct tg_mock_player *p, size_t part, size_t at)
{
    if (is_plain(p))
        return at < tg_mock_script_tokens(p->cfg) ? tg_mock_script_token(p->cfg, (uint32_t)at)
                                                  : TG_STR("");
    struct tg_str text = p->answer.parts[part].text;
    size_t end = at;
    if (kind_of(p, part) != TG_PART_TOOL_CALL)
        return tg_mock_script_word(text, at);
    end += ARGUMENT_BYTES;
    while (!is_boundary(text, end))
        end++;
    return tg_str_first(tg_str_from(text, at), end - at);
}

static size_t step_of(const struct tg_mock_player *p, struct tg_str piece)
{
    return is_plain(p) ? 1 : piece.n;
}

static uint32_t count_pieces(const struct tg_mock_player *p, size_t part)
{
    struct tg_str piece;
    uint32_t n = 0;
    if (is_plain(p))
        return tg_mock_script_tokens(p->cfg);
    for (size_t at = 0; (piece = piece_at(p, part, at)).n; at += piece.n)
        n++;
    return n;
}

int tg_mock_player_init(struct tg_mock_player *p, const struct tg_mock_config *cfg,
                        const struct tg_mock_answer *answer, int64_t max_tokens,
                        int64_t input_tokens, struct tg_arena *a)
{
    uint64_t total = 0;
    *p = (struct tg_mock_player){.cfg = cfg, .answer = *answer, .limit = UINT32_MAX};
    p->at = tg_arena_array(a, part_count(p) + 1, sizeof *p->at);
    if (!p->at)
        return TG_E_NOMEM;
    for (size_t i = 0; i < part_count(p); i++)
        total += count_pieces(p, i);
    p->cut = max_tokens >= 0 && (uint64_t)max_tokens < total;
    if (p->cut)
        p->limit = (uint32_t)max_tokens;
    p->usage = answer->usage;
    if (p->usage.source == TG_USAGE_ABSENT)
        p->usage = (struct tg_usage){.source = TG_USAGE_REPORTED, .input_tokens = input_tokens};
    return 0;
}

static bool emit_part(const struct tg_mock_player *p, enum tg_event_kind kind, size_t part,
                      struct tg_event *out)
{
    *out = (struct tg_event){.kind = kind, .part = (uint32_t)part, .part_kind = kind_of(p, part)};
    if (out->part_kind == TG_PART_TOOL_CALL && kind == TG_EV_PART_START) {
        out->id = p->answer.parts[part].id;
        out->name = p->answer.parts[part].name;
    }
    return true;
}

static enum tg_delta_kind delta_of(enum tg_part_kind k)
{
    if (k == TG_PART_TOOL_CALL)
        return TG_DELTA_ARGUMENTS;
    return k == TG_PART_REASONING ? TG_DELTA_REASONING : TG_DELTA_TEXT;
}

/* Tokens are told as they are played, unless the script says how many they were. */
static void count_delta(struct tg_mock_player *p, enum tg_part_kind kind)
{
    p->sent++;
    if (p->answer.usage.source != TG_USAGE_ABSENT)
        return;
    if (kind == TG_PART_REASONING)
        p->usage.reasoning_tokens++;
    else
        p->usage.output_tokens++;
}

/* The next piece of the open parts, by turns; false when there is none left. */
static bool emit_delta(struct tg_mock_player *p, struct tg_event *out)
{
    if (p->sent == p->limit)
        return false;
    for (size_t tried = p->from; tried < p->to; tried++) {
        size_t part = p->i;
        struct tg_str piece = piece_at(p, part, p->at[part]);
        p->i = part + 1 < p->to ? part + 1 : p->from;
        if (piece.n == 0)
            continue;
        p->at[part] += step_of(p, piece);
        (void)emit_part(p, TG_EV_DELTA, part, out);
        out->delta_kind = delta_of(out->part_kind);
        out->text = piece;
        count_delta(p, out->part_kind);
        return true;
    }
    return false;
}

static bool emit_close(struct tg_mock_player *p, struct tg_event *out)
{
    static const enum tg_event_kind kinds[] = {TG_EV_USAGE, TG_EV_FINISH, TG_EV_END};
    if (p->i == TG_ARRAY_LEN(kinds))
        return false;
    *out = (struct tg_event){.kind = kinds[p->i++]};
    if (out->kind == TG_EV_USAGE)
        out->usage = &p->usage;
    if (out->kind == TG_EV_FINISH) {
        out->finish = p->cut ? TG_FINISH_LENGTH : p->answer.finish;
        out->text = tg_str_c(tg_finish_name(out->finish));
    }
    return true;
}

static void to_stage(struct tg_mock_player *p, enum tg_mock_stage stage, size_t i)
{
    p->stage = stage;
    p->i = i;
}

bool tg_mock_player_next(struct tg_mock_player *p, struct tg_event *out)
{
    for (;;) {
        switch (p->stage) {
        case TG_MOCK_STARTS:
            if (p->from == part_count(p) || (p->cut && p->sent == p->limit && p->from)) {
                to_stage(p, TG_MOCK_CLOSE, 0);
                break;
            }
            p->to = group_end(p, p->from);
            if (p->i < p->to)
                return emit_part(p, TG_EV_PART_START, p->i++, out);
            to_stage(p, TG_MOCK_DELTAS, p->from);
            break;
        case TG_MOCK_DELTAS:
            if (emit_delta(p, out))
                return true;
            to_stage(p, TG_MOCK_ENDS, p->from);
            break;
        case TG_MOCK_ENDS:
            if (p->i < p->to)
                return emit_part(p, TG_EV_PART_END, p->i++, out);
            p->from = p->to;
            to_stage(p, TG_MOCK_STARTS, p->from);
            break;
        case TG_MOCK_CLOSE:
            return emit_close(p, out);
        }
    }
}
