/** SASL PLAIN (RFC 4616): `[authzid] NUL authcid NUL password`, in UTF-8. */
import { textOf, utf8 } from "../../core/bytes.ts";
import { FormatError } from "../../core/errors.ts";

export interface PlainMessage {
  /** The user to act as; empty means the same as `authcid`. */
  readonly authzid: string;
  readonly authcid: string;
  readonly password: string;
}

const FIELD_BYTES = 255;

/** Parses the only message of PLAIN. Throws FormatError. */
export function parsePlain(bytes: Uint8Array): PlainMessage {
  const [authzid, authcid, password, ...rest] = (textOf(bytes) ?? "").split("\0");
  if (authzid === undefined || authcid === undefined || password === undefined || rest.length > 0) {
    throw new FormatError(0, "authzid NUL authcid NUL password");
  }
  const isTooLong = [authzid, authcid, password].some((one) => utf8(one).length > FIELD_BYTES);
  if (authcid === "" || password === "" || isTooLong) {
    throw new FormatError(authzid.length + 1, "a name and a password of 1 to 255 bytes");
  }
  return { authzid, authcid, password };
}

/** The inverse of `parsePlain`. */
export function printPlain(message: PlainMessage): Uint8Array {
  return utf8(`${message.authzid}\0${message.authcid}\0${message.password}`);
}
