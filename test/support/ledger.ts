import type { ApplicationSpec, ProtocolSpec, WorldSpec } from "../../src/server/Protocol.ts"
import { json, type Nodes, protocolOf, request } from "./engines.ts"

/** A command: writes `value`, and returns what stood there before. */
export interface Put {
  readonly value: string
}
export interface Ledger {
  value: string
  readonly all: Array<string>
}

/**
 * A lane whose messages say what is to be done: `script` makes directives of each. Its application
 * keeps every value.
 */
export const ledgerOf = (
  script: (context: any) => unknown,
  application: Partial<ApplicationSpec> = {},
  world: Partial<WorldSpec> = {}
): ProtocolSpec =>
  protocolOf(
    "ledger",
    {
      put: [
        "multiparty",
        ({ message, call, forward }) =>
          forward.slot({ ...message, session: call.session, call: call.index })
      ],
      ask: ["rpc", (context) => script(context)],
      slot: [
        "phase",
        { lane: "slots", index: (m) => m.slot, round: (m) => m.round ?? 0, each: script }
      ]
    },
    {
      lanes: { slots: { window: 8, rounds: 4 } },
      application: {
        command: json,
        initial: (): Ledger => ({ value: "", all: [] }),
        apply: (state: Ledger, { value }: Put) => write(state, value),
        ...application
      },
      ...world
    }
  )

export const write = (state: Ledger, value: string) => {
  const before = state.value
  state.value = value
  state.all.push(value)
  return { before }
}

/** The client's call `index`, about slot `slot` in which `message` says what is to be done. */
export const put = (index: number, message: object) => request("ledger", "put", message, { index })
export const ask = (index: number, message: object) =>
  request("ledger", "ask", message, { index: 100 + index })

/** What a node decided, index by index. */
export const decidedOf = (nodes: Nodes, id: number) =>
  nodes.logs
    .get(id)!
    .flatMap(({ entries }) => entries)
    .filter((entry) => entry.kind === "decided")

export const undo = (state: Ledger, _: Put, context: { kept?: unknown }): void => {
  state.value = context.kept as string
  state.all.pop()
}
/** Can be undone, and read. */
export const undoable: Partial<ApplicationSpec> = {
  apply: (state: Ledger, { value }: Put, context) => {
    context.kept = state.value
    return write(state, value)
  },
  undo,
  read: (state: Ledger, { prefix }: { prefix: string }) => ({ all: prefix + state.all.join("") })
}
