#!/usr/bin/env node
/** The command `quorate`. */
import { type Ended, keygen } from "./keygen.ts"

const HELP = `quorate keygen    makes keys of nodes with their group file, or one key
quorate --help    prints this

Each command has a --help of its own.
`

const run = ([command, ...args]: ReadonlyArray<string>): Ended => {
  if (command === "keygen") return keygen(args)
  if (command === "--help" || command === "-h") return { code: 0, stdout: HELP }
  const what = command === undefined ? "give a command" : `there is no command ${command}`
  return { code: 2, stderr: `quorate: ${what}; see quorate --help\n` }
}

const { code, stdout = "", stderr = "" } = run(process.argv.slice(2))
process.stdout.write(stdout)
process.stderr.write(stderr)
process.exitCode = code
