import { describe, expect, test } from "bun:test";
import { AppError, FormatError } from "../../src/core/errors.ts";
import {
  BLANK_HEADER_FILE,
  parseHeaderFile,
  printHeaderFile,
} from "../../src/formats/cyrus/header_file.ts";
import { crc32 } from "../../src/hash/crc32.ts";
import { HeaderImage } from "../../src/mailbox/header_image.ts";
import { userFlagCrcs } from "../../src/mailbox/sums.ts";

const BYTES = printHeaderFile({
  ...BLANK_HEADER_FILE,
  uniqueid: "abc",
  acl: "fred\tlrs\t",
  userFlags: ["$One", undefined, "three"],
});

describe("HeaderImage", () => {
  test("knows whether it is the file that the index recorded", () => {
    const image = new HeaderImage(BYTES);
    expect(image.fits(crc32(BYTES))).toBe(true);
    expect(image.fits(0)).toBe(true);
    expect(image.fits(crc32(BYTES) + 1)).toBe(false);
    expect(() => new HeaderImage(BYTES.subarray(1))).toThrow(FormatError);
  });

  test("prints nothing where nothing changed, and all of it for a new mailbox", () => {
    const image = new HeaderImage(BYTES);
    expect(image.print(false)).toBeUndefined();
    expect(image.print(true)).toEqual(BYTES);
    image.set({ name: "user.fred" });
    expect(parseHeaderFile(image.print(false) ?? expect.unreachable()).name).toBe("user.fred");
  });

  test("finds flags in any case, fills free slots, and refuses more than there is room for", () => {
    const image = new HeaderImage(BYTES);
    expect(image.flagSlot("THREE", 128)).toBe(2);
    expect(image.print(false)).toBeUndefined();
    expect(image.flagSlot("new", 128)).toBe(1);
    expect(image.flagSlot("more", 4)).toBe(3);
    expect(image.flagCrcs).toEqual(userFlagCrcs(["$One", "new", "three", "more"]));
    expect(() => image.flagSlot("too many", 4)).toThrow(AppError);
    const { userFlags } = parseHeaderFile(image.print(false) ?? expect.unreachable());
    expect(userFlags).toEqual(["$One", "new", "three", "more"]);
  });
});
