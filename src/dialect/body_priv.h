/* What the dialects share on the way in: a request body parsed once, its known top-level members
 * checked against a table and found by number. Everything lives in the exchange's arena.
 * Thread rule: pure functions. */
#ifndef TG_DIALECT_BODY_PRIV_H
#define TG_DIALECT_BODY_PRIV_H

#include "base/arena.h"
#include "base/fail.h"
#include "chat/request.h"
#include "dialect/dialect.h"
#include "json/json.h"

/* Members that someone asks for by number. */
enum tg_field {
    TG_F_NONE, /* only checked */
    TG_F_MODEL,
    TG_F_MESSAGES,
    TG_F_PROMPT,
    TG_F_MESSAGE,
    TG_F_SYSTEM,
    TG_F_STREAM,
    TG_F_STREAM_OPTIONS,
    TG_F_USER,
    TG_F_METADATA,
    TG_F_MAX_TOKENS,
    TG_F_MAX_COMPLETION_TOKENS,
    TG_F_TEMPERATURE,
    TG_F_TOP_P,
    TG_F_TOP_K,
    TG_F_MIN_P,
    TG_F_N,
    TG_F_STOP,
    TG_F_SEED,
    TG_F_LOGPROBS,
    TG_F_TOP_LOGPROBS,
    TG_F_PRESENCE,
    TG_F_FREQUENCY,
    TG_F_REPETITION,
    TG_F_REPEAT,
    TG_F_LOGIT_BIAS,
    TG_F_TOOLS,
    TG_F_TOOL_CHOICE,
    TG_F_PARALLEL_TOOL_CALLS,
    TG_F_RESPONSE_FORMAT,
    TG_F_REASONING_EFFORT,
    TG_F_REASONING,
    TG_F_FUNCTIONS,
    TG_F_ECHO,
    TG_F_SUFFIX,
    TG_F_BEST_OF,
    TG_F_TEMPLATE,
    TG_F_VARIABLES,
    TG_F_MODELS,
    TG_F_AGGREGATE,
    TG_F_JUDGE,
    TG_F_INPUT,
    TG_F_DIMENSIONS,
    TG_F_ENCODING_FORMAT,
    TG_F_INPUT_TYPE,
    TG_F_QUERY,
    TG_F_DOCUMENTS,
    TG_F_TOP_N,
    TG_F_RETURN_DOCUMENTS,
    TG_F_STREAM_FORMAT,
    TG_F_SERVICE_TIER,
    TG_F_FUNCTION_CALL,
    TG_F_THINKING,
    TG_F_OUTPUT_CONFIG,
    TG_F_OUTPUT_FORMAT,
    TG_F_INSTRUCTIONS,
    TG_F_TEXT,
    TG_F_INCLUDE,
    TG_F_STORE,
    TG_F_PREVIOUS,
    TG_F_BACKGROUND,
    TG_F_CONVERSATION,
    TG_F_SAFETY,
    TG_F_TRUNCATION,
    TG_F_OPTIONS,
    TG_F_RAW,
    TG_F_IMAGES,
    TG_F_COUNT,
};

enum tg_check {
    TG_CHECK_ANY,
    TG_CHECK_STRING,
    TG_CHECK_BOOL,
    TG_CHECK_INT,    /* whole, min..max unless both are 0 */
    TG_CHECK_NUMBER, /* min..max */
    TG_CHECK_OBJECT,
    TG_CHECK_ARRAY,
    TG_CHECK_STRING_OR_OBJECT,
    TG_CHECK_STRING_OR_ARRAY,
    TG_CHECK_STRINGS,         /* one, or an array of them */
    TG_CHECK_NOT_NULL = 0x40, /* flag: null is an error as well */
    TG_CHECK_REFUSED = 0x80,  /* the client may not choose this */
};

struct tg_field_rule {
    struct tg_str name;
    enum tg_field id;
    unsigned check; /* tg_check */
    double min, max;
};
#define TG_RULE(lit, id, check)           \
    {                                     \
        TG_STR_INIT(lit), id, check, 0, 0 \
    }
#define TG_RANGE(lit, id, check, least, most)    \
    {                                            \
        TG_STR_INIT(lit), id, check, least, most \
    }
/* Rules in order of their names' lengths, which makes the search short. */
struct tg_field_table {
    const struct tg_field_rule *rules;
    size_t n;
    struct tg_str list; /* member whose objects are checked for duplicate keys too; "" if none */
};

struct tg_body {
    struct tg_json_doc *doc;
    const struct tg_json *root;
    const struct tg_json *v[TG_F_COUNT]; /* NULL: absent; may be a JSON null */
};

/* Parses text, refuses duplicates and what breaks a rule. INVALID_JSON and its kin, DUPLICATE_KEY,
 * INVALID_VALUE, UNSUPPORTED_PARAMETER, NOMEM. */
int tg_body_open(struct tg_arena *a, struct tg_str text, const struct tg_field_table *t,
                 struct tg_body **out, struct tg_fail *f) TG_WARN_UNUSED;

/* Fills what most dialects' tg_call have alike: all but the dialect's own members. */
void tg_body_fill_call(const struct tg_dialect *d, struct tg_str text, struct tg_body *b,
                       struct tg_call *out);
/* A canonical request with what the call tells, and "not given" where 0 would mean something. */
struct tg_chat_req tg_call_request(const struct tg_call *call);

/* Values of members that were checked by open: absent, null and wrong types give the default. */
struct tg_str tg_body_str(const struct tg_body *b, enum tg_field id);
bool tg_body_true(const struct tg_body *b, enum tg_field id);
/* stream_options.include_usage is true. */
bool tg_body_include_usage(const struct tg_body *b);
/* The member's text as it was sent; "" when absent or null. */
struct tg_str tg_body_raw(const struct tg_body *b, enum tg_field id);

/* Sampling settings, all but logprobs. INVALID_VALUE for what open() does not check. */
int tg_body_sampling(const struct tg_body *b, struct tg_sampling *out,
                     struct tg_fail *f) TG_WARN_UNUSED;

/* The raw text of the members of obj for which skip() is false, joined by commas, in the arena. */
int tg_body_extra(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *obj,
                  bool (*skip)(struct tg_str name, const void *ctx), const void *ctx,
                  struct tg_extra *out) TG_WARN_UNUSED;
/* Those that are neither null nor among the known words, which have blanks between them. */
int tg_body_unknown(struct tg_arena *a, struct tg_json_doc *doc, const struct tg_json *obj,
                    const char *known, struct tg_extra *out) TG_WARN_UNUSED;
/* The top-level members that no rule with a number names. */
int tg_body_top_extra(struct tg_arena *a, const struct tg_body *b, const struct tg_field_table *t,
                      struct tg_extra *out) TG_WARN_UNUSED;

/* One user message with one text, the form that prompt-like dialects are translated to; `system`
 * may be empty. */
int tg_body_one_message(struct tg_arena *a, struct tg_str system, struct tg_str text,
                        struct tg_chat_req *out) TG_WARN_UNUSED;

#endif
