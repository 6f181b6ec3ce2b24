/* journal: what a journal that listens gets, and who is one at all. */
#include "journal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char path[] = "/tmp/test_journal.XXXXXX", name[64];
static int listener, stream[2];

static void claim(const char *format, int fd)
{
	char text[64];
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	snprintf(text, sizeof text, format, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
}

static int setup(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	if (!mkdtemp(path) || pipe(stream) != 0)
		return -1;
	snprintf(name, sizeof name, "%s/socket", path);
	strcpy(un.sun_path, name);
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	claim("%llu:%llu", stream[1]);
	return bind(listener, (const struct sockaddr *)&un, sizeof un);
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	close(listener);
	close(stream[0]);
	close(stream[1]);
	unlink(name);
	return rmdir(path);
}

static void expect(const char *expected)
{
	char text[4096];
	ssize_t n = recv(listener, text, sizeof text - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, expected);
}

static void test_fields(void **state)
{
	struct event e = { EVENT_REFUSALS, { [FIELD_SERVER] = "lamp", [FIELD_REASON] = "budget-spent" } };
	const struct event none = { .kind = EVENT_NONE };
	struct journal j;

	(void)state;
	journal_open(&j, stream[1], name);
	assert_true(j.fd >= 0);
	assert_true(journal_send(&j, '6', &e, "lamp: 7 requests refused"));
	expect("MESSAGE=lamp: 7 requests refused\nPRIORITY=6\nSYSLOG_IDENTIFIER=coap-guardd\n"
	       "MESSAGE_ID=6cb46b3fe7a96530fb3007087366f501\nCOAP_GUARD_EVENT=refusals\nCOAP_SERVER=lamp\n"
	       "COAP_REASON=budget-spent\n");
	assert_true(journal_send(&j, '3', &none, "just a line"));
	expect("MESSAGE=just a line\nPRIORITY=3\nSYSLOG_IDENTIFIER=coap-guardd\n");
	/* no way to smuggle a field in */
	e = (struct event){ EVENT_FORGOTTEN, { [FIELD_PEER] = "::1\nPRIORITY=0" } };
	assert_true(journal_send(&j, '6', &e, "a\nMESSAGE_ID=b\n"));
	expect("MESSAGE=a MESSAGE_ID=b \nPRIORITY=6\nSYSLOG_IDENTIFIER=coap-guardd\n"
	       "MESSAGE_ID=5edc31d031f3bcb2673202a5cb732915\nCOAP_GUARD_EVENT=forgotten\nCOAP_PEER=::1 PRIORITY=0\n");
	journal_close(&j);
	journal_close(&j);
	assert_false(journal_send(&j, '6', &none, "closed"));
}

static void test_who_is_no_journal(void **state)
{
	struct journal j;

	(void)state;
	claim("%llu:%llu", stream[0]); /* both ends of a pipe are one inode */
	journal_open(&j, stream[1], name);
	assert_true(j.fd >= 0);
	journal_close(&j);
	claim("%llu:%llu ", stream[1]);
	journal_open(&j, stream[1], name);
	assert_int_equal(j.fd, -1);
	claim("%llu:%llu", listener); /* stderr was redirected since */
	journal_open(&j, stream[1], name);
	assert_int_equal(j.fd, -1);
	unsetenv("JOURNAL_STREAM");
	journal_open(&j, stream[1], name);
	assert_int_equal(j.fd, -1);
}

/* Gone: the caller has to write to its stream. Full: the line is lost, and nobody waits. */
static void test_gone_and_full(void **state)
{
	const struct event none = { .kind = EVENT_NONE };
	struct journal j;
	unsigned sent = 0;

	(void)state;
	journal_open(&j, stream[1], name);
	while (sent < 100000 && journal_send(&j, '6', &none, "again"))
		sent++;
	assert_int_equal(sent, 100000);
	journal_close(&j);
	unlink(name);
	journal_open(&j, stream[1], name);
	assert_false(journal_send(&j, '6', &none, "nobody is there"));
	journal_close(&j);
}

/* Ids are 32 digits and differ, as do words. */
static void test_table(void **state)
{
	(void)state;
	for (unsigned a = 1; a < EVENT_COUNT; a++) {
		assert_int_equal(strspn(event_id((enum event_kind)a), "0123456789abcdef"), 32);
		assert_int_equal(strlen(event_id((enum event_kind)a)), 32);
		assert_true(*event_text((enum event_kind)a) != '\0');
		for (unsigned b = 0; b < a; b++) {
			assert_string_not_equal(event_id((enum event_kind)a), event_id((enum event_kind)b));
			assert_string_not_equal(event_word((enum event_kind)a), event_word((enum event_kind)b));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_no_journal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_and_full, setup, teardown),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
