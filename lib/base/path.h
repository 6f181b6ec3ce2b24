/* path: between which two endpoints, on which side of the guard, a datagram travels. */
#ifndef PATH_H
#define PATH_H
#include "base/addr.h"

enum leg { LEG_CLIENT, LEG_DEVICE };

struct path {
	enum leg leg;
	struct addr local, remote;
};
#endif
