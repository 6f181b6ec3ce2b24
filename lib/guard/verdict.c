#include "guard/verdict.h"

#define X(name, word, text) [LANE_##name] = { word, text },
static const struct {
	const char *word, *text;
} lanes[] = { VERDICT_LANES(X) };
#undef X

#define X(name, word) [VERDICT_##name] = word,
static const char *const actions[] = { VERDICT_ACTIONS(X) };
#undef X

#define X(name, word, text) [REASON_##name] = { word, text },
static const struct {
	const char *word, *text;
} reasons[] = { VERDICT_REASONS(X) };
#undef X

const char *verdict_lane_word(enum lane l)
{
	return lanes[l].word;
}
const char *verdict_lane_text(enum lane l)
{
	return lanes[l].text;
}
const char *verdict_action_word(enum verdict_action a)
{
	return actions[a];
}
const char *verdict_reason_word(enum verdict_reason r)
{
	return reasons[r].word;
}
const char *verdict_reason_text(enum verdict_reason r)
{
	return reasons[r].text;
}
