/** What the manual says of `bobbin backup` and its commands. */
import { type CommandNotes, OF_PLACES, PASSWORD } from "./notes.ts";

/** With which a command can end that opens archives. */
const OF_ARCHIVES = {
  ...{ badData: "", notFound: "no archive is there", refused: "" },
  ...{ busy: "a run writes the archive", partial: "some archives could not be read" },
} as const;

/** Keyed by the words of the command. */
export const BACKUP_NOTES: Readonly<Record<string, CommandNotes>> = {
  backup: {
    examples: [
      {
        line: "bobbin backup run --all --from /etc/imapd.conf --to /backup",
        does: "back up what is new of everybody",
      },
      {
        line: "bobbin help backup run",
        does: "explain how users are backed up",
      },
    ],
    exits: {},
    environment: [],
    seeAlso: ["backup run", "backup restore", "replicate"],
  },
  "backup run": {
    examples: [
      {
        line: "bobbin backup run --all --from /etc/imapd.conf --to /backup",
        does: "back up everybody; run it again, as from cron, to append what is new",
      },
      {
        line: "bobbin backup run ann --from sync://admin@mail.example.com --to /backup",
        does: "back up one user of a server on the network",
      },
      {
        line:
          "bobbin backup run --all --if-older 20h --metrics-file /var/lib/bobbin.prom " +
          "--from /etc/imapd.conf --to /backup",
        does: "back up who was not backed up since yesterday, and tell Prometheus",
      },
    ],
    exits: {
      ...OF_PLACES,
      busy: "another run writes the archive",
      cannotCreate: "the disk is full",
      partial: "some users, mailboxes or messages could not be read; the rest is backed up",
    },
    environment: [...PASSWORD, "TMPDIR", "BUN_JSC_useFTLJIT"],
    seeAlso: ["replicate", "places"],
  },
  "backup list": {
    examples: [
      { line: "bobbin backup list /backup", does: "list all archives and when each last ran" },
      { line: "bobbin backup list --runs /backup ann", does: "list what each run brought" },
    ],
    exits: { ...OF_ARCHIVES },
    environment: ["NO_COLOR"],
    seeAlso: ["ls", "backup run"],
  },
  "backup verify": {
    examples: [
      { line: "bobbin backup verify /backup", does: "check all archives" },
      {
        line: "bobbin backup verify --quiet /backup/a/ann",
        does: "check one, and say errors alone",
      },
      {
        line: "bobbin backup verify --sample 5% /backup ann bob",
        does: "check a part of the archives of two users, each night another",
      },
    ],
    exits: { damage: "something is damaged; `bobbin help BK01`", ...OF_ARCHIVES },
    environment: ["TMPDIR", "NO_COLOR"],
    seeAlso: ["fsck", "backup rebuild", "codes"],
  },
  "backup compact": {
    examples: [
      { line: "bobbin backup compact --dry-run /backup", does: "say what would go from archives" },
      {
        line: "bobbin backup compact --keep 30d /backup",
        does: "keep every state of the last 30 days, where a fifth or more of an archive can go",
      },
      {
        line: "bobbin backup compact --force --keep-deleted 90d --keep-expunged 14d /backup/a/ann",
        does: "keep deleted mailboxes longer than expunged messages",
      },
    ],
    exits: { damage: "a content in an archive is damaged; it is kept as it is", ...OF_ARCHIVES },
    environment: ["NO_COLOR"],
    seeAlso: ["backup list", "backup verify"],
  },
  "backup rebuild": {
    examples: [
      { line: "bobbin backup rebuild /backup/a/ann", does: "make a lost state anew" },
      { line: "bobbin backup rebuild /backup", does: "make the states of all archives anew" },
    ],
    exits: { damage: "an archive is damaged, and not all of it could be read", ...OF_ARCHIVES },
    environment: [],
    seeAlso: ["backup verify"],
  },
  "backup restore": {
    examples: [
      {
        line:
          "bobbin backup restore store:/srv/copy --mailbox user/ann/Sent " +
          "--to imap://admin@mail.example.com",
        does: "bring back what ann has lost of a folder, to the running server",
      },
      {
        line: "bobbin backup restore dump:ann.dlist ann --as ann-copy --to /srv/copy --dry-run",
        does: "say what would come back of a user, under another name",
      },
      {
        line: "bobbin backup restore /srv/copy --mailbox user/ann --message 17 --to /srv/other",
        does: "bring back one message, even if it had been expunged in the copy too",
      },
    ],
    exits: {
      ...OF_PLACES,
      notFound: "there is no such user, mailbox or message in the archive",
      damage: "something stayed different: scripts of the target are newer",
      cannotCreate: "the disk is full, or a file is there already",
      partial: "some users or mailboxes failed",
    },
    environment: [...PASSWORD, "TMPDIR", "BUN_JSC_useFTLJIT"],
    seeAlso: ["replicate", "places"],
  },
};
