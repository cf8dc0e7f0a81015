/** Where the messages of a type hold proofs: found in the descriptor, once. */
import type { DescField, DescMessage } from "@bufbuild/protobuf"
import type { Proof } from "../../server/Proof.ts"

const KINDS: { readonly [typeName: string]: Proof["kind"] } = {
  "quorate.v1.SignedWord": "word",
  "quorate.v1.Certificate": "certificate",
  "quorate.v1.SignedRequest": "request"
}

type Find = (message: any, found: Array<Proof>) => void
const NOTHING: Find = () => {}

/** `undefined`: messages of this type have no place for a proof. */
export const proofsOf = (
  schema: DescMessage
): ((message: object) => ReadonlyArray<Proof>) | undefined => {
  if (!holdsProofs(schema, new Set())) return undefined
  const find = finderOf(schema, new Map())
  return (message) => {
    const found: Array<Proof> = []
    find(message, found)
    return found
  }
}

const holdsProofs = (schema: DescMessage, seen: Set<DescMessage>): boolean => {
  if (KINDS[schema.typeName] !== undefined) return true
  if (seen.has(schema)) return false
  seen.add(schema)
  return schema.fields.some(({ message }) => message !== undefined && holdsProofs(message, seen))
}

const finderOf = (schema: DescMessage, known: Map<DescMessage, Find>): Find => {
  const before = known.get(schema)
  if (before !== undefined) return before
  const kind = KINDS[schema.typeName]
  if (kind !== undefined) return (message, found) => void found.push({ ...message, kind })
  let finders: ReadonlyArray<Find> = []
  const find: Find = (message, found) => {
    for (const one of finders) one(message, found)
  }
  // Before its fields are looked at: a message may hold messages of its own type.
  known.set(schema, find)
  finders = schema.fields.map((field) => inField(field, known)).filter((it) => it !== NOTHING)
  return find
}

const inField = (field: DescField, known: Map<DescMessage, Find>): Find => {
  if (field.message === undefined || !holdsProofs(field.message, new Set())) return NOTHING
  const find = finderOf(field.message, known)
  const { localName, oneof } = field
  switch (field.fieldKind) {
    case "list":
      return (message, found) => {
        for (const one of message[localName]) find(one, found)
      }
    case "map":
      return (message, found) => {
        for (const one of Object.values(message[localName])) find(one, found)
      }
    default:
      return (message, found) => {
        const choice = oneof === undefined ? undefined : message[oneof.localName]
        const value = choice === undefined ? message[localName] : chosen(choice, localName)
        if (value !== undefined) find(value, found)
      }
  }
}

const chosen = (choice: { readonly case?: string; readonly value?: unknown }, name: string) =>
  choice.case === name ? choice.value : undefined
