/** Fields of objects, for all parts of a parse of a group, and the first thing that is wrong. */
import { isSmallOrder } from "../../base/ed25519.ts"
import { NODE_ID_MAX } from "../../base/NodeId.ts"
import { GroupInvalid } from "../Errors.ts"

/** Thrown within a parse only: the first thing that is wrong ends it. */
export class Wrong {
  readonly invalid: GroupInvalid
  constructor(where: string, what: string, remedy: string) {
    this.invalid = new GroupInvalid({ where, what, remedy })
  }
}

export const fields = (
  value: unknown,
  where: string,
  known: ReadonlyArray<string>
): Record<string, unknown> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Wrong(
      where,
      `${shown(value)} is no object`,
      `write { ${known.map((k) => `"${k}": …`).join(", ")} }`
    )
  }
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    throw new Wrong(where, `unknown key ${shown(key)}`, `known keys: ${known.join(", ")}`)
  }
  return value as Record<string, unknown>
}

/** What to write behind a key that is missing. */
export const VALUES: { readonly [key: string]: string } = {
  group: 'its name, e.g. "demo"',
  faults: '"crash" or "byzantine"',
  durable: "true or false",
  nodes: '[{ "id": 1, "address": "127.0.0.1:7001" }, …]',
  id: `a whole number from 1 to ${NODE_ID_MAX}`,
  address: '"127.0.0.1:7001"'
}

export const required = (value: Record<string, unknown>, key: string, where: string): unknown => {
  if (value[key] !== undefined) return value[key]
  throw new Wrong(where, `"${key}" is missing`, `write "${key}": ${VALUES[key]}`)
}

export const shown = (value: unknown): string => {
  let text: string
  try {
    text = JSON.stringify(value) ?? String(value)
  } catch {
    // A bigint, or an object that holds itself.
    text = `a ${typeof value}`
  }
  return text.length <= 60 ? text : `${text.slice(0, 60)}…`
}

const KEY = /^[0-9a-f]{64}$/i

/** A public key of 64 hexadecimal digits. */
export const keyOf = (key: unknown, where: string): Uint8Array => {
  if (typeof key !== "string" || !KEY.test(key)) {
    throw new Wrong(where, `${shown(key)} is no key`, "write 64 hexadecimal digits")
  }
  const bytes = Uint8Array.from({ length: 32 }, (_, byte) =>
    Number.parseInt(key.slice(2 * byte, 2 * byte + 2), 16)
  )
  if (!isSmallOrder(bytes)) return bytes
  const remedy = "make one with npx quorate keygen"
  throw new Wrong(where, `anybody can sign for the key ${shown(key)}`, remedy)
}
