/* Where the program begins: finds the command and runs it. */
#include <signal.h>
#include <stdio.h>

#include "base/str.h"
#include "main/cli.h"

static const struct tg_command *const commands[] = {
    &tg_cmd_serve,   &tg_cmd_chat, &tg_cmd_models,  &tg_cmd_check_config,
    &tg_cmd_adapter, &tg_cmd_mock, &tg_cmd_version, &tg_cmd_engine,
};

static void help(void)
{
    printf("Tollgate %s: one gateway in front of every language model.\n\n"
           "usage: tollgate COMMAND [options]\n\ncommands:\n",
           TG_VERSION);
    for (size_t i = 0; i < TG_ARRAY_LEN(commands); i++) {
        if (commands[i]->summary)
            printf("  %-14s %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("\nStart with:  tollgate serve\n"
           "Then:        tollgate chat \"What is the capital of France?\"\n\n"
           "tollgate COMMAND --help tells more about each.\n");
}

static const struct tg_command *find(const char *name)
{
    for (size_t i = 0; i < TG_ARRAY_LEN(commands); i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static void suggest(const char *name)
{
    const char *best = NULL;
    unsigned least = 4;
    for (size_t i = 0; i < TG_ARRAY_LEN(commands); i++) {
        unsigned d = strlen(name) > 64 || !commands[i]->summary
                         ? least
                         : tg_str_distance(tg_str_c(name), tg_str_c(commands[i]->name), least);
        if (d < least) {
            least = d;
            best = commands[i]->name;
        }
    }
    (void)fprintf(stderr, "tollgate: unknown command '%.64s'%s%s%s; see tollgate --help\n", name,
                  best ? ", did you mean '" : "", best ? best : "", best ? "'?" : "");
}

int main(int argc, char **argv)
{
    /* Under a limit on files' sizes a write fails like one to a full disk; it ends nothing. */
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGXFSZ, &ignored, NULL); /* cannot fail: the signal is there */
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help();
        return argc > 1 ? 0 : TG_EXIT_USAGE;
    }
    const struct tg_command *cmd = find(strcmp(name, "--version") == 0 ? "version" : name);
    if (!cmd) {
        suggest(name);
        return TG_EXIT_USAGE;
    }
    struct tg_cli cli;
    int rc = tg_cli_parse(cmd, argc - 2, argv + 2, &cli);
    if (rc == 0 && cli.help)
        tg_cli_help(cmd);
    else if (rc == 0)
        rc = cmd->run(&cli);
    tg_cli_fini(&cli);
    return rc;
}
