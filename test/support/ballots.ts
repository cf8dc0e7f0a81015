import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { json, protocolOf } from "./engines.ts"

export interface Accepted {
  readonly ballot: number
  readonly value: string
}

/** The value of the highest ballot, slot by slot. */
const chosen = (promises: ReadonlyArray<any>): ReadonlyMap<number, Accepted> => {
  const best = new Map<number, Accepted>()
  for (const { message } of promises) {
    for (const [slot, accepted] of message.accepted) {
      if (!((best.get(slot)?.ballot ?? -1) >= accepted.ballot)) best.set(slot, accepted)
    }
  }
  return best
}

/**
 * Paxos with both phases, for executions by hand: a call makes its node lead a ballot, or propose a
 * value. What was accepted is forgotten below the floor, which moves when a state is installed.
 * @source Lamport, Paxos made simple, 2001
 */
export const ballots: ProtocolSpec = protocolOf(
  "bal",
  {
    lead: ["multiparty", ({ message, forward }) => forward.prepare(message)],
    put: ["multiparty", ({ message, forward }) => forward.accept(message)],
    prepare: [
      "phase",
      {
        lane: "views",
        index: () => 1,
        round: (m) => m.ballot,
        each: ({ message: { ballot }, author, state, store, forward, ignore }) =>
          ballot < state.promised
            ? ignore("an old ballot")
            : [
                store({ promised: ballot }),
                forward.promise({ ballot, accepted: [...state.accepted] }, { to: author })
              ]
      }
    ],
    promise: [
      "phase",
      {
        lane: "views",
        index: () => 1,
        round: (m) => m.ballot,
        agreeOn: (m) => m.ballot,
        quorum: ({ votes, system, round, forward, wait }) =>
          votes.agreed(system.quorum)
            ? [...chosen(votes.certificate)].map(([slot, { value }]) =>
                forward.accept({ slot, ballot: round, value })
              )
            : wait
      }
    ],
    accept: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        round: (m) => m.ballot,
        each: ({ message, state, store, forward, ignore }) =>
          message.ballot < state.promised
            ? ignore("an old ballot")
            : [store({ accepted: message }), forward.learn(message)]
      }
    ],
    learn: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        round: (m) => m.ballot,
        quorum: ({ votes, system, apply, wait }) =>
          votes.agreed(system.quorum) ? apply({ value: votes.value.value }) : wait
      }
    ],
    fetch: [
      "phase",
      {
        lane: "states",
        index: () => 1,
        round: (m) => m.attempt,
        each: ({ author, snapshot, forward }) => {
          const { index, bytes } = snapshot()
          return forward.state({ index, bytes }, { to: author })
        }
      }
    ],
    state: [
      "phase",
      {
        lane: "states",
        index: () => 1,
        round: (m) => m.index,
        each: ({ message, install }) => install(message)
      }
    ]
  },
  {
    state: () => ({ promised: 0, accepted: new Map<number, Accepted>() }),
    record: json,
    evolve: (state, { promised, accepted, floor }) => {
      if (promised !== undefined) state.promised = promised
      if (accepted !== undefined) {
        const { slot, ballot, value } = accepted
        state.promised = ballot
        state.accepted.set(slot, { ballot, value })
      }
      for (const slot of [...state.accepted.keys()]) if (slot < floor) state.accepted.delete(slot)
    },
    lanes: {
      views: { rounds: "latest" },
      slots: { window: 16, rounds: "latest", floor: "set" },
      states: { rounds: "latest" }
    },
    behind: ({ own, forward }) => forward.fetch({ attempt: own }, { to: "others" }),
    installed: ({ index, store, floor }) => [
      store({ floor: index + 1 }),
      floor("slots", index + 1)
    ],
    application: {
      lane: "slots",
      command: json,
      initial: (): Array<string> => [],
      apply: (log: Array<string>, { value }: { value: string }) => void log.push(value)
    }
  }
)
