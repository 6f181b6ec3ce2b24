/* version: what this is called; the build may say more (a package's or a commit's name). */
#ifndef VERSION_H
#define VERSION_H
#ifndef COAP_GUARD_VERSION
#define COAP_GUARD_VERSION "0.1.0"
#endif
#endif
