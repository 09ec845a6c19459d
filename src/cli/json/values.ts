/** The values in the lines of `--json`. This room is loaded for its types, and by few commands. */
import { z } from "zod";
import { CODES, type Code } from "../../fsck/codes.ts";

export const text = z.string();
export const count = z.int().min(0);
export const bytes = z.int().min(0).meta({ description: "bytes" });
export const bool = z.boolean();
export const base64 = z.base64().meta({ description: "the same name, which is not UTF-8" });
export const guid = z.string().regex(/^[0-9a-f]{40}$/);

/** A whole number of up to 64 bits; commands give it as a bigint too, which `jsonLine` prints. */
export const whole = z
  .union([z.int(), z.string().regex(/^-?\d{16,20}$/)])
  .meta({ description: "a string where it is above 2^53 - 1" }) as unknown as z.ZodType<
  number | bigint
>;

export const time = z.iso.datetime().meta({ description: "RFC 3339, in UTC" });

/** A time that comes from mail; seconds since 1970 where no calendar has it. */
export const mailTime = z.union([time, z.string().regex(/^-?\d+$/)]);

/** A value that was found or expected; numbers above 2^53 - 1 are strings. */
export const scalar = z.union([text, z.number()]) as unknown as z.ZodType<string | number | bigint>;

export const code = z.enum(Object.keys(CODES) as [Code, ...Code[]]);

/** A list of what `of` takes. */
export const list = <Value>(of: z.ZodType<Value>) =>
  z.array(of) as unknown as z.ZodType<readonly Value[]>;

/** Whose it is: a user, or those who share the mailboxes below a top level. */
export const owner = {
  user: text.optional(),
  userBase64: base64.optional(),
  toplevel: text.optional(),
  toplevelBase64: base64.optional(),
};

/** A mailbox: as people write its name, and in Cyrus' internal form. */
export const mailbox = {
  mailbox: text,
  internalname: text,
  base64: base64.optional(),
};

export const maybeMailbox = {
  mailbox: text.optional(),
  internalname: text.optional(),
  base64: base64.optional(),
};

export const mailboxObject = z.strictObject(mailbox);

export type OwnerFacts = z.infer<z.ZodObject<typeof owner>>;
export type NameFacts = z.infer<typeof mailboxObject>;
