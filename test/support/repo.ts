/** The files of this repository as the house-keeping tests see them. */
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** Path from the repository's root with `/`, and the text: a real file, or one a test made up. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** A broken rule: where, what, and what to do instead. */
export interface Violation {
  readonly path: string
  readonly line: number
  readonly what: string
}

export const ROOT = fileURLToPath(new URL("../../", import.meta.url))

const SKIPPED = new Set(["node_modules", ".git", "dist", "tmp"])

const walk = (folder: string): ReadonlyArray<string> =>
  readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) => {
    const path = folder + entry.name
    if (SKIPPED.has(entry.name)) return []
    return entry.isDirectory() ? walk(`${path}/`) : [path]
  })

/** Every file, sorted; without what is installed or built. */
export const PATHS: ReadonlyArray<string> = walk("").toSorted()

export const readSource = (path: string): Source => ({
  path,
  text: readFileSync(ROOT + path, "utf8")
})

const CODE = /\.[cm]?[jt]s$/
const GENERATED = /(^|\/)(gen|golden)\//

/** Written by hand, in TypeScript or JavaScript. */
export const codePaths = (): ReadonlyArray<string> =>
  PATHS.filter((path) => CODE.test(path) && !GENERATED.test(path))

/** Made by `npm run generate`, or by the plugin and kept to compare with. */
export const generatedPaths = (): ReadonlyArray<string> =>
  PATHS.filter((path) => CODE.test(path) && GENERATED.test(path))

/** One line each, for a failing test. */
export const printed = (violations: ReadonlyArray<Violation>): ReadonlyArray<string> =>
  violations.map(({ path, line, what }) => `${path}:${line}: ${what}`)

interface PackageJson {
  readonly exports: { readonly [door: string]: string | { readonly "quorate-source": string } }
}

/** The doors of the package: `quorate`, `quorate/server` … to the source file behind each. */
export const DOORS: ReadonlyMap<string, string> = new Map(
  Object.entries((JSON.parse(readSource("package.json").text) as PackageJson).exports).flatMap(
    ([door, target]) =>
      typeof target === "string"
        ? []
        : [[`quorate${door.slice(1)}`, target["quorate-source"].slice(2)] as const]
  )
)
