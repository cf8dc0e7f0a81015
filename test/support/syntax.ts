/** What the house-keeping tests need to know of a source file's syntax. */
import { type Node, parseSync, visitorKeys } from "oxc-parser"
import type { Source } from "./repo.ts"

export interface Import {
  /** As written: `../base/assert.ts`, `effect`, `quorate/server`. */
  readonly specifier: string
  /** Nothing of it is left when types are stripped. */
  readonly typeOnly: boolean
  readonly line: number
}

/** A name the code refers to: `Math.random`, `.sleep`, `setTimeout`, `await`, `new Date`. */
export interface Use {
  readonly name: string
  readonly line: number
}

export interface FunctionSize {
  readonly name: string
  readonly line: number
  readonly lines: number
  /** The body of a `describe`: a list of tests, not a function anybody reads as one. */
  readonly suite: boolean
}

export interface Comment {
  readonly text: string
  readonly line: number
}

export interface Syntax {
  readonly errors: ReadonlyArray<string>
  readonly imports: ReadonlyArray<Import>
  /** Files named by `new URL("./main.ts", import.meta.url)`: started, not imported. */
  readonly started: ReadonlyArray<string>
  readonly uses: ReadonlyArray<Use>
  readonly functions: ReadonlyArray<FunctionSize>
  readonly comments: ReadonlyArray<Comment>
}

/** The parser's nodes, as loosely as a generic walk sees them. */
interface Tree {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

interface Place {
  readonly node: Tree
  /** The node around it, and the field of that node it stands in. */
  readonly parent: Tree | undefined
  readonly field: string
}

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && typeof (value as Tree).type === "string"

const visit = (place: Place, each: (place: Place) => void): void => {
  each(place)
  for (const field of visitorKeys[place.node.type] ?? []) {
    const value = place.node[field]
    for (const node of Array.isArray(value) ? value : [value]) {
      if (isTree(node)) visit({ node, parent: place.node, field }, each)
    }
  }
}

/** `Date.now` for a chain of plain names; `.now` where it starts with anything else. */
const dotted = (node: Tree): string => {
  if (node.type === "Identifier") return String(node.name)
  if (node.type === "MemberExpression" && node.computed === false) {
    return `${dotted(node.object as Tree)}.${String((node.property as Tree).name)}`
  }
  return ""
}

const NAMES_ONLY = new Set([
  "ImportSpecifier",
  "ImportDefaultSpecifier",
  "ImportNamespaceSpecifier",
  "ExportSpecifier",
  "TSNamedTupleMember",
  "LabeledStatement"
])

/** Is this identifier a reference, and not the name of a property, a label or an import? */
const isReference = ({ parent, field }: Place): boolean => {
  if (parent === undefined || NAMES_ONLY.has(parent.type)) return false
  if (field === "property") return parent.computed === true
  if (field === "key") return parent.computed === true
  return !(parent.type === "TSQualifiedName" && field === "right")
}

const usesOf = (place: Place): ReadonlyArray<string> => {
  const { node } = place
  switch (node.type) {
    case "Identifier":
      return isReference(place) ? [String(node.name)] : []
    case "MemberExpression": {
      const chain = dotted(node)
      const last = chain.slice(chain.lastIndexOf("."))
      return chain === "" ? [] : chain === last ? [last] : [chain, last]
    }
    case "AwaitExpression":
      return ["await"]
    case "ForOfStatement":
      return node.await === true ? ["await"] : []
    case "NewExpression":
      return [`new ${dotted(node.callee as Tree)}`]
    default:
      return node.async === true ? ["async"] : []
  }
}

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"])

const nameOf = ({ node, parent }: Place): string => {
  for (const owner of [node.id, parent?.id, parent?.key]) {
    if (isTree(owner) && typeof owner.name === "string") return owner.name
  }
  return parent?.type === "CallExpression" ? `a function in ${rootOf(parent)}(…)` : "a function"
}

/** The first name of a call: `describe` for `describe.each(rows)("…", …)`. */
const rootOf = (node: Tree): string => {
  if (isTree(node.callee)) return rootOf(node.callee)
  if (node.type !== "MemberExpression") return dotted(node)
  return dotted(node) === "it.layer" ? "it.layer" : rootOf(node.object as Tree)
}

const SUITES = new Set(["describe", "suite", "layer", "it.layer"])

const stringAt = (node: unknown): string | undefined =>
  isTree(node) && typeof node.value === "string" ? node.value : undefined

const importOf = (node: Tree): { specifier: string; typeOnly: boolean } | undefined => {
  const typeOnly =
    node.type === "TSImportType" || node.importKind === "type" || node.exportKind === "type"
  if (
    !/^(Import|ExportAll|ExportNamed)Declaration$|^ImportExpression$|^TSImportType$/.test(node.type)
  ) {
    return undefined
  }
  const specifier = stringAt(node.source)
  return specifier === undefined ? undefined : { specifier, typeOnly }
}

const startedBy = (node: Tree): ReadonlyArray<string> => {
  if (node.type !== "NewExpression" || dotted(node.callee as Tree) !== "URL") return []
  const path = stringAt((node.arguments as ReadonlyArray<unknown>)[0])
  return path?.startsWith(".") ? [path] : []
}

const parsed = new WeakMap<Source, Syntax>()

export const syntaxOf = (source: Source): Syntax => {
  const known = parsed.get(source)
  if (known !== undefined) return known
  const result = parseSync(source.path, source.text, { sourceType: "module" })
  const lineAt = lineCounter(source.text)
  const imports: Array<Import> = []
  const started: Array<string> = []
  const uses: Array<Use> = []
  const functions: Array<FunctionSize> = []
  const root = result.program as Node as unknown as Tree
  visit({ node: root, parent: undefined, field: "" }, (place) => {
    const { node, parent } = place
    const line = lineAt(node.start)
    const found = importOf(node)
    if (found !== undefined) imports.push({ ...found, line })
    started.push(...startedBy(node))
    for (const name of usesOf(place)) uses.push({ name, line })
    if (FUNCTIONS.has(node.type)) {
      const suite = parent?.type === "CallExpression" && SUITES.has(rootOf(parent))
      functions.push({ name: nameOf(place), line, lines: lineAt(node.end) - line + 1, suite })
    }
  })
  const comments = result.comments.map(({ value, start }) => ({ text: value, line: lineAt(start) }))
  const errors = result.errors.map(({ message }) => message)
  const syntax = { errors, imports, started, uses, functions, comments }
  parsed.set(source, syntax)
  return syntax
}

/** Offset to line number, from 1. */
export const lineCounter = (text: string): ((offset: number) => number) => {
  const starts = [0]
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1)
  return (offset) => {
    let low = 0
    let high = starts.length
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (starts[middle]! <= offset) low = middle
      else high = middle
    }
    return low + 1
  }
}
