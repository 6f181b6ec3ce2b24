/* command: what can be asked over the control socket, and the answers. */
#ifndef COMMAND_H
#define COMMAND_H
#include "answer.h"

/* arg: the struct daemon. Fits struct control_config. */
void command_run(void *arg, const char *line, struct answer *out);
#endif
