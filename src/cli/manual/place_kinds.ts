/** What a PLACE can be, for help, the man page, completions and the README's table. */
import type { PlaceLocator } from "../../places/locator.ts";

export interface PlaceKind {
  readonly kind: PlaceLocator["kind"];
  /** How the locator begins. */
  readonly scheme: string;
  /** Locators as an administrator writes them; a path alone too where it is recognised. */
  readonly examples: readonly string[];
  /** The TCP port where the locator names none. */
  readonly port?: number;
  /** What it is. */
  readonly is: string;
  /** How it can be written; undefined for a kind that is only read. */
  readonly written?: string;
}

const AS_SERVER = "yes, with an account that may do so";

export const PLACE_KINDS: readonly PlaceKind[] = [
  {
    kind: "cyrus",
    scheme: "cyrus:",
    examples: ["cyrus:/etc/imapd.conf", "/etc/imapd.conf"],
    is: "a Cyrus server on this machine, running or not; its imapd.conf says where everything lies",
  },
  {
    kind: "cyrus",
    scheme: "cyrus:",
    examples: ["cyrus:/var/spool/cyrus/mail", "/var/spool/cyrus/mail"],
    is: "the folder of a Cyrus partition, or of one mailbox, without the server's databases",
  },
  {
    kind: "store",
    scheme: "store:",
    examples: ["store:/srv/bobbin", "/srv/bobbin"],
    is: "Bobbin's own store, made with `bobbin store init`",
    written: "yes",
  },
  {
    kind: "sync",
    scheme: "sync://",
    examples: ["sync://repl@mail.example.com", "sync://repl@192.0.2.7:2005"],
    port: 2005,
    is: "a sync server, Cyrus or `bobbin serve`; TLS begins with STARTTLS where it is offered",
    written: AS_SERVER,
  },
  {
    kind: "sync",
    scheme: "syncs://",
    examples: ["syncs://repl@mail.example.com"],
    port: 2005,
    is: "the same, with TLS from the first byte on",
    written: AS_SERVER,
  },
  {
    kind: "sync",
    scheme: "imap://",
    examples: ["imap://repl@mail.example.com"],
    port: 143,
    is: "the same protocol within IMAP, as Cyrus offers it to its administrators",
    written: AS_SERVER,
  },
  {
    kind: "sync",
    scheme: "imaps://",
    examples: ["imaps://repl@mail.example.com"],
    port: 993,
    is: "within IMAP, with TLS from the first byte on",
    written: AS_SERVER,
  },
  {
    kind: "backupcyrus",
    scheme: "backupcyrus://",
    examples: ["backupcyrus://mail.example.com/mail", "backupcyrus://repl@mail.example.com"],
    port: 2901,
    is:
      "a server of Cyrus' backups, `backupcyrusd` or `bobbin serve` with `--backup-listen`; " +
      "without an account nobody signs in. The name behind the slash is the server's own, if " +
      "you know it",
  },
  {
    kind: "backupcyrus",
    scheme: "backupcyruss://",
    examples: ["backupcyruss://mail.example.com"],
    port: 2901,
    is: "the same, with TLS from the first byte on",
  },
  {
    kind: "backupcyrus",
    scheme: "backupcyrus:",
    examples: ["backupcyrus:/run/bobbin/backup.sock"],
    is: "the same, over a socket on this machine",
  },
  {
    kind: "backup",
    scheme: "backup:",
    examples: ["backup:/srv/backup/a/ann", "/srv/backup/a/ann", "/srv/backup"],
    is:
      "the backup of a user, or a folder of backups; with `@2026-11-20` behind it, or date and " +
      "time, as it was at that moment",
    written: "yes, whole users; `bobbin backup run` keeps what their places delete",
  },
  {
    kind: "dump",
    scheme: "dump:",
    examples: ["dump:ann.dlist", "dump:-", "ann.dlist"],
    is: "a file with users' mail, checksummed; - is stdin or stdout",
    written: "in one go, as a whole",
  },
  {
    kind: "eml",
    scheme: "eml:",
    examples: ["eml:/home/ann/mail"],
    is: "a new folder of messages, one file each, named by UID; flags are not kept",
    written: "once; it is never read",
  },
  {
    kind: "mbox",
    scheme: "mbox:",
    examples: ["mbox:ann-sent.mbox"],
    is:
      "a new file with the messages of one mailbox; flags are in its headers Status, X-Status " +
      "and X-Keywords",
    written: "once; it is never read",
  },
];

export const PLACE_NOTES: readonly string[] = [
  "A path alone is recognised by what lies there: a store, mail of Cyrus, backups, or a dump. " +
    "Any other file is read as an imapd.conf. With a scheme before the path nothing is guessed.",
  "Where the name of an account holds @, write %40: sync://ann%40example.com@mail.example.com. " +
    "An IPv6 address stands in brackets: sync://repl@[2001:db8::7]:2005.",
  "A password never stands in a PLACE. It comes from --password-file, BOBBIN_PASSWORD, a " +
    "credential of systemd, or is asked for on a terminal.",
];
