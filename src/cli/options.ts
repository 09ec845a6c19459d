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
export function collect(value: string, before: readonly string[]): readonly string[] {
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

/** An integer from 0 to 100. */
export function percentOption(value: string): number {
  if (!/^\d{1,3}$/.test(value) || Number(value) > 100) {
    throw new InvalidArgumentError("a percentage from 0 to 100 is wanted");
  }
  return Number(value);
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  ...{ "": 1, k: 1e3, m: 1e6, g: 1e9 },
  ...{ ki: 1024, mi: 1024 ** 2, gi: 1024 ** 3 },
};

/** A rate as `100MB/s`, `2.5MiB` or `500000`, in bytes per second. */
export function byteRateOption(value: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmg]i?)?b?(?:\/s)?$/i.exec(value) ?? [];
  const rate = Number(digits) * (BYTE_UNITS[unit.toLowerCase()] ?? 1);
  if (digits === undefined || rate < 1) {
    throw new InvalidArgumentError("bytes a second are wanted, like 100MB/s");
  }
  return rate;
}
