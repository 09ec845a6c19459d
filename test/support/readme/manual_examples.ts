/**
 * The examples of `bobbin help COMMAND`, as they are run on the machine of the README once all that
 * the README says has been done there: Cyrus and the service `bobbin` run.
 */
import { NOTES } from "../../../src/cli/manual/command_notes.ts";

/** Makes the files that the examples name and the README does not make. */
export const STAGE = `
  echo 'the-password-of-repl' > pw
  echo 'a new password' > new.password
  install -o bobbin /etc/bobbin/cert.pem chain.pem
  install -o bobbin /etc/bobbin/key.pem key.pem
  chmod 711 /root
  bobbin store init /srv/other
  mkdir -p /var/lib/cyrus/log/repl /usr/local/share/zsh/site-functions /etc/fish/completions
  printf '%s\\n' '---------- repl' '' '<1795385626<GET META ann' '>1795385627>OK success' \\
      > /var/lib/cyrus/log/repl/1234`;

const UNIT = "/etc/systemd/system/bobbin.service";
const RENAME = "runuser -u bobbin -- bobbin store rename --single /srv/bobbin";

/** What is done before and after the lines that begin so. */
const AROUND: Readonly<Record<string, readonly [before: string, after: string]>> = {
  "bobbin store init": [
    "mv /srv/bobbin /srv/away; install -d -o bobbin -m 700 /srv/bobbin",
    "rm -r /srv/bobbin; mv /srv/away /srv/bobbin",
  ],
  "bobbin store rename /srv": [`${RENAME} user/ann/Archive user/ann/Old`, ""],
  "bobbin store rename --swap": [
    `${RENAME} user/ann/Drafts user/ann/A; ${RENAME} user/ann/Trash user/ann/B`,
    "",
  ],
  "bobbin store delete /srv": [`${RENAME} user/ann/New user/ann/Old`, ""],
  "bobbin store undelete --as": [
    "runuser -u bobbin -- bobbin store delete /srv/bobbin user/ann/Old",
    "",
  ],
  "bobbin generate systemd >": [`cp ${UNIT} unit`, `cp unit ${UNIT}`],
};

/** The GUID in an example is that of no message; the first of ann's is taken in its place. */
const SOME_GUID = /\b[0-9a-f]{40}\b/;
const GUID_OF_ANN =
  "$(bobbin --json ls /srv/bobbin ann INBOX | grep -o '[0-9a-f]\\{40\\}' | head -n 1)";

const ALL = Object.values(NOTES).flatMap(({ examples }) => examples.map(({ line }) => line));
const OF_STORE = /^bobbin (--\w+ )?(store|serve) /;

/** The lines of `bobbin serve` are those of a server that runs until it is ended. */
export const SERVERS = asUser(ALL.filter((line) => line.startsWith("bobbin serve")));

/** Those that speak to the first of these servers. */
export const OF_SERVER = ALL.filter((line) => line.includes("bobbin dlist talk"));

/** All others, as scripts; those that change the store come last. */
export function exampleScripts(): readonly string[] {
  const others = ALL.filter((line) => !/bobbin (serve|dlist talk)/.test(line));
  const [store = [], rest = []] = [true, false].map((isStore) =>
    others.filter((line) => OF_STORE.test(line) === isStore),
  );
  return [...new Set([...rest, ...store])].map((line) => {
    const around = Object.entries(AROUND).find(([start]) => line.startsWith(start));
    const [before, after] = around?.[1] ?? ["", ""];
    const [script = ""] = asUser([line.replace(SOME_GUID, GUID_OF_ANN)]);
    return `${before}\n${script}\n${after}`;
  });
}

/** As the user to whom the store belongs, where a line is about a store. */
function asUser(lines: readonly string[]): readonly string[] {
  return lines.map((line) => {
    return OF_STORE.test(line) ? `runuser -u bobbin -- bash -ec '${line}'` : line;
  });
}
