/**
 * A replicated sum on one page, without protobuf: node 1 gives each call a slot, all accept,
 * and who hears a quorum accept adds. The simulator's plainest protocol with a lane of its own.
 */
import type { SimulateOptions } from "quorate/testing"

type Spec = SimulateOptions["spec"]
type Method = Spec["methods"][number]

/** Messages as JSON; sessions travel as text. */
export const json = {
  encode: (message: object): Uint8Array => new TextEncoder().encode(JSON.stringify(message)),
  decode: (bytes: Uint8Array): object =>
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
}

/** A command with the slot it has and the call that asked for it. */
interface Accept {
  readonly slot: number
  readonly by: number
  readonly session: string
  readonly index: number
}
const nameOf = (session: Uint8Array): string => Buffer.from(session).toString("hex")
const callOf = ({ session, index }: Accept) => ({
  ...{ session: Uint8Array.from(Buffer.from(session, "hex")), index, method: "add" }
})
const keyOf = ({ session, index }: Accept): string => `${session}/${index}`
const slotOf = (accept: Accept): number => accept.slot

const method = (
  name: string,
  call: Method["call"],
  handler: Method["handler"],
  forwards: ReadonlyArray<string> = []
): Method => ({
  ...{ name, fullName: `sim.Sum/${name}`, call, input: json, output: json, forwards },
  ...{ replies: call === "phase" ? ["add"] : [], handler }
})

export const Sum: Spec = {
  name: "sim.Sum",
  methods: [
    method(
      "add",
      "multiparty",
      ({ message, call, state, self, lanes, forward, refuse, wait }) => {
        const session = nameOf(call.session)
        const accept: Accept = { slot: state.next, by: message.by, session, index: call.index }
        if (self !== 1 || state.slots.has(keyOf(accept))) return wait
        return accept.slot > lanes.slots.last ? refuse.overloaded() : forward.accept(accept)
      },
      ["accept"]
    ),
    method(
      "accept",
      "phase",
      {
        lane: "slots",
        index: slotOf,
        each: ({ message, store, forward }) => [store(message), forward.learn(message)]
      },
      ["learn"]
    ),
    method("learn", "phase", {
      lane: "slots",
      index: slotOf,
      quorum: ({ votes, system, apply, wait }) =>
        votes.agreed(system.quorum) ? apply(votes.value, { call: callOf(votes.value) }) : wait
    })
  ],
  world: {
    state: () => ({ next: 1, slots: new Set<string>() }),
    record: json,
    evolve: (state, accept: Accept) => {
      state.next = Math.max(state.next, accept.slot + 1)
      state.slots.add(keyOf(accept))
    },
    lanes: { slots: { window: 16 } },
    application: {
      command: json,
      initial: () => ({ total: 0, done: new Map<string, number>() }),
      apply: (state, accept: Accept) => {
        const key = keyOf(accept)
        if (!state.done.has(key)) state.done.set(key, (state.total += accept.by))
        return { total: state.done.get(key) }
      }
    }
  }
}
