/** The jobs of fsck that run on worker threads. */
import { checkMailbox } from "./mailbox/check_mailbox.ts";
import { sweepMessages } from "./mailbox/sweep_messages.ts";
import { hashPool } from "./store/hash_pool.ts";

export const FSCK_JOBS = {
  "fsck.mailbox": checkMailbox,
  "fsck.messages": sweepMessages,
  "fsck.pool": hashPool,
} as const;

export type FsckJobs = typeof FSCK_JOBS;
