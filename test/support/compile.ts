/** Runs the compiler as `npm run types` does, and gives what it says. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { ROOT } from "./repo.ts"

const run = promisify(execFile)

/** One line per error, with paths from the repository's root; none: it compiles. */
export const compile = async (project: string): Promise<ReadonlyArray<string>> => {
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc")
  try {
    await run(process.execPath, [tsc, "-p", project, "--pretty", "false"], { cwd: ROOT })
    return []
  } catch (failure) {
    const { stdout } = failure as { readonly stdout?: string }
    if (typeof stdout !== "string" || stdout === "") throw failure
    return stdout.trimEnd().split("\n")
  }
}

/** Compiles `text` alone, under the rules of `config`. */
export const compileText = async (config: string, text: string): Promise<ReadonlyArray<string>> => {
  // Inside the repository, so that packages and doors resolve as they do for its own files.
  const folder = mkdtempSync(join(ROOT, "node_modules/.quorate-"))
  try {
    const project = join(folder, "tsconfig.json")
    writeFileSync(join(folder, "planted.ts"), text)
    writeFileSync(
      project,
      JSON.stringify({ extends: join(ROOT, config), include: ["planted.ts"], exclude: [] })
    )
    return await compile(project)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
