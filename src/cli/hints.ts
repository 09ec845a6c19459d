/** What is told of an error beside its text, such as what may be done about it. */
import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { AppError, errnoOf, PERMISSION_HINT } from "../core/errors.ts";
import type { ErrorFacts } from "./json/lines.ts";
import { nameFacts } from "./mailbox_names.ts";

/** The hint of an error; where rights are missing, with the user who has them. */
export function hintOf(error: AppError): string | undefined {
  if (error.hint !== PERMISSION_HINT) return error.hint;
  const path = pathBehind(error);
  const owner = path === undefined ? undefined : ownerOf(path);
  return owner === undefined ? error.hint : `${PERMISSION_HINT} (${owner})`;
}

/** What an error line says of an error beside its text. */
export function errorFacts(error: AppError): ErrorFacts {
  const { mailbox, ...context } = error.context;
  return {
    ...{ code: error.code, hint: hintOf(error) },
    ...(typeof mailbox === "string" && nameFacts(mailbox)),
    ...(Object.keys(context).length > 0 && { context }),
  };
}

function pathBehind(error: AppError): string | undefined {
  const { context, cause } = error;
  if (typeof context["path"] === "string") return context["path"];
  if (cause instanceof AppError) return pathBehind(cause);
  const named = cause instanceof Error && "path" in cause ? cause.path : undefined;
  return typeof named === "string" ? named : undefined;
}

/** Whose the file is, or else the nearest folder above it that can be looked at. */
function ownerOf(path: string): string | undefined {
  try {
    return `${path} belongs to ${nameOf(statSync(path).uid)}`;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return dirname(path) === path ? undefined : ownerOf(dirname(path));
  }
}

function nameOf(uid: number): string {
  try {
    const line = new RegExp(`^([^:]+):[^:]*:${uid}:`, "m").exec(
      readFileSync("/etc/passwd", "utf8"),
    );
    return line?.[1] ?? `the user ${uid}`;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return `the user ${uid}`;
  }
}
