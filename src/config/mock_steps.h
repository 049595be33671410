/* The script of a scripted model: what it answers to which conversation, text and tool calls, read
 * from a JSON file. `backend_type: mock` (setting mock.script) and `tollgate mock --script FILE`
 * play it; core/mock_model.h picks the step.
 *
 *   {"vars": {"cwd": {"after": ["<cwd>", "directory: "]}, "name": "hello.txt"},
 *    "steps": [
 *      {"when": {"tools": false}, "text": "A title"},
 *      {"when": {"turn": 0}, "text": "I write it.",
 *       "calls": [[{"tool": "Write", "arguments": {"file_path": "{{cwd}}/{{name}}"}},
 *                  {"tool": ["shell", "exec_*"], "arguments": {"cmd": "touch {{name}}"}}]]},
 *      {"when": {"turn": 1, "result": "ok"}, "text": "Done: {{result}}"}]}
 *
 * A call is one object or a list of alternatives, of which the first is made whose tool the request
 * offers. Thread rule: const data once parsed, any thread. Ownership: all of it lives in the arena
 * that it was parsed into. Limits: TG_MOCK_MAX_*. */
#ifndef TG_CONFIG_MOCK_STEPS_H
#define TG_CONFIG_MOCK_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/fail.h"
#include "base/str.h"
#include "config/settings.h"

enum {
    TG_MOCK_MAX_FILE_BYTES = 1024 * 1024,
    TG_MOCK_MAX_STEPS = 256,
    TG_MOCK_MAX_CALLS = 16,
    TG_MOCK_MAX_WORDS = 32, /* of one list of texts, names or alternatives */
    TG_MOCK_MAX_VARS = 32,
};

/* A name that stands for a text: {{name}} in texts and arguments. */
struct tg_mock_var {
    struct tg_str name;
    struct tg_str value;      /* when `after` is empty */
    struct tg_str_list after; /* the rest of the line behind the first of these that is found in
                               * the conversation, up to a '<', '"' or '`' */
};

/* A call of the first of these tools that is offered; names may hold one '*'. */
struct tg_mock_call {
    struct tg_str_list tools;
    struct tg_str id;        /* "": made from the answer's number */
    struct tg_str arguments; /* as it is written in the file, placeholders and all */
};
struct tg_mock_calls {
    struct tg_mock_call *any; /* alternatives */
    size_t n;
};

/* What a conversation must be like. Texts are looked for as they are; all of a list must be there.
 */
struct tg_mock_when {
    int64_t turn_min, turn_max; /* answers of the model so far; -1: any */
    int has_tools;              /* the request offers tools: -1 either, 0, 1 */
    int has_result;             /* the newest messages hold tools' results: -1 either, 0, 1 */
    struct tg_str_list tools;   /* names that are offered; may hold one '*' */
    struct tg_str_list result;  /* in the newest results */
    struct tg_str_list last;    /* in the messages since the last answer */
    struct tg_str_list system;  /* in the system's and the developer's messages */
    struct tg_str_list model;   /* one of these names; may hold one '*' */
};

/* Tokens that the answer is said to have cost. */
struct tg_mock_usage {
    bool given;
    int64_t input, cache_read, cache_write, output, reasoning;
};

enum tg_mock_finish {
    TG_MOCK_FINISH_AUTO, /* tool_calls when there are some, else stop */
    TG_MOCK_FINISH_STOP,
    TG_MOCK_FINISH_LENGTH,
    TG_MOCK_FINISH_TOOL_CALLS,
    TG_MOCK_FINISH_CONTENT_FILTER,
};

struct tg_mock_step {
    struct tg_str name; /* for messages; "" if none */
    struct tg_mock_when when;
    struct tg_str reasoning, text;
    struct tg_mock_calls *calls;
    size_t n_calls;
    bool weave; /* the calls' arguments come by turns, not one call after the other */
    struct tg_mock_usage usage;
    enum tg_mock_finish finish;
};

struct tg_mock_steps {
    struct tg_mock_var *vars;
    size_t n_vars;
    struct tg_mock_step *steps; /* the first that fits is played */
    size_t n_steps;
};

/* Placeholders that need no entry in `vars`. */
#define TG_MOCK_BUILTIN_VARS "model", "turn", "result", "user"

/* Reads a script. `scratch` holds what is needed meanwhile. TG_E_CONFIG with the place in
 * fail->param ("steps[2].when.turn"), TG_E_NOMEM. */
int tg_mock_steps_parse(struct tg_arena *scratch, struct tg_arena *a, struct tg_str json,
                        const struct tg_mock_steps **out, struct tg_fail *fail) TG_WARN_UNUSED;

/* The next placeholder of a template: *text moves behind it. True: `out_before` is what stands in
 * front and `out_name` the name; false: out_before is the rest. */
bool tg_mock_template_next(struct tg_str *text, struct tg_str *out_before, struct tg_str *out_name);

#endif
