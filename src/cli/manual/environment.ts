/** What Bobbin obeys besides its arguments, and which files it keeps. */

export const VARIABLES = {
  BOBBIN_PASSWORD: "the password of a sync server, or of the account that passwd sets",
  CREDENTIALS_DIRECTORY:
    "set by systemd: passwords are read from bobbin.password.HOST or bobbin.password in it",
  TMPDIR: "where temporary files go: copies of databases, large messages on their way (/tmp)",
  NO_COLOR: "no colours, if it is not empty",
  TERM: "dumb: no colours and no progress bar",
  COLUMNS: "the width of tables on a terminal, in place of its own",
  JOURNAL_STREAM: "set by systemd: serve writes its log in the journal's form",
  NOTIFY_SOCKET: "set by systemd: serve tells when it is ready and when it stops",
  LISTEN_FDS:
    "set by systemd, with LISTEN_PID and LISTEN_FDNAMES: serve listens on these sockets too; one " +
    "with `tls` in its name speaks TLS at once",
  BUN_JSC_useFTLJIT:
    "serve, replicate and backup set it to 0 and start again, which saves a fifth of their CPU " +
    "time; any value of yours is kept",
} as const;

/** Obeyed by the runtime that the executable is built with, not by code of Bobbin's. */
export const RUNTIME_VARIABLES: Readonly<Record<string, string>> = {
  SSL_CERT_FILE: "a PEM file of authorities to trust; NODE_EXTRA_CA_CERTS adds some likewise",
  BUN_OPTIONS:
    "options of the runtime, which come before those of Bobbin and can change all it does; with " +
    "BUN_BE_BUN=1 the executable is the runtime alone: leave both unset",
};

export type VariableName = keyof typeof VARIABLES;

export interface KnownFile {
  readonly path: string;
  readonly is: string;
}

export const FILES: readonly KnownFile[] = [
  { path: "STORE/bobbin.json", is: "the settings of a store; a folder with this file is a store" },
  { path: "STORE/uniqueids.sqlite", is: "which mailbox belongs to whom, for the whole store" },
  { path: "STORE/user/", is: "a folder for each user: catalogue, messages, indexes, trash" },
  { path: "STORE/shared/", is: "likewise for mailboxes that belong to no user" },
  { path: "STORE/.staging/", is: "what sessions have sent and not yet applied" },
  { path: "STORE/.reserve", is: "4 MiB kept back for deleting when the disk is full" },
  { path: "FILE.part", is: "a dump that is not yet whole" },
  { path: "imapd.conf", is: "of a Cyrus server, with cyrus.conf beside it; they are only read" },
];

export const SIGNALS: Readonly<Record<string, string>> = {
  SIGINT: "ends the command; replicate and serve first finish what they have begun",
  SIGTERM: "the same",
  SIGHUP: "serve reads its users file, certificate and key again; it ends no command",
  SIGUSR1: "the command says how far it is; serve logs its state",
};
