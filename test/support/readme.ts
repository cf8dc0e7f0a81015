/** Checks that what a README shows is what the repository holds, and so what its tests run. */
import type { Source, Violation } from "./repo.ts"

export interface Block {
  readonly language: string
  readonly code: string
  readonly line: number
  /** From `<!-- file: PATH -->` or `<!-- part of: PATH -->` on the line above the block. */
  readonly file: string | undefined
  readonly whole: boolean
  /** From `<!-- set-up: NAME -->`: a file, or commands, that test/e2e/pack.test.ts takes. */
  readonly setUp: string | undefined
}

const FENCE = /^```(\w*)$/
const MARKER = /^<!-- (file|part of|set-up): (\S+) -->$/

/** The fenced blocks of a Markdown file. */
export const blocksOf = (text: string): ReadonlyArray<Block> => {
  const lines = text.split("\n")
  const blocks: Array<Block> = []
  for (let at = 0; at < lines.length; at++) {
    const fence = FENCE.exec(lines[at]!)
    if (fence === null) continue
    const end = lines.indexOf("```", at + 1)
    const marker = MARKER.exec(lines[at - 1] ?? "")
    blocks.push({
      language: fence[1]!,
      code: lines.slice(at + 1, end).join("\n"),
      line: at + 1,
      file: marker?.[1] === "set-up" ? undefined : marker?.[2],
      whole: marker?.[1] === "file",
      setUp: marker?.[1] === "set-up" ? marker[2] : undefined
    })
    at = end < 0 ? lines.length : end
  }
  return blocks
}

const PROGRAM = /^(ts|proto|json)$/

/** The page whose set-up a test follows word by word. */
export const SET_UP = "docs/guide/set-up.md"

/** The block of a set-up page with that name; it must be there once. */
export const setUpOf = (text: string, name: string): string => {
  const found = blocksOf(text).filter(({ setUp }) => setUp === name)
  if (found.length !== 1) throw new Error(`${found.length} blocks <!-- set-up: ${name} -->`)
  return found[0]!.code
}

/** Programs must be the text of the file they name, or a run of its lines. */
export const checkPrograms = (
  { path, text }: Source,
  read: (path: string) => string | undefined
): ReadonlyArray<Violation> =>
  blocksOf(text).flatMap(({ language, code, line, file, whole, setUp }) => {
    const broken = (what: string) => [{ path, line, what }]
    if (!PROGRAM.test(language) || (setUp !== undefined && path === SET_UP)) return []
    if (file === undefined) return broken("a program without `<!-- file: PATH -->` above it")
    const held = read(file)?.trimEnd()
    if (held === undefined) return broken(`${file} does not exist`)
    if (whole ? held === code : `\n${held}\n`.includes(`\n${code}\n`)) return []
    return broken(`differs from ${file}`)
  })

/** `name@1.2.3` in a command must be the version that the repository's tests run with. */
export const checkVersions = (
  { path, text }: Source,
  versions: { readonly [name: string]: string | undefined }
): ReadonlyArray<Violation> =>
  blocksOf(text).flatMap(({ language, code, line }) =>
    (language === "sh" ? [...code.matchAll(/(?<=\s)(@?[\w/-]+)@(\d\S*)/g)] : [])
      .filter(([, name, shown]) => versions[name!] !== shown)
      .map(([, name]) => ({ path, line, what: `${name} is ${versions[name!] ?? "not used here"}` }))
  )

/** `npm run X`, `npm test` and `npm start` must be scripts of package.json. */
export const checkCommands = (
  { path, text }: Source,
  scripts: ReadonlySet<string>
): ReadonlyArray<Violation> =>
  text.split("\n").flatMap((content, at) =>
    [...content.matchAll(/\bnpm (?:run (?:--?\S+ )*([\w:]+)|(test|start)\b)/g)]
      .map(([, run, short]) => run ?? short!)
      .filter((script) => !scripts.has(script))
      .map((script) => ({ path, line: at + 1, what: `package.json has no script ${script}` }))
  )

/** Rows `| \`limit\` | 1,024 | … |` must give the limit's value. */
export const checkLimitsShown = (
  { path, text }: Source,
  limits: { readonly [name: string]: number }
): ReadonlyArray<Violation> =>
  text.split("\n").flatMap((content, at) => {
    const row = /^\| `(\w+)` \| ([\d,]+) \|/.exec(content)
    if (row === null) return []
    const [, name, shown] = row
    if (limits[name!] === Number(shown!.replaceAll(",", ""))) return []
    return [{ path, line: at + 1, what: `${name} is ${limits[name!] ?? "no limit"}` }]
  })
