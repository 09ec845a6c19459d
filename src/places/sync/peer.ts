/** Who is at the other end of a connection to a sync server. */

/** A version of Cyrus. */
export type Version = readonly [major: number, minor: number];

export interface Peer {
  /** What it calls itself. */
  readonly name: string;
  readonly software: "cyrus" | "bobbin";
  /** Major and minor; undefined if it does not say. */
  readonly version: Version | undefined;
  /** In capitals: SASL mechanisms as `AUTH=PLAIN`, and words such as STARTTLS. */
  readonly capabilities: ReadonlySet<string>;
}

/**
 * The name and version in a greeting such as `beta Cyrus sync server 3.6.1-Debian`. 2.4 puts a `v`
 * before its version, and one that was built from git writes `git2.4.22+0`.
 */
export function parseGreeting(text: string): Pick<Peer, "name" | "software" | "version"> {
  const [, name = "", software = "", version = ""] =
    /(\S+) (Cyrus|Bobbin) (?:sync server|IMAP4?)(?: (\S+))?/.exec(text) ?? [];
  const [, major, minor] = /^[a-z]{0,8}-?v?(\d{1,4})\.(\d{1,4})/i.exec(version) ?? [];
  return {
    name,
    software: software === "Bobbin" ? "bobbin" : "cyrus",
    version: major === undefined ? undefined : [Number(major), Number(minor)],
  };
}
