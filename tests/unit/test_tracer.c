#include "tracer.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
	char directory[64], path[96];
	struct tracer tracer;
	char *text;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	snprintf(f->directory, sizeof f->directory, "/tmp/test_tracer.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->path, sizeof f->path, "%s/trace", f->directory);
	tracer_init(&f->tracer);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	tracer_stop(&f->tracer, "the test ended");
	unlink(f->path);
	rmdir(f->directory);
	free(f->text);
	free(f);
	return 0;
}

static const char *read_back(struct fixture *f)
{
	FILE *file = fopen(f->path, "r");
	size_t n;

	assert_non_null(file);
	free(f->text);
	f->text = calloc(1, 65536);
	n = fread(f->text, 1, 65535, file);
	f->text[n] = '\0';
	fclose(file);
	return f->text;
}

static struct path path_of(enum leg leg)
{
	struct path p = { .leg = leg };

	assert_true(addr_parse(&p.local, "[::1]:5683", 0));
	assert_true(addr_parse(&p.remote, "192.0.2.1:50000", 0));
	return p;
}

static void test_lines(void **state)
{
	struct fixture *f = *state;
	struct path client = path_of(LEG_CLIENT), device = path_of(LEG_DEVICE);
	struct stat st;

	assert_int_equal(tracer_start(&f->tracer, f->path, "[guard]\nname = a\n\nlast"), 0);
	assert_true(tracer_on(&f->tracer));
	tracer_in(&f->tracer, &client, bytes_of("\x40\x01\xff", 3), 7);
	tracer_verdict(&f->tracer, &client, "lamp", "unknown", "forward", "open", TSTAMP_S);
	tracer_out(&f->tracer, &device, bytes_of("", 0), 12 * TSTAMP_S + 999999999);
	tracer_unreachable(&f->tracer, &device, 13 * TSTAMP_S);
	tracer_flush(&f->tracer);
	assert_string_equal(read_back(f), "conf [guard]\nconf name = a\nconf \nconf last\n"
					  "0.000000007 in client [::1]:5683 192.0.2.1:50000 4001ff\n"
					  "1.000000000 verdict 192.0.2.1:50000 lamp unknown forward open\n"
					  "12.999999999 out device [::1]:5683 192.0.2.1:50000 \n"
					  "13.000000000 unreachable device [::1]:5683 192.0.2.1:50000\n");
	assert_int_equal(f->tracer.written, strlen(f->text));
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_no_other_file_is_touched(void **state)
{
	struct fixture *f = *state;
	char other[128];

	assert_int_equal(tracer_start(&f->tracer, "trace", ""), -EINVAL);
	assert_int_equal(tracer_start(&f->tracer, "", ""), -EINVAL);
	assert_int_equal(tracer_start(&f->tracer, "/nobody/has/this", ""), -ENOENT);
	close(open(f->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	assert_int_equal(tracer_start(&f->tracer, f->path, ""), -EEXIST);
	unlink(f->path);
	snprintf(other, sizeof other, "%s/other", f->directory);
	assert_int_equal(symlink(other, f->path), 0);
	assert_int_equal(tracer_start(&f->tracer, f->path, ""), -EEXIST);
	assert_int_equal(access(other, F_OK), -1);
	assert_false(tracer_on(&f->tracer));
}

static void test_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	char other[128];

	snprintf(other, sizeof other, "%s/other", f->directory);
	assert_int_equal(tracer_start(&f->tracer, f->path, ""), 0);
	assert_int_equal(tracer_start(&f->tracer, other, ""), -EBUSY);
	tracer_stop(&f->tracer, "by request");
	assert_non_null(strstr(f->tracer.state, "by request"));
	assert_int_equal(tracer_start(&f->tracer, other, ""), 0);
	tracer_stop(&f->tracer, "by request");
	unlink(other);
}

static void test_stops_when_full(void **state)
{
	struct fixture *f = *state;
	struct path client = path_of(LEG_CLIENT);

	f->tracer.limit = 1000;
	assert_int_equal(tracer_start(&f->tracer, f->path, ""), 0);
	for (unsigned i = 0; i < 100; i++)
		tracer_in(&f->tracer, &client, bytes_of("0123456789", 10), i);
	assert_false(tracer_on(&f->tracer));
	assert_non_null(strstr(f->tracer.state, "full"));
	assert_in_range(strlen(read_back(f)), 1000, 1100);
}

static void test_stops_when_the_disk_is_full(void **state)
{
	struct fixture *f = *state;
	struct path client = path_of(LEG_CLIENT);

	/* What tracer_start refuses, by hand: a file on which every write fails. */
	f->tracer.file = fopen("/dev/full", "we");
	assert_non_null(f->tracer.file);
	tracer_in(&f->tracer, &client, bytes_of("x", 1), 1);
	tracer_flush(&f->tracer);
	assert_false(tracer_on(&f->tracer));
	assert_non_null(strstr(f->tracer.state, strerror(ENOSPC)));
	tracer_in(&f->tracer, &client, bytes_of("x", 1), 2);
	tracer_flush(&f->tracer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_other_file_is_touched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stops_when_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stops_when_the_disk_is_full, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
