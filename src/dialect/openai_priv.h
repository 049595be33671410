/* What the two OpenAI dialects share: the splice of a body that is passed on, and the JSON that
 * both write. Thread rule: pure functions over the state they are given. */
#ifndef TG_DIALECT_OPENAI_PRIV_H
#define TG_DIALECT_OPENAI_PRIV_H

#include "chat/collect.h"
#include "dialect/body_priv.h"
#include "dialect/dialect.h"

/* tg_dialect.splice for a body opened by tg_body_open(): call->parsed is a struct tg_body. */
int tg_openai_splice(struct tg_arena *a, const struct tg_call *call, struct tg_str upstream_model,
                     bool inject_usage, struct iovec *out_iov, int max_iov, int *out_n,
                     bool *out_hide_usage);

/* The same for a body that is only a part of call->parsed. */
int tg_openai_splice_body(struct tg_arena *a, const struct tg_body *b, const struct tg_call *call,
                          struct tg_str upstream_model, bool inject_usage, struct iovec *out_iov,
                          int max_iov, int *out_n, bool *out_hide_usage) TG_WARN_UNUSED;

/* The messages of a chat request. MISSING_FIELD, INVALID_VALUE with the path of the field. */
int tg_openai_parse_messages(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                             struct tg_fail *f) TG_WARN_UNUSED;
/* The list has an entry of a known type. */
bool tg_openai_has_details(const struct tg_json *list);
/* reasoning_details → REASONING parts; out has room for one each. `beside` is the text of
 * reasoning_content, for a signature that came without its text. TG_E_NOMEM. */
int tg_openai_parse_details(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *list,
                            struct tg_str beside, struct tg_part *out, size_t *io_n) TG_WARN_UNUSED;
/* Gemini's signatures in details and in the message's extra_content go to their calls and texts;
 * raw_members, the members that were read, stay with a part that has opaque state. TG_E_NOMEM. */
int tg_openai_place_thoughts(struct tg_arena *a, const struct tg_json *details,
                             const struct tg_json *extra_content, struct tg_str raw_members,
                             struct tg_part *parts, size_t n) TG_WARN_UNUSED;
/* extra_content.google.thought_signature, "" if none. */
struct tg_str tg_openai_extra_signature(const struct tg_json *extra_content);
/* Tools, tool_choice, response_format, reasoning. */
int tg_openai_parse_options(struct tg_arena *a, const struct tg_body *b, struct tg_chat_req *out,
                            struct tg_fail *f) TG_WARN_UNUSED;
/* A function's `parameters` as they came, "" for none; `tool` names the tool to people. */
int tg_openai_tool_schema(struct tg_json_doc *doc, const struct tg_json *v, const char *tool,
                          struct tg_str *out, struct tg_fail *f) TG_WARN_UNUSED;
/* INVALID_VALUE when the tool choice wants a call that no tool of the request can be. */
int tg_openai_check_choice(const struct tg_chat_req *req, struct tg_fail *f) TG_WARN_UNUSED;

/* The `usage` object; "null" when absent. */
void tg_openai_write_usage(const struct tg_usage *u, struct tg_buf *out);
/* finish_reason as OpenAI's clients know it: its enumeration is closed, so everything else is
 * "stop". */
struct tg_str tg_openai_finish(enum tg_finish f);
/* Body of the message of one collected choice: `"role":…` to the last member, no braces. */
int tg_openai_write_message(const struct tg_render_info *info, const struct tg_collect_choice *ch,
                            bool legacy_functions, struct tg_buf *out) TG_WARN_UNUSED;

/* `{"id":…,"choices":[`, the part that every body and chunk begins with. */
void tg_openai_write_head(const struct tg_render_info *info, struct tg_str id, struct tg_str object,
                          struct tg_buf *out);

/* One annotation; another format's citation as a url_citation. */
void tg_openai_write_citation(const struct tg_citation *c, struct tg_buf *out);
/* `{"type":"image_url","image_url":{"url":"data:…"}}`, OpenRouter's form of an image in an answer.
 */
void tg_openai_write_image(struct tg_str mime, struct tg_str data, struct tg_buf *out);
/* `"extra_content":{"google":{"thought_signature":…}}`. */
void tg_openai_write_signature(struct tg_str signature, struct tg_buf *out);
/* `,"name":value` of an EXTRA beside a choice; another format's below extra_content. */
void tg_openai_write_extra(enum tg_wire_format format, struct tg_str name, struct tg_str value,
                           struct tg_buf *out);
/* An EXTRA of this format that stands at the top of the answer. */
bool tg_openai_is_top_extra(enum tg_wire_format format, struct tg_str name);

/* tg_dialect's rendering of chat completions (openai_chat_render.c, openai_chat_stream.c). */
struct tg_openai_choice {
    bool role_sent, finished;
    bool reasoning;       /* part `signed_part` is reasoning, entry n_details - 1 */
    uint32_t n_details;   /* entries of reasoning_details begun */
    uint32_t signed_part; /* whose opaque state is being gathered */
    enum tg_opaque_kind opaque;
    struct tg_str detail_id; /* of the newest entry */
    struct tg_buf signature; /* the state so far: it comes in pieces, and goes out whole */
    uint32_t *tool_parts;    /* part number of each tool call, by the tool's index */
    uint32_t n_tools, cap_tools;
};

struct tg_openai_render {
    struct tg_str head; /* `data: {…,"choices":[` */
    struct tg_str tail; /* behind the choice: `]}` or `],"usage":null}`, and the blank line */
    struct tg_openai_choice *choices;
    size_t n_choices;
    bool legacy_functions;
    struct tg_collect collect; /* single answers */
};
/* Streams: one event; what stands behind the last choice. */
int tg_openai_stream_event(struct tg_openai_render *r, const struct tg_render_info *info,
                           const struct tg_event *ev, struct tg_buf *out) TG_WARN_UNUSED;
void tg_openai_stream_end(struct tg_openai_render *r, const struct tg_render_info *info,
                          const struct tg_usage *usage, struct tg_buf *out);
int tg_openai_chat_begin(void *state, const struct tg_render_info *info);
int tg_openai_chat_render(void *state, const struct tg_render_info *info, const struct tg_event *ev,
                          struct tg_buf *out);
int tg_openai_chat_finish(void *state, const struct tg_render_info *info,
                          const struct tg_usage *usage, uint64_t now_us, struct tg_buf *out);
void tg_openai_chat_fini(void *state);

#endif
