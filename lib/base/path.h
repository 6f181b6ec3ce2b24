/* path: between which two endpoints, on which side of the guard, a datagram travels. */
#ifndef PATH_H
#define PATH_H
#include "base/addr.h"

enum leg { LEG_CLIENT, LEG_DEVICE };

/*
 * Towards devices the guard is two endpoints, since some servers treat an endpoint that has once sent OSCORE as one that
 * always will. On LEG_DEVICE local.port is the channel, and the rest of local is nothing.
 */
enum path_channel { CHANNEL_PLAIN, CHANNEL_OSCORE, CHANNELS };

struct path {
	enum leg leg;
	struct addr local, remote;
};
#endif
