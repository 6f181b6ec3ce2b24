#include "terminal.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CTRL_C 3

static void raise_screen(void)
{
	fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
	fflush(stdout);
}

bool terminal_open(struct terminal *t)
{
	struct termios raw;
	sigset_t set;

	t->screen = isatty(STDOUT_FILENO);
	t->keys = t->screen && tcgetattr(STDIN_FILENO, &t->before) == 0;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return false;
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0)
		return false;
	if (t->keys) {
		raw = t->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	if (t->screen)
		raise_screen();
	return true;
}

void terminal_close(struct terminal *t)
{
	if (t->screen)
		fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	if (t->keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	if (t->signals >= 0)
		close(t->signals);
}

size_t terminal_clip(const char *line, size_t columns)
{
	size_t len = 0;

	while (line[len] && line[len] != '\n') {
		if (line[len] == '\033') {
			len += strcspn(line + len, "m\n");
			len += line[len] == 'm';
			continue;
		}
		if (((unsigned char)line[len] & 0xc0) != 0x80 && columns-- == 0)
			break;
		len++;
	}
	return len;
}

void terminal_show(const struct terminal *t, const char *text)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	if (!t->screen) {
		fputs(text, stdout);
		fflush(stdout);
		return;
	}
	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	fputs("\033[H", stdout);
	for (unsigned row = 0; *text && row < size.ws_row; row++) {
		int len = (int)terminal_clip(text, size.ws_col);

		fprintf(stdout, "%s%.*s\033[0m\033[K", row ? "\n" : "", len, text);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

bool terminal_wait(const struct terminal *t, unsigned seconds)
{
	struct pollfd fds[] = { { .fd = t->signals, .events = POLLIN },
				{ .fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN } };
	char key = 0;

	if (poll(fds, 2, (int)seconds * 1000) <= 0)
		return true;
	if (fds[0].revents)
		return false;
	if (read(STDIN_FILENO, &key, 1) != 1)
		return false;
	return key != 'q' && key != 'Q' && key != CTRL_C;
}
