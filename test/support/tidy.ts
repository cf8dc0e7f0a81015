/** The checks of test/tidy.test.ts: each takes sources and gives the rules they break. */
import { posix } from "node:path"
import type { Source, Violation } from "./repo.ts"
import { syntaxOf } from "./syntax.ts"
import {
  BANS,
  COLUMNS_MAX,
  FUNCTION_LINES_MAX,
  IMPORT_BANS,
  LINES_MAX,
  TEXT_BANS
} from "./tidyRules.ts"

export const checkSizes = ({ path, text }: Source): ReadonlyArray<Violation> => {
  const lines = text.split("\n")
  if (lines.at(-1) === "") lines.pop()
  const wide = lines.flatMap((line, at) =>
    [...line].length <= COLUMNS_MAX || /:\/\//.test(line)
      ? []
      : [{ path, line: at + 1, what: `${[...line].length} columns; at most ${COLUMNS_MAX}` }]
  )
  if (lines.length <= LINES_MAX) return wide
  return [
    ...wide,
    {
      path,
      line: LINES_MAX + 1,
      what: `${lines.length} lines; at most ${LINES_MAX}: split it by concept`
    }
  ]
}

export const checkFunctions = (source: Source): ReadonlyArray<Violation> =>
  syntaxOf(source)
    .functions.filter(({ lines, suite }) => !suite && lines > FUNCTION_LINES_MAX)
    .map(({ name, line, lines }) => ({
      path: source.path,
      line,
      what: `${name} has ${lines} lines; at most ${FUNCTION_LINES_MAX}`
    }))

export const checkBans = (source: Source): ReadonlyArray<Violation> => {
  const { path } = source
  const { errors, imports, uses } = syntaxOf(source)
  const used = uses.flatMap(({ name, line }) =>
    BANS.filter(({ where, names }) => where.test(path) && names.test(name)).map(({ instead }) => ({
      path,
      line,
      what: `${name} may not stand here; instead: ${instead}`
    }))
  )
  const imported = imports.flatMap(({ specifier, line }) =>
    IMPORT_BANS.filter(({ where, names }) => where.test(path) && names.test(specifier)).map(
      ({ instead }) => ({
        path,
        line,
        what: `${specifier} may not be imported here; instead: ${instead}`
      })
    )
  )
  return [...errors.map((error) => ({ path, line: 1, what: error })), ...used, ...imported]
}

export const checkText = ({ path, text }: Source): ReadonlyArray<Violation> =>
  text.split("\n").flatMap((content, at) =>
    TEXT_BANS.flatMap(({ names, except, instead }) => {
      const found = except.test(path) ? null : names.exec(content)
      if (found === null) return []
      return [{ path, line: at + 1, what: `"${found[0]}" may not stand here; instead: ${instead}` }]
    })
  )

/** A Markdown heading as GitHub makes an anchor of it. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-")

const withoutFences = (text: string): ReadonlyArray<string> => {
  let inside = false
  return text.split("\n").map((line) => {
    const fence = /^\s*(```|~~~)/.test(line)
    if (fence) inside = !inside
    return fence || inside ? "" : line
  })
}

const anchorsIn = (text: string): ReadonlySet<string> =>
  new Set(
    withoutFences(text).flatMap((line) => {
      const heading = /^#{1,6} (.+)$/.exec(line)
      return heading === null ? [] : [anchorOf(heading[1]!)]
    })
  )

export type ReadText = (path: string) => string | undefined

/** Links of a Markdown file that lead to no file, or to no heading of it. */
export const checkLinks = (source: Source, read: ReadText): ReadonlyArray<Violation> =>
  withoutFences(source.text).flatMap((line, at) =>
    [...line.matchAll(/\[[^\]]*\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
      if (/^[a-z]+:/.test(target!)) return []
      const [file, anchor] = target!.split("#") as [string, string | undefined]
      const path = file === "" ? source.path : posix.join(posix.dirname(source.path), file)
      const text = file === "" ? source.text : read(path)
      const broken = (what: string) => [{ path: source.path, line: at + 1, what }]
      if (text === undefined) return broken(`a link to ${path}, which does not exist`)
      if (anchor === undefined || anchorsIn(text).has(anchor)) return []
      return broken(`a link to #${anchor}, which is no heading of ${path}`)
    })
  )

const FOLDERS = "src|test|docs|proto|plugin|gen|apps|examples|bench|tools"
const MENTION = new RegExp(
  `(?<![\\w./@-])((?:${FOLDERS})/[\\w./-]+\\.(?:ts|md|proto|json|js|yaml)|[A-Z]{4,}\\.md)\\b`,
  "g"
)

/** Paths that prose or a comment names and that are not there. */
export const checkMentions = (
  source: Source,
  exists: (path: string) => boolean
): ReadonlyArray<Violation> => {
  const prose = /\.[cm]?[jt]s$/.test(source.path)
    ? syntaxOf(source).comments.flatMap(({ text, line }) =>
        text.split("\n").map((content, at) => ({ content, line: line + at }))
      )
    : source.text.split("\n").map((content, at) => ({ content, line: at + 1 }))
  const folder = posix.dirname(source.path)
  return prose.flatMap(({ content, line }) =>
    [...content.matchAll(MENTION)]
      .map(([, path]) => path!)
      .filter((path) => !exists(path) && !exists(posix.join(folder, path)))
      .map((path) => ({ path: source.path, line, what: `names ${path}, which does not exist` }))
  )
}

/** Names that a file system without case would take for one. */
export const checkCase = (paths: ReadonlyArray<string>): ReadonlyArray<Violation> => {
  const known = new Map<string, string>()
  return paths.flatMap((path) => {
    const other = known.get(path.toLowerCase())
    known.set(path.toLowerCase(), path)
    return other === undefined
      ? []
      : [{ path, line: 1, what: `differs from ${other} only by case` }]
  })
}

interface Lock {
  readonly packages: { readonly [path: string]: Locked }
}
interface Locked {
  readonly dependencies?: object
  readonly optionalDependencies?: object
}

/**
 * Packages a lock file asks for and does not hold: `npm ci` refuses it. npm leaves out, without a
 * word, optional packages of other platforms that its registry does not have.
 */
export const checkLock = ({ path, text }: Source): ReadonlyArray<Violation> => {
  const { packages } = JSON.parse(text) as Lock
  const holds = (folder: string, name: string): boolean => {
    if (`${folder}node_modules/${name}` in packages) return true
    const up = Math.max(0, folder.lastIndexOf("node_modules/"))
    return folder !== "" && holds(folder.slice(0, up), name)
  }
  return Object.entries(packages).flatMap(([owner, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !holds(owner === "" ? "" : `${owner}/`, name))
      .map((name) => ({ path, line: 1, what: `lacks ${name}, which ${owner || "it"} asks for` }))
  )
}
