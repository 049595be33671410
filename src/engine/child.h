/* The engine child: what `tollgate engine` runs. It talks frames over one socket, holds one model
 * and never opens a network connection.
 * Thread rule: called once, on the main thread, before any other thread exists. */
#ifndef TG_ENGINE_CHILD_H
#define TG_ENGINE_CHILD_H

#define TG_ENGINE_CHILD_FD 3

/* Serves the socket `fd` until it closes or SHUTDOWN arrives. Returns the exit code. */
int tg_engine_child_main(int fd);

#endif
