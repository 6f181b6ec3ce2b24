/* edhoc: the shape of an EDHOC message_1 (RFC 9528 §5.2.1): true, method 3, suite 2, an ephemeral public key, C_I. */
#ifndef EDHOC_H
#define EDHOC_H

#define EDHOC_TRUE      0xf5 /* CBOR true: this is message_1 (RFC 9528 appendix A.2) */
#define EDHOC_KEY_AT    5
#define EDHOC_KEY       32
#define EDHOC_MESSAGE_1 (EDHOC_KEY_AT + EDHOC_KEY + 1)
#define EDHOC_PATH_1    ".well-known"
#define EDHOC_PATH_2    "edhoc"
#define EDHOC_FORMAT    65 /* application/cid-edhoc+cbor-seq */
#endif
