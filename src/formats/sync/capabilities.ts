/** Words of APPLY CAPABILITIES (sync-protocol.md 4.2). */

/** Sieve scripts travel as messages of a mailbox: of Cyrus, since 3.6. */
export const SIEVE_MAILBOX = "SIEVE-MAILBOX";

/**
 * Bobbin's own word, of a client that takes absence for a deletion: an owner whose mail the server
 * has lost is refused and not answered as absent. Cyrus' client never says it. It deletes nothing
 * at its own end, brings such a user anew, and a refusal would end its run for all users.
 */
export const LOST_OWNERS = "X-BOBBIN-LOST-OWNERS";
