/*
 * fuzz_trace: the input is a trace as somebody might send one in: configuration, datagrams, times, what keys made of bytes. It is
 * played to its end, or to the line that is wrong; its verdicts are counted, whatever they are.
 * The first byte: 1 puts a good configuration in front.
 */
#include "fuzz_target.h"
#include "../replay/player.h"
#include <string.h>

#define MEMORY   ((size_t)4 << 20)
#define TEXT_MAX 65536

static const char configuration[] =
	"conf [guard]\nconf exchanges = 16\n"
	"conf [allow-list]\nconf relations = 64\n"
	"conf [throttle]\nconf table-size = 1024\n"
	"conf [server lamp]\nconf address = coap://[fd00::17]:5683\nconf uri-path = lamp\n"
	"conf [server door]\nconf address = coap://[fd00::18]:5683\nconf uri-path = door\n"
	"conf [context phone]\nconf sender-id = 0x02\nconf recipient-id = 0x01\nconf servers = lamp\n"
	"conf [context next]\nconf sender-id = 0x03\nconf recipient-id = 0x04\nconf next-hop = door\n";

static unsigned count_lines(const char *text, size_t len)
{
	unsigned n = len > 0 && text[len - 1] != '\n';

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct player_options options = { .name = "-", .quiet = true, .memory = MEMORY };
	static char text[TEXT_MAX];
	struct player_result r;
	size_t len = 0;
	bool good;
	FILE *in;

	if (size < 2 || size > TEXT_MAX - sizeof configuration)
		return 0;
	if (data[0] & 1)
		len = (size_t)snprintf(text, sizeof text, "%s", configuration);
	memcpy(text + len, data + 1, size - 1);
	len += size - 1;
	in = fmemopen(text, len, "r");
	FUZZ_MUST(in);
	good = player_play(in, &options, &r);
	FUZZ_MUST(good == (r.why[0] == '\0') && r.differences <= r.verdicts);
	FUZZ_MUST(r.verdicts <= count_lines(text, len) && r.line <= count_lines(text, len));
	fclose(in);
	return 0;
}
