/* The two Anthropic dialects' own parts: parsing, rendering, and the form in which other providers'
 * opaque reasoning travels through their clients. Thread rule: as dialect.h. */
#ifndef TG_DIALECT_ANTHROPIC_PRIV_H
#define TG_DIALECT_ANTHROPIC_PRIV_H

#include "chat/collect.h"
#include "dialect/body_priv.h"
#include "dialect/dialect.h"

/* ---- requests (anthropic_parse.c, anthropic_options.c) ---- */

/* `system` and `messages`. INVALID_VALUE with the path of the field. */
int tg_anthropic_parse_messages(struct tg_arena *a, const struct tg_body *b,
                                struct tg_chat_req *out, struct tg_fail *f) TG_WARN_UNUSED;
/* Tools, tool_choice, thinking, output_config, metadata, and what is left over. */
int tg_anthropic_parse_options(struct tg_arena *a, const struct tg_body *b,
                               const struct tg_field_table *t, struct tg_chat_req *out,
                               struct tg_fail *f) TG_WARN_UNUSED;

/* ---- opaque reasoning of others ----
 *
 * Anthropic's clients give a thinking block's signature back as it was. Other providers' opaque
 * state travels in it behind a mark, so that it is never taken for Anthropic's own:
 * "tgs1:<e or t>:<id>:<data>" for OpenAI's encrypted reasoning items and Gemini's thoughts. */

/* What stands in "signature" for an opaque value; NOMEM. id: the reasoning item's, "" if none. */
int tg_anthropic_wrap_signature(struct tg_arena *a, enum tg_opaque_kind kind, struct tg_str id,
                                struct tg_str data, struct tg_str *out) TG_WARN_UNUSED;
/* The reverse; a signature without the mark is Anthropic's. Views of `signature`. */
enum tg_opaque_kind tg_anthropic_unwrap_signature(struct tg_str signature, struct tg_str *out_id,
                                                  struct tg_str *out_data);

/* ---- answers (anthropic_write.c) ---- */

/* "msg_…" made from the request's id: an answer's own, as clients merge answers of one id. */
void tg_anthropic_write_id(const struct tg_render_info *info, struct tg_buf *out);
/* A tool call's id as the client gets it: with the call's opaque signature in it, made up where the
 * provider gave none. */
int tg_anthropic_tool_id(const struct tg_render_info *info, uint32_t part, struct tg_str id,
                         struct tg_str signature, struct tg_str *out) TG_WARN_UNUSED;
/* stop_reason. has_calls: the answer holds a tool call. */
struct tg_str tg_anthropic_stop_reason(enum tg_finish finish, struct tg_str word,
                                       struct tg_str stop_text, bool has_calls, bool refused);
/* `"stop_reason":…,"stop_sequence":…` */
void tg_anthropic_write_stop(struct tg_str reason, struct tg_str stop_text, struct tg_buf *out);
/* The members of `usage`, no braces; zeros when absent, as the format has no other word. */
void tg_anthropic_write_usage(const struct tg_usage *u, struct tg_str service_tier,
                              struct tg_buf *out);
/* A citation: the provider's own object where it is of this format, else the nearest form. */
void tg_anthropic_write_citation(const struct tg_citation *c, struct tg_buf *out);

/* ---- streams (anthropic_stream.c) ----
 *
 * IDLE → STARTED (message_start) → FINISHED (message_delta, message_stop). Between, blocks one
 * after the other: a block is opened when it has something to say, so that no empty text block
 * reaches a client that must not send one back. What belongs to a later block while an earlier one
 * is open waits, rendered, in that block's own buffer. */
enum tg_anthropic_phase { TG_ANTHROPIC_IDLE, TG_ANTHROPIC_STARTED, TG_ANTHROPIC_FINISHED };

struct tg_anthropic_block {
    uint32_t part, index; /* index: once opened */
    enum tg_part_kind kind;
    bool opened, ended;
    struct tg_str id;      /* REASONING: the item's, in the exchange's arena */
    struct tg_buf waiting; /* complete SSE blocks */
};

struct tg_anthropic_stream {
    enum tg_anthropic_phase phase;
    struct tg_anthropic_block *blocks; /* unfinished ones, in order of their starts */
    size_t n_blocks, cap_blocks;
    uint32_t n_opened; /* index of the next block */
    bool has_calls, refused, has_finish;
    struct tg_str stop_reason, stop_text;      /* of FINISH, in the arena */
    struct tg_str service_tier;                /* of START, in the arena */
    struct tg_str container, details, context; /* raw members of the answer, in the arena */
    struct tg_usage usage;                     /* as known at the start */
};

struct tg_anthropic_render {
    struct tg_anthropic_stream stream;
    struct tg_collect collect; /* single answers */
};

int tg_anthropic_stream_event(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                              const struct tg_event *ev, struct tg_buf *out) TG_WARN_UNUSED;
int tg_anthropic_stream_end(struct tg_anthropic_stream *s, const struct tg_render_info *info,
                            const struct tg_usage *usage, struct tg_buf *out) TG_WARN_UNUSED;
void tg_anthropic_stream_fini(struct tg_anthropic_stream *s);

/* The whole answer as one message (anthropic_single.c). */
int tg_anthropic_write_message(const struct tg_collect *c, const struct tg_render_info *info,
                               const struct tg_usage *usage, struct tg_buf *out) TG_WARN_UNUSED;

#endif
