/** The lines of `--json`: what each `type` is. `bobbin generate json-schema` has the fields. */

export const JSON_LINES = {
  user: "ls: a user with counts; replicate: how it went with a user or a shared top level",
  shared: "ls: mailboxes that belong to no user, with counts",
  mailbox: "ls, store info: a mailbox",
  message: "ls: a message",
  owner: "store info: a user, or the first part of the names of shared mailboxes",
  deleted: "store info: a deleted mailbox that can be undeleted",
  account: "passwd --list: an account, and what it may touch",
  archive: "backup list: an archive",
  run: "backup list --runs: a run, and what it brought",
  gap: "backup run: a mailbox to which mail came that was gone before the run",
  sample: "backup verify --sample: which part of an archive was read",
  compaction: "backup compact: what of an archive goes, or would go",
  finding: "fsck: something that is not as it should be, with its code",
  damage: "dlist: something in a dump or a log that cannot be read",
  step: "replicate, backup restore, store: something that was done, or in a dry run would be done",
  difference: "diff, replicate: something in which the two places differ",
  line: "dlist: a line of the protocol",
  item: "dlist talk: one value of an answer",
  listening: "serve: the addresses on which it listens",
  progress: "how far a long command is, every ten seconds",
  error: "what failed, as on stderr, with a hint where there is one",
  log: "serve --log-form json: a line of its log, which goes to stderr",
  summary: "always the last line: the command, what it did, and `exit`, the exit code",
} as const satisfies Readonly<Record<string, string>>;

export const JSON_NOTES: readonly string[] = [
  "With --json every line on stdout is one JSON object, and `type` says what it is. The last " +
    "line is always a summary.",
  "Times are RFC 3339 in UTC, sizes are bytes, GUIDs are hexadecimal in small letters. A whole " +
    "number above 2^53-1 is a string. A name that is not UTF-8 is there as base64 too.",
];
