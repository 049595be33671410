/* The Responses dialect's own parts: input, options, opaque state, the answer's JSON.
 * Thread rule: as dialect.h.
 *
 * A part's `raw` is the whole item that it came from; the parts of one item share it (the same
 * pointer), so that an encoder for this format writes an item once and byte for byte. A part whose
 * raw begins with a quote is an `input` that was but a string. */
#ifndef TG_DIALECT_RESPONSES_PRIV_H
#define TG_DIALECT_RESPONSES_PRIV_H

#include "chat/collect.h"
#include "dialect/body_priv.h"
#include "dialect/dialect.h"
#include "dialect/responses.h"

#define TG_RESPONSES_MAX_ITEMS 10000

/* ---- in (responses_input.c, responses_options.c) ---- */

/* Instructions, kept history and input as messages. MISSING_FIELD, INVALID_VALUE and
 * UNSUPPORTED_PARAMETER with the item's path, NOMEM. */
int tg_responses_parse_input(struct tg_arena *a, const struct tg_call *call,
                             struct tg_chat_req *out, struct tg_fail *f) TG_WARN_UNUSED;
/* Tools, tool_choice, text, reasoning, include. */
int tg_responses_parse_options(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                               struct tg_fail *f) TG_WARN_UNUSED;

/* How the request calls a tool that a model knows by one name. */
struct tg_responses_tool {
    struct tg_str space; /* of a namespace; "" if none */
    struct tg_str name;
    bool custom; /* takes free text: emulated by a function with the one string `input` */
};
/* The tool that canonical requests call `name`; one that the request does not have is a function of
 * that name. */
void tg_responses_find_tool(const struct tg_body *b, struct tg_str name,
                            struct tg_responses_tool *out);
/* "space__name", or name alone. {NULL,0}: no memory. */
struct tg_str tg_responses_tool_name(struct tg_arena *a, struct tg_str space, struct tg_str name);

/* ---- opaque state (responses_opaque.c) ---- */

/* A reasoning item's encrypted_content for a signature of any kind: OpenAI's own as it is, another
 * provider's marked and in base64: "tgs1." + base64url(one letter for the kind, the bytes). */
void tg_responses_seal(enum tg_opaque_kind kind, struct tg_str bytes, bool of_text,
                       struct tg_buf *out);
/* The reverse. *out_of_text: it belongs to the text before the item, not to reasoning. NOMEM. */
int tg_responses_unseal(struct tg_arena *a, struct tg_str sealed, enum tg_opaque_kind *out_kind,
                        struct tg_str *out_bytes, bool *out_of_text) TG_WARN_UNUSED;

/* ---- out (responses_render.c: the answer; responses_stream.c: its items; responses_event.c:
 * events; responses_items.c, responses_write.c: JSON) ---- */

enum tg_responses_kind {
    TG_RESPONSES_MESSAGE,
    TG_RESPONSES_REASONING,
    TG_RESPONSES_FUNCTION,
    TG_RESPONSES_CUSTOM,
    TG_RESPONSES_IMAGE,
    TG_RESPONSES_RAW,
    TG_RESPONSES_TEXT_STATE, /* a reasoning item that only keeps a text's signature */
};

/* One item of the answer and how far it has been told. */
struct tg_responses_item {
    enum tg_responses_kind kind;
    bool closed;
    bool part_open;            /* a content or summary part was added and is not done */
    uint32_t part, n_parts;    /* canonical parts that it is made of, following each other */
    struct tg_str id, call_id; /* in the arena */
    struct tg_responses_tool tool;
};

enum tg_responses_state {
    TG_RESPONSES_NEW,
    TG_RESPONSES_BEGUN, /* response.created and in_progress are out */
    TG_RESPONSES_OVER,  /* completed, incomplete or failed */
};

struct tg_responses_render {
    enum tg_responses_state state;
    uint64_t seq; /* next sequence_number */
    struct tg_str id, tail;
    struct tg_responses_item *items;
    size_t n_items, cap_items;
    struct tg_collect collect;
    struct tg_responses_answer answer;
    struct tg_str service_tier;
};

