/** How option values are read. No option takes an optional or variadic value: it would swallow the PLACE. */
import { InvalidArgumentError, Option } from "commander";

/** Gathers a repeated option. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** A whole number from 1 on. */
export function countOption(value: string): number {
  const count = Number(value);
  if (!/^[0-9]+$/.test(value) || count < 1 || count > 1024) {
    throw new InvalidArgumentError("a whole number from 1 to 1024 is wanted");
  }
  return count;
}

/** An option with a fixed set of values. */
export function choiceOption(flags: string, text: string, choices: readonly string[]): Option {
  return new Option(flags, text).choices([...choices]);
}
