/* The command line: subcommands, the options they share, loading the configuration for them.
 * Thread rule: the main thread, before others exist. Output for people goes to stdout, problems to
 * stderr. Exit codes: 0 fine, 1 it failed while running, 2 usage or configuration. */
#ifndef TG_MAIN_CLI_H
#define TG_MAIN_CLI_H

#include <stdbool.h>

#include "base/compiler.h"
#include "config/config.h"

#define TG_EXIT_FAILED 1
#define TG_EXIT_USAGE  2
#define TG_CLI_MAX_SET 64

struct tg_cli {
    const char *config_file;
    struct tg_str config_text;                 /* in place of a file; {NULL, 0}: a file */
    const char *overrides[TG_CLI_MAX_SET + 1]; /* "server.port=9000", NULL-terminated */
    size_t n_overrides;
    char *owned[TG_CLI_MAX_SET]; /* those that tg_cli_set() made */
    size_t n_owned;
    bool help;
    /* what a command takes besides: its own options and words */
    const char *url, *model, *system, *host, *tls_cert, *tls_key, *script, *record;
    const char *words[64];
    size_t n_words;
    bool quiet;
    unsigned port;
};

/* An option of a command: "--name VALUE" or a flag. */
struct tg_cli_option {
    const char *name;  /* "--model" */
    const char *value; /* "NAME" for the help; NULL: a flag */
    const char *help;
    int (*apply)(struct tg_cli *c, const char *value); /* 0, or TG_EXIT_USAGE after a message */
};

struct tg_command {
    const char *name, *usage, *summary, *details;
    const struct tg_cli_option *options; /* ended by name NULL; NULL: none */
    bool config;                         /* takes --config, --set and the server's options too */
    int (*run)(struct tg_cli *c);
};
extern const struct tg_command tg_cmd_serve, tg_cmd_adapter, tg_cmd_mock, tg_cmd_check_config,
    tg_cmd_chat, tg_cmd_models, tg_cmd_version, tg_cmd_engine;

/* Parses argv behind the command's name. 0, or an exit code after a message. */
int tg_cli_parse(const struct tg_command *cmd, int argc, char **argv, struct tg_cli *out);
void tg_cli_fini(struct tg_cli *c); /* also after a failed parse */
void tg_cli_help(const struct tg_command *cmd);

/* Loads the configuration and prints warnings and errors on stderr. NULL: it is invalid. `quiet`
 * keeps warnings to itself. */
const struct tg_snapshot *tg_cli_load(const struct tg_cli *c, bool quiet);
/* Loads the configuration and serves it until it is told to stop; an exit code. */
int tg_cli_serve(struct tg_cli *c);
/* "key=value" for the configuration, as by --set. */
int tg_cli_set(struct tg_cli *c, const char *key, const char *value);

#endif
