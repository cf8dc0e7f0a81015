import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { json, protocolOf } from "./engines.ts"

/** A tiny replicated counter: node 1 assigns slots, all accept, a quorum of accepts applies. */
export const counterOf = (window: number): ProtocolSpec =>
  protocolOf(
    "ctr",
    {
      add: [
        "multiparty",
        ({ message, call, state, self, lanes, forward, refuse, note }) =>
          self !== 1
            ? refuse.redirect(1)
            : state.pending.has(call.key)
              ? []
              : state.next > lanes.slots.last
                ? refuse.overloaded()
                : [
                    note({ pending: call.key }),
                    forward.accept({
                      slot: state.next,
                      by: message.by,
                      session: call.session,
                      index: call.index
                    })
                  ],
        { forwards: ["accept"] }
      ],
      accept: [
        "phase",
        {
          lane: "slots",
          index: (m) => m.slot,
          each: ({ message, store, forward }) => [
            store({ slot: message.slot }),
            forward.learn(message)
          ]
        }
      ],
      learn: [
        "phase",
        {
          lane: "slots",
          index: (m) => m.slot,
          quorum: ({ votes, system, apply, wait }) =>
            votes.agreed(system.quorum)
              ? apply(
                  { by: votes.value.by, key: votes.value.index },
                  {
                    call: { session: votes.value.session, index: votes.value.index, method: "add" }
                  }
                )
              : wait
        }
      ]
    },
    {
      state: () => ({ next: 1, pending: new Set<string>() }),
      record: json,
      evolve: (state, record) => {
        if (record.pending !== undefined) state.pending.add(record.pending)
        if (record.slot !== undefined) state.next = Math.max(state.next, record.slot + 1)
      },
      lanes: { slots: { window } },
      application: {
        command: json,
        initial: () => ({ total: 0, done: new Map<number, number>() }),
        apply: (state, command) => {
          if (!state.done.has(command.key)) state.done.set(command.key, (state.total += command.by))
          return { total: state.done.get(command.key) }
        }
      }
    }
  )
