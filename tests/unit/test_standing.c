/* standing: the graph, printed, against the table of policy. */
#include "guard/standing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* policy.md, "Standing of a relation", as it stands there. The two columns on Partial IVs are
 * verdicts, not standings. */
static const char *const policy[STANDINGS] = {
	"unknown | reachable | tentative | unknown | unknown | unknown",
	"reachable | reachable | tentative | unknown | reachable | reachable",
	"tentative | tentative | trusted after n | reachable | tentative, doubted | tentative",
	"trusted | trusted | trusted | tentative | trusted, doubted | trusted",
};

static void test_table(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STANDINGS; s++) {
		char line[256];
		size_t at = (size_t)sprintf(line, "%s", standing_word((enum standing)s));

		for (unsigned e = 0; e < STANDING_EVENTS; e++) {
			struct standing_step step = standing_step((enum standing)s, (enum standing_event)e);

			at += (size_t)sprintf(line + at, " | %s%s%s", standing_word((enum standing)step.to),
					      step.after_run ? " after n" : "", step.doubted ? ", doubted" : "");
		}
		print_message("%s\n", line);
		assert_string_equal(line, policy[s]);
	}
	assert_string_equal(standing_event_word(EVENT_REFUSED_UNPROVEN), "refused without proof");
}

/* I1: nothing that is not proven lowers a standing. */
static void test_unproven_never_lowers(void **state)
{
	(void)state;
	for (unsigned s = 0; s < STANDINGS; s++) {
		assert_true(standing_step((enum standing)s, EVENT_REFUSED_UNPROVEN).to == s);
		assert_true(standing_step((enum standing)s, EVENT_SILENT).to == s);
		assert_true(standing_step((enum standing)s, EVENT_PROOF).to >= s);
		assert_true(standing_step((enum standing)s, EVENT_ACCEPTED).to >= s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_unproven_never_lowers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