/* The canonical part, NULL when there is none. */
const struct tg_collect_part *tg_responses_part(const struct tg_responses_render *r, uint32_t part);
/* One item as it is now (`status` of it), or as it is when added: with nothing in it. */
int tg_responses_write_item(const struct tg_responses_render *r, const struct tg_responses_item *it,
                            struct tg_str status, bool empty, struct tg_buf *out) TG_WARN_UNUSED;
/* A content part of a message: output_text or refusal. `empty`: before its first delta. */
int tg_responses_write_content(const struct tg_responses_render *r, uint32_t part, bool empty,
                               struct tg_buf *out) TG_WARN_UNUSED;
void tg_responses_write_annotation(const struct tg_citation *c, struct tg_buf *out);
/* The `logprobs` array of a delta or a part, from chat completions' object. */
int tg_responses_write_logprobs(struct tg_str chat, struct tg_buf *out) TG_WARN_UNUSED;
/* The text that a custom tool's call has for input. */
void tg_responses_write_custom_input(struct tg_str arguments, struct tg_buf *out);

struct tg_responses_end {
    struct tg_str status; /* "in_progress", "completed", "incomplete", "failed" */
    struct tg_str reason; /* incomplete_details.reason, "" if none */
    const struct tg_fail *fail;
    const struct tg_usage *usage;
};
/* The response object. *out_output: where `output` stands in what was appended. */
int tg_responses_write_response(const struct tg_responses_render *r,
                                const struct tg_render_info *info,
                                const struct tg_responses_end *end, struct tg_buf *out,
                                size_t *out_at, size_t *out_n) TG_WARN_UNUSED;

/* One rendering, one canonical event. */
struct tg_responses_out {
    struct tg_responses_render *r;
    const struct tg_render_info *info;
    struct tg_buf *out;
    int rc; /* first failure */
};
void tg_responses_note(struct tg_responses_out *c, int rc);
/* `event: T` and the data's beginning; false for a single answer, which is silent until its end. */
bool tg_responses_open_event(struct tg_responses_out *c, const char *type);
/* The same with the item's id and place. */
bool tg_responses_open_item_event(struct tg_responses_out *c, const char *type,
                                  const struct tg_responses_item *it);
void tg_responses_close_event(struct tg_responses_out *c);
/* `,"name":`, and a number with it. */
void tg_responses_key(struct tg_responses_out *c, const char *name);
void tg_responses_key_u64(struct tg_responses_out *c, const char *name, uint64_t v);
/* Whole events: with the response, with one item (`empty`: with nothing in it). */
void tg_responses_response_event(struct tg_responses_out *c, const char *type,
                                 const struct tg_responses_end *end);
void tg_responses_item_event(struct tg_responses_out *c, const char *type,
                             const struct tg_responses_item *it, struct tg_str status, bool empty);

/* PART_START, DELTA, PART_END; none of them may be senseless. */
void tg_responses_on_start(struct tg_responses_out *c, const struct tg_event *ev);
void tg_responses_on_delta(struct tg_responses_out *c, const struct tg_event *ev);
void tg_responses_on_part_end(struct tg_responses_out *c, uint32_t part);
/* A part that begins again, or a delta for one that is closed or of another kind. */
bool tg_responses_is_senseless(const struct tg_responses_render *r, const struct tg_event *ev);
/* Ends all items; the last one has that status. */
void tg_responses_close_all(struct tg_responses_out *c, struct tg_str status);

int tg_responses_begin(void *state, const struct tg_render_info *info);
int tg_responses_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                        struct tg_buf *out);
int tg_responses_finish(void *state, const struct tg_render_info *info,
                        const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out);
int tg_responses_broken(void *state, const struct tg_render_info *info, const struct tg_fail *fail,
                        struct tg_buf *out);
void tg_responses_broken_passed(const struct tg_passed *passed, const struct tg_render_info *info,
                                const struct tg_fail *fail, struct tg_buf *out);
void tg_responses_fini(void *state);
void tg_responses_fail(const struct tg_fail *fail, struct tg_str request_id, bool in_stream,
                       struct tg_buf *out);

#endif
