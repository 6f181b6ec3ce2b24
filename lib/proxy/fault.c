#include "proxy/fault.h"

#define X(name, word, text) [FAULT_##name] = { word, text },
static const struct {
	const char *word, *text;
} faults[] = { FAULTS(X) };
#undef X

const char *fault_word(enum fault f)
{
	return faults[f].word;
}

const char *fault_text(enum fault f)
{
	return faults[f].text;
}
