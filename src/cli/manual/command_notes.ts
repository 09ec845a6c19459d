/**
 * What the manual says of each command beside its options, which commander's tree has: examples,
 * what its exit codes mean there, what it obeys of the environment.
 */
import { BACKUP_NOTES } from "./backup_notes.ts";
import { type CommandNotes, OF_PLACES, PASSWORD } from "./notes.ts";

/** With which a command can end that opens a store alone. */
const OF_STORE = { badData: "", notFound: "", busy: "", refused: "", config: "" } as const;

/** Keyed by the words of the command: `store init`. */
export const NOTES: Readonly<Record<string, CommandNotes>> = {
  fsck: {
    examples: [
      {
        line: "bobbin fsck /etc/imapd.conf",
        does: "check a whole Cyrus server, also while it runs",
      },
      {
        line: "bobbin fsck --user ann --min-severity error /var/spool/cyrus/mail",
        does: "check one user in the folder of a partition; smaller findings do not count",
      },
      {
        line: "bobbin fsck --quick --json store:/srv/bobbin",
        does: "check a store without reading its messages, one JSON object a line",
      },
    ],
    exits: {
      damage: "something is damaged; each finding has a code: `bobbin help MS04`",
      partial: "something could not be read, or changed all the time",
      notFound: "no mailbox is there, or none of these names",
      ...{ badData: "", busy: "", refused: "", config: "" },
    },
    environment: ["TMPDIR", "NO_COLOR"],
    seeAlso: ["codes", "places"],
  },
  serve: {
    examples: [
      {
        line: "bobbin serve /srv/bobbin --users-file /etc/bobbin/users --listen 127.0.0.1:2005",
        does: "be a replica for a Cyrus on this machine",
      },
      {
        line:
          "bobbin serve /srv/bobbin --users-file /etc/bobbin/users --listen :2005 " +
          "--tls-cert chain.pem --tls-key key.pem",
        does: "be a replica for other machines, which must begin TLS before anything else",
      },
      {
        line: "bobbin generate systemd > /etc/systemd/system/bobbin.service",
        does: "let systemd start it",
      },
    ],
    exits: {
      ok: "it was ended by SIGTERM or SIGINT",
      notFound: "no store is there",
      cannotCreate: "an address cannot be listened on",
      ...{ badData: "", busy: "", refused: "" },
      config: "users file, certificate or key cannot be used, or too few files may be open",
    },
    environment: [
      ...(["TMPDIR", "JOURNAL_STREAM", "NOTIFY_SOCKET", "LISTEN_FDS"] as const),
      "BUN_JSC_useFTLJIT",
    ],
    seeAlso: ["passwd", "store init", "generate systemd"],
  },
  passwd: {
    examples: [
      {
        line: "bobbin passwd --users-file /etc/bobbin/users --allow '*' repl",
        does: "make an account that may touch everything; asks for its password",
      },
      {
        line:
          "bobbin passwd --users-file /etc/bobbin/users --password-file new.password " +
          "--allow ann --allow shared ann",
        does: "make or change one that may touch ann and what belongs to no user",
      },
      {
        line: "bobbin passwd --users-file /etc/bobbin/users --list",
        does: "list the accounts and what each may touch",
      },
    ],
    exits: {
      notFound: "there is no such account",
      cannotCreate: "the users file cannot be made",
      ...{ busy: "", refused: "", config: "" },
    },
    environment: PASSWORD,
    seeAlso: ["serve"],
  },
  ls: {
    examples: [
      { line: "bobbin ls /etc/imapd.conf", does: "list all users with their counts" },
      { line: "bobbin ls store:/srv/bobbin ann", does: "list ann's mailboxes" },
      {
        line: "bobbin ls store:/srv/bobbin ann INBOX",
        does: "list the messages of her INBOX with sender and subject",
      },
    ],
    exits: {
      damage: "a mailbox or message is damaged",
      partial: "a mailbox or message could not be read",
      ...OF_PLACES,
    },
    environment: [...PASSWORD, "TMPDIR"],
    seeAlso: ["cat", "places"],
  },
  cat: {
    examples: [
      {
        line: "bobbin cat /etc/imapd.conf user/ann/Sent/1 > message.eml",
        does: "save the message with UID 1 of ann's folder Sent",
      },
      {
        line: "bobbin cat store:/srv/bobbin da39a3ee5e6b4b0d3255bfef95601890afd80709 | less",
        does: "look at a message, whose GUID a log or a finding names",
      },
    ],
    exits: {
      ...OF_PLACES,
      badData: "the message is damaged, so not a byte of it is printed",
      notFound: "there is no such message",
    },
    environment: [...PASSWORD, "TMPDIR"],
    seeAlso: ["ls", "places"],
  },
  dlist: {
    examples: [
      { line: "bobbin dlist ann.dlist", does: "print a dump and check its sums" },
      {
        line: "bobbin dlist /var/lib/cyrus/log/repl/1234",
        does: "print a telemetry log of Cyrus, and name what in it breaks the protocol",
      },
    ],
    exits: {
      damage: "something in it is damaged",
      badData: "it is neither a dump nor a telemetry log",
      ...{ notFound: "", refused: "" },
    },
    environment: [],
    seeAlso: ["dlist talk", "replicate"],
  },
  "dlist talk": {
    examples: [
      {
        line: "bobbin dlist talk sync://repl@mail.example.com",
        does: "sign in, send what is typed, print the answers",
      },
      {
        line: "echo 'GET USER ann' | bobbin dlist talk --password-file pw sync://repl@localhost",
        does: "ask a server for one user",
      },
    ],
    exits: { unreachable: "", protocol: "", refused: "", config: "" },
    environment: PASSWORD,
    seeAlso: ["dlist", "places"],
  },
  store: {
    examples: [
      { line: "bobbin store init /srv/bobbin", does: "make a store" },
      { line: "bobbin store info /srv/bobbin", does: "list its users" },
    ],
    exits: {},
    environment: [],
    seeAlso: ["serve", "fsck"],
  },
  "store init": {
    examples: [
      { line: "bobbin store init /srv/bobbin", does: "make a store" },
      {
        line: "bobbin store init --retention 30 --index-version 20 /srv/bobbin",
        does: "make one that keeps deleted mail for 30 days, with indexes of the newest version",
      },
    ],
    exits: { cannotCreate: "the folder is not empty, or cannot be made", refused: "" },
    environment: [],
    seeAlso: ["serve", "store info"],
  },
  "store info": {
    examples: [
      { line: "bobbin store info /srv/bobbin", does: "list all users" },
      {
        line: "bobbin store info /srv/bobbin ann",
        does: "list the mailboxes of ann, and those that were deleted and can be undeleted",
      },
    ],
    exits: { partial: "a user's catalogue could not be read", ...OF_STORE },
    environment: ["TMPDIR"],
    seeAlso: ["ls", "store undelete"],
  },
  "store rename": {
    examples: [
      {
        line: "bobbin store rename /srv/bobbin user/ann/Old user/ann/New",
        does: "rename a folder with all below it",
      },
      {
        line: "bobbin store rename --swap /srv/bobbin user/ann/A user/ann/B",
        does: "give each of two folders the other's name",
      },
    ],
    exits: OF_STORE,
    environment: [],
    seeAlso: ["store info"],
  },
  "store delete": {
    examples: [
      {
        line: "bobbin store delete /srv/bobbin user/ann/Old",
        does: "delete a folder; it can be undeleted until gc removes it",
      },
      {
        line: "bobbin store delete --tree /srv/bobbin user/ann",
        does: "delete all mailboxes of ann",
      },
    ],
    exits: OF_STORE,
    environment: [],
    seeAlso: ["store undelete", "store gc"],
  },
  "store undelete": {
    examples: [
      {
        line: "bobbin store undelete /srv/bobbin user/ann/Old",
        does: "bring back the folder that was deleted last under this name",
      },
      {
        line: "bobbin store undelete --as user/ann/Found /srv/bobbin user/ann/Old",
        does: "bring it back under another name",
      },
      {
        line: "bobbin store undelete --tree /srv/bobbin user/ann",
        does: "bring back all mailboxes of ann",
      },
    ],
    exits: OF_STORE,
    environment: [],
    seeAlso: ["store info", "store delete"],
  },
  "store gc": {
    examples: [
      {
        line: "bobbin store gc /srv/bobbin",
        does: "remove what nothing needs any more, also while the store is served",
      },
      {
        line: "bobbin --quiet store gc /srv/bobbin > /dev/null",
        does: "the same from cron, which then mails only errors",
      },
    ],
    exits: {
      partial: "the mail of a user was left as it is, because something is damaged",
      ...OF_STORE,
    },
    environment: [],
    seeAlso: ["store undelete", "store init"],
  },
  "store reconstruct": {
    examples: [
      {
        line: "bobbin store reconstruct /srv/bobbin",
        does: "rebuild the store's databases from the mailbox folders, and say what was lost",
      },
      {
        line: "bobbin --json store reconstruct /srv/bobbin",
        does: "the same, one JSON object a line",
      },
    ],
    exits: { damage: "something could not be kept, and is named", ...OF_STORE },
    environment: [],
    seeAlso: ["fsck"],
  },
  replicate: {
    examples: [
      {
        line: "bobbin replicate ann --from /etc/imapd.conf --to sync://admin@new.example.com",
        does: "copy ann to another server; run it again to copy what is new since",
      },
      {
        line: "bobbin replicate --all --from /etc/imapd.conf --to store:/srv/bobbin --dry-run",
        does: "print what would be done for all users",
      },
      {
        line: "bobbin replicate ann --from dump:ann.dlist --to store:/srv/bobbin",
        does: "restore ann from a dump",
      },
    ],
    exits: {
      ...OF_PLACES,
      damage: "B has things that A does not have; with --check: there is something to do",
      cannotCreate: "the dump cannot be written, or the disk is full",
      refused: "too much would be deleted (--allow-delete), or a right or sign-in was refused",
      partial: "some users or mailboxes failed",
    },
    environment: [...PASSWORD, "TMPDIR", "BUN_JSC_useFTLJIT"],
    seeAlso: ["diff", "places"],
  },
  diff: {
    examples: [
      {
        line: "bobbin diff /etc/imapd.conf store:/srv/bobbin",
        does: "compare all users of a server with their copies",
      },
      {
        line: "bobbin diff --deep /etc/imapd.conf sync://repl@replica.example.com ann",
        does: "compare every record of one user, and read each message at both places",
      },
    ],
    exits: {
      ok: "both are the same",
      damage: "there are differences",
      partial: "some users or mailboxes could not be compared",
      ...OF_PLACES,
    },
    environment: [...PASSWORD, "TMPDIR"],
    seeAlso: ["replicate", "places"],
  },
  ...BACKUP_NOTES,
  help: {
    examples: [
      { line: "bobbin help store init", does: "the manual of one command" },
      { line: "bobbin help MS04", does: "what a finding means, and what to do" },
      { line: "bobbin help exit", does: "what the exit codes mean" },
    ],
    exits: {},
    environment: [],
    seeAlso: [],
  },
  generate: {
    examples: [
      {
        line: "bobbin generate man | man -l -",
        does: "read the manual page",
      },
      {
        line: "bobbin generate completion bash > /etc/bash_completion.d/bobbin",
        does: "let the shell complete commands, options, places, users and mailboxes",
      },
    ],
    exits: {},
    environment: [],
    seeAlso: ["help"],
  },
  "generate man": {
    examples: [
      { line: "bobbin generate man | man -l -", does: "read it" },
      {
        line: "bobbin generate man > /usr/local/share/man/man1/bobbin.1",
        does: "install it: `man bobbin`",
      },
    ],
    exits: {},
    environment: [],
    seeAlso: [],
  },
  "generate completion": {
    examples: [
      {
        line: "bobbin generate completion bash > /etc/bash_completion.d/bobbin",
        does: "for bash; without the package bash-completion, source the file in ~/.bashrc",
      },
      {
        line: "bobbin generate completion zsh > /usr/local/share/zsh/site-functions/_bobbin",
        does: "for zsh",
      },
      {
        line: "bobbin generate completion fish > /etc/fish/completions/bobbin.fish",
        does: "for fish",
      },
    ],
    exits: {},
    environment: [],
    seeAlso: [],
  },
  "generate json-schema": {
    examples: [
      {
        line: "bobbin generate json-schema > bobbin.schema.json",
        does: "save what each line of --json holds, for a validator of JSON Schema",
      },
      {
        line: "bobbin generate json-schema | jq '.anyOf[].properties.type.const'",
        does: "list the kinds of lines",
      },
    ],
    exits: {},
    environment: [],
    seeAlso: ["json"],
  },
  "generate systemd": {
    examples: [
      {
        line: "bobbin generate systemd > /etc/systemd/system/bobbin.service",
        does: "a service for a store in /var/lib/bobbin",
      },
      {
        line: "bobbin generate systemd --store /srv/bobbin --user mail --listen 192.0.2.7:2005",
        does: "for a store elsewhere, another user and one address",
      },
    ],
    exits: {},
    environment: [],
    seeAlso: ["serve"],
  },
};
