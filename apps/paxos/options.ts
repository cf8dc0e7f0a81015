/**
 * Command-line options of the programs in this folder: strings are required, unless they say that
 * they are optional; switches are off.
 */
import { parseArgs } from "node:util"

type Flags = {
  readonly [name: string]: {
    readonly type: "string" | "boolean"
    readonly optional?: true
    readonly help: string
  }
}
type Values<F extends Flags> = {
  readonly [K in keyof F]: F[K]["type"] extends "boolean"
    ? boolean
    : F[K] extends { readonly optional: true }
      ? string | undefined
      : string
}

/** Prints help and exits with 0 for `--help`; one line and 2 for options that do not fit. */
export const options = <const F extends Flags>(spec: {
  /** The command as it is typed in the repository. */
  readonly usage: string
  readonly about: string
  readonly flags: F
}): Values<F> => {
  const names = Object.keys(spec.flags)
  let values: { readonly [name: string]: string | boolean | undefined }
  try {
    const flags = Object.fromEntries(names.map((name) => [name, { type: spec.flags[name]!.type }]))
    values = parseArgs({ options: { ...flags, help: { type: "boolean" } } }).values as typeof values
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    // Node's first sentence; the rest is about arguments that begin with a dash.
    return refuse(spec.usage, text.split(/\.\s/)[0]!)
  }
  if (values["help"] === true) {
    console.log(`${spec.about}\n\nusage: ${spec.usage}\n`)
    for (const name of names) console.log(`  --${name.padEnd(10)} ${spec.flags[name]!.help}`)
    process.exit(0)
  }
  const missing = names.filter((name) => {
    const { type, optional } = spec.flags[name]!
    return type === "string" && optional !== true && values[name] === undefined
  })
  if (missing.length > 0) {
    const listed = missing.map((name) => `--${name}`).join(" and ")
    return refuse(spec.usage, `${listed} ${missing.length === 1 ? "is" : "are"} missing`)
  }
  const given = (name: string) =>
    values[name] ?? (spec.flags[name]!.type === "boolean" ? false : undefined)
  return Object.fromEntries(names.map((name) => [name, given(name)])) as Values<F>
}

const refuse = (usage: string, what: string): never => {
  console.error(`${what}; usage: ${usage}`)
  return process.exit(2)
}
