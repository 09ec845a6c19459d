/** What each exit code means, and what to do: for help, the man page and the README's table. */
import type { EXIT } from "../exit.ts";

export type ExitName = keyof typeof EXIT;

export interface ExitMeaning {
  readonly means: string;
  readonly advice: string;
}

export const EXIT_MEANINGS: Readonly<Record<ExitName, ExitMeaning>> = {
  ok: { means: "all well", advice: "" },
  damage: {
    means: "damage or differences were found and left",
    advice: "Read what was reported; `bobbin help CODE` explains a finding.",
  },
  partial: {
    means: "done in part: some users or mailboxes failed",
    advice: "Put right what the errors name, and run the command again.",
  },
  repaired: {
    means: "damage was found, and all of it repaired",
    advice: "Run the command again: it ends with 0 now.",
  },
  usage: {
    means: "the command line is wrong",
    advice: "Look at `bobbin help COMMAND`.",
  },
  badData: {
    means: "data is damaged or of another format",
    advice: "Check the place with `bobbin fsck`, or take another copy.",
  },
  notFound: {
    means: "there is no such user, mailbox, message or place",
    advice: "Look at the spelling; `bobbin ls PLACE` lists what is there.",
  },
  unreachable: {
    means: "the server cannot be reached, or the connection was lost",
    advice: "Check host, port, firewall and certificate, and run it again.",
  },
  bug: {
    means: "a bug in Bobbin",
    advice: "Please report it with the text that was printed.",
  },
  cannotCreate: {
    means: "something cannot be made: a store, a dump, a listening socket, or the disk is full",
    advice: "Read the error: it names the path or the address.",
  },
  io: {
    means:
      "the disk or a file failed, or nobody takes the output: its pipe is closed, its disk full",
    advice: "Look at the system's log before you run it again.",
  },
  busy: {
    means: "another process is writing, or the time was up",
    advice: "Run it again later.",
  },
  protocol: {
    means: "the server answered something that the protocol does not allow",
    advice: "Check that a sync server listens at this port; `bobbin dlist talk` shows its answers.",
  },
  refused: {
    means: "refused: rights are missing, a sign-in failed, or too much would be deleted",
    advice: "Read the error: it says which right or option is needed.",
  },
  config: {
    means: "a configuration file, a certificate or a users file cannot be used",
    advice: "Correct the file that the error names.",
  },
};

/** A process that a signal ends has 128 and the signal's number, as a shell counts it. */
export const SIGNAL_EXITS: Readonly<Record<number, ExitMeaning>> = {
  130: { means: "ended by SIGINT (Ctrl-C)", advice: "Run it again: it goes on where it was." },
  143: { means: "ended by SIGTERM", advice: "Run it again: it goes on where it was." },
};

/** The codes with which every command can end. */
export const ALWAYS: readonly ExitName[] = ["ok", "usage", "bug", "io"];
