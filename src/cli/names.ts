/** Mailbox names as people write them, and back (internal `user.ann.Sub` is `user/ann/Sub`). */
import { externalName, useridOf } from "../model/names.ts";

/** The name to show for an internal one. */
export function displayName(name: string, { internal }: { readonly internal: boolean }): string {
  // A mailbox whose name is not known goes by its path: no internal name has a slash.
  return internal || name.includes("/") ? name : externalName(name);
}

/** A test by internal name for `--user` and `--mailbox`; undefined when neither was given. */
export function mailboxFilter(
  users: readonly string[],
  mailboxes: readonly string[],
): ((name: string) => boolean) | undefined {
  if (users.length === 0 && mailboxes.length === 0) return undefined;
  const wantedUsers = new Set(users);
  const wantedNames = new Set(mailboxes);
  return (name) => {
    const user = useridOf(name);
    const byUser = user !== undefined && wantedUsers.has(user);
    const byName = wantedNames.has(name) || wantedNames.has(displayName(name, { internal: false }));
    return byUser || byName;
  };
}
