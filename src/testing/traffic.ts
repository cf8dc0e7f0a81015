/** How much is said in a run: messages and bytes, by who, to whom, of what kind. */
import type { Endpoint } from "./simNetwork.ts"

/** What one end has sent the other of one kind, what was lost on the way too. */
export interface Traffic {
  readonly from: Endpoint
  readonly to: Endpoint
  /** As {@link Message} names it: "word", "want", "reply" … */
  readonly kind: string
  readonly messages: number
  readonly bytes: number
}

export interface Amount {
  messages: number
  bytes: number
}

/** One direction of a pair. */
export class TrafficCount {
  readonly #kinds = new Map<string, Amount>()

  add(kind: string, bytes: number): void {
    const amount = this.#kinds.get(kind)
    if (amount === undefined) this.#kinds.set(kind, { messages: 1, bytes })
    else {
      amount.messages++
      amount.bytes += bytes
    }
  }

  /** As it is now. */
  rows(from: Endpoint, to: Endpoint): ReadonlyArray<Traffic> {
    return [...this.#kinds].map(([kind, amount]) => ({ from, to, kind, ...amount }))
  }
}

/** Sums by kind, kinds in order. */
export const trafficByKind = (
  ...all: ReadonlyArray<ReadonlyArray<Omit<Traffic, "from" | "to">>>
): { readonly [kind: string]: Readonly<Amount> } => {
  const sums = new Map<string, Amount>()
  for (const { kind, messages, bytes } of all.flat()) {
    const sum = sums.get(kind) ?? { messages: 0, bytes: 0 }
    sums.set(kind, { messages: sum.messages + messages, bytes: sum.bytes + bytes })
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** What was sent between two looks at the same network. */
export const trafficSince = (
  before: ReadonlyArray<Traffic>,
  now: ReadonlyArray<Traffic>
): ReadonlyArray<Traffic> => {
  const nameOf = ({ from, to, kind }: Traffic): string => `${from} ${to} ${kind}`
  const known = new Map(before.map((row) => [nameOf(row), row]))
  return now.flatMap((row) => {
    const old = known.get(nameOf(row)) ?? { messages: 0, bytes: 0 }
    if (row.messages === old.messages) return []
    return [{ ...row, messages: row.messages - old.messages, bytes: row.bytes - old.bytes }]
  })
}
