/**
 * A vote on one page that knows a call only from its client: what members say of one that has not
 * come yet is parked. The simulator's plainest protocol with parked words and a state per call.
 */
import type { SimulateOptions } from "quorate/testing"
import { json } from "./sum.ts"

type Spec = SimulateOptions["spec"]

const shared = { input: json, output: json }

export const Meet: Spec = {
  name: "sim.Meet",
  methods: [
    {
      ...{ name: "ask", fullName: "sim.Meet/ask", call: "multiparty", ...shared },
      ...{ forwards: ["vote"], replies: [] },
      handler: ({ message, call, store, wake, forward }) => {
        const { key } = call
        return [store({ key }), wake(key), forward.vote(message)]
      }
    },
    {
      ...{ name: "vote", fullName: "sim.Meet/vote", call: "phase", ...shared },
      ...{ forwards: [], replies: ["ask"] },
      handler: {
        each: ({ message, author, call, state, system, park, store, reply }) => {
          const { key } = call
          const votes = state.votes.get(key)
          if (votes === undefined) return park(key)
          const said = store({ key, author })
          const others = votes.size - (votes.has(author) ? 1 : 0)
          return others + 1 < system.quorum.needed ? said : [said, reply(message)]
        }
      }
    }
  ],
  world: {
    state: () => ({ votes: new Map<string, Set<number>>() }),
    record: json,
    evolve: (state, { key, author }: { key: string; author?: number }) => {
      const votes = state.votes.get(key) ?? new Set<number>()
      if (author !== undefined) votes.add(author)
      state.votes.set(key, votes)
    }
  }
}
