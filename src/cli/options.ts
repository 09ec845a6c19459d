/** Parsers of option values; none is optional or variadic, as that would swallow the PLACE. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { AppError } from "../core/errors.ts";

/**
 * Throws AppError (usage) where an argument or the value of an option is empty. Mostly it was a
 * variable of a shell that is not set, and an empty path would be the current folder.
 */
export function refuseEmpty(command: Command): void {
  const { registeredArguments, processedArgs } = command;
  const isEmpty = (value: unknown): boolean =>
    value === "" || (Array.isArray(value) && value.includes(""));
  const argument = registeredArguments.find((_, at) => isEmpty(processedArgs[at]));
  const option = command.options.find((one) => isEmpty(command.opts()[one.attributeName()]));
  const name = argument === undefined ? option?.flags : `<${argument.name()}>`;
  if (name === undefined) return;
  throw new AppError("usage", `Cannot take an empty ${name}`, {
    hint: "Is a variable of the shell not set?",
  });
}

/** Collects the values of a repeated option. */
export function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** An integer of at least 1. */
export function countOption(value: string): number {
  const count = Number(value);
  if (!/^[0-9]+$/.test(value) || count < 1 || count > 1024) {
    throw new InvalidArgumentError("a whole number from 1 to 1024 is wanted");
  }
  return count;
}

/** An option that takes one of a fixed set of values. */
export function choiceOption(flags: string, text: string, choices: readonly string[]): Option {
  return new Option(flags, text).choices([...choices]);
}

/** A number of seconds, an integer of at least 1. */
export function secondsOption(value: string): number {
  const seconds = Number(value);
  if (!/^\d{1,6}$/.test(value) || seconds < 1) {
    throw new InvalidArgumentError("a whole number of seconds from 1 on is wanted");
  }
  return seconds;
}

const AGE_UNITS: Readonly<Record<string, number>> = {
  ...{ m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 },
};

/** A time with its unit, as `20h` or `7d`, in milliseconds. */
export function ageOption(value: string): number {
  const [, digits, unit = ""] = /^(\d{1,5})([mhdw])$/.exec(value) ?? [];
  if (digits !== undefined) return Number(digits) * (AGE_UNITS[unit] ?? 0);
  throw new InvalidArgumentError("a time with its unit is wanted, like 90m, 20h, 7d or 4w");
}

/** An integer from 0 to 100, with or without its sign: `20%`. */
export function percentOption(value: string): number {
  const [, digits] = /^(\d{1,3}) ?%?$/.exec(value) ?? [];
  if (digits === undefined || Number(digits) > 100) {
    throw new InvalidArgumentError("a percentage from 0 to 100 is wanted");
  }
  return Number(digits);
}

/** The same from 1 on: of what is read in parts. */
export function sampleOption(value: string): number {
  const percent = percentOption(value);
  if (percent > 0) return percent;
  throw new InvalidArgumentError("a percentage from 1 to 100 is wanted");
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  ...{ "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 },
  ...{ ki: 1024, mi: 1024 ** 2, gi: 1024 ** 3, ti: 1024 ** 4 },
};

/**
 * A size with its unit, as `10GiB` (1024), `512MB` (1000) or `100B`, in bytes, of at least 1.
 * A bare number could be of anything.
 */
export function sizeOption(value: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgt]i?)?b$/i.exec(value) ?? [];
  const bytes = Math.round(Number(digits) * (BYTE_UNITS[unit.toLowerCase()] ?? 1));
  if (digits === undefined || bytes < 1 || !Number.isSafeInteger(bytes)) {
    throw new InvalidArgumentError("a size with its unit is wanted, like 10GiB or 512MB");
  }
  return bytes;
}

/** The same for options that were MiB before sizes had a unit: unit files still say `100`. */
export function sizeOrMibOption(value: string): number {
  return sizeOption(/^\d+$/.test(value) ? `${value}MiB` : value);
}

/** The same for a second, as `100MB/s`. */
export function byteRateOption(value: string): number {
  return sizeOption(value.replace(/\/s$/, ""));
}
