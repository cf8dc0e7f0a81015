/** Checks imports against the table, and looks for cycles and for files nobody reaches. */
import { posix } from "node:path"
import { type Row, TABLE } from "./importTable.ts"
import type { Source, Violation } from "./repo.ts"
import { type Import, syntaxOf } from "./syntax.ts"

/** The files a check is about, by path, and the doors: `quorate/server` to its source file. */
export interface Tree {
  readonly sources: ReadonlyMap<string, Source>
  readonly doors: ReadonlyMap<string, string>
}

export const treeOf = (
  sources: ReadonlyArray<Source>,
  doors: ReadonlyMap<string, string> = new Map()
): Tree => ({ sources: new Map(sources.map((source) => [source.path, source])), doors })

/** Every import that the table does not allow, and every one of a file that is not there. */
export const checkImports = (
  tree: Tree,
  table: ReadonlyArray<Row> = TABLE
): ReadonlyArray<Violation> =>
  [...tree.sources.values()].flatMap((source) => {
    const found = rowOf(source.path, table)
    if (found === undefined) {
      return [{ path: source.path, line: 1, what: "no row of the import table holds this file" }]
    }
    return syntaxOf(source).imports.flatMap(({ specifier, line }) => {
      const what = refusal({ tree, from: source.path, specifier, ...found })
      return what === undefined ? [] : [{ path: source.path, line, what }]
    })
  })

interface Asked {
  readonly tree: Tree
  readonly from: string
  readonly specifier: string
  readonly row: Row
  readonly names: Names
}

const refusal = ({ tree, from, specifier, row, names }: Asked): string | undefined => {
  if (!specifier.startsWith(".")) {
    return allowsPackage(row, specifier)
      ? undefined
      : `${row.floor} may not import the package or door ${specifier}`
  }
  const path = posix.join(posix.dirname(from), specifier)
  if (!tree.sources.has(path)) return `${path} does not exist`
  return allowsPath(row, path, names) ? undefined : `${row.floor} may not import ${path}`
}

const allowsPackage = (row: Row, specifier: string): boolean =>
  row.packages.some((name) =>
    /[/:]$/.test(name) ? specifier.startsWith(name) : specifier === name
  )

const allowsPath = (row: Row, path: string, names: Names): boolean => {
  const matches = (pattern: string): boolean => matchPath(pattern, path, names) !== undefined
  const taken = row.imports.filter((pattern) => pattern.startsWith("!"))
  return (
    row.imports.some((pattern) => !pattern.startsWith("!") && matches(pattern)) &&
    !taken.some((pattern) => matches(pattern.slice(1)))
  )
}

/** What each `:name` of a pattern stood for. */
type Names = { readonly [name: string]: string }

const rowOf = (
  path: string,
  table: ReadonlyArray<Row>
): { readonly row: Row; readonly names: Names } | undefined => {
  for (const row of table) {
    for (const pattern of row.files) {
      const names = matchPath(pattern, path, {})
      if (names !== undefined) return { row, names }
    }
  }
  return undefined
}

const matchPath = (pattern: string, path: string, known: Names): Names | undefined => {
  const source = pattern
    .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
    .replace(/\*\*\/|\*\*|\*|:(\w+)/g, (token, name?: string) => {
      if (token === "**/") return "(?:.*/)?"
      if (token === "**") return ".*"
      if (name === undefined) return "[^/]*"
      return known[name] ?? `(?<${name}>[^/]+)`
    })
  const match = new RegExp(`^${source}$`).exec(path)
  return match === null ? undefined : { ...match.groups }
}

/** The file an import leads to: a relative one, or the source behind a door. */
const targetOf = (tree: Tree, from: string, specifier: string): string | undefined => {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(from), specifier)
  for (const [door, target] of tree.doors) {
    if (door === specifier) return target
    const [before, after] = door.split("*")
    if (after === undefined || !specifier.startsWith(before!) || !specifier.endsWith(after))
      continue
    return target.replace("*", specifier.slice(before!.length, specifier.length - after.length))
  }
  return undefined
}

const edges = (
  tree: Tree,
  source: Source,
  wanted: (found: Import) => boolean
): ReadonlyArray<string> =>
  syntaxOf(source)
    .imports.filter(wanted)
    .flatMap(({ specifier }) => {
      const target = targetOf(tree, source.path, specifier)
      return target !== undefined && tree.sources.has(target) ? [target] : []
    })

/** Each way round through imports that are left when types are stripped, once. */
export const findCycles = (tree: Tree): ReadonlyArray<ReadonlyArray<string>> => {
  const cycles: Array<ReadonlyArray<string>> = []
  const done = new Set<string>()
  const way: Array<string> = []
  const enter = (path: string): void => {
    if (way.includes(path)) {
      cycles.push([...way.slice(way.indexOf(path)), path])
      return
    }
    if (done.has(path)) return
    way.push(path)
    for (const next of edges(tree, tree.sources.get(path)!, ({ typeOnly }) => !typeOnly))
      enter(next)
    way.pop()
    done.add(path)
  }
  for (const path of tree.sources.keys()) enter(path)
  return cycles
}

/** Files that nothing imports or starts on any way from `roots`. */
export const findDead = (tree: Tree, roots: ReadonlyArray<string>): ReadonlyArray<string> => {
  const reached = new Set<string>()
  const open = [...roots]
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const source = tree.sources.get(path)
    if (source === undefined || reached.has(path)) continue
    reached.add(path)
    open.push(...edges(tree, source, () => true))
    open.push(...syntaxOf(source).started.map((file) => posix.join(posix.dirname(path), file)))
  }
  return [...tree.sources.keys()].filter((path) => !reached.has(path))
}
