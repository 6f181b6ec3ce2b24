/*
 * newcomers: who of the waiting strangers goes next. Never globally oldest first: admissions rotate in thirds between
 * (1) a never-charged /64 at random, (2) the least recently charged /48, (3) the least recently charged /32 and in it
 * the least recently charged /48; ties at random, inside one prefix oldest first. IPv4: /32, /24, /16.
 * An admission charges its three prefixes; the charge is given back when the device accepts.
 */
#ifndef NEWCOMERS_H
#define NEWCOMERS_H
#include "base/addr.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "base/tstamp.h"

struct newcomers;

struct newcomers_config {
	uint32_t capacity;       /* waiting entries in all (1024) */
	uint32_t per_64, per_48; /* waiting entries of one prefix (1, 4) */
	uint32_t charges;        /* remembered charged prefixes (65536), in buckets of 8, the stalest makes room */
	uint64_t memory;         /* a charge is forgotten after so long (24 h) */
};

struct newcomers_entry {
	struct addr client;
	uint32_t ref; /* the caller's: an exchange */
	uint32_t server, kind;
	/* 1 or more: who costs twice as much takes part in every second drawing, if others do in this one */
	uint32_t weight;
	tstamp since;
};

struct newcomers *newcomers_create(const struct newcomers_config *cfg, const struct siphash_key *key,
				   uint64_t seed); /* seed: for ties; NULL: no memory */
void newcomers_free(struct newcomers *n);
size_t newcomers_memory(const struct newcomers_config *cfg);

enum newcomers_result { NEWCOMERS_QUEUED, NEWCOMERS_PREFIX_FULL, NEWCOMERS_FULL };
/*
 * Queues a copy of e. PREFIX_FULL: its /64 or /48 waits with as many as it may. When all places are taken, one entry
 * of the /32 with most waiting is put into *evicted (evicted->ref; *has_evicted true) and makes room, unless e itself
 * belongs to that /32: then FULL.
 */
enum newcomers_result newcomers_push(struct newcomers *n, const struct newcomers_entry *e,
				     struct newcomers_entry *evicted, bool *has_evicted);
/*
 * The next to be admitted among the entries of `server` whose kind's bit is in `kinds`; charges its prefixes.
 * False: none waits.
 */
bool newcomers_admit(struct newcomers *n, uint32_t server, uint32_t kinds, tstamp now, struct newcomers_entry *out);
bool newcomers_remove(struct newcomers *n, uint32_t ref); /* the caller gave up on it */
/* The device accepted what was admitted for this client: its prefixes are as if never charged by it. */
void newcomers_refund(struct newcomers *n, const struct addr *client, tstamp now);
bool newcomers_idle(const struct newcomers *n);                         /* nobody waits for any server */
uint32_t newcomers_waiting(const struct newcomers *n, uint32_t server); /* of one server */
uint32_t newcomers_waiting_kinds(const struct newcomers *n, uint32_t server, uint32_t kinds);
#endif
